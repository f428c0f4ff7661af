//! The exchanges of one attempt, in the order of its calls.

use llm::Exchange;

use super::account::Account;

/// One exchange, and whether a later one took its place.
pub struct Recorded {
    pub exchange: Exchange,
    /// The call was made again, and what came later counts.
    pub superseded: bool,
}

/// The exchanges of an attempt.
#[derive(Default)]
pub struct Calls(Vec<Recorded>);

impl Calls {
    /// The calls of one attempt; of several exchanges of one call those that came first stand first.
    pub fn of(exchanges: &[Exchange], attempt: i64) -> Self {
        let mut found: Vec<&Exchange> = exchanges.iter().filter(|exchange| exchange.place.attempt == attempt).collect();
        // Calls are numbered within their attempt; the sort keeps the order of the file.
        found.sort_by_key(|exchange| exchange.place.call);
        let later = found.iter().skip(1).map(Some).chain([None]);
        let superseded: Vec<bool> = found
            .iter()
            .zip(later)
            .map(|(exchange, later)| later.is_some_and(|later| later.place.call == exchange.place.call))
            .collect();
        let recorded = |(exchange, superseded): (&Exchange, bool)| Recorded { exchange: exchange.clone(), superseded };
        Self(found.into_iter().zip(superseded).map(recorded).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Recorded> {
        self.0.iter()
    }

    /// What all of them took.
    pub fn account(&self) -> Account {
        Account::of(self.iter().map(|recorded| &recorded.exchange))
    }

    /// The models that were asked, in the order of their first calls.
    pub fn models(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for recorded in self.iter() {
            let name = recorded.exchange.call.model.as_str();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// How many messages of a call stand at its beginning as they stood in an earlier one, and the number of that call.
    pub fn repeated(&self, index: usize) -> (usize, i64) {
        let Some(this) = self.0.get(index) else { return (0, 0) };
        let alike = |earlier: &Recorded| {
            let pairs = earlier.exchange.call.messages.iter().zip(&this.exchange.call.messages);
            pairs.take_while(|(a, b)| a == b).count()
        };
        let earlier = self.0.iter().take(index).map(|earlier| (alike(earlier), earlier.exchange.place.call));
        // Of equals the first: that is where the messages are shown.
        earlier.fold((0, 0), |best, next| if next.0 > best.0 { next } else { best })
    }
}

#[cfg(test)]
mod tests {
    use llm::{Agent, Call, Message, Place, Usage};

    use super::*;

    fn exchange(attempt: i64, call: i64, messages: &[&str]) -> Exchange {
        Exchange {
            key: "k".into(),
            place: Place { generation: 0, slot: 0, attempt, call },
            call: Call {
                agent: Agent::Writer,
                model: "m".into(),
                messages: messages.iter().map(|text| Message::user(*text)).collect(),
                params: serde_json::Map::new(),
            },
            reply: None,
            error: None,
            usage: Usage { prompt_tokens: 2, cached_tokens: (call == 0).then_some(1), ..Usage::default() },
            cost: (call == 1).then_some(0.5),
            partial: None,
            tries: Vec::new(),
            latency_ms: 1500,
            time: "t".into(),
        }
    }

    #[test]
    fn calls_are_in_order_and_know_what_took_their_place_and_what_they_repeat() {
        let recorded = [
            exchange(1, 1, &["a", "b"]),
            exchange(2, 0, &["z"]),
            exchange(1, 0, &["a"]),
            exchange(1, 1, &["a", "b"]),
            exchange(1, 2, &["a", "b", "c"]),
        ];
        let calls = Calls::of(&recorded, 1);
        let found: Vec<_> = calls.iter().map(|r| (r.exchange.place.call, r.superseded)).collect();
        assert_eq!(found, [(0, false), (1, true), (1, false), (2, false)]);
        assert_eq!((0..4).map(|index| calls.repeated(index)).collect::<Vec<_>>(), [(0, 0), (1, 0), (2, 1), (2, 1)]);
        let account = calls.account();
        assert_eq!((account.calls, account.failed, account.seconds, account.cost), (4, 4, 6.0, Some(1.0)));
        assert_eq!(account.tokens(), "8 prompt (1 cached), 0 completion");
        assert!(Calls::of(&recorded, 3).is_empty());
    }
}
