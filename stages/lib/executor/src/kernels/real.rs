//! The two float types.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use graph::{BinaryOp, UnaryOp};

use super::math;
use super::vector::{Level, Pack, Vector, Work, with_plain};
#[cfg(target_arch = "x86_64")]
use super::vector::{with_avx2, with_avx512};

/// float32 or float64. No other type can be one.
pub trait Real:
    Sealed
    + Copy
    + Debug
    + Default
    + PartialEq
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + Send
    + Sync
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// A quiet NaN.
    const NAN: Self;

    /// The nearest value of this type.
    fn from_f64(x: f64) -> Self;
    /// The same value as float64.
    fn to_f64(self) -> f64;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// This magnitude with the sign of the other.
    fn copysign(self, sign: Self) -> Self;
    /// The next whole number at or below.
    fn floor(self) -> Self;
    /// The next whole number at or above.
    fn ceil(self) -> Self;
    /// The nearest whole number, the even one of two.
    fn round_ties_even(self) -> Self;
    /// The value without its fraction.
    fn trunc(self) -> Self;
    /// See [`graph::bfloat16`].
    fn bfloat16(self) -> Self;
    /// `self * 2^n` for a whole n.
    fn scale(self, n: Self) -> Self;
    /// (e, m) with `self = m * 2^e` and m in [1, 2), where `self` is a normal positive number.
    fn split(self) -> (Self, Self);
}

use private::Sealed;

/// Keeps [`Real`] closed, and what kernels alone need to know of the types.
pub(super) mod private {
    use super::*;

    /// Vectors at a time.
    pub const STRIP: usize = 8;

    pub trait Sealed: Sized {
        /// Lanes of the vectors at a level.
        #[allow(private_interfaces)]
        fn width(level: Level) -> usize;
        /// Runs work with the vectors of a level that [`Level::detect`] found.
        #[allow(private_interfaces, private_bounds)]
        fn dispatch<W: Work<Self>>(level: Level, work: W) -> W::Out;
        #[allow(private_bounds)]
        fn exp<V: Vector<Self>>(x: V) -> V;
        #[allow(private_bounds)]
        fn log<V: Vector<Self>>(x: V) -> V;
        #[allow(private_bounds)]
        fn unary<V: Vector<Self>>(op: UnaryOp, x: &mut [V; STRIP]);
        #[allow(private_bounds)]
        fn binary<V: Vector<Self>>(op: BinaryOp, x: &mut [V; STRIP], y: &[V; STRIP]);
    }
}

macro_rules! real {
    ($real:ident, $bits:ident, $digits:literal, $bias:literal, $wide:ident, $middle:ident, $plain:literal, $math:ident) => {
        impl Real for $real {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const INFINITY: Self = $real::INFINITY;
            const NAN: Self = $real::NAN;

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $real
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                self.copysign(sign)
            }
            #[inline(always)]
            fn floor(self) -> Self {
                self.floor()
            }
            #[inline(always)]
            fn ceil(self) -> Self {
                self.ceil()
            }
            #[inline(always)]
            fn round_ties_even(self) -> Self {
                self.round_ties_even()
            }
            #[inline(always)]
            fn trunc(self) -> Self {
                self.trunc()
            }
            #[inline(always)]
            fn bfloat16(self) -> Self {
                graph::bfloat16(self as f32) as $real
            }
            #[inline(always)]
            fn scale(self, n: Self) -> Self {
                // two steps, because a factor that makes a subnormal number of this one may be no normal number itself
                let (n, power) = (n as i32, |n: i32| $real::from_bits(((n + $bias) as $bits) << $digits));
                self * power(n >> 1) * power(n - (n >> 1))
            }
            #[inline(always)]
            fn split(self) -> (Self, Self) {
                let digits = self.to_bits() & ((1 << $digits) - 1);
                let exponent = (self.to_bits() >> $digits) as i32 - $bias;
                (exponent as $real, $real::from_bits(digits | (($bias as $bits) << $digits)))
            }
        }

        #[allow(private_interfaces, private_bounds)]
        impl Sealed for $real {
            fn width(level: Level) -> usize {
                match level {
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => <std::arch::x86_64::$wide as Vector<$real>>::WIDTH,
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => <std::arch::x86_64::$middle as Vector<$real>>::WIDTH,
                    _ => $plain,
                }
            }
            fn dispatch<W: Work<Self>>(level: Level, work: W) -> W::Out {
                match level {
                    // SAFETY: the level is one that was found on this processor.
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => unsafe { with_avx512::<$real, std::arch::x86_64::$wide, W>(work) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => unsafe { with_avx2::<$real, std::arch::x86_64::$middle, W>(work) },
                    _ => with_plain::<$real, Pack<$real, $plain>, W>(work),
                }
            }
            #[inline(always)]
            fn exp<V: Vector<Self>>(x: V) -> V {
                math::$math::exp(x)
            }
            #[inline(always)]
            fn log<V: Vector<Self>>(x: V) -> V {
                math::$math::log(x)
            }
            #[inline(always)]
            fn unary<V: Vector<Self>>(op: UnaryOp, x: &mut [V; private::STRIP]) {
                math::$math::unary(op, x);
            }
            #[inline(always)]
            fn binary<V: Vector<Self>>(op: BinaryOp, x: &mut [V; private::STRIP], y: &[V; private::STRIP]) {
                math::binary(op, x, y);
            }
        }
    };
}

real!(f32, u32, 23, 127, __m512, __m256, 4, single);
real!(f64, u64, 52, 1023, __m512d, __m256d, 2, double);
