//! Matrices of float32 as tiles of bfloat16.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::{Factor, LANES, TERMS, TILE, Unit};

/// What lies one after the other in a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A lane's terms.
    Lanes,
    /// Pairs of terms of all lanes.
    Terms,
}

/// Packs lanes by terms: the tiles of the first lanes come first. Beyond the matrix there are zeros.
///
/// # Safety
/// The processor has `unit`. The factor has so many lanes and terms; `to` has room for their tiles, aligned to 64.
pub(super) unsafe fn all(unit: Unit, from: Factor, sizes: [usize; 2], order: Order, to: *mut u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every unit has these instructions, and the rest is as promised.
    unsafe {
        let _ = unit;
        tiles(from, sizes, order, to);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (unit, from, sizes, order, to);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512bf16")]
unsafe fn tiles(from: Factor, [lanes, terms]: [usize; 2], order: Order, mut to: *mut u8) {
    for lane in (0..lanes).step_by(LANES) {
        for term in (0..terms).step_by(TERMS) {
            // SAFETY: a part of the factor, and a tile that it belongs to.
            unsafe { tile(from.at(lane, term), [LANES.min(lanes - lane), TERMS.min(terms - term)], order, to) };
            to = to.wrapping_add(TILE);
        }
    }
}

/// A row of a tile: 16 pairs of bfloat16.
#[cfg(target_arch = "x86_64")]
type Row = __m512i;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512bf16")]
unsafe fn tile(from: Factor, sizes: [usize; 2], order: Order, to: *mut u8) {
    // SAFETY: as promised; lanes that are neither contiguous nor have contiguous terms are gathered first.
    let (rows, made) = unsafe {
        if from.term == 1 {
            (by_lanes(from, sizes), Order::Lanes)
        } else if from.lane == 1 {
            (by_terms(from, sizes), Order::Terms)
        } else {
            let mut gathered = [0.0_f32; LANES * TERMS];
            for lane in 0..sizes[0] {
                for term in 0..sizes[1] {
                    gathered[lane * TERMS + term] = *from.at(lane, term).start;
                }
            }
            (by_lanes(Factor { start: gathered.as_ptr(), lane: TERMS, term: 1 }, sizes), Order::Lanes)
        }
    };
    let rows = if made == order { rows } else { transposed(rows) };
    for (at, row) in rows.into_iter().enumerate() {
        // SAFETY: a tile has 16 rows of 64 bytes.
        unsafe { _mm512_store_si512(to.add(at * 64).cast(), row) };
    }
}

/// Bits of the first lanes of a vector.
#[cfg(target_arch = "x86_64")]
pub(super) fn first(count: usize) -> __mmask16 {
    u16::try_from((1_u32 << count.min(LANES)) - 1).unwrap_or(u16::MAX)
}

/// Rows of lanes, whose terms are contiguous.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512bf16")]
unsafe fn by_lanes(from: Factor, [lanes, terms]: [usize; 2]) -> [Row; 16] {
    let (low, high) = (first(terms), first(terms.saturating_sub(16)));
    let mut rows = [_mm512_setzero_si512(); 16];
    for (lane, row) in rows.iter_mut().enumerate().take(lanes) {
        let start = from.start.wrapping_add(lane * from.lane);
        // SAFETY: only what is there is read.
        let (x, y) =
            unsafe { (_mm512_maskz_loadu_ps(low, start), _mm512_maskz_loadu_ps(high, start.wrapping_add(16))) };
        *row = pairs(x, y);
    }
    rows
}

/// Rows of pairs of terms, whose lanes are contiguous.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512bf16")]
unsafe fn by_terms(from: Factor, [lanes, terms]: [usize; 2]) -> [Row; 16] {
    let there = first(lanes);
    #[rustfmt::skip]
    let interleaved = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0,
    );
    let mut rows = [_mm512_setzero_si512(); 16];
    for (pair, row) in rows.iter_mut().enumerate().take(terms.div_ceil(2)) {
        let start = from.start.wrapping_add(2 * pair * from.term);
        let both = if 2 * pair + 1 < terms { there } else { 0 };
        // SAFETY: only what is there is read.
        let (x, y) = unsafe {
            (_mm512_maskz_loadu_ps(there, start), _mm512_maskz_loadu_ps(both, start.wrapping_add(from.term)))
        };
        *row = _mm512_permutexvar_epi16(interleaved, pairs(x, y));
    }
    rows
}

/// Two vectors rounded to bfloat16, one after the other.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn pairs(x: __m512, y: __m512) -> Row {
    // SAFETY: both are 64 bytes without a meaning of their own.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(y, x)) }
}

/// Rows of 16 pairs as columns.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(rows: [Row; 16]) -> [Row; 16] {
    let mut next = rows;
    for at in (0..16).step_by(2) {
        next[at] = _mm512_unpacklo_epi32(rows[at], rows[at + 1]);
        next[at + 1] = _mm512_unpackhi_epi32(rows[at], rows[at + 1]);
    }
    let rows = next;
    // Rows at .. at + 4 now have, for each quarter of a vector, its four columns.
    for at in (0..16).step_by(4) {
        next[at] = _mm512_unpacklo_epi64(rows[at], rows[at + 2]);
        next[at + 1] = _mm512_unpackhi_epi64(rows[at], rows[at + 2]);
        next[at + 2] = _mm512_unpacklo_epi64(rows[at + 1], rows[at + 3]);
        next[at + 3] = _mm512_unpackhi_epi64(rows[at + 1], rows[at + 3]);
    }
    let rows = next;
    let mut columns = rows;
    for at in 0..4 {
        let (even, odd) = (
            [
                _mm512_shuffle_i32x4::<0x88>(rows[at], rows[at + 4]),
                _mm512_shuffle_i32x4::<0x88>(rows[at + 8], rows[at + 12]),
            ],
            [
                _mm512_shuffle_i32x4::<0xdd>(rows[at], rows[at + 4]),
                _mm512_shuffle_i32x4::<0xdd>(rows[at + 8], rows[at + 12]),
            ],
        );
        columns[at] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
        columns[at + 4] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
        columns[at + 8] = _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]);
        columns[at + 12] = _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]);
    }
    columns
}
