//! One request, its answer, and who sends it.

use std::error::Error;

/// Why a call got no answer.
pub type CallError = Box<dyn Error + Send + Sync>;

/// A request as it will be sent.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: http::Method,
    /// The whole URL, with its query.
    pub url: url::Url,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body, if there is one.
    pub body: Option<bytes::Bytes>,
}

/// What a server answered.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: http::StatusCode,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The whole body.
    pub body: bytes::Bytes,
}

/// Sends one request within the limits, time-outs and retries of the connection (token and login calls).
#[async_trait::async_trait]
pub trait Calls: Send + Sync {
    /// Sends the request and gives the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// No answer came.
    async fn call(&self, request: Request) -> Result<Answer, CallError>;

    /// What time it is.
    fn now(&self) -> jiff::Timestamp;
}
