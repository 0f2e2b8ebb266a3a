//! Rules on answers (I7).

use schemars::JsonSchema;
use serde::Deserialize;

use super::{OneOrMany, Scalar};
use crate::source::ordered::Ordered;

/// A rule: what to do with an answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which answers; all that is said must hold.
    pub when: When,
    /// What to do.
    #[serde(rename = "do")]
    pub action: Action,
    /// How long to wait before a retry, instead of a growing wait.
    #[serde(default)]
    pub wait: Option<String>,
    /// What to say when it fails.
    #[serde(default)]
    pub message: Option<String>,
}

/// Which answers a rule is for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// A status, a class such as `5xx`, or a list of them.
    #[serde(default)]
    pub status: Option<OneOrMany>,
    /// Headers and their values; `*` is any.
    #[serde(default)]
    pub header: Ordered<Scalar>,
    /// JSON paths of the body and their values; `*` is any but null.
    #[serde(default)]
    pub body: Ordered<Scalar>,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Try again, after a growing wait or as long as `Retry-After` says.
    Retry,
    /// Wait until the reset header's time, then try again.
    WaitReset,
    /// This partition or parent has nothing: go on with the next.
    SkipPartition,
    /// Take the answer as a page without records.
    Ignore,
    /// Take it as a good answer.
    Accept,
    /// The run fails.
    Fail,
}
