//! The candidate language for language models: what `check` knows of it, and exactly its verdicts.

use std::ops::Range;

use check::Rules;
use llm::{Checker, Judgement};
use schemas::{Candidate, Factor, Status};
use search::region::Region;
use stage::Config;

/// The language page, and `check`.
pub struct Language {
    page: String,
    rules: Rules,
}

impl Language {
    pub fn new(config: &Config) -> Self {
        Self { page: program::language_page(), rules: Rules::new(config) }
    }
}

impl Checker for Language {
    fn language(&self) -> &str {
        &self.page
    }

    fn judge(&self, source: &str, scope: Option<(&str, Factor)>) -> Judgement {
        let candidate = Candidate {
            method: self.rules.method.clone(),
            source: source.to_owned(),
            parent_source: scope.map(|(parent, _)| parent.to_owned()),
            factor: scope.map(|(_, factor)| factor),
            status: Status::Proposed,
            ..Candidate::default()
        };
        let inspection = check::inspect(&candidate, &self.rules);
        let accepted = inspection.candidate.status == Status::Accepted;
        let report = if accepted { String::new() } else { check::human(&inspection, "program.py", false) };
        Judgement { accepted, report }
    }

    fn region(&self, source: &str, factor: Factor) -> Option<Range<usize>> {
        // a reply to splice from may have one region alone
        let Ok(regions) = program::regions::find(source) else {
            return Region::find(source, factor).map(|region| region.range());
        };
        let region = match factor {
            Factor::Operator => regions.operator,
            Factor::Action => regions.action,
        };
        let line_start = |line: u32| source.split_inclusive('\n').take(line as usize).map(str::len).sum();
        // the lines after the one and before the other marker
        Some(line_start(region.begin)..line_start(region.end.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language() -> Language {
        Language::new(&Config::default())
    }

    #[test]
    fn regions_in_both_spellings() {
        let ours = search::SEED_PROGRAM;
        let theirs = ours
            .replace("===== BEGIN ACTION REGION =====", "=== EVOLVE TRI_MSGS START")
            .replace("===== END ACTION REGION =====", "=== EVOLVE TRI_MSGS END");
        let body = Region::find(ours, Factor::Action).unwrap().text();
        for source in [ours, &theirs, &ours.replace("OPERATOR REGION", "OTHER")] {
            assert_eq!(source.get(language().region(source, Factor::Action).unwrap()).unwrap(), body);
        }
        assert_eq!(language().region("x = 1\n", Factor::Action), None);
    }

    #[test]
    fn verdicts_are_those_of_check() {
        let (seed, language) = (search::SEED_PROGRAM, language());
        let action = |body: &str| Region::find(seed, Factor::Action).unwrap().splice(body);
        let fine = action("        tri_msgs = self.o3((self.t_e_1(edge_fts) + self.t_e_2(edge_fts)))\n");
        let scope = Some((seed, Factor::Action));
        assert_eq!(language.judge(&fine, scope), Judgement { accepted: true, report: String::new() });
        let broken = action("        tri_msgs = self.t_9(z)\n");
        let report = language.judge(&broken, scope).report;
        assert!(report.contains("t_9") && report.contains("program.py:"), "{report}");
        let elsewhere = language.judge(&fine, Some((seed, Factor::Operator)));
        assert!(!elsewhere.accepted && !elsewhere.report.is_empty());
        assert!(language.judge(&fine, None).accepted);
    }
}
