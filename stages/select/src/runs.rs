//! The runs of the input, each for itself: what was found under different settings is never put together.

use std::path::Path;

use anyhow::Result;
use race::Confirmation;
use schemas::Candidate;
use stage::runs::{Difference, Run, differences};
use stage::table::{self, Table};
use stage::{Usage, confirmation};

/// The rows of one run in one file.
pub struct Part {
    pub run: Run,
    pub rows: Table,
    pub confirmation: Option<Confirmation>,
}

/// Reads the inputs and takes them apart.
pub fn read(inputs: &[String]) -> Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    for path in table::expand(inputs)? {
        let rows = table::read(&[path.display().to_string()])?;
        let mut of_file = split(rows, &path);
        if let [only] = of_file.as_mut_slice() {
            // What lies beside an archive of several runs belongs to none of them.
            only.confirmation = confirmation::beside(&path)?;
        }
        for mut part in of_file {
            // A copy of a run has its name: the folder tells them apart.
            if parts.iter().any(|other| other.run.name == part.run.name) {
                part.run.name = format!("{} ({})", part.run.name, path.display());
            }
            parts.push(part);
        }
    }
    Ok(parts)
}

/// Takes a file's rows apart by the run that they name.
fn split(rows: Table, path: &Path) -> Vec<Part> {
    let mut names: Vec<String> = Vec::new();
    let mut tables: Vec<Table> = Vec::new();
    for row in rows.rows {
        let at = names.iter().position(|name| *name == row.candidate.run).unwrap_or_else(|| {
            names.push(row.candidate.run.clone());
            tables.push(Table::default());
            names.len() - 1
        });
        if let Some(table) = tables.get_mut(at) {
            table.rows.push(row);
        }
    }
    let part = |(name, rows): (String, Table)| {
        let run = Run::new(&name, digests(rows.candidates()).first().copied(), path);
        Part { run, rows, confirmation: None }
    };
    if names.is_empty() {
        vec![part((String::new(), Table::default()))]
    } else {
        names.into_iter().zip(tables).map(part).collect()
    }
}

/// What scored rows say of the settings that they were made with, each once. Rows without a score have nothing to compare.
fn digests<'a>(rows: impl Iterator<Item = &'a Candidate>) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for row in rows.filter(|row| row.fitness.is_some()) {
        if let Some(digest) = row.settings_digest.as_deref().filter(|digest| !found.contains(digest)) {
            found.push(digest);
        }
    }
    found
}

/// In what the settings of these runs differ, those of rows within one of them too.
pub fn differing(parts: &[Part]) -> Vec<Difference> {
    let mut runs: Vec<Run> = parts.iter().map(|part| part.run.clone()).collect();
    for part in parts {
        let further = digests(part.rows.candidates()).into_iter().skip(1);
        runs.extend(further.map(|digest| Run { settings_digest: Some(digest.to_owned()), ..part.run.clone() }));
    }
    differences(&runs)
}

/// Differences as lines.
pub fn lines(differences: &[Difference]) -> String {
    differences.iter().map(|difference| format!("  {difference}\n")).collect()
}

/// Checks that the scored rows of two tables can be compared.
pub fn comparable(tables: [&Table; 2]) -> Result<()> {
    let name = ["the archive", "the input"];
    let run = |(table, name): (&Table, &str)| {
        let digests = digests(table.candidates());
        digests.first().map(|digest| Run { name: name.into(), settings_digest: Some((*digest).into()), settings: None })
    };
    refuse(&differences(&tables.into_iter().zip(name).filter_map(run).collect::<Vec<_>>()))
}

fn refuse(differences: &[Difference]) -> Result<()> {
    if differences.is_empty() {
        return Ok(());
    }
    let lines = lines(differences);
    let text = format!("the tables were made with different settings, so that their scores do not compare:\n{lines}");
    Err(Usage(text.trim_end().to_owned()).into())
}

/// One table of all rows.
///
/// # Errors
/// When they were made with different settings.
pub fn together(parts: Vec<Part>) -> Result<Table> {
    refuse(&differing(&parts))?;
    Ok(parts.into_iter().flat_map(|part| part.rows.rows).collect())
}

#[cfg(test)]
mod tests {
    use stage::Row;

    use super::*;

    fn row(run: &str, digest: Option<&str>, fitness: Option<f64>) -> Row {
        Row::from(Candidate {
            run: run.into(),
            settings_digest: digest.map(str::to_owned),
            fitness,
            ..Candidate::default()
        })
    }

    fn parts(rows: Vec<Row>) -> Vec<Part> {
        split(Table { rows }, Path::new("-"))
    }

    #[test]
    fn runs_are_taken_apart_and_settings_are_not_mixed() {
        let alike =
            parts(vec![row("a", Some("1"), Some(0.5)), row("b", Some("1"), Some(0.5)), row("a", None, Some(0.1))]);
        assert_eq!(
            alike.iter().map(|part| (part.run.name.as_str(), part.rows.rows.len())).collect::<Vec<_>>(),
            [("a", 2), ("b", 1)]
        );
        assert_eq!(together(alike).unwrap().rows.len(), 3);
        // What was rejected before anybody trained it may say something else.
        assert!(together(parts(vec![row("a", Some("1"), Some(0.5)), row("a", Some("2"), None)])).is_ok());
        for mixed in [
            parts(vec![row("a", Some("1"), Some(0.5)), row("b", Some("2"), Some(0.5))]),
            parts(vec![row("a", Some("1"), Some(0.5)), row("a", Some("2"), Some(0.5))]),
        ] {
            let error = together(mixed).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains("settings_digest: 1 in a; 2 in"), "{error}");
        }
    }
}
