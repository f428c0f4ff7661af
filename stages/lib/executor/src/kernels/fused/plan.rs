//! From a specification to what the machine runs: bands and strips, where each load and store lies in them, and the steps.
//!
//! The loop's last axis is that of *lanes*, the one before it that of *rows*; the others are outer. A *strip* is what the
//! machine holds at a time: [`STRIP`] vectors, which are a part of a row or some whole rows. Where rows are longer than a
//! strip, the loop runs once over all rows for each *band* of lanes. [`code`](super::code) says which steps are done where.

use graph::{BinaryOp, UnaryOp};

use super::code::Code;
use super::{Instr, LoopSpec, Store, View};
use crate::kernels::real::{Real, private::STRIP};
use crate::kernels::vector::Level;
use crate::kernels::{KernelError, count};

/// Levels of code, from the outermost.
pub(super) const BAND: usize = 0;
pub(super) const OUTER: usize = 1;
pub(super) const INNER: usize = 2;

/// Where an operand comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The last step's value.
    Last,
    Register(u32),
    Const(u32),
    /// A tensor: a strip of it lies in one piece.
    Piece(u32),
    /// A tensor: each vector is somewhere.
    Vectors(u32),
    /// A tensor: each vector is somewhere, and may be shorter than a vector.
    Parts(u32),
    /// A tensor: one number for the whole strip.
    Number(u32),
    /// A tensor: one number for each vector.
    Numbers(u32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    /// The operand itself.
    Take,
    Add,
    Sub,
    /// `b - a`
    SubFrom,
    Mul,
    Div,
    /// `b / a`
    DivInto,
    /// `(a + b) + c`
    AddTwo,
    /// `relu(a + b)`
    AddRelu,
    /// `relu(a - b)`
    SubRelu,
    /// `relu(b - a)`
    SubFromRelu,
    /// `a + relu(b - a)`
    AddExcess,
    /// `a + b * c`, rounded twice.
    AddProduct,
    /// `a - b * c`, rounded twice.
    SubProduct,
    Maximum,
    Minimum,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// b where a is not 0, else c.
    Where,
    /// b where a is more than 0, else c.
    WherePositive,
    Bool,
    Neg,
    Abs,
    Relu,
    Square,
    Cube,
    /// The other functions of one number.
    Unary(UnaryOp),
    /// The other functions of two numbers.
    Binary(BinaryOp),
    /// Collects the lanes of a load.
    Gather(u32),
    /// Writes or sums the operand; the step's value stays the operand.
    Store(u32),
    /// The same with the product of two operands; the step's value stays the first.
    StoreProduct(u32),
}

/// One step of the machine. Its first operand is brought to the accumulator, where it is replaced by the value; so only the
/// first can be [`Source::Last`] without a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub op: Op,
    pub a: Source,
    pub b: Source,
    pub c: Source,
    /// The register that keeps the value, besides the accumulator.
    pub to: Option<u32>,
}

/// Where a tensor's elements are, by axes that were merged.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub tensor: usize,
    pub start: usize,
    pub outer: Vec<usize>,
    pub row: usize,
    pub lane: usize,
}

/// How a strip of a value gets into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// In one piece.
    Piece,
    /// Vector by vector, each of them somewhere.
    Vectors,
    /// As before, with vectors that are shorter.
    Parts,
    /// Lane by lane.
    Scatter,
    /// One sum for each row.
    RowSums,
    /// Added to a strip that is kept, and which is summed into memory from time to time.
    Kept,
}

/// A store, prepared.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub access: Access,
    /// Whether values are added to what is there.
    pub add: bool,
    /// Where its elements have to be set to 0 first: sizes and strides of axes, which lead to each of them once.
    pub clear: Option<Vec<(usize, usize)>>,
    /// The number of its kept strip.
    pub kept: Option<usize>,
    /// Stepping along an outer axis up to this one leads to other elements.
    pub moves: Option<usize>,
}

/// What is special about strips of one size.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub rows: usize,
    /// Vectors that are in use.
    pub active: usize,
    /// Vectors of a row.
    pub columns: usize,
    /// Lanes of each vector.
    pub counts: [usize; STRIP],
    /// Where each vector starts, from the strip's start, by load.
    pub load_offsets: Vec<[usize; STRIP]>,
    /// The same by store.
    pub store_offsets: Vec<[usize; STRIP]>,
    pub targets: Vec<Target>,
    /// How far the next strip is, by load and by store.
    pub load_steps: Vec<usize>,
    pub store_steps: Vec<usize>,
    /// Code by level.
    pub steps: [Vec<Step>; 3],
}

/// Lanes that are done side by side, and others like them.
#[derive(Clone, Debug)]
pub(super) struct Band {
    pub first: usize,
    pub lanes: usize,
    pub repeat: usize,
    pub rows: usize,
    pub full: Tile,
    /// For the last rows, where they do not fill a strip.
    pub rest: Option<Tile>,
}

#[derive(Clone, Debug)]
pub(super) struct Plan<T> {
    pub level: Level,
    pub outer: Vec<usize>,
    /// Size of the last axis but one.
    pub rows: usize,
    pub loads: Vec<Access>,
    pub outputs: Vec<Output>,
    pub bands: Vec<Band>,
    pub consts: Vec<T>,
    pub registers: usize,
    pub kept: usize,
    /// Elements that are needed of each tensor; 0 where it is not used.
    pub input_lengths: Vec<usize>,
    pub output_lengths: Vec<usize>,
}

impl<T: Real> Plan<T> {
    pub fn new(spec: &LoopSpec, level: Level) -> Result<Self, KernelError> {
        check(spec)?;
        let axes = Axes::new(spec, T::width(level));
        // An axis that was cut has whole strips of lanes, so that narrower vectors are never chosen for it.
        let level = level.for_lanes::<T>(axes.lanes);
        let loads: Vec<Access> =
            spec.loads.iter().map(|view| axes.access(view.tensor, view.start, &view.strides)).collect();
        let mut kept = 0;
        let outputs: Vec<Output> = spec.stores.iter().map(|store| axes.output(store, &mut kept)).collect();
        let code = Code::new(spec, &axes, &loads, T::width(level));
        let bands = axes.bands(T::width(level), &loads, &outputs, &code.steps);
        // nothing is read where there are no places
        let read = if spec.shape.contains(&0) { &[] } else { spec.loads.as_slice() };
        let input_lengths = lengths(&spec.shape, read.iter().map(|x| (x.tensor, x.start, &x.strides)))?;
        let output_lengths = lengths(&spec.shape, spec.stores.iter().map(|x| (x.tensor, x.start, &x.strides)))?;
        Ok(Self {
            level,
            loads,
            outputs,
            bands,
            consts: code.consts.iter().map(|&x| T::from_f64(x)).collect(),
            registers: code.registers,
            kept,
            input_lengths,
            output_lengths,
            outer: axes.outer,
            rows: if axes.cut.is_some() { 1 } else { axes.rows },
        })
    }
}

/// Whether all numbers in a specification refer to something.
fn check(spec: &LoopSpec) -> Result<(), KernelError> {
    for (at, instr) in spec.code.iter().enumerate() {
        let before = |x: usize| if x < at { Ok(()) } else { Err(KernelError::Order { at }) };
        match *instr {
            Instr::Load(load) if load >= spec.loads.len() => {
                return Err(KernelError::Missing { what: "load", number: load });
            }
            Instr::Load(_) | Instr::Const(_) => {}
            Instr::Unary(_, x) | Instr::Bool(x) => before(x)?,
            Instr::Binary(_, x, y) => before(x).and(before(y))?,
            Instr::Where(c, x, y) => before(c).and(before(x)).and(before(y))?,
        }
    }
    let wanted = spec.shape.len();
    let rank = |what, number, strides: &[usize]| {
        let got = strides.len();
        if got == wanted { Ok(()) } else { Err(KernelError::Rank { what, number, got, wanted }) }
    };
    for (number, View { strides, .. }) in spec.loads.iter().enumerate() {
        rank("load", number, strides)?;
    }
    for (number, Store { strides, value, .. }) in spec.stores.iter().enumerate() {
        rank("store", number, strides)?;
        if *value >= spec.code.len() {
            return Err(KernelError::Missing { what: "instruction", number: *value });
        }
    }
    // indices are kept in 32 bits; sizes have to leave room for sums of offsets
    if spec.code.len() > usize::from(u16::MAX) || count(&spec.shape)? > isize::MAX as usize / 64 {
        return Err(KernelError::Range);
    }
    Ok(())
}

/// How long each tensor has to be for all its uses.
fn lengths<'a>(
    shape: &[usize],
    uses: impl Iterator<Item = (usize, usize, &'a Vec<usize>)>,
) -> Result<Vec<usize>, KernelError> {
    let mut lengths = Vec::new();
    for (tensor, start, strides) in uses {
        let mut last = start;
        for (&size, &stride) in shape.iter().zip(strides) {
            let along = size.saturating_sub(1).checked_mul(stride).ok_or(KernelError::Range)?;
            last = last.checked_add(along).ok_or(KernelError::Range)?;
        }
        if last > isize::MAX as usize / 64 || tensor > usize::from(u16::MAX) {
            return Err(KernelError::Range);
        }
        if lengths.len() <= tensor {
            lengths.resize(tensor + 1, 0);
        }
        // an axis without places leads nowhere, but a sum over one is 0
        let nowhere = shape.iter().zip(strides).any(|(&size, &stride)| size == 0 && stride != 0);
        lengths[tensor] = lengths[tensor].max(if nowhere { 0 } else { last + 1 });
    }
    Ok(lengths)
}

/// The loop's axes, after axes that all tensors go through alike were merged.
pub(super) struct Axes {
    /// For each axis that is left, the specification's axis whose strides it has.
    parts: Vec<usize>,
    pub outer: Vec<usize>,
    pub rows: usize,
    pub lanes: usize,
    /// A single axis of this size is cut into rows of a strip each, and a rest.
    cut: Option<usize>,
}

impl Axes {
    fn new(spec: &LoopSpec, width: usize) -> Self {
        let all: Vec<&[usize]> = spec
            .loads
            .iter()
            .map(|x| x.strides.as_slice())
            .chain(spec.stores.iter().map(|x| x.strides.as_slice()))
            .collect();
        // sizes with the axis whose stride they go by
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (axis, &size) in spec.shape.iter().enumerate().filter(|(_, size)| **size != 1) {
            match merged.last_mut() {
                Some((before, by))
                    if all.iter().all(|strides| Some(strides[*by]) == strides[axis].checked_mul(size)) =>
                {
                    (*before, *by) = (*before * size, axis);
                }
                _ => merged.push((size, axis)),
            }
        }
        let lanes = merged.last().map_or(1, |last| last.0);
        let rows = merged.len().checked_sub(2).map_or(1, |at| merged[at].0);
        let outer = merged.iter().take(merged.len().saturating_sub(2)).map(|x| x.0).collect();
        let parts: Vec<usize> = merged.into_iter().map(|x| x.1).collect();
        let strip = STRIP * width;
        if parts.len() == 1 && lanes > strip {
            return Self { parts, outer, rows: lanes / strip, lanes: strip, cut: Some(lanes) };
        }
        Self { parts, outer, rows, lanes, cut: None }
    }

    fn access(&self, tensor: usize, start: usize, strides: &[usize]) -> Access {
        let mut strides: Vec<usize> = self.parts.iter().map(|&axis| strides[axis]).collect();
        // where there is but one lane, it may as well be an element of its own
        let lane = strides.pop().unwrap_or(1);
        let row = strides.pop().unwrap_or(if self.cut.is_some() { lane * self.lanes } else { 0 });
        Access { tensor, start, outer: strides, row, lane }
    }

    fn output(&self, store: &Store, kept: &mut usize) -> Output {
        let access = self.access(store.tensor, store.start, &store.strides);
        let sums_lanes = access.lane == 0;
        let sums_rows = self.rows != 1 && access.row == 0;
        let sums_outer = access.outer.contains(&0);
        let keeps = sums_rows || (sums_lanes && self.rows == 1);
        let number = *kept;
        *kept += usize::from(keeps);
        Output {
            add: store.accumulate || sums_outer || sums_rows || sums_lanes,
            clear: (!store.accumulate && (sums_outer || sums_rows || sums_lanes)).then(|| self.elements(&access)),
            kept: keeps.then_some(number),
            moves: access.outer.iter().rposition(|&stride| stride != 0),
            access,
        }
    }

    /// The axes that lead to all elements, in as few pieces as there are.
    fn elements(&self, access: &Access) -> Vec<(usize, usize)> {
        let outer = self.outer.iter().copied().zip(access.outer.iter().copied());
        let inner = match self.cut {
            Some(lanes) => [(1, 0), (lanes, access.lane)],
            None => [(self.rows, access.row), (self.lanes, access.lane)],
        };
        let mut axes: Vec<(usize, usize)> =
            outer.chain(inner).filter(|&(size, stride)| size != 1 && stride != 0).collect();
        axes.sort_unstable_by_key(|&(_, stride)| std::cmp::Reverse(stride));
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (size, stride) in axes {
            match merged.last_mut() {
                Some((before, by)) if Some(*by) == stride.checked_mul(size) => {
                    (*before, *by) = (*before * size, stride)
                }
                _ => merged.push((size, stride)),
            }
        }
        merged
    }

    /// Rows of a strip, in a band of this many lanes.
    pub fn strip_rows(&self, lanes: usize, width: usize) -> usize {
        (STRIP / lanes.div_ceil(width).max(1)).clamp(1, self.rows.max(1))
    }

    fn bands(&self, width: usize, loads: &[Access], outputs: &[Output], steps: &[Vec<Step>; 3]) -> Vec<Band> {
        let most = STRIP * width;
        let band = |first: usize, lanes: usize, repeat: usize, rows: usize| {
            let strip = self.strip_rows(lanes, width).min(rows.max(1));
            let tile = |rows| Tile::new(rows, lanes, width, loads, outputs, steps);
            let rest = rows % strip;
            Band { first, lanes, repeat, rows, full: tile(strip), rest: (rest > 0).then(|| tile(rest)) }
        };
        // whole strips, then what is left of the axis
        let (repeat, whole, rest, rest_rows) = match self.cut {
            Some(lanes) => (1, lanes / most * most, lanes % most, 1),
            None if self.lanes <= most => (0, 0, self.lanes, self.rows),
            None => (self.lanes / most, self.lanes / most * most, self.lanes % most, self.rows),
        };
        let mut bands = Vec::new();
        if repeat > 0 {
            bands.push(band(0, most, repeat, self.rows));
        }
        if rest > 0 {
            bands.push(band(whole, rest, 1, rest_rows));
        }
        bands
    }
}

impl Tile {
    fn new(
        rows: usize,
        lanes: usize,
        width: usize,
        loads: &[Access],
        outputs: &[Output],
        steps: &[Vec<Step>; 3],
    ) -> Self {
        let columns = lanes.div_ceil(width);
        let active = rows * columns;
        let mut counts = [0; STRIP];
        for (vector, count) in counts.iter_mut().enumerate().take(active) {
            *count = width.min(lanes - vector % columns * width);
        }
        // vectors that are not in use read what the first one reads
        let offsets = |access: &Access| {
            let mut offsets = [0; STRIP];
            for (vector, offset) in offsets.iter_mut().enumerate().take(active) {
                *offset = vector / columns * access.row + vector % columns * width * access.lane;
            }
            offsets
        };
        let whole = lanes.is_multiple_of(width);
        let piece = |access: &Access| {
            let in_line = |(vector, offset): (usize, &usize)| *offset == vector * width;
            whole && active == STRIP && access.lane == 1 && offsets(access).iter().enumerate().all(in_line)
        };
        let source = |load: u32| {
            let access = &loads[load as usize];
            match (access.lane, access.row) {
                (0, 0) => Source::Number(load),
                (0, _) if rows == 1 => Source::Number(load),
                (0, _) => Source::Numbers(load),
                _ if piece(access) => Source::Piece(load),
                _ if whole => Source::Vectors(load),
                _ => Source::Parts(load),
            }
        };
        let target = |output: &Output| match output.access.lane {
            _ if output.kept.is_some() => Target::Kept,
            0 => Target::RowSums,
            1 if piece(&output.access) => Target::Piece,
            1 if whole && active == STRIP => Target::Vectors,
            1 => Target::Parts,
            _ => Target::Scatter,
        };
        let resolve = |from: Source| if let Source::Vectors(load) = from { source(load) } else { from };
        let steps = steps.clone().map(|steps| {
            let found = steps.into_iter().map(|x| Step { a: resolve(x.a), b: resolve(x.b), c: resolve(x.c), ..x });
            found.collect()
        });
        Self {
            rows,
            active,
            columns,
            counts,
            load_offsets: loads.iter().map(offsets).collect(),
            store_offsets: outputs.iter().map(|output| offsets(&output.access)).collect(),
            targets: outputs.iter().map(target).collect(),
            load_steps: loads.iter().map(|load| rows * load.row).collect(),
            store_steps: outputs.iter().map(|output| rows * output.access.row).collect(),
            steps,
        }
    }
}
