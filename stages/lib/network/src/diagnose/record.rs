//! A run of a network of which every decision at every step is kept.

use clrs::{SpecEntry, Type};
use executor::tensor::to_f64;
use executor::{Engine, Parameters};
use graph::Largest;
use tch::Tensor;

use crate::batch::Encoded;
use crate::error::{NetworkError, Result};
use crate::score::first_largest;
use crate::threads::OneThread;
use crate::unroll::{self, HeldOutputs};
use crate::workers::{Settings, cut, cuts, each, joined};
use model::{Model, Record, Steps};

/// What a network decided about a batch.
pub(super) struct Recorded {
    /// By hint and step: a decision for each place of each sample (see [`decisions`]), sample by sample. A sample has none
    /// (NaN) after its last step.
    pub hints: Vec<Vec<Vec<f64>>>,
    /// Raw outputs, of each sample those of its own last step.
    pub outputs: Vec<Tensor>,
}

/// A model that is looked at while it predicts.
pub(super) struct Recorder<'m> {
    pub model: &'m Model,
    pub steps: Steps,
    record: Record,
    engines: Vec<Engine>,
    cuts: Option<Largest>,
    settings: Settings,
}

impl<'m> Recorder<'m> {
    pub fn new(model: &'m Model, settings: Settings) -> Result<Self> {
        let (steps, record) = Steps::recording(model, settings.repred)?;
        let engine = engine(steps.recorded(), settings)?;
        let cuts = cuts(&engine, settings);
        Ok(Self { model, steps, record, engines: vec![engine], cuts, settings })
    }

    /// Runs a batch, with true hints fed back where `forced`, else with predicted ones, as a score is made.
    pub fn run(&mut self, parameters: &Parameters, batch: &Encoded, forced: bool) -> Result<Recorded> {
        let parts = cut(self.cuts.as_ref(), batch);
        let (model, record) = (self.model, &self.record);
        if parts.len() <= 1 {
            let _alone = OneThread::new();
            return run(first(&mut self.engines)?, (model, record), parameters, batch, forced);
        }
        let jobs = parts.iter().map(|samples| Ok((batch.part(samples)?, parameters.share())));
        let jobs = jobs.collect::<Result<Vec<_>>>()?;
        let found = each(&mut self.engines, jobs, |engine, (batch, parameters)| {
            run(engine, (model, record), &parameters, &batch, forced)
        })?;
        let samples = batch.lengths.len();
        let mut hints = Vec::with_capacity(model.hints.len());
        for hint in 0..model.hints.len() {
            let of = |part: &Recorded, step: usize| part.hints.get(hint).and_then(|steps| steps.get(step)).cloned();
            let steps = (0..batch.network_steps()).map(|step| {
                let rows: Vec<_> = found.iter().map(|part| of(part, step)).collect();
                in_order(&rows, &parts, samples)
            });
            hints.push(steps.collect());
        }
        let outputs: Vec<Vec<Tensor>> = found.into_iter().map(|part| part.outputs).collect();
        let outputs = joined(&outputs, &parts, model.outputs.len(), self.settings.device)?;
        Ok(Recorded { hints, outputs })
    }

    /// The mean of values of the network over samples and the steps that they have, as [`Steps::means`] has it: over all
    /// places, too.
    pub fn means(
        &self,
        values: &[(graph::NodeId, bool)],
        parameters: &Parameters,
        batches: &[Encoded],
        forced: bool,
    ) -> Result<Vec<Vec<f64>>> {
        let _alone = OneThread::new();
        // To ask for inner values keeps passes from rewriting what they are of: there is little to gain.
        let settings = Settings { passes: false, ..self.settings };
        let mut engine = engine([self.steps.means(values)?], settings)?;
        let mut sums: Vec<(Vec<f64>, f64)> = vec![(Vec::new(), 0.0); values.len()];
        for batch in batches {
            let variants = vec![0; batch.network_steps()];
            let sequence = unroll::recording(self.model, &self.record, batch, forced, &variants)?;
            let samples = batch.lengths.len();
            engine.run(parameters, &sequence, None, &mut |step, found| {
                for ((sum, count), value) in sums.iter_mut().zip(found) {
                    let shape = value.size();
                    let value = to_f64(value)?;
                    let rows = if shape.first() == executor::tensor::size(samples).ok().as_ref() { samples } else { 1 };
                    let width = (value.len() / rows).max(1);
                    for (sample, row) in value.chunks_exact(width).enumerate() {
                        if rows > 1 && !has_step(batch, sample, step) {
                            continue;
                        }
                        sum.resize(width, 0.0);
                        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                        *count += 1.0;
                    }
                }
                Ok(())
            })?;
        }
        let mean = |(sum, count): (Vec<f64>, f64)| sum.into_iter().map(|x| x / f64::max(count, 1.0)).collect();
        Ok(sums.into_iter().map(mean).collect())
    }
}

/// Whether a step of the network predicts a hint that the sample has.
pub(super) fn has_step(batch: &Encoded, sample: usize, step: usize) -> bool {
    batch.lengths.get(sample).is_some_and(|&length| length > step + 1)
}

fn engine<const COUNT: usize>(steps: [executor::Step; COUNT], settings: Settings) -> Result<Engine> {
    let Settings { passes, dtype, device, backend, .. } = settings;
    let options = executor::Options { passes, gradients: false, dtype, networks: 1 };
    Ok(Engine::new(steps, options, device, backend)?)
}

fn first(engines: &mut [Engine]) -> Result<&mut Engine> {
    engines.first_mut().ok_or_else(|| NetworkError::Inconsistent("there is no engine".to_owned()))
}

fn run(
    engine: &mut Engine,
    (model, record): (&Model, &Record),
    parameters: &Parameters,
    batch: &Encoded,
    forced: bool,
) -> Result<Recorded> {
    let variants = unroll::variants(batch);
    let sequence = unroll::recording(model, record, batch, forced, &variants)?;
    let mut hints: Vec<Vec<Vec<f64>>> = vec![Vec::new(); model.hints.len()];
    let mut held = HeldOutputs::new(batch);
    engine.run(parameters, &sequence, None, &mut |step, values| {
        let (raw, outputs) = values.split_at(model.hints.len().min(values.len()));
        for ((kept, port), raw) in hints.iter_mut().zip(&model.hints).zip(raw) {
            let classes = raw.size().last().and_then(|&size| usize::try_from(size).ok()).unwrap_or(1);
            kept.push(decisions(&port.entry, &to_f64(raw)?, classes));
        }
        if outputs.is_empty() { Ok(()) } else { held.take(step, outputs) }
    })?;
    Ok(Recorded { hints, outputs: held.finish(model)? })
}

/// What raw predictions, row-major, decide: the number of a node or class, 0 or 1 of a mask, the value of a scalar.
/// `classes`: the size of the last axis.
fn decisions(entry: &SpecEntry, raw: &[f64], classes: usize) -> Vec<f64> {
    match entry.ty {
        Type::Scalar => raw.to_vec(),
        Type::Mask => raw.iter().map(|&x| f64::from(u8::from(x > 0.0))).collect(),
        _ => raw.chunks_exact(classes.max(1)).map(|row| first_largest(row) as f64).collect(),
    }
}

/// Rows of parts, sample by sample, in the order of the batch; a part without one has NaN.
fn in_order(rows: &[Option<Vec<f64>>], parts: &[Vec<usize>], samples: usize) -> Vec<f64> {
    let width = rows.iter().zip(parts).find_map(|(row, part)| Some(row.as_ref()?.len() / part.len().max(1)));
    let width = width.unwrap_or(0);
    let mut whole = vec![f64::NAN; samples * width];
    for (row, part) in rows.iter().zip(parts) {
        let Some(row) = row else { continue };
        for (value, &sample) in row.chunks_exact(width.max(1)).zip(part) {
            if let Some(place) = whole.get_mut(sample * width..(sample + 1) * width) {
                place.copy_from_slice(value);
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_parts_come_back_in_the_order_of_the_batch() {
        let rows = [Some(vec![5.0, 5.5, 1.0, 1.5]), None];
        let whole = in_order(&rows, &[vec![2, 0], vec![1]], 3);
        assert_eq!(whole[..2], [1.0, 1.5]);
        assert!(whole[2].is_nan() && whole[3].is_nan());
        assert_eq!(whole[4..], [5.0, 5.5]);
    }
}
