//! Which of the paths that are looked for a value is at.

use super::find::is_key;
use super::path::{JsonPath, Step};

/// The paths that are looked for: where the records are, and the watched ones.
#[derive(Debug)]
pub(super) struct Targets {
    /// The records' path without a `[*]` at its end.
    records: Box<[Step]>,
    /// Whether there was one, so that only an array has records.
    pub(super) only_elements: bool,
    /// The watched paths.
    watched: Box<[JsonPath]>,
    /// Bytes of a key, between its quotes, that can still be one of the names.
    pub(super) max_key_bytes: usize,
}

/// What a value is, by its path.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Whether the records' path leads here, or further in.
    pub(super) records: Way,
    /// Watched paths that lead here.
    pub(super) watched_here: Vec<usize>,
    /// Watched paths that lead further in.
    pub(super) watched_within: Vec<usize>,
}

/// How a path goes on at a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Way {
    /// It does not lead here.
    #[default]
    No,
    /// It leads further in.
    Within,
    /// It ends here.
    Here,
}

/// The way from a value to one of its members or elements.
#[derive(Debug, Clone, Copy)]
pub(super) enum Link<'a> {
    /// The member with this key, as written between its quotes.
    Key(&'a [u8]),
    /// The element at this index.
    Index(u64),
}

impl Link<'_> {
    fn follows(self, step: &Step) -> bool {
        match (self, step) {
            (Self::Key(raw), Step::Name(name)) => is_key(raw, name),
            (Self::Index(_), Step::Each) => true,
            (Self::Index(found), Step::Index(index)) => found == *index,
            _ => false,
        }
    }
}

impl Targets {
    pub(super) fn new(records: &JsonPath, watched: &[JsonPath]) -> Self {
        let (records_steps, only_elements) = match records.steps() {
            [steps @ .., Step::Each] => (steps, true),
            steps => (steps, false),
        };
        let all_steps = watched.iter().flat_map(JsonPath::steps).chain(records.steps());
        let name_bytes = all_steps.map(|step| match step {
            Step::Name(name) => name.len(),
            Step::Index(_) | Step::Each => 0,
        });
        Self {
            // A byte of a name takes at most the six of `\u00XX`.
            max_key_bytes: name_bytes.max().unwrap_or(0).max(64) * 6,
            records: records_steps.into(),
            only_elements,
            watched: watched.into(),
        }
    }

    /// The place of the whole document.
    pub(super) fn root(&self) -> Place {
        let mut place = Place { records: way(&self.records, 0), ..Place::default() };
        for (index, path) in self.watched.iter().enumerate() {
            match way(path.steps(), 0) {
                Way::Here => place.watched_here.push(index),
                _ => place.watched_within.push(index),
            }
        }
        place
    }

    /// The place behind `link` from a value at `place`, which has `depth` values around it.
    pub(super) fn follow(&self, place: &Place, depth: usize, link: Link<'_>) -> Place {
        let mut next = Place::default();
        if place.records == Way::Within && link.follows(&self.records[depth]) {
            next.records = way(&self.records, depth + 1);
        }
        for &index in &place.watched_within {
            let steps = self.watched[index].steps();
            if link.follows(&steps[depth]) {
                match way(steps, depth + 1) {
                    Way::Here => next.watched_here.push(index),
                    _ => next.watched_within.push(index),
                }
            }
        }
        next
    }

    /// Forgets what cannot be inside of an object (or else an array) at `place`.
    pub(super) fn narrow(&self, place: &mut Place, depth: usize, is_object: bool) {
        let fits = |steps: &[Step]| matches!(steps.get(depth), Some(Step::Name(_))) == is_object;
        if place.records == Way::Within && !fits(&self.records) {
            place.records = Way::No;
        }
        place.watched_within.retain(|&index| fits(self.watched[index].steps()));
    }

    /// Whether the records are, or are further in, at each element of an array at `place`.
    pub(super) fn is_each_element(&self, place: &Place, depth: usize) -> bool {
        place.records == Way::Within && self.records.get(depth) == Some(&Step::Each)
    }

    /// Whether the records are members of the value at `place`, or would be.
    pub(super) fn is_parent_of_records(&self, place: &Place, depth: usize) -> bool {
        place.records == Way::Within && self.records.len() == depth + 1
    }

    /// The watched path, by its index.
    pub(super) fn watched(&self, index: usize) -> &JsonPath {
        &self.watched[index]
    }

    pub(super) fn num_watched(&self) -> usize {
        self.watched.len()
    }
}

fn way(steps: &[Step], depth: usize) -> Way {
    if steps.len() == depth { Way::Here } else { Way::Within }
}
