//! What a confirmation came to, as it lies beside an archive.

use std::path::Path;

use anyhow::{Context, Result};
use race::Confirmation;

use crate::files;
use crate::table;

/// Its file.
pub const FILE: &str = "confirm.json";

/// The confirmation in the archive's folder. `None` where there is none, and where it is of another archive: of a search
/// that went on since.
///
/// # Errors
/// When a file cannot be read, or was not written by us.
pub fn beside(archive: &Path) -> Result<Option<Confirmation>> {
    let path = archive.with_file_name(FILE);
    if archive == Path::new("-") || !path.is_file() {
        return Ok(None);
    }
    let text = files::read_text(&path).with_context(|| path.display().to_string())?;
    let found: Confirmation =
        serde_json::from_str(&text).with_context(|| format!("{}: this is no confirmation", path.display()))?;
    Ok((found.archive == table::digest(archive)?).then_some(found))
}

#[cfg(test)]
mod tests {
    use schemas::Candidate;

    use super::*;
    use crate::{Row, Table};

    #[test]
    fn a_confirmation_belongs_to_its_archive_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let archive = folder.path().join("archive.parquet");
        let rows =
            |attempt| -> Table { [Row::from(Candidate { attempt, ..Candidate::default() })].into_iter().collect() };
        table::write(&rows(0), &archive).expect("written");
        assert_eq!(beside(&archive).expect("nothing is there"), None);
        let digest = table::digest(&archive).expect("a table");
        let confirmation = Confirmation { archive: digest, run: "a".into(), ..Confirmation::default() };
        let text = serde_json::to_string(&confirmation).expect("JSON");
        std::fs::write(folder.path().join(FILE), text).expect("written");
        assert_eq!(beside(&archive).expect("read"), Some(confirmation));
        table::write(&rows(1), &archive).expect("written");
        assert_eq!(beside(&archive).expect("read"), None);
        std::fs::write(folder.path().join(FILE), "[]").expect("written");
        assert!(beside(&archive).is_err_and(|error| format!("{error:#}").contains("no confirmation")));
    }
}
