//! Draws what a request asks for, piece by piece, so that a dataset need not fit in memory as tensors.

use anyhow::Result;
use clrs::{Batch, ClrsError, Sampler, Transforms};

use crate::plan::{Extent, Request};

/// Samples of a finite dataset that are spelt out at a time.
const PIECE: usize = 32;

/// Some consecutive samples of a batch.
pub struct Piece {
    pub samples: Batch,
    /// Number of the batch, from 0.
    pub batch: usize,
    /// Place of the first sample within the batch.
    pub first: usize,
}

pub fn transforms(request: &Request) -> Transforms {
    Transforms::new(request.pipeline, request.pipeline.is_some(), request.pipeline.is_some())
}

/// Calls `take` with all pieces in order. A finite dataset as a whole is one batch.
pub fn pieces(request: &Request, mut take: impl FnMut(Piece) -> Result<()>) -> Result<()> {
    let mut sampler = Sampler::new(request.algorithm, request.config.clone())?;
    let mut transforms = transforms(request);
    let mut transform = |batch: Batch| -> Result<Batch, ClrsError> { transforms.apply(request.algorithm, batch) };
    match request.extent {
        Extent::Batches { size, count } => {
            for batch in 0..count {
                take(Piece { samples: transform(sampler.next(size)?)?, batch, first: 0 })?;
            }
        }
        Extent::Everything => {
            let dataset = sampler.dataset()?;
            for first in (0..dataset.len()).step_by(PIECE) {
                let samples = dataset.select(first..first + PIECE).to_batch();
                take(Piece { samples: transform(samples)?, batch: 0, first })?;
            }
        }
    }
    Ok(())
}
