//! The staging area: which runs of which entities wait to be merged (M1).

use std::sync::Arc;

use solder_landing::{Mount, Place};
use solder_relationalize::curated::{Curated, DataFile, Entity, Manifest};
use solder_relationalize::relation::{Column, Layout, Naming, Role, Table};
use solder_relationalize::tables::{Keys, named_column};
use solder_relationalize::{Error as StagingError, Io};

use crate::error::Error;
use crate::readable::choice;

/// The column that numbers records: it tells the versions of one record apart, and stays in staging.
pub const SEQUENCE: &str = "_seq";

/// The committed state of a curated place.
pub struct Staging {
    /// Tells this staging area from all others, also from one that was made anew at the same place.
    pub id: String,
    /// The place.
    pub place: Place,
    /// Where its files lie, for a query engine.
    pub mount: Mount,
    /// The entities, by name.
    pub entities: Vec<StagedEntity>,
}

/// One entity: a root table and what hangs below it.
pub struct StagedEntity {
    /// The root table's name.
    pub name: String,
    /// The run that wrote it last.
    pub sequence: u64,
    /// That run's id.
    pub run_id: String,
    /// The run that replaced its tables last.
    replaced: u64,
    /// The runs that took others back, each with the last one that it left.
    rewinds: Vec<(u64, u64)>,
    /// The root's columns of the declared key; empty without one.
    pub key: Vec<String>,
    /// The tables, parents before children; the first is the root.
    pub tables: Vec<StagedTable>,
}

/// A staged table.
pub struct StagedTable {
    /// Its name.
    pub name: String,
    /// The JSON path of its rows.
    pub path: String,
    /// The table above; `None` for the root.
    pub parent: Option<String>,
    /// The columns that come into the lake.
    pub columns: Vec<Column>,
    /// The committed files, in order.
    pub files: Vec<DataFile>,
}

impl Staging {
    /// Reads what is committed in a curated place.
    ///
    /// # Errors
    ///
    /// Nothing is committed, or it cannot be read.
    pub fn read(io: &Arc<Io>, text: &str, wanted: &[String]) -> Result<Staging, Error> {
        let curated = Curated::open(Arc::clone(io), text)?;
        let manifest = curated.latest()?;
        let Some(first) = manifest.runs.first() else {
            let place = curated.place().to_string();
            return Err(StagingError::NothingCommitted { place }.into());
        };
        let names: Vec<String> = manifest.entities.keys().cloned().collect();
        for name in wanted {
            if !names.contains(name) {
                return Err(Error::NoEntity {
                    entity: name.clone(),
                    staging: text.to_owned(),
                    hint: choice("it has", &names),
                });
            }
        }
        let mut entities = Vec::new();
        for (name, entity) in &manifest.entities {
            if wanted.is_empty() || wanted.contains(name) {
                let layout = curated.shape(entity)?.layout;
                entities.push(staged_entity(name, entity, &layout, &manifest)?);
            }
        }
        Ok(Staging {
            id: first.fingerprint(),
            place: curated.place().clone(),
            mount: curated.place().mount()?,
            entities,
        })
    }
}

fn staged_entity(
    name: &str,
    entity: &Entity,
    layout: &Layout,
    manifest: &Manifest,
) -> Result<StagedEntity, Error> {
    if entity.naming == Naming::Glue {
        return Err(Error::GlueNames { entity: name.to_owned() });
    }
    let keys = Keys::new(name, entity, layout);
    let run = manifest.runs.iter().find(|run| run.sequence == entity.sequence);
    let is_row_id = |column: &Column| column.role == Role::RowId;
    let key = match layout.tables.first() {
        Some(root) if !root.columns.iter().any(is_row_id) => keys.primary_key(root),
        _ => Vec::new(),
    };
    let table = |table: &Table| StagedTable {
        name: table.name.clone(),
        path: table.path.clone(),
        parent: table.parent.and_then(|at| layout.tables.get(at)).map(|above| above.name.clone()),
        columns: table.columns.iter().filter(|column| column.name != SEQUENCE).cloned().collect(),
        files: entity.tables.get(&table.name).cloned().unwrap_or_default(),
    };
    Ok(StagedEntity {
        name: name.to_owned(),
        sequence: entity.sequence,
        replaced: entity.replaced,
        rewinds: manifest
            .runs
            .iter()
            .filter(|run| run.entities.iter().any(|entity| entity == name))
            .filter_map(|run| Some((run.sequence, run.rewound_to?)))
            .collect(),
        run_id: run.map(|run| run.run_id.clone()).unwrap_or_default(),
        key,
        tables: layout.tables.iter().map(table).collect(),
    })
}

impl StagedEntity {
    /// An entity of one run and one table.
    pub fn of_one(
        name: String,
        sequence: u64,
        run_id: String,
        key: Vec<String>,
        table: StagedTable,
    ) -> StagedEntity {
        StagedEntity {
            name,
            sequence,
            run_id,
            replaced: sequence,
            rewinds: Vec::new(),
            key,
            tables: vec![table],
        }
    }

    /// Whether what was staged when `sequence` was the last run is staged still: it was neither replaced nor
    /// rewound since (R20).
    pub fn still_has(&self, sequence: u64) -> bool {
        let takes_back = |(run, to): &(u64, u64)| *run > sequence && *to < sequence;
        (self.replaced..=self.sequence).contains(&sequence) && !self.rewinds.iter().any(takes_back)
    }

    /// The root's columns that child rows are linked to.
    pub fn identity(&self) -> Vec<String> {
        let row_id = |root: &StagedTable| {
            let found = root.columns.iter().find(|column| column.role == Role::RowId);
            found.map(|column| column.name.clone())
        };
        match self.root().and_then(row_id) {
            Some(row_id) => vec![row_id],
            None => self.key.clone(),
        }
    }

    /// The root table.
    pub fn root(&self) -> Option<&StagedTable> {
        self.tables.first()
    }

    /// The name of the root's column that an option means by a column name or a JSON path.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn column(&self, option: &'static str, text: &str) -> Result<String, Error> {
        let columns = self.root().map(|root| root.columns.as_slice()).unwrap_or_default();
        let exact = columns.iter().find(|column| column.name == text);
        let found = exact.or_else(|| named_column(&self.name, columns, text));
        found.map(|column| column.name.clone()).ok_or_else(|| {
            let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
            Error::NoColumn {
                option,
                table: self.name.clone(),
                column: text.to_owned(),
                hint: choice("it has", &names),
            }
        })
    }
}

impl StagedTable {
    /// The files of runs after one and up to another.
    pub fn files_within(&self, after: u64, until: u64) -> Vec<&DataFile> {
        let is_within = |file: &&DataFile| file.sequence > after && file.sequence <= until;
        self.files.iter().filter(is_within).collect()
    }
}
