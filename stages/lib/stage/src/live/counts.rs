//! How far a run has come, by its tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use race::Confirmation;
use schemas::{Candidate, Status, Verdict};

use crate::{Config, files, table};

/// What the tables of a run tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// The generation at work, from 0, that of the seed program.
    pub generation: u32,
    /// The last generation that there will be.
    pub generations: u32,
    /// Proposals so far.
    pub attempts: usize,
    /// Proposals in all.
    pub of: usize,
    /// How many proposals `check` admitted.
    pub valid: usize,
    /// How many proposals have a score.
    pub scored: usize,
    /// Candidates without a score, by what became of them.
    pub lost: BTreeMap<String, usize>,
    /// Best accuracy out of distribution, by the fitness.
    pub best: Option<f64>,
    /// Accuracy of the seed program; `None` where it has no score.
    pub seed: Option<f64>,
    /// What the confirmation came to, in a sentence.
    pub confirmed: Option<String>,
    /// Rounds of racing that this generation has begun.
    pub rounds: usize,
    /// Proposals by generation.
    pub by_generation: BTreeMap<u32, usize>,
}

impl Counts {
    /// The counts of a run with these settings. What cannot be read counts as not there.
    pub fn read(folder: &Path, config: &Config) -> Self {
        let generation = generations(folder).last().copied().unwrap_or_default();
        let mut counts = Self {
            generation,
            generations: config.search.last_generation(),
            of: config.search.attempts,
            rounds: (1..=config.train.races())
                .take_while(|round| table_of(folder, generation, &format!("trained{round}")).is_file())
                .count(),
            ..Self::default()
        };
        let mut rows = match generation.checked_sub(1) {
            Some(before) => rows(&table_of(folder, before, "archive")).unwrap_or_default(),
            None => Vec::new(),
        };
        match rows_of_archive(folder, generation) {
            Some(all) => rows = all,
            None => rows.extend(latest(folder, generation, config.train.races())),
        }
        counts.add(&rows);
        counts.confirmed = confirmed(folder);
        counts
    }

    /// What rows tell up to the end of a generation, given none of later ones.
    pub fn of(rows: &[Candidate], generation: u32, config: &Config) -> Self {
        let generations = config.search.last_generation();
        let mut counts = Self { generation, generations, of: config.search.attempts, ..Self::default() };
        counts.add(rows);
        counts
    }

    fn add(&mut self, rows: &[Candidate]) {
        let is_seed = |row: &&Candidate| row.parent_id.is_none() && row.factor.is_none();
        self.seed = rows.iter().find(is_seed).and_then(|row| row.ood_acc);
        let best = rows.iter().filter(|row| row.fitness.is_some()).max_by(|a, b| {
            let fitness = |row: &Candidate| row.fitness.unwrap_or(f64::NEG_INFINITY);
            fitness(a).total_cmp(&fitness(b)).then(b.attempt.cmp(&a.attempt))
        });
        self.best = best.and_then(|row| row.ood_acc);
        // Tries of one attempt are one proposal: the last of them counts.
        let mut last: BTreeMap<i64, &Candidate> = BTreeMap::new();
        for row in rows.iter().filter(|row| !is_seed(row)) {
            last.insert(row.attempt, row);
        }
        self.attempts = last.len();
        for row in last.values() {
            *self.by_generation.entry(u32::try_from(row.generation).unwrap_or_default()).or_default() += 1;
            self.valid += usize::from(row.verdict.is_some_and(|verdict| verdict != Verdict::Reject));
            match row.status {
                Status::Scored => self.scored += 1,
                Status::Proposed | Status::Accepted | Status::Trained => {}
                status => *self.lost.entry(status.to_string()).or_default() += 1,
            }
        }
    }
}

fn table_of(folder: &Path, generation: u32, name: &str) -> PathBuf {
    folder.join(format!("gen{generation:03}/{name}.parquet"))
}

/// The generations that have begun, in order.
fn generations(folder: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.strip_prefix("gen")?.parse().ok();
    let mut found: Vec<u32> = entries.filter_map(number).collect();
    found.sort_unstable();
    found
}

fn rows(path: &Path) -> Option<Vec<Candidate>> {
    let records = path.is_file().then(|| table::read_records::<Candidate>(path).ok()).flatten()?;
    Some(records.rows.into_iter().map(|(row, _)| row).collect())
}

fn rows_of_archive(folder: &Path, generation: u32) -> Option<Vec<Candidate>> {
    rows(&table_of(folder, generation, "archive"))
}

/// The rows of a generation, by the stage that came last.
fn latest(folder: &Path, generation: u32, races: usize) -> Vec<Candidate> {
    let rounds = (1..=races).rev().flat_map(|round| [format!("scored{round}"), format!("trained{round}")]);
    let stages = ["scored", "trained", "checked", "proposed"].map(str::to_owned);
    rounds.chain(stages).find_map(|name| rows(&table_of(folder, generation, &name))).unwrap_or_default()
}

/// What is confirmed of the archive that is there.
fn confirmed(folder: &Path) -> Option<String> {
    let archive = folder.join("archive.parquet");
    if archive.is_file() {
        return crate::confirmation::beside(&archive).ok().flatten().map(|found| short(&found));
    }
    let text = files::read_text(&folder.join(crate::confirmation::FILE)).ok()?;
    serde_json::from_str::<Confirmation>(&text).ok().map(|found| short(&found))
}

fn short(found: &Confirmation) -> String {
    match found.gain {
        Some(gain) if gain.confirmed() => format!("{:+.1} points", 100.0 * gain.mean),
        Some(gain) => format!("none ({:+.1} points, interval with 0)", 100.0 * gain.mean),
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Row, Table};

    fn row(attempt: i64, generation: i64, status: Status, ood: Option<f64>) -> Candidate {
        Candidate {
            attempt,
            generation,
            status,
            candidate_id: format!("c{attempt}"),
            parent_id: (attempt > 0).then(|| "c0".into()),
            verdict: Some(if status == Status::Rejected { Verdict::Reject } else { Verdict::Accept }),
            ood_acc: ood,
            fitness: ood,
            ..Candidate::default()
        }
    }

    #[test]
    fn tables_tell_how_far_a_run_has_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config::default();
        let nothing = Counts::read(folder.path(), &config);
        assert_eq!((nothing.attempts, nothing.best), (0, None));
        let write = |generation: u32, name: &str, rows: Vec<Candidate>| {
            let path = table_of(folder.path(), generation, name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            table::write(&rows.into_iter().map(Row::from).collect::<Table>(), &path).expect("written");
        };
        let seed = || row(0, 0, Status::Scored, Some(0.25));
        write(0, "archive", vec![seed()]);
        write(1, "proposed", vec![row(1, 1, Status::Proposed, None)]);
        write(1, "checked", vec![row(1, 1, Status::Accepted, None), row(2, 1, Status::Rejected, None)]);
        let counts = Counts::read(folder.path(), &config);
        assert_eq!((counts.generation, counts.attempts, counts.valid, counts.scored), (1, 2, 1, 0));
        assert_eq!(counts.lost, BTreeMap::from([("rejected".into(), 1)]));
        assert_eq!((counts.seed, counts.best), (Some(0.25), Some(0.25)));
        write(1, "archive", vec![seed(), row(1, 1, Status::Scored, Some(0.5)), row(2, 1, Status::Rejected, None)]);
        let counts = Counts::read(folder.path(), &config);
        assert_eq!((counts.scored, counts.best, counts.of), (1, Some(0.5), config.search.attempts));
        // A table that is broken, or half written by something else, is as if it were not there.
        std::fs::write(table_of(folder.path(), 1, "archive"), "PAR1").expect("written");
        assert_eq!(Counts::read(folder.path(), &config).scored, 0);
    }
}
