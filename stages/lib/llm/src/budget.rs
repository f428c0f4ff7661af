//! Tokens and money of a run, with hard limits.
//!
//! A call is paid for in advance: its prompt (guessed) and the longest reply that `max_tokens` allows are reserved, and
//! the difference is given back when the server has counted. With `max_tokens` set, a limit is therefore never exceeded
//! by more than the prompt's guess was off; without it, by no more than the replies that are under way.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use stage::config::ModelPrice;

use crate::call::Usage;
use crate::error::{CallError, Kind};
use crate::settings::Settings;

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Tokens of prompts and completions.
    pub tokens: u64,
    /// In the currency of the price table; calls to models without a price count nothing.
    pub cost: f64,
}

#[derive(Debug, Default)]
struct State {
    spent: Spent,
    reserved: Spent,
    pending: usize,
    /// The first refusal. Calls that would still fit are refused as well: a router's choice is worth nothing if there is
    /// no room left for the program.
    refusal: Option<CallError>,
}

/// The account of a run.
#[derive(Debug)]
pub struct Ledger {
    max_cost: Option<f64>,
    max_tokens: Option<u64>,
    prices: std::collections::BTreeMap<String, ModelPrice>,
    state: Mutex<State>,
    settled: Condvar,
}

impl Ledger {
    /// An account that starts with what the run has spent already.
    pub fn new(settings: &Settings, spent: Spent) -> Self {
        Self {
            max_cost: settings.llm.max_cost,
            max_tokens: settings.llm.max_tokens_total,
            prices: settings.llm.prices.clone(),
            state: Mutex::new(State { spent, ..State::default() }),
            settled: Condvar::new(),
        }
    }

    /// What was spent so far.
    pub fn spent(&self) -> Spent {
        self.lock().spent
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // a panic elsewhere leaves the numbers whole: each change is one statement
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for one call, or the error that ends the search. Waits for calls under way where their end may make room.
    pub(crate) fn reserve(
        &self,
        model: &str,
        prompt_tokens: u64,
        completion_tokens: u64,
        deadline: Option<Instant>,
    ) -> Result<Reservation<'_>, CallError> {
        let price = self.prices.get(model).copied();
        let usage = Usage { prompt_tokens, completion_tokens, ..Usage::default() };
        let amount = Spent { tokens: usage.total(), cost: price.map_or(0.0, |price| usage.cost(&price)) };
        let mut state = self.lock();
        loop {
            let State { spent, reserved, pending, refusal } = &*state;
            if let Some(refusal) = refusal {
                return Err(refusal.clone());
            }
            let sum = |held: Spent| Spent {
                tokens: spent.tokens.saturating_add(held.tokens).saturating_add(amount.tokens),
                cost: spent.cost + held.cost + amount.cost,
            };
            let Some(refusal) = self.exceeded(sum(*reserved), *spent) else { break };
            if *pending == 0 || self.exceeded(sum(Spent::default()), *spent).is_some() {
                state.refusal = Some(refusal.clone());
                return Err(refusal);
            }
            let Some(deadline) = deadline else {
                state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CallError::new(Kind::Deadline, "the time for this proposal is spent"));
            }
            state = self.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.reserved.tokens = state.reserved.tokens.saturating_add(amount.tokens);
        state.reserved.cost += amount.cost;
        state.pending += 1;
        Ok(Reservation { ledger: self, amount, price, open: true })
    }

    fn exceeded(&self, sum: Spent, spent: Spent) -> Option<CallError> {
        let refusal = match (self.max_tokens, self.max_cost) {
            (Some(max), _) if sum.tokens > max => {
                format!(
                    "{} of {max} tokens are spent, and the next call may need {}",
                    spent.tokens,
                    sum.tokens - spent.tokens
                )
            }
            (_, Some(max)) if sum.cost > max => {
                format!("{:.4} of {max} are spent, and the next call may cost {:.4}", spent.cost, sum.cost - spent.cost)
            }
            _ => return None,
        };
        Some(CallError::new(Kind::Budget, refusal))
    }

    fn close(&self, amount: Spent, spent: Spent) {
        let mut state = self.lock();
        state.pending = state.pending.saturating_sub(1);
        // with nothing pending nothing is reserved: rounding errors do not add up
        if state.pending == 0 {
            state.reserved = Spent::default();
        } else {
            state.reserved.tokens = state.reserved.tokens.saturating_sub(amount.tokens);
            state.reserved.cost -= amount.cost;
        }
        state.spent.tokens = state.spent.tokens.saturating_add(spent.tokens);
        state.spent.cost += spent.cost;
        drop(state);
        self.settled.notify_all();
    }
}

/// Room for one call; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    ledger: &'a Ledger,
    amount: Spent,
    price: Option<ModelPrice>,
    open: bool,
}

impl Reservation<'_> {
    /// The call is over and took this much.
    pub(crate) fn settle(mut self, usage: &Usage) {
        self.open = false;
        let spent = Spent { tokens: usage.total(), cost: self.price.map_or(0.0, |price| usage.cost(&price)) };
        self.ledger.close(self.amount, spent);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.open {
            self.ledger.close(self.amount, Spent::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ledger(max_tokens: Option<u64>, max_cost: Option<f64>) -> Ledger {
        let price = ModelPrice { input: 1e6, output: 2e6, cached_input: None };
        let mut settings = Settings::default();
        (settings.llm.max_cost, settings.llm.max_tokens_total) = (max_cost, max_tokens);
        settings.llm.prices = [("m".to_owned(), price)].into();
        Ledger::new(&settings, Spent { tokens: 10, cost: 10.0 })
    }

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(5))
    }

    fn usage(prompt_tokens: u64, completion_tokens: u64) -> Usage {
        Usage { prompt_tokens, completion_tokens, ..Usage::default() }
    }

    #[test]
    fn stops_before_the_call_that_might_exceed() {
        let ledger = ledger(Some(100), None);
        ledger.reserve("m", 50, 40, soon()).unwrap().settle(&usage(50, 10));
        assert_eq!(ledger.spent().tokens, 70);
        let error = ledger.reserve("m", 21, 10, soon()).unwrap_err();
        assert_eq!(error.kind, Kind::Budget);
        assert!(error.message.contains("70 of 100"), "{error}");
        // what would fit is refused too: the search is over
        assert_eq!(ledger.reserve("m", 1, 1, soon()).unwrap_err(), error);
        assert_eq!(ledger.spent().tokens, 70);
    }

    #[test]
    fn money_is_counted_per_model() {
        let ledger = ledger(None, Some(20.0));
        ledger.reserve("m", 2, 3, soon()).unwrap().settle(&usage(2, 3));
        assert_eq!(ledger.spent(), Spent { tokens: 15, cost: 18.0 });
        ledger.reserve("free", 1000, 1000, soon()).unwrap().settle(&usage(1000, 1000));
        assert_eq!(ledger.reserve("m", 1, 1, soon()).unwrap_err().kind, Kind::Budget);
    }

    #[test]
    fn waits_for_what_is_under_way() {
        let ledger = ledger(Some(100), None);
        let first = ledger.reserve("m", 60, 0, soon()).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| ledger.reserve("m", 60, 0, soon()).map(|r| r.settle(&usage(60, 0))));
            std::thread::sleep(Duration::from_millis(20));
            first.settle(&usage(5, 0));
            second.join().unwrap().unwrap();
        });
        assert_eq!(ledger.spent().tokens, 75);
    }

    #[test]
    fn waits_no_longer_than_the_deadline() {
        let ledger = ledger(Some(100), None);
        let _first = ledger.reserve("m", 60, 0, soon()).unwrap();
        let deadline = Some(Instant::now() + Duration::from_millis(20));
        assert_eq!(ledger.reserve("m", 60, 0, deadline).unwrap_err().kind, Kind::Deadline);
    }
}
