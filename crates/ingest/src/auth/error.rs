//! How credentials fail: which setting or call it was, whose fault it is, whether a retry can help.

use crate::http::CallError;
use crate::secrets::{AwsFailure, FaultKind, JsonKeyError, SecretError};

use super::text::TextError;

/// Why a request has no credentials. Messages carry names, addresses and what a server said of its own
/// accord, redacted; never values, and never the request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// A secret could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),

    /// A setting that cannot be used.
    #[error("the setting `auth.{setting}` {reason}")]
    Setting {
        /// Its path below `auth`.
        setting: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A text in the settings that cannot be understood.
    #[error("the setting `auth.{setting}` cannot be understood")]
    Text {
        /// Its path below `auth`.
        setting: String,
        /// What is wrong with it.
        source: TextError,
    },

    /// A value that cannot be sent. Nothing of it shows.
    #[error("the value from {origin} cannot be sent {place}: {reason}")]
    Unsendable {
        /// Where it came from: references or the call that gave it.
        origin: String,
        /// In which header, cookie or pair.
        place: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// No answer came.
    #[error("{doing} `{endpoint}`")]
    Call {
        /// `fetching a token from`, `logging in at`.
        doing: &'static str,
        /// Where, without query.
        endpoint: String,
        /// Why.
        source: CallError,
    },

    /// The server answered, and gave nothing.
    #[error("{doing} `{endpoint}`: the server answered {status}{said}")]
    Refused {
        /// `fetching a token from`, `logging in at`.
        doing: &'static str,
        /// Where, without query.
        endpoint: String,
        /// The status.
        status: http::StatusCode,
        /// The `error` of OAuth, if there is one.
        error: Option<String>,
        /// What the server says about it, redacted.
        said: String,
    },

    /// The answer is a success that has no token where it should be.
    #[error("{doing} `{endpoint}`: the answer has no token in {place}")]
    NoToken {
        /// `fetching a token from`, `logging in at`.
        doing: &'static str,
        /// Where, without query.
        endpoint: String,
        /// Where the token should be.
        place: String,
        /// What is wrong with the answer.
        source: Option<JsonKeyError>,
    },

    /// A rotated refresh token that is lost.
    #[error(
        "the server gave a new refresh token that could not be stored in `{reference}`: the one there may be spent, and the new one is lost when this run ends; if the next run is refused, the user has to agree anew"
    )]
    NotStored {
        /// Where it should be.
        reference: String,
        /// Why it is not.
        source: SecretError,
    },

    /// No credentials for AWS.
    #[error("finding AWS credentials to sign requests")]
    AwsCredentials {
        /// Why.
        source: AwsFailure,
    },

    /// No region to sign for.
    #[error("no AWS region to sign requests for: set `auth.region` or `AWS_REGION`")]
    NoRegion,

    /// A request that cannot be signed.
    #[error("signing a request for `{service}`")]
    Sign {
        /// The service.
        service: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The task that fetched a token died, or the runtime was shut down.
    #[error("fetching a token from `{endpoint}`: the work was interrupted")]
    Interrupted {
        /// Where, without query.
        endpoint: String,
        /// What the runtime says.
        source: tokio::task::JoinError,
    },
}

impl AuthError {
    /// What has to change before it works.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Secret(source) | Self::NotStored { source, .. } => source.kind(),
            Self::AwsCredentials { source } => source.kind(),
            Self::Setting { .. }
            | Self::Text { .. }
            | Self::Unsendable { .. }
            | Self::NoRegion
            | Self::Sign { .. } => FaultKind::Config,
            Self::Refused { status, error, .. } => refusal_kind(*status, error.as_deref()),
            Self::Call { .. } | Self::NoToken { .. } | Self::Interrupted { .. } => {
                FaultKind::Remote
            }
        }
    }

    /// Whether the same call may succeed later, with nothing changed by hand.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Secret(source) => source.is_retryable(),
            Self::AwsCredentials { source } => source.is_retryable(),
            Self::Call { .. } => true,
            Self::Refused { status, .. } => is_passing(*status),
            _ => false,
        }
    }

    pub(super) fn setting(setting: impl Into<String>, reason: &'static str) -> Self {
        Self::Setting { setting: setting.into(), reason }
    }
}

fn is_passing(status: http::StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// The errors are those of RFC 6749, section 5.2.
fn refusal_kind(status: http::StatusCode, error: Option<&str>) -> FaultKind {
    match (error, status.as_u16()) {
        _ if is_passing(status) => FaultKind::Remote,
        (Some("invalid_client" | "invalid_grant" | "unauthorized_client" | "access_denied"), _) => {
            FaultKind::Credentials
        }
        (Some("invalid_scope" | "invalid_request" | "unsupported_grant_type"), _) => {
            FaultKind::Config
        }
        (_, 401 | 403) => FaultKind::Credentials,
        (_, 300..=499) => FaultKind::Config,
        _ => FaultKind::Remote,
    }
}
