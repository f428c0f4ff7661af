//! How long steps take.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use network::Device;
use network::speed::{KernelTime, PassesSpeed, Settings, Speed, compare_passes, measure, peak};
use program::Options;
use serde::Serialize;
use stage::exit::Negative;

use crate::args::SpeedArgs;
use crate::beside::{self, Timed};
use crate::{parity, programs};

/// One line of the answer.
#[derive(Serialize)]
struct Row {
    length: usize,
    batch_size: usize,
    hidden: usize,
    eval_length: Option<usize>,
    #[serde(flatten)]
    speed: Speed,
}

/// The answer for one program.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    row: Row,
    /// Speed of a large matrix product.
    peak_gflops: f64,
    /// Share of the peak.
    train_share: f64,
    eval_share: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    growth: Vec<Row>,
    /// Ours and others', in turn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    beside: Vec<Timed>,
}

#[derive(Serialize)]
struct Rewritten {
    program: String,
    #[serde(flatten)]
    speed: PassesSpeed,
    ratio: f64,
}

pub fn run(args: &SpeedArgs) -> Result<()> {
    let device = args.machine.init()?;
    match &args.program {
        Some(program) => one(args, program, device),
        None => passes(args, device),
    }
}

fn settings(args: &SpeedArgs) -> Settings {
    Settings {
        algorithm: args.algorithm.clone(),
        length: args.length,
        batch_size: args.batch_size,
        steps: args.steps,
        eval_length: (args.eval_length > 0).then_some(args.eval_length),
        dtype: args.machine.dtype,
        passes: !args.no_passes,
        profile: args.profile,
    }
}

fn one(args: &SpeedArgs, program: &Path, device: Device) -> Result<()> {
    let row = |settings: Settings, hidden: usize| -> Result<Row> {
        let processor = programs::from_file(program, &Options { hidden, ..Options::default() })?;
        let speed = measure(&processor, &settings, device)?;
        let Settings { length, batch_size, eval_length, .. } = settings;
        Ok(Row { length, batch_size, hidden, eval_length, speed })
    };
    let main = row(settings(args), args.hidden)?;
    let peak_gflops = peak(args.machine.dtype, device)?;
    let mut growth = Vec::new();
    for part in [2, 4].into_iter().filter(|_| args.growth) {
        let all = settings(args);
        let eval_length = all.eval_length.map(|length| (length / part).max(4));
        let all = Settings { profile: false, ..all };
        let shorter = Settings { length: (all.length / part).max(4), eval_length, ..all.clone() };
        growth.push(row(shorter, args.hidden)?);
        growth.push(row(all.clone(), (args.hidden / part).max(1))?);
        growth.push(row(Settings { batch_size: (all.batch_size / part).max(1), ..all }, args.hidden)?);
    }
    let plain = Settings { profile: false, eval_length: None, ..settings(args) };
    let beside = in_turn(args, || Ok(row(plain.clone(), args.hidden)?.speed.train_step_s))?;
    let speed = &main.speed;
    let share = |gflop: f64, seconds: f64| gflop / seconds / peak_gflops;
    let answer = Answer {
        peak_gflops,
        train_share: share(speed.train_gflop, speed.train_step_s),
        eval_share: speed.eval_s.zip(speed.eval_gflop).map(|(seconds, gflop)| share(gflop, seconds)),
        row: main,
        growth,
        beside,
    };
    if args.machine.json {
        return stage::exit::print(&format!("{}\n", serde_json::to_string(&answer)?));
    }
    stage::exit::say(&text(&answer, args, device)?)
}

/// Our training step and that of the others, in turn.
fn in_turn(args: &SpeedArgs, ours: impl Fn() -> Result<f64>) -> Result<Vec<Timed>> {
    if args.beside.is_empty() {
        return Ok(Vec::new());
    }
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if args.machine.threads == 0 { cores() } else { args.machine.threads };
    let values = [
        ("length", args.length),
        ("batch", args.batch_size),
        ("hidden", args.hidden),
        ("steps", args.steps),
        ("threads", threads),
    ];
    let mut all = vec![Timed::new("this program")];
    all.extend(args.beside.iter().map(|peer| Timed::new(&peer.name)));
    for _ in 0..args.rounds.max(1) {
        let mut times = vec![ours()?];
        for peer in &args.beside {
            times.push(peer.run(&values)?);
        }
        all.iter_mut().zip(times).for_each(|(timed, time)| timed.train_step_s.push(time));
    }
    Ok(all)
}

fn text(answer: &Answer, args: &SpeedArgs, device: Device) -> Result<String> {
    let Answer { row, peak_gflops, train_share, eval_share, growth, beside } = answer;
    let mut text = String::new();
    let reached = |gflop: f64, seconds: f64, share: f64| {
        format!(
            "{:.0} GFLOP/s, {:.0} % of libtorch's {peak_gflops:.0} in a large product",
            gflop / seconds,
            100.0 * share
        )
    };
    let Speed { train_step_s, train_gflop, eval_s, eval_gflop, .. } = row.speed;
    let what = format!("median of {}, {device}", args.steps.max(1));
    let reach = reached(train_gflop, train_step_s, *train_share);
    writeln!(text, "training step   {train_step_s:.3} s ({what}; {reach})")?;
    if let (Some(seconds), Some(gflop), Some(share)) = (eval_s, eval_gflop, *eval_share) {
        let reach = reached(gflop, seconds, share);
        writeln!(
            text,
            "evaluation      {seconds:.3} s ({} samples at N={}; {reach})",
            args.batch_size, args.eval_length
        )?;
    }
    if !beside.is_empty() {
        text.push_str(&beside::table(beside)?);
    }
    if !row.speed.kernels.is_empty() {
        writeln!(text, "\n share        each  calls  kernel (variant, sizes, part of the step: what)")?;
        for KernelTime { what, share, microseconds, calls } in &row.speed.kernels {
            writeln!(text, "{:5.1} %  {microseconds:7.2} us  {calls:5}  {what}", 100.0 * share)?;
        }
    }
    if !growth.is_empty() {
        writeln!(text, "\n   N  batch  hidden  training step   N  evaluation")?;
        for row in std::iter::once(row).chain(growth) {
            let Row { length, batch_size, hidden, eval_length, speed } = row;
            write!(text, "{length:4}  {batch_size:5}  {hidden:6}  {:11.3} s", speed.train_step_s)?;
            if let (Some(length), Some(seconds)) = (eval_length, speed.eval_s) {
                write!(text, "  {length:2}  {seconds:8.3} s")?;
            }
            writeln!(text)?;
        }
    }
    Ok(text)
}

/// What rewriting does for each of several programs.
fn passes(args: &SpeedArgs, device: Device) -> Result<()> {
    let mut rows = Vec::new();
    for path in parity::expand(&args.passes)? {
        let processor = programs::from_file(&path, &Options { hidden: args.hidden, ..Options::default() })?;
        let speed = compare_passes(&processor, &settings(args), device)?;
        let program = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        rows.push(Rewritten { program, speed, ratio: speed.ratio() });
    }
    if args.machine.json {
        stage::exit::print(&format!("{}\n", serde_json::to_string(&rows)?))?;
    } else {
        let mut text = "program                     as built  rewritten  times faster\n".to_owned();
        for Rewritten { program, speed, ratio } in &rows {
            writeln!(
                text,
                "{program:26} {:7.1} ms {:7.1} ms  {ratio:.2}",
                1e3 * speed.plain_s,
                1e3 * speed.rewritten_s
            )?;
        }
        stage::exit::say(&text)?;
    }
    if rows.iter().all(|row| row.ratio >= 1.0) { Ok(()) } else { Err(Negative.into()) }
}
