//! The chain of edits from the seed program to the winner.

use super::{Figure, WIDTH};
use crate::analysis::{Step, factor_name, factor_series, lineage as lineage_of};
use crate::draw::{Anchor, Format, Panel, Scale, Svg, shorten};
use crate::run::{Run, short_id};
use crate::text::{edit, percent, points, tip};

const ROW: f64 = 44.0;
/// Longer chains are shown without their middle.
const STEPS: usize = 40;

/// None without a winner, or when it is the seed program.
pub fn lineage(run: &Run) -> Option<Figure> {
    let chain = lineage_of(run, run.winner()?);
    if chain.len() < 2 {
        return None;
    }
    let left_out = chain.len().saturating_sub(STEPS);
    let shown: Vec<Option<Step<'_>>> = if left_out == 0 {
        chain.iter().copied().map(Some).collect()
    } else {
        let (head, tail) = (STEPS / 2, chain.len() - STEPS / 2);
        chain[..head].iter().copied().map(Some).chain([None]).chain(chain[tail..].iter().copied().map(Some)).collect()
    };
    let height = shown.len() as f64 * ROW;
    let spread = |step: &Step<'_>| {
        let std = step.row.ood_acc_std.unwrap_or(0.0);
        step.row.ood_acc.map(|score| [(score - std).max(0.0), (score + std).min(1.0)])
    };
    let panel = Panel {
        x: Scale::linear(chain.iter().filter_map(spread).flatten(), 4, Format::Percent),
        y: Scale::count(1, 1),
        left: 470.0,
        top: 30.0,
        width: WIDTH - 470.0 - 130.0,
        height,
    };
    let mut svg = Svg::new(WIDTH, height + 62.0);
    svg.text((panel.left, 14.0), Anchor::Start, "label", "OOD accuracy (%)");
    for (value, text) in panel.x.ticks() {
        let (x, _) = panel.at(value, 0.0);
        svg.line((x, panel.top), (x, panel.bottom()), "grid");
        svg.text((x, panel.bottom() + 18.0), Anchor::Middle, "tick", &text);
    }
    let y_of = |i: usize| panel.top + (i as f64 + 0.5) * ROW;
    let path: Vec<(f64, f64)> = shown
        .iter()
        .enumerate()
        .filter_map(|(i, step)| Some((panel.at(step.as_ref()?.row.ood_acc?, 0.0).0, y_of(i))))
        .collect();
    if shown.len() > 1 {
        svg.line((10.0, y_of(0)), (10.0, y_of(shown.len() - 1)), "axis");
    }
    svg.polyline(&path, "dots");
    for (i, step) in shown.iter().enumerate() {
        let y = y_of(i);
        let Some(step) = step else {
            svg.text((32.0, y + 4.0), Anchor::Start, "note", &format!("… {left_out} more edits …"));
            continue;
        };
        draw_step(&mut svg, run, step, &panel, y, (i == 0, i + 1 == shown.len()));
    }
    Some(Figure {
        name: "lineage".into(),
        title: "From the seed program to the winner".into(),
        description: chain.iter().map(|step| format!("{}.", tip(run, step.row).text)).collect::<Vec<_>>().join(" "),
        caption: format!(
            "Each row is one edit: its factor, its label, and the accuracy of the result with the change against its parent in \
             percentage points.{}",
            match chain.iter().any(|step| step.row.ood_acc_std.is_some_and(|std| std > 0.0)) {
                true => " Bars show the standard deviation over training seeds.",
                false => "",
            }
        ),
        svg,
    })
}

fn draw_step(svg: &mut Svg, run: &Run, step: &Step<'_>, panel: &Panel, y: f64, (first, last): (bool, bool)) {
    let row = step.row;
    let root = first && row.parent_id.is_none();
    let class = format!("s{}", if root { 7 } else { factor_series(factor_name(row)) });
    let text = tip(run, row);
    if last {
        svg.star((10.0, y), 9.0, "star halo s1", &text);
    } else {
        svg.circle((10.0, y), 6.0, &format!("ring {class}"), &text);
    }
    let label = if root { "seed program" } else { edit(row) };
    svg.text((32.0, y - 3.0), Anchor::Start, "strong", &shorten(label, 50));
    let what = if root { String::new() } else { format!("{} · attempt {} · ", factor_name(row), row.attempt) };
    svg.text(
        (32.0, y + 13.0),
        Anchor::Start,
        &format!("code {}", if root { "note" } else { &class }),
        &format!("{what}{}", short_id(&row.candidate_id)),
    );
    let Some(score) = row.ood_acc else {
        svg.text((panel.left, y + 4.0), Anchor::Start, "note", row.status.as_str());
        return;
    };
    let x = panel.at(score, 0.0).0;
    if let Some(std) = row.ood_acc_std.filter(|std| *std > 0.0) {
        let (from, to) = (panel.at(score - std, 0.0).0, panel.at(score + std, 0.0).0);
        svg.line((from, y), (to, y), &format!("whisker {class}"));
    }
    svg.circle((x, y), 5.0, &format!("halo {}", if last { "s1" } else { &class }), &text);
    svg.text((panel.right() + 14.0, y + 4.0), Anchor::Start, "tick strong", &percent(score));
    if let Some(gain) = step.gain {
        svg.text((panel.right() + 62.0, y + 4.0), Anchor::Start, "tick", &points(gain));
    }
}
