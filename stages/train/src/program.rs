//! Programs on their way to training: compiled, and named by their graph.

use std::sync::atomic::AtomicBool;

use check::Rules;
use schemas::{Candidate, Status};
use stage::config::Config;
use stage::{Row, pool};

/// A program that can be trained.
#[derive(Clone, Debug)]
pub struct Program {
    /// For the progress display.
    pub label: String,
    pub source: String,
    pub graph_hash: String,
    /// Names and shapes of its parameters, in order.
    pub params: Vec<(String, Vec<usize>)>,
    /// Its row, checked.
    pub candidate: Candidate,
}

/// Whether a row is a program that was given as a file, and nobody has looked at yet.
pub fn by_hand(candidate: &Candidate) -> bool {
    candidate.status == Status::Proposed && candidate.proposer == "file"
}

/// Compiles the rows that are `due`, checking those given by hand. `None` for all others; `Err` with the row as it leaves
/// the stage for those that turn out not to compile.
pub fn prepare(
    rows: &[Row],
    config: &Config,
    due: impl Fn(&Candidate) -> bool + Sync,
) -> Vec<Option<Result<Program, Box<Candidate>>>> {
    let rules = Rules::new(config);
    let go = AtomicBool::new(false);
    let prepared = pool::run_within(rows, pool::cores(), &go, check::with_room, |_, row| {
        due(&row.candidate).then(|| compile(&row.candidate, &rules))
    });
    prepared.into_iter().map(Option::flatten).collect()
}

fn compile(candidate: &Candidate, rules: &Rules) -> Result<Program, Box<Candidate>> {
    let by_hand = by_hand(candidate);
    let mut rules = rules.clone();
    // Nobody is going to edit it here: it may do without the markers of its editable regions.
    rules.options.need_regions = false;
    // What is known of the edit is known since it was checked.
    rules.compare = by_hand;
    let inspection = check::inspect(candidate, &rules);
    let checked = inspection.candidate;
    let Some(processor) = inspection.compiled.and_then(|compiled| compiled.processor) else {
        // A row that `check` has accepted and that is none was tampered with, or checked with other settings.
        let status = if by_hand { Status::Rejected } else { Status::Failed };
        return Err(Box::new(Candidate { status, fitness: None, ..checked }));
    };
    let params = processor.graph.params.iter().map(|param| (param.name.clone(), param.shape.clone())).collect();
    let graph_hash = checked.graph_hash.clone().unwrap_or_default();
    // Columns of a row that has been checked are what that check found, perhaps by other settings of cost.
    let row = if by_hand { checked } else { candidate.clone() };
    let label = match &row.edit {
        Some(name) if by_hand => name.clone(),
        _ => row.candidate_id.chars().take(12).collect(),
    };
    Ok(Program { label, source: candidate.source.clone(), graph_hash, params, candidate: row })
}

/// The network around a program, as it is built and as it is run, with what each costs; the reason where there is none.
pub fn explain(source: &str, config: &Config) -> Result<String, String> {
    let options = program::Options { need_regions: false, ..Rules::new(config).options };
    let compiled = program::compile(source, &options);
    let Some(processor) = &compiled.processor else {
        return Err(program::render(source, "program", &compiled.diagnostics, false));
    };
    network::explain(processor, &config.task.algorithm, config.network.nb_msg_passing_steps)
        .map_err(|error| error.to_string())
}
