//! The whole way of `engine relationalize`, in one place.
//!
//! ```text
//!  input ──▶ select ───────────▶ run, entity by entity ─────────────────────▶ commit, once
//!  objects,   what is new of     read, shred, stage; place: which files are
//!  manifests  each entity        narrower than their tables, and are finished
//!                  │                        ▲
//!                  └──▶ shards ──▶ parts ───┘   the same by many processes
//! ```

mod input;
mod parts;
mod place;
mod run;
mod select;
mod shards;

use std::ops::Add;

use solder_landing::{Place, pause_at};

use crate::clock::{Clock, Phase};
use crate::curated::{Curated, Entity, Manifest};
use crate::error::Error;
use crate::pipeline::Crew;
use crate::pool::on_deep_stack;
use crate::relation::{Layout, Table};
use crate::report::{Report, TableReport};
use crate::settings::{KeyRule, Settings};
use crate::shape::{Plan, Shape, StoredPath};

use input::{Found, InputObjects};
use run::Run;
use select::{Selection, declared_keys, select, unused_keys, with_declared_keys};

pub use shards::{PlanReport, Resources, ShardReport, Sharding, commit, plan, shard};

/// Relationalizes an input into a curated place; commits all entities at once, or nothing.
///
/// # Errors
///
/// Anything that keeps the run from its end; then the place is as it was.
pub fn relationalize(settings: &Settings, crew: &Crew) -> Result<Report, Error> {
    // Shapes are as deep as records, and so is what walks over them.
    on_deep_stack(|| relationalize_here(settings, crew))
}

fn relationalize_here(settings: &Settings, crew: &Crew) -> Result<Report, Error> {
    let clock = Clock::start();
    // What cannot be understood is said before anything is looked up.
    check_run_id(&settings.run_id)?;
    let input = InputObjects::parse(settings)?;
    let curated = Curated::open(crew.io.clone(), &settings.output)?;
    let seen = curated.latest()?;
    if let Some(report) = done_before(&curated, &seen, &settings.run_id)? {
        return Ok(report);
    }
    let found = input.find(settings, crew)?;
    pause_at("after-listing");
    check_any(&found, settings)?;
    let running = curated.begin(&settings.run_id)?;
    pause_at("after-begin");
    let before = curated.latest_since(seen)?;
    if let Some(report) = done_before(&curated, &before, &settings.run_id)? {
        // Another process was at the same run, and has finished it.
        return Ok(report);
    }
    let (settings, selection) = select_of(settings, &curated, &before, &found)?;
    let run = Run::new(&settings, crew, &curated, &before, &selection, &clock)?;
    clock.lap(Phase::List);
    let mut report = run.finish(selection, &found.origin)?;
    // Its last requests, too, are requests of the run.
    drop(running);
    clock.lap(Phase::Commit);
    report.requests = requests(found.origin.place(), &curated);
    report.times = clock.times();
    crew.progress.end();
    Ok(report)
}

fn check_any(found: &Found, settings: &Settings) -> Result<(), Error> {
    let num_ignored = found.grouped.num_ignored;
    match found.grouped.entities.is_empty() {
        true => Err(Error::NoInput { input: settings.input.clone(), num_ignored }),
        false => Ok(()),
    }
}

/// What a run reads, and its settings with the keys that streams declare.
fn select_of(
    settings: &Settings,
    curated: &Curated,
    before: &Manifest,
    found: &Found,
) -> Result<(Settings, Selection), Error> {
    let Found { origin, grouped, landing } = found;
    let declared = declared_keys(settings, grouped)?;
    let is_table =
        |table: &str| grouped.entities.contains_key(table) || before.entities.contains_key(table);
    let selection = Selection {
        unused_options: unused_keys(&settings.keys, is_table),
        base: origin.place().filter(|_| landing.is_none()).map(Place::identity),
        objects_ignored: grouped.num_ignored,
        landing: landing.clone(),
        ..Selection::default()
    };
    let settings = with_declared_keys(settings, &declared)?;
    let selection = Selection { declared, ..selection };
    let selection = select(&settings, curated, before, grouped, selection)?;
    Ok((settings, selection))
}

fn requests(input: Option<&Place>, curated: &Curated) -> Option<solder_landing::Requests> {
    let places = [input, Some(curated.place())];
    places.into_iter().flatten().filter_map(Place::requests).reduce(Add::add)
}

/// A run id is part of the names of files.
fn check_run_id(run_id: &str) -> Result<(), Error> {
    let is_bad = |c: char| c == '/' || c == '\\' || c.is_control();
    if run_id.is_empty() || run_id.starts_with('.') || run_id.contains(is_bad) {
        return Err(Error::Conflict(format!(
            "--run-id `{run_id}` names files, so it must not be empty, begin with `.` or hold a slash"
        )));
    }
    Ok(())
}

/// What to say of a run that is committed already: the same run again changes nothing.
fn done_before(
    curated: &Curated,
    manifest: &Manifest,
    run_id: &str,
) -> Result<Option<Report>, Error> {
    let Some(run) = manifest.runs.iter().find(|run| run.run_id == run_id) else {
        return Ok(None);
    };
    if let Some(rewind) = manifest.rewound_by(run) {
        return Err(Error::Conflict(format!(
            "run `{}` was committed, and taken back by the rewind `{}`; read its objects again \
             under another --run-id",
            run.run_id, rewind.run_id
        )));
    }
    let mut report = Report {
        run_id: run.run_id.clone(),
        sequence: run.sequence,
        already_committed: true,
        ..Report::default()
    };
    for entity in manifest.entities.values() {
        report.tables.extend(table_reports(&curated.shape(entity)?.layout, entity, |_| 0));
    }
    Ok(Some(report))
}

/// The shape that earlier runs left; `plan` learns the layout of every path.
fn restore(name: &str, paths: &[StoredPath], plan: &mut Plan) -> Result<Shape, Error> {
    Shape::restore(paths, plan)
        .map_err(|source| Error::Manifest { key: name.to_owned(), source: source.into() })
}

fn table_reports(
    layout: &Layout,
    entity: &Entity,
    rows_written: impl Fn(&Table) -> u64,
) -> Vec<TableReport> {
    let report = |table: &Table| {
        let files = entity.tables.get(&table.name).map_or(&[][..], |files| files);
        let parent = table.parent.and_then(|parent| layout.tables.get(parent));
        TableReport {
            name: table.name.clone(),
            rows: files.iter().map(|file| file.num_rows).sum(),
            rows_written: rows_written(table),
            columns: table.columns.len(),
            schema: table.columns.clone(),
            files: files.len(),
            bytes: files.iter().map(|file| file.size_bytes).sum(),
            parent: parent.map(|parent| parent.name.clone()),
        }
    };
    layout.tables.iter().map(report).collect()
}

/// The key of an entity among `--key [TABLE=]COLUMN[,COLUMN]…`.
pub(crate) fn key_for<'a>(rules: &'a [KeyRule], entity: &str) -> &'a [crate::shape::Selector] {
    let own = rules.iter().rev().find(|rule| rule.table.as_deref() == Some(entity));
    let any = || rules.iter().rev().find(|rule| rule.table.is_none());
    own.or_else(any).map_or(&[], |rule| &rule.columns)
}
