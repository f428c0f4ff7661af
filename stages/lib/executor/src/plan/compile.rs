//! From a part to a plan: where values lie, and which kernels make them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Instant;

use graph::{BinaryOp, DType, Equation, Node, NodeId, Op, UnaryOp};
use tch::{Kind, Tensor};

use super::layout::Layout;
use super::lower::lower;
use super::product::{self, Axis, Gemm, Product};
use super::step::{Bases, Extent, MOST, Operand, Packing, Place, Step};
use super::units::{Nodes, Role, Units};
use crate::error::{Error, Result};
use crate::kernels::bfloat16::{Unit, packed_bytes, room};
use crate::kernels::{Instr, Loop, LoopSpec, Real, Store, View};
use crate::ops;
use crate::recurrence::Part;
use crate::tensor::sizes as as_sizes;
use crate::{Device, bfloat16};

/// What happens to an output's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The value is written there.
    Write,
    /// The value is added to what is there.
    Add,
}

/// Where a root's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Input(usize),
    Param(usize),
    Output(usize),
    Constant(usize),
    /// Bytes from the start of what is prepared for a sequence.
    Prepared(usize),
    /// Bytes from the start of the arena; the place is found when all lifetimes are known.
    Arena(usize),
}

#[derive(Clone, Debug)]
struct Root {
    memory: Memory,
    bytes: usize,
    /// The first and the last step that use it.
    life: Option<(usize, usize)>,
}

/// Bytes to which every place in the arena is aligned: a line of the cache.
const LINE: usize = 64;

/// How often a part is run, and with what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Use {
    /// Inputs that are the same in all runs of a sequence, as parameters are: what is made of them alone is made once, by
    /// [`Plan::prepare`]. `None`: there is one run, and nothing is prepared.
    pub fixed: Option<Range<usize>>,
    /// What multiplies in bfloat16, if products are to be.
    pub unit: Option<Unit>,
}

/// A part at known sizes, ready to be run.
pub(crate) struct Plan<T> {
    steps: Vec<Step<T>>,
    /// How many of the steps prepare.
    preparing: usize,
    roots: Vec<Root>,
    /// Keeps the memory of the constants.
    _constants: Vec<Tensor>,
    bases: Vec<Base>,
    arena: usize,
    prepared: usize,
    float: Kind,
    /// Bytes of each output.
    pub outputs: Vec<usize>,
    /// By step: nanoseconds and calls so far, where they are measured.
    times: Option<Vec<(u64, u64)>>,
}

/// An address in memory that the plan's user vouches for.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Base(*mut u8);

// SAFETY: an address; who runs a plan gives it new ones each time, and sees to it that they are that thread's to use.
unsafe impl Send for Base {}

/// The addresses that a run is given.
pub(crate) struct Addresses<'a> {
    pub inputs: &'a [*mut u8],
    pub outputs: &'a [*mut u8],
    /// By number of the parameter.
    pub params: &'a [*mut u8],
    /// At least [`Plan::arena`] bytes, aligned to a line of the cache.
    pub arena: *mut u8,
    /// At least [`Plan::prepared`] bytes, aligned to a line of the cache: what [`Plan::prepare`] has left there.
    pub prepared: *mut u8,
}

impl<T: Real + Gemm> Plan<T> {
    /// `modes` are those of the part's outputs.
    pub fn new(part: &Part, modes: &[Mode], sizes: (i64, i64), float: Kind, used: Use) -> Result<Self> {
        let part = lower(part, used.unit.is_some())?;
        let overflow = || Error::Inconsistent("a size overflows".to_owned());
        let nodes = Nodes::new(&part.graph, &part.outputs, sizes).ok_or_else(overflow)?;
        let units = Units::new(&nodes);
        Compiler::new(&nodes, &units, &part.outputs, modes, float, used).plan()
    }

    /// Bytes of memory that a run needs for itself.
    pub fn arena(&self) -> usize {
        self.arena
    }

    /// Bytes of memory for what is prepared.
    pub fn prepared(&self) -> usize {
        self.prepared
    }

    /// Makes what runs of a sequence share: from parameters, and from inputs that are the same in all of them.
    ///
    /// # Safety
    /// As [`Plan::run`], for these inputs and parameters; other addresses are not used.
    pub unsafe fn prepare(&mut self, at: &Addresses<'_>) -> Result<()> {
        // SAFETY: as promised.
        unsafe { self.call(0..self.preparing, at) }
    }

    /// # Safety
    /// Each address points to as many bytes as the plan says (those of a parameter: its elements), aligned to them, which
    /// nobody else writes to, or in the case of outputs and the arena reads, until this returns. What is prepared was prepared.
    pub unsafe fn run(&mut self, at: &Addresses<'_>) -> Result<()> {
        // SAFETY: as promised.
        unsafe { self.call(self.preparing..self.steps.len(), at) }
    }

    unsafe fn call(&mut self, steps: Range<usize>, at: &Addresses<'_>) -> Result<()> {
        for (base, root) in self.bases.iter_mut().zip(&self.roots) {
            let address = match root.memory {
                Memory::Input(number) => at.inputs.get(number).copied(),
                Memory::Output(number) => at.outputs.get(number).copied(),
                Memory::Param(number) => at.params.get(number).copied(),
                Memory::Constant(_) => Some(base.0),
                // SAFETY: the plan's places lie within the bytes that it asks for.
                Memory::Arena(offset) => Some(unsafe { at.arena.add(offset) }),
                // SAFETY: as above.
                Memory::Prepared(offset) => Some(unsafe { at.prepared.add(offset) }),
            };
            // What is prepared needs few of them.
            let unused = (steps.end <= self.preparing).then_some(std::ptr::null_mut());
            let missing = || Error::Inconsistent("an address is missing".to_owned());
            base.0 = address.or(unused).ok_or_else(missing)?;
        }
        // SAFETY: `Base` is a transparent wrapper around an address.
        let bases: &Bases =
            unsafe { std::slice::from_raw_parts(self.bases.as_ptr().cast::<*mut u8>(), self.bases.len()) };
        let called = self.steps.iter_mut().enumerate().take(steps.end).skip(steps.start);
        for (number, step) in called {
            let start = self.times.is_some().then(Instant::now);
            // SAFETY: the addresses are as the caller promises, and places in the arena that overlap are never in use at
            // the same time.
            unsafe { step.run(bases, self.float) }?;
            if let (Some(start), Some(time)) = (start, self.times.as_mut().and_then(|times| times.get_mut(number))) {
                time.0 += u64::try_from(start.elapsed().as_nanos()).unwrap_or(0);
                time.1 += 1;
            }
        }
        Ok(())
    }

    /// From now on measures how long each step takes.
    pub fn measure(&mut self) {
        self.times = Some(vec![(0, 0); self.steps.len()]);
    }

    /// What each step does, in order, with its nanoseconds and calls since [`Plan::measure`].
    pub fn measured(&self) -> Vec<(String, u64, u64)> {
        let times = self.times.as_deref().unwrap_or(&[]);
        let time = |at: usize| times.get(at).copied().unwrap_or((0, 0));
        self.steps.iter().enumerate().map(|(at, step)| (step.label(), time(at).0, time(at).1)).collect()
    }
}

pub(super) struct Compiler<'a, T> {
    pub nodes: &'a Nodes<'a>,
    units: &'a Units,
    outputs: &'a [NodeId],
    modes: &'a [Mode],
    float: Kind,
    /// By node: the output that it is computed into.
    claims: Vec<Option<usize>>,
    /// By node: whether some other unit reads it.
    read_outside: Vec<bool>,
    layouts: Vec<Option<Layout>>,
    roots: Vec<Root>,
    constants: Vec<Tensor>,
    used: Use,
    /// Steps that come once for a sequence, and bytes of what they leave.
    preparing: Vec<Step<T>>,
    prepared: usize,
    steps: Vec<Step<T>>,
    /// By node: whether a kernel that computes several has computed it already.
    pub done: Vec<bool>,
}

impl<'a, T: Real + Gemm> Compiler<'a, T> {
    fn new(
        nodes: &'a Nodes<'a>,
        units: &'a Units,
        outputs: &'a [NodeId],
        modes: &'a [Mode],
        float: Kind,
        used: Use,
    ) -> Self {
        let count = nodes.roles.len();
        Self {
            nodes,
            units,
            outputs,
            modes,
            float,
            claims: vec![None; count],
            read_outside: vec![false; count],
            layouts: vec![None; count],
            roots: Vec::new(),
            constants: Vec::new(),
            used,
            preparing: Vec::new(),
            prepared: 0,
            steps: Vec::new(),
            done: vec![false; count],
        }
    }

    fn plan(mut self) -> Result<Plan<T>> {
        self.find_readers();
        self.claim_outputs();
        self.place_roots()?;
        for unit in self.units.order(self.nodes) {
            self.unit(unit)?;
        }
        self.copy_outputs()?;
        let arena = self.place_in_arena();
        let outputs = self.outputs.iter().map(|id| self.bytes(id.index())).collect();
        let base = |root: &Root| match root.memory {
            Memory::Constant(at) => Base(self.constants[at].data_ptr().cast()),
            _ => Base(std::ptr::null_mut()),
        };
        let bases = self.roots.iter().map(base).collect();
        let Self { preparing: mut steps, steps: running, roots, constants, prepared, float, .. } = self;
        let preparing = steps.len();
        steps.extend(running);
        Ok(Plan { steps, preparing, roots, _constants: constants, bases, arena, prepared, float, outputs, times: None })
    }

    fn width(&self, dtype: DType) -> usize {
        if dtype == DType::Int { 8 } else { size_of::<T>() }
    }

    fn bytes(&self, at: usize) -> usize {
        self.nodes.shapes[at].iter().product::<usize>() * self.width(self.nodes.node(at).dtype)
    }

    fn find_readers(&mut self) {
        for (unit, members) in self.units.members.iter().enumerate() {
            for arg in members.iter().flat_map(|&at| self.nodes.args(at)) {
                let root = self.nodes.root(arg);
                if self.units.of[root] != Some(unit) {
                    self.read_outside[root] = true;
                }
            }
        }
    }

    /// Values that are computed into the memory of an output: the first output of each. Adding is done by kernels that can,
    /// where nothing else reads the value.
    fn claim_outputs(&mut self) {
        for (number, (id, mode)) in self.outputs.iter().zip(self.modes).enumerate() {
            let at = id.index();
            let role = self.nodes.roles[at];
            let adds = role.is_loop() || matches!(self.nodes.node(at).op, Op::Linear { .. } | Op::MatMul);
            let once = self.outputs.iter().filter(|other| *other == id).count() == 1;
            let may = match mode {
                Mode::Write => true,
                Mode::Add => adds && once && !self.read_outside[at],
            };
            if role.is_computed() && may && self.claims[at].is_none() {
                self.claims[at] = Some(number);
            }
        }
    }

    fn root(&mut self, memory: Memory, bytes: usize) -> usize {
        self.roots.push(Root { memory, bytes, life: None });
        self.roots.len() - 1
    }

    fn constant(&mut self, tensor: Tensor) -> usize {
        let bytes = tensor.numel() * 8;
        self.constants.push(tensor);
        self.root(Memory::Constant(self.constants.len() - 1), bytes)
    }

    /// Gives every root memory of its own, or a window into what it becomes a part of; then every view its layout.
    fn place_roots(&mut self) -> Result<()> {
        let nodes = self.nodes;
        let windows = Windows::find(self);
        // From the last node: a concatenation is placed before its parts.
        for at in (0..nodes.roles.len()).rev() {
            let shape = &nodes.shapes[at];
            let layout = match nodes.roles[at] {
                Role::Dead | Role::View(_) | Role::Number(_) => continue,
                Role::Input(number) => Layout::packed(self.root(Memory::Input(number), self.bytes(at)), shape),
                Role::Param(number) => Layout::packed(self.root(Memory::Param(number), self.bytes(at)), shape),
                Role::Constant => {
                    let value = self.constant_value(at)?;
                    Layout::packed(self.constant(value), shape)
                }
                Role::Element | Role::Sum | Role::Other => match (windows.get(&at), self.claims[at]) {
                    (Some(&(whole, dim, offset)), _) => {
                        let whole = self.layouts[whole].as_ref().ok_or_else(|| Error::missing("a window"))?;
                        let start = whole.start + offset * whole.strides[dim];
                        Layout { start, sizes: shape.clone(), ..whole.clone() }
                    }
                    (None, Some(output)) => Layout::packed(self.root(Memory::Output(output), self.bytes(at)), shape),
                    (None, None) => Layout::packed(self.root(Memory::Arena(0), self.bytes(at)), shape),
                },
            };
            self.layouts[at] = Some(layout);
        }
        for at in 0..nodes.roles.len() {
            match nodes.roles[at] {
                Role::View(shown) => {
                    let layout = self.layouts[shown].as_ref().and_then(|shown| view(nodes, at, shown));
                    // What cannot be seen otherwise without moving elements is copied, and has memory of its own.
                    let layout = match layout {
                        Some(layout) => layout,
                        None => Layout::packed(self.root(Memory::Arena(0), self.bytes(at)), &nodes.shapes[at]),
                    };
                    self.layouts[at] = Some(layout);
                }
                Role::Number(value) => self.layouts[at] = Some(self.number(at, value)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// A number in memory, for kernels that read it there; most loops do not.
    fn number(&mut self, at: usize, value: f64) -> Result<Layout> {
        let kind = if self.nodes.node(at).dtype == DType::Int { Kind::Int64 } else { self.float };
        let tensor = Tensor::f_full([1], value, (kind, tch::Device::Cpu))?;
        let root = self.constant(tensor);
        let sizes = self.nodes.shapes[at].clone();
        Ok(Layout { root, start: 0, strides: vec![0; sizes.len()], sizes })
    }

    fn constant_value(&self, at: usize) -> Result<Tensor> {
        let node = self.nodes.node(at);
        let shape = as_sizes(&self.nodes.shapes[at])?;
        let device = Device(tch::Device::Cpu);
        let context = ops::Context { float: self.float, device, sizes: self.nodes.sizes, shape: &shape };
        let value = ops::constant(node, &context)?.ok_or_else(|| Error::missing("a constant"))?;
        let kind = if node.dtype == DType::Int { Kind::Int64 } else { self.float };
        Ok(value.f_to_kind(kind)?.f_contiguous()?)
    }

    pub fn layout(&self, at: usize) -> Result<&Layout> {
        self.layouts[at].as_ref().ok_or_else(|| Error::missing("a value's place"))
    }

    fn place(layout: &Layout) -> Place {
        Place { root: layout.root, start: layout.start }
    }

    /// Adds a step; `used` are the roots that it reads and writes.
    pub fn push(&mut self, step: Step<T>, used: impl IntoIterator<Item = usize>) {
        let now = self.steps.len();
        for root in used {
            let life = &mut self.roots[root].life;
            *life = Some(life.map_or((now, now), |(first, _)| (first, now)));
        }
        self.steps.push(step);
    }

    /// Copies views that have memory of their own, where a unit is about to read them.
    fn materialise(&mut self, arg: usize) -> Result<()> {
        let Role::View(shown) = self.nodes.roles[arg] else { return Ok(()) };
        self.materialise(shown)?;
        let (own, source) = (self.layout(arg)?.clone(), self.layout(shown)?.clone());
        let made = self.roots[own.root].life.is_some();
        if own.root == source.root || made {
            return Ok(());
        }
        // The elements are those of the argument, in its order.
        let target = Layout::packed(own.root, &source.sizes);
        let dtype = self.nodes.node(arg).dtype;
        self.copy(&source, &target, dtype, false)
    }

    /// Memory for so many floats.
    pub fn scratch(&mut self, count: usize) -> usize {
        self.root(Memory::Arena(0), count * size_of::<T>())
    }

    /// Whether a root is the same in all runs of a sequence, and there are such.
    fn is_fixed(&self, root: usize) -> bool {
        self.used.fixed.as_ref().is_some_and(|fixed| match self.roots[root].memory {
            Memory::Input(number) => fixed.contains(&number),
            Memory::Param(_) | Memory::Constant(_) => true,
            Memory::Output(_) | Memory::Arena(_) | Memory::Prepared(_) => false,
        })
    }

    /// Memory that `step` fills: once for a sequence where it reads nothing but `source`, and that is fixed.
    fn made_from(&mut self, source: usize, bytes: usize, step: impl FnOnce(usize) -> Step<T>) -> usize {
        if self.is_fixed(source) {
            let root = self.root(Memory::Prepared(self.prepared), bytes);
            self.prepared += bytes.next_multiple_of(LINE);
            self.preparing.push(step(root));
            return root;
        }
        let root = self.root(Memory::Arena(0), bytes);
        self.push(step(root), [source, root]);
        root
    }

    pub fn copy(&mut self, from: &Layout, to: &Layout, dtype: DType, add: bool) -> Result<()> {
        if dtype == DType::Int {
            let node =
                Node { op: Op::Detach, args: Vec::new(), shape: Vec::new(), dtype, span: graph::Span::default() };
            let (args, value) = (vec![operand(from, dtype)?], operand(to, dtype)?);
            let step = Step::Torch { node: Box::new(node), args, value, sizes: self.nodes.sizes, rounds: false };
            self.push(step, [from.root, to.root]);
            return Ok(());
        }
        if !add {
            self.push(copy(from, to), [from.root, to.root]);
            return Ok(());
        }
        let spec = LoopSpec {
            shape: from.sizes.clone(),
            code: vec![Instr::Load(0)],
            loads: vec![View { tensor: 0, start: from.start, strides: from.strides.clone() }],
            stores: vec![Store { value: 0, tensor: 0, start: to.start, strides: to.strides.clone(), accumulate: add }],
        };
        let reads = vec![Extent { root: from.root, length: from.reach() }];
        let writes = vec![Extent { root: to.root, length: to.reach() }];
        self.push_loop(&spec, reads, writes)
    }

    fn push_loop(&mut self, spec: &LoopSpec, inputs: Vec<Extent>, outputs: Vec<Extent>) -> Result<()> {
        if inputs.len() > MOST || outputs.len() > MOST {
            return Err(Error::Inconsistent("a loop over too many values".to_owned()));
        }
        let kernel = Box::new(Loop::new(spec)?);
        let used: Vec<usize> = inputs.iter().chain(&outputs).map(|extent| extent.root).collect();
        let label = label(spec);
        self.push(Step::Loop { kernel, inputs, outputs, label }, used);
        Ok(())
    }

    fn unit(&mut self, unit: usize) -> Result<()> {
        let members = self.units.members[unit].clone();
        let Some(&first) = members.first() else { return Ok(()) };
        let args: BTreeSet<usize> = members.iter().flat_map(|&at| self.nodes.args(at)).collect();
        for &arg in args.iter().filter(|&&arg| self.units.of[self.nodes.root(arg)] != Some(unit)) {
            self.materialise(arg)?;
        }
        if self.nodes.roles[first].is_loop() { self.loop_unit(&members) } else { self.other(first) }
    }

    fn loop_unit(&mut self, members: &[usize]) -> Result<()> {
        let mut writer = Writer::new(self, members);
        for &at in members {
            writer.member(at)?;
        }
        let Writer { code, loads, reads, stores, writes, domain, .. } = writer;
        let spec = LoopSpec { shape: domain, code, loads, stores };
        self.push_loop(&spec, reads, writes)
    }

    fn other(&mut self, at: usize) -> Result<()> {
        let node = self.nodes.node(at);
        match &node.op {
            Op::Linear { biased: false } => self.layer(at),
            Op::MatMul if node.dtype == DType::Float => self.matrices(at),
            Op::Einsum(equation) if node.dtype == DType::Float && self.einsum(at, equation)? => Ok(()),
            Op::Cat { dim } if node.dtype != DType::Int => self.cat(at, *dim),
            _ if self.special(at)? => Ok(()),
            _ => self.torch(at),
        }
    }

    fn torch(&mut self, at: usize) -> Result<()> {
        let node = self.nodes.node(at).clone();
        let mut args = Vec::with_capacity(node.args.len());
        let mut used = Vec::new();
        for arg in self.nodes.args(at) {
            let layout = self.layout(arg)?;
            used.push(layout.root);
            args.push(operand(layout, self.nodes.node(arg).dtype)?);
        }
        let value = operand(self.layout(at)?, node.dtype)?;
        used.push(value.place.root);
        let product = matches!(node.op, Op::Linear { .. } | Op::MatMul | Op::Einsum(_));
        let rounds = product && self.used.unit.is_some();
        self.push(Step::Torch { node: Box::new(node), args, value, sizes: self.nodes.sizes, rounds }, used);
        Ok(())
    }

    fn cat(&mut self, at: usize, dim: usize) -> Result<()> {
        let whole = self.layout(at)?.clone();
        let mut offset = 0;
        for arg in self.nodes.args(at) {
            let part = self.layout(arg)?.clone();
            let start = whole.start + offset * whole.strides[dim];
            let window = Layout { start, sizes: part.sizes.clone(), ..whole.clone() };
            if part != window && part.count() > 0 {
                self.copy(&part, &window, self.nodes.node(at).dtype, false)?;
            }
            offset += part.sizes[dim];
        }
        Ok(())
    }

    /// `x weight'`
    fn layer(&mut self, at: usize) -> Result<()> {
        let args: Vec<usize> = self.nodes.args(at).collect();
        let [x, weight] = args[..] else { return Err(Error::missing("a layer's argument")) };
        let (left, right, value) = (self.layout(x)?, self.layout(weight)?, self.layout(at)?);
        let last = left.sizes.len() - 1;
        let mut axes: Vec<Axis> = (0..last)
            .map(|axis| Axis {
                size: left.sizes[axis],
                left: left.strides[axis],
                right: 0,
                value: value.strides[axis],
                kind: product::Kind::Rows,
            })
            .collect();
        let (out, inner) = (right.sizes[0], right.sizes[1]);
        let (columns, terms) = (product::Kind::Columns, product::Kind::Inner);
        axes.push(Axis { size: out, left: 0, right: right.strides[0], value: value.strides[last], kind: columns });
        axes.push(Axis { size: inner, left: left.strides[last], right: right.strides[1], value: 0, kind: terms });
        self.push_product(at, x, weight, &axes)
    }

    /// `torch.matmul`
    fn matrices(&mut self, at: usize) -> Result<()> {
        let args: Vec<usize> = self.nodes.args(at).collect();
        let [x, y] = args[..] else { return Err(Error::missing("a product's argument")) };
        let (left, right, value) = (self.layout(x)?, self.layout(y)?, self.layout(at)?);
        let (row, column) = (left.sizes.len() == 1, right.sizes.len() == 1);
        let inner_left = left.sizes.len() - 1;
        let inner_right = if column { 0 } else { right.sizes.len() - 2 };
        let mut value_axes = value.sizes.len();
        // Rows of the matrices come right behind the batch, whose rows they continue.
        let mut matrix = vec![Axis {
            size: left.sizes[inner_left],
            left: left.strides[inner_left],
            right: right.strides[inner_right],
            value: 0,
            kind: product::Kind::Inner,
        }];
        if !column {
            value_axes -= 1;
            let own = right.sizes.len() - 1;
            let axis = Axis { size: right.sizes[own], left: 0, right: right.strides[own], ..matrix[0] };
            matrix.insert(0, Axis { value: value.strides[value_axes], kind: product::Kind::Columns, ..axis });
        }
        if !row {
            value_axes -= 1;
            let own = left.sizes.len() - 2;
            let axis = Axis { size: left.sizes[own], left: left.strides[own], right: 0, ..matrix[0] };
            matrix.insert(0, Axis { value: value.strides[value_axes], kind: product::Kind::Rows, ..axis });
        }
        let outer = |layout: &Layout, vector: bool| -> Option<Vec<usize>> {
            let kept = layout.sizes.len() - if vector { 1 } else { 2 };
            let outer = Layout {
                root: layout.root,
                start: layout.start,
                sizes: layout.sizes[..kept].to_vec(),
                strides: layout.strides[..kept].to_vec(),
            };
            outer.broadcast(&value.sizes[..value_axes])
        };
        let (Some(of_left), Some(of_right)) = (outer(left, row), outer(right, column)) else {
            return Err(Error::missing("a product's batch"));
        };
        let mut axes: Vec<Axis> = Vec::new();
        for axis in 0..value_axes {
            let kind = match (of_left[axis], of_right[axis]) {
                (_, 0) => product::Kind::Rows,
                (0, _) => product::Kind::Columns,
                _ => product::Kind::Batch,
            };
            let (size, value) = (value.sizes[axis], value.strides[axis]);
            axes.push(Axis { size, left: of_left[axis], right: of_right[axis], value, kind });
        }
        axes.extend(matrix);
        self.push_product(at, x, y, &axes)
    }

    /// A sum of products of two tensors; false where the kernel cannot do it.
    fn einsum(&mut self, at: usize, equation: &str) -> Result<bool> {
        let args: Vec<usize> = self.nodes.args(at).collect();
        let (&[x, y], Ok(parsed)) = (args.as_slice(), Equation::parse(equation)) else { return Ok(false) };
        let Some(axes) = self.einsum_axes(&parsed, [x, y, at]) else { return Ok(false) };
        self.push_product(at, x, y, &axes)?;
        Ok(true)
    }

    /// The axes of `left, right -> value`: those of all three first, then rows, columns, and what is summed over.
    fn einsum_axes(&self, equation: &Equation, [x, y, at]: [usize; 3]) -> Option<Vec<Axis>> {
        let [left, right] = equation.operands.as_slice() else { return None };
        let distinct = |letters: &[char]| (0..letters.len()).all(|at| !letters[..at].contains(&letters[at]));
        if ![left, right, &equation.value].into_iter().all(|letters| distinct(letters)) {
            return None;
        }
        let (of_left, of_right, of_value) = (self.layout(x).ok()?, self.layout(y).ok()?, self.layout(at).ok()?);
        let find = |letters: &[char], layout: &Layout, letter: char| -> Option<(usize, usize)> {
            let axis = letters.iter().position(|&known| known == letter)?;
            Some((layout.sizes[axis], layout.strides[axis]))
        };
        let mut letters: Vec<char> = equation.value.clone();
        letters.extend(left.iter().chain(right).filter(|letter| !equation.value.contains(letter)));
        let mut axes = Vec::new();
        for (place, &letter) in letters.iter().enumerate().filter(|(at, letter)| !letters[..*at].contains(letter)) {
            let (l, r) = (find(left, of_left, letter), find(right, of_right, letter));
            let value = find(&equation.value, of_value, letter);
            let size = [l, r, value].into_iter().flatten().map(|(size, _)| size).max()?;
            // An axis of size 1 is broadcast, as if it were not there.
            let full = |found: Option<(usize, usize)>| found.filter(|(own, _)| *own == size).map(|(_, stride)| stride);
            let (l, r) = (full(l), full(r));
            let kind = match (l, r, value) {
                (Some(_), Some(_), Some(_)) => product::Kind::Batch,
                (Some(_), None, Some(_)) => product::Kind::Rows,
                (None, Some(_), Some(_)) => product::Kind::Columns,
                (Some(_), Some(_), None) => product::Kind::Inner,
                _ => return None,
            };
            let value = value.map_or(0, |(_, stride)| stride);
            axes.push((kind, place, Axis { size, left: l.unwrap_or(0), right: r.unwrap_or(0), value, kind }));
        }
        let rank = |kind: product::Kind| match kind {
            product::Kind::Batch => 0,
            product::Kind::Rows => 1,
            product::Kind::Columns => 2,
            product::Kind::Inner => 3,
        };
        axes.sort_by_key(|(kind, place, _)| (rank(*kind), *place));
        Some(axes.into_iter().map(|(_, _, axis)| axis).collect())
    }

    fn push_product(&mut self, at: usize, x: usize, y: usize, axes: &[Axis]) -> Result<()> {
        let (left, right, value) = (self.layout(x)?.clone(), self.layout(y)?.clone(), self.layout(at)?.clone());
        let accumulate = self.claims[at].is_some_and(|output| self.modes[output] == Mode::Add);
        let mut product =
            Product::new(axes).ok_or_else(|| Error::Inconsistent("a product over too many axes".to_owned()))?;
        let rounded = self.nodes.node(at).args.iter().all(|&arg| bfloat16::is_rounded(self.nodes.graph, arg));
        if let Some(unit) = self.used.unit.filter(|_| !rounded) {
            self.push_rounded(unit, product, [&left, &right, &value], accumulate);
            return Ok(());
        }
        let mut place = Self::place(&right);
        if let Some(sizes) = product.wants_transposed() {
            let strides = product.right_strides().to_vec();
            let from = Layout { root: right.root, start: right.start, sizes: sizes.to_vec(), strides };
            let bytes = sizes.iter().product::<usize>() * size_of::<T>();
            let root = self.made_from(right.root, bytes, |root| copy(&from, &Layout::packed(root, &sizes)));
            (product, place) = (product.with_packed_right(), Place { root, start: 0 });
        }
        let used = [left.root, place.root, value.root];
        let (left, value) = (Self::place(&left), Self::place(&value));
        self.push(Step::Product { product, left, right: place, value, accumulate }, used);
        Ok(())
    }

    /// A product of what is rounded to bfloat16. A right operand that all runs share is packed once.
    fn push_rounded(&mut self, unit: Unit, product: Product, of: [&Layout; 3], accumulate: bool) {
        let [left, right, value] = of.map(Self::place);
        let (product, turned) = product.upright();
        let (left, right) = if turned { (right, left) } else { (left, right) };
        let sizes @ [_, terms, columns] = product.sizes();
        let packed = self.is_fixed(right.root) && product.has_one_right();
        let packing = if packed {
            let (product, bytes) = (product.clone(), packed_bytes(terms, columns));
            let step = |to| Step::Pack { unit, product, from: right, to };
            Packing::Packed(self.made_from(right.root, bytes, step))
        } else {
            Packing::Plain(right)
        };
        let room = self.root(Memory::Arena(0), room(sizes, packed));
        let used = [left.root, right.root, value.root, room];
        self.push(Step::Rounded { unit, product, left, right: packing, value, accumulate, room }, used);
    }

    /// Outputs that are not computed in place.
    fn copy_outputs(&mut self) -> Result<()> {
        for (number, (id, &mode)) in self.outputs.iter().zip(self.modes).enumerate() {
            let at = id.index();
            if self.claims[at] == Some(number) {
                continue;
            }
            self.materialise(at)?;
            let from = self.layout(at)?.clone();
            let root = self.root(Memory::Output(number), self.bytes(at));
            let to = Layout::packed(root, &from.sizes);
            self.copy(&from, &to, self.nodes.node(at).dtype, mode == Mode::Add)?;
        }
        Ok(())
    }

    /// Places in the arena such that what is in use at the same time does not overlap: the largest first, each at the lowest
    /// place that is free for its life. Answers how many bytes there are.
    fn place_in_arena(&mut self) -> usize {
        let mut order: Vec<usize> = (0..self.roots.len())
            .filter(|&at| matches!(self.roots[at].memory, Memory::Arena(_)) && self.roots[at].life.is_some())
            .collect();
        order.sort_by_key(|&at| std::cmp::Reverse(self.roots[at].bytes));
        let mut placed: Vec<(usize, usize, (usize, usize))> = Vec::new();
        let mut total = 0;
        for at in order {
            let (bytes, Some(life)) = (self.roots[at].bytes.next_multiple_of(LINE), self.roots[at].life) else {
                continue;
            };
            let mut taken: Vec<(usize, usize)> = placed
                .iter()
                .filter(|(_, _, other)| other.0 <= life.1 && life.0 <= other.1)
                .map(|&(start, end, _)| (start, end))
                .collect();
            taken.sort_unstable();
            let start =
                taken.iter().fold(0, |start, &(from, to)| if from >= start + bytes { start } else { start.max(to) });
            self.roots[at].memory = Memory::Arena(start);
            placed.push((start, start + bytes, life));
            total = total.max(start + bytes);
        }
        total
    }
}

/// A copy of floats.
fn copy<T>(from: &Layout, to: &Layout) -> Step<T> {
    let strides = (from.strides.clone(), to.strides.clone());
    Step::Copy { shape: from.sizes.clone(), from: Extent::start(from), to: Extent::start(to), strides }
}

fn label(spec: &LoopSpec) -> String {
    let (loads, stores) = (spec.loads.len(), spec.stores.len());
    format!("loop {:?}: {} steps, {loads} loads, {stores} stores", spec.shape, spec.code.len())
}

fn operand(layout: &Layout, dtype: DType) -> Result<Operand> {
    Ok(Operand {
        place: Place { root: layout.root, start: layout.start },
        sizes: as_sizes(&layout.sizes)?,
        strides: as_sizes(&layout.strides)?,
        dtype,
    })
}

/// The layout of a view of a value that lies as `shown` says.
fn view(nodes: &Nodes<'_>, at: usize, shown: &Layout) -> Option<Layout> {
    let eval = |dim: &graph::Dim| usize::try_from(dim.eval(nodes.sizes.0, nodes.sizes.1)?).ok();
    shown.view(nodes.node(at), &nodes.shapes[at], eval)
}

/// Parts of concatenations that are computed where they will lie.
struct Windows<'c, 'a, T> {
    of: &'c Compiler<'a, T>,
    found: BTreeMap<usize, (usize, usize, usize)>,
    /// By node that has memory: all that are computed into that memory.
    groups: BTreeMap<usize, Vec<usize>>,
}

impl<T> Windows<'_, '_, T> {
    /// By part: the concatenation, its axis, and the place along it.
    fn find(of: &Compiler<'_, T>) -> BTreeMap<usize, (usize, usize, usize)> {
        let nodes = of.nodes;
        let mut windows = Windows { of, found: BTreeMap::new(), groups: BTreeMap::new() };
        for at in (0..nodes.roles.len()).rev() {
            let node = nodes.node(at);
            if let (Role::Other, Op::Cat { dim }) = (nodes.roles[at], &node.op)
                && node.dtype != DType::Int
            {
                let mut offset = 0;
                for part in nodes.args(at) {
                    if windows.fits(at, part) {
                        windows.found.insert(part, (at, *dim, offset));
                        let top = windows.top(part);
                        windows.groups.entry(top).or_default().push(part);
                    }
                    offset += nodes.shapes[part][*dim];
                }
            }
        }
        windows.found
    }

    fn top(&self, mut at: usize) -> usize {
        while let Some(&(whole, ..)) = self.found.get(&at) {
            at = whole;
        }
        at
    }

    fn fits(&self, whole: usize, part: usize) -> bool {
        let nodes = self.of.nodes;
        let node = nodes.node(part);
        let kernel = nodes.roles[part].is_loop()
            || matches!(node.op, Op::Linear { .. } | Op::MatMul | Op::Cat { .. }) && nodes.roles[part] == Role::Other;
        // A copy within one memory would read what it writes.
        let (mut next, mut once) = (Some(whole), true);
        while let Some(at) = next {
            let readers = nodes.args(at).filter(|&arg| nodes.root(arg) == part).count();
            once &= readers == usize::from(at == whole);
            next = self.found.get(&at).map(|&(outer, ..)| outer);
        }
        if !kernel
            || !once
            || node.dtype != nodes.node(whole).dtype
            || self.of.claims[part].is_some()
            || self.found.contains_key(&part)
        {
            return false;
        }
        // Reshaping what lies with gaps may need a copy, so that only plain readers are let in.
        let reshaped = |at: usize| matches!(nodes.node(at).op, Op::Reshape);
        if self.views(part).into_iter().any(reshaped) {
            return false;
        }
        // No kernel may read memory that it writes to.
        let empty = Vec::new();
        let group = self.groups.get(&self.top(whole)).unwrap_or(&empty);
        let unit = |at: usize| self.of.units.of[at];
        let reads = |reader: usize, of: usize| -> bool {
            let members = unit(reader).map_or(&[][..], |unit| self.of.units.members[unit].as_slice());
            let mut args = members.iter().flat_map(|&at| nodes.args(at));
            args.any(|arg| nodes.root(arg) == of && unit(of) != unit(reader))
        };
        group.iter().all(|&other| !reads(part, other) && !reads(other, part))
    }

    /// All views of a node.
    fn views(&self, at: usize) -> Vec<usize> {
        let nodes = self.of.nodes;
        let (mut open, mut found) = (vec![at], Vec::new());
        while let Some(next) = open.pop() {
            for &user in &nodes.users[next] {
                if matches!(nodes.roles[user], Role::View(_)) {
                    found.push(user);
                    open.push(user);
                }
            }
        }
        found
    }
}

/// The code of a loop in the making.
struct Writer<'c, 'a, T> {
    of: &'c Compiler<'a, T>,
    unit: Option<usize>,
    domain: Vec<usize>,
    code: Vec<Instr>,
    loads: Vec<View>,
    stores: Vec<Store>,
    reads: Vec<Extent>,
    writes: Vec<Extent>,
    /// By member: the step that has its value.
    values: BTreeMap<usize, usize>,
}

impl<'c, 'a, T: Real + Gemm> Writer<'c, 'a, T> {
    fn new(of: &'c Compiler<'a, T>, members: &[usize]) -> Self {
        let first = members.first().copied().unwrap_or(0);
        Self {
            of,
            unit: of.units.of[first],
            domain: of.nodes.domain(first),
            code: Vec::new(),
            loads: Vec::new(),
            stores: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            values: BTreeMap::new(),
        }
    }

    fn push(&mut self, instr: Instr) -> usize {
        if let Some(at) = self.code.iter().position(|known| *known == instr) {
            return at;
        }
        self.code.push(instr);
        self.code.len() - 1
    }

    /// The value of an argument of a node of shape `shape`.
    fn read(&mut self, arg: usize, shape: &[usize]) -> Result<usize> {
        let nodes = self.of.nodes;
        if let Role::Number(value) = nodes.roles[arg] {
            return Ok(self.push(Instr::Const(value)));
        }
        let root = nodes.root(arg);
        if self.of.units.of[root] == self.unit && self.unit.is_some() {
            return self.values.get(&root).copied().ok_or_else(|| Error::missing("a loop's value"));
        }
        let layout = self.of.layout(arg)?;
        let strides = layout.broadcast(shape).ok_or_else(|| Error::missing("a loop's argument"))?;
        let strides = squeeze(shape, &strides);
        let tensor = extent(&mut self.reads, layout);
        let view = View { tensor, start: layout.start, strides };
        let load = match self.loads.iter().position(|known| *known == view) {
            Some(load) => load,
            None => {
                self.loads.push(view);
                self.loads.len() - 1
            }
        };
        Ok(self.push(Instr::Load(load)))
    }

    fn member(&mut self, at: usize) -> Result<()> {
        let nodes = self.of.nodes;
        let node = nodes.node(at);
        if nodes.roles[at] == Role::Sum {
            return self.sum(at);
        }
        let shape = &nodes.shapes[at];
        let args = nodes.args(at).map(|arg| self.read(arg, shape)).collect::<Result<Vec<_>>>()?;
        let value = match instruction(node, &args) {
            Some(Made::Instr(instr)) => self.push(instr),
            Some(Made::Same(value)) => value,
            None => return Err(Error::missing("a loop's operation")),
        };
        self.values.insert(at, value);
        if self.of.read_outside[at] || self.of.claims[at].is_some() || self.is_output(at) {
            let strides = squeeze(shape, &self.of.layout(at)?.strides);
            self.store(at, value, strides)?;
        }
        Ok(())
    }

    fn is_output(&self, at: usize) -> bool {
        self.of.outputs.iter().any(|id| self.of.nodes.root(id.index()) == at)
    }

    fn sum(&mut self, at: usize) -> Result<()> {
        let nodes = self.of.nodes;
        let Op::Reduce { dims, keepdim, .. } = &nodes.node(at).op else { return Err(Error::missing("a sum")) };
        let Some(arg) = nodes.args(at).next() else { return Err(Error::missing("a sum's argument")) };
        let shape = &nodes.shapes[arg];
        let value = self.read(arg, shape)?;
        let layout = self.of.layout(at)?;
        let mut own = layout.strides.iter().copied();
        let mut strides = Vec::with_capacity(shape.len());
        for axis in 0..shape.len() {
            let gone = dims.contains(&axis);
            let stride = if gone && !keepdim { 0 } else { own.next().unwrap_or(0) };
            strides.push(if gone { 0 } else { stride });
        }
        self.values.insert(at, value);
        self.store(at, value, squeeze(shape, &strides))
    }

    fn store(&mut self, at: usize, value: usize, strides: Vec<usize>) -> Result<()> {
        let layout = self.of.layout(at)?;
        let tensor = extent(&mut self.writes, layout);
        let accumulate = self.of.claims[at].is_some_and(|output| self.of.modes[output] == Mode::Add);
        self.stores.push(Store { value, tensor, start: layout.start, strides, accumulate });
        Ok(())
    }
}

/// What computes an element-wise node in a loop.
pub(crate) enum Made {
    Instr(Instr),
    /// The value of an earlier instruction.
    Same(usize),
}

/// How a loop computes a node from the values of its arguments; `None` where it cannot.
pub(crate) fn instruction(node: &Node, args: &[usize]) -> Option<Made> {
    let truth = node.dtype == DType::Bool;
    Some(Made::Instr(match (&node.op, args) {
        (Op::Unary(UnaryOp::Square), &[x]) => Instr::Binary(BinaryOp::Mul, x, x),
        (Op::Unary(op), &[x]) => Instr::Unary(*op, x),
        // Truth values are 0 and 1.
        (Op::Binary(BinaryOp::And), &[x, y]) => Instr::Binary(BinaryOp::Mul, x, y),
        (Op::Binary(BinaryOp::Or), &[x, y]) => Instr::Binary(BinaryOp::Maximum, x, y),
        (Op::Binary(BinaryOp::Add), &[x, y]) if truth => Instr::Binary(BinaryOp::Maximum, x, y),
        (Op::Binary(BinaryOp::Xor), &[x, y]) => Instr::Binary(BinaryOp::Ne, x, y),
        (Op::Binary(op), &[x, y]) => Instr::Binary(*op, x, y),
        (Op::Where, &[c, x, y]) => Instr::Where(c, x, y),
        (Op::Cast, &[x]) if truth => Instr::Bool(x),
        (Op::Cast, &[x]) => return Some(Made::Same(x)),
        _ => return None,
    }))
}

/// The number of a root among those of a loop, which may touch as much of it as `layout` reaches.
fn extent(of: &mut Vec<Extent>, layout: &Layout) -> usize {
    let length = layout.reach();
    match of.iter_mut().enumerate().find(|(_, known)| known.root == layout.root) {
        Some((at, known)) => {
            known.length = known.length.max(length);
            at
        }
        None => {
            of.push(Extent { root: layout.root, length });
            of.len() - 1
        }
    }
}

/// Strides of the axes that are not of size 1.
fn squeeze(shape: &[usize], strides: &[usize]) -> Vec<usize> {
    shape.iter().zip(strides).filter(|(size, _)| **size != 1).map(|(_, &stride)| stride).collect()
}
