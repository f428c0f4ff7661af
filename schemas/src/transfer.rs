//! The other tables: learning curves, and the results of `transfer`.

use crate::Status;
use crate::column::table;

table! {
    /// One point of a learning curve.
    pub struct CurvePoint = "curve" {
        /// Name of the run; null where it is not known.
        Train: run: Option<String>,
        /// Digest of the settings of the experiment that the row was made with, as in `run.json`; rows with different digests do
        /// not compare. Null where the settings are not known.
        Train: settings_digest: Option<String>,
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
    /// One output of one graph, as a training of a candidate predicted it. The score of an output on a split is the sum of
    /// `correct` over the sum of `total`; the score of the split is the mean over outputs.
    pub struct GraphScore = "graph_score" {
        /// Name of the run; null where it is not known.
        Score: run: Option<String>,
        /// Digest of the settings of the experiment that the row was made with, as in `run.json`; rows with different digests do
        /// not compare. Null where the settings are not known.
        Score: settings_digest: Option<String>,
        /// The candidate that was trained.
        Score: candidate_id: String,
        /// CLRS algorithm.
        Score: task: String,
        /// Training seed.
        Score: train_seed: i64,
        /// `ood`: out-of-distribution validation; `test`: the CLRS test split.
        Score: split: String,
        /// Number of the graph within the split, from 0: the same graph for all candidates of a run.
        Score: graph: i64,
        /// Name of the output.
        Score: output: String,
        /// How many decisions are right. For a mask, which is scored by F1: twice the number of entries that are rightly set.
        Score: correct: f64,
        /// How many decisions there are. For a mask: the number of entries that are truly set plus the number of those that are
        /// predicted to be set.
        Score: total: f64,
    }
}

table! {
    /// One training of a confirmation: a leader of a search or its seed program, on a seed that the search has not seen.
    pub struct ConfirmedRow = "confirmed" {
        /// Name of the run.
        Confirm: run: String,
        /// Digest of the settings of the experiment that the row was made with, as in `run.json`; rows with different digests do
        /// not compare. Null where the settings are not known.
        Confirm: settings_digest: Option<String>,
        /// `choose`: the training helped to choose the winner; `report`: the reported gain is made of it.
        Confirm: phase: String,
        /// Hash of the program's normalised syntax tree.
        Confirm: candidate_id: String,
        /// Whether the program is the one that the search began with.
        Confirm: seed_program: bool,
        /// CLRS algorithm.
        Confirm: task: String,
        /// Training seed.
        Confirm: train_seed: i64,
        /// Seed of the graphs that the training was scored on out of distribution. All programs with the same training seed have the
        /// same graphs.
        Confirm: graph_seed: i64,
        /// `scored`, or how the training failed.
        Confirm: status: Status,
        /// Why the training failed.
        Confirm: reason: Option<String>,
        /// Best accuracy on the validation split of the training length, in [0, 1].
        Confirm: val_acc: Option<f64>,
        /// Loss at the last step.
        Confirm: train_loss: Option<f64>,
        /// Accuracy out of distribution, on graphs of this training seed alone.
        Confirm: ood_acc: Option<f64>,
        /// Accuracy on the CLRS test split.
        Confirm: test_acc: Option<f64>,
        /// File of the weights (safetensors), relative to the cache folder.
        Confirm: weights: Option<String>,
    }
}

table! {
    /// One program, trained from scratch on one task with one seed.
    pub struct TransferRow = "transfer" {
        /// Name of the program: its file, or the run whose winner it is.
        Transfer: program: String,
        /// Digest of the settings of the experiment that the row was made with, as in `run.json`; rows with different digests do
        /// not compare. Null where the settings are not known.
        Transfer: settings_digest: Option<String>,
        /// Hash of the program's normalised syntax tree.
        Transfer: candidate_id: String,
        /// CLRS algorithm.
        Transfer: task: String,
        /// Training seed.
        Transfer: train_seed: i64,
        /// `scored`, or how the training failed.
        Transfer: status: Status,
        /// Why the training failed.
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
        /// Digest of the settings of the experiment that the row was made with, as in `run.json`; rows with different digests do
        /// not compare. Null where the settings are not known.
        Transfer: settings_digest: Option<String>,
        /// Hash of the program's normalised syntax tree.
        Transfer: candidate_id: String,
        /// CLRS algorithm, or `average`.
        Transfer: task: String,
        /// Number of seeds with a result.
        Transfer: seeds: i64,
        /// Number of seeds without a result. A task with such a seed has no mean: no score is averaged in from a missing value.
        Transfer: failed: i64,
        /// Mean accuracy on the CLRS test split.
        Transfer: test_acc: Option<f64>,
        /// Standard deviation of `test_acc` over seeds (n - 1); 0 for one seed.
        Transfer: test_acc_std: Option<f64>,
        /// `test_acc` minus that of the reference program, which was trained in the same way.
        Transfer: difference: Option<f64>,
        /// Accuracy of the reference architecture as Ibarz et al. (2022) report it, where a task list gives it. Their training
        /// budget is not ours.
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
