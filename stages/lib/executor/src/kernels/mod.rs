//! The loops that training a graph consists of, each for float32 and float64.
//!
//! All of them run on the calling thread (callers give each thread a part of a batch), add in a fixed order, allocate
//! nothing while they run, and use the widest vector instructions that the processor has. Bools are 0 and 1 in the float
//! type. Tensors are slices; "contiguous" means row-major without gaps.
//!
//! * [`Loop`]: chains of element-wise operations with several results, some of them summed over axes;
//! * [`extremes`], [`max_plus`]: maxima and minima over an axis, and their gradients;
//! * [`normal`]: softmax and layer norm;
//! * [`copy`]: strided copies, transposes, concatenation;
//! * [`adam`]: the optimiser's step.

pub mod adam;
pub mod copy;
pub mod extremes;
pub mod fused;
mod math;
pub mod max_plus;
pub mod normal;
mod real;
mod vector;

pub use fused::{Instr, Loop, LoopSpec, Store, View};
pub use real::Real;

/// Why a kernel cannot be built or run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    #[error("instruction {at} uses a value that does not come before it")]
    Order { at: usize },
    #[error("there is no {what} {number}")]
    Missing { what: &'static str, number: usize },
    #[error("{what} {number} has {got} strides, but the loop has {wanted} axes")]
    Rank { what: &'static str, number: usize, got: usize, wanted: usize },
    #[error("sizes or strides are out of range")]
    Range,
    #[error("{what} {number} has {got} elements, but {wanted} are needed")]
    Length { what: &'static str, number: usize, got: usize, wanted: usize },
}

/// Whether a slice is as long as a kernel needs it.
fn check_length(what: &'static str, number: usize, got: usize, wanted: usize) -> Result<(), KernelError> {
    if got < wanted { Err(KernelError::Length { what, number, got, wanted }) } else { Ok(()) }
}

/// The number of elements of a shape, if it is in range.
fn count(sizes: &[usize]) -> Result<usize, KernelError> {
    sizes.iter().try_fold(1_usize, |count, &size| count.checked_mul(size)).ok_or(KernelError::Range)
}
