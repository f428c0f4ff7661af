//! Products of packed tiles.

#[cfg(target_arch = "x86_64")]
use std::arch::asm;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
use super::pack;
use super::{LANES, TILE, Unit};

/// Tiles of memory that a strip needs for the edges of its value: 2 by 2 of float32, which are twice as large.
pub(super) const EDGES: usize = 8;
/// Bytes of a tile of the value.
const VALUE: usize = LANES * LANES * 4;

/// Some tiles of rows, times all columns.
#[derive(Debug)]
pub(super) struct Strip {
    /// Rows, tiles of terms, columns.
    pub sizes: [usize; 3],
    /// A tile for each of the terms, for each of the rows.
    pub left: *const u8,
    /// The same for columns, and bytes from one column of tiles to the next.
    pub right: (*const u8, usize),
    /// Its first element, and the distances between rows and between columns.
    pub value: (*mut f32, usize, usize),
    pub accumulate: bool,
    pub edges: *mut u8,
}

/// 2 by 2 tiles of the value, row by row.
#[repr(C)]
struct Block {
    left: [*const u8; 2],
    right: [*const u8; 2],
    value: [*mut u8; 4],
    /// Bytes from a row to the next.
    pitch: [usize; 4],
    /// Tiles of terms.
    depth: usize,
    /// 1: the value is added to.
    accumulate: usize,
}

/// The instructions that there are, the fastest first.
pub(super) fn all() -> Vec<Unit> {
    #[cfg(target_arch = "x86_64")]
    {
        let vectors = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512bf16");
        if !vectors {
            return Vec::new();
        }
        if has_tiles() { vec![Unit::Tiles, Unit::Pairs] } else { vec![Unit::Pairs] }
    }
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}

/// Whether the processor is one of Intel's.
pub(super) fn is_intel() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let vendor = __cpuid(0);
        [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"GenuineIntel"
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Whether there is AMX, and the system lets this process use it: Linux wants to be asked once.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn has_tiles() -> bool {
    /// `ARCH_REQ_XCOMP_PERM`, and the number of the tiles' state.
    const REQUEST: libc::c_long = 0x1023;
    const TILES: libc::c_long = 18;
    let leaves = __cpuid(0).eax;
    let features = if leaves >= 7 { __cpuid_count(7, 0).edx } else { 0 };
    let (bf16, tile) = (features >> 22 & 1 == 1, features >> 24 & 1 == 1);
    // SAFETY: the request changes nothing but what instructions may be used.
    bf16 && tile && unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILES) } == 0
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn has_tiles() -> bool {
    false
}

/// The time in which a thread multiplies: AMX is set up before, and its state is given back after.
pub(super) struct Session(Unit);

/// What AMX wants to know of its eight tiles: all have 16 rows of 64 bytes.
#[cfg(target_arch = "x86_64")]
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

#[cfg(target_arch = "x86_64")]
static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

impl Session {
    pub fn new(unit: Unit) -> Self {
        #[cfg(target_arch = "x86_64")]
        if unit == Unit::Tiles {
            // SAFETY: `Unit::Tiles` was found on this processor, and the configuration is a valid one.
            unsafe {
                asm!(
                    "ldtilecfg [{}]", in(reg) &raw const CONFIGURATION,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, preserves_flags),
                );
            }
        }
        Self(unit)
    }

    /// # Safety
    /// Both operands' tiles are packed for this strip's sizes, value's elements are there and, with `accumulate`, initialised,
    /// and `edges` has [`EDGES`] tiles.
    pub unsafe fn strip(&self, strip: &Strip) {
        let [rows, _, columns] = strip.sizes;
        for i in (0..rows).step_by(2 * LANES) {
            for j in (0..columns).step_by(2 * LANES) {
                // SAFETY: as promised.
                unsafe { self.part(strip, i, j) };
            }
        }
    }

    /// Two tiles of rows times two of columns, or what there is of them.
    unsafe fn part(&self, strip: &Strip, i: usize, j: usize) {
        let [rows, depth, columns] = strip.sizes;
        let (value, row, column) = strip.value;
        let of = |left: usize| [LANES.min(left), LANES.min(left.saturating_sub(LANES))];
        let (heights, widths) = (of(rows - i), of(columns - j));
        let mut block = Block {
            // A tile that is not there is another one's double, whose product is not read.
            left: [0, usize::from(heights[1] > 0)].map(|at| strip.left.wrapping_add((i / LANES + at) * depth * TILE)),
            right: [0, usize::from(widths[1] > 0)]
                .map(|at| strip.right.0.wrapping_add((j / LANES + at) * strip.right.1)),
            value: [std::ptr::null_mut(); 4],
            pitch: [0; 4],
            depth,
            accumulate: usize::from(strip.accumulate),
        };
        // A tile that value has not in whole is computed beside it.
        let mut beside = [None; 4];
        for (at, beside) in beside.iter_mut().enumerate() {
            let (height, width) = (heights[at / 2], widths[at % 2]);
            let start = value.wrapping_add((i + at / 2 * LANES) * row + (j + at % 2 * LANES) * column);
            if height == LANES && width == LANES && column == 1 {
                (block.value[at], block.pitch[at]) = (start.cast(), row * 4);
            } else {
                let edge: *mut f32 = strip.edges.wrapping_add(at * VALUE).cast();
                (block.value[at], block.pitch[at]) = (edge.cast(), LANES * 4);
                *beside = Some((edge, start, [height, width]));
            }
        }
        let strides = [row, column];
        for &(edge, start, sizes) in beside.iter().flatten().filter(|_| strip.accumulate) {
            // SAFETY: elements of value, and of the edge's memory.
            unsafe { copy(sizes, (start, strides), (edge, [LANES, 1])) };
        }
        // SAFETY: as promised, and each part of the value has its memory.
        unsafe { self.block(&block) };
        for &(edge, start, sizes) in beside.iter().flatten() {
            // SAFETY: as above.
            unsafe { copy(sizes, (edge, [LANES, 1]), (start, strides)) };
        }
    }

    unsafe fn block(&self, block: &Block) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the unit is there, and set up; the rest is as promised.
        unsafe {
            match self.0 {
                Unit::Tiles => tiles(block),
                Unit::Pairs => pairs(block),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (block, self.0);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.0 == Unit::Tiles {
            // SAFETY: the session had set AMX up.
            unsafe {
                asm!(
                    "tilerelease",
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, nomem, preserves_flags),
                );
            }
        }
    }
}

/// Copies up to a tile's elements from one strided place to another.
unsafe fn copy(
    [rows, columns]: [usize; 2],
    (from, [a, b]): (*mut f32, [usize; 2]),
    (to, [c, d]): (*mut f32, [usize; 2]),
) {
    #[cfg(target_arch = "x86_64")]
    if b == 1 && d == 1 {
        // SAFETY: every unit has these instructions, and both places have so many rows and columns.
        unsafe { copy_rows([rows, columns], (from, a), (to, c)) };
        return;
    }
    for row in 0..rows {
        for column in 0..columns {
            // SAFETY: both places have so many rows and columns.
            unsafe { *to.wrapping_add(row * c + column * d) = *from.wrapping_add(row * a + column * b) };
        }
    }
}

/// The same for rows whose elements are neighbours.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn copy_rows([rows, columns]: [usize; 2], (from, a): (*mut f32, usize), (to, c): (*mut f32, usize)) {
    let there = pack::first(columns);
    for row in 0..rows {
        // SAFETY: only what is there is read and written.
        unsafe {
            let x = _mm512_maskz_loadu_ps(there, from.wrapping_add(row * a));
            _mm512_mask_storeu_ps(to.wrapping_add(row * c), there, x);
        }
    }
}

/// A block with AMX. All of it is one piece of assembly, since no value may be in its registers outside.
#[cfg(target_arch = "x86_64")]
unsafe fn tiles(block: &Block) {
    // SAFETY: the caller has set the tiles up, and every tile has its memory.
    unsafe {
        asm!(
            "test {sum}, {sum}",
            "jz 2f",
            "mov {p}, [{value}]",
            "mov {s}, [{pitch}]",
            "tileloadd tmm0, [{p} + {s}*1]",
            "mov {p}, [{value} + 8]",
            "mov {s}, [{pitch} + 8]",
            "tileloadd tmm1, [{p} + {s}*1]",
            "mov {p}, [{value} + 16]",
            "mov {s}, [{pitch} + 16]",
            "tileloadd tmm2, [{p} + {s}*1]",
            "mov {p}, [{value} + 24]",
            "mov {s}, [{pitch} + 24]",
            "tileloadd tmm3, [{p} + {s}*1]",
            "jmp 3f",
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "3:",
            "mov {s:e}, 64",
            "test {depth}, {depth}",
            "jz 5f",
            "4:",
            "tileloadd tmm4, [{a0} + {s}*1]",
            "tileloadd tmm6, [{b0} + {s}*1]",
            "tileloadd tmm7, [{b1} + {s}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{a1} + {s}*1]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a0}, {tile}",
            "add {a1}, {tile}",
            "add {b0}, {tile}",
            "add {b1}, {tile}",
            "dec {depth}",
            "jnz 4b",
            "5:",
            "mov {p}, [{value}]",
            "mov {s}, [{pitch}]",
            "tilestored [{p} + {s}*1], tmm0",
            "mov {p}, [{value} + 8]",
            "mov {s}, [{pitch} + 8]",
            "tilestored [{p} + {s}*1], tmm1",
            "mov {p}, [{value} + 16]",
            "mov {s}, [{pitch} + 16]",
            "tilestored [{p} + {s}*1], tmm2",
            "mov {p}, [{value} + 24]",
            "mov {s}, [{pitch} + 24]",
            "tilestored [{p} + {s}*1], tmm3",
            tile = const TILE,
            sum = in(reg) block.accumulate,
            value = in(reg) block.value.as_ptr(),
            pitch = in(reg) block.pitch.as_ptr(),
            depth = inout(reg) block.depth => _,
            a0 = inout(reg) block.left[0] => _,
            a1 = inout(reg) block.left[1] => _,
            b0 = inout(reg) block.right[0] => _,
            b1 = inout(reg) block.right[1] => _,
            p = out(reg) _,
            s = out(reg) _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// Rows that are summed at a time with AVX-512.
#[cfg(target_arch = "x86_64")]
const ROWS: usize = 8;

/// A block with AVX-512 BF16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512bf16")]
unsafe fn pairs(block: &Block) {
    for start in (0..2 * LANES).step_by(ROWS) {
        let tile = start / LANES;
        let place = |row: usize, column: usize| -> *mut f32 {
            let at = 2 * tile + column;
            block.value[at].wrapping_add((start % LANES + row) * block.pitch[at]).cast()
        };
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        if block.accumulate == 1 {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (column, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: a row of a tile of the value.
                    *sum = unsafe { _mm512_loadu_ps(place(row, column)) };
                }
            }
        }
        let left = block.left[tile].wrapping_add(start % LANES * 64);
        // Each tile of terms has 16 pairs.
        for pair in 0..block.depth * 16 {
            // SAFETY: rows of the operands' tiles, and pairs in them.
            unsafe {
                let right = block.right.map(|right| _mm512_load_si512(right.add(pair * 64).cast()));
                let left = left.add(pair / 16 * TILE + pair % 16 * 4);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let own = half(_mm512_set1_epi32(left.add(row * 64).cast::<i32>().read()));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = _mm512_dpbf16_ps(*sum, own, half(right));
                    }
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (column, sum) in sums.into_iter().enumerate() {
                // SAFETY: as above.
                unsafe { _mm512_storeu_ps(place(row, column), sum) };
            }
        }
    }
}

/// The same 64 bytes, as bfloat16.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn half(x: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes without a meaning of their own.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(x) }
}
