//! Maxima and minima over the middle axis of a contiguous `[outer, middle, inner]`, and their gradient.
//!
//! No places are kept: the gradient finds them again by comparing, which is cheaper than writing and reading them.

use super::math::{maximum, minimum};
use super::real::{Real, private::STRIP};
use super::vector::{Vector, Work, dispatch, in_blocks};
use super::{KernelError, check_length, count};

/// The larger or the smaller of two; NaN where either is.
#[inline(always)]
pub(super) fn better<T: Real, V: Vector<T>>(least: bool, x: V, y: V) -> V {
    if least { minimum(x, y) } else { maximum(x, y) }
}

/// y `[outer, inner]`: the maximum (or with `least` the minimum) of x `[outer, middle, inner]` over the middle. NaN beats
/// everything. Over nothing, it is the infinity that loses to all numbers.
///
/// # Errors
/// Where a slice is too short.
pub fn extreme<T: Real>(least: bool, x: &[T], sizes: [usize; 3], y: &mut [T]) -> Result<(), KernelError> {
    let [outer, middle, inner] = sizes;
    check_length("input", 0, x.len(), count(&sizes)?)?;
    check_length("output", 0, y.len(), count(&[outer, inner])?)?;
    let y = &mut y[..outer * inner];
    if middle == 0 {
        y.fill(if least { T::INFINITY } else { -T::INFINITY });
    } else if inner == 1 {
        dispatch(Rows { least, x, middle, y });
    } else {
        dispatch(Columns { least, x, middle, inner, y });
    }
    Ok(())
}

/// Over the last axis.
struct Rows<'a, T> {
    least: bool,
    x: &'a [T],
    middle: usize,
    y: &'a mut [T],
}

impl<T: Real> Work<T> for Rows<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        for (y, row) in self.y.iter_mut().zip(self.x.chunks_exact(self.middle)) {
            *y = row_extreme::<T, V>(self.least, row);
            // of zeros of both signs the first, as in libtorch: the lanes above know no order
            if *y == T::ZERO
                && let Some(first) = row.iter().find(|x| **x == T::ZERO)
            {
                *y = *first;
            }
        }
    }
}

/// The extreme of a row that is not empty.
#[inline(always)]
pub(super) fn row_extreme<T: Real, V: Vector<T>>(least: bool, row: &[T]) -> T {
    let worst = V::splat(if least { T::INFINITY } else { -T::INFINITY });
    // several at a time, because each comparison waits for the one before
    let mut best = [worst; 4];
    let mut chunks = row.chunks_exact(4 * V::WIDTH);
    for chunk in &mut chunks {
        for place in 0..4 {
            // SAFETY: the chunk has four vectors.
            let x = unsafe { V::load(chunk.as_ptr().add(place * V::WIDTH)) };
            best[place] = better(least, best[place], x);
        }
    }
    let mut chunks = chunks.remainder().chunks_exact(V::WIDTH);
    for chunk in &mut chunks {
        // SAFETY: the chunk has a vector's elements.
        best[0] = better(least, best[0], unsafe { V::load(chunk.as_ptr()) });
    }
    let rest = chunks.remainder();
    let best = better(least, better(least, best[0], best[1]), better(least, best[2], best[3]));
    let best = if best.has_nan() {
        T::NAN
    } else if least {
        -best.neg().most()
    } else {
        best.most()
    };
    rest.iter().fold(best, |best, &x| choose(least, best, x))
}

#[inline(always)]
fn choose<T: Real>(least: bool, x: T, y: T) -> T {
    let wins = if least { x < y } else { x > y };
    #[allow(clippy::eq_op)] // NaN is the number that does not equal itself
    if wins | (x != x) { x } else { y }
}

/// Over an axis that is not the last.
struct Columns<'a, T> {
    least: bool,
    x: &'a [T],
    middle: usize,
    inner: usize,
    y: &'a mut [T],
}

impl<T: Real> Work<T> for Columns<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self { least, x, middle, inner, y } = self;
        for (y, x) in y.chunks_exact_mut(inner).zip(x.chunks_exact(middle * inner)) {
            in_blocks!(V, inner, STRIP, |start, lanes, N| {
                column_extremes::<T, V, N>(least, &x[start..], middle, inner, &mut y[start..], lanes);
            });
        }
    }
}

/// The extremes of `N` vectors of columns, each with `count` lanes.
#[inline(always)]
fn column_extremes<T: Real, V: Vector<T>, const N: usize>(
    least: bool,
    x: &[T],
    middle: usize,
    inner: usize,
    y: &mut [T],
    count: usize,
) {
    let mut best = [V::splat(T::ZERO); N];
    for place in 0..middle {
        for vector in 0..N {
            // SAFETY: callers pass slices that have all these columns in each of the rows.
            let x = unsafe { part::<T, V>(x.as_ptr().add(place * inner + vector * V::WIDTH), count) };
            best[vector] = if place == 0 { x } else { better(least, x, best[vector]) };
        }
    }
    for vector in 0..N {
        // SAFETY: as above.
        unsafe { put_part(best[vector], y.as_mut_ptr().add(vector * V::WIDTH), count) };
    }
}

/// A vector of `count` lanes.
///
/// # Safety
/// As [`Vector::load_part`].
#[inline(always)]
pub(super) unsafe fn part<T: Real, V: Vector<T>>(from: *const T, count: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe { if count == V::WIDTH { V::load(from) } else { V::load_part(from, count) } }
}

/// Writes `count` lanes.
///
/// # Safety
/// As [`Vector::store_part`].
#[inline(always)]
pub(super) unsafe fn put_part<T: Real, V: Vector<T>>(x: V, to: *mut T, count: usize) {
    // SAFETY: the caller's promise.
    unsafe { if count == V::WIDTH { x.store(to) } else { x.store_part(to, count) } }
}

/// Which elements get the gradient of an extreme that several elements attain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// All of them, in equal shares.
    Share,
    /// The first.
    First,
}

/// The gradient of [`extreme`]: dx `[outer, middle, inner]`, given x, its extremes y `[outer, inner]` and their gradient g.
/// Where no element equals y, because it is NaN, all of dx is NaN.
///
/// # Errors
/// Where a slice is too short.
pub fn share_extreme<T: Real>(
    ties: Ties,
    x: &[T],
    y: &[T],
    g: &[T],
    sizes: [usize; 3],
    dx: &mut [T],
) -> Result<(), KernelError> {
    let [outer, middle, inner] = sizes;
    let (all, some) = (count(&sizes)?, count(&[outer, inner])?);
    for (number, (got, wanted)) in [(x.len(), all), (y.len(), some), (g.len(), some)].into_iter().enumerate() {
        check_length("input", number, got, wanted)?;
    }
    check_length("output", 0, dx.len(), all)?;
    if all == 0 {
        return Ok(());
    }
    let (y, g, dx) = (&y[..some], &g[..some], &mut dx[..all]);
    if inner == 1 {
        dispatch(ShareRows { ties, x, y, g, middle, dx });
    } else {
        dispatch(ShareColumns { ties, x, y, g, middle, inner, dx });
    }
    Ok(())
}

struct ShareRows<'a, T> {
    ties: Ties,
    x: &'a [T],
    y: &'a [T],
    g: &'a [T],
    middle: usize,
    dx: &'a mut [T],
}

impl<T: Real> Work<T> for ShareRows<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let rows = self.x.chunks_exact(self.middle).zip(self.dx.chunks_exact_mut(self.middle));
        for ((x, dx), (&y, &g)) in rows.zip(self.y.iter().zip(self.g)) {
            let equals = equals::<T, V>(x, y);
            if equals == T::ZERO {
                dx.fill(T::NAN);
            } else if self.ties == Ties::First {
                dx.fill(T::ZERO);
                if let Some((_, dx)) = x.iter().zip(dx).find(|(x, _)| **x == y) {
                    *dx = g;
                }
            } else {
                give::<T, V>(x, y, g / equals, dx);
            }
        }
    }
}

/// How many elements of a row equal y.
#[inline(always)]
fn equals<T: Real, V: Vector<T>>(row: &[T], y: T) -> T {
    let (one, zero) = (V::splat(T::ONE), V::splat(T::ZERO));
    let mut found = zero;
    let mut chunks = row.chunks_exact(V::WIDTH);
    for chunk in &mut chunks {
        // SAFETY: the chunk has a vector's elements.
        let x = unsafe { V::load(chunk.as_ptr()) };
        found = found.add(V::select(x.eq(V::splat(y)), one, zero));
    }
    chunks.remainder().iter().fold(found.total(), |found, &x| if x == y { found + T::ONE } else { found })
}

/// Gives each element that equals y its share, and 0 to the others.
#[inline(always)]
fn give<T: Real, V: Vector<T>>(x: &[T], y: T, share: T, dx: &mut [T]) {
    for (x, dx) in x.chunks(V::WIDTH).zip(dx.chunks_mut(V::WIDTH)) {
        // SAFETY: the chunks have as many elements as they say.
        unsafe {
            let mask = part::<T, V>(x.as_ptr(), x.len()).eq(V::splat(y));
            put_part(V::select(mask, V::splat(share), V::splat(T::ZERO)), dx.as_mut_ptr(), dx.len());
        }
    }
}

struct ShareColumns<'a, T> {
    ties: Ties,
    x: &'a [T],
    y: &'a [T],
    g: &'a [T],
    middle: usize,
    inner: usize,
    dx: &'a mut [T],
}

impl<T: Real> Work<T> for ShareColumns<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self { ties, x, y, g, middle, inner, dx } = self;
        let rows = x.chunks_exact(middle * inner).zip(dx.chunks_exact_mut(middle * inner));
        for ((x, dx), (y, g)) in rows.zip(y.chunks_exact(inner).zip(g.chunks_exact(inner))) {
            in_blocks!(V, inner, 4, |start, lanes, N| {
                let of = (&x[start..], &y[start..], &g[start..]);
                share_columns::<T, V, N>(ties, of, middle, inner, &mut dx[start..], lanes);
            });
        }
    }
}

/// Gradients of `N` vectors of columns, each with `count` lanes.
#[inline(always)]
fn share_columns<T: Real, V: Vector<T>, const N: usize>(
    ties: Ties,
    (x, y, g): (&[T], &[T], &[T]),
    middle: usize,
    inner: usize,
    dx: &mut [T],
    count: usize,
) {
    let (one, zero) = (V::splat(T::ONE), V::splat(T::ZERO));
    let (mut ys, mut shares, mut found) = ([zero; N], [zero; N], [zero; N]);
    // SAFETY of this function's blocks: callers pass slices that have all these columns in each of the rows.
    for vector in 0..N {
        // SAFETY: see above.
        unsafe {
            ys[vector] = part(y.as_ptr().add(vector * V::WIDTH), count);
            shares[vector] = part(g.as_ptr().add(vector * V::WIDTH), count);
        }
    }
    for place in 0..middle {
        for vector in 0..N {
            // SAFETY: see above.
            let x: V = unsafe { part(x.as_ptr().add(place * inner + vector * V::WIDTH), count) };
            found[vector] = found[vector].add(V::select(x.eq(ys[vector]), one, zero));
        }
    }
    let mut others = [zero; N];
    for vector in 0..N {
        let none = found[vector].eq(zero);
        others[vector] = V::select(none, V::splat(T::NAN), zero);
        if ties == Ties::Share {
            shares[vector] = shares[vector].div(found[vector]);
        }
    }
    for place in 0..middle {
        for vector in 0..N {
            let at = place * inner + vector * V::WIDTH;
            // SAFETY: see above.
            unsafe {
                let x: V = part(x.as_ptr().add(at), count);
                let mask = x.eq(ys[vector]);
                put_part(V::select(mask, shares[vector], others[vector]), dx.as_mut_ptr().add(at), count);
                if ties == Ties::First {
                    // whoever comes later gets nothing
                    shares[vector] = V::select(mask, zero, shares[vector]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::Random;

    fn check<T: Real>(sizes: [usize; 3], least: bool, nan: bool, random: &mut Random) {
        let [outer, middle, inner] = sizes;
        // whole numbers, so that there are ties, with zeros of both signs
        let mut whole = || match random.below(8) as f64 - 4.0 {
            -4.0 => -0.0,
            x => x,
        };
        let mut x: Vec<T> = (0..outer * middle * inner).map(|_| T::from_f64(whole())).collect();
        if nan && !x.is_empty() {
            let at = random.below(x.len());
            x[at] = T::NAN;
        }
        let g: Vec<T> = (0..outer * inner).map(|_| T::from_f64(random.number())).collect();
        let mut y = vec![T::ONE; outer * inner];
        extreme(least, &x, sizes, &mut y).unwrap();
        for (ties, first) in [(Ties::Share, false), (Ties::First, true)] {
            let mut dx = vec![T::ONE; x.len()];
            share_extreme(ties, &x, &y, &g, sizes, &mut dx).unwrap();
            for group in 0..outer * inner {
                let at = |place: usize| (group / inner * middle + place) * inner + group % inner;
                let values: Vec<f64> = (0..middle).map(|place| x[at(place)].to_f64()).collect();
                if values.iter().any(|x| x.is_nan()) {
                    assert!(y[group].to_f64().is_nan());
                    assert!((0..middle).all(|place| dx[at(place)].to_f64().is_nan()));
                    continue;
                }
                let best = values.iter().copied().reduce(if least { f64::min } else { f64::max }).unwrap();
                assert_eq!(y[group].to_f64(), best, "{sizes:?}");
                let equals = values.iter().filter(|x| **x == best).count();
                let leader = values.iter().position(|x| *x == best).unwrap();
                assert_eq!(y[group].to_f64().is_sign_negative(), values[leader].is_sign_negative(), "{sizes:?}");
                for (place, &value) in values.iter().enumerate() {
                    let wanted = match (first, value == best) {
                        (false, true) => g[group] / T::from_f64(equals as f64),
                        (true, _) if place == leader => g[group],
                        _ => T::ZERO,
                    };
                    assert_eq!(dx[at(place)], wanted, "{sizes:?}");
                }
            }
        }
    }

    #[test]
    fn extremes_and_their_gradients() {
        let mut random = Random(1);
        for outer in [1, 3] {
            for middle in [1, 2, 5, 16, 37, 200] {
                for inner in [1, 2, 7, 8, 16, 33, 130, 300] {
                    for least in [false, true] {
                        check::<f32>([outer, middle, inner], least, random.below(3) == 0, &mut random);
                        check::<f64>([outer, middle, inner], least, random.below(3) == 0, &mut random);
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_has_extremes_that_lose() {
        let mut y = [0.0_f32; 2];
        extreme(false, &[], [1, 0, 2], &mut y).unwrap();
        assert_eq!(y, [f32::NEG_INFINITY; 2]);
        extreme(true, &[], [2, 0, 1], &mut y).unwrap();
        assert_eq!(y, [f32::INFINITY; 2]);
        share_extreme(Ties::Share, &[], &y, &y, [1, 0, 2], &mut []).unwrap();
        assert!(extreme(true, &[1.0], [1, 2, 1], &mut y).is_err());
    }
}
