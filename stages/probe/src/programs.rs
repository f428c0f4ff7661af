//! Candidate programs, compiled: from files, and those that the project brings along.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use check::{Inspectors, Rules, Show};
use graph::Processor;
use program::Options;
use schemas::{Candidate, Status};
use stage::{Config, Usage};

/// Compiles a file for `hidden` features; its diagnostics are the error. A process of its own looks at it first.
pub fn from_file(path: &Path, options: &Options) -> Result<Processor> {
    let source = stage::files::read_text(path).with_context(|| path.display().to_string())?;
    let name = path.display().to_string();
    let rules = Rules { options: options.clone(), compare: false, ..Rules::new(&Config::default()) };
    let candidate = Candidate { source: source.clone(), ..Candidate::default() };
    let inspection = Inspectors::new(&rules)?.inspect(&candidate, Some(&Show::plain(&name)))?;
    if inspection.candidate.status == Status::Rejected {
        bail!("{name} is not valid\n{}", inspection.text.trim_end());
    }
    compile(&source, &name, options)
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
