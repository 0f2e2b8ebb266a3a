//! The files of an entity: where each one goes, and which are narrower than their tables and have to be
//! finished first (R19).

use std::collections::{BTreeMap, HashMap};

use solder_landing::Place;

use crate::clock::Phase;
use crate::curated::{DataFile, Entity, Publication, StoredShape};
use crate::error::Error;
use crate::pipeline::EntityResult;
use crate::progress::Event;
use crate::relation::Table;
use crate::shape::PathId;
use crate::stage::{StagedFile, rewrite};

use super::run::Run;

/// A file that is narrower than its table.
pub(super) struct Finishing {
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
    /// Gives every file of an entity its place; narrow ones are to be finished first.
    pub(super) fn place_files(
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

    /// Rewrites the narrow files, in parallel.
    pub(super) fn finish_files(&mut self) -> Result<(), Error> {
        if self.finishing.is_empty() {
            return Ok(());
        }
        self.crew.progress.event(Event::Finishing { num_files: self.finishing.len() });
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
        self.clock.lap(Phase::Rewrite);
        Ok(())
    }
}
