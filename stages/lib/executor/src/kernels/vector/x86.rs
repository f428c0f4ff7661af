//! Vectors of AVX2 and AVX-512.

use std::arch::x86_64::*;

use super::{Pack, Vector, Work, map, map2};
use crate::kernels::Real;

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
#[inline(never)]
pub(crate) fn with_avx512<T, V: Vector<T>, W: Work<T>>(work: W) -> W::Out {
    work.run::<V>()
}

#[target_feature(enable = "avx2,fma")]
#[inline(never)]
pub(crate) fn with_avx2<T, V: Vector<T>, W: Work<T>>(work: W) -> W::Out {
    work.run::<V>()
}

/// Methods that are one instruction each.
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
static PARTS_32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
static PARTS_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

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
