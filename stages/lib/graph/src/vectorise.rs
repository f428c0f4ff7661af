//! One graph for several networks of one architecture, as JAX's and PyTorch's `vmap` over parameters and inputs makes it.
//!
//! Every parameter and every input has an axis S in front, a place along it for each network, and so has every value that
//! follows from them. What follows from sizes and numbers alone is the same for all and stays as it is. No element of one
//! network's values depends on another's. A layer becomes a batched product over S.

use crate::dim::{Dim, Shape, numel};
use crate::error::OpError;
use crate::graph::Graph;
use crate::infer::Equation;
use crate::noise;
use crate::op::{BinaryOp, DType, Init, Node, NodeId, Op, Span};

/// The graph of `count` networks that `graph` is one of, and the nodes of `wanted` in it, all of which have the axis S.
/// Inputs and parameters keep their numbers; parameters have no start of their own here.
///
/// # Errors
/// Where an einsum equation has used up all letters. Anything else is a fault of this function.
pub fn vectorise(graph: &Graph, wanted: &[NodeId], count: usize) -> Result<(Graph, Vec<NodeId>), OpError> {
    let mut to = Graph::with_params_of(graph);
    for param in &mut to.params {
        param.shape.insert(0, count);
        param.init = Init::Constant(0.0);
    }
    let copies = Dim::of(count);
    let with_axis = |shape: &[Dim]| -> Shape { std::iter::once(copies.clone()).chain(shape.iter().cloned()).collect() };
    let mut inputs = Vec::with_capacity(graph.inputs.len());
    for input in &graph.inputs {
        inputs.push(to.input(&input.name, with_axis(&input.shape), input.dtype, input.varies));
    }
    let mut build = Build { graph, to, copies: copies.clone(), map: Vec::with_capacity(graph.nodes.len()) };
    for node in &graph.nodes {
        let value = match node.op {
            Op::Input(at) => {
                let id = inputs.get(at as usize).copied().ok_or(OpError::NoSuchNode { node: at })?;
                Value { id, many: true }
            }
            Op::Param(param) => Value { id: build.to.param_node(param, node.span), many: true },
            _ => build.node(node)?,
        };
        build.map.push(value);
    }
    let outputs = wanted.iter().map(|&id| build.spread(id, Span::default())).collect::<Result<_, _>>()?;
    Ok((build.to, outputs))
}

/// A node's value in the new graph.
#[derive(Clone, Copy)]
struct Value {
    id: NodeId,
    /// Whether it has the axis S.
    many: bool,
}

struct Build<'a> {
    graph: &'a Graph,
    to: Graph,
    copies: Dim,
    map: Vec<Value>,
}

impl Build<'_> {
    fn value(&self, id: NodeId) -> Result<Value, OpError> {
        self.map.get(id.index()).copied().ok_or(OpError::NoSuchNode { node: id.0 })
    }

    fn with_axis(&self, shape: &[Dim]) -> Shape {
        std::iter::once(self.copies.clone()).chain(shape.iter().cloned()).collect()
    }

    fn reshape(&mut self, id: NodeId, shape: Shape, span: Span) -> Result<NodeId, OpError> {
        if *self.to.shape(id) == shape {
            return Ok(id);
        }
        let dtype = self.to.dtype(id);
        self.to.push_as(Op::Reshape, &[id], shape, dtype, span)
    }

    /// A value with the axis S, repeated along it where all networks have the same.
    fn spread(&mut self, id: NodeId, span: Span) -> Result<NodeId, OpError> {
        let Value { id: new, many } = self.value(id)?;
        if many {
            return Ok(new);
        }
        let (shape, dtype) = (self.graph.shape(id), self.graph.dtype(id));
        let one: Shape = std::iter::once(Dim::known(1)).chain(shape.iter().cloned()).collect();
        let whole = self.with_axis(shape);
        let new = self.reshape(new, one, span)?;
        self.to.push_as(Op::Expand, &[new], whole, dtype, span)
    }

    /// A value that broadcasts against others with `rank` axes behind S.
    fn aligned(&mut self, id: NodeId, rank: usize, span: Span) -> Result<NodeId, OpError> {
        let Value { id: new, many } = self.value(id)?;
        let own = self.graph.shape(id);
        if !many || own.len() >= rank {
            return Ok(new);
        }
        let ones = std::iter::repeat_n(Dim::known(1), rank - own.len());
        let shape: Shape = std::iter::once(self.copies.clone()).chain(ones).chain(own.iter().cloned()).collect();
        self.reshape(new, shape, span)
    }

    fn node(&mut self, node: &Node) -> Result<Value, OpError> {
        let values = node.args.iter().map(|&arg| self.value(arg)).collect::<Result<Vec<_>, _>>()?;
        if !values.iter().any(|value| value.many) {
            let args: Vec<NodeId> = values.iter().map(|value| value.id).collect();
            let id = self.to.push_as(node.op.clone(), &args, node.shape.clone(), node.dtype, node.span)?;
            return Ok(Value { id, many: false });
        }
        let id = self.many(node)?;
        Ok(Value { id, many: true })
    }

    /// A node of which at least one argument has the axis S.
    fn many(&mut self, node: &Node) -> Result<NodeId, OpError> {
        let Node { op, args, shape, span, .. } = node;
        let rank = shape.len();
        let args = args.as_slice();
        match (op, args) {
            (Op::Unary(_) | Op::Binary(_) | Op::Where | Op::Cast | Op::Detach | Op::Expand, _) => {
                let args = args.iter().map(|&arg| self.aligned(arg, rank, *span)).collect::<Result<Vec<_>, _>>()?;
                self.push(node, op.clone(), &args)
            }
            (Op::LayerNorm { axes, eps, weighted, biased }, &[x, ref parameters @ ..]) => {
                let plain = Op::LayerNorm { axes: *axes, eps: *eps, weighted: false, biased: false };
                let x = self.value(x)?.id;
                let mut value = self.to.push(plain, &[x], *span)?;
                let operations = [(*weighted, BinaryOp::Mul), (*biased, BinaryOp::Add)];
                for (&parameter, (_, op)) in parameters.iter().zip(operations.iter().filter(|(there, _)| *there)) {
                    let parameter = self.aligned(parameter, rank, *span)?;
                    value = self.to.push(Op::Binary(*op), &[value, parameter], *span)?;
                }
                Ok(value)
            }
            (Op::Linear { biased: false }, &[x, weight]) => self.layer(node, x, weight),
            (Op::Linear { biased: true }, &[x, weight, bias]) => {
                let layer = self.layer(node, x, weight)?;
                let bias = self.aligned(bias, rank, *span)?;
                self.to.push(Op::Binary(BinaryOp::Add), &[layer, bias], *span)
            }
            (Op::MatMul, &[x, y]) => self.product(node, x, y),
            (Op::Einsum(equation), _) => {
                let equation = self.equation(equation, args)?;
                let args = args.iter().map(|&arg| Ok(self.value(arg)?.id)).collect::<Result<Vec<_>, OpError>>()?;
                self.push(node, Op::Einsum(equation), &args)
            }
            (Op::MaxPlus { .. } | Op::MaxPlusGrad { .. }, _) => {
                // S and B are one axis: neither sees the others of its kind.
                let mut folded = Vec::with_capacity(args.len());
                for &arg in args {
                    let shape = self.folded(self.graph.shape(arg));
                    let arg = self.spread(arg, *span)?;
                    folded.push(self.reshape(arg, shape, *span)?);
                }
                let value = self.to.push(op.clone(), &folded, *span)?;
                self.reshape(value, self.with_axis(shape), *span)
            }
            (Op::Reduce { op, dims, .. }, &[x]) if dims.is_empty() => {
                // A single number is reduced over an axis of its own.
                let Value { id, .. } = self.value(x)?;
                let mut one = self.with_axis(shape);
                one.push(Dim::known(1));
                let id = self.reshape(id, one, *span)?;
                self.to.push(Op::Reduce { op: *op, dims: vec![rank + 1], keepdim: false }, &[id], *span)
            }
            (Op::Random { .. }, &[key]) => self.random(node, key),
            (Op::IndexSelect { dim }, &[x, index]) => self.index_select(node, *dim, x, index),
            // Here a network that is the same for all is repeated: the operation does not broadcast.
            (
                Op::Cat { .. }
                | Op::Gather { .. }
                | Op::Scatter { .. }
                | Op::ScatterAdd { .. }
                | Op::ShareExtreme { .. }
                | Op::CumProdGrad { .. },
                _,
            ) => {
                let args = args.iter().map(|&arg| self.spread(arg, *span)).collect::<Result<Vec<_>, _>>()?;
                self.push(node, moved(op), &args)
            }
            _ => {
                let args = args.iter().map(|&arg| Ok(self.value(arg)?.id)).collect::<Result<Vec<_>, OpError>>()?;
                self.push(node, moved(op), &args)
            }
        }
    }

    /// An operation whose value is that of `node` with the axis S in front.
    fn push(&mut self, node: &Node, op: Op, args: &[NodeId]) -> Result<NodeId, OpError> {
        let shape = self.with_axis(&node.shape);
        self.to.push_as(op, args, shape, node.dtype, node.span)
    }

    /// A shape with S and its first axis as one.
    fn folded(&self, shape: &[Dim]) -> Shape {
        match shape.split_first() {
            Some((first, rest)) => std::iter::once(&self.copies * first).chain(rest.iter().cloned()).collect(),
            None => vec![self.copies.clone()],
        }
    }

    fn layer(&mut self, node: &Node, x: NodeId, weight: NodeId) -> Result<NodeId, OpError> {
        let own = self.value(weight)?;
        if !own.many {
            let x = self.value(x)?.id;
            return self.to.push(Op::Linear { biased: false }, &[x, own.id], node.span);
        }
        let weight = self.to.push(Op::Permute(vec![0, 2, 1]), &[own.id], node.span)?;
        self.rows_times(node, x, weight)
    }

    /// All rows of `x` times a matrix for each network, [S, in, out]: one product a network.
    fn rows_times(&mut self, node: &Node, x: NodeId, matrix: NodeId) -> Result<NodeId, OpError> {
        let Value { id: rows, many } = self.value(x)?;
        let Some((inner, outer)) = self.graph.shape(x).split_last() else {
            return Err(OpError::NoSuchNode { node: x.0 });
        };
        let flat = vec![numel(outer), inner.clone()];
        let flat = if many { self.with_axis(&flat) } else { flat };
        let rows = self.reshape(rows, flat, node.span)?;
        let value = self.to.push(Op::MatMul, &[rows, matrix], node.span)?;
        self.reshape(value, self.with_axis(&node.shape), node.span)
    }

    fn product(&mut self, node: &Node, x: NodeId, y: NodeId) -> Result<NodeId, OpError> {
        let (left, right) = (self.graph.shape(x).clone(), self.graph.shape(y).clone());
        let matrix = self.value(y)?;
        if matrix.many && right.len() == 2 {
            return self.rows_times(node, x, matrix.id);
        }
        // Vectors are rows or columns, and lose that axis again.
        let one = || Dim::known(1);
        let left = if left.len() == 1 { vec![one(), left[0].clone()] } else { left };
        let right = if right.len() == 1 { vec![right[0].clone(), one()] } else { right };
        let rank = left.len().max(right.len());
        let mut args = Vec::with_capacity(2);
        for (id, shape) in [(x, left), (y, right)] {
            let Value { id, many } = self.value(id)?;
            let shape = if many {
                let ones = std::iter::repeat_n(one(), rank - shape.len());
                std::iter::once(self.copies.clone()).chain(ones).chain(shape).collect()
            } else {
                shape
            };
            args.push(self.reshape(id, shape, node.span)?);
        }
        let value = self.to.push(Op::MatMul, &args, node.span)?;
        self.reshape(value, self.with_axis(&node.shape), node.span)
    }

    /// The equation with one more letter for those operands that have the axis S.
    fn equation(&self, equation: &str, args: &[NodeId]) -> Result<String, OpError> {
        let parsed = Equation::parse(equation)?;
        let fail = || OpError::Einsum { equation: equation.to_owned(), reason: "no letter is left".to_owned() };
        let used = |letter: &char| parsed.operands.iter().flatten().any(|other| other == letter);
        let letter = ('A'..='Z').chain('a'..='z').find(|letter| !used(letter)).ok_or_else(fail)?;
        let mut text = String::new();
        for (at, (letters, &arg)) in parsed.operands.iter().zip(args).enumerate() {
            text.extend((at > 0).then_some(','));
            text.extend(self.value(arg)?.many.then_some(letter));
            text.extend(letters);
        }
        text.push_str("->");
        text.push(letter);
        text.extend(&parsed.value);
        Ok(text)
    }

    /// Every network draws what it would alone: rows of samples follow from their own keys, and noise of a whole batch from
    /// its network's key.
    fn random(&mut self, node: &Node, key: NodeId) -> Result<NodeId, OpError> {
        let of_samples = *self.graph.shape(key) == noise::key_shape(true);
        let key = self.value(key)?.id;
        if !of_samples {
            return self.push(node, node.op.clone(), &[key]);
        }
        let keys = self.folded(&noise::key_shape(true));
        let key = self.reshape(key, keys, node.span)?;
        let folded = self.folded(&node.shape);
        let value = self.to.push_as(node.op.clone(), &[key], folded, DType::Float, node.span)?;
        self.reshape(value, self.with_axis(&node.shape), node.span)
    }

    fn index_select(&mut self, node: &Node, dim: usize, x: NodeId, index: NodeId) -> Result<NodeId, OpError> {
        let (from, places) = (self.value(x)?, self.value(index)?);
        let span = node.span;
        if !places.many {
            return self.push(node, Op::IndexSelect { dim: dim + 1 }, &[from.id, places.id]);
        }
        let (shape, wanted) = (self.graph.shape(x).clone(), self.graph.shape(index).clone());
        if !from.many {
            // The axes of the index, S among them, take the place of the axis.
            let value = self.to.push(Op::IndexSelect { dim }, &[from.id, places.id], span)?;
            let order = std::iter::once(dim).chain(0..dim).chain(dim + 1..=node.shape.len()).collect();
            return self.to.push(Op::Permute(order), &[value], span);
        }
        // The rows of all networks are one list, in which each network's places begin where the last one's end.
        let size = shape.get(dim).cloned().unwrap_or_default();
        let others = (0..shape.len()).filter(|&axis| axis != dim).map(|axis| axis + 1);
        let order = [0, dim + 1].into_iter().chain(others).collect();
        let rows = self.to.push(Op::Permute(order), &[from.id], span)?;
        let mut list: Shape = vec![&self.copies * &size];
        list.extend(shape.iter().enumerate().filter(|&(axis, _)| axis != dim).map(|(_, size)| size.clone()));
        let rows = self.reshape(rows, list, span)?;
        let numbers = Op::Arange { start: 0.0, step: 1.0 };
        let first = self.to.push_as(numbers, &[], vec![self.copies.clone()], DType::Int, span)?;
        let size = self.to.push_as(Op::Size(size), &[], Vec::new(), DType::Int, span)?;
        let first = self.to.push(Op::Binary(BinaryOp::Mul), &[first, size], span)?;
        let ones = std::iter::repeat_n(Dim::known(1), wanted.len());
        let first = self.reshape(first, std::iter::once(self.copies.clone()).chain(ones).collect(), span)?;
        let places = self.to.push(Op::Binary(BinaryOp::Add), &[places.id, first], span)?;
        let value = self.to.push(Op::IndexSelect { dim: 0 }, &[rows, places], span)?;
        // [S, index, what was before the axis, what was behind it]
        let (before, index) = (1 + wanted.len(), 1..1 + wanted.len());
        let order = std::iter::once(0).chain(before..before + dim).chain(index).chain(before + dim..=node.shape.len());
        self.to.push(Op::Permute(order.collect()), &[value], span)
    }
}

/// The same operation on values with one more axis in front.
fn moved(op: &Op) -> Op {
    let all = |dims: &[usize]| dims.iter().map(|dim| dim + 1).collect::<Vec<_>>();
    match op.clone() {
        Op::Reduce { op, dims, keepdim } => Op::Reduce { op, dims: all(&dims), keepdim },
        Op::Softmax { dim } => Op::Softmax { dim: dim + 1 },
        Op::LogSoftmax { dim } => Op::LogSoftmax { dim: dim + 1 },
        Op::CumSum { dim } => Op::CumSum { dim: dim + 1 },
        Op::CumProd { dim } => Op::CumProd { dim: dim + 1 },
        Op::CumProdGrad { dim } => Op::CumProdGrad { dim: dim + 1 },
        Op::TopK { k, dim, largest } => Op::TopK { k, dim: dim + 1, largest },
        Op::TopKIndices { k, dim, largest } => Op::TopKIndices { k, dim: dim + 1, largest },
        Op::Sort { dim, descending } => Op::Sort { dim: dim + 1, descending },
        Op::ArgSort { dim, descending } => Op::ArgSort { dim: dim + 1, descending },
        Op::Permute(perm) => Op::Permute(std::iter::once(0).chain(all(&perm)).collect()),
        Op::Slice { dim, start, end, step } => Op::Slice { dim: dim + 1, start, end, step },
        Op::Select { dim, index } => Op::Select { dim: dim + 1, index },
        Op::Cat { dim } => Op::Cat { dim: dim + 1 },
        Op::Flip { dims } => Op::Flip { dims: all(&dims) },
        Op::Roll { shift, dim } => Op::Roll { shift, dim: dim + 1 },
        Op::Gather { dim } => Op::Gather { dim: dim + 1 },
        Op::Scatter { dim } => Op::Scatter { dim: dim + 1 },
        Op::ScatterAdd { dim } => Op::ScatterAdd { dim: dim + 1 },
        Op::Diagonal { offset, dim1, dim2 } => Op::Diagonal { offset, dim1: dim1 + 1, dim2: dim2 + 1 },
        Op::ShareExtreme { dims, first } => Op::ShareExtreme { dims: all(&dims), first },
        other => other,
    }
}
