//! The settings of a merge, and which of them holds for an entity.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::expect::Expectation;

/// Settings of `engine merge`.
#[derive(Clone, Debug)]
pub struct MergeSettings {
    /// The curated place whose runs are merged.
    pub staging: String,
    /// The lake.
    pub lake: String,
    /// The root tables to merge; all without any.
    pub tables: Vec<String>,
    /// What the job file says of which entity.
    pub job_rules: Vec<(Option<String>, Rule)>,
    /// What flags say, which override the job file.
    pub rules: Vec<(Option<String>, Rule)>,
    /// What must hold of the staged rows before any of them comes (C3).
    pub expectations: Vec<Expectation>,
    /// Say what a merge would do, and write nothing.
    pub dry_run: bool,
    /// Bytes of memory for statements.
    pub memory_bytes: usize,
    /// Pieces of work at a time.
    pub threads: usize,
    /// How long to wait for a merge of the same entity that has begun elsewhere.
    pub patience: Duration,
}

/// What is asked for an entity; what is `None` or empty is as it comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// How rows come in (M2).
    pub mode: Option<Mode>,
    /// The columns that identify a record, as given.
    pub key: Vec<String>,
    /// The columns that tell which of two records is newer, as given (M3, M4).
    pub order_by: Vec<String>,
    /// Which staged records are deletions, as SQL over the root's columns (M5).
    pub delete_when: Option<String>,
    /// The column that marks deleted records instead (M5).
    pub soft_delete: Option<String>,
    /// Whether rows are deleted by marking them (M11).
    pub deletion_vectors: Option<bool>,
}

/// How rows come into a table (M2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A record replaces the row of its key, or is new.
    #[default]
    Upsert,
    /// All records come in beside what is there.
    Append,
    /// Records with keys that are not there come in.
    InsertOnly,
    /// The records replace all that is there.
    Overwrite,
    /// Every record is a version of its key, valid until the next one.
    Scd2,
}

impl Mode {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Upsert => "upsert",
            Mode::Append => "append",
            Mode::InsertOnly => "insert-only",
            Mode::Overwrite => "overwrite",
            Mode::Scd2 => "scd2",
        }
    }

    /// Whether it cannot do without a key.
    pub fn needs_key(self) -> bool {
        matches!(self, Mode::Upsert | Mode::InsertOnly | Mode::Scd2)
    }
}

/// A text that is no mode.
#[derive(Debug, thiserror::Error)]
#[error("it is none of upsert, append, insert-only, overwrite and scd2")]
pub struct ModeError;

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Mode, ModeError> {
        const ALL: [Mode; 5] =
            [Mode::Upsert, Mode::Append, Mode::InsertOnly, Mode::Overwrite, Mode::Scd2];
        ALL.into_iter().find(|mode| mode.name() == text).ok_or(ModeError)
    }
}

impl MergeSettings {
    /// The defaults for a staging area and a lake.
    pub fn new(staging: &str, lake: &str) -> MergeSettings {
        MergeSettings {
            staging: staging.to_owned(),
            lake: lake.to_owned(),
            tables: Vec::new(),
            job_rules: Vec::new(),
            rules: Vec::new(),
            expectations: Vec::new(),
            dry_run: false,
            memory_bytes: 1 << 30,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            patience: Duration::from_secs(60),
        }
    }

    /// What holds for an entity: flags over the job file, and in each what is said of the entity over what is
    /// said of all.
    pub fn rule(&self, entity: &str) -> Rule {
        let mut rule = Rule::default();
        for rules in [&self.job_rules, &self.rules] {
            for table in [None, Some(entity)] {
                let said = rules.iter().filter(|(name, _)| name.as_deref() == table);
                said.for_each(|(_, said)| rule.override_with(said));
            }
        }
        rule
    }
}

impl Rule {
    fn override_with(&mut self, other: &Rule) {
        let other = other.clone();
        self.mode = other.mode.or(self.mode);
        if !other.key.is_empty() {
            self.key = other.key;
        }
        if !other.order_by.is_empty() {
            self.order_by = other.order_by;
        }
        self.delete_when = other.delete_when.or(self.delete_when.take());
        self.soft_delete = other.soft_delete.or(self.soft_delete.take());
        self.deletion_vectors = other.deletion_vectors.or(self.deletion_vectors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M2, M8: a mode is called the same on the command line, in a job file and in a root's log.
    #[test]
    fn m2_names_of_modes() {
        for name in ["upsert", "append", "insert-only", "overwrite", "scd2"] {
            let mode: Mode = name.parse().unwrap();
            assert_eq!(mode.name(), name);
            assert_eq!(serde_json::to_value(mode).unwrap(), name);
        }
    }

    #[test]
    fn m2_rules_of_an_entity_override_those_for_all() {
        let mut settings = MergeSettings::new("curated", "lake");
        let mode = |mode| Rule { mode: Some(mode), ..Rule::default() };
        settings.rules.push((Some("orders".to_owned()), mode(Mode::Append)));
        settings.rules.push((None, mode(Mode::Overwrite)));
        let key = Rule { key: vec!["id".to_owned()], ..Rule::default() };
        settings.rules.push((None, key));
        assert_eq!(settings.rule("orders").mode, Some(Mode::Append));
        assert_eq!(settings.rule("orders").key, ["id"]);
        assert_eq!(settings.rule("donors").mode, Some(Mode::Overwrite));
        settings.job_rules.push((Some("donors".to_owned()), mode(Mode::InsertOnly)));
        assert_eq!(settings.rule("donors").mode, Some(Mode::Overwrite), "flags override the file");
        assert!("replace".parse::<Mode>().is_err() && "append".parse::<Mode>().is_ok());
    }
}
