//! What shards have read of an entity, and how it becomes what one process would have read.
//!
//! The parts come in the order of the input, whatever the order they were read in, and their shapes meet as
//! those of blocks do (R4). What only the whole input can tell (whether an object is a map, whether all
//! strings of a column are timestamps) can make files of a part useless; then the entity is read again, whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::pipeline::{EntityResult, EntityTask, MAX_TOLD, lost_timestamps};
use crate::relation::Table;
use crate::shape::{JsonPath, PathId, Plan, Shape, StoredPath, find_maps};
use crate::shred::Counts;
use crate::stage::{StagedFile, StagedQuarantine};

/// What a shard has read of an entity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    /// The files are of no use: only who has the whole entity can write them.
    pub takes_whole: bool,
    /// What was seen, in order of first appearance; of earlier runs' paths, how often in this part.
    pub paths: Vec<StoredPath>,
    /// The files, staged.
    pub files: Vec<PartFile>,
    /// The quarantine file, when there is one.
    pub quarantine: Option<StagedQuarantine>,
    /// Records that became rows.
    pub num_records: u64,
    /// The number that the next record would have got.
    pub next_record: u64,
    /// Records set aside.
    pub num_rejected: u64,
    /// Those of them that lack the declared key.
    pub num_without_key: u64,
    /// Where and why, of the first of them.
    pub first_rejects: Vec<String>,
    /// Rows by the path of their table.
    pub rows: BTreeMap<String, u64>,
    /// Bytes read, decompressed.
    pub num_bytes: u64,
    /// What was changed on the way.
    pub counts: Counts,
    /// Which `--resolve` has named a path.
    pub rules_met: Vec<bool>,
}

/// A file of a part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PartFile {
    key: String,
    layout: Table,
    num_rows: u64,
    size_bytes: u64,
}

impl Part {
    /// What a shard has read, when the shape began as `stored`.
    pub(super) fn of(
        result: EntityResult,
        quarantine: Option<StagedQuarantine>,
        stored: &[StoredPath],
    ) -> Part {
        let plan = &result.plan;
        let before: HashMap<&str, u64> =
            stored.iter().map(|path| (path.path.as_str(), path.num_seen)).collect();
        let mut paths = result.shape.store(plan);
        for path in &mut paths {
            path.num_seen -= before.get(path.path.as_str()).copied().unwrap_or(0);
        }
        let file = |file: StagedFile| PartFile {
            key: file.key,
            layout: file.layout,
            num_rows: file.num_rows,
            size_bytes: file.size_bytes,
        };
        let rows = result.rows.iter();
        let met = |met: &AtomicBool| met.load(Ordering::Relaxed);
        Part {
            takes_whole: result.exceeds_limits,
            paths,
            rows: rows.map(|(id, rows)| (plan.registry.path(*id).to_string(), *rows)).collect(),
            rules_met: plan.rules_met.iter().map(met).collect(),
            files: result.files.into_iter().map(file).collect(),
            quarantine,
            num_records: result.num_records,
            next_record: result.next_record,
            num_rejected: result.num_rejected,
            num_without_key: result.num_without_key,
            first_rejects: result.first_rejects,
            num_bytes: result.num_bytes,
            counts: result.counts,
        }
    }
}

/// The parts of all entities, each in the order of the input.
#[derive(Debug, Default)]
pub(super) struct Parts {
    by_entity: HashMap<String, Vec<Part>>,
}

impl Parts {
    /// Takes the next part of an entity.
    pub(super) fn add(&mut self, entity: &str, part: Part) {
        self.by_entity.entry(entity.to_owned()).or_default().push(part);
    }

    /// The parts of an entity; `None` when it has none.
    pub(super) fn of(&self, entity: &str) -> Option<&[Part]> {
        self.by_entity.get(entity).map(Vec::as_slice)
    }
}

/// What one process would have read of an entity, from its parts; `None` when it has to read it itself.
///
/// # Errors
///
/// As of reading it: the key cannot be one, or a limit is exceeded.
pub(super) fn unify(
    task: &EntityTask<'_>,
    parts: &[Part],
    make_plan: &dyn Fn() -> Result<(Plan, Shape), Error>,
) -> Result<Option<EntityResult>, Error> {
    if parts.iter().any(|part| part.takes_whole) {
        return Ok(None);
    }
    let (plan, mut shape) = make_plan()?;
    for path in parts.iter().flat_map(|part| &part.paths) {
        let parsed = path.path.parse::<JsonPath>().map_err(|source| Error::Manifest {
            key: task.staging.to_string(),
            source: source.into(),
        })?;
        shape.add(&plan, plan.registry.resolve(&parsed), path.kinds, path.num_seen);
    }
    let maps = find_maps(&shape, &plan, task.map_keys);
    if !maps.found.is_empty() {
        return Ok(None);
    }
    let sum = |of: fn(&Part) -> u64| parts.iter().map(of).sum::<u64>();
    let num_records = sum(|part| part.num_records);
    let num_without_key = sum(|part| part.num_without_key);
    let layout = task.final_layout(&shape, &plan, num_records, num_without_key)?;
    let written = || parts.iter().flat_map(|part| &part.files);
    let is_written = |table: &Table| written().any(|file| file.layout.path == table.path);
    let has_lost = !lost_timestamps(written().map(|file| &file.layout), &layout).is_empty();
    if has_lost || !layout.tables.iter().all(is_written) {
        return Ok(None);
    }
    for part in parts {
        for (met, now) in plan.rules_met.iter().zip(&part.rules_met) {
            met.fetch_or(*now, Ordering::Relaxed);
        }
    }
    let id = |path: &str| plan.registry.resolve_text(path);
    let mut rows: HashMap<PathId, u64> = HashMap::new();
    for (path, num_rows) in parts.iter().flat_map(|part| &part.rows) {
        *rows.entry(id(path)).or_default() += num_rows;
    }
    let mut counts = Counts::default();
    parts.iter().for_each(|part| counts += part.counts);
    let first_rejects = parts.iter().flat_map(|part| &part.first_rejects);
    Ok(Some(EntityResult {
        files: files(written(), &id),
        exceeds_limits: false,
        num_records,
        next_record: parts.last().map_or(task.first_record, |part| part.next_record),
        num_rejected: sum(|part| part.num_rejected),
        num_without_key,
        first_rejects: first_rejects.take(MAX_TOLD).cloned().collect(),
        rows,
        num_bytes: sum(|part| part.num_bytes),
        counts,
        joins: BTreeMap::new(),
        maps,
        plan: Arc::new(plan),
        shape,
        layout,
    }))
}

/// The files of all parts: of a table without rows, one.
fn files<'a>(
    written: impl Iterator<Item = &'a PartFile>,
    id: &dyn Fn(&str) -> PathId,
) -> Vec<StagedFile> {
    let mut files: Vec<StagedFile> = Vec::new();
    let mut numbers: HashMap<PathId, usize> = HashMap::new();
    let (full, empty): (Vec<&PartFile>, Vec<&PartFile>) =
        written.partition(|file| file.num_rows > 0);
    for file in full.into_iter().chain(empty) {
        let table = id(&file.layout.path);
        let number = numbers.entry(table).or_default();
        if file.num_rows == 0 && *number > 0 {
            continue;
        }
        files.push(StagedFile {
            table,
            number: *number,
            key: file.key.clone(),
            layout: file.layout.clone(),
            num_rows: file.num_rows,
            size_bytes: file.size_bytes,
        });
        *number += 1;
    }
    files
}
