//! Exit codes, the same for every stage: 0 done, 1 failed, 2 wrong usage.

use std::io::{self, Write};
use std::process::ExitCode;

/// A mistake in how the program was called or configured, as opposed to a failure of its work: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The work was done and its answer is no (`check` on a program with errors): exit code 1 without a message.
#[derive(Debug, thiserror::Error)]
#[error("negative result")]
pub struct Negative;

/// Runs a stage and turns its result into an exit code and at most one message on stderr.
///
/// A reader that closes its end of a pipe early (`check - | head`) has got what it wanted: success, without a word. What
/// Make has started ends with Make, see [`crate::ancestors`].
pub fn main(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    crate::ancestors::watch();
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
    let _ = writeln!(io::stderr(), "{name}: error: {error:#}");
    let usage = error.is::<Usage>() || error.is::<crate::ConfigError>();
    ExitCode::from(if usage { 2 } else { 1 })
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes a text to stdout. In contrast to `print!`, a closed pipe is an error that [`main`] understands, not a panic.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
