//! How busy `search.lag` keeps many machines: a simulation of the order in which generations wait for each other.
//!
//! Trainings are served in the order in which they were proposed; their times are log-normal. Nothing else takes time: neither
//! a queue's delays, nor `check`, `score` and `select`, nor rounds of racing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use anyhow::Result;
use clap::Args as Group;
use search::random::StreamKey;
use serde::Serialize;
use stage::config::Search;
use stage::{Config, Usage};

/// Say how busy a lag between generations keeps many GPUs (search.lag), without running anything
#[derive(Group, Debug)]
pub struct SimulateArgs {
    /// GPUs, each of which makes one training at a time
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub gpus: usize,

    /// Candidates of each search
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub candidates: usize,

    /// Trainings of each candidate
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub seeds: usize,

    /// Candidates of a generation [search.generation_size]
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub generation: usize,

    /// Minutes of a training, on average
    #[arg(long, value_name = "MINUTES", default_value_t = 20.0)]
    pub minutes: f64,

    /// Standard deviation of a training's time, as a share of its mean
    #[arg(long, value_name = "SHARE", default_value_t = 0.25)]
    pub spread: f64,

    /// Minutes in which a generation is proposed
    #[arg(long, value_name = "MINUTES", default_value_t = 4.0)]
    pub proposing: f64,

    /// Lags to compare
    #[arg(long, value_name = "LAG,...", value_delimiter = ',', default_values_t = [0, 1, 2, 4, 7])]
    pub lag: Vec<usize>,

    /// Searches side by side on the same GPUs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub searches: usize,

    /// Seed of the times
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,

    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// What came of one lag.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Outcome {
    lag: usize,
    /// From the first proposal to the last archive.
    hours: f64,
    /// Share of the GPUs' time in which they trained, from 0 to 1.
    utilisation: f64,
    /// All trainings, spread evenly over the GPUs.
    ideal_hours: f64,
}

/// Prints a line for each lag.
pub fn simulate(args: &SimulateArgs) -> Result<()> {
    let positive = |name: &str, value: f64| {
        let right = value.is_finite() && value > 0.0;
        if right { Ok(()) } else { Err(Usage(format!("--{name} {value}: it must be more than 0"))) }
    };
    for (name, number) in [
        ("gpus", args.gpus),
        ("candidates", args.candidates),
        ("seeds", args.seeds),
        ("generation", args.generation),
        ("searches", args.searches),
    ] {
        positive(name, number as f64)?;
        if number > 1_000_000 {
            return Err(Usage(format!("--{name} {number}: it must be at most 1000000")).into());
        }
    }
    positive("minutes", args.minutes)?;
    for (name, value) in [("spread", args.spread), ("proposing", args.proposing)] {
        if !value.is_finite() || value < 0.0 {
            return Err(Usage(format!("--{name} {value}: it must be 0 or more")).into());
        }
    }
    let mut text = String::new();
    if !args.json {
        text.push_str("lag    hours   ideal   GPUs busy\n");
    }
    for &lag in &args.lag {
        let outcome = Simulation::new(args, lag).run();
        text.push_str(&if args.json {
            format!("{}\n", serde_json::to_string(&outcome)?)
        } else {
            let Outcome { hours, ideal_hours, utilisation, .. } = outcome;
            format!("{lag:3} {hours:8.1} {ideal_hours:7.1} {:9.0} %\n", 100.0 * utilisation)
        });
    }
    stage::exit::print(&text)
}

/// Something that happens at a time, in minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Event {
    time: f64,
    /// The order in which events were foreseen: of two events at one time the one that was foreseen first comes first.
    number: usize,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    /// A search's generation is proposed.
    Proposed { search: usize },
    /// A training of a generation has ended.
    Trained { search: usize, generation: u32 },
}

impl Eq for Event {}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.time.total_cmp(&other.time).then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Where one search stands.
#[derive(Clone, Debug, Default)]
struct State {
    /// The generation that is proposed next, or is being proposed.
    next: u32,
    proposing: bool,
    /// Trainings that are still to end, by generation.
    open: Vec<usize>,
    /// How many archives there are.
    archives: u32,
}

struct Simulation<'a> {
    args: &'a SimulateArgs,
    settings: Search,
    searches: Vec<State>,
    events: BinaryHeap<Reverse<Event>>,
    foreseen: usize,
    waiting: VecDeque<(usize, u32, f64)>,
    free: usize,
    now: f64,
    /// Minutes that GPUs were busy, all together.
    work: f64,
}

impl<'a> Simulation<'a> {
    fn new(args: &'a SimulateArgs, lag: usize) -> Self {
        let (attempts, generation_size) = (args.candidates, args.generation);
        Self {
            args,
            settings: Search { lag, attempts, generation_size, ..Config::default().search.clone() },
            searches: vec![State::default(); args.searches],
            events: BinaryHeap::new(),
            foreseen: 0,
            waiting: VecDeque::new(),
            free: args.gpus,
            now: 0.0,
            work: 0.0,
        }
    }

    fn run(mut self) -> Outcome {
        self.go_on();
        while let Some(Reverse(event)) = self.events.pop() {
            self.now = event.time;
            match event.what {
                What::Proposed { search } => self.proposed(search),
                What::Trained { search, generation } => {
                    self.free += 1;
                    let state = self.searches.get_mut(search);
                    if let Some(open) = state.and_then(|state| state.open.get_mut(generation as usize)) {
                        *open -= 1;
                    }
                }
            }
            self.go_on();
        }
        let (hours, ideal_hours) = (self.now / 60.0, self.work / self.args.gpus as f64 / 60.0);
        Outcome { lag: self.settings.lag, hours, ideal_hours, utilisation: ideal_hours / hours }
    }

    /// The trainings of a generation wait for GPUs.
    fn proposed(&mut self, search: usize) {
        let Some(state) = self.searches.get_mut(search) else { return };
        let generation = state.next;
        let count = self.settings.share(generation) * self.args.seeds;
        state.next += 1;
        state.proposing = false;
        state.open.push(count);
        for training in 0..count {
            let minutes = minutes(self.args, search, generation, training);
            self.work += minutes;
            self.waiting.push_back((search, generation, minutes));
        }
    }

    /// Everything begins that can.
    fn go_on(&mut self) {
        for search in 0..self.searches.len() {
            let Some(state) = self.searches.get_mut(search) else { continue };
            while state.open.get(state.archives as usize) == Some(&0) {
                state.archives += 1;
            }
            let known = self.settings.archive_before(state.next).is_none_or(|archive| archive < state.archives);
            if !state.proposing && known && state.next <= self.settings.last_generation() {
                state.proposing = true;
                // Nobody has to be asked for the seed program.
                let minutes = if state.next == 0 { 0.0 } else { self.args.proposing };
                self.foresee(minutes, What::Proposed { search });
            }
        }
        while self.free > 0
            && let Some((search, generation, minutes)) = self.waiting.pop_front()
        {
            self.free -= 1;
            self.foresee(minutes, What::Trained { search, generation });
        }
    }

    fn foresee(&mut self, minutes: f64, what: What) {
        self.events.push(Reverse(Event { time: self.now + minutes, number: self.foreseen, what }));
        self.foreseen += 1;
    }
}

/// The time of a training, the same at every lag: log-normal (Box and Muller's method).
fn minutes(args: &SimulateArgs, search: usize, generation: u32, training: usize) -> f64 {
    let key = StreamKey {
        seed: args.seed.wrapping_add(search as u64),
        stage: "simulate",
        generation: i64::from(generation),
        slot: schemas::count(training),
        redraw: 0,
    };
    let mut stream = key.stream("minutes");
    let (radius, angle) = ((-2.0 * (1.0 - stream.unit()).ln()).sqrt(), std::f64::consts::TAU * stream.unit());
    let variance = (1.0 + args.spread * args.spread).ln();
    args.minutes * (variance.sqrt() * radius * angle.cos() - variance / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn outcome(lag: usize, line: &[&str]) -> Outcome {
        let args = Line::parse_from([&["simulate"], line].concat()).args;
        Simulation::new(&args, lag).run()
    }

    #[test]
    fn without_lag_each_generation_waits_for_the_one_before() {
        let exact = [
            "--spread=0",
            "--gpus=4",
            "--candidates=6",
            "--generation=2",
            "--seeds=1",
            "--minutes=60",
            "--proposing=0",
        ];
        // The seed program, then three generations of two, an hour each: 7 hours of work in 4 hours on 4 GPUs.
        let found = outcome(0, &exact);
        assert_eq!((found.hours, found.ideal_hours, found.utilisation), (4.0, 1.75, 1.75 / 4.0));
        // All generations are proposed from the seed program's archive: four trainings in the second hour, two in the third.
        assert_eq!(outcome(2, &exact).hours, 3.0);
        // Two generations are under way at a time.
        assert_eq!(outcome(1, &exact).hours, 3.0);
        // An option is given once.
        let one = exact.map(|word| if word == "--gpus=4" { "--gpus=1" } else { word });
        let found = outcome(0, &one);
        assert_eq!((found.hours, found.utilisation), (7.0, 1.0));
    }

    #[test]
    fn proposing_takes_its_time_and_searches_share_the_gpus() {
        let line = [
            "--spread=0",
            "--gpus=2",
            "--candidates=1",
            "--generation=1",
            "--seeds=1",
            "--minutes=60",
            "--proposing=30",
        ];
        assert_eq!(outcome(0, &line).hours, 2.5);
        let two = outcome(0, &[line.as_slice(), &["--searches=2"]].concat());
        assert_eq!((two.hours, two.ideal_hours), (2.5, 2.0));
    }

    #[test]
    fn times_have_the_mean_and_spread_that_were_asked_for() {
        let args = Line::parse_from(["simulate", "--minutes=20", "--spread=0.25"]).args;
        let times: Vec<f64> = (0..20_000).map(|training| minutes(&args, 0, 1, training)).collect();
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / times.len() as f64;
        // Five standard errors of the mean and of the deviation.
        assert!((mean - 20.0).abs() < 0.18 && (variance.sqrt() - 5.0).abs() < 0.2, "{mean} {}", variance.sqrt());
    }

    #[test]
    fn lag_keeps_gpus_busy_and_never_changes_the_work() {
        let found = [0, 2, 7].map(|lag| outcome(lag, &["--candidates=200"]));
        assert!(found.windows(2).all(|pair| pair[0].utilisation < pair[1].utilisation));
        assert!(found.iter().all(|outcome| outcome.ideal_hours == found[0].ideal_hours && outcome.utilisation <= 1.0));
    }
}
