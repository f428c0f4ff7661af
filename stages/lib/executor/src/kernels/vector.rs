//! Vectors of the processor's width, and the choice among them at run time.
//!
//! Kernels are written once, generic over [`Vector`], and compiled for each instruction set. Everything that runs inside
//! [`Work::run`] has to be `#[inline(always)]`, because a function keeps the instructions that it was compiled for; this is
//! also why there are macros and plain loops here where closures would be shorter.

mod plain;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::Real;

pub(crate) use plain::{Pack, with_plain};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{with_avx2, with_avx512};

/// The instruction sets that kernels are compiled for.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// What every processor of the architecture has.
    Plain,
    Avx2,
    Avx512,
}

impl Level {
    /// The widest that this processor has.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw");
            if avx2 && avx512 {
                return Self::Avx512;
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Plain
    }

    /// The one for rows of so many lanes: those that are half a vector of the widest kind are a whole one of the next.
    /// Masks would cost more, and what was written under a mask is slow to be read again.
    pub(crate) fn for_lanes<T: Real>(self, lanes: usize) -> Self {
        if self == Self::Avx512 && lanes == T::width(Self::Avx2) { Self::Avx2 } else { self }
    }
}

#[cfg(test)]
impl Level {
    /// All that this processor has.
    pub(crate) fn all() -> Vec<Self> {
        let widest = Self::detect();
        let known = [Self::Plain, Self::Avx2, Self::Avx512];
        known.into_iter().filter(|&level| level as u8 <= widest as u8).collect()
    }
}

/// Something to be compiled for each instruction set.
pub(crate) trait Work<T> {
    type Out;
    /// Has to be `#[inline(always)]`.
    fn run<V: Vector<T>>(self) -> Self::Out;
}

/// Runs `work` with the widest vectors that there are.
pub(crate) fn dispatch<T: Real, W: Work<T>>(work: W) -> W::Out {
    T::dispatch(Level::detect(), work)
}

/// Runs `work` with the vectors for rows of so many lanes.
pub(crate) fn dispatch_for<T: Real, W: Work<T>>(lanes: usize, work: W) -> W::Out {
    T::dispatch(Level::detect().for_lanes::<T>(lanes), work)
}

/// An expression for all columns of a row: in blocks of so many vectors, then of one each, of which the last may be in part. It
/// is told where a block starts, the lanes of its vectors and, as a constant, how many of these there are.
macro_rules! in_blocks {
    ($V:ident, $columns:expr, $most:expr, |$start:ident, $lanes:ident, $N:ident| $block:expr) => {{
        let (columns, mut at) = ($columns, 0);
        while at + $most * $V::WIDTH <= columns {
            const $N: usize = $most;
            let ($start, $lanes) = (at, $V::WIDTH);
            $block;
            at += $most * $V::WIDTH;
        }
        while at < columns {
            const $N: usize = 1;
            let ($start, $lanes) = (at, $V::WIDTH.min(columns - at));
            $block;
            at += $lanes;
        }
    }};
}
pub(crate) use in_blocks;

/// A vector of `T`. Those of an instruction set are made under [`Real::dispatch`] only, which has seen that the processor
/// has it.
pub(crate) trait Vector<T>: Copy {
    /// One truth per lane.
    type Mask: Copy;
    const WIDTH: usize;

    fn splat(x: T) -> Self;
    /// # Safety
    /// `WIDTH` elements from `from` on have to be readable.
    unsafe fn load(from: *const T) -> Self;
    /// # Safety
    /// `WIDTH` elements from `to` on have to be writable.
    unsafe fn store(self, to: *mut T);
    /// The first `count` lanes; the others are 0.
    ///
    /// # Safety
    /// `count` elements from `from` on have to be readable; `count` is at most `WIDTH`.
    unsafe fn load_part(from: *const T, count: usize) -> Self;
    /// # Safety
    /// `count` elements from `to` on have to be writable; `count` is at most `WIDTH`.
    unsafe fn store_part(self, to: *mut T, count: usize);
    /// Two elements again and again.
    ///
    /// # Safety
    /// Two elements from `from` on have to be readable.
    unsafe fn pair(from: *const T) -> Self;
    /// Four elements again and again. Not for vectors of two lanes.
    ///
    /// # Safety
    /// Four elements from `from` on have to be readable.
    unsafe fn quad(from: *const T) -> Self;
    /// The sums of each two neighbours in the first half of the lanes; the others are unspecified.
    fn pair_sums(self) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// `self * by + more`, rounded once where the processor can.
    fn mul_add(self, by: Self, more: Self) -> Self;
    /// `if self > other { self } else { other }`
    fn over(self, other: Self) -> Self;
    /// `if self < other { self } else { other }`
    fn under(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    fn neg(self) -> Self;
    /// The magnitude of `self` with the sign of `sign`.
    fn signed(self, sign: Self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    /// To the nearest whole number, ties to even.
    fn round(self) -> Self;
    fn trunc(self) -> Self;
    fn lt(self, other: Self) -> Self::Mask;
    fn le(self, other: Self) -> Self::Mask;
    fn eq(self, other: Self) -> Self::Mask;
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// The sum of all lanes.
    fn total(self) -> T;
    /// The largest of all lanes, where all are numbers.
    fn most(self) -> T;
    /// Whether a lane is not a number.
    fn has_nan(self) -> bool;
    /// `self * 2^n`, n being whole and of at most twice the range of exponents.
    fn scale(self, n: Self) -> Self;
    /// (e, m) with `self = m * 2^e` and m in [1, 2), where `self` is a normal positive number.
    fn split(self) -> (Self, Self);
    /// The nearest bfloat16, see [`graph::bfloat16`].
    fn bfloat16(self) -> Self
    where
        T: Real,
    {
        map(self, T::bfloat16)
    }
    /// Runs work of its own outside the function that this is inlined into.
    fn apart<W: Work<T>>(work: W) -> W::Out;
}

/// The widest vector's lanes.
pub(crate) const MOST_LANES: usize = 16;

/// A function of one number for each lane.
#[inline(always)]
pub(crate) fn map<T: Real, V: Vector<T>>(x: V, f: impl Fn(T) -> T) -> V {
    let mut lanes = [T::ZERO; MOST_LANES];
    // SAFETY: no vector has more lanes than the array.
    unsafe { x.store(lanes.as_mut_ptr()) };
    for lane in lanes.iter_mut().take(V::WIDTH) {
        *lane = f(*lane);
    }
    // SAFETY: as above.
    unsafe { V::load(lanes.as_ptr()) }
}

/// A function of two numbers for each lane.
#[inline(always)]
pub(crate) fn map2<T: Real, V: Vector<T>>(x: V, y: V, f: impl Fn(T, T) -> T) -> V {
    let (mut lanes, mut others) = ([T::ZERO; MOST_LANES], [T::ZERO; MOST_LANES]);
    // SAFETY: no vector has more lanes than the arrays.
    unsafe {
        x.store(lanes.as_mut_ptr());
        y.store(others.as_mut_ptr());
    }
    for (lane, other) in lanes.iter_mut().zip(&others).take(V::WIDTH) {
        *lane = f(*lane, *other);
    }
    // SAFETY: as above.
    unsafe { V::load(lanes.as_ptr()) }
}
