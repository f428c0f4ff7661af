//! Where the winner fails, beside the seed program: hints by tenths of the run.

use search::diagnosis::{Diagnosis, Probe, TENTHS};

use super::{Figure, WIDTH};
use crate::draw::theme::{LEVELS, level};
use crate::draw::{Anchor, Svg, shorten};
use crate::run::{Run, short_id};

/// Room for the names of hints.
const NAMES: f64 = 104.0;
/// Between two panels, and between the tenths and the columns that sum up.
const BETWEEN: f64 = 22.0;
const GAP: f64 = 5.0;
const TOP: f64 = 44.0;
const HEIGHT: f64 = 24.0;
/// Hints beyond this many are left out, the best first.
const ROWS: usize = 24;

/// None where nothing is known of the winner.
pub fn diagnosis(run: &Run) -> Option<Figure> {
    let winner = run.winner()?;
    let ours = run.diagnoses.get(&winner.candidate_id)?;
    let seed = run.seed_program().filter(|seed| seed.candidate_id != winner.candidate_id);
    let seed = seed.and_then(|seed| run.diagnoses.get(&seed.candidate_id));
    let panels: Vec<(&str, &Diagnosis)> =
        [("The winner", ours)].into_iter().chain(seed.map(|d| ("The seed program", d))).collect();
    let hints: Vec<&Probe> = ours.hints.iter().take(ROWS).collect();
    if hints.is_empty() {
        return None;
    }
    let width = (WIDTH - NAMES - BETWEEN) / 2.0;
    let cell = (width - GAP) / (TENTHS + 2) as f64;
    let mut svg = Svg::new(WIDTH, TOP + hints.len() as f64 * HEIGHT + 40.0);
    for (row, hint) in hints.iter().enumerate() {
        let y = TOP + row as f64 * HEIGHT + HEIGHT / 2.0 + 4.0;
        svg.text((NAMES - 10.0, y), Anchor::End, "code", &shorten(&hint.name, 14));
    }
    for (number, (title, facts)) in panels.iter().enumerate() {
        let left = NAMES + number as f64 * (width + BETWEEN);
        let title = format!("{title}: score {} %", whole(facts.score));
        svg.text((left, 14.0), Anchor::Start, "strong", &title);
        let x = |column: usize| left + column as f64 * cell + if column < TENTHS { 0.0 } else { GAP };
        for column in 0..TENTHS + 2 {
            let name = match column {
                TENTHS => "all".to_owned(),
                _ if column > TENTHS => "true".to_owned(),
                _ => (column + 1).to_string(),
            };
            svg.text((x(column) + cell / 2.0, TOP - 8.0), Anchor::Middle, "tick", &name);
        }
        for (row, hint) in hints.iter().enumerate() {
            let Some(of) = facts.hints.iter().find(|of| of.name == hint.name) else { continue };
            let y = TOP + row as f64 * HEIGHT;
            for column in 0..TENTHS + 2 {
                let value = match column {
                    TENTHS => Some(of.accuracy),
                    _ if column > TENTHS => of.forced,
                    _ => of.tenths.get(column).copied().flatten(),
                };
                let when = match column {
                    TENTHS => "over the whole run".to_owned(),
                    _ if column > TENTHS => "over the whole run with true hints".to_owned(),
                    _ => format!("in tenth {}", column + 1),
                };
                tile(&mut svg, (x(column), y), cell, value, &format!("{} {when}", of.name));
            }
        }
        let foot = TOP + hints.len() as f64 * HEIGHT + 18.0;
        svg.text((left + 5.0 * cell, foot), Anchor::Middle, "label", "tenth of the run");
    }
    Some(Figure {
        name: "diagnosis".into(),
        title: "Where the winner fails: hints over the run".into(),
        description: panels.iter().map(|(title, facts)| told(title, facts)).collect::<Vec<_>>().join(" "),
        caption: format!(
            "Accuracy (%) of each hint in each tenth of a graph's run, on the graphs that are scored (N\u{a0}=\u{a0}{}), the worst \
             hint first, scalars last; the stronger the colour, the more is wrong. Hints are fed back as predicted, as in the \
             score; in the column `true` true hints are fed back instead: what is wrong there is the fault of single steps, and \
             what is wrong in `all` only comes of earlier faults. (Networks that learned from their own hints may do a little worse \
             with true ones.) Of the first training of {}. A mask counts by F1; a scalar by 1 \
             less its error relative to its spread, at least 0.",
            ours.nodes,
            short_id(&winner.candidate_id),
        ),
        svg,
    })
}

fn tile(svg: &mut Svg, at: (f64, f64), width: f64, value: Option<f64>, what: &str) {
    let size = (width - 1.0, HEIGHT - 1.0);
    let Some(value) = value.filter(|value| value.is_finite()) else {
        svg.rect(at, size, "empty", &format!("{what}: nothing to predict"));
        return;
    };
    let strength = level(1.0 - value, 0.0, 1.0);
    svg.rect(at, size, &format!("h{strength}"), &format!("{what}: {:.1} %", value * 100.0));
    let ink = if strength >= LEVELS - 2 { "on-high" } else { "on-low" };
    let middle = (at.0 + size.0 / 2.0, at.1 + HEIGHT / 2.0 + 4.0);
    svg.text(middle, Anchor::Middle, &format!("tick {ink}"), &whole(value));
}

/// In per cent without decimals; what is not quite all is never 100.
fn whole(value: f64) -> String {
    let percent = value * 100.0;
    let rounded = if percent < 100.0 { percent.round().min(99.0) } else { percent.round() };
    format!("{rounded:.0}")
}

fn told(title: &str, facts: &Diagnosis) -> String {
    let hints = facts.hints.iter().take(4).map(|hint| format!("{} {} %", hint.name, whole(hint.accuracy)));
    let first = facts.first_wrong.first().map_or(String::new(), |first| {
        format!(" Most often the first to be wrong: {} in tenth {}.", first.hint, first.tenth + 1)
    });
    format!(
        "{title} scores {} %; its worst hints: {}.{first}",
        whole(facts.score),
        hints.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_perfect_is_100() {
        assert_eq!([0.0, 0.994, 0.996, 0.9999, 1.0].map(whole), ["0", "99", "99", "99", "100"]);
    }
}
