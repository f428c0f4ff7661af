//! Proposals that did not get a score, by reason.

use std::collections::BTreeMap;

use schemas::{Candidate, Diagnostic, Locality, Severity, Status};

use crate::run::Run;

/// All proposals that were lost for one reason.
#[derive(Clone, Debug)]
pub struct Loss<'a> {
    /// Where it happened: `check`, `train`, `propose`, ...
    pub stage: &'static str,
    /// Category of the first error, kind of entanglement, kind of fault of an attempt without a program, or status.
    pub category: String,
    /// Code of the first error; empty where there is none.
    pub code: String,
    pub count: usize,
    /// The first such row, and what was said about it.
    pub example: &'a Candidate,
    pub message: String,
    /// Line of the fault, from 1; None where no line is to blame.
    pub line: Option<i64>,
    pub help: Option<String>,
}

/// Reasons, the commonest first. Programs still in the pipeline (accepted, trained) are not lost.
pub fn losses(run: &Run) -> Vec<Loss<'_>> {
    let mut groups: BTreeMap<(&'static str, String, String), Loss<'_>> = BTreeMap::new();
    for row in run.proposals() {
        if let Some(loss) = loss(row) {
            groups
                .entry((loss.stage, loss.category.clone(), loss.code.clone()))
                .and_modify(|known| known.count += 1)
                .or_insert(loss);
        }
    }
    let mut list: Vec<_> = groups.into_values().collect();
    list.sort_by_key(|loss| std::cmp::Reverse(loss.count));
    list
}

fn loss(row: &Candidate) -> Option<Loss<'_>> {
    let stage = match row.status {
        Status::Scored | Status::Accepted | Status::Trained => return None,
        Status::Rejected | Status::Duplicate => "check",
        Status::Proposed => "propose",
        Status::Timeout | Status::Oom | Status::Crashed | Status::Diverged | Status::Stopped => "train",
        Status::Failed if row.verdict.is_none() => "propose",
        Status::Failed if row.val_acc.is_some() => "score",
        Status::Failed => "train",
    };
    let reason = row.reason.clone().unwrap_or_default();
    let plain = |category: String, message: String| Loss {
        stage,
        category,
        code: String::new(),
        count: 1,
        example: row,
        message,
        line: None,
        help: None,
    };
    if row.status == Status::Rejected {
        let first = |severity| row.diagnostics.iter().flatten().find(|d: &&Diagnostic| d.severity == severity);
        if let Some(fault) = first(Severity::Error) {
            return Some(Loss {
                code: fault.code.clone(),
                line: (fault.line > 0).then_some(fault.line),
                help: fault.help.clone(),
                ..plain(fault.category.clone(), fault.message.clone())
            });
        }
        if row.locality == Some(Locality::Entangled) {
            let kinds = row.entanglement.as_deref().unwrap_or_default().join(", ");
            let message = if reason.is_empty() { kinds.clone() } else { reason };
            let code = row.entanglement.iter().flatten().next().cloned().unwrap_or_default();
            return Some(Loss { code, ..plain("entangled edit".into(), message) });
        }
    }
    if row.status == Status::Duplicate {
        let of = row.duplicate_of.as_deref().map(|id| format!("the same graph as {id}")).unwrap_or_default();
        return Some(plain("duplicate".into(), if reason.is_empty() { of } else { reason }));
    }
    let category = if stage == "propose" { kind(&reason) } else { None };
    Some(plain(category.unwrap_or(row.status.as_str()).to_owned(), reason.clone()))
}

/// The kind of fault that an attempt without a program names first: `timeout` of `timeout: no byte in 60 s`.
fn kind(reason: &str) -> Option<&str> {
    let (kind, _) = reason.split_once(':')?;
    let word = |c: char| c.is_ascii_lowercase() || c == '-' || c == ' ';
    (!kind.is_empty() && kind.len() <= 24 && kind.chars().all(word)).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Beside;
    use schemas::Verdict;

    #[test]
    fn attempts_without_a_program_are_grouped_by_the_kind_of_fault() {
        let failed = |attempt: i64, reason: &str| Candidate {
            attempt,
            status: Status::Failed,
            reason: Some(reason.into()),
            parent_id: Some("c0".into()),
            ..Candidate::default()
        };
        let rows = ["timeout: 1", "unusable reply: x: y", "timeout: 2", "http://a", "Why: no", ""];
        let rows = rows.iter().zip(1..).map(|(reason, attempt)| failed(attempt, reason)).collect();
        let run = Run::new("r".into(), rows, Beside::default());
        let found: Vec<_> = losses(&run).iter().map(|l| (l.stage, l.category.clone(), l.count)).collect();
        let of = |category: &str, count| ("propose", category.to_owned(), count);
        assert_eq!(found, [of("failed", 2), of("timeout", 2), of("http", 1), of("unusable reply", 1)]);
    }

    #[test]
    fn reasons_are_grouped_and_the_commonest_comes_first() {
        let fault = |code: &str| Diagnostic {
            severity: Severity::Error,
            category: "shape".into(),
            code: code.into(),
            line: 7,
            column: 3,
            message: format!("{code} message"),
            help: None,
        };
        let rejected = |attempt: i64, code: &str| Candidate {
            attempt,
            candidate_id: format!("c{attempt}"),
            parent_id: Some("c0".into()),
            status: Status::Rejected,
            verdict: Some(Verdict::Reject),
            diagnostics: Some(vec![fault(code)]),
            ..Candidate::default()
        };
        let mut entangled = rejected(4, "");
        entangled.diagnostics = None;
        entangled.locality = Some(Locality::Entangled);
        entangled.entanglement = Some(vec!["frozen-code".into()]);
        let mut slow = rejected(5, "");
        slow.status = Status::Timeout;
        slow.reason = Some("killed after 60 s".into());
        let run = Run::new(
            "r".into(),
            vec![rejected(1, "E1"), rejected(2, "E2"), rejected(3, "E2"), entangled, slow],
            Beside::default(),
        );
        let list = losses(&run);
        let short: Vec<_> = list.iter().map(|l| (l.stage, l.category.as_str(), l.code.as_str(), l.count)).collect();
        assert_eq!(short[0], ("check", "shape", "E2", 2));
        assert!(short.contains(&("check", "entangled edit", "frozen-code", 1)));
        assert!(short.contains(&("train", "timeout", "", 1)));
        assert_eq!((list[0].line, list[0].message.as_str()), (Some(7), "E2 message"));
    }
}
