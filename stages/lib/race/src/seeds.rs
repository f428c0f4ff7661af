//! Seeds that are nobody else's: of trainings and of evaluation graphs, each a hash of what it is for.
//!
//! They are whole numbers below 2^53, so that every reader of JSON and every tool that keeps numbers as floats has them
//! whole.

/// Separates these hashes from every other use of the hash. Changing it changes every search.
const CONTEXT: &str = "emberline 2026 training and evaluation seeds v1";

/// Bits of a seed.
const BITS: u32 = 53;

/// The seed of a candidate's training in a run with this seed; `index` counts its trainings from 0.
#[must_use]
pub fn training(run: u64, candidate: &str, index: usize) -> u64 {
    derived(run, &["train", candidate], index as u64)
}

/// The seeds of a confirmation, `count` of them, none of which is among `taken`. All candidates of a confirmation are
/// trained with the same ones, so that they are compared in pairs.
#[must_use]
pub fn confirmation(run: u64, purpose: &str, count: usize, taken: &[u64]) -> Vec<u64> {
    let drawn = (0..).map(|index| derived(run, &["confirm", purpose], index));
    drawn.filter(|seed| !taken.contains(seed)).take(count).collect()
}

/// The seed of the graphs that a run's candidates are scored on, for one of its splits.
#[must_use]
pub fn graphs(run: u64, split: &str) -> u64 {
    derived(run, &["graphs", split], 0)
}

/// The seed of the graphs on which a training of a confirmation is scored. Each training seed has graphs of its own, so
/// that the spread over seeds holds the spread over graphs.
#[must_use]
pub fn fresh_graphs(training: u64) -> u64 {
    derived(training, &["fresh graphs"], 0)
}

fn derived(run: u64, words: &[&str], index: u64) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&run.to_le_bytes());
    for word in words {
        hasher.update(&(word.len() as u64).to_le_bytes());
        hasher.update(word.as_bytes());
    }
    hasher.update(&index.to_le_bytes());
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_le_bytes(bytes) >> (u64::BITS - BITS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nobody_shares_a_seed_and_all_survive_floats() {
        let mut seen = BTreeSet::new();
        for run in 0..3 {
            for index in 0..4 {
                assert!(["a", "b", "ab"].into_iter().all(|candidate| seen.insert(training(run, candidate, index))));
            }
            let others = [graphs(run, "ood"), graphs(run, "other"), fresh_graphs(run)];
            let confirming = ["choose", "report"].map(|purpose| confirmation(run, purpose, 4, &[]));
            assert!(others.into_iter().chain(confirming.concat()).all(|seed| seen.insert(seed)));
        }
        assert!(seen.iter().all(|&seed| seed < 1 << BITS && (seed as f64) as u64 == seed));
        assert!(seen.iter().any(|&seed| seed > 1 << (BITS - 2)), "the range is not used");
    }

    #[test]
    fn seeds_that_are_taken_are_passed_over() {
        let all = confirmation(7, "report", 3, &[]);
        assert_eq!(confirmation(7, "report", 2, &all[..1]), all[1..]);
    }
}
