//! The command line and the settings, resolved: what is to be proposed.

use std::collections::BTreeMap;

use anyhow::Context;
use search::diagnosis::Diagnosis;
use search::generation::{self, Seed};
use search::islands::IslandSettings;
use search::methods::{self, Constants, Method, eoh, evoprompting, funsearch};
use search::population::Population;
use search::sampling::SamplingSettings;
use search::stop::{self, StopReason, StopSettings};
use stage::config::{Context as Told, Origin};
use stage::table::{self, Provenance};
use stage::{Config, Usage};

use crate::args::Args;
use crate::models;
use crate::proposers::Made;

/// A resolved call.
pub struct Plan {
    run: String,
    method: &'static dyn Method,
    seed_program: String,
    further_seeds: Vec<Seed>,
    seed: u64,
    generation: i64,
    /// Number of the first attempt, where it does not follow from the archive.
    first_attempt: Option<i64>,
    lag: i64,
    islands: IslandSettings,
    sampling: SamplingSettings,
    context: generation::Context,
    diagnoses: Option<BTreeMap<String, Diagnosis>>,
    constants: Constants,
    /// How many rows.
    pub count: usize,
    /// Why there is nothing left to propose.
    pub stop: Option<StopReason>,
}

impl Plan {
    /// `spent_tokens`: of language models, by all rows so far.
    pub fn new(args: &Args, config: &Config, population: &Population<'_>, spent_tokens: u64) -> anyhow::Result<Self> {
        let generation = args.generation.map_or_else(|| population.last_generation() + 1, i64::from);
        if generation > 0 && population.rows().is_empty() {
            let message = format!("generation {generation} needs an archive: give --parents");
            return Err(Usage(message).into());
        }
        let search = &config.search;
        let mut left = search.attempts.saturating_sub(population.attempts_made());
        if search.evaluations > 0 {
            left = left.min(search.evaluations.saturating_sub(stop::evaluations(population)));
        }
        let mut count = search.generation_size.min(left);
        let mut first_attempt = None;
        if let Some(number) = u32::try_from(generation).ok().filter(|_| search.lag > 0) {
            // The archive lacks the generations that are under way; how many attempts they have is known all the same.
            count = count.min(search.share(number));
            first_attempt = i64::try_from(search.first_attempt(number)).ok();
        }
        let count = args.n.unwrap_or(if generation == 0 { search.share(0) } else { count });
        let target = (search.target > 0.0).then_some(search.target);
        let settings = StopSettings {
            attempts: search.attempts,
            target,
            patience: search.patience,
            evaluations: search.evaluations,
            tokens: search.tokens,
            spent_tokens,
        };
        let migrants = (search.migration_rate * search.archive_size as f64).ceil() as usize;
        Ok(Self {
            run: args
                .run
                .clone()
                .unwrap_or_else(|| format!("{}-{}-seed{}", search.method, config.task.algorithm, search.seed)),
            method: method(&search.method)?,
            seed_program: seed_program(config)?,
            further_seeds: further_seeds(config)?,
            seed: search.seed,
            generation,
            first_attempt,
            lag: schemas::count(search.lag),
            islands: IslandSettings { count: search.islands, migration_interval: search.migration_interval, migrants },
            sampling: SamplingSettings { exploration: search.exploration, exploitation: search.exploitation },
            context: match search.context {
                Told::Island => generation::Context::Island,
                Told::Run => generation::Context::Run,
            },
            diagnoses: config
                .propose
                .diagnosis
                .then(|| models::diagnoses(args, population.last_generation()))
                .transpose()?,
            constants: constants(config),
            count,
            stop: if args.n.is_some() { None } else { stop::stop(population, &settings) },
        })
    }

    /// The factors that a router may choose among.
    pub fn factors(&self) -> Vec<schemas::Factor> {
        search::proposer::factors(&self.seed_program)
    }

    /// The same with at least one attempt beside the seed program, whether or not any is left.
    pub fn for_a_trial(self) -> Self {
        Self { count: self.count.max(2 + self.further_seeds.len()), ..self }
    }

    /// What the rows are made from.
    pub fn provenance(&self, args: &Args, config: &Config) -> anyhow::Result<Provenance> {
        let parents: Vec<String> = args.parents.iter().filter(|input| *input != "-").cloned().collect();
        // A number that was given by hand is not a share of the run's proposals.
        let generation = u32::try_from(self.generation).ok().filter(|_| args.n.is_none());
        Ok(Provenance {
            proposals: generation.map(|generation| config.search.share(generation)),
            seed_program: Some(table::digest_of_text(self.seed_program.as_bytes())),
            ..Provenance::new(schemas::Stage::Propose, config, &parents)?
        })
    }

    /// The same for the search library.
    pub fn generation(&self) -> generation::Plan<'_> {
        generation::Plan {
            run: &self.run,
            method: self.method,
            seed_program: &self.seed_program,
            further_seeds: &self.further_seeds,
            seed: self.seed,
            generation: self.generation,
            count: self.count,
            first_attempt: self.first_attempt,
            lag: self.lag,
            islands: self.islands,
            sampling: self.sampling,
            context: self.context,
            diagnoses: self.diagnoses.as_ref(),
            constants: self.constants,
        }
    }

    /// The last line of progress.
    pub fn outcome(&self, made: &Made) -> String {
        let notes: Vec<String> =
            [made.spent.clone(), made.ended.as_ref().map(|reason| format!("ended early: {reason}"))]
                .into_iter()
                .flatten()
                .collect();
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
        let programs = made.rows.candidates().filter(|row| !row.source.is_empty()).count();
        format!("generation {}: {programs} programs by {}{notes}", self.generation, self.method.name())
    }
}

/// A line about a row.
pub fn summary(row: &schemas::Candidate) -> String {
    let what = row.reason.as_deref().or(row.edit.as_deref()).unwrap_or("?");
    let factor = row.factor.as_ref().map_or("", |factor| factor.as_str());
    let id = if row.candidate_id.is_empty() { row.status.as_str() } else { &row.candidate_id };
    format!("{id} {factor} {what}")
}

fn method(name: &str) -> Result<&'static dyn Method, Usage> {
    methods::named(name).ok_or_else(|| {
        let known: Vec<&str> = methods::all().iter().map(|method| method.name()).collect();
        Usage(format!("there is no method `{name}`; known are {}", known.join(", ")))
    })
}

fn constants(config: &Config) -> Constants {
    let (evo, fun, eoh) = (&config.evoprompting, &config.funsearch, &config.eoh);
    Constants {
        evoprompting: evoprompting::Constants {
            parents: evo.parents,
            shots: evo.shots,
            threshold: evo.threshold,
            target_size: evo.target_size,
            target_accuracy: evo.target_accuracy,
        },
        funsearch: funsearch::Constants {
            temperature: fun.temperature,
            period: fun.period,
            versions: fun.versions,
            reset: schemas::count(fun.reset),
        },
        eoh: eoh::Constants { population: eoh.population, parents: eoh.parents },
    }
}

/// The seed program. The default one comes with the binary, so that `propose` works in any folder.
fn seed_program(config: &Config) -> anyhow::Result<String> {
    let path = &config.propose.program;
    if config.origin("propose.program") == Origin::Default && !std::path::Path::new(path).exists() {
        return Ok(search::SEED_PROGRAM.to_owned());
    }
    stage::files::read_text(path.as_ref()).with_context(|| format!("{path}: cannot read the seed program"))
}

/// The further programs that the search starts from.
fn further_seeds(config: &Config) -> anyhow::Result<Vec<Seed>> {
    let read = |path: &String| {
        let source = stage::files::read_text(path.as_ref())
            .with_context(|| format!("{path}: cannot read the seed program (search.seeds)"))?;
        Ok(Seed { id: program::candidate_id(&source), source })
    };
    config.search.seeds.iter().map(read).collect()
}
