//! One kernel call of a plan.

use graph::{DType, Node, UnaryOp};
use tch::{Kind, Tensor};

use super::layout::Layout;
use super::product::{Gemm, Product};
use super::special::{Special, Whole};
use crate::Device;
use crate::error::{Error, Result};
use crate::kernels::bfloat16::{Right, Unit, pack_right};
use crate::kernels::copy::{Places, copy};
use crate::kernels::{Loop, Real};
use crate::ops;

/// Where a tensor starts: a root's number and the element within it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub root: usize,
    pub start: usize,
}

/// A root that a loop reads or writes, and how many of its elements may be touched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub root: usize,
    pub length: usize,
}

impl Extent {
    /// All of a layout's root up to its last element, and where it starts.
    pub fn start(layout: &Layout) -> (Self, usize) {
        (Self { root: layout.root, length: layout.reach() }, layout.start)
    }

    /// # Safety
    /// As [`Step::run`]; nobody writes to the root while the slice is in use.
    unsafe fn slice<'b, T>(self, bases: &Bases) -> &'b [T] {
        // SAFETY: as promised.
        unsafe { std::slice::from_raw_parts(bases[self.root].cast::<T>(), self.length) }
    }

    /// # Safety
    /// As [`Step::run`]; nobody else uses the root while the slice is in use.
    unsafe fn slice_mut<'b, T>(self, bases: &Bases) -> &'b mut [T] {
        // SAFETY: as promised.
        unsafe { std::slice::from_raw_parts_mut(bases[self.root].cast::<T>(), self.length) }
    }
}

/// A value as libtorch sees it.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub place: Place,
    pub sizes: Vec<i64>,
    pub strides: Vec<i64>,
    pub dtype: DType,
}

/// Roots that a loop reads or writes, at the most: more than its code may have steps.
pub(super) const MOST: usize = 64;
/// Values that other kernels read or write, at the most.
const FEW: usize = 4;

/// What is called.
pub(super) enum Step<T> {
    Loop {
        kernel: Box<Loop<T>>,
        inputs: Vec<Extent>,
        outputs: Vec<Extent>,
        label: String,
    },
    Product {
        product: Product,
        left: Place,
        right: Place,
        value: Place,
        accumulate: bool,
    },
    /// A product of what is rounded to bfloat16.
    Rounded {
        unit: Unit,
        product: Product,
        left: Place,
        right: Packing,
        value: Place,
        accumulate: bool,
        /// The root of the kernel's memory.
        room: usize,
    },
    /// Packs the right operand of such products.
    Pack {
        unit: Unit,
        product: Product,
        from: Place,
        to: usize,
    },
    /// Elements of one place to another of the same sizes.
    Copy {
        shape: Vec<usize>,
        from: (Extent, usize),
        to: (Extent, usize),
        strides: (Vec<usize>, Vec<usize>),
    },
    /// An operation with a kernel of its own.
    Special {
        kernel: Special<T>,
        inputs: Vec<Whole>,
        outputs: Vec<Whole>,
        label: String,
    },
    /// An operation that libtorch computes, and whose value is copied to its place.
    Torch {
        node: Box<Node>,
        args: Vec<Operand>,
        value: Operand,
        sizes: (i64, i64),
        /// Whether the operands are rounded to bfloat16 first.
        rounds: bool,
    },
}

/// A right operand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packing {
    Plain(Place),
    /// In this root.
    Packed(usize),
}

/// The first byte of every root.
pub(super) type Bases = [*mut u8];

impl<T: Real + Gemm> Step<T> {
    /// What the step does, for people.
    pub fn label(&self) -> String {
        match self {
            Self::Loop { label, .. } => label.clone(),
            Self::Product { product, .. } => product.label(),
            Self::Rounded { product, .. } => format!("{}, bf16", product.label()),
            Self::Pack { product, .. } => format!("pack for {}", product.label()),
            Self::Copy { shape, .. } => format!("copy {shape:?}"),
            Self::Special { label, .. } => label.clone(),
            Self::Torch { node, value, .. } => format!("{} {:?}, by libtorch", node.op.name(), value.sizes),
        }
    }

    /// # Safety
    /// Every base points to memory of its root's full size, aligned for its elements, and no root's memory overlaps with
    /// that of another that is in use at the same time.
    pub unsafe fn run(&mut self, bases: &Bases, float: Kind) -> Result<()> {
        match self {
            Self::Loop { kernel, inputs, outputs, .. } => {
                // SAFETY: as promised; the compiler of plans sees to it that no root is both read and written by a loop, and
                // that each is listed once among what is written.
                unsafe {
                    let mut reads: [&[T]; MOST] = [&[]; MOST];
                    for (read, input) in reads.iter_mut().zip(inputs.iter()) {
                        *read = input.slice(bases);
                    }
                    let mut writes: [&mut [T]; MOST] = std::array::from_fn(|_| &mut [][..]);
                    for (write, output) in writes.iter_mut().zip(outputs.iter()) {
                        *write = output.slice_mut(bases);
                    }
                    kernel.run(&reads[..inputs.len().min(MOST)], &mut writes[..outputs.len().min(MOST)])?;
                }
                Ok(())
            }
            Self::Product { product, left, right, value, accumulate } => {
                // SAFETY: as promised; strides were derived from the roots' own sizes.
                unsafe {
                    product.run(at::<T>(bases, *left), at::<T>(bases, *right), at::<T>(bases, *value), *accumulate);
                }
                Ok(())
            }
            Self::Rounded { unit, product, left, right, value, accumulate, room } => {
                // SAFETY: as for other products; plans with such are of float32.
                unsafe {
                    let right = match *right {
                        Packing::Plain(place) => Right::Plain(product.right(at::<f32>(bases, place))),
                        Packing::Packed(root) => Right::Packed(bases[root]),
                    };
                    let (left, value) = (at::<f32>(bases, *left), at::<f32>(bases, *value));
                    product.run_rounded(*unit, left, right, value, *accumulate, bases[*room]);
                }
                Ok(())
            }
            Self::Pack { unit, product, from, to } => {
                let [_, terms, columns] = product.sizes();
                // SAFETY: as above, and the root was made for these sizes.
                unsafe { pack_right(*unit, product.right(at::<f32>(bases, *from)), terms, columns, bases[*to]) };
                Ok(())
            }
            Self::Copy { shape, from, to, strides } => {
                // SAFETY: as promised; a copy is never made within one root.
                let (x, y) = unsafe { (from.0.slice::<T>(bases), to.0.slice_mut::<T>(bases)) };
                let (from, to) =
                    (Places { start: from.1, strides: &strides.0 }, Places { start: to.1, strides: &strides.1 });
                Ok(copy(shape, x, from, y, to)?)
            }
            Self::Special { kernel, inputs, outputs, .. } => {
                // SAFETY: as for loops.
                unsafe {
                    let mut reads: [&[T]; FEW] = [&[]; FEW];
                    for (read, input) in reads.iter_mut().zip(inputs.iter()) {
                        *read = &input.extent().slice(bases)[input.place.start..];
                    }
                    let mut writes: [&mut [T]; FEW] = std::array::from_fn(|_| &mut [][..]);
                    for (write, output) in writes.iter_mut().zip(outputs.iter()) {
                        *write = &mut output.extent().slice_mut(bases)[output.place.start..];
                    }
                    kernel.run(&reads[..inputs.len().min(FEW)], &mut writes[..outputs.len().min(FEW)])
                }
            }
            Self::Torch { node, args, value, sizes, rounds } => {
                let given = args.iter().map(|arg| {
                    // SAFETY: as promised; the tensors do not outlive this call.
                    let given = unsafe { arg.tensor(bases, float) }?;
                    let rounded = *rounds && arg.dtype == DType::Float;
                    if rounded { ops::unary(UnaryOp::Bfloat16, &given) } else { Ok(given) }
                });
                let given = given.collect::<Result<Vec<_>>>()?;
                let given: Vec<&Tensor> = given.iter().collect();
                let device = Device(tch::Device::Cpu);
                let at = ops::Context { float, device, sizes: *sizes, shape: &value.sizes };
                let found = ops::apply(node, &given, &at)?;
                // SAFETY: as above.
                let mut place = unsafe { value.memory(bases, float) }?;
                place.f_copy_(&found)?;
                Ok(())
            }
        }
    }
}

/// # Safety
/// The root has an element there.
pub(super) unsafe fn at<T>(bases: &Bases, place: Place) -> *mut T {
    // SAFETY: as promised.
    unsafe { bases[place.root].cast::<T>().add(place.start) }
}

impl Operand {
    /// # Safety
    /// The memory must outlive the tensor.
    unsafe fn memory(&self, bases: &Bases, float: Kind) -> Result<Tensor> {
        let (kind, width) = match self.dtype {
            DType::Int => (Kind::Int64, 8),
            _ => (float, if float == Kind::Double { 8 } else { 4 }),
        };
        // SAFETY: as promised.
        let tensor = unsafe {
            let start = bases[self.place.root].add(self.place.start * width);
            Tensor::f_from_blob(start, &self.sizes, &self.strides, kind, tch::Device::Cpu)
        };
        tensor.map_err(Error::from)
    }

    /// As [`Operand::memory`], in the type that libtorch has for it.
    ///
    /// # Safety
    /// As there.
    unsafe fn tensor(&self, bases: &Bases, float: Kind) -> Result<Tensor> {
        // SAFETY: as promised.
        let tensor = unsafe { self.memory(bases, float) }?;
        Ok(if self.dtype == DType::Bool { tensor.f_to_kind(Kind::Bool)? } else { tensor })
    }
}
