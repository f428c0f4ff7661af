//! Values that have the right type and still make no sense.

use super::{Config, ConfigError, EngineKind};

pub(super) fn validate(config: &Config) -> Result<(), ConfigError> {
    let c = config;
    let rules: &[(&str, bool, &str)] = &[
        ("task.algorithm", !c.task.algorithm.is_empty(), "name a CLRS algorithm"),
        ("network.hidden", (1..=4096).contains(&c.network.hidden), "it must be from 1 to 4096"),
        ("network.nb_msg_passing_steps", (1..=64).contains(&c.network.nb_msg_passing_steps), "it must be from 1 to 64"),
        ("network.hint_teacher_forcing", share(c.network.hint_teacher_forcing), "it must be from 0 to 1"),
        ("train.lengths", lengths(&c.train.lengths), "give at least one length, each at least 2"),
        ("train.batch_size", c.train.batch_size >= 1, "it must be at least 1"),
        ("train.steps", c.train.steps >= 1, "it must be at least 1"),
        ("train.learning_rate", positive(c.train.learning_rate), "it must be above 0"),
        ("train.grad_clip", c.train.grad_clip >= 0.0, "it must be 0 or more"),
        ("train.seeds", c.train.seeds.sound(), SEEDS),
        ("train.max_seeds", (1..=1000).contains(&c.train.max_seeds), "it must be from 1 to 1000"),
        ("train.val_length", c.train.val_length >= 2, "it must be at least 2"),
        ("train.val_samples", c.train.val_samples >= 1, "it must be at least 1"),
        ("train.val_every", c.train.val_every >= 1, "it must be at least 1"),
        ("train.rungs", rungs(&c.train.rungs), "give steps in ascending order, each at least 1"),
        ("train.keep", share(c.train.keep) && c.train.keep > 0.0, "it must be above 0 and at most 1"),
        ("train.checkpoint_s", c.train.checkpoint_s.is_finite() && c.train.checkpoint_s >= 0.0, "it must be 0 or more"),
        ("train.threads", (1..=1024).contains(&c.train.threads), "it must be from 1 to 1024"),
        ("train.together", (1..=64).contains(&c.train.together), "it must be from 1 to 64"),
        ("train.device", device(&c.train.device), "it must be auto, cpu, cuda or cuda:K"),
        ("engine.poll_s", positive(c.engine.poll_s), "it must be above 0"),
        ("engine.losses", (1..=100).contains(&c.engine.losses), "it must be from 1 to 100"),
        (
            "engine.command",
            c.train.engine != EngineKind::Command
                || [&c.engine.command.submit, &c.engine.command.status]
                    .iter()
                    .all(|command| !command.trim().is_empty()),
            "with train.engine = \"command\", give the commands submit and status",
        ),
        ("score.ood_length", c.score.ood_length >= 2, "it must be at least 2"),
        ("score.ood_samples", c.score.ood_samples >= 1, "it must be at least 1"),
        ("score.test_length", c.score.test_length >= 2, "it must be at least 2"),
        ("score.test_samples", c.score.test_samples >= 1, "it must be at least 1"),
        ("score.batch_size", c.score.batch_size >= 1, "it must be at least 1"),
        ("search.attempts", c.search.attempts >= 1, "it must be at least 1"),
        ("search.generation_size", c.search.generation_size >= 1, "it must be at least 1"),
        ("search.islands", c.search.islands >= 1, "it must be at least 1"),
        ("search.archive_size", c.search.archive_size >= 1, "it must be at least 1"),
        ("search.migration_rate", share(c.search.migration_rate), "it must be from 0 to 1"),
        ("search.exploration", share(c.search.exploration), "it must be from 0 to 1"),
        ("search.exploitation", share(c.search.exploitation), "it must be from 0 to 1"),
        (
            "search.exploitation",
            c.search.exploration + c.search.exploitation <= 1.0 + 1e-9,
            "together with search.exploration it must not exceed 1",
        ),
        (
            "search.features",
            features(&c.search.features),
            "name some of fitness, params, macs and distance, none twice, or auto alone",
        ),
        ("search.bins", c.search.bins >= 1, "it must be at least 1"),
        ("search.target", c.search.target.is_finite() && c.search.target >= 0.0, "it must be 0 or more"),
        ("evoprompting.parents", c.evoprompting.parents >= 1, "it must be at least 1"),
        ("evoprompting.shots", c.evoprompting.shots >= 1, "it must be at least 1"),
        ("evoprompting.threshold", share(c.evoprompting.threshold), "it must be from 0 to 1"),
        ("evoprompting.target_size", positive(c.evoprompting.target_size), "it must be above 0"),
        ("evoprompting.target_accuracy", positive(c.evoprompting.target_accuracy), "it must be above 0"),
        ("funsearch.temperature", positive(c.funsearch.temperature), "it must be above 0"),
        ("funsearch.period", c.funsearch.period >= 1, "it must be at least 1"),
        ("funsearch.versions", c.funsearch.versions >= 1, "it must be at least 1"),
        ("eoh.population", c.eoh.population >= 1, "it must be at least 1"),
        ("eoh.parents", c.eoh.parents >= 1, "it must be at least 1"),
        ("confirm.choosing", (1..=1000).contains(&c.confirm.choosing), "it must be from 1 to 1000"),
        ("confirm.seeds", c.confirm.seeds.sound(), SEEDS),
        ("transfer.tasks", !c.transfer.tasks.is_empty(), "name at least one task"),
        ("transfer.seeds", distinct(&c.transfer.seeds), "give at least one seed, none twice"),
        ("transfer.lengths", lengths(&c.transfer.lengths), "give at least one length, each at least 2"),
        ("transfer.steps", c.transfer.steps >= 1, "it must be at least 1"),
        (
            "transfer.overrides",
            c.transfer.overrides.values().all(|of_task| {
                of_task.lengths.as_deref().is_none_or(lengths)
                    && of_task.steps.is_none_or(|steps| steps >= 1)
                    && of_task.learning_rate.is_none_or(positive)
            }),
            "lengths must be at least 2, steps at least 1, learning rates above 0",
        ),
        ("transfer.test_length", c.transfer.test_length >= 2, "it must be at least 2"),
        ("transfer.test_samples", c.transfer.test_samples >= 1, "it must be at least 1"),
    ];
    match rules.iter().find(|(_, holds, _)| !holds) {
        None => names(config),
        Some((key, _, message)) => Err(ConfigError::Value {
            origin: config.origin(key),
            key: (*key).to_owned(),
            message: match config.value(key) {
                Some(value) => format!("{message}: {value}"),
                None => (*message).to_owned(),
            },
        }),
    }
}

/// The search methods; a test of `propose` holds this list against theirs.
pub const METHODS: [&str; 12] = [
    "spark",
    "asr-only",
    "rc-sar-only",
    "free-form",
    "openevolve",
    "evoprompting",
    "funsearch",
    "eoh",
    "random-router",
    "iid",
    "sequential",
    "random",
];

/// What writes programs.
pub const PROPOSERS: [&str; 3] = ["builtin", "openai", "replay"];

/// Names of what there is: a misspelt one is found before any work, and not by the first stage that looks for it.
fn names(config: &Config) -> Result<(), ConfigError> {
    let wrong = |key: &str, message: String| {
        Err(ConfigError::Value { origin: config.origin(key), key: key.to_owned(), message })
    };
    if let Err(error) = clrs::find_algorithm(&config.task.algorithm) {
        return wrong("task.algorithm", error.to_string());
    }
    let lists = [
        ("search.method", "method", &config.search.method, &METHODS[..]),
        ("propose.proposer", "proposer", &config.propose.proposer, &PROPOSERS[..]),
    ];
    for (key, what, name, known) in lists {
        if !known.contains(&name.as_str()) {
            let near = crate::nearest(name, known.iter().copied());
            let near = near.map_or_else(String::new, |known| format!("did you mean `{known}`? "));
            return wrong(key, format!("there is no {what} `{name}`; {near}known are {}", known.join(", ")));
        }
    }
    Ok(())
}

/// What seeds must be.
const SEEDS: &str = "give a number from 1 to 1000, or a list of at least one seed below 2^53, none twice";

fn share(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

fn positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

fn lengths(lengths: &[usize]) -> bool {
    !lengths.is_empty() && lengths.iter().all(|&length| length >= 2)
}

fn rungs(rungs: &[usize]) -> bool {
    rungs.iter().all(|&rung| rung >= 1) && rungs.windows(2).all(|pair| pair[0] < pair[1])
}

fn distinct(seeds: &[u64]) -> bool {
    let mut sorted = seeds.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    !seeds.is_empty() && sorted.len() == seeds.len()
}

fn features(names: &[String]) -> bool {
    let known = |name: &String| ["fitness", "params", "macs", "distance"].contains(&name.as_str());
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    names == ["auto"] || (names.iter().all(known) && sorted.len() == names.len())
}

fn device(name: &str) -> bool {
    let index = name.strip_prefix("cuda:");
    matches!(name, "auto" | "cpu" | "cuda") || index.is_some_and(|index| index.parse::<u32>().is_ok())
}
