//! What a program may cost to understand and to run.

use serde::{Deserialize, Serialize};

/// Limits; beyond one of them a program is rejected with category `budget`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budgets {
    /// Statements and expressions that evaluation runs through.
    pub steps: u64,
    /// Calls inside calls.
    pub depth: usize,
    /// Rounds of one loop.
    pub iterations: u64,
    /// Elements of all lists, strings and the like that are made.
    pub elements: u64,
    /// Tensor operations.
    pub nodes: usize,
    /// Elements of all parameters and buffers.
    pub parameters: u64,
    /// Parameters and buffers.
    pub leaves: usize,
    /// Bytes of the largest tensor, in float32, at `b` and `n`.
    pub tensor_bytes: u64,
    /// The batch size at which tensors are measured.
    pub b: i64,
    /// The number of nodes at which tensors are measured.
    pub n: i64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            steps: 200_000,
            depth: 60,
            iterations: 4096,
            elements: 500_000,
            nodes: 10_000,
            parameters: 50_000_000,
            leaves: 4096,
            tensor_bytes: 1 << 30,
            b: 32,
            n: 64,
        }
    }
}
