//! How many programs a second are checked on one core, each against a parent, as `check` does it: both parsed, compared for
//! locality, the child compiled, its costs and fingerprint computed. And how long the `check` binary takes from start to
//! verdict. `cargo bench -p program`, `-- --json` for JSON, `-- gru` for some programs only.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use program::{Factor, Options};

/// As in the `check` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENOUGH: Duration = Duration::from_millis(1500);
/// The width of the paper's networks.
const HIDDEN: usize = 128;

struct Case {
    name: String,
    source: String,
    parent: String,
    factor: Factor,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// All programs of a folder of fixtures, each with its parent: the one that is named beside it, or the seed program.
fn cases(folder: &str) -> io::Result<Vec<Case>> {
    let fixtures = root().join("tests/fixtures/programs");
    let seed = fs::read_to_string(root().join("tests/fixtures/programs/valid/seed_pgn.py"))?;
    let facts: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&fs::read_to_string(fixtures.join("invalid/expected.json"))?)?;
    let mut cases = Vec::new();
    for entry in fs::read_dir(fixtures.join(folder))? {
        let path = entry?.path();
        let Some(name) = path.file_stem().filter(|_| path.extension().is_some_and(|e| e == "py")) else { continue };
        let name = name.to_string_lossy().into_owned();
        let fact = |key: &str| facts.get(&name).and_then(|f| f[key].as_str());
        let parent = match fact("parent") {
            Some(parent) => fs::read_to_string(fixtures.join("invalid").join(parent))?,
            None => seed.clone(),
        };
        let factor = fact("selected").and_then(Factor::parse).unwrap_or(Factor::ACTION);
        cases.push(Case { source: fs::read_to_string(&path)?, name, parent, factor });
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

/// What `check` does with one row.
fn check(case: &Case, options: &Options) {
    let compiled = program::compile(&case.source, options);
    if let Some(processor) = &compiled.processor {
        let outputs = processor.outputs();
        black_box(graph::costs(&processor.graph, &outputs));
        black_box(graph::fingerprint(&processor.graph, &outputs));
    }
    black_box(program::candidate_id(&case.source));
    black_box(program::locality(&case.parent, &case.source, case.factor));
    black_box(compiled);
}

/// CPU time of this process, all threads together: waiting for others on the machine does not count.
fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

/// Seconds of one core for all of them once: the best of several rounds.
fn seconds(cases: &[&Case]) -> f64 {
    let options = Options { hidden: HIDDEN, ..Options::default() };
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed() < ENOUGH || best.is_infinite() {
        let round = cpu_seconds();
        program::on_big_stack(|| cases.iter().for_each(|case| check(case, &options)));
        best = best.min(cpu_seconds() - round);
    }
    best
}

/// Seconds from the start of the `check` binary to its verdict on the seed program, where it is built.
fn cold_start() -> Option<f64> {
    let bench = std::env::current_exe().ok()?;
    let binary = bench.parent()?.parent()?.join(format!("check{}", std::env::consts::EXE_SUFFIX));
    let mut best: Option<f64> = None;
    for _ in 0..20 {
        let start = Instant::now();
        let mut command = Command::new(&binary);
        command.arg(root().join("data/seed_pgn.py")).stdout(Stdio::null()).stderr(Stdio::null());
        if !command.status().ok()?.success() {
            return None;
        }
        let took = start.elapsed().as_secs_f64();
        best = Some(best.map_or(took, |b| b.min(took)));
    }
    best
}

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| w != "--bench").collect();
    let json = words.iter().any(|w| w == "--json");
    let names: Vec<&String> = words.iter().filter(|w| !w.starts_with("--")).collect();
    let (valid, invalid) = (cases("valid")?, cases("invalid")?);
    let chosen = |set: &'static str, cases: &[Case]| -> Vec<(&'static str, usize)> {
        let fits = |c: &Case| names.is_empty() || names.iter().any(|n| c.name.contains(n.as_str()));
        (0..cases.len()).filter(|i| fits(&cases[*i])).map(|i| (set, i)).collect()
    };
    let mut out = io::stdout().lock();
    let all: Vec<(&str, usize)> = chosen("valid", &valid).into_iter().chain(chosen("invalid", &invalid)).collect();
    let case = |(set, i): (&str, usize)| if set == "valid" { &valid[i] } else { &invalid[i] };
    if !json {
        writeln!(out, "programs checked against their parents at hidden size {HIDDEN}, one core")?;
        writeln!(out, "{:32} {:>12} {:>12}", "", "programs/s", "ms/program")?;
    }
    let mut line = |name: &str, cases: &[&Case]| -> io::Result<()> {
        if cases.is_empty() {
            return Ok(());
        }
        let (count, seconds) = (cases.len(), seconds(cases));
        let (rate, each) = (count as f64 / seconds, seconds / count as f64);
        if json {
            writeln!(
                out,
                "{{\"programs\":\"{name}\",\"count\":{count},\"seconds_per_program\":{each:.3e},\"programs_per_second\":{rate:.1}}}"
            )
        } else {
            writeln!(out, "{name:32} {rate:>12.0} {:>12.3}", each * 1e3)
        }
    };
    if !names.is_empty() {
        for &one in &all {
            line(&case(one).name, &[case(one)])?;
        }
    }
    for set in ["valid", "invalid"] {
        line(&format!("{set} programs"), &all.iter().filter(|c| c.0 == set).map(|&c| case(c)).collect::<Vec<_>>())?;
    }
    line("all programs", &all.iter().map(|&c| case(c)).collect::<Vec<_>>())?;
    match cold_start() {
        Some(seconds) if json => writeln!(out, "{{\"cold_start_seconds\":{seconds:.4}}}"),
        Some(seconds) => writeln!(out, "check, from start to verdict: {:.1} ms", seconds * 1e3),
        None if json => Ok(()),
        None => writeln!(out, "check, from start to verdict: not measured, the binary is not built beside this bench"),
    }
}
