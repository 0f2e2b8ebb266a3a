//! Records that were landed already (I5): those of the last run that this one reads again, and those that
//! a page repeats of the one before.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::cursor::Cursor;

/// Fingerprints of this run that are remembered: pages repeat what the last few had.
const MAX_RECENT: usize = 1 << 18;
/// Fingerprints that a state holds at most: 32 characters and a cursor each.
const MAX_SEEN: usize = 100_000;

/// The fingerprint of a record's bytes.
pub(crate) type Fingerprint = u128;
/// A record that was landed, and its cursor where it has one.
pub(crate) type Seen = (Fingerprint, Option<Cursor>);

/// Drops of the records of a page, in their order, those that nobody asks for again: all but the last, and the
/// newest of the others. A page may have any number.
pub(crate) fn shorten(met: &mut Vec<Seen>) {
    if met.len() >= 2 * (MAX_RECENT + MAX_SEEN) {
        let last = met.split_off(met.len() - MAX_RECENT);
        keep_newest(met, MAX_SEEN);
        met.extend(last);
    }
}

/// Keeps so many of the newest, in any order. A state holds no more of them.
fn keep_newest(seen: &mut Vec<Seen>, number: usize) {
    if seen.len() > number {
        seen.select_nth_unstable_by(number, |a, b| b.1.cmp(&a.1));
        seen.truncate(number);
    }
}

/// Which records were landed, for one partition.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Those that the last run left for this one, with their cursors.
    previous: HashMap<Fingerprint, Option<Cursor>>,
    recent: HashSet<Fingerprint>,
    order: VecDeque<Fingerprint>,
    /// Those that the next run may read again, with their cursors.
    candidates: HashMap<Fingerprint, Option<Cursor>>,
    /// So many candidates are looked through for those that can be forgotten.
    prune_at: usize,
}

impl Known {
    pub(crate) fn new(previous: impl Iterator<Item = Seen>) -> Self {
        Self { previous: previous.collect(), ..Self::default() }
    }

    pub(crate) fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.recent.contains(&fingerprint) || self.previous.contains_key(&fingerprint)
    }

    /// Remembers the records of a page that counts.
    pub(crate) fn remember(&mut self, page: Vec<Seen>, for_next_run: bool) {
        for (fingerprint, cursor) in page {
            if self.recent.insert(fingerprint) {
                self.order.push_back(fingerprint);
            }
            if for_next_run {
                self.candidates.insert(fingerprint, cursor);
            }
            if self.candidates.len() > 2 * MAX_SEEN {
                let mut all: Vec<Seen> = self.candidates.drain().collect();
                keep_newest(&mut all, MAX_SEEN);
                self.candidates.extend(all);
            }
        }
        while self.order.len() > MAX_RECENT {
            if let Some(oldest) = self.order.pop_front() {
                self.recent.remove(&oldest);
            }
        }
    }

    /// Forgets what lies before `threshold`, where the next run will not come: now and then, so that of a long
    /// ascending walk few are looked through for each state.
    pub(crate) fn prune(&mut self, threshold: &Cursor) {
        if self.candidates.len() >= self.prune_at {
            self.candidates.retain(|_, cursor| cursor.as_ref().is_none_or(|c| c >= threshold));
            self.prune_at = 2 * self.candidates.len() + 1000;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(number: usize) -> Option<Cursor> {
        Some(Cursor::Integer(number as i128))
    }

    /// Of a walk of any length, in pages of any length and in any order, the newest are handed on, and memory
    /// is bounded.
    #[test]
    fn i5_long_walks() {
        let number = 2 * (MAX_RECENT + MAX_SEEN) + 1000;
        for (is_one_page, cursor_of) in
            [(true, (|n| usize::MAX - n) as fn(usize) -> usize), (false, |n| n), (false, |_| 7)]
        {
            let mut known = Known::default();
            let mut page = Vec::new();
            for n in 0..number {
                page.push((n as Fingerprint, cursor(cursor_of(n))));
                shorten(&mut page);
                if !is_one_page && page.len() == 1000 {
                    known.remember(std::mem::take(&mut page), true);
                    assert!(known.candidates.len() <= 2 * MAX_SEEN);
                }
            }
            known.remember(page, true);
            assert!(known.candidates.len() <= 2 * MAX_SEEN);
            let seen = known.for_next_run(None, true);
            assert_eq!(seen.len(), MAX_SEEN);
            let oldest = seen.iter().map(|(_, cursor)| cursor).min().unwrap();
            let mut all: Vec<_> = (0..number).map(|n| cursor(cursor_of(n))).collect();
            all.sort_unstable();
            assert_eq!(*oldest, all[number - MAX_SEEN]);
        }
    }
}
