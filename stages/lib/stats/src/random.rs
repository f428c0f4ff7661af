//! A small generator whose numbers are the same everywhere.

/// SplitMix64 (Steele, Lea and Flood 2014): 64 bits of state are plenty for a hundred thousand resamples.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number in `0..count`. The bias of taking the high half of a product is below count / 2^64.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    impl Random {
        /// In (0, 1).
        pub(crate) fn unit(&mut self) -> f64 {
            ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        }

        /// Box and Muller's standard normal.
        pub(crate) fn normal(&mut self) -> f64 {
            let (radius, angle) = ((-2.0 * self.unit().ln()).sqrt(), std::f64::consts::TAU * self.unit());
            radius * angle.cos()
        }

        pub(crate) fn exponential(&mut self) -> f64 {
            -self.unit().ln()
        }
    }

    #[test]
    fn the_numbers_never_change() {
        // the first outputs of the published reference implementation for seed 1234567
        let mut random = Random::new(1_234_567);
        assert_eq!([random.bits(), random.bits()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn draws_are_uniform() {
        let mut random = Random::new(3);
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[random.below(7)] += 1;
        }
        // 5 standard deviations of a binomial with 70,000 draws and p = 1/7
        assert!(counts.iter().all(|&c| (c as f64 - 10_000.0).abs() < 463.0), "{counts:?}");
    }
}
