//! One file per shape. Each writes the members of a record whose braces the generator puts, and
//! its header draws the record.

pub(crate) mod deep;
pub(crate) mod drift;
pub(crate) mod events;
pub(crate) mod maps;
pub(crate) mod orders;
pub(crate) mod tables;
pub(crate) mod wide;

/// The first moment of generated data, 2024-01-01T00:00:00Z; records follow each other from here.
const EPOCH_MS: u64 = 1_704_067_200_000;

/// The first day of generated data, as days since 1970.
const EPOCH_DAY: u64 = 19_723;

/// When record `index` happened: `spacing_ms` apart, wrapping after some 550 years so that any
/// index gives a date with a four-digit year.
fn moment_ms(index: u64, spacing_ms: u64) -> u64 {
    const SPAN_MS: u64 = 1 << 44;
    EPOCH_MS + index.wrapping_mul(spacing_ms) % SPAN_MS
}
