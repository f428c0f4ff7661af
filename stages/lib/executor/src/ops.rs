//! One operation of a graph, done by libtorch.
//!
//! Every call is one of the fallible `f_` kind. Element types follow the node: where PyTorch's promotion would pick the
//! default float type, operands are cast to the graph's own float type first, so that float64 stays float64.

use graph::{BinaryOp, DType, Node, Op, ReduceOp, UnaryOp, noise};
use tch::{Kind, Tensor};

use crate::Device;
use crate::error::{Error, Result};
use crate::tensor::from_f64;

/// What an operation needs to know beyond its arguments.
pub struct Context<'a> {
    /// Element type of all floats.
    pub float: Kind,
    /// Where tensors are made.
    pub device: Device,
    /// B and N.
    pub sizes: (i64, i64),
    /// The node's shape for these sizes.
    pub shape: &'a [i64],
}

impl Context<'_> {
    fn kind(&self, dtype: DType) -> Kind {
        kind(dtype, self.float)
    }

    fn dim(&self, dim: &graph::Dim) -> Result<i64> {
        dim.eval(self.sizes.0, self.sizes.1)
            .ok_or_else(|| Error::Inconsistent(format!("size {dim} overflows for B, N = {:?}", self.sizes)))
    }
}

/// The element type of a node, where floats are of the given kind.
pub(crate) fn kind(dtype: DType, float: Kind) -> Kind {
    match dtype {
        DType::Bool => Kind::Bool,
        DType::Int => Kind::Int64,
        DType::Float => float,
    }
}

/// As libtorch counts. An axis is below the rank of a tensor, so that it fits.
fn axis(dim: usize) -> i64 {
    i64::try_from(dim).unwrap_or(i64::MAX)
}

fn axes(dims: &[usize]) -> Vec<i64> {
    dims.iter().copied().map(axis).collect()
}

/// The value of a node without arguments. Inputs and parameters are not made here.
pub fn constant(node: &Node, at: &Context<'_>) -> Result<Option<Tensor>> {
    let options = (at.kind(node.dtype), at.device.0);
    let value = match &node.op {
        Op::Scalar(value) | Op::Full(value) => Tensor::f_full(at.shape, *value, options)?,
        Op::Size(dim) => Tensor::f_full(at.shape, at.dim(dim)?, options)?,
        Op::Const(values) => from_f64(values, at.shape, options.0, at.device)?,
        Op::Arange { start, step } => {
            let length = at.shape.first().copied().unwrap_or(0);
            let count = Tensor::f_arange(length, (Kind::Double, at.device.0))?;
            count.f_mul_scalar(*step)?.f_add_scalar(*start)?.f_to_kind(options.0)?
        }
        Op::Eye => match at.shape {
            [rows, columns] => Tensor::f_eye_m(*rows, *columns, options)?,
            _ => return Err(Error::Inconsistent(format!("an identity of shape {:?}", at.shape))),
        },
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// The value of a node with arguments.
pub fn apply(node: &Node, args: &[&Tensor], at: &Context<'_>) -> Result<Tensor> {
    let value = match (&node.op, args) {
        // torch would compute it in its default float type
        (Op::Unary(op), [x]) if node.dtype == DType::Float => unary(*op, &cast(x, at.float)?)?,
        (Op::Unary(op), [x]) => unary(*op, x)?,
        (Op::Binary(op), [x, y]) => binary(*op, x, y, node.dtype, at)?,
        (Op::Where, [c, x, y]) => {
            let kind = at.kind(node.dtype);
            cast(x, kind)?.f_where_self(c, &cast(y, kind)?)?
        }
        (Op::Cast, [x]) => cast(x, at.kind(node.dtype))?,
        (Op::Detach, [x]) => x.f_detach()?,
        (Op::Random { stream }, [key]) => random(*stream, key, at)?,
        (Op::Reduce { op, dims, keepdim }, [x]) => reduce(*op, x, dims, *keepdim, at)?,
        (Op::Softmax { dim }, [x]) => x.f_softmax(axis(*dim), None)?,
        (Op::LogSoftmax { dim }, [x]) => x.f_log_softmax(axis(*dim), None)?,
        (Op::LayerNorm { axes, eps, weighted, biased }, [x, rest @ ..]) => {
            let tail = &at.shape[at.shape.len().saturating_sub(*axes)..];
            let (weight, bias) = match (weighted, biased, rest) {
                (true, true, [w, b]) => (Some(*w), Some(*b)),
                (true, false, [w]) => (Some(*w), None),
                (false, true, [b]) => (None, Some(*b)),
                (false, false, []) => (None, None),
                _ => return Err(misfit(node, args)),
            };
            x.f_layer_norm(tail, weight, bias, *eps, false)?
        }
        (Op::CumSum { dim }, [x]) => x.f_cumsum(axis(*dim), None)?,
        (Op::CumProd { dim }, [x]) => x.f_cumprod(axis(*dim), None)?,
        (Op::TopK { k, dim, largest }, [x]) => x.f_topk(at.dim(k)?, axis(*dim), *largest, true)?.0,
        (Op::TopKIndices { k, dim, largest }, [x]) => x.f_topk(at.dim(k)?, axis(*dim), *largest, true)?.1,
        (Op::Sort { dim, descending }, [x]) => x.f_sort_stable(true, axis(*dim), *descending)?.0,
        (Op::ArgSort { dim, descending }, [x]) => x.f_sort_stable(true, axis(*dim), *descending)?.1,

        (Op::Reshape, [x]) => x.f_reshape(at.shape)?,
        (Op::Permute(perm), [x]) => x.f_permute(axes(perm))?,
        (Op::Expand, [x]) => x.f_expand(at.shape, false)?,
        (Op::Slice { dim, start, end, step }, [x]) => {
            x.f_slice(axis(*dim), at.dim(start)?, at.dim(end)?, axis(*step))?
        }
        (Op::Select { dim, index }, [x]) => x.f_select(axis(*dim), at.dim(index)?)?,
        (Op::Cat { dim }, [_, ..]) => {
            let kind = at.kind(node.dtype);
            let parts = args.iter().map(|x| cast(x, kind)).collect::<Result<Vec<_>>>()?;
            Tensor::f_cat(&parts, axis(*dim))?
        }
        (Op::Flip { dims }, [x]) => x.f_flip(axes(dims))?,
        (Op::Roll { shift, dim }, [x]) => x.f_roll(*shift, axis(*dim))?,
        (Op::Gather { dim }, [x, index]) => x.f_gather(axis(*dim), index, false)?,
        (Op::Scatter { dim }, [x, index, src]) => x.f_scatter(axis(*dim), index, src)?,
        (Op::ScatterAdd { dim }, [x, index, src]) => x.f_scatter_add(axis(*dim), index, src)?,
        (Op::IndexSelect { dim }, [x, index]) => {
            x.f_index_select(axis(*dim), &index.f_reshape([-1_i64])?)?.f_reshape(at.shape)?
        }
        (Op::OneHot { classes }, [index]) => {
            cast(&cast(index, Kind::Int64)?.f_one_hot(axis(*classes))?, at.kind(node.dtype))?
        }
        (Op::Tril { diagonal }, [x]) => x.f_tril(*diagonal)?,
        (Op::Triu { diagonal }, [x]) => x.f_triu(*diagonal)?,
        (Op::Diagonal { offset, dim1, dim2 }, [x]) => x.f_diagonal(*offset, axis(*dim1), axis(*dim2))?,

        (Op::Linear { biased: false }, [x, w]) => x.f_linear::<&Tensor>(w, None)?,
        (Op::Linear { biased: true }, [x, w, b]) => x.f_linear(w, Some(*b))?,
        (Op::MatMul, [x, y]) => x.f_matmul(y)?,
        (Op::Einsum(equation), [_, ..]) => Tensor::f_einsum(equation, args, None::<i64>)?,
        (Op::MaxPlus { minimum, .. }, [a, c]) => {
            let sums = a.f_unsqueeze(3)?.f_add(&c.f_unsqueeze(2)?)?;
            if *minimum { sums.f_amin(1, false)? } else { sums.f_amax(1, false)? }
        }
        (Op::MaxPlusGrad { first, second, .. }, [a, c, y, g]) => {
            // Over [B, I, J, K, T]: the gradient of the sums, added up over what the argument does not have.
            let sums = a.f_unsqueeze(3)?.f_add(&c.f_unsqueeze(2)?)?;
            let shares = share(&sums, &y.f_unsqueeze(1)?, &g.f_unsqueeze(1)?, &[1], *first)?;
            let gone = if *second { 2_i64 } else { 3 };
            shares.f_sum_dim_intlist([gone].as_slice(), false, None)?
        }
        (Op::ShareExtreme { dims, first }, [x, y, g]) => share(x, y, g, &axes(dims), *first)?,
        (Op::CumProdGrad { dim }, [x, g]) => {
            let product = x.f_cumprod(axis(*dim), None)?;
            x.f_cumprod_backward(g, axis(*dim), &product)?
        }
        _ => return Err(misfit(node, args)),
    };
    Ok(value)
}

/// `g` to the elements of `x` that equal `y`, in equal shares, or to the first of them along `dims`; `y` and `g` have size 1
/// there. A group in which nothing equals `y` is NaN, as is then the extreme itself.
fn share(x: &Tensor, y: &Tensor, g: &Tensor, dims: &[i64], first: bool) -> Result<Tensor> {
    let kind = x.f_kind()?;
    let hits = x.f_eq_tensor(y)?.f_to_kind(kind)?;
    if !first {
        let count = hits.f_sum_dim_intlist(dims, true, None)?;
        return Ok(hits.f_mul(&g.f_div(&count)?)?);
    }
    // The first hit in row-major order is the one up to which there is exactly one.
    let rank = i64::try_from(x.dim()).unwrap_or(0);
    let kept: Vec<i64> = (0..rank).filter(|axis| !dims.contains(axis)).collect();
    let mut last: Vec<i64> = dims.to_vec();
    last.sort_unstable();
    let order: Vec<i64> = kept.iter().chain(&last).copied().collect();
    let turned = hits.f_permute(order.as_slice())?;
    let shape = turned.size();
    let flat = turned.f_flatten(i64::try_from(kept.len()).unwrap_or(0), -1)?;
    let only = flat.f_mul(&flat.f_cumsum(-1, None)?.f_eq(1.0)?.f_to_kind(kind)?)?;
    let any = only.f_sum_dim_intlist([-1_i64].as_slice(), true, None)?;
    let only = only.f_div(&any)?.f_reshape(shape.as_slice())?;
    let mut back = vec![0; order.len()];
    for (place, &axis) in order.iter().enumerate() {
        back[usize::try_from(axis).unwrap_or(0)] = i64::try_from(place).unwrap_or(0);
    }
    Ok(only.f_permute(back.as_slice())?.f_mul(g)?)
}

/// The numbers of [`noise::uniform`], by arithmetic on whole tensors: integers of 64 bits wrap around as those of that function do.
fn random(stream: u32, key: &Tensor, at: &Context<'_>) -> Result<Tensor> {
    let bits = |x: u64| x.cast_signed();
    // A shift of signed integers drags the sign along.
    let right = |x: &Tensor, by: u32| -> Result<Tensor> {
        let kept = bits(u64::MAX >> by);
        Ok(x.f_bitwise_right_shift_tensor_scalar(i64::from(by))?.f_bitwise_and(kept)?)
    };
    let mix = |mut z: Tensor| -> Result<Tensor> {
        for (shift, factor) in noise::SHIFTS.into_iter().zip(noise::FACTORS) {
            z = z.f_bitwise_xor_tensor(&right(&z, shift)?)?.f_mul_scalar(bits(factor))?;
        }
        Ok(z.f_bitwise_xor_tensor(&right(&z, noise::SHIFTS[2])?)?)
    };
    let limbs = cast(key, Kind::Int64)?;
    let mut joined = limbs.f_select(-1, 0)?;
    for limb in 1..noise::LIMBS {
        let by = i64::from(noise::LIMB_BITS) * i64::try_from(limb).unwrap_or(0);
        let shifted = limbs.f_select(-1, i64::try_from(limb).unwrap_or(0))?.f_bitwise_left_shift_tensor_scalar(by)?;
        joined = joined.f_bitwise_or_tensor(&shifted)?;
    }
    let count: i64 = at.shape.iter().product();
    let samples = joined.numel();
    let samples = i64::try_from(samples).unwrap_or(1).max(1);
    let start = mix(joined.f_add_scalar(bits((u64::from(stream) + 1).wrapping_mul(noise::STEP)))?)?;
    let places = Tensor::f_arange_start(1, count / samples + 1, (Kind::Int64, key.device()))?;
    let states = start.f_reshape([samples, 1])?.f_add(&places.f_mul_scalar(bits(noise::STEP))?)?;
    let cut = right(&mix(states)?, noise::CUT)?.f_to_kind(at.float)?;
    let scale = 1.0 / (1_u64 << (64 - noise::CUT)) as f64;
    Ok(cut.f_add_scalar(0.5)?.f_mul_scalar(scale)?.f_reshape(at.shape)?)
}

fn misfit(node: &Node, args: &[&Tensor]) -> Error {
    Error::Inconsistent(format!("{} with {} arguments", node.op.name(), args.len()))
}

fn cast(x: &Tensor, kind: Kind) -> Result<Tensor> {
    Ok(if x.f_kind()? == kind { x.shallow_clone() } else { x.f_to_kind(kind)? })
}

/// Whether a bound is not a fraction; an infinite one is not a bound.
fn is_whole(bound: f64) -> bool {
    bound.is_infinite() || bound.fract() == 0.0
}

pub(crate) fn unary(op: UnaryOp, x: &Tensor) -> Result<Tensor> {
    Ok(match op {
        UnaryOp::Neg => x.f_neg()?,
        UnaryOp::Abs => x.f_abs()?,
        UnaryOp::Sign => x.f_sign()?,
        UnaryOp::Relu => x.f_relu()?,
        UnaryOp::Sigmoid => x.f_sigmoid()?,
        UnaryOp::LogSigmoid => x.f_log_sigmoid()?,
        UnaryOp::Tanh => x.f_tanh()?,
        UnaryOp::Exp => x.f_exp()?,
        UnaryOp::Expm1 => x.f_expm1()?,
        UnaryOp::Log => x.f_log()?,
        UnaryOp::Log2 => x.f_log2()?,
        UnaryOp::Log10 => x.f_log10()?,
        UnaryOp::Log1p => x.f_log1p()?,
        UnaryOp::Sqrt => x.f_sqrt()?,
        UnaryOp::Rsqrt => x.f_rsqrt()?,
        UnaryOp::Square => x.f_square()?,
        UnaryOp::Reciprocal => x.f_reciprocal()?,
        UnaryOp::Sin => x.f_sin()?,
        UnaryOp::Cos => x.f_cos()?,
        UnaryOp::Tan => x.f_tan()?,
        UnaryOp::Atan => x.f_atan()?,
        UnaryOp::Sinh => x.f_sinh()?,
        UnaryOp::Cosh => x.f_cosh()?,
        UnaryOp::Erf => x.f_erf()?,
        UnaryOp::Erfc => x.f_erfc()?,
        UnaryOp::Floor => x.f_floor()?,
        UnaryOp::Ceil => x.f_ceil()?,
        UnaryOp::Round => x.f_round()?,
        UnaryOp::Trunc => x.f_trunc()?,
        UnaryOp::Bfloat16 => x.f_to_kind(Kind::BFloat16)?.f_to_kind(x.f_kind()?)?,
        UnaryOp::Gelu { tanh } => x.f_gelu(if tanh { "tanh" } else { "none" })?,
        UnaryOp::Silu => x.f_silu()?,
        UnaryOp::Mish => x.f_mish()?,
        UnaryOp::Selu => x.f_selu()?,
        // tch drops the scalar settings of these, so they are spelt out. The inner minimum keeps exp from overflowing in
        // the branch that is not taken, which would make its gradient NaN.
        UnaryOp::Elu { alpha } => {
            let low = x.f_clamp_max(0.0)?.f_expm1()?.f_mul_scalar(alpha)?;
            x.f_where_self(&x.f_gt(0.0)?, &low)?
        }
        UnaryOp::Celu { alpha } => {
            let low = x.f_clamp_max(0.0)?.f_div_scalar(alpha)?.f_expm1()?.f_mul_scalar(alpha)?;
            x.f_where_self(&x.f_gt(0.0)?, &low)?
        }
        UnaryOp::LeakyRelu { slope } => x.f_where_self(&x.f_gt(0.0)?, &x.f_mul_scalar(slope)?)?,
        UnaryOp::Softplus { beta, threshold } => {
            let scaled = x.f_mul_scalar(beta)?;
            let soft = scaled.f_clamp_max(threshold)?.f_exp()?.f_log1p()?.f_div_scalar(beta)?;
            x.f_where_self(&scaled.f_gt(threshold)?, &soft)?
        }
        UnaryOp::Softsign => x.f_div(&x.f_abs()?.f_add_scalar(1.0)?)?,
        UnaryOp::Hardsigmoid => x.f_hardsigmoid()?,
        UnaryOp::Hardswish => x.f_hardswish()?,
        // Unlike clamp, hardtanh has no gradient at its bounds.
        UnaryOp::Hardtanh { min, max } => {
            let inside = x.f_gt(min)?.f_logical_and(&x.f_lt(max)?)?;
            x.f_where_self(&inside, &x.f_detach()?.f_clamp(min, max)?)?
        }
        // Bounds that are floats would make the result one: an index has to stay whole.
        UnaryOp::Clamp { min, max }
            if is_whole(min) && is_whole(max) && matches!(x.f_kind()?, Kind::Int64 | Kind::Bool) =>
        {
            let x = cast(x, Kind::Int64)?;
            match (min.is_finite(), max.is_finite()) {
                (true, true) => x.f_clamp(min as i64, max as i64)?,
                (true, false) => x.f_clamp_min(min as i64)?,
                (false, true) => x.f_clamp_max(max as i64)?,
                (false, false) => x,
            }
        }
        UnaryOp::Clamp { min, max } => match (min.is_finite(), max.is_finite()) {
            (true, true) => x.f_clamp(min, max)?,
            (true, false) => x.f_clamp_min(min)?,
            (false, true) => x.f_clamp_max(max)?,
            (false, false) => x.shallow_clone(),
        },
        UnaryOp::LogicalNot => x.f_logical_not()?,
        UnaryOp::IsNan => x.f_isnan()?,
        UnaryOp::IsInf => x.f_isinf()?,
        UnaryOp::IsFinite => x.f_isfinite()?,
    })
}

fn binary(op: BinaryOp, x: &Tensor, y: &Tensor, dtype: DType, at: &Context<'_>) -> Result<Tensor> {
    // The type in which the operation computes: the value's, except that comparisons compare in their operands' common
    // type and true division is always one of floats.
    let (kx, ky) = (x.f_kind()?, y.f_kind()?);
    let compares =
        matches!(op, BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge);
    let kind = if !compares {
        at.kind(dtype)
    } else if kx == at.float || ky == at.float {
        at.float
    } else if kx == Kind::Int64 || ky == Kind::Int64 {
        Kind::Int64
    } else {
        kx
    };
    let (x, y) = (&cast(x, kind)?, &cast(y, kind)?);
    Ok(match op {
        BinaryOp::Add if kind == Kind::Bool => x.f_logical_or(y)?,
        BinaryOp::Mul if kind == Kind::Bool => x.f_logical_and(y)?,
        BinaryOp::Add => x.f_add(y)?,
        BinaryOp::Sub => x.f_sub(y)?,
        BinaryOp::Mul => x.f_mul(y)?,
        BinaryOp::Div => x.f_div(y)?,
        BinaryOp::FloorDiv => x.f_floor_divide(y)?,
        BinaryOp::Remainder => x.f_remainder_tensor(y)?,
        BinaryOp::Pow => x.f_pow(y)?,
        BinaryOp::Maximum => x.f_maximum(y)?,
        BinaryOp::Minimum => x.f_minimum(y)?,
        BinaryOp::Atan2 => x.f_atan2(y)?,
        BinaryOp::Eq => x.f_eq_tensor(y)?,
        BinaryOp::Ne => x.f_ne_tensor(y)?,
        BinaryOp::Lt => x.f_lt_tensor(y)?,
        BinaryOp::Le => x.f_le_tensor(y)?,
        BinaryOp::Gt => x.f_gt_tensor(y)?,
        BinaryOp::Ge => x.f_ge_tensor(y)?,
        BinaryOp::And => x.f_bitwise_and_tensor(y)?,
        BinaryOp::Or => x.f_bitwise_or_tensor(y)?,
        BinaryOp::Xor => x.f_bitwise_xor_tensor(y)?,
    })
}

fn reduce(op: ReduceOp, x: &Tensor, dims: &[usize], keepdim: bool, at: &Context<'_>) -> Result<Tensor> {
    let list = axes(dims);
    let float = x.f_kind()? == at.float;
    // Reductions over one axis take several in turn, from the last, so that the earlier axes keep their numbers.
    let in_turn = |step: &dyn Fn(&Tensor, i64) -> Result<Tensor>| -> Result<Tensor> {
        let mut sorted = list.clone();
        sorted.sort_unstable();
        sorted.iter().rev().try_fold(x.shallow_clone(), |value, &dim| step(&value, dim))
    };
    Ok(match op {
        ReduceOp::Sum => x.f_sum_dim_intlist(list.as_slice(), keepdim, None)?,
        ReduceOp::Mean => x.f_mean_dim(list.as_slice(), keepdim, None)?,
        ReduceOp::Amax => x.f_amax(list.as_slice(), keepdim)?,
        ReduceOp::Amin => x.f_amin(list.as_slice(), keepdim)?,
        ReduceOp::MaxValues => in_turn(&|v, d| Ok(v.f_max_dim(d, keepdim)?.0))?,
        ReduceOp::MinValues => in_turn(&|v, d| Ok(v.f_min_dim(d, keepdim)?.0))?,
        ReduceOp::ArgMax => arg(x, dims, at, |v, d| v.f_argmax(d, keepdim))?,
        ReduceOp::ArgMin => arg(x, dims, at, |v, d| v.f_argmin(d, keepdim))?,
        ReduceOp::Prod => in_turn(&|v, d| Ok(v.f_prod_dim_int(d, keepdim, None)?))?,
        ReduceOp::Var { correction } => x.f_var_correction(list.as_slice(), correction, keepdim)?,
        ReduceOp::Std { correction } => x.f_std_correction(list.as_slice(), correction, keepdim)?,
        ReduceOp::LogSumExp if float => x.f_logsumexp(list.as_slice(), keepdim)?,
        ReduceOp::LogSumExp => x.f_to_kind(at.float)?.f_logsumexp(list.as_slice(), keepdim)?,
        ReduceOp::Norm { p } => x.f_norm_scalaropt_dim(p, list.as_slice(), keepdim)?,
        ReduceOp::Any => in_turn(&|v, d| Ok(v.f_any_dim(d, keepdim)?))?,
        ReduceOp::All => in_turn(&|v, d| Ok(v.f_all_dim(d, keepdim)?))?,
        // libtorch's median of a tensor whose elements share memory is of whatever lies beside them
        ReduceOp::Median => in_turn(&|v, d| Ok(v.f_contiguous()?.f_median_dim(d, keepdim)?.0))?,
    })
}

/// `argmax` and `argmin` over one axis, or over all of them (the index then counts in row-major order).
fn arg(
    x: &Tensor,
    dims: &[usize],
    at: &Context<'_>,
    find: impl Fn(&Tensor, Option<i64>) -> std::result::Result<Tensor, tch::TchError>,
) -> Result<Tensor> {
    // bool tensors have no order in libtorch
    let x = if x.f_kind()? == Kind::Bool { x.f_to_kind(Kind::Int64)? } else { x.shallow_clone() };
    let found = match dims {
        [dim] => find(&x, Some(axis(*dim)))?,
        _ => find(&x, None)?,
    };
    Ok(found.f_reshape(at.shape)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_that_of_its_definition() {
        let keys = [noise::key(&[1]), u64::MAX, noise::key(&[2, 3])];
        let limbs: Vec<f64> = keys.iter().flat_map(|&key| noise::limbs(key)).collect();
        for (float, shape) in [(Kind::Float, [3, 2, 5]), (Kind::Double, [3, 1, 4])] {
            let key = Tensor::from_slice(&limbs).reshape([3, 3]).to_kind(float);
            let at = Context { float, device: Device(tch::Device::Cpu), sizes: (3, 5), shape: &shape };
            let ours: Vec<f64> =
                Vec::try_from(random(7, &key, &at).unwrap().to_kind(Kind::Double).reshape([-1])).unwrap();
            let each = u64::try_from(shape[1] * shape[2]).unwrap();
            let wanted = keys.iter().flat_map(|&key| (0..each).map(move |i| noise::uniform(noise::start(key, 7), i)));
            assert_eq!(ours, wanted.collect::<Vec<_>>());
        }
    }

    #[test]
    fn integers_between_whole_bounds_stay_integers() {
        let x = Tensor::from_slice(&[-1_i64, 3, 9]);
        let none = f64::INFINITY;
        for (min, max, wanted) in [(0.0, 5.0, [0, 3, 5]), (0.0, none, [0, 3, 9]), (-none, 5.0, [-1, 3, 5])] {
            let y = unary(UnaryOp::Clamp { min, max }, &x).unwrap();
            assert_eq!(y.kind(), Kind::Int64);
            assert_eq!(Vec::<i64>::try_from(&y).unwrap(), wanted);
        }
        let y = unary(UnaryOp::Clamp { min: 0.0, max: 1.0 }, &x.gt(0)).unwrap();
        assert_eq!(y.kind(), Kind::Int64);
        assert_eq!(unary(UnaryOp::Clamp { min: 0.5, max: 1.0 }, &x.to_kind(Kind::Float)).unwrap().kind(), Kind::Float);
    }
}
