//! The program `engine`: reads the command line, calls the library, prints, and says by its exit
//! code how it went.
//!
//! ```text
//!   cli/ ──▶ Settings ──▶ relationalize ──▶ Report ──▶ output.rs    stdout: summary or JSON
//!                              │   │              ├──▶ --manifest   a file for whoever comes next
//!                              │   │              └──▶ operation.rs   traces, lineage, task tokens
//!                              │   └──▶ catalog.rs     committed tables, for Athena
//!                              └──▶ console/   stderr: progress, log, errors
//!   cli/ ──▶ job/ ──▶ these commands, and those of `ingest`, as processes ──▶ JobReport
//! ```

#![expect(clippy::print_stderr, reason = "this is the program's output")]

mod catalog;
mod cli;
mod console;
mod job;
mod operation;
mod output;
mod signals;
mod system;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::{CommandFactory, Parser};
use serde_json::{Value, json};
use solder_lake::Error as Failure;
use solder_lake::merge::{MergeReport, MergeSettings, merge};
use solder_lake::sql::{Output, SqlReport, SqlSettings, query};
use solder_operate::catalog::CatalogReport;
use solder_operate::{Operation, exit_on_panic};
use solder_relationalize::curated::Curated;
use solder_relationalize::readable::count;
use solder_relationalize::report::Report;
use solder_relationalize::{
    Crew, Error, Io, PlanReport, Pool, Settings, Stop, commit, nest, nest_to, new_run_id, plan,
    relationalize, shard,
};

use catalog::{Committed, with_catalog};
use cli::{Cli, Command, Destination, Relationalize, ReportFormat, no_threads};
use console::Console;
use output::{SetAside, page};

/// The program, as its arguments say; the exit code is that of the table in `docs/engine.md`.
pub fn main() -> ExitCode {
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            if !error.use_stderr() {
                return ExitCode::SUCCESS;
            }
            let console = Arc::new(Console::new(None, None));
            Operation::refuse("engine", EXIT_USAGE, error.to_string(), console);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match &cli.command {
        Command::Relationalize(args) => use_memory(args.memory()),
        Command::Shard(args) => use_memory(args.work.memory()),
        Command::Sql(args) if args.memory() >= MUCH_MEMORY => system::keep_freed_memory(),
        Command::Sql(_) => {}
        _ => system::use_small_pages(),
    }
    let name = operation::name(&cli.command);
    operation::name_run(&mut cli.command);
    let console = Arc::new(Console::new(cli.log, name));
    if let Some(name) = name {
        let subject = || operation::subject(name, &cli.command);
        console.observe(Operation::begin(subject, console.clone()));
    }
    exit_on_panic({
        let console = console.clone();
        move || console.end(EXIT_BUG, None)
    });
    let (code, error) = match run(cli.command, &console) {
        Ok(code) => (code, None),
        Err(error) => {
            console.failed(&error);
            (error.exit_code(), Some(output::told(&error)))
        }
    };
    ExitCode::from(console.end(code, error))
}

const EXIT_USAGE: u8 = 64;
const EXIT_BUG: u8 = 70;
/// With so many bytes to spare, freed memory is better kept.
const MUCH_MEMORY: usize = 512 << 20;

/// Much memory is there for speed. Little of it is little: nothing that is free counts.
fn use_memory(bytes: usize) {
    if bytes >= MUCH_MEMORY {
        system::keep_freed_memory();
    } else {
        system::return_freed_memory();
        system::use_small_pages();
    }
}

fn run(command: Command, console: &Arc<Console>) -> Result<u8, Failure> {
    let done = match command {
        // Its steps tell how they failed; the exit code is theirs.
        Command::Run(args) => return run_job(&args, console),
        Command::Doctor(args) => return run_doctor(&args, console),
        Command::Schema => Ok(to_stdout(format!("{:#}\n", job::schema()).as_bytes())?),
        Command::Relationalize(args) => run_relationalize(*args, console),
        Command::Plan(args) => run_plan(*args, console),
        Command::Shard(args) => run_shard(&args, console),
        Command::Commit(args) => run_commit(&args, console),
        Command::Merge(args) => run_merge(&args, console),
        Command::Sql(args) => run_sql(&args, console),
        Command::Nest(args) => Ok(run_nest(&args, console)?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "engine", &mut script);
            Ok(to_stdout(&script)?)
        }
        Command::Tables(args) => Ok(to_stdout(args.run(&curated(&args.place)?)?.as_bytes())?),
        Command::History(args) => Ok(to_stdout(args.run(&maintaining(console)?)?.as_bytes())?),
        Command::Restore(args) => maintained(args.run(&maintaining(console)?)?, console),
        Command::Optimize(args) => maintained(args.run(&maintaining(console)?)?, console),
        Command::Vacuum(args) => maintained(args.run(&maintaining(console)?)?, console),
        Command::Check(args) => {
            let (text, report) = args.run(&Arc::new(maintaining(console)?))?;
            to_stdout(text.as_bytes())?;
            console.report(&json!(report));
            report.outcome().inspect(|()| console.summary(&report))
        }
        Command::Bookmark(args) => Ok(to_stdout(args.run(&curated(args.place())?)?.as_bytes())?),
    };
    done.map(|()| 0)
}

/// What commands over a lake run on; every step of theirs is one commit, so that they can end anywhere.
fn maintaining(console: &Arc<Console>) -> Result<Io, Failure> {
    signals::end_at_once(console).map_err(no_threads)?;
    Ok(Io::start_with(cli::cores()).map_err(no_threads)?)
}

/// Prints what a command has done to a lake.
fn maintained(text: String, console: &Console) -> Result<(), Failure> {
    to_stdout(text.as_bytes())?;
    console.summary(&json!({}));
    Ok(())
}

fn curated(place: &str) -> Result<Curated, Error> {
    Curated::open(Arc::new(Io::start().map_err(no_threads)?), place)
}

fn run_relationalize(mut args: Relationalize, console: &Arc<Console>) -> Result<(), Failure> {
    let destinations = Destinations::of(&args.reporting)?;
    // The id is there before anything can fail, so that every report names it.
    let run_id = args.run_id.get_or_insert_with(new_run_id).clone();
    let outcome = args.settings().map_err(Failure::from).and_then(|settings| {
        let database = args.database()?;
        console.run_started(&settings);
        let crew = crew(args.threads(), console)?;
        let report = relationalize(&settings, &crew)?;
        console.schemas(|| operation::schemas(&report.tables));
        let register = |database| catalog::register_curated(&crew.io, &database, &settings.output);
        let registered = database.map(register);
        Ok((settings, report, registered))
    });
    let json = match &outcome {
        Ok((_, report, registered)) => with_catalog(json!(report), registered.as_ref()),
        Err(error) => failure_of(&run_id, error),
    };
    let text = |(settings, report, registered): &(Settings, Report, Option<CatalogReport>)| {
        output::summary(report, &settings.output, settings.error_threshold.is_some())
            + &output::registered(registered.as_ref())
    };
    let (_, report, registered) =
        tell(&args.reporting, destinations, outcome, &json, text, console)?;
    catalog::outcome(registered, Committed::Run)?;
    console.run_finished(&report);
    Ok(())
}

fn run_plan(mut args: cli::Plan, console: &Arc<Console>) -> Result<(), Failure> {
    let sharding = args.sharding();
    let run_id = args.relationalize.run_id.get_or_insert_with(new_run_id).clone();
    let settings = args.settings();
    let args = &args.relationalize;
    let destinations = Destinations::of(&args.reporting)?;
    let outcome = settings.map_err(Failure::from).and_then(|settings| {
        let report = plan(&settings, &crew(1, console)?, sharding)?;
        Ok((settings, report))
    });
    let json = match &outcome {
        Ok((_, report)) => json!(report),
        Err(error) => failure_of(&run_id, error),
    };
    let text =
        |(settings, report): &(Settings, PlanReport)| output::planned(report, &settings.output);
    let (_, report) = tell(&args.reporting, destinations, outcome, &json, text, console)?;
    console.summary(&report);
    Ok(())
}

fn run_shard(args: &cli::Shard, console: &Arc<Console>) -> Result<(), Failure> {
    let destinations = Destinations::of(&args.reporting)?;
    let outcome = args.number().map_err(Failure::from).and_then(|number| {
        let crew = crew(args.work.threads(), console)?;
        Ok(shard(&args.curated, &args.run_id, number, args.work.resources(), &crew)?)
    });
    let json = match &outcome {
        Ok(report) => json!(report),
        Err(error) => failure_of(&args.run_id, error),
    };
    let report = tell(&args.reporting, destinations, outcome, &json, output::shard, console)?;
    console.summary(&report);
    Ok(())
}

fn run_commit(args: &cli::Commit, console: &Arc<Console>) -> Result<(), Failure> {
    let destinations = Destinations::of(&args.reporting)?;
    let outcome = crew(args.work.threads(), console).and_then(|crew| {
        let database = args.catalog.database(&args.curated)?;
        let report = commit(&args.curated, &args.run_id, args.work.resources(), &crew)?;
        console.schemas(|| operation::schemas(&report.tables));
        let register = |database| catalog::register_curated(&crew.io, &database, &args.curated);
        Ok((report, database.map(register)))
    });
    let outcome = outcome.map_err(Failure::from);
    let json = match &outcome {
        Ok((report, registered)) => with_catalog(json!(report), registered.as_ref()),
        Err(error) => failure_of(&args.run_id, error),
    };
    let text = |(report, registered): &(Report, Option<CatalogReport>)| {
        output::summary(report, &args.curated, true) + &output::registered(registered.as_ref())
    };
    let (report, registered) = tell(&args.reporting, destinations, outcome, &json, text, console)?;
    catalog::outcome(registered, Committed::Run)?;
    console.run_finished(&report);
    Ok(())
}

/// The report of a run that failed.
fn failure_of(run_id: &str, error: &Failure) -> Value {
    let mut object = output::failure(error);
    object.insert("run_id".to_owned(), json!(run_id));
    Value::Object(object)
}

fn run_merge(args: &cli::Merge, console: &Arc<Console>) -> Result<(), Failure> {
    let destinations = Destinations::of(&args.reporting)?;
    let outcome = args.settings().and_then(|(settings, database)| {
        let io = Arc::new(Io::start_with(settings.threads).map_err(no_threads)?);
        signals::end_at_once(console).map_err(no_threads)?;
        let report = merge(&io, &settings)?;
        console.schemas(|| operation::merged_schemas(&report.entities));
        let register =
            |database| catalog::register_lake(&io, &database, &settings.lake, &report.entities);
        let registered = database.filter(|_| !report.dry_run).map(register);
        Ok((settings, report, registered))
    });
    let json = match &outcome {
        Ok((_, report, registered)) => with_catalog(json!(report), registered.as_ref()),
        Err(error) => Value::Object(output::failure(error)),
    };
    let text =
        |(settings, report, registered): &(MergeSettings, MergeReport, Option<CatalogReport>)| {
            output::merged(report, &settings.lake) + &output::registered(registered.as_ref())
        };
    let (_, report, registered) =
        tell(&args.reporting, destinations, outcome, &json, text, console)?;
    console.summary(&report);
    catalog::outcome(registered, Committed::Merge)
}

fn run_sql(args: &cli::Sql, console: &Arc<Console>) -> Result<(), Failure> {
    let destinations = Destinations::of(&args.reporting)?;
    let outcome = args.settings().and_then(|settings| {
        let script = args.script()?;
        let io = Arc::new(Io::start_with(settings.threads).map_err(no_threads)?);
        signals::end_at_once(console).map_err(no_threads)?;
        let mut stdout = std::io::stdout();
        let report = query(&io, &settings, &script, &mut Output::new(args.format(), &mut stdout))?;
        console.schemas(|| operation::merged_schemas(report.table.as_slice()));
        let registered = args.database()?.zip(settings.into.as_ref()).map(|(database, into)| {
            catalog::register_lake(&io, &database, &into.lake, report.table.as_slice())
        });
        Ok((settings, report, registered))
    });
    let json = match &outcome {
        Ok((_, report, registered)) => with_catalog(json!(report), registered.as_ref()),
        Err(error) => Value::Object(output::failure(error)),
    };
    // Where the rows are the result, they are all that stdout gets.
    let text =
        |(settings, report, registered): &(SqlSettings, SqlReport, Option<CatalogReport>)| {
            match &settings.into {
                Some(into) => {
                    output::landed(report, &into.lake) + &output::registered(registered.as_ref())
                }
                None => String::new(),
            }
        };
    let (_, report, registered) =
        tell(&args.reporting, destinations, outcome, &json, text, console)?;
    console.summary(&report);
    catalog::outcome(registered, Committed::Rows { is_repeatable: args.is_repeatable() })
}

fn run_job(args: &cli::Run, console: &Arc<Console>) -> Result<u8, Failure> {
    let destinations = Destinations::of(&args.reporting)?;
    let planned = job::Job::read(&args.job, &args.params).and_then(|job| {
        let steps = job::select(job::steps(&job)?, &args.only, args.from.as_deref())?;
        Ok((job, steps))
    });
    if let (Some(format), Ok((_, steps))) = (args.plan, &planned) {
        to_stdout(job::plan_text(steps, format).as_bytes())?;
        return Ok(0);
    }
    let outcome = planned.and_then(|(job, steps)| {
        let run_id = args.run_id.clone().unwrap_or_else(new_run_id);
        let (parallel, chosen_by) = (args.parallel(), args.chosen_by());
        let settings = job::RunSettings { run_id, parallel, chosen_by };
        Ok(job::run(&job, &steps, &settings, console).map_err(no_threads)?)
    });
    let json = match &outcome {
        Ok(report) => json!(report),
        Err(error) => Value::Object(output::failure(error)),
    };
    let report = tell(&args.reporting, destinations, outcome, &json, job::summary, console)?;
    console.job_finished(&report);
    Ok(report.exit_code)
}

fn run_doctor(args: &cli::Doctor, console: &Arc<Console>) -> Result<u8, Failure> {
    signals::end_at_once(console).map_err(no_threads)?;
    let (text, exit_code) = args.run()?;
    to_stdout(text.as_bytes())?;
    Ok(exit_code)
}

/// Where a report goes beside stdout; known before the run, so that a mistake in it is no late one.
struct Destinations {
    manifest: Option<Destination>,
    pages: Vec<Destination>,
}

impl Destinations {
    fn of(reporting: &cli::Reporting) -> Result<Destinations, Failure> {
        Ok(Destinations { manifest: reporting.destination()?, pages: reporting.pages()? })
    }
}

/// Tells on stdout, in the file of `--manifest` and on pages how a run went; then returns it.
fn tell<T>(
    reporting: &cli::Reporting,
    destinations: Destinations,
    outcome: Result<T, Failure>,
    json: &Value,
    text: impl FnOnce(&T) -> String,
    console: &Console,
) -> Result<T, Failure> {
    console.report(json);
    let object = format!("{json:#}\n");
    let printed = match (reporting.format(), &outcome) {
        (ReportFormat::Json, _) => to_stdout(object.as_bytes()),
        (ReportFormat::Text, Ok(done)) => to_stdout(text(done).as_bytes()),
        (ReportFormat::Text, Err(_)) => Ok(()),
    };
    // A stdout that takes nothing keeps the report from nobody else, and hides no error of the run.
    let mut written =
        destinations.manifest.map_or(Ok(()), |to| write_report(&to, object, &outcome));
    for to in &destinations.pages {
        let page = page_of(json, reporting.masks_values());
        written = written.and(page.and_then(|page| write_report(to, page, &outcome)));
    }
    match (outcome, written.and(printed)) {
        (Ok(done), Ok(())) => Ok(done),
        (Ok(_), Err(unwritten)) => Err(unwritten.into()),
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(unwritten)) => {
            console.warn(&unwritten.into());
            Err(error)
        }
    }
}

/// The report as a page, with the first of the records that were set aside.
fn page_of(report: &Value, masks: bool) -> Result<String, Error> {
    let io = Io::start().map_err(no_threads)?;
    Ok(page(report, &SetAside::read(&io, report, masks)))
}

/// Rebuilds the records of a root table, on stdout or in a file.
fn run_nest(args: &cli::Nest, console: &Arc<Console>) -> Result<(), Error> {
    let crew = crew(1, console)?;
    if let Some(to) = &args.to {
        let num_records = nest_to(&args.curated, &args.table, &crew, to)?;
        return to_stdout(format!("{} in {to}\n", count(num_records, "record")).as_bytes());
    }
    match nest(&args.curated, &args.table, &crew, "standard output", &mut std::io::stdout()) {
        // Who reads has seen enough.
        Err(Error::Write { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => {
            Ok(())
        }
        result => result.map(drop),
    }
}

/// Writes the report, as an object or a page, to a file.
fn write_report<T>(
    to: &Destination,
    text: String,
    outcome: &Result<T, Failure>,
) -> Result<(), Error> {
    let io = Io::start().map_err(no_threads)?;
    io.wait(to.place.write(&to.key, Bytes::from(text))).map_err(|source| Error::Report {
        address: to.place.address(&to.key),
        outcome: if outcome.is_ok() { "the run is committed" } else { "the run failed as well" },
        source,
    })
}

fn crew(num_threads: usize, console: &Arc<Console>) -> Result<Crew, Error> {
    let stop = Arc::new(Stop::default());
    signals::listen(&stop, console).map_err(no_threads)?;
    Ok(Crew {
        io: Arc::new(Io::start().map_err(no_threads)?),
        pool: Arc::new(Pool::start(num_threads).map_err(no_threads)?),
        progress: console.clone(),
        stop,
    })
}

/// Prints to stdout. A reader may have seen enough before the end, as `head` has.
fn to_stdout(bytes: &[u8]) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::Write { key: "standard output".to_owned(), source: error })
        }
        _ => Ok(()),
    }
}
