//! Standard input as an object: it can be read once, an entity perhaps has to be read twice (R10).
//!
//! ```text
//!   first reading    stdin ──▶ framer          second reading    copy ──▶ framer
//!                      └──▶ copy, in a file that has no name
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use solder_landing::Object;

use crate::settings::new_run_id;

/// How standard input is named on the command line, and the key of its one object.
pub const STDIN: &str = "-";

/// Standard input, and a copy of what was read of it.
#[derive(Debug, Default)]
pub struct StandardInput {
    copy: Mutex<Copy>,
}

/// The copy for a second reading.
#[derive(Debug, Default)]
enum Copy {
    /// Nothing was read yet.
    #[default]
    Unread,
    /// All that was read so far.
    Kept(File),
    /// It could not be made: a second reading is not to be had.
    Failed(io::Error),
}

/// Why standard input cannot be read again.
#[derive(Debug, thiserror::Error)]
#[error(
    "standard input has to be read twice, since it holds objects with ever new keys, but keeping a copy \
     in `{folder}` failed; name the objects with --map, or give the records as a file"
)]
struct NoCopy {
    folder: String,
    source: io::Error,
}

impl StandardInput {
    /// The one object of standard input.
    pub fn object() -> Object {
        Object { key: STDIN.to_owned(), size_bytes: 0, modified_us: None, etag: None }
    }

    /// The bytes from the first one on: standard input itself, and its copy from the second call on.
    ///
    /// # Errors
    ///
    /// The copy could not be kept, for instance since the disk is full.
    pub fn open(self: &Arc<Self>) -> io::Result<Box<dyn Read + Send>> {
        let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *copy) {
            Copy::Unread => {
                *copy = create().map_or_else(Copy::Failed, Copy::Kept);
                Ok(Box::new(Copying { input: Box::new(io::stdin()), standard: self.clone() }))
            }
            Copy::Kept(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                let again = file.try_clone()?;
                *copy = Copy::Kept(file);
                Ok(Box::new(again))
            }
            Copy::Failed(source) => {
                let folder = std::env::temp_dir().display().to_string();
                Err(io::Error::other(NoCopy { folder, source }))
            }
        }
    }

    fn keep(&self, bytes: &[u8]) {
        let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Copy::Kept(file) = &mut *copy
            && let Err(error) = file.write_all(bytes)
        {
            // Most inputs are read once: only a second reading makes an error of this.
            *copy = Copy::Failed(error);
        }
    }
}

/// A file that is gone when it is closed.
fn create() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("solder-stdin-{}", new_run_id()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

struct Copying {
    input: Box<dyn Read + Send>,
    standard: Arc<StandardInput>,
}

impl Read for Copying {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let num_bytes = self.input.read(buffer)?;
        self.standard.keep(buffer.get(..num_bytes).unwrap_or_default());
        Ok(num_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R10: what was read once can be read again, from the first byte on.
    #[test]
    fn r10_a_copy_is_read_again() {
        let standard = Arc::new(StandardInput { copy: Mutex::new(Copy::Kept(create().unwrap())) });
        let input: Box<dyn Read + Send> = Box::new(&b"{\"a\":1}\n{\"a\":2}\n"[..]);
        let mut first = String::new();
        let mut reader = Copying { input, standard: standard.clone() };
        reader.read_to_string(&mut first).unwrap();
        for _ in 0..2 {
            let mut again = String::new();
            standard.open().unwrap().read_to_string(&mut again).unwrap();
            assert_eq!(again, first);
        }
    }

    #[test]
    fn r10_a_copy_that_failed_is_no_input() {
        let full = Copy::Failed(io::ErrorKind::StorageFull.into());
        let standard = Arc::new(StandardInput { copy: Mutex::new(full) });
        let error = standard.open().err().unwrap();
        assert!(error.to_string().contains("--map"), "{error}");
    }
}
