//! Source text to syntax tree. This folder alone knows the parser crate.

mod choice;
mod lower;
mod names;
mod python;

use std::rc::Rc;

use graph::Span;
use ruff_python_ast as ast;
use ruff_python_ast::token::TokenKind;
use ruff_python_parser::lexer::lex;
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::{TextRange, TextSize};

use self::lower::Lines;
pub use self::names::locals;
use crate::diagnostic::Diagnostic;
use crate::recent::Recent;
use crate::rules::Rule;
use crate::syntax::*;

/// Longest program that is read, in bytes.
pub const MAX_SOURCE: usize = 256 * 1024;
/// Deepest nesting of brackets, as in CPython.
const MAX_BRACKETS: usize = 100;
/// Most levels of indentation, as in CPython.
const MAX_INDENTS: usize = 99;
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
        return Err(vec![Diagnostic::new(Rule::BudgetSource, Span::default(), message)]);
    }
    if let Some(at) = source.find('\0') {
        let span = Lines::new(source).span(TextRange::empty(TextSize::try_from(at).unwrap_or_default()));
        return Err(vec![Diagnostic::new(Rule::Syntax, span, "source code cannot contain null bytes")]);
    }
    guard_nesting(source)?;
    let parsed = parse_unchecked(source, ParseOptions::from(Mode::Module).with_target_version(python::VERSION));
    let lines = Lines::new(source);
    if !parsed.errors().is_empty() {
        let fence = source.lines().next().is_some_and(|l| l.trim_start().starts_with("```"));
        let mut found: Vec<Diagnostic> = Vec::new();
        for error in parsed.errors() {
            let mut d = Diagnostic::new(Rule::Syntax, lines.span(error.location), sentence(&error.error.to_string()));
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
    let newer = parsed.unsupported_syntax_errors().iter().map(|e| (e.range, e.to_string()));
    let mut refused: Vec<python::Fault> = newer.chain(python::encoding(source)).collect();
    let ast::Mod::Module(module) = parsed.into_syntax() else {
        return Err(vec![Diagnostic::new(Rule::Syntax, Span::default(), "not a module")]);
    };
    refused.extend(python::faults(source, &module));
    if !refused.is_empty() {
        let fault = |(range, text): python::Fault| Diagnostic::new(Rule::Syntax, lines.span(range), sentence(&text));
        return Err(refused.into_iter().take(20).map(fault).collect());
    }
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

/// `nonlocal` of names that no function around binds.
fn scope_errors(body: &[Stmt]) -> Vec<Diagnostic> {
    /// `homes`: the functions around, the outermost first; `function`: whether the last one is where `body` stands.
    fn walk<'a>(body: &'a [Stmt], function: bool, homes: &mut Vec<&'a Function>, found: &mut Vec<Diagnostic>) {
        for stmt in body {
            match &stmt.kind {
                StmtKind::Function(f) => {
                    homes.push(f);
                    walk(&f.body, true, homes, found);
                    homes.pop();
                }
                StmtKind::Class(c) => walk(&c.body, false, homes, found),
                StmtKind::Nonlocal(names) => {
                    // the function itself declares it, so that one of those around must bind it
                    let around = homes.len().saturating_sub(usize::from(function));
                    let bound = |name: &Name| homes.iter().take(around).any(|f| f.locals.contains(name));
                    if let Some(name) = names.iter().find(|n| !bound(n)) {
                        let text = format!("no binding for nonlocal '{name}' found");
                        found.push(Diagnostic::new(Rule::Syntax, stmt.at.0, text));
                    }
                }
                _ => crate::walk::blocks(stmt).into_iter().for_each(|block| walk(block, function, homes, found)),
            }
        }
    }
    let mut found = Vec::new();
    walk(body, false, &mut Vec::new(), &mut found);
    found
}

/// Refuses text whose tree would be absurdly deep, before anything recursive sees it.
fn guard_nesting(source: &str) -> Result<(), Vec<Diagnostic>> {
    let Some(what) = too_deep(source) else { return Ok(()) };
    // tokens do not tell where they stand: the first line with which the text is too deep is searched for
    let starts = line_starts(source);
    let is_fine = |end: &usize| source.get(..*end).is_some_and(|text| too_deep(text).is_none());
    // [`MAX_SOURCE`] leaves no room for lines beyond 32 bits
    let line = u32::try_from(starts.partition_point(is_fine).max(1)).unwrap_or(u32::MAX);
    let span = Span { line, column: 1, end_line: line, end_column: 1 };
    Err(vec![Diagnostic::new(Rule::BudgetNesting, span, what)])
}

/// What is too deep: the brackets and words of a logical line, and the levels of indentation.
fn too_deep(source: &str) -> Option<&'static str> {
    let (mut brackets, mut words, mut indents) = (0_usize, 0_usize, 0_usize);
    let mut lexer = lex(source, Mode::Module);
    loop {
        match lexer.next_token() {
            TokenKind::EndOfFile => return None,
            TokenKind::Newline => (words, brackets) = (0, 0),
            TokenKind::NonLogicalNewline | TokenKind::Comment | TokenKind::Comma => {}
            TokenKind::Indent => indents += 1,
            TokenKind::Dedent => indents = indents.saturating_sub(1),
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => brackets = brackets.saturating_sub(1),
            kind => {
                brackets += usize::from(matches!(kind, TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace));
                words += 1;
            }
        }
        if brackets > MAX_BRACKETS {
            return Some("brackets are nested too deeply");
        } else if words > MAX_WORDS {
            return Some("the statement is too long to be read");
        } else if indents > MAX_INDENTS {
            return Some("the line is indented too deeply");
        }
    }
}
