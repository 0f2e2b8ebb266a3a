//! The job file: what the command line says of a merge, kept, and what must hold of the tables.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::Error;

use crate::expect::{CheckSection, Expectation, expectations};
use crate::merge::{Mode, Rule};

/// A job file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobFile {
    /// What is merged, and how.
    #[serde(default)]
    pub merge: MergeSection,
    /// What must hold of the rows of tables (C1).
    #[serde(default)]
    pub checks: BTreeMap<String, Vec<CheckSection>>,
}

/// The section `merge`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeSection {
    /// The curated place whose runs are merged.
    pub staging: Option<String>,
    /// The lake.
    pub into: Option<String>,
    /// What holds for all tables.
    #[serde(default)]
    pub defaults: TableSection,
    /// What holds for one root table.
    #[serde(default)]
    pub tables: BTreeMap<String, TableSection>,
}

/// How the rows of a table come in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSection {
    mode: Option<String>,
    #[serde(default)]
    key: Columns,
    #[serde(default)]
    order_by: Columns,
    delete_when: Option<String>,
    soft_delete: Option<String>,
    deletion_vectors: Option<bool>,
}

/// One column or several.
#[derive(Clone, Debug, Deserialize)]
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

impl JobFile {
    /// Reads the text of the job file `name`.
    ///
    /// # Errors
    ///
    /// It is no YAML, or says something that is not known: with line and column.
    pub fn parse(name: &str, text: &str) -> Result<JobFile, Error> {
        serde_saphyr::from_str(text)
            .map_err(|source| Error::JobFile { file: name.to_owned(), source: Box::new(source) })
    }
}

impl JobFile {
    /// What must hold of the rows of tables, tables in order.
    ///
    /// # Errors
    ///
    /// An entry says nothing, or more than one thing.
    pub fn expectations(&self, file: &str) -> Result<Vec<Expectation>, Error> {
        expectations(file, &self.checks)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m2_a_job_file_sets_what_flags_would() {
        let text = "
merge:
  staging: curated/
  into: lake/
  defaults: { mode: upsert }
  tables:
    orders:
      key: [shop, id]
      order_by: updated_at
      delete_when: status = 'gone'
      deletion_vectors: true
";
        let section = JobFile::parse("solder.yaml", text).unwrap().merge;
        assert_eq!(section.into.as_deref(), Some("lake/"));
        let rules = section.rules("solder.yaml").unwrap();
        assert_eq!(rules[0].1.mode, Some(Mode::Upsert));
        let (table, rule) = &rules[1];
        assert_eq!(table.as_deref(), Some("orders"));
        assert_eq!((rule.key.len(), rule.order_by.len()), (2, 1));
        assert_eq!(rule.deletion_vectors, Some(true));
    }

    /// C1: what the documentation shows is understood.
    #[test]
    fn c1_the_example_of_the_documentation() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sql.md"));
        let example = text.split("```yaml").nth(1).and_then(|rest| rest.split("```").next());
        let job = JobFile::parse("solder.yaml", example.unwrap()).unwrap();
        let expected = job.expectations("solder.yaml").unwrap();
        assert_eq!(expected.len(), 10);
        assert_eq!(expected.iter().filter(|one| one.before_merge).count(), 1);
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line() {
        let text = "merge:\n  tables:\n    orders:\n      kee: id\n";
        let error = JobFile::parse("solder.yaml", text).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("kee") && cause.contains("line 4"), "{cause}");
        let text = "merge: { defaults: { mode: replace } }";
        let section = JobFile::parse("solder.yaml", text).unwrap().merge;
        assert!(section.rules("solder.yaml").unwrap_err().to_string().contains("overwrite"));
    }
}
