//! The parts of a file that were fetched, as a file for the Parquet reader.

use std::sync::Arc;

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Some byte ranges of a file.
#[derive(Clone, Debug)]
pub struct Ranges {
    size_bytes: u64,
    /// First byte and bytes, ascending.
    parts: Arc<[(u64, Bytes)]>,
}

impl Ranges {
    /// The parts of a file of `size_bytes`, each with the position of its first byte, ascending.
    pub fn new(size_bytes: u64, parts: Vec<(u64, Bytes)>) -> Ranges {
        Ranges { size_bytes, parts: parts.into() }
    }

    /// The bytes from `start` to the end of the part that holds them.
    fn from(&self, start: u64) -> Result<Bytes> {
        let after = self.parts.partition_point(|(first, _)| *first <= start);
        let found =
            after.checked_sub(1).and_then(|at| self.parts.get(at)).and_then(|(first, bytes)| {
                let skipped = usize::try_from(start - first).ok()?;
                (skipped <= bytes.len()).then(|| bytes.slice(skipped..))
            });
        found.ok_or_else(|| ParquetError::EOF(format!("byte {start} was not fetched")))
    }
}

impl Length for Ranges {
    fn len(&self) -> u64 {
        self.size_bytes
    }
}

impl ChunkReader for Ranges {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!(
                "{length} bytes from byte {start} were not fetched"
            )));
        }
        Ok(bytes.slice(..length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_fetched_can_be_read() {
        let part = |text: &'static str| Bytes::from_static(text.as_bytes());
        let ranges = Ranges::new(100, vec![(10, part("abcde")), (40, part("xyz"))]);
        assert_eq!(ranges.get_bytes(11, 3).unwrap(), part("bcd"));
        assert_eq!(ranges.get_bytes(40, 3).unwrap(), part("xyz"));
        assert!(ranges.get_bytes(13, 3).is_err());
        assert!(ranges.get_bytes(9, 1).is_err());
        assert!(ranges.get_bytes(30, 1).is_err());
    }
}
