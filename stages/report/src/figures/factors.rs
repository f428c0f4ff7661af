//! What became of the proposals for each factor.

use super::{Figure, WIDTH};
use crate::analysis::{FactorCounts, factor_series, factors as counts_of};
use crate::draw::{Anchor, Svg};
use crate::run::Run;
use crate::text::whole;

type Bar = (&'static str, fn(&FactorCounts) -> usize);

const BARS: &[Bar] = &[
    ("proposed", |c| c.proposed),
    ("valid", |c| c.valid),
    ("evaluated", |c| c.evaluated),
    ("better than parent", |c| c.improved),
];

/// A funnel of bars for each factor. None without proposals.
pub fn factors(run: &Run) -> Option<Figure> {
    let list = counts_of([run]);
    let most = list.iter().map(|counts| counts.proposed).max()?;
    let (left, width, step) = (240.0, WIDTH - 240.0 - 120.0, 22.0);
    let block = BARS.len() as f64 * step + 18.0;
    let mut svg = Svg::new(WIDTH, list.len() as f64 * block - 10.0);
    for (i, counts) in list.iter().enumerate() {
        let top = i as f64 * block;
        let class = format!("s{}", factor_series(&counts.name));
        svg.text((0.0, top + 14.0), Anchor::Start, &format!("strong {class}"), &counts.name);
        for (j, (name, pick)) in BARS.iter().enumerate() {
            let (y, value) = (top + j as f64 * step, pick(counts));
            let length = width * value as f64 / most as f64;
            svg.text((left - 10.0, y + 14.0), Anchor::End, "note", name);
            svg.rect((left, y + 3.0), (width * counts.proposed as f64 / most as f64, 14.0), "track", "");
            svg.rect((left, y + 3.0), (length, 14.0), &class, "");
            let share = if j == 0 || counts.proposed == 0 {
                String::new()
            } else {
                format!("  ({:.0} %)", value as f64 * 100.0 / counts.proposed as f64)
            };
            let x = left + width * counts.proposed as f64 / most as f64 + 8.0;
            svg.text((x, y + 14.0), Anchor::Start, "tick", &format!("{}{share}", whole(value as i64)));
        }
    }
    let description = list
        .iter()
        .map(|c| {
            format!(
                "{}: {} proposed, {} valid, {} evaluated, {} better than their parents.",
                c.name, c.proposed, c.valid, c.evaluated, c.improved
            )
        })
        .collect::<Vec<_>>()
        .join(" ");
    Some(Figure {
        name: "factors".into(),
        title: "Success by factor".into(),
        description,
        caption: "What became of the proposals for each factor: shares are of the proposals for the factor. Better: larger OOD \
                  accuracy than the parent."
            .into(),
        svg,
    })
}
