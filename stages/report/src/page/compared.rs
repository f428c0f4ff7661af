//! The tables that set methods side by side, and beside the literature.

use search::reach::{Rates, Reach as Edits, Share, Sizes};

use super::tables::{share, spread};
use crate::analysis::{Group, Reach, edits, evaluations, horizon, mean_std};
use crate::figures::{PUBLISHED, PUBLISHED_ABLATION, Published};
use crate::run::Run;
use crate::table::{Cell, Table};
use crate::text::{percent, points, whole};

/// What a method is called in settings and in the literature's tables.
fn published(method: &str) -> Option<&'static Published> {
    PUBLISHED.iter().chain(PUBLISHED_ABLATION).find(|known| known.method == method)
}

/// Methods side by side: means over their runs, and what was published of them. The file has everything in one table; the
/// page shows costs and [levels](reach_table) below it.
pub fn comparison(groups: &[Group<'_>], levels: &[f64]) -> Table {
    let mut columns = vec![
        ("Method", "method", false),
        ("Runs", "runs", true),
        ("Confirmed gain (points)", "confirmed_gain", true),
        ("Runs confirmed", "runs_confirmed", true),
        ("Best OOD, as selected (%)", "best_ood_acc", true),
        ("Test, as selected (%)", "best_test_acc", true),
        ("Seed spread (points)", "seed_spread", true),
        ("Executable (%)", "executable_rate", true),
        ("Admitted (%)", "admitted_rate", true),
        ("Entangled (%)", "entanglement_rate", true),
        ("Evaluated", "evaluated", true),
        ("Published † (%)", "published_dfs_ood_acc", true),
    ];
    columns.extend(COSTS);
    let names = level_names(levels);
    columns.extend(names.iter().map(|(heading, key)| (heading.as_str(), key.as_str(), true)));
    let honest = match groups.iter().flat_map(|group| &group.runs).any(|run| run.chose_by_test()) {
        true => "",
        false => {
            "Best OOD is of the split that the searches chose by, and so tends to be too high; test was never used to choose. "
        }
    };
    let note = format!(
        "How large differences are, and how sure, is in the table of effects. Gain and accuracies: mean ± standard deviation \
         over runs; a standard deviation needs two. Confirmed gain: of a run's winner over the seed program on fresh seeds and \
         graphs, over runs that have one; confirmed are those whose own 95 % interval lies above 0. As selected: of each run's \
         winner, with the trainings that it was chosen by, whose luck is included. {honest}All else: means over runs. \
         Executable: of all tries, those with a working program, whatever it edits; admitted: those that went on to training. \
         Seed spread: mean standard \
         deviation of a candidate's accuracy over its training seeds; a dash: one seed. Evaluated: proposals that training \
         was spent on, whether it ended with a score or not. † DFS as published, at N = 64; how it was made stands with \
         the published figures: not comparable with runs of smaller profiles."
    );
    let mut table = Table::new("comparison", "Comparison", note, &columns);
    for key in COSTS.iter().map(|column| column.1).chain(names.iter().map(|(_, key)| key.as_str())) {
        table = table.only_in_files(key);
    }
    for group in groups {
        let collect =
            |pick: &dyn Fn(&Run) -> Option<f64>| group.runs.iter().filter_map(|run| pick(run)).collect::<Vec<f64>>();
        let accuracy = |values: Vec<f64>| {
            let stats = mean_std(&values);
            spread(stats.map(|s| s.0), stats.map(|s| s.1))
        };
        let mean = |pick: &dyn Fn(&Run) -> Option<f64>| mean_std(&collect(pick)).map(|s| s.0);
        let method = group.runs.first().map_or("", |run| run.method.as_str());
        let confirmed =
            group.runs.iter().filter(|run| run.confirmation.as_ref().is_some_and(|c| c.confirmed())).count();
        let mut row = vec![
            Cell::text(&group.name),
            Cell::count(group.runs.len()),
            gain_spread(&collect(&|run| Some(run.confirmation.as_ref()?.gain?.mean))),
            Cell::both(format!("{confirmed} of {}", group.runs.len()), confirmed.to_string()),
            accuracy(collect(&|run| run.winner()?.ood_acc)),
            accuracy(collect(&|run| run.winner()?.test_acc)),
            share(edits(group).spread.map(|sizes| sizes.mean)),
            share(mean(&|run| rate(run, |rates| rates.executable))),
            share(mean(&|run| rate(run, |rates| rates.admitted))),
            share(mean(&|run| rate(run, |rates| rates.entangled))),
            rounded(mean(&|run| Some(evaluations(run).iter().filter(|e| e.number > 0).count() as f64))),
            Cell::number(published(method).map(|known| known.dfs / 100.0), percent),
        ];
        row.extend(costs(group));
        row.extend(reached(group, levels));
        table.rows.push(row);
    }
    table
}

type Heading = (&'static str, &'static str, bool);

/// One of the rates of a run, over all its tries.
fn rate(run: &Run, of: fn(&Rates) -> Share) -> Option<f64> {
    let proposals: Vec<&schemas::Candidate> = run.proposals().collect();
    of(&Edits::of("", &proposals).rates).rate()
}

/// `+4.10 ± 1.20`, of gains.
fn gain_spread(gains: &[f64]) -> Cell {
    let Some((mean, std)) = mean_std(gains) else { return Cell::both("–", "") };
    match gains.len() {
        1 => Cell::both(points(mean), mean.to_string()),
        _ => Cell::both(format!("{} ± {:.2}", points(mean), std * 100.0), mean.to_string()),
    }
}

/// What a method's searches took, and what its winners cost.
const COSTS: [Heading; 4] = [
    ("Parameters", "best_params", true),
    ("MACs", "best_macs", true),
    ("Tokens", "tokens", true),
    ("Hours", "hours", true),
];

fn costs(group: &Group<'_>) -> [Cell; 4] {
    let mean = |pick: &dyn Fn(&Run) -> Option<f64>| {
        mean_std(&group.runs.iter().filter_map(|run| pick(run)).collect::<Vec<f64>>()).map(|s| s.0)
    };
    [
        rounded(mean(&|run| Some(run.winner()?.params? as f64))),
        rounded(mean(&|run| Some(run.winner()?.macs? as f64))),
        rounded(mean(&|run| run.effort.tokens().map(|tokens| tokens as f64))),
        Cell::number(mean(&|run| run.effort.hours()), three_digits),
    ]
}

fn rounded(value: Option<f64>) -> Cell {
    Cell::number(value, |v| whole(v.round() as i64))
}

/// The costs of [`comparison`], by themselves.
pub fn cost_table(groups: &[Group<'_>]) -> Table {
    let mut columns: Vec<Heading> = vec![("Method", "method", false), ("Runs", "runs", true)];
    columns.extend(COSTS);
    let note = "Means over runs. Parameters and multiply-accumulates of one message-passing step are the winner's. Tokens: of \
                prompts and replies, all tries and failed calls included; a dash: no language model. Hours: of training and of \
                waiting for models, added up over jobs side by side.";
    let mut table = Table::new("costs", "Costs of winners and searches", note, &columns);
    for group in groups {
        let mut row = vec![Cell::text(&group.name), Cell::count(group.runs.len())];
        row.extend(costs(group));
        table.rows.push(row);
    }
    table
}

/// A positive number with about three digits that count: `12.3`, `0.0781`.
fn three_digits(value: f64) -> String {
    let digits = (2.0 - value.abs().max(1e-4).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}

/// Headings of accuracy levels, and their names in files: `60 %`, `to_60`.
fn level_names(levels: &[f64]) -> Vec<(String, String)> {
    let name = |level: f64| {
        let text = format!("{:.1}", level * 100.0);
        text.strip_suffix(".0").map_or(text.clone(), String::from)
    };
    levels.iter().map(|level| (format!("{} %", name(*level)), format!("to_{}", name(*level)))).collect()
}

/// How many evaluated candidates a group needed to reach each level.
fn reached(group: &Group<'_>, levels: &[f64]) -> Vec<Cell> {
    let cell = |level: &f64| {
        let reach = Reach::of(group, *level, 0);
        if reach.runs == 0 && reach.spent > 0 {
            return Cell::both(format!("> {} (0 of {})", reach.spent, group.runs.len()), "");
        }
        Cell::number(reach.expected, |mean| {
            let number = format!("{mean:.1}");
            let number = number.strip_suffix(".0").unwrap_or(&number);
            match reach.runs == group.runs.len() {
                true => number.into(),
                false => format!("{number} ({} of {})", reach.runs, group.runs.len()),
            }
        })
    };
    levels.iter().map(cell).collect()
}

/// Evaluated candidates until each accuracy level; None without levels.
pub fn reach_table(groups: &[Group<'_>], levels: &[f64]) -> Option<Table> {
    let names = level_names(levels);
    let mut columns = vec![("Method", "method", false), ("Runs", "runs", true)];
    columns.extend(names.iter().map(|(heading, key)| (heading.as_str(), key.as_str(), true)));
    // For each level the runs that reached it, and the mean that needs no run to reach it.
    let further: Vec<(String, String)> = names
        .iter()
        .flat_map(|(_, key)| [format!("{key}_runs"), format!("{key}_restricted")])
        .map(|key| (key.clone(), key))
        .collect();
    columns.push(("Horizon", "horizon", true));
    columns.extend(further.iter().map(|(heading, key)| (heading.as_str(), key.as_str(), true)));
    let horizon = horizon(groups);
    let note = format!(
        "Evaluated candidates that it takes until the best OOD accuracy of a run reaches the level: those of all runs, also \
         of runs that never reached it, over the number of runs that did (expected running time); in brackets how many, where \
         not all did. >: none did in so many. 0: the seed program reaches it. The file has, besides, the mean of the \
         evaluated candidates until the level or number {horizon}, whichever comes first (Kaplan and Meier's curve)."
    );
    let mut table = Table::new("reach", "Evaluated candidates until an accuracy is reached", note, &columns);
    for key in further.iter().map(|(_, key)| key.as_str()).chain(["horizon"]) {
        table = table.only_in_files(key);
    }
    for group in groups {
        let mut row = vec![Cell::text(&group.name), Cell::count(group.runs.len())];
        row.extend(reached(group, levels));
        row.push(Cell::count(horizon as usize));
        for level in levels {
            let reach = Reach::of(group, *level, horizon);
            row.extend([Cell::count(reach.runs), Cell::number(reach.restricted, |mean| format!("{mean:.1}"))]);
        }
        table.rows.push(row);
    }
    (!levels.is_empty()).then_some(table)
}

/// What a group is called in tables of methods: a single run by its method.
fn name(groups: &[Group<'_>], group: &Group<'_>) -> String {
    match groups {
        [only] => only.method().to_owned(),
        _ => group.name.clone(),
    }
}

/// The kinds of entanglement that `check` knows, as they stand in the column `entanglement`, with their meanings.
const KINDS: &[(&str, &str)] = &[
    ("frozen-code", "code outside of the editable regions differs"),
    ("other-region", "another region than the one to change differs; where the method chose freely, both do"),
    ("rebinds-frozen", "a name that frozen code relies on is bound anew"),
    ("region-markers", "the regions cannot be found"),
    ("unparsable", "it is no program"),
];

/// How many proposals of each method are entangled, and in which ways.
pub fn entanglement(groups: &[Group<'_>]) -> Table {
    let all: Vec<Edits> = groups.iter().map(edits).collect();
    let mut kinds: Vec<String> = KINDS.iter().map(|(kind, _)| (*kind).to_owned()).collect();
    for kind in all.iter().flat_map(|edits| edits.kinds.keys()) {
        if !kinds.contains(kind) {
            kinds.push(kind.clone());
        }
    }
    let mut columns = vec![
        ("Method", "method", false),
        ("Proposals", "proposals", true),
        ("Executable (%)", "executable_rate", true),
        ("Admitted (%)", "admitted_rate", true),
        ("First tries, executable (%)", "first_executable_rate", true),
        ("First tries, admitted (%)", "first_admitted_rate", true),
        ("Repairs", "repairs", true),
        ("Repairs, executable (%)", "repair_executable_rate", true),
        ("Repairs, admitted (%)", "repair_admitted_rate", true),
        ("Entangled (%)", "entanglement_rate", true),
        ("First tries, entangled (%)", "first_entanglement_rate", true),
    ];
    let names: Vec<(String, String)> =
        kinds.iter().map(|kind| (format!("{kind} (%)"), kind.replace('-', "_"))).collect();
    columns.extend(names.iter().map(|(heading, key)| (heading.as_str(), key.as_str(), true)));
    columns.push(("Changes a frozen output (%)", "frozen_output_rate", true));
    columns.push(("Frozen outputs changed", "frozen_outputs_changed", true));
    let occurs = |kind: &str| all.iter().any(|edits| edits.kinds.contains_key(kind));
    let meanings: String =
        KINDS.iter().filter(|(kind, _)| occurs(kind)).map(|(kind, meaning)| format!("{kind}: {meaning}. ")).collect();
    let note = format!(
        "Shares of the proposals for which it is known; every try counts, one that was sent back to a model and the one that \
         came of it (repairs; first tries stand apart where there are any). Executable: the program has a graph; admitted: it \
         goes on to training, which an edit beyond its factor does not where a gate is set. A proposal can be entangled in several ways. {meanings}Frozen outputs: results of the processor that the parent's \
         frozen code computes alone."
    );
    let mut table = Table::new("entanglement", "Entanglement by kind", note, &columns);
    for (kind, (_, key)) in kinds.iter().zip(&names) {
        if !occurs(kind) {
            table = table.only_in_files(key);
        }
    }
    let repaired = all.iter().any(|edits| edits.repairs != Rates::default());
    for key in
        ["first_executable_rate", "first_admitted_rate", "repairs", "repair_executable_rate", "repair_admitted_rate"]
    {
        if !repaired {
            table = table.only_in_files(key);
        }
    }
    table = table.only_in_files("first_entanglement_rate");
    for (group, edits) in groups.iter().zip(&all) {
        let (rates, first, repairs) = (edits.rates, edits.first_tries, edits.repairs);
        let of = rates.entangled.of;
        let mut row = vec![
            Cell::text(name(groups, group)),
            Cell::count(edits.proposals),
            share(rates.executable.rate()),
            share(rates.admitted.rate()),
            share(first.executable.rate()),
            share(first.admitted.rate()),
            Cell::count(repairs.executable.of),
            share(repairs.executable.rate()),
            share(repairs.admitted.rate()),
            share(rates.entangled.rate()),
            share(first.entangled.rate()),
        ];
        row.extend(kinds.iter().map(|kind| {
            let count = edits.kinds.get(kind).copied().unwrap_or(0);
            share(Share { count, of }.rate())
        }));
        row.push(share(edits.frozen_outputs.rate()));
        row.push(Cell::number((edits.frozen_outputs.of > 0).then_some(edits.frozen_outputs_changed), |n| {
            n.to_string()
        }));
        table.rows.push(row);
    }
    table
}

/// How far the edits of each method reach, and how much of a difference is chance.
pub fn edit_distances(groups: &[Group<'_>]) -> Table {
    let names = [("OPERATOR", "operator"), ("ACTION", "action"), ("Frozen code", "frozen"), ("Typed graph", "graph")];
    let keys: Vec<(String, String)> = names
        .iter()
        .flat_map(|(heading, key)| {
            [("mean", "mean"), ("median", "median"), ("largest", "largest")]
                .map(|(text, name)| (format!("{heading}, {text}"), format!("{key}_{name}")))
        })
        .collect();
    let mut columns = vec![("Method", "method", false)];
    columns.extend(keys.iter().map(|(heading, key)| (heading.as_str(), key.as_str(), true)));
    columns.push(("Spread over seeds", "seed_spread_mean", true));
    columns.push(("Candidates with a spread", "seed_spread_candidates", true));
    let note = "Tree edit distance to the parent in syntax nodes, by region; of the typed graphs: nodes and edges that only \
                one of the two has. Over all proposals for which it is known. Spread: standard deviation of the accuracy over \
                training seeds, in points, mean over candidates with at least two.";
    let mut table = Table::new("edits", "How far edits reach", note, &columns);
    for (_, key) in keys.iter().filter(|(_, key)| key.ends_with("largest")) {
        table = table.only_in_files(key);
    }
    table = table.only_in_files("seed_spread_candidates");
    for group in groups {
        let edits = edits(group);
        let mut row = vec![Cell::text(name(groups, group))];
        for sizes in [edits.operator, edits.action, edits.frozen, edits.graph] {
            let pick = |of: fn(&Sizes) -> f64| Cell::number(sizes.as_ref().map(of), |v| format!("{v:.1}"));
            row.extend([pick(|s| s.mean), pick(|s| s.median), pick(|s| s.largest)]);
        }
        row.push(share(edits.spread.map(|sizes| sizes.mean)));
        row.push(Cell::count(edits.spread.map_or(0, |sizes| sizes.known)));
        table.rows.push(row);
    }
    table
}

/// The literature's figures.
pub fn published_table() -> Table {
    let columns = [
        ("Method", "method", false),
        ("DFS, OOD (%)", "dfs_ood_acc", true),
        ("Nine further tasks, mean OOD (%)", "nine_tasks_ood_acc", true),
        ("Size on these (thousands)", "nine_tasks_size_k", true),
        ("Candidates", "evaluated", true),
        ("What is known of how the figure for DFS was made", "known", false),
    ];
    let note = "As published by SPARK's authors, in the paper and the README of its implementation: test split, N = 64. Training \
                steps, seeds, and which split chose are not stated beyond what the last column says, so that runs of ours are \
                not comparable with them. Which nine tasks they are of is not stated either. Sizes are published as \
                multiply-accumulates; the reference implementation counts parameters there. Candidates: the paper's factor \
                of 28.1 is 1600 / 57, where 57 are SPARK's candidates on DFS itself, until its best, and 1600 all samples that \
                EvoPrompting generated in a search on another task: it compares neither the same task nor the same count.";
    let mut table = Table::new("published", "Published figures", note, &columns);
    let cell = |value: Option<f64>| {
        value.map_or(Cell::both("–", ""), |v| Cell::both(format!("{v:.2}"), format!("{:.4}", v / 100.0)))
    };
    let known = PUBLISHED.iter().chain(PUBLISHED_ABLATION);
    table.rows = known
        .map(|known| {
            vec![
                Cell::text(known.name),
                cell(Some(known.dfs)),
                cell(known.nine_tasks),
                Cell::number(known.size_k, |k| k.to_string()),
                Cell::number(known.evaluated, whole),
                Cell::text(known.known),
            ]
        })
        .collect();
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_keep_three_digits() {
        assert_eq!([0.0781234, 12.34, 123.4, 0.0].map(three_digits), ["0.0781", "12.3", "123", "0.000000"]);
    }

    #[test]
    fn every_method_that_was_published_is_found_by_its_name() {
        for method in ["spark", "openevolve", "evoprompting", "funsearch", "eoh", "asr-only", "rc-sar-only"] {
            assert!(published(method).is_some() && search::methods::named(method).is_some(), "{method}");
        }
        assert!(published("free-form").is_none());
    }
}
