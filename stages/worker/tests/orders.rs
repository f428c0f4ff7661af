//! What the worker takes orders from, and that nobody else is loaded with libtorch for it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn worker() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_worker"))
}

fn asked(words: &[&str], input: &str) -> Output {
    let mut command = Command::new(worker());
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // It may have ended without reading.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

#[test]
fn people_and_other_builds_are_refused() {
    for words in [&[] as &[&str], &["--help"], &["train", "more"], &["device"]] {
        let output = asked(words, "");
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("for train, score, transfer and confirm"),
            "{words:?}"
        );
    }
    let nonsense = asked(&["train"], "{}");
    assert_eq!(nonsense.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nonsense.stdout).contains("for the supervisor's use only"));
    let place = r#"{"folder": "/nowhere", "lasting": "/nowhere", "spent": 0.0}"#;
    let other = format!(r#"{{"version": "0.1.0", "code": "0", "place": {place}, "job": {{}}}}"#);
    for kind in ["train", "together", "score"] {
        let output = asked(&[kind], &other);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stdout).contains("of another build"), "{output:?}");
    }
}

#[test]
fn devices_are_told_and_one_that_is_not_there_is_explained() {
    let said = |setting: &str| String::from_utf8_lossy(&asked(&["device", setting], "").stdout).into_owned();
    assert_eq!(said("cpu"), "{\"found\":\"cpu\"}\n");
    assert!(said("auto").starts_with("{\"found\":\""), "{}", said("auto"));
    assert!(said("cuda:999").contains("\"failed\":\"device cuda:999 cannot be used"), "{}", said("cuda:999"));
    assert!(said("gpu").contains("`gpu` is not a device"));
}
