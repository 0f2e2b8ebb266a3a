//! Credentials that stay as they are: API keys, bearer, basic.

use rstest::rstest;
use serde_json::{Value, json};

use super::test_calls::{TestCalls, Variables, authorization, build, get, refused};
use super::*;
use crate::secrets::FaultKind;

fn variables() -> Variables {
    Variables::new(&[("KEY", "k3y v+l/ue"), ("PLAIN", "pl41n-key"), ("BROKEN", "s3cr3t\nX: y")])
}

async fn applied(settings: Value, url: &str) -> Request {
    let (auth, _) = build(settings, variables().vault(), &TestCalls::none());
    let mut request = get(url);
    request.headers.insert("cookie", "a=1; SID=old".parse().unwrap());
    // Twice, as for a second attempt.
    auth.apply(&mut request).await.unwrap();
    auth.apply(&mut request).await.unwrap();
    request
}

#[tokio::test]
async fn i3_an_api_key_goes_in_a_header_that_is_marked_sensitive() {
    let settings =
        json!({ "type": "api_key", "name": "X-API-Key", "value": "v1 ${secret:env:PLAIN}" });

    let request = applied(settings, "https://x.example.com/").await;

    let values: Vec<_> = request.headers.get_all("x-api-key").iter().collect();
    assert_eq!(values, ["v1 pl41n-key"]);
    assert!(values[0].is_sensitive());
    assert!(!format!("{:?}", request.headers).contains("pl41n"));
}

#[tokio::test]
async fn i3_an_api_key_in_the_query_leaves_the_other_parameters_as_they_are() {
    let settings = json!({ "type": "api_key", "in": "query", "name": "api key", "value": "${secret:env:KEY}" });

    let request =
        applied(settings, "https://x.example.com/?a[b]=x%20y&api+key=old&c&d=%7e#f").await;

    assert_eq!(request.url.query(), Some("a[b]=x%20y&c&d=%7e&api+key=k3y+v%2Bl%2Fue"));
}

#[tokio::test]
async fn i3_an_api_key_goes_in_a_cookie_beside_others() {
    let settings =
        json!({ "type": "api_key", "in": "cookie", "name": "SID", "value": "${secret:env:PLAIN}" });

    let request = applied(settings, "https://x.example.com/").await;

    assert_eq!(request.headers["cookie"], "a=1; SID=pl41n-key");
    assert!(request.headers["cookie"].is_sensitive());
}

#[tokio::test]
async fn i3_bearer_and_none() {
    let settings = json!({ "type": "bearer", "token": "${secret:env:PLAIN}" });
    let request = applied(settings, "https://x.example.com/").await;
    assert_eq!(request.headers["authorization"], "Bearer pl41n-key");

    let request = applied(json!({ "type": "none" }), "https://x.example.com/").await;
    assert!(request.headers.get("authorization").is_none());
}

#[rstest]
#[case::both("me", "${secret:env:PLAIN}", "Basic bWU6cGw0MW4ta2V5")]
#[case::no_password("${secret:env:PLAIN}", "", "Basic cGw0MW4ta2V5Og==")]
#[tokio::test]
async fn i3_basic_is_encoded_and_known_to_the_redactor(
    #[case] username: &str,
    #[case] password: &str,
    #[case] expected: &str,
) {
    let settings = json!({ "type": "basic", "username": username, "password": password });
    let (auth, vault) = build(settings, variables().vault(), &TestCalls::none());

    assert_eq!(authorization(&auth).await, expected);
    assert_eq!(vault.redactor().clean(expected), "Basic ***");
}

#[rstest]
#[case::header(json!({ "type": "api_key", "name": "X-Key", "value": "a${secret:env:BROKEN}" }), "in the header `x-key`: it has a line break")]
#[case::bearer(json!({ "type": "bearer", "token": "${secret:env:BROKEN}" }), "in the header `authorization`: it has a line break")]
#[case::cookie(json!({ "type": "api_key", "in": "cookie", "name": "SID", "value": "${secret:env:BROKEN}" }), "in the cookie `SID`: it has a blank, a line break")]
#[tokio::test]
async fn i3_a_value_that_cannot_be_sent_is_named_and_not_shown(
    #[case] settings: Value,
    #[case] says: &str,
) {
    let (auth, _) = build(settings, variables().vault(), &TestCalls::none());

    let error = auth.apply(&mut get("https://x.example.com/")).await.unwrap_err();

    let message = format!("{error}");
    assert!(message.starts_with("the value from `env:BROKEN` cannot be sent "), "{message}");
    assert!(message.contains(says) && !format!("{error:?}").contains("s3cr3t"), "{message}");
    assert_eq!(error.kind(), FaultKind::Config);
}

#[tokio::test]
async fn i3_a_user_name_has_no_colon() {
    let settings = json!({ "type": "basic", "username": "a:b", "password": "x" });
    let (auth, _) = build(settings, variables().vault(), &TestCalls::none());

    let error = auth.apply(&mut get("https://x.example.com/")).await.unwrap_err();

    assert!(error.to_string().contains("it has a colon"), "{error}");
}

#[rstest]
#[case(json!({ "type": "api_key", "name": "a b", "value": "v" }), "`auth.name` is not the name of a header")]
#[case(json!({ "type": "api_key", "in": "cookie", "name": "a;b", "value": "v" }), "`auth.name` is not the name of a cookie")]
#[case(json!({ "type": "api_key", "in": "query", "name": "", "value": "v" }), "`auth.name` is empty")]
fn i3_names_are_checked_before_anything_is_sent(#[case] settings: Value, #[case] says: &str) {
    let message = refused(settings);
    assert!(message.contains(says), "{message}");
}

#[tokio::test]
async fn i2_after_a_401_a_secret_is_read_once_more_and_compared() {
    let (variables, calls) = (variables(), TestCalls::none());
    let settings = json!({ "type": "bearer", "token": "${secret:env:PLAIN}" });
    let (auth, vault) = build(settings, variables.vault(), &calls);
    let mut request = get("https://x.example.com/");
    let first = auth.apply(&mut request).await.unwrap();

    assert!(!auth.renew(first).await.unwrap(), "it is the same");
    variables.set("PLAIN", "r0t4ted-key");
    assert!(!auth.renew(first).await.unwrap(), "it was read a moment ago");
    calls.pass(61);
    assert!(auth.renew(first).await.unwrap());
    variables.set("PLAIN", "f4r-too-new");
    assert!(auth.renew(first).await.unwrap(), "another request has renewed it");

    let second = auth.apply(&mut request).await.unwrap();
    assert!(second > first);
    assert_eq!(request.headers["authorization"], "Bearer r0t4ted-key");
    assert_eq!(vault.redactor().clean("r0t4ted-key"), "***");
}

#[tokio::test]
async fn i2_what_holds_no_secret_cannot_change() {
    for settings in [json!({ "type": "none" }), json!({ "type": "bearer", "token": "public" })] {
        let (auth, _) = build(settings, variables().vault(), &TestCalls::none());
        assert!(!auth.renew(Generation::default()).await.unwrap());
    }
}
