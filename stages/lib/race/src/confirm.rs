//! What a search has found, measured after the winner was chosen.
//!
//! The leaders of a search owe their place to luck, too. So they are trained anew on some fresh seeds, and by these the
//! winner is chosen ([`choose`]); then the winner and the seed program are trained on other fresh seeds, and only these say
//! how large the gain is ([`gain`]). The choice has not seen the trainings that are reported: whatever it was led by, given
//! the choice they are draws of that candidate's own distribution, and their mean is unbiased. No candidate but the chosen
//! one is trained on the seeds that are reported, so that there is nothing to choose from again.
//!
//! Winner and seed program are trained with the same seeds and scored on the same graphs, other ones for each seed. What a
//! seed does to both of them cancels in the difference; what it does to one of them, and what its graphs do, is in the
//! spread of the differences. Their mean has Student's interval for paired values, and a permutation test by flipping the
//! signs of differences (Fisher's; exact for up to 20 pairs).

use serde::{Deserialize, Serialize};

use crate::mean;

/// Probability that the interval holds the gain.
pub const LEVEL: f64 = 0.95;

/// Seed of the assignments of signs that are drawn where there are too many to count.
const DRAWING: u64 = 0;

/// A mean difference over seeds, in shares (0.01 is one point).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// The mean of the differences.
    pub mean: f64,
    /// Lower bound of the interval; none for a single seed.
    pub lower: Option<f64>,
    /// Upper bound of the interval; none for a single seed.
    pub upper: Option<f64>,
    /// Two-sided p-value of a permutation test.
    pub p: f64,
    /// Whether all permutations were counted; otherwise some were drawn.
    pub exact: bool,
    /// How many seeds there are: the pairs of trainings.
    pub pairs: usize,
}

impl Gain {
    /// Whether the whole interval lies above 0.
    #[must_use]
    pub fn confirmed(&self) -> bool {
        self.lower.is_some_and(|lower| lower > 0.0)
    }
}

/// Which candidate wins: the one with the largest mean, of equals the first. Candidates without a score take no part.
#[must_use]
pub fn choose(candidates: &[&[f64]]) -> Option<usize> {
    let mut chosen: Option<(usize, f64)> = None;
    for (index, scores) in candidates.iter().enumerate() {
        let Some(mean) = mean(scores) else { continue };
        if chosen.is_none_or(|(_, most)| mean > most) {
            chosen = Some((index, mean));
        }
    }
    chosen.map(|(index, _)| index)
}

/// The gain of one program over another, from their scores with the same seeds in the same order. `None` where there are
/// none, or not the same number.
#[must_use]
pub fn gain(winner: &[f64], reference: &[f64]) -> Option<Gain> {
    let differences = stats::differences(winner, reference).ok()?;
    let mean = stats::mean(&differences).ok()?;
    let interval = stats::paired_t(&differences, LEVEL).ok();
    let test = stats::paired_permutation(&differences, DRAWING).ok()?;
    let (lower, upper) = interval.map(|interval| (interval.low, interval.high)).unzip();
    Some(Gain { mean, lower, upper, p: test.p, exact: test.exact, pairs: differences.len() })
}

/// What the search itself said of its best candidate, luck included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AsSelected {
    /// The candidate.
    pub candidate_id: String,
    /// Its mean accuracy minus the seed program's, as measured in the search.
    pub measured: f64,
    /// The same of their fitness, which is shrunk.
    pub shrunk: f64,
}

/// One program on the seeds that are reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// The program.
    pub candidate_id: String,
    /// Short label of its last edit.
    pub edit: Option<String>,
    /// Accuracy out of distribution on fresh graphs, in the order of the seeds, in [0, 1].
    pub ood_acc: Vec<f64>,
    /// Accuracy on the benchmark's test split.
    pub test_acc: Vec<f64>,
}

/// `confirm.json`: the outcome of a confirmation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Name of the run.
    pub run: String,
    /// Digest of the archive that it belongs to; empty where that came through a pipe.
    pub archive: String,
    /// The gain by the search's own measure (`score.fitness`): what is to be quoted. Null where there is none; `reason` says
    /// why.
    pub gain: Option<Gain>,
    /// The gain on the test split.
    pub test_gain: Option<Gain>,
    /// What the search itself said of its best candidate.
    pub as_selected: Option<AsSelected>,
    /// The winner on the reported seeds.
    pub winner: Option<Reported>,
    /// The seed program on the reported seeds.
    pub seed_program: Option<Reported>,
    /// Candidates that the winner was chosen from, the search's best first.
    pub candidates: Vec<String>,
    /// Training seeds that the winner was chosen on.
    pub choosing_seeds: Vec<u64>,
    /// Training seeds that are reported.
    pub seeds: Vec<u64>,
    /// Why there is no gain to report.
    pub reason: Option<String>,
}

impl Confirmation {
    /// Whether the gain's whole interval lies above 0.
    #[must_use]
    pub fn confirmed(&self) -> bool {
        self.gain.is_some_and(|gain| gain.confirmed())
    }

    /// The outcome in a sentence, plain where nothing is confirmed.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Some(gain) = self.gain else {
            return format!("no gain is confirmed: {}", self.reason.as_deref().unwrap_or("nothing was measured"));
        };
        let figures = gain.to_string();
        if gain.confirmed() { format!("confirmed: {figures}") } else { format!("no gain is confirmed: {figures}") }
    }

    /// What the search said before, in a sentence.
    #[must_use]
    pub fn as_selected_sentence(&self) -> Option<String> {
        let selected = self.as_selected.as_ref()?;
        Some(format!(
            "{} points as measured in the search, {} shrunk by its noise: the luck of being chosen included",
            points(selected.measured),
            points(selected.shrunk)
        ))
    }
}

impl std::fmt::Display for Gain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} points over the seed program", points(self.mean))?;
        if let (Some(lower), Some(upper)) = (self.lower, self.upper) {
            write!(f, ", {:.0} % interval {} to {}", 100.0 * LEVEL, points(lower), points(upper))?;
        }
        let test = if self.exact { "exact" } else { "Monte Carlo" };
        write!(
            f,
            ", p = {} ({test} permutation test), {} fresh seed{}",
            Rounded(self.p),
            self.pairs,
            if self.pairs == 1 { "" } else { "s" }
        )
    }
}

/// A difference of shares in points, with its sign.
fn points(share: f64) -> String {
    format!("{:+.1}", 100.0 * share)
}

/// A probability with as many digits as it needs to be told from 0.
struct Rounded(f64);

impl std::fmt::Display for Rounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            p if p >= 0.1 => write!(f, "{p:.2}"),
            p if p >= 0.01 => write!(f, "{p:.3}"),
            p => write!(f, "{p:.1e}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_mean_wins_and_failures_take_no_part() {
        assert_eq!(choose(&[&[0.5, 0.25], &[], &[0.5, 0.75], &[0.625, 0.625]]), Some(2));
        assert_eq!(choose(&[&[], &[]]), None);
    }

    #[test]
    fn a_gain_has_students_interval_and_an_exact_p() {
        // Differences 1, 2, 3, 4 hundredths: mean 2.5, sd 1.291, se 0.6455, t(3) 3.182.
        let found = gain(&[0.51, 0.62, 0.73, 0.84], &[0.50, 0.60, 0.70, 0.80]).expect("pairs");
        assert!((found.mean - 0.025).abs() < 1e-12);
        assert!((found.lower.expect("four seeds") - (0.025 - 3.18245 * 0.006_455)).abs() < 1e-6, "{found:?}");
        assert_eq!((found.p, found.exact, found.pairs), (2.0 / 16.0, true, 4));
        assert!(found.confirmed());
        let none = gain(&[0.5, 0.5], &[0.5, 0.5]).expect("pairs");
        assert_eq!((none.mean, none.lower, none.p, none.confirmed()), (0.0, Some(0.0), 1.0, false));
        let single = gain(&[0.6], &[0.5]).expect("a pair");
        assert_eq!((single.lower, single.p, single.confirmed()), (None, 1.0, false));
        assert_eq!((gain(&[], &[]), gain(&[0.5], &[])), (None, None));
    }

    #[test]
    fn many_pairs_are_drawn() {
        let of = |differences: &[f64]| {
            let found = gain(differences, &vec![0.0; differences.len()]).expect("pairs");
            (found.p, found.exact)
        };
        let differences: Vec<f64> = (0..16).map(|i| f64::from(i % 5) - 1.4).collect();
        let (counted, exact) = of(&differences);
        assert!(exact && counted > 0.05);
        assert_eq!(of(&[0.0; 70]), (1.0, false));
        assert!(of(&[1.0; 70]).0 < 2e-5);
    }

    #[test]
    fn the_sentence_says_plainly_when_nothing_is_confirmed() {
        let of = |winner: &[f64], reference: &[f64]| Confirmation {
            gain: gain(winner, reference),
            ..Confirmation::default()
        };
        let clear = of(&[0.61, 0.62, 0.64, 0.62, 0.63, 0.62], &[0.5; 6]);
        assert!(
            clear.sentence().starts_with("confirmed: +12.3 points over the seed program, 95 % interval +11.2 to"),
            "{}",
            clear.sentence()
        );
        assert!(clear.sentence().contains("p = 0.031 (exact permutation test), 6 fresh seeds"), "{}", clear.sentence());
        let vague = of(&[0.6, 0.4], &[0.5, 0.45]);
        assert!(!vague.confirmed() && vague.sentence().starts_with("no gain is confirmed: +2.5 points"));
        let nothing = Confirmation { reason: Some("no candidate was scored".into()), ..Confirmation::default() };
        assert_eq!(nothing.sentence(), "no gain is confirmed: no candidate was scored");
    }
}
