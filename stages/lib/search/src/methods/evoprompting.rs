//! EvoPrompting (Chen, Dohan and So, NeurIPS 2023, arXiv:2302.14838): a language model as the crossover and mutation of
//! an evolutionary search.
//!
//! Each round takes the fittest candidates that were not parents before (Algorithm 1); fitness for selection is the negative
//! of model size times error, and candidates whose error reaches the threshold take no part (Algorithm 3). A prompt shows
//! two of the round's parents, drawn uniformly with replacement, with their metrics, and asks for a program with better
//! ones: accuracy to a tenth of a per cent, size to the next hundred.
//!
//! What differs from the source: one seed program where the source has nine; size is that of the processor, where the
//! source counts the whole network; a chat model is told in words what the source's model continues; no prompt tuning, and
//! one temperature instead of a mixture (`llm.temperature`).

use schemas::Candidate;

use super::{Attempt, AttemptContext, Method, parent_of};
use crate::population::fitness;
use crate::proposer::{Directive, Operation, Proposer, Task};

/// The numbers that the paper fixes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// Parents of a round (p).
    pub parents: usize,
    /// Parents shown in a prompt (k).
    pub shots: usize,
    /// Error from which on a candidate is dropped (alpha).
    pub threshold: f64,
    /// Size asked for, relative to the smallest parent shown.
    pub target_size: f64,
    /// Accuracy asked for, relative to the best parent shown.
    pub target_accuracy: f64,
}

impl Default for Constants {
    fn default() -> Self {
        Self { parents: 10, shots: 2, threshold: 0.5, target_size: 0.9, target_accuracy: 1.02 }
    }
}

/// The method.
pub struct EvoPrompting;

/// What selection minimises: parameters times error.
fn burden(row: &Candidate) -> f64 {
    // Selection does not prefer a network whose size is not known.
    let size = row.params.unwrap_or(i64::MAX) as f64;
    size * (1.0 - fitness(row).unwrap_or(0.0))
}

impl EvoPrompting {
    /// The parents of this round, fittest first: replayed round by round, since no candidate is a parent in two of them.
    fn parents<'a>(context: &AttemptContext<'a>) -> Vec<&'a Candidate> {
        let constants = context.constants.evoprompting;
        let population = context.population;
        let fit = |row: &&Candidate| fitness(row).is_some_and(|value| 1.0 - value < constants.threshold);
        let mut waiting: Vec<&Candidate> =
            population.scored().filter_map(|index| population.get(index)).filter(fit).collect();
        waiting.sort_by(|a, b| burden(a).total_cmp(&burden(b)).then_with(|| a.attempt.cmp(&b.attempt)));
        let mut parents = Vec::new();
        // After so many rounds nobody is left to become a parent.
        let last = population.last_generation().saturating_add(1).saturating_add_unsigned(waiting.len() as u64);
        for round in 1..=context.key.generation.min(last) {
            let (now, later): (Vec<&Candidate>, Vec<&Candidate>) = {
                let mut free = constants.parents;
                waiting.iter().partition(|row| {
                    let taken = free > 0 && row.generation < (round - context.lag).max(1);
                    free -= usize::from(taken);
                    taken
                })
            };
            // A round whose predecessor brought nothing goes on with the parents of that one.
            if !now.is_empty() {
                (parents, waiting) = (now, later);
            }
        }
        parents
    }

    /// What the prompt asks for.
    fn target(shown: &[&Candidate], constants: Constants) -> Option<Directive> {
        let size = shown.iter().filter_map(|row| row.params).min()?;
        let best = shown.iter().filter_map(|row| fitness(row)).max_by(f64::total_cmp)?;
        let size = (size as f64 * constants.target_size / 100.0).round() * 100.0;
        let accuracy = (best * constants.target_accuracy).min(1.0);
        Some(Directive {
            text: format!("Reach an accuracy of {accuracy:.3} with {size} parameters."),
            ..Directive::default()
        })
    }
}

impl Method for EvoPrompting {
    fn name(&self) -> &'static str {
        "evoprompting"
    }

    fn about(&self) -> &'static str {
        "few-shot crossover of parents chosen by size times error, with target metrics [arXiv:2302.14838]"
    }

    fn attempt<'a>(&self, context: &AttemptContext<'a>, proposer: &dyn Proposer) -> Attempt<'a> {
        let constants = context.constants.evoprompting;
        let parents = Self::parents(context);
        let mut stream = context.key.stream("parent");
        let mut shown: Vec<&Candidate> =
            (0..constants.shots).filter_map(|_| stream.choose(&parents)).copied().collect();
        let target = Self::target(&shown, constants);
        let parent = shown.pop().map_or(context.seed, parent_of);
        let brief = context.brief(parent, Some(shown));
        let task = Task { operation: Operation::Crossover, factor: None, directive: None };
        Attempt::write(proposer, &brief, task, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::tests::{Silent, context, table};
    use crate::population::Population;

    #[test]
    fn parents_are_uniform_over_those_of_the_round() {
        let fitness: Vec<f64> = (0..14).map(|n| 0.45 + 0.03 * f64::from(n)).collect();
        let mut rows = table(&fitness);
        // Accurate and huge: its product of size and error is the largest.
        rows[13].params = Some(1_000_000);
        let population = Population::new(&rows);
        let mut counts = [0usize; 14];
        for slot in 0..6000 {
            let attempt = EvoPrompting.attempt(&context(&population, &[], slot), &Silent);
            counts[usize::try_from(attempt.parent.row.unwrap().slot).unwrap()] += 1;
            assert!(attempt.directive.unwrap().text.ends_with("with 900 parameters."));
        }
        // The first two reach the threshold of the error, and are dropped before anything is ranked.
        assert_eq!((counts[13], counts[0], counts[1], counts[2]), (0, 0, 0, 0));
        assert!(counts[3..13].iter().all(|&count| (count as f64 - 600.0).abs() < 117.0), "{counts:?}");
    }

    #[test]
    fn nobody_is_a_parent_in_two_rounds() {
        let mut rows = table(&[0.9, 0.8, 0.7]);
        rows.extend(table(&[0.6, 0.65]).into_iter().map(|row| Candidate {
            generation: 2,
            candidate_id: format!("{}b", row.candidate_id),
            ..row
        }));
        let population = Population::new(&rows);
        let of = |generation: i64, parents: usize| {
            let mut context = context(&population, &[], 0);
            context.key.generation = generation;
            context.constants.evoprompting.parents = parents;
            EvoPrompting::parents(&context).iter().map(|row| (row.generation, row.slot)).collect::<Vec<_>>()
        };
        assert_eq!(of(2, 2), [(1, 0), (1, 1)]);
        assert_eq!(of(3, 2), [(1, 2), (2, 1)], "the third of the first round had to wait");
        assert_eq!(of(4, 2), [(2, 0)], "what is left");
        assert_eq!(of(5, 2), [(2, 0)], "nothing is left: the round before speaks on");
        assert_eq!(of(1, 2), []);
    }

    #[test]
    fn metrics_are_asked_for_in_round_numbers() {
        let mut rows = table(&[0.871, 0.6]);
        (rows[0].params, rows[1].params) = (Some(18_680), Some(20_000));
        let shown: Vec<&Candidate> = rows.iter().collect();
        let text = EvoPrompting::target(&shown, Constants::default()).unwrap().text;
        assert_eq!(text, "Reach an accuracy of 0.888 with 16800 parameters.");
    }
}
