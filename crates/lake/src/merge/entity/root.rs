//! The root: rows that are replaced get their new values in their place, and the merge ends (M8, M9).

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_select::concat::concat_batches;
use futures::{StreamExt, TryStreamExt};

use crate::delta::schema;
use crate::error::Error;
use crate::files::{BoxedRows, Source};
use crate::merge::align::Alignment;
use crate::merge::apply::{Going, by_file, with_updates};
use crate::merge::fates::{Fates, places, sources};
use crate::merge::report::{Metrics, TableReport};
use crate::merge::session::{self, Session, quoted};
use crate::merge::settings::Mode;
use crate::merge::staging::SEQUENCE;

use super::Merging;
use super::incoming::SURVIVING;
use super::records::Plan;
use super::target::Target;

/// Rows that replace others.
struct NewValues {
    /// The rows, with the columns of the table.
    values: RecordBatch,
    /// The row of each record, by the record's number.
    records: HashMap<i64, usize>,
}

impl Merging<'_> {
    /// Brings the root's rows, and ends the merge; `None` when overtaken.
    pub(super) async fn root(
        &self,
        session: &Session,
        plan: &Plan,
        root: &Target<'_>,
        ends: bool,
    ) -> Result<Option<TableReport>, Error> {
        let mut metrics = Metrics::default();
        let mut fates_that_come = SURVIVING;
        let going = match (&plan.fates, self.matching.mode) {
            (_, Mode::Overwrite) => Going::All,
            (None, _) => Going::None,
            (Some(fates), _) => {
                metrics.num_target_rows_inserted = fates.count("insert");
                metrics.num_target_rows_updated = fates.count("update") + fates.count("mark");
                metrics.num_target_rows_deleted = fates.count("delete");
                let sources = sources(plan.scan.as_ref());
                match self.updates(session, fates, root).await? {
                    Some(values) => {
                        fates_that_come = "'insert'";
                        self.in_place(session, &sources, values).await?
                    }
                    None => {
                        let fates = [("fates", "'update', 'delete', 'mark'")];
                        let rows = places(session, session::TOUCHED, &fates).await?;
                        let rows = rows.into_iter().map(|met| (met.file, met.row));
                        Going::Rows(by_file(&sources, rows))
                    }
                }
            }
        };
        if let Some(scan) = &plan.scan {
            metrics.num_target_files_scanned = scan.sources.len() as u64;
            metrics.num_target_files_skipped = (scan.num_files - scan.sources.len()) as u64;
        }
        let marked = self.marked(session, plan, root).await?;
        let mut coming =
            self.coming(session, plan, root, self.after(), fates_that_come, &mut metrics).await?;
        coming.extend(marked);
        // Without a value, the property goes.
        let end = (schema::MERGING.to_owned(), String::new());
        let properties = if ends { vec![end] } else { Vec::new() };
        self.apply(root, going, coming, metrics, root.report(), &properties).await
    }

    /// The new values of the root's rows that are replaced, where rows can be replaced in their place:
    /// files are rewritten, and the values fit into a part of the memory.
    async fn updates(
        &self,
        session: &Session,
        fates: &Fates,
        root: &Target<'_>,
    ) -> Result<Option<NewValues>, Error> {
        if self.marks_rows(root) || fates.count("update") == 0 || !root.evolution.widened.is_empty()
        {
            return Ok(None);
        }
        self.stage(session, self.root, self.after()).await?;
        let columns = format!("{}, {SEQUENCE}", self.staged_columns(self.root));
        let values = [("columns", columns.as_str()), ("fates", "'update'")];
        let mut rows = session.stream(session::ROWS, &values).await?;
        let (mut batches, mut records, mut num_bytes) = (Vec::new(), HashMap::new(), 0);
        while let Some(batch) = rows.try_next().await? {
            let Some(numbers) = batch.column_by_name(SEQUENCE) else { return Ok(None) };
            for number in numbers.as_primitive::<Int64Type>().values() {
                records.insert(*number, records.len());
            }
            let batch = root.incoming.batch(&batch)?;
            num_bytes += batch.get_array_memory_size();
            if num_bytes > self.settings.memory_bytes / 4 {
                return Ok(None);
            }
            batches.push(batch);
        }
        let schema = root.incoming.schema();
        let values = concat_batches(schema, &batches);
        let values = values.map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(Some(NewValues { values, records }))
    }

    /// The root's rows that go, and those that get new values.
    async fn in_place(
        &self,
        session: &Session,
        sources: &[Source],
        new: NewValues,
    ) -> Result<Going, Error> {
        let fates = [("fates", "'delete', 'mark'")];
        let gone = places(session, session::TOUCHED, &fates).await?;
        let met = places(session, session::TOUCHED, &[("fates", "'update'")]).await?;
        let updates = met
            .into_iter()
            .filter_map(|met| Some((met.file, met.row, *new.records.get(&met.record)?)));
        let gone = gone.into_iter().map(|met| (met.file, met.row)).collect();
        let unchanged = Arc::new(self.matching.key.clone());
        let losing = with_updates(sources, gone, updates.collect(), &new.values, &unchanged);
        Ok(Going::Rows(losing))
    }

    /// The rows of the root that are marked as deleted, as they will stand (M5).
    async fn marked(
        &self,
        session: &Session,
        plan: &Plan,
        root: &Target<'_>,
    ) -> Result<Option<BoxedRows>, Error> {
        let (Some(table), Some(scan), Some(marker)) =
            (&root.table, &plan.scan, &self.matching.soft_delete)
        else {
            return Ok(None);
        };
        if plan.fates.as_ref().is_none_or(|fates| fates.count("mark") == 0) {
            return Ok(None);
        }
        let all: Vec<String> =
            table.schema().fields().iter().map(|field| field.name().clone()).collect();
        session.add_table("target", scan.provider(table, &all, self.workers.threads())?)?;
        let mut columns: Vec<String> = Vec::new();
        for column in &root.evolution.columns {
            let order = self.matching.order_by.iter().position(|name| *name == column.name);
            columns.push(match order {
                _ if column.name == *marker => format!("true AS {}", quoted(marker)),
                Some(part) => format!("fates.order_{} AS {}", part + 1, quoted(&column.name)),
                None if all.contains(&column.name) => format!("target.{}", quoted(&column.name)),
                None => continue,
            });
        }
        let rows = session.stream(session::MARKED, &[("columns", &columns.join(", "))]).await?;
        // What comes of the target has its types, and the marker that of the table to be.
        let mut from = root.own.from().to_vec();
        from.retain(|column| column.name != *marker);
        from.extend(root.evolution.columns.iter().find(|column| column.name == *marker).cloned());
        let alignment = Alignment::new(&root.folder.name, &from, &root.evolution.columns);
        Ok(Some(Box::pin(rows.map(move |batch| alignment.batch(&batch?)))))
    }
}
