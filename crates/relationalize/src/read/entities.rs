//! Which objects belong to which root table (R3).

use std::collections::{BTreeMap, HashSet};

use solder_landing::raw::{CommittedStream, LostPart};
use solder_landing::{Landed, Object, entity_of};

use crate::curated::Bookmark;
use crate::error::Error;

use crate::relation::Naming;
use crate::relation::names::{BaseName, Request, assign, sql_segment};

/// The data files of an input, by entity.
#[derive(Debug, Default)]
pub struct Entities {
    /// By the name of the root table, sorted.
    pub entities: BTreeMap<String, EntityInput>,
    /// Objects that are no JSON by their name.
    pub num_ignored: u64,
}

/// The objects of one entity, in the order of their keys, or of their commits in a landing zone (R4).
#[derive(Debug, Default)]
pub struct EntityInput {
    /// The objects.
    pub objects: Vec<Object>,
    /// The streams of a landing zone that the objects are parts of: more than one only with `--table`.
    pub streams: Vec<CommittedStream>,
    /// Parts of theirs that are not there any more.
    pub lost: Vec<LostPart>,
}

impl EntityInput {
    /// The key that the streams declare (R8), as JSON paths; empty when they declare none.
    ///
    /// # Errors
    ///
    /// They declare several.
    pub fn declared_key(&self) -> Result<&[String], Error> {
        let Some((first, others)) = self.streams.split_first() else { return Ok(&[]) };
        match others.iter().find(|stream| stream.primary_key != first.primary_key) {
            None => Ok(&first.primary_key),
            Some(other) => Err(Error::Conflict(format!(
                "the streams `{}` and `{}` declare different keys, and are to be one table: give it \
                 its own with --key",
                first.name, other.name,
            ))),
        }
    }

    /// Whether a stream was replaced since it was read: parts that were read do not count any more (R20).
    pub fn was_replaced_since(&self, bookmark: &Bookmark) -> bool {
        let parts = self.streams.iter().flat_map(|stream| &stream.parts);
        let counting: HashSet<&str> = parts.map(|part| part.file.key.as_str()).collect();
        let folders: Vec<String> =
            self.streams.iter().map(|stream| format!("{}/", stream.name.data())).collect();
        let is_of_streams = |key: &str| folders.iter().any(|folder| key.starts_with(folder));
        let mut read = bookmark.objects.iter().map(|object| object.key.as_str());
        read.any(|key| is_of_streams(key) && !counting.contains(key))
    }
}

/// Sorts objects into entities: all into `table` when it is given, else by folder. Objects without
/// a folder make a table named like the input, or like themselves when the input names one file; how
/// many files a folder holds makes no difference to the name.
pub fn group(
    objects: Vec<Object>,
    table: Option<&str>,
    input_name: &str,
    naming: Naming,
    is_one_object: bool,
) -> Entities {
    let mut num_ignored = 0;
    let is_landing = objects.iter().any(|object| object.key.starts_with("data/source="));
    // By the name as it stands; several of them may give the same table name.
    let mut by_source: BTreeMap<String, EntityInput> = BTreeMap::new();
    for object in objects {
        let is_record = is_landing && !object.key.starts_with("data/");
        if is_record || (!is_json(&object.key) && !is_one_object) {
            num_ignored += 1;
            continue;
        }
        let source = match (table, entity_of(&object.key)) {
            (Some(table), _) => table,
            (None, Some(folder)) => folder,
            (None, None) if is_one_object => stem(&object.key),
            (None, None) => input_name,
        };
        by_source.entry(source.to_owned()).or_default().objects.push(object);
    }
    Entities { entities: named(by_source, naming), num_ignored }
}

/// Sorts what an input names of a landing zone into entities: all into `table` when it is given, else by
/// stream.
///
/// # Errors
///
/// Two sources have a stream of the same name.
pub fn group_landed(
    landed: Landed,
    table: Option<&str>,
    naming: Naming,
) -> Result<Entities, Error> {
    let mut by_stream: BTreeMap<String, EntityInput> = BTreeMap::new();
    for stream in landed.streams {
        let name = &stream.committed.name;
        let entity = by_stream.entry(table.unwrap_or(name.stream()).to_owned()).or_default();
        if let Some(other) = entity.streams.first().filter(|_| table.is_none()) {
            return Err(Error::SameStream {
                stream: name.stream().to_owned(),
                sources: [other.name.source().to_owned(), name.source().to_owned()],
                root: landed.root.to_string(),
            });
        }
        entity.streams.push(stream.committed);
        entity.objects.extend(stream.objects);
        entity.lost.extend(stream.lost);
    }
    Ok(Entities { entities: named(by_stream, naming), num_ignored: 0 })
}

/// The table names for what folders and streams are called.
fn named(
    by_source: BTreeMap<String, EntityInput>,
    naming: Naming,
) -> BTreeMap<String, EntityInput> {
    let names = match naming {
        Naming::Glue => by_source.keys().cloned().collect(),
        Naming::Sql => assign(&by_source.keys().map(|source| request(source)).collect::<Vec<_>>()),
    };
    names.into_iter().zip(by_source.into_values()).collect()
}

fn request(source: &str) -> Request {
    let name = sql_segment(source);
    let exact = name == source;
    Request::new(BaseName { name, exact }, source)
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
        let grouped = group(objects.clone(), None, "Raw Data", Naming::Sql, false);
        let names: Vec<_> =
            grouped.entities.iter().map(|(n, e)| (n.as_str(), e.objects.len())).collect();
        assert_eq!(names, [("donors", 2), ("raw_data", 2)]);
        assert_eq!(grouped.num_ignored, 1);
        assert_eq!(
            group(objects, Some("all"), "x", Naming::Sql, false).entities["all"].objects.len(),
            4
        );
        let one = |key: &str, is_one_object| {
            group(vec![object(key)], None, "x", Naming::Sql, is_one_object)
        };
        assert!(one("Orders.2024.json.gz", true).entities.contains_key("orders"));
        assert!(one("Orders.2024.json.gz", false).entities.contains_key("x"));
        // What is named itself is read whatever its ending, what lies in a folder is not (R1).
        assert!(one("orders.log", true).entities.contains_key("orders"));
        assert!(one("orders.log", false).entities.is_empty());
    }

    /// R3: folders whose names meet stay two tables, and a landing layout's own records are no data.
    #[test]
    fn r3_names_that_meet_and_landing_records() {
        let keys = ["Orders/a.json", "orders/b.json"];
        let grouped = group(keys.into_iter().map(object).collect(), None, "x", Naming::Sql, false);
        assert_eq!(grouped.entities.len(), 2);
        assert_eq!(grouped.entities["orders"].objects[0].key, "orders/b.json");
        let keys = ["data/source=s/stream=gifts/dt=d/run_id=r/part-0.ndjson", "manifests/s/r.json"];
        let grouped = group(keys.into_iter().map(object).collect(), None, "x", Naming::Sql, false);
        assert_eq!(grouped.entities.keys().collect::<Vec<_>>(), ["gifts"]);
        assert_eq!(grouped.num_ignored, 1);
    }
}
