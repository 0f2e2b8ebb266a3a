//! The command line: one file per command.

mod bookmark;
mod catalog;
mod doctor;
mod maintain;
mod merge;
mod nest;
mod relationalize;
mod reporting;
mod resources;
mod run;
mod shards;
mod sql;
mod tables;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use bookmark::Bookmark;
pub(crate) use catalog::database;
pub(crate) use doctor::Doctor;
pub(crate) use maintain::{Check, History, Optimize, Restore, Vacuum};
pub(crate) use merge::Merge;
pub(crate) use nest::Nest;
pub(crate) use relationalize::Relationalize;
pub(crate) use reporting::{Destination, ReportFormat, Reporting};
pub(crate) use resources::cores;
pub(crate) use run::{PlanFormat, Run};
pub(crate) use shards::{Commit, Plan, Shard};
pub(crate) use sql::Sql;
pub(crate) use tables::Tables;

use crate::console::LogFormat;

/// Nested JSON to relational Parquet tables, and those into Delta Lake
#[derive(Debug, Parser)]
#[command(name = "engine", version, about, long_about = None, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// What goes to stderr: text (on a terminal) or json (elsewhere)
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        hide_possible_values = true,
        global = true,
        help_heading = "Reporting"
    )]
    pub(crate) log: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<Run>),
    Relationalize(Box<Relationalize>),
    Plan(Box<Plan>),
    Shard(Shard),
    Commit(Commit),
    Merge(Box<Merge>),
    Sql(Box<Sql>),
    Nest(Nest),
    Tables(Tables),
    Bookmark(Bookmark),
    Check(Check),
    History(History),
    Optimize(Optimize),
    Restore(Restore),
    Vacuum(Vacuum),
    Doctor(Doctor),
    /// Print the JSON Schema of job files, for editors
    Schema,
    /// Write a script that completes this program's commands in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// `NAME=VALUE`.
fn param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// Whether a table is one of the root tables asked for, or below one; all are without names.
fn is_asked_for(table: &str, roots: &[String]) -> bool {
    let is_at_or_below = |root: &String| {
        let rest = table.strip_prefix(root.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("__"))
    };
    roots.is_empty() || roots.iter().any(is_at_or_below)
}

/// The error for threads that the system does not give.
pub(crate) fn no_threads(source: std::io::Error) -> solder_relationalize::Error {
    solder_relationalize::Error::Read { object: "the system's threads".to_owned(), source }
}

/// A report as JSON, for programs.
fn json(report: &impl serde::Serialize) -> Result<String, solder_relationalize::Error> {
    match serde_json::to_string_pretty(report) {
        Ok(text) => Ok(text + "\n"),
        Err(source) => Err(solder_relationalize::Error::Json { source }),
    }
}
