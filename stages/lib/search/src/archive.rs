//! What `select` decides about each row: whether parents are drawn from it, whether it leads its cell, and the best
//! fitness so far. No row is ever deleted: leaving the archive is a value in a column.

use std::collections::{BTreeMap, BTreeSet};

use crate::features::{Feature, cell};
use crate::islands::island_of;
use crate::population::{Population, better, fitness};

/// What the archive keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchiveSettings {
    /// Most rows that an island keeps as parents.
    pub size: usize,
    /// Number of islands; 0 counts as 1.
    pub islands: usize,
    /// What cells are made of; with none, an island is one cell.
    pub features: Vec<Feature>,
    /// Number of bins of the features that are shares.
    pub bins: usize,
}

/// The columns of `select` for one row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// Whether parents are drawn from it.
    pub archived: bool,
    /// Whether it is the best of its cell in its island.
    pub elite: bool,
    /// Its cell.
    pub cell: Option<String>,
    /// The largest fitness of all attempts up to and including this one.
    pub best_so_far: Option<f64>,
}

/// Judges all rows, in the order of `population.rows()`.
///
/// Leaders of cells have the first right to a place in their island's archive, then the rest by fitness: a full archive
/// loses its worst followers before it loses a cell. The best of all rows is always archived.
#[must_use]
pub fn judge(population: &Population<'_>, settings: &ArchiveSettings) -> Vec<Judgement> {
    let seed_source =
        population.founders().next().and_then(|index| population.get(index)).map_or("", |row| &row.source);
    let rows = population.rows();

    let mut judgements = Vec::with_capacity(rows.len());
    let mut best: Option<f64> = None;
    for row in rows {
        if let Some(fit) = fitness(row) {
            best = Some(best.map_or(fit, |b| b.max(fit)));
        }
        let cell = fitness(row).and_then(|_| cell(row, &settings.features, seed_source, settings.bins));
        judgements.push(Judgement { best_so_far: best, cell, ..Judgement::default() });
    }

    let mut ranked: Vec<usize> = population.scored().collect();
    ranked.sort_by(|&a, &b| match (rows.get(a), rows.get(b)) {
        (Some(a), Some(b)) => better(a, b),
        _ => a.cmp(&b),
    });
    let mut leaders: BTreeMap<(usize, Option<String>), usize> = BTreeMap::new();
    for &index in &ranked {
        if let (Some(row), Some(judgement)) = (rows.get(index), judgements.get(index)) {
            leaders.entry((island_of(row.island, settings.islands), judgement.cell.clone())).or_insert(index);
        }
    }
    let leaders: BTreeSet<usize> = leaders.into_values().collect();

    let (first, rest): (Vec<usize>, Vec<usize>) = ranked.into_iter().partition(|index| leaders.contains(index));
    let mut kept: BTreeMap<usize, usize> = BTreeMap::new();
    for index in first.into_iter().chain(rest) {
        let (Some(row), Some(judgement)) = (rows.get(index), judgements.get_mut(index)) else { continue };
        let places = kept.entry(island_of(row.island, settings.islands)).or_default();
        judgement.elite = leaders.contains(&index);
        judgement.archived = *places < settings.size;
        *places += 1;
    }
    judgements
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::{Candidate, Status};

    use super::*;
    use crate::population::examples::{failed, scored};

    fn settings(size: usize, features: Vec<Feature>) -> ArchiveSettings {
        ArchiveSettings { size, islands: 3, features, bins: 10 }
    }

    fn tables() -> impl Strategy<Value = Vec<Candidate>> {
        proptest::collection::vec(proptest::option::weighted(0.8, 0.0..1.0), 1..40).prop_map(|fitness| {
            let mut rows = Vec::new();
            for (number, fitness) in fitness.into_iter().enumerate() {
                let (generation, slot) = (number as i64 / 5, number as i64 % 5);
                rows.push(match fitness {
                    Some(f) => scored(generation, slot, number as i64 % 3, f),
                    None => failed(generation, slot, number as i64 % 3, Status::Timeout),
                });
            }
            rows
        })
    }

    proptest! {
        #[test]
        fn archive_laws(rows in tables(), size in 1usize..12, cells in any::<bool>(), order in any::<u64>()) {
            let features = if cells { vec![Feature::Fitness] } else { Vec::new() };
            let settings = settings(size, features);
            let population = Population::new(&rows);
            let judged = judge(&population, &settings);

            // Sizes.
            for island in 0..3 {
                let of = |row: &Candidate| row.island == island && row.status == Status::Scored;
                let scored = rows.iter().filter(|row| of(row)).count();
                let pairs = population.rows().iter().zip(&judged);
                let archived = pairs.filter(|(row, judgement)| row.island == island && judgement.archived).count();
                prop_assert_eq!(archived, size.min(scored));
            }
            // The best is never lost.
            let best = population.best().map(|row| row.candidate_id.clone());
            for (row, judgement) in population.rows().iter().zip(&judged) {
                if Some(&row.candidate_id) == best.as_ref() {
                    prop_assert!(judgement.archived && judgement.elite);
                }
                if row.status != Status::Scored {
                    prop_assert!(!judgement.archived && !judgement.elite && judgement.cell.is_none());
                }
            }
            // Best so far never falls, and ends at the best.
            let curve: Vec<f64> = judged.iter().filter_map(|j| j.best_so_far).collect();
            prop_assert!(curve.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert_eq!(curve.last().copied(), population.best().and_then(fitness));

            // The order of the rows says nothing.
            let key = crate::random::StreamKey { seed: order, stage: "test", generation: 0, slot: 0, redraw: 0 };
            let places = key.stream("shuffle").sample(rows.len(), rows.len());
            let shuffled: Vec<Candidate> = places.iter().map(|&place| rows[place].clone()).collect();
            prop_assert_eq!(judge(&Population::new(&shuffled), &settings), judged);
        }
    }

    #[test]
    fn a_full_archive_keeps_every_cell() {
        let rows = [scored(1, 0, 0, 0.95), scored(1, 1, 0, 0.91), scored(1, 2, 0, 0.2)];
        let judged = judge(&Population::new(&rows), &settings(2, vec![Feature::Fitness]));
        // The second is better than the third, but shares its cell with the first.
        assert_eq!(judged.iter().map(|j| j.archived).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(judged.iter().map(|j| j.elite).collect::<Vec<_>>(), [true, false, true]);
    }
}
