//! The few calls of the system that have no safe form: all of `unsafe` outside of the executor.

#![expect(unsafe_code, reason = "each block says why it is sound")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Has the kernel kill the child when the thread that starts it dies: that thread waits for the child, so only its
/// process's death can end it before.
pub fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: prctl, getppid and _exit are async-signal-safe and touch no memory of ours.
        unsafe {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the line above.
            if libc::getppid() as u32 != parent {
                libc::_exit(1);
            }
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec and does nothing but system calls.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Ignores a signal.
pub fn ignore(signal: i32) {
    // SAFETY: it only sets what a signal does; SIG_IGN runs no code of ours.
    unsafe {
        libc::signal(signal, libc::SIG_IGN);
    }
}

/// Ends this process as this signal does where nobody handles it: so whoever waits for us sees what it was.
pub fn end_by(signal: i32) -> ! {
    // SAFETY: system calls without memory of ours; the default of such a signal is to end the process.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
    std::process::exit(1)
}

/// Ends this process at once, without what libraries do when a program ends: libtorch takes an eighth of a second to take
/// its tables of operators apart, for each of the many workers of a search. Whatever was written is written; nothing may
/// wait in a buffer.
pub fn leave(code: u8) -> ! {
    // SAFETY: a system call without memory of ours, which does not return.
    unsafe { libc::_exit(i32::from(code)) }
}
