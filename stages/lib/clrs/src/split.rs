//! The benchmark's three splits.

use std::fmt;
use std::str::FromStr;

use crate::algorithms::Algorithm;
use crate::sampler::{SamplerArgs, SamplerConfig};

/// A fixed dataset of the benchmark: same seed, length and number of samples for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// 1000 problems of length 16.
    Train,
    /// Problems of length 16, of which there are 32 times [`Algorithm::samples_multiplier`].
    Val,
    /// As many problems as [`Split::Val`], of length 64.
    Test,
}

impl Split {
    /// All of them, in the order of their seeds.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// Seed of the sampler.
    pub const fn seed(self) -> u32 {
        match self {
            Self::Train => 1,
            Self::Val => 2,
            Self::Test => 3,
        }
    }

    /// Length of the problems.
    pub const fn length(self) -> usize {
        match self {
            Self::Train | Self::Val => 16,
            Self::Test => 64,
        }
    }

    /// Number of samples. Algorithms that are scored on few values a sample get more of them in `val` and `test`.
    pub const fn samples(self, algorithm: &Algorithm) -> usize {
        match self {
            Self::Train => 1000,
            Self::Val | Self::Test => 32 * algorithm.samples_multiplier,
        }
    }

    /// What draws this split: the sampler's own default arguments, all samples at once.
    pub fn config(self, algorithm: &Algorithm) -> SamplerConfig {
        SamplerConfig {
            seed: self.seed(),
            length: self.length(),
            num_samples: Some(self.samples(algorithm)),
            args: SamplerArgs::default(),
            track_max_steps: false,
        }
    }

    /// Its name: `train`, `val` or `test`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|split| split.as_str() == name)
            .ok_or_else(|| format!("unknown split '{name}': it is train, val or test"))
    }
}
