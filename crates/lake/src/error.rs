//! How work on a lake fails, whose fault it is, and the exit code that says so.

use datafusion::error::DataFusionError;
use deltalake_core::DeltaTableError;
use parquet::errors::ParquetError;
use solder_landing::{PlaceError, StoreFault, store_fault};

/// Work on a lake that ended early. What had been committed before stands; nothing is half visible.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The staging area.
    #[error(transparent)]
    Staging(#[from] solder_relationalize::Error),
    /// A place in a store.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// An option cannot be understood, or does not fit.
    #[error("{0}")]
    Usage(String),
    /// A job file that cannot be understood.
    #[error("the job file `{file}` cannot be understood")]
    JobFile {
        /// The file.
        file: String,
        /// What is wrong, with line and column.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The log of a Delta table.
    #[error("{action} the Delta table `{table}`")]
    Delta {
        /// `reading`, `committing to`.
        action: &'static str,
        /// The table.
        table: String,
        /// What happened.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// A data file.
    #[error("{action} `{file}`")]
    File {
        /// `reading`, `writing`.
        action: &'static str,
        /// The file.
        file: String,
        /// What happened.
        #[source]
        source: ParquetError,
    },
    /// A data file's bytes.
    #[error("reading `{file}`")]
    Fetch {
        /// The file.
        file: String,
        /// What the store says.
        #[source]
        source: Box<object_store::Error>,
    },
    /// A statement over staging or target.
    #[error("{doing}")]
    Statement {
        /// `table `orders`: finding the newest records`.
        doing: String,
        /// What happened.
        #[source]
        source: Box<DataFusionError>,
    },
    /// A statement of the user.
    #[error("{option} `{text}`")]
    Expression {
        /// The option.
        option: &'static str,
        /// What was given.
        text: String,
        /// What is wrong with it.
        #[source]
        source: Box<DataFusionError>,
    },
    /// A mistake in a statement of the user.
    #[error("{place}: {mistake}")]
    Sql {
        /// File, line and column.
        place: String,
        /// What is wrong, and what was meant perhaps.
        mistake: String,
    },
    /// A file of statements cannot be read.
    #[error("reading `{file}`")]
    Script {
        /// The file.
        file: String,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// A statement of the user that is right, and fails over the rows.
    #[error("running {script}")]
    Query {
        /// The file, or the option.
        script: String,
        /// What happened.
        #[source]
        source: Box<DataFusionError>,
    },
    /// A file that is to be a table.
    #[error("there is no file `{address}`")]
    NoFile {
        /// As given.
        address: String,
    },
    /// A text without a statement.
    #[error("{script}: there is no statement in it")]
    NoStatement {
        /// The file, or the option.
        script: String,
    },
    /// A column of a result that no table can have.
    #[error("column {number} of the result, `{name}`, cannot come into a table: {why}")]
    Column {
        /// Its place, from 1.
        number: usize,
        /// Its name.
        name: String,
        /// What is wrong with it, and what helps.
        why: String,
    },
    /// A value of a result that its column's type does not hold.
    #[error("column `{column}` for `{table}` cannot become {to}")]
    Value {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The type.
        to: String,
        /// The value.
        #[source]
        source: arrow_schema::ArrowError,
    },
    /// Rows of a result whose key does not identify them.
    #[error(
        "the rows for `{table}` have a key that is null or stands twice: {example} ({num_keys} in all); nothing was written"
    )]
    ResultKeys {
        /// The table.
        table: String,
        /// How many.
        num_keys: usize,
        /// One of them.
        example: String,
    },
    /// A column of a result whose type does not fit that of the table (M7).
    #[error(
        "column `{column}` of the result is {given}, and `{table}` has {target}: cast one to the other, or write to another table"
    )]
    ResultType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type in the table.
        target: String,
        /// Its type in the result.
        given: String,
    },
    /// Rows cannot be printed.
    #[error("writing the result")]
    Output {
        /// What happened.
        #[source]
        source: arrow_schema::ArrowError,
    },
    /// The folder for what waits on disk.
    #[error("writing to `{folder}`, where rows wait on their way into the lake")]
    Spill {
        /// The folder.
        folder: String,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// A target that cannot be merged into.
    #[error("cannot merge into `{table}`: {reason}")]
    Target {
        /// Its address.
        table: String,
        /// Why not.
        reason: String,
    },
    /// A folder that holds something else.
    #[error("`{address}` is not a Delta table: it has files, but no _delta_log")]
    NotDelta {
        /// The folder.
        address: String,
    },
    /// No table of that name.
    #[error("there is no table `{table}` in `{lake}`{hint}")]
    NoTable {
        /// As asked for.
        table: String,
        /// The lake.
        lake: String,
        /// What there is.
        hint: String,
    },
    /// A place without Delta tables.
    #[error(
        "there are no Delta tables in `{lake}`; `engine merge --staging CURATED --into {lake}` brings some"
    )]
    NoTables {
        /// The place.
        lake: String,
    },
    /// Staging without a key, and a mode that needs one.
    #[error(
        "`{entity}` has no key, which {mode} needs: declare it with `engine relationalize --key {entity}=COLUMN`, or merge with --key {entity}=COLUMN, --mode append or --mode overwrite"
    )]
    NoKey {
        /// The root table.
        entity: String,
        /// The mode.
        mode: &'static str,
    },
    /// A column that an option names is not there.
    #[error("{option}: `{table}` has no column `{column}`{hint}")]
    NoColumn {
        /// The option.
        option: &'static str,
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What there is.
        hint: String,
    },
    /// Rows of the target that share a key.
    #[error(
        "`{table}` has {num_keys} keys that stand in more than one row, the first: {example}; a merge cannot tell which row is meant"
    )]
    DuplicateKeys {
        /// The target.
        table: String,
        /// How many.
        num_keys: usize,
        /// One of them.
        example: String,
    },
    /// A change of type that would lose data (M7).
    #[error(
        "column `{column}` of `{table}` ({path}) is {target} in the lake and {staged} in staging, and neither holds the other without loss; `engine relationalize --resolve '{path}=cast:TYPE'` can bring staging to the type of the lake"
    )]
    Types {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its JSON path.
        path: String,
        /// Its type in the target.
        target: String,
        /// Its type in staging.
        staged: String,
    },
    /// A value that the wider type cannot hold after all (M7).
    #[error("column `{column}` of `{table}` cannot become {to}: {value} would change")]
    Widening {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The new type.
        to: String,
        /// The value.
        value: String,
    },
    /// Staging under the names of AWS Glue.
    #[error(
        "`{entity}` was relationalized with --naming glue, whose names and keys Delta tables and merges cannot use: relationalize it with SQL names"
    )]
    GlueNames {
        /// The entity.
        entity: String,
    },
    /// A merge of another staging area was broken off between child tables and root.
    #[error(
        "a merge of another staging area into `{root}` (run {run}) has begun and not ended; if it is not running any more, run it again, so that parents and children fit"
    )]
    HalfMerged {
        /// The root table.
        root: String,
        /// The run that it merges.
        run: String,
    },
    /// Child tables that are ahead of their root, in another mode than that which brought them there.
    #[error(
        "the child tables of `{root}` have rows of the staged run {run} that it lacks, since an append broke off: finish it with --mode append; if the root was removed by hand, remove its child tables as well"
    )]
    HalfAppended {
        /// The root table.
        root: String,
        /// The run.
        run: u64,
    },
    /// Others committed first, again and again.
    #[error("other writers committed to `{table}` {attempts} times in a row; run again")]
    Contended {
        /// The table.
        table: String,
        /// How often this was tried.
        attempts: usize,
    },
    /// The store lets writers overwrite each other.
    #[error(
        "the store of `{lake}` ignores `If-None-Match: *`: of two writers at a time, one would overwrite the commit of the other and rows would be lost; use a store with conditional writes (AWS S3, MinIO, GCS, Azure)"
    )]
    UnsafeStore {
        /// The lake.
        lake: String,
    },
    /// Expectations that do not hold.
    #[error("{num_failed} of {num_checked} checks failed, the first: {first}")]
    Check {
        /// How many failed.
        num_failed: usize,
        /// How many there were.
        num_checked: usize,
        /// The first, in words.
        first: String,
    },
    /// An entry of a job file's `checks`.
    #[error("{at}: {why}")]
    CheckSection {
        /// File and path.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// What was committed is not in a catalog, or not all of it (G5).
    #[error(
        "{committed}, but not all of its tables are registered in `{catalog}`; the next run with --catalog mends that"
    )]
    Catalog {
        /// `the run is committed`.
        committed: &'static str,
        /// The catalog.
        catalog: String,
        /// What that asks for, after sysexits.
        exit_code: u8,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing has been committed to the staging area.
    #[error("there is no entity `{entity}` in `{staging}`{hint}")]
    NoEntity {
        /// As asked for.
        entity: String,
        /// The staging area.
        staging: String,
        /// What there is.
        hint: String,
    },
    /// Something in this program went wrong.
    #[error("a part of the engine failed; this is a bug of Solder")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The exit code, after sysexits; 75 alone says that a retry can help.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Staging(error) => error.exit_code(),
            Error::Place(error) => solder_relationalize::place_code(error),
            Error::Usage(_)
            | Error::Sql { .. }
            | Error::NoStatement { .. }
            | Error::Column { .. }
            | Error::Expression { .. }
            | Error::NoColumn { .. }
            | Error::NoKey { .. } => 64,
            Error::Target { .. }
            | Error::Value { .. }
            | Error::ResultKeys { .. }
            | Error::ResultType { .. }
            | Error::NotDelta { .. }
            | Error::DuplicateKeys { .. }
            | Error::HalfAppended { .. }
            | Error::Types { .. }
            | Error::Widening { .. }
            | Error::GlueNames { .. }
            | Error::Check { .. } => 65,
            Error::Script { .. }
            | Error::NoFile { .. }
            | Error::NoTable { .. }
            | Error::NoTables { .. }
            | Error::NoEntity { .. } => 66,
            Error::HalfMerged { .. } | Error::Contended { .. } => 75,
            Error::Output { .. } => 74,
            Error::Spill { .. } => 73,
            Error::UnsafeStore { .. } | Error::JobFile { .. } | Error::CheckSection { .. } => 78,
            Error::Fetch { source, .. } => store_code(source),
            Error::Delta { source, .. } => cause_code(source.as_ref()),
            Error::File { source, .. } => cause_code(source),
            Error::Statement { source, .. } => cause_code(source.as_ref()),
            Error::Query { source, .. } => cause_code_or(source.as_ref(), 65),
            Error::Catalog { exit_code, .. } => *exit_code,
            Error::Internal(_) => 70,
        }
    }

    /// What can be done about it, where the message does not say so already.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Error::Staging(error) => error.help(),
            Error::Catalog { exit_code: 77, .. } => Some(
                "the account of this program needs glue:GetDatabase, glue:GetTable, glue:CreateTable and glue:UpdateTable; where Lake Formation governs the database, its permission to make and alter tables as well",
            ),
            _ if self.exit_code() == 77 => Some(
                "the account of this program needs access; for stores, credentials come from the environment (AWS_*, GOOGLE_*, AZURE_*) or the machine's role",
            ),
            Error::Statement { .. } | Error::Query { .. } if self.exit_code() == 69 => {
                Some("give it more with --memory")
            }
            _ if self.exit_code() == 75 => Some("the same command can succeed later: try again"),
            _ => None,
        }
    }
}

/// The exit code for whatever lies deepest in a chain of errors of other libraries.
fn cause_code(error: &(dyn std::error::Error + 'static)) -> u8 {
    cause_code_or(error, 74)
}

/// The same, with the code for what has no code of its own.
fn cause_code_or(error: &(dyn std::error::Error + 'static), otherwise: u8) -> u8 {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(store) = error.downcast_ref::<object_store::Error>() {
            return store_code(store);
        }
        if let Some(DataFusionError::ResourcesExhausted(_)) = error.downcast_ref() {
            return 69;
        }
        cause = error.source();
    }
    otherwise
}

fn store_code(error: &object_store::Error) -> u8 {
    match store_fault(error) {
        StoreFault::Denied => 77,
        StoreFault::Passing => 75,
        StoreFault::Lasting => 74,
    }
}
