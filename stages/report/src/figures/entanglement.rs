//! How far edits reach: the share of entangled proposals by kind, and the mean edit distances.

use search::reach::{Reach, Sizes};

use super::{Figure, HALF, RIGHT, WIDTH};
use crate::analysis::{Group, edits};
use crate::draw::theme::series;
use crate::draw::{Anchor, Svg, legend, shorten};
use crate::text::count;

/// Height of a bar, of the name above a cluster of bars, and of the gap below it.
const BAR: f64 = 14.0;
const NAME: f64 = 18.0;
const GAP: f64 = 10.0;
/// Room right of the longest bar for its value.
const VALUE: f64 = 108.0;

/// A quantity with its value for each group; `None` where nothing is known.
struct Cluster {
    name: String,
    bars: Vec<Option<(f64, String)>>,
}

/// Draws one bar per group in each cluster. None where no proposal was compared with its parent.
pub fn entanglement(groups: &[Group<'_>]) -> Option<Figure> {
    let all: Vec<Reach> = groups.iter().map(edits).collect();
    if all.iter().all(|edits| edits.rates.entangled.of == 0 && edits.graph.is_none()) {
        return None;
    }
    let (shares, distances) = (shares(&all), distances(&all));
    let mut svg = Svg::new(WIDTH, 0.0);
    let several = groups.len() > 1;
    let entries: Vec<(String, String)> =
        groups.iter().enumerate().map(|(g, group)| (series(g), shorten(&group.name, 40))).collect();
    let top = if several { legend(&mut svg, &entries) - 4.0 } else { 22.0 };
    let mut bottom = top;
    for (left, title, clusters) in
        [(0.0, "share of proposals (%)", &shares), (RIGHT, "mean edit distance to the parent", &distances)]
    {
        svg.text((left, top - 8.0), Anchor::Start, "label", title);
        let most = clusters.iter().flat_map(|c| &c.bars).flatten().map(|bar| bar.0).fold(0.0, f64::max);
        let mut y = top + 4.0;
        for cluster in clusters {
            svg.text((left, y + 13.0), Anchor::Start, "strong", &cluster.name);
            y += NAME;
            for (g, bar) in cluster.bars.iter().enumerate() {
                let (length, text) = match bar {
                    Some((value, text)) if most > 0.0 => ((HALF - VALUE) * value / most, text.as_str()),
                    Some((_, text)) => (0.0, text.as_str()),
                    None => (0.0, "unknown"),
                };
                svg.rect((left, y + 1.0), (length.max(1.0), BAR - 3.0), &series(g), "");
                svg.text((left + length.max(1.0) + 7.0, y + 10.5), Anchor::Start, "tick", text);
                y += BAR;
            }
            y += GAP;
        }
        bottom = f64::max(bottom, y);
    }
    svg.height = bottom;
    let known: usize = all.iter().map(|edits| edits.rates.entangled.of).sum();
    Some(Figure {
        name: "entanglement".into(),
        title: "Entanglement, and how far edits reach".into(),
        description: all.iter().map(describe).collect::<Vec<_>>().join(" "),
        caption: format!(
            "Left: {} compared with their parents; a proposal can be entangled in several ways. A frozen output is a result of \
             the processor that the parent's frozen code computes alone. Right: trees are counted in syntax nodes, by region; \
             the typed graph in nodes and edges that only parent or child has; medians in brackets.",
            count(known, "proposal")
        ),
        svg,
    })
}

fn shares(all: &[Reach]) -> Vec<Cluster> {
    let cluster = |name: &str, rate: &dyn Fn(&Reach) -> Option<f64>| Cluster {
        name: name.into(),
        bars: all.iter().map(|edits| rate(edits).map(|share| (share, format!("{:.1}", share * 100.0)))).collect(),
    };
    let mut clusters = vec![cluster("entangled", &|edits| edits.rates.entangled.rate())];
    let mut kinds: Vec<&String> = all.iter().flat_map(|edits| edits.kinds.keys()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        clusters.push(cluster(&kind.replace('-', " "), &|edits| {
            let count = edits.kinds.get(kind).copied().unwrap_or(0);
            (edits.rates.entangled.of > 0).then(|| count as f64 / edits.rates.entangled.of as f64)
        }));
    }
    clusters.push(cluster("changes a frozen output", &|edits| edits.frozen_outputs.rate()));
    clusters
}

fn distances(all: &[Reach]) -> Vec<Cluster> {
    let cluster = |name: &str, sizes: &dyn Fn(&Reach) -> Option<Sizes>| Cluster {
        name: name.into(),
        bars: all
            .iter()
            .map(|edits| sizes(edits).map(|s| (s.mean, format!("{:.1} ({:.1})", s.mean, s.median))))
            .collect(),
    };
    vec![
        cluster("OPERATOR region", &|edits| edits.operator),
        cluster("ACTION region", &|edits| edits.action),
        cluster("frozen code", &|edits| edits.frozen),
        cluster("typed graph", &|edits| edits.graph),
    ]
}

fn describe(edits: &Reach) -> String {
    let share = |value: Option<f64>| value.map_or("unknown".into(), |v| format!("{:.1} %", v * 100.0));
    let mean = |sizes: Option<Sizes>| sizes.map_or("unknown".into(), |s| format!("{:.1}", s.mean));
    format!(
        "{}: entangled {}, frozen outputs changed by {}; mean edit distance OPERATOR {}, ACTION {}, frozen {}, graph {}.",
        edits.method,
        share(edits.rates.entangled.rate()),
        share(edits.frozen_outputs.rate()),
        mean(edits.operator),
        mean(edits.action),
        mean(edits.frozen),
        mean(edits.graph)
    )
}
