//! The limit on a reply's tokens that we set where the user has set none. Services differ in its name and in how much they
//! allow; one that refuses it is asked again under the other name, and then without it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::call::Call;
use crate::error::CallError;
use crate::settings::{LIMIT as NAMES, Settings};

/// Tokens enough for a service to show that it answers; some refuse less.
const SMALL: u64 = 16;

/// The limit among a call's parameters.
pub fn of(params: &Map<String, Value>) -> Option<u64> {
    NAMES.iter().find_map(|name| params.get(*name)?.as_u64())
}

/// How each model's service will have the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    OtherName,
    LeftOut,
}

#[derive(Debug, Default)]
pub struct Limit(Mutex<BTreeMap<String, Form>>);

impl Limit {
    /// Whether an error is about the limit, and the next attempt will be made otherwise.
    pub fn adapt(&self, model: &str, error: &CallError) -> bool {
        let words = error.message.to_lowercase();
        if !matches!(error.status, Some(400 | 422)) || !(words.contains("max_") || words.contains("completion")) {
            return false;
        }
        let mut forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = words.contains("max_completion_tokens") && words.contains("max_tokens");
        let next = match forms.get(model) {
            None if name => Form::OtherName,
            None | Some(Form::OtherName) => Form::LeftOut,
            Some(Form::LeftOut) => return false,
        };
        forms.insert(model.to_owned(), next);
        true
    }

    /// A call as the model's service will have it.
    pub fn apply(&self, call: &Call) -> Call {
        let mut call = call.clone();
        let form = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&call.model).copied();
        let Some(form) = form else { return call };
        let taken: Vec<(usize, Value)> =
            NAMES.iter().enumerate().filter_map(|(at, name)| Some((at, call.params.shift_remove(*name)?))).collect();
        if form == Form::OtherName {
            call.params.extend(taken.into_iter().map(|(at, value)| (NAMES[1 - at].to_owned(), value)));
        }
        call
    }

    /// Parameters of a call that takes next to nothing.
    pub fn small(settings: &Settings) -> Map<String, Value> {
        Map::from_iter([(settings.llm.max_tokens_field.clone(), Value::from(SMALL))])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::{Agent, Message};
    use crate::error::Kind;

    #[test]
    fn the_other_name_first_and_then_none() {
        let limit = Limit::default();
        let Value::Object(params) = json!({"max_tokens": 9, "seed": 1}) else { panic!("an object") };
        let call = Call { agent: Agent::Writer, model: "m".into(), messages: vec![Message::user("x")], params };
        let refused = |message: &str| CallError::new(Kind::Status, message).with_status(Some(400));
        assert_eq!(limit.apply(&call), call);
        assert!(!limit.adapt("m", &refused("temperature is out of range")));
        let words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
        assert!(limit.adapt("m", &refused(words)));
        assert_eq!(Value::Object(limit.apply(&call).params), json!({"seed": 1, "max_completion_tokens": 9}));
        assert!(limit.adapt("m", &refused("max_completion_tokens is too large")));
        assert_eq!(Value::Object(limit.apply(&call).params), json!({"seed": 1}));
        assert!(!limit.adapt("m", &refused("max_tokens again")));
        assert!(
            limit.adapt("other", &refused("you requested 9000 tokens (1000 in the messages, 8000 in the completion)"))
        );
    }
}
