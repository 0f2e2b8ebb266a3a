//! Copy on write: files without the rows that go, and with the table's columns as they will be (M9).
//!
//! A row group that loses no row keeps its column chunks as encoded bytes; of the others, each column is
//! decoded, filtered and encoded by itself.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt64Array, new_null_array};
use arrow_select::filter::filter;
use arrow_select::interleave::interleave;
use arrow_select::take::take;
use datafusion::arrow::compute::cast;
use deltalake_core::kernel::Add;
use futures::{StreamExt, TryStreamExt, stream};
use solder_relationalize::relation::{Column, arrow_field, type_names};

use crate::delta::Table;
use crate::error::Error;
use crate::files::{Encoder, Piece, Ranges, RowGroup, Source, write_groups};
use crate::work::Workers;

use super::align::{Alignment, widened};

/// Row groups on their way at a time: one is encoded while the next is fetched.
const CONCURRENT_GROUPS: usize = 2;

/// Files of a table that are written anew.
pub struct Rewrite<'a> {
    /// The table.
    pub table: &'a Table,
    /// The way from its columns to those that it gets.
    pub alignment: &'a Alignment,
    /// Encodes those.
    pub encoder: &'a Arc<Encoder>,
    /// Where the work is done.
    pub workers: &'a Workers,
    /// The columns that the table gets.
    pub columns: &'a [Column],
}

/// A file, and which of its rows go.
#[derive(Clone)]
pub struct Losing {
    /// The file.
    pub source: Source,
    /// Numbers of the rows that go in this merge, ascending.
    pub rows: Arc<Vec<u64>>,
    /// The rows that get new values, if any.
    pub updates: Option<Updates>,
}

/// Rows of a file that get new values in their place.
#[derive(Clone)]
pub struct Updates {
    /// Numbers of the rows, ascending, each with the row of `values` that it becomes.
    pub rows: Arc<Vec<(u64, usize)>>,
    /// The new rows, with the columns of the table.
    pub values: RecordBatch,
    /// Columns by which rows were found, so that they do not change.
    pub unchanged: Arc<Vec<String>>,
}

impl Updates {
    /// Those of a row group, counted from its first row.
    fn within(&self, first: u64, num_rows: u64) -> Vec<(usize, usize)> {
        let from = self.rows.partition_point(|(row, _)| *row < first);
        let to = self.rows.partition_point(|(row, _)| *row < first + num_rows);
        let here = self.rows.get(from..to).unwrap_or_default().iter();
        here.filter_map(|(row, value)| Some((usize::try_from(row - first).ok()?, *value))).collect()
    }
}

impl Losing {
    /// A file that loses only what it has lost before.
    pub fn nothing(source: Source) -> Losing {
        Losing { source, rows: Arc::default(), updates: None }
    }
}

/// How a column of the new file comes from the old one.
#[derive(Clone)]
enum Origin {
    /// Its chunks can be copied as they are.
    Same { root: usize },
    /// Its values are converted.
    Converted { root: usize, from: Column },
    /// Its values are the names of the types of another column's values.
    TypesOf { root: usize, from: Column },
    /// All its values are null.
    Missing,
}

impl Origin {
    fn root(&self) -> Option<usize> {
        match self {
            Origin::Same { root }
            | Origin::Converted { root, .. }
            | Origin::TypesOf { root, .. } => Some(*root),
            Origin::Missing => None,
        }
    }
}

impl Rewrite<'_> {
    /// Writes files anew without their lost rows; returns the new files and how many rows they hold.
    ///
    /// Memory: some column chunks for each thread.
    ///
    /// # Errors
    ///
    /// A file cannot be read or written, or a value does not fit its wider type.
    pub async fn run(&self, files: Vec<Losing>) -> Result<(Vec<Add>, u64), Error> {
        let units = files.iter().flat_map(|file| {
            let origins = Arc::new(self.origins(&file.source));
            let firsts = file.source.first_rows().into_iter().enumerate();
            firsts.map(move |(group, first)| (file, group, first, Arc::clone(&origins)))
        });
        let mut num_rows = 0;
        let groups = stream::iter(units)
            .map(|(file, group, first, origins)| self.row_group(file, group, first, origins))
            .buffered(CONCURRENT_GROUPS)
            .try_filter_map(|group| async move { Ok(group) })
            .inspect_ok(|group| num_rows += group.num_rows);
        let adds = write_groups(&self.table.folder, self.encoder, groups).await?;
        Ok((adds, num_rows))
    }

    fn origins(&self, source: &Source) -> Vec<Origin> {
        self.columns
            .iter()
            .enumerate()
            .map(|(at, column)| self.origin(source, at, column))
            .collect()
    }

    fn origin(&self, source: &Source, at: usize, column: &Column) -> Origin {
        if let Some(from) = self.alignment.named(&column.name) {
            return match source.root(&column.name) {
                Some(root) if from == column && self.is_same(source, root, at) => {
                    Origin::Same { root }
                }
                Some(root) => Origin::Converted { root, from: from.clone() },
                None => Origin::Missing,
            };
        }
        let values = self.alignment.described_by(column);
        match values.and_then(|from| Some((source.root(&from.name)?, from))) {
            Some((root, from)) => Origin::TypesOf { root, from: from.clone() },
            None => Origin::Missing,
        }
    }

    /// Whether the file has a column just as the encoder would write it.
    fn is_same(&self, source: &Source, root: usize, at: usize) -> bool {
        let (theirs, ours) = (source.footer().parquet_schema(), self.encoder.parquet());
        let wanted = (0..ours.num_columns()).filter(|leaf| ours.get_column_root_idx(*leaf) == at);
        let found = source.leaves(root);
        let wanted: Vec<usize> = wanted.collect();
        found.len() == wanted.len()
            && found.iter().zip(&wanted).all(|(theirs_at, ours_at)| {
                theirs.column(*theirs_at).as_ref() == ours.column(*ours_at).as_ref()
            })
    }

    /// A row group of the new file; `None` when no row is left.
    async fn row_group(
        &self,
        file: &Losing,
        group: usize,
        first: u64,
        origins: Arc<Vec<Origin>>,
    ) -> Result<Option<RowGroup>, Error> {
        let source = &file.source;
        let num_rows = u64::try_from(source.row_group(group).num_rows()).unwrap_or(0);
        let kept = kept(file, first, num_rows);
        let num_kept = kept.as_ref().map_or(num_rows, |kept| kept.true_count() as u64);
        if num_kept == 0 {
            return Ok(None);
        }
        let updates = file.updates.as_ref().map(|updates| updates.within(first, num_rows));
        let updates = Arc::new(updates.unwrap_or_default());
        let mut roots: Vec<usize> = origins.iter().filter_map(Origin::root).collect();
        roots.sort_unstable();
        roots.dedup();
        let bytes = match roots.is_empty() {
            true => Ranges::new(source.file.size_bytes, Vec::new()),
            false => source.fetch(group, &roots).await?,
        };
        let is_unchanged = |at: usize| {
            let name = self.columns.get(at).map(|column| &column.name);
            let stays =
                |updates: &Updates| name.is_some_and(|name| updates.unchanged.contains(name));
            updates.is_empty() || file.updates.as_ref().is_none_or(stays)
        };
        let is_copied = |(at, origin): (usize, &Origin)| {
            kept.is_none() && matches!(origin, Origin::Same { .. }) && is_unchanged(at)
        };
        let mut columns = Vec::with_capacity(origins.len());
        for (at, origin) in origins.iter().enumerate() {
            if is_copied((at, origin))
                && let Some(root) = origin.root()
            {
                let copied = Ok(copied(source, &bytes, group, root));
                columns.push(futures::future::Either::Left(std::future::ready(copied)));
                continue;
            }
            let Some(to) = self.columns.get(at) else { continue };
            let (encoder, source, bytes) =
                (Arc::clone(self.encoder), source.clone(), bytes.clone());
            let (origin, kept, to) = (origin.clone(), kept.clone(), to.clone());
            let table = self.table.name().to_owned();
            let changed = match (&file.updates, is_unchanged(at)) {
                (Some(updates), false) => updates.values.columns().get(at).cloned(),
                _ => None,
            };
            let updates = Arc::clone(&updates);
            let rows = usize::try_from(num_rows).unwrap_or(usize::MAX);
            columns.push(futures::future::Either::Right(self.workers.run(move || {
                let old = values(&table, &source, bytes.clone(), group, rows, &origin, &to)?;
                let values = match changed {
                    None => old,
                    Some(new) => match update(&old, &updates, &new)? {
                        Some(values) => values,
                        // Most columns of most updates stay as they were.
                        None => match (&origin, &kept) {
                            (Origin::Same { root }, None) => {
                                return Ok(copied(&source, &bytes, group, *root));
                            }
                            _ => old,
                        },
                    },
                };
                let values = retain(values, kept.as_ref())?;
                let encoded = encoder.encode(at, &values);
                encoded.map(Piece::Encoded).map_err(|source| Error::File {
                    action: "encoding",
                    file: table,
                    source,
                })
            })));
        }
        let columns = futures::future::try_join_all(columns).await?;
        Ok(Some(RowGroup { num_rows: num_kept, columns }))
    }
}

/// A column's chunks as they are.
fn copied(source: &Source, bytes: &Ranges, group: usize, root: usize) -> Piece {
    let metadata = source.row_group(group);
    let chunks = source.leaves(root).into_iter().map(|leaf| metadata.column(leaf).clone());
    Piece::Copied(bytes.clone(), chunks.collect())
}

/// The values of a row group with some of them replaced; `None` when the new ones are the same.
fn update(
    old: &[ArrayRef],
    updates: &[(usize, usize)],
    new: &ArrayRef,
) -> Result<Option<Vec<ArrayRef>>, Error> {
    let internal = |error| Error::Internal(Box::new(error) as _);
    let mut updated = Vec::with_capacity(old.len());
    let (mut first, mut is_same) = (0, true);
    for old in old {
        let here = |row: usize| row < first + old.len();
        let to = updates.partition_point(|(row, _)| here(*row));
        let from = updates.partition_point(|(row, _)| *row < first);
        let updates = updates.get(from..to).unwrap_or_default();
        let positions = |pick: fn(&(usize, usize)) -> usize, base: usize| {
            UInt64Array::from_iter_values(updates.iter().map(|update| (pick(update) - base) as u64))
        };
        let before = take(old, &positions(|update| update.0, first), None).map_err(internal)?;
        let after = take(new, &positions(|update| update.1, 0), None).map_err(internal)?;
        if before.to_data() == after.to_data() {
            updated.push(Arc::clone(old));
        } else {
            is_same = false;
            let mut places: Vec<(usize, usize)> = (0..old.len()).map(|row| (0, row)).collect();
            for (at, (row, _)) in updates.iter().enumerate() {
                if let Some(place) = places.get_mut(row - first) {
                    *place = (1, at);
                }
            }
            updated.push(interleave(&[old.as_ref(), after.as_ref()], &places).map_err(internal)?);
        }
        first += old.len();
    }
    Ok((!is_same).then_some(updated))
}

/// Which rows of a row group stay; `None` when all do.
fn kept(file: &Losing, first: u64, num_rows: u64) -> Option<BooleanArray> {
    let range = first..first + num_rows;
    let from = file.rows.partition_point(|row| *row < range.start);
    let to = file.rows.partition_point(|row| *row < range.end);
    let lost = file.rows.get(from..to).unwrap_or_default();
    let deleted = &file.source.deleted;
    let num_deleted = deleted.range_cardinality(range.clone());
    if lost.is_empty() && num_deleted == 0 {
        return None;
    }
    let mut kept = vec![true; usize::try_from(num_rows).unwrap_or(0)];
    let position = |row: u64| usize::try_from(row - first).unwrap_or(usize::MAX);
    for row in lost {
        if let Some(kept) = kept.get_mut(position(*row)) {
            *kept = false;
        }
    }
    if num_deleted > 0 {
        for row in deleted.iter().skip_while(|row| *row < range.start) {
            match kept.get_mut(position(row)) {
                Some(kept) => *kept = false,
                None => break,
            }
        }
    }
    Some(BooleanArray::from(kept))
}

/// The values of a column of the new file, before any row goes.
fn values(
    table: &str,
    source: &Source,
    bytes: Ranges,
    group: usize,
    num_rows: usize,
    origin: &Origin,
    to: &Column,
) -> Result<Vec<ArrayRef>, Error> {
    let decoded = |root: usize| source.decode_column(bytes.clone(), group, root);
    let data_type = arrow_field(to).data_type().clone();
    let internal = |error| Error::Internal(Box::new(error) as _);
    match origin {
        Origin::Same { root } => {
            let cast = |values: &ArrayRef| cast(values, &data_type).map_err(internal);
            decoded(*root)?.iter().map(cast).collect()
        }
        Origin::Converted { root, from } => {
            let before = arrow_field(from);
            let convert = |values: ArrayRef| {
                let values = cast(&values, before.data_type()).map_err(internal)?;
                widened(table, &values, from, to)
            };
            decoded(*root)?.into_iter().map(convert).collect()
        }
        Origin::TypesOf { root, from } => {
            let names = |values: ArrayRef| type_names(&values, from.column_type);
            Ok(decoded(*root)?.into_iter().map(names).collect())
        }
        Origin::Missing => Ok(vec![new_null_array(&data_type, num_rows)]),
    }
}

/// The values of the rows that stay.
fn retain(values: Vec<ArrayRef>, kept: Option<&BooleanArray>) -> Result<Vec<ArrayRef>, Error> {
    let Some(kept) = kept else { return Ok(values) };
    let mut first = 0;
    let mut retained = Vec::with_capacity(values.len());
    for values in values {
        let here = kept.slice(first, values.len());
        first += values.len();
        let left = filter(&values, &here).map_err(|error| Error::Internal(Box::new(error)))?;
        retained.push(left);
    }
    Ok(retained)
}
