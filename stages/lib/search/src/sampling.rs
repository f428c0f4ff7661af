//! How a parent is drawn from an island.
//!
//! The law is OpenEvolve's, on which SPARK's reference implementation is built: with probability `exploration` any
//! member of the island, with probability `exploitation` one of its archived members, else a member with
//! probability in proportion to its fitness.

use schemas::Candidate;
use serde::{Deserialize, Serialize};

use crate::population::{Population, fitness};
use crate::random::Stream;

/// Shares of the three ways to draw; what is left over from 1 goes to the draw by fitness.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SamplingSettings {
    /// Probability of a uniform draw from the island.
    pub exploration: f64,
    /// Probability of a uniform draw from the archived members of the island.
    pub exploitation: f64,
}

/// Draws a parent from the members of an island (indices into the population's rows). `None` when there is none.
#[must_use]
pub fn parent(
    population: &Population<'_>,
    members: &[usize],
    settings: &SamplingSettings,
    stream: &mut Stream,
) -> Option<usize> {
    // Always two draws: which way, and who; so that one setting does not shift the numbers of another.
    let way = stream.unit();
    let archived: Vec<usize> =
        members.iter().copied().filter(|&i| population.get(i).is_some_and(|row| row.archived == Some(true))).collect();
    if way < settings.exploration {
        stream.choose(members).copied()
    } else if way < settings.exploration + settings.exploitation && !archived.is_empty() {
        stream.choose(&archived).copied()
    } else {
        let weights: Vec<f64> = members.iter().map(|&i| population.get(i).and_then(fitness).unwrap_or(0.0)).collect();
        stream.weighted(&weights).and_then(|index| members.get(index)).copied()
    }
}

/// The `count` best of some rows, best first.
#[must_use]
pub fn top<'a>(population: &Population<'a>, members: &[usize], count: usize) -> Vec<&'a Candidate> {
    let mut rows: Vec<&Candidate> = members.iter().filter_map(|&index| population.get(index)).collect();
    rows.sort_by(|a, b| crate::population::better(a, b));
    rows.truncate(count);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::examples::scored;
    use crate::random::StreamKey;

    const DRAWS: usize = 40_000;

    fn frequencies(settings: &SamplingSettings) -> Vec<f64> {
        let mut rows = vec![scored(0, 0, 0, 0.1), scored(1, 0, 0, 0.3), scored(1, 1, 0, 0.6), scored(1, 2, 1, 0.9)];
        rows[2].archived = Some(true);
        rows[3].archived = Some(true);
        let population = Population::new(&rows);
        let key = StreamKey { seed: 1, stage: "test", generation: 0, slot: 0, redraw: 0 };
        let mut stream = key.stream("parent");
        let mut counts = [0usize; 4];
        for _ in 0..DRAWS {
            counts[parent(&population, &[0, 1, 2], settings, &mut stream).unwrap()] += 1;
        }
        counts.iter().map(|&c| c as f64 / DRAWS as f64).collect()
    }

    #[track_caller]
    fn close(found: &[f64], expected: &[f64]) {
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 0.0125, "{found:?} is not {expected:?}");
        }
        assert_eq!(found[3], 0.0, "a row of another island was drawn");
    }

    #[test]
    fn the_law_of_parents() {
        close(&frequencies(&SamplingSettings { exploration: 1.0, exploitation: 0.0 }), &[1.0 / 3.0; 3]);
        close(&frequencies(&SamplingSettings { exploration: 0.0, exploitation: 1.0 }), &[0.0, 0.0, 1.0]);
        close(&frequencies(&SamplingSettings { exploration: 0.0, exploitation: 0.0 }), &[0.1, 0.3, 0.6]);
        let mixed = [0.2 / 3.0 + 0.1 * 0.1, 0.2 / 3.0 + 0.1 * 0.3, 0.2 / 3.0 + 0.7 + 0.1 * 0.6];
        close(&frequencies(&SamplingSettings { exploration: 0.2, exploitation: 0.7 }), &mixed);
    }

    #[test]
    fn nobody_to_draw() {
        let population = Population::new(&[]);
        let key = StreamKey { seed: 1, stage: "test", generation: 0, slot: 0, redraw: 0 };
        let settings = SamplingSettings { exploration: 0.2, exploitation: 0.7 };
        assert_eq!(parent(&population, &[], &settings, &mut key.stream("parent")), None);
    }
}
