//! Whole searches by a language model, through Make: against a local server that plays one, and from the recording.

use std::path::Path;
use std::process::Command;

use llm::mock::{Server, player};
use tests::{finish, make_search, run};

const KEY: &str = "sk-test-0123456789-very-secret";

/// A search with its run in `folder/NAME` and the trainings of all runs in one cache.
fn search(folder: &Path, name: &str, settings: &[String]) -> Command {
    let mut make = make_search(folder, 0);
    make.arg(format!("RUN={}", folder.join(name).display())).args(settings).arg("MODEL=player");
    make
}

/// The archive as lines, without its metadata, which tells of the folder.
fn archive(folder: &Path, name: &str) -> Vec<serde_json::Value> {
    let path = folder.join(name).join("archive.parquet").display().to_string();
    run("check", [path.as_str()]).ok().rows()
}

/// Fails if any file below `folder` holds the key.
fn no_key_below(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            no_key_below(&path);
        } else {
            let bytes = std::fs::read(&path).expect("a readable file");
            assert!(!String::from_utf8_lossy(&bytes).contains("very-secret"), "{}", path.display());
        }
    }
}

#[test]
fn a_search_by_a_model_and_its_replay_are_the_same() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = Server::start(player()).expect("a local server");
    let live = ["PROPOSER=openai".to_owned(), format!("API_BASE={}", server.url())];
    let mut make = search(folder.path(), "live", &live);
    make.env("OPENAI_API_KEY", KEY);
    finish(make).ok();
    let rows = archive(folder.path(), "live");
    let scored = rows.iter().filter(|row| row["fitness"].as_f64().is_some()).count();
    assert!(scored >= 3, "only {scored} candidates were trained and scored");
    assert!(rows.iter().any(|row| row["repair_round"].as_i64() > Some(0)), "no proposal went back");
    assert!(rows[1..].iter().all(|row| row["prompt_tokens"].as_i64().is_some()), "tokens are not told");
    let attempts: std::collections::BTreeSet<i64> = rows.iter().filter_map(|row| row["attempt"].as_i64()).collect();
    assert_eq!(attempts, (0..=6).collect(), "six attempts and the seed program");

    let asked = server.requests().len();
    drop(server);
    let transcripts = folder.path().join("live/transcripts.jsonl");
    let recorded = std::fs::read_to_string(&transcripts).expect("the exchanges are recorded");
    assert_eq!(recorded.lines().count(), asked);
    let replay = ["PROPOSER=replay".to_owned(), format!("TRANSCRIPTS={}", transcripts.display())];
    finish(search(folder.path(), "again", &replay)).ok();
    assert_eq!(archive(folder.path(), "again"), rows);
    no_key_below(folder.path());
}
