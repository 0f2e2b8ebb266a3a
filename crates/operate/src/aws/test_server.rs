//! A server on loopback that answers as a service of AWS would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::Value;

use super::{Client, Retries};

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `GetTable`, or the body's first field for a form.
    pub(crate) operation: String,
    /// The header of the signature.
    pub(crate) authorization: String,
    /// `null` for what is no JSON.
    pub(crate) body: Value,
    pub(crate) text: String,
}

/// Status and body of an answer; `None` closes the connection.
pub(crate) type Answer = Option<(u16, String)>;

pub(crate) struct Server {
    endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// A server with `answer` for each request.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::default());
        let (answer, seen) = (Arc::new(answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream.unwrap(), &seen, answer.as_ref()));
            }
        });
        Self { endpoint, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The names of the operations, in order.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.operation).collect()
    }

    pub(crate) fn client(&self) -> Client {
        Client::with_config(config(&self.endpoint, credentials("AKIDEXAMPLE")), retries())
    }

    pub(crate) fn config(&self) -> SdkConfig {
        config(&self.endpoint, credentials("AKIDEXAMPLE"))
    }
}

/// Without waits.
pub(crate) fn retries() -> Retries {
    Retries { max_attempts: 3, backoff: Duration::ZERO, ..Retries::default() }
}

pub(crate) fn config(endpoint: &str, credentials: SharedCredentialsProvider) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("eu-central-1"))
        .credentials_provider(credentials)
        .build()
}

pub(crate) fn credentials(key: &str) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new(key, "secret", None, None, "test"))
}

fn serve(
    stream: TcpStream,
    requests: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Answer + Send + Sync),
) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut operation, mut authorization, mut size) = (String::new(), String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).unwrap_or_default() == 0 {
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
                "authorization" => authorization = value.trim().to_owned(),
                "content-length" => size = value.trim().parse().unwrap(),
                _ => {}
            }
        }
        let mut bytes = vec![0; size];
        stream.read_exact(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        if operation.is_empty() {
            operation = text.split('&').next().unwrap_or_default().to_owned();
        }
        let body = serde_json::from_str(&text).unwrap_or_default();
        let request = Request { operation, authorization, body, text };
        requests.lock().unwrap().push(request.clone());
        let Some((status, body)) = answer(&request) else {
            return;
        };
        let size = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {size}\r\n\r\n");
        stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
    }
}
