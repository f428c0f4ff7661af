//! All golden programs: the valid ones compile to the parameters that PyTorch has, the invalid ones get their verdicts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use graph::Init;
use program::{Budgets, Compiled, Diagnostic, Factor, LocalityVerdict, Options, Severity, Verdict, compile};
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
            .params()
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
        for (factor, region) in regions.iter() {
            if facts["regions"][factor.as_str()] != lines(region) {
                wrong.push(format!(
                    "{path}: {factor} {} instead of {}",
                    lines(region),
                    facts["regions"][factor.as_str()]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

/// What the whole check says: about the program alone and, for a child, about its edit.
fn judge(name: &str, facts: &Value) -> (Verdict, Vec<Diagnostic>, String) {
    let path = format!("invalid/{name}.py");
    let source = read(&path);
    let mut compiled = compile(&source, &options(128));
    if let (Some(parent), Some(selected)) = (facts["parent"].as_str(), facts["selected"].as_str()) {
        let parent = read(&format!("invalid/{parent}"));
        let locality = program::locality(&parent, &source, Factor::parse(selected).unwrap());
        let entangled = locality.diagnostics.iter().any(|d| d.severity() == Severity::Error);
        assert_eq!(entangled, locality.verdict == LocalityVerdict::Entangled, "{name}");
        compiled.diagnostics.extend(locality.diagnostics);
    }
    let text = explain(&source, &path, &compiled);
    (compiled.verdict(), compiled.diagnostics, text)
}

#[test]
fn what_language_models_write_is_accepted() {
    let (mut count, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(fixtures().join("further")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "py") {
            continue;
        }
        count += 1;
        let source = fs::read_to_string(&path).unwrap();
        for hidden in [16, 128] {
            let compiled = compile(&source, &options(hidden));
            if compiled.processor.is_none() {
                wrong.push(explain(&source, &path.display().to_string(), &compiled));
            }
        }
    }
    assert!(count >= 25, "{count}");
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn invalid_programs_get_the_expected_verdicts() {
    let mut wrong = Vec::new();
    let expected = json("invalid/expected.json");
    assert_eq!(expected.len(), 31);
    for (name, facts) in &expected {
        let (verdict, diagnostics, text) = judge(name, facts);
        let strings = |key: &str| -> Vec<String> {
            facts[key].as_array().into_iter().flatten().map(|v| v.as_str().unwrap().to_string()).collect()
        };
        let mut verdicts = strings("also_verdict");
        verdicts.push(facts["verdict"].as_str().unwrap().to_string());
        if !verdicts.iter().any(|v| v == verdict.as_str()) {
            wrong.push(format!("{name}: {} instead of {verdicts:?}\n{text}", verdict.as_str()));
            continue;
        }
        let Some(category) = facts["category"].as_str() else {
            if !diagnostics.is_empty() {
                wrong.push(format!("{name}: nothing should be said\n{text}"));
            }
            continue;
        };
        let mut categories = strings("also_category");
        categories.push(category.to_string());
        let mut lines: Vec<u64> =
            facts["also_lines"].as_array().into_iter().flatten().map(|v| v.as_u64().unwrap()).collect();
        lines.extend(facts["line"].as_u64());
        // what is said first is what a reader takes for the reason
        let fits = diagnostics
            .first()
            .is_some_and(|d| categories.iter().any(|c| c == d.category.as_str()) && lines.contains(&u64::from(d.line)));
        if !fits {
            wrong.push(format!("{name}: expected {categories:?} in {lines:?}\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

/// Mean and standard deviation of an initialisation, and whether all values lie within its bounds.
fn moments(init: &Init, longer: f64) -> (f64, f64, f64, f64) {
    let wide = (f64::NEG_INFINITY, f64::INFINITY);
    match init {
        Init::Constant(v) => (*v, 0.0, *v, *v),
        Init::Uniform { low, high } => ((low + high) / 2.0, (high - low) / 12.0_f64.sqrt(), *low, *high),
        Init::Normal { mean, std } => (*mean, *std, wide.0, wide.1),
        Init::Values(values) => {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0);
            let bounds = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |b, v| (b.0.min(*v), b.1.max(*v)));
            (mean, var.sqrt(), bounds.0, bounds.1)
        }
        Init::Affine { base, scale, shift } => {
            let (mean, std, low, high) = moments(base, longer);
            let ends = (low * scale + shift, high * scale + shift);
            (mean * scale + shift, std * scale.abs(), ends.0.min(ends.1), ends.0.max(ends.1))
        }
        // rows of length `gain`: the mean square of an element is gain² over the longer side
        Init::Orthogonal { gain } => (0.0, gain / longer.sqrt(), -gain.abs(), gain.abs()),
        other => panic!("no program starts like {other:?}"),
    }
}

#[test]
fn parameters_start_as_in_pytorch() {
    for (name, facts) in &json("valid/index.json") {
        let compiled = compile(&read(&format!("valid/{name}.py")), &options(16));
        for param in compiled.processor.as_ref().unwrap().graph.params() {
            let Some(state) = facts["state"].get(&param.name) else { continue };
            let init = &state["init"];
            let what = format!("{name}: {} {:?} {init}", param.name, param.init);
            let count: usize = param.shape.iter().product();
            let longer = param.shape.iter().copied().max().unwrap_or(1) as f64;
            if let Some(value) = init["const"].as_f64() {
                let (mean, std, low, high) = moments(&param.init, longer);
                // a draw of one element looks constant, too
                let drawn = count == 1 && (low..=high).contains(&value);
                assert!(drawn || ((mean - value).abs() < 1e-6 && std == 0.0), "{what}");
                continue;
            }
            let (mean, std, low, high) = moments(&param.init, longer);
            let get = |key: &str| init[key].as_f64().unwrap();
            // a draw of this many elements
            let slack = 5.0 * std / (count as f64).sqrt();
            assert!((get("mean") - mean).abs() <= slack + 1e-5, "{what}");
            if count >= 64 {
                assert!((get("std") / std - 1.0).abs() < 0.25, "{what}: std {std}");
            }
            assert!(get("min") >= low - 1e-5 && get("max") <= high + 1e-5, "{what}: {low} to {high}");
        }
    }
}
