//! `engine relationalize`.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use solder_operate::catalog::Database;
use solder_relationalize::read::RecordsPath;
use solder_relationalize::relation::Naming;
use solder_relationalize::shape::{Action, OnCastError, Selector};
use solder_relationalize::{Drift, Error, KeyRule, Settings, Threshold};

use super::catalog::CatalogArg;
use super::reporting::Reporting;
use super::resources::{cores, default_memory, size};

/// Turn nested JSON into relational Parquet tables
///
/// Every record becomes a row of the root table. Nested objects become columns, and every array
/// becomes a child table that joins its parent and its root directly. Nothing is lost: bad records
/// go to `_quarantine/` with their place and reason, and values of several kinds at one path are kept
/// side by side.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Relationalize {
    /// File, folder, glob or URL of JSON, `-` for standard input
    ///
    /// In a folder, files that end in .json, .ndjson or .jsonl are read, also those compressed with gzip,
    /// zstd, bzip2 or xz. Of a landing zone, what its manifests name is read, and nothing else. URLs are s3://,
    /// gs://, az:// and abfss://; credentials come from the environment.
    input: String,

    /// Folder or URL for the tables
    output: String,

    /// Put all records into this one table
    ///
    /// Without it, the first folder level below the input names the tables; in a landing zone, the streams do.
    #[arg(long, value_name = "NAME", help_heading = "Tables")]
    table: Option<String>,

    /// Columns that identify a record: `id`, `project,number`, `donors=id`
    ///
    /// Column names or JSON paths (`order.id`), several for a composite key. With a table in front, the key is
    /// for that table. Records without a key are set aside. Streams of a landing zone that declare a key need none.
    #[arg(long = "key", value_name = "[TABLE=]COLUMN,…", help_heading = "Tables")]
    keys: Vec<String>,

    /// Where the records are in a document, as a JSON path: `$.data[*]`
    #[arg(long, value_name = "PATH", help_heading = "Tables")]
    records: Option<String>,

    /// Names of tables and columns: SQL-safe, or those of AWS Glue
    #[arg(long, value_enum, default_value = "sql", help_heading = "Tables")]
    naming: NamingArg,

    /// Keep the object at this path as rows, since its keys are data
    #[arg(long = "map", value_name = "PATH", help_heading = "Tables")]
    maps: Vec<String>,

    /// Objects with more keys than this, each rare, are found to be maps by themselves
    #[arg(
        long,
        value_name = "N",
        default_value_t = 512,
        hide_short_help = true,
        help_heading = "Tables"
    )]
    map_keys: usize,

    /// How values at a path are kept, such as `price=cast:double`
    ///
    /// cast:TYPE converts, project:TYPE keeps values of that type alone, make_cols and make_struct keep each
    /// type apart, json keeps the JSON text, list keeps an array of scalars as a list, drop keeps nothing.
    /// Types: string, long, double, boolean, timestamp, date, decimal(PRECISION,SCALE).
    #[arg(long = "resolve", value_name = "PATH=ACTION", help_heading = "Values")]
    rules: Vec<String>,

    /// What becomes of a record with a value that a cast cannot convert
    #[arg(
        long,
        value_enum,
        value_name = "ACTION",
        default_value = "quarantine",
        hide_short_help = true,
        help_heading = "Values"
    )]
    on_cast_error: OnCastErrorArg,

    /// Make timestamps of strings, in columns where every value is one
    #[arg(long, help_heading = "Values")]
    timestamps: bool,

    /// Keep decimals beyond float64 as text, instead of rounding them
    #[arg(long, help_heading = "Values")]
    exact_numbers: bool,

    /// Fail when more records than this are bad: `10`, `0.5%`
    ///
    /// Nothing is committed then. Without it, any number of bad records is tolerated and set aside.
    #[arg(long, value_name = "N|N%", help_heading = "Trust")]
    error_threshold: Option<String>,

    /// When the shape is wider than before: widen, fail or start anew
    ///
    /// evolve widens the tables, freeze fails with the list of changes, reset forgets the shape of before.
    #[arg(long, value_enum, default_value = "evolve", help_heading = "Trust")]
    drift: DriftArg,

    /// Read only what is new since the last run, and append
    ///
    /// Objects are new when their key, size, etag or time of change is. Without it the tables are replaced, as
    /// are those of a stream in a landing zone that was replaced itself.
    #[arg(long, help_heading = "Trust")]
    bookmark: bool,

    /// The input has moved: files of the same name are those that --bookmark knows
    #[arg(long, requires = "bookmark", hide_short_help = true, help_heading = "Trust")]
    moved: bool,

    /// Id of this run; a run that is committed already does nothing
    #[arg(long, value_name = "ID", hide_short_help = true, help_heading = "Trust")]
    pub(crate) run_id: Option<String>,

    /// Deepest nesting of a record
    #[arg(long, value_name = "LEVELS", default_value_t = 512, value_parser = depth, hide_short_help = true, help_heading = "Limits")]
    max_depth: usize,

    /// Largest record
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = size, hide_short_help = true, help_heading = "Limits")]
    max_record: usize,

    /// Most columns of a table
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000,
        hide_short_help = true,
        help_heading = "Limits"
    )]
    max_columns: usize,

    /// Most tables of an entity
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2_000,
        hide_short_help = true,
        help_heading = "Limits"
    )]
    max_tables: usize,

    /// How many times larger than itself a compressed object may become
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_000,
        hide_short_help = true,
        help_heading = "Limits"
    )]
    max_ratio: u64,

    /// Memory for data [default: a quarter of the machine, at most 2 GiB]
    #[arg(long, value_name = "BYTES", value_parser = size, hide_short_help = true, help_heading = "Resources")]
    memory: Option<usize>,

    /// Threads that work [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, help_heading = "Resources")]
    threads: Option<usize>,

    /// Bytes of JSON that a thread takes at a time
    #[arg(long, value_name = "BYTES", default_value = "2MiB", value_parser = size, hide = true)]
    block: usize,

    #[command(flatten)]
    pub(crate) catalog: CatalogArg,

    #[command(flatten)]
    pub(crate) reporting: Reporting,
}

const EXAMPLES: &str = "\
Examples:
  engine relationalize raw/ curated/
      one root table for every folder of raw/
  curl https://api.example.com/orders | engine relationalize - curated/ --table orders
      from standard input
  engine relationalize 'raw/orders/*.ndjson.gz' curated/ --key id --bookmark
      orders by their id; the next run reads only what is new
  engine relationalize s3://bucket/raw/ s3://bucket/curated/ --key donors=id --key visits=site,day
      in an object store, with a key per table
  engine relationalize page.json curated/ --records '$.data[*]'
      the records inside an envelope
  engine relationalize raw/ curated/ --resolve 'items[].price=cast:decimal(10,2)'
      prices as decimals; records whose price is none go to curated/_quarantine/

Exit codes:
  0   done, perhaps with bad records set aside: the summary says so
  64  the command line cannot be understood     74  reading or writing failed
  65  the data are not as asked for             75  try again: the only code for which that helps
  66  there is no input                         77  access denied
  70  a bug of this program                     130, 143  stopped by SIGINT, SIGTERM
  73  the output cannot be written              78  a setting is wrong: a store, --catalog";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NamingArg {
    Sql,
    Glue,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnCastErrorArg {
    Quarantine,
    Null,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DriftArg {
    Evolve,
    Freeze,
    Reset,
}

impl Relationalize {
    /// How many threads shall work.
    pub(crate) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(cores).max(1)
    }

    /// Bytes of memory for data.
    pub(crate) fn memory(&self) -> usize {
        self.memory.unwrap_or_else(default_memory)
    }

    /// The database of `--catalog`.
    pub(crate) fn database(&self) -> Result<Option<Database>, Error> {
        self.catalog.database(&self.output)
    }

    /// The settings that the arguments mean.
    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        let naming = match self.naming {
            NamingArg::Sql => Naming::Sql,
            NamingArg::Glue => Naming::Glue,
        };
        if matches!(naming, Naming::Glue) && !self.maps.is_empty() {
            return Err(Error::Conflict(
                "--map makes tables that AWS Glue does not have: leave it out, or --naming glue"
                    .to_owned(),
            ));
        }
        if matches!(naming, Naming::Glue) && !self.keys.is_empty() {
            return Err(Error::Conflict(
                "--key has no place in the tables of AWS Glue, whose join keys are numbers: leave it out, or --naming glue"
                    .to_owned(),
            ));
        }
        self.database()?;
        let defaults = Settings::new(&self.input, &self.output);
        Ok(Settings {
            table: self.table.as_deref().map(|table| Settings::table_name(naming, table)),
            keys: parse_all::<KeyRule>("--key", &self.keys)?,
            records: self
                .records
                .as_deref()
                .map(|path| parse::<RecordsPath>("--records", path))
                .transpose()?,
            naming,
            maps: selectors("--map", &self.maps)?,
            map_keys: self.map_keys,
            rules: self.rules.iter().map(|rule| parse_rule(rule)).collect::<Result<_, _>>()?,
            on_cast_error: match self.on_cast_error {
                OnCastErrorArg::Quarantine => OnCastError::Quarantine,
                OnCastErrorArg::Null => OnCastError::Null,
            },
            timestamps: self.timestamps,
            exact_numbers: self.exact_numbers,
            error_threshold: self
                .error_threshold
                .as_deref()
                .map(|threshold| parse::<Threshold>("--error-threshold", threshold))
                .transpose()?,
            drift: match self.drift {
                DriftArg::Evolve => Drift::Evolve,
                DriftArg::Freeze => Drift::Freeze,
                DriftArg::Reset => Drift::Reset,
            },
            bookmark: self.bookmark,
            moved: self.moved,
            run_id: self.run_id.clone().unwrap_or_else(|| defaults.run_id.clone()),
            max_depth: self.max_depth,
            max_record_bytes: self.max_record,
            max_ratio: self.max_ratio,
            max_columns: self.max_columns,
            max_tables: self.max_tables,
            memory_bytes: self.memory(),
            block_bytes: self.block,
            ..defaults
        })
    }
}

fn parse<T>(option: &'static str, value: &str) -> Result<T, Error>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    value.parse().map_err(|source: T::Err| option_error(option, value, source))
}

fn parse_all<T>(option: &'static str, values: &[String]) -> Result<Vec<T>, Error>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    values.iter().map(|value| parse(option, value)).collect()
}

fn selectors(option: &'static str, values: &[String]) -> Result<Vec<Selector>, Error> {
    let parse = |value: &String| {
        Selector::parse(value).map_err(|source| option_error(option, value, source))
    };
    values.iter().map(parse).collect()
}

fn parse_rule(rule: &str) -> Result<(Selector, Action), Error> {
    const OPTION: &str = "--resolve";
    // A path may hold `=` in quotes; an action never does.
    let Some((path, action)) = rule.rsplit_once('=') else {
        return Err(option_error(OPTION, rule, MissingAction));
    };
    let selector = Selector::parse(path).map_err(|source| option_error(OPTION, rule, source))?;
    let action = action.parse::<Action>().map_err(|source| option_error(OPTION, rule, source))?;
    Ok((selector, action))
}

#[derive(Debug, thiserror::Error)]
#[error("it is not PATH=ACTION, such as `items[].price=cast:double`")]
struct MissingAction;

fn option_error(
    option: &'static str,
    value: &str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::Option { option, value: value.to_owned(), source: Box::new(source) }
}

fn depth(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(depth @ 1..=4096) => Ok(depth),
        _ => Err("expected 1 to 4096 levels".to_owned()),
    }
}
