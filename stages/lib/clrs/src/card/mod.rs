//! Task cards: what there is to know about a task before one designs a network for it.
//!
//! What can be derived is derived: the data from the contract, the score from the types of the outputs, what decoders read
//! and what a change can influence from [`crate::wiring`], the problems from the sampler. Statement, meanings and pseudo-code
//! are written by people, a file each in `cards/` beside the sources.
//!
//! A card is data (it serialises), a page of Markdown ([`Card::markdown`]) and a short text for prompts ([`Card::brief`]).
//!
//! ```
//! let dfs = clrs::Card::new(clrs::find_algorithm("dfs")?);
//! let triplets = dfs.channel(clrs::wiring::Feature::TriMsgs).ok_or("it has one")?;
//! assert_eq!(triplets.at_once(), ["pi", "pi_h", "s_prev"]);
//! assert_eq!(dfs.records.to_string(), "T = 3N");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod brief;
mod channels;
mod data;
mod markdown;
mod records;
mod sampling;
mod score;
mod settings;
mod text;
mod wrap;

use serde::Serialize;

pub use channels::Channel;
pub use data::{Class, Datum, Seen};
pub use records::{Count, Records};
pub use sampling::Sampling;
pub use score::{Measure, OutputScore, Score};
pub use settings::{Evaluation, Fitness, Noise, Settings, Training};
pub use text::{CONSTANT, RECORD};

use crate::algorithms::Algorithm;
use crate::spec::Stage;
use crate::wiring::Feature;
use text::Text;

/// All there is to know about a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Card {
    /// The algorithm's name in the benchmark.
    pub task: &'static str,
    /// The algorithm's name in words.
    pub title: String,
    /// The field it belongs to, in words.
    pub family: String,
    /// Where the algorithm comes from.
    pub source: &'static str,
    /// What it does, in a paragraph.
    pub statement: String,
    /// In the order of the contract: inputs, outputs, hints.
    pub data: Vec<Datum>,
    /// How predictions are scored.
    pub score: Score,
    /// The results of the processor, and what each can influence.
    pub channels: Vec<Channel>,
    /// Pseudo-code. A line that begins with [`RECORD`] is a record of all hints, which is one time step, and names those that
    /// may have changed since the record before; one that begins with [`CONSTANT`] names hints that never change.
    pub code: String,
    /// How many records a run leaves.
    pub records: Records,
    /// How problems are drawn.
    pub sampling: Sampling,
    /// How the reader trains and scores; `None` for a card of the benchmark alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
}

impl Card {
    /// The card of a task, without settings.
    pub fn new(algorithm: &Algorithm) -> Self {
        let text = Text::of(algorithm);
        let data = data::data(algorithm, &text);
        Self {
            task: algorithm.name,
            family: algorithm.family.to_string(),
            source: algorithm.source,
            score: score::score(&data),
            channels: channels::channels(&data),
            data,
            sampling: sampling::sampling(algorithm),
            title: text.title,
            statement: text.statement,
            code: text.code,
            records: text.records,
            settings: None,
        }
    }

    /// The same with the settings that scores are made with.
    pub fn with_settings(self, settings: Settings) -> Self {
        Self { settings: Some(settings), ..self }
    }

    /// The data of a stage.
    pub fn of(&self, stage: Stage) -> impl Iterator<Item = &Datum> {
        self.data.iter().filter(move |datum| datum.stage == stage)
    }

    /// A result of the processor.
    pub fn channel(&self, feature: Feature) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.feature == feature)
    }

    /// Names of the data that are encoded into a feature.
    pub fn encoded_into(&self, feature: Feature) -> Vec<&'static str> {
        let seen = self.data.iter().flat_map(|datum| &datum.network);
        seen.filter(|seen| seen.encoded_into.contains(&feature)).map(|seen| seen.name).collect()
    }

    /// Hints and outputs whose decoders read the same features, with these: most features first.
    pub fn decoders(&self) -> Vec<(Vec<&'static str>, &[Feature])> {
        let mut groups: Vec<(Vec<&'static str>, &[Feature])> = Vec::new();
        for seen in channels::decoded(&self.data) {
            match groups.iter_mut().find(|(_, features)| *features == seen.decoded_from) {
                Some((names, _)) => names.push(seen.name),
                None => groups.push((vec![seen.name], &seen.decoded_from)),
            }
        }
        groups.sort_by_key(|(_, features)| std::cmp::Reverse(features.len()));
        groups
    }

    /// The places of the pseudo-code at which hints are recorded: at each, the hints that may have changed.
    pub fn records_in_code(&self) -> Vec<Vec<&str>> {
        self.marked(RECORD)
    }

    /// The hints that never change.
    pub fn constants(&self) -> Vec<&str> {
        self.marked(CONSTANT).concat()
    }

    fn marked(&self, mark: char) -> Vec<Vec<&str>> {
        let marks = self.code.lines().filter_map(|line| line.trim_start().strip_prefix(mark));
        marks.map(|names| names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()).collect()
    }
}
