//! Runs a candidate's graph on the CPU.

pub mod kernels;
