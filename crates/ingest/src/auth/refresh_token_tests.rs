//! OAuth 2 refresh tokens: a rotated one is stored before the access token is used.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::test_calls::{TestCalls, Variables, answer, authorization, build, get, refused};
use super::*;
use crate::secrets::FaultKind;

fn settings(refresh_token: &str) -> Value {
    json!({
        "type": "oauth2_refresh_token", "token_url": "https://id.example.com/token",
        "client_id": "me", "refresh_token": refresh_token,
    })
}

/// A folder with a file that holds the first refresh token.
fn stored() -> (tempfile::TempDir, PathBuf, Vault) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    fs::write(&path, r#"{"user":"u","refresh":"r3fr3sh-start"}"#).unwrap();
    let vault = Variables::new(&[("R", "r3fr3sh-start")]).vault().with_folder(folder.path());
    (folder, path, vault)
}

const IN_FILE: &str = "${secret:file:x.json#refresh}";

/// A server that takes each refresh token once.
fn rotating() -> Arc<TestCalls> {
    let spent = std::sync::Mutex::new(Vec::<String>::new());
    TestCalls::new(move |number, body| {
        let mut spent = spent.lock().unwrap();
        if spent.contains(&body.to_owned()) {
            return answer(400, json!({ "error": "invalid_grant" }));
        }
        spent.push(body.to_owned());
        answer(
            200,
            json!({
                "access_token": format!("t0k3n-{number}"), "expires_in": 600,
                "refresh_token": format!("r3fr3sh-{number}"),
            }),
        )
    })
}

fn form(refresh: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={refresh}&client_id=me")
}

#[tokio::test]
async fn i3_a_rotated_refresh_token_is_stored_and_used_next_time() {
    let (_folder, path, vault) = stored();
    let calls = rotating();
    let (auth, vault) = build(settings(IN_FILE), vault, &calls);

    assert_eq!(authorization(&auth).await, "Bearer t0k3n-0");
    assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"user":"u","refresh":"r3fr3sh-0"}"#);
    calls.pass(540);
    assert_eq!(authorization(&auth).await, "Bearer t0k3n-1");
    assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"user":"u","refresh":"r3fr3sh-1"}"#);

    assert_eq!(calls.bodies(), [form("r3fr3sh-start"), form("r3fr3sh-0")]);
    assert_eq!(vault.redactor().clean("r3fr3sh-1 t0k3n-1"), "*** ***");
}

#[tokio::test]
async fn i3_no_request_gets_the_access_token_before_the_refresh_token_is_stored() {
    let (folder, path, vault) = stored();
    let moved = folder.path().join("moved.json");
    let (from, to) = (path.clone(), moved.clone());
    let calls = TestCalls::new(move |_, _| {
        // Read it has been; storing will fail.
        fs::rename(&from, &to).unwrap();
        answer(200, json!({ "access_token": "t0k3n", "refresh_token": "r3fr3sh-new" }))
    });
    let (auth, _) = build(settings(IN_FILE), vault, &calls);
    let mut request = get("https://x.example.com/");

    let error = auth.apply(&mut request).await.unwrap_err();

    assert!(request.headers.is_empty());
    let message = error.to_string();
    let expected = "the server gave a new refresh token that could not be stored in `file:x.json#refresh`: the one there may be spent, and the new one is lost when this run ends";
    assert!(message.starts_with(expected) && !message.contains("r3fr3sh-new"), "{message}");
    assert_eq!((error.kind(), error.is_retryable()), (FaultKind::Missing, false));

    // The next request stores it first, and asks the server nothing.
    fs::rename(&moved, &path).unwrap();
    assert_eq!(authorization(&auth).await, "Bearer t0k3n");
    assert_eq!(calls.sent().len(), 1);
    assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"user":"u","refresh":"r3fr3sh-new"}"#);
}

#[tokio::test]
async fn i3_a_refresh_token_in_a_variable_works_until_it_is_rotated() {
    let (_folder, _, vault) = stored();
    let calls = TestCalls::new(|number, _| match number {
        // The same one again is no rotation.
        0 => answer(
            200,
            json!({ "access_token": "t0k3n-0", "expires_in": 600, "refresh_token": "r3fr3sh-start" }),
        ),
        1 => answer(200, json!({ "access_token": "t0k3n-1", "expires_in": 600 })),
        _ => answer(200, json!({ "access_token": "t0k3n-2", "refresh_token": "r3fr3sh-new" })),
    });
    let (auth, _) = build(settings("${secret:env:R}"), vault, &calls);
    assert_eq!(authorization(&auth).await, "Bearer t0k3n-0");
    calls.pass(540);
    assert_eq!(authorization(&auth).await, "Bearer t0k3n-1");
    calls.pass(540);

    let error = auth.apply(&mut get("https://x.example.com/")).await.unwrap_err();

    assert!(error.to_string().contains("could not be stored in `env:R`"), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("an environment variable cannot be stored"), "{source}");
    assert_eq!(error.kind(), FaultKind::Config);
}

#[tokio::test]
async fn i3_requests_at_the_same_time_spend_one_refresh_token() {
    let (_folder, _, vault) = stored();
    let calls = rotating();
    let (auth, _) = build(settings(IN_FILE), vault, &calls);
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

#[tokio::test]
async fn i3_a_request_that_is_given_up_does_not_lose_a_rotated_token() {
    let (_folder, path, vault) = stored();
    let calls = rotating();
    let (auth, _) = build(settings(IN_FILE), vault, &calls);
    let waiting = tokio::spawn({
        let auth = Arc::clone(&auth);
        async move { authorization(&auth).await }
    });
    while calls.sent().is_empty() {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    assert!(waiting.await.is_err());

    assert_eq!(authorization(&auth).await, "Bearer t0k3n-0");
    assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"user":"u","refresh":"r3fr3sh-0"}"#);
    assert_eq!(calls.sent().len(), 1);
}

#[tokio::test]
async fn i3_a_token_that_another_run_has_rotated_is_found() {
    let (_folder, path, vault) = stored();
    let other = path.clone();
    let calls = TestCalls::new(move |number, _| match number {
        // Between the reading and the call, another run was faster.
        0 => {
            fs::write(&other, r#"{"refresh":"r3fr3sh-other"}"#).unwrap();
            answer(400, json!({ "error": "invalid_grant" }))
        }
        _ => answer(200, json!({ "access_token": format!("t0k3n-{number}"), "expires_in": 600 })),
    });
    let (auth, _) = build(settings(IN_FILE), vault, &calls);

    assert_eq!(authorization(&auth).await, "Bearer t0k3n-1");
    calls.pass(540);
    fs::write(&path, r#"{"refresh":"r3fr3sh-later"}"#).unwrap();
    assert_eq!(authorization(&auth).await, "Bearer t0k3n-2");

    let sent = ["r3fr3sh-start", "r3fr3sh-other", "r3fr3sh-later"].map(form);
    assert_eq!(calls.bodies(), sent);
}

#[tokio::test]
async fn i3_a_spent_refresh_token_is_a_fault_of_the_credentials() {
    let (_folder, _, vault) = stored();
    let calls = TestCalls::new(|_, _| answer(400, json!({ "error": "invalid_grant" })));
    let (auth, _) = build(settings(IN_FILE), vault, &calls);

    let error = auth.apply(&mut get("https://x.example.com/")).await.unwrap_err();

    assert_eq!((error.kind(), error.is_retryable()), (FaultKind::Credentials, false));
    assert_eq!(calls.sent().len(), 1);
}

#[tokio::test]
async fn i3_a_401_fetches_one_new_token() {
    let (_folder, _, vault) = stored();
    let calls = rotating();
    let (auth, _) = build(settings(IN_FILE), vault, &calls);
    let generation = auth.apply(&mut get("https://x.example.com/")).await.unwrap();

    assert!(auth.renew(generation).await.unwrap());
    assert_eq!(authorization(&auth).await, "Bearer t0k3n-1");
    assert!(auth.renew(generation).await.unwrap());
    assert_eq!(authorization(&auth).await, "Bearer t0k3n-1");
}

#[test]
fn i3_a_refresh_token_has_to_be_one_reference() {
    for text in ["r3fr3sh-plain", "x${secret:env:R}"] {
        let message = refused(settings(text));
        assert!(message.contains("`auth.refresh_token` has to be one reference"), "{message}");
        assert!(!message.contains("r3fr3sh-plain"), "{message}");
    }
}
