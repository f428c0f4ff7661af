//! Any bytes: no panic, no hang, and a processor exactly where nothing is wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use program::{Factor, Options, Verdict, candidate_id, compile, locality, render};

fuzz_target!(|bytes: &[u8]| {
    let source = String::from_utf8_lossy(bytes);
    let options = Options { hidden: 16, ..Options::default() };
    let compiled = compile(&source, &options);
    assert_eq!(compiled.processor.is_some(), compiled.verdict() != Verdict::Reject);
    assert!(compiled.diagnostics.iter().all(|d| d.code != "E-INTERNAL"));
    if let Some(processor) = &compiled.processor {
        assert!(processor.graph.validate().is_ok());
    }
    render(&source, "x.py", &compiled.diagnostics, false);
    candidate_id(&source);
    locality(&source, &source, Factor::Operator);
});
