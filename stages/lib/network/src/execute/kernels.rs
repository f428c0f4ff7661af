//! Extremes and where they are, in plain loops that compilers turn into vector instructions.
//!
//! libtorch has fast reductions without indices and slow ones with; and differentiating the fast ones compares and divides
//! the whole input again. With the index at hand each number of a gradient goes to its one place.

use std::thread;

use super::region::{Work, widest};

/// Lanes that are reduced side by side: fits the first-level cache, long enough for any vector unit.
const LANES: usize = 256;
/// Fewer comparisons than this are not worth a second thread.
const PARALLEL: usize = 1 << 22;

/// What a reduction found.
pub(super) struct Extremes {
    /// Places along the reduced axis, the first of equals.
    pub index: Vec<i32>,
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

/// A reduction over one axis, row by row.
trait Reduce: Sync {
    /// Offers all candidates for some lanes of a row, from `start` on, and says how many lanes these are. Inlined always, as
    /// [`Work`] demands.
    fn reduce(&self, row: usize, start: usize, best: &mut Best) -> usize;
}

/// Maximum over the middle axis of `x`, `[outer, middle, inner]`. For a minimum, negate before and after.
pub(super) fn maximum(x: &[f32], outer: usize, middle: usize, inner: usize, threads: usize) -> Extremes {
    by_rows(outer, inner, middle, threads, &Middle { x, middle, inner })
}

struct Middle<'a> {
    x: &'a [f32],
    middle: usize,
    inner: usize,
}

impl Reduce for Middle<'_> {
    #[inline(always)]
    fn reduce(&self, row: usize, start: usize, best: &mut Best) -> usize {
        let Self { x, middle, inner } = *self;
        let width = LANES.min(inner - start);
        let x = &x[row * middle * inner..(row + 1) * middle * inner];
        for place in 0..middle {
            let from = place * inner + start;
            best.offer(place, &x[from..from + width]);
        }
        width
    }
}

/// For a `[B, I, J, T]` and c `[B, I, K, T]`: the maximum over I of `a[b, i, j, t] + c[b, i, k, t]`, `[B, J, K, T]`.
pub(super) fn max_plus(a: &[f32], c: &[f32], sizes: [usize; 5], threads: usize) -> Extremes {
    let [b, i, j, k, t] = sizes;
    by_rows(b * j, k * t, i, threads, &Sums { a, c, sizes })
}

struct Sums<'a> {
    a: &'a [f32],
    c: &'a [f32],
    sizes: [usize; 5],
}

impl Reduce for Sums<'_> {
    #[inline(always)]
    fn reduce(&self, row: usize, start: usize, best: &mut Best) -> usize {
        let [_, i, j, k, t] = self.sizes;
        let inner = k * t;
        let (batch, row) = (row / j, row % j);
        let width = LANES.min(inner - start);
        let mut sums = [0.0; LANES];
        for place in 0..i {
            let one = &self.a[((batch * i + place) * j + row) * t..][..t];
            let from = (batch * i + place) * inner + start;
            let many = &self.c[from..from + width];
            if start.is_multiple_of(t) && width.is_multiple_of(t) {
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
    }
}

/// Gradients of [`maximum`]: each number of `gradient` goes to where its maximum was, in `into`, all zeros before.
pub(super) fn maximum_back(gradient: &[f32], index: &[i32], middle: usize, inner: usize, into: &mut [f32]) {
    let rows = gradient.chunks_exact(inner).zip(index.chunks_exact(inner)).zip(into.chunks_exact_mut(middle * inner));
    for ((gradient, index), into) in rows {
        for (lane, (&g, &place)) in gradient.iter().zip(index).enumerate() {
            into[place as usize * inner + lane] = g;
        }
    }
}

/// Sizes of a layer `[out, features]` whose values `[outer, middle, inner, out]` are reduced over the middle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    pub middle: usize,
    pub inner: usize,
    pub out: usize,
    pub features: usize,
}

/// Gradients of such a layer, added up for (x, weight), given those of the extremes and where these were.
pub(super) fn layer_back(
    layer: &Layer,
    gradient: &[f32],
    index: &[i32],
    of: (&[f32], &[f32]),
    into: (&mut [f32], &mut [f32]),
) {
    widest(LayerBack { layer, gradient, index, of, into });
}

struct LayerBack<'a> {
    layer: &'a Layer,
    gradient: &'a [f32],
    index: &'a [i32],
    of: (&'a [f32], &'a [f32]),
    into: (&'a mut [f32], &'a mut [f32]),
}

impl Work for LayerBack<'_> {
    #[inline(always)]
    fn run(self) {
        let Layer { middle, inner, out, features } = *self.layer;
        let ((x, weight), (into_x, into_weight)) = (self.of, self.into);
        let places = self.gradient.chunks_exact(out).zip(self.index.chunks_exact(out)).enumerate();
        for (place, (gradient, index)) in places {
            let (outer, within) = (place / inner, place % inner);
            for (feature, (&g, &at)) in gradient.iter().zip(index).enumerate().filter(|(_, (g, _))| **g != 0.0) {
                let row = ((outer * middle + at as usize) * inner + within) * features;
                let (x, into_x) = (&x[row..row + features], &mut into_x[row..row + features]);
                let row = feature * features;
                let (weight, into_weight) = (&weight[row..row + features], &mut into_weight[row..row + features]);
                for (((x, into_x), weight), into_weight) in x.iter().zip(into_x).zip(weight).zip(into_weight) {
                    *into_x += g * weight;
                    *into_weight += g * x;
                }
            }
        }
    }
}

/// Gradients of [`max_plus`], added up in `into_a` and `into_c`, all zeros before.
pub(super) fn max_plus_back(
    gradient: &[f32],
    index: &[i32],
    [_, i, j, k, t]: [usize; 5],
    into_a: &mut [f32],
    into_c: &mut [f32],
) {
    let inner = k * t;
    for (row, (gradient, index)) in gradient.chunks_exact(inner).zip(index.chunks_exact(inner)).enumerate() {
        let (batch, row) = (row / j, row % j);
        let a = &mut into_a[batch * i * j * t..][..i * j * t];
        let c = &mut into_c[batch * i * inner..][..i * inner];
        for (to, (gradient, index)) in gradient.chunks_exact(t).zip(index.chunks_exact(t)).enumerate() {
            for (lane, (&g, &place)) in gradient.iter().zip(index).enumerate() {
                let place = place as usize;
                a[(place * j + row) * t + lane] += g;
                c[place * inner + to * t + lane] += g;
            }
        }
    }
}

/// The same maxima without places, which takes half the time. `values` has room for `[B, J, K, T]`.
pub(super) fn max_plus_values(a: &[f32], c: &[f32], sizes: [usize; 5], threads: usize, values: &mut [f32]) {
    let [b, i, j, k, t] = sizes;
    let inner = k * t;
    let (rows, total) = (b * j, b * j * inner);
    if total == 0 || i == 0 {
        return;
    }
    let threads = if total.saturating_mul(i) < PARALLEL { 1 } else { threads.clamp(1, rows) };
    let share = rows.div_ceil(threads);
    let work = |part: usize, values: &mut [f32]| widest(Values { a, c, sizes, first: part * share, values });
    let mut parts = values[..total].chunks_mut(share * inner).enumerate();
    if threads == 1 {
        parts.for_each(|(part, values)| work(part, values));
    } else {
        let work = &work;
        thread::scope(|scope| {
            let mine = parts.next();
            for (part, values) in parts {
                scope.spawn(move || work(part, values));
            }
            mine.into_iter().for_each(|(part, values)| work(part, values));
        });
    }
}

/// Some rows of [`max_plus_values`], from `first` on.
struct Values<'a> {
    a: &'a [f32],
    c: &'a [f32],
    sizes: [usize; 5],
    first: usize,
    values: &'a mut [f32],
}

impl Work for Values<'_> {
    #[inline(always)]
    fn run(self) {
        let [_, i, j, k, t] = self.sizes;
        let inner = k * t;
        for (row, values) in self.values.chunks_exact_mut(inner).enumerate() {
            let (batch, row) = ((self.first + row) / j, (self.first + row) % j);
            for place in 0..i {
                let one = &self.a[((batch * i + place) * j + row) * t..][..t];
                let many = &self.c[(batch * i + place) * inner..][..inner];
                for (best, many) in values.chunks_exact_mut(t).zip(many.chunks_exact(t)) {
                    for ((best, x), y) in best.iter_mut().zip(many).zip(one) {
                        let sum = x + y;
                        // NaN beats everything
                        *best = if (place == 0) | (sum > *best) | sum.is_nan() { sum } else { *best };
                    }
                }
            }
        }
    }
}

/// Runs a reduction over all lanes of all rows.
fn by_rows(rows: usize, inner: usize, middle: usize, threads: usize, reduce: &impl Reduce) -> Extremes {
    let total = rows * inner;
    let mut found = Extremes { index: vec![0; total], values: vec![0.0; total], ties: false };
    if total == 0 {
        return found;
    }
    let threads = if total.saturating_mul(middle) < PARALLEL { 1 } else { threads.clamp(1, rows) };
    let share = rows.div_ceil(threads);
    let work = |first: usize, index: &mut [i32], values: &mut [f32]| -> bool {
        let mut ties = false;
        widest(Share { first, inner, index, values, reduce, ties: &mut ties });
        ties
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

/// Some rows of a reduction, from `first` on.
struct Share<'a, R> {
    first: usize,
    inner: usize,
    index: &'a mut [i32],
    values: &'a mut [f32],
    reduce: &'a R,
    ties: &'a mut bool,
}

impl<R: Reduce> Work for Share<'_, R> {
    #[inline(always)]
    fn run(self) {
        let mut best = Best::new();
        let mut ties = 0;
        let rows = self.index.chunks_exact_mut(self.inner).zip(self.values.chunks_exact_mut(self.inner)).enumerate();
        for (row, (index, values)) in rows {
            let mut start = 0;
            while start < self.inner {
                let width = self.reduce.reduce(self.first + row, start, &mut best);
                values[start..start + width].copy_from_slice(&best.value[..width]);
                index[start..start + width].copy_from_slice(&best.place[..width]);
                ties |= best.tie[..width].iter().fold(0, |any, &tie| any | tie);
                start += width;
            }
        }
        *self.ties = ties != 0;
    }
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
            let mut values = vec![0.0; found.values.len()];
            max_plus_values(&a, &c, sizes, 2, &mut values);
            assert_eq!(values, found.values, "{sizes:?}");
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
