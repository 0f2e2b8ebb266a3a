//! What a run reads, decided before it reads a record: so that one process can read it, or many.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use solder_landing::Object;
use solder_landing::raw::RawError;

use crate::curated::{Bookmark, Curated, Entity, Manifest, ReadObject, StoredShape};
use crate::error::Error;
use crate::read::{Entities, EntityInput};
use crate::relation::Naming;
use crate::report::LandingReport;
use crate::settings::{Drift, KeyRule, Settings};
use crate::shape::{Action, JsonPath, Kinds, Selector};

use super::restore;

/// What a run reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Selection {
    /// The entities, by name.
    pub entities: Vec<SelectedEntity>,
    /// Keys that streams declare, by entity (R8).
    pub declared: BTreeMap<String, Vec<String>>,
    /// Where the keys of objects begin; a landing zone knows its parts by what they hold.
    pub base: Option<String>,
    /// What a landing zone held.
    pub landing: Option<LandingReport>,
    /// Objects that the bookmark passes over.
    pub objects_skipped: u64,
    /// Objects that are read again since they changed (R20).
    pub objects_changed: Vec<String>,
    /// Objects that are no data by their names.
    pub objects_ignored: u64,
    /// Options that found nothing to act on.
    pub unused_options: Vec<String>,
}

/// What a run reads of an entity.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SelectedEntity {
    /// The name of its root table.
    pub name: String,
    /// The objects, in order.
    pub objects: Vec<Object>,
    /// Their rows come to those of earlier runs; otherwise they take their place.
    pub appends: bool,
    /// What earlier runs left, as far as it was read for this.
    #[serde(skip)]
    state: Option<State>,
}

/// What earlier runs left of an entity.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// What they have read, when rows come to theirs.
    pub bookmark: Bookmark,
    /// The shape that is widened.
    pub stored: Option<StoredShape>,
}

impl SelectedEntity {
    /// Whether there is nothing to do.
    pub(super) fn is_unchanged(&self) -> bool {
        self.appends && self.objects.is_empty()
    }

    /// What earlier runs left.
    ///
    /// # Errors
    ///
    /// The place cannot be read.
    pub(super) fn state(
        &mut self,
        curated: &Curated,
        before: &Manifest,
        settings: &Settings,
    ) -> Result<State, Error> {
        if let Some(state) = self.state.take() {
            return Ok(state);
        }
        let known = before.entities.get(&self.name);
        let appends_to = known.filter(|_| self.appends);
        let bookmark = appends_to.map(|entity| curated.bookmark(entity)).transpose()?;
        let stored = stored_shape(curated, known, settings)?;
        Ok(State { bookmark: bookmark.unwrap_or_default(), stored })
    }
}

/// The shape that a run widens; it forgets that of before with `--drift reset` (R11).
pub(super) fn stored_shape(
    curated: &Curated,
    known: Option<&Entity>,
    settings: &Settings,
) -> Result<Option<StoredShape>, Error> {
    let known = known.filter(|_| settings.drift != Drift::Reset);
    known.map(|entity| curated.shape(entity)).transpose()
}

/// Selects what a run reads.
///
/// # Errors
///
/// The options do not go with what earlier runs left, or that cannot be read.
pub(super) fn select(
    settings: &Settings,
    curated: &Curated,
    before: &Manifest,
    grouped: &Entities,
    selection: Selection,
) -> Result<Selection, Error> {
    let mut selecting = Selecting { settings, curated, before, selection };
    for (name, input) in &grouped.entities {
        let selected = selecting.entity(name, input)?;
        selecting.selection.entities.extend(selected);
    }
    Ok(selecting.selection)
}

struct Selecting<'a> {
    settings: &'a Settings,
    curated: &'a Curated,
    before: &'a Manifest,
    selection: Selection,
}

impl Selecting<'_> {
    fn entity(&mut self, name: &str, input: &EntityInput) -> Result<Option<SelectedEntity>, Error> {
        let known = self.before.entities.get(name);
        let mut bookmark = match known {
            Some(entity) if self.settings.bookmark => self.curated.bookmark(entity)?,
            _ => Bookmark::default(),
        };
        // What was read of a stream that was replaced is what the next rows take the place of.
        let was_replaced = input.was_replaced_since(&bookmark);
        if was_replaced {
            bookmark = Bookmark::default();
            self.selection.landing.get_or_insert_default().replaced.push(name.to_owned());
        }
        let appends = self.settings.bookmark
            && !was_replaced
            && known.is_some_and(|entity| entity.bookmark.is_some());
        if appends {
            self.check_base(name, &bookmark)?;
        }
        let objects = self.objects(input, &bookmark)?;
        if known.is_none() && objects.is_empty() {
            return Ok(None);
        }
        let mut selected = SelectedEntity { name: name.to_owned(), objects, appends, state: None };
        if !selected.is_unchanged() {
            let stored = self.shape_to_widen(name, known, appends)?;
            selected.state = Some(State { bookmark, stored });
        }
        Ok(Some(selected))
    }

    /// The shape that the run widens, and that its options go with.
    fn shape_to_widen(
        &self,
        name: &str,
        known: Option<&Entity>,
        appends: bool,
    ) -> Result<Option<StoredShape>, Error> {
        if appends && self.settings.drift == Drift::Reset {
            return Err(Error::Conflict(
                "--drift reset forgets the shape of what is there, so it needs a run that replaces it: leave out --bookmark".to_owned(),
            ));
        }
        let stored = stored_shape(self.curated, known, self.settings)?;
        self.check_same(name, known, stored.is_some())?;
        if let Some(stored) = stored.as_ref().filter(|_| appends) {
            self.check_rules(name, stored)?;
        }
        Ok(stored)
    }

    /// Refuses another input than that of the runs before: objects are known by their keys below it, and one
    /// of the same key would pass for read (R20).
    fn check_base(&self, name: &str, bookmark: &Bookmark) -> Result<(), Error> {
        match (&bookmark.base, &self.selection.base) {
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
    fn objects(&mut self, input: &EntityInput, bookmark: &Bookmark) -> Result<Vec<Object>, Error> {
        let last: BTreeMap<&str, &ReadObject> =
            bookmark.objects.iter().map(|object| (object.key.as_str(), object)).collect();
        let mut selected = Vec::new();
        for object in &input.objects {
            match last.get(object.key.as_str()) {
                Some(read) if read.is(object) => self.selection.objects_skipped += 1,
                Some(_) => {
                    self.selection.objects_changed.push(object.key.clone());
                    selected.push(object.clone());
                }
                None => selected.push(object.clone()),
            }
        }
        for part in &input.lost {
            match last.get(part.key.as_str()) {
                // Its rows are in the tables; whoever made room in the landing zone may do so.
                Some(read) if read.size_bytes == part.size_bytes => {
                    self.selection.objects_skipped += 1;
                }
                _ => return Err(RawError::from(part.clone()).into()),
            }
        }
        Ok(selected)
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
                if self.selection.declared.contains_key(name) {
                    " from its stream's manifests"
                } else {
                    ""
                },
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
}

/// The keys that streams declare, for entities that `--key` says nothing of (R8).
///
/// # Errors
///
/// Streams that are to be one table declare several.
pub(super) fn declared_keys(
    settings: &Settings,
    grouped: &Entities,
) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let mut declared = BTreeMap::new();
    if settings.naming == Naming::Glue {
        // Its tables join by ids of their own, and cannot be merged.
        return Ok(declared);
    }
    for (name, input) in &grouped.entities {
        if !settings.key_of(name).is_empty() {
            continue;
        }
        let key = input.declared_key()?;
        if !key.is_empty() {
            declared.insert(name.clone(), key.to_vec());
        }
    }
    Ok(declared)
}

/// The settings with the keys that streams declare.
///
/// # Errors
///
/// One of them is no path.
pub(super) fn with_declared_keys(
    settings: &Settings,
    declared: &BTreeMap<String, Vec<String>>,
) -> Result<Settings, Error> {
    let mut settings = settings.clone();
    for (name, key) in declared {
        let columns = key.iter().map(|path| Selector::parse(path));
        let columns = columns.collect::<Result<_, _>>().map_err(|source| Error::Option {
            option: "--key",
            value: format!("{name}={}", key.join(",")),
            source: Box::new(source),
        })?;
        settings.keys.push(KeyRule { table: Some(name.clone()), columns });
    }
    Ok(settings)
}

/// The keys for tables that there are not: most likely a name that was not spelled right, or a table
/// whose first records are still to come.
pub(super) fn unused_keys(rules: &[KeyRule], is_table: impl Fn(&str) -> bool) -> Vec<String> {
    let unused = rules.iter().filter_map(|rule| {
        let table = rule.table.as_deref().filter(|table| !is_table(table))?;
        let columns: Vec<&str> = rule.columns.iter().map(Selector::text).collect();
        Some(format!("--key {table}={}", columns.join(",")))
    });
    unused.collect()
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

fn naming_option(naming: Naming) -> &'static str {
    match naming {
        Naming::Sql => "",
        Naming::Glue => " --naming glue",
    }
}
