//! Other tools with our stages: the real OpenEvolve, ShinkaEvolve and LLM4AD, and the notebook of the examples.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::python::large_python;
use tests::{bin, finish, make_search, root, run};

const ITERATIONS: usize = 20;

/// A process that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that answers in the form that a tool asks for, and its address.
fn serve(python: &Path, folder: &Path, tool: &str) -> (Server, String) {
    let port = folder.join("port");
    let programs =
        ["div2mean", "maxmean", "evo_seed_sum", "evo_seed_no_graph", "quadnodeminmax", "evo_seed_mlp_out", "gmpnn"];
    let programs = programs.map(|name| root().join(format!("data/processors/{name}.py")));
    let mut command = Command::new(python);
    command.arg(root().join("tests/fixtures/bridges/server.py")).arg(&port).arg(tool).args(programs);
    let server = Server(command.stdin(Stdio::null()).spawn().expect("the server starts"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while !port.exists() {
        assert!(Instant::now() < deadline, "the server does not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
    let port = std::fs::read_to_string(port).expect("a port");
    (server, format!("http://127.0.0.1:{port}/v1"))
}

/// Runs a tool's search in `folder/real`, with the stages as its evaluation, and imports it as an archive.
fn search(folder: &Path, tool: &str, mut command: Command) -> serde_json::Value {
    let [run_folder, cache] = ["real", "cache"].map(|name| folder.join(name));
    command.env("EMBERLINE_BIN", bin()).env("EMBERLINE_CONFIG", root().join("data/profiles/tiny.toml"));
    command.env("EMBERLINE_CACHE", &cache).env("EMBERLINE_RUN", &run_folder).current_dir(folder);
    let done = finish(command).ok();
    let noted = std::fs::read_to_string(run_folder.join("evaluated.jsonl"));
    let noted = noted.unwrap_or_else(|error| panic!("{error}\n{}\n{}", done.stdout, done.stderr));
    assert!(
        noted.lines().count() > ITERATIONS / 2,
        "{} evaluations\n{}\n{}",
        noted.lines().count(),
        done.stdout,
        done.stderr
    );
    // What was refused was never run, neither by us nor by the tool.
    assert!(noted.contains("\"rejected\""), "every fourth answer is refused");
    assert!(!folder.join("executed").exists(), "a program was executed");

    let [scored, archive, page] =
        ["scored.parquet", "archive.parquet", "page.html"].map(|name| run_folder.join(name).display().to_string());
    let real = run_folder.display().to_string();
    run("propose", ["--import", tool, &real, "--config", "data/profiles/tiny.toml", "-o", &scored]).ok();
    run("select", ["--config", "data/profiles/tiny.toml", &scored, "-o", &archive]).ok();
    let summary = run("select", ["--summary", "--json", &archive]).ok().stdout;
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
    assert!(summary["best"]["fitness"].as_f64().is_some() && summary["evaluated"].as_u64() > Some(3), "{summary}");
    assert!(summary["seed"]["edit"] == "seed", "{summary}");
    run("report", [&archive, "-o", &page, "--no-svg", "--no-tables"]).ok();
    let rows = run("check", [archive.as_str()]).ok().rows();
    assert!(rows.iter().all(|row| row["method"] == format!("{tool}-real")), "{tool}");
    serde_json::Value::Array(rows)
}

#[test]
fn openevolve_searches_with_our_stages() {
    let Some(python) = large_python("openevolve", &["openevolve"], &[&["openevolve"]]) else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (_server, url) = serve(&python, folder.path(), "openevolve");
    let bridge = root().join("data/bridges/openevolve");
    let mut command = Command::new(&python);
    command.args(["-c", "import sys; from openevolve.cli import main; sys.exit(main())"]);
    command.arg(root().join("data/seed_pgn.py")).arg(bridge.join("evaluator.py"));
    command.arg("--config").arg(bridge.join("config.yaml")).args(["--api-base", &url, "--primary-model", "scripted"]);
    command.args(["--iterations", &ITERATIONS.to_string(), "--output", "real/openevolve"]);
    search(folder.path(), "openevolve", command);
    run("propose", ["--import", "openevolve", "no/such/run"]).refused(1, &["EMBERLINE_RUN"]);
    run("propose", ["--import", "alphaevolve", "real"]).refused(2, &["openevolve, shinka, llm4ad"]);
}

#[test]
fn shinkaevolve_searches_with_our_stages() {
    let Some(python) = large_python("shinka", &["shinka"], &[&["shinka-evolve==0.0.7"]]) else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (_server, url) = serve(&python, folder.path(), "shinka");
    let mut command = Command::new(&python);
    command.arg(root().join("data/bridges/shinka/run.py")).args(["--api-base", &url, "--model", "scripted"]);
    command.args(["--generations", &ITERATIONS.to_string()]);
    let rows = search(folder.path(), "shinka", command);
    // Edits are of the two regions alone, and who came from whom is known.
    let rows = rows.as_array().expect("rows");
    let known = |row: &&serde_json::Value| row["edit"].as_str().is_some_and(|edit| edit.starts_with("iteration "));
    assert!(rows.iter().filter(known).count() > ITERATIONS / 2, "{rows:?}");
    assert!(rows.iter().any(|row| known(&row) && row["parent_id"] != rows[0]["candidate_id"]), "all of one parent");
}

#[test]
fn llm4ad_searches_with_our_stages() {
    // Its window for the desktop is not wanted.
    let packages: [&[&str]; 2] =
        [&["numpy<2", "scipy", "tqdm", "requests", "openai", "pytz", "matplotlib"], &["--no-deps", "llm4ad==1.11"]];
    let Some(python) = large_python("llm4ad", &["llm4ad", "openai"], &packages) else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (_server, url) = serve(&python, folder.path(), "llm4ad");
    let mut command = Command::new(&python);
    command.arg(root().join("data/bridges/llm4ad/run.py")).args(["--api-base", &url, "--model", "scripted"]);
    command.args(["--samples", &ITERATIONS.to_string()]);
    search(folder.path(), "llm4ad", command);
}

#[test]
fn the_notebook_of_the_examples_runs() {
    let modules = ["nbclient", "ipykernel", "duckdb", "pandas", "matplotlib", "pyarrow"];
    let Some(python) = large_python("notebook", &modules, &[&modules]) else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    finish(make_search(folder.path(), 0)).ok();
    let script = "\
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=300, resources={'metadata': {'path': sys.argv[2]}}).execute()
";
    let mut command = Command::new(&python);
    command.args(["-c", script]).arg(root().join("data/examples/run.ipynb")).arg(folder.path());
    command.env("EMBERLINE_RUN", folder.path().join("run")).env("MPLBACKEND", "agg").stdin(Stdio::null());
    finish(command).ok();
    for figure in ["progress.png", "cost.png", "curves.png"] {
        assert!(folder.path().join(figure).metadata().expect("a figure").len() > 1000, "{figure}");
    }
}
