//! Inputs made by structure: no one costs more than it may. `FUZZ_COUNT` and `FUZZ_SEED` set how many and which, `FUZZ_FROM` at
//! which to begin, `FUZZ_KIND` the one kind that is made. An input follows from the seed and its number alone.

mod edits;
#[path = "../limits/mod.rs"]
mod limits;
mod nests;
mod random;
mod tensors;
mod texts;
mod values;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use limits::{Cost, MEMORY, patiently};
use program::{Factor, Verdict, locality, on_big_stack};
use random::Random;

/// A program to judge, and its parent where it is an edit of one.
pub struct Input {
    pub source: String,
    pub parent: Option<(&'static str, Factor)>,
}

impl From<String> for Input {
    fn from(source: String) -> Self {
        Self { source, parent: None }
    }
}

/// A kind of input: its name, its share of all in hundredths, and what makes one.
type Kind = (&'static str, usize, fn(&mut Random) -> Input);

const KINDS: &[Kind] = &[
    ("statements", 60, |random| values::few(random).into()),
    ("values", 4, |random| values::program(random).into()),
    ("texts", 18, |random| texts::program(random).into()),
    ("nests", 6, |random| nests::program(random).into()),
    ("tensors", 4, |random| tensors::program(random).into()),
    ("edits", 7, edits::of_small),
    ("edits of fixtures", 1, edits::of_fixture),
];

/// What the inputs of one kind cost.
#[derive(Default)]
struct Tally {
    inputs: u64,
    accepted: u64,
    /// The dearest ones, and their numbers.
    time: (Duration, u64),
    memory: (usize, u64),
}

impl Tally {
    fn add(&mut self, number: u64, accepted: bool, cost: Cost) {
        self.inputs += 1;
        self.accepted += u64::from(accepted);
        self.time = self.time.max((cost.time, number));
        self.memory = self.memory.max((cost.memory, number));
    }
}

fn input(seed: u64, number: u64, only: Option<&str>) -> (&'static str, Input) {
    let mut random = Random::of(seed, number);
    let mut at = random.below(KINDS.iter().map(|kind| kind.1).sum());
    let kind = KINDS.iter().find(|kind| match only {
        Some(name) => kind.0 == name,
        None => {
            let found = at < kind.1;
            at = at.saturating_sub(kind.1);
            found
        }
    });
    let kind = kind.unwrap_or(&KINDS[0]);
    (kind.0, kind.2(&mut random))
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|v| v.parse().ok())
}

/// The number of no input.
const NONE: u64 = u64::MAX;

/// Ends the process where one input takes for ever: nothing else would tell which.
fn watch(current: &'static AtomicU64, seed: u64, only: Option<String>) {
    std::thread::spawn(move || {
        let mut last = NONE;
        loop {
            std::thread::sleep(Duration::from_secs(60));
            let now = current.load(Ordering::Relaxed);
            if now == last && now != NONE {
                eprintln!(
                    "input {now} of seed {seed} takes over a minute:\n{}",
                    input(seed, now, only.as_deref()).1.source
                );
                std::process::abort();
            }
            last = now;
        }
    });
}

fn fuzz(count: u64, seed: u64) {
    static CURRENT: AtomicU64 = AtomicU64::new(NONE);
    let (count, seed) = (setting("FUZZ_COUNT").unwrap_or(count), setting("FUZZ_SEED").unwrap_or(seed));
    let (from, only) = (setting("FUZZ_FROM").unwrap_or(0), setting::<String>("FUZZ_KIND"));
    watch(&CURRENT, seed, only.clone());
    let start = Instant::now();
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    on_big_stack(|| {
        for number in from..from + count {
            CURRENT.store(number, Ordering::Relaxed);
            let (kind, Input { source, parent }) = input(seed, number, only.as_deref());
            let (compiled, cost) = patiently(|| {
                let compiled = limits::check(&source);
                parent.iter().for_each(|(parent, factor)| drop(locality(parent, &source, *factor)));
                compiled
            });
            assert!(cost.is_fine(), "input {number} ({kind}) of seed {seed} takes {cost:?}:\n{source}");
            let gave_up = compiled.diagnostics.iter().any(|d| d.code() == "E-INTERNAL");
            assert!(!gave_up, "input {number} ({kind}) of seed {seed}: {:?}\n{source}", compiled.diagnostics);
            tallies.entry(kind).or_default().add(number, compiled.verdict() != Verdict::Reject, cost);
            if (number + 1) % 250_000 == 0 {
                eprintln!("{} inputs of seed {seed} in {:.0} s", number + 1, start.elapsed().as_secs_f64());
            }
        }
    });
    CURRENT.store(NONE, Ordering::Relaxed);
    eprintln!("{count} inputs of seed {seed} from {from} in {:.1} s", start.elapsed().as_secs_f64());
    for (kind, tally) in &tallies {
        let (time, memory) = (tally.time, tally.memory);
        eprintln!(
            "{kind}: {} inputs, {} accepted; at most {:.1} ms (input {}) and {:.1} of {} MiB (input {})",
            tally.inputs,
            tally.accepted,
            time.0.as_secs_f64() * 1e3,
            time.1,
            memory.0 as f64 / f64::from(1 << 20),
            MEMORY >> 20,
            memory.1,
        );
    }
}

#[test]
fn no_input_costs_more_than_it_may() {
    fuzz(6000, 1);
}

#[test]
#[ignore = "half an hour or more: part of make test-full"]
fn no_input_costs_more_than_it_may_at_length() {
    fuzz(10_000_000, 2);
}

#[test]
fn an_input_follows_from_its_seed_and_number() {
    for number in 0..200 {
        assert_eq!(input(3, number, None).1.source, input(3, number, None).1.source);
    }
    let differing = (0..200).filter(|n| input(3, *n, None).1.source != input(4, *n, None).1.source).count();
    assert!(differing > 190, "{differing}");
}

#[test]
fn every_kind_reaches_what_it_is_meant_for() {
    let accepted = |kind: &str, count: u64| {
        let sources = (0..count).map(|n| input(5, n, Some(kind)).1.source);
        on_big_stack(|| sources.filter(|s| limits::check(s).processor.is_some()).count())
    };
    assert!(accepted("tensors", 40) > 8, "few random graphs are accepted");
    assert!(accepted("edits", 100) > 5, "few edits are accepted");
}
