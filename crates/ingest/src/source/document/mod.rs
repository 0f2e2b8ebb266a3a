//! A source file as it is written: serde's types, which the JSON Schema and the reference are made from.
//!
//! ```text
//!   Document ──▶ connection.rs   auth.rs · rules.rs
//!            └─▶ stream.rs       paginate.rs · incremental.rs · job.rs · rules.rs
//!                values.rs       values of many keys
//! ```
//!
//! Nothing is checked here beyond names and kinds; `compile/` makes the request plan of it. The comments of the
//! fields are what editors show and docs/sources.md prints.

mod auth;
mod connection;
mod incremental;
mod job;
mod paginate;
mod rules;
mod stream;
mod values;

use schemars::JsonSchema;
use serde::Deserialize;

pub use auth::{Auth, ClientAuth, Login, TokenPlace};
pub use connection::{Connection, RateLimit, ResetFormat, Retry, Timeouts};
pub use incremental::{CursorFormat, Incremental, Order};
pub use job::{Job, JobRequest, Poll};
pub use paginate::{PagePlace, Paginate, StopOn};
pub use rules::{Action, Rule, When};
pub use stream::{Csv, Format, Parent, Stream, WriteMode};
pub use values::{Method, OneOrMany, Param, Scalar};

use super::ordered::Ordered;

/// One API: how to reach it, and the streams that are read from it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The version of this format: 1.
    pub version: u32,
    /// The name of the source in `raw/`; the name of the file without it.
    #[serde(default)]
    pub name: Option<String>,
    /// What people should know about it.
    #[serde(default)]
    pub description: Option<String>,
    /// Parameters that `--param NAME=VALUE` sets, and their defaults; `{param.NAME}` uses them. Without a
    /// default (`null`) one must be given.
    #[serde(default)]
    pub parameters: Ordered<Option<Scalar>>,
    /// How the API is reached.
    pub connection: Connection,
    /// What is read, by name: the root table of the records has the name too.
    pub streams: Ordered<Stream>,
}
