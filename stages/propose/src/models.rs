//! Language models as proposers: the settings resolved, the checker that they answer to, and where exchanges are kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use anyhow::bail;
use llm::{
    Agent, Call, CallError, Chat, Client, Curves, Dry, Endpoint, Known, Live, Notice, Prompts, ProposedRow, Recorded,
    Recorder, Replay, Secret, Settings, Shared, Spent, TaskFacts,
};
use schemas::DiagnosisRow;
use search::diagnosis::Diagnosis;
use search::generation::Generation;
use search::population::Population;
use serde_json::Value;
use stage::table::{Extra, read_records};
use stage::{Config, Row, Table, Usage};

use crate::args::Args;
use crate::language::Language;
use crate::plan::Plan;
use crate::proposers::Made;

/// A server, its exchanges recorded.
pub fn live(args: &Args, config: &Config, population: &Population<'_>) -> anyhow::Result<Arc<Shared>> {
    let settings = valid(config)?;
    // One client for each server, whoever asks it.
    let usual = Arc::new(client(args, &settings, &settings.endpoint)?);
    let mut made = vec![(&settings.endpoint, Arc::clone(&usual))];
    let mut others = BTreeMap::new();
    for (agent, endpoint) in &settings.agent_endpoints {
        let known = made.iter().find(|(at, _)| *at == endpoint).map(|(_, client)| Arc::clone(client));
        let client = match known {
            Some(client) => client,
            None => Arc::new(client(args, &settings, endpoint)?),
        };
        made.push((endpoint, Arc::clone(&client)));
        others.insert(*agent, client);
    }
    let transcript = match transcripts(args) {
        Some(path) => Some(Recorder::open(&path, || {
            let what = format!("{}: another process is recording there; waiting for its end", path.display());
            args.common.progress("propose", 0).say(&what);
        })?),
        None => None,
    };
    let chat = Live::new(usual, &settings, transcript).with(others);
    let prompts = Prompts::load(settings.prompts())?;
    shared(args, config, population, settings, prompts, Box::new(chat))
}

/// What asks a server.
pub fn client(args: &Args, settings: &Settings, endpoint: &Endpoint) -> anyhow::Result<Client> {
    Ok(Client::new(settings, endpoint, Secret::from_env(&endpoint.key_env), notice(args))?)
}

/// Tells on the terminal, or in the log, that the run waits for the server.
fn notice(args: &Args) -> Notice {
    let progress = args.common.progress("propose", 0);
    Arc::new(move |text: &str| progress.say(text))
}

/// A recording in place of the server.
pub fn replay(args: &Args, config: &Config, population: &Population<'_>) -> anyhow::Result<Arc<Shared>> {
    let Some(path) = transcripts(args) else {
        return Err(Usage("a replay needs its recording: give --transcripts FILE".to_owned()).into());
    };
    let recorded = Recorded::read(&path)?;
    if recorded.is_empty() {
        bail!("{}: there is no exchange in it", path.display());
    }
    let settings = valid(config)?;
    let prompts = Prompts::load(settings.prompts())?;
    shared(args, config, population, settings, prompts, Box::new(Replay::new(recorded)))
}

/// The prompts of a generation, as they would be sent; what depends on a reply stands there as a placeholder. Of a single
/// attempt (`--attempt`) pages that say which template each paragraph comes from.
pub fn dry_run(args: &Args, config: &Config, population: &Population<'_>, plan: &Plan) -> anyhow::Result<String> {
    let settings = valid(config)?;
    let plain = Prompts::load(settings.prompts())?;
    let mut calls = asked(args, config, population, plan, plain)?;
    let mut shown = calls.clone();
    if let Some(attempt) = args.attempt {
        shown = asked(args, config, population, plan, Prompts::with_sources(settings.prompts())?)?;
        shown.retain(|(place, _)| place.attempt == attempt);
        if shown.is_empty() {
            let made: std::collections::BTreeSet<i64> = calls.iter().map(|(place, _)| place.attempt).collect();
            let range = made.first().zip(made.last()).map_or("none".to_owned(), |(a, b)| format!("{a} to {b}"));
            return Err(Usage(format!("--attempt {attempt}: this generation asks for attempts {range}")).into());
        }
        calls.retain(|(place, _)| place.attempt == attempt);
    }
    let mut text = String::new();
    let mut by_agent: BTreeMap<Agent, (usize, u64)> = BTreeMap::new();
    let (mut tokens, mut cost) = (0, Some(0.0));
    for ((place, call), (_, shown)) in calls.iter().zip(&shown) {
        let prompt = call.estimated_prompt_tokens();
        let _ = writeln!(
            text,
            "######## attempt {}, slot {}: {} asks {}, about {prompt} tokens, key {}",
            place.attempt,
            place.slot,
            call.agent.as_str(),
            call.model,
            call.key()
        );
        for message in &shown.messages {
            let _ = writeln!(text, "\n#### {}\n\n{}", message.role.as_str(), message.content.trim_end());
        }
        text.push('\n');
        tokens += prompt;
        let of = by_agent.entry(call.agent).or_default();
        *of = (of.0 + 1, of.1.max(prompt));
        let usage = llm::Usage { prompt_tokens: prompt, ..llm::Usage::default() };
        cost = cost.zip(settings.price(&call.model)).map(|(sum, price)| sum + usage.cost(price));
    }
    let cost = cost.map_or_else(String::new, |cost| format!(", {cost:.4} in the currency of llm.prices"));
    let longest: Vec<String> =
        by_agent.iter().map(|(agent, (count, most))| format!("{} {count} of at most {most}", agent.as_str())).collect();
    let _ = writeln!(
        text,
        "######## {} prompts of about {tokens} tokens ({}){cost}; replies and repair rounds come on top",
        calls.len(),
        longest.join(", ")
    );
    Ok(text)
}

/// The calls of a generation that nobody answers.
pub fn asked(
    args: &Args,
    config: &Config,
    population: &Population<'_>,
    plan: &Plan,
    prompts: Prompts,
) -> anyhow::Result<Vec<(llm::Place, Call)>> {
    let (dry, calls) = Dry::new();
    let shared = shared(args, config, population, valid(config)?, prompts, Box::new(dry))?;
    let plan = plan.generation();
    let seed_id = program::candidate_id(plan.seed_program);
    llm::propose(&Generation::new(population, plan, seed_id), &shared, &program::candidate_id, &|_| ())?;
    let calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(calls.clone())
}

/// Tokens that the rows of a table took, prompts and replies.
pub fn tokens(table: &Table) -> u64 {
    let count = |row: &Row, name: &str| row.extra.get(name).and_then(|value| value.as_u64()).unwrap_or(0);
    table.rows.iter().map(|row| count(row, "prompt_tokens") + count(row, "completion_tokens")).sum()
}

/// What ends the stage, and what to do about it. Nothing is lost: what was answered is recorded.
pub fn stopped(error: CallError) -> anyhow::Error {
    let remedy = error.remedy();
    anyhow::anyhow!(
        "{error}. No row was written; what was answered is recorded: {remedy}, the same command goes on from there"
    )
}

/// The rows as a table, with the columns of the models.
///
/// # Errors
/// Where the machine could not check a program: the exchanges are recorded, and the same command goes on from them.
pub fn made(shared: &Shared, rows: Vec<ProposedRow>) -> anyhow::Result<Made> {
    if let Some(fault) = shared.checker.fault() {
        bail!("a program could not be checked: {fault}");
    }
    let mut table = Vec::with_capacity(rows.len());
    for ProposedRow { candidate, columns } in rows {
        let extra = match columns.map(serde_json::to_value).transpose()? {
            Some(Value::Object(columns)) => Extra::from(columns),
            _ => Extra::default(),
        };
        table.push(Row { candidate, extra });
    }
    let Spent { tokens, cost } = shared.chat.spent();
    let cost = if shared.settings.llm.prices.is_empty() { String::new() } else { format!(", cost {cost:.4}") };
    let counts = shared.chat.calibration().map_or_else(String::new, |text| format!("; {text}"));
    Ok(Made {
        rows: table.into_iter().collect(),
        spent: Some(format!("{tokens} tokens so far{cost}{counts}")),
        ended: None,
    })
}

fn shared(
    args: &Args,
    config: &Config,
    population: &Population<'_>,
    settings: Settings,
    prompts: Prompts,
    chat: Box<dyn Chat>,
) -> anyhow::Result<Arc<Shared>> {
    let task = TaskFacts {
        algorithm: config.task.algorithm.clone(),
        hidden: schemas::count(config.network.hidden),
        batch_size: schemas::count(config.train.batch_size),
        steps: schemas::count(config.train.steps),
        card: clrs::Card::new(clrs::find_algorithm(&config.task.algorithm)?).brief(),
        train_lengths: config.train.lengths.iter().map(|length| schemas::count(*length)).collect(),
        eval_length: schemas::count(match config.score.fitness {
            stage::config::Fitness::Ood => config.score.ood_length,
            stage::config::Fitness::Test => config.score.test_length,
        }),
    };
    let last = population.last_generation();
    let known = Known { curves: curves(args, last)?, diagnoses: diagnoses(args, last)? };
    Ok(Arc::new(Shared { settings, prompts, chat, checker: Box::new(Language::new(config)?), task, known }))
}

/// Where exchanges are recorded: as told, else beside the output. Rows that go to a pipe have no place beside them.
fn transcripts(args: &Args) -> Option<PathBuf> {
    let beside = || args.output.parent().filter(|_| args.output.as_os_str() != "-");
    args.transcripts.clone().or_else(|| beside().map(|folder| folder.join("transcripts.jsonl")))
}

/// Learning curves of the first training seed, by candidate.
fn curves(args: &Args, last: i64) -> anyhow::Result<Curves> {
    let mut curves = Curves::new();
    let mut seeds: BTreeMap<String, i64> = BTreeMap::new();
    for path in args.curve_tables(last)? {
        for (point, _) in stage::table::read_records::<schemas::CurvePoint>(&path)?.rows {
            let seed = *seeds.entry(point.candidate_id.clone()).or_insert(point.train_seed);
            if point.train_seed == seed {
                curves.entry(point.candidate_id.clone()).or_default().push(point);
            }
        }
    }
    curves.values_mut().for_each(|points| points.sort_by_key(|point| point.step));
    Ok(curves)
}

/// Where programs fail, by candidate.
pub fn diagnoses(args: &Args, last: i64) -> anyhow::Result<BTreeMap<String, Diagnosis>> {
    let mut found = BTreeMap::new();
    for table in args.diagnosis_tables(last)? {
        let rows: Vec<DiagnosisRow> = read_records(&table)?.rows.into_iter().map(|(row, _)| row).collect();
        found.extend(Diagnosis::by_candidate(&rows));
    }
    Ok(found)
}

/// The settings, checked.
pub fn valid(config: &Config) -> anyhow::Result<Settings> {
    let settings = Settings::resolve(config)?;
    settings.validate()?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_reach_the_calls() {
        let sets = ["llm.models=[\"m\"]", "llm.extra={ reasoning_effort = \"low\", n = 1 }", "llm.idle_timeout_s=0"];
        let config =
            |n: usize| Config::load(None, &sets.iter().take(n).map(|s| (*s).to_owned()).collect::<Vec<_>>(), &[]);
        assert!(valid(&config(0).unwrap()).unwrap_err().to_string().contains("no model is named"));
        assert!(valid(&config(1).unwrap()).is_ok());
        assert!(valid(&config(2).unwrap()).unwrap_err().to_string().contains("may not set n"));
        assert!(valid(&config(3).unwrap()).unwrap_err().to_string().contains("llm.idle_timeout_s"));
    }
}
