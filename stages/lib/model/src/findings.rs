//! What is told of a network: its learning curve, its score graph by graph, and where it fails.

use serde::{Deserialize, Serialize};

/// What is known after a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// From 1.
    pub step: usize,
    /// Loss of the batch, before the update.
    pub loss: f64,
    /// After the update, where there was a validation.
    pub val_acc: Option<f64>,
}

/// How one output was predicted, sample by sample, in their order. The score of the output is the sum of `correct` over
/// that of `total`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Name of the output.
    pub output: String,
    /// Decisions that are right; of a mask twice those that are rightly set, of a scalar the squared error.
    pub correct: Vec<f64>,
    /// Decisions; of a mask those that are set, truly or by prediction, each counted.
    pub total: Vec<f64>,
}

/// What is fed back to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Its own hints, as in a score.
    Free,
    /// True hints.
    Forced,
}

impl Mode {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Free, Self::Forced];
}

/// What a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The mean over outputs.
    Score,
    /// The accuracy of an output.
    Output,
    /// The accuracy of a hint, over all steps.
    Hint,
    /// A hint in a tenth of the run.
    Step,
    /// Samples whose first wrong decision is in this hint and tenth; without a hint: those without a wrong decision.
    FirstWrong,
    /// Decisions for one class that is truly another.
    Confusion,
    /// An output or hint without an operator or channel; without either: the score.
    Lesion,
}

/// What a lesion replaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Whether it is a channel of the processor, rather than one of its operators.
    pub channel: bool,
    /// Name of the operator or channel.
    pub name: String,
    /// What stands in its place: `mean`, `zero`, `untrained` or `complete`; `nothing` where no output depends on it.
    pub replaced_by: String,
}

/// One number of a diagnosis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// What the number is about.
    pub measure: Measure,
    /// What was fed back meanwhile.
    pub mode: Mode,
    /// Number of the evaluation; absent: that of lesions.
    pub evaluation: Option<usize>,
    /// Nodes of each graph, N.
    pub nodes: usize,
    /// How many graphs were looked at.
    pub samples: usize,
    /// What was replaced; `None` for what is not a lesion.
    pub subject: Option<Subject>,
    /// Name of the output or hint.
    pub probe: Option<String>,
    /// Its type, in the reference implementation's words; `None` where there is no probe.
    pub probe_type: Option<String>,
    /// From 0.
    pub tenth: Option<usize>,
    /// True and predicted class.
    pub classes: Option<(usize, usize)>,
    /// The right ones of `total`, or those that the measure is about.
    pub correct: f64,
    /// Decisions or samples.
    pub total: f64,
    /// Accuracy, or the share of `total` that is `correct`.
    pub value: f64,
    /// What a lesion takes away; negative where it helps.
    pub loss: Option<f64>,
}
