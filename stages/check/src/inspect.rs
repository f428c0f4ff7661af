//! One candidate: compile it, compare it with its parent, and fill in its columns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use graph::Processor;
use program::Compiled;
use program::Rule;
use schemas::{Candidate, Diagnostic, Factor, Locality, Severity, Status, Verdict};
use serde::{Deserialize, Serialize};
use stage::config::Entangled;

use crate::reach::Forms;
use crate::{Rules, Show};

/// The one kind of entanglement that stays within the regions.
const OTHER_REGION: &str = "other-region";

/// What a candidate turned out to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inspection {
    /// The candidate, with all columns of this stage filled in but `duplicate_of`.
    pub candidate: Candidate,
    /// Names and shapes of its parameters, in order; none where it was rejected.
    pub params: Vec<(String, Vec<usize>)>,
    /// The findings for people; empty where nobody asked.
    pub text: String,
}

/// A candidate after its examination.
struct Examined {
    compiled: Compiled,
    candidate: Candidate,
}

/// Inspects one candidate, in this process. A panic within is a fault of ours, and this candidate's alone: it is rejected with
/// code `E-INTERNAL`.
pub fn inspect(candidate: &Candidate, rules: &Rules, show: Option<&Show>) -> Inspection {
    let whole = || {
        let Examined { compiled, candidate } = examine(candidate, rules);
        let text = show.map_or_else(String::new, |show| show.text(&candidate, Some(&compiled), rules.train_length));
        let params = compiled.processor.iter().flat_map(|processor| processor.graph.params());
        let params = params.map(|param| (param.name.clone(), param.shape.clone())).collect();
        Inspection { candidate, params, text }
    };
    match quietly(|| program::on_big_stack(whole)) {
        Ok(inspection) => inspection,
        Err(message) => dead(candidate, Rule::Internal, &format!("the checker gave up: {message}"), show),
    }
}

fn examine(candidate: &Candidate, rules: &Rules) -> Examined {
    let compiled = program::compile(&candidate.source, &rules.options);
    let mut diagnostics: Vec<Diagnostic> = compiled.diagnostics.iter().map(convert).collect();
    let mut checked = Candidate { reason: None, duplicate_of: None, ..candidate.clone() };
    if rules.compare {
        checked.graph_edit_distance = None;
        checked.changed_frozen_outputs = None;
        checked.frozen_outputs_changed = None;
    }
    if checked.candidate_id.is_empty() {
        checked.candidate_id = program::candidate_id(&candidate.source);
    }
    checked.verdict = Some(compiled.verdict());
    if let Some(processor) = &compiled.processor {
        let forms = measure(&mut checked, processor, rules);
        if rules.compare {
            rules.parents.compare(&mut checked, &forms, &rules.options);
        }
    }
    if rules.compare {
        locate(&mut checked, &mut diagnostics, rules);
    }
    let first = diagnostics.iter().find(|d| d.severity == Severity::Error);
    checked.reason = first.map(|d| format!("{}: line {}: {}", d.code, d.line, d.message));
    checked.status = if checked.verdict == Some(Verdict::Reject) { Status::Rejected } else { Status::Accepted };
    checked.diagnostics = Some(diagnostics);
    Examined { compiled, candidate: checked }
}

/// Parameters, arithmetic, memory, and the graph's hash. Returns the normal forms of its graphs.
fn measure(candidate: &mut Candidate, processor: &Processor, rules: &Rules) -> Forms {
    let outputs = processor.outputs();
    let costs = graph::costs(&processor.graph, &outputs);
    let (batch, nodes) = rules.largest;
    candidate.params = i64::try_from(costs.params).ok();
    candidate.macs = costs.macs.eval(1, rules.train_length);
    candidate.macs_formula = Some(costs.macs.to_string());
    candidate.peak_bytes = costs.peak_inference.eval(batch, nodes);
    candidate.peak_bytes_formula = Some(costs.peak_inference.to_string());
    let forms = Forms::new(processor);
    candidate.graph_hash = Some(forms.whole.to_string());
    forms
}

/// Whether the edit stayed within its factor, where there is a parent to compare with.
fn locate(candidate: &mut Candidate, diagnostics: &mut Vec<Diagnostic>, rules: &Rules) {
    let Some(parent) = candidate.parent_source.as_deref() else { return };
    let beyond = |found: &program::Locality| found.kinds.iter().any(|kind| kind != OTHER_REGION);
    let (found, frozen) = match candidate.factor {
        Some(factor) => (program::locality(parent, &candidate.source, factor), false),
        None => unscoped(parent, &candidate.source, beyond),
    };
    let entangled = found.verdict == program::LocalityVerdict::Entangled;
    let rejects = entangled && rules.rejects(candidate, frozen);
    // Where all regions may change, an edit of another one is not a fault.
    let may_both = candidate.factor.is_none() && rules.entangled == Entangled::Auto;
    for mut finding in found.diagnostics.iter().map(convert) {
        // what is wrong with the text alone has been said
        if diagnostics.iter().any(|d| (&d.code, d.line, d.column) == (&finding.code, finding.line, finding.column)) {
            continue;
        }
        if !rejects || (may_both && finding.code == Rule::EntangledRegion.code()) {
            finding.severity = Severity::Note;
        }
        diagnostics.push(finding);
    }
    candidate.locality = Some(if entangled { Locality::Entangled } else { Locality::Local });
    candidate.entanglement = Some(found.kinds.clone());
    candidate.edit_distance_operator = i64::try_from(found.edit_distance.operator).ok();
    candidate.edit_distance_action = i64::try_from(found.edit_distance.action).ok();
    candidate.edit_distance_frozen = i64::try_from(found.edit_distance.frozen).ok();
    if rejects {
        candidate.verdict = Some(Verdict::Reject);
        if !diagnostics.iter().any(|d| d.severity == Severity::Error) {
            let message = format!("the edit reaches beyond its factor: {}", found.kinds.join(", "));
            diagnostics.push(fault(Rule::EntangledFrozen, message));
        }
    }
}

/// How far an edit reaches that was free to choose its factor, and whether it reaches beyond all regions. It is local when it is so
/// for any of the parent's factors.
fn unscoped(parent: &str, source: &str, beyond: impl Fn(&program::Locality) -> bool) -> (program::Locality, bool) {
    let mut factors = program::regions::factors(parent);
    // what is wrong with a parent without regions is the same for any factor
    let last = factors.pop().unwrap_or(Factor::ACTION);
    let mut all = Vec::new();
    for factor in factors {
        let found = program::locality(parent, source, factor);
        if found.verdict == program::LocalityVerdict::Local {
            return (found, false);
        }
        all.push(found);
    }
    let last = program::locality(parent, source, last);
    if last.verdict == program::LocalityVerdict::Local || all.is_empty() {
        let frozen = beyond(&last);
        return (last, frozen);
    }
    let frozen = beyond(&last) || all.iter().any(&beyond);
    // What one region binds of frozen code only a look at that region finds.
    let first = if beyond(&last) { None } else { all.into_iter().rev().find(|found| beyond(found)) };
    (first.unwrap_or(last), frozen)
}

fn convert(found: &program::Diagnostic) -> Diagnostic {
    Diagnostic {
        severity: found.severity(),
        category: found.category.as_str().to_owned(),
        code: found.code().to_owned(),
        line: found.line.into(),
        column: found.column.into(),
        message: found.message.clone(),
        help: found.help.clone(),
    }
}

fn fault(rule: Rule, message: String) -> Diagnostic {
    let (category, code) = (rule.category().as_str().to_owned(), rule.code().to_owned());
    Diagnostic { severity: rule.severity(), category, code, line: 0, column: 0, message, help: None }
}

/// A candidate that the checker did not survive, or would not have.
pub fn dead(candidate: &Candidate, rule: Rule, message: &str, show: Option<&Show>) -> Inspection {
    let help = if rule == Rule::Internal {
        "this is a fault of the checker, not of the program: please report it with the program"
    } else {
        "write the program in a simpler way"
    };
    let diagnostic = Diagnostic { help: Some(help.to_owned()), ..fault(rule, message.to_owned()) };
    let candidate = Candidate {
        status: Status::Rejected,
        verdict: Some(Verdict::Reject),
        reason: Some(format!("{}: {message}", rule.code())),
        diagnostics: Some(vec![diagnostic]),
        ..candidate.clone()
    };
    let text = show.map_or_else(String::new, |show| show.text(&candidate, None, 0));
    Inspection { candidate, params: Vec::new(), text }
}

/// How many candidates are being examined, on whatever thread: their panics are findings, not messages.
static EXAMINING: AtomicUsize = AtomicUsize::new(0);

/// Runs `work`; a panic in it becomes its message, and is not printed.
fn quietly<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if EXAMINING.load(Ordering::SeqCst) == 0 {
                usual(info);
            }
        }));
    });
    EXAMINING.fetch_add(1, Ordering::SeqCst);
    // Nothing that the panic may have left half done is looked at again.
    let result = catch_unwind(AssertUnwindSafe(work));
    EXAMINING.fetch_sub(1, Ordering::SeqCst);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
    })
}

/// Whether `check` has a say about a row: one that has been trained, or that failed before, is left as it is.
pub fn settle(candidate: &Candidate) -> bool {
    matches!(candidate.status, Status::Proposed | Status::Accepted | Status::Rejected | Status::Duplicate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_rows_rejection() {
        let message = quietly(|| -> u8 { panic!("index {} is out of bounds", 7) }).expect_err("it panics");
        assert_eq!(message, "index 7 is out of bounds");
        let row = dead(&Candidate::default(), Rule::Internal, &message, None).candidate;
        assert_eq!((row.status, row.verdict), (Status::Rejected, Some(Verdict::Reject)));
        let found = &row.diagnostics.expect("a diagnostic")[0];
        assert_eq!((found.category.as_str(), found.code.as_str()), ("unsupported", "E-INTERNAL"));
    }
}
