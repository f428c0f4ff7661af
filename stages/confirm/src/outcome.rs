//! From an archive to the gain that can be quoted.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use race::confirm::{AsSelected, Confirmation, Reported, choose, gain};
use race::seeds;
use schemas::{Candidate, ConfirmedRow, Status};
use search::population::{Population, better, fitness};
use stage::config::{Config, Fitness, Seeds};
use stage::{Common, Row, Table, Usage};
use train::{Program, Supervisor};

use crate::measure::{Phase, measure};

/// Chooses the winner among the leaders of an archive on fresh seeds, and measures its gain over the seed program on others.
/// Returns a row for each training, and what they come to.
///
/// # Errors
/// When the archive is not one of a single run, has no scored seed program, or a program in it is no longer understood;
/// when a seed that is asked for was used in the search; when trainings cannot be run.
pub fn confirm(
    archive: &Table,
    supervisor: &Supervisor<'_>,
    common: &Common,
) -> Result<(Vec<ConfirmedRow>, Confirmation)> {
    let config = supervisor.config;
    let runs: BTreeSet<&str> = archive.candidates().map(|row| row.run.as_str()).filter(|run| *run != "-").collect();
    if runs.len() > 1 {
        return Err(Usage("the input holds several runs: each is confirmed by itself".to_owned()).into());
    }
    let population = Population::new(archive.candidates());
    let founder = population.founders().filter_map(|index| population.get(index)).find(|row| fitness(row).is_some());
    let (choosing_seeds, report_seeds) = fresh(archive, config)?;
    let mut outcome = Confirmation {
        run: runs.first().map_or_else(String::new, |run| (*run).to_owned()),
        choosing_seeds,
        seeds: report_seeds,
        ..Confirmation::default()
    };
    let leaders = leaders(&population, config.confirm.top);
    outcome.candidates = leaders.iter().map(|row| row.candidate_id.clone()).collect();
    let Some(founder) = founder else {
        outcome.reason = Some("the seed program has no score to compare with".to_owned());
        return Ok((Vec::new(), outcome));
    };
    outcome.as_selected = leaders.first().and_then(|best| as_selected(best, founder, config));
    if leaders.is_empty() {
        outcome.reason = Some("no candidate was scored".to_owned());
        return Ok((Vec::new(), outcome));
    }
    let programs = programs(leaders.iter().chain([&founder]).copied(), config)?;
    let Some((founder, leaders)) = programs.split_last() else { bail!("there is no program to confirm") };

    let choices: Vec<&Program> = leaders.iter().collect();
    // A single one is chosen already.
    let mut rows = match choices.len() {
        1 => Vec::new(),
        _ => measure(&choices, &outcome.choosing_seeds, Phase::Choose, supervisor, common)?,
    };
    let by_candidate: Vec<Vec<f64>> = rows
        .chunks(outcome.choosing_seeds.len().max(1))
        .map(|rows| measured(rows, config).unwrap_or_default())
        .collect();
    let chosen = match choices.len() {
        1 => Some(0),
        _ => choose(&by_candidate.iter().map(Vec::as_slice).collect::<Vec<_>>()),
    };
    let Some(winner) = chosen.and_then(|index| leaders.get(index)) else {
        outcome.reason = Some("no leader of the search could be trained again on fresh seeds".to_owned());
        return Ok((rows, outcome));
    };
    let reported = measure(&[winner, founder], &outcome.seeds, Phase::Report, supervisor, common)?;
    let (of_winner, of_founder) = reported.split_at(outcome.seeds.len());
    outcome.winner = Some(report(winner, of_winner));
    outcome.seed_program = Some(report(founder, of_founder));
    match (measured(of_winner, config), measured(of_founder, config)) {
        (Some(winner), Some(founder)) => outcome.gain = gain(&winner, &founder),
        _ => {
            let failed = reported.iter().find(|row| row.status != Status::Scored);
            outcome.reason = failed.map(|row| {
                let reason = row.reason.as_deref().unwrap_or("no reason is known");
                format!("training seed {} of {} ended with {}: {reason}", row.train_seed, row.candidate_id, row.status)
            });
        }
    }
    let tests = |rows: &[ConfirmedRow]| rows.iter().map(|row| row.test_acc).collect::<Option<Vec<f64>>>();
    outcome.test_gain = tests(of_winner).zip(tests(of_founder)).and_then(|(winner, founder)| gain(&winner, &founder));
    rows.extend(reported);
    Ok((rows, outcome))
}

/// Seeds that no training of the search had: those that the winner is chosen on, and those that are reported.
fn fresh(archive: &Table, config: &Config) -> Result<(Vec<u64>, Vec<u64>)> {
    let used = archive.candidates().flat_map(|row| row.train_seeds.iter().flatten());
    let mut taken: Vec<u64> = used.filter_map(|&seed| u64::try_from(seed).ok()).collect();
    let run = config.search.seed;
    let report = match &config.confirm.seeds {
        Seeds::Count(count) => seeds::confirmation(run, "report", *count, &taken),
        Seeds::List(list) => {
            if let Some(seed) = list.iter().find(|seed| taken.contains(seed)) {
                let message = format!("confirm.seeds: seed {seed} trained a candidate of the search, and is not fresh");
                return Err(Usage(message).into());
            }
            list.clone()
        }
    };
    taken.extend(&report);
    Ok((seeds::confirmation(run, "choose", config.confirm.choosing, &taken), report))
}

/// The best candidates, the seed program apart; of equal graphs the first.
fn leaders<'a>(population: &Population<'a>, count: usize) -> Vec<&'a Candidate> {
    let scored = population.scored().filter_map(|index| population.get(index));
    let mut ranked: Vec<&Candidate> = scored.filter(|row| row.parent_id.is_some()).collect();
    ranked.sort_by(|a, b| better(a, b));
    let mut seen = BTreeSet::new();
    ranked.retain(|row| seen.insert(row.graph_hash.as_deref().unwrap_or(&row.candidate_id)));
    ranked.truncate(count);
    ranked
}

/// What the search said of its best candidate.
fn as_selected(best: &Candidate, founder: &Candidate, config: &Config) -> Option<AsSelected> {
    let mean = |row: &Candidate| match config.score.fitness {
        Fitness::Ood => row.ood_acc,
        Fitness::Test => row.test_acc,
    };
    Some(AsSelected {
        candidate_id: best.candidate_id.clone(),
        measured: mean(best)? - mean(founder)?,
        shrunk: fitness(best)? - fitness(founder)?,
    })
}

/// The programs of rows of the archive, compiled.
fn programs<'a>(rows: impl Iterator<Item = &'a Candidate>, config: &Config) -> Result<Vec<Program>> {
    let rows: Vec<Row> = rows.cloned().map(Row::from).collect();
    let prepared = train::prepare(&rows, config, |_| true)?;
    let programs = rows.iter().zip(prepared).map(|(row, program)| {
        let id = &row.candidate.candidate_id;
        match program.with_context(|| format!("candidate {id} was not looked at"))? {
            Ok(program) => Ok(program),
            Err(row) => bail!("candidate {id} cannot be trained again: {}", row.reason.unwrap_or_default()),
        }
    });
    programs.collect()
}

/// The accuracies that fitness is made of; `None` where a training has none.
fn measured(rows: &[ConfirmedRow], config: &Config) -> Option<Vec<f64>> {
    let score = |row: &ConfirmedRow| match config.score.fitness {
        Fitness::Ood => row.ood_acc,
        Fitness::Test => row.test_acc,
    };
    rows.iter().map(score).collect()
}

fn report(program: &Program, rows: &[ConfirmedRow]) -> Reported {
    Reported {
        candidate_id: program.candidate.candidate_id.clone(),
        edit: program.candidate.edit.clone(),
        ood_acc: rows.iter().filter_map(|row| row.ood_acc).collect(),
        test_acc: rows.iter().filter_map(|row| row.test_acc).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(slot: i64, fitness: f64, seeds: &[i64]) -> Candidate {
        Candidate {
            slot,
            candidate_id: format!("c{slot}"),
            parent_id: (slot > 0).then(|| "c0".to_owned()),
            status: Status::Scored,
            fitness: Some(fitness),
            ood_acc: Some(fitness + 0.05),
            train_seeds: Some(seeds.to_vec()),
            ..Candidate::default()
        }
    }

    fn config(sets: &[&str]) -> Config {
        Config::load(None, &sets.iter().map(|set| (*set).to_owned()).collect::<Vec<_>>(), &[]).expect("valid")
    }

    #[test]
    fn leaders_are_the_best_different_ones_without_the_seed_program() {
        let mut rows = vec![row(0, 0.9, &[]), row(1, 0.5, &[]), row(2, 0.7, &[]), row(3, 0.6, &[]), row(4, 0.8, &[])];
        rows[2].graph_hash = Some("same".to_owned());
        rows[4].graph_hash = Some("same".to_owned());
        let population = Population::new(&rows);
        let ids = |count| leaders(&population, count).iter().map(|row| row.slot).collect::<Vec<_>>();
        assert_eq!((ids(2), ids(9)), (vec![4, 3], vec![4, 3, 1]));
    }

    #[test]
    fn seeds_are_fresh_and_those_of_the_search_are_refused() {
        let archive: Table = [Row::from(row(0, 0.5, &[100, 7]))].into_iter().collect();
        let (choosing, report) = fresh(&archive, &config(&["confirm.seeds=8", "confirm.choosing=4"])).expect("seeds");
        assert_eq!((choosing.len(), report.len()), (4, 8));
        assert!(choosing.iter().all(|seed| !report.contains(seed)), "{choosing:?} {report:?}");
        let used: Table = [Row::from(row(0, 0.5, &[report[0] as i64]))].into_iter().collect();
        let (_, other) = fresh(&used, &config(&["confirm.seeds=8"])).expect("seeds");
        assert_eq!(other[..7], report[1..], "a seed of the search is passed over");
        let error = fresh(&archive, &config(&["confirm.seeds=[1, 100]"])).expect_err("100 was used");
        assert!(error.is::<Usage>() && error.to_string().contains("seed 100"), "{error}");
        assert_eq!(fresh(&archive, &config(&["confirm.seeds=[1, 2]"])).expect("fresh").1, [1, 2]);
    }

    #[test]
    fn what_the_search_said_is_both_as_measured_and_shrunk() {
        let best = Candidate { ood_acc: Some(0.9), test_acc: Some(0.4), ..row(1, 0.7, &[]) };
        let founder = Candidate { test_acc: Some(0.5), ..row(0, 0.6, &[]) };
        let said = as_selected(&best, &founder, &config(&[])).expect("both are scored");
        assert!((said.measured - 0.25).abs() < 1e-12 && (said.shrunk - 0.1).abs() < 1e-12, "{said:?}");
        let said = as_selected(&best, &founder, &config(&["score.fitness=test"])).expect("both are scored");
        assert!((said.measured + 0.1).abs() < 1e-12, "{said:?}");
    }
}
