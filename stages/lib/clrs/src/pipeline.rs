//! What the reference's example trainer does to batches before a network sees them.

use crate::algorithms::Algorithm;
use crate::batch::{Batch, DataPoint};
use crate::error::ClrsError;
use crate::random::RandomState;
use crate::sampler::{Sampler, SamplerArgs, SamplerConfig};
use crate::spec::{Dtype, SpecEntry, Stage, Type};

/// Name of the mask of the first node that goes with a permutation.
#[cfg_attr(
    not(test),
    expect(clippy::unreachable, reason = "a test draws all algorithms, and all permutations are `pred`")
)]
fn mask_name(name: &'static str) -> &'static str {
    match name {
        "pred" => "pred_mask",
        other => unreachable!("{other} is no permutation: only sorts put one out"),
    }
}

/// Replaces the evenly spaced `pos` by sorted random numbers, so that a network cannot learn positions by heart.
///
/// Strings (two of them behind one another, each beginning at 0) are sorted each for itself. Draws one number for each
/// node of each sample.
pub fn process_random_pos(batch: &mut Batch, rng: &mut RandomState) {
    let Some(pos) = batch.inputs.iter_mut().find(|point| point.name == "pos") else { return };
    let nodes = pos.shape.last().copied().unwrap_or(1).max(1);
    for row in pos.data.chunks_exact_mut(nodes) {
        let begins: Vec<usize> = (0..nodes).filter(|&node| row[node] == 0.0).chain([nodes]).collect();
        row.fill_with(|| rng.uniform(0.0, 1.0));
        for part in begins.windows(2) {
            row[part[0]..part[1]].sort_by(f64::total_cmp);
        }
    }
}

/// Moves the hint `pred_h`, where it says the same at every step, to the end of the inputs as `pred`.
///
/// # Errors
/// If it changes over time.
pub fn process_pred_as_input(batch: &mut Batch) -> Result<(), ClrsError> {
    let Some(at) = batch.hints.iter().position(|point| point.name == "pred_h") else { return Ok(()) };
    let hint = &batch.hints[at];
    let shape = hint.shape[1..].to_vec();
    let step: usize = shape.iter().product();
    let sample = step / batch.lengths.len().max(1);
    let (first, rest) = hint.data.split_at(step.min(hint.data.len()));
    for (row, later) in rest.chunks_exact(step).enumerate() {
        let alive = batch.lengths.iter().enumerate().filter(|&(_, &length)| row + 1 < length);
        for range in alive.map(|(i, _)| i * sample..(i + 1) * sample) {
            if later[range.clone()] != first[range] {
                return Err(ClrsError::ChangingPredecessor);
            }
        }
    }
    let pred = DataPoint { name: "pred", stage: Stage::Input, data: first.to_vec(), shape, ..hint.clone() };
    batch.hints.remove(at);
    batch.inputs.push(pred);
    Ok(())
}

/// Turns what should be a permutation into one: the first node of the chain points at the last rather than at itself,
/// pointers become one-hot rows `[B, N, N]`, and a mask (`pred_mask` for `pred`) marks the first node.
pub fn process_permutations(batch: &mut Batch) {
    for points in [&mut batch.inputs, &mut batch.hints, &mut batch.outputs] {
        *points = std::mem::take(points)
            .into_iter()
            .flat_map(|point| match point.ty {
                Type::ShouldBePermutation => permutation(point),
                _ => vec![point],
            })
            .collect();
    }
}

fn permutation(point: DataPoint) -> Vec<DataPoint> {
    let nodes = point.shape.last().copied().unwrap_or(1).max(1);
    let mut matrices = vec![0.0; point.data.len() * nodes];
    let mut masks = vec![0.0; point.data.len()];
    let rows = point.data.chunks_exact(nodes);
    for ((pointers, matrix), mask) in
        rows.zip(matrices.chunks_exact_mut(nodes * nodes)).zip(masks.chunks_exact_mut(nodes))
    {
        let is_target = |node: usize| pointers.iter().any(|&pointer| pointer as usize == node);
        let first = (0..nodes).find(|&node| pointers[node] as usize == node).unwrap_or(0);
        let last = (0..nodes).find(|&node| !is_target(node)).unwrap_or(0);
        for (node, &pointer) in pointers.iter().enumerate() {
            let target = if node == first { last } else { pointer as usize };
            matrix[node * nodes + target] = 1.0;
        }
        mask[first] = 1.0;
    }
    let mut shape = point.shape.clone();
    shape.push(nodes);
    let mask = DataPoint {
        name: mask_name(point.name),
        ty: Type::MaskOne,
        dtype: Dtype::Float32,
        data: masks,
        ..point.clone()
    };
    vec![DataPoint { ty: Type::PermutationPointer, dtype: Dtype::Float32, shape, data: matrices, ..point }, mask]
}

/// Which transformations to make, and the stream of random positions.
pub struct Transforms {
    rng: Option<RandomState>,
    pred_as_input: bool,
    permutations: bool,
}

impl Transforms {
    /// `random_pos`: seed of the random positions, if positions are to be random. `pred_as_input`: hand `pred_h` to the
    /// network as an input, for the algorithms in which it never changes. `permutations`: make permutations of what
    /// should be one.
    pub fn new(random_pos: Option<u32>, pred_as_input: bool, permutations: bool) -> Self {
        Self { rng: random_pos.map(RandomState::new), pred_as_input, permutations }
    }

    /// Transforms a batch of `algorithm`.
    ///
    /// # Errors
    /// As [`process_pred_as_input`], which no batch of a sampler can cause.
    pub fn apply(&mut self, algorithm: &Algorithm, mut batch: Batch) -> Result<Batch, ClrsError> {
        if let Some(rng) = &mut self.rng {
            process_random_pos(&mut batch, rng);
        }
        if self.pred_as_input && algorithm.pred_as_input {
            process_pred_as_input(&mut batch)?;
        }
        if self.permutations {
            process_permutations(&mut batch);
        }
        Ok(batch)
    }

    /// The contract of `algorithm` after these transformations, in the order of the contract before, which is not quite
    /// that of the batches: `pred` stays where `pred_h` was, but comes last among a batch's inputs.
    pub fn spec(&self, algorithm: &Algorithm) -> Vec<SpecEntry> {
        algorithm.spec().iter().flat_map(|entry| self.seen(algorithm, entry)).collect()
    }

    /// What a datum of `algorithm` becomes: mostly itself, in one case two data.
    pub fn seen(&self, algorithm: &Algorithm, entry: &SpecEntry) -> Vec<SpecEntry> {
        let entry = *entry;
        if self.pred_as_input && algorithm.pred_as_input && entry.name == "pred_h" {
            vec![SpecEntry { name: "pred", stage: Stage::Input, ..entry }]
        } else if self.permutations && entry.ty == Type::ShouldBePermutation {
            let (name, dtype) = (mask_name(entry.name), Dtype::Float32);
            let permutation = SpecEntry { ty: Type::PermutationPointer, dtype, ..entry };
            vec![permutation, SpecEntry { name, ty: Type::MaskOne, dtype, ..entry }]
        } else {
            vec![entry]
        }
    }
}

/// What a [`Pipeline`] makes.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// The algorithm that solves the problems.
    pub algorithm: &'static Algorithm,
    /// What is drawn.
    pub sampler: SamplerConfig,
    /// Samples of each batch, B.
    pub batch_size: usize,
    /// Seed of the random positions; `None` leaves positions evenly spaced.
    pub random_pos: Option<u32>,
    /// Hand `pred_h` to the network as an input, for the algorithms in which it never changes.
    pub pred_as_input: bool,
    /// Make permutations of what should be one.
    pub permutations: bool,
}

impl PipelineConfig {
    /// The reference's training data: samples on the fly with the trainer's arguments, all transformations.
    pub fn training(algorithm: &'static Algorithm, length: usize, batch_size: usize, seed: u32, pos_seed: u32) -> Self {
        let args = SamplerArgs::training(algorithm);
        Self {
            algorithm,
            sampler: SamplerConfig { args, ..SamplerConfig::on_the_fly(seed, length) },
            batch_size,
            random_pos: Some(pos_seed),
            pred_as_input: true,
            permutations: true,
        }
    }
}

/// A sampler with the transformations behind it.
pub struct Pipeline {
    sampler: Sampler,
    transforms: Transforms,
    batch_size: usize,
    spec: Vec<SpecEntry>,
}

impl Pipeline {
    /// # Errors
    /// As [`Sampler::new`]; also if the batch size is 0.
    pub fn new(config: PipelineConfig) -> Result<Self, ClrsError> {
        config.sampler.validate_batch(config.batch_size)?;
        let sampler = Sampler::new(config.algorithm, config.sampler)?;
        let transforms = Transforms::new(config.random_pos, config.pred_as_input, config.permutations);
        let spec = transforms.spec(config.algorithm);
        Ok(Self { sampler, transforms, batch_size: config.batch_size, spec })
    }

    /// The data points of the batches, see [`Transforms::spec`].
    pub fn spec(&self) -> &[SpecEntry] {
        &self.spec
    }

    /// Number of samples of each batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Least number of steps that the next batch's hints are padded to.
    pub fn steps(&self) -> usize {
        self.sampler.steps()
    }

    /// The next batch.
    ///
    /// # Errors
    /// As [`Sampler::next`].
    #[expect(clippy::should_implement_trait, reason = "it never ends, and fails")]
    pub fn next(&mut self) -> Result<Batch, ClrsError> {
        let batch = self.sampler.next(self.batch_size)?;
        self.transforms.apply(self.sampler.algorithm(), batch)
    }

    /// The whole dataset, in order, as batches of at most `size` samples (at least one), each padded to its own longest
    /// run: what an evaluation needs, without the memory that all of it takes as tensors. Random positions are those of
    /// [`Pipeline::all`].
    ///
    /// # Errors
    /// If there is no dataset, samples being drawn on the fly.
    pub fn parts(&mut self, size: usize) -> Result<impl Iterator<Item = Result<Batch, ClrsError>>, ClrsError> {
        let (dataset, algorithm) = (self.sampler.dataset()?, self.sampler.algorithm());
        let (size, transforms) = (size.max(1), &mut self.transforms);
        Ok((0..dataset.len()).step_by(size).map(move |first| {
            let part = dataset.select(first..first.saturating_add(size).min(dataset.len())).unpadded();
            transforms.apply(algorithm, part.to_batch())
        }))
    }

    /// The whole dataset as one batch.
    ///
    /// # Errors
    /// If there is none, samples being drawn on the fly.
    pub fn all(&mut self) -> Result<Batch, ClrsError> {
        let batch = self.sampler.dataset()?.to_batch();
        self.transforms.apply(self.sampler.algorithm(), batch)
    }
}
