//! The other tables: learning curves, and the results of `transfer`.

use crate::Status;
use crate::column::table;

table! {
    /// One point of a learning curve.
    pub struct CurvePoint = "curve" {
        /// The candidate that was trained.
        Train: candidate_id: String,
        /// CLRS algorithm.
        Train: task: String,
        /// Training seed.
        Train: train_seed: i64,
        /// Optimiser steps so far.
        Train: step: i64,
        /// Training loss at this step.
        Train: loss: f64,
        /// Accuracy on the validation split, at the steps where it was measured.
        Train: val_acc: Option<f64>,
    }
}

table! {
    /// One program, trained from scratch on one task with one seed.
    pub struct TransferRow = "transfer" {
        /// Name of the program: its file, or the run that it won.
        Transfer: program: String,
        /// Hash of its normalised syntax tree.
        Transfer: candidate_id: String,
        /// CLRS algorithm.
        Transfer: task: String,
        /// Training seed.
        Transfer: train_seed: i64,
        /// `scored`, or how it failed.
        Transfer: status: Status,
        /// Why it failed.
        Transfer: reason: Option<String>,
        /// Nodes of the test graphs.
        Transfer: test_length: i64,
        /// Accuracy on the CLRS test split, in [0, 1].
        Transfer: test_acc: Option<f64>,
        /// Best accuracy on the validation split of the training length.
        Transfer: val_acc: Option<f64>,
        /// Loss at the last step.
        Transfer: train_loss: Option<f64>,
        /// Optimiser steps.
        Transfer: train_steps: Option<i64>,
        /// Trainable parameters of the processor.
        Transfer: params: Option<i64>,
        /// Multiply-accumulates of one message-passing step for one graph of the longest training length.
        Transfer: macs: Option<i64>,
        /// File of the weights (safetensors), relative to the cache folder.
        Transfer: weights: Option<String>,
        /// Seconds of training.
        Transfer volatile: train_seconds: Option<f64>,
    }
}

table! {
    /// One program on one task, over seeds; the task `average` is the mean over all tasks.
    pub struct TransferSummary = "transfer_summary" {
        /// Name of the program.
        Transfer: program: String,
        /// Hash of its normalised syntax tree.
        Transfer: candidate_id: String,
        /// CLRS algorithm, or `average`.
        Transfer: task: String,
        /// Seeds with a result.
        Transfer: seeds: i64,
        /// Seeds without one. A task with any has no mean: no score is averaged in from a missing value.
        Transfer: failed: i64,
        /// Mean accuracy on the CLRS test split.
        Transfer: test_acc: Option<f64>,
        /// Its standard deviation over seeds (n - 1); 0 for one seed.
        Transfer: test_acc_std: Option<f64>,
        /// The mean minus that of the reference program, trained alike.
        Transfer: difference: Option<f64>,
        /// Accuracy of the reference architecture as Ibarz et al. (2022) report it, where a task list gives it. Another training
        /// budget than ours.
        Transfer: published: Option<f64>,
        /// The same architecture as EvoPrompting's authors trained it.
        Transfer: published_reimplemented: Option<f64>,
        /// The best network that EvoPrompting found for the task.
        Transfer: published_best: Option<f64>,
        /// Whether any decoder of the task reads triplet messages. Where none does, programs that differ in the triplet channel
        /// alone are the same network. Null for the average.
        Transfer: reads_triplets: Option<bool>,
        /// Trainable parameters of the processor.
        Transfer: params: Option<i64>,
        /// Multiply-accumulates of one message-passing step for one graph of the longest training length.
        Transfer: macs: Option<i64>,
    }
}
