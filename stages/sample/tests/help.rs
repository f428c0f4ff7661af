//! The help is the manual: a change of it is seen in review. `UPDATE=1 cargo test -p sample --test help` rewrites it.

use std::path::Path;
use std::process::Command;

#[test]
fn help() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_sample")).arg("--help").env("COLUMNS", "120").output().expect("it starts");
    assert!(output.status.success());
    let help = String::from_utf8_lossy(&output.stdout);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, help.as_bytes()).expect("written");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), help);
}
