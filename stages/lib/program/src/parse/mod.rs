//! Source text to syntax tree. This folder alone knows the parser crate.

mod choice;
mod lower;
mod names;

use std::rc::Rc;

use graph::Span;
use ruff_python_ast as ast;
use ruff_python_parser::{ParseOptions, parse_unchecked};

use self::lower::Lines;
use crate::diagnostic::{Category, Diagnostic};
use crate::recent::Recent;
use crate::syntax::*;

/// Longest program that is read, in bytes.
pub const MAX_SOURCE: usize = 256 * 1024;
/// Deepest nesting of brackets, as in CPython.
const MAX_BRACKETS: usize = 100;
/// Most columns of indentation.
const MAX_INDENT: usize = 400;
/// Most operators and names of one logical line: what bounds the depth of its tree.
const MAX_WORDS: usize = 4000;

/// Byte offsets at which lines start.
pub(crate) fn line_starts(source: &str) -> Vec<usize> {
    let bytes = source.as_bytes();
    let mut starts = vec![0];
    for (i, b) in bytes.iter().enumerate() {
        if *b == b'\n' || (*b == b'\r' && bytes.get(i + 1) != Some(&b'\n')) {
            starts.push(i + 1);
        }
    }
    starts
}

/// The tree, or all syntax errors.
pub fn parse(source: &str) -> Result<Module, Vec<Diagnostic>> {
    if source.len() > MAX_SOURCE {
        let message = format!("the program has {} bytes; at most {MAX_SOURCE} are read", source.len());
        return Err(vec![Diagnostic::error(Category::Budget, "E-BUDGET-SOURCE", Span::default(), message)]);
    }
    guard_nesting(source)?;
    let parsed = parse_unchecked(source, ParseOptions::from(ruff_python_parser::Mode::Module));
    let lines = Lines { source, starts: line_starts(source) };
    if !parsed.errors().is_empty() {
        let fence = source.lines().next().is_some_and(|l| l.trim_start().starts_with("```"));
        let mut found: Vec<Diagnostic> = Vec::new();
        for error in parsed.errors() {
            let mut d = Diagnostic::error(
                Category::Syntax,
                "E-SYNTAX",
                lines.span(error.location),
                sentence(&error.error.to_string()),
            );
            if fence && d.line == 1 {
                d = d.help("leave out the markdown fence: the file is the program alone");
            }
            // one mistake makes a parser stumble several times; a line says it once
            if found.len() < 20 && found.last().is_none_or(|last| last.line != d.line) {
                found.push(d);
            }
        }
        return Err(found);
    }
    let ast::Mod::Module(module) = parsed.into_syntax() else {
        return Err(vec![Diagnostic::error(Category::Syntax, "E-SYNTAX", Span::default(), "not a module")]);
    };
    let body = lines.stmts(&module.body);
    let scopes = scope_errors(&body);
    if scopes.is_empty() { Ok(Module { body }) } else { Err(scopes) }
}

thread_local! {
    /// The programs that this thread parsed last.
    static PARSED: Recent<Module> = const { Recent::new() };
}

/// As [`parse`], but a program that this thread has just parsed is not parsed again.
pub fn shared(source: &str) -> Result<Rc<Module>, Vec<Diagnostic>> {
    PARSED.with(|known| known.get(source, || parse(source)))
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
}

/// Statements that stand where they have no meaning: `return` outside a function and the like.
fn scope_errors(body: &[Stmt]) -> Vec<Diagnostic> {
    fn walk(body: &[Stmt], function: bool, in_loop: bool, found: &mut Vec<Diagnostic>) {
        for stmt in body {
            let mut fault = |text: &str| {
                found.push(Diagnostic::error(Category::Syntax, "E-SYNTAX", stmt.at.0, text));
            };
            match &stmt.kind {
                StmtKind::Return(_) if !function => fault("'return' outside a function"),
                StmtKind::Break if !in_loop => fault("'break' outside a loop"),
                StmtKind::Continue if !in_loop => fault("'continue' outside a loop"),
                StmtKind::If(_, a, b) => {
                    walk(a, function, in_loop, found);
                    walk(b, function, in_loop, found);
                }
                StmtKind::For(_, _, a, b) | StmtKind::While(_, a, b) => {
                    walk(a, function, true, found);
                    walk(b, function, in_loop, found);
                }
                StmtKind::With(..) | StmtKind::Try(_) | StmtKind::Other(..) => {
                    for block in crate::walk::blocks(stmt) {
                        walk(block, function, in_loop, found);
                    }
                }
                StmtKind::Function(f) => walk(&f.body, true, false, found),
                StmtKind::Class(c) => walk(&c.body, false, false, found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(body, false, false, &mut found);
    found
}

/// Refuses text whose tree would be absurdly deep, before anything recursive sees it. A rough reading is enough:
/// strings and comments are skipped, brackets and words of a logical line are counted.
fn guard_nesting(source: &str) -> Result<(), Vec<Diagnostic>> {
    let bytes = source.as_bytes();
    let (mut brackets, mut words, mut line, mut i) = (0_usize, 0_usize, 1_u32, 0_usize);
    let mut at_line_start = true;
    let mut in_word = false;
    let fail = |line: u32, what: &str| {
        let span = Span { line, column: 1, end_line: line, end_column: 1 };
        Err(vec![Diagnostic::error(Category::Budget, "E-BUDGET-NESTING", span, what.to_string())])
    };
    while let Some(&b) = bytes.get(i) {
        if at_line_start && brackets == 0 {
            let indent = bytes.get(i..).unwrap_or(&[]).iter().take_while(|c| matches!(c, b' ' | b'\t')).count();
            if indent > MAX_INDENT {
                return fail(line, "the line is indented too deeply");
            }
        }
        at_line_start = false;
        match b {
            b'\n' | b'\r' => {
                if b == b'\n' || bytes.get(i + 1) != Some(&b'\n') {
                    line += 1;
                }
                at_line_start = true;
                if brackets == 0 && i.checked_sub(1).and_then(|p| bytes.get(p)) != Some(&b'\\') {
                    words = 0;
                }
                in_word = false;
            }
            b'#' => {
                while bytes.get(i + 1).is_some_and(|c| !matches!(c, b'\n' | b'\r')) {
                    i += 1;
                }
            }
            b'"' | b'\'' => {
                // f-strings nest expressions, so a string's words count like any others: only plain text is cheap
                words += 1;
                in_word = false;
            }
            b'(' | b'[' | b'{' => {
                brackets += 1;
                words += 1;
                in_word = false;
            }
            b')' | b']' | b'}' => {
                brackets = brackets.saturating_sub(1);
                in_word = false;
            }
            b' ' | b'\t' | b',' => in_word = false,
            c if c.is_ascii_alphanumeric() || c == b'_' || c >= 0x80 => {
                if !in_word {
                    words += 1;
                }
                in_word = true;
            }
            _ => {
                words += 1;
                in_word = false;
            }
        }
        if brackets > MAX_BRACKETS {
            return fail(line, "brackets are nested too deeply");
        }
        if words > MAX_WORDS {
            return fail(line, "the statement is too long to be read");
        }
        i += 1;
    }
    Ok(())
}
