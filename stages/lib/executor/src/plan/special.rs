//! Operations with a kernel of their own: extremes, max-plus, softmax, log-sum-exp, layer norm. They read and write memory without gaps.

use graph::{DType, Node, NodeId, Op, ReduceOp, noise};

use super::compile::Compiler;
use super::layout::Layout;
use super::product::Gemm;
use super::step::{Extent, Place, Step};
use super::units::Role;
use crate::error::Result;
use crate::kernels::extremes::Ties;
use crate::kernels::max_plus::{MaxPlus, Sizes};
use crate::kernels::{Real, extremes, normal};

/// A whole value without gaps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    pub place: Place,
    pub length: usize,
}

/// Which kernel; sizes are those of the axes before, along and after what is reduced.
pub(super) enum Special<T> {
    /// x → y
    Extreme { least: bool, sizes: [usize; 3] },
    /// x, y, g → dx
    Share { ties: Ties, sizes: [usize; 3] },
    /// key → y, of so many samples
    Random { stream: u32, samples: usize },
    /// x → y
    LogSumExp { sizes: [usize; 3] },
    /// x → y
    Softmax { log: bool, sizes: [usize; 3] },
    /// x, and weight and bias where there are such → y
    LayerNorm { eps: f64, sizes: [usize; 2] },
    /// a, c → y
    MaxPlus(Box<MaxPlus<T>>),
    /// a, c, y, g → what is wanted of da and dc
    MaxPlusGrad { kernel: Box<MaxPlus<T>>, a: bool, c: bool },
}

impl<T: Real> Special<T> {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Extreme { .. } => "extreme",
            Self::Share { .. } => "share_extreme",
            Self::Random { .. } => "random",
            Self::LogSumExp { .. } => "log_sum_exp",
            Self::Softmax { .. } => "softmax",
            Self::LayerNorm { .. } => "layer_norm",
            Self::MaxPlus(_) => "max_plus",
            Self::MaxPlusGrad { .. } => "max_plus_grad",
        }
    }

    pub fn run(&mut self, inputs: &[&[T]], outputs: &mut [&mut [T]]) -> Result<()> {
        match (self, inputs, outputs) {
            (Self::Extreme { least, sizes }, [x], [y]) => extremes::extreme(*least, x, *sizes, y)?,
            (Self::Share { ties, sizes }, [x, y, g], [dx]) => extremes::share_extreme(*ties, x, y, g, *sizes, dx)?,
            (Self::Random { stream, samples }, [key], [y]) => random(*stream, *samples, key, y),
            (Self::LogSumExp { sizes }, [x], [y]) => normal::log_sum_exp(x, *sizes, y)?,
            (Self::Softmax { log, sizes }, [x], [y]) => normal::softmax(*log, x, *sizes, y)?,
            (Self::LayerNorm { eps, sizes }, [x, rest @ ..], [y]) => {
                let (weight, bias) = (rest.first().copied(), rest.get(1).copied());
                normal::layer_norm(x, weight, bias, *eps, *sizes, y)?;
            }
            (Self::MaxPlus(kernel), [a, c], [y]) => kernel.run(a, c, y)?,
            (Self::MaxPlusGrad { kernel, a: wants_a, c: wants_c }, &[a, c, y, g], outputs) => {
                let mut outputs = outputs.iter_mut();
                let mut next = |wanted: bool| if wanted { outputs.next().map(|output| &mut **output) } else { None };
                let (da, dc) = (next(*wants_a), next(*wants_c));
                kernel.gradients([a, c, y, g], da, dc)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Sizes before, along and after axes that lie next to each other.
pub(crate) fn around(shape: &[usize], dims: &[usize]) -> Option<[usize; 3]> {
    let mut sorted = dims.to_vec();
    sorted.sort_unstable();
    let (&first, &last) = (sorted.first()?, sorted.last()?);
    (last + 1 - first == sorted.len()).then(|| {
        let product = |sizes: &[usize]| sizes.iter().product();
        [product(&shape[..first]), product(&shape[first..=last]), product(&shape[last + 1..])]
    })
}

fn ties(first: bool) -> Ties {
    if first { Ties::First } else { Ties::Share }
}

impl<T: Real + Gemm> Compiler<'_, T> {
    /// The kernel for an operation, if it has one, and the nodes that it computes.
    fn kernel(&self, at: usize) -> Option<(Special<T>, Vec<usize>)> {
        let node = self.nodes.node(at);
        let shape = |number: usize| -> Option<&Vec<usize>> {
            node.args.get(number).and_then(|arg| self.nodes.shapes.get(arg.index()))
        };
        let own = vec![at];
        Some(match &node.op {
            Op::Reduce { op: ReduceOp::LogSumExp, dims, .. }
                if self.nodes.node(node.args.first()?.index()).dtype == DType::Float =>
            {
                (Special::LogSumExp { sizes: around(shape(0)?, dims)? }, own)
            }
            Op::Reduce { op, dims, .. } if node.dtype == DType::Float => {
                let least = match op {
                    ReduceOp::Amax | ReduceOp::MaxValues => false,
                    ReduceOp::Amin | ReduceOp::MinValues => true,
                    _ => return None,
                };
                (Special::Extreme { least, sizes: around(shape(0)?, dims)? }, own)
            }
            Op::ShareExtreme { dims, first } => {
                (Special::Share { ties: ties(*first), sizes: around(shape(0)?, dims)? }, own)
            }
            Op::Random { stream } => {
                let samples = if shape(0)?.len() > 1 { *shape(0)?.first()? } else { 1 };
                (Special::Random { stream: *stream, samples }, own)
            }
            Op::Softmax { dim } => (Special::Softmax { log: false, sizes: around(shape(0)?, &[*dim])? }, own),
            Op::LogSoftmax { dim } => (Special::Softmax { log: true, sizes: around(shape(0)?, &[*dim])? }, own),
            Op::LayerNorm { axes, eps, .. } => {
                let shape = shape(0)?;
                let (rows, size) = shape.split_at(shape.len().checked_sub(*axes)?);
                let sizes = [rows.iter().product(), size.iter().product()];
                (Special::LayerNorm { eps: *eps, sizes }, own)
            }
            Op::MaxPlus { minimum, first } => {
                let kernel = MaxPlus::new(self.max_plus_sizes(node)?, *minimum, ties(*first)).ok()?;
                (Special::MaxPlus(Box::new(kernel)), own)
            }
            Op::MaxPlusGrad { minimum, first, second } => {
                let kernel = Box::new(MaxPlus::new(self.max_plus_sizes(node)?, *minimum, ties(*first)).ok()?);
                let other = Op::MaxPlusGrad { minimum: *minimum, first: *first, second: !second };
                // Both gradients come out of one pass.
                let partner = (0..self.nodes.roles.len()).find(|&partner| {
                    let known = self.nodes.node(partner);
                    self.nodes.roles[partner] == Role::Other && known.op == other && known.args == node.args
                });
                let (da, dc) = if *second { (partner, Some(at)) } else { (Some(at), partner) };
                let kernel = Special::MaxPlusGrad { kernel, a: da.is_some(), c: dc.is_some() };
                (kernel, da.into_iter().chain(dc).collect())
            }
            _ => return None,
        })
    }

    fn max_plus_sizes(&self, node: &Node) -> Option<Sizes> {
        let shape = |id: &NodeId| self.nodes.shapes.get(id.index());
        let (a, c) = (shape(node.args.first()?)?, shape(node.args.get(1)?)?);
        let (&[b, i, j, t], &[_, _, k, _]) = (a.as_slice(), c.as_slice()) else { return None };
        Some(Sizes { b, i, j, k, t })
    }

    /// Adds the step of an operation with a kernel of its own; false where there is none.
    pub(super) fn special(&mut self, at: usize) -> Result<bool> {
        if self.done[at] {
            return Ok(true);
        }
        let Some((kernel, made)) = self.kernel(at) else { return Ok(false) };
        let mut inputs = Vec::new();
        for arg in self.nodes.args(at) {
            inputs.push(self.without_gaps(arg)?);
        }
        let mut outputs = Vec::new();
        for &node in &made {
            self.done[node] = true;
            outputs.push(whole(self.layout(node)?));
        }
        let used: Vec<usize> = inputs.iter().chain(&outputs).map(|whole| whole.place.root).collect();
        let label = format!("{} {:?}", kernel.name(), self.nodes.shapes[at]);
        self.push(Step::Special { kernel, inputs, outputs, label }, used);
        Ok(true)
    }

    /// A value's memory, or that of a copy of it, if it lies with gaps.
    fn without_gaps(&mut self, at: usize) -> Result<Whole> {
        let layout = self.layout(at)?.clone();
        if layout.is_packed() {
            return Ok(whole(&layout));
        }
        let root = self.scratch(layout.count());
        let copy = Layout::packed(root, &layout.sizes);
        self.copy(&layout, &copy, self.nodes.node(at).dtype, false)?;
        Ok(whole(&copy))
    }
}

/// Noise of so many samples, each with a key of its own.
fn random<T: Real>(stream: u32, samples: usize, key: &[T], y: &mut [T]) {
    let each = (y.len() / samples.max(1)).max(1);
    for (key, row) in key.chunks(noise::LIMBS).zip(y.chunks_mut(each)) {
        let mut limbs = [0.0; noise::LIMBS];
        limbs.iter_mut().zip(key).for_each(|(limb, key)| *limb = key.to_f64());
        let start = noise::start(noise::joined(&limbs), stream);
        row.iter_mut().zip(0_u64..).for_each(|(y, at)| *y = T::from_f64(noise::uniform(start, at)));
    }
}

fn whole(layout: &Layout) -> Whole {
    Whole { place: Place { root: layout.root, start: layout.start }, length: layout.count() }
}

impl Whole {
    pub fn extent(self) -> Extent {
        Extent { root: self.place.root, length: self.place.start + self.length }
    }
}
