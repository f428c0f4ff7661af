//! A processor alone against PyTorch's results for the same program, parameters and inputs.

use std::path::Path;

use graph::Processor;
use tch::Tensor;

use super::{Options, Report, arrays};
use crate::Device;
use crate::compiled::Compiled;
use crate::error::{NetworkError, Result};
use crate::parameters::Parameters;
use crate::tensor::{from_f64, item, sizes, to_f64};
use crate::weights::Weights;

const OUTPUT_TOLERANCE: f64 = 2e-5;
const GRADIENT_TOLERANCE: f64 = 2e-4;
/// In the order of a processor's inputs; gradients are compared for all but the adjacency.
const INPUTS: [&str; 5] = ["node_fts", "edge_fts", "graph_fts", "adj_mat", "hidden"];

/// The number of features H that a reference file's inputs have.
pub fn program_hidden(file: &Path) -> Result<usize> {
    let golden = Weights::load(file)?;
    let hidden = arrays::get(&golden, "in/hidden")?.shape.last().copied();
    hidden.ok_or_else(|| NetworkError::File { path: file.to_owned(), reason: "in/hidden is a number".to_owned() })
}

/// Runs a processor on a reference file's parameters and inputs (keys `param/`, `in/`, `out/`, `grad/`, `grad_in/`, and
/// the same under `case2/`) and compares outputs and gradients. Errors are relative to each tensor's largest magnitude,
/// taken as at least 1.
pub fn program_case(processor: &Processor, file: &Path, device: Device, options: Options) -> Result<Report> {
    let golden = Weights::load(file)?;
    let name = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let mut report = Report::new(&name);
    let stored = arrays::under(&golden, "param/");
    let parameters = Parameters::from_weights(&processor.graph, &stored, options.dtype, device)?;
    let known = |name: &str| processor.graph.params.iter().any(|param| param.name == name);
    if let Some(extra) = stored.arrays.keys().find(|name| !known(name)) {
        let reason = "the file has it, the program does not".to_owned();
        return Err(NetworkError::Tensor { name: extra.clone(), reason });
    }
    for prefix in ["", "case2/"] {
        let case = arrays::under(&golden, prefix);
        if case.arrays.contains_key("in/node_fts") {
            compare(processor, &parameters, &case, prefix, device, options, &mut report)?;
        }
    }
    if report.checks.is_empty() {
        return Err(NetworkError::File { path: file.to_owned(), reason: "has no inputs to run".to_owned() });
    }
    Ok(report)
}

fn compare(
    processor: &Processor,
    parameters: &Parameters,
    case: &Weights,
    prefix: &str,
    device: Device,
    options: Options,
    report: &mut Report,
) -> Result<()> {
    let kind = options.dtype.kind();
    let load = |name: &str| -> Result<Tensor> {
        let array = arrays::get(case, name)?;
        from_f64(&array.data, &sizes(&array.shape)?, kind, device)
    };
    let mut leaves = Vec::new();
    for name in INPUTS {
        let value = load(&format!("in/{name}"))?;
        let value = if name == "adj_mat" { value } else { value.f_set_requires_grad(true)? };
        leaves.push((name, value));
    }
    let [b, n, ..] = leaves.first().map(|(_, value)| value.size()).unwrap_or_default()[..] else {
        return Err(NetworkError::Tensor { name: "in/node_fts".to_owned(), reason: "has no batch".to_owned() });
    };

    let mut compiled = Compiled::new(&processor.graph, &processor.outputs(), options.passes, kind, device);
    let inputs: Vec<(usize, Tensor)> =
        leaves.iter().enumerate().map(|(at, (_, leaf))| (at, leaf.shallow_clone())).collect();
    let base = compiled.prepare((b, n), parameters, &inputs)?;
    let values = compiled.run((b, n), &base, &inputs)?;

    let tolerance = |documented: f64| options.tolerance.unwrap_or(documented);
    let expects_triplets = case.arrays.contains_key("out/tri_msgs");
    if expects_triplets != processor.tri_msgs.is_some() {
        report.add(format!("{prefix}out/tri_msgs is there"), 1.0, 0.0);
        return Ok(());
    }
    let mut loss = Tensor::f_zeros([0_i64; 0], (kind, device.0))?;
    for (value, (output, weight)) in values.iter().zip([("out/ret", "in/w_ret"), ("out/tri_msgs", "in/w_tri")]) {
        let theirs = arrays::get(case, output)?;
        report.add_tensor(format!("{prefix}{output}"), &to_f64(value)?, &theirs.data, 1.0, tolerance(OUTPUT_TOLERANCE));
        loss = loss.f_add(&value.f_mul(&load(weight)?)?.f_sum(None)?)?;
    }
    let theirs = arrays::get(case, "out/loss")?;
    report.add_tensor(format!("{prefix}out/loss"), &[item(&loss)?], &theirs.data, 1.0, tolerance(OUTPUT_TOLERANCE));

    // Both kinds of gradient from one backward pass: parameters first, then inputs.
    let wanted: Vec<&Tensor> = leaves.iter().filter(|(name, _)| *name != "adj_mat").map(|(_, leaf)| leaf).collect();
    let (flat, inputs) = parameters.gradient_with(&loss, &wanted)?;
    let ours = parameters.split(&flat)?;
    for (name, theirs) in &arrays::under(case, "grad/").arrays {
        let ours = arrays::get(&ours, name)?;
        let name = format!("{prefix}grad/{name}");
        report.add_tensor(name, &ours.data, &theirs.data, 1.0, tolerance(GRADIENT_TOLERANCE));
    }
    let names = INPUTS.iter().filter(|name| **name != "adj_mat");
    for (name, ours) in names.zip(&inputs) {
        let Some(theirs) = case.arrays.get(&format!("grad_in/{name}")) else { continue };
        let ours = if ours.defined() { to_f64(ours)? } else { vec![0.0; theirs.data.len()] };
        let name = format!("{prefix}grad_in/{name}");
        report.add_tensor(name, &ours, &theirs.data, 1.0, tolerance(GRADIENT_TOLERANCE));
    }
    Ok(())
}
