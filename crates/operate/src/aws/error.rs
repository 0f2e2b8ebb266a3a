//! How a call to AWS fails: whose fault it is, and whether a retry can help.

use aws_credential_types::provider::error::CredentialsError;

use super::refusal::Refusal;

/// Why a call to AWS did not succeed. Messages name the action as policies spell it (`glue:GetTable`), and
/// never credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No region.
    #[error(
        "calling `{action}`: no AWS region is set; set `AWS_REGION`, or use a profile with a region"
    )]
    NoRegion {
        /// `glue:GetTable`.
        action: String,
    },

    /// An endpoint or a region from which none can be made.
    #[error("`{url}`, from `{variable}`, gives no http:// or https:// endpoint")]
    Endpoint {
        /// The variable of the environment.
        variable: String,
        /// What was to be the endpoint.
        url: String,
    },

    /// No credentials.
    #[error(
        "calling `{action}`: no AWS credentials in the environment, the profile, the container or the instance"
    )]
    Credentials {
        /// `glue:GetTable`.
        action: String,
        /// What the chain says.
        source: CredentialsError,
    },

    /// A request that cannot be made or signed.
    #[error("signing a request to call `{action}`")]
    Sign {
        /// `glue:GetTable`.
        action: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The service refused.
    #[error("calling `{action}`{}: {refusal}", tried(*.attempts))]
    Refused {
        /// `glue:GetTable`.
        action: String,
        /// What the service says.
        refusal: Refusal,
        /// How often it was tried.
        attempts: usize,
    },

    /// The service could not be reached, or broke off its answer.
    #[error("calling `{action}` at {host}{}", tried(*.attempts))]
    Unreachable {
        /// `glue:GetTable`.
        action: String,
        /// The host.
        host: String,
        /// How often it was tried.
        attempts: usize,
        /// What happened.
        source: reqwest::Error,
    },

    /// An answer of success that cannot be understood.
    #[error("calling `{action}`: the answer is no JSON")]
    Answer {
        /// `glue:GetTable`.
        action: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// What has to change before a call works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The settings of the environment: region, endpoint.
    Config,
    /// Credentials are missing, wrong or expired.
    Credentials,
    /// The credentials are good, and do not reach so far.
    Denied,
    /// What was named is not there.
    NotFound,
    /// Too many calls.
    Throttled,
    /// The service has a fault, or cannot be reached.
    Unavailable,
    /// The call itself is wrong, or in conflict with what is there.
    Refused,
}

impl Error {
    /// What has to change before it works.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoRegion { .. } | Self::Endpoint { .. } => Fault::Config,
            Self::Credentials { .. } => Fault::Credentials,
            Self::Sign { .. } => Fault::Refused,
            Self::Refused { refusal, .. } => fault_of(&refusal.code, refusal.status),
            // An address that the client cannot use is no network at fault.
            Self::Unreachable { source, .. } if source.is_builder() => Fault::Config,
            Self::Unreachable { .. } | Self::Answer { .. } => Fault::Unavailable,
        }
    }

    /// Whether the same call may succeed later, with nothing changed by hand. The client has already retried
    /// when this says so.
    pub fn is_retryable(&self) -> bool {
        matches!(self.fault(), Fault::Throttled | Fault::Unavailable)
    }

    /// The code of a refusal: `AlreadyExistsException`.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { refusal, .. } => Some(&refusal.code),
            _ => None,
        }
    }

    /// The exit code, after sysexits; 75 alone says that a retry can help.
    pub fn exit_code(&self) -> u8 {
        match self.fault() {
            Fault::Config => 78,
            Fault::Credentials | Fault::Denied => 77,
            Fault::NotFound => 66,
            Fault::Throttled | Fault::Unavailable => 75,
            Fault::Refused => 78,
        }
    }
}

/// What a code of the services, or of the check of signatures, means.
fn fault_of(code: &str, status: u16) -> Fault {
    match code {
        "EntityNotFoundException"
        | "ResourceNotFoundException"
        | "TaskDoesNotExist"
        | "StateMachineDoesNotExist"
        | "ExecutionDoesNotExist" => Fault::NotFound,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "OptInRequired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Fault::Credentials,
        "AccessDenied" | "AccessDeniedException" | "NotAuthorized" => Fault::Denied,
        "Throttling"
        | "ThrottledException"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown" => Fault::Throttled,
        "InternalFailure"
        | "InternalServiceException"
        | "OperationTimeoutException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceUnavailable" => Fault::Unavailable,
        _ if status == 429 => Fault::Throttled,
        _ if status >= 500 || status == 408 => Fault::Unavailable,
        _ if status == 401 => Fault::Credentials,
        _ if status == 403 => Fault::Denied,
        _ => Fault::Refused,
    }
}

fn tried(attempts: usize) -> String {
    match attempts {
        1 => String::new(),
        _ => format!(" {attempts} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("EntityNotFoundException", 400, Fault::NotFound, 66)]
    #[case("ExpiredTokenException", 400, Fault::Credentials, 77)]
    #[case("UnrecognizedClientException", 400, Fault::Credentials, 77)]
    #[case("AccessDeniedException", 400, Fault::Denied, 77)]
    #[case("ThrottlingException", 400, Fault::Throttled, 75)]
    #[case("InternalServiceException", 500, Fault::Unavailable, 75)]
    #[case("OperationTimeoutException", 400, Fault::Unavailable, 75)]
    #[case("AlreadyExistsException", 400, Fault::Refused, 78)]
    #[case("InvalidInputException", 400, Fault::Refused, 78)]
    #[case("", 403, Fault::Denied, 77)]
    #[case("", 503, Fault::Unavailable, 75)]
    fn a_code_says_what_has_to_change(
        #[case] code: &str,
        #[case] status: u16,
        #[case] fault: Fault,
        #[case] exit_code: u8,
    ) {
        let refusal = Refusal { status, code: code.to_owned(), message: String::new() };
        let action = "glue:GetTable".to_owned();
        let error = Error::Refused { action, refusal, attempts: 1 };
        assert_eq!((error.fault(), error.exit_code()), (fault, exit_code));
    }
}
