//! An earlier state of a table again, and of its child tables with it.

use deltalake_core::kernel::Version;
use serde::Serialize;

use crate::delta::{Change, DataFile, Operation, Outcome, Table, commit, schema};
use crate::error::Error;
use crate::lake::Lake;

use super::{delta_table, failed, history::history};

/// The state to go back to.
#[derive(Clone, Copy, Debug)]
pub enum RestoreTo {
    /// A version of the table; its child tables go back to what they were then.
    Version(Version),
    /// The last version at or before an instant.
    Timestamp(jiff::Timestamp),
}

/// What became of a table.
#[derive(Clone, Debug, Serialize)]
pub struct RestoreReport {
    /// The table.
    pub table: String,
    /// The version whose state it has again; `None` of a table that was not there then, and has no rows now.
    pub restored: Option<Version>,
    /// The version that this made; the same as before when it had that state already.
    pub version: Version,
}

/// Brings a table back to an earlier state as a new version. A root table takes its child tables along,
/// to what they were when the root had that state, so that parents and children fit.
///
/// What was merged since counts as merged: it does not come again by itself.
///
/// # Errors
///
/// There is no such table or version, or files of it were vacuumed.
pub async fn restore(lake: &Lake, name: &str, to: RestoreTo) -> Result<Vec<RestoreReport>, Error> {
    let table = lake.existing(name).await?;
    let (version, instant) = match to {
        RestoreTo::Version(version) => (version, committed_at(lake, &table, version).await?),
        RestoreTo::Timestamp(instant) => {
            let version = version_at(lake, &table, instant).await?;
            let none = || {
                let table = &table.folder.address;
                Error::Usage(format!("`{table}` has no version of {instant} or before"))
            };
            (version.ok_or_else(none)?, instant)
        }
    };
    let mut reports = Vec::new();
    if table.property(schema::ROOT) == Some(name) {
        for child in lake.children(name, |_| true).await? {
            reports.push(match version_at(lake, &child, instant).await? {
                Some(version) => restore_one(lake, &child, version).await?,
                None => empty(&child).await?,
            });
        }
    }
    reports.push(restore_one(lake, &table, version).await?);
    Ok(reports)
}

/// Brings one table back to a version.
///
/// # Errors
///
/// There is no such version, or files of it were vacuumed.
pub(crate) async fn restore_one(
    lake: &Lake,
    table: &Table,
    version: Version,
) -> Result<RestoreReport, Error> {
    if version > table.version() {
        return Err(Error::Usage(format!(
            "`{}` has no version {version}: its last one is {}",
            table.folder.address,
            table.version()
        )));
    }
    let mut report =
        RestoreReport { table: table.name().to_owned(), restored: Some(version), version };
    if version < table.version() {
        let restored = delta_table(table)
            .await?
            .restore()
            .with_version_to_restore(version)
            .with_protocol_downgrade_allowed(false)
            .await;
        let (restored, _) = restored.map_err(failed("restoring", table))?;
        report.version = restored.version().unwrap_or(version);
        end_merge(lake, table.name()).await?;
    }
    Ok(report)
}

/// A state from the middle of a merge says that the merge goes on, which it does not.
async fn end_merge(lake: &Lake, name: &str) -> Result<(), Error> {
    let table = lake.existing(name).await?;
    if table.property(schema::MERGING).is_none() {
        return Ok(());
    }
    let change = Change {
        columns: Some(schema::columns(&table)?),
        properties: vec![(schema::MERGING.to_owned(), String::new())],
        operation: Operation::Begin,
        ..Change::default()
    };
    match commit(&table.folder, Some(&table), change).await? {
        Outcome::Committed(_) | Outcome::Overtaken => Ok(()),
    }
}

async fn committed_at(
    lake: &Lake,
    table: &Table,
    version: Version,
) -> Result<jiff::Timestamp, Error> {
    let commits = history(lake, table.name(), None).await?;
    let found = commits.iter().find(|commit| commit.version == version);
    let found = found.and_then(|commit| commit.timestamp.as_deref()?.parse().ok());
    found.ok_or_else(|| {
        Error::Usage(format!("`{}` has no version {version} any more", table.folder.address))
    })
}

/// The last version at or before an instant; `None` when the table was not there yet.
pub(crate) async fn version_at(
    lake: &Lake,
    table: &Table,
    instant: jiff::Timestamp,
) -> Result<Option<Version>, Error> {
    let commits = history(lake, table.name(), None).await?;
    let is_then =
        |timestamp: &str| timestamp.parse().is_ok_and(|at: jiff::Timestamp| at <= instant);
    let found = commits.iter().find(|commit| commit.timestamp.as_deref().is_some_and(is_then));
    Ok(found.map(|commit| commit.version))
}

/// Takes all rows out of a table that was not there at the time that is restored.
///
/// # Errors
///
/// The store refuses, or another writer was first.
pub(crate) async fn empty(table: &Table) -> Result<RestoreReport, Error> {
    let files = table.files()?;
    let mut report =
        RestoreReport { table: table.name().to_owned(), restored: None, version: table.version() };
    if !files.is_empty() {
        let change = Change {
            removes: files.iter().map(DataFile::remove).collect(),
            operation: Operation::Overwrite,
            ..Change::default()
        };
        report.version = match commit(&table.folder, Some(table), change).await? {
            Outcome::Committed(version) => version,
            Outcome::Overtaken => {
                let table = table.folder.address.clone();
                return Err(Error::Contended { table, attempts: 1 });
            }
        };
    }
    Ok(report)
}
