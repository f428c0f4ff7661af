//! The typed graph under construction. Whatever a program computes with tensors becomes a node here, checked as it is added.

use graph::{DType, Dim, Graph, Init, NodeId, Op, Param, Shape, Span};

use super::arith;
use super::layout::Layouts;
use super::narrow::Widths;
use super::random::Mode;
use super::reach::Reach;
use super::saved::Tape;
use super::value::{Data, Literal, Tensor};
use super::{R, Run};
use crate::rules::Rule;

/// A parameter or buffer while the program is evaluated.
pub struct Leaf {
    pub shape: Vec<usize>,
    pub init: Init,
    pub dtype: DType,
    pub buffer: bool,
    pub trainable: bool,
    pub transient: bool,
    pub node: Option<NodeId>,
    pub span: Span,
}

impl Leaf {
    /// How it starts, as a tensor.
    pub fn start(&self) -> Literal {
        Literal { shape: self.shape.clone(), init: self.init.clone(), dtype: self.dtype }
    }
}

/// How far evaluation has come: what may be made or changed depends on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The module's body, the factory, `__init__`.
    Load,
    /// The first call of `forward`, which may create layers.
    First,
    /// The second call: what training runs.
    Second,
}

pub struct Tracer {
    pub run: Run,
    pub layouts: Layouts,
    pub widths: Widths,
    pub tape: Tape,
    pub mode: Mode,
    /// How often modules have registered a layer or parameter, or lost one.
    pub registered: u64,
    graph: Graph,
    leaves: Vec<Leaf>,
    reach: Reach,
    phase: Phase,
    no_grad: bool,
}

impl Tracer {
    pub fn new(graph: Graph, run: Run) -> Self {
        Self {
            run,
            layouts: Layouts::default(),
            widths: Widths::default(),
            tape: Tape::default(),
            mode: Mode::default(),
            registered: 0,
            graph,
            leaves: Vec::new(),
            reach: Reach::default(),
            phase: Phase::Load,
            no_grad: false,
        }
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    pub fn shape(&self, id: NodeId) -> &Shape {
        self.graph.shape(id)
    }

    /// How many axes a node has.
    pub fn rank(&self, id: NodeId) -> usize {
        self.shape(id).len()
    }

    pub fn dtype(&self, id: NodeId) -> DType {
        self.graph.dtype(id)
    }

    /// Ends the graph, which is empty from then on.
    pub fn take_graph(&mut self) -> Graph {
        std::mem::take(&mut self.graph)
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Gives one more call as much as all before it were given.
    pub fn extend_budgets(&mut self) {
        self.run.meter.extend(self.graph.nodes().len());
    }

    /// Goes one level deeper into values that hold each other.
    pub fn nested<T>(&mut self, walk: impl FnOnce(&mut Self) -> R<T>) -> R<T> {
        self.run.descend()?;
        let done = walk(self);
        self.run.meter.ascend();
        done
    }

    /// Whether gradients are off, as inside of `torch.no_grad()`.
    pub fn no_grad(&self) -> bool {
        self.no_grad
    }

    pub fn set_no_grad(&mut self, off: bool) {
        self.no_grad = off;
    }

    /// Does something behind the back of the gradients.
    pub fn without_gradients<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.no_grad, true);
        let done = f(self);
        self.no_grad = before;
        done
    }

    /// What `torch.is_grad_enabled()` gives: an evaluation computes without gradients.
    pub fn is_grad_enabled(&mut self) -> bool {
        !self.no_grad && self.mode.ask(self.run.here())
    }

    /// Whether a node depends on an input.
    pub fn has_input(&mut self, id: NodeId) -> bool {
        self.reach.has_input(&self.graph, id)
    }

    /// Whether gradients flow through a node to a parameter or to an input other than the adjacency matrix, which no encoder makes.
    pub fn has_gradient(&mut self, id: NodeId) -> bool {
        self.reach.has_gradient(&self.graph, id)
    }

    /// Begins a change of a tensor in place: what is computed from now on is computed for it.
    pub fn begin_write(&mut self) {
        self.tape.begin(self.graph.nodes().len());
    }

    /// As [`Tracer::begin_write`], unless a change is being made.
    pub fn continue_write(&mut self) {
        self.tape.begin_outer(self.graph.nodes().len());
    }

    /// Ends a change of a tensor in place, and gives the number of nodes when it began.
    pub fn end_write(&mut self) -> usize {
        self.tape.end().unwrap_or(self.graph.nodes().len())
    }

    // === Parameters and buffers ===

    pub fn leaf(&self, index: usize) -> Option<&Leaf> {
        self.leaves.get(index)
    }

    pub fn set_trainable(&mut self, index: usize, trainable: bool) {
        if let Some(leaf) = self.leaves.get_mut(index) {
            leaf.trainable = trainable;
        }
    }

    /// Changes how a parameter or buffer starts; `f` is given how it started before, and the number of its elements.
    pub fn restart(&mut self, index: usize, f: impl FnOnce(Init, usize) -> Init) {
        if let Some(leaf) = self.leaves.get_mut(index) {
            let before = std::mem::replace(&mut leaf.init, Init::Constant(0.0));
            leaf.init = f(before, leaf.shape.iter().product());
        }
    }

    // === Nodes ===

    /// Adds an input.
    pub fn input(&mut self, name: &str, shape: Shape, dtype: DType) -> NodeId {
        self.graph.input(name, shape, dtype, true)
    }

    /// Adds an operation whose type follows from its arguments.
    pub fn push(&mut self, op: Op, args: &[NodeId]) -> R<NodeId> {
        let rule = rule_of(&op);
        self.check_integers(&op, args)?;
        match self.graph.push(op, args, self.run.here()) {
            Ok(id) => self.admit(id),
            Err(e) => Err(self.run.op_fault(rule, &e)),
        }
    }

    /// Adds an operation of a stated type.
    pub fn push_as(&mut self, op: Op, args: &[NodeId], shape: Shape, dtype: DType) -> R<NodeId> {
        let rule = rule_of(&op);
        match self.graph.push_as(op, args, shape, dtype, self.run.here()) {
            Ok(id) => self.admit(id),
            Err(e) => Err(self.run.op_fault(rule, &e)),
        }
    }

    fn admit(&mut self, id: NodeId) -> R<NodeId> {
        self.run.keep(self.run.meter.allows_nodes(self.graph.nodes().len()))?;
        let shape = self.graph.shape(id);
        if shape.len() > 8 {
            let text = format!("a tensor of {} axes; at most 8 are supported", shape.len());
            return Err(self.run.fault(Rule::UnsupportedRank, text));
        }
        let terms: usize = shape.iter().map(|d| d.terms().count()).sum();
        if terms > 2 * arith::MAX_TERMS {
            let text = format!("sizes of {terms} terms in B and N; at most {} are followed", 2 * arith::MAX_TERMS);
            return Err(self.run.fault(Rule::UnsupportedSize, text));
        }
        if let Err(e) = self.run.meter.allows_tensor(shape) {
            let d = self.run.fault(e.rule, e.text);
            return Err(Box::new(d.help("project to fewer features (nb_triplet_fts) before lifting to triples of nodes, or reduce one node axis first")));
        }
        self.layouts.note(&self.graph, id);
        if self.widths.are_wide() { Ok(id) } else { self.with_width(id) }
    }

    /// Registers a parameter or buffer that starts as `literal`.
    pub fn add_leaf(&mut self, literal: Literal, buffer: bool, transient: bool, span: Span) -> R<usize> {
        let within = self.run.meter.add_leaf(literal.numel());
        self.run.keep(within)?;
        let Literal { shape, init, dtype } = literal;
        self.leaves.push(Leaf { shape, init, dtype, buffer, trainable: !buffer, transient, node: None, span });
        Ok(self.leaves.len() - 1)
    }

    /// The node of a tensor, made where it is not yet there.
    pub fn node(&mut self, tensor: &Tensor) -> R<NodeId> {
        let data = tensor.data.borrow().clone();
        match data {
            Data::Node(id) => self.current(tensor, id),
            Data::Leaf(index) => {
                let id = self.leaf_node(index)?;
                if tensor.detached { self.push(Op::Detach, &[id]) } else { Ok(id) }
            }
            Data::Literal(literal) => {
                if literal.is_random() && self.phase == Phase::First {
                    // where the tensor was not drawn in this call, the next one finds it here
                    let shape = self.shape_of(tensor);
                    let id = self.drawn_as(&literal.init, &shape)?;
                    super::storage::settle(tensor, id);
                    return Ok(id);
                }
                if literal.is_random() {
                    let mut d = *self.run.fault(
                        Rule::UnsupportedRandom,
                        "a random tensor that was drawn once is used in the computation",
                    );
                    if tensor.span.line > 0 && tensor.span.line != d.line {
                        d = d.note(tensor.span, "drawn here");
                    }
                    return Err(Box::new(d.help(
                        "random values may initialise an nn.Parameter; draw noise in forward, in training only",
                    )));
                }
                let id = self.literal_node(&literal)?;
                super::storage::settle(tensor, id);
                Ok(id)
            }
        }
    }

    fn literal_node(&mut self, literal: &Literal) -> R<NodeId> {
        let shape: Shape = literal.shape.iter().copied().map(Dim::of).collect();
        let op = match &literal.init {
            Init::Constant(v) => Op::Full(*v),
            Init::Eye => Op::Eye,
            other => match (Literal { init: other.clone(), ..literal.clone() }).values() {
                Some(values) => Op::Const(values),
                None => return self.run.refuse(Rule::UnsupportedOp, "this constant cannot be used in a computation"),
            },
        };
        self.push_as(op, &[], shape, literal.dtype)
    }

    pub fn leaf_node(&mut self, index: usize) -> R<NodeId> {
        let Some(leaf) = self.leaves.get_mut(index) else {
            return self.run.refuse(Rule::Internal, "a parameter without a place");
        };
        if let Some(node) = leaf.node {
            return Ok(node);
        }
        // names are known only when all modules are: until then the index serves
        let param = Param {
            name: index.to_string(),
            aliases: Vec::new(),
            shape: leaf.shape.clone(),
            init: Init::Constant(0.0),
            trainable: leaf.trainable,
            transient: leaf.transient,
            span: leaf.span,
        };
        let (dtype, span) = (leaf.dtype, leaf.span);
        let mut node = self.graph.param(param, span);
        if dtype != DType::Float {
            let shape = self.graph.shape(node).clone();
            node = self.push_as(Op::Cast, &[node], shape, dtype)?;
        }
        if let Some(leaf) = self.leaves.get_mut(index) {
            leaf.node = Some(node);
        }
        Ok(node)
    }

    // === How nodes lie in memory ===

    /// Whether a tensor can be seen in another shape without a copy.
    pub fn can_view(&self, id: NodeId, to: &[Dim]) -> bool {
        self.layouts.can_view(&self.graph, id, to)
    }

    /// Whether a value is contiguous.
    pub fn is_plain(&self, id: NodeId) -> bool {
        self.layouts.is_plain(id)
    }

    /// States that torch makes this value contiguous, whatever its arguments are.
    pub fn plain(&mut self, id: NodeId) -> NodeId {
        self.layouts.plain(id);
        id
    }

    /// States that this value is a copy of another: dense, its axes in the same order.
    pub fn copied(&mut self, id: NodeId, from: NodeId) -> NodeId {
        self.layouts.copied(&self.graph, id, from);
        id
    }

    /// States that nothing is known of how this value lies in memory.
    pub fn any_layout(&mut self, id: NodeId) -> NodeId {
        self.layouts.forget(id);
        id
    }

    /// The same values, contiguous in memory.
    pub fn contiguous(&mut self, id: NodeId) -> R<NodeId> {
        if self.layouts.is_plain(id) {
            return Ok(id);
        }
        let (shape, dtype) = (self.graph.shape(id).clone(), self.graph.dtype(id));
        let out = self.push_as(Op::Reshape, &[id], shape, dtype)?;
        Ok(self.plain(out))
    }
}

/// The code of a fault of `op`.
fn rule_of(op: &Op) -> Rule {
    match op {
        Op::Binary(_) | Op::Where => Rule::ShapeBroadcast,
        Op::Linear { .. } => Rule::ShapeLinear,
        Op::MatMul => Rule::ShapeMatmul,
        Op::Einsum(_) => Rule::ShapeEinsum,
        Op::Reshape => Rule::ShapeReshape,
        Op::Expand => Rule::ShapeExpand,
        Op::Cat { .. } => Rule::ShapeCat,
        Op::Slice { .. } | Op::Select { .. } => Rule::ShapeIndex,
        Op::Gather { .. } | Op::Scatter { .. } | Op::ScatterAdd { .. } | Op::IndexSelect { .. } => Rule::ShapeGather,
        Op::TopK { .. } | Op::TopKIndices { .. } => Rule::ShapeTopk,
        Op::LayerNorm { .. } => Rule::ShapeNorm,
        _ => Rule::ShapeOp,
    }
}
