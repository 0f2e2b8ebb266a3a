//! Cuts NDJSON into records: a line is a record, as it is.

use super::Page;
use super::fault::BodyFault;
use super::path::{JsonPath, Step};
use super::records::Records;

#[cfg(test)]
mod tests;

/// Cuts at line feeds; blank lines are no records, and a carriage return at the end of a line is no part of it.
///
/// Nothing inside a line is looked at. Memory: one line.
#[derive(Debug)]
pub(super) struct Lines {
    /// The start of the line being read, from the chunks before.
    head: Vec<u8>,
    max_record_bytes: usize,
    num_records: u64,
    offset: u64,
}

impl Lines {
    pub(super) fn new(max_record_bytes: usize) -> Self {
        Self { head: Vec::new(), max_record_bytes, num_records: 0, offset: 0 }
    }

    pub(super) fn feed(&mut self, chunk: &[u8], into: &mut Records) -> Result<(), BodyFault> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            self.offset += (end - start) as u64;
            self.line(&chunk[start..end], into)?;
            self.offset += 1;
            start = end + 1;
        }
        let rest = &chunk[start..];
        self.offset += rest.len() as u64;
        // A carriage return more than the limit may still turn out to be no part of the record.
        if self.head.len() + rest.len() > self.max_record_bytes.saturating_add(1) {
            return Err(self.too_large());
        }
        self.head.extend_from_slice(rest);
        Ok(())
    }

    pub(super) fn finish(mut self, into: &mut Records) -> Result<Page, BodyFault> {
        self.line(&[], into)?;
        Ok(Page {
            records_found: self.offset > 0,
            num_records: self.num_records,
            num_bytes: self.offset,
            ..Page::default()
        })
    }

    /// A line ends, with `tail`.
    fn line(&mut self, tail: &[u8], into: &mut Records) -> Result<(), BodyFault> {
        let tail = match tail.strip_suffix(b"\r") {
            Some(tail) => tail,
            None => {
                if tail.is_empty() && self.head.last() == Some(&b'\r') {
                    self.head.pop();
                }
                tail
            }
        };
        if self.head.len() + tail.len() > self.max_record_bytes {
            return Err(self.too_large());
        }
        let is_blank = |bytes: &[u8]| bytes.trim_ascii().is_empty();
        if !is_blank(&self.head) || !is_blank(tail) {
            into.push_joined(&self.head, tail);
            self.num_records += 1;
        }
        self.head.clear();
        Ok(())
    }

    fn too_large(&self) -> BodyFault {
        BodyFault::RecordTooLarge {
            offset: self.offset,
            path: JsonPath::new(vec![Step::Index(self.num_records)]),
            limit_bytes: self.max_record_bytes,
        }
    }
}
