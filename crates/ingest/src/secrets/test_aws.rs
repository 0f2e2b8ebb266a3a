//! A server that speaks AWS's JSON protocol on loopback, for tests.

use std::sync::{Arc, Mutex};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

type Handler = Arc<dyn Fn(&Call) -> (u16, Value) + Send + Sync>;

/// A call as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// `GetSecretValue`, …
    pub(crate) operation: String,
    /// The region of the signature.
    pub(crate) region: String,
    pub(crate) body: Value,
}

/// The server, and what it was asked.
pub(crate) struct TestAws {
    endpoint: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl TestAws {
    pub(crate) async fn start(
        answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer): (_, Handler) = (Arc::clone(&calls), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&answer)));
            }
        });
        Self { endpoint, calls }
    }

    pub(crate) fn config(&self) -> SdkConfig {
        config_for(&self.endpoint)
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The names of the operations, in order.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.operation).collect()
    }
}

pub(crate) fn config_for(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials(None)))
        .retry_config(RetryConfig::disabled())
        .build()
}

pub(crate) fn credentials(token: Option<&str>) -> Credentials {
    let mut builder = Credentials::builder()
        .access_key_id("AKIDEXAMPLE")
        .secret_access_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
        .provider_name("test");
    builder.set_session_token(token.map(str::to_owned));
    builder.build()
}

async fn serve(stream: TcpStream, calls: Arc<Mutex<Vec<Call>>>, answer: Handler) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut operation, mut region, mut size) = (String::new(), String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or_default() == 0 {
                return;
            }
            let Some((name, value)) = line.trim().split_once(':') else {
                if line.trim().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "x-amz-target" => operation = value.rsplit('.').next().unwrap().to_owned(),
                "authorization" => region = value.split('/').nth(2).unwrap().to_owned(),
                "content-length" => size = value.trim().parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; size];
        stream.read_exact(&mut body).await.unwrap();
        let call = Call { operation, region, body: serde_json::from_slice(&body).unwrap() };
        calls.lock().unwrap().push(call.clone());
        let (status, body) = answer(&call);
        let body = body.to_string();
        let size = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {size}\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }
}
