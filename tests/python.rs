//! Python with packages from PyPI, for tests that compare with the real thing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{root, skip};

/// Names an interpreter that has what tests want: nothing is installed for those.
const GIVEN: &str = "EMBERLINE_PYTHON";
/// Says that packages of gigabytes may be installed, as `make test-full` does.
const INSTALL: &str = "EMBERLINE_INSTALL";

/// What the exported networks want: one environment for all tests of them.
pub const TORCH: [&[&str]; 1] = [&["torch==2.11.0", "safetensors", "numpy", "pyarrow", "duckdb"]];

/// An interpreter that has these modules: the one that `EMBERLINE_PYTHON` names, `python3`, or one in an environment of its own
/// below `target`, into which `packages` are installed once. Says what is skipped where there is none.
pub fn python(name: &str, modules: &[&str], packages: &[&str]) -> Option<PathBuf> {
    found(name, modules, &[packages], true)
}

/// The same for packages of gigabytes, or those that take minutes: they are installed by `make test-full` alone.
pub fn large_python(name: &str, modules: &[&str], packages: &[&[&str]]) -> Option<PathBuf> {
    found(name, modules, packages, std::env::var_os(INSTALL).is_some_and(|value| value == "yes"))
}

/// `packages`: for each call of pip, what it is given.
fn found(name: &str, modules: &[&str], packages: &[&[&str]], install: bool) -> Option<PathBuf> {
    let given = std::env::var_os(GIVEN).map(PathBuf::from);
    let folder = root().join("target/python").join(name);
    let own = folder.join("bin/python");
    let known: Vec<PathBuf> = given.into_iter().chain([PathBuf::from("python3")]).collect();
    if let Some(found) = known.into_iter().find(|python| has(python, modules)) {
        return Some(found);
    }
    // Another test may be at it: what is half installed is not asked.
    if (install || folder.exists()) && installed(&folder, packages, install) && has(&own, modules) {
        return Some(own);
    }
    let why = if install { "they could not be installed" } else { "only make test-full installs them" };
    skip(&format!("no Python with {}: {GIVEN} names none, python3 lacks them, and {why}", modules.join(", ")));
    None
}

fn has(python: &Path, modules: &[&str]) -> bool {
    let script = format!("from importlib.util import find_spec\nassert all(map(find_spec, {modules:?}))");
    let status = Command::new(python).args(["-c", &script]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Makes the environment where it is not there and `install` allows it; of several tests that want it, one does.
fn installed(folder: &Path, packages: &[&[&str]], install: bool) -> bool {
    let Some(parent) = folder.parent() else { return false };
    if std::fs::create_dir_all(parent).is_err() {
        return false;
    }
    let Ok(lock) = File::create(folder.with_extension("lock")) else { return false };
    if lock.lock().is_err() {
        return false;
    }
    let done = folder.join("installed");
    let wanted: String = packages.iter().map(|call| format!("{}\n", call.join(" "))).collect();
    if std::fs::read_to_string(&done).is_ok_and(|text| text == wanted) {
        return true;
    }
    if !install {
        return false;
    }
    let run = |program: &Path, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let _ = std::fs::remove_dir_all(folder);
    if !run(Path::new("python3"), &["-m", "venv", &folder.display().to_string()]) {
        return false;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    let call = |call: &&[&str]| run(&folder.join("bin/python"), &[&pip[..], call].concat());
    packages.iter().all(call) && std::fs::write(&done, wanted).is_ok()
}
