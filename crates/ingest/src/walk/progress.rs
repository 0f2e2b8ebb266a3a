//! How far the walk of a partition has come (I5).

use jiff::Timestamp;

use super::WalkError;
use super::known::Known;
use super::page::Page;
use super::state::PartitionState;
use crate::cursor::{Cursor, CursorRange};
use crate::http::{Request, without_query};
use crate::source::document::Order;
use crate::source::plan::Incremental;

/// How far a walk has come, as it will stand in the state.
pub(super) struct Progress<'a> {
    pub(super) incremental: &'a Incremental,
    /// The cursor of the state before: what was read stays read, also while windows before it are read again.
    pub(super) begun: Option<Cursor>,
    /// The same, and then the highest cursor met.
    pub(super) reached: Option<Cursor>,
    /// Later than this no state may be: cursors of the future would hide what comes until then.
    pub(super) latest: Option<Cursor>,
    /// The end of the window, when it is one.
    pub(super) window_end: Option<Cursor>,
    /// Whether nothing of the partition comes after this stretch.
    pub(super) is_last: bool,
    /// Whether this run was cut before in the partition, and did not read here what it read then.
    pub(super) is_resumed: bool,
}

impl Progress<'_> {
    pub(super) fn is_page_by_page(&self) -> bool {
        self.incremental.order == Order::Asc && self.window_end.is_none()
    }

    pub(super) fn meet(&mut self, page: &Page, request: &Request) -> Result<(), WalkError> {
        let Some(CursorRange { lowest, highest }) = &page.cursors else { return Ok(()) };
        if self.is_page_by_page()
            && let Some(newest) = &self.reached
            // A run that went on from here would not read that record.
            && *lowest < self.incremental.as_read_again(newest)
        {
            return Err(WalkError::NotAscending {
                url: without_query(&request.url),
                older: self.incremental.format.text(lowest),
                newer: self.incremental.format.text(newest),
            });
        }
        if self.reached.as_ref().is_none_or(|reached| reached < highest) {
            self.reached = Some(highest.clone());
        }
        Ok(())
    }

    /// The cursor that a state after the pages so far has.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        match (&self.window_end, &self.reached, &self.latest) {
            (Some(end), _, _) => self.begun.clone().max(Some(end.clone())),
            (None, Some(reached), Some(latest)) => Some(reached.clone().min(latest.clone())),
            (None, reached, _) => reached.clone(),
        }
    }

    /// Where the next run begins, or later: it only grows.
    pub(super) fn threshold(&self) -> Option<Cursor> {
        self.cursor().map(|cursor| self.incremental.as_read_again(&cursor))
    }

    pub(super) fn state(&self, known: &Known, is_walk_over: bool) -> PartitionState {
        PartitionState {
            cursor: self.cursor().map(|cursor| self.incremental.format.text(&cursor)),
            seen: known
                .for_next_run(self.threshold().as_ref(), is_walk_over && !self.is_resumed)
                .iter()
                .map(|seen| PartitionState::seen_text(seen, &self.incremental.format))
                .collect(),
            run: None,
        }
    }

    /// Where the run goes on when it is cut after this window.
    pub(super) fn window_end(&self) -> Option<Timestamp> {
        match self.window_end {
            Some(Cursor::Time(end)) => Some(end),
            _ => None,
        }
    }
}

impl Incremental {
    /// Where a run begins to read when the last one came to `cursor`, as requests will say it.
    pub(super) fn as_read_again(&self, cursor: &Cursor) -> Cursor {
        self.format.as_asked(cursor.back(self.lookback))
    }
}
