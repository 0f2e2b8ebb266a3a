//! One entity from objects to staged files.
//!
//! ```text
//!  reader thread          worker threads             this thread, in order
//!  objects ▶ blocks ════▶ shred: block ▶ chunks ════▶ shape, bases ▶ buffers ▶ row groups
//!            at most N in flight,                                      columns encoded by the workers
//!            fewer where they are large
//! ```
//!
//! Blocks are shredded in any order and collected in the order of the input, so that nothing in the
//! result depends on threads (R4).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use solder_landing::{Object, Place};
use xxhash_rust::xxh3::xxh3_128;

use crate::clock::{Busy, Clock, Phase, Work};
use crate::error::{Error, Signal};
use crate::io::Io;
use crate::pool::Pool;
use crate::progress::{Event, Progress, Taken};
use crate::read::{Block, BlockOptions, Blocks, Origin, Sources};
use crate::relation::{
    Column, KeyError, Layout, LayoutOptions, Naming, Role, Table, check_key, layout,
};
use crate::settings::Settings;
use crate::shape::{ColumnType, JsonPath, KnownPath, Maps, PathId, Plan, Shape, Step, find_maps};
use crate::shred::{ColumnData, Counts, Keep, Shredded, Shredder};
use crate::stage::{QuarantineWriter, StageLimits, StagedFile, Stager};
use solder_landing::pause_at;

/// What an entity is read with.
pub struct EntityTask<'a> {
    /// The root table's name before collisions.
    pub name: &'a str,
    /// Where the objects are.
    pub origin: Origin,
    /// The objects to read, in order.
    pub objects: Arc<Vec<Object>>,
    /// Reading.
    pub blocks: BlockOptions,
    /// Names of columns and tables.
    pub naming: Naming,
    /// What earlier runs committed.
    pub committed: Option<&'a Layout>,
    /// Table names of other entities.
    pub taken: &'a [String],
    /// Where files are staged.
    pub staging: Place,
    /// Prefix of their keys.
    pub prefix: String,
    /// Sizes of row groups and files.
    pub limits: StageLimits,
    /// Most columns of a table (R17).
    pub max_columns: usize,
    /// Most tables (R17).
    pub max_tables: usize,
    /// Most JSON paths, so that they fit the memory (R17).
    pub max_paths: usize,
    /// More keys than this make an object a candidate for a map (R10).
    pub map_keys: usize,
    /// Number of the first record.
    pub first_record: u64,
    /// Join keys given out before, by path (R7).
    pub joins: BTreeMap<String, u64>,
    /// The objects are not all of the entity's: what takes all of it to decide is left to who has it.
    pub is_part: bool,
    /// The clock of the run.
    pub clock: &'a Clock,
}

impl<'a> EntityTask<'a> {
    /// All of an entity that no earlier run knows.
    pub(crate) fn new(
        settings: &Settings,
        name: &'a str,
        origin: Origin,
        objects: Arc<Vec<Object>>,
        staging: Place,
        clock: &'a Clock,
    ) -> EntityTask<'a> {
        EntityTask {
            name,
            origin,
            objects,
            blocks: BlockOptions {
                frame: settings.frame_options(),
                target_bytes: settings.target_bytes(),
                max_ratio: settings.max_ratio,
            },
            naming: settings.naming,
            committed: None,
            taken: &[],
            staging,
            prefix: name.to_owned(),
            limits: settings.stage_limits(),
            max_columns: settings.max_columns,
            max_tables: settings.max_tables,
            max_paths: settings.max_paths(),
            map_keys: settings.map_keys,
            first_record: 0,
            joins: BTreeMap::new(),
            is_part: false,
            clock,
        }
    }

    /// The tables of a shape.
    ///
    /// # Errors
    ///
    /// The declared key cannot be one.
    pub(crate) fn layout(&self, shape: &Shape, plan: &Plan) -> Result<Layout, Error> {
        let options = LayoutOptions {
            naming: self.naming,
            root_table: self.name,
            committed: self.committed,
            taken: self.taken,
        };
        layout(shape, plan, options).map_err(|source| self.key_error(source))
    }

    /// The tables of a whole entity, checked against what was asked for.
    ///
    /// # Errors
    ///
    /// The declared key was never seen, or cannot be one; a limit is exceeded (R17).
    pub(crate) fn final_layout(
        &self,
        shape: &Shape,
        plan: &Plan,
        num_records: u64,
        num_without_key: u64,
    ) -> Result<Layout, Error> {
        if num_records == 0 && num_without_key > 0 {
            // All went to quarantine for a key that was never seen: the option is wrong, not the data.
            check_key(shape, plan).map_err(|source| self.key_error(source))?;
        }
        let layout = self.layout(shape, plan)?;
        self.excess(shape, plan, &layout).map_or(Ok(layout), Err)
    }

    fn key_error(&self, source: KeyError) -> Error {
        Error::Key { entity: self.name.to_owned(), source }
    }

    /// The first limit that a layout exceeds (R17).
    fn excess(&self, shape: &Shape, plan: &Plan, layout: &Layout) -> Option<Error> {
        let (max_tables, max_columns) = (self.max_tables, self.max_columns);
        if layout.tables.len() > max_tables {
            return Some(Error::Limit {
                entity: self.name.to_owned(),
                what: "tables".to_owned(),
                found: layout.tables.len(),
                limit: max_tables,
                option: "--max-tables",
                hint: most_members(shape, plan),
            });
        }
        let wide = layout.tables.iter().find(|table| table.columns.len() > max_columns)?;
        Some(Error::Limit {
            entity: self.name.to_owned(),
            what: format!("columns in table `{}`", wide.name),
            found: wide.columns.len(),
            limit: max_columns,
            option: "--max-columns",
            hint: most_members(shape, plan),
        })
    }
}

/// Who does the work.
#[derive(Clone)]
pub struct Crew {
    /// The stores.
    pub io: Arc<Io>,
    /// The threads.
    pub pool: Arc<Pool>,
    /// Who is told how far it is.
    pub progress: Arc<dyn Progress>,
    /// Set when the run is to stop.
    pub stop: Arc<Stop>,
}

/// A request to stop, and by which signal.
#[derive(Debug, Default)]
pub struct Stop {
    /// SIGINT came.
    pub interrupt: Arc<AtomicBool>,
    /// SIGTERM came.
    pub terminate: Arc<AtomicBool>,
}

impl Stop {
    /// # Errors
    ///
    /// The run is to stop.
    pub fn check(&self) -> Result<(), Error> {
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(Error::Stopped(Signal::Interrupt));
        }
        if self.terminate.load(Ordering::Relaxed) {
            return Err(Error::Stopped(Signal::Terminate));
        }
        Ok(())
    }
}

/// So many bad records of an entity are told in the report; `_quarantine/` has all.
pub(crate) const MAX_TOLD: usize = 20;

/// What came of an entity.
pub struct EntityResult {
    /// What paths mean, for this run.
    pub plan: Arc<Plan>,
    /// Every path ever seen.
    pub shape: Shape,
    /// The tables.
    pub layout: Layout,
    /// The files, some perhaps narrower than their tables.
    pub files: Vec<StagedFile>,
    /// A part of an entity has more tables or columns than may be, and no files.
    pub exceeds_limits: bool,
    /// Records that became rows.
    pub num_records: u64,
    /// The number that the next record gets.
    pub next_record: u64,
    /// Records set aside.
    pub num_rejected: u64,
    /// Those of them that lack the declared key.
    pub num_without_key: u64,
    /// Where and why, of the first of them.
    pub first_rejects: Vec<String>,
    /// Rows by table path.
    pub rows: HashMap<PathId, u64>,
    /// Bytes read, decompressed.
    pub num_bytes: u64,
    /// What was changed on the way.
    pub counts: Counts,
    /// Join keys given out so far, by path.
    pub joins: BTreeMap<String, u64>,
    /// Objects found to be maps in this run.
    pub maps: Maps,
}

/// Reads an entity; again when its maps are found only at the end (R10), or a string that is no
/// timestamp after files with timestamps were written (R12): what is in the tables does not depend on
/// when it came (R4).
///
/// `make_plan` gives the plan and the shape of earlier runs, afresh for every reading.
///
/// # Errors
///
/// The input cannot be read, files cannot be written, or a limit is exceeded.
pub fn relationalize_entity(
    task: &EntityTask<'_>,
    crew: &Crew,
    make_plan: &dyn Fn() -> Result<(Plan, Shape), Error>,
    make_quarantine: &dyn Fn() -> QuarantineWriter,
) -> Result<(EntityResult, QuarantineWriter), Error> {
    let mut maps = Maps::default();
    let mut texts = BTreeSet::new();
    loop {
        let (mut plan, shape) = make_plan()?;
        for path in &maps.found {
            let id = plan.registry.resolve(path);
            plan.known.insert(id, KnownPath { is_map: true, ..KnownPath::default() });
        }
        plan.texts = texts.iter().map(|path| plan.registry.resolve(path)).collect();
        let mut quarantine = make_quarantine();
        let mut collector = Collector::new(task, crew, Arc::new(plan), shape);
        let num_bytes = read_all(task, crew, &mut collector, &mut quarantine)?;
        let found = if task.naming == Naming::Glue || task.is_part {
            Maps::default()
        } else {
            find_maps(&collector.shape, &collector.plan, task.map_keys)
        };
        let new = found.found.iter().any(|path| !maps.found.contains(path));
        if new {
            // The whole input decides, so that the order of records does not.
            maps.found.extend(found.found);
            maps.found.sort();
            maps.found.dedup();
            let paths: Vec<String> = maps.found.iter().map(ToString::to_string).collect();
            crew.progress.event(Event::Again { entity: task.name, paths: &paths });
            task.clock.lap(Phase::Discover);
            continue;
        }
        let num_texts = texts.len();
        texts.extend(collector.lost_timestamps()?);
        if texts.len() > num_texts {
            task.clock.lap(Phase::Discover);
            continue;
        }
        maps.committed = found.committed;
        return Ok((collector.finish(num_bytes, maps)?, quarantine));
    }
}

/// One message of a worker or of the reader.
enum Message {
    /// What came of a block.
    Shredded {
        number: u64,
        shredded: Shredded,
        block: Block,
        /// What it holds besides its own buffer, being large.
        permits: Vec<Vec<u8>>,
    },
    /// No more blocks than this many.
    End(u64),
    Failed(Error),
}

/// Blocks in flight beyond one per thread.
const SPARE_BLOCKS: usize = 2;

fn read_all(
    task: &EntityTask<'_>,
    crew: &Crew,
    collector: &mut Collector<'_>,
    quarantine: &mut QuarantineWriter,
) -> Result<u64, Error> {
    let sources = Sources::new(crew.io.clone(), task.origin.clone(), task.objects.clone());
    let busy = task.clock.busy();
    let blocks = Blocks::new(sources, task.blocks.clone(), busy.clone());
    let hashes: Arc<Vec<u128>> =
        Arc::new(task.objects.iter().map(|object| xxh3_128(object.key.as_bytes())).collect());
    let (messages, inbox) = unbounded();
    let in_flight = crew.pool.num_threads() + SPARE_BLOCKS;
    // A buffer is the permit to fill it, so that memory is used again and again. A block of the size of several
    // takes as many permits: of huge records there is one on its way at a time.
    let (buffers, free_buffers) = bounded::<Vec<u8>>(in_flight);
    for _ in 0..in_flight {
        let _ = buffers.send(Vec::new());
    }
    let workers = Workers {
        block_bytes: task.blocks.target_bytes,
        in_flight,
        pool: crew.pool.clone(),
        shredders: Arc::new(Mutex::new(Vec::new())),
        plan: collector.plan.clone(),
        shape_only: collector.shape_only.clone(),
        hashes,
        messages,
        busy,
    };
    let reader = std::thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || read_blocks(blocks, &free_buffers, &workers))
        .map_err(|source| Error::Read { object: task.origin.address(""), source })?;
    let result = collect(crew, collector, quarantine, &inbox, &buffers);
    // The reader ends when its buffers do; one that hangs in a read is not waited for.
    drop(buffers);
    drop(inbox);
    if result.is_ok() {
        let _ = reader.join();
    }
    result
}

/// What the reader needs to hand blocks to the workers.
struct Workers {
    /// Bytes that a block should have.
    block_bytes: usize,
    /// All permits.
    in_flight: usize,
    pool: Arc<Pool>,
    shredders: Arc<Mutex<Vec<Shredder>>>,
    plan: Arc<Plan>,
    shape_only: Arc<AtomicBool>,
    hashes: Arc<Vec<u128>>,
    messages: Sender<Message>,
    busy: Arc<Busy>,
}

fn read_blocks(mut blocks: Blocks, free_buffers: &Receiver<Vec<u8>>, workers: &Workers) {
    for number in 0.. {
        let Ok(buffer) = free_buffers.recv() else { return };
        match blocks.next_block(buffer) {
            Ok(Some(block)) => {
                let weight = (block.bytes.len() / workers.block_bytes).clamp(1, workers.in_flight);
                let permits: Vec<_> = free_buffers.iter().take(weight - 1).collect();
                workers.shred(number, block, permits);
            }
            Ok(None) => {
                let _ = workers.messages.send(Message::End(number));
                return;
            }
            Err(error) => {
                let _ = workers.messages.send(Message::Failed(error));
                return;
            }
        }
    }
}

impl Workers {
    fn shred(&self, number: u64, block: Block, permits: Vec<Vec<u8>>) {
        let (shredders, plan) = (self.shredders.clone(), self.plan.clone());
        let (hashes, messages) = (self.hashes.clone(), self.messages.clone());
        let (shape_only, busy) = (self.shape_only.clone(), self.busy.clone());
        let is_huge = block.bytes.len() > 2 * self.block_bytes;
        self.pool.spawn(move || {
            let mut guard = PanicGuard { messages: Some(messages) };
            let mut free = shredders.lock().unwrap_or_else(PoisonError::into_inner);
            let mut shredder = free.pop().unwrap_or_else(|| Shredder::new(plan));
            drop(free);
            let keep = match shape_only.load(Ordering::Relaxed) {
                true => Keep::Shape,
                false if is_huge => Keep::Rows,
                false => Keep::All,
            };
            let shredded = busy.time(Work::Shred, || shredder.shred(&block, &hashes, keep));
            shredders.lock().unwrap_or_else(PoisonError::into_inner).push(shredder);
            if let Some(messages) = guard.messages.take() {
                let _ = messages.send(Message::Shredded { number, shredded, block, permits });
            }
        });
    }
}

/// Tells the collector when a worker fails without a word.
struct PanicGuard {
    messages: Option<Sender<Message>>,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if let Some(messages) = &self.messages {
            let _ = messages.send(Message::Failed(Error::Panicked));
        }
    }
}

fn collect(
    crew: &Crew,
    collector: &mut Collector<'_>,
    quarantine: &mut QuarantineWriter,
    inbox: &Receiver<Message>,
    buffers: &Sender<Vec<u8>>,
) -> Result<u64, Error> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    let mut end = None;
    let mut num_bytes = 0;
    while end != Some(next) {
        let message = loop {
            crew.stop.check()?;
            match inbox.recv_timeout(std::time::Duration::from_millis(100)) {
                Ok(message) => break message,
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                    return Err(Error::Panicked);
                }
            }
        };
        match message {
            Message::Shredded { number, shredded, block, permits } => {
                waiting.insert(number, (shredded, block, permits));
            }
            Message::End(number) => end = Some(number),
            Message::Failed(error) => return Err(error),
        }
        while let Some((shredded, block, permits)) = waiting.remove(&next) {
            let bytes = block.bytes.len() as u64;
            crew.progress.add(Taken {
                stored_bytes: block.stored_bytes,
                bytes,
                records: u64::from(shredded.num_records),
                quarantined: shredded.rejects.len() as u64,
            });
            num_bytes += bytes;
            collector.take(shredded, quarantine)?;
            for buffer in permits.into_iter().chain([collector.reusable(block.bytes)]) {
                let _ = buffers.send(buffer);
            }
            if next == 0 {
                pause_at("after-first-block");
            }
            next += 1;
        }
    }
    Ok(num_bytes)
}

/// Brings the blocks' chunks together, in order.
struct Collector<'a> {
    task: &'a EntityTask<'a>,
    plan: Arc<Plan>,
    shape: Shape,
    stager: Stager,
    /// The shape has outgrown its limits: only paths are collected from here on, to find maps.
    shape_only: Arc<AtomicBool>,
    next_check: usize,
    next_record: u64,
    num_records: u64,
    num_rejected: u64,
    num_without_key: u64,
    first_rejects: Vec<String>,
    rows: HashMap<PathId, u64>,
    counts: Counts,
    joins: HashMap<PathId, u64>,
    /// A layout, and the version of the shape that it is for.
    layout_so_far: Option<(u64, Arc<Layout>)>,
}

impl<'a> Collector<'a> {
    fn new(task: &'a EntityTask<'a>, crew: &Crew, plan: Arc<Plan>, shape: Shape) -> Collector<'a> {
        let stager = Stager::new(
            crew.io.clone(),
            crew.pool.clone(),
            plan.clone(),
            task.staging.clone(),
            task.prefix.clone(),
            task.limits,
            task.clock.busy(),
        );
        let joins = task
            .joins
            .iter()
            .filter_map(|(path, next)| Some((plan.registry.resolve(&path.parse().ok()?), *next)));
        Collector {
            task,
            joins: joins.collect(),
            layout_so_far: None,
            plan: plan.clone(),
            shape,
            stager,
            shape_only: Arc::new(AtomicBool::new(false)),
            next_check: task.max_columns,
            next_record: task.first_record,
            num_records: 0,
            num_rejected: 0,
            num_without_key: 0,
            first_rejects: Vec::new(),
            rows: HashMap::new(),
            counts: Counts::default(),
        }
    }

    /// The buffer of a block for the next one; one that a huge record has made huge is let go.
    fn reusable(&self, buffer: Vec<u8>) -> Vec<u8> {
        if buffer.capacity() > 2 * self.task.blocks.target_bytes { Vec::new() } else { buffer }
    }

    fn take(&mut self, shredded: Shredded, quarantine: &mut QuarantineWriter) -> Result<(), Error> {
        for seen in &shredded.paths {
            self.shape.add(&self.plan, seen.id, seen.kinds, seen.num_seen);
        }
        self.counts += shredded.counts;
        self.num_rejected += shredded.rejects.len() as u64;
        self.num_without_key += shredded.num_without_key;
        for reject in shredded.rejects {
            let object = self.task.objects.get(reject.object as usize);
            let key = object.map_or("", |object| object.key.as_str());
            let address = self.task.origin.address(key);
            if self.first_rejects.len() < MAX_TOLD {
                let (line, reason) = (reject.line, &reject.reason);
                self.first_rejects.push(format!("{address}:{line}: {reason}"));
            }
            quarantine.add(self.task.name, &address, reject)?;
        }
        self.check_limits()?;
        let first_record = self.next_record;
        self.next_record += u64::from(shredded.num_records);
        self.num_records += u64::from(shredded.num_records);
        if self.shape_only.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Join keys count the arrays of a path; a child's rows count from the same base.
        let bases = match self.task.naming {
            Naming::Glue => self.joins.clone(),
            Naming::Sql => HashMap::new(),
        };
        for mut table in shredded.tables {
            table.first_record = first_record;
            *self.rows.entry(table.table).or_default() += u64::from(table.num_rows);
            if self.task.naming == Naming::Glue {
                if let Some((array, _)) = self.plan.registry.parent(table.table) {
                    table.first_join = bases.get(&array).copied().unwrap_or(0);
                }
                for column in &mut table.columns {
                    if let ColumnData::ArrayLengths(lengths) = &column.data {
                        let next = self.joins.entry(column.path).or_default();
                        column.first_join = *next;
                        *next += lengths.values.len() as u64;
                    }
                }
            }
            self.stager.add(table);
        }
        while self.stager.is_full() {
            let layout = self.current_layout()?;
            self.stager.make_room(&layout)?;
        }
        Ok(())
    }

    /// Stops keeping values once a table has too many columns: only maps can help then, and finding
    /// them takes the whole input.
    fn check_limits(&mut self) -> Result<(), Error> {
        if self.shape.paths().len() > self.task.max_paths {
            return Err(Error::Limit {
                entity: self.task.name.to_owned(),
                what: "JSON paths".to_owned(),
                found: self.shape.paths().len(),
                limit: self.task.max_paths,
                option: "--memory",
                hint: most_members(&self.shape, &self.plan),
            });
        }
        if self.shape.paths().len() > self.next_check && !self.shape_only.load(Ordering::Relaxed) {
            self.next_check = self.shape.paths().len() * 2;
            let layout = self.layout()?;
            if self.task.excess(&self.shape, &self.plan, &layout).is_some() {
                self.shape_only.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn layout(&self) -> Result<Layout, Error> {
        self.task.layout(&self.shape, &self.plan)
    }

    /// The layout of what was observed so far; made again only when the shape has widened.
    fn current_layout(&mut self) -> Result<Arc<Layout>, Error> {
        let version = self.shape.version();
        if let Some((_, layout)) = self.layout_so_far.as_ref().filter(|(at, _)| *at == version) {
            return Ok(layout.clone());
        }
        let layout = Arc::new(self.layout()?);
        self.layout_so_far = Some((version, layout.clone()));
        Ok(layout)
    }

    fn lost_timestamps(&self) -> Result<Vec<JsonPath>, Error> {
        if !self.stager.written().any(has_timestamps) {
            return Ok(Vec::new());
        }
        Ok(lost_timestamps(self.stager.written(), &self.layout()?))
    }

    fn finish(self, num_bytes: u64, maps: Maps) -> Result<EntityResult, Error> {
        let task = self.task;
        let layout = match task.is_part {
            true => task.layout(&self.shape, &self.plan)?,
            false => {
                task.final_layout(&self.shape, &self.plan, self.num_records, self.num_without_key)?
            }
        };
        let exceeds_limits = task.excess(&self.shape, &self.plan, &layout).is_some();
        pause_at("before-last-row-groups");
        let plan = self.plan.clone();
        let joins = self.joins.iter();
        let joins = joins.map(|(id, next)| (plan.registry.path(*id).to_string(), *next)).collect();
        let files = if exceeds_limits { Vec::new() } else { self.stager.finish(&layout)? };
        pause_at("after-last-row-groups");
        Ok(EntityResult {
            plan: self.plan,
            shape: self.shape,
            layout,
            files,
            exceeds_limits,
            num_records: self.num_records,
            next_record: self.next_record,
            num_rejected: self.num_rejected,
            num_without_key: self.num_without_key,
            first_rejects: self.first_rejects,
            rows: self.rows,
            num_bytes,
            counts: self.counts,
            joins,
            maps,
        })
    }
}

fn is_timestamp(column: &Column) -> bool {
    column.column_type == ColumnType::Timestamp
}

fn has_timestamps(table: &Table) -> bool {
    table.columns.iter().any(is_timestamp)
}

/// The paths of columns that are timestamps in tables as they were written, and are none any more. The
/// strings that they were made of are gone with the spelling of their offsets and fractions.
pub(crate) fn lost_timestamps<'a>(
    written: impl Iterator<Item = &'a Table>,
    layout: &Layout,
) -> Vec<JsonPath> {
    let mut lost = Vec::new();
    for old in written.filter(|table| has_timestamps(table)) {
        let Some(table) = layout.tables.iter().find(|table| table.path == old.path) else {
            continue;
        };
        for column in old.columns.iter().filter(|column| is_timestamp(column)) {
            let same = |now: &&Column| now.role == column.role && now.path == column.path;
            let now = table.columns.iter().find(same);
            if now.is_some_and(|now| !is_timestamp(now))
                && let Ok(path) = column.path.parse::<JsonPath>()
            {
                lost.push(if column.role == Role::List { path.element() } else { path });
            }
        }
    }
    lost
}

/// An object with fewer members than this is hardly a map.
const MANY_MEMBERS: usize = 16;

/// The objects with the most members, as candidates for `--map`.
fn most_members(shape: &Shape, plan: &Plan) -> String {
    let num_keys = |children: &Vec<usize>| {
        let children = children.iter().filter_map(|child| shape.paths().get(*child));
        children.filter(|path| matches!(path.step, Some(Step::Key(_)))).count()
    };
    let mut counts: Vec<(usize, usize)> = shape
        .children()
        .iter()
        .enumerate()
        .skip(1)
        .map(|(at, children)| (num_keys(children), at))
        .filter(|(num_keys, _)| *num_keys >= MANY_MEMBERS)
        .collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let paths = counts.iter().take(3).filter_map(|(_, at)| shape.paths().get(*at));
    let names: Vec<String> =
        paths.map(|path| format!("`{}`", plan.registry.path(path.id))).collect();
    if names.is_empty() { String::new() } else { format!(", such as {}", names.join(", ")) }
}
