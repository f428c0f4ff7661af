//! Times products of matrices against the crate matrixmultiply, and those in bfloat16, where the processor has them, against
//! those in float32. With `bf16` as its argument only the latter.

#![allow(unsafe_code, reason = "it calls kernels as the executor does")]

use std::hint::black_box;
use std::time::Instant;

use executor::kernels::bfloat16::{self, Factor, Right, Unit};
use executor::kernels::matrix::product;

/// m, k, n, and whether left is transposed.
const CASES: &[([usize; 3], bool)] = &[
    ([2048, 32, 32], false),
    ([2048, 36, 64], false),
    ([2048, 64, 36], false),
    ([2048, 64, 64], false),
    ([512, 32, 32], false),
    ([256, 96, 137], false),
    ([256, 137, 96], false),
    ([64, 64, 152], false),
    ([2048, 32, 8], false),
    ([2048, 8, 32], false),
    ([512, 128, 128], false),
    ([512, 128, 256], false),
    ([512, 256, 256], false),
    ([512, 512, 512], false),
    ([32, 256, 536], false),
    ([64, 384, 600], false),
    ([8, 8, 32], false),
    ([16, 128, 16], false),
    ([32, 2048, 32], true),
    ([64, 2048, 36], true),
    ([64, 2048, 64], true),
    ([137, 256, 96], true),
    ([8, 2048, 32], true),
    ([32, 2048, 8], true),
    ([128, 512, 128], true),
    ([256, 512, 128], true),
    ([536, 32, 256], true),
    ([600, 64, 384], true),
    ([2048, 137, 256], false),
    ([2048, 256, 256], false),
    ([2048, 512, 512], false),
    ([8192, 256, 64], false),
    ([1024, 1024, 1024], false),
    ([2048, 2048, 2048], false),
    ([512, 2048, 512], true),
    ([256, 2048, 256], true),
    ([1024, 1024, 1024], true),
    ([2048, 2048, 2048], true),
    ([128, 8192, 128], true),
    ([64, 16384, 64], true),
    ([1024, 128, 1024], true),
    ([1024, 256, 1024], true),
    ([2048, 64, 2048], true),
    ([512, 512, 512], true),
    ([1024, 512, 512], true),
    ([512, 512, 1024], true),
    ([1500, 1500, 1500], true),
    ([4096, 1024, 1024], false),
    ([512, 4096, 512], false),
    ([1500, 1500, 1500], false),
    ([128, 8192, 128], false),
    ([16, 1024, 4096], false),
    ([16, 4096, 16], true),
    ([1, 64, 64], false),
    ([1, 512, 512], false),
    ([4, 64, 64], false),
    ([2048, 32, 1], false),
    ([32, 2048, 1], true),
    ([17, 17, 17], false),
];

/// The least of several rounds' nanoseconds of a call, for two functions by turns.
fn time(calls: usize, mut one: impl FnMut(), mut other: impl FnMut()) -> [f64; 2] {
    let mut best = [f64::INFINITY; 2];
    for round in 0..80 {
        let start = Instant::now();
        for _ in 0..calls {
            if round % 2 == 0 {
                one();
            } else {
                other();
            }
        }
        let best = &mut best[round % 2];
        *best = best.min(start.elapsed().as_nanos() as f64 / calls as f64);
    }
    best
}

/// Prints GFLOP/s of two functions that make the same product.
fn print((sizes, transposed): ([usize; 3], bool), one: impl FnMut(), other: impl FnMut()) {
    let flops = 2.0 * sizes.iter().product::<usize>() as f64;
    let calls = (1e6 / (flops / 100.0)) as usize + 1;
    let [ours, theirs] = time(calls, one, other);
    let name = format!("{sizes:?}{}", if transposed { " transposed" } else { "" });
    println!("{name:>28} {:10.0} {:14.0} {:6.2}", flops / ours, flops / theirs, theirs / ours);
}

fn numbers(count: usize) -> Vec<f64> {
    (0..count).map(|x| ((x * 2_654_435_761) % 1009) as f64 / 504.0 - 1.0).collect()
}

/// Prints GFLOP/s of both for a float type.
macro_rules! compare {
    ($real:ident, $theirs:ident) => {
        println!("{:>28} {:>10} {:>14} {:>6}", stringify!($real), "here", "matrixmultiply", "ratio");
        for &(sizes, transposed) in CASES {
            let [m, k, n] = sizes;
            let numbers = |count| numbers(count).into_iter().map(|x| x as $real).collect::<Vec<$real>>();
            let (a, b, mut c) = (numbers(m * k), numbers(k * n), numbers(m * n));
            let (row, column) = if transposed { (1, m) } else { (k, 1) };
            let to = c.as_mut_ptr();
            let here = || {
                let (left, right) = ((black_box(a.as_ptr()), row, column), (b.as_ptr(), n));
                // SAFETY: the matrices have these sizes.
                unsafe { product(sizes, left, right, (black_box(to), n), false) };
            };
            let there = || {
                let [row, column, width] = [row, column, n].map(|x| x as isize);
                let (a, b) = (black_box(a.as_ptr()), b.as_ptr());
                // SAFETY: as above.
                unsafe {
                    matrixmultiply::$theirs(m, k, n, 1.0, a, row, column, b, width, 1, 0.0, black_box(to), width, 1)
                };
            };
            print((sizes, transposed), here, there);
        }
    };
}

/// Prints GFLOP/s in bfloat16 and in float32.
fn bf16(unit: Unit) {
    println!("{:>28} {:>10} {:>14} {:>6}", format!("bf16, {unit:?}"), "bf16", "float32", "ratio");
    // Of narrow matrices as well, which attention and edge features make.
    let narrow = [([2048, 8, 4], false), ([2048, 32, 4], false), ([2048, 4, 32], false), ([32, 2048, 4], true)];
    for &(sizes, transposed) in CASES.iter().chain(&narrow) {
        let [m, k, n] = sizes;
        let numbers = |count| numbers(count).into_iter().map(|x| x as f32).collect::<Vec<f32>>();
        let (a, b, mut c) = (numbers(m * k), numbers(k * n), numbers(m * n));
        let (row, column) = if transposed { (1, m) } else { (k, 1) };
        let to = c.as_mut_ptr();
        let mut memory = vec![0_u8; bfloat16::room(sizes, false) + 64];
        let start = memory.as_ptr().align_offset(64);
        let room = memory[start..].as_mut_ptr();
        let half = || {
            let left = Factor { start: black_box(a.as_ptr()), lane: row, term: column };
            let right = Right::Plain(Factor { start: b.as_ptr(), lane: 1, term: n });
            // SAFETY: the matrices have these sizes, and the unit was found.
            unsafe { bfloat16::product(unit, sizes, left, right, (black_box(to), n, 1), false, room) };
        };
        let single = || {
            let (left, right) = ((black_box(a.as_ptr()), row, column), (b.as_ptr(), n));
            // SAFETY: as above.
            unsafe { product(sizes, left, right, (black_box(to), n), false) };
        };
        print((sizes, transposed), half, single);
    }
}

fn main() {
    if std::env::args().nth(1).as_deref() != Some("bf16") {
        compare!(f32, sgemm);
        compare!(f64, dgemm);
    }
    for unit in Unit::all() {
        bf16(unit);
    }
}
