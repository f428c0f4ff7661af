//! What Python 3.11 computed with pieces of code, which the evaluator has to find, too: each piece asserts it.

use std::fs;
use std::path::Path;

use program::{Options, compile, render};

#[test]
fn python_values_are_those_of_python() {
    let seed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/seed_pgn.py")).unwrap();
    let (head, rest) = seed.split_once("import torch\n").unwrap();
    let head = format!(
        "{head}import collections\nimport copy\nimport functools\nimport itertools\nimport math\nimport operator\n\n"
    );
    let begin = "# ===== BEGIN ACTION REGION =====\n";
    let (before, after) = rest.split_once(begin).unwrap();
    let mut wrong = Vec::new();
    let pieces: Vec<&str> = include_str!("python/values.txt").split("---\n").collect();
    assert!(pieces.len() > 350);
    for piece in &pieces {
        let indented: String = piece.lines().map(|line| format!("        {line}\n")).collect();
        let source = format!("{head}import torch\n{before}{begin}{indented}{after}");
        let compiled = compile(&source, &Options { hidden: 16, ..Options::default() });
        if compiled.diagnostics.iter().any(|found| found.is_error()) {
            wrong.push(format!("{piece}\n{}", render(&source, "x.py", &compiled.diagnostics, false)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), pieces.len(), wrong.join("\n"));
}
