//! The summary that `--json` prints.

use schemas::Candidate;
use serde_json::{Value, json};

use crate::analysis::{evaluations, factors, losses, rates};
use crate::run::Run;

/// One object per run; fractions in [0, 1]; null where there is nothing to say.
pub fn summary(runs: &[Run]) -> Value {
    json!({ "runs": runs.iter().map(one).collect::<Vec<_>>() })
}

fn one(run: &Run) -> Value {
    let list = evaluations(run);
    let end = rates(run).last().copied();
    let statuses: serde_json::Map<String, Value> = schemas::Status::ALL
        .iter()
        .map(|status| (status.to_string(), json!(run.rows().iter().filter(|row| row.status == *status).count())))
        .filter(|(_, n)| *n != json!(0))
        .collect();
    json!({
        "run": run.name,
        "method": run.method,
        "proposers": run.proposers,
        "task": run.task,
        "seed": run.seed,
        "attempts": run.proposals().count(),
        "evaluated": list.iter().filter(|e| e.number > 0).count(),
        "evaluated_to_best": list.iter().rev().find(|e| e.improves).map(|e| e.number),
        "executable_rate": end.and_then(|r| r.executable),
        "admitted_rate": end.and_then(|r| r.admitted),
        "entanglement_rate": end.and_then(|r| r.entangled),
        "statuses": statuses,
        "confirmation": run.confirmation,
        "best": run.winner().map(candidate),
        "seed_program": run.seed_program().map(candidate),
        "factors": factors([run]).iter().map(|c| json!({
            "factor": c.name, "proposed": c.proposed, "valid": c.valid, "entangled": c.entangled, "evaluated": c.evaluated,
            "scored": c.scored, "improved": c.improved,
        })).collect::<Vec<_>>(),
        "losses": losses(run).iter().map(|l| json!({
            "stage": l.stage, "category": l.category, "code": l.code, "count": l.count,
        })).collect::<Vec<_>>(),
        "models": models(run),
        "remarks": run.remarks,
    })
}

/// What language models took; null without any.
fn models(run: &Run) -> Option<Value> {
    let spent = || run.effort.models.values();
    let tokens = run.effort.tokens()?;
    Some(json!({
        "names": crate::page::model_names(run),
        "calls": spent().map(|attempt| attempt.calls).sum::<usize>(),
        "tokens": tokens,
        "cost": spent().map(|attempt| attempt.cost).sum::<f64>(),
        "seconds": spent().map(|attempt| attempt.seconds).sum::<f64>(),
    }))
}

fn candidate(row: &Candidate) -> Value {
    json!({
        "candidate_id": row.candidate_id,
        "attempt": row.attempt,
        "fitness": row.fitness,
        "fitness_sd": row.fitness_sd,
        "trainings": row.trainings,
        "ood_acc": row.ood_acc,
        "ood_acc_std": row.ood_acc_std,
        "seeds": row.ood_acc_seeds.as_ref().map(Vec::len),
        "test_acc": row.test_acc,
        "test_acc_std": row.test_acc_std,
        "params": row.params,
        "macs": row.macs,
    })
}
