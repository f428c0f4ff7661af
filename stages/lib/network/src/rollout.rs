//! The network over time: one step after the other, hints fed back, outputs held.
//!
//! What does not vary is computed once for a batch. Outputs are decoded only at steps whose outputs some sample keeps.

use std::collections::BTreeMap;

use graph::{NodeId, Op};
use tch::{Kind, Tensor};

use crate::Device;
use crate::batch::Encoded;
use crate::error::{NetworkError, Result};
use crate::execute::{Bound, Schedule, Values, is_constant};
use crate::feedback::{Repred, feed_back};
use crate::model::Model;
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

/// A model with its schedules.
pub(crate) struct Roller<'m> {
    pub model: &'m Model,
    /// What stays over time.
    fixed: Schedule,
    /// A step without outputs, and one with them.
    step: Schedule,
    last: Schedule,
    debug: Vec<(&'static str, NodeId)>,
    bound: BTreeMap<(i64, i64), Bound<'m>>,
    kind: Kind,
    device: Device,
}

impl<'m> Roller<'m> {
    pub fn new(model: &'m Model, kind: Kind, device: Device) -> Self {
        let graph = &model.graph;
        let mut varies = vec![false; graph.nodes.len()];
        for (at, node) in graph.nodes.iter().enumerate() {
            varies[at] = match node.op {
                Op::Input(input) => graph.inputs.get(input as usize).is_some_and(|input| input.varies),
                _ => node.args.iter().any(|id| varies.get(id.0 as usize).copied().unwrap_or(true)),
            };
        }
        let varies = |id: NodeId| varies.get(id.0 as usize).copied().unwrap_or(true);
        let given = |id: NodeId| {
            let op = &graph.node(id).op;
            matches!(op, Op::Input(_) | Op::Param(_)) || is_constant(op)
        };

        let logits = |ports: &[crate::model::Port]| ports.iter().filter_map(|port| port.logits).collect::<Vec<_>>();
        let mut wanted: Vec<NodeId> = logits(&model.hints);
        wanted.push(model.next_hidden);
        let mut all = wanted.clone();
        all.extend(logits(&model.outputs));
        let features = model.features;
        let mut debug = vec![
            ("node_fts", features.node),
            ("edge_fts", features.edge),
            ("graph_fts", features.graph),
            ("adj_mat", features.adjacency),
            ("hidden", model.hidden),
            ("next_hidden", model.next_hidden),
        ];
        debug.extend(model.tri_msgs.map(|id| ("tri_msgs", id)));

        // Everything fixed that a step (with outputs and inner values) looks at.
        let everything: Vec<NodeId> = all.iter().copied().chain(debug.iter().map(|(_, id)| *id)).collect();
        let whole = Schedule::new(graph, &everything, |id| given(id) || !varies(id));
        let mut border: Vec<NodeId> = whole.nodes().flat_map(|id| graph.node(id).args.clone()).collect();
        border.extend(&everything);
        border.retain(|&id| !varies(id) && !given(id));
        border.sort_unstable();
        border.dedup();
        Self {
            model,
            fixed: Schedule::new(graph, &border, given),
            step: Schedule::new(graph, &wanted, |id| given(id) || !varies(id)),
            last: Schedule::new(graph, &all, |id| given(id) || !varies(id)),
            debug,
            bound: BTreeMap::new(),
            kind,
            device,
        }
    }

    /// Runs a batch. Gradients are recorded unless the caller holds a `no_grad_guard`.
    pub fn run(&mut self, parameters: &Parameters, batch: &Encoded, mode: &Mode<'_>) -> Result<Rolled> {
        let model = self.model;
        let graph = &model.graph;
        let (b, n) = batch.sizes;
        if !self.bound.contains_key(&batch.sizes) {
            let bound = Bound::new(graph, batch.sizes, graph.ids(), self.kind, self.device)?;
            self.bound.insert(batch.sizes, bound);
        }
        let Some(bound) = self.bound.get(&batch.sizes) else {
            return Err(NetworkError::Inconsistent("the graph is not bound".to_owned()));
        };

        let mut base = Values::new(graph);
        parameters.bind(graph, &mut base);
        for (port, tensor) in model.inputs.iter().zip(&batch.inputs) {
            if let Some(id) = port.value {
                base.set(id, tensor.shallow_clone());
            }
        }
        let mut fixed = Values::new(graph);
        bound.run(&self.fixed, &base, &mut fixed)?;
        for id in graph.ids() {
            if let Some(value) = fixed.take(id) {
                base.set(id, value);
            }
        }

        let with_debug = Schedule::new(
            graph,
            &self.last.nodes().chain(self.debug.iter().map(|(_, id)| *id)).collect::<Vec<_>>(),
            |id| base.get(id).is_some() || matches!(graph.node(id).op, Op::Input(_)) || is_constant(&graph.node(id).op),
        );
        let steps = batch.network_steps();
        let held = batch.held_steps();
        let hard = mode.repred.is_hard(mode.training);
        let mut outputs: Vec<Option<Tensor>> = model.outputs.iter().map(|_| None).collect();
        let mut hints: Vec<Vec<Tensor>> = model.hints.iter().map(|_| Vec::with_capacity(steps)).collect();
        let mut debug = Vec::new();
        let width = crate::tensor::size(model.width)?;
        let mut hidden = Tensor::f_zeros([b, n, width], (self.kind, self.device.0))?;
        let mut fed: Vec<Tensor> = Vec::new();
        for step in 0..steps {
            let mut values = Values::new(graph);
            let forced = if step == 0 { None } else { mode.forced.and_then(|forced| forced(step)) };
            for (at, (port, truth)) in model.hints.iter().zip(&batch.hints).enumerate() {
                let value = match (fed.get(at), &forced) {
                    (Some(fed), None) => fed.shallow_clone(),
                    (Some(fed), Some(forced)) => self.force(fed, &row(truth, step)?, forced)?,
                    (None, _) => row(truth, step)?,
                };
                if let Some(id) = port.value {
                    values.set(id, value);
                }
            }
            values.set(model.hidden, hidden);
            for (at, port) in model.outputs.iter().enumerate() {
                if let Some(id) = port.value {
                    let given = mode.noise.and_then(|noise| noise.get(at)).and_then(Option::as_ref);
                    let noise = match given {
                        Some(noise) => row(noise, step)?,
                        None => Tensor::f_zeros([b, n, n], (self.kind, self.device.0))?,
                    };
                    values.set(id, noise);
                }
            }

            let keeping = held.contains(&step);
            if step < mode.debug_steps {
                bound.run(&with_debug, &base, &mut values)?;
                let value = |id: NodeId| values.get(id).or_else(|| base.get(id)).map(Tensor::shallow_clone);
                debug.push(self.debug.iter().filter_map(|(name, id)| Some((*name, value(*id)?))).collect());
            } else {
                bound.run(if keeping { &self.last } else { &self.step }, &base, &mut values)?;
            }
            if keeping {
                for (port, output) in model.outputs.iter().zip(&mut outputs) {
                    let new = wanted(&values, &base, port.logits)?;
                    *output = Some(match output.take() {
                        None => new,
                        Some(old) => {
                            let mine: Vec<bool> = held.iter().map(|&held| held == step).collect();
                            self.force(&old, &new, &mine)?
                        }
                    });
                }
            }
            fed.clear();
            for (port, kept) in model.hints.iter().zip(&mut hints) {
                let raw = wanted(&values, &base, port.logits)?;
                if step + 1 < steps {
                    fed.push(feed_back(port.entry.ty, &raw, hard)?);
                }
                if mode.keep_hints {
                    kept.push(raw);
                }
            }
            hidden = wanted(&values, &base, Some(model.next_hidden))?;
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

fn wanted(values: &Values, base: &Values, id: Option<NodeId>) -> Result<Tensor> {
    let value = id.and_then(|id| values.get(id).or_else(|| base.get(id)));
    value.map(Tensor::shallow_clone).ok_or_else(|| NetworkError::Inconsistent("a wanted value was dropped".to_owned()))
}
