//! Files that no kept version of a table needs.

use chrono::Duration;
use deltalake_core::operations::vacuum::VacuumMode;
use serde::Serialize;

use crate::error::Error;
use crate::lake::Lake;

use super::{delta_table, failed, tables};

/// Files younger than this are never removed: a merge that runs has written them and not committed yet.
pub const MIN_RETENTION_HOURS: u64 = 24;

/// What became of a table.
#[derive(Clone, Debug, Serialize)]
pub struct VacuumReport {
    /// The table.
    pub table: String,
    /// Nothing was removed.
    pub dry_run: bool,
    /// The files.
    pub files: Vec<String>,
}

/// Removes the files that no version of the last `retention_hours` needs, those of merges that died
/// among them; only names them when `dry_run` says so.
///
/// # Errors
///
/// The retention is too short, there is no such table, or the store refuses.
pub async fn vacuum(
    lake: &Lake,
    wanted: &[String],
    retention_hours: u64,
    dry_run: bool,
) -> Result<Vec<VacuumReport>, Error> {
    if retention_hours < MIN_RETENTION_HOURS {
        return Err(Error::Usage(format!(
            "--retention {retention_hours}h is too short: a merge that runs at this moment may have written files that it has not committed, so at least {MIN_RETENTION_HOURS}h are kept"
        )));
    }
    let retention = Duration::hours(i64::try_from(retention_hours).unwrap_or(i64::MAX / 3_600_000));
    let mut reports = Vec::new();
    for table in tables(lake, wanted).await? {
        let vacuum = delta_table(&table)
            .await?
            .vacuum()
            .with_mode(VacuumMode::Full)
            .with_retention_period(retention)
            .with_enforce_retention_duration(false)
            .with_dry_run(dry_run);
        let (_, metrics) = vacuum.await.map_err(failed("vacuuming", &table))?;
        reports.push(VacuumReport {
            table: table.name().to_owned(),
            dry_run,
            files: metrics.files_deleted,
        });
    }
    Ok(reports)
}
