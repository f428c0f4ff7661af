//! Task cards as users meet them.

use assert_cmd::assert::Assert;
use serde_json::{Value, json};

fn sample(args: &[&str]) -> Assert {
    assert_cmd::Command::new(env!("CARGO_BIN_EXE_sample")).args(args).assert()
}

fn stdout(args: &[&str]) -> String {
    String::from_utf8(sample(args).success().get_output().stdout.clone()).expect("UTF-8")
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

/// Fails as expected: wrong usage, and what stderr says.
#[track_caller]
fn refused(args: &[&str], message: &str) {
    let failed = sample(args).failure().code(2);
    let stderr = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
    assert!(stderr.contains(message), "{stderr:?} does not say {message:?}");
    assert!(failed.get_output().stdout.is_empty());
}

#[test]
fn cards_are_pages_briefs_and_data() {
    let page = stdout(&["--card", "dfs", "--set", "train.lengths=[3, 9] score.ood_length=21"]);
    assert!(page.starts_with("# Depth-first search (`dfs`)\n"), "{page}");
    for part in
        ["## Score", "T = 3N", "`tri_msgs` are read by the decoders of `pi`", "lengths 3, 9 in turn", "length 21"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let brief = stdout(&["--card", "dfs", "--brief"]);
    assert!(brief.starts_with("TASK dfs") && brief.len() < page.len(), "{brief}");
    let data = rows(&stdout(&["--card", "dfs,kmp_matcher", "--json", "--set", "train.lengths=[4, 16]"]));
    assert_eq!(data.len(), 2);
    let triplets = &data[0]["channels"][1];
    assert_eq!(triplets["feature"], "tri_msgs");
    assert_eq!((&triplets["outputs"], &triplets["hints"]), (&json!(["pi"]), &json!(["pi_h", "s_prev"])));
    assert_eq!(
        data[0]["data"][0],
        json!({
            "name": "pos", "stage": "input", "location": "node", "type": "scalar",
            "meaning": "place of the node in the order in which nodes are tried",
            "network": [{"name": "pos", "stage": "input", "location": "node", "type": "scalar",
                         "encoded_into": ["node_fts"], "decoded_from": []}],
        })
    );
    assert_eq!(data[1]["settings"]["training"]["lengths"], json!([20]), "strings are matched at one length");
    assert_eq!(data[1]["settings"]["test"]["samples"], json!(32 * 64));
    assert_eq!(data[1]["records"]["most"], "2N");
}

#[test]
fn cards_go_to_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    sample(&["--card", "all", "-o", at("cards").to_str().unwrap()]).success();
    let names = std::fs::read_dir(at("cards")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.ends_with(".md")).count(), 30);
    sample(&["--card", "bfs", "-o", at("bfs.md").to_str().unwrap()]).success();
    assert_eq!(std::fs::read_to_string(at("bfs.md")).unwrap(), stdout(&["--card", "bfs"]));
    assert_eq!(std::fs::read_to_string(at("cards/bfs.md")).unwrap(), stdout(&["--card", "bfs"]));
    refused(&["--card", "bfs,dfs", "-o", at("bfs.md").to_str().unwrap()], "several cards need a folder");
}

#[test]
fn wrong_usage_of_cards_is_said() {
    refused(&["--card", "dijkstr"], "did you mean 'dijkstra'?");
    refused(&["--card", "simulated_annealing"], "sample --list shows all");
    refused(&["--card", "dfs", "--length", "8"], "cannot be used with");
    refused(&["--card", "dfs", "--list"], "cannot be used with");
    refused(&["--card", "dfs", "--set", "train.stepps=4"], "train.stepps");
    refused(&["--brief", "-a", "dfs"], "--brief belongs to --card");
    refused(&["--list", "--set", "train.steps=4"], "--set belongs to --card");
    refused(&["--json", "-a", "dfs"], "--list|--card");
}
