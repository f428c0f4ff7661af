//! Plans against the same steps done operation by operation by libtorch: losses, outputs, gradients.

#[path = "../../graph/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;

use executor::rng::Rng;
use executor::tensor::{TorchKind, from_f64, to_f64};
use executor::{Backend, Device, DeviceArg, Dtype, Engine, Options, Parameters, Sequence, Step};
use graph::{BinaryOp, DType, Dim, Graph, Init, NodeId, Op, Param, Processor, ReduceOp, Span};
use tch::Tensor;

fn device() -> Device {
    executor::init(&DeviceArg::Cpu, 1).expect("the CPU is there")
}

fn push(graph: &mut Graph, op: Op, args: &[NodeId]) -> NodeId {
    graph.push(op, args, Span::default()).expect("types")
}

/// A processor over time: its hidden state is carried, edges and adjacency stay, node and graph features vary, and every
/// step has a loss, the sum of its values with given weights.
fn step(processor: &Processor) -> Step {
    let mut graph = processor.graph.clone();
    graph.set_varying(|input| ["node_fts", "graph_fts", "hidden"].contains(&input));
    let hidden = graph.inputs().iter().position(|input| input.name == "hidden").expect("is there");
    let mut losses = Vec::new();
    for value in processor.outputs() {
        let shape = graph.shape(value).clone();
        let rank = shape.len();
        let weights = graph.input(&format!("w{}", value.index()), shape, DType::Float, false);
        let product = push(&mut graph, Op::Binary(BinaryOp::Mul), &[value, weights]);
        let dims = (0..rank).collect();
        losses.push(push(&mut graph, Op::Reduce { op: ReduceOp::Sum, dims, keepdim: false }, &[product]));
    }
    Step { graph, state: vec![(hidden, processor.ret)], losses, outputs: processor.outputs() }
}

struct Found {
    losses: Vec<f64>,
    outputs: Vec<Vec<f64>>,
    gradient: Vec<f64>,
    state: Vec<Vec<f64>>,
}

const STEPS: usize = 3;

fn run(step: &Step, passes: bool, backend: Backend, dtype: Dtype, sizes: (i64, i64)) -> Found {
    let device = device();
    let parameters = Parameters::init(&step.graph, 3, dtype, device).expect("draws");
    let mut rng = Rng::new(1, "plans");
    let mut draw = |shape: &[i64], scale: f64| -> Tensor {
        let data: Vec<f64> = (0..shape.iter().product::<i64>()).map(|_| scale * rng.normal()).collect();
        from_f64(&data, shape, dtype.kind(), device).expect("fits")
    };
    let (mut given, mut data, mut state) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (at, input) in step.graph.inputs().iter().enumerate() {
        let mut shape: Vec<i64> = input.shape.iter().map(|dim| dim.eval(sizes.0, sizes.1).expect("fits")).collect();
        let mask = input.name == "adj_mat";
        let full = |x: Tensor| if mask { x.gt(0.0).to_kind(dtype.kind()) } else { x };
        if step.state.iter().any(|(input, _)| *input == at) {
            state.push(draw(&shape, 0.5));
        } else if input.varies {
            shape.insert(0, STEPS as i64);
            data.insert(at, full(draw(&shape, 0.5)));
        } else {
            given.insert(at, full(draw(&shape, 0.5)));
        }
    }
    let variants = [0; STEPS];
    let sequence = Sequence { sizes, variants: &variants, given, data, state };
    let options = Options { passes, gradients: true, dtype, networks: 1 };
    let mut engine = Engine::new([step.clone()], options, device, backend).expect("compiles");
    let mut first: Option<Found> = None;
    // Twice, so that what is left in buffers is noticed.
    for _ in 0..2 {
        let mut gradient = parameters.zeros().expect("is made");
        let mut outputs = Vec::new();
        let outcome = engine.run(&parameters, &sequence, Some(&mut gradient), &mut |_, values| {
            outputs.extend(values.iter().map(|value| to_f64(value).expect("reads")));
            Ok(())
        });
        let outcome = outcome.expect("runs");
        let state = outcome.state.iter().map(|x| to_f64(x).expect("reads")).collect();
        let found = Found { losses: outcome.losses, outputs, gradient: to_f64(&gradient).expect("reads"), state };
        if let Some(first) = &first {
            let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(bits(&first.gradient) == bits(&found.gradient), "the gradient of a second run differs");
            assert!(bits(&first.losses) == bits(&found.losses), "the losses of a second run differ");
        }
        first = Some(found);
    }
    first.expect("ran")
}

fn close(name: &str, what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{name}: {what}");
    let scale = theirs.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
    for (at, (x, y)) in ours.iter().zip(theirs).enumerate() {
        let same = (x - y).abs() <= tolerance * scale || (x.is_nan() && y.is_nan());
        assert!(same, "{name}: {what}, element {at}: {x} and {y}");
    }
}

/// Passes, backend, format and tolerance of a run.
type Way = (bool, Backend, Dtype, f64);

fn compare(name: &str, step: &Step, sizes: (i64, i64)) {
    let ways = [
        (true, Backend::Eager, Dtype::F64, 1e-9),
        (false, Backend::Auto, Dtype::F64, 1e-9),
        (true, Backend::Auto, Dtype::F64, 1e-9),
        (true, Backend::Plain, Dtype::F64, 1e-9),
    ];
    compare_ways(name, step, sizes, &ways);
}

fn compare_ways(name: &str, step: &Step, sizes: (i64, i64), ways: &[Way]) {
    compare_with((Backend::Eager, Dtype::F64), name, step, sizes, ways);
}

/// Against a run without passes.
fn compare_with((backend, dtype): (Backend, Dtype), name: &str, step: &Step, sizes: (i64, i64), ways: &[Way]) {
    let theirs = run(step, false, backend, dtype, sizes);
    // Infinities follow no algebra that rewriting keeps.
    let all = theirs.gradient.iter().chain(&theirs.losses).chain(theirs.state.iter().flatten());
    if !all.chain(theirs.outputs.iter().flatten()).all(|x| x.is_finite()) {
        return;
    }
    for &(passes, backend, dtype, tolerance) in ways {
        let ours = run(step, passes, backend, dtype, sizes);
        let name = format!("{name}, passes {passes}, {backend:?}, {dtype:?}");
        close(&name, "losses", &ours.losses, &theirs.losses, tolerance);
        for (ours, theirs) in ours.outputs.iter().zip(&theirs.outputs) {
            close(&name, "outputs", ours, theirs, tolerance);
        }
        for (ours, theirs) in ours.state.iter().zip(&theirs.state) {
            close(&name, "gradient of the state", ours, theirs, tolerance);
        }
        close(&name, "gradient", &ours.gradient, &theirs.gradient, tolerance);
    }
}

fn compile(path: &Path) -> Processor {
    let source = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let options = program::Options { hidden: 16, ..program::Options::default() };
    program::compile(&source, &options).processor.unwrap_or_else(|| panic!("{} is not valid", path.display()))
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// A plan reads memory without looking: what does not fit has to be noticed before.
#[test]
fn what_does_not_fit_is_refused() {
    let processor = compile(&root().join("data/seed_pgn.py"));
    let step = step(&processor);
    let device = device();
    let parameters = Parameters::init(&step.graph, 3, Dtype::F64, device).expect("draws");
    let options = Options { passes: true, gradients: true, dtype: Dtype::F64, networks: 1 };
    let mut engine = Engine::new([step.clone()], options, device, Backend::Auto).expect("compiles");
    let (sizes, variants) = ((2, 3), [0; STEPS]);
    // By input: how many rows are missing in front, and whether the last axis is one too short.
    let mut run = |rows: usize, short: Option<&str>| {
        let (mut given, mut data, mut state) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (at, input) in step.graph.inputs().iter().enumerate() {
            let mut shape: Vec<i64> = input.shape.iter().map(|dim| dim.eval(sizes.0, sizes.1).expect("fits")).collect();
            if short == Some(input.name.as_str()) {
                *shape.last_mut().expect("has axes") -= 1;
            }
            if step.state.iter().any(|(input, _)| *input == at) {
                state.push(Tensor::zeros(&shape, (Dtype::F64.kind(), tch::Device::Cpu)));
            } else if input.varies {
                shape.insert(0, (STEPS - rows) as i64);
                data.insert(at, Tensor::zeros(&shape, (Dtype::F64.kind(), tch::Device::Cpu)));
            } else {
                given.insert(at, Tensor::zeros(&shape, (Dtype::F64.kind(), tch::Device::Cpu)));
            }
        }
        let sequence = Sequence { sizes, variants: &variants, given, data, state };
        let mut gradient = parameters.zeros().expect("is made");
        engine.run(&parameters, &sequence, Some(&mut gradient), &mut |_, _| Ok(())).map(|_| ())
    };
    run(0, None).expect("fits");
    for (rows, short) in [(1, None), (0, Some("edge_fts")), (0, Some("node_fts")), (0, Some("hidden"))] {
        assert!(run(rows, short).is_err(), "{rows} rows missing, {short:?} short");
    }
}

#[test]
fn the_seed_program_runs_alike() {
    let processor = compile(&root().join("data/seed_pgn.py"));
    for sizes in [(2, 4), (1, 2), (3, 7)] {
        compare("seed", &step(&processor), sizes);
    }
}

#[test]
fn programs_run_alike() {
    let folder = root().join("tests/fixtures/programs/valid");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("reads").map(|entry| entry.expect("reads").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "py"));
    paths.sort();
    assert!(paths.len() > 10);
    for path in paths {
        let processor = compile(&path);
        compare(&path.file_stem().unwrap_or_default().to_string_lossy(), &step(&processor), (2, 5));
    }
}

/// Products of what is rounded to bfloat16 are the same everywhere, but for the order of sums; a sum on the border between two
/// roundings makes the next operand differ by one in 256, so that the tolerance is wide.
#[test]
fn products_of_bfloat16_are_alike() {
    let processor = compile(&root().join("data/seed_pgn.py"));
    let step = step(&processor);
    let sizes = (2, 5);
    let ways = [Backend::Auto, Backend::Plain, Backend::Replay].map(|backend| (false, backend, Dtype::Bf16, 2e-3));
    compare_with((Backend::Eager, Dtype::Bf16), "seed", &step, sizes, &ways);
    // As near to single precision as 8 bits are, and no nearer.
    compare_with((Backend::Eager, Dtype::F32), "seed", &step, sizes, &[(true, Backend::Auto, Dtype::Bf16, 5e-2)]);
    let gradient = |dtype: Dtype| run(&step, true, Backend::Auto, dtype, sizes).gradient;
    let (full, rounded) = (gradient(Dtype::F32), gradient(Dtype::Bf16));
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let off = norm(&mut full.iter().zip(&rounded).map(|(x, y)| x - y)) / norm(&mut full.iter().copied());
    assert!((1e-4..5e-2).contains(&off), "the gradient is off by {off}");
}

/// Of operands that nothing has computed, so that nothing but the order of sums may differ: values and all gradients, with the
/// right operand a weight, which does not change over time, or a state.
#[test]
fn every_product_of_bfloat16_is_that_of_its_rounded_operands() {
    for (equation, left, right) in [
        ("bnh,kh->bnk", vec![2, 5, 24], vec![32, 24]),
        ("bnh,hk->bnk", vec![2, 9, 40], vec![40, 17]),
        ("bnh,hk->bkn", vec![2, 9, 40], vec![40, 17]),
        ("bnh,bmh->bnm", vec![3, 9, 12], vec![3, 17, 12]),
        ("bnmh,bmk->bnhk", vec![2, 4, 11, 16], vec![2, 11, 20]),
        ("bnmh,bmhk->bnk", vec![2, 9, 3, 16], vec![2, 3, 16, 20]),
        ("bnh,bnk->hk", vec![3, 33, 18], vec![3, 33, 10]),
        ("nh,nk->hkn", vec![10, 18], vec![10, 12]),
        ("nh,hk->nk", vec![40, 600], vec![600, 1100]),
        // Fewer features than such products are worth while for.
        ("bnh,hk->bnk", vec![2, 9, 5], vec![5, 32]),
        ("bnh,kh->bnk", vec![2, 9, 32], vec![3, 32]),
        ("bnh,h->bn", vec![2, 9, 32], vec![32]),
    ] {
        for weight in [true, false] {
            let name = format!("{equation}, weight {weight}");
            let step = carried(equation, &left, &right, weight);
            let theirs = run(&step, false, Backend::Eager, Dtype::Bf16, (1, 2));
            let exact = run(&step, false, Backend::Eager, Dtype::F32, (1, 2));
            assert!(theirs.losses != exact.losses, "{name}: nothing is rounded");
            for backend in [Backend::Auto, Backend::Plain] {
                compare_with(
                    (Backend::Eager, Dtype::Bf16),
                    &name,
                    &step,
                    (1, 2),
                    &[(false, backend, Dtype::Bf16, 1e-5)],
                );
            }
        }
    }
}

/// A step that multiplies two values and carries them on as they are.
fn carried(equation: &str, left: &[usize], right: &[usize], weight: bool) -> Step {
    let mut graph = Graph::new();
    let shape = |sizes: &[usize]| sizes.iter().copied().map(Dim::of).collect::<Vec<_>>();
    let x = graph.input("x", shape(left), DType::Float, true);
    let mut state = vec![(0, x)];
    let y = if weight {
        let init = Init::Normal { mean: 0.0, std: 1.0 };
        let (aliases, shape, span) = (Vec::new(), right.to_vec(), Span::default());
        graph.param(Param { name: "y".into(), aliases, shape, init, trainable: true, transient: false, span }, span)
    } else {
        let y = graph.input("y", shape(right), DType::Float, true);
        state.push((1, y));
        y
    };
    let value = push(&mut graph, Op::Einsum(equation.to_owned()), &[x, y]);
    let weights = graph.input("w", graph.shape(value).clone(), DType::Float, false);
    let product = push(&mut graph, Op::Binary(BinaryOp::Mul), &[value, weights]);
    let dims = (0..graph.shape(product).len()).collect();
    let loss = push(&mut graph, Op::Reduce { op: ReduceOp::Sum, dims, keepdim: false }, &[product]);
    Step { graph, state, losses: vec![loss], outputs: vec![value] }
}

mod random {
    //! Steps of random operations.

    use super::*;
    use proptest::prelude::*;
    use support::Random;

    /// A random graph as a step: its last values are weighed and added up, and one of the right shape is carried over time.
    fn step(steps: &[support::Step]) -> Step {
        let random = Random::new(steps);
        let (mut graph, outputs) = (random.graph.clone(), random.outputs());
        let hidden = graph.inputs().iter().position(|input| input.name == "hidden").expect("is there");
        let carried = graph.inputs()[hidden].shape.clone();
        let next = random.pool.iter().rev().copied().find(|&id| *graph.shape(id) == carried).expect("the input itself");
        let mut losses = Vec::new();
        for &value in outputs.iter().filter(|&&value| random.graph.dtype(value) == DType::Float) {
            let shape = graph.shape(value).clone();
            let rank = shape.len();
            let weights = graph.input(&format!("w{}", value.index()), shape, DType::Float, false);
            let product = push(&mut graph, Op::Binary(BinaryOp::Mul), &[value, weights]);
            let dims = (0..rank).collect();
            losses.push(push(&mut graph, Op::Reduce { op: ReduceOp::Sum, dims, keepdim: false }, &[product]));
        }
        Step { graph, state: vec![(hidden, next)], losses, outputs }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

        #[test]
        fn steps_run_alike(steps in support::steps(24)) {
            let step = step(&steps);
            for sizes in [(2, 3), (1, 2)] {
                compare("random", &step, sizes);
            }
        }
    }

    /// Kernels that are written for a GPU, made by the C++ compiler, which takes its time.
    fn with_kernels(cases: u32) {
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let found = runner.run(&support::steps(24), |steps| {
            let ways = [(false, Backend::Replay, Dtype::F64, 1e-9), (true, Backend::Replay, Dtype::F64, 1e-9)];
            compare_ways("random", &step(&steps), (2, 3), &ways);
            Ok(())
        });
        found.expect("agrees");
    }

    #[test]
    fn steps_run_alike_with_the_kernels_of_a_gpu() {
        with_kernels(4);
    }

    #[test]
    #[ignore = "the C++ compiler takes minutes for all kernels"]
    fn many_steps_run_alike_with_the_kernels_of_a_gpu() {
        with_kernels(150);
    }
}
