//! EvoPrompting (Chen, Dohan and So, NeurIPS 2023, arXiv:2302.14838): a language model as the crossover and mutation of
//! an evolutionary search.
//!
//! The fittest of all candidates so far are the parents; fitness for selection is the negative of model size times error.
//! A prompt shows two of them, drawn uniformly, with their metrics, and asks for a program with better ones.

use schemas::Candidate;

use super::{Attempt, Method, Moment, parent_of};
use crate::population::fitness;
use crate::proposer::{Directive, Operation, Proposer, Task};

/// Candidates that are kept as parents after each round.
const SURVIVORS: usize = 10;

/// Parents shown in a prompt.
const SHOTS: usize = 2;

/// Size asked for, relative to the smallest parent shown.
const TARGET_SIZE: f64 = 0.9;

/// Accuracy asked for, relative to the best parent shown.
const TARGET_ACCURACY: f64 = 1.02;

/// The method.
pub struct EvoPrompting;

/// What selection minimises: parameters times error.
fn burden(row: &Candidate) -> f64 {
    let size = row.params.unwrap_or(i64::MAX) as f64;
    size * (1.0 - fitness(row).unwrap_or(0.0))
}

impl EvoPrompting {
    /// The parents of this generation, fittest first.
    fn survivors<'a>(moment: &Moment<'a>) -> Vec<&'a Candidate> {
        let population = moment.population;
        let mut rows: Vec<&Candidate> = population.scored().filter_map(|index| population.get(index)).collect();
        rows.sort_by(|a, b| burden(a).total_cmp(&burden(b)).then_with(|| a.attempt.cmp(&b.attempt)));
        rows.truncate(SURVIVORS);
        rows
    }

    /// What the prompt asks for.
    fn target(shown: &[&Candidate]) -> Option<Directive> {
        let size = shown.iter().filter_map(|row| row.params).min()?;
        let best = shown.iter().filter_map(|row| fitness(row)).max_by(f64::total_cmp)?;
        let (size, accuracy) = ((size as f64 * TARGET_SIZE) as i64, (best * TARGET_ACCURACY).min(1.0));
        Some(Directive {
            text: format!("Reach an accuracy of {accuracy:.4} with {size} parameters."),
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

    fn attempt<'a>(&self, moment: &Moment<'a>, proposer: &dyn Proposer) -> Attempt<'a> {
        let survivors = Self::survivors(moment);
        let mut stream = moment.key.stream("parent");
        let mut shown: Vec<&Candidate> = stream
            .sample(survivors.len(), SHOTS)
            .into_iter()
            .filter_map(|place| survivors.get(place))
            .copied()
            .collect();
        let target = Self::target(&shown);
        let parent = shown.pop().map_or(moment.seed, parent_of);
        let brief = moment.brief(parent, shown);
        let task = Task { operation: Operation::Crossover, factor: None, directive: None };
        Attempt::write(proposer, &brief, task, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::tests::{Silent, moment, table};
    use crate::population::Population;

    #[test]
    fn parents_are_uniform_over_the_survivors() {
        let fitness: Vec<f64> = (0..14).map(|n| 0.3 + 0.04 * f64::from(n)).collect();
        let mut rows = table(&fitness);
        // Accurate and huge: its product of size and error is the largest.
        rows[13].params = Some(1_000_000);
        let population = Population::new(&rows);
        let mut counts = [0usize; 14];
        for slot in 0..6000 {
            let attempt = EvoPrompting.attempt(&moment(&population, &[], slot), &Silent);
            counts[usize::try_from(attempt.parent.row.unwrap().slot).unwrap()] += 1;
            assert!(attempt.directive.unwrap().text.ends_with("with 900 parameters."));
        }
        assert_eq!((counts[13], counts[2]), (0, 0));
        assert!(counts[3..13].iter().all(|&count| (count as f64 - 600.0).abs() < 117.0), "{counts:?}");
    }
}
