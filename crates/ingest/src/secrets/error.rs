//! How reading or storing a secret fails: where it is, whose fault it is, whether a retry can help.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};

use super::json_key::JsonKeyError;
use crate::error::find_cause;

/// What has to change before it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The settings: the source file, the environment, the region.
    Config,
    /// Credentials are missing, wrong, expired or do not reach far enough.
    Credentials,
    /// What was named is not there.
    Missing,
    /// The other side, or the way to it.
    Remote,
}

/// Why a secret could not be read or stored. Messages carry references and names of keys, never values.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// An environment variable that is not set.
    #[error("reading the secret `{reference}`: the variable is not set")]
    Unset {
        /// The reference.
        reference: String,
    },

    /// There, but with nothing in it. An empty secret is a mistake; an empty text needs no reference.
    #[error("reading the secret `{reference}`: it is empty")]
    Empty {
        /// The reference.
        reference: String,
    },

    /// Bytes that are no text.
    #[error("reading the secret `{reference}`: it is no UTF-8 text")]
    NotText {
        /// The reference.
        reference: String,
    },

    /// A file that cannot be a secret.
    #[error("reading the secret `{reference}`: it has more than {limit_bytes} bytes")]
    TooLarge {
        /// The reference.
        reference: String,
        /// The limit in bytes.
        limit_bytes: u64,
    },

    /// The JSON in the secret does not give what the reference names.
    #[error("{action} the secret `{reference}`")]
    Key {
        /// What was being done.
        action: Action,
        /// The reference.
        reference: String,
        /// What is wrong with the JSON.
        source: JsonKeyError,
    },

    /// The disk.
    #[error("{action} the secret `{reference}`")]
    File {
        /// What was being done.
        action: Action,
        /// The reference.
        reference: String,
        /// What the disk says.
        source: io::Error,
    },

    /// No region for a service of AWS.
    #[error(
        "{action} the secret `{reference}`: no AWS region is set; set `AWS_REGION`, a profile with a region, or use an ARN"
    )]
    NoRegion {
        /// What was being done.
        action: Action,
        /// The reference.
        reference: String,
    },

    /// A service of AWS.
    #[error("{action} the secret `{reference}`")]
    Aws {
        /// What was being done.
        action: Action,
        /// The reference.
        reference: String,
        /// What AWS or the way to it says.
        source: AwsFailure,
    },

    /// A kind of secret that can only be read.
    #[error(
        "storing the secret `{reference}`: an environment variable cannot be stored; a value that changes has to be in `aws-sm://`, `ssm://` or `file:`"
    )]
    ReadOnly {
        /// The reference.
        reference: String,
    },

    /// The thread that did the work died, or the runtime was shut down.
    #[error("{action} the secret `{reference}`: the work was interrupted")]
    Interrupted {
        /// What was being done.
        action: Action,
        /// The reference.
        reference: String,
        /// What the runtime says.
        source: tokio::task::JoinError,
    },
}

/// What was being done to a secret when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Reading.
    Reading,
    /// Storing a new value.
    Storing,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reading => "reading",
            Self::Storing => "storing",
        })
    }
}

impl SecretError {
    /// What has to change before it works.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Unset { .. } | Self::Empty { .. } => FaultKind::Missing,
            Self::Key { source: JsonKeyError::Missing { .. }, .. } => FaultKind::Missing,
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FaultKind::Missing,
                io::ErrorKind::PermissionDenied => FaultKind::Credentials,
                _ => FaultKind::Config,
            },
            Self::NotText { .. }
            | Self::TooLarge { .. }
            | Self::Key { .. }
            | Self::NoRegion { .. }
            | Self::ReadOnly { .. } => FaultKind::Config,
            Self::Aws { source, .. } => source.kind(),
            Self::Interrupted { .. } => FaultKind::Remote,
        }
    }

    /// Whether the same call may succeed later, with nothing changed by hand.
    ///
    /// The client of AWS has already retried when this says so.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Aws { source, .. } if source.is_retryable())
    }
}

/// What a service of AWS refused, or why it was not reached.
///
/// It keeps text alone: the client's own errors hold the raw answer, which shows in their `Debug`.
#[derive(Debug)]
pub struct AwsFailure {
    kind: FaultKind,
    retryable: bool,
    text: String,
}

impl AwsFailure {
    /// What has to change before it works.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// What lies behind an error of a client.
    pub(crate) fn of_call<E>(error: &SdkError<E>) -> Self
    where
        E: StdError + ProvideErrorMetadata + 'static,
    {
        if let SdkError::ServiceError(refusal) = error {
            let status = refusal.raw().status().as_u16();
            return Self::of_refusal(refusal.err().code(), refusal.err().message(), status);
        }
        if let Some(credentials) = find_cause::<CredentialsError>(error) {
            return Self::of_credentials(credentials);
        }
        let (kind, retryable) = match error {
            SdkError::ConstructionFailure(_) => (FaultKind::Config, false),
            SdkError::DispatchFailure(failure) if failure.is_user() => (FaultKind::Config, false),
            _ => (FaultKind::Remote, true),
        };
        Self { kind, retryable, text: chain(error) }
    }

    /// Why there are no credentials for AWS.
    pub(crate) fn of_credentials(error: &CredentialsError) -> Self {
        let (retryable, text) = match error {
            CredentialsError::CredentialsNotLoaded(_) => (
                false,
                "no AWS credentials were found in the environment, the profile, the container or the instance"
                    .to_owned(),
            ),
            CredentialsError::ProviderTimedOut(_) => (true, chain(error)),
            _ => (false, chain(error)),
        };
        Self { kind: FaultKind::Credentials, retryable, text }
    }

    fn of_refusal(code: Option<&str>, message: Option<&str>, status: u16) -> Self {
        let (kind, retryable) = classify(code.unwrap_or_default(), status);
        let text = match (code, message) {
            (Some(code), Some(message)) => format!("`{code}`: {message}"),
            (Some(code), None) => format!("`{code}`"),
            (None, Some(message)) => format!("status {status}: {message}"),
            (None, None) => format!("status {status}"),
        };
        Self { kind, retryable, text }
    }
}

/// What an error code of Secrets Manager, Parameter Store or the signature check means.
fn classify(code: &str, status: u16) -> (FaultKind, bool) {
    match code {
        "ResourceNotFoundException" | "ParameterNotFound" | "ParameterVersionNotFound" => {
            (FaultKind::Missing, false)
        }
        "AccessDenied"
        | "AccessDeniedException"
        | "DecryptionFailure"
        | "EncryptionFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidKeyId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "NotAuthorized"
        | "OptInRequired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => (FaultKind::Credentials, false),
        "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "TooManyUpdates"
        | "RequestLimitExceeded"
        | "RequestTimeout" => (FaultKind::Remote, true),
        _ if status >= 500 || status == 429 => (FaultKind::Remote, true),
        _ if status == 401 || status == 403 => (FaultKind::Credentials, false),
        // A success that could not be understood.
        _ if status < 400 => (FaultKind::Remote, false),
        _ => (FaultKind::Config, false),
    }
}

impl fmt::Display for AwsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for AwsFailure {}

/// The messages of an error and of all that lies behind it, each once.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.ends_with(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("ResourceNotFoundException", 400, FaultKind::Missing, false)]
    #[case("ParameterNotFound", 400, FaultKind::Missing, false)]
    #[case("AccessDeniedException", 400, FaultKind::Credentials, false)]
    #[case("ExpiredTokenException", 400, FaultKind::Credentials, false)]
    #[case("UnrecognizedClientException", 400, FaultKind::Credentials, false)]
    #[case("ThrottlingException", 400, FaultKind::Remote, true)]
    #[case("InternalServiceError", 500, FaultKind::Remote, true)]
    #[case("InvalidRequestException", 400, FaultKind::Config, false)]
    #[case("ValidationException", 400, FaultKind::Config, false)]
    #[case("", 403, FaultKind::Credentials, false)]
    #[case("", 503, FaultKind::Remote, true)]
    fn i2_codes_of_aws_say_whose_fault_it_is(
        #[case] code: &str,
        #[case] status: u16,
        #[case] kind: FaultKind,
        #[case] retryable: bool,
    ) {
        assert_eq!(classify(code, status), (kind, retryable));
    }
}
