//! Random numbers that can start at any record: splitmix64, whose whole state is one counter.

/// The golden ratio as a 64-bit fraction: the odd step of splitmix64 (Steele, Lea, Flood 2014).
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The random numbers of one record.
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// Starts the stream of record `index`, independent of every other record's.
    pub(crate) fn for_record(seed: u64, index: u64) -> Self {
        // Scrambled twice, so that seed and index cannot stand in for one another.
        Self {
            state: scramble(
                scramble(seed.wrapping_add(STEP)).wrapping_add(index.wrapping_mul(STEP)),
            ),
        }
    }

    /// 64 random bits.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        scramble(self.state)
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    #[inline]
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        // The high half of the product is uniform enough: the bias is below bound / 2^32.
        (((self.next() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// True in `percent` of 100 cases.
    #[inline]
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of `words`.
    #[inline]
    pub(crate) fn pick(&mut self, words: &[&'static str]) -> &'static str {
        let chosen = self.below(words.len() as u32) as usize;
        words.get(chosen).copied().unwrap_or_default()
    }
}

/// The output function of splitmix64: a bijection that spreads every input bit.
#[inline]
fn scramble(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_records_and_seeds_differ() {
        let mut first: Vec<u64> = (0..4)
            .flat_map(|seed| (0..1000).map(move |index| Random::for_record(seed, index).next()))
            .collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 4000);
    }

    #[test]
    fn below_stays_below_and_reaches_every_number() {
        let mut random = Random::for_record(1, 1);
        let mut seen = [0u32; 7];
        for _ in 0..7000 {
            seen[random.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (800..1200).contains(&count)), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }
}
