//! `transcripts.jsonl`: every exchange with a model, one JSON object a line.
//!
//! The file is appended to after each exchange and synced, so that an interrupt costs at most the calls under way: when
//! the search goes on, a call that has its reply in the file is not made again. The same file, given to a replay,
//! takes the place of the models. The API key never gets here: replies and errors are scrubbed before.
//!
//! One process records at a time: a second one waits for its turn and then finds the replies that the first one has
//! paid for. Lines are only ever appended, so that even where locks do not work (some network file systems) no process
//! writes over what another one has recorded.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::budget::Spent;
use crate::call::{Call, Reply, Usage};
use crate::error::{CallError, Kind};

/// An attempt at a call that failed, and the wait after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Try {
    /// Why it failed.
    #[serde(flatten)]
    pub error: CallError,
    /// Milliseconds.
    pub waited_ms: u64,
}

/// Which call of the search this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Place {
    /// Generation of the search, from 0.
    pub generation: i64,
    /// Place within the generation, from 0.
    pub slot: i64,
    /// Number of the attempt within the run.
    pub attempt: i64,
    /// Number of the call within the attempt.
    pub call: i64,
}

/// An exchange with a language model: a line of `transcripts.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Exchange {
    /// [`Call::key`].
    pub key: String,
    /// Which call of the search it is.
    #[serde(flatten)]
    pub place: Place,
    /// What was asked.
    #[serde(flatten)]
    pub call: Call,
    /// The reply; none if the call failed for good.
    pub reply: Option<Reply>,
    /// Why it failed for good.
    pub error: Option<CallError>,
    /// Tokens.
    pub usage: Usage,
    /// In the currency of the price table; none for models without a price.
    pub cost: Option<f64>,
    /// The text of a reply that did not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
    /// Attempts that failed, in order.
    #[serde(default)]
    pub tries: Vec<Try>,
    /// Milliseconds from the first request to the end of the reply, waits and repeats included.
    pub latency_ms: u64,
    /// When the exchange ended, UTC.
    pub time: String,
}

/// What is wrong with a file of transcripts.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is not an exchange.
    #[error("{}: line {line}: not an exchange: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// Why it cannot be read.
        source: serde_json::Error,
    },
}

/// Recorded exchanges, by what they answer.
#[derive(Debug, Default)]
pub struct Recorded {
    name: String,
    /// The exchanges; of several records of the same call the last one, whose reply the tables were made from.
    exchanges: BTreeMap<(i64, i64, String), Exchange>,
    /// The places of each key, in ascending order.
    by_key: BTreeMap<String, Vec<(i64, i64)>>,
    /// What each call took over all its records: an exchange that failed was paid for as well.
    taken: BTreeMap<(i64, i64, String), Taken>,
    spent: Spent,
    lines: usize,
}

/// What a call took, over all that was recorded of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Taken {
    /// Tokens of all attempts.
    pub usage: Usage,
    /// In the currency of the price table; `None` where no model had a price.
    pub cost: Option<f64>,
    /// Milliseconds, waits and repeats included, of all records together.
    pub latency_ms: u64,
}

impl Taken {
    pub(crate) fn add(&mut self, other: &Taken) {
        self.usage.add(&other.usage);
        self.latency_ms = self.latency_ms.saturating_add(other.latency_ms);
        self.cost = match (self.cost, other.cost) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0.0) + b.unwrap_or(0.0)),
        };
    }
}

/// All exchanges of a file in the order in which they were recorded, those that were superseded, too. A last line without
/// its end is the trace of an interrupt, and no exchange.
pub fn exchanges(path: &Path) -> Result<Vec<Exchange>, TranscriptError> {
    let text = std::fs::read(path).map_err(|source| TranscriptError::Io { path: path.to_owned(), source })?;
    let mut found = Vec::new();
    lines(&text, path, |exchange| found.push(exchange))?;
    Ok(found)
}

fn lines(text: &[u8], path: &Path, mut each: impl FnMut(Exchange)) -> Result<(), TranscriptError> {
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else { break };
        if line.trim_ascii().is_empty() {
            continue;
        }
        let wrong = |source| TranscriptError::Line { path: path.to_owned(), line: number + 1, source };
        each(serde_json::from_slice(line).map_err(wrong)?);
    }
    Ok(())
}

impl Recorded {
    /// Reads a file. A last line without its end is the trace of an interrupt, and no exchange.
    pub fn read(path: &Path) -> Result<Self, TranscriptError> {
        let text = std::fs::read(path).map_err(|source| TranscriptError::Io { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    fn parse(text: &[u8], path: &Path) -> Result<Self, TranscriptError> {
        let mut recorded = Self { name: path.display().to_string(), ..Self::default() };
        lines(text, path, |exchange| recorded.insert(exchange))?;
        Ok(recorded)
    }

    fn insert(&mut self, exchange: Exchange) {
        self.lines += 1;
        self.spent.tokens = self.spent.tokens.saturating_add(exchange.usage.total());
        self.spent.cost += exchange.cost.unwrap_or(0.0);
        let place = (exchange.place.attempt, exchange.place.call);
        let places = self.by_key.entry(exchange.key.clone()).or_default();
        if let Err(at) = places.binary_search(&place) {
            places.insert(at, place);
        }
        let at = (place.0, place.1, exchange.key.clone());
        let taken = Taken { usage: exchange.usage, cost: exchange.cost, latency_ms: exchange.latency_ms };
        self.taken.entry(at.clone()).or_default().add(&taken);
        self.exchanges.insert(at, exchange);
    }

    /// What the call of an exchange took over all its records.
    pub fn taken(&self, key: &str, place: &Place) -> Taken {
        self.taken.get(&(place.attempt, place.call, key.to_owned())).copied().unwrap_or_default()
    }

    /// What all exchanges took, also those that were superseded: they were paid for.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// Exchanges in the file.
    pub fn len(&self) -> usize {
        self.lines
    }

    /// Whether there is no exchange in the file.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// The exchange of this very call at this very place.
    pub fn exact(&self, key: &str, place: &Place) -> Option<&Exchange> {
        self.exchanges.get(&(place.attempt, place.call, key.to_owned()))
    }

    /// The `occurrence`-th exchange with this key, in the order of attempts and calls.
    pub fn nth(&self, key: &str, occurrence: usize) -> Option<&Exchange> {
        let place = self.by_key.get(key)?.get(occurrence)?;
        self.exchanges.get(&(place.0, place.1, key.to_owned()))
    }

    /// Why there is no reply for a call, with the first difference to what was asked at the same place.
    pub fn missing(&self, call: &Call, place: &Place) -> CallError {
        let range = (place.attempt, place.call, String::new())..(place.attempt, place.call + 1, String::new());
        let near = self.exchanges.range(range).next_back().map(|(_, exchange)| exchange);
        let hint = match near {
            Some(exchange) => difference(&exchange.call, call),
            None => format!("it holds {} exchanges, none at this place", self.lines),
        };
        let message = format!(
            "{} has no reply for the {}'s prompt of attempt {}, call {}: {hint}",
            self.name,
            call.agent.as_str(),
            place.attempt,
            place.call
        );
        CallError::new(Kind::Unrecorded, message)
    }
}

/// The first way in which two calls differ.
fn difference(recorded: &Call, now: &Call) -> String {
    if recorded.agent != now.agent {
        return format!("the recorded call was the {}'s", recorded.agent.as_str());
    }
    if recorded.model != now.model {
        return format!("the recorded call was to the model {}, this one is to {}", recorded.model, now.model);
    }
    if recorded.params != now.params {
        let text = |call: &Call| serde_json::Value::Object(call.params.clone()).to_string();
        return format!("the recorded parameters were {}, these are {}", text(recorded), text(now));
    }
    for (number, (a, b)) in recorded.messages.iter().zip(&now.messages).enumerate() {
        let mut lines = a.content.lines().zip(b.content.lines()).zip(1..);
        if let Some(((was, is), line)) = lines.find(|((was, is), _)| was != is) {
            let (was, is) = (crate::error::excerpt(was, 80), crate::error::excerpt(is, 80));
            return format!("message {}, line {line} was {was:?} and is {is:?}", number + 1);
        }
        if a != b {
            return format!("message {} has another length", number + 1);
        }
    }
    "the recorded conversation has another length".to_owned()
}

/// Appends exchanges to a file.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: Mutex<File>,
}

impl Recorder {
    /// Opens or creates the file, removes what an interrupt has left of a last line, and reads the rest. The file is this
    /// recorder's until it is dropped, or the process ends in whatever way: another one waits for that, after `on_wait`
    /// has been told.
    pub fn open(path: &Path, on_wait: impl FnOnce()) -> Result<(Self, Recorded), TranscriptError> {
        let io = |source| TranscriptError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(io)?;
        lock(&file, on_wait).map_err(io)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let recorded = Recorded::parse(text.get(..whole).unwrap_or_default(), path)?;
        if whole < text.len() {
            file.set_len(whole as u64).map_err(io)?;
        }
        Ok((Self { path: path.to_owned(), file: Mutex::new(file) }, recorded))
    }

    /// Writes one line, as a whole, down to the disk.
    pub fn append(&self, exchange: &Exchange) -> Result<(), TranscriptError> {
        let io = |source| TranscriptError::Io { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(exchange).map_err(|error| io(error.into()))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let start = file.metadata().map_err(io)?.len();
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(|error| {
            // Half a line in the middle of the file would make all of it unreadable.
            let _ = file.set_len(start);
            io(error)
        })
    }
}

/// Makes an open file this process's own. The system gives it up when the process ends, even if it is killed.
fn lock(file: &File, on_wait: impl FnOnce()) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            on_wait();
            file.lock()
        }
        // Some file systems have no locks; appending is safe without one as far as it can be.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::call::{Agent, Finish, Message};

    fn exchange(prompt: &str, attempt: i64, reply: &str) -> Exchange {
        let call = Call {
            agent: Agent::Writer,
            model: "m".into(),
            messages: vec![Message::system("s"), Message::user(prompt)],
            params: serde_json::Map::new(),
        };
        let reply = Reply { text: reply.into(), reasoning: None, finish: Finish::Stop, served_by: None };
        Exchange {
            key: call.key(),
            place: Place { generation: 0, slot: attempt, attempt, call: 0 },
            call,
            reply: Some(reply),
            error: None,
            usage: Usage { prompt_tokens: 7, completion_tokens: 3, ..Usage::default() },
            cost: Some(0.5),
            partial: None,
            tries: vec![Try { error: CallError::new(Kind::Timeout, "slow"), waited_ms: 3 }],
            latency_ms: 12,
            time: stage::time::utc(SystemTime::now()),
        }
    }

    fn text(exchange: &Exchange) -> &str {
        exchange.reply.as_ref().map_or("", |reply| &reply.text)
    }

    #[test]
    fn written_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("transcripts.jsonl");
        let (recorder, recorded) = Recorder::open(&path, || ()).unwrap();
        assert!(recorded.is_empty());
        for e in
            [exchange("same", 4, "b"), exchange("same", 1, "a"), exchange("same", 4, "c"), exchange("other", 2, "d")]
        {
            recorder.append(&e).unwrap();
        }
        let recorded = Recorded::read(&path).unwrap();
        let first = exchange("same", 4, "");
        assert_eq!(text(recorded.exact(&first.key, &first.place).unwrap()), "c");
        assert_eq!(text(recorded.nth(&first.key, 0).unwrap()), "a");
        assert_eq!(text(recorded.nth(&first.key, 1).unwrap()), "c");
        assert!(recorded.nth(&first.key, 2).is_none());
        assert_eq!((recorded.len(), recorded.spent()), (4, Spent { tokens: 40, cost: 2.0 }));
        assert_eq!(recorded.nth(&first.key, 0).unwrap().tries[0].error.kind, Kind::Timeout);
    }

    #[test]
    fn half_a_last_line_is_removed_and_half_a_line_within_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("transcripts.jsonl");
        let line = serde_json::to_string(&exchange("p", 0, "größe")).unwrap();
        std::fs::write(&path, format!("{line}\n{}", &line[..40])).unwrap();
        let (recorder, recorded) = Recorder::open(&path, || ()).unwrap();
        assert_eq!(recorded.len(), 1);
        recorder.append(&exchange("q", 1, "y")).unwrap();
        assert_eq!(Recorded::read(&path).unwrap().len(), 2);
        std::fs::write(&path, format!("{line}\n{}\n{line}\n", &line[..40])).unwrap();
        let error = Recorded::read(&path).unwrap_err().to_string();
        assert!(error.contains("transcripts.jsonl: line 2: not an exchange"), "{error}");
    }

    #[test]
    fn a_second_recorder_waits_and_finds_what_the_first_one_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("transcripts.jsonl");
        let (first, _) = Recorder::open(&path, || ()).unwrap();
        let (waiting, waits) = std::sync::mpsc::channel();
        let second = {
            let path = path.clone();
            std::thread::spawn(move || Recorder::open(&path, || waiting.send(()).unwrap()).unwrap())
        };
        waits.recv().unwrap();
        first.append(&exchange("p", 0, "a")).unwrap();
        drop(first);
        let (second, recorded) = second.join().unwrap();
        assert_eq!(recorded.len(), 1);
        second.append(&exchange("p", 1, "b")).unwrap();
        assert_eq!(Recorded::read(&path).unwrap().len(), 2);
    }

    #[test]
    fn writers_without_a_lock_do_not_write_over_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("transcripts.jsonl");
        let (ours, _) = Recorder::open(&path, || ()).unwrap();
        let line = serde_json::to_string(&exchange("theirs", 1, "b")).unwrap() + "\n";
        for attempt in 0..8 {
            ours.append(&exchange("ours", attempt, "a")).unwrap();
            OpenOptions::new().append(true).open(&path).unwrap().write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(Recorded::read(&path).unwrap().len(), 16);
    }

    #[test]
    fn a_missing_reply_says_what_differs() {
        let mut recorded = Recorded { name: "t.jsonl".into(), ..Recorded::default() };
        recorded.insert(exchange("one\ntwo", 5, "x"));
        let now = exchange("one\n2", 5, "");
        let error = recorded.missing(&now.call, &now.place);
        assert_eq!(error.kind, Kind::Unrecorded);
        assert!(error.message.contains("attempt 5, call 0: message 2, line 2 was \"two\" and is \"2\""), "{error}");
        let other = Call { model: "n".into(), ..now.call.clone() };
        assert!(recorded.missing(&other, &now.place).message.contains("to the model m, this one is to n"));
        let elsewhere = Place { attempt: 6, ..now.place };
        assert!(recorded.missing(&now.call, &elsewhere).message.contains("none at this place"));
    }
}
