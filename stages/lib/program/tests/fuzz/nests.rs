//! Constructs inside of themselves, up to many thousands deep, closed or not, of one kind or mixed.

use crate::random::Random;

/// What opens and what closes an expression inside of an expression.
const INNER: &[(&str, &str)] = &[
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("{0: ", "}"),
    ("(1, ", ")"),
    ("-", ""),
    ("~", ""),
    ("not ", ""),
    ("await ", ""),
    ("*", ""),
    ("lambda: ", ""),
    ("lambda x=", ": x"),
    ("lambda *a, k=1, **b: ", ""),
    ("1 if 1 else ", ""),
    ("", " if 1 else 1"),
    ("1 + ", ""),
    ("", " + 1"),
    ("2 ** ", ""),
    ("1 < ", ""),
    ("", " and 1"),
    ("1 or ", ""),
    ("f(", ")"),
    ("f(x=", ")"),
    ("f(**", ")"),
    ("f(*", ")"),
    ("", "(1)"),
    ("", ".x"),
    ("", "[1]"),
    ("", "[1:2]"),
    ("x[", "]"),
    ("x[:", "]"),
    ("x[1, ", "]"),
    ("[i for i in ", "]"),
    ("[", " for i in x]"),
    ("{", ": 1 for i in x}"),
    ("(i for i in x if ", ")"),
    ("(x := ", ")"),
    ("(yield ", ")"),
    ("(yield from ", ")"),
    ("f'{", "}'"),
    ("f\"{", "}\""),
    ("f'{1:{", "}}'"),
    ("f'{1!r:>{", "}}'"),
    ("t'{", "}'"),
    ("'a' f'{", "}'"),
    ("str(", ")"),
    ("len([", "])"),
    ("nn.Sequential(", ")"),
    ("torch.relu(", ")"),
    ("(lambda: ", ")()"),
];

/// Lines that open a block.
const BLOCKS: &[&str] = &[
    "if 1:",
    "while 1:",
    "for i in x:",
    "def f():",
    "def f(x=1, *y, z: int = 2, **w) -> int:",
    "async def f():",
    "class A:",
    "class A(B, metaclass=C):",
    "with x:",
    "with x as y, z as w:",
    "try:",
    "match x:",
    "case [a, *b]:",
    "case {1: a, **b}:",
    "case A(x=1) | B():",
    "else:",
    "elif 1:",
    "except* E as e:",
    "finally:",
    "@f\ndef g():",
];

/// Patterns inside of patterns.
const PATTERNS: &[(&str, &str)] =
    &[("[", "]"), ("(", ",)"), ("{1: ", "}"), ("A(", ")"), ("A(x=", ")"), ("[*_, ", "]"), ("1 | ", ""), ("", " as a")];

fn nested(random: &mut Random, kinds: &[(&str, &str)], core: &str) -> String {
    let depth = match random.below(8) {
        0 => random.below(20_000),
        1 | 2 => random.below(2000),
        3 | 4 => random.below(300),
        _ => random.below(60),
    };
    let count = 1 + random.below(3);
    let chosen: Vec<(&str, &str)> = (0..count).map(|_| kinds[random.below(kinds.len())]).collect();
    let (mut before, mut behind) = (String::new(), Vec::new());
    for _ in 0..depth {
        let (open, close) = chosen[random.below(chosen.len())];
        before.push_str(open);
        behind.push(close);
    }
    before.push_str(core);
    if !random.one_in(8) {
        behind.iter().rev().for_each(|close| before.push_str(close));
    }
    before
}

fn blocks(random: &mut Random) -> String {
    let depth = if random.one_in(6) { random.below(400) } else { random.below(60) };
    let chosen: Vec<&str> = (0..1 + random.below(2)).map(|_| random.pick(BLOCKS)).collect();
    let mut text = String::new();
    for level in 0..depth {
        for line in random.pick(&chosen).lines() {
            text.push_str(&format!("{}{line}\n", " ".repeat(level)));
        }
    }
    text.push_str(&format!("{}pass\n", " ".repeat(depth)));
    text
}

pub fn program(random: &mut Random) -> String {
    let core = random.pick(&["1", "x", "'a'", "i", "None", "z", "f", "", "\\", "b'x'", "1j", "..."]);
    match random.below(10) {
        0 => blocks(random),
        1 => format!("match x:\n    case {}:\n        pass\n", nested(random, PATTERNS, "_")),
        2 => format!("def f(x: {} = 1):\n    return x\n", nested(random, INNER, core)),
        3 => format!("@{}\ndef f():\n    pass\n", nested(random, INNER, core)),
        4 => format!("{} = x = 1\n", nested(random, INNER, "y")),
        5 => format!("del {}\n", nested(random, INNER, "y")),
        6 => format!("x: '{}' = 1\n", nested(random, &INNER[..30], core).replace('\'', "")),
        7 => format!("class A({}):\n    x = 1\n", nested(random, INNER, core)),
        _ => format!("import torch\nx = 1\nf = lambda *a, **k: 1\nx = {}\n", nested(random, INNER, core)),
    }
}
