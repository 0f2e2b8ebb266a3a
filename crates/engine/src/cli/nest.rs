//! `engine nest`.

use clap::Args;

/// Turn tables back into the JSON records they came from
///
/// Writes one record a line, in the order in which they were read. The records are as they were, but
/// for the order of keys, the spelling of numbers and timestamps, and null, missing and {} being one.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Nest {
    /// Folder or URL of the tables
    pub(crate) curated: String,

    /// The root table
    #[arg(long, value_name = "NAME")]
    pub(crate) table: String,

    /// File or URL for the records, whole or absent [default: standard output]
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  engine nest curated/ --table orders | head -1
      the first order
  engine nest curated/ --table orders --to s3://bucket/back/orders.ndjson
      all orders into an object store";
