//! The target as the statements of a merge see it: the columns that they need, and where each row is.
//!
//! ```text
//!   files ──▶ those whose bounds may hold a key ──▶ row groups, likewise ──▶ columns, _file, _row
//! ```

use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use datafusion::arrow::compute::cast;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, TryStreamExt, stream};

use crate::delta::{DataFile, Range, Table};
use crate::error::Error;
use crate::files::Source;

use super::keys::KeyValues;

/// Footers read at a time.
const CONCURRENT_FOOTERS: usize = 16;

/// The column that numbers the files of a scan.
pub const FILE: &str = "_file";
/// The column that numbers the rows of a file, deleted ones included.
pub const ROW: &str = "_row";

/// The files of a target that may hold rows with some keys.
pub struct Scan {
    /// The files, opened.
    pub sources: Arc<Vec<Source>>,
    /// The row groups that may hold them, as file and row group.
    row_groups: Vec<(usize, usize)>,
    /// Files of the table, and how many of them were left out by what the log says of them.
    pub num_files: usize,
}

impl Scan {
    /// Finds the files of `table` that may hold a row whose `columns` take staged values; without
    /// columns, all files.
    ///
    /// # Errors
    ///
    /// A footer cannot be read.
    pub async fn find(table: &Table, columns: &[(String, KeyValues)]) -> Result<Scan, Error> {
        let files = table.files()?;
        let num_files = files.len();
        let may_hold = |file: &DataFile| {
            columns.iter().all(|(column, keys)| {
                let ranges = file.statistics.as_ref().map(|statistics| &statistics.ranges);
                keys.may_be_in(ranges.and_then(|ranges| ranges.get(column)))
            })
        };
        let candidates: Vec<DataFile> = files.into_iter().filter(may_hold).collect();
        let sources: Vec<Source> = stream::iter(candidates)
            .map(|file| Source::open(table, file))
            .buffered(CONCURRENT_FOOTERS)
            .try_collect()
            .await?;
        let mut row_groups = Vec::new();
        for (at, source) in sources.iter().enumerate() {
            row_groups.extend(
                (0..source.num_row_groups())
                    .filter(|group| group_may_hold(source, *group, columns))
                    .map(|group| (at, group)),
            );
        }
        Ok(Scan { sources: Arc::new(sources), row_groups, num_files })
    }

    /// The rows of these files as a table for statements: `columns`, [`FILE`] and [`ROW`].
    ///
    /// # Errors
    ///
    /// A column is not in the table.
    pub fn provider(
        &self,
        table: &Table,
        columns: &[String],
        threads: usize,
    ) -> Result<Arc<StreamingTable>, Error> {
        let mut fields = Vec::new();
        for column in columns {
            let field = table.schema().field_with_name(column);
            fields.push(field.cloned().map_err(|error| Error::Internal(Box::new(error)))?);
        }
        fields.push(Field::new(FILE, DataType::UInt32, false));
        fields.push(Field::new(ROW, DataType::Int64, false));
        let schema = Arc::new(Schema::new(fields));
        let partitions = (0..threads.max(1)).map(|thread| {
            let own = self.row_groups.iter().copied().skip(thread).step_by(threads.max(1));
            Arc::new(Partition {
                sources: Arc::clone(&self.sources),
                row_groups: own.collect(),
                schema: Arc::clone(&schema),
            }) as Arc<dyn PartitionStream>
        });
        StreamingTable::try_new(Arc::clone(&schema), partitions.collect())
            .map(Arc::new)
            .map_err(|error| Error::Internal(Box::new(error)))
    }
}

fn group_may_hold(source: &Source, group: usize, columns: &[(String, KeyValues)]) -> bool {
    columns.iter().all(|(column, keys)| {
        let Some(root) = source.root(column) else { return true };
        let [leaf] = source.leaves(root)[..] else { return true };
        let statistics = source.row_group(group).column(leaf).statistics();
        keys.may_be_in(Range::of_column(statistics).as_ref())
    })
}

struct Partition {
    sources: Arc<Vec<Source>>,
    row_groups: Vec<(usize, usize)>,
    schema: SchemaRef,
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target rows of {} row groups", self.row_groups.len())
    }
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (sources, schema) = (Arc::clone(&self.sources), Arc::clone(&self.schema));
        let batches = stream::iter(self.row_groups.clone())
            .map(move |(file, group)| {
                read_group(Arc::clone(&sources), Arc::clone(&schema), file, group)
            })
            .buffered(2)
            .map_ok(|batches| stream::iter(batches.into_iter().map(Ok)))
            .map_err(|error| DataFusionError::External(Box::new(error)))
            .try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

/// The rows of a row group that are not deleted, with the columns of `schema`.
async fn read_group(
    sources: Arc<Vec<Source>>,
    schema: SchemaRef,
    file: usize,
    group: usize,
) -> Result<Vec<RecordBatch>, Error> {
    let Some(source) = sources.get(file) else { return Ok(Vec::new()) };
    let wanted = &schema.fields()[..schema.fields().len() - 2];
    let mut roots: Vec<usize> =
        wanted.iter().filter_map(|field| source.root(field.name())).collect();
    roots.sort_unstable();
    let first = source.first_rows().get(group).copied().unwrap_or(0);
    let num_rows = usize::try_from(source.row_group(group).num_rows()).unwrap_or(0);
    let mut batches = Vec::new();
    if roots.is_empty() {
        batches.push((num_rows, None));
    } else {
        let bytes = source.fetch(group, &roots).await?;
        for batch in source.decode(bytes, group, &roots)? {
            let batch = batch?;
            batches.push((batch.num_rows(), Some(batch)));
        }
    }
    let mut next = first;
    let number = u32::try_from(file).map_err(|error| Error::Internal(Box::new(error)))?;
    let internal = |error| Error::Internal(Box::new(error) as _);
    let mut placed = Vec::with_capacity(batches.len());
    for (num_rows, batch) in batches {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for field in wanted {
            columns.push(
                match batch.as_ref().and_then(|batch| batch.column_by_name(field.name())) {
                    Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
                    Some(column) => cast(column, field.data_type()).map_err(internal)?,
                    None => new_null_array(field.data_type(), num_rows),
                },
            );
        }
        let rows = next..next + num_rows as u64;
        let kept = source.live(rows.clone());
        columns.push(Arc::new(UInt32Array::from(vec![number; num_rows])));
        columns.push(Arc::new(
            rows.map(|row| i64::try_from(row).unwrap_or(i64::MAX)).collect::<Int64Array>(),
        ));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(internal)?;
        placed.push(match kept {
            Some(kept) => filter_record_batch(&batch, &kept).map_err(internal)?,
            None => batch,
        });
        next += num_rows as u64;
    }
    Ok(placed)
}
