//! The files below a folder of the local disk.

use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::is_staged;
use crate::object::is_hidden;
use crate::{Action, Object, PlaceError};

/// What becomes of errors in folders that are hidden below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HiddenFaults {
    /// They count as any other.
    Reported,
    /// What is hidden is not data, so it cannot keep the data from being read.
    Ignored,
}

/// One folder that is still to be read.
struct Folder {
    /// Its path, as reached from the root.
    path: PathBuf,
    /// Its key: empty for the root.
    key: String,
    /// Its path with every symbolic link resolved.
    real: PathBuf,
    /// The real folders in which the links that lead here stand, outermost first.
    via: Arc<Vec<PathBuf>>,
}

/// Lists all files below `root`, in no order, with sizes and times.
///
/// Symbolic links are followed, except into a folder that is being read already, so that a cycle ends. A
/// link that leads nowhere is listed with size 0: who needs the file gets an error that names it. Files
/// that are still being written (see [`is_staged`]) are left out, as is what vanishes meanwhile.
///
/// `enters` is asked with the key of every folder below the root; where it says no, nothing is read.
///
/// Costs one system call per file and a few per folder.
///
/// # Errors
///
/// A root or folder that cannot be read, a name that is not UTF-8; see [`HiddenFaults`] for hidden folders.
pub(crate) fn walk(
    root: &Path,
    enters: &dyn Fn(&str) -> bool,
    hidden_faults: HiddenFaults,
) -> Result<Vec<Object>, PlaceError> {
    let real = fs::canonicalize(root).map_err(|source| failed(root, source))?;
    let mut objects = Vec::new();
    let mut folders =
        vec![Folder { path: root.to_owned(), key: String::new(), real, via: Arc::default() }];
    while let Some(folder) = folders.pop() {
        match read(&folder, enters, &mut objects, &mut folders) {
            Err(_) if hidden_faults == HiddenFaults::Ignored && is_hidden(&folder.key) => {}
            // A folder that somebody has removed since its parent was read has nothing in it.
            Err(error) if error.is_not_found() && !folder.key.is_empty() => {}
            outcome => outcome?,
        }
    }
    Ok(objects)
}

/// Reads one folder: its files go to `objects`, the folders in it to `folders`.
fn read(
    folder: &Folder,
    enters: &dyn Fn(&str) -> bool,
    objects: &mut Vec<Object>,
    folders: &mut Vec<Folder>,
) -> Result<(), PlaceError> {
    for entry in fs::read_dir(&folder.path).map_err(|source| failed(&folder.path, source))? {
        let entry = entry.map_err(|source| failed(&folder.path, source))?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(PlaceError::KeyNotUnicode {
                address: entry.path().to_string_lossy().into_owned(),
            });
        };
        if is_staged(&name) {
            continue;
        }
        let key = match folder.key.as_str() {
            "" => name.clone(),
            above => format!("{above}/{name}"),
        };
        match look_at(&entry).map_err(|source| failed(&entry.path(), source))? {
            Found::File(metadata) => objects.push(Object::from_disk(key, &metadata)),
            Found::BrokenLink => {
                objects.push(Object { key, size_bytes: 0, modified_us: None, etag: None })
            }
            Found::Folder if enters(&key) => folders.push(Folder {
                path: entry.path(),
                real: folder.real.join(&name),
                via: Arc::clone(&folder.via),
                key,
            }),
            Found::LinkToFolder(real) if enters(&key) && !is_open(folder, &real) => {
                let mut via = folder.via.to_vec();
                via.push(folder.real.clone());
                folders.push(Folder { path: entry.path(), real, via: Arc::new(via), key });
            }
            Found::Folder | Found::LinkToFolder(_) | Found::Nothing => {}
        }
    }
    Ok(())
}

/// What an entry of a folder leads to.
enum Found {
    File(Metadata),
    Folder,
    /// The folder's path with all links resolved.
    LinkToFolder(PathBuf),
    BrokenLink,
    /// A pipe, a socket, a device, or something that vanished.
    Nothing,
}

fn look_at(entry: &DirEntry) -> io::Result<Found> {
    let kind = entry.file_type()?;
    if kind.is_dir() {
        return Ok(Found::Folder);
    }
    if kind.is_file() {
        return match entry.metadata() {
            Ok(metadata) => Ok(Found::File(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error),
        };
    }
    if !kind.is_symlink() {
        return Ok(Found::Nothing);
    }
    match fs::metadata(entry.path()) {
        Ok(target) if target.is_dir() => Ok(Found::LinkToFolder(fs::canonicalize(entry.path())?)),
        Ok(target) if target.is_file() => Ok(Found::File(target)),
        Ok(_) => Ok(Found::Nothing),
        // Not found, or a link that leads to itself.
        Err(_) => Ok(Found::BrokenLink),
    }
}

/// Whether `real` is a folder on the way to `folder`: following a link to it would never end.
fn is_open(folder: &Folder, real: &Path) -> bool {
    folder.real.starts_with(real) || folder.via.iter().any(|link| link.starts_with(real))
}

fn failed(path: &Path, source: io::Error) -> PlaceError {
    PlaceError::disk(Action::Listing, path.display().to_string(), source)
}
