//! Times products of matrices against the crate matrixmultiply.

use std::hint::black_box;
use std::time::Instant;

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
];

/// The least of several rounds' nanoseconds of a call.
fn time(calls: usize, mut f: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..40 {
        let start = Instant::now();
        for _ in 0..calls {
            f();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / calls as f64);
    }
    best
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
            let flops = 2.0 * (m * k * n) as f64;
            let calls = (1e6 / (flops / 100.0)) as usize + 1;
            let ours = time(calls, || {
                let left = (black_box(a.as_ptr()), row, column);
                // SAFETY: the matrices have these sizes.
                unsafe { product(sizes, left, (b.as_ptr(), n), (black_box(c.as_mut_ptr()), n), false) };
            });
            let theirs = time(calls, || {
                let (row, column) = (row as isize, column as isize);
                let (b, c) = ((b.as_ptr(), n as isize, 1), (black_box(c.as_mut_ptr()), n as isize, 1));
                // SAFETY: as above.
                unsafe {
                    matrixmultiply::$theirs(
                        m,
                        k,
                        n,
                        1.0,
                        black_box(a.as_ptr()),
                        row,
                        column,
                        b.0,
                        b.1,
                        b.2,
                        0.0,
                        c.0,
                        c.1,
                        c.2,
                    );
                }
            });
            let name = format!("{sizes:?}{}", if transposed { " transposed" } else { "" });
            println!("{name:>28} {:10.0} {:14.0} {:6.2}", flops / ours, flops / theirs, theirs / ours);
        }
    };
}

fn main() {
    compare!(f32, sgemm);
    compare!(f64, dgemm);
}
