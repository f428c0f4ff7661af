//! Whether JSON follows one of our JSON Schema documents: for tests. Of the vocabulary it knows what our documents use, and
//! whatever else stands in one is a fault, so that no rule passes unchecked. Only with the feature `mock`.

use serde_json::{Map, Value};

/// Keywords that say something to people.
const NOTES: [&str; 8] =
    ["$schema", "$defs", "title", "description", "default", "format", "x-schema-version", "x-stage"];

/// What of a value does not follow a document, each with its place; empty where all of it does.
pub fn faults(document: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Check { document, found: &mut found }.schema(document, value, "");
    found
}

struct Check<'a> {
    document: &'a Value,
    found: &'a mut Vec<String>,
}

impl Check<'_> {
    fn schema(&mut self, schema: &Value, value: &Value, at: &str) {
        let rules = match schema {
            Value::Bool(true) => return,
            Value::Object(rules) => rules,
            _ => return self.fault(at, "nothing is allowed here"),
        };
        for (keyword, rule) in rules {
            self.rule(keyword, rule, rules, value, at);
        }
    }

    fn rule(&mut self, keyword: &str, rule: &Value, rules: &Map<String, Value>, value: &Value, at: &str) {
        match keyword {
            "type" => {
                let names: Vec<&str> = match rule {
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    name => name.as_str().into_iter().collect(),
                };
                if !names.iter().any(|name| is(name, value)) {
                    self.fault(at, &format!("{} is no {}", kind(value), names.join(" or ")));
                }
            }
            "$ref" => {
                let target = rule.as_str().and_then(|path| self.document.pointer(path.strip_prefix('#')?));
                match target {
                    Some(target) => self.schema(target, value, at),
                    None => self.fault(at, &format!("the document has no {rule}")),
                }
            }
            "enum" if !rule.as_array().is_some_and(|values| values.contains(value)) => {
                self.fault(at, &format!("{value} is none of {rule}"));
            }
            "const" if rule != value => self.fault(at, &format!("{value} is not {rule}")),
            "enum" | "const" => {}
            "anyOf" | "oneOf" => {
                let fits = |schema: &&Value| {
                    let mut found = Vec::new();
                    Check { document: self.document, found: &mut found }.schema(schema, value, at);
                    found.is_empty()
                };
                let fitting = rule.as_array().map_or(0, |schemas| schemas.iter().filter(fits).count());
                if fitting == 0 || keyword == "oneOf" && fitting > 1 {
                    self.fault(at, &format!("{fitting} of the alternatives fit"));
                }
            }
            "minimum" | "maximum" => {
                let (bound, number) = (rule.as_f64().unwrap_or(f64::NAN), value.as_f64());
                let fits =
                    number.is_none_or(|number| if keyword == "minimum" { number >= bound } else { number <= bound });
                if !fits {
                    self.fault(at, &format!("{value} is beyond the {keyword} {rule}"));
                }
            }
            "required" => {
                let names = rule.as_array().into_iter().flatten().filter_map(Value::as_str);
                for name in names.filter(|name| value.as_object().is_some_and(|object| !object.contains_key(*name))) {
                    self.fault(at, &format!("{name} is missing"));
                }
            }
            "properties" => {
                for (name, schema) in rule.as_object().into_iter().flatten() {
                    if let Some(value) = value.get(name) {
                        self.schema(schema, value, &format!("{at}.{name}"));
                    }
                }
            }
            "additionalProperties" => {
                let known = rules.get("properties").and_then(Value::as_object);
                for (name, value) in value.as_object().into_iter().flatten() {
                    if !known.is_some_and(|known| known.contains_key(name)) {
                        self.schema(rule, value, &format!("{at}.{name}"));
                    }
                }
            }
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.schema(rule, item, &format!("{at}[{number}]"));
                }
            }
            keyword if NOTES.contains(&keyword) => {}
            keyword => self.fault(at, &format!("the rule {keyword} is not known")),
        }
    }

    fn fault(&mut self, at: &str, what: &str) {
        self.found.push(format!("{}: {what}", if at.is_empty() { "the value" } else { at }));
    }
}

fn is(name: &str, value: &Value) -> bool {
    name == kind(value) || name == "number" && value.is_number()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_rule_can_be_broken() {
        let document = json!({
            "$defs": {"word": {"enum": ["a", "b"]}},
            "type": "object",
            "properties": {
                "word": {"$ref": "#/$defs/word"},
                "count": {"type": "integer", "minimum": 0},
                "list": {"type": "array", "items": {"type": ["string", "null"]}},
                "either": {"oneOf": [{"const": 1}, {"type": "string"}]},
            },
            "required": ["word"],
            "additionalProperties": false,
        });
        let good = json!({"word": "a", "count": 0, "list": ["x", null], "either": "y"});
        assert_eq!(faults(&document, &good), Vec::<String>::new());
        for (path, bad, said) in [
            ("/word", json!("c"), ".word: \"c\" is none of"),
            ("/count", json!(-1), ".count: -1 is beyond the minimum 0"),
            ("/count", json!(1.5), ".count: number is no integer"),
            ("/list/1", json!(3), ".list[1]: integer is no string or null"),
            ("/either", json!(2), ".either: 0 of the alternatives fit"),
        ] {
            let mut value = good.clone();
            *value.pointer_mut(path).expect("it is there") = bad;
            let found = faults(&document, &value);
            assert!(found.len() == 1 && found[0].starts_with(said), "{found:?}");
        }
        assert_eq!(
            faults(&document, &json!({"more": 1})),
            ["the value: word is missing", ".more: nothing is allowed here"]
        );
        assert_eq!(faults(&json!({"pattern": "x"}), &json!("x")), ["the value: the rule pattern is not known"]);
    }
}
