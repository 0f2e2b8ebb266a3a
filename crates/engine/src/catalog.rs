//! Committed tables into the Glue Data Catalog (G1 to G5).
//!
//! ```text
//!   curated place ──▶ shapes ──▶ tables ──▶ solder_operate::catalog ──▶ CatalogReport
//!   lake ───────────▶ logs ─────▶  ▲ you are here
//! ```

use std::sync::Arc;

use serde_json::{Value, json};
use solder_lake::merge::EntityReport;
use solder_lake::{Error as Failure, Lake};
use solder_operate::aws::Client;
use solder_operate::catalog::{CatalogReport, Column, Database, Format, Table, register};
use solder_relationalize::curated::Curated;
use solder_relationalize::relation;
use solder_relationalize::tables::{Catalog, hive_type};
use solder_relationalize::{Error, Io};

/// What has been committed when its tables are registered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Committed {
    /// A run that transforms.
    Run,
    /// A merge.
    Merge,
    /// The rows of a statement.
    Rows {
        /// Whether the same command said again brings none of them twice.
        is_repeatable: bool,
    },
}

/// Registers all tables of a curated place.
pub(crate) fn register_curated(io: &Arc<Io>, database: &Database, place: &str) -> CatalogReport {
    let tables = curated_tables(io, place);
    finish(io, database, tables.map_err(Failure::from))
}

/// Registers the tables of a lake that entities brought, each root with its child tables.
pub(crate) fn register_lake(
    io: &Arc<Io>,
    database: &Database,
    lake: &str,
    entities: &[EntityReport],
) -> CatalogReport {
    let mut roots: Vec<String> = entities.iter().map(|entity| entity.name.clone()).collect();
    roots.sort_unstable();
    roots.dedup();
    finish(io, database, lake_tables(io, lake, &roots))
}

fn finish(io: &Io, database: &Database, tables: Result<Vec<Table>, Failure>) -> CatalogReport {
    match tables {
        Ok(tables) => io.wait(register(&Client::default(), database, &tables)),
        Err(error) => {
            let exit_code = error.exit_code();
            CatalogReport::undescribed(database, Box::new(error), exit_code)
        }
    }
}

fn curated_tables(io: &Arc<Io>, place: &str) -> Result<Vec<Table>, Error> {
    let curated = Curated::open(io.clone(), place)?;
    let manifest = curated.latest()?;
    // A run that had nothing to read leaves an empty place.
    if manifest.runs.is_empty() {
        return Ok(Vec::new());
    }
    let tables = Catalog::of_shapes(&curated, &manifest)?.tables;
    let described = tables.into_iter().map(|table| Table {
        description: format!("{} of {}", table.path, table.root),
        columns: table.columns.iter().map(|column| described(&column.column)).collect(),
        name: table.name,
        location: table.location,
        format: Format::Parquet,
    });
    Ok(described.collect())
}

fn lake_tables(io: &Io, lake: &str, roots: &[String]) -> Result<Vec<Table>, Failure> {
    let lake = Lake::open(lake)?;
    let tables = io.wait(solder_lake::maintain::describe(&lake, roots))?;
    let described = tables.into_iter().map(|table| Table {
        name: table.name,
        location: table.address,
        format: Format::Delta,
        description: table.description,
        columns: table.columns.iter().map(described).collect(),
    });
    Ok(described.collect())
}

/// A column as catalogs and observers are told of it.
pub(crate) fn described(column: &relation::Column) -> Column {
    Column {
        name: column.name.clone(),
        data_type: hive_type(column),
        comment: column.path.to_string(),
    }
}

/// A report of a command, with what became of its tables in the catalog.
pub(crate) fn with_catalog(mut report: Value, catalog: Option<&CatalogReport>) -> Value {
    if let (Some(object), Some(catalog)) = (report.as_object_mut(), catalog) {
        object.insert("catalog".to_owned(), json!(catalog));
    }
    report
}

/// What the command ends with.
///
/// # Errors
///
/// Not all tables are registered. Where the command must not be said again, the exit code does not ask for it.
pub(crate) fn outcome(catalog: Option<CatalogReport>, committed: Committed) -> Result<(), Failure> {
    const TRY_AGAIN: u8 = 75;
    const UNAVAILABLE: u8 = 69;
    let Some(report) = catalog else { return Ok(()) };
    let catalog = report.catalog.clone();
    report.outcome().map_err(|source| Failure::Catalog {
        committed: match committed {
            Committed::Run => "the run is committed",
            Committed::Merge => "the merge is committed",
            Committed::Rows { .. } => "the rows are committed",
        },
        catalog,
        exit_code: match (source.exit_code(), committed) {
            (TRY_AGAIN, Committed::Rows { is_repeatable: false }) => UNAVAILABLE,
            (code, _) => code,
        },
        source: Box::new(source),
    })
}
