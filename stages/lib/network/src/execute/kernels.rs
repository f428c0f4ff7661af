//! Extremes and where they are, in plain loops that compilers turn into vector instructions.
//!
//! libtorch has fast reductions without indices and slow ones with; and differentiating the fast ones compares and divides
//! the whole input again. With the index at hand a gradient is one look-up.

use std::thread;

/// Lanes that are reduced side by side: fits the first-level cache, long enough for any vector unit.
const LANES: usize = 256;
/// Fewer comparisons than this are not worth a second thread.
const PARALLEL: usize = 1 << 22;

/// What a reduction found.
pub(super) struct Extremes {
    /// Places along the reduced axis, the first of equals. Empty if not asked for.
    pub index: Vec<i64>,
    pub values: Vec<f32>,
    /// Whether some extreme is attained at two places.
    pub ties: bool,
}

/// The running extreme of some lanes.
struct Best {
    value: [f32; LANES],
    place: [i32; LANES],
    tie: [i32; LANES],
}

impl Best {
    fn new() -> Self {
        Self { value: [0.0; LANES], place: [0; LANES], tie: [0; LANES] }
    }

    /// Takes the first candidates, or compares further ones. NaN beats everything, as in libtorch.
    #[inline(always)]
    fn offer(&mut self, place: usize, candidates: &[f32]) {
        let at = i32::try_from(place).unwrap_or(i32::MAX);
        let lanes = self.value.iter_mut().zip(&mut self.place).zip(&mut self.tie).zip(candidates);
        if place == 0 {
            for (((value, place), tie), &x) in lanes {
                (*value, *place, *tie) = (x, 0, 0);
            }
            return;
        }
        for (((value, place), tie), &x) in lanes {
            let better = (x > *value) | (x.is_nan() & !value.is_nan());
            let equal = x == *value;
            *tie = if better { 0 } else { *tie | i32::from(equal) };
            *place = if better { at } else { *place };
            *value = if better { x } else { *value };
        }
    }
}

/// Maximum over the middle axis of `x`, `[outer, middle, inner]`. For a minimum, negate before and after.
pub(super) fn maximum(x: &[f32], outer: usize, middle: usize, inner: usize, threads: usize) -> Extremes {
    by_rows(outer, inner, middle, threads, |row, start, best| {
        let width = LANES.min(inner - start);
        let x = &x[row * middle * inner..(row + 1) * middle * inner];
        for place in 0..middle {
            let from = place * inner + start;
            best.offer(place, &x[from..from + width]);
        }
        width
    })
}

/// For a `[B, I, J, T]` and c `[B, I, K, T]`: the maximum over I of `a[b, i, j, t] + c[b, i, k, t]`, `[B, J, K, T]`.
pub(super) fn max_plus(a: &[f32], c: &[f32], sizes: [usize; 5], threads: usize) -> Extremes {
    let [b, i, j, k, t] = sizes;
    let inner = k * t;
    by_rows(b * j, inner, i, threads, |row, start, best| {
        let (batch, row) = (row / j, row % j);
        let width = LANES.min(inner - start);
        let mut sums = [0.0; LANES];
        for place in 0..i {
            let one = &a[((batch * i + place) * j + row) * t..][..t];
            let from = (batch * i + place) * inner + start;
            let many = &c[from..from + width];
            if start % t == 0 && width % t == 0 {
                for (sums, many) in sums.chunks_exact_mut(t).zip(many.chunks_exact(t)) {
                    sums.iter_mut().zip(many).zip(one).for_each(|((sum, x), y)| *sum = x + y);
                }
            } else {
                let cycle = one.iter().cycle().skip(start % t);
                sums.iter_mut().zip(many).zip(cycle).for_each(|((sum, x), y)| *sum = x + y);
            }
            best.offer(place, &sums[..width]);
        }
        width
    })
}

/// Runs `reduce` over all lanes of all rows: given a row, the first lane and a scratch, it says how many lanes it did.
fn by_rows(
    rows: usize,
    inner: usize,
    middle: usize,
    threads: usize,
    reduce: impl Fn(usize, usize, &mut Best) -> usize + Sync,
) -> Extremes {
    let total = rows * inner;
    let mut found = Extremes { index: vec![0; total], values: vec![0.0; total], ties: false };
    if total == 0 {
        return found;
    }
    let threads = if total.saturating_mul(middle) < PARALLEL { 1 } else { threads.clamp(1, rows) };
    let share = rows.div_ceil(threads);
    let work = |first: usize, index: &mut [i64], values: &mut [f32]| -> bool {
        let mut run = || share_of_rows(first, inner, index, values, &reduce);
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the feature that the function is compiled for.
            return unsafe { with_avx2(&mut run) };
        }
        run()
    };
    let parts = found.index.chunks_mut(share * inner).zip(found.values.chunks_mut(share * inner)).enumerate();
    if threads == 1 {
        for (part, (index, values)) in parts {
            found.ties |= work(part * share, index, values);
        }
    } else {
        found.ties = thread::scope(|scope| {
            let work = &work;
            let handles: Vec<_> =
                parts.map(|(part, (index, values))| scope.spawn(move || work(part * share, index, values))).collect();
            // a thread that panicked says "ties", and so nothing of it is used
            handles.into_iter().map(|handle| handle.join().unwrap_or(true)).fold(false, |x, y| x | y)
        });
    }
    found
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2(run: &mut impl FnMut() -> bool) -> bool {
    run()
}

#[inline(always)]
fn share_of_rows(
    first: usize,
    inner: usize,
    index: &mut [i64],
    values: &mut [f32],
    reduce: &impl Fn(usize, usize, &mut Best) -> usize,
) -> bool {
    let mut best = Best::new();
    let mut ties = 0;
    for (row, (index, values)) in index.chunks_exact_mut(inner).zip(values.chunks_exact_mut(inner)).enumerate() {
        let mut start = 0;
        while start < inner {
            let width = reduce(first + row, start, &mut best);
            values[start..start + width].copy_from_slice(&best.value[..width]);
            index[start..start + width].iter_mut().zip(&best.place).for_each(|(to, &from)| *to = i64::from(from));
            ties |= best.tie[..width].iter().fold(0, |any, &tie| any | tie);
            start += width;
        }
    }
    ties != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn random(count: usize, rng: &mut Rng) -> Vec<f32> {
        (0..count).map(|_| rng.normal() as f32).collect()
    }

    #[test]
    fn maxima_are_where_they_are_said_to_be() {
        let mut rng = Rng::new(1, "kernels");
        for (outer, middle, inner) in [(1, 1, 1), (3, 5, 7), (2, 3, 300), (4, 9, 256), (64, 80, 1024)] {
            let x = random(outer * middle * inner, &mut rng);
            let found = maximum(&x, outer, middle, inner, 2);
            assert!(!found.ties);
            for (at, (&value, &index)) in found.values.iter().zip(&found.index).enumerate() {
                let (row, lane) = (at / inner, at % inner);
                let get = |place: usize| x[(row * middle + place) * inner + lane];
                assert_eq!(value, (0..middle).map(get).fold(f32::NEG_INFINITY, f32::max));
                assert_eq!(value, get(index as usize));
            }
        }
    }

    #[test]
    fn sums_are_maximised_as_if_spelt_out() {
        let mut rng = Rng::new(2, "kernels");
        for sizes in [[1, 2, 2, 2, 1], [2, 3, 4, 5, 8], [2, 5, 3, 7, 3], [1, 4, 2, 100, 5], [4, 32, 32, 32, 40]] {
            let [b, i, j, k, t] = sizes;
            let (a, c) = (random(b * i * j * t, &mut rng), random(b * i * k * t, &mut rng));
            let found = max_plus(&a, &c, sizes, 2);
            for (at, (&value, &index)) in found.values.iter().zip(&found.index).enumerate() {
                let (lane, rest) = (at % t, at / t);
                let (to, rest) = (rest % k, rest / k);
                let (from, batch) = (rest % j, rest / j);
                let get =
                    |p: usize| a[((batch * i + p) * j + from) * t + lane] + c[((batch * i + p) * k + to) * t + lane];
                assert_eq!(value, (0..i).map(get).fold(f32::NEG_INFINITY, f32::max), "{sizes:?} at {at}");
                assert_eq!(value, get(index as usize));
            }
        }
    }

    #[test]
    fn ties_are_noticed_and_the_first_is_taken() {
        let found = maximum(&[1.0, 3.0, 3.0, 2.0], 1, 4, 1, 1);
        assert!(found.ties);
        assert_eq!(found.index, [1]);
        // equals that something later exceeds are no tie
        assert!(!maximum(&[3.0, 3.0, 4.0], 1, 3, 1, 1).ties);
    }

    #[test]
    fn what_is_no_number_stays_visible() {
        for x in [[f32::NAN, 1.0, 2.0], [1.0, f32::NAN, 2.0], [1.0, 2.0, f32::NAN]] {
            assert!(maximum(&x, 1, 3, 1, 1).values[0].is_nan());
        }
    }
}
