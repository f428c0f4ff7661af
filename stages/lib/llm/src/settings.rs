//! Everything that a user can set about the models.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::call::{Agent, Usage, estimated_tokens};
use crate::endpoint::Endpoint;
use crate::error::{CallError, Kind};
use crate::keyed;

/// What the protocol calls the limit on a reply's tokens, and what newer models call it.
pub(crate) const LIMIT: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// A model and its share of the attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub name: String,
    /// Relative to the other models' weights.
    pub weight: f64,
}

/// What a model's tokens cost, per million.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    pub input: f64,
    pub output: f64,
    /// For the part of the prompt that the server had cached; as `input` where it is not given.
    pub cached_input: Option<f64>,
}

impl Price {
    /// The price of a call, in the currency of the table.
    pub fn of(&self, usage: &Usage) -> f64 {
        let cached = usage.cached_tokens.unwrap_or(0).min(usage.prompt_tokens);
        let fresh = usage.prompt_tokens - cached;
        (fresh as f64 * self.input
            + cached as f64 * self.cached_input.unwrap_or(self.input)
            + usage.completion_tokens as f64 * self.output)
            / 1e6
    }
}

/// The settings in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Seed of the run: for the jitter of waits and the choice among models.
    pub run_seed: u64,

    /// The server of all agents ...
    pub endpoint: Endpoint,
    /// ... but for those that have one of their own.
    pub agent_endpoints: BTreeMap<Agent, Endpoint>,
    /// One is drawn for each attempt.
    pub models: Vec<Model>,
    /// Agents that always use a certain model.
    pub agent_models: BTreeMap<Agent, String>,

    /// Sampling parameters; those that are not set are not sent.
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub max_tokens: Option<u64>,
    /// What the server calls the limit: `max_tokens` or `max_completion_tokens`.
    pub max_tokens_field: String,
    /// The number of the attempt is added, so that equal prompts may have different replies.
    pub seed: Option<i64>,
    /// Further parameters, sent as they are.
    pub extra: Map<String, Value>,

    /// Ask for the reply as a stream, so that a slow model is not taken for a dead one.
    pub stream: bool,
    /// Ask for the count of tokens at the end of a stream.
    pub stream_usage: bool,
    pub connect_timeout: Duration,
    /// Longest silence before the reply begins.
    pub first_byte_timeout: Duration,
    /// Longest silence within a reply.
    pub idle_timeout: Duration,
    /// Longest time for one attempt at one call; none for no limit.
    pub attempt_timeout: Option<Duration>,
    /// Longest time for a whole proposal: all its calls, attempts and waits, but for those for the service; none for no limit.
    pub deadline: Option<Duration>,
    /// How long a service that does not answer is waited for.
    pub patience: Duration,
    /// Whether a count of tokens that is far too low for the prompt ends the stage.
    pub check_prompt: bool,
    /// Further attempts at a call that failed and may heal.
    pub retries: u32,
    /// The first wait; each further one is twice as long.
    pub backoff: Duration,
    pub backoff_max: Duration,
    pub max_reply_bytes: usize,
    /// Proposals that are worked on side by side.
    pub jobs: usize,

    /// Money for the whole run, in the currency of `prices`.
    pub max_cost: Option<f64>,
    /// Tokens for the whole run.
    pub max_tokens_total: Option<u64>,
    pub prices: BTreeMap<String, Price>,

    /// Whether critic and writer are told of the factor that was chosen.
    pub condition: bool,
    /// Whether edits without a factor may change any part of the program, not the two regions alone.
    pub whole_file: bool,
    /// How often a proposal that is refused goes back with its diagnostics.
    pub repair_rounds: u32,
    /// How often a router's reply that is not the JSON asked for goes back.
    pub router_rounds: u32,
    /// Take only the chosen region from the reply and keep the rest of the parent byte for byte.
    pub splice: bool,
    /// Ask the writer for changed passages instead of the whole program.
    pub diff: bool,
    /// Ask the writer for the lines of the editable regions instead of the whole program.
    pub regions: bool,
    /// Whether an edit of an OPERATOR region that nothing uses yet is followed by one of its ACTION region.
    pub two_phase: bool,
    /// Give each attempt of a generation another lens (`parts/lenses.jinja`).
    pub lenses: bool,
    /// Send the whole page about the language with each prompt, not with a repair round that needs it alone.
    pub whole_page: bool,
    /// Parameters of one agent's calls, which take the place of those of all.
    pub agent_params: BTreeMap<Agent, Map<String, Value>>,
    /// A folder of templates that replace those of the same name.
    pub prompts: Option<PathBuf>,
    /// Past attempts that prompts tell of, at most.
    pub history: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            run_seed: 0,
            endpoint: Endpoint::default(),
            agent_endpoints: BTreeMap::new(),
            models: Vec::new(),
            agent_models: BTreeMap::new(),
            temperature: None,
            top_p: None,
            max_tokens: None,
            max_tokens_field: "max_tokens".to_owned(),
            seed: None,
            extra: Map::new(),
            stream: true,
            stream_usage: true,
            connect_timeout: seconds(10),
            first_byte_timeout: seconds(300),
            idle_timeout: seconds(120),
            attempt_timeout: None,
            deadline: None,
            patience: seconds(1800),
            check_prompt: true,
            retries: 4,
            backoff: seconds(1),
            backoff_max: seconds(60),
            max_reply_bytes: 4 << 20,
            jobs: 4,
            max_cost: None,
            max_tokens_total: None,
            prices: BTreeMap::new(),
            condition: true,
            whole_file: false,
            repair_rounds: 2,
            router_rounds: 2,
            splice: false,
            diff: false,
            regions: true,
            two_phase: true,
            lenses: true,
            whole_page: false,
            agent_params: BTreeMap::new(),
            prompts: None,
            history: 12,
        }
    }
}

impl Settings {
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
        for (name, value, most) in [("temperature", self.temperature, 2.0), ("top_p", self.top_p, 1.0)] {
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
        if self.jobs == 0 {
            return wrong("llm.jobs must be at least 1".to_owned());
        }
        if self.max_cost.is_some_and(|cost| !(cost.is_finite() && cost >= 0.0)) {
            return wrong("llm.max_cost must be a number, 0 or more".to_owned());
        }
        if self.max_cost.is_some() {
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

    pub fn price(&self, model: &str) -> Option<&Price> {
        self.prices.get(model)
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
        self.max_tokens.is_some() || named(&self.extra) || self.agent_params.get(&agent).is_some_and(named)
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
        set("temperature", self.temperature.map(|value| json!(value)));
        set("top_p", self.top_p.map(|value| json!(value)));
        let limit = self.max_tokens.or_else(|| (!self.limits(agent)).then(|| room(agent, parent)));
        set(&self.max_tokens_field, limit.map(|value| json!(value)));
        set("seed", self.seed.map(|value| json!(value.wrapping_add(attempt))));
        params.extend(self.extra.clone());
        for (name, value) in self.agent_params.get(&agent).into_iter().flatten() {
            // The limit has the name that the server knows, whatever the settings call it.
            let name = if name == "max_tokens" { &self.max_tokens_field } else { name };
            params.insert(name.clone(), value.clone());
        }
        params
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
        settings.seed = Some(100);
        settings.max_tokens = Some(9);
        settings.max_tokens_field = "max_completion_tokens".into();
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
        settings.max_cost = Some(1.0);
        assert!(settings.validate().unwrap_err().message.contains("no price for the model a"));
        let price = Price { input: 1.0, output: 2.0, cached_input: None };
        settings.prices = [("a".to_owned(), price), ("b".to_owned(), price)].into();
        settings.validate().unwrap();
        settings.agent_models.insert(Agent::Router, "c".into());
        assert!(settings.validate().is_err());
    }

    #[test]
    fn prices_count_cached_tokens_apart() {
        let usage = Usage {
            prompt_tokens: 1_000_000,
            completion_tokens: 500_000,
            cached_tokens: Some(400_000),
            ..Usage::default()
        };
        let price = Price { input: 2.0, output: 8.0, cached_input: Some(0.5) };
        assert!((price.of(&usage) - (1.2 + 0.2 + 4.0)).abs() < 1e-12);
        assert!((Price { cached_input: None, ..price }.of(&usage) - 6.0).abs() < 1e-12);
    }
}
