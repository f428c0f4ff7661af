//! Rules of reductions.

use super::formula::Formula;
use super::tape::{Made, Site, Tape, ones_at};
use crate::dim::{Dim, Shape, numel};
use crate::error::OpError;
use crate::op::{BinaryOp, NodeId, Op, ReduceOp, UnaryOp};

/// A reduction's argument, and value and adjoint with the reduced axes kept at size 1.
struct Kept<'a> {
    x: NodeId,
    shape: Shape,
    y: NodeId,
    g: NodeId,
    dims: &'a [usize],
}

pub(super) fn gradient(t: &mut Tape<'_>, op: &ReduceOp, dims: &[usize], at: &Site) -> Result<(), OpError> {
    let x = at.args[0];
    let shape = t.shape(x);
    let small = ones_at(&shape, dims, true);
    let (y, g) = (t.reshape(at.y, small.clone())?, t.reshape(at.g, small)?);
    let kept = Kept { x, shape, y, g, dims };
    let gradient = of_argument(t, op, &kept)?;
    let gradient = t.expand(gradient, kept.shape)?;
    t.pass(x, gradient);
    Ok(())
}

/// The argument's gradient, or what expands to it.
fn of_argument(t: &mut Tape<'_>, op: &ReduceOp, kept: &Kept<'_>) -> Made {
    let (x, y, g): (Formula, Formula, Formula) = (kept.x.into(), kept.y.into(), kept.g.into());
    let formula = match *op {
        ReduceOp::Sum => return Ok(kept.g),
        ReduceOp::Mean => &g / count(t, kept)?,
        ReduceOp::Amax | ReduceOp::Amin => return extreme(t, kept.x, false, kept),
        ReduceOp::MaxValues | ReduceOp::MinValues | ReduceOp::Median => return extreme(t, kept.x, true, kept),
        ReduceOp::Prod => return product(t, kept),
        ReduceOp::Var { correction } => {
            let (mean, freedom) = (mean(t, kept)?, freedom(t, kept, correction)?);
            (&x - mean) * (&g * 2.0 / freedom)
        }
        ReduceOp::Std { correction } => {
            let (mean, freedom) = (mean(t, kept)?, freedom(t, kept, correction)?);
            (&x - mean) * y.is(0.0).then(0.0, &g / (&y * freedom))
        }
        // With an infinite maximum the shares have no value: no gradient.
        ReduceOp::LogSumExp => {
            let share = (&x - &y).of(UnaryOp::Exp);
            y.of(UnaryOp::IsInf).then(0.0, &g * share)
        }
        ReduceOp::Norm { p } => return norm(t, p, kept),
        // They carry no adjoint, so that their rule does not run.
        ReduceOp::ArgMax | ReduceOp::ArgMin | ReduceOp::Any | ReduceOp::All => &g * 0.0,
    };
    t.make(&formula)
}

/// How many elements are reduced to one.
fn count(t: &mut Tape<'_>, kept: &Kept<'_>) -> Made {
    let sizes: Shape = kept.dims.iter().map(|&dim| kept.shape[dim].clone()).collect();
    let count = numel(&sizes);
    match count.as_known() {
        Some(value) => t.number(value as f64),
        None => t.size(&count),
    }
}

fn mean(t: &mut Tape<'_>, kept: &Kept<'_>) -> Made {
    t.reduce(ReduceOp::Mean, kept.x, kept.dims.to_vec(), true)
}

/// The divisor of a variance.
fn freedom(t: &mut Tape<'_>, kept: &Kept<'_>, correction: f64) -> Made {
    let count = count(t, kept)?;
    match t.graph.node(count).op {
        Op::Scalar(value) => t.number((value - correction).max(0.0)),
        _ => {
            let freedom = (Formula::from(count) - correction).of(UnaryOp::Relu);
            t.make(&freedom)
        }
    }
}

/// The adjoint for the elements of `of` (x, or its absolute value) that are the reduction's value.
fn extreme(t: &mut Tape<'_>, of: NodeId, first: bool, kept: &Kept<'_>) -> Made {
    t.push(Op::ShareExtreme { dims: kept.dims.to_vec(), first }, &[of, kept.y, kept.g])
}

/// The product is the last of the running products, which know zeros.
fn product(t: &mut Tape<'_>, kept: &Kept<'_>) -> Made {
    if let &[dim] = kept.dims {
        return last_product(t, kept.x, kept.g, dim);
    }
    // The reduced axes go last and become one.
    let rank = kept.shape.len();
    let outer: Vec<usize> = (0..rank).filter(|axis| !kept.dims.contains(axis)).collect();
    let perm: Vec<usize> = outer.iter().chain(kept.dims).copied().collect();
    let turned = t.permute(kept.x, perm.clone())?;
    let turned_shape = t.shape(turned);
    let (lead, reduced) = turned_shape.split_at(outer.len());
    let flat = t.reshape(turned, lead.iter().cloned().chain([numel(reduced)]).collect())?;
    let g = t.reshape(kept.g, lead.iter().cloned().chain([Dim::known(1)]).collect())?;
    let gradient = last_product(t, flat, g, outer.len())?;
    let gradient = t.reshape(gradient, turned_shape)?;
    t.permute(gradient, inverse(&perm))
}

fn last_product(t: &mut Tape<'_>, x: NodeId, g: NodeId, dim: usize) -> Made {
    let shape = t.shape(x);
    let place = t.positions(&shape, dim)?;
    let last = t.size(&(&shape[dim] - 1))?;
    let spread = Formula::from(place).is(last).then(g, 0.0);
    let spread = t.make(&spread)?;
    let spread = t.expand(spread, shape)?;
    t.push(Op::CumProdGrad { dim }, &[x, spread])
}

pub(super) fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    for (axis, &from) in perm.iter().enumerate() {
        inverse[from] = axis;
    }
    inverse
}

/// All norms have gradient 0 for elements that are 0, and where they are 0 themselves.
fn norm(t: &mut Tape<'_>, p: f64, kept: &Kept<'_>) -> Made {
    let (x, y, g): (Formula, Formula, Formula) = (kept.x.into(), kept.y.into(), kept.g.into());
    let sign = x.of(UnaryOp::Sign);
    let formula = if p.is_infinite() {
        let sizes = t.unary(UnaryOp::Abs, kept.x)?;
        Formula::from(extreme(t, sizes, false, kept)?) * sign
    } else if p == 1.0 {
        &g * sign
    } else if p == 2.0 {
        &x * y.is(0.0).then(0.0, &g / &y)
    } else {
        let share = (x.of(UnaryOp::Abs) / &y).with(BinaryOp::Pow, p - 1.0);
        x.is(0.0).then(0.0, &g * (sign * share))
    };
    t.make(&formula)
}
