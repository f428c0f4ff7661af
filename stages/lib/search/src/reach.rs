//! How far the proposals of a method reach: what `score --summary` prints and reports draw.
//!
//! A proposal is a row with a parent. A try that went back with its diagnostics and the try that came of it are two; first
//! tries and repairs are counted apart as well, since a method whose first tries break more often has more repairs.

use std::collections::BTreeMap;

use schemas::{Candidate, Locality, Verdict};
use serde::Serialize;

use crate::population::{evaluated, fitness};

/// A size over those proposals for which it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sizes {
    /// How many proposals the size is known for.
    pub known: usize,
    /// Their mean.
    pub mean: f64,
    /// Their median.
    pub median: f64,
    /// The largest of them.
    pub largest: f64,
}

impl Sizes {
    /// `None` of nothing.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        let (known, middle) = (values.len(), values.len() / 2);
        let largest = *values.last()?;
        let upper = *values.get(middle)?;
        let median = if known % 2 == 1 { upper } else { (upper + values.get(middle - 1)?) / 2.0 };
        Some(Self { known, mean: values.iter().sum::<f64>() / known as f64, median, largest })
    }
}

/// A number of proposals among those for which the question has an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many proposals the answer is yes for.
    pub count: usize,
    /// How many proposals the question has an answer for.
    pub of: usize,
}

impl Share {
    /// In [0, 1]; `None` where nothing is known.
    #[must_use]
    pub fn rate(self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }

    fn add(&mut self, answer: Option<bool>) {
        self.of += usize::from(answer.is_some());
        self.count += usize::from(answer == Some(true));
    }
}

/// Whether the program of a row can be executed: `check` made its graph. An edit that was refused for its reach alone is
/// executable. `None` where `check` never looked at it.
#[must_use]
pub fn executable(row: &Candidate) -> Option<bool> {
    row.verdict.map(|verdict| verdict != Verdict::Reject || row.graph_hash.is_some())
}

/// What `check` says of some proposals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rates {
    /// Share of the proposals that `check` looked at whose program can be executed, whatever they edit: comparable between methods.
    pub executable: Share,
    /// Share of the same proposals that went on to training: under a gate, an edit beyond its factor is executable and not admitted.
    pub admitted: Share,
    /// Share of the proposals that were compared with their parent whose edit left its factor.
    pub entangled: Share,
}

impl Rates {
    fn add(&mut self, row: &Candidate) {
        self.executable.add(executable(row));
        self.admitted.add(row.verdict.map(|verdict| verdict != Verdict::Reject));
        self.entangled.add(row.locality.map(|locality| locality == Locality::Entangled));
    }
}

/// How far the edits of one method reach.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reach {
    /// The search method.
    pub method: String,
    /// The settings that the rows were made with, where rows of several settings were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings_digest: Option<String>,
    /// How many proposals were made.
    pub proposals: usize,
    /// Rates over all tries.
    #[serde(flatten)]
    pub rates: Rates,
    /// Rates over the first try of each attempt.
    pub first_tries: Rates,
    /// Rates over the tries that a model made again after it was told of diagnostics.
    pub repairs: Rates,
    /// Entangled proposals by kind of entanglement; a proposal may be of several kinds.
    pub kinds: BTreeMap<String, usize>,
    /// Tree edit distance within the OPERATOR region, in syntax nodes.
    pub operator: Option<Sizes>,
    /// Tree edit distance within the ACTION region, in syntax nodes.
    pub action: Option<Sizes>,
    /// Tree edit distance outside of both regions, in syntax nodes.
    pub frozen: Option<Sizes>,
    /// Graph edit distance: nodes and edges of the typed graph that only the child or only the parent has.
    pub graph: Option<Sizes>,
    /// Share of the proposals with a graph that change an output which the parent's frozen code computes on its own.
    pub frozen_outputs: Share,
    /// Such outputs, summed over proposals.
    pub frozen_outputs_changed: usize,
    /// How many proposals training was spent on.
    pub evaluated: usize,
    /// Standard deviation of the fitness over training seeds, of candidates with at least two.
    pub spread: Option<Sizes>,
}

/// By method, in the order of the methods' first rows; of rows that were made with different settings by these, too.
#[must_use]
pub fn by_method<'a>(rows: impl IntoIterator<Item = &'a Candidate>) -> Vec<Reach> {
    type Key<'a> = (&'a str, Option<&'a str>);
    let mut groups: Vec<(Key<'_>, Vec<&Candidate>)> = Vec::new();
    for row in rows.into_iter().filter(|row| row.parent_id.is_some()) {
        let key = (row.method.as_str(), row.settings_digest.as_deref());
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    let several = groups.windows(2).any(|pair| pair[0].0.1 != pair[1].0.1);
    let of = |((method, digest), rows): (Key<'_>, Vec<&Candidate>)| match digest.filter(|_| several) {
        Some(digest) => Reach { settings_digest: Some(digest.to_owned()), ..Reach::of(method, &rows) },
        None => Reach::of(method, &rows),
    };
    groups.into_iter().map(of).collect()
}

impl Reach {
    /// The reach of these proposals.
    #[must_use]
    pub fn of(method: &str, proposals: &[&Candidate]) -> Self {
        let sizes = |pick: &dyn Fn(&Candidate) -> Option<f64>| {
            Sizes::of(proposals.iter().filter_map(|row| pick(row)).collect())
        };
        let mut reach = Self {
            method: method.to_owned(),
            proposals: proposals.len(),
            operator: sizes(&|row| row.edit_distance_operator.map(|n| n as f64)),
            action: sizes(&|row| row.edit_distance_action.map(|n| n as f64)),
            frozen: sizes(&|row| row.edit_distance_frozen.map(|n| n as f64)),
            graph: sizes(&|row| row.graph_edit_distance.map(|n| n as f64)),
            spread: sizes(&spread),
            evaluated: proposals.iter().filter(|row| evaluated(row)).count(),
            ..Self::default()
        };
        for row in proposals {
            reach.rates.add(row);
            match row.repair_round.unwrap_or(0) {
                0 => reach.first_tries.add(row),
                _ => reach.repairs.add(row),
            }
            for kind in row.entanglement.iter().flatten() {
                *reach.kinds.entry(kind.clone()).or_default() += 1;
            }
            reach.frozen_outputs.add(row.frozen_outputs_changed.map(|count| count > 0));
            reach.frozen_outputs_changed +=
                row.frozen_outputs_changed.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        }
        reach
    }
}

/// The spread of the score that is the fitness; the settings decide which of the two scores that is.
fn spread(row: &Candidate) -> Option<f64> {
    let shrunk = fitness(row)?;
    let fitness = row.fitness_mean.unwrap_or(shrunk);
    let test = row.test_acc == Some(fitness) && row.ood_acc != Some(fitness);
    let (std, seeds) = match test {
        true => (row.test_acc_std, &row.test_acc_seeds),
        false => (row.ood_acc_std, &row.ood_acc_seeds),
    };
    std.filter(|_| seeds.as_ref().is_some_and(|seeds| seeds.len() > 1))
}

#[cfg(test)]
mod tests {
    use schemas::Status;

    use super::*;
    use crate::population::examples::{failed, scored};

    #[test]
    fn proposals_are_counted_where_the_question_has_an_answer() {
        let mut local = scored(1, 0, 0, 0.5);
        local.verdict = Some(Verdict::Accept);
        local.locality = Some(Locality::Local);
        (local.edit_distance_action, local.graph_edit_distance) = (Some(4), Some(10));
        (local.frozen_outputs_changed, local.ood_acc, local.ood_acc_std) = (Some(0), Some(0.5), Some(0.2));
        local.ood_acc_seeds = Some(vec![0.3, 0.7]);
        let mut single = scored(1, 1, 0, 0.4);
        (single.verdict, single.ood_acc, single.ood_acc_std) = (Some(Verdict::Accept), Some(0.4), Some(0.0));
        single.ood_acc_seeds = Some(vec![0.4]);
        let mut entangled = failed(1, 2, 0, Status::Rejected);
        entangled.verdict = Some(Verdict::Reject);
        entangled.locality = Some(Locality::Entangled);
        entangled.entanglement = Some(vec!["frozen-code".into(), "other-region".into()]);
        (entangled.edit_distance_action, entangled.graph_edit_distance) = (Some(8), Some(30));
        entangled.frozen_outputs_changed = Some(1);
        (entangled.repair_round, entangled.graph_hash) = (Some(1), Some("g".into()));
        let unwritten = failed(1, 3, 0, Status::Failed);
        let mut other = scored(1, 4, 0, 0.1);
        other.method = "eoh".into();
        let rows = [scored(0, 0, 0, 0.3), local, single, entangled, unwritten, other];
        let found = by_method(&rows);
        assert_eq!(found.iter().map(|r| (r.method.as_str(), r.proposals)).collect::<Vec<_>>(), [("", 4), ("eoh", 1)]);
        let reach = &found[0];
        let share = |count, of| Share { count, of };
        let rates = |executable, admitted, entangled| Rates { executable, admitted, entangled };
        assert_eq!(reach.rates, rates(share(3, 3), share(2, 3), share(1, 2)), "what left its factor can be executed");
        assert_eq!(reach.first_tries, rates(share(2, 2), share(2, 2), share(0, 1)));
        assert_eq!(reach.repairs, rates(share(1, 1), share(0, 1), share(1, 1)));
        assert_eq!(reach.kinds, [("frozen-code".to_owned(), 1), ("other-region".to_owned(), 1)].into());
        assert_eq!(reach.action, Some(Sizes { known: 2, mean: 6.0, median: 6.0, largest: 8.0 }));
        assert_eq!(reach.graph.map(|sizes| (sizes.known, sizes.mean)), Some((2, 20.0)));
        assert_eq!((reach.frozen_outputs, reach.frozen_outputs_changed), (Share { count: 1, of: 2 }, 1));
        assert_eq!(reach.spread, Some(Sizes { known: 1, mean: 0.2, median: 0.2, largest: 0.2 }), "one seed has none");
        assert_eq!((reach.evaluated, reach.operator), (2, None));
    }

    #[test]
    fn the_median_of_odd_and_even_numbers() {
        assert_eq!(Sizes::of(vec![9.0, 1.0, 2.0]).map(|s| s.median), Some(2.0));
        assert_eq!(Sizes::of(vec![9.0, 1.0, 2.0, 4.0]).map(|s| s.median), Some(3.0));
        assert_eq!((Sizes::of(Vec::new()), Sizes::of(vec![f64::NAN])), (None, None));
    }
}
