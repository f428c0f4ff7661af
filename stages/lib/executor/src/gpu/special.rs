//! Kernels for gradients of extremes, and for max-plus products with theirs. They read and write memory without gaps.

use graph::{DType, Node, Op};
use tch::{Kind, Tensor};

use super::code::Source;
use super::graphs::Stream;
use super::library::{Arguments, Function};
use crate::error::{Error, Result};
use crate::tensor::size;

/// An operation with kernels of its own.
#[derive(Clone, Debug)]
pub(crate) struct Special {
    pub sources: Vec<Source>,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// Sizes along and after the axes in question.
    Share { along: usize, inner: usize },
    /// Sizes B, I, J, K, T.
    MaxPlus([usize; 5]),
    /// As before, and whether the gradient is that of the second argument.
    MaxPlusGrad([usize; 5], bool),
}

impl Special {
    /// The kernels of an operation, for the shapes of its arguments; `None` where there are none.
    pub fn new(node: &Node, shapes: &[&Vec<usize>]) -> Option<Self> {
        if node.dtype != DType::Float {
            return None;
        }
        let max_plus = || -> Option<[usize; 5]> {
            let (&[b, i, j, t], &[_, _, k, _]) = (shapes.first()?.as_slice(), shapes.get(1)?.as_slice()) else {
                return None;
            };
            Some([b, i, j, k, t])
        };
        Some(match &node.op {
            Op::ShareExtreme { dims, first } => {
                let [_, along, inner] = crate::plan::around(shapes.first()?, dims)?;
                Self { sources: vec![share(*first)], how: How::Share { along, inner } }
            }
            Op::MaxPlus { minimum, .. } => Self { sources: vec![extreme(*minimum)], how: How::MaxPlus(max_plus()?) },
            Op::MaxPlusGrad { first, second, .. } => Self {
                sources: vec![marks(*first), gradient(*first, *second)],
                how: How::MaxPlusGrad(max_plus()?, *second),
            },
            _ => return None,
        })
    }

    /// The value. `functions` are those of the sources.
    pub fn run(&self, functions: &[Function], args: &[&Tensor], stream: Option<Stream>) -> Result<Tensor> {
        let args = args.iter().map(|x| Ok(x.f_contiguous()?)).collect::<Result<Vec<Tensor>>>()?;
        let x = args.first().ok_or_else(|| Error::missing("an argument"))?;
        let options = (x.f_kind()?, x.device());
        let make = |shape: &[usize], options: (Kind, tch::Device)| -> Result<Tensor> {
            let shape = shape.iter().map(|&s| size(s)).collect::<Result<Vec<i64>>>()?;
            Ok(Tensor::f_empty(&shape, options)?)
        };
        let call = |at: usize, outputs: &[&Tensor], numbers: &[usize], total: usize| -> Result<()> {
            let function = functions.get(at).ok_or_else(|| Error::missing("a kernel"))?;
            let pointers: Vec<_> = args.iter().chain(outputs.iter().copied()).map(Tensor::data_ptr).collect();
            let numbers = numbers.iter().map(|&n| small(n)).collect::<Result<Vec<u32>>>()?;
            let total = small(total)?;
            // SAFETY: the addresses are those of whole tensors without gaps, of the sizes that the numbers say.
            unsafe { function.launch(stream, &Arguments::new(&pointers, &numbers, total), total) }
        };
        match self.how {
            How::Share { along, inner } => {
                let value = x.f_empty_like()?;
                call(0, &[&value], &[along, inner], x.numel() / along.max(1))?;
                Ok(value)
            }
            How::MaxPlus([b, i, j, k, t]) => {
                let value = make(&[b, j, k, t], options)?;
                call(0, &[&value], &[i, j, k, t], b * j * k * t)?;
                Ok(value)
            }
            How::MaxPlusGrad([b, i, j, k, t], second) => {
                let (shares, firsts) = (make(&[b, j, k, t], options)?, make(&[b, j, k, t], (Kind::Int, options.1))?);
                call(0, &[&shares, &firsts], &[i, j, k, t], b * j * k * t)?;
                let wide = if second { k } else { j };
                let value = make(&[b, i, wide, t], options)?;
                call(1, &[&shares, &firsts, &value], &[i, j, k, t], b * i * wide * t)?;
                Ok(value)
            }
        }
    }
}

/// A size as kernels count.
pub(crate) fn small(value: usize) -> Result<u32> {
    // Indices are 32 bits wide; half of them leaves room for sums of products of sizes and strides.
    u32::try_from(value)
        .ok()
        .filter(|value| *value < 1 << 31)
        .ok_or_else(|| Error::Inconsistent(format!("{value} elements are too many for one kernel of a GPU")))
}

/// For a group of elements of x: g to those that equal y, in equal shares or to the first. Where none does, NaN.
/// Addresses: x, y, g, value.
fn share(first: bool) -> Source {
    let amount = if first {
        "    const real amount = count == 0 ? (real)NAN : g[i];\n    \
         for (unsigned k = 0; k < along; k++) d[start + k * inner] = count == 0 ? (real)NAN : (k == place ? amount : (real)0);\n"
    } else {
        "    const real amount = g[i] / (real)count;\n    \
         for (unsigned k = 0; k < along; k++)\n      \
         d[start + k * inner] = count == 0 ? (real)NAN : (x[start + k * inner] == most ? amount : (real)0);\n"
    };
    let body = format!(
        "  {{\n    const unsigned along = p.n[0], inner = p.n[1];\n    \
         const real *x = (const real *)p.p[0], *y = (const real *)p.p[1], *g = (const real *)p.p[2];\n    \
         real *d = (real *)p.p[3];\n    const unsigned start = (i / inner) * along * inner + i % inner;\n    \
         const real most = y[i];\n    unsigned count = 0, place = 0;\n    \
         for (unsigned k = 0; k < along; k++)\n      \
         if (x[start + k * inner] == most) {{ if (count == 0) place = k; count++; }}\n{amount}  }}\n"
    );
    Source { body, pointers: 4, numbers: 2 }
}

/// Places of an element of y [B, J, K, T], and where the rows of a [B, I, J, T] and c [B, I, K, T] for it begin.
const PLACES: &str = "  const unsigned I = p.n[0], J = p.n[1], K = p.n[2], T = p.n[3];\n  \
    const unsigned t = i % T, k = i / T % K, j = i / T / K % J, b = i / T / K / J;\n  \
    const real *a = (const real *)p.p[0] + (b * I * J + j) * T + t;\n  \
    const real *c = (const real *)p.p[1] + (b * I * K + k) * T + t;\n";

/// y[b, j, k, t] = max over i of a[b, i, j, t] + c[b, i, k, t]. Addresses: a, c, y.
fn extreme(minimum: bool) -> Source {
    let sign = if minimum { "<" } else { ">" };
    let body = format!(
        "{PLACES}  real most = a[0] + c[0];\n  for (unsigned m = 1; m < I; m++) {{\n    \
         const real sum = a[m * J * T] + c[m * K * T];\n    most = (sum != sum || sum {sign} most) ? sum : most;\n  }}\n  \
         ((real *)p.p[2])[i] = most;\n"
    );
    Source { body, pointers: 3, numbers: 4 }
}

/// What each i that reaches y is given, and which is the first. Addresses: a, c, y, g, shares, firsts.
fn marks(first: bool) -> Source {
    let share = if first { "g" } else { "g / (real)count" };
    let body = format!(
        "{PLACES}  const real y = ((const real *)p.p[2])[i], g = ((const real *)p.p[3])[i];\n  \
         unsigned count = 0, place = 0;\n  for (unsigned m = 0; m < I; m++)\n    \
         if (a[m * J * T] + c[m * K * T] == y) {{ if (count == 0) place = m; count++; }}\n  \
         ((real *)p.p[4])[i] = count == 0 ? (real)NAN : {share};\n  ((int *)p.p[5])[i] = (int)place;\n"
    );
    Source { body, pointers: 6, numbers: 4 }
}

/// The gradient of a [B, I, J, T], or with `second` of c [B, I, K, T]. Addresses: a, c, y, g, shares, firsts, value.
fn gradient(first: bool, second: bool) -> Source {
    let (own, other, count) = if second { ("k", "j", "J") } else { ("j", "k", "K") };
    let size = if second { "K" } else { "J" };
    let hit = if first {
        "firsts[at] == (int)m"
    } else {
        "a[((b * I + m) * J + j) * T + t] + c[((b * I + m) * K + k) * T + t] == y[at]"
    };
    let body = format!(
        "  const unsigned I = p.n[0], J = p.n[1], K = p.n[2], T = p.n[3];\n  \
         const unsigned t = i % T, {own} = i / T % {size}, m = i / T / {size} % I, b = i / T / {size} / I;\n  \
         const real *a = (const real *)p.p[0], *c = (const real *)p.p[1], *y = (const real *)p.p[2];\n  \
         const real *shares = (const real *)p.p[4];\n  const int *firsts = (const int *)p.p[5];\n  real total = 0;\n  \
         for (unsigned {other} = 0; {other} < {count}; {other}++) {{\n    \
         const unsigned at = ((b * J + j) * K + k) * T + t;\n    const real share = shares[at];\n    \
         total += (share != share || {hit}) ? share : (real)0;\n  }}\n  ((real *)p.p[6])[i] = total;\n"
    );
    Source { body, pointers: 7, numbers: 4 }
}
