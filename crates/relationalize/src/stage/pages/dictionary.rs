//! The distinct values of a column, each with a number in the order of first appearance.

use std::hash::{BuildHasher, RandomState};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::shred::is_same;

/// Numbers for texts. The hash has a seed of its own, so that no input can be made to collide; what
/// comes out does not depend on it.
pub struct TextDictionary {
    seed: u64,
    slots: Slots,
    /// The texts as Parquet's PLAIN encoding has them: length, bytes.
    plain: Vec<u8>,
    /// End of each text in `plain`.
    ends: Vec<u32>,
}

/// Bytes of the length before each text.
const LENGTH: usize = 4;

impl TextDictionary {
    pub fn new() -> TextDictionary {
        let seed = RandomState::new().hash_one(0);
        TextDictionary { seed, slots: Slots::new(), plain: Vec::new(), ends: Vec::new() }
    }

    /// The number of `text`, and whether it is new.
    #[inline]
    pub fn number(&mut self, text: &[u8]) -> (u32, bool) {
        let hash = xxh3_64_with_seed(text, self.seed);
        let (plain, ends) = (&self.plain, &self.ends);
        let known = self.slots.find(hash, |number| is_same(text_at(plain, ends, number), text));
        match known {
            Ok(number) => (number, false),
            Err(slot) => {
                let number = self.ends.len() as u32;
                self.plain.extend_from_slice(&(text.len() as u32).to_le_bytes());
                self.plain.extend_from_slice(text);
                self.ends.push(self.plain.len() as u32);
                self.slots.insert(slot, hash, number);
                (number, true)
            }
        }
    }

    pub fn get(&self, number: u32) -> &[u8] {
        text_at(&self.plain, &self.ends, number)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    pub fn memory_bytes(&self) -> usize {
        self.plain.capacity() + self.ends.capacity() * 4 + self.slots.memory_bytes()
    }
}

#[inline]
fn text_at<'a>(plain: &'a [u8], ends: &[u32], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |end| *end);
    let end = ends.get(number).map_or(0, |end| *end as usize);
    plain.get(start as usize + LENGTH..end).unwrap_or_default()
}

/// Numbers for 64-bit words: integers, and floats by their bits.
pub struct WordDictionary {
    seed: u64,
    slots: Slots,
    words: Vec<u64>,
}

impl WordDictionary {
    pub fn new() -> WordDictionary {
        // Odd, so that multiplying by it loses nothing.
        let seed = RandomState::new().hash_one(0) | 1;
        WordDictionary { seed, slots: Slots::new(), words: Vec::new() }
    }

    #[inline]
    pub fn number(&mut self, word: u64) -> u32 {
        let product = u128::from(word ^ self.seed.rotate_left(32)) * u128::from(self.seed);
        let hash = product as u64 ^ (product >> 64) as u64;
        let words = &self.words;
        match self.slots.find(hash, |number| words.get(number as usize) == Some(&word)) {
            Ok(number) => number,
            Err(slot) => {
                let number = self.words.len() as u32;
                self.words.push(word);
                self.slots.insert(slot, hash, number);
                number
            }
        }
    }

    pub fn words(&self) -> &[u64] {
        &self.words
    }

    pub fn memory_bytes(&self) -> usize {
        self.words.capacity() * 8 + self.slots.memory_bytes()
    }
}

/// An open-addressed table of numbers; half of it stays empty at least.
struct Slots {
    /// Half of the hash, and the number plus one; zero where the slot is empty.
    slots: Vec<(u32, u32)>,
    num_used: usize,
}

/// Slots of a new table: most columns of small inputs need no more.
const FEW_SLOTS: usize = 32;

impl Slots {
    fn new() -> Slots {
        Slots { slots: vec![(0, 0); FEW_SLOTS], num_used: 0 }
    }

    /// The number for which `is_it` holds, or the slot where it would be.
    #[inline]
    fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let half = (hash >> 32) as u32;
        let mask = self.slots.len() - 1;
        let mut at = half as usize & mask;
        loop {
            let (other, number) = self.slots[at];
            if number == 0 {
                return Err(at);
            }
            if other == half && is_it(number - 1) {
                return Ok(number - 1);
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, slot: usize, hash: u64, number: u32) {
        self.slots[slot] = ((hash >> 32) as u32, number + 1);
        self.num_used += 1;
        if self.num_used * 2 > self.slots.len() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let mut slots = vec![(0, 0); self.slots.len() * 4];
        let mask = slots.len() - 1;
        for &(half, number) in self.slots.iter().filter(|(_, number)| *number != 0) {
            let mut at = half as usize & mask;
            while slots[at].1 != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = (half, number);
        }
        self.slots = slots;
    }

    fn memory_bytes(&self) -> usize {
        self.slots.capacity() * 8
    }
}
