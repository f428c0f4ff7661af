//! Regions against the same graphs done operation by operation: values and gradients.

use std::sync::Arc;

use graph::{BinaryOp, DType, Dim, Graph, Init, NodeId, Op, Param, ReduceOp, Span, UnaryOp};
use proptest::prelude::*;
use tch::{Kind, Tensor};

use crate::Device;
use crate::execute::{Bound, Schedule, Values, is_constant};
use crate::rng::Rng;
use crate::tensor::{from_f64, to_f64};

const WIDTH: i64 = 9;

fn span() -> Span {
    Span::default()
}

fn param(graph: &mut Graph, shape: &[usize]) -> NodeId {
    let name = format!("p{}", graph.params.len());
    let init = Init::Constant(0.0);
    graph.param(Param { name, shape: shape.to_vec(), init, trainable: true, transient: false, span: span() }, span())
}

/// A graph of the operations that could be applied, and its last values.
fn random_graph(steps: &[(u8, u16, u16)]) -> (Graph, Vec<NodeId>) {
    let mut graph = Graph::new();
    let (b, n, one, h) = (Dim::b(), Dim::n(), Dim::known(1), Dim::known(WIDTH));
    let mut pool = Vec::new();
    for (at, shape) in [
        vec![b.clone(), n.clone(), n.clone(), h.clone()],
        vec![b.clone(), n.clone(), one.clone(), h.clone()],
        vec![b.clone(), one.clone(), n.clone(), h.clone()],
        vec![b.clone(), one.clone(), one.clone(), h.clone()],
        vec![h.clone()],
        vec![b.clone(), n.clone(), n.clone(), one],
        vec![b.clone(), n.clone(), n.clone(), Dim::known(2)],
    ]
    .into_iter()
    .enumerate()
    {
        pool.push(graph.input(&format!("x{at}"), shape, DType::Float, at % 2 == 0));
    }
    let width = WIDTH as usize;
    for &(kind, first, second) in steps {
        let pick = |choice: u16| pool[pool.len() - 1 - usize::from(choice) % pool.len()];
        let (x, y) = (pick(first), pick(second));
        let last = graph.shape(x).last().and_then(Dim::as_known).unwrap_or(0) as usize;
        let pushed = match kind % 12 {
            0..=3 => graph.push(Op::Binary(BinaryOp::Add), &[x, y], span()),
            4 => graph.push(Op::Binary(BinaryOp::Sub), &[x, y], span()),
            5 | 6 => graph.push(Op::Binary(BinaryOp::Mul), &[x, y], span()),
            7 => graph.push(Op::Unary(UnaryOp::Relu), &[x], span()),
            8 => graph.push(Op::Unary(UnaryOp::Neg), &[x], span()),
            9 => {
                let args = [x, param(&mut graph, &[width, last]), param(&mut graph, &[width])];
                graph.push(Op::Linear { biased: true }, &args, span())
            }
            10 => {
                let args = [x, param(&mut graph, &[1, last])];
                graph.push(Op::Linear { biased: false }, &args, span())
            }
            _ => {
                let shape = vec![b.clone(), n.clone(), n.clone(), h.clone()];
                graph.push_as(Op::Expand, &[x], shape, DType::Float, span())
            }
        };
        pool.extend(pushed.ok());
    }
    let wanted = pool.iter().rev().take(2).copied().collect();
    (graph, wanted)
}

/// Wanted values, then the gradients of inputs and parameters.
fn run(graph: &Graph, wanted: &[NodeId], fuse: bool, sizes: (i64, i64), kind: Kind) -> (usize, Vec<Vec<f64>>) {
    let device = Device(tch::Device::Cpu);
    let given = |id: NodeId| {
        let op = &graph.node(id).op;
        matches!(op, Op::Input(_) | Op::Param(_)) || is_constant(op)
    };
    let schedule = Schedule::new(graph, wanted, fuse, given);
    let regions = schedule.steps.iter().filter(|step| step.joint.is_some()).count();
    let bound = Bound::new(Arc::new(graph.clone()), sizes, kind, device).expect("is bound");
    let mut rng = Rng::new(5, "regions");
    let mut base = Values::new(graph);
    let mut leaves = Vec::new();
    for id in graph.ids().filter(|&id| matches!(graph.node(id).op, Op::Input(_) | Op::Param(_))) {
        let shape: Vec<i64> = graph.shape(id).iter().map(|dim| dim.eval(sizes.0, sizes.1).expect("fits")).collect();
        let data: Vec<f64> = (0..shape.iter().product::<i64>()).map(|_| rng.normal()).collect();
        let leaf = from_f64(&data, &shape, kind, device).expect("fits").set_requires_grad(true);
        base.set(id, leaf.shallow_clone());
        leaves.push(leaf);
    }
    let mut values = Values::new(graph);
    bound.run(&schedule, &base, &mut values).expect("runs");
    let mut found = Vec::new();
    let mut loss = Tensor::from(0.0);
    for id in wanted {
        let value = values.get(*id).or_else(|| base.get(*id)).expect("is there").shallow_clone();
        let data: Vec<f64> = (0..value.numel()).map(|_| rng.normal()).collect();
        let weights = from_f64(&data, &value.size(), kind, device).expect("fits");
        found.push(to_f64(&value).expect("reads"));
        loss += (value * weights).sum(Kind::Double);
    }
    let gradients = Tensor::run_backward(&[loss], &leaves, false, false);
    for (leaf, gradient) in leaves.iter().zip(gradients) {
        let zeros = vec![0.0; leaf.numel()];
        found.push(if gradient.defined() { to_f64(&gradient).expect("reads") } else { zeros });
    }
    (regions, found)
}

fn same(graph: &Graph, wanted: &[NodeId], sizes: (i64, i64)) -> Result<usize, String> {
    same_as(graph, wanted, sizes, Kind::Double, 1e-11)
}

/// The number of joined nodes, if they compute the same.
fn same_as(graph: &Graph, wanted: &[NodeId], sizes: (i64, i64), kind: Kind, tolerance: f64) -> Result<usize, String> {
    let (_, plain) = run(graph, wanted, false, sizes, kind);
    let (regions, fused) = run(graph, wanted, true, sizes, kind);
    for (at, (plain, fused)) in plain.iter().zip(&fused).enumerate() {
        let scale = plain.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
        let wrong = plain.iter().zip(fused).position(|(x, y)| (x - y).abs() > tolerance * scale);
        if wrong.is_some() || plain.len() != fused.len() {
            return Err(format!(
                "tensor {at} of B, N = {sizes:?}, element {wrong:?}:\n{}",
                graph::explain(graph, wanted)
            ));
        }
    }
    Ok(regions)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    #[test]
    fn regions_compute_what_their_operations_do(steps in prop::collection::vec(any::<(u8, u16, u16)>(), 1..24)) {
        let (graph, wanted) = random_graph(&steps);
        for sizes in [(2, 3), (1, 5)] {
            same(&graph, &wanted, sizes).map_err(TestCaseError::fail)?;
        }
    }
}

/// `w . max(p_i, relu(a_i + b_j + x_ij U) + e_ij) + c`, as messages and decoders do it.
#[test]
fn a_message_and_its_decoder_are_one_region_each() {
    let (mut graph, _) = random_graph(&[]);
    let node = NodeId;
    let push = |graph: &mut Graph, op: Op, args: &[NodeId]| graph.push(op, args, span()).expect("types");
    let args = [node(6), param(&mut graph, &[WIDTH as usize, 2]), param(&mut graph, &[WIDTH as usize])];
    let edges = push(&mut graph, Op::Linear { biased: true }, &args);
    let sum = push(&mut graph, Op::Binary(BinaryOp::Add), &[node(1), node(2)]);
    let sum = push(&mut graph, Op::Binary(BinaryOp::Add), &[sum, edges]);
    let message = push(&mut graph, Op::Unary(UnaryOp::Relu), &[sum]);
    let target = push(&mut graph, Op::Binary(BinaryOp::Add), &[message, node(0)]);
    let more = push(&mut graph, Op::Binary(BinaryOp::Sub), &[node(1), target]);
    let more = push(&mut graph, Op::Unary(UnaryOp::Relu), &[more]);
    let best = push(&mut graph, Op::Binary(BinaryOp::Add), &[target, more]);
    let args = [best, param(&mut graph, &[1, WIDTH as usize]), param(&mut graph, &[1])];
    let logits = push(&mut graph, Op::Linear { biased: true }, &args);
    assert_eq!(same(&graph, &[logits], (2, 4)), Ok(1));
    assert_eq!(same(&graph, &[logits, message], (3, 67)), Ok(2));
}

#[test]
fn a_layer_and_its_extremes_are_one() {
    for (op, keepdim, biased) in [(ReduceOp::Amax, false, true), (ReduceOp::Amin, true, false)] {
        let mut graph = Graph::new();
        let (b, n) = (Dim::b(), Dim::n());
        let x = graph.input("x", vec![b, n.clone(), n, Dim::known(24)], DType::Float, true);
        let mut args = vec![x, param(&mut graph, &[10, 24])];
        if biased {
            args.push(param(&mut graph, &[10]));
        }
        let layer = graph.push(Op::Linear { biased }, &args, span()).expect("types");
        for axis in [1, 2] {
            let best = graph.push(Op::Reduce { op, dims: vec![axis], keepdim }, &[layer], span()).expect("types");
            // in float32 and along a long axis by our loops, else by libtorch's
            assert_eq!(same_as(&graph, &[best], (2, 13), Kind::Float, 2e-5), Ok(1), "{op:?} {axis}");
            assert_eq!(same_as(&graph, &[best], (3, 4), Kind::Float, 2e-5), Ok(1), "{op:?} {axis}");
            assert_eq!(same(&graph, &[best], (2, 13)), Ok(1), "{op:?} {axis}");
        }
        let other = graph.push(Op::Unary(UnaryOp::Relu), &[layer], span()).expect("types");
        let best = graph.push(Op::Reduce { op, dims: vec![1], keepdim }, &[layer], span()).expect("types");
        assert_eq!(same(&graph, &[best, other], (2, 3)), Ok(0));
    }
}
