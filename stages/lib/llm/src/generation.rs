//! A generation of proposals by language models: its attempts side by side, its rows in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use schemas::{Candidate, Status};
use search::generation::{Generation, attempted};
use search::proposer::Proposer;
use serde::Serialize;

use crate::agents::critic::LABEL;
use crate::error::{CallError, excerpt};
use crate::session::{Made, Shared};
use crate::transcript::Place;

/// The columns of a row that only language models fill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Columns {
    /// Hash of all prompt templates.
    pub prompt_hash: String,
    /// The model that was asked to write.
    pub llm_model: String,
    /// Calls that this row took; those before the first try count with it.
    pub llm_calls: i64,
    /// Tokens of all prompts.
    pub prompt_tokens: i64,
    /// With the reasoning.
    pub completion_tokens: i64,
    /// The part of the completion that was reasoning; none where the server does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<i64>,
    /// The part of the prompt that the server had cached; none where it does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<i64>,
    /// The server did not count the tokens of all calls: some are guesses.
    pub tokens_estimated: bool,
    /// In the currency of the price table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_cost: Option<f64>,
    /// Why the factor was chosen; for a fallback, what was wrong with the router's last reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor_reason: Option<String>,
    /// The router gave no choice: the factor was drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor_fallback: Option<bool>,
}

/// One try at a program.
#[derive(Clone, Debug)]
pub struct ProposedRow {
    /// The row, before any check.
    pub candidate: Candidate,
    /// None for the seed program, which nobody wrote.
    pub columns: Option<Columns>,
}

/// Makes all attempts of a generation. Each gives at least one row, and one more for each repair round. Only what a model has
/// answered is an attempt: a service that is away, a wrong key and a spent budget end the stage without a row.
///
/// `identify` gives the `candidate_id` of a program; `on_row` hears of the last row of each
/// attempt when it is made, in any order.
///
/// # Errors
/// What ends the stage. What was answered is recorded: the same call goes on from there.
pub fn propose(
    generation: &Generation<'_>,
    shared: &Arc<Shared>,
    identify: &(dyn Fn(&str) -> String + Sync),
    on_row: &(dyn Fn(&Candidate) + Sync),
) -> Result<Vec<ProposedRow>, CallError> {
    let slots: Vec<i64> = generation.slots().collect();
    let jobs = if shared.chat.side_by_side() { shared.settings.llm.jobs.min(slots.len()) } else { 1 };
    let stop = AtomicBool::new(false);
    let made = stage::pool::run(&slots, jobs, &stop, |_, &slot| {
        let made = attempt(generation, slot, shared, identify);
        match &made {
            Ok(rows) => rows.last().into_iter().for_each(|last| on_row(&last.candidate)),
            Err(_) => stop.store(true, Ordering::SeqCst),
        }
        made
    });
    // What was never begun is behind the error that ended the stage.
    let made: Result<Vec<Vec<ProposedRow>>, CallError> = made.into_iter().flatten().collect();
    Ok(made?.into_iter().flatten().collect())
}

fn attempt(
    generation: &Generation<'_>,
    slot: i64,
    shared: &Arc<Shared>,
    identify: &(dyn Fn(&str) -> String + Sync),
) -> Result<Vec<ProposedRow>, CallError> {
    let blank = generation.blank(slot, PROPOSER);
    let session = shared.session(Place { generation: blank.generation, slot, attempt: blank.attempt, call: 0 });
    if let Some(candidate) = generation.seed_row(slot, session.name()) {
        return Ok(vec![ProposedRow { candidate, columns: None }]);
    }
    let attempt = generation.attempt(slot, 0, &session);
    let row = attempted(blank, &attempt);
    let label = attempt.directive.map(|directive| directive.label).filter(|label| !label.is_empty());
    let made = session.finish(attempt.draft.err().map(|error| error.to_string()))?;
    Ok(made.into_iter().map(|made| fill(row.clone(), label.as_deref(), made, shared, identify)).collect())
}

/// What wrote the rows. A replay gives back what the models wrote, so that its rows are theirs.
pub(crate) const PROPOSER: &str = "openai";

fn fill(
    row: Candidate,
    label: Option<&str>,
    made: Made,
    shared: &Shared,
    identify: &(dyn Fn(&str) -> String + Sync),
) -> ProposedRow {
    let usage = made.taken.usage;
    let columns = Columns {
        prompt_hash: shared.prompts.hash().to_owned(),
        llm_model: made.model,
        llm_calls: made.calls,
        prompt_tokens: schemas::count(usage.prompt_tokens),
        completion_tokens: schemas::count(usage.completion_tokens),
        reasoning_tokens: usage.reasoning_tokens.map(schemas::count),
        cached_tokens: usage.cached_tokens.map(schemas::count),
        tokens_estimated: usage.estimated,
        llm_cost: made.taken.cost,
        factor_reason: made.routed.as_ref().map(|routed| routed.reason.clone()),
        factor_fallback: made.routed.as_ref().map(|routed| routed.fallback),
    };
    let row = match made.prepared {
        Some((source, factor)) => {
            Candidate { parent_id: Some(identify(&source)), parent_source: Some(source), factor: Some(factor), ..row }
        }
        None => row,
    };
    let candidate = Candidate {
        repair_round: Some(made.repair_round),
        phase: made.phase,
        candidate_id: made.source.as_deref().map(identify).unwrap_or_default(),
        status: if made.source.is_some() { Status::Proposed } else { Status::Failed },
        source: made.source.unwrap_or_default(),
        edit: label.map(str::to_owned).or(made.idea.map(|idea| excerpt(&idea, 2 * LABEL))),
        reason: made.failure,
        llm_seconds: Some(made.taken.latency_ms as f64 / 1000.0),
        ..row
    };
    ProposedRow { candidate, columns: Some(columns) }
}
