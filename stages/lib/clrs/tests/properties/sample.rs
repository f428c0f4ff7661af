//! One sample of a batch, by names.

use clrs::{Batch, DataPoint, Stage};

pub struct Sample<'a> {
    pub batch: &'a Batch,
    index: usize,
    pub n: usize,
    pub steps: usize,
}

impl<'a> Sample<'a> {
    pub fn new(batch: &'a Batch, index: usize) -> Self {
        Self { batch, index, n: batch.nodes(), steps: batch.lengths[index] }
    }

    pub fn points(&self) -> impl Iterator<Item = &'a DataPoint> {
        self.batch.inputs.iter().chain(&self.batch.outputs).chain(&self.batch.hints)
    }

    fn point(&self, name: &str) -> &'a DataPoint {
        self.points().find(|point| point.name == name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// The values of an input or output, or of a hint at some step.
    pub fn at(&self, point: &'a DataPoint, step: usize) -> &'a [f64] {
        let batch_axis = usize::from(point.stage == Stage::Hint);
        let size: usize = point.shape[batch_axis + 1..].iter().product();
        let row = if batch_axis == 1 { step * self.batch.size() } else { 0 } + self.index;
        &point.data[row * size..][..size]
    }

    /// The values of an input or output, or of a hint at the last step.
    pub fn values(&self, name: &str) -> &'a [f64] {
        self.at(self.point(name), self.steps - 1)
    }

    /// Nodes pointed at.
    pub fn pointers(&self, name: &str) -> Vec<usize> {
        self.values(name).iter().map(|&node| node as usize).collect()
    }

    /// The node that is 1.
    pub fn one(&self, name: &str) -> usize {
        self.values(name).iter().position(|&value| value == 1.0).expect("a mask_one has a 1")
    }

    pub fn mask(&self, name: &str) -> Vec<bool> {
        self.values(name).iter().map(|&value| value == 1.0).collect()
    }

    /// Classes of a categorical of `classes` classes, `None` for what is masked.
    pub fn classes(&self, name: &str, classes: usize) -> Vec<Option<usize>> {
        self.values(name).chunks_exact(classes).map(|row| row.iter().position(|&value| value == 1.0)).collect()
    }

    /// An N x N datum, row by row.
    pub fn matrix(&self, name: &str) -> Vec<Vec<f64>> {
        self.values(name).chunks_exact(self.n).map(<[f64]>::to_vec).collect()
    }
}
