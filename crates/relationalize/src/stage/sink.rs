//! Where the bytes of a staged file go: a plain file on disk, an upload in a store.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use bytes::Bytes;
use solder_landing::{Place, Upload};

use crate::error::Error;
use crate::io::Io;

/// A file being written; it exists for others once [`Sink::complete`] returned.
pub struct Sink {
    target: Target,
    size_bytes: u64,
}

enum Target {
    /// On the local disk.
    Disk(BufWriter<File>),
    /// In an object store.
    Store { io: Arc<Io>, upload: Upload, pending: Vec<u8> },
}

/// Of a file on disk; columns are larger and pass it by.
const BUFFER_BYTES: usize = 64 << 10;
/// Of an upload.
const PIECE_BYTES: usize = 1 << 20;

impl Sink {
    /// Begins the file `key` of `place`.
    ///
    /// # Errors
    ///
    /// The place refuses.
    pub fn create(io: &Arc<Io>, place: &Place, key: &str) -> Result<Sink, Error> {
        if let Some(path) = place.local_path(key) {
            let create = || {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                File::create(&path)
            };
            let file = create()
                .map_err(|source| Error::Write { key: path.display().to_string(), source })?;
            let target = Target::Disk(BufWriter::with_capacity(BUFFER_BYTES, file));
            return Ok(Sink { target, size_bytes: 0 });
        }
        let upload = io.wait(place.upload(key))?;
        let target = Target::Store { io: io.clone(), upload, pending: Vec::new() };
        Ok(Sink { target, size_bytes: 0 })
    }

    /// Makes the file whole; returns its size in bytes. The commit makes it last.
    ///
    /// # Errors
    ///
    /// The place refuses.
    pub fn complete(self) -> io::Result<u64> {
        match self.target {
            Target::Disk(writer) => {
                writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            }
            Target::Store { io, mut upload, pending } => {
                let put = async {
                    upload.put(Bytes::from(pending)).await?;
                    upload.complete().await
                };
                io.wait(put).map_err(io::Error::other)?;
            }
        }
        Ok(self.size_bytes)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.target {
            Target::Disk(writer) => writer.write(bytes)?,
            Target::Store { io, upload, pending } => {
                pending.extend_from_slice(bytes);
                if pending.len() >= PIECE_BYTES {
                    let piece = Bytes::from(std::mem::take(pending));
                    io.wait(upload.put(piece)).map_err(io::Error::other)?;
                }
                bytes.len()
            }
        };
        self.size_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Disk(writer) => writer.flush(),
            Target::Store { .. } => Ok(()),
        }
    }
}
