//! A Delta table whose rows are those of its files, none deleted and none mapped: read as DataFusion reads
//! any Parquet file. What the log says of the files leaves out those that hold no wanted row, and counts
//! rows, before any of them is opened.

use std::cmp::Ordering;
use std::fmt::{self, Debug};
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, DFSchema, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::{ParquetFormat, transform_schema_to_view};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectMeta;

use crate::delta::Table;
use crate::error::Error;

/// A Delta table that needs no more than its files.
pub struct PlainTable {
    table: Table,
    schema: SchemaRef,
    store: ObjectStoreUrl,
    files: Vec<File>,
}

struct File {
    file: PartitionedFile,
    num_rows: Option<u64>,
}

impl Debug for PlainTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PlainTable")
            .field("table", &self.table.name())
            .finish_non_exhaustive()
    }
}

impl PlainTable {
    /// The table, below the root of its store; `None` when its rows are not simply those of its files.
    ///
    /// # Errors
    ///
    /// A file lies outside the table's folder, or the store has no address.
    pub fn new(table: Table, root: &str) -> Result<Option<PlainTable>, Error> {
        let is_mapped = table
            .property("delta.columnMapping.mode")
            .is_some_and(|mode| !mode.eq_ignore_ascii_case("none"));
        if is_mapped || !table.state.metadata().partition_columns().is_empty() {
            return Ok(None);
        }
        let mut files = Vec::new();
        for file in table.files()? {
            if file.deletion_vector.is_some() {
                return Ok(None);
            }
            let object = ObjectMeta {
                location: table.folder.file(&file.path),
                size: file.size_bytes,
                // Files of a table never change.
                last_modified: chrono::DateTime::UNIX_EPOCH,
                e_tag: None,
                version: None,
            };
            files.push(File { file: object.into(), num_rows: file.num_rows() });
        }
        let store = ObjectStoreUrl::parse(format!("{root}/"));
        let store = store.map_err(|error| Error::Internal(Box::new(error)))?;
        let schema = Arc::new(transform_schema_to_view(table.schema()));
        Ok(Some(PlainTable { table, schema, store, files }))
    }

    /// Which files may hold rows that the filters let through; all where nothing tells.
    fn wanted(
        &self,
        session: &dyn Session,
        filters: &[Expr],
    ) -> Result<Vec<&File>, DataFusionError> {
        let Some(filter) = conjunction(filters.iter().cloned()) else {
            return Ok(self.files.iter().collect());
        };
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let filter = session.create_physical_expr(filter, &schema)?;
        // What cannot be told from bounds of values leaves every file in.
        let pruned = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.schema))
            .try_build(filter)
            .and_then(|predicate| predicate.prune(&self.table.state.log_data()));
        match pruned {
            Ok(kept) if kept.len() == self.files.len() => {
                let files = self.files.iter().zip(kept);
                Ok(files.filter(|(_, is_kept)| *is_kept).map(|(file, _)| file).collect())
            }
            _ => Ok(self.files.iter().collect()),
        }
    }
}

impl PlainTable {
    /// Adds the bounds that the log has of numbers in the columns that are read: by them, joins are ordered.
    /// They are those of all files, so that a value may lie within them and be in none of those that are read.
    fn bound(&self, statistics: &mut Statistics, projection: Option<&Vec<usize>>) {
        let log = self.table.state.log_data();
        for (position, field) in self.schema.fields().iter().enumerate() {
            let is_read = projection.is_none_or(|columns| columns.contains(&position));
            let Some(column) = statistics.column_statistics.get_mut(position) else { continue };
            if !is_read || !field.data_type().is_numeric() {
                continue;
            }
            let name = Column::from_name(field.name());
            let of_type = |values: &ArrayRef| values.data_type() == field.data_type();
            let least = log.min_values(&name).filter(of_type);
            let greatest = log.max_values(&name).filter(of_type);
            column.min_value = furthest(least, Ordering::Less);
            column.max_value = furthest(greatest, Ordering::Greater);
        }
    }
}

/// The least or the greatest of some values; absent where one is missing.
fn furthest(values: Option<ArrayRef>, order: Ordering) -> Precision<ScalarValue> {
    let Some(values) = values.filter(|values| values.null_count() == 0) else {
        return Precision::Absent;
    };
    let values = (0..values.len()).filter_map(|at| ScalarValue::try_from_array(&values, at).ok());
    let furthest = values.reduce(
        |one, other| {
            if other.partial_cmp(&one) == Some(order) { other } else { one }
        },
    );
    furthest.map_or(Precision::Absent, Precision::Inexact)
}

#[async_trait]
impl TableProvider for PlainTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let files = self.wanted(session, filters)?;
        if files.is_empty() {
            let schema = datafusion::common::project_schema(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let num_rows: Option<u64> = files.iter().map(|file| file.num_rows).sum();
        let num_rows = num_rows.and_then(|rows| usize::try_from(rows).ok());
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = num_rows.map_or(Precision::Absent, Precision::Exact);
        self.bound(&mut statistics, projection);

        let options = session.default_table_options().parquet;
        let format = ParquetFormat::default().with_options(options);
        let source = format.file_source(Arc::clone(&self.schema).into());
        let group = FileGroup::new(files.iter().map(|file| file.file.clone()).collect());
        let config = FileScanConfigBuilder::new(self.store.clone(), source)
            .with_file_groups(group.split_files(session.config().target_partitions()))
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(if filters.is_empty() { limit } else { None })
            .build();
        format.create_physical_plan(session, config).await
    }
}
