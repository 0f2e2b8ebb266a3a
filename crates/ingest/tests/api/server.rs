//! An API on this machine: a closure answers, and every request is kept.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A request as it was received.
#[derive(Debug, Clone)]
pub struct Request {
    /// How many came before.
    pub number: usize,
    pub method: String,
    pub path: String,
    /// The query as it was written.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Instant,
}

impl Request {
    pub fn params(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.query.as_bytes()).into_owned().collect()
    }

    pub fn param(&self, name: &str) -> Option<String> {
        self.params().into_iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn form(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(&self.body);
        pairs.find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    chunks: Vec<Bytes>,
    /// Before the head.
    delay: Duration,
    /// Before each chunk but the first.
    pause: Duration,
    /// The connection ends before the body does.
    is_broken: bool,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            chunks: Vec::new(),
            delay: Duration::ZERO,
            pause: Duration::ZERO,
            is_broken: false,
        }
    }

    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self { chunks: vec![body.into()], ..Self::status(200) }
    }

    pub fn json(value: &serde_json::Value) -> Self {
        Self::bytes(value.to_string()).header("content-type", "application/json")
    }

    pub fn redirect(status: u16, to: &str) -> Self {
        Self::status(status).header("location", to)
    }

    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The chunks, one after each pause.
    #[must_use]
    pub fn chunks(mut self, chunks: Vec<Bytes>, pause: Duration) -> Self {
        (self.chunks, self.pause) = (chunks, pause);
        self
    }

    /// As if the server died behind what it has sent: `Content-Length` promises more.
    #[must_use]
    pub fn broken(mut self) -> Self {
        let length: usize = self.chunks.iter().map(Bytes::len).sum();
        self.is_broken = true;
        self.header("content-length", &(length + 1000).to_string())
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server, which ends when it is dropped.
pub struct Server {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    accepting: AbortHandle,
}

impl Server {
    pub async fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (handler, log): (Arc<Handler>, _) = (Arc::new(handler), requests.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (handler, log) = (handler.clone(), log.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(request, &*handler, &log));
                    // A connection that breaks is what some tests ask for.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, requests, accepting: accepting.abort_handle() }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The values of a query parameter, request by request.
    pub fn params(&self, name: &str) -> Vec<Option<String>> {
        self.requests().iter().map(|request| request.param(name)).collect()
    }

    pub fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.path).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    handler: &Handler,
    log: &Mutex<Vec<Request>>,
) -> Result<hyper::Response<Chunks>, Infallible> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let body = whole(body).await;
    let received = {
        let mut log = log.lock().unwrap();
        let received = Request {
            number: log.len(),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body,
            at,
        };
        log.push(received.clone());
        received
    };
    let reply = handler(&received);
    tokio::time::sleep(reply.delay).await;
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    let chunks = reply.chunks.into_iter();
    let body = Chunks { chunks, pause: reply.pause, wait: None, is_broken: reply.is_broken };
    Ok(response.body(body).unwrap())
}

async fn whole(mut body: Incoming) -> Bytes {
    let mut bytes = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.unwrap().into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    bytes.freeze()
}

struct Chunks {
    chunks: std::vec::IntoIter<Bytes>,
    pause: Duration,
    wait: Option<Pin<Box<tokio::time::Sleep>>>,
    is_broken: bool,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(wait) = &mut self.wait {
            std::task::ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        match self.chunks.next() {
            Some(chunk) => {
                if !self.pause.is_zero() || self.is_broken {
                    // What was sent before the break must arrive before it.
                    let pause = self.pause.max(Duration::from_millis(5));
                    self.wait = Some(Box::pin(tokio::time::sleep(pause)));
                }
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            None if self.is_broken => Poll::Ready(Some(Err(std::io::ErrorKind::Other.into()))),
            None => Poll::Ready(None),
        }
    }
}
