//! Candidate programs, compiled: from files, and those that the project brings along.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use graph::Processor;
use program::Options;
use stage::Usage;

/// Compiles a file for `hidden` features; its diagnostics are the error.
pub fn from_file(path: &Path, options: &Options) -> Result<Processor> {
    let source = stage::files::read_text(path).with_context(|| path.display().to_string())?;
    compile(&source, &path.display().to_string(), options)
}

/// The program of one of the benchmark's processors.
pub fn of_benchmark(processor: &str, options: &Options) -> Result<Processor> {
    let (source, name) = match processor {
        "triplet_gmpnn" => (include_str!("../../../data/seed_pgn.py"), "data/seed_pgn.py"),
        "gmpnn" => (include_str!("../../../data/processors/gmpnn.py"), "data/processors/gmpnn.py"),
        "mpnn" => (include_str!("../../../data/processors/mpnn.py"), "data/processors/mpnn.py"),
        "pgn" => (include_str!("../../../data/processors/pgn.py"), "data/processors/pgn.py"),
        other => bail!(Usage(format!("no program for the processor `{other}` is known: give one with --program"))),
    };
    compile(source, name, options)
}

fn compile(source: &str, name: &str, options: &Options) -> Result<Processor> {
    let compiled = program::compile(source, options);
    match compiled.processor {
        Some(processor) => Ok(processor),
        None => {
            bail!("{name} is not valid\n{}", program::render(source, name, &compiled.diagnostics, false).trim_end())
        }
    }
}
