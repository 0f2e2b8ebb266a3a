//! The tables of a curated place: described for people, programs, databases and diagrams.
//!
//! ```text
//!   manifest ──▶ shapes ──▶ Catalog ──▶ text · JSON · ddl (Athena, DuckDB) · mermaid
//!            ──▶ footers ──▶ nulls
//! ```
//!
//! Only committed files are described, and of them only the footers are read, if anything.

mod athena;
mod duckdb;
mod footers;
mod keys;
mod mermaid;
mod text;

use serde::Serialize;

use crate::curated::{Curated, DataFile, Entity, Manifest, RunRecord};
use crate::error::Error;
use crate::relation::{Column, Layout, Role, Table};

pub use athena::{athena_ddl, hive_type};
pub use duckdb::duckdb_ddl;
pub use keys::{JoinColumn, Keys, join_columns, named_column};
pub use mermaid::mermaid;
pub use text::text;

/// The tables of a curated place after its last commit.
#[derive(Clone, Debug, Serialize)]
pub struct Catalog {
    /// The curated place.
    pub place: String,
    /// The commit's number.
    pub sequence: u64,
    /// The commit's id.
    pub run_id: String,
    /// When it was made, RFC 3339.
    pub committed_at: String,
    /// The tables, each entity's root before its children.
    pub tables: Vec<CatalogTable>,
    /// The records that were set aside, when there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<CatalogQuarantine>,
}

/// A table.
#[derive(Clone, Debug, Serialize)]
pub struct CatalogTable {
    /// Its name.
    pub name: String,
    /// The root table of its entity; itself, when it is one.
    pub root: String,
    /// The table above.
    pub parent: Option<String>,
    /// The JSON path of its rows.
    pub path: String,
    /// Rows.
    pub rows: u64,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// The folder of its files.
    pub location: String,
    /// The committed files, in the order of their rows.
    pub files: Vec<CatalogFile>,
    /// The columns that identify a row; none where the Glue profile gives a root none.
    pub primary_key: Vec<String>,
    /// Which columns lead to the row of the parent; empty for a root.
    pub join_parent: Vec<JoinColumn>,
    /// Which columns lead to the row of the root; empty for a root, and where there are none.
    pub join_root: Vec<JoinColumn>,
    /// The columns, in order.
    pub columns: Vec<CatalogColumn>,
}

/// A file of a table.
#[derive(Clone, Debug, Serialize)]
pub struct CatalogFile {
    /// Absolute path, or URL.
    pub path: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub size_bytes: u64,
    /// The number of the run whose records it holds.
    pub sequence: u64,
}

/// A column.
#[derive(Clone, Debug, Serialize)]
pub struct CatalogColumn {
    /// Its name.
    pub name: String,
    /// The type in words.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The JSON path that it holds; of a generated column, the path that it speaks of.
    pub path: String,
    /// What it is for.
    pub role: ColumnRole,
    /// Rows in which it is null; unknown where a footer does not say.
    pub nulls: Option<u64>,
    /// The share of those rows, 0 to 1; none in a table without rows.
    pub null_share: Option<f64>,
    /// The column as the layout has it.
    #[serde(skip)]
    pub column: Column,
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnRole {
    /// It identifies rows or leads to those of other tables.
    Key,
    /// It says more about a value or a row: lengths, types, the record's number.
    Generated,
    /// It holds values of the records.
    Value,
}

/// The records that were set aside (R16).
#[derive(Clone, Debug, Serialize)]
pub struct CatalogQuarantine {
    /// Records.
    pub rows: u64,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// The files.
    pub files: Vec<CatalogFile>,
}

impl Catalog {
    /// Describes all tables of a curated place, or the one named and those below it.
    ///
    /// Cost: the manifest, a shape for each entity and the footer of each file.
    ///
    /// # Errors
    ///
    /// Nothing is committed, there is no such table, or the place cannot be read.
    pub fn read(curated: &Curated, table: Option<&str>) -> Result<Catalog, Error> {
        let manifest = curated.latest()?;
        let mut catalog = Catalog::of_shapes(curated, &manifest)?;
        if let Some(table) = table {
            catalog.keep_only(table)?;
        }
        footers::count_nulls(curated, &manifest, &mut catalog.tables)?;
        Ok(catalog)
    }

    /// All tables after a manifest, without the counts of nulls: no data file is opened.
    ///
    /// # Errors
    ///
    /// Nothing is committed, or the place cannot be read.
    pub fn of_shapes(curated: &Curated, manifest: &Manifest) -> Result<Catalog, Error> {
        let Some(run) = manifest.runs.last() else {
            return Err(Error::NothingCommitted { place: curated.place().to_string() });
        };
        let mut catalog = Catalog::empty(curated, manifest, run);
        for (name, entity) in &manifest.entities {
            let layout = curated.shape(entity)?.layout;
            catalog.tables.extend(describe(curated, name, entity, &layout));
        }
        Ok(catalog)
    }

    fn empty(curated: &Curated, manifest: &Manifest, run: &RunRecord) -> Catalog {
        let files: Vec<_> = manifest.quarantine.iter().map(|file| located(curated, file)).collect();
        let quarantine = CatalogQuarantine {
            rows: files.iter().map(|file| file.rows).sum(),
            size_bytes: files.iter().map(|file| file.size_bytes).sum(),
            files,
        };
        Catalog {
            place: curated.place().to_string(),
            sequence: manifest.sequence,
            run_id: run.run_id.clone(),
            committed_at: run.committed_at.clone(),
            tables: Vec::new(),
            quarantine: Some(quarantine).filter(|quarantine| quarantine.rows > 0),
        }
    }

    /// Leaves out all tables but `table` and those below it.
    fn keep_only(&mut self, table: &str) -> Result<(), Error> {
        let mut kept = vec![table.to_owned()];
        for below in &self.tables {
            if below.parent.as_ref().is_some_and(|parent| kept.contains(parent)) {
                kept.push(below.name.clone());
            }
        }
        let all: Vec<String> =
            self.tables.iter().map(|table| format!("`{}`", table.name)).collect();
        self.tables.retain(|table| kept.contains(&table.name));
        match self.tables.is_empty() {
            false => Ok(()),
            true => Err(Error::Unknown {
                what: "table",
                name: table.to_owned(),
                place: self.place.clone(),
                hint: match all.len() {
                    0..=20 => format!("; there are {}", all.join(", ")),
                    many => format!("; `engine tables` lists the {many} that there are"),
                },
            }),
        }
    }

    fn table(&self, name: &str) -> Option<&CatalogTable> {
        self.tables.iter().find(|table| table.name == name)
    }
}

fn describe(
    curated: &Curated,
    entity_name: &str,
    entity: &Entity,
    layout: &Layout,
) -> Vec<CatalogTable> {
    let keys = keys::Keys::new(entity_name, entity, layout);
    let describe = |table: &Table| {
        let files = entity.tables.get(&table.name).map_or(&[][..], |files| files);
        let files: Vec<_> = files.iter().map(|file| located(curated, file)).collect();
        let key_columns = keys.key_columns(table);
        CatalogTable {
            name: table.name.clone(),
            root: entity_name.to_owned(),
            parent: keys::parent(layout, table).map(|parent| parent.name.clone()),
            path: table.path.clone(),
            rows: files.iter().map(|file| file.rows).sum(),
            size_bytes: files.iter().map(|file| file.size_bytes).sum(),
            location: location(curated, &table.name),
            files,
            primary_key: keys.primary_key(table),
            join_parent: keys.join_parent(table),
            join_root: keys.join_root(table),
            columns: table
                .columns
                .iter()
                .map(|column| CatalogColumn {
                    name: column.name.clone(),
                    type_name: type_name(column),
                    path: column.path.to_string(),
                    role: match column.role {
                        _ if key_columns.contains(&column.name.as_str()) => ColumnRole::Key,
                        Role::Value | Role::ValueOf(_) | Role::Struct | Role::List => {
                            ColumnRole::Value
                        }
                        _ => ColumnRole::Generated,
                    },
                    nulls: None,
                    null_share: None,
                    column: column.clone(),
                })
                .collect(),
        }
    };
    layout.tables.iter().map(describe).collect()
}

fn type_name(column: &Column) -> String {
    match column.is_open {
        true => "open (as text)".to_owned(),
        false => crate::drift::describe(column),
    }
}

fn located(curated: &Curated, file: &DataFile) -> CatalogFile {
    CatalogFile {
        path: location(curated, &file.key),
        rows: file.num_rows,
        size_bytes: file.size_bytes,
        sequence: file.sequence,
    }
}

/// The absolute path or the URL of a key of the curated place.
fn location(curated: &Curated, key: &str) -> String {
    let place = curated.place();
    match place.local_path(key) {
        Some(path) => std::path::absolute(&path).unwrap_or(path).display().to_string(),
        None => place.address(key),
    }
}
