//! Evaluation: predictions without truth beyond the first hint, and their scores.

use std::borrow::Borrow;

use clrs::{Batch, DataPoint};
use executor::Parameters;
use executor::weights::Weights;
use graph::Processor;

use crate::batch::{Encoded, Hints};
use crate::error::{NetworkError, Result};
use crate::feedback::read_off;
use crate::score::{Scorer, Scores};
use crate::workers::{Settings, Workers};
use crate::{Backend, Device};
use model::data::{self, Dataset};
use model::{EvalConfig, Model};

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
    Ok(Dataset::of(data::evaluation(algorithm, config.data, config.length, config.samples, config.seed))?)
}

/// Scores all samples of some batches together.
pub(crate) fn score<B: Borrow<Batch>, E: Into<NetworkError>>(
    workers: &mut Workers<'_>,
    parameters: &Parameters,
    batches: impl IntoIterator<Item = std::result::Result<B, E>>,
) -> Result<Scores> {
    let mut scorer = Scorer::default();
    for batch in batches {
        let batch = batch.map_err(Into::into)?;
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
