//! The bit-level encodings of Parquet: bit packing, runs, deltas.

/// Bits that hold every number up to `max`.
pub fn width_of(max: u64) -> u32 {
    u64::BITS - max.leading_zeros()
}

/// Appends `values`, `width` bits each, the lowest bit first; the last byte is filled with zeros.
///
/// No value is wider than `width`, which is at most 64.
pub fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let mut word = 0_u64;
    let mut used = 0;
    for value in values {
        word |= value << used;
        used += width;
        if used >= u64::BITS {
            out.extend_from_slice(&word.to_le_bytes());
            used -= u64::BITS;
            // What did not fit; nothing at all where the value ended with the word.
            word = value.checked_shr(width - used).unwrap_or(0);
        }
    }
    let num_bytes = used.div_ceil(8) as usize;
    out.extend(word.to_le_bytes().into_iter().take(num_bytes));
}

/// Appends an unsigned number, seven bits a byte.
pub fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Values that are bit-packed together: Parquet counts runs of packed values in these.
const GROUP: usize = 8;

/// Appends a run of `count` times `value` (the RLE part of Parquet's hybrid).
pub fn write_run(value: u64, count: usize, width: u32, out: &mut Vec<u8>) {
    write_varint((count as u64) << 1, out);
    let num_bytes = width.div_ceil(8) as usize;
    out.extend(value.to_le_bytes().into_iter().take(num_bytes));
}

/// Appends bits that lie in `bytes` already, `num_groups` groups of eight values (the bit-packed part
/// of Parquet's hybrid).
pub fn write_packed_header(num_groups: usize, out: &mut Vec<u8>) {
    write_varint((num_groups as u64) << 1 | 1, out);
}

/// Appends `values` in Parquet's hybrid of runs and bit packing. Values that repeat eight times and
/// more become a run.
pub fn write_hybrid(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let mut packed_from = 0;
    let mut at = 0;
    while let Some(&value) = values.get(at) {
        let rest = values.get(at..).unwrap_or_default();
        let length = rest.iter().take_while(|&&other| other == value).count();
        // What is packed before a run must be whole groups: a run gives up its first values for that.
        let missing = (at - packed_from).next_multiple_of(GROUP) - (at - packed_from);
        if length >= GROUP + missing {
            write_packed(values.get(packed_from..at + missing).unwrap_or_default(), width, out);
            write_run(u64::from(value), length - missing, width, out);
            packed_from = at + length;
        }
        at += length;
    }
    write_packed(values.get(packed_from..).unwrap_or_default(), width, out);
}

fn write_packed(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let num_groups = values.len().div_ceil(GROUP);
    write_packed_header(num_groups, out);
    let padding = num_groups * GROUP - values.len();
    let padded = values.iter().copied().chain(std::iter::repeat_n(0, padding));
    pack(padded.map(u64::from), width, out);
}

/// Values in a block of deltas.
const BLOCK: usize = 128;
/// Values in each of its four parts, which have bit widths of their own.
const MINIBLOCK: usize = 32;

/// Appends `values` as DELTA_BINARY_PACKED.
pub fn write_deltas(mut values: impl ExactSizeIterator<Item = i64>, out: &mut Vec<u8>) {
    write_varint(BLOCK as u64, out);
    write_varint((BLOCK / MINIBLOCK) as u64, out);
    write_varint(values.len() as u64, out);
    let mut last = values.next().unwrap_or(0);
    write_varint(zigzag(last), out);
    let mut deltas = [0; BLOCK];
    while values.len() > 0 {
        let mut length = 0;
        for (slot, value) in deltas.iter_mut().zip(values.by_ref()) {
            *slot = value.wrapping_sub(last);
            last = value;
            length += 1;
        }
        let deltas = deltas.get(..length).unwrap_or_default();
        let least = deltas.iter().copied().min().unwrap_or(0);
        write_varint(zigzag(least), out);
        let above = |delta: &i64| delta.wrapping_sub(least) as u64;
        let widths: [u32; BLOCK / MINIBLOCK] = std::array::from_fn(|part| {
            let part = deltas.iter().skip(part * MINIBLOCK).take(MINIBLOCK);
            width_of(part.map(above).fold(0, |all, delta| all | delta))
        });
        out.extend(widths.map(|width| width as u8));
        // Parts behind the last value are left out; the last one is filled up.
        for (part, width) in deltas.chunks(MINIBLOCK).zip(widths) {
            let padding = std::iter::repeat_n(0, MINIBLOCK - part.len());
            pack(part.iter().map(above).chain(padding), width, out);
        }
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_packed_from_the_lowest_bit() {
        let mut out = Vec::new();
        pack(0..8, 3, &mut out);
        // The example of the Parquet format's description of the encoding.
        assert_eq!(out, [0b1000_1000, 0b1100_0110, 0b1111_1010]);
        out.clear();
        pack([u64::MAX, 1, u64::MAX].into_iter(), 64, &mut out);
        assert_eq!(out.len(), 24);
        assert_eq!(out.get(8..16), Some(1_u64.to_le_bytes().as_slice()));
    }

    #[test]
    fn runs_begin_on_whole_groups() {
        let mut out = Vec::new();
        write_hybrid(&[[1].as_slice(), &[2; 20]].concat(), 2, &mut out);
        // One group packed (1, 2 × 7), then a run of 13.
        assert_eq!(out, [0b11, 0b1010_1001, 0b1010_1010, 13 << 1, 2]);
    }
}
