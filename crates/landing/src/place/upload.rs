//! An object that is written piece by piece and visible when it is whole.

use std::fmt;
use std::io;

use bytes::Bytes;
use object_store::path::Path as StorePath;
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart};
use std::sync::Arc;

use super::blocking;
use super::connect::Client;
use super::disk::StagedFile;
use crate::{Action, PlaceError};

/// Bytes gathered before a file is written to.
const DISK_PIECE_BYTES: usize = 1 << 20;
/// Bytes gathered before a part is sent: S3 takes 10,000 parts, so objects up to 80 GB.
const STORE_PIECE_BYTES: usize = 8 << 20;
/// Parts under way at one time.
const MAX_CONCURRENT_PARTS: usize = 4;

/// An object on its way to a place: takes chunks, is visible only once completed.
///
/// Holds up to 1 MiB on disk, up to 8 MiB and four parts of that size under way in a store. Dropped
/// without [`complete`](Self::complete), nothing becomes visible; parts already sent to a store then cost
/// money until its lifecycle rules remove them, which [`abort`](Self::abort) avoids.
#[must_use = "an upload is visible only once completed"]
pub struct Upload {
    address: String,
    pending: Vec<Bytes>,
    pending_bytes: usize,
    size_bytes: u64,
    target: Target,
}

enum Target {
    /// `None` only while a write is under way or after one failed.
    Disk(Option<StagedFile>),
    /// An object that may still fit into one request.
    Store(Arc<Client>, StorePath),
    Parts(WriteMultipart),
}

impl Upload {
    pub(crate) fn to_disk(address: String, staged: StagedFile) -> Self {
        Self::new(address, Target::Disk(Some(staged)))
    }

    pub(crate) fn to_store(address: String, client: Arc<Client>, path: StorePath) -> Self {
        Self::new(address, Target::Store(client, path))
    }

    fn new(address: String, target: Target) -> Self {
        Self { address, pending: Vec::new(), pending_bytes: 0, size_bytes: 0, target }
    }

    /// The bytes taken so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Takes the next chunk, of any size; waits while too much is under way.
    ///
    /// # Errors
    ///
    /// The disk or the store refused. The upload cannot be continued then, only aborted or dropped.
    pub async fn put(&mut self, chunk: Bytes) -> Result<(), PlaceError> {
        self.size_bytes += chunk.len() as u64;
        self.pending_bytes += chunk.len();
        self.pending.push(chunk);
        let piece_bytes = match self.target {
            Target::Disk(_) => DISK_PIECE_BYTES,
            Target::Store(..) | Target::Parts(_) => STORE_PIECE_BYTES,
        };
        if self.pending_bytes < piece_bytes {
            return Ok(());
        }
        self.flush().await
    }

    /// Makes the object visible, replacing what was there; returns its size in bytes.
    ///
    /// # Errors
    ///
    /// The disk or the store refused; nothing is visible then. Where the answer of a store got lost, the
    /// object may be visible after all.
    pub async fn complete(self) -> Result<u64, PlaceError> {
        self.finish(StagedFile::publish).await
    }

    /// As [`Upload::complete`], but on disk without waiting until the bytes are there: for objects whose
    /// commit is not waited for either.
    ///
    /// # Errors
    ///
    /// As [`Upload::complete`].
    pub async fn complete_unsynced(self) -> Result<u64, PlaceError> {
        self.finish(StagedFile::publish_unsynced).await
    }

    async fn finish(
        mut self,
        publish: fn(StagedFile) -> io::Result<()>,
    ) -> Result<u64, PlaceError> {
        if !matches!(self.target, Target::Store(..)) {
            self.flush().await?;
        }
        let address = self.address;
        let failed = |source| PlaceError::store(Action::Writing, address.clone(), source);
        match self.target {
            Target::Disk(None) => return Err(broken(address)),
            Target::Disk(Some(staged)) => {
                blocking(Action::Writing, &address, move || publish(staged)).await?;
            }
            Target::Store(client, path) => {
                let payload = PutPayload::from_iter(self.pending);
                let store = client.store().map_err(failed)?;
                store.put(&path, payload).await.map_err(failed)?;
            }
            Target::Parts(parts) => {
                parts.finish().await.map_err(failed)?;
            }
        }
        Ok(self.size_bytes)
    }

    /// Gives the object up and removes what was stored of it.
    ///
    /// # Errors
    ///
    /// The store refused to remove the parts.
    pub async fn abort(self) -> Result<(), PlaceError> {
        match self.target {
            Target::Parts(parts) => parts
                .abort()
                .await
                .map_err(|source| PlaceError::store(Action::Deleting, self.address, source)),
            // A staged file goes when it is dropped; of a small object nothing was sent.
            Target::Disk(_) | Target::Store(..) => Ok(()),
        }
    }

    /// Sends what is pending.
    async fn flush(&mut self) -> Result<(), PlaceError> {
        let pending = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        match &mut self.target {
            Target::Disk(staged) => {
                let Some(mut file) = staged.take() else {
                    return Err(broken(self.address.clone()));
                };
                let write = move || {
                    for chunk in &pending {
                        file.write(chunk)?;
                    }
                    Ok(file)
                };
                *staged = Some(blocking(Action::Writing, &self.address, write).await?);
            }
            Target::Store(client, path) => {
                let failed =
                    |source| PlaceError::store(Action::Writing, self.address.clone(), source);
                let store = client.store().map_err(failed)?;
                let upload = store.put_multipart(path).await.map_err(failed)?;
                let mut parts = WriteMultipart::new_with_chunk_size(upload, STORE_PIECE_BYTES);
                pending.into_iter().for_each(|chunk| parts.put(chunk));
                self.target = Target::Parts(parts);
            }
            Target::Parts(parts) => {
                let ready = parts.wait_for_capacity(MAX_CONCURRENT_PARTS).await;
                ready.map_err(|source| {
                    PlaceError::store(Action::Writing, self.address.clone(), source)
                })?;
                pending.into_iter().for_each(|chunk| parts.put(chunk));
            }
        }
        Ok(())
    }
}

/// The error for going on with an upload that has failed.
fn broken(address: String) -> PlaceError {
    let source = std::io::Error::other("an earlier write of this upload failed");
    PlaceError::disk(Action::Writing, address, source)
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("address", &self.address)
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}
