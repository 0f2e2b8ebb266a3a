//! Looks a value up in a record's bytes, without a tree.

use std::borrow::Cow;

use super::path::{JsonPath, Step};
use super::skip::{is_space, value_end};

#[cfg(test)]
mod tests;

/// The bytes of the value at `path` in `record`, which is one JSON value.
///
/// None when there is no such value, when the record's structure is broken before it is known, or when the path
/// has a `[*]`. Of members with the same name the last one counts, as in the engine. The time is linear in the
/// record for each step; nothing is allocated, but for keys with escapes.
#[must_use]
pub fn find<'a>(record: &'a [u8], path: &JsonPath) -> Option<&'a [u8]> {
    find_steps(record, path.steps())
}

/// Like [`find`], for the last steps of a path.
pub(super) fn find_steps<'a>(record: &'a [u8], steps: &[Step]) -> Option<&'a [u8]> {
    let start = spaces_end(record, 0);
    let mut value = &record[start..value_end(record, start)?];
    for step in steps {
        value = match step {
            Step::Name(name) => member(value, name)?,
            Step::Index(index) => element(value, *index)?,
            Step::Each => return None,
        };
    }
    Some(value)
}

fn spaces_end(bytes: &[u8], from: usize) -> usize {
    let rest = &bytes[from..];
    from + rest.iter().position(|&byte| !is_space(byte)).unwrap_or(rest.len())
}

/// The last member called `name` of an object whose structure is sound.
fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    if object.first() != Some(&b'{') {
        return None;
    }
    let mut at = spaces_end(object, 1);
    while object.get(at) == Some(&b'"') {
        let key_end = value_end(object, at)?;
        let key = &object[at + 1..key_end - 1];
        // Behind the key and its colon.
        let start = spaces_end(object, spaces_end(object, key_end) + 1);
        let end = value_end(object, start)?;
        if is_key(key, name) {
            found = Some(&object[start..end]);
        }
        // Behind the comma, or the closing bracket, where no key starts.
        at = spaces_end(object, (spaces_end(object, end) + 1).min(object.len()));
    }
    found
}

fn element(array: &[u8], index: u64) -> Option<&[u8]> {
    if array.first() != Some(&b'[') {
        return None;
    }
    let mut at = spaces_end(array, 1);
    let mut position = 0;
    while array.get(at).is_some_and(|&byte| byte != b']') {
        let end = value_end(array, at)?;
        if position == index {
            return Some(&array[at..end]);
        }
        position += 1;
        at = spaces_end(array, (spaces_end(array, end) + 1).min(array.len()));
    }
    None
}

/// Whether `raw`, a key between its quotes, is `name`.
pub(super) fn is_key(raw: &[u8], name: &str) -> bool {
    match memchr::memchr(b'\\', raw) {
        None => raw == name.as_bytes(),
        // Never by its bytes: a newline is written as the name of two signs, a backslash and an n, is.
        Some(_) => unescape(raw) == name,
    }
}

/// A value's bytes as the text that goes into a URL, a header or a comparison.
///
/// A string without its quotes and escapes (lone surrogates and invalid UTF-8 become U+FFFD); a number or bool
/// exactly as written; None for null, an object or an array, and for no value at all.
#[must_use]
pub fn text_of(raw: &[u8]) -> Option<Cow<'_, str>> {
    let raw = raw.trim_ascii();
    match raw {
        [] | [b'{' | b'[', ..] | b"null" => None,
        [b'"', inner @ .., b'"'] => Some(unescape(inner)),
        _ => Some(String::from_utf8_lossy(raw)),
    }
}

/// The text of a string's bytes between its quotes. Escapes that do not exist are kept as written.
pub(super) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', raw) else {
        return String::from_utf8_lossy(raw);
    };
    let mut text = raw[..first].to_vec();
    let mut rest = &raw[first..];
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let (character, used) = escape(&rest[at..]);
        match character {
            Some(character) => {
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            None => text.extend_from_slice(&rest[at..at + used]),
        }
        rest = &rest[at + used..];
    }
    text.extend_from_slice(rest);
    Cow::Owned(match String::from_utf8(text) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// The character of the escape at the start of `raw`, when it is one, and its length in bytes.
fn escape(raw: &[u8]) -> (Option<char>, usize) {
    let simple = match raw.get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(&found @ (b'"' | b'\\' | b'/')) => char::from(found),
        Some(b'u') => return unicode_escape(raw),
        _ => return (None, 1),
    };
    (Some(simple), 2)
}

fn unicode_escape(raw: &[u8]) -> (Option<char>, usize) {
    let Some(unit) = code_unit(raw) else { return (None, 2) };
    if (0xd800..0xdc00).contains(&unit)
        && let Some(low @ 0xdc00..0xe000) = raw.get(6..).and_then(code_unit)
    {
        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(code), 12);
    }
    (Some(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)), 6)
}

/// The value of a `\uXXXX` at the start of `raw`.
fn code_unit(raw: &[u8]) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = raw.get(..6)? else { return None };
    digits.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
}
