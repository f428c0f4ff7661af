//! Which programs these are: version, and the commit that they were built from.

use std::process::Command;
use std::sync::OnceLock;

/// The commit that the programs were built from, in 12 digits. Builds for development do not note it: of these it is the
/// one that is checked out in their sources now. `None` outside of a repository.
pub fn commit() -> Option<&'static str> {
    static COMMIT: OnceLock<Option<String>> = OnceLock::new();
    let found = COMMIT.get_or_init(|| match env!("EMBERLINE_BUILT_FROM") {
        "" if cfg!(debug_assertions) => checked_out(),
        "" => None,
        noted => Some(noted.to_owned()),
    });
    found.as_deref()
}

fn checked_out() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short=12", "HEAD"]);
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// What `--version` prints behind the program's name.
pub fn version() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        // A caller that does not ask is not kept waiting.
        if !std::env::args_os().skip(1).any(|word| word == "--version" || word == "-V") {
            return crate::VERSION.to_owned();
        }
        let build = if cfg!(debug_assertions) { ", debug build" } else { "" };
        format!("{} (commit {}{build})", crate::VERSION, commit().unwrap_or("unknown"))
    })
}
