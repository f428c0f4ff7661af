//! Copies between strided tensors: permutations, transposes, slices, broadcasts, concatenation.

use super::real::Real;
use super::{KernelError, check_length, count};

/// Axes of a copy, at the most.
pub const MOST_AXES: usize = 8;

/// Rows and columns of a block that is transposed in the first-level cache.
const BLOCK: usize = 16;

/// Where a tensor's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places<'a> {
    /// Where the first element is, in elements.
    pub start: usize,
    /// In elements, one for each axis of the shape.
    pub strides: &'a [usize],
}

impl Places<'_> {
    /// How long the tensor has to be.
    fn length(&self, shape: &[usize]) -> Result<usize, KernelError> {
        let (got, wanted) = (self.strides.len(), shape.len());
        if got != wanted || wanted > MOST_AXES {
            return Err(KernelError::Rank { what: "tensor", number: 0, got, wanted });
        }
        if shape.contains(&0) {
            return Ok(0);
        }
        let along = |last: usize, (&size, &stride): (&usize, &usize)| last.checked_add((size - 1).checked_mul(stride)?);
        let last = shape.iter().zip(self.strides).try_fold(self.start, along);
        last.and_then(|last| last.checked_add(1)).ok_or(KernelError::Range)
    }
}

/// One axis of a copy: its size, and the strides of source and target.
#[derive(Clone, Copy, Debug, Default)]
struct Axis {
    size: usize,
    from: usize,
    to: usize,
}

/// Copies a view of `x` with this shape to a window of `y`. Source strides may be 0, or permute, or leave gaps; places of
/// the target have to differ. For a contiguous target its strides are the packed ones; for a part of a concatenation they
/// are those of the whole.
///
/// # Errors
/// Where a slice is too short, there are more than [`MOST_AXES`] axes, or strides do not fit the shape.
pub fn copy<T: Real>(
    shape: &[usize],
    x: &[T],
    from: Places<'_>,
    y: &mut [T],
    to: Places<'_>,
) -> Result<(), KernelError> {
    check_length("input", 0, x.len(), from.length(shape)?)?;
    check_length("output", 0, y.len(), to.length(shape)?)?;
    if count(shape)? == 0 {
        return Ok(());
    }
    let mut axes = [Axis::default(); MOST_AXES];
    let used = merge(shape, from.strides, to.strides, &mut axes);
    walk(&axes[..used], x, from.start, y, to.start);
    Ok(())
}

/// Fills a window of `y` with a number.
///
/// # Errors
/// As [`copy`].
pub fn fill<T: Real>(shape: &[usize], value: T, y: &mut [T], to: Places<'_>) -> Result<(), KernelError> {
    copy(shape, &[value], Places { start: 0, strides: &[0; MOST_AXES][..shape.len().min(MOST_AXES)] }, y, to)
}

/// Row-major strides of a contiguous tensor.
pub fn packed<const N: usize>(shape: [usize; N]) -> [usize; N] {
    let mut strides = [1; N];
    for axis in (1..N).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Drops axes of size 1 and merges those that source and target go through alike; answers how many are left.
fn merge(shape: &[usize], from: &[usize], to: &[usize], axes: &mut [Axis; MOST_AXES]) -> usize {
    let mut used = 0;
    for ((&size, &from), &to) in shape.iter().zip(from).zip(to).filter(|((size, _), _)| **size != 1) {
        match axes[..used].last_mut() {
            Some(last) if last.from == from * size && last.to == to * size => {
                *last = Axis { size: last.size * size, from, to };
            }
            _ => {
                axes[used] = Axis { size, from, to };
                used += 1;
            }
        }
    }
    used
}

fn walk<T: Real>(axes: &[Axis], x: &[T], from: usize, y: &mut [T], to: usize) {
    match axes {
        [] => y[to] = x[from],
        [lanes] => line(*lanes, &x[from..], &mut y[to..]),
        [rows, lanes] if lanes.to == 1 && lanes.from > 1 && rows.from == 1 => {
            transpose(*rows, *lanes, &x[from..], &mut y[to..]);
        }
        [rows, lanes] if rows.to == 1 && lanes.to > 1 && lanes.from == 1 => {
            transpose(*lanes, *rows, &x[from..], &mut y[to..]);
        }
        [rows, lanes] if lanes.from == 1 && lanes.to == 1 => {
            for row in 0..rows.size {
                piece(&x[from + row * rows.from..][..lanes.size], &mut y[to + row * rows.to..][..lanes.size]);
            }
        }
        [first, rest @ ..] => {
            for place in 0..first.size {
                walk(rest, x, from + place * first.from, y, to + place * first.to);
            }
        }
    }
}

/// Along one axis.
#[inline(always)]
fn line<T: Real>(Axis { size, from, to }: Axis, x: &[T], y: &mut [T]) {
    match (from, to) {
        (1, 1) => piece(&x[..size], &mut y[..size]),
        (0, 1) => y[..size].fill(x[0]),
        (0, _) => y.iter_mut().step_by(to.max(1)).take(size).for_each(|y| *y = x[0]),
        _ => {
            let from = x.iter().step_by(from).take(size);
            y.iter_mut().step_by(to.max(1)).zip(from).for_each(|(y, x)| *y = *x);
        }
    }
}

/// As many elements, in one piece. Short ones are not worth a call.
#[inline(always)]
fn piece<T: Real>(x: &[T], y: &mut [T]) {
    const SHORT: usize = 8;
    if x.len() > 8 * SHORT {
        return y.copy_from_slice(x);
    }
    let ((from, x), (to, y)) = (x.as_chunks::<SHORT>(), y.as_chunks_mut::<SHORT>());
    to.iter_mut().zip(from).for_each(|(y, x)| *y = *x);
    y.iter_mut().zip(x).for_each(|(y, x)| *y = *x);
}

/// The source has the elements of a column next to each other, the target those of a row.
fn transpose<T: Real>(rows: Axis, lanes: Axis, x: &[T], y: &mut [T]) {
    for row in (0..rows.size).step_by(BLOCK) {
        for lane in (0..lanes.size).step_by(BLOCK) {
            let (height, width) = (BLOCK.min(rows.size - row), BLOCK.min(lanes.size - lane));
            let mut block = [[T::ZERO; BLOCK]; BLOCK];
            for (at, block) in block.iter_mut().enumerate().take(width) {
                let from = &x[(lane + at) * lanes.from + row..][..height];
                block[..height].copy_from_slice(from);
            }
            for at in 0..height {
                let to = &mut y[(row + at) * rows.to + lane..][..width];
                for (to, block) in to.iter_mut().zip(&block) {
                    *to = block[at];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::Random;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn permuted_windows(seed in any::<u64>()) {
            let mut random = Random(seed);
            let rank = random.below(6);
            let shape: Vec<usize> = (0..rank).map(|_| [0, 1, 2, 3, 5, 8, 16, 17, 33][1 + random.below(8)]).collect();
            let strides = |random: &mut Random, broadcast: bool| {
                let mut order: Vec<usize> = (0..rank).collect();
                (0..rank).for_each(|x| if random.below(3) == 0 { order.swap(x, random.below(rank)) });
                let (mut strides, mut size) = (vec![0; rank], 1 + random.below(2));
                for &axis in order.iter().rev() {
                    if broadcast && random.below(5) == 0 {
                        continue;
                    }
                    strides[axis] = size;
                    size *= shape[axis] + random.below(2) * random.below(3);
                }
                (strides, size)
            };
            prop_assume!(shape.iter().product::<usize>() < 50_000);
            let (from, x_size) = strides(&mut random, true);
            let (to, y_size) = strides(&mut random, false);
            let x: Vec<f32> = (0..x_size + 2).map(|x| x as f32).collect();
            let mut y = vec![-1.0; y_size + 1];
            let mut wanted = y.clone();
            for at in 0..shape.iter().product() {
                let (mut rest, mut source, mut target) = (at, 2, 1);
                for axis in (0..rank).rev() {
                    source += rest % shape[axis] * from[axis];
                    target += rest % shape[axis] * to[axis];
                    rest /= shape[axis];
                }
                wanted[target] = x[source];
            }
            copy(&shape, &x, Places { start: 2, strides: &from }, &mut y, Places { start: 1, strides: &to }).unwrap();
            prop_assert_eq!(&y, &wanted);
            fill(&shape, 7.0, &mut y, Places { start: 1, strides: &to }).unwrap();
            prop_assert_eq!(y.iter().filter(|y| **y == 7.0).count() >= shape.iter().product(), true);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let places = |strides| Places { start: 0, strides };
        let mut y = [0.0_f32; 4];
        assert!(copy(&[2, 2], &[1.0; 3], places(&[2, 1]), &mut y, places(&[2, 1])).is_err());
        assert!(copy(&[2, 2], &[1.0; 4], places(&[2]), &mut y, places(&[2, 1])).is_err());
        assert!(copy(&[2, 3], &[1.0; 6], places(&[3, 1]), &mut y, places(&[3, 1])).is_err());
        assert!(copy(&[2, 2], &[1.0; 4], places(&[usize::MAX, 1]), &mut y, places(&[2, 1])).is_err());
        copy(&[0, 2], &[], places(&[2, 1]), &mut y, places(&[2, 1])).unwrap();
        assert_eq!(packed([2, 3, 4]), [12, 4, 1]);
    }
}
