//! What has been read: shown, forgotten and taken back (R20).
//!
//! ```text
//!   run      1: a    2: b, c    3: d          reset          rewind --to 1
//!   read     a       a b c      a b c d       nothing        a
//!   tables   a       a b c      a b c d       a b c d        a
//!   next run reads what is not read           all, and       b c d
//!            and appends                      replaces
//! ```
//!
//! Each change is one manifest commit, so that bookmark and tables never disagree. Shapes stay as
//! they are: what was observed once keeps its column (R11). So does the number of the next record:
//! `_seq` has a gap where rows were taken back, and no number is given twice.

use serde::Serialize;
use solder_landing::Place;

use crate::error::Error;
use crate::settings::new_run_id;
use crate::stage::write_empty;

use super::manifest::{Bookmark, DataFile, Entity, Manifest, ReadObject};
use super::store::{Curated, Publication};

pub use super::bookmark_text::{change_text, show_text};

/// Id and time of a commit that changes a bookmark.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Its id, among those of runs.
    pub run_id: String,
    /// When it was made, RFC 3339.
    pub committed_at: String,
}

impl Stamp {
    /// A fresh id, and the time of the system's clock.
    pub fn now() -> Stamp {
        Stamp { run_id: new_run_id(), committed_at: jiff::Timestamp::now().to_string() }
    }
}

/// The runs of a curated place, and what its entities have read.
#[derive(Clone, Debug, Serialize)]
pub struct Bookmarks {
    /// The curated place.
    pub place: String,
    /// Its runs, oldest first.
    pub runs: Vec<RunBookmark>,
    /// Its entities, by name.
    pub entities: Vec<EntityBookmark>,
}

/// A run, and what of it is there still.
#[derive(Clone, Debug, Serialize)]
pub struct RunBookmark {
    /// Its number.
    pub sequence: u64,
    /// Its id.
    pub run_id: String,
    /// When it committed, RFC 3339.
    pub committed_at: String,
    /// What it did.
    pub command: String,
    /// Of a rewind: the run that it went back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewound_to: Option<u64>,
    /// Of a reset or a rewind: the entities that it changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<String>,
    /// The number of the rewind that took this run back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewound_by: Option<u64>,
    /// Objects that bookmarks know from this run.
    pub objects_read: u64,
    /// Rows of root tables that are from this run.
    pub records: u64,
    /// Rows of all tables that are from this run.
    pub rows: u64,
}

/// What an entity has read.
#[derive(Clone, Debug, Serialize)]
pub struct EntityBookmark {
    /// The entity.
    pub entity: String,
    /// Whether it has a bookmark: without one, the next run replaces its tables.
    pub has_bookmark: bool,
    /// The run that replaced its tables last; a rewind cannot go further back.
    pub replaced: u64,
    /// Rows of the root table.
    pub records: u64,
    /// `_seq` of the next record.
    pub next_record: u64,
    /// The objects in the order in which they were read; one that changed stands here again.
    pub objects: Vec<ReadObject>,
}

/// What a reset or a rewind did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Change {
    /// `bookmark reset`, `bookmark rewind`.
    pub command: String,
    /// The commit's id.
    pub run_id: String,
    /// The commit's number; 0 when there was nothing to change.
    pub sequence: u64,
    /// Of a rewind: the run that it went back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewound_to: Option<u64>,
    /// The entities that changed.
    pub entities: Vec<EntityChange>,
    /// Rows that left the quarantine.
    pub quarantined_removed: u64,
}

/// What changed of an entity.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EntityChange {
    /// The entity.
    pub entity: String,
    /// Objects that the next run reads again.
    pub objects_forgotten: u64,
    /// Rows of the root table that are gone.
    pub records_removed: u64,
    /// Rows of all tables that are gone.
    pub rows_removed: u64,
    /// Files that are gone.
    pub files_removed: u64,
}

/// The runs, and what every entity (or the one named) has read.
///
/// # Errors
///
/// Nothing is committed, there is no such entity, or the place cannot be read.
pub fn show(curated: &Curated, table: Option<&str>) -> Result<Bookmarks, Error> {
    let manifest = latest(curated)?;
    let mut entities = Vec::new();
    for name in entity_names(curated, &manifest, table)? {
        let Some(entity) = manifest.entities.get(&name) else { continue };
        entities.push(EntityBookmark {
            has_bookmark: entity.bookmark.is_some(),
            replaced: entity.replaced,
            records: num_rows(entity.tables.get(&name).into_iter().flatten()),
            next_record: entity.next_record,
            objects: curated.bookmark(entity)?.objects,
            entity: name,
        });
    }
    let of_run = |sequence: u64| {
        let objects = entities.iter().flat_map(|entity| &entity.objects);
        let objects_read = objects.filter(|object| object.sequence == sequence).count() as u64;
        let shown = || entities.iter().filter_map(|shown| manifest.entities.get(&shown.entity));
        let from_run = |file: &&DataFile| file.sequence == sequence;
        let roots =
            entities.iter().zip(shown()).filter_map(|(e, known)| known.tables.get(&e.entity));
        let records = num_rows(roots.flatten().filter(from_run));
        let rows = num_rows(shown().flat_map(|e| e.tables.values().flatten()).filter(from_run));
        (objects_read, records, rows)
    };
    let runs = manifest.runs.iter().map(|run| {
        let (objects_read, records, rows) = of_run(run.sequence);
        RunBookmark {
            sequence: run.sequence,
            run_id: run.run_id.clone(),
            committed_at: run.committed_at.clone(),
            command: run.command.clone(),
            rewound_to: run.rewound_to,
            entities: run.entities.clone(),
            rewound_by: manifest.rewound_by(run).map(|rewind| rewind.sequence),
            objects_read,
            records,
            rows,
        }
    });
    Ok(Bookmarks { place: curated.place().to_string(), runs: runs.collect(), entities })
}

/// Forgets what every entity (or the one named) has read. Its tables stay until its next run, which
/// reads everything and replaces them.
///
/// # Errors
///
/// Nothing is committed, there is no such entity, another run committed meanwhile, or the place
/// refuses.
pub fn reset(curated: &Curated, table: Option<&str>, stamp: &Stamp) -> Result<Change, Error> {
    let before = latest(curated)?;
    let mut edit = Edit::new(&before, stamp, "bookmark reset");
    for name in entity_names(curated, &before, table)? {
        let Some(entity) = before.entities.get(&name).filter(|e| e.bookmark.is_some()) else {
            continue;
        };
        let objects_forgotten = curated.bookmark(entity)?.objects.len() as u64;
        let change = EntityChange { entity: name, objects_forgotten, ..EntityChange::default() };
        edit.set(Entity { bookmark: None, ..entity.clone() }, change);
    }
    edit.commit(curated, None)
}

/// Takes back what runs after `to` (an id or a number) read of every entity, or of the one named:
/// their files leave the tables, their objects are forgotten, and the next run with a bookmark reads
/// them again. An entity that did not exist then becomes empty.
///
/// # Errors
///
/// Nothing is committed, there is no such run or entity, the tables were replaced since `to`, another
/// run committed meanwhile, or the place refuses.
pub fn rewind(
    curated: &Curated,
    table: Option<&str>,
    to: &str,
    stamp: &Stamp,
) -> Result<Change, Error> {
    let _running = curated.begin(&stamp.run_id)?;
    let before = latest(curated)?;
    let to = find_run(curated, &before, to)?;
    let mut edit = Edit::new(&before, stamp, "bookmark rewind");
    edit.change.rewound_to = Some(to);
    let mut then = None;
    for name in entity_names(curated, &before, table)? {
        let Some(entity) = before.entities.get(&name).filter(|e| e.sequence > to) else {
            continue;
        };
        if entity.replaced > to {
            let then = match &then {
                Some(then) => then,
                None => then.insert(curated.manifest(to)?),
            };
            if then.entities.contains_key(&name) {
                return Err(Error::Replaced {
                    entity: name,
                    to,
                    replaced: entity.replaced,
                    place: curated.place().to_string(),
                });
            }
        }
        edit.rewind(curated, name, entity, to)?;
    }
    edit.commit(curated, Some(to))
}

/// The next manifest, on its way to its commit.
struct Edit<'a> {
    before: &'a Manifest,
    stamp: &'a Stamp,
    manifest: Manifest,
    publications: Vec<Publication>,
    change: Change,
}

impl Edit<'_> {
    fn new<'a>(before: &'a Manifest, stamp: &'a Stamp, command: &str) -> Edit<'a> {
        Edit {
            before,
            stamp,
            manifest: before.next(&stamp.run_id, &stamp.committed_at, command),
            publications: Vec::new(),
            change: Change {
                command: command.to_owned(),
                run_id: stamp.run_id.clone(),
                ..Change::default()
            },
        }
    }

    fn set(&mut self, entity: Entity, change: EntityChange) {
        self.manifest.entities.insert(change.entity.clone(), entity);
        self.change.entities.push(change);
    }

    fn rewind(
        &mut self,
        curated: &Curated,
        name: String,
        known: &Entity,
        to: u64,
    ) -> Result<(), Error> {
        let sequence = self.manifest.sequence;
        let mut entity = Entity { sequence, ..known.clone() };
        let mut change = EntityChange { entity: name, ..EntityChange::default() };
        let mut bookmark = curated.bookmark(known)?;
        let num_objects = bookmark.objects.len();
        bookmark.objects.retain(|object| object.sequence <= to);
        change.objects_forgotten = (num_objects - bookmark.objects.len()) as u64;
        for (table, files) in &mut entity.tables {
            let is_later = |file: &DataFile| file.sequence > to;
            for file in files.extract_if(.., |file| is_later(file)) {
                change.files_removed += 1;
                change.rows_removed += file.num_rows;
                if *table == change.entity {
                    change.records_removed += file.num_rows;
                }
            }
        }
        if change.objects_forgotten == 0 && change.rows_removed == 0 {
            return Ok(());
        }
        if known.bookmark.is_some() {
            entity.bookmark = Some(self.stage_bookmark(curated, &change.entity, &bookmark)?);
        }
        self.fill_empty_tables(curated, &change.entity, &mut entity)?;
        self.set(entity, change);
        Ok(())
    }

    /// Stages the bookmark of an entity; returns the key that it will have.
    fn stage_bookmark(
        &mut self,
        curated: &Curated,
        name: &str,
        bookmark: &Bookmark,
    ) -> Result<String, Error> {
        let key = format!("_solder/bookmarks/{name}-{}.json", self.stamp.run_id);
        let publication = Publication { staged: format!("{name}/bookmark.json"), key: key.clone() };
        curated.stage_json(&curated.staging(&self.stamp.run_id)?, &publication, bookmark)?;
        self.publications.push(publication);
        Ok(key)
    }

    /// Gives tables that have lost all their files one without rows.
    fn fill_empty_tables(
        &mut self,
        curated: &Curated,
        name: &str,
        entity: &mut Entity,
    ) -> Result<(), Error> {
        let staging: Place = curated.staging(&self.stamp.run_id)?;
        let sequence = self.manifest.sequence;
        for (number, table) in curated.shape(entity)?.layout.tables.iter().enumerate() {
            let files = entity.tables.entry(table.name.clone()).or_default();
            if !files.is_empty() {
                continue;
            }
            let staged = format!("{name}/{number}-empty.parquet");
            let size_bytes = write_empty(curated.io(), &staging, &staged, table)?;
            let key = format!("{}/{}-0.parquet", table.name, self.stamp.run_id);
            self.publications.push(Publication { staged, key: key.clone() });
            files.push(DataFile { key, num_rows: 0, size_bytes, sequence, entity: None });
        }
        Ok(())
    }

    fn commit(mut self, curated: &Curated, rewound_to: Option<u64>) -> Result<Change, Error> {
        if self.change.entities.is_empty() {
            return Ok(self.change);
        }
        let changed: Vec<String> =
            self.change.entities.iter().map(|change| change.entity.clone()).collect();
        if let Some(to) = rewound_to {
            // Their records are read again, and set aside again.
            let is_rewound = |file: &DataFile| {
                file.sequence > to && file.entity.as_ref().is_none_or(|name| changed.contains(name))
            };
            let removed = self.manifest.quarantine.extract_if(.., |file| is_rewound(file));
            self.change.quarantined_removed = removed.map(|file| file.num_rows).sum();
        }
        if let Some(run) = self.manifest.runs.last_mut() {
            run.rewound_to = rewound_to;
            run.entities = changed;
        }
        curated.commit(self.before, &self.manifest, &self.publications)?;
        self.change.sequence = self.manifest.sequence;
        Ok(self.change)
    }
}

fn num_rows<'a>(files: impl Iterator<Item = &'a DataFile>) -> u64 {
    files.map(|file| file.num_rows).sum()
}

fn latest(curated: &Curated) -> Result<Manifest, Error> {
    let manifest = curated.latest()?;
    match manifest.sequence {
        0 => Err(Error::NothingCommitted { place: curated.place().to_string() }),
        _ => Ok(manifest),
    }
}

/// The entity named, or all.
fn entity_names(
    curated: &Curated,
    manifest: &Manifest,
    table: Option<&str>,
) -> Result<Vec<String>, Error> {
    let Some(table) = table else { return Ok(manifest.entities.keys().cloned().collect()) };
    if manifest.entities.contains_key(table) {
        return Ok(vec![table.to_owned()]);
    }
    let child_of = manifest.entities.iter().find(|(_, entity)| entity.tables.contains_key(table));
    let names = || manifest.entities.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    Err(Error::Unknown {
        what: "root table",
        name: table.to_owned(),
        place: curated.place().to_string(),
        hint: match child_of {
            Some((root, _)) => format!("; it is a child table, whose bookmark is that of `{root}`"),
            None => format!("; there are {}", names().join(", ")),
        },
    })
}

/// The number of the run with this id or number.
fn find_run(curated: &Curated, manifest: &Manifest, text: &str) -> Result<u64, Error> {
    let number = text.parse::<u64>().ok();
    let by_id = manifest.runs.iter().find(|run| run.run_id == text);
    let by_number = || manifest.runs.iter().find(|run| Some(run.sequence) == number);
    by_id.or_else(by_number).map(|run| run.sequence).ok_or_else(|| Error::Unknown {
        what: "run",
        name: text.to_owned(),
        place: curated.place().to_string(),
        hint: format!(
            "; there are 1 to {}, which `engine bookmark show` lists with their ids",
            manifest.sequence
        ),
    })
}
