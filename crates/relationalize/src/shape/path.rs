//! JSON paths: where in a record a value stands, and what an option says to name one (R8, R14).
//!
//! A path is written as `$.customer['odd key'].items[*].price`, `$.metadata.*`: keys after dots,
//! `[*]` for every element of an array, `.*` for every value of an object used as a map (R10).
//! A key that is not `[A-Za-z_][A-Za-z0-9_]*` stands in brackets, quoted. That text is a path's
//! identity in manifests and in the hashes of names (R6), so it must never change.

use std::fmt::{self, Display, Formatter, Write};
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::relation::names::{column_name, glue, table_name};

/// One step from a value to a value inside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The value of an object under this key.
    Key(Arc<str>),
    /// Every element of an array, `[*]`.
    Element,
    /// Every value of an object used as a map, `.*` (R10).
    Entry,
}

/// The way from a record (`$`) to a value in it.
///
/// [`Display`] and [`FromStr`] are inverse; `FromStr` also reads what people type:
/// ``items[].`unit price` `` is `$.items[*]['unit price']`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JsonPath(Vec<Step>);

impl JsonPath {
    /// The path of the record itself, `$`.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The path that takes these steps from the record.
    #[must_use]
    pub const fn from_steps(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    /// The steps from the record to the value.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The path of a value inside this one.
    #[must_use]
    pub fn child(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// The path of the value under `key` in the object at this path.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.child(Step::Key(key.into()))
    }

    /// The path of the elements of the array at this path.
    #[must_use]
    pub fn element(&self) -> Self {
        self.child(Step::Element)
    }

    /// The path of the values of the map at this path (R10).
    #[must_use]
    pub fn entry(&self) -> Self {
        self.child(Step::Entry)
    }

    /// The path of the row that the value belongs to: `$` in the root table, the path up to its
    /// last `[*]` or `.*` in a child table. Every table has its own, so it also identifies the
    /// table within its entity.
    #[must_use]
    pub fn row(&self) -> Self {
        Self(self.split_at_row().0.to_vec())
    }

    /// The steps to the row that the value belongs to, and those from the row to the value.
    #[must_use]
    pub fn split_at_row(&self) -> (&[Step], &[Step]) {
        let is_row = |step: &Step| matches!(step, Step::Element | Step::Entry);
        let num_row_steps = self.0.iter().rposition(is_row).map_or(0, |last| last + 1);
        self.0.split_at(num_row_steps)
    }
}

impl Display for JsonPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('$')?;
        for step in &self.0 {
            match step {
                Step::Key(key) if is_plain(key) => write!(f, ".{key}")?,
                Step::Key(key) => write_quoted(f, key)?,
                Step::Element => f.write_str("[*]")?,
                Step::Entry => f.write_str(".*")?,
            }
        }
        Ok(())
    }
}

/// Whether a key can follow a dot as it is.
fn is_plain(key: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    key.bytes().all(is_word) && !key.bytes().next().is_none_or(|first| first.is_ascii_digit())
}

/// Writes `['key']` with the escapes of the normalized paths of RFC 9535, so that the text is one
/// line whatever the key holds.
fn write_quoted(f: &mut Formatter<'_>, key: &str) -> fmt::Result {
    f.write_str("['")?;
    for character in key.chars() {
        match character {
            '\'' => f.write_str(r"\'")?,
            '\\' => f.write_str(r"\\")?,
            '\u{8}' => f.write_str(r"\b")?,
            '\u{c}' => f.write_str(r"\f")?,
            '\n' => f.write_str(r"\n")?,
            '\r' => f.write_str(r"\r")?,
            '\t' => f.write_str(r"\t")?,
            control if control.is_control() => write!(f, r"\u{:04x}", u32::from(control))?,
            other => f.write_char(other)?,
        }
    }
    f.write_str("']")
}

/// A text that is no JSON path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("cannot read the JSON path `{text}` at character {position}: {problem}")]
pub struct PathError {
    /// The whole text.
    pub text: Box<str>,
    /// Where the problem is: a count of characters, from 1.
    pub position: usize,
    /// What the problem is.
    pub problem: PathProblem,
}

/// What is wrong at one place of a [`PathError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathProblem {
    /// The text is empty.
    #[error("a path has at least one character, `$` being the record itself")]
    Empty,
    /// Two dots in a row or a dot at the end.
    #[error("a key is missing; an empty key is written `['']`")]
    MissingKey,
    /// A step goes on where it should have ended.
    #[error("expected `.` or `[`")]
    MissingSeparator,
    /// A quote begins a key that is not in brackets.
    #[error("a quoted key stands in brackets, `['key']`")]
    QuoteWithoutBrackets,
    /// A star within a key.
    #[error("`*` stands alone; a key that holds one is written `['a*b']`")]
    StarInKey,
    /// The position of an array's element in brackets.
    #[error("a path names all elements of an array, `[*]`, not one")]
    Index,
    /// Something else in brackets.
    #[error("brackets hold `*`, nothing, or a quoted key")]
    Bracket,
    /// A bracket, quote or back-tick that nothing closes.
    #[error("`{0}` is missing")]
    Unclosed(char),
    /// A backslash with something unknown behind it, or half of a surrogate pair.
    #[error("unknown escape; known are \\\\ \\' \\\" \\/ \\b \\f \\n \\r \\t \\uXXXX")]
    Escape,
}

impl FromStr for JsonPath {
    type Err = PathError;

    /// Reads a path as [`Display`] writes it, and as people type it: without `$` or `$.`, `items[]`
    /// for `items[*]` (Glue's way), `["key"]` for `['key']`, `` `unit price` `` for
    /// `['unit price']` (a back-tick in it doubled), and any key without `.`, `*`, brackets and
    /// back-ticks as it is (`created-at`, `$oid`). White space is part of the key.
    ///
    /// # Errors
    ///
    /// [`PathError`] at the first character that cannot be read.
    fn from_str(text: &str) -> Result<Self, PathError> {
        Parser { text, rest: text }.path()
    }
}

/// A path's text and what is still unread of it.
struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn path(mut self) -> Result<JsonPath, PathError> {
        if self.rest.is_empty() {
            return Err(self.fails_at(self.rest, PathProblem::Empty));
        }
        // `$oid` is a key: only a `$` that ends there is the record.
        if let Some(rest) = self.rest.strip_prefix('$')
            && (rest.is_empty() || rest.starts_with(['.', '[']))
        {
            self.rest = rest;
        }
        let mut steps = Vec::new();
        while !self.rest.is_empty() {
            let is_first_of_text = self.rest.len() == self.text.len();
            steps.push(if self.take('[') {
                self.bracketed()?
            } else if self.take('.') || is_first_of_text {
                self.named()?
            } else {
                return Err(self.fails_at(self.rest, PathProblem::MissingSeparator));
            });
        }
        Ok(JsonPath(steps))
    }

    /// A step behind a dot.
    fn named(&mut self) -> Result<Step, PathError> {
        let start = self.rest;
        if self.take('`') {
            return self.ticked(start);
        }
        let num_bytes = start.find(['.', '[', ']', '`']).unwrap_or(start.len());
        let (name, rest) = start.split_at(num_bytes);
        self.rest = rest;
        match name {
            "" => Err(self.fails_at(start, PathProblem::MissingKey)),
            "*" => Ok(Step::Entry),
            _ if name.contains('*') => Err(self.fails_at(start, PathProblem::StarInKey)),
            _ if name.starts_with(['\'', '"']) => {
                Err(self.fails_at(start, PathProblem::QuoteWithoutBrackets))
            }
            _ => Ok(Step::Key(name.into())),
        }
    }

    /// A key in back-ticks, the first of which is read.
    fn ticked(&mut self, start: &'a str) -> Result<Step, PathError> {
        let mut key = String::new();
        loop {
            match self.next() {
                Some('`') if self.take('`') => key.push('`'),
                Some('`') => return Ok(Step::Key(key.into())),
                Some(character) => key.push(character),
                None => return Err(self.fails_at(start, PathProblem::Unclosed('`'))),
            }
        }
    }

    /// A step in brackets, the first of which is read.
    fn bracketed(&mut self) -> Result<Step, PathError> {
        let start = self.rest;
        let step = match self.next() {
            Some(']') => return Ok(Step::Element),
            Some('*') => Step::Element,
            Some(quote @ ('\'' | '"')) => self.quoted(quote, start)?,
            None => return Err(self.fails_at(start, PathProblem::Unclosed(']'))),
            Some('0'..='9' | '-' | ':') => return Err(self.fails_at(start, PathProblem::Index)),
            Some(_) => return Err(self.fails_at(start, PathProblem::Bracket)),
        };
        if self.take(']') {
            Ok(step)
        } else {
            Err(self.fails_at(self.rest, PathProblem::Unclosed(']')))
        }
    }

    /// A key in quotes, the first of which is read.
    fn quoted(&mut self, quote: char, start: &'a str) -> Result<Step, PathError> {
        let mut key = String::new();
        loop {
            let here = self.rest;
            match self.next() {
                Some(character) if character == quote => return Ok(Step::Key(key.into())),
                Some('\\') => match self.escaped() {
                    Some(character) => key.push(character),
                    None => return Err(self.fails_at(here, PathProblem::Escape)),
                },
                Some(character) => key.push(character),
                None => return Err(self.fails_at(start, PathProblem::Unclosed(quote))),
            }
        }
    }

    /// The character that stands behind a backslash.
    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            literal @ ('\\' | '\'' | '"' | '/') => literal,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.code_unit()?;
                let is_pair = (0xd800..0xdc00).contains(&first);
                let pair = [first, if is_pair { self.second_unit()? } else { 0 }];
                let units = if is_pair { &pair[..] } else { &pair[..1] };
                char::decode_utf16(units.iter().copied()).next()?.ok()?
            }
            _ => return None,
        })
    }

    /// The second half of a surrogate pair, with its own `\u`.
    fn second_unit(&mut self) -> Option<u16> {
        self.rest = self.rest.strip_prefix("\\u")?;
        self.code_unit()
    }

    /// Four hexadecimal digits.
    fn code_unit(&mut self) -> Option<u16> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        // `from_str_radix` alone would also read `+123`.
        let are_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        self.rest = rest;
        are_digits.then(|| u16::from_str_radix(digits, 16).ok())?
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn take(&mut self, expected: char) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The error that `problem` is at the start of `rest`, an unread end of the text.
    fn fails_at(&self, rest: &str, problem: PathProblem) -> PathError {
        let read = &self.text[..self.text.len() - rest.len()];
        let position = read.chars().count() + 1;
        PathError { text: self.text.into(), position, problem }
    }
}

/// What an option names: a JSON path or a column, as in `--key id`, `--map metadata`,
/// `--resolve 'items[].price=cast:double'` (R8, R10, R14).
///
/// | text | names |
/// |---|---|
/// | `$.customer.name`, `customer.name`, `items[].price` | the value at this path |
/// | `customer__name` | the column of the root table, by its SQL name (R6) |
/// | `orders.customer__name`, `orders__items.price` | the column of any table, by both SQL names |
/// | `items.val.price`, `orders_items.items.val.price` | the same by Glue's names (R7) |
///
/// Names are those that a path has before collisions are settled, since options are read before
/// any name is assigned: what got a hash in its name is named by its path. Names are compared as
/// they are written. One text may match several paths: `id` is the path `$.id` and the column of
/// `$.ID`. Where that matters, [`Selector::path`] tells which one the text spells out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    text: Box<str>,
    path: JsonPath,
}

impl TryFrom<String> for Selector {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        Self::parse(&text)
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.text().to_owned()
    }
}

impl Selector {
    /// Reads the text of an option; a column name is always readable as a path, too.
    ///
    /// # Errors
    ///
    /// [`PathError`] when the text is no path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Ok(Self { path: text.parse()?, text: text.into() })
    }

    /// The text as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text read as a path.
    #[must_use]
    pub const fn path(&self) -> &JsonPath {
        &self.path
    }

    /// Whether the text is this path, or its column in the root table.
    #[must_use]
    pub fn matches(&self, path: &JsonPath) -> bool {
        let is_in_root_table = path.split_at_row().0.is_empty();
        self.path == *path || (is_in_root_table && *self.text == column_name(path).name)
    }

    /// Whether the text is this path or its column, in whichever table.
    ///
    /// `root_table` is the base name of the root table. Costs a few short strings, so ask once per
    /// path, not per value.
    #[must_use]
    pub fn matches_column(&self, path: &JsonPath, root_table: &str) -> bool {
        if self.matches(path) {
            return true;
        }
        let glue_column = glue::column_name(path).name;
        let is_in_root_table = path.split_at_row().0.is_empty();
        self.is_qualified(&table_name(root_table, path).name, &column_name(path).name)
            || self.is_qualified(&glue::table_name(root_table, path).name, &glue_column)
            || (!is_in_root_table && *self.text == glue_column)
    }

    /// Whether the text is `table.column`.
    fn is_qualified(&self, table: &str, column: &str) -> bool {
        let unqualified = self.text.strip_prefix(table).and_then(|rest| rest.strip_prefix('.'));
        unqualified == Some(column)
    }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
