//! What goes to stderr: a bar and words on a terminal, JSON lines elsewhere.
//!
//! ```text
//!   engine ──▶ Progress ──▶ Console ──▶ Text   bar.rs    for people
//!                              └──────▶ Json   lines.rs  for whoever collects logs
//! ```

mod bar;
mod lines;

use std::io::IsTerminal;

use clap::ValueEnum;
use serde_json::Value;
use solder_lake::Error;
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

/// What is written to stderr.
pub(crate) enum Console {
    /// For people.
    Text(Bar),
    /// For machines.
    Json(Lines),
}

impl Console {
    /// In the format asked for; without one, words on a terminal and JSON lines elsewhere.
    pub(crate) fn new(format: Option<LogFormat>) -> Console {
        let is_terminal = std::io::stderr().is_terminal();
        match format {
            Some(LogFormat::Text) => Console::Text(Bar::new()),
            Some(LogFormat::Json) => Console::Json(Lines::stderr()),
            None if is_terminal => Console::Text(Bar::new()),
            None => Console::Json(Lines::stderr()),
        }
    }

    /// A run begins.
    pub(crate) fn run_started(&self, settings: &Settings) {
        if let Console::Json(lines) = self {
            lines.run_started(settings);
        }
    }

    /// The run went as it should.
    pub(crate) fn run_finished(&self, report: &Report) {
        match self {
            Console::Text(bar) => bar.end(),
            Console::Json(lines) => lines.run_finished(report),
        }
    }

    /// A command went as it should, and this is what it did.
    pub(crate) fn summary(&self, report: &impl serde::Serialize) {
        match self {
            Console::Text(bar) => bar.end(),
            Console::Json(lines) => lines.summary(report),
        }
    }

    /// A step of a job begins.
    pub(crate) fn step_started(&self, step: &str) {
        match self {
            Console::Text(_) => eprintln!("{step}: started"),
            Console::Json(lines) => lines.step_started(step),
        }
    }

    /// What a step says on its stderr: one JSON object a line.
    pub(crate) fn step_said(&self, step: &str, line: &str) {
        match (self, serde_json::from_str::<Value>(line)) {
            (Console::Json(lines), Ok(said)) => lines.step_said(step, said),
            (Console::Text(_), Ok(said)) => {
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
        match self {
            Console::Text(_) => {
                eprintln!("{}", step.line());
                for line in step.failure_lines() {
                    eprintln!("  {line}");
                }
            }
            Console::Json(lines) => lines.step_ended(step),
        }
    }

    /// All steps of a job have ended.
    pub(crate) fn job_finished(&self, report: &JobReport) {
        if let Console::Json(lines) = self {
            lines.job_finished(report);
        }
    }

    /// Something went wrong beside what the program fails with.
    pub(crate) fn warn(&self, error: &Error) {
        match self {
            Console::Text(bar) => bar.failed(error),
            Console::Json(lines) => lines.warn(error),
        }
    }

    /// The program fails with this error.
    pub(crate) fn failed(&self, error: &Error) {
        match self {
            Console::Text(bar) => bar.failed(error),
            Console::Json(lines) => lines.failed(error),
        }
    }
}

impl Progress for Console {
    fn begin(&self, entity: &str, total_bytes: u64) {
        match self {
            Console::Text(bar) => bar.begin(entity, total_bytes),
            Console::Json(lines) => lines.begin(entity, total_bytes),
        }
    }

    fn add(&self, taken: Taken) {
        match self {
            Console::Text(bar) => bar.add(taken),
            Console::Json(lines) => lines.add(taken),
        }
    }

    fn event(&self, event: Event<'_>) {
        match self {
            Console::Text(bar) => bar.event(event),
            Console::Json(lines) => lines.event(event),
        }
    }

    fn end(&self) {
        if let Console::Text(bar) = self {
            bar.end();
        }
    }
}
