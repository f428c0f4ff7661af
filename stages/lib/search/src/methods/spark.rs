//! SPARK: where, then how (Liu et al., "Structured Progressive Knowledge Activation for LLM-Driven Neural Architecture
//! Search", arXiv:2605.04057, ICML 2026).
//!
//! An attempt takes three steps after its parent is drawn: ASR chooses the factor, RC writes a directive for it, SAR
//! writes the program. The variants of the ablation each leave out steps and are the same in everything else: the same
//! parents are drawn at the same places, and the steps that remain use the same random streams.
//!
//! What differs from the reference implementation (AIM-NAS/SPARK), whose two agents are a reviewer and a writer: three agents,
//! as its README describes them; prompts with a history and examples, where it shows none; every scored candidate joins its
//! island, where it keeps those that improve; fitness from a split of its own, where it takes the test split. Its OPERATOR edits may
//! touch both regions: here two local edits of one attempt take their place (`search.operator`).

use super::{Attempt, AttemptContext, Method};
use crate::proposer::{Operation, Proposer, Task};

/// SPARK or one of its ablations.
pub struct Spark {
    name: &'static str,
    about: &'static str,
    /// Whether the factor is chosen first (ASR). Without it both regions may change.
    route: bool,
    /// Whether the edit gets a directive (RC). Without it the writer decides.
    direct: bool,
}

/// The method itself.
pub const SPARK: Spark = Spark {
    name: "spark",
    about: "choose the factor (ASR), say what to do with it (RC), write it (SAR) [arXiv:2605.04057]",
    route: true,
    direct: true,
};

/// Where, without how.
pub const ASR_ONLY: Spark = Spark {
    name: "asr-only",
    about: "ablation of spark: the factor is chosen, and no directive is written",
    route: true,
    direct: false,
};

/// How, without where.
pub const RC_SAR_ONLY: Spark = Spark {
    name: "rc-sar-only",
    about: "ablation of spark: a directive is written for the whole program, and no factor is chosen",
    route: false,
    direct: true,
};

/// Neither.
pub const FREE_FORM: Spark = Spark {
    name: "free-form",
    about: "ablation of spark: neither factor nor directive, any edit of both regions",
    route: false,
    direct: false,
};

impl Method for Spark {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn attempt<'a>(&self, context: &AttemptContext<'a>, proposer: &dyn Proposer) -> Attempt<'a> {
        let parent = context.draw_parent();
        let brief = context.brief(parent, None);
        let factor = match self.route.then(|| proposer.route(&brief)).transpose() {
            Ok(factor) => factor,
            Err(error) => return Attempt::failed(parent, None, error),
        };
        let directive = match self.direct.then(|| proposer.direct(&brief, factor)).transpose() {
            Ok(directive) => directive,
            Err(error) => return Attempt::failed(parent, factor, error),
        };
        Attempt::write(proposer, &brief, Task { operation: Operation::Edit, factor, directive: None }, directive)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use schemas::{Candidate, Factor};

    use super::*;
    use crate::population::Population;
    use crate::population::examples::scored;
    use crate::proposer::{Brief, Directive, Draft, Parent, ProposeError};
    use crate::random::StreamKey;
    use crate::sampling::SamplingSettings;

    /// Notes what it was asked for.
    #[derive(Default)]
    struct Recorder(RefCell<Vec<String>>);

    impl Proposer for Recorder {
        fn name(&self) -> &'static str {
            "recorder"
        }
        fn route(&self, brief: &Brief<'_>) -> Result<Factor, ProposeError> {
            self.0.borrow_mut().push(format!("route {}", brief.parent.id));
            Ok(Factor::ACTION)
        }
        fn direct(&self, brief: &Brief<'_>, factor: Option<Factor>) -> Result<Directive, ProposeError> {
            self.0.borrow_mut().push(format!("direct {} {factor:?}", brief.parent.id));
            Ok(Directive { text: "do".into(), ..Directive::default() })
        }
        fn write(&self, brief: &Brief<'_>, task: &Task<'_>) -> Result<Draft, ProposeError> {
            let directive = task.directive.map(|d| d.text.as_str());
            self.0.borrow_mut().push(format!("write {} {:?} {directive:?}", brief.parent.id, task.factor));
            Ok(Draft { source: String::new(), edit: String::new() })
        }
    }

    fn asked(method: &Spark) -> Vec<String> {
        let rows: Vec<Candidate> = (0..6).map(|slot| scored(1, slot, 0, 0.5)).collect();
        let population = Population::new(&rows);
        let context = AttemptContext {
            population: &population,
            known: &population,
            diagnoses: None,
            constants: crate::methods::Constants::default(),
            lag: 0,
            members: &[0, 1, 2, 3, 4, 5],
            islands: 1,
            island: 0,
            turn: 0,
            seed: Parent { id: "seed", source: "", row: None },
            sampling: SamplingSettings { exploration: 0.2, exploitation: 0.7 },
            key: StreamKey { seed: 3, stage: "propose", generation: 1, slot: 0, redraw: 0 },
        };
        let recorder = Recorder::default();
        let _ = method.attempt(&context, &recorder);
        recorder.0.into_inner()
    }

    #[test]
    fn variants_differ_in_the_ablated_step_alone() {
        let spark = asked(&SPARK);
        let [route, direct, write] = spark.as_slice() else { panic!("{spark:?}") };
        assert!(write.ends_with("Some(ACTION) Some(\"do\")"), "{write}");
        let no_directive = write.replace("Some(\"do\")", "None");
        let no_factor = |step: &str| step.replace("Some(ACTION)", "None");
        assert_eq!(asked(&ASR_ONLY), [route.clone(), no_directive.clone()]);
        assert_eq!(asked(&RC_SAR_ONLY), [no_factor(direct), no_factor(write)]);
        assert_eq!(asked(&FREE_FORM), [no_factor(&no_directive)]);
    }
}
