//! `_quarantine/`: the records that were set aside, with the reason and their bytes (R16).

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};
use solder_landing::Place;

use crate::error::Error;
use crate::io::Io;
use crate::shred::Reject;

use super::properties::writer_properties;
use super::sink::Sink;

/// Bytes that wait before they are written.
const BATCH_BYTES: usize = 16 << 20;

/// A quarantine file that was written and is not yet visible.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StagedQuarantine {
    /// Key below the staging place.
    pub key: String,
    /// Rows.
    pub num_rows: u64,
    /// Bytes.
    pub size_bytes: u64,
}

/// Writes rejected records of a run into one file.
pub struct QuarantineWriter {
    io: Arc<Io>,
    place: Place,
    key: String,
    run_id: String,
    schema: SchemaRef,
    writer: Option<ArrowWriter<Sink>>,
    waiting: Vec<(String, String, Reject)>,
    waiting_bytes: usize,
    num_rows: u64,
}

impl QuarantineWriter {
    /// Will write the file `key` of `place` once there is something to write.
    pub fn new(io: Arc<Io>, place: Place, key: String, run_id: String) -> QuarantineWriter {
        let text = |name| Field::new(name, DataType::Utf8, false);
        let number = |name| Field::new(name, DataType::Int64, false);
        let schema = Arc::new(Schema::new(vec![
            text("entity"),
            text("object"),
            number("line"),
            number("byte_offset"),
            number("byte_length"),
            text("reason"),
            Field::new("raw", DataType::Binary, false),
            text("run_id"),
        ]));
        QuarantineWriter {
            io,
            place,
            key,
            run_id,
            schema,
            writer: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            num_rows: 0,
        }
    }

    /// Takes a rejected record.
    ///
    /// # Errors
    ///
    /// The place refuses.
    pub fn add(&mut self, entity: &str, object: &str, reject: Reject) -> Result<(), Error> {
        self.waiting_bytes += reject.raw.len() + object.len() + reject.reason.len() + 64;
        self.waiting.push((entity.to_owned(), object.to_owned(), reject));
        self.num_rows += 1;
        if self.waiting_bytes > BATCH_BYTES { self.write() } else { Ok(()) }
    }

    /// Completes the file, when there is one.
    ///
    /// # Errors
    ///
    /// The place refuses.
    pub fn finish(mut self) -> Result<Option<StagedQuarantine>, Error> {
        if self.num_rows == 0 {
            return Ok(None);
        }
        self.write()?;
        let Some(writer) = self.writer else { return Ok(None) };
        let sink = writer.into_inner().map_err(Error::encode)?;
        let size_bytes =
            sink.complete().map_err(|source| Error::Write { key: self.key.clone(), source })?;
        Ok(Some(StagedQuarantine { key: self.key, num_rows: self.num_rows, size_bytes }))
    }

    fn write(&mut self) -> Result<(), Error> {
        let batch = self.batch().map_err(|error| Error::encode(ParquetError::from(error)))?;
        self.waiting.clear();
        self.waiting_bytes = 0;
        if self.writer.is_none() {
            let sink = Sink::create(&self.io, &self.place, &self.key)?;
            let writer = ArrowWriter::try_new(sink, self.schema.clone(), Some(writer_properties()));
            self.writer = Some(writer.map_err(Error::encode)?);
        }
        match &mut self.writer {
            Some(writer) => writer.write(&batch).map_err(Error::encode),
            None => Ok(()),
        }
    }

    fn batch(&self) -> Result<RecordBatch, arrow_schema::ArrowError> {
        let texts = |of: fn(&(String, String, Reject)) -> &str| -> ArrayRef {
            let mut builder = StringBuilder::new();
            self.waiting.iter().for_each(|row| builder.append_value(of(row)));
            Arc::new(builder.finish())
        };
        let numbers = |of: fn(&Reject) -> u64| -> ArrayRef {
            let mut builder = Int64Builder::new();
            self.waiting.iter().for_each(|(_, _, reject)| builder.append_value(of(reject) as i64));
            Arc::new(builder.finish())
        };
        let mut raw = BinaryBuilder::new();
        self.waiting.iter().for_each(|(_, _, reject)| raw.append_value(&reject.raw));
        let mut run_ids = StringBuilder::new();
        self.waiting.iter().for_each(|_| run_ids.append_value(&self.run_id));
        RecordBatch::try_new(
            self.schema.clone(),
            vec![
                texts(|(entity, _, _)| entity),
                texts(|(_, object, _)| object),
                numbers(|reject| reject.line),
                numbers(|reject| reject.offset),
                numbers(|reject| reject.length),
                texts(|(_, _, reject)| &reject.reason),
                Arc::new(raw.finish()),
                Arc::new(run_ids.finish()),
            ],
        )
    }
}

/// A record as it lies in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Where it was read.
    pub object: String,
    /// Its line there, from 1.
    pub line: u64,
    /// Why it was set aside.
    pub reason: String,
    /// Its bytes.
    pub raw: Vec<u8>,
}

/// The first records of a quarantine file, at most `limit`; none of a file that is larger than 64 MiB.
///
/// # Errors
///
/// The file cannot be read, or is no quarantine file.
pub fn read_quarantine(io: &Io, address: &str, limit: usize) -> Result<Vec<Quarantined>, Error> {
    const MAX_BYTES: u64 = 64 << 20;
    let (place, key) = Place::parse_object(address)?;
    if io.wait(place.object(&key))?.size_bytes > MAX_BYTES {
        return Ok(Vec::new());
    }
    let bytes = io.wait(place.read(&key))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(Error::encode)?;
    let reader = reader.with_limit(limit).build().map_err(Error::encode)?;
    let mut records = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| Error::encode(ParquetError::from(error)))?;
        records.extend(records_of(&batch).unwrap_or_default());
    }
    Ok(records)
}

/// The rows of a batch; `None` when it lacks a column.
fn records_of(batch: &RecordBatch) -> Option<Vec<Quarantined>> {
    let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let (objects, reasons) = (text("object")?, text("reason")?);
    let lines = batch.column_by_name("line")?.as_primitive_opt::<Int64Type>()?;
    let raw = batch.column_by_name("raw")?.as_binary_opt::<i32>()?;
    let record = |row| Quarantined {
        object: objects.value(row).to_owned(),
        line: lines.value(row).unsigned_abs(),
        reason: reasons.value(row).to_owned(),
        raw: raw.value(row).to_vec(),
    };
    Some((0..batch.num_rows()).map(record).collect())
}
