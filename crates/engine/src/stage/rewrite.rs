//! Files that turned out narrower than their table, brought to its final schema (R19).
//!
//! Types only widen, so that every value converts without loss to what the wider column would have
//! held had it been known from the start (R13).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow_schema::{ArrowError, Field, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;
use solder_landing::Place;

use crate::error::Error;
use crate::io::Io;
use crate::pipeline::Stop;
use crate::relation::{Column, Role, Table, arrow_field, arrow_schema, scalar_type};
use crate::shape::ColumnType;
use crate::shred::number::write_number;
use crate::shred::{parse_timestamp, write_decimal, write_timestamp};

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

/// The JSON type of values that all had one.
fn type_names(array: &ArrayRef, column_type: ColumnType) -> ArrayRef {
    let name = match column_type {
        ColumnType::Boolean => "boolean",
        ColumnType::String | ColumnType::Timestamp | ColumnType::Date => "string",
        _ => "number",
    };
    let names = (0..array.len()).map(|row| array.is_valid(row).then_some(name));
    Arc::new(names.collect::<StringArray>())
}

fn widen(array: &ArrayRef, from: &Column, to: &Column) -> Result<ArrayRef, ArrowError> {
    let target = arrow_field(to);
    if array.data_type() == target.data_type() {
        return Ok(array.clone());
    }
    if array.null_count() == array.len() {
        return Ok(new_null_array(target.data_type(), array.len()));
    }
    match to.role {
        Role::Struct => widen_struct(array, to),
        Role::List => {
            let lists = array.as_list::<i32>();
            let elements = match lists.values() {
                // Without an element, the type of elements was still open.
                values if values.null_count() == values.len() => {
                    new_null_array(&scalar_type(to.column_type), values.len())
                }
                values => widen_scalars(values, from.column_type, to.column_type)?,
            };
            let field = Arc::new(Field::new("element", scalar_type(to.column_type), true));
            Ok(Arc::new(arrow_array::ListArray::try_new(
                field,
                lists.offsets().clone(),
                elements,
                lists.nulls().cloned(),
            )?))
        }
        _ => widen_scalars(array, from.column_type, to.column_type),
    }
}

fn widen_struct(array: &ArrayRef, to: &Column) -> Result<ArrayRef, ArrowError> {
    let narrow = array.as_struct();
    let (fields, arrays): (Vec<_>, Vec<_>) = to
        .fields
        .iter()
        .map(|kind| {
            let data_type = scalar_type(kind.column_type());
            let field = narrow.column_by_name(kind.name()).cloned();
            let values = field.unwrap_or_else(|| new_null_array(&data_type, array.len()));
            (Arc::new(Field::new(kind.name(), data_type, true)), values)
        })
        .unzip();
    Ok(Arc::new(StructArray::try_new(fields.into(), arrays, narrow.nulls().cloned())?))
}

/// Scalars of one type as the wider one (R13).
pub fn widen_scalars(
    array: &ArrayRef,
    from: ColumnType,
    to: ColumnType,
) -> Result<ArrayRef, ArrowError> {
    use ColumnType as T;
    Ok(match (from, to) {
        (from, to) if scalar_type(from) == scalar_type(to) => array.clone(),
        (T::Int64, T::Float64) => {
            let values = array.as_primitive::<Int64Type>();
            Arc::new(values.iter().map(|v| v.map(|v| v as f64)).collect::<Float64Array>())
        }
        (T::Int64, T::Decimal { precision, scale }) => {
            let factor = 10i128.pow(u32::try_from(scale).unwrap_or(0));
            let values = array.as_primitive::<Int64Type>();
            let values = values.iter().map(|v| v.map(|v| i128::from(v) * factor));
            let decimals = values.collect::<Decimal128Array>();
            Arc::new(decimals.with_precision_and_scale(precision, scale)?)
        }
        (T::String, T::Timestamp) => {
            let values = array.as_string::<i32>().iter();
            let values = values.map(|v| v.and_then(|v| parse_timestamp(v.as_bytes())));
            Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        (_, T::String | T::Number | T::Mixed | T::Json) => text_array(array, from)?,
        (from, to) => {
            return Err(ArrowError::CastError(format!("{from} does not widen to {to}")));
        }
    })
}

/// Scalars as the text that a column of mixed types holds for them.
fn text_array(array: &ArrayRef, from: ColumnType) -> Result<ArrayRef, ArrowError> {
    let mut text = Vec::new();
    let mut texts = arrow_array::builder::StringBuilder::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        write_text(array, row, from, &mut text)?;
        texts.append_value(std::str::from_utf8(&text)?);
    }
    Ok(Arc::new(texts.finish()))
}

/// Appends the text of one value of a column of scalars: strings as they are, else JSON.
pub fn write_text(
    array: &ArrayRef,
    row: usize,
    column_type: ColumnType,
    out: &mut Vec<u8>,
) -> Result<(), ArrowError> {
    match column_type {
        ColumnType::Boolean => {
            let value = array.as_any().downcast_ref::<BooleanArray>().is_some_and(|a| a.value(row));
            out.extend_from_slice(if value { b"true" } else { b"false" });
        }
        ColumnType::Int32 => {
            let value = array.as_primitive::<arrow_array::types::Int32Type>().value(row);
            out.extend_from_slice(value.to_string().as_bytes());
        }
        ColumnType::Int64 => {
            let value = array.as_primitive::<Int64Type>().value(row);
            out.extend_from_slice(value.to_string().as_bytes());
        }
        ColumnType::Float64 => write_number(array.as_primitive::<Float64Type>().value(row), out),
        ColumnType::Decimal { scale, .. } => {
            write_decimal(array.as_primitive::<Decimal128Type>().value(row), scale, out);
        }
        ColumnType::Timestamp => {
            write_timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row), out);
        }
        ColumnType::Date => {
            let days = array.as_primitive::<arrow_array::types::Date32Type>().value(row);
            crate::shred::write_date(days, out);
        }
        ColumnType::String | ColumnType::Number | ColumnType::Mixed | ColumnType::Json => {
            out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes());
        }
    }
    Ok(())
}
