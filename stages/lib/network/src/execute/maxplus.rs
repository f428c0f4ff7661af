//! `max over i of a[b, i, j, t] + c[b, i, k, t]` without keeping the sums over all five axes.

use tch::Tensor;

use crate::error::Result;

/// a `[B, I, J, T]`, c `[B, I, K, T]`: `[B, J, K, T]`, the maximum (or minimum) over I. `first`: the gradient goes to the
/// first of equals, else it is shared.
pub(crate) fn apply(a: &Tensor, c: &Tensor, minimum: bool, first: bool) -> Result<Tensor> {
    let sums = a.f_unsqueeze(3)?.f_add(&c.f_unsqueeze(2)?)?;
    Ok(match (minimum, first) {
        (false, false) => sums.f_amax(1, false)?,
        (true, false) => sums.f_amin(1, false)?,
        (false, true) => sums.f_max_dim(1, false)?.0,
        (true, true) => sums.f_min_dim(1, false)?.0,
    })
}
