//! What is still to be differentiated, and short names for the nodes that rules make.

use super::parts::{Part, total};
use crate::dim::{Dim, Shape};
use crate::error::OpError;
use crate::graph::Graph;
use crate::op::{BinaryOp, DType, NodeId, Op, ReduceOp, Span, UnaryOp};
use std::collections::BTreeMap;

/// A node that has been made.
pub(super) type Made = Result<NodeId, OpError>;

/// A node whose rule runs: its value, the value's adjoint, and its arguments.
pub(super) struct Site {
    pub y: NodeId,
    pub g: NodeId,
    pub args: Vec<NodeId>,
}

/// A graph that is being differentiated.
pub(super) struct Tape<'a> {
    pub graph: &'a mut Graph,
    /// Where new nodes come from: the node whose rule makes them.
    pub span: Span,
    /// By index of the nodes that were there before.
    needs: Vec<bool>,
    /// By index of the nodes that were there before: what their users have given them so far.
    pending: Vec<Vec<Part>>,
    /// The sums that have been made of each node, and the axes that they are over.
    sums: BTreeMap<NodeId, Vec<(Vec<usize>, NodeId)>>,
}

impl<'a> Tape<'a> {
    pub fn new(graph: &'a mut Graph, needs: Vec<bool>) -> Self {
        let pending = std::iter::repeat_with(Vec::new).take(needs.len()).collect();
        Self { graph, span: Span::default(), needs, pending, sums: BTreeMap::new() }
    }

    /// Whether a node's adjoint is of use.
    pub fn needs(&self, x: NodeId) -> bool {
        self.needs.get(x.index()).copied().unwrap_or(false)
    }

    /// The sum of what a node's users have given it, all of which have had their turn.
    pub fn adjoint(&mut self, x: NodeId) -> Result<Option<NodeId>, OpError> {
        let parts = std::mem::take(&mut self.pending[x.index()]);
        total(self, x, parts)
    }

    /// Gives `x` a gradient of its own shape.
    pub fn pass(&mut self, x: NodeId, gradient: NodeId) {
        self.pass_part(x, Part::Whole(gradient));
    }

    pub fn pass_part(&mut self, x: NodeId, part: Part) {
        if self.needs(x) {
            self.pending[x.index()].push(part);
        }
    }

    /// Gives `x` a gradient of a shape that `x` broadcasts to.
    pub fn pass_summed(&mut self, x: NodeId, gradient: NodeId) -> Result<(), OpError> {
        let shape = self.shape(x);
        let gradient = self.sum_to(gradient, &shape)?;
        self.pass(x, gradient);
        Ok(())
    }

    pub fn shape(&self, x: NodeId) -> Shape {
        self.graph.shape(x).clone()
    }

    pub fn push(&mut self, op: Op, args: &[NodeId]) -> Made {
        self.graph.push(op, args, self.span)
    }

    fn push_as(&mut self, op: Op, args: &[NodeId], shape: Shape, dtype: DType) -> Made {
        self.graph.push_as(op, args, shape, dtype, self.span)
    }

    pub fn unary(&mut self, op: UnaryOp, x: NodeId) -> Made {
        self.push(Op::Unary(op), &[x])
    }

    pub fn binary(&mut self, op: BinaryOp, x: NodeId, y: NodeId) -> Made {
        self.push(Op::Binary(op), &[x, y])
    }

    pub fn number(&mut self, value: f64) -> Made {
        self.push_as(Op::Scalar(value), &[], Vec::new(), DType::Float)
    }

    /// A size as a number.
    pub fn size(&mut self, dim: &Dim) -> Made {
        match dim.as_known() {
            Some(value) => self.push_as(Op::Scalar(value as f64), &[], Vec::new(), DType::Int),
            None => self.push_as(Op::Size(dim.clone()), &[], Vec::new(), DType::Int),
        }
    }

    pub fn zeros(&mut self, shape: Shape) -> Made {
        self.push_as(Op::Full(0.0), &[], shape, DType::Float)
    }

    /// The position along `axis` of each element of a shape, the other axes of size 1.
    pub fn positions(&mut self, shape: &Shape, axis: usize) -> Made {
        let mut thin = vec![Dim::known(1); shape.len()];
        thin[axis] = shape[axis].clone();
        let line = self.push_as(Op::Arange { start: 0.0, step: 1.0 }, &[], vec![shape[axis].clone()], DType::Int)?;
        self.reshape(line, thin)
    }

    pub fn reshape(&mut self, x: NodeId, shape: Shape) -> Made {
        if *self.graph.shape(x) == shape {
            return Ok(x);
        }
        let dtype = self.graph.dtype(x);
        self.push_as(Op::Reshape, &[x], shape, dtype)
    }

    pub fn expand(&mut self, x: NodeId, shape: Shape) -> Made {
        if *self.graph.shape(x) == shape {
            return Ok(x);
        }
        let dtype = self.graph.dtype(x);
        self.push_as(Op::Expand, &[x], shape, dtype)
    }

    pub fn permute(&mut self, x: NodeId, perm: Vec<usize>) -> Made {
        if perm.iter().enumerate().all(|(axis, &from)| axis == from) {
            return Ok(x);
        }
        self.push(Op::Permute(perm), &[x])
    }

    /// The last two axes exchanged.
    pub fn transpose(&mut self, x: NodeId) -> Made {
        let rank = self.graph.shape(x).len();
        let perm = (0..rank.saturating_sub(2)).chain([rank - 1, rank - 2]).collect();
        self.permute(x, perm)
    }

    pub fn reduce(&mut self, op: ReduceOp, x: NodeId, dims: Vec<usize>, keepdim: bool) -> Made {
        self.push(Op::Reduce { op, dims, keepdim }, &[x])
    }

    /// A sum over some of the axes that was made before is summed further: it is smaller than `x`. Broadcast terms ask
    /// for sums of one adjoint over different axes.
    pub fn sum(&mut self, x: NodeId, dims: Vec<usize>, keepdim: bool) -> Made {
        if dims.is_empty() {
            return Ok(x);
        }
        let within = |known: &&(Vec<usize>, NodeId)| known.0.iter().all(|dim| dims.contains(dim));
        let known = self.sums.get(&x).and_then(|sums| sums.iter().filter(within).max_by_key(|known| known.0.len()));
        let sum = match known.cloned() {
            None => self.reduce(ReduceOp::Sum, x, dims.clone(), keepdim)?,
            Some((done, partial)) => {
                let shape = self.shape(x);
                let partial = self.reshape(partial, ones_at(&shape, &done, true))?;
                let left: Vec<usize> = dims.iter().copied().filter(|dim| !done.contains(dim)).collect();
                let sum = if left.is_empty() { partial } else { self.reduce(ReduceOp::Sum, partial, left, true)? };
                self.reshape(sum, ones_at(&shape, &dims, keepdim))?
            }
        };
        self.sums.entry(x).or_default().push((dims, sum));
        Ok(sum)
    }

    /// The sum over what broadcasting from `shape` repeated.
    pub fn sum_to(&mut self, x: NodeId, shape: &Shape) -> Made {
        let wide = self.shape(x);
        let new = wide.len().saturating_sub(shape.len());
        let grown = |axis: &usize| *axis < new || (shape[*axis - new].is_known_one() && !wide[*axis].is_known_one());
        let dims: Vec<usize> = (0..wide.len()).filter(grown).collect();
        let keepdim = dims.len() > new;
        let sum = self.sum(x, dims, keepdim)?;
        self.reshape(sum, shape.clone())
    }

    pub fn cat(&mut self, parts: &[NodeId], dim: usize) -> Made {
        match parts {
            [only] => Ok(*only),
            _ => self.push(Op::Cat { dim }, parts),
        }
    }
}

/// A shape with the axes `dims` of size 1, or without them.
pub(super) fn ones_at(shape: &Shape, dims: &[usize], keepdim: bool) -> Shape {
    let size = |(axis, size): (usize, &Dim)| match (dims.contains(&axis), keepdim) {
        (false, _) => Some(size.clone()),
        (true, true) => Some(Dim::known(1)),
        (true, false) => None,
    };
    shape.iter().enumerate().filter_map(size).collect()
}
