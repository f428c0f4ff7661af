//! Digests of batches as JSON.

use anyhow::Result;
use clrs::{DataPoint, Digest, Sampler, Stage, digest};
use serde_json::{Value, json};

use crate::plan::{Extent, Plan, Request};
use crate::source;

/// Prints `{"batches": [...]}`; for several algorithms one such object a line, with the algorithm's name.
pub fn print(plan: &Plan) -> Result<()> {
    let several = plan.draws.len() > 1;
    for request in &plan.draws {
        let batches = batches(request)?;
        let object = if several {
            json!({ "algorithm": request.algorithm.name, "batches": batches })
        } else {
            json!({ "batches": batches })
        };
        stage::exit::print(&format!("{object}\n"))?;
    }
    Ok(())
}

fn batches(request: &Request) -> Result<Vec<Value>> {
    let mut sampler = Sampler::new(request.algorithm, request.config.clone())?;
    let mut transforms = source::transforms(request);
    match request.extent {
        // Without transformations there is no need to spell a whole dataset out.
        Extent::Everything if request.pipeline.is_none() => {
            let dataset = sampler.dataset()?;
            Ok(vec![batch(&clrs::digests(dataset), &dataset.lengths())])
        }
        Extent::Everything => {
            let samples = transforms.apply(request.algorithm, sampler.dataset()?.to_batch())?;
            Ok(vec![digested(samples)])
        }
        Extent::Batches { size, count } => {
            (0..count).map(|_| Ok(digested(transforms.apply(request.algorithm, sampler.next(size)?)?))).collect()
        }
    }
}

fn digested(samples: clrs::Batch) -> Value {
    let lengths = samples.lengths;
    let points = samples.inputs.into_iter().chain(samples.hints).chain(samples.outputs);
    let points: Vec<_> = points
        .map(|point| {
            let digest = digest(&point.data);
            (point, digest)
        })
        .collect();
    batch(&points, &lengths)
}

fn batch(points: &[(DataPoint, Digest)], lengths: &[usize]) -> Value {
    let of = |stage: Stage| -> Vec<Value> {
        points.iter().filter(|(point, _)| point.stage == stage).map(|(point, digest)| entry(point, *digest)).collect()
    };
    let values: Vec<f64> = lengths.iter().map(|&length| length as f64).collect();
    json!({
        "inputs": of(Stage::Input),
        "hints": of(Stage::Hint),
        "outputs": of(Stage::Output),
        "lengths": {
            "name": "lengths",
            "stage": null,
            "location": null,
            "type": null,
            "dtype": "float64",
            "shape": [lengths.len()],
            "sha256": digest(&values).to_string(),
        },
    })
}

fn entry(point: &DataPoint, digest: Digest) -> Value {
    json!({
        "name": point.name,
        "stage": point.stage.as_str(),
        "location": point.location.as_str(),
        "type": point.ty.as_str(),
        "dtype": point.dtype.as_str(),
        "shape": point.shape,
        "sha256": digest.to_string(),
    })
}
