//! Loops against plain code that computes one place at a time in float64.

use super::*;
use crate::kernels::math::reference;
use crate::kernels::testing::Random;
use proptest::prelude::*;

fn expected(spec: &LoopSpec, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let places = |f: &mut dyn FnMut(&[usize])| {
        let total: usize = spec.shape.iter().product();
        for at in 0..total {
            let mut rest = at;
            let mut index = vec![0; spec.shape.len()];
            for axis in (0..spec.shape.len()).rev() {
                index[axis] = rest % spec.shape[axis];
                rest /= spec.shape[axis];
            }
            f(&index);
        }
    };
    let at = |start: usize, strides: &[usize], index: &[usize]| {
        start + strides.iter().zip(index).map(|(x, y)| x * y).sum::<usize>()
    };
    for store in spec.stores.iter().filter(|store| !store.accumulate) {
        // all elements that the store leads to, even where sums are empty
        let shape: Vec<usize> =
            spec.shape.iter().zip(&store.strides).map(|(&size, &stride)| if stride == 0 { 1 } else { size }).collect();
        for place in 0..shape.iter().product() {
            let mut rest = place;
            let mut to = store.start;
            for axis in (0..shape.len()).rev() {
                to += rest % shape[axis] * store.strides[axis];
                rest /= shape[axis];
            }
            outputs[store.tensor][to] = 0.0;
        }
    }
    // what additions lose is kept, so that long sums are exact
    let mut lost: Vec<Vec<f64>> = outputs.iter().map(|output| vec![0.0; output.len()]).collect();
    places(&mut |index| {
        let mut values: Vec<f64> = Vec::new();
        for instr in &spec.code {
            values.push(match *instr {
                Instr::Load(load) => {
                    let view = &spec.loads[load];
                    inputs[view.tensor][at(view.start, &view.strides, index)]
                }
                Instr::Const(x) => x,
                Instr::Unary(op, x) => reference::unary(op, values[x]),
                Instr::Binary(op, x, y) => reference::binary(op, values[x], values[y]),
                Instr::Where(c, x, y) => {
                    if values[c] != 0.0 {
                        values[x]
                    } else {
                        values[y]
                    }
                }
                Instr::Bool(x) => f64::from(u8::from(values[x] != 0.0)),
            });
        }
        for store in &spec.stores {
            let (at, value) = (at(store.start, &store.strides, index), values[store.value]);
            let (sum, lost) = (&mut outputs[store.tensor][at], &mut lost[store.tensor][at]);
            let new = *sum + value;
            *lost += if sum.abs() > value.abs() { *sum - new + value } else { value - new + *sum };
            *sum = new;
        }
    });
    for (output, lost) in outputs.iter_mut().flatten().zip(lost.iter().flatten()).filter(|(_, lost)| !lost.is_nan()) {
        *output += lost;
    }
}

fn check<T: Real>(spec: &LoopSpec, inputs: &[Vec<f64>], outputs: &[Vec<f64>], tolerance: f64) {
    let cast = |x: &Vec<f64>| x.iter().map(|&x| T::from_f64(x)).collect::<Vec<T>>();
    let narrow: Vec<Vec<T>> = inputs.iter().map(cast).collect();
    let mut wanted = outputs.to_vec();
    expected(spec, inputs, &mut wanted);
    for level in Level::all() {
        check_at(spec, &narrow, outputs, &wanted, tolerance, level);
    }
}

fn check_at<T: Real>(
    spec: &LoopSpec,
    narrow: &[Vec<T>],
    outputs: &[Vec<f64>],
    wanted: &[Vec<f64>],
    tolerance: f64,
    level: Level,
) {
    let cast = |x: &Vec<f64>| x.iter().map(|&x| T::from_f64(x)).collect::<Vec<T>>();
    let mut run = Loop::<T>::at_level(spec, level).unwrap();
    // twice, because state must not leak from one run to the next
    for _ in 0..2 {
        let mut found: Vec<Vec<T>> = outputs.iter().map(cast).collect();
        let reads: Vec<&[T]> = narrow.iter().map(Vec::as_slice).collect();
        let mut writes: Vec<&mut [T]> = found.iter_mut().map(Vec::as_mut_slice).collect();
        run.run(&reads, &mut writes).unwrap();
        for (tensor, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            for (at, (x, y)) in found.iter().zip(wanted).enumerate() {
                let x = x.to_f64();
                let close = (x - y).abs() <= tolerance * (1.0 + y.abs()) || (x.is_nan() && y.is_nan()) || x == *y;
                assert!(close, "output {tensor} at {at}: {x}, not {y}, of {spec:?} at {level:?}");
            }
        }
    }
}

fn check_both(spec: &LoopSpec, inputs: &[Vec<f64>], outputs: &[Vec<f64>]) {
    check::<f64>(spec, inputs, outputs, 1e-12);
    check::<f32>(spec, inputs, outputs, 2e-4);
}

/// Row-major strides of the axes that are kept, 0 for the others.
fn packed(shape: &[usize], kept: &[bool], scale: usize) -> (Vec<usize>, usize) {
    let mut strides = vec![0; shape.len()];
    let mut size = scale;
    for axis in (0..shape.len()).rev().filter(|&axis| kept[axis]) {
        strides[axis] = size;
        size *= shape[axis].max(1);
    }
    (strides, size)
}

/// A random loop with what it reads and what was there before.
fn random_case(seed: u64, empty: bool) -> (LoopSpec, Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let mut random = Random(seed);
    let rank = random.below(5);
    let sizes: &[usize] = &[1, 1, 2, 3, 4, 5, 8, 16];
    let lasts: &[usize] = &[1, 2, 3, 4, 7, 8, 15, 16, 20, 32, 33, 64, 70, 100, 128, 129, 150, 256, 300];
    let mut shape: Vec<usize> = (0..rank).map(|_| sizes[random.below(sizes.len())]).collect();
    if let Some(last) = shape.last_mut() {
        *last = lasts[random.below(lasts.len())];
    }
    while shape.iter().product::<usize>() > 20_000 {
        let most = shape.iter().copied().max().unwrap_or(1);
        shape.iter_mut().filter(|size| **size == most).for_each(|size| *size = 2);
    }
    if empty && rank > 0 {
        let axis = random.below(rank);
        shape[axis] = 0;
    }
    let kept = |random: &mut Random| match random.below(3) {
        0 => vec![true; rank],
        _ => (0..rank).map(|_| random.below(3) > 0).collect(),
    };
    let (mut inputs, mut loads) = (Vec::new(), Vec::new());
    for tensor in 0..1 + random.below(5) {
        let scale = [1, 1, 1, 4][random.below(4)];
        let start = random.below(scale);
        let mut of = kept(&mut random);
        let (mut strides, size) = packed(&shape, &of, scale);
        if rank > 1 && random.below(6) == 0 {
            // the last two axes the other way round
            of = vec![true; rank];
            let mut turned = shape.clone();
            turned.swap(rank - 1, rank - 2);
            (strides, _) = packed(&turned, &of, scale);
            strides.swap(rank - 1, rank - 2);
        }
        let size = size.max(shape.iter().map(|x| (*x).max(1)).product::<usize>() * scale);
        inputs.push((0..size).map(|_| random.number()).collect());
        loads.push(View { tensor, start, strides });
    }
    let mut code: Vec<Instr> = (0..loads.len()).map(Instr::Load).collect();
    code.push(Instr::Const(random.number()));
    for _ in 0..random.below(24) {
        let (x, y, z) = (random.below(code.len()), random.below(code.len()), random.below(code.len()));
        code.push(match random.below(14) {
            0 => Instr::Const(random.number()),
            1 => Instr::Unary(UnaryOp::Relu, x),
            2 => Instr::Unary(UnaryOp::Tanh, x),
            3 => Instr::Unary(UnaryOp::Sigmoid, x),
            4 => Instr::Unary(UnaryOp::Abs, x),
            5 => Instr::Unary(UnaryOp::Neg, x),
            6 => Instr::Binary(BinaryOp::Maximum, x, y),
            7 => Instr::Binary(BinaryOp::Minimum, x, y),
            8 => Instr::Unary(UnaryOp::Clamp { min: -1.0, max: 1.0 }, x),
            9 => Instr::Binary(BinaryOp::Sub, x, y),
            10 => Instr::Load(random.below(loads.len())),
            _ => Instr::Binary(BinaryOp::Add, x, y),
        });
        // the condition is one of exact numbers, so that rounding cannot turn it
        if random.below(6) == 0 {
            let condition = random.below(loads.len());
            code.push(Instr::Bool(condition));
            code.push(Instr::Where(code.len() - 1, y, z));
        }
        if random.below(8) == 0 {
            code.push(Instr::Binary(BinaryOp::Mul, x, random.below(loads.len())));
        }
        // keeps numbers small
        if random.below(4) == 0 {
            code.push(Instr::Unary(UnaryOp::Tanh, code.len() - 1));
        }
    }
    let (mut outputs, mut stores) = (Vec::new(), Vec::new());
    for tensor in 0..1 + random.below(5) {
        let scale = [1, 1, 1, 4][random.below(4)];
        let (strides, size) = packed(&shape, &kept(&mut random), scale);
        outputs.push((0..size + 3).map(|_| random.number()).collect());
        let bounded = Instr::Unary(UnaryOp::Tanh, random.below(code.len()));
        code.push(bounded);
        let value = code.len() - 1 - random.below(2).min(usize::from(random.below(3) == 0));
        stores.push(Store { value, tensor, start: random.below(scale), strides, accumulate: random.below(2) == 0 });
    }
    (LoopSpec { shape, code, loads, stores }, inputs, outputs)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_loops_compute_what_they_say(seed in any::<u64>()) {
        let (spec, inputs, outputs) = random_case(seed, false);
        let largest = inputs.iter().flatten().fold(0.0, |most: f64, x| most.max(x.abs()));
        prop_assume!(largest < 1e3);
        check_both(&spec, &inputs, &outputs);
    }

    #[test]
    fn sums_over_nothing_are_zero(seed in any::<u64>()) {
        let (spec, inputs, outputs) = random_case(seed, true);
        check_both(&spec, &inputs, &outputs);
    }
}

/// One value of a loop over `[n]`, stored as it is.
fn simple(code: Vec<Instr>, inputs: usize, n: usize) -> LoopSpec {
    let loads = (0..inputs).map(|tensor| View { tensor, start: 0, strides: vec![1] }).collect();
    let store = Store { value: code.len() - 1, tensor: 0, start: 0, strides: vec![1], accumulate: false };
    LoopSpec { shape: vec![n], code, loads, stores: vec![store] }
}

#[test]
fn what_is_no_number_goes_through() {
    let nan = f64::NAN;
    let inputs = [vec![nan, 1.0, -1.0, nan, 2.0, f64::INFINITY], vec![1.0, nan, 1.0, nan, -3.0, f64::NEG_INFINITY]];
    let (load, binary, unary) = (Instr::Load, Instr::Binary, Instr::Unary);
    for code in [
        vec![load(0), load(1), binary(BinaryOp::Maximum, 0, 1)],
        vec![load(0), load(1), binary(BinaryOp::Minimum, 0, 1)],
        vec![load(0), load(1), binary(BinaryOp::Add, 0, 1), unary(UnaryOp::Relu, 2)],
        vec![load(0), load(1), unary(UnaryOp::Relu, 0), binary(BinaryOp::Mul, 2, 1)],
        vec![load(0), load(1), Instr::Const(0.0), binary(BinaryOp::Gt, 0, 2), Instr::Where(3, 1, 2)],
        vec![load(0), load(1), Instr::Const(0.0), binary(BinaryOp::Lt, 2, 0), Instr::Where(3, 2, 1)],
        vec![load(0), load(1), Instr::Where(0, 1, 0)],
        vec![load(0), load(1), Instr::Bool(0), binary(BinaryOp::Ne, 2, 1)],
        vec![load(0), load(1), binary(BinaryOp::Mul, 0, 1), binary(BinaryOp::Sub, 0, 2)],
        vec![load(0), load(1), binary(BinaryOp::Add, 0, 1), binary(BinaryOp::Add, 1, 2)],
    ] {
        check_both(&simple(code, 2, 6), &inputs, &[vec![0.0; 6]]);
    }
}

#[test]
fn every_function_in_a_loop() {
    let inputs = [(0..37).map(|x| f64::from(x) / 8.0 + 0.125).collect::<Vec<f64>>(), vec![1.5; 37]];
    for op in [UnaryOp::Exp, UnaryOp::Log, UnaryOp::Erf, UnaryOp::Sin, UnaryOp::Gelu { tanh: false }, UnaryOp::Sqrt] {
        check_both(&simple(vec![Instr::Load(0), Instr::Unary(op, 0)], 2, 37), &inputs, &[vec![0.0; 37]]);
    }
    for op in [BinaryOp::Pow, BinaryOp::FloorDiv, BinaryOp::Remainder, BinaryOp::Atan2, BinaryOp::Div] {
        let code = vec![Instr::Load(0), Instr::Load(1), Instr::Binary(op, 0, 1)];
        check_both(&simple(code, 2, 37), &inputs, &[vec![0.0; 37]]);
    }
    for exponent in [1.0, 2.0, 3.0, 0.5, -0.5, -1.0, 1.7] {
        let code = vec![Instr::Load(0), Instr::Const(exponent), Instr::Binary(BinaryOp::Pow, 0, 1)];
        check_both(&simple(code, 2, 37), &inputs, &[vec![0.0; 37]]);
    }
}

/// Maxima as the network writes them, and what looks alike.
#[test]
fn differences_that_are_rectified_and_added() {
    use Instr::{Binary, Load, Unary};
    let loads = [Load(0), Load(1), Load(2)];
    let (add, sub) = (|x, y| Binary(BinaryOp::Add, x, y), |x, y| Binary(BinaryOp::Sub, x, y));
    let relu = |x| Unary(UnaryOp::Relu, x);
    for code in [
        vec![sub(0, 1), relu(3), add(1, 4)],
        vec![sub(0, 1), relu(3), add(4, 1)],
        vec![sub(0, 1), relu(3), add(0, 4)],
        vec![sub(0, 1), relu(3), add(2, 4)],
        vec![sub(0, 0), relu(3), add(4, 4)],
        vec![sub(0, 1), relu(3), add(1, 4), Binary(BinaryOp::Mul, 5, 4)],
        vec![sub(0, 1), relu(3), add(1, 4), Binary(BinaryOp::Mul, 5, 3)],
        vec![add(0, 1), sub(2, 3), relu(4), add(3, 5)],
        vec![add(0, 1), sub(3, 2), relu(4), add(2, 5)],
        vec![add(0, 1), sub(2, 3), relu(4), Binary(BinaryOp::Mul, 5, 3)],
        vec![add(0, 1), sub(3, 2), relu(4), Binary(BinaryOp::Mul, 5, 3)],
    ] {
        let spec = simple(loads.into_iter().chain(code).collect(), 3, 40);
        let mut random = Random(6);
        let inputs: Vec<Vec<f64>> = (0..3).map(|_| (0..40).map(|_| random.number()).collect()).collect();
        check_both(&spec, &inputs, &[vec![0.0; 40]]);
    }
}

#[test]
fn a_number_without_axes() {
    let spec = LoopSpec {
        shape: vec![],
        code: vec![Instr::Load(0), Instr::Const(2.0), Instr::Binary(BinaryOp::Mul, 0, 1)],
        loads: vec![View { tensor: 0, start: 1, strides: vec![] }],
        stores: vec![Store { value: 2, tensor: 0, start: 0, strides: vec![], accumulate: true }],
    };
    check_both(&spec, &[vec![1.0, 3.0]], &[vec![0.5]]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let good = simple(vec![Instr::Load(0), Instr::Unary(UnaryOp::Neg, 0)], 1, 8);
    let mut run = Loop::<f32>::new(&good).unwrap();
    let (x, mut y) = ([1.0_f32; 8], [0.0_f32; 8]);
    assert!(run.run(&[&x[..7]], &mut [&mut y]).is_err());
    assert!(run.run(&[&x], &mut [&mut y[..7]]).is_err());
    assert!(run.run(&[], &mut [&mut y]).is_err());
    assert!(run.run(&[&x], &mut []).is_err());
    assert_eq!(y, [0.0; 8]);
    assert!(run.run(&[&x], &mut [&mut y]).is_ok());
    assert_eq!(y, [-1.0; 8]);
    let refused = |change: &dyn Fn(&mut LoopSpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        assert!(Loop::<f32>::new(&spec).is_err(), "{spec:?}");
    };
    refused(&|spec| spec.code[1] = Instr::Unary(UnaryOp::Neg, 1));
    refused(&|spec| spec.code[0] = Instr::Load(1));
    refused(&|spec| spec.stores[0].value = 2);
    refused(&|spec| spec.loads[0].strides = vec![]);
    refused(&|spec| spec.stores[0].strides = vec![1, 1]);
    refused(&|spec| spec.loads[0].strides = vec![usize::MAX]);
    refused(&|spec| spec.stores[0].start = usize::MAX);
    refused(&|spec| spec.shape = vec![usize::MAX]);
}
