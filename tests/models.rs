//! Whole searches by a language model, through Make: against a local server that plays one, and from the recording.

use std::path::Path;
use std::process::Command;

use llm::mock::{Request, Server, Step, player, respond, respond_json, streamed};
use tests::{finish, make_search, run};

const KEY: &str = "sk-test-0123456789-very-secret";

/// A search with its run in `folder/NAME` and the trainings of all runs in one cache.
fn search(folder: &Path, name: &str, settings: &[String]) -> Command {
    let mut make = make_search(folder, 0);
    make.arg(format!("RUN={}", folder.join(name).display())).args(settings).arg("MODEL=player");
    make
}

/// The rows of a run's archive, without its name.
fn archive(folder: &Path, name: &str) -> Vec<serde_json::Value> {
    archive_of(folder, name, name)
}

/// The rows of the archive in a folder, without the name that they bear: a replay's rows bear that of what it replays.
fn archive_of(folder: &Path, place: &str, name: &str) -> Vec<serde_json::Value> {
    let path = folder.join(place).join("archive.parquet").display().to_string();
    let mut rows = run("check", [path.as_str()]).ok().rows();
    for row in &mut rows {
        assert_eq!(row.as_object_mut().and_then(|row| row.remove("run")), Some(name.into()));
    }
    rows
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
    let said = finish(make).ok();
    assert!(!said.stdout.contains("very-secret") && !said.stderr.contains("very-secret"));
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
    assert_eq!(recorded.lines().count() + 3, asked, "each role was tried once before");
    let replay = ["PROPOSER=replay".to_owned(), format!("TRANSCRIPTS={}", transcripts.display())];
    finish(search(folder.path(), "again", &replay)).ok();
    assert_eq!(archive_of(folder.path(), "again", "live"), rows);
    no_key_below(folder.path());
}

/// The seed program's operators, two more that nothing uses yet, and the action that uses all of them.
const GROWN: [&str; 2] = [
    "Idea: a head that chooses between two reductions, and a gate\n\n```python\n\
# ===== BEGIN OPERATOR REGION =====\n\
if self.use_triplets:\n    \
    width = self.nb_triplet_fts\n    \
    self.t_1 = nn.Linear(z_size, width)\n    \
    self.t_2 = nn.Linear(z_size, width)\n    \
    self.t_3 = nn.Linear(z_size, width)\n    \
    self.t_e_1 = nn.Linear(e_size, width)\n    \
    self.t_e_2 = nn.Linear(e_size, width)\n    \
    self.t_e_3 = nn.Linear(e_size, width)\n    \
    self.t_g = nn.Linear(g_size, width)\n    \
    self.o3 = nn.Linear(width, size)\n    \
    self.t_head = nn.Linear(z_size, 2)\n    \
    self.t_gate = nn.Linear(z_size, size)\n\
# ===== END OPERATOR REGION =====\n```\n",
    "Idea: both are used\n\n```python\n\
# ===== BEGIN ACTION REGION =====\n\
nodes = self.t_1(z)[:, :, None, None, :] + self.t_2(z)[:, None, :, None, :] + self.t_3(z)[:, None, None, :, :]\n\
edges = self.t_e_1(edge_fts)[:, :, :, None, :] + self.t_e_2(edge_fts)[:, :, None, :, :] + self.t_e_3(edge_fts)[:, None]\n\
triplets = nodes + edges + self.t_g(graph_fts)[:, None, None, None, :]\n\
head = torch.softmax(self.t_head(z), dim=-1)[:, :, None, :]\n\
mixed = head[..., :1] * triplets.amax(dim=1) + head[..., 1:] * triplets.mean(dim=1)\n\
tri_msgs = torch.sigmoid(self.t_gate(z))[:, :, None, :] * F.relu(self.o3(mixed))\n\
# ===== END ACTION REGION =====\n```\n",
];

#[test]
fn operators_grow_by_local_edits_alone() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = Server::start(|_, request: &Request| {
        let prompt = request.prompt();
        let [operator, action] = GROWN;
        let text = if prompt.contains("Choose the one factor") {
            r#"{"factor": "OPERATOR", "reason": "a head and a gate are missing"}"#
        } else if prompt.contains("Write a directive") {
            "Title: head and gate\n\nAdd a head over two reductions, and a gate on the pair's first node."
        } else if prompt.contains("Use it now") {
            action
        } else {
            operator
        };
        streamed(text, Some((100, 10)))
    })
    .expect("a local server");
    let live = [
        "PROPOSER=openai".to_owned(),
        format!("API_BASE={}", server.url()),
        "SET=search.attempts=1 search.generation_size=1 confirm.top=0".to_owned(),
    ];
    let mut make = search(folder.path(), "live", &live);
    make.env("OPENAI_API_KEY", KEY);
    finish(make).ok();
    // `check` would look at what is a duplicate anew.
    let path = folder.path().join("live/archive.parquet").display().to_string();
    let rows = run("select", [path.as_str(), "-o", "-"]).ok().rows();
    let [seed, first, second] = rows.as_slice() else { panic!("{rows:#?}") };
    assert_eq!((&first["phase"], &first["factor"]), (&1.into(), &"OPERATOR".into()));
    assert_eq!((&second["phase"], &second["factor"]), (&2.into(), &"ACTION".into()));
    for (row, parent) in [(first, seed), (second, first)] {
        assert_eq!(row["locality"], "local", "{row}");
        assert_eq!(row["parent_id"], parent["candidate_id"]);
        assert_eq!((&row["attempt"], &row["repair_round"]), (&1.into(), &0.into()));
    }
    // One of the two is evaluated: the first computes what the seed program does.
    assert_eq!((&first["status"], &first["duplicate_of"]), (&"duplicate".into(), &seed["candidate_id"]));
    assert_eq!(second["status"], "scored", "{second}");
    assert!(second["params"].as_i64() > seed["params"].as_i64());
    let source = second["source"].as_str().expect("a program");
    assert!(source.contains("self.t_head(z)") && source.contains("self.t_gate(z)"), "{source}");
}

/// A server that has a bad time again and again, with faults of one kind or another. What it answers depends on the prompt alone.
fn faulty() -> Server {
    let play = player();
    let faults: Vec<Vec<Step>> = vec![
        respond_json(500, &serde_json::Value::Null),
        respond(429, &[("Retry-After", "0")], "slow down"),
        vec![Step::Reset],
        vec![Step::Stall],
        respond(200, &[("Content-Type", "application/json")], "{\"choices\": [{"),
        respond(503, &[], "away"),
        respond(200, &[("Content-Type", "text/html")], "<html>Login</html>"),
    ];
    Server::start(move |number, request: &Request| match number % 10 {
        0..7 => faults[number % 10].clone(),
        _ => play(request.prompt().len(), request),
    })
    .expect("a local server")
}

/// The same without faults.
fn calm() -> Server {
    let play = player();
    Server::start(move |_, request: &Request| play(request.prompt().len(), request)).expect("a local server")
}

fn make_with(server: &Server, more: &str) -> Vec<String> {
    let settings = "llm.retries=3 llm.backoff_s=0.01 llm.first_byte_timeout_s=0.3 llm.idle_timeout_s=0.3 llm.jobs=2";
    vec![
        "PROPOSER=openai".to_owned(),
        "METHOD=free-form".to_owned(),
        format!("API_BASE={}", server.url()),
        format!("SET={settings} {more}"),
    ]
}

#[test]
fn faults_of_the_service_do_not_shape_a_search() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (faults, none) = (faulty(), calm());
    let said: Vec<String> = [("among-faults", &faults), ("calm", &none)]
        .iter()
        .map(|(name, server)| {
            let mut make = search(folder.path(), name, &make_with(server, ""));
            make.env("OPENAI_API_KEY", KEY);
            let said = finish(make).ok();
            said.stdout + &said.stderr
        })
        .collect();
    assert_eq!(archive(folder.path(), "among-faults"), archive(folder.path(), "calm"));
    assert!(faults.requests().len() > 2 * none.requests().len());
    assert!(said.iter().all(|text| !text.contains("very-secret")));
    no_key_below(folder.path());
}

#[test]
fn a_search_stops_at_an_outage_and_goes_on_to_the_undisturbed_archive() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let folder = tempfile::tempdir().expect("a scratch folder");
    let up = Arc::new(AtomicBool::new(true));
    let (state, play) = (Arc::clone(&up), player());
    let server = Server::start(move |number, request: &Request| {
        // After some calls it is away, until somebody mends it.
        if number == 7 {
            state.store(false, Ordering::SeqCst);
        }
        if state.load(Ordering::SeqCst) { play(request.prompt().len(), request) } else { respond(503, &[], "away") }
    })
    .expect("a local server");
    let run = || search(folder.path(), "run", &make_with(&server, "llm.patience=0.5"));
    let said = finish(run());
    assert!(said.code != Some(0), "{}", said.stdout);
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(text.contains("unavailable: ") && text.contains("has not answered for"), "{text}");
    // Nobody is declared the winner of a search that was cut short.
    assert!(!folder.path().join("run/results/best.py").exists());
    up.store(true, Ordering::SeqCst);
    finish(run()).ok();
    let none = calm();
    finish(search(folder.path(), "calm", &make_with(&none, ""))).ok();
    assert_eq!(archive(folder.path(), "run"), archive(folder.path(), "calm"));
}

#[test]
fn a_wrong_key_stops_a_search_at_its_first_call() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let body = serde_json::json!({"error": {"message": format!("Incorrect API key provided: {KEY}")}});
    let server = Server::scripted(vec![respond_json(400, &body)]).expect("a local server");
    let mut make = search(folder.path(), "run", &make_with(&server, "llm.jobs=1"));
    make.env("OPENAI_API_KEY", KEY);
    let said = finish(make);
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(said.code != Some(0) && text.contains("Incorrect API key provided: ***"), "{text}");
    assert_eq!(server.requests().len(), 1);
    no_key_below(folder.path());
}

#[test]
fn a_spent_budget_stops_a_search_until_it_is_raised() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = calm();
    let run = |name: &str, tokens: u64| {
        let settings = format!("llm.max_tokens_total={tokens} llm.max_tokens=4000 llm.jobs=1");
        finish(search(folder.path(), name, &make_with(&server, &settings)))
    };
    let said = run("run", 20_000);
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(said.code != Some(0) && text.contains("budget: "), "{text}");
    // Again: nothing is asked.
    let asked = server.requests().len();
    assert_ne!(run("run", 20_000).code, Some(0));
    assert_eq!(server.requests().len(), asked);
    run("run", 10_000_000).ok();
    run("rich", 10_000_000).ok();
    assert_eq!(archive(folder.path(), "run"), archive(folder.path(), "rich"));
}
