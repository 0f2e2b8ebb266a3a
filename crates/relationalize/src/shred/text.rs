//! White space and strings: eight bytes at a time where they are found, one at a time where they
//! are decoded.

use super::tape::{Found, Kind, Part, SyntaxError, SyntaxErrorKind};

/// A word with `byte` in each of its eight bytes.
const fn repeat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The high bit of each byte.
const HIGH_BITS: u64 = repeat(0x80);

/// The word at byte `at`, its first byte the lowest; none where fewer than eight bytes are left.
#[inline(always)]
fn word_at(text: &[u8], at: usize) -> Option<u64> {
    let rest = text.get(at..)?;
    rest.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Whether JSON counts `byte` as white space.
#[inline(always)]
fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// The offset of the first byte at or after `at` that is not white space (space, tab, line feed,
/// carriage return); the length of the text, or `at` beyond it, where there is none.
#[inline(always)]
#[must_use]
pub fn skip_whitespace(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(&byte) if byte <= b' ' => skip_whitespace_run(text, at),
        _ => at,
    }
}

/// [`skip_whitespace`] where there probably is some.
fn skip_whitespace_run(text: &[u8], mut at: usize) -> usize {
    loop {
        // Indentation is the long kind of white space.
        while let Some(word) = word_at(text, at) {
            let others = word ^ repeat(b' ');
            at += others.trailing_zeros() as usize / 8;
            if others != 0 {
                break;
            }
        }
        match text.get(at) {
            Some(&byte) if is_whitespace(byte) => at += 1,
            _ => return at,
        }
    }
}

/// A mark in the high bit of the first byte of `word` that a string cannot simply contain: a quote, a
/// backslash or a control character; 0 where there is none. Bytes behind the first one may be marked, too.
#[inline(always)]
fn specials(word: u64) -> u64 {
    // A subtraction borrows from a byte's high bit exactly where the byte is too small, and from the
    // bytes above it, so that the lowest bit is always right and the others need not be. A byte that has
    // its high bit set is never special.
    let quotes = (word ^ repeat(b'"')).wrapping_sub(repeat(1));
    let backslashes = (word ^ repeat(b'\\')).wrapping_sub(repeat(1));
    let controls = word.wrapping_sub(repeat(0x20));
    (quotes | backslashes | controls) & !word & HIGH_BITS
}

fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// The offset of the first byte at or after `at` that a string cannot simply contain: a quote, a
/// backslash or a control character; the length of the text where there is none.
#[inline(always)]
pub(crate) fn find_special(text: &[u8], mut at: usize) -> usize {
    while let Some(word) = word_at(text, at) {
        let special = specials(word);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|&byte| is_special(byte)).unwrap_or(rest.len())
}

/// [`find_special`] that copies what it passes to `out`, and up to seven bytes more.
#[inline(always)]
pub(super) fn copy_to_special(text: &[u8], mut at: usize, out: &mut Vec<u8>) -> usize {
    while let Some(word) = word_at(text, at) {
        // Eight bytes are one store; a copy of any other length would be a call.
        out.extend_from_slice(&word.to_le_bytes());
        let special = specials(word);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    let length = rest.iter().position(|&byte| is_special(byte)).unwrap_or(rest.len());
    out.extend_from_slice(rest.get(..length).unwrap_or_default());
    at + length
}

/// Whether two texts are the same: eight bytes at a time, since most are too short for a call to be
/// worth the while.
#[inline]
pub fn is_same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    let words = left.iter().zip(right);
    words.map(|(l, r)| u64::from_ne_bytes(*l) ^ u64::from_ne_bytes(*r)).all(|d| d == 0)
        && left_rest.iter().zip(right_rest).all(|(l, r)| l == r)
}

/// Finds the end of the string whose first byte behind the quote is at `start`: the offset of the
/// closing quote and the kind of string.
#[inline(always)]
pub(super) fn scan_string(text: &[u8], start: usize) -> Result<(usize, Kind), SyntaxError> {
    let at = find_special(text, start);
    match text.get(at) {
        Some(b'"') => Ok((at, Kind::String)),
        _ => Ok((scan_escaped(text, at)?, Kind::EscapedString)),
    }
}

/// The rest of a string from its first special byte on, which is not its closing quote; every
/// escape is checked.
#[inline(never)]
pub(super) fn scan_escaped(text: &[u8], mut at: usize) -> Result<usize, SyntaxError> {
    loop {
        match text.get(at) {
            Some(b'"') => return Ok(at),
            Some(b'\\') => {}
            Some(_) => {
                let control = |found: Found| SyntaxErrorKind::ControlCharacter(found.0);
                return Err(SyntaxError::at(text, at, Part::String, control));
            }
            None => {
                return Err(SyntaxError::new(
                    text.len(),
                    SyntaxErrorKind::EndsInside(Part::String),
                ));
            }
        }
        match text.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
            Some(b'u') => {
                for digit in at + 2..at + 6 {
                    if !text.get(digit).is_some_and(u8::is_ascii_hexdigit) {
                        return Err(SyntaxError::at(
                            text,
                            digit,
                            Part::String,
                            SyntaxErrorKind::ExpectedHexDigit,
                        ));
                    }
                }
                at += 6;
            }
            Some(&other) => {
                return Err(SyntaxError::new(at, SyntaxErrorKind::InvalidEscape(Found(other))));
            }
            None => {
                return Err(SyntaxError::new(
                    text.len(),
                    SyntaxErrorKind::EndsInside(Part::String),
                ));
            }
        }
        // Escapes often stand together (`\r\n`, `\"`), so a byte is looked at before a word is.
        if text.get(at) != Some(&b'\\') {
            at = find_special(text, at);
        }
    }
}

/// Appends the text of a [`Kind::EscapedString`] to `out`, escapes decoded, and returns how many
/// lone surrogates were replaced by U+FFFD (R15).
///
/// `raw` is what stands between the quotes. What is appended is UTF-8 if `raw` is. An escape that
/// the parser would have refused is copied as it stands.
pub fn unescape(raw: &[u8], out: &mut Vec<u8>) -> u32 {
    out.reserve(raw.len());
    let mut num_replaced = 0;
    let mut rest = raw;
    while let Some(plain) = find_backslash(rest) {
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        let decoded = match rest.get(1) {
            Some(b'"') => b'"',
            Some(b'\\') => b'\\',
            Some(b'/') => b'/',
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            _ => {
                let (character, length) = match (code_unit(rest), rest.get(6..).and_then(code_unit))
                {
                    (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => {
                        let offset = ((u32::from(high) - 0xd800) << 10) + (u32::from(low) - 0xdc00);
                        (char::from_u32(0x1_0000 + offset), 12)
                    }
                    (Some(unit), _) => (char::from_u32(u32::from(unit)), 6),
                    (None, _) => (Some('\\'), 1),
                };
                num_replaced += u32::from(character.is_none());
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
                continue;
            }
        };
        out.push(decoded);
        rest = &rest[2..];
    }
    out.extend_from_slice(rest);
    num_replaced
}

/// The offset of the first backslash.
#[inline]
fn find_backslash(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = word_at(bytes, at) {
        let difference = word ^ repeat(b'\\');
        let backslashes = difference.wrapping_sub(repeat(1)) & !difference & HIGH_BITS;
        if backslashes != 0 {
            return Some(at + backslashes.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let tail = bytes.get(at..)?;
    tail.iter().position(|&byte| byte == b'\\').map(|found| at + found)
}

/// The UTF-16 code unit of a `\uXXXX` escape at the start of `bytes`; none where there is no such
/// escape.
fn code_unit(bytes: &[u8]) -> Option<u16> {
    let [b'\\', b'u', digits @ ..] = bytes.first_chunk::<6>()? else {
        return None;
    };
    let mut unit = 0;
    for &digit in digits {
        unit = unit << 4 | char::from(digit).to_digit(16)?;
    }
    u16::try_from(unit).ok()
}
