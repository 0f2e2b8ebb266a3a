//! Logins: the call, the token in the answer, and where it goes.

use http::{HeaderMap, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

use super::test_calls::{TestCalls, Variables, answer, build, get, refused};
use super::*;
use crate::http::Answer;
use crate::secrets::FaultKind;

fn settings(more: Value) -> Value {
    let mut settings = json!({
        "type": "session",
        "login": {
            "url": "https://x.example.com/login?v=1",
            "headers": { "X-Api": "key ${secret:env:KEY}" },
            "body": { "json": { "user": "me", "pass": "${secret:env:PASS}", "n": [1, "$${x}"] } },
        },
        "token": { "json": "$.data.tokens[0]" },
        "put": { "in": "header", "name": "X-Token", "prefix": "T " },
        "ttl": "10m",
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

fn variables() -> Variables {
    Variables::new(&[("KEY", "l0gin-key"), ("PASS", "p\"4ss&w0rd")])
}

fn numbered() -> Arc<TestCalls> {
    TestCalls::new(|number, _| {
        let token = format!("s3ssion-{number}");
        let mut good = answer(200, json!({ "data": { "tokens": [token] } })).unwrap();
        good.headers.insert("x-session", format!("h34der-{number}").parse().unwrap());
        good.headers.append("set-cookie", "theme=dark; Path=/".parse().unwrap());
        good.headers
            .append("set-cookie", format!("SID=c00kie-{number}; HttpOnly").parse().unwrap());
        Ok(good)
    })
}

#[tokio::test]
async fn i3_a_login_is_sent_as_the_settings_say_and_its_token_put_in_place() {
    let calls = numbered();
    let (auth, vault) = build(settings(json!({})), variables().vault(), &calls);
    let mut request = get("https://x.example.com/y");

    auth.apply(&mut request).await.unwrap();

    assert_eq!(request.headers["x-token"], "T s3ssion-0");
    assert!(request.headers["x-token"].is_sensitive());
    let [login] = calls.sent().try_into().ok().unwrap();
    assert_eq!(
        (login.method.as_str(), login.url.as_str()),
        ("POST", "https://x.example.com/login?v=1")
    );
    assert_eq!(login.headers["x-api"], "key l0gin-key");
    assert!(login.headers["x-api"].is_sensitive());
    assert_eq!(login.headers["content-type"], "application/json");
    assert_eq!(calls.bodies(), [r#"{"user":"me","pass":"p\"4ss&w0rd","n":[1,"${x}"]}"#]);
    assert_eq!(
        vault.redactor().clean(&calls.bodies()[0]),
        r#"{"user":"me","pass":"***","n":[1,"${x}"]}"#
    );
    assert_eq!(vault.redactor().clean("s3ssion-0"), "***");
}

#[tokio::test]
async fn i3_a_login_may_be_a_form() {
    let calls = numbered();
    let login = json!({ "method": "put", "url": "https://x.example.com/login", "body": { "form": { "u": "a b", "p": "${secret:env:PASS}" } } });
    let (auth, _) = build(settings(json!({ "login": login })), variables().vault(), &calls);

    auth.apply(&mut get("https://x.example.com/y")).await.unwrap();

    assert_eq!(calls.bodies(), ["p=p%224ss%26w0rd&u=a+b"]);
    let sent = &calls.sent()[0];
    assert_eq!(sent.method, http::Method::PUT);
    assert_eq!(sent.headers["content-type"], "application/x-www-form-urlencoded");
}

#[rstest]
#[case::header(json!({ "header": "X-Session" }), json!({ "in": "query", "name": "s" }), "https://x.example.com/y?a=1&s=h34der-0", None)]
#[case::cookie(json!({ "cookie": "SID" }), json!({ "in": "cookie", "name": "SID" }), "https://x.example.com/y?a=1", Some("SID=c00kie-0"))]
#[tokio::test]
async fn i3_a_token_is_found_and_put_elsewhere(
    #[case] token: Value,
    #[case] put: Value,
    #[case] url: &str,
    #[case] cookie: Option<&str>,
) {
    let more = json!({ "token": token, "put": put });
    let (auth, _) = build(settings(more), variables().vault(), &numbered());
    let mut request = get("https://x.example.com/y?a=1");

    auth.apply(&mut request).await.unwrap();

    assert_eq!(request.url.as_str(), url);
    assert_eq!(request.headers.get("cookie").map(|value| value.to_str().unwrap()), cookie);
}

#[tokio::test]
async fn i3_a_session_ends_after_its_ttl_and_at_a_401() {
    let calls = numbered();
    let (auth, _) = build(settings(json!({})), variables().vault(), &calls);
    let mut request = get("https://x.example.com/y");
    auth.apply(&mut request).await.unwrap();

    calls.pass(539);
    auth.apply(&mut request).await.unwrap();
    assert_eq!(request.headers["x-token"], "T s3ssion-0");
    calls.pass(1);
    let generation = auth.apply(&mut request).await.unwrap();
    assert_eq!(request.headers["x-token"], "T s3ssion-1");
    assert!(auth.renew(generation).await.unwrap());
    assert!(auth.renew(generation).await.unwrap());
    auth.apply(&mut request).await.unwrap();
    assert_eq!(request.headers["x-token"], "T s3ssion-2");
}

#[rstest]
#[case::refused(401, json!({ "message": "p\"4ss&w0rd is wrong" }), FaultKind::Credentials, "the server answered 401 Unauthorized: *** is wrong")]
#[case::good_error(200, json!({ "error": "locked" }), FaultKind::Remote, "the server answered 200 OK: `locked`")]
#[case::no_key(200, json!({ "data": { "t": "s3cr3t" } }), FaultKind::Remote, "the answer has no token in `data.tokens.0`")]
#[case::empty(200, json!({ "data": { "tokens": [""] } }), FaultKind::Remote, "the answer has no token in `data.tokens.0`")]
#[tokio::test]
async fn i3_a_login_that_fails_says_why(
    #[case] status: u16,
    #[case] body: Value,
    #[case] kind: FaultKind,
    #[case] says: &str,
) {
    let calls = TestCalls::new(move |_, _| answer(status, body.clone()));
    let (auth, _) = build(settings(json!({})), variables().vault(), &calls);

    let error = auth.apply(&mut get("https://x.example.com/y")).await.unwrap_err();

    let message = error.to_string();
    assert!(message.starts_with("logging in at `https://x.example.com/login`: "), "{message}");
    assert!(message.ends_with(says) && !format!("{error:?}").contains("s3cr3t"), "{message}");
    assert_eq!(error.kind(), kind);
}

#[tokio::test]
async fn i3_a_login_page_that_redirects_sets_its_cookie() {
    let calls = TestCalls::new(|_, _| {
        let mut headers = HeaderMap::new();
        headers.insert("set-cookie", "SID=c00kie; Path=/".parse().unwrap());
        Ok(Answer { status: StatusCode::FOUND, headers, body: "".into() })
    });
    let more = json!({ "token": { "cookie": "SID" }, "put": { "in": "cookie", "name": "SID" } });
    let (auth, _) = build(settings(more), variables().vault(), &calls);
    let mut request = get("https://x.example.com/y");

    auth.apply(&mut request).await.unwrap();

    assert_eq!(request.headers["cookie"], "SID=c00kie");
}

#[rstest]
#[case(json!({ "token": { "json": "$.a[*]" } }), "`auth.token.json` is not a path")]
#[case(json!({ "token": { "json": "$" } }), "`auth.token.json` is not a path")]
#[case(json!({ "token": { "header": "a b" } }), "`auth.token.header` is not the name of a header")]
#[case(json!({ "put": { "name": "a b" } }), "`auth.put.name` is not the name of a header")]
#[case(json!({ "login": { "url": "x" } }), "`auth.login.url` is not a URL")]
#[case(json!({ "login": { "url": "https://x", "method": "A B" } }), "`auth.login.method` is not a method")]
#[case(json!({ "login": { "url": "https://x", "headers": { "a b": "" } } }), "`auth.login.headers` has a name")]
#[case(json!({ "login": { "url": "https://x", "body": { "json": { "a": ["${x}"] } } } }), "`auth.login.body.json.a.0` cannot be understood")]
fn i3_a_login_is_checked_before_anything_is_sent(#[case] more: Value, #[case] says: &str) {
    let message = refused(settings(more));
    assert!(message.contains(says), "{message}");
}
