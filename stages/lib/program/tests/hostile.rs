//! Programs that are written to hurt: each is judged within limits of time and memory, and none ends the process.

mod limits;

use std::fs;
use std::path::{Path, PathBuf};

use limits::check_patiently;
use program::{Category, Factor, Verdict, locality};

fn seed() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/seed_pgn.py")).unwrap()
}

/// The seed program with `code` in `__init__` (of the operator region) or in `forward` (of the action region).
fn with(code: &str, in_init: bool) -> String {
    let marker = if in_init { "BEGIN OPERATOR REGION =====\n" } else { "BEGIN ACTION REGION =====\n" };
    let seed = seed();
    let at = seed.find(marker).unwrap() + marker.len();
    let indented: String = code.lines().map(|line| format!("        {line}\n")).collect();
    format!("{}{indented}{}", &seed[..at], &seed[at..])
}

/// Judges one piece of code in both places, and gives what was too dear or not noticed.
fn faults(code: &str, must_be_rejected: bool) -> Vec<String> {
    let mut found = Vec::new();
    for in_init in [true, false] {
        let source = with(code, in_init);
        let (compiled, cost) = check_patiently(&source);
        let codes: Vec<&str> = compiled.diagnostics.iter().map(|d| d.code()).collect();
        let place = if in_init { "__init__" } else { "forward" };
        let shown: String = code.chars().take(300).collect();
        if !cost.is_fine() {
            let (ms, mib) = (cost.time.as_millis(), cost.memory >> 20);
            found.push(format!("{ms} ms, {mib} MiB in {place}, {codes:?}:\n{shown}"));
        }
        if codes.contains(&"E-INTERNAL") {
            found.push(format!("the checker gave up in {place}: {:?}:\n{shown}", compiled.diagnostics));
        }
        if must_be_rejected && compiled.verdict() != Verdict::Reject {
            found.push(format!("accepted in {place}:\n{shown}"));
        }
        locality(&seed(), &source, if in_init { Factor::OPERATOR } else { Factor::ACTION });
    }
    found
}

/// Snippets of a file, set apart by lines of `---`.
fn snippets(text: &str) -> impl Iterator<Item = &str> {
    text.split("---\n").map(str::trim_end).filter(|s| !s.is_empty())
}

fn all_are_fine(text: &str, must_be_rejected: bool) {
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut found = Vec::new();
    for code in snippets(text).filter(|c| c.contains(&only)) {
        if std::env::var("SHOW").is_ok() {
            eprintln!("=== {code}");
        }
        found.extend(faults(code, must_be_rejected));
    }
    assert!(found.is_empty(), "{} faults:\n{}", found.len(), found.join("\n\n"));
}

#[test]
fn values_that_hold_themselves_are_refused() {
    all_are_fine(include_str!("hostile/cyclic.txt"), true);
}

#[test]
fn values_that_share_their_parts_are_graphs() {
    all_are_fine(include_str!("hostile/shared.txt"), true);
}

#[test]
fn work_in_one_statement_is_charged() {
    all_are_fine(include_str!("hostile/work.txt"), false);
}

#[test]
fn what_is_too_large_to_make_is_refused() {
    all_are_fine(include_str!("hostile/endless.txt"), true);
}

#[test]
fn texts_of_any_shape_are_read_quickly() {
    let many = |count: usize, line: &str| line.repeat(count);
    let texts = [
        many(20_000, "x.append(x)\n"),
        (0..12_000).map(|i| format!("x.a{i} = x.a{}\n", i + 1)).collect(),
        (0..12_000).map(|i| format!("getattr(x, n{i})\n")).collect(),
        (0..14_000).map(|i| format!("n{} = n{i}\n", i + 1)).collect::<String>() + "getattr(x, n14000)\n",
        many(30_000, "@f\n") + "def g(): pass\n",
        "if 1: pass\n".to_owned() + &many(15_000, "elif 1: pass\n"),
        "try: pass\n".to_owned() + &many(15_000, "except A: pass\n"),
        many(16_000, "class A: x = 1\n"),
        many(60_000, "x=1;"),
        "match x:\n".to_owned() + &many(15_000, "  case 1: pass\n"),
        many(1_700_000, "x = 1\n"),
        format!("x = [{}]", many(18_000, "'word',")),
        (0..3000).map(|i| format!("def f{i}(a, b=1, *c, **d):\n    return [a for a in b if c]\n")).collect(),
        (0..3000).map(|i| format!("import torch as t{i}\nt{i}.relu(x)\n")).collect(),
        many(1500, "def f():\n  torch = 1\n  class A:\n    global torch\n    torch.os\n"),
    ];
    for text in texts {
        let (compiled, cost) = check_patiently(&text);
        let shown: String = text.chars().take(60).collect();
        assert_eq!(compiled.verdict(), Verdict::Reject, "{shown}");
        assert!(cost.is_fine(), "{shown}: {cost:?}");
    }
}

#[test]
fn deep_values_are_dropped_without_a_deep_stack() {
    all_are_fine(include_str!("hostile/deep.txt"), false);
}

#[test]
fn the_known_attacks_are_rejected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/programs/hostile");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    assert_eq!(paths.len(), 7);
    for path in paths {
        let (compiled, cost) = check_patiently(&fs::read_to_string(&path).unwrap());
        assert_eq!(compiled.verdict(), Verdict::Reject, "{}", path.display());
        assert_eq!(compiled.diagnostics[0].category, Category::Budget, "{}", path.display());
        assert!(cost.is_fine(), "{}: {cost:?}", path.display());
    }
}
