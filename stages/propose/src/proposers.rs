//! The proposers by name. Adding one: an arm in [`open`].

use std::sync::Arc;

use anyhow::Context;
use llm::Shared;
use schemas::Candidate;
use search::builtin::Builtin;
use search::generation::{self, Generation};
use search::population::Population;
use search::proposer::Proposer;
use stage::{Config, Row, Table, Usage};

use crate::args::Args;
use crate::models;
use crate::plan::Plan;

/// What writes the programs.
pub enum Source {
    /// Costs nothing: a place that repeats a known program is drawn again.
    Free(Box<dyn Proposer>),
    /// Language models, or a recording of them.
    Models(Arc<Shared>),
}

/// A generation, made.
pub struct Made {
    pub rows: Table,
    /// What it took, in words.
    pub spent: Option<String>,
    /// Why it is not what it should be.
    pub ended: Option<String>,
}

pub fn open(args: &Args, config: &Config, population: &Population<'_>) -> anyhow::Result<Source> {
    match config.propose.proposer.as_str() {
        "builtin" => Ok(Source::Free(Box::new(builtin(args, config)?))),
        "openai" => Ok(Source::Models(models::live(args, config, population)?)),
        "replay" => Ok(Source::Models(models::replay(args, config, population)?)),
        other => Err(Usage(format!("there is no proposer `{other}`; known are builtin, openai, replay")).into()),
    }
}

fn builtin(args: &Args, config: &Config) -> anyhow::Result<Builtin> {
    let builtin = library(args)?;
    Ok(builtin.with_motifs(config.propose.motifs).with_condition(config.propose.condition))
}

fn library(args: &Args) -> anyhow::Result<Builtin> {
    let Some(path) = &args.motifs else { return Ok(Builtin::new()?) };
    let text = stage::files::read_text(path).with_context(|| format!("{}: cannot read the motifs", path.display()))?;
    Builtin::with_library(&text).with_context(|| path.display().to_string())
}

impl Source {
    /// Makes a generation. `on_row` hears of each row as it is made.
    pub fn propose(
        &self,
        population: &Population<'_>,
        plan: &Plan,
        on_row: &(dyn Fn(&Candidate) + Sync),
    ) -> anyhow::Result<Made> {
        match self {
            Self::Free(proposer) => {
                let made = generation::propose(
                    population,
                    plan.generation(),
                    proposer.as_ref(),
                    &program::candidate_id,
                    &mut |row| on_row(row),
                );
                let rows = made.rows.into_iter().map(Row::from).collect();
                Ok(Made { rows, spent: None, ended: made.ended })
            }
            Self::Models(shared) => {
                let plan = plan.generation();
                let seed_id = program::candidate_id(plan.seed_program);
                let generation = Generation::new(population, plan, seed_id);
                let rows = llm::propose(&generation, shared, &program::candidate_id, on_row);
                models::made(shared, rows.map_err(models::stopped)?)
            }
        }
    }
}
