//! One JSON value as a flat tape of tokens: for records that the direct way does not take.
//!
//! ```text
//!  text of a record ──▶ [ tape: you are here ] ──▶ one walk over the tokens ──▶ columns
//! ```
//!
//! The tape lists the tokens of a value in the order of the text. It holds offsets, never copies,
//! so that text is decoded only where a column wants it. A scalar takes one token; a container
//! takes two, its own and an [`Kind::Extent`] right behind it:
//!
//! | kind                      | `start`                               | `end`                        |
//! |---------------------------|---------------------------------------|------------------------------|
//! | `Null` `True` `False`     | first byte                            | byte after the literal       |
//! | `Int` `Float`             | first byte                            | byte after the number        |
//! | `String` `EscapedString`  | byte after the opening quote          | the closing quote            |
//! | `Object` `Array`          | the opening bracket                   | byte after the closing one   |
//! | `Extent`                  | **index of the token** behind the container | **number** of members or elements |
//!
//! The members of an object are a key (`String` or `EscapedString`) and its value, in turn, as they
//! stand in the text: duplicate keys are all there, the walk decides (R15). `{"a":[1,2]}` is
//!
//! ```text
//!  0 Object 0..11   1 Extent → 7, 1 member    2 String "a"
//!  3 Array  5..10   4 Extent → 7, 2 elements  5 Int 1   6 Int 2
//! ```
//!
//! The grammar is RFC 8259 and nothing more: no trailing commas, no leading zeros, no `NaN`, no
//! comments. Only lone surrogate escapes pass, because R15 replaces them. Nothing recurses: an open
//! container keeps its parent in its own `Extent` until it closes, so that depth costs no stack
//! and any text is parsed or refused in linear time (R17).

use std::fmt;

use super::number::scan_number;
use super::text::{scan_string, skip_whitespace};

/// What a [`Token`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true`.
    True,
    /// `false`.
    False,
    /// A number of digits with an optional minus: no fraction, no exponent, any length.
    Int,
    /// A number with a fraction or an exponent.
    Float,
    /// A string without escapes: the bytes between the quotes are its text.
    String,
    /// A string with at least one escape, all of them valid: see [`super::text::unescape`].
    EscapedString,
    /// An object; its [`Kind::Extent`] follows, then keys and values in turn.
    Object,
    /// An array; its [`Kind::Extent`] follows, then the elements.
    Array,
    /// The second slot of an object or array: where to go on behind it, and how much is in it.
    Extent,
}

/// One token of a [`Tape`], 12 bytes; what the offsets mean depends on the kind, see the table in
/// the [module docs](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What the token stands for.
    pub kind: Kind,
    /// Byte offset into the text; of an `Extent`, the index of the token behind the container.
    pub start: u32,
    /// Byte offset into the text, exclusive; of an `Extent`, the number of members or elements.
    pub end: u32,
}

const _: () = assert!(size_of::<Token>() == 12);

impl Token {
    /// A token over `text[start..end]`. `Tape::parse` has checked that offsets fit 32 bits.
    #[inline(always)]
    fn new(kind: Kind, start: usize, end: usize) -> Self {
        Self { kind, start: start as u32, end: end as u32 }
    }

    /// The bytes the token covers: a string's text without its quotes (escapes as they stand), a
    /// container's whole JSON text. Empty for an `Extent`, and where `text` is not the text that
    /// was parsed and is too short.
    #[inline]
    #[must_use]
    pub fn bytes<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        match self.kind {
            Kind::Extent => &[],
            _ => text.get(self.start as usize..self.end as usize).unwrap_or_default(),
        }
    }
}

/// What a value may not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many containers may stand inside each other; a scalar has depth 0, `[]` has depth 1.
    pub max_depth: u32,
}

impl Default for Limits {
    /// 512 levels (R17).
    fn default() -> Self {
        Self { max_depth: 512 }
    }
}

/// Why a text is not JSON, and where.
///
/// The message leaves the offset out: it counts from the start of the text that was parsed, which
/// only the caller can turn into a place in an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct SyntaxError {
    /// Byte offset of the first byte that cannot stand where it stands; the length of the text when
    /// it ends too early.
    pub offset: usize,
    /// What is wrong there.
    pub kind: SyntaxErrorKind,
}

/// The ways in which a text can fail to be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxErrorKind {
    /// There is nothing but white space.
    #[error("expected a value, found the end")]
    Empty,
    /// The text ends inside something.
    #[error("ends in the middle of {0}")]
    EndsInside(Part),
    /// No value begins with this byte.
    #[error("expected a value, found {0}")]
    ExpectedValue(Found),
    /// An array begins with something that is neither a value nor its end.
    #[error("expected a value or `]` after `[`, found {0}")]
    ExpectedValueOrBracket(Found),
    /// An object begins with something that is neither a key nor its end.
    #[error("expected a key or `}}` after `{{`, found {0}")]
    ExpectedKeyOrBrace(Found),
    /// A comma in an object is not followed by a key.
    #[error("expected a key after `,`, found {0}")]
    ExpectedKey(Found),
    /// A key is not followed by a colon.
    #[error("expected `:` after a key, found {0}")]
    ExpectedColon(Found),
    /// A member is followed by neither a comma nor the end of its object.
    #[error("expected `,` or `}}` after a member, found {0}")]
    ExpectedCommaOrBrace(Found),
    /// An element is followed by neither a comma nor the end of its array.
    #[error("expected `,` or `]` after an element, found {0}")]
    ExpectedCommaOrBracket(Found),
    /// A word begins like a literal and is none.
    #[error("expected `{literal}`, found {found} in it")]
    ExpectedLiteral {
        /// The literal the word begins like.
        literal: &'static str,
        /// The first byte that differs.
        found: Found,
    },
    /// A number such as `01`.
    #[error("number with a leading zero")]
    LeadingZero,
    /// A minus, decimal point or exponent without digits.
    #[error("expected a digit in a number, found {0}")]
    ExpectedDigit(Found),
    /// A byte below U+0020 in a string; JSON wants it escaped.
    #[error("control character U+{0:04X} in a string")]
    ControlCharacter(u8),
    /// A backslash followed by a byte that makes no escape.
    #[error("invalid escape {}", Escape(*.0))]
    InvalidEscape(Found),
    /// A `\u` escape without its four hexadecimal digits.
    #[error("expected four hexadecimal digits after `\\u`, found {0}")]
    ExpectedHexDigit(Found),
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// More containers inside each other than [`Limits::max_depth`].
    #[error("nested deeper than {max_depth} levels (--max-depth)")]
    TooDeep {
        /// The limit.
        max_depth: u32,
    },
    /// The text is beyond what 32-bit offsets reach.
    #[error("text of 4 GiB or more")]
    TooLong,
}

/// What a text can end in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// An object.
    Object,
    /// An array.
    Array,
    /// A string, as a key or as a value.
    String,
    /// A number.
    Number,
    /// `null`, `true` or `false`.
    Literal,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Literal => "a literal",
        })
    }
}

/// The byte that stood in the way; shown as the character where it is printable ASCII, as the code
/// point where it is a control character, else as the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found(pub u8);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            byte @ 0x20..=0x7e => write!(f, "`{}`", char::from(byte)),
            byte @ (0x00..=0x1f | 0x7f) => write!(f, "U+{byte:04X}"),
            byte => write!(f, "byte 0x{byte:02X}"),
        }
    }
}

/// An escape as it is shown in a message: `` `\q` ``.
struct Escape(Found);

impl fmt::Display for Escape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.0 {
            byte @ 0x21..=0x7e => write!(f, "`\\{}`", char::from(byte)),
            _ => write!(f, "`\\` before {}", self.0),
        }
    }
}

impl SyntaxError {
    /// `expected(found)` when there is a byte at `offset`, else an end inside `part`.
    #[cold]
    pub(super) fn at(
        text: &[u8],
        offset: usize,
        part: Part,
        expected: impl FnOnce(Found) -> SyntaxErrorKind,
    ) -> Self {
        let kind = match text.get(offset) {
            Some(&byte) => expected(Found(byte)),
            None => SyntaxErrorKind::EndsInside(part),
        };
        Self { offset: offset.min(text.len()), kind }
    }

    #[cold]
    pub(super) fn new(offset: usize, kind: SyntaxErrorKind) -> Self {
        Self { offset, kind }
    }
}

/// The tokens of one value; kept and filled again for the next one, so that a warm tape allocates
/// nothing.
///
/// Memory: 12 bytes a token, for typical API records about as much as half of the text, at most 12
/// bytes per byte of text.
#[derive(Debug, Default)]
pub struct Tape {
    tokens: Vec<Token>,
}

impl Tape {
    /// An empty tape.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses the value at byte `start` of `text`, white space before it skipped, and returns the
    /// byte offset behind it; what may follow there is up to the caller.
    ///
    /// The bytes of the value are checked to be UTF-8; where the whole text is known to be,
    /// [`Tape::parse_str`] saves that.
    ///
    /// # Errors
    ///
    /// The first byte at which the text is not JSON, not UTF-8 or over a limit. The tape is empty
    /// then.
    pub fn parse(
        &mut self,
        text: &[u8],
        start: usize,
        limits: Limits,
    ) -> Result<usize, SyntaxError> {
        let parsed = parse_tokens(&mut self.tokens, text, start, limits);
        let reached = match &parsed {
            Ok(end) => *end,
            Err(error) => error.offset,
        };
        let value = text.get(start..reached).unwrap_or_default();
        let result = match simdutf8::basic::from_utf8(value) {
            Ok(_) => parsed,
            Err(_) => not_utf8(value, start).and(parsed),
        };
        self.empty_on_error(result)
    }

    /// [`Tape::parse`] for text that is known to be UTF-8, so that a whole block is checked once.
    ///
    /// # Errors
    ///
    /// The first byte at which the text is not JSON or over a limit. The tape is empty then.
    pub fn parse_str(
        &mut self,
        text: &str,
        start: usize,
        limits: Limits,
    ) -> Result<usize, SyntaxError> {
        let parsed = parse_tokens(&mut self.tokens, text.as_bytes(), start, limits);
        self.empty_on_error(parsed)
    }

    fn empty_on_error(&mut self, result: Result<usize, SyntaxError>) -> Result<usize, SyntaxError> {
        if result.is_err() {
            self.tokens.clear();
        }
        result
    }

    /// The tokens of the value parsed last; the first one is the value itself.
    #[inline]
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The index of the token behind the value at `index`: behind everything in it, for a
    /// container.
    #[inline]
    #[must_use]
    pub fn after(&self, index: usize) -> usize {
        match self.tokens.get(index + 1) {
            Some(extent) if extent.kind == Kind::Extent => extent.start as usize,
            _ => index + 1,
        }
    }

    /// The number of members or elements of the container at `index`; 0 for a scalar.
    #[inline]
    #[must_use]
    pub fn count(&self, index: usize) -> u32 {
        match self.tokens.get(index + 1) {
            Some(extent) if extent.kind == Kind::Extent => extent.end,
            _ => 0,
        }
    }
}

/// The error at the first byte of `value` that is not UTF-8. A character that is merely cut off
/// by the end of `value` is none: what stopped the parser there is the error.
#[cold]
fn not_utf8(value: &[u8], start: usize) -> Result<(), SyntaxError> {
    match simdutf8::compat::from_utf8(value) {
        Err(error) if error.error_len().is_some() => {
            Err(SyntaxError::new(start + error.valid_up_to(), SyntaxErrorKind::NotUtf8))
        }
        _ => Ok(()),
    }
}

/// Stands for the parent of the outermost container.
const NO_PARENT: u32 = u32::MAX;

/// The innermost container that is still open.
#[derive(Clone, Copy)]
struct Open {
    /// Index of its token.
    index: u32,
    /// Members or elements that are complete.
    count: u32,
    is_object: bool,
}

/// The parser proper: a loop with two places, before a value and behind one.
fn parse_tokens(
    tokens: &mut Vec<Token>,
    text: &[u8],
    start: usize,
    limits: Limits,
) -> Result<usize, SyntaxError> {
    use SyntaxErrorKind as E;

    tokens.clear();
    if u32::try_from(text.len()).is_err() {
        return Err(SyntaxError::new(start, E::TooLong));
    }
    let mut open = Open { index: NO_PARENT, count: 0, is_object: false };
    let mut depth = 0;
    let mut at = skip_whitespace(text, start);
    'value: loop {
        let byte = match text.get(at) {
            Some(&byte) => byte,
            None => return Err(ends_before_value(text, open)),
        };
        match byte {
            b'"' => {
                let (end, kind) = scan_string(text, at + 1)?;
                tokens.push(Token::new(kind, at + 1, end));
                at = end + 1;
            }
            b'-' | b'0'..=b'9' => {
                let (end, kind) = scan_number(text, at)?;
                tokens.push(Token::new(kind, at, end));
                at = end;
            }
            b'{' | b'[' => {
                let is_object = byte == b'{';
                if depth == limits.max_depth {
                    return Err(SyntaxError::new(at, E::TooDeep { max_depth: depth }));
                }
                let index = match u32::try_from(tokens.len()) {
                    Ok(index) if index < NO_PARENT => index,
                    _ => return Err(SyntaxError::new(at, E::TooLong)),
                };
                let kind = if is_object { Kind::Object } else { Kind::Array };
                tokens.push(Token::new(kind, at, at));
                // Until it is closed, the extent holds what must be known of the parent by then.
                tokens.push(Token { kind: Kind::Extent, start: open.index, end: open.count });
                let inside = skip_whitespace(text, at + 1);
                match (text.get(inside), is_object) {
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        at = inside + 1;
                        let behind = tokens.len();
                        tokens[index as usize].end = at as u32;
                        tokens[index as usize + 1] = Token::new(Kind::Extent, behind, 0);
                    }
                    (found, true) => {
                        open = Open { index, count: 0, is_object };
                        depth += 1;
                        if found != Some(&b'"') {
                            return Err(SyntaxError::at(
                                text,
                                inside,
                                Part::Object,
                                E::ExpectedKeyOrBrace,
                            ));
                        }
                        at = scan_key(tokens, text, inside)?;
                        continue 'value;
                    }
                    (found, false) => {
                        open = Open { index, count: 0, is_object };
                        depth += 1;
                        if matches!(found, Some(b',' | b'}' | b':')) {
                            return Err(SyntaxError::at(
                                text,
                                inside,
                                Part::Array,
                                E::ExpectedValueOrBracket,
                            ));
                        }
                        at = inside;
                        continue 'value;
                    }
                }
            }
            b't' => at = scan_literal(tokens, text, at, Kind::True, "true")?,
            b'f' => at = scan_literal(tokens, text, at, Kind::False, "false")?,
            b'n' => at = scan_literal(tokens, text, at, Kind::Null, "null")?,
            other => return Err(SyntaxError::new(at, E::ExpectedValue(Found(other)))),
        }
        // Behind a value: the next one, or the ends of one or more containers.
        loop {
            if depth == 0 {
                return Ok(at);
            }
            open.count += 1;
            at = skip_whitespace(text, at);
            match (text.get(at), open.is_object) {
                (Some(b','), false) => {
                    at = skip_whitespace(text, at + 1);
                    continue 'value;
                }
                (Some(b','), true) => {
                    at = skip_whitespace(text, at + 1);
                    if text.get(at) != Some(&b'"') {
                        return Err(SyntaxError::at(text, at, Part::Object, E::ExpectedKey));
                    }
                    at = scan_key(tokens, text, at)?;
                    continue 'value;
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    at += 1;
                    open = close(tokens, open, at);
                    depth -= 1;
                }
                (_, true) => {
                    return Err(SyntaxError::at(text, at, Part::Object, E::ExpectedCommaOrBrace));
                }
                (_, false) => {
                    return Err(SyntaxError::at(text, at, Part::Array, E::ExpectedCommaOrBracket));
                }
            }
        }
    }
}

/// Completes the two tokens of a container that ends before byte `end`, and returns its parent.
#[inline(always)]
fn close(tokens: &mut [Token], open: Open, end: usize) -> Open {
    let index = open.index as usize;
    let behind = tokens.len();
    tokens[index].end = end as u32;
    let parent = tokens[index + 1];
    tokens[index + 1] = Token { kind: Kind::Extent, start: behind as u32, end: open.count };
    let is_object =
        tokens.get(parent.start as usize).is_some_and(|token| token.kind == Kind::Object);
    Open { index: parent.start, count: parent.end, is_object }
}

/// Takes the key whose opening quote is at `at`, and its colon; returns where the value begins.
#[inline(always)]
fn scan_key(tokens: &mut Vec<Token>, text: &[u8], at: usize) -> Result<usize, SyntaxError> {
    let (end, kind) = scan_string(text, at + 1)?;
    tokens.push(Token::new(kind, at + 1, end));
    let colon = skip_whitespace(text, end + 1);
    if text.get(colon) != Some(&b':') {
        return Err(SyntaxError::at(text, colon, Part::Object, SyntaxErrorKind::ExpectedColon));
    }
    Ok(skip_whitespace(text, colon + 1))
}

/// Takes the literal at `at`; returns the byte behind it.
#[inline(always)]
fn scan_literal(
    tokens: &mut Vec<Token>,
    text: &[u8],
    at: usize,
    kind: Kind,
    literal: &'static str,
) -> Result<usize, SyntaxError> {
    let end = at + literal.len();
    if text.get(at..end) != Some(literal.as_bytes()) {
        return Err(misspelled(text, at, literal));
    }
    tokens.push(Token::new(kind, at, end));
    Ok(end)
}

/// The error at the first byte that differs from `literal`.
#[cold]
fn misspelled(text: &[u8], at: usize, literal: &'static str) -> SyntaxError {
    let rest = text.get(at..).unwrap_or_default();
    let same =
        rest.iter().zip(literal.as_bytes()).take_while(|(found, wanted)| found == wanted).count();
    SyntaxError::at(text, at + same, Part::Literal, |found| SyntaxErrorKind::ExpectedLiteral {
        literal,
        found,
    })
}

/// The error of a text that ends where a value should begin.
#[cold]
fn ends_before_value(text: &[u8], open: Open) -> SyntaxError {
    let kind = match open {
        Open { index: NO_PARENT, .. } => SyntaxErrorKind::Empty,
        Open { is_object: true, .. } => SyntaxErrorKind::EndsInside(Part::Object),
        Open { is_object: false, .. } => SyntaxErrorKind::EndsInside(Part::Array),
    };
    SyntaxError::new(text.len(), kind)
}

#[cfg(test)]
#[path = "tape_tests.rs"]
mod tests;
