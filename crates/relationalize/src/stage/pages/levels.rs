//! Which rows of a page hold a value.

use crate::shred::Validity;

use super::bits::{write_packed_header, write_run};

/// The definition levels of an optional column that does not repeat: a bit per row.
#[derive(Default)]
pub struct Levels {
    /// Empty while every row is as the first one.
    words: Vec<u64>,
    num_rows: usize,
    num_valid: usize,
}

impl Levels {
    pub fn num_rows(&self) -> usize {
        self.num_rows
    }

    pub fn num_valid(&self) -> usize {
        self.num_valid
    }

    /// Adds `num_rows` rows that all hold a value, or none of which does.
    pub fn push_run(&mut self, is_valid: bool, num_rows: usize) {
        if num_rows == 0 {
            return;
        }
        let is_uniform =
            if is_valid { self.num_valid == self.num_rows } else { self.num_valid == 0 };
        if !is_uniform || !self.words.is_empty() {
            self.write_out();
            let mut rest = num_rows;
            while rest > 0 {
                let length = rest.min(64);
                let word = if is_valid { u64::MAX >> (64 - length) } else { 0 };
                self.push_bits(self.num_rows + num_rows - rest, word);
                rest -= length;
            }
        }
        self.num_rows += num_rows;
        self.num_valid += if is_valid { num_rows } else { 0 };
    }

    /// Adds `num_rows` rows as `validity` has them.
    pub fn push_validity(&mut self, validity: &Validity, num_rows: u32) {
        if validity.all_valid(num_rows) {
            return self.push_run(true, num_rows as usize);
        }
        self.write_out();
        for (number, word) in (0..).zip(validity.words(num_rows)) {
            self.push_bits(self.num_rows + number * 64, word);
            self.num_valid += word.count_ones() as usize;
        }
        self.num_rows += num_rows as usize;
    }

    /// Puts up to 64 bits at row `at`, where all is zero so far.
    fn push_bits(&mut self, at: usize, bits: u64) {
        let (index, shift) = (at / 64, at % 64);
        if self.words.len() < index + 2 {
            self.words.resize(index + 2, 0);
        }
        self.words[index] |= bits << shift;
        if shift > 0 {
            self.words[index + 1] |= bits >> (64 - shift);
        }
    }

    /// From a run to bits.
    fn write_out(&mut self) {
        if self.words.is_empty() {
            let (rows, is_valid) = (self.num_rows, self.num_valid > 0);
            *self = Levels { words: vec![0; rows.div_ceil(64) + 1], ..Levels::default() };
            let valid_rows = if is_valid { rows } else { 0 };
            for at in (0..valid_rows).step_by(64) {
                let length = (valid_rows - at).min(64);
                self.push_bits(at, u64::MAX >> (64 - length));
            }
            (self.num_rows, self.num_valid) = (rows, valid_rows);
        }
    }

    /// Appends the levels as a data page begins with them, their length first, and forgets them.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        if self.num_valid == self.num_rows || self.num_valid == 0 {
            write_run(u64::from(self.num_valid > 0), self.num_rows, 1, out);
        } else {
            let num_groups = self.num_rows.div_ceil(8);
            write_packed_header(num_groups, out);
            out.extend(self.words.iter().flat_map(|word| word.to_le_bytes()).take(num_groups));
        }
        let length = (out.len() - start - 4) as u32;
        if let Some(slot) = out.get_mut(start..start + 4) {
            slot.copy_from_slice(&length.to_le_bytes());
        }
        self.words.clear();
        (self.num_rows, self.num_valid) = (0, 0);
    }

    pub fn memory_bytes(&self) -> usize {
        self.words.capacity() * 8
    }
}
