//! A stage of one's own between two of a search's: a command that makes a table of a table.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use schemas::Stage;
use stage::config::{Config, Settings};
use stage::table::{self, Provenance};
use stage::{Usage, exit};

use crate::args::AfterArgs;
use crate::open::CONFIG;

/// The command after a stage; nothing where there is none.
pub fn command(settings: &Settings, stage: Stage) -> &[String] {
    let stages = &settings.stages;
    match stage {
        Stage::Propose => &stages.after_propose,
        Stage::Check => &stages.after_check,
        Stage::Train => &stages.after_train,
        Stage::Score => &stages.after_score,
        _ => &[],
    }
}

/// A digest of the files that a command names, such as the script that it runs: an edited one is another stage. `None` of a
/// command that names none.
pub fn digest(command: &[String]) -> Option<String> {
    let texts: Vec<Vec<u8>> = command.iter().filter_map(|word| std::fs::read(word).ok()).collect();
    (!texts.is_empty()).then(|| table::digest_of_text(&texts.concat()))
}

/// Where a stage's own table lies that another one follows on.
fn before(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let file = path.file_name().map(OsString::from).unwrap_or_default();
    path.with_file_name("before").join(file).with_extension("parquet")
}

/// Runs the command on the table of a generation, and makes its output the table that the next stage reads.
///
/// # Errors
/// When the command fails, or leaves no table of candidates.
pub fn run(args: &AfterArgs) -> Result<()> {
    let config = Config::load(Some(&args.folder.join(CONFIG)), &[], &[])?;
    let words = command(&config, args.stage);
    let [program, arguments @ ..] = words else {
        return Err(Usage(format!("there is no stage after {} in this run", args.stage)).into());
    };
    let (input, output) = (before(&args.folder, &args.table), args.folder.join(format!("{}.parquet", args.table)));
    let scratch = tempfile::tempdir_in(output.parent().unwrap_or(Path::new(".")))?;
    let made = scratch.path().join("made.parquet");
    let status = Command::new(program).args(arguments).arg(&input).arg(&made).status();
    let shown = words.join(" ");
    let status = status.with_context(|| format!("{shown}: this stage of your own cannot be started"))?;
    if !status.success() {
        bail!("{shown}: this stage of your own failed ({status}); nothing was made of {}", input.display());
    }
    if !made.is_file() {
        bail!("{shown}: this stage of your own left no table: it is given the paths of its input and of its output");
    }
    let rows = table::read(&[made.display().to_string()]).with_context(|| format!("what {shown} has written"))?;
    let given = table::read(&[input.display().to_string()])?.rows.len();
    if rows.rows.len() != given {
        exit::note(&format!("run: {shown}: {} rows of {given} in {}", rows.rows.len(), output.display()));
    }
    // The table is up to date as long as what it was made from is, and the command.
    let origin = Provenance::read(&input)?.unwrap_or_default();
    table::write_from(&rows, &output, &Provenance { after: digest(words), ..origin })
}
