//! The main table: one row per candidate, from its proposal to the archive.

use crate::column::table;
use crate::{Diagnostic, Factor, Fill, Locality, Status, Verdict};

table! {
    /// One candidate program, with what each stage has found out about it.
    ///
    /// Every stage adds columns to the rows that it was given and drops none. Columns that are not listed here are the
    /// user's own and pass through all stages.
    #[derive(Default)]
    pub struct Candidate = "candidate" {
        /// Name of the run: that of its folder when it was begun, e.g. `spark-dfs-seed0`; `-` for programs given by hand.
        Propose: run: String = Fill::Text("-"),
        /// Digest of the settings of the experiment that the row was made with: of all but the run's seed, method, proposer and
        /// number of attempts, which are told elsewhere, and of no operational ones. `run.json` and `runs.parquet` have the settings
        /// that it stands for. Rows with different digests do not compare. Null where the settings are not known.
        Propose: settings_digest: Option<String>,
        /// Search method, e.g. `spark`; `-` for programs given by hand.
        Propose: method: String = Fill::Text("-"),
        /// What wrote the program: `builtin`, `openai` (its replays too), or `file` for programs given by hand.
        Propose: proposer: String = Fill::Text("file"),
        /// Generation of the search, from 0, the generation of the seed program.
        Propose: generation: i64 = Fill::Number(0),
        /// Place within the generation, from 0.
        Propose: slot: i64 = Fill::Row,
        /// Number of the attempt within the run, over all generations, from 0.
        Propose: attempt: i64 = Fill::Row,
        /// 0 for the first try of an attempt, and one more for each time that it went back to a model with its diagnostics:
        /// each try is a row. Null where no model wrote it.
        Propose: repair_round: Option<i64>,
        /// 1 for an edit of what exists that computes nothing new by itself, 2 for the edit of how it is used that the same
        /// attempt makes on top of it (`search.operator = "two-phase"`), whose parent is the program of phase 1; null for all
        /// others.
        Propose: phase: Option<i64>,
        /// Island of the population, from 0.
        Propose: island: i64 = Fill::Number(0),
        /// Hash of the program's normalised syntax tree: comments and white space do not count. Empty until it is known.
        Propose: candidate_id: String = Fill::Text(""),
        /// `candidate_id` of the program that this one was made from.
        Propose: parent_id: Option<String>,
        /// The part of the program that the edit was to change, by the name that its markers give it: `OPERATOR`, `ACTION`, or any
        /// other; null for unscoped edits.
        Propose: factor: Option<Factor>,
        /// What the edit was asked to do.
        Propose: directive: Option<String>,
        /// Short label of the edit, for figures and tables.
        Propose: edit: Option<String>,
        /// The program: Python source in the PyTorch dialect that `check --language` describes.
        Propose: source: String,
        /// The parent's program.
        Propose: parent_source: Option<String>,
        /// How far the candidate has come, or how it failed.
        Propose: status: Status = Fill::Text("proposed"),
        /// Why it is not further, in a sentence.
        Propose: reason: Option<String>,
        /// Seconds that the calls to language models took for this row, without the time for which their server was away.
        Propose volatile: llm_seconds: Option<f64>,

        /// `accept`, `accept-with-warning` or `reject`.
        Check: verdict: Option<Verdict>,
        /// All findings of `check`.
        Check: diagnostics: Option<Vec<Diagnostic>>,
        /// Whether the edit stayed within its factor: `local` or `entangled`; null where there is no parent.
        Check: locality: Option<Locality>,
        /// In which ways the edit left its factor, e.g. `frozen-code`, `other-region`.
        Check: entanglement: Option<Vec<String>>,
        /// Tree edit distance to the parent within its regions of what exists (OPERATOR, and any OPERATOR with a word
        /// before it), in syntax nodes.
        Check: edit_distance_operator: Option<i64>,
        /// Tree edit distance to the parent within its other regions (ACTION, and all others), in syntax nodes.
        Check: edit_distance_action: Option<i64>,
        /// Tree edit distance to the parent outside of its regions, in syntax nodes.
        Check: edit_distance_frozen: Option<i64>,
        /// How far the typed graph is from the parent's: nodes and edges of their normal forms that only one of them has.
        /// Null where one of the two has no graph.
        Check: graph_edit_distance: Option<i64>,
        /// Outputs of the processor (`ret`, `tri_msgs`) that the parent's frozen code computes on its own, and that the
        /// program computes differently.
        Check: changed_frozen_outputs: Option<Vec<String>>,
        /// Number of the outputs in `changed_frozen_outputs`.
        Check: frozen_outputs_changed: Option<i64>,
        /// Trainable parameters of the processor.
        Check: params: Option<i64>,
        /// Multiply-accumulates of one message-passing step for one graph (B = 1) of the longest training length.
        Check: macs: Option<i64>,
        /// `macs` as a polynomial in B (graphs in the batch) and N (nodes).
        Check: macs_formula: Option<String>,
        /// Bytes of activations alive at once in one step, for one batch of the largest evaluation.
        Check: peak_bytes: Option<i64>,
        /// `peak_bytes` as a polynomial in B (graphs in the batch) and N (nodes).
        Check: peak_bytes_formula: Option<String>,
        /// Hash of the typed graph: independent of names, order and spelling. Equal graphs train alike.
        Check: graph_hash: Option<String>,
        /// `candidate_id` of the first candidate with the same graph, for duplicates.
        Check: duplicate_of: Option<String>,

        /// CLRS algorithm that the candidate was trained on.
        Train: task: Option<String>,
        /// Hash of everything that training depends on (graph, task, settings, seeds, code version, number format).
        Train: train_key: Option<String>,
        /// Training seeds, in the order of all lists per seed.
        Train: train_seeds: Option<Vec<i64>>,
        /// Rung at which successive halving (`train.rungs`) stopped the training, from 1; null where the training was not stopped.
        Train: rung: Option<i64>,
        /// Optimiser steps of each seed.
        Train: train_steps: Option<i64>,
        /// Loss at the last step, per seed.
        Train: train_loss: Option<Vec<f64>>,
        /// Best accuracy on the validation split of the training length, per seed, in [0, 1].
        Train: val_acc: Option<Vec<f64>>,
        /// Files of the best weights (safetensors), per seed, relative to the cache folder.
        Train: weights: Option<Vec<String>>,
        /// Kind of device that the candidate was trained on: `cpu` or `cuda`. Which of several GPUs it was does not matter.
        Train: device: Option<String>,
        /// Seconds of training, summed over seeds. Results from the cache keep the seconds of the run that made them.
        Train volatile: train_seconds: Option<f64>,
        /// Largest resident memory of a training process, in MiB.
        Train volatile: peak_rss_mb: Option<f64>,
        /// Host that the candidate was trained on; several hosts where the seeds come from several, each named once. Like every
        /// column that says where a result was made, it is about the training that made the result, also where the result came
        /// from the cache.
        Train volatile: train_host: Option<String>,
        /// Model of the GPU that the candidate was trained on; null without a GPU, and where its model is not known.
        Train volatile: train_gpu: Option<String>,
        /// Version of that GPU's driver.
        Train volatile: train_driver: Option<String>,

        /// Mean accuracy on the out-of-distribution validation split, over training seeds, in [0, 1].
        Score: ood_acc: Option<f64>,
        /// Standard deviation of `ood_acc` over training seeds (n - 1); 0 for one seed.
        Score: ood_acc_std: Option<f64>,
        /// The accuracy of `ood_acc` for each training seed.
        Score: ood_acc_seeds: Option<Vec<f64>>,
        /// Mean accuracy on the CLRS test split, over training seeds. It is only reported, unless `score.fitness = "test"`.
        Score: test_acc: Option<f64>,
        /// Standard deviation of `test_acc` over training seeds (n - 1); 0 for one seed.
        Score: test_acc_std: Option<f64>,
        /// The accuracy of `test_acc` for each training seed.
        Score: test_acc_seeds: Option<Vec<f64>>,
        /// What the search maximises. It is never set for a candidate that failed. `score` writes the mean accuracy over trainings on
        /// the split that fitness is taken from; `select` shrinks it towards the mean of all candidates of the run, the more the
        /// fewer trainings it rests on and the noisier these are.
        Score: fitness: Option<f64>,
        /// Behavioural entanglement: how far the worth of operators changed that the parent has, too, by name. The mean, over
        /// these and over outputs and hints, of the distance between the accuracies that lesions cost in the two diagnoses, in
        /// [0, 1]. Both programs were trained anew, so that some of it is the noise of training. Null where one of the two has
        /// no diagnosis, and where they share no operator.
        Score: behavioural_shift: Option<f64>,

        /// Trainings that the fitness rests on.
        Select: trainings: Option<i64>,
        /// The mean accuracy of these trainings as measured, before it was shrunk.
        Select: fitness_mean: Option<f64>,
        /// Standard error of `fitness_mean`, by the noise of a training pooled over all candidates of the run that were trained at
        /// least twice; null as long as there are no such candidates.
        Select: fitness_se: Option<f64>,
        /// Standard deviation of the fitness as an estimate of the candidate's true accuracy; null where noise is not known.
        Select: fitness_sd: Option<f64>,
        /// The accuracy that the candidate truly has or exceeds with 95 % probability; null where noise is not known.
        Select: fitness_lower: Option<f64>,

        /// Whether the candidate is among those that parents are drawn from.
        Select: archived: Option<bool>,
        /// Whether the candidate is the best of its cell or island.
        Select: elite: Option<bool>,
        /// Cell of the elite archive that the candidate falls into.
        Select: cell: Option<String>,
        /// Largest fitness of all attempts up to and including this one.
        Select: best_so_far: Option<f64>,
    }
}
