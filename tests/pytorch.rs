//! Winners in PyTorch itself, where it is installed.

use std::path::Path;
use std::process::{Command, Stdio};

use tests::{finish, make_search, run, skip};

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

fn has_pytorch() -> bool {
    let python = Command::new("python3").args(["-c", "import torch, safetensors.torch"]).stderr(Stdio::null()).status();
    python.is_ok_and(|status| status.success())
}

/// The Python that a winner's page shows.
fn recipe(page: &Path) -> String {
    let page = std::fs::read_to_string(page).expect("the winner's page");
    let (_, code) = page.split_once("```python\n").expect("a recipe");
    code.split_once("```").expect("it ends").0.to_owned()
}

#[test]
fn the_winner_computes_in_pytorch_what_it_computes_here() {
    if !has_pytorch() {
        skip("python3 has no torch and safetensors: the winner is not run in PyTorch");
        return;
    }
    let folder = tempfile::tempdir().expect("a scratch folder");
    for (seed, task) in [(0, "dfs"), (1, "insertion_sort")] {
        let scratch = folder.path().join(task);
        let mut make = make_search(&scratch, seed);
        make.arg(format!("TASK={task}"));
        finish(make).ok();
        let results = scratch.join("run/results");
        let script = recipe(&results.join("best.md")) + CASE;
        let mut python = Command::new("python3");
        finish({
            python.arg("-c").arg(script).current_dir(&results).stdin(Stdio::null());
            python
        })
        .ok();
        let [program, case] = ["best.py", "case.safetensors"].map(|name| results.join(name).display().to_string());
        let compared = run("probe", ["program", &program, &case, "--device", "cpu"]).ok();
        assert!(compared.stdout.contains("out/ret"), "{}", compared.stdout);
    }
}
