//! How the walk goes on after something broke.

use std::io::{self, Read};

use memchr::memchr;

use super::super::super::scan::Fault;
use super::super::segment::Draft;
use super::super::window::Window;
use super::super::{MAX_RAW_BYTES, RejectReason, Rejected};
use super::{Awaiting, FirstRecord, Held, Kind, Role, Step, Walk, unexpected};

/// Bytes that may be looked at again in any object, and how many times more in a large one: after
/// that the search for the next record begins behind the broken one, so that time stays linear.
const FREE_RESCAN_BYTES: u64 = 64 * 1024 * 1024;
const MAX_RESCANS: u64 = 16;

/// Where the walk can go on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resume {
    /// With a record of the array at this level.
    Level(usize),
    /// With a document.
    Document,
}

impl Walk {
    /// Breaks off at a byte that cannot stand where it does.
    pub(super) fn unexpected<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        expected: &'static str,
        found: u8,
    ) -> io::Result<()> {
        self.hold_if_nothing_is(window.offset());
        self.break_off(window, draft, unexpected(expected, found))
    }

    /// Rejects what is held, up to the next place where the walk can go on, or to the end.
    pub(super) fn break_off<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        reason: RejectReason,
    ) -> io::Result<()> {
        let broken_at = window.offset();
        self.key_start = None;
        self.behind_array = false;
        if let Some(held) = &mut self.held {
            let allowed_bytes = FREE_RESCAN_BYTES + MAX_RESCANS * broken_at;
            if broken_at - held.start <= held.limit_bytes && self.rescanned_bytes <= allowed_bytes {
                window.seek(held.start);
            }
            held.limit_bytes = MAX_RAW_BYTES as u64;
        }
        loop {
            if let Some(index) = memchr(b'\n', window.rest()) {
                window.advance(index + 1);
                let Some((offset, resume)) = self.resume_at(window, draft, window.offset())? else {
                    continue;
                };
                self.reject_held(window, draft, offset, reason);
                self.rescanned_bytes += broken_at.saturating_sub(offset);
                window.seek(offset);
                match resume {
                    Resume::Document => self.levels.clear(),
                    Resume::Level(index) => {
                        self.levels.truncate(index + 1);
                        self.await_next(Awaiting::Item);
                    }
                }
                return Ok(());
            }
            window.advance(window.rest().len());
            if !self.more(window, draft)? {
                self.reject_held(window, draft, window.offset(), reason);
                self.levels.clear();
                return Ok(());
            }
        }
    }

    /// Whether a record or document begins on the line at `line_start`, where, and which.
    pub(super) fn resume_at<R: Read>(
        &self,
        window: &mut Window<R>,
        draft: &Draft<'_>,
        line_start: u64,
    ) -> io::Result<Option<(u64, Resume)>> {
        let array =
            self.levels.iter().enumerate().rev().find_map(|(index, level)| match level.kind {
                Kind::Array { first, .. } => first.map(|first| (index, first)),
                Kind::Object { .. } => None,
            });
        let keep = self.keep(window.offset(), draft).min(line_start);
        window.ensure(line_start, 1, keep)?;
        match (window.byte_at(line_start), array) {
            (Some(b'{'), Some((index, first))) if first.column == 0 || first.inline => {
                Ok(Some((line_start, Resume::Level(index))))
            }
            (Some(b'{'), _) => Ok(Some((line_start, Resume::Document))),
            (Some(b'['), _) if self.steps.first() == Some(&Step::Each) => {
                Ok(Some((line_start, Resume::Document)))
            }
            (Some(b' ' | b'\t'), Some((index, FirstRecord { column, .. }))) => {
                window.ensure(line_start, column as usize + 1, keep)?;
                let offset = line_start + column;
                let begins = window.byte_at(offset) == Some(b'{')
                    && window
                        .slice(line_start, offset)
                        .iter()
                        .all(|byte| matches!(byte, b' ' | b'\t'));
                Ok(begins.then_some((offset, Resume::Level(index))))
            }
            _ => Ok(None),
        }
    }

    /// Whether the byte before the place, which put the value in doubt, is on a line where the
    /// next record begins.
    pub(super) fn is_on_resume_line<R: Read>(
        &self,
        window: &mut Window<R>,
        draft: &Draft<'_>,
    ) -> io::Result<bool> {
        let Some(held) = &self.held else {
            return Ok(false);
        };
        if window.offset() - held.start > held.limit_bytes {
            return Ok(false);
        }
        let line_start = window.line_start(window.offset());
        Ok(line_start > held.start && self.resume_at(window, draft, line_start)?.is_some())
    }

    /// Rejects a run of commas: nothing else is wrong.
    pub(super) fn reject_commas<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        expected: &'static str,
    ) -> io::Result<()> {
        self.hold(window.offset(), Role::Item);
        loop {
            match window.rest().first().copied() {
                Some(b',') => window.advance(1),
                None if self.more(window, draft)? => {}
                _ => break,
            }
        }
        self.reject_held(window, draft, window.offset(), unexpected(expected, b','));
        Ok(())
    }

    /// Rejects the bytes from the start of what is held to `end`.
    pub(super) fn reject_held<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        end: u64,
        reason: RejectReason,
    ) {
        let Some(Held { start, released, .. }) = self.held.take() else {
            return;
        };
        let length = end - start;
        let num_raw = length.min(MAX_RAW_BYTES as u64);
        let (line, mut raw) = match released {
            Some(released) => released,
            None => (window.line(start), window.slice(start, start + num_raw).to_vec()),
        };
        raw.truncate(num_raw as usize);
        draft.reject(Rejected { offset: start, length, line, reason, raw });
    }

    /// The reason that a fault of the scanner is.
    pub(super) fn reason(&self, fault: Fault) -> RejectReason {
        match fault {
            Fault::Unexpected { expected, found } => unexpected(expected, found),
            Fault::Mismatched { found } => RejectReason::Mismatched { found: byte_text(found) },
            Fault::BrokenText => RejectReason::BrokenText,
            Fault::TooDeep => RejectReason::TooDeep { limit_levels: self.max_depth },
        }
    }
}

/// How a message shows one byte of the data.
pub(super) fn byte_text(byte: u8) -> String {
    if byte.is_ascii_graphic() {
        format!("`{}`", char::from(byte))
    } else {
        format!("the byte 0x{byte:02x}")
    }
}
