//! Programs on their way to training: compiled, and named by their graph.

use std::sync::atomic::AtomicBool;

use check::{Inspection, Inspectors, Rules, Show};
use schemas::{Candidate, Status, Verdict};
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

/// A program, or its row as it leaves the stage when it turns out not to compile.
pub type Prepared = Result<Program, Box<Candidate>>;

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
) -> anyhow::Result<Vec<Option<Prepared>>> {
    let rules = rules(config);
    let inspectors = Inspectors::new(&rules)?;
    // What is known of the edit of the others is known since they were checked.
    let checked_before = Inspectors::new(&Rules { compare: false, ..rules })?;
    let go = AtomicBool::new(false);
    // Whoever trains or scores a row decides what its numbers are worth.
    let settings_digest = config.settings_digest();
    let prepared = pool::run(rows, pool::cores(), &go, |_, row| {
        let inspectors = if by_hand(&row.candidate) { &inspectors } else { &checked_before };
        due(&row.candidate).then(|| {
            let made_with = Some(settings_digest.clone());
            compile(&Candidate { settings_digest: made_with, ..row.candidate.clone() }, inspectors)
        })
    });
    prepared.into_iter().map(|one| one.flatten().transpose()).collect()
}

/// Nobody is going to edit the programs here: they may do without the markers of their editable regions.
fn rules(config: &Config) -> Rules {
    let mut rules = Rules::new(config);
    rules.options.need_regions = false;
    rules
}

fn compile(candidate: &Candidate, inspectors: &Inspectors) -> anyhow::Result<Prepared> {
    let by_hand = by_hand(candidate);
    let Inspection { candidate: checked, params, .. } = inspectors.inspect(candidate, None)?;
    // A program without regions is a warning at the most here, an edit that reaches too far is not.
    if checked.verdict == Some(Verdict::Reject) {
        // `check` has accepted this row, and it is not right: it was tampered with, or checked with other settings.
        let status = if by_hand { Status::Rejected } else { Status::Failed };
        return Ok(Err(Box::new(Candidate { status, fitness: None, ..checked })));
    }
    let graph_hash = checked.graph_hash.clone().unwrap_or_default();
    // Columns of a row that has been checked are what that check found, perhaps by other settings of cost.
    let row = if by_hand { checked } else { candidate.clone() };
    let label = match &row.edit {
        Some(name) if by_hand => name.clone(),
        _ => row.candidate_id.chars().take(12).collect(),
    };
    Ok(Ok(Program { label, source: candidate.source.clone(), graph_hash, params, candidate: row }))
}

/// The network around a program, as it is built and as it is run, with what each costs; the reason where there is none.
pub fn explain(source: &str, config: &Config) -> anyhow::Result<Result<String, String>> {
    let rules = rules(config);
    let candidate = Candidate { source: source.to_owned(), ..Candidate::default() };
    let inspection = Inspectors::new(&rules)?.inspect(&candidate, Some(&Show::plain("program")))?;
    if inspection.candidate.status == Status::Rejected {
        return Ok(Err(inspection.text));
    }
    let compiled = program::compile(source, &rules.options);
    let Some(processor) = &compiled.processor else { return Ok(Err(inspection.text)) };
    let network = model::explain::explain(processor, &config.task.algorithm, config.network.nb_msg_passing_steps);
    Ok(network.map_err(|error| error.to_string()))
}
