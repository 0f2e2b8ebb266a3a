//! What a run did: for people as a table, for machines as JSON.

use serde::{Deserialize, Serialize};
use solder_landing::Requests;

use crate::clock::Times;
use crate::relation::Column;
use crate::shred::Counts;

/// The report of `engine relationalize`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The run's id.
    pub run_id: String,
    /// The number of its commit; 0 when there was nothing to commit.
    pub sequence: u64,
    /// The run was committed before, and this time nothing was done.
    pub already_committed: bool,
    /// Records that became rows.
    pub records_read: u64,
    /// Records set aside.
    pub records_quarantined: u64,
    /// Where and why, of the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_quarantined: Option<String>,
    /// Where and why, of the first twenty of each entity; values are not told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<String>,
    /// The files that hold them all, with their bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quarantine_files: Vec<String>,
    /// Bytes of JSON, decompressed.
    pub bytes_read: u64,
    /// Objects read.
    pub objects_read: u64,
    /// Objects that the bookmark passes over.
    pub objects_skipped: u64,
    /// Objects read again since they changed (R20).
    pub objects_changed: Vec<String>,
    /// Other files in the input, left alone.
    pub objects_ignored: u64,
    /// What was read through manifests; absent when the input is no landing zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing: Option<LandingReport>,
    /// What stores were asked, for input and output together; absent when both are on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
    /// When it ran, and where its time went.
    #[serde(flatten)]
    pub times: Times,
    /// The tables written.
    pub tables: Vec<TableReport>,
    /// What is new or wider than in earlier runs (R11).
    pub changes: Vec<Change>,
    /// Paths that hold values of several kinds (R13).
    pub choices: Vec<Choice>,
    /// Objects found to be maps (R10).
    pub maps: Vec<MapReport>,
    /// Options that found nothing to act on, as given.
    pub unused_options: Vec<String>,
    /// What was changed on the way.
    pub counts: Counts,
}

/// What a landing zone held for a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandingReport {
    /// Its root.
    pub root: String,
    /// Streams that the input names.
    pub streams: u64,
    /// Their parts that count.
    pub parts: u64,
    /// Objects that do not count: not committed, or replaced by a later commit.
    pub parts_left_out: u64,
    /// Entities whose tables were replaced, since their streams were (R20).
    pub replaced: Vec<String>,
}

/// A table after the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Its name.
    pub name: String,
    /// Rows that it holds.
    pub rows: u64,
    /// Rows of this run.
    pub rows_written: u64,
    /// Columns.
    pub columns: usize,
    /// What they are; too much for a report, and told to observers who ask (O4).
    #[serde(skip)]
    pub schema: Vec<Column>,
    /// Files.
    pub files: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// The table above.
    pub parent: Option<String>,
}

/// Something new in a shape that was committed before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A table.
    NewTable {
        /// Its name.
        table: String,
        /// The path of its rows.
        path: String,
    },
    /// A column.
    NewColumn {
        /// Its table.
        table: String,
        /// Its name.
        column: String,
        /// Its path.
        path: String,
        /// Its type.
        to: String,
    },
    /// A column of another type.
    NewType {
        /// Its table.
        table: String,
        /// Its name.
        column: String,
        /// Its path.
        path: String,
        /// The type before.
        from: String,
        /// The type now.
        to: String,
    },
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Change::NewTable { table, path } => write!(f, "new table {table} (from {path})"),
            Change::NewColumn { table, column, path, to } => {
                write!(f, "new column {table}.{column}, {to} (from {path})")
            }
            Change::NewType { table, column, path, from, to } => {
                write!(f, "{table}.{column} was {from}, is {to} now (from {path})")
            }
        }
    }
}

/// A path that holds values of several kinds, and where they went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The entity.
    pub entity: String,
    /// The path.
    pub path: String,
    /// The kinds seen.
    pub kinds: Vec<&'static str>,
    /// The columns and tables that hold them.
    pub kept_as: Vec<String>,
}

/// An object used as a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MapReport {
    /// The entity.
    pub entity: String,
    /// The path.
    pub path: String,
    /// Whether it became a table, or has columns from an earlier run and keeps them.
    pub kept_as_table: bool,
}
