//! A network's step, split into what is done once for a sequence and what is done at every time step, with the gradient of
//! both as graphs.
//!
//! For losses summed over T steps, state `s`, data `d` of each step and static values `c`:
//!
//! ```text
//! c = fixed(parameters, inputs)            once
//! s[t+1], loss[t] = step(s[t], d[t], c)    t = 0 .. T
//! ds[t], dc[t] = step_back(...)            t = T-1 .. 0, dc added up over time
//! dparameters = fixed_back(dc)             once
//! ```
//!
//! A gradient of what does not vary is so added up over time first and multiplied once. What `step_back` needs of `step` is
//! either *saved*, or, where it is a chain of element-wise operations on smaller or saved values, computed again: that takes
//! less time than memory does.

use std::collections::{BTreeMap, BTreeSet};

use graph::{
    BinaryOp, DType, Dim, Graph, Input, NodeId, Op, ParamId, PassFault, Passes, Reference, Shape, Span, Step, numel,
};

use crate::error::{Error, Result};
use crate::kernels::bfloat16::Unit;
use crate::{Dtype, bfloat16, biases};

/// How a step is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the graph is rewritten to cost less.
    pub passes: bool,
    /// Whether gradients will be asked for.
    pub gradients: bool,
    /// The number format, which may round the operands of products.
    pub dtype: Dtype,
    /// Networks that run side by side: with several, parameters, inputs, state and outputs have an axis for them in front (see
    /// [`graph::vectorise`]), and there is one loss for each, the sum of its own.
    pub networks: usize,
}

/// A graph and the values that are wanted of it.
#[derive(Clone, Debug)]
pub struct Part {
    /// The graph.
    pub graph: Graph,
    /// The values that are wanted, in this order.
    pub outputs: Vec<NodeId>,
}

/// A compiled step. Inputs and outputs of the parts are in the order that each field says.
#[derive(Clone, Debug)]
pub struct Recurrence {
    /// Numbers of the step's inputs that are given once, and of those that are given at each step.
    pub(crate) given: Vec<usize>,
    pub(crate) data: Vec<usize>,
    /// Shapes of the state.
    pub(crate) state: Vec<Shape>,
    /// How many losses and outputs there are.
    pub(crate) losses: usize,
    pub(crate) outputs: usize,
    /// given → static values.
    pub(crate) fixed: Part,
    /// state, data, static values → next state, losses, outputs, saved values.
    pub(crate) step: Part,
    pub(crate) backward: Option<Backward>,
    /// The whole step as it was rewritten, for costs: what varies at each step and what does not.
    pub(crate) whole: Part,
    /// What multiplies in bfloat16, and rounds what it multiplies. `None`: everything is computed as the graphs say.
    pub(crate) unit: Option<Unit>,
    /// Passes that had to be left out.
    pub faults: Vec<PassFault>,
}

#[derive(Clone, Debug)]
pub(crate) struct Backward {
    /// state, data, static values, saved values, gradients of the next state → gradients of the state, and of those static
    /// values that depend on parameters.
    pub step: Part,
    /// given, gradients of static values → gradients of `params`.
    pub fixed: Part,
    pub params: Vec<ParamId>,
}

fn span() -> Span {
    Span::default()
}

/// Whether a node's value is known from its sizes alone.
pub(crate) fn is_constant(op: &Op) -> bool {
    matches!(op, Op::Scalar(_) | Op::Size(_) | Op::Full(_) | Op::Const(_) | Op::Arange { .. } | Op::Eye)
}

impl Recurrence {
    /// Compiles a step, for all sizes. `unit`: what multiplies in bfloat16 where `options.dtype` asks for it, so that the graph need
    /// not round.
    pub(crate) fn new(step: &Step, options: Options, unit: Option<Unit>) -> Result<Self> {
        let Step { graph, state, losses, outputs } = step;
        let next = state.iter().map(|(_, id)| *id);
        let wanted: Vec<NodeId> = next.chain(losses.iter().copied()).chain(outputs.iter().copied()).collect();
        let passes = if options.passes { Passes::all() } else { Passes::none() };
        let (whole, wanted, faults) = graph::optimise_reporting(graph, &wanted, &passes);
        let (whole, wanted) = if options.passes { biases::apart(&whole, &wanted)? } else { (whole, wanted) };
        let (whole, wanted, losses) = match options.networks {
            0 | 1 => (whole, wanted, losses.len()),
            networks => side_by_side(&whole, &wanted, state.len()..state.len() + losses.len(), networks)?,
        };
        let bf16 = options.dtype == Dtype::Bf16 && unit.is_none();
        let none = BTreeSet::new();
        let (whole, wanted) = if bf16 { bfloat16::rounded(&whole, &wanted, &none)? } else { (whole, wanted) };

        let is_state = |input: &usize| state.iter().any(|(other, _)| other == input);
        let numbers = 0..whole.inputs().len();
        let varies = |input: &usize| whole.inputs().get(*input).is_some_and(|input| input.varies);
        let given: Vec<usize> = numbers.clone().filter(|input| !varies(input) && !is_state(input)).collect();
        let data: Vec<usize> = numbers.filter(|input| varies(input) && !is_state(input)).collect();
        let entries: Vec<usize> = state.iter().map(|(input, _)| *input).chain(data.iter().copied()).collect();

        let frontier = frontier(&whole, &wanted);
        let fixed = cut(&whole, &Entry::inputs(&whole, given.iter().copied()), &frontier)?;
        let mut borders = Entry::inputs(&whole, entries);
        borders.extend(frontier.iter().map(|&id| Entry::node(&whole, id)));
        let forward = cut(&whole, &borders, &wanted)?;
        let shapes = |input: &usize| whole.inputs().get(*input).map(|input| input.shape.clone()).unwrap_or_default();
        let mut compiled = Self {
            state: state.iter().map(|(input, _)| shapes(input)).collect(),
            given,
            data,
            losses,
            outputs: outputs.len(),
            fixed,
            step: forward,
            backward: None,
            whole: Part { graph: whole, outputs: wanted },
            unit,
            faults,
        };
        if options.gradients {
            let trained = depends_on_trained(&compiled.whole.graph);
            let wanted = (0..frontier.len())
                .filter(|&at| frontier.get(at).and_then(|id| trained.get(id.index())).copied().unwrap_or(false));
            let wanted: Vec<usize> = wanted.collect();
            let entries = compiled.state.len() + compiled.data.len();
            let rounded =
                (entries..).zip(&frontier).filter(|(_, id)| bfloat16::is_rounded(&compiled.whole.graph, **id));
            let rounded = bf16.then(|| rounded.map(|(input, _)| input).collect());
            compiled.differentiate(wanted, rounded.as_ref())?;
        }
        Ok(compiled)
    }

    /// Whether each sample of a batch is computed by itself.
    pub fn is_independent(&self) -> bool {
        let next =
            self.whole.outputs.iter().take(self.state.len()).chain(self.whole.outputs.iter().rev().take(self.outputs));
        let batched: Vec<NodeId> = next.copied().collect();
        graph::passes::independent(&self.whole.graph, &batched)
    }

    /// Bytes of the largest value of a step, in float32.
    pub fn largest(&self) -> graph::Largest {
        graph::costs(&self.whole.graph, &self.whole.outputs).largest_tensor
    }

    /// Multiply-accumulates for B and N: of what is done once, and of a step.
    pub fn macs(&self, b: i64, n: i64) -> Option<(f64, f64)> {
        let costs = graph::costs(&self.whole.graph, &self.whole.outputs);
        let (all, step) = (costs.macs.eval(b, n)?, costs.macs_varying.eval(b, n)?);
        Some(((all - step) as f64, step as f64))
    }

    /// `rounded`: where products are rounded, the inputs of a step that are already.
    fn differentiate(&mut self, wanted: Vec<usize>, rounded: Option<&BTreeSet<usize>>) -> Result<()> {
        let (states, entries) = (self.state.len(), self.state.len() + self.data.len());
        let mut joint = self.step.graph.clone();
        let outputs = self.step.outputs.clone();
        let first = joint.inputs().len();
        let mut seeds = Vec::new();
        for (at, shape) in self.state.iter().enumerate() {
            let adjoint = joint.input(&format!("adjoint.{at}"), shape.clone(), DType::Float, true);
            seeds.extend(outputs.get(at).map(|&value| (value, adjoint)));
        }
        let one = joint.push_as(Op::Scalar(1.0), &[], Vec::new(), DType::Float, span())?;
        seeds.extend(outputs.iter().skip(states).take(self.losses).map(|&loss| (loss, one)));
        let nodes = input_nodes(&joint);
        let node = |input: usize| nodes.get(&input).copied().ok_or_else(|| Error::missing("an input"));
        let mut of = (0..states).map(node).collect::<Result<Vec<_>>>()?;
        for &at in &wanted {
            of.push(node(entries + at)?);
        }
        let found = graph::gradients(&mut joint, &seeds, &of)?;
        let mut gradients = Vec::new();
        let mut kept = Vec::new();
        for (at, (gradient, &of)) in found.iter().zip(&of).enumerate() {
            match (gradient, at.checked_sub(states)) {
                (Some(gradient), place) => {
                    gradients.push(*gradient);
                    kept.extend(place.and_then(|place| wanted.get(place).copied()));
                }
                (None, None) => {
                    let shape = joint.shape(of).clone();
                    gradients.push(joint.push_as(Op::Full(0.0), &[], shape, DType::Float, span())?);
                }
                // A static value on which no loss depends needs no place.
                (None, Some(_)) => {}
            }
        }
        let all: Vec<NodeId> = outputs.iter().chain(&gradients).copied().collect();
        let (joint, all) = finished(&joint, &all, rounded)?;
        let (forward, backward) = all.split_at(outputs.len().min(all.len()));

        let (saved, replay) = divide(&joint, forward, backward)?;
        let mut entries = Entry::inputs(&replay.graph, 0..joint.inputs().len());
        let adjoints = entries.split_off(first.min(entries.len()));
        entries.extend(replay.saved.iter().map(|&id| Entry::node(&replay.graph, id)));
        entries.extend(adjoints);
        let step = cut(&replay.graph, &entries, &replay.outputs)?;

        let forward_entries = Entry::inputs(&joint, 0..first);
        let forward: Vec<NodeId> = forward.iter().chain(&saved).copied().collect();
        self.step = cut(&joint, &forward_entries, &forward)?;

        let (fixed, params) = self.differentiate_fixed(&kept, rounded.is_some())?;
        self.backward = Some(Backward { step, fixed, params });
        Ok(())
    }

    /// The gradient of the static part.
    fn differentiate_fixed(&self, wanted: &[usize], bf16: bool) -> Result<(Part, Vec<ParamId>)> {
        let mut graph = self.fixed.graph.clone();
        let mut seeds = Vec::new();
        for &at in wanted {
            let value = *self.fixed.outputs.get(at).ok_or_else(|| Error::missing("a static value"))?;
            let shape = graph.shape(value).clone();
            seeds.push((value, graph.input(&format!("adjoint.{at}"), shape, DType::Float, false)));
        }
        let params: Vec<(ParamId, NodeId)> = graph
            .ids()
            .filter_map(|id| match graph.node(id).op {
                Op::Param(param) => Some((param, id)),
                _ => None,
            })
            .filter(|(param, _)| graph.params().get(param.index()).is_some_and(|param| param.trainable))
            .collect();
        let of: Vec<NodeId> = params.iter().map(|(_, id)| *id).collect();
        let found = graph::gradients(&mut graph, &seeds, &of)?;
        let found = params.iter().zip(found).filter_map(|((param, _), gradient)| Some((*param, gradient?)));
        let (params, outputs): (Vec<ParamId>, Vec<NodeId>) = found.unzip();
        let (graph, outputs) = finished(&graph, &outputs, bf16.then_some(&BTreeSet::new()))?;
        Ok((Part { graph, outputs }, params))
    }
}

/// The graph of several networks, its outputs, of which those in `losses` have become one number for each network, and how many
/// losses there now are.
fn side_by_side(
    graph: &Graph,
    wanted: &[NodeId],
    losses: std::ops::Range<usize>,
    networks: usize,
) -> Result<(Graph, Vec<NodeId>, usize)> {
    let (mut many, mut outputs) = graph::vectorise(graph, wanted, networks)?;
    let own: Vec<NodeId> = outputs.get(losses.clone()).unwrap_or_default().to_vec();
    let Some((&first, rest)) = own.split_first() else {
        let (many, outputs) = graph::normal_form(&many, &outputs);
        return Ok((many, outputs, 0));
    };
    let mut sum = first;
    for &loss in rest {
        sum = many.push(Op::Binary(BinaryOp::Add), &[sum, loss], span())?;
    }
    let of = |at: usize| Op::Select { dim: 0, index: Dim::of(at) };
    let each = (0..networks).map(|at| many.push(of(at), &[sum], span())).collect::<std::result::Result<Vec<_>, _>>()?;
    outputs.splice(losses, each);
    let (many, outputs) = graph::normal_form(&many, &outputs);
    Ok((many, outputs, networks))
}

/// A graph with its gradients in normal form. `rounded`: where products are rounded, the inputs that are already.
fn finished(graph: &Graph, outputs: &[NodeId], rounded: Option<&BTreeSet<usize>>) -> Result<(Graph, Vec<NodeId>)> {
    Ok(match rounded {
        Some(known) => bfloat16::rounded(graph, outputs, known)?,
        None => graph::normal_form(graph, outputs),
    })
}

/// The node of each input that has one.
fn input_nodes(graph: &Graph) -> BTreeMap<usize, NodeId> {
    let number = |id: NodeId| match graph.node(id).op {
        Op::Input(at) => Some((at as usize, id)),
        _ => None,
    };
    graph.ids().filter_map(number).collect()
}

/// Static values that what varies reads, or that are wanted themselves.
fn frontier(graph: &Graph, wanted: &[NodeId]) -> Vec<NodeId> {
    let varies = graph::passes::varying(graph);
    let varies = |id: NodeId| varies.get(id.index()).copied().unwrap_or(true);
    let read = graph.ids().filter(|&id| varies(id)).flat_map(|id| graph.node(id).args.clone());
    let all: BTreeSet<NodeId> = read.chain(wanted.iter().copied()).collect();
    all.into_iter().filter(|&id| !varies(id) && !is_constant(&graph.node(id).op)).collect()
}

/// By node: whether it is a float that depends on something that is trained.
fn depends_on_trained(graph: &Graph) -> Vec<bool> {
    let mut found: Vec<bool> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let own = match node.op {
            Op::Param(param) => graph.params().get(param.index()).is_some_and(|param| param.trainable),
            Op::Detach => false,
            _ => node.dtype == DType::Float && node.args.iter().any(|id| found.get(id.index()) == Some(&true)),
        };
        found.push(own);
    }
    found
}

/// What becomes an input of a part.
struct Entry {
    input: Input,
    /// In the graph that the part is cut from; absent where nothing there reads the input.
    node: Option<NodeId>,
}

impl Entry {
    /// Inputs of a graph, by their numbers.
    fn inputs(graph: &Graph, numbers: impl IntoIterator<Item = usize>) -> Vec<Self> {
        let unknown = || Input { name: String::new(), shape: Vec::new(), dtype: DType::Float, varies: true };
        let nodes = input_nodes(graph);
        let one = |number: usize| Self {
            input: graph.inputs().get(number).cloned().unwrap_or_else(unknown),
            node: nodes.get(&number).copied(),
        };
        numbers.into_iter().map(one).collect()
    }

    fn node(graph: &Graph, id: NodeId) -> Self {
        let node = graph.node(id);
        let name = format!("node.{}", id.index());
        Self { input: Input { name, shape: node.shape.clone(), dtype: node.dtype, varies: false }, node: Some(id) }
    }
}

/// The part of a graph between `entries`, which become its inputs in their order, and `wanted`.
fn cut(graph: &Graph, entries: &[Entry], wanted: &[NodeId]) -> Result<Part> {
    let mut part = Graph::with_params_of(graph);
    let mut map: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for Entry { input, node } in entries {
        let id = part.input(&input.name, input.shape.clone(), input.dtype, input.varies);
        map.extend(node.map(|node| (node, id)));
    }
    let mut needed = vec![false; graph.nodes().len()];
    let mut open = wanted.to_vec();
    while let Some(id) = open.pop() {
        if !map.contains_key(&id) && !std::mem::replace(&mut needed[id.index()], true) {
            open.extend(&graph.node(id).args);
        }
    }
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let node = graph.node(id);
        let copy = match node.op {
            Op::Param(param) => {
                let param = graph.params().get(param.index()).ok_or_else(|| Error::missing("a parameter"))?;
                part.param(param.clone(), node.span)
            }
            Op::Input(_) => return Err(Error::missing("an input of a part")),
            _ => {
                let args =
                    node.args.iter().map(|arg| map.get(arg).copied().ok_or_else(|| Error::missing("an argument")));
                let args = args.collect::<Result<Vec<_>>>()?;
                part.push_as(node.op.clone(), &args, node.shape.clone(), node.dtype, node.span)?
            }
        };
        map.insert(id, copy);
    }
    let outputs = wanted.iter().map(|id| map.get(id).copied().ok_or_else(|| Error::missing("an output")));
    Ok(Part { outputs: outputs.collect::<Result<_>>()?, graph: part })
}

/// The backward half, with what it computes again copied into it.
struct Replay {
    graph: Graph,
    /// In this graph: what is to be given.
    saved: Vec<NodeId>,
    outputs: Vec<NodeId>,
}

/// Decides what of the forward half is saved for the backward half, and what is computed again there.
fn divide(joint: &Graph, forward: &[NodeId], backward: &[NodeId]) -> Result<(Vec<NodeId>, Replay)> {
    let in_forward = graph::passes::live(joint, forward);
    let live = graph::passes::live(joint, backward);
    let forward_node = |id: NodeId| in_forward[id.index()];
    let mut needed: BTreeSet<NodeId> = backward.iter().copied().filter(|&id| forward_node(id)).collect();
    for id in joint.ids().filter(|&id| live[id.index()] && !forward_node(id)) {
        needed.extend(joint.node(id).args.iter().copied().filter(|&arg| forward_node(arg)));
    }
    let exact = exact(joint);
    let mut choice = Choice { joint, exact, saved: BTreeSet::new(), again: BTreeSet::new() };
    // What cannot be had again cheaply is saved in any case, and so free for what follows from it.
    for &id in &needed {
        choice.settle(id, false);
    }
    choice.save_shared(&needed);
    for &id in &needed {
        choice.settle(id, true);
    }
    let Choice { saved, again, .. } = choice;
    let saved: Vec<NodeId> = saved.into_iter().collect();

    let mut graph = Graph::with_params_of(joint);
    let mut map: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let nodes = input_nodes(joint);
    for (at, input) in joint.inputs().iter().enumerate() {
        let place = graph.input(&input.name, input.shape.clone(), input.dtype, input.varies);
        map.extend(nodes.get(&at).map(|&node| (node, place)));
    }
    let mut places = Vec::new();
    for &id in &saved {
        let node = joint.node(id);
        let place = graph.input(&format!("saved.{}", id.index()), node.shape.clone(), node.dtype, true);
        map.insert(id, place);
        places.push(place);
    }
    for id in joint.ids().filter(|&id| again.contains(&id) || (live[id.index()] && !forward_node(id))) {
        if map.contains_key(&id) {
            continue;
        }
        let node = joint.node(id);
        let args = node.args.iter().map(|arg| map.get(arg).copied().ok_or_else(|| Error::missing("a forward value")));
        let args = args.collect::<Result<Vec<_>>>()?;
        let copy = graph.push_as(node.op.clone(), &args, node.shape.clone(), node.dtype, node.span)?;
        map.insert(id, copy);
    }
    let outputs = backward.iter().map(|id| map.get(id).copied().ok_or_else(|| Error::missing("a gradient")));
    let outputs = outputs.collect::<Result<_>>()?;
    Ok((saved, Replay { graph, saved: places, outputs }))
}

/// A chain of more operations than this is not computed again.
const LONGEST: usize = 40;
/// The share of a value's size that its sources may have, to be saved in its place.
const SMALLER: f64 = 0.5;

/// Terms of a product that is computed again rather than saved, at the most: so many multiplications take less time than
/// writing an element to memory and reading it back.
const SHORT: i64 = 64;
/// Elements, at typical sizes, of a value that is worth it.
const LARGE: f64 = 1e5;

/// Whether a node is a product of few terms.
fn is_short_product(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let terms = node.args.first().and_then(|&x| graph.shape(x).last()).and_then(graph::Dim::as_known);
    matches!(node.op, Op::Linear { biased: false }) && terms.is_some_and(|terms| terms <= SHORT)
}

/// Values that are compared with others that were computed from them. They have to be the same to the last bit, which a
/// product that is computed in another place need not be.
fn exact(graph: &Graph) -> BTreeSet<NodeId> {
    let compares = |id: &NodeId| matches!(graph.node(*id).op, Op::ShareExtreme { .. } | Op::MaxPlusGrad { .. });
    let args = graph.ids().filter(compares).flat_map(|id| graph.node(id).args.clone());
    let shown = args.map(|mut id| {
        while let (true, Some(&arg)) = (graph.node(id).op.is_view(), graph.node(id).args.first()) {
            id = arg;
        }
        id
    });
    shown.collect()
}

struct Choice<'a> {
    joint: &'a Graph,
    exact: BTreeSet<NodeId>,
    saved: BTreeSet<NodeId>,
    again: BTreeSet<NodeId>,
}

impl Choice<'_> {
    /// Sees to it that a forward value is there in the backward half; what is not cheap is left for the first round only.
    fn settle(&mut self, id: NodeId, cheap: bool) {
        let node = self.joint.node(id);
        if matches!(node.op, Op::Input(_)) || self.saved.contains(&id) || self.again.contains(&id) {
            return;
        }
        if is_constant(&node.op) {
            self.again.insert(id);
            return;
        }
        // A view costs nothing: what it shows is what has to be there.
        if node.op.is_view() {
            if let Some(&shown) = node.args.first() {
                self.settle(shown, cheap);
            }
            if cheap {
                self.again.insert(id);
            }
            return;
        }
        let can = self.is_cheap(id, !self.exact.contains(&id));
        if can != cheap {
            if !can {
                self.saved.insert(id);
            }
            return;
        }
        if !can {
            self.saved.insert(id);
            return;
        }
        match self.sources(id) {
            Some((chain, sources)) if self.pays(id, &sources) => {
                self.again.extend(chain);
                self.saved.extend(sources);
            }
            _ => {
                self.saved.insert(id);
            }
        }
    }

    /// Saves what several needed values follow from, where these are larger together.
    fn save_shared(&mut self, needed: &BTreeSet<NodeId>) {
        let mut gain: BTreeMap<NodeId, f64> = BTreeMap::new();
        for &id in needed {
            let plain = self.is_cheap(id, !self.exact.contains(&id)) && !self.saved.contains(&id);
            let Some((_, sources)) = self.sources(id).filter(|_| plain) else { continue };
            let large: Vec<NodeId> =
                sources.into_iter().filter(|&source| self.size(source) > SMALLER * self.size(id)).collect();
            if let [only] = large[..] {
                *gain.entry(only).or_default() += self.size(id);
            }
        }
        let shared = gain.into_iter().filter(|&(source, gain)| gain > self.size(source) / SMALLER * 0.75);
        let shared: Vec<NodeId> = shared.map(|(source, _)| source).collect();
        self.saved.extend(shared);
    }

    /// Elements, at typical sizes.
    fn size(&self, id: NodeId) -> f64 {
        let reference = Reference::default();
        let count = numel(self.joint.shape(id)).eval(reference.b, reference.n);
        count.map_or(f64::INFINITY, |count| count as f64)
    }

    /// Whether computing a value again costs little, with or without products.
    fn is_cheap(&self, id: NodeId, products: bool) -> bool {
        let large = self.size(id) >= LARGE;
        let product = products && large && !self.exact.contains(&id) && is_short_product(self.joint, id);
        crate::shapes::is_cheap(self.joint, id) || product
    }

    /// What would be computed again, and what would have to be saved for that.
    fn sources(&self, id: NodeId) -> Option<(Vec<NodeId>, Vec<NodeId>)> {
        let products = !self.exact.contains(&id);
        let (mut chain, mut sources) = (BTreeSet::new(), BTreeSet::new());
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            let node = self.joint.node(next);
            if matches!(node.op, Op::Input(_)) || self.saved.contains(&next) || chain.contains(&next) {
                continue;
            }
            let follows = is_constant(&node.op) || node.op.is_view();
            if follows || (products && self.again.contains(&next)) || self.is_cheap(next, products) {
                chain.insert(next);
                open.extend(&node.args);
            } else {
                sources.insert(next);
            }
            if chain.len() > LONGEST {
                return None;
            }
        }
        Some((chain.into_iter().collect(), sources.into_iter().collect()))
    }

    fn pays(&self, id: NodeId, sources: &[NodeId]) -> bool {
        sources.iter().map(|&source| self.size(source)).sum::<f64>() <= SMALLER * self.size(id)
    }
}
