//! Which objects belong to which root table (R3).

use std::collections::BTreeMap;

use solder_landing::{Object, entity_of};

use crate::relation::names::sql_segment;

/// The data files of an input, by entity.
#[derive(Debug, Default)]
pub struct Entities {
    /// By the name of the root table, sorted.
    pub entities: BTreeMap<String, EntityInput>,
    /// Objects that are no JSON by their name.
    pub num_ignored: u64,
}

/// The objects of one entity, in the order of their keys (R4).
#[derive(Debug, Default)]
pub struct EntityInput {
    /// The objects.
    pub objects: Vec<Object>,
}

/// Sorts objects into entities: all into `table` when it is given, else by folder. Objects without
/// a folder make a table named like the input, or like themselves when the input names one file; how
/// many files a folder holds makes no difference to the name.
pub fn group(
    objects: Vec<Object>,
    table: Option<&str>,
    input_name: &str,
    is_one_object: bool,
) -> Entities {
    let mut grouped = Entities::default();
    for object in objects {
        if !is_json(&object.key) && !is_one_object {
            grouped.num_ignored += 1;
            continue;
        }
        let name = match (table, entity_of(&object.key)) {
            (Some(table), _) => table.to_owned(),
            (None, Some(folder)) => sql_segment(folder),
            (None, None) if is_one_object => sql_segment(stem(&object.key)),
            (None, None) => sql_segment(input_name),
        };
        grouped.entities.entry(name).or_default().objects.push(object);
    }
    grouped
}

const SUFFIXES: [&str; 3] = ["json", "ndjson", "jsonl"];
const COMPRESSIONS: [&str; 5] = ["gz", "zst", "bz2", "xz", "gzip"];

/// Whether a key names a data file (R1). The content decides on compression, so that a `.json` that
/// is gzip is read as well.
fn is_json(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
    let plain = match name.rsplit_once('.') {
        Some((rest, end)) if COMPRESSIONS.contains(&end) => rest.to_owned(),
        _ => name,
    };
    plain.rsplit_once('.').is_some_and(|(_, end)| SUFFIXES.contains(&end))
}

/// A file's name without folder and endings.
fn stem(key: &str) -> &str {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.split('.').find(|part| !part.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn object(key: &str) -> Object {
        Object { key: key.to_owned(), size_bytes: 1, modified_us: None, etag: None }
    }

    /// R1: names that are data, and those left alone.
    #[rstest]
    #[case("a.json", true)]
    #[case("x/a.ndjson.gz", true)]
    #[case("a.JSONL.ZST", true)]
    #[case("a.json.xz", true)]
    #[case("a.csv", false)]
    #[case("README.md", false)]
    #[case("json", false)]
    fn r1_data_files(#[case] key: &str, #[case] expected: bool) {
        assert_eq!(is_json(key), expected);
    }

    /// R3: the first folder names the table, a landing layout's stream does, `--table` wins.
    #[test]
    fn r3_entities() {
        let keys = ["donors/a.json", "donors/2024/b.json", "b.json", "x/notes.txt", "c.json"];
        let objects: Vec<_> = keys.into_iter().map(object).collect();
        let grouped = group(objects.clone(), None, "Raw Data", false);
        let names: Vec<_> =
            grouped.entities.iter().map(|(n, e)| (n.as_str(), e.objects.len())).collect();
        assert_eq!(names, [("donors", 2), ("raw_data", 2)]);
        assert_eq!(grouped.num_ignored, 1);
        assert_eq!(group(objects, Some("all"), "x", false).entities["all"].objects.len(), 4);
        let one = |key: &str, is_one_object| group(vec![object(key)], None, "x", is_one_object);
        assert!(one("Orders.2024.json.gz", true).entities.contains_key("orders"));
        assert!(one("Orders.2024.json.gz", false).entities.contains_key("x"));
        // What is named itself is read whatever its ending, what lies in a folder is not (R1).
        assert!(one("orders.log", true).entities.contains_key("orders"));
        assert!(one("orders.log", false).entities.is_empty());
    }
}
