//! Chunks into Parquet files.
//!
//! ```text
//!   chunks, in order ──▶ buffer of the table ──▶ row group ──▶ staged file ──▶ rolled at its size
//!                        (memory budget)         columns encoded in parallel
//! ```
//!
//! A file has the columns and types known when it was begun. Where the shape has widened since, the
//! next row group begins a new file, and the narrower one is rewritten at the end (R19). What stays
//! in the buffers until the end, all of a small input, is written once, in its final shape.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use solder_landing::Place;

use crate::error::Error;
use crate::io::Io;
use crate::pool::Pool;
use crate::relation::{Layout, Table, arrow_schema};
use crate::shape::{JsonPath, PathId, Plan};
use crate::shred::TableChunk;

use super::arrays::chunk_array;
use super::sink::Sink;

/// When row groups and files end, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct StageLimits {
    /// All that may wait in the buffers, uncompressed.
    pub buffer_bytes: usize,
    /// A row group, uncompressed.
    pub row_group_bytes: usize,
    /// A file, encoded.
    pub file_bytes: usize,
}

/// A Parquet file that was written and is not yet visible.
#[derive(Clone, Debug)]
pub struct StagedFile {
    /// The rows' path.
    pub table: PathId,
    /// Position among the files of the table.
    pub number: usize,
    /// Key below the staging place.
    pub key: String,
    /// The columns that it has.
    pub layout: Table,
    /// Rows.
    pub num_rows: u64,
    /// Bytes.
    pub size_bytes: u64,
}

/// Columns encoded at one time, unless one table alone has more.
const MAX_ENCODERS: usize = 256;
/// Files open at one time; systems allow 1,024 by default, and 256 on some.
const MAX_OPEN_FILES: usize = 128;

/// Writes the tables of one entity.
pub struct Stager {
    io: Arc<Io>,
    pool: Arc<Pool>,
    plan: Arc<Plan>,
    place: Place,
    /// Prefix of the keys of this entity's files.
    prefix: String,
    limits: StageLimits,
    buffers: HashMap<PathId, Buffer>,
    buffered_bytes: usize,
    open: HashMap<PathId, OpenFile>,
    staged: Vec<StagedFile>,
}

#[derive(Default)]
struct Buffer {
    chunks: Vec<Arc<TableChunk>>,
    bytes: usize,
}

struct OpenFile {
    writer: SerializedFileWriter<Sink>,
    factory: ArrowRowGroupWriterFactory,
    file: StagedFile,
}

impl Stager {
    /// Writes below `prefix` of `place`.
    pub fn new(
        io: Arc<Io>,
        pool: Arc<Pool>,
        plan: Arc<Plan>,
        place: Place,
        prefix: String,
        limits: StageLimits,
    ) -> Stager {
        Stager {
            io,
            pool,
            plan,
            place,
            prefix,
            limits,
            buffers: HashMap::new(),
            buffered_bytes: 0,
            open: HashMap::new(),
            staged: Vec::new(),
        }
    }

    /// Takes a chunk; chunks of a table come in the order of the input.
    pub fn add(&mut self, chunk: TableChunk) {
        let bytes = chunk.heap_bytes();
        let buffer = self.buffers.entry(chunk.table).or_default();
        buffer.bytes += bytes;
        buffer.chunks.push(Arc::new(chunk));
        self.buffered_bytes += bytes;
    }

    /// Whether something has to be written before more chunks are taken.
    pub fn is_full(&self) -> bool {
        self.buffered_bytes > self.limits.buffer_bytes
            || self.buffers.values().any(|buffer| buffer.bytes >= self.limits.row_group_bytes)
    }

    /// Writes row groups until the buffers have room again: full tables first, then the largest.
    /// `layout` is what is known by now.
    ///
    /// # Errors
    ///
    /// The place refuses to take the files.
    pub fn make_room(&mut self, layout: &Layout) -> Result<(), Error> {
        let mut sizes: Vec<(usize, PathId)> =
            self.buffers.iter().map(|(table, buffer)| (buffer.bytes, *table)).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut rest = self.buffered_bytes;
        let mut tables = Vec::new();
        for (bytes, table) in sizes {
            let over = rest > self.limits.buffer_bytes / 2
                && self.buffered_bytes > self.limits.buffer_bytes;
            if bytes >= self.limits.row_group_bytes || over {
                rest -= bytes;
                tables.push(table);
            }
        }
        self.write_row_groups(layout, &tables, false)
    }

    /// Writes all that is left and returns the files, in the order of the layout's tables. A table
    /// without rows gets a file all the same, so that its folder says what it would hold (R11).
    ///
    /// # Errors
    ///
    /// The place refuses to take the files.
    pub fn finish(mut self, layout: &Layout) -> Result<Vec<StagedFile>, Error> {
        let tables: Vec<PathId> = self
            .table_ids(layout)
            .into_iter()
            .filter(|table| {
                self.buffers.contains_key(table)
                    || (!self.open.contains_key(table)
                        && !self.staged.iter().any(|file| file.table == *table))
            })
            .collect();
        self.write_row_groups(layout, &tables, true)?;
        let open: Vec<PathId> = self.open.keys().copied().collect();
        for table in open {
            self.close(table)?;
        }
        let order: HashMap<PathId, usize> =
            self.table_ids(layout).into_iter().enumerate().map(|(at, table)| (table, at)).collect();
        self.staged.sort_by_key(|file| (order.get(&file.table).copied(), file.number));
        Ok(self.staged)
    }

    /// The tables as the files written so far have them.
    pub fn written(&self) -> impl Iterator<Item = &Table> {
        let open = self.open.values().map(|open| &open.file);
        self.staged.iter().chain(open).map(|file| &file.layout)
    }

    fn table_ids(&self, layout: &Layout) -> Vec<PathId> {
        layout.tables.iter().map(|table| resolve(&self.plan, &table.path)).collect()
    }

    /// Writes the buffers of `tables`, a few tables at a time: an encoder costs about 100 KiB a
    /// column, an open file a handle. With `are_complete` their files are closed at once.
    fn write_row_groups(
        &mut self,
        layout: &Layout,
        tables: &[PathId],
        are_complete: bool,
    ) -> Result<(), Error> {
        let by_id: HashMap<PathId, &Table> =
            self.table_ids(layout).into_iter().zip(&layout.tables).collect();
        let mut batch: Vec<(PathId, &Table)> = Vec::new();
        let mut num_columns = 0;
        let mut rest = tables.iter().filter_map(|id| Some((*id, *by_id.get(id)?))).peekable();
        while let Some(table) = rest.next() {
            num_columns += table.1.columns.len();
            batch.push(table);
            let next = rest.peek().map(|(_, table)| table.columns.len());
            let is_full = |next| num_columns + next > MAX_ENCODERS || batch.len() >= MAX_OPEN_FILES;
            if next.is_none_or(is_full) {
                self.write_batch(&batch)?;
                if are_complete {
                    batch.iter().try_for_each(|(table, _)| self.close(*table))?;
                }
                batch.clear();
                num_columns = 0;
            }
        }
        Ok(())
    }

    fn write_batch(&mut self, tables: &[(PathId, &Table)]) -> Result<(), Error> {
        self.limit_open_files(tables)?;
        let mut tasks = Vec::new();
        let mut parts = Vec::new();
        for &(table, described) in tables {
            let buffer = self.buffers.remove(&table).unwrap_or_default();
            self.buffered_bytes -= buffer.bytes;
            self.open_for(table, described)?;
            let Some(open) = self.open.get_mut(&table) else { continue };
            let num_rows: u64 = buffer.chunks.iter().map(|chunk| u64::from(chunk.num_rows)).sum();
            open.file.num_rows += num_rows;
            if num_rows == 0 {
                continue;
            }
            let group = open.writer.flushed_row_groups().len();
            let writers = open.factory.create_column_writers(group).map_err(Error::encode)?;
            let encodings = self.encodings(described, writers, Arc::new(buffer.chunks));
            parts.push((table, encodings.len()));
            tasks.extend(encodings);
        }
        let mut encoded = self.pool.run_all(tasks).into_iter();
        for (table, num_columns) in parts {
            let columns: Vec<_> = encoded.by_ref().take(num_columns).collect();
            self.append(table, columns)?;
        }
        Ok(())
    }

    /// Closes files until those of `tables` can be opened.
    fn limit_open_files(&mut self, tables: &[(PathId, &Table)]) -> Result<(), Error> {
        let is_needed = |table: &PathId| tables.iter().any(|(needed, _)| needed == table);
        let mut others: Vec<PathId> =
            self.open.keys().copied().filter(|table| !is_needed(table)).collect();
        let num_over = (others.len() + tables.len()).saturating_sub(MAX_OPEN_FILES);
        others.sort_unstable();
        others.truncate(num_over);
        others.into_iter().try_for_each(|table| self.close(table))
    }

    /// One task per column.
    fn encodings(
        &self,
        table: &Table,
        writers: Vec<ArrowColumnWriter>,
        chunks: Arc<Vec<Arc<TableChunk>>>,
    ) -> Vec<impl FnOnce() -> Result<Vec<ArrowColumnChunk>, ParquetError> + Send + 'static> {
        let schema = arrow_schema(table);
        let mut writers = writers.into_iter();
        table
            .columns
            .iter()
            .zip(schema.fields().clone().iter())
            .map(|(column, field)| {
                let num_leaves = num_leaves(field.data_type());
                let mut leaves: Vec<ArrowColumnWriter> =
                    writers.by_ref().take(num_leaves).collect();
                let path = resolve(&self.plan, &column.path);
                let (column, field, chunks) = (column.clone(), field.clone(), chunks.clone());
                move || {
                    for chunk in chunks.iter() {
                        let array = chunk_array(&column, path, chunk)?;
                        let values = compute_leaves(&field, &array)?;
                        for (leaf, values) in leaves.iter_mut().zip(&values) {
                            leaf.write(values)?;
                        }
                    }
                    leaves.into_iter().map(ArrowColumnWriter::close).collect()
                }
            })
            .collect()
    }

    fn append(
        &mut self,
        table: PathId,
        columns: Vec<Option<Result<Vec<ArrowColumnChunk>, ParquetError>>>,
    ) -> Result<(), Error> {
        let Some(open) = self.open.get_mut(&table) else { return Ok(()) };
        let mut group = open.writer.next_row_group().map_err(Error::encode)?;
        for column in columns {
            let chunks = column.ok_or(Error::Panicked)?.map_err(Error::encode)?;
            for chunk in chunks {
                chunk.append_to_row_group(&mut group).map_err(Error::encode)?;
            }
        }
        group.close().map_err(Error::encode)?;
        if open.writer.bytes_written() >= self.limits.file_bytes {
            self.close(table)?;
        }
        Ok(())
    }

    /// Sees to it that an open file of the table has exactly its columns.
    fn open_for(&mut self, table: PathId, described: &Table) -> Result<(), Error> {
        match self.open.get(&table) {
            Some(open) if open.file.layout.columns == described.columns => return Ok(()),
            Some(_) => self.close(table)?,
            None => {}
        }
        let number = self.staged.iter().filter(|file| file.table == table).count();
        let key = format!("{}/{}-{number}.parquet", self.prefix, table.index());
        let sink = Sink::create(&self.io, &self.place, &key)?;
        let schema = arrow_schema(described);
        let writer = file_writer(sink, &schema).map_err(Error::encode)?;
        let factory = ArrowRowGroupWriterFactory::new(&writer, schema);
        let file = StagedFile {
            table,
            number,
            key,
            layout: described.clone(),
            num_rows: 0,
            size_bytes: 0,
        };
        self.open.insert(table, OpenFile { writer, factory, file });
        Ok(())
    }

    fn close(&mut self, table: PathId) -> Result<(), Error> {
        let Some(OpenFile { writer, mut file, .. }) = self.open.remove(&table) else {
            return Ok(());
        };
        let sink = writer.into_inner().map_err(Error::encode)?;
        file.size_bytes =
            sink.complete().map_err(|source| Error::Write { key: file.key.clone(), source })?;
        self.staged.push(file);
        Ok(())
    }
}

fn resolve(plan: &Plan, path: &str) -> PathId {
    // Paths of a layout were written from registered ones.
    path.parse::<JsonPath>().map_or(PathId::ROOT, |path| plan.registry.resolve(&path))
}

fn num_leaves(data_type: &arrow_schema::DataType) -> usize {
    match data_type {
        arrow_schema::DataType::Struct(fields) => fields.len(),
        _ => 1,
    }
}

/// A writer of Parquet as Solder writes it: zstd, statistics on (R19).
pub fn file_writer(
    sink: Sink,
    schema: &SchemaRef,
) -> Result<SerializedFileWriter<Sink>, ParquetError> {
    let mut properties = writer_properties();
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    let parquet_schema = ArrowSchemaConverter::new().convert(schema)?;
    SerializedFileWriter::new(sink, parquet_schema.root_schema_ptr(), Arc::new(properties))
}

/// The properties of every Parquet file that Solder writes.
pub fn writer_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("solder ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}
