//! The benchmark's processors as graphs made by hand: so that this crate's tests need no candidate program.

use graph::{BinaryOp, DType, Dim, Graph, Init, NodeId, Op, Param, Processor, ReduceOp, Span, UnaryOp};

const TRIPLET_FEATURES: usize = 8;

struct Maker {
    graph: Graph,
    hidden: usize,
}

impl Maker {
    fn push(&mut self, op: Op, args: &[NodeId]) -> NodeId {
        self.graph.push(op, args, Span::default()).expect("is well-typed")
    }

    fn push_as(&mut self, op: Op, args: &[NodeId], shape: Vec<Dim>, dtype: DType) -> NodeId {
        self.graph.push_as(op, args, shape, dtype, Span::default()).expect("is well-typed")
    }

    fn param(&mut self, name: &str, shape: &[usize], init: Init) -> NodeId {
        let (name, shape) = (name.to_owned(), shape.to_vec());
        let param = Param { name, shape, init, trainable: true, transient: false, span: Span::default() };
        self.graph.param(param, Span::default())
    }

    fn linear(&mut self, name: &str, x: NodeId, out: usize) -> NodeId {
        let inputs = self.graph.shape(x).last().and_then(Dim::as_known).expect("is known") as usize;
        let bound = 1.0 / (inputs as f64).sqrt();
        let uniform = || Init::Uniform { low: -bound, high: bound };
        let weight = self.param(&format!("{name}.weight"), &[out, inputs], uniform());
        let bias = if name == "gate3" { Init::Constant(-3.0) } else { uniform() };
        let bias = self.param(&format!("{name}.bias"), &[out], bias);
        self.push(Op::Linear { biased: true }, &[x, weight, bias])
    }

    /// New axes of size 1 before the given axes of the result.
    fn spread(&mut self, x: NodeId, axes: &[usize]) -> NodeId {
        let mut shape = self.graph.shape(x).clone();
        axes.iter().for_each(|&axis| shape.insert(axis, Dim::known(1)));
        self.push_as(Op::Reshape, &[x], shape, DType::Float)
    }

    fn sum(&mut self, terms: &[NodeId]) -> NodeId {
        terms.iter().copied().reduce(|x, y| self.push(Op::Binary(BinaryOp::Add), &[x, y])).expect("has terms")
    }

    fn unary(&mut self, op: UnaryOp, x: NodeId) -> NodeId {
        self.push(Op::Unary(op), &[x])
    }

    fn amax(&mut self, x: NodeId) -> NodeId {
        self.push(Op::Reduce { op: ReduceOp::Amax, dims: vec![1], keepdim: false }, &[x])
    }

    fn triplets(&mut self, z: NodeId, edges: NodeId, whole: NodeId) -> NodeId {
        let mut terms = Vec::new();
        for (name, axes) in [("t_1", [2, 3]), ("t_2", [1, 3]), ("t_3", [1, 2])] {
            let term = self.linear(name, z, TRIPLET_FEATURES);
            terms.push(self.spread(term, &axes));
        }
        for (name, axis) in [("t_e_1", 3), ("t_e_2", 2), ("t_e_3", 1)] {
            let term = self.linear(name, edges, TRIPLET_FEATURES);
            terms.push(self.spread(term, &[axis]));
        }
        let term = self.linear("t_g", whole, TRIPLET_FEATURES);
        terms.push(self.spread(term, &[1, 1, 1]));
        let all = self.sum(&terms);
        let best = self.amax(all);
        let mapped = self.linear("o3", best, self.hidden);
        self.unary(UnaryOp::Relu, mapped)
    }
}

/// `triplet_gmpnn`, `gmpnn`, `mpnn` or `pgn`.
pub(crate) fn processor(name: &str, hidden: usize) -> Processor {
    let (graph, [nodes, edges, whole, adjacency, before]) = Processor::inputs(hidden);
    let mut make = Maker { graph, hidden };
    let z = make.push(Op::Cat { dim: 2 }, &[nodes, before]);
    let receiver = make.linear("m_1", z, hidden);
    let receiver = make.spread(receiver, &[1]);
    let sender = make.linear("m_2", z, hidden);
    let sender = make.spread(sender, &[2]);
    let edge = make.linear("m_e", edges, hidden);
    let all = make.linear("m_g", whole, hidden);
    let all = make.spread(all, &[1, 1]);
    let mut msgs = make.sum(&[receiver, sender, edge, all]);
    for layer in ["msg_mlp.0", "msg_mlp.2"] {
        let active = make.unary(UnaryOp::Relu, msgs);
        msgs = make.linear(layer, active, hidden);
    }
    if name == "pgn" {
        let zero = make.push_as(Op::Scalar(0.0), &[], vec![], DType::Float);
        let blocked = make.push_as(Op::Scalar(-1e6), &[], vec![], DType::Float);
        let apart = make.push(Op::Binary(BinaryOp::Eq), &[adjacency, zero]);
        let shape = [Dim::b(), Dim::n(), Dim::n(), Dim::known(1)].to_vec();
        let apart = make.push_as(Op::Reshape, &[apart], shape, DType::Bool);
        msgs = make.push(Op::Where, &[apart, blocked, msgs]);
    }
    let msgs = make.amax(msgs);
    let (o1, o2) = (make.linear("o1", z, hidden), make.linear("o2", msgs, hidden));
    let ret = make.sum(&[o1, o2]);
    let ret = make.unary(UnaryOp::Relu, ret);
    let weight = make.param("ln.weight", &[hidden], Init::Constant(1.0));
    let bias = make.param("ln.bias", &[hidden], Init::Constant(0.0));
    let mut ret = make.push(Op::LayerNorm { axes: 1, eps: 1e-5, weighted: true, biased: true }, &[ret, weight, bias]);
    if name.ends_with("gmpnn") {
        let (g1, g2) = (make.linear("gate1", z, hidden), make.linear("gate2", msgs, hidden));
        let gate = make.sum(&[g1, g2]);
        let gate = make.unary(UnaryOp::Relu, gate);
        let gate = make.linear("gate3", gate, hidden);
        let gate = make.unary(UnaryOp::Sigmoid, gate);
        let one = make.push_as(Op::Scalar(1.0), &[], vec![], DType::Float);
        let keep = make.push(Op::Binary(BinaryOp::Sub), &[one, gate]);
        let new = make.push(Op::Binary(BinaryOp::Mul), &[ret, gate]);
        let old = make.push(Op::Binary(BinaryOp::Mul), &[before, keep]);
        ret = make.sum(&[new, old]);
    }
    let tri_msgs = name.starts_with("triplet").then(|| make.triplets(z, edges, whole));
    Processor { graph: make.graph, ret, tri_msgs, hidden }
}
