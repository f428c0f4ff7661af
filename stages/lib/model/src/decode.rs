//! Decoders: from features to the raw predictions of hints and outputs (dm-clrs `decoders.py`).

use clrs::{Location, SpecEntry, Type};
use graph::{BinaryOp, DType, Dim, NodeId, Op, OpError, ReduceOp};

use crate::builder::Builder;

/// Steps and temperature of the Sinkhorn iteration inside the decoder.
const SINKHORN_STEPS: usize = 10;
/// Temperature of the Sinkhorn operator that decodes permutations (`sinkhorn_temperature` in dm-clrs).
pub const SINKHORN_TEMPERATURE: f64 = 0.1;
/// Taken off the diagonal before: nothing precedes itself in a permutation of the benchmark.
const DIAGONAL: f64 = 1e6;

/// What decoders look at, at one step.
pub(crate) struct State {
    /// `[node_fts, hidden before, hidden after]`, [B, N, 3H]
    pub nodes: NodeId,
    /// `[edge_fts, triplet messages]`, [B, N, N, 2H], or [B, N, N, H] without the latter
    pub edges: NodeId,
    /// [B, H]
    pub graph: NodeId,
}

/// Raw predictions of one datum: logits, or values of scalars. Shapes are those of [`crate::encoded_shape`].
/// `noise` is added to the logits of a permutation [B, N, N].
pub(crate) fn decode(
    net: &mut Builder,
    entry: &SpecEntry,
    state: &State,
    noise: Option<NodeId>,
) -> Result<NodeId, OpError> {
    let layers = Layers { name: entry.name, state };
    let width = if entry.ty == Type::Categorical { entry.classes } else { 1 };
    let value = match (entry.location, entry.ty) {
        (Location::Node, Type::Pointer) => return layers.node_pointer(net),
        (Location::Node, Type::PermutationPointer) => {
            let logits = layers.node_pointer(net)?;
            return sinkhorn(net, logits, noise);
        }
        (Location::Node, _) => layers.apply(net, 0, state.nodes, width)?,
        (Location::Edge, Type::Pointer) => return layers.edge_pointer(net),
        (Location::Edge, _) => layers.pair(net, width)?,
        (Location::Graph, _) => {
            let best = net.reduce(ReduceOp::Amax, state.nodes, 1)?;
            let from_nodes = layers.apply(net, 0, best, width)?;
            let from_graph = layers.apply(net, 1, state.graph, width)?;
            net.add(from_nodes, from_graph)?
        }
    };
    if entry.ty == Type::Categorical { Ok(value) } else { net.squeeze_last(value) }
}

struct Layers<'a> {
    name: &'a str,
    state: &'a State,
}

impl Layers<'_> {
    fn apply(&self, net: &mut Builder, index: usize, x: NodeId, outputs: usize) -> Result<NodeId, OpError> {
        let inputs = net.graph.shape(x).last().and_then(Dim::as_known).and_then(|size| usize::try_from(size).ok());
        net.linear(&format!("decoders.{}.{index}", self.name), x, inputs.unwrap_or(0), outputs)
    }

    /// `dec_0[i] + dec_1[j] + dec_2[i, j]`, [B, N, N, outputs].
    fn pair(&self, net: &mut Builder, outputs: usize) -> Result<NodeId, OpError> {
        let from = self.apply(net, 0, self.state.nodes, outputs)?;
        let to = self.apply(net, 1, self.state.nodes, outputs)?;
        let edge = self.apply(net, 2, self.state.edges, outputs)?;
        let from = net.unsqueeze(from, 2)?;
        let to = net.unsqueeze(to, 1)?;
        let nodes = net.add(from, to)?;
        net.add(edge, nodes)
    }

    /// `logit[i, j] = dec_3(max(dec_0[i], dec_1[j] + dec_2[j, i]))`, [B, N, N]. Computed at [j, i], so that only the
    /// small result is transposed.
    fn node_pointer(&self, net: &mut Builder) -> Result<NodeId, OpError> {
        let pointing = self.apply(net, 0, self.state.nodes, net.hidden)?;
        let target = self.apply(net, 1, self.state.nodes, net.hidden)?;
        let edge = self.apply(net, 2, self.state.edges, net.hidden)?;
        let pointing = net.unsqueeze(pointing, 1)?;
        let target = net.unsqueeze(target, 2)?;
        let target = net.add(edge, target)?;
        let best = net.larger(pointing, target)?;
        let logits = self.apply(net, 3, best, 1)?;
        let logits = net.squeeze_last(logits)?;
        net.permute(logits, &[0, 2, 1])
    }

    /// `logit[i, j, k] = dec_4(max(pair[i, j], dec_3[k]))`, [B, N, N, N].
    fn edge_pointer(&self, net: &mut Builder) -> Result<NodeId, OpError> {
        let pair = self.pair(net, net.hidden)?;
        let target = self.apply(net, 3, self.state.nodes, net.hidden)?;
        let pair = net.unsqueeze(pair, 3)?;
        let target = net.unsqueeze(target, 1)?;
        let target = net.unsqueeze(target, 1)?;
        let best = net.larger(pair, target)?;
        let logits = self.apply(net, 4, best, 1)?;
        net.squeeze_last(logits)
    }
}

/// Logits to the logarithms of a nearly doubly stochastic matrix: rows and columns normalised in turn (Mena et al., 2018,
/// <https://arxiv.org/abs/1802.08665>).
fn sinkhorn(net: &mut Builder, logits: NodeId, noise: Option<NodeId>) -> Result<NodeId, OpError> {
    let noisy = match noise {
        Some(noise) => net.add(logits, noise)?,
        None => logits,
    };
    let temperature = net.scalar(SINKHORN_TEMPERATURE)?;
    let sharp = net.binary(BinaryOp::Div, noisy, temperature)?;
    let eye = net.push_as(Op::Eye, &[], vec![Dim::n(), Dim::n()], DType::Float)?;
    let far = net.scalar(DIAGONAL)?;
    let barred = net.binary(BinaryOp::Mul, eye, far)?;
    let mut value = net.binary(BinaryOp::Sub, sharp, barred)?;
    for _ in 0..SINKHORN_STEPS {
        value = net.push(Op::LogSoftmax { dim: 2 }, &[value])?;
        value = net.push(Op::LogSoftmax { dim: 1 }, &[value])?;
    }
    Ok(value)
}
