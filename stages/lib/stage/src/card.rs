//! The settings in force, as a task card states them.

use clrs::Algorithm;
use clrs::card::{self, Evaluation, Noise};

use crate::config::Settings;

/// What a task is trained and scored with under these settings. `noise`: how much scores vary, where that is known.
pub fn settings(settings: &Settings, algorithm: &Algorithm, noise: Option<Noise>) -> card::Settings {
    let Settings { network, train, score, .. } = settings;
    let samples = |samples: usize| samples * algorithm.samples_multiplier;
    card::Settings {
        hidden: network.hidden,
        message_passing_steps: network.nb_msg_passing_steps,
        training: card::Training {
            lengths: algorithm.training_lengths(&train.lengths),
            batch_size: train.batch_size,
            steps: train.steps,
            learning_rate: train.learning_rate,
            grad_clip: train.grad_clip,
            validate_every: train.val_every,
            hint_teacher_forcing: network.hint_teacher_forcing,
            hint_feedback: network.hint_repred_mode,
        },
        validation: Evaluation {
            length: algorithm.validation_length(train.val_length),
            samples: samples(train.val_samples),
        },
        ood: Evaluation { length: score.ood_length, samples: samples(score.ood_samples) },
        test: Evaluation { length: score.test_length, samples: samples(score.test_samples) },
        fitness: score.fitness,
        noise,
    }
}
