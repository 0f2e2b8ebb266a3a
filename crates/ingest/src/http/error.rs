//! How requests fail, and whether another attempt may help (I7).

use http::{Method, StatusCode};

use super::TransportError;
use super::guard::Foreign;
use crate::auth::AuthError;
use crate::page::BodyFault;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It did not come whole.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It is not what it should be.
    #[error(transparent)]
    Fault(#[from] BodyFault),
    /// A record's cursor is none.
    #[error("the cursor `{path}` of record {number} of the page: {source}")]
    Cursor { number: u64, path: String, source: crate::cursor::CursorError },
    /// What was read could not be kept on this machine.
    #[error("cannot keep a page in the temporary folder")]
    Spool(#[source] std::io::Error),
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The answer says no for good.
    #[error("{method} {url}: the answer is {status}{}", excerpt(excerpt_text))]
    Refused { method: Method, url: String, status: StatusCode, excerpt_text: String },
    /// A rule of the source says that the run fails.
    #[error("{method} {url}: {message} (status {status}, by a rule of the source)")]
    Rule { method: Method, url: String, status: StatusCode, message: String },
    /// It failed as often as is tried.
    #[error("{method} {url} failed {num_attempts} times in {seconds} s; the last time: {last}")]
    Exhausted {
        method: Method,
        url: String,
        num_attempts: u32,
        seconds: u64,
        last: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The answer was lost, and the request must not be sent twice.
    #[error(
        "{method} {url}: {last}; it is not sent again, since it may have taken effect (`safe_to_retry: true` \
             says that it only asks)"
    )]
    NotRepeatable {
        method: Method,
        url: String,
        last: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The server wants a longer wait than is allowed.
    #[error(
        "{method} {url}: the server asks to wait {wait_seconds} s, longer than `retry.max_wait` \
             ({max_seconds} s)"
    )]
    LongWait { method: Method, url: String, wait_seconds: u64, max_seconds: u64 },
    /// A redirect leads elsewhere.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// Too many redirects, or one without a target.
    #[error("{method} {url}: {reason}")]
    Redirect { method: Method, url: String, reason: &'static str },
    /// The body is not what it should be.
    #[error("{method} {url}: the body of the answer cannot be read")]
    Body {
        method: Method,
        url: String,
        #[source]
        source: Box<ReadError>,
    },
    /// There is no way to the host.
    #[error(transparent)]
    Transport(TransportError),
    /// The credentials could not be had.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

pub(super) fn excerpt(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl SendError {
    /// Whether the same run may succeed later.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            SendError::Exhausted { .. }
            | SendError::LongWait { .. }
            | SendError::NotRepeatable { .. } => true,
            SendError::Auth(error) => error.is_retryable(),
            SendError::Transport(error) => error.is_transient(),
            _ => false,
        }
    }
}
