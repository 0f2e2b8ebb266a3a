//! How a place is tried before it is used.

use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};

use super::list::key_below;
use super::{Answer, Backend, Creation, Place};
use crate::{Action, Object, PlaceError};

impl Place {
    /// As [`Place::parse`], for those who ask how a place is: a store has five seconds for a request and two
    /// attempts, and [`Place::last_answer`] tells how it answered.
    ///
    /// # Errors
    ///
    /// As [`Place::parse`].
    pub fn parse_watched(text: &str) -> Result<Self, PlaceError> {
        let mut place = Self::parse(text)?;
        if let Backend::Store { client, .. } = &mut place.backend
            && let Some(client) = Arc::get_mut(client)
        {
            client.be_hasty();
        }
        Ok(place)
    }

    /// What the store's last answer said; `None` on disk, before there was one, and where nobody watches.
    pub fn last_answer(&self) -> Option<Answer> {
        match &self.backend {
            Backend::Disk(_) => None,
            Backend::Store { client, .. } => client.answer(),
        }
    }

    /// Any object of the place, for those who only ask whether it can be listed: of a store the first one.
    ///
    /// # Errors
    ///
    /// The place refuses; on disk also when the folder is not there.
    pub async fn any_object(&self) -> Result<Option<Object>, PlaceError> {
        match &self.backend {
            Backend::Disk(folder) => {
                let folder = folder.clone();
                self.on_disk(Action::Listing, "", move || any_file(folder)).await
            }
            Backend::Store { prefix, .. } => {
                let below = (!prefix.is_root()).then_some(prefix);
                let mut listed = self.store()?.list(below);
                loop {
                    let next = self.in_store(Action::Listing, "", listed.try_next()).await?;
                    let Some(meta) = next else { return Ok(None) };
                    if let Some(key) = key_below(prefix, &meta.location) {
                        return Ok(Some(Object::from_store(key, meta)));
                    }
                }
            }
        }
    }

    /// Whether [`Place::create`] lets only one writer win: an object is created at this key, and then once
    /// more. Some stores take the condition, and overwrite all the same. The object stays.
    ///
    /// # Errors
    ///
    /// The place refuses for other reasons than that it cannot do this.
    pub async fn honours_create(&self, key: &str) -> Result<bool, PlaceError> {
        let created = |outcome: Result<Creation, PlaceError>| match outcome {
            Ok(creation) => Ok(Some(creation)),
            Err(PlaceError::CreateUnsupported { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        // What was there already and stays as it was tells as much.
        let first = created(self.create(key, Bytes::from_static(b"first")).await)?;
        if first != Some(Creation::Created) {
            return Ok(first.is_some());
        }
        let second = created(self.create(key, Bytes::from_static(b"second")).await)?;
        Ok(second == Some(Creation::AlreadyExists))
    }

    /// Writes an object as large ones are written: a store is told of its begin and its end, and gets the
    /// bytes between them. On disk as any other.
    ///
    /// # Errors
    ///
    /// The place refuses; the part that was sent is taken back then.
    pub async fn write_in_parts(&self, key: &str, bytes: Bytes) -> Result<(), PlaceError> {
        if let Backend::Disk(_) = &self.backend {
            return self.write(key, bytes).await;
        }
        let path = self.store_path(key)?;
        let begin = self.store()?.put_multipart(&path);
        let mut parts = self.in_store(Action::Writing, key, begin).await?;
        let sent = match parts.put_part(bytes.into()).await {
            Ok(()) => parts.complete().await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(_) => Ok(()),
            Err(source) => {
                // The first error is the one to tell of.
                let _ = parts.abort().await;
                Err(self.store_error(Action::Writing, key, source))
            }
        }
    }
}

/// Any file at or below a folder. Folders that links lead to are left out, so that this ends.
fn any_file(folder: PathBuf) -> io::Result<Option<Object>> {
    let mut folders = vec![(folder, String::new())];
    while let Some((folder, above)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let key = format!("{above}{name}");
            if entry.file_type()?.is_dir() {
                folders.push((entry.path(), format!("{key}/")));
            } else if let Ok(metadata) = fs::metadata(entry.path())
                && metadata.is_file()
            {
                return Ok(Some(Object::from_disk(key, &metadata)));
            }
        }
    }
    Ok(None)
}
