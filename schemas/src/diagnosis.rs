//! Where candidates fail, and what their operators are worth.

use crate::column::{strings, table};

strings! {
    /// What is fed back to a network that is looked at.
    pub enum Feedback {
        /// Its own hints, as where it is scored.
        Free = "free",
        /// True hints: a step's faults are its own.
        Forced = "forced",
    }
}

strings! {
    /// What a row of a diagnosis is about.
    pub enum Measure {
        /// The score: the mean over outputs.
        Score = "score",
        /// One output.
        Output = "output",
        /// One hint, over all steps.
        Hint = "hint",
        /// One hint in one tenth of the run.
        Step = "step",
        /// Samples whose first wrong decision is in this hint and tenth; without a hint: those that have none.
        FirstWrong = "first_wrong",
        /// Decisions for one class where another, or the same, is true.
        Confusion = "confusion",
        /// The score, an output or a hint without an operator or channel.
        Lesion = "lesion",
    }
}

strings! {
    /// What a lesion takes out of a processor.
    pub enum Lesioned {
        /// All trained parameters of one module, or one parameter that the program keeps for itself.
        Operator = "operator",
        /// What goes into the processor (`node_fts`, `edge_fts`, `graph_fts`, `adj_mat`, `hidden`), or what comes out of it
        /// (`ret`, `tri_msgs`).
        Channel = "channel",
    }
}

table! {
    /// One number about where a trained candidate fails, or about what it loses without one of its parts. Formulas are in
    /// `statistics.md`.
    pub struct DiagnosisRow = "diagnosis" {
        /// Name of the run; `-` for programs given by hand.
        Score: run: String,
        /// Digest of the settings of the experiment that the row was made with, as in `run.json`; rows with different digests do
        /// not compare. Null where the settings are not known.
        Score: settings_digest: Option<String>,
        /// The candidate that was trained.
        Score: candidate_id: String,
        /// CLRS algorithm.
        Score: task: String,
        /// Number of the training among those of the candidate, from 0.
        Score: seed_index: i64,
        /// Training seed.
        Score: train_seed: i64,
        /// What the row is about.
        Score: kind: Measure,
        /// `free` (its own hints are fed back, as in a score) or `forced` (true ones).
        Score: mode: Feedback,
        /// Graphs that were looked at. `ood`: those that the out-of-distribution accuracy is made of; `validation`: as many
        /// others of the validation's length, the first of which lesions are measured on.
        Score: split: String,
        /// Nodes of the graphs.
        Score: nodes: i64,
        /// Number of the graphs.
        Score: n: i64,
        /// For lesions: what was taken out, `operator` or `channel`.
        Score: subject_kind: Option<Lesioned>,
        /// For lesions: the name of the operator, as in `t_1` or `msg_mlp.0`, or of the channel, as in `tri_msgs`.
        Score: subject: Option<String>,
        /// For lesions: what took its place. `mean`: of each feature over graphs, steps and places; `zero`; `untrained`: what a
        /// parameter is on average before training; `complete`: the complete graph; `nothing`: no output depends on it.
        Score: replaced_by: Option<String>,
        /// Name of the output or hint; null for the score, and for graphs without a wrong decision.
        Score: probe: Option<String>,
        /// Type of the output or hint: `pointer`, `mask`, `mask_one`, `categorical`, `scalar`, `permutation_pointer`.
        Score: probe_type: Option<String>,
        /// Tenth of a graph's own run, from 0.
        Score: step_tenth: Option<i64>,
        /// For confusions: the true class, from 0.
        Score: class_true: Option<i64>,
        /// For confusions: the class that was predicted.
        Score: class_predicted: Option<i64>,
        /// How many decisions are right; where a probe makes no decisions, what stands for them (see `statistics.md`). For a
        /// confusion: how many decisions are for `class_predicted`; for `first_wrong`: how many graphs there are.
        Score: correct: f64,
        /// What `correct` is a part of: decisions, decisions where this class is true, or graphs.
        Score: total: f64,
        /// Accuracy in [0, 1], or the share of `total` that is `correct`; for an output that is a scalar: the mean squared error.
        Score: value: f64,
        /// For lesions: the accuracy that is lost, negative where accuracy is gained. For outputs that are scalars: the error that
        /// is added.
        Score: loss: Option<f64>,
    }
}
