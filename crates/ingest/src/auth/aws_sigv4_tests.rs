//! Signatures, by the vectors that AWS publishes with its own signer, and the life of credentials.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use rstest::rstest;
use serde_json::json;

use super::test_calls::{TestCalls, Variables, build, get};
use super::*;
use crate::secrets::FaultKind;
use crate::secrets::test_aws::{config_for, credentials};

/// Gives credentials from a list, the last again and again.
#[derive(Debug)]
struct Given(Mutex<Vec<Credentials>>);

impl ProvideCredentials for Given {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let mut given = self.0.lock().unwrap();
        future::ProvideCredentials::ready(match given.len() {
            0 => Err(CredentialsError::not_loaded_no_source()),
            1 => Ok(given[0].clone()),
            _ => Ok(given.remove(0)),
        })
    }
}

fn signer(
    service: &str,
    given: Vec<Credentials>,
) -> (Arc<dyn Authenticator>, Arc<Vault>, Arc<TestCalls>) {
    let provider = SharedCredentialsProvider::new(Given(Mutex::new(given)));
    let config = config_for("http://127.0.0.1:1").into_builder().credentials_provider(provider);
    let settings = json!({ "type": "aws_sigv4", "service": service, "region": "us-east-1" });
    let calls = TestCalls::none();
    let vault = Variables::default().vault().with_aws(config.build());
    let (auth, vault) = build(settings, vault, &calls);
    (auth, vault, calls)
}

/// <https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4>
#[rstest]
#[case::get_vanilla(
    "GET",
    "https://example.amazonaws.com/",
    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
)]
#[case::get_vanilla_query_order_key_case(
    "GET",
    "https://example.amazonaws.com/?Param2=value2&Param1=value1",
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
)]
#[case::post_vanilla(
    "POST",
    "https://example.amazonaws.com/",
    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
)]
#[tokio::test]
async fn i3_signatures_are_those_that_aws_publishes(
    #[case] method: &str,
    #[case] url: &str,
    #[case] signature: &str,
) {
    let (auth, _, _) = signer("service", vec![credentials(None)]);
    let mut request = get(url);
    request.method = method.parse().unwrap();

    // Twice: what the first attempt left is not signed along.
    auth.apply(&mut request).await.unwrap();
    auth.apply(&mut request).await.unwrap();

    let expected = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}"
    );
    assert_eq!(request.headers["authorization"], expected);
    assert!(request.headers["authorization"].is_sensitive());
    assert_eq!(request.headers["x-amz-date"], "20150830T123600Z");
}

#[tokio::test]
async fn i3_headers_body_and_session_token_are_signed() {
    let (auth, vault, _) = signer("execute-api", vec![credentials(Some("s3ssion-token"))]);
    let mut request = get("https://example.amazonaws.com/a?q=a+b#part");
    request.headers.insert("x-own", "1".parse().unwrap());
    auth.apply(&mut request).await.unwrap();
    let empty = request.headers["authorization"].clone();
    request.body = Some("{}".into());

    auth.apply(&mut request).await.unwrap();

    let signed = request.headers["authorization"].to_str().unwrap();
    assert!(
        signed.contains("SignedHeaders=host;x-amz-date;x-amz-security-token;x-own"),
        "{signed}"
    );
    assert_ne!(request.headers["authorization"], empty);
    assert_eq!(request.headers["x-amz-security-token"], "s3ssion-token");
    assert!(request.headers["x-amz-security-token"].is_sensitive());
    assert_eq!(request.url.as_str(), "https://example.amazonaws.com/a?q=a%20b");
    assert_eq!(vault.redactor().clean("s3ssion-token"), "***");
}

#[rstest]
#[case("s3", true)]
#[case("aoss", true)]
#[case("execute-api", false)]
#[tokio::test]
async fn i3_some_services_want_the_hash_of_the_body(#[case] service: &str, #[case] hash: bool) {
    let (auth, _, _) = signer(service, vec![credentials(None)]);
    let mut request = get("https://example.amazonaws.com/");

    auth.apply(&mut request).await.unwrap();

    assert_eq!(request.headers.contains_key("x-amz-content-sha256"), hash);
}

fn ending(token: &str, calls: &TestCalls, seconds: u64) -> Credentials {
    let mut credentials = credentials(Some(token));
    let now = SystemTime::from(crate::http::Calls::now(calls));
    *credentials.expiry_mut() = Some(now + Duration::from_secs(seconds));
    credentials
}

#[tokio::test]
async fn i3_credentials_are_fetched_anew_before_they_end() {
    let calls = TestCalls::none();
    let given = vec![ending("t0k3n-0", &calls, 600), ending("t0k3n-1", &calls, 6000)];
    let (auth, _, calls) = signer("service", given);
    let mut request = get("https://example.amazonaws.com/");
    for (seconds, token) in [(539, "t0k3n-0"), (1, "t0k3n-1")] {
        auth.apply(&mut request).await.unwrap();
        calls.pass(seconds);
        auth.apply(&mut request).await.unwrap();
        assert_eq!(request.headers["x-amz-security-token"], token);
    }
}

#[tokio::test]
async fn i3_a_401_fetches_credentials_once_and_compares_them() {
    let (auth, _, _) = signer("service", vec![credentials(None)]);
    let same = auth.apply(&mut get("https://example.amazonaws.com/")).await.unwrap();
    assert!(!auth.renew(same).await.unwrap());
    assert!(!auth.renew(same).await.unwrap());

    let given = ["t0k3n-0", "t0k3n-1", "t0k3n-2"].map(|token| credentials(Some(token)));
    let (auth, _, _) = signer("service", given.to_vec());
    let mut request = get("https://example.amazonaws.com/");
    let first = auth.apply(&mut request).await.unwrap();
    assert!(auth.renew(first).await.unwrap());
    assert!(auth.renew(first).await.unwrap());
    auth.apply(&mut request).await.unwrap();
    assert_eq!(request.headers["x-amz-security-token"], "t0k3n-1");
}

#[tokio::test]
async fn i3_without_credentials_it_is_said_that_there_are_none() {
    let (auth, _, _) = signer("service", Vec::new());

    let error = auth.apply(&mut get("https://example.amazonaws.com/")).await.unwrap_err();

    assert_eq!(error.to_string(), "finding AWS credentials to sign requests");
    assert_eq!(error.kind(), FaultKind::Credentials);
}
