//! How predictions are scored.

use serde::Serialize;

use super::data::Datum;
use crate::spec::{Location, Stage, Type};

/// The score of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// In terms of the outputs' names.
    pub formula: String,
    /// One for each output of the network that is scored.
    pub outputs: Vec<OutputScore>,
}

/// The score of one output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputScore {
    /// The output's name.
    pub output: &'static str,
    /// What is counted.
    pub measure: Measure,
    /// One sentence.
    pub formula: String,
}

/// What is counted. All counts are over all samples together, not means of means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The share of pointers that are right.
    Pointers,
    /// The share of distributions whose largest entry is at the right place; those marked with -1 do not count.
    Classes,
    /// F1 of the entries that are set; those that are -1 do not count.
    F1,
    /// The mean squared error, of which less is better.
    SquaredError,
}

impl Measure {
    /// How outputs of this type are scored.
    pub const fn of(ty: Type) -> Self {
        match ty {
            Type::Scalar => Self::SquaredError,
            Type::Mask => Self::F1,
            Type::MaskOne | Type::Categorical => Self::Classes,
            Type::Pointer | Type::ShouldBePermutation | Type::PermutationPointer => Self::Pointers,
        }
    }
}

/// The score of a task with these data.
pub(super) fn score(data: &[Datum]) -> Score {
    let outputs: Vec<OutputScore> = data.iter().filter(|datum| datum.stage == Stage::Output).map(output).collect();
    let names: Vec<&str> = outputs.iter().map(|output| output.output).collect();
    let formula = match names.as_slice() {
        [one] => format!("score = {one}"),
        several => format!("score = ({}) / {}", several.join(" + "), several.len()),
    };
    Score { formula, outputs }
}

fn output(datum: &Datum) -> OutputScore {
    let name = datum.name;
    let (place, places, all) = match datum.location {
        Location::Node => ("node", "G N", "all nodes of all graphs together"),
        Location::Edge => ("pair", "G N²", "all pairs of all graphs together"),
        Location::Graph => ("graph", "G", "all graphs"),
    };
    let measure = Measure::of(datum.ty);
    let formula = match (measure, datum.ty) {
        (Measure::Pointers, Type::ShouldBePermutation) => format!(
            "{name} = right pointers / ({places}), over all G graphs together. `{name}` and `{name}_mask` are read as one: \
             the node that `{name}_mask` takes for the first points at itself, whatever `{name}` says"
        ),
        (Measure::Pointers, _) => format!("{name} = right pointers / ({places}), over all G graphs together"),
        (Measure::Classes, Type::MaskOne) => {
            format!("{name} = graphs whose largest logit is at the right node / G, over all G graphs")
        }
        (Measure::Classes, _) => format!(
            "{name} = {place}s whose likeliest class is right / {place}s that have a class (a truth of -1 is left out), over \
             all graphs together"
        ),
        (Measure::F1, _) => format!(
            "{name} = F1 = 2 h / (2 h + f + m), over {all}: h rightly set, f wrongly set, m \
             missed; 1 if all are 0. A truth of -1 is left out; what is 0 and left 0 counts for nothing"
        ),
        (Measure::SquaredError, _) => format!("{name} = mean squared error over {all}"),
    };
    OutputScore { output: name, measure, formula }
}
