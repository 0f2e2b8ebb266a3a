//! The staged rows of a batch: those that come into the lake, and those that cannot (M3).

use arrow_schema::SchemaRef;
use futures::{StreamExt, TryStreamExt};
use solder_relationalize::curated::DataFile;
use solder_relationalize::relation::{Column, Role, Table as StagedLayout, arrow_schema};
use solder_relationalize::shape::ColumnType;

use crate::error::Error;
use crate::files::{BoxedRows, Encoder, FILE_BYTES, write_file};
use crate::merge::report::{EntityReport, Metrics};
use crate::merge::session::{self, Session, quoted};
use crate::merge::staging::{SEQUENCE, StagedTable};

use super::Merging;
use super::records::Plan;
use super::target::Target;

/// The fates of records whose rows stand in the lake after the merge.
pub(super) const SURVIVING: &str = "'insert', 'update'";

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
        fates: &str,
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
            false => session::ROWS,
        };
        let values = [("columns", columns.as_str()), ("fates", fates)];
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

    /// The staged columns that come into the lake, as SQL.
    pub(super) fn staged_columns(&self, staged: &StagedTable) -> String {
        let mut columns: Vec<String> =
            staged.columns.iter().map(|column| quoted(&column.name)).collect();
        if let (Some(name), None) = (&self.matching.soft_delete, &staged.parent) {
            columns.push(format!("{} AS {}", self.matching.is_deleted(), quoted(name)));
        }
        columns.join(", ")
    }

    /// Keeps the staged rows without their key in the lake's `_quarantine/` (M3). Of a key that
    /// relationalize was told, there are none: it has set them aside itself.
    pub(super) async fn set_keyless_aside(
        &self,
        session: &Session,
        report: &mut EntityReport,
    ) -> Result<(), Error> {
        if self.matching.key == self.entity.key {
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
