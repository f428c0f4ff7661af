//! Sums of products over shared axes, as matrix products on strided memory.
//!
//! Any product of two tensors is a loop nest in which each axis belongs to some of left operand, right operand and value.
//! Axes that lie behind each other are joined; then the longest of each kind make one matrix product, and the others are
//! loops around it. Nothing is copied or transposed first: the kernel reads any strides.

use crate::kernels::bfloat16::{self, Factor, Right, Unit};
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

    /// The same product with the operands' roles exchanged where the value's rows are neighbours and its columns are not, and
    /// whether they were: kernels for tiles write rows.
    pub fn upright(mut self) -> (Self, bool) {
        let turn = self.columns.value != 1 && self.rows.value == 1 && self.columns.size > 1;
        if turn {
            let exchanged = |axis: Axis, kind: Kind| Axis { left: axis.right, right: axis.left, kind, ..axis };
            (self.rows, self.columns) = (exchanged(self.columns, Kind::Rows), exchanged(self.rows, Kind::Columns));
            self.inner = exchanged(self.inner, Kind::Inner);
            for axis in &mut self.loops {
                let kind = match axis.kind {
                    Kind::Rows => Kind::Columns,
                    Kind::Columns => Kind::Rows,
                    same => same,
                };
                *axis = exchanged(*axis, kind);
            }
        }
        (self, turn)
    }

    /// Rows, inner, columns of the matrices.
    pub fn sizes(&self) -> [usize; 3] {
        [self.rows.size, self.inner.size, self.columns.size]
    }

    /// Whether one matrix of the right operand serves all matrices of the left one.
    pub fn has_one_right(&self) -> bool {
        self.loops.iter().all(|axis| axis.right == 0 && axis.kind != Kind::Inner)
    }

    /// The right operand's matrix, of which `start` is the first element.
    pub fn right(&self, start: *const f32) -> Factor {
        Factor { start, lane: self.columns.right, term: self.inner.right }
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
        self.each(|[of_left, of_right, of_value], first| {
            // SAFETY: the offsets lie within what the axes reach.
            unsafe {
                T::gemm(
                    self.sizes(),
                    (left.add(of_left), self.rows.left, self.inner.left),
                    (right.add(of_right), self.inner.right, self.columns.right),
                    (value.add(of_value), self.rows.value, self.columns.value),
                    accumulate || !first,
                );
            }
        });
    }

    /// As [`Product::run`], with operands rounded to bfloat16. With [`Right::Packed`] there [is one](Product::has_one_right).
    ///
    /// # Safety
    /// As there; `room` is as [`bfloat16::product`] says, and `unit` one of [`Unit::all`].
    pub unsafe fn run_rounded(
        &self,
        unit: Unit,
        left: *const f32,
        right: Right,
        value: *mut f32,
        accumulate: bool,
        room: *mut u8,
    ) {
        self.each(|[of_left, of_right, of_value], first| {
            let right = match right {
                Right::Plain(factor) => Right::Plain(Factor { start: factor.start.wrapping_add(of_right), ..factor }),
                packed @ Right::Packed(_) => packed,
            };
            // SAFETY: the offsets lie within what the axes reach.
            unsafe {
                let left = Factor { start: left.add(of_left), lane: self.rows.left, term: self.inner.left };
                let value = (value.add(of_value), self.rows.value, self.columns.value);
                bfloat16::product(unit, self.sizes(), left, right, value, accumulate || !first, room);
            }
        });
    }

    /// Calls `multiply` for each matrix product, with where left, right and value begin, and whether it is the first that
    /// writes to its value.
    fn each(&self, mut multiply: impl FnMut([usize; 3], bool)) {
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
            multiply([offset(|axis| axis.left), offset(|axis| axis.right), offset(|axis| axis.value)], first);
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
