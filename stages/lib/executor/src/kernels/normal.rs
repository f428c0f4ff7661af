//! Softmax, its logarithm, the logarithm of its denominator, and layer norm.

use super::extremes::{better, part, put_part, row_extreme};
use super::real::Real;
use super::vector::{MOST_LANES, Vector, Work, dispatch, dispatch_for, in_blocks};
use super::{KernelError, check_length, count};

/// y `[outer, middle, inner]`: the softmax of x along the middle axis, or with `log` its logarithm.
///
/// # Errors
/// Where a slice is too short.
pub fn softmax<T: Real>(log: bool, x: &[T], sizes: [usize; 3], y: &mut [T]) -> Result<(), KernelError> {
    let [_, middle, inner] = sizes;
    let all = count(&sizes)?;
    check_length("input", 0, x.len(), all)?;
    check_length("output", 0, y.len(), all)?;
    if all == 0 {
        return Ok(());
    }
    let (x, y) = (&x[..all], &mut y[..all]);
    if inner == 1 {
        dispatch_for(middle, Rows { log, x, middle, y });
    } else {
        dispatch(Columns { log, x, middle, inner, y });
    }
    Ok(())
}

/// Along the last axis.
struct Rows<'a, T> {
    log: bool,
    x: &'a [T],
    middle: usize,
    y: &'a mut [T],
}

impl<T: Real> Work<T> for Rows<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        if self.middle <= V::WIDTH {
            return self.short::<V>();
        }
        for (x, y) in self.x.chunks_exact(self.middle).zip(self.y.chunks_exact_mut(self.middle)) {
            let most = row_extreme::<T, V>(false, x);
            let total = powers::<T, V>(x, most, y);
            if self.log {
                less::<T, V>(x, most, T::from_f64(total.to_f64().ln()), y);
            } else {
                divide::<T, V>(y, total);
            }
        }
    }
}

impl<T: Real> Rows<'_, T> {
    /// Rows that are one vector, or less: each stays in a register.
    #[inline(always)]
    fn short<V: Vector<T>>(self) {
        let Self { log, x, middle, y } = self;
        let mut lanes = [T::ZERO; MOST_LANES];
        for (number, lane) in lanes.iter_mut().enumerate() {
            *lane = T::from_f64(number as f64);
        }
        // SAFETY: no vector has more lanes than the array.
        let used = unsafe { V::load(lanes.as_ptr()) }.lt(V::splat(T::from_f64(middle as f64)));
        for (x, y) in x.chunks_exact(middle).zip(y.chunks_exact_mut(middle)) {
            // SAFETY: both rows have so many elements.
            unsafe {
                let row = V::select(used, part(x.as_ptr(), middle), V::splat(-T::INFINITY));
                let most = if row.has_nan() { T::NAN } else { row.most() };
                let less = row.sub(V::splat(most));
                let power = T::exp(less);
                // lanes beyond the row's are 0, or NaN where all of the row becomes NaN
                let total = V::splat(power.total());
                let value = if log { less.sub(T::log(total)) } else { power.div(total) };
                put_part(value, y.as_mut_ptr(), middle);
            }
        }
    }
}

/// y = e^(x - most); answers their sum.
#[inline(always)]
fn powers<T: Real, V: Vector<T>>(x: &[T], most: T, y: &mut [T]) -> T {
    let mut sum = V::splat(T::ZERO);
    let mut rest = T::ZERO;
    for (x, y) in x.chunks(V::WIDTH).zip(y.chunks_mut(V::WIDTH)) {
        // SAFETY: the chunks have as many elements as they say.
        unsafe {
            let power = T::exp(part::<T, V>(x.as_ptr(), x.len()).sub(V::splat(most)));
            put_part(power, y.as_mut_ptr(), y.len());
            if y.len() == V::WIDTH {
                sum = sum.add(power);
            } else {
                rest = cut(power, y.len()).total();
            }
        }
    }
    sum.total() + rest
}

/// y = x - most - more
#[inline(always)]
fn less<T: Real, V: Vector<T>>(x: &[T], most: T, more: T, y: &mut [T]) {
    for (x, y) in x.chunks(V::WIDTH).zip(y.chunks_mut(V::WIDTH)) {
        // SAFETY: the chunks have as many elements as they say.
        unsafe {
            let x = part::<T, V>(x.as_ptr(), x.len());
            put_part(x.sub(V::splat(most)).sub(V::splat(more)), y.as_mut_ptr(), y.len());
        }
    }
}

#[inline(always)]
fn divide<T: Real, V: Vector<T>>(y: &mut [T], by: T) {
    for y in y.chunks_mut(V::WIDTH) {
        // SAFETY: the chunk has as many elements as it says.
        unsafe { put_part(part::<T, V>(y.as_ptr(), y.len()).div(V::splat(by)), y.as_mut_ptr(), y.len()) };
    }
}

/// The first `count` lanes, and 0 in the others.
#[inline(always)]
pub(super) fn cut<T: Real, V: Vector<T>>(x: V, count: usize) -> V {
    let mut lanes = [T::ZERO; MOST_LANES];
    // SAFETY: no vector has more lanes than the array.
    unsafe {
        x.store(lanes.as_mut_ptr());
        V::load_part(lanes.as_ptr(), count)
    }
}

/// Along an axis that is not the last.
struct Columns<'a, T> {
    log: bool,
    x: &'a [T],
    middle: usize,
    inner: usize,
    y: &'a mut [T],
}

impl<T: Real> Work<T> for Columns<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self { log, x, middle, inner, y } = self;
        for (x, y) in x.chunks_exact(middle * inner).zip(y.chunks_exact_mut(middle * inner)) {
            in_blocks!(V, inner, 4, |start, lanes, N| {
                columns::<T, V, N>(log, &x[start..], middle, inner, &mut y[start..], lanes);
            });
        }
    }
}

/// `N` vectors of columns, each with `count` lanes.
#[inline(always)]
fn columns<T: Real, V: Vector<T>, const N: usize>(
    log: bool,
    x: &[T],
    middle: usize,
    inner: usize,
    y: &mut [T],
    count: usize,
) {
    let mut most = [V::splat(-T::INFINITY); N];
    let mut total = [V::splat(T::ZERO); N];
    // SAFETY of this function's blocks: callers pass slices that have all these columns in each of the rows.
    for place in 0..middle {
        for vector in 0..N {
            // SAFETY: see above.
            let x: V = unsafe { part(x.as_ptr().add(place * inner + vector * V::WIDTH), count) };
            most[vector] = better(false, most[vector], x);
        }
    }
    for place in 0..middle {
        for vector in 0..N {
            let at = place * inner + vector * V::WIDTH;
            // SAFETY: see above.
            unsafe {
                let power = T::exp(part::<T, V>(x.as_ptr().add(at), count).sub(most[vector]));
                total[vector] = total[vector].add(power);
                put_part(power, y.as_mut_ptr().add(at), count);
            }
        }
    }
    if log {
        for total in &mut total {
            *total = T::log(*total);
        }
    }
    for place in 0..middle {
        for vector in 0..N {
            let at = place * inner + vector * V::WIDTH;
            // SAFETY: see above.
            unsafe {
                let value = if log {
                    part::<T, V>(x.as_ptr().add(at), count).sub(most[vector]).sub(total[vector])
                } else {
                    part::<T, V>(y.as_ptr().add(at), count).div(total[vector])
                };
                put_part(value, y.as_mut_ptr().add(at), count);
            }
        }
    }
}

/// y `[outer, inner]`: the logarithm of the sum of e^x over the middle axis of x `[outer, middle, inner]`; of nothing, minus
/// infinity.
///
/// # Errors
/// Where a slice is too short.
pub fn log_sum_exp<T: Real>(x: &[T], sizes: [usize; 3], y: &mut [T]) -> Result<(), KernelError> {
    let [outer, middle, inner] = sizes;
    let (all, some) = (count(&sizes)?, count(&[outer, inner])?);
    check_length("input", 0, x.len(), all)?;
    check_length("output", 0, y.len(), some)?;
    let (x, y) = (&x[..all], &mut y[..some]);
    if middle == 0 {
        y.fill(-T::INFINITY);
    } else if inner == 1 {
        dispatch(RowSums { x, middle, y });
    } else if some > 0 {
        dispatch(ColumnSums { x, middle, inner, y });
    }
    Ok(())
}

/// Over the last axis.
struct RowSums<'a, T> {
    x: &'a [T],
    middle: usize,
    y: &'a mut [T],
}

impl<T: Real> Work<T> for RowSums<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        for (x, y) in self.x.chunks_exact(self.middle).zip(self.y) {
            let most = row_extreme::<T, V>(false, x);
            // an infinity cannot be taken off
            let most = if most.abs() == T::INFINITY { T::ZERO } else { most };
            let (mut sum, mut rest) = (V::splat(T::ZERO), T::ZERO);
            for x in x.chunks(V::WIDTH) {
                // SAFETY: the chunk has as many elements as it says.
                let power = T::exp(unsafe { part::<T, V>(x.as_ptr(), x.len()) }.sub(V::splat(most)));
                if x.len() == V::WIDTH {
                    sum = sum.add(power);
                } else {
                    rest = cut(power, x.len()).total();
                }
            }
            *y = most + T::from_f64((sum.total() + rest).to_f64().ln());
        }
    }
}

/// Over an axis that is not the last.
struct ColumnSums<'a, T> {
    x: &'a [T],
    middle: usize,
    inner: usize,
    y: &'a mut [T],
}

impl<T: Real> Work<T> for ColumnSums<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self { x, middle, inner, y } = self;
        for (x, y) in x.chunks_exact(middle * inner).zip(y.chunks_exact_mut(inner)) {
            in_blocks!(V, inner, 4, |start, lanes, N| {
                column_sums::<T, V, N>(&x[start..], middle, inner, &mut y[start..], lanes);
            });
        }
    }
}

/// `N` vectors of columns, each with `count` lanes.
#[inline(always)]
fn column_sums<T: Real, V: Vector<T>, const N: usize>(x: &[T], middle: usize, inner: usize, y: &mut [T], count: usize) {
    let mut most = [V::splat(-T::INFINITY); N];
    let mut total = [V::splat(T::ZERO); N];
    for place in 0..middle {
        for vector in 0..N {
            // SAFETY: callers pass slices that have all these columns in each of the rows.
            let x: V = unsafe { part(x.as_ptr().add(place * inner + vector * V::WIDTH), count) };
            most[vector] = better(false, most[vector], x);
        }
    }
    for most in &mut most {
        // an infinity cannot be taken off
        *most = V::select(most.abs().eq(V::splat(T::INFINITY)), V::splat(T::ZERO), *most);
    }
    for place in 0..middle {
        for vector in 0..N {
            // SAFETY: as above.
            let x: V = unsafe { part(x.as_ptr().add(place * inner + vector * V::WIDTH), count) };
            total[vector] = total[vector].add(T::exp(x.sub(most[vector])));
        }
    }
    for vector in 0..N {
        let value = most[vector].add(T::log(total[vector]));
        // SAFETY: callers pass a slice that has these columns.
        unsafe { put_part(value, y.as_mut_ptr().add(vector * V::WIDTH), count) };
    }
}

/// y `[rows, size]`: x `[rows, size]` with each row's mean taken off and divided by the root of its variance and `eps`, then
/// times weight `[size]`, plus bias `[size]`, where these are given.
///
/// # Errors
/// Where a slice is too short.
pub fn layer_norm<T: Real>(
    x: &[T],
    weight: Option<&[T]>,
    bias: Option<&[T]>,
    eps: f64,
    [rows, size]: [usize; 2],
    y: &mut [T],
) -> Result<(), KernelError> {
    let all = count(&[rows, size])?;
    check_length("input", 0, x.len(), all)?;
    check_length("input", 1, weight.map_or(size, <[T]>::len), size)?;
    check_length("input", 2, bias.map_or(size, <[T]>::len), size)?;
    check_length("output", 0, y.len(), all)?;
    if all > 0 {
        dispatch(Norm { x: &x[..all], weight, bias, eps: T::from_f64(eps), size, y: &mut y[..all] });
    }
    Ok(())
}

struct Norm<'a, T> {
    x: &'a [T],
    weight: Option<&'a [T]>,
    bias: Option<&'a [T]>,
    eps: T,
    size: usize,
    y: &'a mut [T],
}

impl<T: Real> Work<T> for Norm<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self { x, weight, bias, eps, size, y } = self;
        let one = T::ONE / T::from_f64(size as f64);
        for (x, y) in x.chunks_exact(size).zip(y.chunks_exact_mut(size)) {
            let mean = row_sum::<T, V>(x, None) * one;
            let variance = row_sum::<T, V>(x, Some(mean)) * one;
            let scale = T::ONE / (variance + eps).sqrt();
            let mut start = 0;
            while start < size {
                let count = V::WIDTH.min(size - start);
                // SAFETY: the rows, weight and bias have `size` elements each.
                unsafe {
                    let x: V = part(x.as_ptr().add(start), count);
                    let mut value = x.sub(V::splat(mean)).mul(V::splat(scale));
                    if let Some(weight) = weight {
                        value = value.mul(part(weight.as_ptr().add(start), count));
                    }
                    if let Some(bias) = bias {
                        value = value.add(part(bias.as_ptr().add(start), count));
                    }
                    put_part(value, y.as_mut_ptr().add(start), count);
                }
                start += count;
            }
        }
    }
}

/// The sum of a row, or of its squared distances from a mean.
#[inline(always)]
fn row_sum<T: Real, V: Vector<T>>(row: &[T], mean: Option<T>) -> T {
    let mut sums = [V::splat(T::ZERO); 2];
    let mut chunks = row.chunks_exact(V::WIDTH);
    for (number, chunk) in (&mut chunks).enumerate() {
        // SAFETY: the chunk has a vector's elements.
        let mut x = unsafe { V::load(chunk.as_ptr()) };
        if let Some(mean) = mean {
            x = x.sub(V::splat(mean));
            x = x.mul(x);
        }
        if number % 2 == 0 {
            sums[0] = sums[0].add(x);
        } else {
            sums[1] = sums[1].add(x);
        }
    }
    let term = |x: T| mean.map_or(x, |mean| (x - mean) * (x - mean));
    chunks.remainder().iter().fold(sums[0].add(sums[1]).total(), |sum, &x| sum + term(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::Random;

    fn close<T: Real>(found: T, wanted: f64, tolerance: f64) {
        let found = found.to_f64();
        assert!((found - wanted).abs() <= tolerance * (1.0 + wanted.abs()), "{found}, not {wanted}");
    }

    fn check_softmax<T: Real>(sizes: [usize; 3], tolerance: f64, random: &mut Random) {
        let [outer, middle, inner] = sizes;
        let x: Vec<T> = (0..outer * middle * inner).map(|_| T::from_f64(random.number() * 4.0)).collect();
        for log in [false, true] {
            let mut y = vec![T::ZERO; x.len()];
            softmax(log, &x, sizes, &mut y).unwrap();
            for group in 0..outer * inner {
                let at = |place: usize| (group / inner * middle + place) * inner + group % inner;
                let total: f64 = (0..middle).map(|place| x[at(place)].to_f64().exp()).sum();
                for place in 0..middle {
                    let value = x[at(place)].to_f64();
                    close(y[at(place)], if log { value - total.ln() } else { value.exp() / total }, tolerance);
                }
            }
        }
    }

    #[test]
    fn softmax_along_any_axis() {
        let mut random = Random(3);
        for outer in [1, 3] {
            for middle in [1, 2, 4, 5, 8, 16, 37, 100] {
                for inner in [1, 2, 8, 19, 64, 130] {
                    check_softmax::<f32>([outer, middle, inner], 1e-6, &mut random);
                    check_softmax::<f64>([outer, middle, inner], 1e-13, &mut random);
                }
            }
        }
    }

    #[test]
    fn softmax_of_infinities() {
        let mut y = [0.0_f32; 3];
        softmax(false, &[f32::NEG_INFINITY, 0.0, 0.0], [1, 3, 1], &mut y).unwrap();
        assert_eq!(y, [0.0, 0.5, 0.5]);
        softmax(true, &[f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY], [1, 3, 1], &mut y).unwrap();
        assert_eq!(y, [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY]);
        softmax(false, &[f32::NEG_INFINITY; 3], [1, 3, 1], &mut y).unwrap();
        assert!(y.iter().all(|y| y.is_nan()));
        softmax(false, &[f32::NAN, 0.0, 1.0], [1, 3, 1], &mut y).unwrap();
        assert!(y.iter().all(|y| y.is_nan()));
    }

    #[test]
    fn log_sum_exp_over_any_axis() {
        fn check<T: Real>(sizes: [usize; 3], tolerance: f64, random: &mut Random) {
            let [outer, middle, inner] = sizes;
            let x: Vec<T> = (0..outer * middle * inner).map(|_| T::from_f64(random.number() * 40.0)).collect();
            let mut y = vec![T::ZERO; outer * inner];
            log_sum_exp(&x, sizes, &mut y).unwrap();
            for (group, &y) in y.iter().enumerate() {
                let at = |place: usize| x[(group / inner * middle + place) * inner + group % inner].to_f64();
                let most = (0..middle).map(at).fold(f64::NEG_INFINITY, f64::max);
                close(y, most + (0..middle).map(|place| (at(place) - most).exp()).sum::<f64>().ln(), tolerance);
            }
        }
        let mut random = Random(5);
        for outer in [1, 3] {
            for middle in [1, 2, 5, 16, 37] {
                for inner in [1, 2, 8, 19, 64, 130] {
                    check::<f32>([outer, middle, inner], 1e-6, &mut random);
                    check::<f64>([outer, middle, inner], 1e-13, &mut random);
                }
            }
        }
    }

    #[test]
    fn log_sum_exp_of_infinities() {
        let (more, less, nan) = (f32::INFINITY, f32::NEG_INFINITY, f32::NAN);
        for (x, wanted) in
            [([0.0, less, 0.0], 2.0_f32.ln()), ([less; 3], less), ([0.0, more, less], more), ([nan, 0.0, more], nan)]
        {
            let same = |y: f32| (y - wanted).abs() < 1e-6 || y == wanted || (y.is_nan() && wanted.is_nan());
            let mut y = [0.5];
            log_sum_exp(&x, [1, 3, 1], &mut y).unwrap();
            assert!(same(y[0]), "{x:?}: {y:?}");
            let doubled: Vec<f32> = x.iter().flat_map(|&x| [x, x]).collect();
            let mut y = [0.5; 2];
            log_sum_exp(&doubled, [1, 3, 2], &mut y).unwrap();
            assert!(same(y[0]) && same(y[1]), "{x:?}: {y:?}");
        }
        let mut y = [0.5_f32; 2];
        log_sum_exp(&[], [2, 0, 1], &mut y).unwrap();
        assert_eq!(y, [less; 2]);
        log_sum_exp::<f32>(&[], [2, 3, 0], &mut []).unwrap();
    }

    fn check_norm<T: Real>(rows: usize, size: usize, tolerance: f64, random: &mut Random) {
        let mut numbers = |count: usize| -> Vec<T> { (0..count).map(|_| T::from_f64(random.number())).collect() };
        let (x, weight, bias) = (numbers(rows * size), numbers(size), numbers(size));
        for (weighted, biased) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut y = vec![T::ZERO; x.len()];
            let (w, b) = (weighted.then_some(&weight[..]), biased.then_some(&bias[..]));
            layer_norm(&x, w, b, 1e-5, [rows, size], &mut y).unwrap();
            for (x, y) in x.chunks_exact(size).zip(y.chunks_exact(size)) {
                let mean = x.iter().map(|x| x.to_f64()).sum::<f64>() / size as f64;
                let variance = x.iter().map(|x| (x.to_f64() - mean).powi(2)).sum::<f64>() / size as f64;
                for (at, (x, &y)) in x.iter().zip(y).enumerate() {
                    let factor = w.map_or(1.0, |w| w[at].to_f64());
                    let more = b.map_or(0.0, |b| b[at].to_f64());
                    close(y, (x.to_f64() - mean) / (variance + 1e-5).sqrt() * factor + more, tolerance);
                }
            }
        }
    }

    #[test]
    fn layer_norm_of_rows() {
        let mut random = Random(4);
        for rows in [1, 3] {
            for size in [1, 3, 16, 32, 50, 128, 300] {
                check_norm::<f32>(rows, size, 1e-4, &mut random);
                check_norm::<f64>(rows, size, 1e-10, &mut random);
            }
        }
    }
}
