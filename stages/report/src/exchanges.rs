//! What a search asked its language models, and what they answered: `transcripts.jsonl` beside an archive.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use stage::table::limits::LINE;

/// The part of an exchange that a report shows; the whole is described in `schemas/transcript.schema.json`. What earlier
/// versions did not record is empty.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Exchange {
    pub attempt: i64,
    #[serde(default)]
    pub call: i64,
    #[serde(default)]
    pub agent: String,
    #[serde(default)]
    pub model: String,
    #[serde(default)]
    pub messages: Vec<Message>,
    #[serde(default)]
    pub reply: Option<Reply>,
    #[serde(default)]
    pub error: Option<Fault>,
    pub usage: Usage,
    pub cost: Option<f64>,
    /// Tries that failed and were repeated.
    #[serde(default)]
    pub tries: Vec<Fault>,
    pub latency_ms: u64,
}

/// A message of the prompt.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Message {
    pub role: String,
    pub content: String,
}

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Reply {
    pub text: String,
    #[serde(default)]
    pub reasoning: Option<String>,
}

/// Why a call failed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Fault {
    pub kind: String,
    pub message: String,
}

/// Tokens of one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    #[serde(default)]
    pub reasoning_tokens: Option<u64>,
    #[serde(default)]
    pub cached_tokens: Option<u64>,
    #[serde(default)]
    pub estimated: bool,
}

impl Usage {
    /// Tokens of prompt and completion.
    pub fn total(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

/// The exchanges of these attempts, in the order in which they were recorded; none where there is no file.
pub fn read(path: &Path, attempts: &BTreeSet<i64>) -> Result<Vec<Exchange>> {
    let named = || path.display().to_string();
    let mut found = Vec::new();
    if !path.is_file() {
        return Ok(found);
    }
    let mut file = BufReader::new(File::open(path).with_context(named)?);
    let mut line = Vec::new();
    for number in 0.. {
        line.clear();
        if file.by_ref().take(LINE as u64 + 1).read_until(b'\n', &mut line).with_context(named)? == 0 {
            break;
        }
        ensure!(line.len() <= LINE, "{}: line {}: more than {LINE} bytes", path.display(), number + 1);
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Exchange>(&line) {
            Ok(exchange) if attempts.contains(&exchange.attempt) => found.push(exchange),
            Ok(_) => {}
            // The trace of an interrupt: half a last line, which the next search removes.
            Err(error) if error.is_eof() => {}
            Err(error) => {
                return Err(error).with_context(|| format!("{}: line {}", path.display(), number + 1));
            }
        }
    }
    Ok(found)
}
