//! Searches by a model once they are recorded, through Make: replayed from the recording alone, looked at, and their settings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use llm::conform::faults;
use llm::mock::{Server, player, respond_json};
use serde_json::{Value, json};
use tests::{Outcome, finish, make, make_search, root, run};

const KEY: &str = "sk-test-0123456789-very-secret";

/// A finished search by a model in `folder/live`, with these variables besides.
fn recorded(folder: &Path, server: &Server, variables: &[&str]) -> PathBuf {
    finish(search(folder, server, variables)).ok();
    folder.join("live")
}

fn search(folder: &Path, server: &Server, variables: &[&str]) -> Command {
    let mut make = make_search(folder, 0);
    make.arg(format!("RUN={}", folder.join("live").display())).args(["PROPOSER=openai", "MODEL=player"]);
    make.arg(format!("API_BASE={}", server.url())).args(variables).env("OPENAI_API_KEY", KEY);
    make
}

/// Make, told of the run alone: no profile, no model, no seed.
fn of_run(folder: &Path, target: &str, run: &Path) -> Command {
    let mut command = Command::new("make");
    command.arg(target).arg(format!("RUN={}", run.display()));
    command.args(["BUILD=no".to_owned(), format!("BIN={}", tests::bin().display())]);
    command.arg(format!("CACHE={}", folder.join("cache").display()));
    for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "OPENAI_API_KEY"] {
        command.env_remove(name);
    }
    command.current_dir(root());
    command
}

fn exchanges(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("transcripts.jsonl")).expect("the recording");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn write_exchanges(run: &Path, lines: &[Value]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(run.join("transcripts.jsonl"), text).expect("written");
}

#[track_caller]
fn failed(outcome: &Outcome, words: &[&str]) {
    assert_ne!(outcome.code, Some(0), "{}\n{}", outcome.stdout, outcome.stderr);
    for word in words {
        let said = outcome.stdout.contains(word) || outcome.stderr.contains(word);
        assert!(said, "{word:?} is missing in:\n{}\n{}", outcome.stdout, outcome.stderr);
    }
}

#[test]
fn a_recorded_search_is_replayed_from_its_recording_alone() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    // Neither seed nor method are the defaults, and none of them is told to the replay.
    let server = Server::start(player()).expect("a local server");
    let live = recorded(folder.path(), &server, &["SEED=5", "METHOD=asr-only"]);
    drop(server);
    let said = finish(of_run(folder.path(), "replay", &live)).ok();
    let equal = "byte for byte (";
    assert!(said.stdout.contains("equal:") && said.stdout.contains(equal), "{}", said.stdout);
    let again = folder.path().join("live-replay");
    assert!(!again.join("transcripts.jsonl").exists());

    // Each line follows the document, and the attempts can be looked at.
    let document = fs::read_to_string(root().join("schemas/transcript.schema.json")).expect("the document");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let lines = exchanges(&live);
    for line in &lines {
        assert_eq!(faults(&document, line), Vec::<String>::new());
    }
    let shown = run("propose", ["--show", &live.display().to_string(), "3", "--json"]).ok();
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    let of_attempt = lines.iter().filter(|line| line["attempt"] == 3).count();
    assert_eq!(shown["calls"].as_array().map(Vec::len), Some(of_attempt));
    let last = shown["tries"].as_array().and_then(|tries| tries.last()).expect("a row");
    let tables: Vec<&str> =
        last["tables"].as_array().expect("tables").iter().filter_map(|t| t["table"].as_str()).collect();
    assert!(tables[0].ends_with("/proposed") && tables.last() == Some(&"archive"), "{tables:?}");
    assert!(tables.iter().any(|table| table.ends_with("/checked")), "{tables:?}");

    // Another reply leads to another prompt, which has none.
    let mut other = lines.clone();
    let changed = other.iter_mut().find(|line| line["agent"] == "writer").expect("a writer's call");
    changed["reply"]["text"] = json!("I cannot do that.");
    write_exchanges(&live, &other);
    failed(&finish(of_run(folder.path(), "replay", &live)), &["unrecorded: ", "has no reply for the writer's prompt"]);

    // Where nothing follows it is another search, and the replay says where. Lines stand in the order of their ends.
    let mut other = lines.clone();
    let place = |line: &Value| (line["attempt"].as_i64(), line["call"].as_i64());
    let writers = other.iter_mut().filter(|line| line["agent"] == "writer");
    let changed = writers.max_by_key(|line| place(line)).expect("a writer's call");
    // Its own line alone: earlier ones may stand in the region that it must leave, and a fault is followed by a prompt.
    let operator = changed["messages"].to_string().contains("marker comments of the OPERATOR region");
    let (old, new) =
        if operator { ("self.o3.bias, 0.", "self.o3.bias, 1.") } else { ("tri_msgs * 1.", "tri_msgs * 3.") };
    let mut text = changed["reply"]["text"].as_str().expect("a text").to_owned();
    let own = text.rfind(old).expect("the line that it adds");
    text.replace_range(own..own + old.len(), new);
    changed["reply"]["text"] = json!(text);
    write_exchanges(&live, &other);
    let outcome = finish(of_run(folder.path(), "replay", &live));
    failed(&outcome, &["differs:", "the first one is of attempt", "was recorded", "was made"]);

    // A replay takes no folder but a replay's, however the run is written.
    write_exchanges(&live, &lines);
    let slash = finish(of_run(folder.path(), "replay", &live.join(""))).ok();
    assert!(slash.stdout.contains("equal:") && !live.join("-replay").exists(), "{}", slash.stdout);
    fs::create_dir(folder.path().join("mine")).expect("a folder");
    let mut into = of_run(folder.path(), "replay", &live);
    into.arg(format!("REPLAY={}", folder.path().join("mine").display()));
    failed(&finish(into), &["mine is there, and is no replay"]);
    fs::remove_file(live.join("transcripts.jsonl")).expect("removed");
    failed(&finish(of_run(folder.path(), "replay", &live)), &["cannot be replayed", "transcripts.jsonl"]);
}

#[test]
fn settings_reach_the_requests_unharmed() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let own = folder.path().join("my own settings.toml");
    let text =
        "[llm]\nextra = { top_k = 3, stop = [\"a 'b' #c\", \"$d\"] }\n\n[llm.prices.player]\ninput = 9\noutput = 4\n";
    fs::write(&own, text).expect("written");
    let server = Server::start(player()).expect("a local server");
    let settings = format!("SETTINGS={}", own.display());
    let set = "SET=llm.prices.player.input=1.5 llm.extra.reasoning_effort=\"low\" llm.extra.user='it is $(me) \"#1\"' \
               llm.extra.deep.\"a.b\"=[1, \"x y=2\"] search.attempts=3 search.generation_size=3 confirm.top=0";
    let live = recorded(folder.path(), &server, &[&settings, set]);
    for request in server.requests() {
        let body = request.json();
        let of = |name: &str| body[name].clone();
        assert_eq!(of("top_k"), 3, "{body}");
        assert_eq!(of("stop"), json!(["a 'b' #c", "$d"]));
        assert_eq!((of("reasoning_effort"), of("user")), (json!("low"), json!("it is $(me) \"#1\"")));
        assert_eq!(of("deep"), json!({"a.b": [1, "x y=2"]}));
    }
    for line in exchanges(&live) {
        let tokens = |name: &str| line["usage"][name].as_f64().expect("tokens");
        let cost = (1.5 * tokens("prompt_tokens") + 4.0 * tokens("completion_tokens")) / 1e6;
        assert!((line["cost"].as_f64().expect("a cost") - cost).abs() < 1e-12, "{line}");
    }
    let config = fs::read_to_string(live.join("config.toml")).expect("settings");
    assert!(config.contains("prices = { player = { input = 1.5, output = 4") && config.contains("# --set"), "{config}");
    assert!(config.contains("reasoning_effort = \"low\"") && config.contains("top_k = 3"), "{config}");
    // The same settings again are the run's; another parameter of requests is another experiment, and prices are not.
    let again = finish(search(folder.path(), &server, &[&settings, set])).ok();
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    let cheaper = format!("{set} llm.prices.player.output=1");
    finish(search(folder.path(), &server, &[&settings, &cheaper])).ok();
    let noted = fs::read_to_string(live.join("changes.jsonl")).expect("the change is noted");
    assert!(noted.contains("llm.prices"), "{noted}");
    let other = format!("{set} llm.extra.top_k=4");
    failed(&finish(search(folder.path(), &server, &[&settings, &other])), &["other settings", "llm.extra"]);
    failed(&finish(search(folder.path(), &server, &["SETTINGS=nowhere.toml"])), &["nowhere.toml", "cannot read"]);

    // The page names what was asked, and what it took.
    let page = fs::read_to_string(live.join("report.html")).expect("the page");
    let calls = exchanges(&live).len();
    for part in [
        "The language models",
        "Cost of the models",
        "A reply takes",
        "what models were asked and answered",
        &format!("{calls} calls"),
    ] {
        assert!(page.contains(part), "the page lacks: {part}");
    }
    let table = fs::read_to_string(live.join("tables/models.csv")).expect("the table");
    assert!(table.lines().any(|line| line.starts_with("router,player,3,0,0,")), "{table}");
}

#[test]
fn a_ping_has_the_settings_of_the_run() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = Server::start(player()).expect("a local server");
    let few = "SET=llm.extra.top_k=7 search.attempts=1 search.generation_size=1 confirm.top=0";
    let live = recorded(folder.path(), &server, &[few]);
    let asked = server.requests().len();
    let ping = |more: &[&str]| {
        let mut command = of_run(folder.path(), "ping", &live);
        command.args(more).env("OPENAI_API_KEY", KEY);
        finish(command)
    };
    let said = ping(&[]).ok();
    assert!(said.stdout.contains(": player, "), "{}", said.stdout);
    let requests = server.requests();
    assert!(requests.len() > asked && requests[asked..].iter().all(|request| request.json()["top_k"] == 7));
    let said = ping(&["MODEL=small large=2", "SET=llm.extra.top_k=8"]).ok();
    assert!(said.stdout.contains(": small, ") && said.stdout.contains(": large, "), "{}", said.stdout);
    assert_eq!(server.requests().last().map(|request| request.json()["top_k"].clone()), Some(json!(8)));

    // Without a run, what is asked for now holds.
    let wrong =
        Server::start(|_, _| respond_json(401, &json!({"error": {"message": "no such key"}}))).expect("a server");
    let mut command = make(folder.path(), "ping");
    command.args(["MODEL=player", &format!("API_BASE={}", wrong.url())]).env("OPENAI_API_KEY", KEY);
    failed(&finish(command), &["player", "401"]);
}
