//! One part: lines, compressed, on their way into the place.

use std::io::{self, Write};
use std::time::Instant;

use bytes::Bytes;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use solder_landing::raw::DataFile;
use solder_landing::{Place, Upload};

use super::LandError;
use crate::cursor::{Cursor, CursorRange};

/// Compressed bytes that are handed on at one time.
const PIECE_BYTES: usize = 256 << 10;

/// How parts are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard.
    #[default]
    Zstd,
    /// gzip.
    Gzip,
}

impl Compression {
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Compression::Zstd => "ndjson.zst",
            Compression::Gzip => "ndjson.gz",
        }
    }
}

enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
}

/// A part that is being written.
pub(crate) struct Part {
    key: String,
    upload: Upload,
    encoder: Encoder,
    digest: Sha256,
    num_records: u64,
    cursors: Option<CursorRange>,
    begun: Instant,
}

impl Part {
    pub(crate) async fn begin(
        place: &Place,
        key: String,
        compression: Compression,
    ) -> Result<Self, LandError> {
        let encoder = match compression {
            Compression::Zstd => Encoder::Zstd(
                zstd::stream::write::Encoder::new(Vec::new(), 3).map_err(LandError::Compress)?,
            ),
            Compression::Gzip => {
                Encoder::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(6)))
            }
        };
        let upload = place.upload(&key).await?;
        let (digest, begun) = (Sha256::new(), Instant::now());
        Ok(Self { key, upload, encoder, digest, num_records: 0, cursors: None, begun })
    }

    pub(crate) async fn write(&mut self, lines: &[u8]) -> Result<(), LandError> {
        let written = match &mut self.encoder {
            Encoder::Zstd(encoder) => encoder.write_all(lines),
            Encoder::Gzip(encoder) => encoder.write_all(lines),
        };
        written.map_err(LandError::Compress)?;
        let output = match &mut self.encoder {
            Encoder::Zstd(encoder) => encoder.get_mut(),
            Encoder::Gzip(encoder) => encoder.get_mut(),
        };
        if output.len() >= PIECE_BYTES {
            let piece = std::mem::take(output);
            self.hand_on(piece).await?;
        }
        Ok(())
    }

    /// Counts the records of a unit that was written.
    pub(crate) fn count(&mut self, num_records: u64, cursors: Option<CursorRange>) {
        self.num_records += num_records;
        CursorRange::join(&mut self.cursors, cursors);
    }

    /// The compressed bytes so far.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.upload.size_bytes()
    }

    pub(crate) fn age(&self) -> std::time::Duration {
        self.begun.elapsed()
    }

    /// Makes the part whole. It counts once a manifest names it.
    pub(crate) async fn finish(
        mut self,
        text: impl Fn(&Cursor) -> String,
    ) -> Result<DataFile, LandError> {
        let rest: io::Result<Vec<u8>> = match self.encoder {
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::Gzip(encoder) => encoder.finish(),
        };
        let rest = rest.map_err(LandError::Compress)?;
        self.digest.update(&rest);
        self.upload.put(Bytes::from(rest)).await?;
        let size_bytes = self.upload.complete().await?;
        Ok(DataFile {
            key: self.key,
            size_bytes,
            num_records: self.num_records,
            sha256: hex::encode(self.digest.finalize()),
            cursor_range: self.cursors.map(|range| (text(&range.lowest), text(&range.highest))),
        })
    }

    pub(crate) async fn abandon(self) {
        // What is left of it no manifest names.
        let _ = self.upload.abort().await;
    }

    async fn hand_on(&mut self, piece: Vec<u8>) -> Result<(), LandError> {
        self.digest.update(&piece);
        Ok(self.upload.put(Bytes::from(piece)).await?)
    }
}
