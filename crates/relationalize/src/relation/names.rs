//! Names of tables and columns (R6, R7, R8).
//!
//! ```text
//! JSON path ─▶ table_name, column_name ─▶ base name ─▶ assign ─▶ name
//!              one path at a time                      all names of one namespace
//! ```
//!
//! | # | rule |
//! |---|---|
//! | 1 | A key becomes a segment of `[a-z0-9_]` without `__`: [`sql_segment`]. |
//! | 2 | A column is named by the segments from its row to it, joined by `__`: [`column_name`]. |
//! | 3 | A table is named by its parent's name and the segments from the parent's row to the array: [`table_name`]. |
//! | 4 | What has no key, an element of an array or an entry of a map, is called `value`. |
//! | 5 | A name that begins with a digit gets `_` in front. |
//! | 6 | Committed names are kept, then reserved ones: [`assign`]. |
//! | 7 | A base name that one path wants is its name. |
//! | 8 | Of several paths, the only exact one has the name; the others get `_` and a hash of their path. |
//! | 9 | A name has at most 128 characters; a longer one is cut and gets its hash. |
//! | 10 | A hash that meets another name gets more digits. |
//!
//! Columns of one table are one namespace, and all tables of a run are one.

use std::collections::{HashMap, HashSet};

use deunicode::deunicode;
use xxhash_rust::xxh3::xxh3_64;

use crate::shape::path::{JsonPath, Step};

/// Length of the longest name, in characters (R6).
pub const MAX_NAME_CHARS: usize = 128;

/// Stands between the segments of a name; no segment holds it.
const SEPARATOR: &str = "__";

/// The segment of an element or entry that has no key of its own (R6).
const VALUE: &str = "value";

/// The part of a name that one key gives: snake case, `[a-z0-9_]`, never empty (R6).
///
/// `userName` is `user_name`, `HTTPServer` `http_server`, `userIDs` `user_ids`, `S3Bucket`
/// `s3_bucket`, `address1` `address1`. Letters beyond ASCII are transliterated, and every other
/// character becomes `_`. Runs of `_` become one, so that no segment looks like nesting; at the end
/// they go, at the start one stays, so that `@id` and `id` differ.
#[must_use]
pub fn sql_segment(key: &str) -> String {
    let ascii = deunicode(key);
    let mut segment = String::with_capacity(ascii.len() + 4);
    // Digits count as capitals or not as the letter before them does: `B2B` is one word, `line2ID`
    // two.
    let mut after_capital = true;
    for (position, byte) in ascii.bytes().enumerate() {
        let begins_word = !byte.is_ascii_alphanumeric() || {
            let is_capital = byte.is_ascii_uppercase();
            let after = &ascii.as_bytes()[position + 1..];
            is_capital && !segment.is_empty() && (!after_capital || begins_lower_word(after))
        };
        if begins_word && !segment.ends_with('_') {
            segment.push('_');
        }
        if byte.is_ascii_alphanumeric() {
            segment.push(char::from(byte.to_ascii_lowercase()));
        }
        if !byte.is_ascii_digit() {
            after_capital = !byte.is_ascii_lowercase();
        }
    }
    if segment.len() > 1 && segment.ends_with('_') {
        segment.pop();
    }
    if segment.is_empty() { "_".to_owned() } else { segment }
}

/// Whether a capital goes with the letters `after` it, and not with the capitals before it. The
/// `s` of a plural (`URLs`) makes no word.
fn begins_lower_word(after: &[u8]) -> bool {
    match after {
        [b's', next, ..] => next.is_ascii_lowercase(),
        [b's'] => false,
        [first, ..] => first.is_ascii_lowercase(),
        [] => false,
    }
}

/// The name that a path would have if it were the only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseName {
    /// The segments, joined.
    pub name: String,
    /// Whether the name says what the JSON says: every key is its own segment and no segment was
    /// made up.
    pub exact: bool,
}

impl BaseName {
    fn joined(segments: impl IntoIterator<Item = Self>) -> Self {
        let (names, are_exact): (Vec<_>, Vec<_>) =
            segments.into_iter().map(|segment| (segment.name, segment.exact)).unzip();
        let name = names.join(SEPARATOR);
        // A made-up segment gives way to a key of that name, hence to `_1st` and `value`.
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            return Self { name: format!("_{name}"), exact: false };
        }
        Self { name, exact: !are_exact.contains(&false) }
    }

    fn of_key(key: &str) -> Self {
        let name = sql_segment(key);
        Self { exact: name == key, name }
    }

    fn of_value() -> Self {
        Self { name: VALUE.to_owned(), exact: false }
    }
}

/// The column of the value at `path` within its table (R6): `customer__name` for
/// `$.customer.name`, `price` for `$.items[*].price`, `value` for `$.tags[*]`.
#[must_use]
pub fn column_name(path: &JsonPath) -> BaseName {
    BaseName::joined(segments(path.split_at_row().1))
}

/// The table that holds the value at `path` (R6): `orders` for `$` and `$.customer.name`,
/// `orders__items` for `$.items[*]` and `$.items[*].price`, `orders__grid__value` for
/// `$.grid[*][*]`. `entity` is the name of the root table's source.
#[must_use]
pub fn table_name(entity: &str, path: &JsonPath) -> BaseName {
    let mut parts = vec![BaseName::of_key(entity)];
    // Every level ends at an element or entry; what follows the last one is the column.
    let row = path.split_at_row().0;
    for level in row.split_inclusive(|step| !matches!(step, Step::Key(_))) {
        parts.extend(segments(&level[..level.len() - 1]));
    }
    BaseName::joined(parts)
}

/// The segments of the keys between a row and a value in it, or `value` where there are none.
fn segments(keys: &[Step]) -> Vec<BaseName> {
    let of_step = |step: &Step| match step {
        Step::Key(key) => BaseName::of_key(key),
        Step::Element | Step::Entry => BaseName::of_value(),
    };
    if keys.is_empty() { vec![BaseName::of_value()] } else { keys.iter().map(of_step).collect() }
}

/// A column or table that needs a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name it would have alone.
    pub base: String,
    /// Whether the base name changed nothing of the JSON ([`BaseName::exact`]).
    pub exact: bool,
    /// What is hashed: the JSON path as text, for a table with the entity in front. Two requests
    /// of a namespace never share it.
    pub identity: String,
    /// Its name from an earlier run, which it keeps.
    pub committed: Option<String>,
    /// Whether it is a generated column (`_row_id`, `items__len`), which keeps its base name (R8).
    pub reserved: bool,
}

impl Request {
    /// A request for what the data holds, seen for the first time.
    #[must_use]
    pub fn new(base: BaseName, identity: impl Into<String>) -> Self {
        let BaseName { name, exact } = base;
        Self { base: name, exact, identity: identity.into(), committed: None, reserved: false }
    }

    /// A request for a generated column whose name is the same in all tables, as `_row_id`.
    #[must_use]
    pub fn reserved(name: impl Into<String>) -> Self {
        let base = name.into();
        Self { identity: base.clone(), base, exact: true, committed: None, reserved: true }
    }

    /// A request for a generated column named after a column, as `items__len`: `base` is exact when
    /// that column's name is, and `identity` says path and purpose, so that the columns of
    /// `$.Items` and `$.items` are told apart.
    #[must_use]
    pub fn generated(base: BaseName, identity: impl Into<String>) -> Self {
        Self { reserved: true, ..Self::new(base, identity) }
    }

    /// The same request with the name it had in an earlier run.
    #[must_use]
    pub fn committed(self, name: impl Into<String>) -> Self {
        Self { committed: Some(name.into()), ..self }
    }
}

/// The names of all columns of a table, or of all tables, in the order of the requests (R6, R8).
///
/// Each name depends on the set of requests alone, not on their order. Names differ without regard
/// to case, save committed ones that were handed in equal. A reserved name yields, and gets a hash
/// like any other, when it has more than [`MAX_NAME_CHARS`], when it is committed to something
/// else, and when it meets reserved ones of which it is not the only exact one.
#[must_use]
pub fn assign(requests: &[Request]) -> Vec<String> {
    Namespace::new(str::to_ascii_lowercase, MAX_NAME_CHARS).assign(requests)
}

/// Names that are taken, and what makes two names the same.
struct Namespace {
    fold: fn(&str) -> String,
    max_chars: usize,
    taken: HashSet<String>,
}

impl Namespace {
    fn new(fold: fn(&str) -> String, max_chars: usize) -> Self {
        Self { fold, max_chars, taken: HashSet::new() }
    }

    fn assign(mut self, requests: &[Request]) -> Vec<String> {
        let mut names: Vec<_> = requests.iter().map(|request| request.committed.clone()).collect();
        for name in names.iter().flatten() {
            self.taken.insert((self.fold)(name));
        }
        // Whoever comes after is served in an order of its own, so that the order of the requests
        // decides nothing.
        let mut waiting: Vec<_> = (0..requests.len()).filter(|&at| names[at].is_none()).collect();
        waiting.sort_by_key(|&at| (&requests[at].identity, &requests[at].base));

        let fits = |at: &usize| requests[*at].base.chars().count() <= self.max_chars;
        let (reserved, of_data): (Vec<_>, Vec<_>) =
            waiting.iter().copied().filter(fits).partition(|&at| requests[at].reserved);
        for claimants in [reserved, of_data] {
            for at in self.owners(requests, &claimants) {
                if self.take(&requests[at].base) {
                    names[at] = Some(requests[at].base.clone());
                }
            }
        }
        for at in waiting {
            if names[at].is_none() {
                names[at] = Some(self.hashed(&requests[at]));
            }
        }
        names.into_iter().flatten().collect()
    }

    /// Those of the `claimants` that may have their base name: one at most for each name.
    fn owners(&self, requests: &[Request], claimants: &[usize]) -> Vec<usize> {
        let mut claims: HashMap<String, Vec<usize>> = HashMap::new();
        for &at in claimants {
            claims.entry((self.fold)(&requests[at].base)).or_default().push(at);
        }
        let owner = |claim: &Vec<usize>| {
            let mut exact = claim.iter().filter(|&&at| requests[at].exact);
            match (claim.as_slice(), exact.next(), exact.next()) {
                ([only], _, _) => Some(*only),
                (_, Some(exact), None) => Some(*exact),
                _ => None,
            }
        };
        claims.values().filter_map(owner).collect()
    }

    /// The first free name of: the base and 8, 10, … 16 digits of its identity's hash, then of the
    /// hash of the identity and a count.
    fn hashed(&mut self, request: &Request) -> String {
        let mut attempt = 0_usize;
        loop {
            let hash = if attempt == 0 {
                xxh3_64(request.identity.as_bytes())
            } else {
                xxh3_64(format!("{} {attempt}", request.identity).as_bytes())
            };
            let digits = format!("{hash:016x}");
            for num_digits in (8..=16).step_by(2) {
                let num_stem_chars = self.max_chars.saturating_sub(num_digits + 1);
                let stem: String = request.base.chars().take(num_stem_chars).collect();
                let name = format!("{}_{}", stem.trim_end_matches('_'), &digits[..num_digits]);
                if self.take(&name) {
                    return name;
                }
            }
            attempt += 1;
        }
    }

    /// Takes a name unless it is taken.
    fn take(&mut self, name: &str) -> bool {
        self.taken.insert((self.fold)(name))
    }
}

/// The names that AWS Glue's Relationalize gives (R7): raw keys joined by dots, always from the
/// root, an element being `val`; nothing is changed, cut or lower-cased.
pub mod glue {
    use super::{BaseName, JsonPath, Namespace, Request, Step};

    /// The name of an element of an array. Entries of maps, which Glue does not know, have it too.
    const VAL: &str = "val";

    /// The column of the value at `path`, in whichever table: `a.b.val.c` for `$.a.b[*].c`.
    ///
    /// Exact is a name without a key that holds a dot, the one way in which Glue lets two paths of
    /// a table meet.
    #[must_use]
    pub fn column_name(path: &JsonPath) -> BaseName {
        let steps = path.steps();
        let name = if steps.is_empty() { VAL.to_owned() } else { full_name(steps) };
        BaseName { name, exact: is_exact(steps) }
    }

    /// The table that holds the value at `path`: `root_a.b` for `$.a.b[*]` and `$.a.b[*].c`, and
    /// `root`, the name given to the root table, for what is in no array.
    #[must_use]
    pub fn table_name(root: &str, path: &JsonPath) -> BaseName {
        let name = match path.split_at_row().0 {
            [] => root.to_owned(),
            [array @ .., _] => format!("{root}_{}", full_name(array)),
        };
        BaseName { name, exact: is_exact(path.split_at_row().0) }
    }

    /// The names of all columns of a table, or of all tables, in the order of the requests.
    ///
    /// As [`assign`](super::assign), but names may have any length, and names that differ in case
    /// differ.
    #[must_use]
    pub fn assign(requests: &[Request]) -> Vec<String> {
        Namespace::new(str::to_owned, usize::MAX).assign(requests)
    }

    fn full_name(steps: &[Step]) -> String {
        let of_step = |step: &Step| match step {
            Step::Key(key) => key.to_string(),
            Step::Element | Step::Entry => VAL.to_owned(),
        };
        steps.iter().map(of_step).collect::<Vec<_>>().join(".")
    }

    fn is_exact(steps: &[Step]) -> bool {
        !steps.iter().any(|step| matches!(step, Step::Key(key) if key.contains('.')))
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
