//! What a merge did, in Delta's words (M10).

use serde::Serialize;
use solder_relationalize::clock::Times;
use solder_relationalize::relation::Column;

use crate::maintain::Finding;

/// The report of `engine merge`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MergeReport {
    /// Nothing was written.
    pub dry_run: bool,
    /// What was expected of the staged rows, and does not hold; none of it is a failure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The entities; one stands here twice when a merge of it that had broken off was finished first.
    pub entities: Vec<EntityReport>,
    /// When it ran, and where its time went.
    #[serde(flatten)]
    pub times: Times,
}

/// What became of one entity.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EntityReport {
    /// Its root table.
    pub name: String,
    /// How its rows came in.
    pub mode: &'static str,
    /// The staged run up to which it is merged.
    pub sequence: u64,
    /// The staged run up to which it was merged before.
    pub sequence_before: u64,
    /// The last staged run. A dry run ends before it where a merge that has broken off comes first: what the
    /// newer runs bring hangs on its rows.
    pub sequence_staged: u64,
    /// It is what was left of a merge that had broken off.
    pub resumed: bool,
    /// It was merged up to there before, and this time nothing was done.
    pub already_merged: bool,
    /// Records in the runs that were merged.
    pub num_records: u64,
    /// Records that a newer one of the same key made needless.
    pub num_records_superseded: u64,
    /// Records older than their row in the lake.
    pub num_records_late: u64,
    /// Deletions of records that are not in the lake.
    pub num_deletes_absent: u64,
    /// Records set aside, since they lack their key.
    pub num_records_quarantined: u64,
    /// Where those are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// The tables, children first, root last, as they were committed.
    pub tables: Vec<TableReport>,
}

/// What became of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Its name.
    pub name: String,
    /// Its version before; `None` when it was not there.
    pub version_before: Option<u64>,
    /// Its version after.
    pub version: Option<u64>,
    /// The table had this run already, from a merge that was broken off.
    pub already_merged: bool,
    /// Columns that are new.
    pub columns_added: Vec<String>,
    /// Columns with a wider type.
    pub columns_widened: Vec<String>,
    /// All columns; too much for a report, and told to observers who ask (O4).
    #[serde(skip)]
    pub schema: Vec<Column>,
    /// Counts.
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// Counts of one commit, by Delta's names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metrics {
    /// Staged rows of this table.
    pub num_source_rows: u64,
    /// Rows that were not there.
    pub num_target_rows_inserted: u64,
    /// Rows that were replaced.
    pub num_target_rows_updated: u64,
    /// Rows that went.
    pub num_target_rows_deleted: u64,
    /// Rows written anew only since their file was.
    pub num_target_rows_copied: u64,
    /// Files that were opened.
    pub num_target_files_scanned: u64,
    /// Files that statistics left out.
    pub num_target_files_skipped: u64,
    /// Files that are new.
    pub num_target_files_added: u64,
    /// Files that went.
    pub num_target_files_removed: u64,
    /// Files whose rows were marked as deleted instead.
    pub num_deletion_vectors: u64,
}
