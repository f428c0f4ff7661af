//! An attempt as a page in Markdown. Whatever came from outside stands in blocks and spans of code, or is escaped: it is no
//! markup, and cannot steer a terminal.

use std::fmt::Write as _;

use llm::{CallError, Exchange, Finish};
use schemas::{Candidate, Diagnostic};
use serde_json::Value;
use stage::markdown::{block, code, text};

use super::Attempt;
use super::account::Account;
use super::calls::{Calls, Recorded};
use super::rows::Try;

/// The whole page.
pub fn attempt(attempt: &Attempt) -> String {
    let mut out = format!("# Attempt {} of {}\n\n", attempt.number, text(&attempt.source));
    summary(&mut out, attempt);
    for (index, recorded) in attempt.calls.iter().enumerate() {
        call(&mut out, &attempt.calls, index, recorded);
    }
    let count = attempt.tries.len();
    for (index, made) in attempt.tries.iter().enumerate() {
        row(&mut out, index + 1, count, made);
    }
    out
}

/// All attempts of a run as a table.
pub fn list(source: &str, lines: &[(i64, Account, String)]) -> String {
    let mut out = format!("# Attempts of {}\n\n", text(source));
    out += "| attempt | calls | failed | tokens | cost | seconds | outcome |\n|---:|---:|---:|---:|---:|---:|---|\n";
    for (number, account, outcome) in lines {
        let cost = account.cost.map_or_else(|| "–".to_owned(), |cost| format!("{cost:.6}"));
        let estimated = if account.estimated_calls > 0 { "about " } else { "" };
        let _ = writeln!(
            out,
            "| {number} | {} | {} | {estimated}{} | {cost} | {:.1} | {} |",
            account.calls,
            account.failed,
            account.usage.total(),
            account.seconds,
            text(&short(outcome))
        );
    }
    out
}

/// The beginning of a long text.
fn short(text: &str) -> String {
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn line(out: &mut String, name: &str, value: impl AsRef<str>) {
    let value = value.as_ref();
    if !value.is_empty() {
        let _ = writeln!(out, "- {name}: {value}");
    }
}

fn summary(out: &mut String, attempt: &Attempt) {
    if let Some(Recorded { exchange, .. }) = attempt.calls.iter().next() {
        line(out, "place", format!("generation {}, slot {}", exchange.place.generation, exchange.place.slot));
    } else if let Some(made) = attempt.tries.first() {
        line(out, "place", format!("generation {}, slot {}", made.row.generation, made.row.slot));
    }
    let account = attempt.calls.account();
    let models: Vec<String> = attempt.calls.models().into_iter().map(code).collect();
    line(out, "models", models.join(", "));
    let counted: i64 = attempt.tries.iter().filter_map(|made| made.extra.get("llm_calls")?.as_i64()).sum();
    if account.calls == 0 && counted > 0 {
        // As in a replay, whose exchanges are those of the run that it repeats.
        line(out, "calls", format!("{counted} by the tables; --transcripts FILE shows them, where they are recorded"));
    } else if account.calls == 0 {
        line(out, "calls", "none: no model was asked");
    } else {
        let failed = if account.failed > 0 { format!(", {} without a reply", account.failed) } else { String::new() };
        let tries =
            if account.failed_tries > 0 { format!(", {} failed tries", account.failed_tries) } else { String::new() };
        line(out, "calls", format!("{}{failed}{tries}", account.calls));
        line(out, "tokens", account.tokens());
        line(out, "cost", account.money());
        line(out, "seconds", format!("{:.1} of waiting for replies", account.seconds));
    }
    match attempt.tries.last() {
        Some(made) => line(out, "outcome", outcome(&made.row)),
        None => line(out, "outcome", "not known: there are no tables of a run beside the transcript"),
    }
    out.push('\n');
}

fn outcome(row: &Candidate) -> String {
    let score = row.fitness.map(|fitness| format!("fitness {fitness:.4}"));
    let reason = row.reason.as_deref().map(text);
    let more: Vec<String> = [score, reason].into_iter().flatten().collect();
    if more.is_empty() { row.status.to_string() } else { format!("{}: {}", row.status, more.join("; ")) }
}

fn call(out: &mut String, calls: &Calls, index: usize, recorded: &Recorded) {
    let Recorded { exchange, superseded } = recorded;
    let Exchange { call, place, reply, error, .. } = exchange;
    let _ = writeln!(out, "## Call {}: {} asks {}\n", place.call, call.agent.as_str(), code(&call.model));
    if *superseded {
        out.push_str("This call was made again later; the later exchange counts.\n\n");
    }
    facts(out, exchange);
    let (repeated, earlier) = calls.repeated(index);
    if repeated > 0 {
        let which = if repeated == 1 {
            "The first message is that".to_owned()
        } else {
            format!("The first {repeated} messages are those")
        };
        let _ = writeln!(out, "{which} of call {earlier}.\n");
    }
    for (number, message) in call.messages.iter().enumerate().skip(repeated) {
        let _ = writeln!(out, "### Prompt, message {}: {}\n", number + 1, message.role.as_str());
        let _ = writeln!(out, "{}", block("text", &message.content));
    }
    if !exchange.tries.is_empty() {
        out.push_str("### Failed tries\n\n");
        for (number, failed) in exchange.tries.iter().enumerate() {
            let _ =
                writeln!(out, "{}. {}; waited {:.1} s", number + 1, fault(&failed.error), seconds(failed.waited_ms));
        }
        out.push('\n');
    }
    if let Some(reply) = reply {
        if let Some(reasoning) = &reply.reasoning {
            let _ = writeln!(out, "### Reasoning\n\n{}", block("text", reasoning));
        }
        let _ = writeln!(out, "### Reply\n\n{}", block("text", &reply.text));
    }
    if let Some(partial) = &exchange.partial {
        let _ = writeln!(out, "### Reply, as far as it came\n\n{}", block("text", partial));
    }
    if let Some(error) = error {
        let _ = writeln!(out, "### Error\n\n{}\n", fault(error));
    }
}

fn facts(out: &mut String, exchange: &Exchange) {
    let account = Account::of([exchange]);
    line(out, "parameters", code(&Value::Object(exchange.call.params.clone()).to_string()));
    if let Some(reply) = &exchange.reply {
        line(out, "answered by", reply.served_by.as_deref().map(code).unwrap_or_default());
        let end = match &reply.finish {
            Finish::Stop => "the model was done".to_owned(),
            Finish::Length => "cut off by the token limit".to_owned(),
            Finish::Other(word) => code(word),
        };
        line(out, "end of the reply", end);
    }
    line(out, "tokens", account.tokens());
    line(out, "cost", account.money());
    line(out, "seconds", format!("{:.1}, until {}", account.seconds, text(&exchange.time)));
    line(out, "key", code(&exchange.key));
    out.push('\n');
}

fn fault(error: &CallError) -> String {
    let status = error.status.map_or_else(String::new, |status| format!(" (status {status})"));
    format!("{}{status}: {}", text(error.kind.as_str()), text(&error.message))
}

fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

fn row(out: &mut String, number: usize, count: usize, made: &Try) {
    let row = &made.row;
    let repair = row.repair_round.filter(|round| *round > 0).map(|round| format!(", repair round {round}"));
    let phase = row.phase.map(|phase| format!(", phase {phase}"));
    let more: String = [phase, repair].into_iter().flatten().collect();
    let _ = writeln!(out, "## Row {number} of {count}{more}: {}\n", row.status);
    way(out, made);
    out.push('\n');
    let word = |value: &Option<String>| value.as_deref().map(code).unwrap_or_default();
    let rate = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.4}"));
    let whole = |value: Option<i64>| value.map_or_else(String::new, |value| value.to_string());
    line(out, "candidate", if row.candidate_id.is_empty() { String::new() } else { code(&row.candidate_id) });
    line(out, "parent", word(&row.parent_id));
    line(out, "factor", row.factor.as_ref().map_or_else(String::new, |factor| code(factor.as_str())));
    line(out, "edit", row.edit.as_deref().map(text).unwrap_or_default());
    line(out, "directive", row.directive.as_deref().map(text).unwrap_or_default());
    line(out, "verdict", row.verdict.map_or_else(String::new, |verdict| verdict.to_string()));
    line(out, "locality", row.locality.map_or_else(String::new, |locality| locality.to_string()));
    line(out, "duplicate of", word(&row.duplicate_of));
    line(out, "parameters", whole(row.params));
    line(out, "seconds of training", row.train_seconds.map_or_else(String::new, |seconds| format!("{seconds:.1}")));
    line(out, "accuracy on larger graphs", rate(row.ood_acc));
    line(out, "accuracy on test", rate(row.test_acc));
    line(out, "fitness", rate(row.fitness));
    line(out, "among the parents", row.archived.map_or_else(String::new, |archived| archived.to_string()));
    for (name, value) in &made.extra {
        let shown = match value {
            Value::Null => continue,
            Value::String(value) => text(value),
            value => code(&value.to_string()),
        };
        line(out, &text(name), shown);
    }
    let found = row.diagnostics.as_deref().unwrap_or_default();
    if !found.is_empty() {
        out.push_str("\n### Diagnostics\n\n");
        found.iter().for_each(|diagnostic| finding(out, diagnostic));
    }
    if !row.source.is_empty() {
        let _ = write!(out, "\n### Program\n\n{}", block("python", &row.source));
    }
    out.push('\n');
}

/// What each table says of the row; tables that say the same stand in one line.
fn way(out: &mut String, made: &Try) {
    for alike in made.tables.chunk_by(|a, b| (&a.1, &a.2) == (&b.1, &b.2)) {
        let names: Vec<String> = alike.iter().map(|(table, ..)| code(table)).collect();
        let Some((_, status, reason)) = alike.first() else { continue };
        let reason = reason.as_deref().map_or_else(String::new, |reason| format!(": {}", text(reason)));
        let _ = writeln!(out, "- {}: {status}{reason}", names.join(", "));
    }
}

fn finding(out: &mut String, found: &Diagnostic) {
    let place = if found.line > 0 { format!(", line {}, column {}", found.line, found.column) } else { String::new() };
    let help = found.help.as_deref().map_or_else(String::new, |help| format!(" Help: {}", text(help)));
    let _ = writeln!(out, "- {} {}{place}: {}{help}", found.severity, code(&found.code), text(&found.message));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(tables: &[(&str, &str, Option<&str>)]) -> Try {
        let owned = |(table, status, reason): &(&str, &str, Option<&str>)| {
            ((*table).to_owned(), (*status).to_owned(), reason.map(str::to_owned))
        };
        Try { row: Candidate::default(), extra: serde_json::Map::new(), tables: tables.iter().map(owned).collect() }
    }

    #[test]
    fn tables_that_say_the_same_share_a_line() {
        let mut out = String::new();
        way(&mut out, &made(&[("a", "proposed", None), ("b", "rejected", Some("x")), ("c", "rejected", Some("x"))]));
        assert_eq!(out, "- `a`: proposed\n- `b`, `c`: rejected: x\n");
    }

    #[test]
    fn a_list_is_a_table_whatever_the_outcomes_say() {
        let line = |outcome: &str| (3, Account::default(), outcome.to_owned());
        let page = list("run", &[line("failed: a | b\nc"), line(&"x".repeat(1000))]);
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(page.lines().filter(|line| line.starts_with('|')).all(|line| bars(line) == 8), "{page}");
        assert!(page.contains("failed: a \\| b c") && page.contains("x…") && page.len() < 1000);
    }
}
