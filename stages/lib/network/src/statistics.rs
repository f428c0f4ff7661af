//! Running statistics of batch normalisations: what a training step leaves of its batches in the network's buffers.
//!
//! A step runs the network once for each time step, and each run moves the statistics, in order, as each call of
//! `nn.BatchNorm1d` in training does. Nothing in the step reads them: they are evaluation's.

use std::collections::BTreeSet;

use executor::Parameters;
use executor::tensor::{item, to_f64};
use graph::{ParamId, Statistic};
use tch::Tensor;

use crate::error::{NetworkError, Result};

/// Moves the running statistics. `found` has, for each time step, the batch's means and variances of each statistic.
pub(crate) fn update(statistics: &[Statistic], parameters: &Parameters, found: &[Vec<Tensor>]) -> Result<()> {
    for values in found {
        for (statistic, batch) in statistics.iter().zip(values.chunks(2)) {
            let share = match (statistic.count, statistic.momentum) {
                (Some(count), momentum) => {
                    let updates = item(buffer(parameters, count)?)? + 1.0;
                    parameters.set_value(count, &Tensor::f_from_slice(&[updates])?.f_reshape([0_i64; 0])?)?;
                    momentum.unwrap_or(1.0 / updates)
                }
                (None, momentum) => momentum.unwrap_or(0.0),
            };
            for (running, batch) in statistic.running.iter().zip(batch) {
                let Some(running) = *running else { continue };
                let old = buffer(parameters, running)?;
                let new = old.f_mul_scalar(1.0 - share)?.f_add(&batch.f_mul_scalar(share)?)?;
                parameters.set_value(running, &new)?;
            }
        }
    }
    Ok(())
}

/// All running statistics, one after the other.
pub(crate) fn values(statistics: &[Statistic], parameters: &Parameters) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for id in buffers(statistics) {
        all.extend(to_f64(buffer(parameters, id)?)?);
    }
    Ok(all)
}

/// Puts [`values`] back.
pub(crate) fn restore(statistics: &[Statistic], parameters: &Parameters, values: &[f64]) -> Result<()> {
    let mut rest = values;
    let wrong = || NetworkError::Inconsistent("there are other running statistics than the network's".to_owned());
    for id in buffers(statistics) {
        let value = buffer(parameters, id)?;
        let (own, more) = rest.split_at_checked(value.numel()).ok_or_else(wrong)?;
        parameters.set_value(id, &Tensor::f_from_slice(own)?.f_reshape(value.size())?)?;
        rest = more;
    }
    if rest.is_empty() { Ok(()) } else { Err(wrong()) }
}

/// Each buffer once: a layer that is applied twice has one of each kind.
fn buffers(statistics: &[Statistic]) -> BTreeSet<ParamId> {
    statistics.iter().flat_map(|statistic| statistic.running.into_iter().chain([statistic.count])).flatten().collect()
}

fn buffer(parameters: &Parameters, id: ParamId) -> Result<&Tensor> {
    parameters.value(id).ok_or_else(|| NetworkError::Inconsistent("a buffer has no place".to_owned()))
}
