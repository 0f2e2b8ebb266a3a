//! Files of the local disk that behave like objects: whole or absent, never half written.
//!
//! Everything here blocks and speaks `io::Error`; the place adds what was being done and where.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::Creation;

const STAGED_PREFIX: &str = ".solder-";
const STAGED_SUFFIX: &str = ".part";

/// Whether a file name is one of a file that is still being written.
pub(crate) fn is_staged(name: &str) -> bool {
    name.starts_with(STAGED_PREFIX) && name.ends_with(STAGED_SUFFIX)
}

/// A file on its way: written beside its destination under a name of its own, visible when it is whole.
///
/// Dropped before that, it leaves nothing.
#[derive(Debug)]
pub(crate) struct StagedFile {
    file: File,
    path: PathBuf,
    destination: PathBuf,
    is_done: bool,
}

/// How often a folder that others remove is made again for one file.
const MAX_FOLDERS_MADE: usize = 8;

impl StagedFile {
    /// Opens a new file beside `destination`, creating the folders above it.
    pub(crate) fn open(destination: PathBuf) -> io::Result<Self> {
        // Numbers the files of this process; the process's number keeps other processes apart, and
        // `create_new` those on other machines.
        static NEXT: AtomicU64 = AtomicU64::new(0);

        let folder = folder_of(&destination).to_owned();
        let mut folders_made = 0;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let process = std::process::id();
            let path = folder.join(format!("{STAGED_PREFIX}{process}-{number}{STAGED_SUFFIX}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    return Ok(Self { file, path, destination, is_done: false });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // The folder may be another writer's by now: whether it is there says nothing.
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && folders_made < MAX_FOLDERS_MADE =>
                {
                    fs::create_dir_all(&folder)?;
                    folders_made += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Makes the file visible at its destination, replacing what was there, and lasting.
    pub(crate) fn publish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.destination)?;
        self.is_done = true;
        sync_folder(&self.destination);
        Ok(())
    }

    /// As [`StagedFile::publish`], but it lasts over a loss of power only once the system has written it.
    pub(crate) fn publish_unsynced(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.destination)?;
        self.is_done = true;
        Ok(())
    }

    /// Makes the file visible at its destination only if nothing is there: a hard link never replaces.
    ///
    /// The outer error is one of writing, the inner one of linking: a disk without hard links gives that.
    pub(crate) fn publish_if_absent(self) -> io::Result<Result<Creation, io::Error>> {
        self.file.sync_all()?;
        match fs::hard_link(&self.path, &self.destination) {
            Ok(()) => {
                sync_folder(&self.destination);
                Ok(Ok(Creation::Created))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(Ok(Creation::AlreadyExists))
            }
            Err(error) => Ok(Err(error)),
        }
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.is_done {
            // What cannot be removed is never listed either.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a whole file, replacing what was there.
pub(crate) fn write(destination: PathBuf, bytes: &[u8]) -> io::Result<()> {
    let mut staged = StagedFile::open(destination)?;
    staged.write(bytes)?;
    staged.publish()
}

/// Writes a whole file only if it is absent; see [`StagedFile::publish_if_absent`] for the two errors.
pub(crate) fn create(
    destination: PathBuf,
    bytes: &[u8],
) -> io::Result<Result<Creation, io::Error>> {
    let mut staged = StagedFile::open(destination)?;
    staged.write(bytes)?;
    staged.publish_if_absent()
}

/// Renames a file, creating the folders above the new name and replacing what was there.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    // Only then is an absent folder told from an absent file.
    fs::metadata(from)?;
    fs::create_dir_all(folder_of(to))?;
    fs::rename(from, to)?;
    sync_folder(to);
    Ok(())
}

/// Gives many files a second name, replacing what was there, and makes bytes and names last through a power
/// failure. Where the file system knows no links, the files are copied.
///
/// A disk takes many such requests at a time better than one after another, so they run side by side.
pub(crate) fn link_all(moves: &[(PathBuf, PathBuf)]) -> io::Result<()> {
    side_by_side(moves, |(from, to)| {
        File::open(from)?.sync_data()?;
        fs::create_dir_all(folder_of(to))?;
        delete(to)?;
        fs::hard_link(from, to).or_else(|_| copy(from, to.clone()))
    })?;
    let mut folders: Vec<&PathBuf> = moves.iter().map(|(_, to)| to).collect();
    folders.sort_by_key(|to| folder_of(to));
    folders.dedup_by_key(|to| folder_of(to));
    side_by_side(&folders, |to| {
        sync_folder(to);
        Ok(())
    })
}

/// Requests to the disk under way at one time.
const MAX_REQUESTS: usize = 16;

fn side_by_side<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> io::Result<()> + Sync,
) -> io::Result<()> {
    let share = items.len().div_ceil(MAX_REQUESTS).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(share)
            .map(|items| scope.spawn(|| items.iter().try_for_each(&work)))
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, io::Result<()>>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread failed")))
        };
        threads.into_iter().try_for_each(join)
    })
}

/// Copies a file, creating the folders above the copy and replacing what was there.
pub(crate) fn copy(from: &Path, to: PathBuf) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut staged = StagedFile::open(to)?;
    io::copy(&mut source, &mut staged.file)?;
    staged.publish()
}

/// Deletes a file; an absent one is no error.
pub(crate) fn delete(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if is_absent(&error) => Ok(()),
        outcome => outcome,
    }
}

/// Whether there is a file (not a folder) at `path`.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(!metadata.is_dir()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads a range of a file, cut at its end; the size of the file instead when it begins behind that.
pub(crate) fn read_range(path: &Path, range: Range<u64>) -> io::Result<Result<Bytes, u64>> {
    let mut file = File::open(path)?;
    let size_bytes = file.metadata()?.len();
    if range.start >= size_bytes {
        return Ok(Err(size_bytes));
    }
    file.seek(SeekFrom::Start(range.start))?;
    let length = range.end.min(size_bytes) - range.start;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(length).read_to_end(&mut bytes)?;
    Ok(Ok(bytes.into()))
}

/// Reads the next chunk of a file; `None` at its end.
pub(crate) fn read_chunk(file: &mut File, max_bytes: u64) -> io::Result<Option<Bytes>> {
    let mut chunk = Vec::with_capacity(usize::try_from(max_bytes).unwrap_or(0));
    file.take(max_bytes).read_to_end(&mut chunk)?;
    Ok((!chunk.is_empty()).then(|| chunk.into()))
}

pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a name in a folder last through a power failure, where the file system can.
fn sync_folder(path: &Path) {
    // Some file systems cannot sync folders; the file itself is whole and synced by now.
    let _ = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
}
