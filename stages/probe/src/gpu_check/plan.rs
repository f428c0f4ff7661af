//! What is measured, at which sizes, and how the time is shared out.

use std::time::Duration;

use anyhow::Result;
use network::{EvalConfig, TrainConfig};
use serde::{Deserialize, Serialize};
use stage::config::Config;

/// The paper's sizes: this program is to run without the repository.
const PROFILE: (&str, &str) = ("data/profiles/paper.toml", include_str!("../../../../data/profiles/paper.toml"));
/// Sizes that take no time, for trying it out.
const TINY: [&str; 8] = [
    "network.hidden=16",
    "train.lengths=[4, 5]",
    "train.batch_size=4",
    "train.steps=2",
    "train.val_length=4",
    "train.val_samples=4",
    "score.test_length=8",
    "score.test_samples=4",
];

/// The task.
pub const TASK: &str = "dfs";
/// Accuracy of the reference architecture in the literature, on the test split of 64 nodes, in percent, over seeds.
pub const PUBLISHED: (f64, f64) = (46.78, 3.85);

/// Sizes.
#[derive(Clone, Debug)]
pub struct Plan {
    config: Config,
    /// Reference cases of each kind.
    pub cases: usize,
    /// Training steps to take the median of.
    pub repeats: usize,
    pub repeats_on_cpu: usize,
    /// Numbers of trainings side by side, as processes and, where there are several, in the other ways.
    pub beside: &'static [usize],
    /// At the most, one after the other: a dry run has no need to fill the time.
    pub rounds: usize,
}

impl Plan {
    pub fn new(dry: bool) -> Result<Self> {
        let sets: Vec<String> = TINY.iter().filter(|_| dry).map(|set| (*set).to_owned()).collect();
        let config = Config::from_text(PROFILE.0, PROFILE.1, &sets)?;
        Ok(if dry {
            Self { config, cases: 2, repeats: 2, repeats_on_cpu: 1, beside: &[1, 2], rounds: 1 }
        } else {
            let (cases, rounds) = (usize::MAX, usize::MAX);
            Self { config, cases, repeats: 7, repeats_on_cpu: 3, beside: &[1, 2, 4, 8], rounds }
        })
    }

    /// The profile's training.
    pub fn training(&self, seed: u64) -> TrainConfig {
        train::settings(&self.config, TASK, seed)
    }

    /// The profile's test, which is the benchmark's.
    pub fn test(&self) -> Result<EvalConfig> {
        let score = &self.config.score;
        let test = EvalConfig::test(TASK, self.config.network.hidden)?;
        Ok(EvalConfig { length: score.test_length, samples: score.test_samples, batch_size: score.batch_size, ..test })
    }
}

/// Seconds that were measured before the training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Until a child is ready.
    pub start: f64,
    /// Seconds of a training step, the mean over all lengths.
    pub step: Option<f64>,
    /// Seconds of the test.
    pub test: Option<f64>,
    /// Seconds of a step at the longest length, by how trainings are side by side.
    pub beside: Vec<(Together, f64)>,
}

/// Trainings side by side on one GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Together {
    pub seeds: usize,
    pub way: Way,
}

/// How trainings run side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Each is a process.
    Processes,
    /// They are threads of one process, each with a stream of its own.
    Threads,
    /// They are one computation, with an axis for them.
    Batched,
}

impl Way {
    pub const ALL: [Self; 3] = [Self::Processes, Self::Threads, Self::Batched];

    /// The mode of its rows.
    pub fn mode(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Threads => "threads",
            Self::Batched => "batched seeds",
        }
    }

    /// How many of so many trainings are in one process.
    pub fn in_one(self, seeds: usize) -> usize {
        if self == Self::Processes { 1 } else { seeds }
    }
}

impl Together {
    /// A single one.
    pub const ALONE: Self = Self { seeds: 1, way: Way::Processes };
}

/// Trainings side by side on each GPU, and how many steps each takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    pub together: Together,
    pub steps: usize,
}

impl Measured {
    /// The most seeds that can be trained whole in this time; where not even one can, one with as many steps as fit. `None`
    /// where there is no time for a step.
    pub fn round(&self, left: Duration, steps: usize, every: usize) -> Option<Round> {
        let alone = Round { together: Together::ALONE, steps };
        // Without a measured step there is nothing to reckon with: it is tried, and ends with the time.
        let Some(step) = self.step else { return Some(alone) };
        let single = self.beside.iter().find(|(together, _)| *together == Together::ALONE).map(|(_, seconds)| *seconds);
        let fitting = |seeds: usize, slower: f64| {
            // Data, validations and what else the machine does: a tenth is not to be relied on.
            let time = 0.9 * left.as_secs_f64() - self.start - seeds as f64 * self.test.unwrap_or(0.0);
            ((time / (step * slower)).max(0.0) as usize).min(steps)
        };
        let whole = self.beside.iter().filter_map(|&(together, time)| Some((together, (time / single?).max(1.0))));
        let whole = whole.filter(|&(together, slower)| fitting(together.seeds, slower) >= steps);
        // The most of them, and of those in the way that is faster.
        let best = whole.max_by(|(x, x_time), (y, y_time)| x.seeds.cmp(&y.seeds).then(y_time.total_cmp(x_time)));
        if let Some((together, _)) = best {
            return Some(Round { together, steps });
        }
        let fits = fitting(1, 1.0);
        // Whole intervals between validations, where there are any.
        let rounded = if fits < steps && fits > every { fits - fits % every.max(1) } else { fits };
        (rounded > 0).then_some(Round { steps: rounded, ..alone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_those_of_the_paper() {
        let plan = Plan::new(false).expect("the profile is valid");
        let training = plan.training(3);
        assert_eq!((training.hidden, training.batch_size, training.steps, training.seed), (128, 32, 10_000, 3));
        assert_eq!(training.lengths, [4, 7, 11, 13, 16]);
        let test = plan.test().expect("the task exists");
        assert_eq!(test, EvalConfig::test(TASK, 128).expect("the task exists"), "the benchmark's own");
        let tiny = Plan::new(true).expect("the settings are valid").training(0);
        assert_eq!((tiny.hidden, tiny.steps, tiny.lengths), (16, 2, vec![4, 5]));
    }

    #[test]
    fn as_many_whole_trainings_as_fit_else_a_part_of_one() {
        let processes = |seeds: usize| Together { seeds, way: Way::Processes };
        let beside = vec![(Together::ALONE, 0.2), (processes(2), 0.3), (processes(4), 0.6)];
        let mut measured = Measured { start: 5.0, step: Some(0.1), test: Some(5.0), beside };
        let round = |measured: &Measured, seconds: u64| measured.round(Duration::from_secs(seconds), 1000, 50);
        let whole = |together: Together| Some(Round { together, steps: 1000 });
        let part = |steps: usize| Some(Round { together: Together::ALONE, steps });
        // one: 100 + 10 s, two: 150 + 15 s, four: 300 + 25 s, of nine tenths of the time
        assert_eq!(round(&measured, 400), whole(processes(4)));
        assert_eq!(round(&measured, 200), whole(processes(2)));
        assert_eq!(round(&measured, 130), whole(Together::ALONE));
        assert_eq!(round(&measured, 101), part(800));
        assert_eq!(round(&measured, 15), part(35));
        assert_eq!(round(&measured, 10), None);
        // Another way is preferred where it is faster, and not where it is slower.
        let threads = |seeds: usize| Together { seeds, way: Way::Threads };
        measured.beside.extend([(threads(2), 0.31), (threads(4), 0.3)]);
        assert_eq!(round(&measured, 400), whole(threads(4)));
        assert_eq!(round(&measured, 200), whole(threads(4)));
        assert_eq!(round(&measured, 190), whole(processes(2)));
        let nothing = Measured::default();
        assert_eq!(round(&nothing, 1), whole(Together::ALONE));
    }
}
