//! One run by many processes: any machine can read any shard, and one commits.
//!
//! ```text
//!   plan ──▶ running/planned-<commit>/<run>.json      what each shard reads; nothing else is decided there
//!   shard 0 … n, anywhere, in any order, again ──▶ staging/<run>/shard-<n>/<attempt>/  files
//!                                                  staging/<run>/shard-<n>.json        the record: created
//!                                                                                      once, so one attempt counts
//!   commit ──▶ the records, in the order of the input ──▶ one manifest, as of a run by one process
//! ```
//!
//! A plan is for the state that it was made on. It counts, and keeps the files of its shards, until a run
//! commits: its own, or another. `_seq` goes on from shard to shard with gaps, since how many records those
//! before have is not known when a shard begins.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use solder_landing::{Creation, Place, pause_at};

use crate::clock::{Clock, Phase, Times};
use crate::curated::{Curated, Manifest};
use crate::error::Error;
use crate::pipeline::{Crew, EntityTask, relationalize_entity};
use crate::pool::on_deep_stack;
use crate::read::Origin;
use crate::relation::Naming;
use crate::report::Report;
use crate::settings::{Settings, new_run_id};
use crate::shape::Plan;
use crate::stage::QuarantineWriter;

use super::input::InputObjects;
use super::parts::{Part, Parts};
use super::run::Run;
use super::select::{Selection, stored_shape};
use super::{check_any, check_run_id, done_before, requests, restore, select_of};

/// The version of the form of plans and records.
const FORMAT: u32 = 1;
/// Step Functions and Batch take no more children.
const MAX_SHARDS: usize = 10_000;
/// More records than this for a stored byte, and the entity is read whole: what compresses so well is small.
const RECORDS_PER_BYTE: u64 = 32;

/// Into how many shards an input is cut.
#[derive(Clone, Copy, Debug)]
pub enum Sharding {
    /// So many, or fewer where there are fewer objects.
    Count(usize),
    /// As many as make shards of so many stored bytes.
    Bytes(u64),
}

/// What a process has for its work.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    /// Bytes of memory for data.
    pub memory_bytes: usize,
}

/// The report of `engine plan`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PlanReport {
    /// The run's id, by which shards and commit know it.
    pub run_id: String,
    /// Shards, numbered from 0; none when there is nothing to read.
    pub shards: usize,
    /// Objects to read.
    pub objects: u64,
    /// Their bytes, as stored.
    pub bytes: u64,
    /// Bytes of the largest shard.
    pub bytes_of_largest: u64,
    /// The run is committed already: its shards have nothing to do.
    pub already_committed: bool,
    /// The plan had been made before, and stands.
    pub already_planned: bool,
}

/// The report of `engine shard`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShardReport {
    /// The run's id.
    pub run_id: String,
    /// The shard.
    pub shard: usize,
    /// Shards in all.
    pub shards: usize,
    /// The shard had been done before, or another attempt was first: this one counts for nothing.
    pub already_done: bool,
    /// Records that became rows.
    pub records_read: u64,
    /// Records set aside.
    pub records_quarantined: u64,
    /// Bytes of JSON, decompressed.
    pub bytes_read: u64,
    /// Objects read.
    pub objects_read: u64,
    /// Files staged.
    pub files: usize,
    /// What stores were asked; absent when all is on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<solder_landing::Requests>,
    /// When it ran, and where its time went.
    #[serde(flatten)]
    pub times: Times,
}

/// What the shards of a run read.
#[derive(Debug, Serialize, Deserialize)]
struct ShardPlan {
    format: u32,
    /// With the keys that streams declare.
    settings: Settings,
    /// Where the objects are.
    origin: String,
    selection: Selection,
    shards: Vec<Vec<Slice>>,
}

/// Objects of one entity that a shard reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Slice {
    /// The entity, by its place in the selection.
    entity: usize,
    /// The first object, by its place in the entity,
    from: usize,
    /// and the first that is not read.
    to: usize,
    /// The number of the first record,
    first_record: u64,
    /// and the first that is of the next slice.
    end_record: u64,
}

/// What an attempt at a shard has staged: the first that creates its record counts.
#[derive(Debug, Serialize, Deserialize)]
struct ShardRecord {
    format: u32,
    attempt: String,
    /// In the order of the shard's slices.
    parts: Vec<Part>,
}

/// Cuts an input into shards.
///
/// # Errors
///
/// As of a run that has not read anything yet; standard input and the names of AWS Glue cannot be cut.
pub fn plan(settings: &Settings, crew: &Crew, sharding: Sharding) -> Result<PlanReport, Error> {
    check_run_id(&settings.run_id)?;
    if settings.naming == Naming::Glue {
        return Err(Error::Conflict(
            "--naming glue counts the arrays of the whole input, one after another, so that shards cannot \
             number theirs: leave it out, or use `engine relationalize`"
                .to_owned(),
        ));
    }
    let curated = Curated::open(crew.io.clone(), &settings.output)?;
    let seen = curated.latest()?;
    if done_before(&curated, &seen, &settings.run_id)?.is_some() {
        let run_id = settings.run_id.clone();
        return Ok(PlanReport { run_id, already_committed: true, ..PlanReport::default() });
    }
    let found = InputObjects::parse(settings)?.find(settings, crew)?;
    if found.origin.place().is_none() {
        return Err(Error::Conflict(
            "standard input (`-`) is read once, by one process: give the records as files"
                .to_owned(),
        ));
    }
    check_any(&found, settings)?;
    let mut running = curated.begin(&settings.run_id)?;
    // Planned before, its shards may be at work.
    running.keep_staging();
    let before = curated.latest_since(seen)?;
    let (settings, selection) = select_of(settings, &curated, &before, &found)?;
    let shards = cut(&selection, &before, sharding);
    let origin = found.origin.place().map(Place::identity).unwrap_or_default();
    let plan = ShardPlan { format: FORMAT, settings, origin, selection, shards };
    let made = curated.create_plan(before.sequence, &plan.settings.run_id, &plan)?;
    drop(running);
    match made {
        Creation::Created => Ok(plan.report(false)),
        Creation::AlreadyExists => {
            let (_, standing) = standing_plan(&curated, &before, &plan.settings.run_id)?;
            standing.check_same_settings(&plan)?;
            Ok(standing.report(true))
        }
    }
}

/// Reads one shard of a planned run, and stages its files. Again, or by several at a time: the first
/// attempt that is done counts.
///
/// # Errors
///
/// There is no such plan or shard, another run has committed since, or the shard cannot be read.
pub fn shard(
    output: &str,
    run_id: &str,
    number: usize,
    resources: Resources,
    crew: &Crew,
) -> Result<ShardReport, Error> {
    on_deep_stack(|| shard_here(output, run_id, number, resources, crew))
}

fn shard_here(
    output: &str,
    run_id: &str,
    number: usize,
    resources: Resources,
    crew: &Crew,
) -> Result<ShardReport, Error> {
    let clock = Clock::start();
    check_run_id(run_id)?;
    let curated = Curated::open(crew.io.clone(), output)?;
    let before = curated.latest()?;
    let mut report =
        ShardReport { run_id: run_id.to_owned(), shard: number, ..ShardReport::default() };
    if done_before(&curated, &before, run_id)?.is_some() {
        return Ok(ShardReport { already_done: true, ..report });
    }
    let (_, mut plan) = standing_plan(&curated, &before, run_id)?;
    plan.settings.memory_bytes = resources.memory_bytes;
    report.shards = plan.shards.len();
    let slices = plan.shards.get(number).ok_or_else(|| plan.no_such_shard(number))?;
    let staging = curated.staging(run_id)?;
    let record_key = record_key(number);
    if crew.io.wait(staging.exists(&record_key))? {
        return Ok(ShardReport { already_done: true, ..report });
    }
    let attempt = Attempt {
        plan: &plan,
        curated: &curated,
        before: &before,
        staging: &staging,
        folder: format!("shard-{number}/{}", new_run_id()),
        crew,
        clock: &clock,
    };
    clock.lap(Phase::List);
    let read = attempt.read(slices);
    clock.lap(Phase::Transform);
    pause_at("before-record");
    let created = read.and_then(|parts| {
        report.add(&parts, slices);
        let record = ShardRecord { format: FORMAT, attempt: attempt.folder.clone(), parts };
        curated.create_json(&staging, &record_key, &record)
    });
    if !matches!(created, Ok(Creation::Created)) {
        // Whatever cannot be removed now goes with the run.
        let _ = attempt.remove();
    }
    if matches!(created?, Creation::AlreadyExists) {
        report = ShardReport {
            run_id: report.run_id,
            shard: number,
            shards: report.shards,
            already_done: true,
            ..ShardReport::default()
        };
    }
    clock.lap(Phase::Commit);
    report.requests = requests(Some(&staging), &curated);
    report.times = clock.times();
    crew.progress.end();
    Ok(report)
}

/// Commits a planned run when all its shards are done: the tables are those of a run by one process.
///
/// # Errors
///
/// There is no such plan, shards are missing, another run has committed since; or as of any run.
pub fn commit(
    output: &str,
    run_id: &str,
    resources: Resources,
    crew: &Crew,
) -> Result<Report, Error> {
    on_deep_stack(|| commit_here(output, run_id, resources, crew))
}

fn commit_here(
    output: &str,
    run_id: &str,
    resources: Resources,
    crew: &Crew,
) -> Result<Report, Error> {
    let clock = Clock::start();
    check_run_id(run_id)?;
    let curated = Curated::open(crew.io.clone(), output)?;
    let seen = curated.latest()?;
    if let Some(report) = done_before(&curated, &seen, run_id)? {
        return Ok(report);
    }
    standing_plan(&curated, &seen, run_id)?;
    let mut running = curated.begin(run_id)?;
    running.keep_staging();
    let before = curated.latest_since(seen)?;
    if let Some(report) = done_before(&curated, &before, run_id)? {
        return Ok(report);
    }
    let (plan_key, plan) = standing_plan(&curated, &before, run_id)?;
    let parts = read_parts(&curated, &plan, crew)?;
    let ShardPlan { mut settings, origin, selection, .. } = plan;
    settings.memory_bytes = resources.memory_bytes;
    let origin = Origin::Place(Place::parse(&origin)?);
    let mut run = Run::new(&settings, crew, &curated, &before, &selection, &clock)?;
    run.parts = Some(&parts);
    clock.lap(Phase::List);
    let mut report = run.finish(selection, &origin)?;
    running.end_plan(&plan_key);
    clock.lap(Phase::Commit);
    report.requests = requests(origin.place(), &curated);
    report.times = clock.times();
    crew.progress.end();
    Ok(report)
}

/// The plan of a run, and its key.
///
/// # Errors
///
/// There is none, or another run has committed since it was made.
fn standing_plan(
    curated: &Curated,
    before: &Manifest,
    run_id: &str,
) -> Result<(String, ShardPlan), Error> {
    match curated.plan(run_id)? {
        None => {
            Err(Error::NotPlanned { run_id: run_id.to_owned(), place: curated.place().to_string() })
        }
        Some((sequence, _, _)) if sequence != before.sequence => {
            let other = before.runs.last().map(|run| run.run_id.clone()).unwrap_or_default();
            Err(Error::PlanVoid { run_id: run_id.to_owned(), other })
        }
        Some((_, key, plan)) => Ok((key, plan)),
    }
}

/// The records of all shards, in the order of the input.
///
/// # Errors
///
/// Shards are missing.
fn read_parts(curated: &Curated, plan: &ShardPlan, crew: &Crew) -> Result<Parts, Error> {
    let run_id = &plan.settings.run_id;
    let staging = curated.staging(run_id)?;
    let listed = match crew.io.wait(staging.list()) {
        // No shard has begun.
        Err(error) if error.is_not_found() => Vec::new(),
        listed => listed?,
    };
    let found: HashSet<&str> = listed.iter().map(|object| object.key.as_str()).collect();
    let is_done = |number: &usize| found.contains(record_key(*number).as_str());
    let missing: Vec<usize> = (0..plan.shards.len()).filter(|number| !is_done(number)).collect();
    if !missing.is_empty() {
        return Err(Error::ShardsMissing {
            run_id: run_id.clone(),
            num_shards: plan.shards.len(),
            missing,
        });
    }
    let mut parts = Parts::default();
    for (number, slices) in plan.shards.iter().enumerate() {
        let record: ShardRecord = curated.json_of(&staging, &record_key(number))?;
        for (slice, mut part) in slices.iter().zip(record.parts) {
            // It has taken numbers of the next shard's records.
            part.takes_whole |= part.next_record > slice.end_record;
            if let Some(entity) = plan.selection.entities.get(slice.entity) {
                parts.add(&entity.name, part);
            }
        }
    }
    Ok(parts)
}

fn record_key(number: usize) -> String {
    format!("shard-{number}.json")
}

/// One attempt at a shard.
struct Attempt<'a> {
    plan: &'a ShardPlan,
    curated: &'a Curated,
    before: &'a Manifest,
    staging: &'a Place,
    /// Where its files go, below the staging place.
    folder: String,
    crew: &'a Crew,
    clock: &'a Clock,
}

impl Attempt<'_> {
    fn read(&self, slices: &[Slice]) -> Result<Vec<Part>, Error> {
        slices.iter().map(|slice| self.read_slice(slice)).collect()
    }

    fn read_slice(&self, slice: &Slice) -> Result<Part, Error> {
        let settings = &self.plan.settings;
        let entities = &self.plan.selection.entities;
        // Plans are written by this program: a slice is within its selection.
        let entity = entities.get(slice.entity).ok_or(Error::Panicked)?;
        let objects = entity.objects.get(slice.from..slice.to).ok_or(Error::Panicked)?;
        let objects = Arc::new(objects.to_vec());
        let known = self.before.entities.get(&entity.name);
        let stored = stored_shape(self.curated, known, settings)?;
        let origin = Origin::Place(Place::parse(&self.plan.origin)?);
        let prefix = format!("{}/{}", self.folder, entity.name);
        self.crew
            .progress
            .begin(&entity.name, objects.iter().map(|object| object.size_bytes).sum());
        let task = EntityTask {
            committed: stored.as_ref().map(|stored| &stored.layout),
            prefix: prefix.clone(),
            first_record: slice.first_record,
            is_part: true,
            ..EntityTask::new(
                settings,
                &entity.name,
                origin,
                objects,
                self.staging.clone(),
                self.clock,
            )
        };
        let paths = stored.as_ref().map_or(&[][..], |stored| &stored.paths);
        let make_plan = || {
            let mut plan: Plan = settings.plan(&entity.name);
            let shape = restore(&entity.name, paths, &mut plan)?;
            Ok((plan, shape))
        };
        let make_quarantine = || {
            QuarantineWriter::new(
                self.crew.io.clone(),
                self.staging.clone(),
                format!("{prefix}/quarantine.parquet"),
                settings.run_id.clone(),
            )
        };
        let (result, quarantine) =
            relationalize_entity(&task, self.crew, &make_plan, &make_quarantine)?;
        Ok(Part::of(result, quarantine.finish()?, paths))
    }

    fn remove(&self) -> Result<(), Error> {
        if let Some(path) = self.staging.local_path(&self.folder) {
            let _ = std::fs::remove_dir_all(path);
            return Ok(());
        }
        let objects = self.crew.io.wait(self.staging.list_from(&self.folder))?;
        let keys: Vec<String> = objects.into_iter().map(|object| object.key).collect();
        Ok(self.crew.io.wait(self.staging.delete(&keys))?)
    }
}

impl ShardPlan {
    fn report(&self, already_planned: bool) -> PlanReport {
        let entities = &self.selection.entities;
        let bytes_of = |slices: &Vec<Slice>| -> u64 {
            let objects = |slice: &Slice| {
                let entity = entities.get(slice.entity);
                entity.and_then(|entity| entity.objects.get(slice.from..slice.to))
            };
            slices.iter().filter_map(objects).flatten().map(|object| object.size_bytes).sum()
        };
        let bytes: Vec<u64> = self.shards.iter().map(bytes_of).collect();
        PlanReport {
            run_id: self.settings.run_id.clone(),
            shards: self.shards.len(),
            objects: entities.iter().map(|entity| entity.objects.len() as u64).sum(),
            bytes: bytes.iter().sum(),
            bytes_of_largest: bytes.into_iter().max().unwrap_or(0),
            already_committed: false,
            already_planned,
        }
    }

    /// Refuses another plan under the same id: its shards may be at work.
    fn check_same_settings(&self, new: &ShardPlan) -> Result<(), Error> {
        let options = |settings: &Settings| {
            let settings =
                Settings { started_at: String::new(), memory_bytes: 0, ..settings.clone() };
            serde_json::to_value(settings).ok()
        };
        if options(&self.settings) == options(&new.settings) {
            return Ok(());
        }
        Err(Error::Conflict(format!(
            "run `{}` is planned already, with other options: plan under another --run-id",
            self.settings.run_id
        )))
    }

    fn no_such_shard(&self, number: usize) -> Error {
        let num_shards = self.shards.len();
        let run_id = &self.settings.run_id;
        Error::Conflict(match num_shards.checked_sub(1) {
            None => format!("run `{run_id}` has nothing to read, and so no shards: commit it"),
            Some(last) => format!("run `{run_id}` has the shards 0 to {last}, and no {number}"),
        })
    }
}

impl ShardReport {
    fn add(&mut self, parts: &[Part], slices: &[Slice]) {
        for part in parts {
            self.records_read += part.num_records;
            self.records_quarantined += part.num_rejected;
            self.bytes_read += part.num_bytes;
            self.files += part.files.len();
        }
        self.objects_read = slices.iter().map(|slice| (slice.to - slice.from) as u64).sum();
    }
}

/// Cuts what is to be read, in its order, into shards of about the same size.
fn cut(selection: &Selection, before: &Manifest, sharding: Sharding) -> Vec<Vec<Slice>> {
    let objects = || selection.entities.iter().flat_map(|entity| &entity.objects);
    let total: u64 = objects().map(|object| object.size_bytes).sum();
    let num_shards = match sharding {
        Sharding::Count(count) => count,
        Sharding::Bytes(bytes) => {
            usize::try_from(total.div_ceil(bytes.max(1))).unwrap_or(MAX_SHARDS)
        }
    };
    let num_shards = num_shards.clamp(1, MAX_SHARDS) as u64;
    let shard_bytes = total.div_ceil(num_shards).max(1);
    let mut shards: Vec<(u64, Vec<Slice>)> = Vec::new();
    let mut bytes_before = 0;
    for (at, entity) in selection.entities.iter().enumerate() {
        let known = before.entities.get(&entity.name).filter(|_| entity.appends);
        let mut next_record = known.map_or(0, |entity| entity.next_record);
        for (number, object) in entity.objects.iter().enumerate() {
            // An object goes where its middle is.
            let shard = (bytes_before + object.size_bytes / 2) / shard_bytes;
            bytes_before += object.size_bytes;
            if shards.last().is_none_or(|(last, _)| *last != shard) {
                shards.push((shard, Vec::new()));
            }
            let Some((_, slices)) = shards.last_mut() else { continue };
            if slices.last().is_none_or(|slice| slice.entity != at) {
                let (first_record, end_record) = (next_record, next_record);
                slices.push(Slice {
                    entity: at,
                    from: number,
                    to: number,
                    first_record,
                    end_record,
                });
            }
            let Some(slice) = slices.last_mut() else { continue };
            next_record += object.size_bytes * RECORDS_PER_BYTE + 1;
            slice.to = number + 1;
            slice.end_record = next_record;
        }
    }
    shards.into_iter().map(|(_, slices)| slices).collect()
}
