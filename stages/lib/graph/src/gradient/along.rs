//! Rules of what works along axes and keeps them: softmax, normalisations, running sums, sorting.

use super::formula::Formula;
use super::tape::{Site, Tape};
use crate::error::OpError;
use crate::op::{NodeId, Op, ReduceOp, UnaryOp};

pub(super) fn softmax(t: &mut Tape<'_>, dim: usize, at: &Site) -> Result<(), OpError> {
    let (y, g): (Formula, Formula) = (at.y.into(), at.g.into());
    let weighted = t.make(&(&g * &y))?;
    let sum = t.sum(weighted, vec![dim], true)?;
    let gradient = t.make(&(y * (g - sum)))?;
    t.pass(at.args[0], gradient);
    Ok(())
}

pub(super) fn log_softmax(t: &mut Tape<'_>, dim: usize, at: &Site) -> Result<(), OpError> {
    let (y, g): (Formula, Formula) = (at.y.into(), at.g.into());
    let sum = t.sum(at.g, vec![dim], true)?;
    let gradient = t.make(&(g - y.of(UnaryOp::Exp) * sum))?;
    t.pass(at.args[0], gradient);
    Ok(())
}

/// With `h` the normalised argument and `w` the weighted adjoint: `(w - mean(w) - h mean(w h)) / deviation`.
pub(super) fn layer_norm(t: &mut Tape<'_>, axes: usize, eps: f64, at: &Site) -> Result<(), OpError> {
    let (x, weight, bias) = (at.args[0], at.args.get(1).copied(), at.args.get(2).copied());
    let rank = t.shape(x).len();
    let dims: Vec<usize> = (rank - axes..rank).collect();
    let outer: Vec<usize> = (0..rank - axes).collect();
    if let Some(bias) = bias.filter(|&bias| t.needs(bias)) {
        let sum = t.sum(at.g, outer.clone(), false)?;
        t.pass(bias, sum);
    }
    let of_weight = weight.filter(|&weight| t.needs(weight));
    if of_weight.is_none() && !t.needs(x) {
        return Ok(());
    }
    let (normal, scale) = normalised(t, x, &dims, eps)?;
    if let Some(weight) = of_weight {
        let stretched = t.make(&(Formula::from(at.g) * normal))?;
        let sum = t.sum(stretched, outer, false)?;
        t.pass(weight, sum);
    }
    if t.needs(x) {
        let g = match weight {
            Some(weight) => t.make(&(Formula::from(at.g) * weight))?,
            None => at.g,
        };
        let mean = t.reduce(ReduceOp::Mean, g, dims.clone(), true)?;
        let stretched = t.make(&(Formula::from(g) * normal))?;
        let stretch = t.reduce(ReduceOp::Mean, stretched, dims, true)?;
        let gradient = t.make(&((Formula::from(g) - mean - Formula::from(normal) * stretch) * scale))?;
        t.pass(x, gradient);
    }
    Ok(())
}

/// The argument with mean 0 and variance 1, and the factor that made it so.
fn normalised(t: &mut Tape<'_>, x: NodeId, dims: &[usize], eps: f64) -> Result<(NodeId, NodeId), OpError> {
    let mean = t.reduce(ReduceOp::Mean, x, dims.to_vec(), true)?;
    let variance = t.reduce(ReduceOp::Var { correction: 0.0 }, x, dims.to_vec(), true)?;
    let scale = t.make(&(Formula::from(variance) + eps).of(UnaryOp::Rsqrt))?;
    let normal = t.make(&((Formula::from(x) - mean) * scale))?;
    Ok((normal, scale))
}

/// Each element is part of all sums from its place on.
pub(super) fn running_sum(t: &mut Tape<'_>, dim: usize, at: &Site) -> Result<(), OpError> {
    let flip = Op::Flip { dims: vec![dim] };
    let backwards = t.push(flip.clone(), &[at.g])?;
    let sums = t.push(Op::CumSum { dim }, &[backwards])?;
    let gradient = t.push(flip, &[sums])?;
    t.pass(at.args[0], gradient);
    Ok(())
}

pub(super) fn running_product(t: &mut Tape<'_>, dim: usize, at: &Site) -> Result<(), OpError> {
    let gradient = t.push(Op::CumProdGrad { dim }, &[at.args[0], at.g])?;
    t.pass(at.args[0], gradient);
    Ok(())
}

/// Each element gets the adjoint of the place that it was sorted to; `indices` says where they came from.
pub(super) fn sorted(t: &mut Tape<'_>, indices: Op, dim: usize, at: &Site) -> Result<(), OpError> {
    let x = at.args[0];
    let from = t.push(indices, &[x])?;
    let shape = t.shape(x);
    let zeros = t.zeros(shape)?;
    let gradient = t.push(Op::ScatterAdd { dim }, &[zeros, from, at.g])?;
    t.pass(x, gradient);
    Ok(())
}
