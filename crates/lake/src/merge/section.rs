//! The section `merge` of a job file: what the command line says of a merge, kept.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::Error;

use super::{Mode, Rule};

/// The section `merge`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeSection {
    /// The curated place whose runs are merged.
    pub staging: Option<String>,
    /// The lake.
    pub into: Option<String>,
    /// The database of the Glue Data Catalog that its tables are registered in: `glue://DATABASE`.
    pub catalog: Option<String>,
    /// What holds for all tables.
    #[serde(default)]
    pub defaults: TableSection,
    /// What holds for one root table.
    #[serde(default)]
    pub tables: BTreeMap<String, TableSection>,
}

/// How the rows of a table come in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableSection {
    /// upsert (the default), append, insert-only, overwrite or scd2.
    mode: Option<String>,
    /// The columns that identify a record, when other than those declared to `relationalize`.
    #[serde(default)]
    key: Columns,
    /// The columns that tell which of two records is newer.
    #[serde(default)]
    order_by: Columns,
    /// Which staged records are deletions, as SQL over the root's columns.
    delete_when: Option<String>,
    /// The column that marks deleted records instead of their going.
    soft_delete: Option<String>,
    /// Delete rows by marking them.
    deletion_vectors: Option<bool>,
}

/// One column or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Columns {
    One(String),
    Many(Vec<String>),
}

impl Default for Columns {
    fn default() -> Columns {
        Columns::Many(Vec::new())
    }
}

impl From<Columns> for Vec<String> {
    fn from(columns: Columns) -> Vec<String> {
        match columns {
            Columns::One(column) => vec![column],
            Columns::Many(columns) => columns,
        }
    }
}

impl MergeSection {
    /// The rules that it sets.
    ///
    /// # Errors
    ///
    /// A mode that is none.
    pub fn rules(&self, file: &str) -> Result<Vec<(Option<String>, Rule)>, Error> {
        let of_all = std::iter::once((None, &self.defaults));
        let of_tables = self.tables.iter().map(|(table, section)| (Some(table.clone()), section));
        of_all.chain(of_tables).map(|(table, section)| Ok((table, section.rule(file)?))).collect()
    }
}

impl TableSection {
    fn rule(&self, file: &str) -> Result<Rule, Error> {
        let mode = self.mode.as_deref().map(|text| {
            text.parse::<Mode>()
                .map_err(|error| Error::Usage(format!("{file}: cannot use mode `{text}`: {error}")))
        });
        Ok(Rule {
            mode: mode.transpose()?,
            key: self.key.clone().into(),
            order_by: self.order_by.clone().into(),
            delete_when: self.delete_when.clone(),
            soft_delete: self.soft_delete.clone(),
            deletion_vectors: self.deletion_vectors,
        })
    }
}
