//! What must hold of the rows of tables: expectations of the user, as they stand in a job file (C1).
//!
//! ```text
//!   section ──▶ Expectation ──▶ statement: SQL for the rows that fail ──▶ counted ──▶ Finding
//!   (YAML)      one kind                  over a lake, or over what is staged
//! ```

mod section;
mod statement;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use datafusion::prelude::SessionContext;
use serde::Serialize;
use solder_relationalize::Io;

use crate::error::Error;
use crate::maintain::{CheckReport, Finding};
use crate::merge::quoted;
use crate::sql::{Script, SqlSettings, connect};

pub use section::{CheckSection, expectations};

/// Something that must hold of the rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The table.
    pub table: String,
    /// What must hold.
    pub kind: Kind,
    /// What it means when it does not.
    pub level: Level,
    /// It must hold of the staged rows before they come into the lake.
    pub before_merge: bool,
    /// Where it stands, for messages.
    pub at: String,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// None of the columns is null.
    NotNull(Vec<String>),
    /// No two rows have the same values in the columns; rows with a null there are left out.
    Unique(Vec<String>),
    /// The column has one of these SQL literals, or null.
    Accepted(String, Vec<String>),
    /// The column lies between two SQL literals, or is null.
    Range(String, Option<String>, Option<String>),
    /// The column's text matches a regular expression, or is null.
    Matches(String, String),
    /// The table has so many rows.
    RowCount(Option<u64>, Option<u64>),
    /// The newest value of the column is at most so many seconds old.
    Fresh(String, u64),
    /// The values of the column stand in a column of another table, or are null.
    References(String, String, String),
    /// The statement gives no rows.
    None(String),
}

/// What it means that an expectation does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It is said.
    Warn,
    /// The run fails.
    #[default]
    Fail,
}

/// Tries expectations on the tables that settings name.
///
/// # Errors
///
/// A table or column is not there, or cannot be read. What does not hold is in the report.
pub fn expect(
    io: &Arc<Io>,
    settings: &SqlSettings,
    expectations: &[Expectation],
) -> Result<CheckReport, Error> {
    let mut report = CheckReport::default();
    if expectations.is_empty() {
        return Ok(report);
    }
    let connection = connect(io, settings)?;
    let mut tables: Vec<&str> = expectations.iter().map(|one| one.table.as_str()).collect();
    tables.sort_unstable();
    tables.dedup();
    report.num_tables = tables.len();
    io.wait(async {
        for expectation in expectations {
            report.num_checks += 1;
            let statement = expectation.statement();
            let script = Script::new(&expectation.at, &statement);
            connection.check_names(&script)?;
            let failing = num_failing(&connection.context, &script, &statement).await?;
            if failing > 0 {
                report.findings.push(Finding {
                    check: expectation.kind.name(),
                    table: expectation.table.clone(),
                    num_rows: failing,
                    text: expectation.text(failing),
                    level: expectation.level,
                    rows: Some(statement),
                });
            }
        }
        Ok::<_, Error>(())
    })?;
    Ok(report)
}

async fn num_failing(
    context: &SessionContext,
    script: &Script,
    statement: &str,
) -> Result<usize, Error> {
    let counting = format!("SELECT count(*) FROM ({}) AS {}", statement, quoted("failing"));
    let rows = context.sql(&counting).await.map_err(|error| script.mistake_in_all(error))?;
    let batches = rows.collect().await.map_err(|error| script.failed(error))?;
    let counts = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().iter().copied());
    Ok(usize::try_from(counts.sum::<i64>()).unwrap_or(0))
}
