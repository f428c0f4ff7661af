//! The help is the manual: a change of it is seen in review. `UPDATE=1 cargo test --workspace --test help` rewrites it.

use tests::{root, stage};

#[test]
fn the_help_is_as_it_was_reviewed() {
    for name in ["check", "confirm", "sample", "score", "train", "transfer"] {
        let output = stage(name).arg("--help").env("COLUMNS", "120").output().expect("it starts");
        assert!(output.status.success(), "{name}");
        let help = String::from_utf8_lossy(&output.stdout);
        let path = root().join("stages").join(name).join("tests/help.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, help.as_bytes()).expect("written");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), help, "{name}");
    }
}
