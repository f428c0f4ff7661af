//! Evolution of Heuristics (Liu et al., ICML 2024, arXiv:2401.02051).
//!
//! One population of the best so far. Five operators take turns: E1 and E2 explore from several parents, M1 to M3 modify
//! one. Parents are drawn by rank and with replacement, with probability in proportion to 1 / (rank + size of the
//! population); of members with equal fitness the population keeps the first. M1 to M3 show one program and no other.
//!
//! What differs from the source: the population begins with the one seed program, where the source has the model design its
//! first members from nothing (I1).

use schemas::Candidate;

use super::{Attempt, AttemptContext, Method, parent_of};
use crate::population::fitness;
use crate::proposer::{Directive, Operation, Proposer, Task};
use crate::sampling;

/// The numbers that the paper fixes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// Size of the population.
    pub population: usize,
    /// Parents of E1 and E2.
    pub parents: usize,
}

impl Default for Constants {
    fn default() -> Self {
        Self { population: 10, parents: 5 }
    }
}

/// The operators, in turn: whether they explore from several parents, and what they ask for.
const OPERATORS: [(Operation, bool, &str); 5] = [
    (Operation::Depart, true, "E1: design something as different as possible from all of the given programs."),
    (Operation::CommonIdea, true, "E2: find the idea that the given programs share, and build another one on it."),
    (Operation::Modify, false, "M1: modify the program to perform better."),
    (Operation::Tune, false, "M2: keep the program's structure, and choose other sizes and constants."),
    (Operation::Simplify, false, "M3: find what overfits or does nothing, and simplify the program."),
];

/// The method.
pub struct Eoh;

impl Eoh {
    /// The population, best first.
    fn population<'a>(context: &AttemptContext<'a>) -> Vec<&'a Candidate> {
        let scored: Vec<usize> = context.population.scored().collect();
        let mut ranked = sampling::top(context.population, &scored, scored.len());
        ranked.dedup_by(|later, kept| fitness(later) == fitness(kept));
        ranked.truncate(context.constants.eoh.population);
        ranked
    }

    /// Draws members of the population by rank.
    fn parents<'a>(context: &AttemptContext<'a>, count: usize) -> Vec<&'a Candidate> {
        let ranked = Self::population(context);
        let weights: Vec<f64> = (1..=ranked.len()).map(|rank| 1.0 / (rank + ranked.len()) as f64).collect();
        let mut stream = context.key.stream("parent");
        (0..count).filter_map(|_| stream.weighted(&weights)).filter_map(|place| ranked.get(place)).copied().collect()
    }
}

impl Method for Eoh {
    fn name(&self) -> &'static str {
        "eoh"
    }

    fn about(&self) -> &'static str {
        "one population, and the operators E1, E2, M1, M2, M3 in turn [arXiv:2401.02051]"
    }

    fn attempt<'a>(&self, context: &AttemptContext<'a>, proposer: &dyn Proposer) -> Attempt<'a> {
        let turn = context.turn % OPERATORS.len();
        let (operation, several, text) = OPERATORS.get(turn).copied().unwrap_or((Operation::Modify, false, ""));
        let count = if several { context.constants.eoh.parents } else { 1 };
        let mut parents = Self::parents(context, count).into_iter();
        let parent = parents.next().map_or(context.seed, parent_of);
        let brief = context.brief(parent, Some(parents.collect()));
        let directive = Directive { text: text.to_owned(), ..Directive::default() };
        Attempt::write(proposer, &brief, Task { operation, factor: None, directive: None }, Some(directive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::tests::{Silent, context, table};
    use crate::population::Population;

    #[test]
    fn parents_are_drawn_by_rank() {
        let rows = table(&[0.2, 0.9, 0.5]);
        let population = Population::new(&rows);
        let mut counts = [0usize; 3];
        for slot in 0..6000 {
            let parents = Eoh::parents(&context(&population, &[], slot), 1);
            counts[usize::try_from(parents[0].slot).unwrap()] += 1;
            let all = Eoh::parents(&context(&population, &[], slot), 5);
            assert_eq!(all.len(), 5, "drawn with replacement");
        }
        // ranks 3, 1, 2 of three: 1/6, 1/4, 1/5
        let total = 1.0 / 6.0 + 1.0 / 4.0 + 1.0 / 5.0;
        for (count, share) in counts.iter().zip([1.0 / 6.0, 1.0 / 4.0, 1.0 / 5.0]) {
            assert!((*count as f64 / 6000.0 - share / total).abs() < 0.032, "{counts:?}");
        }
    }

    #[test]
    fn of_equal_members_one_is_kept() {
        let rows = table(&[0.5, 0.9, 0.5, 0.9, 0.2]);
        let population = Population::new(&rows);
        let kept: Vec<i64> = Eoh::population(&context(&population, &[], 0)).iter().map(|row| row.slot).collect();
        assert_eq!(kept, [1, 0, 4]);
    }

    #[test]
    fn operators_take_turns() {
        let rows = table(&[0.2, 0.9, 0.5]);
        let population = Population::new(&rows);
        let asked: Vec<String> = (0..10)
            .map(|turn| {
                let context = AttemptContext { turn, ..context(&population, &[], 0) };
                Eoh.attempt(&context, &Silent).directive.unwrap().text.chars().take(2).collect()
            })
            .collect();
        assert_eq!(asked, ["E1", "E2", "M1", "M2", "M3", "E1", "E2", "M1", "M2", "M3"]);
    }
}
