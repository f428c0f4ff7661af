//! A card as a page, which reads as well in a terminal as on a site.

use std::fmt::Write as _;

use super::settings::{Fitness, Settings};
use super::wrap::wrapped;
use super::{CONSTANT, Card, Datum, RECORD};
use crate::Repred;
use crate::spec::{Stage, Type};
use crate::wiring::Feature;

impl Card {
    /// The card as Markdown.
    pub fn markdown(&self) -> String {
        let mut page = format!("# {} (`{}`)\n\n", self.title, self.task);
        page += &wrapped("", &format!("*{}. {}.*", capital(&self.family), self.source));
        page += "\n";
        page += &wrapped("", &self.statement);
        self.write_data(&mut page);
        self.write_score(&mut page);
        self.write_code(&mut page);
        self.write_wiring(&mut page);
        self.write_problems(&mut page);
        if let Some(settings) = &self.settings {
            write_settings(&mut page, settings);
        }
        page
    }

    fn write_data(&self, page: &mut String) {
        *page += "\n## Data\n";
        let names = [("Inputs, given once:", Stage::Input), ("Outputs, asked for once:", Stage::Output)];
        for (title, stage) in names.into_iter().chain([("Hints, recorded at each step:", Stage::Hint)]) {
            let cells = |datum: &Datum| vec![format!("`{}`", datum.name), datum.kind(), datum.explained()];
            let rows = self.of(stage).map(cells).collect::<Vec<_>>();
            *page += &format!("\n{title}\n\n{}", table(["name", "type", "meaning"].map(str::to_owned).into(), &rows));
        }
        let notes = self.notes();
        if !notes.is_empty() {
            *page += "\n";
            notes.iter().for_each(|note| *page += &wrapped("", note));
        }
    }

    /// Where the network sees something else than the contract has.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for datum in self.data.iter().filter(|datum| datum.is_transformed()) {
            let names = datum.network.iter().map(|seen| format!("`{}`", seen.name)).collect::<Vec<_>>();
            notes.push(match datum.ty {
                Type::ShouldBePermutation => format!(
                    "The network puts out `{}` as {}: a permutation in which the first node points at the last one, and a mask \
                     of the first node.",
                    datum.name,
                    names.join(" and ")
                ),
                _ => format!(
                    "`{}` is the same at every step: the network takes it as the input {} and does not predict it.",
                    datum.name,
                    names.join(" and ")
                ),
            });
        }
        notes
    }

    fn write_score(&self, page: &mut String) {
        *page += "\n## Score\n\n";
        *page += &format!("`{}`, from 0 to 1.\n\n", self.score.formula);
        for output in &self.score.outputs {
            *page += &wrapped("- ", &format!("{}.", output.formula));
        }
        *page += "\n";
        *page += &wrapped("", LOSS);
    }

    fn write_code(&self, page: &mut String) {
        *page += "\n## Pseudo-code, and where hints are recorded\n\n";
        let constant = if self.constants().is_empty() {
            String::new()
        } else {
            format!(" {CONSTANT} stands before hints that never change.")
        };
        *page += &wrapped(
            "",
            &format!(
                "{RECORD} is a record of all hints, which is one time step; after it stand the hints that may have changed since \
                 the record before.{constant}"
            ),
        );
        *page += &format!("\n```text\n{}\n```\n\n", self.code);
        *page += &wrapped("", &format!("Records of a run: {} ({}).", self.records, self.records.why));
    }

    fn write_wiring(&self, page: &mut String) {
        *page += "\n## What reaches what\n\n";
        *page += &wrapped("", STEPS);
        *page += "\n";
        let encoded = [Feature::NodeFts, Feature::EdgeFts, Feature::GraphFts, Feature::AdjMat];
        let rows = encoded.map(|feature| {
            let mut names = self.encoded_into(feature).join(", ");
            if feature == Feature::AdjMat {
                names = [names.as_str(), "each node with itself"]
                    .iter()
                    .filter(|text| !text.is_empty())
                    .copied()
                    .collect::<Vec<_>>()
                    .join(", ");
            }
            vec![
                format!("`{feature}`"),
                feature.axes().to_owned(),
                if names.is_empty() { "nothing".to_owned() } else { names },
            ]
        });
        *page += &table(["feature", "shape", "encodes"].map(str::to_owned).into(), &rows);
        *page += "\n";
        let rows = self.decoders().into_iter().map(|(names, features)| {
            vec![features.iter().map(|feature| feature.as_str()).collect::<Vec<_>>().join(", "), names.join(", ")]
        });
        *page += &table(["read by decoders", "of"].map(str::to_owned).into(), &rows.collect::<Vec<_>>());
        *page += "\n";
        if self.decoders().iter().any(|(_, features)| features.contains(&Feature::GraphFts)) {
            *page += &wrapped("- ", OF_THE_GRAPH);
        }
        for channel in &self.channels {
            *page += &wrapped("- ", &channel.sentence());
        }
    }

    fn write_problems(&self, page: &mut String) {
        let sampling = &self.sampling;
        *page += "\n## Problems\n\n";
        *page += &wrapped("- ", &format!("{}; {}.", capital(&sampling.problem), sampling.nodes));
        match (&sampling.training, &sampling.test) {
            (Some(training), Some(test)) => {
                let text = format!("Training, validation and out-of-distribution validation: {training}.");
                *page += &wrapped("- ", &text);
                *page += &wrapped("- ", &format!("Test: {test}; the samples of seed {}.", sampling.test_seed));
            }
            _ => {
                let text = format!(
                    "Training, validation and test differ in length only; test has the samples of seed {}.",
                    sampling.test_seed
                );
                *page += &wrapped("- ", &text);
            }
        }
        *page += &wrapped("- ", &format!("{}.", sampling.positions));
    }
}

/// How decoders of the graph's data read nodes.
const OF_THE_GRAPH: &str =
    "Data of the graph are read from `graph_fts` and from the largest values over nodes of the others.";

/// What training does with hints.
const LOSS: &str = "Hints count for the loss of training, not for the score. Losses are squared errors of scalars, binary \
    cross-entropies of masks, and cross-entropies of all others, each the mean over what there is to predict.";

/// How the network runs over time.
const STEPS: &str = "Encoders make features of inputs and hints; the processor makes `next_hidden` and `tri_msgs` of them and of \
    `hidden`; decoders predict. The network takes T - 1 steps (at least one): step t is given hint t and predicts hint t + 1. The \
    first hint is the true one, the others are its own predictions. Outputs are read at a sample's last step.";

impl Settings {
    /// One sentence for each matter: what it is about, and what is set.
    pub(super) fn sentences(&self) -> Vec<(&'static str, String)> {
        let training = &self.training;
        let lengths = training.lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let passes = match self.message_passing_steps {
            1 => "applied once a step".to_owned(),
            several => format!("applied {several} times a step"),
        };
        let clip = match training.grad_clip {
            clip if clip > 0.0 => format!("gradient clipped to norm {clip}"),
            _ => "gradient not clipped".to_owned(),
        };
        let in_turn =
            if training.lengths.len() > 1 { format!("lengths {lengths} in turn") } else { format!("length {lengths}") };
        let feedback = match training.hint_feedback {
            Repred::Soft => "fed back as probabilities (scalars as they are), with gradient",
            Repred::Hard => "fed back as decisions (scalars as they are), without gradient",
            Repred::HardOnEval => "fed back as probabilities with gradient in training, as decisions in evaluation",
        };
        let forcing = match training.hint_teacher_forcing {
            p if p <= 0.0 => "no teacher forcing".to_owned(),
            p => format!(
                "in training, the true ones instead with probability {p} for each sample and step; never in evaluation"
            ),
        };
        let mut sentences = vec![
            ("Network", format!("H = {}, processor {passes}", self.hidden)),
            (
                "Training",
                format!(
                    "{} updates by Adam (learning rate {}, {clip}), each on {} problems, {in_turn}; loss: the sum of the mean \
                     losses of all hints and outputs",
                    training.steps, training.learning_rate, training.batch_size
                ),
            ),
            ("Hints", format!("predicted hints are {feedback}; {forcing}")),
            (
                "Validation",
                format!(
                    "{} problems of length {}, every {} updates; the best weights are kept",
                    self.validation.samples, self.validation.length, training.validate_every
                ),
            ),
            ("Out of distribution", format!("{} problems of length {}", self.ood.samples, self.ood.length)),
            ("Test", format!("{} problems of length {}", self.test.samples, self.test.length)),
            (
                "Fitness",
                match self.fitness {
                    Fitness::Ood => "the score out of distribution, a mean over trainings",
                    Fitness::Test => "the score on the test split, a mean over trainings",
                }
                .to_owned(),
            ),
        ];
        if let Some(noise) = &self.noise {
            let text = format!(
                "one training's score has a standard deviation of {} over seeds ({}): smaller differences mean little",
                noise.std, noise.source
            );
            sentences.push(("Noise", text));
        }
        sentences
    }
}

fn write_settings(page: &mut String, settings: &Settings) {
    *page += "\n## Settings in force\n\n";
    for (about, sentence) in settings.sentences() {
        *page += &wrapped("- ", &format!("{about}: {sentence}."));
    }
}

/// A table whose columns line up; the last one is as wide as it is.
fn table(head: Vec<String>, rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = std::iter::once(&head).chain(rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let last = head.len().saturating_sub(1);
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        for (at, cell) in cells.iter().enumerate() {
            let padded = if at == last { 0 } else { widths[at] };
            // Writing to a string cannot fail.
            let _ = write!(text, "| {cell:padded$} ");
        }
        text.push_str("|\n");
    };
    line(&head);
    let rule = |at: usize| "-".repeat(if at == last { head[at].chars().count() } else { widths[at] });
    line(&(0..head.len()).map(rule).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
    text
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}
