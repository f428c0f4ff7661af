//! What the front end reads, Python 3.11 compiles: single cases, and thousands of edited programs where Python is there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use program::{Options, compile};

/// Compiles each program of a JSON array on stdin, and writes the indices of those that do not compile.
const JUDGE: &str = "
import json, sys, warnings
warnings.simplefilter('ignore')
for i, source in enumerate(json.load(sys.stdin)):
    try:
        compile(source.encode('utf-8'), 'x', 'exec')
    except Exception as e:
        print(i, type(e).__name__, str(e).replace('\\n', ' ')[:200], flush=True)
";

/// Whether the front end finds no fault of syntax, whatever else it finds.
fn is_read(source: &str) -> bool {
    let compiled = compile(source, &Options { hidden: 16, ..Options::default() });
    !compiled.diagnostics.iter().any(|d| matches!(d.code(), "E-SYNTAX" | "E-BUDGET-NESTING" | "E-BUDGET-SOURCE"))
}

/// A Python that judges, 3.11 or newer with the rules of 3.11 being those that count: another version is not asked.
fn python() -> Option<&'static str> {
    ["python3.11", "python3"].into_iter().find(|name| {
        let version = Command::new(name).arg("--version").output();
        version.is_ok_and(|v| String::from_utf8_lossy(&v.stdout).starts_with("Python 3.11"))
    })
}

fn refused_by_python(python: &str, sources: &[String]) -> Vec<(usize, String)> {
    let mut child =
        Command::new(python).args(["-c", JUDGE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = serde_json::to_vec(sources).unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&text).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|l| (l.split(' ').next().unwrap().parse().unwrap(), l.to_string())).collect()
}

fn snippets(text: &str) -> Vec<String> {
    text.split("---\n").filter(|s| !s.trim().is_empty()).map(str::to_string).collect()
}

/// Texts that no file can show well.
fn unprintable() -> Vec<String> {
    let nested = |head: &str, n: usize| {
        let lines: String = (0..n).map(|i| format!("{}{head}\n", " ".repeat(i))).collect();
        format!("{lines}{}pass\n", " ".repeat(n))
    };
    let mut all = vec![
        "x = 1\0\n".into(),
        "x = '\0'\n".into(),
        "if 1:\n\tx = 1\n        y = 2\n".into(),
        "if 1:\n        x = 1\n\ty = 2\n".into(),
        "if 1:\n  x = 1\n y = 2\n".into(),
        "x = 1\x0c\ny = 2\n".into(),
        "\x0cx = 1\n".into(),
        "if 1:\n    x = 1\n\x0c    y = 2\n".into(),
        "x = 1\ry = 2\r".into(),
        "x = '\r'\n".into(),
        "x = 1 \\\n".into(),
        "x = 1 \\".into(),
        "x = 1 \\ \n".into(),
        "\u{feff}x = 1\n".into(),
        "\u{feff}\u{feff}x = 1\n".into(),
        "x\u{a0}= 1\n".into(),
        "x = 1\u{200b}\n".into(),
        "# coding: latin-1\nx = 1\n".into(),
        "\n# -*- coding: cp1252 -*-\nx = 1\n".into(),
        "# vim: set fileencoding=nonsense :\nx = 1\n".into(),
        "\u{212b} = 1\n".into(),
        "\u{1d531} = t\n".into(),
        "x\u{b7} = 1\n".into(),
        "\u{2118} = 1\n".into(),
        format!("x = {}\n", "9".repeat(4301)),
        format!("x = -{}\n", "1_0".repeat(2500)),
        format!("x = 0x{}\n", "f".repeat(5000)),
        format!("x = {}1{}\n", "(".repeat(99), ")".repeat(99)),
        format!("x = {}1{}\n", "(\")\" + ".repeat(2000), ")".repeat(2000)),
        format!("x = {}1\n", "1 + ".repeat(1500)),
        format!("x = {}1\n", "not ".repeat(3500)),
        format!("x = a{}\n", ".b".repeat(1500)),
        format!("x = {}1\n", "lambda: ".repeat(900)),
        format!("if 1:\n  pass\n{}", "elif 1:\n  pass\n".repeat(5000)),
        format!("x = f'{}'\n", "{1}".repeat(900)),
    ];
    for head in ["for i in a:", "while a:", "with a:", "if a:", "def f():", "class A:", "with a, b:"] {
        for n in [9, 10, 11, 19, 20, 21, 98, 99, 100, 101] {
            all.push(nested(head, n));
        }
    }
    for n in [9, 10, 11, 19, 20, 21] {
        let lines: String = (0..n).map(|i| format!("{}try:\n", " ".repeat(i))).collect();
        let ends = |end: &str| (0..n).rev().map(|i| format!("{}{end}\n", " ".repeat(i))).collect::<String>();
        for end in ["except A: pass", "finally: pass", "except A as e: pass"] {
            all.push(format!("{lines}{}pass\n{}", " ".repeat(n), ends(end)));
        }
        let inside: String = (0..n).map(|i| format!("{0}try: pass\n{0}except A as e:\n", " ".repeat(i))).collect();
        all.push(format!("{inside}{}pass\n", " ".repeat(n)));
    }
    all
}

fn valid() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/programs/valid");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths.iter().filter(|p| p.extension().is_some_and(|e| e == "py")).map(|p| fs::read_to_string(p).unwrap()).collect()
}

/// Numbers that look random: the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (n.max(1) as u64)).unwrap()
    }
}

/// A program with some words exchanged for others of it, for words of Python, or for whole pieces of syntax.
fn edited(programs: &[String], pieces: &[String], random: &mut Random) -> String {
    const WORDS: &[&str] = &[
        "return",
        "yield",
        "await",
        "async",
        "lambda",
        "*",
        "**",
        ":=",
        "=",
        "==",
        "not",
        "in",
        "is",
        "None",
        "True",
        "x",
        "1",
        "'a'",
        "f'{x}'",
        "(",
        ")",
        "[",
        "]",
        ":",
        ",",
        "break",
        "continue",
        "global",
        "nonlocal",
        "del",
        "pass",
        "import",
        "from",
        "with",
        "for",
        "if",
        "else",
        "class",
        "def",
        "type",
        "match",
        "case",
        "_",
        "__debug__",
        "super",
        "...",
        "/",
        "@",
        "->",
        "b'a'",
        "1j",
        "0x1",
        "print",
        "exec",
        "yield from",
        "f'{x!r:>{x}}'",
        "f'{x=}'",
        "except*",
        "try",
        "finally",
        "raise",
    ];
    let source = &programs[random.below(programs.len())];
    let mut words: Vec<String> = Vec::new();
    let mut last = None;
    for c in source.chars() {
        let kind = if c.is_alphanumeric() || c == '_' { 1 } else { 2 };
        if kind == 1 && last == Some(1) {
            words.last_mut().unwrap().push(c);
        } else {
            words.push(c.to_string());
        }
        last = Some(kind);
    }
    for _ in 0..=random.below(3) {
        let at = random.below(words.len());
        match random.below(6) {
            0 => words[at] = WORDS[random.below(WORDS.len())].into(),
            1 => words.insert(at, format!(" {} ", WORDS[random.below(WORDS.len())])),
            2 => {
                words.remove(at);
            }
            3 => words[at] = words[random.below(words.len())].clone(),
            _ => {
                // a whole piece at the start of a line
                let piece = &pieces[random.below(pieces.len())];
                let line = (at..words.len()).find(|i| words[*i] == "\n").unwrap_or(at);
                let indent: String = words[line + 1..].iter().take_while(|w| *w == " ").cloned().collect();
                let piece: String = piece.lines().map(|l| format!("{indent}{l}\n")).collect();
                words.insert((line + 1).min(words.len()), piece);
            }
        }
    }
    words.concat()
}

fn agree(python: &str, sources: Vec<String>) -> usize {
    let read: Vec<String> = program::on_big_stack(|| sources.into_iter().filter(|s| is_read(s)).collect());
    let refused = refused_by_python(python, &read);
    let shown: Vec<String> = refused
        .iter()
        .take(20)
        .map(|(i, why)| {
            let line = why.rsplit("line ").next().and_then(|n| n.trim_end_matches(')').parse::<usize>().ok());
            let around =
                line.map(|n| read[*i].lines().skip(n.saturating_sub(3)).take(4).collect::<Vec<_>>().join("\n"));
            let text = around.unwrap_or_else(|| read[*i].clone());
            format!("{why}:\n{}", text.chars().take(400).collect::<String>())
        })
        .collect();
    assert!(refused.is_empty(), "{} of {} are refused by Python:\n{}", refused.len(), read.len(), shown.join("\n\n"));
    read.len()
}

#[test]
fn what_python_refuses_is_refused() {
    let mut read = Vec::new();
    for source in snippets(include_str!("python/refused.txt")) {
        if is_read(&source) {
            read.push(source);
        }
    }
    assert!(read.is_empty(), "{} are read:\n{}", read.len(), read.join("---\n"));
}

#[test]
fn what_python_reads_is_read() {
    let mut refused = Vec::new();
    for source in snippets(include_str!("python/read.txt")) {
        if !is_read(&source) {
            refused.push(source);
        }
    }
    assert!(refused.is_empty(), "{} are refused:\n{}", refused.len(), refused.join("---\n"));
}

fn differential(count: usize, seed: u64) {
    let Some(python) = python() else {
        eprintln!("skipped: there is no Python 3.11 to ask");
        return;
    };
    let pieces: Vec<String> =
        [include_str!("python/refused.txt"), include_str!("python/read.txt")].into_iter().flat_map(snippets).collect();
    let alone = agree(python, pieces.iter().cloned().chain(unprintable()).collect());
    let (programs, mut random) = (valid(), Random(seed));
    let mut read = 0;
    for _ in 0..count.div_ceil(1000) {
        read += agree(python, (0..count.min(1000)).map(|_| edited(&programs, &pieces, &mut random)).collect());
    }
    eprintln!(
        "seed {seed}: {alone} pieces and {read} of {count} edited programs are read, and Python compiles all of them"
    );
}

#[test]
fn what_is_read_compiles_in_python() {
    differential(1000, 1);
}

#[test]
#[ignore = "minutes: part of make test-full"]
fn what_is_read_compiles_in_python_at_length() {
    differential(40_000, 2);
}
