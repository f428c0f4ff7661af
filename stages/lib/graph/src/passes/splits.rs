//! Slices of one tensor that can be taken together.
//!
//! An executor with automatic differentiation should not take slices of a tensor one by one: the gradient of each is a
//! tensor of the full size, mostly zeros, and these are added up. Taken as one split, their gradients are put side by
//! side once. Merged layers are read through such slices.

use crate::dim::Dim;
use crate::graph::Graph;
use crate::op::{NodeId, Op};
use std::collections::BTreeMap;

/// A tensor cut into pieces along one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The tensor.
    pub source: NodeId,
    /// The axis along which it is cut.
    pub dim: usize,
    /// Sizes of the pieces in order, which together fill the axis, and the node that each piece is; `None` for a piece
    /// that no node is.
    pub pieces: Vec<(Dim, Option<NodeId>)>,
}

/// Start, end, and the node.
type Slice = (Dim, Dim, NodeId);

/// Tensors that are read through two or more slices which do not overlap, along one axis, by steps of 1.
pub fn splits(graph: &Graph, outputs: &[NodeId]) -> Vec<Split> {
    let live = super::dce::live(graph, outputs);
    let mut slices: BTreeMap<(NodeId, usize), Vec<Slice>> = BTreeMap::new();
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        if let Op::Slice { dim, start, end, step: 1 } = &node.op {
            slices.entry((node.args[0], *dim)).or_default().push((start.clone(), end.clone(), id));
        }
    }
    slices.into_iter().filter_map(|((source, dim), slices)| split(graph, source, dim, slices)).collect()
}

fn split(graph: &Graph, source: NodeId, dim: usize, mut slices: Vec<Slice>) -> Option<Split> {
    if slices.len() < 2 {
        return None;
    }
    let zero = Dim::known(0);
    let mut pieces = Vec::new();
    let mut reached = zero.clone();
    while !slices.is_empty() {
        // The piece that lies before all others.
        let next = slices
            .iter()
            .position(|(_, end, id)| slices.iter().all(|(start, _, other)| id == other || start.provably_ge(end)))?;
        let (start, end, id) = slices.remove(next);
        let gap = &start - &reached;
        if gap != zero {
            gap.provably_ge(&zero).then(|| pieces.push((gap, None)))?;
        }
        pieces.push((&end - &start, Some(id)));
        reached = end;
    }
    let rest = graph.shape(source).get(dim)? - &reached;
    if rest != zero {
        pieces.push((rest, None));
    }
    Some(Split { source, dim, pieces })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{DType, Span};

    #[test]
    fn pieces_fill_the_axis() {
        let mut g = Graph::new();
        let x = g.input("x", vec![Dim::n(), Dim::known(8)], DType::Float, true);
        let slice = |g: &mut Graph, dim, start: i64, end: Dim| {
            g.push(Op::Slice { dim, start: Dim::known(start), end, step: 1 }, &[x], Span::default()).unwrap()
        };
        let (b, a) = (slice(&mut g, 1, 5, Dim::known(7)), slice(&mut g, 1, 0, Dim::known(3)));
        let only = slice(&mut g, 0, 1, Dim::n());
        let k = Dim::known;
        let pieces = vec![(k(3), Some(a)), (k(2), None), (k(2), Some(b)), (k(1), None)];
        assert_eq!(splits(&g, &[a, b, only]), [Split { source: x, dim: 1, pieces }]);
        let over = slice(&mut g, 1, 2, k(6));
        assert_eq!(splits(&g, &[a, b, over]), []);
    }
}
