//! Edits of valid programs, most of them inside a region: bytes say which lines to drop, repeat, exchange or take from other
//! programs, which words and numbers to replace. What comes out is still mostly a program, so it reaches far into evaluation.
#![no_main]

use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use program::Factor;
use program_fuzz::check_edit;

/// The valid programs, and lines of the invalid ones.
fn programs() -> &'static [Vec<String>] {
    static PROGRAMS: OnceLock<Vec<Vec<String>>> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../tests/fixtures/programs/valid");
        let mut paths: Vec<_> = std::fs::read_dir(folder).expect("fixtures").map(|e| e.expect("an entry").path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == "py"));
        paths.sort();
        let read = |p| std::fs::read_to_string(p).expect("a program").lines().map(str::to_owned).collect();
        paths.iter().map(read).collect()
    })
}

/// Words that programs are made of.
const WORDS: &[&str] = &[
    "0", "1", "2", "-1", "3", "0.5", "1e9", "-1e9", "None", "True", "False", "...", ":", "z", "edge_fts", "graph_fts", "adj_mat",
    "self", "b", "n", "x", "dim", "keepdim", "nn", "torch", "F", "math", "Linear", "LayerNorm", "Sequential", "ModuleList",
    "ModuleDict", "Parameter", "MultiheadAttention", "GRUCell", "Embedding", "softmax", "sigmoid", "relu", "einsum", "matmul",
    "cat", "stack", "split", "chunk", "view", "reshape", "permute", "transpose", "expand", "unsqueeze", "squeeze", "flatten",
    "gather", "scatter", "topk", "argmax", "where", "masked_fill", "amax", "max", "mean", "sum", "std", "norm", "cumsum", "arange",
    "zeros", "ones", "eye", "full", "tril", "clamp", "long", "bool", "float", "shape", "size", "try", "except", "finally", "raise",
    "for", "while", "if", "else", "in", "not", "and", "lambda", "yield", "return", "def", "class", "with", "assert", "range", "len",
    "zip", "enumerate", "getattr", "setattr", "hasattr", "isinstance", "super", "dataclass", "Enum", "+=", "*=", "**", "//", "%",
    "@", "~", "&", "|", "==", "<", "(", ")", "[", "]", "{", "}", ",", "=",
];

/// Takes choices from the fuzzer's bytes.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn below(&mut self, count: usize) -> Option<usize> {
        let wide = usize::from(self.byte()?) << 8 | usize::from(self.byte()?);
        Some(if count == 0 { 0 } else { wide % count })
    }
}

/// The lines between the markers of a factor.
fn region(lines: &[String], factor: Factor) -> Range<usize> {
    let find = |what: &str| lines.iter().position(|l| l.contains(&format!("{what} {} REGION", factor.as_str())));
    match (find("BEGIN"), find("END")) {
        (Some(begin), Some(end)) if begin < end => begin + 1..end,
        _ => 0..lines.len(),
    }
}

/// The bounds of the words of a line.
fn words(line: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, c) in line.char_indices() {
        let inner = c.is_alphanumeric() || c == '_';
        let end = at + c.len_utf8();
        match found.last_mut() {
            Some(last) if inner && last.end == at && line[last.clone()].ends_with(|c: char| c.is_alphanumeric() || c == '_') => {
                last.end = end;
            }
            _ if c.is_whitespace() => {}
            _ => found.push(at..end),
        }
    }
    found
}

fn edit(lines: &mut Vec<String>, factor: Factor, choices: &mut Choices) -> Option<()> {
    let kind = choices.byte()?;
    // one edit in sixteen goes anywhere
    let inside = if kind >= 240 { 0..lines.len() } else { region(lines, factor) };
    let pick = |choices: &mut Choices, range: &Range<usize>| Some(range.start + choices.below(range.len())?);
    let at = pick(choices, &inside)?.min(lines.len().checked_sub(1)?);
    match kind % 8 {
        0 => {
            lines.remove(at);
        }
        1 => {
            let line = lines[at].clone();
            lines.insert(pick(choices, &inside)?.min(lines.len()), line);
        }
        2 => {
            let other = pick(choices, &inside)?.min(lines.len() - 1);
            lines.swap(at, other);
        }
        3 => {
            let found = words(&lines[at]);
            let word = found.get(choices.below(found.len())?)?.clone();
            lines[at].replace_range(word, WORDS[choices.below(WORDS.len())?]);
        }
        4 => {
            let found = words(&lines[at]);
            let place = found.get(choices.below(found.len())?)?.start;
            lines[at].insert_str(place, &format!("{} ", WORDS[choices.below(WORDS.len())?]));
        }
        5 => {
            let other = &programs()[choices.below(programs().len())?];
            let place = region(other, factor);
            let line = other.get(pick(choices, &place)?)?.clone();
            lines.insert(at, line);
        }
        6 => {
            let other = &programs()[choices.below(programs().len())?];
            let whole = region(other, factor);
            lines.splice(inside, other[whole].iter().cloned());
        }
        _ => {
            let count = choices.below(24)?.min(choices.0.len());
            let (text, rest) = choices.0.split_at(count);
            choices.0 = rest;
            let indent: String = lines[at].chars().take_while(|c| *c == ' ').collect();
            lines.insert(at, format!("{indent}{}", String::from_utf8_lossy(text)));
        }
    }
    Some(())
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let Some(which) = choices.byte() else { return };
    let factor = if which & 1 == 0 { Factor::OPERATOR } else { Factor::ACTION };
    let parent = &programs()[usize::from(which >> 1) % programs().len()];
    let mut child = parent.clone();
    for _ in 0..16 {
        if edit(&mut child, factor, &mut choices).is_none() {
            break;
        }
    }
    check_edit(&parent.join("\n"), &child.join("\n"), factor);
});
