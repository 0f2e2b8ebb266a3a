//! The command line: one file per command.

mod bookmark;
mod relationalize;
mod tables;

use clap::{Parser, Subcommand};

pub(crate) use bookmark::Bookmark;
pub(crate) use relationalize::Relationalize;
pub(crate) use tables::Tables;

/// Nested JSON to relational Parquet tables
#[derive(Debug, Parser)]
#[command(name = "engine", version, about, long_about = None, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Relationalize(Box<Relationalize>),
    Tables(Tables),
    Bookmark(Bookmark),
}

/// A report as JSON, for programs.
fn json(report: &impl serde::Serialize) -> Result<String, solder_engine::Error> {
    match serde_json::to_string_pretty(report) {
        Ok(text) => Ok(text + "\n"),
        Err(source) => Err(solder_engine::Error::Report { source }),
    }
}
