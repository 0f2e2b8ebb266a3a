//! What became of tables in the catalog, for machines.

use serde::Serialize;
use solder_landing::causes;

use super::database::Database;
use super::error::Error;

/// What became of the tables of a run in the catalog.
#[derive(Debug, Serialize)]
pub struct CatalogReport {
    /// The database, as `glue://NAME`.
    pub catalog: String,
    /// The tables that were reached, in order.
    pub tables: Vec<TableReport>,
    /// How it failed, if it did.
    #[serde(flatten)]
    failure: Option<Failure>,
    #[serde(skip)]
    error: Option<Error>,
}

/// What became of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Its name in the database.
    pub table: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Columns that are new in the catalog, when it was updated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns_added: Vec<String>,
    /// Columns with another type or comment than before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns_changed: Vec<String>,
    /// Columns that the table has no more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns_removed: Vec<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of a table in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there, and is now as it should be.
    Updated,
    /// It was there as it should be; nothing was written.
    Unchanged,
    /// It is somebody else's, or the catalog cannot hold it.
    Refused,
}

#[derive(Debug, Serialize)]
struct Failure {
    error: String,
    exit_code: u8,
    causes: Vec<String>,
}

impl CatalogReport {
    /// Of tables that could not even be described.
    pub fn undescribed(
        database: &Database,
        source: Box<dyn std::error::Error + Send + Sync>,
        exit_code: u8,
    ) -> Self {
        let error = Error::Describe { source, exit_code };
        Self::new(database, Vec::new(), Some(error))
    }

    /// Of what was reached, and why no more was.
    pub(super) fn new(database: &Database, tables: Vec<TableReport>, ended: Option<Error>) -> Self {
        let error = ended.or_else(|| refused(database, &tables));
        let failure = error.as_ref().map(|error| Failure {
            error: error.to_string(),
            exit_code: error.exit_code(),
            causes: causes(error),
        });
        Self { catalog: database.to_string(), tables, failure, error }
    }

    /// The error that the report tells of.
    ///
    /// # Errors
    ///
    /// Not all tables are registered.
    pub fn outcome(self) -> Result<(), Error> {
        self.error.map_or(Ok(()), Err)
    }

    /// How many tables ended so.
    pub fn num(&self, outcome: Outcome) -> usize {
        self.tables.iter().filter(|table| table.outcome == outcome).count()
    }
}

fn refused(database: &Database, tables: &[TableReport]) -> Option<Error> {
    let mut refused = tables.iter().filter(|table| table.outcome == Outcome::Refused);
    let first = refused.next()?;
    Some(Error::Refused {
        table: format!("{}.{}", database.name(), first.table),
        why: first.why.clone().unwrap_or_default(),
        num_more: refused.count(),
    })
}

impl TableReport {
    pub(super) fn new(table: &str, outcome: Outcome) -> Self {
        Self {
            table: table.to_owned(),
            outcome,
            columns_added: Vec::new(),
            columns_changed: Vec::new(),
            columns_removed: Vec::new(),
            why: None,
        }
    }

    pub(super) fn refused(table: &str, why: String) -> Self {
        Self { why: Some(why), ..Self::new(table, Outcome::Refused) }
    }
}
