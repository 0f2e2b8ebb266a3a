//! Keeps secrets out of texts by their values, in whatever form they show (I2).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};

use super::forms;
use super::secret::Secret;

/// Shorter values are not looked for in texts: `no` would blank half of every message.
pub const MIN_CHARACTERS_IN_TEXT: usize = 4;

/// Shorter values are not looked for in the bytes of records, where a match by chance changes data.
pub const MIN_BYTES_IN_RECORDS: usize = 8;

const STARS: &str = "***";

/// Knows values that must not show, and replaces each by `***` in any of its forms.
///
/// Copies share what they know. The values are held in memory as patterns for as long as a copy lives.
/// Looking costs one pass over the text; learning builds the search anew, which is meant for tens of
/// values and not for thousands.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    texts: Patterns,
    records: Patterns,
}

/// What is looked for.
#[derive(Default)]
struct Patterns {
    forms: BTreeSet<String>,
    search: Option<AhoCorasick>,
}

impl Redactor {
    /// One that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for this value from now on: raw, percent-encoded, in base64 (also inside a longer one), as
    /// JSON string and as Rust prints it.
    ///
    /// Values below `MIN_CHARACTERS_IN_TEXT` are not looked for at all, those below
    /// `MIN_BYTES_IN_RECORDS` and those that are a number are not looked for in records.
    pub fn learn(&self, secret: &Secret) {
        let value = secret.expose();
        if value.chars().count() >= MIN_CHARACTERS_IN_TEXT {
            self.add(forms::forms(value), is_for_records(value));
        }
    }

    /// Looks for the pair as `Authorization: Basic` carries it, besides the two on their own.
    pub fn learn_basic(&self, username: &Secret, password: &Secret) {
        self.learn(username);
        self.learn(password);
        self.learn_pair(username, password);
    }

    /// As [`Redactor::learn_basic`], but only the pair: for when a half of it is no secret.
    pub fn learn_pair(&self, username: &Secret, password: &Secret) {
        let pair = format!("{}:{}", username.expose(), password.expose());
        if pair.chars().count() > MIN_CHARACTERS_IN_TEXT {
            let mut forms = BTreeSet::new();
            forms::base64_forms(&pair, &mut forms);
            self.add(forms, is_for_records(&pair));
        }
    }

    /// The text with all that is known replaced by `***`.
    ///
    /// Redact before cutting a text: half a secret is not found.
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let spans = known.texts.find(text.as_bytes());
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut cleaned = String::with_capacity(text.len());
        let mut at = 0;
        for span in spans {
            cleaned.push_str(text.get(at..span.start).unwrap_or_default());
            cleaned.push_str(STARS);
            at = span.end;
        }
        cleaned.push_str(text.get(at..).unwrap_or_default());
        Cow::Owned(cleaned)
    }

    /// The bytes of a record with all that is known replaced by `***`; `None` when there is nothing of it.
    ///
    /// JSON stays JSON: only values of a certain length, and no numbers, are looked for here.
    pub fn clean_bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let spans = known.records.find(bytes);
        if spans.is_empty() {
            return None;
        }
        let mut cleaned = Vec::with_capacity(bytes.len());
        let mut at = 0;
        for span in spans {
            cleaned.extend_from_slice(bytes.get(at..span.start).unwrap_or_default());
            cleaned.extend_from_slice(STARS.as_bytes());
            at = span.end;
        }
        cleaned.extend_from_slice(bytes.get(at..).unwrap_or_default());
        Some(cleaned)
    }

    /// As [`Redactor::clean_bytes`], of a value that stands beside the records: in a state or a range.
    pub fn clean_value<'t>(&self, value: &'t str) -> Cow<'t, str> {
        match self.clean_bytes(value.as_bytes()) {
            None => Cow::Borrowed(value),
            Some(cleaned) => Cow::Owned(String::from_utf8_lossy(&cleaned).into_owned()),
        }
    }

    fn add(&self, forms: BTreeSet<String>, in_records: bool) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if in_records {
            known.records.add(&forms);
        }
        known.texts.add(&forms);
    }
}

/// A number stands bare in JSON, and `***` in its place would break the record.
fn is_for_records(value: &str) -> bool {
    value.len() >= MIN_BYTES_IN_RECORDS && value.parse::<f64>().is_err()
}

impl Patterns {
    fn add(&mut self, forms: &BTreeSet<String>) {
        if forms.is_subset(&self.forms) {
            return;
        }
        self.forms.extend(forms.iter().cloned());
        let mut builder = AhoCorasick::builder();
        // Standard matches are the only ones that can be listed with their overlaps.
        self.search = builder.match_kind(MatchKind::Standard).build(&self.forms).ok();
    }

    /// What to blank, in order: all matches, those that touch or overlap joined. So of two secrets that share
    /// an end neither leaves a rest, and the longest of several forms wins.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        let Some(search) = &self.search else { return self.find_one_by_one(bytes) };
        if !search.is_match(bytes) {
            return spans;
        }
        // Matches come in the order of their ends.
        for found in search.find_overlapping_iter(bytes) {
            join(&mut spans, found.range());
        }
        spans
    }

    /// As [`Patterns::find`], for when there is too much for one search: slow, but nothing shows.
    fn find_one_by_one(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for form in &self.forms {
            let at = bytes.windows(form.len()).enumerate();
            let at = at.filter(|(_, window)| *window == form.as_bytes());
            found.extend(at.map(|(start, _)| start..start + form.len()));
        }
        found.sort_by_key(|span| span.end);
        let mut spans = Vec::new();
        for span in found {
            join(&mut spans, span);
        }
        spans
    }
}

/// Adds a span that ends behind all others.
fn join(spans: &mut Vec<Range<usize>>, mut span: Range<usize>) {
    while let Some(last) = spans.pop_if(|last| last.end >= span.start) {
        span.start = span.start.min(last.start);
    }
    spans.push(span);
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i2_without_a_search_the_same_is_found() {
        let mut patterns = Patterns::default();
        patterns.add(&["abcd".to_owned(), "cdef".to_owned(), "xyxy".to_owned()].into());
        let text = b"-abcdef-xyxyxy-abcd-";

        let found = patterns.find(text);
        patterns.search = None;

        assert_eq!(found, [1..7, 8..14, 15..19]);
        assert_eq!(patterns.find(text), found);
    }
}
