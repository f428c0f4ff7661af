//! A client for chat completions in OpenAI's protocol, as hosted services and local servers (Ollama, vLLM, llama.cpp)
//! speak it.
//!
//! There is exactly one layer of retries, [`Client::chat`]. What is limited is silence: before a reply and within it. A service
//! that does not answer at all is waited for ([`breaker`]), and that time counts against nobody.

mod breaker;
mod counts;
mod faults;
mod http;
mod limit;
mod pace;
mod reasoning;
mod retry;
mod sse;
mod wire;

use std::time::{Duration, Instant};

use stage::config::Continues;

use crate::budget::Ledger;
use crate::call::{Agent, Call, Message, Reply, Usage};
use crate::endpoint::Endpoint;
use crate::error::{Blame, CallError, Kind, excerpt};
use crate::secret::{Mask, Secret};
use crate::settings::Settings;
use crate::transcript::Try;
use breaker::Breaker;
use counts::Counts;
use limit::Limit;
use pace::Pace;
use wire::Begun;

pub use breaker::Notice;
pub use retry::Backoff;

/// What came of a call, over all its attempts.
#[derive(Debug)]
pub struct Outcome {
    /// The reply, or why the call failed for good.
    pub result: Result<Reply, CallError>,
    /// Tokens of all attempts, the failed ones included: these cost as well.
    pub usage: Usage,
    /// In the currency of the price table; `None` for a model without a price.
    pub cost: Option<f64>,
    /// The attempts that failed.
    pub tries: Vec<Try>,
    /// The text of a reply that did not come to its end.
    pub partial: Option<String>,
    /// Without the time for which the service was away.
    pub latency: Duration,
    /// For how long it was away.
    pub outage: Duration,
}

/// A connection to one server.
pub struct Client {
    http: reqwest::Client,
    url: reqwest::Url,
    endpoint: Endpoint,
    /// Whether a key is sent.
    keyed: bool,
    headers: reqwest::header::HeaderMap,
    mask: Mask,
    settings: Settings,
    pace: Pace,
    breaker: Breaker,
    counts: Counts,
    limit: Limit,
}

impl std::fmt::Debug for Client {
    /// Without headers and address: there may be secrets in them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Checks the settings that concern the connection; connects to nothing yet.
    /// `notice` is told when the run waits for the service, and when it goes on.
    pub fn new(
        settings: &Settings,
        endpoint: &Endpoint,
        key: Option<Secret>,
        notice: Notice,
    ) -> Result<Self, CallError> {
        let mut url = address(&endpoint.base_url)?;
        let keyed = key.is_some();
        let access = endpoint.access(key)?;
        if !access.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&access.query);
        }
        // Another part of the process may have installed a provider already; that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("emberline/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.waits.connect)
            // A redirected POST would arrive as a GET, or at another host.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // Each call has a runtime of its own, and pooled connections would outlive it.
            .pool_max_idle_per_host(0);
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| CallError::new(Kind::Setup, chain(&error)))?;
        let (first, longest) = (settings.waits.backoff, settings.waits.backoff_max.min(LONGEST_WAIT));
        let breaker =
            Breaker::new(endpoint.base_url.clone(), settings.waits.patience, first, longest, settings.run_seed, notice);
        Ok(Self {
            http,
            url,
            endpoint: endpoint.clone(),
            keyed,
            headers: access.headers,
            mask: Mask::new(access.secrets),
            settings: settings.clone(),
            pace: Pace::new(endpoint.requests_per_minute, endpoint.tokens_per_minute),
            breaker,
            counts: Counts::default(),
            limit: Limit::default(),
        })
    }

    /// One call, tried again as long as it may heal, within the retries, the budget and the deadline. While the service is away it
    /// waits, and the deadline with it.
    ///
    /// `stream` names the call among all of the run: the jitter of its waits is drawn from it.
    pub fn chat(&self, call: &Call, stream: &str, ledger: &Ledger, deadline: Option<Instant>) -> Outcome {
        let start = Instant::now();
        let (mut usage, mut tries, mut partial) = (Usage::default(), Vec::new(), None);
        let mut outage = Duration::ZERO;
        let mut backoff = Backoff::new(&self.settings, stream);
        let mut throttled_since = None;
        let mut doubted = false;
        let mut begun = Begun::default();
        let result = loop {
            match self.breaker.pass() {
                Ok(waited) => outage += waited,
                Err(error) => break Err(error),
            }
            let due = deadline.map(|deadline| deadline + outage);
            let error = match self.attempt(call, ledger, due, &mut usage, &mut partial, &mut begun) {
                Ok(reply) => break Ok(reply),
                Err(error) => error,
            };
            let mut note = |waited: Duration| {
                tries.push(Try { error: error.clone(), waited_ms: waited.as_millis() as u64 });
            };
            // A limit of our own making that the service does not know is left out.
            if !self.settings.limits(call.agent) && self.limit.adapt(&call.model, &error) {
                note(Duration::ZERO);
                continue;
            }
            // A server that does not go on with half a reply is asked for the whole of it.
            if !begun.content.is_empty() && matches!(error.status, Some(400 | 422)) {
                begun = Begun::default();
                note(Duration::ZERO);
                continue;
            }
            // A client that asks too often is told to wait: that is not a fault of the call, however often it happens.
            let asked_to_wait = error.retry_after.is_some_and(|wait| wait > self.settings.waits.patience);
            if error.can_heal() && (error.status == Some(429) || asked_to_wait) {
                let since = *throttled_since.get_or_insert_with(Instant::now);
                let wait = backoff.wait(&error);
                if since.elapsed() + wait > self.settings.waits.patience {
                    note(Duration::ZERO);
                    break Err(self.throttled(&error, since.elapsed(), wait));
                }
                note(wait);
                self.breaker.tell_of_wait(&error, wait);
                std::thread::sleep(wait);
                outage += wait;
                continue;
            }
            if let Some(wait) = backoff.next(&error) {
                let left = due.map(|due| due.saturating_duration_since(Instant::now()));
                if let Some(left) = left.filter(|left| wait >= *left) {
                    note(Duration::ZERO);
                    break Err(out_of_time(&error, wait, left));
                }
                note(wait);
                std::thread::sleep(wait);
                continue;
            }
            note(Duration::ZERO);
            if error.blame() != Blame::Service {
                break Err(error);
            }
            // As often as it may it has failed: is the service there?
            let asked = Instant::now();
            match self.ask(&call.model) {
                Ok(()) if doubted => break Err(error),
                // It may just have come back: the call gets all its attempts once more.
                Ok(()) => {
                    doubted = true;
                    backoff = Backoff::new(&self.settings, stream);
                }
                Err(refused) if refused.blame() == Blame::Setup => break Err(refused),
                Err(still) => match self.breaker.wait(&still, &mut || self.ask(&call.model)) {
                    Ok(_) => {
                        outage += asked.elapsed();
                        backoff = Backoff::new(&self.settings, stream);
                    }
                    Err(error) => break Err(error),
                },
            }
        };
        let cost = self.settings.price(&call.model).map(|price| usage.cost(price));
        let latency = start.elapsed().saturating_sub(outage);
        Outcome { result, usage, cost, tries, partial, latency, outage }
    }

    fn throttled(&self, error: &CallError, since: Duration, wait: Duration) -> CallError {
        let patience = self.settings.waits.patience.as_secs_f64();
        let message = format!(
            "{error}; the next attempt would wait {:.0} s after {:.0} s of waiting, and llm.patience is {patience} s",
            wait.as_secs_f64(),
            since.as_secs_f64()
        );
        CallError::new(Kind::Unavailable, message)
    }

    /// Whether the service answers at all: a call that takes next to nothing. What it answers does not matter, not even that it
    /// does not like the question. Its few tokens are in no account: rows are to be those of a search that met no outage.
    fn ask(&self, model: &str) -> Result<(), CallError> {
        let params = Limit::small(&self.settings);
        let call =
            Call { agent: Agent::Router, model: model.to_owned(), messages: vec![Message::user("Ready?")], params };
        let mut received = http::Received::default();
        let result = self.send(&call, &Begun::default(), None, &mut received);
        match result {
            Err(error) if matches!(error.kind, Kind::Status | Kind::Api) && error.blame() == Blame::Setup => Ok(()),
            Err(error) if error.blame() == Blame::Model => Ok(()),
            other => other.map(drop),
        }
    }

    fn attempt(
        &self,
        call: &Call,
        ledger: &Ledger,
        deadline: Option<Instant>,
        usage: &mut Usage,
        partial: &mut Option<String>,
        begun: &mut Begun,
    ) -> Result<Reply, CallError> {
        let guess = call.estimated_prompt_tokens();
        let prompt_tokens = self.counts.expected(&call.model, guess);
        let completion_tokens = limit::of(&call.params).unwrap_or(0);
        if let Some(context) = self.endpoint.context.filter(|context| prompt_tokens > *context) {
            let message = format!("the prompt has about {prompt_tokens} tokens, and the model's context {context}");
            return Err(CallError::new(Kind::Context, message));
        }
        let reservation = ledger.reserve(&call.model, prompt_tokens, completion_tokens, deadline)?;
        self.keep_pace(prompt_tokens);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(CallError::new(Kind::Deadline, "the time for this proposal is spent"));
        }
        let mut received = http::Received::default();
        let result = self.send(call, begun, left, &mut received);
        let counted = received.usage.unwrap_or_else(|| {
            // A server that answered with an error, or with anything but a reply, has done no work; one that broke off in its
            // reply has, and so has one that did not count.
            let completion = crate::call::estimated_tokens(received.text_bytes);
            let worked = received.text_bytes > 0 || result.is_ok();
            let prompt = if worked { prompt_tokens } else { 0 };
            Usage { prompt_tokens: prompt, completion_tokens: completion, estimated: worked, ..Usage::default() }
        });
        usage.add(&counted);
        reservation.settle(&counted);
        // What came before is not lost where the next attempt brings nothing at all.
        *partial = received.partial.or(partial.take()).filter(|_| result.is_err());
        if let Some(half) = received.begun.filter(|_| self.endpoint.continues != Continues::No) {
            *begun = half;
        }
        let reply = result.map_err(|mut error| {
            error.message = self.mask.scrub(&error.message);
            error
        })?;
        // The beginning of a reply is in no estimate of its prompt.
        if let Some(counted) = received.usage.filter(|_| begun.content.is_empty()) {
            self.counts.check(&call.model, guess, counted.prompt_tokens, self.settings.llm.check_prompt)?;
        }
        Ok(reply)
    }

    /// Waits until another request is within the limits of a minute. A reply takes as much again as its prompt, roughly.
    fn keep_pace(&self, prompt_tokens: u64) {
        loop {
            let wait = self.pace.claim(Instant::now(), prompt_tokens.saturating_mul(2));
            if wait.is_zero() {
                return;
            }
            std::thread::sleep(wait);
        }
    }

    /// How the service's counts of tokens differ from guesses at four bytes each, in words; none before it has counted.
    pub fn calibration(&self) -> Option<String> {
        self.counts.summary()
    }

    fn send(
        &self,
        call: &Call,
        begun: &Begun,
        left: Option<Duration>,
        received: &mut http::Received,
    ) -> Result<Reply, CallError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CallError::new(Kind::Setup, format!("no runtime for the connection: {error}")))?;
        let mut body = wire::body(&self.limit.apply(call), &self.settings);
        if !begun.content.is_empty() {
            body = wire::continued(body, begun, self.endpoint.continues);
        }
        let request = http::Request {
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: body.to_string(),
            first_byte: self.settings.waits.first_byte,
            idle: self.settings.waits.idle,
            total: [self.settings.waits.attempt, left].into_iter().flatten().min(),
            max_bytes: self.settings.llm.max_reply_bytes,
            max_text: limit::of(&call.params)
                .map_or(usize::MAX, |tokens| (tokens as usize).saturating_mul(LONGEST_TOKEN)),
            mask: self.mask.clone(),
            begun: begun.clone(),
        };
        let assembly = runtime.block_on(http::exchange(&self.http, request, received));
        // Name resolution runs on a thread that nothing can interrupt: do not wait for it.
        runtime.shutdown_background();
        assembly.map_err(|error| self.advise(error))?.into_reply()
    }

    /// What to do about the refusals that everybody meets once.
    fn advise(&self, mut error: CallError) -> CallError {
        let settings = &self.settings;
        let mentions = |word: &str| error.message.contains(word);
        let advice = match error.status {
            Some(401 | 403) if !self.keyed => {
                Some(format!("no key was sent: set the environment variable {}", self.endpoint.key_env))
            }
            Some(401 | 403) => Some(format!("is the key in {} the right one?", self.endpoint.key_env)),
            // A LiteLLM proxy without a database looks there for every key that is not its master key.
            Some(400) if mentions("No connected db") => {
                Some(format!("the proxy does not know the key; is the one in {} right?", self.endpoint.key_env))
            }
            _ if error.kind == Kind::Context => Some(
                "give the model a longer context (Ollama: num_ctx; llama.cpp: --ctx-size), or choose one that has it"
                    .to_owned(),
            ),
            Some(404) => Some(format!("is {} right, and does the server know the model?", self.endpoint.base_url)),
            Some(400 | 422) if mentions("stream_options") => Some("set llm.stream_usage = false".to_owned()),
            Some(400 | 422) if mentions("max_completion_tokens") => {
                Some("set llm.max_tokens_field = \"max_completion_tokens\"".to_owned())
            }
            Some(400 | 422) if mentions("temperature") && settings.llm.temperature.is_some() => {
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

/// Longest wait between two questions to a service that is away.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Bytes that no token exceeds, on average over a reply: more of them than this is more than the limit on tokens allows.
const LONGEST_TOKEN: usize = 16;

fn out_of_time(error: &CallError, wait: Duration, left: Duration) -> CallError {
    let message = format!(
        "{:.1} s are left for this proposal and the next attempt would wait {:.1} s; the last failed with {error}",
        left.as_secs_f64(),
        wait.as_secs_f64()
    );
    CallError::new(Kind::Deadline, message)
}

/// `base` with the path of chat completions, which it may already have.
fn address(base: &str) -> Result<reqwest::Url, CallError> {
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
            "llm.base_url must be free of user, password and query: the key belongs in the environment, the rest in llm.query".into(),
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
            assert_eq!(address(base).unwrap().as_str(), "http://h:1/v1/chat/completions");
        }
        for base in ["", "localhost:11434", "ftp://h/v1", "http://me:word@h/v1", "http://h/v1?api-key=abcdefgh"] {
            let error = address(base).unwrap_err();
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
