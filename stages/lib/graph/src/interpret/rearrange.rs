//! What moves, repeats, drops or masks elements.

use super::{Tensor, WrongIndex, broadcast_position, ravel, unravel};
use crate::op::Op;

/// Operations that find each element of the value in one place of the argument.
pub(super) fn moved(op: &Op, x: &Tensor, shape: Vec<usize>) -> Tensor {
    let to = shape.clone();
    Tensor::from_fn(shape, |at| {
        let mut index = unravel(at, &to);
        let last_two = |index: &[usize]| (index[index.len() - 2] as i64, index[index.len() - 1] as i64);
        match op {
            Op::Permute(perm) => {
                let mut source = vec![0; index.len()];
                for (axis, &from) in perm.iter().enumerate() {
                    source[from] = index[axis];
                }
                x.get(ravel(&source, &x.shape))
            }
            Op::Expand => x.get(broadcast_position(&index, &x.shape)),
            Op::Flip { dims } => {
                for &dim in dims {
                    index[dim] = x.shape[dim] - 1 - index[dim];
                }
                x.get(ravel(&index, &x.shape))
            }
            Op::Roll { shift, dim } => {
                let size = x.shape[*dim] as i64;
                index[*dim] = (index[*dim] as i64 - shift).rem_euclid(size) as usize;
                x.get(ravel(&index, &x.shape))
            }
            Op::Diagonal { offset, dim1, dim2 } => {
                let along = index.pop().unwrap_or(0);
                let mut kept = index.into_iter();
                let source: Vec<usize> = (0..x.shape.len())
                    .map(|axis| {
                        if axis == *dim1 {
                            along + usize::try_from(-offset).unwrap_or(0)
                        } else if axis == *dim2 {
                            along + usize::try_from(*offset).unwrap_or(0)
                        } else {
                            kept.next().unwrap_or(0)
                        }
                    })
                    .collect();
                x.get(ravel(&source, &x.shape))
            }
            Op::Tril { diagonal } if last_two(&index).1 - last_two(&index).0 > *diagonal => (0.0, 0.0),
            Op::Triu { diagonal } if last_two(&index).1 - last_two(&index).0 < *diagonal => (0.0, 0.0),
            _ => x.get(at),
        }
    })
}

pub(super) fn slice(x: &Tensor, dim: usize, start: usize, step: usize, shape: Vec<usize>) -> Tensor {
    let to = shape.clone();
    Tensor::from_fn(shape, |at| {
        let mut index = unravel(at, &to);
        index[dim] = start + index[dim] * step;
        x.get(ravel(&index, &x.shape))
    })
}

pub(super) fn select(x: &Tensor, dim: usize, along: usize, shape: Vec<usize>) -> Tensor {
    let to = shape.clone();
    Tensor::from_fn(shape, |at| {
        let mut index = unravel(at, &to);
        index.insert(dim, along);
        x.get(ravel(&index, &x.shape))
    })
}

pub(super) fn cat(parts: &[&Tensor], dim: usize, shape: Vec<usize>) -> Tensor {
    let to = shape.clone();
    Tensor::from_fn(shape, |at| {
        let mut index = unravel(at, &to);
        for part in parts {
            if index[dim] < part.shape[dim] {
                return part.get(ravel(&index, &part.shape));
            }
            index[dim] -= part.shape[dim];
        }
        (f64::NAN, 0.0)
    })
}

fn checked(index: f64, size: usize) -> Result<usize, WrongIndex> {
    if index >= 0.0 && index < size as f64 { Ok(index as usize) } else { Err((index, size)) }
}

pub(super) fn gather(x: &Tensor, index: &Tensor, dim: usize) -> Result<Tensor, WrongIndex> {
    let mut value = index.clone();
    for at in 0..index.data.len() {
        let mut from = unravel(at, &index.shape);
        from[dim] = checked(index.data[at], x.shape[dim])?;
        (value.data[at], value.tangent[at]) = x.get(ravel(&from, &x.shape));
    }
    Ok(value)
}

pub(super) fn scatter(x: &Tensor, index: &Tensor, src: &Tensor, dim: usize, add: bool) -> Result<Tensor, WrongIndex> {
    let mut value = x.clone();
    for at in 0..index.data.len() {
        let mut place = unravel(at, &index.shape);
        let (element, tangent) = src.get(ravel(&place, &src.shape));
        place[dim] = checked(index.data[at], x.shape[dim])?;
        let to = ravel(&place, &x.shape);
        let kept = if add { value.get(to) } else { (0.0, 0.0) };
        (value.data[to], value.tangent[to]) = (kept.0 + element, kept.1 + tangent);
    }
    Ok(value)
}

pub(super) fn index_select(x: &Tensor, index: &Tensor, dim: usize, shape: Vec<usize>) -> Result<Tensor, WrongIndex> {
    let chosen = index.data.iter().map(|&i| checked(i, x.shape[dim])).collect::<Result<Vec<_>, _>>()?;
    let to = shape.clone();
    Ok(Tensor::from_fn(shape, |at| {
        let place = unravel(at, &to);
        let (before, rest) = place.split_at(dim);
        let (look_up, after) = rest.split_at(index.shape.len());
        let mut from = before.to_vec();
        from.push(chosen[ravel(look_up, &index.shape)]);
        from.extend_from_slice(after);
        x.get(ravel(&from, &x.shape))
    }))
}

pub(super) fn one_hot(index: &Tensor, classes: usize, shape: Vec<usize>) -> Result<Tensor, WrongIndex> {
    let hot = index.data.iter().map(|&i| checked(i, classes)).collect::<Result<Vec<_>, _>>()?;
    Ok(Tensor::from_fn(shape, |at| (f64::from(u8::from(hot[at / classes] == at % classes)), 0.0)))
}
