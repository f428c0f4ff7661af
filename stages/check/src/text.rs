//! What people read.

use std::fmt::Write as _;

use program::Compiled;
use schemas::{Candidate, Locality};
use serde::{Deserialize, Serialize};

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

/// The findings about one program with excerpts of its source, and a line that sums it up.
fn human(candidate: &Candidate, compiled: Option<&Compiled>, path: &str, color: bool) -> String {
    let mut text = String::new();
    if let Some(compiled) = compiled {
        text += &program::render(&candidate.source, path, &compiled.diagnostics, color);
    }
    let of_program = compiled.map_or(0, |compiled| compiled.diagnostics.len());
    for finding in candidate.diagnostics.iter().flatten().skip(of_program) {
        let _ = writeln!(text, "{}[{}]: {}", finding.severity, finding.code, finding.message);
        if finding.line > 0 {
            let _ = writeln!(text, "  --> {path}:{}:{}", finding.line, finding.column);
        }
        if let Some(help) = &finding.help {
            let _ = writeln!(text, "  help: {help}");
        }
        text.push('\n');
    }
    let verdict = candidate.verdict.map_or("unknown", |verdict| verdict.as_str());
    let _ = write!(text, "{path}: {verdict}");
    if let Some(locality) = candidate.locality {
        let _ = write!(text, ", {locality}");
        if locality == Locality::Entangled {
            let _ =
                write!(text, " ({})", candidate.entanglement.iter().flatten().cloned().collect::<Vec<_>>().join(", "));
        }
    }
    if let (Some(params), Some(macs), Some(formula)) = (candidate.params, candidate.macs, &candidate.macs_formula) {
        let _ = write!(text, ", {params} parameters, {macs} multiply-accumulates a step ({formula})");
    }
    text.push('\n');
    text
}
