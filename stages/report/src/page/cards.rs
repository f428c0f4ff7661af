//! The few numbers at the top of a run.

use serde::Serialize;

use crate::analysis::{evaluations, rates};
use crate::run::Run;
use crate::text::{count, percent, points, spread, test, whole, whole_or_dash};

/// A number, what it is, and what to compare it with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Card {
    pub label: String,
    pub value: String,
    /// What belongs to the value in smaller letters: its spread.
    pub spread: String,
    pub note: String,
    /// The one number that matters most.
    pub main: bool,
}

pub fn card(label: &str, value: impl Into<String>, note: impl Into<String>) -> Card {
    Card { label: label.into(), value: value.into(), spread: String::new(), note: note.into(), main: false }
}

/// A card of an accuracy.
fn scored(label: &str, mean: Option<f64>, std: Option<f64>, seeds: &Option<Vec<f64>>, note: impl Into<String>) -> Card {
    let spread = mean.map_or(String::new(), |_| spread(std, seeds.as_ref().map_or(0, Vec::len)));
    Card { spread, ..card(label, mean.map_or("–".into(), percent), note) }
}

/// The winner against the seed program, and the effort spent.
pub fn cards(run: &Run) -> Vec<Card> {
    let (winner, seed) = (run.winner(), run.seed_program());
    let mut list: Vec<Card> = confirmed(run).into_iter().collect();
    let versus = |own: Option<i64>, pick: fn(&schemas::Candidate) -> Option<i64>| match (own, seed.and_then(pick)) {
        (Some(own), Some(seed)) if seed > 0 => {
            format!("{:+.1} % against the seed program's {}", (own as f64 / seed as f64 - 1.0) * 100.0, whole(seed))
                .replacen('-', "−", 1)
        }
        _ => String::new(),
    };
    if let Some(winner) = winner {
        let is_seed = seed.is_some_and(|seed| std::ptr::eq(seed, winner));
        let note = match seed.and_then(|seed| seed.ood_acc).zip(winner.ood_acc) {
            _ if is_seed => "the seed program itself: nothing better was found".into(),
            Some((seed, best)) => {
                format!("as selected: {} points over the seed program, luck included", points(best - seed))
            }
            None => String::new(),
        };
        let main = list.is_empty();
        let best = scored("Best OOD accuracy (%)", winner.ood_acc, winner.ood_acc_std, &winner.ood_acc_seeds, note);
        list.push(Card { main, ..best });
        if let Some(seed) = seed.filter(|_| !is_seed) {
            let note = format!("test {}", test(seed));
            list.push(scored("Seed program, OOD (%)", seed.ood_acc, seed.ood_acc_std, &seed.ood_acc_seeds, note));
        }
        let note = match seed.and_then(|seed| seed.test_acc).zip(winner.test_acc) {
            _ if run.chose_by_test() => "the search chose by this split: not an independent estimate".into(),
            Some((seed, best)) if !is_seed => {
                format!("{} points over the seed program; never used to choose", points(best - seed))
            }
            _ => "never used to choose".into(),
        };
        list.push(scored("Test accuracy (%)", winner.test_acc, winner.test_acc_std, &winner.test_acc_seeds, note));
        let of = |own: Option<i64>| own.filter(|_| !is_seed);
        list.push(card("Parameters", whole_or_dash(winner.params), versus(of(winner.params), |row| row.params)));
        list.push(card("MACs per step", whole_or_dash(winner.macs), versus(of(winner.macs), |row| row.macs)));
    }
    let list_of = evaluations(run);
    let evaluated = list_of.iter().filter(|e| e.number > 0).count();
    let found = list_of.iter().rev().find(|e| e.improves).map(|e| format!("the best is number {}", e.number));
    list.push(card("Evaluated candidates", whole(evaluated as i64), found.unwrap_or_default()));
    if let Some(end) = rates(run).last() {
        let share = |value: Option<f64>, name: &str| value.map(|share| format!("{:.1} % {name}", share * 100.0));
        let known: Vec<String> =
            [share(end.executable, "executable"), share(end.admitted, "admitted"), share(end.entangled, "entangled")]
                .into_iter()
                .flatten()
                .collect();
        let note = known.join(", ");
        list.push(card("Attempts", whole(end.attempts as i64), note));
    }
    list.extend(super::models::cards(run));
    list
}

/// The gain on fresh seeds and graphs, which is what to quote; said plainly where there is none.
fn confirmed(run: &Run) -> Option<Card> {
    let confirmation = run.confirmation.as_ref()?;
    let label = if confirmation.confirmed() { "Confirmed gain (points)" } else { "No gain is confirmed (points)" };
    let value = confirmation.gain.map_or("–".into(), |gain| points(gain.mean));
    let note = match (&confirmation.gain, &confirmation.as_selected) {
        (Some(gain), Some(selected)) => {
            let interval = gain.lower.zip(gain.upper).map_or(String::new(), |(lower, upper)| {
                format!("95 % interval {} to {}, ", points(lower), points(upper))
            });
            let seeds = count(gain.pairs, "fresh seed");
            format!("{interval}p = {:.3}, {seeds}; as selected {}", gain.p, points(selected.measured))
        }
        _ => confirmation.reason.clone().unwrap_or_default(),
    };
    Some(Card { main: true, ..card(label, value, note) })
}

/// With how many trainings a candidate begins, and how many racing may give it.
fn seeds_text(seeds: &str, most: Option<usize>) -> String {
    // A list says which, a number how many.
    let first = seeds.parse().unwrap_or_else(|_| seeds.matches(',').count() + 1);
    match most {
        Some(most) if most > first => format!(" with {first} to {}", count(most, "seed")),
        _ => format!(" with {}", count(first, "seed")),
    }
}

/// How many rows have each status, in the order of the pipeline.
pub fn statuses(run: &Run) -> Vec<(String, usize)> {
    schemas::Status::ALL
        .iter()
        .map(|status| (status.to_string(), run.rows().iter().filter(|row| row.status == *status).count()))
        .filter(|(_, n)| *n > 0)
        .collect()
}

/// The settings that a reader needs to make sense of the numbers, in a sentence; empty without settings.
pub fn profile(run: &Run) -> String {
    let of = |key: &str| run.setting(key).map(String::from);
    let graphs = |key: &str| of(key).map_or(String::new(), |n| format!(" ({n} graphs)"));
    let mut parts = Vec::new();
    if let Some(hidden) = of("network.hidden") {
        parts.push(format!("hidden size {hidden}"));
    }
    if let Some(steps) = of("train.steps") {
        let most = of("train.max_seeds").and_then(|most| most.parse().ok());
        let seeds = of("train.seeds").map_or(String::new(), |seeds| seeds_text(&seeds, most));
        parts.push(format!("{steps} training steps{seeds}"));
    }
    if let Some(lengths) = of("train.lengths") {
        parts.push(format!("trained on N\u{a0}=\u{a0}{}", lengths.trim_matches(['[', ']'])));
    }
    if let Some(length) = of("score.ood_length") {
        parts.push(format!("chosen at N\u{a0}=\u{a0}{length}{}", graphs("score.ood_samples")));
    }
    if let Some(length) = of("score.test_length") {
        parts.push(format!("tested at N\u{a0}=\u{a0}{length}{}", graphs("score.test_samples")));
    }
    parts.join(", ")
}
