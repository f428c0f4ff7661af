//! Exit codes, the same for every stage: 0 done, 1 failed, 2 wrong usage, 3 not all there yet.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

pub use crate::system::leave;
use crate::{manual, terminal};

/// A mistake in how the program was called or configured, as opposed to a failure of its work: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The work was done and its answer is no (`check` on a program with errors): exit code 1 without a message.
#[derive(Debug, thiserror::Error)]
#[error("negative result")]
pub struct Negative;

/// The arguments as typed. As clap's own `parse`, but what a message repeats of them cannot steer the terminal.
pub fn parse<A: clap::Parser>() -> A {
    if let Some(what) = manual::asked() {
        let code = match manual::generate(A::command(), &what).and_then(|text| print_raw(&text)) {
            Ok(()) => 0,
            Err(error) => {
                note(&format!("error: {error:#}"));
                2
            }
        };
        std::process::exit(code);
    }
    A::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        // Nothing sensible is left to do when stderr is gone, too.
        let _ = writeln!(io::stderr(), "{}", terminal::block(error.render().to_string().trim_end()));
        std::process::exit(error.exit_code())
    })
}

/// A panic is a bug, and its message may repeat text from outside.
fn tame_panics() {
    std::panic::set_hook(Box::new(|info| {
        let trace = std::backtrace::Backtrace::capture();
        let mut text = info.to_string();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            text += &format!("\n{trace}");
        }
        let _ = writeln!(io::stderr(), "{}", terminal::message(&text));
    }));
}

/// Runs a stage and turns its result into an exit code and at most one message on stderr.
///
/// A reader that closes its end of a pipe early (`check - | head`) has got what it wanted: success, without a word. What
/// Make has started ends with Make, see [`crate::ancestors`].
pub fn main(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    crate::ancestors::watch();
    alone(name, run)
}

/// As [`main`], for what does not end with Make.
pub fn alone(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    tame_panics();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(name, &error),
    }
}

fn report(name: &str, error: &anyhow::Error) -> ExitCode {
    if error.chain().any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    if error.is::<Negative>() {
        return ExitCode::from(1);
    }
    // Nothing sensible is left to do when stderr is gone, too.
    let _ = writeln!(io::stderr(), "{name}: error: {}", terminal::message(&format!("{error:#}")));
    let usage = error.is::<Usage>() || error.is::<crate::ConfigError>();
    let later = error.is::<crate::job::Missing>() || error.is::<crate::job::Unfinished>();
    ExitCode::from(match (usage, later) {
        (true, _) => 2,
        (_, true) => 3,
        _ => 1,
    })
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes data to stdout: as it is into files and pipes, and so that it cannot steer anything onto a terminal.
///
/// In contrast to `print!`, a closed pipe is an error that [`main`] understands, not a panic.
pub fn print(text: &str) -> anyhow::Result<()> {
    if io::stdout().is_terminal() { say(text) } else { print_raw(text) }
}

/// Writes a text for people to stdout; nothing in it can steer a terminal, now or when a file of it is shown later.
pub fn say(text: &str) -> anyhow::Result<()> {
    print_raw(&terminal::block(text))
}

/// Writes a text to stdout that is escaped already, and may hold colours of our own.
pub fn print_raw(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes a line for people to stderr. One that cannot be written is no reason to stop.
pub fn note(text: &str) {
    drop(writeln!(io::stderr(), "{}", terminal::message(text)));
}
