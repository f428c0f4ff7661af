//! How long a search will still take, by what its stages have cost so far.

use super::{Counts, Record};
use crate::Config;

/// A kind of work that takes time in proportion to the number of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Propose,
    Train,
    Score,
}

impl Work {
    fn of(label: &str) -> Option<Self> {
        match label {
            "propose" => Some(Self::Propose),
            _ if label.contains("score") => Some(Self::Score),
            _ if label.starts_with("train") || label.starts_with("race") || label.starts_with("confirm") => {
                Some(Self::Train)
            }
            _ => None,
        }
    }
}

/// How many trainings there are, or evaluations of what was trained.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Each candidate's first ones.
    pub first: f64,
    /// Trainings of racing.
    pub racing: f64,
    /// Trainings of the confirmation.
    pub confirming: f64,
}

impl Load {
    /// What is left at most after so many generations: every proposal is admitted, every round of racing has half of those before
    /// it, and the gain is confirmed.
    pub fn left(config: &Config, generations: u32) -> Self {
        let search = &config.search;
        let mut left = Self::default();
        for generation in generations..=search.last_generation() {
            let proposals = search.share(generation);
            let limited = generation > 0 && search.evaluations > 0;
            let proposals = if limited { proposals.min(search.evaluations) } else { proposals };
            left.first += (proposals * config.train.seeds.count()) as f64;
        }
        // The last generation with trainings may still race, as all after it.
        for generation in generations.saturating_sub(1)..=search.last_generation() {
            let mut racing = search.share(generation);
            for _ in 0..config.train.races() {
                racing = racing.div_ceil(2);
                left.racing += racing as f64;
            }
        }
        let confirm = &config.confirm;
        if confirm.top > 0 {
            let choosing = if confirm.top > 1 { confirm.top * confirm.choosing } else { 0 };
            left.confirming = (choosing + 2 * confirm.seeds.count()) as f64;
        }
        left
    }

    /// How many there are in all.
    pub fn all(self) -> usize {
        (self.first + self.racing + self.confirming).round() as usize
    }

    /// Seconds, where one takes `each` and so many may run at a time: a generation has only so many, and racing half of them.
    pub fn seconds(self, config: &Config, each: f64, at_once: usize) -> f64 {
        let most = at_once.max(1) as f64;
        let wide = config.search.generation_size.saturating_mul(config.search.lag + 1);
        let of = |trainings: f64, wide: usize| trainings / most.min(wide.max(1) as f64);
        each * (of(self.first, wide * config.train.seeds.count())
            + of(self.racing, wide.div_ceil(2))
            + self.confirming / most)
    }

    fn part(&mut self, label: &str) -> &mut f64 {
        if label.starts_with("confirm") {
            &mut self.confirming
        } else if label.contains("race") {
            &mut self.racing
        } else {
            &mut self.first
        }
    }
}

/// What is known of a kind of work.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    /// Seconds that the processes took, summed.
    seconds: f64,
    /// Items that took this time.
    fresh: usize,
    done: Load,
    /// Items of generations that are done, apart from that of the seed program.
    of_generations: Load,
}

/// Seconds until the whole search is done. `None` as long as nothing of a kind that is to come has been measured.
pub fn left(config: &Config, counts: &Counts, record: &Record, time: f64) -> Option<f64> {
    if record.done {
        return Some(0.0);
    }
    let mut seconds = 0.0;
    for work in [Work::Train, Work::Score] {
        let sum = sum(counts, record, work, time);
        let mut left = remaining(config, counts, &sum);
        if let Some(now) = record.now.as_ref().filter(|now| Work::of(&now.label) == Some(work)) {
            let part = left.part(&now.label);
            *part = part.max(now.length.saturating_sub(now.done) as f64);
        }
        if left.all() > 0 {
            seconds += left.seconds(config, rate(sum)?, record.at_once);
        }
    }
    let proposing = sum(counts, record, Work::Propose, time);
    if let Some(rate) = rate(proposing) {
        seconds += rate * counts.of.saturating_sub(counts.attempts) as f64;
    }
    Some(seconds)
}

/// Seconds of an item, side by side or not: the time of a stage by its items.
pub fn pace(counts: &Counts, record: &Record, time: f64) -> Option<f64> {
    let now = record.now.as_ref()?;
    let fresh = now.done.saturating_sub(now.free);
    if fresh > 0 {
        return Some((time - now.began).max(0.0) / fresh as f64);
    }
    let each = rate(sum(counts, record, Work::of(&now.label)?, time))?;
    Some(each / record.at_once.clamp(1, now.length.max(1)) as f64)
}

fn rate(sum: Sum) -> Option<f64> {
    (sum.fresh > 0).then(|| sum.seconds / sum.fresh as f64)
}

fn sum(counts: &Counts, record: &Record, work: Work, time: f64) -> Sum {
    let mut sum = Sum::default();
    let side_by_side =
        |fresh: usize| if work == Work::Propose { 1 } else { record.at_once.clamp(1, fresh.max(1)) } as f64;
    for cost in record.costs.iter().filter(|cost| Work::of(&cost.label) == Some(work)) {
        let fresh = cost.items.saturating_sub(cost.free);
        // Rounds of racing name what was trained before, too.
        let items = if cost.label.contains("race") { fresh } else { cost.items };
        *sum.done.part(&cost.label) += items as f64;
        if fresh > 0 {
            sum.fresh += fresh;
            sum.seconds += cost.seconds * side_by_side(fresh);
        }
        if cost.generation.is_some_and(|generation| generation > 0 && generation < counts.generation) {
            *sum.of_generations.part(&cost.label) += items as f64;
        }
    }
    if let Some(now) = record.now.as_ref().filter(|now| Work::of(&now.label) == Some(work)) {
        let fresh = now.done.saturating_sub(now.free);
        *sum.done.part(&now.label) += now.done as f64;
        if fresh > 0 {
            sum.fresh += fresh;
            sum.seconds += (time - now.began).max(0.0) * side_by_side(fresh);
        }
    }
    sum
}

/// Items that the search has still to come: by what its generations so far had of them, else by the settings.
fn remaining(config: &Config, counts: &Counts, sum: &Sum) -> Load {
    let mut all = Load::left(config, 0);
    let so_far = |generation: &u32| *generation > 0 && *generation < counts.generation;
    let done: usize =
        counts.by_generation.iter().filter(|(number, _)| so_far(number)).map(|(_, attempts)| attempts).sum();
    if done > 0 && sum.of_generations.all() > 0 {
        // That of the seed program apart.
        let later = Load::left(config, 1);
        let whole = counts.of as f64 / done as f64;
        all.first += sum.of_generations.first * whole - later.first;
        all.racing += sum.of_generations.racing * whole - later.racing;
    }
    let less = |all: f64, done: f64| (all - done).max(0.0);
    Load {
        first: less(all.first, sum.done.first),
        racing: less(all.racing, sum.done.racing),
        confirming: less(all.confirming, sum.done.confirming),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cost, Now};
    use super::*;

    fn cost(label: &str, generation: u32, items: usize, seconds: f64) -> Cost {
        Cost { label: label.into(), generation: Some(generation), items, free: 0, seconds }
    }

    /// 4 generations of 8 attempts with one training each, and a confirmation of 4 x 2 + 2 x 4 trainings.
    fn config() -> Config {
        let sets = [
            "search.attempts=32 search.generation_size=8 train.seeds=1 train.max_seeds=1",
            "confirm.top=4 confirm.choosing=2 confirm.seeds=4",
        ]
        .map(str::to_owned);
        Config::load(None, &sets, &[]).expect("settings")
    }

    #[test]
    fn nothing_is_said_before_anything_was_measured() {
        let counts = Counts { of: 32, generations: 4, ..Counts::default() };
        assert_eq!(left(&config(), &counts, &Record::default(), 0.0), None);
        let from_cache = Cost { free: 1, ..cost("train", 0, 1, 0.1) };
        let record = Record { costs: vec![from_cache, cost("score", 0, 1, 2.0)], ..Record::default() };
        assert_eq!(left(&config(), &counts, &record, 0.0), None, "what came from the cache says nothing about time");
        assert_eq!(left(&config(), &counts, &Record { done: true, ..record }, 0.0), Some(0.0));
    }

    #[test]
    fn the_first_training_gives_a_first_estimate_and_generations_a_better_one() {
        let counts = Counts { of: 32, generations: 4, ..Counts::default() };
        let mut record =
            Record { costs: vec![cost("train", 0, 1, 10.0), cost("score", 0, 1, 1.0)], ..Record::default() };
        // 32 attempts and 16 trainings of the confirmation, at 11 s each.
        assert_eq!(left(&config(), &counts, &record, 0.0), Some(48.0 * 11.0));
        // Half of a generation's attempts were trained: so it will be with the others.
        let counts = Counts { generation: 2, attempts: 16, by_generation: [(1, 8), (2, 8)].into(), ..counts };
        record.costs.extend([cost("train", 1, 4, 40.0), cost("score", 1, 4, 4.0)]);
        let expected = (1.0 + 32.0 * 0.5 + 16.0 - 5.0) * 11.0;
        assert_eq!(left(&config(), &counts, &record, 0.0), Some(expected));
        // The stage at work: two of its four are done, in 20 s.
        record.now = Some(Now {
            label: "train".into(),
            generation: Some(2),
            length: 4,
            done: 2,
            free: 0,
            began: 100.0,
            ..Now::default()
        });
        let later = left(&config(), &counts, &record, 120.0).expect("measured");
        assert!((later - (expected - 20.0)).abs() < 1e-9, "{later}");
        assert_eq!(pace(&counts, &record, 120.0), Some(10.0));
    }

    #[test]
    fn trainings_are_counted_to_the_end() {
        let sets =
            ["search.attempts=7", "search.generation_size=4", "confirm.top=2", "confirm.choosing=3", "confirm.seeds=5"];
        let config = |more: &[&str]| {
            let sets: Vec<String> = sets.iter().chain(more).map(|set| (*set).to_owned()).collect();
            Config::load(None, &sets, &[]).expect("settings")
        };
        let left = |more: &[&str], generations| Load::left(&config(more), generations).all();
        // Seven candidates; 2 x 3 + 2 x 5 to confirm.
        assert_eq!(left(&[], 1), 7 + 16);
        assert_eq!(left(&[], 0), 8 + 16);
        assert_eq!(left(&["train.seeds=2"], 1), 14 + 16);
        // One of the seed program; 2 and 1 of four, 2 and 1 of three.
        assert_eq!(left(&["train.max_seeds=3"], 1), 7 + 16 + 2 + 3 + 3);
        assert_eq!(left(&["confirm.top=0"], 2), 3);
        assert_eq!(left(&["confirm.top=0"], 3), 0);
        assert_eq!(left(&["confirm.top=1"], 3), 10);
    }

    #[test]
    fn a_generation_of_one_trains_one_at_a_time_and_the_confirmation_more() {
        let config = |size: usize| config().changed(|settings| settings.search.generation_size = size);
        let load = Load { first: 32.0, racing: 8.0, confirming: 16.0 };
        assert_eq!(load.seconds(&config(8), 10.0, 1), 560.0);
        assert_eq!(load.seconds(&config(8), 10.0, 4), 140.0);
        assert_eq!(load.seconds(&config(1), 10.0, 4), 440.0);
        assert_eq!(load.seconds(&config(4), 10.0, 4), 80.0 + 40.0 + 40.0);
    }

    #[test]
    fn what_ran_alone_says_how_long_several_side_by_side_take() {
        let counts = Counts { of: 32, generations: 4, ..Counts::default() };
        let costs = vec![cost("train", 0, 1, 10.0), cost("score", 0, 1, 1.0)];
        let record = Record { costs, at_once: 2, ..Record::default() };
        assert_eq!(left(&config(), &counts, &record, 0.0), Some(24.0 * 11.0));
        // Two at a time, eight took 40 s: ten each.
        let record = Record { costs: vec![cost("train", 1, 8, 40.0), cost("score", 1, 8, 4.0)], ..record };
        assert_eq!(left(&config(), &counts, &record, 0.0), Some(41.0 / 2.0 * 11.0));
    }

    #[test]
    fn every_label_of_a_search_is_a_kind_of_work() {
        for label in ["train", "train to step 50", "race 2", "confirm: choose", "confirm: report"] {
            assert_eq!(Work::of(label), Some(Work::Train), "{label}");
        }
        for label in ["score", "score of race 1", "confirm: score"] {
            assert_eq!(Work::of(label), Some(Work::Score), "{label}");
        }
        assert_eq!((Work::of("propose"), Work::of("sample")), (Some(Work::Propose), None));
    }
}
