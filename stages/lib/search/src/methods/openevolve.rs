//! OpenEvolve (Sharma, 2025, the open re-implementation of AlphaEvolve, Novikov et al., arXiv:2506.13131), the baseline
//! from which SPARK starts: free-form edits of whole programs, on islands with MAP-Elites cells, with the best and some
//! other programs of the island shown beside the parent. Whether a model answers with the whole program or with changed
//! passages is its proposer's setting (`llm.diff`).
//!
//! What differs from the source (openevolve 0.3.2): defaults of `search.exploration` and `search.exploitation` (0.2 and 0.7
//! there; `PROFILE=paper` has them), an archive by island instead of one for all, migration by generations of the run instead
//! of an island's, programs that lose their cell stay members of their island, and the past attempts that a prompt tells of
//! are those of the island.

use schemas::Candidate;

use super::{Attempt, AttemptContext, Method};
use crate::features::Feature;
use crate::proposer::{Operation, Proposer, Task};
use crate::sampling;

/// Best programs shown.
const TOP: usize = 3;

/// Other programs shown, for diversity.
const DIVERSE: usize = 2;

/// The method.
pub struct OpenEvolve;

impl OpenEvolve {
    /// The programs shown: the island's best, then others of it, none of them the parent.
    fn examples<'a>(context: &AttemptContext<'a>, parent: &str) -> Vec<&'a Candidate> {
        let others: Vec<usize> = context
            .members
            .iter()
            .copied()
            .filter(|&index| context.population.get(index).is_some_and(|row| row.candidate_id != parent))
            .collect();
        let mut shown = sampling::top(context.population, &others, TOP);
        let rest: Vec<&Candidate> = others
            .iter()
            .filter_map(|&index| context.population.get(index))
            .filter(|row| shown.iter().all(|top| top.candidate_id != row.candidate_id))
            .collect();
        let mut stream = context.key.stream("examples");
        shown.extend(stream.sample(rest.len(), DIVERSE).into_iter().filter_map(|place| rest.get(place)));
        shown
    }
}

impl Method for OpenEvolve {
    fn name(&self) -> &'static str {
        "openevolve"
    }

    fn about(&self) -> &'static str {
        "free-form edits, with the island's best and some other programs shown [AlphaEvolve, arXiv:2506.13131]"
    }

    /// Size and difference of the code: what OpenEvolve calls complexity and diversity, its defaults.
    fn features(&self) -> &'static [Feature] {
        &[Feature::Params, Feature::Distance]
    }

    fn attempt<'a>(&self, context: &AttemptContext<'a>, proposer: &dyn Proposer) -> Attempt<'a> {
        let parent = context.draw_parent();
        let brief = context.brief(parent, Some(Self::examples(context, parent.id)));
        Attempt::write(proposer, &brief, Task { operation: Operation::Edit, factor: None, directive: None }, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::tests::{context, table};
    use crate::population::Population;

    #[test]
    fn the_best_are_shown_first_and_the_parent_never() {
        let rows = table(&[0.1, 0.5, 0.9, 0.7, 0.3, 0.6, 0.2]);
        let population = Population::new(&rows);
        let members: Vec<usize> = (0..rows.len()).collect();
        let mut diverse = [0; 7];
        for slot in 0..2000 {
            let shown = OpenEvolve::examples(&context(&population, &members, slot), "id-1-2");
            let slots: Vec<i64> = shown.iter().map(|row| row.slot).collect();
            assert_eq!(slots[..3], [3, 5, 1]);
            assert_eq!(slots.len(), 5);
            for &slot in &slots[3..] {
                diverse[usize::try_from(slot).unwrap()] += 1;
            }
        }
        // two of the three that are left, each as often as the others
        for slot in [0, 4, 6] {
            assert!((diverse[slot] - 1333i32).abs() < 110, "{diverse:?}");
        }
        assert_eq!(diverse[2], 0);
    }
}
