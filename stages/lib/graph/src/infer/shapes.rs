//! Rules of shapes alone.

use crate::dim::{Dim, Shape, numel};
use crate::error::OpError;
use crate::op::Op;

/// The common shape of two operands: aligned at the last axis, sizes are equal or one of them is known to be 1.
pub fn broadcast(left: &Shape, right: &Shape) -> Result<Shape, OpError> {
    let rank = left.len().max(right.len());
    let one = Dim::known(1);
    let size_at = |shape: &Shape, axis: usize| -> Dim {
        (axis + shape.len()).checked_sub(rank).map_or_else(|| one.clone(), |i| shape[i].clone())
    };
    // From the last axis, as PyTorch looks, so that it is the same axis that the message names.
    let mut shape = (0..rank)
        .rev()
        .map(|axis| {
            let (l, r) = (size_at(left, axis), size_at(right, axis));
            if l == r || r.is_known_one() {
                Ok(l)
            } else if l.is_known_one() {
                Ok(r)
            } else {
                Err(OpError::Broadcast { left: left.clone(), right: right.clone(), axis, left_size: l, right_size: r })
            }
        })
        .collect::<Result<Shape, OpError>>()?;
    shape.reverse();
    Ok(shape)
}

/// The sizes of a view of `from` in which at most one axis, `None`, is left to be found.
pub fn infer_minus_one(from: &Shape, to: &[Option<Dim>]) -> Result<Shape, OpError> {
    let have = numel(from);
    let rest = to.iter().flatten().fold(Dim::known(1), |product, dim| &product * dim);
    let shape: Shape = match to.iter().filter(|dim| dim.is_none()).count() {
        0 => to.iter().flatten().cloned().collect(),
        1 => {
            let Some(free) = have.div_exact(&rest) else {
                return Err(OpError::FreeAxis { from: from.clone(), have, rest });
            };
            to.iter().map(|dim| dim.clone().unwrap_or_else(|| free.clone())).collect()
        }
        _ => return Err(OpError::TwoFreeAxes),
    };
    reshape(from, &shape)?;
    Ok(shape)
}

/// Checks that a view keeps the number of elements, as an identity of polynomials.
pub fn reshape(from: &Shape, to: &Shape) -> Result<(), OpError> {
    for dim in to {
        not_negative("view", dim)?;
    }
    let (have, want) = (numel(from), numel(to));
    if have == want { Ok(()) } else { Err(OpError::Reshape { from: from.clone(), to: to.clone(), have, want }) }
}

/// Checks that `from` expands to `to`: new axes come first, and only axes of known size 1 grow.
pub fn expand(from: &Shape, to: &Shape) -> Result<(), OpError> {
    let fail = |reason: String| OpError::Expand { from: from.clone(), to: to.clone(), reason };
    let Some(new) = to.len().checked_sub(from.len()) else {
        return Err(fail(format!("{} axes cannot become {}", from.len(), to.len())));
    };
    for (axis, (have, want)) in from.iter().zip(&to[new..]).enumerate() {
        if have != want && !have.is_known_one() {
            return Err(fail(format!("axis {axis} is {have}, not 1 or {want}")));
        }
    }
    Ok(())
}

/// `torch.matmul`: vectors are rows or columns and lose that axis again; leading axes broadcast.
pub(crate) fn matmul(x: &Shape, y: &Shape) -> Result<Shape, OpError> {
    for shape in [x, y] {
        if shape.is_empty() {
            return Err(OpError::Rank { op: "matmul", shape: shape.clone(), wanted: "needs 1 or more".into() });
        }
    }
    let (row, column) = (x.len() == 1, y.len() == 1);
    let inner = (&x[x.len() - 1], if column { &y[0] } else { &y[y.len() - 2] });
    if inner.0 != inner.1 {
        return Err(OpError::MatMul {
            left: x.clone(),
            right: y.clone(),
            left_size: inner.0.clone(),
            right_size: inner.1.clone(),
        });
    }
    let outer = |shape: &Shape| shape[..shape.len().saturating_sub(2)].to_vec();
    let mut shape = broadcast(&outer(x), &outer(y))?;
    if !row {
        shape.push(x[x.len() - 2].clone());
    }
    if !column {
        shape.push(y[y.len() - 1].clone());
    }
    Ok(shape)
}

/// The shape of what moves or drops elements of one tensor.
pub(crate) fn moved(op: &Op, x: &Shape) -> Result<Shape, OpError> {
    let name = op.name();
    match op {
        Op::Permute(perm) => {
            ranked(name, x, perm.len(), perm.len())?;
            let mut seen = vec![false; x.len()];
            for &axis in perm {
                axis_in(name, axis, x)?;
                if std::mem::replace(&mut seen[axis], true) {
                    return Err(OpError::AxisTwice { op: name, axis });
                }
            }
            Ok(perm.iter().map(|&axis| x[axis].clone()).collect())
        }
        Op::Slice { dim, start, end, step } => {
            let size = axis_in(name, *dim, x)?;
            if !(start.provably_ge(&Dim::known(0)) && end.provably_ge(start) && size.provably_ge(end)) {
                let (start, end) = (start.clone(), end.clone());
                return Err(OpError::Slice { shape: x.clone(), axis: *dim, start, end });
            }
            let length = end - start;
            let steps = i64::try_from(*step).ok().and_then(|step| length.div_ceil(step));
            let mut shape = x.clone();
            shape[*dim] = steps.ok_or(OpError::SliceStep { length, step: *step })?;
            Ok(shape)
        }
        Op::Select { dim, index } => {
            let size = axis_in(name, *dim, x)?;
            if !(index.provably_ge(&Dim::known(0)) && size.provably_gt(index)) {
                return Err(OpError::Index { shape: x.clone(), axis: *dim, index: index.clone() });
            }
            let mut shape = x.clone();
            shape.remove(*dim);
            Ok(shape)
        }
        Op::Flip { dims } => {
            for (place, &dim) in dims.iter().enumerate() {
                axis_in(name, dim, x)?;
                if dims[..place].contains(&dim) {
                    return Err(OpError::AxisTwice { op: name, axis: dim });
                }
            }
            Ok(x.clone())
        }
        Op::Roll { dim, .. } => {
            axis_in(name, *dim, x)?;
            Ok(x.clone())
        }
        Op::Tril { .. } | Op::Triu { .. } => {
            ranked(name, x, 2, usize::MAX)?;
            Ok(x.clone())
        }
        Op::Diagonal { offset, dim1, dim2 } => diagonal(name, x, *offset, *dim1, *dim2),
        _ => Ok(x.clone()),
    }
}

fn diagonal(op: &'static str, x: &Shape, offset: i64, dim1: usize, dim2: usize) -> Result<Shape, OpError> {
    axis_in(op, dim1, x)?;
    axis_in(op, dim2, x)?;
    if dim1 == dim2 {
        return Err(OpError::AxisTwice { op, axis: dim1 });
    }
    // Element (i, i + offset): rows left once the first -offset are skipped, columns once the first offset are.
    let rows = &x[dim1] + offset.min(0);
    let columns = &x[dim2] - offset.max(0);
    let length = if columns.provably_ge(&rows) {
        rows
    } else if rows.provably_ge(&columns) {
        columns
    } else {
        return Err(OpError::Setting {
            op,
            reason: format!("which of {rows} and {columns} is shorter depends on B and N"),
        });
    };
    not_negative(op, &length)?;
    let kept = x.iter().enumerate().filter(|&(axis, _)| axis != dim1 && axis != dim2).map(|(_, dim)| dim.clone());
    Ok(kept.chain([length]).collect())
}

/// The shape of `so_far` with `next` behind it along `dim`.
pub(crate) fn cat(dim: usize, so_far: Shape, next: &Shape) -> Result<Shape, OpError> {
    ranked("cat", next, so_far.len(), so_far.len())?;
    for (axis, (l, r)) in so_far.iter().zip(next).enumerate() {
        if axis != dim && l != r {
            let (left_size, right_size) = (l.clone(), r.clone());
            return Err(OpError::Cat { dim, left: so_far, right: next.clone(), axis, left_size, right_size });
        }
    }
    let mut shape = so_far;
    shape[dim] = &shape[dim] + &next[dim];
    Ok(shape)
}

/// Checks that an index tensor lies within `shape` in every axis but `free`.
pub(crate) fn index_fits(op: &'static str, index: &Shape, shape: &Shape, free: Option<usize>) -> Result<(), OpError> {
    ranked(op, index, shape.len(), shape.len())?;
    if let Some(dim) = free {
        axis_in(op, dim, shape)?;
    }
    for (axis, (index_size, size)) in index.iter().zip(shape).enumerate() {
        if Some(axis) != free && !size.provably_ge(index_size) {
            return Err(OpError::IndexShape {
                op,
                index: index.clone(),
                shape: shape.clone(),
                axis,
                index_size: index_size.clone(),
                size: size.clone(),
            });
        }
    }
    Ok(())
}

/// The size of an axis that must exist.
pub(crate) fn axis_in<'a>(op: &'static str, axis: usize, shape: &'a Shape) -> Result<&'a Dim, OpError> {
    shape.get(axis).ok_or_else(|| OpError::Axis { op, axis, shape: shape.clone() })
}

/// Checks that the number of axes is `least..=most`.
pub(crate) fn ranked(op: &'static str, shape: &Shape, least: usize, most: usize) -> Result<(), OpError> {
    if (least..=most).contains(&shape.len()) {
        return Ok(());
    }
    let wanted = if least == most { format!("needs {least}") } else { format!("needs {least} or more") };
    Err(OpError::Rank { op, shape: shape.clone(), wanted })
}

pub(crate) fn not_negative(op: &'static str, size: &Dim) -> Result<(), OpError> {
    if size.provably_ge(&Dim::known(0)) { Ok(()) } else { Err(OpError::NegativeSize { op, size: size.clone() }) }
}

/// What has no value for an empty axis.
pub(crate) fn at_least_one(op: &'static str, axis: usize, shape: &Shape) -> Result<(), OpError> {
    let size = axis_in(op, axis, shape)?;
    if size.provably_ge(&Dim::known(1)) { Ok(()) } else { Err(OpError::EmptyAxis { op, axis, shape: shape.clone() }) }
}
