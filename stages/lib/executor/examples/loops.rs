//! Times two loops of message passing, forward and backward, beside the same loops written by hand.

#![allow(unsafe_code, reason = "it calls kernels as the executor does")]

use std::hint::black_box;
use std::time::Instant;

use executor::kernels::{Instr, Loop, LoopSpec, Store, View};
use graph::{BinaryOp, UnaryOp};

/// Tensors over pairs of nodes: strides for the axes [B, N, N, H].
struct Sizes {
    b: usize,
    n: usize,
    h: usize,
}

impl Sizes {
    fn shape(&self) -> Vec<usize> {
        vec![self.b, self.n, self.n, self.h]
    }
    fn pairs(&self) -> Vec<usize> {
        let Self { n, h, .. } = *self;
        vec![n * n * h, n * h, h, 1]
    }
    fn senders(&self) -> Vec<usize> {
        vec![self.n * self.h, 0, self.h, 1]
    }
    fn receivers(&self) -> Vec<usize> {
        vec![self.n * self.h, self.h, 0, 1]
    }
    fn graphs(&self) -> Vec<usize> {
        vec![self.h, 0, 0, 1]
    }
    fn features(&self) -> Vec<usize> {
        let n = self.n;
        vec![n * n * 4, n * 4, 4, 0]
    }
}

fn view(tensor: usize, start: usize, strides: Vec<usize>) -> View {
    View { tensor, start, strides }
}

fn store(value: usize, tensor: usize, start: usize, strides: Vec<usize>) -> Store {
    Store { value, tensor, start, strides, accumulate: false }
}

/// relu(a_j + b_i + e_ij + g)
fn forward(sizes: &Sizes) -> LoopSpec {
    let add = |x, y| Instr::Binary(BinaryOp::Add, x, y);
    LoopSpec {
        shape: sizes.shape(),
        code: vec![
            Instr::Load(0),
            Instr::Load(1),
            Instr::Load(2),
            Instr::Load(3),
            add(0, 1),
            add(4, 2),
            add(5, 3),
            Instr::Unary(UnaryOp::Relu, 6),
        ],
        loads: vec![
            view(0, 0, sizes.senders()),
            view(1, 0, sizes.receivers()),
            view(2, 0, sizes.pairs()),
            view(3, 0, sizes.graphs()),
        ],
        stores: vec![store(7, 0, 0, sizes.pairs())],
    }
}

/// The gradients of relu(a_j + b_i + x0 w0 + x1 w1), x being columns of [B, N, N, 4] and w of [H, 4].
fn backward(sizes: &Sizes) -> LoopSpec {
    let binary = Instr::Binary;
    let code = vec![
        Instr::Load(0),
        Instr::Load(1),
        Instr::Load(2),
        Instr::Load(3),
        Instr::Load(4),
        Instr::Load(5),
        Instr::Load(6),
        binary(BinaryOp::Add, 0, 1),
        binary(BinaryOp::Mul, 2, 4),
        binary(BinaryOp::Mul, 3, 5),
        binary(BinaryOp::Add, 8, 9),
        binary(BinaryOp::Add, 7, 10),
        Instr::Const(0.0),
        binary(BinaryOp::Gt, 11, 12),
        Instr::Where(13, 6, 12),
        binary(BinaryOp::Mul, 14, 2),
        binary(BinaryOp::Mul, 14, 3),
    ];
    LoopSpec {
        shape: sizes.shape(),
        code,
        loads: vec![
            view(0, 0, sizes.senders()),
            view(1, 0, sizes.receivers()),
            view(2, 0, sizes.features()),
            view(2, 1, sizes.features()),
            view(3, 0, vec![0, 0, 0, 4]),
            view(3, 1, vec![0, 0, 0, 4]),
            view(4, 0, sizes.pairs()),
        ],
        stores: vec![
            store(14, 0, 0, sizes.senders()),
            store(14, 1, 0, sizes.receivers()),
            store(14, 2, 0, sizes.graphs()),
            store(15, 3, 0, vec![0, 0, 0, 4]),
            store(16, 3, 1, vec![0, 0, 0, 4]),
        ],
    }
}

/// Nanoseconds of a call: the least of several rounds.
fn time(mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed().as_millis() < 20 {
        f();
        calls += 1;
    }
    let mut best = f64::INFINITY;
    for _ in 0..15 {
        let start = Instant::now();
        for _ in 0..calls / 5 + 1 {
            f();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(calls / 5 + 1));
    }
    best
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|x| ((x * 2_654_435_761) % 1009) as f32 / 504.0 - 1.0).collect()
}

/// The forward loop as one would write it for these operands.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn forward_by_hand(sizes: (usize, usize, usize), a: &[f32], b: &[f32], e: &[f32], g: &[f32], y: &mut [f32]) {
    let (n, h) = (sizes.1, sizes.2);
    for (row, (y, e)) in y.chunks_exact_mut(h).zip(e.chunks_exact(h)).enumerate() {
        let (graph, i, j) = (row / (n * n), row / n % n, row % n);
        let (a, b, g) = (&a[(graph * n + j) * h..][..h], &b[(graph * n + i) * h..][..h], &g[graph * h..][..h]);
        for ((((y, e), a), b), g) in y.iter_mut().zip(e).zip(a).zip(b).zip(g) {
            let x = a + b + e + g;
            *y = if x < 0.0 { 0.0 } else { x };
        }
    }
}

fn report(name: &str, sizes: &Sizes, ops: usize, nanoseconds: f64) {
    let elements = (sizes.b * sizes.n * sizes.n * sizes.h) as f64;
    println!(
        "{name:24} {:?}: {nanoseconds:9.0} ns, {:6.2} Gelem/s, {:6.2} G operations/s",
        sizes.shape(),
        elements / nanoseconds,
        elements * ops as f64 / nanoseconds
    );
}

fn main() {
    for (b, n, h) in [(2, 16, 128), (8, 8, 32), (32, 8, 32), (32, 16, 128), (1, 4, 128)] {
        let sizes = Sizes { b, n, h };
        let nodes = b * n * h;
        let pairs = b * n * n * h;
        let (a, c, e, g) = (numbers(nodes), numbers(nodes), numbers(pairs), numbers(b * h));
        let mut y = vec![0.0_f32; pairs];
        let mut run = Loop::<f32>::new(&forward(&sizes)).unwrap_or_else(|error| panic!("{error}"));
        let found = time(|| {
            let _ = run.run(black_box(&[&a, &c, &e, &g]), &mut [black_box(y.as_mut_slice())]);
        });
        report("forward", &sizes, 4, found);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            let found = time(|| {
                // SAFETY: the processor has the features that were looked for.
                unsafe { forward_by_hand((b, n, h), black_box(&a), &c, &e, &g, black_box(&mut y)) };
            });
            report("forward, by hand", &sizes, 4, found);
        }
        let found = time(|| black_box(&mut y).copy_from_slice(black_box(&e)));
        report("copying e", &sizes, 1, found);

        let (x, w) = (numbers(b * n * n * 4), numbers(h * 4));
        let (mut da, mut dc, mut dg, mut dw) =
            (vec![0.0_f32; nodes], vec![0.0_f32; nodes], vec![0.0_f32; b * h], vec![0.0_f32; h * 4]);
        let mut run = Loop::<f32>::new(&backward(&sizes)).unwrap_or_else(|error| panic!("{error}"));
        let found = time(|| {
            let _ = run.run(black_box(&[&a, &c, &x, &w, &e]), &mut [&mut da, &mut dc, &mut dg, black_box(&mut dw)]);
        });
        report("backward", &sizes, 14, found);
    }
}
