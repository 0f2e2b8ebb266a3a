//! What counts on its own, and who takes it.

use std::ops::AddAssign;

use async_trait::async_trait;

use super::WalkError;
use super::page::Page;
use super::slices::ParentRecord;
use super::spool::Spool;
use super::state::PartitionState;
use crate::cursor::CursorRange;
use crate::progress::CutShort;

/// Records that count together, and the state after them.
pub(crate) struct Unit {
    /// The partition's name in states.
    pub(crate) partition: String,
    pub(crate) records: Gathered,
    /// The state after these records; `None` where the stream keeps none.
    pub(crate) state: Option<PartitionState>,
}

/// What pages have given that no unit has taken yet.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) lines: Spool,
    pub(crate) num_records: u64,
    /// Of the lines.
    pub(crate) cursors: Option<CursorRange>,
    pub(crate) num_pages: u64,
    pub(crate) oddities: Oddities,
    /// What children of the stream need of its records.
    pub(crate) parents: Vec<(usize, ParentRecord)>,
}

/// Records that were not taken as they came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Oddities {
    /// Landed before.
    pub(crate) num_repeated: u64,
    /// Older than what is asked for.
    pub(crate) num_older: u64,
    /// Taken, with a secret blanked.
    pub(crate) num_redacted: u64,
}

/// Who takes units: what is taken counts with the next commit.
#[async_trait]
pub(crate) trait UnitSink: Send + Sync {
    /// Takes a unit; waits while too many are under way.
    async fn take(&self, unit: Unit) -> Result<(), WalkError>;

    /// Is told that a rule ended a partition after its first page.
    fn cut_short(&self, _: CutShort) {}
}

impl Gathered {
    pub(crate) fn add(&mut self, page: Page) -> Result<(), WalkError> {
        self.num_records += page.num_kept;
        self.num_pages += 1;
        self.oddities += page.oddities;
        CursorRange::join(&mut self.cursors, page.kept_cursors);
        self.parents.extend(page.parents);
        self.lines.take(page.lines).map_err(WalkError::Spool)
    }
}

impl AddAssign for Oddities {
    fn add_assign(&mut self, other: Self) {
        self.num_repeated += other.num_repeated;
        self.num_older += other.num_older;
        self.num_redacted += other.num_redacted;
    }
}
