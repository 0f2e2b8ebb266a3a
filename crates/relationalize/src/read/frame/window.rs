//! The part of an object that is in memory: what is still needed, and what was read ahead.

use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant};

use memchr::{memchr_iter, memrchr};

/// Bytes asked of the reader at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// So much memory is not kept while little of it is used.
const HUGE_BYTES: usize = 64 * CHUNK_BYTES;

/// The most memory that is kept from one object to the next.
const MAX_REUSED_BYTES: usize = 2 * 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A sliding window over an object, with a place in it.
#[derive(Debug)]
pub(super) struct Window<R> {
    reader: R,
    /// Initialised memory; the window is its part before `end`.
    bytes: Vec<u8>,
    place: usize,
    end: usize,
    /// Offset in the object of `bytes[0]`.
    base: u64,
    /// Start of the line that `bytes[0]` is on.
    base_line_start: u64,
    /// A known line number, and the offset it is true for; never before `base`.
    known_line: (u64, u64),
    ended: bool,
    time_reading: Duration,
}

impl<R: Read> Window<R> {
    /// A window in `memory`, whose bytes mean nothing; one that an earlier window gave back costs less
    /// than a new one.
    pub(super) fn new(reader: R, memory: Vec<u8>) -> Self {
        Self {
            reader,
            bytes: memory,
            place: 0,
            end: 0,
            base: 0,
            base_line_start: 0,
            known_line: (1, 0),
            ended: false,
            time_reading: Duration::ZERO,
        }
    }

    /// The memory for the next window, without what this one took for long records.
    pub(super) fn into_memory(mut self) -> Vec<u8> {
        if self.bytes.len() > MAX_REUSED_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes
    }

    /// Skips a byte order mark at the start of the object; columns count from behind it.
    pub(super) fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        self.ensure(0, BYTE_ORDER_MARK.len(), 0)?;
        if self.rest().starts_with(BYTE_ORDER_MARK) {
            self.advance(BYTE_ORDER_MARK.len());
            self.base = self.offset();
            self.bytes.copy_within(self.place..self.end, 0);
            self.end -= self.place;
            self.place = 0;
            self.base_line_start = self.base;
            self.known_line = (1, self.base);
        }
        Ok(())
    }

    /// Offset of the place in the object.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.place as u64
    }

    /// Bytes of the object read so far.
    pub(super) fn num_bytes_read(&self) -> u64 {
        self.base + self.end as u64
    }

    /// How long the reader took so far.
    pub(super) fn time_reading(&self) -> Duration {
        self.time_reading
    }

    /// What is in memory from the place on.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.place..self.end]
    }

    pub(super) fn advance(&mut self, num_bytes: usize) {
        self.place += num_bytes;
    }

    /// Moves the place to an offset that is in memory.
    pub(super) fn seek(&mut self, offset: u64) {
        self.place = self.index(offset);
    }

    /// Bytes in memory between two offsets.
    pub(super) fn slice(&self, from: u64, to: u64) -> &[u8] {
        &self.bytes[self.index(from)..self.index(to)]
    }

    /// The byte at an offset, if it is in memory.
    pub(super) fn byte_at(&self, offset: u64) -> Option<u8> {
        self.bytes[..self.end].get(self.index(offset)).copied()
    }

    fn index(&self, offset: u64) -> usize {
        (offset - self.base) as usize
    }

    /// Reads on until `num_bytes` from `offset` on are in memory. False when the object has fewer.
    pub(super) fn ensure(&mut self, offset: u64, num_bytes: usize, keep: u64) -> io::Result<bool> {
        while self.base + (self.end as u64) < offset + num_bytes as u64 {
            if !self.fill(keep)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads at least one more byte; bytes before `keep` may go. False at the end of the object.
    pub(super) fn fill(&mut self, keep: u64) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.discard(self.index(keep).min(self.place));
        if self.bytes.len() - self.end < CHUNK_BYTES {
            let length = (self.end + CHUNK_BYTES).max(self.end + self.end / 4);
            self.bytes.reserve_exact(length - self.bytes.len());
            self.bytes.resize(length, 0);
        }
        let limit = self.end + CHUNK_BYTES;
        let began = Instant::now();
        let num_bytes = read(&mut self.reader, &mut self.bytes[self.end..limit])?;
        self.time_reading += began.elapsed();
        self.end += num_bytes;
        self.ended = num_bytes == 0;
        Ok(num_bytes > 0)
    }

    /// Forgets the first bytes when that is worth the move of the others.
    fn discard(&mut self, num_bytes: usize) {
        let kept = self.end - num_bytes;
        if num_bytes == 0 || (kept > 0 && num_bytes < kept.max(CHUNK_BYTES)) {
            return;
        }
        let base = self.base + num_bytes as u64;
        if self.known_line.1 < base {
            self.line(base);
        }
        self.base_line_start = self.line_start(base);
        self.bytes.copy_within(num_bytes..self.end, 0);
        self.base = base;
        self.end = kept;
        self.place -= num_bytes;
        if kept < CHUNK_BYTES && self.bytes.len() > HUGE_BYTES {
            self.bytes.truncate(2 * CHUNK_BYTES);
            self.bytes.shrink_to_fit();
        }
    }

    /// Gives back the memory of a huge record before the place, which is needed no more.
    pub(super) fn release(&mut self) {
        if self.bytes.len() > HUGE_BYTES {
            self.discard(self.place);
        }
    }

    /// 1-based line number of an offset that is in memory.
    pub(super) fn line(&mut self, offset: u64) -> u64 {
        let (line, at) = self.known_line;
        let line = if offset >= at {
            line + num_line_breaks(self.slice(at, offset))
        } else {
            line - num_line_breaks(self.slice(offset, at))
        };
        self.known_line = (line, offset);
        line
    }

    /// Where the line starts that an offset in memory is on.
    pub(super) fn line_start(&self, offset: u64) -> u64 {
        match memrchr(b'\n', self.slice(self.base, offset)) {
            Some(index) => self.base + index as u64 + 1,
            None => self.base_line_start,
        }
    }

    /// Appends `num_bytes` to `block` past the empty rest of the window, fewer at the end of the
    /// object. Line numbers are not followed.
    ///
    /// On an error, `block` holds what was read before.
    pub(super) fn read_past(&mut self, block: &mut Vec<u8>, num_bytes: usize) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        self.base = self.offset();
        (self.place, self.end) = (0, 0);
        let start = block.len();
        // Reads into memory as it is: clearing it first would cost as much as reading.
        let began = Instant::now();
        let result = self.reader.by_ref().take(num_bytes as u64).read_to_end(block);
        self.time_reading += began.elapsed();
        self.ended = matches!(result, Ok(read_bytes) if read_bytes < num_bytes);
        self.base += (block.len() - start) as u64;
        // No more than a start for what may come: nobody asks this window for lines any more.
        self.known_line = (1, self.base);
        self.base_line_start = self.base;
        result.map(drop)
    }
}

fn read(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// How many line breaks there are in `bytes`.
pub(super) fn num_line_breaks(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}
