//! Records that were landed already (I5): those of the last run that this one reads again, and those that
//! a page repeats of the one before.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::cursor::Cursor;

/// Fingerprints of this run that are remembered: pages repeat what the last few had.
pub(crate) const MAX_RECENT: usize = 1 << 18;
/// Fingerprints that a state holds at most: 32 characters and a cursor each.
const MAX_SEEN: usize = 100_000;

/// The fingerprint of a record's bytes.
pub(crate) type Fingerprint = u128;
/// A record that was landed, and its cursor where it has one.
pub(crate) type Seen = (Fingerprint, Option<Cursor>);

/// Which records were landed, for one partition.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Those that the last run left for this one, with their cursors.
    previous: HashMap<Fingerprint, Option<Cursor>>,
    recent: HashSet<Fingerprint>,
    order: VecDeque<Fingerprint>,
    /// Those that the next run may read again, with their cursors.
    candidates: HashMap<Fingerprint, Option<Cursor>>,
}

impl Known {
    pub(crate) fn new(previous: impl Iterator<Item = Seen>) -> Self {
        Self { previous: previous.collect(), ..Self::default() }
    }

    pub(crate) fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.recent.contains(&fingerprint) || self.previous.contains_key(&fingerprint)
    }

    /// Remembers the records of a page that counts.
    pub(crate) fn remember(
        &mut self,
        page: Vec<(Fingerprint, Option<Cursor>)>,
        for_next_run: bool,
    ) {
        for (fingerprint, cursor) in page {
            if self.recent.insert(fingerprint) {
                self.order.push_back(fingerprint);
            }
            if for_next_run {
                self.candidates.insert(fingerprint, cursor);
            }
        }
        while self.order.len() > MAX_RECENT {
            if let Some(oldest) = self.order.pop_front() {
                self.recent.remove(&oldest);
            }
        }
    }

    /// Forgets what lies before `threshold`, where the next run will not come: for walks of any length.
    pub(crate) fn prune(&mut self, threshold: &Cursor) {
        if self.candidates.len() > 2 * MAX_SEEN {
            self.candidates.retain(|_, cursor| cursor.as_ref().is_none_or(|c| c >= threshold));
        }
    }

    /// What the next run must know, when it begins at `threshold`.
    ///
    /// That a record of the last run did not come again does not mean that it will not: an API may have
    /// answered with nothing for a while. Only of records without a cursor, whose number nothing else
    /// bounds, those are forgotten that a whole walk has not met.
    pub(crate) fn for_next_run(&self, threshold: Option<&Cursor>, is_walk_over: bool) -> Vec<Seen> {
        let comes_again = |cursor: &Option<Cursor>| match (cursor, threshold) {
            (Some(cursor), Some(threshold)) => cursor >= threshold,
            _ => true,
        };
        let earlier = self.previous.iter().filter(|(fingerprint, cursor)| {
            !self.candidates.contains_key(fingerprint) && (cursor.is_some() || !is_walk_over)
        });
        let mut seen: Vec<(&Option<Cursor>, Fingerprint)> = self
            .candidates
            .iter()
            .chain(earlier)
            .filter(|(_, cursor)| comes_again(cursor))
            .map(|(fingerprint, cursor)| (cursor, *fingerprint))
            .collect();
        // The newest are the likeliest to come again.
        seen.sort_unstable_by(|a, b| b.cmp(a));
        seen.truncate(MAX_SEEN);
        seen.into_iter().map(|(cursor, fingerprint)| (fingerprint, cursor.clone())).collect()
    }
}
