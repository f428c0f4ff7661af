//! Programs on further tasks: one row per task and one for their mean, one mark per program.

use super::{Figure, PUBLISHED, WIDTH};
use crate::analysis::{Transferred, transferred};
use crate::draw::theme::series;
use crate::draw::{Anchor, Format, Panel, Scale, Svg, legend, shorten};
use crate::run::Run;
use crate::text::{percent, points, score};

const ROW: f64 = 34.0;
const LEFT: f64 = 215.0;
/// Room right of the panel for the differences.
const DIFFERENCES: f64 = 92.0;

/// Mean test accuracy of each program on each task, with spread, from the transfer table beside the archive. `published`
/// adds the literature's figures.
pub fn transfer(run: &Run, published: bool) -> Option<Figure> {
    let lines = transferred(run);
    if lines.iter().all(|line| line.mean.is_none()) {
        return None;
    }
    let mut rows: Vec<Option<&str>> = lines.iter().map(|line| line.task.as_deref()).collect();
    rows.dedup();
    let mut programs: Vec<&str> = Vec::new();
    for line in &lines {
        if !programs.contains(&line.program.as_str()) {
            programs.push(&line.program);
        }
    }
    // with more than one program beside the reference there is no room for numbers
    let compared = programs.iter().filter(|p| lines.iter().any(|l| l.program == **p && l.difference.is_some())).count();
    let beside = if compared == 1 { DIFFERENCES } else { 24.0 };
    let nine = rows.last() == Some(&None) && lines.iter().all(|line| line.published.is_some());
    let averages = PUBLISHED
        .iter()
        .filter(|known| published && nine && known.name == "SPARK")
        .filter_map(|known| Some((known.name, known.nine_tasks?)));
    let ends = lines.iter().filter_map(|line| line.mean.map(|mean| (mean, line.std.unwrap_or(0.0))));
    let values = ends
        .flat_map(|(mean, std)| [(mean - std).max(0.0), (mean + std).min(1.0)])
        .chain(lines.iter().filter(|_| published).filter_map(|line| line.published))
        .chain(averages.clone().map(|(_, percent)| percent / 100.0));
    let panel = Panel {
        x: Scale::linear(values, 6, Format::Percent),
        y: Scale::count(1, 1),
        left: LEFT,
        top: 44.0,
        width: WIDTH - LEFT - beside,
        height: rows.len() as f64 * ROW,
    };
    let mut svg = Svg::new(WIDTH, panel.bottom() + 50.0);
    for (value, text) in panel.x.ticks() {
        let (x, _) = panel.at(value, 0.0);
        svg.line((x, panel.top), (x, panel.bottom()), "grid");
        svg.text((x, panel.bottom() + 18.0), Anchor::Middle, "tick", &text);
    }
    svg.text((panel.left + panel.width / 2.0, panel.bottom() + 38.0), Anchor::Middle, "label", "test accuracy (%)");
    if compared == 1 {
        svg.text((WIDTH - 6.0, panel.top - 8.0), Anchor::End, "label", "difference");
    }
    let classes = classes(run, &programs);
    let class = |p: usize| classes.get(p).cloned().unwrap_or_default();
    for (r, task) in rows.iter().enumerate() {
        let y = panel.top + (r as f64 + 0.5) * ROW;
        let (name, style) = task.map_or(("mean of the tasks", "strong"), |task| (task, ""));
        if task.is_none() {
            svg.line((12.0, y - ROW / 2.0), (WIDTH - 6.0, y - ROW / 2.0), "axis");
        }
        svg.text((panel.left - 12.0, y + 4.0), Anchor::End, style, &shorten(name, 32));
        svg.line((panel.left, y), (panel.right(), y), "grid");
        let of_row = |program: &str| lines.iter().find(|l| l.program == program && l.task.as_deref() == *task);
        if published && let Some(known) = programs.first().and_then(|program| of_row(program)?.published) {
            let tip = format!("{name}: {} %, published for the reference architecture", percent(known));
            svg.diamond((panel.at(known, 0.0).0, y), 5.0, "ring s7", &tip);
        }
        for (p, program) in programs.iter().enumerate() {
            let Some(Transferred { mean: Some(mean), std, seeds, difference, .. }) = of_row(program) else { continue };
            let y = y + (p as f64 - (programs.len() - 1) as f64 / 2.0) * 7.0;
            let spread = std.unwrap_or(0.0);
            svg.line(
                (panel.at(mean - spread, 0.0).0, y),
                (panel.at(mean + spread, 0.0).0, y),
                &format!("whisker {}", class(p)),
            );
            let tip = format!("{program}, {name}: {}", score(Some(*mean), *std, *seeds));
            svg.circle((panel.at(*mean, 0.0).0, y), 5.0, &format!("halo {}", class(p)), &tip);
            if let Some(difference) = difference.filter(|_| compared == 1) {
                let y = panel.top + (r as f64 + 0.5) * ROW + 4.0;
                svg.text(
                    (WIDTH - 6.0, y),
                    Anchor::End,
                    if task.is_none() { "strong" } else { "tick" },
                    &points(difference),
                );
            }
        }
    }
    for (name, percent) in averages {
        let at = (panel.at(percent / 100.0, 0.0).0, panel.bottom() - ROW / 2.0);
        svg.diamond(at, 5.0, "ring s1", &format!("{name}: {percent:.2} %, published"));
    }
    let mut entries: Vec<_> = programs.iter().enumerate().map(|(p, name)| (class(p), shorten(name, 40))).collect();
    if published && lines.iter().any(|line| line.published.is_some()) {
        entries.push(("s7".into(), "◇ published".into()));
    }
    legend(&mut svg, &entries);
    let caption = "Each program trained from scratch on each task: mean accuracy on the CLRS test split, with the standard \
                   deviation over training seeds, and the difference to the reference program trained alike, in percentage \
                   points.";
    let open = if published { " Open marks: as published." } else { "" };
    Some(Figure {
        name: "transfer".into(),
        title: "Transfer to further tasks".into(),
        description: description(&lines),
        caption: format!("{caption}{open}"),
        svg,
    })
}

/// The reference is grey, as the seed program is everywhere; the first other program has the accent colour.
fn classes(run: &Run, programs: &[&str]) -> Vec<String> {
    let seed = run.seed_program().map(|seed| seed.candidate_id.as_str());
    let is_seed = |program: &str| {
        run.transfer.iter().any(|row| row.program == program && Some(row.candidate_id.as_str()) == seed)
    };
    let mut others = [1, 0, 2, 3, 4, 5, 6].iter().cycle();
    let number = |program: &&str| if is_seed(program) { 7 } else { others.next().copied().unwrap_or(7) };
    programs.iter().map(number).map(series).collect()
}

fn description(lines: &[Transferred]) -> String {
    let sentence = |line: &Transferred| {
        let task = line.task.as_deref().unwrap_or("the mean of the tasks");
        Some(format!("{} on {task}: {} %.", line.program, percent(line.mean?)))
    };
    lines.iter().filter_map(sentence).collect::<Vec<_>>().join(" ")
}
