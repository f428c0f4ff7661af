//! Controls: methods that leave out what a search is said to live on, so that what it adds can be told. Everything else is
//! as in the other methods: budget, space, checks and training.
//!
//! Simple sampling with a good prompt is reported to match evolutionary code search ("Simple Baselines are Competitive with
//! Code Evolution", arXiv:2602.16805); `iid` and `sequential` are its two baselines.

use super::{Attempt, AttemptContext, Method, parent_of};
use crate::population::{EMPTY, fitness};
use crate::proposer::{Brief, Operation, Parent, Proposer, Task};

/// As `spark`, with a fair coin (a fair die, where the parent has more than two factors) in place of ASR: whether it matters which factor is chosen.
pub struct RandomRouter;

/// Every attempt edits the seed program and knows nothing of the others: independent samples.
pub struct Iid;

/// Every attempt edits the program that was accepted last: a hill climber without a population.
pub struct Sequential;

/// Random programs of the space: what the space gives without any search.
pub struct Random;

/// A brief about the seed program, without a past.
fn alone<'a>(context: &AttemptContext<'a>) -> Brief<'a> {
    Brief { population: &EMPTY, parent: context.seed, examples: Some(Vec::new()), diagnosis: None, key: context.key }
}

/// The program that was accepted last: from the seed program on, each one whose fitness is not below that of the one
/// before. Attempts of one generation do not see each other, so that all of them start from the same one.
fn accepted<'a>(context: &AttemptContext<'a>) -> Parent<'a> {
    let mut rows = context.population.rows().to_vec();
    rows.sort_by_key(|row| row.attempt);
    let mut held: Option<f64> = None;
    let mut last = context.seed;
    for row in rows {
        if let Some(value) = fitness(row)
            && held.is_none_or(|held| value >= held)
        {
            held = Some(value);
            last = parent_of(row);
        }
    }
    last
}

impl Method for RandomRouter {
    fn name(&self) -> &'static str {
        "random-router"
    }

    fn about(&self) -> &'static str {
        "control: as spark, with a coin in place of ASR"
    }

    fn attempt<'a>(&self, context: &AttemptContext<'a>, proposer: &dyn Proposer) -> Attempt<'a> {
        let parent = context.draw_parent();
        let brief = context.brief(parent, None);
        let mut coin = context.key.stream("coin");
        let factor = match parent.factors().as_slice() {
            [one, other] => Some(if coin.chance(0.5) { *one } else { *other }),
            factors => coin.choose(factors).copied(),
        };
        let directive = match proposer.direct(&brief, factor) {
            Ok(directive) => Some(directive),
            Err(error) => return Attempt::failed(parent, factor, error),
        };
        Attempt::write(proposer, &brief, Task { operation: Operation::Edit, factor, directive: None }, directive)
    }
}

impl Method for Iid {
    fn name(&self) -> &'static str {
        "iid"
    }

    fn about(&self) -> &'static str {
        "control: every attempt edits the seed program and sees no other [arXiv:2602.16805]"
    }

    fn attempt<'a>(&self, context: &AttemptContext<'a>, proposer: &dyn Proposer) -> Attempt<'a> {
        let task = Task { operation: Operation::Edit, factor: None, directive: None };
        Attempt::write(proposer, &alone(context), task, None)
    }
}

impl Method for Sequential {
    fn name(&self) -> &'static str {
        "sequential"
    }

    fn about(&self) -> &'static str {
        "control: every attempt edits the program that was accepted last [arXiv:2602.16805]"
    }

    fn attempt<'a>(&self, context: &AttemptContext<'a>, proposer: &dyn Proposer) -> Attempt<'a> {
        let brief = context.brief(accepted(context), None);
        Attempt::write(proposer, &brief, Task { operation: Operation::Edit, factor: None, directive: None }, None)
    }
}

impl Method for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn about(&self) -> &'static str {
        "control: random programs, drawn from the built-in proposer's grammar or written without a model to improve"
    }

    fn attempt<'a>(&self, context: &AttemptContext<'a>, proposer: &dyn Proposer) -> Attempt<'a> {
        let task = Task { operation: Operation::Random, factor: None, directive: None };
        Attempt::write(proposer, &alone(context), task, None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use schemas::{Candidate, Factor};

    use super::*;
    use crate::builtin::Builtin;
    use crate::methods::tests::{context, table};
    use crate::population::Population;
    use crate::proposer::{Directive, Draft, ProposeError};
    use crate::random::StreamKey;

    /// Notes how much of the past it is shown.
    struct Curious(std::cell::Cell<usize>);

    impl Proposer for Curious {
        fn name(&self) -> &'static str {
            "curious"
        }
        fn route(&self, _: &Brief<'_>) -> Result<Factor, ProposeError> {
            panic!("a control asks no router")
        }
        fn direct(&self, _: &Brief<'_>, _: Option<Factor>) -> Result<Directive, ProposeError> {
            Ok(Directive { text: "do".into(), ..Directive::default() })
        }
        fn write(&self, brief: &Brief<'_>, _: &Task<'_>) -> Result<Draft, ProposeError> {
            self.0.set(brief.population.rows().len() + brief.examples.as_ref().map_or(0, Vec::len));
            Ok(Draft { source: brief.parent.source.to_owned(), edit: String::new() })
        }
    }

    #[test]
    fn samples_start_from_the_seed_and_see_no_past() {
        let rows = table(&[0.4, 0.9]);
        let population = Population::new(&rows);
        for method in [&Iid as &dyn Method, &Random] {
            let seen = Curious(std::cell::Cell::new(9));
            let attempt = method.attempt(&context(&population, &[0, 1], 0), &seen);
            assert_eq!((attempt.parent.id, seen.0.get()), ("seed", 0), "{}", method.name());
        }
        let seen = Curious(std::cell::Cell::new(9));
        let _ = Sequential.attempt(&context(&population, &[0, 1], 0), &seen);
        assert_eq!(seen.0.get(), 2);
    }

    #[test]
    fn a_climber_goes_on_from_what_it_accepted_last() {
        let parent = |fitness: &[f64]| {
            let rows = table(fitness);
            let population = Population::new(&rows);
            let seen = Curious(std::cell::Cell::new(0));
            Sequential.attempt(&context(&population, &[], 0), &seen).parent.id.to_owned()
        };
        assert_eq!(parent(&[]), "seed");
        assert_eq!(parent(&[0.5, 0.4, 0.6, 0.55]), "id-1-2");
        // equal fitness is accepted, too: else a plateau would hold the climber
        assert_eq!(parent(&[0.5, 0.5, 0.3]), "id-1-1");
    }

    #[test]
    fn the_coin_is_fair_and_the_directive_stays() {
        let rows = table(&[0.5]);
        let population = Population::new(&rows);
        let mut operator = 0;
        for slot in 0..2000 {
            let attempt = RandomRouter.attempt(&context(&population, &[0], slot), &Curious(std::cell::Cell::new(0)));
            assert!(attempt.directive.is_some());
            operator += usize::from(attempt.factor == Some(Factor::OPERATOR));
        }
        // 5 standard deviations of 2,000 tosses
        assert!((888..=1112).contains(&operator), "{operator}");
    }

    #[test]
    fn random_programs_are_anywhere_in_the_grammar() {
        let rows: Vec<Candidate> = Vec::new();
        let population = Population::new(&rows);
        let builtin = Builtin::new().unwrap();
        let mut values: BTreeSet<(String, String)> = BTreeSet::new();
        for slot in 0..60 {
            let mut context = context(&population, &[], slot);
            context.key = StreamKey { seed: 3, ..context.key };
            let draft = Random.attempt(&context, &builtin).draft.expect("the grammar writes");
            for line in draft.source.lines().filter_map(|line| line.trim().strip_prefix("# motif: ")) {
                values
                    .extend(line.split(' ').filter_map(|pair| pair.split_once('=')).map(|(g, v)| (g.into(), v.into())));
            }
        }
        let has = |gene: &str, value: &str| values.contains(&(gene.to_owned(), value.to_owned()));
        assert!(has("mask", "path") && has("mask", "soft") && has("width", "4") && has("head", "lse"), "{values:?}");
    }
}
