//! The shape and element type of every operation's value, by PyTorch's rules, for all B >= 1 and N >= 2 at once.
//!
//! What holds for some sizes only is an error: N against 8 never broadcasts, though it would for N = 8.

mod einsum;
pub mod shapes;
mod types;

use crate::dim::{Dim, Shape, numel};
use crate::error::OpError;
use crate::op::{DType, Op, ReduceOp};
use shapes::{at_least_one, axis_in, broadcast, not_negative, ranked};

pub use einsum::Equation;

/// What is known of an argument.
pub(crate) type Arg<'a> = (&'a Shape, DType);

/// The type of `op`'s value; `stated` is what the caller says of it, and is checked against what the arguments imply.
pub(crate) fn infer(op: &Op, args: &[Arg<'_>], stated: Option<(Shape, DType)>) -> Result<(Shape, DType), OpError> {
    let name = op.name();
    if states_type(op) {
        let (shape, dtype) = stated.ok_or(OpError::Unstated { op: name })?;
        check_stated(op, args, &shape, dtype)?;
        return Ok((shape, dtype));
    }
    let (shape, dtype) = derive(op, args)?;
    match stated {
        Some((stated, stated_dtype)) if stated != shape || stated_dtype != dtype => {
            Err(OpError::Stated { op: name, stated, stated_dtype, shape, dtype })
        }
        _ => Ok((shape, dtype)),
    }
}

/// Whether the arguments do not determine the value's type.
fn states_type(op: &Op) -> bool {
    matches!(
        op,
        Op::Scalar(_)
            | Op::Size(_)
            | Op::Full(_)
            | Op::Const(_)
            | Op::Arange { .. }
            | Op::Eye
            | Op::Cast
            | Op::Reshape
            | Op::Expand
            | Op::Random { .. }
    )
}

/// Exactly `N` arguments.
fn take<'a, const N: usize>(op: &'static str, args: &[Arg<'a>]) -> Result<[Arg<'a>; N], OpError> {
    let wanted = ["0", "1", "2", "3", "4"].get(N).copied().unwrap_or("more");
    args.try_into().map_err(|_| OpError::Arity { op, wanted, got: args.len() })
}

fn check_stated(op: &Op, args: &[Arg<'_>], shape: &Shape, dtype: DType) -> Result<(), OpError> {
    let name = op.name();
    for dim in shape {
        not_negative(name, dim)?;
    }
    match op {
        Op::Scalar(value) => {
            let [] = take(name, args)?;
            ranked(name, shape, 0, 0)?;
            types::literal(name, *value, dtype)
        }
        Op::Size(dim) => {
            let [] = take(name, args)?;
            ranked(name, shape, 0, 0)?;
            not_negative(name, dim)?;
            types::exactly(name, dtype, DType::Int)
        }
        Op::Full(value) => {
            let [] = take(name, args)?;
            types::literal(name, *value, dtype)
        }
        Op::Const(values) => {
            let [] = take(name, args)?;
            if numel(shape).as_known() != i64::try_from(values.len()).ok()
                || shape.iter().any(|d| d.as_known().is_none())
            {
                return Err(OpError::Values { op: name, values: values.len(), shape: shape.clone() });
            }
            values.iter().try_for_each(|value| types::literal(name, *value, dtype))
        }
        Op::Arange { start, step } => {
            let [] = take(name, args)?;
            ranked(name, shape, 1, 1)?;
            types::not_bool(name, dtype)?;
            types::literal(name, *start, dtype)?;
            types::literal(name, *step, dtype)
        }
        Op::Eye => {
            let [] = take(name, args)?;
            ranked(name, shape, 2, 2)
        }
        Op::Cast => {
            let [(from, _)] = take(name, args)?;
            same_shape(name, from, shape, dtype, dtype)
        }
        Op::Reshape => {
            let [(from, from_type)] = take(name, args)?;
            shapes::reshape(from, shape)?;
            same_shape(name, shape, shape, from_type, dtype)
        }
        Op::Expand => {
            let [(from, from_type)] = take(name, args)?;
            shapes::expand(from, shape)?;
            same_shape(name, shape, shape, from_type, dtype)
        }
        Op::Random { .. } => {
            let [(key, key_type)] = take(name, args)?;
            types::exactly(name, key_type, DType::Float)?;
            types::exactly(name, dtype, DType::Float)?;
            let mut wanted = crate::noise::key_shape(key.len() > 1);
            if let ([first, _], [rows, _]) = (&mut wanted[..], key.as_slice()) {
                // The samples of several networks, or a network a row.
                first.clone_from(rows);
                if shape.first() != Some(rows) {
                    let reason = "noise of samples has their axis as its first".into();
                    return Err(OpError::Setting { op: name, reason });
                }
            }
            operand(name, "key", key, &wanted)
        }
        _ => Ok(()),
    }
}

fn same_shape(
    op: &'static str,
    from: &Shape,
    stated: &Shape,
    from_type: DType,
    stated_type: DType,
) -> Result<(), OpError> {
    if from == stated && from_type == stated_type {
        return Ok(());
    }
    Err(OpError::Stated {
        op,
        stated: stated.clone(),
        stated_dtype: stated_type,
        shape: from.clone(),
        dtype: from_type,
    })
}

fn derive(op: &Op, args: &[Arg<'_>]) -> Result<(Shape, DType), OpError> {
    let name = op.name();
    match op {
        Op::Input(_) | Op::Param(_) => Err(OpError::OwnMethod { op: name }),
        Op::Scalar(_)
        | Op::Size(_)
        | Op::Full(_)
        | Op::Const(_)
        | Op::Arange { .. }
        | Op::Eye
        | Op::Cast
        | Op::Reshape
        | Op::Expand
        | Op::Random { .. } => Err(OpError::Unstated { op: name }),

        Op::Unary(unary) => {
            let [(x, t)] = take(name, args)?;
            Ok((x.clone(), types::unary(unary, t)?))
        }
        Op::Binary(binary) => {
            let [(x, tx), (y, ty)] = take(name, args)?;
            Ok((broadcast(x, y)?, types::binary(*binary, tx, ty)?))
        }
        Op::Where => {
            let [(c, tc), (x, tx), (y, ty)] = take(name, args)?;
            types::exactly(name, tc, DType::Bool)?;
            Ok((broadcast(c, &broadcast(x, y)?)?, tx.max(ty)))
        }
        Op::Detach => {
            let [(x, t)] = take(name, args)?;
            Ok((x.clone(), t))
        }

        Op::Reduce { op: reduce, dims, keepdim } => {
            let [(x, t)] = take(name, args)?;
            Ok((reduced(reduce, x, dims, *keepdim)?, types::reduce(reduce, t)?))
        }
        Op::Softmax { dim } | Op::LogSoftmax { dim } => {
            let [(x, t)] = take(name, args)?;
            axis_in(name, *dim, x)?;
            types::exactly(name, t, DType::Float)?;
            Ok((x.clone(), t))
        }
        Op::LayerNorm { axes, weighted, biased, .. } => layer_norm(args, *axes, *weighted, *biased),
        Op::CumSum { dim } | Op::CumProd { dim } => {
            let [(x, t)] = take(name, args)?;
            axis_in(name, *dim, x)?;
            Ok((x.clone(), t.max(DType::Int)))
        }
        Op::TopK { k, dim, .. } | Op::TopKIndices { k, dim, .. } => {
            let [(x, t)] = take(name, args)?;
            let size = axis_in(name, *dim, x)?;
            types::not_bool(name, t)?;
            not_negative(name, k)?;
            if !size.provably_ge(k) {
                return Err(OpError::TooMany { op: name, k: k.clone(), size: size.clone(), axis: *dim });
            }
            let mut shape = x.clone();
            shape[*dim] = k.clone();
            Ok((shape, if matches!(op, Op::TopK { .. }) { t } else { DType::Int }))
        }
        Op::Sort { dim, .. } => {
            let [(x, t)] = take(name, args)?;
            axis_in(name, *dim, x)?;
            Ok((x.clone(), t))
        }
        Op::ArgSort { dim, .. } => {
            let [(x, _)] = take(name, args)?;
            axis_in(name, *dim, x)?;
            Ok((x.clone(), DType::Int))
        }

        Op::Permute(_)
        | Op::Slice { .. }
        | Op::Select { .. }
        | Op::Flip { .. }
        | Op::Roll { .. }
        | Op::Tril { .. }
        | Op::Triu { .. }
        | Op::Diagonal { .. } => {
            let [(x, t)] = take(name, args)?;
            Ok((shapes::moved(op, x)?, t))
        }
        Op::Cat { dim } => {
            let Some(((first, first_type), rest)) = args.split_first() else {
                return Err(OpError::Arity { op: name, wanted: "1 or more", got: 0 });
            };
            let (mut shape, mut dtype) = ((*first).clone(), *first_type);
            axis_in(name, *dim, &shape)?;
            for (next, next_type) in rest {
                shape = shapes::cat(*dim, shape, next)?;
                dtype = dtype.max(*next_type);
            }
            Ok((shape, dtype))
        }
        Op::Gather { dim } => {
            let [(x, t), (index, ti)] = take(name, args)?;
            types::exactly(name, ti, DType::Int)?;
            shapes::index_fits(name, index, x, Some(*dim))?;
            Ok((index.clone(), t))
        }
        Op::Scatter { dim } | Op::ScatterAdd { dim } => {
            let [(x, t), (index, ti), (src, ts)] = take(name, args)?;
            types::exactly(name, ti, DType::Int)?;
            if t != ts {
                return Err(OpError::DTypes { op: name, left: t, right: ts });
            }
            shapes::index_fits(name, index, x, Some(*dim))?;
            shapes::index_fits(name, index, src, None)?;
            Ok((x.clone(), t))
        }
        Op::IndexSelect { dim } => {
            let [(x, t), (index, ti)] = take(name, args)?;
            types::exactly(name, ti, DType::Int)?;
            axis_in(name, *dim, x)?;
            let mut shape = x.clone();
            shape.splice(*dim..=*dim, index.iter().cloned());
            Ok((shape, t))
        }
        Op::OneHot { classes } => {
            let [(index, t)] = take(name, args)?;
            types::not_bool(name, t)?;
            let mut shape = index.clone();
            shape.push(Dim::of(*classes));
            Ok((shape, t))
        }

        Op::Linear { biased } => linear(args, *biased),
        Op::MatMul => {
            let [(x, tx), (y, ty)] = take(name, args)?;
            types::product(name, tx, ty)?;
            Ok((shapes::matmul(x, y)?, tx))
        }
        Op::Einsum(equation) => {
            let Some((first, rest)) = args.split_first() else {
                return Err(OpError::Arity { op: name, wanted: "1 or more", got: 0 });
            };
            for (_, t) in rest {
                types::product(name, first.1, *t)?;
            }
            let parsed = Equation::parse(equation)?;
            Ok((parsed.shape(equation, args.iter().map(|a| a.0))?, first.1))
        }
        Op::MaxPlus { .. } => {
            let [a, c] = take(name, args)?;
            all_float(name, args)?;
            Ok((max_plus(name, a.0, c.0)?, DType::Float))
        }
        Op::MaxPlusGrad { second, .. } => {
            let [a, c, y, g] = take(name, args)?;
            all_float(name, args)?;
            let value = max_plus(name, a.0, c.0)?;
            operand(name, "value", y.0, &value)?;
            operand(name, "gradient", g.0, &value)?;
            Ok((if *second { c.0.clone() } else { a.0.clone() }, DType::Float))
        }
        Op::ShareExtreme { dims, .. } => {
            let [x, y, g] = take(name, args)?;
            all_float(name, args)?;
            let kept = reduced(&ReduceOp::Sum, x.0, dims, true)?;
            operand(name, "value", y.0, &kept)?;
            operand(name, "gradient", g.0, &kept)?;
            Ok((x.0.clone(), DType::Float))
        }
        Op::CumProdGrad { dim } => {
            let [x, g] = take(name, args)?;
            all_float(name, args)?;
            axis_in(name, *dim, x.0)?;
            operand(name, "gradient", g.0, x.0)?;
            Ok((x.0.clone(), DType::Float))
        }
    }
}

fn all_float(op: &'static str, args: &[Arg<'_>]) -> Result<(), OpError> {
    args.iter().try_for_each(|arg| types::exactly(op, arg.1, DType::Float))
}

fn operand(op: &'static str, what: &'static str, got: &Shape, wanted: &Shape) -> Result<(), OpError> {
    if got == wanted {
        return Ok(());
    }
    Err(OpError::Operand { op, what, got: got.clone(), wanted: wanted.clone() })
}

fn max_plus(op: &'static str, a: &Shape, c: &Shape) -> Result<Shape, OpError> {
    let ([b, i, j, t], [_, _, k, _]) = (four(op, a)?, four(op, c)?);
    at_least_one(op, 1, a)?;
    operand(op, "second operand", c, &vec![b.clone(), i.clone(), k.clone(), t.clone()])?;
    Ok(vec![b.clone(), j.clone(), k.clone(), t.clone()])
}

fn four<'a>(op: &'static str, shape: &'a Shape) -> Result<&'a [Dim; 4], OpError> {
    shape.as_slice().try_into().map_err(|_| OpError::Rank { op, shape: shape.clone(), wanted: "needs 4".into() })
}

fn reduced(op: &ReduceOp, x: &Shape, dims: &[usize], keepdim: bool) -> Result<Shape, OpError> {
    let name = op.name();
    let one_axis = matches!(
        op,
        ReduceOp::MaxValues | ReduceOp::MinValues | ReduceOp::ArgMax | ReduceOp::ArgMin | ReduceOp::Median
    );
    if one_axis && dims.len() != 1 && !x.is_empty() {
        return Err(OpError::Setting { op: name, reason: format!("reduces one axis, not {}", dims.len()) });
    }
    let mut gone = vec![false; x.len()];
    for &dim in dims {
        axis_in(name, dim, x)?;
        if std::mem::replace(&mut gone[dim], true) {
            return Err(OpError::AxisTwice { op: name, axis: dim });
        }
        if one_axis || matches!(op, ReduceOp::Amax | ReduceOp::Amin) {
            at_least_one(name, dim, x)?;
        }
    }
    let kept = x.iter().zip(gone).filter_map(|(dim, gone)| match (gone, keepdim) {
        (false, _) => Some(dim.clone()),
        (true, true) => Some(Dim::known(1)),
        (true, false) => None,
    });
    Ok(kept.collect())
}

fn layer_norm(args: &[Arg<'_>], axes: usize, weighted: bool, biased: bool) -> Result<(Shape, DType), OpError> {
    let name = "layer_norm";
    if args.len() != 1 + usize::from(weighted) + usize::from(biased) || (biased && !weighted) {
        return Err(OpError::Arity {
            op: name,
            wanted: "x, and a weight, and a bias beside a weight,",
            got: args.len(),
        });
    }
    let (x, t) = args[0];
    types::exactly(name, t, DType::Float)?;
    if axes == 0 || axes > x.len() {
        return Err(OpError::Rank { op: name, shape: x.clone(), wanted: format!("{axes} are normalised") });
    }
    let wanted = &x[x.len() - axes..];
    for ((got, t), what) in args[1..].iter().zip(["weight", "bias"]) {
        types::exactly(name, *t, DType::Float)?;
        if got.as_slice() != wanted {
            return Err(OpError::Operand { op: name, what, got: (*got).clone(), wanted: wanted.to_vec() });
        }
    }
    Ok((x.clone(), t))
}

fn linear(args: &[Arg<'_>], biased: bool) -> Result<(Shape, DType), OpError> {
    let name = "linear";
    if args.len() != 2 + usize::from(biased) {
        return Err(OpError::Arity { op: name, wanted: if biased { "3" } else { "2" }, got: args.len() });
    }
    let ((x, _), (weight, _)) = (args[0], args[1]);
    for (_, t) in args {
        types::exactly(name, *t, DType::Float)?;
    }
    let [out, wanted] = weight.as_slice() else {
        return Err(OpError::Rank { op: name, shape: weight.clone(), wanted: "a weight has 2".into() });
    };
    let Some((last, outer)) = x.split_last() else {
        return Err(OpError::Rank { op: name, shape: x.clone(), wanted: "needs 1 or more".into() });
    };
    if last != wanted {
        return Err(OpError::Linear { input: x.clone(), wanted: wanted.clone(), out: out.clone(), got: last.clone() });
    }
    if let Some((bias, _)) = args.get(2)
        && bias.as_slice() != std::slice::from_ref(out)
    {
        return Err(OpError::Operand { op: name, what: "bias", got: (*bias).clone(), wanted: vec![out.clone()] });
    }
    Ok((outer.iter().chain([out]).cloned().collect(), DType::Float))
}
