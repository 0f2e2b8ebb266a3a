//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Compression, DurationError, Error};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// REST APIs to raw/: reads what a YAML source describes and lands the records as the API sent them
#[derive(Debug, Parser)]
#[command(
    name = "ingest",
    version,
    long_about = None,
    arg_required_else_help = true,
    after_help = "docs/sources.md says how a source is written."
)]
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

/// How the program tells of a run on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Words
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a source: the file, the way to the API, the credentials, and one page of each stream
    Check(Of),
    /// Show the first request of each stream, secrets masked; nothing is sent
    Plan(Plan),
    /// Read streams and land their records
    Run(Box<Run>),
    /// Run a source against recorded answers, without a network
    Test(Test),
    Doctor(Doctor),
    /// Print the JSON Schema of source files, for editors
    Schema {
        /// The reference of the format as Markdown instead
        #[arg(long)]
        markdown: bool,
    },
    /// Write a script that completes this program's commands in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// A source, and which of it.
#[derive(Debug, Args)]
pub(crate) struct Of {
    /// The source file
    pub(crate) source: PathBuf,

    /// Only this stream; can be given several times
    #[arg(long = "stream", value_name = "NAME")]
    pub(crate) streams: Vec<String>,

    /// A parameter of the source; can be given several times
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    pub(crate) params: Vec<(String, String)>,
}

fn param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, DurationError> {
    Ok(crate::duration(text)?.unsigned_abs())
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) of: Of,

    /// Where runs land: requests then begin where the last run came to
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: Option<String>,
}

const RUN_EXAMPLES: &str = "\
Examples:
  ingest run shop.yaml --to raw/
      all streams of a source: what is new of incremental ones, the others anew
  ingest run shop.yaml --to s3://bucket/raw --stream orders --run-id 2024-05-01 --report json
      one stream, once under this id, with a report for whoever comes next
  ingest run shop.yaml --to raw/ --record recorded/
      and keep the answers for `ingest test`
  ingest run shop.yaml --to raw/ --run-id 2024-05-01 --stop-after 10m
      ten minutes and the page under way; the same again goes on, until the report says `more: false`
  ingest run shop.yaml --stream orders --stdout | head -3
      a look at three records

Exit codes:
  0   done                                      73, 74    the place or stdout cannot be written
  64  the command line cannot be understood     75        try again: only here that helps
  65  the data are not as the source says       77        credentials refused, or not to be had
  66  there is no source file                   78        the source is wrong
  69  the API says no, or is not there          130, 143  stopped by SIGINT, SIGTERM
  70  a bug of this program
Of several streams that failed, the first in the file says the code.";

#[derive(Debug, Args)]
#[command(after_long_help = RUN_EXAMPLES)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) of: Of,

    /// Where records are landed: a folder or URL, such as `raw/` or `s3://bucket/raw`
    #[arg(
        long,
        value_name = "PLACE",
        required_unless_present = "stdout",
        conflicts_with = "stdout"
    )]
    pub(crate) to: Option<String>,

    /// Write the records of one stream to standard output instead
    ///
    /// Nothing is remembered: every run reads all, and what was written before an error stays written.
    #[arg(long)]
    pub(crate) stdout: bool,

    /// The run's id: with one that is committed already, nothing happens
    #[arg(long, value_name = "ID", conflicts_with = "stdout")]
    pub(crate) run_id: Option<String>,

    /// Read incremental streams from their beginning; what is read replaces what was landed before
    #[arg(long, conflicts_with = "stdout")]
    pub(crate) full: bool,

    /// After this long, end where a run with the same id can go on, and say that more is left
    ///
    /// `10m`, `PT1H`. Incremental streams end at a page, window or partition; others are read to their end.
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "stdout")]
    pub(crate) stop_after: Option<Duration>,

    /// How parts are compressed
    #[arg(long, value_enum, default_value = "zstd")]
    pub(crate) compression: CompressionName,

    /// A part is whole with so many MiB, compressed
    #[arg(long, value_name = "MIB", default_value = "128", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) part_size: u64,

    /// Or after so many seconds; what can be committed is, as often
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) part_age: u64,

    /// Keep all answers in this folder, secrets removed, for `ingest test`
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,

    /// What goes to stdout: a summary as text, or the whole report as json
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Reporting",
        conflicts_with = "stdout"
    )]
    pub(crate) report: ReportFormat,

    /// Write the report as JSON to this file or URL as well
    #[arg(long, value_name = "URL", help_heading = "Reporting")]
    pub(crate) manifest: Option<String>,
}

impl Run {
    /// Where records are landed; empty with `--stdout`.
    pub(crate) fn place(&self) -> &str {
        self.to.as_deref().unwrap_or_default()
    }

    pub(crate) fn part_bytes(&self) -> u64 {
        self.part_size << 20
    }

    pub(crate) fn part_age(&self) -> Duration {
        Duration::from_secs(self.part_age)
    }

    pub(crate) fn compression(&self) -> Compression {
        match self.compression {
            CompressionName::Zstd => Compression::Zstd,
            CompressionName::Gzip => Compression::Gzip,
        }
    }

    /// The only stream, for `--stdout`.
    pub(crate) fn only(streams: &[usize]) -> Result<usize, Error> {
        match streams {
            [only] => Ok(*only),
            _ => Err(Error::Option(
                "`--stdout` writes one stream: choose it with `--stream NAME`".to_owned(),
            )),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompressionName {
    /// Zstandard
    Zstd,
    /// gzip
    Gzip,
}

/// The form of the report on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A table
    Text,
    /// One JSON object
    Json,
}

const TEST_EXAMPLES: &str = "\
Examples:
  ingest test shop.yaml recorded/
      the first time, what the source gives is written to recorded/expected.json; then it is compared
  ingest test shop.yaml recorded/ --update
      what it gives now is what is expected
  ingest test shop.yaml recorded/ --to trial/ && engine relationalize trial/ curated/
      the way to tables, without a network";

#[derive(Debug, Args)]
#[command(after_long_help = TEST_EXAMPLES)]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) of: Of,

    /// The folder of recorded answers, as `run --record` makes it
    pub(crate) recorded: PathBuf,

    /// Land it here as well, as a run does: a folder or URL that holds nothing but tests of this source
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: Option<String>,

    /// Take what the source gives now for what is expected
    #[arg(long)]
    pub(crate) update: bool,
}

const DOCTOR_EXAMPLES: &str = "\
Examples:
  ingest doctor shop.yaml --to s3://bucket/raw
      all that a run needs: run it as the job, with its role
  ingest doctor --secrets aws-sm://solder/shop#token
      whether a secret can be read; it is not shown

Exit codes: 0 when nothing fails, warnings or not. Else that of the worst failure:
77 credentials or rights, 78 configuration, 66 nothing to read, 65 data, 73 and 74 writing,
69 nobody answers, 75 all of it can succeed later.";

/// Find out what is wrong before a run does: secrets, API, place, credentials, clock, this machine
///
/// Reads each secret that the source names, asks for one page of each stream, and tries in the place what runs
/// do there. No check waits longer than ten seconds, one of an API thirty.
#[derive(Debug, Args)]
#[command(after_long_help = DOCTOR_EXAMPLES)]
pub(crate) struct Doctor {
    /// The source file
    pub(crate) source: Option<PathBuf>,

    /// Only this stream; can be given several times
    #[arg(long = "stream", value_name = "NAME", requires = "source")]
    pub(crate) streams: Vec<String>,

    /// A parameter of the source; can be given several times
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param, requires = "source")]
    pub(crate) params: Vec<(String, String)>,

    /// Where runs land: a folder or URL
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: Option<String>,

    /// A secret, as sources name it: env:NAME, file:PATH, aws-sm://NAME, ssm://NAME; can be given several times
    #[arg(long, value_name = "REF")]
    pub(crate) secrets: Vec<String>,

    /// What goes to stdout: lines as text, or all findings as json
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) report: ReportFormat,
}
