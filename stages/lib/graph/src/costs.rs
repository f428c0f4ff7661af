//! What a graph costs: parameters, arithmetic and memory, as polynomials in B and N.
//!
//! * **Multiply-accumulates** count matrix products only (`linear`, `matmul`, `einsum`), as profilers of PyTorch do: one
//!   per element of the value and term of the inner sum. An einsum of several operands is counted as contracted from left
//!   to right, with letters that only one operand has summed away first.
//! * **Element operations** are everything else that computes: one per element of an element-wise value, one per element
//!   that a reduction reads, five per normalised element (softmax, layer norm), one per element that a sort reads, two
//!   (add, compare) per inner term of max-plus and of its gradient, two (compare, share) per element that an extreme's
//!   gradient goes to, four (two products, a sum, a product) per element of a running product's gradient.
//! * **Bytes** are those of newly made values, 4 per Float, 8 per Int, 1 per Bool. Views cost nothing: PyTorch's
//!   `view`, `permute`, `expand`, slicing, selecting. A view that needs another order of elements is a copy.
//! * **Peak for inference**: the largest sum of values alive at once when nodes run in order and each value is freed after
//!   its last use. Inputs and parameters are the caller's and not counted.
//! * **Training bytes per step**: all values together, since autograd may keep each of them until the backward pass. An
//!   upper bound for the forward of one step; a sequence of T steps keeps T times the varying part.

use crate::dim::{Dim, numel};
use crate::graph::Graph;
use crate::infer::Equation;
use crate::op::{DType, Node, NodeId, Op};
use crate::passes::{live, varying};
use std::collections::BTreeMap;
use std::fmt;

/// Costs of one evaluation of `outputs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// Trainable elements of all parameters of the graph, used or not.
    pub params: u64,
    /// Multiply-accumulates of matrix products.
    pub macs: Dim,
    /// The part of `macs` that is computed anew at every time step.
    pub macs_varying: Dim,
    /// Element operations outside of matrix products.
    pub element_ops: Dim,
    /// Largest memory of values alive at once, in bytes, forward only.
    pub peak_inference: Largest,
    /// Memory of all values, in bytes.
    pub train_bytes_per_step: Dim,
    /// The largest single value, in bytes; views count by what they show.
    pub largest_tensor: Largest,
    /// By node index. Nodes that no output needs cost nothing.
    pub per_node: Vec<NodeCost>,
}

/// Costs of one node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeCost {
    /// Multiply-accumulates, of matrix products alone.
    pub macs: Dim,
    /// Element operations, of all that is not a matrix product.
    pub element_ops: Dim,
    /// Bytes of the value, 0 for views.
    pub bytes: Dim,
    /// Whether an output needs it.
    pub live: bool,
}

/// The largest of several polynomials.
///
/// Polynomials that another one is proven to exceed for all B >= 1 and N >= 2 are dropped. Of more than [`Largest::MOST`]
/// incomparable ones, the excess is replaced by a common upper bound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Largest {
    of: Vec<Dim>,
}

impl Largest {
    /// Incomparable polynomials kept apart.
    pub const MOST: usize = 8;

    fn add(&mut self, dim: &Dim) {
        if self.of.iter().any(|known| known == dim || known.provably_ge(dim)) {
            return;
        }
        self.of.retain(|known| !dim.provably_ge(known));
        self.of.push(dim.clone());
        if self.of.len() > Self::MOST {
            let bound = self.of.drain(..).reduce(|x, y| upper_bound(&x, &y));
            self.of.extend(bound);
        }
    }

    /// The value for given B and N; `None` on overflow.
    pub fn eval(&self, b: i64, n: i64) -> Option<i64> {
        self.of.iter().try_fold(0, |most, dim| Some(dim.eval(b, n)?.max(most)))
    }

    /// The polynomials whose maximum it is.
    pub fn of(&self) -> &[Dim] {
        &self.of
    }
}

/// Coefficient by coefficient: at least both, as B and N are positive.
fn upper_bound(x: &Dim, y: &Dim) -> Dim {
    let mut most: BTreeMap<(u8, u8), i64> = BTreeMap::new();
    for (b, n, c) in x.terms().chain(y.terms()) {
        let slot = most.entry((b, n)).or_insert(0);
        *slot = c.max(*slot);
    }
    Dim::from_terms(most.into_iter().map(|((b, n), c)| (b, n, c)))
}

impl fmt::Display for Largest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of.as_slice() {
            [] => f.write_str("0"),
            [one] => write!(f, "{one}"),
            several => {
                let texts: Vec<String> = several.iter().map(Dim::to_string).collect();
                write!(f, "max({})", texts.join(", "))
            }
        }
    }
}

/// What it costs to compute `outputs` once.
pub fn costs(graph: &Graph, outputs: &[NodeId]) -> Costs {
    let live = live(graph, outputs);
    let varies = varying(graph);
    let per_node: Vec<NodeCost> = graph
        .nodes
        .iter()
        .zip(&live)
        .map(|(node, &live)| if live { node_cost(graph, node) } else { NodeCost::default() })
        .collect();
    let sum = |of: fn(&NodeCost) -> &Dim| per_node.iter().fold(Dim::known(0), |sum, cost| &sum + of(cost));
    let macs_varying = (per_node.iter().zip(&varies).filter(|(_, varies)| **varies))
        .fold(Dim::known(0), |sum, (cost, _)| &sum + &cost.macs);
    let mut largest_tensor = Largest::default();
    for (node, _) in graph.nodes.iter().zip(&live).filter(|(node, live)| **live && !is_given(node)) {
        largest_tensor.add(&value_bytes(node));
    }
    Costs {
        params: graph.params.iter().filter(|p| p.trainable).map(|p| elements(&p.shape)).sum(),
        macs: sum(|cost| &cost.macs),
        macs_varying,
        element_ops: sum(|cost| &cost.element_ops),
        peak_inference: peak(graph, outputs, &per_node),
        train_bytes_per_step: sum(|cost| &cost.bytes),
        largest_tensor,
        per_node,
    }
}

impl Costs {
    /// Costs by the source line that made the nodes; line 0 gathers what has no source.
    pub fn by_line(&self, graph: &Graph) -> BTreeMap<u32, NodeCost> {
        let mut lines: BTreeMap<u32, NodeCost> = BTreeMap::new();
        for (node, cost) in graph.nodes.iter().zip(&self.per_node).filter(|(_, cost)| cost.live) {
            let line = lines.entry(node.span.line).or_default();
            line.macs = &line.macs + &cost.macs;
            line.element_ops = &line.element_ops + &cost.element_ops;
            line.bytes = &line.bytes + &cost.bytes;
            line.live = true;
        }
        lines
    }
}

fn elements(shape: &[usize]) -> u64 {
    shape.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64))
}

/// Values that exist before the graph runs.
fn is_given(node: &Node) -> bool {
    matches!(node.op, Op::Input(_) | Op::Param(_))
}

/// Bytes of one element.
fn width(dtype: DType) -> i64 {
    match dtype {
        DType::Bool => 1,
        DType::Int => 8,
        DType::Float => 4,
    }
}

fn value_bytes(node: &Node) -> Dim {
    numel(&node.shape) * width(node.dtype)
}

/// Whether the value shares its argument's memory.
pub fn is_view(graph: &Graph, node: &Node) -> bool {
    match node.op {
        Op::Permute(_) | Op::Expand | Op::Slice { .. } | Op::Select { .. } | Op::Diagonal { .. } | Op::Detach => true,
        Op::Cast => node.args.first().is_some_and(|&x| graph.dtype(x) == node.dtype),
        Op::Reshape => node.args.first().is_some_and(|&x| moves_ones_only(graph, node, x) || is_packed(graph, x)),
        _ => false,
    }
}

/// Whether a reshape only adds or drops axes of size 1, which any memory layout allows.
fn moves_ones_only(graph: &Graph, node: &Node, x: NodeId) -> bool {
    let without = |shape: &[Dim]| shape.iter().filter(|dim| !dim.is_known_one()).cloned().collect::<Vec<_>>();
    without(&node.shape) == without(graph.shape(x))
}

/// Whether the elements are known to lie in row-major order without gaps.
fn is_packed(graph: &Graph, mut id: NodeId) -> bool {
    loop {
        let node = graph.node(id);
        match node.op {
            Op::Permute(_) | Op::Expand | Op::Slice { .. } | Op::Select { .. } | Op::Diagonal { .. } => return false,
            Op::Reshape | Op::Detach => match node.args.first() {
                Some(&x) => id = x,
                None => return true,
            },
            _ => return true,
        }
    }
}

fn node_cost(graph: &Graph, node: &Node) -> NodeCost {
    let bytes = if is_given(node) || is_view(graph, node) { Dim::known(0) } else { value_bytes(node) };
    NodeCost { macs: macs(graph, node), element_ops: element_ops(graph, node), bytes, live: true }
}

fn macs(graph: &Graph, node: &Node) -> Dim {
    let last = |at: usize| node.args.get(at).and_then(|&x| graph.shape(x).last()).cloned().unwrap_or_default();
    match &node.op {
        Op::Linear { .. } | Op::MatMul => numel(&node.shape) * last(0),
        Op::Einsum(equation) => einsum_macs(graph, node, equation).unwrap_or_default(),
        _ => Dim::known(0),
    }
}

fn einsum_macs(graph: &Graph, node: &Node, equation: &str) -> Option<Dim> {
    let parsed = Equation::parse(equation).ok()?;
    let sizes = parsed.sizes(equation, node.args.iter().map(|&x| graph.shape(x))).ok()?;
    let mut macs = Dim::known(0);
    let mut left = parsed.operands.first()?.clone();
    for (at, right) in parsed.operands.iter().enumerate().skip(1) {
        let later = |c: char| parsed.value.contains(&c) || parsed.operands[at + 1..].iter().any(|o| o.contains(&c));
        let mut both: Vec<char> = left.iter().chain(right).copied().collect();
        both.sort_unstable();
        both.dedup();
        // What only one side has and nothing needs later is summed before the product.
        both.retain(|c| later(*c) || (left.contains(c) && right.contains(c)));
        macs = macs + both.iter().filter_map(|c| sizes.get(c)).fold(Dim::known(1), |product, size| &product * size);
        both.retain(|c| later(*c));
        left = both;
    }
    Some(macs)
}

fn element_ops(graph: &Graph, node: &Node) -> Dim {
    let own = || numel(&node.shape);
    let read = |at: usize| node.args.get(at).map(|&x| numel(graph.shape(x))).unwrap_or_default();
    match &node.op {
        Op::Unary(_) | Op::Binary(_) | Op::Where | Op::CumSum { .. } | Op::CumProd { .. } => own(),
        Op::Cast if !is_view(graph, node) => own(),
        Op::Reduce { .. } => read(0),
        Op::Softmax { .. } | Op::LogSoftmax { .. } | Op::LayerNorm { .. } => own() * 5,
        Op::TopK { .. } | Op::TopKIndices { .. } | Op::Sort { .. } | Op::ArgSort { .. } => read(0),
        Op::ScatterAdd { .. } => read(2),
        Op::Linear { biased: true } => own(),
        Op::MaxPlus { .. } => {
            let inner = node.args.first().and_then(|&a| graph.shape(a).get(1)).cloned().unwrap_or_default();
            own() * inner * 2
        }
        Op::MaxPlusGrad { .. } => {
            let inner = node.args.first().and_then(|&a| graph.shape(a).get(1)).cloned().unwrap_or_default();
            read(2) * inner * 2
        }
        Op::ShareExtreme { .. } => own() * 2,
        Op::CumProdGrad { .. } => own() * 4,
        Op::Random { .. } => own() * 8,
        _ => Dim::known(0),
    }
}

/// The memory in use while each node runs, at its largest.
fn peak(graph: &Graph, outputs: &[NodeId], per_node: &[NodeCost]) -> Largest {
    // The node whose memory a value lives in.
    let mut owner: Vec<usize> = Vec::with_capacity(graph.nodes.len());
    for (at, node) in graph.nodes.iter().enumerate() {
        let shared = is_view(graph, node).then(|| node.args.first().map(|x| owner[x.index()])).flatten();
        owner.push(shared.unwrap_or(at));
    }
    let mut last_use: Vec<usize> = (0..graph.nodes.len()).collect();
    for (at, node) in graph.nodes.iter().enumerate().filter(|(at, _)| per_node[*at].live) {
        for x in node.args.iter() {
            last_use[owner[x.index()]] = at;
        }
        last_use[owner[at]] = last_use[owner[at]].max(at);
    }
    for id in outputs {
        last_use[owner[id.index()]] = graph.nodes.len();
    }
    let mut freed: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len() + 1];
    for (at, &last) in last_use.iter().enumerate() {
        freed[last].push(at);
    }
    let mut largest = Largest::default();
    let mut alive = Dim::known(0);
    for at in 0..graph.nodes.len() {
        if per_node[at].bytes != Dim::known(0) {
            alive = &alive + &per_node[at].bytes;
            largest.add(&alive);
        }
        for &gone in &freed[at] {
            alive = &alive - &per_node[gone].bytes;
        }
    }
    largest
}
