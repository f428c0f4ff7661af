//! Sums of products over shared axes, as matrix products on strided memory.
//!
//! Any product of two tensors is a loop nest in which each axis belongs to some of left operand, right operand and value.
//! Axes that lie behind each other are joined; then the longest of each kind make one matrix product, and the others are
//! loops around it. Nothing is copied or transposed first: the kernel reads any strides.

use crate::kernels::{Real, matrix};

/// An axis of the loop nest; strides are in elements, 0 where a tensor does not have the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub size: usize,
    pub left: usize,
    pub right: usize,
    pub value: usize,
    pub kind: Kind,
}

/// Which tensors have an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Left operand and value.
    Rows,
    /// Right operand and value.
    Columns,
    /// Both operands: it is summed over.
    Inner,
    /// All three.
    Batch,
}

/// Axes around a matrix product, at the most.
const MOST_LOOPS: usize = 16;
/// Rows of a product, at the least, for which its right operand is transposed first.
const OFTEN: usize = 32;

/// A loop nest as matrix products.
#[derive(Clone, Debug)]
pub(super) struct Product {
    rows: Axis,
    columns: Axis,
    inner: Axis,
    loops: Vec<Axis>,
}

impl Product {
    /// Whether the right operand's columns lie apart and its rows do not, so that a transposed copy of it is worth its time:
    /// where each of its elements is used often enough.
    pub fn wants_transposed(&self) -> Option<[usize; 2]> {
        let apart = self.columns.right != 1 && self.inner.right == 1 && self.columns.size > 1 && self.inner.size > 1;
        let plain = self.loops.is_empty() && self.columns.value == 1;
        (apart && plain && self.rows.size >= OFTEN).then_some([self.inner.size, self.columns.size])
    }

    /// The strides of inner and columns in the right operand.
    pub fn right_strides(&self) -> [usize; 2] {
        [self.inner.right, self.columns.right]
    }

    /// The same product with a right operand without gaps, rows being inner.
    pub fn with_packed_right(mut self) -> Self {
        self.inner.right = self.columns.size;
        self.columns.right = 1;
        self
    }

    /// The product over these axes, outermost first; `None` where there are too many.
    pub fn new(axes: &[Axis]) -> Option<Self> {
        let mut joined: Vec<Axis> = Vec::new();
        for &axis in axes.iter().filter(|axis| axis.size != 1) {
            match joined.last_mut().filter(|outer| continues(outer, &axis)) {
                Some(outer) => *outer = Axis { size: outer.size * axis.size, ..axis },
                None => joined.push(axis),
            }
        }
        let mut take = |kind: Kind| -> Axis {
            let longest = (0..joined.len()).filter(|&at| joined[at].kind == kind).max_by_key(|&at| joined[at].size);
            match longest {
                Some(at) => joined.remove(at),
                None => Axis { size: 1, left: 1, right: 1, value: 1, kind },
            }
        };
        let (rows, columns, inner) = (take(Kind::Rows), take(Kind::Columns), take(Kind::Inner));
        // Sums come last, so that each matrix product is finished before the next.
        joined.sort_by_key(|axis| axis.kind == Kind::Inner);
        (joined.len() <= MOST_LOOPS).then_some(Self { rows, columns, inner, loops: joined })
    }

    /// Its sizes, for people.
    pub fn label(&self) -> String {
        let times: usize = self.loops.iter().map(|axis| axis.size).product();
        format!("product {} x {} x {}, {times} times", self.rows.size, self.inner.size, self.columns.size)
    }

    /// Computes the value, or with `accumulate` adds to it.
    ///
    /// # Safety
    /// The pointers are valid for all elements that the axes reach, and the value's memory overlaps with no operand's.
    pub unsafe fn run<T: Real + Gemm>(&self, left: *const T, right: *const T, value: *mut T, accumulate: bool) {
        // Most products are one.
        let mut room = [0_usize; MOST_LOOPS];
        let Some(place) = room.get_mut(..self.loops.len()) else { return };
        if self.loops.iter().any(|axis| axis.size == 0) {
            return;
        }
        loop {
            let offset = |stride: fn(&Axis) -> usize| -> usize {
                self.loops.iter().zip(place.iter()).map(|(axis, at)| stride(axis) * at).sum()
            };
            let first = self.loops.iter().zip(place.iter()).all(|(axis, &at)| axis.kind != Kind::Inner || at == 0);
            // SAFETY: the offsets lie within what the axes reach.
            unsafe {
                T::gemm(
                    [self.rows.size, self.inner.size, self.columns.size],
                    (left.add(offset(|axis| axis.left)), self.rows.left, self.inner.left),
                    (right.add(offset(|axis| axis.right)), self.inner.right, self.columns.right),
                    (value.add(offset(|axis| axis.value)), self.rows.value, self.columns.value),
                    accumulate || !first,
                );
            }
            let mut axis = self.loops.len();
            loop {
                let Some(next) = axis.checked_sub(1) else { return };
                axis = next;
                place[axis] += 1;
                if place[axis] < self.loops[axis].size {
                    break;
                }
                place[axis] = 0;
            }
        }
    }
}

/// Whether `inner` goes on where `outer`'s steps leave off, in every tensor.
fn continues(outer: &Axis, inner: &Axis) -> bool {
    outer.kind == inner.kind
        && outer.left == inner.left * inner.size
        && outer.right == inner.right * inner.size
        && outer.value == inner.value * inner.size
}

/// A type that matrices can be multiplied in.
pub(crate) trait Gemm: Sized {
    /// `value = left right`, or added to it: sizes are rows, inner, columns; of each matrix the strides between rows and
    /// between columns.
    ///
    /// # Safety
    /// As [`Product::run`].
    unsafe fn gemm(
        sizes: [usize; 3],
        left: (*const Self, usize, usize),
        right: (*const Self, usize, usize),
        value: (*mut Self, usize, usize),
        accumulate: bool,
    );
}

macro_rules! gemm {
    ($type:ty, $function:path) => {
        impl Gemm for $type {
            unsafe fn gemm(
                [m, k, n]: [usize; 3],
                (a, rsa, csa): (*const Self, usize, usize),
                (b, rsb, csb): (*const Self, usize, usize),
                (c, rsc, csc): (*mut Self, usize, usize),
                accumulate: bool,
            ) {
                let neighbours = (csb == 1 || n == 1) && (csc == 1 || n == 1);
                if neighbours && matrix::is_better([m, k, n], rsa == 1 && csa != 1) {
                    // SAFETY: as the caller promises.
                    unsafe { matrix::product([m, k, n], (a, rsa, csa), (b, rsb), (c, rsc), accumulate) };
                    return;
                }
                let beta = if accumulate { 1.0 } else { 0.0 };
                let stride = |stride: usize| isize::try_from(stride).unwrap_or(isize::MAX);
                // SAFETY: as the caller promises.
                unsafe {
                    $function(
                        m,
                        k,
                        n,
                        1.0,
                        a,
                        stride(rsa),
                        stride(csa),
                        b,
                        stride(rsb),
                        stride(csb),
                        beta,
                        c,
                        stride(rsc),
                        stride(csc),
                    );
                }
            }
        }
    };
}

gemm!(f32, matrixmultiply::sgemm);
gemm!(f64, matrixmultiply::dgemm);
