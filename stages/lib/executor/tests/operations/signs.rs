//! The signs of zeros, operation by operation: a comparison takes 0 and -0 for equal, but the angle of two numbers, a copied sign
//! and a reciprocal do not.

use std::collections::BTreeSet;

use executor::{Device, DeviceArg, Dtype};
use tch::Tensor;

use super::rounding::has_two_zeros;
use super::table::OPERATIONS;
use super::{Drawn, Given, HIDDEN, Operation, Type, Value, count, is_settled, operation};
use executor::rng::Rng;

/// Numbers of which many operations make zeros of both signs.
const NUMBERS: [f64; 10] = [0.0, -0.0, 0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5];

/// The operation with a number on its own, over inputs of such numbers.
fn drawn(at: usize, sizes: (i64, i64), dtype: Dtype) -> Drawn {
    let (b, n) = sizes;
    let mut rng = Rng::new(at as u64, "signs");
    let mut draw = |shape: &[i64]| {
        let mut element = || NUMBERS[((rng.uniform() * 10.0) as usize).min(9)];
        let data: Vec<f64> = (0..shape.iter().product::<i64>()).map(|_| element()).collect();
        Tensor::from_slice(&data).reshape(shape)
    };
    let shapes: [&[i64]; 5] = [&[b, n, HIDDEN], &[b, n, n, HIDDEN], &[b, HIDDEN], &[b, n, n], &[b, n, HIDDEN]];
    let inputs = shapes.map(|shape| draw(shape).set_requires_grad(true));
    let weights = [draw(shapes[0]), draw(shapes[1])];
    let operation = operation(at);
    let leaves = |names: [&str; 2], tensors: [&Tensor; 2]| {
        let mut text = operation.text.to_owned();
        let mut args = Vec::new();
        for number in 0..operation.takes.len() {
            text = text.replace(&format!("{{{number}}}"), &format!("({})", names[number % 2]));
            args.push(tensors[number % 2].shallow_clone());
        }
        Value { text, tensor: (operation.run)(&Given::once(args)), of: Type::Float, exact: true }
    };
    let [node, edge, _, adjacency, hidden] = &inputs;
    let wide = adjacency.unsqueeze(-1).expand_as(edge);
    let expressions = vec![
        leaves(["node_fts", "hidden"], [node, hidden]),
        leaves(["edge_fts", "adj_mat.unsqueeze(-1).expand_as(edge_fts)"], [edge, &wide]),
    ];
    Drawn { expressions, used: vec![at], inputs, weights, sizes, exact: true, dtype }
}

/// Whether libtorch says which sign it gives a zero: it does not where its loops disagree, where it does not say which of equal
/// elements it takes, and where the zero is what rounding left. A sum of one element, which is that of the areas between two
/// places, keeps -0 here.
fn has_a_sign(operation: &Operation) -> bool {
    let rounds = ["layer_norm(", "group_norm(", "trapezoid("].iter().any(|name| operation.text.contains(name));
    !has_two_zeros(operation) && is_settled(operation) && !rounds
}

/// The first element whose sign differs where both are zero.
fn differs(at: usize, sizes: (i64, i64), dtype: Dtype, device: Device) -> Result<Option<usize>, String> {
    let drawn = drawn(at, sizes, dtype);
    let options = program::Options { hidden: HIDDEN as usize, need_regions: false, ..program::Options::default() };
    let compiled = program::compile(&drawn.source(), &options);
    let processor = compiled.processor.ok_or_else(|| format!("{}: refused", operation(at).text))?;
    let ours = drawn.ours(&processor, true, device)?;
    let both = drawn.theirs().into_iter().zip(ours).take(2);
    for ((_, theirs), ours) in both {
        let pairs = super::numbers(&theirs).into_iter().zip(super::numbers(&ours));
        let wrong = |(x, y): (f64, f64)| x == 0.0 && y == 0.0 && x.is_sign_negative() != y.is_sign_negative();
        if let Some(place) = pairs.into_iter().position(wrong) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

#[test]
fn zeros_have_the_signs_that_libtorch_gives_them() {
    let device = executor::init(&DeviceArg::Cpu, 1).expect("the CPU is there");
    let floats = |at: &usize| {
        let operation = operation(*at);
        operation.gives == Type::Float && operation.takes.iter().all(|of| *of == Type::Float)
    };
    let (mut wrong, mut checked) = (BTreeSet::new(), 0);
    for at in (0..count()).filter(floats).filter(|&at| has_a_sign(operation(at))) {
        for sizes in [(1, 2), (2, 9)] {
            for dtype in [Dtype::F64, Dtype::F32] {
                checked += 1;
                if let Some(place) = differs(at, sizes, dtype, device).expect("runs") {
                    let exact = at >= OPERATIONS.len();
                    wrong.insert(format!(
                        "{} (exact: {exact}), {dtype:?}, {sizes:?}, element {place}",
                        operation(at).text
                    ));
                }
            }
        }
    }
    assert!(checked > 400, "{checked}");
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.into_iter().collect::<Vec<_>>().join("\n"));
}
