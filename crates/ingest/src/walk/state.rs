//! What is known of a partition from one run to the next (I5).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::known::Seen;
use crate::source::document::CursorFormat;

/// The state of one partition, as it stands in manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionState {
    /// How far the stream is read, in the format of its cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
    /// The records that the next run will read again: fingerprint in hex, a space, and the cursor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seen: Vec<String>,
    /// The run that came so far, where it may be cut (I15): under its id, it goes on from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<RunMark>,
}

/// How far a run has come with a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunMark {
    /// The run's id.
    pub(crate) id: String,
    /// The end of the last window that was read whole (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<String>,
    /// Whether it has read the partition to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_over: bool,
}

impl PartitionState {
    /// The state that a manifest holds. One that another program wrote is none.
    pub(crate) fn from_json(value: &Value) -> Self {
        serde_json::from_value(value.clone()).unwrap_or_default()
    }

    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What the run of this id has left here.
    pub(crate) fn mark_of(&self, run_id: &str) -> Option<&RunMark> {
        self.run.as_ref().filter(|mark| mark.id == run_id)
    }

    pub(crate) fn seen(&self, format: &CursorFormat) -> impl Iterator<Item = Seen> {
        self.seen.iter().filter_map(|text| {
            let (fingerprint, cursor) = match text.split_once(' ') {
                Some((fingerprint, cursor)) => (fingerprint, format.parse(cursor).ok()),
                None => (text.as_str(), None),
            };
            Some((u128::from_str_radix(fingerprint, 16).ok()?, cursor))
        })
    }

    pub(crate) fn seen_text((fingerprint, cursor): &Seen, format: &CursorFormat) -> String {
        match cursor {
            Some(cursor) => format!("{fingerprint:032x} {}", format.text(cursor)),
            None => format!("{fingerprint:032x}"),
        }
    }
}
