//! Cuts the plain bytes of one object into whole records.
//!
//! ```text
//! plain bytes ──▶ window ──▶ recognise ──┬─▶ lines ──────────────┬─▶ segments of a block
//!                            (once)      └─▶ walk ──▶ scan ──────┘   and what was rejected
//! ```
//!
//! | framing | recognised by (R2) | records |
//! |---|---|---|
//! | lines | the first document ends on its line | cut at line breaks only; a line holds zero or more documents |
//! | documents | the first document spans lines | the top-level values, with or without space between them |
//! | array | the first byte is `[` | the elements; after the `]` and a line break, more arrays or documents |
//! | `--records PATH` | it was asked for | the values at the path inside each document |
//!
//! What cannot be framed is rejected, its neighbours are not (R16). After a broken record the
//! walk goes on
//!
//! 1. in an array, at the next line whose first `{` stands in the column of the array's first
//!    record (or, when that record shares a line with the `[` at column 0, at column 0);
//! 2. between documents, at the next line that starts with `{` at column 0 (in array framing
//!    also `[`);
//!
//! both searched from the line after the start of what broke, so that a record cut short does not
//! take its successor along. Commas too many or too few lose nothing else at all.
//!
//! Memory: a block, one record, and 256 KiB, which go from object to object.

use std::io::{self, Read};
use std::ops::Range;
use std::time::Duration;

mod lines;
mod recognise;
mod records_path;
mod segment;
mod walk;
mod window;

#[cfg(test)]
mod tests;

pub use records_path::{RecordsPath, RecordsPathError};

use lines::Lines;
use recognise::Framing;
use segment::Draft;
use walk::Walk;
use window::Window;

/// Bytes of a rejected stretch that are kept for the quarantine.
pub const MAX_RAW_BYTES: usize = 1024 * 1024;

/// What bounds and steers the framing of one object.
#[derive(Debug, Clone)]
pub struct FrameOptions {
    /// Where the records are inside each document; recognised by content without it.
    pub records: Option<RecordsPath>,
    /// The largest record, in bytes. At most 1 GiB counts.
    pub max_record_bytes: usize,
    /// The deepest nesting of a record, in levels; `{}` has one.
    pub max_depth: usize,
    /// What the name of the object says.
    pub hint: NameHint,
}

impl Default for FrameOptions {
    fn default() -> Self {
        Self {
            records: None,
            max_record_bytes: 256 * 1024 * 1024,
            max_depth: 512,
            hint: NameHint::Unknown,
        }
    }
}

/// What the name of an object says about its framing. Content decides; this breaks ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameHint {
    /// `.ndjson` or `.jsonl`: one record to a line.
    Lines,
    /// Any other name.
    #[default]
    Unknown,
}

/// Neighbouring records of an object, copied into a block.
#[derive(Debug)]
#[must_use]
pub struct Segment {
    /// The segment's bytes in the block: a contiguous piece of the object.
    pub range: Range<usize>,
    /// Offset of `range.start` in the decompressed object; a byte order mark counts.
    pub offset: u64,
    /// 1-based line of `range.start`.
    pub line: u64,
    /// Where the records are in it.
    pub records: Records,
    /// What was rejected on the way, in the order of the object.
    pub rejected: Vec<Rejected>,
}

/// Where the records of a segment are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// Whole lines; each holds zero or more documents, which the reader of the segment cuts.
    Lines,
    /// One JSON value each, relative to the start of the segment, ascending.
    Ranges(Vec<Range<u32>>),
}

/// A stretch of an object that holds no record that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Where it starts in the decompressed object.
    pub offset: u64,
    /// How long it is, in bytes: 0 where something is missing, not wrong.
    pub length: u64,
    /// 1-based line of its start.
    pub line: u64,
    /// Why.
    pub reason: RejectReason,
    /// Its bytes, at most the first mebibyte.
    pub raw: Vec<u8>,
}

/// Why a stretch of an object was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// Over the limit on records (R17).
    #[error("record of {length_bytes} bytes is over the limit of --max-record, {limit_bytes}")]
    TooLarge {
        /// Its length.
        length_bytes: u64,
        /// The limit.
        limit_bytes: usize,
    },
    /// Over the limit on nesting (R17).
    #[error("record is nested deeper than the limit of --max-depth, {limit_levels} levels")]
    TooDeep {
        /// The limit.
        limit_levels: usize,
    },
    /// The object ended first.
    #[error("cut off: the object ends inside an unfinished array or document")]
    CutOff,
    /// Punctuation missing or out of place.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What had to come.
        expected: &'static str,
        /// The byte that came.
        found: String,
    },
    /// A bracket closes one of the other kind.
    #[error("{found} closes a bracket of the other kind or none")]
    Mismatched {
        /// The closing bracket.
        found: String,
    },
    /// A string does not end on its line.
    #[error("line break inside a string")]
    BrokenText,
    /// The document has nothing at the records path.
    #[error("nothing at `{path}`, which is on the records path `{records_path}`")]
    PathAbsent {
        /// The part of the path that leads nowhere.
        path: String,
        /// The whole path.
        records_path: String,
    },
    /// The document has something else at the records path.
    #[error("expected {expected} at `{path}` on the records path `{records_path}`, found {found}")]
    PathKind {
        /// The part of the path that leads to it.
        path: String,
        /// The kind of value that the path needs there.
        expected: &'static str,
        /// The kind of value that is there.
        found: &'static str,
        /// The whole path.
        records_path: String,
    },
}

/// Cuts one object into segments of whole records.
#[derive(Debug)]
pub struct Framer<R> {
    window: Window<R>,
    options: FrameOptions,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing was read yet.
    Unknown,
    Lines(Lines),
    Walk(Box<Walk>),
    /// The reader failed, after this much was given out.
    Failed(io::Error),
    /// The object is finished.
    Ended,
    /// The failure was told.
    Abandoned,
}

impl<R: Read> Framer<R> {
    /// A framer over the plain bytes of one object. Reads nothing yet.
    pub fn new(reader: R, options: FrameOptions) -> Self {
        Self::with_memory(reader, options, Vec::new())
    }

    /// As [`Framer::new`], in memory that [`Framer::into_memory`] gave back: getting and clearing its
    /// own would cost more than all else there is to do for a small object.
    pub fn with_memory(reader: R, mut options: FrameOptions, memory: Vec<u8>) -> Self {
        // Positions inside a segment are 32 bits wide.
        options.max_record_bytes = options.max_record_bytes.min(1 << 30);
        Self { window: Window::new(reader, memory), options, state: State::Unknown }
    }

    /// Memory for the next object, at most 2 MiB.
    pub fn into_memory(self) -> Vec<u8> {
        self.window.into_memory()
    }

    /// Bytes of the object read so far.
    pub fn num_bytes_read(&self) -> u64 {
        self.window.num_bytes_read()
    }

    /// How long the reader took so far.
    pub fn time_reading(&self) -> Duration {
        self.window.time_reading()
    }

    /// Appends whole records to `block` until it holds at least `target_bytes`, or the object ends.
    ///
    /// A segment may end earlier, where the next record is far away in the object or many bytes
    /// were rejected; calling again goes on. Several small objects can share a block. `Ok(None)`
    /// is the end of the object.
    ///
    /// # Errors
    ///
    /// When the reader fails. The records before the failure come out first; the one it cuts does
    /// not. Further calls fail too.
    pub fn next_segment(
        &mut self,
        block: &mut Vec<u8>,
        target_bytes: usize,
    ) -> io::Result<Option<Segment>> {
        if matches!(self.state, State::Unknown) {
            self.state = match self.recognise() {
                Ok(state) => state,
                Err(error) => State::Failed(error),
            };
        }
        let mut draft = Draft::new(block, target_bytes);
        let result = match &mut self.state {
            State::Lines(lines) => lines.fill(&mut self.window, &mut draft),
            State::Walk(walk) => walk.fill(&mut self.window, &mut draft),
            _ => Ok(()),
        };
        if let Err(error) = result {
            self.state = State::Failed(error);
        }
        if !draft.is_empty() {
            return Ok(Some(draft.finish()));
        }
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Failed(error) => {
                self.state = State::Abandoned;
                Err(error)
            }
            State::Abandoned => {
                self.state = State::Abandoned;
                Err(io::Error::other("the object could not be read before"))
            }
            _ => Ok(None),
        }
    }

    fn recognise(&mut self) -> io::Result<State> {
        self.window.skip_byte_order_mark()?;
        let framing = match &self.options.records {
            Some(path) => Framing::Path(path.clone()),
            None => recognise::framing(&mut self.window, &self.options)?,
        };
        Ok(match framing {
            Framing::Lines => {
                State::Lines(Lines::new(&mut self.window, self.options.max_record_bytes))
            }
            other => State::Walk(Box::new(Walk::new(other, &self.options))),
        })
    }
}
