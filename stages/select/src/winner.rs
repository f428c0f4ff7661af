//! The best candidate's program.

use std::path::Path;

use anyhow::Context;
use search::population::Population;

/// Writes the program as it is, so that `check`, `train` and any Python read it. `-` is stdout.
pub fn write(population: &Population<'_>, path: &Path) -> anyhow::Result<()> {
    let best = population.best().context("no candidate has a score: there is no best one")?;
    if path == Path::new("-") {
        return stage::exit::print(&best.source);
    }
    stage::atomic::write(path, |out| Ok(out.write_all(best.source.as_bytes())?))
}
