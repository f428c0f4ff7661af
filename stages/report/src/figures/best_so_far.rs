//! Best out-of-distribution accuracy over evaluated candidates: the figure that search methods are compared by.

use super::{BESIDE, Figure, LINE_POINTS, MARKS, WIDTH, thin};
use crate::analysis::{
    Evaluation, Group, Spread, evaluations, factor_name, factor_series, factors_edited, mean_std, spread,
};
use crate::draw::theme::series;
use crate::draw::{Anchor, FOOT, Format, GUTTER, Label, Panel, Scale, Svg, legend, place_labels, shorten};
use crate::run::Run;
use crate::text::{count, percent, tip, whole};

/// A method of the literature with its published figures; accuracies in per cent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    pub name: &'static str,
    /// Its name here; empty for what is not a method of ours.
    pub method: &'static str,
    /// DFS, out-of-distribution accuracy on the test split.
    pub dfs: f64,
    /// Mean out-of-distribution accuracy over the nine transfer tasks.
    pub nine_tasks: Option<f64>,
    /// Mean size on these tasks, in thousands.
    pub size_k: Option<i64>,
    /// Candidates or samples, as `known` says.
    pub evaluated: Option<i64>,
    /// What is known of how the figure for DFS was made, and no more.
    pub known: &'static str,
}

const fn published(name: &'static str, method: &'static str, dfs: f64, nine_tasks: f64, size_k: i64) -> Published {
    Published { name, method, dfs, nine_tasks: Some(nine_tasks), size_k: Some(size_k), evaluated: None, known: RIVAL }
}

const fn ablation(name: &'static str, method: &'static str, dfs: f64) -> Published {
    Published { name, method, dfs, nine_tasks: None, size_k: None, evaluated: None, known: ABLATION }
}

const RIVAL: &str = "run by SPARK's authors; no spread, seeds or settings are given";
const ABLATION: &str = "with DeepSeek-R1; no spread, seeds or settings are given";

/// As the authors of SPARK report them (arXiv:2605.04057, and the README of its implementation), with what their sources say of
/// how they were made: EvoPrompting's figures are from its Table 3 (arXiv:2302.14838).
pub const PUBLISHED: &[Published] = &[
    Published {
        evaluated: Some(57),
        known: "the settings behind it are not given: the implementation ships with 300 training steps, one fixed seed, and the \
                test split as fitness; 57 candidates on DFS until the best",
        ..published("SPARK", "spark", 83.74, 83.92, 453)
    },
    published("EoH", "eoh", 77.27, 79.43, 463),
    published("FunSearch", "funsearch", 74.50, 77.61, 469),
    Published {
        evaluated: Some(1600),
        known: "± 1.38; a network that was found in searches on other tasks, trained on DFS; 1600 samples of a whole search, \
                those without a score included",
        ..published("EvoPrompting", "evoprompting", 68.14, 74.42, 448)
    },
    Published {
        known: "± 3.85; trained by EvoPrompting's authors. Ibarz et al. (2022) have 47.79 ± 4.19",
        ..published("CLRS reference architecture", "", 46.78, 71.22, 450)
    },
    published("OpenEvolve", "openevolve", 32.54, 68.30, 481),
];

/// Its ablations, from the same source; with the model that gave the figure of SPARK itself.
pub const PUBLISHED_ABLATION: &[Published] =
    &[ablation("SPARK, ASR only", "asr-only", 65.28), ablation("SPARK, RC and SAR only", "rc-sar-only", 56.79)];

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
    let alone = |g: usize| groups.get(g).is_some_and(|group| group.runs.len() == 1);
    let scores = runs.iter().flat_map(|(g, _, list)| {
        let alone = alone(*g);
        list.iter().flat_map(move |e| if alone { range(e) } else { e.best.into_iter().collect() })
    });
    let references = if published { PUBLISHED } else { &[] };
    let y = Scale::linear(scores.chain(references.iter().map(|known| known.dfs / 100.0)), 6, Format::Percent);
    let mut svg = Svg::new(WIDTH, 0.0);
    let mut legends = entries(&runs, groups);
    if published {
        legends.push(("line dots".into(), "† published".into()));
    }
    let top = legend(&mut svg, &legends);
    let width = WIDTH - GUTTER - BESIDE;
    let panel = Panel { x: Scale::count(last, 8), y, left: GUTTER, top, width, height: 300.0 };
    svg.height = panel.bottom() + FOOT;
    panel.draw(&mut svg, "evaluated candidates", "OOD accuracy (%)");

    let mut labels = Vec::new();
    for known in references {
        let (x, y) = panel.at(panel.x.high(), known.dfs / 100.0);
        svg.line((panel.left, y), (x, y), "dots");
        labels.push(Label {
            y,
            class: "note".into(),
            text: format!("{} {:.2} †", known.name.trim_end_matches(" architecture"), known.dfs),
        });
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
    for (g, group) in groups.iter().enumerate() {
        let of: Vec<(&Run, &[Evaluation<'_>])> =
            runs.iter().filter(|(index, ..)| *index == g).map(|(_, run, list)| (*run, list.as_slice())).collect();
        let class = if single { "s1".into() } else { series(g) };
        if group.runs.len() > 1 {
            draw_spread(&mut svg, &panel, &of, &class);
        } else {
            for (run, list) in of {
                draw_marks(&mut svg, &panel, run, list, MARKS * list.len() / all.max(1), (!single).then_some(&class));
                draw_best(&mut svg, &panel, list, &class);
            }
        }
    }
    labels.extend(ends(&panel, groups, &runs, single));
    place_labels(&mut svg, panel.right() + 8.0, (panel.top, panel.bottom()), &labels);
    if last == 0 {
        let middle = (panel.left + panel.width / 2.0, panel.top + panel.height / 2.0);
        svg.text(middle, Anchor::Middle, "note", "only the seed program has been evaluated so far");
    }
    Some(Figure {
        name: "best-so-far".into(),
        title: "Best accuracy over evaluated candidates".into(),
        description: description(&runs),
        caption: caption(&runs, groups, all, published),
        svg,
    })
}

fn caption(runs: &[(usize, &Run, Vec<Evaluation<'_>>)], groups: &[Group<'_>], all: usize, published: bool) -> String {
    let mut parts = Vec::new();
    if marked(groups) {
        let seeded = runs.iter().any(|(_, _, list)| list.first().is_some_and(|e| e.number == 0));
        let from = if seeded { ", counted from the seed program at 0" } else { "" };
        parts
            .push(format!("Each mark is one candidate that training was spent on{from}; the line is the best so far."));
        if runs.iter().any(|(_, _, list)| list.iter().any(|e| e.accuracy.is_none())) {
            parts.push(
                "Crosses at the bottom are trainings without a score: they failed, or were stopped early.".into(),
            );
        }
    }
    if groups.iter().any(|group| group.runs.len() > 1) {
        parts.push(
            "Lines of methods with several runs: mean of the best so far, with the range from the worst to the best run; a run \
             that has ended keeps its last value."
                .into(),
        );
    }
    parts.push("OOD accuracy: mean over training seeds on the out-of-distribution validation split.".into());
    if published {
        parts.push("† Published figures: of the test split at N = 64. How they were made is not known in full; they are no yardstick for smaller profiles.".into());
    }
    let spread = |e: &Evaluation<'_>| (e.improves || e.number == 0) && e.row.ood_acc_std.is_some_and(|std| std > 0.0);
    if runs.len() == 1 && runs.iter().any(|(_, _, list)| list.iter().any(spread)) {
        parts.push("Vertical bars show the standard deviation at improvements.".into());
    }
    if marked(groups) && all > MARKS {
        parts.push(format!(
            "Of {} about {} are drawn, all improvements among them.",
            count(all, "mark"),
            whole(MARKS as i64)
        ));
    }
    parts.join(" ")
}

/// Whether single candidates are drawn: those of groups with one run.
fn marked(groups: &[Group<'_>]) -> bool {
    groups.iter().any(|group| group.runs.len() == 1)
}

/// Every candidate of a run, in one colour or by the factor that was edited.
fn draw_marks(svg: &mut Svg, panel: &Panel, run: &Run, list: &[Evaluation<'_>], limit: usize, class: Option<&String>) {
    for e in thin(list.to_vec(), limit, |e| e.improves || e.number == 0) {
        let x = e.number as f64;
        let text = tip(run, e.row);
        match e.accuracy {
            None => svg.cross((panel.at(x, 0.0).0, panel.bottom() - 6.0), 3.5, "cross", &text),
            Some(score) if class.is_none() && e.number == 0 => {
                svg.diamond(panel.at(x, score), 6.0, "diamond ring s7", &text);
            }
            Some(score) => {
                let class = class.cloned().unwrap_or_else(|| dot_class(&e));
                let (radius, shade) = if e.improves { (4.5, "halo") } else { (3.6, "faint") };
                svg.circle(panel.at(x, score), radius, &format!("{shade} {class}"), &text);
            }
        }
    }
}

fn draw_best(svg: &mut Svg, panel: &Panel, list: &[Evaluation<'_>], class: &str) {
    let steps = thin(list.to_vec(), LINE_POINTS, |e| e.improves || e.number == 0);
    let path: Vec<(f64, f64)> = steps.iter().filter_map(|e| Some(panel.at(e.number as f64, e.best?))).collect();
    svg.steps(&path, &format!("line {class}"));
}

/// Mean over runs, and the range between the worst and the best of them.
fn draw_spread(svg: &mut Svg, panel: &Panel, runs: &[(&Run, &[Evaluation<'_>])], class: &str) {
    let lists: Vec<&[Evaluation<'_>]> = runs.iter().map(|(_, list)| *list).collect();
    let spread = thin(spread(&lists), LINE_POINTS, |_| false);
    let path = |pick: fn(&Spread) -> f64| {
        spread.iter().map(|s| panel.at(s.number as f64, pick(s))).collect::<Vec<(f64, f64)>>()
    };
    svg.band(&path(|s| s.low), &path(|s| s.high), &format!("band {class}"));
    svg.steps(&path(|s| s.mean), &format!("line {class}"));
}

fn range(e: &Evaluation<'_>) -> Vec<f64> {
    let Some(score) = e.accuracy else { return Vec::new() };
    match e.row.ood_acc_std.filter(|_| e.improves) {
        Some(std) => vec![(score - std).max(0.0), (score + std).min(1.0)],
        None => vec![score],
    }
}

/// Colour of a candidate in the figure of a single run: by the factor that was edited.
fn dot_class(e: &Evaluation<'_>) -> String {
    series(factor_series(factor_name(e.row)))
}

fn entries(runs: &[(usize, &Run, Vec<Evaluation<'_>>)], groups: &[Group<'_>]) -> Vec<(String, String)> {
    let mut list = Vec::new();
    if let [(_, _, evaluations)] = runs {
        list.push(("line s1".to_string(), "best so far".to_string()));
        let scored = evaluations.iter().filter(|e| e.number > 0 && e.accuracy.is_some());
        for name in factors_edited(scored.map(|e| e.row)) {
            list.push((series(factor_series(&name)), format!("{name} edited")));
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
    if marked(groups) && runs.iter().any(|(_, _, list)| list.iter().any(|e| e.accuracy.is_none())) {
        list.push(("cross".into(), "no score".into()));
    }
    list
}

/// Names and final values beside the ends of the lines.
fn ends(panel: &Panel, groups: &[Group<'_>], runs: &[(usize, &Run, Vec<Evaluation<'_>>)], single: bool) -> Vec<Label> {
    let mut labels = Vec::new();
    for (g, group) in groups.iter().enumerate() {
        let finals: Vec<f64> =
            runs.iter().filter(|(of, ..)| *of == g).filter_map(|(_, _, list)| list.last()?.best).collect();
        let Some((mean, _)) = mean_std(&finals) else { continue };
        let text = match (single, finals.len()) {
            (true, _) => format!("best {}", percent(mean)),
            (false, _) => format!("{} {}", shorten(&group.name, 13), percent(mean)),
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
