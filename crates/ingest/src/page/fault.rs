//! What is wrong with a body.

use std::fmt;

use super::path::JsonPath;

/// Why a body cannot be cut into records.
///
/// A message says where it happened and what had to be there; of the body it shows one byte, the names on the way
/// and no values. Offsets count from 0 in the body without its compression and byte order mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyFault {
    /// A byte where something else had to come.
    #[error("body, byte {offset}, at `{path}`: expected {expected}, found {found}")]
    Unexpected {
        /// Where it is in the body.
        offset: u64,
        /// The value that was being read.
        path: JsonPath,
        /// What had to come.
        expected: &'static str,
        /// What came.
        found: Found,
    },
    /// The body ends before the document does.
    #[error("body ends early, at byte {offset} inside `{path}`: expected {expected}")]
    CutOff {
        /// The length of the body.
        offset: u64,
        /// The value that was being read.
        path: JsonPath,
        /// What had to come.
        expected: &'static str,
    },
    /// Too many levels of nesting.
    #[error("body, byte {offset}, at `{path}`: nested deeper than {limit_levels} levels")]
    TooDeep {
        /// Where the level too many starts.
        offset: u64,
        /// The value that was being read.
        path: JsonPath,
        /// The limit.
        limit_levels: usize,
    },
    /// A record over the limit.
    #[error(
        "body, byte {offset}, at `{path}`: record is over the limit of `max_record_bytes`, {limit_bytes}"
    )]
    RecordTooLarge {
        /// Where the limit was passed.
        offset: u64,
        /// The record.
        path: JsonPath,
        /// The limit.
        limit_bytes: usize,
    },
    /// A watched value over the limit.
    #[error(
        "body, byte {offset}: value at `{path}`, which a rule of the stream looks at, is over the limit of {limit_bytes} bytes"
    )]
    WatchedTooLarge {
        /// Where the limit was passed.
        offset: u64,
        /// The watched path.
        path: JsonPath,
        /// The limit.
        limit_bytes: usize,
    },
    /// More bytes than a body may have, its compression taken off.
    #[error("body is over the limit of `max_body_bytes`, {limit_bytes}, behind its compression")]
    BodyTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// Text that is not UTF-8.
    #[error("body, byte {offset}: expected UTF-8, found {found}")]
    Encoding {
        /// Where it is in the body.
        offset: u64,
        /// What is there instead.
        found: &'static str,
    },
    /// Bytes that are no gzip where gzip was begun.
    #[error("body is broken gzip, at compressed byte {offset}: {reason}")]
    Gzip {
        /// Where it is in the compressed bytes.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The body ends inside a gzip stream.
    #[error("body ends early, at compressed byte {offset} inside a gzip stream")]
    GzipCutOff {
        /// The length of the compressed bytes.
        offset: u64,
    },
    /// A row of a CSV file with other fields than its header.
    #[error("body, line {line}: expected {expected} fields, found {found}")]
    RaggedRow {
        /// The line the row starts on, from 1.
        line: u64,
        /// Number of columns.
        expected: usize,
        /// Number of fields.
        found: usize,
    },
    /// Quotes of a CSV file that do not fit.
    #[error("body, byte {offset}, row at line {line}: expected {expected}")]
    Quotes {
        /// Where it is in the body.
        offset: u64,
        /// The line the row starts on, from 1.
        line: u64,
        /// What had to come.
        expected: &'static str,
    },
    /// Two columns of a CSV file with one name.
    #[error("body, line 1: columns {first} and {second} have the same name")]
    SameColumns {
        /// A column, from 1.
        first: usize,
        /// The other one.
        second: usize,
    },
    /// Markup that is no XML, or that is refused.
    #[error("body, byte {offset}, at `{path}`: {reason}")]
    Xml {
        /// Where the markup starts in the body.
        offset: u64,
        /// The element that was being read.
        path: JsonPath,
        /// What is wrong.
        reason: &'static str,
    },
}

impl BodyFault {
    /// Whether the body stopped early, so that asking again can help (I7). All other faults come back with the
    /// same answer.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        matches!(self, Self::CutOff { .. } | Self::GzipCutOff { .. })
    }
}

/// A byte as a message shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found(pub u8);

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            byte @ 0x21..=0x7e => write!(formatter, "`{}`", char::from(byte)),
            byte => write!(formatter, "byte 0x{byte:02x}"),
        }
    }
}
