//! Lines: blocks are cut at line breaks, and nothing is done for each line.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

use super::segment::Draft;
use super::window::{Window, num_line_breaks};
use super::{MAX_RAW_BYTES, RejectReason, Rejected};

/// Room for the part of a block's last line that is beyond the goal.
const LINE_BYTES: usize = 64 * 1024;

/// What became of the last line of a segment.
enum Line {
    Whole,
    Rejected,
}

/// Where the lines are and how long one may be.
#[derive(Debug)]
pub(super) struct Lines {
    offset: u64,
    line: u64,
    max_line_bytes: usize,
}

impl Lines {
    pub(super) fn new<R: Read>(window: &mut Window<R>, max_line_bytes: usize) -> Self {
        let offset = window.offset();
        Self { offset, line: window.line(offset), max_line_bytes: max_line_bytes.max(1) }
    }

    /// Appends whole lines until the target is reached or a line is too long.
    pub(super) fn fill<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
    ) -> io::Result<()> {
        draft.offset = self.offset;
        draft.line = self.line;
        // With no more than a line's limit before the last line, only that one can be too long.
        let goal_bytes =
            draft.target_bytes.saturating_sub(draft.start).clamp(1, self.max_line_bytes);
        let mut result = self.read_goal(window, draft, goal_bytes);
        let line_start = draft.start + whole_lines(&draft.block[draft.start..]);
        if result.is_ok() && line_start < draft.block.len() {
            match self.finish_line(window, draft, line_start) {
                Ok(Line::Whole) => {}
                Ok(Line::Rejected) => return Ok(()),
                Err(error) => result = Err(error),
            }
        }
        if result.is_err() {
            // Half a line must not pass for a whole one.
            draft.block.truncate(line_start);
        }
        self.offset += draft.length() as u64;
        self.line += num_line_breaks(&draft.block[draft.start..]);
        result
    }

    /// Appends `goal_bytes`, or what there is.
    fn read_goal<R: Read>(
        &self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        goal_bytes: usize,
    ) -> io::Result<()> {
        let ahead = window.rest();
        let num_ahead = ahead.len().min(goal_bytes);
        draft.block.extend_from_slice(&ahead[..num_ahead]);
        window.advance(num_ahead);
        let mut missing = goal_bytes - num_ahead;
        // Huge targets must not reserve huge blocks for small objects.
        const STEP_BYTES: usize = 16 * 1024 * 1024;
        // The rest of the last line, too, so that the block does not move.
        draft.block.reserve(missing.min(STEP_BYTES) + LINE_BYTES);
        while missing > 0 {
            let before = draft.block.len();
            let step = missing.min(STEP_BYTES);
            window.read_past(draft.block, step)?;
            let num_bytes = draft.block.len() - before;
            missing -= num_bytes;
            if num_bytes < step {
                break;
            }
        }
        Ok(())
    }

    /// Appends the rest of the line that starts at `line_start` of the block, or rejects the line.
    fn finish_line<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        line_start: usize,
    ) -> io::Result<Line> {
        loop {
            let rest = window.rest();
            let line_end = memchr(b'\n', rest);
            let num_bytes = line_end.unwrap_or(rest.len());
            let length = draft.block.len() - line_start + num_bytes;
            if length > self.max_line_bytes {
                self.reject_line(window, draft, line_start)?;
                return Ok(Line::Rejected);
            }
            if line_end.is_some() {
                draft.block.extend_from_slice(&rest[..=num_bytes]);
                window.advance(num_bytes + 1);
                return Ok(Line::Whole);
            }
            draft.block.extend_from_slice(rest);
            window.advance(num_bytes);
            if !window.fill(window.offset())? {
                return Ok(Line::Whole);
            }
        }
    }

    /// Takes the line that starts at `line_start` out of the block and passes over its rest.
    ///
    /// When the reader fails on the way, the line is as lost as all that follows.
    fn reject_line<R: Read>(
        &mut self,
        window: &mut Window<R>,
        draft: &mut Draft<'_>,
        line_start: usize,
    ) -> io::Result<()> {
        let begun = &draft.block[line_start..];
        let mut raw = begun[..begun.len().min(MAX_RAW_BYTES)].to_vec();
        let mut length = begun.len() as u64;
        let offset = draft.offset + (line_start - draft.start) as u64;
        draft.block.truncate(line_start);
        let line = draft.line + num_line_breaks(&draft.block[draft.start..]);
        loop {
            let rest = window.rest();
            let line_end = memchr(b'\n', rest);
            let num_bytes = line_end.unwrap_or(rest.len());
            let num_kept = num_bytes.min(MAX_RAW_BYTES - raw.len());
            raw.extend_from_slice(&rest[..num_kept]);
            length += num_bytes as u64;
            window.advance(num_bytes);
            if line_end.is_some() {
                window.advance(1);
                self.offset = offset + length + 1;
                self.line = line + 1;
                break;
            }
            if !window.fill(window.offset())? {
                self.offset = offset + length;
                self.line = line;
                break;
            }
        }
        draft.reject(Rejected {
            offset,
            length,
            line,
            reason: RejectReason::TooLarge {
                length_bytes: length,
                limit_bytes: self.max_line_bytes,
            },
            raw,
        });
        Ok(())
    }
}

/// Length of the whole lines that `bytes` starts with.
fn whole_lines(bytes: &[u8]) -> usize {
    memrchr(b'\n', bytes).map_or(0, |index| index + 1)
}
