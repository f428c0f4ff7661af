//! Where the time of a processor's step goes: `steps PROGRAM [HIDDEN [B [N]]]`, ten time steps forward and backward.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use executor::rng::Rng;
use executor::tensor::{TorchKind, from_f64};
use executor::{Backend, DeviceArg, Dtype, Engine, Options, Parameters, Recurrence, Sequence, Step};
use graph::{BinaryOp, DType, Op, ReduceOp, Span};

const STEPS: usize = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let number = |at: usize, default: usize| args.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (hidden, b, n) = (number(2, 128), number(3, 2), number(4, 16));
    let source = std::fs::read_to_string(args.get(1).ok_or("which program?")?)?;
    let options = program::Options { hidden, ..program::Options::default() };
    let processor = program::compile(&source, &options).processor.ok_or("the program is not valid")?;
    let mut graph = processor.graph.clone();
    graph.set_varying(|input| ["node_fts", "graph_fts", "hidden"].contains(&input));
    let mut losses = Vec::new();
    for value in processor.outputs() {
        let shape = graph.shape(value).clone();
        let rank = shape.len();
        let weights = graph.input(&format!("w{}", value.index()), shape, DType::Float, false);
        let product = graph.push(Op::Binary(BinaryOp::Mul), &[value, weights], Span::default())?;
        let sum = Op::Reduce { op: ReduceOp::Sum, dims: (0..rank).collect(), keepdim: false };
        losses.push(graph.push(sum, &[product], Span::default())?);
    }
    let step = Step { graph, state: vec![(4, processor.ret)], losses, outputs: Vec::new() };
    let device = executor::init(&DeviceArg::Cpu, 1)?;
    let start = Instant::now();
    let recurrence = Recurrence::new(&step, Options { passes: true, gradients: true })?;
    println!("compiled in {:?}", start.elapsed());
    let parameters = Parameters::init(&step.graph, 3, Dtype::F32, device)?;
    let mut rng = Rng::new(1, "steps");
    let (mut given, mut data, mut state) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (at, input) in step.graph.inputs().iter().enumerate() {
        let sizes = (i64::try_from(b)?, i64::try_from(n)?);
        let mut shape: Vec<i64> = input.shape.iter().filter_map(|dim| dim.eval(sizes.0, sizes.1)).collect();
        if input.varies && at != 4 {
            shape.insert(0, i64::try_from(STEPS)?);
        }
        let values: Vec<f64> = (0..shape.iter().product::<i64>()).map(|_| 0.5 * rng.normal()).collect();
        let tensor = from_f64(&values, &shape, Dtype::F32.kind(), device)?;
        if at == 4 {
            state.push(tensor);
        } else if input.varies {
            data.insert(at, tensor);
        } else {
            given.insert(at, tensor);
        }
    }
    let sequence =
        Sequence { sizes: (i64::try_from(b)?, i64::try_from(n)?), variants: &[0; STEPS], given, data, state };
    let mut engine = Engine::new(Arc::new(vec![recurrence]), Dtype::F32, device, Backend::Auto);
    let mut gradient = parameters.zeros()?;
    let start = Instant::now();
    engine.run(&parameters, &sequence, Some(&mut gradient), &mut |_, _| Ok(()))?;
    println!("planned and run in {:?}", start.elapsed());
    let mut best = f64::INFINITY;
    for _ in 0..30 {
        let start = Instant::now();
        engine.run(&parameters, &sequence, Some(&mut gradient), &mut |_, _| Ok(()))?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{STEPS} time steps in {:.3} ms", best * 1e3);
    engine.measure();
    for _ in 0..30 {
        engine.run(&parameters, &sequence, Some(&mut gradient), &mut |_, _| Ok(()))?;
    }
    let rows = engine.measured();
    let total: u64 = rows.iter().map(|row| row.1).sum();
    println!("measured steps: {:.3} ms", total as f64 / 30.0 / 1e6);
    for (label, time, calls) in rows.iter().filter(|row| row.1 * 200 > total) {
        let share = 100.0 * *time as f64 / total as f64;
        println!("{share:5.1} % {:9.2} us  {label}", *time as f64 / 1e3 / (*calls).max(1) as f64);
    }
    Ok(())
}
