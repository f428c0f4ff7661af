//! The optimiser alone.

use std::collections::BTreeMap;
use std::path::Path;

use executor::tensor::{TorchKind, from_f64, sizes, to_f64};
use executor::weights::{Array, Weights};
use serde::Deserialize;

use super::{Options, Report, arrays};
use crate::Device;
use crate::adam::Adam;
use crate::error::{NetworkError, Result};

/// Steps of clipping and Adam on given gradients.
pub fn optimiser_case(path: &Path, device: Device, options: Options) -> Result<Report> {
    #[derive(Deserialize)]
    struct Settings {
        steps: usize,
        learning_rate: f64,
        grad_clip_max_norm: f64,
        grad_global_norms: Vec<f64>,
    }
    let fail = |reason: String| NetworkError::File { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let settings: Settings = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
    let file = Weights::load(path.with_extension("safetensors"))?;
    let flat = |prefix: &str| -> Result<Vec<f64>> {
        let arrays = arrays::under(&file, prefix).arrays;
        if arrays.is_empty() { Err(fail(format!("has no {prefix}"))) } else { Ok(join(&arrays)) }
    };
    let tensor = |values: &[f64]| from_f64(values, &sizes(&[values.len()])?, options.dtype.kind(), device);
    let mut parameters = tensor(&flat("param0/")?)?;
    let mut adam = Adam::new(&parameters, settings.learning_rate, settings.grad_clip_max_norm)?;
    let mut report = Report::new("optimiser");
    for step in 1..=settings.steps {
        let norm = adam.step(&mut parameters, &tensor(&flat(&format!("grad{step}/"))?)?)?;
        if let Some(theirs) = settings.grad_global_norms.get(step - 1) {
            report.add(format!("norm{step}"), (norm - theirs).abs() / theirs, 1e-6);
        }
        let (error, _) = arrays::difference(&to_f64(&parameters)?, &flat(&format!("param{step}/"))?);
        report.add(format!("param{step}"), error, options.tolerance.unwrap_or(5e-7));
    }
    let moments = adam.moments()?;
    for (name, ours) in [("mu", &moments.mean), ("nu", &moments.square)] {
        let theirs = flat(&format!("{name}{}/", settings.steps))?;
        report.add_tensor(name, ours, &theirs, 1e-9, options.tolerance.unwrap_or(2e-6));
    }
    Ok(report)
}

fn join(arrays: &BTreeMap<String, Array>) -> Vec<f64> {
    arrays.values().flat_map(|array| array.data.iter().copied()).collect()
}
