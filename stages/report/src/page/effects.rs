//! The tables that a comparison leads with: how large the differences are, and how much of them may be chance.

use stats::{Interval, Permutation};

use super::tables::share;
use crate::analysis::{Against, Effect, Group, Outcomes, against, budget, effects, outcomes};
use crate::table::{Cell, Table};
use crate::text::{percent, points};

/// Every method against the baseline; None without two methods.
pub fn effect_table(groups: &[Group<'_>], baseline: Option<&str>) -> Option<Table> {
    let list = effects(groups, baseline);
    let base = list.first()?.baseline.clone();
    let columns = [
        ("Outcome", "outcome", false),
        ("Method", "method", false),
        ("Baseline", "baseline", false),
        ("Runs", "runs", true),
        ("Runs of the baseline", "baseline_runs", true),
        ("Paired", "paired", false),
        ("Mean (%)", "mean", true),
        ("Mean of the baseline (%)", "baseline_mean", true),
        ("Difference (points)", "difference", true),
        ("95 % interval, Student", "student", false),
        ("Low, Student", "student_low", true),
        ("High, Student", "student_high", true),
        ("95 % interval, bootstrap", "bootstrap", false),
        ("Low, bootstrap", "bootstrap_low", true),
        ("High, bootstrap", "bootstrap_high", true),
        ("p", "p", true),
        ("p, Holm", "p_holm", true),
        ("Smallest p", "p_smallest", true),
        ("Exact", "exact", false),
        ("Arrangements", "arrangements", true),
        ("p, unpaired", "p_unpaired", true),
        ("Hedges' g", "hedges_g", true),
        ("P(above)", "superiority", true),
    ];
    let evaluated = budget(groups.iter().flat_map(|group| group.runs.iter().copied()));
    let note = format!(
        "Each method minus {base}, in percentage points. A run counts with the gain of its winner over the seed program, on \
         training seeds and graphs that no search has seen (confirmed; where a run has no such figure, with its winner's \
         accuracy as selected: of that a part is luck, for every method), or with the mean of its best OOD accuracy so far \
         over {evaluated} evaluated candidates (the area under that curve; a run that ended before keeps its best; luck \
         included). p: permutation test, two-sided; where both methods ran with the same seeds, runs of one seed are \
         paired. Holm: corrected for the number of methods, for each outcome by itself. Intervals: Student's (Welch's where \
         not paired), and percentile bootstrap, expanded for few runs; with five runs the latter covers about 92 times in 100, \
         with three 75. Hedges' g: difference in standard deviations, of the pairs' differences where paired. P(above): \
         probability that a run of the method ends above one of {base}. The formulas are in schemas/statistics.md."
    );
    let mut table = Table::new("effects", "How large the differences are, and how sure", note, &columns);
    let hidden = [
        "baseline",
        "baseline_runs",
        "mean",
        "baseline_mean",
        "student_low",
        "student_high",
        "bootstrap_low",
        "bootstrap_high",
        "p_smallest",
        "exact",
        "arrangements",
        "p_unpaired",
    ];
    for key in hidden {
        table = table.only_in_files(key);
    }
    table.rows = list.iter().map(effect_row).collect();
    Some(table)
}

fn effect_row(effect: &Effect) -> Vec<Cell> {
    let [student, student_low, student_high] = interval(effect.student, points);
    let [bootstrap, bootstrap_low, bootstrap_high] = interval(effect.bootstrap, points);
    vec![
        Cell::both(effect.outcome.heading(), effect.outcome.key()),
        Cell::text(&effect.method),
        Cell::text(&effect.baseline),
        Cell::count(effect.runs),
        Cell::count(effect.baseline_runs),
        yes(effect.paired),
        share(effect.mean),
        share(effect.baseline_mean),
        Cell::number(effect.difference, points),
        student,
        student_low,
        student_high,
        bootstrap,
        bootstrap_low,
        bootstrap_high,
        probability(effect.test.map(|test| test.p)),
        probability(effect.holm),
        probability(effect.smallest_p),
        exact(effect.test),
        Cell::number(effect.test.map(|test| test.arrangements), |n| n.to_string()),
        probability(effect.unpaired.map(|test| test.p)),
        Cell::number(effect.g, two_digits),
        Cell::number(effect.superiority, |p| format!("{p:.2}")),
    ]
}

/// Entangled edits against local ones, per method; None where no method has both.
pub fn against_table(groups: &[Group<'_>]) -> Option<Table> {
    let columns = [
        ("Method", "method", false),
        ("Runs", "runs", true),
        ("Gain, difference (points)", "gain_difference", true),
        ("95 % interval", "gain_interval", false),
        ("Low", "gain_low", true),
        ("High", "gain_high", true),
        ("p", "gain_p", true),
        ("Smallest p", "gain_p_smallest", true),
        ("Runs with both", "broken_runs", true),
        ("Break, difference (points)", "broken_difference", true),
        ("95 % interval of it", "broken_interval", false),
        ("Low of it", "broken_low", true),
        ("High of it", "broken_high", true),
        ("p of it", "broken_p", true),
    ];
    let note = "Entangled edits minus local ones. A run counts with the difference of its two means, so that edits of one run, \
                which share its luck, are one observation: intervals are Student's over runs, p is of the paired permutation \
                test. Gain: fitness minus the parent's, in points. Break: the share of the edits whose program is not \
                executable or whose training diverged. Which edits a method makes is not assigned at random: this is what \
                entangled edits go with, not what they cause.";
    let mut table = Table::new("entangled_against_local", "Entangled edits against local ones", note, &columns);
    for key in ["gain_low", "gain_high", "gain_p_smallest", "broken_runs", "broken_low", "broken_high"] {
        table = table.only_in_files(key);
    }
    table.rows = against(groups)
        .iter()
        .filter(|found| found.gain.is_some() || found.broken.is_some())
        .map(against_row)
        .collect();
    (!table.rows.is_empty()).then_some(table)
}

fn against_row(found: &Against) -> Vec<Cell> {
    let [gain, gain_low, gain_high] = interval(found.gain_interval, points);
    let [broken, broken_low, broken_high] = interval(found.broken_interval, points);
    vec![
        Cell::text(&found.group),
        Cell::count(found.searches),
        Cell::number(found.gain, points),
        gain,
        gain_low,
        gain_high,
        probability(found.test.map(|test| test.p)),
        probability(found.smallest_p),
        Cell::count(found.broken_searches),
        Cell::number(found.broken, points),
        broken,
        broken_low,
        broken_high,
        probability(found.broken_test.map(|test| test.p)),
    ]
}

/// What became of edits by their reach, their size, and the frozen outputs that they change; the page shows whole methods,
/// the file every run as well. None where no edit was compared with its parent.
pub fn outcome_tables(groups: &[Group<'_>]) -> Option<(Table, Table)> {
    let list = outcomes(groups);
    let whole: Vec<Vec<Cell>> = list.iter().filter(|found| found.search.is_none()).map(outcome_row).collect();
    if whole.is_empty() {
        return None;
    }
    let columns = [
        ("Method", "method", false),
        ("Run", "run", false),
        ("Runs", "runs", true),
        ("By", "by", false),
        ("Edits", "class", false),
        ("Proposals", "proposals", true),
        ("Break", "broken", true),
        ("Break (%)", "broken_rate", true),
        ("95 % interval of it", "broken_interval", false),
        ("Low of it", "broken_low", true),
        ("High of it", "broken_high", true),
        ("With a gain", "gains", true),
        ("Gain (points)", "gain_mean", true),
        ("Standard deviation", "gain_std", true),
        ("Variance", "gain_variance", true),
        ("95 % interval of the gain", "gain_interval", false),
        ("Low of the gain", "gain_low", true),
        ("High of the gain", "gain_high", true),
    ];
    let note = "Of proposals that were compared with their parents. Break: not executable, or diverged in training; an edit that \
                was refused for its reach alone is executable, and has no gain, so that methods whose entangled edits are \
                refused tell nothing of these gains. Gain: fitness minus the parent's, where both have one; parents are \
                chosen for their fitness, part of which is luck, so that gains of all kinds lean below 0. Interval of the \
                share: Wilson's; of the gain: Student's, over the means of runs where there are several. Edit distance: tree \
                edit distance over the whole program, in syntax nodes.";
    let table = |name: &str| {
        let mut table = Table::new(name, "What became of edits", note, &columns);
        for key in ["run", "runs", "broken", "broken_low", "broken_high", "gain_variance", "gain_low", "gain_high"] {
            table = table.only_in_files(key);
        }
        table
    };
    let (mut shown, mut each) = (table("edit_outcomes"), table("edit_outcomes_by_run"));
    shown.rows = whole;
    each.rows = list.iter().filter(|found| found.search.is_some() || found.searches == 1).map(outcome_row).collect();
    Some((shown, each))
}

fn outcome_row(found: &Outcomes) -> Vec<Cell> {
    let [broken, broken_low, broken_high] = interval(found.broken_share, percent);
    let [gain, gain_low, gain_high] = interval(found.interval, points);
    let run =
        found.search.clone().unwrap_or_else(|| if found.searches == 1 { found.group.clone() } else { String::new() });
    vec![
        Cell::text(&found.group),
        Cell::text(run),
        Cell::count(found.searches),
        Cell::both(found.by.0, found.by.1),
        Cell::text(found.class),
        Cell::count(found.proposals),
        Cell::count(found.broken),
        share(found.broken_share.map(|share| share.estimate)),
        broken,
        broken_low,
        broken_high,
        Cell::count(found.gains),
        Cell::number(found.mean, points),
        share(found.variance.map(f64::sqrt)),
        Cell::number(found.variance, |v| format!("{v:.5}")),
        gain,
        gain_low,
        gain_high,
    ]
}

/// An interval as it is read, and its bounds for files.
fn interval(of: Option<Interval>, show: fn(f64) -> String) -> [Cell; 3] {
    let text = of.map_or_else(|| "–".into(), |of| format!("{} to {}", show(of.low), show(of.high)));
    let raw = of.map_or_else(String::new, |of| format!("{} to {}", of.low, of.high));
    [Cell::both(text, raw), Cell::number(of.map(|of| of.low), show), Cell::number(of.map(|of| of.high), show)]
}

fn yes(answer: bool) -> Cell {
    Cell::text(if answer { "yes" } else { "no" })
}

fn exact(test: Option<Permutation>) -> Cell {
    test.map_or(Cell::both("–", ""), |test| yes(test.exact))
}

/// `0.031`, `< 0.001`.
fn probability(p: Option<f64>) -> Cell {
    Cell::number(p, |p| if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") })
}

fn two_digits(value: f64) -> String {
    format!("{value:+.2}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_and_intervals_read_well() {
        assert_eq!(
            [0.5, 0.0312, 0.0002, 1.0].map(|p| probability(Some(p)).shown),
            ["0.500", "0.031", "< 0.001", "1.000"]
        );
        let of = Interval { estimate: 0.01, low: -0.02, high: 0.04, level: 0.95 };
        let [both, low, high] = interval(Some(of), points);
        assert_eq!((both.shown.as_str(), both.raw.as_str()), ("−2.00 to +4.00", "-0.02 to 0.04"));
        assert_eq!((low.raw.as_str(), high.raw.as_str()), ("-0.02", "0.04"));
        assert_eq!(interval(None, points).map(|cell| cell.raw), [const { String::new() }; 3]);
    }
}
