//! The settings of a run, checked: what the command line said, in types that cannot be wrong.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::read::{FrameOptions, NameHint, RecordsPath};
use crate::relation::Naming;
use crate::relation::names::sql_segment;
use crate::shape::{Action, OnCastError, Plan, Selector};
use crate::stage::StageLimits;

/// Memory that a JSON path takes on two threads, in the shape and where maps are looked for: measured on two
/// million of them.
const PATH_BYTES: usize = 768;

/// So many paths are never too many.
const FEW_PATHS: usize = 10_000;

/// Settings of `engine relationalize`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// File, folder, glob or URL.
    pub input: String,
    /// The curated place.
    pub output: String,
    /// All of the input is this table (R3).
    pub table: Option<String>,
    /// The declared keys (R8).
    pub keys: Vec<KeyRule>,
    /// Where records are in a document (R2).
    pub records: Option<RecordsPath>,
    /// Names of tables and columns.
    pub naming: Naming,
    /// Objects to keep as rows (R10).
    pub maps: Vec<Selector>,
    /// More keys than this make an object a candidate for a map (R10).
    pub map_keys: usize,
    /// `--resolve` (R14).
    pub rules: Vec<(Selector, Action)>,
    /// What becomes of values that a cast cannot convert (R14).
    pub on_cast_error: OnCastError,
    /// Look for timestamps in strings (R12).
    pub timestamps: bool,
    /// Keep decimals that float64 would round as text (R13).
    pub exact_numbers: bool,
    /// How many bad records a run may have (R16).
    pub error_threshold: Option<Threshold>,
    /// What happens when the shape changes (R11).
    pub drift: Drift,
    /// Read new objects only and append (R20).
    pub bookmark: bool,
    /// The input stands elsewhere than before, and its objects are those that were read (R20).
    pub moved: bool,
    /// The run's id.
    pub run_id: String,
    /// When the run began, RFC 3339.
    pub started_at: String,
    /// Nesting levels of a record (R17).
    pub max_depth: usize,
    /// Bytes of a record (R17).
    pub max_record_bytes: usize,
    /// How many times larger than itself an object may become (R17).
    pub max_ratio: u64,
    /// Columns of a table (R17).
    pub max_columns: usize,
    /// Tables of an entity (R17).
    pub max_tables: usize,
    /// Bytes of memory for data.
    pub memory_bytes: usize,
    /// Bytes of a block.
    pub block_bytes: usize,
}

/// What happens when the shape is wider than what was committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// The tables widen.
    #[default]
    Evolve,
    /// The run fails with the list of changes.
    Freeze,
    /// The shape is forgotten; only for runs that replace the tables.
    Reset,
}

/// One `--key [TABLE=]COLUMN[,COLUMN]…`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRule {
    /// The root table that it is for; all without one.
    pub table: Option<String>,
    /// The parts of the key.
    pub columns: Vec<Selector>,
}

/// `--error-threshold N` or `N%`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// So many records.
    Records(u64),
    /// So many in a hundred.
    Percent(f64),
}

/// A text that is no threshold.
#[derive(Debug, thiserror::Error)]
#[error("it is neither a number of records such as `10` nor a share such as `0.5%`")]
pub struct ThresholdError;

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Threshold, ThresholdError> {
        match text.strip_suffix('%') {
            Some(number) => match number.trim().parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Threshold::Percent(percent)),
                _ => Err(ThresholdError),
            },
            None => text.parse().map(Threshold::Records).map_err(|_| ThresholdError),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Threshold::Records(number) => write!(f, "{number}"),
            Threshold::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Threshold {
    /// Whether so many bad records of all are too many.
    pub fn is_exceeded(self, num_bad: u64, num_records: u64) -> bool {
        match self {
            Threshold::Records(allowed) => num_bad > allowed,
            Threshold::Percent(percent) => num_bad as f64 * 100.0 > percent * num_records as f64,
        }
    }
}

impl FromStr for KeyRule {
    type Err = crate::shape::path::PathError;

    fn from_str(text: &str) -> Result<KeyRule, Self::Err> {
        let (table, columns) = match text.split_once('=') {
            Some((table, columns)) if !table.contains(['[', '\'', '"', '`']) => {
                (Some(table.trim().to_owned()), columns)
            }
            _ => (None, text),
        };
        let columns = columns.split(',').map(|column| Selector::parse(column.trim()));
        Ok(KeyRule { table, columns: columns.collect::<Result<_, _>>()? })
    }
}

impl Settings {
    /// The defaults for an input and an output.
    pub fn new(input: &str, output: &str) -> Settings {
        Settings {
            input: input.to_owned(),
            output: output.to_owned(),
            table: None,
            keys: Vec::new(),
            records: None,
            naming: Naming::Sql,
            maps: Vec::new(),
            map_keys: 512,
            rules: Vec::new(),
            on_cast_error: OnCastError::Quarantine,
            timestamps: false,
            exact_numbers: false,
            error_threshold: None,
            drift: Drift::Evolve,
            bookmark: false,
            moved: false,
            run_id: new_run_id(),
            started_at: jiff::Timestamp::now().to_string(),
            max_depth: 512,
            max_record_bytes: 256 << 20,
            max_ratio: 1_000,
            max_columns: 10_000,
            max_tables: 2_000,
            memory_bytes: 1 << 30,
            block_bytes: 2 << 20,
        }
    }

    /// The name of a root table for objects without a folder: that of the input's last folder.
    pub(crate) fn input_name(&self) -> String {
        let parts = self.input.split(['/', '\\']);
        let is_plain = |part: &&str| !part.is_empty() && !part.contains(['*', '?', '[', '{']);
        let named = parts.filter(is_plain).rfind(|part| !matches!(*part, "." | ".."));
        named.map_or_else(|| "root".to_owned(), |name| name.to_owned())
    }

    pub(crate) fn key_of(&self, entity: &str) -> &[Selector] {
        crate::job::key_for(&self.keys, entity)
    }

    pub(crate) fn frame_options(&self) -> FrameOptions {
        FrameOptions {
            records: self.records.clone(),
            max_record_bytes: self.max_record_bytes,
            max_depth: self.max_depth,
            hint: NameHint::Unknown,
        }
    }

    /// Bytes of JSON in a block: less where memory is short, since several are on their way at a time, and
    /// as columns they take twice as much.
    pub(crate) fn target_bytes(&self) -> usize {
        self.block_bytes.min(self.memory_bytes / 128).max(1)
    }

    /// JSON paths that fit the memory: two threads, the shape and its maps know each of them.
    pub(crate) fn max_paths(&self) -> usize {
        (self.memory_bytes / PATH_BYTES).max(FEW_PATHS)
    }

    pub(crate) fn stage_limits(&self) -> StageLimits {
        // The rest is for blocks on their way, and for what allocators keep: measured, not counted.
        let memory_bytes = self.memory_bytes / 8;
        StageLimits {
            memory_bytes,
            batch_bytes: (4 << 20).min(memory_bytes / 16).max(1),
            row_group_bytes: 128 << 20,
            file_bytes: 256 << 20,
        }
    }

    pub(crate) fn plan(&self, entity: &str) -> Plan {
        Plan {
            root_table: entity.to_owned(),
            keys: self.key_of(entity).to_vec(),
            rules: self.rules.clone(),
            rules_met: self.rules.iter().map(|_| AtomicBool::new(false)).collect(),
            maps: self.maps.clone(),
            timestamps: self.timestamps,
            exact_numbers: self.exact_numbers,
            on_cast_error: self.on_cast_error,
            glue_keys: self.naming == Naming::Glue,
            max_depth: self.max_depth,
            any_record: self.records.is_some(),
            ..Plan::default()
        }
    }

    /// `table` as a table name (R6).
    pub fn table_name(naming: Naming, table: &str) -> String {
        match naming {
            Naming::Sql => sql_segment(table),
            Naming::Glue => table.to_owned(),
        }
    }
}

/// A run id that sorts by time and that no other run has: `20261123T104606Z-5f3c9a1e`.
pub fn new_run_id() -> String {
    let now = jiff::Timestamp::now();
    let seconds = now.strftime("%Y%m%dT%H%M%SZ");
    let seed = format!("{}-{}", now.as_nanosecond(), std::process::id());
    let random = xxhash_rust::xxh3::xxh3_64(seed.as_bytes()) as u32;
    format!("{seconds}-{random:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r16_thresholds() {
        let exceeded = |text: &str, bad| text.parse::<Threshold>().unwrap().is_exceeded(bad, 1_000);
        assert!(!exceeded("0", 0) && exceeded("0", 1));
        assert!(!exceeded("0.5%", 5) && exceeded("0.5%", 6));
        assert!("five".parse::<Threshold>().is_err() && "200%".parse::<Threshold>().is_err());
    }

    #[test]
    fn r8_key_rules() {
        let rule: KeyRule = "work_items=project, number".parse().unwrap();
        assert_eq!(rule.table.as_deref(), Some("work_items"));
        assert_eq!(rule.columns.len(), 2);
        let rule: KeyRule = "$.id".parse().unwrap();
        assert!(rule.table.is_none() && rule.columns[0].text() == "$.id");
    }

    #[test]
    fn inputs_name_tables() {
        let name = |input: &str| Settings::new(input, "out").input_name();
        assert_eq!(name("data/raw/"), "raw");
        assert_eq!(name("s3://bucket/orders/*.json"), "orders");
        assert_eq!(name("."), "root");
    }
}
