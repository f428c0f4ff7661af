//! A part of a step as a list of kernel calls on the CPU.
//!
//! [`Plan::new`] is done once for a part and its sizes: it lowers operations to simpler ones, merges what can be computed in
//! one pass, gives every value a place in memory (several share one, if they are not needed at the same time), and prepares
//! the kernels. [`Plan::run`] only calls them.

mod compile;
mod layout;
mod loops;
mod lower;
mod multiply;
mod product;
mod run;
mod special;
mod step;
pub(crate) mod units;
mod windows;

pub(crate) use loops::{Made, instruction};
pub(crate) use product::Gemm;
pub(crate) use run::{Addresses, Mode, Plan, Use};
pub(crate) use special::around;
