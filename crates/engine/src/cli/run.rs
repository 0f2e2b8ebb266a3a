//! `engine run`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::reporting::Reporting;
use super::resources::cores;

/// Run a job file: sources, tables, merges, checks and marts, each when what it needs is there
///
/// Every step is a command of `ingest` or `engine`, which --plan shows. Steps that do not need each other run
/// at the same time. After a failure, what does not need the failed step goes on; the same --run-id again
/// then does what is left.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Run {
    /// The job file
    #[arg(value_name = "FILE")]
    pub(crate) job: PathBuf,

    /// A parameter of the job file; can be given again
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = super::param)]
    pub(crate) params: Vec<(String, String)>,

    /// Run this step alone; can be given again
    #[arg(long, value_name = "STEP", conflicts_with = "from", help_heading = "Steps")]
    pub(crate) only: Vec<String>,

    /// Run this step and what comes after it
    #[arg(long, value_name = "STEP", help_heading = "Steps")]
    pub(crate) from: Option<String>,

    /// Show the steps and run nothing: as text, mermaid or json
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text",
        hide_possible_values = true,
        help_heading = "Steps"
    )]
    pub(crate) plan: Option<PlanFormat>,

    /// Name this run; the same name again goes on where it failed
    #[arg(long, value_name = "ID", help_heading = "Steps")]
    pub(crate) run_id: Option<String>,

    /// Steps at a time [default: the machine's cores, at least 2]
    #[arg(long, value_name = "N", help_heading = "Resources")]
    parallel: Option<usize>,

    #[command(flatten)]
    pub(crate) reporting: Reporting,
}

const EXAMPLES: &str = "\
Examples:
  engine run solder.yaml --plan
      the steps, what each waits for, and its command
  engine run solder.yaml --param tenant=acme --run-id 2026-11-24
      all of it; said again after a failure, what is left of it
  engine run solder.yaml --from merge
      the merge and what comes after it
  engine run solder.yaml --only mart.engagement
      one step

Exit codes: 0 when all steps went well; else that of the first step in the plan that failed,
75 only where each of them can succeed later. 78 when the job file is wrong: nothing has run then.";

/// The form of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people
    Text,
    /// A diagram
    Mermaid,
    /// For programs
    Json,
}

impl Run {
    /// Steps at a time.
    pub(crate) fn parallel(&self) -> usize {
        self.parallel.unwrap_or_else(|| cores().max(2)).max(1)
    }

    /// The options that choose the steps, as they were said.
    pub(crate) fn chosen_by(&self) -> Vec<String> {
        let only = self.only.iter().map(|step| ["--only", step.as_str()]);
        let from = self.from.iter().map(|step| ["--from", step.as_str()]);
        only.chain(from).flatten().map(str::to_owned).collect()
    }
}
