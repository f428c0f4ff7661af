//! What a server's refusal means, whatever clothes it comes in: services use the same few HTTP statuses for a wrong key, a
//! prompt that is too long, a filter and their own trouble, and tell them apart in words.

use serde_json::Value;

use crate::error::{CallError, Kind, excerpt};
use crate::secret::Mask;

/// Words of a key that is wrong or missing, in lower case.
const KEY: [&str; 12] = [
    "api key",
    "api_key",
    "api-key",
    "apikey",
    "unauthorized",
    "unauthenticated",
    "authentication",
    "auth_error",
    "invalid token",
    "invalid_token",
    "credential",
    "permission_denied",
];
/// Words of an account without money, which no waiting fills.
const QUOTA: [&str; 4] = ["insufficient_quota", "insufficient credit", "credit balance", "insufficient funds"];
/// Words of a prompt that does not fit.
const CONTEXT: [&str; 10] = [
    "context length",
    "context_length",
    "context size",
    "context_size",
    "context window",
    "context_window",
    "prompt is too long",
    "prompt too long",
    "input token count",
    "maximum input length",
];
/// Words of a filter: the service will not have this prompt answered.
const FILTER: [&str; 5] =
    ["content_filter", "content_policy", "content management policy", "responsibleaipolicy", "safety system"];

/// The error object that servers put in place of a reply, or in the body of an HTTP error.
pub fn api_error(error: &Value, mask: &Mask) -> CallError {
    let text = error.get("message").and_then(Value::as_str).or(error.as_str());
    let message = mask.scrub(text.unwrap_or(&error.to_string()));
    let status = error
        .get("code")
        .and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()))
        .and_then(|code| u16::try_from(code).ok())
        .filter(|code| (400..600).contains(code));
    let kind = meant(Kind::Api, status, &error.to_string());
    CallError::new(kind, excerpt(&message, 400)).with_status(status)
}

/// What an HTTP status other than 200 means, with the body that came with it.
pub fn http_error(status: u16, reason: &str, body: &str, mask: &Mask) -> CallError {
    let said = match serde_json::from_str::<Value>(body) {
        // Some put the error into a list of one.
        Ok(Value::Array(values)) => {
            api_error(values.first().map_or(&Value::Null, |v| v.get("error").unwrap_or(v)), mask).message
        }
        Ok(value) => api_error(value.get("error").unwrap_or(&value), mask).message,
        Err(_) => excerpt(&mask.scrub(body), 200),
    };
    let message = if said.is_empty() || said == "null" { reason.to_owned() } else { format!("{reason}: {said}") };
    // The page that a gateway shows in its own trouble may speak of anything.
    let page = status >= 500 && !body.trim_start().starts_with(['{', '[']);
    let words = if page { "" } else { body };
    CallError::new(meant(Kind::Status, Some(status), words), message).with_status(Some(status))
}

/// The kind of an error that a server tells of in words.
fn meant(kind: Kind, status: Option<u16>, words: &str) -> Kind {
    let words = words.to_lowercase();
    let says = |list: &[&str]| list.iter().any(|word| words.contains(word));
    if status == Some(413) || (status != Some(429) && says(&CONTEXT)) {
        Kind::Context
    } else if says(&FILTER) {
        Kind::Refusal
    } else if matches!(status, Some(401..=404 | 407)) || says(&QUOTA) || (status != Some(429) && says(&KEY)) {
        Kind::Setup
    } else {
        kind
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Blame;

    fn of(status: u16, body: &Value) -> CallError {
        http_error(status, "X", &body.to_string(), &Mask::default())
    }

    #[test]
    fn a_wrong_key_is_one_in_whatever_clothes() {
        let forms = [
            // OpenAI, Anthropic, Gemini, LiteLLM, OpenRouter, a proxy
            (
                401,
                json!({"error": {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"}}),
            ),
            (401, json!({"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}})),
            (400, json!([{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}])),
            (
                400,
                json!({"error": {"message": "Authentication Error, Invalid proxy server token", "type": "auth_error", "code": "400"}}),
            ),
            (500, json!({"error": {"message": "litellm.AuthenticationError: wrong key"}})),
            (403, json!({"error": {"message": "No auth credentials found", "code": 403}})),
            (402, json!({"error": {"message": "pay first"}})),
            (404, json!({"error": {"message": "The model `x` does not exist"}})),
            (429, json!({"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}})),
        ];
        for (status, body) in forms {
            let error = of(status, &body);
            assert_eq!((error.kind, error.blame(), error.can_heal()), (Kind::Setup, Blame::Setup, false), "{body}");
        }
        let streamed = api_error(&json!({"message": "Invalid API key"}), &Mask::default());
        assert_eq!(streamed.blame(), Blame::Setup);
    }

    #[test]
    fn long_prompts_filters_and_trouble_are_told_apart() {
        let long = json!({"error": {"code": 400, "type": "exceed_context_size_error",
            "message": "the request exceeds the available context size, try increasing it", "n_ctx": 4096}});
        assert_eq!(of(400, &long).kind, Kind::Context);
        assert_eq!(of(413, &json!({})).kind, Kind::Context);
        let filtered = json!({"error": {"code": "content_filter", "message": "The response was filtered"}});
        assert_eq!((of(400, &filtered).kind, of(400, &filtered).blame()), (Kind::Refusal, Blame::Model));
        for status in [429, 500, 502, 503, 529] {
            assert_eq!(of(status, &json!({"error": {"message": "overloaded"}})).blame(), Blame::Service, "{status}");
        }
        let busy =
            json!({"error": {"message": "Rate limit for your API key: see billing", "code": "rate_limit_exceeded"}});
        assert_eq!(of(429, &busy).blame(), Blame::Service);
        let page = http_error(502, "X", "<html>the authentication service is away</html>", &Mask::default());
        assert_eq!(page.blame(), Blame::Service);
        for status in [307, 400, 405, 422] {
            assert_eq!(of(status, &json!({"error": {"message": "no"}})).blame(), Blame::Setup, "{status}");
        }
    }

    #[test]
    fn no_part_of_a_key_is_left_by_an_excerpt() {
        let key = "sk-0123456789-abcdefghij-0123456789-abcdefghij-012345";
        let mask = Mask::new([crate::Secret::new(key).expect("a key")]);
        let error = http_error(400, "X", &format!("{}{key}", "x".repeat(170)), &mask);
        assert!(!error.message.contains("sk-0"), "{error}");
    }
}
