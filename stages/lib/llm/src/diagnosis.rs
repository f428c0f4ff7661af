//! What prompts tell of a diagnosis: a few lines about what fails, what matters and what is idle.

use search::diagnosis::{Diagnosis, Lesion, Probe};
use serde::Serialize;

/// Most hints that are told of, the worst of them.
const HINTS: usize = 6;
/// Most places where graphs go wrong first.
const PLACES: usize = 3;
/// Most operators that are told of as those that matter.
const OPERATORS: usize = 5;
/// Accuracy below which a hint counts as lost.
const LOST: f64 = 0.5;

/// The facts of [`Diagnosis`] that a model can act on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DiagnosisView {
    /// Nodes of the graphs that were looked at.
    pub nodes: i64,
    /// Accuracy on them, 0 to 1.
    pub score: f64,
    /// The same on graphs of the training sizes; none where they were not looked at.
    pub near_score: Option<f64>,
    /// Nodes of the graphs of `near_score`.
    pub near_nodes: Option<i64>,
    /// Each output.
    pub outputs: Vec<ProbeView>,
    /// The worst first.
    pub hints: Vec<ProbeView>,
    /// Where most graphs go wrong first, the most frequent place first.
    pub first_wrong: Vec<PlaceView>,
    /// Share of the graphs in which no decision of a hint is wrong.
    pub never_wrong: f64,
    /// The operators without which most is lost.
    pub matters: Vec<LesionView>,
    /// Operators without effect worth the name.
    pub idle: Vec<String>,
    /// What is lost without each channel of the processor.
    pub channels: Vec<LesionView>,
    /// Channels without which nothing changes, to the bit.
    pub unread: Vec<String>,
}

/// One output or hint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeView {
    /// Name of the output or hint.
    pub name: String,
    /// Its type, such as `pointer`.
    pub kind: String,
    /// The share of decisions that are right, 0 to 1.
    pub accuracy: f64,
    /// With true hints fed back.
    pub forced: Option<f64>,
    /// On graphs of the training sizes.
    pub near: Option<f64>,
    /// The tenth of the run, from 1, in which it falls below one half.
    pub lost_in: Option<usize>,
}

/// Where graphs go wrong first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlaceView {
    /// Name of the hint.
    pub hint: String,
    /// Tenth of the run, from 1.
    pub tenth: usize,
    /// Share of the graphs, 0 to 1.
    pub share: f64,
}

/// What is lost without a part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LesionView {
    /// Name of the operator or channel.
    pub name: String,
    /// Accuracy that is lost.
    pub loss: f64,
    /// The output or hint that loses most, and how much.
    pub most: Option<(String, f64)>,
}

impl From<&Probe> for ProbeView {
    fn from(probe: &Probe) -> Self {
        Self {
            name: probe.name.clone(),
            kind: probe.kind.clone(),
            accuracy: probe.accuracy,
            forced: probe.forced,
            near: probe.near,
            lost_in: probe.falls_below(LOST).map(|tenth| tenth + 1),
        }
    }
}

impl From<&Lesion> for LesionView {
    fn from(lesion: &Lesion) -> Self {
        Self { name: lesion.name.clone(), loss: lesion.loss, most: lesion.by_probe.first().cloned() }
    }
}

impl From<&Diagnosis> for DiagnosisView {
    fn from(facts: &Diagnosis) -> Self {
        let places = facts.first_wrong.iter().take(PLACES);
        let matters = facts.operators.iter().filter(|lesion| !lesion.is_idle()).take(OPERATORS);
        Self {
            nodes: facts.nodes,
            score: facts.score,
            near_score: facts.near_score,
            near_nodes: facts.near_nodes,
            outputs: facts.outputs.iter().map(ProbeView::from).collect(),
            hints: facts.hints.iter().take(HINTS).map(ProbeView::from).collect(),
            first_wrong: places
                .map(|place| PlaceView { hint: place.hint.clone(), tenth: place.tenth + 1, share: place.share })
                .collect(),
            never_wrong: facts.never_wrong,
            matters: matters.map(LesionView::from).collect(),
            idle: facts.idle().map(|lesion| lesion.name.clone()).collect(),
            channels: facts.channels.iter().filter(|lesion| !lesion.is_dead()).map(LesionView::from).collect(),
            unread: facts.channels.iter().filter(|lesion| lesion.is_dead()).map(|lesion| lesion.name.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_and_what_is_idle_are_told_apart() {
        let lesion = |name: &str, loss: f64| Lesion {
            name: name.into(),
            loss,
            most: loss.abs(),
            by_probe: vec![("pi".into(), loss)],
            ..Lesion::default()
        };
        let tenths = vec![Some(0.9), None, Some(0.4), Some(0.2)];
        let facts = Diagnosis {
            operators: vec![lesion("t_1", 0.3), lesion("t_2", 0.02), lesion("t_g", 0.0)],
            hints: vec![Probe { name: "s".into(), accuracy: 0.4, tenths, ..Probe::default() }],
            ..Diagnosis::default()
        };
        let view = DiagnosisView::from(&facts);
        assert_eq!(view.matters.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["t_1", "t_2"]);
        assert_eq!(view.matters[0].most, Some(("pi".into(), 0.3)));
        assert_eq!((view.idle, view.hints[0].lost_in), (vec!["t_g".to_owned()], Some(3)));
    }
}
