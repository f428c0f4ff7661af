//! How fast batches are drawn, solved and spelt out on one thread: `cargo bench -p clrs`, `-- --json` for JSON, `-- dfs`
//! for some algorithms only, `-- --length 64` for another length.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use clrs::{Algorithm, Sampler, SamplerArgs, SamplerConfig, algorithms};

const BATCH_SIZE: usize = 32;
/// Length of string matching at length 16, as in the reference's trainer.
const STRING_SHARE: (usize, usize) = (5, 4);
const ENOUGH: Duration = Duration::from_millis(300);

/// Seconds that dm-clrs 2.0.3 takes for a batch of 32 at length 16 (20 for string matching), arguments of training:
/// CPU time of one core of a 2-core x86-64 virtual machine, Python 3.11, numpy 2.4.6, without the cost of JAX.
const REFERENCE: [(&str, f64); 30] = [
    ("activity_selector", 0.00618),
    ("articulation_points", 0.03971),
    ("bellman_ford", 0.00981),
    ("bfs", 0.00695),
    ("binary_search", 0.00399),
    ("bridges", 0.04148),
    ("bubble_sort", 0.03093),
    ("dag_shortest_paths", 0.01563),
    ("dfs", 0.02374),
    ("dijkstra", 0.00839),
    ("find_maximum_subarray_kadane", 0.00818),
    ("floyd_warshall", 0.06021),
    ("graham_scan", 0.19231),
    ("heapsort", 0.0335),
    ("insertion_sort", 0.00614),
    ("jarvis_march", 0.22459),
    ("kmp_matcher", 0.01291),
    ("lcs_length", 0.02577),
    ("matrix_chain_order", 0.13201),
    ("minimum", 0.00488),
    ("mst_kruskal", 0.01695),
    ("mst_prim", 0.00848),
    ("naive_string_matcher", 0.00643),
    ("optimal_bst", 0.02122),
    ("quickselect", 0.01686),
    ("quicksort", 0.01802),
    ("segments_intersect", 0.00479),
    ("strongly_connected_components", 0.06855),
    ("task_scheduling", 0.00646),
    ("topological_sort", 0.0204),
];

struct Options {
    json: bool,
    length: usize,
    names: Vec<String>,
}

impl Options {
    fn parse() -> Self {
        let mut options = Self { json: false, length: 16, names: Vec::new() };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--json" => options.json = true,
                "--length" => options.length = words.next().and_then(|n| n.parse().ok()).unwrap_or(options.length),
                // What cargo says to every benchmark.
                "--bench" => {}
                name => options.names.push(name.to_owned()),
            }
        }
        options
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let mut out = io::stdout().lock();
    if !options.json {
        writeln!(out, "batches of {BATCH_SIZE} at length {}, one thread", options.length)?;
        writeln!(out, "{:30} {:>12} {:>12} {:>14}", "", "batches/s", "ms/batch", "dm-clrs takes")?;
    }
    for algorithm in
        algorithms().iter().filter(|a| options.names.is_empty() || options.names.iter().any(|n| n == a.name))
    {
        let seconds = seconds_per_batch(algorithm, options.length);
        let reference = REFERENCE.iter().find(|(name, _)| *name == algorithm.name && options.length == 16);
        let times = reference.map(|(_, reference)| reference / seconds);
        let (name, rate) = (algorithm.name, 1.0 / seconds);
        if options.json {
            let times = times.map_or("null".to_owned(), |times| format!("{times:.1}"));
            let length = options.length;
            writeln!(
                out,
                "{{\"algorithm\":\"{name}\",\"length\":{length},\"batch_size\":{BATCH_SIZE},\"seconds_per_batch\":{seconds:.3e},\
                 \"batches_per_second\":{rate:.1},\"times_dm_clrs\":{times}}}"
            )?;
        } else {
            let times = times.map_or(String::new(), |times| format!("{times:.0} times as long"));
            writeln!(out, "{name:30} {rate:>12.0} {:>12.3} {times:>22}", seconds * 1e3)?;
        }
    }
    Ok(())
}

/// The best of several rounds: what the machine does when nobody else wants it.
fn seconds_per_batch(algorithm: &'static Algorithm, length: usize) -> f64 {
    let (times, of) = STRING_SHARE;
    let length = if algorithm.is_string_matching() { (length * times / of).max(17) } else { length };
    let args = SamplerArgs::training(algorithm);
    let config = SamplerConfig { args, track_max_steps: false, ..SamplerConfig::on_the_fly(0, length) };
    let mut sampler = Sampler::new(algorithm, config).expect("lengths from 4 on suit every algorithm");
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed() < ENOUGH || best.is_infinite() {
        const ROUND: u32 = 4;
        let round = Instant::now();
        for _ in 0..ROUND {
            std::hint::black_box(sampler.next(BATCH_SIZE).expect("it was made"));
        }
        best = best.min(round.elapsed().as_secs_f64() / f64::from(ROUND));
    }
    best
}
