//! Fingerprints of data, equal wherever the data is.
//!
//! A digest is the SHA-256 of a tensor's values as little-endian `f32` (rounded to nearest, ties to even), row-major.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::batch::{DataPoint, Trajectories};

/// A SHA-256 in lower-case hexadecimal when shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Takes numbers bit by bit.
struct Hasher {
    sha: Sha256,
    bytes: Vec<u8>,
}

impl Hasher {
    fn new() -> Self {
        Self { sha: Sha256::new(), bytes: Vec::new() }
    }

    fn add(&mut self, values: &[f64]) {
        for part in values.chunks(16 * 1024) {
            self.bytes.clear();
            self.bytes.extend(part.iter().flat_map(|&value| (value as f32).to_le_bytes()));
            self.sha.update(&self.bytes);
        }
    }

    fn finish(self) -> Digest {
        Digest(self.sha.finalize().into())
    }
}

/// The digest of `values`.
pub fn digest(values: &[f64]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.add(values);
    hasher.finish()
}

/// Each data point of the batch that `trajectories` make, its values left out, with its digest.
///
/// Takes the memory of one step of one data point, not of the batch.
pub fn digests(trajectories: &Trajectories) -> Vec<(DataPoint, Digest)> {
    let one = |(index, entry): (usize, &crate::SpecEntry)| {
        let (dtype, shape) = trajectories.layout(index);
        let rows = if entry.stage == crate::Stage::Hint { trajectories.steps() } else { 1 };
        let mut row = vec![0.0; shape.iter().product::<usize>() / rows.max(1)];
        let mut hasher = Hasher::new();
        for step in 0..rows {
            trajectories.write_row(index, step, &mut row);
            hasher.add(&row);
        }
        let crate::SpecEntry { name, stage, location, ty, .. } = *entry;
        (DataPoint { name, stage, location, ty, dtype, shape, data: vec![] }, hasher.finish())
    };
    trajectories.spec().iter().enumerate().map(one).collect()
}
