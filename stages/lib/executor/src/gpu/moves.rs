//! Many small copies and additions as one kernel.

use std::fmt::Write as _;

use tch::{Kind, Tensor};

use super::code::Source;
use super::graphs::Stream;
use super::library::{Arguments, Target, compile};
use super::special::small;
use crate::error::{Error, Result};

/// What becomes of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Copy,
    Add,
    /// To the row of the present time step, [T, ...].
    ToRow,
    /// From the row of the present time step.
    FromRow,
}

/// One of them.
pub(crate) struct Move {
    pub how: How,
    pub from: Tensor,
    pub to: Tensor,
}

/// How copies are made.
#[derive(Clone, Copy)]
pub(crate) struct Mover {
    /// Absent: each by libtorch.
    pub target: Option<Target>,
    pub float: Kind,
    pub stream: Option<Stream>,
}

/// Copies of a kernel, at the most: its arguments are limited.
const MOST: usize = 96;

impl Mover {
    /// Makes all copies, in any order: none may write what another reads or writes. `clock`: the time step, [1].
    pub fn run(self, clock: &Tensor, moves: Vec<Move>) -> Result<()> {
        let Some(target) = self.target else { return moves.into_iter().try_for_each(|one| by_libtorch(clock, one)) };
        let mut fitting = Vec::new();
        for Move { how, from, to } in moves {
            // Kernels count in whole words, and from the start of memory without gaps.
            let kind = to.f_kind()?;
            let bytes = kind.elt_size_in_bytes();
            let elements = from.numel().min(to.numel());
            let whole = (elements * bytes).is_multiple_of(4) && to.is_contiguous();
            let same = matches!(how, How::ToRow | How::FromRow) || from.numel() == to.numel();
            let plain = same && from.f_kind()? == kind && (how != How::Add || kind == self.float);
            if whole && plain {
                fitting.push((Move { how, from: from.f_contiguous()?, to }, elements * bytes / 4));
            } else {
                by_libtorch(clock, Move { how, from, to })?;
            }
        }
        fitting.chunks(MOST).try_for_each(|moves| self.launch(target, clock, moves))
    }

    fn launch(self, target: Target, clock: &Tensor, moves: &[(Move, usize)]) -> Result<()> {
        let real = if self.float == Kind::Double { 2 } else { 1 };
        let hows: Vec<How> = moves.iter().map(|(one, _)| one.how).collect();
        let function =
            *compile(target, self.float, &[source(&hows)])?.first().ok_or_else(|| Error::missing("a kernel"))?;
        let mut pointers = vec![clock.data_ptr()];
        let mut numbers = Vec::new();
        for (Move { how, from, to }, words) in moves {
            pointers.extend([from.data_ptr(), to.data_ptr()]);
            numbers.push(small(if *how == How::Add { words / real } else { *words })?);
        }
        let total = numbers.iter().try_fold(0_u32, |total, &n| total.checked_add(n));
        let total = total.ok_or_else(|| Error::Inconsistent("too many elements for one kernel of a GPU".to_owned()))?;
        // SAFETY: the addresses are those of tensors without gaps, of at least as many words as the numbers say, or for rows
        // of as many in each row; the clock is within the rows.
        unsafe { function.launch(self.stream, &Arguments::new(&pointers, &numbers, total), total) }
    }
}

/// Addresses: the clock, then from and to of each; numbers: the words of each, or its floats where these are added.
fn source(hows: &[How]) -> Source {
    let mut body = "  const unsigned long long t = *(const long long *)p.p[0];\n  unsigned k = i;\n".to_owned();
    for (at, how) in hows.iter().enumerate() {
        let (from, to) = (1 + 2 * at, 2 + 2 * at);
        let words = |place: usize| format!("((unsigned *)p.p[{place}])");
        let line = match how {
            How::Copy => format!("{}[k] = {}[k];", words(to), words(from)),
            How::ToRow => format!("{}[t * p.n[{at}] + k] = {}[k];", words(to), words(from)),
            How::FromRow => format!("{}[k] = {}[t * p.n[{at}] + k];", words(to), words(from)),
            How::Add => format!("((real *)p.p[{to}])[k] += ((const real *)p.p[{from}])[k];"),
        };
        let _ = writeln!(body, "  if (k < p.n[{at}]) {{ {line} return; }}\n  k -= p.n[{at}];");
    }
    Source { body, pointers: 1 + 2 * hows.len(), numbers: hows.len() }
}

fn by_libtorch(clock: &Tensor, Move { how, from, mut to }: Move) -> Result<()> {
    match how {
        How::Copy => to.f_copy_(&from)?,
        How::Add => drop(to.f_add_(&from)?),
        How::ToRow => drop(to.f_index_copy_(0, clock, &from.f_unsqueeze(0)?)?),
        How::FromRow => to.f_copy_(&from.f_index_select(0, clock)?.f_squeeze_dim(0)?)?,
    }
    Ok(())
}
