//! Records that were landed already (I5): those of the last run that this one reads again, and those that
//! a page repeats of the one before.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::cursor::Cursor;

/// Fingerprints of this run that are remembered: pages repeat what the last few had.
pub(crate) const MAX_RECENT: usize = 1 << 18;
/// Fingerprints that a state holds at most: 32 characters each.
const MAX_SEEN: usize = 100_000;

/// The fingerprint of a record's bytes.
pub(crate) type Fingerprint = u128;

/// Which records were landed, for one partition.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Those that the last run left for this one.
    previous: HashSet<Fingerprint>,
    recent: HashSet<Fingerprint>,
    order: VecDeque<Fingerprint>,
    /// Those that the next run may read again, with their cursors.
    candidates: HashMap<Fingerprint, Option<Cursor>>,
}

impl Known {
    pub(crate) fn new(previous: impl Iterator<Item = Fingerprint>) -> Self {
        Self { previous: previous.collect(), ..Self::default() }
    }

    pub(crate) fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.recent.contains(&fingerprint) || self.previous.contains(&fingerprint)
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

    /// What the next run must know, when it begins at `threshold`. While the walk goes on, records of the last
    /// run may still come.
    pub(crate) fn for_next_run(
        &self,
        threshold: Option<&Cursor>,
        is_walk_over: bool,
    ) -> Vec<String> {
        let mut seen: Vec<(Option<&Cursor>, Fingerprint)> = self
            .candidates
            .iter()
            .filter(|(_, cursor)| match (cursor, threshold) {
                (Some(cursor), Some(threshold)) => cursor >= threshold,
                _ => true,
            })
            .map(|(fingerprint, cursor)| (cursor.as_ref(), *fingerprint))
            .collect();
        if !is_walk_over {
            let still = self.previous.iter().filter(|one| !self.candidates.contains_key(one));
            seen.extend(still.map(|one| (None, *one)));
        }
        // The newest are the likeliest to come again.
        seen.sort_unstable_by(|a, b| b.cmp(a));
        seen.truncate(MAX_SEEN);
        seen.iter().map(|(_, fingerprint)| format!("{fingerprint:032x}")).collect()
    }
}
