//! OAuth 2 client credentials: one token for all, in time, and again after a 401.

use rstest::rstest;
use serde_json::{Value, json};

use super::test_calls::{TestCalls, Variables, answer, authorization, build, get, refused};
use super::*;
use crate::secrets::FaultKind;

fn variables() -> Variables {
    Variables::new(&[("ID", "cl13nt-id"), ("SECRET", "cl13nt/s3cr3t")])
}

fn settings(more: Value) -> Value {
    let mut settings = json!({
        "type": "oauth2_client_credentials", "token_url": "https://id.example.com/token?tenant=7",
        "client_id": "${secret:env:ID}", "client_secret": "${secret:env:SECRET}",
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

fn numbered(expires_in: Value) -> Arc<TestCalls> {
    TestCalls::new(move |number, _| {
        let token = format!("t0k3n-{number}");
        answer(
            200,
            json!({ "access_token": token, "token_type": "bearer", "expires_in": expires_in }),
        )
    })
}

#[rstest]
#[case::plain(json!({}), "grant_type=client_credentials&client_id=cl13nt-id&client_secret=cl13nt%2Fs3cr3t", None)]
#[case::more(
    json!({ "scopes": ["a", "b c"], "audience": "https://x", "params": { "account_id": "7", "grant_type": "account_credentials" } }),
    "grant_type=account_credentials&scope=a+b+c&audience=https%3A%2F%2Fx&client_id=cl13nt-id&client_secret=cl13nt%2Fs3cr3t&account_id=7",
    None
)]
#[case::basic(
    json!({ "credentials_in": "basic" }),
    "grant_type=client_credentials",
    Some("Basic Y2wxM250LWlkOmNsMTNudCUyRnMzY3IzdA==")
)]
#[tokio::test]
async fn i3_the_token_call_is_as_the_settings_say(
    #[case] more: Value,
    #[case] body: &str,
    #[case] header: Option<&str>,
) {
    let calls = numbered(json!(3600));
    let (auth, vault) = build(settings(more), variables().vault(), &calls);

    assert_eq!(authorization(&auth).await, "Bearer t0k3n-0");

    let [request] = calls.sent().try_into().ok().unwrap();
    assert_eq!(request.method, http::Method::POST);
    assert_eq!(request.url.as_str(), "https://id.example.com/token?tenant=7");
    assert_eq!(calls.bodies(), [body]);
    let found = request.headers.get("authorization").map(|value| value.to_str().unwrap());
    assert_eq!(found, header);
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.headers["accept"], "application/json");
    assert_eq!(vault.redactor().clean("Bearer t0k3n-0"), "Bearer ***");
    if let Some(header) = header {
        assert_eq!(vault.redactor().clean(header), "Basic ***");
    }
}

#[tokio::test]
async fn i3_requests_at_the_same_time_share_one_token_call() {
    let calls = numbered(json!(3600));
    let (auth, _) = build(settings(json!({})), variables().vault(), &calls);
    let mut applies = Vec::new();
    for _ in 0..20 {
        let auth = Arc::clone(&auth);
        applies.push(tokio::spawn(async move { authorization(&auth).await }));
    }
    for apply in applies {
        assert_eq!(apply.await.unwrap(), "Bearer t0k3n-0");
    }

    assert_eq!(calls.sent().len(), 1);
}

#[rstest]
#[case::number(json!(3600), 3239)]
#[case::text(json!("300"), 239)]
#[tokio::test]
async fn i3_a_token_is_renewed_before_it_ends(#[case] expires_in: Value, #[case] good: i64) {
    let calls = numbered(expires_in);
    let (auth, _) = build(settings(json!({})), variables().vault(), &calls);
    assert_eq!(authorization(&auth).await, "Bearer t0k3n-0");

    calls.pass(good);
    assert_eq!(authorization(&auth).await, "Bearer t0k3n-0");
    calls.pass(1);
    assert_eq!(authorization(&auth).await, "Bearer t0k3n-1");
}

#[tokio::test]
async fn i3_a_token_without_an_end_lives_until_a_401() {
    let calls = numbered(Value::Null);
    let (auth, _) = build(settings(json!({})), variables().vault(), &calls);
    let generation = auth.apply(&mut get("https://x.example.com/")).await.unwrap();

    calls.pass(1_000_000);
    assert_eq!(authorization(&auth).await, "Bearer t0k3n-0");
    assert!(auth.renew(generation).await.unwrap());
    assert_eq!(authorization(&auth).await, "Bearer t0k3n-1");
}

#[tokio::test]
async fn i3_many_401s_of_one_token_fetch_one_new_token() {
    let calls = numbered(json!(3600));
    let (auth, _) = build(settings(json!({})), variables().vault(), &calls);
    let generation = auth.apply(&mut get("https://x.example.com/")).await.unwrap();
    let mut renewals = Vec::new();
    for _ in 0..10 {
        let auth = Arc::clone(&auth);
        renewals.push(tokio::spawn(async move {
            assert!(auth.renew(generation).await.unwrap());
            authorization(&auth).await
        }));
    }
    for renewal in renewals {
        assert_eq!(renewal.await.unwrap(), "Bearer t0k3n-1");
    }
    // One that comes late with the first token does not spoil the second.
    assert!(auth.renew(generation).await.unwrap());

    assert_eq!(authorization(&auth).await, "Bearer t0k3n-1");
    assert_eq!(calls.sent().len(), 2);
}

#[tokio::test]
async fn i2_a_401_reads_the_client_secret_anew() {
    let (variables, calls) = (variables(), numbered(json!(3600)));
    let (auth, _) = build(settings(json!({})), variables.vault(), &calls);
    let generation = auth.apply(&mut get("https://x.example.com/")).await.unwrap();

    variables.set("SECRET", "r0t4ted");
    auth.renew(generation).await.unwrap();
    authorization(&auth).await;

    assert!(calls.bodies()[1].ends_with("client_secret=r0t4ted"));
}

#[tokio::test]
async fn i2_a_client_secret_that_the_token_server_refuses_is_read_once_more() {
    let variables = variables();
    let rotating = variables.clone();
    let calls = TestCalls::new(move |_, body| match body.contains("r0t4ted") {
        true => answer(200, json!({ "access_token": "t0k3n" })),
        false => {
            rotating.set("SECRET", "r0t4ted");
            answer(401, json!({ "error": "invalid_client" }))
        }
    });
    let (auth, _) = build(settings(json!({})), variables.vault(), &calls);

    assert_eq!(authorization(&auth).await, "Bearer t0k3n");
    assert_eq!(calls.sent().len(), 2);
}

#[rstest]
#[case::client(401, json!({ "error": "invalid_client", "error_description": "cl13nt/s3cr3t is wrong" }), FaultKind::Credentials, false, "401 Unauthorized: `invalid_client`: *** is wrong")]
#[case::scope(400, json!({ "error": "invalid_scope" }), FaultKind::Config, false, "400 Bad Request: `invalid_scope`")]
#[case::no_page(404, json!("<html>"), FaultKind::Config, false, "404 Not Found")]
#[case::moved(302, json!(""), FaultKind::Config, false, "302 Found")]
#[case::busy(503, json!({}), FaultKind::Remote, true, "503 Service Unavailable")]
#[case::limit(429, json!({}), FaultKind::Remote, true, "429 Too Many Requests")]
#[case::good_error(200, json!({ "ok": false, "error": "invalid_client" }), FaultKind::Credentials, false, "200 OK: `invalid_client`")]
#[case::no_token(200, json!({ "token": "x" }), FaultKind::Remote, false, "the answer has no token in `access_token`")]
#[tokio::test]
async fn i3_a_refusal_says_what_the_server_said(
    #[case] status: u16,
    #[case] body: Value,
    #[case] kind: FaultKind,
    #[case] retryable: bool,
    #[case] says: &str,
) {
    let calls = TestCalls::new(move |_, _| answer(status, body.clone()));
    let (auth, _) = build(settings(json!({})), variables().vault(), &calls);

    let error = auth.apply(&mut get("https://x.example.com/")).await.unwrap_err();

    let message = error.to_string();
    assert!(
        message.starts_with("fetching a token from `https://id.example.com/token`: "),
        "{message}"
    );
    assert!(message.ends_with(says), "{message}");
    assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
    assert_eq!((error.kind(), error.is_retryable()), (kind, retryable));
    // The secret is the same as before, so the call is not repeated.
    assert_eq!(calls.sent().len(), 1);
}

#[tokio::test]
async fn i3_without_an_answer_the_call_is_named() {
    let calls = TestCalls::none();
    let (auth, _) = build(settings(json!({})), variables().vault(), &calls);

    let error = auth.apply(&mut get("https://x.example.com/")).await.unwrap_err();

    assert_eq!(error.to_string(), "fetching a token from `https://id.example.com/token`");
    assert_eq!((error.kind(), error.is_retryable()), (FaultKind::Remote, true));
}

#[tokio::test]
async fn i3_a_token_that_cannot_be_sent_names_its_server() {
    let calls = TestCalls::new(|_, _| answer(200, json!({ "access_token": "t0k3n\nX: y" })));
    let (auth, _) = build(settings(json!({})), variables().vault(), &calls);

    let error = auth.apply(&mut get("https://x.example.com/")).await.unwrap_err();

    let expected = "the value from the token server `https://id.example.com/token` cannot be sent in the header `authorization`: it has a line break";
    assert_eq!(error.to_string(), expected);
}

#[rstest]
#[case("id.example.com", "`auth.token_url` is not a URL")]
#[case("ftp://id.example.com", "`auth.token_url` is not an `https://` URL")]
#[case("https://me:s3cr3t@id.example.com", "`auth.token_url` must not hold credentials")]
fn i3_a_token_url_is_checked(#[case] url: &str, #[case] says: &str) {
    let message = refused(settings(json!({ "token_url": url })));
    assert!(message.contains(says) && !message.contains("s3cr3t"), "{message}");
}
