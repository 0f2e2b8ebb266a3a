//! Only what is new (I5).

use schemars::JsonSchema;
use serde::Deserialize;

use super::Scalar;

/// Read only what is new since the last run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incremental {
    /// The field that grows with every change: a name or JSON path.
    pub cursor: String,
    /// How it is written (default `rfc3339`), and also `{cursor.start}` and the windows in requests.
    #[serde(default)]
    pub format: CursorFormat,
    /// Where the first run begins, in that format or as RFC 3339.
    #[serde(default)]
    pub initial: Option<Scalar>,
    /// How far back each run reads again, for records that came late, for instance `PT5M`.
    #[serde(default)]
    pub lookback: Option<String>,
    /// How far before now a run ends, for APIs that show records late (default `PT1M` with windows).
    #[serde(default)]
    pub lag: Option<String>,
    /// The length of one window, for instance `P30D`; `{window.start}` and `{window.end}` say where it is.
    #[serde(default)]
    pub window: Option<String>,
    /// The order in which the API gives records. In ascending order every page counts at once; else a
    /// window counts when it is whole (default `none`).
    #[serde(default)]
    pub order: Order,
}

/// How a cursor is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CursorFormat {
    /// A time with its zone, `2024-05-01T12:00:00Z`.
    #[default]
    Rfc3339,
    /// A day, `2024-05-01`.
    Date,
    /// Seconds since 1970.
    UnixS,
    /// Milliseconds since 1970.
    UnixMs,
    /// A number that grows, for instance an id.
    Integer,
    /// A text that grows, compared byte by byte.
    Text,
}

/// The order in which an API gives records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The oldest first.
    Asc,
    /// The newest first.
    Desc,
    /// None that can be relied on.
    #[default]
    None,
}
