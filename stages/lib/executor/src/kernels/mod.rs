//! The loops that training a graph consists of, each for float32 and float64.
//!
//! All of them run on the calling thread (callers give each thread a part of a batch), add in a fixed order, allocate
//! nothing while they run, and use the widest vector instructions that the processor has. Bools are 0 and 1 in the float
//! type. Tensors are slices; "contiguous" means row-major without gaps.
//!
//! * [`Loop`]: chains of element-wise operations with several results, some of them summed over axes;
//! * [`extremes`], [`max_plus`]: maxima and minima over an axis, and their gradients;
//! * [`normal`]: softmax and layer norm;
//! * [`matrix`]: products of small and tall matrices;
//! * [`bfloat16`]: products in bfloat16, where the processor has them;
//! * [`copy`]: strided copies, transposes, concatenation.

// Loops by index unroll to vector registers; iterators' closures would not be compiled for the processor's vectors.
#![allow(clippy::needless_range_loop)]

pub mod bfloat16;
pub mod copy;
pub mod extremes;
pub mod fused;
mod math;
pub mod matrix;
pub mod max_plus;
pub mod normal;
mod real;
mod vector;

pub use fused::{Instr, Loop, LoopSpec, Store, View};
pub use real::Real;

/// Why a kernel cannot be built or run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// An instruction uses a value that is not computed before it.
    #[error("instruction {at} uses a value that does not come before it")]
    Order {
        /// Index of the instruction.
        at: usize,
    },
    /// Something is referred to that is not there.
    #[error("there is no {what} {number}")]
    Missing {
        /// What it is, such as `input`.
        what: &'static str,
        /// Its index.
        number: usize,
    },
    /// A tensor has not one stride for each axis.
    #[error("{what} {number} has {got} strides, but the loop has {wanted} axes")]
    Rank {
        /// What the tensor is, such as `output`.
        what: &'static str,
        /// Its index.
        number: usize,
        /// How many strides it has.
        got: usize,
        /// How many axes there are.
        wanted: usize,
    },
    /// Sizes or positions overflow.
    #[error("sizes or strides are out of range")]
    Range,
    /// A slice is shorter than its sizes say.
    #[error("{what} {number} has {got} elements, but {wanted} are needed")]
    Length {
        /// What the slice is, such as `input`.
        what: &'static str,
        /// Its index.
        number: usize,
        /// How many elements it has.
        got: usize,
        /// How many it needs.
        wanted: usize,
    },
}

/// Whether a slice is as long as a kernel needs it.
fn check_length(what: &'static str, number: usize, got: usize, wanted: usize) -> Result<(), KernelError> {
    if got < wanted { Err(KernelError::Length { what, number, got, wanted }) } else { Ok(()) }
}

/// The number of elements of a shape, if it is in range.
fn count(sizes: &[usize]) -> Result<usize, KernelError> {
    sizes.iter().try_fold(1_usize, |count, &size| count.checked_mul(size)).ok_or(KernelError::Range)
}

/// What tests of several kernels use.
#[cfg(test)]
mod testing {
    /// A small generator of numbers, so that a case is one seed.
    pub struct Random(pub u64);

    impl Random {
        pub fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = self.0;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ (x >> 31)
        }

        pub fn below(&mut self, bound: usize) -> usize {
            (self.next() % bound as u64) as usize
        }

        /// Between -2 and 2, with few digits, so that float32 holds it exactly.
        pub fn number(&mut self) -> f64 {
            (self.below(4001) as f64 - 2000.0) / 1024.0
        }
    }
}
