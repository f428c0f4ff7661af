//! The max-plus product of a `[B, I, J, T]` and c `[B, I, K, T]`: y `[B, J, K, T]`, the maximum (or minimum) over i of
//! `a[b, i, j, t] + c[b, i, k, t]`, and its gradient.
//!
//! The places of a row of y are k and t together, because T is small. A row of c lies as they do; one of a repeats itself
//! for every k, and is kept repeated for as long as a vector may reach.

use super::extremes::{Ties, better, part, put_part};
use super::normal::cut;
use super::real::{Real, private::STRIP};
use super::vector::{MOST_LANES, Vector, Work, dispatch_for, in_blocks};
use super::{KernelError, check_length, count};

/// Sizes of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Samples.
    pub b: usize,
    /// Places that the maximum is taken over.
    pub i: usize,
    /// Places of a that stay.
    pub j: usize,
    /// Places of c that stay.
    pub k: usize,
    /// Features.
    pub t: usize,
}

/// The product for given sizes, with the room that it needs.
#[derive(Clone, Debug)]
pub struct MaxPlus<T> {
    sizes: Sizes,
    /// The minimum, not the maximum.
    least: bool,
    ties: Ties,
    /// Rows of a, repeated, for each i.
    rows: Vec<T>,
    /// Their gradients.
    gradients: Vec<T>,
}

impl<T: Real> MaxPlus<T> {
    /// # Errors
    /// Where sizes are out of range.
    pub fn new(sizes: Sizes, least: bool, ties: Ties) -> Result<Self, KernelError> {
        let Sizes { b, i, j, k, t } = sizes;
        count(&[b, i, j, t]).and(count(&[b, i, k, t])).and(count(&[b, j, k, t]))?;
        let room = count(&[i, t + MOST_LANES])?;
        Ok(Self { sizes, least, ties, rows: vec![T::ZERO; room], gradients: vec![T::ZERO; room] })
    }

    /// # Errors
    /// Where a slice is too short.
    pub fn run(&mut self, a: &[T], c: &[T], y: &mut [T]) -> Result<(), KernelError> {
        let Sizes { b, i, j, k, t } = self.sizes;
        check_length("input", 0, a.len(), b * i * j * t)?;
        check_length("input", 1, c.len(), b * i * k * t)?;
        check_length("output", 0, y.len(), b * j * k * t)?;
        let y = &mut y[..b * j * k * t];
        if i == 0 {
            y.fill(if self.least { T::INFINITY } else { -T::INFINITY });
        } else if !y.is_empty() {
            dispatch_for(t, Forward { of: self, a, c, y });
        }
        Ok(())
    }

    /// Gradients of a and of c, where they are wanted, given y and its gradient g. Where no sum equals y, because it is NaN,
    /// all gradients that it has a part in are NaN.
    ///
    /// # Errors
    /// Where a slice is too short.
    pub fn gradients(
        &mut self,
        [a, c, y, g]: [&[T]; 4],
        mut da: Option<&mut [T]>,
        mut dc: Option<&mut [T]>,
    ) -> Result<(), KernelError> {
        let Sizes { b, i, j, k, t } = self.sizes;
        let (of_a, of_c, of_y) = (b * i * j * t, b * i * k * t, b * j * k * t);
        let lengths = [(a.len(), of_a), (c.len(), of_c), (y.len(), of_y), (g.len(), of_y)];
        for (number, (got, wanted)) in lengths.into_iter().enumerate() {
            check_length("input", number, got, wanted)?;
        }
        for (number, (got, wanted)) in
            [(da.as_ref().map(|d| d.len()), of_a), (dc.as_ref().map(|d| d.len()), of_c)].into_iter().enumerate()
        {
            check_length("output", number, got.unwrap_or(wanted), wanted)?;
        }
        if let Some(da) = &mut da {
            da[..of_a].fill(T::ZERO);
        }
        if let Some(dc) = &mut dc {
            dc[..of_c].fill(T::ZERO);
        }
        if of_y > 0 && i > 0 {
            dispatch_for(t, Backward { of: self, a, c, y, g, da, dc });
        }
        Ok(())
    }

    /// The row of a for (b, j) and each i, repeated until a vector that starts anywhere in it is full.
    #[inline(always)]
    fn repeat<V: Vector<T>>(&mut self, a: &[T], batch: usize, row: usize) {
        let Sizes { i, j, t, .. } = self.sizes;
        let period = t + V::WIDTH;
        for (place, repeated) in self.rows.chunks_exact_mut(period).enumerate().take(i) {
            let from = &a[((batch * i + place) * j + row) * t..][..t];
            if t == 4 && V::WIDTH > t {
                // Each vector starts at the first feature, as wherever features divide a vector.
                // SAFETY: the row has four elements, and the repeated one room for a vector's.
                unsafe { V::quad(from.as_ptr()).store(repeated.as_mut_ptr()) };
                continue;
            }
            for part in repeated.chunks_mut(t) {
                part.copy_from_slice(&from[..part.len()]);
            }
        }
    }
}

/// A row of a for each i: so far from one to the next, with a vector's elements from each of its features on.
#[derive(Clone, Copy)]
struct Rows<'r, T> {
    elements: &'r [T],
    step: usize,
}

impl<'r, T: Real> Rows<'r, T> {
    /// Those for (b, j): a's own, where a row is a vector.
    #[inline(always)]
    fn new<V: Vector<T>>(of: &'r mut MaxPlus<T>, a: &'r [T], batch: usize, row: usize) -> Self {
        let Sizes { i, j, t, .. } = of.sizes;
        if t == V::WIDTH {
            return Self { elements: &a[(batch * i * j + row) * t..], step: j * t };
        }
        of.repeat::<V>(a, batch, row);
        Self { elements: &of.rows, step: t + V::WIDTH }
    }

    /// The sums of `count` columns of a row of c, from `at` on.
    ///
    /// # Safety
    /// c has to have them for this i, and `at` is `offset` modulo t.
    #[inline(always)]
    unsafe fn sum<V: Vector<T>>(&self, place: usize, offset: usize, c: &[T], at: usize, count: usize) -> V {
        // SAFETY: the caller's promise, and the row's elements.
        unsafe { V::load(self.elements.as_ptr().add(place * self.step + offset)).add(part(c.as_ptr().add(at), count)) }
    }
}

struct Forward<'r, T> {
    of: &'r mut MaxPlus<T>,
    a: &'r [T],
    c: &'r [T],
    y: &'r mut [T],
}

impl<T: Real> Work<T> for Forward<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self { of, a, c, y } = self;
        let (sizes, least) = (of.sizes, of.least);
        let Sizes { i, j, k, t, .. } = sizes;
        let inner = k * t;
        for (number, y) in y.chunks_exact_mut(inner).enumerate() {
            let (batch, row) = (number / j, number % j);
            let rows = Rows::new::<V>(of, a, batch, row);
            let c = &c[batch * i * inner..][..i * inner];
            in_blocks!(V, inner, STRIP, |start, lanes, N| forward::<T, V, N>(sizes, least, rows, c, start, lanes, y));
        }
    }
}

/// `N` vectors of a row from `start` on, each with `count` lanes.
#[inline(always)]
fn forward<T: Real, V: Vector<T>, const N: usize>(
    Sizes { i, k, t, .. }: Sizes,
    least: bool,
    rows: Rows<'_, T>,
    c: &[T],
    start: usize,
    count: usize,
    y: &mut [T],
) {
    let mut offsets = [0; N];
    for (vector, offset) in offsets.iter_mut().enumerate() {
        *offset = (start + vector * V::WIDTH) % t;
    }
    let mut best = [V::splat(T::ZERO); N];
    for place in 0..i {
        for vector in 0..N {
            let at = place * k * t + start + vector * V::WIDTH;
            // SAFETY: callers pass columns that c has in each row.
            let sum = unsafe { rows.sum(place, offsets[vector], c, at, count) };
            best[vector] = if place == 0 { sum } else { better(least, best[vector], sum) };
        }
    }
    for vector in 0..N {
        // SAFETY: callers pass columns that y has.
        unsafe { put_part(best[vector], y.as_mut_ptr().add(start + vector * V::WIDTH), count) };
    }
}

struct Backward<'r, T> {
    of: &'r mut MaxPlus<T>,
    a: &'r [T],
    c: &'r [T],
    y: &'r [T],
    g: &'r [T],
    da: Option<&'r mut [T]>,
    dc: Option<&'r mut [T]>,
}

impl<T: Real> Work<T> for Backward<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(mut self) {
        let (sizes, ties) = (self.of.sizes, self.of.ties);
        let Sizes { b, i, j, k, t } = sizes;
        let inner = k * t;
        // Gradients of repeated rows are collected apart, and added up; those of a's own rows go where they belong.
        let mut apart = std::mem::take(&mut self.of.gradients);
        let own = t == V::WIDTH;
        for number in 0..b * j {
            let (batch, row) = (number / j, number % j);
            let first = (batch * i * j + row) * t;
            let rows = Rows::new::<V>(self.of, self.a, batch, row);
            let sums = match &mut self.da {
                None => None,
                Some(da) if own => Some((&mut da[first..], j * t)),
                Some(_) => {
                    apart.fill(T::ZERO);
                    Some((apart.as_mut_slice(), t + V::WIDTH))
                }
            };
            let mut columns = Columns {
                sizes,
                ties,
                rows,
                c: &self.c[batch * i * inner..][..i * inner],
                y: &self.y[number * inner..][..inner],
                g: &self.g[number * inner..][..inner],
                sums,
                dc: self.dc.as_mut().map(|dc| &mut dc[batch * i * inner..][..i * inner]),
            };
            in_blocks!(V, inner, 4, |start, lanes, N| columns.share::<V, N>(start, lanes));
            if let Some(da) = self.da.as_mut().filter(|_| !own) {
                for (place, sums) in apart.chunks_exact(t + V::WIDTH).enumerate().take(i) {
                    let da = &mut da[first + place * j * t..][..t];
                    for part in sums.chunks(t) {
                        da.iter_mut().zip(part).for_each(|(da, &sum)| *da += sum);
                    }
                }
            }
        }
        self.of.gradients = apart;
    }
}

/// A row of y, and what its gradient goes to.
struct Columns<'r, T> {
    sizes: Sizes,
    ties: Ties,
    rows: Rows<'r, T>,
    c: &'r [T],
    y: &'r [T],
    g: &'r [T],
    /// Where gradients of the rows are added up, if they are wanted, and how far they are from one to the next.
    sums: Option<(&'r mut [T], usize)>,
    dc: Option<&'r mut [T]>,
}

impl<T: Real> Columns<'_, T> {
    /// `N` vectors of columns from `start` on, each with `count` lanes.
    #[inline(always)]
    fn share<V: Vector<T>, const N: usize>(&mut self, start: usize, count: usize) {
        let (zero, one) = (V::splat(T::ZERO), V::splat(T::ONE));
        let Sizes { i, k, t, .. } = self.sizes;
        let inner = k * t;
        let mut offsets = [0; N];
        let (mut ys, mut shares, mut others, mut found) = ([zero; N], [zero; N], [zero; N], [zero; N]);
        for vector in 0..N {
            let at = start + vector * V::WIDTH;
            offsets[vector] = at % t;
            // SAFETY: callers pass columns that y and g have.
            unsafe {
                ys[vector] = part(self.y.as_ptr().add(at), count);
                shares[vector] = part(self.g.as_ptr().add(at), count);
            }
        }
        for place in 0..i {
            for vector in 0..N {
                let at = place * inner + start + vector * V::WIDTH;
                // SAFETY: as above; c has these columns in each row.
                let sum: V = unsafe { self.rows.sum(place, offsets[vector], self.c, at, count) };
                found[vector] = found[vector].add(V::select(sum.eq(ys[vector]), one, zero));
            }
        }
        for vector in 0..N {
            others[vector] = V::select(found[vector].eq(zero), V::splat(T::NAN), zero);
            if self.ties == Ties::Share {
                shares[vector] = shares[vector].div(found[vector]);
            }
            if count < V::WIDTH {
                // lanes beyond the last must not add to those that a has there
                let (share, other) = (shares[vector], others[vector]);
                (shares[vector], others[vector]) = (cut(share, count), cut(other, count));
            }
        }
        // vectors that start at the same place of a period are added up before they go to memory
        let aligned = V::WIDTH.is_multiple_of(t);
        for place in 0..i {
            let mut total = zero;
            for vector in 0..N {
                let at = place * inner + start + vector * V::WIDTH;
                // SAFETY: as above.
                let sum: V = unsafe { self.rows.sum(place, offsets[vector], self.c, at, count) };
                let mask = sum.eq(ys[vector]);
                let given = V::select(mask, shares[vector], others[vector]);
                if self.ties == Ties::First {
                    shares[vector] = V::select(mask, zero, shares[vector]);
                }
                if let Some(dc) = &mut self.dc {
                    // SAFETY: as above; dc is as long as c.
                    unsafe {
                        let to = dc.as_mut_ptr().add(at);
                        put_part(part::<T, V>(to, count).add(given), to, count);
                    }
                }
                if aligned {
                    total = total.add(given);
                } else {
                    self.add(given, place, offsets[vector]);
                }
            }
            if aligned {
                self.add(total, place, offsets[0]);
            }
        }
    }

    /// Adds to the gradient of a row, from `offset` on.
    #[inline(always)]
    fn add<V: Vector<T>>(&mut self, x: V, place: usize, offset: usize) {
        let Some((sums, step)) = &mut self.sums else { return };
        let at = place * *step + offset;
        if let Some(to) = sums.get_mut(at..at + V::WIDTH) {
            // SAFETY: the slice is as long as a vector.
            unsafe { V::load(to.as_ptr()).add(x).store(to.as_mut_ptr()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::Random;

    fn check<T: Real>(sizes: Sizes, least: bool, whole: bool, random: &mut Random) {
        let Sizes { b, i, j, k, t } = sizes;
        let mut numbers = |count: usize| -> Vec<T> {
            let one = |random: &mut Random| if whole { random.below(5) as f64 } else { random.number() };
            (0..count).map(|_| T::from_f64(one(random))).collect()
        };
        let (a, c, g) = (numbers(b * i * j * t), numbers(b * i * k * t), numbers(b * j * k * t));
        for ties in [Ties::Share, Ties::First] {
            let mut product = MaxPlus::new(sizes, least, ties).unwrap();
            let mut y = vec![T::ONE; b * j * k * t];
            product.run(&a, &c, &mut y).unwrap();
            let (mut da, mut dc) = (vec![T::ONE; a.len()], vec![T::ONE; c.len()]);
            product.gradients([&a, &c, &y, &g], Some(&mut da), Some(&mut dc)).unwrap();
            let (mut wanted_a, mut wanted_c) = (vec![0.0; a.len()], vec![0.0; c.len()]);
            for at in 0..y.len() {
                let (lane, to, from, batch) = (at % t, at / t % k, at / t / k % j, at / t / k / j);
                let of_a = |p: usize| ((batch * i + p) * j + from) * t + lane;
                let of_c = |p: usize| ((batch * i + p) * k + to) * t + lane;
                let sums: Vec<T> = (0..i).map(|p| a[of_a(p)] + c[of_c(p)]).collect();
                let better = |x: T, y: T| if (x < y) == least { x } else { y };
                let best = sums.iter().copied().reduce(better).unwrap();
                assert_eq!(y[at], best, "{sizes:?}");
                let equals: Vec<usize> = (0..i).filter(|&p| sums[p] == best).collect();
                let taken = if ties == Ties::First { &equals[..1] } else { &equals[..] };
                for &p in taken {
                    wanted_a[of_a(p)] += g[at].to_f64() / taken.len() as f64;
                    wanted_c[of_c(p)] += g[at].to_f64() / taken.len() as f64;
                }
            }
            for (found, wanted) in da.iter().zip(&wanted_a).chain(dc.iter().zip(&wanted_c)) {
                assert!((found.to_f64() - wanted).abs() < 1e-5 * (1.0 + wanted.abs()), "{sizes:?} {found:?} {wanted}");
            }
            let mut alone = vec![T::ONE; c.len()];
            product.gradients([&a, &c, &y, &g], None, Some(&mut alone)).unwrap();
            assert_eq!(alone, dc);
            let mut alone = vec![T::ONE; a.len()];
            product.gradients([&a, &c, &y, &g], Some(&mut alone), None).unwrap();
            assert_eq!(alone, da);
        }
    }

    #[test]
    fn products_and_their_gradients() {
        let mut random = Random(2);
        for (b, i, j, k, t) in [
            (1, 1, 1, 1, 1),
            (2, 3, 4, 5, 8),
            (1, 4, 2, 100, 5),
            (2, 5, 3, 7, 3),
            (1, 16, 16, 16, 8),
            (2, 4, 4, 4, 8),
            (1, 3, 2, 9, 40),
            (1, 3, 2, 9, 16),
            (3, 2, 5, 33, 1),
            (1, 6, 3, 5, 4),
        ] {
            for (least, whole) in [(false, false), (true, false), (false, true), (true, true)] {
                check::<f32>(Sizes { b, i, j, k, t }, least, whole, &mut random);
                check::<f64>(Sizes { b, i, j, k, t }, least, whole, &mut random);
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_visible() {
        let sizes = Sizes { b: 1, i: 2, j: 1, k: 3, t: 1 };
        let mut product = MaxPlus::new(sizes, false, Ties::Share).unwrap();
        let (a, c) = ([0.0_f32, 1.0], [f32::NAN, 1.0, 2.0, 0.0, 0.5, 3.0]);
        let mut y = [0.0; 3];
        product.run(&a, &c, &mut y).unwrap();
        assert!(y[0].is_nan());
        assert_eq!(y[1..], [1.5, 4.0]);
        let (mut da, mut dc) = ([0.0; 2], [0.0; 6]);
        product.gradients([&a, &c, &y, &[1.0; 3]], Some(&mut da), Some(&mut dc)).unwrap();
        assert!(dc[0].is_nan() && dc[3].is_nan() && da[0].is_nan() && da[1].is_nan());
        assert_eq!([dc[1], dc[2], dc[4], dc[5]], [0.0, 0.0, 1.0, 1.0]);
    }
}
