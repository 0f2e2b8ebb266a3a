//! Jobs of the API (I11).

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Method, Param};
use crate::source::ordered::Ordered;

/// A job of the API: create it, poll until it is done, then fetch the result.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The request that creates it. It is sent once and never again unless `safe_to_retry` is true.
    pub create: JobRequest,
    /// Where that answer has the job's id, for `{job.id}` (default `$.id`).
    #[serde(default)]
    pub id: Option<String>,
    /// The request that asks how it is.
    pub poll: Poll,
    /// Where the last answer of the poll has the URL of the result; without it, `path` leads there.
    #[serde(default)]
    pub result_url: Option<String>,
}

/// A request of a job.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// The method (default POST).
    #[serde(default)]
    pub method: Option<Method>,
    /// The path below the base URL.
    pub path: String,
    /// Query parameters.
    #[serde(default)]
    pub params: Ordered<Param>,
    /// A JSON body.
    #[serde(default)]
    pub body: Option<Value>,
    /// Whether it may be sent again when its answer is lost (default false).
    #[serde(default)]
    pub safe_to_retry: bool,
}

/// How a job is asked how it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// The path below the base URL, with `{job.id}`.
    pub path: String,
    /// How often (default `5s`).
    #[serde(default)]
    pub every: Option<String>,
    /// Where the answer has the job's status.
    pub status: String,
    /// The statuses of a job that is done.
    pub done: Vec<String>,
    /// The statuses of a job that failed.
    #[serde(default)]
    pub failed: Vec<String>,
    /// How long a job may take (default `1h`).
    #[serde(default)]
    pub timeout: Option<String>,
}
