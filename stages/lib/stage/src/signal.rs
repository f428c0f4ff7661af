//! Ctrl-C and `kill`: the first one asks to stop, the second one stops.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{proc, system};

static STOP: AtomicBool = AtomicBool::new(false);

/// The work was stopped by a signal.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; finished results are kept, and the same command goes on from there")]
pub struct Interrupted;

/// From here on SIGINT, SIGTERM and SIGHUP set the flag that is returned; a second one ends the process at once. What is
/// ignored already stays so: `nohup` ignores SIGHUP, and a shell SIGINT for what it runs in the background.
pub fn install() -> anyhow::Result<&'static AtomicBool> {
    let ignored = proc::signals("self", "SigIgn").unwrap_or_default();
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(1);
        }
    })?;
    for signal in [libc::SIGINT, libc::SIGHUP].into_iter().filter(|&signal| ignored & proc::bit(signal) != 0) {
        // To what it was when this process began.
        system::ignore(signal);
    }
    Ok(&STOP)
}

pub use system::end_by;
