use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use serde_json::json;

use super::test_server::{Answer, Server, config, credentials, retries};
use super::{Client, Error, Fault, Service, xml_text};

fn refuses(status: u16, code: &str) -> Answer {
    Some((status, json!({"__type": code, "Message": "says why"}).to_string()))
}

/// Fails so often, then answers.
fn after(failures: usize, failure: impl Fn() -> Answer + Send + Sync + 'static) -> Server {
    let seen = AtomicUsize::new(0);
    Server::start(move |_| match seen.fetch_add(1, Ordering::Relaxed) < failures {
        true => failure(),
        false => Some((200, "{\"is\": \"there\"}".to_owned())),
    })
}

#[tokio::test]
async fn a_call_is_signed_for_service_and_region() {
    let server = Server::start(|_| Some((200, "{\"is\": \"there\"}".to_owned())));
    let answer = server.client().call(&Service::GLUE, "GetTable", &json!({"Name": "x"})).await;
    assert_eq!(answer.unwrap(), json!({"is": "there"}));
    let request = &server.requests()[0];
    assert_eq!((request.operation.as_str(), &request.body), ("GetTable", &json!({"Name": "x"})));
    let signature = &request.authorization;
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signature}");
    assert!(signature.contains("/eu-central-1/glue/aws4_request, SignedHeaders="), "{signature}");
    assert!(signature.contains("host;x-amz-date;x-amz-target"), "{signature}");
}

#[tokio::test]
async fn an_empty_answer_is_an_empty_object() {
    let server = Server::start(|_| Some((200, String::new())));
    let body = json!({"taskToken": "x"});
    let answer = server.client().call(&Service::STEP_FUNCTIONS, "SendTaskHeartbeat", &body).await;
    assert_eq!(answer.unwrap(), json!({}));
    assert!(server.requests()[0].authorization.contains("/states/aws4_request"));
}

#[tokio::test]
async fn a_query_is_a_form() {
    let server = Server::start(|_| Some((200, "<R><Account> 12 </Account></R>".to_owned())));
    let client = server.client();
    let answer = client.query(&Service::STS, "GetCallerIdentity", &[("x", "a b")]).await.unwrap();
    assert_eq!(xml_text(&answer, "Account"), Some("12"));
    assert_eq!(server.requests()[0].text, "Action=GetCallerIdentity&Version=2011-06-15&x=a+b");
}

#[tokio::test]
async fn throttling_faults_and_lost_connections_are_retried() {
    for failure in [
        || refuses(400, "ThrottlingException"),
        || refuses(500, "InternalServiceException"),
        || None,
    ] {
        let server = after(2, failure);
        let answer = server.client().call(&Service::GLUE, "GetTable", &json!({})).await;
        assert_eq!(answer.unwrap(), json!({"is": "there"}));
        assert_eq!(server.requests().len(), 3);
    }
}

#[tokio::test]
async fn retries_end() {
    let server = after(9, || refuses(400, "ThrottlingException"));
    let error = server.client().call(&Service::GLUE, "GetTable", &json!({})).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "calling `glue:GetTable` 3 times: `ThrottlingException`: says why"
    );
    assert_eq!((error.fault(), error.exit_code()), (Fault::Throttled, 75));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_refusal_is_not_retried() {
    let server = after(9, || refuses(400, "AccessDeniedException"));
    let error = server.client().call(&Service::GLUE, "CreateTable", &json!({})).await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDeniedException"));
    assert_eq!(error.exit_code(), 77);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn nobody_there_is_told_with_the_host() {
    let config = config("http://127.0.0.1:9", credentials("AKIDEXAMPLE"));
    let client = Client::with_config(config, retries());
    let error = client.call(&Service::GLUE, "GetTable", &json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), "calling `glue:GetTable` at 127.0.0.1 3 times");
    assert!(matches!(error, Error::Unreachable { .. }) && error.is_retryable());
}

#[tokio::test]
async fn no_credentials_and_no_region_are_told() {
    let nothing = SdkConfig::builder().endpoint_url("http://127.0.0.1:9").build();
    let client = Client::with_config(nothing, retries());
    let error = client.call(&Service::GLUE, "GetTable", &json!({})).await.unwrap_err();
    assert!(matches!(error, Error::NoRegion { .. }), "{error}");
    assert_eq!(error.exit_code(), 78);

    let server = Server::start(|_| None);
    let mut config = server.config().into_builder();
    config.set_credentials_provider(None);
    let client = Client::with_config(config.build(), retries());
    let error = client.call(&Service::GLUE, "GetTable", &json!({})).await.unwrap_err();
    assert!(matches!(error, Error::Credentials { .. }), "{error}");
    assert_eq!(error.exit_code(), 77);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn credentials_that_ended_are_renewed_once() {
    #[derive(Debug)]
    struct Rotating(Arc<AtomicUsize>);

    impl ProvideCredentials for Rotating {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            let found = Credentials::new(format!("KEY{number}"), "secret", None, None, "test");
            future::ProvideCredentials::ready(Ok(found))
        }
    }

    let server = Server::start(|request| match request.authorization.contains("KEY0") {
        true => refuses(400, "ExpiredTokenException"),
        false => Some((200, "{}".to_owned())),
    });
    let provider = SharedCredentialsProvider::new(Rotating(Arc::default()));
    let config = server.config().into_builder().credentials_provider(provider).build();
    let client = Client::with_config(config, retries());
    client.call(&Service::GLUE, "GetTable", &json!({})).await.unwrap();
    assert_eq!(server.requests().len(), 2);

    // Fixed credentials stay what they are, and are not tried again.
    let server = after(9, || refuses(400, "ExpiredTokenException"));
    let error = server.client().call(&Service::GLUE, "GetTable", &json!({})).await.unwrap_err();
    assert_eq!((error.exit_code(), server.requests().len()), (77, 1));
}
