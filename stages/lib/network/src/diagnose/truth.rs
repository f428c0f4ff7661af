//! What the hints of a batch truly are, in the form of decisions.

use clrs::{Batch, DataPoint, MASKED, SpecEntry, Type};

use crate::error::{NetworkError, Result};
use crate::score::first_largest;

/// A hint of a batch over time.
pub(super) struct Truth {
    pub entry: SpecEntry,
    /// By step of the network, which predicts the hint after: a decision for each place of each sample. NaN: not counted.
    pub steps: Vec<Vec<f64>>,
}

impl Truth {
    /// The true values of all hints of a specification, in its order.
    pub fn of_batch<'a>(hints: impl Iterator<Item = &'a SpecEntry>, batch: &Batch) -> Result<Vec<Self>> {
        hints
            .map(|entry| {
                let point =
                    batch.hints.iter().find(|point| point.name == entry.name).ok_or_else(|| NetworkError::Tensor {
                        name: entry.name.to_owned(),
                        reason: "the batch does not have it".to_owned(),
                    })?;
                Ok(Self { entry: *entry, steps: steps(point) })
            })
            .collect()
    }
}

/// The decisions of all steps but the first, which is given.
fn steps(point: &DataPoint) -> Vec<Vec<f64>> {
    let rows = point.shape.first().copied().unwrap_or(0);
    let width = (point.data.len() / rows.max(1)).max(1);
    point.data.chunks_exact(width).skip(1).map(|row| decisions(point, row)).collect()
}

fn decisions(point: &DataPoint, row: &[f64]) -> Vec<f64> {
    match point.ty {
        Type::Scalar | Type::Pointer | Type::ShouldBePermutation => row.to_vec(),
        Type::Mask => {
            let one = |&x: &f64| if x == MASKED { f64::NAN } else { f64::from(u8::from(x > 0.5)) };
            row.iter().map(one).collect()
        }
        Type::MaskOne | Type::Categorical | Type::PermutationPointer => {
            let classes = point.shape.last().copied().unwrap_or(1).max(1);
            let one = |row: &[f64]| if row.contains(&MASKED) { f64::NAN } else { first_largest(row) as f64 };
            row.chunks_exact(classes).map(one).collect()
        }
    }
}
