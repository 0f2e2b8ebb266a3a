//! Cuts one JSON document into records, chunk by chunk.
//!
//! ```text
//!            on the way to a path                 inside a value no path leads into
//!   ┌──────────────────────────────────┐       ┌────────────────────────────────────┐
//!   │ frames: one for each open value  │ ────▶ │ skip: strings and brackets only    │
//!   │ that a path leads further into   │ ◀──── │ a record: copied · others: dropped │
//!   └──────────────────────────────────┘       └────────────────────────────────────┘
//!     watched values: kept as they pass by, in either
//! ```
//!
//! | value at the records' path | records | `records_found` |
//! |---|---|---|
//! | nothing there | none | no |
//! | `null` | none | yes |
//! | array | its elements, of any type | yes |
//! | object, path without `[*]` at its end | the object | yes |
//! | string, number, bool, path without `[*]` at its end | the value | yes |
//! | anything but array and null, path with `[*]` at its end | none | no |
//! | an array, where the path has a `[*]` in its middle | those further in | yes, when it is empty too |
//!
//! A path that leads to several values (a `[*]`, or a key written twice) has the records of all of them; a watched
//! path keeps the last value. A record is its own bytes but for line breaks (trap 18): those between tokens are left
//! out, raw ones inside strings (which JSON forbids) become `\n` or `\r` and are counted.
//!
//! Memory: the record or watched values being read, and a frame for each step of a path. No recursion.

use super::Page;
use super::fault::{BodyFault, Found};
use super::find::{find_steps, unescape};
use super::path::{JsonPath, Step};
use super::records::Records;
use super::skip::{Event, MAX_DEPTH, Skipper, is_space};
use super::targets::{Link, Place, Targets, Way};
use watch::Watches;

#[cfg(test)]
pub(super) mod tests;
mod watch;

/// Characters of a key that are shown in a fault's path.
const MAX_SHOWN_CHARACTERS: usize = 40;

/// A push parser for one document; see the module.
#[derive(Debug)]
pub struct Scanner {
    targets: Targets,
    watches: Watches,
    max_record_bytes: usize,
    /// The open values that a path leads into.
    frames: Vec<Frame>,
    state: State,
    skipper: Skipper,
    /// The bytes so far of the record, or of the key, that is being read.
    buffer: Vec<u8>,
    /// What the value being skipped is.
    place: Place,
    /// Offset of the chunk in the body.
    offset: u64,
    records_found: bool,
    num_records: u64,
    num_repaired: u64,
}

#[derive(Debug)]
struct Frame {
    is_object: bool,
    /// Whether its elements are the records.
    is_records: bool,
    place: Place,
    /// The key of the member being read, as written.
    key: Vec<u8>,
    /// The index of the element being read.
    index: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    FirstElement,
    FirstKey,
    Key,
    InKey { is_escaped: bool },
    Colon,
    Next,
    Inside(Purpose),
    End,
}

/// What a skipped value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Nothing,
    /// A record, without a doubt.
    Record,
    /// A string, number or literal at the records' path.
    Scalar,
}

impl Scanner {
    /// A scanner before the first byte of a document.
    #[must_use]
    pub fn new(records: &JsonPath, watched: &[JsonPath], max_record_bytes: usize) -> Self {
        let targets = Targets::new(records, watched);
        Self {
            watches: Watches::new(targets.num_watched()),
            targets,
            max_record_bytes,
            frames: Vec::new(),
            state: State::Value,
            skipper: Skipper::new(MAX_DEPTH),
            buffer: Vec::new(),
            place: Place::default(),
            offset: 0,
            records_found: false,
            num_records: 0,
            num_repaired: 0,
        }
    }

    /// Takes the next bytes of the document, and adds the records that end in them.
    ///
    /// # Errors
    ///
    /// [`BodyFault`] when the document's structure is broken or a limit is passed. The scanner is of no use then.
    pub fn feed(&mut self, chunk: &[u8], into: &mut Records) -> Result<(), BodyFault> {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            at = match self.state {
                State::Inside(purpose) => self.inside(purpose, chunk, at, into)?,
                State::InKey { is_escaped } => self.in_key(is_escaped, byte, at),
                _ if is_space(byte) => at + 1,
                _ => self.token(byte, chunk, at)?,
            };
        }
        let end = self.offset + chunk.len() as u64;
        self.watches.end_chunk(chunk, end, &self.targets)?;
        self.offset = end;
        Ok(())
    }

    /// Ends the document.
    ///
    /// An empty body (or nothing but space) is a page without records, and without their path.
    ///
    /// # Errors
    ///
    /// [`BodyFault::CutOff`] when the document is not whole.
    pub fn finish(mut self, into: &mut Records) -> Result<Page, BodyFault> {
        if let State::Inside(purpose) = self.state
            && self.frames.is_empty()
            && self.skipper.is_whole_at_end()
        {
            self.end_value(purpose, &[], 0, into)?;
        }
        let is_empty = self.frames.is_empty() && self.state == State::Value;
        if self.state != State::End && !is_empty {
            let expected = self.expected();
            return Err(BodyFault::CutOff { offset: self.offset, path: self.path(), expected });
        }
        Ok(Page {
            watched: self.watches.into_found(),
            records_found: self.records_found,
            num_records: self.num_records,
            num_bytes: self.offset,
            num_repaired: self.num_repaired,
        })
    }

    /// One byte outside of strings and skipped values; returns where to go on.
    fn token(&mut self, byte: u8, chunk: &[u8], at: usize) -> Result<usize, BodyFault> {
        match (self.state, byte) {
            (State::Key | State::FirstKey, b'"') => {
                self.buffer.clear();
                self.state = State::InKey { is_escaped: false };
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::Next, b',') => self.next_member(),
            (State::Next | State::FirstKey, b'}') if self.is_in_object() => {
                self.end_frame(chunk, at)?;
            }
            (State::Next | State::FirstElement, b']') if !self.is_in_object() => {
                self.end_frame(chunk, at)?;
            }
            (State::FirstElement | State::Value, _) => return self.start_value(byte, at),
            _ => return Err(self.unexpected(self.expected(), byte, at)),
        }
        Ok(at + 1)
    }

    fn next_member(&mut self) {
        let Some(frame) = self.frames.last_mut() else { return };
        frame.index += 1;
        self.state = if frame.is_object { State::Key } else { State::Value };
    }

    fn in_key(&mut self, is_escaped: bool, byte: u8, at: usize) -> usize {
        if byte == b'"' && !is_escaped {
            if let Some(frame) = self.frames.last_mut() {
                std::mem::swap(&mut frame.key, &mut self.buffer);
            }
            self.state = State::Colon;
            return at + 1;
        }
        // A key that is cut here is too long to be one of the names.
        if self.buffer.len() <= self.targets.max_key_bytes {
            self.buffer.push(byte);
        }
        self.state = State::InKey { is_escaped: byte == b'\\' && !is_escaped };
        at + 1
    }

    /// A value begins with `byte`: opens a frame when a path leads further in, else leaves it to the skipper.
    fn start_value(&mut self, byte: u8, at: usize) -> Result<usize, BodyFault> {
        let depth = self.frames.len();
        let is_element = self.frames.last().is_some_and(|frame| frame.is_records);
        let mut place = self.place_of_value();
        let opens = byte == b'{' || byte == b'[';
        let is_array = byte == b'[';
        let is_object_record = byte == b'{' && !self.targets.only_elements;
        let purpose = match place.records {
            _ if is_element => Purpose::Record,
            Way::Here if is_object_record => Purpose::Record,
            Way::Here if !opens => Purpose::Scalar,
            _ => Purpose::Nothing,
        };
        // The skipper finds the fault of a byte that starts no value, and refuses one level too many.
        self.skipper.restart(MAX_DEPTH - depth.min(MAX_DEPTH));
        if purpose == Purpose::Record {
            self.records_found = true;
            self.start_skipping(purpose, place);
            return Ok(at);
        }
        for &watched in &place.watched_here {
            self.watches.open(watched, depth, at);
        }
        place.watched_here.clear();
        let is_records = place.records == Way::Here && is_array;
        self.records_found |= is_records;
        if !opens || depth == MAX_DEPTH {
            self.start_skipping(purpose, place);
            return Ok(at);
        }
        self.targets.narrow(&mut place, depth, !is_array);
        self.records_found |= self.targets.is_each_element(&place, depth);
        let leads_in = place.records == Way::Within || !place.watched_within.is_empty();
        if !is_records && !leads_in {
            self.start_skipping(purpose, place);
            return Ok(at);
        }
        let (key, index) = (Vec::new(), 0);
        self.frames.push(Frame { is_object: !is_array, is_records, place, key, index });
        self.state = if is_array { State::FirstElement } else { State::FirstKey };
        Ok(at + 1)
    }

    fn start_skipping(&mut self, purpose: Purpose, place: Place) {
        self.buffer.clear();
        self.place = place;
        self.state = State::Inside(purpose);
    }

    fn place_of_value(&self) -> Place {
        let Some(frame) = self.frames.last() else { return self.targets.root() };
        let link = match frame.is_object {
            true => Link::Key(&frame.key),
            false => Link::Index(frame.index),
        };
        self.targets.follow(&frame.place, self.frames.len() - 1, link)
    }

    /// Goes on in a value that no path leads into.
    fn inside(
        &mut self,
        purpose: Purpose,
        chunk: &[u8],
        from: usize,
        into: &mut Records,
    ) -> Result<usize, BodyFault> {
        let is_kept = purpose != Purpose::Nothing;
        let mut run_start = from;
        let mut at = from;
        loop {
            let (used, event) = self.skipper.scan(chunk, at);
            at = used;
            let run = &chunk[run_start..at];
            match event {
                Event::More => {
                    if is_kept {
                        self.keep(run, at)?;
                    }
                    return Ok(at);
                }
                Event::Done if purpose == Purpose::Record && self.buffer.is_empty() => {
                    // The whole record in one piece: no need to collect it.
                    self.check_record(run.len(), at)?;
                    self.find_watched(run, at)?;
                    self.num_records += 1;
                    into.push(run);
                    self.leave_value(chunk, at)?;
                    return Ok(at);
                }
                Event::Done => {
                    if is_kept {
                        self.keep(run, at)?;
                    }
                    self.end_value(purpose, chunk, at, into)?;
                    return Ok(at);
                }
                Event::BreakBetween | Event::BreakInText { .. } if is_kept => {
                    let [kept @ .., line_break] = run else { return Ok(at) };
                    self.keep(kept, at)?;
                    if let Event::BreakInText { is_escaped } = event {
                        self.repair(*line_break, is_escaped);
                    }
                    run_start = at;
                }
                Event::BreakBetween | Event::BreakInText { .. } => {}
                Event::Unexpected { expected } => {
                    let found = chunk.get(at).copied().unwrap_or_default();
                    return Err(self.unexpected(expected, found, at));
                }
                Event::TooDeep => {
                    return Err(BodyFault::TooDeep {
                        offset: self.offset + at as u64,
                        path: self.path(),
                        limit_levels: MAX_DEPTH,
                    });
                }
            }
        }
    }

    /// Adds to the record being read.
    fn keep(&mut self, run: &[u8], at: usize) -> Result<(), BodyFault> {
        self.check_record(self.buffer.len() + run.len(), at)?;
        self.buffer.extend_from_slice(run);
        Ok(())
    }

    /// Writes the escape of a raw line break. Behind a backslash that is part of the record, its letter is enough.
    fn repair(&mut self, line_break: u8, is_escaped: bool) {
        if !is_escaped {
            self.buffer.push(b'\\');
        }
        self.buffer.push(if line_break == b'\n' { b'n' } else { b'r' });
        self.num_repaired += 1;
    }

    fn check_record(&self, num_bytes: usize, at: usize) -> Result<(), BodyFault> {
        if num_bytes <= self.max_record_bytes {
            return Ok(());
        }
        Err(BodyFault::RecordTooLarge {
            offset: self.offset + at as u64,
            path: self.path(),
            limit_bytes: self.max_record_bytes,
        })
    }

    /// The skipped value ends before `chunk[at]`.
    fn end_value(
        &mut self,
        purpose: Purpose,
        chunk: &[u8],
        at: usize,
        into: &mut Records,
    ) -> Result<(), BodyFault> {
        let is_null = purpose == Purpose::Scalar && self.buffer == b"null";
        let is_record = match purpose {
            Purpose::Nothing => false,
            Purpose::Record => true,
            Purpose::Scalar => !is_null && !self.targets.only_elements,
        };
        self.records_found |= is_null || is_record;
        if is_record {
            let record = std::mem::take(&mut self.buffer);
            self.find_watched(&record, at)?;
            self.num_records += 1;
            into.push(&record);
            self.buffer = record;
        }
        self.leave_value(chunk, at)
    }

    /// Watched paths that lead to a record, or into it.
    fn find_watched(&mut self, record: &[u8], at: usize) -> Result<(), BodyFault> {
        let offset = self.offset + at as u64;
        let depth = self.frames.len();
        for &watched in self.place.watched_here.iter().chain(&self.place.watched_within) {
            let steps = &self.targets.watched(watched).steps()[depth..];
            if let Some(value) = find_steps(record, steps) {
                self.watches.set(watched, value, offset, &self.targets)?;
            }
        }
        Ok(())
    }

    /// The closing bracket of a frame is at `chunk[at]`.
    fn end_frame(&mut self, chunk: &[u8], at: usize) -> Result<(), BodyFault> {
        self.frames.pop();
        self.leave_value(chunk, at + 1)
    }

    fn leave_value(&mut self, chunk: &[u8], at: usize) -> Result<(), BodyFault> {
        let level = self.frames.len();
        let offset = self.offset + at as u64;
        self.watches.close(level, chunk, at, offset, &self.targets)?;
        self.state = if level == 0 { State::End } else { State::Next };
        Ok(())
    }

    fn is_in_object(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.is_object)
    }

    fn expected(&self) -> &'static str {
        match self.state {
            State::Value => "a value",
            State::FirstElement => "a value or `]`",
            State::FirstKey => "a key or `}`",
            State::Key => "a key",
            State::InKey { .. } => "a closing quote",
            State::Colon => "`:`",
            State::Next if self.is_in_object() => "`,` or `}`",
            State::Next => "`,` or `]`",
            State::Inside(_) => self.skipper.expected(),
            State::End => "the end of the body",
        }
    }

    fn unexpected(&self, expected: &'static str, found: u8, at: usize) -> BodyFault {
        let offset = self.offset + at as u64;
        BodyFault::Unexpected { offset, path: self.path(), expected, found: Found(found) }
    }

    /// Where the walk is, down to the record or the value that is skipped.
    fn path(&self) -> JsonPath {
        // Between two members, the path is that of the value around them.
        let is_at_member = match self.state {
            State::Value | State::Colon | State::FirstElement | State::Inside(_) => true,
            State::FirstKey | State::Key | State::InKey { .. } | State::Next | State::End => false,
        };
        let num_steps = self.frames.len() - usize::from(!is_at_member && !self.frames.is_empty());
        let steps = self.frames[..num_steps].iter().map(|frame| match frame.is_object {
            true => Step::Name(shown(&frame.key)),
            false => Step::Index(frame.index),
        });
        JsonPath::new(steps.collect())
    }
}

/// A key as a fault shows it.
fn shown(key: &[u8]) -> String {
    let text = unescape(key);
    match text.char_indices().nth(MAX_SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
