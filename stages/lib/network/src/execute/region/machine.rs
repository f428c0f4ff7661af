//! Runs the code of a region block by block: a block's values fit the first-level cache, however long the code is.
//!
//! A block is some rows along the last but one axis. Backward, a block's values are computed anew from the inputs (which
//! is cheaper than having kept them), then gradients are passed on from the last instruction to the first.

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// Numbers of a block, at the most.
pub(super) const LANES: usize = 512;

/// float32 or float64.
pub(in crate::execute) trait Real:
    Copy
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + Send
    + Sync
    + 'static
{
}

impl Real for f32 {}
impl Real for f64 {}

/// One step of a region's code; numbers are those of earlier steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instr {
    /// The value that is loaded by the load of this number.
    Load(usize),
    Add(usize, usize),
    Sub(usize, usize),
    Mul(usize, usize),
    Neg(usize),
    Relu(usize),
}

/// How a tensor is read: where the elements for each place are, in elements from the tensor's first.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub tensor: usize,
    pub start: usize,
    /// By axis of the region, 0 where the tensor is broadcast.
    pub strides: Vec<usize>,
    /// The same for the tensor of gradients, which is packed.
    pub gradient_start: usize,
    pub gradient_strides: Vec<usize>,
    /// Whether every place has an element of its own, which no other load reads.
    pub alone: bool,
}

impl Load {
    /// Whether all rows read the same.
    fn is_constant(&self) -> bool {
        self.strides.split_last().is_none_or(|(_, outer)| outer.iter().all(|&stride| stride == 0))
    }
}

/// What to compute, at known sizes.
pub(super) struct Program<'a> {
    pub code: &'a [Instr],
    pub loads: &'a [Load],
    /// Sizes of all axes, at least two; the last one is at most [`LANES`].
    pub shape: &'a [usize],
    /// Whether rows are added up.
    pub sums: bool,
}

/// Where blocks are.
struct Blocks {
    /// Axes before the last two.
    outer: Vec<usize>,
    /// Rows of a block, and blocks along the last but one axis.
    rows: usize,
    count: usize,
    lanes: usize,
}

impl Blocks {
    fn new(shape: &[usize]) -> Self {
        let (outer, last) = shape.split_at(shape.len() - 2);
        let (axis, lanes) = (last[0], last[1]);
        let fits = (LANES / lanes.max(1)).max(1);
        let rows = (1..=axis.min(fits)).rev().find(|rows| axis % rows == 0).unwrap_or(1);
        Self { outer: outer.to_vec(), rows, count: axis / rows, lanes }
    }

    fn width(&self) -> usize {
        self.rows * self.lanes
    }

    /// Before the first block; `strides` are those of all that is read and written.
    fn walk<'s>(&self, strides: Vec<&'s [usize]>) -> Walk<'s> {
        let zeros = vec![0; strides.len()];
        let left = self.outer.iter().product::<usize>() * self.count;
        Walk {
            place: vec![0; self.outer.len()],
            along: 0,
            base: zeros.clone(),
            offsets: zeros,
            strides,
            left,
            block: 0,
        }
    }
}

/// A walk through all blocks, in order.
struct Walk<'s> {
    strides: Vec<&'s [usize]>,
    place: Vec<usize>,
    along: usize,
    base: Vec<usize>,
    /// Where the block starts, by strides.
    offsets: Vec<usize>,
    block: usize,
    left: usize,
}

impl Walk<'_> {
    /// The number of the next block; its offsets are then in place.
    #[inline(always)]
    fn next(&mut self, blocks: &Blocks) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let axes = self.place.len();
        if self.along == blocks.count {
            self.along = 0;
            for axis in (0..axes).rev() {
                self.place[axis] += 1;
                self.base.iter_mut().zip(&self.strides).for_each(|(base, strides)| *base += strides[axis]);
                if self.place[axis] < blocks.outer[axis] {
                    break;
                }
                let back = std::mem::take(&mut self.place[axis]);
                self.base.iter_mut().zip(&self.strides).for_each(|(base, strides)| *base -= strides[axis] * back);
            }
        }
        let start = self.along * blocks.rows;
        let all = self.offsets.iter_mut().zip(&self.base).zip(&self.strides);
        all.for_each(|((offset, base), strides)| *offset = base + start * strides[axes]);
        self.along += 1;
        self.block += 1;
        Some(self.block - 1)
    }
}

/// The value of a region.
pub(super) fn forward<T: Real>(program: &Program<'_>, tensors: &[&[T]], value: &mut [T], bias: T) {
    widest(Forward { program, tensors, value, bias });
}

struct Forward<'a, T> {
    program: &'a Program<'a>,
    tensors: &'a [&'a [T]],
    value: &'a mut [T],
    bias: T,
}

impl<T: Real> Work for Forward<'_, T> {
    #[inline(always)]
    fn run(self) {
        forward_inner(self.program, self.tensors, self.value, self.bias);
    }
}

#[inline(always)]
fn forward_inner<T: Real>(program: &Program<'_>, tensors: &[&[T]], value: &mut [T], bias: T) {
    let blocks = Blocks::new(program.shape);
    let mut registers = Registers::new(program, &blocks, tensors);
    let mut walk = blocks.walk(program.loads.iter().map(|load| load.strides.as_slice()).collect());
    let root = program.code.len() - 1;
    while let Some(block) = walk.next(&blocks) {
        registers.fill(program, &blocks, tensors, &walk.offsets);
        let last = registers.get(root);
        if program.sums {
            let value = &mut value[block * blocks.rows..][..blocks.rows];
            for (sum, row) in value.iter_mut().zip(last.chunks_exact(blocks.lanes)) {
                *sum = total(row) + bias;
            }
        } else {
            value[block * blocks.width()..][..blocks.width()].copy_from_slice(last);
        }
    }
}

/// Adds the gradients of all tensors whose place in `gradients` is not empty, given the value's gradient. What a load
/// reads alone is set, not added to.
pub(super) fn backward<T: Real>(program: &Program<'_>, tensors: &[&[T]], value: &[T], gradients: &mut [&mut [T]]) {
    widest(Backward { program, tensors, value, gradients });
}

struct Backward<'a, 'g, T> {
    program: &'a Program<'a>,
    tensors: &'a [&'a [T]],
    value: &'a [T],
    gradients: &'a mut [&'g mut [T]],
}

impl<T: Real> Work for Backward<'_, '_, T> {
    #[inline(always)]
    fn run(self) {
        backward_inner(self.program, self.tensors, self.value, self.gradients);
    }
}

#[inline(always)]
fn backward_inner<T: Real>(program: &Program<'_>, tensors: &[&[T]], value: &[T], gradients: &mut [&mut [T]]) {
    let blocks = Blocks::new(program.shape);
    let width = blocks.width();
    let (code, loads) = (program.code, program.loads);
    let wanted = wanted(program, |tensor| gradients.get(tensor).is_some_and(|gradient| !gradient.is_empty()));
    let mut registers = Registers::new(program, &blocks, tensors);
    let mut flow: Vec<Vec<T>> =
        wanted.iter().map(|wanted| vec![T::default(); if *wanted { width } else { 0 }]).collect();
    let mut reached = vec![false; code.len()];
    let mut constants: Vec<Vec<T>> =
        loads.iter().map(|load| vec![T::default(); if load.is_constant() { width } else { 0 }]).collect();
    let reads = loads.iter().map(|load| load.strides.as_slice());
    let both = reads.chain(loads.iter().map(|load| load.gradient_strides.as_slice())).collect();
    let mut walk = blocks.walk(both);
    let root = code.len() - 1;
    if !wanted[root] {
        return;
    }
    while let Some(block) = walk.next(&blocks) {
        let (reads, writes) = walk.offsets.split_at(loads.len());
        registers.fill(program, &blocks, tensors, reads);
        reached.fill(false);
        reached[root] = true;
        if program.sums {
            let rows = flow[root].chunks_exact_mut(blocks.lanes).zip(&value[block * blocks.rows..]);
            rows.for_each(|(row, &gradient)| row.fill(gradient));
        } else {
            flow[root].copy_from_slice(&value[block * width..][..width]);
        }
        for at in (0..=root).rev().filter(|&at| wanted[at]) {
            let (before, from) = flow.split_at_mut(at);
            let gradient = from[0].as_slice();
            let mut to = Flow { wanted: &wanted, reached: &mut reached, before };
            match code[at] {
                Instr::Load(load) => {
                    let how = &loads[load];
                    if how.is_constant() {
                        add(&mut constants[load], gradient);
                    } else {
                        let to = &mut gradients[how.tensor][writes[load] + how.gradient_start..];
                        deliver(how, &blocks, gradient, to);
                    }
                }
                Instr::Add(x, y) => {
                    to.give(x, gradient, gradient, |g, _| g);
                    to.give(y, gradient, gradient, |g, _| g);
                }
                Instr::Sub(x, y) => {
                    to.give(x, gradient, gradient, |g, _| g);
                    to.give(y, gradient, gradient, |g, _| -g);
                }
                Instr::Mul(x, y) => {
                    to.give(x, gradient, registers.get(y), |g, y| g * y);
                    to.give(y, gradient, registers.get(x), |g, x| g * x);
                }
                Instr::Neg(x) => to.give(x, gradient, gradient, |g, _| -g),
                Instr::Relu(x) => {
                    to.give(x, gradient, registers.get(at), |g, y| if y > T::default() { g } else { T::default() });
                }
            }
        }
    }
    for (load, sums) in loads.iter().zip(&constants).filter(|(_, sums)| !sums.is_empty()) {
        let Some(to) = gradients.get_mut(load.tensor).filter(|to| !to.is_empty()) else { continue };
        let stride = load.gradient_strides.last().copied().unwrap_or(0);
        for row in sums.chunks_exact(blocks.lanes) {
            for (lane, &sum) in row.iter().enumerate() {
                to[load.gradient_start + lane * stride] += sum;
            }
        }
    }
}

/// Which steps lead back to a tensor whose gradient is wanted.
fn wanted(program: &Program<'_>, of_tensor: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut wanted: Vec<bool> = Vec::with_capacity(program.code.len());
    for instr in program.code {
        let own = match *instr {
            Instr::Load(load) => program.loads.get(load).is_some_and(|load| of_tensor(load.tensor)),
            Instr::Add(x, y) | Instr::Sub(x, y) | Instr::Mul(x, y) => wanted[x] || wanted[y],
            Instr::Neg(x) | Instr::Relu(x) => wanted[x],
        };
        wanted.push(own);
    }
    wanted
}

/// A block's gradient to where a load came from.
#[inline(always)]
fn deliver<T: Real>(load: &Load, blocks: &Blocks, gradient: &[T], to: &mut [T]) {
    let axes = load.gradient_strides.len();
    let (row_stride, lane_stride) = (load.gradient_strides[axes - 2], load.gradient_strides[axes - 1]);
    if load.alone {
        // as large as the region, without gaps: a block lies in one piece
        to[..gradient.len()].copy_from_slice(gradient);
        return;
    }
    for (row, gradient) in gradient.chunks_exact(blocks.lanes).enumerate() {
        let start = row * row_stride;
        match lane_stride {
            0 => to[start] += total(gradient),
            1 => add(&mut to[start..start + blocks.lanes], gradient),
            _ => gradient.iter().enumerate().for_each(|(lane, &g)| to[start + lane * lane_stride] += g),
        }
    }
}

/// Values of a block by step of the code.
struct Registers<'a, T> {
    own: Vec<Vec<T>>,
    /// Set instead where the tensor holds the block as it is.
    direct: Vec<Option<&'a [T]>>,
}

impl<'a, T: Real> Registers<'a, T> {
    /// With everything loaded that is the same in all blocks.
    fn new(program: &Program<'_>, blocks: &Blocks, tensors: &[&'a [T]]) -> Self {
        let own = program.code.iter().map(|_| vec![T::default(); blocks.width()]).collect();
        let mut registers = Self { own, direct: vec![None; program.code.len()] };
        for (at, instr) in program.code.iter().enumerate() {
            if let Instr::Load(load) = *instr
                && let Some(load) = program.loads.get(load).filter(|load| load.is_constant())
            {
                let stride = load.strides.last().copied().unwrap_or(0);
                for row in registers.own[at].chunks_exact_mut(blocks.lanes) {
                    for (lane, to) in row.iter_mut().enumerate() {
                        *to = tensors[load.tensor][load.start + lane * stride];
                    }
                }
            }
        }
        registers
    }

    #[inline(always)]
    fn get(&self, at: usize) -> &[T] {
        self.direct[at].unwrap_or(&self.own[at])
    }

    #[inline(always)]
    fn fill(&mut self, program: &Program<'_>, blocks: &Blocks, tensors: &[&'a [T]], offsets: &[usize]) {
        for (at, instr) in program.code.iter().enumerate() {
            let (before, after) = self.own.split_at_mut(at);
            let to = after[0].as_mut_slice();
            let direct = &self.direct;
            let get = |x: usize| direct[x].unwrap_or(&before[x]);
            match *instr {
                Instr::Load(load) => {
                    let how = &program.loads[load];
                    if !how.is_constant() {
                        let from = &tensors[how.tensor][how.start + offsets[load]..];
                        self.direct[at] = read(how, blocks, from, to);
                    }
                }
                Instr::Add(x, y) => zip(to, get(x), get(y), |x, y| x + y),
                Instr::Sub(x, y) => zip(to, get(x), get(y), |x, y| x - y),
                Instr::Mul(x, y) => zip(to, get(x), get(y), |x, y| x * y),
                Instr::Neg(x) => zip(to, get(x), get(x), |x, _| -x),
                // what is no number stays visible
                Instr::Relu(x) => zip(to, get(x), get(x), |x, _| if x < T::default() { T::default() } else { x }),
            }
        }
    }
}

/// A block of a tensor: as it lies there, or else gathered into `to`.
#[inline(always)]
fn read<'a, T: Real>(load: &Load, blocks: &Blocks, from: &'a [T], to: &mut [T]) -> Option<&'a [T]> {
    let axes = load.strides.len();
    let (row_stride, lane_stride) = (load.strides[axes - 2], load.strides[axes - 1]);
    if lane_stride == 1 && (row_stride == blocks.lanes || blocks.rows == 1) {
        return from.get(..to.len());
    }
    for (row, to) in to.chunks_exact_mut(blocks.lanes).enumerate() {
        let from = &from[row * row_stride..];
        match lane_stride {
            0 => to.fill(from[0]),
            1 => to.copy_from_slice(&from[..blocks.lanes]),
            _ => to.iter_mut().enumerate().for_each(|(lane, to)| *to = from[lane * lane_stride]),
        }
    }
    None
}

#[inline(always)]
fn zip<T: Real>(to: &mut [T], x: &[T], y: &[T], f: impl Fn(T, T) -> T) {
    to.iter_mut().zip(x).zip(y).for_each(|((to, &x), &y)| *to = f(x, y));
}

#[inline(always)]
fn add<T: Real>(to: &mut [T], more: &[T]) {
    to.iter_mut().zip(more).for_each(|(to, &more)| *to += more);
}

/// Gradients on their way back through a block.
struct Flow<'a, T> {
    wanted: &'a [bool],
    /// Whether something was given to a step before.
    reached: &'a mut [bool],
    before: &'a mut [Vec<T>],
}

impl<T: Real> Flow<'_, T> {
    /// Gives `f(gradient, other)` to an earlier step.
    #[inline(always)]
    fn give(&mut self, to: usize, gradient: &[T], other: &[T], f: impl Fn(T, T) -> T) {
        if !self.wanted[to] {
            return;
        }
        let all = self.before[to].iter_mut().zip(gradient).zip(other);
        if std::mem::replace(&mut self.reached[to], true) {
            all.for_each(|((to, &g), &x)| *to += f(g, x));
        } else {
            all.for_each(|((to, &g), &x)| *to = f(g, x));
        }
    }
}

/// The sum of a row, in an order that vector units like.
#[inline(always)]
fn total<T: Real>(row: &[T]) -> T {
    const WIDE: usize = 16;
    let mut sums = [T::default(); WIDE];
    let chunks = row.chunks_exact(WIDE);
    let rest = chunks.remainder();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, &x)| *sum += x);
    }
    let mut half = WIDE / 2;
    while half > 0 {
        let (low, high) = sums.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, &mut high)| *low += high);
        half /= 2;
    }
    rest.iter().fold(sums[0], |sum, &x| sum + x)
}

/// Something to be compiled for several kinds of processor: `run` has to be `#[inline(always)]`, as has whatever it calls,
/// because a function keeps the instructions that it was compiled for. So has every loop in a closure.
pub(in crate::execute) trait Work {
    fn run(self);
}

/// Runs `work` with the widest vector instructions that are there.
pub(in crate::execute) fn widest(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the processor has the features that the function is compiled for.
        unsafe { with_avx2(work) };
        return;
    }
    work.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2(work: impl Work) {
    work.run();
}
