//! Moves in the grammar: from the genomes of known programs to those of a new one.

use schemas::Factor;

use super::evidence::Evidence;
use super::genes::{self, Genome};
use super::reading::{self, Reading};
use crate::random::Stream;
use crate::region::Region;

/// Probabilities of 1, 2 and 3 genes in a variation.
const SIZES: [f64; 3] = [0.6, 0.3, 0.1];

/// How often a move that changed nothing is drawn again.
const TRIES: usize = 32;

/// Genes that say how much, not how: what EoH calls the parameters of a design.
const SCALES: [&str; 8] = ["width", "node", "edge", "start", "gate_form", "gate_bias", "act", "rounds"];

/// What the grammar knows of.
const FACTORS: [Factor; 2] = Factor::PAPER;

/// The genomes of a program, and which of them may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    operator: Genome,
    action: Genome,
    /// The only factor that may change.
    scope: Option<Factor>,
    /// Whether the action region looks for gates as it stands.
    open: bool,
    /// Regions that were not written by the grammar: an edit replaces them whole.
    foreign: [bool; 2],
}

impl Plan {
    /// Reads a program. The error is a sentence: why the grammar cannot edit it within the scope.
    pub fn of(source: &str, scope: Option<Factor>) -> Result<Self, String> {
        for factor in FACTORS {
            if Region::find(source, factor).is_none() {
                return Err(format!("the parent has no {} region with a BEGIN and an END marker", factor));
            }
        }
        if let Some(factor) = scope.filter(|&factor| !reading::replaceable(source, factor)) {
            let other = factor.other_half().unwrap_or(factor);
            return Err(format!(
                "the built-in grammar cannot edit the {factor} region alone: the {other} region was written by hand and \
                 hangs together with it by other names than the grammar's"
            ));
        }
        let reading = Reading::of(source);
        Ok(Self {
            foreign: [reading.operator.is_none(), reading.action.is_none()],
            operator: reading.operator.unwrap_or_else(|| Genome::seed(Factor::OPERATOR)),
            action: reading.action.unwrap_or_else(|| Genome::seed(Factor::ACTION)),
            scope,
            open: reading.open,
        })
    }

    /// Whether all regions that may change say what they are in genes, so that an edit continues from them.
    #[must_use]
    pub fn understood(&self) -> bool {
        FACTORS.into_iter().zip(self.foreign).all(|(factor, foreign)| !foreign || !self.allows(factor))
    }

    /// Whether a factor may change.
    #[must_use]
    pub fn allows(&self, factor: Factor) -> bool {
        self.scope.is_none_or(|scope| scope == factor)
    }

    fn factors(&self) -> impl Iterator<Item = Factor> + '_ {
        FACTORS.into_iter().filter(|&factor| self.allows(factor))
    }

    fn genome(&self, factor: Factor) -> &Genome {
        match factor {
            Factor::OPERATOR => &self.operator,
            _ => &self.action,
        }
    }

    /// The names of the genes that may change.
    fn free(&self) -> Vec<&'static str> {
        self.factors().flat_map(genes::genes_of).map(|gene| gene.name).collect()
    }

    fn get(&self, gene: &str) -> &'static str {
        let value = self.operator.get(gene);
        if value.is_empty() { self.action.get(gene) } else { value }
    }

    fn set(&mut self, gene: &str, value: &str) -> bool {
        self.operator.set(gene, value) || self.action.set(gene, value)
    }

    /// Drops choices without effect. An action region that changes is rendered anew, and thereby opened for gates.
    fn settled(mut self, parent: &Self) -> Self {
        self.action = self.action.settled(true);
        self.open = parent.open || self.action != parent.action;
        self.operator = self.operator.settled(self.open);
        self
    }

    /// With genes set; `None` where a gene may not change or has no such value.
    #[must_use]
    pub fn with(&self, settings: &[(String, String)]) -> Option<Self> {
        let free = self.free();
        let mut child = self.clone();
        for (gene, value) in settings {
            if !free.contains(&gene.as_str()) || !child.set(gene, value) {
                return None;
            }
        }
        Some(child.settled(self))
    }

    /// With 1 to 3 genes changed.
    #[must_use]
    pub fn varied(&self, stream: &mut Stream) -> Self {
        self.inspired(&[], stream)
    }

    /// With 1 to 3 genes changed; where there are others, a changed gene takes the value of one of them in half of the
    /// cases.
    #[must_use]
    pub fn inspired(&self, others: &[Self], stream: &mut Stream) -> Self {
        let free = self.free();
        self.changed(stream, |child, stream| {
            let count = stream.weighted(&SIZES).unwrap_or(0) + 1;
            for place in stream.sample(free.len(), count) {
                let Some(gene) = free.get(place) else { continue };
                match stream.choose(others).map(|other| other.get(gene)) {
                    Some(value) if stream.chance(0.5) => {
                        child.set(gene, value);
                    }
                    _ => child.redraw(gene, stream),
                }
            }
        })
    }

    /// As [`Self::varied`], with the genes drawn by what a diagnosis says of them; what does nothing is left out.
    #[must_use]
    pub fn guided(&self, evidence: &Evidence, stream: &mut Stream) -> Self {
        let free = self.free();
        self.changed(stream, |child, stream| {
            let count = stream.weighted(&SIZES).unwrap_or(0) + 1;
            let mut weights: Vec<f64> = free.iter().map(|gene| evidence.weight(gene)).collect();
            for _ in 0..count.min(free.len()) {
                let Some(place) = stream.weighted(&weights) else { break };
                if let Some(weight) = weights.get_mut(place) {
                    *weight = 0.0;
                }
                let Some(gene) = free.get(place) else { continue };
                match child.get(gene) {
                    "yes" if evidence.prunes(gene) => {
                        child.set(gene, "no");
                    }
                    _ => child.redraw(gene, stream),
                }
            }
        })
    }

    /// Repeats a move until it has an effect. Where none is to be had, the last try stands.
    fn changed(&self, stream: &mut Stream, step: impl Fn(&mut Self, &mut Stream)) -> Self {
        let mut child = self.clone();
        for _ in 0..TRIES {
            child = self.clone();
            step(&mut child, stream);
            child = child.settled(self);
            if child != *self {
                break;
            }
        }
        child
    }

    /// Another value for a gene, uniform.
    fn redraw(&mut self, gene: &str, stream: &mut Stream) {
        let now = self.get(gene);
        let values =
            FACTORS.into_iter().flat_map(genes::genes_of).find(|g| g.name == gene).map_or(&[][..], |g| g.values);
        let others: Vec<&str> = values.iter().copied().filter(|value| *value != now).collect();
        if let Some(value) = stream.choose(&others) {
            self.set(gene, value);
        }
    }

    /// Each gene from the parent or one of the others, uniform; then, in half of the cases or where that is the parent
    /// again, a variation.
    #[must_use]
    pub fn crossed(&self, others: &[Self], stream: &mut Stream) -> Self {
        let mut child = self.clone();
        for gene in self.free() {
            let from = stream.below(others.len() + 1);
            if let Some(other) = from.checked_sub(1).and_then(|index| others.get(index)) {
                child.set(gene, other.get(gene));
            }
        }
        let child = child.settled(self);
        if child == *self {
            self.varied(stream)
        } else if stream.chance(0.5) {
            child.varied(stream).settled(self)
        } else {
            child
        }
    }

    /// The next of a series of versions, the parent being the last: what the step to the parent changed is kept, and
    /// the rest is varied.
    #[must_use]
    pub fn continued(&self, others: &[Self], stream: &mut Stream) -> Self {
        let before = others.last();
        let free: Vec<&str> = self
            .free()
            .into_iter()
            .filter(|gene| before.is_none_or(|before| before.get(gene) == self.get(gene)))
            .collect();
        if free.is_empty() {
            return self.varied(stream);
        }
        self.changed(stream, |child, stream| {
            let count = stream.weighted(&SIZES).unwrap_or(0) + 1;
            for place in stream.sample(free.len(), count) {
                if let Some(gene) = free.get(place) {
                    child.redraw(gene, stream);
                }
            }
        })
    }

    /// Half of the genes take values that neither the parent nor any of the others has, where there are such.
    #[must_use]
    pub fn departed(&self, others: &[Self], stream: &mut Stream) -> Self {
        let free = self.free();
        self.changed(stream, |child, stream| {
            for gene in &free {
                if !stream.chance(0.5) {
                    continue;
                }
                for _ in 0..TRIES {
                    child.redraw(gene, stream);
                    if others.iter().all(|other| other.get(gene) != child.get(gene)) {
                        break;
                    }
                }
            }
        })
    }

    /// What all have in common stays; of the other genes, each is drawn anew with probability 1/2. Where all are alike, a
    /// variation.
    #[must_use]
    pub fn common(&self, others: &[Self], stream: &mut Stream) -> Self {
        let open: Vec<&str> = self
            .free()
            .into_iter()
            .filter(|gene| others.iter().any(|other| other.get(gene) != self.get(gene)))
            .collect();
        if open.is_empty() {
            return self.varied(stream);
        }
        self.changed(stream, |child, stream| {
            for gene in &open {
                if stream.chance(0.5) {
                    child.redraw(gene, stream);
                }
            }
        })
    }

    /// One or two sizes changed, and no structure.
    #[must_use]
    pub fn tuned(&self, stream: &mut Stream) -> Self {
        let sizes: Vec<&str> = self.free().into_iter().filter(|gene| SCALES.contains(gene)).collect();
        let child = self.changed(stream, |child, stream| {
            let count = 1 + stream.below(2);
            for place in stream.sample(sizes.len(), count) {
                if let Some(gene) = sizes.get(place) {
                    child.redraw(gene, stream);
                }
            }
        });
        if child == *self { self.varied(stream) } else { child }
    }

    /// One to three choices returned to the seed program's. Where there is nothing to simplify, a variation.
    #[must_use]
    pub fn simplified(&self, stream: &mut Stream) -> Self {
        let plain = |gene: &str| {
            FACTORS.into_iter().map(|f| Genome::seed(f).get(gene)).find(|value| !value.is_empty()).unwrap_or_default()
        };
        let special: Vec<&str> = self.free().into_iter().filter(|gene| self.get(gene) != plain(gene)).collect();
        let count = (1 + stream.below(3)).min(special.len());
        let mut child = self.clone();
        for place in stream.sample(special.len(), count) {
            if let Some(gene) = special.get(place) {
                child.set(gene, plain(gene));
            }
        }
        let child = child.settled(self);
        if child == *self { self.varied(stream) } else { child }
    }

    /// Every gene that may change drawn anew, uniform over its values.
    #[must_use]
    pub fn random(&self, stream: &mut Stream) -> Self {
        self.changed(stream, |child, stream| {
            for gene in FACTORS.into_iter().flat_map(genes::genes_of) {
                if let Some(value) = stream.choose(gene.values).filter(|_| child.free().contains(&gene.name)) {
                    child.set(gene.name, value);
                }
            }
        })
    }

    /// The genes in which it differs from a parent.
    #[must_use]
    pub fn differences(&self, parent: &Self) -> Vec<(&'static str, &'static str)> {
        FACTORS.into_iter().flat_map(|factor| self.genome(factor).differences(parent.genome(factor))).collect()
    }

    /// The parent's program with the regions that changed (or that were written by hand and may change) replaced.
    pub fn render(&self, source: &str, parent: &Self) -> Result<String, String> {
        let mut text = source.to_owned();
        for (factor, foreign) in FACTORS.into_iter().zip(parent.foreign) {
            let changed = self.genome(factor) != parent.genome(factor);
            if self.allows(factor) && (changed || foreign) {
                text = reading::splice(&text, self.genome(factor))
                    .ok_or_else(|| format!("the parent has no {} region", factor))?;
            }
        }
        Ok(text)
    }
}

/// What a gene decides, in words.
#[must_use]
pub fn about(gene: &str) -> &'static str {
    FACTORS.into_iter().flat_map(genes::genes_of).find(|g| g.name == gene).map_or("", |g| g.about)
}

/// The label of an edit: its genes and their new values.
#[must_use]
pub fn label(changes: &[(&str, &str)]) -> String {
    let settings: Vec<String> = changes.iter().map(|(gene, value)| format!("{gene}={value}")).collect();
    if settings.is_empty() { "rewrite".to_owned() } else { settings.join(" ") }
}
