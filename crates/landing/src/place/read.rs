//! The bytes of objects: whole, in part, chunk by chunk.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};

use super::{Backend, Place, blocking, disk};
use crate::{Action, Object, PlaceError};

/// The bytes that [`Place::read_stream`] reads from disk at one time.
const CHUNK_BYTES: u64 = 1 << 20;

/// The bytes of an object, chunk by chunk; after an error there is nothing more.
pub type ObjectStream = BoxStream<'static, Result<Bytes, PlaceError>>;

impl Place {
    /// A whole object, in memory.
    ///
    /// # Errors
    ///
    /// The object does not exist, or the place refuses.
    pub async fn read(&self, key: &str) -> Result<Bytes, PlaceError> {
        match &self.backend {
            Backend::Disk(_) => {
                let path = self.disk_path(key)?;
                self.on_disk(Action::Reading, key, move || std::fs::read(path).map(Bytes::from))
                    .await
            }
            Backend::Store { .. } => {
                let path = self.store_path(key)?;
                let got = self.in_store(Action::Reading, key, self.store()?.get(&path));
                self.in_store(Action::Reading, key, got.await?.bytes()).await
            }
        }
    }

    /// The bytes of an object in `range`, cut where the object ends. An empty range asks nobody.
    ///
    /// # Errors
    ///
    /// The object does not exist, the range begins at or behind its end, or the place refuses.
    pub async fn read_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, PlaceError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        match &self.backend {
            Backend::Disk(_) => {
                let path = self.disk_path(key)?;
                let start = range.start;
                let read = move || disk::read_range(&path, range);
                self.on_disk(Action::Reading, key, read).await?.map_err(|size_bytes| {
                    PlaceError::RangeBehindEnd { address: self.address(key), start, size_bytes }
                })
            }
            Backend::Store { .. } => {
                let path = self.store_path(key)?;
                let read = self.store()?.get_range(&path, range);
                self.in_store(Action::Reading, key, read).await
            }
        }
    }

    /// The bytes of an object in `range`, cut where the object ends, and what the object is like now: who
    /// reads part by part compares that with what was listed ([`Object::is_replaced_by`]).
    ///
    /// # Errors
    ///
    /// As [`read_range`](Self::read_range).
    pub async fn read_part(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<(Object, Bytes), PlaceError> {
        match &self.backend {
            Backend::Disk(_) => Ok((self.object(key).await?, self.read_range(key, range).await?)),
            Backend::Store { .. } => {
                let path = self.store_path(key)?;
                let options = GetOptions::new().with_range(Some(range));
                let got = self.store()?.get_opts(&path, options);
                let got = self.in_store(Action::Reading, key, got).await?;
                let object = Object::from_store(key.to_owned(), got.meta.clone());
                Ok((object, self.in_store(Action::Reading, key, got.bytes()).await?))
            }
        }
    }

    /// An object and its bytes, chunk by chunk, for objects larger than memory.
    ///
    /// Chunks from disk hold 1 MiB, those from stores what the network brings.
    ///
    /// # Errors
    ///
    /// The object does not exist, or the place refuses; the stream may fail later in the same way.
    pub async fn read_stream(&self, key: &str) -> Result<(Object, ObjectStream), PlaceError> {
        let address = self.address(key);
        match &self.backend {
            Backend::Disk(_) => {
                let path = self.disk_path(key)?;
                let (file, metadata) = self
                    .on_disk(Action::Reading, key, move || {
                        let file = std::fs::File::open(path)?;
                        let metadata = file.metadata()?;
                        Ok((file, metadata))
                    })
                    .await?;
                let chunks =
                    stream::try_unfold((file, address), |(mut file, address)| async move {
                        let read = move || Ok((disk::read_chunk(&mut file, CHUNK_BYTES)?, file));
                        let (chunk, file) = blocking(Action::Reading, &address, read).await?;
                        Ok(chunk.map(|chunk| (chunk, (file, address))))
                    });
                Ok((Object::from_disk(key.to_owned(), &metadata), chunks.boxed()))
            }
            Backend::Store { .. } => {
                let path = self.store_path(key)?;
                let got = self.in_store(Action::Reading, key, self.store()?.get(&path)).await?;
                let object = Object::from_store(key.to_owned(), got.meta.clone());
                let chunks = got.into_stream().map_err(move |source| {
                    PlaceError::store(Action::Reading, address.clone(), source)
                });
                Ok((object, chunks.boxed()))
            }
        }
    }
}
