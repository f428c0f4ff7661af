//! What prompts tell of the search: the rows of the table, put so that a template can print them.

use std::collections::BTreeMap;

use schemas::{Candidate, Factor, Locality, Severity};
use search::diagnosis::Diagnosis;
use search::population::fitness;
use search::proposer::{Brief, factors};
use search::region::Region;
use serde::Serialize;

use crate::diagnosis::DiagnosisView;
use crate::past::{self, PastView, RefusalView};

/// Learning curves, by `candidate_id`: points of one training seed in the order of steps.
pub type Curves = BTreeMap<String, Vec<schemas::CurvePoint>>;

/// Most points of a curve that a prompt shows.
const CURVE_POINTS: usize = 6;
/// Most warnings of the parent that a prompt shows.
const WARNINGS: usize = 8;

/// What is searched for: the same in every prompt of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskFacts {
    /// CLRS algorithm, e.g. `dfs`.
    pub algorithm: String,
    /// Features of each embedding, H.
    pub hidden: i64,
    /// Nodes of the graphs that are trained on.
    pub train_lengths: Vec<i64>,
    /// Nodes of the graphs that fitness is measured on.
    pub eval_length: i64,
    /// Graphs of one optimiser step.
    pub batch_size: i64,
    /// Updates of the weights in one training.
    pub steps: i64,
    /// What there is to know of the task, in some hundred words (`clrs::Card::brief`).
    pub card: String,
}

/// What is known of programs beside the table of candidates.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Learning curves by `candidate_id`.
    pub curves: Curves,
    /// By `candidate_id`.
    pub diagnoses: BTreeMap<String, Diagnosis>,
}

/// The lines of one editable region, without its markers.
#[derive(Clone, Debug, Serialize)]
pub struct RegionView {
    /// The factor whose region it is.
    pub name: Factor,
    /// The lines, without those of the markers and without blank lines at the end.
    pub text: String,
}

/// A program with what is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct ProgramView {
    /// The program's text, without blank lines at the end.
    pub source: String,
    /// Its regions, where all else is as in the parent: then they are all there is to show. Else none.
    pub regions: Vec<RegionView>,
    /// The fitness that the search maximises; none where it has no score.
    pub fitness: Option<f64>,
    /// Standard deviation of the fitness as an estimate of the true accuracy; none where it is not known.
    pub fitness_error: Option<f64>,
    /// Trainings that the fitness rests on; 0 where that is not known.
    pub trainings: i64,
    /// Mean validation accuracy over its trainings, 0 to 1; none where it was not trained.
    pub val_acc: Option<f64>,
    /// Mean loss at the end of its trainings; none where it was not trained.
    pub train_loss: Option<f64>,
    /// Updates of the weights in each of its trainings.
    pub train_steps: Option<i64>,
    /// Trainable parameters of the processor.
    pub params: Option<i64>,
    /// Multiply-accumulates of one message-passing step for one graph (B = 1) of the longest training length.
    pub macs: Option<i64>,
    /// The same as a polynomial in B and N.
    pub macs_formula: Option<String>,
    /// Bytes of activations alive at once in one step, for one batch of the largest evaluation.
    pub peak_bytes: Option<i64>,
    /// What its last edit was, in a few words.
    pub edit: Option<String>,
    /// What `check` warned of, and no errors.
    pub warnings: Vec<Warning>,
    /// A few points of its learning curve, the first and the last among them; empty where there is none.
    pub curve: Vec<Point>,
    /// Where it fails, and what its parts are worth.
    pub diagnosis: Option<DiagnosisView>,
}

/// A warning of `check`.
#[derive(Clone, Debug, Serialize)]
pub struct Warning {
    /// Line of the program, from 1.
    pub line: i64,
    /// Code of the rule.
    pub code: String,
    /// What is doubtful, in a sentence.
    pub message: String,
}

/// A point of a learning curve.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Updates of the weights so far.
    pub step: i64,
    /// Loss of the batch.
    pub loss: f64,
    /// Validation accuracy after it, where there was a validation.
    pub val_acc: Option<f64>,
}

/// How the edits of one factor went.
#[derive(Clone, Debug, Serialize)]
pub struct FactorView {
    /// The factor.
    pub name: Factor,
    /// Edits that were decided about.
    pub tried: usize,
    /// Those of them that have a fitness.
    pub scored: usize,
    /// Those of them that are fitter than their parents.
    pub improved: usize,
    /// Those of them that reached beyond the factor.
    pub entangled: usize,
    /// Largest gain in fitness against the parent; none where no edit has one.
    pub best_gain: Option<f64>,
}

/// What all prompts of an attempt are rendered from.
#[derive(Clone, Debug, Serialize)]
pub struct Context {
    /// What is searched for.
    pub task: TaskFacts,
    /// What there is to know of the candidate language.
    pub language: String,
    /// The program that is to be edited.
    pub parent: ProgramView,
    /// The latest attempts.
    pub history: Vec<PastView>,
    /// The edits that led from the seed program to the parent, the oldest first; the last one is the parent's own.
    pub line: Vec<PastView>,
    /// Why proposals were refused, the most frequent rule first.
    pub refusals: Vec<RefusalView>,
    /// Standard deviation of one training's accuracy, as measured on programs that were trained several times.
    pub training_noise: Option<f64>,
    /// How edits went, for each factor that the parent has a region for.
    pub factors: Vec<FactorView>,
    /// Highest fitness among the rows that the attempt is told of.
    pub best_fitness: Option<f64>,
    /// Other programs to learn from.
    pub examples: Vec<ProgramView>,
    /// The method chose the examples: they are shown in its order and for its purpose.
    pub examples_chosen: bool,
}

impl Context {
    /// `shown`: past attempts to tell of, at most.
    pub fn new(task: &TaskFacts, language: &str, brief: &Brief<'_>, shown: usize, known: &Known) -> Self {
        let rows = brief.population.rows();
        let examples_chosen = brief.examples.is_some();
        let examples = brief.examples.clone().unwrap_or_else(|| top_and_diverse(rows, brief.parent.id));
        Self {
            task: task.clone(),
            language: language.trim().to_owned(),
            parent: match brief.parent.row {
                Some(row) => ProgramView::new(row, known),
                None => ProgramView::unknown(brief.parent.source),
            },
            history: past::latest(rows, shown),
            line: past::line(rows, brief.parent.id),
            refusals: past::refusals(rows),
            training_noise: past::training_noise(rows),
            factors: factors(brief.parent.source).into_iter().map(|factor| factor_view(rows, factor)).collect(),
            best_fitness: rows.iter().filter_map(|row| fitness(row)).max_by(f64::total_cmp),
            examples: examples.into_iter().map(|row| example(row, brief.parent.source, known)).collect(),
            examples_chosen,
        }
    }
}

/// A program beside the parent. Where it fails is told of the parent alone.
fn example(row: &Candidate, parent: &str, known: &Known) -> ProgramView {
    ProgramView { regions: regions(&row.source, parent), diagnosis: None, ..ProgramView::new(row, known) }
}

/// The regions in which a program differs from the parent, where its frozen code is the parent's: what is equal has been
/// read there. None where it has another frame or other regions, and where nothing differs.
fn regions(source: &str, parent: &str) -> Vec<RegionView> {
    let mut views = Vec::new();
    let (mut own, mut theirs) = (source.trim_end().to_owned(), parent.trim_end().to_owned());
    for name in factors(source) {
        let Some(region) = Region::find(source, name) else { return Vec::new() };
        let Some(other) = Region::find(parent, name) else { return Vec::new() };
        let blank = |text: &str| Region::find(text, name).map(|region| region.splice(""));
        let (Some(a), Some(b)) = (blank(&own), blank(&theirs)) else { return Vec::new() };
        (own, theirs) = (a, b);
        if region.text().trim_end() != other.text().trim_end() {
            views.push(RegionView { name, text: region.text().trim_end().to_owned() });
        }
    }
    if own == theirs { views } else { Vec::new() }
}

fn mean(values: Option<&Vec<f64>>) -> Option<f64> {
    let values = values.filter(|values| !values.is_empty() && values.iter().all(|value| value.is_finite()))?;
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

impl ProgramView {
    fn unknown(source: &str) -> Self {
        Self {
            source: source.trim_end().to_owned(),
            regions: Vec::new(),
            fitness: None,
            fitness_error: None,
            trainings: 0,
            val_acc: None,
            train_loss: None,
            train_steps: None,
            params: None,
            macs: None,
            macs_formula: None,
            peak_bytes: None,
            edit: None,
            warnings: Vec::new(),
            curve: Vec::new(),
            diagnosis: None,
        }
    }

    fn new(row: &Candidate, known: &Known) -> Self {
        let warnings = row.diagnostics.iter().flatten().filter(|d| d.severity != Severity::Error).take(WARNINGS);
        Self {
            fitness: fitness(row),
            fitness_error: row.fitness_sd.filter(|_| fitness(row).is_some()),
            trainings: row.trainings.unwrap_or(0),
            val_acc: mean(row.val_acc.as_ref()),
            train_loss: mean(row.train_loss.as_ref()),
            train_steps: row.train_steps,
            params: row.params,
            macs: row.macs,
            macs_formula: row.macs_formula.clone(),
            peak_bytes: row.peak_bytes,
            edit: row.edit.clone(),
            warnings: warnings
                .map(|d| Warning { line: d.line, code: d.code.clone(), message: d.message.clone() })
                .collect(),
            curve: known.curves.get(&row.candidate_id).map_or_else(Vec::new, |points| thin(points)),
            diagnosis: known.diagnoses.get(&row.candidate_id).map(DiagnosisView::from),
            ..Self::unknown(&row.source)
        }
    }
}

/// First and last point, and evenly spaced ones between.
fn thin(points: &[schemas::CurvePoint]) -> Vec<Point> {
    let last = points.len().saturating_sub(1);
    let count = points.len().min(CURVE_POINTS);
    let mut shown: Vec<Point> = Vec::with_capacity(count);
    for n in 0..count {
        let at = if count > 1 { n * last / (count - 1) } else { 0 };
        if let Some(point) = points.get(at) {
            shown.push(Point { step: point.step, loss: point.loss, val_acc: point.val_acc });
        }
    }
    shown
}

/// The three best programs besides the parent, then two that are good and unlike them: from other islands or cells.
fn top_and_diverse<'a>(rows: &[&'a Candidate], parent: &str) -> Vec<&'a Candidate> {
    const TOP: usize = 3;
    const DIVERSE: usize = 2;
    let mut ranked: Vec<&Candidate> =
        rows.iter().copied().filter(|row| fitness(row).is_some() && row.candidate_id != parent).collect();
    ranked.sort_by(|a, b| {
        let by_fitness = fitness(b).unwrap_or(0.0).total_cmp(&fitness(a).unwrap_or(0.0));
        by_fitness.then_with(|| (a.attempt, &a.candidate_id).cmp(&(b.attempt, &b.candidate_id)))
    });
    let mut seen = std::collections::BTreeSet::new();
    ranked.retain(|row| seen.insert(row.candidate_id.as_str()));
    let rest = ranked.split_off(ranked.len().min(TOP));
    let mut shown = ranked;
    for row in rest {
        if shown.len() >= TOP + DIVERSE {
            break;
        }
        let alike = |other: &&Candidate| other.island == row.island && other.cell == row.cell;
        if !shown.iter().any(alike) {
            shown.push(row);
        }
    }
    shown
}

fn factor_view(rows: &[&Candidate], factor: Factor) -> FactorView {
    let by_id = past::by_id(rows);
    let tried: Vec<&&Candidate> = rows.iter().filter(|row| row.factor == Some(factor) && past::decided(row)).collect();
    let gains: Vec<f64> = tried.iter().filter_map(|row| past::gain(row, &by_id)).collect();
    FactorView {
        name: factor,
        tried: tried.len(),
        scored: tried.iter().filter(|row| fitness(row).is_some()).count(),
        improved: gains.iter().filter(|gain| **gain > 0.0).count(),
        entangled: tried.iter().filter(|row| row.locality == Some(Locality::Entangled)).count(),
        best_gain: gains.into_iter().max_by(f64::total_cmp),
    }
}

#[cfg(test)]
mod tests {
    use schemas::Status;
    use search::population::Population;
    use search::proposer::Parent;
    use search::random::StreamKey;

    use super::*;

    fn row(attempt: i64, status: Status, fitness: Option<f64>) -> Candidate {
        Candidate {
            attempt,
            candidate_id: format!("id{attempt}"),
            parent_id: (attempt > 0).then(|| "id0".to_owned()),
            factor: Some(if attempt % 2 == 0 { Factor::OPERATOR } else { Factor::ACTION }),
            source: format!("program {attempt}\n"),
            edit: Some(format!("edit {attempt}")),
            island: attempt % 4,
            status,
            fitness,
            ..Candidate::default()
        }
    }

    fn facts() -> TaskFacts {
        TaskFacts {
            algorithm: "dfs".into(),
            hidden: 64,
            train_lengths: vec![4, 8],
            eval_length: 16,
            batch_size: 32,
            steps: 200,
            card: "TASK dfs".into(),
        }
    }

    fn context(rows: &[Candidate], examples: Option<&[usize]>) -> Context {
        let brief = Brief {
            population: &Population::new(rows),
            parent: Parent { id: "id0", source: "program 0", row: rows.first() },
            examples: examples.map(|list| list.iter().map(|n| &rows[*n]).collect()),
            diagnosis: None,
            key: StreamKey { seed: 0, stage: "propose", generation: 0, slot: 0, redraw: 0 },
        };
        Context::new(&facts(), "language", &brief, 3, &Known::default())
    }

    #[test]
    fn history_tells_outcomes_against_the_parent() {
        let mut rows = vec![
            row(0, Status::Scored, Some(0.5)),
            row(1, Status::Scored, Some(0.6)),
            row(2, Status::Rejected, None),
            row(3, Status::Scored, Some(f64::NAN)),
            row(4, Status::Proposed, None),
        ];
        rows[2].locality = Some(Locality::Entangled);
        let context = context(&rows, None);
        let told: Vec<(i64, &str, Option<f64>)> =
            context.history.iter().map(|past| (past.attempt, past.outcome.as_str(), past.fitness)).collect();
        assert_eq!(told, [(1, "scored", Some(0.6)), (2, "entangled", None), (3, "scored", None)]);
        assert!((context.history[0].gain.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(context.best_fitness, Some(0.6));
        let action = &context.factors[1];
        assert_eq!((action.tried, action.scored, action.improved), (2, 1, 1));
        assert_eq!((context.factors[0].entangled, context.factors[0].name), (1, Factor::OPERATOR));
    }

    #[test]
    fn examples_show_their_regions_where_the_frame_is_the_parents() {
        let seed = search::SEED_PROGRAM;
        let edited = Region::find(seed, Factor::ACTION).unwrap().splice("        tri_msgs = None\n");
        let shown = regions(&edited, seed);
        assert_eq!(
            shown.iter().map(|region| region.name).collect::<Vec<_>>(),
            [Factor::ACTION],
            "the other is the same"
        );
        assert_eq!(shown[0].text, "        tri_msgs = None");
        let both = Region::find(&edited, Factor::OPERATOR).unwrap().splice("        self.r = None\n");
        assert_eq!(regions(&both, seed).iter().map(|region| region.name).collect::<Vec<_>>(), Factor::PAPER);
        assert!(regions(seed, seed).is_empty());
        assert!(regions(&edited.replace("import torch\n", "import torch\nimport math\n"), seed).is_empty());
        assert!(regions("x = 1\n", seed).is_empty());
    }

    #[test]
    fn only_the_last_attempts_are_told() {
        let rows: Vec<Candidate> = (0..9).map(|n| row(n, Status::Scored, Some(0.1))).collect();
        let told: Vec<i64> = context(&rows, None).history.iter().map(|past| past.attempt).collect();
        assert_eq!(told, [6, 7, 8]);
    }

    #[test]
    fn top_and_diverse_leave_the_parent_out() {
        let mut rows: Vec<Candidate> = (0..10).map(|n| row(n, Status::Scored, Some(n as f64 / 10.0))).collect();
        rows.push(Candidate { attempt: 11, ..rows[9].clone() });
        let shown: Vec<String> = context(&rows, None).examples.iter().map(|p| p.source.clone()).collect();
        assert_eq!(shown, ["program 9", "program 8", "program 7", "program 6"]);
        let chosen = context(&rows, Some(&[2, 1]));
        assert!(chosen.examples_chosen);
        assert_eq!(chosen.examples[0].source, "program 2");
        assert!(context(&rows, Some(&[])).examples.is_empty(), "a method that shows no other program is obeyed");
    }

    #[test]
    fn curves_are_thinned_between_their_ends() {
        let point = |step: i64| schemas::CurvePoint {
            run: None,
            settings_digest: None,
            candidate_id: "id0".into(),
            task: "dfs".into(),
            train_seed: 0,
            step,
            loss: 1.0 / (step + 1) as f64,
            val_acc: None,
        };
        let points: Vec<_> = (0..=100).map(point).collect();
        let steps: Vec<i64> = thin(&points).iter().map(|point| point.step).collect();
        assert_eq!(steps, [0, 20, 40, 60, 80, 100]);
        assert_eq!(thin(&points[..1]).len(), 1);
        assert!(thin(&[]).is_empty());
    }
}
