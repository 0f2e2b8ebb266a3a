//! Cuts XML into pieces of markup and text, and takes these apart.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem;

/// What a piece of XML is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text up to the next markup.
    Text,
    /// `<name …>` or `<name …/>`.
    Start,
    /// `</name>`.
    End,
    /// `<![CDATA[…]]>`.
    Verbatim,
    /// `<?…?>`.
    Instruction,
    /// `<!--…-->`.
    Comment,
    /// `<!DOCTYPE`, and whatever else starts so.
    Declaration,
}

/// Bytes that are not cut yet.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    /// Where the next piece starts.
    start: usize,
    /// Bytes of it that were looked at.
    num_seen: usize,
    /// The quote that is open in a tag.
    quote: Option<u8>,
}

const VERBATIM: &[u8] = b"<![CDATA[";
const COMMENT: &[u8] = b"<!--";

impl Pieces {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(chunk);
    }

    /// Bytes of a piece that has not ended.
    pub(super) fn num_waiting(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// What is left when no byte follows.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The next whole piece.
    pub(super) fn cut(&mut self) -> Option<(Kind, Vec<u8>)> {
        let bytes = &self.bytes[self.start..];
        let kind = kind(bytes)?;
        let seen = self.num_seen;
        let ends_with = |end: &[u8], from: usize| {
            let from = from.max(seen.saturating_sub(end.len() - 1)).min(bytes.len());
            memmem::find(&bytes[from..], end).map(|at| from + at + end.len())
        };
        let end = match kind {
            Kind::Text => memchr::memchr(b'<', &bytes[seen..]).map(|at| seen + at),
            Kind::Comment => ends_with(b"-->", COMMENT.len()),
            Kind::Verbatim => ends_with(b"]]>", VERBATIM.len()),
            Kind::Instruction => ends_with(b"?>", 2),
            Kind::End => ends_with(b">", 2),
            Kind::Declaration => Some(2),
            Kind::Start => tag_end(bytes, seen, &mut self.quote),
        };
        let Some(end) = end else {
            self.num_seen = bytes.len();
            return None;
        };
        let piece = bytes[..end].to_vec();
        self.start += end;
        self.num_seen = 0;
        self.quote = None;
        Some((kind, piece))
    }
}

/// What the bytes start with, once enough of them are there.
fn kind(bytes: &[u8]) -> Option<Kind> {
    match bytes {
        [] | b"<" => None,
        [b'<', b'/', ..] => Some(Kind::End),
        [b'<', b'?', ..] => Some(Kind::Instruction),
        [b'<', b'!', ..] => {
            if bytes.starts_with(COMMENT) {
                Some(Kind::Comment)
            } else if bytes.starts_with(VERBATIM) {
                Some(Kind::Verbatim)
            } else if COMMENT.starts_with(bytes) || VERBATIM.starts_with(bytes) {
                None
            } else {
                Some(Kind::Declaration)
            }
        }
        [b'<', ..] => Some(Kind::Start),
        _ => Some(Kind::Text),
    }
}

/// Behind the `>` that is in no quotes.
fn tag_end(bytes: &[u8], from: usize, quote: &mut Option<u8>) -> Option<usize> {
    for (at, &byte) in bytes.iter().enumerate().skip(from) {
        match (*quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => *quote = Some(byte),
            (Some(open), _) if open == byte => *quote = None,
            _ => {}
        }
    }
    None
}

/// A start tag, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    /// Names and values without references, in the order of the tag.
    pub(super) attributes: Vec<(&'a str, String)>,
    /// Whether it is its own end: `<name/>`.
    pub(super) is_empty: bool,
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// Takes `<name a="b">` apart.
pub(super) fn tag(piece: &str) -> Result<Tag<'_>, &'static str> {
    let inner = &piece[1..piece.len() - 1];
    let (inner, is_empty) = match inner.strip_suffix('/') {
        Some(inner) => (inner, true),
        None => (inner, false),
    };
    let name_end = inner.find(SPACES).unwrap_or(inner.len());
    let (name, mut rest) = inner.split_at(name_end);
    check_name(name)?;
    let (mut attributes, mut names) = (Vec::new(), HashSet::new());
    loop {
        let trimmed = rest.trim_start_matches(SPACES);
        if trimmed.is_empty() {
            return Ok(Tag { name, attributes, is_empty });
        }
        if trimmed.len() == rest.len() {
            return Err("expected a space before an attribute");
        }
        let (key, behind) = trimmed.split_once('=').ok_or("expected `=` behind an attribute")?;
        let key = key.trim_end_matches(SPACES);
        check_name(key)?;
        let behind = behind.trim_start_matches(SPACES);
        let quote = behind.chars().next().filter(|found| matches!(found, '"' | '\''));
        let quote = quote.ok_or("expected a quote behind an attribute's `=`")?;
        let (value, behind) =
            behind[1..].split_once(quote).ok_or("expected a closing quote of an attribute")?;
        if value.contains('<') {
            return Err("`<` in an attribute's value");
        }
        if !names.insert(key) {
            return Err("two attributes of one name");
        }
        // XML 1.0, 3.3.3: white space becomes spaces, but where a reference wrote it.
        let value = value.replace("\r\n", " ").replace(SPACES, " ");
        attributes.push((key, resolve(&value)?.into_owned()));
        rest = behind;
    }
}

pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    let is_wrong = |found: char| "\"'<>=&/!?".contains(found) || found.is_whitespace();
    if name.is_empty() || name.contains(is_wrong) { Err("expected a name") } else { Ok(()) }
}

/// A text with its references resolved: the five of XML and characters by number, no others.
pub(super) fn resolve(text: &str) -> Result<Cow<'_, str>, &'static str> {
    let text = line_feeds(text);
    if !text.contains('&') {
        return Ok(text);
    }
    let mut resolved = String::with_capacity(text.len());
    let mut rest: &str = &text;
    while let Some((before, behind)) = rest.split_once('&') {
        resolved.push_str(before);
        let (name, behind) = behind.split_once(';').ok_or("expected `;` behind a reference")?;
        resolved.push(reference(name)?);
        rest = behind;
    }
    resolved.push_str(rest);
    Ok(Cow::Owned(resolved))
}

/// XML 1.0, 2.11: all line ends are line feeds.
pub(super) fn line_feeds(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

fn reference(name: &str) -> Result<char, &'static str> {
    let code = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => match name.strip_prefix("#x") {
            Some(digits) => digits_value(digits, 16),
            None => name.strip_prefix('#').and_then(|digits| digits_value(digits, 10)),
        },
    };
    let character = code.filter(|&code| code != 0).and_then(char::from_u32);
    character.ok_or("a reference that is none of XML's own")
}

fn digits_value(digits: &str, radix: u32) -> Option<u32> {
    // The standard parser would take a sign.
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    is_number.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
}
