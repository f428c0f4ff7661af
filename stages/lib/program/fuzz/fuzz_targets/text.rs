//! Any bytes: no panic, no hang, and a processor exactly where nothing is wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use program_fuzz::check;

fuzz_target!(|bytes: &[u8]| check(&String::from_utf8_lossy(bytes)));
