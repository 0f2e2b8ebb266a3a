//! A JSON path, as small as the configuration needs it.
//!
//! | written | means | printed |
//! |---|---|---|
//! | `$` | the whole document | `$` |
//! | `$.name`, `.name`, `name` | the member `name` | `$.name` |
//! | `['any name']`, `["any name"]` | a member, whatever its name | `$['any name']` |
//! | `[0]` | the element at an index | `$[0]` |
//! | `[*]` | each element of an array | `$[*]` |
//!
//! A name behind a dot is letters, digits and `_`, `-`, `@`, `$`, `:`, `#`; all others stand in brackets and
//! quotes, where a backslash comes before `\`, `'` and `"` that are part of the name.

use std::fmt;
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// One step of a [`JsonPath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// The member of an object with this name.
    Name(String),
    /// The element of an array at this index, from 0.
    Index(u64),
    /// Each element of an array.
    Each,
}

/// Where a value is inside a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct JsonPath {
    steps: Vec<Step>,
}

/// Why a text is no JSON path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("JSON path `{text}`, character {position}: expected {expected}")]
pub struct PathFault {
    /// The whole text.
    pub text: String,
    /// The character at fault, from 1; one more than there are when the text ends too early.
    pub position: usize,
    /// What had to come.
    pub expected: &'static str,
}

impl JsonPath {
    /// The path of the whole document, `$`.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of these steps.
    #[must_use]
    pub fn new(steps: Vec<Step>) -> Self {
        Self { steps }
    }

    /// The steps, from the outermost.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether the path can lead to several values: it has a `[*]`.
    #[must_use]
    pub fn has_each(&self) -> bool {
        self.steps.contains(&Step::Each)
    }
}

/// Whether a name may stand behind a dot.
fn is_plain(character: char) -> bool {
    character.is_alphanumeric() || "_-@$:#".contains(character)
}

impl fmt::Display for JsonPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("$")?;
        for step in &self.steps {
            match step {
                Step::Name(name) if !name.is_empty() && name.chars().all(is_plain) => {
                    write!(formatter, ".{name}")?;
                }
                Step::Name(name) => {
                    let escaped = name.replace('\\', r"\\").replace('\'', r"\'");
                    write!(formatter, "['{escaped}']")?;
                }
                Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::Each => formatter.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

impl FromStr for JsonPath {
    type Err = PathFault;

    /// Reads a path; see the module for its grammar.
    ///
    /// # Errors
    ///
    /// [`PathFault`] with the character and what had to be there.
    fn from_str(text: &str) -> Result<Self, PathFault> {
        Parser { text, rest: text }.path()
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Parser<'_> {
    fn path(mut self) -> Result<JsonPath, PathFault> {
        if self.text.is_empty() {
            return Err(self.fault("`$` or a name"));
        }
        let mut steps = Vec::new();
        // A name right at the start is the short form of `$.name`.
        if !self.take('$') && !self.rest.starts_with(['.', '[']) {
            steps.push(self.name("`$`, a name or `[`")?);
        }
        while !self.rest.is_empty() {
            if self.take('.') {
                steps.push(self.name("a name, or one in brackets and quotes: `['any name']`")?);
            } else if self.take('[') {
                steps.push(self.bracket()?);
                if !self.take(']') {
                    return Err(self.fault("`]`"));
                }
            } else {
                return Err(self.fault("`.`, `[` or the end (other names: `['any name']`)"));
            }
        }
        Ok(JsonPath { steps })
    }

    fn name(&mut self, expected: &'static str) -> Result<Step, PathFault> {
        let end = self.rest.find(|found| !is_plain(found)).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.fault(expected));
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Step::Name(name.to_owned()))
    }

    fn bracket(&mut self) -> Result<Step, PathFault> {
        if self.take('*') {
            Ok(Step::Each)
        } else if self.take('\'') {
            self.quoted('\'')
        } else if self.take('"') {
            self.quoted('"')
        } else {
            self.index()
        }
    }

    fn index(&mut self) -> Result<Step, PathFault> {
        let end = self.rest.find(|found: char| !found.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Err(self.fault("`*`, an index or a name in quotes"));
        }
        let index = digits.parse().map_err(|_| self.fault("an index below 2^64"))?;
        self.rest = rest;
        Ok(Step::Index(index))
    }

    fn quoted(&mut self, quote: char) -> Result<Step, PathFault> {
        let mut name = String::new();
        loop {
            if self.take(quote) {
                return Ok(Step::Name(name));
            }
            if self.take('\\') && !self.rest.starts_with(['\\', '\'', '"']) {
                return Err(self.fault(r#"`\`, `'` or `"` behind a backslash"#));
            }
            let Some(found) = self.rest.chars().next() else {
                return Err(self.fault("a closing quote"));
            };
            self.take(found);
            name.push(found);
        }
    }

    fn take(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn fault(&self, expected: &'static str) -> PathFault {
        let read = &self.text[..self.text.len() - self.rest.len()];
        PathFault { text: self.text.to_owned(), position: read.chars().count() + 1, expected }
    }
}
