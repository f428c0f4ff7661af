//! Winners in PyTorch itself, where it is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::python::{TORCH, large_python};
use tests::{bin, finish, make_search, root, run, shell};

/// Runs after the recipe of the winner's page: what PyTorch computes with these weights, as a case for `probe program`.
const CASE: &str = r#"
import torch
from safetensors.torch import save_file

stored = {k[10:]: v for k, v in weights.items() if k.startswith("processor.")}
state = processor.state_dict()
assert state.keys() == stored.keys() and all(torch.equal(state[k], stored[k]) for k in state), "other weights"
torch.manual_seed(7)
case = {"param/" + k: v for k, v in state.items()}
for prefix, B, N in [("", 2, 5), ("case2/", 3, 7)]:
    inputs = dict(node_fts=torch.randn(B, N, H), edge_fts=torch.randn(B, N, N, H), graph_fts=torch.randn(B, H),
                  adj_mat=((torch.rand(B, N, N) < 0.4) | torch.eye(N, dtype=torch.bool)).float(),
                  hidden=torch.randn(B, N, H))
    for name, value in inputs.items():
        value.requires_grad_(name != "adj_mat")
    processor.zero_grad()
    outputs = {k: v for k, v in zip(["ret", "tri_msgs"], processor(**inputs)) if v is not None}
    loss = 0
    for name, weight in [("ret", "w_ret"), ("tri_msgs", "w_tri")]:
        if name in outputs:
            case[prefix + "in/" + weight] = torch.randn_like(outputs[name])
            case[prefix + "out/" + name] = outputs[name].detach()
            loss = loss + (outputs[name] * case[prefix + "in/" + weight]).sum()
    loss.backward()
    case[prefix + "out/loss"] = loss.detach().reshape(1)
    case |= {prefix + "in/" + k: v.detach() for k, v in inputs.items()}
    case |= {prefix + "grad/" + k: p.grad.clone() for k, p in processor.named_parameters() if p.grad is not None}
    case |= {prefix + "grad_in/" + k: v.grad for k, v in inputs.items() if v.grad is not None}
save_file({k: v.contiguous() for k, v in case.items()}, "case.safetensors")
"#;

/// Everything that `requirements.txt` of an export names.
fn pytorch() -> Option<PathBuf> {
    let modules = ["torch", "safetensors.torch", "pyarrow.parquet", "duckdb"];
    large_python("torch", &modules, &TORCH)
}

/// The Python that a winner's page shows.
fn recipe(page: &Path) -> String {
    let page = std::fs::read_to_string(page).expect("the winner's page");
    let (_, code) = page.split_once("```python\n").expect("a recipe");
    code.split_once("```").expect("it ends").0.to_owned()
}

/// Runs `evaluate.py` of an export, which fails where an accuracy is another one.
fn evaluate(python: &Path, results: &Path, args: &[&str]) -> String {
    let mut command = Command::new(python);
    command.arg("evaluate.py").args(args).current_dir(results).stdin(Stdio::null());
    finish(command).ok().stdout
}

#[test]
fn the_winner_computes_in_pytorch_what_it_computes_here() {
    let Some(python) = pytorch() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    for (seed, task) in [(0, "dfs"), (1, "insertion_sort")] {
        let scratch = folder.path().join(task);
        let mut make = make_search(&scratch, seed);
        make.arg(format!("TASK={task}"));
        finish(make).ok();
        let results = scratch.join("run/results");
        let script = recipe(&results.join("best.md")) + CASE;
        let mut command = Command::new(&python);
        command.arg("-c").arg(script).current_dir(&results).stdin(Stdio::null());
        finish(command).ok();
        let [program, case] = ["best.py", "case.safetensors"].map(|name| results.join(name).display().to_string());
        let compared = run("probe", ["program", &program, &case, "--device", "cpu"]).ok();
        assert!(compared.stdout.contains("out/ret"), "{}", compared.stdout);

        // The whole network, as it was exported, has the accuracy that the summary says.
        let [config, archive] =
            ["config.toml", "archive.parquet"].map(|name| scratch.join("run").join(name).display().to_string());
        let summary = run("select", ["--summary", "--json", "--config", &config, &archive]).ok().stdout;
        let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
        let winner = if summary["winner"].is_null() { &summary["best"] } else { &summary["winner"] };
        let printed = evaluate(&python, &results, &[]);
        for split in ["ood", "test"] {
            let accuracy = winner[format!("{split}_acc")].as_f64().expect("a score");
            assert!(printed.contains(&format!("\n{split} {accuracy:.4} ")), "{accuracy}: {printed}");
        }
        // The same samples, read by DuckDB, and some of one's own.
        let with_duckdb = "import sys; sys.modules['pyarrow'] = None; sys.argv = ['evaluate.py']; import evaluate; sys.exit(evaluate.main())";
        let mut command = Command::new(&python);
        command.args(["-c", with_duckdb]).current_dir(&results).stdin(Stdio::null());
        assert_eq!(finish(command).ok().stdout, printed);
        let own = results.join("own.parquet").display().to_string();
        let drawn = ["--algorithm", task, "--length", "5", "--num-samples", "3", "--pipeline", "-q", "-o", &own];
        run("sample", drawn).ok();
        assert!(evaluate(&python, &results, &["--samples", &own, "--batch-size", "2"]).contains("(3 graphs)"));
    }
}

/// Makes what [`CASE`] wants of a program: it is one of this project's own.
const OWN: &str = r#"
import importlib.util, sys, torch
spec = importlib.util.spec_from_file_location("own", sys.argv[1])
own = importlib.util.module_from_spec(spec)
spec.loader.exec_module(own)
torch.manual_seed(3)
H = 16
processor = own.get_processor_factory(kind="mpnn", use_ln=True, nb_triplet_fts=8, nb_heads=None)(H)
processor(node_fts=torch.randn(1, 4, H), edge_fts=torch.randn(1, 4, 4, H), graph_fts=torch.randn(1, H),
          adj_mat=torch.ones(1, 4, 4), hidden=torch.randn(1, 4, H))
weights = {"processor." + k: v for k, v in processor.state_dict().items()}
"#;

#[test]
fn the_programs_of_the_zoo_compute_here_what_they_compute_in_pytorch() {
    let Some(python) = pytorch() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let zoo = std::fs::read_dir(root().join("data/processors")).expect("the zoo");
    let mut programs: Vec<PathBuf> = zoo.flatten().map(|entry| entry.path()).collect();
    programs.retain(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("\nOrigin: ")));
    assert_eq!(programs.len(), 17, "nine seeds, five discoveries, three further ideas");
    for program in programs {
        let mut command = Command::new(&python);
        command.arg("-c").arg(format!("{OWN}{CASE}")).arg(&program).current_dir(folder.path()).stdin(Stdio::null());
        finish(command).ok();
        let [program, case] = [program, folder.path().join("case.safetensors")].map(|path| path.display().to_string());
        let checked = run("check", [&program]).ok().rows();
        assert_eq!(checked[0]["verdict"], "accept", "{program}: {}", checked[0]["diagnostics"]);
        let compared = run("probe", ["program", &program, &case, "--device", "cpu"]).ok();
        assert!(compared.stdout.contains("out/ret"), "{program}: {}", compared.stdout);
    }
}

/// Tasks of all kinds: pointers, masks, categories, numbers, outputs of edges and of graphs, permutations.
const TASKS: [&str; 8] = [
    "bfs",
    "bellman_ford",
    "segments_intersect",
    "activity_selector",
    "mst_kruskal",
    "heapsort",
    "floyd_warshall",
    "find_maximum_subarray_kadane",
];

#[test]
fn exported_networks_have_the_accuracy_that_was_scored() {
    let Some(python) = pytorch() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    for (at, task) in TASKS.iter().enumerate() {
        let results = folder.path().join(task);
        let cache = folder.path().join("cache").display().to_string();
        // Settings that a network depends on take turns.
        let mode = ["soft", "hard", "hard_on_eval"][at % 3];
        let dtype = ["f32", "f64"][at % 2];
        let sets = format!(
            "task.algorithm='{task}' network.hint_repred_mode='{mode}' network.dtype='{dtype}' \
             network.nb_msg_passing_steps={} train.seeds=2 network.hidden=16",
            1 + at % 2
        );
        let config = format!("--config data/profiles/tiny.toml --set \"{sets}\" --cache {cache} --quiet");
        let out = results.display();
        let select = bin().join("select").display().to_string();
        shell(&format!(
            "train data/seed_pgn.py {config} | score - {config} > {out}.jsonl && {select} {config} --export {out} {out}.jsonl"
        ))
        .ok();
        let row = std::fs::read_to_string(format!("{out}.jsonl")).expect("a row");
        let row: serde_json::Value = serde_json::from_str(row.trim()).expect("JSON");
        let printed = evaluate(&python, &results, &[]);
        for split in ["ood", "test"] {
            let accuracy = row[format!("{split}_acc")].as_f64().expect("a score");
            assert!(printed.contains(&format!("\n{split} {accuracy:.4} ")), "{task}, {accuracy}: {printed}");
        }
        assert!(printed.contains("2 training seeds"), "{printed}");
    }
    assert!(root().join("data/seed_pgn.py").is_file());
}

/// Names that a program may give its layers, and what must not come of them.
const HOSTILE: &str = r#"self.named = nn.ModuleDict({
                "x = 1\n    import os": nn.Linear(z_size, width),
                "') or print('": nn.Linear(z_size, width),
            })
            self.t_1 = nn.Linear(z_size, width)"#;

#[test]
fn no_text_of_a_program_gets_into_what_is_exported() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let seed = std::fs::read_to_string(root().join("data/seed_pgn.py")).expect("reads");
    let program = seed
        .replacen("self.t_1 = nn.Linear(z_size, width)", HOSTILE, 1)
        .replacen("self.t_2(z)[:, None", "(self.t_2(z) + sum(layer(z) for layer in self.named.values()))[:, None", 1)
        .replacen(
            "triplets = nodes",
            "secret_name = \"a text of the candidate\"  # a comment of it\n        triplets = nodes",
            1,
        );
    let path = folder.path().join("hostile.py");
    std::fs::write(&path, program).expect("writes");
    let (path, cache, out) = (path.display(), folder.path().join("cache"), folder.path().join("out"));
    let config = format!("--config data/profiles/tiny.toml --cache {} --quiet", cache.display());
    let select = bin().join("select").display().to_string();
    let done = shell(&format!(
        "train {path} {config} | score - {config} > {0}.jsonl && {select} {config} --export {0} {0}.jsonl",
        out.display()
    ));
    // Where the language has no such names, there is nothing to carry over.
    if done.code != Some(0) {
        assert!(!out.join("model.py").exists(), "{}", done.stderr);
        return;
    }
    let module = std::fs::read_to_string(out.join("model.py")).expect("a module");
    for text in ["import os", "print(", "secret_name", "a text of the candidate", "a comment of it"] {
        assert!(!module.contains(text), "{text:?} is in the module");
    }
    if let Some(python) = pytorch() {
        evaluate(&python, &out, &[]);
    }
}
