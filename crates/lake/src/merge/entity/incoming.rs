//! The staged rows of a batch: those that come into the lake, and those that cannot (M3).

use arrow_schema::SchemaRef;
use futures::{StreamExt, TryStreamExt};
use solder_relationalize::curated::DataFile;
use solder_relationalize::relation::{Column, Role, Table as StagedLayout, arrow_schema};
use solder_relationalize::shape::ColumnType;

use crate::error::Error;
use crate::files::{BoxedRows, Encoder, FILE_BYTES, write_file};
use crate::merge::history;
use crate::merge::report::{EntityReport, Metrics};
use crate::merge::session::{self, Session, Statement, quoted};
use crate::merge::settings::Mode;
use crate::merge::staging::{SEQUENCE, StagedTable};

use super::Merging;
use super::records::Plan;
use super::target::Target;

/// The fates of records whose child rows stand in the lake after the merge.
pub(super) const SURVIVING: [&str; 2] = ["insert", "update"];

/// What becomes of the root's rows by the fates of records.
pub(super) struct RootFates {
    /// Rows that come.
    pub new: &'static [&'static str],
    /// Rows that are there and get new values.
    pub replaced: &'static [&'static str],
    /// Rows that go.
    pub gone: &'static [&'static str],
}

impl RootFates {
    /// Those of a mode. Where history is kept, a deletion is a row as well.
    pub fn of(mode: Mode) -> RootFates {
        match mode {
            Mode::Scd2 => {
                RootFates { new: &["insert", "absent"], replaced: &["update", "delete"], gone: &[] }
            }
            _ => RootFates { new: &["insert"], replaced: &["update"], gone: &["delete"] },
        }
    }
}

/// Fates as a list in SQL.
pub(super) fn listed(fates: &[&str]) -> String {
    let quoted: Vec<String> = fates.iter().map(|fate| format!("'{fate}'")).collect();
    quoted.join(", ")
}

impl Merging<'_> {
    /// Makes the staged rows of a table, of runs of the batch after `after`, the session's table `staged`.
    pub(super) async fn stage(
        &self,
        session: &Session,
        table: &StagedTable,
        after: u64,
    ) -> Result<(), Error> {
        let files: Vec<&DataFile> = table.files_within(after, self.batch.until);
        let place = (&self.staging.place, &self.staging.mount);
        session.add_files("staged", place, staged_schema(table), &files).await
    }

    /// The staged rows of a table that come into the lake.
    pub(super) async fn coming(
        &self,
        session: &Session,
        plan: &Plan,
        target: &Target<'_>,
        after: u64,
        fates: &[&str],
        metrics: &mut Metrics,
    ) -> Result<Vec<BoxedRows>, Error> {
        let Some(staged) = target.staged else { return Ok(Vec::new()) };
        let files = staged.files_within(after, self.batch.until);
        metrics.num_source_rows = files.iter().map(|file| file.num_rows).sum();
        if files.is_empty() {
            return Ok(Vec::new());
        }
        self.stage(session, staged, after).await?;
        let columns = self.staged_columns(staged);
        let statement = match plan.takes_all {
            true => session::ALL_ROWS,
            false => self.rows(),
        };
        let fates = listed(fates);
        let values = [("columns", columns.as_str()), ("fates", fates.as_str())];
        let partitions = session.partitions(statement, &values).await?;
        let aligned = partitions.into_iter().map(|rows| {
            let alignment = target.incoming.clone();
            Box::pin(rows.map(move |batch| alignment.batch(&batch?))) as BoxedRows
        });
        let size_bytes: u64 = files.iter().map(|file| file.size_bytes).sum();
        if size_bytes > FILE_BYTES {
            return Ok(aligned.collect());
        }
        // What fills no file is not cut into several.
        let parts: Vec<BoxedRows> = aligned.collect();
        Ok(vec![Box::pin(futures::stream::iter(parts).flatten())])
    }

    /// The statement that reads the staged rows of records by their fates.
    pub(super) fn rows(&self) -> Statement {
        match self.matching.mode {
            Mode::Scd2 => session::VERSION_ROWS,
            _ => session::ROWS,
        }
    }

    /// The staged columns that come into the lake, as SQL.
    pub(super) fn staged_columns(&self, staged: &StagedTable) -> String {
        let is_root = staged.parent.is_none();
        let keeps_history = self.matching.mode == Mode::Scd2;
        let own = |column: &Column| {
            let name = format!("staged.{}", quoted(&column.name));
            // The arrays of a deletion do not come.
            let is_length = matches!(column.role, Role::ArrayLength | Role::MapLength);
            match is_length && is_root && keeps_history {
                true => {
                    let alias = quoted(&column.name);
                    format!("CASE WHEN NOT versions.is_deletion THEN {name} END AS {alias}")
                }
                false => name,
            }
        };
        let mut columns: Vec<String> = staged.columns.iter().map(own).collect();
        if keeps_history {
            columns.push(format!("versions.valid_from AS {}", history::VALID_FROM));
        }
        if keeps_history && is_root {
            columns.push(format!("versions.valid_to AS {}", history::VALID_TO));
            columns.push(format!("versions.is_current AS {}", history::IS_CURRENT));
        }
        if let (Some(name), None) = (&self.matching.soft_delete, &staged.parent) {
            columns.push(format!("{} AS {}", self.matching.is_deleted(), quoted(name)));
        }
        columns.join(", ")
    }

    /// Keeps the staged rows without their key, or without a time where history is kept, in the lake's `_quarantine/` (M3). Of a key that
    /// relationalize was told, there are none: it has set them aside itself.
    pub(super) async fn set_keyless_aside(
        &self,
        session: &Session,
        report: &mut EntityReport,
    ) -> Result<(), Error> {
        if self.matching.key == self.entity.key && self.matching.mode != Mode::Scd2 {
            return Ok(());
        }
        let has_key = self.matching.has_key();
        let rows = session.stream(session::KEYLESS, &[("has_key", &has_key)]).await?;
        if self.settings.dry_run {
            let batches = rows.map_ok(|batch| batch.num_rows() as u64);
            report.num_records_quarantined =
                batches.try_fold(0, |sum, rows| async move { Ok(sum + rows) }).await?;
            return Ok(());
        }
        let encoder = Encoder::new(&staged_schema(self.root))
            .map_err(|error| Error::Internal(Box::new(error)))?;
        let folder = self.lake.folder(&format!("_quarantine/{}", self.entity.name))?;
        // The same merge again writes the same file again.
        let name = format!("{}-{}.parquet", self.staging.id, self.batch.until);
        report.num_records_quarantined =
            write_file(&folder, &name, &encoder, self.workers, rows).await?;
        if report.num_records_quarantined > 0 {
            report.quarantine = Some(folder.place.address(&name));
        }
        Ok(())
    }
}

/// The columns of a table's staged files.
fn staged_schema(table: &StagedTable) -> SchemaRef {
    let mut columns = table.columns.clone();
    columns.push(Column {
        name: SEQUENCE.to_owned(),
        path: "$".into(),
        role: Role::Sequence,
        column_type: ColumnType::Int64,
        fields: Vec::new(),
        is_open: false,
    });
    arrow_schema(&StagedLayout {
        name: table.name.clone(),
        path: String::new(),
        parent: None,
        columns,
    })
}
