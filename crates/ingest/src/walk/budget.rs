//! How long a run may go on, when it may be cut between units (I15).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::http::Clock;

/// How long a run may go on: when its time is over, it ends at the next unit's end, and more is left.
///
/// A run has always something to show for itself: its time is not over before it has moved a state or brought a
/// stream to its end, or runs that follow each other would do nothing for ever.
pub(crate) struct Budget {
    clock: Arc<dyn Clock>,
    /// `None` for a run that goes on to its end.
    end: Option<Instant>,
    num_steps: AtomicU64,
}

impl Budget {
    pub(crate) fn new(clock: Arc<dyn Clock>, end: Option<Instant>) -> Self {
        Self { clock, end, num_steps: AtomicU64::new(0) }
    }

    /// Whether the run can be cut at all.
    pub(crate) fn is_limited(&self) -> bool {
        self.end.is_some()
    }

    /// A state was moved, or a stream came to its end.
    pub(crate) fn step(&self) {
        self.num_steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the run ends here, between two units.
    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some_and(|end| self.clock.instant() >= end)
            && self.num_steps.load(Ordering::Relaxed) > 0
    }
}
