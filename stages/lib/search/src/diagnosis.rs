//! What the table of diagnoses says about a candidate, as facts: where it fails, and what its parts are worth.
//!
//! Prompts, the router, the built-in proposer and the report say it in their own words.

use std::collections::BTreeMap;

use schemas::{DiagnosisRow, Feedback, Lesioned, Measure};

/// Parts of a run.
pub const TENTHS: usize = 10;
/// A part whose lesion moves no accuracy by more than this is idle: far below what a lesion on a few graphs can tell.
pub const IDLE: f64 = 0.005;

/// What is known of one candidate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnosis {
    /// The candidate.
    pub candidate_id: String,
    /// The CLRS algorithm.
    pub task: String,
    /// Nodes of the graphs that are scored.
    pub nodes: i64,
    /// Nodes of the graphs of the validation's length, where these are others.
    pub near_nodes: Option<i64>,
    /// Accuracy out of distribution, as scored.
    pub score: f64,
    /// Accuracy on graphs of the validation's length.
    pub near_score: Option<f64>,
    /// The outputs, the worst first.
    pub outputs: Vec<Probe>,
    /// The hints, the worst first; scalars, whose accuracy is measured differently, come after the others.
    pub hints: Vec<Probe>,
    /// Where the scored graphs go wrong first, the most frequent place first.
    pub first_wrong: Vec<FirstWrong>,
    /// Share of the scored graphs in which no decision of a hint is wrong.
    pub never_wrong: f64,
    /// Which class is taken for which, the most frequent first.
    pub confusions: Vec<Confusion>,
    /// What the candidate loses without each of its operators, the most first.
    pub operators: Vec<Lesion>,
    /// What the candidate loses without each of the processor's inputs and outputs, the most first.
    pub channels: Vec<Lesion>,
}

/// How well one output or hint is predicted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probe {
    /// Name of the output or hint.
    pub name: String,
    /// `pointer`, `mask`, `mask_one`, `categorical`, `scalar` or `permutation_pointer`.
    pub kind: String,
    /// Accuracy on the scored graphs, with the network's own hints fed back; for outputs that are scalars, the mean squared error.
    pub accuracy: f64,
    /// Accuracy with true hints fed back: what is missing here is the step's own fault.
    pub forced: Option<f64>,
    /// Accuracy on graphs of the validation's length.
    pub near: Option<f64>,
    /// For hints: accuracy by tenth of the run.
    pub tenths: Vec<Option<f64>>,
}

impl Probe {
    /// The first tenth in which the accuracy is below this; `None` where it never is.
    pub fn falls_below(&self, accuracy: f64) -> Option<usize> {
        self.tenths.iter().position(|tenth| tenth.is_some_and(|value| value < accuracy))
    }

    /// What is lost because earlier faults are fed back: the accuracy with true hints, less that with its own. Negative where the
    /// network, which learned from its own hints, does worse with true ones.
    pub fn compounded(&self) -> Option<f64> {
        self.forced.map(|forced| forced - self.accuracy)
    }
}

/// A place where graphs go wrong first.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstWrong {
    /// The hint.
    pub hint: String,
    /// The tenth of the run, from 0.
    pub tenth: usize,
    /// Share of all graphs.
    pub share: f64,
}

/// A class that is taken for another.
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    /// The hint.
    pub hint: String,
    /// The true class, from 0.
    pub truth: i64,
    /// The class that was predicted, from 0.
    pub predicted: i64,
    /// Share of the decisions where the class is true.
    pub share: f64,
    /// How many decisions it is about.
    pub decisions: f64,
}

/// What is lost without one part. All losses are differences of accuracies: positive where the part is needed, negative where
/// the network does better without it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lesion {
    /// Name of the operator or channel.
    pub name: String,
    /// `mean`, `zero`, `untrained`, `complete`, or `nothing` where no output depends on the part.
    pub replaced_by: String,
    /// Loss of the score with the network's own hints fed back.
    pub loss: f64,
    /// Loss of the score with true hints fed back.
    pub forced_loss: f64,
    /// Loss of each output and hint, with the network's own hints fed back: the most first.
    pub by_probe: Vec<(String, f64)>,
    /// The largest change of any accuracy, either way, in both modes.
    pub most: f64,
}

impl Lesion {
    /// Without effect worth the name: at most [`IDLE`] in anything that was measured.
    pub fn is_idle(&self) -> bool {
        self.most <= IDLE
    }

    /// Without any effect at all, to the bit.
    pub fn is_dead(&self) -> bool {
        self.most == 0.0
    }

    /// The mean loss over hints and outputs: what a part is worth where the score alone says little.
    pub fn mean_loss(&self) -> f64 {
        let sum: f64 = self.by_probe.iter().map(|(_, loss)| loss).sum();
        sum / self.by_probe.len().max(1) as f64
    }
}

/// Behavioural entanglement: how far the worth of operators changed that two programs share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shift {
    /// How many they share.
    pub operators: usize,
    /// The mean over these, and over outputs and hints, of the distance between the losses that their lesions cause.
    pub mean: f64,
    /// The operator that changed most, and by how much.
    pub most: Option<(String, f64)>,
}

impl Diagnosis {
    /// Parts without effect worth the name.
    pub fn idle(&self) -> impl Iterator<Item = &Lesion> {
        self.operators.iter().filter(|lesion| lesion.is_idle())
    }

    /// The lesion of an operator.
    pub fn operator(&self, name: &str) -> Option<&Lesion> {
        self.operators.iter().find(|lesion| lesion.name == name)
    }

    /// The lesion of a channel.
    pub fn channel(&self, name: &str) -> Option<&Lesion> {
        self.channels.iter().find(|lesion| lesion.name == name)
    }

    /// How far the behaviour of what an edit left in place changed: the operators that both programs have, by name. `None`
    /// where they share none that anything depends on.
    ///
    /// Both programs were trained anew, so that some of it is the noise of training.
    pub fn shift(&self, parent: &Self) -> Option<Shift> {
        let mut shift = Shift::default();
        for ours in self.operators.iter().filter(|lesion| lesion.replaced_by != NOTHING) {
            let Some(theirs) = parent.operator(&ours.name).filter(|lesion| lesion.replaced_by != NOTHING) else {
                continue;
            };
            let changes: Vec<f64> = ours
                .by_probe
                .iter()
                .filter_map(|(probe, loss)| {
                    let (_, before) = theirs.by_probe.iter().find(|(other, _)| other == probe)?;
                    Some((loss - before).abs())
                })
                .collect();
            if changes.is_empty() {
                continue;
            }
            let mean = changes.iter().sum::<f64>() / changes.len() as f64;
            shift.operators += 1;
            shift.mean += mean;
            if shift.most.as_ref().is_none_or(|(_, most)| mean > *most) {
                shift.most = Some((ours.name.clone(), mean));
            }
        }
        shift.mean /= shift.operators.max(1) as f64;
        (shift.operators > 0).then_some(shift)
    }

    /// The facts of one training. `None` where the rows hold no score, as those of no diagnosis.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a DiagnosisRow>) -> Option<Self> {
        let rows: Vec<&DiagnosisRow> = rows.into_iter().collect();
        let scored = |kind: Measure, mode: Feedback, split: &'a str| {
            rows.iter().copied().filter(move |row| row.kind == kind && row.mode == mode && row.split == split)
        };
        let score = scored(Measure::Score, Feedback::Free, OOD).next()?;
        let near = scored(Measure::Score, Feedback::Free, NEAR).next();
        let probes = |kind: Measure| -> Vec<Probe> {
            let of = |row: &DiagnosisRow| {
                let other = |mode: Feedback, split: &'a str| {
                    scored(kind, mode, split).find(|other| other.probe == row.probe).map(|other| other.value)
                };
                let tenths = scored(Measure::Step, Feedback::Free, OOD).filter(|step| step.probe == row.probe);
                let mut by_tenth = vec![None; if kind == Measure::Hint { TENTHS } else { 0 }];
                for step in tenths {
                    let place = step.step_tenth.and_then(|at| by_tenth.get_mut(usize::try_from(at).ok()?));
                    if let Some(place) = place {
                        *place = Some(step.value);
                    }
                }
                Probe {
                    name: row.probe.clone().unwrap_or_default(),
                    kind: row.probe_type.clone().unwrap_or_default(),
                    accuracy: row.value,
                    forced: other(Feedback::Forced, OOD),
                    near: other(Feedback::Free, NEAR),
                    tenths: by_tenth,
                }
            };
            let mut probes: Vec<Probe> = scored(kind, Feedback::Free, OOD).map(of).collect();
            let key = |probe: &Probe| (probe.kind == "scalar", probe.accuracy);
            probes.sort_by(|a, b| {
                let (a, b) = (key(a), key(b));
                a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
            });
            probes
        };
        let mut first_wrong = Vec::new();
        let mut never_wrong = 0.0;
        for row in scored(Measure::FirstWrong, Feedback::Free, OOD) {
            match (&row.probe, row.step_tenth.and_then(|tenth| usize::try_from(tenth).ok())) {
                (Some(hint), Some(tenth)) => {
                    first_wrong.push(FirstWrong { hint: hint.clone(), tenth, share: row.value })
                }
                _ => never_wrong = row.value,
            }
        }
        first_wrong.sort_by(|a, b| b.share.total_cmp(&a.share));
        let mut confusions: Vec<Confusion> = scored(Measure::Confusion, Feedback::Free, OOD)
            .filter_map(|row| {
                let (truth, predicted) = row.class_true.zip(row.class_predicted)?;
                let hint = row.probe.clone()?;
                Some(Confusion { hint, truth, predicted, share: row.value, decisions: row.correct })
            })
            .filter(|confusion| confusion.truth != confusion.predicted)
            .collect();
        confusions.sort_by(|a, b| b.decisions.total_cmp(&a.decisions));
        Some(Self {
            candidate_id: score.candidate_id.clone(),
            task: score.task.clone(),
            nodes: score.nodes,
            near_nodes: near.map(|row| row.nodes),
            score: score.value,
            near_score: near.map(|row| row.value),
            outputs: probes(Measure::Output),
            hints: probes(Measure::Hint),
            first_wrong,
            never_wrong,
            confusions,
            operators: lesions(&rows, Lesioned::Operator),
            channels: lesions(&rows, Lesioned::Channel),
        })
    }

    /// The facts of each candidate of a table, of the first of its trainings that was looked at.
    pub fn by_candidate(rows: &[DiagnosisRow]) -> BTreeMap<String, Self> {
        let mut of: BTreeMap<&str, Vec<&DiagnosisRow>> = BTreeMap::new();
        for row in rows {
            of.entry(&row.candidate_id).or_default().push(row);
        }
        let facts = of.into_iter().filter_map(|(id, rows)| {
            let first = rows.iter().map(|row| row.seed_index).min()?;
            let facts = Self::of(rows.into_iter().filter(|row| row.seed_index == first))?;
            Some((id.to_owned(), facts))
        });
        facts.collect()
    }
}

/// The graphs that are scored, and those of the validation's length.
const OOD: &str = "ood";
const NEAR: &str = "validation";
/// What replaces an operator on which nothing depends.
const NOTHING: &str = "nothing";

fn lesions(rows: &[&DiagnosisRow], kind: Lesioned) -> Vec<Lesion> {
    let mut found: Vec<Lesion> = Vec::new();
    for row in rows.iter().filter(|row| row.kind == Measure::Lesion && row.subject_kind == Some(kind)) {
        let (Some(name), Some(loss)) = (&row.subject, row.loss) else { continue };
        let at = found.iter().position(|lesion| lesion.name == *name).unwrap_or_else(|| {
            let replaced_by = row.replaced_by.clone().unwrap_or_default();
            found.push(Lesion { name: name.clone(), replaced_by, ..Lesion::default() });
            found.len() - 1
        });
        let Some(lesion) = found.get_mut(at) else { continue };
        lesion.most = lesion.most.max(loss.abs());
        match (&row.probe, row.mode) {
            (None, Feedback::Free) => lesion.loss = loss,
            (None, Feedback::Forced) => lesion.forced_loss = loss,
            (Some(probe), Feedback::Free) => lesion.by_probe.push((probe.clone(), loss)),
            (Some(_), Feedback::Forced) => {}
        }
    }
    for lesion in &mut found {
        lesion.by_probe.sort_by(|a, b| b.1.total_cmp(&a.1));
    }
    found.sort_by(|a, b| b.loss.total_cmp(&a.loss).then(b.mean_loss().total_cmp(&a.mean_loss())));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row about this, with this value; what else it says is set by the tests.
    fn row(kind: Measure, mode: Feedback, split: &str, probe: Option<(&str, &str)>, value: f64) -> DiagnosisRow {
        DiagnosisRow {
            run: "r".into(),
            settings_digest: None,
            candidate_id: "c".into(),
            task: "dfs".into(),
            seed_index: 0,
            train_seed: 5,
            kind,
            mode,
            split: split.into(),
            nodes: if split == OOD { 12 } else { 8 },
            n: 4,
            subject_kind: None,
            subject: None,
            replaced_by: None,
            probe: probe.map(|(name, _)| name.into()),
            probe_type: probe.map(|(_, ty)| ty.into()),
            step_tenth: None,
            class_true: None,
            class_predicted: None,
            correct: value * 8.0,
            total: 8.0,
            value,
            loss: None,
        }
    }

    fn lesion(kind: Lesioned, subject: &str, mode: Feedback, probe: Option<&str>, loss: f64) -> DiagnosisRow {
        DiagnosisRow {
            subject_kind: Some(kind),
            subject: Some(subject.into()),
            replaced_by: Some("mean".into()),
            loss: Some(loss),
            ..row(Measure::Lesion, mode, NEAR, probe.map(|name| (name, "pointer")), 0.5)
        }
    }

    fn table() -> Vec<DiagnosisRow> {
        use Feedback::{Forced, Free};
        let step = |tenth, value| DiagnosisRow {
            step_tenth: Some(tenth),
            ..row(Measure::Step, Free, OOD, Some(("s", "mask_one")), value)
        };
        let wrong = |probe, tenth, value| DiagnosisRow {
            step_tenth: tenth,
            ..row(Measure::FirstWrong, Free, OOD, probe, value)
        };
        let confusion = |truth, predicted, value| DiagnosisRow {
            class_true: Some(truth),
            class_predicted: Some(predicted),
            ..row(Measure::Confusion, Free, OOD, Some(("color", "categorical")), value)
        };
        vec![
            row(Measure::Score, Free, OOD, None, 0.5),
            row(Measure::Score, Forced, OOD, None, 0.6),
            row(Measure::Score, Free, NEAR, None, 0.7),
            row(Measure::Output, Free, OOD, Some(("pi", "pointer")), 0.5),
            row(Measure::Hint, Free, OOD, Some(("time", "scalar")), 0.1),
            row(Measure::Hint, Free, OOD, Some(("s", "mask_one")), 0.75),
            row(Measure::Hint, Forced, OOD, Some(("s", "mask_one")), 1.0),
            row(Measure::Hint, Free, NEAR, Some(("s", "mask_one")), 0.875),
            row(Measure::Hint, Free, OOD, Some(("pi_h", "pointer")), 0.25),
            step(0, 1.0),
            step(4, 0.5),
            wrong(Some(("s", "mask_one")), Some(2), 0.25),
            wrong(Some(("pi_h", "pointer")), Some(0), 0.5),
            wrong(None, None, 0.25),
            confusion(0, 0, 0.5),
            confusion(0, 2, 0.25),
            confusion(1, 2, 0.375),
            lesion(Lesioned::Operator, "t_1", Free, None, 0.25),
            lesion(Lesioned::Operator, "t_1", Forced, None, 0.125),
            lesion(Lesioned::Operator, "t_1", Free, Some("pi"), 0.25),
            lesion(Lesioned::Operator, "t_1", Free, Some("pi_h"), 0.5),
            lesion(Lesioned::Operator, "m_g", Free, None, 0.0),
            lesion(Lesioned::Operator, "m_g", Forced, Some("pi_h"), 0.0),
            lesion(Lesioned::Operator, "m_1", Free, None, 0.375),
            lesion(Lesioned::Operator, "o1", Free, None, 0.0),
            lesion(Lesioned::Operator, "o1", Forced, Some("s"), -0.25),
            lesion(Lesioned::Channel, "tri_msgs", Free, None, 0.5),
        ]
    }

    #[test]
    fn what_fails_comes_first() {
        let facts = Diagnosis::of(&table()).expect("a score");
        assert_eq!((facts.score, facts.near_score, facts.nodes, facts.near_nodes), (0.5, Some(0.7), 12, Some(8)));
        let names: Vec<&str> = facts.hints.iter().map(|probe| probe.name.as_str()).collect();
        assert_eq!(names, ["pi_h", "s", "time"], "scalars come last");
        let s = &facts.hints[1];
        assert_eq!((s.accuracy, s.forced, s.near, s.compounded()), (0.75, Some(1.0), Some(0.875), Some(0.25)));
        assert_eq!((s.falls_below(0.9), s.falls_below(0.5)), (Some(4), None));
        assert_eq!(facts.first_wrong[0], FirstWrong { hint: "pi_h".into(), tenth: 0, share: 0.5 });
        assert_eq!((facts.first_wrong.len(), facts.never_wrong), (2, 0.25));
        let confused: Vec<_> = facts.confusions.iter().map(|c| (c.truth, c.predicted, c.share)).collect();
        assert_eq!(confused, [(1, 2, 0.375), (0, 2, 0.25)]);
    }

    #[test]
    fn what_matters_comes_first_and_what_is_idle_is_told() {
        let facts = Diagnosis::of(&table()).expect("a score");
        let names: Vec<&str> = facts.operators.iter().map(|lesion| lesion.name.as_str()).collect();
        assert_eq!(names, ["m_1", "t_1", "m_g", "o1"]);
        let t_1 = facts.operator("t_1").expect("there");
        assert_eq!((t_1.loss, t_1.forced_loss, t_1.most, t_1.mean_loss()), (0.25, 0.125, 0.5, 0.375));
        assert_eq!(t_1.by_probe[0], ("pi_h".into(), 0.5));
        // One whose absence helps something is not idle.
        assert_eq!(facts.idle().map(|lesion| lesion.name.as_str()).collect::<Vec<_>>(), ["m_g"]);
        assert!(facts.operator("m_g").expect("there").is_dead());
        assert_eq!(facts.channel("tri_msgs").expect("there").loss, 0.5);
    }

    #[test]
    fn a_shift_is_of_operators_that_both_programs_have() {
        let before = Diagnosis::of(&table()).expect("a score");
        let same = before.shift(&before).expect("shared");
        assert_eq!((same.operators, same.mean), (1, 0.0), "one operator has losses by hint");
        let mut rows = table();
        for row in rows.iter_mut().filter(|row| row.subject.as_deref() == Some("t_1") && row.probe.is_some()) {
            row.loss = Some(0.0);
        }
        let shift = Diagnosis::of(&rows).and_then(|after| after.shift(&before)).expect("shared");
        assert_eq!((shift.mean, shift.most), (0.375, Some(("t_1".into(), 0.375))));
        rows.retain(|row| row.subject.as_deref() != Some("t_1"));
        assert_eq!(Diagnosis::of(&rows).and_then(|after| after.shift(&before)), None);
    }

    #[test]
    fn candidates_are_told_apart_and_the_first_training_counts() {
        let mut rows = table();
        let other = |row: &DiagnosisRow| DiagnosisRow { candidate_id: "d".into(), ..row.clone() };
        let again = |row: &DiagnosisRow| DiagnosisRow { seed_index: 1, value: 0.0, ..row.clone() };
        let more: Vec<_> = rows.iter().map(other).chain(rows.iter().map(again)).collect();
        rows.extend(more);
        let facts = Diagnosis::by_candidate(&rows);
        assert_eq!(facts.keys().collect::<Vec<_>>(), ["c", "d"]);
        assert!(facts.values().all(|facts| facts.score == 0.5 && facts.operators.len() == 4));
        assert_eq!(Diagnosis::of(&[]), None);
    }
}
