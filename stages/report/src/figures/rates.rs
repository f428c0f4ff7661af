//! Cumulative valid and entanglement rates over attempts.

use super::{Figure, LINE_POINTS, WIDTH, thin};
use crate::analysis::{Group, Rates, rates as rates_of};
use crate::draw::theme::series;
use crate::draw::{Label, Panel, Scale, Svg, legend, place_labels, shorten};
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
    let (height, top) = if single { (300.0, 60.0) } else { (330.0, 90.0) };
    let mut svg = Svg::new(WIDTH, height);
    let panel = |left: f64, width: f64| Panel {
        x: Scale::count(last, if single { 8 } else { 5 }),
        y: Scale::fraction(),
        left,
        top,
        width,
        height: height - top - 52.0,
    };
    if single {
        let area = panel(52.0, WIDTH - 52.0 - 158.0);
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
        let entries: Vec<_> =
            KINDS.iter().map(|(name, class, _)| (format!("line {class}"), format!("{name} rate"))).collect();
        legend(&mut svg, (12.0, 20.0), WIDTH - 12.0, &entries);
    } else {
        for ((name, _, pick), left) in KINDS.iter().zip([52.0, 452.0]) {
            let area = panel(left, 320.0);
            area.draw(&mut svg, "attempts", &format!("{name} rate (%)"));
            for (g, _, list) in &runs {
                let several = groups.get(*g).is_some_and(|group| group.runs.len() > 1);
                svg.polyline(
                    &line(&area, list, *pick),
                    &format!("{} {}", if several { "thin" } else { "line" }, series(*g)),
                );
            }
        }
        let entries: Vec<_> = groups
            .iter()
            .enumerate()
            .map(|(g, group)| (format!("line {}", series(g)), shorten(&group.name, 40)))
            .collect();
        legend(&mut svg, (12.0, 20.0), WIDTH - 12.0, &entries);
    }
    let description = runs
        .iter()
        .take(20)
        .filter_map(|(_, run, list)| {
            let end = list.last()?;
            let entangled = end.entangled.map_or("unknown".into(), |e| format!("{:.1} %", e * 100.0));
            Some(format!(
                "{}: after {} attempts valid {:.1} %, entangled {entangled}.",
                run.name,
                end.attempts,
                end.valid * 100.0
            ))
        })
        .collect::<Vec<_>>()
        .join(" ");
    Some(Figure {
        name: "rates".into(),
        title: "Valid rate and entanglement rate".into(),
        description,
        caption: "Cumulative. Valid: the program passed the checks of syntax, contract, shapes and budgets. Entangled: the edit \
                  changed more than the factor that it was to change, as a share of the attempts where this is known."
            .into(),
        svg,
    })
}

type Pick = fn(&Rates) -> Option<f64>;

const KINDS: &[(&str, &str, Pick)] = &[("valid", "s2", |r| Some(r.valid)), ("entangled", "s5", |r| r.entangled)];

fn line(panel: &Panel, list: &[Rates], pick: Pick) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = list.iter().filter_map(|r| Some(panel.at(r.attempts as f64, pick(r)?))).collect();
    thin(points, LINE_POINTS, |_| false)
}
