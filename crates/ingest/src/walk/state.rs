//! What is known of a partition from one run to the next (I5).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The state of one partition, as it stands in manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionState {
    /// How far the stream is read, in the format of its cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
    /// The fingerprints, in hex, of the records that the next run will read again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seen: Vec<String>,
}

impl PartitionState {
    /// The state that a manifest holds. One that another program wrote is none.
    pub(crate) fn from_json(value: &Value) -> Self {
        serde_json::from_value(value.clone()).unwrap_or_default()
    }

    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    pub(crate) fn seen(&self) -> impl Iterator<Item = u128> {
        self.seen.iter().filter_map(|text| u128::from_str_radix(text, 16).ok())
    }
}
