//! How `ingest` fails, whose fault it is, and the exit code that says so.

use std::error::Error as StdError;

use solder_landing::raw::RawError;
use solder_landing::{FaultKind as PlaceFault, PlaceError};

use crate::auth::AuthError;
use crate::http::{ReadError, SendError, TransportError};
use crate::land::LandError;
use crate::secrets::{FaultKind, SecretError};
use crate::source::SourceError;
use crate::source::plan::Stream;
use crate::walk::{JobError, PagerError, RenderError, WalkError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source file cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An option cannot be used.
    #[error("{0}")]
    Option(String),
    /// The place cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The log of a stream cannot be used.
    #[error(transparent)]
    Log(#[from] RawError),
    /// The credentials could not be had.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A stream could not be read.
    #[error("stream `{stream}`: {source}")]
    Walk {
        /// The stream.
        stream: String,
        /// The partition, if there are several.
        partition: String,
        /// Why.
        source: WalkFailure,
    },
    /// A stream could not be landed.
    #[error("stream `{stream}`: {source}")]
    Land {
        /// The stream.
        stream: String,
        /// Why.
        source: LandFailure,
    },
    /// The client for HTTP could not be made.
    #[error("cannot set up HTTP")]
    Client(#[source] reqwest::Error),
    /// A recorded folder cannot be used.
    #[error("the recorded answers in `{file}` cannot be used")]
    Recording {
        /// The file or folder.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A test found something else than is expected.
    #[error("{0}")]
    Expectation(String),
    /// Records cannot be written to standard output.
    #[error("cannot write to standard output")]
    Output(#[source] std::io::Error),
    /// `doctor` found something that a run would fail over, and has told of it.
    #[error("{num_failed} of {num_checks} checks failed")]
    Unfit {
        /// How many checks failed.
        num_failed: usize,
        /// How many checks there were.
        num_checks: usize,
        /// The exit code of the worst.
        exit_code: u8,
    },
    /// The run took longer than it may.
    #[error("the run took longer than `timeouts.run`; what it committed stays")]
    RunTimeout,
    /// The time that the run was given is over, and not all was read.
    #[error(
        "the time of the run is over; what it committed stays, and the same run goes on from there"
    )]
    TimeIsOver,
    /// The time that the run was given is over, and it has committed nothing.
    #[error("nothing could be committed in {seconds} s: {reasons}")]
    NoProgress {
        /// How long it took.
        seconds: u64,
        /// For each stream that has more: what of it counts on its own.
        reasons: String,
        /// Whether it was for the API that no page came.
        is_retryable: bool,
    },
    /// AWS Lambda's runtime API cannot be used.
    #[error("cannot work with the runtime API of AWS Lambda")]
    Runtime(#[source] Box<dyn StdError + Send + Sync>),
    /// A signal asked for the end.
    #[error("stopped by a signal; what was committed stays, and the next run goes on from there")]
    Stopped {
        /// The signal's number.
        signal: i32,
    },
}

/// Why a stream could not be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct WalkFailure(pub(crate) Box<WalkError>);

/// Why a stream could not be landed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LandFailure(pub(crate) Box<LandError>);

impl Error {
    pub(crate) fn walk(stream: &Stream, partition: String, source: WalkError) -> Self {
        let stream = stream.name.stream().to_owned();
        Error::Walk { stream, partition, source: WalkFailure(Box::new(source)) }
    }

    /// The exit code, after sysexits; 75 alone says that a retry can help.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Source(SourceError::Read { .. }) => 66,
            Error::Source(SourceError::NoStream { .. }) | Error::Option(_) => 64,
            Error::Source(_) => 78,
            Error::Place(error) => place_code(error),
            Error::Log(error) => log_code(error),
            Error::Auth(error) => auth_code(error),
            Error::Walk { source, .. } => walk_code(&source.0),
            Error::Land { source, .. } => land_code(&source.0),
            Error::Client(_) => 70,
            Error::Recording { .. } => 66,
            Error::Expectation(_) => 65,
            Error::Output(_) => 74,
            Error::Unfit { exit_code, .. } => *exit_code,
            Error::RunTimeout | Error::TimeIsOver => 75,
            Error::NoProgress { is_retryable, .. } => {
                if *is_retryable {
                    75
                } else {
                    78
                }
            }
            Error::Runtime(_) => 69,
            Error::Stopped { signal } => 128 + u8::try_from(*signal).unwrap_or(15),
        }
    }

    /// What the person at the console can do.
    pub fn hint(&self) -> Option<&'static str> {
        if let Error::Walk { source, .. } = self
            && let WalkError::Send(SendError::Refused { status, .. }) = &*source.0
        {
            match status.as_u16() {
                401 => return Some("the API does not take the credentials: see `connection.auth`"),
                403 => {
                    return Some(
                        "the credentials may not read this, or the API limits how often it is asked: a rule can say `do: wait_reset`",
                    );
                }
                404 => {
                    return Some(
                        "see the path; where records vanish between list and fetch, a rule can say `do: skip_partition`",
                    );
                }
                _ => {}
            }
        }
        if let Error::Recording { source, .. } = self
            && source.kind() == std::io::ErrorKind::NotFound
        {
            return Some("`ingest run SOURCE --to PLACE --record DIR` makes such a folder");
        }
        if let Error::NoProgress { is_retryable: false, .. } = self {
            return Some(
                "run it where it may take longer: as a job of AWS Batch, or without `--stop-after`",
            );
        }
        match self.exit_code() {
            _ if matches!(self, Error::Unfit { .. }) => None,
            75 => Some("the same run can succeed later: try again"),
            _ => None,
        }
    }
}

/// A value as a message shows it: whole, or by its length. A part of it could be a part of a secret, which
/// would not be found any more.
pub(crate) fn shown(value: &str) -> String {
    match value.chars().count() {
        0..=64 => value.to_owned(),
        length => format!("({length} characters)"),
    }
}

fn place_code(error: &PlaceError) -> u8 {
    if error.is_retryable() {
        return 75;
    }
    if error.is_permission_denied() {
        return 77;
    }
    match error {
        PlaceError::Empty
        | PlaceError::UnknownScheme { .. }
        | PlaceError::InvalidAddress { .. } => 64,
        _ if error.kind() == PlaceFault::User => 73,
        _ => 74,
    }
}

fn log_code(error: &RawError) -> u8 {
    match error {
        RawError::Place(error) => place_code(error),
        RawError::Name(_) => 64,
        _ => 74,
    }
}

fn land_code(error: &LandError) -> u8 {
    match error {
        LandError::Log(error) => log_code(error),
        LandError::Place(error) => place_code(error),
        LandError::Overtaken => 75,
        LandError::TooFew { .. } => 65,
        LandError::Compress(_) | LandError::Spool(_) => 74,
    }
}

fn auth_code(error: &AuthError) -> u8 {
    kind_code(error.kind(), error.is_retryable())
}

pub(crate) fn secret_code(error: &SecretError) -> u8 {
    kind_code(error.kind(), error.is_retryable())
}

fn kind_code(kind: FaultKind, is_retryable: bool) -> u8 {
    match kind {
        _ if is_retryable => 75,
        FaultKind::Config => 78,
        FaultKind::Credentials => 77,
        FaultKind::Missing => 78,
        FaultKind::Remote => 69,
    }
}

fn walk_code(error: &WalkError) -> u8 {
    match error {
        WalkError::Send(error) => send_code(error),
        WalkError::Render(RenderError::Secret(error)) => secret_code(error),
        WalkError::Render(_) => 65,
        WalkError::Spool(_) | WalkError::Landing => 74,
        WalkError::Pager { source: PagerError::Foreign(_), .. } => 78,
        WalkError::Job(JobError::Foreign(_)) => 78,
        WalkError::Job(JobError::Failed { .. } | JobError::NoAnswer { .. }) => 69,
        WalkError::Job(JobError::TimedOut { .. }) => 75,
        WalkError::Pager { .. }
        | WalkError::NoRecords { .. }
        | WalkError::NotAscending { .. }
        | WalkError::Job(_) => 65,
    }
}

fn send_code(error: &SendError) -> u8 {
    match error {
        _ if error.is_retryable() => 75,
        SendError::Auth(error) => auth_code(error),
        SendError::Refused { status, .. } if matches!(status.as_u16(), 401 | 403) => 77,
        SendError::Refused { .. } | SendError::Rule { .. } | SendError::Redirect { .. } => 69,
        SendError::Foreign(_) => 78,
        SendError::Transport(TransportError::PrivateAddress { .. }) => 78,
        SendError::Transport(_) => 69,
        SendError::Body { source, .. } if matches!(**source, ReadError::Spool(_)) => 74,
        SendError::Body { .. } => 65,
        _ => 69,
    }
}

/// A cause of a kind, however deep, or the error itself.
pub(crate) fn find_cause<'e, T: StdError + 'static>(
    error: &'e (dyn StdError + 'static),
) -> Option<&'e T> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref())
}
