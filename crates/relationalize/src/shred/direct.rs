//! The direct way of a record into columns: text is looked at once, and no tape lies in between.
//!
//! ```text
//!   text ──▶ [ direct: you are here ] ──▶ columns        nearly all records
//!     └─────▶ tape ──▶ walk ────────────▶ columns        those that are bad, or repeat a key
//! ```
//!
//! Records of an API look alike, so that a key is compared with the one that stood here before instead of
//! being searched for. Whatever is unusual is a [`Detour`]: what the record added is taken back, and it goes
//! by the tape, which knows what is wrong and where, and drops keys that come twice (R15). Values under a
//! rule (R10, R14) go by a tape of their own. Both ways put the same into the same columns, as a property
//! test holds them to.

use crate::shape::{Kinds, Plan};

use super::column::Scalar;
use super::number::{MAX_SMALL_DIGITS, scan_number, short_float};
use super::tape::{Kind, Limits, Tape};
use super::text::{find_special, scan_escaped, skip_whitespace, unescape};
use super::walk::{Branch, NodeIndex, Record, Walk, float, integer, string};

/// The record has to go by the tape.
#[derive(Debug)]
pub(super) struct Detour;

/// A record on its direct way.
pub(super) struct Direct<'a> {
    pub plan: &'a Plan,
    pub text: &'a str,
    pub tape: &'a mut Tape,
    pub walk: &'a mut Walk,
    /// Containers that may still be opened inside each other.
    pub depth_left: u32,
}

impl Direct<'_> {
    /// Walks the record at byte `at` into the next row of the root table; returns the byte behind it.
    ///
    /// # Errors
    ///
    /// What was added so far is still there until [`Walk::take_back`].
    pub fn record(&mut self, at: usize) -> Result<usize, Detour> {
        let (node, row) = self.walk.next_record().ok_or(Detour)?;
        self.value(at, node, row)
    }

    /// Puts the value at byte `at` into `row` of its node; returns the byte behind it.
    ///
    /// Recursion is as deep as the record is nested, which `depth_left` limits.
    #[inline(always)]
    fn value(&mut self, at: usize, index: NodeIndex, row: u32) -> Result<usize, Detour> {
        let text = self.text.as_bytes();
        let (Some(byte), Some(node)) = (text.get(at), self.walk.nodes.get_mut(index)) else {
            return Err(Detour);
        };
        if node.is_taken(row) {
            return Err(Detour);
        }
        if !node.is_plain {
            return self.by_tape(at, index, row);
        }
        node.take_row(row);
        let (kind, behind) = match byte {
            b'"' if !node.rule.timestamps
                && let Some(end) = node.scalars.push_plain_string(row, text, at + 1) =>
            {
                (Kinds::STRING, end + 1)
            }
            b'"' => {
                let end = find_special(text, at + 1);
                let (scalar, end) = match text.get(end) {
                    Some(b'"') => {
                        let plain = text.get(at + 1..end).unwrap_or_default();
                        (string(plain, node.rule.timestamps), end)
                    }
                    _ => {
                        let end = scan_escaped(text, end).map_err(|_| Detour)?;
                        let raw = text.get(at + 1..end).unwrap_or_default();
                        self.walk.scratch.clear();
                        let replaced = unescape(raw, &mut self.walk.scratch);
                        self.walk.counts.replaced_surrogates += u64::from(replaced);
                        (string(&self.walk.scratch, node.rule.timestamps), end)
                    }
                };
                node.scalars.push(row, scalar);
                (scalar.kind(), end + 1)
            }
            b'-' | b'0'..=b'9' => match short_number(text, at) {
                Some((Short::Integer(value), behind)) => {
                    node.scalars.push_integer(row, value);
                    (Scalar::Integer(value).kind(), behind)
                }
                Some((Short::Float(value), behind)) => {
                    node.scalars.push_float(row, value);
                    (Kinds::FLOAT, behind)
                }
                None => {
                    let (behind, kind) = scan_number(text, at).map_err(|_| Detour)?;
                    let digits = text.get(at..behind).unwrap_or_default();
                    let counts = &mut self.walk.counts;
                    let scalar = match kind {
                        Kind::Int => integer(digits),
                        _ => float(digits, self.plan.exact_numbers, counts),
                    };
                    node.scalars.push(row, scalar);
                    (scalar.kind(), behind)
                }
            },
            b'{' => return self.object(at + 1, index, row),
            b'[' => return self.array(at + 1, index, row),
            b't' | b'f' => {
                let value = *byte == b't';
                let behind =
                    if value { literal(text, at, b"true")? } else { literal(text, at, b"false")? };
                node.scalars.push(row, Scalar::Boolean(value));
                (Kinds::BOOLEAN, behind)
            }
            b'n' => {
                let behind = literal(text, at, b"null")?;
                self.walk.add_other(index, Kinds::NULL);
                return Ok(behind);
            }
            _ => return Err(Detour),
        };
        if !node.kinds.contains(kind) {
            self.walk.add_kinds(index, kind);
        }
        Ok(behind)
    }

    /// The members of an object, `at` being the byte behind its brace.
    fn object(&mut self, at: usize, index: NodeIndex, row: u32) -> Result<usize, Detour> {
        let text = self.text.as_bytes();
        self.depth_left = self.depth_left.checked_sub(1).ok_or(Detour)?;
        self.walk.add_other(index, Kinds::OBJECT);
        let mut at = skip_whitespace(text, at);
        let mut expected = 0;
        if text.get(at) != Some(&b'}') {
            loop {
                let (member, value) = self.member(at, index, &mut expected)?;
                at = skip_whitespace(text, self.value(value, member, row)?);
                match text.get(at) {
                    Some(b',') => at = skip_whitespace(text, at + 1),
                    Some(b'}') => break,
                    _ => return Err(Detour),
                }
            }
        }
        self.depth_left += 1;
        Ok(at + 1)
    }

    /// The node of the member whose key is at byte `at`, and where its value begins.
    #[inline(always)]
    fn member(
        &mut self,
        at: usize,
        index: NodeIndex,
        expected: &mut usize,
    ) -> Result<(NodeIndex, usize), Detour> {
        let text = self.text.as_bytes();
        let (Some(b'"'), Some(node)) = (text.get(at), self.walk.nodes.get(index)) else {
            return Err(Detour);
        };
        let spelled = |branch: &Branch| branch.members.spelled(text, at + 1, *expected);
        if let Some((member, behind)) = node.branch().and_then(spelled) {
            *expected += 1;
            return Ok((member, skip_whitespace(text, behind)));
        }
        self.unexpected_member(at + 1, index, expected)
    }

    #[inline(never)]
    fn unexpected_member(
        &mut self,
        start: usize,
        index: NodeIndex,
        expected: &mut usize,
    ) -> Result<(NodeIndex, usize), Detour> {
        let text = self.text.as_bytes();
        let mut end = find_special(text, start);
        let mut decoded = Vec::new();
        let key = match text.get(end) {
            Some(b'"') => text.get(start..end).unwrap_or_default(),
            _ => {
                end = scan_escaped(text, end).map_err(|_| Detour)?;
                let replaced = unescape(text.get(start..end).unwrap_or_default(), &mut decoded);
                self.walk.counts.replaced_surrogates += u64::from(replaced);
                &decoded
            }
        };
        let colon = skip_whitespace(text, end + 1);
        if text.get(colon) != Some(&b':') {
            return Err(Detour);
        }
        let (position, member) =
            self.walk.member(self.plan, key, index, *expected).ok_or(Detour)?;
        *expected = position + 1;
        Ok((member, skip_whitespace(text, colon + 1)))
    }

    /// The elements of an array, `at` being the byte behind its bracket.
    fn array(&mut self, at: usize, index: NodeIndex, row: u32) -> Result<usize, Detour> {
        let text = self.text.as_bytes();
        self.depth_left = self.depth_left.checked_sub(1).ok_or(Detour)?;
        self.walk.add_other(index, Kinds::ARRAY);
        let table = self.walk.element_table(self.plan, index, false).ok_or(Detour)?;
        let join = self.walk.num_arrays(index);
        let mut at = skip_whitespace(text, at);
        let mut num_elements = 0;
        if text.get(at) != Some(&b']') {
            loop {
                let joins = self.plan.glue_keys.then_some(join as u32);
                let (element, element_row) =
                    self.walk.next_element(table, row, num_elements, joins).ok_or(Detour)?;
                num_elements += 1;
                at = skip_whitespace(text, self.value(at, element, element_row)?);
                match text.get(at) {
                    Some(b',') => at = skip_whitespace(text, at + 1),
                    Some(b']') => break,
                    _ => return Err(Detour),
                }
            }
        }
        if let Some(node) = self.walk.nodes.get_mut(index) {
            node.branch_mut().array_lengths.push(row, num_elements);
        }
        self.depth_left += 1;
        Ok(at + 1)
    }

    /// A value under a rule.
    #[inline(never)]
    fn by_tape(&mut self, at: usize, index: NodeIndex, row: u32) -> Result<usize, Detour> {
        let limits = Limits { max_depth: self.depth_left };
        let behind = self.tape.parse_str(self.text, at, limits).map_err(|_| Detour)?;
        let (text, tokens) = (self.text.as_bytes(), self.tape.tokens());
        let mut record = Record { plan: self.plan, text, tokens, walk: self.walk };
        record.value(0, index, row).map_err(|_| Detour)?;
        Ok(behind)
    }
}

/// A number that takes one look.
enum Short {
    Integer(i64),
    /// Exact in the sense of [`super::number::Float::exact`].
    Float(f64),
}

/// The number at byte `at` and the byte behind it; none where it has an exponent or many digits, or is wrong.
#[inline(always)]
fn short_number(text: &[u8], at: usize) -> Option<(Short, usize)> {
    let is_negative = text.get(at) == Some(&b'-');
    let first = at + usize::from(is_negative);
    let (integer, behind) = digits(text, first, 0);
    let num_digits = behind - first;
    let has_leading_zero = num_digits > 1 && text.get(first) == Some(&b'0');
    if num_digits == 0 || num_digits > MAX_SMALL_DIGITS || has_leading_zero {
        return None;
    }
    match text.get(behind) {
        Some(b'e' | b'E') => None,
        Some(b'.') => {
            let point = behind;
            let (mantissa, behind) = digits(text, point + 1, integer);
            let num_fraction = behind - point - 1;
            if num_fraction == 0
                || num_digits + num_fraction > MAX_SMALL_DIGITS
                || matches!(text.get(behind), Some(b'e' | b'E'))
            {
                return None;
            }
            let value = short_float(mantissa, num_fraction)?;
            Some((Short::Float(if is_negative { -value } else { value }), behind))
        }
        _ => {
            let value = integer as i64;
            Some((Short::Integer(if is_negative { -value } else { value }), behind))
        }
    }
}

/// The digits from byte `at` on, behind those of `value`, and the byte behind them. The value means nothing
/// where they are more than [`MAX_SMALL_DIGITS`].
#[inline(always)]
fn digits(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0'))
        && digit <= 9
    {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

#[inline(always)]
fn literal<const N: usize>(text: &[u8], at: usize, literal: &[u8; N]) -> Result<usize, Detour> {
    match text.get(at..).and_then(|rest| rest.first_chunk::<N>()) {
        Some(found) if found == literal => Ok(at + N),
        _ => Err(Detour),
    }
}

/// A key with its closing quote and colon, as text spells it nearly always.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpelledKey {
    /// The bytes, eight to a word; zeros behind them.
    words: [u64; WORDS],
    /// How many there are; none of a key that is not to be recognised.
    length: u8,
}

/// Longer keys are rare.
const WORDS: usize = 3;
const WORDS_BYTES: usize = WORDS * 8;

/// The bits that count, by length.
const MASKS: [[u64; WORDS]; WORDS_BYTES + 1] = {
    let mut masks = [[0; WORDS]; WORDS_BYTES + 1];
    let mut length = 1;
    while length <= WORDS_BYTES {
        let last = length - 1;
        masks[length] = masks[last];
        masks[length][last / 8] |= 0xff << (last % 8 * 8);
        length += 1;
    }
    masks
};

impl SpelledKey {
    /// How text spells `key`. One that takes an escape, or too many words, is not to be recognised.
    pub fn of(key: &[u8]) -> SpelledKey {
        let spelled = [key, b"\":"].concat();
        if find_special(key, 0) < key.len() || spelled.len() > WORDS_BYTES {
            return SpelledKey { words: [0; WORDS], length: 0 };
        }
        let mut bytes = [[0; 8]; WORDS];
        bytes.as_flattened_mut().iter_mut().zip(&spelled).for_each(|(to, from)| *to = *from);
        SpelledKey { words: bytes.map(u64::from_le_bytes), length: spelled.len() as u8 }
    }

    /// The byte behind the key's colon, where `text` spells the key at byte `at`; none also close to the
    /// end of the text.
    #[inline(always)]
    pub fn end_in(&self, text: &[u8], at: usize) -> Option<usize> {
        let found = text.get(at..)?.first_chunk::<WORDS_BYTES>()?;
        let (found, _) = found.as_chunks::<8>();
        let length = usize::from(self.length);
        let masks = MASKS.get(length)?;
        let mut difference = 0;
        for ((found, word), mask) in found.iter().zip(self.words).zip(masks) {
            difference |= (u64::from_le_bytes(*found) ^ word) & mask;
        }
        (difference == 0 && length > 0).then_some(at + length)
    }
}

#[cfg(test)]
#[path = "direct_tests.rs"]
mod tests;
