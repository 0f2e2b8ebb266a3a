//! Lines on their way to a part: in memory, and in a temporary file when they are many.

use std::io::{self, Read, Seek, Write};

use tempfile::SpooledTempFile;

/// Bytes kept in memory.
const MAX_MEMORY_BYTES: usize = 8 << 20;
/// Bytes read back at one time.
const CHUNK_BYTES: usize = 1 << 20;

/// Lines that may yet be thrown away.
pub(crate) struct Spool {
    file: SpooledTempFile,
    num_bytes: u64,
}

impl Default for Spool {
    fn default() -> Self {
        Self { file: SpooledTempFile::new(MAX_MEMORY_BYTES), num_bytes: 0 }
    }
}

impl Spool {
    pub(crate) fn is_empty(&self) -> bool {
        self.num_bytes == 0
    }

    pub(crate) fn num_bytes(&self) -> u64 {
        self.num_bytes
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.num_bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Takes all lines of another spool.
    pub(crate) fn take(&mut self, other: Spool) -> io::Result<()> {
        if self.is_empty() {
            *self = other;
            return Ok(());
        }
        let mut chunks = other.into_chunks()?;
        while let Some(chunk) = chunks.next()? {
            self.append(&chunk)?;
        }
        Ok(())
    }

    /// The spool from its beginning, to be read with [`Chunks::next`].
    pub(crate) fn into_chunks(mut self) -> io::Result<Chunks> {
        self.file.rewind()?;
        Ok(Chunks { spool: self })
    }
}

/// The lines of a spool, chunk by chunk.
pub(crate) struct Chunks {
    spool: Spool,
}

impl Chunks {
    /// The next bytes, `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES.min(self.spool.num_bytes as usize));
        Read::by_ref(&mut self.spool.file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        Ok((!chunk.is_empty()).then_some(chunk))
    }
}
