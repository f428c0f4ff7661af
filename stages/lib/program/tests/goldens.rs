//! All golden programs: the valid ones compile to the parameters that PyTorch has, the invalid ones get their verdicts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use program::{Budgets, Category, Compiled, Options, Severity, Verdict, compile};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/programs")
}

fn read(path: &str) -> String {
    fs::read_to_string(fixtures().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn json(path: &str) -> serde_json::Map<String, Value> {
    match serde_json::from_str(&read(path)) {
        Ok(Value::Object(map)) => map,
        other => panic!("{path} is not an object: {other:?}"),
    }
}

fn options(hidden: usize) -> Options {
    Options { hidden, budgets: Budgets::default(), ..Options::default() }
}

fn explain(source: &str, path: &str, compiled: &Compiled) -> String {
    program::render(source, path, &compiled.diagnostics, false)
}

#[test]
fn valid_programs_compile_to_the_parameters_of_pytorch() {
    let mut wrong = Vec::new();
    let index = json("valid/index.json");
    assert_eq!(index.len(), 22);
    for (name, facts) in &index {
        let path = format!("valid/{name}.py");
        let source = read(&path);
        let compiled = compile(&source, &options(16));
        let Some(processor) = &compiled.processor else {
            wrong.push(explain(&source, &path, &compiled));
            continue;
        };
        if compiled.verdict() != Verdict::Accept {
            wrong.push(format!("{path} has warnings:\n{}", explain(&source, &path, &compiled)));
        }
        let have: BTreeMap<String, (Vec<u64>, bool)> = processor
            .graph
            .params
            .iter()
            .filter(|p| !p.transient)
            .map(|p| (p.name.clone(), (p.shape.iter().map(|s| *s as u64).collect(), p.trainable)))
            .collect();
        let want: BTreeMap<String, (Vec<u64>, bool)> = facts["state"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, p)| {
                let shape = p["shape"].as_array().unwrap().iter().map(|s| s.as_u64().unwrap()).collect();
                (name.clone(), (shape, p["kind"] == "parameter"))
            })
            .collect();
        if have != want {
            wrong.push(format!("{path}: parameters {have:#?} instead of {want:#?}"));
        }
        if processor.tri_msgs.is_some() != facts["tri_msgs"].as_bool().unwrap_or(true) {
            wrong.push(format!("{path}: tri_msgs {:?} but {}", processor.tri_msgs, facts["tri_msgs"]));
        }
        let regions = compiled.regions.unwrap();
        let lines = |r: program::Region| serde_json::json!([r.begin + 1, r.end - 1]);
        for (factor, region) in [("OPERATOR", regions.operator), ("ACTION", regions.action)] {
            if facts["regions"][factor] != lines(region) {
                wrong.push(format!("{path}: {factor} {} instead of {}", lines(region), facts["regions"][factor]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}
