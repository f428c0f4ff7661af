//! What a graph means, computed plainly in f64: the reference that rewrites and executors are tested against.
//!
//! Values carry a *tangent* beside each element, the directional derivative along a direction that the caller gives for
//! inputs and parameters (forward-mode differentiation). Two graphs with equal values and equal tangents for a random
//! point and direction have equal gradients there, by PyTorch's conventions for ties and kinks.
//!
//! Speed is not an aim: every operation is a loop over indices.

mod elementwise;
mod product;
mod rearrange;
mod reduce;

use crate::dim::Shape;
use crate::graph::Graph;
use crate::noise;
use crate::op::{DType, Node, Op};

/// A tensor with a tangent for each element. Int and Bool elements are whole numbers; their tangents are 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes of all axes, outermost first; none for a number.
    pub shape: Vec<usize>,
    /// Row-major.
    pub data: Vec<f64>,
    /// As long as `data`.
    pub tangent: Vec<f64>,
}

/// Why a graph cannot be evaluated on the given values.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InterpretError {
    /// A symbolic size overflows, or is negative, for the given B and N.
    #[error("B = {b} and N = {n} give a size out of range")]
    Size {
        /// Graphs in the batch.
        b: i64,
        /// Nodes of each graph.
        n: i64,
    },
    /// A given tensor has another shape than the graph states.
    #[error("{what} {at} has shape {got:?}, but {wanted:?} is needed")]
    Shape {
        /// `input` or `parameter`.
        what: &'static str,
        /// Index into the graph's inputs or parameters.
        at: usize,
        /// The shape that is given.
        got: Vec<usize>,
        /// The shape that the graph states, for the given B and N.
        wanted: Vec<usize>,
    },
    /// There are more or fewer inputs or parameters than the graph has.
    #[error("{wanted} {what}s are needed, but {got} are given")]
    Count {
        /// `input` or `parameter`.
        what: &'static str,
        /// How many are given.
        got: usize,
        /// How many the graph has.
        wanted: usize,
    },
    /// A value that is used as an index lies outside its axis.
    #[error("node {node} ({op}): index {index} is out of range for {size} elements")]
    Index {
        /// Index into [`Graph::nodes`].
        node: usize,
        /// The operation's name.
        op: &'static str,
        /// The value, which need not be whole.
        index: f64,
        /// The size of the axis that it indexes.
        size: usize,
    },
}

impl Tensor {
    /// Elements with tangent 0.
    pub fn new(shape: Vec<usize>, data: Vec<f64>) -> Self {
        let tangent = vec![0.0; data.len()];
        Self { shape, data, tangent }
    }

    /// Elements computed from their row-major position.
    pub(crate) fn from_fn(shape: Vec<usize>, mut at: impl FnMut(usize) -> (f64, f64)) -> Self {
        let (data, tangent) = (0..shape.iter().product()).map(&mut at).unzip();
        Self { shape, data, tangent }
    }

    fn get(&self, at: usize) -> (f64, f64) {
        (self.data[at], self.tangent[at])
    }
}

/// Evaluates all nodes for B = `b` and N = `n`. `inputs` and `params` are in the order of [`Graph::inputs`] and
/// [`Graph::params`]; answers one value per node.
pub fn evaluate(
    graph: &Graph,
    inputs: &[Tensor],
    params: &[Tensor],
    b: i64,
    n: i64,
) -> Result<Vec<Tensor>, InterpretError> {
    check("input", inputs, graph.inputs.iter().map(|input| sizes(&input.shape, b, n)))?;
    check("parameter", params, graph.params.iter().map(|param| Ok(param.shape.clone())))?;
    let mut values: Vec<Tensor> = Vec::with_capacity(graph.nodes.len());
    for (at, node) in graph.nodes.iter().enumerate() {
        let shape = sizes(&node.shape, b, n)?;
        let args: Vec<&Tensor> = node.args.iter().map(|x| &values[x.index()]).collect();
        let wrong = |(index, size)| InterpretError::Index { node: at, op: node.op.name(), index, size };
        let mut value = match node.op {
            Op::Input(i) => inputs[i as usize].clone(),
            Op::Param(p) => params[p.index()].clone(),
            _ => node_value(node, &args, shape, (b, n)).map_err(wrong)?,
        };
        if node.dtype != DType::Float {
            value.tangent.fill(0.0);
        }
        values.push(value);
    }
    Ok(values)
}

fn check(
    what: &'static str,
    given: &[Tensor],
    wanted: impl ExactSizeIterator<Item = Result<Vec<usize>, InterpretError>>,
) -> Result<(), InterpretError> {
    if given.len() != wanted.len() {
        return Err(InterpretError::Count { what, got: given.len(), wanted: wanted.len() });
    }
    for (at, (tensor, wanted)) in given.iter().zip(wanted).enumerate() {
        let wanted = wanted?;
        let count: usize = wanted.iter().product();
        if tensor.shape != wanted || tensor.data.len() != count || tensor.tangent.len() != count {
            return Err(InterpretError::Shape { what, at, got: tensor.shape.clone(), wanted });
        }
    }
    Ok(())
}

/// The sizes of a shape for given B and N.
pub fn sizes(shape: &Shape, b: i64, n: i64) -> Result<Vec<usize>, InterpretError> {
    let size = |dim: &crate::Dim| dim.eval(b, n).and_then(|size| usize::try_from(size).ok());
    shape.iter().map(|dim| size(dim).ok_or(InterpretError::Size { b, n })).collect()
}

/// An index that is out of range, and the range's size.
type WrongIndex = (f64, usize);

fn node_value(node: &Node, args: &[&Tensor], shape: Vec<usize>, (b, n): (i64, i64)) -> Result<Tensor, WrongIndex> {
    let at = |dim: &crate::Dim| dim.eval(b, n).and_then(|v| usize::try_from(v).ok()).unwrap_or(0);
    Ok(match &node.op {
        Op::Input(_) | Op::Param(_) => Tensor::new(shape, Vec::new()),
        Op::Scalar(value) | Op::Full(value) => Tensor::from_fn(shape, |_| (*value, 0.0)),
        Op::Size(dim) => Tensor::from_fn(shape, |_| (at(dim) as f64, 0.0)),
        Op::Const(values) => Tensor::new(shape, values.clone()),
        Op::Arange { start, step } => Tensor::from_fn(shape, |i| (start + step * i as f64, 0.0)),
        Op::Eye => {
            let columns = shape[1];
            Tensor::from_fn(shape, |i| (f64::from(u8::from(i / columns == i % columns)), 0.0))
        }
        Op::Random { stream } => {
            let keys: Vec<u64> = args[0].data.chunks(noise::LIMBS).map(noise::joined).collect();
            let starts: Vec<u64> = keys.into_iter().map(|key| noise::start(key, *stream)).collect();
            let each = (shape.iter().product::<usize>() / starts.len().max(1)).max(1);
            Tensor::from_fn(shape, |i| (noise::uniform(starts[i / each], (i % each) as u64), 0.0))
        }
        Op::Unary(op) => elementwise::unary(op, args[0]),
        Op::Binary(op) => elementwise::binary(*op, args[0], args[1], shape, node.dtype),
        Op::Where => elementwise::choose(args[0], args[1], args[2], shape),
        Op::Cast => elementwise::cast(args[0], node.dtype),
        Op::Detach => Tensor::new(shape, args[0].data.clone()),

        Op::Reduce { op, dims, .. } => reduce::reduce(op, args[0], dims, shape),
        Op::Softmax { dim } => reduce::softmax(args[0], *dim, false),
        Op::LogSoftmax { dim } => reduce::softmax(args[0], *dim, true),
        Op::LayerNorm { axes, eps, .. } => reduce::layer_norm(args, *axes, *eps),
        Op::CumSum { dim } => reduce::running(args[0], *dim, |(s, ds), (x, dx)| (s + x, ds + dx), (0.0, 0.0)),
        Op::CumProd { dim } => reduce::running(args[0], *dim, |(p, dp), (x, dx)| (p * x, dp * x + p * dx), (1.0, 0.0)),
        Op::TopK { dim, largest, .. } => reduce::sorted(args[0], *dim, *largest, shape, false),
        Op::TopKIndices { dim, largest, .. } => reduce::sorted(args[0], *dim, *largest, shape, true),
        Op::Sort { dim, descending } => reduce::sorted(args[0], *dim, *descending, shape, false),
        Op::ArgSort { dim, descending } => reduce::sorted(args[0], *dim, *descending, shape, true),

        Op::Reshape => Tensor { shape, ..args[0].clone() },
        Op::Permute(_)
        | Op::Expand
        | Op::Flip { .. }
        | Op::Roll { .. }
        | Op::Diagonal { .. }
        | Op::Tril { .. }
        | Op::Triu { .. } => rearrange::moved(&node.op, args[0], shape),
        Op::Slice { dim, start, step, .. } => rearrange::slice(args[0], *dim, at(start), *step, shape),
        Op::Select { dim, index } => rearrange::select(args[0], *dim, at(index), shape),
        Op::Cat { dim } => rearrange::cat(args, *dim, shape),
        Op::Gather { dim } => rearrange::gather(args[0], args[1], *dim)?,
        Op::Scatter { dim } => rearrange::scatter(args[0], args[1], args[2], *dim, false)?,
        Op::ScatterAdd { dim } => rearrange::scatter(args[0], args[1], args[2], *dim, true)?,
        Op::IndexSelect { dim } => rearrange::index_select(args[0], args[1], *dim, shape)?,
        Op::OneHot { classes } => rearrange::one_hot(args[0], *classes, shape)?,

        Op::Linear { .. } => product::linear(args, shape),
        Op::MatMul => product::matmul(args[0], args[1], shape),
        Op::Einsum(equation) => product::einsum(equation, args, shape),
        Op::MaxPlus { minimum, first } => product::max_plus(args[0], args[1], shape, *minimum, *first),

        Op::ShareExtreme { dims, first } => reduce::share_extreme([args[0], args[1], args[2]], dims, *first),
        Op::MaxPlusGrad { first, second, .. } => {
            product::max_plus_gradient([args[0], args[1], args[2], args[3]], *first, *second)
        }
        Op::CumProdGrad { dim } => reduce::running_product_gradient(args[0], args[1], *dim),
    })
}

/// Row-major strides.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The index along each axis of a row-major position.
fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        index[axis] = at % shape[axis];
        at /= shape[axis];
    }
    index
}

/// The row-major position of an index.
fn ravel(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |at, (i, size)| at * size + i)
}

/// The position in a tensor of shape `small` that `index` of a wider shape reads under broadcasting.
fn broadcast_position(index: &[usize], small: &[usize]) -> usize {
    let offset = index.len() - small.len();
    small.iter().enumerate().fold(0, |at, (axis, &size)| at * size + if size == 1 { 0 } else { index[offset + axis] })
}

/// The positions of each line of elements along `dim`.
fn lines(shape: &[usize], dim: usize) -> Vec<Vec<usize>> {
    let (stride, size) = (strides(shape)[dim], shape[dim]);
    let count: usize = shape.iter().product();
    (0..count).filter(|at| (at / stride) % size == 0).map(|at| (0..size).map(|i| at + i * stride).collect()).collect()
}
