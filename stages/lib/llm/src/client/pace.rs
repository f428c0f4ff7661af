//! Limits on requests and tokens a minute, kept before the service has to refuse.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);

/// The requests of the last minute, with their tokens as far as they are known.
#[derive(Debug, Default)]
pub struct Pace {
    requests: Option<u32>,
    tokens: Option<u64>,
    made: Mutex<VecDeque<(Instant, u64)>>,
}

impl Pace {
    pub fn new(requests: Option<u32>, tokens: Option<u64>) -> Self {
        Self { requests, tokens, made: Mutex::default() }
    }

    /// How long a request of so many tokens has to wait at `now`; zero takes its place among those that are made. One that is
    /// larger than the limit by itself is made when it is alone.
    pub fn claim(&self, now: Instant, tokens: u64) -> Duration {
        if self.requests.is_none() && self.tokens.is_none() {
            return Duration::ZERO;
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        while made.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW) {
            made.pop_front();
        }
        let sum: u64 = made.iter().map(|(_, tokens)| *tokens).sum();
        let many = self.requests.is_some_and(|most| made.len() >= most.max(1) as usize);
        let much = self.tokens.is_some_and(|most| sum.saturating_add(tokens) > most);
        match made.front() {
            Some((oldest, _)) if many || much => {
                (WINDOW - now.saturating_duration_since(*oldest)).max(Duration::from_millis(1))
            }
            _ => {
                made.push_back((now, tokens));
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_holds_so_many_and_no_more() {
        let (pace, start) = (Pace::new(Some(2), None), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!((pace.claim(at(0), 5), pace.claim(at(10), 5)), (Duration::ZERO, Duration::ZERO));
        assert_eq!(pace.claim(at(20), 5), Duration::from_secs(40));
        assert_eq!(pace.claim(at(60), 5), Duration::ZERO);
        assert_eq!(pace.claim(at(61), 5), Duration::from_secs(9));
    }

    #[test]
    fn tokens_count_and_a_giant_is_let_through_alone() {
        let (pace, start) = (Pace::new(None, Some(100)), Instant::now());
        assert_eq!(pace.claim(start, 500), Duration::ZERO);
        assert_eq!(pace.claim(start, 1), WINDOW);
        assert_eq!(pace.claim(start + WINDOW, 60), Duration::ZERO);
        assert_eq!(pace.claim(start + WINDOW, 40), Duration::ZERO);
        assert!(pace.claim(start + WINDOW, 1) > Duration::ZERO);
    }
}
