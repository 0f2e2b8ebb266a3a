//! SQL over the tables of a lake, of a curated place and of files beside them.
//!
//! ```text
//!   script ──▶ statements ──▶ plan ──▶ rows ──▶ output: table, CSV, JSON
//!              with lines      ▲         └────▶ land: a table of the lake, by the way that merges take
//!                              │
//!                          catalog: tables by name, opened when a statement names them
//!   mistake: where in the script, and the nearest right name
//! ```

mod catalog;
mod land;
mod mistake;
mod output;
mod plain;
mod script;

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use serde::Serialize;
use solder_relationalize::Io;
use solder_relationalize::clock::{Clock, Phase, Times};

use crate::error::Error;
use crate::lake::Lake;
use crate::merge::{Engine, EntityReport, Mode};

use catalog::Tables;

pub(crate) use land::ORIGIN;
pub use output::{Format, Output};
pub use script::Script;

/// Settings of `engine sql`.
#[derive(Clone, Debug, Default)]
pub struct SqlSettings {
    /// The lake whose tables have their names.
    pub lake: Option<String>,
    /// The curated place whose tables have their names.
    pub curated: Option<String>,
    /// Files beside them: a name for each.
    pub files: Vec<(String, String)>,
    /// Where the rows of the last statement go; to the output without it.
    pub into: Option<Into>,
    /// Bytes of memory, beyond which joins and sorts spill to disk.
    pub memory_bytes: usize,
    /// Pieces of work at a time.
    pub threads: usize,
}

/// The table of a lake that takes the rows of a statement.
#[derive(Clone, Debug)]
pub struct Into {
    /// The lake.
    pub lake: String,
    /// The table.
    pub table: String,
    /// How the rows come in (M2).
    pub mode: Mode,
    /// The columns that identify a row.
    pub key: Vec<String>,
    /// Names this run: rows that came with it once do not come again (M8).
    pub run_id: Option<String>,
}

/// What the last statement gave.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SqlReport {
    /// Statements of the script.
    pub num_statements: usize,
    /// Rows of the last one.
    pub num_rows: u64,
    /// What became of the table that took them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<EntityReport>,
    /// When it ran, and where its time went.
    #[serde(flatten)]
    pub times: Times,
}

/// Runs the statements of a script one after the other; the rows of the last one go to the output, or into
/// the lake.
///
/// # Errors
///
/// A place cannot be read, a statement has a mistake or fails, or the rows do not fit the table that takes
/// them. Nothing has come into the lake then.
pub fn query(
    io: &Arc<Io>,
    settings: &SqlSettings,
    script: &Script,
    output: &mut Output<'_>,
) -> Result<SqlReport, Error> {
    let clock = Clock::start();
    let tables = Tables::open(io, settings)?;
    let lake = settings.into.as_ref().map(|into| Lake::open(&into.lake)).transpose()?;
    let mut mounts = tables.mounts();
    mounts.extend(lake.as_ref().map(Lake::mount));
    let spilled = spill_folder();
    let engine = Engine::new(settings.memory_bytes, settings.threads, &mounts)?;
    let context = context(&engine, settings.threads, &tables)?;
    clock.lap(Phase::List);
    let mut report = io.wait(async {
        let statements = script.statements()?;
        let mut report = SqlReport { num_statements: statements.len(), ..SqlReport::default() };
        for (at, statement) in statements.into_iter().enumerate() {
            let rows = plan(&context, &tables, script, statement).await?;
            let is_last = at + 1 == report.num_statements;
            if let (true, Some(into), Some(lake)) = (is_last, &settings.into, &lake) {
                let places = (lake, spilled.as_path());
                let landed = land::land(&engine, places, into, rows, settings, &clock).await?;
                report.num_rows = landed.num_records;
                report.table = Some(landed);
                continue;
            }
            match is_last {
                true => report.num_rows = output::write(rows, script, output).await?,
                false => drop(rows.collect().await.map_err(|error| script.failed(error))?),
            }
            clock.lap(Phase::Query);
        }
        Ok::<_, Error>(report)
    })?;
    report.times = clock.times();
    Ok(report)
}

/// Tables by name, for other statements than those of a script.
pub(crate) struct Connection {
    /// Runs statements.
    pub(crate) context: SessionContext,
    tables: Tables,
}

/// A session over the tables that settings name.
///
/// # Errors
///
/// A place cannot be read.
pub(crate) fn connect(io: &Arc<Io>, settings: &SqlSettings) -> Result<Connection, Error> {
    let tables = Tables::open(io, settings)?;
    let engine = Engine::new(settings.memory_bytes, settings.threads, &tables.mounts())?;
    Ok(Connection { context: context(&engine, settings.threads, &tables)?, tables })
}

impl Connection {
    /// Refuses a script that names a table which is not there.
    ///
    /// # Errors
    ///
    /// It does, or it is no single statement.
    pub(crate) fn check_names(&self, script: &Script) -> Result<(), Error> {
        let statements = script.statements()?;
        let named =
            |statement| mistake::check_names(&self.context, &self.tables, script, statement);
        statements.iter().try_for_each(named).map_err(|error| script.as_a_whole(error))
    }
}

/// Where rows wait on their way into the lake.
fn spill_folder() -> PathBuf {
    std::env::temp_dir()
}

/// A session that knows the tables by their names.
fn context(engine: &Engine, threads: usize, tables: &Tables) -> Result<SessionContext, Error> {
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_default_catalog_and_schema(catalog::CATALOG, catalog::ALL)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true);
    config.options_mut().sql_parser.collect_spans = true;
    let mut context = engine.context(config);
    let functions = datafusion_functions_json::register_all(&mut context);
    functions.map_err(|error| Error::Statement {
        doing: "registering the functions over JSON".to_owned(),
        source: Box::new(error),
    })?;
    tables.register(&context, &engine.context(SessionConfig::new()));
    Ok(context)
}

/// A statement as rows that can be asked for.
async fn plan(
    context: &SessionContext,
    tables: &Tables,
    script: &Script,
    statement: script::Statement,
) -> Result<DataFrame, Error> {
    mistake::check_names(context, tables, script, &statement)?;
    let state = context.state();
    let plan = state.statement_to_plan(statement).await;
    let plan = plan.map_err(|error| script.mistake(error))?;
    // A lake is changed by commits that cannot do half of something.
    let refused = match &plan {
        LogicalPlan::Dml(_) | LogicalPlan::Copy(_) => Some(
            "statements do not write; `--into LAKE --table NAME` writes the rows of the last one",
        ),
        LogicalPlan::Ddl(DdlStatement::DropTable(_) | DdlStatement::DropView(_)) => {
            Some("statements drop nothing; what they make is gone when the script ends")
        }
        _ => None,
    };
    if let Some(why) = refused {
        return Err(script.mistake_at(None, why.to_owned()));
    }
    context.execute_logical_plan(plan).await.map_err(|error| script.mistake(error))
}
