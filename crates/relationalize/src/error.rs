//! How the engine fails, whose fault it is, and the exit code that says so.

use std::io;

use parquet::errors::ParquetError;
use solder_landing::raw::RawError;
use solder_landing::{FaultKind, PlaceError};

use crate::relation::KeyError;

/// A run that ended without a commit. Unless the variant says otherwise, what was committed before
/// is as it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option cannot be understood.
    #[error("cannot use `{option} {value}`")]
    Option {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Options that exclude each other, or do not fit what is there.
    #[error("{0}")]
    Conflict(String),
    /// A bookmark of another input.
    #[error(
        "`{entity}` was read from `{before}` so far, and this run reads `{now}`: a file of the same name would pass for read. Read all of it from one folder above both (a glob or --table names a share of it), or into another place; where the same files have only moved, say --moved"
    )]
    OtherInput {
        /// The entity.
        entity: String,
        /// Where its objects were.
        before: String,
        /// Where they are to be now.
        now: String,
    },
    /// A place in a store.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The curated place cannot be written to.
    #[error("cannot write to `{place}`")]
    Output {
        /// The place.
        place: String,
        /// Why not.
        #[source]
        source: PlaceError,
    },
    /// The run went as it should, but the file of `--manifest` could not be written.
    #[error("the report could not be written to `{address}`, although {outcome}")]
    Report {
        /// Where it should be.
        address: String,
        /// What the run itself came to.
        outcome: &'static str,
        /// Why not.
        #[source]
        source: PlaceError,
    },
    /// The input names no data.
    #[error(
        "no JSON files in `{input}` (looked for .json, .ndjson and .jsonl, plain or compressed; {} left alone)", other_files(*.num_ignored)
    )]
    NoInput {
        /// The input as given.
        input: String,
        /// Files that are no data by their names.
        num_ignored: u64,
    },
    /// A landing zone cannot be read: a manifest is damaged, or a part that counts is not there (I13).
    #[error(transparent)]
    Landing(RawError),
    /// The input is in a landing zone, and no commit names anything of it.
    #[error(
        "nothing at `{input}` counts: it is in a landing zone, and no commit there names any of it"
    )]
    NothingLanded {
        /// The input as given.
        input: String,
    },
    /// Two sources of a landing zone have a stream of the same name (R3).
    #[error(
        "the sources `{}` and `{}` both have a stream `{stream}`: read them one by one, such as `{}`, each with \
         a --table NAME of its own, or both into one table with --table {stream}",
        .sources[0], .sources[1], source_folder(.root, &.sources[0])
    )]
    SameStream {
        /// The stream.
        stream: String,
        /// The sources.
        sources: [String; 2],
        /// The landing zone.
        root: String,
    },
    /// An object of the input broke off or cannot be decompressed.
    #[error("reading `{object}`; nothing of this run was committed")]
    Read {
        /// The object.
        object: String,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// A file of the curated place cannot be read.
    #[error("reading `{key}` of the curated place")]
    Decode {
        /// The file.
        key: String,
        /// What happened.
        #[source]
        source: ParquetError,
    },
    /// The manifest or a file that it names is damaged, or cannot be read for another reason.
    #[error("the manifest `{key}` cannot be understood")]
    Manifest {
        /// The file.
        key: String,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The manifest is from a later version.
    #[error(
        "the manifest `{key}` was written by a newer version of Solder: it has format {format}, this version reads up to {known}"
    )]
    Newer {
        /// The file.
        key: String,
        /// Its format.
        format: u32,
        /// The newest format that is known.
        known: u32,
    },
    /// A file cannot be written.
    #[error("writing `{key}`")]
    Write {
        /// The file.
        key: String,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// Columns cannot be encoded.
    #[error("encoding Parquet")]
    Encode(#[source] ParquetError),
    /// The declared key is not in the data.
    #[error("entity `{entity}`")]
    Key {
        /// The entity.
        entity: String,
        /// The key.
        #[source]
        source: KeyError,
    },
    /// A limit of R17.
    #[error(
        "entity `{entity}` has {found} {what}, more than {limit} ({option}); objects with ever new keys can be kept as rows with --map PATH{hint}"
    )]
    Limit {
        /// The entity or table.
        entity: String,
        /// `tables`, `columns in table …`.
        what: String,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
        /// The option that raises it.
        option: &'static str,
        /// Paths to look at.
        hint: String,
    },
    /// More records went to quarantine than `--error-threshold` allows.
    #[error(
        "{num_rejected} of {num_records} records are bad, more than --error-threshold {threshold} allows; the first: {first}"
    )]
    Threshold {
        /// Records set aside.
        num_rejected: u64,
        /// All records.
        num_records: u64,
        /// The threshold as given.
        threshold: String,
        /// Where and why, of the first one.
        first: String,
    },
    /// The shape changed under `--drift freeze`.
    #[error("the shape changed, and --drift freeze forbids it:\n{}", .0.join("\n"))]
    Drift(Vec<String>),
    /// Another run committed in between.
    #[error("run `{other}` committed to the same place in the meantime; run again")]
    Contended {
        /// The other run.
        other: String,
    },
    /// A run that shards are to work at has no plan.
    #[error(
        "run `{run_id}` is not planned in `{place}`; `engine plan INPUT {place} --run-id {run_id}` does it"
    )]
    NotPlanned {
        /// The run.
        run_id: String,
        /// The curated place.
        place: String,
    },
    /// Another run has committed since a plan was made.
    #[error(
        "run `{other}` has committed since run `{run_id}` was planned, and what its shards read fits no more; plan anew, under another --run-id"
    )]
    PlanVoid {
        /// The planned run.
        run_id: String,
        /// The other run.
        other: String,
    },
    /// A run is to be committed before its shards are done.
    #[error("{} of {num_shards} shards of run `{run_id}` are not done: {}", missing.len(), numbers(missing))]
    ShardsMissing {
        /// The run.
        run_id: String,
        /// Shards in all.
        num_shards: usize,
        /// Those that are not done.
        missing: Vec<usize>,
    },
    /// No run has committed to the place.
    #[error("nothing is committed in `{place}`; `engine relationalize INPUT {place}` fills it")]
    NothingCommitted {
        /// The curated place.
        place: String,
    },
    /// A rewind to before the run that replaced the tables (R20).
    #[error(
        "cannot rewind `{entity}` to run {to}: run {replaced} replaced its tables, and what they held before is gone; rewind to {replaced} or later, or read everything again after `engine bookmark reset {place} --table {entity}`"
    )]
    Replaced {
        /// The entity.
        entity: String,
        /// The run asked for.
        to: u64,
        /// The run that replaced the tables.
        replaced: u64,
        /// The curated place.
        place: String,
    },
    /// There is no such table, run or entity.
    #[error("there is no {what} `{name}` in `{place}`{hint}")]
    Unknown {
        /// `table`, `run`, `entity`.
        what: &'static str,
        /// As asked for.
        name: String,
        /// Where.
        place: String,
        /// What there is.
        hint: String,
    },
    /// Rows of child tables do not fit their parents.
    #[error("table `{table}` does not fit its parent at record {record}: {problem}")]
    Inconsistent {
        /// The child table.
        table: String,
        /// `_seq` of the record.
        record: i64,
        /// What does not fit.
        problem: String,
    },
    /// A report cannot be put into JSON.
    #[error("writing the report")]
    Json {
        /// What happened.
        #[source]
        source: serde_json::Error,
    },
    /// The run was told to stop.
    #[error("stopped by {0}; nothing of this run was committed")]
    Stopped(Signal),
    /// A thread of the engine panicked.
    #[error("a part of the engine failed; this is a bug of Solder")]
    Panicked,
}

/// The signals that end a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Signal::Interrupt => "an interrupt (SIGINT)",
            Signal::Terminate => "a request to terminate (SIGTERM)",
        })
    }
}

impl From<RawError> for Error {
    fn from(error: RawError) -> Error {
        match error {
            RawError::Place(error) => Error::Place(error),
            error => Error::Landing(error),
        }
    }
}

impl Error {
    pub(crate) fn encode(source: ParquetError) -> Error {
        Error::Encode(source)
    }

    /// What can be done about it, where the message does not say so already.
    pub fn help(&self) -> Option<&'static str> {
        let is_denied = |error: &PlaceError| {
            error.is_permission_denied() && !matches!(error, PlaceError::CredentialsInUrl { .. })
        };
        match self {
            Error::Place(error) if is_denied(error) => Some(ASK_FOR_ACCESS),
            Error::Output { source, .. } | Error::Report { source, .. } if is_denied(source) => {
                Some(ASK_FOR_ACCESS)
            }
            Error::Place(PlaceError::NothingFound { .. } | PlaceError::NotFound { .. }) => Some(
                "check the spelling; a glob stands in quotes, so that it reaches the program as it is",
            ),
            Error::Read { .. } if self.exit_code() == 65 => Some(
                "the object is damaged or was cut off: put a sound one in its place, or take it out of the input",
            ),
            Error::Landing(RawError::Lost(_)) => Some(
                "bring the part back from a backup or the store's versions, or let `ingest` read the stream anew",
            ),
            Error::Landing(RawError::Malformed { .. } | RawError::Gap { .. }) => {
                Some("bring the file back from a backup or the store's versions")
            }
            Error::Manifest { .. } => Some(
                "bring the file back from a backup or the store's versions, or write to another place",
            ),
            Error::Newer { .. } => Some("install that version, or write to another place"),
            Error::Threshold { .. } => Some(
                "correct the records, or let more of them pass: without --error-threshold they are set aside in \
                 _quarantine/",
            ),
            Error::Drift(_) => Some("--drift evolve widens the tables"),
            Error::Panicked => Some("please report it, with the last lines of the log"),
            _ if self.exit_code() == 75 => Some("the same run can succeed later: try again"),
            _ => None,
        }
    }

    /// The exit code, after sysexits; 75 alone says that a retry can help.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Option { .. }
            | Error::Conflict(_)
            | Error::OtherInput { .. }
            | Error::Replaced { .. }
            | Error::SameStream { .. } => 64,
            Error::Landing(RawError::Lost(_))
            | Error::Key { .. }
            | Error::Limit { .. }
            | Error::Threshold { .. }
            | Error::Drift(_)
            | Error::Inconsistent { .. } => 65,
            Error::NoInput { .. }
            | Error::NotPlanned { .. }
            | Error::PlanVoid { .. }
            | Error::ShardsMissing { .. }
            | Error::Unknown { .. }
            | Error::NothingCommitted { .. }
            | Error::NothingLanded { .. } => 66,
            Error::Place(error) => place_code(error),
            Error::Output { source, .. } | Error::Report { source, .. } => output_code(source),
            Error::Read { source, .. } => read_code(source),
            Error::Write { source, .. } => {
                place_error(source).map_or_else(|| write_code(source), output_code)
            }
            Error::Landing(_)
            | Error::Decode { .. }
            | Error::Manifest { .. }
            | Error::Newer { .. } => 74,
            Error::Encode(_) => 74,
            Error::Contended { .. } => 75,
            Error::Stopped(Signal::Interrupt) => 130,
            Error::Stopped(Signal::Terminate) => 143,
            Error::Panicked | Error::Json { .. } => 70,
        }
    }
}

/// The first of many numbers, for a message.
fn numbers(numbers: &[usize]) -> String {
    const MAX_SHOWN: usize = 10;
    let shown: Vec<String> = numbers.iter().take(MAX_SHOWN).map(usize::to_string).collect();
    let rest = if numbers.len() > MAX_SHOWN { ", …" } else { "" };
    shown.join(", ") + rest
}

/// The folder of a source's parts.
fn source_folder(root: &str, source: &str) -> String {
    format!("{}/data/source={source}", root.trim_end_matches('/'))
}

/// How many files, in words.
fn other_files(number: u64) -> String {
    match number {
        1 => "1 other file".to_owned(),
        _ => format!("{number} other files"),
    }
}

/// What is not there when it is to be written is no missing input.
fn output_code(error: &PlaceError) -> u8 {
    match place_code(error) {
        66 => 73,
        code => code,
    }
}

fn place_error(error: &io::Error) -> Option<&PlaceError> {
    error.get_ref()?.downcast_ref()
}

const ASK_FOR_ACCESS: &str = "the account of this program needs access; for stores, credentials come from the \
     environment (AWS_*, GOOGLE_*, AZURE_*) or the machine's role";

/// The exit code for what a place said.
pub fn place_code(error: &PlaceError) -> u8 {
    if error.is_permission_denied() {
        77
    } else if error.is_retryable() {
        75
    } else if error.is_not_found() {
        66
    } else if matches!(error, PlaceError::Connect { .. }) {
        // What the environment says of the store.
        78
    } else if matches!(error.kind(), FaultKind::User) {
        64
    } else {
        74
    }
}

fn read_code(error: &io::Error) -> u8 {
    if let Some(error) = place_error(error) {
        return place_code(error);
    }
    match error.kind() {
        io::ErrorKind::NotFound => 66,
        io::ErrorKind::PermissionDenied => 77,
        // What the decompressor says of a damaged or truncated stream.
        io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::Other => 65,
        _ => 74,
    }
}

fn write_code(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::PermissionDenied => 77,
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => 73,
        _ => 74,
    }
}
