//! Vectors of the processor's width, and the choice among them at run time.
//!
//! Kernels are written once, generic over [`Vector`], and compiled for each instruction set. Everything that runs inside
//! [`Work::run`] has to be `#[inline(always)]`, because a function keeps the instructions that it was compiled for; this is
//! also why there are macros and plain loops here where closures would be shorter.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::Real;

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

/// A vector without instructions of its own: compilers make of it what the architecture offers.
#[derive(Clone, Copy)]
pub(crate) struct Pack<T, const N: usize>([T; N]);

/// A method of [`Pack`] that is the same for all lanes.
macro_rules! lanes {
    ($x:ident, $f:expr) => {{
        let mut out = $x;
        for lane in 0..N {
            out.0[lane] = $f($x.0[lane]);
        }
        out
    }};
    ($x:ident, $y:ident, $f:expr) => {{
        let mut out = $x;
        for lane in 0..N {
            out.0[lane] = $f($x.0[lane], $y.0[lane]);
        }
        out
    }};
}

impl<T: Real, const N: usize> Pack<T, N> {
    #[inline(always)]
    fn compare(self, other: Self, f: impl Fn(T, T) -> bool) -> [bool; N] {
        let mut out = [false; N];
        for lane in 0..N {
            out[lane] = f(self.0[lane], other.0[lane]);
        }
        out
    }
}

impl<T: Real, const N: usize> Vector<T> for Pack<T, N> {
    type Mask = [bool; N];
    const WIDTH: usize = N;

    #[inline(always)]
    fn splat(x: T) -> Self {
        Self([x; N])
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller's promise; an array has no stricter alignment than its elements.
        Self(unsafe { from.cast::<[T; N]>().read() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: as above.
        unsafe { to.cast::<[T; N]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn load_part(from: *const T, count: usize) -> Self {
        let mut out = [T::ZERO; N];
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), count) };
        Self(out)
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut T, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), to, count) };
    }
    #[inline(always)]
    unsafe fn pair(from: *const T) -> Self {
        let mut out = [T::ZERO; N];
        for lane in 0..N {
            // SAFETY: the caller's promise.
            out[lane] = unsafe { *from.add(lane % 2) };
        }
        Self(out)
    }
    #[inline(always)]
    unsafe fn quad(from: *const T) -> Self {
        let mut out = [T::ZERO; N];
        for lane in 0..N {
            // SAFETY: the caller's promise.
            out[lane] = unsafe { *from.add(lane % 4) };
        }
        Self(out)
    }
    #[inline(always)]
    fn pair_sums(self) -> Self {
        let mut out = self;
        for lane in 0..N / 2 {
            out.0[lane] = self.0[2 * lane] + self.0[2 * lane + 1];
        }
        out
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        lanes!(self, other, |x, y| x + y)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        lanes!(self, other, |x, y| x - y)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        lanes!(self, other, |x, y| x * y)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        lanes!(self, other, |x, y| x / y)
    }
    #[inline(always)]
    fn mul_add(self, by: Self, more: Self) -> Self {
        self.mul(by).add(more)
    }
    #[inline(always)]
    fn over(self, other: Self) -> Self {
        lanes!(self, other, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    fn under(self, other: Self) -> Self {
        lanes!(self, other, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        lanes!(self, T::sqrt)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        lanes!(self, T::abs)
    }
    #[inline(always)]
    fn neg(self) -> Self {
        lanes!(self, |x: T| -x)
    }
    #[inline(always)]
    fn signed(self, sign: Self) -> Self {
        lanes!(self, sign, T::copysign)
    }
    #[inline(always)]
    fn floor(self) -> Self {
        lanes!(self, T::floor)
    }
    #[inline(always)]
    fn ceil(self) -> Self {
        lanes!(self, T::ceil)
    }
    #[inline(always)]
    fn round(self) -> Self {
        lanes!(self, T::round_ties_even)
    }
    #[inline(always)]
    fn trunc(self) -> Self {
        lanes!(self, T::trunc)
    }
    #[inline(always)]
    fn lt(self, other: Self) -> [bool; N] {
        self.compare(other, |x, y| x < y)
    }
    #[inline(always)]
    fn le(self, other: Self) -> [bool; N] {
        self.compare(other, |x, y| x <= y)
    }
    #[inline(always)]
    fn eq(self, other: Self) -> [bool; N] {
        self.compare(other, |x, y| x == y)
    }
    #[inline(always)]
    fn select(mask: [bool; N], yes: Self, no: Self) -> Self {
        let mut out = no;
        for lane in 0..N {
            out.0[lane] = if mask[lane] { yes.0[lane] } else { no.0[lane] };
        }
        out
    }
    #[inline(always)]
    fn total(self) -> T {
        let mut sums = self.0;
        let mut half = N / 2;
        while half > 0 {
            for lane in 0..half {
                sums[lane] += sums[lane + half];
            }
            half /= 2;
        }
        sums[0]
    }
    #[inline(always)]
    fn most(self) -> T {
        let mut most = self.0;
        let mut half = N / 2;
        while half > 0 {
            for lane in 0..half {
                most[lane] = if most[lane + half] > most[lane] { most[lane + half] } else { most[lane] };
            }
            half /= 2;
        }
        most[0]
    }
    #[inline(always)]
    #[allow(clippy::eq_op)] // NaN is the number that does not equal itself
    fn has_nan(self) -> bool {
        let mut found = false;
        for lane in 0..N {
            found |= self.0[lane] != self.0[lane];
        }
        found
    }
    #[inline(always)]
    fn scale(self, n: Self) -> Self {
        lanes!(self, n, T::scale)
    }
    #[inline(always)]
    fn split(self) -> (Self, Self) {
        (lanes!(self, |x| T::split(x).0), lanes!(self, |x| T::split(x).1))
    }
    #[inline(always)]
    fn apart<W: Work<T>>(work: W) -> W::Out {
        with_plain::<T, Self, W>(work)
    }
}

#[inline(never)]
pub(super) fn with_plain<T, V: Vector<T>, W: Work<T>>(work: W) -> W::Out {
    work.run::<V>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
#[inline(never)]
pub(super) fn with_avx512<T, V: Vector<T>, W: Work<T>>(work: W) -> W::Out {
    work.run::<V>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
pub(super) fn with_avx2<T, V: Vector<T>, W: Work<T>>(work: W) -> W::Out {
    work.run::<V>()
}

/// Methods that are one instruction each.
#[cfg(target_arch = "x86_64")]
macro_rules! instructions {
    ($($name:ident($($arg:ident),*) = $call:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self $(, $arg: Self)*) -> Self {
                let x = self;
                // SAFETY: vectors of this type are made only where the processor has their instructions.
                unsafe { $call(x $(, $arg)*) }
            }
        )*
    };
}

/// What AVX2 and AVX-512 write alike.
#[cfg(target_arch = "x86_64")]
macro_rules! alike {
    ($real:ident, $set:ident, $load:ident, $store:ident, $compare:ident, $round:ident, $and:ident, $andnot:ident, $or:ident,
     $xor:ident) => {
        #[inline(always)]
        fn splat(x: $real) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe { $set(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const $real) -> Self {
            // SAFETY: the caller's promise.
            unsafe { $load(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut $real) {
            // SAFETY: the caller's promise.
            unsafe { $store(to, self) }
        }
        #[inline(always)]
        fn neg(self) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe { $xor(self, $set(-0.0)) }
        }
        #[inline(always)]
        fn signed(self, sign: Self) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe { $or($andnot($set(-0.0), self), $and($set(-0.0), sign)) }
        }
        #[inline(always)]
        fn floor(self) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe { $round::<0x09>(self) }
        }
        #[inline(always)]
        fn ceil(self) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe { $round::<0x0a>(self) }
        }
        #[inline(always)]
        fn round(self) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe { $round::<0x08>(self) }
        }
        #[inline(always)]
        fn trunc(self) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe { $round::<0x0b>(self) }
        }
        #[inline(always)]
        fn lt(self, other: Self) -> Self::Mask {
            // SAFETY: made only where the processor has the instructions.
            unsafe { $compare::<_CMP_LT_OQ>(self, other) }
        }
        #[inline(always)]
        fn le(self, other: Self) -> Self::Mask {
            // SAFETY: made only where the processor has the instructions.
            unsafe { $compare::<_CMP_LE_OQ>(self, other) }
        }
        #[inline(always)]
        fn eq(self, other: Self) -> Self::Mask {
            // SAFETY: made only where the processor has the instructions.
            unsafe { $compare::<_CMP_EQ_OQ>(self, other) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
macro_rules! avx512 {
    ($vector:ident, $real:ident, $mask:ident, $width:literal, $set:ident, $load:ident, $store:ident, $load_part:ident,
     $store_part:ident, $compare:ident, $blend:ident, $total:ident, $most:ident, $exponent:ident, $mantissa:ident,
     $round:ident, $and:ident, $andnot:ident, $or:ident, $xor:ident, { $($simple:tt)* }, { $($own:item)* }) => {
        impl Vector<$real> for $vector {
            type Mask = $mask;
            const WIDTH: usize = $width;

            #[inline(always)]
            unsafe fn load_part(from: *const $real, count: usize) -> Self {
                // SAFETY: the caller's promise; lanes that are masked out are not touched.
                unsafe { $load_part(((1_u32 << count) - 1) as $mask, from) }
            }
            #[inline(always)]
            unsafe fn store_part(self, to: *mut $real, count: usize) {
                // SAFETY: as above.
                unsafe { $store_part(to, ((1_u32 << count) - 1) as $mask, self) }
            }
            alike! { $real, $set, $load, $store, $compare, $round, $and, $andnot, $or, $xor }
            instructions! { $($simple)* }
            #[inline(always)]
            fn select(mask: $mask, yes: Self, no: Self) -> Self {
                // SAFETY: as above.
                unsafe { $blend(mask, no, yes) }
            }
            #[inline(always)]
            fn total(self) -> $real {
                // SAFETY: as above.
                unsafe { $total(self) }
            }
            #[inline(always)]
            fn most(self) -> $real {
                // SAFETY: as above.
                unsafe { $most(self) }
            }
            #[inline(always)]
            fn has_nan(self) -> bool {
                // SAFETY: as above.
                unsafe { $compare::<_CMP_UNORD_Q>(self, self) != 0 }
            }
            #[inline(always)]
            fn split(self) -> (Self, Self) {
                // SAFETY: as above.
                unsafe { ($exponent(self), $mantissa::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC>(self)) }
            }
            #[inline(always)]
            fn apart<W: Work<$real>>(work: W) -> W::Out {
                // SAFETY: as above.
                unsafe { with_avx512::<$real, Self, W>(work) }
            }
            $($own)*
        }
    };
}

#[cfg(target_arch = "x86_64")]
avx512!(
    __m512,
    f32,
    __mmask16,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_maskz_loadu_ps,
    _mm512_mask_storeu_ps,
    _mm512_cmp_ps_mask,
    _mm512_mask_blend_ps,
    _mm512_reduce_add_ps,
    _mm512_reduce_max_ps,
    _mm512_getexp_ps,
    _mm512_getmant_ps,
    _mm512_roundscale_ps,
    _mm512_and_ps,
    _mm512_andnot_ps,
    _mm512_or_ps,
    _mm512_xor_ps,
    {
        add(y) = _mm512_add_ps;
        sub(y) = _mm512_sub_ps;
        mul(y) = _mm512_mul_ps;
        div(y) = _mm512_div_ps;
        mul_add(y, z) = _mm512_fmadd_ps;
        over(y) = _mm512_max_ps;
        under(y) = _mm512_min_ps;
        sqrt() = _mm512_sqrt_ps;
        abs() = _mm512_abs_ps;
        scale(n) = _mm512_scalef_ps;
    },
    {
        #[inline(always)]
        unsafe fn pair(from: *const f32) -> Self {
            // SAFETY: the caller's promise; made only where the processor has the instructions.
            unsafe { _mm512_castsi512_ps(_mm512_set1_epi64(from.cast::<i64>().read_unaligned())) }
        }
        #[inline(always)]
        unsafe fn quad(from: *const f32) -> Self {
            // SAFETY: as above.
            unsafe { _mm512_broadcast_f32x4(_mm_loadu_ps(from)) }
        }
        #[inline(always)]
        fn pair_sums(self) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe {
                let firsts = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 0, 2, 4, 6, 8, 10, 12, 14);
                let seconds = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 1, 3, 5, 7, 9, 11, 13, 15);
                _mm512_add_ps(_mm512_permutexvar_ps(firsts, self), _mm512_permutexvar_ps(seconds, self))
            }
        }
        #[inline(always)]
        fn bfloat16(self) -> Self {
            // SAFETY: as above.
            unsafe {
                let bits = _mm512_castps_si512(self);
                let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
                let more = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
                let kept = _mm512_and_si512(more, _mm512_set1_epi32(0xffff_0000_u32.cast_signed()));
                Self::select(self.eq(self), _mm512_castsi512_ps(kept), self)
            }
        }
    }
);

#[cfg(target_arch = "x86_64")]
avx512!(
    __m512d,
    f64,
    __mmask8,
    8,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_maskz_loadu_pd,
    _mm512_mask_storeu_pd,
    _mm512_cmp_pd_mask,
    _mm512_mask_blend_pd,
    _mm512_reduce_add_pd,
    _mm512_reduce_max_pd,
    _mm512_getexp_pd,
    _mm512_getmant_pd,
    _mm512_roundscale_pd,
    _mm512_and_pd,
    _mm512_andnot_pd,
    _mm512_or_pd,
    _mm512_xor_pd,
    {
        add(y) = _mm512_add_pd;
        sub(y) = _mm512_sub_pd;
        mul(y) = _mm512_mul_pd;
        div(y) = _mm512_div_pd;
        mul_add(y, z) = _mm512_fmadd_pd;
        over(y) = _mm512_max_pd;
        under(y) = _mm512_min_pd;
        sqrt() = _mm512_sqrt_pd;
        abs() = _mm512_abs_pd;
        scale(n) = _mm512_scalef_pd;
    },
    {
        #[inline(always)]
        unsafe fn pair(from: *const f64) -> Self {
            // SAFETY: the caller's promise; made only where the processor has the instructions.
            unsafe { _mm512_broadcast_f64x2(_mm_loadu_pd(from)) }
        }
        #[inline(always)]
        unsafe fn quad(from: *const f64) -> Self {
            // SAFETY: as above.
            unsafe { _mm512_broadcast_f64x4(_mm256_loadu_pd(from)) }
        }
        #[inline(always)]
        fn pair_sums(self) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe {
                let firsts = _mm512_setr_epi64(0, 2, 4, 6, 0, 2, 4, 6);
                let seconds = _mm512_setr_epi64(1, 3, 5, 7, 1, 3, 5, 7);
                _mm512_add_pd(_mm512_permutexvar_pd(firsts, self), _mm512_permutexvar_pd(seconds, self))
            }
        }
    }
);

/// Masks of AVX2's partial loads: `count` lanes are on from 8 - count (or 4 - count) on.
#[cfg(target_arch = "x86_64")]
static PARTS_32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
#[cfg(target_arch = "x86_64")]
static PARTS_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

#[cfg(target_arch = "x86_64")]
macro_rules! avx2 {
    ($vector:ident, $real:ident, $width:literal, $parts:ident, $set:ident, $load:ident, $store:ident, $load_part:ident,
     $store_part:ident, $compare:ident, $blend:ident, $signs:ident,
     $round:ident, $and:ident, $andnot:ident, $or:ident, $xor:ident, { $($simple:tt)* }, { $($own:item)* }) => {
        impl Vector<$real> for $vector {
            type Mask = $vector;
            const WIDTH: usize = $width;

            #[inline(always)]
            unsafe fn load_part(from: *const $real, count: usize) -> Self {
                // SAFETY: the caller's promise; lanes that are masked out are not touched. The mask lies in the table
                // because `count` is at most the width.
                unsafe { $load_part(from, _mm256_loadu_si256($parts.as_ptr().add($width - count).cast())) }
            }
            #[inline(always)]
            unsafe fn store_part(self, to: *mut $real, count: usize) {
                // SAFETY: as above.
                unsafe { $store_part(to, _mm256_loadu_si256($parts.as_ptr().add($width - count).cast()), self) }
            }
            alike! { $real, $set, $load, $store, $compare, $round, $and, $andnot, $or, $xor }
            instructions! { $($simple)* }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: made only where the processor has the instructions.
                unsafe { $andnot($set(-0.0), self) }
            }
            #[inline(always)]
            fn select(mask: Self, yes: Self, no: Self) -> Self {
                // SAFETY: as above.
                unsafe { $blend(no, yes, mask) }
            }
            #[inline(always)]
            fn total(self) -> $real {
                let mut lanes = [0.0; $width];
                // SAFETY: the array has as many lanes.
                unsafe { self.store(lanes.as_mut_ptr()) };
                Pack(lanes).total()
            }
            #[inline(always)]
            fn most(self) -> $real {
                let mut lanes = [0.0; $width];
                // SAFETY: the array has as many lanes.
                unsafe { self.store(lanes.as_mut_ptr()) };
                Pack(lanes).most()
            }
            #[inline(always)]
            fn has_nan(self) -> bool {
                // SAFETY: made only where the processor has the instructions.
                unsafe { $signs($compare::<_CMP_UNORD_Q>(self, self)) != 0 }
            }
            #[inline(always)]
            fn apart<W: Work<$real>>(work: W) -> W::Out {
                // SAFETY: made only where the processor has the instructions.
                unsafe { with_avx2::<$real, Self, W>(work) }
            }
            $($own)*
        }
    };
}

#[cfg(target_arch = "x86_64")]
avx2!(
    __m256,
    f32,
    8,
    PARTS_32,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_maskload_ps,
    _mm256_maskstore_ps,
    _mm256_cmp_ps,
    _mm256_blendv_ps,
    _mm256_movemask_ps,
    _mm256_round_ps,
    _mm256_and_ps,
    _mm256_andnot_ps,
    _mm256_or_ps,
    _mm256_xor_ps,
    {
        add(y) = _mm256_add_ps;
        sub(y) = _mm256_sub_ps;
        mul(y) = _mm256_mul_ps;
        div(y) = _mm256_div_ps;
        mul_add(y, z) = _mm256_fmadd_ps;
        over(y) = _mm256_max_ps;
        under(y) = _mm256_min_ps;
        sqrt() = _mm256_sqrt_ps;
    },
    {
        #[inline(always)]
        unsafe fn pair(from: *const f32) -> Self {
            // SAFETY: the caller's promise; made only where the processor has the instructions.
            unsafe { _mm256_castsi256_ps(_mm256_set1_epi64x(from.cast::<i64>().read_unaligned())) }
        }
        #[inline(always)]
        unsafe fn quad(from: *const f32) -> Self {
            // SAFETY: as above.
            unsafe { _mm256_broadcast_ps(&from.cast::<__m128>().read_unaligned()) }
        }
        #[inline(always)]
        fn pair_sums(self) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe {
                let sums = _mm256_castps_pd(_mm256_hadd_ps(self, self));
                _mm256_castpd_ps(_mm256_permute4x64_pd::<0x88>(sums))
            }
        }
        #[inline(always)]
        fn bfloat16(self) -> Self {
            // SAFETY: as above.
            unsafe {
                let bits = _mm256_castps_si256(self);
                let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
                let more = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
                let kept = _mm256_and_si256(more, _mm256_set1_epi32(0xffff_0000_u32.cast_signed()));
                Self::select(self.eq(self), _mm256_castsi256_ps(kept), self)
            }
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe {
                let n = _mm256_cvtps_epi32(n);
                let half = _mm256_srai_epi32::<1>(n);
                let bias = _mm256_set1_epi32(127);
                let one = _mm256_slli_epi32::<23>(_mm256_add_epi32(half, bias));
                let other = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_sub_epi32(n, half), bias));
                self.mul(_mm256_castsi256_ps(one)).mul(_mm256_castsi256_ps(other))
            }
        }
        #[inline(always)]
        fn split(self) -> (Self, Self) {
            // SAFETY: as above.
            unsafe {
                let bits = _mm256_castps_si256(self);
                let exponent = _mm256_sub_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(127));
                let digits = _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff));
                let mantissa = _mm256_or_si256(digits, _mm256_set1_epi32(0x3f80_0000));
                (_mm256_cvtepi32_ps(exponent), _mm256_castsi256_ps(mantissa))
            }
        }
    }
);

#[cfg(target_arch = "x86_64")]
avx2!(
    __m256d,
    f64,
    4,
    PARTS_64,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_maskload_pd,
    _mm256_maskstore_pd,
    _mm256_cmp_pd,
    _mm256_blendv_pd,
    _mm256_movemask_pd,
    _mm256_round_pd,
    _mm256_and_pd,
    _mm256_andnot_pd,
    _mm256_or_pd,
    _mm256_xor_pd,
    {
        add(y) = _mm256_add_pd;
        sub(y) = _mm256_sub_pd;
        mul(y) = _mm256_mul_pd;
        div(y) = _mm256_div_pd;
        mul_add(y, z) = _mm256_fmadd_pd;
        over(y) = _mm256_max_pd;
        under(y) = _mm256_min_pd;
        sqrt() = _mm256_sqrt_pd;
    },
    {
        #[inline(always)]
        unsafe fn pair(from: *const f64) -> Self {
            // SAFETY: the caller's promise; made only where the processor has the instructions.
            unsafe { _mm256_broadcast_pd(&from.cast::<__m128d>().read_unaligned()) }
        }
        #[inline(always)]
        unsafe fn quad(from: *const f64) -> Self {
            // SAFETY: as above.
            unsafe { _mm256_loadu_pd(from) }
        }
        #[inline(always)]
        fn pair_sums(self) -> Self {
            // SAFETY: made only where the processor has the instructions.
            unsafe { _mm256_permute4x64_pd::<0x88>(_mm256_hadd_pd(self, self)) }
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            map2(self, n, <f64 as Real>::scale)
        }
        #[inline(always)]
        fn split(self) -> (Self, Self) {
            (map(self, |x| <f64 as Real>::split(x).0), map(self, |x| <f64 as Real>::split(x).1))
        }
    }
);
