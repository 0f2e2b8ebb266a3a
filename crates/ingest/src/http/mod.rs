//! 1 · Request → answer: one attempt, and what becomes of it.
//!
//! ```text
//!   Request ──▶ sender.rs   attempts, waits, redirects, 401     (I7, I9)
//!                 │  ├─ limiter.rs    when the next may go      (I8); clock.rs
//!                 │  ├─ verdict.rs    what an answer means      (I7); error.rs
//!                 │  └─ auth/         who sends it              (I3)
//!                 │       └─ calls.rs   tokens and logins, by the same limits
//!                 ▼
//!              Transport ── live.rs      reqwest; guard.rs: which hosts and addresses
//!                        └─ recorded.rs  a folder of answers, for `ingest test` and `run --record`
//! ```

mod calls;
pub(crate) mod clock;
mod error;
mod guard;
mod limiter;
mod live;
mod recorded;
mod request;
mod sender;
mod verdict;

pub(crate) use calls::CallsOf;
pub use clock::{Clock, SystemClock};
pub(crate) use error::{ReadError, SendError};
pub(crate) use guard::{Guard, without_query};
pub(crate) use limiter::Limiter;
pub(crate) use live::Live;
pub(crate) use recorded::{Recorder, Replay};
pub use request::{Answer, CallError, Calls, Request};
pub(crate) use sender::{AnswerHead, Delivery, Reader, Sender, Totals};
use verdict::{Verdict, retry_after};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// An answer whose body is still to come.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Box<dyn Body>,
}

/// A body that comes piece by piece.
#[async_trait]
pub(crate) trait Body: Send {
    /// The next piece, `None` at the end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError>;
}

/// Whoever carries requests.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    /// Sends a request and gives the head of the answer.
    async fn send(&self, request: &Request) -> Result<Response, TransportError>;

    /// As [`Transport::send`], of a token's or login's request: its answer holds what nobody knows yet as a
    /// secret.
    async fn send_call(&self, request: &Request) -> Result<Response, TransportError> {
        self.send(request).await
    }
}

/// Why no answer, or no whole answer, came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// The connection could not be made; nothing was sent.
    #[error("no connection to `{host}`")]
    Connect {
        host: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The host is one that the source must not reach (I9).
    #[error(
        "`{host}` has the address {address}, of a private network or of this machine: \
             `connection.allow_private_networks: true` allows them"
    )]
    PrivateAddress { host: String, address: std::net::IpAddr },
    /// It took too long.
    #[error("no answer from `{host}` within {} s ({what})", seconds)]
    Timeout { host: String, what: &'static str, seconds: u64 },
    /// The connection broke.
    #[error("the connection to `{host}` broke")]
    Broken {
        host: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A recorded folder has no such answer.
    #[error("no recorded answer to {method} {url} in `{folder}`")]
    NotRecorded { method: String, url: String, folder: String },
    /// A recorded folder cannot be read or written.
    #[error("the recorded answers in `{file}` cannot be used")]
    Recording {
        file: String,
        #[source]
        source: std::io::Error,
    },
}

impl TransportError {
    /// Whether nothing of the request had been sent.
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(self, TransportError::Connect { .. })
    }

    /// Whether another attempt may go better.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self,
            TransportError::Connect { .. }
                | TransportError::Timeout { .. }
                | TransportError::Broken { .. }
        )
    }
}
