//! A curated place: its manifests, and the only way in for new files.
//!
//! ```text
//!   curated/
//!     orders/<run>-0.parquet           committed files, found through the manifest
//!     _quarantine/<run>-0.parquet
//!     _solder/manifests/00…07.json     the commit: created once, never changed
//!             shapes/  bookmarks/      what manifests refer to
//!             staging/<run>/           files of runs that have not committed
//!             running/<run>            says that a run is alive
//!             running/planned-<n>/     plans of runs whose shards are at work, made on commit n
//! ```
//!
//! A commit brings the staged files to their folders (a store copies, and what was staged goes at the
//! end of the run, all at once), creates the next manifest if no other run was
//! first, and then removes what the manifest no longer names. A run that dies leaves files that no
//! manifest names; the next run removes them.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use solder_landing::{Creation, Object, Place, PlaceError};

use crate::error::Error;
use crate::io::Io;
use solder_landing::pause_at;

use super::manifest::{Bookmark, Entity, FORMAT, Manifest, StoredShape};

/// What the marker of a run says.
const MARKER: Bytes = Bytes::from_static(b"running\n");
/// A run in a store says this often that it is alive,
const HEARTBEAT_SECONDS: u64 = 60;
/// and counts as dead when it has not for this long.
const DEAD_AFTER_US: i64 = 300 * 1_000_000;

/// A curated place.
#[derive(Clone)]
pub struct Curated {
    io: Arc<Io>,
    place: Place,
}

/// A file that a commit moves to where it is visible.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Key below the run's staging place.
    pub staged: String,
    /// Key below the curated place.
    pub key: String,
}

/// Says that a run is alive as long as it exists.
pub struct Running {
    curated: Curated,
    key: String,
    /// Locked on disk: the system releases the lock of a process that dies.
    _lock: Option<File>,
    heartbeat: Option<tokio::task::JoinHandle<()>>,
    keeps_staging: bool,
}

impl Running {
    /// Leaves what is staged where it is, for it took others to write it.
    pub fn keep_staging(&mut self) {
        self.keeps_staging = true;
    }

    /// Ends with the plan that it has committed.
    pub fn end_plan(&mut self, key: &str) {
        self.keeps_staging = false;
        // Void since the commit, the plan goes with the next run otherwise.
        let _ = self.curated.io.wait(self.curated.place.delete(&[key]));
        if let Some(folder) = self.curated.place.local_path(key).as_deref().and_then(Path::parent) {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

impl Curated {
    /// The curated place that a text names.
    ///
    /// # Errors
    ///
    /// The text names no place.
    pub fn open(io: Arc<Io>, text: &str) -> Result<Curated, Error> {
        Ok(Curated { io, place: Place::parse(text)? })
    }

    /// The place itself.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The bridge to the place's store.
    pub(crate) fn io(&self) -> &Arc<Io> {
        &self.io
    }

    /// Where a run puts its files before it commits.
    pub fn staging(&self, run_id: &str) -> Result<Place, Error> {
        Ok(self.place.folder(&format!("_solder/staging/{run_id}"))?)
    }

    /// The state after the last commit; empty when there was none.
    ///
    /// # Errors
    ///
    /// The place cannot be read, or the manifest is damaged or from a newer version.
    pub fn latest(&self) -> Result<Manifest, Error> {
        self.latest_since(Manifest { format: FORMAT, ..Manifest::default() })
    }

    /// The state after the last commit, when `known` was the state a moment ago: read only if there
    /// is a newer one.
    ///
    /// # Errors
    ///
    /// As [`Curated::latest`].
    pub(crate) fn latest_since(&self, known: Manifest) -> Result<Manifest, Error> {
        let manifests = self.io.wait(self.place.list_from("_solder/manifests"))?;
        let Some(last) = manifests.iter().rfind(|object| object.key.ends_with(".json")) else {
            return Ok(known);
        };
        if last.key == manifest_key(known.sequence) {
            return Ok(known);
        }
        let manifest: Manifest = self.read_json(&last.key)?;
        if manifest.format > FORMAT {
            let key = self.place.address(&last.key);
            return Err(Error::Newer { key, format: manifest.format, known: FORMAT });
        }
        Ok(manifest)
    }

    /// The state after commit `sequence`.
    ///
    /// # Errors
    ///
    /// The place cannot be read, or has no such commit.
    pub(crate) fn manifest(&self, sequence: u64) -> Result<Manifest, Error> {
        self.read_json(&manifest_key(sequence))
    }

    /// Shape and tables of an entity.
    ///
    /// # Errors
    ///
    /// The place cannot be read.
    pub fn shape(&self, entity: &Entity) -> Result<StoredShape, Error> {
        self.read_json(&entity.shape)
    }

    /// What an entity has read; empty without a bookmark.
    ///
    /// # Errors
    ///
    /// The place cannot be read.
    pub fn bookmark(&self, entity: &Entity) -> Result<Bookmark, Error> {
        entity.bookmark.as_ref().map_or_else(|| Ok(Bookmark::default()), |key| self.read_json(key))
    }

    fn read_json<T: DeserializeOwned>(&self, key: &str) -> Result<T, Error> {
        self.json_of(&self.place, key)
    }

    /// What a file of a run holds.
    ///
    /// # Errors
    ///
    /// The place cannot be read, or the file is damaged.
    pub(crate) fn json_of<T: DeserializeOwned>(
        &self,
        place: &Place,
        key: &str,
    ) -> Result<T, Error> {
        let bytes = self.io.wait(place.read(key))?;
        serde_json::from_slice(&bytes)
            .map_err(|source| Error::Manifest { key: place.address(key), source: source.into() })
    }

    /// Creates a file of a run, if it is not there.
    ///
    /// # Errors
    ///
    /// The place refuses.
    pub(crate) fn create_json(
        &self,
        place: &Place,
        key: &str,
        value: &impl Serialize,
    ) -> Result<Creation, Error> {
        Ok(self.io.wait(place.create(key, to_json(key, value)?))?)
    }

    /// Creates the plan of a run upon commit `sequence`, if it is not there.
    ///
    /// # Errors
    ///
    /// The place refuses.
    pub(crate) fn create_plan(
        &self,
        sequence: u64,
        run_id: &str,
        plan: &impl Serialize,
    ) -> Result<Creation, Error> {
        self.create_json(&self.place, &format!("{PLANNED}{sequence:020}/{run_id}.json"), plan)
    }

    /// The plan of a run: the commit that it was made upon, its key, and what it says. The newest, if there
    /// are several; `None` without one.
    ///
    /// # Errors
    ///
    /// The place cannot be read, or the plan is damaged.
    pub(crate) fn plan<T: DeserializeOwned>(
        &self,
        run_id: &str,
    ) -> Result<Option<(u64, String, T)>, Error> {
        let running = self.io.wait(self.place.list_from("_solder/running"))?;
        let plans = running.iter().filter_map(|object| Some((planned(&object.key)?, object)));
        let mut own = plans.filter(|((_, run), _)| *run == run_id);
        let Some(((sequence, _), object)) = own.next_back() else { return Ok(None) };
        Ok(Some((sequence, object.key.clone(), self.read_json(&object.key)?)))
    }

    /// Stages a file that a manifest will refer to.
    ///
    /// # Errors
    ///
    /// The place refuses.
    pub fn stage_json(
        &self,
        staging: &Place,
        publication: &Publication,
        value: &impl Serialize,
    ) -> Result<(), Error> {
        let bytes = to_json(&publication.key, value)?;
        Ok(self.io.wait(staging.write(&publication.staged, bytes))?)
    }

    /// Says that the run is alive, and removes what dead ones left behind. On disk, waits for a run of
    /// the same id: what it did is in [`Curated::latest`] afterwards.
    ///
    /// # Errors
    ///
    /// The place refuses.
    pub fn begin(&self, run_id: &str) -> Result<Running, Error> {
        let key = format!("_solder/running/{run_id}");
        let (is_new, lock, heartbeat) = match self.place.local_path(&key) {
            Some(path) => {
                let (is_new, lock) = self.lock(&key, &path)?;
                (is_new, Some(lock), None)
            }
            None => {
                self.io
                    .wait(self.place.write(&key, MARKER))
                    .map_err(|error| self.refused(error))?;
                (true, None, Some(self.heartbeat(key.clone())))
            }
        };
        let running =
            Running { curated: self.clone(), key, _lock: lock, heartbeat, keeps_staging: false };
        self.remove_dead(&running.key, is_new)?;
        Ok(running)
    }

    /// The marker of a run on disk, locked, and whether no earlier run had left it there.
    fn lock(&self, key: &str, path: &Path) -> Result<(bool, File), Error> {
        let failed = |source| Error::Write { key: path.display().to_string(), source };
        loop {
            let created = self.io.wait(self.place.create(key, MARKER));
            let created = created.map_err(|error| self.refused(error))?;
            let lock = match File::open(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                opened => opened.map_err(failed)?,
            };
            lock.lock().map_err(failed)?;
            // The run that had the lock before may have removed the marker with its end.
            if is_at(&lock, path) {
                return Ok((matches!(created, Creation::Created), lock));
            }
        }
    }

    /// The marker is the first thing that is written: what keeps it from the place keeps all from it.
    fn refused(&self, source: PlaceError) -> Error {
        Error::Output { place: self.place.to_string(), source }
    }

    fn heartbeat(&self, key: String) -> tokio::task::JoinHandle<()> {
        let place = self.place.clone();
        self.io.spawn(async move {
            loop {
                tokio::time::sleep(std::time::Duration::from_secs(HEARTBEAT_SECONDS)).await;
                // One that fails is followed by others before the run counts as dead.
                let _ = place.write(&key, MARKER).await;
            }
        })
    }

    fn remove_dead(&self, own: &str, is_new: bool) -> Result<(), Error> {
        let mut running = self.io.wait(self.place.list_from("_solder/running"))?;
        let is_other = |object: &&Object| object.key != own;
        let mut state = match running.iter().any(|object| planned(&object.key).is_some()) {
            true => Some(self.latest()?),
            false => None,
        };
        let is_dead = |object: &Object| self.dead(object, &running, state.as_ref()).is_some();
        if is_new && !running.iter().filter(is_other).any(is_dead) {
            return Ok(());
        }
        // In this order: a file that is listed belongs to a run that is listed after it, or to one
        // that has ended since, and then the manifest read last knows it.
        let objects = self.io.wait(self.place.list())?;
        running = self.io.wait(self.place.list_from("_solder/running"))?;
        let manifest = self.latest()?;
        state = Some(manifest);
        let (mut alive, mut dead, mut locks) = (Vec::new(), Vec::new(), Vec::new());
        for object in running.iter().filter(is_other) {
            match self.dead(object, &running, state.as_ref()) {
                Some(lock) => {
                    dead.push(object.key.clone());
                    locks.push(lock);
                }
                None => alive.push(run_of(&object.key)),
            }
        }
        let named = state.as_ref().map(named_files).unwrap_or_default();
        let mut garbage: Vec<String> = objects
            .into_iter()
            .map(|object| object.key)
            .filter(|key| {
                let of_alive = alive.iter().any(|run| key.contains(run));
                is_of_runs(key) && !of_alive && !named.contains(key.as_str())
            })
            .collect();
        garbage.extend(dead);
        let removed = self.io.wait(self.place.delete(&garbage));
        // Held until here, so that no run begins under a marker that is about to go.
        drop(locks);
        Ok(removed?)
    }

    /// Whether the run of a marker is dead, and on disk the lock that proves it. A plan is, when there is
    /// a newer commit than that which it was made upon.
    fn dead(
        &self,
        marker: &Object,
        running: &[Object],
        state: Option<&Manifest>,
    ) -> Option<Option<File>> {
        if let Some((sequence, _)) = planned(&marker.key) {
            return state.is_some_and(|state| state.sequence != sequence).then_some(None);
        }
        if let Some(path) = self.place.local_path(&marker.key) {
            let file = File::open(path).ok()?;
            return file.try_lock().is_ok().then_some(Some(file));
        }
        // The store's own clock, as it stamped the newest marker.
        let now = running.iter().filter_map(|object| object.modified_us).max()?;
        (now - marker.modified_us? > DEAD_AFTER_US).then_some(None)
    }

    /// Makes the staged files of a run and its manifest the state of the place, if no other run has
    /// committed since `before`; then removes the files that only `before` named.
    ///
    /// # Errors
    ///
    /// The place refuses, or another run was first ([`Error::Contended`]); then what was committed
    /// before is as it was. A failure to remove old files comes after the commit and is no error:
    /// no manifest names them.
    pub fn commit(
        &self,
        before: &Manifest,
        manifest: &Manifest,
        publications: &[Publication],
    ) -> Result<(), Error> {
        let run_id = manifest.runs.last().map_or("", |run| run.run_id.as_str());
        let staging = format!("_solder/staging/{run_id}");
        pause_at("before-publish");
        let published: Vec<&str> = publications.iter().map(|file| file.key.as_str()).collect();
        if let Err(error) = self.publish(&staging, publications) {
            let _ = self.io.wait(self.place.delete(&published));
            return Err(error);
        }
        pause_at("before-manifest");
        let key = manifest_key(manifest.sequence);
        let bytes = to_json(&key, manifest)?;
        match self.io.wait(self.place.create(&key, bytes))? {
            Creation::Created => {}
            Creation::AlreadyExists => {
                // A store's client repeats a request whose answer was lost: it may be our own.
                let found: Manifest = self.read_json(&key)?;
                let other = found.runs.last().map_or("", |run| run.run_id.as_str());
                if other != run_id {
                    self.io.wait(self.place.delete(&published))?;
                    return Err(Error::Contended { other: other.to_owned() });
                }
            }
        }
        pause_at("after-manifest");
        let named = named_files(manifest);
        let old: Vec<&str> =
            named_files(before).into_iter().filter(|key| !named.contains(key)).collect();
        let _ = self.io.wait(self.place.delete(&old));
        pause_at("after-cleaning");
        Ok(())
    }

    fn publish(&self, staging: &str, publications: &[Publication]) -> Result<(), Error> {
        let moves: Vec<(String, String)> = publications
            .iter()
            .map(|file| (format!("{staging}/{}", file.staged), file.key.clone()))
            .collect();
        // The first file is moved by itself, so that there is a moment with a part of them moved.
        let (first, rest) = moves.split_at(moves.len().min(1));
        self.io.wait(self.place.publish_all(first))?;
        pause_at("while-publishing");
        Ok(self.io.wait(self.place.publish_all(rest))?)
    }

    /// Removes what a run staged.
    fn remove_staging(&self, run_id: &str) -> Result<(), PlaceError> {
        let staging = format!("_solder/staging/{run_id}");
        if let Some(path) = self.place.local_path(&staging) {
            let _ = std::fs::remove_dir_all(path);
            return Ok(());
        }
        let objects = self.io.wait(self.place.list_from(&staging))?;
        let keys: Vec<String> = objects.into_iter().map(|object| object.key).collect();
        self.io.wait(self.place.delete(&keys))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.abort();
        }
        let run_id = self.key.rsplit('/').next().unwrap_or_default();
        // Whatever cannot be removed now, the next run removes.
        if !self.keeps_staging {
            let _ = self.curated.remove_staging(run_id);
        }
        let _ = self.curated.io.wait(self.curated.place.delete(&[self.key.as_str()]));
    }
}

/// How the folder of plans begins that were made upon one commit.
const PLANNED: &str = "_solder/running/planned-";

/// The commit and the run of a plan's key; `None` of other keys.
fn planned(key: &str) -> Option<(u64, &str)> {
    let (sequence, name) = key.strip_prefix(PLANNED)?.split_once('/')?;
    Some((sequence.parse().ok()?, name.strip_suffix(".json")?))
}

/// The run that a marker is of.
fn run_of(key: &str) -> &str {
    match planned(key) {
        Some((_, run)) => run,
        None => key.rsplit('/').next().unwrap_or_default(),
    }
}

fn manifest_key(sequence: u64) -> String {
    format!("_solder/manifests/{sequence:020}.json")
}

/// Whether a key is one that runs write, and that counts only when a manifest names it.
fn is_of_runs(key: &str) -> bool {
    key.ends_with(".parquet")
        || ["staging", "shapes", "bookmarks"].iter().any(|folder| {
            key.strip_prefix("_solder/")
                .and_then(|key| key.strip_prefix(folder))
                .is_some_and(|rest| rest.starts_with('/'))
        })
}

/// Whether an open file is still the one at a path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let found = std::fs::metadata(path).map(identity).ok();
    found.is_some() && found == file.metadata().map(identity).ok()
}

/// Whether an open file is still the one at a path; elsewhere, whether there is one.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// Every file that a manifest names.
fn named_files(manifest: &Manifest) -> HashSet<&str> {
    let data = manifest.entities.values().flat_map(|entity| entity.tables.values().flatten());
    let data = data.chain(&manifest.quarantine).map(|file| file.key.as_str());
    let others = manifest.entities.values().flat_map(|entity| {
        std::iter::once(entity.shape.as_str()).chain(entity.bookmark.as_deref())
    });
    data.chain(others).collect()
}

fn to_json(key: &str, value: &impl Serialize) -> Result<Bytes, Error> {
    serde_json::to_vec_pretty(value)
        .map(Bytes::from)
        .map_err(|source| Error::Manifest { key: key.to_owned(), source: source.into() })
}
