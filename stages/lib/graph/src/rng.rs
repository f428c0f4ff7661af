//! Random numbers for initial weights, forced hints and noise: ours, so that a seed means the same on every machine and
//! device, whatever libtorch's generators do.

use serde::{Deserialize, Serialize};

/// xoshiro256++ (Blackman and Vigna, 2019, <https://prng.di.unimi.it/>), seeded through SplitMix64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rng {
    state: [u64; 4],
    /// The second number of a Box-Muller pair.
    spare: Option<f64>,
}

impl Rng {
    /// Streams of one seed are independent of each other.
    pub fn new(seed: u64, stream: &str) -> Self {
        let mut mix = seed;
        for byte in stream.bytes() {
            mix = split_mix(&mut mix) ^ u64::from(byte);
        }
        let state = std::array::from_fn(|_| split_mix(&mut mix));
        Self { state, spare: None }
    }

    fn next(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let result = s0.wrapping_add(s3).rotate_left(23).wrapping_add(s0);
        let (s2, s3) = (s2 ^ s0, s3 ^ s1);
        self.state = [s0 ^ s3, s1 ^ s2, s2 ^ (s1 << 17), s3.rotate_left(45)];
        result
    }

    /// In [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal (Box-Muller).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Standard normal, drawn again while beyond `cut`.
    pub fn truncated_normal(&mut self, cut: f64) -> f64 {
        // a cut of 2 accepts 95 %; the bound keeps a hopeless cut from running forever
        (0..1000).map(|_| self.normal()).find(|x| x.abs() <= cut).unwrap_or(0.0)
    }

    /// Normal between `low` and `high`: drawn again while it lies outside, and uniform where that is hopeless, as far out in a tail.
    pub fn bounded_normal(&mut self, mean: f64, std: f64, low: f64, high: f64) -> f64 {
        let drawn = (0..10_000).map(|_| mean + std * self.normal()).find(|x| (low..=high).contains(x));
        drawn.unwrap_or_else(|| low + (high - low) * self.uniform())
    }

    /// Standard Gumbel, with the guards of the benchmark's Sinkhorn noise.
    pub fn gumbel(&mut self) -> f64 {
        -(-(self.uniform() + 1e-12).ln() + 1e-12).ln()
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let count = 40_000;
        let values: Vec<f64> = (0..count).map(|_| draw()).collect();
        let mean = values.iter().sum::<f64>() / f64::from(count);
        let var = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(count);
        (mean, var.sqrt())
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut rng = Rng::new(7, "moments");
        let (mean, std) = moments(|| rng.uniform());
        assert!((mean - 0.5).abs() < 0.01 && (std - 0.2887).abs() < 0.01, "{mean} {std}");
        let (mean, std) = moments(|| rng.normal());
        assert!(mean.abs() < 0.02 && (std - 1.0).abs() < 0.02, "{mean} {std}");
        let (mean, std) = moments(|| rng.truncated_normal(2.0));
        assert!(mean.abs() < 0.02 && (std - 0.8796).abs() < 0.02, "{mean} {std}");
        let (mean, std) = moments(|| rng.gumbel());
        assert!((mean - 0.5772).abs() < 0.03 && (std - 1.2825).abs() < 0.03, "{mean} {std}");
    }

    #[test]
    fn streams_are_reproducible_and_differ() {
        let draw = |seed, stream: &str| {
            let mut rng = Rng::new(seed, stream);
            [rng.uniform(), rng.uniform()]
        };
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }
}
