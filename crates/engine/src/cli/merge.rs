//! `engine merge`.

use std::time::Duration;

use clap::Args;
use solder_lake::Error;
use solder_lake::expect::Expectation;
use solder_lake::merge::{MergeSection, MergeSettings, Mode, Rule};
use solder_operate::catalog::Database;

use super::catalog::{CatalogArg, database};
use super::reporting::Reporting;
use super::resources::{cores, default_memory, size};
use crate::job::Job;

/// Merge staged tables into Delta tables, parents and children together, exactly once
///
/// Takes every committed run of the staging area that is not in the lake yet. Key, parents and columns
/// come from the staging area's manifest, so two places are enough:
///
/// `engine relationalize raw/ curated/ --key orders=id`
///
/// `engine merge --staging curated/ --into lake/`
#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// The curated place whose runs are merged
    #[arg(long, value_name = "PLACE", required_unless_present = "job")]
    staging: Option<String>,

    /// The lake: a folder or URL with one Delta table per folder
    #[arg(long, value_name = "PLACE", required_unless_present = "job")]
    into: Option<String>,

    /// A YAML file whose section `merge` says what these options say; options override it
    #[arg(long, value_name = "FILE")]
    job: Option<std::path::PathBuf>,

    /// A parameter of the job file; can be given again
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = super::param, requires = "job")]
    params: Vec<(String, String)>,

    /// Merge this root table and its children only; can be given again
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,

    /// upsert, append, insert-only, overwrite or scd2 [default: upsert]
    ///
    /// upsert: a record replaces the row of its key, or is new. append: all records come in beside what
    /// is there. insert-only: records whose key is not there come in. overwrite: the staged rows replace
    /// all that is there, in one commit per table, and the schema stays. scd2: every record is a version of
    /// its key, with `_valid_from`, `_valid_to` and `_is_current` by --order-by, and none is ever replaced.
    #[arg(long, value_name = "[TABLE=]MODE", help_heading = "Rows")]
    mode: Vec<String>,

    /// Columns that identify a record, when other than those declared to relationalize
    #[arg(long, value_name = "[TABLE=]COLUMN,…", help_heading = "Rows")]
    key: Vec<String>,

    /// Columns that tell which of two records is newer; an older one changes nothing
    ///
    /// Without it, the later one in the input is newer, and every staged record is newer than the lake. For
    /// scd2, one column: from when a version is valid.
    #[arg(long, value_name = "[TABLE=]COLUMN,…", help_heading = "Rows")]
    order_by: Vec<String>,

    /// Which staged records are deletions, as SQL over the root's columns; child rows go as well
    #[arg(long, value_name = "[TABLE:]SQL", help_heading = "Rows")]
    delete_when: Vec<String>,

    /// Mark deleted records in this column instead of taking them out
    #[arg(long, value_name = "[TABLE=]COLUMN", help_heading = "Rows")]
    soft_delete: Vec<String>,

    /// Delete rows by marking them, which is faster and asks for readers of Delta protocol 3
    #[arg(long, help_heading = "Rows")]
    deletion_vectors: bool,

    /// Say what the merge would do, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Seconds to wait for a merge of the same table from another staging area
    #[arg(long, value_name = "SECONDS", default_value_t = 60, help_heading = "Resources")]
    wait: u64,

    /// Memory for joins and sorts, beyond which they spill to disk [default: a quarter of the machine's, at most 2GiB]
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Resources")]
    memory: Option<usize>,

    /// Pieces of work at a time [default: the machine's cores]
    #[arg(long, value_name = "N", help_heading = "Resources")]
    threads: Option<usize>,

    #[command(flatten)]
    catalog: CatalogArg,

    #[command(flatten)]
    pub(crate) reporting: Reporting,
}

impl Merge {
    /// The settings that the options mean, and the database of `--catalog`.
    ///
    /// # Errors
    ///
    /// An option cannot be understood.
    pub(crate) fn settings(&self) -> Result<(MergeSettings, Option<Database>), Error> {
        let (section, job_rules, expectations) = self.job_section()?;
        let missing = |option: &str| {
            Error::Usage(format!("{option} is said neither by an option nor by the job file"))
        };
        let staging = self.staging.as_ref().or(section.staging.as_ref());
        let into = self.into.as_ref().or(section.into.as_ref());
        let mut settings = MergeSettings::new(
            staging.ok_or_else(|| missing("--staging"))?,
            into.ok_or_else(|| missing("--into"))?,
        );
        let catalog = self.catalog.catalog.as_ref().or(section.catalog.as_ref());
        let database = database(catalog.map(String::as_str), &settings.lake)?;
        settings.job_rules = job_rules;
        settings.expectations = expectations;
        settings.tables.clone_from(&self.tables);
        for text in &self.mode {
            let (table, mode) = scoped(text, '=');
            let mode: Mode = mode
                .parse()
                .map_err(|error| Error::Usage(format!("cannot use `--mode {text}`: {error}")))?;
            settings.rules.push((table, Rule { mode: Some(mode), ..Rule::default() }));
        }
        for text in &self.key {
            let (table, key) = scoped(text, '=');
            settings.rules.push((table, Rule { key: columns(&key), ..Rule::default() }));
        }
        for text in &self.order_by {
            let (table, order) = scoped(text, '=');
            settings.rules.push((table, Rule { order_by: columns(&order), ..Rule::default() }));
        }
        for text in &self.delete_when {
            let (table, condition) = scoped(text, ':');
            let rule = Rule { delete_when: Some(condition), ..Rule::default() };
            settings.rules.push((table, rule));
        }
        for text in &self.soft_delete {
            let (table, column) = scoped(text, '=');
            settings.rules.push((table, Rule { soft_delete: Some(column), ..Rule::default() }));
        }
        if self.deletion_vectors {
            let rule = Rule { deletion_vectors: Some(true), ..Rule::default() };
            settings.rules.push((None, rule));
        }
        settings.dry_run = self.dry_run;
        settings.patience = Duration::from_secs(self.wait);
        settings.memory_bytes = self.memory.unwrap_or_else(default_memory);
        settings.threads = self.threads.unwrap_or_else(cores).max(1);
        Ok((settings, database))
    }
}

impl Merge {
    /// What the job file says, when there is one.
    fn job_section(&self) -> Result<(MergeSection, Rules, Vec<Expectation>), Error> {
        let Some(path) = &self.job else { return Ok(Default::default()) };
        let job = Job::read(path, &self.params)?;
        let mut expected = job.expectations()?;
        // What is not merged keeps nothing else out.
        expected.retain(|expectation| {
            expectation.before_merge && super::is_asked_for(&expectation.table, &self.tables)
        });
        let section = job.document.merge.unwrap_or_default();
        let rules = section.rules(&job.name)?;
        Ok((section, rules, expected))
    }
}

type Rules = Vec<(Option<String>, Rule)>;

/// `TABLE=VALUE`, or a value for all tables: a table's name has no signs but `_`.
fn scoped(text: &str, separator: char) -> (Option<String>, String) {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match text.split_once(separator) {
        // `a::int` casts a column.
        Some((table, value)) if is_name(table) && !value.starts_with(separator) => {
            (Some(table.to_owned()), value.trim().to_owned())
        }
        _ => (None, text.to_owned()),
    }
}

fn columns(text: &str) -> Vec<String> {
    text.split(',').map(|column| column.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_for_one_table_or_all() {
        let table = |name: &str| Some(name.to_owned());
        assert_eq!(scoped("orders=id", '='), (table("orders"), "id".to_owned()));
        assert_eq!(scoped("upsert", '='), (None, "upsert".to_owned()));
        let sql = "orders: status = 'gone'";
        assert_eq!(scoped(sql, ':'), (table("orders"), "status = 'gone'".to_owned()));
        assert_eq!(scoped("gone::boolean", ':'), (None, "gone::boolean".to_owned()));
        assert_eq!(scoped("at > '10:30'", ':'), (None, "at > '10:30'".to_owned()));
    }
}
