//! Times the kernels that are not fused loops.

use std::hint::black_box;
use std::time::Instant;

use executor::kernels::copy::{self, Places, packed};
use executor::kernels::extremes::{self, Ties};
use executor::kernels::max_plus::{MaxPlus, Sizes};
use executor::kernels::{Instr, Loop, LoopSpec, Store, View, normal};
use graph::UnaryOp;

/// Prints nanoseconds of a call, the least of several rounds, and for each of `elements`.
fn time(name: &str, elements: usize, mut f: impl FnMut()) {
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed().as_millis() < 10 {
        f();
        calls += 1;
    }
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        for _ in 0..calls / 5 + 1 {
            f();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(calls / 5 + 1));
    }
    println!("{name:44} {best:10.0} ns, {:7.2} Gelem/s", elements as f64 / best);
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|x| ((x * 2_654_435_761) % 1009) as f32 / 504.0 - 1.0).collect()
}

fn main() {
    for sizes in [[32, 16, 128], [2, 16, 2048], [4096, 16, 1], [512, 128, 1], [256, 16, 8]] {
        let [outer, middle, inner] = sizes;
        let (x, mut y, g) = (numbers(outer * middle * inner), numbers(outer * inner), numbers(outer * inner));
        let mut dx = x.clone();
        time(&format!("maximum {sizes:?}"), x.len(), || {
            let _ = extremes::extreme(false, black_box(&x), sizes, black_box(&mut y));
        });
        for ties in [Ties::Share, Ties::First] {
            time(&format!("its gradient, {ties:?}"), x.len(), || {
                let _ = extremes::share_extreme(ties, black_box(&x), &y, &g, sizes, black_box(&mut dx));
            });
        }
        time(&format!("softmax {sizes:?}"), x.len(), || {
            let _ = normal::softmax(false, black_box(&x), sizes, black_box(&mut dx));
        });
    }
    for (b, n) in [(2, 16), (32, 16), (8, 8)] {
        let sizes = Sizes { b, i: n, j: n, k: n, t: 8 };
        let (a, c, g) = (numbers(b * n * n * 8), numbers(b * n * n * 8), numbers(b * n * n * 8));
        let (mut y, mut da, mut dc) = (g.clone(), g.clone(), g.clone());
        let Ok(mut product) = MaxPlus::new(sizes, false, Ties::Share) else { continue };
        time(&format!("max-plus {sizes:?}"), y.len() * n, || {
            let _ = product.run(black_box(&a), &c, black_box(&mut y));
        });
        time("its gradients", y.len() * n, || {
            let _ = product.gradients([black_box(&a), &c, &y, &g], Some(&mut da), Some(black_box(&mut dc)));
        });
    }
    for (rows, size) in [(512, 128), (2048, 32)] {
        let (x, w, mut y) = (numbers(rows * size), numbers(size), numbers(rows * size));
        time(&format!("layer norm [{rows}, {size}]"), x.len(), || {
            let _ = normal::layer_norm(black_box(&x), Some(&w), Some(&w), 1e-5, [rows, size], black_box(&mut y));
        });
    }
    for shape in [[32, 16, 16], [1, 128, 128], [8, 64, 64]] {
        let (x, strides) = (numbers(shape.iter().product()), packed(shape));
        let mut y = x.clone();
        let from = Places { start: 0, strides: &[strides[0], 1, shape[1]] };
        time(&format!("transpose {shape:?}"), x.len(), || {
            let to = Places { start: 0, strides: &strides };
            let _ = copy::copy(&shape, black_box(&x), from, black_box(&mut y), to);
        });
    }
    let x = numbers(65_536);
    let mut y = x.clone();
    for op in [
        UnaryOp::Exp,
        UnaryOp::Log1p,
        UnaryOp::Tanh,
        UnaryOp::Sigmoid,
        UnaryOp::Silu,
        UnaryOp::Mish,
        UnaryOp::Gelu { tanh: true },
        UnaryOp::Gelu { tanh: false },
        UnaryOp::Erf,
        UnaryOp::Erfc,
        UnaryOp::Elu { alpha: 1.0 },
        UnaryOp::Sin,
    ] {
        let spec = LoopSpec {
            shape: vec![x.len()],
            code: vec![Instr::Load(0), Instr::Unary(op, 0)],
            loads: vec![View { tensor: 0, start: 0, strides: vec![1] }],
            stores: vec![Store { value: 1, tensor: 0, start: 0, strides: vec![1], accumulate: false }],
        };
        let Ok(mut run) = Loop::<f32>::new(&spec) else { continue };
        time(&format!("{op:?} [65536]"), x.len(), || {
            let _ = run.run(&[black_box(&x)], &mut [black_box(y.as_mut_slice())]);
        });
    }
}
