//! Several networks in one graph are each what they are alone.

mod support;

use graph::interpret::{Tensor, evaluate, sizes};
use graph::{BinaryOp, DType, Dim, Graph, NodeId, Op, Passes, ReduceOp, Span, explain, noise, optimise, vectorise};
use proptest::prelude::*;
use support::{Numbers, Random, agree, param, pgn, steps};

const NETWORKS: usize = 3;

/// What network `at` has of a value.
fn part(tensor: &Tensor, at: usize) -> Tensor {
    let width = tensor.data.len() / NETWORKS;
    let part = |data: &[f64]| data[at * width..(at + 1) * width].to_vec();
    Tensor { shape: tensor.shape[1..].to_vec(), data: part(&tensor.data), tangent: part(&tensor.tangent) }
}

fn with_axis(shape: &[usize]) -> Vec<usize> {
    std::iter::once(NETWORKS).chain(shape.iter().copied()).collect()
}

/// Values and tangents of `outputs`, for all networks at once and for each alone. `integers` says below which number those
/// inputs lie that are whole.
fn one_by_one(graph: &Graph, outputs: &[NodeId], seed: u64, (b, n): (i64, i64), integers: f64) -> Result<(), String> {
    let mut numbers = Numbers(seed);
    let mut inputs = Vec::new();
    for input in graph.inputs() {
        let mut value = numbers.tensor(with_axis(&sizes(&input.shape, b, n).unwrap()));
        if input.dtype == DType::Int {
            value.data.iter_mut().for_each(|x| *x = (x.abs() * integers).floor());
            value.tangent.fill(0.0);
        }
        inputs.push(value);
    }
    let params: Vec<Tensor> = graph.params().iter().map(|p| numbers.tensor(with_axis(&p.shape))).collect();
    let (many, places) = vectorise(graph, outputs, NETWORKS).map_err(|error| error.to_string())?;
    many.validate().map_err(|error| error.to_string())?;
    let all = evaluate(&many, &inputs, &params, b, n).map_err(|error| format!("{error:?}"))?;
    for at in 0..NETWORKS {
        let inputs: Vec<Tensor> = inputs.iter().map(|input| part(input, at)).collect();
        let params: Vec<Tensor> = params.iter().map(|param| part(param, at)).collect();
        let alone = evaluate(graph, &inputs, &params, b, n).map_err(|error| format!("{error:?}"))?;
        for (id, place) in outputs.iter().zip(&places) {
            agree(&part(&all[place.index()], at), &alone[id.index()]).map_err(|difference| {
                let (before, after) = (explain(graph, outputs), explain(&many, &places));
                format!("network {at}: {difference}\nbefore\n{before}after\n{after}")
            })?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs(steps in steps(24), seed: u64) {
        let random = Random::new(&steps);
        let outputs = random.outputs();
        one_by_one(&random.graph, &outputs, seed, (2, 3), 0.0).map_err(TestCaseError::fail)?;
        let (fast, outputs) = optimise(&random.graph, &outputs, &Passes::all());
        one_by_one(&fast, &outputs, seed, (2, 3), 0.0).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn gradients(steps in steps(12), seed: u64) {
        let random = Random::new(&steps);
        let mut graph = random.graph.clone();
        let of: Vec<NodeId> = random.pool[..6].to_vec();
        let seeds: Vec<(NodeId, NodeId)> = random.outputs().into_iter().map(|id| (id, id)).collect();
        if let Ok(found) = graph::gradients(&mut graph, &seeds, &of) {
            let outputs: Vec<NodeId> = found.into_iter().flatten().collect();
            one_by_one(&graph, &outputs, seed, (2, 3), 0.0).map_err(TestCaseError::fail)?;
        }
    }
}

#[test]
fn the_reference_architecture() {
    let step = pgn::step(6, 3);
    let outputs = [step.ret, step.tri_msgs];
    one_by_one(&step.graph, &outputs, 5, (2, 4), 0.0).unwrap();
    let (fast, outputs) = optimise(&step.graph, &outputs, &Passes::all());
    assert!(fast.nodes().iter().any(|node| matches!(node.op, Op::MaxPlus { .. })));
    one_by_one(&fast, &outputs, 5, (2, 4), 0.0).unwrap();
}

/// Operations that random graphs do not have, with arguments of which some are the same for all networks.
#[test]
fn every_other_operation() {
    let span = Span::default();
    let (b, n, k) = (Dim::b(), Dim::n(), Dim::known);
    let mut graph = Graph::new();
    let x = graph.input("x", vec![b.clone(), n.clone(), k(4)], DType::Float, true);
    let places = graph.input("places", vec![b.clone(), n.clone()], DType::Int, true);
    let own = graph.input("own", vec![b.clone(), n.clone(), k(2)], DType::Int, true);
    let keys = graph.input("noise_keys", noise::key_shape(true), DType::Float, true);
    let key = graph.input("noise_key", noise::key_shape(false), DType::Float, true);
    let table = param(&mut graph, &[5, 4]);
    let vector = param(&mut graph, &[4]);
    let matrix = param(&mut graph, &[4, 4]);
    let number = param(&mut graph, &[]);
    let stated = |graph: &mut Graph, op: Op, args: &[NodeId], shape: Vec<Dim>, dtype: DType| {
        graph.push_as(op, args, shape, dtype, span).expect("types")
    };
    let rows = |values: &[f64]| Op::Const(values.to_vec());
    let fixed = stated(&mut graph, rows(&[0.5, -1.0, 2.0, 0.1]), &[], vec![k(4)], DType::Float);
    let square: Vec<f64> = (0..16).map(|x| f64::from(x) * 0.1 - 0.7).collect();
    let known = stated(&mut graph, rows(&square), &[], vec![k(4), k(4)], DType::Float);
    let listed = stated(&mut graph, rows(&[3.0, 0.0, 0.0]), &[], vec![k(3)], DType::Int);
    let wide = stated(&mut graph, Op::Full(0.25), &[], vec![b.clone(), n.clone(), k(4)], DType::Float);
    let zero = stated(&mut graph, Op::Full(0.0), &[], vec![b.clone(), n.clone(), k(2)], DType::Int);
    let mut outputs = Vec::new();
    let mut add = |graph: &mut Graph, op: Op, args: &[NodeId]| {
        let id = graph.push(op, args, span).expect("types");
        outputs.push(id);
        id
    };
    for dim in 0..3 {
        for largest in [false, true] {
            add(&mut graph, Op::Sort { dim, descending: largest }, &[x]);
            add(&mut graph, Op::ArgSort { dim, descending: largest }, &[x]);
        }
        add(&mut graph, Op::TopK { k: k(1), dim, largest: true }, &[x]);
        add(&mut graph, Op::TopKIndices { k: k(1), dim, largest: false }, &[x]);
        add(&mut graph, Op::CumSum { dim }, &[x]);
        let products = add(&mut graph, Op::CumProd { dim }, &[x]);
        add(&mut graph, Op::CumProdGrad { dim }, &[x, products]);
        add(&mut graph, Op::LogSoftmax { dim }, &[x]);
        add(&mut graph, Op::Flip { dims: vec![dim, (dim + 1) % 3] }, &[x]);
        add(&mut graph, Op::Roll { shift: 1, dim }, &[x]);
        add(&mut graph, Op::Select { dim, index: k(0) }, &[x]);
        let ops = [ReduceOp::ArgMax, ReduceOp::ArgMin, ReduceOp::Median];
        for op in ops {
            add(&mut graph, Op::Reduce { op, dims: vec![dim], keepdim: dim == 1 }, &[x]);
        }
    }
    for op in [ReduceOp::Prod, ReduceOp::Norm { p: 3.0 }, ReduceOp::Var { correction: 0.0 }, ReduceOp::Amax] {
        let whole = add(&mut graph, Op::Reduce { op, dims: vec![0, 1, 2], keepdim: false }, &[x]);
        add(&mut graph, Op::Reduce { op, dims: Vec::new(), keepdim: false }, &[whole]);
    }
    // places and tables, of each network its own or the same for all
    for (from, index) in [(table, places), (table, listed), (known, places), (table, own)] {
        add(&mut graph, Op::IndexSelect { dim: 0 }, &[from, index]);
    }
    for (from, index, dim) in [(matrix, places, 1), (known, places, 1), (x, listed, 2)] {
        add(&mut graph, Op::IndexSelect { dim }, &[from, index]);
    }
    add(&mut graph, Op::Gather { dim: 2 }, &[x, own]);
    add(&mut graph, Op::Gather { dim: 2 }, &[wide, own]);
    add(&mut graph, Op::Gather { dim: 2 }, &[x, zero]);
    let two = graph.push(Op::Slice { dim: 2, start: k(0), end: k(2), step: 1 }, &[x], span).expect("types");
    for (to, index) in [(x, own), (wide, own), (x, zero)] {
        add(&mut graph, Op::Scatter { dim: 2 }, &[to, zero, two]);
        add(&mut graph, Op::ScatterAdd { dim: 2 }, &[to, index, two]);
    }
    add(&mut graph, Op::OneHot { classes: 5 }, &[places]);
    let square = graph.push(Op::MatMul, &[x, matrix], span).expect("types");
    let square = graph.push(Op::Einsum("bnk,bmk->bnm".to_owned()), &[square, x], span).expect("types");
    add(&mut graph, Op::Tril { diagonal: 1 }, &[square]);
    add(&mut graph, Op::Triu { diagonal: 0 }, &[square]);
    add(&mut graph, Op::Diagonal { offset: 0, dim1: 1, dim2: 2 }, &[square]);
    add(&mut graph, Op::Cat { dim: 2 }, &[x, wide, two]);
    // products of vectors, matrices and batches
    for (left, right) in [
        (x, matrix),
        (x, known),
        (x, vector),
        (x, fixed),
        (vector, matrix),
        (fixed, matrix),
        (vector, known),
        (vector, vector),
        (vector, fixed),
        (matrix, vector),
        (known, vector),
        (known, matrix),
        (matrix, known),
        (square, x),
        (square, wide),
        (matrix, matrix),
    ] {
        add(&mut graph, Op::MatMul, &[left, right]);
    }
    for (equation, args) in
        [("k,bnk->bn", vec![fixed, x]), ("bnk,kj,j->bj", vec![x, known, vector]), ("kk->k", vec![matrix])]
    {
        add(&mut graph, Op::Einsum(equation.to_owned()), &args);
    }
    for (x, weight) in [(x, matrix), (x, known), (wide, matrix), (wide, known), (vector, matrix)] {
        add(&mut graph, Op::Linear { biased: false }, &[x, weight]);
        add(&mut graph, Op::Linear { biased: true }, &[x, weight, vector]);
    }
    for (x, weight) in [(x, vector), (x, fixed), (wide, vector)] {
        add(&mut graph, Op::LayerNorm { axes: 1, eps: 1e-3, weighted: true, biased: true }, &[x, weight, vector]);
        add(&mut graph, Op::LayerNorm { axes: 1, eps: 1e-3, weighted: true, biased: false }, &[x, weight]);
    }
    for (left, right) in [(x, number), (number, x), (wide, number), (x, vector), (wide, vector), (vector, number)] {
        add(&mut graph, Op::Binary(BinaryOp::Sub), &[left, right]);
    }
    let large = graph.push(Op::Binary(BinaryOp::Gt), &[vector, number], span).expect("types");
    add(&mut graph, Op::Where, &[large, x, fixed]);
    add(&mut graph, Op::Where, &[large, wide, number]);
    outputs.push(stated(&mut graph, Op::Expand, &[vector], vec![b.clone(), n.clone(), k(4)], DType::Float));
    outputs.push(stated(&mut graph, Op::Cast, &[large], vec![k(4)], DType::Float));
    outputs.push(wide);
    outputs.push(stated(&mut graph, Op::Random { stream: 1 }, &[keys], vec![b, n.clone(), k(4)], DType::Float));
    outputs.push(stated(&mut graph, Op::Random { stream: 2 }, &[key], vec![n, k(4)], DType::Float));
    for id in graph.ids().collect::<Vec<_>>() {
        // each by itself, so that a fault is named
        if outputs.contains(&id) {
            one_by_one(&graph, &[id], 9, (2, 3), 4.0).unwrap_or_else(|error| panic!("{:?}: {error}", graph.node(id)));
        }
    }
}
