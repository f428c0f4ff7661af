//! Learning curves of the best candidates and of the seed program.

use std::collections::BTreeMap;

use schemas::{Candidate, CurvePoint};

use super::{Figure, HALF, LINE_POINTS, RIGHT, WIDTH, thin};
use crate::analysis::smooth::{self, Line, OfLength};
use crate::draw::theme::series;
use crate::draw::{FOOT, Format, GUTTER, Panel, Scale, Svg, legend};
use crate::run::{Run, short_id};
use crate::text::percent;

/// How many of the best candidates are shown beside the seed program.
const BEST: usize = 5;

struct Curves<'a> {
    row: &'a Candidate,
    class: String,
    name: String,
    /// Accuracy by step, mean over the training seeds that were measured at the step.
    accuracy: Line,
    /// Loss by step, likewise, as means over whole rounds of the lengths.
    loss: Line,
    /// Loss of each training seed, smoothed likewise.
    each: Vec<Line>,
}

/// None when the run has no curves of these candidates.
pub fn curves(run: &Run) -> Option<Figure> {
    let seed = run.seed_program();
    let is_seed = |row: &&Candidate| seed.is_some_and(|seed| seed.candidate_id == row.candidate_id);
    let mut shown: Vec<&Candidate> = Vec::new();
    for row in run.ranking() {
        if shown.len() < BEST && !is_seed(&row) && !shown.iter().any(|known| known.candidate_id == row.candidate_id) {
            shown.push(row);
        }
    }
    shown.extend(seed);
    let list: Vec<Curves<'_>> = shown
        .iter()
        .enumerate()
        .filter_map(|(i, row)| {
            let seeds = run.curves.get(&row.candidate_id)?;
            let (class, name) = if is_seed(row) {
                (series(7), "seed program".into())
            } else {
                (series(COLOURS[i % COLOURS.len()]), format!("{}. {}", i + 1, short_id(&row.candidate_id)))
            };
            Some(gather(row, class, name, seeds, run.lengths().len()))
        })
        .collect();
    let last =
        list.iter().flat_map(|c| c.accuracy.last().into_iter().chain(c.loss.last())).map(|p| p.0).fold(0.0, f64::max);
    if list.is_empty() || last <= 0.0 {
        return None;
    }
    let entries: Vec<_> = list
        .iter()
        .map(|c| {
            let score = c.row.ood_acc.map_or(String::new(), |score| format!(" (OOD {})", percent(score)));
            (format!("line {}", c.class), format!("{}{score}", c.name))
        })
        .collect();
    let mut svg = Svg::new(WIDTH, 0.0);
    let top = legend(&mut svg, &entries);
    let panel =
        |left: f64, y: Scale| Panel { x: Scale::count(last as usize, 5), y, left, top, width: HALF, height: 250.0 };
    let values = |pick: &dyn Fn(&Curves<'_>) -> Line| list.iter().flat_map(pick).map(|p| p.1).collect::<Vec<_>>();
    let left = panel(GUTTER, Scale::linear(values(&|c| c.accuracy.clone()), 6, Format::Percent));
    let right = panel(RIGHT, Scale::log(values(&|c| c.loss.clone()), Format::Plain));
    svg.height = left.bottom() + FOOT;
    left.draw(&mut svg, "optimiser step", "validation accuracy (%)");
    right.draw(&mut svg, "optimiser step", "training loss");
    let place =
        |area: &Panel, line: &Line| thin(line.iter().map(|p| area.at(p.0, p.1)).collect(), LINE_POINTS, |_| false);
    for c in list.iter().rev() {
        for line in c.each.iter().filter(|_| c.each.len() > 1) {
            svg.polyline(&place(&right, line), &format!("thin {}", c.class));
        }
        svg.polyline(&place(&right, &c.loss), &format!("line {}", c.class));
        let accuracy = place(&left, &c.accuracy);
        svg.polyline(&accuracy, &format!("line {}", c.class));
        for at in accuracy.iter().filter(|_| accuracy.len() <= 60) {
            svg.circle(*at, 2.6, &c.class, "");
        }
    }
    let ends = list.iter().map(|c| {
        let accuracy = c.accuracy.last().map_or("unknown".into(), |p| format!("{} %", percent(p.1)));
        format!("{}: last validation accuracy {accuracy}.", c.name)
    });
    Some(Figure {
        name: "curves".into(),
        title: "Learning curves".into(),
        description: ends.collect::<Vec<_>>().join(" "),
        caption: format!(
            "The {BEST} best candidates and the seed program: {}. Losses are means over neighbouring steps, a whole number of \
             rounds of the training lengths. Validation accuracy is not out of distribution.",
            match list.iter().any(|c| c.each.len() > 1) {
                true => "mean over training seeds; thin lines are single seeds",
                false => "one training seed each",
            }
        ),
        svg,
    })
}

/// Series of the best five, the best in the accent colour.
const COLOURS: [usize; 5] = [1, 0, 2, 3, 4];

fn gather<'a>(
    row: &'a Candidate,
    class: String,
    name: String,
    seeds: &BTreeMap<i64, Vec<CurvePoint>>,
    lengths: usize,
) -> Curves<'a> {
    let one =
        |(seed, points): (&i64, &Vec<CurvePoint>)| smooth::whole(&BTreeMap::from([(*seed, points.clone())]), lengths);
    let each = seeds.iter().map(one).collect();
    Curves { row, class, name, accuracy: accuracy(seeds), loss: smooth::whole(seeds, lengths), each }
}

/// Validation accuracy by step, the mean over the training seeds that were measured at the step.
pub fn accuracy(seeds: &BTreeMap<i64, Vec<CurvePoint>>) -> Line {
    let mut by_step: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for point in seeds.values().flatten() {
        by_step.entry(point.step).or_default().extend(point.val_acc.filter(|value| value.is_finite()));
    }
    by_step
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(step, values)| (step as f64, values.iter().sum::<f64>() / values.len() as f64))
        .collect()
}

/// Training losses of the winner and of the seed program, each length for itself. None where there is only one length, or no
/// curve.
pub fn by_length(run: &Run) -> Option<Figure> {
    let lengths = run.lengths();
    let winner = run.winner()?;
    let seed = run.seed_program().filter(|seed| seed.candidate_id != winner.candidate_id);
    let of = |row: &Candidate| Some(smooth::by_length(run.curves.get(&row.candidate_id)?, &lengths));
    let panels: Vec<(&str, Vec<OfLength>)> = [("the winner", Some(winner)), ("the seed program", seed)]
        .into_iter()
        .filter_map(|(name, row)| Some((name, of(row?)?)))
        .collect();
    let all = || panels.iter().flat_map(|(_, curves)| curves);
    let mut known: Vec<i64> = all().filter_map(|curve| curve.length).collect();
    known.sort_unstable();
    known.dedup();
    if known.len() < 2 {
        return None;
    }
    let class = |length: Option<i64>| series(length.and_then(|l| known.iter().position(|k| *k == l)).unwrap_or(7));
    let entries: Vec<_> =
        known.iter().map(|length| (format!("line {}", class(Some(*length))), format!("{length} nodes"))).collect();
    let mut svg = Svg::new(WIDTH, 0.0);
    let top = legend(&mut svg, &entries);
    let last = all().flat_map(|curve| curve.line.last()).map(|point| point.0).fold(1.0, f64::max);
    let y = Scale::log(all().flat_map(|curve| &curve.line).map(|point| point.1), Format::Plain);
    for ((name, curves), left) in panels.iter().zip([GUTTER, RIGHT]) {
        let panel = Panel { x: Scale::count(last as usize, 5), y: y.clone(), left, top, width: HALF, height: 230.0 };
        svg.height = panel.bottom() + FOOT;
        panel.draw(&mut svg, "optimiser step", &format!("training loss of {name}"));
        for curve in curves {
            let line: Line = curve.line.iter().map(|point| panel.at(point.0, point.1)).collect();
            svg.polyline(&line, &format!("line {}", class(curve.length)));
        }
    }
    let ends = panels.iter().flat_map(|(name, curves)| {
        curves.iter().filter_map(move |curve| {
            Some(format!("{name}, {} nodes: {:.3} at the end.", curve.length?, curve.line.last()?.1))
        })
    });
    Some(Figure {
        name: "loss-by-length".into(),
        title: "Training loss by length".into(),
        description: ends.collect::<Vec<_>>().join(" "),
        caption: "Mean over training seeds and over neighbouring steps of the same length: trainings take their lengths in turn, and \
                  longer graphs have larger losses."
            .into(),
        svg,
    })
}
