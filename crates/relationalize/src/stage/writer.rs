//! Chunks into Parquet files.
//!
//! ```text
//!   chunks, in order ──▶ waiting ──▶ row group ──────────▶ staged file ──▶ rolled at its size
//!                        (batches)   columns encoded        written when the
//!                                    in parallel, in memory row group is full
//! ```
//!
//! Chunks wait until there are enough of a table to be worth the while of all threads; then they are
//! encoded, a task per column, into a row group that stays in memory until it is full. A row group can
//! still take new columns, as long as its file is not begun. Where a type has widened, or a column is
//! new to a file, the next row group begins a new file, and the narrower one is finished at the end
//! (R19). A small input is written once, in its final shape.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use solder_landing::Place;

use crate::clock::{Busy, Work};
use crate::error::Error;
use crate::io::Io;
use crate::pool::Pool;
use crate::relation::{Layout, Table, arrow_schema};
use crate::shape::{PathId, Plan};
use crate::shred::TableChunk;

use super::encode::{ColumnEncoder, EncodedLeaf};
use super::group::RowGroup;
use super::properties::writer_properties;
use super::sink::Sink;

/// When batches, row groups and files end, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct StageLimits {
    /// All that waits and all that is encoded in memory.
    pub memory_bytes: usize,
    /// Chunks of a table that are encoded at one time.
    pub batch_bytes: usize,
    /// A row group, before it is encoded.
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

/// Columns encoded at one time where many tables are written, unless one table alone has more: an
/// encoder costs about 100 KiB.
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
    busy: Arc<Busy>,
    lanes: HashMap<PathId, Lane>,
    /// Sum over the lanes.
    memory_bytes: usize,
    num_open_files: usize,
    staged: Vec<StagedFile>,
}

/// One table on its way.
#[derive(Default)]
struct Lane {
    /// Chunks that wait, in order.
    waiting: Vec<Arc<TableChunk>>,
    waiting_bytes: usize,
    group: Option<RowGroup>,
    file: Option<OpenFile>,
    num_files: usize,
}

struct OpenFile {
    writer: SerializedFileWriter<Sink>,
    file: StagedFile,
}

/// A table, what is known of it by now, and whether its row group ends.
struct Step<'a> {
    table: PathId,
    layout: &'a Table,
    ends: bool,
}

/// What became of a column.
enum Encoded {
    Open(Box<ColumnEncoder>),
    Closed(Vec<EncodedLeaf>),
}

impl Lane {
    fn memory_bytes(&self) -> usize {
        self.waiting_bytes + self.group.as_ref().map_or(0, |group| group.memory_bytes)
    }

    fn raw_bytes(&self) -> usize {
        self.waiting_bytes + self.group.as_ref().map_or(0, |group| group.raw_bytes)
    }

    /// Whether rows with the columns of `layout` can join the row group, and its file.
    fn takes(&self, layout: &Table) -> bool {
        match (&self.group, &self.file) {
            (Some(group), None) => group.can_become(layout),
            // A row group goes to the file that is open.
            (_, Some(open)) => open.file.layout.columns == layout.columns,
            (None, None) => true,
        }
    }
}

impl Stager {
    /// Writes below `prefix` of `place`; `busy` is told how long that takes.
    pub fn new(
        io: Arc<Io>,
        pool: Arc<Pool>,
        plan: Arc<Plan>,
        place: Place,
        prefix: String,
        limits: StageLimits,
        busy: Arc<Busy>,
    ) -> Stager {
        Stager {
            io,
            pool,
            plan,
            place,
            prefix,
            limits,
            busy,
            lanes: HashMap::new(),
            memory_bytes: 0,
            num_open_files: 0,
            staged: Vec::new(),
        }
    }

    /// Takes a chunk; chunks of a table come in the order of the input.
    pub fn add(&mut self, chunk: TableChunk) {
        let bytes = chunk.heap_bytes();
        let lane = self.lanes.entry(chunk.table).or_default();
        lane.waiting_bytes += bytes;
        lane.waiting.push(Arc::new(chunk));
        self.memory_bytes += bytes;
    }

    /// Whether something has to be encoded before more chunks are taken.
    pub fn is_full(&self) -> bool {
        self.memory_bytes > self.limits.memory_bytes
            || self.lanes.values().any(|lane| lane.waiting_bytes >= self.limits.batch_bytes)
    }

    /// Encodes what waits where there is enough of it; when memory is short, writes row groups, the
    /// largest tables first. `layout` is what is known by now.
    ///
    /// # Errors
    ///
    /// The place refuses to take the files.
    pub fn make_room(&mut self, layout: &Layout) -> Result<(), Error> {
        let tables = self.tables(layout);
        let limits = self.limits;
        let full = tables.iter().filter_map(|&(table, layout)| {
            let lane = self.lanes.get(&table)?;
            let ends = lane.raw_bytes() >= limits.row_group_bytes;
            (lane.waiting_bytes >= limits.batch_bytes).then_some(Step { table, layout, ends })
        });
        let full: Vec<Step<'_>> = full.collect();
        self.run(&full)?;
        if self.memory_bytes <= limits.memory_bytes {
            return Ok(());
        }
        let mut sizes: Vec<(usize, Step<'_>)> = tables
            .iter()
            .filter_map(|&(table, layout)| {
                let bytes = self.lanes.get(&table)?.memory_bytes();
                Some((bytes, Step { table, layout, ends: true }))
            })
            .collect();
        // Stable: of two as large the one that comes first in the layout.
        sizes.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut rest = self.memory_bytes;
        let largest = sizes.into_iter().take_while(|(bytes, _)| {
            let is_over = rest > limits.memory_bytes / 2;
            rest -= bytes;
            is_over
        });
        let largest: Vec<Step<'_>> = largest.map(|(_, step)| step).collect();
        self.run_in_batches(&largest, false)
    }

    /// Writes all that is left and returns the files, in the order of the layout's tables. A table
    /// without rows gets a file all the same, so that its folder says what it would hold (R11).
    ///
    /// # Errors
    ///
    /// The place refuses to take the files.
    pub fn finish(mut self, layout: &Layout) -> Result<Vec<StagedFile>, Error> {
        let tables = self.tables(layout);
        let steps: Vec<Step<'_>> =
            tables.iter().map(|&(table, layout)| Step { table, layout, ends: true }).collect();
        self.run_in_batches(&steps, true)?;
        let order: HashMap<PathId, usize> =
            tables.iter().enumerate().map(|(at, (table, _))| (*table, at)).collect();
        self.staged.sort_by_key(|file| (order.get(&file.table).copied(), file.number));
        Ok(self.staged)
    }

    /// The tables as the rows encoded so far have them.
    pub fn written(&self) -> impl Iterator<Item = &Table> {
        let begun = self.lanes.values().flat_map(|lane| {
            let group = lane.group.as_ref().map(|group| &group.layout);
            group.into_iter().chain(lane.file.as_ref().map(|open| &open.file.layout))
        });
        self.staged.iter().map(|file| &file.layout).chain(begun)
    }

    fn tables<'a>(&self, layout: &'a Layout) -> Vec<(PathId, &'a Table)> {
        let id = |table: &Table| self.plan.registry.resolve_text(&table.path);
        layout.tables.iter().map(|table| (id(table), table)).collect()
    }

    /// Takes `steps` a few tables at a time, so that encoders and open files are few. With
    /// `are_complete` the files are closed at once.
    fn run_in_batches(&mut self, steps: &[Step<'_>], are_complete: bool) -> Result<(), Error> {
        let mut rest = steps;
        while !rest.is_empty() {
            let mut num_columns = 0;
            let fits = rest.iter().take(MAX_OPEN_FILES).take_while(|step| {
                num_columns += step.layout.columns.len();
                num_columns <= MAX_ENCODERS
            });
            let num_tables = fits.count().max(1);
            let (batch, behind) = rest.split_at(num_tables);
            self.run(batch)?;
            if are_complete {
                for step in batch {
                    self.close_last_file(step)?;
                }
            }
            rest = behind;
        }
        Ok(())
    }

    /// Encodes what waits of some tables.
    fn run(&mut self, steps: &[Step<'_>]) -> Result<(), Error> {
        let is_stale = |step: &&Step<'_>| {
            self.lanes.get(&step.table).is_some_and(|lane| !lane.takes(step.layout))
        };
        let stale: Vec<PathId> = steps.iter().filter(is_stale).map(|step| step.table).collect();
        let ended: Vec<(PathId, bool)> = stale.iter().map(|table| (*table, true)).collect();
        self.encode(&ended, false)?;
        for table in stale {
            self.close_file(table)?;
        }
        for step in steps {
            let lane = self.lanes.entry(step.table).or_default();
            let group = match &mut lane.group {
                Some(group) if group.layout.columns == step.layout.columns => continue,
                Some(group) => group.become_table(step.layout, &self.plan),
                None if lane.waiting.is_empty() => Ok(()),
                None => {
                    RowGroup::new(step.layout, &self.plan).map(|group| lane.group = Some(group))
                }
            };
            group.map_err(Error::encode)?;
        }
        let tables: Vec<(PathId, bool)> =
            steps.iter().map(|step| (step.table, step.ends)).collect();
        self.encode(&tables, true)
    }

    /// Encodes the row groups of some tables, `with_waiting` chunks or as they are, and writes those that
    /// end.
    fn encode(&mut self, tables: &[(PathId, bool)], with_waiting: bool) -> Result<(), Error> {
        let mut tasks = Vec::new();
        let mut groups = Vec::new();
        for &(table, ends) in tables {
            let Some(lane) = self.lanes.get_mut(&table) else { continue };
            let Some(mut group) = lane.group.take() else { continue };
            self.memory_bytes -= group.memory_bytes;
            let mut chunks = Vec::new();
            if with_waiting {
                chunks = std::mem::take(&mut lane.waiting);
                self.memory_bytes -= lane.waiting_bytes;
                group.raw_bytes += std::mem::take(&mut lane.waiting_bytes);
            }
            group.num_rows += chunks.iter().map(|chunk| u64::from(chunk.num_rows)).sum::<u64>();
            let chunks = Arc::new(chunks);
            let encoders = std::mem::take(&mut group.encoders);
            groups.push((table, group, ends, encoders.len()));
            tasks.extend(encoders.into_iter().map(|mut encoder| {
                let (chunks, busy) = (chunks.clone(), self.busy.clone());
                let encode = move || {
                    chunks.iter().try_for_each(|chunk| encoder.write(chunk))?;
                    Ok(if ends {
                        Encoded::Closed(encoder.close()?)
                    } else {
                        Encoded::Open(Box::new(encoder))
                    })
                };
                move || busy.time(Work::Encode, encode)
            }));
        }
        let mut encoded = self.pool.run_all(tasks).into_iter();
        let mut ended = Vec::new();
        for (table, mut group, ends, num_columns) in groups {
            let mut closed = Vec::new();
            for column in encoded.by_ref().take(num_columns) {
                let column: Result<Encoded, ParquetError> = column.ok_or(Error::Panicked)?;
                match column.map_err(Error::encode)? {
                    Encoded::Open(encoder) => group.encoders.push(*encoder),
                    Encoded::Closed(leaves) => closed.extend(leaves),
                }
            }
            if ends {
                ended.push((table, group, closed));
                continue;
            }
            group.memory_bytes = group.encoders.iter().map(ColumnEncoder::memory_bytes).sum();
            self.memory_bytes += group.memory_bytes;
            if let Some(lane) = self.lanes.get_mut(&table) {
                lane.group = Some(group);
            }
        }
        self.write_row_groups(ended)
    }

    /// Writes row groups to the files of their tables, a task per table.
    fn write_row_groups(
        &mut self,
        groups: Vec<(PathId, RowGroup, Vec<EncodedLeaf>)>,
    ) -> Result<(), Error> {
        let mut tasks = Vec::with_capacity(groups.len());
        for (table, group, columns) in groups {
            if self.lanes.get(&table).is_none_or(|lane| lane.file.is_none()) {
                self.open_file(table, &group.layout)?;
            }
            let open = self.lanes.get_mut(&table).and_then(|lane| lane.file.take());
            let Some(mut open) = open else { continue };
            let write = move || {
                open.file.num_rows += group.num_rows;
                let mut row_group = open.writer.next_row_group()?;
                columns.into_iter().try_for_each(|column| column.append_to(&mut row_group))?;
                row_group.close()?;
                Ok((table, open))
            };
            let busy = self.busy.clone();
            tasks.push(move || busy.time(Work::Write, write));
        }
        for written in self.pool.run_all(tasks) {
            let written: Result<(PathId, OpenFile), ParquetError> =
                written.ok_or(Error::Panicked)?;
            let (table, open) = written.map_err(Error::encode)?;
            let is_large = open.writer.bytes_written() >= self.limits.file_bytes;
            if let Some(lane) = self.lanes.get_mut(&table) {
                lane.file = Some(open);
            }
            if is_large {
                self.close_file(table)?;
            }
        }
        Ok(())
    }

    fn open_file(&mut self, table: PathId, layout: &Table) -> Result<(), Error> {
        if self.num_open_files >= MAX_OPEN_FILES {
            let open = self.lanes.iter().filter(|(_, lane)| lane.file.is_some());
            // Any would do; the one with the least to come is not known.
            if let Some(table) = open.map(|(table, _)| *table).min() {
                self.close_file(table)?;
            }
        }
        let lane = self.lanes.entry(table).or_default();
        let number = lane.num_files;
        let key = format!("{}/{}-{number}.parquet", self.prefix, table.index());
        let writer = self.busy.time(Work::Write, || {
            let sink = Sink::create(&self.io, &self.place, &key)?;
            file_writer(sink, &arrow_schema(layout)).map_err(Error::encode)
        })?;
        let file =
            StagedFile { table, number, key, layout: layout.clone(), num_rows: 0, size_bytes: 0 };
        lane.file = Some(OpenFile { writer, file });
        lane.num_files += 1;
        self.num_open_files += 1;
        Ok(())
    }

    /// Closes the file of a table that gets no more rows; a table without any file gets one.
    fn close_last_file(&mut self, step: &Step<'_>) -> Result<(), Error> {
        if self.lanes.get(&step.table).is_none_or(|lane| lane.num_files == 0) {
            self.open_file(step.table, step.layout)?;
        }
        self.close_file(step.table)
    }

    fn close_file(&mut self, table: PathId) -> Result<(), Error> {
        let open = self.lanes.get_mut(&table).and_then(|lane| lane.file.take());
        let Some(OpenFile { writer, mut file }) = open else { return Ok(()) };
        self.num_open_files -= 1;
        file.size_bytes = self.busy.time(Work::Write, || {
            let sink = writer.into_inner().map_err(Error::encode)?;
            sink.complete().map_err(|source| Error::Write { key: file.key.clone(), source })
        })?;
        self.staged.push(file);
        Ok(())
    }
}

/// A writer of Parquet as Solder writes it (R19).
fn file_writer(sink: Sink, schema: &SchemaRef) -> Result<SerializedFileWriter<Sink>, ParquetError> {
    let mut properties = writer_properties();
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    let parquet_schema = ArrowSchemaConverter::new().convert(schema)?;
    SerializedFileWriter::new(sink, parquet_schema.root_schema_ptr(), Arc::new(properties))
}
