//! Seconds of a training step and of an evaluation.

use std::time::Instant;

use graph::Processor;
use serde::Serialize;

use crate::data::Dataset;
use crate::error::Result;
use crate::evaluate::score;
use crate::feedback::Repred;
use crate::model::Model;
use crate::train::{TrainConfig, Trainer};
use crate::{Device, Dtype, data};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    pub algorithm: String,
    /// N in training.
    pub length: usize,
    pub batch_size: usize,
    /// Training steps to take the median of; one more comes before, unmeasured.
    pub steps: usize,
    /// N in evaluation; absent: none.
    pub eval_length: Option<usize>,
    pub dtype: Dtype,
    /// Whether to rewrite the graph first.
    pub passes: bool,
}

/// Medians, in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Speed {
    pub train_step_s: f64,
    /// One batch, all of it: prediction and score.
    pub eval_s: Option<f64>,
}

/// Trains and evaluates on real data, and takes the time.
pub fn measure(processor: &Processor, settings: &Settings, device: Device) -> Result<Speed> {
    let algorithm = data::find(&settings.algorithm)?;
    let config = TrainConfig {
        algorithm: settings.algorithm.clone(),
        hidden: processor.hidden,
        lengths: vec![settings.length],
        batch_size: settings.batch_size,
        steps: settings.steps,
        learning_rate: 1e-3,
        grad_clip: 1.0,
        seed: 0,
        hint_teacher_forcing: 0.0,
        hint_repred_mode: Repred::Soft,
        nb_msg_passing_steps: 1,
        val_length: settings.length,
        val_samples: settings.batch_size,
        val_every: 0,
        dtype: settings.dtype,
    };
    let model = Model::new(processor, &data::spec(algorithm), 1)?;
    let mut trainer = Trainer::new(&model, &config, settings.passes, device)?;
    let mut loader = data::training(algorithm, &config.lengths, config.batch_size, config.seed)?;
    let mut seconds = Vec::with_capacity(settings.steps);
    for step in 0..=settings.steps.max(1) {
        let batch = loader.next()?;
        let start = Instant::now();
        trainer.step(&batch)?;
        device.synchronize();
        if step > 0 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let eval_s = match settings.eval_length {
        None => None,
        Some(length) => {
            let args = data::arguments(algorithm, length);
            let batch = Dataset::new(algorithm, length, settings.batch_size, args, (1, 2))?.whole()?;
            let start = Instant::now();
            let (roller, parameters) = (&mut trainer.roller, &trainer.parameters);
            score(roller, parameters, [Ok(&batch)], Repred::Soft, device)?;
            device.synchronize();
            Some(start.elapsed().as_secs_f64())
        }
    };
    Ok(Speed { train_step_s: median(seconds), eval_s })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
