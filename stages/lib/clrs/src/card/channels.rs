//! What each result of the processor can influence: at once, through the decoders that read it, and later, through
//! predicted hints, which enter the network again at the next step.

use serde::Serialize;

use super::data::{Datum, Seen};
use crate::spec::Stage;
use crate::wiring::Feature;

/// A result of the processor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Channel {
    /// Which result it is: the next hidden state, or triplet messages.
    pub feature: Feature,
    /// Whether the next step is given it as it is.
    pub carried: bool,
    /// Hints whose decoders read it.
    pub hints: Vec<&'static str>,
    /// Outputs whose decoders read it.
    pub outputs: Vec<&'static str>,
    /// Hints and outputs whose decoders do not read it, and which it still reaches at later steps, through `hints`.
    pub later: Vec<&'static str>,
    /// Hints and outputs that it never reaches.
    pub never: Vec<&'static str>,
}

/// The results of the processor: the hidden state, and triplet messages.
pub(super) fn channels(data: &[Datum]) -> Vec<Channel> {
    [Feature::NextHidden, Feature::TriMsgs].map(|feature| channel(data, feature)).into()
}

/// Data that the network decodes.
pub(super) fn decoded(data: &[Datum]) -> impl Iterator<Item = &Seen> {
    data.iter().flat_map(|datum| &datum.network).filter(|seen| seen.stage != Stage::Input)
}

fn channel(data: &[Datum], feature: Feature) -> Channel {
    let read = |stage: Stage| {
        let chosen = decoded(data).filter(|seen| seen.stage == stage && seen.decoded_from.contains(&feature));
        chosen.map(|seen| seen.name).collect::<Vec<_>>()
    };
    let (hints, outputs) = (read(Stage::Hint), read(Stage::Output));
    let carried = feature == Feature::NextHidden;
    let others = decoded(data).filter(|seen| !seen.decoded_from.contains(&feature)).map(|seen| seen.name).collect();
    // What is fed back is encoded, and every decoder reads encoded features or the hidden state made of them.
    let (later, never) = if hints.is_empty() && !carried { (Vec::new(), others) } else { (others, Vec::new()) };
    Channel { feature, carried, hints, outputs, later, never }
}

impl Channel {
    /// All whose decoders read it.
    pub fn at_once(&self) -> Vec<&'static str> {
        self.outputs.iter().chain(&self.hints).copied().collect()
    }

    /// What it can influence, in sentences.
    pub fn sentence(&self) -> String {
        self.sentence_with(&list(&self.later))
    }

    /// As [`Channel::sentence`], with these words for what it reaches later.
    pub(super) fn sentence_with(&self, later: &str) -> String {
        let Self { feature, hints, outputs, .. } = self;
        if self.carried {
            return format!("`{feature}` is read by all decoders, and is `hidden` of the next step.");
        }
        if hints.is_empty() && outputs.is_empty() {
            return format!(
                "`{feature}` are read by no decoder of this task and never enter `hidden`: they have no effect at all."
            );
        }
        let at_once = list(&self.at_once());
        let read = format!("`{feature}` are read by the decoders of {at_once} and no others, and never enter `hidden`");
        if hints.is_empty() {
            return format!("{read}: nothing else depends on them.");
        }
        if self.later.is_empty() {
            return format!("{read}.");
        }
        let (kind, verb) = if hints.len() == 1 { ("hint", "is") } else { ("hints", "are") };
        let hints = list(hints);
        format!(
            "{read}. They reach {later} only at later steps, through the predicted {kind} {hints}, which {verb} fed back."
        )
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
