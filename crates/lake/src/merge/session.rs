//! The statements of a merge: SQL over staging and target, kept in `sql/merge/`.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::TryStreamExt;
use solder_landing::{Mount, Place};
use solder_relationalize::curated::DataFile;
use url::Url;

use crate::error::Error;
use crate::files::BoxedRows;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// What all statements of a merge share: memory, stores, threads.
#[derive(Clone)]
pub struct Engine {
    runtime: Arc<RuntimeEnv>,
    threads: usize,
}

/// The tables of one merge, and statements over them.
pub struct Session {
    context: SessionContext,
    /// The table that the merge is for, for messages.
    about: String,
}

/// A statement of `sql/merge/`: its name, and its text with `{placeholders}`.
#[derive(Clone, Copy)]
pub struct Statement(&'static str, &'static str);

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $file:literal, $about:literal;)*) => {
        $($(#[$doc])* pub const $name: Statement = Statement(
            $about,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/merge/", $file)),
        );)*
    };
}

statements! {
    /// The newest staged record of every key.
    NEWEST = "newest.sql", "finding the newest records";
    /// The staged records that lack their key.
    KEYLESS = "keyless.sql", "finding records without a key";
    /// What becomes of each newest record.
    FATES = "fates.sql", "finding the rows that records meet";
    /// How many records became what.
    COUNTS = "counts.sql", "counting records";
    /// Keys that stand in more than one row of the target.
    DUPLICATES = "duplicates.sql", "finding keys that stand twice";
    /// The rows of the target that go.
    TOUCHED = "touched.sql", "finding the rows that go";
    /// The staged rows of the records that come into the lake.
    ROWS = "rows.sql", "reading the staged rows";
    /// All staged rows of a table.
    ALL_ROWS = "all_rows.sql", "reading the staged rows";
    /// The rows of a child table that go.
    REPLACED = "replaced.sql", "finding the child rows that go";
    /// Every version of the records that come, in time.
    VERSIONS = "versions.sql", "putting versions in order";
    /// The staged rows of the records that come, with their validity.
    VERSION_ROWS = "version_rows.sql", "reading the staged rows";
    /// The rows whose validity changes, as they will stand.
    MOVED = "moved.sql", "reading the rows whose validity changes";
    /// The rows that are marked as deleted, as they will stand.
    MARKED = "marked.sql", "reading the rows that are marked";
}

impl Engine {
    /// Room for statements: `memory_bytes` before they spill to disk, `threads` at a time.
    ///
    /// # Errors
    ///
    /// The system gives no folder for spilling.
    pub fn new(memory_bytes: usize, threads: usize, mounts: &[&Mount]) -> Result<Engine, Error> {
        let pool = TrackConsumersPool::new(
            FairSpillPool::new(memory_bytes),
            const { std::num::NonZeroUsize::MIN },
        );
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc();
        let runtime = runtime.map_err(|error| Error::Internal(Box::new(error)))?;
        Engine { runtime, threads }.with_mounts(mounts)
    }

    /// The same memory and threads, over other stores too.
    ///
    /// # Errors
    ///
    /// A store has no address.
    pub fn with_mounts(&self, mounts: &[&Mount]) -> Result<Engine, Error> {
        for mount in mounts {
            let url = Url::parse(&format!("{}/", mount.root));
            let url = url.map_err(|error| Error::Internal(Box::new(error)))?;
            self.runtime.register_object_store(&url, Arc::clone(&mount.store));
        }
        Ok(self.clone())
    }

    /// A session of another configuration, over the same memory and stores.
    pub fn context(&self, config: SessionConfig) -> SessionContext {
        SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime))
    }

    /// A session without tables.
    pub fn session(&self, about: &str) -> Session {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.threads)
            .with_batch_size(BATCH_ROWS)
            .with_information_schema(false);
        let options = config.options_mut();
        // Columns come as the files have them, and as the target's files will.
        options.execution.parquet.schema_force_view_types = false;
        options.execution.parquet.pushdown_filters = false;
        options.sql_parser.enable_ident_normalization = true;
        // Staging is the smaller side of every join, and in memory: no need to shuffle the target, nor to
        // lose the order of rows that come.
        options.optimizer.hash_join_single_partition_threshold = usize::MAX;
        options.optimizer.hash_join_single_partition_threshold_rows = usize::MAX;
        // Partitions of a join that wait for each other would wait for ever: those of rows that come are read
        // one after the other.
        options.optimizer.enable_join_dynamic_filter_pushdown = false;
        let context = SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime));
        Session { context, about: about.to_owned() }
    }
}

impl Session {
    /// Makes the rows of Parquet files a table.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub async fn add_files(
        &self,
        name: &str,
        (place, mount): (&Place, &Mount),
        schema: SchemaRef,
        files: &[&DataFile],
    ) -> Result<(), Error> {
        let failed = |source| self.failed(&format!("reading `{place}`"), source);
        if files.is_empty() {
            return self.add_batches(name, schema, Vec::new());
        }
        let urls: Vec<String> = files.iter().map(|file| mount.url(&file.key)).collect();
        let options = ParquetReadOptions::default().schema(&schema);
        let rows = self.context.read_parquet(urls, options).await.map_err(failed)?;
        self.add_table(name, rows.into_view())
    }

    /// Makes batches a table.
    ///
    /// # Errors
    ///
    /// They do not have the schema.
    pub fn add_batches(
        &self,
        name: &str,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
    ) -> Result<(), Error> {
        let table = MemTable::try_new(schema, vec![batches]);
        self.add_table(name, Arc::new(table.map_err(|source| self.failed("keeping rows", source))?))
    }

    /// Makes what a provider gives a table, in place of the one of that name.
    ///
    /// # Errors
    ///
    /// Never, unless DataFusion changes what it asks of names.
    pub fn add_table(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<(), Error> {
        let failed = |source| self.failed("naming a table", source);
        self.context.deregister_table(name).map_err(failed)?;
        self.context.register_table(name, table).map_err(failed)?;
        Ok(())
    }

    /// The rows of a statement, all at once.
    ///
    /// # Errors
    ///
    /// The statement fails.
    pub async fn collect(
        &self,
        statement: Statement,
        values: &[(&str, &str)],
    ) -> Result<(SchemaRef, Vec<RecordBatch>), Error> {
        let failed = |source| self.failed(statement.0, source);
        let rows = self.context.sql(&statement.text(values)).await.map_err(failed)?;
        // What the plan knows never to be null, a batch of it may still declare as nullable.
        let fields = rows.schema().as_arrow().fields().iter();
        let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batches = rows.collect().await.map_err(failed)?;
        Ok((schema, batches))
    }

    /// The rows of a statement in partitions, which one after the other have the order of the files.
    ///
    /// # Errors
    ///
    /// The statement cannot be planned.
    pub async fn partitions(
        &self,
        statement: Statement,
        values: &[(&str, &str)],
    ) -> Result<Vec<BoxedRows>, Error> {
        let failed = |source| self.failed(statement.0, source);
        let rows = self.context.sql(&statement.text(values)).await.map_err(failed)?;
        let partitions = rows.execute_stream_partitioned().await.map_err(failed)?;
        Ok(partitions.into_iter().map(|rows| self.rows_of(statement, rows)).collect())
    }

    /// The rows of a statement, one batch after the other.
    ///
    /// # Errors
    ///
    /// The statement cannot be planned.
    pub async fn stream(
        &self,
        statement: Statement,
        values: &[(&str, &str)],
    ) -> Result<BoxedRows, Error> {
        let failed = |source| self.failed(statement.0, source);
        let rows = self.context.sql(&statement.text(values)).await.map_err(failed)?;
        let rows = rows.execute_stream().await.map_err(failed)?;
        Ok(self.rows_of(statement, rows))
    }

    /// The rows of a statement that runs, with errors that say which one it is.
    fn rows_of(&self, statement: Statement, rows: SendableRecordBatchStream) -> BoxedRows {
        let about = self.about.clone();
        Box::pin(rows.map_err(move |source| failed(&about, statement.0, source)))
    }

    /// Checks an expression of the user over the staged rows, so that what is wrong with it is said of the
    /// option and not of a statement that the user has never seen.
    ///
    /// # Errors
    ///
    /// It cannot be understood, or names what is not there.
    pub async fn check(&self, option: &'static str, text: &str, sql: &str) -> Result<(), Error> {
        let failed =
            |source| Error::Expression { option, text: text.to_owned(), source: Box::new(source) };
        let rows = self.context.sql(&format!("SELECT {sql} FROM staged")).await.map_err(failed)?;
        rows.into_optimized_plan().map(drop).map_err(failed)
    }

    /// An error of a statement.
    pub fn failed(&self, doing: &str, source: DataFusionError) -> Error {
        failed(&self.about, doing, source)
    }
}

fn failed(about: &str, doing: &str, source: DataFusionError) -> Error {
    Error::Statement { doing: format!("table `{about}`: {doing}"), source: Box::new(source) }
}

impl Statement {
    /// A statement: what it is for, and its text with `{placeholders}`.
    pub const fn new(about: &'static str, text: &'static str) -> Statement {
        Statement(about, text)
    }

    /// The text with its placeholders filled in.
    pub fn text(self, values: &[(&str, &str)]) -> String {
        let fill = |text: String, (name, value): &(&str, &str)| {
            text.replace(&format!("{{{name}}}"), value)
        };
        values.iter().fold(self.1.to_owned(), fill)
    }
}

/// A name in SQL.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
