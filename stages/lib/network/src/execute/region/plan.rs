//! Finds regions in a graph, and writes their code.

use std::collections::{BTreeMap, BTreeSet};

use graph::{BinaryOp, DType, Dim, Graph, NodeId, Op, UnaryOp};

use super::machine::{Instr, LANES};

/// Features of a layer that is done as a sum of products, at the most.
const NARROW: i64 = 4;
/// Features that a region's values have, at the least: each row costs something by itself.
const LEAST_LANES: i64 = 8;
/// Steps of a region's code, at the most: a block's values should fit the first-level cache.
const MOST_STEPS: usize = 40;

/// How an input is read at a place of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// By the rules of broadcasting.
    Broadcast,
    /// The element with this index along the input's last axis, for all features of the place.
    Column(usize),
    /// Of a weight `[out, in]`: what this `in` contributes to each feature.
    Weight(usize),
}

/// A part of a graph that is computed in one go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Region {
    /// The node whose value it is.
    pub root: NodeId,
    /// The node whose shape the places have: the root, or what the root adds up.
    pub places: NodeId,
    pub inputs: Vec<NodeId>,
    pub(super) code: Vec<Instr>,
    /// By load: number of the input, and how it is read.
    pub(super) loads: Vec<(usize, View)>,
    /// Whether the last axis is added up.
    pub(super) sums: bool,
    /// The input that is added to each sum.
    pub(super) bias: Option<usize>,
}

/// All regions among the nodes that a schedule computes. `wanted` values have to be there afterwards.
pub(crate) fn regions(graph: &Graph, needed: &BTreeSet<NodeId>, wanted: &[NodeId]) -> Vec<Region> {
    let mut users: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for &id in needed {
        for &arg in &graph.node(id).args {
            users.entry(arg).or_default().push(id);
        }
    }
    let mut finder = Finder { graph, needed, wanted, users, inside: BTreeSet::new() };
    let mut found = Vec::new();
    for &root in needed.iter().rev() {
        if !finder.inside.contains(&root) {
            found.extend(finder.region(root));
        }
    }
    found
}

struct Finder<'a> {
    graph: &'a Graph,
    needed: &'a BTreeSet<NodeId>,
    wanted: &'a [NodeId],
    users: BTreeMap<NodeId, Vec<NodeId>>,
    /// Nodes inside regions, roots not included.
    inside: BTreeSet<NodeId>,
}

impl Finder<'_> {
    fn region(&mut self, root: NodeId) -> Option<Region> {
        let (top, dot) = match self.dot(root) {
            Some(x) => (x, true),
            None => (root, false),
        };
        if !self.fuses(top) || (!dot && self.narrow(top).is_some()) {
            return None;
        }
        let mut members = BTreeSet::from([top]);
        let mut open = BTreeSet::from_iter(self.graph.node(top).args.iter().copied());
        // from the last to the first: when a node's turn comes, all its users had theirs
        while let Some(id) = open.pop_last() {
            let users = self.users.get(&id).map_or(&[][..], Vec::as_slice);
            let own = self.needed.contains(&id) && !self.wanted.contains(&id);
            let inner = own && users.iter().all(|user| members.contains(user));
            // a static layer over few features is computed again
            let again = !self.needed.contains(&id) && self.narrow(id).is_some();
            let same = self.graph.shape(id) == self.graph.shape(top);
            let room = members.len() < MOST_STEPS;
            if room && same && self.fuses(id) && (inner || again) && !self.inside.contains(&id) {
                members.insert(id);
                if self.narrow(id).is_none() {
                    open.extend(&self.graph.node(id).args);
                }
            }
        }
        let mut writer = Writer::default();
        let mut last = self.write(&mut writer, &members, top)?;
        let mut bias = None;
        if dot {
            let args = &self.graph.node(root).args;
            let weight = writer.load(*args.get(1)?, View::Broadcast);
            last = writer.push(Instr::Mul(last, weight));
            bias = args.get(2).map(|&id| writer.input(id));
        }
        let computes = writer.code.iter().filter(|instr| !matches!(instr, Instr::Load(_))).count();
        let narrow = members.iter().any(|&id| self.narrow(id).is_some());
        if computes < 2 || writer.code.len() > MOST_STEPS || last + 1 != writer.code.len() {
            return None;
        }
        // small values are not worth the trouble, unless a large one disappears
        let rank = self.graph.shape(top).len();
        if rank < 3 && !narrow {
            return None;
        }
        members.remove(&root);
        self.inside.extend(members.into_iter().filter(|id| self.needed.contains(id)));
        let Writer { inputs, code, loads, .. } = writer;
        Some(Region { root, places: top, inputs, code, loads, sums: dot, bias })
    }

    /// Writes the code of a member, or the load of what is none.
    fn write(&self, to: &mut Writer, members: &BTreeSet<NodeId>, id: NodeId) -> Option<usize> {
        if !members.contains(&id) {
            let mut id = id;
            while let (Op::Expand, Some(&x)) = (&self.graph.node(id).op, self.graph.node(id).args.first()) {
                id = x;
            }
            return Some(to.load(id, View::Broadcast));
        }
        if let Some(known) = to.at.get(&id) {
            return Some(*known);
        }
        let node = self.graph.node(id);
        let at = match (&node.op, node.args.as_slice()) {
            (Op::Linear { .. }, [x, weight, bias @ ..]) => {
                let mut sum = bias.first().map(|&bias| to.load(bias, View::Broadcast));
                for column in 0..self.narrow(id)? {
                    let x = to.load(*x, View::Column(column));
                    let weight = to.load(*weight, View::Weight(column));
                    let product = to.push(Instr::Mul(x, weight));
                    sum = Some(sum.map_or(product, |sum| to.push(Instr::Add(sum, product))));
                }
                sum?
            }
            (Op::Binary(op), [x, y]) => {
                let (x, y) = (self.write(to, members, *x)?, self.write(to, members, *y)?);
                to.push(match op {
                    BinaryOp::Add => Instr::Add(x, y),
                    BinaryOp::Sub => Instr::Sub(x, y),
                    BinaryOp::Mul => Instr::Mul(x, y),
                    _ => return None,
                })
            }
            (Op::Unary(op), [x]) => {
                let x = self.write(to, members, *x)?;
                to.push(match op {
                    UnaryOp::Relu => Instr::Relu(x),
                    UnaryOp::Neg => Instr::Neg(x),
                    _ => return None,
                })
            }
            _ => return None,
        };
        to.at.insert(id, at);
        Some(at)
    }

    /// What a layer to one feature reads, where that is computed for it alone.
    fn dot(&self, root: NodeId) -> Option<NodeId> {
        let node = self.graph.node(root);
        let x = *node.args.first()?;
        let one = matches!(node.op, Op::Linear { .. }) && node.shape.last()?.is_known_one();
        let alone = self.users.get(&x).is_some_and(|users| users.len() == 1);
        (one && alone && self.needed.contains(&x) && !self.wanted.contains(&x) && !self.inside.contains(&x))
            .then_some(x)
    }

    /// Whether a node can be a step of a region.
    fn fuses(&self, id: NodeId) -> bool {
        let node = self.graph.node(id);
        let floats = node.args.iter().all(|&arg| self.graph.dtype(arg) == DType::Float);
        let known = |op: &Op| {
            matches!(
                op,
                Op::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul) | Op::Unary(UnaryOp::Relu | UnaryOp::Neg)
            )
        };
        let lanes = node.shape.last().and_then(Dim::as_known).unwrap_or(0);
        let most = i64::try_from(LANES).unwrap_or(i64::MAX);
        let fits = node.shape.len() >= 2 && (LEAST_LANES..=most).contains(&lanes);
        node.dtype == DType::Float && floats && fits && (known(&node.op) || self.narrow(id).is_some())
    }

    /// The number of features that a layer reads, where these are few.
    fn narrow(&self, id: NodeId) -> Option<usize> {
        let node = self.graph.node(id);
        let x = *node.args.first()?;
        let width = self.graph.shape(x).last()?.as_known()?;
        let wide = node.shape.last()?.as_known()? > width;
        let narrow = matches!(node.op, Op::Linear { .. }) && wide && (1..=NARROW).contains(&width);
        narrow.then(|| usize::try_from(width).ok()).flatten()
    }
}

/// Code in the making.
#[derive(Default)]
struct Writer {
    inputs: Vec<NodeId>,
    loads: Vec<(usize, View)>,
    code: Vec<Instr>,
    at: BTreeMap<NodeId, usize>,
}

impl Writer {
    fn push(&mut self, instr: Instr) -> usize {
        if let Some(at) = self.code.iter().position(|known| *known == instr) {
            return at;
        }
        self.code.push(instr);
        self.code.len() - 1
    }

    fn input(&mut self, id: NodeId) -> usize {
        if let Some(at) = self.inputs.iter().position(|known| *known == id) {
            return at;
        }
        self.inputs.push(id);
        self.inputs.len() - 1
    }

    fn load(&mut self, id: NodeId, view: View) -> usize {
        let load = (self.input(id), view);
        let number = self.loads.iter().position(|known| *known == load).unwrap_or_else(|| {
            self.loads.push(load);
            self.loads.len() - 1
        });
        self.push(Instr::Load(number))
    }
}
