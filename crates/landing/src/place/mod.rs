//! A place: one folder on disk or one prefix in an object store.
//!
//! ```text
//!   text ──▶ address ──▶ disk, walk ──▶ std::fs, on threads for blocking work
//!                   └──▶ connect ─────▶ object_store, made when first used
//!                                both ──▶ Place ──▶ list · read · write · upload
//!                                           ▲ you are here
//! ```
//!
//! Both kinds keep the same promises: an object is whole or absent, a listing is in key order (R4), and
//! [`Place::create`] lets only one of many writers win. One conformance test runs over all of them.

mod address;
mod connect;
mod disk;
mod list;
mod mount;
mod probe;
mod profile;
mod read;
mod requests;
#[cfg(test)]
mod tests;
mod upload;
mod walk;
mod write;

use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path as StorePath;

pub(crate) use self::address::{GLOB_CHARACTERS, part_of, path_start};
pub use self::mount::Mount;
pub use self::profile::is_asked_for as asks_profile;
pub use self::read::ObjectStream;
pub use self::requests::{Answer, Requests};
pub use self::upload::Upload;
pub use self::write::Creation;

use self::address::Address;
use self::connect::Client;
use crate::{Action, PlaceError};

/// One folder on disk or one prefix in an object store, and all that can be done with the objects in it.
///
/// Keys are relative to the place, separated by `/`, and cannot lead out of it. Cloning is cheap and shares
/// the store's client, which is made when it is first used; making a place costs no input or output.
///
/// Files on disk are written beside their destination, synced and renamed, so that the same holds there as
/// in stores: no reader ever sees a half-written object.
#[derive(Clone)]
pub struct Place {
    backend: Backend,
    /// As the user wrote it.
    display: String,
}

#[derive(Clone)]
enum Backend {
    Disk(PathBuf),
    Store { client: Arc<Client>, prefix: StorePath },
}

impl Place {
    /// The place that a text names: a local path, `file://`, `s3://`, `gs://`, `az://` or `abfss://`, or
    /// `memory://` for tests (one store per name and process).
    ///
    /// Credentials, region and endpoint come from the environment (`AWS_*`, `GOOGLE_*`, `AZURE_*`) when the
    /// place is first used. An endpoint that says `http://` is used without TLS.
    ///
    /// Requests to a store need a tokio runtime with time and input and output enabled (`enable_all`);
    /// places on disk use a runtime's threads where there is one, and do without elsewhere.
    ///
    /// # Errors
    ///
    /// The text cannot name a place; nothing is looked up.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let backend = match Address::parse(text)? {
            Address::Disk(path) => Backend::Disk(path),
            Address::Store { service, root, prefix } => Backend::Store {
                client: Arc::new(Client::new(service, root)),
                prefix: parse_prefix(text, &prefix)?,
            },
        };
        Ok(Self { backend, display: text.to_owned() })
    }

    /// The place and the key of an object that a text names: `out/orders.ndjson`,
    /// `s3://bucket/orders.ndjson`.
    ///
    /// # Errors
    ///
    /// The text names no object; nothing is looked up.
    pub fn parse_object(text: &str) -> Result<(Self, String), PlaceError> {
        let path = text.get(path_start(text)..).unwrap_or_default();
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let is_url = path.len() != text.len();
        let is_folder = matches!(name, "" | "." | "..") || (is_url && name == path);
        if text.is_empty() {
            return Err(PlaceError::Empty);
        }
        if is_folder {
            let reason = "it is to name an object, and ends before the object's name";
            return Err(PlaceError::InvalidAddress { text: text.to_owned(), reason });
        }
        let folder = text.strip_suffix(name).unwrap_or_default();
        let place = Self::parse(if folder.is_empty() { "." } else { folder })?;
        Ok((place, part_of(text, name)))
    }

    /// A prefix of a store that the caller has made, shown as `display`.
    ///
    /// # Errors
    ///
    /// The prefix has empty, `.` or `..` parts or control characters.
    pub fn with_store(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        display: &str,
    ) -> Result<Self, PlaceError> {
        Ok(Self {
            backend: Backend::Store {
                client: Arc::new(Client::with_store(store)),
                prefix: parse_prefix(display, prefix)?,
            },
            display: display.to_owned(),
        })
    }

    /// The place at a key below this one, with the same client.
    ///
    /// # Errors
    ///
    /// The key is empty or leads out of the place.
    pub fn folder(&self, key: &str) -> Result<Self, PlaceError> {
        let backend = match &self.backend {
            Backend::Disk(root) => Backend::Disk(root.join(self.checked(key)?)),
            Backend::Store { client, .. } => {
                Backend::Store { client: Arc::clone(client), prefix: self.store_path(key)? }
            }
        };
        Ok(Self { backend, display: self.address(key) })
    }

    /// The place that another text names. It has this one's client where both are in one store.
    ///
    /// # Errors
    ///
    /// As [`Place::parse`].
    pub(crate) fn beside(&self, text: &str) -> Result<Self, PlaceError> {
        let mut other = Self::parse(text)?;
        if let (Backend::Store { client: own, .. }, Backend::Store { client, .. }) =
            (&self.backend, &mut other.backend)
            && own.is_same(client)
        {
            *client = Arc::clone(own);
        }
        Ok(other)
    }

    /// What the store was asked so far, for this place and all that share its client; `None` on disk.
    pub fn requests(&self) -> Option<Requests> {
        match &self.backend {
            Backend::Disk(_) => None,
            Backend::Store { client, .. } => client.requests(),
        }
    }

    /// The path of an object's file, when the place is on the local disk and the key stays inside it.
    ///
    /// Who writes there writes a plain file: not atomic and not synced.
    pub fn local_path(&self, key: &str) -> Option<PathBuf> {
        match &self.backend {
            Backend::Disk(root) => Some(root.join(self.checked(key).ok()?)),
            Backend::Store { .. } => None,
        }
    }

    /// Place and key in one text, for people; an empty key gives the place alone.
    pub fn address(&self, key: &str) -> String {
        match self.display.as_str() {
            display if key.is_empty() => display.to_owned(),
            "." => key.to_owned(),
            display if display.ends_with("://") => format!("{display}/{key}"),
            display => format!("{}/{key}", display.strip_suffix('/').unwrap_or(display)),
        }
    }

    /// What tells this place from others: its URL, or the real path of its folder.
    pub fn identity(&self) -> String {
        match &self.backend {
            Backend::Disk(folder) => {
                let real = folder.canonicalize().or_else(|_| std::path::absolute(folder));
                real.map_or_else(|_| self.display.clone(), |path| path.display().to_string())
            }
            Backend::Store { .. } => self.display.trim_end_matches('/').to_owned(),
        }
    }

    /// The folder, when the place is on the local disk.
    pub(crate) fn local_folder(&self) -> Option<&std::path::Path> {
        match &self.backend {
            Backend::Disk(root) => Some(root),
            Backend::Store { .. } => None,
        }
    }

    fn disk_path(&self, key: &str) -> Result<PathBuf, PlaceError> {
        self.local_path(key).ok_or_else(|| self.invalid_key(key))
    }

    fn store_path(&self, key: &str) -> Result<StorePath, PlaceError> {
        let key = self.checked(key)?;
        let Backend::Store { prefix, .. } = &self.backend else {
            return Err(self.invalid_key(key));
        };
        let path = match prefix.is_root() {
            true => StorePath::parse(key),
            false => StorePath::parse(format!("{prefix}/{key}")),
        };
        path.map_err(|_| self.invalid_key(key))
    }

    /// The key, if it stays inside the place.
    fn checked<'k>(&self, key: &'k str) -> Result<&'k str, PlaceError> {
        let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        match key.split('/').all(is_part) {
            true => Ok(key),
            false => Err(self.invalid_key(key)),
        }
    }

    fn invalid_key(&self, key: &str) -> PlaceError {
        PlaceError::InvalidKey { place: self.display.clone(), key: key.to_owned() }
    }

    fn store(&self) -> Result<&Arc<dyn ObjectStore>, PlaceError> {
        match &self.backend {
            Backend::Store { client, .. } => client.store().map_err(|source| PlaceError::Connect {
                place: self.display.clone(),
                source: Box::new(source),
            }),
            Backend::Disk(_) => Err(self.invalid_key("")),
        }
    }

    fn store_error(&self, action: Action, key: &str, source: object_store::Error) -> PlaceError {
        PlaceError::store(action, self.address(key), source)
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        action: Action,
        key: &str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, PlaceError> {
        blocking(action, &self.address(key), work).await
    }

    async fn in_store<T>(
        &self,
        action: Action,
        key: &str,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, PlaceError> {
        request.await.map_err(|source| self.store_error(action, key, source))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client knows credentials, so only the text is shown.
        f.debug_tuple("Place").field(&self.display).finish()
    }
}

fn parse_prefix(text: &str, prefix: &str) -> Result<StorePath, PlaceError> {
    StorePath::parse(prefix).map_err(|_| PlaceError::InvalidAddress {
        text: text.to_owned(),
        reason: "a prefix has no empty parts, no `.` or `..` and no control characters",
    })
}

/// Runs blocking work on a thread for such, or right here when there is no runtime.
async fn blocking<T: Send + 'static>(
    action: Action,
    address: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, PlaceError> {
    let owned = address.to_owned();
    let work = move || work().map_err(|source| PlaceError::disk(action, owned, source));
    blocking_outcome(action, address, work).await
}

/// As [`blocking`], for work that makes its own errors.
async fn blocking_outcome<T: Send + 'static>(
    action: Action,
    address: &str,
    work: impl FnOnce() -> Result<T, PlaceError> + Send + 'static,
) -> Result<T, PlaceError> {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return work();
    };
    match runtime.spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(source) => Err(PlaceError::Interrupted { action, address: address.to_owned(), source }),
    }
}
