//! A segment while it grows.

use std::mem::size_of;
use std::ops::Range;

use super::{Records, Rejected, Segment};

/// The longest segment with ranges, so that they fit 32 bits with one more record behind.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// A segment that is being filled.
#[derive(Debug)]
pub(super) struct Draft<'block> {
    pub(super) block: &'block mut Vec<u8>,
    pub(super) target_bytes: usize,
    pub(super) start: usize,
    /// Offset in the object of the first byte of the segment, once it has one.
    pub(super) offset: u64,
    pub(super) line: u64,
    ranges: Option<Vec<Range<u32>>>,
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
}

impl<'block> Draft<'block> {
    pub(super) fn new(block: &'block mut Vec<u8>, target_bytes: usize) -> Self {
        Self {
            start: block.len(),
            block,
            target_bytes: target_bytes.max(1),
            offset: 0,
            line: 1,
            ranges: None,
            rejected: Vec::new(),
            rejected_bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.block.len() == self.start && self.rejected.is_empty()
    }

    /// Whether it is time to hand the segment out. Rejected stretches take memory too.
    pub(super) fn is_full(&self) -> bool {
        !self.is_empty() && self.block.len() + self.rejected_bytes >= self.target_bytes
    }

    /// Bytes of records so far.
    pub(super) fn length(&self) -> usize {
        self.block.len() - self.start
    }

    /// Offset in the object behind the last record, when there is one.
    pub(super) fn end(&self) -> Option<u64> {
        self.ranges.as_ref().map(|_| self.offset + self.length() as u64)
    }

    /// Whether a record that ends at `end` still fits.
    pub(super) fn has_room_until(&self, end: u64) -> bool {
        self.ranges.is_none() || end - self.offset <= MAX_SEGMENT_BYTES
    }

    pub(super) fn reject(&mut self, rejected: Rejected) {
        self.rejected_bytes += rejected.raw.len() + size_of::<Rejected>();
        self.rejected.push(rejected);
    }

    /// Appends the first record, which starts at `offset` on `line` of the object.
    pub(super) fn begin(&mut self, offset: u64, line: u64, record: &[u8]) {
        self.offset = offset;
        self.line = line;
        self.ranges = Some(Vec::new());
        self.append(record, record.len());
    }

    /// Appends `bytes`, which follow in the object; their last `record_bytes` are a record.
    pub(super) fn append(&mut self, bytes: &[u8], record_bytes: usize) {
        self.block.extend_from_slice(bytes);
        let end = self.length();
        if let Some(ranges) = &mut self.ranges {
            // Both fit: see `MAX_SEGMENT_BYTES` and the limit on `max_record_bytes`.
            ranges.push((end - record_bytes) as u32..end as u32);
        }
    }

    /// The segment. Without ranges it holds lines, or nothing but rejected stretches.
    pub(super) fn finish(self) -> Segment {
        let range = self.start..self.block.len();
        let records = match self.ranges {
            Some(ranges) => Records::Ranges(ranges),
            None if range.is_empty() => Records::Ranges(Vec::new()),
            None => Records::Lines,
        };
        let (offset, line) = match self.rejected.first() {
            Some(first) if range.is_empty() => (first.offset, first.line),
            _ => (self.offset, self.line),
        };
        Segment { range, offset, line, records, rejected: self.rejected }
    }
}
