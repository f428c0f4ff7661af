//! The proposers by name. Adding one: an arm here.

use std::fs;

use anyhow::Context;
use search::builtin::Builtin;
use search::proposer::Proposer;
use stage::{Config, Usage};

use crate::args::Args;

pub fn open(args: &Args, config: &Config) -> anyhow::Result<Box<dyn Proposer>> {
    match config.propose.proposer.as_str() {
        "builtin" => Ok(Box::new(builtin(args)?)),
        other => Err(Usage(format!("there is no proposer `{other}`; known is builtin")).into()),
    }
}

fn builtin(args: &Args) -> anyhow::Result<Builtin> {
    let Some(path) = &args.motifs else { return Ok(Builtin::new()?) };
    let text = fs::read_to_string(path).with_context(|| format!("{}: cannot read the motifs", path.display()))?;
    Builtin::with_library(&text).with_context(|| path.display().to_string())
}
