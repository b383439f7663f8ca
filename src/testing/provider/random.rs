//! Random numbers that mean the same for ever.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014). Written out here, because a seed that found a bug must
/// find it again with any later version of anything.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SplitMix64(u64);

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The `index`th number of this sequence, as the seed of a sequence of its own. Different
    /// for every index.
    pub(super) fn fork(&self, index: u64) -> Self {
        Self(mix(self
            .0
            .wrapping_add(GAMMA.wrapping_mul(index.wrapping_add(1)))))
    }

    /// What the sequence starts from.
    pub(super) fn seed(&self) -> u64 {
        self.0
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// Less than `limit`, which is not zero.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        let wide = u128::from(self.next()) * limit as u128;
        // The high half of the product is below `limit`.
        (wide >> 64) as usize
    }

    /// True in this share of all cases.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        // 53 bits are what an `f64` holds exactly.
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < share
    }

    pub(super) fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let steps = 1024;
        let step = to.saturating_sub(from) / steps;
        from + step * (self.below(steps as usize) as u32)
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_published_ones() {
        let mut random = SplitMix64::new(1_234_567);
        let numbers: Vec<_> = (0..5).map(|_| random.next()).collect();
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn numbers_stay_within_their_limits() {
        let mut random = SplitMix64::new(7);
        let (from, to) = (Duration::from_secs(2), Duration::from_secs(3));
        for _ in 0..1000 {
            assert!(random.below(3) < 3);
            assert!((from..to).contains(&random.between(from, to)));
            assert!(!random.chance(0.0));
            assert!(random.chance(1.0));
        }
    }
}
