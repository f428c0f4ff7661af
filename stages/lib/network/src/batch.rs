//! Batches of the benchmark as tensors, in the form that the network's graph takes.

use clrs::{Batch, DataPoint, Type};
use executor::tensor::{from_f64, size, sizes};
use tch::{Kind, Tensor};

use crate::Device;
use crate::error::{NetworkError, Result};
use model::Model;

/// One batch on a device. Pointers are one-hot, everything is in the computation's float type.
pub(crate) struct Encoded {
    /// B and N
    pub sizes: (i64, i64),
    /// T, the number of steps that hints are padded to.
    pub steps: usize,
    /// Number of valid steps of each sample.
    pub lengths: Vec<usize>,
    /// In the order of the model's ports, as are the next two.
    pub inputs: Vec<Tensor>,
    /// [T, B, ...], or [1, B, ...] where only the first step was asked for.
    pub hints: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
}

/// How much of the hints to bring along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hints {
    All,
    /// What prediction needs: it is given the true hints of the first step only.
    First,
}

impl Encoded {
    pub fn new(model: &Model, batch: &Batch, hints: Hints, kind: Kind, device: Device) -> Result<Self> {
        let (b, n) = (size(batch.size())?, size(batch.nodes())?);
        let steps = batch.steps();
        if b < 1 || n < 1 || steps < 1 || batch.lengths.iter().any(|&length| length < 1 || length > steps) {
            let reason = format!("a batch of {b} samples of {n} nodes and {steps} steps");
            return Err(NetworkError::Inconsistent(reason));
        }
        let encode = |ports: &[model::Port], points: &[DataPoint], first: bool| -> Result<Vec<Tensor>> {
            let one = |port: &model::Port| -> Result<Tensor> {
                let name = port.entry.name;
                let point = points.iter().find(|point| point.name == name);
                let point = point.ok_or_else(|| missing(name))?;
                let mut shape = sizes(&point.shape)?;
                let mut data = point.data.as_slice();
                if first && let Some(rows) = shape.first_mut() {
                    data = data.get(..data.len() / usize::try_from(*rows).unwrap_or(1).max(1)).unwrap_or(data);
                    *rows = 1;
                }
                if point.ty == Type::Pointer {
                    let index = from_f64(data, &shape, Kind::Int64, device)?;
                    return Ok(index.f_one_hot(n)?.f_to_kind(kind)?);
                }
                Ok(from_f64(data, &shape, kind, device)?)
            };
            ports.iter().map(one).collect()
        };
        Ok(Self {
            sizes: (b, n),
            steps,
            lengths: batch.lengths.clone(),
            inputs: encode(&model.inputs, &batch.inputs, false)?,
            hints: encode(&model.hints, &batch.hints, hints == Hints::First)?,
            outputs: encode(&model.outputs, &batch.outputs, false)?,
        })
    }

    /// Some of the samples, with as many steps as the longest of these has.
    pub fn part(&self, samples: &[usize]) -> Result<Self> {
        let lengths: Vec<usize> = samples.iter().filter_map(|&at| self.lengths.get(at).copied()).collect();
        let steps = lengths.iter().copied().max().unwrap_or(1);
        let index: Vec<i64> = samples.iter().map(|&at| size(at)).collect::<executor::Result<_>>()?;
        let device = self.inputs.first().or(self.hints.first()).or(self.outputs.first()).map(Tensor::device);
        let index = Tensor::f_from_slice(&index)?.f_to(device.unwrap_or(tch::Device::Cpu))?;
        let rows = |x: &Tensor| Ok(x.f_index_select(0, &index)?);
        let hints = |x: &Tensor| -> Result<Tensor> {
            let kept = x.size().first().copied().unwrap_or(1).min(size(steps)?);
            Ok(x.f_narrow(0, 0, kept)?.f_index_select(1, &index)?)
        };
        Ok(Self {
            sizes: (size(samples.len())?, self.sizes.1),
            steps,
            lengths,
            inputs: self.inputs.iter().map(rows).collect::<Result<_>>()?,
            hints: self.hints.iter().map(hints).collect::<Result<_>>()?,
            outputs: self.outputs.iter().map(rows).collect::<Result<_>>()?,
        })
    }

    /// S, the number of steps that the network takes: one less than the hints have, for hint i is consumed to predict
    /// hint i + 1, and at least one.
    pub fn network_steps(&self) -> usize {
        self.steps.saturating_sub(1).max(1)
    }

    /// The step whose outputs count, for each sample: the one that predicts its last hint.
    pub fn held_steps(&self) -> Vec<usize> {
        self.lengths.iter().map(|length| length.saturating_sub(2)).collect()
    }
}

fn missing(name: &str) -> NetworkError {
    NetworkError::Tensor { name: name.to_owned(), reason: "the batch does not have it".to_owned() }
}
