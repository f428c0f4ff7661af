//! One attempt of a recorded search: what was asked and answered, what it took, and what became of it.

mod account;
mod calls;
mod json;
mod page;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use llm::Exchange;
use stage::Usage;

use account::Account;
use calls::Calls;
use rows::Try;

const TRANSCRIPTS: &str = "transcripts.jsonl";

/// An attempt.
struct Attempt {
    /// The run's folder, or the file of transcripts, as it was given.
    source: String,
    number: i64,
    calls: Calls,
    /// The tries at a program, from the tables; empty where there is only a transcript.
    tries: Vec<Try>,
}

/// What is shown of: the folder of a run, or a file of transcripts.
struct Source {
    name: String,
    folder: Option<PathBuf>,
    /// In the order of the file; empty where no model was asked.
    exchanges: Vec<Exchange>,
}

/// Writes an attempt as a page in Markdown, or as one JSON object; without a number the list of all attempts. `transcripts`: where
/// the exchanges of a run are, if not in its folder.
///
/// # Errors
/// When the run cannot be read, or has no such attempt.
pub fn show(path: &Path, attempt: Option<&str>, transcripts: Option<&Path>, as_json: bool) -> anyhow::Result<String> {
    let source = Source::open(path, transcripts)?;
    let Some(attempt) = attempt else { return source.list(as_json) };
    let number: i64 = attempt
        .parse()
        .map_err(|_| Usage(format!("--show {} {attempt}: an attempt is a whole number", source.name)))?;
    let attempt = source.attempt(number)?;
    Ok(if as_json { json::attempt(&attempt)? } else { page::attempt(&attempt) })
}

impl Source {
    fn open(path: &Path, transcripts: Option<&Path>) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let (folder, file) = match path.is_dir() {
            true => (Some(path.to_owned()), path.join(TRANSCRIPTS)),
            false => (None, path.to_owned()),
        };
        let file = transcripts.map_or(file, Path::to_owned);
        let exchanges = match llm::exchanges(&file) {
            Ok(exchanges) => exchanges,
            // A search by the built-in proposer has none.
            Err(llm::TranscriptError::Io { source, .. })
                if folder.is_some() && transcripts.is_none() && source.kind() == std::io::ErrorKind::NotFound =>
            {
                Vec::new()
            }
            Err(error) => {
                return Err(error).context("--show takes the folder of a run, or its transcripts.jsonl");
            }
        };
        Ok(Self { name, folder, exchanges })
    }

    /// Numbers of attempts, each with the generation that it belongs to where exchanges tell.
    fn recorded(&self) -> BTreeMap<i64, i64> {
        self.exchanges.iter().map(|exchange| (exchange.place.attempt, exchange.place.generation)).collect()
    }

    fn attempt(self, number: i64) -> anyhow::Result<Attempt> {
        let generation = self.recorded().get(&number).copied();
        let tries = match &self.folder {
            Some(folder) => rows::of(folder, number, generation)?,
            None => Vec::new(),
        };
        let calls = Calls::of(&self.exchanges, number);
        if calls.is_empty() && tries.is_empty() {
            let known = self.numbers()?;
            let range = match (known.first(), known.last()) {
                (Some(first), Some(last)) if first == last => format!("it has attempt {first} alone"),
                (Some(first), Some(last)) => format!("its attempts are {first} to {last}"),
                _ => "it has none".to_owned(),
            };
            bail!(Usage(format!("--show {} {number}: there is no such attempt; {range}", self.name)));
        }
        Ok(Attempt { source: self.name, number, calls, tries })
    }

    /// The numbers of all attempts.
    fn numbers(&self) -> anyhow::Result<BTreeSet<i64>> {
        let mut numbers: BTreeSet<i64> = self.recorded().into_keys().collect();
        if let Some(folder) = &self.folder {
            numbers.extend(rows::outcomes(folder)?.into_keys());
        }
        Ok(numbers)
    }

    /// A line for each attempt.
    fn list(&self, as_json: bool) -> anyhow::Result<String> {
        let outcomes = match &self.folder {
            Some(folder) => rows::outcomes(folder)?,
            None => BTreeMap::new(),
        };
        let lines: Vec<(i64, Account, String)> = self
            .numbers()?
            .into_iter()
            .map(|number| {
                let account = Calls::of(&self.exchanges, number).account();
                (number, account, outcomes.get(&number).cloned().unwrap_or_default())
            })
            .collect();
        if lines.is_empty() {
            bail!("{}: there is no attempt in it: neither exchanges nor tables", self.name);
        }
        if as_json { json::list(&self.name, &lines) } else { Ok(page::list(&self.name, &lines)) }
    }
}
