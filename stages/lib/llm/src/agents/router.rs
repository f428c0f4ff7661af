//! ASR's reply: `{"factor": "OPERATOR" | "ACTION", "reason": "..."}`, the factors being those of the parent.

use schemas::Factor;
use serde::Deserialize;

/// The choice of a factor.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The factor that the next edit is confined to.
    pub factor: Factor,
    /// The router's reason, trimmed and never empty.
    pub reason: String,
}

#[derive(Deserialize)]
struct Reply {
    factor: String,
    reason: String,
}

/// Reads the reply, which chooses one of `factors`; the error says what a second reply should do better.
///
/// Nothing but the JSON is asked for. Where a model writes more, the last object that is a choice counts: what comes before is
/// how it got there.
pub fn read(text: &str, factors: &[Factor]) -> Result<Choice, String> {
    let reply = last_object(text)?;
    let Some(factor) = factors.iter().copied().find(|factor| Factor::parse(&reply.factor) == Some(*factor)) else {
        return Err(format!("\"factor\" is {:?}; it must be {}", reply.factor, alternatives(factors)));
    };
    let reason = reply.reason.trim().to_owned();
    if reason.is_empty() {
        return Err("\"reason\" is empty".to_owned());
    }
    Ok(Choice { factor, reason })
}

/// The last object with the two fields, wherever it stands.
fn last_object(text: &str) -> Result<Reply, String> {
    let mut problem = "the reply has no JSON object".to_owned();
    let mut found = None;
    for (at, _) in text.match_indices('{') {
        let mut objects = serde_json::Deserializer::from_str(text.get(at..).unwrap_or_default()).into_iter::<Reply>();
        match objects.next() {
            Some(Ok(reply)) => found = Some(reply),
            Some(Err(error)) => problem = format!("the reply is not the JSON asked for: {error}"),
            None => {}
        }
    }
    found.ok_or(problem)
}

/// Names in quotation marks: `"OPERATOR" or "ACTION"`.
fn alternatives(factors: &[Factor]) -> String {
    let quoted: Vec<String> = factors.iter().map(|factor| format!("\"{factor}\"")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Choice, String> {
        super::read(text, &Factor::PAPER)
    }

    #[test]
    fn the_parents_factors_are_the_choices() {
        let factors = ["MESSAGE OPERATOR", "MESSAGE ACTION", "READOUT"].map(|name| Factor::parse(name).unwrap());
        let choose = |name: &str| super::read(&format!("{{\"factor\": \"{name}\", \"reason\": \"x\"}}"), &factors);
        assert_eq!(choose("READOUT").unwrap().factor, factors[2]);
        let error = choose("ACTION").unwrap_err();
        assert!(error.ends_with("it must be \"MESSAGE OPERATOR\", \"MESSAGE ACTION\" or \"READOUT\""), "{error}");
    }

    #[test]
    fn the_last_object_counts_whatever_stands_around_it() {
        let choice = read("\n{\"factor\": \"ACTION\", \"reason\": \" more heads \"}\n").unwrap();
        assert_eq!(choice, Choice { factor: Factor::ACTION, reason: "more heads".into() });
        for text in [
            "```json\n{\"factor\": \"ACTION\", \"reason\": \"x\"}\n```",
            "{\"factor\": \"action\", \"reason\": \"x\"}",
            "{\"factor\": \"ACTION\", \"reason\": \"x\", \"confidence\": 0.9}",
            "Let me think {about it}. {\"factor\": \"OPERATOR\", \"reason\": \"no\"} Better: {\"reason\": \"x\", \"factor\": \" Action\"} Done.",
        ] {
            assert_eq!(read(text).unwrap().factor, Factor::ACTION, "{text}");
        }
    }

    #[test]
    fn everything_else_goes_back_with_a_reason() {
        for (text, problem) in [
            ("I choose ACTION.", "no JSON object"),
            ("", "no JSON object"),
            ("{\"factor\": \"BOTH\", \"reason\": \"x\"}", "\"BOTH\"; it must be \"OPERATOR\" or \"ACTION\""),
            ("{\"factor\": \"ACTION\"}", "missing field `reason`"),
            ("{\"factor\": \"ACTION\", \"reason\": \"x", "EOF"),
            ("{\"factor\": \"ACTION\", \"reason\": \" \"}", "empty"),
            ("{\"factor\": 3, \"reason\": \"x\"}", "invalid type"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
