//! What goes to stderr: a bar and words on a terminal, JSON lines elsewhere.
//!
//! ```text
//!   engine ──▶ Progress ──▶ Console ──▶ Text   bar.rs    for people
//!                              ├──────▶ Json   lines.rs  for whoever collects logs
//!                              └──────▶ Operation        for observers: traces, lineage, task tokens
//! ```

mod bar;
mod lines;

use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use serde_json::Value;
use signal_hook::consts::SIGTERM;
use solder_lake::Error;
use solder_operate::{Host, Metrics, Operation, Schema, StepEnvironment};
use solder_relationalize::Settings;
use solder_relationalize::progress::{Event, Progress, Taken};
use solder_relationalize::readable::count;
use solder_relationalize::report::Report;

use crate::job::{JobReport, StepReport};

use bar::Bar;
use lines::Lines;

/// How the program tells of a run on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Words, with a progress bar where stderr is a terminal
    Text,
    /// One JSON object a line
    Json,
}

/// What is written to stderr, and who else is told.
pub(crate) struct Console {
    out: Out,
    operation: OnceLock<Operation>,
}

/// What is written to stderr.
enum Out {
    /// For people.
    Text(Bar),
    /// For machines.
    Json(Lines),
}

impl Console {
    /// In the format asked for; without one, words on a terminal and JSON lines elsewhere. A command with a name ends
    /// its log with a summary.
    pub(crate) fn new(format: Option<LogFormat>, command: Option<&'static str>) -> Console {
        let is_terminal = std::io::stderr().is_terminal();
        let lines = || {
            let metrics = command.and_then(|command| Metrics::wanted("engine", command));
            Out::Json(Lines::stderr(command.is_some(), metrics))
        };
        let out = match format {
            Some(LogFormat::Text) => Out::Text(Bar::new()),
            Some(LogFormat::Json) => lines(),
            None if is_terminal => Out::Text(Bar::new()),
            None => lines(),
        };
        Console { out, operation: OnceLock::new() }
    }

    /// From now on, observers are told as well.
    pub(crate) fn observe(&self, operation: Operation) {
        let _ = self.operation.set(operation);
    }

    /// What the command did, for observers.
    pub(crate) fn report(&self, report: &Value) {
        if let Some(operation) = self.operation.get() {
            operation.report(report);
        }
    }

    /// What the tables hold that the command wrote, for observers.
    pub(crate) fn schemas(&self, schemas: impl FnOnce() -> Vec<Schema>) {
        if let Some(operation) = self.operation.get() {
            operation.schemas(schemas);
        }
    }

    /// What a step of a job gets from it.
    pub(crate) fn step_environment(&self, step: &str) -> StepEnvironment {
        self.operation.get().map(|operation| operation.step(step)).unwrap_or_default()
    }

    /// A signal has come, and the program begins to end.
    pub(crate) fn stopping(&self) {
        if let Some(operation) = self.operation.get() {
            operation.stopping();
        }
    }

    /// A signal ends the program, whatever it does: tells so, and gives the exit code.
    pub(crate) fn stopped(&self, signal: i32) -> i32 {
        let (code, name) = if signal == SIGTERM { (143, "SIGTERM") } else { (130, "SIGINT") };
        let text = format!(
            "ended by {name} in the middle of its work; what is not committed does not count, and the next run does it"
        );
        match &self.out {
            Out::Text(bar) => bar.stopped(&text),
            Out::Json(lines) => lines.stopped(&text, code),
        }
        i32::from(self.end(code, Some(text)))
    }

    /// The command has ended, and observers are told. Gives the exit code, which is another one where a signal was
    /// faster.
    pub(crate) fn end(&self, exit_code: u8, error: Option<String>) -> u8 {
        self.operation.get().map_or(exit_code, |operation| operation.end(exit_code, error))
    }

    /// A run begins.
    pub(crate) fn run_started(&self, settings: &Settings) {
        if let Out::Json(lines) = &self.out {
            lines.run_started(settings);
        }
    }

    /// The run went as it should.
    pub(crate) fn run_finished(&self, report: &Report) {
        match &self.out {
            Out::Text(bar) => bar.end(),
            Out::Json(lines) => lines.run_finished(report),
        }
    }

    /// A command went as it should, and this is what it did.
    pub(crate) fn summary(&self, report: &impl serde::Serialize) {
        match &self.out {
            Out::Text(bar) => bar.end(),
            Out::Json(lines) => lines.summary(report),
        }
    }

    /// A step of a job begins.
    pub(crate) fn step_started(&self, step: &str) {
        match &self.out {
            Out::Text(_) => eprintln!("{step}: started"),
            Out::Json(lines) => lines.step_started(step),
        }
    }

    /// What a step says on its stderr: one JSON object a line.
    pub(crate) fn step_said(&self, step: &str, line: &str) {
        match (&self.out, serde_json::from_str::<Value>(line)) {
            (Out::Json(lines), Ok(said)) => lines.step_said(step, said),
            (Out::Text(_), Ok(said)) => {
                let text = match (said["message"].as_str(), said["first"].as_str()) {
                    (Some(message), _) => message.to_owned(),
                    (None, Some(first)) => format!(
                        "{} set aside, the first: {first}",
                        count(said["records"].as_u64().unwrap_or(1), "bad record")
                    ),
                    (None, None) => return,
                };
                if said["level"] == "warn" {
                    eprintln!("{step}: warning: {text}");
                }
            }
            // A panic, or the loader of the system.
            (_, Err(_)) => eprintln!("{step}: {line}"),
        }
    }

    /// A step of a job has ended.
    pub(crate) fn step_ended(&self, step: &StepReport) {
        match &self.out {
            Out::Text(_) => {
                eprintln!("{}", step.line());
                for line in step.failure_lines() {
                    eprintln!("  {line}");
                }
            }
            Out::Json(lines) => lines.step_ended(step),
        }
    }

    /// All steps of a job have ended.
    pub(crate) fn job_finished(&self, report: &JobReport) {
        if let Out::Json(lines) = &self.out {
            lines.job_finished(report);
        }
    }

    /// Something went wrong beside what the program fails with.
    pub(crate) fn warn(&self, error: &Error) {
        match &self.out {
            Out::Text(bar) => bar.failed(error),
            Out::Json(lines) => lines.warn(error),
        }
    }

    /// The program fails with this error.
    pub(crate) fn failed(&self, error: &Error) {
        match &self.out {
            Out::Text(bar) => bar.failed(error),
            Out::Json(lines) => lines.failed(error),
        }
    }
}

impl Host for Console {
    fn warn(&self, text: &str) {
        match &self.out {
            Out::Text(bar) => bar.warn(text),
            Out::Json(lines) => lines.warn_of(text),
        }
    }

    fn stop(&self) {
        // What SIGTERM does is said in one place alone.
        let _ = signal_hook::low_level::raise(SIGTERM);
    }
}

impl Progress for Console {
    fn begin(&self, entity: &str, total_bytes: u64) {
        match &self.out {
            Out::Text(bar) => bar.begin(entity, total_bytes),
            Out::Json(lines) => lines.begin(entity, total_bytes),
        }
    }

    fn add(&self, taken: Taken) {
        match &self.out {
            Out::Text(bar) => bar.add(taken),
            Out::Json(lines) => lines.add(taken),
        }
    }

    fn event(&self, event: Event<'_>) {
        match &self.out {
            Out::Text(bar) => bar.event(event),
            Out::Json(lines) => lines.event(event),
        }
    }

    fn end(&self) {
        if let Out::Text(bar) = &self.out {
            bar.end();
        }
    }
}
