//! `propose` with language models, as its users call it: against a local server that plays one, and against its recording.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use llm::mock::{Server, Step, completion, event, player, respond, respond_json, stream_head, streamed};
use serde_json::{Value, json};

const KEY: &str = "sk-test-0123456789-very-secret";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, server: Option<&Server>) -> Command {
        let mut command = Command::cargo_bin("propose").unwrap();
        command.current_dir(self.0.path()).env("OPENAI_API_KEY", KEY).env_remove("http_proxy");
        command.args(["--model", "player", "--set", "llm.backoff_s=0.01", "--set", "llm.first_byte_timeout_s=1"]);
        match server {
            Some(server) => command.args(["--proposer", "openai", "--api-base", &server.url()]),
            None => command.args(["--proposer", "replay"]),
        };
        command
    }

    fn rows(&self, name: &str) -> Vec<Value> {
        self.text(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn server() -> Server {
    Server::start(player()).unwrap()
}

fn count(rows: &[Value], column: &str, value: &Value) -> usize {
    rows.iter().filter(|row| row[column] == *value).count()
}

#[test]
fn a_model_proposes_and_its_recording_repeats_it() {
    let (folder, server) = (Folder::new(), server());
    folder.command(Some(&server)).args(["--n", "9", "-o", "made.jsonl"]).assert().success();
    let rows = folder.rows("made.jsonl");
    assert_eq!((&rows[0]["edit"], &rows[0]["proposer"]), (&json!("seed"), &json!("openai")));
    let slots: std::collections::BTreeSet<i64> = rows.iter().filter_map(|row| row["slot"].as_i64()).collect();
    assert_eq!(slots.len(), 9);
    for row in &rows[1..] {
        assert_eq!(row["status"], "proposed", "{row}");
        assert!(["OPERATOR", "ACTION"].contains(&row["factor"].as_str().unwrap()));
        assert!(row["directive"].as_str().unwrap().starts_with("Scale the triplet messages"));
        assert!(row["edit"].as_str().unwrap().starts_with("scale number"));
        assert!(row["prompt_tokens"].as_i64().unwrap() > 1000 && row["llm_model"] == "player");
        assert_eq!(row["prompt_hash"].as_str().unwrap().len(), 16);
        assert_eq!((&row["factor_reason"], &row["factor_fallback"]), (&json!("it is its turn"), &json!(false)));
    }
    // each try is a row: those that went back, and what came of it
    let tries = rows.len() - 9;
    assert!(tries > 0 && count(&rows, "repair_round", &json!(1)) + count(&rows, "repair_round", &json!(2)) == tries);
    assert_eq!(count(&rows, "repair_round", &json!(2)), 0, "the player mends what it broke");
    assert_eq!(folder.text("transcripts.jsonl").lines().count(), 8 * 2 + 8 + tries);

    drop(server);
    let replay = |more: &[&str]| {
        let mut command = folder.command(None);
        command.args(["--n", "9", "--transcripts", "transcripts.jsonl", "-o", "again.jsonl"]).args(more);
        command
    };
    replay(&[]).env_remove("OPENAI_API_KEY").assert().success();
    assert_eq!(folder.text("again.jsonl"), folder.text("made.jsonl"));
    // as tables, too
    let table = || {
        let mut command = folder.command(None);
        command.args(["--n", "9", "--transcripts", "transcripts.jsonl", "-o", "a.parquet"]).assert().success();
        std::fs::read(folder.path("a.parquet")).unwrap()
    };
    assert!(table() == table(), "two replays differ");

    // another prompt has no reply, and nothing is written
    let before = folder.text("again.jsonl");
    let output = replay(&["--set", "network.hidden=48"]).assert().code(1).get_output().stderr.clone();
    let reason = String::from_utf8(output).unwrap();
    assert!(reason.contains("unrecorded: transcripts.jsonl has no reply for the router's prompt"), "{reason}");
    assert!(reason.contains("message 1, line"), "{reason}");
    assert_eq!(folder.text("again.jsonl"), before);
}

#[test]
fn what_was_answered_is_not_asked_again() {
    let (folder, server) = (Folder::new(), server());
    let propose = || folder.command(Some(&server)).args(["--n", "4", "-o", "made.jsonl"]).assert().success();
    propose();
    let (asked, rows) = (server.requests().len(), folder.text("made.jsonl"));
    propose();
    assert_eq!((server.requests().len(), folder.text("made.jsonl")), (asked, rows.clone()));
    // after an interrupt, only what is missing
    let lines: Vec<String> = folder.text("transcripts.jsonl").lines().map(str::to_owned).collect();
    std::fs::write(folder.path("transcripts.jsonl"), lines[..lines.len() - 1].join("\n") + "\n{\"key\":").unwrap();
    propose();
    assert_eq!(server.requests().len(), asked + 1);
}

#[test]
fn two_at_once_lose_no_exchange_that_was_paid() {
    let (folder, server) = (Folder::new(), server());
    let propose = |output: &str| {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("propose"));
        command.current_dir(folder.0.path()).env("OPENAI_API_KEY", KEY).env_remove("http_proxy");
        command.args(["--model", "player", "--proposer", "openai", "--api-base", &server.url()]);
        command.args(["--n", "5", "--transcripts", "transcripts.jsonl", "-o", output]).spawn().unwrap()
    };
    let mut both = [propose("a.jsonl"), propose("b.jsonl")];
    both.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
    assert_eq!(folder.rows("transcripts.jsonl").len(), server.requests().len(), "paid and recorded");
    assert_eq!(folder.text("a.jsonl"), folder.text("b.jsonl"), "the second one has the replies of the first one");
}

/// The columns by which runs are compared: without the seconds.
fn timeless(rows: Vec<Value>) -> Vec<Value> {
    let strip = |mut row: Value| {
        row.as_object_mut().unwrap().remove("llm_seconds");
        row
    };
    rows.into_iter().map(strip).collect()
}

#[test]
fn what_a_model_answered_is_a_row() {
    let answers: Vec<Vec<Step>> = vec![
        respond_json(200, &json!({"choices": [{"message": {"content": null, "refusal": format!("no {KEY}")}}]})),
        streamed("", None),
        streamed(&"unendlich, größer ∞ ".repeat(400_000), None),
        streamed("Je ne peux pas: 対話を終了します", None),
    ];
    for answer in answers {
        let (folder, server) = (Folder::new(), Server::scripted(vec![answer]).unwrap());
        let mut command = folder.command(Some(&server));
        command.args(["--n", "3", "--method", "free-form", "--set", "llm.retries=1"]);
        let output = command.args(["-o", "made.jsonl"]).assert().success().get_output().clone();
        let rows = folder.rows("made.jsonl");
        // An attempt is a row, and each further try of one that had a reply without a program.
        let slots: std::collections::BTreeSet<i64> = rows.iter().filter_map(|row| row["slot"].as_i64()).collect();
        assert_eq!(slots, (0..3).collect(), "no attempt is lost");
        assert_eq!(count(&rows, "status", &json!("failed")), rows.len() - 1);
        assert!(rows[1]["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
        assert_eq!((&rows[1]["source"], &rows[1]["parent_id"]), (&json!(""), &rows[0]["candidate_id"]));
        nowhere(folder.0.path(), &output.stdout, &output.stderr);
    }
}

#[test]
fn a_service_that_fails_is_no_attempt_and_costs_none() {
    let key = |status, body: Value| (respond_json(status, &body), "setup:");
    let faults: Vec<(Vec<Step>, &str)> = vec![
        (respond_json(500, &Value::Null), "unavailable:"),
        (vec![Step::Reset], "unavailable:"),
        (vec![Step::Stall], "unavailable:"),
        (respond(429, &[("Retry-After", "0")], "slow down"), "unavailable:"),
        (respond(429, &[("Retry-After", "7200")], "come back later"), "unavailable:"),
        (respond(200, &[("Content-Type", "application/json")], "{\"choices\": [{"), "unavailable:"),
        (respond(200, &[("Content-Type", "text/html")], "<html>Login</html>"), "unavailable:"),
        (vec![stream_head(), Step::Send(event("half a rep"))], "unavailable:"),
        // a wrong key as OpenAI, Gemini, LiteLLM and OpenRouter tell of it
        key(
            401,
            json!({"error": {"message": format!("Incorrect API key provided: {KEY}"), "code": "invalid_api_key"}}),
        ),
        key(400, json!([{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}])),
        key(400, json!({"error": {"message": "Authentication Error, Invalid proxy server token", "code": "400"}})),
        key(403, json!({"error": {"message": "No auth credentials found", "code": 403}})),
        key(404, json!({"error": {"message": "model not found"}})),
        (respond(307, &[("Location", "http://127.0.0.1:9/v2")], ""), "http://127.0.0.1:9/v2"),
        (respond_json(400, &json!({"error": {"message": "exceeds the available context size"}})), "context:"),
    ];
    for (number, (fault, words)) in faults.into_iter().enumerate() {
        let half = number == 7;
        let folder = Folder::new();
        // The service fails from the third request on, and is mended later.
        let mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (state, play, fault) = (mended.clone(), fixed(), fault);
        let server = Server::start(move |number, request| {
            let good = number < 3 || state.load(std::sync::atomic::Ordering::SeqCst);
            if good { play(request) } else { fault.clone() }
        })
        .unwrap();
        let propose = |output: &str| {
            let mut command = folder.command(Some(&server));
            command.args(["--n", "3", "--set", "llm.retries=1", "--set", "llm.patience=0.2", "-o", output]);
            command
        };
        let output = propose("made.jsonl").assert().code(1).get_output().clone();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(words) && said.contains("the same command goes on from there"), "{words}: {said}");
        assert!(!folder.path("made.jsonl").exists(), "{words}: no row is made up");
        nowhere(folder.0.path(), &output.stdout, &output.stderr);
        // The same command goes on, and ends where an undisturbed one ends.
        mended.store(true, std::sync::atomic::Ordering::SeqCst);
        propose("made.jsonl").assert().success();
        let calm = Folder::new();
        let play = fixed();
        let server = Server::start(move |_, request| play(request)).unwrap();
        calm.command(Some(&server)).args(["--n", "3", "-o", "made.jsonl"]).assert().success();
        let (mut ours, mut theirs) = (timeless(folder.rows("made.jsonl")), timeless(calm.rows("made.jsonl")));
        if half {
            // Half a reply was paid for.
            let paid = |rows: &[Value]| rows.iter().filter_map(|row| row["completion_tokens"].as_i64()).sum::<i64>();
            assert!(paid(&ours) > paid(&theirs));
            for row in ours.iter_mut().chain(&mut theirs) {
                let row = row.as_object_mut().unwrap();
                ["prompt_tokens", "completion_tokens", "tokens_estimated"]
                    .iter()
                    .for_each(|name| drop(row.remove(*name)));
            }
        }
        assert_eq!(ours, theirs, "{words}");
    }
}

/// A player whose answer depends on the prompt alone.
fn fixed() -> impl Fn(&llm::mock::Request) -> Vec<Step> + Send + Sync {
    let play = player();
    move |request| play(request.prompt().len(), request)
}

#[test]
fn an_outage_is_waited_for_and_said() {
    let folder = Folder::new();
    let began = std::time::Instant::now();
    let play = fixed();
    let server = Server::start(move |_, request| match began.elapsed().as_secs_f64() {
        // It is down from the start, for longer than all retries take.
        ..1.5 => respond(503, &[], "loading the model"),
        _ => play(request),
    })
    .unwrap();
    let mut command = folder.command(Some(&server));
    let output = command.args(["--n", "3", "--set", "llm.retries=1", "-o", "made.jsonl"]).assert().success();
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    let line = |words: &str| said.lines().filter(|line| line.contains(words)).count();
    assert_eq!((line("does not answer"), line("answers again")), (1, 1), "{said}");
    assert_eq!(count(&folder.rows("made.jsonl"), "status", &json!("failed")), 0);
}

#[test]
fn rows_add_up_to_what_is_recorded() {
    let folder = Folder::new();
    let play = player();
    let server = Server::start(move |number, request| match number % 5 {
        2 => vec![Step::Reset],
        4 => vec![stream_head(), Step::Send(event("half a rep"))],
        _ => play(number, request),
    })
    .unwrap();
    let prices = "llm.prices={ player = { input = 1.0, output = 2.0 } }";
    folder.command(Some(&server)).args(["--n", "6", "--set", prices, "-o", "made.jsonl"]).assert().success();
    let (rows, exchanges) = (folder.rows("made.jsonl"), folder.rows("transcripts.jsonl"));
    let sum = |values: &[Value], pointer: &str| -> f64 {
        values.iter().filter_map(|value| value.pointer(pointer).and_then(Value::as_f64)).sum()
    };
    assert_eq!(sum(&rows, "/llm_calls"), exchanges.len() as f64);
    for (column, recorded, scale) in [
        ("/prompt_tokens", "/usage/prompt_tokens", 1.0),
        ("/completion_tokens", "/usage/completion_tokens", 1.0),
        ("/llm_cost", "/cost", 1.0),
        ("/llm_seconds", "/latency_ms", 1e-3),
    ] {
        let (ours, theirs) = (sum(&rows, column), sum(&exchanges, recorded) * scale);
        assert!(ours > 0.0 && (ours - theirs).abs() < 1e-9, "{column}: {ours} and {theirs}");
    }
}

/// The key is in no file and in no output.
fn nowhere(folder: &Path, stdout: &[u8], stderr: &[u8]) {
    let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("very-secret");
    assert!(!holds(stdout) && !holds(stderr));
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(!holds(&std::fs::read(&path).unwrap()), "{}", path.display());
    }
}

#[test]
fn no_key_in_any_output() {
    let (folder, server) = (Folder::new(), server());
    for (output, more) in
        [("made.parquet", ""), ("made.jsonl", ""), ("x.jsonl", "--print-config"), ("x.jsonl", "--dry-run")]
    {
        let mut command = folder.command(Some(&server));
        command.args(["--n", "2", "-o", output]);
        if !more.is_empty() {
            command.arg(more);
        }
        let output = command.assert().success().get_output().clone();
        nowhere(folder.0.path(), &output.stdout, &output.stderr);
    }
    assert!(server.requests().iter().all(|r| r.header("authorization") == Some(format!("Bearer {KEY}").as_str())));
}

#[test]
fn a_budget_of_tokens_stops_before_the_call_and_can_be_raised() {
    let (folder, server) = (Folder::new(), server());
    let propose = |tokens: &str| {
        let mut command = folder.command(Some(&server));
        command.args(["--n", "6", "--set", "llm.jobs=1", "--max-tokens-total", tokens, "-o", "made.jsonl"]);
        // with a limit for each reply, that for the run is never exceeded
        command.args(["--set", "llm.max_tokens=4000"]);
        command
    };
    let spent = || -> i64 {
        let tokens = |e: &Value, name: &str| e["usage"][name].as_i64().unwrap();
        let exchanges = folder.rows("transcripts.jsonl");
        exchanges.iter().map(|e| tokens(e, "prompt_tokens") + tokens(e, "completion_tokens")).sum()
    };
    let output = propose("60000").assert().code(1).get_output().stderr.clone();
    let said = String::from_utf8(output).unwrap();
    assert!(
        said.contains("budget: ") && said.contains("once llm.max_tokens_total or llm.max_cost is raised"),
        "{said}"
    );
    assert!(!folder.path("made.jsonl").exists());
    assert!(spent() > 10_000 && spent() <= 60_000, "{}", spent());
    let before = server.requests().len();
    // the run has spent it: nothing more is asked
    propose("60000").assert().code(1);
    assert_eq!(server.requests().len(), before);
    propose("600000").assert().success();
    assert_eq!(count(&folder.rows("made.jsonl"), "status", &json!("failed")), 0);
}

#[test]
fn a_cost_limit_stops_before_the_call() {
    let (folder, server) = (Folder::new(), server());
    let prices = "llm.prices={ player = { input = 1000.0, output = 1000.0 } }";
    let mut command = folder.command(Some(&server));
    command.args(["--n", "6", "--set", "llm.jobs=1", "--set", prices, "--max-cost", "60", "-o", "made.jsonl"]);
    let output = command.args(["--set", "llm.max_tokens=4000"]).assert().code(1).get_output().stderr.clone();
    let said = String::from_utf8(output).unwrap();
    assert!(said.contains("budget: ") && said.contains("of 60 are spent"), "{said}");
    let spent: f64 = folder.rows("transcripts.jsonl").iter().filter_map(|e| e["cost"].as_f64()).sum();
    assert!(spent > 10.0 && spent <= 60.0, "{spent}");
}

#[test]
fn each_role_has_its_model_and_models_have_their_share() {
    let (folder, server) = (Folder::new(), server());
    let mut command = folder.command(Some(&server));
    command.args(["--n", "13", "--model", "other=3", "--set", "llm.router_model=small", "-o", "made.jsonl"]);
    command.assert().success();
    let models = |agent: &str| -> Vec<String> {
        let exchanges = folder.text("transcripts.jsonl");
        let lines = exchanges.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|e| e["agent"] == agent).map(|e| e["model"].as_str().unwrap().to_owned()).collect()
    };
    assert!(models("router").len() == 12 && models("router").iter().all(|model| model == "small"));
    let critics = models("critic");
    let share = |name: &str| critics.iter().filter(|model| *model == name).count();
    assert!(share("other") > share("player") && share("player") > 0, "{critics:?}");
    assert_eq!(share("other") + share("player"), 12);
}

#[test]
fn dry_runs_ask_nobody() {
    let (folder, server) = (Folder::new(), server());
    let mut command = folder.command(Some(&server));
    let output = command.args(["--n", "2", "--dry-run"]).assert().success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    for part in
        ["router asks player", "critic asks player", "writer asks player", "#### system", "class PGN(Processor)"]
    {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert!(text.contains("######## 3 prompts of about "));
    assert!(server.requests().is_empty() && !folder.path("transcripts.jsonl").exists());
}

#[test]
fn ping_says_whether_all_is_right() {
    let (folder, server) = (Folder::new(), server());
    let said = |command: &mut Command, code: i32| {
        let output = command.assert().code(code).get_output().clone();
        nowhere(folder.0.path(), &output.stdout, &output.stderr);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    // Each role is asked its own prompt, as a search would ask it.
    let text = said(folder.command(Some(&server)).args(["--ping", "--set", "llm.router_model=small"]), 0);
    for part in [
        "router: small, ",
        "chose OPERATOR",
        "critic: player, ",
        "writer: player, ",
        " code",
        "; NOTE: \"mock\" has answered",
    ] {
        assert_eq!(text.contains(part), !part.contains("mock"), "{part}: {text}");
    }
    assert!(text.contains("a search of 32 attempts would take about 0."), "{text}");
    assert_eq!(server.requests().len(), 3);
    assert!(!folder.path("transcripts.jsonl").exists(), "a trial is no part of a run");

    // What is of no use is said; a search may be made with such a model.
    let server = Server::scripted(vec![respond_json(200, &completion("ready", Some((3000, 1))))]).unwrap();
    let text = said(folder.command(Some(&server)).arg("--ping"), 0);
    for part in
        ["3000 tokens in (guessed ", "NOTE: no choice in its answer", "NOTE: no code", "NOTE: \"mock\" has answered"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A search would get no further than these.
    let server = Server::scripted(vec![respond_json(404, &json!({"error": {"message": "no model player"}}))]).unwrap();
    let text = said(folder.command(Some(&server)).arg("--ping"), 1);
    assert!(
        text.contains("no model player") && text.contains("player at http") && text.contains("as the router"),
        "{text}"
    );
    let cut = Server::start(|_, r| {
        let sent = r.body.len() as u64 / 4;
        respond_json(200, &completion("x", Some((sent.min(2048), 1))))
    })
    .unwrap();
    let text = said(folder.command(Some(&cut)).arg("--ping"), 1);
    assert!(text.contains("it has cut the prompt to its context"), "{text}");
}

#[test]
fn each_role_may_ask_a_server_of_its_own() {
    let (folder, usual, big) = (Folder::new(), server(), server());
    let endpoint = format!(
        "llm.endpoints={{ big = {{ url = \"{}\", key_env = \"BIG_KEY\", key_header = \"api-key\", \
         headers = {{ X-Title = \"a search\", X-Token = \"$BIG_TOKEN\" }}, query = {{ api-version = \"1\" }} }} }}",
        big.url()
    );
    let mut command = folder.command(Some(&usual));
    command.env("BIG_KEY", "big-key-0123456789").env("BIG_TOKEN", "big-token-0123456789");
    command.args(["--n", "3", "--set", &endpoint, "--set", "llm.writer_endpoint=big", "-o", "made.jsonl"]);
    command.assert().success();
    assert!(big.requests().len() >= 2 && usual.requests().len() == 4);
    for request in big.requests() {
        assert_eq!(request.path, "/v1/chat/completions?api-version=1");
        let expected = [
            ("api-key", Some("big-key-0123456789")),
            ("x-token", Some("big-token-0123456789")),
            ("x-title", Some("a search")),
            ("authorization", None),
        ];
        assert!(expected.iter().all(|(name, value)| request.header(name) == *value), "{request:?}");
    }
    // A name that is not there, and a prompt longer than the context.
    let refused = |sets: &[&str], code: i32, words: &str| {
        let mut command = folder.command(Some(&usual));
        for set in sets {
            command.args(["--set", *set]);
        }
        let args = ["--n", "4", "--transcripts", "other.jsonl", "-o", "again.jsonl"];
        let output = command.args(args).assert().code(code).get_output().stderr.clone();
        let text = String::from_utf8(output).unwrap();
        assert!(text.contains(words), "{text}");
    };
    refused(&[&endpoint, "llm.writer_endpoint=small"], 2, "there is no [llm.endpoints.small]; known: big");
    let before = usual.requests().len();
    refused(&["llm.context=1000"], 1, "context: the prompt has about ");
    refused(&["llm.headers={ X = \"$NO_SUCH_VARIABLE\" }"], 1, "NO_SUCH_VARIABLE is not set");
    assert_eq!(usual.requests().len(), before);
}

#[test]
fn misuse_is_told_before_any_call() {
    let (folder, server) = (Folder::new(), server());
    let refused = |command: &mut Command, word: &str| {
        let output = command.assert().failure().get_output().stderr.clone();
        let text = String::from_utf8(output).unwrap();
        assert!(text.contains(word), "{word:?} is missing in {text}");
    };
    refused(folder.command(Some(&server)).args(["--max-cost", "1"]), "no price for the model player");
    refused(folder.command(Some(&server)).args(["--prompts", "nowhere"]), "nowhere");
    refused(&mut folder.command(None), "--transcripts");
    refused(folder.command(None).args(["--transcripts", "none.jsonl"]), "none.jsonl");
    let bare = || Command::cargo_bin("propose").unwrap();
    refused(bare().args(["--proposer", "openai", "--api-base", &server.url()]), "llm.model");
    refused(bare().args(["--proposer", "openai", "--model", "player"]), "llm.base_url");
    assert!(server.requests().is_empty());
}

#[test]
fn a_model_edits_any_factor_that_the_parent_marks() {
    let folder = Folder::new();
    let handler = |number: usize, request: &llm::mock::Request| {
        let body = request.json();
        let opening = body["messages"][1]["content"].as_str().unwrap_or_default().to_owned();
        let text = if opening.contains("Choose the one factor") {
            // the first answer names what the parent does not have, and goes back
            let name = if number == 0 { "GATE" } else { "READOUT" };
            format!("{{\"factor\": \"{name}\", \"reason\": \"relu forgets the sign\"}}")
        } else if opening.contains("Write a directive") {
            "Title: a bounded state\n\nBound the new state with tanh.".to_owned()
        } else {
            let parent =
                opening.split("```python\n").nth(1).and_then(|rest| rest.split("\n```").next()).unwrap_or_default();
            let source = parent.replace("ret = F.relu(self.o1(z)", "ret = torch.tanh(self.o1(z)");
            format!("Idea: the sign stays.\n\n```python\n{source}\n```\n")
        };
        streamed(&text, None)
    };
    let server = Server::start(handler).unwrap();
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/seed_mpnn.py");
    let args = ["--n", "2", "-o", "made.jsonl", "--program", seed.to_str().unwrap()];
    folder.command(Some(&server)).args(args).assert().success();
    let row: schemas::Candidate = serde_json::from_value(folder.rows("made.jsonl")[1].clone()).unwrap();
    assert_eq!(row.factor, schemas::Factor::parse("READOUT"));
    assert!(row.source.contains("torch.tanh(self.o1(z)"));
    let rules = check::Rules::new(&stage::Config::default());
    let checked = check::Inspectors::here(&rules).unwrap().inspect(&row, None).unwrap().candidate;
    assert_eq!((checked.status, checked.locality), (schemas::Status::Accepted, Some(schemas::Locality::Local)));
    assert_eq!((checked.edit_distance_operator, checked.edit_distance_frozen), (Some(0), Some(0)));
    assert!(checked.edit_distance_action > Some(0));

    let asked: Vec<Value> = server.requests().iter().map(llm::mock::Request::json).collect();
    let said = |call: usize, message: usize| asked[call]["messages"][message]["content"].as_str().unwrap();
    let choices = r#""OPERATOR", "ACTION", "AGGREGATION", "MEMORY", "MESSAGE ACTION", "MESSAGE OPERATOR" or "READOUT""#;
    assert!(said(0, 1).contains(choices), "{}", said(0, 1));
    assert!(
        said(0, 0).contains("This program has 7 editable factors") && said(0, 0).contains("\n- MEMORY: "),
        "{}",
        said(0, 0)
    );
    assert!(
        said(1, 3).contains(&format!("it must be {choices}")) && said(1, 3).contains("\"reason\""),
        "{}",
        said(1, 3)
    );
    assert!(said(3, 1).contains("marker comments of the READOUT region") && said(3, 1).contains("all other regions"));
}
