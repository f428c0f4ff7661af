//! Edits of syntax trees: expressions exchanged for others, statements dropped, doubled, moved and taken from other programs.

use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use program::Factor;
use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{Expr, Stmt};
use ruff_text_size::Ranged;

use crate::Input;
use crate::random::Random;

/// Ends of the lines behind which the code of a factor begins in [`SMALL`].
pub const OPERATOR: &str = "# ===== BEGIN OPERATOR REGION =====\n";
pub const ACTION: &str = "# ===== BEGIN ACTION REGION =====\n";

/// A whole program that is quickly understood.
pub const SMALL: &str = "\
import torch
import torch.nn as nn
import torch.nn.functional as F

class Processor(nn.Module):
    pass

class PGN(Processor):
    def __init__(self, out_size):
        super().__init__()
        # ===== BEGIN OPERATOR REGION =====
        self.a = nn.Linear(3 * out_size, out_size)
        self.b = nn.Linear(out_size, out_size, bias=False)
        # ===== END OPERATOR REGION =====

    def forward(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused):
        z = torch.cat([node_fts, hidden, graph_fts.unsqueeze(1).expand_as(node_fts)], dim=-1)
        z = self.a(z)
        # ===== BEGIN ACTION REGION =====
        msgs = self.b(z).unsqueeze(1) + edge_fts
        msgs = msgs.masked_fill(adj_mat.unsqueeze(-1) == 0, -1e6)
        z = z + torch.relu(msgs.max(dim=2)[0])
        # ===== END ACTION REGION =====
        return z, None

def get_processor_factory(kind, use_ln, nb_triplet_fts, nb_heads=None):
    def factory(out_size):
        return PGN(out_size)
    return factory
";

/// A program with the places of its expressions and statements.
struct Parsed {
    text: &'static str,
    expressions: Vec<Range<usize>>,
    /// Statements that begin a line.
    statements: Vec<Range<usize>>,
}

impl Parsed {
    fn of(text: &'static str) -> Self {
        let module = ruff_python_parser::parse_module(text).expect("fixtures are programs").into_syntax();
        let mut parsed = Self { text, expressions: Vec::new(), statements: Vec::new() };
        parsed.visit_body(&module.body);
        parsed
    }

    fn expression(&self, random: &mut Random) -> &'static str {
        let text: &'static str = self.text;
        &text[self.expressions[random.below(self.expressions.len())].clone()]
    }
}

impl Visitor<'_> for Parsed {
    fn visit_expr(&mut self, e: &Expr) {
        self.expressions.push(e.range().into());
        walk_expr(self, e);
    }

    fn visit_stmt(&mut self, s: &Stmt) {
        let range: Range<usize> = s.range().into();
        let line = self.text[..range.start].rfind('\n').map_or(0, |at| at + 1);
        if self.text[line..range.start].trim().is_empty() && self.text[range.end..].starts_with('\n') {
            self.statements.push(line..range.end + 1);
        }
        walk_stmt(self, s);
    }
}

fn small() -> &'static Parsed {
    static SMALL_PARSED: OnceLock<Parsed> = OnceLock::new();
    SMALL_PARSED.get_or_init(|| Parsed::of(SMALL))
}

/// The valid programs of the fixtures.
fn fixtures() -> &'static [Parsed] {
    static FIXTURES: OnceLock<Vec<Parsed>> = OnceLock::new();
    FIXTURES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/programs/valid");
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).expect("fixtures").map(|e| e.expect("an entry").path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == "py"));
        paths.sort();
        paths.iter().map(|p| Parsed::of(std::fs::read_to_string(p).expect("a program").leak())).collect()
    })
}

/// Statements and expressions of Python that no fixture has.
const ODD: &[&str] = &[
    "(yield)",
    "(lambda *a, **k: (a, k))(*[1], **{'x': 2})",
    "[*range(3), *'ab']",
    "{**{}, 'a': 1}",
    "(x := 5)",
    "z[..., None]",
    "z[::2]",
    "1 if z is None else 2",
    "type(self)",
    "super()",
    "10 ** 30",
    "1 << 70",
    "-(2 ** 63)",
    "float('nan')",
    "float('inf')",
    "'%5.2f' % 1",
    "f'{z.shape!r:>40}'",
    "print",
    "range(10 ** 12)",
    "iter([1, 2])",
    "zip()",
    "max([1, 2], key=lambda v: -v)",
    "z.shape",
    "z.shape[0]",
    "z.size(-1)",
    "torch.empty(0)",
    "torch.arange(5)",
    "nn.Identity()",
    "self",
    "...",
    "NotImplemented",
    "not z.requires_grad",
    "(i for i in z)",
    "all(i for i in range(9))",
    "torch.float64",
    "{1, 2} - {2}",
    "'a'.join(['b'])",
    "divmod(7, 2)",
    "int('12')",
    "round(2.5)",
    "sorted('cab')",
    "dict(a=1)",
    "isinstance(z, torch.Tensor)",
    "z @ z.mT",
];

fn edited(random: &mut Random, program: &'static Parsed) -> Input {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for _ in 0..1 + random.below(3) {
        let other = if random.one_in(3) { &fixtures()[random.below(fixtures().len())] } else { program };
        if random.below(3) > 0 && !program.expressions.is_empty() {
            let place = program.expressions[random.below(program.expressions.len())].clone();
            let with = if random.one_in(3) { random.pick(ODD) } else { other.expression(random) };
            let with = if random.one_in(5) {
                format!("({with}, {})", &program.text[place.clone()])
            } else {
                format!("({with})")
            };
            edits.push((place, with));
        } else {
            let place = program.statements[random.below(program.statements.len())].clone();
            let old = &program.text[place.clone()];
            let indent = &old[..old.len() - old.trim_start().len()];
            let new = match random.below(6) {
                0 => format!("{indent}pass\n"),
                1 => format!("{old}{old}"),
                2 => format!("{indent}for _ in range({}):\n{}", 1 + random.below(30), indented(old)),
                3 => format!("{indent}if {}:\n{}", random.pick(ODD), indented(old)),
                4 => format!("{indent}try:\n{}{indent}except Exception as e:\n{indent}    raise\n", indented(old)),
                _ => format!("{indent}with torch.no_grad():\n{}", indented(old)),
            };
            edits.push((place, new));
        }
    }
    edits.sort_by_key(|(place, _)| std::cmp::Reverse(place.start));
    let (mut source, mut untouched) = (program.text.to_string(), usize::MAX);
    for (place, new) in edits {
        if place.end <= untouched {
            source.replace_range(place.clone(), &new);
            untouched = place.start;
        }
    }
    let factor = if random.one_in(2) { Factor::OPERATOR } else { Factor::ACTION };
    Input { source, parent: Some((program.text, factor)) }
}

fn indented(code: &str) -> String {
    code.lines().map(|line| format!("    {line}\n")).collect()
}

pub fn of_small(random: &mut Random) -> Input {
    edited(random, small())
}

pub fn of_fixture(random: &mut Random) -> Input {
    let which = random.below(fixtures().len());
    edited(random, &fixtures()[which])
}
