//! The tables of a lake, looked at and kept in order (M12).
//!
//! ```text
//!   history ──▶ what was committed          optimize ──▶ small files and deletion vectors folded in
//!   restore ──▶ an earlier state again      vacuum   ──▶ files that no kept version needs, gone
//!   check   ──▶ lengths, references and keys, proven by SQL over the tables as deltalake reads them
//!   describe ─▶ names, places and columns, for catalogs
//! ```

mod check;
mod describe;
mod history;
mod optimize;
mod restore;
mod vacuum;

pub(crate) use check::first as first_row;
pub use check::{CheckReport, Finding, check};
pub use describe::{Described, describe};
pub use history::{HistoryEntry, history};
pub use optimize::{OptimizeReport, optimize};
pub use restore::{RestoreReport, RestoreTo, restore};
pub(crate) use restore::{empty, restore_one, version_at};
pub use vacuum::{MIN_RETENTION_HOURS, VacuumReport, vacuum};

use deltalake_core::DeltaTable;

use crate::delta::Table;
use crate::error::Error;
use crate::lake::Lake;

/// The tables asked for, which must be there; all of the lake when none is.
async fn tables(lake: &Lake, wanted: &[String]) -> Result<Vec<Table>, Error> {
    let names = match wanted.is_empty() {
        true => all_names(lake).await?,
        false => wanted.to_vec(),
    };
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        tables.push(lake.existing(&name).await?);
    }
    Ok(tables)
}

/// The names of all tables, of which there must be one.
async fn all_names(lake: &Lake) -> Result<Vec<String>, Error> {
    let names = lake.table_names().await?;
    match names.is_empty() {
        true => Err(Error::NoTables { lake: lake.place().to_string() }),
        false => Ok(names),
    }
}

/// The table as deltalake's own operations take it.
pub(crate) async fn delta_table(table: &Table) -> Result<DeltaTable, Error> {
    let mut delta = DeltaTable::new(table.log.clone());
    delta.load_version(table.version()).await.map_err(failed("reading", table))?;
    Ok(delta)
}

fn failed<'t>(
    action: &'static str,
    table: &'t Table,
) -> impl Fn(deltalake_core::DeltaTableError) -> Error + 't {
    move |source| Error::Delta {
        action,
        table: table.folder.address.clone(),
        source: Box::new(source),
    }
}
