//! The root: rows that are replaced get their new values in their place, and the merge ends (M8, M9).

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_select::concat::concat_batches;
use futures::{StreamExt, TryStreamExt};

use crate::delta::schema;
use crate::error::Error;
use crate::files::{BoxedRows, Source};
use crate::merge::apply::{Going, by_file, with_updates};
use crate::merge::fates::{Met, places, sources};
use crate::merge::history;
use crate::merge::report::TableReport;
use crate::merge::scan::{FILE, ROW};
use crate::merge::session::{self, Session};
use crate::merge::settings::Mode;
use crate::merge::staging::SEQUENCE;

use super::Merging;
use super::incoming::{RootFates, listed};
use super::records::Plan;
use super::target::Target;

/// Rows that take the place of others.
#[derive(Default)]
struct NewValues {
    /// The rows, with the columns of the table.
    batches: Vec<RecordBatch>,
    num_rows: usize,
    num_bytes: usize,
    /// The row of each record, by the record's number.
    records: HashMap<i64, usize>,
    /// The rows of the table whose validity changes: file, row, and what it becomes.
    moved: Vec<(u32, i64, usize)>,
}

impl NewValues {
    fn push(&mut self, batch: RecordBatch) {
        self.num_rows += batch.num_rows();
        self.num_bytes += batch.get_array_memory_size();
        self.batches.push(batch);
    }
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
        let fates = RootFates::of(self.matching.mode);
        let mut metrics = plan.root_metrics(&fates);
        let mut fates_that_come = [fates.new, fates.replaced].concat();
        let mut coming = Vec::new();
        let going = match (&plan.fates, self.matching.mode) {
            (_, Mode::Overwrite) => Going::All,
            (None, _) => Going::None,
            (Some(_), _) => match self.updates(session, plan, root).await? {
                Some(values) => {
                    fates_that_come = fates.new.to_vec();
                    self.in_place(session, plan, root, values).await?
                }
                None => {
                    let gone = [fates.replaced, fates.gone, &["mark"]].concat();
                    let met = self.met(session, &gone).await?.into_iter();
                    let rows = met.map(|met| (met.file, met.row)).chain(plan.moved.iter().copied());
                    if let Some((alignment, rows)) = self.moved(session, plan, root).await? {
                        coming
                            .push(Box::pin(rows.map(move |batch| alignment.batch(&batch?)))
                                as BoxedRows);
                    }
                    Going::Rows(by_file(&sources(plan.scan.as_ref()), rows))
                }
            },
        };
        if let Some(scan) = &plan.scan {
            metrics.num_target_files_scanned = scan.sources.len() as u64;
            metrics.num_target_files_skipped = (scan.num_files - scan.sources.len()) as u64;
        }
        coming.extend(self.marked(session, plan, root).await?);
        let after = self.after();
        let staged =
            self.coming(session, plan, root, after, &fates_that_come, &mut metrics).await?;
        coming.splice(0..0, staged);
        // Without a value, the property goes.
        let end = (schema::MERGING.to_owned(), String::new());
        let properties = if ends { vec![end] } else { Vec::new() };
        self.apply(root, going, coming, metrics, root.report(), &properties).await
    }

    /// The root's rows that records of some fates meet.
    async fn met(&self, session: &Session, fates: &[&str]) -> Result<Vec<Met>, Error> {
        places(session, session::TOUCHED, &[("fates", &listed(fates))]).await
    }

    /// The new values of the root's rows that are replaced or whose validity changes, where rows can be
    /// replaced in their place: files are rewritten, and the values fit into a part of the memory.
    async fn updates(
        &self,
        session: &Session,
        plan: &Plan,
        root: &Target<'_>,
    ) -> Result<Option<NewValues>, Error> {
        let replaced = RootFates::of(self.matching.mode).replaced;
        let has_updates = plan.count(replaced) > 0 || !plan.moved.is_empty();
        if self.marks_rows(root) || !has_updates || !root.evolution.widened.is_empty() {
            return Ok(None);
        }
        let fits = |new: &NewValues| new.num_bytes <= self.settings.memory_bytes / 4;
        let mut new = NewValues::default();
        self.stage(session, self.root, self.after()).await?;
        let columns = format!("{}, staged.{SEQUENCE}", self.staged_columns(self.root));
        let values = [("columns", columns.as_str()), ("fates", &listed(replaced))];
        let mut rows = session.stream(self.rows(), &values).await?;
        while let Some(batch) = rows.try_next().await? {
            let Some(numbers) = batch.column_by_name(SEQUENCE) else { return Ok(None) };
            for number in numbers.as_primitive::<Int64Type>().values() {
                new.records.insert(*number, new.records.len());
            }
            new.push(root.incoming.batch(&batch)?);
            if !fits(&new) {
                return Ok(None);
            }
        }
        if let Some((alignment, mut rows)) = self.moved(session, plan, root).await? {
            while let Some(batch) = rows.try_next().await? {
                let (Some(files), Some(numbers)) =
                    (batch.column_by_name(FILE), batch.column_by_name(ROW))
                else {
                    return Ok(None);
                };
                let files = files.as_primitive::<UInt32Type>().values().iter();
                let rows = numbers.as_primitive::<Int64Type>().values().iter();
                let first = new.num_rows;
                let places = files.zip(rows).zip(first..);
                new.moved.extend(places.map(|((file, row), value)| (*file, *row, value)));
                new.push(alignment.batch(&batch)?);
                if !fits(&new) {
                    return Ok(None);
                }
            }
        }
        Ok(Some(new))
    }

    /// The root's rows that go, and those that get new values.
    async fn in_place(
        &self,
        session: &Session,
        plan: &Plan,
        root: &Target<'_>,
        new: NewValues,
    ) -> Result<Going, Error> {
        let fates = RootFates::of(self.matching.mode);
        let sources: Arc<Vec<Source>> = sources(plan.scan.as_ref());
        let gone = self.met(session, &[fates.gone, &["mark"]].concat()).await?;
        let met = self.met(session, fates.replaced).await?;
        let replaced = met
            .into_iter()
            .filter_map(|met| Some((met.file, met.row, *new.records.get(&met.record)?)));
        let updates = replaced.chain(new.moved.iter().copied()).collect();
        let gone = gone.into_iter().map(|met| (met.file, met.row)).collect();
        let mut unchanged = self.matching.key.clone();
        if self.matching.mode == Mode::Scd2 {
            unchanged.push(history::VALID_FROM.to_owned());
        }
        let values = concat_batches(root.incoming.schema(), &new.batches);
        let values = values.map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(Going::Rows(with_updates(&sources, gone, updates, &values, &Arc::new(unchanged))))
    }
}
