//! How a network is to be trained, evaluated and looked into: what those who ask and those who compute agree on.

use clrs::Split;
use graph::Dtype;
use graph::lesion::Replacement;
use serde::{Deserialize, Serialize};

use crate::Repred;
use crate::data::{self, EvalData};
use crate::error::Result;

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Name of the algorithm in the benchmark.
    pub algorithm: String,
    /// Features of each node; the processor must have been built for it.
    pub hidden: usize,
    /// Problem sizes, one a step, in turn.
    pub lengths: Vec<usize>,
    /// Samples of each step, B.
    pub batch_size: usize,
    /// Updates of the weights.
    pub steps: usize,
    /// Learning rate of Adam.
    pub learning_rate: f64,
    /// Largest norm of the gradient; 0 for no clipping.
    pub grad_clip: f64,
    /// Seed of initial weights, data and noise.
    pub seed: u64,
    /// Probability with which a sample is given a true hint, for each step.
    pub hint_teacher_forcing: f64,
    /// How predicted hints enter the next step.
    pub hint_repred_mode: Repred,
    /// How often the processor is applied at each time step.
    pub nb_msg_passing_steps: usize,
    /// Length of the problems of a validation.
    pub val_length: usize,
    /// Number of samples of a validation.
    pub val_samples: usize,
    /// Steps between validations; the last step is always followed by one.
    pub val_every: usize,
    /// Number format of the computation.
    pub dtype: Dtype,
}

/// What to evaluate on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalConfig {
    /// Name of the algorithm in the benchmark.
    pub algorithm: String,
    /// Features of each node, H.
    pub hidden: usize,
    /// Length of the problems.
    pub length: usize,
    /// Number of samples in all.
    pub samples: usize,
    /// Samples at a time: bounds memory, does not change scores.
    pub batch_size: usize,
    /// Seed of the samples; the benchmark's test split has its own.
    pub seed: u64,
    /// Which samples are drawn.
    pub data: EvalData,
    /// How predicted hints enter the next step.
    pub hint_repred_mode: Repred,
    /// How often the processor is applied at each time step.
    pub nb_msg_passing_steps: usize,
    /// Number format of the computation.
    pub dtype: Dtype,
}

impl EvalConfig {
    /// Samples of the same distribution as those of training, at another length.
    pub fn validation(algorithm: &str, hidden: usize, length: usize, samples: usize, seed: u64) -> Self {
        Self {
            algorithm: algorithm.to_owned(),
            hidden,
            length,
            samples,
            batch_size: 32,
            seed,
            data: EvalData::Validation,
            hint_repred_mode: Repred::Soft,
            nb_msg_passing_steps: 1,
            dtype: Dtype::F32,
        }
    }

    /// The benchmark's test split, whole.
    pub fn test(algorithm: &str, hidden: usize) -> Result<Self> {
        let samples = Split::Test.samples(data::find(algorithm)?);
        let config = Self::validation(algorithm, hidden, Split::Test.length(), samples, 0);
        Ok(Self { data: EvalData::Test, ..config })
    }
}

/// What to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiagnoseConfig {
    /// Samples whose decisions are counted; usually those that a score is made of, and some of the training's length.
    pub evaluations: Vec<EvalConfig>,
    /// How lesions are measured; `None` where they are not.
    pub lesions: Option<LesionConfig>,
}

/// How lesions are measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LesionConfig {
    /// The samples. Where [`LesionConfig::most_runs`] says so, only the first of them.
    pub evaluation: EvalConfig,
    /// What takes the place of an operator or channel.
    pub by: Replacement,
    /// Most runs of a sample, over all lesions and both modes: programs of many operators are looked at on fewer samples,
    /// yet on a few at least.
    pub most_runs: usize,
}
