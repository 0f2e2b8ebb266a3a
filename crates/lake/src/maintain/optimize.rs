//! Files of a healthy size: small ones become one, and deleted rows really go.

use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::operations::optimize::OptimizeType;
use serde::Serialize;
use solder_landing::pause_at;

use crate::delta::{Evolution, Operation, Outcome, Table, commit, schema};
use crate::error::Error;
use crate::files::Source;
use crate::lake::Lake;
use crate::merge::{Alignment, Apply, Going, SMALL_FILE_BYTES};
use crate::work::Workers;

use super::{delta_table, failed, tables};

/// How often a table is looked at again after another writer was first.
const MAX_ATTEMPTS: usize = 8;

/// What became of a table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OptimizeReport {
    /// The table.
    pub table: String,
    /// Files before and after.
    pub files_before: u64,
    /// Files after.
    pub files_after: u64,
    /// Bytes of all files before.
    pub bytes_before: u64,
    /// Bytes of all files after.
    pub bytes_after: u64,
    /// The version that it made; absent when there was nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// Folds small files and deletion vectors of tables into new files, or sorts all rows along a Z-order
/// curve over `zorder` columns. No row changes.
///
/// # Errors
///
/// There is no such table or column, or the store refuses.
pub async fn optimize(
    lake: &Lake,
    wanted: &[String],
    zorder: &[String],
    threads: usize,
) -> Result<Vec<OptimizeReport>, Error> {
    let workers = Workers::new(threads);
    let mut reports = Vec::new();
    for table in tables(lake, wanted).await? {
        reports.push(match zorder.is_empty() {
            true => compact(lake, table, &workers).await?,
            false => sort(lake, &table, zorder).await?,
        });
    }
    Ok(reports)
}

async fn compact(
    lake: &Lake,
    mut table: Table,
    workers: &Workers,
) -> Result<OptimizeReport, Error> {
    for _ in 0..MAX_ATTEMPTS {
        let mut report = before(&table)?;
        let files = table.files()?;
        let small = files.iter().filter(|file| file.size_bytes < SMALL_FILE_BYTES).count();
        let folds = |file: &crate::delta::DataFile| {
            file.deletion_vector.is_some() || (small > 1 && file.size_bytes < SMALL_FILE_BYTES)
        };
        let mut sources = Vec::new();
        for file in files.iter().filter(|file| folds(file)) {
            sources.push(Source::open(&table, file.clone()).await?);
        }
        if sources.is_empty() {
            return after(&table, report);
        }
        let columns = schema::columns(&table)?;
        let apply = Apply {
            folder: &table.folder,
            table: Some(&table),
            alignment: &Alignment::new(table.name(), &columns, &columns),
            evolution: &Evolution::of_new(columns),
            workers,
            deletion_vectors: table.has_deletion_vectors(),
        };
        let (mut change, _) = apply.stage(Going::Fold(sources), Vec::new()).await?;
        // No row comes or goes, which readers of changes and other writers may rely on.
        change.adds.iter_mut().for_each(|add| add.data_change = false);
        change.removes.iter_mut().for_each(|remove| remove.data_change = false);
        change.operation = Operation::Optimize;
        pause_at("optimize-files-written");
        match commit(&table.folder, Some(&table), change).await? {
            Outcome::Committed(version) => {
                report.version = Some(version);
                return after(&lake.existing(table.name()).await?, report);
            }
            Outcome::Overtaken => table = lake.existing(table.name()).await?,
        }
    }
    Err(Error::Contended { table: table.folder.address, attempts: MAX_ATTEMPTS })
}

async fn sort(lake: &Lake, table: &Table, columns: &[String]) -> Result<OptimizeReport, Error> {
    for column in columns {
        if table.schema().field_with_name(column).is_err() {
            let names = table.schema().fields().iter().map(|field| field.name().clone());
            return Err(Error::NoColumn {
                option: "--zorder",
                table: table.name().to_owned(),
                column: column.clone(),
                hint: crate::readable::choice("it has", &names.collect::<Vec<_>>()),
            });
        }
    }
    let mut report = before(table)?;
    let sorted = delta_table(table)
        .await?
        .optimize()
        .with_type(OptimizeType::ZOrder(columns.to_vec()))
        .with_commit_properties(CommitProperties::default())
        .await;
    let (sorted, _) = sorted.map_err(failed("optimizing", table))?;
    report.version = sorted.version();
    after(&lake.existing(table.name()).await?, report)
}

fn before(table: &Table) -> Result<OptimizeReport, Error> {
    let files = table.files()?;
    Ok(OptimizeReport {
        table: table.name().to_owned(),
        files_before: files.len() as u64,
        bytes_before: files.iter().map(|file| file.size_bytes).sum(),
        ..OptimizeReport::default()
    })
}

fn after(table: &Table, report: OptimizeReport) -> Result<OptimizeReport, Error> {
    let files = table.files()?;
    Ok(OptimizeReport {
        files_after: files.len() as u64,
        bytes_after: files.iter().map(|file| file.size_bytes).sum(),
        ..report
    })
}
