//! The bytes of a response's body to records, byte for byte (I10, I13).
//!
//! ```text
//!  request ──▶ response ──▶ ┌──────────── page (you are here) ────────────┐ ──▶ landing
//!                           │ inflate ──▶ byte order mark ──▶ json         │     records, one line each
//!                           │ (gzip by                        lines        │
//!                           │  its magic bytes)               csv · xml    │ ──▶ pagination, error rules
//!                           └──────────────────────────────────────────────┘     watched values, counts
//! ```
//!
//! | rule | what is done |
//! |---|---|
//! | I4 | `num_records` counts what the body holds, before any filter; watched values (next token, `has_more`) are raw bytes, see [`text_of`] |
//! | I7 | [`Page::records_found`] tells a page without records from a body that is no page |
//! | I10 | a chunk at a time: memory is one record, the watched values and 64 KiB; each limit has a name |
//! | I13 | a record is its own bytes; no number is read, no key sorted, no text normalised |
//!
//! A [`Decoder`] does all of it. [`JsonPath`] says where the records are, [`find`] looks a value up in one of them.

mod csv;
mod fault;
mod find;
mod inflate;
mod json;
mod lines;
mod path;
mod records;
mod skip;
mod targets;
#[cfg(test)]
mod tests;
mod xml;

pub use fault::BodyFault;
pub use find::{find, text_of};
pub use inflate::Inflate;
pub use json::Scanner;
pub use path::{JsonPath, PathFault, Step};
pub use records::Records;

/// Bytes that a watched value may have.
pub const MAX_WATCHED_BYTES: usize = 64 * 1024;

/// Bytes of records after which [`Decoder::feed`] hands them over.
pub const FULL_BYTES: usize = 1 << 20;

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// How the records stand in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// One JSON document.
    Json,
    /// A JSON value on each line.
    Ndjson,
    /// Rows of text fields.
    Csv {
        /// What is between two fields; neither a quote nor a line break.
        delimiter: u8,
        /// The columns' names, when the first row does not hold them.
        columns: Option<Vec<String>>,
    },
    /// One XML document; names of elements are the keys of the path, `[*]` is without meaning.
    Xml,
}

/// What a body may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body behind its compression.
    pub max_body_bytes: u64,
    /// Bytes of a record.
    pub max_record_bytes: usize,
}

impl Default for Limits {
    /// 4 GiB, and 256 MiB a record, which is what the engine reads.
    fn default() -> Self {
        Self { max_body_bytes: 4 << 30, max_record_bytes: 256 << 20 }
    }
}

/// What a body said besides its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Page {
    /// The raw bytes of the value at each watched path, in their order; None where there is no such value.
    pub watched: Vec<Option<Box<[u8]>>>,
    /// Whether the records' path was there at all; with null, or no records, too.
    pub records_found: bool,
    /// Number of records.
    pub num_records: u64,
    /// Bytes of the body behind its compression.
    pub num_bytes: u64,
    /// Raw line breaks inside of strings that became escapes.
    pub num_repaired: u64,
}

/// Turns one body into records; made anew for each response.
#[derive(Debug)]
pub struct Decoder {
    inflate: Inflate,
    text: Text,
    num_watched: usize,
}

impl Decoder {
    /// A decoder before the first byte of a body.
    ///
    /// `records` and `watched` are for JSON and XML; the other formats have records only.
    #[must_use]
    pub fn new(format: &Format, records: &JsonPath, watched: &[JsonPath], limits: Limits) -> Self {
        let max_record_bytes = limits.max_record_bytes;
        let document = match format {
            Format::Json => {
                Document::Json(Box::new(Scanner::new(records, watched, max_record_bytes)))
            }
            Format::Ndjson => Document::Lines(lines::Lines::new(max_record_bytes)),
            Format::Csv { delimiter, columns } => {
                let columns = columns.as_deref();
                Document::Csv(Box::new(csv::Rows::new(*delimiter, columns, max_record_bytes)))
            }
            Format::Xml => {
                Document::Xml(Box::new(xml::Elements::new(records, watched, max_record_bytes)))
            }
        };
        Self {
            inflate: Inflate::new(limits.max_body_bytes),
            text: Text { mark: Mark::Open(Vec::new()), document, num_bytes: 0 },
            num_watched: watched.len(),
        }
    }

    /// Takes the next bytes of the body; the records that end in them are added to `into`, and what is there in
    /// the end the caller takes and clears. A small compressed piece can hold records of a million times its
    /// size, so that `full` is called whenever `into` has come to a mebibyte ([`FULL_BYTES`]): it takes the
    /// records away and clears them.
    ///
    /// # Errors
    ///
    /// [`BodyFault`], and those of `full`; records before a fault are in `into`. The decoder is of no use then.
    pub fn feed<E: From<BodyFault>>(
        &mut self,
        bytes: &[u8],
        into: &mut Records,
        full: &mut dyn FnMut(&mut Records) -> Result<(), E>,
    ) -> Result<(), E> {
        let text = &mut self.text;
        self.inflate.feed(bytes, &mut |plain| {
            text.feed(plain, into)?;
            if into.bytes().len() < FULL_BYTES { Ok(()) } else { full(into) }
        })
    }

    /// Ends the body. An empty one is a page without records and without their path, for the caller to judge (204).
    ///
    /// # Errors
    ///
    /// [`BodyFault`] when the body is not whole.
    pub fn finish(self, into: &mut Records) -> Result<Page, BodyFault> {
        let Self { inflate, mut text, num_watched } = self;
        inflate.finish(&mut |plain| text.feed(plain, into))?;
        let mut page = text.finish(into)?;
        page.watched.resize(num_watched, None);
        Ok(page)
    }
}

/// The body behind its compression.
#[derive(Debug)]
struct Text {
    mark: Mark,
    document: Document,
    num_bytes: u64,
}

/// The byte order mark, which is no part of the document.
#[derive(Debug)]
enum Mark {
    /// The first bytes of the body, as long as they can become a mark.
    Open(Vec<u8>),
    Passed,
}

#[derive(Debug)]
enum Document {
    Json(Box<Scanner>),
    Lines(lines::Lines),
    Csv(Box<csv::Rows>),
    Xml(Box<xml::Elements>),
}

impl Text {
    fn feed(&mut self, bytes: &[u8], into: &mut Records) -> Result<(), BodyFault> {
        self.num_bytes += bytes.len() as u64;
        let Mark::Open(head) = &mut self.mark else {
            return self.document.feed(bytes, into);
        };
        let num_taken = bytes.len().min(BYTE_ORDER_MARK.len() - head.len());
        head.extend_from_slice(&bytes[..num_taken]);
        if matches!(head.as_slice(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            return Err(BodyFault::Encoding { offset: 0, found: "UTF-16" });
        }
        let can_be_mark = BYTE_ORDER_MARK.starts_with(head) || matches!(head[..], [0xff | 0xfe]);
        if can_be_mark && head.len() < BYTE_ORDER_MARK.len() {
            return Ok(());
        }
        self.pass_mark(into)?;
        self.document.feed(&bytes[num_taken..], into)
    }

    fn pass_mark(&mut self, into: &mut Records) -> Result<(), BodyFault> {
        match std::mem::replace(&mut self.mark, Mark::Passed) {
            Mark::Open(head) if head != BYTE_ORDER_MARK => self.document.feed(&head, into),
            Mark::Open(_) | Mark::Passed => Ok(()),
        }
    }

    fn finish(mut self, into: &mut Records) -> Result<Page, BodyFault> {
        self.pass_mark(into)?;
        let page = match self.document {
            Document::Json(scanner) => scanner.finish(into),
            Document::Lines(lines) => lines.finish(into),
            Document::Csv(rows) => rows.finish(into),
            Document::Xml(elements) => elements.finish(into),
        }?;
        Ok(Page { num_bytes: self.num_bytes, ..page })
    }
}

impl Document {
    fn feed(&mut self, bytes: &[u8], into: &mut Records) -> Result<(), BodyFault> {
        match self {
            Self::Json(scanner) => scanner.feed(bytes, into),
            Self::Lines(lines) => lines.feed(bytes, into),
            Self::Csv(rows) => rows.feed(bytes, into),
            Self::Xml(elements) => elements.feed(bytes, into),
        }
    }
}
