//! The vault over AWS, which is a server on loopback here.

use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use rstest::rstest;
use serde_json::{Value, json};

use super::test_aws::{Call, TestAws, config_for};
use super::*;

fn reference(text: &str) -> SecretRef {
    text.parse().unwrap()
}

fn vault(aws: &TestAws) -> Arc<Vault> {
    Arc::new(Vault::new(Redactor::new()).with_aws(aws.config()))
}

fn secret(call: &Call) -> (u16, Value) {
    let text = r#"{ "a": "v4lue-a", "b": {"c": "v4lue-c"}, "n": 1.50 }"#;
    match call.operation.as_str() {
        "GetSecretValue" => (200, json!({ "Name": "x", "SecretString": text })),
        _ => (200, json!({})),
    }
}

#[tokio::test]
async fn i2_many_who_ask_for_keys_of_one_secret_make_one_fetch() {
    let aws = TestAws::start(secret).await;
    let vault = vault(&aws);
    let mut gets = Vec::new();
    for number in 0..20 {
        let vault = Arc::clone(&vault);
        let key = ["aws-sm://prod/x#a", "aws-sm://prod/x#b.c"][number % 2];
        gets.push(tokio::spawn(async move { vault.get(&reference(key)).await }));
    }
    for (number, get) in gets.into_iter().enumerate() {
        assert_eq!(get.await.unwrap().unwrap().expose(), ["v4lue-a", "v4lue-c"][number % 2]);
    }

    assert_eq!(aws.operations(), ["GetSecretValue"]);
    assert_eq!(aws.calls()[0].body, json!({ "SecretId": "prod/x" }));
}

#[tokio::test]
async fn i2_an_arn_is_asked_for_in_its_own_region() {
    let aws = TestAws::start(secret).await;
    let arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:prod/x-AbCdEf";

    vault(&aws).get(&reference(&format!("aws-sm://{arn}#a"))).await.unwrap();

    let [call] = aws.calls().try_into().unwrap();
    assert_eq!((call.region.as_str(), &call.body), ("us-west-2", &json!({ "SecretId": arn })));
}

#[tokio::test]
async fn i3_a_rotated_value_in_secrets_manager_keeps_the_other_keys() {
    let aws = TestAws::start(secret).await;
    let vault = vault(&aws);
    let key = reference("aws-sm://prod/x#b.c");

    vault.put(&key, &Secret::new("n3w-value")).await.unwrap();

    assert_eq!(aws.operations(), ["GetSecretValue", "PutSecretValue"]);
    let put = &aws.calls()[1].body;
    let text = r#"{ "a": "v4lue-a", "b": {"c": "n3w-value"}, "n": 1.50 }"#;
    assert_eq!(put["SecretString"], text);
    assert_eq!(put["SecretId"], "prod/x");
    assert_eq!(put["ClientRequestToken"].as_str().unwrap().len(), 36);
    assert_eq!(vault.get(&key).await.unwrap().expose(), "n3w-value");
    assert_eq!(vault.get(&reference("aws-sm://prod/x#a")).await.unwrap().expose(), "v4lue-a");
    assert_eq!(aws.operations().len(), 2);
}

#[tokio::test]
async fn i3_a_key_that_is_not_there_is_not_stored() {
    let aws = TestAws::start(secret).await;

    let put = vault(&aws).put(&reference("aws-sm://prod/x#z"), &Secret::new("n3w-value")).await;

    assert_eq!(put.unwrap_err().kind(), FaultKind::Missing);
    assert_eq!(aws.operations(), ["GetSecretValue"]);
}

fn parameter(call: &Call) -> (u16, Value) {
    match call.operation.as_str() {
        "GetParameter" => {
            (200, json!({ "Parameter": { "Name": "/prod/x", "Value": "0ld-value" } }))
        }
        "DescribeParameters" => {
            let old = json!({ "Name": "/prod/x", "KeyId": "alias/mine", "Tier": "Advanced" });
            (200, json!({ "Parameters": [old] }))
        }
        _ => (200, json!({ "Version": 2 })),
    }
}

#[tokio::test]
async fn i2_i3_a_parameter_is_decrypted_and_stored_under_its_own_key() {
    let aws = TestAws::start(parameter).await;
    let vault = vault(&aws);
    let name = reference("ssm:///prod/x");
    assert_eq!(vault.get(&name).await.unwrap().expose(), "0ld-value");

    vault.put(&name, &Secret::new("n3w-value")).await.unwrap();

    assert_eq!(aws.operations(), ["GetParameter", "DescribeParameters", "PutParameter"]);
    assert_eq!(aws.calls()[0].body, json!({ "Name": "/prod/x", "WithDecryption": true }));
    let expected = json!({
        "Name": "/prod/x", "Value": "n3w-value", "Type": "SecureString", "KeyId": "alias/mine",
        "Overwrite": true, "Tier": "Advanced",
    });
    assert_eq!(aws.calls()[2].body, expected);
    assert_eq!(vault.get(&name).await.unwrap().expose(), "n3w-value");
}

#[tokio::test]
async fn i3_a_parameter_that_may_not_be_described_is_stored_all_the_same() {
    let aws = TestAws::start(|call| match call.operation.as_str() {
        "DescribeParameters" => (400, json!({ "__type": "AccessDeniedException" })),
        _ => parameter(call),
    })
    .await;

    vault(&aws).put(&reference("ssm:///prod/x"), &Secret::new("n3w-value")).await.unwrap();

    let put = &aws.calls()[1].body;
    assert_eq!((&put["Type"], &put["KeyId"]), (&json!("SecureString"), &Value::Null));
}

#[rstest]
#[case::missing("ResourceNotFoundException", 400, FaultKind::Missing, false)]
#[case::denied("AccessDeniedException", 400, FaultKind::Credentials, false)]
#[case::slow("ThrottlingException", 400, FaultKind::Remote, true)]
#[case::down("InternalServiceError", 500, FaultKind::Remote, true)]
#[case::deleted("InvalidRequestException", 400, FaultKind::Config, false)]
#[tokio::test]
async fn i2_what_aws_refuses_is_named_by_its_code(
    #[case] code: &'static str,
    #[case] status: u16,
    #[case] kind: FaultKind,
    #[case] retryable: bool,
) {
    let answer = json!({ "__type": code, "message": "because", "Message": "because" });
    let aws = TestAws::start(move |_| (status, answer.clone())).await;

    let error = vault(&aws).get(&reference("aws-sm://prod/x#a")).await.unwrap_err();

    assert_eq!(error.to_string(), "reading the secret `aws-sm://prod/x#a`");
    let SecretError::Aws { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), format!("`{code}`: because"));
    assert_eq!((error.kind(), error.is_retryable()), (kind, retryable));
}

#[tokio::test]
async fn i2_a_failure_is_not_kept() {
    let aws = TestAws::start(|_| (500, json!({ "__type": "InternalServiceError" }))).await;
    let vault = vault(&aws);

    assert!(vault.get(&reference("aws-sm://x")).await.is_err());
    assert!(vault.get(&reference("aws-sm://x")).await.is_err());

    assert_eq!(aws.operations().len(), 2);
}

#[tokio::test]
async fn i2_binary_secrets_are_no_text() {
    let aws = TestAws::start(|_| (200, json!({ "SecretBinary": "czNjcjN0" }))).await;

    let error = vault(&aws).get(&reference("aws-sm://x")).await.unwrap_err();

    assert_eq!(error.to_string(), "reading the secret `aws-sm://x`: it is no UTF-8 text");
}

#[tokio::test]
async fn i2_a_broken_answer_shows_nothing_of_itself() {
    let aws = TestAws::start(|_| (200, json!({ "SecretString": ["s3cr3t-s3cr3t"] }))).await;

    let error = vault(&aws).get(&reference("aws-sm://x")).await.unwrap_err();

    let shown = format!("{error:?} {error} {}", std::error::Error::source(&error).unwrap());
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert_eq!(error.kind(), FaultKind::Remote);
}

#[tokio::test]
async fn i2_a_server_that_is_not_there_is_the_other_sides_fault() {
    let vault = Vault::new(Redactor::new()).with_aws(config_for("http://127.0.0.1:1"));

    let error = vault.get(&reference("ssm://x")).await.unwrap_err();

    assert_eq!((error.kind(), error.is_retryable()), (FaultKind::Remote, true), "{error:?}");
}

#[tokio::test]
async fn i2_without_a_region_the_settings_are_at_fault() {
    let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
    let vault = Vault::new(Redactor::new()).with_aws(config);

    let error = vault.get(&reference("aws-sm://x")).await.unwrap_err();

    assert!(error.to_string().contains("no AWS region is set; set `AWS_REGION`"), "{error}");
    assert_eq!(error.kind(), FaultKind::Config);
}

#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let none: Result<Credentials, _> = Err(CredentialsError::not_loaded_no_source());
        future::ProvideCredentials::ready(none)
    }
}

#[tokio::test]
async fn i2_without_credentials_it_is_said_that_there_are_none() {
    let config = config_for("http://127.0.0.1:1").into_builder();
    let config = config.credentials_provider(SharedCredentialsProvider::new(NoCredentials)).build();
    let vault = Vault::new(Redactor::new()).with_aws(config);

    let error = vault.get(&reference("aws-sm://x")).await.unwrap_err();

    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("no AWS credentials were found"), "{source}");
    assert_eq!((error.kind(), error.is_retryable()), (FaultKind::Credentials, false));
}
