//! What a training draws for its steps beside the batches.

use clrs::Batch;
use executor::rng::Rng;
use executor::tensor::{from_f64, size};
use model::{Model, TrainConfig};
use tch::{Kind, Tensor};

use crate::Device;
use crate::batch::{Encoded, Hints};
use crate::error::Result;
use crate::supervision::{Keys, Supervision};

/// The random stream of a training, and what it is drawn for.
pub(crate) struct Draws {
    pub rng: Rng,
    seed: u64,
    /// The share of samples and steps that are given true hints.
    forcing: f64,
}

impl Draws {
    pub fn new(cfg: &TrainConfig) -> Self {
        Self { rng: Rng::new(cfg.seed, "training"), seed: cfg.seed, forcing: cfg.hint_teacher_forcing }
    }

    /// The batch of a step, counted from 1, as tensors, and what the step is given besides. All lies on the CPU: these are many
    /// small operations, which take less time there than their launches on a GPU would, and the engine moves the results.
    pub fn step(&mut self, model: &Model, batch: &Batch, step: usize, kind: Kind) -> Result<(Encoded, Supervision)> {
        let encoded = Encoded::new(model, batch, Hints::All, kind, Device::CPU)?;
        let noise = self.noise(model, &encoded, kind)?;
        let keys = match model.in_training().keys.len() {
            0 => None,
            applications => Some(Keys::new(self.seed, step, &encoded, applications)?),
        };
        let supervision = Supervision { forced: self.forced(&encoded), noise, keys };
        Ok((encoded, supervision))
    }

    /// Gumbel noise for every output that is a permutation, [S, B, N, N].
    fn noise(&mut self, model: &Model, batch: &Encoded, kind: Kind) -> Result<Vec<Option<Tensor>>> {
        let (b, n) = batch.sizes;
        let shape = [size(batch.network_steps())?, b, n, n];
        let count = usize::try_from(shape.iter().product::<i64>()).unwrap_or(0);
        let mut draw = |port: &model::Port| -> Result<Option<Tensor>> {
            if port.input.is_none() {
                return Ok(None);
            }
            let data: Vec<f64> = (0..count).map(|_| self.rng.gumbel()).collect();
            Ok(Some(from_f64(&data, &shape, kind, Device::CPU)?))
        };
        model.outputs.iter().map(&mut draw).collect()
    }

    /// For each step, which samples are given the true hint; `None` where no sample is.
    fn forced(&mut self, batch: &Encoded) -> Vec<Option<Vec<bool>>> {
        let (steps, samples) = (batch.network_steps(), batch.lengths.len());
        match self.forcing {
            p if p <= 0.0 => vec![None; steps],
            // at certainty nothing is drawn
            p if p >= 1.0 => vec![Some(vec![true; samples]); steps],
            p => (0..steps).map(|_| Some((0..samples).map(|_| self.rng.uniform() < p).collect())).collect(),
        }
    }
}
