//! Which programs to train: files, winners of runs, and the reference.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use schemas::Candidate;
use stage::config::Config;
use stage::table::{self, Format};
use stage::{Row, Usage};
use train::{Program, prepare};

/// The programs, compiled, and which of them is the reference. The reference comes first; equal graphs come once.
pub fn programs(inputs: &[String], files: &[PathBuf], config: &Config) -> Result<(Vec<Program>, Option<usize>)> {
    let mut rows: Vec<(String, Row)> = Vec::new();
    let reference = Some(config.transfer.reference.as_str()).filter(|path| !path.is_empty());
    if let Some(path) = reference {
        rows.push(file(Path::new(path)).context("the reference (transfer.reference)")?);
    }
    for path in files {
        rows.push(file(path)?);
    }
    for path in table::expand(inputs)? {
        rows.push(match Format::of(&path)? {
            Format::Program => file(&path)?,
            _ => winner(&path)?,
        });
    }
    if rows.is_empty() {
        return Err(Usage("no program to train: name tables, .py files or --program".into()).into());
    }
    let (names, rows): (Vec<String>, Vec<Row>) = rows.into_iter().unzip();
    let mut programs: Vec<Program> = Vec::new();
    for (name, prepared) in names.into_iter().zip(prepare(&rows, config, |_| true)?) {
        let program = match prepared {
            Some(Ok(program)) => program,
            Some(Err(row)) => bail!("{name}: {}", row.reason.as_deref().unwrap_or("the program does not compile")),
            None => continue,
        };
        let same = |known: &Program| known.graph_hash == program.graph_hash && known.params == program.params;
        if !programs.iter().any(same) {
            let taken = programs.iter().any(|known| known.label == name);
            let id: String = program.candidate.candidate_id.chars().take(8).collect();
            programs.push(Program { label: if taken { format!("{name} {id}") } else { name }, ..program });
        }
    }
    Ok((programs, reference.map(|_| 0)))
}

fn file(path: &Path) -> Result<(String, Row)> {
    // Literally this file, even where its name looks like a pattern or lacks the extension.
    let source = stage::files::read_text(path).with_context(|| format!("{}: cannot read", path.display()))?;
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let candidate =
        Candidate { proposer: "file".into(), method: "-".into(), run: "-".into(), source, ..Candidate::default() };
    Ok((name, candidate.into()))
}

/// The winner of a run: the candidate that its confirmation chose; without one, the row with the largest fitness, the first
/// of equals.
fn winner(path: &Path) -> Result<(String, Row)> {
    let chosen = stage::confirmation::beside(path)?.and_then(|confirmation| confirmation.winner);
    let table = table::read(&[path.display().to_string()])?;
    let mut best: Option<Row> = None;
    for row in table.rows {
        let Some(fitness) = row.candidate.fitness else { continue };
        if chosen.as_ref().is_some_and(|winner| winner.candidate_id == row.candidate.candidate_id) {
            best = Some(row);
            break;
        }
        if best.as_ref().and_then(|best| best.candidate.fitness).is_none_or(|most| fitness > most) {
            best = Some(row);
        }
    }
    let best = best.with_context(|| format!("{}: no row has a fitness, so there is no winner", path.display()))?;
    let candidate = Candidate { proposer: "file".into(), status: Default::default(), ..best.candidate };
    Ok((candidate.run.clone(), candidate.into()))
}

#[cfg(test)]
mod tests {
    use race::confirm::{Confirmation, Reported};
    use schemas::Status;
    use stage::Table;

    use super::*;

    #[test]
    fn the_confirmed_candidate_wins_before_the_fittest() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("archive.parquet");
        let row = |id: &str, fitness| {
            Row::from(Candidate {
                run: "r".into(),
                candidate_id: id.into(),
                status: Status::Scored,
                fitness: Some(fitness),
                ..Candidate::default()
            })
        };
        let table: Table = [row("a", 0.5), row("b", 0.9), row("c", 0.9)].into_iter().collect();
        table::write(&table, &archive).unwrap();
        let id = || winner(&archive).unwrap().1.candidate.candidate_id;
        assert_eq!(id(), "b", "nothing is confirmed: the fittest, the first of equals");
        let reported =
            |id: &str| Reported { candidate_id: id.into(), edit: None, ood_acc: vec![0.6], test_acc: vec![0.6] };
        let confirmation = Confirmation {
            archive: table::digest(&archive).unwrap(),
            winner: Some(reported("a")),
            ..Confirmation::default()
        };
        std::fs::write(folder.path().join("confirm.json"), serde_json::to_string(&confirmation).unwrap()).unwrap();
        assert_eq!(id(), "a");
    }
}
