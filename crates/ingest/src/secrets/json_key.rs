//! A dotted path into a secret that is JSON: reading one value, and putting another in its place.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::page::{JsonPath, Step, find};

/// A dotted path into JSON: `token`, `oauth.refresh_token`, `keys.0.value`.
///
/// At each level the whole rest of the path is tried as one name first, so a key that has dots itself is
/// found too. A number steps into an array.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JsonKey(String);

/// Why a JSON key gives no text. Names of keys may show, values never.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonKeyError {
    /// Not a path.
    #[error("a key is names joined by dots, like `oauth.token`, with none of them empty")]
    Invalid,

    /// The text is not JSON. The parser's message is left out, as it may quote.
    #[error("the text is not JSON (line {line}, column {column})")]
    NotJson {
        /// Where the parser gave up, from 1.
        line: usize,
        /// Where in that line, from 1.
        column: usize,
    },

    /// The path leads nowhere.
    #[error("there is no key `{key}`{}", keys_note(.there))]
    Missing {
        /// The path.
        key: String,
        /// The names that are there, at the level where it ended.
        there: Vec<String>,
    },

    /// The path leads to something that is no text.
    #[error("the value of `{key}` is {found}, and not a text")]
    NotText {
        /// The path.
        key: String,
        /// What is there.
        found: &'static str,
    },
}

fn keys_note(there: &[String]) -> String {
    const MOST: usize = 20;
    if there.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = there.iter().take(MOST).map(|key| format!("`{key}`")).collect();
    let more = match there.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(": there are {}{more}", shown.join(", "))
}

impl JsonKey {
    /// The text at this path. Integers and booleans give their JSON text.
    ///
    /// # Errors
    ///
    /// `json` is not JSON, lacks the key, or has an object, an array, null or a number that cannot be kept
    /// exactly there.
    pub fn find(&self, json: &str) -> Result<String, JsonKeyError> {
        let value: Value = serde_json::from_str(json).map_err(|error| not_json(&error))?;
        self.find_in(&value)
    }

    /// As [`JsonKey::find`], in a value that is parsed already.
    pub(crate) fn find_in(&self, value: &Value) -> Result<String, JsonKeyError> {
        let (value, _) = self.walk(value)?;
        let found = match value {
            Value::String(text) => return Ok(text.clone()),
            Value::Bool(flag) => return Ok(flag.to_string()),
            Value::Number(number) if !number.is_f64() => return Ok(number.to_string()),
            Value::Number(_) => "a number that is no 64-bit integer",
            Value::Null => "null",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        Err(JsonKeyError::NotText { key: self.0.clone(), found })
    }

    /// `json` with another text at this path. All else stays as it is, byte for byte.
    ///
    /// # Errors
    ///
    /// As [`JsonKey::find`]: only a value that is there is replaced.
    pub(crate) fn replace(&self, json: &str, text: &str) -> Result<String, JsonKeyError> {
        let value: Value = serde_json::from_str(json).map_err(|error| not_json(&error))?;
        self.find_in(&value)?;
        let (_, steps) = self.walk(&value)?;
        let missing = || JsonKeyError::Missing { key: self.0.clone(), there: Vec::new() };
        let old = find(json.as_bytes(), &JsonPath::new(steps)).ok_or_else(missing)?;
        // It is a part of the text: where it begins there is the distance between the two.
        let begin = old.as_ptr().addr() - json.as_ptr().addr();
        let (before, behind) = (&json[..begin], &json[begin + old.len()..]);
        Ok(format!("{before}{}{behind}", Value::from(text)))
    }

    /// The value at this path, and the steps that led there.
    fn walk<'v>(&self, value: &'v Value) -> Result<(&'v Value, Vec<Step>), JsonKeyError> {
        let mut steps = Vec::new();
        let mut here = value;
        let mut rest = self.0.as_str();
        loop {
            let (head, tail) = match rest.split_once('.') {
                Some((head, tail)) => (head, Some(tail)),
                None => (rest, None),
            };
            if let Some(found) = here.as_object().and_then(|object| object.get(rest)) {
                steps.push(Step::Name(rest.to_owned()));
                return Ok((found, steps));
            }
            let next = match here {
                Value::Object(object) => {
                    object.get(head).map(|next| (next, Step::Name(head.to_owned())))
                }
                Value::Array(items) => head.parse().ok().and_then(|index: usize| {
                    items.get(index).map(|next| (next, Step::Index(index as u64)))
                }),
                _ => None,
            };
            let Some((next, step)) = next else {
                let there = here.as_object().map(|object| object.keys().cloned().collect());
                return Err(JsonKeyError::Missing {
                    key: self.0.clone(),
                    there: there.unwrap_or_default(),
                });
            };
            steps.push(step);
            match tail {
                None => return Ok((next, steps)),
                Some(tail) => (here, rest) = (next, tail),
            }
        }
    }
}

fn not_json(error: &serde_json::Error) -> JsonKeyError {
    JsonKeyError::NotJson { line: error.line(), column: error.column() }
}

impl FromStr for JsonKey {
    type Err = JsonKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split('.').any(str::is_empty) {
            true => Err(JsonKeyError::Invalid),
            false => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for JsonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn key(text: &str) -> JsonKey {
        text.parse().unwrap()
    }

    #[rstest]
    #[case(r#"{"a":"x"}"#, "a", "x")]
    #[case(r#"{"a":{"b":"x"}}"#, "a.b", "x")]
    #[case::dots_in_a_name(r#"{"a.b":"x"}"#, "a.b", "x")]
    #[case::dots_further_down(r#"{"a":{"b.c":"x"}}"#, "a.b.c", "x")]
    #[case::array(r#"{"a":["x",{"b":"y"}]}"#, "a.1.b", "y")]
    #[case::integer(r#"{"a":18446744073709551615}"#, "a", "18446744073709551615")]
    #[case::boolean(r#"{"a":true}"#, "a", "true")]
    #[case::last_of_two(r#"{"a":"x","a":"y"}"#, "a", "y")]
    fn i2_a_key_gives_the_text(#[case] json: &str, #[case] path: &str, #[case] value: &str) {
        assert_eq!(key(path).find(json).unwrap(), value);
    }

    #[rstest]
    #[case::not_json("s3cr3t-value", "a", "the text is not JSON (line 1, column 1)")]
    #[case::cut(r#"{"a":"s3cr3t"#, "a", "the text is not JSON (line 1, column 12)")]
    #[case::missing(r#"{"b":"s3cr3t","c":1}"#, "a", "there is no key `a`: there are `b`, `c`")]
    #[case::deeper(r#"{"a":{"c":"s3cr3t"}}"#, "a.b", "there is no key `a.b`: there are `c`")]
    #[case::below_text(r#"{"a":"s3cr3t"}"#, "a.b", "there is no key `a.b`")]
    #[case::object(r#"{"a":{"s":1}}"#, "a", "the value of `a` is an object, and not a text")]
    #[case::null(r#"{"a":null}"#, "a", "the value of `a` is null, and not a text")]
    #[case::float(r#"{"a":1e30}"#, "a", "is a number that is no 64-bit integer, and not a text")]
    fn i2_errors_name_keys_and_never_values(
        #[case] json: &str,
        #[case] path: &str,
        #[case] says: &str,
    ) {
        let message = key(path).find(json).unwrap_err().to_string();

        assert!(message.contains(says), "{message}");
        assert!(!message.contains("s3cr3t"), "{message}");
    }

    #[rstest]
    #[case(r#"{"a":"x"}"#, "a", r#"{"a":"n\"w"}"#)]
    #[case::rest_stays(
        "{ \"n\": 1.10e400_x, \"a\" :\t{\"b\":\"x\"} ,\"z\":null}\n",
        "a.b",
        "{ \"n\": 1.10e400_x, \"a\" :\t{\"b\":\"n\\\"w\"} ,\"z\":null}\n"
    )]
    #[case::number(r#"{"z":[1,{}],"a":12 }"#, "a", r#"{"z":[1,{}],"a":"n\"w" }"#)]
    #[case::in_array(r#"{"a":[1, "x,]", "y"]}"#, "a.2", r#"{"a":[1, "x,]", "n\"w"]}"#)]
    #[case::escaped_name(r#"{"\u0061":"x\\","b":2}"#, "a", r#"{"\u0061":"n\"w","b":2}"#)]
    #[case::last_of_two(r#"{"a":"x","a":"y"}"#, "a", r#"{"a":"x","a":"n\"w"}"#)]
    #[case::dots(r#"{"a":{"b":1},"a.b":"x"}"#, "a.b", r#"{"a":{"b":1},"a.b":"n\"w"}"#)]
    fn i3_a_replaced_value_leaves_all_else_as_it_was(
        #[case] json: &str,
        #[case] path: &str,
        #[case] expected: &str,
    ) {
        let json = json.replace("400_x", "200");
        let replaced = key(path).replace(&json, "n\"w").unwrap();

        assert_eq!(replaced, expected.replace("400_x", "200"));
        assert_eq!(key(path).find(&replaced).unwrap(), "n\"w");
    }
}
