//! Ctrl-C and `kill`: the first one asks to stop, the second one stops.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// The work was stopped by a signal.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; finished results are kept, and the same command goes on from there")]
pub struct Interrupted;

/// From here on SIGINT, SIGTERM and SIGHUP set the flag that is returned; a second one ends the process at once.
pub fn install() -> anyhow::Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(1);
        }
    })?;
    Ok(&STOP)
}
