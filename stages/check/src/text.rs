//! What people read.

use std::fmt::Write as _;

use program::Compiled;
use schemas::{Candidate, Locality};
use serde::{Deserialize, Serialize};
use stage::terminal::{aligned, block, line};

use crate::explain::explain;

/// What people are to be shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Show {
    /// What the program is called.
    pub name: String,
    /// Whether colours are wanted.
    pub color: bool,
    /// Whether each line is to be shown with its costs, too.
    pub costs: bool,
}

impl Show {
    /// The findings alone, without colours.
    pub fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), color: false, costs: false }
    }

    /// The findings about a checked candidate and, where wanted, the costs of its lines at `nodes` nodes.
    pub(crate) fn text(&self, candidate: &Candidate, compiled: Option<&Compiled>, nodes: i64) -> String {
        let mut text = human(candidate, compiled, &self.name, self.color);
        if self.costs
            && let Some(processor) = compiled.and_then(|compiled| compiled.processor.as_ref())
        {
            text += &explain(&candidate.source, processor, nodes);
        }
        text
    }
}

/// The findings about one program with excerpts of its source, and a line that sums it up. Nothing from outside can steer a
/// terminal: in excerpts each character that could is one visible character, so that marks below it stay in their columns.
fn human(candidate: &Candidate, compiled: Option<&Compiled>, path: &str, color: bool) -> String {
    let path = line(path);
    let mut text = String::new();
    if let Some(compiled) = compiled {
        let diagnostics: Vec<_> = compiled.diagnostics.iter().map(tame).collect();
        text += &program::render(&aligned(&candidate.source), &path, &diagnostics, color);
    }
    let of_program = compiled.map_or(0, |compiled| compiled.diagnostics.len());
    for finding in candidate.diagnostics.iter().flatten().skip(of_program) {
        let _ = writeln!(text, "{}[{}]: {}", finding.severity, line(&finding.code), block(&finding.message));
        if finding.line > 0 {
            let _ = writeln!(text, "  --> {path}:{}:{}", finding.line, finding.column);
        }
        if let Some(help) = &finding.help {
            let _ = writeln!(text, "  help: {}", block(help));
        }
        text.push('\n');
    }
    let verdict = candidate.verdict.map_or("unknown", |verdict| verdict.as_str());
    let _ = write!(text, "{path}: {verdict}");
    if let Some(locality) = candidate.locality {
        let _ = write!(text, ", {locality}");
        if locality == Locality::Entangled {
            let kinds: Vec<_> = candidate.entanglement.iter().flatten().map(|kind| line(kind)).collect();
            let _ = write!(text, " ({})", kinds.join(", "));
        }
    }
    if let (Some(params), Some(macs), Some(formula)) = (candidate.params, candidate.macs, &candidate.macs_formula) {
        let _ = write!(text, ", {params} parameters, {macs} multiply-accumulates a step ({formula})");
    }
    text.push('\n');
    text
}

/// A diagnostic whose texts, which may repeat the program's, cannot steer a terminal.
fn tame(diagnostic: &program::Diagnostic) -> program::Diagnostic {
    let mut tame = diagnostic.clone();
    let texts = tame.help.iter_mut().chain(tame.notes.iter_mut().map(|note| &mut note.message));
    for text in texts.chain(std::iter::once(&mut tame.message)) {
        *text = block(text).into_owned();
    }
    tame
}
