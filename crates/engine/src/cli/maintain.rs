//! The commands that look at the tables of a lake and keep them in order.

use std::fmt::Write;
use std::sync::Arc;

use clap::Args;
use solder_lake::expect::{Level, expect};
use solder_lake::maintain::{
    CheckReport, HistoryEntry, OptimizeReport, RestoreReport, RestoreTo, VacuumReport, check,
    history, optimize, restore, vacuum,
};
use solder_lake::sql::SqlSettings;
use solder_lake::{Error, Lake};
use solder_relationalize::Io;
use solder_relationalize::readable::{count, size, thousands};

use super::reporting::ReportFormat;
use super::resources::{cores, default_memory};
use crate::job::Job;
use crate::output::aligned;

/// The lake and the form of the answer.
#[derive(Debug, Args)]
struct Common {
    /// The lake: a folder or URL with one Delta table per folder
    lake: String,

    /// What goes to stdout: text or json
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        hide_possible_values = true,
        default_value = "text"
    )]
    report: ReportFormat,
}

impl Common {
    fn answer<T: serde::Serialize>(
        &self,
        report: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<String, Error> {
        match self.report {
            ReportFormat::Json => Ok(super::json(report)?),
            ReportFormat::Text => Ok(text(report)),
        }
    }
}

/// Show what was committed to a Delta table, newest first
#[derive(Debug, Args)]
pub(crate) struct History {
    #[command(flatten)]
    common: Common,

    /// The table
    table: String,

    /// Show the newest commits only
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Bring a Delta table back to an earlier state, and its child tables with it
///
/// The state becomes a new version; what was between stays readable. What was merged since counts as
/// merged, and does not come again by itself.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("to").required(true))]
pub(crate) struct Restore {
    #[command(flatten)]
    common: Common,

    /// The table
    table: String,

    /// The version, as `engine history` shows it
    #[arg(long, value_name = "N", group = "to")]
    version: Option<u64>,

    /// The last state at or before this instant, such as 2026-11-23T08:00:00Z
    #[arg(long, value_name = "INSTANT", group = "to")]
    timestamp: Option<jiff::Timestamp>,
}

/// Fold small files and deleted rows of Delta tables into new files
#[derive(Debug, Args)]
pub(crate) struct Optimize {
    #[command(flatten)]
    common: Common,

    /// The tables [default: all]
    tables: Vec<String>,

    /// Sort all rows along a Z-order curve over these columns, so that filters on them skip files
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    zorder: Vec<String>,
}

/// Remove files that no kept version of a Delta table needs; says which unless told to --delete
#[derive(Debug, Args)]
pub(crate) struct Vacuum {
    #[command(flatten)]
    common: Common,

    /// The tables [default: all]
    tables: Vec<String>,

    /// Keep the files of versions of the last so many hours or days, such as 36h or 30d; at least 24h
    #[arg(long, value_name = "TIME", value_parser = hours, default_value = "7d")]
    retention: u64,

    /// Remove the files
    #[arg(long)]
    delete: bool,
}

/// Prove that parents and children fit: lengths, references and keys
///
/// Every `<array>__len` is compared with the child rows, every child row must have its parent, every key
/// stand once. With --job, what its section `checks` says of columns, too. Exit code 65 when something does
/// not hold.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    common: Common,

    /// The root tables [default: all]
    tables: Vec<String>,

    /// A YAML file whose section `checks` says what else must hold of the rows of tables
    #[arg(long, value_name = "FILE")]
    job: Option<std::path::PathBuf>,

    /// A parameter of the job file; can be given again
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = super::param, requires = "job")]
    params: Vec<(String, String)>,

    /// Leave out what the job file says of this table; can be given again
    #[arg(long, value_name = "TABLE", requires = "job")]
    skip: Vec<String>,

    /// The place holds tables of `engine relationalize`: only what the job file says is tried
    #[arg(long, requires = "job")]
    curated: bool,
}

impl History {
    /// What to print.
    pub(crate) fn run(&self, io: &Io) -> Result<String, Error> {
        let lake = Lake::open(&self.common.lake)?;
        let entries = io.wait(history(&lake, &self.table, self.limit))?;
        self.common.answer(&entries, |entries| history_text(entries))
    }
}

impl Restore {
    /// What to print.
    pub(crate) fn run(&self, io: &Io) -> Result<String, Error> {
        let to = match (self.version, self.timestamp) {
            (Some(version), _) => RestoreTo::Version(version),
            (None, Some(instant)) => RestoreTo::Timestamp(instant),
            (None, None) => return Err(Error::Usage("--version or --timestamp".to_owned())),
        };
        let lake = Lake::open(&self.common.lake)?;
        let reports = io.wait(restore(&lake, &self.table, to))?;
        self.common.answer(&reports, |reports| restore_text(reports))
    }
}

impl Optimize {
    /// What to print.
    pub(crate) fn run(&self, io: &Io) -> Result<String, Error> {
        let lake = Lake::open(&self.common.lake)?;
        let reports = io.wait(optimize(&lake, &self.tables, &self.zorder, cores()))?;
        self.common.answer(&reports, |reports| optimize_text(reports))
    }
}

impl Vacuum {
    /// What to print.
    pub(crate) fn run(&self, io: &Io) -> Result<String, Error> {
        let lake = Lake::open(&self.common.lake)?;
        let reports = io.wait(vacuum(&lake, &self.tables, self.retention, !self.delete))?;
        self.common.answer(&reports, |reports| vacuum_text(reports))
    }
}

impl Check {
    /// What to print, and whether all checks hold.
    pub(crate) fn run(&self, io: &Arc<Io>) -> Result<(String, CheckReport), Error> {
        let mut expected = match &self.job {
            Some(path) => Job::read(path, &self.params)?.expectations()?,
            None => Vec::new(),
        };
        expected.retain(|expectation| {
            let table = &expectation.table;
            super::is_asked_for(table, &self.tables) && !self.skip.contains(table)
        });
        let mut report = CheckReport::default();
        if !self.curated {
            let lake = Lake::open(&self.common.lake)?;
            report = io.wait(check(&lake, &self.tables, default_memory(), cores()))?;
        }
        let place = Some(self.common.lake.clone());
        let (lake, curated) = if self.curated { (None, place) } else { (place, None) };
        let tables = SqlSettings {
            lake,
            curated,
            memory_bytes: default_memory(),
            threads: cores(),
            ..SqlSettings::default()
        };
        report.add(expect(io, &tables, &expected)?);
        Ok((self.common.answer(&report, check_text)?, report))
    }
}

fn history_text(entries: &[HistoryEntry]) -> String {
    let titles = ["version", "when", "operation", "inserted", "updated", "deleted", "run"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for entry in entries {
        let metric = |name: &str| {
            let value = entry.metrics.get(name).and_then(serde_json::Value::as_u64);
            value.map_or_else(|| "-".to_owned(), thousands)
        };
        rows.push(vec![
            entry.version.to_string(),
            entry.timestamp.clone().unwrap_or_else(|| "-".to_owned()),
            entry.operation.clone(),
            metric("num_target_rows_inserted"),
            metric("num_target_rows_updated"),
            metric("num_target_rows_deleted"),
            entry.run.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    aligned(&rows)
}

fn restore_text(reports: &[RestoreReport]) -> String {
    let mut text = String::new();
    for report in reports {
        let RestoreReport { table, restored, version } = report;
        let _ = match restored {
            None => writeln!(text, "{table}: was not there, and has no rows in version {version}"),
            Some(restored) if restored == version => {
                writeln!(text, "{table}: is at version {version}")
            }
            Some(restored) => {
                writeln!(text, "{table}: version {version} is version {restored} again")
            }
        };
    }
    text
}

fn optimize_text(reports: &[OptimizeReport]) -> String {
    let mut text = String::new();
    for report in reports {
        let _ = match report.version {
            None => writeln!(text, "{}: nothing to fold", report.table),
            Some(version) => writeln!(
                text,
                "{}: {} of {} became {} of {}, in version {version}",
                report.table,
                count(report.files_before, "file"),
                size(report.bytes_before),
                count(report.files_after, "file"),
                size(report.bytes_after),
            ),
        };
    }
    text
}

fn vacuum_text(reports: &[VacuumReport]) -> String {
    let mut text = String::new();
    for report in reports {
        let number = count(report.files.len() as u64, "file");
        let _ = match report.dry_run {
            true => writeln!(text, "{}: {number} could go; --delete removes them", report.table),
            false => writeln!(text, "{}: {number} removed", report.table),
        };
        for file in &report.files {
            let _ = writeln!(text, "  {file}");
        }
    }
    text
}

fn check_text(report: &CheckReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&crate::output::finding(finding));
    }
    let checks = count(report.num_checks as u64, "check");
    let warnings = report.findings.iter().filter(|finding| finding.level == Level::Warn).count();
    let failed = report.findings.len() - warnings;
    let mut parts = Vec::new();
    if failed > 0 {
        parts.push(format!("{} failed", thousands(failed as u64)));
    }
    if warnings > 0 {
        parts.push(count(warnings as u64, "warning"));
    }
    if parts.is_empty() {
        parts.push("all hold".to_owned());
    }
    let _ = writeln!(text, "{checks}: {}", parts.join(", "));
    text
}

/// Hours of `36h` or `30d`.
fn hours(text: &str) -> Result<u64, String> {
    let parse = |number: &str, factor: u64| {
        let number = number.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(factor));
        number.ok_or_else(|| "expected hours or days, such as 36h or 30d".to_owned())
    };
    match (text.strip_suffix('h'), text.strip_suffix('d')) {
        (Some(number), _) => parse(number, 1),
        (None, Some(number)) => parse(number, 24),
        (None, None) => Err("expected hours or days, such as 36h or 30d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m12_retentions() {
        assert_eq!((hours("36h"), hours("7d")), (Ok(36), Ok(168)));
        assert!(hours("7").is_err() && hours("d").is_err() && hours("-1h").is_err());
    }
}
