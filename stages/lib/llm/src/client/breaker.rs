//! Waiting for a service that is away, all calls together.
//!
//! A call that failed as often as it may asks first whether the service answers at all. If it does, the fault is the call's.
//! If it does not, every call waits while one of them goes on asking, for as long as the user's patience lasts.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Blame, CallError, Kind};
use crate::keyed;

/// Who is told that the run waits, and that it goes on.
pub type Notice = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Debug, Clone)]
enum State {
    Closed,
    Open,
    /// Nobody waits any longer.
    Over(CallError),
}

/// Shorter waits are part of any conversation.
const WORTH_TELLING: Duration = Duration::from_secs(20);

/// The state of one service, as all calls see it.
pub struct Breaker {
    /// How the service is called in what is said.
    name: String,
    patience: Duration,
    first: Duration,
    longest: Duration,
    seed: u64,
    state: Mutex<State>,
    changed: Condvar,
    notice: Notice,
}

impl std::fmt::Debug for Breaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Breaker").field("name", &self.name).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Breaker {
    /// `first`, `longest`: waits between two questions; they double.
    pub fn new(
        name: String,
        patience: Duration,
        first: Duration,
        longest: Duration,
        seed: u64,
        notice: Notice,
    ) -> Self {
        let (state, changed) = (Mutex::new(State::Closed), Condvar::new());
        Self { name, patience, first, longest, seed, state, changed, notice }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the service is away, and tells for how long.
    ///
    /// # Errors
    /// Once nobody waits any longer.
    pub fn pass(&self) -> Result<Duration, CallError> {
        let began = Instant::now();
        let mut state = self.lock();
        while matches!(*state, State::Open) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match &*state {
            State::Over(error) => Err(error.clone()),
            _ => Ok(began.elapsed()),
        }
    }

    /// Says that a call waits because the service asks for it, where that takes long enough to wonder about.
    pub fn tell_of_wait(&self, error: &CallError, wait: Duration) {
        if wait >= WORTH_TELLING {
            (self.notice)(&format!("{} asks to wait for {} ({error})", self.name, words(wait)));
        }
    }

    /// The service did not answer a call and a question after it: waits until it does. The first that comes here asks.
    pub fn wait(
        &self,
        error: &CallError,
        ask: &mut dyn FnMut() -> Result<(), CallError>,
    ) -> Result<Duration, CallError> {
        {
            let mut state = self.lock();
            if !matches!(*state, State::Closed) {
                drop(state);
                return self.pass();
            }
            *state = State::Open;
        }
        let began = Instant::now();
        let until = words(self.patience);
        (self.notice)(&format!(
            "{} does not answer ({error}); waiting for it, for {until} at the most (llm.patience)",
            self.name
        ));
        let (end, mut last) = (began + self.patience, error.clone());
        let ended = loop_until(end, |asked| {
            let doubled = self.first.saturating_mul(1u32 << asked.min(16)).min(self.longest);
            let jitter = keyed::unit(self.seed, &["outage", &asked.to_string()]);
            let left = end.saturating_duration_since(Instant::now());
            std::thread::sleep(doubled.mul_f64(0.5 + 0.5 * jitter).max(last.retry_after.unwrap_or_default()).min(left));
            match ask() {
                Ok(()) => Some(None),
                Err(error) if error.blame() == Blame::Setup => Some(Some(error)),
                Err(error) => {
                    last = error;
                    None
                }
            }
        });
        let waited = words(began.elapsed());
        let error = match ended {
            Some(None) => {
                *self.lock() = State::Closed;
                self.changed.notify_all();
                (self.notice)(&format!("{} answers again, after {waited}", self.name));
                return Ok(began.elapsed());
            }
            Some(Some(error)) => error,
            None => {
                let message =
                    format!("{} has not answered for {waited} (llm.patience); the last time: {last}", self.name);
                CallError::new(Kind::Unavailable, message)
            }
        };
        *self.lock() = State::Over(error.clone());
        self.changed.notify_all();
        Err(error)
    }
}

/// Tries something, which gets the number of the try, until it gives something or the time is over.
fn loop_until<T>(end: Instant, mut attempt: impl FnMut(u32) -> Option<T>) -> Option<T> {
    let mut number = 0;
    while Instant::now() < end {
        let found = attempt(number);
        if found.is_some() {
            return found;
        }
        number += 1;
    }
    None
}

/// A time for people.
fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=119 => format!("{:.0} s", time.as_secs_f64()),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{:.1} h", time.as_secs_f64() / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn breaker(patience: u64) -> (Arc<Breaker>, Arc<Mutex<Vec<String>>>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let notice = {
            let said = Arc::clone(&said);
            Arc::new(move |text: &str| said.lock().unwrap().push(text.to_owned()))
        };
        let (first, longest) = (Duration::from_millis(2), Duration::from_millis(10));
        let breaker = Breaker::new("http://h".into(), Duration::from_millis(patience), first, longest, 0, notice);
        (Arc::new(breaker), said)
    }

    fn away() -> CallError {
        CallError::new(Kind::Connect, "refused")
    }

    #[test]
    fn one_asks_and_all_go_on_together() {
        let (breaker, said) = breaker(60_000);
        let asked = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let mut ask = || if asked.fetch_add(1, Ordering::SeqCst) < 4 { Err(away()) } else { Ok(()) };
                    breaker.wait(&away(), &mut ask).unwrap();
                    breaker.pass().unwrap();
                });
            }
        });
        // A thread that comes late finds the service there, and asks once more at the most.
        assert!((5..=10).contains(&asked.load(Ordering::SeqCst)), "{asked:?}");
        let said = said.lock().unwrap();
        assert!(said[0].contains("http://h does not answer (connect: refused)") && said[1].contains("answers again"));
    }

    #[test]
    fn patience_ends_for_all_and_stays_at_its_end() {
        let (breaker, said) = breaker(40);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let error = breaker.wait(&away(), &mut || Err(away())).unwrap_err();
                    assert_eq!((error.kind, error.ends_the_stage()), (Kind::Unavailable, true), "{error}");
                });
            }
        });
        assert_eq!(breaker.pass().unwrap_err().kind, Kind::Unavailable);
        assert_eq!(said.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_key_that_is_refused_ends_the_wait() {
        let (breaker, _) = breaker(60_000);
        let refused = || CallError::new(Kind::Setup, "wrong key");
        assert_eq!(breaker.wait(&away(), &mut || Err(refused())).unwrap_err(), refused());
    }
}
