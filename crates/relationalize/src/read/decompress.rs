//! Takes the compression off an object, whatever its name says.
//!
//! ```text
//! object ──▶ first bytes ──▶ gzip · zstd · bzip2 · xz · plain ──▶ ratio guard ──▶ plain bytes
//! ```
//!
//! An object may be several compressed streams one after the other (gzip members, zstd frames with
//! skippable frames between them, bzip2 and xz streams); they come out as one stream (R1).

use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;

#[cfg(test)]
mod tests;

/// Bytes asked of a compressed object at once. The buffer is made for every object, so it is small.
const BUFFER_BYTES: usize = 32 * 1024;

/// Bytes of an object that tell its compression: as long as the longest magic number (xz).
const MAGIC_BYTES: usize = 6;

/// Decompressed bytes before the ratio is looked at: small objects may be as dense as they like.
const RATIO_FREE_BYTES: u64 = 64 * 1024 * 1024;

/// How an object is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not compressed.
    Plain,
    /// gzip (RFC 1952), one or more members.
    Gzip,
    /// Zstandard (RFC 8878), one or more frames.
    Zstd,
    /// bzip2, one or more streams.
    Bzip2,
    /// xz, one or more streams.
    Xz,
}

impl Compression {
    /// The compression that the first bytes of an object show.
    ///
    /// Fewer than six bytes are enough when the object has no more.
    #[must_use]
    pub fn recognise(first_bytes: &[u8]) -> Self {
        match first_bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame may come before the first real one.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Self::Xz,
            _ => Self::Plain,
        }
    }
}

/// Why an object is refused although its compressed form is sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// The object grew beyond the limit of R17.
    #[error(
        "{compressed_bytes} compressed bytes became more than {decompressed_bytes} bytes, over the limit of --max-ratio, {max_ratio}"
    )]
    RatioExceeded {
        /// The limit: decompressed bytes for each compressed byte.
        max_ratio: u64,
        /// Compressed bytes read so far, read-ahead included.
        compressed_bytes: u64,
        /// Bytes that came out of them.
        decompressed_bytes: u64,
    },
}

/// The bytes of `reader` without their compression, and which one it was (R1).
///
/// An empty object is [`Compression::Plain`]. Memory is the codec's window and one buffer of
/// 32 KiB; plain bytes are not buffered.
///
/// # Errors
///
/// When the first bytes cannot be read or the codec cannot be set up. Reading on from the result
/// fails when the compressed stream is corrupt or ends too early; it never ends cleanly then.
pub fn decompressed<R: Read + Send + 'static>(
    mut reader: R,
) -> io::Result<(Compression, Box<dyn Read + Send>)> {
    let mut magic = Vec::with_capacity(MAGIC_BYTES);
    reader.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut magic)?;
    let compression = Compression::recognise(&magic);
    let input = Cursor::new(magic).chain(reader);
    let buffered = |input| BufReader::with_capacity(BUFFER_BYTES, input);
    let output: Box<dyn Read + Send> = match compression {
        Compression::Plain => Box::new(input),
        Compression::Gzip => Box::new(MultiGzDecoder::new(buffered(input))),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(buffered(input))?),
        Compression::Bzip2 => Box::new(MultiBzDecoder::new(buffered(input))),
        Compression::Xz => Box::new(XzDecoder::new_multi_decoder(buffered(input))),
    };
    Ok((compression, output))
}

/// Like [`decompressed`], and no compressed object may grow more than `max_ratio` times (R17).
///
/// The ratio is looked at once more than 64 MiB came out. It is measured against the bytes read,
/// which may be one buffer ahead of the bytes used.
///
/// # Errors
///
/// As [`decompressed`]; reading from the result also fails with an [`io::Error`] that carries
/// [`DecompressError::RatioExceeded`].
pub fn decompressed_within<R: Read + Send + 'static>(
    reader: R,
    max_ratio: u64,
) -> io::Result<(Compression, Box<dyn Read + Send>)> {
    let compressed_bytes = Arc::new(AtomicU64::new(0));
    let counted = Counted::new(reader, Arc::clone(&compressed_bytes));
    let (compression, output) = decompressed(counted)?;
    if compression == Compression::Plain {
        return Ok((compression, output));
    }
    let guard = RatioGuard {
        reader: output,
        compressed_bytes,
        decompressed_bytes: 0,
        max_ratio,
        free_bytes: RATIO_FREE_BYTES,
    };
    Ok((compression, Box::new(guard)))
}

/// Counts the bytes that pass.
pub(super) struct Counted<R> {
    reader: R,
    num_bytes: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    /// Adds the bytes of `reader` to `num_bytes`, as they pass.
    pub(super) fn new(reader: R, num_bytes: Arc<AtomicU64>) -> Self {
        Self { reader, num_bytes }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let num_bytes = self.reader.read(buffer)?;
        self.num_bytes.fetch_add(num_bytes as u64, Ordering::Relaxed);
        Ok(num_bytes)
    }
}

/// Fails when too much comes out of too little.
struct RatioGuard<R> {
    reader: R,
    compressed_bytes: Arc<AtomicU64>,
    decompressed_bytes: u64,
    max_ratio: u64,
    free_bytes: u64,
}

impl<R: Read> Read for RatioGuard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let num_bytes = self.reader.read(buffer)?;
        self.decompressed_bytes += num_bytes as u64;
        if self.decompressed_bytes > self.free_bytes {
            let compressed_bytes = self.compressed_bytes.load(Ordering::Relaxed);
            if self.decompressed_bytes > compressed_bytes.saturating_mul(self.max_ratio) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    DecompressError::RatioExceeded {
                        max_ratio: self.max_ratio,
                        compressed_bytes,
                        decompressed_bytes: self.decompressed_bytes,
                    },
                ));
            }
        }
        Ok(num_bytes)
    }
}
