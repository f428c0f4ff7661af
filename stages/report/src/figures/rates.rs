//! Cumulative shares of executable, admitted and entangled proposals over attempts.

use super::{BESIDE, Figure, HALF, LINE_POINTS, RIGHT, WIDTH, thin};
use crate::analysis::{Group, Rates, rates as rates_of};
use crate::draw::theme::series;
use crate::draw::{FOOT, GUTTER, Label, Panel, Scale, Svg, legend, place_labels, shorten};
use crate::run::Run;

/// Draws one panel for a single run, and one panel for each rate for several. None without proposals.
pub fn rates(groups: &[Group<'_>]) -> Option<Figure> {
    let runs: Vec<(usize, &Run, Vec<Rates>)> = groups
        .iter()
        .enumerate()
        .flat_map(|(g, group)| group.runs.iter().map(move |run| (g, *run, rates_of(run))))
        .filter(|(_, _, list)| !list.is_empty())
        .collect();
    let last = runs.iter().filter_map(|(_, _, list)| list.last()).map(|r| r.attempts).max()?;
    let single = runs.len() == 1;
    let entries: Vec<(String, String)> = if single {
        KINDS.iter().map(|(name, class, _)| (format!("line {class}"), (*name).to_string())).collect()
    } else {
        groups.iter().enumerate().map(|(g, group)| (format!("line {}", series(g)), shorten(&group.name, 40))).collect()
    };
    let mut svg = Svg::new(WIDTH, 0.0);
    let top = legend(&mut svg, &entries);
    let panel = |left: f64, width: f64, ticks: usize| Panel {
        x: Scale::count(last, ticks),
        y: Scale::fraction(),
        left,
        top,
        width,
        height: 190.0,
    };
    svg.height = panel(0.0, 0.0, 1).bottom() + FOOT;
    if single {
        let area = panel(GUTTER, WIDTH - GUTTER - BESIDE, 8);
        area.draw(&mut svg, "attempts", "share of attempts (%)");
        let mut labels = Vec::new();
        for (name, class, pick) in KINDS {
            for (_, _, list) in &runs {
                let path = line(&area, list, *pick);
                svg.polyline(&path, &format!("line {class}"));
                if let (Some((_, y)), Some(value)) = (path.last(), list.last().and_then(pick)) {
                    let text = format!("{name} {:.1}", value * 100.0);
                    labels.push(Label { y: *y, class: format!("strong {class}"), text });
                }
            }
        }
        place_labels(&mut svg, area.right() + 8.0, (area.top, area.bottom()), &labels);
    } else {
        for ((name, _, pick), left) in [&EXECUTABLE, &ENTANGLED].into_iter().zip([GUTTER, RIGHT]) {
            let area = panel(left, HALF, 5);
            area.draw(&mut svg, "attempts", &format!("{name} (%)"));
            for (g, _, list) in &runs {
                let several = groups.get(*g).is_some_and(|group| group.runs.len() > 1);
                let class = if several { "thin" } else { "line" };
                svg.polyline(&line(&area, list, *pick), &format!("{class} {}", series(*g)));
            }
            for (g, group) in groups.iter().enumerate().filter(|(_, group)| group.runs.len() > 1) {
                let of: Vec<&[Rates]> =
                    runs.iter().filter(|(index, ..)| *index == g).map(|(_, _, list)| list.as_slice()).collect();
                if of.len() == group.runs.len() {
                    svg.polyline(&line(&area, &mean(&of), *pick), &format!("line {}", series(g)));
                }
            }
        }
    }
    let description = runs
        .iter()
        .take(20)
        .filter_map(|(_, run, list)| {
            let end = list.last()?;
            let share = |value: Option<f64>| value.map_or("unknown".into(), |v| format!("{:.1} %", v * 100.0));
            let (executable, admitted, entangled) = (share(end.executable), share(end.admitted), share(end.entangled));
            Some(format!(
                "{}: after {} attempts executable {executable}, admitted {admitted}, entangled {entangled}.",
                run.name, end.attempts
            ))
        })
        .collect::<Vec<_>>()
        .join(" ");
    Some(Figure {
        name: "rates".into(),
        title: "Executable and entangled proposals".into(),
        description,
        caption: format!(
            "Cumulative{}. Executable: the program passed the checks of syntax, contract and shapes, whatever it edits; \
             admitted: it went on to training, which an edit beyond its factor does not where the method asks for locality; \
             as shares of the checked attempts. Entangled: the edit changed more than the factor that it \
             was to change (where it was free to choose: more than one), as a share of the attempts where this is known.",
            if groups.iter().any(|group| group.runs.len() > 1) {
                "; thin lines are single runs, thick ones their means"
            } else {
                ""
            }
        ),
        svg,
    })
}

/// Mean rates over runs, up to the end of the shortest.
fn mean(runs: &[&[Rates]]) -> Vec<Rates> {
    let length = runs.iter().map(|list| list.len()).min().unwrap_or(0);
    let n = runs.len() as f64;
    (0..length)
        .map(|i| {
            let at: Vec<Rates> = runs.iter().filter_map(|list| list.get(i)).copied().collect();
            let mean = |pick: Pick| {
                let values: Vec<f64> = at.iter().filter_map(pick).collect();
                (values.len() == runs.len()).then(|| values.iter().sum::<f64>() / n)
            };
            let (executable, admitted) = (mean(|r| r.executable), mean(|r| r.admitted));
            Rates { attempts: i + 1, executable, admitted, entangled: mean(|r| r.entangled) }
        })
        .collect()
}

type Pick = fn(&Rates) -> Option<f64>;

type Kind = (&'static str, &'static str, Pick);

const EXECUTABLE: Kind = ("executable", "s2", |r| r.executable);
const ENTANGLED: Kind = ("entangled", "s5", |r| r.entangled);
const KINDS: &[Kind] = &[EXECUTABLE, ("admitted", "s3", |r| r.admitted), ENTANGLED];

fn line(panel: &Panel, list: &[Rates], pick: Pick) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = list.iter().filter_map(|r| Some(panel.at(r.attempts as f64, pick(r)?))).collect();
    thin(points, LINE_POINTS, |_| false)
}
