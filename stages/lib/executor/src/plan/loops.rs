//! Units of element-wise operations and sums as loops.

use std::collections::BTreeMap;

use graph::{BinaryOp, DType, Node, Op, UnaryOp};

use super::compile::Compiler;
use super::layout::Layout;
use super::product::Gemm;
use super::run::Mode;
use super::step::Extent;
use super::units::Role;
use crate::error::{Error, Result};
use crate::kernels::{Instr, LoopSpec, Real, Store, View};

impl<T: Real + Gemm> Compiler<'_, T> {
    pub(super) fn loop_unit(&mut self, members: &[usize]) -> Result<()> {
        let mut writer = Writer::new(self, members);
        for &at in members {
            writer.member(at)?;
        }
        let Writer { code, loads, reads, stores, writes, domain, .. } = writer;
        let spec = LoopSpec { shape: domain, code, loads, stores };
        self.push_loop(&spec, reads, writes)
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
