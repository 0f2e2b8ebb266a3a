//! An input: what a user names to be read (R1).
//!
//! ```text
//!   text ──▶ Input ──▶ a file      base = the folder it is in, key = its name
//!                  ├─▶ a folder    base = the folder, every object below it
//!                  └─▶ a glob      base = the longest part without glob characters
//!                  │      all ──▶ Listing: base, objects in key order (R4), hidden ones counted
//!                  └─▶ a landing zone ──▶ Landed: what its manifests name, in the order of commits
//! ```

mod glob;
mod landed;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;

use self::glob::Glob;
pub use self::landed::{Landed, LandedStream};
use crate::object::is_hidden;
use crate::place::{GLOB_CHARACTERS, part_of, path_start};
use crate::{Action, Object, Place, PlaceError};

/// What is to be read: a file, a folder with all that is below it, a glob, or a URL of any of these (R1).
///
/// | text | names |
/// |---|---|
/// | `*` | any characters within one part of a key |
/// | `**` | any parts, none too |
/// | `?`, `[a-z]`, `[!a]` | one character |
/// | `{a,b}` | either |
/// | `/` at the end of a glob | everything below the folders that match |
///
/// What exists under the very text wins, so a file named `a[1].json` needs no escaping.
#[derive(Debug, Clone)]
pub struct Input {
    text: String,
    /// The text taken as a folder or prefix.
    whole: Place,
    /// The text taken as one object: where it is and its key there.
    single: Option<(Place, String)>,
    /// The text taken as a glob: where it begins and what keys below have to match.
    glob: Option<(Place, String)>,
}

/// The objects that an input names.
#[derive(Debug, Clone)]
#[must_use]
pub struct Listing {
    /// Where the keys begin: read the objects from here.
    pub base: Place,
    /// The objects, sorted by the bytes of their keys (R4).
    pub objects: Vec<Object>,
    /// How many more there were that are not data: a part of their key starts with `.` or `_`.
    pub hidden: u64,
    /// Whether the input names this one object itself, and not a folder or glob that happens to hold one.
    pub is_one_object: bool,
}

impl Input {
    /// The input that a text names; nothing is looked up.
    ///
    /// # Errors
    ///
    /// The text is not a path or URL, as for [`Place::parse`].
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let whole = Place::parse(text)?;
        let path_start = path_start(text);
        let path = &text[path_start..];

        let single = match split_at_last_slash(path) {
            Some((_, "")) => None,
            Some((folder, name)) => {
                let folder = parent(&whole, text, path_start, folder)?;
                Some((folder, part_of(text, name)))
            }
            None => None,
        };
        let glob = match path.find(GLOB_CHARACTERS) {
            Some(first) => {
                let folder = path[..first].rfind('/').map_or("", |slash| &path[..=slash]);
                let pattern = &path[folder.len()..];
                Some((parent(&whole, text, path_start, folder)?, part_of(text, pattern)))
            }
            None => None,
        };
        Ok(Self { text: text.to_owned(), whole, single, glob })
    }

    /// Looks up what the input names, now. One object has its name as its key, even a hidden one.
    ///
    /// An existing folder may give no objects; a glob or an address that names nothing is an error.
    ///
    /// Costs one to three requests to a store and one per 1,000 objects; on disk one system call per file.
    ///
    /// # Errors
    ///
    /// [`PlaceError::NothingFound`] with the text, [`PlaceError::InvalidGlob`], or what the place says.
    pub async fn objects(&self) -> Result<Listing, PlaceError> {
        let literal = match self.whole.local_folder() {
            Some(folder) => self.literal_on_disk(folder).await?,
            None => self.literal_in_store().await?,
        };
        if let Some(listing) = literal {
            return Ok(listing);
        }
        match &self.glob {
            Some((base, pattern)) => self.matching(base, pattern).await,
            None => Err(self.nothing_found(0)),
        }
    }

    async fn literal_on_disk(
        &self,
        folder: &std::path::Path,
    ) -> Result<Option<Listing>, PlaceError> {
        // One call, once per run: not worth a thread of its own.
        let is_folder = match fs::metadata(folder) {
            Ok(metadata) => metadata.is_dir(),
            Err(source) => {
                let error = PlaceError::disk(Action::Listing, self.text.clone(), source);
                return if error.is_not_found() { Ok(None) } else { Err(error) };
            }
        };
        match &self.single {
            Some((base, key)) if !is_folder => {
                let object = base.object(key).await?;
                Ok(Some(Listing::of_one(base.clone(), object)))
            }
            _ => {
                let objects = self.whole.list_data(|_| true).await?;
                Ok(Some(Listing::of(self.whole.clone(), objects)))
            }
        }
    }

    async fn literal_in_store(&self) -> Result<Option<Listing>, PlaceError> {
        let mut refusal = None;
        let mut marker = None;
        if let Some((base, key)) = &self.single {
            match base.object(key).await {
                Ok(object) if object.size_bytes > 0 => {
                    return Ok(Some(Listing::of_one(base.clone(), object)));
                }
                // An empty object may be what the store keeps for a folder.
                Ok(object) => marker = Some(Listing::of_one(base.clone(), object)),
                Err(error) if error.is_not_found() => {}
                // S3 hides whether a key exists from who may not list: what is below it may be readable.
                Err(error) if error.is_permission_denied() => refusal = Some(error),
                Err(error) => return Err(error),
            }
        }
        let objects = self.whole.list_data(|_| true).await?;
        match (refusal, self.glob.is_some()) {
            _ if !objects.is_empty() => Ok(Some(Listing::of(self.whole.clone(), objects))),
            (Some(error), false) => Err(error),
            _ => Ok(marker),
        }
    }

    async fn matching(&self, base: &Place, pattern: &str) -> Result<Listing, PlaceError> {
        let glob = Glob::new(pattern)
            .map_err(|source| PlaceError::InvalidGlob { text: self.text.clone(), source })?;
        let folders = glob.clone();
        let mut objects = match base.list_data(move |folder| folders.enters(folder)).await {
            Err(error) if error.is_not_found() => Vec::new(),
            outcome => outcome?,
        };
        objects.retain(|object| glob.is_match(&object.key));
        let listing = Listing::of(base.clone(), objects);
        match listing.objects.is_empty() {
            true => Err(self.nothing_found(listing.hidden)),
            false => Ok(listing),
        }
    }

    fn nothing_found(&self, hidden: u64) -> PlaceError {
        PlaceError::NothingFound { text: self.text.clone(), hidden }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Listing {
    fn of_one(base: Place, object: Object) -> Self {
        Self { base, objects: vec![object], hidden: 0, is_one_object: true }
    }

    fn of(base: Place, mut objects: Vec<Object>) -> Self {
        let before = objects.len();
        objects.retain(|object| !is_hidden(&object.key));
        Self { base, hidden: (before - objects.len()) as u64, objects, is_one_object: false }
    }
}

/// Folder (with its slash, empty when there is none) and name.
fn split_at_last_slash(path: &str) -> Option<(&str, &str)> {
    if path.is_empty() {
        return None;
    }
    Some(path.split_at(path.rfind('/').map_or(0, |slash| slash + 1)))
}

/// The place of a folder that begins the path of `text`, with the client of the `whole`.
fn parent(whole: &Place, text: &str, path_start: usize, folder: &str) -> Result<Place, PlaceError> {
    // The slash of a root stays, the one behind a folder's name goes.
    let folder = match folder.strip_suffix('/') {
        Some("") | None => folder,
        Some(name) => name,
    };
    match &text[..path_start + folder.len()] {
        "" => Place::parse("."),
        address => whole.beside(address),
    }
}
