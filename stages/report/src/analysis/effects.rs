//! How large the differences between methods are, and how much of them may be chance.

use std::collections::BTreeMap;

use stats::{Interval, Permutation};

use crate::analysis::{Group, evaluations};
use crate::run::Run;

/// The share of intervals that is to cover the true value.
pub const LEVEL: f64 = 0.95;

/// Resamples and random arrangements are drawn with this seed, so that equal archives give equal pages.
const SEED: u64 = 20_260_127;

/// What a search is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Gain of the winner over the seed program by the search's own measure, on fresh seeds and graphs.
    Gain,
    /// The same on the test split.
    TestGain,
    /// Accuracy of the winner on the test split, with the trainings that it was chosen by.
    Test,
    /// Accuracy of the winner on the validation split out of distribution, with the trainings that it was chosen by.
    Ood,
    /// Mean of the best accuracy so far over the evaluated candidates.
    Area,
}

impl Outcome {
    /// In the order in which they are shown: what no search chose by comes first.
    pub const ALL: [Self; 5] = [Self::Gain, Self::TestGain, Self::Test, Self::Ood, Self::Area];

    /// What a page judges these searches by: confirmed gains where every search has one, else winners as selected. Both
    /// side by side would be two answers to one question, of which the second has luck in it.
    fn shown(groups: &[Group<'_>]) -> impl Iterator<Item = Self> {
        let mut runs = groups.iter().flat_map(|group| &group.runs);
        let confirmed = runs.all(|run| Self::Gain.of(run, 0).is_some());
        Self::ALL.into_iter().filter(move |outcome| match outcome {
            Self::Gain | Self::TestGain => confirmed,
            Self::Test => !confirmed,
            Self::Ood | Self::Area => true,
        })
    }

    /// Its name in files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Gain => "confirmed_gain",
            Self::TestGain => "confirmed_test_gain",
            Self::Test => "winner_test",
            Self::Ood => "winner_ood",
            Self::Area => "area_under_best",
        }
    }

    /// Its heading on the page.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Gain => "confirmed gain",
            Self::TestGain => "confirmed gain, test",
            Self::Test => "winner, test, as selected",
            Self::Ood => "winner, OOD, as selected",
            Self::Area => "best so far, mean",
        }
    }

    /// The outcome of one search, as a share of 1; `budget` in evaluated candidates.
    pub fn of(self, run: &Run, budget: usize) -> Option<f64> {
        match self {
            Self::Gain => Some(run.confirmation.as_ref()?.gain?.mean),
            Self::TestGain => Some(run.confirmation.as_ref()?.test_gain?.mean),
            Self::Test => run.winner()?.test_acc,
            Self::Ood => run.winner()?.ood_acc,
            Self::Area => area(run, budget),
        }
    }
}

/// Mean of the best OOD accuracy so far over so many evaluated candidates; a search that ended before keeps its best.
pub fn area(run: &Run, budget: usize) -> Option<f64> {
    let list = evaluations(run);
    let start = list.iter().find(|e| e.number == 0)?.accuracy;
    let scores: Vec<Option<f64>> = list.iter().filter(|e| e.number > 0).map(|e| e.accuracy).collect();
    stats::area_under_best(start, &scores, budget).ok()
}

/// The largest number of evaluated candidates of any of the runs: what areas are taken over.
pub fn budget<'a>(runs: impl IntoIterator<Item = &'a Run>) -> usize {
    runs.into_iter().map(evaluated).max().unwrap_or(0)
}

/// Proposals that training was spent on.
pub fn evaluated(run: &Run) -> usize {
    evaluations(run).iter().filter(|e| e.number > 0).count()
}

/// One method against the baseline, by one outcome. Fractions of 1.
#[derive(Clone, Debug)]
pub struct Effect {
    pub outcome: Outcome,
    pub method: String,
    pub baseline: String,
    /// Searches with a value, of the method and of the baseline.
    pub runs: usize,
    pub baseline_runs: usize,
    /// Whether searches of the same seed were compared with each other.
    pub paired: bool,
    pub mean: Option<f64>,
    pub baseline_mean: Option<f64>,
    /// Method minus baseline, with Student's interval (Welch's where not paired).
    pub difference: Option<f64>,
    pub student: Option<Interval>,
    pub bootstrap: Option<Interval>,
    pub test: Option<Permutation>,
    /// The smallest p that the test can have for so many searches.
    pub smallest_p: Option<f64>,
    /// The same p after Holm's correction over the methods of this outcome.
    pub holm: Option<f64>,
    /// The test that does not pair searches by their seeds.
    pub unpaired: Option<Permutation>,
    /// Difference in standard deviations.
    pub g: Option<f64>,
    /// Probability that a search of the method ends above one of the baseline.
    pub superiority: Option<f64>,
}

/// Which group the others are compared with: the one of this name or method; without a name `spark`, else the first. None
/// where there are no two methods or choices of models, or where none has the name.
pub fn baseline<'a, 'b>(groups: &'b [Group<'a>], named: Option<&str>) -> Option<&'b Group<'a>> {
    // What was made with other settings is another experiment, and no other method.
    let alike = |pair: &[Group<'_>]| {
        !pair[0].compares(&pair[1]) || pair[0].method() == pair[1].method() && pair[0].models() == pair[1].models()
    };
    if groups.len() < 2 || groups.windows(2).all(alike) {
        return None;
    }
    let of = |name: &str| groups.iter().find(|group| group.name == name || group.method() == name);
    match named {
        Some(name) => of(name),
        None => of("spark").or(groups.first()),
    }
}

/// What a group is compared with: the baseline's method with the group's own models, where there is such a group, so that a
/// difference is one of methods. The baseline itself is compared with nothing.
fn opponent<'a, 'b>(group: &Group<'a>, base: &'b Group<'a>, groups: &'b [Group<'a>]) -> &'b Group<'a> {
    let own = groups
        .iter()
        .find(|other| other.method() == base.method() && other.models() == group.models() && other.compares(group));
    own.filter(|own| own.name != group.name).unwrap_or(base)
}

/// Every method against the baseline, by every outcome that has values; outcomes in their order, methods in that of the
/// groups.
pub fn effects(groups: &[Group<'_>], named: Option<&str>) -> Vec<Effect> {
    let Some(base) = baseline(groups, named) else { return Vec::new() };
    let budget = budget(groups.iter().flat_map(|group| group.runs.iter().copied()));
    let mut list = Vec::new();
    for outcome in Outcome::shown(groups) {
        let others =
            groups.iter().filter(|group| group.name != base.name && group.compares(opponent(group, base, groups)));
        let mut family: Vec<Effect> =
            others.map(|group| effect(outcome, group, opponent(group, base, groups), budget)).collect();
        if family.iter().all(|effect| effect.difference.is_none()) {
            continue;
        }
        let tested: Vec<usize> = (0..family.len()).filter(|i| family[*i].test.is_some()).collect();
        let p: Vec<f64> = tested.iter().filter_map(|i| family[*i].test.map(|test| test.p)).collect();
        if let Ok(adjusted) = stats::holm(&p) {
            for (i, p) in tested.into_iter().zip(adjusted) {
                family[i].holm = Some(p);
            }
        }
        list.extend(family);
    }
    list
}

/// The smallest p that a comparison of two groups can have, and whether it is paired.
pub fn least_p(group: &Group<'_>, base: &Group<'_>) -> Option<(f64, bool)> {
    let any = |_: &Run| Some(0.0);
    match (by_seed(&group.runs, any), by_seed(&base.runs, any)) {
        (Some(a), Some(b)) if a.keys().eq(b.keys()) => Some((stats::smallest_paired_p(a.len())?, true)),
        _ => Some((stats::smallest_p(group.runs.len(), base.runs.len())?, false)),
    }
}

/// Values by search seed; None where a search with a value has no seed, or two have the same.
fn by_seed<'a>(runs: &[&'a Run], value: impl Fn(&Run) -> Option<f64>) -> Option<BTreeMap<&'a str, f64>> {
    let mut map = BTreeMap::new();
    for run in runs {
        if let Some(value) = value(run)
            && map.insert(run.seed.as_deref()?, value).is_some()
        {
            return None;
        }
    }
    Some(map)
}

fn effect(outcome: Outcome, group: &Group<'_>, base: &Group<'_>, budget: usize) -> Effect {
    let value = |run: &Run| outcome.of(run, budget);
    let values = |group: &Group<'_>| group.runs.iter().filter_map(|run| value(run)).collect::<Vec<f64>>();
    let (a, b) = (values(group), values(base));
    // Pairs need all of both: leaving out the others would choose among the searches.
    let pairs: Option<Vec<f64>> = match (by_seed(&group.runs, value), by_seed(&base.runs, value)) {
        (Some(a), Some(b)) if !a.is_empty() && a.keys().eq(b.keys()) => {
            Some(a.values().zip(b.values()).map(|(a, b)| a - b).collect())
        }
        _ => None,
    };
    let unpaired = stats::permutation(&a, &b, SEED).ok();
    let (mean, baseline_mean) = (stats::mean(&a).ok(), stats::mean(&b).ok());
    let (student, bootstrap, test, smallest_p, g) = match &pairs {
        Some(d) => (
            stats::paired_t(d, LEVEL).ok(),
            stats::bootstrap_mean(d, LEVEL, SEED).ok(),
            stats::paired_permutation(d, SEED).ok(),
            stats::smallest_paired_p(d.len()),
            stats::hedges_g_paired(d).ok(),
        ),
        None => (
            stats::welch(&a, &b, LEVEL).ok(),
            stats::bootstrap_difference(&a, &b, LEVEL, SEED).ok(),
            unpaired,
            stats::smallest_p(a.len(), b.len()),
            stats::hedges_g(&a, &b).ok(),
        ),
    };
    Effect {
        outcome,
        method: group.name.clone(),
        baseline: base.name.clone(),
        runs: a.len(),
        baseline_runs: b.len(),
        paired: pairs.is_some(),
        mean,
        baseline_mean,
        difference: mean.zip(baseline_mean).map(|(a, b)| a - b),
        student,
        bootstrap,
        test,
        smallest_p,
        holm: None,
        unpaired,
        g,
        superiority: stats::superiority(&a, &b).ok(),
    }
}

#[cfg(test)]
mod tests {
    use schemas::{Candidate, Status};

    use super::*;
    use crate::analysis::group_runs;
    use crate::run::{Beside, Setting};

    /// A search whose winner has these accuracies; without a seed where it is negative.
    fn run(method: &str, seed: i64, ood: f64, test: Option<f64>) -> Run {
        let row = |attempt: i64, ood: f64, test: Option<f64>| Candidate {
            method: method.into(),
            attempt,
            candidate_id: format!("c{attempt}"),
            parent_id: (attempt > 0).then(|| "c0".into()),
            status: Status::Scored,
            ood_acc: Some(ood),
            fitness: Some(ood),
            test_acc: test,
            ..Candidate::default()
        };
        let settings = vec![Setting { key: "search.seed".into(), value: seed.to_string() }];
        let beside = Beside { settings: if seed < 0 { Vec::new() } else { settings }, ..Beside::default() };
        Run::new(format!("{method}-{seed}"), vec![row(0, 0.5, Some(0.4)), row(1, ood, test)], beside)
    }

    fn many(method: &str, seeds: std::ops::Range<i64>, add: f64) -> Vec<Run> {
        seeds
            .map(|seed| {
                let noise = [0.03, 0.0, 0.05, 0.01, 0.02, 0.04][seed as usize % 6];
                run(method, seed, 0.7 + noise + add + 0.001 * noise, Some(0.6 + noise + add))
            })
            .collect()
    }

    #[test]
    fn searches_of_the_same_seeds_are_paired() {
        let runs = [many("eoh", 0..6, 0.01), many("spark", 0..6, 0.0), many("random", 0..5, -0.2)].concat();
        let list = effects(&group_runs(&runs), None);
        assert_eq!(list.len(), 6, "three outcomes of two methods");
        let eoh = &list[0];
        assert_eq!((eoh.method.as_str(), eoh.baseline.as_str(), eoh.paired), ("eoh", "spark", true));
        assert!((eoh.difference.expect("a difference") - 0.01).abs() < 1e-9);
        // the same shift in each pair is as clear as six pairs can be, though the searches of a method differ by more
        assert_eq!(eoh.test.map(|test| (test.p, test.exact)), Some((2.0 / 64.0, true)));
        assert_eq!(eoh.smallest_p, Some(2.0 / 64.0));
        assert!(eoh.unpaired.expect("a test").p > 0.2);
        let random = &list[1];
        assert_eq!((random.method.as_str(), random.paired, random.runs, random.baseline_runs), ("random", false, 5, 6));
        assert_eq!(random.test.map(|test| test.p), Some(1.0 / 462.0));
        // Holm: the smaller of two p-values counts twice
        assert_eq!((random.holm, eoh.holm), (Some(2.0 / 462.0), Some(2.0 / 64.0)));
        assert_eq!(random.superiority, Some(0.0));
        assert!(random.student.is_some_and(|interval| interval.high < 0.0));
        assert!(random.bootstrap.is_some_and(|interval| interval.high < 0.0));
    }

    #[test]
    fn confirmed_gains_lead_where_every_search_has_one() {
        let gain = |mean| race::confirm::gain(&[0.6 + mean, 0.7 + mean], &[0.6, 0.7]);
        let confirm = |mut run: Run, mean| {
            run.confirmation =
                Some(race::Confirmation { gain: gain(mean), test_gain: gain(mean / 2.0), ..Default::default() });
            run
        };
        let search = |method, add| {
            let runs = many(method, 0..5, 0.0).into_iter().enumerate();
            runs.map(move |(i, run)| confirm(run, add + 0.01 * i as f64)).collect::<Vec<_>>()
        };
        let mut runs = [search("spark", 0.02), search("eoh", 0.01)].concat();
        let list = effects(&group_runs(&runs), None);
        let outcomes: Vec<Outcome> = list.iter().map(|effect| effect.outcome).collect();
        assert_eq!(outcomes, [Outcome::Gain, Outcome::TestGain, Outcome::Ood, Outcome::Area]);
        assert!((list[0].difference.expect("a difference") + 0.01).abs() < 1e-9, "{:?}", list[0]);
        assert!((list[1].difference.expect("a difference") + 0.005).abs() < 1e-9, "{:?}", list[1]);

        // A search without a confirmed gain would be left out of its method's mean: then none is judged by it.
        runs[7].confirmation = None;
        let outcomes: Vec<Outcome> = effects(&group_runs(&runs), None).iter().map(|effect| effect.outcome).collect();
        assert_eq!(outcomes, [Outcome::Test, Outcome::Ood, Outcome::Area]);
    }

    #[test]
    fn the_baseline_is_spark_or_what_was_asked_for() {
        let runs = [many("eoh", 0..2, 0.01), many("spark", 0..2, 0.0)].concat();
        let groups = group_runs(&runs);
        let name = |named| baseline(&groups, named).map(|group| group.name.clone());
        assert_eq!((name(None), name(Some("eoh"))), (Some("spark".into()), Some("eoh".into())));
        assert_eq!(name(Some("other")), None);
        let swapped = effects(&groups, Some("eoh"));
        assert!(swapped[0].difference.is_some_and(|d| d < 0.0));
        let runs = many("spark", 0..3, 0.0);
        assert!(effects(&group_runs(&runs), None).is_empty(), "one method has nothing to be compared with");
    }

    #[test]
    fn searches_without_seeds_or_scores_are_not_paired() {
        let runs = [vec![run("spark", -1, 0.7, None), run("spark", -1, 0.8, None)], many("eoh", 0..2, 0.0)].concat();
        let list = effects(&group_runs(&runs), None);
        assert!(list.iter().all(|effect| !effect.paired && effect.outcome != Outcome::Test), "{list:?}");
        assert_eq!(list[0].test.map(|test| test.arrangements), Some(6));
    }

    #[test]
    fn areas_go_on_where_a_search_ended() {
        let short = run("spark", 0, 0.9, None);
        assert_eq!(evaluated(&short), 1);
        assert!((area(&short, 3).expect("an area") - 0.9).abs() < 1e-12);
        assert_eq!(area(&short, 0), None);
        assert_eq!(budget([&short]), 1);
    }
}
