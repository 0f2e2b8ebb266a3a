//! A Delta table at one version.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoArrow as _;
use deltalake_core::kernel::{DeletionVectorDescriptor, LogicalFileView, Remove, Version};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::table::state::DeltaTableState;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path as StorePath;

use crate::error::Error;
use crate::lake::TableFolder;

use super::protocol;
use super::statistics::Statistics;

/// A Delta table at one version.
#[derive(Clone)]
pub struct Table {
    pub(crate) folder: TableFolder,
    pub(crate) log: LogStoreRef,
    pub(crate) state: DeltaTableState,
    schema: SchemaRef,
}

/// A data file of a table.
#[derive(Clone)]
pub struct DataFile {
    /// Its path below the table's folder, as the log has it.
    pub path: String,
    /// Bytes.
    pub size_bytes: u64,
    /// What the log says of its values; `None` when it says nothing.
    pub statistics: Option<Statistics>,
    /// Which of its rows are deleted.
    pub deletion_vector: Option<DeletionVectorDescriptor>,
    view: LogicalFileView,
}

impl Table {
    /// The table in a folder, at its latest version; `None` when the folder is empty, or has only what
    /// a merge wrote that was broken off before the first commit.
    ///
    /// # Errors
    ///
    /// The folder holds something else, or the log cannot be read.
    pub(crate) async fn open(folder: TableFolder) -> Result<Option<Table>, Error> {
        let log = folder.log();
        if !has_any(&folder, &folder.path.clone().join("_delta_log")).await? {
            match contents(&folder).await? {
                Contents::Nothing => return Ok(None),
                Contents::Others => return Err(Error::NotDelta { address: folder.address }),
                // Another writer made the table since the log was looked for.
                Contents::Log => {}
            }
        }
        let failed = |source| Error::Delta {
            action: "reading",
            table: folder.address.clone(),
            source: Box::new(source),
        };
        let state = DeltaTableState::try_new(&log, None).await.map_err(failed)?;
        Table::from_state(folder, log, state).map(Some)
    }

    /// The table at an earlier version.
    ///
    /// # Errors
    ///
    /// There is no such version any more, or the log cannot be read.
    pub(crate) async fn at(&self, version: Version) -> Result<Table, Error> {
        let state = DeltaTableState::try_new(&self.log, Some(version)).await;
        let state = state.map_err(|source| Error::Delta {
            action: "reading",
            table: format!("{}@v{version}", self.folder.address),
            source: Box::new(source),
        })?;
        Table::from_state(self.folder.clone(), self.log.clone(), state)
    }

    pub(crate) fn from_state(
        folder: TableFolder,
        log: LogStoreRef,
        state: DeltaTableState,
    ) -> Result<Table, Error> {
        let arrow: Result<Schema, _> = state.schema().as_ref().try_into_arrow();
        let arrow = arrow.map_err(|source| Error::Internal(Box::new(source)))?;
        Ok(Table { schema: Arc::new(plain(&arrow)), folder, log, state })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.folder.name
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.state.version()
    }

    /// Its columns as Arrow has them, without metadata.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A property of the table.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.state.metadata().configuration().get(key).map(String::as_str)
    }

    /// Whether rows may be deleted by marking them.
    pub fn has_deletion_vectors(&self) -> bool {
        protocol::has_deletion_vectors(&self.state)
    }

    /// The data files.
    ///
    /// # Errors
    ///
    /// A file lies outside the table's folder.
    pub fn files(&self) -> Result<Vec<DataFile>, Error> {
        self.state.log_data().iter().map(|view| self.file(view)).collect()
    }

    fn file(&self, view: LogicalFileView) -> Result<DataFile, Error> {
        let path = view.path().into_owned();
        if path.contains("://") || path.starts_with('/') {
            return Err(Error::Target {
                table: self.folder.address.clone(),
                reason: format!("its file `{path}` lies outside its folder (a shallow clone)"),
            });
        }
        Ok(DataFile {
            path,
            size_bytes: u64::try_from(view.size()).unwrap_or(0),
            statistics: view.stats().and_then(|text| Statistics::parse(&text)),
            deletion_vector: view.deletion_vector_descriptor(),
            view,
        })
    }

    /// The highest version that an application has committed (M8).
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub async fn transaction(&self, app_id: &str) -> Result<Option<i64>, Error> {
        self.state.transaction_version(&*self.log, app_id.to_owned()).await.map_err(|source| {
            Error::Delta {
                action: "reading",
                table: self.folder.address.clone(),
                source: Box::new(source),
            }
        })
    }

    /// Refuses tables that a merge would damage or that it cannot read.
    ///
    /// # Errors
    ///
    /// What stands in the way, by name.
    pub fn check_writable(&self, removes_rows: bool) -> Result<(), Error> {
        protocol::check(&self.state, removes_rows)
            .map_err(|reason| Error::Target { table: self.folder.address.clone(), reason })
    }
}

impl DataFile {
    /// Rows in the file, deleted ones included; `None` when the log does not say.
    pub fn num_rows(&self) -> Option<u64> {
        self.statistics.as_ref().map(|statistics| statistics.num_records)
    }

    /// What the log says of the values, as it says it.
    pub(crate) fn stored_statistics(&self) -> Option<String> {
        self.view.stats()
    }

    /// The action that takes the file out of the table.
    pub fn remove(&self) -> Remove {
        self.view.remove_action(true)
    }
}

/// An Arrow schema without metadata.
fn plain(schema: &Schema) -> Schema {
    let field = |field: &Arc<Field>| Field::new(field.name(), field.data_type().clone(), true);
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

async fn has_any(folder: &TableFolder, path: &StorePath) -> Result<bool, Error> {
    let first = folder.store.list(Some(path)).try_next().await;
    let failed = |source| Error::Fetch { file: folder.address.clone(), source: Box::new(source) };
    Ok(first.map_err(failed)?.is_some())
}

/// What a folder holds in which no log was found.
enum Contents {
    /// Nothing, or what merges wrote that have not committed.
    Nothing,
    /// A log after all.
    Log,
    /// Files that no merge wrote.
    Others,
}

async fn contents(folder: &TableFolder) -> Result<Contents, Error> {
    let is_own = |path: &StorePath| {
        let name = path.filename().and_then(|name| name.strip_prefix("part-"));
        let id = name.and_then(|name| name.strip_suffix(".parquet"));
        id.is_some_and(|id| uuid::Uuid::try_parse(id).is_ok())
    };
    let log = folder.path.clone().join("_delta_log");
    let failed = |source| Error::Fetch { file: folder.address.clone(), source: Box::new(source) };
    let mut files = folder.store.list(Some(&folder.path));
    let mut found = Contents::Nothing;
    while let Some(file) = files.try_next().await.map_err(failed)? {
        if file.location.prefix_matches(&log) {
            return Ok(Contents::Log);
        }
        if !is_own(&file.location) {
            found = Contents::Others;
        }
    }
    Ok(found)
}
