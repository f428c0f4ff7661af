//! A network's time step as the executor takes it: with what is carried to the next step, and with losses.
//!
//! The state is the hidden state and every hint in the form in which the next step consumes it. A network has two
//! alternatives for a time step: one for steps whose outputs no sample keeps, and one that decodes outputs as well.
//! (Compiled as one, layers of outputs would be merged with layers of hints and computed at every step.)

use clrs::{Repred, SpecEntry, Type};
use graph::{BinaryOp, DType, Dim, Graph, NodeId, Op, OpError, ReduceOp, Step, UnaryOp};

use crate::builder::Builder;
use crate::error::{ModelError, Result};
use crate::losses;
use crate::network::{Model, Port, encoded_shape};

/// Numbers of the inputs that say what is true of a datum and how much each of its losses weighs.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The input for the true values.
    pub truth: usize,
    /// The input for the weights of the losses.
    pub weight: usize,
}

/// Numbers of the inputs that only training has.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Rows of the hint that the step predicts, and of its weights.
    pub hints: Vec<Target>,
    /// Given once.
    pub outputs: Vec<Target>,
    /// 1 for samples whose outputs are those of this step, else 0; [B].
    pub held: usize,
    /// 1 for samples whose next step is given the true hint, else 0, [B]; where there is teacher forcing.
    pub forced: Option<usize>,
    /// For each output, its noise, where it takes some.
    pub noise: Vec<Option<usize>>,
    /// See [`Model::keys`].
    pub keys: Vec<[usize; 2]>,
    /// 1 where a step counts, else 0, one number for all samples; see [`Steps::pausing`].
    pub going: Option<usize>,
}

/// Numbers of the inputs that only recording has.
#[derive(Clone, Debug)]
pub struct Record {
    /// Rows of the hint that the step predicts.
    pub truths: Vec<usize>,
    /// 1 for samples whose next step is given the true hint, else 0, [B].
    pub forced: usize,
}

/// A network's time step.
#[derive(Clone, Debug)]
pub struct Steps {
    graph: Graph,
    state: Vec<(usize, NodeId)>,
    /// Raw predictions.
    hints: Vec<NodeId>,
    outputs: Vec<NodeId>,
    hint_losses: Vec<NodeId>,
    output_losses: Vec<NodeId>,
    /// In training: what running statistics are moved towards, handed out by each step.
    statistics: Vec<NodeId>,
    /// What training is given besides; absent in evaluation.
    pub targets: Option<Targets>,
}

impl Steps {
    /// The steps of a network in training. Losses, each a number that is summed over time, are those of hints, then of outputs.
    /// `forcing`: whether some samples may be given true hints.
    pub fn training(model: &Model, repred: Repred, forcing: bool) -> Result<Self> {
        let mut net = Builder { graph: model.graph.clone(), hidden: model.width };
        let (hints, outputs) = (logits(&model.hints)?, logits(&model.outputs)?);
        let hard = repred.is_hard(true);
        let forced = forcing.then(|| row(&mut net, "forced"));
        let chosen = match forced {
            Some((_, forced)) => {
                let none = net.scalar(0.0)?;
                Some(net.binary(BinaryOp::Gt, forced, none)?)
            }
            None => None,
        };
        let mut targets = Vec::new();
        let mut hint_losses = Vec::new();
        let mut next = Vec::new();
        for (port, &raw) in model.hints.iter().zip(&hints) {
            let (target, truth, weight) = target(&mut net, &port.entry, true);
            targets.push(target);
            hint_losses.push(losses::weighted(&mut net, &port.entry, raw, truth, weight)?);
            let mut value = feed_back(&mut net, port.entry.ty, raw, hard)?;
            if let Some(chosen) = chosen {
                let rank = net.graph.shape(value).len();
                let chosen = losses::per_sample_of(&mut net, rank, chosen)?;
                value = net.push(Op::Where, &[chosen, truth, value])?;
            }
            next.push(value);
        }
        let (held, now) = row(&mut net, "held");
        let mut output_targets = Vec::new();
        let mut output_losses = Vec::new();
        for (port, &raw) in model.outputs.iter().zip(&outputs) {
            let (target, truth, weight) = target(&mut net, &port.entry, false);
            output_targets.push(target);
            let now = losses::per_sample(&mut net, &port.entry, now)?;
            let weight = net.binary(BinaryOp::Mul, weight, now)?;
            output_losses.push(losses::weighted(&mut net, &port.entry, raw, truth, weight)?);
        }
        let targets = Targets {
            hints: targets,
            outputs: output_targets,
            held,
            forced: forced.map(|(number, _)| number),
            noise: model.outputs.iter().map(|port| port.input).collect(),
            keys: model.keys.clone(),
            going: None,
        };
        let state = state(model, &next)?;
        let (graph, targets) = (net.graph, Some(targets));
        let statistics = model.statistics.iter().flat_map(|statistic| statistic.batch).collect();
        Ok(Self { graph, state, hints, outputs, hint_losses, output_losses, statistics, targets })
    }

    /// The steps of a network that predicts: without truth beyond the first hint, and without noise.
    pub fn evaluation(model: &Model, repred: Repred) -> Result<Self> {
        let mut net = Builder { graph: without_noise(model), hidden: model.width };
        let (hints, outputs) = (logits(&model.hints)?, logits(&model.outputs)?);
        let hard = repred.is_hard(false);
        let pairs = model.hints.iter().zip(&hints);
        let next = pairs.map(|(port, &raw)| feed_back(&mut net, port.entry.ty, raw, hard));
        let next = next.collect::<std::result::Result<Vec<_>, OpError>>()?;
        let state = state(model, &next)?;
        let (hint_losses, output_losses, statistics) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { graph: net.graph, state, hints, outputs, hint_losses, output_losses, statistics, targets: None })
    }

    /// The steps of a network that predicts and is looked at: as [`Steps::evaluation`], or, where `forced` says so, with true hints.
    pub fn recording(model: &Model, repred: Repred) -> Result<(Self, Record)> {
        let mut net = Builder { graph: without_noise(model), hidden: model.width };
        let (hints, outputs) = (logits(&model.hints)?, logits(&model.outputs)?);
        let hard = repred.is_hard(false);
        let (forced, flag) = row(&mut net, "forced");
        let none = net.scalar(0.0)?;
        let chosen = net.binary(BinaryOp::Gt, flag, none)?;
        let (mut next, mut truths) = (Vec::new(), Vec::new());
        for (port, &raw) in model.hints.iter().zip(&hints) {
            truths.push(net.graph.inputs().len());
            let truth = net.input(&format!("truth.{}", port.entry.name), encoded_shape(&port.entry), true);
            let value = feed_back(&mut net, port.entry.ty, raw, hard)?;
            let rank = net.graph.shape(value).len();
            let chosen = losses::per_sample_of(&mut net, rank, chosen)?;
            next.push(net.push(Op::Where, &[chosen, truth, value])?);
        }
        let state = state(model, &next)?;
        let (hint_losses, output_losses, statistics) = (Vec::new(), Vec::new(), Vec::new());
        let steps =
            Self { graph: net.graph, state, hints, outputs, hint_losses, output_losses, statistics, targets: None };
        Ok((steps, Record { truths, forced }))
    }

    /// The same training for a network that runs beside others, whose batches may take more steps: where an input says so, the
    /// state stays what it is, and a step that does not count never goes far from those that do.
    pub fn pausing(self) -> Result<Self> {
        let Self { graph, mut state, mut targets, .. } = self;
        let mut net = Builder { graph, hidden: 0 };
        let number = net.graph.inputs().len();
        let flag = net.input("going", Vec::new(), true);
        let none = net.scalar(0.0)?;
        let going = net.binary(BinaryOp::Gt, flag, none)?;
        for (input, next) in &mut state {
            let before = net.graph.input_node(*input)?;
            *next = net.push(Op::Where, &[going, *next, before])?;
        }
        if let Some(targets) = &mut targets {
            targets.going = Some(number);
        }
        Ok(Self { graph: net.graph, state, targets, ..self })
    }

    /// Alternatives for a time step as [`Steps::variants`] has them, each of which hands out raw hints first.
    pub fn recorded(&self) -> [Step; 2] {
        [self.step(Vec::new(), self.hints.clone()), self.trace(&[])]
    }

    /// A time step that hands out the mean of each of these nodes over all axes but the batch, where there is one, and the
    /// last, where `features` says that it is one of features.
    pub fn means(&self, values: &[(NodeId, bool)]) -> Result<Step> {
        let mut net = Builder { graph: self.graph.clone(), hidden: 0 };
        let mut outputs = Vec::with_capacity(values.len());
        for &(value, features) in values {
            let shape = net.graph.shape(value);
            let first = usize::from(shape.first() == Some(&Dim::b()));
            let dims: Vec<usize> = (first..shape.len().saturating_sub(usize::from(features))).collect();
            outputs.push(match dims.is_empty() {
                true => value,
                false => net.push(Op::Reduce { op: ReduceOp::Mean, dims, keepdim: false }, &[value])?,
            });
        }
        Ok(Step { graph: net.graph, state: self.state.clone(), losses: Vec::new(), outputs })
    }

    /// The alternatives for a time step: one whose outputs no sample keeps, and one whose outputs some sample keeps. In
    /// training the latter has losses of outputs, in evaluation it hands out raw outputs. Training hands out what running
    /// statistics are moved towards.
    pub fn variants(&self) -> [Step; 2] {
        let all = self.hint_losses.iter().chain(&self.output_losses).copied().collect();
        let outputs = if self.targets.is_none() { self.outputs.clone() } else { self.statistics.clone() };
        [self.step(self.hint_losses.clone(), self.statistics.clone()), self.step(all, outputs)]
    }

    /// A time step that hands out raw hints, raw outputs, and `more` nodes of the model.
    pub fn trace(&self, more: &[NodeId]) -> Step {
        let outputs = self.hints.iter().chain(&self.outputs).chain(more).copied().collect();
        self.step(Vec::new(), outputs)
    }

    fn step(&self, losses: Vec<NodeId>, outputs: Vec<NodeId>) -> Step {
        Step { graph: self.graph.clone(), state: self.state.clone(), losses, outputs }
    }
}

fn logits(ports: &[Port]) -> Result<Vec<NodeId>> {
    let missing = |port: &Port| ModelError::Inconsistent(format!("{} is not decoded", port.entry.name));
    ports.iter().map(|port| port.logits.ok_or_else(|| missing(port))).collect()
}

/// The state's inputs, and what the next step is given there.
fn state(model: &Model, next_hints: &[NodeId]) -> Result<Vec<(usize, NodeId)>> {
    let mut state = vec![(model.hidden, model.next_hidden)];
    for (port, &next) in model.hints.iter().zip(next_hints) {
        let input = port.input.ok_or_else(|| ModelError::Inconsistent(format!("{} has no input", port.entry.name)))?;
        state.push((input, next));
    }
    Ok(state)
}

/// A new input of one number a sample at each step: its number and its node.
fn row(net: &mut Builder, name: &str) -> (usize, NodeId) {
    (net.graph.inputs().len(), net.input(name, vec![Dim::b()], true))
}

/// New inputs for what is true of a datum, and for weights: their numbers, and the nodes of both.
fn target(net: &mut Builder, entry: &SpecEntry, varies: bool) -> (Target, NodeId, NodeId) {
    let first = net.graph.inputs().len();
    let truth = net.input(&format!("truth.{}", entry.name), encoded_shape(entry), varies);
    let weight = net.input(&format!("weight.{}", entry.name), losses::weight_shape(entry), varies);
    (Target { truth: first, weight: first + 1 }, truth, weight)
}

/// The model's graph with zeros in place of noise, whose inputs are the last: other inputs keep their numbers.
fn without_noise(model: &Model) -> Graph {
    let mut graph = model.graph.clone();
    graph.zero_inputs(model.hidden + 1);
    graph
}

/// A predicted hint in the form in which hints enter the network. Decisions, which `hard` asks for, have no gradient.
fn feed_back(net: &mut Builder, ty: Type, logits: NodeId, hard: bool) -> std::result::Result<NodeId, OpError> {
    let last = net.graph.shape(logits).len().saturating_sub(1);
    if !hard {
        return match ty {
            Type::Scalar => Ok(logits),
            Type::Mask => net.unary(UnaryOp::Sigmoid, logits),
            _ => net.push(Op::Softmax { dim: last }, &[logits]),
        };
    }
    let logits = net.push(Op::Detach, &[logits])?;
    let chosen = match ty {
        Type::Scalar => return Ok(logits),
        Type::Mask => {
            let zero = net.scalar(0.0)?;
            net.binary(BinaryOp::Gt, logits, zero)?
        }
        // One-hot of the first of the largest: over nodes, the number of classes is not known when the graph is built.
        _ => {
            let best = net.push(Op::Reduce { op: ReduceOp::ArgMax, dims: vec![last], keepdim: true }, &[logits])?;
            let classes = net.graph.shape(logits).last().cloned().into_iter().collect();
            let places = net.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], classes, DType::Int)?;
            net.binary(BinaryOp::Eq, places, best)?
        }
    };
    let shape = net.graph.shape(chosen).clone();
    net.push_as(Op::Cast, &[chosen], shape, DType::Float)
}
