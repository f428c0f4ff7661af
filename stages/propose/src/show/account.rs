//! What calls took, summed up.

use llm::{Exchange, Usage};
use serde::Serialize;

/// Tokens, money and time of some exchanges. Each exchange counts, also one that was made again later: it was paid for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Account {
    pub calls: usize,
    /// How many of these calls got no reply.
    pub failed: usize,
    /// Tries within calls that failed and were repeated.
    pub failed_tries: usize,
    #[serde(flatten)]
    pub usage: Usage,
    /// Calls whose tokens the server did not count.
    pub estimated_calls: usize,
    /// In the currency of the price table; none where no call has a price.
    pub cost: Option<f64>,
    /// Seconds of waiting for replies, added up.
    pub seconds: f64,
}

impl Account {
    pub fn of<'a>(exchanges: impl IntoIterator<Item = &'a Exchange>) -> Self {
        let mut account = Self::default();
        let mut milliseconds: u64 = 0;
        for exchange in exchanges {
            account.calls += 1;
            account.failed += usize::from(exchange.reply.is_none());
            account.failed_tries += exchange.tries.len();
            account.usage.add(&exchange.usage);
            account.estimated_calls += usize::from(exchange.usage.estimated);
            if let Some(cost) = exchange.cost {
                account.cost = Some(account.cost.unwrap_or(0.0) + cost);
            }
            milliseconds = milliseconds.saturating_add(exchange.latency_ms);
        }
        account.seconds = milliseconds as f64 / 1000.0;
        account
    }

    /// Tokens in words: `1200 prompt (1000 cached), 300 completion (200 reasoning), 1 call estimated`.
    pub fn tokens(&self) -> String {
        let note = match self.estimated_calls {
            0 => String::new(),
            1 if self.calls == 1 => ", estimated".to_owned(),
            n => format!(", of {n} calls estimated"),
        };
        format!("{}{note}", tokens(&self.usage))
    }

    /// Money in words.
    pub fn money(&self) -> String {
        self.cost.map_or_else(|| "not known (no price in llm.prices)".to_owned(), |cost| format!("{cost:.6}"))
    }
}

/// The tokens of a call in words.
fn tokens(usage: &Usage) -> String {
    let part = |tokens: Option<u64>, name: &str| tokens.map_or_else(String::new, |n| format!(" ({n} {name})"));
    format!(
        "{} prompt{}, {} completion{}",
        usage.prompt_tokens,
        part(usage.cached_tokens, "cached"),
        usage.completion_tokens,
        part(usage.reasoning_tokens, "reasoning")
    )
}
