//! What was asked and answered in each attempt, and what became of it: bounded, and saying what is left out.

use std::collections::BTreeMap;

use schemas::Candidate;
use serde::Serialize;

use crate::draw::shorten;
use crate::exchanges::Exchange;
use crate::run::{Run, short_id};
use crate::text::{edit, percent, whole};

/// Longer texts lose their middle, in characters.
const TEXT: usize = 6000;

/// So much text all attempts of a page may have, in bytes.
const ALL: usize = 600_000;

/// Attempts beyond this many are not shown, however short.
const MOST: usize = 400;

/// Findings of `check` that are shown of a row.
const FINDINGS: usize = 8;

/// The attempts of a run that have room on its page.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptsView {
    pub attempts: Vec<AttemptView>,
    /// Attempts that have exchanges and no room.
    pub left_out: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct AttemptView {
    pub title: String,
    pub calls: Vec<CallView>,
    /// What became of each try at a program.
    pub rows: Vec<RowView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct CallView {
    pub title: String,
    /// Tokens, money, time.
    pub spent: String,
    pub texts: Vec<TextView>,
    /// Why there is no reply, and tries that were repeated.
    pub faults: Vec<String>,
}

/// One text of an exchange.
#[derive(Clone, Debug, Serialize)]
pub struct TextView {
    pub name: String,
    pub text: String,
    /// Where the same text stands, in place of it.
    pub same_as: String,
    /// Characters that are left out in the middle, in words.
    pub cut: String,
    pub rest: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct RowView {
    pub title: String,
    pub reason: String,
    pub findings: Vec<String>,
}

/// None without exchanges.
pub fn attempts(run: &Run) -> Option<AttemptsView> {
    let mut by_attempt: BTreeMap<i64, Vec<&Exchange>> = BTreeMap::new();
    for exchange in &run.exchanges {
        by_attempt.entry(exchange.attempt).or_default().push(exchange);
    }
    if by_attempt.is_empty() {
        return None;
    }
    // If not all have room, the winner's has.
    let winner = run.winner().map(|row| row.attempt);
    let order = winner.into_iter().chain(by_attempt.keys().copied().filter(|attempt| Some(*attempt) != winner));
    let mut chosen: Vec<i64> = Vec::new();
    let mut size = 0;
    for attempt in order {
        let Some(exchanges) = by_attempt.get(&attempt) else { continue };
        let more: usize = exchanges.iter().map(|exchange| size_of(exchange)).sum();
        if chosen.len() >= MOST || (size + more > ALL && !chosen.is_empty()) {
            continue;
        }
        size += more;
        chosen.push(attempt);
    }
    chosen.sort_unstable();
    let mut shown = Shown::default();
    let attempts: Vec<AttemptView> = chosen
        .iter()
        .filter_map(|attempt| Some(attempt_view(run, *attempt, by_attempt.get(attempt)?, &mut shown)))
        .collect();
    Some(AttemptsView { left_out: by_attempt.len() - attempts.len(), attempts })
}

/// How much text of an exchange a page would have at most, in bytes.
fn size_of(exchange: &Exchange) -> usize {
    let of = |text: &str| text.len().min(TEXT);
    // The same system prompts stand at the head of all calls, and are shown once.
    let prompts = exchange.messages.iter().filter(|message| message.role != "system");
    let reply =
        exchange.reply.as_ref().map_or(0, |reply| of(&reply.text) + of(reply.reasoning.as_deref().unwrap_or_default()));
    prompts.map(|message| of(&message.content)).sum::<usize>() + reply
}

/// Where each prompt was shown first: attempt and call.
#[derive(Default)]
struct Shown<'a>(BTreeMap<&'a str, (i64, i64)>);

fn attempt_view<'a>(run: &Run, attempt: i64, exchanges: &[&'a Exchange], shown: &mut Shown<'a>) -> AttemptView {
    let rows: Vec<&Candidate> = run.rows().iter().filter(|row| row.attempt == attempt).collect();
    let last = rows.last();
    let result = last.map_or(String::new(), |row| match row.ood_acc {
        Some(accuracy) => format!(": {} %", percent(accuracy)),
        None => format!(": {}", row.status),
    });
    let label = last.map_or(String::new(), |row| shorten(edit(row), 80));
    let comma = if label.is_empty() { "" } else { ", " };
    let mut calls: Vec<&&Exchange> = exchanges.iter().collect();
    calls.sort_by_key(|exchange| exchange.call);
    AttemptView {
        title: format!("Attempt {}{comma}{label}{result}", whole(attempt)),
        calls: calls.into_iter().map(|exchange| call_view(exchange, shown)).collect(),
        rows: rows.into_iter().map(row_view).collect(),
    }
}

fn call_view<'a>(exchange: &'a Exchange, shown: &mut Shown<'a>) -> CallView {
    let place = (exchange.attempt, exchange.call);
    let mut texts = Vec::new();
    for message in &exchange.messages {
        let name = format!("Prompt ({})", shorten(&message.role, 20));
        match shown.0.get(message.content.as_str()) {
            Some((attempt, call)) => {
                let same_as = if *attempt == place.0 {
                    format!("as in call {call}")
                } else {
                    format!("as in attempt {}, call {call}", whole(*attempt))
                };
                texts.push(TextView { same_as, ..bounded(name, "") });
            }
            None => {
                shown.0.insert(&message.content, place);
                texts.push(bounded(name, &message.content));
            }
        }
    }
    if let Some(reply) = &exchange.reply {
        texts.extend(reply.reasoning.as_deref().map(|reasoning| bounded("Reasoning".into(), reasoning)));
        texts.push(bounded("Reply".into(), &reply.text));
    }
    let tries = exchange
        .tries
        .iter()
        .map(|fault| format!("Tried again after: {}: {}", fault.kind, shorten(&fault.message, 400)));
    let end = exchange.error.iter().map(|fault| format!("No reply: {}: {}", fault.kind, shorten(&fault.message, 400)));
    let usage = &exchange.usage;
    let about = if usage.estimated { "about " } else { "" };
    let part = |tokens: Option<u64>, name: &str| tokens.map_or(String::new(), |n| format!(" ({n} {name})"));
    let cost = exchange.cost.map_or(String::new(), |cost| format!(", cost {cost:.6}"));
    CallView {
        title: format!("Call {}: {} asks {}", exchange.call, exchange.agent, shorten(&exchange.model, 80)),
        spent: format!(
            "{about}{}{} and {}{} tokens{cost}, {:.1} s",
            usage.prompt_tokens,
            part(usage.cached_tokens, "cached"),
            usage.completion_tokens,
            part(usage.reasoning_tokens, "reasoning"),
            exchange.latency_ms as f64 / 1000.0
        ),
        texts,
        faults: tries.chain(end).collect(),
    }
}

/// A text with its middle left out where it is too long.
fn bounded(name: String, text: &str) -> TextView {
    let length = text.chars().count();
    let whole_text =
        TextView { name, text: text.to_owned(), same_as: String::new(), cut: String::new(), rest: String::new() };
    if length <= TEXT {
        return whole_text;
    }
    // The end of a prompt is the task, the end of a reply the program: both ends matter.
    let part: String = text.chars().take(TEXT / 2).collect();
    let rest: String = text.chars().skip(length - TEXT / 2).collect();
    let cut =
        format!("{} characters are left out here", whole(i64::try_from(length - TEXT / 2 * 2).unwrap_or(i64::MAX)));
    TextView { text: part, cut, rest, ..whole_text }
}

fn row_view(row: &Candidate) -> RowView {
    let phase = row.phase.map(|phase| format!(", phase {phase}"));
    let repair = row.repair_round.filter(|round| *round > 0).map(|round| format!(", repair round {round}"));
    let more: String = [phase, repair].into_iter().flatten().collect();
    let id = if row.candidate_id.is_empty() {
        "no program".to_owned()
    } else {
        format!("program {}", short_id(&row.candidate_id))
    };
    let score = row.fitness.map_or(String::new(), |fitness| format!(", fitness {}", percent(fitness)));
    let found = row.diagnostics.as_deref().unwrap_or_default();
    let mut findings: Vec<String> = found
        .iter()
        .take(FINDINGS)
        .map(|found| {
            let line = if found.line > 0 { format!(" line {}", found.line) } else { String::new() };
            format!("{} {}{line}: {}", found.severity, found.code, shorten(&found.message, 400))
        })
        .collect();
    if found.len() > FINDINGS {
        findings.push(format!("{} more", found.len() - FINDINGS));
    }
    RowView {
        title: format!("{id}{more}: {}{score}", row.status),
        reason: row.reason.as_deref().map_or(String::new(), |reason| shorten(reason, 600)),
        findings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchanges::{Message, Reply};
    use crate::run::Beside;

    fn exchange(attempt: i64, call: i64, prompt: &str, reply: &str) -> Exchange {
        let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
        Exchange {
            attempt,
            call,
            agent: "writer".into(),
            model: "m".into(),
            messages: vec![message("system", "be brief"), message("user", prompt)],
            reply: Some(Reply { text: reply.into(), reasoning: None }),
            ..Exchange::default()
        }
    }

    fn run(exchanges: Vec<Exchange>) -> Run {
        let row =
            |attempt: i64| Candidate { attempt, parent_id: (attempt > 0).then(|| "p".into()), ..Candidate::default() };
        let last = exchanges.iter().map(|exchange| exchange.attempt).max().unwrap_or(0);
        Run::new("r".into(), (0..=last).map(row).collect(), Beside { exchanges, ..Beside::default() })
    }

    #[test]
    fn a_prompt_is_shown_once_and_a_long_text_says_what_it_lost() {
        let long = format!("{}ä{}", "a".repeat(TEXT), "z".repeat(9));
        let view = attempts(&run(vec![exchange(1, 1, "p", &long), exchange(1, 0, "p", "r"), exchange(2, 0, "q", "s")]));
        let view = view.expect("attempts");
        assert_eq!((view.attempts.len(), view.left_out), (2, 0));
        let first = &view.attempts[0];
        assert_eq!(
            first.calls.iter().map(|call| call.title.as_str()).collect::<Vec<_>>(),
            ["Call 0: writer asks m", "Call 1: writer asks m"]
        );
        assert_eq!(first.calls[0].texts[1].text, "p");
        assert_eq!(first.calls[1].texts[1].same_as, "as in call 0");
        assert_eq!(view.attempts[1].calls[0].texts[0].same_as, "as in attempt 1, call 0");
        let reply = &first.calls[1].texts[2];
        assert_eq!(reply.cut, "10 characters are left out here");
        assert_eq!(reply.text.chars().count() + reply.rest.chars().count() + 10, long.chars().count());
        assert!(reply.rest.ends_with("zzz"));
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let many =
            (1..=300).map(|attempt| exchange(attempt, 0, &format!("{attempt}{}", "p".repeat(TEXT)), "r")).collect();
        let view = attempts(&run(many)).expect("attempts");
        assert_eq!(view.attempts.len() + view.left_out, 300);
        assert!(view.left_out > 150 && view.attempts.len() > 50, "{}", view.left_out);
        assert!(attempts(&run(Vec::new())).is_none());
    }
}
