//! One training: what it is given, what comes back, and the key under which that is kept.

use model::TrainConfig;
use serde::{Deserialize, Serialize};
use stage::Machine;
use stage::config::{self, Config};
use stage::job::Work;

use crate::Program;

/// Hash of the sources of data, graph and network: results of other code are other results.
pub const CODE_VERSION: &str = env!("CODE_VERSION");

pub use stage::cache::hash;
pub use stage::cache::weights::WEIGHTS;

/// The files that a training leaves.
pub const FILES: &[&str] = &[WEIGHTS, crate::curves::CURVE];

/// What a child is to train.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub source: String,
    pub config: TrainConfig,
    /// Results do not depend on it.
    pub threads: usize,
    /// Whether a GPU's work is recorded.
    pub graphs: bool,
    /// `cpu`, `cuda:0`, ...
    pub device: String,
    /// What its model's name must have in it, see `train.device_model`.
    #[serde(default)]
    pub device_model: String,
    /// Seconds between two checkpoints; 0 for none. Results do not depend on it.
    pub checkpoint_s: f64,
    /// Trainings that run as one computation, this one among them.
    #[serde(default = "alone")]
    pub together: usize,
}

fn alone() -> usize {
    1
}

/// What a training came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Best accuracy on the validation split.
    pub val_acc: f64,
    /// At the last step.
    pub loss: f64,
    pub steps: usize,
    pub device: String,
    pub seconds: f64,
    pub peak_rss_mb: f64,
    /// Where it was made.
    #[serde(default)]
    pub machine: Machine,
}

/// The seed of a candidate's training at this place, from 0: as it is set, else drawn for this run, candidate and place.
pub fn seed(config: &Config, candidate_id: &str, index: usize) -> u64 {
    let drawn = || race::seeds::training(config.search.seed, candidate_id, index);
    config.train.seeds.given(index).unwrap_or_else(drawn)
}

/// The seeds of the trainings that a candidate begins with.
pub fn seeds(config: &Config, candidate_id: &str) -> Vec<u64> {
    (0..config.train.seeds.count()).map(|index| seed(config, candidate_id, index)).collect()
}

/// The kind of a device, `cpu` or `cuda`: which of several equal ones it was does not matter.
pub fn kind(device: &str) -> &str {
    device.split(':').next().unwrap_or(device)
}

/// What tells results apart beside their settings: the kind of the device, and its model where one is wanted.
pub fn computed_on(train: &config::Train, device: &str) -> String {
    match train.device_model.trim() {
        "" => kind(device).to_owned(),
        model => format!("{} {}", kind(device), model.to_lowercase()),
    }
}

/// The network's settings for a training of this algorithm with this seed.
pub fn settings(config: &Config, algorithm: &str, seed: u64) -> TrainConfig {
    let (network, train) = (&config.network, &config.train);
    let settings = TrainConfig {
        algorithm: algorithm.to_owned(),
        hidden: network.hidden,
        lengths: train.lengths.clone(),
        batch_size: train.batch_size,
        steps: train.steps,
        learning_rate: train.learning_rate,
        grad_clip: train.grad_clip,
        seed,
        hint_teacher_forcing: network.hint_teacher_forcing,
        hint_repred_mode: network.hint_repred_mode,
        nb_msg_passing_steps: network.nb_msg_passing_steps,
        val_length: train.val_length,
        val_samples: train.val_samples,
        val_every: train.val_every,
        dtype: network.dtype,
    };
    as_the_benchmark(settings)
}

/// What the benchmark's own trainer does differently for some algorithms: lengths of strings ([`clrs::Algorithm`]), and
/// accuracies that are made of few values a sample, which are taken over more samples.
pub fn as_the_benchmark(mut settings: TrainConfig) -> TrainConfig {
    if let Some(algorithm) = clrs::algorithm(&settings.algorithm) {
        settings.lengths = algorithm.training_lengths(&settings.lengths);
        settings.val_length = algorithm.validation_length(settings.val_length);
        settings.val_samples *= algorithm.samples_multiplier;
    }
    settings
}

/// The trainings of a program, in their order: as many of them as `train.together` says run as one computation. `train` says how
/// they run otherwise.
pub fn works(program: &Program, settings: &[TrainConfig], train: &config::Train, device: &str) -> Vec<Work<Job>> {
    let of = |part: &[TrainConfig]| {
        let one = |config: &TrainConfig| work(program, config.clone(), train, device, part.len());
        part.iter().map(one).collect::<Vec<_>>()
    };
    settings.chunks(train.together.max(1)).flat_map(of).collect()
}

/// The trainings of a candidate. Those that it begins with run together as [`works`] has it; each further one has come for itself.
pub fn works_of_candidate(
    program: &Program,
    settings: &[TrainConfig],
    train: &config::Train,
    device: &str,
) -> Vec<Work<Job>> {
    let (first, further) = settings.split_at(train.seeds.count().min(settings.len()));
    let mut all = works(program, first, train, device);
    all.extend(further.iter().map(|config| work(program, config.clone(), train, device, 1)));
    all
}

/// A training of a program with its key, one of so many that run together.
fn work(program: &Program, config: TrainConfig, train: &config::Train, device: &str, together: usize) -> Work<Job> {
    // Names of parameters key their random streams, and the weights' file is read back by name.
    let depends = (CODE_VERSION, &program.graph_hash, &program.params, &config, computed_on(train, device));
    let key = match together {
        0 | 1 => hash(&depends),
        // Sums are taken in another order.
        several => hash(&(depends, "together", several)),
    };
    let label = format!("{} {} seed {}", program.label, config.algorithm, config.seed);
    let (source, device) = (program.source.clone(), device.to_owned());
    let (threads, graphs, checkpoint_s) = (train.threads, train.graphs, train.checkpoint_s);
    let device_model = train.device_model.clone();
    let job = Job { source, config, threads, graphs, device, device_model, checkpoint_s, together };
    Work { key, label, weight: 1.0, job }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Program {
        let params = vec![("t_1.weight".to_owned(), vec![8, 8])];
        Program { label: "p".into(), source: "s".into(), graph_hash: "g".into(), params, candidate: Default::default() }
    }

    fn key(change: impl FnOnce(&mut Program, &mut TrainConfig, &mut config::Train, &mut &str)) -> String {
        let (mut program, mut train, mut device) = (program(), Config::default().train.clone(), "cpu");
        let mut config = settings(&Config::default(), "dfs", 0);
        change(&mut program, &mut config, &mut train, &mut device);
        work(&program, config, &train, device, 1).key
    }

    #[test]
    fn trainings_are_together_as_they_are_set_and_as_they_come() {
        let (program, config) = (program(), Config::default());
        let settings: Vec<_> = (0..5).map(|seed| settings(&config, "dfs", seed)).collect();
        let set = |together: usize, seeds: usize| config::Train {
            together,
            seeds: config::Seeds::Count(seeds),
            ..config.train.clone()
        };
        let of = |works: Vec<Work<Job>>| works.iter().map(|work| work.job.together).collect::<Vec<_>>();
        assert_eq!(of(works(&program, &settings, &set(1, 1), "cpu")), [1; 5]);
        assert_eq!(of(works(&program, &settings, &set(3, 1), "cpu")), [3, 3, 3, 2, 2]);
        assert_eq!(of(works(&program, &settings[..4], &set(3, 1), "cpu")), [3, 3, 3, 1]);
        assert_eq!(of(works_of_candidate(&program, &settings, &set(3, 2), "cpu")), [2, 2, 1, 1, 1]);
        let key = |together: usize| works(&program, &settings, &set(together, 1), "cpu")[0].key.clone();
        assert_eq!(key(1), work(&program, settings[0].clone(), &config.train, "cpu", 1).key);
        assert!(key(2) != key(1) && key(3) != key(2));
    }

    #[test]
    fn strings_have_a_length_of_their_own_and_few_values_more_samples() {
        let config = Config::load(None, &["train.lengths=[4, 7, 16]".into(), "train.val_length=16".into()], &[]);
        let config = config.expect("valid");
        let of = |algorithm| {
            let settings = settings(&config, algorithm, 0);
            (settings.lengths, settings.val_length, settings.val_samples)
        };
        assert_eq!(of("dfs"), (vec![4, 7, 16], 16, 32));
        assert_eq!(of("kmp_matcher"), (vec![20], 20, 64 * 32));
        assert_eq!(of("binary_search"), (vec![4, 7, 16], 16, 64 * 32));
    }

    #[test]
    fn seeds_are_drawn_for_run_and_candidate_or_are_as_they_are_set() {
        let config = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            Config::load(None, &sets, &[]).expect("valid")
        };
        let (drawn, other) = (config(&["train.seeds=2"]), config(&["train.seeds=2", "search.seed=1"]));
        let all = [seeds(&drawn, "a"), seeds(&drawn, "b"), seeds(&other, "a")].concat();
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 6, "{all:?}");
        assert_eq!(seeds(&drawn, "a"), [seed(&drawn, "a", 0), seed(&drawn, "a", 1)]);
        let given = config(&["train.seeds=[7, 5]"]);
        assert_eq!((seeds(&given, "a"), seeds(&given, "b")), (vec![7, 5], vec![7, 5]));
        assert_eq!(seed(&given, "a", 2), seed(&drawn, "a", 2), "behind the list they are drawn");
    }

    #[test]
    fn the_key_holds_what_results_depend_on_and_nothing_else() {
        let same = key(|_, _, _, _| {});
        assert_eq!(same.len(), 32);
        assert_eq!(key(|p, _, _, _| p.source = "# a comment\ns".into()), same);
        assert_eq!(key(|p, _, _, _| p.label = "q".into()), same);
        assert_eq!(key(|_, _, t, _| t.checkpoint_s = 1.0), same);
        assert_eq!(key(|_, _, t, _| t.threads = 2), same);
        let mut others = vec![
            same,
            key(|p, _, _, _| p.graph_hash = "h".into()),
            key(|p, _, _, _| p.params[0].0 = "t_2.weight".into()),
            key(|_, c, _, _| c.seed = 1),
            key(|_, c, _, _| c.steps += 1),
            key(|_, c, _, _| c.algorithm = "bfs".into()),
            key(|_, c, _, _| c.lengths.push(9)),
            key(|_, c, _, _| c.dtype = graph::Dtype::F64),
            key(|_, _, _, d| *d = "cuda:0"),
        ];
        assert_eq!(key(|_, _, _, d| *d = "cuda:1"), others[8]);
        others.push(key(|_, _, t, d| (*d, t.device_model) = ("cuda:0", "H100".into())));
        assert_eq!(key(|_, _, t, d| (*d, t.device_model) = ("cuda:1", " h100".into())), others[9]);
        others.push(key(|_, _, t, _| t.device_model = "H100".into()));
        let all = others.len();
        others.sort();
        others.dedup();
        assert_eq!(others.len(), all);
    }
}
