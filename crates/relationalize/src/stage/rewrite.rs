//! Files that turned out narrower than their table, brought to its final schema (R19).
//!
//! Types only widen, so that every value converts without loss to what the wider column would have
//! held had it been known from the start (R13).

use std::sync::Arc;

use arrow_array::{RecordBatch, new_null_array};
use arrow_schema::{ArrowError, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;
use solder_landing::Place;

use crate::error::Error;
use crate::io::Io;
use crate::pipeline::Stop;
use crate::relation::{Role, Table, arrow_field, arrow_schema, scalar_type, type_names, widen};
use crate::shape::ColumnType;

use super::properties::writer_properties;
use super::sink::Sink;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;

/// A file up to this size is read whole, so that thousands of tables side by side do not take as
/// many open files.
const SMALL_FILE_BYTES: u64 = 1 << 20;

/// Reads a Parquet file of a place, batch by batch.
///
/// # Errors
///
/// The file is not there or is no Parquet.
pub fn read_file(io: &Io, place: &Place, key: &str) -> Result<ParquetRecordBatchReader, Error> {
    read(io, place, key, None)
}

/// As [`read_file`], only the columns at these positions, which ascend; one that the file does not
/// have is missing.
///
/// # Errors
///
/// The file is not there or is no Parquet.
pub fn read_columns(
    io: &Io,
    place: &Place,
    key: &str,
    columns: &[usize],
) -> Result<ParquetRecordBatchReader, Error> {
    read(io, place, key, Some(columns))
}

fn read(
    io: &Io,
    place: &Place,
    key: &str,
    columns: Option<&[usize]>,
) -> Result<ParquetRecordBatchReader, Error> {
    let reader = match place.local_path(key) {
        Some(path) => {
            let open = || {
                let mut file = std::fs::File::open(&path)?;
                if file.metadata()?.len() > SMALL_FILE_BYTES {
                    return Ok((Some(file), Vec::new()));
                }
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut file, &mut bytes)?;
                Ok((None, bytes))
            };
            let opened = open()
                .map_err(|source| Error::Read { object: path.display().to_string(), source })?;
            match opened {
                (Some(file), _) => reader_of(file, columns),
                (None, bytes) => reader_of(Bytes::from(bytes), columns),
            }
        }
        None => reader_of(io.wait(place.read(key))?, columns),
    };
    reader.map_err(|source| Error::Decode { key: place.address(key), source })
}

fn reader_of(
    input: impl ChunkReader + 'static,
    columns: Option<&[usize]>,
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(input)?.with_batch_size(BATCH_ROWS);
    let num_columns = builder.parquet_schema().root_schema().get_fields().len();
    let mask = match columns {
        Some(columns) => {
            let known = columns.iter().copied().filter(|column| *column < num_columns);
            ProjectionMask::roots(builder.parquet_schema(), known)
        }
        None => ProjectionMask::all(),
    };
    builder.with_projection(mask).build()
}

/// Copies the file `from_key` of table `from`, which has `num_rows` rows, to `to_key` with the columns
/// of `to`; returns bytes.
///
/// Memory: one row group, encoded. Cost: the file decoded and encoded.
///
/// # Errors
///
/// The file cannot be read or written, or the run is to stop.
pub fn rewrite(
    io: &Arc<Io>,
    stop: &Stop,
    (from_place, from_key, from): (&Place, &str, &Table),
    (to_place, to_key, to): (&Place, &str, &Table),
    num_rows: u64,
) -> Result<u64, Error> {
    let sink = Sink::create(io, to_place, to_key)?;
    let schema = arrow_schema(to);
    let mut writer = ArrowWriter::try_new(sink, schema.clone(), Some(writer_properties()))
        .map_err(Error::encode)?;
    if from.columns.is_empty() {
        write_empty_rows(&mut writer, &schema, num_rows)?;
        let sink = writer.into_inner().map_err(Error::encode)?;
        return sink.complete().map_err(|source| Error::Write { key: to_key.to_owned(), source });
    }
    for batch in read_file(io, from_place, from_key)? {
        stop.check()?;
        let batch = batch.map_err(|error| Error::encode(ParquetError::from(error)))?;
        let batch = widen_batch(&batch, from, to, &schema)
            .map_err(|error| Error::encode(ParquetError::from(error)))?;
        writer.write(&batch).map_err(Error::encode)?;
    }
    let sink = writer.into_inner().map_err(Error::encode)?;
    sink.complete().map_err(|source| Error::Write { key: to_key.to_owned(), source })
}

/// Writes the rows of a table that had no columns (records that are `{}`, in the Glue profile): a
/// Parquet file without columns does not know how many it has.
fn write_empty_rows(
    writer: &mut ArrowWriter<Sink>,
    schema: &SchemaRef,
    num_rows: u64,
) -> Result<(), Error> {
    let mut rest = usize::try_from(num_rows).unwrap_or(usize::MAX);
    while rest > 0 {
        let rows = rest.min(BATCH_ROWS);
        let nulls = schema.fields().iter().map(|field| new_null_array(field.data_type(), rows));
        let batch = RecordBatch::try_new(schema.clone(), nulls.collect())
            .map_err(|error| Error::encode(ParquetError::from(error)))?;
        writer.write(&batch).map_err(Error::encode)?;
        rest -= rows;
    }
    Ok(())
}

/// The rows of `batch`, which has the columns of `from`, with the columns of `to`.
fn widen_batch(
    batch: &RecordBatch,
    from: &Table,
    to: &Table,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let source = |role: Role, path: &str| {
        let at = from.columns.iter().position(|c| c.role == role && *c.path == *path)?;
        Some((from.columns.get(at)?, batch.columns().get(at)?))
    };
    let columns = to
        .columns
        .iter()
        .map(|column| match (source(column.role, &column.path), column.role) {
            (Some((narrow, array)), _) => widen(array, narrow, column),
            (None, Role::ValueType) => Ok(match source(Role::Value, &column.path) {
                Some((narrow, array)) => type_names(array, narrow.column_type),
                None => new_null_array(&scalar_type(ColumnType::String), batch.num_rows()),
            }),
            (None, _) => Ok(new_null_array(arrow_field(column).data_type(), batch.num_rows())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}
