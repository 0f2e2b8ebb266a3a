//! How an API is reached.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Auth, Param, Rule};
use crate::source::ordered::Ordered;

/// How an API is reached: what all streams share.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Where all paths begin, for instance `https://api.example.com/v2`.
    pub base_url: String,
    /// How requests prove who sends them.
    #[serde(default)]
    pub auth: Auth,
    /// Headers of every request.
    #[serde(default)]
    pub headers: Ordered<String>,
    /// Query parameters of every request.
    #[serde(default)]
    pub params: Ordered<Param>,
    /// How many requests the API takes.
    #[serde(default)]
    pub rate_limit: RateLimit,
    /// Requests under way at one time, over all streams and partitions (default 4).
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_concurrency: Option<usize>,
    /// Allow addresses of private networks, of this machine and link-local ones (default false).
    #[serde(default)]
    pub allow_private_networks: bool,
    /// Other hosts that redirects and next URLs may lead to. They never get the credentials.
    #[serde(default)]
    pub allowed_hosts: Vec<String>,
    /// How long things may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How often and how long failed requests are tried again.
    #[serde(default)]
    pub retry: Retry,
    /// Rules on answers, tried after those of the stream.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// The most bytes of one answer, decompressed (default `4GiB`).
    #[serde(default)]
    pub max_body: Option<String>,
}

/// How many requests an API takes, per host and credential; all streams and token calls share it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per time, for instance `10/s`, `300/m`, `5000/h`.
    #[serde(default)]
    pub per_host: Option<String>,
    /// How many requests may follow each other at once after a pause (default 1).
    #[serde(default)]
    pub burst: Option<u32>,
    /// The header that says how many requests are left.
    #[serde(default)]
    pub remaining_header: Option<String>,
    /// The header that says when there are more again.
    #[serde(default)]
    pub reset_header: Option<String>,
    /// What stands in it (default `unix_s`).
    #[serde(default)]
    pub reset_format: ResetFormat,
}

/// What a reset header holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetFormat {
    /// Seconds since 1970.
    #[default]
    UnixS,
    /// Milliseconds since 1970.
    UnixMs,
    /// Seconds from now.
    DeltaS,
}

/// How long things may take; durations as `30s`, `5m` or `PT5M`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// To connect (default `10s`).
    #[serde(default)]
    pub connect: Option<String>,
    /// Between two pieces of an answer (default `60s`).
    #[serde(default)]
    pub idle: Option<String>,
    /// For one attempt of a request, its answer included (default `30m`).
    #[serde(default)]
    pub attempt: Option<String>,
    /// For the whole run (default: none).
    #[serde(default)]
    pub run: Option<String>,
}

/// How often and how long failed requests are tried again: with exponentially growing waits, of which a
/// random part is taken (full jitter), or as long as the server says.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The most attempts of one request (default 6).
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_attempts: Option<u32>,
    /// The most time for one request with all its attempts (default `30m`).
    #[serde(default)]
    pub max_elapsed: Option<String>,
    /// The first wait's upper bound (default `1s`); it doubles with every attempt.
    #[serde(default)]
    pub backoff: Option<String>,
    /// The longest of these waits (default `60s`).
    #[serde(default)]
    pub max_backoff: Option<String>,
    /// The longest wait that a server may ask for (default `15m`); beyond it the run fails, to be tried
    /// again.
    #[serde(default)]
    pub max_wait: Option<String>,
}
