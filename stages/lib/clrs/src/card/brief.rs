//! A card in few tokens, for prompts: the same facts as on the page.

use super::{CONSTANT, Card, Datum, RECORD};
use crate::spec::Stage;
use crate::wiring::Feature;

impl Card {
    /// The card as a short text. Four bytes make about one token.
    pub fn brief(&self) -> String {
        let mut lines = vec![format!("TASK {}: {} ({})", self.task, self.title, self.source), self.statement.clone()];
        for (title, stage) in [("Inputs", Stage::Input), ("Outputs", Stage::Output), ("Hints", Stage::Hint)] {
            lines.push(format!("{title}:"));
            let line = |datum: &Datum| format!("- {} ({}): {}", datum.name, datum.kind(), datum.explained());
            lines.extend(self.of(stage).map(line));
        }
        lines.extend(self.notes());
        let outputs: Vec<&str> = self.score.outputs.iter().map(|output| output.formula.as_str()).collect();
        lines.push(format!("Score: {}; {}.", self.score.formula, outputs.join("; ")));
        lines.push(self.brief_wiring());
        lines.extend(self.channels.iter().map(super::Channel::sentence));
        let constant = if self.constants().is_empty() { String::new() } else { format!("; {CONSTANT} never changes") };
        lines
            .push(format!("Code ({RECORD} records all hints, one time step; named: what may have changed{constant}):"));
        lines.extend(self.code.lines().map(narrow));
        lines.push(format!("{} ({}).", self.records, self.records.why));
        let sampling = &self.sampling;
        let differences = match (&sampling.training, &sampling.test) {
            (Some(training), Some(test)) => format!(" Training: {training}. Test: {test}."),
            _ => String::new(),
        };
        lines.push(format!("Problems: {}; {}.{differences}", sampling.problem, sampling.nodes));
        if let Some(settings) = &self.settings {
            lines.extend(settings.sentences().into_iter().map(|(about, sentence)| format!("{about}: {sentence}.")));
        }
        lines.join("\n") + "\n"
    }

    fn brief_wiring(&self) -> String {
        let encoded = [Feature::NodeFts, Feature::EdgeFts, Feature::GraphFts, Feature::AdjMat];
        let encoded = encoded.iter().filter_map(|&feature| match self.encoded_into(feature).join(" ") {
            names if names.is_empty() => None,
            names => Some(format!("{feature} = {names}")),
        });
        let decoded = self.decoders().into_iter().map(|(names, features)| {
            let features: Vec<&str> = features.iter().map(|feature| feature.as_str()).collect();
            format!("{} from {}", names.join(" "), features.join(" "))
        });
        format!(
            "Encoded: {}. Decoded: {}.",
            encoded.collect::<Vec<_>>().join("; "),
            decoded.collect::<Vec<_>>().join("; ")
        )
    }
}

/// A line of code with one space for each level, and no columns.
fn narrow(line: &str) -> String {
    let code = line.trim_start();
    let level = (line.len() - code.len()) / 4;
    format!(
        "{}{}",
        " ".repeat(level),
        code.split("  ").filter(|part| !part.is_empty()).map(str::trim).collect::<Vec<_>>().join("  # ")
    )
}
