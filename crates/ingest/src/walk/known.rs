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

/// A record, and how often it is there: more than once only where records are counted.
#[derive(Debug, Clone)]
struct Copies {
    cursor: Option<Cursor>,
    number: u64,
}

/// Which records were landed, for one partition.
///
/// With a primary key, two records of the same bytes are one. Without, they may be two: then they are counted, and
/// as many are known as were met before.
#[derive(Debug, Default)]
pub(crate) struct Known {
    is_counting: bool,
    /// Those that the last run left for this one, with their cursors.
    previous: HashMap<Fingerprint, Copies>,
    /// Of these, how many this stretch has met again; only where they are counted.
    met_again: HashMap<Fingerprint, u64>,
    recent: HashSet<Fingerprint>,
    order: VecDeque<Fingerprint>,
    /// Those that the next run may read again, with their cursors.
    candidates: HashMap<Fingerprint, Copies>,
    /// So many candidates are looked through for those that can be forgotten.
    prune_at: usize,
}

impl Known {
    pub(crate) fn new(previous: impl Iterator<Item = Seen>, is_counting: bool) -> Self {
        let mut known = Self { is_counting, ..Self::default() };
        for (fingerprint, cursor) in previous {
            add(&mut known.previous, fingerprint, cursor, is_counting);
        }
        known
    }

    /// Whether a record was landed; `num_on_page` like it stand before it on its page, and were.
    pub(crate) fn contains(&self, fingerprint: Fingerprint, num_on_page: u64) -> bool {
        if !self.is_counting {
            return self.recent.contains(&fingerprint) || self.previous.contains_key(&fingerprint);
        }
        let met = self.met_again.get(&fingerprint).copied().unwrap_or(0) + num_on_page;
        self.previous.get(&fingerprint).is_some_and(|copies| met < copies.number)
    }

    /// Where records are counted, another request may give those at its begin that the one before had at its end.
    pub(crate) fn begin_stretch(&mut self) {
        if !self.is_counting {
            return;
        }
        self.met_again.clear();
        for (fingerprint, copies) in self.candidates.drain() {
            raise(&mut self.previous, fingerprint, copies);
        }
        bound(&mut self.previous, MAX_SEEN);
    }

    /// Remembers the records of a page that counts; `repeated` are those that were known, where they are counted.
    pub(crate) fn remember(
        &mut self,
        page: Vec<Seen>,
        repeated: HashMap<Fingerprint, u64>,
        for_next_run: bool,
    ) {
        for (fingerprint, number) in repeated {
            *self.met_again.entry(fingerprint).or_default() += number;
        }
        for (fingerprint, cursor) in page {
            if !self.is_counting && self.recent.insert(fingerprint) {
                self.order.push_back(fingerprint);
            }
            if for_next_run {
                add(&mut self.candidates, fingerprint, cursor, self.is_counting);
            }
            if self.candidates.len() > 2 * MAX_SEEN {
                bound(&mut self.candidates, MAX_SEEN);
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
            let comes_again = |cursor: &Cursor| cursor >= threshold;
            self.candidates.retain(|_, copies| copies.cursor.as_ref().is_none_or(comes_again));
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
        let earlier = self.previous.iter().filter(|(fingerprint, copies)| {
            !self.candidates.contains_key(fingerprint) && (copies.cursor.is_some() || !is_walk_over)
        });
        let mut seen: Vec<(&Option<Cursor>, Fingerprint, u64)> = self
            .candidates
            .iter()
            .chain(earlier)
            .filter(|(_, copies)| comes_again(&copies.cursor))
            .map(|(fingerprint, copies)| {
                let before = self.previous.get(fingerprint).map_or(0, |copies| copies.number);
                (&copies.cursor, *fingerprint, copies.number.max(before))
            })
            .collect();
        // The newest are the likeliest to come again.
        seen.sort_unstable_by(|a, b| b.cmp(a));
        seen.into_iter()
            .flat_map(|(cursor, fingerprint, number)| {
                (0..number).map(move |_| (fingerprint, cursor.clone()))
            })
            .take(MAX_SEEN)
            .collect()
    }
}

/// Puts a record among others; one that is there is counted, or it is one.
fn add(
    into: &mut HashMap<Fingerprint, Copies>,
    fingerprint: Fingerprint,
    cursor: Option<Cursor>,
    is_counting: bool,
) {
    let copies = into.entry(fingerprint).or_insert(Copies { cursor: None, number: 0 });
    copies.cursor = cursor;
    copies.number = if is_counting { copies.number + 1 } else { 1 };
}

fn raise(into: &mut HashMap<Fingerprint, Copies>, fingerprint: Fingerprint, copies: Copies) {
    let number = into.get(&fingerprint).map_or(0, |there| there.number).max(copies.number);
    into.insert(fingerprint, Copies { number, ..copies });
}

/// Keeps so many of the newest.
fn bound(records: &mut HashMap<Fingerprint, Copies>, number: usize) {
    if records.len() > number {
        let mut all: Vec<(Fingerprint, Copies)> = records.drain().collect();
        all.select_nth_unstable_by(number, |a, b| b.1.cursor.cmp(&a.1.cursor));
        all.truncate(number);
        records.extend(all);
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
                    known.remember(std::mem::take(&mut page), HashMap::new(), true);
                    assert!(known.candidates.len() <= 2 * MAX_SEEN);
                }
            }
            known.remember(page, HashMap::new(), true);
            assert!(known.candidates.len() <= 2 * MAX_SEEN);
            let seen = known.for_next_run(None, true);
            assert_eq!(seen.len(), MAX_SEEN);
            let oldest = seen.iter().map(|(_, cursor)| cursor).min().unwrap();
            let mut all: Vec<_> = (0..number).map(|n| cursor(cursor_of(n))).collect();
            all.sort_unstable();
            assert_eq!(*oldest, all[number - MAX_SEEN]);
        }
    }

    /// I5: without a key, as many are known as the state has; the next request of a run knows those before.
    #[test]
    fn i5_copies_are_counted() {
        let previous = [(1, cursor(5)), (1, cursor(5)), (2, cursor(5))];
        let mut known = Known::new(previous.into_iter(), true);
        assert!(known.contains(1, 0) && known.contains(1, 1) && !known.contains(1, 2));
        assert!(known.contains(2, 0) && !known.contains(2, 1) && !known.contains(3, 0));

        known.remember(vec![(1, cursor(5)); 3], HashMap::from([(1, 2)]), true);
        assert!(!known.contains(1, 0), "all of them were met");
        known.remember(vec![(3, cursor(6)), (4, cursor(4))], HashMap::new(), true);
        let next = known.for_next_run(cursor(5).as_ref(), true);
        let number = |fingerprint| next.iter().filter(|(one, _)| *one == fingerprint).count();
        assert_eq!((number(1), number(2), number(3), number(4)), (3, 1, 1, 0));

        known.begin_stretch();
        assert!(known.contains(1, 2) && known.contains(3, 0) && !known.contains(1, 3));
    }
}
