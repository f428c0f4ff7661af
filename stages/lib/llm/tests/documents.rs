//! The committed JSON Schema of transcripts is the one that the types give. `UPDATE=1 cargo test --test documents` rewrites it.

use std::path::Path;

use llm::conform::faults;
use serde_json::{Value, json};

#[test]
fn the_document_of_transcripts_is_current() {
    let (name, text) = llm::document();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../schemas").join(&name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).expect("the document can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{name} is out of date: run UPDATE=1 cargo test --test documents");
}

/// A line with everything that one may have.
fn line() -> Value {
    json!({
        "key": "0123", "generation": 1, "slot": 0, "attempt": 4, "call": 2, "agent": "writer", "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "params": {"temperature": 0.5, "stop": ["x"]},
        "reply": {"text": "t", "reasoning": "r", "finish": {"other": "tool"}, "served_by": "m-1"},
        "error": null,
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "reasoning_tokens": 1, "cached_tokens": 3, "estimated": false},
        "cost": 0.5,
        "tries": [{"kind": "status", "message": "busy", "status": 503, "waited_ms": 12}],
        "latency_ms": 30,
        "time": "2026-03-01T12:00:00Z",
    })
}

#[test]
fn the_document_takes_what_types_take_and_refuses_what_they_refuse() {
    let document: Value = serde_json::from_str(&llm::document().1).expect("JSON");
    let whole = line();
    assert_eq!(faults(&document, &whole), Vec::<String>::new());
    let read: llm::Exchange = serde_json::from_value(whole.clone()).expect("an exchange");
    let written = serde_json::to_value(read).expect("JSON");
    assert_eq!(faults(&document, &written), Vec::<String>::new());
    for (path, bad) in [
        ("/agent", json!("referee")),
        ("/messages/0/role", json!("tool")),
        ("/usage/prompt_tokens", json!(-1)),
        ("/usage/prompt_tokens", json!("5")),
        ("/tries/0/kind", json!("bad-luck")),
        ("/reply/finish", json!("done")),
        ("/attempt", json!(1.5)),
        ("/latency_ms", json!(null)),
    ] {
        let mut line = whole.clone();
        *line.pointer_mut(path).expect("it is there") = bad.clone();
        assert!(!faults(&document, &line).is_empty(), "the document takes {bad} at {path}");
        assert!(serde_json::from_value::<llm::Exchange>(line).is_err(), "{bad} at {path} is read");
    }
    for name in ["key", "attempt", "agent", "model", "messages", "params", "reply", "usage", "latency_ms", "time"] {
        let mut line = whole.clone();
        line.as_object_mut().expect("an object").remove(name);
        assert!(!faults(&document, &line).is_empty(), "the document does not ask for {name}");
    }
}
