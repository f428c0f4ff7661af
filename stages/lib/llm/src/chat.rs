//! Who answers a call: a server, or a recording.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::budget::{Ledger, Spent};
use crate::call::{Call, Reply, Usage};
use crate::client::{Client, Outcome};
use crate::error::{CallError, Kind};
use crate::transcript::{Exchange, Place, Recorded, Recorder, now};

/// A reply or its failure, with what it took.
#[derive(Clone, Debug)]
pub struct Answer {
    pub result: Result<Reply, CallError>,
    pub usage: Usage,
    pub cost: Option<f64>,
}

impl Answer {
    fn failed(error: CallError) -> Self {
        Self { result: Err(error), usage: Usage::default(), cost: None }
    }

    fn of(exchange: &Exchange) -> Self {
        let result = match (&exchange.reply, &exchange.error) {
            (Some(reply), _) => Ok(reply.clone()),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err(CallError::new(Kind::Unrecorded, "the recorded exchange has neither reply nor error")),
        };
        Self { result, usage: exchange.usage, cost: exchange.cost }
    }
}

/// Something that answers calls.
pub trait Chat: Send + Sync {
    fn chat(&self, call: &Call, place: &Place, deadline: Instant) -> Answer;

    /// What the run has spent so far.
    fn spent(&self) -> Spent;
}

/// A server, whose every exchange is recorded.
#[derive(Debug)]
pub struct Live {
    client: Client,
    ledger: Ledger,
    recorder: Option<Recorder>,
    recorded: Recorded,
}

impl Live {
    /// `transcript`: where exchanges are recorded, and the exchanges of an interrupted run, which are not made again.
    pub fn new(client: Client, settings: &crate::Settings, transcript: Option<(Recorder, Recorded)>) -> Self {
        let (recorder, recorded) = transcript.unzip();
        let recorded = recorded.unwrap_or_default();
        Self { client, ledger: Ledger::new(settings, recorded.spent()), recorder, recorded }
    }
}

impl Chat for Live {
    fn chat(&self, call: &Call, place: &Place, deadline: Instant) -> Answer {
        let key = call.key();
        // Failures are not kept: a second run is a second chance.
        if let Some(exchange) = self.recorded.exact(&key, place).filter(|exchange| exchange.reply.is_some()) {
            return Answer::of(exchange);
        }
        let stream = format!("{}.{}", place.attempt, place.call);
        let Outcome { result, usage, cost, tries, latency } = self.client.chat(call, &stream, &self.ledger, deadline);
        let exchange = Exchange {
            key,
            place: *place,
            call: call.clone(),
            reply: result.as_ref().ok().cloned(),
            error: result.as_ref().err().cloned(),
            usage,
            cost,
            tries,
            latency_ms: latency.as_millis() as u64,
            time: now(),
        };
        if let Some(Err(error)) = self.recorder.as_ref().map(|recorder| recorder.append(&exchange)) {
            // a reply that no replay could repeat must not shape the search
            let message = format!("the exchange cannot be recorded: {error}");
            return Answer { result: Err(CallError::new(Kind::Setup, message)), usage, cost };
        }
        Answer { result, usage, cost }
    }

    fn spent(&self) -> Spent {
        self.ledger.spent()
    }
}

/// A recording in place of a server. Needs neither network nor key.
///
/// A call gets the reply that was recorded for it at the same place of the search. Where the places are numbered
/// otherwise, calls that are equal get their replies in the order of the recording.
#[derive(Debug)]
pub struct Replay {
    recorded: Recorded,
    used: Mutex<BTreeMap<String, usize>>,
}

impl Replay {
    pub fn new(recorded: Recorded) -> Self {
        Self { recorded, used: Mutex::new(BTreeMap::new()) }
    }
}

impl Chat for Replay {
    fn chat(&self, call: &Call, place: &Place, _deadline: Instant) -> Answer {
        let key = call.key();
        if let Some(exchange) = self.recorded.exact(&key, place) {
            return Answer::of(exchange);
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let occurrence = used.entry(key.clone()).or_default();
        match self.recorded.nth(&key, *occurrence) {
            Some(exchange) => {
                *occurrence += 1;
                Answer::of(exchange)
            }
            None => Answer::failed(self.recorded.missing(call, place)),
        }
    }

    fn spent(&self) -> Spent {
        self.recorded.spent()
    }
}
