//! The store behind a place, for libraries that speak object_store themselves.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;

use super::{Backend, Place};
use crate::{Action, PlaceError};

/// A store and where in it a place lies.
#[derive(Clone, Debug)]
pub struct Mount {
    /// The store, whose root is that of the bucket or of the local disk.
    pub store: Arc<dyn ObjectStore>,
    /// Scheme and bucket, without a slash at the end: `s3://bucket`, `file://`.
    pub root: String,
    /// The place, below the root.
    pub path: StorePath,
}

impl Mount {
    /// The URL of a key below the place, percent-encoded as in keys; a folder's ends with a slash.
    pub fn url(&self, key: &str) -> String {
        let separator = if self.path.as_ref().is_empty() { "" } else { "/" };
        format!("{}/{}{separator}{key}", self.root, self.path)
    }
}

impl Place {
    /// The store behind this place. A folder on disk is made absolute, and need not be there yet.
    ///
    /// # Errors
    ///
    /// The client cannot be made from the environment.
    pub fn mount(&self) -> Result<Mount, PlaceError> {
        match &self.backend {
            Backend::Disk(folder) => {
                let failed = |source| {
                    PlaceError::disk(Action::Reading, folder.display().to_string(), source)
                };
                let folder = folder
                    .canonicalize()
                    .or_else(|_| std::path::absolute(folder))
                    .map_err(failed)?;
                let path = StorePath::from_absolute_path(&folder)
                    .map_err(|_| self.invalid_key(&folder.display().to_string()))?;
                let store = Arc::new(LocalFileSystem::new());
                Ok(Mount { store, root: "file://".to_owned(), path })
            }
            Backend::Store { client, prefix } => Ok(Mount {
                store: Arc::clone(self.store()?),
                root: client.root().to_owned(),
                path: prefix.clone(),
            }),
        }
    }
}
