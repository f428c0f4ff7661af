//! What computes: the children of `train`, `score`, `transfer` and `confirm`.
//!
//! Those supervise, collect and wait, on a cluster for days, and many of them at once. None of them is linked against
//! libtorch, which takes more than a hundred megabytes from the moment that a process starts: this program is. It is not
//! for people, has no help, and takes orders from a program of the same build alone.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod common;
mod device;
mod evaluation;
mod training;

use stage::exit;
use train::worker;

fn main() {
    // Started by the number of an open file, it would be called by that in lists of processes.
    let _ = std::fs::write("/proc/self/comm", worker::NAME);
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let code = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [worker::TRAIN] => training::child(),
        [worker::TOGETHER] => training::children(),
        [worker::SCORE] => evaluation::child(),
        [worker::DEVICE, setting] => {
            let found = serde_json::json!(device::find(setting));
            if exit::say(&format!("{found}\n")).is_ok() { 0 } else { 1 }
        }
        _ => {
            exit::note("error: this program is for train, score, transfer and confirm to start, and not for people");
            2
        }
    };
    exit::leave(code);
}
