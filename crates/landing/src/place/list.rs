//! Which objects a place holds.

use std::io;

use futures::TryStreamExt;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};

use super::walk::{HiddenFaults, walk};
use super::{Backend, Place, blocking_outcome, disk};
use crate::{Action, Object, PlaceError};

impl Place {
    /// All objects of the place, at any depth, hidden ones too, sorted by the bytes of their keys (R4).
    ///
    /// Markers that stores keep for folders and files that are still being written are left out.
    ///
    /// # Errors
    ///
    /// On disk: the folder does not exist (an empty one lists as empty; stores know no folders and give an
    /// empty list for both), cannot be read, or holds a name that is not UTF-8.
    pub async fn list(&self) -> Result<Vec<Object>, PlaceError> {
        self.list_with(|_| true, HiddenFaults::Reported).await
    }

    /// The objects below the folder `prefix`, as [`list`](Self::list); their keys still begin with it.
    ///
    /// An absent folder lists as empty here, on disk too.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list), and when the prefix is empty or leads out of the place.
    pub async fn list_from(&self, prefix: &str) -> Result<Vec<Object>, PlaceError> {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let mut objects = match self.folder(prefix)?.list().await {
            // In a store it is the bucket that is absent, and that is a mistake.
            Err(error) if error.is_not_found() && self.local_folder().is_some() => Vec::new(),
            outcome => outcome?,
        };
        for object in &mut objects {
            object.key = format!("{prefix}/{}", object.key);
        }
        Ok(objects)
    }

    /// As [`list`](Self::list), for data: what cannot be read in a hidden folder is left out, and folders
    /// for whose key `enters` says no are not read, where that saves work.
    pub(crate) async fn list_data(
        &self,
        enters: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Vec<Object>, PlaceError> {
        self.list_with(enters, HiddenFaults::Ignored).await
    }

    async fn list_with(
        &self,
        enters: impl Fn(&str) -> bool + Send + 'static,
        hidden_faults: HiddenFaults,
    ) -> Result<Vec<Object>, PlaceError> {
        let mut objects = match &self.backend {
            Backend::Disk(root) => {
                let root = root.clone();
                let address = self.address("");
                blocking_outcome(Action::Listing, &address, move || {
                    walk(&root, &enters, hidden_faults)
                })
                .await?
            }
            Backend::Store { prefix, .. } => {
                let failed = |source| self.store_error(Action::Listing, "", source);
                let below = (!prefix.is_root()).then_some(prefix);
                self.store()?
                    .list(below)
                    .map_err(failed)
                    .try_filter_map(|meta| {
                        let key = key_below(prefix, &meta.location);
                        async move { Ok(key.map(|key| Object::from_store(key, meta))) }
                    })
                    .try_collect()
                    .await?
            }
        };
        objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        if let Backend::Store { .. } = &self.backend {
            drop_folder_markers(&mut objects);
        }
        Ok(objects)
    }

    /// What a listing would say about one object.
    ///
    /// # Errors
    ///
    /// The object does not exist, or the place refuses.
    pub async fn object(&self, key: &str) -> Result<Object, PlaceError> {
        match &self.backend {
            Backend::Disk(_) => {
                let path = self.disk_path(key)?;
                let metadata = self
                    .on_disk(Action::Listing, key, move || {
                        let metadata = std::fs::metadata(path)?;
                        match metadata.is_dir() {
                            true => Err(io::ErrorKind::NotFound.into()),
                            false => Ok(metadata),
                        }
                    })
                    .await?;
                Ok(Object::from_disk(key.to_owned(), &metadata))
            }
            Backend::Store { .. } => {
                let path = self.store_path(key)?;
                let meta = self.in_store(Action::Listing, key, self.store()?.head(&path)).await?;
                Ok(Object::from_store(key.to_owned(), meta))
            }
        }
    }

    /// Whether there is an object at a key; a folder is none.
    ///
    /// # Errors
    ///
    /// The place cannot be asked.
    pub async fn exists(&self, key: &str) -> Result<bool, PlaceError> {
        if let Backend::Disk(_) = &self.backend {
            let path = self.disk_path(key)?;
            return self.on_disk(Action::Listing, key, move || disk::exists(&path)).await;
        }
        match self.object(key).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The key of a location below a prefix; `None` for the prefix itself.
pub(super) fn key_below(prefix: &StorePath, location: &StorePath) -> Option<String> {
    let below = location.as_ref().strip_prefix(prefix.as_ref())?;
    let key = match prefix.is_root() {
        true => below,
        false => below.strip_prefix('/')?,
    };
    (!key.is_empty()).then(|| key.to_owned())
}

/// Drops the empty objects that stores keep for folders: `orders` where `orders/1.json` is too.
fn drop_folder_markers(sorted: &mut Vec<Object>) {
    let is_marker = |object: &Object| {
        if object.size_bytes > 0 {
            return false;
        }
        let folder = format!("{}/", object.key);
        let next = sorted.partition_point(|other| other.key < folder);
        sorted.get(next).is_some_and(|other| other.key.starts_with(&folder))
    };
    let markers: Vec<bool> = sorted.iter().map(is_marker).collect();
    let mut markers = markers.into_iter();
    sorted.retain(|_| !markers.next().unwrap_or(false));
}
