//! The binary as its users call it.

use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

fn select(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("select").unwrap();
    command.args(args);
    command
}

#[track_caller]
fn output(args: &[&str]) -> String {
    String::from_utf8(select(args).assert().success().get_output().stdout.clone()).unwrap()
}

fn row(generation: i64, slot: i64, fitness: f64) -> Value {
    let source = format!("value = {generation} + {slot}\n");
    json!({
        "run": "r", "method": "spark", "proposer": "builtin", "generation": generation, "slot": slot,
        "attempt": generation * 8 + slot, "island": slot % 2, "candidate_id": program::candidate_id(&source),
        "parent_id": if generation > 0 { json!(program::candidate_id("value = 0 + 0\n")) } else { Value::Null },
        "source": source, "status": "scored", "fitness": fitness, "params": 100, "macs": 1000,
        "train_seconds": 1.5, "mine": {"a": [1]},
    })
}

fn write(folder: &Path, name: &str, rows: &[Value]) -> String {
    let path = folder.join(name);
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    path.to_str().unwrap().to_owned()
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_winner_is_exported_with_its_weights_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut best = row(1, 0, 0.6);
    let more = json!({
        "task": "bfs", "train_seeds": [3, 4], "ood_acc": 0.6, "ood_acc_std": 0.05, "ood_acc_seeds": [0.55, 0.65],
        "test_acc": 0.5, "test_acc_std": 0.01, "test_acc_seeds": [0.5, 0.5], "edit": "two heads | a gate",
        "weights": ["train/one/weights.safetensors", "train/two/weights.safetensors"],
        "train_key": stage::cache::hash(&["one", "two"]),
    });
    best.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let archive = write(folder.path(), "a.jsonl", &[row(0, 0, 0.4), best.clone()]);
    let export = [&archive, "--export", &place("results"), "--cache", &place("cache"), "--set", "network.hidden=16"];

    let refused = select(&export).assert().code(1).get_output().stderr.clone();
    let refused = String::from_utf8(refused).unwrap();
    assert!(refused.contains("weights.safetensors: the weights are not in this cache"), "{refused}");
    assert!(!folder.path().join("results").exists(), "half a result is none");

    for (name, content) in [("one", "first"), ("two", "second")] {
        std::fs::create_dir_all(folder.path().join("cache/train").join(name)).unwrap();
        std::fs::write(folder.path().join("cache/train").join(name).join("weights.safetensors"), content).unwrap();
        std::fs::write(folder.path().join("cache/train").join(name).join("result.json"), "{}").unwrap();
    }
    let told = String::from_utf8(select(&export).assert().success().get_output().stderr.clone()).unwrap();
    assert!(told.contains("without its network as PyTorch"), "the program is none: {told}");
    assert!(!folder.path().join("results/model.py").exists());
    let read = |name: &str| std::fs::read_to_string(folder.path().join("results").join(name)).unwrap();
    assert_eq!(read("best.py"), best["source"].as_str().unwrap());
    assert_eq!(read("best.safetensors"), "second", "seed 4 did better out of distribution");
    let card = read("best.md");
    for part in [
        "| task | bfs |",
        "60.0 % ± 5.0 % (mean and standard deviation of 2 training seeds)",
        "of training seed 4, the best of 2 out of distribution (65.0 %)",
        "| parameters of the processor | 100 |",
        "method spark, proposer builtin; attempt 8, generation 1: two heads \\| a gate",
        "from 2 evaluated candidates",
        "B, N, H = 1, 4, 16",
        "hidden = 16",
    ] {
        assert!(card.contains(part), "{part} is missing in:\n{card}");
    }
    // what a table says leads nowhere else, and to no other training
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    for weights in ["../secret", secret.to_str().unwrap(), "train/../../secret", "train/one/weights.safetensors"] {
        best["weights"] = json!([weights, weights]);
        let archive = write(folder.path(), "b.jsonl", &[best.clone()]);
        let stolen = place("stolen");
        let refused = select(&[&archive, "--export", &stolen, "--cache", &place("cache")]).assert().code(1);
        let refused = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(refused.contains(weights), "{refused}");
        assert!(!Path::new(&stolen).exists());
    }
    select(&["--cache", "c", &archive]).assert().code(2);
    select(&["--best", "--export", "x", &archive]).assert().code(2);
}

/// Zeros for every parameter of a network.
fn zeros(processor: &graph::Processor, settings: pytorch::Settings) -> Vec<u8> {
    let bfs = clrs::algorithm("bfs").unwrap();
    let module = pytorch::module(processor, bfs, settings, "").unwrap();
    let data: Vec<(String, Vec<usize>, Vec<u8>)> = module
        .parameters
        .iter()
        .map(|(param, _)| (param.name.clone(), param.shape.clone(), vec![0; 4 * param.shape.iter().product::<usize>()]))
        .collect();
    let views = data.iter().map(|(name, shape, bytes)| {
        (name.as_str(), safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, &None).unwrap()
}

#[test]
fn the_winner_s_network_is_exported_as_pytorch() {
    let folder = tempfile::tempdir().unwrap();
    let source = include_str!("../../../data/seed_pgn.py");
    let options = program::Options { hidden: 16, ..program::Options::default() };
    let processor = program::compile(source, &options).processor.unwrap();
    let settings = pytorch::Settings { nb_msg_passing_steps: 1, hint_repred_mode: model::Repred::Soft };
    for name in ["one", "two"] {
        let place = folder.path().join("cache/train").join(name);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("weights.safetensors"), zeros(&processor, settings)).unwrap();
        std::fs::write(place.join("result.json"), "{}").unwrap();
    }
    let mut best = row(0, 0, 0.6);
    let more = json!({
        "source": source, "candidate_id": program::candidate_id(source), "edit": "```\n# x", "run": "<script>",
        "task": "bfs", "train_seeds": [3, 4], "ood_acc": 0.6, "ood_acc_std": 0.05, "ood_acc_seeds": [0.55, 0.65],
        "test_acc": 0.5, "test_acc_std": 0.01, "test_acc_seeds": [0.5, 0.5],
        "weights": ["train/one/weights.safetensors", "train/two/weights.safetensors"],
        "train_key": stage::cache::hash(&["one", "two"]),
    });
    best.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let archive = write(folder.path(), "a.jsonl", &[best]);
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // Settings are those beside the archive.
    let config =
        "[network]\nhidden = 16\n[score]\nood_length = 5\nood_samples = 3\ntest_length = 6\ntest_samples = 2\n";
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    for out in ["results", "again"] {
        output(&[&archive, "--export", &place(out), "--cache", &place("cache")]);
    }
    let read = |out: &str, name: &str| std::fs::read(folder.path().join(out).join(name)).unwrap();
    let mut names = vec!["model.py", "model.safetensors", "trainings/0.safetensors", "evaluate.py", "README.md"];
    names.extend(["requirements.txt", "samples/ood.parquet", "samples/test.parquet", "best.py"]);
    for name in names {
        assert!(read("results", name) == read("again", name), "{name} differs from one export to the next");
    }
    let module = String::from_utf8(read("results", "model.py")).unwrap();
    assert!(module.contains("self.t_1 = nn.Linear(32, 8)") && module.contains("class Processor"), "{module}");
    let bytes = read("results", "model.safetensors");
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let about = header.metadata().clone().unwrap();
    let trainings: Value = serde_json::from_str(&about["trainings"]).unwrap();
    assert_eq!(trainings[1], json!({"seed": 4, "file": "model.safetensors", "ood": 0.65, "test": 0.5}));
    assert_eq!(about["task"], "bfs");
    let card = String::from_utf8(read("results", "README.md")).unwrap();
    assert!(card.starts_with("---\nlibrary_name: pytorch\n") && !card.contains("<script>"), "{card}");
    assert!(card.contains("--num-samples 3 ") && card.contains("--split test --num-samples 2 "), "{card}");

    // With other settings it is another network: the program is exported, and it is said.
    let (again, cache) = (place("again"), place("cache"));
    let args = [&archive, "--export", &again, "--cache", &cache, "--set", "network.hidden=8"];
    let told = String::from_utf8(select(&args).assert().success().get_output().stderr.clone()).unwrap();
    assert!(told.contains("--config"), "{told}");
    assert!(!folder.path().join("again/model.py").exists() && folder.path().join("again/best.py").exists());
}

#[test]
fn the_archive_is_cumulative_and_repeats_itself() {
    let folder = tempfile::tempdir().unwrap();
    let first = write(folder.path(), "a.jsonl", &[row(0, 0, 0.4)]);
    let second = write(folder.path(), "b.jsonl", &[row(1, 1, 0.3), row(1, 0, 0.6)]);
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (gen0, gen1) = (place("gen0.parquet"), place("gen1.parquet"));
    output(&["-q", &first, "-o", &gen0]);
    output(&["-q", &second, "--archive", &gen0, "-o", &gen1]);
    let (once, once_rows) = (std::fs::read(&gen1).unwrap(), output(&["-q", &second, "--archive", &gen0]));
    output(&["-q", &second, "--archive", &gen0, "-o", &gen1]);
    assert!(once == std::fs::read(&gen1).unwrap(), "the same tables made another archive");
    // Its metadata tell which table it was made from, so only the rows are equal.
    write(folder.path(), "b.jsonl", &[row(1, 0, 0.6), row(1, 1, 0.3)]);
    let reordered = output(&["-q", &second, "--archive", &gen0]);
    assert!(once_rows == reordered, "the order of the rows changed the archive");

    let all = rows(&output(&["-q", &second, "--archive", &gen0]));
    assert_eq!(all.len(), 3);
    assert_eq!(all.iter().map(|row| row["best_so_far"].as_f64().unwrap()).collect::<Vec<_>>(), [0.4, 0.6, 0.6]);
    assert!(all.iter().all(|row| row["archived"] == true && row["mine"] == json!({"a": [1]})));
    assert!(all.iter().all(|row| row.get("train_seconds").is_none_or(Value::is_null)), "volatile columns stay out");
}

#[test]
fn the_winner_can_be_had() {
    let folder = tempfile::tempdir().unwrap();
    let table = write(folder.path(), "a.jsonl", &[row(0, 0, 0.4), row(1, 0, 0.6), row(1, 1, 0.5)]);
    let program = folder.path().join("best.py");
    output(&["--best", &table, "-o", program.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(program).unwrap(), "value = 1 + 0\n");
    assert_eq!(output(&["--best", &table]), "value = 1 + 0\n");

    let summary: Value = serde_json::from_str(&output(&["--summary", "--json", &table])).unwrap();
    assert_eq!((&summary["proposals"], &summary["best"]["fitness"]), (&json!(2), &json!(0.6)));
    assert_eq!(summary["seed"]["fitness"], 0.4);
    assert!(output(&["--summary", &table]).contains("+0.2000"));
}

#[test]
fn no_winner_and_mixed_up_rows_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut failed = row(1, 0, 0.6);
    failed["status"] = json!("timeout");
    let table = write(folder.path(), "a.jsonl", &[failed]);
    let best = select(&["--best", &table]).assert().code(1).get_output().stderr.clone();
    assert!(String::from_utf8(best).unwrap().contains("no candidate has a score"));

    let mut mixed = row(1, 0, 0.6);
    mixed["source"] = json!("value = 7\n");
    let table = write(folder.path(), "b.jsonl", &[mixed]);
    let message = select(&[&table]).assert().code(1).get_output().stderr.clone();
    assert!(String::from_utf8(message).unwrap().contains("belongs to another program"));
}

#[test]
fn cells_follow_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let mut large = row(1, 0, 0.2);
    large["params"] = json!(100_000);
    let table = write(folder.path(), "a.jsonl", &[row(0, 0, 0.4), large]);
    let judged = rows(&output(&["-q", &table, "--set", "search.features=[\"params\"]"]));
    assert_eq!((&judged[0]["cell"], &judged[1]["cell"]), (&json!("params=13"), &json!("params=33")));
    assert!(judged.iter().all(|row| row["elite"] == true));
    let judged = rows(&output(&["-q", &table]));
    assert_eq!(judged.iter().map(|row| row["elite"].clone()).collect::<Vec<_>>(), [true, false]);
    select(&[&table, "--set", "search.features=[\"colour\"]"]).assert().code(2);
}
