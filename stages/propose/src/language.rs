//! The candidate language for language models: what `check` knows of it, and exactly its verdicts.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use check::{Inspectors, Rules, Show};
use llm::{Checker, Judgement};
use schemas::{Candidate, Factor, Status};
use search::region::Region;
use stage::Config;
use stage::config::Editable;

/// The language page, and `check`.
pub struct Language {
    page: String,
    /// Whether edits without a factor may change any part of the program.
    whole_file: bool,
    inspectors: Inspectors,
    /// Why the machine could not check a program.
    fault: Mutex<Option<String>>,
}

impl Language {
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        Self::with(Inspectors::new(&Rules::new(config))?, config)
    }

    fn with(inspectors: Inspectors, config: &Config) -> anyhow::Result<Self> {
        let whole_file = config.search.editable == Editable::File;
        Ok(Self { page: program::language_page(), whole_file, inspectors, fault: Mutex::default() })
    }
}

impl Checker for Language {
    fn language(&self) -> &str {
        &self.page
    }

    fn judge(&self, source: &str, parent: &str, factor: Option<Factor>) -> Judgement {
        // Where nothing is out of bounds there is nothing to compare.
        let bounded = factor.is_some() || !self.whole_file;
        let candidate = Candidate {
            source: source.to_owned(),
            parent_source: bounded.then(|| parent.to_owned()),
            factor,
            status: Status::Proposed,
            ..Candidate::default()
        };
        match self.inspectors.inspect(&candidate, Some(&Show::plain("program.py"))) {
            Ok(inspection) if inspection.candidate.status == Status::Accepted => {
                Judgement { accepted: true, report: String::new(), graph: inspection.candidate.graph_hash }
            }
            Ok(inspection) => {
                Judgement { accepted: false, report: inspection.text, graph: inspection.candidate.graph_hash }
            }
            Err(error) => {
                *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error:#}"));
                Judgement { accepted: false, report: "the program could not be checked".to_owned(), graph: None }
            }
        }
    }

    fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn region(&self, source: &str, factor: Factor) -> Option<Range<usize>> {
        Region::find(source, factor).map(|region| region.range())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language() -> Language {
        let config = Config::default();
        Inspectors::here(&Rules::new(&config)).and_then(|here| Language::with(here, &config)).expect("plain rules")
    }

    #[test]
    fn regions_in_both_spellings() {
        let ours = search::SEED_PROGRAM;
        let theirs = ours
            .replace("===== BEGIN ACTION REGION =====", "=== EVOLVE TRI_MSGS START")
            .replace("===== END ACTION REGION =====", "=== EVOLVE TRI_MSGS END");
        let body = Region::find(ours, Factor::ACTION).unwrap().text();
        for source in [ours, &theirs, &ours.replace("OPERATOR REGION", "OTHER")] {
            assert_eq!(source.get(language().region(source, Factor::ACTION).unwrap()).unwrap(), body);
        }
        assert_eq!(language().region("x = 1\n", Factor::ACTION), None);
    }

    #[test]
    fn verdicts_are_those_of_check() {
        let (seed, language) = (search::SEED_PROGRAM, language());
        let action = |body: &str| Region::find(seed, Factor::ACTION).unwrap().splice(body);
        let fine = action("        tri_msgs = self.o3((self.t_e_1(edge_fts) + self.t_e_2(edge_fts)))\n");
        let scope = Some(Factor::ACTION);
        let judged = language.judge(&fine, seed, scope);
        assert!(judged.accepted && judged.report.is_empty());
        assert_ne!(judged.graph, language.judge(seed, seed, None).graph);
        let renamed = fine
            .replace("tri_msgs = self.o3(", "both = (")
            .replace("edge_fts)))\n", "edge_fts)))\n        tri_msgs = self.o3(both)\n");
        assert_eq!(judged.graph, language.judge(&renamed, seed, scope).graph, "names are no difference");
        let broken = action("        tri_msgs = self.t_9(z)\n");
        let report = language.judge(&broken, seed, scope).report;
        assert!(report.contains("t_9") && report.contains("program.py:"), "{report}");
        let elsewhere = language.judge(&fine, seed, Some(Factor::OPERATOR));
        assert!(!elsewhere.accepted && !elsewhere.report.is_empty());
        assert!(language.judge(&fine, seed, None).accepted);
    }
}
