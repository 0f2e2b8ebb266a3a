//! `engine sql`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use solder_lake::Error;
use solder_lake::merge::Mode;
use solder_lake::sql::{Format, Into, Script, SqlSettings};
use solder_operate::catalog::Database;

use super::catalog::CatalogArg;
use super::reporting::Reporting;
use super::resources::{cores, default_memory, size};

/// Run SQL over the tables of a lake, of a curated place, and files beside them
///
/// Every table has its name; `lake.orders` and `curated.orders` tell two of one name apart. `orders@v3`
/// is an earlier version of a Delta table, `"orders@2026-11-24T08:00:00Z"` that of an instant. The language
/// is that of DataFusion, functions for nested values included. A script may hold several statements; the
/// rows of the last one are the result.
///
/// `engine sql --lake lake/ -c 'select count(*) from donors'`
///
/// `engine sql sql/marts/donor_engagement.sql --lake lake/ --into lake/ --key donor_id`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("script").required(true))]
pub(crate) struct Sql {
    /// The file with the statements
    #[arg(value_name = "FILE", group = "script")]
    file: Option<PathBuf>,

    /// The statements themselves
    #[arg(long, short, value_name = "SQL", group = "script")]
    command: Option<String>,

    /// The lake: a folder or URL with one Delta table per folder
    #[arg(long, value_name = "PLACE", help_heading = "Tables")]
    lake: Option<String>,

    /// Tables of `engine relationalize`
    #[arg(long, value_name = "PLACE", help_heading = "Tables")]
    curated: Option<String>,

    /// A Parquet, CSV or NDJSON file as a table, named after the file or as said; can be given again
    #[arg(long = "file", value_name = "[NAME=]FILE", help_heading = "Tables")]
    files: Vec<String>,

    /// How rows come on stdout: table, csv or json (one object per line)
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        hide_possible_values = true,
        default_value = "table"
    )]
    format: RowFormat,

    /// Write the rows to a table of this lake instead, in one commit
    #[arg(long, value_name = "PLACE", help_heading = "Result")]
    into: Option<String>,

    /// That table [default: the name of the file]
    #[arg(long, value_name = "NAME", requires = "into", help_heading = "Result")]
    table: Option<String>,

    /// overwrite, append, upsert or insert-only [default: overwrite]
    #[arg(long, value_name = "MODE", requires = "into", help_heading = "Result")]
    mode: Option<Mode>,

    /// Columns that identify a row: none may be null or stand twice
    #[arg(
        long,
        value_name = "COLUMN,…",
        value_delimiter = ',',
        requires = "into",
        help_heading = "Result"
    )]
    key: Vec<String>,

    /// Name this run: said again, rows that are in the table already do not come again
    #[arg(long, value_name = "ID", requires = "into", help_heading = "Result")]
    run_id: Option<String>,

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RowFormat {
    Table,
    Csv,
    Json,
}

impl Sql {
    /// How rows come on stdout.
    pub(crate) fn format(&self) -> Format {
        match self.format {
            RowFormat::Table => Format::Table,
            RowFormat::Csv => Format::Csv,
            RowFormat::Json => Format::Json,
        }
    }

    /// Bytes of memory for joins and sorts.
    pub(crate) fn memory(&self) -> usize {
        self.memory.unwrap_or_else(default_memory)
    }

    /// The statements.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(crate) fn script(&self) -> Result<Script, Error> {
        match (&self.command, &self.file) {
            (Some(text), _) => Ok(Script::new("--command", text)),
            (None, Some(file)) => {
                let name = file.display().to_string();
                let text = std::fs::read_to_string(file);
                let text = text.map_err(|source| Error::Script { file: name.clone(), source })?;
                Ok(Script::new(name, text))
            }
            (None, None) => Err(Error::Usage("expected a file, or --command".to_owned())),
        }
    }

    /// The database of `--catalog`.
    ///
    /// # Errors
    ///
    /// There is no table for it, or it cannot hold that of `--into`.
    pub(crate) fn database(&self) -> Result<Option<Database>, Error> {
        match (&self.into, &self.catalog.catalog) {
            (None, Some(_)) => Err(Error::Usage(
                "--catalog registers the table of --into: say that, too".to_owned(),
            )),
            (into, _) => Ok(self.catalog.database(into.as_deref().unwrap_or_default())?),
        }
    }

    /// Whether the command can be said again, and no row of `--into` comes twice.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.mode != Some(Mode::Append) || self.run_id.is_some()
    }

    /// The settings that the options mean.
    ///
    /// # Errors
    ///
    /// An option cannot be understood.
    pub(crate) fn settings(&self) -> Result<SqlSettings, Error> {
        self.database()?;
        let files = self.files.iter().map(|text| named(text)).collect::<Result<_, _>>()?;
        let mode = self.mode.unwrap_or(Mode::Overwrite);
        if mode == Mode::Scd2 {
            return Err(Error::Usage("--mode scd2 is for records, by `engine merge`".to_owned()));
        }
        let into = self.into.as_ref().map(|lake| {
            let stem = self.file.as_ref().and_then(|file| Some(file.file_stem()?.to_str()?.into()));
            let table = self.table.clone().or(stem).ok_or_else(|| {
                Error::Usage("--into needs --table, the name of the table to write".to_owned())
            })?;
            if !is_name(&table) {
                return Err(Error::Usage(format!(
                    "`{table}` cannot name a table: expected letters, digits and `_`; say another with --table"
                )));
            }
            let (key, run_id) = (self.key.clone(), self.run_id.clone());
            Ok(Into { lake: lake.clone(), table, mode, key, run_id })
        });
        Ok(SqlSettings {
            lake: self.lake.clone(),
            curated: self.curated.clone(),
            files,
            into: into.transpose()?,
            memory_bytes: self.memory(),
            threads: self.threads.unwrap_or_else(cores).max(1),
        })
    }
}

/// `NAME=FILE`, or a file whose name without its ending is the name.
fn named(text: &str) -> Result<(String, String), Error> {
    if let Some((name, file)) = text.split_once('=').filter(|(name, _)| is_name(name)) {
        return Ok((name.to_owned(), file.to_owned()));
    }
    let name = text.rsplit('/').next().and_then(|file| file.split('.').next()).unwrap_or_default();
    match is_name(name) {
        true => Ok((name.to_owned(), text.to_owned())),
        false => Err(Error::Usage(format!(
            "--file {text}: `{name}` cannot name a table; give a name with --file NAME={text}"
        ))),
    }
}

fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic();
    text.starts_with(is_first) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("regions=public/2026.csv", "regions", "public/2026.csv")]
    #[case("public/regions.csv", "regions", "public/regions.csv")]
    #[case("s3://bucket/regions.parquet", "regions", "s3://bucket/regions.parquet")]
    fn files_have_names(#[case] text: &str, #[case] name: &str, #[case] file: &str) {
        assert_eq!(named(text).unwrap(), (name.to_owned(), file.to_owned()));
    }

    #[test]
    fn a_file_without_a_usable_name_is_refused() {
        assert!(named("public/2026.csv").unwrap_err().to_string().contains("NAME="));
    }
}
