//! What people read of a hostile program cannot steer their terminal, and its marks stay in their columns.

use std::fs;

use std::process::Command;

const HOSTILE: &str = "import torch\nx = '\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\u{200b}\u{2028}error' + undefined_name  # \u{1b}[2K\u{85}\n";

fn check(arguments: &[&str], folder: &std::path::Path) -> (String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_check")).current_dir(folder).args(arguments).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (text(out.stdout), text(out.stderr))
}

fn tame(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !stage::terminal::steers(c))
}

#[test]
fn programs_and_file_names_cannot_steer_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "evil\u{1b}[31m\nname: accepted\u{202e}.py";
    fs::write(folder.path().join(name), HOSTILE).expect("written");
    for flags in [&["--format", "text"][..], &["--explain"]] {
        let (out, err) = check(&[&[name][..], flags].concat(), folder.path());
        assert!(tame(&out) && tame(&err), "{out:?} {err:?}");
        assert!(out.contains(r"evil\u{1b}[31m\nname: accepted\u{202e}.py"), "{out}");
        assert!(!out.lines().any(|line| line.starts_with("name: accepted")), "{out}");
    }
}

#[test]
fn excerpts_keep_their_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    // The same program, with what steers and with plain characters in its place.
    let plain: String =
        HOSTILE.chars().map(|c| if c != '\n' && stage::terminal::steers(c) { '?' } else { c }).collect();
    let marks = |source: &str| {
        fs::write(folder.path().join("a.py"), source).expect("written");
        let (out, _) = check(&["a.py", "--format", "text"], folder.path());
        let marks: Vec<String> = out.lines().filter(|line| line.contains('^')).map(str::to_owned).collect();
        assert!(!marks.is_empty(), "{out}");
        marks
    };
    assert_eq!(marks(HOSTILE), marks(&plain));
}

#[test]
fn messages_cannot_steer_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, err) = check(&["none\u{1b}[31m\ncheck: error: all is well\u{9b}.py"], folder.path());
    assert!(tame(&err) && err.lines().filter(|line| line.starts_with("check: error")).count() == 1, "{err:?}");
    let (_, err) = check(&["--no\u{1b}[31m\u{202e}such"], folder.path());
    assert!(tame(&err) && err.contains("such"), "{err:?}");
    fs::write(folder.path().join("c.toml"), "[\"a\u{1b}[31m\u{202e}\"]\nx = 1\n").expect("written");
    let (_, err) = check(&["--config", "c.toml", "x.py"], folder.path());
    assert!(tame(&err) && err.contains("c.toml"), "{err:?}");
    fs::write(folder.path().join("t.jsonl"), "{\"a\": \u{1b}}\n").expect("written");
    let (_, err) = check(&["t.jsonl"], folder.path());
    assert!(tame(&err) && err.contains("t.jsonl: line 1"), "{err:?}");
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_are_an_error_and_no_panic() {
    use std::os::unix::ffi::OsStrExt;
    let bad = std::ffi::OsStr::from_bytes(b"a\xff.py");
    let out = Command::new(env!("CARGO_BIN_EXE_check")).arg(bad).output().expect("it runs");
    assert_eq!(out.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&out.stderr).contains("panicked"));
}
