//! FunSearch (Romera-Paredes et al., "Mathematical discoveries from program search with large language models", Nature
//! 625, 2024).
//!
//! An island's programs form clusters by their signature: the accuracy with each training seed, the fitness where those
//! are not known. Two clusters are drawn by a softmax over
//! their fitness whose temperature falls as the island fills and starts anew each period; in a cluster, short programs are
//! more likely. The two, sorted by fitness, are versions 0 and 1 of a function whose version 2 is asked for. At intervals
//! the worse half of the islands loses its programs and starts again from the best of a surviving island.

use std::collections::BTreeMap;

use schemas::Candidate;

use super::{Attempt, AttemptContext, Method};
use crate::islands::island_of;
use crate::population::{Population, better, fitness};
use crate::proposer::{Operation, Proposer, Task};
use crate::random::StreamKey;

/// The numbers that the paper fixes, scaled where they are for a million programs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// Temperature at the beginning of a period; the paper's.
    pub temperature: f64,
    /// Programs of an island within which the temperature falls to 0. The paper's is 30,000, for a million programs; the
    /// default is for budgets of hundreds.
    pub period: usize,
    /// Versions in a prompt; the paper's.
    pub versions: usize,
    /// Generations between resets; 0: none. The paper's is four hours.
    pub reset: i64,
}

impl Default for Constants {
    fn default() -> Self {
        Self { temperature: 0.1, period: 30, versions: 2, reset: 6 }
    }
}

/// The method.
pub struct FunSearch;

impl FunSearch {
    /// The rows of each island before a generation, resets included: replayed from the table.
    fn islands(population: &Population<'_>, count: usize, key: StreamKey, reset: i64) -> Vec<Vec<usize>> {
        let founders: Vec<usize> =
            population.founders().filter(|&i| population.get(i).and_then(fitness).is_some()).collect();
        let mut islands = vec![founders; count];
        for generation in 0..key.generation.min(population.last_generation().saturating_add(1)) {
            for index in population.scored() {
                let Some(row) = population.get(index) else { continue };
                if row.generation == generation
                    && row.parent_id.is_some()
                    && let Some(island) = islands.get_mut(island_of(row.island, count))
                {
                    island.push(index);
                }
            }
            if generation > 0 && reset > 0 && generation % reset == 0 {
                Self::reset(population, &mut islands, StreamKey { generation, slot: 0, redraw: 0, ..key });
            }
        }
        islands
    }

    /// Empties the worse half of the islands; each gets the best program of one of the others, drawn uniformly.
    fn reset(population: &Population<'_>, islands: &mut [Vec<usize>], key: StreamKey) {
        let best: Vec<Option<usize>> = islands
            .iter()
            .map(|island| {
                island.iter().copied().min_by(|&a, &b| match (population.get(a), population.get(b)) {
                    (Some(a), Some(b)) => better(a, b),
                    _ => a.cmp(&b),
                })
            })
            .collect();
        let score = |number: usize| {
            let index = best.get(number).copied().flatten();
            index.and_then(|index| population.get(index)).and_then(fitness).unwrap_or(f64::NEG_INFINITY)
        };
        let mut order: Vec<usize> = (0..islands.len()).collect();
        order.sort_by(|&a, &b| score(a).total_cmp(&score(b)).then(b.cmp(&a)));
        let (losers, survivors) = order.split_at(islands.len() / 2);
        let mut stream = key.stream("funsearch reset");
        for &loser in losers {
            let founder = stream.choose(survivors).and_then(|&s| best.get(s).copied().flatten());
            if let Some(island) = islands.get_mut(loser) {
                *island = founder.into_iter().collect();
            }
        }
    }

    /// Draws the versions of a prompt from an island, in ascending order of fitness.
    fn versions(population: &Population<'_>, island: &[usize], key: StreamKey, constants: Constants) -> Vec<usize> {
        let mut clusters: BTreeMap<Signature, Vec<usize>> = BTreeMap::new();
        for row in island.iter().filter_map(|&index| Some((index, population.get(index)?))) {
            clusters.entry(signature(row.1)).or_default().push(row.0);
        }
        let scores: Vec<f64> = clusters.keys().map(|(fitness, _)| *fitness as f64 / 1e9).collect();
        let clusters: Vec<Vec<usize>> = clusters.into_values().collect();
        let period = constants.period.max(1);
        let temperature = constants.temperature * (1.0 - (island.len() % period) as f64 / period as f64);
        let mut stream = key.stream("parent");
        let weights = softmax(&scores, temperature);
        let count = constants.versions.min(clusters.len());
        let mut drawn: Vec<usize> = (0..count).filter_map(|_| stream.weighted(&weights)).collect();
        drawn.sort_unstable();
        let mut versions = Vec::new();
        for cluster in drawn.into_iter().filter_map(|place| clusters.get(place)) {
            let lengths: Vec<f64> =
                cluster.iter().map(|&i| population.get(i).map_or(0, |row| row.source.len()) as f64).collect();
            let shortest = lengths.iter().copied().fold(f64::INFINITY, f64::min);
            let longest = lengths.iter().copied().fold(0.0, f64::max);
            let relative: Vec<f64> = lengths.iter().map(|l| -(l - shortest) / (longest + 1e-6)).collect();
            versions.extend(stream.weighted(&softmax(&relative, 1.0)).and_then(|place| cluster.get(place)));
        }
        versions
    }
}

/// What programs of one cluster have in common: fitness, and accuracies by training seed. As whole numbers, which order
/// like the accuracies: all of these are finite, and mostly in [0, 1].
type Signature = (i64, Vec<i64>);

fn signature(row: &Candidate) -> Signature {
    let whole = |value: f64| (value * 1e9).round() as i64;
    let seeds = row.ood_acc_seeds.iter().flatten().map(|&value| whole(value)).collect();
    (whole(fitness(row).unwrap_or(0.0)), seeds)
}

/// exp(x / temperature), in proportion; the largest is exp(0).
fn softmax(values: &[f64], temperature: f64) -> Vec<f64> {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter().map(|value| ((value - largest) / temperature.max(1e-9)).exp()).collect()
}

impl Method for FunSearch {
    fn name(&self) -> &'static str {
        "funsearch"
    }

    fn about(&self) -> &'static str {
        "the next version after two drawn from clusters by score, on islands that are reset [Nature 625, 2024]"
    }

    fn attempt<'a>(&self, context: &AttemptContext<'a>, proposer: &dyn Proposer) -> Attempt<'a> {
        let constants = context.constants.funsearch;
        let islands = Self::islands(context.population, context.islands, context.key, constants.reset);
        let island = islands.get(context.island).map_or(&[][..], Vec::as_slice);
        let mut versions = Self::versions(context.population, island, context.key, constants);
        let parent = context.parent_at(versions.pop());
        let examples = versions.into_iter().filter_map(|index| context.population.get(index)).collect();
        let brief = context.brief(parent, Some(examples));
        let task = Task { operation: Operation::NextVersion, factor: None, directive: None };
        Attempt::write(proposer, &brief, task, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::tests::{key, table};
    use crate::population::examples::scored;

    #[test]
    fn clusters_are_drawn_by_softmax_and_versions_ascend() {
        let mut rows = table(&[0.5, 0.6, 0.6]);
        rows[2].source = "a much longer program than the other one of its cluster".repeat(20);
        let population = Population::new(&rows);
        let (mut of_cluster, mut long) = (0, 0);
        for slot in 0..4000 {
            let versions = FunSearch::versions(&population, &[0, 1, 2], key(slot), Constants::default());
            assert_eq!(versions.len(), 2);
            let fitness: Vec<f64> = versions.iter().filter_map(|&v| fitness(population.get(v).unwrap())).collect();
            assert!(fitness.is_sorted(), "{fitness:?}");
            of_cluster += versions.iter().filter(|&&version| version > 0).count();
            long += versions.iter().filter(|&&version| version == 2).count();
        }
        // Temperature 0.1 * (1 - 3/30) = 0.09, two draws with replacement.
        let better = 8000.0 / (1.0 + (-0.1f64 / 0.09).exp());
        assert!((of_cluster as f64 - better).abs() < 200.0, "{of_cluster} {better}");
        // softmax over lengths relative to the longest: 1 against exp(-(long - short) / long), close to 1 / e
        let short = rows[1].source.len() as f64 / rows[2].source.len() as f64;
        let expected = of_cluster as f64 * (short - 1.0).exp() / (1.0 + (short - 1.0).exp());
        assert!((long as f64 - expected).abs() < 200.0, "{long} {expected}");
    }

    #[test]
    fn a_signature_is_more_than_its_mean() {
        let mut rows = table(&[0.5, 0.5, 0.5]);
        rows[0].ood_acc_seeds = Some(vec![0.25, 0.75]);
        rows[1].ood_acc_seeds = Some(vec![0.75, 0.25]);
        rows[2].ood_acc_seeds = Some(vec![0.75, 0.25]);
        let population = Population::new(&rows);
        let first = |slot| {
            let versions = FunSearch::versions(&population, &[0, 1, 2], key(slot), Constants::default());
            versions.iter().filter(|&&version| version == 0).count()
        };
        // Two clusters of equal fitness, drawn alike: the one that is alone in its own is half of all draws, not a third.
        let drawn: usize = (0..4000).map(first).sum();
        assert!((3800..=4200).contains(&drawn), "{drawn}");
    }

    #[test]
    fn a_cold_island_prefers_its_best_cluster() {
        let rows = table(&[0.2, 0.5, 0.6]);
        let population = Population::new(&rows);
        let mut best = 0;
        for slot in 0..4000 {
            let versions = FunSearch::versions(&population, &[0, 1, 2], key(slot), Constants::default());
            best += usize::from(versions.contains(&2));
        }
        // Temperature 0.1 * (1 - 3/30) = 0.09: left out only if both draws, which are alike, go to the others.
        let weight = |gap: f64| (-gap / 0.09f64).exp();
        let (a, b) = (weight(0.4), weight(0.1));
        let total = 1.0 + a + b;
        let missed = ((a + b) / total).powi(2);
        assert!((best as f64 / 4000.0 - (1.0 - missed)).abs() < 0.02, "{best} {missed}");
    }

    #[test]
    fn the_worse_half_starts_again() {
        let mut rows = vec![scored(0, 0, 0, 0.1)];
        for generation in 1..=7 {
            for island in 0..4 {
                rows.push(scored(generation, island, island, 0.2 + 0.1 * island as f64 + 0.001 * generation as f64));
            }
        }
        let population = Population::new(&rows);
        let before = FunSearch::islands(&population, 4, StreamKey { generation: 6, ..key(0) }, 6);
        assert!(before.iter().all(|island| island.len() == 6));
        let after = FunSearch::islands(&population, 4, StreamKey { generation: 7, ..key(0) }, 6);
        for (number, island) in after.iter().enumerate() {
            if number < 2 {
                let row = population.get(island[0]).unwrap();
                assert_eq!((island.len(), row.generation), (1, 6));
                assert!(row.island >= 2);
            } else {
                assert_eq!(island.len(), 7);
            }
        }
        let later = FunSearch::islands(&population, 4, StreamKey { generation: 8, ..key(0) }, 6);
        assert_eq!(later[0][0], after[0][0]);
        assert_eq!(later[0].len(), 2);
    }
}
