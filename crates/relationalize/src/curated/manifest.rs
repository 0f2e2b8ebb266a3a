//! The commit record of `curated/`: what is in the manifest counts, what is not does not exist.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::relation::{Layout, Naming};
use crate::shape::StoredPath;

/// The version of the manifest's form.
pub const FORMAT: u32 = 1;

/// The whole state of a curated place after a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Number of the commit, from 1; also the name of the file.
    pub sequence: u64,
    /// The runs that led here, oldest first; the last one made this manifest.
    pub runs: Vec<RunRecord>,
    /// The entities, by root table name.
    pub entities: BTreeMap<String, Entity>,
    /// The files of `_quarantine/`.
    pub quarantine: Vec<DataFile>,
}

impl Manifest {
    /// The manifest that a run which changes nothing would commit after this one.
    pub(crate) fn next(&self, run_id: &str, committed_at: &str, command: &str) -> Manifest {
        let sequence = self.sequence + 1;
        let mut manifest = Manifest { format: FORMAT, sequence, ..self.clone() };
        manifest.runs.push(RunRecord {
            sequence,
            run_id: run_id.to_owned(),
            committed_at: committed_at.to_owned(),
            command: command.to_owned(),
            rewound_to: None,
            entities: Vec::new(),
        });
        manifest
    }

    /// The rewind that took a run back, for all entities or for some (R20).
    pub(crate) fn rewound_by(&self, run: &RunRecord) -> Option<&RunRecord> {
        let takes_back = |later: &&RunRecord| {
            later.sequence > run.sequence && later.rewound_to.is_some_and(|to| to < run.sequence)
        };
        self.runs.iter().find(takes_back)
    }
}

/// A committed run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its number.
    pub sequence: u64,
    /// Its id.
    pub run_id: String,
    /// When it committed, RFC 3339.
    pub committed_at: String,
    /// What it did: `relationalize`, `bookmark reset`, `bookmark rewind`.
    pub command: String,
    /// The run that a rewind went back to: those between it and this one were taken back (R20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewound_to: Option<u64>,
    /// The entities whose bookmark a reset or a rewind changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<String>,
}

impl RunRecord {
    /// Of the first run of a place: tells it from all other places, also from one that was made anew
    /// under the same address.
    pub fn fingerprint(&self) -> String {
        let text = format!("{} {}", self.run_id, self.committed_at);
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
    }
}

/// One entity: a root table and what hangs below it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Entity {
    /// The names in use.
    pub naming: Naming,
    /// The declared key, as given.
    pub key: Vec<String>,
    /// The run that wrote this entity last.
    pub sequence: u64,
    /// The run that replaced its tables last; files are no older.
    pub replaced: u64,
    /// Number that the next record gets (`_seq`).
    pub next_record: u64,
    /// Join keys given out so far by the Glue profile, by array path (R7).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub joins: BTreeMap<String, u64>,
    /// Key of the file that holds the [`StoredShape`].
    pub shape: String,
    /// Key of the file that holds the [`Bookmark`], when there is one (R20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bookmark: Option<String>,
    /// The files of every table, by table name, in order.
    pub tables: BTreeMap<String, Vec<DataFile>>,
}

/// A Parquet file that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its key below the curated place.
    pub key: String,
    /// Rows.
    pub num_rows: u64,
    /// Bytes.
    pub size_bytes: u64,
    /// The run whose records it holds.
    pub sequence: u64,
    /// The entity whose records it holds; said of quarantine files, which are of no table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
}

/// Shape and layout of an entity, in a file of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StoredShape {
    /// The paths, in order of first appearance.
    pub paths: Vec<StoredPath>,
    /// The tables.
    pub layout: Layout,
}

/// What has been read (R20).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Bookmark {
    /// Where the keys of objects begin; not known of bookmarks that are older than this, nor of landing zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The objects, in the order in which they were read; one that changed stands here again.
    pub objects: Vec<ReadObject>,
}

/// An object that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadObject {
    /// Its key below the input.
    pub key: String,
    /// Bytes.
    pub size_bytes: u64,
    /// The store's fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Last change in microseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_us: Option<i64>,
    /// The run that read it.
    pub sequence: u64,
}
