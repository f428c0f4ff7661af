//! The data of a task: contract, meaning, and what the network makes of them.

use serde::Serialize;

use super::text::Text;
use crate::algorithms::Algorithm;
use crate::pipeline::Transforms;
use crate::spec::{Location, SpecEntry, Stage, Type};
use crate::wiring::{Feature, decoded_from, encoded_into};

/// A datum of the benchmark's contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Datum {
    /// The name in the algorithm's contract.
    pub name: &'static str,
    /// When it exists.
    pub stage: Stage,
    /// What its values are attached to.
    pub location: Location,
    /// How its values are to be read.
    #[serde(rename = "type")]
    pub ty: Type,
    /// The classes of a categorical, in the order of their numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<Class>,
    /// In the algorithm's words.
    pub meaning: String,
    /// What the network sees of it: itself, but for hints that never change, which are inputs, and for permutations.
    pub network: Vec<Seen>,
}

/// A class of a categorical.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Class {
    /// A short name.
    pub name: String,
    /// Empty where the name says it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub meaning: String,
}

/// A datum as the network has it, with what it is encoded into and decoded from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Seen {
    /// The name among the network's data; that of a permutation's mask is not in the contract.
    pub name: &'static str,
    /// When it exists; a hint that never changes is an input here.
    pub stage: Stage,
    /// What its values are attached to.
    pub location: Location,
    /// How its values are to be read.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Empty for outputs.
    pub encoded_into: Vec<Feature>,
    /// Empty for inputs.
    pub decoded_from: Vec<Feature>,
}

/// All data, in the order of the contract.
pub(super) fn data(algorithm: &Algorithm, text: &Text) -> Vec<Datum> {
    let transforms = Transforms::new(None, true, true);
    let datum = |entry: &SpecEntry| {
        let said = text.data.iter().find(|said| said.name == entry.name);
        Datum {
            name: entry.name,
            stage: entry.stage,
            location: entry.location,
            ty: entry.ty,
            classes: said.map(|said| said.classes.clone()).unwrap_or_default(),
            meaning: said.map(|said| said.meaning.clone()).unwrap_or_default(),
            network: transforms.seen(algorithm, entry).iter().map(Seen::of).collect(),
        }
    };
    algorithm.spec().iter().map(datum).collect()
}

impl Seen {
    fn of(entry: &SpecEntry) -> Self {
        let SpecEntry { name, stage, location, ty, .. } = *entry;
        let (encoded_into, decoded_from) = (encoded_into(entry), decoded_from(entry).to_vec());
        Self { name, stage, location, ty, encoded_into, decoded_from }
    }
}

impl Datum {
    /// Whether the network sees something else than the datum itself.
    pub fn is_transformed(&self) -> bool {
        !matches!(self.network.as_slice(), [seen] if seen.name == self.name && seen.ty == self.ty)
    }

    /// The meaning with the names of classes.
    pub fn explained(&self) -> String {
        if self.classes.is_empty() {
            return self.meaning.clone();
        }
        let class = |class: &Class| match class.meaning.as_str() {
            "" => class.name.clone(),
            meaning => format!("{} ({meaning})", class.name),
        };
        format!("{}: {}", self.meaning, self.classes.iter().map(class).collect::<Vec<_>>().join(", "))
    }

    /// Location and type, with the number of classes.
    pub fn kind(&self) -> String {
        match self.classes.len() {
            0 => format!("{} {}", self.location, self.ty),
            classes => format!("{} {} of {classes}", self.location, self.ty),
        }
    }
}
