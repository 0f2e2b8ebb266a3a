//! The values of a page by physical type: how they are encoded, and the least and greatest of them.

use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::bits::{pack, width_of, write_deltas, write_hybrid};
use super::dictionary::{TextDictionary, WordDictionary};

/// A dictionary ends when it has so many bytes, as in most writers of Parquet.
const DICTIONARY_BYTES: usize = 1 << 20;

/// Whether a dictionary of `num_distinct` entries is worth the while after the first `num_values`: at
/// least every third value must have come before.
fn is_worth(num_distinct: usize, num_values: usize) -> bool {
    num_distinct * 3 <= num_values * 2
}

/// A dictionary and what it is used for.
enum Dictionary<T> {
    /// Values get numbers; whether a page refers to them already.
    Open(T, bool),
    /// Pages refer to it, and it takes no more values.
    Full(T),
    /// No page refers to it.
    None,
}

impl<T> Dictionary<T> {
    /// What becomes of a dictionary of `num_bytes` when a page refers to it.
    fn behind_page(dictionary: T, num_bytes: usize) -> Dictionary<T> {
        if num_bytes > DICTIONARY_BYTES {
            Dictionary::Full(dictionary)
        } else {
            Dictionary::Open(dictionary, true)
        }
    }

    /// The dictionary, whatever it is used for.
    fn get(&self) -> Option<&T> {
        match self {
            Dictionary::Open(dictionary, _) | Dictionary::Full(dictionary) => Some(dictionary),
            Dictionary::None => None,
        }
    }

    /// The dictionary that pages refer to.
    fn used(&self) -> Option<&T> {
        match self {
            Dictionary::Open(dictionary, true) | Dictionary::Full(dictionary) => Some(dictionary),
            _ => None,
        }
    }
}

/// Appends numbers of a dictionary as a data page has them: their width, then runs and packed groups.
fn write_numbers(numbers: &[u32], num_distinct: usize, out: &mut Vec<u8>) -> Encoding {
    let width = width_of(num_distinct.saturating_sub(1) as u64);
    out.push(width as u8);
    write_hybrid(numbers, width, out);
    Encoding::RLE_DICTIONARY
}

/// Strings.
pub struct Texts {
    dictionary: Dictionary<TextDictionary>,
    /// The values of the page: numbers of the dictionary,
    numbers: Vec<u32>,
    /// or PLAIN.
    plain: Vec<u8>,
    bounds: TextBounds,
}

/// The least and the greatest of some texts.
struct TextBounds {
    least: Option<Vec<u8>>,
    greatest: Option<Vec<u8>>,
    /// Their first bytes; what lies between is between them.
    least_start: u64,
    greatest_start: u64,
}

impl Default for TextBounds {
    fn default() -> TextBounds {
        TextBounds { least: None, greatest: None, least_start: u64::MAX, greatest_start: 0 }
    }
}

/// The first eight bytes as a number that sorts as they do, zeros for those that are missing.
#[inline(always)]
fn start_of(text: &[u8]) -> u64 {
    match text.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; 8];
            bytes.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(bytes)
        }
    }
}

/// Longer texts are cut in the statistics.
const STATISTICS_BYTES: usize = 64;

impl Texts {
    /// No values.
    pub fn new() -> Texts {
        Texts {
            dictionary: Dictionary::Open(TextDictionary::new(), false),
            numbers: Vec::new(),
            plain: Vec::new(),
            bounds: TextBounds::default(),
        }
    }

    /// Adds a value.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        let is_new = match &mut self.dictionary {
            Dictionary::Open(dictionary, _) => {
                let (number, is_new) = dictionary.number(text);
                self.numbers.push(number);
                is_new
            }
            _ => {
                write_plain(text, &mut self.plain);
                true
            }
        };
        if is_new {
            self.bounds.widen(text);
        }
    }

    pub(super) fn page_bytes(&self) -> usize {
        let numbers = self.numbers.len() * 4;
        match &self.dictionary {
            // It may turn out to be of no use, and its texts are the page then.
            Dictionary::Open(dictionary, false) => numbers + dictionary.plain().len(),
            // The page that makes it too large is the last one.
            Dictionary::Open(dictionary, true) if dictionary.plain().len() > DICTIONARY_BYTES => {
                usize::MAX
            }
            _ => numbers + self.plain.len(),
        }
    }

    pub(super) fn end_page(&mut self, out: &mut Vec<u8>) -> Encoding {
        let (dictionary, is_used) = match std::mem::replace(&mut self.dictionary, Dictionary::None)
        {
            Dictionary::Open(dictionary, is_used) => (dictionary, is_used),
            other => {
                self.dictionary = other;
                out.extend_from_slice(&self.plain);
                self.plain.clear();
                return Encoding::PLAIN;
            }
        };
        if !is_used && !is_worth(dictionary.len(), self.numbers.len()) {
            for number in self.numbers.drain(..) {
                write_plain(dictionary.get(number), out);
            }
            return Encoding::PLAIN;
        }
        let encoding = write_numbers(&self.numbers, dictionary.len(), out);
        self.numbers.clear();
        let num_bytes = dictionary.plain().len();
        self.dictionary = Dictionary::behind_page(dictionary, num_bytes);
        encoding
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let dictionary = self.dictionary.get().map_or(0, TextDictionary::memory_bytes);
        dictionary + self.numbers.capacity() * 4 + self.plain.capacity()
    }

    pub(super) fn write_dictionary(&self, out: &mut Vec<u8>) -> Option<usize> {
        let dictionary = self.dictionary.used()?;
        out.extend_from_slice(dictionary.plain());
        Some(dictionary.len())
    }

    pub(super) fn statistics(&self, num_nulls: u64) -> Statistics {
        self.bounds.statistics(num_nulls)
    }
}

impl TextBounds {
    #[inline]
    fn widen(&mut self, text: &[u8]) {
        // Nearly every text is told apart by its first bytes.
        let start = start_of(text);
        if start <= self.least_start || start >= self.greatest_start {
            self.widen_to(text);
        }
    }

    #[inline(never)]
    fn widen_to(&mut self, text: &[u8]) {
        match &mut self.least {
            Some(least) if **least <= *text => {}
            least => {
                *least = Some(text.to_vec());
                self.least_start = start_of(text);
            }
        }
        match &mut self.greatest {
            Some(greatest) if **greatest >= *text => {}
            greatest => {
                *greatest = Some(text.to_vec());
                self.greatest_start = start_of(text);
            }
        }
    }

    fn statistics(&self, num_nulls: u64) -> Statistics {
        let (least, least_is_exact) = self.least.as_deref().map_or((None, true), lower_bound);
        let (greatest, greatest_is_exact) =
            self.greatest.as_deref().map_or((None, true), upper_bound);
        let bytes = |text: Option<Vec<u8>>| text.map(ByteArray::from);
        let statistics =
            ValueStatistics::new(bytes(least), bytes(greatest), None, Some(num_nulls), false);
        Statistics::ByteArray(
            statistics
                .with_min_is_exact(least_is_exact)
                .with_max_is_exact(greatest_is_exact)
                .with_backwards_compatible_min_max(false),
        )
    }
}

fn write_plain(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}

/// A text that is not greater, short enough for statistics, and whether it is the same.
fn lower_bound(text: &[u8]) -> (Option<Vec<u8>>, bool) {
    let cut = cut(text);
    (Some(cut.to_vec()), cut.len() == text.len())
}

/// A text that is not less, short enough for statistics, and whether it is the same; none where there is
/// no such text.
fn upper_bound(text: &[u8]) -> (Option<Vec<u8>>, bool) {
    let cut = cut(text);
    if cut.len() == text.len() {
        return (Some(text.to_vec()), true);
    }
    // The last character that has a next one takes it; what is behind goes.
    let mut characters: Vec<char> = std::str::from_utf8(cut).unwrap_or_default().chars().collect();
    while let Some(last) = characters.pop() {
        // Behind U+D7FF comes U+E000.
        let next =
            char::from_u32(u32::from(last) + 1).or((last == '\u{d7ff}').then_some('\u{e000}'));
        if let Some(next) = next {
            characters.push(next);
            return (Some(characters.into_iter().collect::<String>().into_bytes()), false);
        }
    }
    (None, false)
}

/// The first characters of a text.
fn cut(text: &[u8]) -> &[u8] {
    if text.len() <= STATISTICS_BYTES {
        return text;
    }
    let is_start = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0b1100_0000 != 0b1000_0000);
    let end = (0..=STATISTICS_BYTES).rev().find(is_start).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Texts that come in runs, such as the id of a record in the rows of its arrays: each is written as what
/// it shares with the one before, and the rest. Costs no dictionary and no look-up.
#[derive(Default)]
pub struct RunTexts {
    prefix_lengths: Vec<u32>,
    suffix_lengths: Vec<u32>,
    suffixes: Vec<u8>,
    last: Vec<u8>,
    bounds: TextBounds,
}

impl RunTexts {
    /// Adds the same value `count` times.
    pub fn push_run(&mut self, text: &[u8], count: usize) {
        let is_first = self.prefix_lengths.is_empty();
        let shared = if is_first { 0 } else { num_shared(&self.last, text) };
        self.prefix_lengths.push(shared as u32);
        self.suffix_lengths.push((text.len() - shared) as u32);
        self.suffixes.extend_from_slice(text.get(shared..).unwrap_or_default());
        let again = count.saturating_sub(1);
        self.prefix_lengths.extend(std::iter::repeat_n(text.len() as u32, again));
        self.suffix_lengths.extend(std::iter::repeat_n(0, again));
        self.last.clear();
        self.last.extend_from_slice(text);
        self.bounds.widen(text);
    }

    pub(super) fn page_bytes(&self) -> usize {
        self.prefix_lengths.len() * 2 + self.suffixes.len()
    }

    pub(super) fn end_page(&mut self, out: &mut Vec<u8>) -> Encoding {
        write_deltas(self.prefix_lengths.drain(..).map(i64::from), out);
        write_deltas(self.suffix_lengths.drain(..).map(i64::from), out);
        out.append(&mut self.suffixes);
        Encoding::DELTA_BYTE_ARRAY
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.prefix_lengths.capacity() * 8 + self.suffixes.capacity()
    }

    pub(super) fn statistics(&self, num_nulls: u64) -> Statistics {
        self.bounds.statistics(num_nulls)
    }
}

fn num_shared(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

/// How a number lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Physical {
    /// 32-bit integers, none of them negative: positions and lengths.
    Int32,
    /// 64-bit integers.
    Int64,
    /// 64-bit floats.
    Double,
}

/// Integers, or floats by their bits.
pub struct Numbers {
    physical: Physical,
    dictionary: Dictionary<WordDictionary>,
    /// The values of the page: numbers of the dictionary,
    numbers: Vec<u32>,
    /// or themselves.
    words: Vec<u64>,
    integers: Option<(i64, i64)>,
    floats: Option<(f64, f64)>,
}

impl Numbers {
    /// No values. Where most are distinct, a dictionary is not even tried.
    pub fn new(physical: Physical, tries_dictionary: bool) -> Numbers {
        let dictionary = match tries_dictionary {
            true => Dictionary::Open(WordDictionary::new(), false),
            false => Dictionary::None,
        };
        Numbers {
            physical,
            dictionary,
            numbers: Vec::new(),
            words: Vec::new(),
            integers: None,
            floats: None,
        }
    }

    /// How the values lie in a file.
    pub fn physical(&self) -> Physical {
        self.physical
    }

    /// Adds integers.
    #[inline]
    pub fn push_integers(&mut self, integers: impl Iterator<Item = i64>) {
        let (mut least, mut greatest) = self.integers.unwrap_or((i64::MAX, i64::MIN));
        let integers = integers.inspect(|integer| {
            least = least.min(*integer);
            greatest = greatest.max(*integer);
        });
        match &mut self.dictionary {
            Dictionary::Open(dictionary, _) => {
                self.numbers.extend(integers.map(|integer| dictionary.number(integer as u64)));
            }
            _ => self.words.extend(integers.map(|integer| integer as u64)),
        }
        self.integers = (least <= greatest).then_some((least, greatest));
    }

    /// Adds floats.
    #[inline]
    pub fn push_floats(&mut self, floats: impl Iterator<Item = f64>) {
        let (mut least, mut greatest) = self.floats.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
        let floats = floats.inspect(|float| {
            least = least.min(*float);
            greatest = greatest.max(*float);
        });
        match &mut self.dictionary {
            Dictionary::Open(dictionary, _) => {
                self.numbers.extend(floats.map(|float| dictionary.number(float.to_bits())));
            }
            _ => self.words.extend(floats.map(f64::to_bits)),
        }
        self.floats = (least <= greatest).then_some((least, greatest));
    }

    pub(super) fn page_bytes(&self) -> usize {
        self.numbers.len() * 4 + self.words.len() * 8
    }

    pub(super) fn end_page(&mut self, out: &mut Vec<u8>) -> Encoding {
        match std::mem::replace(&mut self.dictionary, Dictionary::None) {
            Dictionary::Open(dictionary, is_used)
                if is_used || is_worth(dictionary.words().len(), self.numbers.len()) =>
            {
                let num_distinct = dictionary.words().len();
                let encoding = write_numbers(&self.numbers, num_distinct, out);
                self.numbers.clear();
                let num_bytes = size_of_val(dictionary.words());
                self.dictionary = Dictionary::behind_page(dictionary, num_bytes);
                return encoding;
            }
            Dictionary::Open(dictionary, _) => {
                let words = dictionary.words();
                let values = self.numbers.drain(..).filter_map(|at| words.get(at as usize));
                self.words.extend(values);
            }
            other => self.dictionary = other,
        }
        let encoding = match self.physical {
            Physical::Double => {
                out.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
                Encoding::PLAIN
            }
            Physical::Int32 | Physical::Int64 => {
                write_deltas(self.words.iter().map(|word| *word as i64), out);
                Encoding::DELTA_BINARY_PACKED
            }
        };
        self.words.clear();
        encoding
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let dictionary = self.dictionary.get().map_or(0, WordDictionary::memory_bytes);
        dictionary + self.numbers.capacity() * 4 + self.words.capacity() * 8
    }

    pub(super) fn write_dictionary(&self, out: &mut Vec<u8>) -> Option<usize> {
        let words = self.dictionary.used()?.words();
        match self.physical {
            Physical::Int32 => {
                out.extend(words.iter().flat_map(|word| (*word as u32).to_le_bytes()))
            }
            _ => out.extend(words.iter().flat_map(|word| word.to_le_bytes())),
        }
        Some(words.len())
    }

    pub(super) fn statistics(&self, num_nulls: u64) -> Statistics {
        let (least, greatest) = self.integers.unzip();
        match self.physical {
            Physical::Int32 => {
                let narrow = |integer: Option<i64>| integer.map(|integer| integer as i32);
                let (least, greatest) = (narrow(least), narrow(greatest));
                Statistics::Int32(signed(least, greatest, num_nulls))
            }
            Physical::Int64 => Statistics::Int64(signed(least, greatest, num_nulls)),
            Physical::Double => {
                let (least, greatest) = self.floats.unzip();
                // Zeros of both signs are equal: the bounds take in both.
                let least = least.map(|least| if least == 0.0 { -0.0 } else { least });
                let greatest =
                    greatest.map(|greatest| if greatest == 0.0 { 0.0 } else { greatest });
                Statistics::Double(signed(least, greatest, num_nulls))
            }
        }
    }
}

/// Statistics of a type whose order old readers know as well.
fn signed<T>(least: Option<T>, greatest: Option<T>, num_nulls: u64) -> ValueStatistics<T> {
    ValueStatistics::new(least, greatest, None, Some(num_nulls), false)
        .with_backwards_compatible_min_max(true)
}

/// Booleans, a bit each.
#[derive(Default)]
pub struct Booleans {
    values: Vec<bool>,
    has_true: bool,
    has_false: bool,
}

impl Booleans {
    /// Adds values.
    pub fn push(&mut self, values: impl Iterator<Item = bool>) {
        self.values.extend(values.inspect(|value| {
            self.has_true |= *value;
            self.has_false |= !*value;
        }));
    }

    pub(super) fn page_bytes(&self) -> usize {
        self.values.len()
    }

    pub(super) fn end_page(&mut self, out: &mut Vec<u8>) -> Encoding {
        pack(self.values.drain(..).map(u64::from), 1, out);
        Encoding::PLAIN
    }

    pub(super) fn statistics(&self, num_nulls: u64) -> Statistics {
        let any = self.has_true || self.has_false;
        let (least, greatest) = (any.then_some(!self.has_false), any.then_some(self.has_true));
        Statistics::Boolean(signed(least, greatest, num_nulls))
    }
}
