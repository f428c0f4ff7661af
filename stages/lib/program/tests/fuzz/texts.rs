//! Words in any order, odd characters, odd ends of lines: what the lexer and the parser may meet.

use crate::random::Random;

const WORDS: &[&str] = &[
    "def",
    "class",
    "f",
    "x",
    "self",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    "\n",
    "\n    ",
    "\n  ",
    "\t",
    ",",
    "=",
    "+",
    "*",
    "**",
    "-",
    "1",
    "0.5",
    "'a'",
    "f'{x}'",
    "if",
    "else",
    "elif",
    "for",
    "in",
    "while",
    "return",
    "lambda",
    "torch",
    ".",
    "nn",
    "None",
    "...",
    "and",
    "or",
    "not",
    "import",
    "from",
    "with",
    "assert",
    "raise",
    ":=",
    "@",
    "~",
    "//",
    "%",
    "range",
    "super",
    "zip",
    "setattr",
    "match",
    "case",
    "_",
    "type",
    "try",
    "except",
    "except*",
    "finally",
    "yield",
    "await",
    "async",
    "global",
    "nonlocal",
    "del",
    "pass",
    "break",
    "continue",
    "is",
    "->",
    ">>",
    "<<",
    "^",
    "|",
    "&",
    "==",
    "!=",
    "<=",
    "!",
    "?",
    "$",
    "`",
    "\\",
    "\\\n",
    ";",
    "#",
    "# type: ignore",
    "'",
    "\"",
    "'''",
    "\"\"\"",
    "r'",
    "b'",
    "rb'",
    "f\"",
    "t'",
    "u'",
    "{{",
    "}}",
    "'\\N{DASH}'",
    "'\\x",
    "'\\u12",
    "0x",
    "0b2",
    "1_",
    "1__0",
    "1e",
    "1e999",
    "9999999999999999999999",
    "0o9",
    "007",
    "1j",
    "1.e5",
    ".5",
    "\u{feff}",
    "\0",
    "\x0c",
    "\r",
    "\r\n",
    "\x1b[31m",
    "é",
    "ﬁ",
    "ｆ",
    "变量",
    "\u{200b}",
    "\u{202e}",
    "\u{a0}",
    "\u{2028}",
    "😀",
    "\u{fffd}",
    "\u{10ffff}",
    "a\u{301}",
    "__class__",
    "__import__",
    "print",
    "# ===== BEGIN OPERATOR REGION =====\n",
    "# ===== END OPERATOR REGION =====\n",
    "# ===== BEGIN ACTION REGION =====\n",
    "# ===== END ACTION REGION =====\n",
    "# ===== BEGIN  REGION =====\n",
    "import torch\n",
    "# -*- coding: utf-7 -*-\n",
    "from __future__ import annotations\n",
    "%autoreload",
    "!ls",
    "?x",
    "x?",
    "<<<<<<< HEAD\n",
    "=======\n",
    ">>>>>>> x\n",
    "```python\n",
    "```\n",
];

/// A literal of a number, of few or of many digits.
fn number(random: &mut Random) -> String {
    let digits = "0123456789abcdef_.ejxob+-";
    let count = if random.one_in(20) { random.below(6000) } else { random.below(24) };
    if random.one_in(2) {
        return "9".repeat(count);
    }
    (0..count).filter_map(|_| digits.chars().nth(random.below(digits.len()))).collect()
}

/// Text that was cut, doubled or had one character exchanged.
fn damaged(random: &mut Random, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..1 + random.below(6) {
        let at = random.below(chars.len());
        match random.below(4) {
            0 => chars.truncate(at),
            1 => drop(chars.get(at).is_some().then(|| chars.remove(at))),
            2 => chars.splice(at..at, random.pick(WORDS).chars()).for_each(drop),
            _ => {
                let end = (at + random.below(40)).min(chars.len());
                let part: Vec<char> = chars[at..end].to_vec();
                chars.splice(at..at, part).for_each(drop);
            }
        }
    }
    chars.into_iter().collect()
}

pub fn program(random: &mut Random) -> String {
    match random.below(8) {
        0 => format!("x = {}\ny = x\n", number(random)),
        1 => damaged(random, crate::edits::SMALL),
        2 => (0..random.below(60))
            .filter_map(|_| char::from_u32(u32::try_from(random.below(0x300)).unwrap_or(0)))
            .collect(),
        3 => random.pick(WORDS).repeat(1 + random.below(400)),
        kind => {
            let space = if kind < 6 { " " } else { "" };
            let count = random.below(60);
            (0..count).map(|_| random.pick(WORDS)).collect::<Vec<_>>().join(space)
        }
    }
}
