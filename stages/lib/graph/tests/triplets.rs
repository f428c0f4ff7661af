//! Reductions over sums of broadcast terms: the same values and gradients, ties included, without the tensor of all
//! combinations.

mod support;

use graph::interpret::{Tensor, evaluate, sizes};
use graph::{
    BinaryOp, DType, Dim, Graph, NodeId, Op, Passes, ReduceOp, Shape, Span, UnaryOp, costs, explain, optimise,
};
use proptest::prelude::*;
use support::{Numbers, agree};

const SPAN: Span = Span { line: 1, column: 0, end_line: 0, end_column: 0 };

/// The sizes of the axes b, i, j, k, t.
fn axes() -> Shape {
    vec![Dim::b(), Dim::n(), Dim::n(), Dim::n(), Dim::known(2)]
}

/// An input over the axes whose bits are set, the others being 1.
fn term(g: &mut Graph, bits: u8, dtype: DType) -> NodeId {
    let shape =
        axes().into_iter().enumerate().map(|(axis, dim)| if bits >> axis & 1 == 1 { dim } else { Dim::known(1) });
    g.input("x", shape.collect(), dtype, true)
}

fn number(g: &mut Graph, value: f64) -> NodeId {
    g.push_as(Op::Scalar(value), &[], vec![], DType::Float, SPAN).unwrap()
}

#[derive(Clone, Debug)]
struct Case {
    terms: Vec<(u8, bool)>,
    masks: Vec<u8>,
    mask_form: u8,
    wraps: Vec<u8>,
    reduce: u8,
    axis: usize,
    keepdim: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    // Bits 0 to 4 are b, i, j, k, t; most terms have b and t.
    let bits = || prop_oneof![3 => (0u8..8).prop_map(|ijk| 0b10001 | ijk << 1), 1 => 0u8..32];
    (
        prop::collection::vec((bits(), any::<bool>()), 1..6),
        prop::collection::vec(bits(), 0..3),
        0u8..4,
        prop::collection::vec(0u8..6, 0..3),
        0u8..6,
        0usize..5,
        any::<bool>(),
    )
        .prop_map(|(terms, masks, mask_form, wraps, reduce, axis, keepdim)| Case {
            terms,
            masks,
            mask_form,
            wraps,
            reduce,
            axis,
            keepdim,
        })
}

/// Masks joined in one of the ways in which programs write them, and filled.
fn fill(g: &mut Graph, x: NodeId, masks: &[NodeId], form: u8) -> NodeId {
    let Some((&first, rest)) = masks.split_first() else { return x };
    let value = number(g, -2.3);
    let push = |g: &mut Graph, op: Op, args: &[NodeId]| g.push(op, args, SPAN).unwrap();
    match form {
        // where(m & n, x, v)
        0 => {
            let all = rest.iter().fold(first, |all, &next| push(g, Op::Binary(BinaryOp::And), &[all, next]));
            push(g, Op::Where, &[all, x, value])
        }
        // masked_fill(m | n, v)
        1 => {
            let any = rest.iter().fold(first, |any, &next| push(g, Op::Binary(BinaryOp::Or), &[any, next]));
            push(g, Op::Where, &[any, value, x])
        }
        // where((m * n).bool(), x, v) and masked_fill(m * n == 0, v), masks being floats
        _ => {
            let mut floats = masks
                .iter()
                .map(|&m| {
                    let shape = g.shape(m).clone();
                    g.push_as(Op::Cast, &[m], shape, DType::Float, SPAN).unwrap()
                })
                .collect::<Vec<_>>()
                .into_iter();
            let first = floats.next().unwrap();
            let product = floats.fold(first, |all, next| push(g, Op::Binary(BinaryOp::Mul), &[all, next]));
            if form == 2 {
                let shape = g.shape(product).clone();
                let open = g.push_as(Op::Cast, &[product], shape, DType::Bool, SPAN).unwrap();
                push(g, Op::Where, &[open, x, value])
            } else {
                let zero = number(g, 0.0);
                let shut = push(g, Op::Binary(BinaryOp::Eq), &[product, zero]);
                push(g, Op::Where, &[shut, value, x])
            }
        }
    }
}

fn build(case: &Case) -> (Graph, NodeId) {
    let mut g = Graph::new();
    let terms: Vec<(NodeId, bool)> =
        case.terms.iter().map(|&(bits, minus)| (term(&mut g, bits, DType::Float), minus)).collect();
    let masks: Vec<NodeId> = case.masks.iter().map(|&bits| term(&mut g, bits, DType::Bool)).collect();
    let mut x = terms[0].0;
    for &(next, minus) in &terms[1..] {
        let op = if minus { BinaryOp::Sub } else { BinaryOp::Add };
        x = g.push(Op::Binary(op), &[x, next], SPAN).unwrap();
    }
    let full = g.push_as(Op::Expand, &[x], axes(), DType::Float, SPAN).unwrap();
    x = fill(&mut g, full, &masks, case.mask_form);
    for wrap in &case.wraps {
        let by = number(&mut g, [2.0, -0.5][usize::from(wrap % 2)]);
        let (op, args) = match wrap {
            0 => (Op::Unary(UnaryOp::Relu), vec![x]),
            1 => (Op::Unary(UnaryOp::Neg), vec![x]),
            2 => (Op::Unary(UnaryOp::LeakyRelu { slope: 0.5 }), vec![x]),
            3 => (Op::Binary(BinaryOp::Mul), vec![by, x]),
            4 => (Op::Binary(BinaryOp::Div), vec![x, by]),
            _ => (Op::Unary(UnaryOp::Tanh), vec![x]),
        };
        x = g.push(op, &args, SPAN).unwrap();
    }
    let op = [ReduceOp::Amax, ReduceOp::Amin, ReduceOp::MaxValues, ReduceOp::MinValues, ReduceOp::Mean, ReduceOp::Sum];
    let op = Op::Reduce { op: op[usize::from(case.reduce)], dims: vec![case.axis], keepdim: case.keepdim };
    let out = g.push(op, &[x], SPAN).unwrap();
    (g, out)
}

/// Values from a few whole numbers, so that ties are common.
fn coarse(numbers: &mut Numbers, shape: Vec<usize>, dtype: DType) -> Tensor {
    let mut tensor = numbers.tensor(shape);
    for value in &mut tensor.data {
        *value = if dtype == DType::Bool { f64::from(u8::from(*value > -0.3)) } else { (*value * 1.5).round() };
    }
    if dtype == DType::Bool {
        tensor.tangent.fill(0.0);
    }
    tensor
}

fn values(g: &Graph, out: NodeId, seed: u64) -> Tensor {
    let mut numbers = Numbers(seed);
    let inputs: Vec<Tensor> =
        g.inputs().iter().map(|i| coarse(&mut numbers, sizes(&i.shape, 2, 3).unwrap(), i.dtype)).collect();
    evaluate(g, &inputs, &[], 2, 3).unwrap().swap_remove(out.index())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ties_share_as_before(case in cases(), seed: u64) {
        let (g, out) = build(&case);
        let (fast, at) = optimise(&g, &[out], &Passes::all());
        fast.validate().unwrap();
        if let Err(difference) = agree(&values(&g, out, seed), &values(&fast, at[0], seed)) {
            let (before, after) = (explain(&g, &[out]), explain(&fast, &at));
            return Err(TestCaseError::fail(format!("{difference}\nbefore\n{before}after\n{after}")));
        }
    }
}

/// The largest power of N in any tensor.
fn cubes(g: &Graph, out: NodeId) -> u8 {
    let largest = costs(g, &[out]).largest_tensor;
    largest.of().iter().flat_map(|dim| dim.terms().map(|(_, n, _)| n)).max().unwrap_or(0)
}

#[test]
fn no_tensor_of_triples_is_left() {
    // t_1(i) + t_2(j) + t_3(k) + e_1(i, j) + e_2(i, k) + e_3(j, k) + g
    let pgn = [0b10011, 0b10101, 0b11001, 0b10111, 0b11011, 0b11101, 0b10001];
    for reduce in 0..6 {
        for masks in [vec![], vec![0b00111], vec![0b00111, 0b01011, 0b01101]] {
            for mask_form in 0..4 {
                if reduce >= 4 && !masks.is_empty() {
                    continue; // a masked mean is not a sum of means
                }
                let case = Case {
                    terms: pgn.iter().map(|&bits| (bits, false)).collect(),
                    masks: masks.clone(),
                    mask_form,
                    wraps: if reduce < 4 { vec![0, 3] } else { vec![] },
                    reduce,
                    axis: 1,
                    keepdim: false,
                };
                let (g, out) = build(&case);
                let (fast, at) = optimise(&g, &[out], &Passes::all());
                assert_eq!(cubes(&g, out), 3);
                assert_eq!(cubes(&fast, at[0]), 2, "{case:?}\n{}", explain(&fast, &at));
                agree(&values(&g, out, 7), &values(&fast, at[0], 7)).unwrap();
            }
        }
    }
}

#[test]
fn a_tensor_of_triples_that_is_needed_is_kept() {
    let case = Case {
        terms: vec![(0b11111, false), (0b10111, false)],
        masks: vec![],
        mask_form: 0,
        wraps: vec![],
        reduce: 0,
        axis: 1,
        keepdim: false,
    };
    let (g, out) = build(&case);
    let (fast, at) = optimise(&g, &[out], &Passes::all());
    assert_eq!(cubes(&fast, at[0]), 3);
}
