//! A step of a whole network as the executor builds it: encoders, and the gated message passing with a triplet channel.

use super::{linear, param};
use graph::{BinaryOp, DType, Dim, Graph, NodeId, Op, ReduceOp, Shape, Span, UnaryOp};

pub struct Step {
    pub graph: Graph,
    pub ret: NodeId,
    pub tri_msgs: NodeId,
}

struct Maker {
    g: Graph,
    line: u32,
}

impl Maker {
    fn span(&self) -> Span {
        Span { line: self.line, ..Span::default() }
    }

    fn push(&mut self, op: Op, args: &[NodeId]) -> NodeId {
        self.g.push(op, args, self.span()).unwrap()
    }

    fn add(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.push(Op::Binary(BinaryOp::Add), &[x, y])
    }

    fn relu(&mut self, x: NodeId) -> NodeId {
        self.push(Op::Unary(UnaryOp::Relu), &[x])
    }

    fn layer(&mut self, x: NodeId, out: usize) -> NodeId {
        self.line += 1;
        linear(&mut self.g, x, out, true).unwrap()
    }

    fn unsqueeze(&mut self, x: NodeId, axes: &[usize]) -> NodeId {
        let mut shape: Shape = self.g.shape(x).clone();
        for &axis in axes {
            shape.insert(axis, Dim::known(1));
        }
        let dtype = self.g.dtype(x);
        self.g.push_as(Op::Reshape, &[x], shape, dtype, self.span()).unwrap()
    }

    fn number(&mut self, value: f64) -> NodeId {
        self.g.push_as(Op::Scalar(value), &[], vec![], DType::Float, self.span()).unwrap()
    }

    /// The sum of the encodings of inputs of one location.
    fn encoded(&mut self, inputs: &[(&str, Shape, bool)], hidden: usize) -> NodeId {
        let mut sum = None;
        for (name, shape, varies) in inputs {
            let x = self.g.input(name, shape.clone(), DType::Float, *varies);
            let scalars = self.unsqueeze(x, &[shape.len()]);
            let next = self.layer(scalars, hidden);
            sum = Some(sum.map_or(next, |so_far| self.add(so_far, next)));
        }
        sum.unwrap()
    }
}

pub fn step(h: usize, t: usize) -> Step {
    let (b, n) = (Dim::b(), Dim::n());
    let mut m = Maker { g: Graph::new(), line: 0 };
    let node = vec![b.clone(), n.clone()];
    let edge = vec![b.clone(), n.clone(), n.clone()];
    let width = Dim::known(i64::try_from(h).unwrap());
    let hidden = m.g.input("hidden", vec![b.clone(), n.clone(), width.clone()], DType::Float, true);
    let node_fts = m.encoded(&[("pos", node.clone(), false), ("color", node.clone(), true), ("d", node, true)], h);
    let edge_fts = m.encoded(
        &[
            ("A", edge.clone(), false),
            ("adj", edge.clone(), false),
            ("pi_h", edge.clone(), true),
            ("s_prev", edge.clone(), true),
        ],
        h,
    );
    let time = m.encoded(&[("time", vec![b.clone()], true)], h);

    let z = m.push(Op::Cat { dim: 2 }, &[node_fts, hidden]);
    let (m1, m2, me, mg) = (m.layer(z, h), m.layer(z, h), m.layer(edge_fts, h), m.layer(time, h));
    let (m1, m2, mg) = (m.unsqueeze(m1, &[1]), m.unsqueeze(m2, &[2]), m.unsqueeze(mg, &[1, 2]));
    let msgs = m.add(m1, m2);
    let msgs = m.add(msgs, me);
    let msgs = m.add(msgs, mg);
    let msgs = m.relu(msgs);
    let msgs = m.layer(msgs, h);
    let msgs = m.relu(msgs);
    let msgs = m.layer(msgs, h);
    // the complete graph, written as the seed program writes it
    let ones = m.g.push_as(Op::Full(1.0), &[], edge, DType::Float, m.span()).unwrap();
    let ones = m.unsqueeze(ones, &[3]);
    let shape = m.g.shape(ones).clone();
    let mask = m.g.push_as(Op::Cast, &[ones], shape, DType::Bool, m.span()).unwrap();
    let wide = m.g.shape(msgs).clone();
    let blocked = m.g.push_as(Op::Full(-1e6), &[], wide, DType::Float, m.span()).unwrap();
    let msgs = m.push(Op::Where, &[mask, msgs, blocked]);
    let msgs = m.push(Op::Reduce { op: ReduceOp::Amax, dims: vec![1], keepdim: false }, &[msgs]);

    let (o1, o2) = (m.layer(z, h), m.layer(msgs, h));
    let ret = m.add(o1, o2);
    let ret = m.relu(ret);
    let (weight, bias) = (param(&mut m.g, &[h]), param(&mut m.g, &[h]));
    let ret = m.push(Op::LayerNorm { axes: 1, eps: 1e-5, weighted: true, biased: true }, &[ret, weight, bias]);
    let (g1, g2) = (m.layer(z, h), m.layer(msgs, h));
    let gate = m.add(g1, g2);
    let gate = m.relu(gate);
    let gate = m.layer(gate, h);
    let gate = m.push(Op::Unary(UnaryOp::Sigmoid), &[gate]);
    let one = m.number(1.0);
    let rest = m.push(Op::Binary(BinaryOp::Sub), &[one, gate]);
    let (new, old) =
        (m.push(Op::Binary(BinaryOp::Mul), &[gate, ret]), m.push(Op::Binary(BinaryOp::Mul), &[rest, hidden]));
    let ret = m.add(new, old);

    let (t1, t2, t3) = (m.layer(z, t), m.layer(z, t), m.layer(z, t));
    let (e1, e2, e3, tg) = (m.layer(edge_fts, t), m.layer(edge_fts, t), m.layer(edge_fts, t), m.layer(time, t));
    let parts = [
        m.unsqueeze(t1, &[2, 3]),
        m.unsqueeze(t2, &[1, 3]),
        m.unsqueeze(t3, &[1, 2]),
        m.unsqueeze(e1, &[3]),
        m.unsqueeze(e2, &[2]),
        m.unsqueeze(e3, &[1]),
        m.unsqueeze(tg, &[1, 2, 3]),
    ];
    m.line += 1;
    let triples = parts.into_iter().reduce(|x, y| m.add(x, y)).unwrap();
    let best = m.push(Op::Reduce { op: ReduceOp::Amax, dims: vec![1], keepdim: false }, &[triples]);
    let tri_msgs = m.layer(best, h);
    let tri_msgs = m.relu(tri_msgs);
    Step { graph: m.g, ret, tri_msgs }
}
