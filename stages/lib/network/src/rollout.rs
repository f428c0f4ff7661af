//! The network over time: one step after the other, hints fed back, outputs held.
//!
//! What does not vary is computed once for a batch. Outputs are decoded only at steps whose outputs some sample keeps.

use std::collections::BTreeMap;

use graph::NodeId;
use tch::{Kind, Tensor};

use crate::Device;
use crate::batch::Encoded;
use crate::compiled::Compiled;
use crate::error::{NetworkError, Result};
use crate::feedback::{Repred, feed_back};
use crate::model::{Model, Port};
use crate::parameters::Parameters;
use crate::tensor::from_f64;

/// How a batch is run.
pub(crate) struct Mode<'a> {
    /// Training and evaluation differ in what is fed back and in the noise.
    pub training: bool,
    pub repred: Repred,
    /// For each step but the first, the samples that are given the true hint; absent: none.
    pub forced: Option<&'a dyn Fn(usize) -> Option<Vec<bool>>>,
    /// For each output that is a permutation, [S, B, N, N]; absent: none, as in evaluation.
    pub noise: Option<&'a [Option<Tensor>]>,
    /// Keep the raw hints of all steps: for the loss.
    pub keep_hints: bool,
    /// Steps whose inner values to keep.
    pub debug_steps: usize,
}

impl Mode<'_> {
    /// Prediction: true hints at the first step only, no noise.
    pub fn evaluation(repred: Repred) -> Self {
        Self { training: false, repred, forced: None, noise: None, keep_hints: false, debug_steps: 0 }
    }
}

/// What a run leaves.
pub(crate) struct Rolled {
    /// Raw outputs, each sample's from its own last step.
    pub outputs: Vec<Tensor>,
    /// Raw hints [S, B, ...], if kept.
    pub hints: Vec<Tensor>,
    /// For each step asked for, inner values by name.
    pub debug: Vec<BTreeMap<&'static str, Tensor>>,
}

/// A model, compiled twice: for steps whose outputs nobody keeps, and for those whose outputs some sample keeps.
/// (Compiled as one, layers of outputs would be merged with layers of hints and computed at every step.)
pub(crate) struct Roller<'m> {
    pub model: &'m Model,
    inner: Compiled,
    last: Compiled,
    /// Names of the inner values that [`Roller::last`] gives after the others.
    debug: Vec<&'static str>,
    kind: Kind,
    device: Device,
}

impl<'m> Roller<'m> {
    /// `passes`: whether to rewrite the graph first. Inner values are only kept where it is not.
    pub fn new(model: &'m Model, passes: bool, kind: Kind, device: Device) -> Self {
        let logits = |ports: &[Port]| ports.iter().filter_map(|port| port.logits).collect::<Vec<_>>();
        let mut wanted: Vec<NodeId> = logits(&model.hints);
        wanted.push(model.next_hidden);
        let inner = Compiled::new(&model.graph, &wanted, passes, kind, device);
        wanted.extend(logits(&model.outputs));
        let debug = if passes { Vec::new() } else { model.inner_values() };
        wanted.extend(debug.iter().map(|(_, id)| *id));
        let last = Compiled::new(&model.graph, &wanted, passes, kind, device);
        let debug = debug.into_iter().map(|(name, _)| name).collect();
        Self { model, inner, last, debug, kind, device }
    }

    /// The same, for another thread.
    pub fn fork(&self) -> Self {
        Self {
            model: self.model,
            inner: self.inner.fork(),
            last: self.last.fork(),
            debug: self.debug.clone(),
            kind: self.kind,
            device: self.device,
        }
    }

    /// Whether each sample of a batch is computed by itself.
    pub fn is_independent(&self) -> bool {
        self.inner.is_independent() && self.last.is_independent()
    }

    /// Bytes of the largest value that every step makes, in float32.
    pub fn largest(&self) -> graph::Largest {
        self.inner.largest()
    }

    /// Multiply-accumulates of matrix products for B and N: once for a batch, and at each step whose outputs nobody keeps.
    pub fn macs(&self, b: i64, n: i64) -> Option<(f64, f64)> {
        self.inner.macs(b, n)
    }

    /// Runs a batch. Gradients are recorded unless the caller holds a `no_grad_guard`.
    pub fn run(&mut self, parameters: &Parameters, batch: &Encoded, mode: &Mode<'_>) -> Result<Rolled> {
        let model = self.model;
        let sizes = batch.sizes;
        let fixed: Vec<(usize, Tensor)> = model
            .inputs
            .iter()
            .zip(&batch.inputs)
            .filter_map(|(port, x)| Some((port.input?, x.shallow_clone())))
            .collect();
        let inner = self.inner.prepare(sizes, parameters, &fixed)?;
        let last = self.last.prepare(sizes, parameters, &fixed)?;

        let steps = batch.network_steps();
        let held = batch.held_steps();
        let hard = mode.repred.is_hard(mode.training);
        let mut outputs: Vec<Option<Tensor>> = model.outputs.iter().map(|_| None).collect();
        let mut hints: Vec<Vec<Tensor>> = model.hints.iter().map(|_| Vec::with_capacity(steps)).collect();
        let mut debug = Vec::new();
        let width = crate::tensor::size(model.width)?;
        let mut hidden = Tensor::f_zeros([sizes.0, sizes.1, width], (self.kind, self.device.0))?;
        let mut fed: Vec<Tensor> = Vec::new();
        for step in 0..steps {
            let mut inputs = self.hint_inputs(batch, mode, step, &fed)?;
            inputs.push((model.hidden, hidden));
            let keeping = held.contains(&step);
            let values = if keeping || step < mode.debug_steps {
                self.noise_inputs(batch, mode, step, &mut inputs)?;
                self.last.run(sizes, &last, &inputs)?
            } else {
                self.inner.run(sizes, &inner, &inputs)?
            };
            drop(inputs);
            let mut values = values.into_iter();

            fed.clear();
            for (port, kept) in model.hints.iter().zip(&mut hints) {
                let raw = next(&mut values)?;
                if step + 1 < steps {
                    fed.push(feed_back(port.entry.ty, &raw, hard)?);
                }
                if mode.keep_hints {
                    kept.push(raw);
                }
            }
            hidden = next(&mut values)?;
            if keeping {
                for output in &mut outputs {
                    let new = next(&mut values)?;
                    *output = Some(match output.take() {
                        None => new,
                        Some(old) => {
                            let mine: Vec<bool> = held.iter().map(|&held| held == step).collect();
                            self.force(&old, &new, &mine)?
                        }
                    });
                }
            } else if step < mode.debug_steps {
                values.by_ref().take(model.outputs.len()).for_each(drop);
            }
            if step < mode.debug_steps {
                debug.push(self.debug.iter().copied().zip(values).collect());
            }
        }
        let outputs = outputs.into_iter().flatten().collect::<Vec<_>>();
        if outputs.len() != model.outputs.len() {
            return Err(NetworkError::Inconsistent("no step decoded the outputs".to_owned()));
        }
        let hints = if mode.keep_hints {
            hints.iter().map(|steps| Ok(Tensor::f_stack(steps, 0)?)).collect::<Result<_>>()?
        } else {
            Vec::new()
        };
        Ok(Rolled { outputs, hints, debug })
    }

    /// The hints that a step is given: true ones at first, then those predicted by the step before, unless forced.
    fn hint_inputs(
        &self,
        batch: &Encoded,
        mode: &Mode<'_>,
        step: usize,
        fed: &[Tensor],
    ) -> Result<Vec<(usize, Tensor)>> {
        let forced = if step == 0 { None } else { mode.forced.and_then(|forced| forced(step)) };
        let mut inputs = Vec::with_capacity(batch.hints.len() + 1);
        for (at, (port, truth)) in self.model.hints.iter().zip(&batch.hints).enumerate() {
            let value = match (fed.get(at), &forced) {
                (Some(fed), None) => fed.shallow_clone(),
                (Some(fed), Some(forced)) => self.force(fed, &row(truth, step)?, forced)?,
                (None, _) => row(truth, step)?,
            };
            inputs.extend(port.input.map(|input| (input, value)));
        }
        Ok(inputs)
    }

    fn noise_inputs(
        &self,
        batch: &Encoded,
        mode: &Mode<'_>,
        step: usize,
        inputs: &mut Vec<(usize, Tensor)>,
    ) -> Result<()> {
        let (b, n) = batch.sizes;
        for (at, port) in self.model.outputs.iter().enumerate() {
            if let Some(input) = port.input {
                let given = mode.noise.and_then(|noise| noise.get(at)).and_then(Option::as_ref);
                let noise = match given {
                    Some(noise) => row(noise, step)?,
                    None => Tensor::f_zeros([b, n, n], (self.kind, self.device.0))?,
                };
                inputs.push((input, noise));
            }
        }
        Ok(())
    }

    /// `new` for the chosen samples, `old` for the others.
    fn force(&self, old: &Tensor, new: &Tensor, chosen: &[bool]) -> Result<Tensor> {
        if chosen.iter().all(|&chosen| chosen) {
            return Ok(new.shallow_clone());
        }
        let flags: Vec<f64> = chosen.iter().map(|&chosen| f64::from(u8::from(chosen))).collect();
        let mut shape = vec![1; old.dim()];
        if let Some(first) = shape.first_mut() {
            *first = crate::tensor::size(flags.len())?;
        }
        let flags = from_f64(&flags, &shape, Kind::Bool, self.device)?;
        Ok(new.f_where_self(&flags, old)?)
    }
}

fn row(tensor: &Tensor, step: usize) -> Result<Tensor> {
    Ok(tensor.f_select(0, crate::tensor::size(step)?)?)
}

fn next(values: &mut impl Iterator<Item = Tensor>) -> Result<Tensor> {
    values.next().ok_or_else(|| NetworkError::Inconsistent("a wanted value is missing".to_owned()))
}
