//! One stream's log of commits: the writer's side.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys::{InvalidName, sequence_of};
use super::manifest::{RunBegin, Snapshot};
use super::{Manifest, Mode, PartitionStates, StreamName};
use crate::{Creation, Place, PlaceError};

/// Snapshots of the state that are kept, for whoever wants to look back.
const NUM_KEPT_SNAPSHOTS: usize = 10;
/// The format that is written, and the newest that is read.
pub(super) const VERSION: u32 = 1;

/// Why a stream's log could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RawError {
    /// The place failed.
    #[error(transparent)]
    Place(#[from] PlaceError),

    /// A name cannot be part of a key.
    #[error(transparent)]
    Name(#[from] InvalidName),

    /// A file of the log is not what it should be.
    #[error("`{address}` is not a file that `ingest` wrote")]
    Malformed {
        /// Where it stands.
        address: String,
        /// What is wrong.
        source: serde_json::Error,
    },

    /// A newer program wrote it.
    #[error("`{address}` has format version {found}; this program reads up to {VERSION}")]
    TooNew {
        /// Where it stands.
        address: String,
        /// Its version.
        found: u64,
    },

    /// A commit is missing among others.
    #[error("`{address}` is missing: later commits stand, and what it says is not known")]
    Gap {
        /// Where it should be.
        address: String,
    },

    /// A part that counts is not there, or not as it was committed.
    #[error(transparent)]
    Lost(#[from] LostPart),
}

/// A part that a manifest names, and that is not there as it was committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` {}: `{manifest}` names it with {size_bytes} bytes", state(*.found_bytes))]
pub struct LostPart {
    /// Its key below `raw/`.
    pub key: String,
    /// Where it should be.
    pub address: String,
    /// The manifest that names it.
    pub manifest: String,
    /// The bytes that it was committed with.
    pub size_bytes: u64,
    /// The bytes that are there; `None` when it is gone.
    pub found_bytes: Option<u64>,
}

fn state(found_bytes: Option<u64>) -> String {
    match found_bytes {
        None => "was committed and is gone".to_owned(),
        Some(bytes) => format!("has {bytes} bytes, other than it was committed"),
    }
}

/// The log of one stream in `raw/`.
#[derive(Debug, Clone)]
pub struct StreamLog {
    place: Place,
    name: StreamName,
}

/// How far a log has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The number of the last commit; 0 before the first.
    pub sequence: u64,
    /// The state after it, of all partitions.
    pub state: PartitionStates,
    /// Whether the run that asks is committed to its end already.
    pub is_run_committed: bool,
    /// The records that it has committed already, when it began before.
    pub num_records_of_run: u64,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// It stands.
    Committed,
    /// Another run committed under that number first, and this commit changed nothing.
    Overtaken,
}

impl Head {
    fn of(snapshot: Snapshot) -> Self {
        let Snapshot { sequence, state, .. } = snapshot;
        Self { sequence, state, is_run_committed: false, num_records_of_run: 0 }
    }
}

impl StreamLog {
    /// The log of the stream `name` in `place`.
    pub fn new(place: &Place, name: &StreamName) -> Self {
        Self { place: place.clone(), name: name.clone() }
    }

    /// The stream.
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// How far the log has come, for a run that begins or begins again.
    ///
    /// Costs five requests or so, however long the log is.
    ///
    /// # Errors
    ///
    /// The place fails, or a file of the log is not what it should be.
    pub async fn begin(&self, run_id: &str) -> Result<Head, RawError> {
        let snapshot = self.newest_snapshot().await?;
        let key = self.name.run(run_id)?;
        let begin = RunBegin {
            version: VERSION,
            run_id: run_id.to_owned(),
            after_sequence: snapshot.sequence,
        };
        let before = match self.place.create(&key, json(&begin)).await? {
            Creation::Created => None,
            Creation::AlreadyExists => Some(self.read::<RunBegin>(&key).await?.after_sequence),
        };
        // A run that began before is looked for from where it began.
        let mut head = Head::of(snapshot);
        for sequence in before.unwrap_or(head.sequence) + 1.. {
            let Some(manifest) = self.manifest(sequence).await? else { break };
            if manifest.run_id == run_id {
                head.is_run_committed |= manifest.is_last_of_run;
                let files = manifest.files.iter();
                head.num_records_of_run += files.map(|file| file.num_records).sum::<u64>();
            }
            // What the snapshot knows is newer.
            if sequence > head.sequence {
                head.sequence = sequence;
                follow(&mut head.state, manifest);
            }
        }
        Ok(head)
    }

    /// How far the log has come, for who only looks.
    ///
    /// # Errors
    ///
    /// As [`StreamLog::begin`].
    pub async fn head(&self) -> Result<Head, RawError> {
        let mut head = Head::of(self.newest_snapshot().await?);
        while let Some(manifest) = self.manifest(head.sequence + 1).await? {
            head.sequence += 1;
            follow(&mut head.state, manifest);
        }
        Ok(head)
    }

    /// Commits: from now on, the parts that the manifest names count, and the state is the one it gives.
    ///
    /// `state_after` is the state of all partitions with this commit. An answer of the store that got lost is
    /// no matter: what stands there is compared.
    ///
    /// # Errors
    ///
    /// The place fails. Whether the commit stands is not known then; [`StreamLog::begin`] tells.
    pub async fn commit(
        &self,
        manifest: &Manifest,
        state_after: &PartitionStates,
    ) -> Result<Commit, RawError> {
        let key = self.name.manifest(manifest.sequence);
        if self.place.create(&key, json(manifest)).await? == Creation::AlreadyExists {
            let there: Manifest = self.read(&key).await?;
            if there != *manifest {
                return Ok(Commit::Overtaken);
            }
        }
        let snapshot =
            Snapshot { version: VERSION, sequence: manifest.sequence, state: state_after.clone() };
        // One that stands there already is of this very commit.
        let _ = self.place.create(&self.name.state(manifest.sequence), json(&snapshot)).await?;
        self.drop_old_snapshots().await?;
        Ok(Commit::Committed)
    }

    /// A commit by its number, `None` when there is none yet.
    ///
    /// # Errors
    ///
    /// The place fails, or the file is not a manifest.
    pub async fn manifest(&self, sequence: u64) -> Result<Option<Manifest>, RawError> {
        match self.read(&self.name.manifest(sequence)).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(RawError::Place(error)) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The newest snapshot of the state; without any, all of the log is folded into one.
    async fn newest_snapshot(&self) -> Result<Snapshot, RawError> {
        let newest = self.snapshots().await?.last().copied();
        if let Some(sequence) = newest {
            return self.read(&self.name.state(sequence)).await;
        }
        let mut snapshot =
            Snapshot { version: VERSION, sequence: 0, state: PartitionStates::new() };
        while let Some(manifest) = self.manifest(snapshot.sequence + 1).await? {
            snapshot.sequence += 1;
            follow(&mut snapshot.state, manifest);
        }
        Ok(snapshot)
    }

    async fn snapshots(&self) -> Result<Vec<u64>, RawError> {
        let objects = self.place.list_from(&self.name.states()).await?;
        let mut sequences: Vec<_> =
            objects.iter().filter_map(|object| sequence_of(&object.key)).collect();
        sequences.sort_unstable();
        Ok(sequences)
    }

    async fn drop_old_snapshots(&self) -> Result<(), RawError> {
        let sequences = self.snapshots().await?;
        let num_old = sequences.len().saturating_sub(NUM_KEPT_SNAPSHOTS);
        let old: Vec<_> = sequences[..num_old].iter().map(|n| self.name.state(*n)).collect();
        if !old.is_empty() {
            self.place.delete(&old).await?;
        }
        Ok(())
    }

    async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<T, RawError> {
        read(&self.place, key).await
    }
}

/// The state with one more commit. One that replaces takes the states of what it replaces along: records that are
/// gone were not read.
fn follow(state: &mut PartitionStates, manifest: Manifest) {
    if manifest.mode == Mode::Replace {
        state.clear();
    }
    state.extend(manifest.state);
}

/// Reads a file of the log, and refuses versions that are not known.
pub(super) async fn read<T: DeserializeOwned>(place: &Place, key: &str) -> Result<T, RawError> {
    let bytes = place.read(key).await?;
    let malformed = |source| RawError::Malformed { address: place.address(key), source };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(malformed)?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(found) if found > u64::from(VERSION) => {
            Err(RawError::TooNew { address: place.address(key), found })
        }
        _ => serde_json::from_value(value).map_err(malformed),
    }
}

fn json(value: &impl Serialize) -> Bytes {
    // Strings, numbers and maps with text for keys: nothing that JSON cannot hold.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    Bytes::from(text + "\n")
}
