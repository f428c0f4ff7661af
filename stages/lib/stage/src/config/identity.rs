//! Which settings make results comparable: digests of those that a stage depends on, and differences between two sets.

use std::fmt;

use schemas::Stage;
use toml::Value;

use super::{Class, Config, ConfigError, KEYS, Key, Origin, Search, Settings, Train, validate};

/// The sections whose settings bear on what a stage makes.
pub fn bears_on(stage: Stage) -> &'static [&'static str] {
    match stage {
        Stage::Propose => {
            &["task", "network", "train", "score", "search", "evoprompting", "funsearch", "eoh", "propose", "llm"]
        }
        Stage::Check => &["task", "network", "train", "score", "propose"],
        Stage::Train => &["task", "network", "train"],
        Stage::Score => &["task", "network", "train", "score"],
        Stage::Select => &["task", "score", "search"],
        Stage::Confirm => &["task", "network", "train", "score", "confirm"],
        Stage::Transfer => &["task", "network", "train", "score", "transfer"],
    }
}

/// Whether a setting bears on what a stage makes. Seeds of trainings and graphs are drawn from the run's; of the search,
/// `check` sees the space alone.
fn depends(stage: Stage, key: &Key) -> bool {
    let drawing = matches!(stage, Stage::Train | Stage::Score | Stage::Confirm) && key.path() == "search.seed";
    let space = stage == Stage::Check && key.path() == "search.editable";
    bears_on(stage).contains(&key.section) || drawing || space
}

impl Search {
    /// How many proposals a generation has, of all that the search may make: generation 0 is the seed program alone.
    pub fn share(&self, generation: u32) -> usize {
        match usize::try_from(generation) {
            Ok(0) => 1,
            Ok(later) => {
                let before = (later - 1).saturating_mul(self.generation_size);
                self.attempts.saturating_sub(before).min(self.generation_size)
            }
            Err(_) => 0,
        }
    }

    /// The last generation that has proposals.
    pub fn last_generation(&self) -> u32 {
        u32::try_from(self.attempts.div_ceil(self.generation_size.max(1))).unwrap_or(u32::MAX)
    }
}

impl Train {
    /// Rounds of racing after a candidate's first trainings.
    pub fn races(&self) -> usize {
        self.max_seeds.saturating_sub(self.seeds.count())
    }
}

/// A key that has two values.
#[derive(Clone, Debug)]
pub struct Difference {
    pub key: &'static Key,
    pub before: Option<Value>,
    pub now: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "not set".to_owned(), Value::to_string);
        write!(f, "{}: {} before, {} now", self.key.path(), text(&self.before), text(&self.now))
    }
}

impl Config {
    /// A digest of the settings of the experiment that a stage depends on.
    ///
    /// Defaults do not count, so that a key which a later version adds changes no digest. Neither do two settings that
    /// say less than what they stand for: the number of proposals, of which each generation has its share, and the path
    /// of the seed program. Whoever depends on those records the share and the program's own digest.
    pub fn digest(&self, stage: Stage) -> String {
        let default = Self::default();
        let mut hasher = blake3::Hasher::new();
        for key in KEYS.iter().filter(|key| depends(stage, key) && counts(stage, key)) {
            let value = self.value(&key.path());
            if value != default.value(&key.path()) {
                let value = value.map_or_else(String::new, |value| value.to_string());
                hasher.update(format!("{} = {value}\n", key.path()).as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The keys whose values are not those of `before`.
    pub fn differences(&self, before: &Self) -> Vec<Difference> {
        let differs = |key: &'static Key| {
            let (before, now) = (before.value(&key.path()), self.value(&key.path()));
            (before != now).then_some(Difference { key, before, now })
        };
        KEYS.iter().filter_map(differs).collect()
    }

    /// These settings with another value of one key; `None`: not set.
    pub fn with(&self, key: &Key, value: Option<Value>, origin: Origin) -> Result<Self, ConfigError> {
        let wrong = |message: String| ConfigError::Value { origin: origin.clone(), key: key.path(), message };
        let mut table = toml::Table::try_from(&self.settings).map_err(|error| wrong(error.to_string()))?;
        if let Some(section) = table.get_mut(key.section).and_then(Value::as_table_mut) {
            match value {
                Some(value) => section.insert(key.name.to_owned(), value),
                None => section.remove(key.name),
            };
        }
        let settings: Settings =
            table.try_into().map_err(|error: toml::de::Error| wrong(error.message().to_owned()))?;
        let mut config = Self { settings, origins: self.origins.clone() };
        config.origins.insert(key.path(), origin);
        validate::validate(&config)?;
        Ok(config)
    }
}

/// How much is confirmed may change while a run goes on, and then it is confirmed again.
fn counts(stage: Stage, key: &Key) -> bool {
    let confirming = stage == Stage::Confirm && key.section == "confirm";
    (key.class == Class::Experiment || confirming)
        && !["search.attempts", "propose.program"].contains(&key.path().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[&str]) -> Config {
        Config::load(None, &sets.iter().map(|set| (*set).to_owned()).collect::<Vec<_>>(), &[]).expect("valid")
    }

    #[test]
    fn what_a_stage_does_not_depend_on_leaves_its_digest() {
        let plain = config(&[]).digest(Stage::Train);
        for same in ["train.jobs=3", "train.device=cpu", "llm.jobs=2", "score.ood_length=13", "train.steps=120"] {
            assert_eq!(config(&[same]).digest(Stage::Train), plain, "{same}");
        }
        assert_eq!(config(&["search.attempts=99"]).digest(Stage::Propose), config(&[]).digest(Stage::Propose));
        for other in
            ["train.steps=121", "network.hidden=33", "task.algorithm=bfs", "train.max_seeds=3", "search.seed=1"]
        {
            assert_ne!(config(&[other]).digest(Stage::Train), plain, "{other}");
        }
        assert_ne!(config(&["search.editable=file"]).digest(Stage::Check), config(&[]).digest(Stage::Check));
        assert_eq!(config(&["search.islands=7"]).digest(Stage::Check), config(&[]).digest(Stage::Check));
        assert_ne!(config(&["score.ood_length=13"]).digest(Stage::Score), config(&[]).digest(Stage::Score));
        let confirmed = config(&[]).digest(Stage::Confirm);
        assert_ne!(config(&["confirm.top=2"]).digest(Stage::Confirm), confirmed);
        assert_eq!(config(&["search.attempts=99", "train.jobs=3"]).digest(Stage::Confirm), confirmed);
    }

    #[test]
    fn generations_share_the_proposals() {
        let search = config(&["search.attempts=7", "search.generation_size=3"]).search.clone();
        assert_eq!((0..5).map(|generation| search.share(generation)).collect::<Vec<_>>(), [1, 3, 3, 1, 0]);
        assert_eq!(search.last_generation(), 3);
    }

    #[test]
    fn every_section_of_settings_exists() {
        for section in Stage::ALL.iter().copied().flat_map(bears_on) {
            assert!(KEYS.iter().any(|key| key.section == *section), "{section}");
        }
    }

    #[test]
    fn differences_name_key_and_values_and_can_be_taken_over() {
        let (before, now) = (config(&["train.steps=5"]), config(&["train.steps=6", "llm.max_cost=2.5"]));
        let found = now.differences(&before);
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["train.steps: 5 before, 6 now", "llm.max_cost: not set before, 2.5 now"]);
        assert_eq!(found.iter().map(|d| d.key.class).collect::<Vec<_>>(), [Class::Experiment, Class::Operational]);
        let mut taken = before.clone();
        for difference in found {
            taken = taken.with(difference.key, difference.now, Origin::Set).expect("valid");
        }
        assert!(taken.differences(&now).is_empty());
    }
}
