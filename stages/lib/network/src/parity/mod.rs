//! Comparison with reference numbers: of a processor with PyTorch's, of a whole network with dm-clrs's.

mod arrays;
mod network;
mod program;

pub use network::{NetworkCase, optimiser_case};
pub use program::{program_case, program_hidden};

use serde::Serialize;

use crate::Dtype;

/// How to compare.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub dtype: Dtype,
    /// One tolerance for everything, in place of the documented one of each quantity.
    pub tolerance: Option<f64>,
    /// Whether to rewrite graphs first, as training does.
    pub passes: bool,
}

/// One quantity's comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub name: String,
    /// In the measure that the quantity's tolerance is stated in.
    pub error: f64,
    pub tolerance: f64,
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
    pub case: String,
    pub ok: bool,
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::{DeviceArg, reference};

    fn fixtures() -> PathBuf {
        std::env::var_os("MODEL_GOLDENS")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/model"), PathBuf::from)
    }

    /// Every reference case, as the network is built and as it is rewritten.
    #[test]
    fn networks_agree_with_the_reference() {
        let device = crate::init(&DeviceArg::Cpu, 1).expect("the CPU is there");
        let mut paths: Vec<PathBuf> = std::fs::read_dir(fixtures())
            .expect("there are reference cases")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        paths.sort();
        assert!(paths.len() >= 5, "{paths:?}");
        let mut bad = Vec::new();
        for path in &paths {
            for (dtype, passes) in [(Dtype::F64, false), (Dtype::F64, true), (Dtype::F32, true)] {
                let options = Options { dtype, tolerance: None, passes };
                let report = if path.ends_with("optimiser.json") {
                    optimiser_case(path, device, options)
                } else {
                    let case = NetworkCase::load(path).expect("is readable");
                    let processor = reference::processor(case.processor(), case.hidden());
                    case.compare(&processor, device, options)
                };
                let report = report.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                for check in report.checks.iter().filter(|check| !check.ok) {
                    bad.push(format!(
                        "{} {options:?} {}: {} of {}",
                        report.case, check.name, check.error, check.tolerance
                    ));
                }
            }
        }
        assert!(bad.is_empty(), "{} beyond tolerance:\n{}", bad.len(), bad.join("\n"));
    }
}
