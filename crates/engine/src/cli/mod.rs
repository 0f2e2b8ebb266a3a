//! The command line: one file per command.

mod relationalize;
mod reporting;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use relationalize::Relationalize;
pub(crate) use reporting::{Destination, ReportFormat};

use crate::console::LogFormat;

/// Nested JSON to relational Parquet tables
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
    /// Write a script that completes this program's commands in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}
