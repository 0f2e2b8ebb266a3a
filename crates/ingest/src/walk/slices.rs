//! The partitions of a stream (I6): its lists, each with each, and its parents.

use crate::page::{JsonPath, find, text_of};
use crate::secrets::Redactor;
use crate::source::plan::{Parent, Stream};

/// The fields of a parent's record that its children's requests use.
pub(crate) type ParentRecord = Vec<(JsonPath, Option<String>)>;

/// One partition: the values that its requests are made with.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Partition {
    pub(crate) values: Vec<(String, String)>,
    pub(crate) parent: ParentRecord,
}

impl Partition {
    /// What names the partition in states and messages; empty for the only one of a stream.
    pub(crate) fn key(&self, redactor: &Redactor) -> String {
        // No value may look like the next pair: two partitions never have one key.
        let plain =
            |value: &str| redactor.clean_value(value).replace('%', "%25").replace('&', "%26");
        let values = self.values.iter().map(|(name, value)| format!("{name}={}", plain(value)));
        let parent = self.parent.iter().map(|(path, value)| {
            let value = plain(value.as_deref().unwrap_or_default());
            format!("parent{}={value}", path.to_string().trim_start_matches('$'))
        });
        values.chain(parent).collect::<Vec<_>>().join("&")
    }
}

/// All partitions of a stream: each combination of its values, for each parent if it has one.
pub(crate) fn partitions_of(stream: &Stream, parents: Option<&[ParentRecord]>) -> Vec<Partition> {
    let none = [ParentRecord::new()];
    let mut partitions: Vec<Partition> = parents
        .unwrap_or(&none)
        .iter()
        .map(|parent| Partition { values: Vec::new(), parent: parent.clone() })
        .collect();
    for (name, values) in &stream.partitions {
        partitions = partitions
            .iter()
            .flat_map(|partition| {
                values.iter().map(|value| {
                    let mut partition = partition.clone();
                    partition.values.push((name.clone(), value.clone()));
                    partition
                })
            })
            .collect();
    }
    partitions
}

/// What children use of a record.
pub(crate) fn parent_record(parent: &Parent, record: &[u8]) -> ParentRecord {
    let value = |path: &JsonPath| {
        find(record, path).and_then(|raw| text_of(raw).map(|text| text.into_owned()))
    };
    parent.fields.iter().map(|path| (path.clone(), value(path))).collect()
}
