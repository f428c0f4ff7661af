//! What was asked and answered in each attempt: bounded, and saying what is left out.

use std::collections::BTreeMap;

use serde::Serialize;

use super::clean;
use super::lines::{Pool, Text};
use crate::draw::shorten;
use crate::exchanges::Exchange;
use crate::run::Run;
use crate::text::whole;

/// Longer texts lose their middle, in characters.
const TEXT: usize = 24_000;

/// One call of a language model.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    pub title: String,
    /// Tokens, money, time.
    pub spent: String,
    /// Why there is no reply, and tries that were repeated.
    pub faults: Vec<String>,
    /// Each with its name: prompts by role, reasoning, reply.
    pub texts: Vec<(String, Text)>,
}

/// The calls of a run's attempts, as far as there is room: the winner's first, then in order. Returns how many attempts have none.
pub fn calls(run: &Run, pool: &mut Pool, room: usize) -> (BTreeMap<i64, Vec<Call>>, usize) {
    let mut by_attempt: BTreeMap<i64, Vec<&Exchange>> = BTreeMap::new();
    for exchange in &run.exchanges {
        by_attempt.entry(exchange.attempt).or_default().push(exchange);
    }
    let winner = run.winner().map(|row| row.attempt);
    let order: Vec<i64> =
        winner.into_iter().chain(by_attempt.keys().copied().filter(|attempt| Some(*attempt) != winner)).collect();
    let limit = pool.bytes() + room;
    let mut shown = BTreeMap::new();
    for attempt in order {
        let Some(exchanges) = by_attempt.get_mut(&attempt) else { continue };
        if pool.bytes() >= limit {
            break;
        }
        exchanges.sort_by_key(|exchange| exchange.call);
        shown.insert(attempt, exchanges.iter().map(|exchange| call(exchange, pool)).collect());
    }
    let left_out = by_attempt.len() - shown.len();
    (shown, left_out)
}

fn call(exchange: &Exchange, pool: &mut Pool) -> Call {
    let prompts = exchange
        .messages
        .iter()
        .map(|message| (clean(&format!("Prompt ({})", shorten(&message.role, 20))), message.content.as_str()));
    let reasoning = exchange.reply.as_ref().and_then(|reply| reply.reasoning.as_deref());
    let reply = exchange.reply.as_ref().map(|reply| reply.text.as_str());
    let answers = [("Reasoning", reasoning), ("Reply", reply)];
    let answers = answers.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
    let texts = prompts.chain(answers).map(|(name, text)| (name, pool.add(&bounded(text)))).collect();
    let tries = exchange
        .tries
        .iter()
        .map(|fault| format!("Tried again after: {}: {}", fault.kind, shorten(&fault.message, 400)));
    let end = exchange.error.iter().map(|fault| format!("No reply: {}: {}", fault.kind, shorten(&fault.message, 400)));
    let usage = &exchange.usage;
    let about = if usage.estimated { "about " } else { "" };
    let part = |tokens: Option<u64>, name: &str| tokens.map_or(String::new(), |n| format!(" ({n} {name})"));
    let cost = exchange.cost.map_or(String::new(), |cost| format!(", cost {cost:.6}"));
    Call {
        title: clean(&format!("Call {}: {} asks {}", exchange.call, exchange.agent, shorten(&exchange.model, 80))),
        spent: format!(
            "{about}{}{} and {}{} tokens{cost}, {:.1} s",
            usage.prompt_tokens,
            part(usage.cached_tokens, "cached"),
            usage.completion_tokens,
            part(usage.reasoning_tokens, "reasoning"),
            exchange.latency_ms as f64 / 1000.0
        ),
        texts,
        faults: tries.chain(end).map(|fault| clean(&fault)).collect(),
    }
}

/// A text with its middle left out where it is too long: the end of a prompt is the task, the end of a reply the program.
fn bounded(text: &str) -> String {
    let length = text.chars().count();
    if length <= TEXT {
        return text.to_owned();
    }
    let head: String = text.chars().take(TEXT / 2).collect();
    let tail: String = text.chars().skip(length - TEXT / 2).collect();
    let cut = whole(schemas::count(length - TEXT / 2 * 2));
    format!("{head}\n… {cut} characters are left out here …\n{tail}")
}

#[cfg(test)]
mod tests {
    use schemas::Candidate;

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
    fn calls_are_in_order_and_equal_prompts_are_stored_once() {
        let mut pool = Pool::default();
        let run = run(vec![exchange(1, 1, "p", "again"), exchange(1, 0, "p", "r"), exchange(2, 0, "q", "s")]);
        let (calls, left_out) = calls(&run, &mut pool, 1000);
        assert_eq!((calls.len(), left_out), (2, 0));
        let first = &calls[&1];
        assert_eq!([&first[0].title, &first[1].title], ["Call 0: writer asks m", "Call 1: writer asks m"]);
        assert_eq!(first[0].texts[0].1, calls[&2][0].texts[0].1);
        assert_eq!(first[0].texts[1], first[1].texts[1]);
        assert_eq!(first[1].texts[2].0, "Reply");
    }

    #[test]
    fn what_has_no_room_is_counted_and_a_long_text_says_what_it_lost() {
        let many =
            (1..=50).map(|attempt| exchange(attempt, 0, &format!("{attempt}{}", "p".repeat(900)), "r")).collect();
        let (shown, left_out) = calls(&run(many), &mut Pool::default(), 10_000);
        assert_eq!(shown.len() + left_out, 50);
        assert!((10..14).contains(&shown.len()), "{}", shown.len());
        let long = format!("{}ä{}", "a".repeat(TEXT), "z".repeat(9));
        let text = bounded(&long);
        assert!(text.contains("… 10 characters are left out here …") && text.ends_with("zzz"));
    }
}
