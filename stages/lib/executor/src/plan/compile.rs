//! From a part to a plan: where values lie, and which kernels make them.

use std::collections::BTreeSet;

use graph::{DType, Node, NodeId, Op};
use tch::{Kind, Tensor};

use super::layout::Layout;
use super::product::Gemm;
use super::run::{Base, Memory, Mode, Plan, Root, Use};
use super::step::{Extent, MOST, Operand, Place, Step};
use super::units::{Nodes, Role, Units};
use super::windows::Windows;
use crate::Device;
use crate::error::{Error, Result};
use crate::kernels::{Instr, Loop, LoopSpec, Real, Store, View};
use crate::ops;
use crate::tensor::sizes as as_sizes;

/// Bytes to which every place in the arena is aligned: a line of the cache.
const LINE: usize = 64;
pub(super) struct Compiler<'a, T> {
    pub nodes: &'a Nodes<'a>,
    pub(super) units: &'a Units,
    pub(super) outputs: &'a [NodeId],
    pub(super) modes: &'a [Mode],
    float: Kind,
    /// By node: the output that it is computed into.
    pub(super) claims: Vec<Option<usize>>,
    /// By node: whether some other unit reads it.
    pub(super) read_outside: Vec<bool>,
    layouts: Vec<Option<Layout>>,
    roots: Vec<Root>,
    constants: Vec<Tensor>,
    pub(super) used: Use,
    /// Steps that come once for a sequence, and bytes of what they leave.
    preparing: Vec<Step<T>>,
    prepared: usize,
    steps: Vec<Step<T>>,
    /// By node: whether a kernel that computes several has computed it already.
    pub done: Vec<bool>,
}

impl<'a, T: Real + Gemm> Compiler<'a, T> {
    pub(super) fn new(
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

    pub(super) fn plan(mut self) -> Result<Plan<T>> {
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

    pub(super) fn root(&mut self, memory: Memory, bytes: usize) -> usize {
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

    pub(super) fn place(layout: &Layout) -> Place {
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
    pub(super) fn is_fixed(&self, root: usize) -> bool {
        self.used.fixed.as_ref().is_some_and(|fixed| match self.roots[root].memory {
            Memory::Input(number) => fixed.contains(&number),
            Memory::Param(_) | Memory::Constant(_) => true,
            Memory::Output(_) | Memory::Arena(_) | Memory::Prepared(_) => false,
        })
    }

    /// Memory that `step` fills: once for a sequence where it reads nothing but `source`, and that is fixed.
    pub(super) fn made_from(&mut self, source: usize, bytes: usize, step: impl FnOnce(usize) -> Step<T>) -> usize {
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

    pub(super) fn push_loop(&mut self, spec: &LoopSpec, inputs: Vec<Extent>, outputs: Vec<Extent>) -> Result<()> {
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
pub(super) fn copy<T>(from: &Layout, to: &Layout) -> Step<T> {
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
