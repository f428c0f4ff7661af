//! Rules of what looks elements up, or puts them in places, by index.

use super::formula::Formula;
use super::rearrange::padded;
use super::tape::{Made, Site, Tape};
use crate::dim::{Dim, numel};
use crate::error::OpError;
use crate::op::{DType, NodeId, Op};

/// An element gets the adjoints of all places that it was copied to.
pub(super) fn gather(t: &mut Tape<'_>, dim: usize, at: &Site) -> Result<(), OpError> {
    let &[x, index] = at.args.as_slice() else { return Ok(()) };
    let shape = t.shape(x);
    let zeros = t.zeros(shape)?;
    let gradient = t.push(Op::ScatterAdd { dim }, &[zeros, index, at.g])?;
    t.pass(x, gradient);
    Ok(())
}

/// What was overwritten gets nothing; of several sources that were written to one place, the one that stayed gets the
/// adjoint. Which one that is, the numbers of the sources tell, written in the same way.
pub(super) fn scatter(t: &mut Tape<'_>, dim: usize, at: &Site) -> Result<(), OpError> {
    let &[x, index, src] = at.args.as_slice() else { return Ok(()) };
    let shape = t.shape(index);
    if t.needs(x) {
        let zeros = t.zeros(shape.clone())?;
        let gradient = t.push(Op::Scatter { dim }, &[at.g, index, zeros])?;
        t.pass(x, gradient);
    }
    if t.needs(src) {
        let numbers = numbered(t, index)?;
        let wide = t.shape(x);
        let nobody = t.graph.push_as(Op::Full(-1.0), &[], wide, DType::Int, t.span)?;
        let stayed = t.push(Op::Scatter { dim }, &[nobody, index, numbers])?;
        let stayed = t.push(Op::Gather { dim }, &[stayed, index])?;
        let taken = t.push(Op::Gather { dim }, &[at.g, index])?;
        let gradient = t.make(&Formula::from(stayed).is(numbers).then(taken, 0.0))?;
        pass_to_source(t, src, gradient)?;
    }
    Ok(())
}

pub(super) fn scatter_add(t: &mut Tape<'_>, dim: usize, at: &Site) -> Result<(), OpError> {
    let &[x, index, src] = at.args.as_slice() else { return Ok(()) };
    t.pass(x, at.g);
    if t.needs(src) {
        let gradient = t.push(Op::Gather { dim }, &[at.g, index])?;
        pass_to_source(t, src, gradient)?;
    }
    Ok(())
}

/// The number of each element of a tensor of this node's shape.
fn numbered(t: &mut Tape<'_>, like: NodeId) -> Made {
    let shape = t.shape(like);
    let count = Op::Arange { start: 0.0, step: 1.0 };
    let line = t.graph.push_as(count, &[], vec![numel(&shape)], DType::Int, t.span)?;
    t.reshape(line, shape)
}

/// A source may be larger than the index: the rest of it is not read.
fn pass_to_source(t: &mut Tape<'_>, src: NodeId, gradient: NodeId) -> Result<(), OpError> {
    let mut gradient = gradient;
    for (dim, size) in t.shape(src).iter().enumerate() {
        gradient = padded(t, gradient, dim, &Dim::known(0), size)?;
    }
    t.pass(src, gradient);
    Ok(())
}

/// As [`gather`], after the index has been repeated for all elements that it moves together.
pub(super) fn index_select(t: &mut Tape<'_>, dim: usize, at: &Site) -> Result<(), OpError> {
    let &[x, index] = at.args.as_slice() else { return Ok(()) };
    let (shape, places) = (t.shape(x), numel(&t.shape(index)));
    let mut wide = shape.clone();
    wide[dim] = places.clone();
    let mut thin = vec![Dim::known(1); shape.len()];
    thin[dim] = places;
    let index = t.reshape(index, thin)?;
    let index = t.expand(index, wide.clone())?;
    let g = t.reshape(at.g, wide)?;
    let zeros = t.zeros(shape)?;
    let gradient = t.push(Op::ScatterAdd { dim }, &[zeros, index, g])?;
    t.pass(x, gradient);
    Ok(())
}
