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
use std::time::{Duration, Instant};

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

/// How an object is compressed, and what was read of it to know.
fn recognised(reader: &mut impl Read) -> io::Result<(Compression, Cursor<Vec<u8>>)> {
    let mut magic = Vec::with_capacity(MAGIC_BYTES);
    reader.take(MAGIC_BYTES as u64).read_to_end(&mut magic)?;
    Ok((Compression::recognise(&magic), Cursor::new(magic)))
}

fn decoder<R: Read + Send + 'static>(
    compression: Compression,
    input: R,
) -> io::Result<Box<dyn Read + Send>> {
    let buffered = |input| BufReader::with_capacity(BUFFER_BYTES, input);
    Ok(match compression {
        Compression::Plain => Box::new(input),
        Compression::Gzip => Box::new(MultiGzDecoder::new(buffered(input))),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(buffered(input))?),
        Compression::Bzip2 => Box::new(MultiBzDecoder::new(buffered(input))),
        Compression::Xz => Box::new(XzDecoder::new_multi_decoder(buffered(input))),
    })
}

/// The plain bytes of an object.
pub struct Decompressed {
    /// Reads them.
    pub reader: Box<dyn Read + Send>,
    /// What is read of the object, of a compressed one; a plain one has no other bytes.
    pub compressed: Option<Arc<Compressed>>,
}

/// What was read of a compressed object.
#[derive(Debug, Default)]
pub struct Compressed {
    num_bytes: AtomicU64,
    nanos: AtomicU64,
}

impl Compressed {
    /// Its bytes, as stored.
    #[must_use]
    pub fn num_bytes(&self) -> u64 {
        self.num_bytes.load(Ordering::Relaxed)
    }

    /// How long they were waited for.
    #[must_use]
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

/// The bytes of an object without its compression (R1), which may not make it grow more than `max_ratio`
/// times (R17).
///
/// An empty object is [`Compression::Plain`]. Memory is the codec's window and one buffer of
/// 32 KiB; plain bytes are not buffered. The ratio is looked at once more than 64 MiB came out. It is
/// measured against the bytes read, which may be one buffer ahead of the bytes used.
///
/// # Errors
///
/// When the first bytes cannot be read or the codec cannot be set up. Reading on from the result fails when
/// the compressed stream is corrupt or ends too early, it never ends cleanly then; and with an [`io::Error`]
/// that carries [`DecompressError::RatioExceeded`].
pub fn decompressed_within<R: Read + Send + 'static>(
    mut reader: R,
    max_ratio: u64,
) -> io::Result<Decompressed> {
    let (compression, magic) = recognised(&mut reader)?;
    let input = magic.chain(reader);
    if compression == Compression::Plain {
        // Nothing stands between: a reader of our own would have memory cleared before each read.
        return Ok(Decompressed { reader: Box::new(input), compressed: None });
    }
    let compressed: Arc<Compressed> = Arc::default();
    let counted = Counted { reader: input, read: compressed.clone() };
    let guard = RatioGuard {
        reader: decoder(compression, counted)?,
        compressed: compressed.clone(),
        decompressed_bytes: 0,
        max_ratio,
        free_bytes: RATIO_FREE_BYTES,
    };
    Ok(Decompressed { reader: Box::new(guard), compressed: Some(compressed) })
}

/// Counts the bytes that pass, a buffer at a time.
struct Counted<R> {
    reader: R,
    read: Arc<Compressed>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        let num_bytes = self.reader.read(buffer)?;
        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.read.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.read.num_bytes.fetch_add(num_bytes as u64, Ordering::Relaxed);
        Ok(num_bytes)
    }
}

/// Fails when too much comes out of too little.
struct RatioGuard<R> {
    reader: R,
    compressed: Arc<Compressed>,
    decompressed_bytes: u64,
    max_ratio: u64,
    free_bytes: u64,
}

impl<R: Read> Read for RatioGuard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let num_bytes = self.reader.read(buffer)?;
        self.decompressed_bytes += num_bytes as u64;
        if self.decompressed_bytes > self.free_bytes {
            let compressed_bytes = self.compressed.num_bytes();
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
