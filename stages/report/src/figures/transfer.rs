//! Programs on further tasks: one row per task, one mark per program.

use std::collections::BTreeMap;

use schemas::TransferRow;

use super::{Figure, WIDTH};
use crate::analysis::mean_std;
use crate::draw::theme::series;
use crate::draw::{Anchor, Format, Panel, Scale, Svg, legend, shorten};
use crate::run::Run;
use crate::text::{percent, score};

/// Mean test accuracy of each program on each task, with spread, from the transfer table beside the archive.
pub fn transfer(run: &Run) -> Option<Figure> {
    let mut tasks: Vec<&str> = Vec::new();
    let mut programs: Vec<&str> = Vec::new();
    let mut values: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for TransferRow { task, program, test_acc, .. } in &run.transfer {
        if !tasks.contains(&task.as_str()) {
            tasks.push(task);
        }
        if !programs.contains(&program.as_str()) {
            programs.push(program);
        }
        values.entry((task, program)).or_default().extend(test_acc.filter(|v| v.is_finite()));
    }
    let means: BTreeMap<(&str, &str), (f64, f64, usize)> =
        values.iter().filter_map(|(key, v)| mean_std(v).map(|(mean, std)| (*key, (mean, std, v.len())))).collect();
    if means.is_empty() {
        return None;
    }
    let row = 34.0;
    let panel = Panel {
        x: Scale::linear(means.values().flat_map(|(m, s, _)| [(m - s).max(0.0), (m + s).min(1.0)]), 6, Format::Percent),
        y: Scale::count(1, 1),
        left: 215.0,
        top: 44.0,
        width: WIDTH - 215.0 - 24.0,
        height: tasks.len() as f64 * row,
    };
    let mut svg = Svg::new(WIDTH, panel.bottom() + 50.0);
    for (value, text) in panel.x.ticks() {
        let (x, _) = panel.at(value, 0.0);
        svg.line((x, panel.top), (x, panel.bottom()), "grid");
        svg.text((x, panel.bottom() + 18.0), Anchor::Middle, "tick", &text);
    }
    svg.text((panel.left + panel.width / 2.0, panel.bottom() + 38.0), Anchor::Middle, "label", "test accuracy (%)");
    let seed = run.seed_program().map(|seed| seed.candidate_id.as_str());
    let is_seed = |program: &str| {
        run.transfer.iter().any(|row| row.program == program && Some(row.candidate_id.as_str()) == seed)
    };
    // the seed program is grey here as everywhere, the first other program has the accent colour
    let mut others = [1, 0, 2, 3, 4, 5, 6].iter().cycle();
    let classes: Vec<String> = programs
        .iter()
        .map(|program| series(if is_seed(program) { 7 } else { others.next().copied().unwrap_or(7) }))
        .collect();
    let class = |p: usize| classes.get(p).cloned().unwrap_or_default();
    for (t, task) in tasks.iter().enumerate() {
        let y = panel.top + (t as f64 + 0.5) * row;
        svg.text((panel.left - 12.0, y + 4.0), Anchor::End, "", &shorten(task, 32));
        svg.line((panel.left, y), (panel.right(), y), "grid");
        for (p, program) in programs.iter().enumerate() {
            let Some((mean, std, n)) = means.get(&(*task, *program)) else { continue };
            let y = y + (p as f64 - (programs.len() - 1) as f64 / 2.0) * 7.0;
            svg.line(
                (panel.at(mean - std, 0.0).0, y),
                (panel.at(mean + std, 0.0).0, y),
                &format!("whisker {}", class(p)),
            );
            let tip = format!("{program} on {task}: {}", score(Some(*mean), Some(*std), *n));
            svg.circle((panel.at(*mean, 0.0).0, y), 5.0, &format!("halo {}", class(p)), &tip);
        }
    }
    let entries: Vec<_> = programs.iter().enumerate().map(|(p, name)| (class(p), shorten(name, 40))).collect();
    legend(&mut svg, &entries);
    Some(Figure {
        name: "transfer".into(),
        title: "Transfer to further tasks".into(),
        description: means
            .iter()
            .map(|((task, program), (mean, ..))| format!("{program} on {task}: {} %.", percent(*mean)))
            .collect::<Vec<_>>()
            .join(" "),
        caption:
            "Each program trained from scratch on each task: mean accuracy on the CLRS test split, with the standard \
                  deviation over training seeds."
                .into(),
        svg,
    })
}
