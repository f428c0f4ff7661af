//! Products of float32 matrices whose operands are rounded to bfloat16, with the processor's instructions for that.
//!
//! Both operands are packed into *tiles* of [`LANES`] lanes (rows of the left operand, columns of the right one) by
//! [`TERMS`] terms, which is also where they are rounded; sums are in float32. Tiles of the left operand have their lanes one
//! after the other, those of the right one their pairs of terms: so both kinds of instructions read them as they are.
//!
//! Subnormal numbers count as 0, as these instructions have it.

mod pack;
mod tile;

use std::sync::OnceLock;

/// Rows of the left operand, or columns of the right one, in a tile.
const LANES: usize = 16;
/// Terms in a tile.
const TERMS: usize = 32;
/// Bytes of a tile.
const TILE: usize = LANES * TERMS * 2;
/// Tiles of terms that are packed before they are multiplied: half of a second-level cache has room for them.
const DEPTH: usize = 16;
/// Tiles of columns that are packed before they are multiplied.
const BREADTH: usize = 64;
/// Tiles of the left operand that are packed before they are multiplied, at the most, where its terms are few: a tile that was
/// just written cannot be read until it has reached the first-level cache.
const NEAR: usize = 24;

/// The instructions that a processor has for products in bfloat16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// AMX: registers that hold tiles.
    Tiles,
    /// AVX-512 BF16: dot products of pairs.
    Pairs,
}

impl Unit {
    /// Those that this processor has, and that the system lets us use, the fastest first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        static FOUND: OnceLock<Vec<Unit>> = OnceLock::new();
        FOUND.get_or_init(tile::all).clone()
    }

    /// The fastest one, if it is faster than products in float32: pairs are not on Intel's processors, where they take a port that
    /// two float32 operations share (half of float32's speed on a Sapphire Rapids, by the example `matrix`).
    #[must_use]
    pub fn detect() -> Option<Self> {
        Self::all().into_iter().find(|&unit| unit == Self::Tiles || !tile::is_intel())
    }
}

/// A matrix of an operand: where it starts, and the distances between lanes and between terms, in elements.
#[derive(Clone, Copy, Debug)]
pub struct Factor {
    /// The first element.
    pub start: *const f32,
    /// From a row of the left operand, or a column of the right one, to the next.
    pub lane: usize,
    /// From one term to the next.
    pub term: usize,
}

impl Factor {
    fn at(self, lane: usize, term: usize) -> Self {
        Self { start: self.start.wrapping_add(lane * self.lane + term * self.term), ..self }
    }
}

/// Where the right operand comes from.
#[derive(Clone, Copy, Debug)]
pub enum Right {
    /// It is to be packed.
    Plain(Factor),
    /// [`pack_right`] has packed it here.
    Packed(*const u8),
}

/// Bytes of a packed right operand.
#[must_use]
pub fn packed_bytes(terms: usize, columns: usize) -> usize {
    columns.div_ceil(LANES) * terms.div_ceil(TERMS) * TILE
}

/// Bytes that [`product`] needs for itself.
#[must_use]
pub fn room([_, terms, columns]: [usize; 3], packed: bool) -> usize {
    let depth = terms.div_ceil(TERMS).min(DEPTH);
    let right = if packed { 0 } else { columns.div_ceil(LANES).min(BREADTH) * depth };
    (right + height(depth) * depth + tile::EDGES) * TILE
}

/// Tiles of rows that are packed before they are multiplied, given the tiles of terms: an even number.
fn height(depth: usize) -> usize {
    (NEAR / depth.max(1)).max(2) & !1
}

/// Packs a whole right operand, for any number of products.
///
/// # Safety
/// `right` has so many terms and columns; `to` has [`packed_bytes`] bytes, which nobody else uses, and is aligned to 64.
pub unsafe fn pack_right(unit: Unit, right: Factor, terms: usize, columns: usize, to: *mut u8) {
    // SAFETY: as promised.
    unsafe { pack::all(unit, right, [columns, terms], pack::Order::Terms, to) };
}

/// value `[rows, columns]` = left `[rows, terms]` times right `[terms, columns]`, both rounded to bfloat16, added to what is in
/// value with `accumulate`. `sizes` are rows, terms, columns; `value` has the distances between rows and between columns.
///
/// The same sizes and distances always have the same order of additions.
///
/// # Safety
/// `unit` is one of [`Unit::all`]. The factors' and value's elements are there, value's are in no factor's memory
/// and, with `accumulate`, initialised; `room` has [`room`] bytes, is aligned to 64, and nobody else uses it.
pub unsafe fn product(
    unit: Unit,
    [rows, terms, columns]: [usize; 3],
    left: Factor,
    right: Right,
    value: (*mut f32, usize, usize),
    accumulate: bool,
    room: *mut u8,
) {
    if rows == 0 || columns == 0 || (terms == 0 && accumulate) {
        return;
    }
    let depth = terms.div_ceil(TERMS);
    // Edges, then the left operand's tiles, then the right one's.
    let of_left = room.wrapping_add(tile::EDGES * TILE);
    let of_right = of_left.wrapping_add(height(depth.min(DEPTH)) * depth.min(DEPTH) * TILE);
    let session = tile::Session::new(unit);
    let mut j = 0;
    while j < columns {
        let width = columns.min(j + BREADTH * LANES) - j;
        let mut l = 0;
        loop {
            let tiles = depth.min(l + DEPTH) - l;
            let count = terms.min((l + tiles) * TERMS) - l * TERMS;
            // Where the tiles of a column begin, and how many there are until the next column's.
            let (packed, pitch) = match right {
                Right::Packed(at) => (at.wrapping_add((j / LANES * depth + l) * TILE), depth),
                Right::Plain(factor) => {
                    let part = factor.at(j, l * TERMS);
                    // SAFETY: a part of the operand, and the room that belongs to it.
                    unsafe { pack::all(unit, part, [width, count], pack::Order::Terms, of_right) };
                    (of_right.cast_const(), tiles)
                }
            };
            let mut i = 0;
            while i < rows {
                let height = rows.min(i + height(tiles) * LANES) - i;
                // SAFETY: as above.
                unsafe { pack::all(unit, left.at(i, l * TERMS), [height, count], pack::Order::Lanes, of_left) };
                let strip = tile::Strip {
                    sizes: [height, tiles, width],
                    left: of_left,
                    right: (packed, pitch * TILE),
                    value: (value.0.wrapping_add(i * value.1 + j * value.2), value.1, value.2),
                    accumulate: accumulate || l > 0,
                    edges: room,
                };
                // SAFETY: both operands are packed, and value's part is as the caller promises.
                unsafe { session.strip(&strip) };
                i += height;
            }
            l += tiles;
            if l >= depth {
                break;
            }
        }
        j += width;
    }
}

#[cfg(test)]
mod tests;
