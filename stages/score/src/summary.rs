//! How far the proposals of each method reach, in words.

use std::fmt::Write as _;

use search::reach::{Rates, Reach, Share, Sizes};
use stage::terminal::line;

/// For people: a paragraph for each method.
pub fn text(methods: &[Reach]) -> String {
    if methods.is_empty() {
        return "no row has a parent: there is no proposal to sum up\n".to_owned();
    }
    methods.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

/// For machines: a JSON object for each method, one a line.
pub fn json(methods: &[Reach]) -> anyhow::Result<String> {
    let lines: Result<Vec<String>, _> = methods.iter().map(serde_json::to_string).collect();
    Ok(lines?.iter().map(|line| format!("{line}\n")).collect())
}

fn paragraph(reach: &Reach) -> String {
    let settings =
        reach.settings_digest.as_ref().map_or_else(String::new, |digest| format!(" (settings {})", line(digest)));
    let mut text =
        format!("{}{settings}: {} proposals, {} evaluated\n", line(&reach.method), reach.proposals, reach.evaluated);
    let mut entry = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<22} {value}");
    };
    entry("executable", share(reach.rates.executable, "checked"));
    entry("admitted", share(reach.rates.admitted, "of the same"));
    entry("entangled", share(reach.rates.entangled, "compared with their parent"));
    for (kind, &count) in &reach.kinds {
        entry(&format!("  {}", line(kind)), share(Share { count, of: reach.rates.entangled.of }, "of the same"));
    }
    if reach.repairs != Rates::default() {
        for (name, rates) in [("first tries", reach.first_tries), ("repairs", reach.repairs)] {
            let of = |share: Share| share.rate().map_or("unknown".to_owned(), |rate| format!("{:.1} %", 100.0 * rate));
            let text = format!(
                "executable {}, admitted {} (of {}), entangled {}",
                of(rates.executable),
                of(rates.admitted),
                rates.admitted.of,
                of(rates.entangled)
            );
            entry(name, text);
        }
    }
    entry("edit distance OPERATOR", sizes(reach.operator, 1));
    entry("edit distance ACTION", sizes(reach.action, 1));
    entry("edit distance frozen", sizes(reach.frozen, 1));
    entry("graph edit distance", sizes(reach.graph, 1));
    let outputs = match reach.frozen_outputs.of {
        0 => "unknown".to_owned(),
        _ => {
            format!("{}; {} in all", share(reach.frozen_outputs, "with a graph"), reach.frozen_outputs_changed)
        }
    };
    entry("frozen outputs changed", outputs);
    let seeds = match reach.spread {
        None => "unknown: no candidate has two training seeds".to_owned(),
        Some(_) => format!("standard deviation of the fitness: {}", sizes(reach.spread, 4)),
    };
    entry("spread over seeds", seeds);
    text
}

fn share(share: Share, what: &str) -> String {
    match share.rate() {
        None => "unknown".to_owned(),
        Some(rate) => format!("{:.1} % ({} of {} {what})", 100.0 * rate, share.count, share.of),
    }
}

fn sizes(sizes: Option<Sizes>, digits: usize) -> String {
    match sizes {
        None => "unknown".to_owned(),
        Some(s) => format!(
            "mean {:.digits$}, median {:.digits$}, largest {:.digits$} (of {})",
            s.mean, s.median, s.largest, s.known
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_said_to_be() {
        let reach = Reach { method: "spark".into(), proposals: 3, ..Reach::default() };
        let text = text(&[reach]);
        assert!(text.starts_with("spark: 3 proposals, 0 evaluated\n  executable             unknown\n"), "{text}");
        assert!(text.contains("no candidate has two training seeds"), "{text}");
        assert!(super::text(&[]).contains("no row has a parent"));
    }

    #[test]
    fn kinds_are_shares_of_what_was_compared() {
        let reach = Reach {
            method: "eoh".into(),
            rates: Rates { entangled: Share { count: 2, of: 8 }, ..Rates::default() },
            repairs: Rates { admitted: Share { count: 1, of: 4 }, ..Rates::default() },
            kinds: [("frozen-code".to_owned(), 2), ("other-region".to_owned(), 1)].into(),
            graph: Sizes::of(vec![3.0, 5.0]),
            ..Reach::default()
        };
        let text = text(std::slice::from_ref(&reach));
        assert!(text.contains("25.0 % (2 of 8 compared") && text.contains("other-region         12.5 %"), "{text}");
        assert!(text.contains("repairs                executable unknown, admitted 25.0 % (of 4)"), "{text}");
        assert!(text.contains("mean 4.0, median 4.0, largest 5.0 (of 2)"), "{text}");
        assert!(json(&[reach]).expect("JSON").contains("\"frozen-code\":2"));
    }
}
