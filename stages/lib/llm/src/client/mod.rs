//! A client for chat completions in OpenAI's protocol, as hosted services and local servers (Ollama, vLLM, llama.cpp)
//! speak it.
//!
//! There is exactly one layer of retries, [`Client::chat`], and everything in it ends by the caller's deadline: the
//! connection, the silence before and between bytes, the whole attempt, the waits between attempts.

mod http;
mod reasoning;
mod retry;
mod sse;
mod wire;

use std::time::{Duration, Instant};

use crate::budget::Ledger;
use crate::call::{Call, Reply, Usage};
use crate::error::{CallError, Kind, excerpt};
use crate::secret::{Secret, scrub};
use crate::settings::Settings;
use crate::transcript::Try;

pub use retry::Backoff;

/// What came of a call, over all its attempts.
#[derive(Debug)]
pub struct Outcome {
    pub result: Result<Reply, CallError>,
    /// Of all attempts, failed ones too: those cost as well.
    pub usage: Usage,
    pub cost: Option<f64>,
    /// The attempts that failed.
    pub tries: Vec<Try>,
    pub latency: Duration,
}

/// A connection to one server.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    url: reqwest::Url,
    key: Option<Secret>,
    settings: Settings,
}

impl Client {
    /// Checks the settings that concern the connection; connects to nothing yet.
    pub fn new(settings: &Settings, key: Option<Secret>) -> Result<Self, CallError> {
        let url = endpoint(&settings.base_url)?;
        // Another part of the process may have installed a provider already; that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("emberline/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            // A redirected POST would arrive as a GET, or at another host.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // Each call has a runtime of its own, and pooled connections would outlive it.
            .pool_max_idle_per_host(0);
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| CallError::new(Kind::Setup, chain(&error)))?;
        if let Some(key) = &key {
            key.header()?;
        }
        Ok(Self { http, url, key, settings: settings.clone() })
    }

    /// One call, tried again as long as it may heal, within the retries, the budget and the deadline.
    ///
    /// `stream` names the call among all of the run: the jitter of its waits is drawn from it.
    pub fn chat(&self, call: &Call, stream: &str, ledger: &Ledger, deadline: Instant) -> Outcome {
        let start = Instant::now();
        let mut usage = Usage::default();
        let mut tries = Vec::new();
        let mut backoff = Backoff::new(&self.settings, stream);
        let result = loop {
            match self.attempt(call, ledger, deadline, &mut usage) {
                Ok(reply) => break Ok(reply),
                Err(error) => {
                    let wait = backoff.next(&error);
                    let left = deadline.saturating_duration_since(Instant::now());
                    let last = match wait {
                        None => Some(error.clone()),
                        Some(wait) if wait >= left => Some(out_of_time(&error, wait, left)),
                        Some(_) => None,
                    };
                    let waited = if last.is_some() { Duration::ZERO } else { wait.unwrap_or_default() };
                    tries.push(Try { error, waited_ms: waited.as_millis() as u64 });
                    if let Some(error) = last {
                        break Err(error);
                    }
                    std::thread::sleep(waited);
                }
            }
        };
        let cost = self.settings.price(&call.model).map(|price| price.of(&usage));
        Outcome { result, usage, cost, tries, latency: start.elapsed() }
    }

    fn attempt(&self, call: &Call, ledger: &Ledger, deadline: Instant, usage: &mut Usage) -> Result<Reply, CallError> {
        let prompt_tokens = call.estimated_prompt_tokens();
        let reservation =
            ledger.reserve(&call.model, prompt_tokens, self.settings.max_tokens.unwrap_or(0), deadline)?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(CallError::new(Kind::Deadline, "the time for this proposal is spent"));
        }
        let mut received = http::Received::default();
        let result = self.send(call, left, &mut received);
        let counted = received.usage.unwrap_or_else(|| {
            // A server that answered with an error has done no work; one that broke off in its reply has.
            let completion = crate::call::estimated_tokens(received.text_bytes);
            let prompt = if received.accepted { prompt_tokens } else { 0 };
            Usage {
                prompt_tokens: prompt,
                completion_tokens: completion,
                estimated: received.accepted,
                ..Usage::default()
            }
        });
        usage.add(&counted);
        reservation.settle(&counted);
        result.map_err(|mut error| {
            error.message = scrub(self.key.as_ref(), error.message);
            error
        })
    }

    fn send(&self, call: &Call, left: Duration, received: &mut http::Received) -> Result<Reply, CallError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CallError::new(Kind::Setup, format!("no runtime for the connection: {error}")))?;
        let request = http::Request {
            url: self.url.clone(),
            authorization: self.key.as_ref().map(Secret::header).transpose()?,
            body: wire::body(call, &self.settings).to_string(),
            first_byte: self.settings.first_byte_timeout,
            idle: self.settings.idle_timeout,
            total: self.settings.attempt_timeout.min(left),
            max_bytes: self.settings.max_reply_bytes,
        };
        let assembly = runtime.block_on(http::exchange(&self.http, request, received));
        // Name resolution runs on a thread that nothing can interrupt: do not wait for it.
        runtime.shutdown_background();
        let mut reply = assembly.map_err(|error| self.advise(error))?.into_reply()?;
        reply.text = scrub(self.key.as_ref(), reply.text);
        reply.reasoning = reply.reasoning.map(|text| scrub(self.key.as_ref(), text));
        Ok(reply)
    }

    /// What to do about the refusals that everybody meets once.
    fn advise(&self, mut error: CallError) -> CallError {
        let settings = &self.settings;
        let mentions = |word: &str| error.message.contains(word);
        let advice = match error.status {
            Some(401 | 403) if self.key.is_none() => {
                Some(format!("no key was sent: set the environment variable {}", settings.key_env))
            }
            Some(404) => Some(format!("is {} right, and does the server know the model?", self.url)),
            Some(400 | 422) if mentions("stream_options") => Some("set llm.stream_usage = false".to_owned()),
            Some(400 | 422) if mentions("max_completion_tokens") => {
                Some("set llm.max_tokens_field = \"max_completion_tokens\"".to_owned())
            }
            Some(400 | 422) if mentions("temperature") && settings.temperature.is_some() => {
                Some("leave llm.temperature unset: what is not set is not sent".to_owned())
            }
            _ => None,
        };
        if let Some(advice) = advice {
            error.message = format!("{} ({advice})", error.message);
        }
        error
    }
}

fn out_of_time(error: &CallError, wait: Duration, left: Duration) -> CallError {
    let message = format!(
        "{:.1} s are left for this proposal and the next attempt would wait {:.1} s; the last failed with {error}",
        left.as_secs_f64(),
        wait.as_secs_f64()
    );
    CallError::new(Kind::Deadline, message)
}

/// `base` with the path of chat completions, which it may already have.
fn endpoint(base: &str) -> Result<reqwest::Url, CallError> {
    const PATH: &str = "/chat/completions";
    let setup = |message: String| CallError::new(Kind::Setup, message);
    let trimmed = base.trim().trim_end_matches('/');
    if trimmed.is_empty() {
        return Err(setup("no server is named: set llm.base_url, such as http://localhost:11434/v1".to_owned()));
    }
    let full = if trimmed.ends_with(PATH) { trimmed.to_owned() } else { format!("{trimmed}{PATH}") };
    let url = reqwest::Url::parse(&full).map_err(|error| setup(format!("llm.base_url {base:?}: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(setup(format!("llm.base_url {base:?}: only http and https are spoken")));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        // not echoed: there may be a key in it
        return Err(setup(
            "llm.base_url must be free of user, password and query: the key belongs in the environment".into(),
        ));
    }
    Ok(url)
}

fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// An error and its causes in one sentence. The address is left out: the settings say it.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    excerpt(&parts.join(": "), 400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_takes_what_people_write() {
        for base in ["http://h:1/v1", "http://h:1/v1/", " http://h:1/v1/chat/completions "] {
            assert_eq!(endpoint(base).unwrap().as_str(), "http://h:1/v1/chat/completions");
        }
        for base in ["", "localhost:11434", "ftp://h/v1", "http://me:word@h/v1", "http://h/v1?api-key=abcdefgh"] {
            let error = endpoint(base).unwrap_err();
            assert_eq!(error.kind, Kind::Setup);
            assert!(!error.message.contains("word@") && !error.message.contains("abcdefgh"), "{error}");
        }
    }

    #[test]
    fn loopback_needs_no_proxy() {
        let of = |text: &str| is_loopback(&reqwest::Url::parse(text).unwrap());
        assert!(of("http://localhost:1/") && of("http://127.0.0.1/") && of("http://[::1]:8/"));
        assert!(!of("http://example.org/"));
    }
}
