//! Notes the commit that the programs are built from: in the environment variable EMBERLINE_COMMIT, else in the repository.
//!
//! Builds for development do not have it: every commit would compile most of the workspace again. They ask the repository
//! when they are asked.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=EMBERLINE_COMMIT");
    let given = std::env::var("EMBERLINE_COMMIT").ok().filter(|commit| !commit.trim().is_empty());
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = given.or_else(|| if release { head() } else { None });
    println!("cargo:rustc-env=EMBERLINE_BUILT_FROM={}", commit.unwrap_or_default().trim());
}

/// The commit that is checked out, and that cargo looks again when another one is.
fn head() -> Option<String> {
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in [Some("HEAD".to_owned()), branch, Some("packed-refs".to_owned())].into_iter().flatten() {
        if let Some(path) = git(&["rev-parse", "--git-path", &name]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
