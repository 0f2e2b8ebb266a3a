//! The whole way of `engine relationalize`, in one place.
//!
//! ```text
//!  list, or read manifests ▶ group into entities ▶ for each: read, shred, stage ▶ finish narrow files ▶ commit once
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use solder_landing::raw::RawError;
use solder_landing::{Input, Landed, LandedStream, Object, Place};

use crate::curated::{
    Bookmark, Curated, DataFile, Entity, Manifest, Publication, ReadObject, StoredShape,
};
use crate::drift::{changes, choices};
use crate::error::Error;
use crate::pipeline::{Crew, EntityResult, EntityTask, relationalize_entity};
use crate::pool::on_deep_stack;
use crate::progress::Event;
use crate::read::{
    BlockOptions, Entities, EntityInput, Origin, STDIN, StandardInput, group, group_landed,
};
use crate::relation::{Layout, Naming, Table};
use crate::report::{LandingReport, MapReport, Report, TableReport};
use crate::settings::{Drift, KeyRule, Settings};
use crate::shape::{Action, JsonPath, Kinds, PathId, Plan, Selector, Shape, StoredPath};
use crate::stage::{QuarantineWriter, StagedFile, rewrite};
use solder_landing::pause_at;

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
    let began = Instant::now();
    // What cannot be understood is said before anything is looked up.
    check_run_id(&settings.run_id)?;
    let input = InputObjects::parse(settings)?;
    let curated = Curated::open(crew.io.clone(), &settings.output)?;
    let seen = curated.latest()?;
    if let Some(report) = done_before(&seen, settings)? {
        return Ok(report);
    }
    let Found { origin, grouped, landing } = input.find(settings, crew)?;
    pause_at("after-listing");
    let num_ignored = grouped.num_ignored;
    if grouped.entities.is_empty() {
        return Err(Error::NoInput { input: settings.input.clone(), num_ignored });
    }
    let (settings, declared) = &with_declared_keys(settings, &grouped)?;
    let running = curated.begin(&settings.run_id)?;
    pause_at("after-begin");
    let before = curated.latest_since(seen)?;
    if let Some(report) = done_before(&before, settings)? {
        // Another process was at the same run, and has finished it.
        return Ok(report);
    }
    let mut run = Run {
        settings,
        declared,
        rules_met: vec![false; settings.rules.len()],
        num_entities_read: 0,
        base: origin.place().filter(|_| landing.is_none()).map(Place::identity),
        crew,
        staging: curated.staging(&settings.run_id)?,
        manifest: before.next(&settings.run_id, &settings.started_at, "relationalize"),
        before: &before,
        curated: &curated,
        publications: Vec::new(),
        report: Report { run_id: settings.run_id.clone(), ..Report::default() },
        finishing: Vec::new(),
        quarantine: Vec::new(),
    };
    run.report.objects_ignored = num_ignored;
    run.report.landing = landing;
    run.report.unused_options = unused_keys(&settings.keys, |table| {
        grouped.entities.contains_key(table) || before.entities.contains_key(table)
    });
    for (name, input) in &grouped.entities {
        run.entity(name, input, &origin)?;
    }
    run.tell_unused_rules(grouped.entities.len());
    pause_at("after-entities");
    run.check_threshold()?;
    run.commit()?;
    pause_at("after-commit");
    let mut report = run.report;
    // Its last requests, too, are requests of the run.
    drop(running);
    let places = [origin.place(), Some(curated.place())];
    report.requests = places.into_iter().flatten().filter_map(Place::requests).reduce(Add::add);
    report.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    crew.progress.end();
    Ok(report)
}

/// What a run reads.
enum InputObjects {
    Listed(Box<Input>),
    Stdin,
}

impl InputObjects {
    fn parse(settings: &Settings) -> Result<InputObjects, Error> {
        if settings.input != STDIN {
            return Ok(InputObjects::Listed(Box::new(Input::parse(&settings.input)?)));
        }
        if settings.bookmark {
            return Err(Error::Conflict(
                "--bookmark remembers objects by their names, and standard input (`-`) has none: leave it \
                 out, or give the records as a file"
                    .to_owned(),
            ));
        }
        Ok(InputObjects::Stdin)
    }

    /// Where the objects are, and which belong to which entity.
    fn find(self, settings: &Settings, crew: &Crew) -> Result<Found, Error> {
        let table = settings.table.as_deref();
        let input = match self {
            InputObjects::Stdin => {
                let objects = vec![StandardInput::object()];
                let grouped = group(objects, table.or(Some("stdin")), STDIN, settings.naming, true);
                return Ok(Found { origin: Origin::Stdin(Arc::default()), grouped, landing: None });
            }
            InputObjects::Listed(input) => input,
        };
        if let Some(landed) = crew.io.wait(input.landed())? {
            return landed_objects(landed, settings);
        }
        let listing = crew.io.wait(input.objects())?;
        // Runs say that they begin before they land anything.
        if listing.objects.iter().any(|object| object.key.starts_with("runs/source=")) {
            return Err(Error::NothingLanded { input: settings.input.clone() });
        }
        let name = settings.input_name();
        let mut grouped =
            group(listing.objects, table, &name, settings.naming, listing.is_one_object);
        grouped.num_ignored += listing.hidden;
        Ok(Found { origin: Origin::Place(listing.base), grouped, landing: None })
    }
}

/// What there is to read.
struct Found {
    origin: Origin,
    grouped: Entities,
    landing: Option<LandingReport>,
}

/// The parts that count in a landing zone, by entity.
fn landed_objects(landed: Landed, settings: &Settings) -> Result<Found, Error> {
    if landed.streams.is_empty() {
        return Err(Error::NothingLanded { input: settings.input.clone() });
    }
    let origin = Origin::Place(landed.root.clone());
    let num_parts = |stream: &LandedStream| (stream.objects.len() + stream.lost.len()) as u64;
    let landing = Some(LandingReport {
        root: landed.root.to_string(),
        streams: landed.streams.len() as u64,
        parts: landed.streams.iter().map(num_parts).sum(),
        parts_left_out: landed.num_left_out,
        replaced: Vec::new(),
    });
    let grouped = group_landed(landed, settings.table.as_deref(), settings.naming)?;
    Ok(Found { origin, grouped, landing })
}

/// The settings with the keys that streams declare, for entities that `--key` says nothing of (R8); and which
/// these are.
fn with_declared_keys(
    settings: &Settings,
    grouped: &Entities,
) -> Result<(Settings, HashSet<String>), Error> {
    let mut settings = settings.clone();
    let mut declared = HashSet::new();
    if settings.naming == Naming::Glue {
        // Its tables join by ids of their own, and cannot be merged.
        return Ok((settings, declared));
    }
    for (name, input) in &grouped.entities {
        if !settings.key_of(name).is_empty() {
            continue;
        }
        let columns = input.declared_key()?.iter().map(|path| Selector::parse(path));
        let columns: Vec<Selector> =
            columns.collect::<Result<_, _>>().map_err(|source| Error::Option {
                option: "--key",
                value: format!("{name}={}", input.declared_key().unwrap_or_default().join(",")),
                source: Box::new(source),
            })?;
        if !columns.is_empty() {
            settings.keys.push(KeyRule { table: Some(name.clone()), columns });
            declared.insert(name.clone());
        }
    }
    Ok((settings, declared))
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
fn done_before(manifest: &Manifest, settings: &Settings) -> Result<Option<Report>, Error> {
    let Some(run) = manifest.runs.iter().find(|run| run.run_id == settings.run_id) else {
        return Ok(None);
    };
    if let Some(rewind) = manifest.rewound_by(run) {
        return Err(Error::Conflict(format!(
            "run `{}` was committed, and taken back by the rewind `{}`; read its objects again \
             under another --run-id",
            run.run_id, rewind.run_id
        )));
    }
    Ok(Some(Report {
        run_id: run.run_id.clone(),
        sequence: run.sequence,
        already_committed: true,
        ..Report::default()
    }))
}

/// A run on its way to its commit.
struct Run<'a> {
    /// Which `--resolve` has named a path of an entity that was read.
    rules_met: Vec<bool>,
    num_entities_read: usize,
    /// Where the keys of objects begin; a landing zone knows its parts by what they hold.
    base: Option<String>,
    settings: &'a Settings,
    /// Entities whose key the input declares.
    declared: &'a HashSet<String>,
    crew: &'a Crew,
    curated: &'a Curated,
    before: &'a Manifest,
    staging: Place,
    manifest: Manifest,
    publications: Vec<Publication>,
    report: Report,
    /// Files to be brought to the final schema of their table.
    finishing: Vec<Finishing>,
    /// Quarantine files, staged, with their entity.
    quarantine: Vec<(String, (String, u64, u64))>,
}

/// A file that is narrower than its table.
struct Finishing {
    /// The file as it is.
    from: (Place, String, Table),
    /// The key that the finished one is staged under, and its columns.
    to: (String, Table),
    /// Entity, table and place in its list of files.
    at: (String, String, usize),
    /// Rows of the file.
    num_rows: u64,
}

impl Run<'_> {
    fn entity(&mut self, name: &str, input: &EntityInput, origin: &Origin) -> Result<(), Error> {
        let known = self.before.entities.get(name).cloned();
        let mut bookmark = match &known {
            Some(entity) if self.settings.bookmark => self.curated.bookmark(entity)?,
            _ => Bookmark::default(),
        };
        // What was read of a stream that was replaced is what the next rows take the place of.
        let was_replaced = input.was_replaced_since(&bookmark);
        if was_replaced {
            bookmark = Bookmark::default();
            self.report.landing.get_or_insert_default().replaced.push(name.to_owned());
        }
        let appends = self.settings.bookmark
            && !was_replaced
            && known.as_ref().is_some_and(|e| e.bookmark.is_some());
        if appends {
            self.check_base(name, &bookmark)?;
        }
        bookmark.base.clone_from(&self.base);
        let objects = self.select(input, &bookmark)?;
        if known.is_none() && objects.is_empty() {
            return Ok(());
        }
        if appends && objects.is_empty() {
            self.report_unchanged(known.as_ref());
            return Ok(());
        }
        let stored = match (&known, self.settings.drift) {
            (Some(_), Drift::Reset) if appends => {
                return Err(Error::Conflict(
                    "--drift reset forgets the shape of what is there, so it needs a run that replaces it: leave out --bookmark".to_owned(),
                ));
            }
            (Some(entity), Drift::Evolve | Drift::Freeze) => Some(self.curated.shape(entity)?),
            _ => None,
        };
        self.check_same(name, known.as_ref(), stored.is_some())?;
        if let Some(stored) = stored.as_ref().filter(|_| appends) {
            self.check_rules(name, stored)?;
        }
        let num_objects = objects.len() as u64;
        self.crew.progress.begin(name, objects.iter().map(|object| object.size_bytes).sum());
        let (result, quarantine) = self.read(
            name,
            objects.clone(),
            origin,
            known.as_ref().filter(|_| appends),
            stored.as_ref(),
        )?;
        if let Some(file) = quarantine.finish()? {
            self.quarantine.push((name.to_owned(), file));
        }
        self.report.objects_read += num_objects;
        self.num_entities_read += 1;
        self.report_result(name, &result, stored.as_ref())?;
        let read = self.read_objects(&objects);
        let files =
            self.place_files(name, &result, known.as_ref().filter(|_| appends), stored.as_ref());
        self.add_entity(name, result, files, read, bookmark, known, appends)
    }

    /// Tells of `--resolve` for paths that no record has. What was read before is not known to have them, so
    /// that it is told only by a run that reads all entities anew.
    fn tell_unused_rules(&mut self, num_entities: usize) {
        if self.settings.bookmark || self.num_entities_read < num_entities {
            return;
        }
        for (rule, met) in self.settings.rules.iter().zip(&self.rules_met) {
            if !met {
                let (path, action) = rule;
                self.report.unused_options.push(format!("--resolve '{}={action}'", path.text()));
            }
        }
    }

    /// Refuses another input than that of the runs before: objects are known by their keys below it, and one
    /// of the same key would pass for read (R20).
    fn check_base(&self, name: &str, bookmark: &Bookmark) -> Result<(), Error> {
        match (&bookmark.base, &self.base) {
            (Some(before), Some(now)) if before != now && !self.settings.moved => {
                Err(Error::OtherInput {
                    entity: name.to_owned(),
                    before: before.clone(),
                    now: now.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The objects to read: all of them, or those the bookmark does not have as they are (R20).
    ///
    /// # Errors
    ///
    /// A part that is to be read is not there any more.
    fn select(
        &mut self,
        input: &EntityInput,
        bookmark: &Bookmark,
    ) -> Result<Arc<Vec<Object>>, Error> {
        let last: BTreeMap<&str, &ReadObject> =
            bookmark.objects.iter().map(|object| (object.key.as_str(), object)).collect();
        let mut selected = Vec::new();
        for object in &input.objects {
            match last.get(object.key.as_str()) {
                Some(read) if read.is(object) => self.report.objects_skipped += 1,
                Some(_) => {
                    self.report.objects_changed.push(object.key.clone());
                    selected.push(object.clone());
                }
                None => selected.push(object.clone()),
            }
        }
        for part in &input.lost {
            match last.get(part.key.as_str()) {
                // Its rows are in the tables; whoever made room in the landing zone may do so.
                Some(read) if read.size_bytes == part.size_bytes => {
                    self.report.objects_skipped += 1;
                }
                _ => return Err(RawError::from(part.clone()).into()),
            }
        }
        Ok(Arc::new(selected))
    }

    /// Naming and key cannot change under tables that stay.
    fn check_same(&self, name: &str, known: Option<&Entity>, keeps: bool) -> Result<(), Error> {
        let Some(known) = known.filter(|_| keeps) else { return Ok(()) };
        let key = self.settings.key_of(name);
        let given: Vec<String> = key.iter().map(|key| key.text().to_owned()).collect();
        let is_same_part = |(known, given): (&String, &Selector)| {
            known == given.text()
                || Selector::parse(known).is_ok_and(|known| known.path() == given.path())
        };
        let is_same_key =
            known.key.len() == key.len() && known.key.iter().zip(key).all(is_same_part);
        if !is_same_key || known.naming != self.settings.naming {
            let show = |key: &[String]| match key {
                [] => "no --key".to_owned(),
                parts => format!("--key {}", parts.join(",")),
            };
            return Err(Error::Conflict(format!(
                "entity `{name}` was written with {}{}, this run has {}{}{}; use the same, or replace \
                 the tables with --drift reset",
                show(&known.key),
                naming_option(known.naming),
                show(&given),
                if self.declared.contains(name) { " from its stream's manifests" } else { "" },
                naming_option(self.settings.naming),
            )));
        }
        Ok(())
    }

    /// How the values at a path are kept cannot change under rows that stay: their columns would
    /// go (R11).
    fn check_rules(&self, name: &str, stored: &StoredShape) -> Result<(), Error> {
        let mut plan = self.settings.plan(name);
        restore(name, &stored.paths, &mut plan)?;
        for path in &stored.paths {
            let Ok(parsed) = path.path.parse::<JsonPath>() else { continue };
            let given = plan.rule(plan.registry.resolve(&parsed)).action;
            let holds_nothing = Kinds::NULL.contains(path.kinds);
            if given == path.action || holds_nothing {
                continue;
            }
            let show = |action: Option<Action>| match action {
                Some(action) => format!("--resolve '{}={action}'", path.path),
                None => format!("no --resolve for `{}`", path.path),
            };
            return Err(Error::Conflict(format!(
                "entity `{name}` was written with {}, this run has {}; use the same, or replace the \
                 tables with --drift reset",
                show(path.action),
                show(given),
            )));
        }
        Ok(())
    }

    fn read(
        &self,
        name: &str,
        objects: Arc<Vec<Object>>,
        origin: &Origin,
        appends_to: Option<&Entity>,
        stored: Option<&StoredShape>,
    ) -> Result<(EntityResult, QuarantineWriter), Error> {
        let settings = self.settings;
        let taken: Vec<String> = self
            .manifest
            .entities
            .iter()
            .filter(|(entity, _)| *entity != name)
            .flat_map(|(_, entity)| entity.tables.keys().cloned())
            .collect();
        let task = EntityTask {
            name,
            origin: origin.clone(),
            objects,
            blocks: BlockOptions {
                frame: settings.frame_options(),
                target_bytes: settings.target_bytes(),
                max_ratio: settings.max_ratio,
            },
            naming: settings.naming,
            committed: stored.map(|stored| &stored.layout),
            taken: &taken,
            staging: self.staging.clone(),
            prefix: name.to_owned(),
            limits: settings.stage_limits(),
            max_columns: settings.max_columns,
            max_tables: settings.max_tables,
            map_keys: settings.map_keys,
            first_record: appends_to.map_or(0, |entity| entity.next_record),
            joins: appends_to.map(|entity| entity.joins.clone()).unwrap_or_default(),
        };
        let make_plan = || -> Result<(Plan, Shape), Error> {
            let mut plan = settings.plan(name);
            let shape = restore(name, stored.map_or(&[], |stored| &stored.paths), &mut plan)?;
            Ok((plan, shape))
        };
        let make_quarantine = || {
            QuarantineWriter::new(
                self.crew.io.clone(),
                self.staging.clone(),
                format!("{name}/quarantine.parquet"),
                settings.run_id.clone(),
            )
        };
        relationalize_entity(&task, self.crew, &make_plan, &make_quarantine)
    }

    fn report_unchanged(&mut self, entity: Option<&Entity>) {
        let Some(stored) = entity.and_then(|entity| self.curated.shape(entity).ok()) else {
            return;
        };
        let Some(entity) = entity else { return };
        let no_rows = |_: &Table| 0;
        self.report.tables.extend(table_reports(&stored.layout, entity, no_rows));
    }

    fn report_result(
        &mut self,
        name: &str,
        result: &EntityResult,
        stored: Option<&StoredShape>,
    ) -> Result<(), Error> {
        let report = &mut self.report;
        report.records_read += result.num_records;
        report.records_quarantined += result.num_rejected;
        report.bytes_read += result.num_bytes;
        report.counts += result.counts;
        for (met, now) in self.rules_met.iter_mut().zip(&result.plan.rules_met) {
            *met |= now.load(Ordering::Relaxed);
        }
        report.quarantined.extend(result.first_rejects.iter().cloned());
        if report.first_quarantined.is_none() {
            report.first_quarantined = result.first_rejects.first().cloned();
        }
        let maps = |paths: &[crate::shape::JsonPath], kept_as_table| {
            let report = move |path: &crate::shape::JsonPath| MapReport {
                entity: name.to_owned(),
                path: path.to_string(),
                kept_as_table,
            };
            paths.iter().map(report).collect::<Vec<_>>()
        };
        report.maps.extend(maps(&result.maps.found, true));
        report.maps.extend(maps(&result.maps.committed, false));
        let progress = &self.crew.progress;
        progress.event(Event::EntityRead {
            entity: name,
            records: result.num_records,
            bytes: result.num_bytes,
            num_tables: result.layout.tables.len(),
        });
        if result.num_rejected > 0 {
            let first = result.first_rejects.first().map_or("", String::as_str);
            let records = result.num_rejected;
            progress.event(Event::Quarantined { entity: name, records, first });
        }
        for map in report.maps.iter().filter(|map| map.entity == name) {
            progress.event(Event::MapFound(map));
        }
        report.choices.extend(choices(name, &result.shape, &result.plan, &result.layout));
        let Some(stored) = stored else { return Ok(()) };
        let changes = changes(&stored.layout, &result.layout);
        changes.iter().for_each(|change| progress.event(Event::Changed(change)));
        report.changes.extend(changes);
        if self.settings.drift == Drift::Freeze && !report.changes.is_empty() {
            let lines = report.changes.iter().map(|change| format!("  {change}")).collect();
            return Err(Error::Drift(lines));
        }
        Ok(())
    }

    fn read_objects(&self, objects: &[Object]) -> Vec<ReadObject> {
        let sequence = self.manifest.sequence;
        let read = |object: &Object| ReadObject {
            key: object.key.clone(),
            size_bytes: object.size_bytes,
            etag: object.etag.clone(),
            modified_us: object.modified_us,
            sequence,
        };
        objects.iter().map(read).collect()
    }

    /// Gives every file of an entity its place; narrow ones are to be finished first.
    fn place_files(
        &mut self,
        name: &str,
        result: &EntityResult,
        appends_to: Option<&Entity>,
        stored: Option<&StoredShape>,
    ) -> BTreeMap<String, Vec<DataFile>> {
        let sequence = self.manifest.sequence;
        let run_id = &self.settings.run_id;
        let mut placed = BTreeMap::new();
        let mut staged: HashMap<PathId, Vec<&StagedFile>> = HashMap::new();
        for file in &result.files {
            staged.entry(file.table).or_default().push(file);
        }
        let old_tables: HashMap<&str, &Table> = stored
            .into_iter()
            .flat_map(|stored| &stored.layout.tables)
            .map(|table| (table.path.as_str(), table))
            .collect();
        for table in &result.layout.tables {
            let mut files: Vec<DataFile> = Vec::new();
            let mut number = 0;
            let mut next_key = || {
                let key = format!("{}/{run_id}-{number}.parquet", table.name);
                number += 1;
                key
            };
            let old = old_tables.get(table.path.as_str()).copied();
            let old_files = appends_to.zip(old).and_then(|(e, old)| e.tables.get(&old.name));
            for file in old_files.into_iter().flatten() {
                let Some(old) = old.filter(|old| old.columns != table.columns) else {
                    files.push(file.clone());
                    continue;
                };
                let key = next_key();
                let staged = format!("{name}/old-{}", key.replace('/', "-"));
                self.finishing.push(Finishing {
                    from: (self.curated.place().clone(), file.key.clone(), old.clone()),
                    to: (staged.clone(), table.clone()),
                    at: (name.to_owned(), table.name.clone(), files.len()),
                    num_rows: file.num_rows,
                });
                self.publications.push(Publication { staged, key: key.clone() });
                files.push(DataFile { key, ..file.clone() });
            }
            let id = result.plan.registry.resolve_text(&table.path);
            for file in staged.remove(&id).unwrap_or_default() {
                // A table that has files needs no empty one.
                if file.num_rows == 0 && !files.is_empty() {
                    continue;
                }
                files.push(self.place_staged(name, table, file, next_key(), files.len(), sequence));
            }
            placed.insert(table.name.clone(), files);
        }
        placed
    }

    fn place_staged(
        &mut self,
        name: &str,
        table: &Table,
        file: &StagedFile,
        key: String,
        at: usize,
        sequence: u64,
    ) -> DataFile {
        let mut staged = file.key.clone();
        if file.layout.columns != table.columns {
            let finished = format!("{}.final", file.key);
            self.finishing.push(Finishing {
                from: (self.staging.clone(), staged, file.layout.clone()),
                to: (finished.clone(), table.clone()),
                at: (name.to_owned(), table.name.clone(), at),
                num_rows: file.num_rows,
            });
            staged = finished;
        }
        self.publications.push(Publication { staged, key: key.clone() });
        DataFile {
            key,
            num_rows: file.num_rows,
            size_bytes: file.size_bytes,
            sequence,
            entity: None,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of the entity's new record")]
    fn add_entity(
        &mut self,
        name: &str,
        result: EntityResult,
        tables: BTreeMap<String, Vec<DataFile>>,
        read: Vec<ReadObject>,
        mut bookmark: Bookmark,
        known: Option<Entity>,
        appends: bool,
    ) -> Result<(), Error> {
        let sequence = self.manifest.sequence;
        let run_id = &self.settings.run_id;
        let shape = format!("_solder/shapes/{name}-{run_id}.json");
        let stored =
            StoredShape { paths: result.shape.store(&result.plan), layout: result.layout.clone() };
        self.stage_json(format!("{name}/shape.json"), &shape, &stored)?;
        let bookmark = if self.settings.bookmark {
            if !appends {
                bookmark.objects.clear();
            }
            bookmark.objects.extend(read);
            let key = format!("_solder/bookmarks/{name}-{run_id}.json");
            self.stage_json(format!("{name}/bookmark.json"), &key, &bookmark)?;
            Some(key)
        } else {
            None
        };
        let first_record = known.as_ref().filter(|_| appends).map_or(0, |e| e.next_record);
        let entity = Entity {
            naming: self.settings.naming,
            key: self.settings.key_of(name).iter().map(|key| key.text().to_owned()).collect(),
            sequence,
            replaced: known.filter(|_| appends).map_or(sequence, |entity| entity.replaced),
            next_record: first_record + result.num_records,
            joins: result.joins.clone(),
            shape,
            bookmark,
            tables,
        };
        let rows = |table: &Table| {
            let id = result.plan.registry.resolve_text(&table.path);
            result.rows.get(&id).copied().unwrap_or(0)
        };
        self.report.tables.extend(table_reports(&result.layout, &entity, rows));
        self.manifest.entities.insert(name.to_owned(), entity);
        Ok(())
    }

    /// Stages a file that the manifest will refer to.
    fn stage_json(
        &mut self,
        staged: String,
        key: &str,
        value: &impl serde::Serialize,
    ) -> Result<(), Error> {
        let publication = Publication { staged, key: key.to_owned() };
        self.curated.stage_json(&self.staging, &publication, value)?;
        self.publications.push(publication);
        Ok(())
    }

    fn check_threshold(&self) -> Result<(), Error> {
        let report = &self.report;
        let num_records = report.records_read + report.records_quarantined;
        match &self.settings.error_threshold {
            Some(threshold) if threshold.is_exceeded(report.records_quarantined, num_records) => {
                Err(Error::Threshold {
                    num_rejected: report.records_quarantined,
                    num_records,
                    threshold: threshold.to_string(),
                    first: report.first_quarantined.clone().unwrap_or_default(),
                })
            }
            _ => Ok(()),
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        pause_at("before-finishing");
        self.crew.stop.check()?;
        self.finish_files()?;
        pause_at("after-finishing");
        for (number, (name, file)) in self.quarantine.drain(..).enumerate() {
            let (staged, num_rows, size_bytes) = file;
            let key = format!("_quarantine/{}-{number}.parquet", self.settings.run_id);
            self.publications.push(Publication { staged, key: key.clone() });
            let sequence = self.manifest.sequence;
            let entity = Some(name);
            let file = DataFile { key, num_rows, size_bytes, sequence, entity };
            self.manifest.quarantine.push(file);
        }
        self.crew.stop.check()?;
        let is_new = self.manifest.entities.values().any(|e| e.sequence == self.manifest.sequence);
        if is_new {
            // Quarantine of tables that were replaced went with them.
            let Manifest { entities, quarantine, .. } = &mut self.manifest;
            quarantine.retain(|file| {
                let entity = file.entity.as_ref().and_then(|name| entities.get(name));
                entity.is_none_or(|entity| file.sequence >= entity.replaced)
            });
            let num_files = self.publications.len();
            self.crew.progress.event(Event::Committing { num_files });
            self.curated.commit(self.before, &self.manifest, &self.publications)?;
            self.report.sequence = self.manifest.sequence;
            self.crew.progress.event(Event::Committed { sequence: self.report.sequence });
        }
        Ok(())
    }

    /// Rewrites the narrow files, in parallel.
    fn finish_files(&mut self) -> Result<(), Error> {
        if !self.finishing.is_empty() {
            self.crew.progress.event(Event::Finishing { num_files: self.finishing.len() });
        }
        let tasks: Vec<_> = self
            .finishing
            .iter()
            .map(|finishing| {
                let (io, staging) = (self.crew.io.clone(), self.staging.clone());
                let stop = self.crew.stop.clone();
                let (from_place, from_key, from) = finishing.from.clone();
                let (to_key, to) = finishing.to.clone();
                let num_rows = finishing.num_rows;
                move || {
                    let (from, to) = ((&from_place, &*from_key, &from), (&staging, &*to_key, &to));
                    rewrite(&io, &stop, from, to, num_rows)
                }
            })
            .collect();
        let sizes = self.crew.pool.run_all(tasks);
        for (finishing, size) in self.finishing.drain(..).zip(sizes) {
            let size_bytes = size.ok_or(Error::Panicked)??;
            let (entity, table, at) = finishing.at;
            let entity = self.manifest.entities.get_mut(&entity);
            let files = entity.and_then(|entity| entity.tables.get_mut(&table));
            if let Some(file) = files.and_then(|files| files.get_mut(at)) {
                file.size_bytes = size_bytes;
            }
        }
        Ok(())
    }
}

/// The shape that earlier runs left; `plan` learns the layout of every path.
fn restore(name: &str, paths: &[StoredPath], plan: &mut Plan) -> Result<Shape, Error> {
    Shape::restore(paths, plan)
        .map_err(|source| Error::Manifest { key: name.to_owned(), source: source.into() })
}

impl ReadObject {
    /// Whether an object is as it was when it was read (R20).
    fn is(&self, object: &Object) -> bool {
        self.size_bytes == object.size_bytes
            && match (&self.etag, &object.etag) {
                (Some(read), Some(found)) => read == found,
                _ => self.modified_us == object.modified_us,
            }
    }
}

fn naming_option(naming: crate::relation::Naming) -> &'static str {
    match naming {
        crate::relation::Naming::Sql => "",
        crate::relation::Naming::Glue => " --naming glue",
    }
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
            files: files.len(),
            bytes: files.iter().map(|file| file.size_bytes).sum(),
            parent: parent.map(|parent| parent.name.clone()),
        }
    };
    layout.tables.iter().map(report).collect()
}

/// The keys for tables that there are not: most likely a name that was not spelled right, or a table
/// whose first records are still to come.
fn unused_keys(rules: &[KeyRule], is_table: impl Fn(&str) -> bool) -> Vec<String> {
    let unused = rules.iter().filter_map(|rule| {
        let table = rule.table.as_deref().filter(|table| !is_table(table))?;
        let columns: Vec<&str> = rule.columns.iter().map(crate::shape::Selector::text).collect();
        Some(format!("--key {table}={}", columns.join(",")))
    });
    unused.collect()
}

/// The key of an entity among `--key [TABLE=]COLUMN[,COLUMN]…`.
pub(crate) fn key_for<'a>(rules: &'a [KeyRule], entity: &str) -> &'a [crate::shape::Selector] {
    let own = rules.iter().rev().find(|rule| rule.table.as_deref() == Some(entity));
    let any = || rules.iter().rev().find(|rule| rule.table.is_none());
    own.or_else(any).map_or(&[], |rule| &rule.columns)
}
