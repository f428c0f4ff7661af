//! Runs the steps of a plan, strip by strip.
//!
//! The value of a step is in the accumulator, which is [`STRIP`] vectors of the processor; a step that needs it finds it
//! there. Other values wait in registers of the same size, which lie in the first-level cache.

use std::mem::size_of;

use super::plan::{Access, BAND, Band, INNER, OUTER, Op, Output, Plan, Source, Step, Target, Tile};
use crate::kernels::math::{maximum, minimum, truth, untruth};
use crate::kernels::real::{Real, private::STRIP};
use crate::kernels::vector::{MOST_LANES, Vector, Work};
use graph::{BinaryOp, UnaryOp};

/// Bytes that start where a cache line does.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Room for strips.
#[derive(Clone, Debug)]
struct Strips(Vec<Line>);

impl Strips {
    fn new<T>(count: usize) -> Self {
        let bytes = count * STRIP * MOST_LANES * size_of::<T>();
        Self(vec![Line([0; 64]); bytes.div_ceil(64)])
    }

    fn pointer<T>(&mut self) -> *mut T {
        self.0.as_mut_ptr().cast()
    }
}

/// What a loop needs while it runs.
#[derive(Clone, Debug)]
pub(super) struct State<T> {
    registers: Strips,
    kept: Strips,
    /// Where the current outer place starts, in elements, by load and by store.
    read_from: Vec<usize>,
    write_to: Vec<usize>,
    readers: Vec<*const T>,
    writers: Vec<*mut T>,
    place: Vec<usize>,
}

// SAFETY: the pointers are set anew by each run, from slices that it borrows, and are not used after it.
unsafe impl<T: Send> Send for State<T> {}
// SAFETY: as above; a shared state gives no access to them.
unsafe impl<T: Sync> Sync for State<T> {}

impl<T: Real> State<T> {
    pub fn new(plan: &Plan<T>) -> Self {
        Self {
            registers: Strips::new::<T>(plan.registers),
            kept: Strips::new::<T>(plan.kept),
            read_from: vec![0; plan.loads.len()],
            write_to: vec![0; plan.outputs.len()],
            readers: vec![std::ptr::null(); plan.loads.len()],
            writers: vec![std::ptr::null_mut(); plan.outputs.len()],
            place: vec![0; plan.outer.len()],
        }
    }
}

/// Runs a plan on tensors whose lengths were checked.
pub(super) fn run<T: Real>(plan: &Plan<T>, state: &mut State<T>, inputs: &[&[T]], outputs: &mut [&mut [T]]) {
    for output in &plan.outputs {
        if let (Some(axes), Some(to)) = (&output.clear, outputs.get_mut(output.access.tensor)) {
            clear(axes, output.access.start, to);
        }
    }
    if plan.rows == 0 || plan.outer.contains(&0) || plan.bands.is_empty() {
        return;
    }
    T::dispatch(plan.level, Run { plan, state, inputs, outputs });
}

/// Sets elements to 0.
fn clear<T: Real>(axes: &[(usize, usize)], start: usize, to: &mut [T]) {
    match *axes {
        [] => {
            if let Some(to) = to.get_mut(start) {
                *to = T::ZERO;
            }
        }
        [(size, 1)] => {
            if let Some(to) = to.get_mut(start..start + size) {
                to.fill(T::ZERO);
            }
        }
        [(size, stride)] => to.iter_mut().skip(start).step_by(stride).take(size).for_each(|to| *to = T::ZERO),
        [(size, stride), ref rest @ ..] => {
            for place in 0..size {
                clear(rest, start + place * stride, to);
            }
        }
    }
}

struct Run<'r, 'o, T> {
    plan: &'r Plan<T>,
    state: &'r mut State<T>,
    inputs: &'r [&'r [T]],
    outputs: &'r mut [&'o mut [T]],
}

impl<T: Real> Work<T> for Run<'_, '_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(mut self) {
        let plan = self.plan;
        for band in &plan.bands {
            for turn in 0..band.repeat {
                self.band::<V>(band, band.first + turn * band.lanes);
            }
        }
    }
}

impl<T: Real> Run<'_, '_, T> {
    #[inline(always)]
    fn band<V: Vector<T>>(&mut self, band: &Band, first: usize) {
        let plan = self.plan;
        for (from, load) in self.state.read_from.iter_mut().zip(&plan.loads) {
            *from = load.start + first * load.lane;
        }
        for (to, output) in self.state.write_to.iter_mut().zip(&plan.outputs) {
            *to = output.access.start + first * output.access.lane;
        }
        self.state.place.fill(0);
        self.point();
        self.strips::<V>(&band.full, BAND, 1);
        loop {
            self.strips::<V>(&band.full, OUTER, 1);
            self.strips::<V>(&band.full, INNER, band.rows / band.full.rows);
            if let Some(rest) = &band.rest {
                self.strips::<V>(rest, INNER, 1);
            }
            let stepped = self.step_axis();
            self.flush::<V>(&band.full, stepped);
            let Some(axis) = stepped else { return };
            self.enter(axis);
            self.point();
        }
    }

    /// Points at the first row of the current outer place.
    #[inline(always)]
    fn point(&mut self) {
        let state = &mut *self.state;
        for ((reader, load), &from) in state.readers.iter_mut().zip(&self.plan.loads).zip(&state.read_from) {
            // a tensor that is missing is one that no needed instruction reads, or has no elements to be read
            let start = self.inputs.get(load.tensor).map_or(std::ptr::null(), |input| input.as_ptr());
            *reader = start.wrapping_add(from);
        }
        for ((writer, output), &to) in state.writers.iter_mut().zip(&self.plan.outputs).zip(&state.write_to) {
            let start = self.outputs.get_mut(output.access.tensor).map_or(std::ptr::null_mut(), |x| x.as_mut_ptr());
            *writer = start.wrapping_add(to);
        }
    }

    /// The outer axis along which the next place lies; none after the last place.
    #[inline(always)]
    fn step_axis(&self) -> Option<usize> {
        let sizes = self.plan.outer.iter().zip(&self.state.place);
        sizes.enumerate().rev().find(|(_, (size, place))| **place + 1 < **size).map(|(axis, _)| axis)
    }

    /// Goes to the next place, which lies along this axis.
    #[inline(always)]
    fn enter(&mut self, axis: usize) {
        let state = &mut *self.state;
        let move_on = |from: &mut usize, strides: &[usize], place: &[usize]| {
            *from += strides[axis];
            for inner in axis + 1..place.len() {
                *from -= strides[inner] * place[inner];
            }
        };
        for (from, load) in state.read_from.iter_mut().zip(&self.plan.loads) {
            move_on(from, &load.outer, &state.place);
        }
        for (to, output) in state.write_to.iter_mut().zip(&self.plan.outputs) {
            move_on(to, &output.access.outer, &state.place);
        }
        state.place[axis] += 1;
        state.place[axis + 1..].fill(0);
    }

    /// Runs the code of a level for this many strips; only that of the innermost moves on by rows.
    #[inline(always)]
    fn strips<V: Vector<T>>(&mut self, tile: &Tile, level: usize, strips: usize) {
        let steps = tile.steps[level].as_slice();
        if steps.is_empty() {
            return;
        }
        V::apart(Steps {
            steps,
            strips,
            moves: level == INNER,
            tile,
            consts: &self.plan.consts,
            loads: &self.plan.loads,
            outputs: &self.plan.outputs,
            registers: self.state.registers.pointer(),
            kept: self.state.kept.pointer(),
            readers: &mut self.state.readers,
            writers: &mut self.state.writers,
        });
    }

    /// Sums kept strips into memory where their elements change with a step along the axis, or where it is the outermost:
    /// that sums in two stages, which loses fewer digits.
    #[inline(always)]
    fn flush<V: Vector<T>>(&mut self, tile: &Tile, stepped: Option<usize>) {
        for (output, &to) in self.plan.outputs.iter().zip(&self.state.write_to) {
            let Some(number) = output.kept else { continue };
            if stepped.is_some_and(|axis| axis > 0 && output.moves.is_none_or(|moves| axis > moves)) {
                continue;
            }
            let start = self.outputs.get_mut(output.access.tensor).map_or(std::ptr::null_mut(), |x| x.as_mut_ptr());
            let kept = self.state.kept.pointer::<T>().wrapping_add(number * STRIP * V::WIDTH);
            V::apart(Flush { tile, kept, to: start.wrapping_add(to), lane: output.access.lane });
        }
    }
}

/// Sums a kept strip into memory, and sets it to 0.
struct Flush<'r, T> {
    tile: &'r Tile,
    kept: *mut T,
    to: *mut T,
    lane: usize,
}

impl<T: Real> Work<T> for Flush<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self { tile, kept, to, lane } = self;
        let mut total = T::ZERO;
        for column in 0..tile.columns {
            let count = tile.counts[column];
            // SAFETY: a kept strip has STRIP vectors, of which rows * columns are in use; the plan has checked that the
            // output has elements for the first `count` lanes of each vector of a row.
            unsafe {
                let mut sum = V::load_part(kept.add(column * V::WIDTH), count);
                for row in 1..tile.rows {
                    sum = sum.add(V::load_part(kept.add((row * tile.columns + column) * V::WIDTH), count));
                }
                match lane {
                    0 => total += sum.total(),
                    1 => {
                        let to = to.add(column * V::WIDTH);
                        V::load_part(to, count).add(sum).store_part(to, count);
                    }
                    _ => scatter(sum, to.add(column * V::WIDTH * lane), count, lane, true),
                }
            }
        }
        // SAFETY: as above.
        unsafe {
            if lane == 0 {
                *to += total;
            }
            for vector in 0..STRIP {
                V::splat(T::ZERO).store(kept.add(vector * V::WIDTH));
            }
        }
    }
}

/// Writes or adds single lanes.
///
/// # Safety
/// `to` has to have `count` elements that are `stride` apart.
#[inline(always)]
unsafe fn scatter<T: Real, V: Vector<T>>(x: V, to: *mut T, count: usize, stride: usize, add: bool) {
    let mut lanes = [T::ZERO; MOST_LANES];
    // SAFETY: no vector has more lanes than the array; the caller's promise.
    unsafe {
        x.store(lanes.as_mut_ptr());
        for (lane, &x) in lanes.iter().enumerate().take(count) {
            let to = to.add(lane * stride);
            *to = if add { *to + x } else { x };
        }
    }
}

/// The steps of one level, for some strips one after the other.
struct Steps<'r, T> {
    steps: &'r [Step],
    strips: usize,
    /// Whether to go to the next rows after each strip.
    moves: bool,
    tile: &'r Tile,
    consts: &'r [T],
    loads: &'r [Access],
    outputs: &'r [Output],
    registers: *mut T,
    kept: *mut T,
    readers: &'r mut [*const T],
    writers: &'r mut [*mut T],
}

impl<T: Real> Work<T> for Steps<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(mut self) {
        for _ in 0..self.strips {
            self.strip::<V>();
            if self.moves {
                self.advance();
            }
        }
    }
}

impl<T: Real> Steps<'_, T> {
    #[inline(always)]
    fn advance(&mut self) {
        for (reader, &step) in self.readers.iter_mut().zip(&self.tile.load_steps) {
            *reader = reader.wrapping_add(step);
        }
        for (writer, &step) in self.writers.iter_mut().zip(&self.tile.store_steps) {
            *writer = writer.wrapping_add(step);
        }
    }

    #[inline(always)]
    fn strip<V: Vector<T>>(&self) {
        let (zero, one) = (V::splat(T::ZERO), V::splat(T::ONE));
        let mut last = [zero; STRIP];
        for step in self.steps {
            self.fetch(step.a, &mut last);
            let mut y = last;
            self.fetch(step.b, &mut y);
            macro_rules! each {
                ($x:ident => $value:expr) => {
                    for place in 0..STRIP {
                        let $x = last[place];
                        last[place] = $value;
                    }
                };
                ($x:ident, $y:ident => $value:expr) => {
                    for place in 0..STRIP {
                        let ($x, $y) = (last[place], y[place]);
                        last[place] = $value;
                    }
                };
                ($x:ident, $y:ident, $z:ident => $value:expr) => {
                    let mut z = last;
                    self.fetch(step.c, &mut z);
                    for place in 0..STRIP {
                        let ($x, $y, $z) = (last[place], y[place], z[place]);
                        last[place] = $value;
                    }
                };
            }
            match step.op {
                Op::Take => {}
                Op::Add => each!(x, y => x.add(y)),
                Op::Sub => each!(x, y => x.sub(y)),
                Op::SubFrom => each!(x, y => y.sub(x)),
                Op::Mul => each!(x, y => x.mul(y)),
                Op::Div => each!(x, y => x.div(y)),
                Op::DivInto => each!(x, y => y.div(x)),
                Op::AddTwo => {
                    each!(x, y, z => x.add(y).add(z));
                }
                Op::AddRelu => each!(x, y => zero.over(x.add(y))),
                Op::SubRelu => each!(x, y => zero.over(x.sub(y))),
                Op::SubFromRelu => each!(x, y => zero.over(y.sub(x))),
                Op::AddExcess => each!(x, y => x.add(zero.over(y.sub(x)))),
                Op::AddProduct => {
                    each!(x, y, z => x.add(y.mul(z)));
                }
                Op::SubProduct => {
                    each!(x, y, z => x.sub(y.mul(z)));
                }
                Op::Maximum => each!(x, y => maximum(x, y)),
                Op::Minimum => each!(x, y => minimum(x, y)),
                Op::Eq => each!(x, y => truth(x.eq(y))),
                Op::Ne => each!(x, y => untruth(x.eq(y))),
                Op::Lt => each!(x, y => truth(x.lt(y))),
                Op::Le => each!(x, y => truth(x.le(y))),
                Op::Gt => each!(x, y => truth(y.lt(x))),
                Op::Ge => each!(x, y => truth(y.le(x))),
                Op::Where => {
                    each!(x, y, z => V::select(x.eq(zero), z, y));
                }
                Op::WherePositive => {
                    each!(x, y, z => V::select(zero.lt(x), y, z));
                }
                Op::Bool => each!(x => V::select(x.eq(zero), zero, one)),
                Op::Neg => each!(x => x.neg()),
                Op::Abs => each!(x => x.abs()),
                Op::Relu => each!(x => zero.over(x)),
                Op::Square => each!(x => x.mul(x)),
                Op::Cube => each!(x => x.mul(x).mul(x)),
                Op::Unary(op) => {
                    let mut strip = last;
                    V::apart(Unary { op, strip: (&raw mut strip).cast::<T>() });
                    last = strip;
                }
                Op::Binary(op) => {
                    let (mut strip, other) = (last, y);
                    V::apart(Binary { op, strip: (&raw mut strip).cast::<T>(), other: (&raw const other).cast::<T>() });
                    last = strip;
                }
                Op::Gather(load) => {
                    if let Some(to) = step.to {
                        let to = self.register::<V>(to);
                        V::apart(Gather { of: self, load: load as usize, to });
                        self.vectors(to, &mut last);
                    }
                }
                Op::Store(number) => self.store(number as usize, &last),
                Op::StoreProduct(number) => {
                    for place in 0..STRIP {
                        y[place] = last[place].mul(y[place]);
                    }
                    self.store(number as usize, &y);
                }
            }
            if let Some(to) = step.to {
                let to = self.register::<V>(to);
                for place in 0..STRIP {
                    // SAFETY: the register has STRIP vectors.
                    unsafe { last[place].store(to.add(place * V::WIDTH)) };
                }
            }
        }
    }
}

impl<T: Real> Steps<'_, T> {
    #[inline(always)]
    fn register<V: Vector<T>>(&self, number: u32) -> *mut T {
        self.registers.wrapping_add(number as usize * STRIP * V::WIDTH)
    }

    /// Loads a strip that lies in one piece.
    #[inline(always)]
    fn vectors<V: Vector<T>>(&self, from: *const T, strip: &mut [V; STRIP]) {
        for place in 0..STRIP {
            // SAFETY: callers pass registers, or tensors of which the plan says that a strip lies in one piece.
            strip[place] = unsafe { V::load(from.add(place * V::WIDTH)) };
        }
    }

    /// Brings an operand; `strip` is the accumulator, or a copy of it.
    #[inline(always)]
    fn fetch<V: Vector<T>>(&self, source: Source, strip: &mut [V; STRIP]) {
        match source {
            Source::Last => {}
            Source::Register(number) => self.vectors(self.register::<V>(number), strip),
            Source::Const(number) => *strip = [V::splat(self.consts[number as usize]); STRIP],
            Source::Piece(load) => self.vectors(self.readers[load as usize], strip),
            Source::Vectors(load) => {
                let (from, offsets) = (self.readers[load as usize], &self.tile.load_offsets[load as usize]);
                for place in 0..STRIP {
                    // SAFETY: the plan has checked that the tensor has all elements of the strip; these vectors are whole.
                    strip[place] = unsafe { V::load(from.add(offsets[place])) };
                }
            }
            Source::Parts(load) => {
                let (from, offsets) = (self.readers[load as usize], &self.tile.load_offsets[load as usize]);
                for place in 0..STRIP {
                    // SAFETY: as above; `counts` says how much of each vector is part of the strip.
                    strip[place] = unsafe { V::load_part(from.add(offsets[place]), self.tile.counts[place]) };
                }
            }
            Source::Number(load) => {
                // SAFETY: as above.
                *strip = [V::splat(unsafe { *self.readers[load as usize] }); STRIP];
            }
            Source::Numbers(load) => {
                let (from, offsets) = (self.readers[load as usize], &self.tile.load_offsets[load as usize]);
                for place in 0..STRIP {
                    // SAFETY: as above.
                    strip[place] = V::splat(unsafe { *from.add(offsets[place]) });
                }
            }
        }
    }

    #[inline(always)]
    fn store<V: Vector<T>>(&self, number: usize, x: &[V; STRIP]) {
        let (to, output) = (self.writers[number], &self.outputs[number]);
        // copies, here and below, because for all that the compiler knows writing to tensors might change the originals
        let add = output.add;
        let offsets = || self.tile.store_offsets[number];
        // SAFETY of this function's blocks: the plan has checked that the output has all elements that the strip goes to.
        match self.tile.targets[number] {
            Target::Piece => {
                if add {
                    for place in 0..STRIP {
                        // SAFETY: see above.
                        unsafe { put(x[place], to.add(place * V::WIDTH), true) };
                    }
                } else {
                    for place in 0..STRIP {
                        // SAFETY: see above.
                        unsafe { put(x[place], to.add(place * V::WIDTH), false) };
                    }
                }
            }
            Target::Vectors => {
                let offsets = offsets();
                for place in 0..STRIP {
                    // SAFETY: see above.
                    unsafe { put(x[place], to.add(offsets[place]), add) };
                }
            }
            Target::Parts => {
                let (counts, offsets) = (self.tile.counts, offsets());
                for place in 0..STRIP {
                    let count = counts[place];
                    // SAFETY: see above; vectors that are not in use have no lanes.
                    unsafe {
                        let to = to.add(offsets[place]);
                        let x = if add { V::load_part(to, count).add(x[place]) } else { x[place] };
                        x.store_part(to, count);
                    }
                }
            }
            Target::Kept => {
                let number = output.kept.unwrap_or(0);
                let kept = self.kept.wrapping_add(number * STRIP * V::WIDTH);
                let active = self.tile.active;
                for place in 0..STRIP {
                    if place < active {
                        // SAFETY: a kept strip has STRIP vectors.
                        unsafe { put(x[place], kept.add(place * V::WIDTH), true) };
                    }
                }
            }
            Target::RowSums => {
                let strip = *x;
                V::apart(RowSums { tile: self.tile, strip: (&raw const strip).cast(), to, row: output.access.row });
            }
            Target::Scatter => {
                let (strip, offsets) = (*x, offsets());
                V::apart(Scatter { tile: self.tile, strip: (&raw const strip).cast(), to, offsets: &offsets, output });
            }
        }
    }
}

/// Writes or adds a vector.
///
/// # Safety
/// `to` has to have a vector's elements.
#[inline(always)]
unsafe fn put<T: Real, V: Vector<T>>(x: V, to: *mut T, add: bool) {
    // SAFETY: the caller's promise.
    unsafe {
        let x = if add { V::load(to).add(x) } else { x };
        x.store(to);
    }
}

/// The strip that a pointer to its first lane leads to.
///
/// # Safety
/// The pointer has to be one to STRIP vectors.
#[inline(always)]
unsafe fn strip_at<T: Real, V: Vector<T>>(from: *const T) -> [V; STRIP] {
    let mut strip = [V::splat(T::ZERO); STRIP];
    for (place, vector) in strip.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *vector = unsafe { V::load(from.add(place * V::WIDTH)) };
    }
    strip
}

struct Unary<T> {
    op: UnaryOp,
    strip: *mut T,
}

impl<T: Real> Work<T> for Unary<T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        // SAFETY: made of a strip of such vectors, which nothing else uses meanwhile.
        T::unary(self.op, unsafe { &mut *self.strip.cast::<[V; STRIP]>() });
    }
}

struct Binary<T> {
    op: BinaryOp,
    strip: *mut T,
    other: *const T,
}

impl<T: Real> Work<T> for Binary<T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        // SAFETY: made of two strips of such vectors, which nothing else uses meanwhile.
        let (strip, other) = unsafe { (&mut *self.strip.cast::<[V; STRIP]>(), &*self.other.cast::<[V; STRIP]>()) };
        T::binary(self.op, strip, other);
    }
}

struct Gather<'r, 's, T> {
    of: &'r Steps<'s, T>,
    load: usize,
    to: *mut T,
}

impl<T: Real> Work<T> for Gather<'_, '_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let (tile, from) = (self.of.tile, self.of.readers[self.load]);
        let stride = self.of.loads[self.load].lane;
        let offsets = tile.load_offsets[self.load];
        let counts = tile.counts;
        for place in 0..tile.active {
            // SAFETY: the plan has checked that the tensor has these elements; the register has STRIP vectors.
            unsafe {
                let (from, to) = (from.add(offsets[place]), self.to.add(place * V::WIDTH));
                if counts[place] == V::WIDTH {
                    for lane in 0..V::WIDTH {
                        *to.add(lane) = *from.add(lane * stride);
                    }
                } else {
                    for lane in 0..counts[place] {
                        *to.add(lane) = *from.add(lane * stride);
                    }
                }
            }
        }
    }
}

struct RowSums<'r, T> {
    tile: &'r Tile,
    strip: *const T,
    to: *mut T,
    row: usize,
}

impl<T: Real> Work<T> for RowSums<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        let Self { tile, strip, to, row } = self;
        for number in 0..tile.rows {
            // SAFETY: the strip has rows * columns vectors in use; the plan has checked that each row has an element.
            unsafe {
                let from = strip.add(number * tile.columns * V::WIDTH);
                let mut sum = V::load_part(from, tile.counts[0]);
                for column in 1..tile.columns {
                    sum = sum.add(V::load_part(from.add(column * V::WIDTH), tile.counts[column]));
                }
                *to.add(number * row) += sum.total();
            }
        }
    }
}

struct Scatter<'r, T> {
    tile: &'r Tile,
    strip: *const T,
    to: *mut T,
    offsets: &'r [usize; STRIP],
    output: &'r Output,
}

impl<T: Real> Work<T> for Scatter<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<V: Vector<T>>(self) {
        // SAFETY: made of a strip of such vectors; the plan has checked that the output has the elements.
        unsafe {
            let strip: [V; STRIP] = strip_at(self.strip);
            for place in 0..self.tile.active {
                let to = self.to.add(self.offsets[place]);
                scatter(strip[place], to, self.tile.counts[place], self.output.access.lane, self.output.add);
            }
        }
    }
}
