//! What is written, in PyTorch itself: outputs, scores, `torch.compile` and `torch.export`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use graph::interpret::{Tensor, evaluate, sizes};
use graph::rng::Rng;
use graph::start::initial;
use model::Repred;
use program::Options;
use pytorch::{Module, Settings, module};
use serde_json::{Value, json};
use tests::python::{TORCH, large_python};

const ONCE: Settings = Settings { nb_msg_passing_steps: 1, hint_repred_mode: Repred::Soft };

fn torch() -> Option<PathBuf> {
    large_python("torch", &["torch", "safetensors.torch"], &TORCH)
}

fn root() -> &'static Path {
    tests::root()
}

fn compiled(source: &str, hidden: usize) -> Option<graph::Processor> {
    let options = Options { hidden, need_regions: false, ..Options::default() };
    program::compile(source, &options).processor
}

/// Runs a script of this folder; its output.
fn script(python: &Path, name: &str, args: &[&Path]) -> String {
    let path = root().join("stages/lib/pytorch/tests").join(name);
    let output = Command::new(python).arg(path).args(args).output().expect("python starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

fn put(folder: &Path, module: &Module) {
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join("model.py"), &module.source).expect("writes");
    let names: BTreeMap<&str, &str> =
        module.parameters.iter().map(|(param, name)| (param.name.as_str(), name.as_str())).collect();
    std::fs::write(folder.join("names.json"), json!(names).to_string()).expect("writes");
}

#[test]
fn networks_compute_what_the_benchmark_computes() {
    let Some(python) = torch() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let reference = root().join("tests/fixtures/model");
    let mut tasks = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(&reference).expect("the cases").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let about: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("reads")).expect("JSON");
        let (Some(task), Some(hyper)) = (about["algorithm"].as_str(), about.get("hyper_parameters")) else { continue };
        let number =
            |name: &str| hyper[name].as_u64().and_then(|number| usize::try_from(number).ok()).expect("a number");
        let program = match hyper["processor"].as_str().expect("a processor") {
            "triplet_gmpnn" => "data/seed_pgn.py".to_owned(),
            other => format!("data/processors/{other}.py"),
        };
        let source = std::fs::read_to_string(root().join(program)).expect("a program");
        let options = Options {
            hidden: number("hidden_dim"),
            nb_triplet_fts: number("nb_triplet_fts"),
            use_ln: hyper["use_ln"].as_bool().expect("a choice"),
            need_regions: false,
            ..Options::default()
        };
        let processor = program::compile(&source, &options).processor.expect("it is valid");
        let settings = Settings {
            nb_msg_passing_steps: number("nb_msg_passing_steps"),
            hint_repred_mode: hyper["hint_repred_mode"].as_str().expect("a mode").parse().expect("a mode"),
        };
        let algorithm = clrs::algorithm(task).expect("a task");
        let written = module(&processor, algorithm, settings, "").expect("it is written");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        put(&folder.path().join(name), &written);
        tasks.insert(task.to_owned());
    }
    assert!(tasks.len() >= 8, "{tasks:?}");
    let evaluate = root().join("stages/lib/pytorch/python/evaluate.py");
    println!("{}", script(&python, "goldens.py", &[folder.path(), &reference, &evaluate]));
}

/// Every accepted program of the fixtures and of the project's own.
fn programs() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for place in [
        "tests/fixtures/programs/valid",
        "tests/fixtures/programs/further",
        "tests/fixtures/programs/published",
        "tests/fixtures/programs/hostile",
        "data/processors",
        "data",
    ] {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(root().join(place)).expect("a folder").flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "py")) {
            let name = format!("{}-{}", place.replace('/', "_"), path.file_stem().expect("a name").to_string_lossy());
            found.push((name, std::fs::read_to_string(path).expect("reads")));
        }
    }
    found
}

fn array(value: &Tensor) -> Value {
    // JSON has neither NaN nor infinity.
    json!({ "shape": value.shape, "data": value.data.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>() })
}

/// A processor's parameters, inputs and outputs for B graphs of N nodes, in float64.
fn case(processor: &graph::Processor, written: &Module, (b, n): (i64, i64)) -> Value {
    let graph = &processor.graph;
    let mut rng = Rng::new(1, "case");
    let mut params = Vec::new();
    let mut state = serde_json::Map::new();
    for param in graph.params() {
        let mut data = initial(&param.init, &param.shape, 1, &mut Rng::new(1, &param.name)).expect("a start");
        // What starts as a constant would hide what is done with it.
        if param.trainable {
            data.iter_mut().for_each(|x| *x += 0.1 * rng.normal());
        }
        let value = Tensor::new(param.shape.clone(), data);
        let whole = format!("processor.{}", param.name);
        let (_, name) = written
            .parameters
            .iter()
            .find(|(known, _)| known.name == whole || known.name == param.name)
            .expect("a name");
        state.insert(name.clone(), array(&value));
        params.push(value);
    }
    let mut inputs = Vec::new();
    let mut given = serde_json::Map::new();
    for input in graph.inputs() {
        let shape = sizes(&input.shape, b, n).expect("sizes");
        let count = shape.iter().product();
        let data: Vec<f64> = (0..count).map(|_| rng.normal()).collect();
        let mut value = Tensor::new(shape, data);
        if input.name == "adj_mat" {
            value.data.iter_mut().for_each(|x| *x = f64::from(u8::from(*x > 0.2)));
            let n = n as usize;
            (0..value.data.len()).filter(|at| (at / n) % n == at % n).for_each(|at| value.data[at] = 1.0);
        }
        given.insert(input.name.clone(), array(&value));
        inputs.push(value);
    }
    let values = evaluate(graph, &inputs, &params, b, n).expect("it is computed");
    let outputs: Vec<Value> = processor.outputs().iter().map(|id| array(&values[id.index()])).collect();
    json!({ "state": state, "inputs": given, "outputs": outputs })
}

#[test]
fn programs_compute_what_their_graphs_mean() {
    let Some(python) = torch() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let dfs = clrs::algorithm("dfs").expect("a task");
    let mut written = 0;
    for (name, source) in programs() {
        let Some(processor) = compiled(&source, 16).or_else(|| compiled(&source, 128)) else { continue };
        let module = module(&processor, dfs, ONCE, "").expect("it is written");
        let place = folder.path().join(name);
        put(&place, &module);
        let cases = [(2, 4), (1, 3)].map(|sizes| case(&processor, &module, sizes));
        std::fs::write(place.join("case.json"), json!(cases).to_string()).expect("writes");
        written += 1;
    }
    assert!(written > 60, "only {written} programs");
    println!("{}", script(&python, "programs.py", &[folder.path()]));
}

#[test]
fn networks_compile_and_export() {
    let Some(python) = torch() else { return };
    let source = std::fs::read_to_string(root().join("data/seed_pgn.py")).expect("reads");
    let processor = compiled(&source, 16).expect("it is valid");
    for (task, repred) in [("dfs", Repred::Soft), ("insertion_sort", Repred::Hard), ("floyd_warshall", Repred::Soft)] {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let settings = Settings { nb_msg_passing_steps: 2, hint_repred_mode: repred };
        let algorithm = clrs::algorithm(task).expect("a task");
        put(folder.path(), &module(&processor, algorithm, settings, "").expect("it is written"));
        script(&python, "compiled.py", &[folder.path()]);
    }
}
