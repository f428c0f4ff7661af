//! One generation of proposals: a pure function of the table so far, the settings and the seed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use schemas::{Candidate, Status};

use crate::diagnosis::Diagnosis;
use crate::islands::{self, IslandSettings};
use crate::methods::{Attempt, AttemptContext, Constants, Method};
use crate::population::Population;
use crate::proposer::{Parent, ProposeError, Proposer};
use crate::random::StreamKey;
use crate::sampling::SamplingSettings;

/// How often a place is drawn again when it repeats a known program. What still repeats one then is left to `check`.
const REDRAWS: u32 = 24;

/// Everything that a generation depends on beside the table.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Name of the run, for the column.
    pub run: &'a str,
    /// How attempts are made.
    pub method: &'a dyn Method,
    /// The program that the search starts from.
    pub seed_program: &'a str,
    /// Further programs that it starts from.
    pub further_seeds: &'a [Seed],
    /// Seed of the run.
    pub seed: u64,
    /// Which generation; 0 starts with the seed program itself.
    pub generation: i64,
    /// How many rows.
    pub count: usize,
    /// Number of the first attempt; none: it follows on those of the table.
    pub first_attempt: Option<i64>,
    /// How many generations before this one the table does not hold, since they were proposed at the same time.
    pub lag: i64,
    /// The islands.
    pub islands: IslandSettings,
    /// How parents are drawn.
    pub sampling: SamplingSettings,
    /// Whether an attempt knows of the rows of its island alone, or of all.
    pub context: Context,
    /// Diagnoses by `candidate_id`, where proposers without a model are to know of them.
    pub diagnoses: Option<&'a BTreeMap<String, Diagnosis>>,
    /// The constants of the methods.
    pub constants: Constants,
}

/// A program that a search starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Its `candidate_id`.
    pub id: String,
    /// The program.
    pub source: String,
}

/// Which rows an attempt may know of: of their outcomes the proposer is told, and among them it chooses what to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Context {
    /// The rows that were proposed on the attempt's island, and those that came to it by migration.
    #[default]
    Island,
    /// All rows of the run.
    Run,
}

/// The attempts of a generation, each of which can be made on its own and in any order.
///
/// Generation 0 has the seed program at place 0, so that its score stands in the archive for comparison, and further seeds
/// behind it; further places of generation 0 are edits of the first. Attempts go to the islands in turn.
pub struct Generation<'a> {
    plan: Plan<'a>,
    population: &'a Population<'a>,
    members: Vec<Vec<usize>>,
    /// By island, what its attempts know of; none: everything.
    known: Vec<Population<'a>>,
    seed_id: String,
    first_attempt: i64,
}

impl<'a> Generation<'a> {
    /// `seed_id` is the `candidate_id` of the seed program.
    #[must_use]
    pub fn new(population: &'a Population<'a>, plan: Plan<'a>, seed_id: String) -> Self {
        let members = islands::members(population, &plan.islands, plan.generation);
        let known = match plan.context {
            Context::Run => Vec::new(),
            Context::Island => {
                members.iter().enumerate().map(|(at, list)| known(population, at, list, &plan)).collect()
            }
        };
        let first_attempt = plan.first_attempt.unwrap_or_else(|| population.next_attempt());
        Self { plan, population, members, known, seed_id, first_attempt }
    }

    /// The places, in order.
    pub fn slots(&self) -> impl Iterator<Item = i64> + use<> {
        0..schemas::count(self.plan.count)
    }

    /// The row of a place before anything is proposed for it. `proposer` is who is going to.
    #[must_use]
    pub fn blank(&self, slot: i64, proposer: &str) -> Candidate {
        let attempt = self.first_attempt.saturating_add(slot);
        let island = islands::island_of(attempt, self.plan.islands.count);
        Candidate {
            run: self.plan.run.to_owned(),
            method: self.plan.method.name().to_owned(),
            proposer: proposer.to_owned(),
            generation: self.plan.generation,
            slot,
            attempt,
            island: i64::try_from(island).unwrap_or(0),
            status: Status::Proposed,
            ..Candidate::default()
        }
    }

    /// The row of a seed program, for the places that are theirs: the first, and one for each further seed.
    #[must_use]
    pub fn seed_row(&self, slot: i64, proposer: &str) -> Option<Candidate> {
        let place = usize::try_from(slot).ok().filter(|_| self.plan.generation == 0)?;
        let (id, source) = match place.checked_sub(1) {
            None => (self.seed_id.as_str(), self.plan.seed_program),
            Some(further) => {
                self.plan.further_seeds.get(further).map(|seed| (seed.id.as_str(), seed.source.as_str()))?
            }
        };
        Some(Candidate {
            candidate_id: id.to_owned(),
            edit: Some("seed".to_owned()),
            source: source.to_owned(),
            ..self.blank(slot, proposer)
        })
    }

    /// The situation of a place. `redraw`: how often it has been drawn before.
    #[must_use]
    pub fn context(&self, slot: i64, redraw: u32) -> AttemptContext<'_> {
        let attempt = self.first_attempt.saturating_add(slot);
        let count = self.plan.islands.count.max(1);
        let island = islands::island_of(attempt, count);
        let source = self.plan.seed_program;
        AttemptContext {
            population: self.population,
            known: self.known.get(island).unwrap_or(self.population),
            diagnoses: self.plan.diagnoses,
            constants: self.plan.constants,
            lag: self.plan.lag,
            members: self.members.get(island).map_or(&[][..], Vec::as_slice),
            islands: count,
            island,
            turn: usize::try_from(attempt).unwrap_or(0),
            seed: Parent { id: &self.seed_id, source, row: self.population.find(&self.seed_id) },
            sampling: self.plan.sampling,
            key: StreamKey { seed: self.plan.seed, stage: "propose", generation: self.plan.generation, slot, redraw },
        }
    }

    /// Makes the attempt of a place.
    #[must_use]
    pub fn attempt(&self, slot: i64, redraw: u32, proposer: &dyn Proposer) -> Attempt<'_> {
        self.plan.method.attempt(&self.context(slot, redraw), proposer)
    }
}

/// The rows of an island, rejected and failed ones included, and the members that are not its own.
fn known<'a>(population: &Population<'a>, island: usize, members: &[usize], plan: &Plan<'_>) -> Population<'a> {
    let own = |row: &Candidate| islands::island_of(row.island, plan.islands.count) == island;
    let rows = population.rows().iter().enumerate();
    Population::new(rows.filter(|(index, row)| own(row) || members.contains(index)).map(|(_, row)| *row))
}

/// A row with what an attempt was about; program, edit and status are still to be filled.
#[must_use]
pub fn attempted(blank: Candidate, attempt: &Attempt<'_>) -> Candidate {
    Candidate {
        parent_id: Some(attempt.parent.id.to_owned()),
        parent_source: Some(attempt.parent.source.to_owned()),
        factor: attempt.factor,
        directive: attempt.directive.as_ref().map(|directive| directive.text.clone()),
        ..blank
    }
}

/// The rows of a generation, and why there are fewer than were asked for, if there are.
pub struct Proposed {
    /// One row for each place, in order.
    pub rows: Vec<Candidate>,
    /// Why the proposer ended the search.
    pub ended: Option<String>,
}

/// Proposes a whole generation, place by place. A place that repeats a known program is drawn again: for proposers whose
/// attempts cost nothing. `identify` gives the `candidate_id` of a program; `on_row` hears of each row as it is made.
pub fn propose(
    population: &Population<'_>,
    plan: Plan<'_>,
    proposer: &dyn Proposer,
    identify: &dyn Fn(&str) -> String,
    on_row: &mut dyn FnMut(&Candidate),
) -> Proposed {
    let generation = Generation::new(population, plan, identify(plan.seed_program));
    let names = Names { identify, known: RefCell::default() };
    let mut known: BTreeSet<String> = population.ids().into_iter().map(str::to_owned).collect();
    let mut rows = Vec::with_capacity(plan.count);
    for slot in generation.slots() {
        let row = match generation.seed_row(slot, proposer.name()) {
            Some(row) => row,
            None => match fill(&generation, slot, proposer, &names, &known) {
                Ok(row) => row,
                Err(reason) => return Proposed { rows, ended: Some(reason) },
            },
        };
        known.insert(row.candidate_id.clone());
        on_row(&row);
        rows.push(row);
    }
    Proposed { rows, ended: None }
}

/// The `candidate_id` of each text, worked out once: a large generation draws the same programs again and again.
struct Names<'a> {
    identify: &'a dyn Fn(&str) -> String,
    /// By the hash of the text.
    known: RefCell<BTreeMap<[u8; 32], String>>,
}

impl Names<'_> {
    fn of(&self, source: &str) -> String {
        let text = *blake3::hash(source.as_bytes()).as_bytes();
        self.known.borrow_mut().entry(text).or_insert_with(|| (self.identify)(source)).clone()
    }
}

/// Makes one attempt, again and again until it brings a new program. The error is the reason why the search ends.
fn fill(
    generation: &Generation<'_>,
    slot: i64,
    proposer: &dyn Proposer,
    names: &Names<'_>,
    known: &BTreeSet<String>,
) -> Result<Candidate, String> {
    let mut redraw = 0;
    loop {
        let attempt = generation.attempt(slot, redraw, proposer);
        let mut row = attempted(generation.blank(slot, proposer.name()), &attempt);
        match attempt.draft {
            Ok(draft) => {
                row.candidate_id = names.of(&draft.source);
                row.source = draft.source;
                row.edit = Some(draft.edit);
                if redraw == REDRAWS || !known.contains(&row.candidate_id) {
                    return Ok(row);
                }
            }
            Err(ProposeError::Failed(reason)) => {
                row.status = Status::Failed;
                row.reason = Some(reason);
                return Ok(row);
            }
            Err(ProposeError::Ended(reason)) => return Err(reason),
        }
        redraw += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SEED_PROGRAM;
    use crate::builtin::Builtin;
    use crate::methods;

    fn identify(source: &str) -> String {
        blake3::hash(source.as_bytes()).to_hex().chars().take(16).collect()
    }

    fn generation(
        population: &Population<'_>,
        method: &str,
        generation: i64,
        count: usize,
        seed: u64,
    ) -> Vec<Candidate> {
        let builtin = Builtin::new().unwrap();
        let plan = Plan {
            run: "test",
            method: methods::named(method).unwrap(),
            seed_program: SEED_PROGRAM,
            further_seeds: &[],
            seed,
            generation,
            count,
            first_attempt: None,
            lag: 0,
            islands: IslandSettings { count: 3, migration_interval: 2, migrants: 1 },
            sampling: SamplingSettings { exploration: 0.3, exploitation: 0.5 },
            context: Context::Island,
            diagnoses: None,
            constants: Constants::default(),
        };
        propose(population, plan, &builtin, &identify, &mut |_| ()).rows
    }

    /// Scores rows by their text, some not at all.
    fn evaluate(rows: &mut [Candidate]) {
        for row in rows {
            let byte = f64::from(*blake3::hash(row.source.as_bytes()).as_bytes().first().unwrap());
            row.status = if byte < 40.0 && row.parent_id.is_some() { Status::Rejected } else { Status::Scored };
            row.fitness = (row.status == Status::Scored).then_some(byte / 255.0);
        }
    }

    fn search(method: &str, seed: u64, generations: i64, shuffle: bool) -> Vec<Candidate> {
        let mut table: Vec<Candidate> = Vec::new();
        for number in 0..generations {
            let mut rows = generation(&Population::new(&table), method, number, if number == 0 { 1 } else { 7 }, seed);
            evaluate(&mut rows);
            table.extend(rows);
            if shuffle {
                table.reverse();
            }
        }
        table.sort_by_key(|row| row.attempt);
        table
    }

    #[test]
    fn every_method_searches_and_repeats_itself_exactly() {
        for method in methods::all() {
            let table = search(method.name(), 1, 6, false);
            assert_eq!(table.len(), 36, "{}", method.name());
            assert!(table.iter().all(|row| row.status != Status::Failed), "{}", method.name());
            assert_eq!(table, search(method.name(), 1, 6, true), "{}", method.name());
            assert_ne!(table, search(method.name(), 2, 6, false), "{}", method.name());
            let ids: BTreeSet<&str> = table.iter().map(|row| row.candidate_id.as_str()).collect();
            assert_eq!(ids.len(), table.len(), "{} repeats a program", method.name());
        }
    }

    #[test]
    fn parents_come_from_the_own_island() {
        let table = search("spark", 5, 9, false);
        let settings = IslandSettings { count: 3, migration_interval: 2, migrants: 1 };
        let population = Population::new(&table);
        let mut strangers = 0;
        for row in table.iter().filter(|row| row.generation > 0) {
            let members = islands::members(&population, &settings, row.generation);
            let island = &members[usize::try_from(row.island).unwrap()];
            let parent = row.parent_id.as_deref().unwrap();
            let found = island.iter().find(|&&index| population.get(index).unwrap().candidate_id == parent);
            let parent = population.get(*found.expect("the parent is a member of the island")).unwrap();
            strangers += usize::from(parent.parent_id.is_some() && parent.island != row.island);
        }
        assert!(strangers > 0, "no migrant ever became a parent: the test would not notice closed islands");
    }

    #[test]
    fn attempts_know_of_their_island() {
        let table = search("spark", 5, 6, false);
        let population = Population::new(&table);
        let plan = |context| Plan {
            run: "test",
            method: methods::named("spark").unwrap(),
            seed_program: SEED_PROGRAM,
            further_seeds: &[],
            seed: 5,
            generation: 6,
            count: 6,
            first_attempt: None,
            lag: 0,
            islands: IslandSettings { count: 3, migration_interval: 2, migrants: 1 },
            sampling: SamplingSettings { exploration: 0.3, exploitation: 0.5 },
            context,
            diagnoses: None,
            constants: Constants::default(),
        };
        let (narrow, wide) = (plan(Context::Island), plan(Context::Run));
        let narrow = Generation::new(&population, narrow, identify(SEED_PROGRAM));
        let wide = Generation::new(&population, wide, identify(SEED_PROGRAM));
        for slot in 0..6 {
            let context = narrow.context(slot, 0);
            let (known, members) = (context.known.rows(), context.members);
            let native = known.iter().filter(|row| row.parent_id.is_some() && row.island == context.island as i64);
            let of_island = table.iter().filter(|row| row.parent_id.is_some() && row.island == context.island as i64);
            assert_eq!(native.count(), of_island.count());
            let strangers: Vec<_> = known.iter().filter(|row| row.island != context.island as i64).collect();
            assert!(!strangers.is_empty() && strangers.len() < 6, "the seed program, and who migrated");
            assert!(strangers.iter().all(|row| members.iter().any(|&m| population.get(m).unwrap() == **row)));
            assert_eq!(wide.context(slot, 0).known.rows().len(), table.len());
        }
    }

    #[test]
    fn generation_zero_begins_with_the_seed() {
        let rows = generation(&Population::new(&[]), "spark", 0, 3, 0);
        let seed = &rows[0];
        assert_eq!((seed.source.as_str(), seed.parent_id.as_deref(), seed.factor), (SEED_PROGRAM, None, None));
        assert!(rows[1..].iter().all(|row| row.parent_id.as_ref() == Some(&seed.candidate_id)));
        assert!(rows[1..].iter().all(|row| row.factor.is_some() && row.directive.is_some()));
        assert_eq!(
            rows.iter().map(|row| (row.slot, row.attempt, row.island)).collect::<Vec<_>>(),
            [(0, 0, 0), (1, 1, 1), (2, 2, 2)]
        );
    }
}
