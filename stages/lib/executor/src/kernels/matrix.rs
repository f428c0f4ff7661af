//! Products of small and of tall matrices.
//!
//! Tiles of the product are kept in registers while the factors are read where they lie: they are not packed, which for
//! such sizes costs about as much as the product.

use std::mem::MaybeUninit;

use super::Real;
use super::vector::{Vector, Work, dispatch};

/// value `[m, n]` = left `[m, k]` times right `[k, n]`, added to what is in value with `accumulate`.
///
/// `sizes` are m, k and n. Strides count elements. Left has one of rows and one of columns, so that a transposed matrix can
/// be given, too; right and value have one of rows, and the elements of their rows are neighbours.
///
/// The same sizes and strides always have the same order of additions.
///
/// # Safety
/// For all i below m, j below n and l below k:
/// * `left + i * row stride + l * column stride` and `right + l * stride + j` have to be readable and initialised;
/// * `value + i * stride + j` has to be writable, with `accumulate` initialised, and another place for each (i, j);
/// * each of the three is within one allocation, and value's places are in none of the others'.
///
/// No other thread may write to any of these places meanwhile, nor read value's.
pub unsafe fn product<T: Real>(
    sizes: [usize; 3],
    left: (*const T, usize, usize),
    right: (*const T, usize),
    value: (*mut T, usize),
    accumulate: bool,
) {
    let [m, k, n] = sizes;
    if m == 0 || n == 0 || (k == 0 && accumulate) {
        return;
    }
    dispatch(Product(Block { sizes, left, right, value, accumulate }));
}

/// Whether [`product`] is quicker than the crate matrixmultiply, which packs both factors; by timings of contiguous matrices
/// with AVX-512 (see the example `matrix`).
///
/// With sizes below 512 it always was: by a tenth to a half for those that are a few hundred each, by two to six times for
/// those that are short in one direction. It gains nothing, and loses at times, where value is large and left is transposed,
/// or else where right is large and there are more than a few rows.
#[must_use]
pub fn is_better([m, k, n]: [usize; 3], left_transposed: bool) -> bool {
    if left_transposed { m.saturating_mul(n) < 1 << 18 } else { m <= 64 || k.saturating_mul(n) < 1 << 22 }
}

/// Terms that are added before the next rows' turn, so that their part of right stays in a near cache.
const TERMS: usize = 256;
/// Bytes of right that are near enough for all its columns to be used before the next rows.
const NEAR: usize = 24 << 10;
/// Rows of left at a time where right is near.
const NEAR_ROWS: usize = 48;
/// Rows of left at a time where right is not, unless left is transposed: then its parts would be short pieces of many pages.
const FAR_ROWS: usize = 512;
/// Columns of value that are turned at a time.
const TURNED: usize = 96;

/// A part of a product that is a product itself: what [`product`] is given, with its promises.
#[derive(Clone, Copy)]
struct Block<T> {
    sizes: [usize; 3],
    left: (*const T, usize, usize),
    right: (*const T, usize),
    value: (*mut T, usize),
    accumulate: bool,
}

impl<T: Real> Block<T> {
    /// Some of the rows, terms and columns: each where they start and how many they are. What comes before in the terms has
    /// been added already.
    #[inline(always)]
    fn part(&self, (i, rows): (usize, usize), (l, terms): (usize, usize), (j, columns): (usize, usize)) -> Self {
        let Self { left, right, value, .. } = *self;
        Self {
            sizes: [rows, terms, columns],
            left: (left.0.wrapping_add(i * left.1 + l * left.2), left.1, left.2),
            right: (right.0.wrapping_add(l * right.1 + j), right.1),
            value: (value.0.wrapping_add(i * value.1 + j), value.1),
            accumulate: self.accumulate || l > 0,
        }
    }
}

/// A whole product.
struct Product<T>(Block<T>);

impl<T: Real> Work<T> for Product<T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self(all) = self;
        let [m, k, n] = all.sizes;
        // The last columns, if they would use at most half of their vectors, and whether there is so much to do for them that
        // something better pays.
        let rest = n % V::WIDTH;
        let narrow = rest > 0 && rest <= V::WIDTH / 2;
        let turn = narrow && all.left.1 == 1 && m >= 16 && k >= 16.max(8 * rest);
        let pack = narrow && all.left.2 == 1 && m >= 16 * rest;
        if !turn && !pack {
            return V::apart(Panels(all));
        }
        if n > rest {
            V::apart(Panels(all.part((0, m), (0, k), (0, n - rest))));
        }
        let last = all.part((0, m), (0, k), (n - rest, rest));
        if turn {
            V::apart(Turned(last));
        } else if rest <= V::WIDTH / 4 {
            V::apart(Narrow::<T, 4>(last));
        } else {
            V::apart(Narrow::<T, 2>(last));
        }
    }
}

/// A product in parts of some rows, terms and columns.
struct Panels<T>(Block<T>);

impl<T: Real> Work<T> for Panels<T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self(all) = self;
        let [m, k, n] = all.sizes;
        // Only wide vectors have twice as many registers as others.
        let most = if size_of::<V>() == 64 { 3 } else { 2 };
        let vectors = n.div_ceil(V::WIDTH);
        let panels = vectors.div_ceil(most);
        let rows = if k.min(TERMS) * n * size_of::<T>() <= NEAR {
            NEAR_ROWS
        } else if all.left.1 == 1 {
            m
        } else {
            FAR_ROWS
        };
        let mut l = 0;
        loop {
            let terms = TERMS.min(k - l);
            let mut i = 0;
            while i < m {
                let height = rows.min(m - i);
                let mut start = 0;
                for number in 1..=panels {
                    let end = vectors * number / panels;
                    let (from, to) = (start * V::WIDTH, n.min(end * V::WIDTH));
                    let part = all.part((i, height), (l, terms), (from, to - from));
                    match (end - start, size_of::<V>() == 64) {
                        (1, true) => panel::<T, V, 12, 1>(part),
                        (2, true) => panel::<T, V, 12, 2>(part),
                        (_, true) => panel::<T, V, 8, 3>(part),
                        (1, false) => panel::<T, V, 8, 1>(part),
                        (_, false) => panel::<T, V, 6, 2>(part),
                    }
                    start = end;
                }
                i += height;
            }
            l += terms;
            if l >= k {
                break;
            }
        }
    }
}

/// Columns that are `N` vectors, the last of them perhaps in part.
#[inline(always)]
fn panel<T: Real, V: Vector<T>, const R: usize, const N: usize>(block: Block<T>) {
    match (block.left.1 == 1, block.sizes[2] == N * V::WIDTH) {
        (false, false) => V::apart(Panel::<T, R, N, false, false>(block)),
        (false, true) => V::apart(Panel::<T, R, N, false, true>(block)),
        (true, false) => V::apart(Panel::<T, R, N, true, false>(block)),
        (true, true) => V::apart(Panel::<T, R, N, true, true>(block)),
    }
}

/// Columns that are `N` vectors, `WHOLE` or the last of them in part, in tiles of `R` rows and of fewer that are left. With
/// `NEIGHBOURS`, left's stride of rows is 1.
struct Panel<T, const R: usize, const N: usize, const NEIGHBOURS: bool, const WHOLE: bool>(Block<T>);

impl<T: Real, const R: usize, const N: usize, const NEIGHBOURS: bool, const WHOLE: bool> Work<T>
    for Panel<T, R, N, NEIGHBOURS, WHOLE>
{
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self(block) = &self;
        let m = block.sizes[0];
        let mut i = 0;
        // SAFETY: all of these tiles are rows of the block.
        unsafe {
            while i + R <= m {
                tile::<T, V, R, N, NEIGHBOURS, WHOLE>(block, i);
                i += R;
            }
            if R > 8 && i + 8 <= m {
                tile::<T, V, 8, N, NEIGHBOURS, WHOLE>(block, i);
                i += 8;
            }
            if i + 4 <= m {
                tile::<T, V, 4, N, NEIGHBOURS, WHOLE>(block, i);
                i += 4;
            }
            if i + 2 <= m {
                tile::<T, V, 2, N, NEIGHBOURS, WHOLE>(block, i);
                i += 2;
            }
            if i < m {
                tile::<T, V, 1, N, NEIGHBOURS, WHOLE>(block, i);
            }
        }
    }
}

/// `R` rows of a panel, from i on.
///
/// # Safety
/// The block has these rows, and columns as [`Panel`] says.
#[inline(always)]
unsafe fn tile<T: Real, V: Vector<T>, const R: usize, const N: usize, const NEIGHBOURS: bool, const WHOLE: bool>(
    block: &Block<T>,
    i: usize,
) {
    let Block { sizes: [_, terms, columns], left, right, value, accumulate } = *block;
    let row = if NEIGHBOURS { 1 } else { left.1 };
    let last = columns - (N - 1) * V::WIDTH;
    let value = (value.0.wrapping_add(i * value.1), value.1);
    let mut sums = [[V::splat(T::ZERO); N]; R];
    if accumulate {
        for r in 0..R {
            for v in 0..N {
                let from = value.0.wrapping_add(r * value.1 + v * V::WIDTH);
                // SAFETY: places of value, which is initialised; the last vector of a row has `last` of them.
                sums[r][v] = unsafe { if WHOLE || v + 1 < N { V::load(from) } else { V::load_part(from, last) } };
            }
        }
    }
    let mut rows = [left.0; R];
    for r in 0..R {
        rows[r] = left.0.wrapping_add((i + r) * row);
    }
    let mut from = right.0;
    let mut at = 0;
    for _ in 0..terms {
        let mut factors = [V::splat(T::ZERO); N];
        for v in 0..N {
            let from = from.wrapping_add(v * V::WIDTH);
            // SAFETY: places of right, of which a row has as many as one of value.
            factors[v] = unsafe { if WHOLE || v + 1 < N { V::load(from) } else { V::load_part(from, last) } };
        }
        for r in 0..R {
            // SAFETY: a place of left.
            let factor = V::splat(unsafe { *rows[r].wrapping_add(at) });
            for v in 0..N {
                sums[r][v] = factor.mul_add(factors[v], sums[r][v]);
            }
        }
        from = from.wrapping_add(right.1);
        at += left.2;
    }
    for r in 0..R {
        for v in 0..N {
            let to = value.0.wrapping_add(r * value.1 + v * V::WIDTH);
            // SAFETY: places of value, as above.
            unsafe { if WHOLE || v + 1 < N { sums[r][v].store(to) } else { sums[r][v].store_part(to, last) } }
        }
    }
}

/// A product of few columns whose left is transposed: right's transpose times left's, so that vectors go along left's
/// rows.
struct Turned<T>(Block<T>);

impl<T: Real> Work<T> for Turned<T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self(block) = self;
        let [m, k, n] = block.sizes;
        // [n, TURNED]; there are at most 8 columns.
        let mut turned = MaybeUninit::<[T; 8 * TURNED]>::uninit();
        let turned: *mut T = turned.as_mut_ptr().cast();
        let mut i = 0;
        while i < m {
            let rows = TURNED.min(m - i);
            let value = (block.value.0.wrapping_add(i * block.value.1), block.value.1);
            if block.accumulate {
                for row in 0..rows {
                    for column in 0..n {
                        // SAFETY: places of value, which is initialised, and of the buffer.
                        unsafe { *turned.add(column * TURNED + row) = *value.0.wrapping_add(row * value.1 + column) };
                    }
                }
            }
            V::apart(Panels(Block {
                sizes: [n, k, rows],
                left: (block.right.0, 1, block.right.1),
                right: (block.left.0.wrapping_add(i), block.left.2),
                value: (turned, TURNED),
                accumulate: block.accumulate,
            }));
            for row in 0..rows {
                for column in 0..n {
                    // SAFETY: as above; the product has written to the buffer.
                    unsafe { *value.0.wrapping_add(row * value.1 + column) = *turned.add(column * TURNED + row) };
                }
            }
            i += rows;
        }
    }
}

/// A product of few columns, at most a vector's lanes over `S`, where left's rows are contiguous: `S` terms, 2 or 4, lie
/// next to each other in a vector, and are added at last.
struct Narrow<T, const S: usize>(Block<T>);

impl<T: Real, const S: usize> Work<T> for Narrow<T, S> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self(all) = self;
        let [m, k, n] = all.sizes;
        // [groups of S terms, V::WIDTH / S columns, S]: with 64 bytes for a group of two at most, or of four.
        let mut buffer = MaybeUninit::<[T; TERMS * 8]>::uninit();
        let buffer: *mut T = buffer.as_mut_ptr().cast();
        let mut l = 0;
        loop {
            let terms = TERMS.min(k - l);
            let block = all.part((0, m), (l, terms), (0, n));
            let groups = terms / S;
            for group in 0..groups {
                // SAFETY: a group of the buffer, which has half a vector for each term.
                unsafe { V::splat(T::ZERO).store(buffer.add(group * V::WIDTH)) };
            }
            for term in 0..groups * S {
                let from = block.right.0.wrapping_add(term * block.right.1);
                let to = buffer.wrapping_add(term / S * V::WIDTH + term % S);
                for column in 0..n {
                    // SAFETY: places of right and of the buffer.
                    unsafe { *to.wrapping_add(column * S) = *from.wrapping_add(column) };
                }
            }
            let mut i = 0;
            // SAFETY: all of these tiles are rows of the block, and the buffer is as they want it.
            unsafe {
                while i + 8 <= m {
                    narrow_tile::<T, V, 8, S>(&block, buffer, i);
                    i += 8;
                }
                if i + 4 <= m {
                    narrow_tile::<T, V, 4, S>(&block, buffer, i);
                    i += 4;
                }
                while i < m {
                    narrow_tile::<T, V, 1, S>(&block, buffer, i);
                    i += 1;
                }
            }
            l += terms;
            if l >= k {
                break;
            }
        }
    }
}

/// `R` rows, from i on, of a narrow product.
///
/// # Safety
/// The block has these rows, at most `V::WIDTH / S` columns, and a stride of left's columns of 1. In `right` are
/// `[groups of S terms, V::WIDTH / S columns, S]`, and 0 in places that the matrix does not have.
#[inline(always)]
unsafe fn narrow_tile<T: Real, V: Vector<T>, const R: usize, const S: usize>(
    block: &Block<T>,
    packed: *const T,
    i: usize,
) {
    let Block { sizes: [_, terms, columns], left, right, value, accumulate } = *block;
    let mut sums = [V::splat(T::ZERO); R];
    let mut rows = [left.0; R];
    for r in 0..R {
        rows[r] = left.0.wrapping_add((i + r) * left.1);
    }
    for group in 0..terms / S {
        // SAFETY: a group of the buffer.
        let factor = unsafe { V::load(packed.add(group * V::WIDTH)) };
        for r in 0..R {
            let from = rows[r].wrapping_add(group * S);
            // SAFETY: S neighbouring places of left.
            sums[r] = unsafe { if S == 2 { V::pair(from) } else { V::quad(from) } }.mul_add(factor, sums[r]);
        }
    }
    for r in 0..R {
        let mut sum = sums[r].pair_sums();
        if S == 4 {
            sum = sum.pair_sums();
        }
        for term in terms / S * S..terms {
            // SAFETY: places of left and of a row of right.
            unsafe {
                let factor = V::splat(*rows[r].wrapping_add(term));
                sum = factor.mul_add(V::load_part(right.0.wrapping_add(term * right.1), columns), sum);
            }
        }
        let to = value.0.wrapping_add((i + r) * value.1);
        // SAFETY: a row of value, which is initialised where it is read.
        unsafe {
            if accumulate {
                sum = V::load_part(to, columns).add(sum);
            }
            sum.store_part(to, columns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::Random;
    use crate::kernels::vector::Level;

    /// Numbers, and NaN in places that are not to be read.
    fn numbers<T: Real>(len: usize, used: impl IntoIterator<Item = usize>, random: &mut Random) -> Vec<T> {
        let mut numbers = vec![T::NAN; len];
        for at in used {
            numbers[at] = T::from_f64(random.number());
        }
        numbers
    }

    fn places([rows, columns]: [usize; 2], [row, column]: [usize; 2]) -> Vec<usize> {
        (0..rows * columns).map(|at| at / columns * row + at % columns * column).collect()
    }

    /// The length of a buffer that has just these places.
    fn len(places: &[usize]) -> usize {
        places.iter().max().map_or(0, |&last| last + 1)
    }

    /// Strides of left as one chooses them: contiguous columns, contiguous rows, neither.
    fn left_strides([m, k]: [usize; 2], layout: usize, gap: usize) -> [usize; 2] {
        match layout {
            0 => [k + gap, 1],
            1 => [1, m + gap],
            _ => [2 * (k + gap), 2],
        }
    }

    fn check<T: Real>(sizes: [usize; 3], layout: usize, gaps: [usize; 3], tolerance: f64, random: &mut Random) {
        let [m, k, n] = sizes;
        let [row, column] = left_strides([m, k], layout, gaps[0]);
        let (right_stride, value_stride) = (n + gaps[1], n + gaps[2]);
        let (left_at, right_at) = (places([m, k], [row, column]), places([k, n], [right_stride, 1]));
        let value_at = places([m, n], [value_stride, 1]);
        let left: Vec<T> = numbers(len(&left_at), left_at, random);
        let right: Vec<T> = numbers(len(&right_at), right_at, random);
        let before: Vec<T> = numbers(len(&value_at), value_at.iter().copied(), random);
        for (level, accumulate) in Level::all().into_iter().flat_map(|level| [(level, false), (level, true)]) {
            let mut value = before.clone();
            if !accumulate {
                value_at.iter().for_each(|&at| value[at] = T::NAN);
            }
            let block = Block {
                sizes,
                left: (left.as_ptr(), row, column),
                right: (right.as_ptr(), right_stride),
                value: (value.as_mut_ptr(), value_stride),
                accumulate,
            };
            if m > 0 && n > 0 {
                T::dispatch(level, Product(block));
            }
            for i in 0..m {
                for j in 0..n {
                    let terms =
                        (0..k).map(|l| left[i * row + l * column].to_f64() * right[l * right_stride + j].to_f64());
                    let start = if accumulate { before[i * value_stride + j].to_f64() } else { 0.0 };
                    let (wanted, found) = (start + terms.sum::<f64>(), value[i * value_stride + j].to_f64());
                    assert!(
                        (found - wanted).abs() <= tolerance * (k + 1) as f64,
                        "[{i}, {j}] of {sizes:?}, {level:?}, layout {layout}, gaps {gaps:?}, accumulate {accumulate}: \
                         {found}, not {wanted}"
                    );
                }
            }
            let mut outside = vec![true; value.len()];
            value_at.iter().for_each(|&at| outside[at] = false);
            assert!(value.iter().zip(outside).all(|(x, outside)| !outside || x.to_f64().is_nan()), "{sizes:?}");
        }
    }

    #[test]
    fn random_products() {
        let mut random = Random(11);
        for _ in 0..400 {
            let sizes = [random.below(70), random.below(70), random.below(70)];
            let layout = random.below(3);
            let mut gap = || if random.below(2) == 0 { 0 } else { random.below(20) };
            let gaps = [gap(), gap(), gap()];
            check::<f32>(sizes, layout, gaps, 1e-6, &mut random);
            check::<f64>(sizes, layout, gaps, 1e-15, &mut random);
        }
    }

    /// All numbers of columns and remainders of rows.
    #[test]
    fn every_width() {
        let mut random = Random(12);
        for n in 0..70 {
            for m in [1, 7, 16, 23, 31] {
                for layout in 0..3 {
                    let sizes = [m, 1 + random.below(40), n];
                    check::<f32>(sizes, layout, [1, 2, 3], 1e-6, &mut random);
                    check::<f64>(sizes, layout, [1, 2, 3], 1e-15, &mut random);
                }
            }
        }
    }

    /// More terms, rows and columns than are taken at a time.
    #[test]
    fn long_sums_and_many_rows() {
        let mut random = Random(13);
        for sizes in [[3, 700, 40], [130, 257, 5], [20, 513, 3], [200, 300, 8], [250, 30, 36], [33, 520, 137]] {
            for layout in 0..3 {
                check::<f32>(sizes, layout, [0, 1, 2], 1e-6, &mut random);
                check::<f64>(sizes, layout, [2, 1, 0], 1e-15, &mut random);
            }
        }
    }

    #[test]
    fn the_rule_knows_small_from_large() {
        assert!(is_better([2048, 32, 32], false) && is_better([32, 2048, 32], true) && is_better([600, 64, 384], true));
        assert!(!is_better([2048, 2048, 2048], false) && !is_better([1024, 1024, 1024], true));
        assert!(!is_better([1024, usize::MAX, usize::MAX], false));
    }

    /// Lanes and terms that a matrix does not have are not zeros that infinities could meet.
    #[test]
    fn infinities_stay_where_they_are() {
        for n in [1, 3, 7, 20] {
            for k in [1, 2, 3, 21] {
                let m = 24;
                for (row, column) in [(k, 1), (1, m)] {
                    let mut left = vec![1.0_f32; m * k];
                    left[5 * row + (k - 1) * column] = f32::INFINITY;
                    let right = vec![1.0_f32; k * n];
                    let mut value = vec![0.0_f32; m * n];
                    // SAFETY: the vectors have these sizes.
                    unsafe {
                        product(
                            [m, k, n],
                            (left.as_ptr(), row, column),
                            (right.as_ptr(), n),
                            (value.as_mut_ptr(), n),
                            false,
                        );
                    }
                    for (at, &x) in value.iter().enumerate() {
                        assert_eq!(
                            x,
                            if at / n == 5 { f32::INFINITY } else { k as f32 },
                            "{at} of {n} columns, {k} terms"
                        );
                    }
                }
            }
        }
    }
}
