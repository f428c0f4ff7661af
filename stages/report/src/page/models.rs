//! What the language models of a run took, by agent.

use std::collections::BTreeMap;

use super::cards::{Card, card};
use crate::exchanges::Exchange;
use crate::run::Run;
use crate::table::{Cell, Table};
use crate::text::{count, whole};

/// The models that were asked, in the order of their first calls; those of the settings where no exchange is recorded.
pub fn names(run: &Run) -> String {
    let mut names: Vec<&str> = Vec::new();
    for exchange in &run.exchanges {
        if !exchange.model.is_empty() && !names.contains(&exchange.model.as_str()) {
            names.push(&exchange.model);
        }
    }
    if names.is_empty() { run.models().unwrap_or_default() } else { names.join(", ") }
}

/// Tokens, money and waiting of the whole run; none without language models.
pub fn cards(run: &Run) -> Vec<Card> {
    let Some(tokens) = run.effort.tokens() else { return Vec::new() };
    let all: Vec<&Exchange> = run.exchanges.iter().collect();
    let sum = Sum::of(&all);
    let mut list = Vec::new();
    if all.is_empty() {
        list.push(card("Tokens", whole_u64(tokens), "by the rows of the archive; no transcript lies beside it"));
        return list;
    }
    let part =
        |tokens: Option<u64>, name: &str| tokens.map_or(String::new(), |n| format!(" ({} {name})", whole_u64(n)));
    let guessed = match sum.estimated {
        0 => String::new(),
        n => format!("; of {} estimated", count(n, "call")),
    };
    let note = format!(
        "{} prompt{}, {} completion{}; {}{}{guessed}",
        whole_u64(sum.prompt),
        part(sum.cached, "cached"),
        whole_u64(sum.completion),
        part(sum.reasoning, "reasoning"),
        count(sum.calls, "call"),
        if sum.failed > 0 { format!(", {} without a reply", sum.failed) } else { String::new() },
    );
    list.push(card("Tokens", whole_u64(tokens), note));
    if let Some(cost) = sum.cost {
        list.push(card("Cost of the models", format!("{cost:.4}"), "in the currency of llm.prices"));
    }
    let longest = sum.seconds.last().map_or(String::new(), |longest| format!("the longest took {}; ", time(*longest)));
    let hours = sum.seconds.iter().sum::<f64>();
    list.push(card(
        "A reply takes",
        median(&sum.seconds).map_or("–".into(), time),
        format!("median; {longest}{} in all, calls side by side added up", time(hours)),
    ));
    list
}

/// The same by agent and model; None without exchanges.
pub fn table(run: &Run) -> Option<Table> {
    let mut groups: BTreeMap<(usize, &str, &str), Vec<&Exchange>> = BTreeMap::new();
    for exchange in &run.exchanges {
        let place = ["router", "critic", "writer"].iter().position(|agent| *agent == exchange.agent).unwrap_or(9);
        groups.entry((place, &exchange.agent, &exchange.model)).or_default().push(exchange);
    }
    if groups.is_empty() {
        return None;
    }
    let columns = [
        ("Agent", "agent", false),
        ("Model", "model", false),
        ("Calls", "calls", true),
        ("Without a reply", "failed", true),
        ("Failed tries", "failed_tries", true),
        ("Prompt", "prompt_tokens", true),
        ("cached", "cached_tokens", true),
        ("Completion", "completion_tokens", true),
        ("reasoning", "reasoning_tokens", true),
        ("Calls estimated", "estimated_calls", true),
        ("Cost", "cost", true),
        ("Median (s)", "median_seconds", true),
        ("Longest (s)", "longest_seconds", true),
        ("Tokens per s", "completion_tokens_per_second", true),
    ];
    let note = "Each exchange counts, also one that was made again: it was paid for. Failed tries were repeated within their call. \
                Seconds are from the first request to the end of the reply, waits included; tokens per second are of completions.";
    let mut table = Table::new("models", "What the models took", note, &columns);
    for ((_, agent, model), exchanges) in groups {
        let sum = Sum::of(&exchanges);
        let total: f64 = sum.seconds.iter().sum();
        let speed = (total > 0.0).then(|| sum.completion as f64 / total);
        let tenths = |value: f64| format!("{value:.1}");
        table.rows.push(vec![
            Cell::text(agent),
            Cell::text(model),
            Cell::count(sum.calls),
            Cell::count(sum.failed),
            Cell::count(sum.tries),
            Cell::number(Some(sum.prompt), whole_u64),
            Cell::number(sum.cached, whole_u64),
            Cell::number(Some(sum.completion), whole_u64),
            Cell::number(sum.reasoning, whole_u64),
            Cell::count(sum.estimated),
            Cell::number(sum.cost, |cost| format!("{cost:.4}")),
            Cell::number(median(&sum.seconds), tenths),
            Cell::number(sum.seconds.last().copied(), tenths),
            Cell::number(speed, tenths),
        ]);
    }
    Some(table)
}

/// Some exchanges, summed up.
#[derive(Debug, Default)]
struct Sum {
    calls: usize,
    failed: usize,
    tries: usize,
    prompt: u64,
    cached: Option<u64>,
    completion: u64,
    reasoning: Option<u64>,
    estimated: usize,
    cost: Option<f64>,
    /// Seconds of each call, in ascending order.
    seconds: Vec<f64>,
}

impl Sum {
    fn of(exchanges: &[&Exchange]) -> Self {
        let mut sum = Self { calls: exchanges.len(), ..Self::default() };
        let more = |all: &mut Option<u64>, part: Option<u64>| {
            if let Some(part) = part {
                *all = Some(all.unwrap_or(0).saturating_add(part));
            }
        };
        for exchange in exchanges {
            let usage = &exchange.usage;
            sum.failed += usize::from(exchange.reply.is_none());
            sum.tries += exchange.tries.len();
            sum.prompt = sum.prompt.saturating_add(usage.prompt_tokens);
            sum.completion = sum.completion.saturating_add(usage.completion_tokens);
            more(&mut sum.cached, usage.cached_tokens);
            more(&mut sum.reasoning, usage.reasoning_tokens);
            sum.estimated += usize::from(usage.estimated);
            if let Some(cost) = exchange.cost {
                sum.cost = Some(sum.cost.unwrap_or(0.0) + cost);
            }
            sum.seconds.push(exchange.latency_ms as f64 / 1000.0);
        }
        sum.seconds.sort_by(f64::total_cmp);
        sum
    }
}

/// The median of values in ascending order.
fn median(values: &[f64]) -> Option<f64> {
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

fn whole_u64(value: u64) -> String {
    whole(schemas::count(value))
}

/// Seconds in words.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchanges::{Fault, Reply, Usage};

    #[test]
    fn sums_count_every_exchange_and_leave_open_what_nobody_said() {
        let exchange = |prompt, cached, latency_ms, cost, answered: bool| Exchange {
            usage: Usage { prompt_tokens: prompt, completion_tokens: 2, cached_tokens: cached, ..Usage::default() },
            latency_ms,
            cost,
            reply: answered.then(Reply::default),
            tries: vec![Fault::default(); usize::from(!answered)],
            ..Exchange::default()
        };
        let all = [
            exchange(5, None, 300, None, true),
            exchange(7, Some(3), 100, Some(0.5), false),
            exchange(1, None, 900, None, true),
        ];
        let sum = Sum::of(&all.iter().collect::<Vec<_>>());
        assert_eq!((sum.calls, sum.failed, sum.tries, sum.prompt, sum.completion), (3, 1, 1, 13, 6));
        assert_eq!((sum.cached, sum.reasoning, sum.cost), (Some(3), None, Some(0.5)));
        assert_eq!((median(&sum.seconds), median(&[1.0, 2.0]), median(&[])), (Some(0.3), Some(1.5), None));
        assert_eq!([time(2.04), time(90.0), time(7200.0)], ["2.0 s", "1.5 min", "2.0 h"]);
    }
}
