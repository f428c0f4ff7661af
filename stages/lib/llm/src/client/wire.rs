//! The protocol's JSON: the body of a request, and replies put together from one object or from many.

use serde_json::{Map, Value, json};
use stage::config::Continues;

use crate::call::{Call, Finish, Message, Reply, Usage};
use crate::client::faults::api_error;
use crate::client::reasoning;
use crate::error::{CallError, Kind, excerpt};
use crate::secret::Mask;
use crate::settings::Settings;

/// The beginning of a reply whose connection broke: what the next request goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Begun {
    /// As long as it ends in a word: servers refuse a message of the assistant's that ends in a blank.
    pub content: String,
    pub reasoning: String,
}

/// The body of a request that goes on with a reply.
pub fn continued(mut body: Value, begun: &Begun, how: Continues) -> Value {
    if let Some(Value::Array(messages)) = body.get_mut("messages") {
        messages.push(json!(Message::assistant(&begun.content)));
    }
    if let (Continues::Final, Value::Object(body)) = (how, &mut body) {
        body.insert("continue_final_message".into(), json!(true));
        body.insert("add_generation_prompt".into(), json!(false));
    }
    body
}

/// The body of a request: model, messages, and only those parameters that are set.
pub fn body(call: &Call, settings: &Settings) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), json!(call.model));
    body.insert("messages".into(), json!(call.messages));
    for (name, value) in &call.params {
        body.insert(name.clone(), value.clone());
    }
    if settings.llm.stream {
        body.insert("stream".into(), json!(true));
        if settings.llm.stream_usage {
            body.insert("stream_options".into(), json!({ "include_usage": true }));
        }
    }
    Value::Object(body)
}

/// A reply on its way: what has arrived so far.
#[derive(Debug, Default)]
pub struct Assembly {
    mask: Mask,
    begun: Begun,
    content: String,
    reasoning: String,
    refusal: String,
    pub finish: Option<String>,
    pub usage: Option<Usage>,
    served_by: Option<String>,
    tool_calls: bool,
    /// `[DONE]` has been read.
    pub done: bool,
}

impl Assembly {
    /// Nothing yet but what the reply goes on from. What the mask hides is in no message and no reply.
    pub fn new(mask: Mask, begun: Begun) -> Self {
        Self { mask, begun, ..Self::default() }
    }

    /// The reply's words, those that it goes on from before those of this connection. A server that begins with them once more
    /// does not say them twice.
    fn words(&self) -> String {
        let news = self.content.strip_prefix(self.begun.content.as_str()).unwrap_or(&self.content);
        format!("{}{news}", self.begun.content)
    }

    fn thoughts(&self) -> String {
        format!("{}{}", self.begun.reasoning, self.reasoning)
    }

    /// What the next connection can go on from; nothing where the reply had not begun, or where its thoughts, which no server
    /// takes back, are not at their end.
    pub fn begun(&self) -> Option<Begun> {
        let content = self.mask.scrub(self.words().trim_end());
        let thinking = reasoning::split(&content).1.trim().is_empty();
        let begun = Begun { content, reasoning: self.mask.scrub(&self.thoughts()) };
        (!begun.content.is_empty() && !thinking && !self.tool_calls).then_some(begun)
    }

    /// The text so far, reasoning first; none if there is none.
    pub fn partial(&self) -> Option<String> {
        let text = [self.thoughts().trim(), self.words().trim()].join("\n\n");
        Some(self.mask.scrub(text.trim())).filter(|text| !text.is_empty())
    }

    /// Bytes of text that this connection has brought so far, for guesses at tokens.
    pub fn text_bytes(&self) -> usize {
        self.content.len() + self.reasoning.len() + self.refusal.len()
    }

    /// Takes the data of one event.
    pub fn event(&mut self, data: &str) -> Result<(), CallError> {
        let data = data.trim();
        if data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        self.object(parse(data, &self.mask)?, "delta")
    }

    /// Takes a whole reply.
    pub fn whole(&mut self, text: &str) -> Result<(), CallError> {
        self.object(parse(text, &self.mask)?, "message")?;
        self.done = true;
        Ok(())
    }

    fn object(&mut self, value: Value, part: &str) -> Result<(), CallError> {
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            return Err(api_error(error, &self.mask));
        }
        if let Some(usage) = value.get("usage").filter(|usage| !usage.is_null()) {
            self.usage = read_usage(usage).or(self.usage);
        }
        if let Some(model) = value.get("model").and_then(Value::as_str) {
            self.served_by = Some(self.mask.scrub(model));
        }
        let choices = match value.get("choices") {
            Some(Value::Array(choices)) => choices.as_slice(),
            // events that carry only the usage, or nothing that we know
            None | Some(Value::Null) if part == "delta" => &[],
            _ => return Err(malformed("the reply has no list \"choices\"", &value, &self.mask)),
        };
        let choice = choices.iter().find(|c| c.get("index").and_then(Value::as_u64).unwrap_or(0) == 0);
        let Some(choice) = choice else {
            return if part == "delta" { Ok(()) } else { Err(malformed("\"choices\" is empty", &value, &self.mask)) };
        };
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish = Some(self.mask.scrub(reason));
        }
        // a server may send a whole message in a stream, or a delta outside of one
        let message = [part, "message", "delta"].iter().find_map(|name| choice.get(*name)).unwrap_or(&Value::Null);
        match message {
            Value::Null => Ok(()),
            Value::Object(message) => self.message(message),
            _ => Err(malformed("a message is not an object", &value, &self.mask)),
        }
    }

    fn message(&mut self, message: &Map<String, Value>) -> Result<(), CallError> {
        append(&mut self.content, message.get("content"), &self.mask)?;
        append(&mut self.refusal, message.get("refusal"), &self.mask)?;
        // two names for the same thing; a server that sends both means one
        let reasoning = ["reasoning_content", "reasoning"]
            .iter()
            .find_map(|name| message.get(*name).filter(|value| value.as_str().is_some_and(|text| !text.is_empty())));
        append(&mut self.reasoning, reasoning, &self.mask)?;
        self.tool_calls |= message.get("tool_calls").and_then(Value::as_array).is_some_and(|calls| !calls.is_empty());
        Ok(())
    }

    /// The reply, if what arrived is one.
    pub fn into_reply(self) -> Result<Reply, CallError> {
        let filtered = self.finish.as_deref() == Some("content_filter");
        if !self.refusal.trim().is_empty() || filtered {
            let said = if self.refusal.trim().is_empty() { &self.words() } else { &self.refusal };
            let by = if filtered { "a content filter stopped the reply" } else { "the model declined" };
            let said = excerpt(&self.mask.scrub(said), 200);
            return Err(CallError::new(Kind::Refusal, format!("{by}: {said:?}")));
        }
        let (inline, text) = reasoning::split(&self.mask.scrub(&self.words()));
        let apart = Some(self.mask.scrub(&self.thoughts())).filter(|text| !text.trim().is_empty());
        let reasoning: Vec<String> = [apart, inline].into_iter().flatten().collect();
        let finish = match self.finish.as_deref() {
            None | Some("stop" | "eos" | "end_turn" | "") => Finish::Stop,
            Some("length" | "max_tokens" | "model_length") => Finish::Length,
            Some(other) => Finish::Other(other.to_owned()),
        };
        if text.trim().is_empty() {
            // Some servers file the whole answer under reasoning.
            let thought = reasoning.join("\n\n");
            if finish == Finish::Stop && reasoning::answers(&thought) {
                return Ok(Reply { text: thought, reasoning: None, finish, served_by: self.served_by });
            }
            return Err(match finish {
                Finish::Length => CallError::new(
                    Kind::TooLong,
                    "the token limit was spent before the first word of an answer (raise llm.max_tokens)",
                ),
                _ if self.tool_calls => CallError::new(Kind::Empty, "the model called a tool instead of answering"),
                _ => CallError::new(Kind::Empty, "the reply has no text"),
            });
        }
        let reasoning = (!reasoning.is_empty()).then(|| reasoning.join("\n\n"));
        Ok(Reply { text, reasoning, finish, served_by: self.served_by })
    }
}

fn parse(text: &str, mask: &Mask) -> Result<Value, CallError> {
    serde_json::from_str(text).map_err(|error| {
        let end = if error.is_eof() { "ends in the middle" } else { "is not valid" };
        let message = format!("the reply's JSON {end} ({error}): {:?}", excerpt(&mask.scrub(text), 120));
        CallError::new(Kind::Malformed, message)
    })
}

fn malformed(what: &str, value: &Value, mask: &Mask) -> CallError {
    CallError::new(Kind::Malformed, format!("{what}: {:?}", excerpt(&mask.scrub(&value.to_string()), 120)))
}

/// Text is a string, or a list of parts of which some have text.
fn append(to: &mut String, value: Option<&Value>, mask: &Mask) -> Result<(), CallError> {
    match value {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => to.push_str(text),
        Some(Value::Array(parts)) => {
            for part in parts {
                to.push_str(part.get("text").and_then(Value::as_str).unwrap_or(""));
            }
        }
        Some(other) => return Err(malformed("a message's text is neither a string nor a list of parts", other, mask)),
    }
    Ok(())
}

fn read_usage(usage: &Value) -> Option<Usage> {
    let number = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
    Some(Usage {
        prompt_tokens: number("/prompt_tokens")?,
        completion_tokens: number("/completion_tokens").unwrap_or(0),
        reasoning_tokens: number("/completion_tokens_details/reasoning_tokens"),
        cached_tokens: number("/prompt_tokens_details/cached_tokens"),
        estimated: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streamed(events: &[Value]) -> Result<Reply, CallError> {
        let mut assembly = Assembly::default();
        for event in events {
            assembly.event(&event.to_string())?;
        }
        assembly.into_reply()
    }

    fn whole(value: Value) -> Result<Reply, CallError> {
        let mut assembly = Assembly::default();
        assembly.whole(&value.to_string())?;
        assembly.into_reply()
    }

    #[test]
    fn deltas_add_up() {
        let reply = streamed(&[
            json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}], "model": "m-1"}),
            json!({"choices": [{"index": 0, "delta": {"reasoning_content": "hm", "reasoning": "hm"}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "z"}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": [{"type": "text", "text": "b"}]}, "finish_reason": "length"}]}),
            json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        ]);
        let expected = Reply {
            text: "ab".into(),
            reasoning: Some("hm".into()),
            finish: Finish::Length,
            served_by: Some("m-1".into()),
        };
        assert_eq!(reply.unwrap(), expected);
    }

    #[test]
    fn refusals_filters_and_silence() {
        let kind = |value| whole(value).unwrap_err().kind;
        assert_eq!(kind(json!({"choices": [{"message": {"content": null, "refusal": "I can't"}}]})), Kind::Refusal);
        let filtered = json!({"choices": [{"message": {"content": "par"}, "finish_reason": "content_filter"}]});
        assert_eq!(kind(filtered), Kind::Refusal);
        assert_eq!(kind(json!({"choices": [{"message": {"content": "  \n"}}]})), Kind::Empty);
        let only_thought = |text: &str| json!({"choices": [{"message": {"content": "", "reasoning_content": text}}]});
        assert_eq!(kind(only_thought("I wonder.")), Kind::Empty);
        assert_eq!(
            kind(json!({"choices": [{"message": {"content": "<think>long"}, "finish_reason": "length"}]})),
            Kind::TooLong
        );
        assert_eq!(kind(json!({"choices": []})), Kind::Malformed);
        assert_eq!(kind(json!({"hello": "world"})), Kind::Malformed);
        assert_eq!(kind(json!({"choices": [{"message": {"content": 42}}]})), Kind::Malformed);
        assert_eq!(kind(json!([1, 2])), Kind::Malformed);
    }

    #[test]
    fn error_objects_keep_their_status() {
        let error = whole(json!({"error": {"message": "slow down", "code": 429}})).unwrap_err();
        assert_eq!((error.kind, error.status, error.can_heal()), (Kind::Api, Some(429), true));
        let error = whole(json!({"error": {"message": "no such model", "code": "404"}})).unwrap_err();
        assert!(!error.can_heal() && error.ends_the_stage());
        assert_eq!(whole(json!({"error": "just text"})).unwrap_err().message, "just text");
    }

    #[test]
    fn usage_in_detail() {
        let usage = json!({"prompt_tokens": 10, "completion_tokens": 20,
            "completion_tokens_details": {"reasoning_tokens": 15}, "prompt_tokens_details": {"cached_tokens": 8}});
        let usage = read_usage(&usage).unwrap();
        assert_eq!((usage.total(), usage.reasoning_tokens, usage.cached_tokens), (30, Some(15), Some(8)));
        assert_eq!(read_usage(&json!({"total_tokens": 3})), None);
    }
}
