//! Vectors without instructions of their own.

use super::{Vector, Work};
use crate::kernels::Real;

/// A vector without instructions of its own: compilers make of it what the architecture offers.
#[derive(Clone, Copy)]
pub(crate) struct Pack<T, const N: usize>(pub [T; N]);

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
pub(crate) fn with_plain<T, V: Vector<T>, W: Work<T>>(work: W) -> W::Out {
    work.run::<V>()
}
