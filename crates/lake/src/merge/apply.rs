//! A merge's change to one table: which files go, which come (M9).
//!
//! ```text
//!   rows that go ──▶ files that hold them ──▶ rewritten, or marked in deletion vectors ──┐
//!   small files  ──▶ their rows ──▶┐                                                     ├──▶ Change
//!   rows that come ────────────────┴──▶ new files ───────────────────────────────────────┘
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use deltalake_core::kernel::{Add, Remove};
use futures::{StreamExt, TryStreamExt, stream};
use roaring::RoaringTreemap;
use serde_json::{Value, json};

use crate::delta::{Change, DataFile, Evolution, Operation, Table, deletion_vector, protocol};
use crate::error::Error;
use crate::files::{BoxedRows, Encoder, FILE_BYTES, Rows, Source, write_rows};
use crate::lake::TableFolder;
use crate::work::Workers;

use super::align::Alignment;
use super::report::Metrics;
use super::rewrite::{Losing, Rewrite, Updates};

/// A file below this size is small,
pub const SMALL_FILE_BYTES: u64 = FILE_BYTES / 4;
/// and so many of them are folded into one by the merge that makes them so many.
const MAX_SMALL_FILES: usize = 8;
/// A file that has lost more of its rows than this is rewritten, deletion vectors or not.
const MAX_DELETED_SHARE: f64 = 0.2;

/// The change of one table.
pub struct Apply<'a> {
    /// Its folder.
    pub folder: &'a TableFolder,
    /// The table, when it is there.
    pub table: Option<&'a Table>,
    /// Its columns now and then.
    pub evolution: &'a Evolution,
    /// The way from its columns now to those then.
    pub alignment: &'a Alignment,
    /// Where the work is done.
    pub workers: &'a Workers,
    /// Mark rows as deleted instead of rewriting their files.
    pub deletion_vectors: bool,
}

/// The rows of a table that go.
#[derive(Default)]
pub enum Going {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// Some, by the file that holds them.
    Rows(Vec<Losing>),
    /// None, but the rows of these files go into new ones.
    Fold(Vec<Source>),
}

impl Apply<'_> {
    /// Writes the files of the change, those of every part of what comes by themselves. Nothing of it
    /// counts before it is committed.
    ///
    /// # Errors
    ///
    /// A file cannot be read or written.
    pub async fn stage(
        &self,
        going: Going,
        coming: Vec<BoxedRows>,
    ) -> Result<(Change, Metrics), Error> {
        let encoder = Encoder::new(self.alignment.schema())
            .map_err(|error| Error::Internal(Box::new(error)))?;
        let mut metrics = Metrics::default();
        let mut change = Change::default();
        let files = self.table.map(Table::files).transpose()?.unwrap_or_default();
        let (mut losing, mut removed, mut folding) = (Vec::new(), Vec::new(), None);
        match going {
            Going::None => {}
            Going::All => removed.clone_from(&files),
            Going::Rows(rows) => losing = rows,
            Going::Fold(files) => folding = Some(files),
        }
        change.removes.extend(removed.iter().map(DataFile::remove));
        let goes = |file: &DataFile| removed.iter().any(|gone| gone.path == file.path);

        let (mut rewritten, marked) = self.divide(losing);
        if !self.evolution.widened.is_empty()
            && let Some(table) = self.table
        {
            // Delta without type widening: no file may hold the narrower type any more.
            for file in files.iter().filter(|file| !goes(file)) {
                if !rewritten.iter().any(|losing| losing.source.file.path == file.path) {
                    let source = Source::open(table, file.clone()).await?;
                    rewritten.push(Losing::nothing(source));
                }
            }
        }
        let is_touched = |file: &&DataFile| {
            let touches = |losing: &Losing| losing.source.file.path == file.path;
            goes(file) || rewritten.iter().any(touches) || marked.iter().any(touches)
        };
        let small = |file: &&DataFile| file.size_bytes < SMALL_FILE_BYTES && !is_touched(file);
        let small: Vec<DataFile> = files.iter().filter(small).cloned().collect();
        let folds = small.len() >= MAX_SMALL_FILES && folding.is_none();
        let folded = if folds { small } else { Vec::new() };

        if let Some(table) = self.table {
            let rewrite = Rewrite {
                table,
                alignment: self.alignment,
                encoder: &encoder,
                workers: self.workers,
                columns: &self.evolution.columns,
            };
            change.removes.extend(rewritten.iter().map(|losing| losing.source.file.remove()));
            let updates = rewritten.iter().filter_map(|losing| losing.updates.as_ref());
            let num_updated: u64 = updates.map(|updates| updates.rows.len() as u64).sum();
            let (adds, num_written) = rewrite.run(rewritten).await?;
            change.adds.extend(adds);
            metrics.num_target_rows_copied += num_written.saturating_sub(num_updated);
            metrics.num_deletion_vectors = marked.len() as u64;
            self.mark(marked, &mut change).await?;
        }

        let mut sources: Vec<Source> = folding.unwrap_or_default();
        if let Some(table) = self.table {
            for file in folded {
                sources.push(Source::open(table, file).await?);
            }
        }
        change.removes.extend(sources.iter().map(|source| source.file.remove()));
        let num_folded: u64 =
            sources.iter().map(|source| source.num_rows() - source.deleted.len()).sum();
        metrics.num_target_rows_copied += num_folded;
        let mut parts = coming.into_iter();
        let first = parts.next().unwrap_or_else(|| Box::pin(stream::empty()));
        let first: BoxedRows = Box::pin(self.rows_of(sources).chain(first));
        let writes = std::iter::once(first)
            .chain(parts)
            .map(|rows| write_rows(self.folder, &encoder, self.workers, rows));
        for adds in futures::future::try_join_all(writes).await? {
            change.adds.extend(adds);
        }

        metrics.num_target_files_added = change.adds.len() as u64 - metrics.num_deletion_vectors;
        metrics.num_target_files_removed =
            change.removes.len() as u64 - metrics.num_deletion_vectors;
        if self.table.is_none() || self.evolution.changes() {
            change.columns = Some(self.evolution.columns.clone());
        }
        if self.deletion_vectors && !self.table.is_some_and(Table::has_deletion_vectors) {
            change.protocol = Some(protocol(3, 7, &["deletionVectors"])?);
            change.columns = Some(self.evolution.columns.clone());
            let property = ("delta.enableDeletionVectors".to_owned(), "true".to_owned());
            change.properties.push(property);
        }
        change.operation = Operation::Merge;
        Ok((change, metrics))
    }

    /// Which files are rewritten, and which only get a deletion vector.
    fn divide(&self, losing: Vec<Losing>) -> (Vec<Losing>, Vec<Losing>) {
        let marks = self.deletion_vectors && self.evolution.widened.is_empty();
        let touched = |losing: &Losing| !losing.rows.is_empty() || losing.updates.is_some();
        losing.into_iter().filter(touched).partition(|losing| {
            let gone = losing.rows.len() as u64 + losing.source.deleted.len();
            !marks || gone as f64 > MAX_DELETED_SHARE * losing.source.num_rows() as f64
        })
    }

    /// Marks rows as deleted: the same files, with larger deletion vectors.
    async fn mark(&self, marked: Vec<Losing>, change: &mut Change) -> Result<(), Error> {
        if marked.is_empty() {
            return Ok(());
        }
        let bitmap = |losing: &Losing| {
            let mut bitmap: RoaringTreemap = losing.source.deleted.as_ref().clone();
            bitmap.extend(losing.rows.iter());
            bitmap
        };
        let vectors =
            deletion_vector::write(self.folder, marked.iter().map(bitmap).collect()).await?;
        for (losing, vector) in marked.iter().zip(vectors) {
            let remove: Remove = losing.source.file.remove();
            change.adds.push(Add {
                path: remove.path.clone(),
                partition_values: remove.partition_values.clone().unwrap_or_default(),
                size: remove.size.unwrap_or_default(),
                modification_time: jiff::Timestamp::now().as_millisecond(),
                data_change: true,
                stats: loose_statistics(losing),
                deletion_vector: Some(vector),
                ..Add::default()
            });
            change.removes.push(remove);
        }
        Ok(())
    }

    /// The rows of files, with the columns that the table gets.
    fn rows_of(&self, sources: Vec<Source>) -> impl Rows + use<> {
        let alignment = self.alignment.clone();
        let groups = sources.into_iter().flat_map(|source| {
            (0..source.num_row_groups()).map(move |group| (source.clone(), group))
        });
        let groups: Vec<(Source, usize)> = groups.collect();
        stream::iter(groups)
            .then(move |(source, group)| {
                let alignment = alignment.clone();
                async move {
                    let batches = source.live_rows(group).await?;
                    let aligned: Result<Vec<_>, Error> =
                        batches.iter().map(|batch| alignment.batch(batch)).collect();
                    Ok::<_, Error>(stream::iter(aligned?.into_iter().map(Ok)))
                }
            })
            .try_flatten()
    }
}

/// What the log says of a file with a deletion vector: bounds that rows need not reach any more.
fn loose_statistics(losing: &Losing) -> Option<String> {
    let text = losing.source.file.stored_statistics()?;
    let mut statistics: Value = serde_json::from_str(&text).ok()?;
    statistics.as_object_mut()?.insert("tightBounds".to_owned(), json!(false));
    Some(statistics.to_string())
}

/// Rows that go or get new values, gathered by file; `updates` names of each the row of `values` that it
/// becomes.
pub fn with_updates(
    sources: &[Source],
    gone: Vec<(u32, i64)>,
    updates: Vec<(u32, i64, usize)>,
    values: &RecordBatch,
    unchanged: &Arc<Vec<String>>,
) -> Vec<Losing> {
    let mut files: BTreeMap<u32, Vec<(u64, usize)>> = BTreeMap::new();
    for (file, row, value) in updates {
        files.entry(file).or_default().push((u64::try_from(row).unwrap_or(0), value));
    }
    let mut losing: Vec<Losing> = by_file(sources, gone);
    for (file, mut rows) in files {
        rows.sort_unstable();
        let Some(source) = usize::try_from(file).ok().and_then(|file| sources.get(file)) else {
            continue;
        };
        let updates = Some(Updates {
            rows: Arc::new(rows),
            values: values.clone(),
            unchanged: Arc::clone(unchanged),
        });
        match losing.iter_mut().find(|losing| losing.source.file.path == source.file.path) {
            Some(losing) => losing.updates = updates,
            None => losing.push(Losing { updates, ..Losing::nothing(source.clone()) }),
        }
    }
    losing
}

/// Rows that go, gathered by file.
pub fn by_file(sources: &[Source], rows: impl IntoIterator<Item = (u32, i64)>) -> Vec<Losing> {
    let mut files: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for (file, row) in rows {
        files.entry(file).or_default().push(u64::try_from(row).unwrap_or(0));
    }
    let losing = |(file, mut rows): (u32, Vec<u64>)| {
        rows.sort_unstable();
        rows.dedup();
        let source = sources.get(usize::try_from(file).ok()?)?.clone();
        Some(Losing { source, rows: Arc::new(rows), updates: None })
    };
    files.into_iter().filter_map(losing).collect()
}
