//! Learning curves of the best candidates and of the seed program.

use std::collections::BTreeMap;

use schemas::{Candidate, CurvePoint};

use super::{Figure, HALF, LINE_POINTS, RIGHT, WIDTH, thin};
use crate::draw::theme::series;
use crate::draw::{FOOT, Format, GUTTER, Panel, Scale, Svg, legend};
use crate::run::{Run, short_id};
use crate::text::percent;

/// How many of the best candidates are shown beside the seed program.
const BEST: usize = 5;

type Line = Vec<(f64, f64)>;

struct Curves<'a> {
    row: &'a Candidate,
    class: String,
    name: String,
    /// Accuracy by step, mean over the training seeds that were measured at the step.
    accuracy: Line,
    /// Loss by step, likewise; only finite positive values.
    loss: Line,
    /// Loss of each training seed.
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
            Some(gather(row, class, name, seeds))
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
            "The {BEST} best candidates and the seed program: {}. Validation accuracy is that of the training lengths, not \
             out of distribution.",
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

fn gather<'a>(row: &'a Candidate, class: String, name: String, seeds: &BTreeMap<i64, Vec<CurvePoint>>) -> Curves<'a> {
    let loss = |point: &CurvePoint| Some(point.loss).filter(|v| v.is_finite() && *v > 0.0);
    let accuracy = |point: &CurvePoint| point.val_acc.filter(|v| v.is_finite());
    let each =
        seeds.values().map(|points| points.iter().filter_map(|p| Some((p.step as f64, loss(p)?))).collect()).collect();
    Curves { row, class, name, accuracy: mean(seeds, accuracy), loss: mean(seeds, loss), each }
}

fn mean(seeds: &BTreeMap<i64, Vec<CurvePoint>>, value: impl Fn(&CurvePoint) -> Option<f64>) -> Line {
    let mut by_step: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for point in seeds.values().flatten() {
        by_step.entry(point.step).or_default().extend(value(point));
    }
    by_step
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(step, values)| (step as f64, values.iter().sum::<f64>() / values.len() as f64))
        .collect()
}
