//! Maxima and minima over one axis: with the project's own loops where these are faster than libtorch.

use tch::{Kind, Tensor};

use super::autograd::{attach, records};
use super::kernels::{self, Extremes};
use super::region::slice_mut;
use crate::error::Result;

/// Whether gradients are wanted, and the values are of a kind that the loops know.
fn differentiates_on_cpu(tensors: &[&Tensor]) -> bool {
    records(tensors) && all_on_cpu(tensors)
}

fn all_on_cpu(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|x| x.device() == tch::Device::Cpu && x.f_kind().is_ok_and(|kind| kind == Kind::Float))
}

fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1)
}

/// `x.amax(dim)` or `x.amin(dim)`: ties share the gradient equally.
pub(super) fn reduce(x: &Tensor, dim: i64, keepdim: bool, minimum: bool) -> Result<Tensor> {
    if differentiates_on_cpu(&[x])
        && let Some(value) = reduce_on_cpu(x, dim, minimum)?
    {
        return Ok(if keepdim { value } else { value.f_squeeze_dim(dim)? });
    }
    Ok(if minimum { x.f_amin(dim, keepdim)? } else { x.f_amax(dim, keepdim)? })
}

/// The extremes along `dim`, with that axis of size 1; nothing if one of them is attained twice.
fn reduce_on_cpu(x: &Tensor, dim: i64, minimum: bool) -> Result<Option<Tensor>> {
    let whole = x.size();
    let axis = usize::try_from(dim).unwrap_or(usize::MAX);
    let sizes: Vec<usize> = whole.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect();
    let Some((&middle, rest)) = sizes.get(axis..).and_then(<[usize]>::split_first) else { return Ok(None) };
    let (outer, inner) = (sizes[..axis].iter().product(), rest.iter().product());
    if middle == 0 || inner < 8 {
        return Ok(None); // libtorch's own loops do as well
    }
    let found = {
        let _guard = tch::no_grad_guard();
        let x = if minimum { x.f_neg()? } else { x.f_detach()? }.f_contiguous()?;
        with_slice(&x, |x| kernels::maximum(x, outer, middle, inner, threads()))
    };
    if found.ties {
        return Ok(None);
    }
    let mut shape = whole.clone();
    shape[axis] = 1;
    let value = Tensor::f_from_slice(&found.values)?.f_view(shape.as_slice())?.f_detach()?;
    let value = if minimum { value.f_neg()? } else { value };
    let index = found.index;
    let backward = move |gradient: &Tensor, _: &[bool]| {
        let into = Tensor::f_zeros(whole, (Kind::Float, tch::Device::Cpu))?;
        let gradient = gradient.f_contiguous()?;
        with_slice(&gradient, |g| kernels::maximum_back(g, &index, middle, inner, slice_mut(&into)));
        Ok(vec![Some(into)])
    };
    Ok(Some(attach(&value, &[x], Box::new(backward))?))
}

/// a `[B, I, J, T]`, c `[B, I, K, T]`: `[B, J, K, T]`, the maximum (or minimum) over I of
/// `a[b, i, j, t] + c[b, i, k, t]`. `first`: the gradient goes to the first of equals, else it is shared.
pub(super) fn max_plus(a: &Tensor, c: &Tensor, minimum: bool, first: bool) -> Result<Tensor> {
    if all_on_cpu(&[a, c])
        && let Some(value) = max_plus_on_cpu(a, c, minimum, first)?
    {
        return Ok(value);
    }
    let sums = a.f_unsqueeze(3)?.f_add(&c.f_unsqueeze(2)?)?;
    Ok(match (minimum, first) {
        (false, false) => sums.f_amax(1, false)?,
        (true, false) => sums.f_amin(1, false)?,
        (false, true) => sums.f_max_dim(1, false)?.0,
        (true, true) => sums.f_min_dim(1, false)?.0,
    })
}

fn max_plus_on_cpu(a: &Tensor, c: &Tensor, minimum: bool, first: bool) -> Result<Option<Tensor>> {
    let (a_shape, c_shape) = (a.size(), c.size());
    let ([b, i, j, t], [_, _, k, _]) = (&a_shape[..], &c_shape[..]) else { return Ok(None) };
    let shape = [*b, *j, *k, *t];
    let sizes = [*b, *i, *j, *k, *t].map(|size| usize::try_from(size).unwrap_or(0));
    if sizes[1] == 0 || c_shape != [*b, *i, *k, *t] {
        return Ok(None);
    }
    if !records(&[a, c]) {
        let _guard = tch::no_grad_guard();
        let sign = |x: &Tensor| if minimum { x.f_neg()?.f_contiguous() } else { x.f_detach()?.f_contiguous() };
        let (a, c) = (sign(a)?, sign(c)?);
        let mut value = Tensor::f_empty(shape, (Kind::Float, tch::Device::Cpu))?;
        let into = slice_mut(&value);
        with_slice(&a, |a| with_slice(&c, |c| kernels::max_plus_values(a, c, sizes, threads(), into)));
        return Ok(Some(if minimum { value.f_neg_()? } else { value }));
    }
    let found: Extremes = {
        let _guard = tch::no_grad_guard();
        let sign = |x: &Tensor| if minimum { x.f_neg()?.f_contiguous() } else { x.f_detach()?.f_contiguous() };
        let (a, c) = (sign(a)?, sign(c)?);
        with_slice(&a, |a| with_slice(&c, |c| kernels::max_plus(a, c, sizes, threads())))
    };
    if found.ties && !first {
        return Ok(None);
    }
    let value = Tensor::f_from_slice(&found.values)?.f_view(shape)?.f_detach()?;
    let value = if minimum { value.f_neg()? } else { value };
    let (a_shape, index) = (a_shape.clone(), found.index);
    let backward = move |gradient: &Tensor, _: &[bool]| {
        let options = (Kind::Float, tch::Device::Cpu);
        let (into_a, into_c) = (Tensor::f_zeros(a_shape, options)?, Tensor::f_zeros(c_shape, options)?);
        let gradient = gradient.f_contiguous()?;
        with_slice(&gradient, |g| kernels::max_plus_back(g, &index, sizes, slice_mut(&into_a), slice_mut(&into_c)));
        Ok(vec![Some(into_a), Some(into_c)])
    };
    Ok(Some(attach(&value, &[a, c], Box::new(backward))?))
}

/// The numbers of a contiguous float32 tensor on the CPU.
fn with_slice<R>(x: &Tensor, read: impl FnOnce(&[f32]) -> R) -> R {
    let count = x.numel();
    let start = x.data_ptr().cast::<f32>().cast_const();
    if count == 0 || start.is_null() {
        return read(&[]);
    }
    // SAFETY: callers pass contiguous float32 tensors on the CPU, which own `count` numbers from `start` on; the tensor
    // outlives the call, and nothing writes to it meanwhile.
    read(unsafe { std::slice::from_raw_parts(start, count) })
}
