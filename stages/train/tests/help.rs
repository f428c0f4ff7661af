//! The help is the manual: a change of it is seen in review.

use std::process::Command;

#[test]
fn help() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_train")).arg("--help").env("COLUMNS", "120").output().expect("it starts");
    assert!(output.status.success());
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stdout));
}
