//! A model's step, rewritten and scheduled for the values that are wanted of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{Graph, NodeId, Op, Passes};
use tch::{Kind, Tensor};

use crate::Device;
use crate::error::{NetworkError, Result};
use crate::execute::{Bound, Schedule, Values, is_constant};
use crate::parameters::Parameters;

/// A step of a network, for certain wanted values.
pub(crate) struct Compiled {
    graph: Arc<Graph>,
    /// By input.
    inputs: Vec<Option<NodeId>>,
    wanted: Vec<NodeId>,
    /// What stays over time, and what does not.
    fixed: Arc<Schedule>,
    step: Arc<Schedule>,
    bound: BTreeMap<(i64, i64), Bound>,
    kind: Kind,
    device: Device,
}

impl Compiled {
    /// `wanted` are nodes of `graph`, which is rewritten to cost less where `passes` is set.
    pub fn new(graph: &Graph, wanted: &[NodeId], passes: bool, kind: Kind, device: Device) -> Self {
        let chosen = if passes { Passes::all() } else { Passes::none() };
        let (graph, wanted) = graph::optimise(graph, wanted, &chosen);
        let varies = graph::passes::varying(&graph);
        let varies = |id: NodeId| varies.get(id.0 as usize).copied().unwrap_or(true);
        let given = |id: NodeId| {
            let op = &graph.node(id).op;
            matches!(op, Op::Input(_) | Op::Param(_)) || is_constant(op)
        };
        let fuse = passes && !device.is_cuda();
        let step = Arc::new(Schedule::new(&graph, &wanted, fuse, |id| given(id) || !varies(id)));
        let mut border: Vec<NodeId> = step.reads(&graph);
        border.extend(&wanted);
        border.retain(|&id| !varies(id) && !given(id));
        let fixed = Arc::new(Schedule::new(&graph, &border, fuse, given));
        let mut inputs = vec![None; graph.inputs.len()];
        for id in graph.ids() {
            if let Op::Input(input) = graph.node(id).op
                && let Some(slot) = inputs.get_mut(input as usize)
            {
                *slot = Some(id);
            }
        }
        Self { graph: Arc::new(graph), inputs, wanted, fixed, step, bound: BTreeMap::new(), kind, device }
    }

    /// The same, for another thread: tensors, which one thread at a time may use, are made anew.
    pub fn fork(&self) -> Self {
        Self {
            graph: Arc::clone(&self.graph),
            inputs: self.inputs.clone(),
            wanted: self.wanted.clone(),
            fixed: Arc::clone(&self.fixed),
            step: Arc::clone(&self.step),
            bound: BTreeMap::new(),
            kind: self.kind,
            device: self.device,
        }
    }

    /// Whether row b of every wanted value depends on row b of the inputs alone.
    pub fn is_independent(&self) -> bool {
        graph::passes::independent(&self.graph, &self.wanted)
    }

    /// Bytes of the largest value of a step, in float32.
    pub fn largest(&self) -> graph::Largest {
        graph::costs(&self.graph, &self.wanted).largest_tensor
    }

    /// Multiply-accumulates of what stays for a batch, and of a step.
    pub fn macs(&self, b: i64, n: i64) -> Option<(f64, f64)> {
        let costs = graph::costs(&self.graph, &self.wanted);
        let (all, step) = (costs.macs.eval(b, n)?, costs.macs_varying.eval(b, n)?);
        Some(((all - step) as f64, step as f64))
    }

    /// What stays for a batch: parameters, the given inputs, and what follows from them alone.
    pub fn prepare(&mut self, sizes: (i64, i64), parameters: &Parameters, inputs: Inputs<'_>) -> Result<Values> {
        if !self.bound.contains_key(&sizes) {
            let bound = Bound::new(Arc::clone(&self.graph), sizes, self.kind, self.device)?;
            self.bound.insert(sizes, bound);
        }
        let mut base = Values::new(&self.graph);
        parameters.bind(&self.graph, &mut base);
        self.give(inputs, &mut base);
        let mut fixed = Values::new(&self.graph);
        self.bound(sizes)?.run(&self.fixed, &base, &mut fixed)?;
        base.absorb(fixed);
        Ok(base)
    }

    /// The wanted values, in order, at one step.
    pub fn run(&self, sizes: (i64, i64), base: &Values, inputs: Inputs<'_>) -> Result<Vec<Tensor>> {
        let mut values = Values::new(&self.graph);
        self.give(inputs, &mut values);
        let bound = self.bound(sizes)?;
        bound.run(&self.step, base, &mut values)?;
        let value = |&id: &NodeId| {
            let value = values.get(id).or_else(|| base.get(id)).or_else(|| bound.constant(id));
            value
                .map(Tensor::shallow_clone)
                .ok_or_else(|| NetworkError::Inconsistent("a wanted value was dropped".to_owned()))
        };
        self.wanted.iter().map(value).collect()
    }

    fn give(&self, inputs: Inputs<'_>, values: &mut Values) {
        for (input, tensor) in inputs {
            if let Some(Some(id)) = self.inputs.get(*input) {
                values.set(*id, tensor.shallow_clone());
            }
        }
    }

    fn bound(&self, sizes: (i64, i64)) -> Result<&Bound> {
        self.bound.get(&sizes).ok_or_else(|| NetworkError::Inconsistent("the graph is not bound".to_owned()))
    }
}

/// Values by number of input.
pub(crate) type Inputs<'a> = &'a [(usize, Tensor)];
