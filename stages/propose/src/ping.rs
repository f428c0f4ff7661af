//! A trial before a search: each role's own prompt goes to its model once, as the search would send it. Does it fit, is it cut,
//! is the answer of use, who answers, how fast, and what will the whole take?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use llm::agents::{extract, router};
use llm::{Agent, Call, Finish, Ledger, Outcome, Reply, Settings, Spent};
use schemas::Factor;
use search::population::Population;
use stage::Config;

use crate::args::Args;
use crate::models;
use crate::plan::Plan;

/// What the calls of one attempt took.
#[derive(Default)]
struct Sum {
    prompt: u64,
    completion: u64,
    seconds: f64,
    cost: Option<f64>,
}

/// Asks, and says what came of it.
///
/// # Errors
/// Where a search would get no further than this.
pub fn ping(args: &Args, config: &Config, population: &Population<'_>, plan: &Plan) -> anyhow::Result<String> {
    // A model or a server that was named is meant.
    if config.propose.proposer != "openai" && args.model.is_empty() && args.api_base.is_none() {
        return Ok(format!("the proposer is {}: there is nobody to ask\n", config.propose.proposer));
    }
    let settings = models::valid(config)?;
    let ledger = Ledger::new(&settings, Spent::default());
    let factors = plan.factors();
    let mut text = String::new();
    let mut sums: BTreeMap<Agent, Sum> = BTreeMap::new();
    for call in calls(args, config, population, plan, &settings)? {
        let endpoint = settings.endpoint(call.agent);
        let client = models::client(args, &settings, endpoint)?;
        let outcome = client.chat(&call, "ping", &ledger, None);
        let reply = match outcome.result.clone() {
            Ok(reply) => reply,
            Err(error) if error.ends_the_stage() => {
                let who = format!("{} at {} as the {}", call.model, endpoint.base_url, call.agent.as_str());
                return Err(anyhow::Error::new(error).context(who));
            }
            // It would be the row of one attempt.
            Err(error) => {
                let _ = writeln!(text, "{}: {}, NOTE: {error}", call.agent.as_str(), call.model);
                continue;
            }
        };
        let _ = writeln!(text, "{}", line(&call, &outcome, &reply, &factors));
        let sum = sums.entry(call.agent).or_default();
        // Of several models the dearest.
        if outcome.usage.total() > sum.prompt + sum.completion {
            *sum = Sum {
                prompt: outcome.usage.prompt_tokens,
                completion: outcome.usage.completion_tokens,
                seconds: outcome.latency.as_secs_f64(),
                cost: outcome.cost,
            };
        }
    }
    text.push_str(&forecast(config, &settings, sums.values()));
    Ok(text)
}

/// One call of each role, and of each model that might be drawn for one.
fn calls(
    args: &Args,
    config: &Config,
    population: &Population<'_>,
    plan: &Plan,
    settings: &Settings,
) -> anyhow::Result<Vec<Call>> {
    let mut asked: Vec<Call> = Vec::new();
    for (_, call) in models::asked(args, config, population, plan, llm::Prompts::load(settings.prompts())?)? {
        if asked.iter().all(|known| known.agent != call.agent) {
            asked.push(call);
        }
    }
    let known: BTreeSet<String> = asked.iter().map(|call| call.model.clone()).collect();
    let drawn = asked.iter().find(|call| call.agent == Agent::Writer && config.llm.writer_model.is_empty()).cloned();
    let others = settings.models.iter().filter(|model| !known.contains(&model.name));
    asked.extend(
        drawn.iter().flat_map(|call| others.clone().map(|model| Call { model: model.name.clone(), ..call.clone() })),
    );
    Ok(asked)
}

fn line(call: &Call, outcome: &Outcome, reply: &Reply, factors: &[Factor]) -> String {
    let (usage, seconds) = (&outcome.usage, outcome.latency.as_secs_f64());
    let about = if usage.estimated { "about " } else { "" };
    let mut text = format!(
        "{}: {}, {about}{} tokens in (guessed {}), {about}{} out, {seconds:.1} s",
        call.agent.as_str(),
        call.model,
        usage.prompt_tokens,
        call.estimated_prompt_tokens(),
        usage.completion_tokens,
    );
    if seconds > 0.0 {
        let _ = write!(text, " ({:.0} tokens/s)", usage.completion_tokens as f64 / seconds);
    }
    let _ = write!(text, "; {}", verdict(call, reply, factors));
    if let Some(other) = reply.served_by.as_deref().filter(|name| !is_same(name, &call.model)) {
        let _ = write!(text, "; NOTE: {other:?} has answered");
    }
    if !outcome.tries.is_empty() {
        let _ = write!(text, "; {} failed before it: {}", outcome.tries.len(), outcome.tries[0].error);
    }
    text
}

/// Whether the reply is of use. A model that gives nothing of use is still one that a search may be made with.
fn verdict(call: &Call, reply: &Reply, factors: &[Factor]) -> String {
    if reply.finish == Finish::Length {
        return "NOTE: cut off by the limit on tokens (llm.max_tokens)".to_owned();
    }
    match call.agent {
        Agent::Router => match router::read(&reply.text, factors) {
            Ok(choice) => format!("chose {}", choice.factor),
            Err(wrong) => format!("NOTE: no choice in its answer ({wrong}); the factor would be drawn"),
        },
        Agent::Critic => "a directive".to_owned(),
        Agent::Writer => match extract::extract(&reply.text) {
            Ok(_) => "code".to_owned(),
            Err(wrong) => format!("NOTE: no code in its answer ({wrong})"),
        },
    }
}

/// Servers name a model with its date, its file or its maker.
fn is_same(served: &str, asked: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().replace([':', '_', '.'], "-");
    let (served, asked) = (plain(served), plain(asked));
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    last(&served).starts_with(&last(&asked)) || last(&asked).starts_with(&last(&served))
}

fn forecast<'a>(config: &Config, settings: &Settings, sums: impl Iterator<Item = &'a Sum> + Clone) -> String {
    let attempts = config.search.attempts as f64;
    let million = |of: fn(&Sum) -> u64| attempts * sums.clone().map(of).sum::<u64>() as f64 / 1e6;
    let side_by_side = settings.llm.jobs.min(config.search.generation_size).max(1) as f64;
    let hours = attempts * sums.clone().map(|sum| sum.seconds).sum::<f64>() / side_by_side / 3600.0;
    let cost: Option<f64> = sums.clone().map(|sum| sum.cost).sum();
    let cost = cost.map_or_else(String::new, |cost| format!(", {:.2} in the currency of llm.prices", attempts * cost));
    format!(
        "a search of {attempts} attempts would take about {:.2} million tokens in and {:.2} out{cost}, and {hours:.1} h of waiting for \
         models ({side_by_side} at a time); repair rounds come on top\n",
        million(|sum| sum.prompt),
        million(|sum| sum.completion),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_answer_under_longer_and_shorter_names() {
        for (served, asked) in [
            ("gpt-5-2025-08-07", "gpt-5"),
            ("qwen3:32b", "qwen3:32b"),
            ("/models/SmolLM2.gguf", "smollm2"),
            ("llama-3", "meta/Llama-3"),
        ] {
            assert!(is_same(served, asked), "{served} {asked}");
        }
        assert!(!is_same("gpt-4o-mini", "gpt-5"));
    }
}
