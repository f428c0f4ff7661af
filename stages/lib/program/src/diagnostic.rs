//! What the checker has to say about a program: data first, text last.

use std::fmt;

use crate::rules::Rule;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use graph::Span;
use schemas::Severity;

/// What kind of fault a diagnostic is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// The text is not a program of Python 3.11.
    Syntax,
    /// A name or an attribute that does not exist.
    Name,
    /// Shapes or types of tensors that do not fit.
    Shape,
    /// The factory or `forward` is not as the contract asks for.
    Interface,
    /// Markers of regions that are missing or wrong.
    Region,
    /// An edit that leaves its factor.
    Entangled,
    /// A program that costs too much.
    Budget,
    /// What a candidate may not do.
    Forbidden,
    /// What Python or PyTorch has and the candidate language does not.
    Unsupported,
    /// Numbers that can become infinite or NaN.
    Numeric,
    /// Parts of the network that have no effect.
    DeadCode,
}

impl Category {
    /// Its name in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Name => "name",
            Self::Shape => "shape",
            Self::Interface => "interface",
            Self::Region => "region",
            Self::Entangled => "entangled",
            Self::Budget => "budget",
            Self::Forbidden => "forbidden",
            Self::Unsupported => "unsupported",
            Self::Numeric => "numeric",
            Self::DeadCode => "dead-code",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A second place that explains the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Line 0 where the note is about no place in particular.
    pub line: u32,
    /// Column of the place, in characters from 1.
    pub column: u32,
    /// What is to be said about it.
    pub message: String,
}

/// One fault or warning; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What it is an instance of.
    pub rule: Rule,
    /// The rule's own, but for an assertion about shapes.
    pub category: Category,
    /// The line in which it begins, from 1.
    pub line: u32,
    /// The column in which it begins, in characters from 1.
    pub column: u32,
    /// The line in which it ends.
    pub end_line: u32,
    /// The column behind its end.
    pub end_column: u32,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What the author can do about it.
    pub help: Option<String>,
    /// Further places that explain it.
    pub notes: Vec<Note>,
}

impl Diagnostic {
    /// A diagnostic of `rule` at `span`.
    pub fn new(rule: Rule, span: Span, message: impl Into<String>) -> Self {
        // faults of the whole file stand on its first line
        let (line, column) = (span.line.max(1), span.column.max(1));
        Self {
            rule,
            category: rule.category(),
            line,
            column,
            end_line: span.end_line.max(line),
            end_column: if span.end_line <= line { span.end_column.max(column) } else { span.end_column.max(1) },
            message: message.into(),
            help: None,
            notes: Vec::new(),
        }
    }

    /// Adds what the author can do about it.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Adds a second place (or none, for a span of line 0).
    pub fn note(mut self, span: Span, text: impl Into<String>) -> Self {
        self.notes.push(Note { line: span.line, column: span.column, message: text.into() });
        self
    }

    /// Stable, such as `E-SHAPE-BROADCAST`.
    pub fn code(&self) -> &'static str {
        self.rule.code()
    }

    /// Whether it rejects the program or warns of it.
    pub fn severity(&self) -> Severity {
        self.rule.severity()
    }

    /// Whether it rejects the program.
    pub fn is_error(&self) -> bool {
        self.severity() == Severity::Error
    }
}

/// Byte offset of a line and column of `source`, clamped to it.
fn offset(source: &str, starts: &[usize], line: u32, column: u32) -> usize {
    let line = (line.max(1) as usize - 1).min(starts.len().saturating_sub(1));
    let start = starts.get(line).copied().unwrap_or(0);
    let end = starts.get(line + 1).map_or(source.len(), |next| next.saturating_sub(1));
    let text = source.get(start..end).unwrap_or("");
    let within = text.char_indices().nth(column.max(1) as usize - 1).map_or(text.len(), |(at, _)| at);
    start + within
}

/// The diagnostics as text with source excerpts, in the manner of rustc.
pub fn render(source: &str, path: &str, diagnostics: &[Diagnostic], color: bool) -> String {
    let starts = crate::parse::line_starts(source);
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for d in diagnostics {
        let start = offset(source, &starts, d.line, d.column);
        let end = offset(source, &starts, d.end_line, d.end_column).max(start);
        let level = if d.is_error() { Level::ERROR } else { Level::WARNING };
        let mut snippet = Snippet::source(source).path(path).line_start(1).fold(true);
        snippet = snippet.annotation(AnnotationKind::Primary.span(start..end));
        for note in d.notes.iter().filter(|n| n.line > 0) {
            let at = offset(source, &starts, note.line, note.column);
            snippet = snippet.annotation(AnnotationKind::Context.span(at..at).label(&note.message));
        }
        let mut group: Group<'_> = level.primary_title(&d.message).id(d.code()).element(snippet);
        for note in d.notes.iter().filter(|n| n.line == 0) {
            group = group.element(Level::NOTE.message(&note.message));
        }
        if let Some(help) = &d.help {
            group = group.element(Level::HELP.message(help));
        }
        text.push_str(&renderer.render(&[group]));
        text.push_str("\n\n");
    }
    text
}
