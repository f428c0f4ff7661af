//! Programs against PyTorch's numbers, whole networks against dm-clrs's.

use std::path::{Path, PathBuf};

use graph::Processor;
use network::parity::{self, NetworkCase, Options, Report};
use network::{Backend, Device, DeviceArg, Dtype};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn device() -> Device {
    network::init(&DeviceArg::Cpu, 1).expect("the CPU is there")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
}

fn compile(path: &Path, options: &program::Options) -> Processor {
    let source = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let compiled = program::compile(&source, options);
    compiled.processor.unwrap_or_else(|| {
        panic!("{}", program::render(&source, &path.display().to_string(), &compiled.diagnostics, false))
    })
}

/// Every format, the graph as it is built and as it is rewritten, and every way to compute. What a GPU's kernels compute is
/// tried on every fourth case, for the C++ compiler takes its time; the long test tries all.
fn ways(case: usize) -> impl Iterator<Item = Options> {
    let ways = [(Dtype::F64, false), (Dtype::F64, true), (Dtype::F32, true)];
    let way = move |backend| ways.map(|(dtype, passes)| Options { dtype, tolerance: None, passes, backend });
    let written = case.is_multiple_of(4).then(|| on_gpu(Dtype::F32));
    [Backend::Auto, Backend::Eager, Backend::Plain].into_iter().flat_map(way).chain(written)
}

/// As a GPU computes, with kernels that are compiled for this CPU.
fn on_gpu(dtype: Dtype) -> Options {
    Options { dtype, tolerance: None, passes: true, backend: Backend::Replay }
}

fn faults(report: &Report, options: Options) -> Vec<String> {
    let bad = report.checks.iter().filter(|check| !check.ok);
    bad.map(|check| format!("{} {options:?} {}: {} of {}", report.case, check.name, check.error, check.tolerance))
        .collect()
}

#[test]
fn programs_agree_with_pytorch() {
    compare_programs(|case| ways(case).collect());
}

/// The ways of the cases of one half, none for the others: each half is a test, so that two cores share the work. Both have
/// cases that a GPU's kernels are tried on.
fn ways_of_half(case: usize, half: usize) -> Vec<Options> {
    if case / 4 % 2 == half { ways(case).collect() } else { Vec::new() }
}

#[test]
fn networks_agree_with_dm_clrs() {
    compare_networks(|case| ways_of_half(case, 0));
}

#[test]
fn further_networks_agree_with_dm_clrs() {
    compare_networks(|case| ways_of_half(case, 1));
}

/// With the kernels that are written for a GPU.
#[test]
#[ignore = "the C++ compiler takes minutes for all kernels"]
fn all_cases_agree_with_the_kernels_of_a_gpu() {
    let both = |_| vec![on_gpu(Dtype::F32), on_gpu(Dtype::F64)];
    compare_programs(both);
    compare_networks(both);
}

fn compare_programs(ways: impl Fn(usize) -> Vec<Options>) {
    let device = device();
    let folder = root().join("tests/fixtures/programs");
    let mut cases = files(&folder.join("valid"), "safetensors");
    cases.extend(["further", "published"].iter().flat_map(|more| files(&folder.join(more), "safetensors")));
    assert!(cases.len() >= 20, "{cases:?}");
    let mut bad = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let hidden = parity::program_hidden(case).expect("is readable");
        let options = program::Options { hidden, ..program::Options::default() };
        let processor = compile(&case.with_extension("py"), &options);
        for way in ways(at) {
            match parity::program_case(&processor, case, device, way) {
                Ok(report) => bad.extend(faults(&report, way)),
                Err(error) => bad.push(format!("{} {way:?}: {error}", case.display())),
            }
        }
    }
    assert!(bad.is_empty(), "{} beyond tolerance:\n{}", bad.len(), bad.join("\n"));
}

fn compare_networks(ways: impl Fn(usize) -> Vec<Options>) {
    let device = device();
    let cases = files(&root().join("tests/fixtures/model"), "json");
    assert!(cases.len() >= 15, "{cases:?}");
    let mut bad = Vec::new();
    for (at, path) in cases.iter().enumerate() {
        for way in ways(at) {
            let report = if path.ends_with("optimiser.json") {
                parity::optimiser_case(path, device, way)
            } else {
                let case = NetworkCase::load(path).expect("is readable");
                let (hidden, nb_triplet_fts, use_ln) = (case.hidden(), case.nb_triplet_fts(), case.use_ln());
                let options = program::Options { hidden, nb_triplet_fts, use_ln, ..program::Options::default() };
                let program = match case.processor() {
                    "triplet_gmpnn" => "data/seed_pgn.py".to_owned(),
                    other => format!("data/processors/{other}.py"),
                };
                case.compare(&compile(&root().join(program), &options), device, way)
            };
            match report {
                Ok(report) => bad.extend(faults(&report, way)),
                Err(error) => bad.push(format!("{} {way:?}: {error}", path.display())),
            }
        }
    }
    assert!(bad.is_empty(), "{} beyond tolerance:\n{}", bad.len(), bad.join("\n"));
}
