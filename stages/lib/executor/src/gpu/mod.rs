//! What makes a GPU fast at small work: kernels that are written for a network, and recordings that launch many at once.
//!
//! A network's step is some hundred operations on tensors of a few megabytes at the most. What each costs is its launch and
//! its way through memory, not its arithmetic. So [`code`] writes one kernel for what can be computed in one pass,
//! [`library`] has it compiled where the program runs, and [`graphs`] records whole steps.

pub(crate) mod code;
pub(crate) mod graphs;
pub(crate) mod library;
pub(crate) mod moves;
pub(crate) mod program;
pub(crate) mod special;
