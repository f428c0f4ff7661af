//! Which values integer nodes can take: whether an index is known to be in range before anything runs.

use crate::dim::Dim;
use crate::graph::Graph;
use crate::op::{BinaryOp, DType, Node, NodeId, Op, ReduceOp, UnaryOp};

/// Least and largest value, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least value, for every B and N.
    pub least: Dim,
    /// The largest value, for every B and N.
    pub most: Dim,
}

impl Range {
    fn new(least: Dim, most: Dim) -> Option<Self> {
        Some(Self { least, most })
    }

    fn one(value: Dim) -> Option<Self> {
        Self::new(value.clone(), value)
    }

    fn below(size: &Dim) -> Option<Self> {
        Self::new(Dim::known(0), size - &Dim::known(1))
    }

    fn union(self, other: Self) -> Option<Self> {
        Self::new(lesser(self.least, other.least)?, greater(self.most, other.most)?)
    }

    /// Whether every value is an index of an axis of this size.
    pub fn indexes(&self, size: &Dim) -> bool {
        self.least.provably_ge(&Dim::known(0)) && size.provably_gt(&self.most)
    }
}

/// The smaller one, where it is the same for all B and N.
fn lesser(x: Dim, y: Dim) -> Option<Dim> {
    if y.provably_ge(&x) { Some(x) } else { x.provably_ge(&y).then_some(y) }
}

fn greater(x: Dim, y: Dim) -> Option<Dim> {
    if x.provably_ge(&y) { Some(x) } else { y.provably_ge(&x).then_some(y) }
}

/// The adjacency matrix of a processor, by its name among the inputs: it holds 0 and 1, so that degrees are bounded by N.
const ADJACENCY: &str = "adj_mat";

/// The values that each Int or Bool node can take, by node index, and those Float nodes that are made of the adjacency matrix and
/// of constants; `None` where nothing is known, as for other inputs.
pub fn ranges(graph: &Graph) -> Vec<Option<Range>> {
    let mut known: Vec<Option<Range>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let range = match node.dtype {
            DType::Float => real(graph, node, &known),
            DType::Bool => Range::new(Dim::known(0), Dim::known(1)),
            DType::Int => range(graph, node, &known),
        };
        known.push(range);
    }
    known
}

/// Nodes that look elements up by an index that is not known to be in range: they can fail when the graph runs.
pub fn unproven_indices(graph: &Graph) -> Vec<NodeId> {
    let ranges = ranges(graph);
    let fits = |node: &Node| {
        let (index, size) = match node.op {
            Op::Gather { dim } | Op::Scatter { dim } | Op::ScatterAdd { dim } | Op::IndexSelect { dim } => {
                let size = node.args.first().and_then(|&x| graph.shape(x).get(dim)).cloned();
                (node.args.get(1), size)
            }
            Op::OneHot { classes } => (node.args.first(), i64::try_from(classes).ok().map(Dim::known)),
            _ => return true,
        };
        let range = index.and_then(|x| ranges[x.index()].as_ref());
        range.zip(size).is_some_and(|(range, size)| range.indexes(&size))
    };
    graph.ids().filter(|&id| !fits(graph.node(id))).collect()
}

fn whole(value: f64) -> Option<Dim> {
    (value.fract() == 0.0 && value.abs() < 9e15).then(|| Dim::known(value as i64))
}

/// Bounds of a Float node. They hold between integers as well, so that only those rules of integers apply that do not count on it.
fn real(graph: &Graph, node: &Node, known: &[Option<Range>]) -> Option<Range> {
    let of = |at: usize| node.args.get(at).and_then(|x| known[x.index()].clone());
    match &node.op {
        Op::Input(i) => {
            let input = graph.inputs.get(*i as usize)?;
            let shape = [Dim::b(), Dim::n(), Dim::n()];
            (input.name == ADJACENCY && input.shape == shape)
                .then(|| Range { least: Dim::known(0), most: Dim::known(1) })
        }
        // integers beyond 2^24 are rounded
        Op::Cast => {
            of(0).filter(|r| Dim::known(1 << 20).provably_ge(&r.most) || graph.dtype(node.args[0]) != DType::Int)
        }
        Op::Reduce { op: ReduceOp::Mean, .. } => of(0),
        Op::Reduce {
            op: ReduceOp::Sum | ReduceOp::Amax | ReduceOp::Amin | ReduceOp::MaxValues | ReduceOp::MinValues,
            ..
        }
        | Op::Scalar(_)
        | Op::Full(_)
        | Op::Const(_)
        | Op::Detach
        | Op::Reshape
        | Op::Permute(_)
        | Op::Expand
        | Op::Slice { .. }
        | Op::Select { .. }
        | Op::Flip { .. }
        | Op::Roll { .. }
        | Op::Diagonal { .. }
        | Op::Tril { .. }
        | Op::Triu { .. }
        | Op::Cat { .. }
        | Op::Where
        | Op::Eye
        | Op::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Maximum | BinaryOp::Minimum)
        | Op::Unary(
            UnaryOp::Clamp { .. } | UnaryOp::Neg | UnaryOp::Relu | UnaryOp::Abs | UnaryOp::Floor | UnaryOp::Round,
        ) => range(graph, node, known),
        Op::MatMul => {
            // paths of two steps: at most as many as there are nodes between
            let (x, y) = (of(0)?, of(1)?);
            let low = x.least.provably_ge(&Dim::known(0)) && y.least.provably_ge(&Dim::known(0));
            let between = graph.shape(*node.args.first()?).last()?;
            low.then(|| Range { least: Dim::known(0), most: &(&x.most * &y.most) * between })
        }
        _ => None,
    }
}

fn range(graph: &Graph, node: &Node, known: &[Option<Range>]) -> Option<Range> {
    let of = |at: usize| node.args.get(at).and_then(|x| known[x.index()].clone());
    let size = |at: usize, dim: usize| node.args.get(at).and_then(|&x| graph.shape(x).get(dim)).cloned();
    match &node.op {
        Op::Scalar(value) | Op::Full(value) => Range::one(whole(*value)?),
        Op::Size(dim) => Range::one(dim.clone()),
        Op::Const(values) => {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            Range::new(whole(least)?, whole(most)?)
        }
        Op::Arange { start, step } => {
            let (first, step) = (whole(*start)?, whole(*step)?);
            let last = &first + &(&step * &(node.shape.first()? - &Dim::known(1)));
            if step.provably_ge(&Dim::known(0)) { Range::new(first, last) } else { Range::new(last, first) }
        }
        Op::Eye | Op::OneHot { .. } => Range::new(Dim::known(0), Dim::known(1)),
        Op::TopKIndices { dim, .. } | Op::ArgSort { dim, .. } => Range::below(&size(0, *dim)?),
        Op::Reduce { op, dims, .. } => match op {
            ReduceOp::ArgMax | ReduceOp::ArgMin => match dims.first() {
                Some(&dim) => Range::below(&size(0, dim)?),
                None => Range::one(Dim::known(0)),
            },
            ReduceOp::Amax | ReduceOp::Amin | ReduceOp::MaxValues | ReduceOp::MinValues | ReduceOp::Median => of(0),
            ReduceOp::Sum => {
                let count = dims.iter().try_fold(Dim::known(1), |n, &dim| Some(&n * &size(0, dim)?))?;
                let range = of(0)?;
                Range::new(&range.least * &count, &range.most * &count)
            }
            _ => None,
        },
        // Only Bool and Int have ranges, and casting these changes no value.
        Op::Cast
        | Op::Detach
        | Op::Reshape
        | Op::Permute(_)
        | Op::Expand
        | Op::Slice { .. }
        | Op::Select { .. }
        | Op::Flip { .. }
        | Op::Roll { .. }
        | Op::Diagonal { .. }
        | Op::Sort { .. }
        | Op::TopK { .. }
        | Op::Gather { .. }
        | Op::IndexSelect { .. } => of(0),
        Op::Tril { .. } | Op::Triu { .. } => of(0)?.union(Range::one(Dim::known(0))?),
        Op::Cat { .. } => (1..node.args.len()).try_fold(of(0)?, |union, at| union.union(of(at)?)),
        Op::Where => of(1)?.union(of(2)?),
        Op::Scatter { .. } => of(0)?.union(of(2)?),
        Op::Unary(op) => unary(op, of(0)),
        Op::Binary(BinaryOp::Remainder) => {
            let divisor = of(1).filter(|y| y.least == y.most)?.least;
            divisor.provably_ge(&Dim::known(1)).then(|| Range { least: Dim::known(0), most: &divisor - &Dim::known(1) })
        }
        Op::Binary(op) => binary(*op, of(0)?, of(1)?),
        _ => None,
    }
}

fn unary(op: &UnaryOp, x: Option<Range>) -> Option<Range> {
    match *op {
        UnaryOp::Clamp { min, max } | UnaryOp::Hardtanh { min, max } => {
            let (low, high) = (whole(min), whole(max));
            let Some(x) = x else { return Range::new(low?, high?) };
            let least = match low {
                Some(low) => greater(x.least, low.clone()).unwrap_or(low),
                None => x.least,
            };
            let most = match high {
                Some(high) => lesser(x.most, high.clone()).unwrap_or(high),
                None => x.most,
            };
            // A bound beyond the other end of the range moves that end as well.
            Range::new(lesser(least.clone(), most.clone())?, greater(least, most)?)
        }
        UnaryOp::Neg => x.and_then(|x| Range::new(-&x.most, -&x.least)),
        UnaryOp::Relu => x.and_then(|x| Range::new(greater(x.least, Dim::known(0))?, greater(x.most, Dim::known(0))?)),
        UnaryOp::Abs => {
            let x = x?;
            let most = greater(-&x.least, x.most)?;
            Range::new(Dim::known(0), most)
        }
        UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Trunc => x,
        UnaryOp::Sign => Range::new(Dim::known(-1), Dim::known(1)),
        _ => None,
    }
}

fn binary(op: BinaryOp, x: Range, y: Range) -> Option<Range> {
    let constant = (y.least == y.most).then(|| y.least.clone());
    match op {
        BinaryOp::Add => Range::new(&x.least + &y.least, &x.most + &y.most),
        BinaryOp::Sub => Range::new(&x.least - &y.most, &x.most - &y.least),
        BinaryOp::Mul => {
            let (low, high) = (x.least.provably_ge(&Dim::known(0)), y.least.provably_ge(&Dim::known(0)));
            (low && high).then(|| Range { least: &x.least * &y.least, most: &x.most * &y.most })
        }
        BinaryOp::Maximum => Range::new(greater(x.least, y.least)?, greater(x.most, y.most)?),
        BinaryOp::Minimum => Range::new(lesser(x.least, y.least)?, lesser(x.most, y.most)?),
        BinaryOp::FloorDiv => {
            let divisor = constant?;
            let at_least_one = divisor.provably_ge(&Dim::known(1)) && x.least.provably_ge(&Dim::known(0));
            at_least_one.then(|| Range { least: Dim::known(0), most: divided(&x.most, &divisor) })
        }
        _ => None,
    }
}

/// An upper bound of `floor(x / divisor)` for x >= 0.
fn divided(x: &Dim, divisor: &Dim) -> Dim {
    if let (Some(x), Some(divisor)) = (x.as_known(), divisor.as_known().filter(|&d| d > 0)) {
        return Dim::known(x.div_euclid(divisor));
    }
    // floor((d q - 1) / d) = q - 1
    (x + &Dim::known(1)).div_exact(divisor).map_or_else(|| x.clone(), |quotient| &quotient - &Dim::known(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Span;

    #[test]
    fn look_ups_are_proven_or_named() {
        let mut g = Graph::new();
        let span = Span::default();
        let int = DType::Int;
        let (b, n, k) = (Dim::b(), Dim::n(), Dim::known);
        let x = g.input("x", vec![b.clone(), n.clone(), k(8)], DType::Float, true);
        let best = g.push(Op::Reduce { op: ReduceOp::ArgMax, dims: vec![1], keepdim: true }, &[x], span).unwrap();
        g.push(Op::Gather { dim: 1 }, &[x, best], span).unwrap();

        // signed distances cut to -2..2 and moved to 0..4
        let pos = g.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], vec![n.clone()], int, span).unwrap();
        let column = g.push_as(Op::Reshape, &[pos], vec![n.clone(), k(1)], int, span).unwrap();
        let offset = g.push(Op::Binary(BinaryOp::Sub), &[pos, column], span).unwrap();
        let cut = g.push(Op::Unary(UnaryOp::Clamp { min: -2.0, max: 2.0 }), &[offset], span).unwrap();
        let two = g.push_as(Op::Scalar(2.0), &[], vec![], int, span).unwrap();
        let bucket = g.push(Op::Binary(BinaryOp::Add), &[cut, two], span).unwrap();
        g.push(Op::OneHot { classes: 5 }, &[bucket], span).unwrap();
        let parity = g.push(Op::Binary(BinaryOp::Remainder), &[pos, two], span).unwrap();
        g.push(Op::OneHot { classes: 2 }, &[parity], span).unwrap();
        g.push(Op::IndexSelect { dim: 1 }, &[x, pos], span).unwrap();
        assert_eq!(unproven_indices(&g), []);

        let narrow = g.push(Op::OneHot { classes: 4 }, &[bucket], span).unwrap();
        let features = g.push(Op::IndexSelect { dim: 2 }, &[x, pos], span).unwrap();
        let raw = g.input("raw", vec![n], int, true);
        let given = g.push(Op::IndexSelect { dim: 1 }, &[x, raw], span).unwrap();
        assert_eq!(unproven_indices(&g), [narrow, features, given]);
    }

    #[test]
    fn degrees_are_bounded() {
        let mut g = Graph::new();
        let span = Span::default();
        let (b, n, k) = (Dim::b(), Dim::n(), Dim::known);
        let adjacency = g.input(ADJACENCY, vec![b.clone(), n.clone(), n.clone()], DType::Float, true);
        let features = g.input("x", vec![b.clone(), n.clone(), n.clone()], DType::Float, true);
        let mut looked_up = |of: NodeId, most: f64| {
            let whole = g.push_as(Op::Cast, &[of], vec![b.clone(), n.clone(), n.clone()], DType::Int, span).unwrap();
            let degree =
                g.push(Op::Reduce { op: ReduceOp::Sum, dims: vec![2], keepdim: false }, &[whole], span).unwrap();
            let clamp = UnaryOp::Clamp { min: f64::NEG_INFINITY, max: most };
            let degree = g.push(Op::Unary(clamp), &[degree], span).unwrap();
            let table = g.push_as(Op::Full(0.0), &[], vec![k(8), k(4)], DType::Float, span).unwrap();
            let id = g.push(Op::IndexSelect { dim: 0 }, &[table, degree], span).unwrap();
            unproven_indices(&g).contains(&id)
        };
        assert!(!looked_up(adjacency, 7.0));
        assert!(looked_up(adjacency, 8.0));
        assert!(looked_up(features, 7.0));
    }
}
