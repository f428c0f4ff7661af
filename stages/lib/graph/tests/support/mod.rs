//! Random graphs and random values for them.
#![allow(dead_code)] // each test uses its part

pub mod pgn;

use graph::interpret::{Tensor, evaluate, sizes};
use graph::{BinaryOp, DType, Dim, Graph, Init, NodeId, Op, Param, ReduceOp, Span, UnaryOp};
use proptest::prelude::*;

/// One operation to try: which, and what it draws its arguments and settings from.
pub type Step = (u8, u16, u16, u16);

pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<Step>(), 1..most)
}

/// A graph of the operations that could be applied, and its outputs: the last nodes made.
pub struct Random {
    pub graph: Graph,
    pub pool: Vec<NodeId>,
}

fn span() -> Span {
    Span::default()
}

impl Random {
    pub fn new(steps: &[Step]) -> Self {
        let mut graph = Graph::new();
        let (b, n, k) = (Dim::b(), Dim::n(), Dim::known);
        let mut pool = vec![
            graph.input("nodes", vec![b.clone(), n.clone(), k(3)], DType::Float, false),
            graph.input("hidden", vec![b.clone(), n.clone(), k(3)], DType::Float, true),
            graph.input("edges", vec![b.clone(), n.clone(), n.clone(), k(1)], DType::Float, false),
            graph.input("hints", vec![b.clone(), n.clone(), n.clone(), k(2)], DType::Float, true),
            graph.input("whole", vec![b.clone(), k(3)], DType::Float, true),
            graph.input("adjacency", vec![b, n.clone(), n], DType::Float, true),
        ];
        // Encoders, so that sums of layers are common.
        for at in 0..4 {
            let x = pool[at];
            if let Some(id) = linear(&mut graph, x, 4, at % 2 == 0) {
                pool.push(id);
            }
        }
        let mut random = Self { graph, pool };
        for step in steps {
            if let Some(id) = random.apply(*step)
                && random.small(id)
            {
                random.pool.push(id);
            }
        }
        random
    }

    /// The values of the last steps.
    pub fn outputs(&self) -> Vec<NodeId> {
        self.pool.iter().rev().take(3).copied().collect()
    }

    fn small(&self, id: NodeId) -> bool {
        let shape = self.graph.shape(id);
        shape.len() <= 5 && shape.iter().map(|dim| dim.eval(2, 3).unwrap_or(i64::MAX)).product::<i64>() <= 2000
    }

    fn pick(&self, choice: u16) -> NodeId {
        // Recent nodes more often, so that chains become long.
        let size = self.pool.len();
        let back = usize::from(choice) % (size + size.min(6));
        if back < size { self.pool[back] } else { self.pool[2 * size - 1 - back] }
    }

    fn float(&self, choice: u16) -> Option<NodeId> {
        let id = self.pick(choice);
        (self.graph.dtype(id) == DType::Float).then_some(id)
    }

    fn push(&mut self, op: Op, args: &[NodeId]) -> Option<NodeId> {
        self.graph.push(op, args, span()).ok()
    }

    fn apply(&mut self, (kind, first, second, setting): Step) -> Option<NodeId> {
        let x = self.float(first)?;
        let shape = self.graph.shape(x).clone();
        let rank = shape.len();
        if rank == 0 {
            return None;
        }
        let axis = usize::from(setting) % rank.max(1);
        match kind % 32 {
            0..=3 => linear(&mut self.graph, x, [2, 3, 4, 4][usize::from(setting % 4)], setting & 4 != 0),
            4..=9 => {
                let y = self.float(second)?;
                let op = [BinaryOp::Add, BinaryOp::Add, BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Maximum];
                self.push(Op::Binary(op[usize::from(setting % 6)]), &[x, y])
            }
            10 | 11 => {
                let ops = [
                    UnaryOp::Relu,
                    UnaryOp::Tanh,
                    UnaryOp::Neg,
                    UnaryOp::Sigmoid,
                    UnaryOp::Square,
                    UnaryOp::LeakyRelu { slope: 0.1 },
                ];
                self.push(Op::Unary(ops[usize::from(setting % 6)]), &[x])
            }
            12..=15 => {
                let mut wide = shape;
                wide.insert(usize::from(setting) % (rank + 1), Dim::known(1));
                self.graph.push_as(Op::Reshape, &[x], wide, DType::Float, span()).ok()
            }
            16 => {
                let wide: Vec<Dim> =
                    shape.iter().map(|dim| if dim.as_known() == Some(1) { Dim::n() } else { dim.clone() }).collect();
                self.graph.push_as(Op::Expand, &[x], wide, DType::Float, span()).ok()
            }
            17 => {
                let mut perm: Vec<usize> = (0..rank).collect();
                perm.swap(axis, usize::from(second) % rank.max(1));
                self.push(Op::Permute(perm), &[x])
            }
            18 | 19 => {
                let y = self.float(second)?;
                // Concatenation does not broadcast: fill up first.
                let mut wide = graph::broadcast(&shape[..rank - 1].to_vec(), &head(self.graph.shape(y))?).ok()?;
                let parts: Vec<NodeId> = [x, y]
                    .into_iter()
                    .filter_map(|part| {
                        let last = self.graph.shape(part).last()?.clone();
                        wide.push(last);
                        let id = self.graph.push_as(Op::Expand, &[part], wide.clone(), DType::Float, span()).ok();
                        wide.pop();
                        id
                    })
                    .collect();
                self.push(Op::Cat { dim: wide.len() }, &parts)
            }
            20 => {
                let end = shape.last()?.as_known()?;
                let start = Dim::known(i64::from(setting) % end.max(1));
                self.push(Op::Slice { dim: rank - 1, start, end: Dim::known(end), step: 1 }, &[x])
            }
            21..=24 => {
                let ops = [
                    ReduceOp::Amax,
                    ReduceOp::Amin,
                    ReduceOp::MaxValues,
                    ReduceOp::Mean,
                    ReduceOp::Sum,
                    ReduceOp::MinValues,
                    ReduceOp::Amax,
                    ReduceOp::LogSumExp,
                ];
                let op = ops[usize::from(second) % ops.len()];
                self.push(Op::Reduce { op, dims: vec![axis], keepdim: setting & 64 != 0 }, &[x])
            }
            25 => self.push(Op::LayerNorm { axes: 1, eps: 1e-5, weighted: false, biased: false }, &[x]),
            26 => self.push(Op::Softmax { dim: axis }, &[x]),
            27 => {
                let (y, z) = (self.float(second)?, self.float(setting)?);
                let zero = self.graph.push_as(Op::Scalar(0.1), &[], vec![], DType::Float, span()).ok()?;
                let mut mask = self.push(Op::Binary(BinaryOp::Gt), &[y, zero])?;
                if setting & 32 != 0 {
                    let other = self.push(Op::Binary(BinaryOp::Lt), &[z, zero])?;
                    let op = if setting & 16 != 0 { BinaryOp::And } else { BinaryOp::Or };
                    mask = self.push(Op::Binary(op), &[mask, other]).unwrap_or(mask);
                }
                if setting & 1024 != 0 {
                    let same =
                        self.graph.push_as(Op::Full(f64::from(second % 2)), &[], shape.clone(), DType::Bool, span());
                    mask = same.ok()?;
                }
                let fill = [-9.0, 0.3, f64::NEG_INFINITY][usize::from(setting % 3)];
                let full = self.graph.push_as(Op::Full(fill), &[], shape, DType::Float, span()).ok()?;
                self.push(Op::Where, &if setting & 128 != 0 { [mask, full, x] } else { [mask, x, full] })
            }
            28 => {
                let value = [2.0, -0.5, 1.0, 0.0][usize::from(setting % 4)];
                let number = self.graph.push_as(Op::Scalar(value), &[], vec![], DType::Float, span()).ok()?;
                let op = if setting & 8 == 0 { BinaryOp::Mul } else { BinaryOp::Add };
                self.push(Op::Binary(op), &[x, number])
            }
            29 => self.push(Op::Detach, &[x]),
            30 => {
                let inner = usize::try_from(shape.last()?.as_known()?).ok()?;
                let weight = param(&mut self.graph, &[inner, 3]);
                if setting & 1 == 0 {
                    self.push(Op::MatMul, &[x, weight])
                } else {
                    let letters = &"abcde"[..rank.checked_sub(1)?];
                    self.push(Op::Einsum(format!("{letters}h,hk->{letters}k")), &[x, weight])
                }
            }
            _ => {
                let y = self.float(second)?;
                let side = |graph: &mut Graph, z: NodeId, axis: usize| {
                    let mut wide = graph.shape(z).clone();
                    if wide.len() == 3 {
                        wide.insert(axis, Dim::known(1));
                    }
                    graph.push_as(Op::Reshape, &[z], wide, DType::Float, span()).ok()
                };
                let (left, right) = (side(&mut self.graph, x, 1)?, side(&mut self.graph, y, 2)?);
                self.push(Op::Binary(BinaryOp::Add), &[left, right])
            }
        }
    }
}

fn head(shape: &graph::Shape) -> Option<graph::Shape> {
    shape.split_last().map(|(_, head)| head.to_vec())
}

pub fn param(graph: &mut Graph, shape: &[usize]) -> NodeId {
    let p = Param {
        aliases: Vec::new(),
        name: format!("p{}", graph.params().len()),
        shape: shape.to_vec(),
        init: Init::Normal { mean: 0.0, std: 1.0 },
        trainable: true,
        transient: false,
        span: span(),
    };
    graph.param(p, span())
}

pub fn linear(graph: &mut Graph, x: NodeId, out: usize, biased: bool) -> Option<NodeId> {
    let inner = usize::try_from(graph.shape(x).last()?.as_known()?).ok()?;
    let mut args = vec![x, param(graph, &[out, inner])];
    if biased {
        args.push(param(graph, &[out]));
    }
    graph.push(Op::Linear { biased }, &args, span()).ok()
}

/// Repeatable numbers in -1..1 (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    pub fn tensor(&mut self, shape: Vec<usize>) -> Tensor {
        let count = shape.iter().product();
        let data = (0..count).map(|_| self.next()).collect();
        let tangent = (0..count).map(|_| self.next()).collect();
        Tensor { shape, data, tangent }
    }
}

/// The values and tangents of `outputs` at a random point.
pub fn run(graph: &Graph, outputs: &[NodeId], seed: u64, b: i64, n: i64) -> Vec<Tensor> {
    let mut numbers = Numbers(seed);
    let inputs: Vec<Tensor> =
        graph.inputs().iter().map(|input| numbers.tensor(sizes(&input.shape, b, n).unwrap())).collect();
    let params: Vec<Tensor> = graph.params().iter().map(|p| numbers.tensor(p.shape.clone())).collect();
    let values = evaluate(graph, &inputs, &params, b, n).unwrap();
    outputs.iter().map(|id| values[id.index()].clone()).collect()
}

/// Whether values and tangents agree up to rounding. Infinities follow no algebra: where the first has none but numbers
/// that are not finite, any such number will do.
pub fn agree(x: &Tensor, y: &Tensor) -> Result<(), String> {
    if x.shape != y.shape {
        return Err(format!("shapes {:?} and {:?}", x.shape, y.shape));
    }
    let close = |x: f64, y: f64| (x - y).abs() <= 1e-8 * (1.0 + x.abs().max(y.abs()));
    for at in 0..x.data.len() {
        let ((v, w), (dv, dw)) = ((x.data[at], y.data[at]), (x.tangent[at], y.tangent[at]));
        if v.is_finite() != w.is_finite() || (v.is_finite() && !close(v, w)) {
            return Err(format!("value {at}: {v} and {w}"));
        }
        if v.is_finite() && dv.is_finite() && !close(dv, dw) {
            return Err(format!("tangent {at}: {dv} and {dw}"));
        }
    }
    Ok(())
}
