//! Programs trained and scored on fresh seeds, each training on graphs of its own.

use anyhow::Result;
use schemas::{ConfirmedRow, Status};
use stage::Common;
use stage::job::{Outcome, Work};
use train::{Job, Measured, Program, Supervisor, WEIGHTS};

/// What fresh trainings are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// To choose the winner.
    Choose,
    /// To be reported.
    Report,
}

impl Phase {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Choose => "choose",
            Self::Report => "report",
        }
    }
}

/// A row for each program and seed, in that order.
pub fn measure(
    programs: &[&Program],
    seeds: &[u64],
    phase: Phase,
    supervisor: &Supervisor<'_>,
    common: &Common,
) -> Result<Vec<ConfirmedRow>> {
    let config = supervisor.config;
    let task = config.task.algorithm.as_str();
    let pairs = || programs.iter().flat_map(|program| seeds.iter().map(move |&seed| (*program, seed)));
    let settings: Vec<_> = seeds.iter().map(|&seed| train::settings(config, task, seed)).collect();
    let of = |program: &&Program| train::works(program, &settings, &config.train, &supervisor.device);
    let works: Vec<Work<Job>> = programs.iter().flat_map(of).collect();
    let trained = supervisor.trainings(&works, &format!("confirm: {}", phase.name()), common)?;
    let mut rows = Vec::new();
    let (mut evaluations, mut evaluated) = (Vec::new(), Vec::new());
    for ((program, seed), (work, outcome)) in pairs().zip(works.iter().zip(&trained)) {
        let graphs = race::seeds::fresh_graphs(seed);
        if let Outcome::Done { folder, .. } = outcome {
            let label = format!("{} {task} seed {seed}", program.label);
            let on = score::evaluations_on(config, task, graphs);
            evaluations.push(score::work(program, &folder.join(WEIGHTS), label, on, config, &supervisor.device)?);
            evaluated.push(rows.len());
        }
        rows.push(row(program, (seed, graphs), phase, &work.key, outcome, supervisor)?);
    }
    for (index, outcome) in evaluated.into_iter().zip(score::run(&evaluations, supervisor, common)?) {
        if let Some(row) = rows.get_mut(index) {
            fill(row, &outcome);
        }
    }
    Ok(rows)
}

/// The row of a training. `seeds`: of the training, and of its graphs.
fn row(
    program: &Program,
    seeds: (u64, u64),
    phase: Phase,
    key: &str,
    outcome: &Outcome<Measured>,
    supervisor: &Supervisor<'_>,
) -> Result<ConfirmedRow> {
    let candidate = &program.candidate;
    let mut row = ConfirmedRow {
        run: candidate.run.clone(),
        settings_digest: Some(supervisor.config.settings_digest()),
        phase: phase.name().to_owned(),
        candidate_id: candidate.candidate_id.clone(),
        seed_program: candidate.parent_id.is_none(),
        task: supervisor.config.task.algorithm.clone(),
        train_seed: i64::try_from(seeds.0)?,
        graph_seed: i64::try_from(seeds.1)?,
        status: Status::Accepted,
        reason: None,
        val_acc: None,
        train_loss: None,
        ood_acc: None,
        test_acc: None,
        weights: None,
    };
    match outcome {
        Outcome::Done { result, .. } => {
            row.status = Status::Trained;
            row.val_acc = Some(result.val_acc);
            row.train_loss = Some(result.loss);
            row.weights = Some(stage::cache::weights::name_of(key));
        }
        Outcome::Failed { status, reason, .. } => (row.status, row.reason) = (*status, Some(reason.clone())),
        Outcome::Interrupted => {}
    }
    Ok(row)
}

fn fill(row: &mut ConfirmedRow, outcome: &Outcome<score::Scored>) {
    match outcome {
        Outcome::Done { result, .. } => {
            (row.ood_acc, row.test_acc) = (result.scores.first().copied(), result.scores.get(1).copied());
            row.status = if row.test_acc.is_some() { Status::Scored } else { Status::Failed };
        }
        Outcome::Failed { status, reason, .. } => {
            (row.status, row.reason) = (*status, Some(format!("evaluation: {reason}")));
        }
        Outcome::Interrupted => {}
    }
}
