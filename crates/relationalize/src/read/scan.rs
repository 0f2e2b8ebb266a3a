//! Follows the structure of one JSON value over a growing buffer, without looking at a byte twice.
//!
//! The scanner knows strings, brackets and punctuation; what a scalar holds is the business of the
//! record's parser. It tells two kinds of fault apart:
//!
//! | event | when | what the framing can still do |
//! |---|---|---|
//! | [`Event::Doubt`] | punctuation out of place, a line break inside a string, nested too deep | brackets still balance, so the value has an end; told once for each value |
//! | [`Event::Broken`] | a bracket closes one of the other kind | the value has no end |
//!
//! Time is linear, nesting costs one bit for each level, and there is no recursion (R17).

use memchr::memchr3;

#[cfg(test)]
mod tests;

/// Levels after which a value is given up, so that brackets alone cannot fill the memory.
const MAX_TRACKED_DEPTH: usize = 1 << 20;

/// What the scanner says about the bytes it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// All bytes are used and the value goes on.
    More,
    /// The value ends where the used bytes end.
    Done,
    /// The last used byte makes the value invalid, its end can still be found.
    Doubt(Fault),
    /// The last used byte leaves the value without an end.
    Broken(Fault),
}

/// What is wrong in the structure of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A byte where something else had to come.
    Unexpected {
        /// What had to come.
        expected: &'static str,
        /// The byte that came.
        found: u8,
    },
    /// A bracket that closes one of the other kind.
    Mismatched {
        /// The closing bracket.
        found: u8,
    },
    /// A line break inside a string.
    BrokenText,
    /// More levels than allowed.
    TooDeep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Before the first byte of the value, or between its tokens.
    Between,
    /// Inside a string.
    Text,
    /// Inside a string, behind a backslash.
    Escape,
    /// Inside a number, a literal or garbage.
    Scalar,
}

/// What may come next, as a set.
const VALUE: u8 = 1;
const KEY: u8 = 2;
const COLON: u8 = 4;
const COMMA: u8 = 8;
const END: u8 = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Space,
    Quote,
    Open,
    Close,
    Comma,
    Colon,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    classes[b' ' as usize] = Class::Space;
    classes[b'\t' as usize] = Class::Space;
    classes[b'\r' as usize] = Class::Space;
    classes[b'\n' as usize] = Class::Space;
    classes[b'"' as usize] = Class::Quote;
    classes[b'{' as usize] = Class::Open;
    classes[b'[' as usize] = Class::Open;
    classes[b'}' as usize] = Class::Close;
    classes[b']' as usize] = Class::Close;
    classes[b',' as usize] = Class::Comma;
    classes[b':' as usize] = Class::Colon;
    classes
};

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// Whether `byte` is JSON white space.
pub(crate) fn is_space(byte: u8) -> bool {
    class(byte) == Class::Space
}

/// Whether `byte` can be the first of a value, or of the garbage in its place.
pub(crate) fn starts_value(byte: u8) -> bool {
    matches!(class(byte), Class::Other | Class::Quote | Class::Open)
}

/// Finds the end of one value at a time; see the module for its rules.
#[derive(Debug)]
pub(crate) struct Scanner {
    /// One bit for each open bracket, 1 for an object.
    kinds: Vec<u64>,
    depth: usize,
    max_depth: usize,
    in_object: bool,
    allowed: u8,
    mode: Mode,
    doubted: bool,
    too_deep: bool,
}

impl Scanner {
    /// A scanner that doubts values of more than `max_depth` levels.
    pub(crate) fn new(max_depth: usize) -> Self {
        Self {
            kinds: Vec::new(),
            depth: 0,
            max_depth,
            in_object: false,
            allowed: VALUE,
            mode: Mode::Between,
            doubted: false,
            too_deep: false,
        }
    }

    /// Forgets the value: the next byte given is the first of another one.
    pub(crate) fn restart(&mut self) {
        self.depth = 0;
        self.in_object = false;
        self.allowed = VALUE;
        self.mode = Mode::Between;
        self.doubted = false;
        self.too_deep = false;
    }

    /// Whether a fault was found in the value.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Whether the value has more levels than allowed.
    pub(crate) fn is_too_deep(&self) -> bool {
        self.too_deep
    }

    /// Whether the value is whole when no byte follows: true for a scalar outside of brackets.
    pub(crate) fn is_whole_at_end(&self) -> bool {
        self.mode == Mode::Scalar && self.depth == 0
    }

    /// Goes over `bytes`, which follow the bytes of the calls before, until something is to be said.
    ///
    /// Returns how many of them were used. The byte behind a top-level scalar is not used. After
    /// [`Event::Done`] and [`Event::Broken`], [`Scanner::restart`] comes first.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> (usize, Event) {
        let mut at = 0;
        loop {
            match self.mode {
                Mode::Text => {
                    at = text_end(bytes, at);
                    match bytes.get(at) {
                        None => return (at, Event::More),
                        Some(b'"') => {
                            at += 1;
                            self.mode = Mode::Between;
                            if self.depth == 0 {
                                return (at, Event::Done);
                            }
                        }
                        Some(b'\\') => {
                            at += 1;
                            self.mode = Mode::Escape;
                        }
                        Some(_) => {
                            at += 1;
                            if let Some(event) = self.doubt(Fault::BrokenText) {
                                return (at, event);
                            }
                        }
                    }
                }
                Mode::Escape => {
                    let Some(&byte) = bytes.get(at) else {
                        return (at, Event::More);
                    };
                    at += 1;
                    self.mode = Mode::Text;
                    if byte == b'\n'
                        && let Some(event) = self.doubt(Fault::BrokenText)
                    {
                        return (at, event);
                    }
                }
                Mode::Scalar => {
                    while bytes.get(at).is_some_and(|&byte| class(byte) == Class::Other) {
                        at += 1;
                    }
                    if at == bytes.len() {
                        return (at, Event::More);
                    }
                    self.mode = Mode::Between;
                    if self.depth == 0 {
                        return (at, Event::Done);
                    }
                }
                Mode::Between => {
                    let (used, event) = self.between(bytes, at);
                    at = used;
                    if let Some(event) = event {
                        return (at, event);
                    }
                }
            }
        }
    }

    /// Punctuation and the first bytes of strings and scalars, until the mode changes.
    fn between(&mut self, bytes: &[u8], mut at: usize) -> (usize, Option<Event>) {
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            let fault = match class(byte) {
                Class::Space => continue,
                Class::Quote => {
                    let event = self.token(VALUE | KEY, byte);
                    self.allowed = if self.allowed & KEY == 0 { COMMA | END } else { COLON };
                    self.mode = Mode::Text;
                    return (at, event);
                }
                Class::Other => {
                    let event = self.token(VALUE, byte);
                    self.allowed = COMMA | END;
                    self.mode = Mode::Scalar;
                    return (at, event);
                }
                Class::Comma => {
                    let fault = self.token(COMMA, byte);
                    self.allowed = if self.in_object { KEY } else { VALUE };
                    fault
                }
                Class::Colon => {
                    let fault = self.token(COLON, byte);
                    self.allowed = VALUE;
                    fault
                }
                Class::Open => {
                    let fault = self.token(VALUE, byte);
                    if self.depth == MAX_TRACKED_DEPTH {
                        self.too_deep = true;
                        return (at, Some(Event::Broken(Fault::TooDeep)));
                    }
                    self.open(byte == b'{');
                    if self.depth > self.max_depth {
                        self.too_deep = true;
                        fault.or_else(|| self.doubt(Fault::TooDeep))
                    } else {
                        fault
                    }
                }
                Class::Close => {
                    if self.depth == 0 || self.in_object != (byte == b'}') {
                        return (at, Some(Event::Broken(Fault::Mismatched { found: byte })));
                    }
                    let fault = self.token(END, byte);
                    self.close();
                    // A fault in the last byte is no news: the parser of the record finds it.
                    if self.depth == 0 {
                        return (at, Some(Event::Done));
                    }
                    fault
                }
            };
            if fault.is_some() {
                return (at, fault);
            }
        }
        (at, Some(Event::More))
    }

    fn open(&mut self, object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.kinds.len() {
            self.kinds.push(0);
        }
        if object {
            self.kinds[word] |= 1 << bit;
        } else {
            self.kinds[word] &= !(1 << bit);
        }
        self.depth += 1;
        self.in_object = object;
        self.allowed = if object { KEY | END } else { VALUE | END };
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.allowed = COMMA | END;
        if self.depth > 0 {
            let top = self.depth - 1;
            self.in_object = self.kinds[top / 64] >> (top % 64) & 1 == 1;
        }
    }

    fn token(&mut self, kind: u8, found: u8) -> Option<Event> {
        if self.allowed & kind != 0 {
            return None;
        }
        let expected = expectation(self.allowed, self.in_object);
        self.doubt(Fault::Unexpected { expected, found })
    }

    /// The event for `fault` when it is the first of the value.
    #[cold]
    fn doubt(&mut self, fault: Fault) -> Option<Event> {
        if self.doubted {
            return None;
        }
        self.doubted = true;
        Some(Event::Doubt(fault))
    }
}

fn expectation(allowed: u8, in_object: bool) -> &'static str {
    if allowed & VALUE != 0 {
        "a value"
    } else if allowed & KEY != 0 {
        "a key"
    } else if allowed & COLON != 0 {
        "`:`"
    } else if in_object {
        "`,` or `}`"
    } else {
        "`,` or `]`"
    }
}

/// The next byte that matters inside a string, or the end of `bytes`.
fn text_end(bytes: &[u8], from: usize) -> usize {
    // Most keys and many values are shorter than what a vector search costs to set up.
    let near = bytes.len().min(from + 16);
    for (index, &byte) in bytes[from..near].iter().enumerate() {
        if matches!(byte, b'"' | b'\\' | b'\n') {
            return from + index;
        }
    }
    memchr3(b'"', b'\\', b'\n', &bytes[near..]).map_or(bytes.len(), |index| near + index)
}
