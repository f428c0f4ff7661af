//! What answers a call: a server, or a recording.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::budget::{Ledger, Spent};
use crate::call::{Agent, Call, Finish, Reply};
use crate::client::{Client, Outcome};
use crate::error::{CallError, Kind};
use crate::transcript::{Exchange, Place, Recorded, Recorder, Taken};

/// A reply or its failure, with what it took.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The reply, or why there is none.
    pub result: Result<Reply, CallError>,
    /// Tokens, cost and time of all attempts at the call.
    pub taken: Taken,
    /// For how long the call had to wait for the service, which is not part of the proposal's time.
    pub outage: Duration,
}

impl Answer {
    fn new(result: Result<Reply, CallError>, taken: Taken) -> Self {
        Self { result, taken, outage: Duration::ZERO }
    }

    fn of(exchange: &Exchange, recorded: &Recorded) -> Self {
        let result = match (&exchange.reply, &exchange.error) {
            (Some(reply), _) => Ok(reply.clone()),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err(CallError::new(Kind::Unrecorded, "the recorded exchange has neither reply nor error")),
        };
        Self::new(result, recorded.taken(&exchange.key, &exchange.place))
    }
}

/// Something that answers calls.
pub trait Chat: Send + Sync {
    /// Answers the call that is made at this place of the search, by the deadline.
    fn chat(&self, call: &Call, place: &Place, deadline: Option<Instant>) -> Answer;

    /// What the run has spent so far.
    fn spent(&self) -> Spent;

    /// How the service's counts of tokens differ from guesses, in words.
    fn calibration(&self) -> Option<String> {
        None
    }

    /// Whether attempts may be made side by side. If not, their order is part of the answers.
    fn side_by_side(&self) -> bool {
        true
    }
}

/// A server, whose every exchange is recorded.
#[derive(Debug)]
pub struct Live {
    client: Arc<Client>,
    /// The clients of agents that ask a server of their own.
    others: BTreeMap<Agent, Arc<Client>>,
    ledger: Ledger,
    recorder: Option<Recorder>,
    recorded: Recorded,
}

impl Live {
    /// `transcript`: where exchanges are recorded, and the exchanges of an interrupted run, which are not made again.
    pub fn new(
        client: impl Into<Arc<Client>>,
        settings: &crate::Settings,
        transcript: Option<(Recorder, Recorded)>,
    ) -> Self {
        let (recorder, recorded) = transcript.unzip();
        let recorded = recorded.unwrap_or_default();
        let ledger = Ledger::new(settings, recorded.spent());
        Self { client: client.into(), others: BTreeMap::new(), ledger, recorder, recorded }
    }

    /// With clients for agents that ask a server of their own. Agents that ask the same one share a client, and with it the limits
    /// of a minute and the wait for a server that is away.
    pub fn with(self, others: BTreeMap<Agent, Arc<Client>>) -> Self {
        Self { others, ..self }
    }

    fn client(&self, agent: Agent) -> &Client {
        self.others.get(&agent).unwrap_or(&self.client)
    }
}

impl Chat for Live {
    fn chat(&self, call: &Call, place: &Place, deadline: Option<Instant>) -> Answer {
        let key = call.key();
        // What the model has answered is kept, also where it has declined. The service's faults are not: a second run is a
        // second chance.
        let answered = |exchange: &&Exchange| {
            exchange.reply.is_some() || exchange.error.as_ref().is_some_and(|error| error.kind.is_an_answer())
        };
        if let Some(exchange) = self.recorded.exact(&key, place).filter(answered) {
            return Answer::of(exchange, &self.recorded);
        }
        let stream = format!("{}.{}", place.attempt, place.call);
        let outcome = self.client(call.agent).chat(call, &stream, &self.ledger, deadline);
        let Outcome { result, usage, cost, tries, partial, latency, outage } = outcome;
        let exchange = Exchange {
            key,
            place: *place,
            call: call.clone(),
            reply: result.as_ref().ok().cloned(),
            error: result.as_ref().err().cloned(),
            usage,
            cost,
            partial,
            tries,
            latency_ms: latency.as_millis() as u64,
            time: stage::time::utc(SystemTime::now()),
        };
        let mut taken = self.recorded.taken(&exchange.key, place);
        taken.add(&Taken { usage, cost, latency_ms: exchange.latency_ms });
        if let Some(Err(error)) = self.recorder.as_ref().map(|recorder| recorder.append(&exchange)) {
            // a reply that no replay could repeat must not shape the search
            let message = format!("the exchange cannot be recorded: {error}");
            return Answer::new(Err(CallError::new(Kind::Setup, message)), taken);
        }
        Answer { result, taken, outage }
    }

    fn spent(&self) -> Spent {
        self.ledger.spent()
    }

    fn calibration(&self) -> Option<String> {
        let mut all: Vec<&Arc<Client>> = vec![&self.client];
        for client in self.others.values() {
            if all.iter().all(|known| !Arc::ptr_eq(known, client)) {
                all.push(client);
            }
        }
        let all: Vec<String> = all.into_iter().filter_map(|client| client.calibration()).collect();
        Some(all.join("; ")).filter(|text| !text.is_empty())
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
    /// Answers with what was recorded.
    pub fn new(recorded: Recorded) -> Self {
        Self { recorded, used: Mutex::new(BTreeMap::new()) }
    }
}

impl Chat for Replay {
    fn chat(&self, call: &Call, place: &Place, _deadline: Option<Instant>) -> Answer {
        let key = call.key();
        if let Some(exchange) = self.recorded.exact(&key, place) {
            return Answer::of(exchange, &self.recorded);
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let occurrence = used.entry(key.clone()).or_default();
        match self.recorded.nth(&key, *occurrence) {
            Some(exchange) => {
                *occurrence += 1;
                Answer::of(exchange, &self.recorded)
            }
            None => Answer::new(Err(self.recorded.missing(call, place)), Taken::default()),
        }
    }

    fn spent(&self) -> Spent {
        self.recorded.spent()
    }

    /// Equal prompts get their replies in the order in which they are asked.
    fn side_by_side(&self) -> bool {
        false
    }
}

/// Nobody: the calls are kept to be looked at. The router's and the critic's replies are placeholders, and there is no
/// program, so that each attempt asks every agent once.
#[derive(Debug, Default)]
pub struct Dry {
    calls: Asked,
}

/// The first of the factors that a router may choose from: its prompt names them in quotation marks and capitals.
fn first_factor(call: &Call) -> &str {
    let asked = call.messages.last().and_then(|message| message.content.rsplit_once("\"factor\""));
    let quoted = asked.map_or("", |(_, rest)| rest).split('"').skip(1).step_by(2);
    let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, ' ' | '_' | '-');
    quoted.into_iter().find(|name| !name.is_empty() && name.chars().all(capital)).unwrap_or("OPERATOR")
}

/// The calls that nobody answered.
pub type Asked = Arc<Mutex<Vec<(Place, Call)>>>;

impl Dry {
    /// And where its calls will be.
    pub fn new() -> (Self, Asked) {
        let dry = Self::default();
        let calls = Arc::clone(&dry.calls);
        (dry, calls)
    }
}

impl Chat for Dry {
    fn chat(&self, call: &Call, place: &Place, _deadline: Option<Instant>) -> Answer {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push((*place, call.clone()));
        let text = match call.agent {
            Agent::Router => {
                format!(r#"{{"factor": "{}", "reason": "a placeholder: nobody was asked"}}"#, first_factor(call))
            }
            Agent::Critic => "(here stands what the critic will write)".to_owned(),
            Agent::Writer => {
                let error = CallError::new(Kind::Empty, "a dry run asks nobody");
                return Answer::new(Err(error), Taken::default());
            }
        };
        let reply = Reply { text, reasoning: None, finish: Finish::Stop, served_by: None };
        Answer::new(Ok(reply), Taken::default())
    }

    fn spent(&self) -> Spent {
        Spent::default()
    }

    fn side_by_side(&self) -> bool {
        false
    }
}
