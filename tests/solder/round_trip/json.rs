//! JSON as the properties compare it: numbers by their text, members in order.

use std::fmt;

use solder_relationalize::shred::{parse_timestamp, write_timestamp};

/// A JSON value that keeps what it says.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Boolean(bool),
    /// The number as it is spelled.
    Number(String),
    String(String),
    Array(Vec<Json>),
    /// Members in order; a key may stand twice.
    Object(Vec<(String, Json)>),
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        match self {
            Json::Null => f.write_str("null"),
            Json::Boolean(value) => write!(f, "{value}"),
            Json::Number(text) => f.write_str(text),
            Json::String(text) => f.write_str(&quoted(text)),
            Json::Array(elements) => {
                f.write_str("[")?;
                for (at, element) in elements.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{element}")?;
                }
                f.write_str("]")
            }
            Json::Object(members) => {
                f.write_str("{")?;
                for (at, (key, value)) in members.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{}:{value}", quoted(key))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl Json {
    /// Reads one document; nothing may follow it.
    pub fn parse(text: &str) -> Option<Json> {
        let mut parser = Parser { rest: text };
        let value = parser.value()?;
        parser.skip_blanks();
        parser.rest.is_empty().then_some(value)
    }

    /// The record with a member `key`, which no other has.
    pub fn with_key(self, key: usize) -> Json {
        let Json::Object(mut members) = self else { return self };
        members.insert(0, ("key".to_owned(), Json::Number(key.to_string())));
        Json::Object(members)
    }

    /// The same value with the members of its objects in another order. Of a key that stands twice
    /// the last one counts, so such objects stay as they are.
    pub fn shuffled(&self, seed: u64) -> Json {
        match self {
            Json::Array(elements) => {
                Json::Array(elements.iter().map(|element| element.shuffled(seed)).collect())
            }
            Json::Object(members) => {
                let mut members: Vec<_> = members
                    .iter()
                    .map(|(key, value)| (key.clone(), value.shuffled(seed)))
                    .collect();
                let mut keys: Vec<&String> = members.iter().map(|(key, _)| key).collect();
                keys.sort_unstable();
                let is_plain = keys.windows(2).all(|two| two[0] != two[1]);
                if is_plain {
                    let mut state = seed;
                    for last in (1..members.len()).rev() {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        members.swap(last, (state >> 33) as usize % (last + 1));
                    }
                }
                Json::Object(members)
            }
            other => other.clone(),
        }
    }
}

/// What R18 counts as the same.
pub struct Normal {
    /// Timestamps are instants.
    pub timestamps: bool,
    /// Decimals keep all of their digits.
    pub exact_numbers: bool,
}

impl Normal {
    /// The form that all records have which are the same.
    pub fn of(&self, record: &Json) -> Json {
        self.kept(record).unwrap_or(Json::Object(Vec::new()))
    }

    /// `None` for what is not there: null, and objects with nothing in them.
    fn kept(&self, value: &Json) -> Option<Json> {
        match value {
            Json::Null => None,
            Json::Boolean(_) => Some(value.clone()),
            Json::Number(text) => Some(Json::Number(self.number(text))),
            Json::String(text) => Some(Json::String(self.string(text))),
            Json::Array(elements) => {
                let kept = |element| self.kept(element).unwrap_or(Json::Null);
                Some(Json::Array(elements.iter().map(kept).collect()))
            }
            Json::Object(members) => {
                let mut last = std::collections::BTreeMap::new();
                for (key, value) in members {
                    last.insert(key, value);
                }
                let kept = |(key, value): (&String, &Json)| Some((key.clone(), self.kept(value)?));
                let kept: Vec<_> = last.into_iter().filter_map(kept).collect();
                (!kept.is_empty()).then_some(Json::Object(kept))
            }
        }
    }

    fn string(&self, text: &str) -> String {
        match parse_timestamp(text.as_bytes()).filter(|_| self.timestamps) {
            Some(instant) => {
                let mut out = Vec::new();
                write_timestamp(instant, &mut out);
                String::from_utf8(out).unwrap()
            }
            None => text.to_owned(),
        }
    }

    /// Sign, digits and power of ten. Without `exact_numbers`, digits that float64 does not hold
    /// are gone.
    fn number(&self, text: &str) -> String {
        let is_float = text.contains(['.', 'e', 'E']);
        let float: f64 = text.parse().unwrap();
        let is_rounded = is_float && !self.exact_numbers && float.is_finite() && float != 0.0;
        let spelled = if is_rounded { format!("{float:e}") } else { text.to_owned() };
        let (negative, rest) = match spelled.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", spelled.as_str()),
        };
        let (mantissa, power) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let power: i64 = power.parse::<i64>().unwrap() - fraction.len() as i64;
        let significant = digits.trim_end_matches('0');
        let power = power + (digits.len() - significant.len()) as i64;
        match significant.trim_start_matches('0') {
            "" => "0".to_owned(),
            significant => format!("{negative}{significant}e{power}"),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, text: &str) -> Option<()> {
        self.skip_blanks();
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn value(&mut self) -> Option<Json> {
        self.skip_blanks();
        match self.rest.chars().next()? {
            'n' => self.take("null").map(|()| Json::Null),
            't' => self.take("true").map(|()| Json::Boolean(true)),
            'f' => self.take("false").map(|()| Json::Boolean(false)),
            '"' => self.string().map(Json::String),
            '[' => {
                self.take("[")?;
                let mut elements = Vec::new();
                if self.take("]").is_some() {
                    return Some(Json::Array(elements));
                }
                loop {
                    elements.push(self.value()?);
                    if self.take(",").is_none() {
                        return self.take("]").map(|()| Json::Array(elements));
                    }
                }
            }
            '{' => {
                self.take("{")?;
                let mut members = Vec::new();
                if self.take("}").is_some() {
                    return Some(Json::Object(members));
                }
                loop {
                    self.skip_blanks();
                    let key = self.string()?;
                    self.take(":")?;
                    members.push((key, self.value()?));
                    if self.take(",").is_none() {
                        return self.take("}").map(|()| Json::Object(members));
                    }
                }
            }
            _ => {
                let is_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
                let end = self.rest.find(|c| !is_number(c)).unwrap_or(self.rest.len());
                let (number, rest) = self.rest.split_at(end);
                self.rest = rest;
                (!number.is_empty()).then(|| Json::Number(number.to_owned()))
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let mut end = 1;
        let bytes = self.rest.as_bytes();
        while *bytes.get(end)? != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let (quoted, rest) = self.rest.split_at(end + 1);
        self.rest = rest;
        serde_json::from_str(quoted).ok()
    }
}
