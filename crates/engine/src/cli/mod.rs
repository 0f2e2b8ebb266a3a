//! The command line: one file per command.

mod bookmark;
mod maintain;
mod merge;
mod nest;
mod relationalize;
mod reporting;
mod resources;
mod sql;
mod tables;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use solder_lake::{Error, JobFile};

pub(crate) use bookmark::Bookmark;
pub(crate) use maintain::{Check, History, Optimize, Restore, Vacuum};
pub(crate) use merge::Merge;
pub(crate) use nest::Nest;
pub(crate) use relationalize::Relationalize;
pub(crate) use reporting::{Destination, ReportFormat, Reporting};
pub(crate) use resources::cores;
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
    Relationalize(Box<Relationalize>),
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
    /// Write a script that completes this program's commands in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// A job file, and what messages call it.
fn job_file(path: &std::path::Path) -> Result<(String, JobFile), Error> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::JobFile { file: file.clone(), source: Box::new(source) })?;
    let job = JobFile::parse(&file, &text)?;
    Ok((file, job))
}

/// A report as JSON, for programs.
fn json(report: &impl serde::Serialize) -> Result<String, solder_relationalize::Error> {
    match serde_json::to_string_pretty(report) {
        Ok(text) => Ok(text + "\n"),
        Err(source) => Err(solder_relationalize::Error::Json { source }),
    }
}
