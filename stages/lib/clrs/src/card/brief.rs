//! A card in few tokens, for prompts: the same facts as on the page.

use super::{CONSTANT, Card, Datum, RECORD};
use crate::spec::Stage;
use crate::wiring::Feature;

impl Card {
    /// The card as a short text. Four bytes make about one token.
    pub fn brief(&self) -> String {
        let mut lines = vec![format!("TASK {}: {}", self.task, self.title), self.statement.clone()];
        for (title, stage) in [("Inputs", Stage::Input), ("Outputs", Stage::Output), ("Hints", Stage::Hint)] {
            lines.push(format!("{title}:"));
            let kind = |datum: &Datum| format!("{} {}", datum.location, datum.ty);
            let line = |datum: &Datum| format!("{} ({}): {}", datum.name, kind(datum), datum.explained());
            lines.extend(self.of(stage).map(line));
        }
        lines.extend(self.notes());
        let outputs: Vec<&str> = self.score.outputs.iter().map(|output| output.formula.as_str()).collect();
        lines.push(format!("Score: {}; {}. Hints count for the loss only.", self.score.formula, outputs.join("; ")));
        lines.push(self.brief_wiring());
        lines.extend(
            self.channels.iter().filter(|channel| !channel.carried).map(|channel| channel.sentence_with("all others")),
        );
        let prose = lines.iter().map(|line| line.replace('`', ""));
        let constant = if self.constants().is_empty() { String::new() } else { format!("; {CONSTANT} never changes") };
        let head =
            format!("Code ({RECORD} = one step: all hints recorded; named: those that may have changed{constant}):");
        let mut lines: Vec<String> = prose.chain([head]).chain(self.code.lines().map(narrow)).collect();
        lines.push(match self.records.exact() {
            Some(_) => format!("{} records.", self.records),
            None => format!("{} ({}).", self.records, self.records.why),
        });
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

    /// What data are encoded into, and what decoders read: what all of them do, and what some read besides.
    fn brief_wiring(&self) -> String {
        let encoded = [Feature::NodeFts, Feature::EdgeFts, Feature::GraphFts, Feature::AdjMat];
        let encoded = encoded.iter().filter_map(|&feature| match self.encoded_into(feature).join(" ") {
            names if names.is_empty() => None,
            names => Some(format!("{feature} <- {names}")),
        });
        let groups = self.decoders();
        let in_all = |feature: &Feature| groups.iter().all(|(_, features)| features.contains(feature));
        let list =
            |features: &mut dyn Iterator<Item = Feature>| features.map(Feature::as_str).collect::<Vec<_>>().join(" ");
        let all = list(&mut Feature::ALL.into_iter().filter(|feature| in_all(feature)));
        let more = groups.iter().filter_map(|(names, features)| {
            let more = list(&mut features.iter().copied().filter(|feature| !in_all(feature)));
            (!more.is_empty()).then(|| format!("; {} also {more}", names.join(" ")))
        });
        format!(
            "Encoders: {}. Decoders read {all}{}. next_hidden is hidden of the next step.",
            encoded.collect::<Vec<_>>().join("; "),
            more.collect::<String>()
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
