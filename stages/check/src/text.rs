//! What people read.

use std::fmt::Write as _;

use schemas::Locality;

use crate::Inspection;

/// The findings about one program with excerpts of its source, and a line that sums it up.
pub fn human(inspection: &Inspection, path: &str, color: bool) -> String {
    let candidate = &inspection.candidate;
    let mut text = String::new();
    if let Some(compiled) = &inspection.compiled {
        text += &program::render(&candidate.source, path, &compiled.diagnostics, color);
    }
    let of_program = inspection.compiled.as_ref().map_or(0, |compiled| compiled.diagnostics.len());
    for finding in inspection.diagnostics.iter().skip(of_program) {
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
