//! Linear layers over sums, concatenations and other linear layers.
//!
//! Write `L(x) = x W' + b` for `Linear(x, W, b)`, W' being the transpose. Then
//!
//! * over a concatenation `[x, y]` with `W = [U, V]`: `L([x, y]) = x U' + y V' + b`;
//! * over a sum of broadcast terms: `L(x + y) = x W' + y W' + b`;
//! * over another layer `x = y V' + c`: `L(x) = y (W V)' + (W c + b)`.
//!
//! So a layer over encoded features, which are sums of layers over a few scalars each, becomes one layer over these scalars
//! side by side: 4 instead of 128 multiply-accumulates per output. Terms over fewer nodes (`z_i` in a tensor over pairs)
//! are multiplied before they are broadcast. Terms that do not vary over time leave the time loop. The products of
//! weights depend on parameters only and are computed once per training step.
//!
//! Terms with equal outer axes are put side by side again, so that one product serves them. A rewrite is made where it is
//! cheaper at the [`Reference`] sizes, counting products, additions, and copies.

use super::build::{Builder, Rewritten, rebuild};
use super::reference::Reference;
use crate::dim::{Dim, Shape};
use crate::error::OpError;
use crate::graph::Graph;
use crate::infer::Equation;
use crate::infer::shapes::broadcast;
use crate::op::{BinaryOp, DType, Node, NodeId, Op, Span};

/// How deep sums of sums of layers are followed.
const DEPTH: usize = 8;
/// A layer over more terms than this is left alone.
const MOST_TERMS: usize = 64;
/// Static terms this narrow, relative to the varying ones, are multiplied with them in each step instead of being
/// added: a wider product costs less than one more addition.
const NARROW: f64 = 0.25;

pub(super) fn run(graph: &Graph, outputs: &[NodeId], reference: Reference) -> Rewritten {
    rebuild(graph, outputs, |b, site| {
        let Some((x, weight, bias)) = as_linear(b, site.node, site.args)? else { return Ok(None) };
        Linear { reference, span: site.node.span }.over(b, x, weight, bias, 0).map(Some)
    })
}

/// Input, weight [out, in] and bias of what is a linear layer, by whatever name.
fn as_linear(
    b: &mut Builder,
    node: &Node,
    args: &[NodeId],
) -> Result<Option<(NodeId, NodeId, Option<NodeId>)>, OpError> {
    let is_matrix = |b: &Builder, y: NodeId| b.graph.shape(y).len() == 2 && !b.varies[y.index()];
    match &node.op {
        Op::Linear { .. } => Ok(Some((args[0], args[1], args.get(2).copied()))),
        Op::MatMul if is_matrix(b, args[1]) => as_weight(b, args, true, node.span),
        Op::Einsum(equation) if args.len() == 2 && is_matrix(b, args[1]) => match einsum_weight(equation) {
            Some(transposed) => as_weight(b, args, transposed, node.span),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn as_weight(
    b: &mut Builder,
    args: &[NodeId],
    transposed: bool,
    span: Span,
) -> Result<Option<(NodeId, NodeId, Option<NodeId>)>, OpError> {
    let (x, y) = (args[0], args[1]);
    let float = |id: NodeId| b.graph.dtype(id) == DType::Float;
    if !is_known(b, y) || !float(x) || !float(y) {
        return Ok(None);
    }
    let weight = if transposed { b.emit(Op::Permute(vec![1, 0]), &[y], span)? } else { y };
    // Einsum broadcasts an axis of size 1; a layer does not.
    Ok((b.graph.shape(x).last() == b.graph.shape(weight).get(1)).then_some((x, weight, None)))
}

fn is_known(b: &Builder, y: NodeId) -> bool {
    b.graph.shape(y).iter().all(|dim| dim.as_known().is_some())
}

/// For `...h,hk->...k` true, for `...h,kh->...k` false: whether the weight has to be transposed.
fn einsum_weight(equation: &str) -> Option<bool> {
    let Equation { operands, value } = Equation::parse(equation).ok()?;
    let [x, w] = operands.as_slice() else { return None };
    let ((inner, outer), (out, value_outer)) = (x.split_last()?, value.split_last()?);
    let distinct = (0..x.len()).all(|at| !x[..at].contains(&x[at]));
    if outer != value_outer || !distinct || outer.contains(out) || inner == out {
        return None;
    }
    if *w == [*inner, *out] {
        Some(true)
    } else if *w == [*out, *inner] {
        Some(false)
    } else {
        None
    }
}

/// The size of the last axis. Layers are applied to tensors with one.
fn last(b: &Builder, x: NodeId) -> &Dim {
    static ONE: std::sync::OnceLock<Dim> = std::sync::OnceLock::new();
    b.graph.shape(x).last().unwrap_or_else(|| ONE.get_or_init(|| Dim::known(1)))
}

/// One addend of a layer's value: `atom weight'`.
#[derive(Clone, Copy)]
struct Term {
    atom: NodeId,
    weight: NodeId,
}

/// Terms and constant vectors whose sum the layer's value is.
#[derive(Default)]
struct Sum {
    terms: Vec<Term>,
    biases: Vec<NodeId>,
}

#[derive(Clone, Copy)]
struct Linear {
    reference: Reference,
    span: Span,
}

impl Linear {
    /// `Linear(x, weight, bias)`, rewritten where that is cheaper.
    fn over(
        self,
        b: &mut Builder,
        x: NodeId,
        weight: NodeId,
        bias: Option<NodeId>,
        depth: usize,
    ) -> Result<NodeId, OpError> {
        // Views of outer axes come after the layer: what is below may be a sum or concatenation.
        if depth < DEPTH
            && let Some(value) = self.over_view(b, x, weight, bias, depth)?
        {
            return Ok(value);
        }
        let plain = |b: &mut Builder| {
            let args: Vec<NodeId> = [x, weight].into_iter().chain(bias).collect();
            b.emit(Op::Linear { biased: bias.is_some() }, &args, self.span)
        };
        if b.varies[weight.index()] || !is_known(b, weight) {
            return plain(b);
        }
        let mut sum = Sum { terms: Vec::new(), biases: bias.into_iter().collect() };
        self.collect(b, x, weight, depth, &mut sum)?;
        if sum.terms.is_empty() || sum.terms.len() > MOST_TERMS || matches!(sum.terms[..], [t] if t.atom == x) {
            return plain(b);
        }
        let groups = self.groups(b, &sum.terms)?;
        if self.cost(b, &groups, weight)? >= self.plain_cost(b, x, weight) {
            return plain(b);
        }
        self.emit(b, x, weight, groups, &sum.biases, depth)
    }

    /// `L(view(x)) = view(L(x))` for views that keep the last axis.
    fn over_view(
        self,
        b: &mut Builder,
        x: NodeId,
        weight: NodeId,
        bias: Option<NodeId>,
        depth: usize,
    ) -> Result<Option<NodeId>, OpError> {
        let node = b.graph.node(x).clone();
        let out = b.graph.shape(weight)[0].clone();
        let Some(&inner) = node.args.first() else { return Ok(None) };
        if b.graph.shape(inner).last() != node.shape.last() {
            return Ok(None);
        }
        let mut shape = node.shape.clone();
        if let Some(width) = shape.last_mut() {
            *width = out;
        }
        match &node.op {
            Op::Expand => {
                let value = self.over(b, inner, weight, bias, depth + 1)?;
                b.expand(value, shape, self.span).map(Some)
            }
            Op::Reshape => {
                let value = self.over(b, inner, weight, bias, depth + 1)?;
                b.reshape(value, shape, self.span).map(Some)
            }
            Op::Permute(perm) if perm.last() == Some(&(perm.len() - 1)) => {
                let value = self.over(b, inner, weight, bias, depth + 1)?;
                b.emit(node.op, &[value], self.span).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Adds the terms of `x weight'` to `sum`.
    fn collect(self, b: &mut Builder, x: NodeId, weight: NodeId, depth: usize, sum: &mut Sum) -> Result<(), OpError> {
        let node = b.graph.node(x).clone();
        let width = last(b, x).clone();
        if depth < DEPTH && sum.terms.len() <= MOST_TERMS {
            match &node.op {
                Op::Binary(BinaryOp::Add) if node.args.iter().all(|&y| b.graph.shape(y).last() == Some(&width)) => {
                    for &y in &node.args {
                        // A vector over the features alone is a constant of the layer.
                        if b.graph.shape(y).len() == 1 && !b.varies[y.index()] {
                            sum.biases.push(b.emit(Op::MatMul, &[weight, y], self.span)?);
                        } else {
                            self.collect(b, y, weight, depth + 1, sum)?;
                        }
                    }
                    return Ok(());
                }
                Op::Cat { dim } if dim + 1 == node.shape.len() => {
                    let mut start = Dim::known(0);
                    for &part in &node.args {
                        let end = &start + last(b, part);
                        let part_weight = self.columns(b, weight, &start, &end)?;
                        if *last(b, part) != Dim::known(0) {
                            self.collect(b, part, part_weight, depth + 1, sum)?;
                        }
                        start = end;
                    }
                    return Ok(());
                }
                // Broadcasting does what an expansion of outer axes did.
                Op::Expand if b.graph.shape(node.args[0]).last() == Some(&width) => {
                    return self.collect(b, node.args[0], weight, depth + 1, sum);
                }
                Op::Linear { .. } if !b.varies[node.args[1].index()] => {
                    let (inner, v) = (node.args[0], node.args[1]);
                    if self.reference.value(last(b, inner)) < self.reference.value(&width) {
                        if let Some(&c) = node.args.get(2) {
                            sum.biases.push(b.emit(Op::MatMul, &[weight, c], self.span)?);
                        }
                        let product = b.emit(Op::MatMul, &[weight, v], self.span)?;
                        return self.collect(b, inner, product, depth + 1, sum);
                    }
                }
                _ => {}
            }
        }
        sum.terms.push(Term { atom: x, weight });
        Ok(())
    }

    /// Columns `start..end` of a weight.
    fn columns(self, b: &mut Builder, weight: NodeId, start: &Dim, end: &Dim) -> Result<NodeId, OpError> {
        b.emit(Op::Slice { dim: 1, start: start.clone(), end: end.clone(), step: 1 }, &[weight], self.span)
    }

    /// Terms that one product can serve: equal outer axes, and all static or all varying, except that narrow static ones
    /// join the varying ones.
    fn groups(self, b: &mut Builder, terms: &[Term]) -> Result<Vec<Vec<Term>>, OpError> {
        let mut groups: Vec<(Shape, bool, Vec<Term>)> = Vec::new();
        for &term in terms {
            let (outer, varies) = (outer(b, term.atom), b.varies[term.atom.index()]);
            match groups.iter_mut().find(|(shape, other, _)| *shape == outer && *other == varies) {
                Some((_, _, members)) => members.push(term),
                None => groups.push((outer, varies, vec![term])),
            }
        }
        let width = |members: &[Term]| -> f64 { members.iter().map(|t| self.reference.value(last(b, t.atom))).sum() };
        while let Some((from, to)) = (0..groups.len()).find_map(|from| {
            let (shape, varies, members) = &groups[from];
            let partner = |(other, v, wide): &(Shape, bool, Vec<Term>)| {
                *v && other == shape && width(members) <= NARROW * width(wide).max(16.0)
            };
            if *varies { None } else { groups.iter().position(partner).map(|to| (from, to)) }
        }) {
            let (_, _, members) = groups.remove(from);
            let to = if to > from { to - 1 } else { to };
            // Static terms first, so that the order does not depend on which group came first.
            groups[to].2.splice(0..0, members);
        }
        Ok(groups.into_iter().map(|(_, _, members)| members).collect())
    }

    fn plain_cost(self, b: &Builder, x: NodeId, weight: NodeId) -> f64 {
        let rows = self.reference.size(&outer(b, x));
        let (out, inner) = (&b.graph.shape(weight)[0], last(b, x));
        // A sum or concatenation that all its readers take apart is not made at all.
        let made = match b.graph.node(x).op {
            Op::Binary(BinaryOp::Add) | Op::Cat { .. } => self.reference.element_wise(b.graph.shape(x)),
            _ => 0.0,
        };
        let product = rows * self.reference.value(out) * self.reference.value(inner);
        (product + made) * self.reference.rate(b.varies[x.index()])
    }

    fn cost(self, b: &Builder, groups: &[Vec<Term>], weight: NodeId) -> Result<f64, OpError> {
        let out = self.reference.value(&b.graph.shape(weight)[0]);
        let (mut cost, mut reach, mut any_varies) = (0.0, Shape::new(), false);
        for (at, members) in groups.iter().enumerate() {
            let rows = self.reference.size(&outer(b, members[0].atom));
            let width: f64 = members.iter().map(|t| self.reference.value(last(b, t.atom))).sum();
            let varies = members.iter().any(|t| b.varies[t.atom.index()]);
            let rate = self.reference.rate(varies);
            cost += rows * out * width * rate;
            if members.len() > 1 {
                cost += self.reference.element_wise(&vec![Dim::known(1)]) * rows * width * rate;
            }
            reach = broadcast(&reach, &outer(b, members[0].atom))?;
            any_varies |= varies;
            if at > 0 {
                cost += self.reference.element_wise(&reach) * out * self.reference.rate(any_varies);
            }
        }
        Ok(cost)
    }

    /// The sum of one product per group, smallest first, in the shape that the layer over `x` has.
    fn emit(
        self,
        b: &mut Builder,
        x: NodeId,
        weight: NodeId,
        mut groups: Vec<Vec<Term>>,
        biases: &[NodeId],
        depth: usize,
    ) -> Result<NodeId, OpError> {
        let mut shape = b.graph.shape(x).clone();
        shape.pop();
        shape.push(b.graph.shape(weight)[0].clone());
        groups.sort_by(|p, q| {
            let rows = |members: &[Term]| self.reference.size(&outer(b, members[0].atom));
            rows(p).total_cmp(&rows(q))
        });
        let mut bias = None;
        for &next in biases {
            bias = Some(match bias {
                None => next,
                Some(so_far) => b.emit(Op::Binary(BinaryOp::Add), &[so_far, next], self.span)?,
            });
        }
        let mut value = None;
        for members in &groups {
            let atoms: Vec<NodeId> = members.iter().map(|t| t.atom).collect();
            let weights: Vec<NodeId> = members.iter().map(|t| t.weight).collect();
            let product = match (atoms.as_slice(), weights.as_slice()) {
                ([atom], [weight]) => self.over(b, *atom, *weight, bias.take(), depth + 1)?,
                _ => {
                    let atoms = self.side_by_side(b, &atoms)?;
                    let weights = b.emit(Op::Cat { dim: 1 }, &weights, self.span)?;
                    let bias = bias.take();
                    let args: Vec<NodeId> = [atoms, weights].into_iter().chain(bias).collect();
                    b.emit(Op::Linear { biased: bias.is_some() }, &args, self.span)?
                }
            };
            value = Some(match value {
                None => product,
                Some(so_far) => b.emit(Op::Binary(BinaryOp::Add), &[so_far, product], self.span)?,
            });
        }
        let Some(value) = value else { return Err(OpError::Setting { op: "linear", reason: "no terms".into() }) };
        b.expand(value, shape, self.span)
    }

    /// Atoms of equal outer axes concatenated along the last one.
    fn side_by_side(self, b: &mut Builder, atoms: &[NodeId]) -> Result<NodeId, OpError> {
        let rank = atoms.iter().map(|&x| b.graph.shape(x).len()).max().unwrap_or(0);
        let atoms =
            atoms.iter().map(|&x| super::simplify::padded(b, x, rank, self.span)).collect::<Result<Vec<_>, _>>()?;
        b.emit(Op::Cat { dim: rank - 1 }, &atoms, self.span)
    }
}

/// All axes but the last, without leading ones of size 1.
fn outer(b: &Builder, x: NodeId) -> Shape {
    let shape = b.graph.shape(x);
    let outer = &shape[..shape.len().saturating_sub(1)];
    outer.iter().skip_while(|dim| dim.is_known_one()).cloned().collect()
}
