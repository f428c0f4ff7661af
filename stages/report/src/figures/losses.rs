//! Proposals that got no score, by reason.

use super::{Figure, WIDTH};
use crate::analysis::losses as losses_of;
use crate::draw::{Anchor, Svg, shorten};
use crate::run::Run;
use crate::text::{count, whole};

/// Reasons beyond this many are summed up in one bar.
const REASONS: usize = 12;

fn colour(stage: &str) -> &'static str {
    match stage {
        "check" => "s5",
        "train" | "score" => "s1",
        _ => "s7",
    }
}

/// None when nothing was lost.
pub fn losses(run: &Run) -> Option<Figure> {
    let list = losses_of(run);
    let proposals = run.proposals().count();
    let mut bars: Vec<(String, &'static str, usize)> = list
        .iter()
        .take(REASONS)
        .map(|loss| {
            let name = if loss.code.is_empty() {
                loss.category.clone()
            } else {
                format!("{} · {}", loss.category, loss.code)
            };
            (shorten(&name, 38), loss.stage, loss.count)
        })
        .collect();
    let rest: usize = list.iter().skip(REASONS).map(|loss| loss.count).sum();
    if rest > 0 {
        bars.push((format!("{} more", count(list.len() - REASONS, "reason")), "", rest));
    }
    let most = bars.iter().map(|bar| bar.2).max()?;
    let (left, width, step) = (290.0, WIDTH - 290.0 - 130.0, 24.0);
    let mut svg = Svg::new(WIDTH, 4.0 + bars.len() as f64 * step);
    for (i, (name, stage, n)) in bars.iter().enumerate() {
        let y = i as f64 * step;
        svg.text((left - 10.0, y + 14.0), Anchor::End, "", name);
        svg.rect((left, y + 2.0), (width * *n as f64 / most as f64, 16.0), colour(stage), "");
        let x = left + width * *n as f64 / most as f64 + 8.0;
        let share = *n as f64 * 100.0 / proposals.max(1) as f64;
        let at = if stage.is_empty() { String::new() } else { format!(", in {stage}") };
        svg.text((x, y + 14.0), Anchor::Start, "tick", &format!("{} ({share:.0} %{at})", whole(*n as i64)));
    }
    let lost: usize = list.iter().map(|loss| loss.count).sum();
    Some(Figure {
        name: "losses".into(),
        title: "Proposals without a score, by reason".into(),
        description: list
            .iter()
            .take(REASONS)
            .map(|loss| format!("{} {} {}: {}.", loss.stage, loss.category, loss.code, loss.count))
            .collect::<Vec<_>>()
            .join(" "),
        caption: format!(
            "{lost} of {}. A rejected program counts under its first error. Shares are of all proposals.",
            count(proposals, "proposal")
        ),
        svg,
    })
}
