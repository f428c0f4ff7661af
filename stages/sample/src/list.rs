//! What there is: the algorithms and their data points.

use std::fmt::Write as _;

use clrs::{Algorithm, SpecEntry, Stage, algorithms};
use serde_json::{Value, json};

/// One paragraph for each algorithm, or one JSON object a line.
pub fn text(as_json: bool) -> String {
    algorithms()
        .iter()
        .map(|algorithm| if as_json { format!("{}\n", object(algorithm)) } else { paragraph(algorithm) })
        .collect()
}

fn paragraph(algorithm: &Algorithm) -> String {
    let mut text = format!("{}  ({}; {})\n", algorithm.name, algorithm.family, algorithm.source);
    for stage in [Stage::Input, Stage::Output, Stage::Hint] {
        let points = algorithm.spec().iter().filter(|entry| entry.stage == stage).map(point).collect::<Vec<_>>();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:7}{}", stage.as_str(), points.join(", "));
    }
    text.push('\n');
    text
}

fn point(entry: &SpecEntry) -> String {
    let classes = if entry.classes > 0 { format!(" of {}", entry.classes) } else { String::new() };
    format!("{} ({} {}{classes})", entry.name, entry.location, entry.ty)
}

fn object(algorithm: &Algorithm) -> Value {
    let entry = |entry: &SpecEntry| {
        json!({
            "name": entry.name,
            "stage": entry.stage.as_str(),
            "location": entry.location.as_str(),
            "type": entry.ty.as_str(),
            "classes": (entry.classes > 0).then_some(entry.classes),
        })
    };
    json!({
        "algorithm": algorithm.name,
        "family": algorithm.family.to_string(),
        "source": algorithm.source,
        "spec": algorithm.spec().iter().map(entry).collect::<Vec<_>>(),
    })
}
