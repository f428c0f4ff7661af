//! Evolution of Heuristics (Liu et al., ICML 2024, arXiv:2401.02051).
//!
//! One population of the best so far. Five operators take turns: E1 and E2 explore from several parents, M1 to M3 modify
//! one. Parents are drawn by rank, with probability in proportion to 1 / (rank + size of the population).

use schemas::Candidate;

use super::{Attempt, Method, Moment, parent_of};
use crate::proposer::{Directive, Operation, Proposer, Task};
use crate::sampling;

/// Size of the population.
const POPULATION: usize = 10;

/// Parents of E1 and E2.
const PARENTS: usize = 5;

/// The operators, in turn, with what they ask for.
const OPERATORS: [(Operation, usize, &str); 5] = [
    (Operation::Depart, PARENTS, "E1: design something as different as possible from all of the given programs."),
    (Operation::CommonIdea, PARENTS, "E2: find the idea that the given programs share, and build another one on it."),
    (Operation::Modify, 1, "M1: modify the program to perform better."),
    (Operation::Tune, 1, "M2: keep the program's structure, and choose other sizes and constants."),
    (Operation::Simplify, 1, "M3: find what overfits or does nothing, and simplify the program."),
];

/// The method.
pub struct Eoh;

impl Eoh {
    /// Draws different members of the population by rank.
    fn parents<'a>(moment: &Moment<'a>, count: usize) -> Vec<&'a Candidate> {
        let scored: Vec<usize> = moment.population.scored().collect();
        let ranked = sampling::top(moment.population, &scored, POPULATION);
        let mut weights: Vec<f64> = (1..=ranked.len()).map(|rank| 1.0 / (rank + ranked.len()) as f64).collect();
        let mut stream = moment.key.stream("parent");
        let mut drawn = Vec::new();
        for _ in 0..count.min(ranked.len()) {
            let Some(place) = stream.weighted(&weights) else { break };
            drawn.extend(ranked.get(place));
            if let Some(weight) = weights.get_mut(place) {
                *weight = 0.0;
            }
        }
        drawn
    }
}

impl Method for Eoh {
    fn name(&self) -> &'static str {
        "eoh"
    }

    fn about(&self) -> &'static str {
        "one population, and the operators E1, E2, M1, M2, M3 in turn [arXiv:2401.02051]"
    }

    fn attempt<'a>(&self, moment: &Moment<'a>, proposer: &dyn Proposer) -> Attempt<'a> {
        let turn = moment.turn % OPERATORS.len();
        let (operation, count, text) = OPERATORS.get(turn).copied().unwrap_or((Operation::Modify, 1, ""));
        let mut parents = Self::parents(moment, count).into_iter();
        let parent = parents.next().map_or(moment.seed, parent_of);
        let brief = moment.brief(parent, parents.collect());
        let directive = Directive { text: text.to_owned(), ..Directive::default() };
        Attempt::write(proposer, &brief, Task { operation, factor: None, directive: None }, Some(directive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::tests::{Silent, moment, table};
    use crate::population::Population;

    #[test]
    fn parents_are_drawn_by_rank() {
        let rows = table(&[0.2, 0.9, 0.5]);
        let population = Population::new(&rows);
        let mut counts = [0usize; 3];
        for slot in 0..6000 {
            let parents = Eoh::parents(&moment(&population, &[], slot), 1);
            counts[usize::try_from(parents[0].slot).unwrap()] += 1;
            let all = Eoh::parents(&moment(&population, &[], slot), 5);
            assert_eq!(all.len(), 3);
        }
        // ranks 3, 1, 2 of three: 1/6, 1/4, 1/5
        let total = 1.0 / 6.0 + 1.0 / 4.0 + 1.0 / 5.0;
        for (count, share) in counts.iter().zip([1.0 / 6.0, 1.0 / 4.0, 1.0 / 5.0]) {
            assert!((*count as f64 / 6000.0 - share / total).abs() < 0.032, "{counts:?}");
        }
    }

    #[test]
    fn operators_take_turns() {
        let rows = table(&[0.2, 0.9, 0.5]);
        let population = Population::new(&rows);
        let asked: Vec<String> = (0..10)
            .map(|turn| {
                let moment = Moment { turn, ..moment(&population, &[], 0) };
                Eoh.attempt(&moment, &Silent).directive.unwrap().text.chars().take(2).collect()
            })
            .collect();
        assert_eq!(asked, ["E1", "E2", "M1", "M2", "M3", "E1", "E2", "M1", "M2", "M3"]);
    }
}
