//! Comparison with reference numbers: of a processor with PyTorch's, of a whole network with dm-clrs's.

mod arrays;
mod network;
mod optimiser;
mod program;
mod trace;

pub use network::NetworkCase;
pub use optimiser::optimiser_case;
pub use program::{program_case, program_hidden, program_noise, program_sizes};

use serde::Serialize;

use crate::{Backend, Dtype};

/// How to compare.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Number format of the computation.
    pub dtype: Dtype,
    /// One tolerance for everything, in place of the documented one of each quantity.
    pub tolerance: Option<f64>,
    /// Whether to rewrite graphs first, as training does.
    pub passes: bool,
    /// How to compute.
    pub backend: Backend,
}

/// One quantity's comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Name of the quantity.
    pub name: String,
    /// In the measure that the quantity's tolerance is stated in.
    pub error: f64,
    /// Largest error that is accepted.
    pub tolerance: f64,
    /// Whether the error is within it.
    pub ok: bool,
    /// Largest absolute error, where the quantity is a tensor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_abs: Option<f64>,
    /// The same relative to the largest expected magnitude.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rel: Option<f64>,
}

/// All comparisons of a case.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the case.
    pub case: String,
    /// Whether all checks passed.
    pub ok: bool,
    /// One for each quantity.
    pub checks: Vec<Check>,
}

impl Report {
    fn new(case: &str) -> Self {
        Self { case: case.to_owned(), ok: true, checks: Vec::new() }
    }

    /// Adds a comparison; an error that is not a number is beyond every tolerance.
    fn add(&mut self, name: impl Into<String>, error: f64, tolerance: f64) {
        let ok = error <= tolerance;
        self.ok &= ok;
        self.checks.push(Check { name: name.into(), error, tolerance, ok, max_abs: None, max_rel: None });
    }

    /// Adds a tensor, measured by its largest error over the largest expected magnitude, taken as at least `least`.
    fn add_tensor(&mut self, name: impl Into<String>, ours: &[f64], theirs: &[f64], least: f64, tolerance: f64) {
        let (max_abs, scale) = arrays::difference(ours, theirs);
        self.add(name, max_abs / scale.max(least), tolerance);
        if let Some(check) = self.checks.last_mut() {
            check.max_abs = Some(max_abs);
            check.max_rel = Some(if max_abs == 0.0 { 0.0 } else { max_abs / scale });
        }
    }

    /// The comparison that comes closest to its tolerance, or is furthest beyond it.
    pub fn worst(&self) -> Option<&Check> {
        let part = |check: &Check| if check.error.is_nan() { f64::INFINITY } else { check.error / check.tolerance };
        self.checks.iter().max_by(|x, y| part(x).total_cmp(&part(y)))
    }
}
