//! Short commands that a queue is asked with.

use std::process::Command;
use std::time::Duration;

use crate::supervise::{self, End, Limits};

/// A command that has not answered until then is taken to hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a command printed.
///
/// # Errors
/// With its last words where it failed, could not be started, or did not answer.
pub fn ask(mut command: Command, input: &str) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    // A stage has these from the Make that started it, and a job must not take them for its own.
    for variable in ["MAKELEVEL", "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES"] {
        command.env_remove(variable);
    }
    let mut answer = String::new();
    let limits = Limits { time: Some(PATIENCE), leave: true, ..Limits::default() };
    let report = supervise::run(command, input.as_bytes().to_vec(), limits, &|| false, |line| {
        answer.push_str(line);
        answer.push('\n');
    });
    match report {
        Err(error) => Err(format!("{name}: {error}")),
        Ok(report) if report.end == End::Exited(0) => Ok(answer),
        Ok(report) if report.end == End::Timeout => Err(format!("{name}: no answer for {} s", PATIENCE.as_secs())),
        Ok(report) => {
            let words: Vec<&str> =
                report.stderr.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
            let words = words.join("; ");
            Err(if words.is_empty() { format!("{name}: failed ({:?})", report.end) } else { words })
        }
    }
}

/// A text as one word of a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &str) -> Result<String, String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        ask(command, input)
    }

    #[test]
    fn answers_and_last_words() {
        assert_eq!(shell("cat; echo b", "a\n").as_deref(), Ok("a\nb\n"));
        assert_eq!(shell("echo one >&2; echo two >&2; exit 1", "").expect_err("it failed"), "one; two");
        assert!(
            ask(Command::new("/no/such/program"), "").expect_err("there is none").starts_with("/no/such/program: ")
        );
    }

    #[test]
    fn what_a_command_leaves_running_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = folder.path().join("mark");
        let line =
            format!("{{ sleep 0.3; echo x > {}; }} > /dev/null 2>&1 & echo sent", quoted(&mark.display().to_string()));
        assert_eq!(shell(&line, "").as_deref(), Ok("sent\n"));
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while !mark.exists() {
            assert!(std::time::Instant::now() < end, "the job was killed with the command that sent it");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn whatever_is_quoted_stays_as_it_is() {
        for text in ["a b", "it's", "$HOME `x` \"y\" \\", "'", ""] {
            assert_eq!(
                shell(&format!("printf %s {}", quoted(text)), "").unwrap_or_default().trim_end_matches('\n'),
                text
            );
        }
    }
}
