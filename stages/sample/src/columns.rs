//! How a data point becomes a column: its name, its numbers, and how they nest.

use std::ops::Range;

use clrs::{DataPoint, Dtype, Stage, Type};

/// Number format of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64 bits, floating.
    Double,
    /// 64 bits, whole.
    Whole,
    /// 32 bits: a node.
    Node,
    /// 8 bits: 0, 1 or -1.
    Mark,
}

impl Kind {
    pub fn of(point: &DataPoint) -> Self {
        match point.ty {
            Type::Scalar if point.dtype == Dtype::Int64 => Self::Whole,
            Type::Scalar => Self::Double,
            Type::Pointer | Type::ShouldBePermutation => Self::Node,
            Type::Mask | Type::MaskOne | Type::Categorical | Type::PermutationPointer => Self::Mark,
        }
    }
}

/// One data point, sample by sample.
pub struct Column<'a> {
    pub name: String,
    pub kind: Kind,
    /// Sizes of the lists of one sample (of one step, for hints), outermost first.
    pub inner: &'a [usize],
    pub is_hint: bool,
    point: &'a DataPoint,
    samples: usize,
}

impl<'a> Column<'a> {
    pub fn new(point: &'a DataPoint, samples: usize) -> Self {
        let is_hint = point.stage == Stage::Hint;
        let inner = point.shape.get(if is_hint { 2 } else { 1 }..).unwrap_or_default();
        let name = format!("{}_{}", point.stage, point.name);
        Self { name, kind: Kind::of(point), inner, is_hint, point, samples }
    }

    /// Numbers of one sample (of one step, for hints).
    pub fn size(&self) -> usize {
        self.inner.iter().product()
    }

    /// The numbers of one sample, at each of its `steps` steps if this is a hint.
    pub fn rows(&self, sample: usize, steps: usize) -> impl Iterator<Item = &'a [f64]> {
        let (size, samples, data) = (self.size(), self.samples, &self.point.data);
        let steps = if self.is_hint { steps } else { 1 };
        (0..steps).map(move |step| &data[(step * samples + sample) * size..][..size])
    }
}

/// Ranges of consecutive samples whose tables stay below some hundred megabytes each.
pub fn slices(columns: &[Column], lengths: &[usize]) -> Vec<Range<usize>> {
    const MOST: usize = 1 << 25;
    let step: usize = columns.iter().map(Column::size).max().unwrap_or(1);
    let mut slices = Vec::new();
    let mut begin = 0;
    let mut weight = 0;
    for (sample, &length) in lengths.iter().enumerate() {
        weight += step * length;
        if weight > MOST && sample > begin {
            slices.push(begin..sample);
            (begin, weight) = (sample, step * length);
        }
    }
    slices.push(begin..lengths.len());
    slices
}
