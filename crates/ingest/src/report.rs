//! What a run reports.

use serde::Serialize;

use crate::land::Landed;
use crate::source::plan::Stream;

/// How a run went.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The name of the source.
    pub source: String,
    /// The run's id.
    pub run_id: String,
    /// `succeeded`; `failed` when a stream failed; `stopped` when the run's time was over and more is left.
    pub outcome: &'static str,
    /// Whether a run with the same id goes on from here, and has to.
    pub more: bool,
    /// When it began (RFC 3339, UTC).
    pub started_at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// Its streams.
    pub streams: Vec<StreamReport>,
}

/// How a stream went.
#[derive(Debug, Clone, Serialize)]
pub struct StreamReport {
    /// Its name.
    pub stream: String,
    /// How it ended.
    pub outcome: StreamOutcome,
    /// Whether the run's time was over before the stream's end: a run with the same id goes on from here.
    pub more_is_left: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The partitions that were to be read.
    pub num_partitions: u64,
    /// Requests sent, with all attempts.
    pub num_requests: u64,
    /// Attempts beyond the first of each request.
    pub num_retries: u64,
    /// Pages that were read.
    pub num_pages: u64,
    /// Records that were landed.
    pub num_records: u64,
    /// Records that were landed before, and were left out.
    pub num_repeated: u64,
    /// Records older than the run's begin, from an API that cannot be asked for newer ones alone.
    pub num_older: u64,
    /// Records in which a secret was found and blanked.
    pub num_redacted: u64,
    /// Partitions that a rule ended after their first page.
    pub num_cut_short: u64,
    /// Records of their pages that are not landed, and that the next run asks for again.
    pub num_dropped: u64,
    /// Bytes of answers, as they came.
    pub num_body_bytes: u64,
    /// Parts that count.
    pub num_files: u64,
    /// Their size in bytes, compressed.
    pub num_file_bytes: u64,
    /// Commits of this run.
    pub num_commits: u64,
    /// The last commit of the stream.
    pub sequence: u64,
    /// Pages that came whole, whether or not they count.
    #[serde(skip)]
    pub(crate) num_pages_read: u64,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamOutcome {
    /// All of it is landed and committed.
    Committed,
    /// The run with this id had committed it before.
    AlreadyCommitted,
    /// It failed; what could be committed is.
    Failed,
    /// The run's time was over; what could be committed is.
    Stopped,
    /// It was not begun, since its parent failed or was stopped, or the run's time was over.
    NotBegun,
}

impl StreamReport {
    /// Of a stream that begins.
    pub(crate) fn begun(stream: &Stream) -> Self {
        Self {
            stream: stream.name.stream().to_owned(),
            outcome: StreamOutcome::Committed,
            more_is_left: false,
            error: None,
            num_partitions: 0,
            num_requests: 0,
            num_retries: 0,
            num_pages: 0,
            num_records: 0,
            num_repeated: 0,
            num_older: 0,
            num_redacted: 0,
            num_cut_short: 0,
            num_dropped: 0,
            num_body_bytes: 0,
            num_files: 0,
            num_file_bytes: 0,
            num_commits: 0,
            sequence: 0,
            num_pages_read: 0,
        }
    }

    /// Counts what was landed.
    pub(crate) fn count(&mut self, landed: &Landed) {
        self.num_pages = landed.num_pages;
        self.num_records = landed.num_records;
        self.num_repeated = landed.oddities.num_repeated;
        self.num_older = landed.oddities.num_older;
        self.num_redacted = landed.oddities.num_redacted;
        self.num_files = landed.num_files;
        self.num_file_bytes = landed.num_bytes;
        self.num_commits = landed.num_commits;
        self.sequence = landed.sequence;
    }
}
