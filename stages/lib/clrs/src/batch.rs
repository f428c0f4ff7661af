//! Samples side by side, as tensors.

use std::sync::Arc;

use crate::spec::{Dtype, Location, SpecEntry, Stage, Type};
use crate::trace::Trace;

/// One datum of a batch.
///
/// Shapes, with B samples, N nodes, C classes and T steps: `[B, N]` (node), `[B, N, N]` (edge), `[B]` (graph), a
/// trailing C for categoricals and a trailing N for permutation pointers. Hints have a leading T and are zero after a
/// sample's own length.
#[derive(Clone, Debug, PartialEq)]
pub struct DataPoint {
    /// The name in the algorithm's contract.
    pub name: &'static str,
    /// When it exists.
    pub stage: Stage,
    /// What its values are attached to.
    pub location: Location,
    /// How its values are to be read.
    pub ty: Type,
    /// Number format of the reference implementation; `data` holds `f64` all the same.
    pub dtype: Dtype,
    /// Sizes of all axes, as above.
    pub shape: Vec<usize>,
    /// Row-major.
    pub data: Vec<f64>,
}

/// Some samples of one algorithm and one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// What is given.
    pub inputs: Vec<DataPoint>,
    /// Snapshots at every step, each with a leading axis of T steps.
    pub hints: Vec<DataPoint>,
    /// What is asked for.
    pub outputs: Vec<DataPoint>,
    /// Number of valid steps of each sample.
    pub lengths: Vec<usize>,
}

impl Batch {
    /// Number of samples, B.
    pub fn size(&self) -> usize {
        self.lengths.len()
    }

    /// Number of steps that hints are padded to, T.
    pub fn steps(&self) -> usize {
        self.hints.first().and_then(|hint| hint.shape.first()).copied().unwrap_or(0)
    }

    /// Number of nodes, N.
    pub fn nodes(&self) -> usize {
        let node = self.inputs.iter().find(|point| point.location == Location::Node);
        node.and_then(|point| point.shape.get(1)).copied().unwrap_or(0)
    }
}

/// Recorded runs of one algorithm and one size, from which batches are spelt out.
#[derive(Clone, Debug)]
pub struct Trajectories {
    spec: &'static [SpecEntry],
    traces: Vec<Arc<Trace>>,
    steps: usize,
}

impl Trajectories {
    /// `steps` is the least T of the batches; a longer run makes it grow.
    pub(crate) fn new(spec: &'static [SpecEntry], traces: Vec<Arc<Trace>>, steps: usize) -> Self {
        let longest = traces.iter().map(|trace| trace.steps()).max().unwrap_or(0);
        Self { spec, traces, steps: steps.max(longest) }
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.traces.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// What the data of each sample are.
    pub fn spec(&self) -> &'static [SpecEntry] {
        self.spec
    }

    /// Number of steps that hints are padded to, T.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Number of valid steps of each run.
    pub fn lengths(&self) -> Vec<usize> {
        self.traces.iter().map(|trace| trace.steps()).collect()
    }

    fn nodes(&self) -> usize {
        self.traces.first().map_or(0, |trace| trace.nodes())
    }

    /// The runs at `indices` (those that exist), padded to the same number of steps as all of these.
    pub fn select(&self, indices: impl IntoIterator<Item = usize>) -> Self {
        let traces = indices.into_iter().filter_map(|i| self.traces.get(i).cloned()).collect();
        Self { traces, ..*self }
    }

    /// The same runs, padded to no more than the longest of them.
    pub fn unpadded(self) -> Self {
        Self::new(self.spec, self.traces, 0)
    }

    /// All of it as tensors.
    pub fn to_batch(&self) -> Batch {
        let mut batch = Batch { inputs: vec![], hints: vec![], outputs: vec![], lengths: self.lengths() };
        for index in 0..self.spec.len() {
            let point = self.point(index);
            match point.stage {
                Stage::Input => batch.inputs.push(point),
                Stage::Output => batch.outputs.push(point),
                Stage::Hint => batch.hints.push(point),
            }
        }
        batch
    }

    /// Entry `index` of the spec as a tensor.
    pub fn point(&self, index: usize) -> DataPoint {
        let (dtype, shape) = self.layout(index);
        let mut data = vec![0.0; shape.iter().product()];
        let size = self.spec[index].size(self.nodes());
        for (row, out) in data.chunks_exact_mut(size * self.len().max(1)).enumerate() {
            self.write_row(index, row, out);
        }
        let SpecEntry { name, stage, location, ty, .. } = self.spec[index];
        DataPoint { name, stage, location, ty, dtype, shape, data }
    }

    /// Number format and shape of entry `index` as a tensor.
    pub(crate) fn layout(&self, index: usize) -> (Dtype, Vec<usize>) {
        let entry = &self.spec[index];
        let mut shape = vec![self.len()];
        shape.extend(entry.shape(self.nodes()));
        if entry.stage != Stage::Hint {
            return (entry.dtype, shape);
        }
        shape.insert(0, self.steps);
        (Dtype::Float64, shape)
    }

    /// Writes all samples of entry `index` at step `row` (0 for what has no steps).
    pub(crate) fn write_row(&self, index: usize, row: usize, out: &mut [f64]) {
        let entry = &self.spec[index];
        for (trace, out) in self.traces.iter().zip(out.chunks_exact_mut(entry.size(self.nodes()))) {
            if entry.stage != Stage::Hint || row < trace.steps() {
                trace.write(index, row, out);
            } else {
                out.fill(0.0);
            }
        }
    }
}
