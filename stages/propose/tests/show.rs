//! `propose --show`: an attempt of a recorded run as a page and as JSON.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use llm::conform::faults;
use llm::mock::{Server, Step, player, respond_json, streamed};
use schemas::{Diagnostic, Severity, Status};
use serde_json::{Value, json};
use stage::table;

fn propose(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("propose").unwrap();
    command.current_dir(folder).env("OPENAI_API_KEY", "sk-test").env_remove("http_proxy");
    command
}

/// A run of one generation in `run`, by a model, its table of proposals written.
fn recorded(folder: &Path, server: &Server, settings: &[&str]) -> PathBuf {
    let run = folder.join("run");
    std::fs::create_dir_all(run.join("gen000")).unwrap();
    let mut command = propose(folder);
    command.args(["--model", "player", "--proposer", "openai", "--api-base", &server.url(), "--n", "5"]);
    command.args(["--set", "llm.backoff_s=0.01", "--transcripts", "run/transcripts.jsonl"]).args(settings);
    command.args(["-o", "run/gen000/proposed.parquet"]).assert().success();
    run
}

fn said(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

fn refused(command: &mut Command, code: i32) -> String {
    String::from_utf8(command.assert().failure().code(code).get_output().stderr.clone()).unwrap()
}

fn lines(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("transcripts.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_attempt_is_a_page_and_a_json_object() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(player()).unwrap();
    let run = recorded(folder.path(), &server, &["--set", "llm.prices.player={ input = 1.0, output = 2.0 }"]);

    // Every recorded line follows the document.
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/transcript.schema.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(document).unwrap()).unwrap();
    let lines = lines(&run);
    for line in &lines {
        assert_eq!(faults(&document, line), Vec::<String>::new());
    }

    // Later tables: the rows of attempt 1 are refused and scored there.
    let mut rows = table::read(&[run.join("gen000/proposed.parquet").display().to_string()]).unwrap();
    let tries = rows.rows.iter().filter(|row| row.candidate.attempt == 1).count();
    for row in rows.rows.iter_mut().filter(|row| row.candidate.attempt == 1) {
        row.candidate.status = Status::Rejected;
        row.candidate.reason = Some("one | two\u{1b}[31m".to_owned());
        row.candidate.diagnostics = Some(vec![Diagnostic {
            severity: Severity::Error,
            category: "shape".into(),
            code: "E-SHAPE".into(),
            line: 7,
            column: 3,
            message: "sizes <b>differ</b>".into(),
            help: Some("make them equal".into()),
        }]);
    }
    table::write(&rows, &run.join("gen000/checked.parquet")).unwrap();
    for row in rows.rows.iter_mut().filter(|row| row.candidate.attempt == 1) {
        row.candidate.status = Status::Scored;
        row.candidate.fitness = Some(0.625);
    }
    table::write(&rows, &run.join("archive.parquet")).unwrap();

    let page = said(propose(folder.path()).args(["--show", "run", "1"]));
    let of_attempt: Vec<&Value> = lines.iter().filter(|line| line["attempt"] == 1).collect();
    for line in &of_attempt {
        let reply = line["reply"]["text"].as_str().unwrap();
        assert!(page.contains(reply.trim_end()), "a reply is missing:\n{page}");
        for message in line["messages"].as_array().unwrap() {
            assert!(page.contains(message["content"].as_str().unwrap().trim_end()), "a prompt is missing");
        }
    }
    let sum = |path: &str| of_attempt.iter().map(|line| line.pointer(path).unwrap().as_u64().unwrap()).sum::<u64>();
    for part in [
        "# Attempt 1 of run",
        "- models: `player`",
        "## Call 0: router asks `player`",
        "asks `player`",
        &format!("- tokens: {} prompt, {} completion", sum("/usage/prompt_tokens"), sum("/usage/completion_tokens")),
        "- `gen000/proposed`: proposed",
        "- `gen000/checked`: rejected: one \\| two�\\[31m",
        "- `archive`: scored",
        "fitness: 0.6250",
        "- error `E-SHAPE`, line 7, column 3: sizes &lt;b&gt;differ&lt;/b&gt; Help: make them equal",
        "### Program",
        &format!("## Row {tries} of {tries}"),
    ] {
        assert!(page.contains(part), "{part} is missing:\n{page}");
    }
    assert!(!page.contains('\u{1b}'), "an escape sequence reached the page");

    let object: Value =
        serde_json::from_str(&said(propose(folder.path()).args(["--show", "run", "1", "--json"]))).unwrap();
    assert_eq!(object["calls"].as_array().unwrap().len(), of_attempt.len());
    for (call, line) in object["calls"].as_array().unwrap().iter().zip(&of_attempt) {
        for (name, value) in line.as_object().unwrap() {
            assert_eq!(&call[name], value, "{name}");
        }
    }
    assert_eq!(object["totals"]["prompt_tokens"], sum("/usage/prompt_tokens"));
    let cost = object["totals"]["cost"].as_f64().unwrap();
    assert!((cost - (sum("/usage/prompt_tokens") + 2 * sum("/usage/completion_tokens")) as f64 / 1e6).abs() < 1e-12);
    let tries_of = object["tries"].as_array().unwrap();
    assert_eq!(tries_of.len(), tries);
    assert_eq!(tries_of[0]["row"]["llm_model"], "player");
    assert_eq!(
        tries_of[0]["tables"][1],
        json!({"table": "gen000/checked", "status": "rejected", "reason": "one | two\u{1b}[31m"})
    );

    // Exchanges that lie elsewhere, as those of a replay do.
    std::fs::rename(run.join("transcripts.jsonl"), folder.path().join("elsewhere.jsonl")).unwrap();
    let without = said(propose(folder.path()).args(["--show", "run", "1"]));
    assert!(without.contains(" by the tables; --transcripts FILE") && without.contains("## Row 1"), "{without}");
    let with = said(propose(folder.path()).args(["--show", "run", "1", "--transcripts", "elsewhere.jsonl"]));
    assert_eq!(with, page);
    let message =
        refused(propose(folder.path()).args(["--show", "run", "1", "--transcripts", "run/transcripts.jsonl"]), 1);
    assert!(message.contains("transcripts.jsonl"), "{message}");
    std::fs::rename(folder.path().join("elsewhere.jsonl"), run.join("transcripts.jsonl")).unwrap();

    // The transcript alone, the list, and what is not there.
    let alone = said(propose(folder.path()).args(["--show", "run/transcripts.jsonl", "1"]));
    assert!(alone.contains("## Call 0: router") && alone.contains("outcome: not known") && !alone.contains("## Row"));
    let list = said(propose(folder.path()).args(["--show", "run"]));
    assert!(list.contains("| 1 | ") && list.contains("scored: fitness 0.6250"), "{list}");
    assert!(list.lines().any(|line| line.starts_with("| 0 | 0 |")), "the seed program is a row without calls: {list}");
    let message = refused(propose(folder.path()).args(["--show", "run", "99"]), 2);
    assert!(message.contains("no such attempt; its attempts are 0 to 4"), "{message}");
    assert!(refused(propose(folder.path()).args(["--show", "run", "two"]), 2).contains("whole number"));
    assert!(refused(propose(folder.path()).args(["--show", "run", "-1"]), 2).contains("0 to 4"));
    let message = refused(propose(folder.path()).args(["--show", "nowhere", "1"]), 1);
    assert!(message.contains("nowhere") && message.contains("folder of a run"), "{message}");
    refused(propose(folder.path()).args(["--show", "run", "1", "2"]), 2);
    refused(propose(folder.path()).args(["--json"]), 2);
}

#[test]
fn faults_and_calls_that_were_made_again_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let play = player();
    // Busy now and then, and hostile text in what it says of it.
    let server = Server::start(move |number, request: &llm::mock::Request| match number {
        0 => respond_json(503, &json!({"error": {"message": "busy\u{1b}]0;x\u{7} ```"}})),
        _ => play(number, request),
    });
    let server = server.unwrap();
    let run = recorded(folder.path(), &server, &["--set", "llm.jobs=1"]);
    // The last call of attempt 2 once more, as after an outage: without a reply first.
    let mut lines = lines(&run);
    let at = lines.iter().rposition(|line| line["attempt"] == 2).unwrap();
    let mut lost = lines[at].clone();
    lost["reply"] = Value::Null;
    lost["error"] = json!({"kind": "connect", "message": "nobody *there* <x>"});
    lines.insert(at, lost);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(run.join("transcripts.jsonl"), text + "{\"key\": \"half a li").unwrap();

    let page = said(propose(folder.path()).args(["--show", "run", "2"]));
    assert!(page.contains("made again later") && page.contains("1 without a reply"), "{page}");
    assert!(page.contains("### Error\n\nconnect: nobody \\*there\\* &lt;x&gt;"), "{page}");
    let calls = lines.iter().filter(|line| line["attempt"] == 2).count();
    let object: Value =
        serde_json::from_str(&said(propose(folder.path()).args(["--show", "run", "2", "--json"]))).unwrap();
    assert_eq!((&object["totals"]["calls"], &object["totals"]["failed"]), (&json!(calls), &json!(1)));
    let superseded: Vec<bool> =
        object["calls"].as_array().unwrap().iter().map(|call| call["superseded"].as_bool().unwrap()).collect();
    assert_eq!(superseded.iter().filter(|superseded| **superseded).count(), 1);

    let tried = lines.iter().find(|line| line["tries"].as_array().is_some_and(|tries| !tries.is_empty())).unwrap();
    let attempt = tried["attempt"].to_string();
    let page = said(propose(folder.path()).args(["--show", "run", &attempt]));
    assert!(page.contains("### Failed tries\n\n1. status (status 503)"), "{page}");
    assert!(!page.contains('\u{1b}') && !page.contains('\u{7}'));
}

#[test]
fn replies_cannot_leave_their_block_or_steer_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = "````\n# A heading\n<script>alert(1)</script>\n```\n\u{1b}[2J\u{202e}\u{9b}31m";
    let server = Server::start(move |_, _| -> Vec<Step> { streamed(hostile, None) }).unwrap();
    recorded(folder.path(), &server, &["--method", "free-form", "--set", "llm.repair_rounds=0"]);
    let page = said(propose(folder.path()).args(["--show", "run", "1"]));
    assert!(page.contains("`````text\n````\n# A heading\n<script>alert(1)</script>\n```\n"), "{page}");
    assert!(page.contains("calls estimated") || page.contains("estimated"), "{page}");
    let json = said(propose(folder.path()).args(["--show", "run", "1", "--json"]));
    for text in [&page, &json] {
        assert!(!text.chars().any(|c| stage::terminal::steers(c) && c != '\n' && c != '\t'));
    }
    let object: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["calls"][0]["reply"]["text"], hostile);
}
