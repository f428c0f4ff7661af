//! The tables that lie beside those of candidates: learning curves, diagnoses.

use std::path::{Path, PathBuf};

use anyhow::Result;

/// The side tables among what was given: tables and patterns as they are; of a run's folder `gen*/NAME.parquet`, up to the
/// generation `last`. What later generations have by now depends on the time of day.
///
/// # Errors
/// When a pattern is malformed, or matches nothing.
pub fn side_tables(given: &[String], name: &str, last: i64) -> Result<Vec<PathBuf>> {
    let mut tables = Vec::new();
    for given in given {
        if !Path::new(given).is_dir() {
            tables.extend(super::expand(std::slice::from_ref(given))?);
            continue;
        }
        let pattern = Path::new(&glob::Pattern::escape(given)).join(format!("gen*/{name}.parquet"));
        for table in glob::glob(&pattern.to_string_lossy())? {
            let table = table?;
            if generation_of(&table).is_none_or(|generation| generation <= last) {
                tables.push(table);
            }
        }
    }
    Ok(tables)
}

/// The number in `genNNN/name.parquet`.
fn generation_of(table: &Path) -> Option<i64> {
    table.parent()?.file_name()?.to_str()?.strip_prefix("gen")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_folder_has_those_of_its_generations_up_to_one() {
        let run = tempfile::tempdir().expect("a folder");
        for generation in ["gen000", "gen001", "gen002"] {
            let folder = run.path().join(generation);
            std::fs::create_dir(&folder).expect("made");
            for table in ["curves.parquet", "curves1.parquet", "diagnosis.parquet"] {
                std::fs::write(folder.join(table), "").expect("written");
            }
        }
        let folder = run.path().display().to_string();
        let found = side_tables(std::slice::from_ref(&folder), "curves", 1).expect("found");
        assert_eq!(found, ["gen000", "gen001"].map(|generation| run.path().join(generation).join("curves.parquet")));
        let one = format!("{folder}/gen002/diagnosis.parquet");
        assert_eq!(side_tables(std::slice::from_ref(&one), "curves", 0).expect("found"), [PathBuf::from(one)]);
        assert!(side_tables(&[format!("{folder}/none*.parquet")], "curves", 0).is_err());
    }
}
