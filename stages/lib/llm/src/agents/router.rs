//! ASR's reply: strict JSON, `{"factor": "OPERATOR" | "ACTION", "reason": "..."}`, the factors being those of the parent.

use schemas::Factor;
use serde::Deserialize;

/// The choice of a factor.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub factor: Factor,
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    factor: String,
    reason: String,
}

/// Reads the reply, which chooses one of `factors`; the error says what a second reply should do better.
///
/// The JSON may stand in a Markdown fence, which many models cannot leave out; nothing else may stand beside it.
pub fn read(text: &str, factors: &[Factor]) -> Result<Choice, String> {
    let text = unfence(text.trim());
    if !text.starts_with('{') {
        return Err("the reply does not start with a JSON object".to_owned());
    }
    let reply: Reply =
        serde_json::from_str(text).map_err(|error| format!("the reply is not the JSON asked for: {error}"))?;
    let Some(factor) = factors.iter().copied().find(|factor| *factor == reply.factor.as_str()) else {
        return Err(format!("\"factor\" is {:?}; it must be {}", reply.factor, alternatives(factors)));
    };
    let reason = reply.reason.trim().to_owned();
    if reason.is_empty() {
        return Err("\"reason\" is empty".to_owned());
    }
    Ok(Choice { factor, reason })
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

fn unfence(text: &str) -> &str {
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let Some(inner) = inner else { return text };
    inner.strip_prefix("json").unwrap_or(inner).trim()
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
    fn strict_json() {
        let choice = read("\n{\"factor\": \"ACTION\", \"reason\": \" more heads \"}\n").unwrap();
        assert_eq!(choice, Choice { factor: Factor::ACTION, reason: "more heads".into() });
        assert!(read("```json\n{\"factor\": \"OPERATOR\", \"reason\": \"x\"}\n```").is_ok());
    }

    #[test]
    fn everything_else_goes_back_with_a_reason() {
        for (text, problem) in [
            ("I choose ACTION.", "does not start with"),
            ("", "does not start with"),
            ("{\"factor\": \"action\", \"reason\": \"x\"}", "must be \"OPERATOR\" or \"ACTION\""),
            ("{\"factor\": \"BOTH\", \"reason\": \"x\"}", "\"BOTH\""),
            ("{\"factor\": \"ACTION\"}", "missing field `reason`"),
            ("{\"factor\": \"ACTION\", \"reason\": \"x\", \"more\": 1}", "unknown field `more`"),
            ("{\"factor\": \"ACTION\", \"reason\": \"x\"} and so on", "trailing characters"),
            ("{\"factor\": \"ACTION\", \"reason\": \"x", "EOF"),
            ("{\"factor\": \"ACTION\", \"reason\": \" \"}", "empty"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
