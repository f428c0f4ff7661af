//! A whole network against dm-clrs: losses, predictions, gradients, optimiser steps, scores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clrs::{Batch, DataPoint, SpecEntry, Stage};
use executor::Parameters;
use executor::tensor::{TorchKind, from_f64, sizes, to_f64};
use executor::weights::{Array, Weights};
use graph::Processor;
use serde::Deserialize;
use tch::Tensor;

use super::trace::{Trace, Tracer};
use super::{Options, Report, arrays};
use crate::adam::Adam;
use crate::batch::{Encoded, Hints};
use crate::error::{NetworkError, Result};
use crate::evaluate::predict;
use crate::score::Scorer;
use crate::supervision::{Divisors, Keys, Supervision};
use crate::workers::{Learned, Settings, Workers};
use crate::{Device, Dtype};
use model::Model;
use model::Repred;
use model::data;

#[derive(Deserialize)]
struct Description {
    case: String,
    algorithm: String,
    hyper_parameters: Hyper,
    data: Data,
    loss: f64,
    loss_float64: f64,
    output_losses: BTreeMap<String, TermValue>,
    hint_losses: BTreeMap<String, TermValue>,
    loss_per_feedback_step: Vec<f64>,
    grad_global_norm: f64,
    evaluation: BTreeMap<String, f64>,
    parameters: BTreeMap<String, ParameterRow>,
}

#[derive(Deserialize)]
struct Hyper {
    processor: String,
    hidden_dim: usize,
    nb_triplet_fts: usize,
    use_ln: bool,
    learning_rate: f64,
    grad_clip_max_norm: f64,
    hint_teacher_forcing: f64,
    hint_repred_mode: Repred,
    nb_msg_passing_steps: usize,
}

#[derive(Deserialize)]
struct Data {
    inputs: Vec<String>,
    hints: Vec<String>,
    outputs: Vec<String>,
}

#[derive(Deserialize)]
struct TermValue {
    loss: f64,
    divisor: f64,
}

#[derive(Deserialize)]
struct ParameterRow {
    name: String,
    part: String,
    role: String,
    data_point: Option<String>,
}

/// A reference case: `NAME.json`, and `NAME.safetensors` beside it.
pub struct NetworkCase {
    description: Description,
    arrays: Weights,
    path: PathBuf,
}

impl NetworkCase {
    /// Reads a case: its description in JSON, and the arrays in the safetensors file beside it.
    pub fn load(path: &Path) -> Result<Self> {
        let fail = |reason: String| NetworkError::File { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let description = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        Ok(Self { description, arrays: Weights::load(path.with_extension("safetensors"))?, path: path.to_owned() })
    }

    /// The benchmark's name of the case's processor: `triplet_gmpnn`, `gmpnn`, `mpnn` or `pgn`.
    pub fn processor(&self) -> &str {
        &self.description.hyper_parameters.processor
    }

    /// H
    pub fn hidden(&self) -> usize {
        self.description.hyper_parameters.hidden_dim
    }

    /// Features of the processor's triplets.
    pub fn nb_triplet_fts(&self) -> usize {
        self.description.hyper_parameters.nb_triplet_fts
    }

    /// Whether the processor normalises its layers.
    pub fn use_ln(&self) -> bool {
        self.description.hyper_parameters.use_ln
    }

    /// Computes everything that the case has numbers for, with `processor` as the processor, and compares.
    pub fn compare(&self, processor: &Processor, device: Device, options: Options) -> Result<Report> {
        let case = &self.description;
        let hyper = &case.hyper_parameters;
        let algorithm = data::find(&case.algorithm)?;
        let model = Model::new(processor, &data::spec(algorithm), hyper.nb_msg_passing_steps)?;
        let batch = self.batch(&model)?;
        let weights = self.weights("param/", options.dtype)?;
        let mut parameters = Parameters::from_weights(&model.graph, &weights, options.dtype, device)?;
        let count: usize = model.graph.params().iter().map(|param| param.shape.iter().product::<usize>()).sum();
        let stored: usize = weights.arrays.values().map(|array| array.data.len()).sum();
        let mut report = Report::new(&case.case);
        report.add("param_count", (count as f64 - stored as f64).abs(), 0.0);

        let settings = Settings {
            repred: hyper.hint_repred_mode,
            forcing: hyper.hint_teacher_forcing >= 1.0,
            passes: options.passes,
            dtype: options.dtype,
            device,
            backend: options.backend,
        };
        let mut workers = Workers::new(&model, settings)?;
        let encoded = Encoded::new(&model, &batch, Hints::All, options.dtype.kind(), device)?;
        let forced = settings.forcing.then(|| vec![true; encoded.lengths.len()]);
        let forced = vec![forced; encoded.network_steps()];
        let applications = model.in_training().keys.len();
        let keys = if applications > 0 { Some(Keys::new(0, 0, &encoded, applications)?) } else { None };
        let supervision = Supervision { forced, noise: self.noise(&model, options.dtype, device)?, keys };
        let divisors = Divisors::new(&model, &encoded)?;
        let run = Run { case, arrays: &self.arrays, encoded: &encoded, supervision: &supervision, options };

        let learned = run.learn(&mut workers, &parameters)?;
        run.compare_losses(&model, &learned, &divisors, &mut report)?;
        let trace = Tracer::new(&model, settings)?.run(&parameters, &encoded, &supervision, &divisors)?;
        run.compare_raw(&model, &trace, &mut report);
        let stored_gradient = self.weights("grad/", options.dtype)?;
        let ours = parameters.split(&learned.gradient)?;
        run.compare_gradients(&ours, &stored_gradient, &mut report)?;
        run.compare_parts(&mut workers, &parameters, &stored_gradient, &mut report)?;
        self.compare_predictions(&mut workers, &parameters, &batch, device, options, &mut report)?;

        let after = self.weights("param_after/", options.dtype)?;
        run.step_from_stored(&model, &weights, &stored_gradient, &after, device, &mut report)?;
        let mut adam = Adam::new(&parameters.flat, hyper.learning_rate, hyper.grad_clip_max_norm)?;
        adam.step(&mut parameters.flat, &learned.gradient)?;
        run.compare_step(&parameters.weights()?, &after, &stored_gradient, &mut report);
        run.compare_course(&mut workers, &mut parameters, &mut adam, &mut report)?;
        Ok(report)
    }

    /// The stored batch in the benchmark's form.
    fn batch(&self, model: &Model) -> Result<Batch> {
        let points = |names: &[String], stage: Stage, ports: &[model::Port]| -> Result<Vec<DataPoint>> {
            let point = |name: &String| -> Result<DataPoint> {
                let array = arrays::get(&self.arrays, &format!("{stage}/{name}"))?;
                let entry = ports.iter().map(|port| port.entry).find(|entry| entry.name == name);
                let entry = entry.ok_or_else(|| self.fail(format!("{stage} {name} is not the algorithm's")))?;
                Ok(DataPoint {
                    name: entry.name,
                    stage,
                    location: entry.location,
                    ty: entry.ty,
                    dtype: entry.dtype,
                    shape: array.shape.clone(),
                    data: array.data.clone(),
                })
            };
            names.iter().map(point).collect()
        };
        let data = &self.description.data;
        Ok(Batch {
            inputs: points(&data.inputs, Stage::Input, &model.inputs)?,
            hints: points(&data.hints, Stage::Hint, &model.hints)?,
            outputs: points(&data.outputs, Stage::Output, &model.outputs)?,
            lengths: arrays::get(&self.arrays, "lengths")?.data.iter().map(|&length| length as usize).collect(),
        })
    }

    fn noise(&self, model: &Model, dtype: Dtype, device: Device) -> Result<Vec<Option<Tensor>>> {
        let one = |port: &model::Port| -> Result<Option<Tensor>> {
            let Some(array) = self.arrays.arrays.get(&format!("noise/{}", port.entry.name)) else { return Ok(None) };
            Ok(Some(from_f64(&array.data, &sizes(&array.shape)?, dtype.kind(), device)?))
        };
        model.outputs.iter().map(one).collect()
    }

    /// Arrays by parameter, under our names and in PyTorch's layout.
    fn weights(&self, prefix: &str, dtype: Dtype) -> Result<Weights> {
        let mut weights = Weights { dtype, ..Weights::default() };
        for (key, row) in &self.description.parameters {
            let array = arrays::get(&self.arrays, &format!("{prefix}{key}"))?;
            let array = if row.name == "w" { arrays::transposed(array) } else { array.clone() };
            let name = self.our_name(row).ok_or_else(|| self.fail(format!("parameter {key} has an unknown role")))?;
            weights.arrays.insert(name, array);
        }
        Ok(weights)
    }

    fn our_name(&self, row: &ParameterRow) -> Option<String> {
        let leaf = match row.name.as_str() {
            "w" | "scale" => "weight",
            "b" | "offset" => "bias",
            _ => return None,
        };
        let (layers, prefix) = match row.part.as_str() {
            "encoder" => ("encoders", "enc_"),
            "decoder" => ("decoders", "dec_"),
            _ => {
                let layer = match row.role.as_str() {
                    "msg_mlp_0" => "msg_mlp.0",
                    "msg_mlp_1" => "msg_mlp.2",
                    role => role,
                };
                return Some(format!("processor.{layer}.{leaf}"));
            }
        };
        let index = row.role.strip_prefix(prefix)?;
        Some(format!("{layers}.{}.{index}.{leaf}", row.data_point.as_deref()?))
    }

    fn compare_predictions(
        &self,
        workers: &mut Workers<'_>,
        parameters: &Parameters,
        batch: &Batch,
        device: Device,
        options: Options,
        report: &mut Report,
    ) -> Result<()> {
        let tolerance = |documented: f64| options.tolerance.unwrap_or(documented);
        let encoded = Encoded::new(workers.model, batch, Hints::First, options.dtype.kind(), device)?;
        let samples = encoded.lengths.len();
        for (way, parts) in [("", vec![(0..samples).collect()]), (" in parts", odd_and_even(samples))] {
            let raw = workers.predict_parts(parameters, &encoded, &parts)?;
            for (port, raw) in workers.model.outputs.iter().zip(&raw) {
                let name = format!("raw_predict/{}", port.entry.name);
                let theirs = arrays::get(&self.arrays, &name)?;
                report.add_tensor(name + way, &to_f64(raw)?, &theirs.data, 0.01, tolerance(2e-5));
            }
        }
        let predictions = predict(workers, parameters, batch)?;
        for prediction in &predictions {
            let name = format!("pred/{}", prediction.name);
            report.add_tensor(&name, &prediction.data, &arrays::get(&self.arrays, &name)?.data, 1.0, 0.0);
        }
        let mut scorer = Scorer::default();
        scorer.add(batch, &predictions)?;
        let scores = scorer.scores();
        for (name, theirs) in &self.description.evaluation {
            let ours = match name.as_str() {
                "score" => Some(scores.score),
                _ => scores.per_output.iter().find(|(output, _)| output == name).map(|(_, score)| *score),
            };
            report.add(format!("evaluation/{name}"), (ours.unwrap_or(f64::NAN) - theirs).abs(), tolerance(1e-6));
        }
        Ok(())
    }

    fn fail(&self, reason: String) -> NetworkError {
        NetworkError::File { path: self.path.clone(), reason }
    }
}

/// Samples in two parts, none of them as it was.
fn odd_and_even(samples: usize) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = [1, 0].map(|first| (first..samples).step_by(2).collect()).into();
    parts.retain(|part: &Vec<usize>| !part.is_empty());
    parts
}

/// One case being computed.
struct Run<'a> {
    case: &'a Description,
    arrays: &'a Weights,
    encoded: &'a Encoded,
    supervision: &'a Supervision,
    options: Options,
}

impl Run<'_> {
    fn tolerance(&self, documented: f64) -> f64 {
        self.options.tolerance.unwrap_or(documented)
    }

    /// Losses and gradient of the whole batch at once.
    fn learn(&self, workers: &mut Workers<'_>, parameters: &Parameters) -> Result<Learned> {
        let whole = (0..self.encoded.lengths.len()).collect();
        workers.gradient_of_parts(parameters, self.encoded, self.supervision, &[whole])
    }

    /// The same loss and gradient, from parts of the batch.
    fn compare_parts(
        &self,
        workers: &mut Workers<'_>,
        parameters: &Parameters,
        theirs: &Weights,
        report: &mut Report,
    ) -> Result<()> {
        let parts = odd_and_even(self.encoded.lengths.len());
        let learned = workers.gradient_of_parts(parameters, self.encoded, self.supervision, &parts)?;
        let (stored, tolerance) = self.loss();
        report.add("loss in parts", (learned.loss() - stored).abs() / stored.abs(), tolerance);
        let ours = parameters.split(&learned.gradient)?;
        let (mut square, mut whole) = (0.0, 0.0);
        for (name, theirs) in &theirs.arrays {
            square += arrays::distance(&arrays::get(&ours, name)?.data, &theirs.data).powi(2);
            whole += arrays::norm(&theirs.data).powi(2);
        }
        report.add("grad in parts", (square / whole).sqrt(), self.gradient_tolerance());
        Ok(())
    }

    /// The stored loss, and the tolerance for it.
    fn loss(&self) -> (f64, f64) {
        match self.options.dtype {
            Dtype::F32 | Dtype::Tf32 | Dtype::Bf16 => (self.case.loss, self.tolerance(2e-6)),
            Dtype::F64 => (self.case.loss_float64, self.tolerance(1e-12)),
        }
    }

    fn gradient_tolerance(&self) -> f64 {
        self.tolerance(if self.options.dtype == Dtype::F64 { 1e-6 } else { 5e-4 })
    }

    fn compare_losses(&self, model: &Model, learned: &Learned, divisors: &Divisors, report: &mut Report) -> Result<()> {
        let (theirs, tolerance) = self.loss();
        report.add("loss", (learned.loss() - theirs).abs() / theirs.abs(), tolerance);
        // a single hint is predicted by no step
        let hints = if self.encoded.steps > 1 { model.hints.len() } else { 0 };
        let entries: Vec<SpecEntry> = model.hints.iter().chain(&model.outputs).map(|port| port.entry).collect();
        let divisors = divisors.hints.iter().chain(&divisors.outputs);
        let terms = entries.iter().zip(learned.losses.iter().zip(divisors)).enumerate();
        for (_, (entry, (loss, divisor))) in terms.filter(|(at, _)| *at < hints || *at >= model.hints.len()) {
            let table = if entry.stage == Stage::Hint { &self.case.hint_losses } else { &self.case.output_losses };
            let name = format!("{}_loss/{}", entry.stage, entry.name);
            let Some(theirs) = table.get(entry.name) else {
                report.add(name, f64::NAN, 0.0);
                continue;
            };
            // tolerated: 1e-5 of the value, and 1e-6
            let allowed = self.tolerance(1e-5) * theirs.loss.abs() + 1e-6;
            report.add(name, (loss - theirs.loss).abs(), allowed);
            let name = format!("{}_divisor/{}", entry.stage, entry.name);
            report.add(name, (divisor - theirs.divisor).abs(), 1e-6 * theirs.divisor);
        }
        Ok(())
    }

    fn compare_raw(&self, model: &Model, trace: &Trace, report: &mut Report) {
        let mut compare = |name: String, values: &[f64]| {
            if let Some(theirs) = self.arrays.arrays.get(&name) {
                report.add_tensor(name, values, &theirs.data, 0.01, self.tolerance(2e-5));
            }
        };
        for (port, values) in model.outputs.iter().zip(&trace.outputs) {
            compare(format!("raw_output/{}", port.entry.name), values);
        }
        for (port, values) in model.hints.iter().zip(&trace.hints) {
            compare(format!("raw_hint/{}", port.entry.name), values);
        }
        for (step, values) in trace.inner.iter().enumerate() {
            for (name, values) in values {
                compare(format!("debug/step{step}/{name}"), values);
            }
        }
    }

    fn compare_gradients(&self, ours: &Weights, theirs: &Weights, report: &mut Report) -> Result<()> {
        let whole = arrays::norm(theirs.arrays.values().flat_map(|array| &array.data));
        let mut square = 0.0;
        let mut worst = 0.0_f64;
        for (name, theirs) in &theirs.arrays {
            let distance = arrays::distance(&arrays::get(ours, name)?.data, &theirs.data);
            square += distance * distance;
            let norm = arrays::norm(&theirs.data);
            if norm > 1e-6 * whole {
                let relative = distance / norm;
                worst = if relative.is_nan() { f64::NAN } else { worst.max(relative) };
            }
        }
        report.add("grad", square.sqrt() / whole, self.gradient_tolerance());
        report.add("grad, worst tensor", worst, self.tolerance(5e-3));
        let norm = arrays::norm(ours.arrays.values().flat_map(|array| &array.data));
        let stored = self.case.grad_global_norm;
        report.add("grad_global_norm", (norm - stored).abs() / stored, self.tolerance(1e-4));
        Ok(())
    }

    /// The optimiser alone: from the stored gradient.
    fn step_from_stored(
        &self,
        model: &Model,
        weights: &Weights,
        gradient: &Weights,
        after: &Weights,
        device: Device,
        report: &mut Report,
    ) -> Result<()> {
        let hyper = &self.case.hyper_parameters;
        let mut parameters = Parameters::from_weights(&model.graph, weights, self.options.dtype, device)?;
        let gradient = Parameters::from_weights(&model.graph, gradient, self.options.dtype, device)?.flat;
        let mut adam = Adam::new(&parameters.flat, hyper.learning_rate, hyper.grad_clip_max_norm)?;
        adam.step(&mut parameters.flat, &gradient)?;
        let ours = parameters.weights()?;
        let mut worst = 0.0_f64;
        for (name, theirs) in &after.arrays {
            let (error, _) = arrays::difference(&arrays::get(&ours, name)?.data, &theirs.data);
            worst = if error.is_nan() { f64::NAN } else { worst.max(error) };
        }
        report.add("param_after, from the stored gradient", worst, self.tolerance(5e-7));
        Ok(())
    }

    /// End to end. Where a true gradient is zero, Adam's first step goes by a full learning rate in a direction that
    /// rounding chooses: such elements are only bounded.
    fn compare_step(&self, ours: &Weights, theirs: &Weights, gradient: &Weights, report: &mut Report) {
        let whole = arrays::norm(gradient.arrays.values().flat_map(|array| &array.data));
        let (mut clear, mut any, mut off, mut count) = (0.0_f64, 0.0_f64, 0.0, 0.0);
        let empty = Array { shape: Vec::new(), data: Vec::new() };
        for (name, theirs) in &theirs.arrays {
            let get = |weights: &Weights| weights.arrays.get(name).unwrap_or(&empty).data.clone();
            let (ours, gradient) = (get(ours), get(gradient));
            let largest = gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
            for (at, theirs) in theirs.data.iter().enumerate() {
                let error = ours.get(at).map_or(f64::INFINITY, |ours| (ours - theirs).abs());
                let error = if error.is_nan() { f64::INFINITY } else { error };
                if gradient.get(at).is_some_and(|g| g.abs() > 1e-5 * largest + 1e-6 * whole) {
                    clear = clear.max(error);
                }
                any = any.max(error);
                off += f64::from(u8::from(error > 1e-5));
                count += 1.0;
            }
        }
        let loose = |documented: f64| self.tolerance(documented).max(documented);
        report.add("param_after, clear gradients", clear, loose(2e-5));
        report.add("param_after, everything", any, loose(2.1e-3));
        report.add("param_after, share off", off / count, loose(0.05));
    }

    /// Losses of consecutive steps on the same batch; the first two are known by now.
    fn compare_course(
        &self,
        workers: &mut Workers<'_>,
        parameters: &mut Parameters,
        adam: &mut Adam,
        report: &mut Report,
    ) -> Result<()> {
        let sorting = ["bubble_sort", "heapsort", "insertion_sort", "quicksort"];
        let loose = if sorting.contains(&self.case.algorithm.as_str()) { 5e-3 } else { 1e-4 };
        let mut worst = 0.0_f64;
        for &theirs in self.case.loss_per_feedback_step.iter().skip(1) {
            let learned = self.learn(workers, parameters)?;
            let error = (learned.loss() - theirs).abs() / theirs.abs();
            worst = if error.is_nan() { f64::NAN } else { worst.max(error) };
            adam.step(&mut parameters.flat, &learned.gradient)?;
        }
        report.add("loss_per_feedback_step", worst, self.tolerance(loose).max(loose));
        Ok(())
    }
}
