//! The data of trainings and evaluations: which streams feed them, and how batches are cut.

use clrs::{
    Algorithm, Batch, DataPoint, Loader, Pipeline, PipelineConfig, SamplerArgs, SamplerConfig, SpecEntry, Stage,
    pipeline::Transforms,
};

use crate::error::{NetworkError, Result};
use crate::rng::Rng;

pub(crate) fn find(name: &str) -> Result<&'static Algorithm> {
    clrs::algorithm(name).ok_or_else(|| NetworkError::Algorithm(name.to_owned()))
}

/// The data points that a network for `algorithm` sees.
pub(crate) fn spec(algorithm: &Algorithm) -> Vec<SpecEntry> {
    Transforms::new(None, true, true).spec(algorithm)
}

/// A 32-bit seed for one of a run's data streams. Streams of other names, or of other seeds, are unrelated.
pub(crate) fn stream_seed(seed: u64, stream: &str) -> u32 {
    (Rng::new(seed, stream).uniform() * f64::from(u32::MAX)) as u32
}

/// Training batches of all lengths in turn, made ahead on a thread.
pub(crate) fn training(algorithm: &'static Algorithm, lengths: &[usize], batch: usize, seed: u64) -> Result<Loader> {
    let config = |&length: &usize| {
        let (data, positions) = (format!("train/{length}/data"), format!("train/{length}/positions"));
        let mut config =
            PipelineConfig::training(algorithm, length, batch, stream_seed(seed, &data), stream_seed(seed, &positions));
        // Padding to the longest of a thousand other samples changes no loss, only the time that a step takes.
        config.sampler.track_max_steps = false;
        config
    };
    Ok(Loader::new(lengths.iter().map(config).collect(), 1, 2)?)
}

/// A fixed dataset.
pub(crate) fn dataset(
    algorithm: &'static Algorithm,
    length: usize,
    samples: usize,
    args: SamplerArgs,
    seeds: (u32, u32),
) -> Result<Batch> {
    let config = PipelineConfig {
        algorithm,
        sampler: SamplerConfig { seed: seeds.0, length, num_samples: Some(samples), args, track_max_steps: false },
        batch_size: samples,
        random_pos: Some(seeds.1),
        pred_as_input: true,
        permutations: true,
    };
    Ok(Pipeline::new(config)?.all()?)
}

/// Parts of at most `size` samples, each padded to its own longest run only.
pub(crate) fn parts(batch: &Batch, size: usize) -> Vec<Batch> {
    let (count, size) = (batch.size(), size.max(1));
    (0..count).step_by(size).map(|start| rows(batch, start, (start + size).min(count))).collect()
}

fn rows(batch: &Batch, start: usize, end: usize) -> Batch {
    let lengths = batch.lengths.get(start..end).unwrap_or_default().to_vec();
    let steps = lengths.iter().copied().max().unwrap_or(1);
    let cut = |points: &[DataPoint]| points.iter().map(|point| cut(point, batch.size(), start..end, steps)).collect();
    Batch { inputs: cut(&batch.inputs), hints: cut(&batch.hints), outputs: cut(&batch.outputs), lengths }
}

fn cut(point: &DataPoint, samples: usize, chosen: std::ops::Range<usize>, steps: usize) -> DataPoint {
    let (leading, kept) = match point.stage {
        Stage::Hint => {
            let all = point.shape.first().copied().unwrap_or(1);
            (all, steps.min(all))
        }
        _ => (1, 1),
    };
    let width = point.data.len() / (leading * samples).max(1);
    let step = |at: usize| (at * samples + chosen.start) * width..(at * samples + chosen.end) * width;
    let data = (0..kept).flat_map(|at| point.data.get(step(at)).unwrap_or_default()).copied().collect();
    let mut shape = point.shape.clone();
    let axis = usize::from(point.stage == Stage::Hint);
    if let Some(size) = shape.get_mut(axis) {
        *size = chosen.len();
    }
    if axis == 1 {
        shape[0] = kept;
    }
    DataPoint { shape, data, ..point.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_every_sample_once() {
        let algorithm = find("dfs").expect("exists");
        let batch = dataset(algorithm, 5, 5, SamplerArgs::training(algorithm), (1, 2)).expect("draws");
        let parts = parts(&batch, 2);
        assert_eq!(parts.iter().map(Batch::size).collect::<Vec<_>>(), [2, 2, 1]);
        let last = &parts[2];
        assert_eq!(last.outputs[0].data, batch.outputs[0].data[4 * 5..]);
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
    fn streams_differ_by_seed_and_name() {
        assert_ne!(stream_seed(0, "a"), stream_seed(1, "a"));
        assert_ne!(stream_seed(0, "a"), stream_seed(0, "b"));
        assert!(find("no_such_algorithm").is_err());
    }
}
