//! The path that picks the records out of an envelope: `--records '$.data[*]'`.
//!
//! | in the path | means |
//! |---|---|
//! | `$` | the document; every path starts with it |
//! | `.key`, `['key']`, `["key"]` | the member of an object; in quotes, `\` takes the next character as it is |
//! | `[*]` | every element of an array |

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A path from a document to its records: the part of JSONPath in the table above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordsPath {
    steps: Vec<Step>,
}

/// One step of a [`RecordsPath`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The member of an object.
    Key(String),
    /// Every element of an array.
    Each,
}

/// Why a records path cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordsPathError {
    /// It does not start at the document.
    #[error("records path `{path}` does not start with `$`")]
    NoRoot {
        /// The path.
        path: String,
    },
    /// A part of it is not in the subset.
    #[error("expected {expected} at character {position} of records path `{path}`")]
    Syntax {
        /// The path.
        path: String,
        /// 1-based position in characters.
        position: usize,
        /// What can stand there.
        expected: &'static str,
    },
}

impl RecordsPath {
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// Writes `steps` as a path.
pub(super) fn path_text(steps: &[Step]) -> String {
    let mut text = String::from("$");
    for step in steps {
        match step {
            Step::Each => text.push_str("[*]"),
            Step::Key(key) if is_plain(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Key(key) => {
                text.push_str("['");
                for character in key.chars() {
                    if matches!(character, '\'' | '\\') {
                        text.push('\\');
                    }
                    text.push(character);
                }
                text.push_str("']");
            }
        }
    }
    text
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(is_plain_character)
}

/// Characters of a key that need no quotes; the others mean something in JSONPath.
fn is_plain_character(character: char) -> bool {
    !character.is_whitespace() && !".[]*?@()'\"\\,:".contains(character)
}

impl fmt::Display for RecordsPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&path_text(&self.steps))
    }
}

impl TryFrom<String> for RecordsPath {
    type Error = RecordsPathError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RecordsPath> for String {
    fn from(path: RecordsPath) -> Self {
        path.to_string()
    }
}

impl FromStr for RecordsPath {
    type Err = RecordsPathError;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let characters: Vec<char> = path.chars().collect();
        if characters.first() != Some(&'$') {
            return Err(RecordsPathError::NoRoot { path: path.into() });
        }
        let mut parser = Parser { characters, next: 1 };
        let mut steps = Vec::new();
        while parser.peek().is_some() {
            steps.push(parser.step().map_err(|expected| RecordsPathError::Syntax {
                path: path.into(),
                position: parser.next + 1,
                expected,
            })?);
        }
        Ok(Self { steps })
    }
}

struct Parser {
    characters: Vec<char>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.next).copied()
    }

    fn take(&mut self, character: char, expected: &'static str) -> Result<(), &'static str> {
        if self.peek() != Some(character) {
            return Err(expected);
        }
        self.next += 1;
        Ok(())
    }

    /// One step; the error says what was expected at `next`.
    fn step(&mut self) -> Result<Step, &'static str> {
        if self.peek() == Some('.') {
            self.next += 1;
            let start = self.next;
            while self.peek().is_some_and(is_plain_character) {
                self.next += 1;
            }
            if self.next == start {
                return Err("a key (in `['…']` when it holds special characters)");
            }
            return Ok(Step::Key(self.characters[start..self.next].iter().collect()));
        }
        self.take('[', "`.key`, `['key']` or `[*]`")?;
        let step = match self.peek() {
            Some('*') => {
                self.next += 1;
                Step::Each
            }
            Some(quote @ ('\'' | '"')) => {
                self.next += 1;
                Step::Key(self.quoted(quote)?)
            }
            _ => return Err("`*` or a key in quotes"),
        };
        self.take(']', "`]`")?;
        Ok(step)
    }

    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        let mut key = String::new();
        loop {
            let mut character = self.peek().ok_or("the closing quote")?;
            self.next += 1;
            if character == quote {
                return Ok(key);
            }
            if character == '\\' {
                character = self.peek().ok_or("a character behind `\\`")?;
                self.next += 1;
            }
            key.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn key(key: &str) -> Step {
        Step::Key(key.into())
    }

    #[rstest]
    #[case("$", vec![], "$")]
    #[case("$[*]", vec![Step::Each], "$[*]")]
    #[case("$.data[*]", vec![key("data"), Step::Each], "$.data[*]")]
    #[case("$['data'][*].item", vec![key("data"), Step::Each, key("item")], "$.data[*].item")]
    #[case("$[\"a.b\"].c-d", vec![key("a.b"), key("c-d")], "$['a.b'].c-d")]
    #[case(r"$['it\'s \\ ']", vec![key(r"it's \ ")], r"$['it\'s \\ ']")]
    #[case("$['']", vec![key("")], "$['']")]
    #[case("$.größe[*][*]", vec![key("größe"), Step::Each, Step::Each], "$.größe[*][*]")]
    fn paths_are_read_and_written(
        #[case] path: &str,
        #[case] steps: Vec<Step>,
        #[case] canonical: &str,
    ) {
        let parsed: RecordsPath = path.parse().unwrap();
        assert_eq!(parsed.steps(), steps);
        assert_eq!(parsed.to_string(), canonical);
        assert_eq!(canonical.parse::<RecordsPath>().unwrap(), parsed);
    }

    #[rstest]
    #[case("", "records path `` does not start with `$`")]
    #[case("data[*]", "records path `data[*]` does not start with `$`")]
    #[case("$data", "expected `.key`, `['key']` or `[*]` at character 2 of records path `$data`")]
    #[case(
        "$..data",
        "expected a key (in `['…']` when it holds special characters) at character 3 of records path `$..data`"
    )]
    #[case(
        "$.",
        "expected a key (in `['…']` when it holds special characters) at character 3 of records path `$.`"
    )]
    #[case(
        "$.*",
        "expected a key (in `['…']` when it holds special characters) at character 3 of records path `$.*`"
    )]
    #[case("$[0]", "expected `*` or a key in quotes at character 3 of records path `$[0]`")]
    #[case("$[*", "expected `]` at character 4 of records path `$[*`")]
    #[case("$['a", "expected the closing quote at character 5 of records path `$['a`")]
    #[case("$['a'", "expected `]` at character 6 of records path `$['a'`")]
    #[case("$.a b", "expected `.key`, `['key']` or `[*]` at character 4 of records path `$.a b`")]
    fn other_paths_are_refused_with_the_place(#[case] path: &str, #[case] message: &str) {
        assert_eq!(path.parse::<RecordsPath>().unwrap_err().to_string(), message);
    }
}
