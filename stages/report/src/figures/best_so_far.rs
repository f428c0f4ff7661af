//! Best out-of-distribution accuracy over evaluated candidates: the figure that search methods are compared by.

use super::{Figure, LINE_POINTS, MARKS, WIDTH, thin};
use crate::analysis::{Evaluation, Group, evaluations, factor_name};
use crate::draw::theme::series;
use crate::draw::{Anchor, Format, Label, Panel, Scale, Svg, legend, place_labels, shorten};
use crate::run::Run;
use crate::text::{count, percent, tip};

/// Figures from the literature: DFS out-of-distribution accuracy on the test split at paper scale, in per cent.
pub const PUBLISHED: &[(&str, f64)] = &[
    ("SPARK", 83.74),
    ("EoH", 77.27),
    ("FunSearch", 74.50),
    ("EvoPrompting", 68.14),
    ("CLRS reference architecture", 46.78),
    ("OpenEvolve", 32.54),
];

/// Draws the groups; `published` adds the literature's figures as reference lines. None without evaluated candidates.
pub fn best_so_far(groups: &[Group<'_>], published: bool) -> Option<Figure> {
    let runs: Vec<(usize, &Run, Vec<Evaluation<'_>>)> = groups
        .iter()
        .enumerate()
        .flat_map(|(g, group)| group.runs.iter().map(move |run| (g, *run, evaluations(run))))
        .filter(|(_, _, list)| !list.is_empty())
        .collect();
    let single = runs.len() == 1;
    let last = runs.iter().filter_map(|(_, _, list)| list.last()).map(|e| e.number).max()?;
    let scores = runs.iter().flat_map(|(_, _, list)| list.iter().flat_map(|e| spread(e)));
    let references = if published { PUBLISHED } else { &[] };
    let y = Scale::linear(scores.chain(references.iter().map(|(_, v)| v / 100.0)), 6, Format::Percent);
    let panel =
        Panel { x: Scale::count(last, 8), y, left: 52.0, top: 60.0, width: WIDTH - 52.0 - 158.0, height: 300.0 };
    let mut svg = Svg::new(WIDTH, 412.0);
    panel.draw(&mut svg, "evaluated candidates", "OOD accuracy (%)");
    legend(&mut svg, (12.0, 20.0), WIDTH - 12.0, &entries(&runs, groups));

    let mut labels = Vec::new();
    for (name, value) in references {
        let (x, y) = panel.at(panel.x.high(), value / 100.0);
        svg.line((panel.left, y), (x, y), "dots");
        labels.push(Label { y, class: "note".into(), text: format!("published: {} {value:.2}", shorten(name, 14)) });
    }
    let all: usize = runs.iter().map(|(_, _, list)| list.len()).sum();
    for (_, run, list) in runs.iter().filter(|_| single) {
        if let Some(score) = run.seed_program().and_then(|seed| seed.ood_acc) {
            let (x, y) = panel.at(panel.x.high(), score);
            svg.line((panel.left, y), (x, y), "rule");
            labels.push(Label { y, class: "note".into(), text: format!("seed program {}", percent(score)) });
        }
        let whiskers = list.iter().filter(|e| e.improves || e.number == 0);
        for e in whiskers {
            if let (Some(score), Some(std)) = (e.accuracy, e.row.ood_acc_std.filter(|std| *std > 0.0)) {
                let x = e.number as f64;
                svg.line(panel.at(x, score - std), panel.at(x, score + std), "whisker s1");
            }
        }
    }
    for (g, run, list) in &runs {
        let marks = thin(list.clone(), MARKS * list.len() / all.max(1), |e| e.improves || e.number == 0);
        for e in &marks {
            let x = e.number as f64;
            let text = tip(run, e.row);
            match e.accuracy {
                None => svg.cross((panel.at(x, 0.0).0, panel.bottom() - 6.0), 3.5, "cross", &text),
                Some(score) if single && e.number == 0 => {
                    svg.diamond(panel.at(x, score), 6.0, "diamond ring s7", &text)
                }
                Some(score) => {
                    let class = if single { dot_class(e) } else { series(*g) };
                    let (radius, shade) = if e.improves { (4.5, "halo") } else { (3.6, "faint") };
                    svg.circle(panel.at(x, score), radius, &format!("{shade} {class}"), &text);
                }
            }
        }
    }
    for (g, _, list) in &runs {
        let mut path: Vec<(f64, f64)> = Vec::new();
        let steps: Vec<&Evaluation<'_>> = thin(list.iter().collect(), LINE_POINTS, |e| e.improves || e.number == 0);
        for e in steps {
            if let Some(best) = e.best {
                path.push(panel.at(e.number as f64, best));
            }
        }
        let several = groups.get(*g).is_some_and(|group| group.runs.len() > 1);
        let class =
            if single { "line s1".into() } else { format!("{} {}", if several { "thin" } else { "line" }, series(*g)) };
        svg.steps(&path, &class);
    }
    labels.extend(ends(&panel, groups, &runs, single));
    place_labels(&mut svg, panel.right() + 8.0, (panel.top, panel.bottom()), &labels);
    if last == 0 {
        let middle = (panel.left + panel.width / 2.0, panel.top + panel.height / 2.0);
        svg.text(middle, Anchor::Middle, "note", "only the seed program has been evaluated so far");
    }
    let seeded = runs.iter().any(|(_, _, list)| list.first().is_some_and(|e| e.number == 0));
    let shown = if all > MARKS {
        format!(" {} of the {} marks are drawn.", MARKS, count(all, "candidate"))
    } else {
        String::new()
    };
    Some(Figure {
        name: "best-so-far".into(),
        title: "Best accuracy over evaluated candidates".into(),
        description: description(&runs),
        caption: format!(
            "Each mark is one candidate that training was spent on{}; crosses at the bottom are trainings that failed. The \
             line is the best so far. OOD accuracy: mean over training seeds on the out-of-distribution validation split{}.{shown}",
            if seeded { ", counted from the seed program at 0" } else { "" },
            if single { "; vertical bars show the standard deviation at improvements" } else { "" },
        ),
        svg,
    })
}

fn spread(e: &Evaluation<'_>) -> Vec<f64> {
    let Some(score) = e.accuracy else { return Vec::new() };
    match e.row.ood_acc_std.filter(|_| e.improves) {
        Some(std) => vec![(score - std).max(0.0), (score + std).min(1.0)],
        None => vec![score],
    }
}

/// Colour of a candidate in the figure of a single run: by the factor that was edited.
fn dot_class(e: &Evaluation<'_>) -> String {
    series(match factor_name(e.row) {
        "OPERATOR" => 0,
        "ACTION" => 2,
        _ => 7,
    })
}

fn entries(runs: &[(usize, &Run, Vec<Evaluation<'_>>)], groups: &[Group<'_>]) -> Vec<(String, String)> {
    let mut list = Vec::new();
    if let [(_, _, evaluations)] = runs {
        list.push(("line s1".to_string(), "best so far".to_string()));
        for (name, class) in [("OPERATOR", "s0"), ("ACTION", "s2"), ("whole program", "s7")] {
            if evaluations.iter().any(|e| e.number > 0 && e.accuracy.is_some() && factor_name(e.row) == name) {
                list.push((class.into(), format!("{name} edited")));
            }
        }
        if evaluations.iter().any(|e| e.number == 0) {
            list.push(("diamond ring s7".into(), "seed program".into()));
        }
    } else {
        for (g, group) in groups.iter().enumerate() {
            let text = match group.runs.len() {
                1 => group.name.clone(),
                n => format!("{} ({n} runs)", group.name),
            };
            list.push((format!("line {}", series(g)), shorten(&text, 40)));
        }
    }
    if runs.iter().any(|(_, _, list)| list.iter().any(|e| e.accuracy.is_none())) {
        list.push(("cross".into(), "training failed".into()));
    }
    list
}

/// Names and final values beside the ends of the lines.
fn ends(panel: &Panel, groups: &[Group<'_>], runs: &[(usize, &Run, Vec<Evaluation<'_>>)], single: bool) -> Vec<Label> {
    let mut labels = Vec::new();
    for (g, group) in groups.iter().enumerate() {
        let finals: Vec<f64> =
            runs.iter().filter(|(of, ..)| *of == g).filter_map(|(_, _, list)| list.last()?.best).collect();
        let Some((mean, _)) = crate::analysis::mean_std(&finals) else { continue };
        let text = match (single, finals.len()) {
            (true, _) => format!("best {}", percent(mean)),
            (false, 1) => format!("{} {}", shorten(&group.name, 18), percent(mean)),
            (false, _) => format!("{} mean {}", shorten(&group.name, 14), percent(mean)),
        };
        let class = if single { "strong s1".into() } else { format!("strong {}", series(g)) };
        labels.push(Label { y: panel.at(0.0, mean).1, class, text });
    }
    labels
}

fn description(runs: &[(usize, &Run, Vec<Evaluation<'_>>)]) -> String {
    let parts: Vec<String> = runs
        .iter()
        .take(20)
        .map(|(_, run, list)| {
            let evaluated = count(list.iter().filter(|e| e.number > 0).count(), "candidate");
            let best = list.last().and_then(|e| e.best).map_or("no score".into(), |b| format!("{} %", percent(b)));
            let seed = run.seed_program().and_then(|s| s.ood_acc);
            let seed = seed.map_or(String::new(), |s| format!(", the seed program {} %", percent(s)));
            format!("{}: {evaluated} evaluated, best {best}{seed}.", run.name)
        })
        .collect();
    parts.join(" ")
}
