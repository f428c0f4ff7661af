//! A network over time: batches as sequences of the executor, and outputs taken at each sample's own last step.

use std::collections::BTreeMap;

use executor::tensor::{from_f64, size};
use executor::{Engine, Parameters, Sequence};
use tch::{Kind, Tensor};

use crate::Device;
use crate::batch::Encoded;
use crate::error::{NetworkError, Result};
use crate::supervision::{self, Divisors, Supervision};
use model::{Model, Record, Steps, Targets};

/// What a batch, or a part of one where the whole's divisors are given, leaves of a training step.
#[derive(Debug, Default)]
pub(crate) struct Taught {
    /// The losses of hints, then those of outputs.
    pub losses: Vec<f64>,
    /// For each step, what [`Model::statistics`] are moved towards.
    pub statistics: Vec<Vec<Tensor>>,
}

/// The losses of a batch. Adds the gradient of their sum to `gradient`.
pub(crate) fn learn(
    engine: &mut Engine,
    (model, steps): (&Model, &Steps),
    parameters: &Parameters,
    batch: &Encoded,
    supervision: &Supervision,
    divisors: &Divisors,
    gradient: &mut Tensor,
) -> Result<Taught> {
    let variants = variants(batch);
    let sequence = training(model, steps, batch, supervision, divisors, &variants)?;
    let mut statistics = Vec::new();
    let mut keep = |_: usize, values: &[Tensor]| -> executor::Result<()> {
        if !values.is_empty() {
            statistics.push(values.iter().map(Tensor::f_detach_copy).collect::<std::result::Result<_, _>>()?);
        }
        Ok(())
    };
    let mut losses = engine.run(parameters, &sequence, Some(gradient), &mut keep)?.losses;
    losses.resize(model.hints.len() + model.outputs.len(), 0.0);
    Ok(Taught { losses, statistics })
}

/// Raw outputs of a batch, predicted.
pub(crate) fn predict(
    engine: &mut Engine,
    model: &Model,
    parameters: &Parameters,
    batch: &Encoded,
) -> Result<Vec<Tensor>> {
    let variants = variants(batch);
    let sequence = evaluation(model, batch, &variants)?;
    let mut held = HeldOutputs::new(batch);
    engine.run(parameters, &sequence, None, &mut |step, outputs| held.take(step, outputs))?;
    held.finish(model)
}

/// A batch as [`Steps::recording`] takes it: with true hints at every step where `forced`, else at the first only.
pub(crate) fn recording<'a>(
    model: &Model,
    record: &Record,
    batch: &Encoded,
    forced: bool,
    variants: &'a [usize],
) -> Result<Sequence<'a>> {
    let mut sequence = evaluation(model, batch, variants)?;
    for (&input, truth) in record.truths.iter().zip(&batch.hints) {
        sequence.data.insert(input, supervision::predicted(truth)?);
    }
    let (kind, device) = batch.options()?;
    let flag = from_f64(&[f64::from(u8::from(forced))], &[1, 1], kind, device)?;
    let rows = [size(variants.len())?, batch.sizes.0];
    sequence.data.insert(record.forced, flag.f_expand(rows, false)?.f_contiguous()?);
    Ok(sequence)
}

/// For each step, which of [`Steps::variants`] it runs: outputs are only decoded where some sample keeps them.
pub(crate) fn variants(batch: &Encoded) -> Vec<usize> {
    let held = batch.held_steps();
    (0..batch.network_steps()).map(|step| usize::from(held.contains(&step))).collect()
}

/// A batch as [`Steps::training`] takes it.
pub(crate) fn training<'a>(
    model: &Model,
    steps: &Steps,
    batch: &Encoded,
    supervision: &Supervision,
    divisors: &Divisors,
    variants: &'a [usize],
) -> Result<Sequence<'a>> {
    let Some(Targets { hints, outputs, held, forced, noise, keys, going }) = &steps.targets else {
        return Err(NetworkError::Inconsistent("a step that predicts does not learn".to_owned()));
    };
    let mut sequence = evaluation(model, batch, variants)?;
    let Sequence { given, data, .. } = &mut sequence;
    let alive = supervision::alive(batch)?;
    let terms = hints.iter().zip(&model.hints).zip(&batch.hints).zip(&divisors.hints);
    for (((target, port), truth), &divisor) in terms {
        data.insert(target.truth, supervision::predicted(truth)?);
        data.insert(target.weight, supervision::hint_weights(&port.entry, truth, &alive, divisor)?);
    }
    let terms = outputs.iter().zip(&model.outputs).zip(&batch.outputs).zip(&divisors.outputs);
    for (((target, port), truth), &divisor) in terms {
        given.insert(target.truth, truth.shallow_clone());
        given.insert(target.weight, supervision::output_weights(&port.entry, truth, divisor)?);
    }
    data.insert(*held, supervision::held(batch)?);
    if let Some(forced) = forced {
        data.insert(*forced, supervision::forced(batch, supervision)?);
    }
    for (at, input) in noise.iter().enumerate() {
        let Some(input) = input else { continue };
        let rows = match supervision.noise.get(at).and_then(Option::as_ref) {
            Some(noise) => noise.f_narrow(0, 0, size(variants.len())?)?,
            None => {
                let ((b, n), (kind, device)) = (batch.sizes, batch.options()?);
                Tensor::f_zeros([size(variants.len())?, b, n, n], (kind, device.0))?
            }
        };
        data.insert(*input, rows);
    }
    for (application, inputs) in keys.iter().enumerate() {
        let missing = || NetworkError::Inconsistent("a step with noise was given no keys".to_owned());
        let rows = supervision.keys.as_ref().ok_or_else(missing)?.rows(application, variants.len())?;
        data.extend(inputs.iter().copied().zip(rows));
    }
    if let Some(going) = going {
        let (kind, device) = batch.options()?;
        data.insert(*going, Tensor::f_ones([size(variants.len())?], (kind, device.0))?);
    }
    Ok(sequence)
}

/// Sequences of several networks as one, with an axis for the networks behind that of time. Where a network has fewer steps than
/// others, zeros stand in the rest of its rows: nothing there counts. `variants`: see [`joint`].
pub(crate) fn side_by_side<'a>(networks: &[&Sequence<'_>], variants: &'a [usize]) -> Result<Sequence<'a>> {
    let first = networks.first().ok_or_else(|| NetworkError::Inconsistent("no network runs".to_owned()))?;
    if networks.iter().any(|other| other.sizes != first.sizes) {
        return Err(NetworkError::Inconsistent("networks side by side have batches of different sizes".to_owned()));
    }
    let absent = || NetworkError::Inconsistent("networks side by side have different inputs".to_owned());
    let steps = size(variants.len())?;
    let padded = |rows: &Tensor| -> Result<Tensor> {
        let mut shape = rows.size();
        let own = shape.first().copied().unwrap_or(0);
        if own == steps {
            return Ok(rows.shallow_clone());
        }
        if let Some(rows) = shape.first_mut() {
            *rows = steps - own;
        }
        let rest = Tensor::f_zeros(&shape, (rows.f_kind()?, rows.device()))?;
        Ok(Tensor::f_cat(&[rows, &rest], 0)?)
    };
    let mut sequence =
        Sequence { sizes: first.sizes, variants, given: BTreeMap::new(), data: BTreeMap::new(), state: Vec::new() };
    for &input in first.given.keys() {
        let each = networks.iter().map(|other| other.given.get(&input)).collect::<Option<Vec<&Tensor>>>();
        sequence.given.insert(input, Tensor::f_stack(&each.ok_or_else(absent)?, 0)?);
    }
    for &input in first.data.keys() {
        let each = networks.iter().map(|other| padded(other.data.get(&input).ok_or_else(absent)?));
        sequence.data.insert(input, Tensor::f_stack(&each.collect::<Result<Vec<_>>>()?, 1)?);
    }
    for at in 0..first.state.len() {
        let each = networks.iter().map(|other| other.state.get(at)).collect::<Option<Vec<&Tensor>>>();
        sequence.state.push(Tensor::f_stack(&each.ok_or_else(absent)?, 0)?);
    }
    Ok(sequence)
}

/// For each step of the longest of some networks, the variant that it runs: outputs are decoded where one of them keeps some.
pub(crate) fn joint(networks: &[Vec<usize>]) -> Vec<usize> {
    let steps = networks.iter().map(Vec::len).max().unwrap_or(0);
    let at = |step: usize| networks.iter().filter_map(|variants| variants.get(step)).copied().max().unwrap_or(0);
    (0..steps).map(at).collect()
}

/// A batch as [`Steps::evaluation`] takes it: true hints at the first step only.
pub(crate) fn evaluation<'a>(model: &Model, batch: &Encoded, variants: &'a [usize]) -> Result<Sequence<'a>> {
    let (kind, device) = batch.options()?;
    let (b, n) = batch.sizes;
    let given = model.inputs.iter().zip(&batch.inputs);
    let given = given.filter_map(|(port, x)| Some((port.input?, x.shallow_clone()))).collect();
    let mut state = vec![Tensor::f_zeros([b, n, size(model.width)?], (kind, device.0))?];
    for truth in &batch.hints {
        state.push(truth.f_select(0, 0)?);
    }
    Ok(Sequence { sizes: batch.sizes, variants, given, data: BTreeMap::new(), state })
}

/// Collects raw outputs, of each sample those of its own last step.
pub(crate) struct HeldOutputs {
    held: Vec<usize>,
    /// The axes of samples: [B], or those of several networks, [S, B].
    samples: Vec<i64>,
    outputs: Vec<Tensor>,
}

impl HeldOutputs {
    pub fn new(batch: &Encoded) -> Self {
        Self { held: batch.held_steps(), samples: vec![batch.sizes.0], outputs: Vec::new() }
    }

    /// The same for several networks, with an axis for them in front.
    pub fn side_by_side(batches: &[Encoded]) -> Result<Self> {
        let samples = batches.first().map_or(0, |batch| batch.sizes.0);
        let held = batches.iter().flat_map(Encoded::held_steps).collect();
        Ok(Self { held, samples: vec![size(batches.len())?, samples], outputs: Vec::new() })
    }

    /// Copies what samples keep of a step's outputs, which the engine will overwrite.
    pub fn take(&mut self, step: usize, values: &[Tensor]) -> executor::Result<()> {
        if !self.held.contains(&step) {
            return Ok(());
        }
        let flags: Vec<f64> = self.held.iter().map(|&held| f64::from(u8::from(held == step))).collect();
        let mut outputs = Vec::with_capacity(values.len());
        for (at, value) in values.iter().enumerate() {
            let ones = std::iter::repeat_n(1, value.dim().saturating_sub(self.samples.len()));
            let shape: Vec<i64> = self.samples.iter().copied().chain(ones).collect();
            let mine = from_f64(&flags, &shape, Kind::Bool, Device(value.device()))?;
            outputs.push(value.f_where_self(&mine, self.outputs.get(at).unwrap_or(value))?);
        }
        self.outputs = outputs;
        Ok(())
    }

    pub fn finish(self, model: &Model) -> Result<Vec<Tensor>> {
        if self.outputs.len() != model.outputs.len() {
            return Err(NetworkError::Inconsistent("no step decoded the outputs".to_owned()));
        }
        Ok(self.outputs)
    }
}
