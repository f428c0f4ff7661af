//! When to try again.

use std::time::{Duration, SystemTime};

use reqwest::header::{self, HeaderMap};

use crate::error::CallError;
use crate::keyed;
use crate::settings::Settings;

/// The waits between the attempts of one call: exponential, with a jitter that is drawn from the run's seed, so that
/// many calls that failed together do not come back together, and yet a run repeats itself.
#[derive(Debug)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    retries: u32,
    done: u32,
    seed: u64,
    stream: String,
}

impl Backoff {
    /// The waits of one call, whose jitter is drawn from a stream of its own.
    pub fn new(settings: &Settings, stream: &str) -> Self {
        Self {
            base: settings.waits.backoff,
            max: settings.waits.backoff_max,
            retries: settings.llm.retries,
            done: 0,
            seed: settings.run_seed,
            stream: stream.to_owned(),
        }
    }

    /// The wait before the next attempt; none if there is to be no other.
    pub fn next(&mut self, error: &CallError) -> Option<Duration> {
        if self.done >= self.retries || !error.can_heal() {
            return None;
        }
        Some(self.wait(error))
    }

    /// The next wait, whether or not there may be another attempt.
    pub fn wait(&mut self, error: &CallError) -> Duration {
        let doubled = self.base.saturating_mul(1u32 << self.done.min(20)).min(self.max);
        let jitter = keyed::unit(self.seed, &["backoff", &self.stream, &self.done.to_string()]);
        self.done += 1;
        let wait = doubled.mul_f64(0.5 + 0.5 * jitter);
        // earlier than the server asks for would only be refused again
        wait.max(error.retry_after.unwrap_or_default())
    }
}

/// The wait that a server asks for, in milliseconds, in seconds or until a date. Dates are read against the server's own clock.
/// A gateway passes on what the service behind it asks for under a name of its own.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let named = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    for prefix in ["", "llm_provider-"] {
        let milliseconds = named(&format!("{prefix}retry-after-ms")).and_then(|value| value.parse::<f64>().ok());
        let exact = milliseconds.and_then(|value| Duration::try_from_secs_f64(value / 1000.0).ok());
        let wait = exact.or_else(|| wait(named(&format!("{prefix}retry-after"))?, headers));
        if wait.is_some() {
            return wait;
        }
    }
    None
}

/// A wait as one header says it.
fn wait(value: &str, headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let now = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_in_seconds_and_as_a_date() {
        let of = |pairs: &[_]| retry_after(&headers(pairs));
        assert_eq!(of(&[(header::RETRY_AFTER, "7")]), Some(Duration::from_secs(7)));
        assert_eq!(of(&[(header::RETRY_AFTER, "0.25")]), Some(Duration::from_millis(250)));
        let (date, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(of(&[(header::RETRY_AFTER, later), (header::DATE, date)]), Some(Duration::from_secs(30)));
        assert_eq!(of(&[(header::RETRY_AFTER, date)]), Some(Duration::ZERO));
        let named = |name: &'static str| header::HeaderName::from_static(name);
        assert_eq!(of(&[(named("retry-after-ms"), "1500")]), Some(Duration::from_millis(1500)));
        assert_eq!(of(&[(named("llm_provider-retry-after"), "3")]), Some(Duration::from_secs(3)));
        assert_eq!(of(&[(named("retry-after-ms"), "x"), (header::RETRY_AFTER, "2")]), Some(Duration::from_secs(2)));
        for bad in ["soon", "-3", "NaN", "1e400"] {
            assert_eq!(of(&[(header::RETRY_AFTER, bad)]), None, "{bad}");
        }
    }

    #[test]
    fn waits_grow_to_a_limit_and_repeat_for_a_seed() {
        let mut settings = Settings::default();
        settings.llm.retries = 6;
        let error = CallError::new(Kind::Transport, "");
        let waits = |stream: &str| {
            let mut backoff = Backoff::new(&settings, stream);
            std::iter::from_fn(|| backoff.next(&error)).collect::<Vec<_>>()
        };
        let first = waits("a");
        assert_eq!(first.len(), 6);
        assert_eq!(first, waits("a"));
        assert_ne!(first, waits("b"));
        for (n, wait) in first.iter().enumerate() {
            let full = settings.waits.backoff.mul_f64(f64::from(1 << n)).min(settings.waits.backoff_max);
            assert!(*wait >= full.mul_f64(0.5) && *wait <= full, "{n}: {wait:?}");
        }
    }

    #[test]
    fn the_server_may_ask_for_more_and_what_cannot_heal_is_left() {
        let mut backoff = Backoff::new(&Settings::default(), "a");
        let mut error = CallError::new(Kind::Status, "").with_status(Some(429));
        error.retry_after = Some(Duration::from_secs(99));
        assert_eq!(backoff.next(&error), Some(Duration::from_secs(99)));
        assert_eq!(backoff.next(&CallError::new(Kind::Status, "").with_status(Some(401))), None);
    }
}
