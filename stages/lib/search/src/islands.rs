//! Islands: parts of the population that breed among themselves, and pass their best on around a ring.
//!
//! Membership is not stored. A row belongs to the island in its `island` column; every `migration_interval` generations
//! the best `migrants` of each island also become members of the next one. Which program belongs where is replayed from the table,
//! so that it is right after any interruption.
//!
//! The scheme is that of OpenEvolve, on which SPARK's reference implementation is built; the ring goes back to
//! Tanese, "Distributed Genetic Algorithms", 1989.

use std::collections::BTreeSet;

use crate::population::{Population, better, fitness};

/// How the population is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IslandSettings {
    /// Number of islands; 0 counts as 1.
    pub count: usize,
    /// Generations between migrations; 0: never.
    pub migration_interval: usize,
    /// How many of each island's best move on.
    pub migrants: usize,
}

/// The islands as they stand before a generation: for each, indices into the population's rows, ascending, of the rows
/// that have a fitness. The founders belong to every island.
#[must_use]
pub fn members(population: &Population<'_>, settings: &IslandSettings, generation: i64) -> Vec<Vec<usize>> {
    let count = settings.count.max(1);
    let mut islands = vec![BTreeSet::new(); count];
    let founders: BTreeSet<usize> = population.founders().collect();
    let mut born = 0;
    let rows = population.rows();
    let last = generation.min(population.last_generation().saturating_add(1));
    for now in 0..last.max(0) {
        while let Some(row) = rows.get(born).filter(|row| row.generation <= now) {
            if fitness(row).is_some() {
                for (number, island) in islands.iter_mut().enumerate() {
                    if founders.contains(&born) || number == island_of(row.island, count) {
                        island.insert(born);
                    }
                }
            }
            born += 1;
        }
        let interval = schemas::count(settings.migration_interval);
        if interval > 0 && now > 0 && now % interval == 0 {
            migrate(population, &mut islands, settings.migrants);
        }
    }
    islands.into_iter().map(|island| island.into_iter().collect()).collect()
}

/// All islands send at once, so that nobody travels two steps in one migration.
fn migrate(population: &Population<'_>, islands: &mut [BTreeSet<usize>], migrants: usize) {
    let rows = population.rows();
    let travellers: Vec<Vec<usize>> = islands
        .iter()
        .map(|island| {
            let mut best: Vec<usize> = island.iter().copied().collect();
            best.sort_by(|&a, &b| match (rows.get(a), rows.get(b)) {
                (Some(a), Some(b)) => better(a, b),
                _ => a.cmp(&b),
            });
            best.truncate(migrants);
            best
        })
        .collect();
    let count = islands.len();
    for (from, travellers) in travellers.into_iter().enumerate() {
        if let Some(island) = islands.get_mut((from + 1) % count.max(1)) {
            island.extend(travellers);
        }
    }
}

/// The island that a number in the table stands for, whatever the number.
#[must_use]
pub fn island_of(number: i64, count: usize) -> usize {
    let count = schemas::count(count.max(1));
    usize::try_from(number.rem_euclid(count)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::{Candidate, Status};

    use super::*;
    use crate::population::examples::{failed, scored};

    const SETTINGS: IslandSettings = IslandSettings { count: 3, migration_interval: 2, migrants: 1 };

    fn table(fitness: &[Option<f64>]) -> Vec<Candidate> {
        let mut rows = vec![scored(0, 0, 0, 0.1)];
        for (number, fitness) in fitness.iter().enumerate() {
            let (generation, slot) = (1 + number as i64 / 4, number as i64 % 4);
            let island = number as i64 % 3;
            rows.push(match fitness {
                Some(f) => scored(generation, slot, island, *f),
                None => failed(generation, slot, island, Status::Rejected),
            });
        }
        rows
    }

    fn fitnesses() -> impl Strategy<Value = Vec<Option<f64>>> {
        proptest::collection::vec(proptest::option::weighted(0.8, 0.0..1.0), 0..40)
    }

    proptest! {
        #[test]
        fn islands_laws(fitness in fitnesses(), order in any::<u64>()) {
            let rows = table(&fitness);
            let population = Population::new(&rows);
            for generation in 1..=12 {
                let islands = members(&population, &SETTINGS, generation);
                prop_assert_eq!(islands.len(), 3);
                let migrations = ((generation - 1) / 2) as usize;
                for (number, island) in islands.iter().enumerate() {
                    let native = |index: usize| {
                        let row = population.get(index).unwrap();
                        row.parent_id.is_none() || row.island == number as i64
                    };
                    // Strangers come by migration only, and each migration brings one at most.
                    let strangers = island.iter().filter(|&&index| !native(index)).count();
                    prop_assert!(strangers <= migrations);
                    // Nobody from the future, and nobody without a fitness.
                    for &index in island {
                        let row = population.get(index).unwrap();
                        prop_assert!(row.generation < generation && row.status == Status::Scored);
                    }
                    // Every native with a fitness is there.
                    let natives = rows.iter().filter(|row| {
                        row.generation < generation
                            && row.status == Status::Scored
                            && (row.parent_id.is_none() || row.island == number as i64)
                    });
                    prop_assert_eq!(island.len() - strangers, natives.count());
                }
            }

            // The order of the rows says nothing.
            let mut shuffled = rows.clone();
            let key = crate::random::StreamKey { seed: order, stage: "test", generation: 0, slot: 0, redraw: 0 };
            let places = key.stream("shuffle").sample(rows.len(), rows.len());
            for (row, &place) in shuffled.iter_mut().zip(&places) {
                *row = rows[place].clone();
            }
            let again = Population::new(&shuffled);
            prop_assert_eq!(members(&again, &SETTINGS, 9), members(&population, &SETTINGS, 9));
        }
    }

    #[test]
    fn the_best_travel_one_step_at_each_migration() {
        let rows = [scored(0, 0, 0, 0.1), scored(1, 0, 0, 0.9), scored(1, 1, 1, 0.2), scored(1, 2, 2, 0.3)];
        let population = Population::new(&rows);
        let find = |generation| members(&population, &SETTINGS, generation);
        assert_eq!(find(2), vec![vec![0, 1], vec![0, 2], vec![0, 3]]);
        // The table ends with generation 1: nothing has been seen of generation 2, and nobody moves before it ends.
        let longer: Vec<Candidate> = rows.iter().cloned().chain([failed(4, 0, 0, Status::Failed)]).collect();
        let population = Population::new(&longer);
        assert_eq!(members(&population, &SETTINGS, 3), vec![vec![0, 1, 3], vec![0, 1, 2], vec![0, 2, 3]]);
        assert_eq!(members(&population, &SETTINGS, 5), vec![vec![0, 1, 3], vec![0, 1, 2], vec![0, 1, 2, 3]]);
    }

    #[test]
    fn any_number_is_an_island() {
        assert_eq!((island_of(-1, 3), island_of(7, 3), island_of(5, 0)), (2, 1, 0));
    }
}
