//! The search methods. Each is one module that says how an attempt is made, and what its archive tells apart; budget,
//! proposer, check and training are the same for all. Adding one: write its module, and name it in [`all`].

mod controls;
pub mod eoh;
pub mod evoprompting;
pub mod funsearch;
mod openevolve;
mod spark;

use std::collections::BTreeMap;

use schemas::{Candidate, Factor};

use crate::diagnosis::Diagnosis;
use crate::features::Feature;
use crate::population::Population;
use crate::proposer::{Brief, Directive, Draft, Parent, ProposeError, Proposer, Task};
use crate::random::StreamKey;
use crate::sampling::{self, SamplingSettings};

/// Numbers that the sources of the methods fix; settings of the sections `evoprompting`, `funsearch` and `eoh`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Constants {
    /// The constants of `evoprompting`.
    pub evoprompting: evoprompting::Constants,
    /// The constants of `funsearch`.
    pub funsearch: funsearch::Constants,
    /// The constants of `eoh`.
    pub eoh: eoh::Constants,
}

/// What an attempt is made from.
pub struct AttemptContext<'a> {
    /// Every row of the run so far: what the method itself selects from.
    pub population: &'a Population<'a>,
    /// The rows that the attempt may be told of.
    pub known: &'a Population<'a>,
    /// Diagnoses by `candidate_id`, where proposers without a model are to know of them.
    pub diagnoses: Option<&'a BTreeMap<String, Diagnosis>>,
    /// The constants of the methods.
    pub constants: Constants,
    /// How many generations before its own an attempt knows nothing of, beside those that it follows on.
    pub lag: i64,
    /// Members of the attempt's island, as indices into the population's rows.
    pub members: &'a [usize],
    /// Number of islands, at least 1.
    pub islands: usize,
    /// The attempt's island, below `islands`.
    pub island: usize,
    /// Number of the attempt within the run, from 0.
    pub turn: usize,
    /// The seed program, which every island falls back on while it has no member.
    pub seed: Parent<'a>,
    /// How parents are drawn.
    pub sampling: SamplingSettings,
    /// The place of the attempt.
    pub key: StreamKey,
}

impl<'a> AttemptContext<'a> {
    /// A parent by the law of [`sampling::parent`]; the seed program where the island is empty. All methods that draw
    /// parents this way draw the same ones at the same place.
    #[must_use]
    pub fn draw_parent(&self) -> Parent<'a> {
        let index = sampling::parent(self.population, self.members, &self.sampling, &mut self.key.stream("parent"));
        self.parent_at(index)
    }

    /// The row at an index as a parent; the seed program where there is none.
    #[must_use]
    pub fn parent_at(&self, index: Option<usize>) -> Parent<'a> {
        index.and_then(|index| self.population.get(index)).map_or(self.seed, parent_of)
    }

    /// What a proposer gets to know; `examples`: which programs it is to show, where the method has a say in it.
    #[must_use]
    pub fn brief(&self, parent: Parent<'a>, examples: Option<Vec<&'a Candidate>>) -> Brief<'a> {
        let diagnosis = self.diagnoses.and_then(|known| known.get(parent.id));
        Brief { population: self.known, parent, examples, diagnosis, key: self.key }
    }
}

/// A row as a parent.
#[must_use]
pub fn parent_of(row: &Candidate) -> Parent<'_> {
    Parent { id: &row.candidate_id, source: &row.source, row: Some(row) }
}

/// One attempt, made.
#[derive(Debug, Clone)]
pub struct Attempt<'a> {
    /// Where it started.
    pub parent: Parent<'a>,
    /// The factor that was chosen, if one was.
    pub factor: Option<Factor>,
    /// The directive that was given, if one was.
    pub directive: Option<Directive>,
    /// The program, or why there is none.
    pub draft: Result<Draft, ProposeError>,
}

impl<'a> Attempt<'a> {
    /// The usual end of an attempt: have it written.
    fn write(proposer: &dyn Proposer, brief: &Brief<'a>, task: Task<'_>, directive: Option<Directive>) -> Self {
        let (operation, factor) = (task.operation, task.factor);
        let draft = proposer.write(brief, &Task { operation, factor, directive: directive.as_ref() });
        Self { parent: brief.parent, factor, directive, draft }
    }

    /// An attempt that failed before there was anything to write.
    fn failed(parent: Parent<'a>, factor: Option<Factor>, error: ProposeError) -> Self {
        Self { parent, factor, directive: None, draft: Err(error) }
    }
}

/// A way to search.
pub trait Method: Sync {
    /// Its name in settings and in the column `method`.
    fn name(&self) -> &'static str;

    /// What it does, in a sentence, with its source.
    fn about(&self) -> &'static str;

    /// What the cells of its archive are made of, unless the settings say otherwise; none: an island is one cell.
    fn features(&self) -> &'static [Feature] {
        &[]
    }

    /// Makes one attempt.
    fn attempt<'a>(&self, context: &AttemptContext<'a>, proposer: &dyn Proposer) -> Attempt<'a>;
}

/// All methods, in the order in which help lists them.
#[must_use]
pub fn all() -> &'static [&'static dyn Method] {
    &[
        &spark::SPARK,
        &spark::ASR_ONLY,
        &spark::RC_SAR_ONLY,
        &spark::FREE_FORM,
        &openevolve::OpenEvolve,
        &evoprompting::EvoPrompting,
        &funsearch::FunSearch,
        &eoh::Eoh,
        &controls::RandomRouter,
        &controls::Iid,
        &controls::Sequential,
        &controls::Random,
    ]
}

/// The method of a name.
#[must_use]
pub fn named(name: &str) -> Option<&'static dyn Method> {
    all().iter().copied().find(|method| method.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::examples::scored;

    /// Writes nothing.
    pub(super) struct Silent;

    impl Proposer for Silent {
        fn name(&self) -> &'static str {
            "silent"
        }
        fn route(&self, _: &Brief<'_>) -> Result<Factor, ProposeError> {
            Ok(Factor::OPERATOR)
        }
        fn direct(&self, _: &Brief<'_>, _: Option<Factor>) -> Result<Directive, ProposeError> {
            Ok(Directive::default())
        }
        fn write(&self, _: &Brief<'_>, _: &Task<'_>) -> Result<Draft, ProposeError> {
            Err(ProposeError::Failed("nothing to say".to_owned()))
        }
    }

    pub(super) fn key(slot: i64) -> StreamKey {
        StreamKey { seed: 4, stage: "propose", generation: 2, slot, redraw: 0 }
    }

    /// Rows of generation 1 with these fitnesses.
    pub(super) fn table(fitness: &[f64]) -> Vec<Candidate> {
        fitness.iter().enumerate().map(|(slot, &fitness)| scored(1, slot as i64, 0, fitness)).collect()
    }

    pub(super) fn context<'a>(population: &'a Population<'a>, members: &'a [usize], slot: i64) -> AttemptContext<'a> {
        AttemptContext {
            population,
            known: population,
            diagnoses: None,
            constants: Constants::default(),
            lag: 0,
            members,
            islands: 1,
            island: 0,
            turn: 0,
            seed: Parent { id: "seed", source: crate::SEED_PROGRAM, row: None },
            sampling: SamplingSettings { exploration: 0.2, exploitation: 0.7 },
            key: key(slot),
        }
    }

    #[test]
    fn names_are_unique_and_lead_back() {
        for method in all() {
            assert_eq!(named(method.name()).map(Method::name), Some(method.name()));
            assert!(!method.about().is_empty());
        }
        assert!(named("guess").is_none());
        let names: std::collections::BTreeSet<&str> = all().iter().map(|method| method.name()).collect();
        assert_eq!(names.len(), 12);
    }

    #[test]
    fn every_method_passes_a_failure_on() {
        let rows = table(&[0.3, 0.6]);
        let population = Population::new(&rows);
        for method in all() {
            let attempt = method.attempt(&context(&population, &[0, 1], 0), &Silent);
            assert_eq!(attempt.draft, Err(ProposeError::Failed("nothing to say".to_owned())), "{}", method.name());
        }
        // An empty table: everything starts from the seed program.
        let empty = Population::new(&[]);
        for method in all() {
            assert_eq!(method.attempt(&context(&empty, &[], 0), &Silent).parent.id, "seed", "{}", method.name());
        }
    }
}
