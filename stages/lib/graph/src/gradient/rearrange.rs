//! Rules of what moves, repeats, drops or masks elements.

use super::formula::Formula;
use super::parts::{Part, Piece};
use super::reduce::inverse;
use super::tape::{Site, Tape};
use crate::dim::Dim;
use crate::error::OpError;
use crate::op::{NodeId, Op};

pub(super) fn reshape(t: &mut Tape<'_>, at: &Site) -> Result<(), OpError> {
    let shape = t.shape(at.args[0]);
    let gradient = t.reshape(at.g, shape)?;
    t.pass(at.args[0], gradient);
    Ok(())
}

pub(super) fn permute(t: &mut Tape<'_>, perm: &[usize], at: &Site) -> Result<(), OpError> {
    let gradient = t.permute(at.g, inverse(perm))?;
    t.pass(at.args[0], gradient);
    Ok(())
}

pub(super) fn expand(t: &mut Tape<'_>, at: &Site) -> Result<(), OpError> {
    t.pass_summed(at.args[0], at.g)
}

/// Reversals and masks are their own inverse, or their own transpose.
pub(super) fn own_inverse(t: &mut Tape<'_>, op: &Op, at: &Site) -> Result<(), OpError> {
    let gradient = t.push(op.clone(), &[at.g])?;
    t.pass(at.args[0], gradient);
    Ok(())
}

/// By steps of more than 1 the adjoint is first pulled apart, with zeros for the elements that were passed over.
pub(super) fn slice(
    t: &mut Tape<'_>,
    dim: usize,
    start: &Dim,
    end: &Dim,
    step: usize,
    at: &Site,
) -> Result<(), OpError> {
    let mut of = at.g;
    if step > 1 {
        let shape = t.shape(of);
        let (mut each, mut flat) = (shape.clone(), shape.clone());
        each.insert(dim + 1, Dim::known(1));
        flat[dim] = &shape[dim] * &Dim::of(step);
        let apart = t.reshape(of, each.clone())?;
        each[dim + 1] = Dim::of(step - 1);
        let between = t.zeros(each)?;
        let apart = t.cat(&[apart, between], dim + 1)?;
        let apart = t.reshape(apart, flat)?;
        // The last step may reach over the end.
        of = t.push(Op::Slice { dim, start: Dim::known(0), end: end - start, step: 1 }, &[apart])?;
    }
    let piece = Piece { start: start.clone(), end: end.clone(), of };
    t.pass_part(at.args[0], Part::Slice { dim, piece });
    Ok(())
}

pub(super) fn select(t: &mut Tape<'_>, dim: usize, index: &Dim, at: &Site) -> Result<(), OpError> {
    let mut shape = t.shape(at.g);
    shape.insert(dim, Dim::known(1));
    let of = t.reshape(at.g, shape)?;
    let piece = Piece { start: index.clone(), end: index + 1, of };
    t.pass_part(at.args[0], Part::Slice { dim, piece });
    Ok(())
}

pub(super) fn cat(t: &mut Tape<'_>, dim: usize, at: &Site) -> Result<(), OpError> {
    let mut start = Dim::known(0);
    for &part in &at.args {
        let end = &start + &t.shape(part)[dim];
        if t.needs(part) {
            let gradient = t.push(Op::Slice { dim, start, end: end.clone(), step: 1 }, &[at.g])?;
            t.pass(part, gradient);
        }
        start = end;
    }
    Ok(())
}

/// The adjoint is laid along `dim1` and repeated along `dim2`, and what is not on the diagonal masked out.
pub(super) fn diagonal(t: &mut Tape<'_>, offset: i64, dim1: usize, dim2: usize, at: &Site) -> Result<(), OpError> {
    let x = at.args[0];
    let shape = t.shape(x);
    let last = t.shape(at.g).len() - 1;
    let along = padded(t, at.g, last, &Dim::known(offset.saturating_neg().max(0)), &shape[dim1])?;
    let mut kept = 0..last;
    let perm = (0..shape.len())
        .filter(|&axis| axis != dim2)
        .map(|axis| if axis == dim1 { last } else { kept.next().unwrap_or(last) })
        .collect();
    let turned = t.permute(along, perm)?;
    let mut thin = shape.clone();
    thin[dim2] = Dim::known(1);
    let turned = t.reshape(turned, thin)?;
    let (rows, columns) = (t.positions(&shape, dim1)?, t.positions(&shape, dim2)?);
    let ahead = t.size(&Dim::known(offset))?;
    let on = (Formula::from(rows) + ahead).is(columns);
    let gradient = t.make(&on.then(turned, 0.0))?;
    t.pass(x, gradient);
    Ok(())
}

/// `x` with zeros around it along one axis: `before` of them, and as many as are left to `size`.
pub(super) fn padded(t: &mut Tape<'_>, x: NodeId, dim: usize, before: &Dim, size: &Dim) -> Result<NodeId, OpError> {
    let mut shape = t.shape(x);
    let after = &(size - before) - &shape[dim];
    let mut parts = Vec::new();
    for (gap, own) in [(before, Some(x)), (&after, None)] {
        if *gap != Dim::known(0) {
            shape[dim] = gap.clone();
            parts.push(t.zeros(shape.clone())?);
        }
        parts.extend(own);
    }
    t.cat(&parts, dim)
}
