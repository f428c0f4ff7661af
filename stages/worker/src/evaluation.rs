//! An evaluation, with a diagnosis where one is asked for.

use network::{Device, DeviceArg, DiagnoseConfig, Fact, Start, Weights};
use schemas::Status;
use score::{Job, Scored};
use serde_json::{Value, json};
use stage::job::{Failure, Place, serve};
use train::CODE_VERSION;

use crate::common::{failure, processor};

/// Does one job as the supervisor asks for it on stdin, and returns the exit code.
pub fn child() -> u8 {
    serve(CODE_VERSION, evaluate)
}

fn evaluate(job: Job, _: &Place, tell: &mut dyn FnMut(&Value)) -> Result<Scored, Failure> {
    let wanted: DeviceArg = job.device.parse().map_err(Failure::of_machine)?;
    let tf32 = job.evaluations.iter().any(|config| config.dtype.rounds_on_gpu());
    let start = Start { threads: job.threads, graphs: job.graphs, tf32 };
    let device = network::init_with(&wanted, start).map_err(|error| failure(&error.into()))?;
    let weights = Weights::load(&job.weights).map_err(|error| failure(&error.into()))?;
    let (mut scores, mut tallies) = (Vec::with_capacity(job.evaluations.len()), Vec::new());
    for config in &job.evaluations {
        tell(&json!({ "length": config.length }));
        let processor = processor(&job.source, config.hidden)?;
        let found =
            network::evaluate::evaluate(&processor, &weights, config, device).map_err(|error| failure(&error))?;
        if !found.score.is_finite() {
            return Err(Failure::of_job(
                Status::Failed,
                format!("the score at length {} is not finite", config.length),
            ));
        }
        scores.push(found.score);
        tallies.push(found.tallies);
    }
    let (mut facts, mut undiagnosed) = (None, None);
    if let Some(config) = &job.diagnosis {
        tell(&json!({ "diagnosis": true }));
        match diagnose(&job.source, &weights, config, device) {
            Ok(found) => facts = Some(found),
            Err(error) => undiagnosed = Some(error.reason),
        }
    }
    Ok(Scored { scores, tallies, facts, undiagnosed, device: device.to_string() })
}

fn diagnose(source: &str, weights: &Weights, config: &DiagnoseConfig, device: Device) -> Result<Vec<Fact>, Failure> {
    let Some(first) = config.evaluations.first() else { return Ok(Vec::new()) };
    let processor = processor(source, first.hidden)?;
    network::diagnose(&processor, weights, config, device).map_err(|error| failure(&error))
}
