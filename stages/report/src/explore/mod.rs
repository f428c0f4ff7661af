//! What the page's script opens: every candidate of every run, with its program, what was said about it, its curves and its
//! costs. The index is unpacked when the page is opened, the details when the first candidate is.

mod lines;
mod pack;
mod talk;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use schemas::Candidate;
use search::diagnosis::{Lesion, Probe};
use serde::Serialize;
use serde_json::{Value, json};

use self::lines::{Pool, Text};
use crate::analysis::{factor_name, smooth};
use crate::diff::bounded;
use crate::draw::{shorten, visible};
use crate::figures::accuracy;
use crate::run::{Run, short_id};
use crate::text::{edit, ood, percent, points, score, test, whole};

/// What the details may take on the page, in characters: a page of 1,000 candidates stays under 2 MB.
const PACKED: usize = 1_400_000;
/// Room for lines of programs, and for lines of exchanges with models, in bytes before they are compressed.
const PROGRAMS: usize = 8_000_000;
const EXCHANGES: usize = 16_000_000;
/// Lesions and hints of a candidate that are shown.
const PARTS: usize = 30;
const HINTS: usize = 24;
/// Findings of `check` that are shown.
const FINDINGS: usize = 20;

/// The page's data, each part compressed JSON in base64.
#[derive(Clone, Debug, Serialize)]
pub struct Explore {
    pub index: String,
    pub details: String,
    /// Candidates in all.
    pub candidates: usize,
    /// Attempts whose exchanges have no room.
    pub left_out: usize,
}

/// None where there are no candidates.
pub fn explore(runs: &[Run]) -> Result<Option<Explore>> {
    let candidates = runs.iter().map(|run| run.rows().len()).sum();
    if candidates == 0 {
        return Ok(None);
    }
    let index = pack::pack(&index(runs))?;
    let mut share = 1;
    loop {
        let (details, left_out) = details(runs, PROGRAMS / share, EXCHANGES / share);
        let details = pack::pack(&details)?;
        if details.len() <= PACKED || share >= 1 << 12 {
            return Ok(Some(Explore { index, details, candidates, left_out }));
        }
        share *= 2;
    }
}

/// One value of every candidate, by columns: numbers where they sort, texts where they are shown.
fn index(runs: &[Run]) -> Value {
    let rows = || runs.iter().flat_map(|run| run.rows().iter().map(move |row| (run, row)));
    let column =
        |value: &dyn Fn(&Run, &Candidate) -> Value| -> Value { rows().map(|(run, row)| value(run, row)).collect() };
    let ranks: BTreeMap<*const Candidate, usize> = runs
        .iter()
        .flat_map(|run| run.ranking().into_iter().enumerate().map(|(rank, row)| (std::ptr::from_ref(row), rank + 1)))
        .collect();
    let mut start = 0;
    let heads: Vec<Value> = runs
        .iter()
        .map(|run| {
            let place = |wanted: Option<&Candidate>| {
                run.rows().iter().position(|row| wanted.is_some_and(|wanted| std::ptr::eq(wanted, row)))
            };
            let head = json!({
                "name": clean(&run.name), "start": start,
                "winner": place(run.winner()), "seed": place(run.seed_program()),
            });
            start += run.rows().len();
            head
        })
        .collect();
    json!({
        "runs": heads,
        "id": column(&|_, row| clean(short_id(&row.candidate_id)).into()),
        "parent": column(&|run, row| parent(run, row).into()),
        "attempt": column(&|_, row| row.attempt.into()),
        "generation": column(&|_, row| row.generation.into()),
        "factor": column(&|run, row| if is_seed(run, row) { "–".into() } else { clean(factor_name(row)).into() }),
        "edit": column(&|run, row| if is_seed(run, row) { "seed program".into() } else { clean(&shorten(edit(row), 90)).into() }),
        "status": column(&|_, row| row.status.to_string().into()),
        "rank": column(&|_, row| ranks.get(&std::ptr::from_ref(row)).copied().into()),
        "fitness": column(&|_, row| rounded(row.fitness)),
        "ood": column(&|_, row| rounded(row.ood_acc)),
        "ood_sd": column(&|_, row| rounded(row.ood_acc_std.filter(|std| *std > 0.0))),
        "test": column(&|_, row| rounded(row.test_acc)),
        "test_sd": column(&|_, row| rounded(row.test_acc_std.filter(|std| *std > 0.0))),
        "seeds": column(&|_, row| row.ood_acc_seeds.as_ref().map(Vec::len).into()),
        "params": column(&|_, row| row.params.into()),
        "macs": column(&|_, row| row.macs.into()),
        "gain": column(&|run, row| rounded(gain(run, row))),
        "locality": column(&|_, row| row.locality.map(|locality| locality.as_str()).into()),
    })
}

fn is_seed(run: &Run, row: &Candidate) -> bool {
    run.seed_program().is_some_and(|seed| std::ptr::eq(seed, row))
}

/// The place of the parent's row in its run.
fn parent(run: &Run, row: &Candidate) -> Option<usize> {
    let parent = run.candidate(row.parent_id.as_deref()?)?;
    run.rows().iter().position(|known| std::ptr::eq(known, parent))
}

fn gain(run: &Run, row: &Candidate) -> Option<f64> {
    let parent = run.candidate(row.parent_id.as_deref()?)?;
    Some(row.ood_acc? - parent.ood_acc?)
}

/// Everything else, by candidate; and how many attempts' exchanges have no room.
fn details(runs: &[Run], programs: usize, exchanges: usize) -> (Value, usize) {
    let mut pool = Pool::default();
    let mut rows: Vec<Value> = Vec::new();
    let mut talks: Vec<BTreeMap<i64, Vec<talk::Call>>> = Vec::new();
    let mut codes = BTreeSet::new();
    let mut left_out = 0;
    for run in runs {
        // Those that are looked at most have room first.
        let mut order: Vec<usize> = (0..run.rows().len()).collect();
        order.sort_by(|a, b| {
            let scored = |i: &usize| run.rows().get(*i).is_some_and(|row| row.ood_acc.is_some());
            scored(b).cmp(&scored(a))
        });
        let limit = pool.bytes() + programs / runs.len();
        let mut sources: BTreeMap<usize, Text> = BTreeMap::new();
        for i in order {
            let Some(row) = run.rows().get(i).filter(|row| !row.source.is_empty()) else { continue };
            if pool.bytes() >= limit {
                break;
            }
            sources.insert(i, pool.add(&bounded(&row.source)));
        }
        let (calls, without) = talk::calls(run, &mut pool, exchanges / runs.len());
        left_out += without;
        for (i, row) in run.rows().iter().enumerate() {
            codes.extend(row.diagnostics.iter().flatten().take(FINDINGS).map(|found| found.code.clone()));
            let directive = row.directive.as_deref().map(|text| pool.add(&shorten(text, 4000)));
            rows.push(json!({
                "source": sources.get(&i),
                "facts": facts(run, row),
                "directive": directive,
                "reason": row.reason.as_deref().map(|reason| clean(&shorten(reason, 1000))),
                "findings": findings(row),
                "curves": curves(run, row),
                "diagnosis": diagnosis(run, row),
            }));
        }
        talks.push(calls);
    }
    let rules: BTreeMap<&str, &str> =
        codes.iter().filter_map(|code| Some((code.as_str(), program::Rule::of(code)?.page()))).collect();
    let (lines, texts) = pool.into_parts();
    (json!({ "rows": rows, "talks": talks, "rules": rules, "lines": lines, "texts": texts }), left_out)
}

/// Names and values, the same names for all candidates: two of them can be put side by side.
fn facts(run: &Run, row: &Candidate) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty() && value != "–") {
            list.push((name.to_owned(), clean(&value)));
        }
    };
    let each = |values: &Option<Vec<f64>>| {
        let values = values.as_ref().filter(|values| values.len() > 1)?;
        Some(values.iter().map(|value| percent(*value)).collect::<Vec<_>>().join(", "))
    };
    add("OOD accuracy (%)", Some(ood(row)));
    add("of each training (%)", each(&row.ood_acc_seeds));
    add("Fitness (%)", Some(score(row.fitness, row.fitness_sd, 0)));
    add("Test accuracy (%)", Some(test(row)));
    add("Gain over its parent (points)", gain(run, row).map(points));
    add("Validation accuracy (%)", row.val_acc.as_ref().and_then(|values| mean(values)).map(percent));
    add(
        "Training loss at the end",
        row.train_loss.as_ref().and_then(|values| mean(values)).map(|loss| format!("{loss:.4}")),
    );
    add("Parameters", row.params.map(whole));
    add("MACs per step", row.macs.map(whole));
    add("as a formula", row.macs_formula.clone());
    add("Memory of a step (bytes)", row.peak_bytes.map(whole));
    add("Training steps", row.train_steps.map(whole));
    let trained = run.effort.trainings.get(&(row.attempt, row.candidate_id.clone()));
    add("Training time (s)", trained.map(|trained| format!("{:.1}", trained.seconds)));
    add("Trained on", trained.and_then(|trained| trained.place()).or_else(|| row.device.clone()));
    if let Some(spent) = run.effort.models.get(&row.attempt) {
        add("Tokens of the attempt", Some(whole(schemas::count(spent.tokens))));
        add("Cost of the attempt", (spent.cost > 0.0).then(|| format!("{:.4}", spent.cost)));
        add("Waited for models (s)", (spent.seconds > 0.0).then(|| format!("{:.1}", spent.seconds)));
    }
    add("Edit", row.locality.map(|locality| locality.to_string()));
    add("Entanglement", row.entanglement.as_ref().map(|kinds| kinds.join(", ")));
    add("Edit distance, OPERATOR", row.edit_distance_operator.map(whole));
    add("Edit distance, ACTION", row.edit_distance_action.map(whole));
    add("Edit distance, frozen code", row.edit_distance_frozen.map(whole));
    add("Graph edit distance", row.graph_edit_distance.map(whole));
    add("Duplicate of", row.duplicate_of.clone());
    add("Island", Some(row.island.to_string()));
    add("Cell", row.cell.clone());
    add("Phase", row.phase.map(|phase| phase.to_string()));
    add("Repair round", row.repair_round.filter(|round| *round > 0).map(|round| round.to_string()));
    add("Proposer", Some(row.proposer.clone()));
    add("Candidate", Some(row.candidate_id.clone()));
    list
}

/// What `check` found: severity, code, line and column (0: none), message, help.
fn findings(row: &Candidate) -> Vec<Value> {
    let found = row.diagnostics.iter().flatten().take(FINDINGS);
    found
        .map(|found| {
            json!([
                found.severity.to_string(),
                clean(&found.code),
                found.line,
                found.column,
                clean(&shorten(&found.message, 1000)),
                found.help.as_deref().map(|help| clean(&shorten(help, 1000))),
            ])
        })
        .collect()
}

/// Loss by length and validation accuracy, each a name with steps and values.
fn curves(run: &Run, row: &Candidate) -> Option<Value> {
    let seeds = run.curves.get(&row.candidate_id)?;
    let line = |name: String, line: &smooth::Line| {
        let (steps, values): (Vec<f64>, Vec<f64>) = line.iter().map(|point| (point.0.round(), digits(point.1))).unzip();
        json!([name, steps, values])
    };
    let losses: Vec<Value> = smooth::by_length(seeds, &run.lengths())
        .iter()
        .map(|curve| line(curve.length.map_or("loss".into(), |length| format!("{length} nodes")), &curve.line))
        .collect();
    let measured = accuracy(seeds);
    let every = measured.len().div_ceil(40).max(1);
    let kept = measured.iter().rev().step_by(every).rev().copied().collect();
    Some(json!({ "loss": losses, "accuracy": line("validation".into(), &kept) }))
}

/// Hints with their accuracy, with true hints and by tenths of the run; and what parts are worth.
fn diagnosis(run: &Run, row: &Candidate) -> Option<Value> {
    let facts = run.diagnoses.get(&row.candidate_id)?;
    let hint = |probe: &Probe| {
        let tenths: Vec<Value> = probe.tenths.iter().map(|value| rounded(*value)).collect();
        json!([clean(&probe.name), rounded(Some(probe.accuracy)), rounded(probe.forced), tenths])
    };
    let part = |lesion: &Lesion| json!([clean(&shorten(&lesion.name, 60)), rounded(Some(lesion.loss))]);
    let hints: Vec<Value> = facts.hints.iter().take(HINTS).map(hint).collect();
    let parts: Vec<Value> = facts.channels.iter().chain(&facts.operators).take(PARTS).map(part).collect();
    Some(json!({ "nodes": facts.nodes, "score": rounded(Some(facts.score)), "hints": hints, "parts": parts }))
}

fn mean(values: &[f64]) -> Option<f64> {
    let known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

/// A share to a hundredth of a per cent and a bit; null for what is not a number.
fn rounded(value: Option<f64>) -> Value {
    value.filter(|value| value.is_finite()).map(|value| (value * 1e5).round() / 1e5).into()
}

/// Four digits that count.
fn digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// A text without characters that must not reach a reader's screen as they are.
fn clean(text: &str) -> String {
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Beside;

    #[test]
    fn nothing_is_packed_without_candidates_and_equal_runs_give_equal_data() {
        assert!(explore(&[]).expect("packed").is_none());
        let rows = || {
            let row = |attempt: i64| Candidate {
                attempt,
                candidate_id: format!("c{attempt}"),
                parent_id: (attempt > 0).then(|| "c0".into()),
                source: format!("x = {attempt}\n"),
                ood_acc: Some(0.25 + attempt as f64 / 10.0),
                ..Candidate::default()
            };
            vec![row(0), row(1)]
        };
        let run = || Run::new("r".into(), rows(), Beside::default());
        let (one, two) =
            (explore(&[run()]).expect("packed").expect("some"), explore(&[run()]).expect("packed").expect("some"));
        assert_eq!((one.index, one.details, one.candidates), (two.index, two.details, 2));
        let index = index(&[run()]);
        assert_eq!(index["parent"], json!([null, 0]));
        assert_eq!(index["gain"], json!([null, 0.1]));
        assert_eq!(index["edit"], json!(["seed program", ""]));
    }

    #[test]
    fn without_room_the_scored_programs_come_first_and_the_rest_is_counted() {
        let row = |attempt: i64| Candidate {
            attempt,
            candidate_id: format!("c{attempt}"),
            source: format!("x = {attempt}\n").repeat(1 + attempt as usize),
            ood_acc: (attempt == 7).then_some(0.5),
            ..Candidate::default()
        };
        let run = Run::new("r".into(), (0..9).map(row).collect(), Beside::default());
        let (details, left_out) = details(&[run], 1, 0);
        let known: Vec<usize> = (0..9).filter(|i| !details["rows"][i]["source"].is_null()).collect();
        assert_eq!((known, left_out), (vec![7], 0));
    }
}
