//! The scalars of one path within one block, in the narrowest form that holds them so far.
//!
//! Rows are padded lazily: a column that appears late, or is rare, costs one bit per row. Values are
//! packed (one per valid row), as Parquet wants them.

use crate::shape::Kinds;

use super::number::{write_integer, write_number};
use super::text::copy_to_special;

/// Which rows of a column hold a value: one bit per row, none at all while every row does.
#[derive(Clone, Debug, Default)]
pub struct Validity {
    rows: u32,
    words: Vec<u64>,
    has_nulls: bool,
}

impl Validity {
    /// `rows` rows that all hold a value.
    pub fn of(rows: u32) -> Validity {
        Validity { rows, words: Vec::new(), has_nulls: false }
    }

    /// Rows covered so far; the rows after them are null.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Marks `row` as valid and the rows skipped before it as null. Rows come in ascending order.
    #[inline(always)]
    pub fn push(&mut self, row: u32) {
        if self.has_nulls || row != self.rows {
            self.push_among_nulls(row);
        }
        self.rows = row + 1;
    }

    fn push_among_nulls(&mut self, row: u32) {
        if !self.has_nulls {
            self.write_out();
        }
        let word = (row / 64) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (row % 64);
    }

    fn write_out(&mut self) {
        self.has_nulls = true;
        let rows = self.rows as usize;
        self.words.clear();
        self.words.resize(rows / 64, u64::MAX);
        if !rows.is_multiple_of(64) {
            self.words.push((1 << (rows % 64)) - 1);
        }
    }

    /// Whether `row` holds a value.
    #[inline]
    pub fn is_valid(&self, row: u32) -> bool {
        row < self.rows
            && (!self.has_nulls
                || self.words.get((row / 64) as usize).is_some_and(|w| w >> (row % 64) & 1 == 1))
    }

    /// Whether every one of `rows` rows holds a value.
    pub fn all_valid(&self, rows: u32) -> bool {
        !self.has_nulls && self.rows == rows
    }

    /// The first `rows` rows as bits, 64 to a word, the first one lowest.
    pub fn words(&self, rows: u32) -> impl Iterator<Item = u64> + '_ {
        let (dense, has_nulls) = (self.rows, self.has_nulls);
        (0..rows).step_by(64).zip(0..).map(move |(first, at)| {
            if has_nulls {
                return self.words.get::<usize>(at).copied().unwrap_or(0);
            }
            match dense.saturating_sub(first) {
                0 => 0,
                rest => u64::MAX >> (64 - rest.min(64)),
            }
        })
    }

    /// The valid rows, ascending.
    pub fn valid_rows(&self) -> impl Iterator<Item = u32> + '_ {
        let dense = if self.has_nulls { 0 } else { self.rows };
        let words = if self.has_nulls { self.words.as_slice() } else { &[] };
        (0..dense).chain(words.iter().zip(0u32..).flat_map(|(word, at)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros();
                    rest &= rest - 1;
                    at * 64 + bit
                })
            })
        }))
    }

    /// Forgets the rows from `rows` on and returns how many values went with them.
    pub fn truncate(&mut self, rows: u32) -> usize {
        if rows >= self.rows {
            return 0;
        }
        let dropped = if self.has_nulls {
            let dropped = (rows..self.rows).filter(|row| self.is_valid(*row)).count();
            self.words.truncate(rows.div_ceil(64) as usize);
            if let Some(last) = self.words.last_mut()
                && !rows.is_multiple_of(64)
            {
                *last &= (1 << (rows % 64)) - 1;
            }
            dropped
        } else {
            (self.rows - rows) as usize
        };
        self.rows = rows;
        dropped
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.words.capacity() * 8
    }
}

/// Byte strings laid one after another.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// End of each string in `bytes`.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Texts {
    /// Adds a string.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.close();
    }

    /// Adds the bytes of `text` from `at` to the first one that a JSON string cannot simply contain, and
    /// returns its offset: `text.len()` where there is none.
    #[inline(always)]
    pub(super) fn push_plain(&mut self, text: &[u8], at: usize) -> usize {
        let start = self.bytes.len();
        let end = copy_to_special(text, at, &mut self.bytes);
        self.bytes.truncate(start + (end - at));
        self.close();
        end
    }

    /// Takes the last string back.
    #[cold]
    pub(super) fn pop(&mut self) {
        self.truncate(self.len().saturating_sub(1));
    }

    /// Adds what `write` appends as one string.
    pub fn push_with<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let result = write(&mut self.bytes);
        self.close();
        result
    }

    #[inline]
    fn close(&mut self) {
        // A block and so a column of it stays below 4 GiB: the reader sees to that.
        self.ends.push(self.bytes.len() as u32);
    }

    /// The strings, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = self.bytes.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            text
        })
    }

    /// The string at `at`; empty where there is none.
    #[inline]
    pub fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |e| *e);
        let end = self.ends.get(at).map_or(start, |end| *end);
        self.bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// End of each string in [`Texts::bytes`].
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// All strings in one piece.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the strings from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes.truncate(self.ends.last().map_or(0, |&end| end as usize));
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.ends.capacity() * 4 + self.bytes.capacity()
    }
}

/// A scalar on its way into a column.
#[derive(Clone, Copy, Debug)]
pub enum Scalar<'a> {
    /// `true`, `false`.
    Boolean(bool),
    /// An integer within int64.
    Integer(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A number that is kept as its text: an integer beyond int64, or out of every range.
    Number(Kinds, &'a [u8]),
    /// A string, and whether it is a timestamp.
    String(Kinds, &'a [u8]),
}

impl Scalar<'_> {
    /// What this value adds to the kinds of its path.
    #[inline]
    pub fn kind(&self) -> Kinds {
        match self {
            Scalar::Boolean(_) => Kinds::BOOLEAN,
            Scalar::Integer(value) if value.unsigned_abs() <= 1 << 53 => Kinds::INTEGER,
            Scalar::Integer(_) => Kinds::LONG,
            Scalar::Float(_) => Kinds::FLOAT,
            Scalar::Number(kind, _) | Scalar::String(kind, _) => *kind,
        }
    }

    /// The text that a column of mixed types holds for it: strings as they are, else JSON.
    fn write_text(&self, out: &mut Vec<u8>) {
        match self {
            Scalar::Boolean(value) => {
                out.extend_from_slice(if *value { b"true" } else { b"false" })
            }
            Scalar::Integer(value) => write_integer(*value, out),
            Scalar::Float(value) => write_number(*value, out),
            Scalar::Number(_, text) | Scalar::String(_, text) => out.extend_from_slice(text),
        }
    }
}

/// The values of a column, one per valid row.
#[derive(Clone, Debug, Default)]
pub enum Values {
    /// No value yet.
    #[default]
    None,
    /// Booleans.
    Boolean(Vec<bool>),
    /// Integers within int64.
    Integer(Vec<i64>),
    /// Numbers that float64 holds.
    Float(Vec<f64>),
    /// Strings only.
    String(Texts),
    /// Anything, as text with its kind.
    Mixed(Vec<Kinds>, Texts),
}

/// Fewer values of a block are not worth keeping room for.
const FEW_VALUES: usize = 64;

/// Room for `len` values and a few more.
fn roomy(len: usize) -> usize {
    len + len / 8
}

/// The scalars of one path within one block.
#[derive(Clone, Debug, Default)]
pub struct ScalarColumn {
    /// Which rows hold a value.
    pub validity: Validity,
    /// The values of the valid rows.
    pub values: Values,
}

impl ScalarColumn {
    /// Puts `value` at `row`; rows come in ascending order.
    #[inline]
    pub fn push(&mut self, row: u32, value: Scalar<'_>) {
        self.validity.push(row);
        match (&mut self.values, value) {
            (Values::String(texts), Scalar::String(Kinds::STRING, text)) => texts.push(text),
            (Values::Integer(values), Scalar::Integer(value)) => values.push(value),
            (Values::Float(values), Scalar::Float(value)) => values.push(value),
            (Values::Boolean(values), Scalar::Boolean(value)) => values.push(value),
            (Values::Mixed(kinds, texts), value) => {
                kinds.push(value.kind());
                texts.push_with(|out| value.write_text(out));
            }
            (_, value) => self.push_other(value),
        }
    }

    /// Puts the JSON string whose first byte is at `start` of `text` at `row`, where the column holds strings
    /// alone and this one has no escape; returns the offset of its closing quote. Else nothing happens.
    #[inline(always)]
    pub(super) fn push_plain_string(
        &mut self,
        row: u32,
        text: &[u8],
        start: usize,
    ) -> Option<usize> {
        let Values::String(texts) = &mut self.values else { return None };
        let end = texts.push_plain(text, start);
        if text.get(end) != Some(&b'"') {
            texts.pop();
            return None;
        }
        self.validity.push(row);
        Some(end)
    }

    /// Puts an integer at `row`.
    #[inline(always)]
    pub(super) fn push_integer(&mut self, row: u32, value: i64) {
        match &mut self.values {
            Values::Integer(values) => {
                self.validity.push(row);
                values.push(value);
            }
            _ => self.push(row, Scalar::Integer(value)),
        }
    }

    /// Puts a float at `row`.
    #[inline(always)]
    pub(super) fn push_float(&mut self, row: u32, value: f64) {
        match &mut self.values {
            Values::Float(values) => {
                self.validity.push(row);
                values.push(value);
            }
            _ => self.push(row, Scalar::Float(value)),
        }
    }

    /// Puts `value` at `row` with its own kind, never converted to a common one.
    pub fn push_mixed(&mut self, row: u32, value: Scalar<'_>) {
        if self.values.num_values() == 0 && !matches!(self.values, Values::Mixed(..)) {
            self.values = Values::Mixed(Vec::new(), Texts::default());
        }
        self.push(row, value);
    }

    /// The first value of a column, or one of another kind than those before it.
    #[cold]
    fn push_other(&mut self, value: Scalar<'_>) {
        let safe = |value: i64| value.unsigned_abs() <= 1 << 53;
        if self.values.num_values() == 0 {
            // Room for values of another kind is of no use.
            self.values = Values::None;
        }
        match (&mut self.values, value) {
            (values @ Values::None, _) => {
                *values = match value {
                    Scalar::Boolean(value) => Values::Boolean(vec![value]),
                    Scalar::Integer(value) => Values::Integer(vec![value]),
                    Scalar::Float(value) => Values::Float(vec![value]),
                    Scalar::String(Kinds::STRING, text) => {
                        let mut texts = Texts::default();
                        texts.push(text);
                        Values::String(texts)
                    }
                    Scalar::Number(kind, text) | Scalar::String(kind, text) => {
                        let mut texts = Texts::default();
                        texts.push(text);
                        Values::Mixed(vec![kind], texts)
                    }
                };
            }
            (Values::Float(values), Scalar::Integer(value)) if safe(value) => {
                values.push(value as f64);
            }
            (Values::Integer(integers), Scalar::Float(value))
                if integers.iter().all(|integer| safe(*integer)) =>
            {
                let mut values: Vec<f64> = integers.iter().map(|integer| *integer as f64).collect();
                values.push(value);
                self.values = Values::Float(values);
            }
            (_, value) => {
                let (mut kinds, mut texts) = std::mem::take(&mut self.values).into_mixed();
                kinds.push(value.kind());
                texts.push_with(|out| value.write_text(out));
                self.values = Values::Mixed(kinds, texts);
            }
        }
    }

    /// Forgets the rows from `rows` on.
    pub fn truncate(&mut self, rows: u32) {
        let dropped = self.validity.truncate(rows);
        let keep = |len: usize| len.saturating_sub(dropped);
        match &mut self.values {
            Values::None => {}
            Values::Boolean(values) => values.truncate(keep(values.len())),
            Values::Integer(values) => values.truncate(keep(values.len())),
            Values::Float(values) => values.truncate(keep(values.len())),
            Values::String(texts) => texts.truncate(keep(texts.len())),
            Values::Mixed(kinds, texts) => {
                let len = keep(texts.len());
                kinds.truncate(len);
                texts.truncate(len);
            }
        }
    }

    /// An empty column with room for about as much; without, where little comes at a time: there may be
    /// millions of such columns, until they turn out to be a map.
    pub fn of_same_capacity(&self) -> ScalarColumn {
        if self.values.num_values() < FEW_VALUES {
            return ScalarColumn::default();
        }
        let values = match &self.values {
            Values::None | Values::Mixed(..) => Values::None,
            Values::Boolean(values) => Values::Boolean(Vec::with_capacity(roomy(values.len()))),
            Values::Integer(values) => Values::Integer(Vec::with_capacity(roomy(values.len()))),
            Values::Float(values) => Values::Float(Vec::with_capacity(roomy(values.len()))),
            Values::String(texts) => Values::String(Texts {
                ends: Vec::with_capacity(roomy(texts.ends.len())),
                bytes: Vec::with_capacity(roomy(texts.bytes.len())),
            }),
        };
        ScalarColumn { validity: Validity::default(), values }
    }

    /// Forgets the values; the room for them stays, where there is much.
    pub fn clear(&mut self) {
        if self.values.num_values() < FEW_VALUES && self.heap_bytes() < FEW_VALUES * 8 {
            *self = ScalarColumn::default();
            return;
        }
        self.validity = Validity::default();
        match &mut self.values {
            Values::None => {}
            Values::Boolean(values) => values.clear(),
            Values::Integer(values) => values.clear(),
            Values::Float(values) => values.clear(),
            Values::String(texts) => texts.truncate(0),
            Values::Mixed(..) => self.values = Values::None,
        }
    }

    /// Whether no row holds a value.
    pub fn is_empty(&self) -> bool {
        self.values.num_values() == 0
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.validity.heap_bytes()
            + match &self.values {
                Values::None => 0,
                Values::Boolean(values) => values.capacity(),
                Values::Integer(values) => values.capacity() * 8,
                Values::Float(values) => values.capacity() * 8,
                Values::String(texts) => texts.heap_bytes(),
                Values::Mixed(kinds, texts) => kinds.capacity() * 2 + texts.heap_bytes(),
            }
    }
}

impl Values {
    /// How many values there are.
    pub fn num_values(&self) -> usize {
        match self {
            Values::None => 0,
            Values::Boolean(values) => values.len(),
            Values::Integer(values) => values.len(),
            Values::Float(values) => values.len(),
            Values::String(texts) | Values::Mixed(_, texts) => texts.len(),
        }
    }

    /// The values as text with their kinds.
    fn into_mixed(self) -> (Vec<Kinds>, Texts) {
        match self {
            Values::String(texts) => (vec![Kinds::STRING; texts.len()], texts),
            Values::Mixed(kinds, texts) => (kinds, texts),
            other => {
                let mut kinds = Vec::new();
                let mut texts = Texts::default();
                other.for_each(|value| {
                    kinds.push(value.kind());
                    texts.push_with(|out| value.write_text(out));
                });
                (kinds, texts)
            }
        }
    }

    /// Calls `visit` with each value in order.
    pub fn for_each(&self, mut visit: impl FnMut(Scalar<'_>)) {
        match self {
            Values::None => {}
            Values::Boolean(values) => values.iter().for_each(|v| visit(Scalar::Boolean(*v))),
            Values::Integer(values) => values.iter().for_each(|v| visit(Scalar::Integer(*v))),
            Values::Float(values) => values.iter().for_each(|v| visit(Scalar::Float(*v))),
            Values::String(texts) => {
                texts.iter().for_each(|text| visit(Scalar::String(Kinds::STRING, text)));
            }
            Values::Mixed(kinds, texts) => {
                for (kind, text) in kinds.iter().zip(texts.iter()) {
                    visit(match *kind {
                        Kinds::STRING | Kinds::TIMESTAMP => Scalar::String(*kind, text),
                        kind => Scalar::Number(kind, text),
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_pads_lazily_and_truncates() {
        let mut validity = Validity::default();
        for row in [0, 1, 2, 70, 71, 200] {
            validity.push(row);
        }
        assert_eq!(validity.valid_rows().collect::<Vec<_>>(), [0, 1, 2, 70, 71, 200]);
        assert!(!validity.is_valid(3) && validity.is_valid(70) && !validity.is_valid(201));
        assert_eq!(validity.truncate(71), 2);
        assert_eq!(validity.valid_rows().collect::<Vec<_>>(), [0, 1, 2, 70]);
        validity.push(80);
        assert_eq!(validity.valid_rows().collect::<Vec<_>>(), [0, 1, 2, 70, 80]);
    }

    /// R13: a value keeps its text and kind whatever came before it.
    #[test]
    fn r13_mixed_values_keep_text_and_kind() {
        let mut column = ScalarColumn::default();
        column.push(0, Scalar::Integer(10));
        column.push(1, Scalar::Float(2.5));
        column.push(3, Scalar::String(Kinds::STRING, b"10"));
        column.push(4, Scalar::Boolean(true));
        let mut seen = Vec::new();
        column.values.for_each(|value| {
            let mut text = Vec::new();
            value.write_text(&mut text);
            seen.push((String::from_utf8(text).unwrap(), value.kind()));
        });
        let names = ["10", "2.5", "10", "true"];
        assert_eq!(seen.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(seen[2].1, Kinds::STRING);
        assert_eq!(seen[3].1, Kinds::BOOLEAN);
        column.truncate(3);
        assert_eq!(column.validity.valid_rows().collect::<Vec<_>>(), [0, 1]);
    }
}
