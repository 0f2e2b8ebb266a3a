//! Whole records, one line of NDJSON each.

/// The records that a piece of a body gave, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// Records, each ended by a line feed.
    bytes: Vec<u8>,
    /// Where each record's line feed is.
    ends: Vec<usize>,
}

impl Records {
    /// All records as NDJSON: each ends with a line feed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Each record without its line feed.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let record = &self.bytes[start..end];
            start = end + 1;
            record
        })
    }

    /// The last record without its line feed.
    #[must_use]
    pub fn last(&self) -> Option<&[u8]> {
        let end = *self.ends.last()?;
        let before = self.ends.len().checked_sub(2).and_then(|index| self.ends.get(index));
        Some(&self.bytes[before.map_or(0, |&before| before + 1)..end])
    }

    /// Forgets the records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds a record, which has no line feed.
    pub(super) fn push(&mut self, record: &[u8]) {
        self.push_joined(record, &[]);
    }

    /// Adds a record that comes in two parts.
    pub(super) fn push_joined(&mut self, head: &[u8], tail: &[u8]) {
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(tail);
        self.ends.push(self.bytes.len());
        self.bytes.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_lines() {
        let mut records = Records::default();
        assert_eq!(records.last(), None);
        records.push(b"{}");
        records.push_joined(b"{\"a\"", b":1}");
        assert_eq!(records.bytes(), b"{}\n{\"a\":1}\n");
        assert_eq!(records.iter().collect::<Vec<_>>(), [b"{}".as_slice(), b"{\"a\":1}"]);
        assert_eq!((records.iter().len(), records.last()), (2, Some(b"{\"a\":1}".as_slice())));
        records.clear();
        assert!(records.iter().len() == 0 && records.bytes().is_empty());
    }
}
