//! What a merge commits to a table (M8).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::TryStreamExt;
use serde_json::json;
use solder_landing::pause_at;
use solder_relationalize::clock::Phase;

use crate::delta::{Operation, Outcome, Table, commit, schema};
use crate::error::Error;
use crate::files::BoxedRows;
use crate::merge::apply::{Apply, Going};
use crate::merge::history;
use crate::merge::report::{Metrics, TableReport};
use crate::merge::settings::Mode;

use super::Merging;
use super::target::{Target, live_rows};

impl Merging<'_> {
    /// Writes the files of a table's change and commits it; `None` when overtaken.
    pub(super) async fn apply(
        &self,
        target: &Target<'_>,
        going: Going,
        coming: Vec<BoxedRows>,
        planned: Metrics,
        mut report: TableReport,
        properties: &[(String, String)],
    ) -> Result<Option<TableReport>, Error> {
        let table = target.folder.name.as_str();
        self.clock.lap_of(Phase::Join, table);
        let apply = Apply {
            folder: &target.folder,
            table: target.table.as_ref(),
            evolution: &target.evolution,
            alignment: &target.own,
            workers: self.workers,
            deletion_vectors: self.marks_rows(target),
        };
        let counted = Arc::new(AtomicU64::new(0));
        let counting = coming.into_iter().map(|rows| {
            let counted = Arc::clone(&counted);
            Box::pin(rows.inspect_ok(move |batch| {
                counted.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            })) as BoxedRows
        });
        let counting = counting.collect();
        let all_gone = matches!(going, Going::All);
        let (mut change, files) = apply.stage(going, counting).await?;
        self.clock.lap_of(Phase::Write, table);
        let num_coming = counted.load(Ordering::Relaxed);
        pause_at("merge-files-written");
        let mut metrics = Metrics {
            num_target_rows_copied: files.num_target_rows_copied,
            num_target_files_added: files.num_target_files_added,
            num_target_files_removed: files.num_target_files_removed,
            num_deletion_vectors: files.num_deletion_vectors,
            ..planned
        };
        if metrics.num_target_rows_inserted + metrics.num_target_rows_updated == 0 {
            metrics.num_target_rows_inserted = num_coming;
        }
        if all_gone && let Some(table) = &target.table {
            metrics.num_target_rows_deleted = live_rows(table)?;
        }
        change.properties.extend(self.properties(target));
        change.properties.extend(properties.iter().cloned());
        if !change.properties.is_empty() && change.columns.is_none() {
            change.columns = Some(target.evolution.columns.clone());
        }
        change.operation = match self.matching.mode {
            Mode::Append => Operation::Append,
            Mode::Overwrite => Operation::Overwrite,
            Mode::Upsert | Mode::InsertOnly | Mode::Scd2 => Operation::Merge,
        };
        let sequence = i64::try_from(self.batch.until).unwrap_or(i64::MAX);
        change.transactions = vec![(self.app_id(), sequence)];
        change.metrics =
            serde_json::to_value(&metrics).map_err(|error| Error::Internal(Box::new(error)))?;
        change.origin = self.origin();
        report.metrics = metrics;
        let outcome = commit(&target.folder, target.table.as_ref(), change).await?;
        self.clock.lap_of(Phase::Commit, table);
        match outcome {
            Outcome::Committed(version) => {
                report.version = Some(version);
                Ok(Some(report))
            }
            Outcome::Overtaken => Ok(None),
        }
    }

    /// What a table says of its place in the entity, where it does not say so yet.
    pub(super) fn properties(&self, target: &Target<'_>) -> Vec<(String, String)> {
        let says = |table: &Table| table.property(schema::ROOT).is_some();
        let Some(staged) = target.staged.filter(|_| !target.table.as_ref().is_some_and(says))
        else {
            return Vec::new();
        };
        let mut properties =
            vec![(schema::ROOT, self.entity.name.clone()), (schema::PATH, staged.path.clone())];
        match &staged.parent {
            Some(parent) => properties.push((schema::PARENT, parent.clone())),
            // Of rows that are appended, a key may stand many times.
            None if self.matching.mode.needs_key() => {
                properties.push((schema::KEY, history::key_property(&self.matching)));
                if self.matching.mode == Mode::Scd2 {
                    let order_by = self.matching.order_by.first().cloned();
                    properties.extend(order_by.map(|column| (schema::HISTORY, column)));
                }
            }
            None => {}
        }
        properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    pub(super) fn origin(&self) -> serde_json::Value {
        json!({
            "staging": self.staging.id,
            "run": self.batch.run_id,
            "sequence": self.batch.until,
            "mode": self.matching.mode.name(),
        })
    }
}
