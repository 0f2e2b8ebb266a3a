//! A dry run: the counts of a merge, and nothing written (M10).

use futures::{StreamExt, TryStreamExt};
use solder_relationalize::clock::Phase;

use crate::error::Error;
use crate::merge::apply::Going;
use crate::merge::report::{EntityReport, TableReport};
use crate::merge::session::Session;
use crate::merge::settings::Mode;

use super::incoming::{RootFates, SURVIVING};
use super::records::Plan;
use super::target::{Target, live_rows};
use super::{Merging, Stands};

impl Merging<'_> {
    /// Counts what a merge would do (M10).
    pub(super) async fn rehearse(
        &self,
        session: &Session,
        plan: &Plan,
        children: &[Target<'_>],
        root: &Target<'_>,
        report: &mut EntityReport,
    ) -> Result<(), Error> {
        for target in children.iter().chain([root]) {
            let is_root = target.folder.name == self.entity.name;
            if !is_root && self.merged(target.table.as_ref()).await? >= self.batch.until {
                report.tables.push(TableReport { already_merged: true, ..target.report() });
                continue;
            }
            let (going, mut metrics) = match is_root {
                true => (Going::None, plan.root_metrics(&RootFates::of(self.matching.mode))),
                false => self.child_rows_that_go(session, plan, target, Stands::Before).await?,
            };
            let coming =
                self.coming(session, plan, target, self.after(), &SURVIVING, &mut metrics).await?;
            // Of records that are matched, the root's rows are counted already.
            if !is_root || plan.fates.is_none() {
                let mut coming = futures::stream::iter(coming).flatten();
                while let Some(batch) = coming.try_next().await? {
                    metrics.num_target_rows_inserted += batch.num_rows() as u64;
                }
            }
            if (matches!(going, Going::All) || self.matching.mode == Mode::Overwrite)
                && let Some(table) = &target.table
            {
                metrics.num_target_rows_deleted = live_rows(table)?;
            }
            report.tables.push(TableReport { metrics, ..target.report() });
            self.clock.lap_of(Phase::Join, &target.folder.name);
        }
        Ok(())
    }
}
