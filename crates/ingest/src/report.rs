//! What a run reports.

use serde::Serialize;

/// How a run went.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The name of the source.
    pub source: String,
    /// The run's id.
    pub run_id: String,
    /// `succeeded`, or `failed` when a stream failed.
    pub outcome: &'static str,
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
    /// It was not begun, since its parent failed.
    NotBegun,
}
