//! The data contract: which data points an algorithm has, where they live and of what type they are.
//!
//! As in the CLRS benchmark (Veličković et al., 2022, <https://arxiv.org/abs/2205.15659>): every datum belongs to a
//! *stage* (given, asked for, or a snapshot of the running algorithm), to a *location* (each node, each pair of nodes,
//! or the whole graph) and has a *type*, from which encoders, decoders, losses and scores follow.

use std::fmt;

/// When a datum exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Given, once a sample.
    Input,
    /// Asked for, once a sample.
    Output,
    /// A snapshot at each step of the algorithm.
    Hint,
}

/// What a datum is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// One value for each of the N nodes.
    Node,
    /// One value for each of the N x N ordered pairs.
    Edge,
    /// One value.
    Graph,
}

/// How a datum is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// A number.
    Scalar,
    /// One class of a few: a trailing axis of 0 and 1 (or -1, see [`crate::MASKED`]).
    Categorical,
    /// 0 or 1 (or -1, see [`crate::MASKED`]).
    Mask,
    /// 0 or 1, exactly one 1 over all nodes.
    MaskOne,
    /// The index of a node.
    Pointer,
    /// Pointers to predecessors that form one chain: what the sorting algorithms put out. Becomes
    /// [`Type::PermutationPointer`] and a mask of the first node, see [`crate::pipeline::process_permutations`].
    ShouldBePermutation,
    /// A permutation matrix: each row the one-hot of a node's predecessor, the first node pointing at the last.
    PermutationPointer,
}

/// The number format in which the reference implementation hands a datum out.
///
/// Values here are always `f64`; this is kept so that files and digests can say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// Double precision.
    Float64,
    /// Single precision.
    Float32,
    /// Signed whole numbers of 64 bits.
    Int64,
}

/// One datum of an algorithm's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecEntry {
    /// The name in the reference implementation, unique within an algorithm.
    pub name: &'static str,
    /// When it exists.
    pub stage: Stage,
    /// What its values are attached to.
    pub location: Location,
    /// How its values are to be read.
    pub ty: Type,
    /// Number of classes of a [`Type::Categorical`]; 0 for every other type.
    pub classes: usize,
    /// Number format of inputs and outputs in the reference implementation; hints are always `Float64` there.
    pub dtype: Dtype,
}

impl SpecEntry {
    const fn new(name: &'static str, stage: Stage, location: Location, ty: Type) -> Self {
        let dtype = match (stage, location, ty) {
            (Stage::Output, Location::Node, Type::Pointer | Type::ShouldBePermutation) => Dtype::Int64,
            _ => Dtype::Float64,
        };
        Self { name, stage, location, ty, classes: 0, dtype }
    }

    /// The same datum with `classes` classes.
    pub(crate) const fn of(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }

    /// The same datum, of whole numbers.
    pub(crate) const fn whole(mut self) -> Self {
        self.dtype = Dtype::Int64;
        self
    }

    /// Numbers in one sample (one step of it, for hints) at `nodes` nodes.
    pub fn size(&self, nodes: usize) -> usize {
        self.items(nodes) * if self.has_class_axis() { self.classes } else { 1 }
    }

    /// Shape of one sample (one step of it, for hints) at `nodes` nodes.
    pub fn shape(&self, nodes: usize) -> Vec<usize> {
        let mut shape = match self.location {
            Location::Node => vec![nodes],
            Location::Edge => vec![nodes, nodes],
            Location::Graph => vec![],
        };
        if self.has_class_axis() {
            shape.push(self.classes);
        }
        if self.ty == Type::PermutationPointer {
            shape.push(nodes);
        }
        shape
    }

    fn has_class_axis(&self) -> bool {
        self.ty == Type::Categorical
    }

    /// Places that hold a value at `nodes` nodes, whatever a value's own axes.
    pub(crate) fn items(&self, nodes: usize) -> usize {
        match self.location {
            Location::Node => nodes,
            Location::Edge => nodes * nodes,
            Location::Graph => 1,
        }
    }
}

/// An input.
pub(crate) const fn input(name: &'static str, location: Location, ty: Type) -> SpecEntry {
    SpecEntry::new(name, Stage::Input, location, ty)
}

/// An output.
pub(crate) const fn output(name: &'static str, location: Location, ty: Type) -> SpecEntry {
    SpecEntry::new(name, Stage::Output, location, ty)
}

/// A hint.
pub(crate) const fn hint(name: &'static str, location: Location, ty: Type) -> SpecEntry {
    SpecEntry::new(name, Stage::Hint, location, ty)
}

macro_rules! display_as {
    ($($ty:ident { $($variant:ident => $text:literal),* $(,)? })*) => {$(
        impl $ty {
            /// The name that the reference implementation uses in its files.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl serde::Serialize for $ty {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

display_as! {
    Stage { Input => "input", Output => "output", Hint => "hint" }
    Location { Node => "node", Edge => "edge", Graph => "graph" }
    Type {
        Scalar => "scalar",
        Categorical => "categorical",
        Mask => "mask",
        MaskOne => "mask_one",
        Pointer => "pointer",
        ShouldBePermutation => "should_be_permutation",
        PermutationPointer => "permutation_pointer",
    }
    Dtype { Float64 => "float64", Float32 => "float32", Int64 => "int64" }
}
