//! A processor alone against PyTorch's results for the same program, parameters and inputs.

use std::collections::BTreeMap;
use std::path::Path;

use executor::tensor::{TorchKind, from_f64, sizes, to_f64};
use executor::weights::{Array, Weights};
use executor::{Engine, Parameters, Sequence, Step};
use graph::{BinaryOp, Graph, NodeId, Op, OpError, Processor, ReduceOp, Span, Statistic, noise};
use tch::Tensor;

use super::{Options, Report, arrays};
use crate::Device;
use crate::error::{NetworkError, Result};
use crate::statistics;
use crate::threads::OneThread;

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

/// What a reference file's names begin with where they are about training, for a program that computes something else there.
const TRAINING: &str = "train/";

/// B and N of a reference file's inputs.
pub fn program_sizes(file: &Path) -> Result<(i64, i64)> {
    let golden = Weights::load(file)?;
    match sizes(&arrays::get(&golden, "in/node_fts")?.shape)?[..] {
        [b, n, _] => Ok((b, n)),
        _ => Err(NetworkError::File { path: file.to_owned(), reason: "in/node_fts is not [B, N, H]".to_owned() }),
    }
}

/// Runs a processor on a reference file's parameters and inputs (keys `param/`, `in/`, `out/`, `grad/`, `grad_in/`, and
/// the same under `case2/`) and compares outputs and gradients. Errors are relative to each tensor's largest magnitude,
/// taken as at least 1.
///
/// What is under `train/` is about training, the rest about evaluation. Training's case also has the noise that PyTorch was given,
/// `train/noise/K` for the K-th drawing of a call, numbers between 0 and 1 with the batch as the first axis, and under `train/buffer/` the running statistics
/// after the call.
pub fn program_case(processor: &Processor, file: &Path, device: Device, options: Options) -> Result<Report> {
    let golden = Weights::load(file)?;
    let name = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let mut report = Report::new(&name);
    let stored = arrays::under(&golden, "param/");
    let mut alone = Alone::new(&processor.graph, processor.outputs(), &[])?;
    let parameters = Parameters::from_weights(&alone.step.graph, &stored, options.dtype, device)?;
    let known =
        |name: &str| processor.graph.params().iter().any(|p| p.name == name || p.aliases.iter().any(|a| a == name));
    if let Some(extra) = stored.arrays.keys().find(|name| !known(name)) {
        let reason = "the file has it, the program does not".to_owned();
        return Err(NetworkError::Tensor { name: extra.clone(), reason });
    }
    for prefix in ["", "case2/", TRAINING] {
        let case = arrays::under(&golden, prefix);
        if !case.arrays.contains_key("in/node_fts") {
            continue;
        }
        if prefix == TRAINING
            && let Some(training) = &processor.training
        {
            alone = Alone::new(&training.graph, training.outputs(), &training.statistics)?;
        }
        alone.compare(&parameters, &case, prefix, device, options, &mut report)?;
    }
    if report.checks.is_empty() {
        return Err(NetworkError::File { path: file.to_owned(), reason: "has no inputs to run".to_owned() });
    }
    Ok(report)
}

/// The noise that one call draws in training for a key, by the names that [`program_case`] reads, for B and N.
pub fn program_noise(processor: &Processor, sizes: (i64, i64), key: u64) -> Result<Weights> {
    let mut found = Weights { dtype: crate::Dtype::F32, ..Weights::default() };
    let Some(training) = &processor.training else { return Ok(found) };
    for node in training.graph.nodes() {
        let Op::Random { stream } = node.op else { continue };
        let shape = graph::interpret::sizes(&node.shape, sizes.0, sizes.1);
        let shape = shape.map_err(|error| NetworkError::Inconsistent(error.to_string()))?;
        let (start, count) = (noise::start(key, stream), shape.iter().product::<usize>() as u64);
        let data = (0..count).map(|at| noise::uniform(start, at)).collect();
        found.arrays.insert(format!("{TRAINING}noise/{stream}"), Array { shape, data });
    }
    Ok(found)
}

/// A processor as a single time step. Its inputs are the state, so that they get gradients; the loss is the sum of the
/// outputs, each element times a given weight.
struct Alone {
    step: Step,
    /// Names in reference files of the outputs, and of their weights, whose inputs follow those of the processor.
    outputs: Vec<(&'static str, &'static str)>,
    /// Inputs in the place of noise, with its names.
    noise: Vec<(usize, String)>,
    /// Inputs that are read no more.
    unread: Vec<usize>,
    statistics: Vec<Statistic>,
}

impl Alone {
    fn new(graph: &Graph, values: Vec<NodeId>, statistics: &[Statistic]) -> Result<Self> {
        let mut graph = graph.clone();
        let mut state = Vec::new();
        for number in 0..INPUTS.len() {
            state.push((number, graph.input_node(number)?));
        }
        let unread = (INPUTS.len()..graph.inputs().len()).collect();
        let mut noise = Vec::new();
        for id in graph.ids() {
            if let Op::Random { stream } = graph.node(id).op {
                let name = format!("noise/{stream}");
                noise.push((graph.turn_into_input(id, &name), name));
            }
        }
        let names = [("out/ret", "in/w_ret"), ("out/tri_msgs", "in/w_tri")];
        let pairs = values.iter().copied().zip(names);
        let mut losses = Vec::new();
        for (output, (_, weight)) in pairs.clone() {
            losses.push(weighted_sum(&mut graph, output, weight)?);
        }
        let outputs = pairs.map(|(_, names)| names).collect();
        let given = values.iter().copied().chain(statistics.iter().flat_map(|statistic| statistic.batch)).collect();
        let step = Step { graph, state, losses, outputs: given };
        Ok(Self { step, outputs, noise, unread, statistics: statistics.to_vec() })
    }

    fn compare(
        &self,
        parameters: &Parameters,
        case: &Weights,
        prefix: &str,
        device: Device,
        options: Options,
        report: &mut Report,
    ) -> Result<()> {
        let load = |name: &str| -> Result<Tensor> {
            let array = arrays::get(case, name)?;
            Ok(from_f64(&array.data, &sizes(&array.shape)?, options.dtype.kind(), device)?)
        };
        if case.arrays.contains_key("out/tri_msgs") != (self.outputs.len() > 1) {
            report.add(format!("{prefix}out/tri_msgs is there"), 1.0, 0.0);
            return Ok(());
        }
        let inputs = INPUTS.iter().map(|name| load(&format!("in/{name}"))).collect::<Result<Vec<_>>>()?;
        let [b, n, ..] = inputs.first().map(Tensor::size).unwrap_or_default()[..] else {
            return Err(NetworkError::Tensor { name: "in/node_fts".to_owned(), reason: "has no batch".to_owned() });
        };
        let input = |number: usize| inputs.get(number).map(Tensor::shallow_clone);
        let state = self.step.state.iter().filter_map(|(number, _)| input(*number)).collect();
        let first = self.step.graph.inputs().len().saturating_sub(self.outputs.len());
        let weights = self.outputs.iter().enumerate();
        let given = weights.map(|(at, (_, weight))| Ok((first + at, load(weight)?)));
        let mut given = given.collect::<Result<BTreeMap<usize, Tensor>>>()?;
        for (number, name) in &self.noise {
            // PyTorch may have drawn it for axes that are several here
            let input = self.step.graph.inputs().get(*number).map(|input| input.shape.as_slice()).unwrap_or_default();
            let shape: Option<Vec<i64>> = input.iter().map(|dim| dim.eval(b, n)).collect();
            given.insert(*number, load(name)?.f_reshape(shape.unwrap_or_default())?);
        }
        let unread = self.unread.iter().zip([vec![1, b, 3], vec![1, 3]]);
        let none =
            unread.map(|(&number, shape)| Ok((number, Tensor::f_zeros(shape, (options.dtype.kind(), device.0))?)));
        let data = none.collect::<Result<BTreeMap<usize, Tensor>>>()?;
        let sequence = Sequence { sizes: (b, n), variants: &[0], given, data, state };

        let _alone = OneThread::new();
        let compiled = executor::Options { passes: options.passes, gradients: true, dtype: options.dtype, networks: 1 };
        let mut engine = Engine::new([self.step.clone()], compiled, device, options.backend)?;
        let mut gradient = parameters.zeros()?;
        let (mut values, mut found) = (Vec::new(), Vec::new());
        let outcome = engine.run(parameters, &sequence, Some(&mut gradient), &mut |_, outputs| {
            values = outputs.iter().map(to_f64).collect::<executor::Result<_>>()?;
            let statistics = outputs.iter().skip(self.outputs.len());
            found = statistics.map(Tensor::f_detach_copy).collect::<std::result::Result<_, _>>()?;
            Ok(())
        })?;

        let tolerance = |documented: f64| options.tolerance.unwrap_or(documented);
        for (value, (output, _)) in values.iter().zip(&self.outputs) {
            let theirs = arrays::get(case, output)?;
            report.add_tensor(format!("{prefix}{output}"), value, &theirs.data, 1.0, tolerance(OUTPUT_TOLERANCE));
        }
        let theirs = arrays::get(case, "out/loss")?;
        let loss: f64 = outcome.losses.iter().sum();
        report.add_tensor(format!("{prefix}out/loss"), &[loss], &theirs.data, 1.0, tolerance(OUTPUT_TOLERANCE));

        statistics::update(&self.statistics, parameters, &[found])?;
        let after = parameters.weights()?;
        for (name, theirs) in &arrays::under(case, "buffer/").arrays {
            let ours = arrays::get(&after, name)?;
            report.add_tensor(
                format!("{prefix}buffer/{name}"),
                &ours.data,
                &theirs.data,
                1.0,
                tolerance(OUTPUT_TOLERANCE),
            );
        }

        let ours = parameters.split(&gradient)?;
        for (name, theirs) in &arrays::under(case, "grad/").arrays {
            let ours = arrays::get(&ours, name)?;
            let name = format!("{prefix}grad/{name}");
            report.add_tensor(name, &ours.data, &theirs.data, 1.0, tolerance(GRADIENT_TOLERANCE));
        }
        for ((number, _), ours) in self.step.state.iter().zip(&outcome.state) {
            let name = INPUTS.get(*number).filter(|name| **name != "adj_mat");
            let Some((name, theirs)) = name.and_then(|name| Some((name, case.arrays.get(&format!("grad_in/{name}"))?)))
            else {
                continue;
            };
            let name = format!("{prefix}grad_in/{name}");
            report.add_tensor(name, &to_f64(ours)?, &theirs.data, 1.0, tolerance(GRADIENT_TOLERANCE));
        }
        Ok(())
    }
}

/// The sum of a value's elements, each times one of a new input that is given once.
fn weighted_sum(graph: &mut Graph, value: NodeId, name: &str) -> std::result::Result<NodeId, OpError> {
    let shape = graph.shape(value).clone();
    let dims = (0..shape.len()).collect();
    let weight = graph.input(name, shape, graph.dtype(value), false);
    let products = graph.push(Op::Binary(BinaryOp::Mul), &[value, weight], Span::default())?;
    graph.push(Op::Reduce { op: ReduceOp::Sum, dims, keepdim: false }, &[products], Span::default())
}
