//! Language models as proposers: the settings resolved, the checker that they answer to, and where exchanges are kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::bail;
use llm::{
    Agent, Call, CallError, Chat, Client, Curves, Dry, Endpoint, Known, Live, Model, Notice, Price, Prompts,
    ProposedRow, Recorded, Recorder, Replay, Secret, Settings, Spent, TaskFacts, Team,
};
use schemas::DiagnosisRow;
use search::diagnosis::Diagnosis;
use search::generation::Generation;
use search::population::Population;
use serde_json::Value;
use stage::config::{Growth, LanguageForm, ReplyForm};
use stage::table::{Extra, read_records};
use stage::{Config, Row, Table, Usage};

use crate::args::Args;
use crate::language::Language;
use crate::plan::Plan;
use crate::proposers::Made;

/// A server, its exchanges recorded.
pub fn live(args: &Args, config: &Config) -> anyhow::Result<Arc<Team>> {
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
    let prompts = Prompts::load(settings.prompts.as_deref())?;
    team(args, config, settings, prompts, Box::new(chat))
}

/// Who asks a server.
pub fn client(args: &Args, settings: &Settings, endpoint: &Endpoint) -> anyhow::Result<Client> {
    Ok(Client::new(settings, endpoint, Secret::from_env(&endpoint.key_env), notice(args))?)
}

/// Tells on the terminal, or in the log, that the run waits for the server.
fn notice(args: &Args) -> Notice {
    let progress = args.common.progress("propose", 0);
    Arc::new(move |text: &str| progress.say(text))
}

/// A recording in place of the server.
pub fn replay(args: &Args, config: &Config) -> anyhow::Result<Arc<Team>> {
    let Some(path) = transcripts(args) else {
        return Err(Usage("a replay needs its recording: give --transcripts FILE".to_owned()).into());
    };
    let recorded = Recorded::read(&path)?;
    if recorded.is_empty() {
        bail!("{}: there is no exchange in it", path.display());
    }
    let settings = valid(config)?;
    let prompts = Prompts::load(settings.prompts.as_deref())?;
    team(args, config, settings, prompts, Box::new(Replay::new(recorded)))
}

/// The prompts of a generation, as they would be sent; what depends on a reply stands there as a placeholder. Of a single
/// attempt (`--attempt`) pages that say which template each paragraph comes from.
pub fn dry_run(args: &Args, config: &Config, population: &Population<'_>, plan: &Plan) -> anyhow::Result<String> {
    let settings = valid(config)?;
    let plain = Prompts::load(settings.prompts.as_deref())?;
    let mut calls = asked(args, config, population, plan, plain)?;
    let mut shown = calls.clone();
    if let Some(attempt) = args.attempt {
        shown = asked(args, config, population, plan, Prompts::with_sources(settings.prompts.as_deref())?)?;
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
        cost = cost.zip(settings.price(&call.model)).map(|(sum, price)| sum + price.of(&usage));
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
    let team = team(args, config, valid(config)?, prompts, Box::new(dry))?;
    let plan = plan.generation();
    let seed_id = program::candidate_id(plan.seed_program);
    llm::propose(&Generation::new(population, plan, seed_id), &team, &program::candidate_id, &|_| ())?;
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
pub fn made(team: &Team, rows: Vec<ProposedRow>) -> anyhow::Result<Made> {
    if let Some(fault) = team.checker.fault() {
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
    let Spent { tokens, cost } = team.chat.spent();
    let cost = if team.settings.prices.is_empty() { String::new() } else { format!(", cost {cost:.4}") };
    let counts = team.chat.calibration().map_or_else(String::new, |text| format!("; {text}"));
    Ok(Made {
        rows: table.into_iter().collect(),
        spent: Some(format!("{tokens} tokens so far{cost}{counts}")),
        ended: None,
    })
}

fn team(
    args: &Args,
    config: &Config,
    settings: Settings,
    prompts: Prompts,
    chat: Box<dyn Chat>,
) -> anyhow::Result<Arc<Team>> {
    let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let task = TaskFacts {
        algorithm: config.task.algorithm.clone(),
        hidden: whole(config.network.hidden),
        batch_size: whole(config.train.batch_size),
        steps: whole(config.train.steps),
        card: clrs::Card::new(clrs::find_algorithm(&config.task.algorithm)?).brief(),
        train_lengths: config.train.lengths.iter().map(|length| whole(*length)).collect(),
        eval_length: whole(match config.score.fitness {
            stage::config::Fitness::Ood => config.score.ood_length,
            stage::config::Fitness::Test => config.score.test_length,
        }),
    };
    let known = Known { curves: curves(args)?, diagnoses: diagnoses(args)? };
    Ok(Arc::new(Team { settings, prompts, chat, checker: Box::new(Language::new(config)?), task, known }))
}

/// Where exchanges are recorded: as told, else beside the output. Rows that go to a pipe have no place beside them.
fn transcripts(args: &Args) -> Option<PathBuf> {
    let beside = || args.output.parent().filter(|_| args.output.as_os_str() != "-");
    args.transcripts.clone().or_else(|| beside().map(|folder| folder.join("transcripts.jsonl")))
}

/// Learning curves of the first training seed, by candidate.
fn curves(args: &Args) -> anyhow::Result<Curves> {
    let mut curves = Curves::new();
    let mut seeds: BTreeMap<String, i64> = BTreeMap::new();
    for path in args.curve_tables()? {
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
pub fn diagnoses(args: &Args) -> anyhow::Result<BTreeMap<String, Diagnosis>> {
    let mut found = BTreeMap::new();
    for table in args.diagnosis_tables()? {
        let rows: Vec<DiagnosisRow> = read_records(&table)?.rows.into_iter().map(|(row, _)| row).collect();
        found.extend(Diagnosis::by_candidate(&rows));
    }
    Ok(found)
}

/// The settings, checked.
pub fn valid(config: &Config) -> anyhow::Result<Settings> {
    let settings = settings(config)?;
    settings.validate()?;
    Ok(settings)
}

fn parameters(table: &toml::Table) -> anyhow::Result<serde_json::Map<String, Value>> {
    Ok(match serde_json::to_value(table)? {
        Value::Object(parameters) => parameters,
        _ => serde_json::Map::new(),
    })
}

/// The section `[llm]`, resolved.
fn settings(config: &Config) -> anyhow::Result<Settings> {
    let c = &config.llm;
    let seconds = |key: &str, value: f64| {
        let time = Duration::try_from_secs_f64(value).ok().filter(|time| !time.is_zero());
        time.ok_or_else(|| Usage(format!("llm.{key}: {value} is not a time in seconds")))
    };
    let named = |agent: Agent, name: &str| (!name.is_empty()).then(|| (agent, name.to_owned()));
    let agents = [(Agent::Router, &c.router_model), (Agent::Critic, &c.critic_model), (Agent::Writer, &c.writer_model)];
    let extra = parameters(&c.extra)?;
    let price =
        |p: &stage::config::ModelPrice| Price { input: p.input, output: p.output, cached_input: p.cached_input };
    Ok(Settings {
        run_seed: config.search.seed,
        endpoint: endpoint(c),
        agent_endpoints: agent_endpoints(c)?,
        models: c.models.iter().map(|text| model(text)).collect::<Result<_, _>>()?,
        agent_models: agents.into_iter().filter_map(|(agent, name)| named(agent, name)).collect(),
        temperature: c.temperature,
        top_p: c.top_p,
        max_tokens: c.max_tokens,
        max_tokens_field: c.max_tokens_field.clone(),
        seed: c.seed,
        extra,
        stream: c.stream,
        stream_usage: c.stream_usage,
        connect_timeout: seconds("connect_timeout_s", c.connect_timeout_s)?,
        first_byte_timeout: seconds("first_byte_timeout_s", c.first_byte_timeout_s)?,
        idle_timeout: seconds("idle_timeout_s", c.idle_timeout_s)?,
        attempt_timeout: c.attempt_timeout_s.map(|value| seconds("attempt_timeout_s", value)).transpose()?,
        deadline: c.deadline_s.map(|value| seconds("deadline_s", value)).transpose()?,
        patience: seconds("patience", c.patience)?,
        check_prompt: c.check_prompt,
        retries: c.retries,
        backoff: seconds("backoff_s", c.backoff_s)?,
        backoff_max: seconds("backoff_max_s", c.backoff_max_s)?,
        max_reply_bytes: c.max_reply_bytes,
        jobs: c.jobs,
        max_cost: c.max_cost,
        max_tokens_total: c.max_tokens_total,
        prices: c.prices.iter().map(|(name, p)| (name.clone(), price(p))).collect(),
        condition: config.propose.condition,
        whole_file: config.search.editable == stage::config::Editable::File,
        repair_rounds: c.repair_rounds,
        router_rounds: c.router_rounds,
        splice: c.splice,
        diff: c.diff,
        regions: c.reply == ReplyForm::Regions,
        lenses: c.lenses,
        two_phase: config.search.operator == Growth::TwoPhase,
        whole_page: c.language == LanguageForm::Page,
        agent_params: [
            (Agent::Router, parameters(&c.router_parameters)?),
            (Agent::Critic, parameters(&c.critic_parameters)?),
            (Agent::Writer, parameters(&c.writer_parameters)?),
        ]
        .into_iter()
        .filter(|(_, parameters)| !parameters.is_empty())
        .collect(),
        prompts: (!c.prompts.is_empty()).then(|| PathBuf::from(&c.prompts)),
        history: c.history,
    })
}

/// The server of all roles.
fn endpoint(c: &stage::config::Llm) -> Endpoint {
    Endpoint {
        base_url: c.base_url.clone(),
        key_env: c.key_env.clone(),
        key_header: c.key_header.clone(),
        headers: c.headers.clone(),
        query: c.query.clone(),
        context: c.context,
        requests_per_minute: c.requests_per_minute,
        tokens_per_minute: c.tokens_per_minute,
    }
}

/// The servers of single roles. What they do not say of themselves is as for all; headers, query and limits are their own.
fn agent_endpoints(c: &stage::config::Llm) -> Result<BTreeMap<Agent, Endpoint>, Usage> {
    let roles =
        [(Agent::Router, &c.router_endpoint), (Agent::Critic, &c.critic_endpoint), (Agent::Writer, &c.writer_endpoint)];
    let mut found = BTreeMap::new();
    for (agent, name) in roles.into_iter().filter(|(_, name)| !name.is_empty()) {
        let known = || c.endpoints.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let own = c.endpoints.get(name).ok_or_else(|| {
            Usage(format!("llm.{}_endpoint: there is no [llm.endpoints.{name}]; known: {}", agent.as_str(), known()))
        })?;
        let endpoint = Endpoint {
            base_url: own.url.clone(),
            key_env: own.key_env.clone().unwrap_or_else(|| c.key_env.clone()),
            key_header: own.key_header.clone().unwrap_or_else(|| c.key_header.clone()),
            headers: own.headers.clone(),
            query: own.query.clone(),
            context: own.context,
            requests_per_minute: own.requests_per_minute,
            tokens_per_minute: own.tokens_per_minute,
        };
        found.insert(agent, endpoint);
    }
    Ok(found)
}

/// `name` or `name=weight`.
fn model(text: &str) -> Result<Model, Usage> {
    let Some((name, weight)) = text.rsplit_once('=') else { return Ok(Model { name: text.to_owned(), weight: 1.0 }) };
    let weight = weight.trim().parse();
    let weight = weight.map_err(|_| Usage(format!("llm.models: {text:?}: write name or name=weight")))?;
    Ok(Model { name: name.trim().to_owned(), weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_library() {
        let ours = settings(&Config::default()).unwrap();
        assert_eq!(ours, Settings::default());
    }

    #[test]
    fn models_with_and_without_weights() {
        assert_eq!(model("llama3:8b").unwrap(), Model { name: "llama3:8b".into(), weight: 1.0 });
        assert_eq!(model("a/b = 2.5").unwrap(), Model { name: "a/b".into(), weight: 2.5 });
        assert!(model("a=lots").is_err());
    }

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
