//! What the checker has to say about a program: data first, text last.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use graph::Span;

/// Whether a diagnostic rejects the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The program is refused.
    Error,
    /// The program is accepted, and part of it is probably not what was meant.
    Warning,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What kind of fault a diagnostic is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    Syntax,
    Name,
    Shape,
    Interface,
    Region,
    Entangled,
    Budget,
    Forbidden,
    Unsupported,
    Numeric,
    DeadCode,
}

impl Category {
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
    pub column: u32,
    pub message: String,
}

/// One fault or warning; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub category: Category,
    /// Stable, such as `E-SHAPE-BROADCAST`; see [`crate::docs`].
    pub code: &'static str,
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    pub end_column: u32,
    pub message: String,
    pub help: Option<String>,
    pub notes: Vec<Note>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(category: Category, code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, category, code, span, message.into())
    }

    /// A warning at `span`.
    pub fn warning(category: Category, code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, category, code, span, message.into())
    }

    fn new(severity: Severity, category: Category, code: &'static str, span: Span, message: String) -> Self {
        // faults of the whole file stand on its first line
        let (line, column) = (span.line.max(1), span.column.max(1));
        Self {
            severity,
            category,
            code,
            line,
            column,
            end_line: span.end_line.max(line),
            end_column: if span.end_line <= line { span.end_column.max(column) } else { span.end_column.max(1) },
            message,
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

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
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
        let mut group: Group<'_> = level.primary_title(&d.message).id(d.code).element(snippet);
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
