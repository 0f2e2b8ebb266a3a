//! What is read (I1).

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Incremental, Job, Method, Paginate, Param, Rule, Scalar};
use crate::source::ordered::Ordered;

/// A stream: one kind of records.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The path below the base URL, with placeholders such as `{partition.repo}` or `{parent.id}`.
    pub path: String,
    /// What people should know about it.
    #[serde(default)]
    pub description: Option<String>,
    /// The method (default GET).
    #[serde(default)]
    pub method: Option<Method>,
    /// Query parameters. One whose placeholder has no value is left out; a list is given repeatedly.
    #[serde(default)]
    pub params: Ordered<Param>,
    /// Headers.
    #[serde(default)]
    pub headers: Ordered<String>,
    /// A JSON body, with placeholders in its texts.
    #[serde(default)]
    pub body: Option<Value>,
    /// A form, instead of a JSON body.
    #[serde(default)]
    pub form: Option<Ordered<String>>,
    /// Whether the request only asks, so that it may be sent again: GET always may, POST and PUT only
    /// when this is true.
    #[serde(default)]
    pub safe_to_retry: Option<bool>,
    /// Where the records stand in an answer (default `$`: the elements of a list, or the one object).
    #[serde(default)]
    pub records: Option<String>,
    /// Take an answer without the records' path as one without records (default: an error).
    #[serde(default)]
    pub records_optional: bool,
    /// What answers are made of (default `json`). Gzip is recognised by its first bytes.
    #[serde(default)]
    pub format: Format,
    /// How CSV is written.
    #[serde(default)]
    pub csv: Csv,
    /// The fields that identify a record: names, or JSON paths.
    #[serde(default)]
    pub primary_key: Vec<String>,
    /// Read once for each of these values, or for each combination of several.
    #[serde(default)]
    pub partitions: Ordered<Vec<Scalar>>,
    /// Read once for each record of another stream.
    #[serde(default)]
    pub parent: Option<Parent>,
    /// How one page leads to the next.
    #[serde(default)]
    pub paginate: Paginate,
    /// Read only what is new since the last run.
    #[serde(default)]
    pub incremental: Option<Incremental>,
    /// What a run's records do to those before (default: `append` with `incremental`, else `replace`).
    #[serde(default)]
    pub mode: Option<WriteMode>,
    /// Fields to add to each record, from placeholders, for instance `_repo: "{partition.repo}"`.
    #[serde(default)]
    pub add: Ordered<String>,
    /// Rules on answers; the first that fits is taken.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Ask for a result, wait until it is made, fetch it: `path` and the rest then fetch the result.
    #[serde(default)]
    pub job: Option<Job>,
    /// Fewer records than this in a run are an error.
    #[serde(default)]
    pub expect_min_records: Option<u64>,
}

/// A parent: one request, or walk of pages, for each of its records.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// The stream whose records give `{parent.FIELD}`.
    pub stream: String,
}

/// What answers are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON.
    #[default]
    Json,
    /// One JSON value a line.
    Ndjson,
    /// CSV; the records are objects of strings.
    Csv,
    /// XML; `records` names elements as it names keys.
    Xml,
}

/// How CSV is written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// Between the fields (default `,`).
    #[serde(default)]
    pub delimiter: Option<char>,
    /// The names of the fields, where the first line does not have them.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
}

/// What a run's records do to those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// They come to them.
    Append,
    /// They replace them.
    Replace,
}
