//! Reductions of broadcast sums without the tensor of all combinations.
//!
//! Over an axis i, with terms that are tensors over some of the axes i, j, k:
//!
//! * terms without i leave a maximum: `max_i (x_ijk + y_jk) = max_i x_ijk + y_jk`; and a mean: `mean_i y_jk = y_jk`; and a
//!   sum, times the size of i;
//! * a mean or sum of terms is the sum of their means or sums;
//! * where no term has both j and k, `max_i (a_ij + c_ik)` is a product of matrices with (max, +) in place of (+, *), and
//!   [`Op::MaxPlus`] computes it without the `[.., I, J, K, ..]` tensor;
//! * under conditions, terms that are masked out are the neutral infinity, and the fill competes with what is left where
//!   something is masked: `max_i (m_i ? x_i : v) = all_i m_i ? max_i x_i : max(max_i (m_i ? x_i : -inf), v)`;
//! * a function that never falls commutes with a maximum: `max_i relu(x_i) = relu(max_i x_i)`; one that never rises turns
//!   it into a minimum: `max_i -x_i = -min_i x_i`.
//!
//! Gradients stay the same: i attains the maximum of the whole sum exactly when it attains that of the terms with i (up to
//! rounding in near ties), and a term without i gets the whole gradient either way. For `x.max(dim)`, whose gradient goes
//! to one element, `MaxPlus` is told so. Functions that never fall, but are flat somewhere, tie only where their slope is 0.

use super::build::{Builder, Rewritten, rebuild};
use super::dce::uses;
use super::masks::{Masked, masked};
use super::reference::Reference;
use super::simplify::padded;
use super::sums::cheapest;
use super::terms::{Term, terms};
use crate::dim::{Dim, Shape};
use crate::error::OpError;
use crate::graph::Graph;
use crate::infer::shapes::broadcast;
use crate::op::{BinaryOp, DType, Node, NodeId, Op, ReduceOp, Span, UnaryOp};

pub(super) fn run(graph: &Graph, outputs: &[NodeId], reference: Reference) -> Rewritten {
    let uses = uses(graph, outputs);
    rebuild(graph, outputs, |b, site| {
        let Op::Reduce { op, dims, keepdim } = &site.node.op else { return Ok(None) };
        // If the whole tensor is needed anyway, nothing is won.
        let shared = site.node.args.iter().any(|x| uses[x.index()] > 1);
        match (dims.as_slice(), op) {
            (&[axis], ReduceOp::Amax | ReduceOp::Amin | ReduceOp::MaxValues | ReduceOp::MinValues) if !shared => {
                let extreme = Extreme {
                    minimum: matches!(op, ReduceOp::Amin | ReduceOp::MinValues),
                    first: matches!(op, ReduceOp::MaxValues | ReduceOp::MinValues),
                    axis,
                    keepdim: *keepdim,
                    reference,
                    span: site.node.span,
                };
                extreme.of(b, site.args[0])
            }
            (&[axis], ReduceOp::Sum | ReduceOp::Mean) if !shared => {
                total(b, *op, axis, site.node, site.args[0], reference)
            }
            _ => Ok(None),
        }
    })
}

/// A term with as many axes as the sum, and its sign.
fn pad(b: &mut Builder, term: Term, rank: usize, span: Span) -> Result<Term, OpError> {
    Ok(Term { node: padded(b, term.node, rank, span)?, ..term })
}

fn spans(b: &Builder, id: NodeId, axis: usize) -> bool {
    !b.graph.shape(id)[axis].is_known_one()
}

fn nodes(terms: &[Term]) -> Vec<NodeId> {
    terms.iter().map(|term| term.node).collect()
}

fn reach(b: &Builder, nodes: &[NodeId]) -> Result<Shape, OpError> {
    nodes.iter().try_fold(Shape::new(), |shape, &id| broadcast(&shape, b.graph.shape(id)))
}

/// The terms of a sum with the reduced axis, and those without it.
type Sides = (Vec<Term>, Vec<Term>);

/// Both conditions.
fn both_of(b: &mut Builder, first: Option<NodeId>, next: NodeId, span: Span) -> Result<NodeId, OpError> {
    match first {
        None => Ok(next),
        Some(first) => b.emit(Op::Binary(BinaryOp::And), &[first, next], span),
    }
}

/// A sum or mean of a sum, where that makes smaller tensors.
fn total(
    b: &mut Builder,
    op: ReduceOp,
    axis: usize,
    node: &Node,
    x: NodeId,
    reference: Reference,
) -> Result<Option<NodeId>, OpError> {
    let whole = b.graph.shape(x).clone();
    let Some(found) = terms(b, x) else { return Ok(None) };
    if found.len() < 2
        || b.graph.dtype(x) != DType::Float
        || found.iter().any(|t| b.graph.dtype(t.node) != DType::Float)
    {
        return Ok(None);
    }
    let span = node.span;
    let mut padded = Vec::with_capacity(found.len());
    for term in found {
        padded.push(pad(b, term, whole.len(), span)?);
    }
    let full = reference.size(&whole);
    let read: f64 = padded.iter().map(|t| reference.size(b.graph.shape(t.node))).sum();
    if read >= full {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for term in padded {
        let part = if spans(b, term.node, axis) {
            b.emit(Op::Reduce { op, dims: vec![axis], keepdim: true }, &[term.node], span)?
        } else if op == ReduceOp::Mean {
            term.node
        } else {
            let size = b.emit_as(Op::Size(whole[axis].clone()), &[], Vec::new(), DType::Int, span)?;
            b.emit(Op::Binary(BinaryOp::Mul), &[term.node, size], span)?
        };
        parts.push(Term { node: part, ..term });
    }
    let sum = cheapest(b, parts, reference, span)?;
    let mut kept = whole;
    kept[axis] = Dim::known(1);
    let sum = b.expand(sum, kept, span)?;
    b.reshape(sum, node.shape.clone(), span).map(Some)
}

/// A maximum or minimum over one axis.
#[derive(Clone, Copy)]
struct Extreme {
    minimum: bool,
    /// The gradient goes to the first element that attains it.
    first: bool,
    axis: usize,
    keepdim: bool,
    reference: Reference,
    span: Span,
}

/// What is applied after the reduction.
enum Outside {
    Unary(UnaryOp),
    /// Multiplication or division by a positive or negative number, the value being the left operand.
    By(BinaryOp, NodeId),
}

impl Extreme {
    /// The reduction of `x`, where it can be had for less.
    fn of(mut self, b: &mut Builder, x: NodeId) -> Result<Option<NodeId>, OpError> {
        let (x, outside) = self.peel(b, x);
        let value = match masked(b, x, self.span)? {
            Some(masked) => self.of_masked(b, x, masked)?,
            None => self.of_sum(b, x)?,
        };
        let Some(mut value) = value else { return Ok(None) };
        if !self.keepdim {
            let mut shape = b.graph.shape(value).clone();
            shape.remove(self.axis);
            value = b.reshape(value, shape, self.span)?;
        }
        for outside in outside.into_iter().rev() {
            value = match outside {
                Outside::Unary(op) => b.emit(Op::Unary(op), &[value], self.span)?,
                Outside::By(op, number) => b.emit(Op::Binary(op), &[value, number], self.span)?,
            };
        }
        Ok(Some(value))
    }

    /// The reduction of a sum, the axis kept.
    fn of_sum(self, b: &mut Builder, x: NodeId) -> Result<Option<NodeId>, OpError> {
        let mut kept = b.graph.shape(x).clone();
        let Some((inside, mut apart)) = self.sides(b, x, kept.len())? else { return Ok(None) };
        let split = self.split(b, &nodes(&inside));
        if inside.is_empty() || kept[self.axis].is_known_one() || (apart.is_empty() && split.is_none()) {
            return Ok(None);
        }
        let value = match split {
            Some((j, k)) => self.max_plus(b, inside, &[], j, k)?,
            None => {
                let sum = cheapest(b, inside, self.reference, self.span)?;
                let op = match (self.minimum, self.first) {
                    (false, false) => ReduceOp::Amax,
                    (false, true) => ReduceOp::MaxValues,
                    (true, false) => ReduceOp::Amin,
                    (true, true) => ReduceOp::MinValues,
                };
                b.emit(Op::Reduce { op, dims: vec![self.axis], keepdim: true }, &[sum], self.span)?
            }
        };
        apart.push(Term { node: value, negative: false });
        let value = cheapest(b, apart, self.reference, self.span)?;
        kept[self.axis] = Dim::known(1);
        b.expand(value, kept, self.span).map(Some)
    }

    /// The reduction of `where(conditions, sum, fill)`, the axis kept, if it can be made without the whole tensor.
    fn of_masked(self, b: &mut Builder, x: NodeId, masked: Masked) -> Result<Option<NodeId>, OpError> {
        let mut kept = b.graph.shape(x).clone();
        let Some((inside, mut apart)) = self.sides(b, masked.value, kept.len())? else { return Ok(None) };
        let (mut within, mut without) = (Vec::new(), Vec::new());
        for condition in masked.conditions {
            let condition = padded(b, condition, kept.len(), self.span)?;
            if spans(b, condition, self.axis) { within.push(condition) } else { without.push(condition) }
        }
        let both: Vec<NodeId> = nodes(&inside).into_iter().chain(within.iter().copied()).collect();
        let Some((j, k)) = self.split(b, &both) else { return Ok(None) };
        // What is open, by the terms, must be as large as by terms and conditions together.
        if reach(b, &nodes(&inside))? != reach(b, &both)? {
            return Ok(None);
        }
        let value = self.max_plus(b, inside, &within, j, k)?;
        apart.push(Term { node: value, negative: false });
        let open = cheapest(b, apart, self.reference, self.span)?;

        // Where nothing is masked the fill is not a candidate.
        let bound = if self.minimum { BinaryOp::Minimum } else { BinaryOp::Maximum };
        let mut value = b.emit(Op::Binary(bound), &[open, masked.fill], self.span)?;
        let mut all: Option<NodeId> = None;
        for condition in within {
            let over = Op::Reduce { op: ReduceOp::All, dims: vec![self.axis], keepdim: true };
            let next = b.emit(over, &[condition], self.span)?;
            all = Some(both_of(b, all, next, self.span)?);
        }
        if let Some(all) = all {
            value = b.emit(Op::Where, &[all, open, value], self.span)?;
        } else {
            value = open;
        }
        let mut outer = None;
        for condition in without {
            outer = Some(both_of(b, outer, condition, self.span)?);
        }
        if let Some(outer) = outer {
            value = b.emit(Op::Where, &[outer, value, masked.fill], self.span)?;
        }
        kept[self.axis] = Dim::known(1);
        b.expand(value, kept, self.span).map(Some)
    }

    /// The terms of a sum with the axis, and those without it.
    fn sides(self, b: &mut Builder, x: NodeId, rank: usize) -> Result<Option<Sides>, OpError> {
        let Some(found) = terms(b, x) else { return Ok(None) };
        if found.len() < 2 || found.iter().any(|t| b.graph.dtype(t.node) != DType::Float) {
            return Ok(None);
        }
        let (mut inside, mut apart) = (Vec::new(), Vec::new());
        for term in found {
            let term = pad(b, term, rank, self.span)?;
            if spans(b, term.node, self.axis) { inside.push(term) } else { apart.push(term) }
        }
        Ok(Some((inside, apart)))
    }

    /// Takes off functions that can be applied after the reduction, turning maximum and minimum where they fall.
    fn peel(&mut self, b: &Builder, mut x: NodeId) -> (NodeId, Vec<Outside>) {
        let mut outside = Vec::new();
        loop {
            let node = b.graph.node(x);
            if node.dtype != DType::Float {
                return (x, outside);
            }
            match (&node.op, node.args.as_slice()) {
                (Op::Unary(op), &[inner]) if rises(op) && b.graph.dtype(inner) == DType::Float => {
                    outside.push(Outside::Unary(*op));
                    x = inner;
                }
                (Op::Unary(UnaryOp::Neg), &[inner]) => {
                    outside.push(Outside::Unary(UnaryOp::Neg));
                    self.minimum = !self.minimum;
                    x = inner;
                }
                (Op::Binary(op @ (BinaryOp::Mul | BinaryOp::Div)), &[left, right]) => {
                    let number = |id: NodeId| match b.graph.node(id).op {
                        Op::Scalar(value) if value != 0.0 && value.is_finite() => Some(value),
                        _ => None,
                    };
                    let (inner, by, value) = match (number(left), number(right)) {
                        (_, Some(value)) => (left, right, value),
                        (Some(value), None) if *op == BinaryOp::Mul => (right, left, value),
                        _ => return (x, outside),
                    };
                    if b.graph.shape(inner) != &node.shape {
                        return (x, outside);
                    }
                    self.minimum ^= value < 0.0;
                    outside.push(Outside::By(*op, by));
                    x = inner;
                }
                _ => return (x, outside),
            }
        }
    }

    /// Two axes which some tensors have, and which no tensor has together: the pair of them that saves most.
    fn split(self, b: &Builder, inside: &[NodeId]) -> Option<(usize, usize)> {
        let rank = b.graph.shape(*inside.first()?).len();
        let mut best: Option<(f64, usize, usize)> = None;
        for j in (0..rank).filter(|&j| j != self.axis) {
            for k in (j + 1..rank).filter(|&k| k != self.axis) {
                let has = |axis: usize| inside.iter().any(|&x| spans(b, x, axis));
                if !has(j) || !has(k) || inside.iter().any(|&x| spans(b, x, j) && spans(b, x, k)) {
                    continue;
                }
                let size = |axis: usize| {
                    let sizes = inside.iter().map(|&x| self.reference.value(&b.graph.shape(x)[axis]));
                    sizes.fold(1.0, f64::max)
                };
                let saved = size(j) * size(k);
                if best.is_none_or(|(most, _, _)| saved > most) {
                    best = Some((saved, j, k));
                }
            }
        }
        best.map(|(_, j, k)| (j, k))
    }

    /// The reduction of terms under conditions, none of which has both axes j and k, with the reduced axis kept as size
    /// 1. Where no i is open, it is the neutral infinity.
    fn max_plus(
        self,
        b: &mut Builder,
        inside: Vec<Term>,
        within: &[NodeId],
        j: usize,
        k: usize,
    ) -> Result<NodeId, OpError> {
        let union = reach(b, &nodes(&inside))?;
        let rank = union.len();
        // Tensors over i alone join the smaller side.
        let left_is_smaller = self.reference.value(&union[j]) <= self.reference.value(&union[k]);
        let is_left = |b: &Builder, x: NodeId| spans(b, x, j) || (!spans(b, x, k) && left_is_smaller);
        let (left, right): (Vec<Term>, Vec<Term>) = inside.into_iter().partition(|term| is_left(b, term.node));
        let (open_left, open_right): (Vec<NodeId>, Vec<NodeId>) = within.iter().partition(|&&x| is_left(b, x));

        // Shared axes before the first of i, j, k are the batch of the operation, all others its features.
        let special = [self.axis, j, k];
        let first = special.iter().copied().min().unwrap_or(0);
        let batch: Vec<usize> = (0..first).collect();
        let features: Vec<usize> = (first..rank).filter(|axis| !special.contains(axis)).collect();
        let size = |axes: &[usize]| axes.iter().fold(Dim::known(1), |product, &axis| &product * &union[axis]);

        let mut operands = Vec::new();
        for (terms, open, own, other) in [(left, open_left, j, k), (right, open_right, k, j)] {
            let mut sum = cheapest(b, terms, self.reference, self.span)?;
            if !open.is_empty() {
                let mut all = None;
                for condition in open {
                    all = Some(both_of(b, all, condition, self.span)?);
                }
                let neutral = if self.minimum { f64::INFINITY } else { f64::NEG_INFINITY };
                let neutral = b.emit_as(Op::Scalar(neutral), &[], Vec::new(), DType::Float, self.span)?;
                let condition = all.unwrap_or(neutral);
                sum = b.emit(Op::Where, &[condition, sum, neutral], self.span)?;
            }
            let mut shape = union.clone();
            shape[other] = Dim::known(1);
            let sum = b.expand(sum, shape, self.span)?;
            let order: Vec<usize> =
                batch.iter().copied().chain([self.axis, own, other]).chain(features.iter().copied()).collect();
            let sum = b.emit(Op::Permute(order), &[sum], self.span)?;
            let shape = vec![size(&batch), union[self.axis].clone(), union[own].clone(), size(&features)];
            operands.push(b.reshape(sum, shape, self.span)?);
        }
        let op = Op::MaxPlus { minimum: self.minimum, first: self.first };
        let value = b.emit(op, &operands, self.span)?;

        // Back to the order of the axes, i being left as an axis of size 1.
        let order: Vec<usize> = batch.into_iter().chain([self.axis, j, k]).chain(features).collect();
        let mut kept = union;
        kept[self.axis] = Dim::known(1);
        let shape = order.iter().map(|&axis| kept[axis].clone()).collect();
        let value = b.reshape(value, shape, self.span)?;
        let mut back = vec![0; order.len()];
        for (place, &axis) in order.iter().enumerate() {
            back[axis] = place;
        }
        b.emit(Op::Permute(back), &[value], self.span)
    }
}

/// Functions that never fall, and are flat only where their slope counts as 0.
fn rises(op: &UnaryOp) -> bool {
    match *op {
        UnaryOp::Relu
        | UnaryOp::Sigmoid
        | UnaryOp::LogSigmoid
        | UnaryOp::Tanh
        | UnaryOp::Exp
        | UnaryOp::Expm1
        | UnaryOp::Atan
        | UnaryOp::Sinh
        | UnaryOp::Erf
        | UnaryOp::Softsign
        | UnaryOp::Selu => true,
        UnaryOp::LeakyRelu { slope } => slope > 0.0,
        UnaryOp::Elu { alpha } | UnaryOp::Celu { alpha } => alpha > 0.0,
        UnaryOp::Softplus { beta, .. } => beta > 0.0,
        _ => false,
    }
}
