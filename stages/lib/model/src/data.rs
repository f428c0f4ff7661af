//! The data of trainings and evaluations: which streams feed them, and how batches are cut.

use clrs::{
    Algorithm, Batch, Loader, Pipeline, PipelineConfig, SamplerArgs, SamplerConfig, SpecEntry, Split,
    pipeline::Transforms,
};

use graph::rng::Rng;
use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};

/// The algorithm of this name.
pub fn find(name: &str) -> Result<&'static Algorithm> {
    clrs::algorithm(name).ok_or_else(|| ModelError::Algorithm(name.to_owned()))
}

/// The data points that a network for `algorithm` sees.
pub fn spec(algorithm: &Algorithm) -> Vec<SpecEntry> {
    Transforms::new(None, true, true).spec(algorithm)
}

/// A 32-bit seed for one of a run's data streams. Streams of other names, or of other seeds, are unrelated.
pub fn stream_seed(seed: u64, stream: &str) -> u32 {
    (Rng::new(seed, stream).uniform() * f64::from(u32::MAX)) as u32
}

/// Training batches of all lengths in turn, made ahead on a thread.
pub fn training(algorithm: &'static Algorithm, lengths: &[usize], batch: usize, seed: u64) -> Result<Loader> {
    let config = |&length: &usize| {
        let (data, positions) = (format!("train/{length}/data"), format!("train/{length}/positions"));
        let mut config =
            PipelineConfig::training(algorithm, length, batch, stream_seed(seed, &data), stream_seed(seed, &positions));
        config.sampler.args = SamplerArgs::training_at(algorithm, length);
        // Padding to the longest of a thousand other samples changes no loss, only the time that a step takes.
        config.sampler.track_max_steps = false;
        config
    };
    Ok(Loader::new(lengths.iter().map(config).collect(), 1, 2)?)
}

/// Which samples to evaluate on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvalData {
    /// Drawn from the seed with the arguments of training, never the benchmark's test samples.
    #[default]
    Validation,
    /// The benchmark's test split: its seed and arguments, at any length and number of samples.
    Test,
}

/// How the samples of an evaluation are drawn: all of them in order, transformed as the benchmark's are.
pub fn evaluation(
    algorithm: &'static Algorithm,
    data: EvalData,
    length: usize,
    samples: usize,
    seed: u64,
) -> PipelineConfig {
    let (args, seeds) = match data {
        EvalData::Validation => {
            let seed = |what: &str| stream_seed(seed, &format!("eval/{length}/{what}"));
            (SamplerArgs::training_at(algorithm, length), (seed("data"), seed("positions")))
        }
        EvalData::Test => (SamplerArgs::default(), (Split::Test.seed(), Split::Test.seed())),
    };
    whole(algorithm, length, samples, args, seeds)
}

/// A finite set of samples as one batch. `seeds`: of the problems, and of the nodes' random positions.
fn whole(
    algorithm: &'static Algorithm,
    length: usize,
    samples: usize,
    args: SamplerArgs,
    seeds: (u32, u32),
) -> PipelineConfig {
    PipelineConfig {
        algorithm,
        sampler: SamplerConfig { seed: seeds.0, length, num_samples: Some(samples), args, track_max_steps: false },
        batch_size: samples,
        random_pos: Some(seeds.1),
        pred_as_input: true,
        permutations: true,
    }
}

/// A fixed set of samples, whole or in parts.
pub struct Dataset(Pipeline);

impl Dataset {
    /// `seeds`: of the problems, and of the nodes' random positions.
    pub fn new(
        algorithm: &'static Algorithm,
        length: usize,
        samples: usize,
        args: SamplerArgs,
        seeds: (u32, u32),
    ) -> Result<Self> {
        Self::of(whole(algorithm, length, samples, args, seeds))
    }

    /// The samples that are drawn so.
    pub fn of(config: PipelineConfig) -> Result<Self> {
        Ok(Self(Pipeline::new(config)?))
    }

    /// All of it as one batch.
    pub fn whole(&mut self) -> Result<Batch> {
        Ok(self.0.all()?)
    }

    /// Parts of at most `size` samples, each padded to its own longest run only, and spelt out when it is asked for.
    pub fn parts(&mut self, size: usize) -> Result<impl Iterator<Item = Result<Batch>>> {
        Ok(self.0.parts(size)?.map(|part| Ok(part?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_every_sample_once() {
        let algorithm = find("dfs").expect("exists");
        let dataset =
            || Dataset::new(algorithm, 5, 5, SamplerArgs::training(algorithm), (1, 2)).expect("arguments are valid");
        let batch = dataset().whole().expect("draws");
        let mut dataset = dataset();
        let parts: Vec<Batch> = dataset.parts(2).expect("a dataset").map(|part| part.expect("draws")).collect();
        assert_eq!(parts.iter().map(Batch::size).collect::<Vec<_>>(), [2, 2, 1]);
        let last = &parts[2];
        for (part, whole) in last.inputs.iter().chain(&last.outputs).zip(batch.inputs.iter().chain(&batch.outputs)) {
            let width = whole.data.len() / 5;
            assert_eq!(part.data, whole.data[4 * width..], "{}", part.name);
        }
        for (hint, whole) in last.hints.iter().zip(&batch.hints) {
            assert_eq!(hint.shape[..2], [batch.lengths[4], 1], "{}", hint.name);
            let width = whole.data.len() / (whole.shape[0] * 5);
            for step in 0..hint.shape[0] {
                let at = (step * 5 + 4) * width;
                assert_eq!(hint.data[step * width..(step + 1) * width], whole.data[at..at + width], "{}", hint.name);
            }
        }
    }

    #[test]
    fn needles_fit_every_length() {
        for name in ["kmp_matcher", "naive_string_matcher"] {
            let algorithm = find(name).expect("exists");
            let needle = |length| SamplerArgs::training_at(algorithm, length).length_needle;
            assert_eq!([3, 5, 10, 16, 17, 20].map(needle), [-1, -2, -4, -7, -8, -8].map(Some), "{name}");
            for length in 3..20 {
                let batch = training(algorithm, &[length], 4, 0).and_then(|mut loader| Ok(loader.next()?));
                assert_eq!(batch.expect("draws").nodes(), length, "{name}");
            }
        }
    }

    #[test]
    fn streams_differ_by_seed_and_name() {
        assert_ne!(stream_seed(0, "a"), stream_seed(1, "a"));
        assert_ne!(stream_seed(0, "a"), stream_seed(0, "b"));
        assert!(find("no_such_algorithm").is_err());
    }
}
