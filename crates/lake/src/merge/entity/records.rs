//! What becomes of the records of a batch.

use crate::error::Error;
use crate::merge::fates::Fates;
use crate::merge::report::{EntityReport, Metrics};
use crate::merge::scan::Scan;
use crate::merge::session::Session;
use crate::merge::settings::Mode;

use super::Merging;
use super::incoming::RootFates;
use super::target::Target;

/// What becomes of the records; `None` of fates where every staged row simply comes.
pub(super) struct Plan {
    pub fates: Option<Fates>,
    /// The files of the root that may hold a staged key.
    pub scan: Option<Scan>,
    /// The root's rows whose validity changes, where it keeps history: file and row.
    pub moved: Vec<(u32, i64)>,
    /// Every staged row comes.
    pub takes_all: bool,
}

impl Plan {
    /// Counts of the root's rows, where records are matched.
    pub fn root_metrics(&self, fates: &RootFates) -> Metrics {
        let num_moved = self.moved.len() as u64;
        Metrics {
            num_target_rows_inserted: self.count(fates.new),
            num_target_rows_updated: self.count(fates.replaced) + self.count(&["mark"]) + num_moved,
            num_target_rows_deleted: self.count(fates.gone),
            ..Metrics::default()
        }
    }

    /// How many records have one of some fates.
    pub fn count(&self, fates: &[&str]) -> u64 {
        let found = self.fates.iter();
        found.flat_map(|found| fates.iter().map(|fate| found.count(fate))).sum()
    }
}

impl Merging<'_> {
    /// Decides what becomes of the batch's records.
    pub(super) async fn plan(
        &self,
        session: &Session,
        root: &Target<'_>,
        report: &mut EntityReport,
    ) -> Result<Plan, Error> {
        let files = self.root.files_within(self.after(), self.batch.until);
        report.num_records = files.iter().map(|file| file.num_rows).sum();
        if self.matching.key.is_empty() || self.matching.mode == Mode::Append {
            return Ok(Plan { fates: None, scan: None, moved: Vec::new(), takes_all: true });
        }
        self.set_keyless_aside(session, report).await?;
        let newest = self.matching.newest(session).await?;
        let met = match self.matching.mode {
            Mode::Overwrite => None,
            _ => root.table.as_ref(),
        };
        let (fates, scan) =
            self.matching.fates(session, &newest, met, self.workers.threads()).await?;
        report.num_records_superseded =
            report.num_records.saturating_sub(newest.num_records + report.num_records_quarantined);
        report.num_records_late = fates.count("late");
        if self.matching.mode == Mode::Scd2 {
            let moved = self.matching.versions(session).await?;
            return Ok(Plan { fates: Some(fates), scan, moved, takes_all: false });
        }
        report.num_deletes_absent = fates.count("absent");
        let takes_all = fates.count("insert") == report.num_records;
        Ok(Plan { fates: Some(fates), scan, moved: Vec::new(), takes_all })
    }
}
