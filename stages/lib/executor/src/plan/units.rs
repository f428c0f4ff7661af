//! Which nodes are computed in one go.
//!
//! A *loop* unit computes element-wise nodes of one domain (a shape without its axes of size 1) and sums over such nodes in
//! a single pass over memory. Units start as single nodes and are merged along the edges between them, and where they read
//! the same large value, as long as no unit would have to wait for itself.

use std::collections::BTreeSet;

use graph::{DType, Graph, Node, NodeId, Op, ReduceOp};

use crate::shapes::is_element_wise;

/// Steps of a loop's code, at the most: the values of a block should fit the first-level cache.
const MOST_STEPS: usize = 56;
/// Units that read the same value of at least so many elements are merged.
const WORTH_SHARING: usize = 2048;

/// What a node is to the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    /// No output depends on it.
    Dead,
    Input(usize),
    Param(usize),
    /// All its elements are this number.
    Number(f64),
    /// Data that is known from the sizes.
    Constant,
    /// Another node's elements, seen otherwise.
    View(usize),
    /// An element-wise operation.
    Element,
    /// A sum over axes.
    Sum,
    /// Anything else.
    Other,
}

impl Role {
    pub fn is_loop(self) -> bool {
        matches!(self, Self::Element | Self::Sum)
    }

    pub fn is_computed(self) -> bool {
        matches!(self, Self::Element | Self::Sum | Self::Other)
    }
}

/// The nodes of a part, at known sizes.
pub(crate) struct Nodes<'a> {
    pub graph: &'a Graph,
    pub shapes: Vec<Vec<usize>>,
    pub roles: Vec<Role>,
    /// Live nodes that read each node.
    pub users: Vec<Vec<usize>>,
    /// B and N
    pub sizes: (i64, i64),
}

impl<'a> Nodes<'a> {
    /// `None` where a size overflows.
    pub fn new(graph: &'a Graph, outputs: &[NodeId], sizes: (i64, i64)) -> Option<Self> {
        let shape = |node: &Node| -> Option<Vec<usize>> {
            node.shape.iter().map(|dim| usize::try_from(dim.eval(sizes.0, sizes.1)?).ok()).collect()
        };
        let shapes = graph.nodes().iter().map(shape).collect::<Option<Vec<_>>>()?;
        let live = graph::passes::live(graph, outputs);
        let mut nodes = Self { graph, shapes, roles: Vec::new(), users: vec![Vec::new(); graph.nodes().len()], sizes };
        for (id, node) in graph.ids().zip(graph.nodes()) {
            let at = id.index();
            if live[at] {
                node.args.iter().for_each(|arg| nodes.users[arg.index()].push(at));
            }
            let role = if live[at] { nodes.role(id, node)? } else { Role::Dead };
            nodes.roles.push(role);
        }
        Some(nodes)
    }

    fn role(&self, id: NodeId, node: &Node) -> Option<Role> {
        let first = node.args.first().map(|arg| arg.index());
        Some(match &node.op {
            Op::Input(input) => Role::Input(*input as usize),
            Op::Param(param) => Role::Param(param.index()),
            Op::Scalar(value) | Op::Full(value) => Role::Number(*value),
            Op::Size(dim) => Role::Number(dim.eval(self.sizes.0, self.sizes.1)? as f64),
            Op::Const(_) | Op::Arange { .. } | Op::Eye => Role::Constant,
            op if op.is_view() => match first.map(|first| (first, self.roles[first])) {
                Some((_, Role::Number(value))) => Role::Number(value),
                Some((first, _)) => Role::View(first),
                None => Role::Other,
            },
            Op::Reduce { op: ReduceOp::Sum, .. } if node.dtype == DType::Float => Role::Sum,
            _ if is_element_wise(self.graph, id) => Role::Element,
            _ => Role::Other,
        })
    }

    pub fn node(&self, at: usize) -> &'a Node {
        &self.graph.nodes()[at]
    }

    pub fn args(&self, at: usize) -> impl Iterator<Item = usize> + use<'a> {
        self.graph.nodes()[at].args.iter().map(|arg| arg.index())
    }

    /// The node whose memory a node's elements are in.
    pub fn root(&self, mut at: usize) -> usize {
        while let Role::View(shown) = self.roles[at] {
            at = shown;
        }
        at
    }

    /// Sizes without those that are 1.
    pub fn squeezed(&self, at: usize) -> Vec<usize> {
        self.shapes[at].iter().copied().filter(|&size| size != 1).collect()
    }

    /// The places that a loop node is computed for.
    pub fn domain(&self, at: usize) -> Vec<usize> {
        match (self.roles[at], self.args(at).next()) {
            (Role::Sum, Some(summed)) => self.squeezed(summed),
            _ => self.squeezed(at),
        }
    }

    /// Whether reading `arg` at a place is reading its root at the same place of a loop.
    pub fn is_same_place(&self, arg: usize) -> bool {
        let (mut at, domain) = (arg, self.squeezed(arg));
        while let Role::View(shown) = self.roles[at] {
            let plain = matches!(self.node(at).op, Op::Reshape | Op::Expand | Op::Detach);
            if !plain || self.squeezed(shown) != domain {
                return false;
            }
            at = shown;
        }
        true
    }
}

/// The units of a part.
pub(crate) struct Units {
    /// By node: the number of its unit.
    pub of: Vec<Option<usize>>,
    /// By unit: its nodes, ascending. Merged ones are left empty.
    pub members: Vec<Vec<usize>>,
}

impl Units {
    pub fn new(nodes: &Nodes<'_>) -> Self {
        let mut units = Self { of: vec![None; nodes.roles.len()], members: Vec::new() };
        for (at, role) in nodes.roles.iter().enumerate() {
            if role.is_computed() {
                units.of[at] = Some(units.members.len());
                units.members.push(vec![at]);
            }
        }
        let mut merger = Merger { nodes, ancestors: Vec::new(), units };
        merger.count();
        merger.along_edges();
        merger.siblings();
        merger.units
    }

    /// Units in an order in which each comes after what it reads.
    pub fn order(&self, nodes: &Nodes<'_>) -> Vec<usize> {
        let reads: Vec<BTreeSet<usize>> = (0..self.members.len()).map(|unit| self.reads(nodes, unit)).collect();
        let mut done = vec![false; self.members.len()];
        let mut order = Vec::new();
        let mut waiting: BTreeSet<(usize, usize)> =
            (0..self.members.len()).filter_map(|unit| Some((*self.members[unit].first()?, unit))).collect();
        // The earliest that is ready comes next, so that values are read soon after they are made.
        let ready = |unit: usize, done: &[bool]| reads[unit].iter().all(|&read| done[read] || read == unit);
        while let Some(&next) = waiting.iter().find(|(_, unit)| ready(*unit, &done)) {
            waiting.remove(&next);
            done[next.1] = true;
            order.push(next.1);
        }
        order
    }

    /// The units whose values a unit reads, itself possibly among them.
    pub fn reads(&self, nodes: &Nodes<'_>, unit: usize) -> BTreeSet<usize> {
        let args = self.members[unit].iter().flat_map(|&at| nodes.args(at));
        args.filter_map(|arg| self.of[nodes.root(arg)]).collect()
    }
}

struct Merger<'a, 'n> {
    nodes: &'n Nodes<'a>,
    units: Units,
    /// By unit: all units that it waits for, as bits.
    ancestors: Vec<Vec<u64>>,
}

/// Adds a unit and all that it waits for.
fn include(own: &mut [u64], above: &[u64], unit: usize) {
    own.iter_mut().zip(above).for_each(|(own, above)| *own |= above);
    own[unit / 64] |= 1 << (unit % 64);
}

impl Merger<'_, '_> {
    /// At first each unit is one node, and nodes come after what they read.
    fn count(&mut self) {
        let words = self.units.members.len().div_ceil(64);
        self.ancestors = vec![vec![0; words]; self.units.members.len()];
        for unit in 0..self.units.members.len() {
            for read in self.units.reads(self.nodes, unit) {
                let above = self.ancestors[read].clone();
                include(&mut self.ancestors[unit], &above, read);
            }
        }
    }

    fn waits(&self, unit: usize, other: usize) -> bool {
        self.ancestors[unit][other / 64] >> (other % 64) & 1 == 1
    }

    fn along_edges(&mut self) {
        for at in 0..self.nodes.roles.len() {
            if !self.nodes.roles[at].is_loop() {
                continue;
            }
            for arg in self.nodes.args(at) {
                let root = self.nodes.root(arg);
                if self.nodes.roles[root] == Role::Element
                    && let (Some(one), Some(two)) = (self.units.of[root], self.units.of[at])
                {
                    self.merge(one, two);
                }
            }
        }
    }

    /// Merges loops that read one large value.
    fn siblings(&mut self) {
        for at in 0..self.nodes.roles.len() {
            let large = self.nodes.shapes[at].iter().product::<usize>() >= WORTH_SHARING;
            if !large || matches!(self.nodes.roles[at], Role::View(_) | Role::Number(_) | Role::Dead) {
                continue;
            }
            let readers = self.readers(at);
            for (place, &one) in readers.iter().enumerate() {
                for &two in &readers[place + 1..] {
                    if let (Some(one), Some(two)) = (self.units.of[one], self.units.of[two]) {
                        self.merge(one, two);
                    }
                }
            }
        }
    }

    /// Loop nodes that read a root in full, through whatever views.
    fn readers(&self, root: usize) -> Vec<usize> {
        let (mut open, mut found) = (vec![root], Vec::new());
        while let Some(at) = open.pop() {
            for &user in &self.nodes.users[at] {
                match self.nodes.roles[user] {
                    Role::View(_) => open.push(user),
                    role if role.is_loop() && self.nodes.squeezed(at) == self.nodes.domain(user) => found.push(user),
                    _ => {}
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn merge(&mut self, one: usize, two: usize) {
        if one == two || !self.may_merge(one, two) {
            return;
        }
        let (into, from) = (one.min(two), one.max(two));
        let moved = std::mem::take(&mut self.units.members[from]);
        moved.iter().for_each(|&at| self.units.of[at] = Some(into));
        self.units.members[into].extend(moved);
        self.units.members[into].sort_unstable();
        let mut above = self.ancestors[into].clone();
        let other = self.ancestors[from].clone();
        above.iter_mut().zip(other).for_each(|(above, other)| *above |= other);
        for bit in [into, from] {
            above[bit / 64] &= !(1 << (bit % 64));
        }
        for unit in 0..self.units.members.len() {
            if self.waits(unit, into) || self.waits(unit, from) {
                include(&mut self.ancestors[unit], &above, into);
                self.ancestors[unit][from / 64] &= !(1 << (from % 64));
            }
        }
        self.ancestors[into] = above;
        // Nobody waits for what is no more, and it waits for nobody.
        self.ancestors[from].fill(0);
    }

    fn may_merge(&self, one: usize, two: usize) -> bool {
        let (first, second) = (&self.units.members[one], &self.units.members[two]);
        let (Some(&x), Some(&y)) = (first.first(), second.first()) else { return false };
        let nodes = self.nodes;
        if !nodes.roles[x].is_loop() || !nodes.roles[y].is_loop() || nodes.domain(x) != nodes.domain(y) {
            return false;
        }
        let members: BTreeSet<usize> = first.iter().chain(second).copied().collect();
        let mut loads = BTreeSet::new();
        for arg in members.iter().flat_map(|&at| nodes.args(at)) {
            let root = nodes.root(arg);
            if members.contains(&root) {
                // A loop has the value of a member at its own place only, and of a sum at none.
                if nodes.roles[root] == Role::Sum || !nodes.is_same_place(arg) {
                    return false;
                }
            } else {
                loads.insert(arg);
            }
        }
        if members.len() + loads.len() > MOST_STEPS {
            return false;
        }
        // Nobody may wait for one of them and be waited for by the other.
        (0..self.units.members.len()).filter(|&unit| unit != one && unit != two).all(|unit| {
            let between = |first: usize, last: usize| self.waits(unit, first) && self.waits(last, unit);
            !between(one, two) && !between(two, one)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::{BinaryOp, Dim, Span, UnaryOp};

    fn push(graph: &mut Graph, op: Op, args: &[NodeId]) -> NodeId {
        graph.push(op, args, Span::default()).expect("types")
    }

    /// Members of each unit, for B = 2 and N = 3.
    fn units(graph: &Graph, outputs: &[NodeId]) -> Vec<Vec<usize>> {
        let nodes = Nodes::new(graph, outputs, (2, 3)).expect("fits");
        let units = Units::new(&nodes);
        let order = units.order(&nodes);
        order.into_iter().map(|unit| units.members[unit].clone()).collect()
    }

    #[test]
    fn chains_and_all_their_sums_are_one_loop() {
        let mut graph = Graph::new();
        let shape = vec![Dim::b(), Dim::n(), Dim::n(), Dim::known(4)];
        let x = graph.input("x", shape.clone(), DType::Float, true);
        let g = graph.input("g", shape, DType::Float, true);
        let y = push(&mut graph, Op::Unary(UnaryOp::Relu), &[x]);
        let first = push(&mut graph, Op::Binary(BinaryOp::Mul), &[y, g]);
        let second = push(&mut graph, Op::Binary(BinaryOp::Sub), &[y, g]);
        let sum = |dims: &[usize]| Op::Reduce { op: ReduceOp::Sum, dims: dims.to_vec(), keepdim: false };
        let sums = [sum(&[0, 1, 2]), sum(&[1]), sum(&[3])].map(|op| push(&mut graph, op, &[first]));
        let more = push(&mut graph, sum(&[2]), &[second]);
        let outputs: Vec<NodeId> = sums.into_iter().chain([more, y]).collect();
        assert_eq!(units(&graph, &outputs), [vec![2, 3, 4, 5, 6, 7, 8]]);
    }

    #[test]
    fn what_waits_for_something_else_is_a_loop_of_its_own() {
        let mut graph = Graph::new();
        let x = graph.input("x", vec![Dim::b(), Dim::known(4)], DType::Float, true);
        let y = push(&mut graph, Op::Unary(UnaryOp::Relu), &[x]);
        let shares = push(&mut graph, Op::Softmax { dim: 1 }, &[y]);
        let sum = push(&mut graph, Op::Reduce { op: ReduceOp::Sum, dims: vec![1], keepdim: true }, &[y]);
        let centred = push(&mut graph, Op::Binary(BinaryOp::Sub), &[y, sum]);
        let product = push(&mut graph, Op::Binary(BinaryOp::Mul), &[centred, shares]);
        // The sum is added up in the first pass, and read in a second one, which softmax comes before.
        assert_eq!(units(&graph, &[product]), [vec![1, 3], vec![2], vec![4, 5]]);
    }
}
