//! A plan, and how it is run: the list of kernel calls, and where what they read and write lies.

use std::ops::Range;
use std::time::Instant;

use tch::{Kind, Tensor};

use super::compile::Compiler;
use super::lower::lower;
use super::product::Gemm;
use super::step::{Bases, Step};
use super::units::{Nodes, Units};
use crate::error::{Error, Result};
use crate::kernels::Real;
use crate::kernels::bfloat16::Unit;
use crate::recurrence::Part;

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
pub(super) enum Memory {
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
pub(super) struct Root {
    pub memory: Memory,
    pub bytes: usize,
    /// The first and the last step that use it.
    pub life: Option<(usize, usize)>,
}

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
    pub(super) steps: Vec<Step<T>>,
    /// How many of the steps prepare.
    pub(super) preparing: usize,
    pub(super) roots: Vec<Root>,
    /// Keeps the memory of the constants.
    pub(super) _constants: Vec<Tensor>,
    pub(super) bases: Vec<Base>,
    pub(super) arena: usize,
    pub(super) prepared: usize,
    pub(super) float: Kind,
    /// Bytes of each output.
    pub outputs: Vec<usize>,
    /// By step: nanoseconds and calls so far, where they are measured.
    pub(super) times: Option<Vec<(u64, u64)>>,
}

/// An address in memory that the plan's user vouches for.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Base(pub *mut u8);

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
