//! Rules of sums of products, and of max-plus.

use super::formula::Formula;
use super::tape::{Made, Site, Tape};
use crate::dim::{Dim, Shape, numel};
use crate::error::OpError;
use crate::infer::Equation;
use crate::op::{NodeId, Op};
use std::collections::BTreeMap;

pub(super) fn linear(t: &mut Tape<'_>, at: &Site) -> Result<(), OpError> {
    let (x, weight) = (at.args[0], at.args[1]);
    if t.needs(x) {
        let gradient = t.push(Op::MatMul, &[at.g, weight])?;
        t.pass(x, gradient);
    }
    if t.needs(weight) {
        let gradient = rows_product(t, at.g, x)?;
        t.pass(weight, gradient);
    }
    if let Some(&bias) = at.args.get(2).filter(|&&bias| t.needs(bias)) {
        t.pass_summed(bias, at.g)?;
    }
    Ok(())
}

/// `x^T y`, all axes but the last taken as one.
fn rows_product(t: &mut Tape<'_>, x: NodeId, y: NodeId) -> Made {
    let (x, y) = (rows(t, x)?, rows(t, y)?);
    let x = t.transpose(x)?;
    t.push(Op::MatMul, &[x, y])
}

fn rows(t: &mut Tape<'_>, x: NodeId) -> Made {
    let shape = t.shape(x);
    let Some((last, outer)) = shape.split_last() else { return Ok(x) };
    t.reshape(x, vec![numel(outer), last.clone()])
}

/// With vectors made rows or columns, `y = x z`: x gets `g z^T` and z gets `x^T g`.
pub(super) fn matmul(t: &mut Tape<'_>, at: &Site) -> Result<(), OpError> {
    let &[first, second] = at.args.as_slice() else { return Ok(()) };
    let (x_shape, z_shape) = (t.shape(first), t.shape(second));
    let (row, column) = (x_shape.len() == 1, z_shape.len() == 1);
    let one = || [Dim::known(1)].into_iter();
    let x = if row { t.reshape(first, one().chain(x_shape.clone()).collect())? } else { first };
    let z = if column { t.reshape(second, z_shape.iter().cloned().chain(one()).collect())? } else { second };
    let mut g_shape = t.shape(at.g);
    if row {
        let before_columns = g_shape.len() - usize::from(!column);
        g_shape.insert(before_columns, Dim::known(1));
    }
    if column {
        g_shape.push(Dim::known(1));
    }
    let g = t.reshape(at.g, g_shape)?;
    if t.needs(first) {
        let gradient = left_factor(t, x, z, g)?;
        let gradient = t.reshape(gradient, x_shape)?;
        t.pass(first, gradient);
    }
    if t.needs(second) {
        let gradient = right_factor(t, x, z, g)?;
        let gradient = t.reshape(gradient, z_shape)?;
        t.pass(second, gradient);
    }
    Ok(())
}

/// The axes before a matrix's two.
fn batch(t: &Tape<'_>, x: NodeId) -> Shape {
    let mut shape = t.shape(x);
    shape.truncate(shape.len().saturating_sub(2));
    shape
}

fn left_factor(t: &mut Tape<'_>, x: NodeId, z: NodeId, g: NodeId) -> Made {
    if batch(t, x) == batch(t, g) {
        let z = t.transpose(z)?;
        return t.push(Op::MatMul, &[g, z]);
    }
    contracted_batch(t, [(g, "XZ"), (z, "YZ")], x, "XY")
}

fn right_factor(t: &mut Tape<'_>, x: NodeId, z: NodeId, g: NodeId) -> Made {
    let own = batch(t, z);
    if own.is_empty() {
        return rows_product(t, x, g);
    }
    if own == batch(t, g) {
        let x = t.transpose(x)?;
        return t.push(Op::MatMul, &[x, g]);
    }
    contracted_batch(t, [(x, "XY"), (g, "XZ")], z, "YZ")
}

/// A product of matrices that is summed over the batch axes that `of` was broadcast along, in the shape of `of` up to
/// axes of size 1.
fn contracted_batch(t: &mut Tape<'_>, factors: [(NodeId, &str); 2], of: NodeId, matrix: &str) -> Made {
    let rank = factors.iter().map(|(x, _)| t.shape(*x).len()).max().unwrap_or(2) - 2;
    let letters: Vec<char> = ('a'..='z').chain('A'..='W').take(rank).collect();
    // Batch axes align at the last one.
    let own = |count: usize| letters[rank.saturating_sub(count)..].iter();
    let operand = |t: &Tape<'_>, (x, matrix): (NodeId, &str)| own(batch(t, x).len()).collect::<String>() + matrix;
    let kept: String = batch(t, of)
        .iter()
        .zip(own(batch(t, of).len()))
        .filter(|(dim, _)| !dim.is_known_one())
        .map(|(_, letter)| letter)
        .collect();
    let equation = format!("{},{}->{kept}{matrix}", operand(t, factors[0]), operand(t, factors[1]));
    t.push(Op::Einsum(equation), &[factors[0].0, factors[1].0])
}

/// Each operand gets the product of the adjoint and the other operands, summed over what it does not have.
pub(super) fn einsum(t: &mut Tape<'_>, equation: &str, at: &Site) -> Result<(), OpError> {
    let parsed = Equation::parse(equation)?;
    let shapes: Vec<Shape> = at.args.iter().map(|&x| t.shape(x)).collect();
    let sizes = parsed.sizes(equation, shapes.iter())?;
    for (place, &x) in at.args.iter().enumerate() {
        if t.needs(x) {
            let factors = Factors { parsed: &parsed, sizes: &sizes, place };
            let gradient = factors.gradient(t, at)?;
            t.pass(x, gradient);
        }
    }
    Ok(())
}

/// What one operand of an einsum is multiplied with.
struct Factors<'a> {
    parsed: &'a Equation,
    sizes: &'a BTreeMap<char, Dim>,
    place: usize,
}

impl Factors<'_> {
    fn gradient(&self, t: &mut Tape<'_>, at: &Site) -> Made {
        let x = at.args[self.place];
        let shape = t.shape(x);
        let letters = &self.parsed.operands[self.place];
        let (mut operands, mut args) = (vec![self.parsed.value.as_slice()], vec![at.g]);
        for (other, &arg) in at.args.iter().enumerate().filter(|(other, _)| *other != self.place) {
            operands.push(&self.parsed.operands[other]);
            args.push(arg);
        }
        // An axis that was broadcast is summed over; one that nothing else has is filled up afterwards.
        let first = |axis: usize| !letters[..axis].contains(&letters[axis]);
        let has = |axis: usize| {
            let letter = letters[axis];
            first(axis) && Some(&shape[axis]) == self.sizes.get(&letter) && operands.iter().any(|o| o.contains(&letter))
        };
        let value: Vec<char> = (0..letters.len()).filter(|&axis| has(axis)).map(|axis| letters[axis]).collect();
        let product = contracted(t, &operands, &args, &value)?;
        let mut made = t.shape(product).into_iter();
        let thin = (0..letters.len())
            .map(|axis| if has(axis) { made.next() } else { None }.unwrap_or(Dim::known(1)))
            .collect();
        let product = t.reshape(product, thin)?;
        let gradient = self.on_diagonals(t, product, &shape)?;
        t.expand(gradient, shape)
    }

    /// A letter that comes again names a diagonal: elements beside it are not read.
    fn on_diagonals(&self, t: &mut Tape<'_>, product: NodeId, shape: &Shape) -> Made {
        let letters = &self.parsed.operands[self.place];
        let mut gradient = product;
        for (axis, letter) in letters.iter().enumerate() {
            if let Some(before) = letters[..axis].iter().position(|other| other == letter) {
                let (row, column) = (t.positions(shape, before)?, t.positions(shape, axis)?);
                gradient = t.make(&Formula::from(row).is(column).then(gradient, 0.0))?;
            }
        }
        Ok(gradient)
    }
}

/// The einsum, or what it comes to where there is but one operand.
fn contracted(t: &mut Tape<'_>, operands: &[&[char]], args: &[NodeId], value: &[char]) -> Made {
    if let (&[only], &[arg]) = (operands, args)
        && only.len() == value.len()
    {
        let from = |letter: &char| only.iter().position(|other| other == letter);
        if let Some(perm) = value.iter().map(from).collect() {
            return t.permute(arg, perm);
        }
    }
    let text = |letters: &[char]| letters.iter().collect::<String>();
    let left: Vec<String> = operands.iter().map(|letters| text(letters)).collect();
    t.push(Op::Einsum(format!("{}->{}", left.join(","), text(value))), args)
}

pub(super) fn max_plus(t: &mut Tape<'_>, minimum: bool, first: bool, at: &Site) -> Result<(), OpError> {
    let &[a, c] = at.args.as_slice() else { return Ok(()) };
    for (x, second) in [(a, false), (c, true)] {
        if t.needs(x) {
            let gradient = t.push(Op::MaxPlusGrad { minimum, first, second }, &[a, c, at.y, at.g])?;
            t.pass(x, gradient);
        }
    }
    Ok(())
}
