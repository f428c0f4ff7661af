//! Along axes: reductions, normalisations, running sums, sorting.

use super::elementwise::along;
use super::{Tensor, lines, ravel, unravel};
use crate::op::ReduceOp;

/// An element and its tangent.
type Dual = (f64, f64);

/// Reduces `dims`; `shape` is that of the value, with the axes kept or gone.
pub(super) fn reduce(op: &ReduceOp, x: &Tensor, dims: &[usize], shape: Vec<usize>) -> Tensor {
    let kept = |axis: &usize| !dims.contains(axis);
    let mut groups: Vec<Vec<Dual>> = vec![Vec::new(); shape.iter().product()];
    for at in 0..x.data.len() {
        let index = unravel(at, &x.shape);
        let group = (0..index.len()).filter(kept).fold(0, |group, axis| group * x.shape[axis] + index[axis]);
        groups[group].push(x.get(at));
    }
    Tensor::from_fn(shape, |at| reduced(op, &groups[at]))
}

fn reduced(op: &ReduceOp, of: &[Dual]) -> Dual {
    let count = of.len() as f64;
    let sum = |f: &dyn Fn(Dual) -> f64| of.iter().map(|&x| f(x)).sum::<f64>();
    let mean = sum(&|x| x.0) / count;
    match *op {
        ReduceOp::Sum => (sum(&|x| x.0), sum(&|x| x.1)),
        ReduceOp::Mean => (mean, sum(&|x| x.1) / count),
        ReduceOp::Amax => shared(of, of.iter().map(|x| x.0).fold(f64::NEG_INFINITY, larger)),
        ReduceOp::Amin => shared(of, of.iter().map(|x| x.0).fold(f64::INFINITY, smaller)),
        ReduceOp::MaxValues => of[best(of, |x, y| x > y)],
        ReduceOp::MinValues => of[best(of, |x, y| x < y)],
        ReduceOp::ArgMax => (best(of, |x, y| x > y) as f64, 0.0),
        ReduceOp::ArgMin => (best(of, |x, y| x < y) as f64, 0.0),
        ReduceOp::Prod => of.iter().fold((1.0, 0.0), |(p, dp), (x, dx)| (p * x, dp * x + p * dx)),
        ReduceOp::Var { correction } => variance(of, mean, correction),
        ReduceOp::Std { correction } => {
            let (variance, tangent) = variance(of, mean, correction);
            // Equal elements have no direction in which they differ: no gradient, as in PyTorch.
            let tangent = if variance == 0.0 { 0.0 } else { tangent / (2.0 * variance.sqrt()) };
            (variance.sqrt(), tangent)
        }
        ReduceOp::LogSumExp => {
            let most = of.iter().map(|x| x.0).fold(f64::NEG_INFINITY, larger);
            if most.is_infinite() {
                return (most, 0.0);
            }
            let total = sum(&|x| (x.0 - most).exp());
            (most + total.ln(), sum(&|x| (x.0 - most).exp() / total * x.1))
        }
        ReduceOp::Norm { p } => norm(of, p),
        ReduceOp::Any => (f64::from(u8::from(of.iter().any(|x| x.0 != 0.0))), 0.0),
        ReduceOp::All => (f64::from(u8::from(of.iter().all(|x| x.0 != 0.0))), 0.0),
        ReduceOp::Median => {
            // Which of equal elements it is, PyTorch leaves open: here it is the first.
            let median = of[order(of, false)[(of.len() - 1) / 2]];
            of.iter().find(|x| x.0 == median.0).copied().unwrap_or(median)
        }
    }
}

/// The larger, or NaN where there is one.
pub(super) fn larger(x: f64, y: f64) -> f64 {
    if x.is_nan() || x > y { x } else { y }
}

pub(super) fn smaller(x: f64, y: f64) -> f64 {
    if x.is_nan() || x < y { x } else { y }
}

/// The extreme value with the mean tangent of the elements that attain it.
pub(super) fn shared(of: &[Dual], extreme: f64) -> Dual {
    let ties = || of.iter().filter(|x| x.0 == extreme);
    (extreme, ties().map(|x| x.1).sum::<f64>() / ties().count().max(1) as f64)
}

/// The first element that none is better than; NaN beats everything.
pub(super) fn best(of: &[Dual], better: fn(f64, f64) -> bool) -> usize {
    (1..of.len()).fold(0, |best, at| {
        let (x, known) = (of[at].0, of[best].0);
        if !known.is_nan() && (x.is_nan() || better(x, known)) { at } else { best }
    })
}

fn variance(of: &[Dual], mean: f64, correction: f64) -> Dual {
    let freedom = (of.len() as f64 - correction).max(0.0);
    let squares: f64 = of.iter().map(|x| (x.0 - mean).powi(2)).sum();
    let tangents: f64 = of.iter().map(|x| 2.0 * (x.0 - mean) * x.1).sum();
    (squares / freedom, tangents / freedom)
}

fn norm(of: &[Dual], p: f64) -> Dual {
    let sizes: Vec<Dual> = of.iter().map(|&(x, dx)| (x.abs(), if x == 0.0 { 0.0 } else { x.signum() * dx })).collect();
    if p == f64::INFINITY {
        return shared(&sizes, sizes.iter().map(|x| x.0).fold(0.0, larger));
    }
    if p == f64::NEG_INFINITY {
        return shared(&sizes, sizes.iter().map(|x| x.0).fold(f64::INFINITY, smaller));
    }
    if p == 0.0 {
        return (sizes.iter().filter(|x| x.0 != 0.0).count() as f64, 0.0);
    }
    let norm = sizes.iter().map(|x| x.0.powf(p)).sum::<f64>().powf(1.0 / p);
    if norm == 0.0 {
        return (0.0, 0.0);
    }
    (norm, sizes.iter().filter(|x| x.0 > 0.0).map(|x| (x.0 / norm).powf(p - 1.0) * x.1).sum())
}

pub(super) fn softmax(x: &Tensor, dim: usize, log: bool) -> Tensor {
    let mut value = x.clone();
    for line in lines(&x.shape, dim) {
        let most = line.iter().map(|&at| x.data[at]).fold(f64::NEG_INFINITY, larger);
        let total: f64 = line.iter().map(|&at| (x.data[at] - most).exp()).sum();
        let share = |at: usize| (x.data[at] - most).exp() / total;
        let tangent: f64 = line.iter().map(|&at| share(at) * x.tangent[at]).sum();
        for &at in &line {
            let centred = x.tangent[at] - tangent;
            (value.data[at], value.tangent[at]) =
                if log { (x.data[at] - most - total.ln(), centred) } else { (share(at), share(at) * centred) };
        }
    }
    value
}

pub(super) fn layer_norm(args: &[&Tensor], axes: usize, eps: f64) -> Tensor {
    let x = args[0];
    let size: usize = x.shape[x.shape.len() - axes..].iter().product();
    let mut value = x.clone();
    for start in (0..x.data.len()).step_by(size.max(1)) {
        let range = start..start + size;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / size as f64;
        let (centre, drift) = (mean(&x.data[range.clone()]), mean(&x.tangent[range.clone()]));
        let variance = range.clone().map(|at| (x.data[at] - centre).powi(2)).sum::<f64>() / size as f64;
        let scale = 1.0 / (variance + eps).sqrt();
        let normal = |at: usize| (x.data[at] - centre) * scale;
        let stretch = range.clone().map(|at| normal(at) * x.tangent[at]).sum::<f64>() / size as f64;
        for at in range {
            let (mut y, mut dy) = (normal(at), (x.tangent[at] - drift - normal(at) * stretch) * scale);
            if let Some(weight) = args.get(1) {
                let (w, dw) = weight.get(at - start);
                (y, dy) = (y * w, dy * w + y * dw);
            }
            if let Some(bias) = args.get(2) {
                let (c, dc) = bias.get(at - start);
                (y, dy) = (y + c, dy + dc);
            }
            (value.data[at], value.tangent[at]) = (y, dy);
        }
    }
    value
}

/// Each element becomes the fold of all up to it.
pub(super) fn running(x: &Tensor, dim: usize, join: fn(Dual, Dual) -> Dual, start: Dual) -> Tensor {
    let mut value = x.clone();
    for line in lines(&x.shape, dim) {
        let mut so_far = start;
        for at in line {
            so_far = join(so_far, x.get(at));
            (value.data[at], value.tangent[at]) = so_far;
        }
    }
    value
}

/// Positions in order of value; equal elements keep their order, NaN is the largest.
fn order(of: &[Dual], descending: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..of.len()).collect();
    order.sort_by(|&x, &y| {
        let (x, y) = if descending { (of[y].0, of[x].0) } else { (of[x].0, of[y].0) };
        x.partial_cmp(&y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()))
    });
    order
}

/// The first elements along `dim` after sorting, or their indices.
pub(super) fn sorted(x: &Tensor, dim: usize, descending: bool, shape: Vec<usize>, indices: bool) -> Tensor {
    let count = shape[dim];
    let mut value = Tensor::from_fn(shape, |_| (0.0, 0.0));
    let targets = lines(&value.shape, dim);
    for (source, target) in lines(&x.shape, dim).into_iter().zip(targets) {
        let elements: Vec<Dual> = source.iter().map(|&at| x.get(at)).collect();
        for (&to, from) in target.iter().zip(order(&elements, descending)).take(count) {
            (value.data[to], value.tangent[to]) = if indices { (from as f64, 0.0) } else { elements[from] };
        }
    }
    value
}

/// What part of a gradient each element gets, from whether it attains the extreme: equal shares, or all for the first.
/// Where none does, nothing can be said.
pub(super) fn shares(attains: Vec<bool>, first: bool) -> Vec<f64> {
    let count = attains.iter().filter(|x| **x).count();
    let mut before = 0;
    let share = |attains: bool| {
        before += usize::from(attains);
        match (attains, first) {
            _ if count == 0 => f64::NAN,
            (true, false) => 1.0 / count as f64,
            (true, true) if before == 1 => 1.0,
            _ => 0.0,
        }
    };
    attains.into_iter().map(share).collect()
}

/// The tangent is that along `g` alone.
pub(super) fn share_extreme([x, y, g]: [&Tensor; 3], dims: &[usize], first: bool) -> Tensor {
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); y.data.len()];
    for at in 0..x.data.len() {
        let mut index = unravel(at, &x.shape);
        for &dim in dims {
            index[dim] = 0;
        }
        groups[ravel(&index, &y.shape)].push(at);
    }
    let mut value = Tensor::from_fn(x.shape.clone(), |_| (0.0, 0.0));
    for (group, members) in groups.iter().enumerate() {
        let attains = members.iter().map(|&at| x.data[at] == y.data[group]).collect();
        for (&at, share) in members.iter().zip(shares(attains, first)) {
            (value.data[at], value.tangent[at]) = (along(share, g.data[group]), along(share, g.tangent[group]));
        }
    }
    value
}

/// The tangent is that along `g` alone.
pub(super) fn running_product_gradient(x: &Tensor, g: &Tensor, dim: usize) -> Tensor {
    let mut value = Tensor::from_fn(x.shape.clone(), |_| (0.0, 0.0));
    for line in lines(&x.shape, dim) {
        // What the element at the place gets from itself and those after it.
        let (mut later, mut next) = ((0.0, 0.0), 0.0);
        for &at in line.iter().rev() {
            later = (g.data[at] + next * later.0, g.tangent[at] + next * later.1);
            next = x.data[at];
            (value.data[at], value.tangent[at]) = later;
        }
        let mut before = 1.0;
        for &at in &line {
            value.data[at] *= before;
            value.tangent[at] *= before;
            before *= x.data[at];
        }
    }
    value
}
