//! Walks from document to document, and in each down the records path to the records.
//!
//! ```text
//! documents ──▶ level 0 ──▶ … ──▶ level n ──▶ record ──▶ segment
//!                 │ other members: skipped, not kept
//!                 └ whatever breaks: rejected, and the walk resumes (see `recover`)
//! ```
//!
//! Documents framing is the path `$`, array framing the path `$[*]`. Only a record is held in
//! memory; of a document with nothing at the path, the first MiB.

use std::io::{self, Read};
use std::ops::Range;

use memchr::memchr;

use super::super::scan::{Event, Fault, Scanner, is_space};
use super::recognise::Framing;
use super::records_path::{Step, path_text};
use super::segment::Draft;
use super::window::Window;
use super::{FrameOptions, MAX_RAW_BYTES, RejectReason};
use recover::byte_text;

mod recover;

/// Bytes between two records beyond which they are not copied into one segment.
const MAX_GAP_BYTES: u64 = 64 * 1024;

/// Columns beyond which an array's records are not recognised by their column.
const MAX_COLUMN: u64 = 4096;

/// Where the walk is in an object.
#[derive(Debug)]
pub(super) struct Walk {
    steps: Vec<Step>,
    /// Array framing: documents that are no arrays are records themselves.
    arrays_or_documents: bool,
    /// Steps that hold for this document: all of them, or none.
    num_steps: usize,
    /// Open brackets on the path; empty between documents.
    levels: Vec<Level>,
    scanner: Scanner,
    max_record_bytes: u64,
    max_depth: usize,
    /// What is rejected when the walk breaks here.
    held: Option<Held>,
    /// A key that must stay in memory.
    key_start: Option<u64>,
    /// Offset behind the last value.
    value_end: u64,
    /// A record that begins the next segment.
    pending: Option<Range<u64>>,
    /// An array has ended, and no line break came since.
    behind_array: bool,
    /// Bytes looked at a second time.
    rescanned_bytes: u64,
}

/// An open bracket on the path.
#[derive(Debug)]
struct Level {
    kind: Kind,
    awaiting: Awaiting,
}

#[derive(Debug)]
enum Kind {
    Object {
        /// Whether the key of the path was there.
        found: bool,
    },
    Array {
        bracket: u64,
        first: Option<FirstRecord>,
    },
}

/// How the first record of an array stands on its line.
#[derive(Debug, Clone, Copy)]
struct FirstRecord {
    column: u64,
    /// It shares a line with the bracket, which stands in column 0.
    inline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaiting {
    /// An item or the closing bracket.
    First,
    /// An item, after a comma.
    Item,
    /// A comma or the closing bracket.
    Separator,
}

/// A stretch from which nothing was given out yet.
#[derive(Debug)]
struct Held {
    start: u64,
    /// How long it may grow before it cannot be looked at again.
    limit_bytes: u64,
    /// Its line and first bytes, once it is longer.
    released: Option<(u64, Vec<u8>)>,
    role: Role,
}

#[derive(Debug)]
enum Role {
    /// What must have something at the path: a document, or an element of an array on the path.
    Scope(Option<RejectReason>),
    Record,
    /// Anything else.
    Item,
}

/// How the scan of a value ended.
enum Scanned {
    Whole,
    CutOff,
    Broken(RejectReason),
}

impl Walk {
    pub(super) fn new(framing: Framing, options: &FrameOptions) -> Self {
        let (steps, arrays_or_documents) = match framing {
            Framing::Path(path) => (path.steps().to_vec(), false),
            Framing::Array => (vec![Step::Each], true),
            Framing::Documents | Framing::Lines => (Vec::new(), false),
        };
        Self {
            steps,
            arrays_or_documents,
            num_steps: 0,
            levels: Vec::new(),
            scanner: Scanner::new(options.max_depth),
            max_record_bytes: options.max_record_bytes as u64,
            max_depth: options.max_depth,
            held: None,
            key_start: None,
            value_end: 0,
            pending: None,
            behind_array: false,
            rescanned_bytes: 0,
        }
    }

    /// Appends records until the segment is full, has to end, or the object does.
    pub(super) fn fill<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
    ) -> io::Result<()> {
        if let Some(record) = self.pending.take() {
            self.emit(window, draft, record);
        }
        while !draft.is_full() && self.pending.is_none() && self.advance(window, draft)? {}
        Ok(())
    }

    /// One token on the path, or one value. False at the end of the object.
    fn advance<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
    ) -> io::Result<bool> {
        let next = self.skip_space(window, draft)?;
        let Some(level) = self.levels.last() else {
            return self.document(window, draft, next);
        };
        let Some(byte) = next else {
            self.hold_if_nothing_is(window.offset());
            self.break_off(window, draft, RejectReason::CutOff)?;
            return Ok(true);
        };
        match level.kind {
            Kind::Array { .. } => self.element(window, draft, byte)?,
            Kind::Object { .. } => self.member(window, draft, byte)?,
        }
        Ok(true)
    }

    /// What follows the last document. `next` is its first byte.
    fn document<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        next: Option<u8>,
    ) -> io::Result<bool> {
        let Some(byte) = next else {
            return Ok(false);
        };
        self.held = None;
        if self.behind_array {
            self.unexpected(window, draft, "a line break after `]`", byte)?;
            return Ok(true);
        }
        match byte {
            b',' => self.reject_commas(window, draft, "a document")?,
            b'}' | b']' | b':' => self.unexpected(window, draft, "a document", byte)?,
            _ => {
                self.num_steps = match self.arrays_or_documents && byte != b'[' {
                    true => 0,
                    false => self.steps.len(),
                };
                self.hold(window.offset(), Role::Scope(None));
                self.value(window, draft, 0, byte)?;
            }
        }
        Ok(true)
    }

    /// An element of an array on the path, or what comes between two. `byte` is the next one.
    fn element<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        byte: u8,
    ) -> io::Result<()> {
        let Some(awaiting) = self.levels.last().map(|level| level.awaiting) else {
            return Ok(());
        };
        if awaiting == Awaiting::Separator {
            self.finish_scope(window, draft);
        }
        match (awaiting, byte) {
            (Awaiting::Separator, b',') => {
                window.advance(1);
                self.await_next(Awaiting::Item);
            }
            (Awaiting::Separator | Awaiting::First, b']') => {
                window.advance(1);
                self.close(window, draft);
            }
            (Awaiting::Item, b']') => {
                let start = window.offset();
                self.hold(start, Role::Item);
                window.advance(1);
                self.reject_held(window, draft, start + 1, unexpected("a value", byte));
                self.close(window, draft);
            }
            (Awaiting::Item | Awaiting::First, b',') => {
                self.reject_commas(window, draft, "a value")?;
                self.await_next(Awaiting::Item);
            }
            (_, b'}' | b':') => {
                self.hold_if_nothing_is(window.offset());
                self.unexpected(window, draft, "a value, `,` or `]`", byte)?;
            }
            (Awaiting::Separator, _) => {
                // Only a comma is missing: both neighbours are whole.
                self.hold(window.offset(), Role::Item);
                let reason = unexpected("`,` or `]`", byte);
                self.reject_held(window, draft, window.offset(), reason);
                self.element_value(window, draft, byte)?;
            }
            (Awaiting::Item | Awaiting::First, _) => self.element_value(window, draft, byte)?,
        }
        Ok(())
    }

    fn element_value<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        byte: u8,
    ) -> io::Result<()> {
        let step = self.levels.len();
        if let Some(level) = self.levels.last_mut() {
            if let Kind::Array { bracket, first } = &mut level.kind
                && level.awaiting == Awaiting::First
                && byte == b'{'
            {
                *first = first_record(window, *bracket);
            }
            level.awaiting = Awaiting::Separator;
        }
        if step < self.num_steps {
            self.hold(window.offset(), Role::Scope(None));
        }
        self.value(window, draft, step, byte)
    }

    /// A member of an object on the path, or what comes between two. `byte` is the next one.
    fn member<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        byte: u8,
    ) -> io::Result<()> {
        let Some(awaiting) = self.levels.last().map(|level| level.awaiting) else {
            return Ok(());
        };
        let expected = match awaiting {
            Awaiting::First => "a key or `}`",
            Awaiting::Item => "a key",
            Awaiting::Separator => "`,` or `}`",
        };
        match (awaiting, byte) {
            (Awaiting::First | Awaiting::Separator, b'}') => {
                window.advance(1);
                self.close(window, draft);
                Ok(())
            }
            (Awaiting::Separator, b',') => {
                window.advance(1);
                self.await_next(Awaiting::Item);
                Ok(())
            }
            (Awaiting::First | Awaiting::Item, b'"') => self.key_and_value(window, draft),
            _ => {
                self.hold_if_nothing_is(window.offset());
                self.unexpected(window, draft, expected, byte)
            }
        }
    }

    fn key_and_value<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
    ) -> io::Result<()> {
        let start = window.offset();
        if !matches!(&self.held, Some(held) if matches!(held.role, Role::Scope(_))) {
            self.hold(start, Role::Item);
        }
        self.key_start = Some(start);
        let scanned = self.scan(window, draft)?;
        // A key too long to be held is not the one.
        let held = self.key_start.take().is_some();
        match scanned {
            Scanned::Whole if self.scanner.is_doubted() => {
                return self.break_off(window, draft, RejectReason::BrokenText);
            }
            Scanned::Whole => {}
            Scanned::CutOff => return self.break_off(window, draft, RejectReason::CutOff),
            Scanned::Broken(reason) => return self.break_off(window, draft, reason),
        }
        let step = self.levels.len();
        let on_path = match self.steps.get(step - 1) {
            Some(Step::Key(key)) if held => {
                is_key(window.slice(start + 1, window.offset() - 1), key)
            }
            _ => false,
        };
        match self.skip_space(window, draft)? {
            Some(b':') => window.advance(1),
            Some(byte) => return self.unexpected(window, draft, "`:`", byte),
            None => return self.break_off(window, draft, RejectReason::CutOff),
        }
        let byte = match self.skip_space(window, draft)? {
            Some(byte @ (b',' | b':' | b'}' | b']')) => {
                return self.unexpected(window, draft, "a value", byte);
            }
            Some(byte) => byte,
            None => return self.break_off(window, draft, RejectReason::CutOff),
        };
        self.await_next(Awaiting::Separator);
        if on_path {
            if let Some(Level { kind: Kind::Object { found }, .. }) = self.levels.last_mut() {
                *found = true;
            }
            self.value(window, draft, step, byte)
        } else {
            self.skip_value(window, draft)?;
            Ok(())
        }
    }

    /// The value after the first `step` steps of the path; `byte` is its first.
    fn value<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        step: usize,
        byte: u8,
    ) -> io::Result<()> {
        if step == self.num_steps {
            return self.record(window, draft);
        }
        let (kind, expected) = match (&self.steps[step], byte) {
            (Step::Each, b'[') => {
                (Some(Kind::Array { bracket: window.offset(), first: None }), "an array")
            }
            (Step::Key(_), b'{') => (Some(Kind::Object { found: false }), "an object"),
            (Step::Each, _) => (None, "an array"),
            (Step::Key(_), _) => (None, "an object"),
        };
        if let Some(kind) = kind {
            window.advance(1);
            self.levels.push(Level { kind, awaiting: Awaiting::First });
            return Ok(());
        }
        window.ensure(window.offset(), 5, self.keep(window.offset(), draft))?;
        let found = kind_of(window.rest());
        if self.skip_value(window, draft)? {
            // An array that is null holds no records, and that is fine.
            if !(self.steps[step] == Step::Each && found == "null") {
                let reason = RejectReason::PathKind {
                    path: path_text(&self.steps[..step]),
                    expected,
                    found,
                    records_path: path_text(&self.steps),
                };
                self.blame_scope(reason);
            }
            self.finish_document(window, draft, false);
        }
        Ok(())
    }

    /// A value at the end of the path.
    fn record<R: Read>(&mut self, window: &mut Window<R>, draft: &mut Draft<'_>) -> io::Result<()> {
        let start = window.offset();
        self.held = Some(Held {
            start,
            limit_bytes: self.max_record_bytes,
            released: None,
            role: Role::Record,
        });
        match self.scan(window, draft)? {
            Scanned::Whole => {}
            Scanned::CutOff => return self.break_off(window, draft, RejectReason::CutOff),
            Scanned::Broken(reason) => return self.break_off(window, draft, reason),
        }
        let end = window.offset();
        self.value_end = end;
        if end - start > self.max_record_bytes {
            let reason = RejectReason::TooLarge {
                length_bytes: end - start,
                limit_bytes: self.max_record_bytes as usize,
            };
            self.reject_held(window, draft, end, reason);
        } else if self.scanner.is_too_deep() {
            let reason = RejectReason::TooDeep { limit_levels: self.max_depth };
            self.reject_held(window, draft, end, reason);
        } else {
            self.held = None;
            self.emit(window, draft, start..end);
        }
        Ok(())
    }

    /// Gives a record to the segment, or keeps it for the next one.
    fn emit<R: Read>(&mut self, window: &mut Window<R>, draft: &mut Draft<'_>, record: Range<u64>) {
        let length = (record.end - record.start) as usize;
        match draft.end() {
            None => {
                let line = window.line(record.start);
                draft.begin(record.start, line, window.slice(record.start, record.end));
                window.release();
            }
            Some(end)
                if record.start - end <= MAX_GAP_BYTES && draft.has_room_until(record.end) =>
            {
                draft.append(window.slice(end, record.end), length);
                window.release();
            }
            Some(_) => self.pending = Some(record),
        }
    }

    /// Passes over a value. False when it broke, and the walk is elsewhere.
    fn skip_value<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
    ) -> io::Result<bool> {
        let reason = match self.scan(window, draft)? {
            Scanned::Whole => {
                self.value_end = window.offset();
                return Ok(true);
            }
            Scanned::CutOff => RejectReason::CutOff,
            Scanned::Broken(reason) => reason,
        };
        self.break_off(window, draft, reason)?;
        Ok(false)
    }

    /// Behind the closing bracket of a level.
    fn close<R: Read>(&mut self, window: &mut Window<R>, draft: &mut Draft<'_>) {
        self.value_end = window.offset();
        let Some(level) = self.levels.pop() else {
            return;
        };
        if matches!(level.kind, Kind::Object { found: false }) {
            self.blame_scope(RejectReason::PathAbsent {
                path: path_text(&self.steps[..=self.levels.len()]),
                records_path: path_text(&self.steps),
            });
        }
        self.finish_document(window, draft, matches!(level.kind, Kind::Array { .. }));
    }

    /// Ends the document when the walk is back outside.
    fn finish_document<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        array: bool,
    ) {
        if self.levels.is_empty() {
            self.finish_scope(window, draft);
            self.behind_array = array;
        }
    }

    /// Rejects the scope that ended with the last value, if it had nothing at the path.
    fn finish_scope<R: Read>(&mut self, window: &mut Window<R>, draft: &mut Draft<'_>) {
        let reason = match &mut self.held {
            Some(Held { role: Role::Scope(reason), .. }) => reason.take(),
            _ => None,
        };
        match reason {
            Some(reason) => self.reject_held(window, draft, self.value_end, reason),
            None => self.held = None,
        }
    }

    /// Remembers why the scope has nothing at the path, if it gave nothing out yet.
    fn blame_scope(&mut self, reason: RejectReason) {
        if let Some(Held { role: Role::Scope(blamed), .. }) = &mut self.held {
            blamed.get_or_insert(reason);
        }
    }

    fn await_next(&mut self, awaiting: Awaiting) {
        if let Some(level) = self.levels.last_mut() {
            level.awaiting = awaiting;
        }
    }

    fn hold(&mut self, start: u64, role: Role) {
        self.held = Some(Held { start, limit_bytes: MAX_RAW_BYTES as u64, released: None, role });
    }

    fn hold_if_nothing_is(&mut self, start: u64) {
        if self.held.is_none() {
            self.hold(start, Role::Item);
        }
    }

    /// Scans the value at the place to its end.
    fn scan<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
    ) -> io::Result<Scanned> {
        self.scanner.restart();
        let mut doubt: Option<Fault> = None;
        loop {
            let rest = window.rest();
            // In doubt, the next record may begin on any line.
            let line_end = doubt.and_then(|_| memchr(b'\n', rest));
            let (used, event) = match line_end {
                Some(index) => self.scanner.scan(&rest[..=index]),
                None => self.scanner.scan(rest),
            };
            window.advance(used);
            match event {
                Event::Done => return Ok(Scanned::Whole),
                Event::Broken(fault) => return Ok(Scanned::Broken(self.reason(fault))),
                Event::Doubt(fault) => {
                    if self.is_on_resume_line(window, draft)? {
                        return Ok(Scanned::Broken(self.reason(fault)));
                    }
                    doubt = Some(fault);
                }
                Event::More => {
                    if let (Some(fault), Some(_)) = (doubt, line_end) {
                        if self.resume_at(window, draft, window.offset())?.is_some() {
                            return Ok(Scanned::Broken(self.reason(fault)));
                        }
                    } else if !self.more(window, draft)? {
                        let whole = self.levels.is_empty() && self.scanner.is_whole_at_end();
                        return Ok(if whole { Scanned::Whole } else { Scanned::CutOff });
                    }
                }
            }
        }
    }

    /// The next byte that is no white space, unless the object ends.
    fn skip_space<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
    ) -> io::Result<Option<u8>> {
        loop {
            let rest = window.rest();
            let blank = rest.iter().position(|&byte| !is_space(byte)).unwrap_or(rest.len());
            let found = rest.get(blank).copied();
            if self.behind_array && rest[..blank].contains(&b'\n') {
                self.behind_array = false;
            }
            window.advance(blank);
            if found.is_some() || !self.more(window, draft)? {
                return Ok(found);
            }
        }
    }

    /// Reads on, and lets go of what is not needed. False at the end of the object.
    fn more<R: Read>(&mut self, window: &mut Window<R>, draft: &mut Draft<'_>) -> io::Result<bool> {
        let offset = window.offset();
        if let Some(held) = &mut self.held
            && held.released.is_none()
            && offset - held.start > held.limit_bytes.max(MAX_RAW_BYTES as u64)
        {
            let raw_end = held.start + MAX_RAW_BYTES as u64;
            let raw = window.slice(held.start, raw_end).to_vec();
            held.released = Some((window.line(held.start), raw));
        }
        if let Some(start) = self.key_start
            && offset - start > self.max_record_bytes
        {
            self.key_start = None;
        }
        window.fill(self.keep(offset, draft))
    }

    /// The first offset that must stay in memory when the place is at `offset`.
    fn keep(&self, offset: u64, draft: &Draft<'_>) -> u64 {
        let mut keep = offset;
        if let Some(held) = &self.held
            && held.released.is_none()
        {
            keep = keep.min(held.start);
        }
        if let Some(start) = self.key_start {
            keep = keep.min(start);
        }
        match draft.end() {
            Some(end) if keep.saturating_sub(end) <= MAX_GAP_BYTES => keep.min(end),
            _ => keep,
        }
    }
}

fn unexpected(expected: &'static str, found: u8) -> RejectReason {
    RejectReason::Unexpected { expected, found: byte_text(found) }
}

/// How the first record of an array stands, when it is at the place of the window.
fn first_record<R: Read>(window: &Window<R>, bracket: u64) -> Option<FirstRecord> {
    let line_start = window.line_start(window.offset());
    let column = window.offset() - line_start;
    (column <= MAX_COLUMN).then_some(FirstRecord { column, inline: bracket == line_start })
}

/// Whether the inside of a JSON string says `key`.
fn is_key(text: &[u8], key: &str) -> bool {
    if memchr(b'\\', text).is_none() {
        return text == key.as_bytes();
    }
    let quoted = [b"\"", text, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).is_ok_and(|text| text == key)
}

/// The kind of a value, by its first bytes.
fn kind_of(start: &[u8]) -> &'static str {
    let ends = |length: usize| {
        start.get(length).is_none_or(|byte| is_space(*byte) || b",:{}[]\"".contains(byte))
    };
    match start.first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'-' | b'0'..=b'9') => "a number",
        Some(b'n') if start.starts_with(b"null") && ends(4) => "null",
        _ => "something that is not JSON",
    }
}
