//! One commit of a stream, as it stands in its file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is known of each partition of a stream, by the partition's text (empty when there is but one).
/// What a state holds is the writer's matter.
pub type PartitionStates = BTreeMap<String, serde_json::Value>;

/// How the records of a run stand to those committed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They come to them.
    Append,
    /// They replace them: what was committed before no longer counts.
    Replace,
}

/// A commit: the parts that count from now on, and where the next run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format: 1.
    pub version: u32,
    /// The name of the source.
    pub source: String,
    /// The name of the stream.
    pub stream: String,
    /// The number of this commit, from 1, without gaps.
    pub sequence: u64,
    /// The run that committed.
    pub run_id: String,
    /// Whether the run had come to its end, or commits what it has so far.
    pub is_last_of_run: bool,
    /// How its records stand to those before.
    pub mode: Mode,
    /// The declared key, as JSON paths; empty when there is none.
    pub primary_key: Vec<String>,
    /// The program and its version.
    pub program: String,
    /// When the run began (RFC 3339, UTC).
    pub started_at: String,
    /// When it committed (RFC 3339, UTC).
    pub committed_at: String,
    /// The parts.
    pub files: Vec<DataFile>,
    /// The states of the partitions that this commit moved.
    pub state: PartitionStates,
    /// What the run counted up to this commit, by name.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
}

/// A part: one object of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its key below `raw/`.
    pub key: String,
    /// Its size in bytes, compressed.
    pub size_bytes: u64,
    /// The records in it.
    pub num_records: u64,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// The lowest and the highest cursor of its records, where the stream has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor_range: Option<(String, String)>,
}

/// All of a stream's state, as of a commit: what is derived from the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) version: u32,
    pub(super) sequence: u64,
    pub(super) state: PartitionStates,
}

/// Where a stream's log stood when a run first began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunBegin {
    pub(super) version: u32,
    pub(super) run_id: String,
    pub(super) after_sequence: u64,
}
