//! A network's raw predictions and inner values over time, as it has them in training.

use std::collections::BTreeMap;

use executor::tensor::to_f64;
use executor::{Engine, Parameters};

use crate::batch::Encoded;
use crate::error::Result;
use crate::supervision::{Divisors, Supervision};
use crate::threads::OneThread;
use crate::unroll::{self, HeldOutputs};
use crate::workers::Settings;
use model::{Model, Steps};

/// Steps whose inner values are kept.
const INNER_STEPS: usize = 2;

/// What a run leaves, row-major.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// By hint: raw predictions of all steps, [S, B, ...].
    pub hints: Vec<Vec<f64>>,
    /// By output: raw predictions, of each sample those of its own last step.
    pub outputs: Vec<Vec<f64>>,
    /// By step, of the first few, inner values by name.
    pub inner: Vec<BTreeMap<&'static str, Vec<f64>>>,
}

/// Runs a network's training steps forward, with everything decoded at every step.
pub(super) struct Tracer<'m> {
    model: &'m Model,
    steps: Steps,
    /// Names of the inner values.
    inner: Vec<&'static str>,
    engine: Engine,
}

impl<'m> Tracer<'m> {
    pub fn new(model: &'m Model, settings: Settings) -> Result<Self> {
        let Settings { repred, forcing, passes, dtype, device, backend } = settings;
        let steps = Steps::training(model, repred, forcing)?;
        // To ask for inner values would keep passes from rewriting what they are of.
        let inner = if passes { Vec::new() } else { model.inner_values() };
        let (inner, nodes): (Vec<_>, Vec<_>) = inner.into_iter().unzip();
        let options = executor::Options { passes, gradients: false, dtype, networks: 1 };
        let engine = Engine::new([steps.trace(&nodes)], options, device, backend)?;
        Ok(Self { model, steps, inner, engine })
    }

    pub fn run(
        &mut self,
        parameters: &Parameters,
        batch: &Encoded,
        supervision: &Supervision,
        divisors: &Divisors,
    ) -> Result<Trace> {
        let _alone = OneThread::new();
        let model = self.model;
        let variants = vec![0; batch.network_steps()];
        let sequence = unroll::training(model, &self.steps, batch, supervision, divisors, &variants)?;
        let mut trace = Trace { hints: vec![Vec::new(); model.hints.len()], ..Trace::default() };
        let mut held = HeldOutputs::new(batch);
        let names = &self.inner;
        self.engine.run(parameters, &sequence, None, &mut |step, values| {
            let (hints, values) = values.split_at(model.hints.len().min(values.len()));
            let (outputs, inner) = values.split_at(model.outputs.len().min(values.len()));
            for (kept, value) in trace.hints.iter_mut().zip(hints) {
                kept.extend(to_f64(value)?);
            }
            held.take(step, outputs)?;
            if step < INNER_STEPS {
                let inner = names.iter().zip(inner).map(|(name, value)| Ok((*name, to_f64(value)?)));
                trace.inner.push(inner.collect::<executor::Result<_>>()?);
            }
            Ok(())
        })?;
        trace.outputs = held.finish(model)?.iter().map(to_f64).collect::<executor::Result<_>>()?;
        Ok(trace)
    }
}
