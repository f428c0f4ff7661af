//! ASR's reply: strict JSON, `{"factor": "OPERATOR" | "ACTION", "reason": "..."}`.

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

/// Reads the reply; the error says what a second reply should do better.
///
/// The JSON may stand in a Markdown fence, which many models cannot leave out; nothing else may stand beside it.
pub fn read(text: &str) -> Result<Choice, String> {
    let text = unfence(text.trim());
    if !text.starts_with('{') {
        return Err("the reply does not start with a JSON object".to_owned());
    }
    let reply: Reply =
        serde_json::from_str(text).map_err(|error| format!("the reply is not the JSON asked for: {error}"))?;
    let factor = match reply.factor.as_str() {
        "OPERATOR" => Factor::Operator,
        "ACTION" => Factor::Action,
        other => return Err(format!("\"factor\" is {other:?}; it must be \"OPERATOR\" or \"ACTION\"")),
    };
    let reason = reply.reason.trim().to_owned();
    if reason.is_empty() {
        return Err("\"reason\" is empty".to_owned());
    }
    Ok(Choice { factor, reason })
}

fn unfence(text: &str) -> &str {
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let Some(inner) = inner else { return text };
    inner.strip_prefix("json").unwrap_or(inner).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_json() {
        let choice = read("\n{\"factor\": \"ACTION\", \"reason\": \" more heads \"}\n").unwrap();
        assert_eq!(choice, Choice { factor: Factor::Action, reason: "more heads".into() });
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
