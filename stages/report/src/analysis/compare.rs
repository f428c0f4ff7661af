//! Several runs side by side.

use stats::Waited;

use crate::analysis::{evaluations, reached};
use crate::run::Run;

/// Runs that belong together on a page: those of one method and one choice of language models, or each run by itself when
/// all have the same.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    pub name: String,
    pub runs: Vec<&'a Run>,
}

impl Group<'_> {
    /// Whether its runs and those of another group were made with settings under which figures compare.
    pub fn compares(&self, other: &Group<'_>) -> bool {
        match (self.runs.first(), other.runs.first()) {
            (Some(a), Some(b)) => alike(a, b),
            _ => true,
        }
    }

    /// The search method.
    pub fn method(&self) -> &str {
        self.runs.first().map_or("", |run| run.method.as_str())
    }

    /// The language models that wrote; none for the built-in proposer.
    pub fn models(&self) -> Option<String> {
        self.runs.first().and_then(|run| run.models())
    }
}

/// Whether two runs were made with settings under which their figures compare, as far as is known.
fn alike(a: &Run, b: &Run) -> bool {
    stage::runs::differences(&[a.identity.clone(), b.identity.clone()]).is_empty()
}

/// Groups in the order of their first runs. Where the page has runs of several choices of models, names say which.
pub fn group_runs(runs: &[Run]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|group| {
            group.method() == run.method
                && group.models() == run.models()
                && group.runs.first().is_none_or(|first| alike(first, run))
        }) {
            Some(group) => group.runs.push(run),
            None => groups.push(Group { name: run.method.clone(), runs: vec![run] }),
        }
    }
    if groups.windows(2).any(|pair| pair[0].models() != pair[1].models()) {
        for group in &mut groups {
            group.name = format!("{} ({})", group.name, group.models().unwrap_or_else(|| "built-in".into()));
        }
    }
    name_apart(&mut groups);
    if groups.len() > 1 {
        return groups;
    }
    runs.iter().map(|run| Group { name: run.name.clone(), runs: vec![run] }).collect()
}

/// Groups that differ in their settings alone get names of their own: that of their run, or their settings' digest.
fn name_apart(groups: &mut [Group<'_>]) {
    let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    for group in groups.iter_mut().filter(|group| names.iter().filter(|name| **name == group.name).count() > 1) {
        let own = match group.runs.as_slice() {
            [only] => only.name.clone(),
            runs => {
                let digest = runs.first().and_then(|run| run.identity.settings_digest.clone());
                format!("settings {}", digest.unwrap_or_else(|| "unknown".into()))
            }
        };
        group.name = format!("{} [{own}]", group.name);
    }
}

/// How far the proposals of a group's runs reach.
pub fn edits(group: &Group<'_>) -> search::reach::Reach {
    let proposals: Vec<&schemas::Candidate> = group.runs.iter().flat_map(|run| run.proposals()).collect();
    search::reach::Reach::of(&group.name, &proposals)
}

/// Mean and standard deviation (n - 1; 0 for one value).
pub fn mean_std(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Some((mean, if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 }))
}

/// How many evaluated candidates a group's runs need to reach an accuracy, those counted that did not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    pub level: f64,
    /// Runs that reached it.
    pub runs: usize,
    /// Evaluated candidates of all runs, up to the level or the end.
    pub spent: u64,
    /// These over the runs that reached it: what restarting until success would take. None if none did.
    pub expected: Option<f64>,
    /// Mean of the evaluated candidates until the level or the horizon, whichever comes first (Kaplan and Meier).
    pub restricted: Option<f64>,
}

impl Reach {
    /// `horizon` in evaluated candidates, the same for all groups.
    pub fn of(group: &Group<'_>, level: f64, horizon: u64) -> Self {
        let searches: Vec<Waited> = group.runs.iter().filter_map(|run| waited(run, level)).collect();
        Self {
            level,
            runs: searches.iter().filter(|search| search.reached).count(),
            spent: searches.iter().map(|search| search.evaluations).sum(),
            expected: stats::expected_evaluations(&searches).ok(),
            restricted: stats::restricted_mean(&searches, horizon).ok(),
        }
    }
}

/// How long a run took until the level, or how long it was watched without; None where nothing was evaluated.
fn waited(run: &Run, level: f64) -> Option<Waited> {
    let list = evaluations(run);
    let last = list.last()?.number as u64;
    Some(match reached(&list, level) {
        Some(number) => Waited { evaluations: number as u64, reached: true },
        None => Waited { evaluations: last, reached: false },
    })
}

/// Up to where every group was watched: the shortest of the groups' longest runs. Beyond, a group's curve is not known.
pub fn horizon(groups: &[Group<'_>]) -> u64 {
    let longest = |group: &Group<'_>| group.runs.iter().filter_map(|run| Some(evaluations(run).last()?.number)).max();
    groups.iter().filter_map(longest).min().unwrap_or(0) as u64
}

/// Round accuracies between the worst seed program and the best winner, at most five: levels worth asking for.
pub fn levels(runs: &[Run]) -> Vec<f64> {
    let scores = |pick: fn(&Run) -> Option<f64>| runs.iter().filter_map(pick).collect::<Vec<_>>();
    let low = scores(|run| run.seed_program()?.ood_acc).into_iter().fold(f64::INFINITY, f64::min);
    let high = scores(|run| run.winner()?.ood_acc).into_iter().fold(f64::NEG_INFINITY, f64::max);
    let low = if low.is_finite() { low } else { 0.0 };
    if high <= low {
        return Vec::new();
    }
    for step in [0.005, 0.01, 0.02, 0.05, 0.1, 0.2] {
        let first = (low / step).floor() + 1.0;
        let last = (high / step + 1e-9).floor();
        let count = last - first + 1.0;
        if count <= 5.0 {
            return (0..count.max(0.0) as usize).map(|i| (first + i as f64) * step).collect();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Beside;
    use schemas::{Candidate, Status};

    fn run(name: &str, method: &str, scores: &[f64]) -> Run {
        let rows = scores
            .iter()
            .zip(0i64..)
            .map(|(score, attempt)| Candidate {
                method: method.into(),
                attempt,
                candidate_id: format!("c{attempt}"),
                parent_id: (attempt > 0).then(|| "c0".into()),
                status: Status::Scored,
                ood_acc: Some(*score),
                fitness: Some(*score),
                ..Candidate::default()
            })
            .collect();
        Run::new(name.into(), rows, Beside::default())
    }

    #[test]
    fn runs_are_grouped_by_method_or_stand_alone() {
        let runs = [run("a", "spark", &[0.1]), run("b", "eoh", &[0.1]), run("c", "spark", &[0.1])];
        let names: Vec<_> = group_runs(&runs).iter().map(|g| (g.name.clone(), g.runs.len())).collect();
        assert_eq!(names, [("spark".into(), 2), ("eoh".into(), 1)]);
        let names: Vec<_> = group_runs(&runs[..1]).iter().map(|g| g.name.clone()).collect();
        assert_eq!(names, ["a"]);
    }

    #[test]
    fn runs_with_other_models_are_another_group() {
        let with = |mut run: Run, models: &str| {
            let setting = |key: &str, value: &str| crate::run::Setting { key: key.into(), value: value.into() };
            run.settings = vec![setting("propose.proposer", "openai"), setting("llm.models", models)];
            run
        };
        let runs = [
            with(run("a", "spark", &[0.1]), "[\"small\"]"),
            with(run("b", "spark", &[0.1]), "[\"large\"]"),
            with(run("c", "spark", &[0.1]), "[\"small\"]"),
            run("d", "spark", &[0.1]),
        ];
        let names: Vec<_> = group_runs(&runs).iter().map(|g| (g.name.clone(), g.runs.len())).collect();
        assert_eq!(names, [("spark (small)".into(), 2), ("spark (large)".into(), 1), ("spark (built-in)".into(), 1)]);
    }

    #[test]
    fn spread_needs_two_values() {
        assert_eq!(mean_std(&[]), None);
        assert_eq!(mean_std(&[0.5]), Some((0.5, 0.0)));
        let (mean, std) = mean_std(&[1.0, 3.0]).expect("two values");
        assert!((mean - 2.0).abs() < 1e-12 && (std - 2f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn searches_that_never_reach_a_level_count() {
        let runs = [
            run("a", "spark", &[0.3, 0.5, 0.7]),
            run("b", "spark", &[0.3, 0.4, 0.5, 0.5, 0.5]),
            run("c", "eoh", &[0.3, 0.2]),
        ];
        let groups = group_runs(&runs);
        assert_eq!(horizon(&groups), 1);
        let reach = Reach::of(&groups[0], 0.6, 3);
        // two evaluated until the level, and four of the search that never reached it
        assert_eq!((reach.runs, reach.spent, reach.expected), (1, 6, Some(6.0)));
        // one of two waits from the second to the third: 2 + 0.5
        assert_eq!(reach.restricted, Some(2.5));
        let never = Reach::of(&groups[1], 0.6, 3);
        assert_eq!((never.runs, never.spent, never.expected, never.restricted), (0, 1, None, None));
    }

    #[test]
    fn levels_lie_between_seed_and_winner() {
        let runs = [run("a", "spark", &[0.31, 0.58, 0.72])];
        assert_eq!(
            levels(&runs).iter().map(|l| format!("{l:.2}")).collect::<Vec<_>>(),
            ["0.40", "0.50", "0.60", "0.70"]
        );
        let reach = Reach::of(&group_runs(&runs)[0], 0.6, 9);
        assert_eq!((reach.runs, reach.expected, reach.restricted), (1, Some(2.0), Some(2.0)));
        assert!(levels(&[run("a", "spark", &[0.4])]).is_empty());
        assert!(levels(&[]).is_empty());
    }
}
