//! Sums of products, and max-plus.

use super::elementwise::along;
use super::reduce::{best, larger, shared, shares, smaller};
use super::{Tensor, broadcast_position, ravel, unravel};
use crate::infer::Equation;
use std::collections::BTreeMap;

fn multiply((x, dx): (f64, f64), (y, dy): (f64, f64)) -> (f64, f64) {
    (x * y, along(dx, y) + along(dy, x))
}

fn add((x, dx): (f64, f64), (y, dy): (f64, f64)) -> (f64, f64) {
    (x + y, dx + dy)
}

pub(super) fn linear(args: &[&Tensor], shape: Vec<usize>) -> Tensor {
    let (x, weight) = (args[0], args[1]);
    let (out, inner) = (weight.shape[0], weight.shape[1]);
    Tensor::from_fn(shape, |at| {
        let (row, column) = (at / out, at % out);
        let start = args.get(2).map_or((0.0, 0.0), |bias| bias.get(column));
        (0..inner).map(|i| multiply(x.get(row * inner + i), weight.get(column * inner + i))).fold(start, add)
    })
}

pub(super) fn matmul(x: &Tensor, y: &Tensor, shape: Vec<usize>) -> Tensor {
    let (row, column) = (x.shape.len() == 1, y.shape.len() == 1);
    let inner = x.shape[x.shape.len() - 1];
    let to = shape.clone();
    Tensor::from_fn(shape, |at| {
        let mut outer = unravel(at, &to);
        let j = if column { None } else { outer.pop() };
        let i = if row { None } else { outer.pop() };
        let place = |shape: &[usize], last_two: Vec<usize>| -> usize {
            let batch = &shape[..shape.len() - last_two.len()];
            let index: Vec<usize> =
                unravel(broadcast_position(&outer, batch), batch).into_iter().chain(last_two).collect();
            ravel(&index, shape)
        };
        (0..inner)
            .map(|k| {
                let left = place(&x.shape, i.into_iter().chain([k]).collect());
                let right = place(&y.shape, std::iter::once(k).chain(j).collect());
                multiply(x.get(left), y.get(right))
            })
            .fold((0.0, 0.0), add)
    })
}

/// `equation` has been parsed when the node was made.
pub(super) fn einsum(equation: &str, args: &[&Tensor], shape: Vec<usize>) -> Tensor {
    let Ok(Equation { operands, value }) = Equation::parse(equation) else {
        return Tensor::from_fn(shape, |_| (f64::NAN, 0.0));
    };
    let mut sizes: BTreeMap<char, usize> = BTreeMap::new();
    for (letters, arg) in operands.iter().zip(args) {
        for (&letter, &size) in letters.iter().zip(&arg.shape) {
            let known = sizes.entry(letter).or_insert(1);
            *known = size.max(*known).min(if size == 0 { 0 } else { usize::MAX });
        }
    }
    let summed: Vec<char> = sizes.keys().copied().filter(|letter| !value.contains(letter)).collect();
    let inner: Vec<usize> = summed.iter().map(|letter| sizes[letter]).collect();
    let to = shape.clone();
    Tensor::from_fn(shape, |at| {
        let mut index: BTreeMap<char, usize> = value.iter().copied().zip(unravel(at, &to)).collect();
        let mut sum = (0.0, 0.0);
        for step in 0..inner.iter().product() {
            index.extend(summed.iter().copied().zip(unravel(step, &inner)));
            let factors = operands.iter().zip(args).map(|(letters, arg)| {
                let place: Vec<usize> = letters.iter().map(|letter| index[letter]).collect();
                arg.get(broadcast_position(&place, &arg.shape))
            });
            sum = add(sum, factors.fold((1.0, 0.0), multiply));
        }
        sum
    })
}

pub(super) fn max_plus(a: &Tensor, c: &Tensor, shape: Vec<usize>, minimum: bool, first: bool) -> Tensor {
    let to = shape.clone();
    Tensor::from_fn(shape, |at| {
        let index = unravel(at, &to);
        let (b, j, k, t) = (index[0], index[1], index[2], index[3]);
        let sums: Vec<(f64, f64)> = (0..a.shape[1])
            .map(|i| add(a.get(ravel(&[b, i, j, t], &a.shape)), c.get(ravel(&[b, i, k, t], &c.shape))))
            .collect();
        if first {
            return sums[best(&sums, if minimum { |x, y| x < y } else { |x, y| x > y })];
        }
        let values = sums.iter().map(|x| x.0);
        let extreme =
            if minimum { values.fold(f64::INFINITY, smaller) } else { values.fold(f64::NEG_INFINITY, larger) };
        shared(&sums, extreme)
    })
}

/// The tangent is that along `g` alone: a gradient is linear in it, and constant between ties in the rest.
pub(super) fn max_plus_gradient([a, c, y, g]: [&Tensor; 4], first: bool, second: bool) -> Tensor {
    let to = if second { c } else { a };
    let mut value = Tensor::from_fn(to.shape.clone(), |_| (0.0, 0.0));
    for at in 0..y.data.len() {
        let index = unravel(at, &y.shape);
        let (b, j, k, t) = (index[0], index[1], index[2], index[3]);
        let place = |i: usize| (ravel(&[b, i, j, t], &a.shape), ravel(&[b, i, k, t], &c.shape));
        let attains = (0..a.shape[1]).map(|i| a.data[place(i).0] + c.data[place(i).1] == y.data[at]).collect();
        for (i, share) in shares(attains, first).into_iter().enumerate() {
            let place = if second { place(i).1 } else { place(i).0 };
            value.data[place] += along(share, g.data[at]);
            value.tangent[place] += along(share, g.tangent[at]);
        }
    }
    value
}
