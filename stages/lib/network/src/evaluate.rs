//! Evaluation: predictions without truth beyond the first hint, and their scores.

use std::borrow::Borrow;

use clrs::{Batch, DataPoint, SamplerArgs, Split};
use executor::Parameters;
use executor::weights::Weights;
use graph::Processor;
use serde::{Deserialize, Serialize};

use crate::batch::{Encoded, Hints};
use crate::data::{self, Dataset};
use crate::error::{NetworkError, Result};
use crate::feedback::{Repred, read_off};
use crate::model::Model;
use crate::score::{Scorer, Scores};
use crate::workers::{Settings, Workers};
use crate::{Backend, Device, Dtype};

/// Which samples to evaluate on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvalData {
    /// Drawn from the seed with the arguments of training, never the benchmark's test samples.
    #[default]
    Validation,
    /// The benchmark's test split: its seed and arguments. Length and number of samples as configured; the benchmark's
    /// are given by [`EvalConfig::test`].
    Test,
}

/// What to evaluate on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalConfig {
    pub algorithm: String,
    pub hidden: usize,
    pub length: usize,
    pub samples: usize,
    /// Samples at a time: bounds memory, does not change scores.
    pub batch_size: usize,
    pub seed: u64,
    pub data: EvalData,
    pub hint_repred_mode: Repred,
    pub nb_msg_passing_steps: usize,
    pub dtype: Dtype,
}

impl EvalConfig {
    /// Samples of the same distribution as those of training, at another length.
    pub fn validation(algorithm: &str, hidden: usize, length: usize, samples: usize, seed: u64) -> Self {
        Self {
            algorithm: algorithm.to_owned(),
            hidden,
            length,
            samples,
            batch_size: 32,
            seed,
            data: EvalData::Validation,
            hint_repred_mode: Repred::Soft,
            nb_msg_passing_steps: 1,
            dtype: Dtype::F32,
        }
    }

    /// The benchmark's test split, whole.
    pub fn test(algorithm: &str, hidden: usize) -> Result<Self> {
        let samples = Split::Test.samples(data::find(algorithm)?);
        let config = Self::validation(algorithm, hidden, Split::Test.length(), samples, 0);
        Ok(Self { data: EvalData::Test, ..config })
    }
}

/// Scores a processor with trained weights.
pub fn evaluate(processor: &Processor, weights: &Weights, config: &EvalConfig, device: Device) -> Result<Scores> {
    check(processor, config)?;
    let algorithm = data::find(&config.algorithm)?;
    let model = Model::new(processor, &data::spec(algorithm), config.nb_msg_passing_steps)?;
    let parameters = Parameters::from_weights(&model.graph, weights, config.dtype, device)?;
    let mut workers = Workers::new(&model, settings(config, device))?;
    score(&mut workers, &parameters, dataset(config)?.parts(config.batch_size)?)
}

/// Whether the processor is one for this evaluation.
pub(crate) fn check(processor: &Processor, config: &EvalConfig) -> Result<()> {
    if processor.hidden != config.hidden {
        let reason = format!("the processor was built for {}, not {}", processor.hidden, config.hidden);
        return Err(NetworkError::Setting { setting: "hidden", reason });
    }
    Ok(())
}

/// How a network is run to be evaluated.
pub(crate) fn settings(config: &EvalConfig, device: Device) -> Settings {
    let (repred, dtype) = (config.hint_repred_mode, config.dtype);
    Settings { repred, forcing: false, passes: true, dtype, device, backend: Backend::Auto }
}

/// The samples of an evaluation.
pub(crate) fn dataset(config: &EvalConfig) -> Result<Dataset> {
    let algorithm = data::find(&config.algorithm)?;
    let (args, seeds) = match config.data {
        EvalData::Validation => {
            let seed = |what: &str| data::stream_seed(config.seed, &format!("eval/{}/{what}", config.length));
            (SamplerArgs::training_at(algorithm, config.length), (seed("data"), seed("positions")))
        }
        EvalData::Test => (SamplerArgs::default(), (Split::Test.seed(), Split::Test.seed())),
    };
    Dataset::new(algorithm, config.length, config.samples, args, seeds)
}

/// Scores all samples of some batches together.
pub(crate) fn score<B: Borrow<Batch>>(
    workers: &mut Workers<'_>,
    parameters: &Parameters,
    batches: impl IntoIterator<Item = Result<B>>,
) -> Result<Scores> {
    let mut scorer = Scorer::default();
    for batch in batches {
        let batch = batch?;
        let predictions = predict(workers, parameters, batch.borrow())?;
        scorer.add(batch.borrow(), &predictions)?;
    }
    Ok(scorer.scores())
}

/// Predicts the outputs of a batch, in the benchmark's layout.
pub(crate) fn predict(workers: &mut Workers<'_>, parameters: &Parameters, batch: &Batch) -> Result<Vec<DataPoint>> {
    let encoded = Encoded::new(workers.model, batch, Hints::First, parameters.kind(), Device::CPU)?;
    let outputs = workers.predict(parameters, &encoded)?;
    workers.model.outputs.iter().zip(&outputs).map(|(port, raw)| read_off(&port.entry, raw)).collect()
}
