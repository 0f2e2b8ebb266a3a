//! The file: read as a tree with locations, parameters put in, held against the schema of these types.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use solder_lake::Error;
use solder_lake::expect::{CheckSection, Expectation, expectations};
use solder_lake::merge::MergeSection;
use solder_yaml::{Node, Problem, Value};

use super::options;

/// A job: where data come from, the tables they become, what must hold of them, and what is made of them.
///
/// In every text, `{param.NAME}` stands for a parameter. Places and files are as on the command line.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Solder job")]
pub(crate) struct Document {
    /// What the job is for.
    #[serde(default, rename = "description")]
    _description: Option<String>,
    /// Parameters and their defaults; null where `--param NAME=VALUE` must say one.
    #[serde(default, rename = "parameters")]
    _parameters: BTreeMap<String, Option<Scalar>>,
    /// APIs that are read, by name: steps `ingest.NAME`.
    #[serde(default)]
    pub(crate) sources: BTreeMap<String, SourceSection>,
    /// JSON that becomes tables, by name: steps `relationalize.NAME`.
    #[serde(default)]
    #[schemars(schema_with = "options::relationalize_schema")]
    pub(crate) relationalize: BTreeMap<String, Map<String, Json>>,
    /// Tables that come into the lake: the step `merge`.
    #[serde(default)]
    pub(crate) merge: Option<MergeSection>,
    /// Tables that statements make of others, by name: steps `mart.NAME`.
    #[serde(default)]
    #[schemars(schema_with = "options::marts_schema")]
    pub(crate) marts: BTreeMap<String, Map<String, Json>>,
    /// What must hold of the rows of tables, by table: the steps `check`, and `check.marts`.
    #[serde(default)]
    pub(crate) checks: BTreeMap<String, Vec<CheckSection>>,
}

/// A source that is read: a command `ingest run`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceSection {
    /// The source file.
    pub(crate) source: String,
    /// Where records are landed.
    pub(crate) to: String,
    /// These streams only.
    #[serde(default)]
    pub(crate) streams: Vec<String>,
    /// Parameters of the source.
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, Scalar>,
    /// Read incremental streams from their beginning.
    #[serde(default)]
    pub(crate) full: bool,
    /// A part is whole with so many MiB, compressed.
    pub(crate) part_size: Option<u64>,
    /// Or after so many seconds.
    pub(crate) part_age: Option<u64>,
    /// Play the answers in this folder instead of asking the API (`ingest test`).
    pub(crate) recorded: Option<String>,
    /// Steps that must have ended well before.
    #[serde(default)]
    pub(crate) after: Vec<String>,
}

/// A text, number or boolean.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Scalar {
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Boolean(value) => value.fmt(f),
            Scalar::Integer(value) => value.fmt(f),
            Scalar::Number(value) => value.fmt(f),
            Scalar::Text(value) => f.write_str(value),
        }
    }
}

/// The JSON Schema of job files.
pub(crate) fn schema() -> Json {
    SchemaGenerator::default().into_root_schema_for::<Document>().to_value()
}

/// A job file that was understood.
pub(crate) struct Job {
    /// The file, as given.
    pub(crate) name: String,
    /// The parameters as they were given.
    pub(crate) params: Vec<(String, String)>,
    /// What it says.
    pub(crate) document: Document,
    tree: Node,
}

/// All that is wrong with a file.
#[derive(Debug)]
struct Problems {
    file: String,
    problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            let end = if number > 0 { "\n" } else { "" };
            let colon = if problem.at.is_some() { ":" } else { ": " };
            write!(f, "{end}{}{colon}{problem}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

fn refused(file: &str, problems: Vec<Problem>) -> Error {
    let source = Problems { file: file.to_owned(), problems };
    Error::JobFile { file: file.to_owned(), source: Box::new(source) }
}

impl Job {
    /// Reads a file. `params` are the names and values of `--param`.
    ///
    /// # Errors
    ///
    /// It cannot be read, or says what cannot be: all of it is told, with lines and columns.
    pub(crate) fn read(path: &Path, params: &[(String, String)]) -> Result<Job, Error> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::JobFile { file: file.clone(), source: Box::new(source) })?;
        Job::parse(&file, &text, params)
    }

    /// As [`Job::read`], of a text; the file only names it.
    ///
    /// # Errors
    ///
    /// As [`Job::read`].
    pub(crate) fn parse(file: &str, text: &str, params: &[(String, String)]) -> Result<Job, Error> {
        let refused = |problems| refused(file, problems);
        let mut tree = solder_yaml::tree(text).map_err(refused)?;
        put_in_parameters(&mut tree, params).map_err(|problem| refused(vec![problem]))?;
        solder_yaml::check(&tree, &schema()).map_err(refused)?;
        let document = serde_json::from_value(tree.to_json()).map_err(|error| {
            let problem = Problem { at: None, path: String::new(), message: error.to_string() };
            refused(vec![problem])
        })?;
        Ok(Job { name: file.to_owned(), params: params.to_vec(), document, tree })
    }

    /// What must hold of the rows of tables, tables in order.
    ///
    /// # Errors
    ///
    /// An entry says nothing, or more than one thing.
    pub(crate) fn expectations(&self) -> Result<Vec<Expectation>, Error> {
        expectations(&self.name, &self.document.checks)
    }

    /// Something wrong at a place in the file.
    pub(crate) fn wrong(&self, path: &[&str], message: String) -> Error {
        let at = Some(self.tree.locate(path));
        let problem = Problem { at, path: path.join("."), message };
        refused(&self.name, vec![problem])
    }
}

const OPEN: &str = "{param.";

/// Puts the values of parameters in the place of `{param.NAME}`, in all texts of the file.
fn put_in_parameters(tree: &mut Node, given: &[(String, String)]) -> Result<(), Problem> {
    let declared = tree.get("parameters").map(|(_, node)| node.clone());
    let mut values = BTreeMap::new();
    if let Some(Value::Map(entries)) = declared.map(|node| node.value) {
        for (key, node) in entries {
            let default = match node.to_json() {
                Json::Null => None,
                Json::String(text) => Some(text),
                other => Some(other.to_string()),
            };
            let said = given.iter().rev().find(|(name, _)| *name == key.name);
            let value = said.map(|(_, value)| value.clone()).or(default);
            let value = value.ok_or_else(|| Problem {
                at: Some(key.at),
                path: format!("parameters.{}", key.name),
                message: format!("has no default: say --param {}=VALUE", key.name),
            })?;
            values.insert(key.name, value);
        }
    }
    let known: Vec<&str> = values.keys().map(String::as_str).collect();
    let known = match known.is_empty() {
        true => "the job declares no parameters".to_owned(),
        false => format!("the job declares {}", known.join(", ")),
    };
    if let Some((name, _)) = given.iter().find(|(name, _)| !values.contains_key(name)) {
        let message = format!("--param {name}: {known}");
        return Err(Problem { at: None, path: String::new(), message });
    }
    let put_in = |text: &str| {
        let mut done = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(OPEN) {
            let (before, after) = (&rest[..at], &rest[at + OPEN.len()..]);
            let Some((name, tail)) = after.split_once('}') else { break };
            let value = values.get(name);
            let value = value.ok_or_else(|| format!("`{{param.{name}}}`: {known}"))?;
            done.push_str(before);
            done.push_str(value);
            rest = tail;
        }
        Ok::<_, String>(done + rest)
    };
    tree.replace_texts(&put_in).map_err(|(at, message)| Problem {
        at: Some(at),
        path: String::new(),
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use solder_lake::merge::Mode;

    fn job(text: &str) -> Result<Job, Error> {
        Job::parse("solder.yaml", text, &[("lake".to_owned(), "s3://b/lake".to_owned())])
    }

    fn told(text: &str) -> String {
        let error = job(text).err().expect("it is wrong");
        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default()
    }

    #[test]
    fn m2_a_job_file_sets_what_flags_would() {
        let text = "
parameters: { lake: lake/ }
merge:
  staging: curated/
  into: '{param.lake}'
  defaults: { mode: upsert }
  tables:
    orders:
      key: [shop, id]
      order_by: updated_at
      delete_when: status = 'gone'
      deletion_vectors: true
";
        let section = job(text).unwrap().document.merge.unwrap();
        assert_eq!(section.into.as_deref(), Some("s3://b/lake"));
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
        let job = Job::parse("solder.yaml", example.unwrap(), &[]).unwrap();
        let expected = job.expectations().unwrap();
        assert_eq!(expected.len(), 10);
        assert_eq!(expected.iter().filter(|one| one.before_merge).count(), 1);
    }

    #[test]
    fn j1_a_wrong_key_is_named_with_its_place_and_the_nearest() {
        let own = "parameters: { lake: x }\n";
        let text = told(&format!("{own}merge:\n  tables:\n    orders:\n      kee: id\n"));
        assert_eq!(
            text,
            "solder.yaml:5:7: merge.tables.orders.kee: unknown key `kee`, did you mean `key`?"
        );
        let text = told(&format!(
            "{own}relationalize:\n  all: {{ input: raw, output: out, bookmrk: true }}\n"
        ));
        assert!(text.contains("solder.yaml:3:") && text.contains("`bookmark`"), "{text}");
        let text = told(&format!("{own}merge: {{ into: '{{param.lak}}' }}\n"));
        assert!(text.contains("solder.yaml:2:16: `{param.lak}`: the job declares lake"), "{text}");
        assert!(told("merge: {}").contains("--param lake: the job declares no parameters"));
        assert!(told("parameters: { lake: x, to: null }").contains("say --param to=VALUE"));
    }

    /// The schema knows the options of the commands, with their words.
    #[test]
    fn j1_options_of_commands_are_keys() {
        let schema = schema();
        let keys = &schema["properties"]["relationalize"]["additionalProperties"]["properties"];
        assert_eq!(keys["bookmark"]["type"], "boolean");
        assert!(keys["error_threshold"]["description"].as_str().unwrap().contains("bad"));
        assert!(keys["run_id"].is_null() && keys["report"].is_null());
        let keys = &schema["properties"]["marts"]["additionalProperties"]["properties"];
        assert!(keys["statements"].is_object() && keys["after"].is_object());
    }
}
