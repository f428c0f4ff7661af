//! No input makes the front end panic, hang or overflow its stack.

use std::fs;
use std::path::{Path, PathBuf};

use program::{Category, Compiled, Factor, Options, Verdict, candidate_id, compile, locality, render};
use proptest::prelude::*;

fn valid() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/programs/valid");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths.retain(|p| p.extension().is_some_and(|e| e == "py"));
    paths.iter().map(|p| fs::read_to_string(p).unwrap()).collect()
}

fn options() -> Options {
    Options { hidden: 16, ..Options::default() }
}

/// Compiles, and checks what holds for any input.
fn soundly(source: &str) -> Compiled {
    let compiled = compile(source, &options());
    assert_eq!(compiled.processor.is_some(), compiled.verdict() != Verdict::Reject);
    assert!(compiled.diagnostics.iter().all(|d| d.code() != "E-INTERNAL"), "{:?}", compiled.diagnostics);
    if let Some(p) = &compiled.processor {
        p.graph.validate().unwrap();
    }
    let text = render(source, "x.py", &compiled.diagnostics, false);
    assert_eq!(text.is_empty(), compiled.diagnostics.is_empty());
    compiled
}

#[test]
fn deep_nesting_is_refused() {
    let cases = [
        "(".repeat(100_000),
        "[".repeat(5_000) + &"]".repeat(5_000),
        "x = ".to_string() + &"-".repeat(200_000) + "1",
        "x = ".to_string() + &"not ".repeat(3_000) + "1",
        "x = ".to_string() + &"1 + ".repeat(1_900) + "1",
        "x = ".to_string() + &"a.".repeat(1_900) + "b",
        "x = a".to_string() + &"(1)".repeat(1_900),
        "x = ".to_string() + &"1 if 1 else ".repeat(900) + "1",
        "x = ".to_string() + &"lambda: ".repeat(1_900) + "1",
        "x = ".to_string() + &"2 ** ".repeat(1_900) + "1",
        (0..1_000).map(|i| " ".repeat(i) + "if 1:\n").collect::<String>(),
        (0..390).map(|i| " ".repeat(i) + "if 1:\n").collect::<String>() + &" ".repeat(391) + "pass",
        "f'{".repeat(1_000),
        "if 1:\n  pass\n".to_string() + &"elif 1:\n  pass\n".repeat(20_000),
        "\u{feff}x = '\u{1F600}'\n\x00\x0c".to_string(),
        "x = 1\n".repeat(60_000),
    ];
    for source in cases {
        assert_eq!(soundly(&source).verdict(), Verdict::Reject);
        candidate_id(&source);
        locality(&source, &source, Factor::ACTION);
    }
}

#[test]
fn spending_without_end_is_a_budget_fault() {
    let cases = [
        "while True:\n    pass\n",
        "x = []\nwhile True:\n    x = [x]\n",
        "x = [1]\nfor _ in range(100):\n    x = x + x\n",
        "x = 'ab'\nfor _ in range(100):\n    x = x * 2\n",
        "def f(n):\n    return f(n + 1)\nf(0)\n",
        "x = list(range(10 ** 9))\n",
        "import torch\nx = [torch.zeros(100000, 100000) for _ in range(100)]\ny = torch.nn.Linear(100000, 100000)\n",
        "x = [i for i in range(4000) for j in range(4000)]\n",
        "x = 'a' * 10 ** 12\n",
        "x = (1,)\nfor _ in range(60):\n    x += x\n",
        "x = f\"{1:{10**9}}\" * 10 ** 9\n",
    ];
    for body in cases {
        let markers = "# ===== BEGIN OPERATOR REGION =====\n# ===== END OPERATOR REGION =====\n\
                       # ===== BEGIN ACTION REGION =====\n# ===== END ACTION REGION =====\n";
        let compiled = soundly(&format!("{markers}{body}"));
        assert_eq!(compiled.diagnostics[0].category, Category::Budget, "{body}: {:?}", compiled.diagnostics);
    }
}

#[test]
fn accepted_programs_are_accepted_at_other_widths() {
    for source in valid() {
        for hidden in [8, 128] {
            let compiled = compile(&source, &Options { hidden, ..Options::default() });
            assert_eq!(
                compiled.verdict(),
                Verdict::Accept,
                "{}",
                render(&source, "x.py", &compiled.diagnostics, false)
            );
        }
    }
}

#[test]
fn identity_ignores_what_is_no_code() {
    let seed = &valid()[16];
    assert!(seed.contains("BEGIN OPERATOR"));
    let id = candidate_id(seed);
    assert_eq!(id.len(), 16);
    assert_eq!(id, candidate_id(&seed.replace("# Senders", "# senders").replace("\n\n\n", "\n\n\n\n")));
    assert_eq!(id, candidate_id(&seed.replace('"', "'").replace("'''", "\"\"\"")));
    assert_ne!(id, candidate_id(&seed.replace("1e6", "1e5")));
    assert_ne!(candidate_id("x = ("), candidate_id("x = (("));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "(?s).{0,300}") {
        soundly(&text);
    }

    #[test]
    fn any_python_like_text(words in prop::collection::vec(prop::sample::select(vec![
        "def", "class", "f", "x", "self", "(", ")", "[", "]", "{", "}", ":", "\n", "\n    ", ",", "=", "+", "*", "**", "-", "1",
        "0.5", "'a'", "f'{x}'", "if", "else", "for", "in", "while", "return", "lambda", "torch", ".", "nn", "None", "...", "and",
        "not", "import", "from", "with", "assert", "raise", ":=", "@", "~", "//", "%", "range", "super", "zip", "setattr",
    ]), 0..60)) {
        soundly(&words.join(" "));
    }

    /// Valid programs with words swapped, lines dropped, doubled or exchanged.
    #[test]
    fn mutated_programs(
        which in 0..22_usize,
        edits in prop::collection::vec((0..5_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
    ) {
        let programs = valid();
        let source = &programs[which % programs.len()];
        let mut lines: Vec<String> = source.lines().map(str::to_string).collect();
        for (kind, a, b) in edits {
            if lines.is_empty() {
                break;
            }
            let (i, j) = (a.index(lines.len()), b.index(lines.len()));
            match kind {
                0 => { lines.remove(i); }
                1 => { let line = lines[i].clone(); lines.insert(j, line); }
                2 => lines.swap(i, j),
                3 => {
                    let words: Vec<String> = lines[j].split(|c: char| !c.is_alphanumeric()).map(str::to_string).collect();
                    let word = words[a.index(words.len())].clone();
                    let old: Vec<String> = lines[i].split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_string).collect();
                    let old = &old[b.index(old.len())];
                    if !old.is_empty() {
                        lines[i] = lines[i].replacen(old.as_str(), &word, 1);
                    }
                }
                _ => {
                    let chars: Vec<char> = lines[i].chars().collect();
                    if !chars.is_empty() {
                        let at = b.index(chars.len());
                        lines[i] = chars.iter().enumerate().filter(|(k, _)| *k != at).map(|(_, c)| *c).collect();
                    }
                }
            }
        }
        let mutated = lines.join("\n");
        soundly(&mutated);
        let verdict = locality(source, &mutated, Factor::OPERATOR);
        prop_assert_eq!(verdict.kinds.is_empty(), verdict.verdict == program::LocalityVerdict::Local);
    }
}
