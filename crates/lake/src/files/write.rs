//! New data files: row groups in, an add action out.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{ArrayRef, RecordBatch};
use bytes::Bytes;
use deltalake_core::kernel::Add;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::writer::SerializedFileWriter;
use solder_landing::Upload;

use crate::error::Error;
use crate::lake::TableFolder;
use crate::work::Workers;

use super::encode::{EncodedColumn, Encoder};
use super::ranges::Ranges;

/// Rows of a row group. Small enough that a merge of few rows decodes little, large enough that a scan
/// reads columns in pieces of some hundred kilobytes.
const ROW_GROUP_ROWS: usize = 128 << 10;
/// Bytes of the columns of a row group in memory.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// A file ends with the row group that brings it to this size.
pub const FILE_BYTES: u64 = 64 << 20;

/// A top-level column of a new row group.
pub enum Piece {
    /// Encoded anew.
    Encoded(EncodedColumn),
    /// The chunks of a row group of another file as they are there.
    Copied(Ranges, Vec<ColumnChunkMetaData>),
}

/// A row group for a new file.
pub struct RowGroup {
    /// Its rows.
    pub num_rows: u64,
    /// Its columns, in the order of the schema.
    pub columns: Vec<Piece>,
}

/// A file being written; a table has it once its add action is committed.
pub struct NewFile {
    name: String,
    address: String,
    writer: SerializedFileWriter<Buffer>,
    buffer: Buffer,
    upload: Upload,
}

/// What the Parquet writer has written and the upload has not taken yet.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl NewFile {
    /// Begins a file in the folder of a table, under a name that no other file has.
    ///
    /// # Errors
    ///
    /// The place refuses.
    pub async fn create(folder: &TableFolder, encoder: &Encoder) -> Result<NewFile, Error> {
        let name = format!("part-{}.parquet", uuid::Uuid::new_v4());
        NewFile::create_as(folder, encoder, name).await
    }

    async fn create_as(
        folder: &TableFolder,
        encoder: &Encoder,
        name: String,
    ) -> Result<NewFile, Error> {
        let address = format!("{}/{name}", folder.address);
        let buffer = Buffer::default();
        let root = encoder.parquet().root_schema_ptr();
        let properties = Arc::clone(encoder.properties());
        let writer = SerializedFileWriter::new(buffer.clone(), root, properties);
        let writer = writer.map_err(|source| Error::File {
            action: "writing",
            file: address.clone(),
            source,
        })?;
        let upload = folder.place.upload(&name).await?;
        Ok(NewFile { name, address, writer, buffer, upload })
    }

    /// Bytes so far.
    pub fn size_bytes(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    /// Appends a row group.
    ///
    /// # Errors
    ///
    /// The place refuses, or the columns do not fit.
    pub async fn append(&mut self, group: RowGroup) -> Result<(), Error> {
        let address = self.address.clone();
        append(&mut self.writer, group).map_err(|source| Error::File {
            action: "writing",
            file: address,
            source,
        })?;
        Ok(self.upload.put(self.buffer.take()).await?)
    }

    /// Ends the file; returns the action that makes it part of the table.
    ///
    /// # Errors
    ///
    /// The place refuses.
    pub async fn complete(mut self) -> Result<Add, Error> {
        let metadata = self.writer.finish().map_err(|source| Error::File {
            action: "writing",
            file: self.address.clone(),
            source,
        })?;
        self.upload.put(self.buffer.take()).await?;
        // Delta's own writers do not wait for the disk, and neither does the commit.
        let size_bytes = self.upload.complete_unsynced().await?;
        Ok(add(self.name, size_bytes, &metadata))
    }
}

fn append(writer: &mut SerializedFileWriter<Buffer>, group: RowGroup) -> Result<(), ParquetError> {
    let mut row_group = writer.next_row_group()?;
    for column in group.columns {
        match column {
            Piece::Encoded(chunks) => {
                for chunk in chunks {
                    chunk.append_to_row_group(&mut row_group)?;
                }
            }
            Piece::Copied(bytes, chunks) => {
                for metadata in chunks {
                    let close = ColumnCloseResult {
                        bytes_written: u64::try_from(metadata.compressed_size()).unwrap_or(0),
                        rows_written: group.num_rows,
                        metadata,
                        bloom_filter: None,
                        column_index: None,
                        offset_index: None,
                    };
                    row_group.append_column(&bytes, close)?;
                }
            }
        }
    }
    row_group.close()?;
    Ok(())
}

fn add(path: String, size_bytes: u64, metadata: &ParquetMetaData) -> Add {
    let now = jiff::Timestamp::now().as_millisecond();
    Add {
        path,
        partition_values: HashMap::new(),
        size: i64::try_from(size_bytes).unwrap_or(i64::MAX),
        modification_time: now,
        data_change: true,
        stats: Some(crate::delta::describe(metadata)),
        ..Add::default()
    }
}

/// Rows for new files, batch by batch, with the columns of the table.
pub trait Rows: Stream<Item = Result<RecordBatch, Error>> + Send {}
impl<S: Stream<Item = Result<RecordBatch, Error>> + Send> Rows for S {}

/// The same, of some kind.
pub type BoxedRows = std::pin::Pin<Box<dyn Rows>>;

/// Writes rows to as many new files as they fill; no file without rows. The next row group is encoded
/// while the last one is written.
///
/// # Errors
///
/// The rows fail, or the place refuses.
pub async fn write_rows(
    folder: &TableFolder,
    encoder: &Arc<Encoder>,
    workers: &Workers,
    rows: impl Rows,
) -> Result<Vec<Add>, Error> {
    let groups = group_rows(rows)
        .map(|batches| async move { encode_group(encoder, workers, batches?).await });
    write_groups(folder, encoder, groups.buffered(2)).await
}

/// Writes row groups to as many new files as they fill.
///
/// # Errors
///
/// A row group fails, or the place refuses.
pub async fn write_groups(
    folder: &TableFolder,
    encoder: &Encoder,
    groups: impl Stream<Item = Result<RowGroup, Error>>,
) -> Result<Vec<Add>, Error> {
    let mut groups = std::pin::pin!(groups);
    let mut adds = Vec::new();
    let mut file: Option<NewFile> = None;
    while let Some(group) = groups.try_next().await? {
        let mut open = match file.take() {
            Some(open) => open,
            None => NewFile::create(folder, encoder).await?,
        };
        open.append(group).await?;
        match open.size_bytes() >= FILE_BYTES {
            true => adds.push(open.complete().await?),
            false => file = Some(open),
        }
    }
    if let Some(open) = file {
        adds.push(open.complete().await?);
    }
    Ok(adds)
}

/// Writes rows to one file of a given name, in place of what was there; no file without rows. Returns how
/// many rows there were.
///
/// # Errors
///
/// The rows fail, or the place refuses.
pub async fn write_file(
    folder: &TableFolder,
    name: &str,
    encoder: &Arc<Encoder>,
    workers: &Workers,
    rows: impl Rows,
) -> Result<u64, Error> {
    let mut groups = std::pin::pin!(group_rows(rows));
    let (mut open, mut num_rows): (Option<NewFile>, u64) = (None, 0);
    while let Some(batches) = groups.try_next().await? {
        let group = encode_group(encoder, workers, batches).await?;
        num_rows += group.num_rows;
        let mut file = match open.take() {
            Some(file) => file,
            None => NewFile::create_as(folder, encoder, name.to_owned()).await?,
        };
        file.append(group).await?;
        open = Some(file);
    }
    if let Some(file) = open {
        file.complete().await?;
    }
    Ok(num_rows)
}

/// Batches gathered to row groups.
fn group_rows(rows: impl Rows) -> impl Stream<Item = Result<Vec<RecordBatch>, Error>> + Send {
    struct Gathering<R> {
        rows: std::pin::Pin<Box<R>>,
        /// The rest of a batch that did not fit.
        rest: Option<RecordBatch>,
    }
    let gathering = Gathering { rows: Box::pin(rows), rest: None };
    stream::try_unfold(gathering, |mut gathering| async move {
        let mut batches = Vec::new();
        let (mut num_rows, mut num_bytes) = (0, 0);
        while num_rows < ROW_GROUP_ROWS && num_bytes < ROW_GROUP_BYTES {
            let next = match gathering.rest.take() {
                Some(rest) => Some(rest),
                None => gathering.rows.try_next().await?,
            };
            let Some(batch) = next else { break };
            let fits = batch.num_rows().min(ROW_GROUP_ROWS - num_rows);
            if fits < batch.num_rows() {
                gathering.rest = Some(batch.slice(fits, batch.num_rows() - fits));
            }
            let batch = batch.slice(0, fits);
            num_bytes += slice_bytes(&batch);
            num_rows += fits;
            if fits > 0 {
                batches.push(batch);
            }
        }
        Ok((!batches.is_empty()).then_some((batches, gathering)))
    })
}

/// Bytes of the rows of a batch, which may be a slice of a larger one.
fn slice_bytes(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns.map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
}

/// Encodes the columns of a row group side by side.
async fn encode_group(
    encoder: &Arc<Encoder>,
    workers: &Workers,
    batches: Vec<RecordBatch>,
) -> Result<RowGroup, Error> {
    let num_rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let failed =
        |source| Error::File { action: "encoding", file: "a row group".to_owned(), source };
    let columns = (0..encoder.num_columns()).map(|position| {
        let encoder = Arc::clone(encoder);
        let arrays: Vec<ArrayRef> =
            batches.iter().map(|batch| Arc::clone(batch.column(position))).collect();
        workers.run(move || encoder.encode(position, &arrays).map_err(failed))
    });
    let columns = futures::future::try_join_all(columns).await?;
    Ok(RowGroup { num_rows, columns: columns.into_iter().map(Piece::Encoded).collect() })
}
