//! Child tables: all rows below a record that was replaced or deleted go, and those of the batch come (M6).

use solder_relationalize::tables::{JoinColumn, join_columns};

use crate::error::Error;
use crate::merge::apply::{Going, by_file};
use crate::merge::fates::places;
use crate::merge::report::{Metrics, TableReport};
use crate::merge::scan::Scan;
use crate::merge::session::{self, Session, quoted};
use crate::merge::settings::Mode;

use super::incoming::SURVIVING;
use super::records::Plan;
use super::target::Target;
use super::{Merging, Stands};

impl Merging<'_> {
    /// Brings a child table to the state of the surviving roots (M6); `None` when overtaken.
    pub(super) async fn child(
        &self,
        session: &Session,
        plan: &Plan,
        child: &Target<'_>,
        stands: Stands,
    ) -> Result<Option<TableReport>, Error> {
        let mut report = child.report();
        let mut after = self.after();
        if let Some(table) = &child.table {
            let merged = self.merged(Some(table)).await?;
            if merged >= self.batch.until {
                report.already_merged = true;
                report.version = Some(table.version());
                return Ok(Some(report));
            }
            if self.matching.mode == Mode::Append {
                after = merged;
            }
        }
        let (going, mut metrics) = self.child_rows_that_go(session, plan, child, stands).await?;
        let coming = self.coming(session, plan, child, after, &SURVIVING, &mut metrics).await?;
        self.apply(child, going, coming, metrics, report, &[]).await
    }

    /// The rows of a child table that go.
    pub(super) async fn child_rows_that_go(
        &self,
        session: &Session,
        plan: &Plan,
        child: &Target<'_>,
        stands: Stands,
    ) -> Result<(Going, Metrics), Error> {
        let mut metrics = Metrics::default();
        let (Some(table), Some(fates)) = (&child.table, &plan.fates) else {
            let all = self.matching.mode == Mode::Overwrite;
            return Ok((if all { Going::All } else { Going::None }, metrics));
        };
        if self.matching.mode == Mode::Overwrite {
            return Ok((Going::All, metrics));
        }
        // A merge that was broken off may have brought rows below records that the root does not have yet.
        // Some of those a run since then deletes, and to the root they are as good as never seen.
        let has_less = stands == Stands::BegunWithLess;
        let gone = match has_less {
            true => "'update', 'delete', 'insert', 'absent'",
            false => "'update', 'delete'",
        };
        let links = self.links(child);
        if links.is_empty() || (!has_less && fates.count("update") + fates.count("delete") == 0) {
            return Ok((Going::None, metrics));
        }
        let bounds: Vec<_> =
            links.iter().map(|(column, part)| (column.clone(), fates.link(*part))).collect();
        let scan = Scan::find(table, &bounds).await?;
        let columns: Vec<String> = links.iter().map(|(column, _)| column.clone()).collect();
        session.add_table("target", scan.provider(table, &columns, self.workers.threads())?)?;
        let names: Vec<String> = links.iter().map(|(_, part)| format!("link_{part}")).collect();
        let same: Vec<String> = links
            .iter()
            .map(|(column, part)| format!("target.{} = gone.link_{part}", quoted(column)))
            .collect();
        let rows = places(
            session,
            session::REPLACED,
            &[("links", &names.join(", ")), ("fates", gone), ("same_root", &same.join(" AND "))],
        )
        .await?;
        metrics.num_target_rows_deleted = rows.len() as u64;
        metrics.num_target_files_scanned = scan.sources.len() as u64;
        metrics.num_target_files_skipped = (scan.num_files - scan.sources.len()) as u64;
        let rows = rows.into_iter().map(|met| (met.file, met.row));
        Ok((Going::Rows(by_file(&scan.sources, rows)), metrics))
    }

    /// The columns of a child table that lead to its root, each with the part of the records' identity that
    /// it is, from 1.
    fn links(&self, child: &Target<'_>) -> Vec<(String, usize)> {
        let identity = &self.matching.identity;
        let pairs = join_columns(&child.evolution.columns, &self.root.columns, |part, _| {
            identity.get(part)
        });
        let part = |root: &String| identity.iter().position(|column| column == root);
        let link = |pair: JoinColumn| Some((pair.column, part(&pair.references)? + 1));
        pairs.into_iter().filter_map(link).collect()
    }
}
