//! What a user has set about the models, resolved: the section `[llm]`, and what follows from it and from other sections.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use stage::Usage;
use stage::config::{Config, Editable, Growth, LanguageForm, Llm, ModelPrice, ReplyForm};

use crate::call::{Agent, estimated_tokens};
use crate::endpoint::Endpoint;
use crate::error::{CallError, Kind};
use crate::keyed;

/// What the protocol calls the limit on a reply's tokens, and what newer models call it.
pub(crate) const LIMIT: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// A model and its share of the attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What the server calls it.
    pub name: String,
    /// Relative to the other models' weights.
    pub weight: f64,
}

impl Model {
    /// Reads `name` or `name=weight`.
    fn read(text: &str) -> Result<Self, Usage> {
        let Some((name, weight)) = text.rsplit_once('=') else {
            return Ok(Self { name: text.to_owned(), weight: 1.0 });
        };
        let weight = weight.trim().parse();
        let weight = weight.map_err(|_| Usage(format!("llm.models: {text:?}: write name or name=weight")))?;
        Ok(Self { name: name.trim().to_owned(), weight })
    }
}

/// How long is waited for what: the times of `[llm]`, none of them 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Waits {
    /// Longest time until a connection stands.
    pub connect: Duration,
    /// Longest silence before the reply begins.
    pub first_byte: Duration,
    /// Longest silence within a reply.
    pub idle: Duration,
    /// Longest time for one attempt at one call; none for no limit.
    pub attempt: Option<Duration>,
    /// Longest time for a whole proposal: all its calls, attempts and waits, but for those for the service; none for no limit.
    pub deadline: Option<Duration>,
    /// How long a service that does not answer is waited for.
    pub patience: Duration,
    /// The first wait before a further attempt; each further one is twice as long.
    pub backoff: Duration,
    /// The longest wait before a further attempt.
    pub backoff_max: Duration,
}

impl Waits {
    fn of(llm: &Llm) -> Result<Self, Usage> {
        let seconds = |key: &str, value: f64| {
            let time = Duration::try_from_secs_f64(value).ok().filter(|time| !time.is_zero());
            time.ok_or_else(|| Usage(format!("llm.{key}: {value} is not a time in seconds")))
        };
        Ok(Self {
            connect: seconds("connect_timeout_s", llm.connect_timeout_s)?,
            first_byte: seconds("first_byte_timeout_s", llm.first_byte_timeout_s)?,
            idle: seconds("idle_timeout_s", llm.idle_timeout_s)?,
            attempt: llm.attempt_timeout_s.map(|value| seconds("attempt_timeout_s", value)).transpose()?,
            deadline: llm.deadline_s.map(|value| seconds("deadline_s", value)).transpose()?,
            patience: seconds("patience", llm.patience)?,
            backoff: seconds("backoff_s", llm.backoff_s)?,
            backoff_max: seconds("backoff_max_s", llm.backoff_max_s)?,
        })
    }
}

/// The settings in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Seed of the run: for the jitter of waits and the choice among models.
    pub run_seed: u64,
    /// The section `[llm]` as it was given. What stands below was made of it, and is what counts.
    pub llm: Llm,
    /// The server of all agents ...
    pub endpoint: Endpoint,
    /// ... but for those that have one of their own.
    pub agent_endpoints: BTreeMap<Agent, Endpoint>,
    /// One is drawn for each attempt.
    pub models: Vec<Model>,
    /// Agents that always use a certain model.
    pub agent_models: BTreeMap<Agent, String>,
    /// Further parameters, sent as they are.
    pub extra: Map<String, Value>,
    /// Parameters of one agent's calls, which take the place of those of all.
    pub agent_params: BTreeMap<Agent, Map<String, Value>>,
    /// How long is waited for what.
    pub waits: Waits,
    /// Whether critic and writer are told of the factor that was chosen.
    pub condition: bool,
    /// Whether edits without a factor may change any part of the program, not the two regions alone.
    pub whole_file: bool,
    /// Whether an edit of an OPERATOR region that nothing uses yet is followed by one of its ACTION region.
    pub two_phase: bool,
}

/// The settings where nothing is set.
#[cfg(any(test, feature = "mock"))]
#[allow(clippy::expect_used, reason = "it is for tests alone")]
impl Default for Settings {
    fn default() -> Self {
        Self::resolve(&Config::default()).expect("the defaults are valid")
    }
}

impl Settings {
    /// Resolves the section `[llm]` and what else bears on the models.
    ///
    /// # Errors
    /// Where a value cannot be meant: a time of 0, a weight that is not a number, a server that the settings do not have.
    pub fn resolve(config: &Config) -> Result<Self, Usage> {
        let llm = &config.llm;
        let by_agent = [
            (Agent::Router, &llm.router_model, &llm.router_parameters),
            (Agent::Critic, &llm.critic_model, &llm.critic_parameters),
            (Agent::Writer, &llm.writer_model, &llm.writer_parameters),
        ];
        let mut settings = Self {
            run_seed: config.search.seed,
            llm: llm.clone(),
            endpoint: Endpoint::usual(llm),
            agent_endpoints: BTreeMap::new(),
            models: llm.models.iter().map(|text| Model::read(text)).collect::<Result<_, _>>()?,
            agent_models: BTreeMap::new(),
            extra: parameters(&llm.extra)?,
            agent_params: BTreeMap::new(),
            waits: Waits::of(llm)?,
            condition: config.propose.condition,
            whole_file: config.search.editable == Editable::File,
            two_phase: config.search.operator == Growth::TwoPhase,
        };
        for (agent, model, own) in by_agent {
            if let Some(endpoint) = Endpoint::own(llm, agent)? {
                settings.agent_endpoints.insert(agent, endpoint);
            }
            if !model.is_empty() {
                settings.agent_models.insert(agent, model.clone());
            }
            if !own.is_empty() {
                settings.agent_params.insert(agent, parameters(own)?);
            }
        }
        Ok(settings)
    }

    /// Whether the writer is asked for the lines of the editable regions instead of the whole program.
    pub fn regions(&self) -> bool {
        self.llm.reply == ReplyForm::Regions
    }

    /// Whether the whole page about the language goes with each prompt, not with a repair round that needs it alone.
    pub fn whole_page(&self) -> bool {
        self.llm.language == LanguageForm::Page
    }

    /// The folder of templates that replace those of the same name; none where there is none.
    pub fn prompts(&self) -> Option<&Path> {
        (!self.llm.prompts.is_empty()).then(|| Path::new(&self.llm.prompts))
    }

    /// What no call could be made with, found before the first one.
    pub fn validate(&self) -> Result<(), CallError> {
        let wrong = |message: String| Err(CallError::new(Kind::Setup, message));
        if self.models.is_empty() {
            return wrong("no model is named: set llm.models".to_owned());
        }
        for model in &self.models {
            if model.name.trim().is_empty() {
                return wrong("a model has an empty name".to_owned());
            }
            if !(model.weight.is_finite() && model.weight > 0.0) {
                return wrong(format!("model {}: the weight {} is not a positive number", model.name, model.weight));
            }
        }
        for (name, value, most) in [("temperature", self.llm.temperature, 2.0), ("top_p", self.llm.top_p, 1.0)] {
            if value.is_some_and(|value| !(0.0..=most).contains(&value)) {
                return wrong(format!("llm.{name} must be within 0 and {most}"));
            }
        }
        for reserved in ["model", "messages", "stream", "stream_options", "n"] {
            if self.extra.contains_key(reserved) {
                return wrong(format!("llm.extra may not set {reserved}"));
            }
            if let Some((agent, _)) = self.agent_params.iter().find(|(_, params)| params.contains_key(reserved)) {
                return wrong(format!("llm.{}_parameters may not set {reserved}", agent.as_str()));
            }
        }
        if self.llm.jobs == 0 {
            return wrong("llm.jobs must be at least 1".to_owned());
        }
        if self.llm.max_cost.is_some_and(|cost| !(cost.is_finite() && cost >= 0.0)) {
            return wrong("llm.max_cost must be a number, 0 or more".to_owned());
        }
        if self.llm.max_cost.is_some() {
            let names = self.models.iter().map(|m| &m.name).chain(self.agent_models.values());
            if let Some(name) = names.into_iter().find(|name| self.price(name).is_none()) {
                return wrong(format!("llm.max_cost cannot be kept: llm.prices has no price for the model {name}"));
            }
        }
        Ok(())
    }

    /// The server that an agent asks.
    pub fn endpoint(&self, agent: Agent) -> &Endpoint {
        self.agent_endpoints.get(&agent).unwrap_or(&self.endpoint)
    }

    /// The price of a model's tokens, where one is given.
    pub fn price(&self, model: &str) -> Option<&ModelPrice> {
        self.llm.prices.get(model)
    }

    /// The model of an agent in an attempt: its own, or the one that is drawn for the attempt.
    pub fn model(&self, agent: Agent, attempt: i64) -> &str {
        if let Some(name) = self.agent_models.get(&agent) {
            return name;
        }
        let total: f64 = self.models.iter().map(|model| model.weight).sum();
        let mut left = keyed::unit(self.run_seed, &["model", &attempt.to_string()]) * total;
        for model in &self.models {
            left -= model.weight;
            if left < 0.0 {
                return &model.name;
            }
        }
        self.models.last().map_or("", |model| &model.name)
    }

    /// Whether the user has limited an agent's replies.
    pub fn limits(&self, agent: Agent) -> bool {
        let named = |params: &Map<String, Value>| LIMIT.iter().any(|n| params.contains_key(*n));
        self.llm.max_tokens.is_some() || named(&self.extra) || self.agent_params.get(&agent).is_some_and(named)
    }

    /// The sampling parameters of an agent's calls in an attempt: those that are set, its own before those of all, and a limit on
    /// the reply in any case: what runs on without end never ends by itself. `parent`: bytes of the program to be edited.
    pub fn params(&self, agent: Agent, attempt: i64, parent: usize) -> Map<String, Value> {
        let mut params = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                params.insert(name.to_owned(), value);
            }
        };
        set("temperature", self.llm.temperature.map(|value| json!(value)));
        set("top_p", self.llm.top_p.map(|value| json!(value)));
        let limit = self.llm.max_tokens.or_else(|| (!self.limits(agent)).then(|| room(agent, parent)));
        set(&self.llm.max_tokens_field, limit.map(|value| json!(value)));
        set("seed", self.llm.seed.map(|value| json!(value.wrapping_add(attempt))));
        params.extend(self.extra.clone());
        for (name, value) in self.agent_params.get(&agent).into_iter().flatten() {
            // The limit has the name that the server knows, whatever the settings call it.
            let name = if name == "max_tokens" { &self.llm.max_tokens_field } else { name };
            params.insert(name.clone(), value.clone());
        }
        params
    }
}

fn parameters(table: &toml::Table) -> Result<Map<String, Value>, Usage> {
    match serde_json::to_value(table) {
        Ok(Value::Object(parameters)) => Ok(parameters),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(Usage(error.to_string())),
    }
}

/// Tokens enough for a reply that thinks first: for the writer's, twice the program on top.
fn room(agent: Agent, parent: usize) -> u64 {
    match agent {
        Agent::Router | Agent::Critic => 8192,
        Agent::Writer => (12_288 + 2 * estimated_tokens(parent)).next_multiple_of(1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_models() -> Settings {
        let model = |name: &str, weight| Model { name: name.to_owned(), weight };
        Settings { models: vec![model("a", 3.0), model("b", 1.0)], ..Settings::default() }
    }

    #[test]
    fn models_with_and_without_weights() {
        assert_eq!(Model::read("llama3:8b").unwrap(), Model { name: "llama3:8b".into(), weight: 1.0 });
        assert_eq!(Model::read("a/b = 2.5").unwrap(), Model { name: "a/b".into(), weight: 2.5 });
        assert!(Model::read("a=lots").is_err());
    }

    #[test]
    fn models_by_weight_and_agent() {
        let mut settings = two_models();
        let draws: Vec<&str> = (0..2000).map(|attempt| settings.model(Agent::Writer, attempt)).collect();
        let share = draws.iter().filter(|name| **name == "a").count() as f64 / 2000.0;
        assert!((share - 0.75).abs() < 0.04, "{share}");
        assert!(draws.iter().zip(0..).all(|(name, attempt)| *name == settings.model(Agent::Critic, attempt)));
        settings.agent_models.insert(Agent::Router, "small".into());
        assert_eq!(settings.model(Agent::Router, 3), "small");
    }

    #[test]
    fn only_what_is_set_is_sent() {
        let mut settings = two_models();
        let limit = |agent| Value::Object(settings.params(agent, 5, 8000));
        assert_eq!(limit(Agent::Writer), json!({"max_tokens": 16384}));
        assert_eq!(limit(Agent::Router), json!({"max_tokens": 8192}));
        settings.llm.seed = Some(100);
        settings.llm.max_tokens = Some(9);
        settings.llm.max_tokens_field = "max_completion_tokens".into();
        settings.extra.insert("reasoning_effort".into(), json!("low"));
        let expected = json!({"max_completion_tokens": 9, "seed": 105, "reasoning_effort": "low"});
        assert_eq!(Value::Object(settings.params(Agent::Writer, 5, 8000)), expected);
        let own = json!({"max_tokens": 50, "temperature": 0.0, "reasoning_effort": "high"});
        settings.agent_params.insert(Agent::Router, own.as_object().cloned().unwrap());
        assert_eq!(Value::Object(settings.params(Agent::Writer, 5, 8000)), expected);
        let expected =
            json!({"max_completion_tokens": 50, "seed": 105, "reasoning_effort": "high", "temperature": 0.0});
        assert_eq!(Value::Object(settings.params(Agent::Router, 5, 8000)), expected);
    }

    #[test]
    fn a_budget_needs_prices() {
        let mut settings = two_models();
        settings.validate().unwrap();
        settings.llm.max_cost = Some(1.0);
        assert!(settings.validate().unwrap_err().message.contains("no price for the model a"));
        let price = ModelPrice { input: 1.0, output: 2.0, cached_input: None };
        settings.llm.prices = [("a".to_owned(), price), ("b".to_owned(), price)].into();
        settings.validate().unwrap();
        settings.agent_models.insert(Agent::Router, "c".into());
        assert!(settings.validate().is_err());
    }
}
