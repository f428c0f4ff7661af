//! The winner's program.

use std::path::Path;

use anyhow::Context;
use race::Confirmation;
use schemas::Candidate;
use search::population::{Population, fitness};

/// The candidate that the confirmation chose; without one the best by fitness.
pub fn of<'a>(population: &Population<'a>, confirmation: Option<&Confirmation>) -> anyhow::Result<&'a Candidate> {
    let chosen = confirmation.and_then(|confirmation| population.find(&confirmation.winner.as_ref()?.candidate_id));
    let best = chosen.filter(|row| fitness(row).is_some()).or_else(|| population.best());
    best.context("no candidate has a score: there is no best one")
}

/// Checks that the program can be written there, before the work is done.
pub fn check(path: &Path) -> anyhow::Result<()> {
    Ok(stage::table::check_file(path)?)
}

/// Writes the program as it is, so that `check`, `train` and any Python read it. `-` is stdout.
pub fn write(winner: &Candidate, path: &Path) -> anyhow::Result<()> {
    if path == Path::new("-") {
        return stage::exit::print(&winner.source);
    }
    stage::atomic::write(path, |out| Ok(out.write_all(winner.source.as_bytes())?))
}

#[cfg(test)]
mod tests {
    use race::confirm::Reported;
    use schemas::Status;

    use super::*;

    #[test]
    fn the_winner_is_the_confirmed_one_else_the_best() {
        let row = |slot: i64, fitness: f64| Candidate {
            slot,
            candidate_id: format!("c{slot}"),
            status: Status::Scored,
            fitness: Some(fitness),
            ..Candidate::default()
        };
        let rows = [row(0, 0.5), row(1, 0.7), row(2, 0.6)];
        let population = Population::new(&rows);
        let chosen = |id: &str| {
            let winner = Reported { candidate_id: id.into(), edit: None, ood_acc: vec![], test_acc: vec![] };
            Confirmation { winner: Some(winner), ..Confirmation::default() }
        };
        let slot = |confirmation: Option<&Confirmation>| of(&population, confirmation).map(|row| row.slot).ok();
        assert_eq!(slot(None), Some(1));
        assert_eq!(slot(Some(&chosen("c2"))), Some(2));
        assert_eq!(slot(Some(&chosen("unknown"))), Some(1));
        assert_eq!(slot(Some(&Confirmation::default())), Some(1));
        assert!(of(&Population::new(&[]), None).is_err());
    }
}
