//! The servers that agents ask, and what each wants to be asked with.

use std::collections::BTreeMap;

use stage::Usage;
use stage::config::{Continues, Llm};

use crate::call::Agent;
use crate::error::{CallError, Kind};
use crate::secret::Secret;

/// One server.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Where the protocol starts, e.g. `https://api.openai.com/v1` or `http://localhost:11434/v1`.
    pub base_url: String,
    /// The environment variable that holds the key. Unset: no key is sent.
    pub key_env: String,
    /// The header of the key: `Authorization` has it as a bearer token, any other as it is.
    pub key_header: String,
    /// Further headers. A value `$NAME` is that of an environment variable, and as secret as a key.
    pub headers: BTreeMap<String, String>,
    /// The query of each request, likewise.
    pub query: BTreeMap<String, String>,
    /// Tokens of the context: longer prompts are not sent.
    pub context: Option<u64>,
    /// Most requests a minute; `None`: as many as there are.
    pub requests_per_minute: Option<u32>,
    /// Prompts and replies.
    pub tokens_per_minute: Option<u64>,
    /// What becomes of a reply whose connection broke in the middle.
    pub continues: Continues,
}

const AUTHORIZATION: &str = "Authorization";

#[cfg(any(test, feature = "mock"))]
impl Default for Endpoint {
    fn default() -> Self {
        Self::usual(&Llm::default())
    }
}

/// The headers and the query of a server's requests, with all the secrets in them.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// All headers, the key's among them.
    pub headers: reqwest::header::HeaderMap,
    /// Names and values of the query.
    pub query: Vec<(String, String)>,
    /// What must be printed nowhere.
    pub secrets: Vec<Secret>,
}

impl Endpoint {
    /// The server of all roles.
    pub fn usual(llm: &Llm) -> Self {
        Self {
            base_url: llm.base_url.clone(),
            key_env: llm.key_env.clone(),
            key_header: llm.key_header.clone(),
            headers: llm.headers.clone(),
            query: llm.query.clone(),
            context: llm.context,
            requests_per_minute: llm.requests_per_minute,
            tokens_per_minute: llm.tokens_per_minute,
            continues: llm.continues,
        }
    }

    /// The server of one role, where it has one of its own. What that does not say of itself is as for all; headers, query and
    /// limits are its own.
    ///
    /// # Errors
    /// Where the settings name a server that they do not have.
    pub fn own(llm: &Llm, agent: Agent) -> Result<Option<Self>, Usage> {
        let name = match agent {
            Agent::Router => &llm.router_endpoint,
            Agent::Critic => &llm.critic_endpoint,
            Agent::Writer => &llm.writer_endpoint,
        };
        if name.is_empty() {
            return Ok(None);
        }
        let own = llm.endpoints.get(name).ok_or_else(|| {
            let known = llm.endpoints.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Usage(format!("llm.{}_endpoint: there is no [llm.endpoints.{name}]; known: {known}", agent.as_str()))
        })?;
        Ok(Some(Self {
            base_url: own.url.clone(),
            key_env: own.key_env.clone().unwrap_or_else(|| llm.key_env.clone()),
            key_header: own.key_header.clone().unwrap_or_else(|| llm.key_header.clone()),
            headers: own.headers.clone(),
            query: own.query.clone(),
            context: own.context,
            requests_per_minute: own.requests_per_minute,
            tokens_per_minute: own.tokens_per_minute,
            continues: own.continues.unwrap_or(Continues::No),
        }))
    }

    /// Looks up what the environment has to give.
    ///
    /// # Errors
    /// Where a variable that a header or the query names is not set, or a header cannot carry a value.
    pub fn access(&self, key: Option<Secret>) -> Result<Access, CallError> {
        let mut access = Access::default();
        if let Some(key) = key {
            let bearer = self.key_header.eq_ignore_ascii_case(AUTHORIZATION);
            let value = key.header(if bearer { "Bearer " } else { "" })?;
            access.headers.insert(name(&self.key_header)?, value);
            access.secrets.push(key);
        }
        for (header, text) in &self.headers {
            let value = match looked_up(text)? {
                Some(secret) => {
                    let value = secret.header("")?;
                    access.secrets.push(secret);
                    value
                }
                None => reqwest::header::HeaderValue::from_str(text)
                    .map_err(|_| setup(format!("llm.headers: {header} has characters that a header cannot carry")))?,
            };
            access.headers.insert(name(header)?, value);
        }
        for (field, text) in &self.query {
            let value = match looked_up(text)? {
                Some(secret) => {
                    let value = secret.reveal().to_owned();
                    access.secrets.push(secret);
                    value
                }
                None => text.clone(),
            };
            access.query.push((field.clone(), value));
        }
        Ok(access)
    }
}

/// What `$NAME` stands for; none for any other text.
fn looked_up(text: &str) -> Result<Option<Secret>, CallError> {
    let Some(variable) = text.strip_prefix('$') else { return Ok(None) };
    Secret::from_env(variable).map(Some).ok_or_else(|| setup(format!("the environment variable {variable} is not set")))
}

fn name(text: &str) -> Result<reqwest::header::HeaderName, CallError> {
    text.parse().map_err(|_| setup(format!("{text:?} is no name of a header")))
}

fn setup(message: String) -> CallError {
    CallError::new(Kind::Setup, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_the_environment_and_are_known_as_such() {
        let (variable, value) = std::env::vars().find(|(_, value)| value.len() > 3 && value.is_ascii()).expect("some");
        let pair = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let endpoint = Endpoint {
            key_header: "api-key".into(),
            headers: pair("X-Title", "a search"),
            query: pair("token", &format!("${variable}")),
            ..Endpoint::default()
        };
        let access = endpoint.access(Secret::new("sk-0123456789")).unwrap();
        assert_eq!(access.headers["api-key"], "sk-0123456789");
        assert_eq!(access.headers["x-title"], "a search");
        assert_eq!(access.query, [("token".to_owned(), value.trim().to_owned())]);
        assert_eq!(access.secrets.len(), 2);
        let bearer = Endpoint::default().access(Secret::new("sk-0123456789")).unwrap();
        assert_eq!(bearer.headers["authorization"], "Bearer sk-0123456789");
        let missing = Endpoint { headers: pair("X", "$NO_SUCH_VARIABLE_HERE"), ..Endpoint::default() };
        assert!(missing.access(None).unwrap_err().message.contains("NO_SUCH_VARIABLE_HERE is not set"));
        let odd = Endpoint { headers: pair("no name", "x"), ..Endpoint::default() };
        assert_eq!(odd.access(None).unwrap_err().kind, Kind::Setup);
    }
}
