//! The program `ingest`: reads the command line, calls the library, prints, and says by its exit code how
//! it went.
//!
//! ```text
//!   cli.rs ──▶ source ──▶ run ──▶ Report ──▶ output.rs     stdout: summary or JSON
//!                          │         └──▶ --manifest         a file for whoever comes next
//!                          └──▶ console.rs                   stderr: progress, log, errors; observers
//!   lambda.rs ──▶ the same for AWS Lambda: an event in, the report out
//! ```

mod cli;
mod console;
mod event;
mod expected;
mod lambda;
mod output;
mod signals;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::doctor::Consultation;
use crate::report::Report;
use crate::source::plan::Source;
use crate::{
    Compression, Error, Reach, Redactor, RunSettings, StopSignal, new_run_id, pour, probe, source,
};
use bytes::Bytes;
use clap::{CommandFactory, Parser};
use serde_json::json;
use solder_landing::raw::StreamLog;
use solder_landing::{Place, PlaceError};
use solder_operate::doctor::Examination;
use solder_operate::{Operation, Subject, exit_on_panic};

use cli::{Cli, Command, LogFormat, Of, Plan, ReportFormat, Run, Test};
use console::{Console, failure};

const EXIT_USAGE: u8 = 64;
const EXIT_BUG: u8 = 70;
/// The command that observers are told of.
const RUN: &str = "run";
/// How the ids of runs begin that land recorded answers.
const TEST_RUN: &str = "test-";
const TEST_PART_BYTES: u64 = 128 << 20;

/// The program, as its arguments say; the exit code is that of the table in `docs/ingest.md`.
pub fn main() -> ExitCode {
    if lambda::is_host() {
        let console = Arc::new(Console::new(Some(LogFormat::Json), None));
        end_on_panic(&console);
        let outcome = executor().and_then(|it| it.block_on(lambda::serve(&console)));
        return ended(&outcome, &console);
    }
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            if !error.use_stderr() {
                return ExitCode::SUCCESS;
            }
            let console = Arc::new(Console::new(None, None));
            Operation::refuse("ingest", EXIT_USAGE, error.to_string(), console);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let console = match &mut cli.command {
        // A run whose result is on stdout lands nothing that anybody would be told of.
        Command::Run(args) if !args.stdout => {
            let console = Arc::new(Console::new(cli.log, Some(RUN)));
            observe(args, &console);
            console
        }
        _ => Arc::new(Console::new(cli.log, None)),
    };
    end_on_panic(&console);
    let outcome = executor().and_then(|it| it.block_on(command(cli.command, &console)));
    ended(&outcome, &console)
}

fn executor() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Output)
}

fn end_on_panic(console: &Arc<Console>) {
    let console = console.clone();
    exit_on_panic(move || console.end(EXIT_BUG, None));
}

fn ended(outcome: &Result<(), Error>, console: &Console) -> ExitCode {
    if let Err(error) = outcome {
        console.failed(error);
    }
    let code = outcome.as_ref().map_or_else(Error::exit_code, |()| 0);
    ExitCode::from(console.end(code, outcome.as_ref().err()))
}

/// Lets observers know of a run. Its id is there before anything can fail, so that they know it.
fn observe(args: &mut Run, console: &Arc<Console>) {
    args.run_id.get_or_insert_with(|| new_run_id(jiff::Timestamp::now()));
    console.observe(Operation::begin(|| subject(args), console.clone()));
}

/// What observers are told of a run.
fn subject(args: &Run) -> Subject {
    let source = args.of.source.file_stem().unwrap_or_default();
    Subject {
        program: "ingest",
        command: RUN,
        name: source.to_string_lossy().into_owned(),
        run_id: args.run_id.clone(),
        inputs: Vec::new(),
        outputs: args.to.iter().cloned().collect(),
        manifest: args.manifest.clone(),
    }
}

async fn command(command: Command, console: &Arc<Console>) -> Result<(), Error> {
    match command {
        Command::Check(of) => check(&of, console).await,
        Command::Doctor(args) => doctor(&args).await,
        Command::Plan(args) => plan(&args, console).await,
        Command::Run(args) if args.stdout => run_to_stdout(&args, console).await,
        Command::Run(args) => run(&args, console).await,
        Command::Test(args) => {
            let source = source::read(&args.of.source, &args.of.params)?;
            to_stdout(expected::test(&source, &args).await?.as_bytes())?;
            match &args.to {
                Some(to) => land_test(&source, &args, to, console).await,
                None => Ok(()),
            }
        }
        Command::Schema { markdown: true } => to_stdout(source::reference().as_bytes()),
        Command::Schema { markdown: false } => {
            to_stdout(format!("{:#}\n", source::schema()).as_bytes())
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ingest", &mut script);
            to_stdout(&script)
        }
    }
}

/// The source and the streams asked for.
fn read(of: &Of) -> Result<(Source, Vec<usize>), Error> {
    let source = source::read(&of.source, &of.params)?;
    let streams = source::select(&source, &of.source, &of.streams)?;
    Ok((source, streams))
}

fn folder(of: &Of) -> &std::path::Path {
    of.source.parent().unwrap_or(std::path::Path::new(""))
}

async fn check(of: &Of, console: &Console) -> Result<(), Error> {
    let (mut source, streams) = read(of)?;
    // People wait for this; a run has more patience.
    source.connection.retry = source.connection.retry.brief();
    let reach = Reach::live(&source.connection, folder(of))?;
    console.redact_with(reach.redactor());
    source.warnings.iter().for_each(|warning| console.warn(warning));
    for position in streams {
        let checked = probe::check(&source, &reach, position).await?;
        let text = output::checked(&[checked]);
        to_stdout(reach.redactor().clean(&text).as_bytes())?;
    }
    Ok(())
}

async fn doctor(args: &cli::Doctor) -> Result<(), Error> {
    let source = match &args.source {
        None => None,
        Some(file) => {
            let mut source = source::read(file, &args.params)?;
            source.connection.retry = source.connection.retry.brief();
            let streams = source::select(&source, file, &args.streams)?;
            Some((source, streams))
        }
    };
    let folder = args.source.as_deref().and_then(std::path::Path::parent);
    let consultation = Consultation {
        source: source.as_ref().map(|(source, streams)| (source, streams.clone())),
        folder: folder.unwrap_or(std::path::Path::new("")),
        secrets: args.secrets.clone(),
        to: args.to.as_deref(),
    };
    let examination = Examination::of(crate::doctor::doctor(&consultation).await);
    let text = match args.report {
        ReportFormat::Text => examination.text(),
        ReportFormat::Json => format!("{:#}\n", json!(examination)),
    };
    to_stdout(text.as_bytes())?;
    let Examination { num_failed, num_checks, exit_code, .. } = examination;
    match num_failed {
        0 => Ok(()),
        _ => Err(Error::Unfit { num_failed, num_checks, exit_code }),
    }
}

async fn plan(args: &Plan, console: &Console) -> Result<(), Error> {
    let (source, streams) = read(&args.of)?;
    source.warnings.iter().for_each(|warning| console.warn(warning));
    let reach = Reach::nowhere(&source.connection)?;
    let place = args.to.as_deref().map(Place::parse).transpose()?;
    let mut planned = Vec::new();
    for position in streams {
        planned.push(probe::plan(&source, &reach, position, place.as_ref()).await?);
    }
    to_stdout(output::planned(&planned, &source.connection.auth.shown()).as_bytes())
}

async fn run_to_stdout(args: &Run, console: &Arc<Console>) -> Result<(), Error> {
    let (source, streams) = read(&args.of)?;
    let only = Run::only(&streams)?;
    let reach = reach(&source, args)?;
    console.redact_with(reach.redactor());
    let stop = signals::listen(console).map_err(Error::Output)?;
    let out = Box::new(std::io::stdout());
    pour(&source, &reach, only, out, console.clone(), stop).await?;
    console.done();
    Ok(())
}

fn reach(source: &Source, args: &Run) -> Result<Reach, Error> {
    let folder = folder(&args.of);
    match &args.record {
        None => Reach::live(&source.connection, folder),
        Some(recorded) => {
            Reach::recording(&source.connection, folder, recorded, jiff::Timestamp::now())
        }
    }
}

async fn run(args: &Run, console: &Arc<Console>) -> Result<(), Error> {
    let stop = signals::listen(console).map_err(Error::Output)?;
    let ran = perform(args, Limits::of(args), console, stop).await?;
    let text = match args.report {
        ReportFormat::Text => output::summary(&ran.report, args.place()),
        ReportFormat::Json => format!("{:#}\n", ran.json),
    };
    // A stdout that takes nothing keeps the report from nobody else, and hides no error of the run.
    let printed = to_stdout(ran.redactor.clean(&text).as_bytes());
    ran.write_manifest(console).await?;
    ran.outcome.and(printed)?;
    console.done();
    Ok(())
}

/// How long a run goes on.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Then it ends at the next place where it can.
    stop_after: Option<Duration>,
    /// Then it ends anyway.
    give_up_after: Option<Duration>,
}

impl Limits {
    fn of(args: &Run) -> Self {
        Self { stop_after: args.stop_after, give_up_after: None }
    }
}

/// A run that has ended, well or not.
struct Ran {
    report: Report,
    outcome: Result<(), Error>,
    /// The report for machines, with the error.
    json: serde_json::Value,
    redactor: Redactor,
    destination: Option<(Place, String)>,
}

impl Ran {
    /// Writes the report where `--manifest` says. That this fails hides no error of the run.
    async fn write_manifest(&self, console: &Console) -> Result<(), Error> {
        let Some((place, key)) = &self.destination else { return Ok(()) };
        let json = format!("{:#}\n", self.json);
        let written = place.write(key, Bytes::from(self.redactor.clean(&json).into_owned())).await;
        if let Err(error) = written {
            console.warn(&format!("the report could not be written: {error}"));
            if self.outcome.is_ok() {
                return Err(error.into());
            }
        }
        Ok(())
    }
}

/// Reads the streams of a source and lands their records.
///
/// # Errors
///
/// There is no run: the source, the place or an option is wrong. How a run ends stands in what it gives.
async fn perform(
    args: &Run,
    limits: Limits,
    console: &Arc<Console>,
    stop: StopSignal,
) -> Result<Ran, Error> {
    let (source, streams) = read(&args.of)?;
    let place = Place::parse(args.place())?;
    let destination = args.manifest.as_deref().map(destination).transpose()?;
    let reach = reach(&source, args)?;
    console.redact_with(reach.redactor());
    let settings = RunSettings {
        run_id: args.run_id.clone().unwrap_or_else(|| new_run_id(jiff::Timestamp::now())),
        place,
        streams,
        compression: args.compression(),
        part_bytes: args.part_bytes(),
        part_age: args.part_age(),
        is_full: args.full,
        stop_after: limits.stop_after,
        give_up_after: limits.give_up_after,
    };
    check_run_id(&source, &settings.run_id)?;
    console.run_started(&source.name, &settings.run_id);
    let (report, outcome) = crate::run(&source, &reach, &settings, console.clone(), stop).await;
    let json = report_json(&report, &outcome);
    console.report(&json);
    Ok(Ran { report, outcome, json, redactor: reach.redactor().clone(), destination })
}

/// Lands what the recorded answers give. Each test replaces the one before: nothing else may be there.
async fn land_test(
    source: &Source,
    args: &Test,
    to: &str,
    console: &Arc<Console>,
) -> Result<(), Error> {
    let streams = source::select(source, &args.of.source, &args.of.streams)?;
    let place = Place::parse(to)?;
    for position in &streams {
        let log = StreamLog::new(&place, &source.streams[*position].name);
        let head = log.head().await?;
        let newest = log.manifest(head.sequence).await?;
        if newest.is_some_and(|manifest| !manifest.run_id.starts_with(TEST_RUN)) {
            return Err(Error::Option(format!(
                "`{to}` holds what a run has landed of stream `{}`: a test needs a place of its own",
                log.name().stream()
            )));
        }
    }
    let reach = Reach::replay(&source.connection, &args.recorded)?;
    let settings = RunSettings {
        run_id: format!("{TEST_RUN}{}", new_run_id(jiff::Timestamp::now())),
        place,
        streams,
        compression: Compression::Zstd,
        part_bytes: TEST_PART_BYTES,
        part_age: Duration::MAX,
        is_full: true,
        stop_after: None,
        give_up_after: None,
    };
    let stop = signals::listen(console).map_err(Error::Output)?;
    let (report, outcome) = crate::run(source, &reach, &settings, console.clone(), stop).await;
    outcome.and(to_stdout(output::summary(&report, to).as_bytes()))
}

/// An id that cannot be part of a key is an error of usage, before there is a run.
fn check_run_id(source: &Source, run_id: &str) -> Result<(), Error> {
    for stream in &source.streams {
        stream.name.data_folder("", run_id).map_err(|error| Error::Option(error.to_string()))?;
    }
    Ok(())
}

fn report_json(report: &Report, outcome: &Result<(), Error>) -> serde_json::Value {
    let mut json = json!(report);
    if let (Some(object), Err(error)) = (json.as_object_mut(), outcome)
        && let serde_json::Value::Object(fields) = failure(error)
    {
        object.extend(fields);
    }
    json
}

/// The place and key of a file or URL.
fn destination(text: &str) -> Result<(Place, String), PlaceError> {
    Place::parse_object(text)
}

/// Prints to stdout. A reader may have seen enough before the end, as `head` has.
fn to_stdout(bytes: &[u8]) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}
