//! Which candidates are trained again: sequential halving of trainings, among those whose upper bound reaches the best lower bound.
//!
//! In each round the better half of those that were in the round before gets one more training (sequential halving: Karnin,
//! Koren and Somekh, ICML 2013, "Almost optimal exploration in multi-armed bandits"), so that a generation costs about
//! twice its first trainings, however large the noise. And whoever cannot be the best any more, its upper bound being below
//! the largest lower bound of the run, is left out even so (Hoeffding races: Maron and Moore, NIPS 1993; here with bounds of
//! the posterior in place of Hoeffding's). Candidates are ranked by their shrunken accuracy, equals by their order.
//!
//! A round depends on the scores before it and on nothing else.

use crate::{Posterior, Prior};

/// How many trainings a candidate begins with, and how many it may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// Trainings that every candidate begins with.
    pub first: usize,
    /// Trainings that a candidate gets at the most.
    pub most: usize,
}

impl Rounds {
    /// Rounds after the first trainings.
    #[must_use]
    pub fn count(&self) -> usize {
        self.most.saturating_sub(self.first)
    }
}

/// Which candidates of a generation get one more training in this round, counted from 1; their indices in ascending
/// order. `generation` and `others` (the archive before it): the scores of each candidate's trainings, of those that have
/// any.
#[must_use]
pub fn open(generation: &[&[f64]], others: &[&[f64]], rounds: Rounds, round: usize) -> Vec<usize> {
    if round == 0 || round > rounds.count() {
        return Vec::new();
    }
    let all: Vec<&[f64]> = others.iter().chain(generation).copied().collect();
    let Some(prior) = Prior::fit(&all) else { return Vec::new() };
    let best = all.iter().filter_map(|scores| prior.posterior(scores)?.lower()).fold(f64::NEG_INFINITY, f64::max);
    let reaches = |known: &Posterior| known.upper().is_none_or(|upper| upper >= best);
    let before = rounds.first + round - 1;
    let mut left: Vec<(usize, Posterior)> = generation
        .iter()
        .enumerate()
        .filter(|(_, scores)| scores.len() == before)
        .filter_map(|(index, scores)| Some((index, prior.posterior(scores)?)))
        .filter(|(_, known)| reaches(known))
        .collect();
    left.sort_by(|(i, a), (j, b)| b.value.total_cmp(&a.value).then(i.cmp(j)));
    left.truncate(places(generation.len(), round));
    let mut open: Vec<usize> = left.into_iter().map(|(index, _)| index).collect();
    open.sort_unstable();
    open
}

/// How many of a generation go on in this round: half of those of the round before, at least one.
fn places(generation: usize, round: usize) -> usize {
    (0..round).fold(generation, |left, _| left.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUNDS: Rounds = Rounds { first: 1, most: 4 };

    #[test]
    fn the_better_half_goes_on_and_one_at_least() {
        let scores: Vec<Vec<f64>> = [0.5, 0.8, 0.6, 0.7, 0.4].map(|score| vec![score]).to_vec();
        let slices: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
        // Noise is not known: only the rank says who goes on.
        assert_eq!(open(&slices, &[], ROUNDS, 1), [1, 2, 3]);
        assert_eq!(open(&slices[..1], &[], ROUNDS, 1), [0]);
        assert_eq!([1, 2, 3].map(|round| places(8, round)), [4, 2, 1]);
        assert_eq!([1, 2, 3].map(|round| places(1, round)), [1, 1, 1]);
    }

    #[test]
    fn a_round_takes_those_of_the_round_before_until_all_are_trained() {
        let scores: [&[f64]; 4] = [&[0.5], &[0.8, 0.6], &[0.95], &[0.7, 0.75]];
        assert_eq!(open(&scores, &[], ROUNDS, 2), [3], "the third has no second training, though it leads");
        let trained: [&[f64]; 1] = [&[0.5, 0.6, 0.7, 0.4]];
        assert_eq!(open(&trained, &[], ROUNDS, 4), Vec::<usize>::new());
        assert_eq!(open(&trained, &[], Rounds { first: 2, most: 2 }, 1), Vec::<usize>::new());
        assert_eq!(open(&[], &[], ROUNDS, 1), Vec::<usize>::new());
    }

    #[test]
    fn who_cannot_be_the_best_of_the_run_is_left_out() {
        let generation: [&[f64]; 4] = [&[0.30], &[0.31], &[0.29], &[0.71]];
        let equals: [&[f64]; 2] = [&[0.69, 0.71, 0.70, 0.70], &[0.50, 0.52]];
        assert_eq!(open(&generation, &equals, ROUNDS, 1), [3], "the noise is known, and small");
        let better: [&[f64]; 2] = [&[0.89, 0.91, 0.90, 0.90], &[0.50, 0.52]];
        assert_eq!(open(&generation, &better, ROUNDS, 1), Vec::<usize>::new(), "all are behind the archive");
    }
}
