//! Accuracy against parameters and against multiply-accumulates, with the Pareto front.

use super::{Figure, HALF, MARKS, RIGHT, WIDTH, thin};
use crate::analysis::{Cost, Group, Point, factor_name, factor_series, factors_edited, front, points};
use crate::draw::theme::series;
use crate::draw::{FOOT, Format, GUTTER, Panel, Scale, Svg, legend, shorten};
use crate::run::Run;
use crate::text::{count, percent, tip, whole};

/// Draws both panels. None when no scored candidate has a known cost.
pub fn tradeoff(groups: &[Group<'_>]) -> Option<Figure> {
    let runs: Vec<(usize, &Run)> =
        groups.iter().enumerate().flat_map(|(g, group)| group.runs.iter().map(move |run| (g, *run))).collect();
    let single = runs.len() == 1;
    let mut entries: Vec<(String, String)> = if single {
        let scored = runs.iter().flat_map(|(_, run)| run.proposals()).filter(|row| row.ood_acc.is_some());
        factors_edited(scored)
            .into_iter()
            .map(|name| (series(factor_series(&name)), format!("{name} edited")))
            .collect()
    } else {
        groups.iter().enumerate().map(|(g, group)| (series(g), shorten(&group.name, 40))).collect()
    };
    entries.push(match single {
        true => ("star s1".into(), "winner".into()),
        false => ("star s7".into(), "winner of a run".into()),
    });
    entries.push(("diamond ring s7".into(), "seed program".into()));
    entries.push(("line rule".into(), "Pareto front".into()));
    let mut svg = Svg::new(WIDTH, 0.0);
    let top = legend(&mut svg, &entries);
    let mut words = Vec::new();
    for (cost, name, left) in
        [(Cost::Params, "parameters", GUTTER), (Cost::Macs, "MACs per message-passing step", RIGHT)]
    {
        let all: Vec<(usize, &Run, Vec<Point<'_>>)> =
            runs.iter().map(|(g, run)| (*g, *run, points(run, cost))).collect();
        let flat: Vec<Point<'_>> = all.iter().flat_map(|(_, _, list)| list.clone()).collect();
        if flat.is_empty() {
            continue;
        }
        let panel = Panel {
            x: Scale::log(flat.iter().map(|p| p.cost), Format::Short),
            y: Scale::linear(flat.iter().map(|p| p.accuracy), 6, Format::Percent),
            left,
            top,
            width: HALF,
            height: 260.0,
        };
        svg.height = panel.bottom() + FOOT;
        panel.draw(&mut svg, name, "OOD accuracy (%)");
        let front = front(&flat);
        let path: Vec<_> = front.iter().map(|p| panel.at(p.cost, p.accuracy)).collect();
        svg.steps(&path, "rule");
        let mut drawn = Vec::new();
        for (g, run, list) in &all {
            let seed = run.seed_program();
            let winner = run.winner();
            let is = |row: Option<&_>, point: &Point<'_>| row.is_some_and(|row| std::ptr::eq(row, point.row));
            let limit = MARKS / 2 * list.len() / flat.len();
            let best = |point: &Point<'_>| {
                is(seed, point) || is(winner, point) || front.iter().any(|other| std::ptr::eq(other.row, point.row))
            };
            let kept = thin(list.clone(), limit, best).into_iter();
            drawn.extend(kept.map(|point| (is(winner, &point), is(seed, &point), *g, *run, point)));
        }
        // no run's dots cover another run's winner
        drawn.sort_by_key(|(winner, seed, ..)| (*winner, *seed));
        for (winner, seed, g, run, point) in &drawn {
            let at = panel.at(point.cost, point.accuracy);
            let mut text = tip(run, point.row);
            text.text += &format!(" · {} {name}", whole(point.cost as i64));
            let class = if single { factor_class(point) } else { series(*g) };
            if *winner {
                svg.star(at, 9.0, &format!("star halo {}", if single { "s1" } else { &class }), &text);
            } else if *seed {
                svg.diamond(at, 6.0, "diamond ring s7", &text);
            } else {
                svg.circle(at, if flat.len() > 300 { 2.6 } else { 3.8 }, &format!("faint {class}"), &text);
            }
        }
        let ends = front.first().zip(front.last());
        words.push(ends.map_or(String::new(), |(cheap, good)| {
            format!(
                "Front by {name}: {}, from {} % at {} to {} % at {}.",
                count(front.len(), "program"),
                percent(cheap.accuracy),
                whole(cheap.cost as i64),
                percent(good.accuracy),
                whole(good.cost as i64)
            )
        }));
    }
    if words.is_empty() {
        return None;
    }
    Some(Figure {
        name: "tradeoff".into(),
        title: "Accuracy against size and arithmetic".into(),
        description: words.join(" "),
        caption: format!(
            "Scored candidates; logarithmic cost axes. MACs are multiply-accumulates of one message-passing step for one graph \
             of the longest training length. Pareto front{}: no scored candidate lies left of and above it.",
            if single { "" } else { ", of all runs together" }
        ),
        svg,
    })
}

fn factor_class(point: &Point<'_>) -> String {
    series(factor_series(factor_name(point.row)))
}
