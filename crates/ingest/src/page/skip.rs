//! Follows the structure of one JSON value, a byte never twice, and copies nothing.
//!
//! Strings, brackets and punctuation are checked; of a number or literal only its first byte is, so that `NaN`
//! passes and the engine sets the record aside (trap 18). Nesting costs one bit a level: no recursion, no
//! allocation.

/// Levels of nesting in a whole document, beyond which it is refused.
pub(super) const MAX_DEPTH: usize = 512;

/// What a [`Skipper`] says about the bytes it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// All bytes are used, and the value goes on.
    More,
    /// The value ends where the used bytes end.
    Done,
    /// The last used byte is a line break between tokens.
    BreakBetween,
    /// The last used byte is a raw line break inside a string; behind a backslash or not.
    BreakInText {
        /// Whether a backslash is right before it.
        is_escaped: bool,
    },
    /// The byte behind the used bytes cannot be there.
    Unexpected {
        /// What had to come.
        expected: &'static str,
    },
    /// The byte behind the used bytes opens one level too many.
    TooDeep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    FirstElement,
    FirstKey,
    Key,
    Colon,
    Next,
    KeyText,
    KeyEscape,
    Text,
    Escape,
    Scalar,
}

/// Finds the end of one value over any number of chunks.
#[derive(Debug)]
pub(super) struct Skipper {
    /// One bit for each open bracket, 1 for an object.
    kinds: [u64; MAX_DEPTH / 64],
    depth: usize,
    max_depth: usize,
    state: State,
}

/// Whether `byte` is JSON white space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Whether a number or literal, valid or as good as (`NaN`, `+1`, `.5`), can start with `byte`.
fn starts_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_')
}

/// Whether a number or literal ends before `byte`.
fn ends_scalar(byte: u8) -> bool {
    is_space(byte) || matches!(byte, b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']')
}

impl Skipper {
    /// A skipper before the first byte of a value that may have `max_depth` levels (at most [`MAX_DEPTH`]).
    pub(super) fn new(max_depth: usize) -> Self {
        Self {
            kinds: [0; MAX_DEPTH / 64],
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            state: State::Value,
        }
    }

    /// Forgets the value: the next byte is the first of another one.
    pub(super) fn restart(&mut self, max_depth: usize) {
        self.depth = 0;
        self.max_depth = max_depth.min(MAX_DEPTH);
        self.state = State::Value;
    }

    /// Whether the value is whole when no byte follows: a number or literal outside of brackets.
    pub(super) fn is_whole_at_end(&self) -> bool {
        self.state == State::Scalar && self.depth == 0
    }

    /// What has to come next.
    pub(super) fn expected(&self) -> &'static str {
        match self.state {
            State::Value => "a value",
            State::FirstElement => "a value or `]`",
            State::FirstKey => "a key or `}`",
            State::Key => "a key",
            State::Colon => "`:`",
            State::KeyText | State::KeyEscape | State::Text | State::Escape => "a closing quote",
            State::Next | State::Scalar if self.in_object() => "`,` or `}`",
            State::Next | State::Scalar => "`,` or `]`",
        }
    }

    /// Goes over `bytes[from..]`, which follow those of the calls before, until something is to be said; returns
    /// where that is. The byte behind a number or literal outside of brackets is not used.
    #[inline]
    pub(super) fn scan(&mut self, bytes: &[u8], from: usize) -> (usize, Event) {
        let mut at = from;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::Text | State::KeyText => {
                    at = text_end(bytes, at);
                    let Some(&byte) = bytes.get(at) else { break };
                    at += 1;
                    let is_key = self.state == State::KeyText;
                    match byte {
                        b'"' if is_key => self.state = State::Colon,
                        b'"' => {
                            self.state = State::Next;
                            if self.depth == 0 {
                                return (at, Event::Done);
                            }
                        }
                        b'\\' if is_key => self.state = State::KeyEscape,
                        b'\\' => self.state = State::Escape,
                        b'\n' | b'\r' => {
                            return (at, Event::BreakInText { is_escaped: false });
                        }
                        _ => {}
                    }
                }
                State::Escape | State::KeyEscape => {
                    at += 1;
                    let is_key = self.state == State::KeyEscape;
                    self.state = if is_key { State::KeyText } else { State::Text };
                    if matches!(byte, b'\n' | b'\r') {
                        return (at, Event::BreakInText { is_escaped: true });
                    }
                }
                State::Scalar => {
                    if !ends_scalar(byte) {
                        at += 1;
                        continue;
                    }
                    self.state = State::Next;
                    if self.depth == 0 {
                        return (at, Event::Done);
                    }
                }
                _ if is_space(byte) => {
                    at += 1;
                    if byte == b'\n' || byte == b'\r' {
                        return (at, Event::BreakBetween);
                    }
                }
                _ => match self.token(byte) {
                    None => at += 1,
                    Some(Event::Done) => return (at + 1, Event::Done),
                    Some(event) => return (at, event),
                },
            }
        }
        (at, Event::More)
    }

    /// One byte between tokens that is no space.
    #[inline]
    fn token(&mut self, byte: u8) -> Option<Event> {
        match (self.state, byte) {
            (State::Key | State::FirstKey, b'"') => self.state = State::KeyText,
            (State::Colon, b':') => self.state = State::Value,
            (State::Next, b',') => {
                self.state = if self.in_object() { State::Key } else { State::Value };
            }
            (State::Next | State::FirstKey, b'}') if self.in_object() => return self.close(),
            (State::Next | State::FirstElement, b']') if !self.in_object() => return self.close(),
            (State::Value | State::FirstElement, _) => match byte {
                b'"' => self.state = State::Text,
                b'{' | b'[' => return self.open(byte == b'{'),
                _ if starts_scalar(byte) => self.state = State::Scalar,
                _ => return Some(Event::Unexpected { expected: self.expected() }),
            },
            _ => return Some(Event::Unexpected { expected: self.expected() }),
        }
        None
    }

    fn open(&mut self, is_object: bool) -> Option<Event> {
        if self.depth >= self.max_depth {
            return Some(Event::TooDeep);
        }
        let (word, bit) = (self.depth / 64, self.depth % 64);
        self.kinds[word] = self.kinds[word] & !(1 << bit) | u64::from(is_object) << bit;
        self.depth += 1;
        self.state = if is_object { State::FirstKey } else { State::FirstElement };
        None
    }

    fn close(&mut self) -> Option<Event> {
        self.depth -= 1;
        self.state = State::Next;
        (self.depth == 0).then_some(Event::Done)
    }

    fn in_object(&self) -> bool {
        let Some(top) = self.depth.checked_sub(1) else { return false };
        self.kinds[top / 64] >> (top % 64) & 1 == 1
    }
}

/// The end of the value that starts at `from` in `bytes`, when there is a whole one.
pub(super) fn value_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut skipper = Skipper::new(MAX_DEPTH);
    let mut at = from;
    loop {
        let (used, event) = skipper.scan(bytes, at);
        at = used;
        match event {
            Event::Done => return Some(at),
            Event::More => return skipper.is_whole_at_end().then_some(at),
            Event::BreakBetween | Event::BreakInText { .. } => {}
            Event::Unexpected { .. } | Event::TooDeep => return None,
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The next quote, backslash or control character inside a string, or the end of `bytes`.
#[inline]
fn text_end(bytes: &[u8], from: usize) -> usize {
    /// Words looked at before a search over vectors pays for its start.
    const NEAR_WORDS: usize = 8;
    let mut at = from;
    let (words, _) = bytes[from..].as_chunks::<8>();
    for word in words.iter().take(NEAR_WORDS) {
        let word = u64::from_le_bytes(*word);
        // The lowest bit set is exact; those above it may be borrows (Hacker's Delight, 6-1).
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        let hits = (quote.wrapping_sub(ONES) & !quote
            | backslash.wrapping_sub(ONES) & !backslash
            | word.wrapping_sub(ONES * 0x20) & !word)
            & HIGHS;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    if words.len() > NEAR_WORDS {
        let rest = &bytes[at..];
        let end = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        return at + memchr::memchr2(b'\n', b'\r', &rest[..end]).unwrap_or(end);
    }
    let rest = &bytes[at..];
    let is_end = |&byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    at + rest.iter().position(is_end).unwrap_or(rest.len())
}
