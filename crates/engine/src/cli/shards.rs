//! `engine plan`, `engine shard` and `engine commit`: one run by many processes.

use clap::Args;
use solder_relationalize::{Error, Resources, Settings, Sharding};

use super::catalog::CatalogArg;
use super::relationalize::Relationalize;
use super::reporting::Reporting;
use super::resources::{cores, default_memory, size};

/// Cut the input of a run into shards, for many machines
///
/// Says what each shard reads, and reads nothing itself. Then `engine shard` reads each of them, anywhere and in any
/// order, and `engine commit` makes the tables: those that `engine relationalize` would have made, but for gaps in
/// `_seq`. Options are those of `engine relationalize`, and are said here alone.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) relationalize: Relationalize,

    /// At most so many shards [default: one for every 4 GiB]
    #[arg(long, value_name = "N", conflicts_with = "shard_size", value_parser = shards, help_heading = "Shards")]
    shards: Option<usize>,

    /// Bytes of a shard, as stored
    #[arg(long, value_name = "BYTES", default_value = "4GiB", value_parser = size, help_heading = "Shards")]
    shard_size: usize,
}

const EXAMPLES: &str = "\
Examples:
  engine plan s3://bucket/raw s3://bucket/curated --run-id 2026-11-24 --shards 16 --manifest s3://bucket/plan.json
      the report says how many shards there are: at most 16
  engine shard s3://bucket/curated --run-id 2026-11-24 --number 0
      the first of them; in an array job of AWS Batch, each child knows its number
  engine commit s3://bucket/curated --run-id 2026-11-24
      when all are done";

/// Read one shard of a planned run
///
/// Stages its files, and nothing is visible yet. A shard can be read again, or by several at a time: the first attempt
/// that is done counts, and the others leave nothing behind.
#[derive(Debug, Args)]
pub(crate) struct Shard {
    /// Folder or URL of the tables
    pub(crate) curated: String,

    /// Id of the run, as it was planned
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: String,

    /// Which shard, from 0 [default: AWS_BATCH_JOB_ARRAY_INDEX]
    #[arg(long, value_name = "N")]
    number: Option<usize>,

    #[command(flatten)]
    pub(crate) work: Work,

    #[command(flatten)]
    pub(crate) reporting: Reporting,
}

/// Commit a planned run whose shards are done
///
/// Brings the shapes of all shards together, finishes files that are narrower than their tables, and commits once. An
/// entity is read again here when only all of it can tell what it is: in the run that finds that an object is a map.
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// Folder or URL of the tables
    pub(crate) curated: String,

    /// Id of the run, as it was planned
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: String,

    #[command(flatten)]
    pub(crate) work: Work,

    #[command(flatten)]
    pub(crate) catalog: CatalogArg,

    #[command(flatten)]
    pub(crate) reporting: Reporting,
}

/// What a process has for its work.
#[derive(Debug, Args)]
#[command(next_help_heading = "Resources")]
pub(crate) struct Work {
    /// Memory for data [default: a quarter of the machine, at most 2 GiB]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    memory: Option<usize>,

    /// Threads that work [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Plan {
    /// The settings that the arguments mean.
    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        match self.relationalize.catalog.catalog {
            Some(_) => Err(Error::Conflict(
                "--catalog is for `engine commit`: a plan has no tables yet".to_owned(),
            )),
            None => self.relationalize.settings(),
        }
    }

    /// Into how many shards the input is cut.
    pub(crate) fn sharding(&self) -> Sharding {
        match self.shards {
            Some(count) => Sharding::Count(count),
            None => Sharding::Bytes(self.shard_size as u64),
        }
    }
}

impl Shard {
    /// The number of the shard: as given, or as AWS Batch says.
    pub(crate) fn number(&self) -> Result<usize, Error> {
        const VARIABLE: &str = "AWS_BATCH_JOB_ARRAY_INDEX";
        let of_batch = || std::env::var(VARIABLE).ok()?.parse().ok();
        self.number.or_else(of_batch).ok_or_else(|| {
            Error::Conflict(format!(
                "which shard? Say --number N; in an array job of AWS Batch, {VARIABLE} says it"
            ))
        })
    }
}

impl Work {
    /// How many threads shall work.
    pub(crate) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(cores).max(1)
    }

    /// Bytes of memory for data.
    pub(crate) fn memory(&self) -> usize {
        self.memory.unwrap_or_else(default_memory)
    }

    /// What the process has.
    pub(crate) fn resources(&self) -> Resources {
        Resources { memory_bytes: self.memory() }
    }
}

fn shards(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(shards @ 1..=10_000) => Ok(shards),
        _ => Err("expected 1 to 10000 shards".to_owned()),
    }
}
