//! The program `engine`: reads the command line, calls the library, prints, and says by its exit
//! code how it went.
//!
//! ```text
//!   cli/ ──▶ Settings ──▶ relationalize ──▶ Report ──▶ output.rs    stdout: summary or JSON
//!                              │                  └──▶ --manifest   a file for whoever comes next
//!                              └──▶ console/   stderr: progress, log, errors
//! ```

#![expect(clippy::print_stderr, reason = "this is the program's output")]

mod allocator;
mod cli;
mod console;
mod output;
mod signals;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::{CommandFactory, Parser};
use serde_json::{Value, json};
use solder_engine::curated::Curated;
use solder_engine::readable::count;
use solder_engine::{Crew, Error, Io, Pool, Stop, nest, nest_to, new_run_id, relationalize};

use cli::{Cli, Command, Destination, Relationalize, ReportFormat};
use console::Console;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    if let Command::Relationalize(args) = &cli.command
        && args.memory() >= MUCH_MEMORY
    {
        allocator::keep_freed_memory();
    }
    let console = Arc::new(Console::new(cli.log));
    match run(cli.command, &console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.failed(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

const EXIT_USAGE: u8 = 64;
/// With so many bytes to spare, freed memory is better kept.
const MUCH_MEMORY: usize = 512 << 20;

fn run(command: Command, console: &Arc<Console>) -> Result<(), Error> {
    match command {
        Command::Relationalize(args) => run_relationalize(*args, console),
        Command::Nest(args) => run_nest(&args, console),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "engine", &mut script);
            to_stdout(&script)
        }
        Command::Tables(args) => to_stdout(args.run(&curated(&args.place)?)?.as_bytes()),
        Command::Bookmark(args) => to_stdout(args.run(&curated(args.place())?)?.as_bytes()),
    }
}

fn curated(place: &str) -> Result<Curated, Error> {
    Curated::open(Arc::new(Io::start().map_err(no_threads)?), place)
}

fn run_relationalize(mut args: Relationalize, console: &Arc<Console>) -> Result<(), Error> {
    let destination = args.reporting.destination()?;
    // The id is there before anything can fail, so that every report names it.
    let run_id = args.run_id.get_or_insert_with(new_run_id).clone();
    let outcome = args.settings().and_then(|settings| {
        console.run_started(&settings);
        let report = relationalize(&settings, &crew(args.threads(), console)?)?;
        Ok((settings, report))
    });
    let json = match &outcome {
        Ok((_, report)) => json!(report),
        Err(error) => {
            let mut object = output::failure(error);
            object.insert("run_id".to_owned(), json!(run_id));
            Value::Object(object)
        }
    };
    let json = format!("{json:#}\n");
    let printed = match (args.reporting.report, &outcome) {
        (ReportFormat::Json, _) => to_stdout(json.as_bytes()),
        (ReportFormat::Text, Ok((settings, report))) => {
            let has_threshold = settings.error_threshold.is_some();
            to_stdout(output::summary(report, &settings.output, has_threshold).as_bytes())
        }
        (ReportFormat::Text, Err(_)) => Ok(()),
    };
    // A stdout that takes nothing keeps the report from nobody else, and hides no error of the run.
    let written = destination.map_or(Ok(()), |to| write_report(&to, json, &outcome));
    match (outcome, written.and(printed)) {
        (Ok((_, report)), Ok(())) => {
            console.run_finished(&report);
            Ok(())
        }
        (Ok(_), Err(unwritten)) => Err(unwritten),
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(unwritten)) => {
            console.warn(&unwritten);
            Err(error)
        }
    }
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

/// Writes the report to the file of `--manifest`.
fn write_report<T>(
    to: &Destination,
    json: String,
    outcome: &Result<T, Error>,
) -> Result<(), Error> {
    let io = Io::start().map_err(no_threads)?;
    io.wait(to.place.write(&to.key, Bytes::from(json))).map_err(|source| Error::Report {
        address: to.place.address(&to.key),
        outcome: if outcome.is_ok() { "the run is committed" } else { "the run failed as well" },
        source,
    })
}

fn crew(num_threads: usize, console: &Arc<Console>) -> Result<Crew, Error> {
    let stop = Arc::new(Stop::default());
    signals::listen(&stop).map_err(no_threads)?;
    Ok(Crew {
        io: Arc::new(Io::start().map_err(no_threads)?),
        pool: Arc::new(Pool::start(num_threads).map_err(no_threads)?),
        progress: console.clone(),
        stop,
    })
}

fn no_threads(source: std::io::Error) -> Error {
    Error::Read { object: "the system's threads".to_owned(), source }
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
