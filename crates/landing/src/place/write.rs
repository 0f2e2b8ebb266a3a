//! What changes a place: objects that come, move and go, each of them whole.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use super::disk::StagedFile;
use super::{Backend, Place, Upload, blocking_outcome, disk};
use crate::{Action, PlaceError};

/// How an attempt ended to create an object that must not be there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "another writer may have been first"]
pub enum Creation {
    /// The object is there now, and this call made it.
    Created,
    /// An object was there already and stays as it was.
    ///
    /// A store's client repeats requests whose answer it did not get, so this may be the object of this
    /// very call: who must know reads it and compares.
    AlreadyExists,
}

/// Objects of a store that are copied at one time.
const MAX_CONCURRENT_COPIES: usize = 16;

impl Place {
    /// Writes a whole object, replacing what was there and creating the folders above it.
    ///
    /// # Errors
    ///
    /// The place refuses; what was there before is there still.
    pub async fn write(&self, key: &str, bytes: Bytes) -> Result<(), PlaceError> {
        match &self.backend {
            Backend::Disk(_) => {
                let path = self.disk_path(key)?;
                self.on_disk(Action::Writing, key, move || disk::write(path, &bytes)).await
            }
            Backend::Store { .. } => {
                let path = self.store_path(key)?;
                let put = self.store()?.put(&path, PutPayload::from(bytes));
                self.in_store(Action::Writing, key, put).await.map(drop)
            }
        }
    }

    /// Writes a whole object only if there is none at this key: of many writers, one wins. Commits rest on
    /// this.
    ///
    /// # Errors
    ///
    /// The place refuses; it has no put-if-absent ([`PlaceError::CreateUnsupported`], as on a disk without
    /// hard links); or another writer is at it just now ([`PlaceError::CreateContended`], retryable). A
    /// store that silently ignores the condition is not noticed here.
    pub async fn create(&self, key: &str, bytes: Bytes) -> Result<Creation, PlaceError> {
        match &self.backend {
            Backend::Disk(_) => {
                let path = self.disk_path(key)?;
                let create = move || disk::create(path, &bytes);
                let linked = self.on_disk(Action::Creating, key, create).await?;
                linked.map_err(|source| match source.kind() {
                    // The file beside it could be written, so it is the link that is not to be had.
                    io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => {
                        PlaceError::CreateUnsupported {
                            address: self.address(key),
                            source: source.into(),
                        }
                    }
                    _ => PlaceError::disk(Action::Creating, self.address(key), source),
                })
            }
            Backend::Store { .. } => self.create_in_store(key, bytes).await,
        }
    }

    async fn create_in_store(&self, key: &str, bytes: Bytes) -> Result<Creation, PlaceError> {
        let path = self.store_path(key)?;
        let put = self.store()?.put_opts(&path, bytes.into(), PutMode::Create.into());
        match put.await {
            Ok(_) => Ok(Creation::Created),
            Err(source @ object_store::Error::AlreadyExists { .. }) => {
                // S3 also answers so while another writer's request is under way, which may yet fail.
                match self.exists(key).await? {
                    true => Ok(Creation::AlreadyExists),
                    false => Err(PlaceError::CreateContended {
                        address: self.address(key),
                        source: Box::new(source),
                    }),
                }
            }
            Err(
                source @ (object_store::Error::NotImplemented { .. }
                | object_store::Error::NotSupported { .. }),
            ) => Err(PlaceError::CreateUnsupported {
                address: self.address(key),
                source: source.into(),
            }),
            Err(source) => Err(self.store_error(Action::Creating, key, source)),
        }
    }

    /// Gives an object another key, replacing what was there and creating the folders above it.
    ///
    /// Atomic on disk. Stores copy and then delete: after a crash between the two, both keys exist.
    ///
    /// # Errors
    ///
    /// There is no object at `from`, or the place refuses.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), PlaceError> {
        match &self.backend {
            Backend::Disk(_) => {
                let (old, new) = (self.disk_path(from)?, self.disk_path(to)?);
                self.on_disk(Action::Renaming, from, move || disk::rename(&old, &new)).await
            }
            // Some stores would delete the object after copying it onto itself.
            Backend::Store { .. } if from == to => self.object(from).await.map(drop),
            Backend::Store { .. } => {
                let (old, new) = (self.store_path(from)?, self.store_path(to)?);
                let rename = self.store()?.rename(&old, &new);
                self.in_store(Action::Renaming, from, rename).await
            }
        }
    }

    /// Brings many objects to other keys, side by side: a store copies them. On disk they get a second name,
    /// and their bytes are made to last first, so that files written plainly are safe behind this. What is at
    /// the old keys is left to the caller, who can delete many at a time, or do this again.
    ///
    /// # Errors
    ///
    /// There is no object at one of the old keys, or the place refuses; some may be there then.
    pub async fn publish_all(&self, moves: &[(String, String)]) -> Result<(), PlaceError> {
        let Some((first, _)) = moves.first() else { return Ok(()) };
        match &self.backend {
            Backend::Disk(_) => {
                let paths = moves
                    .iter()
                    .map(|(from, to)| Ok((self.disk_path(from)?, self.disk_path(to)?)))
                    .collect::<Result<Vec<_>, PlaceError>>()?;
                self.on_disk(Action::Copying, first, move || disk::link_all(&paths)).await
            }
            Backend::Store { .. } => {
                let copies = moves.iter().map(|(from, to)| self.copy(from, to));
                let copies = stream::iter(copies).buffer_unordered(MAX_CONCURRENT_COPIES);
                copies.try_collect::<Vec<()>>().await.map(drop)
            }
        }
    }

    /// Copies an object to another key, replacing what was there and creating the folders above it.
    ///
    /// # Errors
    ///
    /// There is no object at `from`, or the place refuses.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), PlaceError> {
        match &self.backend {
            Backend::Disk(_) => {
                let (old, new) = (self.disk_path(from)?, self.disk_path(to)?);
                self.on_disk(Action::Copying, from, move || disk::copy(&old, new)).await
            }
            Backend::Store { .. } => {
                let (old, new) = (self.store_path(from)?, self.store_path(to)?);
                let copy = self.store()?.copy(&old, &new);
                self.in_store(Action::Copying, from, copy).await
            }
        }
    }

    /// Deletes objects, in as few requests as the store allows; absent ones count as deleted.
    ///
    /// # Errors
    ///
    /// The place refuses; some of the objects may be gone then. Every key is checked before any is deleted.
    pub async fn delete(&self, keys: &[impl AsRef<str> + Sync]) -> Result<(), PlaceError> {
        match &self.backend {
            Backend::Disk(_) => {
                let files = keys
                    .iter()
                    .map(|key| Ok((self.disk_path(key.as_ref())?, self.address(key.as_ref()))))
                    .collect::<Result<Vec<_>, PlaceError>>()?;
                let delete = move || {
                    files.into_iter().try_for_each(|(path, address)| {
                        disk::delete(&path)
                            .map_err(|source| PlaceError::disk(Action::Deleting, address, source))
                    })
                };
                blocking_outcome(Action::Deleting, &self.address(""), delete).await
            }
            Backend::Store { .. } => {
                let paths = keys
                    .iter()
                    .map(|key| self.store_path(key.as_ref()).map(Ok))
                    .collect::<Result<Vec<_>, PlaceError>>()?;
                let mut deleted = self.store()?.delete_stream(stream::iter(paths).boxed());
                while let Some(outcome) = deleted.next().await {
                    match outcome {
                        Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                        Err(source) => return Err(self.store_error(Action::Deleting, "", source)),
                    }
                }
                Ok(())
            }
        }
    }

    /// Begins an object that is written piece by piece and visible once completed.
    ///
    /// # Errors
    ///
    /// The disk refuses; stores are not asked before the first large piece.
    pub async fn upload(&self, key: &str) -> Result<Upload, PlaceError> {
        match &self.backend {
            Backend::Disk(_) => {
                let path = self.disk_path(key)?;
                let staged =
                    self.on_disk(Action::Writing, key, move || StagedFile::open(path)).await?;
                Ok(Upload::to_disk(self.address(key), staged))
            }
            Backend::Store { client, .. } => {
                let path = self.store_path(key)?;
                self.store()?;
                Ok(Upload::to_store(self.address(key), Arc::clone(client), path))
            }
        }
    }
}
