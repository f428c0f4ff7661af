//! A call and its reply, apart from how it is carried.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stage::config::ModelPrice;

/// Who speaks in a conversation, in the words of the protocol.
#[allow(missing_docs, reason = "a documented value has an entry of its own in the JSON Schema")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    System,
    User,
    Assistant,
}

impl Speaker {
    /// Its name in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Message {
    /// Who speaks.
    pub role: Speaker,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of the system.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: Speaker::System, content: content.into() }
    }

    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Speaker::User, content: content.into() }
    }

    /// A message of the assistant: what the model has written.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: Speaker::Assistant, content: content.into() }
    }
}

/// The three agents of the method. Each may have a model of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Agent {
    /// ASR: chooses the factor.
    Router,
    /// RC: writes the directive.
    Critic,
    /// SAR: writes the program.
    Writer,
}

impl Agent {
    /// All of them, in the order in which an attempt asks them.
    pub const ALL: [Agent; 3] = [Agent::Router, Agent::Critic, Agent::Writer];

    /// Its name in transcripts and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Critic => "critic",
            Self::Writer => "writer",
        }
    }
}

/// Everything that decides a reply. What is not in `params` is not sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Call {
    /// The agent that is asked.
    pub agent: Agent,
    /// The model that plays it, as the server names it.
    pub model: String,
    /// The conversation so far, the oldest message first.
    pub messages: Vec<Message>,
    /// Sampling parameters under the names of the protocol.
    pub params: Map<String, Value>,
}

impl Call {
    /// Hash of the whole call: equal keys are equal requests. 32 hexadecimal digits.
    pub fn key(&self) -> String {
        // Sorted parameters: whether the settings name temperature or top_p first changes no request.
        let mut params: Vec<_> = self.params.iter().collect();
        params.sort_by(|a, b| a.0.cmp(b.0));
        let canonical = serde_json::json!([self.agent.as_str(), self.model, self.messages, params]);
        blake3::hash(canonical.to_string().as_bytes()).to_hex()[..32].to_owned()
    }

    /// The prompt's size in tokens, guessed at four bytes each.
    pub fn estimated_prompt_tokens(&self) -> u64 {
        self.messages.iter().map(|m| estimated_tokens(m.content.len()) + 4).sum()
    }
}

/// Tokens of a text of `bytes` bytes, guessed where a server does not count them.
pub fn estimated_tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

/// Tokens of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Usage {
    /// Tokens of the prompt, those that the server had cached included.
    pub prompt_tokens: u64,
    /// With the reasoning, as servers count.
    pub completion_tokens: u64,
    /// The part of the completion that was reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// The part of the prompt that the server had cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// The server did not count: these are guesses from the texts' lengths.
    #[serde(default)]
    pub estimated: bool,
}

impl Usage {
    /// What the call cost, in the currency of the prices, which are per million tokens.
    pub fn cost(&self, price: &ModelPrice) -> f64 {
        let cached = self.cached_tokens.unwrap_or(0).min(self.prompt_tokens);
        let fresh = self.prompt_tokens - cached;
        (fresh as f64 * price.input
            + cached as f64 * price.cached_input.unwrap_or(price.input)
            + self.completion_tokens as f64 * price.output)
            / 1e6
    }

    /// Tokens of prompt and completion.
    pub fn total(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// Adds what another call took.
    pub fn add(&mut self, other: &Usage) {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.reasoning_tokens = sum(self.reasoning_tokens, other.reasoning_tokens);
        self.cached_tokens = sum(self.cached_tokens, other.cached_tokens);
        self.estimated |= other.estimated;
    }
}

/// Why a reply ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    /// The model was done (also where the server gives no reason).
    Stop,
    /// The token limit cut it off.
    Length,
    /// Another reason, in the server's word.
    Other(String),
}

/// A reply, its reasoning set apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reply {
    /// What the model answered, without its reasoning.
    pub text: String,
    /// Its reasoning, where the server hands that out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Why the reply ended.
    pub finish: Finish,
    /// The model that the server says has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(params: Value) -> Call {
        let Value::Object(params) = params else { panic!("an object") };
        Call { agent: Agent::Writer, model: "m".into(), messages: vec![Message::user("hello")], params }
    }

    #[test]
    fn prices_count_cached_tokens_apart() {
        let usage = Usage {
            prompt_tokens: 1_000_000,
            completion_tokens: 500_000,
            cached_tokens: Some(400_000),
            ..Usage::default()
        };
        let price = ModelPrice { input: 2.0, output: 8.0, cached_input: Some(0.5) };
        assert!((usage.cost(&price) - (1.2 + 0.2 + 4.0)).abs() < 1e-12);
        assert!((usage.cost(&ModelPrice { cached_input: None, ..price }) - 6.0).abs() < 1e-12);
    }

    #[test]
    fn key_is_of_content_not_of_order() {
        let a = call(serde_json::json!({"temperature": 0.5, "top_p": 0.9}));
        let b = call(serde_json::json!({"top_p": 0.9, "temperature": 0.5}));
        assert_eq!(a.key(), b.key());
        assert_eq!(a.key().len(), 32);
        for other in [
            call(serde_json::json!({"temperature": 0.5})),
            Call { agent: Agent::Critic, ..a.clone() },
            Call { model: "n".into(), ..a.clone() },
            Call { messages: vec![Message::system("hello")], ..a.clone() },
        ] {
            assert_ne!(a.key(), other.key());
        }
    }
}
