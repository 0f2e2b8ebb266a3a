//! The command line: one file per command.

mod nest;
mod relationalize;

use clap::{Parser, Subcommand};

pub(crate) use nest::Nest;
pub(crate) use relationalize::Relationalize;

/// Nested JSON to relational Parquet tables
#[derive(Debug, Parser)]
#[command(name = "engine", version, about, long_about = None, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Relationalize(Relationalize),
    Nest(Nest),
}
