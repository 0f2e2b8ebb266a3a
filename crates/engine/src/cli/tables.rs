//! `engine tables`.

use clap::{Args, ValueEnum};
use solder_relationalize::Error;
use solder_relationalize::curated::Curated;
use solder_relationalize::tables::{Catalog, athena_ddl, duckdb_ddl, mermaid, text};

/// Describe the tables of a curated place: rows, columns, keys, joins
///
/// Only committed files are described; their footers say how many values are null.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Tables {
    /// Folder or URL of the tables
    pub(crate) place: String,

    /// Only this table and those below it
    #[arg(long, value_name = "NAME")]
    table: Option<String>,

    /// What to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// The database that the statements of `--format ddl` are for
    #[arg(long, value_enum, default_value = "duckdb")]
    dialect: Dialect,
}

const EXAMPLES: &str = "\
Examples:
  engine tables curated/
      all tables as a tree, and each with its keys, joins and columns
  engine tables curated/ --format ddl | duckdb -init /dev/stdin
      a DuckDB with a view for every table
  engine tables s3://bucket/curated/ --format ddl --dialect athena
      statements that create the tables in Athena
  engine tables curated/ --table orders --format mermaid
      a diagram of orders and what hangs below it";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// Statements that create the tables in a database
    Ddl,
    /// An entity relationship diagram
    Mermaid,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dialect {
    Athena,
    Duckdb,
}

impl Tables {
    /// What to print.
    pub(crate) fn run(&self, curated: &Curated) -> Result<String, Error> {
        let catalog = Catalog::read(curated, self.table.as_deref())?;
        Ok(match (self.format, self.dialect) {
            (Format::Text, _) => text(&catalog),
            (Format::Json, _) => super::json(&catalog)?,
            (Format::Ddl, Dialect::Athena) => athena_ddl(&catalog),
            (Format::Ddl, Dialect::Duckdb) => duckdb_ddl(&catalog),
            (Format::Mermaid, _) => mermaid(&catalog),
        })
    }
}
