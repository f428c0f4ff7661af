//! What became of edits that stayed within their factor, and of those that did not.
//!
//! The unit is a proposal that was compared with its parent. It *breaks* where its program is not executable, or where its
//! training diverged; one that was refused for its reach alone does not, and has no gain either. Its *gain* is its fitness
//! minus its parent's, where both have one. Parents are drawn for their fitness, part of which is luck, so that gains
//! lean below 0 for all kinds of edits alike: kinds can be compared with each other, and not with 0.

use schemas::{Candidate, Locality, Status};
use search::reach::executable;
use stats::{Interval, Permutation};

use super::effects::LEVEL;
use crate::analysis::Group;
use crate::run::Run;

/// Arrangements are drawn with this seed, so that equal archives give equal pages.
const SEED: u64 = 7;

/// What edits are sorted by, with its name in files and the classes in order.
const VIEWS: &[(&str, &str, &[&str])] = &[
    ("reach", "reach", &["local", "entangled"]),
    ("edit distance", "edit_distance", &["0–9", "10–29", "30–99", "100 and more"]),
    ("frozen outputs changed", "frozen_outputs_changed", &["0", "1", "2"]),
    ("behavioural shift", "behavioural_shift", &["below 1 point", "1–3 points", "3–10 points", "10 points and more"]),
];

/// The outcomes of one class of edits.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcomes {
    pub group: String,
    /// None: of all searches of the group.
    pub search: Option<String>,
    /// How many searches these are.
    pub searches: usize,
    /// What the edits are sorted by: heading and name in files.
    pub by: (&'static str, &'static str),
    pub class: &'static str,
    pub proposals: usize,
    pub broken: usize,
    /// Their share, with Wilson's interval, which takes proposals as independent.
    pub broken_share: Option<Interval>,
    /// Proposals with a gain.
    pub gains: usize,
    /// Mean and variance (n - 1) of the gains.
    pub mean: Option<f64>,
    pub variance: Option<f64>,
    /// Student's interval: of one search over its gains, of several over the means of the searches, since the gains of one
    /// search share its luck. Its centre then is the mean of the means.
    pub interval: Option<Interval>,
}

/// Entangled edits against local ones, over the searches that have gains of both.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    pub group: String,
    pub searches: usize,
    /// Difference of mean gains, entangled minus local: mean over searches, with Student's interval over them.
    pub gain: Option<f64>,
    pub gain_interval: Option<Interval>,
    pub test: Option<Permutation>,
    pub smallest_p: Option<f64>,
    /// The same for the shares that break, over the searches that have proposals of both.
    pub broken_searches: usize,
    pub broken: Option<f64>,
    pub broken_interval: Option<Interval>,
    pub broken_test: Option<Permutation>,
}

/// One edit, as far as it counts here.
struct Edit {
    classes: [Option<&'static str>; 4],
    broken: bool,
    gain: Option<f64>,
}

/// The edits of a search. Duplicates were never trained, so that they have no gain.
fn edits_of(run: &Run) -> Vec<Edit> {
    run.proposals()
        .filter(|row| row.locality.is_some() && executable(row).is_some())
        .map(|row| {
            let parent = row.parent_id.as_deref().and_then(|id| run.candidate(id));
            Edit {
                classes: [reach(row), distance(row), frozen(row), shift(row)],
                broken: executable(row) == Some(false) || row.status == Status::Diverged,
                gain: row.fitness.zip(parent.and_then(|parent| parent.fitness)).map(|(own, parent)| own - parent),
            }
        })
        .collect()
}

fn class(view: usize, index: usize) -> Option<&'static str> {
    VIEWS.get(view).and_then(|(_, _, classes)| classes.get(index)).copied()
}

fn reach(row: &Candidate) -> Option<&'static str> {
    class(0, usize::from(row.locality? == Locality::Entangled))
}

/// Tree edit distance to the parent over all three parts, in syntax nodes.
fn distance(row: &Candidate) -> Option<&'static str> {
    let total = row.edit_distance_operator? + row.edit_distance_action? + row.edit_distance_frozen?;
    class(1, [10, 30, 100].iter().filter(|bound| total >= **bound).count())
}

fn frozen(row: &Candidate) -> Option<&'static str> {
    class(2, usize::try_from(row.frozen_outputs_changed?).ok()?.min(2))
}

/// How far the worth of operators changed that the parent has, too.
fn shift(row: &Candidate) -> Option<&'static str> {
    let shift = row.behavioural_shift?;
    class(3, [0.01, 0.03, 0.1].iter().filter(|bound| shift >= **bound).count())
}

/// The outcomes of all classes: of each group, and then of each of its searches where it has several.
pub fn outcomes(groups: &[Group<'_>]) -> Vec<Outcomes> {
    let mut list = Vec::new();
    for group in groups {
        let searches: Vec<(&Run, Vec<Edit>)> = group.runs.iter().map(|run| (*run, edits_of(run))).collect();
        let all: Vec<&[Edit]> = searches.iter().map(|(_, edits)| edits.as_slice()).collect();
        list.extend(sorted(&group.name, None, &all));
        if searches.len() > 1 {
            for (run, edits) in &searches {
                list.extend(sorted(&group.name, Some(&run.name), &[edits]));
            }
        }
    }
    list
}

fn sorted(group: &str, search: Option<&str>, searches: &[&[Edit]]) -> Vec<Outcomes> {
    let mut list = Vec::new();
    for (view, (heading, key, classes)) in VIEWS.iter().enumerate() {
        for class in *classes {
            let of: Vec<Vec<&Edit>> = searches
                .iter()
                .map(|edits| edits.iter().filter(|edit| edit.classes[view] == Some(class)).collect())
                .collect();
            let found = summed(&of);
            if found.proposals > 0 {
                let search = search.map(str::to_owned);
                list.push(Outcomes { group: group.into(), search, by: (heading, key), class, ..found });
            }
        }
    }
    list
}

/// The outcomes of the edits of one class, by search.
fn summed(searches: &[Vec<&Edit>]) -> Outcomes {
    let proposals: usize = searches.iter().map(Vec::len).sum();
    let broken = searches.iter().flatten().filter(|edit| edit.broken).count();
    let by_search: Vec<Vec<f64>> =
        searches.iter().map(|edits| edits.iter().filter_map(|edit| edit.gain).collect()).collect();
    let all: Vec<f64> = by_search.iter().flatten().copied().collect();
    let interval = match by_search.as_slice() {
        [gains] => stats::paired_t(gains, LEVEL),
        several => {
            stats::paired_t(&several.iter().filter_map(|gains| stats::mean(gains).ok()).collect::<Vec<_>>(), LEVEL)
        }
    };
    Outcomes {
        group: String::new(),
        search: None,
        searches: searches.len(),
        by: ("", ""),
        class: "",
        proposals,
        broken,
        broken_share: stats::proportion(broken as u64, proposals as u64, LEVEL).ok(),
        gains: all.len(),
        mean: stats::mean(&all).ok(),
        variance: stats::variance(&all).ok(),
        interval: interval.ok(),
    }
}

/// Entangled edits against local ones, per group.
pub fn against(groups: &[Group<'_>]) -> Vec<Against> {
    let mean_of = |edits: &[Edit], class: &str, pick: &dyn Fn(&Edit) -> Option<f64>| {
        let of = edits.iter().filter(|edit| edit.classes[0] == Some(class));
        stats::mean(&of.filter_map(pick).collect::<Vec<_>>()).ok()
    };
    groups
        .iter()
        .map(|group| {
            let searches: Vec<Vec<Edit>> = group.runs.iter().map(|run| edits_of(run)).collect();
            let differences = |pick: &dyn Fn(&Edit) -> Option<f64>| -> Vec<f64> {
                let of = |edits: &Vec<Edit>| Some(mean_of(edits, "entangled", pick)? - mean_of(edits, "local", pick)?);
                searches.iter().filter_map(of).collect()
            };
            let gains = differences(&|edit| edit.gain);
            let broken = differences(&|edit| Some(f64::from(u8::from(edit.broken))));
            Against {
                group: group.name.clone(),
                searches: gains.len(),
                gain: stats::mean(&gains).ok(),
                gain_interval: stats::paired_t(&gains, LEVEL).ok(),
                test: stats::paired_permutation(&gains, SEED).ok(),
                smallest_p: stats::smallest_paired_p(gains.len()),
                broken_searches: broken.len(),
                broken: stats::mean(&broken).ok(),
                broken_interval: stats::paired_t(&broken, LEVEL).ok(),
                broken_test: stats::paired_permutation(&broken, SEED).ok(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::group_runs;
    use crate::run::Beside;
    use schemas::Verdict;

    fn edit(attempt: i64, locality: Locality, fitness: Option<f64>) -> Candidate {
        Candidate {
            method: "free-form".into(),
            attempt,
            candidate_id: format!("c{attempt}"),
            parent_id: Some("c0".into()),
            locality: Some(locality),
            verdict: Some(Verdict::Accept),
            status: if fitness.is_some() { Status::Scored } else { Status::Timeout },
            fitness,
            edit_distance_operator: Some(attempt * 10),
            edit_distance_action: Some(0),
            edit_distance_frozen: Some(0),
            frozen_outputs_changed: Some(i64::from(locality == Locality::Entangled)),
            behavioural_shift: fitness.map(|fitness| (fitness - 0.5).abs() / 4.0),
            ..Candidate::default()
        }
    }

    fn search(name: &str, entangled: [Option<f64>; 3]) -> Run {
        let seed = Candidate {
            method: "free-form".into(),
            candidate_id: "c0".into(),
            status: Status::Scored,
            fitness: Some(0.5),
            ..Candidate::default()
        };
        let mut rows = vec![seed, edit(1, Locality::Local, Some(0.6)), edit(2, Locality::Local, Some(0.5))];
        rows.extend(entangled.into_iter().zip(3..).map(|(fitness, n)| edit(n, Locality::Entangled, fitness)));
        rows[5].status = Status::Diverged;
        // refused for what cannot be executed, and for its reach alone
        let refused = |attempt| Candidate {
            verdict: Some(Verdict::Reject),
            status: Status::Rejected,
            ..edit(attempt, Locality::Entangled, None)
        };
        rows.push(refused(6));
        rows.push(Candidate { graph_hash: Some("g".into()), ..refused(7) });
        Run::new(name.into(), rows, Beside::default())
    }

    #[test]
    fn gains_and_breaks_are_counted_by_reach() {
        let runs = [search("a", [Some(0.4), Some(0.2), None])];
        let list = outcomes(&group_runs(&runs));
        let [local, entangled] = &list[..2] else { panic!("{list:?}") };
        assert_eq!((local.class, local.proposals, local.broken, local.gains), ("local", 2, 0, 2));
        assert!((local.mean.expect("a mean") - 0.05).abs() < 1e-12);
        assert!((local.variance.expect("a variance") - 0.005).abs() < 1e-12);
        assert_eq!((entangled.class, entangled.proposals, entangled.broken, entangled.gains), ("entangled", 5, 2, 2));
        assert!((entangled.mean.expect("a mean") + 0.2).abs() < 1e-12);
        let share = entangled.broken_share.expect("a share");
        assert!((share.estimate - 0.4).abs() < 1e-12 && share.low > 0.0 && share.high < 1.0);
        let by = |key: &str| list.iter().filter(|o| o.by.1 == key).map(|o| (o.class, o.proposals)).collect::<Vec<_>>();
        assert_eq!(by("edit_distance"), [("10–29", 2), ("30–99", 5)]);
        assert_eq!(by("frozen_outputs_changed"), [("0", 2), ("1", 5)]);
        assert_eq!(by("behavioural_shift"), [("below 1 point", 1), ("1–3 points", 2), ("3–10 points", 1)]);
    }

    #[test]
    fn searches_are_pooled_with_themselves_as_the_unit() {
        let runs = [
            search("a", [Some(0.4), Some(0.2), None]),
            search("b", [Some(0.3), Some(0.3), None]),
            search("c", [Some(0.5), None, None]),
        ];
        let mut runs: Vec<Run> = runs.into();
        runs.iter_mut().take(1).for_each(|run| run.method = "spark".into());
        let groups = group_runs(&runs);
        let list = outcomes(&groups);
        let pooled = list
            .iter()
            .find(|o| o.group == "free-form" && o.search.is_none() && o.class == "entangled")
            .expect("a class");
        assert_eq!((pooled.searches, pooled.proposals, pooled.gains), (2, 10, 3));
        // the means of the two searches are -0.2 and 0
        let interval = pooled.interval.expect("an interval");
        assert!((interval.estimate + 0.1).abs() < 1e-12 && interval.high > 1.0, "{interval:?}");
        assert_eq!(list.iter().filter(|o| o.search.as_deref() == Some("b") && o.class == "local").count(), 1);
        let found = against(&groups);
        assert_eq!((found[0].searches, found[1].searches), (1, 2));
        assert_eq!(found[0].test.map(|test| test.p), Some(1.0));
        assert!((found[0].gain.expect("a difference") + 0.25).abs() < 1e-12);
        assert!((found[1].gain.expect("a difference") + 0.15).abs() < 1e-12);
        assert!((found[1].broken.expect("a difference") - 0.4).abs() < 1e-12);
    }
}
