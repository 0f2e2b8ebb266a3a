//! A run on its way to its commit: entity by entity, and all of them at once in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use solder_landing::{Object, Place, pause_at};

use crate::clock::{Clock, Phase};
use crate::curated::{
    Bookmark, Curated, DataFile, Entity, Manifest, Publication, ReadObject, StoredShape,
};
use crate::drift::{changes, choices};
use crate::error::Error;
use crate::pipeline::{Crew, EntityResult, EntityTask, relationalize_entity};
use crate::progress::Event;
use crate::read::Origin;
use crate::relation::Table;
use crate::report::{MapReport, Report};
use crate::settings::{Drift, Settings};
use crate::shape::{JsonPath, Plan, Shape};
use crate::stage::{QuarantineWriter, StagedQuarantine};

use super::parts::{Parts, unify};
use super::place::Finishing;
use super::select::{SelectedEntity, Selection, State};
use super::{restore, table_reports};

/// A run on its way to its commit.
pub(super) struct Run<'a> {
    /// Which `--resolve` has named a path of an entity that was read.
    pub(super) rules_met: Vec<bool>,
    pub(super) num_entities_read: usize,
    /// Where the keys of objects begin; a landing zone knows its parts by what they hold.
    pub(super) base: Option<String>,
    /// What shards have read, when they have.
    pub(super) parts: Option<&'a Parts>,
    pub(super) settings: &'a Settings,
    pub(super) crew: &'a Crew,
    pub(super) curated: &'a Curated,
    pub(super) before: &'a Manifest,
    pub(super) staging: Place,
    pub(super) manifest: Manifest,
    pub(super) publications: Vec<Publication>,
    pub(super) report: Report,
    /// Files to be brought to the final schema of their table.
    pub(super) finishing: Vec<Finishing>,
    /// Quarantine files, staged, with their entity.
    pub(super) quarantine: Vec<(String, StagedQuarantine)>,
    pub(super) clock: &'a Clock,
}

impl<'a> Run<'a> {
    /// A run that begins.
    ///
    /// # Errors
    ///
    /// Its id names no place.
    pub(super) fn new(
        settings: &'a Settings,
        crew: &'a Crew,
        curated: &'a Curated,
        before: &'a Manifest,
        selection: &Selection,
        clock: &'a Clock,
    ) -> Result<Run<'a>, Error> {
        let report = Report {
            run_id: settings.run_id.clone(),
            objects_ignored: selection.objects_ignored,
            objects_skipped: selection.objects_skipped,
            objects_changed: selection.objects_changed.clone(),
            landing: selection.landing.clone(),
            unused_options: selection.unused_options.clone(),
            ..Report::default()
        };
        Ok(Run {
            rules_met: vec![false; settings.rules.len()],
            num_entities_read: 0,
            base: selection.base.clone(),
            parts: None,
            settings,
            crew,
            curated,
            before,
            staging: curated.staging(&settings.run_id)?,
            manifest: before.next(&settings.run_id, &settings.started_at, "relationalize"),
            publications: Vec::new(),
            report,
            finishing: Vec::new(),
            quarantine: Vec::new(),
            clock,
        })
    }

    /// Reads all entities and commits them at once; returns the report.
    ///
    /// # Errors
    ///
    /// Anything that keeps the run from its end; then the place is as it was.
    pub(super) fn finish(mut self, selection: Selection, origin: &Origin) -> Result<Report, Error> {
        let num_entities = selection.entities.len();
        for selected in selection.entities {
            self.entity(selected, origin)?;
            self.clock.lap(Phase::Transform);
        }
        self.tell_unused_rules(num_entities);
        pause_at("after-entities");
        self.check_threshold()?;
        self.commit()?;
        pause_at("after-commit");
        Ok(self.report)
    }

    fn entity(&mut self, mut selected: SelectedEntity, origin: &Origin) -> Result<(), Error> {
        let known = self.before.entities.get(&selected.name).cloned();
        if selected.is_unchanged() {
            self.report_unchanged(known.as_ref());
            return Ok(());
        }
        let State { mut bookmark, stored } =
            selected.state(self.curated, self.before, self.settings)?;
        bookmark.base.clone_from(&self.base);
        let SelectedEntity { name, objects, appends, .. } = selected;
        let objects = Arc::new(objects);
        let appends_to = known.as_ref().filter(|_| appends);
        self.crew.progress.begin(&name, objects.iter().map(|object| object.size_bytes).sum());
        let (result, quarantine) =
            self.read(&name, objects.clone(), origin, appends_to, stored.as_ref())?;
        self.quarantine.extend(quarantine.into_iter().map(|file| (name.clone(), file)));
        self.report.objects_read += objects.len() as u64;
        self.num_entities_read += 1;
        self.report_result(&name, &result, stored.as_ref())?;
        let read = self.read_objects(&objects);
        let files = self.place_files(&name, &result, appends_to, stored.as_ref());
        self.add_entity(&name, result, files, read, bookmark, known, appends)
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

    fn read(
        &self,
        name: &str,
        objects: Arc<Vec<Object>>,
        origin: &Origin,
        appends_to: Option<&Entity>,
        stored: Option<&StoredShape>,
    ) -> Result<(EntityResult, Vec<StagedQuarantine>), Error> {
        let settings = self.settings;
        let taken: Vec<String> = self
            .manifest
            .entities
            .iter()
            .filter(|(entity, _)| *entity != name)
            .flat_map(|(_, entity)| entity.tables.keys().cloned())
            .collect();
        let task = EntityTask {
            taken: &taken,
            committed: stored.map(|stored| &stored.layout),
            first_record: appends_to.map_or(0, |entity| entity.next_record),
            joins: appends_to.map(|entity| entity.joins.clone()).unwrap_or_default(),
            ..EntityTask::new(
                settings,
                name,
                origin.clone(),
                objects,
                self.staging.clone(),
                self.clock,
            )
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
        if let Some(parts) = self.parts.and_then(|parts| parts.of(name))
            && let Some(result) = unify(&task, parts, &make_plan)?
        {
            let quarantine = parts.iter().filter_map(|part| part.quarantine.clone());
            return Ok((result, quarantine.collect()));
        }
        let (result, quarantine) =
            relationalize_entity(&task, self.crew, &make_plan, &make_quarantine)?;
        Ok((result, quarantine.finish()?.into_iter().collect()))
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
        let maps = |paths: &[JsonPath], kept_as_table| {
            let report = move |path: &JsonPath| MapReport {
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
        let entity = Entity {
            naming: self.settings.naming,
            key: self.settings.key_of(name).iter().map(|key| key.text().to_owned()).collect(),
            sequence,
            replaced: known.filter(|_| appends).map_or(sequence, |entity| entity.replaced),
            next_record: result.next_record,
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
            let StagedQuarantine { key: staged, num_rows, size_bytes } = file;
            let key = format!("_quarantine/{}-{number}.parquet", self.settings.run_id);
            self.publications.push(Publication { staged, key: key.clone() });
            self.report.quarantine_files.push(self.curated.place().address(&key));
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
}
