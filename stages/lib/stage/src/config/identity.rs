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
    let after = key.section == "stages" && key.name.strip_prefix("after_") == Some(stage.as_str());
    bears_on(stage).contains(&key.section) || drawing || space || after
}

impl Search {
    /// How many proposals a generation has, of all that the search may make: generation 0 is the seed programs alone.
    pub fn share(&self, generation: u32) -> usize {
        match usize::try_from(generation) {
            Ok(0) => 1 + self.seeds.len(),
            Ok(later) => {
                let before = (later - 1).saturating_mul(self.generation_size);
                self.attempts.saturating_sub(before).min(self.generation_size)
            }
            Err(_) => 0,
        }
    }

    /// The number of the first attempt of a generation, where every generation before it has its whole share. The
    /// first ones are the seed programs.
    pub fn first_attempt(&self, generation: u32) -> usize {
        // Saturates where `usize` is narrower.
        let later = usize::try_from(generation).unwrap_or(usize::MAX).checked_sub(1);
        later.map_or(0, |later| later.saturating_mul(self.generation_size).saturating_add(self.share(0)))
    }

    /// The generation whose archive a generation is proposed from; none for generation 0.
    pub fn archive_before(&self, generation: u32) -> Option<u32> {
        // A longer lag reaches back to generation 0 as well.
        let lag = u32::try_from(self.lag).unwrap_or(u32::MAX);
        generation.checked_sub(1).map(|before| before.saturating_sub(lag))
    }

    /// The generations that may be under way when a generation is proposed, and that its archive does not hold.
    pub fn in_flight(&self, generation: u32) -> std::ops::Range<u32> {
        self.archive_before(generation).map_or(0..0, |archive| archive + 1..generation)
    }

    /// The last generation that has proposals.
    pub fn last_generation(&self) -> u32 {
        // Generations are numbered by u32: there cannot be later ones.
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
    /// The key.
    pub key: &'static Key,
    /// Its first value; `None` where it is not set.
    pub before: Option<Value>,
    /// Its second value; `None` where it is not set.
    pub now: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "not set".to_owned(), Value::to_string);
        write!(f, "{}: {} before, {} now", self.key.path(), text(&self.before), text(&self.now))
    }
}

/// Settings that rows have in columns of their own (`method`, `proposer`), that tell the runs of one experiment apart (the
/// seed), or that a run may change or copy while it stays the same (the number of attempts, where the seed program came from).
const TOLD_ELSEWHERE: [&str; 5] =
    ["search.seed", "search.method", "search.attempts", "propose.program", "propose.proposer"];

/// Digits of the digests in rows: enough to tell the settings of a life's runs apart, and few enough to read.
const DIGITS: usize = 16;

/// Whether a setting decides if rows compare: those of the experiment, but for what is told elsewhere. What a transfer is made
/// with bears on no row of a search.
pub fn compares(key: &Key) -> bool {
    key.class == Class::Experiment && key.section != "transfer" && !TOLD_ELSEWHERE.contains(&key.path().as_str())
}

impl Config {
    /// What rows of a search say of the settings that they were made with, see [`compares`]: the same for runs that differ in
    /// seed or method alone, whatever they run on. Defaults do not count.
    pub fn settings_digest(&self) -> String {
        self.short_digest(compares)
    }

    /// The same for rows of a transfer.
    pub fn transfer_digest(&self) -> String {
        self.short_digest(|key| key.class == Class::Experiment && bears_on(Stage::Transfer).contains(&key.section))
    }

    fn short_digest(&self, counts: impl Fn(&Key) -> bool) -> String {
        let mut digest = self.digest_of(counts);
        digest.truncate(DIGITS);
        digest
    }

    /// A digest of the settings of the experiment that a stage depends on.
    ///
    /// Defaults do not count, so that a key which a later version adds changes no digest. Neither do two settings that
    /// say less than what they stand for: the number of proposals, of which each generation has its share, and the path
    /// of the seed program. Whoever depends on those records the share and the program's own digest.
    pub fn digest(&self, stage: Stage) -> String {
        self.digest_of(|key| depends(stage, key) && counts(stage, key))
    }

    fn digest_of(&self, counts: impl Fn(&Key) -> bool) -> String {
        let default = Self::default();
        let mut hasher = blake3::Hasher::new();
        for key in KEYS.iter().filter(|key| counts(key)) {
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
    fn rows_of_one_experiment_have_one_digest() {
        let plain = config(&[]).settings_digest();
        assert_eq!(plain.len(), DIGITS);
        for same in [
            "search.seed=7",
            "search.method=eoh",
            "search.attempts=9",
            "train.jobs=3",
            "confirm.top=1",
            "transfer.steps=7",
        ] {
            assert_eq!(config(&[same]).settings_digest(), plain, "{same}");
        }
        for other in
            ["train.steps=121", "network.hidden=33", "search.islands=3", "task.algorithm=bfs", "llm.lenses=false"]
        {
            assert_ne!(config(&[other]).settings_digest(), plain, "{other}");
        }
        assert_ne!(config(&["transfer.steps=7"]).transfer_digest(), config(&[]).transfer_digest());
    }

    #[test]
    fn generations_share_the_proposals() {
        let search = config(&["search.attempts=7", "search.generation_size=3"]).search.clone();
        assert_eq!((0..5).map(|generation| search.share(generation)).collect::<Vec<_>>(), [1, 3, 3, 1, 0]);
        assert_eq!(search.last_generation(), 3);
        assert_eq!([0, 1, 2, 3].map(|generation| search.first_attempt(generation)), [0, 1, 4, 7]);
    }

    #[test]
    fn a_generation_is_proposed_from_the_archive_before_those_in_flight() {
        let with = |lag: &str| config(&[&format!("search.lag={lag}")]).search.clone();
        let search = with("0");
        assert_eq!([0, 1, 5].map(|g| search.archive_before(g)), [None, Some(0), Some(4)]);
        assert!((0..6).all(|g| search.in_flight(g).is_empty()));
        let search = with("2");
        assert_eq!([0, 1, 2, 3, 4].map(|g| search.archive_before(g)), [None, Some(0), Some(0), Some(0), Some(1)]);
        assert_eq!([0, 1, 2, 3, 4].map(|g| search.in_flight(g)), [0..0, 1..1, 1..2, 1..3, 2..4]);
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
