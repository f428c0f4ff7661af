//! What a card may say beyond the benchmark: how its reader trains and scores.

use serde::{Deserialize, Serialize};

use crate::Repred;

/// The settings that scores are made with, as they are in force for the card's task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Width of the hidden state, H.
    pub hidden: usize,
    /// Times that the processor is applied at each step.
    pub message_passing_steps: usize,
    /// How weights are trained.
    pub training: Training,
    /// During training, to keep the best weights.
    pub validation: Evaluation,
    /// Longer problems than training has, of the same distribution.
    pub ood: Evaluation,
    /// The benchmark's test split.
    pub test: Evaluation,
    /// Which of the two evaluations the search maximises.
    pub fitness: Fitness,
    /// How much the score of one program varies.
    pub noise: Option<Noise>,
}

/// How weights are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Lengths of the problems, one a step, in turn.
    pub lengths: Vec<usize>,
    /// Problems of one step.
    pub batch_size: usize,
    /// Updates of the weights.
    pub steps: usize,
    /// Learning rate of Adam.
    pub learning_rate: f64,
    /// Largest global norm of the gradient; 0: not clipped.
    pub grad_clip: f64,
    /// Steps between two validations.
    pub validate_every: usize,
    /// Probability with which a sample is given the true hint in place of the predicted one, at each step.
    pub hint_teacher_forcing: f64,
    /// How predicted hints enter the next step.
    pub hint_feedback: Repred,
}

/// What is evaluated on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Length of the problems.
    pub length: usize,
    /// Number of problems.
    pub samples: usize,
}

/// What a search maximises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fitness {
    /// The accuracy on the out-of-distribution validation split.
    Ood,
    /// The accuracy on the test split: what SPARK's reference implementation does, and leaks the test set by.
    Test,
}

/// How much the score of one program varies between trainings that differ in the seed only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// Standard deviation of one training's score.
    pub std: f64,
    /// Where that was measured.
    pub source: String,
}
