//! How work on a place fails: what was being done, where, whose fault it is, whether a retry can help.

mod causes;

use std::error::Error as StdError;
use std::fmt;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};

pub use causes::causes;

/// Why a place or an input could not be used.
///
/// Messages carry addresses (place and key), never the content of objects and never credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The text for a place was empty.
    #[error("a place needs a path or a URL, not an empty text")]
    Empty,

    /// The URL names a kind of store that is not known.
    #[error(
        "unknown store `{scheme}://`: expected a path, file://, s3://, gs://, az://, abfss:// or memory://"
    )]
    UnknownScheme {
        /// The part before `://`.
        scheme: String,
    },

    /// The text is not a path or URL that can name a place.
    #[error("`{text}` is not a place: {reason}")]
    InvalidAddress {
        /// The text as the user wrote it.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The URL holds a password, token or signature. The text is left out on purpose.
    #[error("a `{scheme}://` URL must not hold credentials: the environment gives them")]
    CredentialsInUrl {
        /// The part before `://`.
        scheme: String,
    },

    /// A key that could lead out of its place, or that no store can hold.
    #[error(
        "`{key}` is not a key below `{place}`: empty parts, `.`, `..` and control characters are not allowed"
    )]
    InvalidKey {
        /// The place as the user wrote it.
        place: String,
        /// The key.
        key: String,
    },

    /// A file name that is not UTF-8, and so cannot be a key.
    #[error("the name of `{address}` is not UTF-8")]
    KeyNotUnicode {
        /// Where the file is, with replacement characters.
        address: String,
    },

    /// The glob does not follow the syntax of globs.
    #[error("`{text}` is neither the name of something that exists nor a glob")]
    InvalidGlob {
        /// The input as the user wrote it.
        text: String,
        /// What is wrong with it.
        source: globset::Error,
    },

    /// An input that names nothing.
    #[error("no object at `{text}`{}", hidden_note(*.hidden))]
    NothingFound {
        /// The input as the user wrote it.
        text: String,
        /// How many objects were there, but hidden (a part that starts with `.` or `_`).
        hidden: u64,
    },

    /// The client for a store could not be set up from the environment.
    #[error("connecting to `{place}`")]
    Connect {
        /// The place as the user wrote it.
        place: String,
        /// What the store's client says.
        source: Box<object_store::Error>,
    },

    /// A folder, file or object that should be there is not.
    #[error("{action} `{address}`: it does not exist")]
    NotFound {
        /// What was being done.
        action: Action,
        /// Place and key.
        address: String,
        /// What the disk or the store says.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// Put-if-absent, on which every commit rests, is not to be had here.
    #[error("creating `{address}`: the store cannot create an object only if it is absent")]
    CreateUnsupported {
        /// Place and key.
        address: String,
        /// What the disk or the store says.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// Another writer was creating the same object, and neither has won.
    #[error("creating `{address}`: another writer is creating it at this moment")]
    CreateContended {
        /// Place and key.
        address: String,
        /// What the store says.
        source: Box<object_store::Error>,
    },

    /// A range that begins behind the end of the object.
    #[error("reading `{address}`: byte {start} is behind its end, at {size_bytes} bytes")]
    RangeBehindEnd {
        /// Place and key.
        address: String,
        /// The first byte asked for.
        start: u64,
        /// The size of the object in bytes.
        size_bytes: u64,
    },

    /// An object is not the one any more that was listed.
    #[error("reading `{address}`: it was written anew since it was listed")]
    Replaced {
        /// Place and key.
        address: String,
    },

    /// The local disk refused.
    #[error("{action} `{address}`")]
    Disk {
        /// What was being done.
        action: Action,
        /// Place and key.
        address: String,
        /// What the disk says.
        source: io::Error,
    },

    /// The object store refused, or could not be reached.
    #[error("{action} `{address}`")]
    Store {
        /// What was being done.
        action: Action,
        /// Place and key.
        address: String,
        /// What the store's client says.
        source: Box<object_store::Error>,
    },

    /// The thread that did the work died, or the runtime was shut down.
    #[error("{action} `{address}`: the work was interrupted")]
    Interrupted {
        /// What was being done.
        action: Action,
        /// Place and key.
        address: String,
        /// What the runtime says.
        source: tokio::task::JoinError,
    },
}

/// What was being done to a place when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Finding out which objects there are, or what one is like.
    Listing,
    /// Reading an object or a part of it.
    Reading,
    /// Writing an object.
    Writing,
    /// Writing an object that must not be there yet.
    Creating,
    /// Giving an object another key.
    Renaming,
    /// Copying an object to another key.
    Copying,
    /// Deleting objects.
    Deleting,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Listing => "listing",
            Self::Reading => "reading",
            Self::Writing => "writing",
            Self::Creating => "creating",
            Self::Renaming => "renaming",
            Self::Copying => "copying",
            Self::Deleting => "deleting",
        })
    }
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// What was asked for cannot be: the caller has to ask for something else.
    User,
    /// Disk, network, store or their settings.
    External,
    /// A mistake in this program.
    Internal,
}

impl PlaceError {
    /// Whose fault it is.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Empty
            | Self::UnknownScheme { .. }
            | Self::InvalidAddress { .. }
            | Self::CredentialsInUrl { .. }
            | Self::KeyNotUnicode { .. }
            | Self::InvalidGlob { .. }
            | Self::NothingFound { .. }
            | Self::NotFound { .. } => FaultKind::User,
            Self::InvalidKey { .. } | Self::RangeBehindEnd { .. } | Self::Interrupted { .. } => {
                FaultKind::Internal
            }
            Self::Connect { .. }
            | Self::CreateUnsupported { .. }
            | Self::CreateContended { .. }
            | Self::Replaced { .. }
            | Self::Disk { .. }
            | Self::Store { .. } => FaultKind::External,
        }
    }

    /// Whether the same call may succeed later, with nothing changed by hand.
    ///
    /// The client of a store has already retried for half a minute when this says so.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::CreateContended { .. } | Self::Replaced { .. } => true,
            Self::Disk { source, .. } => is_passing(source.kind()),
            Self::Store { source, .. } => !self.is_permission_denied() && is_store_passing(source),
            _ => false,
        }
    }

    /// Whether what was named is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::NothingFound { .. })
    }

    /// Whether credentials are missing, wrong or do not reach far enough.
    pub fn is_permission_denied(&self) -> bool {
        match self {
            Self::Disk { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            Self::Store { source, .. } | Self::Connect { source, .. } => is_store_denial(source),
            Self::CredentialsInUrl { .. } => true,
            _ => false,
        }
    }

    /// The error for what the disk said.
    pub(crate) fn disk(action: Action, address: String, source: io::Error) -> Self {
        match source.kind() {
            // `a.json/b` is as absent as `a/b`: a file has nothing below it.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Self::NotFound { action, address, source: source.into() }
            }
            _ => Self::Disk { action, address, source },
        }
    }

    /// The error for what an object store's client said.
    pub(crate) fn store(action: Action, address: String, source: object_store::Error) -> Self {
        match source {
            object_store::Error::NotFound { .. } => {
                Self::NotFound { action, address, source: source.into() }
            }
            // Listings give no error of their own for a bucket that is not there.
            object_store::Error::Generic { .. } if has_status(&source.to_string(), "404") => {
                Self::NotFound { action, address, source: source.into() }
            }
            _ => Self::Store { action, address, source: Box::new(source) },
        }
    }
}

/// What lies behind an error of a store's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// Credentials are missing, wrong or do not reach far enough.
    Denied,
    /// The network, or a server that has too much to do: a retry can help.
    Passing,
    /// All else.
    Lasting,
}

/// What lies behind an error of a store's client.
pub fn store_fault(error: &object_store::Error) -> StoreFault {
    if is_store_denial(error) {
        StoreFault::Denied
    } else if is_store_passing(error) {
        StoreFault::Passing
    } else {
        StoreFault::Lasting
    }
}

fn is_store_denial(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => true,
        _ => lacks_credentials(&error.to_string()),
    }
}

fn hidden_note(hidden: u64) -> String {
    match hidden {
        0 => String::new(),
        _ => format!(", apart from {hidden} hidden (a name that starts with `.` or `_`)"),
    }
}

/// Whether a condition of the operating system tends to go away by itself.
fn is_passing(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::StaleNetworkFileHandle
            | io::ErrorKind::TimedOut
            | io::ErrorKind::WouldBlock
    )
}

/// Whether a store's error is one of the network or of an overloaded server.
fn is_store_passing(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return matches!(
                http.kind(),
                HttpErrorKind::Connect
                    | HttpErrorKind::Request
                    | HttpErrorKind::Timeout
                    | HttpErrorKind::Interrupted
            );
        }
        if let Some(io) = error.downcast_ref::<io::Error>()
            && is_passing(io.kind())
        {
            return true;
        }
        if is_passing_status(&error.to_string()) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether a store's error, which the client does not mark as one of credentials, is one all the same.
///
/// Listings give no error of their own for a refusal. Without credentials in the environment the client asks the machine for them, and on a laptop nothing
/// answers: that looks like a network at fault, but no retry helps. S3 answers 400 to an expired token.
fn lacks_credentials(message: &str) -> bool {
    const MACHINE_CREDENTIALS: [&str; 5] = [
        "/latest/api/token",
        "/latest/meta-data/iam",
        "/computeMetadata/",
        "/metadata/identity",
        "/metadata.google.internal",
    ];
    let asks_machine = MACHINE_CREDENTIALS.iter().any(|path| message.contains(path));
    (asks_machine && !is_passing_status(message))
        || ["401", "403"].iter().any(|status| has_status(message, status))
        || message.contains("<Code>ExpiredToken</Code>")
}

/// Whether a response had this status.
fn has_status(message: &str, status: &str) -> bool {
    status_of(message).is_some_and(|found| found.starts_with(status))
}

/// The client keeps the type that holds a response's status to itself; only its text is to be had.
fn status_of(message: &str) -> Option<&str> {
    message.split_once("non-2xx status code: ").map(|(_, status)| status)
}

fn is_passing_status(message: &str) -> bool {
    let Some(status) = status_of(message) else {
        // An error inside a 200 response: the client gives up only after retrying it.
        return message.contains("Server returned error response: ");
    };
    status.starts_with('5') || status.starts_with("429") || status.starts_with("408")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn disk(kind: io::ErrorKind) -> PlaceError {
        PlaceError::disk(Action::Reading, "raw/a.json".into(), kind.into())
    }

    fn store(text: &str) -> PlaceError {
        let source = object_store::Error::Generic { store: "S3", source: text.to_owned().into() };
        PlaceError::store(Action::Reading, "s3://b/a.json".into(), source)
    }

    fn http(kind: HttpErrorKind) -> PlaceError {
        let source = object_store::Error::Generic {
            store: "S3",
            source: HttpError::new(kind, io::Error::other("x")).into(),
        };
        PlaceError::store(Action::Reading, "s3://b/a.json".into(), source)
    }

    fn denied() -> PlaceError {
        let source = object_store::Error::PermissionDenied {
            path: "a.json".into(),
            source: "Server returned non-2xx status code: 403 Forbidden".into(),
        };
        PlaceError::store(Action::Reading, "s3://b/a.json".into(), source)
    }

    #[rstest]
    #[case::absent(disk(io::ErrorKind::NotFound), "not found")]
    #[case::below_a_file(disk(io::ErrorKind::NotADirectory), "not found")]
    #[case::forbidden(disk(io::ErrorKind::PermissionDenied), "denied")]
    #[case::full(disk(io::ErrorKind::StorageFull), "final")]
    #[case::stale(disk(io::ErrorKind::StaleNetworkFileHandle), "retryable")]
    #[case::timeout(http(HttpErrorKind::Timeout), "retryable")]
    #[case::decode(http(HttpErrorKind::Decode), "final")]
    #[case::slow_down(
        store("Server returned non-2xx status code: 503 Service Unavailable: x"),
        "retryable"
    )]
    #[case::throttled(
        store("Server returned non-2xx status code: 429 Too Many Requests: x"),
        "retryable"
    )]
    #[case::bad_request(
        store("Server returned non-2xx status code: 400 Bad Request: 503"),
        "final"
    )]
    #[case::list_without_bucket(
        store(
            "GET http://x/b?list-type=2 - Server returned non-2xx status code: 404 Not Found: x"
        ),
        "not found"
    )]
    #[case::list_refused(
        store(
            "GET http://x/b?list-type=2 - Server returned non-2xx status code: 403 Forbidden: x"
        ),
        "denied"
    )]
    #[case::error_in_200(store("Server returned error response: SlowDown"), "retryable")]
    #[case::store_denied(denied(), "denied")]
    #[case::no_credentials(
        store(
            "Error performing PUT http://169.254.169.254/latest/api/token in 9s - HTTP error: x"
        ),
        "denied"
    )]
    #[case::credentials_throttled(
        store("GET http://x/latest/meta-data/iam - Server returned non-2xx status code: 503 x"),
        "retryable"
    )]
    #[case::expired_token(
        store("Server returned non-2xx status code: 400 Bad Request: <Code>ExpiredToken</Code>"),
        "denied"
    )]
    fn an_error_says_what_can_be_done(#[case] error: PlaceError, #[case] expected: &str) {
        let found = [
            (error.is_not_found(), "not found"),
            (error.is_permission_denied(), "denied"),
            (error.is_retryable(), "retryable"),
        ];
        let answers: Vec<_> = found.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        match expected {
            "final" => assert!(answers.is_empty(), "{answers:?}"),
            _ => assert_eq!(answers, [expected]),
        }
    }

    #[test]
    fn a_message_names_action_and_address_and_leaves_the_cause_to_the_chain() {
        let error = disk(io::ErrorKind::StorageFull);
        assert_eq!(error.to_string(), "reading `raw/a.json`");
        assert!(error.source().is_some());
    }
}
