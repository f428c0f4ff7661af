//! The record of one run: inputs, outputs and a snapshot of the algorithm's state at each step.
//!
//! Values are kept in the form in which they were probed (an index rather than its one-hot, a byte rather than a
//! float), which makes a recorded dataset some ten times smaller than its tensors. [`Trace::write`] spells them out.

use crate::spec::{Location, SpecEntry, Stage, Type};

/// In place of 0 or 1: this entry is not a target, and losses and scores leave it out.
pub const MASKED: f64 = -1.0;

/// Class code of a blank cell: no class at all, the last one marked as [`MASKED`].
pub(crate) const BLANK: u8 = u8::MAX;

#[derive(Clone, Debug)]
enum Column {
    Numbers(Vec<f64>),
    /// 0, 1 or -1.
    Marks(Vec<i8>),
    /// Indices of nodes: one a step for a mask_one, one for each place for pointers.
    Nodes(Vec<u32>),
    /// Classes, or [`BLANK`].
    Classes(Vec<u8>),
}

impl Column {
    fn for_type(ty: Type) -> Self {
        match ty {
            Type::Scalar => Self::Numbers(Vec::new()),
            Type::Mask => Self::Marks(Vec::new()),
            Type::Categorical => Self::Classes(Vec::new()),
            Type::MaskOne | Type::Pointer | Type::ShouldBePermutation | Type::PermutationPointer => {
                Self::Nodes(Vec::new())
            }
        }
    }
}

/// One run of an algorithm.
#[derive(Clone, Debug)]
pub struct Trace {
    spec: &'static [SpecEntry],
    nodes: usize,
    steps: usize,
    columns: Vec<Column>,
    only_counts: bool,
}

impl Trace {
    /// An empty record for `spec`, whose entries are inputs, then outputs, then hints.
    pub(crate) fn new(spec: &'static [SpecEntry]) -> Self {
        let columns = spec.iter().map(|entry| Column::for_type(entry.ty)).collect();
        Self { spec, nodes: 0, steps: 0, columns, only_counts: false }
    }

    /// A record that counts steps and keeps no values.
    pub(crate) fn counter(spec: &'static [SpecEntry]) -> Self {
        Self { only_counts: true, ..Self::new(spec) }
    }

    pub(crate) fn reset_count(&mut self) {
        self.steps = 0;
    }

    /// What its data are.
    pub fn spec(&self) -> &'static [SpecEntry] {
        self.spec
    }

    /// Number of nodes, N.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Number of snapshots, T.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Begins the record with the inputs of a problem of `nodes` nodes.
    pub(crate) fn inputs(&mut self, nodes: usize) -> Probe<'_> {
        self.nodes = nodes;
        self.probe(Stage::Input)
    }

    /// Begins the next snapshot.
    pub(crate) fn hint(&mut self) -> Probe<'_> {
        self.steps += 1;
        self.probe(Stage::Hint)
    }

    /// Ends the record with the outputs.
    pub(crate) fn outputs(&mut self) -> Probe<'_> {
        self.probe(Stage::Output)
    }

    fn probe(&mut self, stage: Stage) -> Probe<'_> {
        let at = self.spec.iter().position(|entry| entry.stage == stage).unwrap_or(self.spec.len());
        Probe { trace: self, stage, at }
    }

    /// Writes entry `index` of the spec into `out` ([`SpecEntry::size`] numbers), at `step` if it is a hint.
    pub(crate) fn write(&self, index: usize, step: usize, out: &mut [f64]) {
        let entry = &self.spec[index];
        let items = entry.items(self.nodes);
        let step = if entry.stage == Stage::Hint { step } else { 0 };
        match &self.columns[index] {
            Column::Numbers(values) => out.copy_from_slice(&values[step * items..][..items]),
            Column::Marks(marks) => copy(&marks[step * items..][..items], out, f64::from),
            Column::Nodes(nodes) if entry.ty == Type::MaskOne => {
                out.fill(0.0);
                out[nodes[step] as usize] = 1.0;
            }
            Column::Nodes(nodes) => copy(&nodes[step * items..][..items], out, f64::from),
            Column::Classes(codes) => {
                out.fill(0.0);
                for (row, &code) in out.chunks_exact_mut(entry.classes).zip(&codes[step * items..][..items]) {
                    if code == BLANK {
                        row[entry.classes - 1] = MASKED;
                    } else {
                        row[usize::from(code)] = 1.0;
                    }
                }
            }
        }
    }
}

fn copy<T: Copy>(from: &[T], to: &mut [f64], f: impl Fn(T) -> f64) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = f(from);
    }
}

/// Takes the data points of one stage, in the order of the spec.
///
/// Names are given at each probe for the reader's sake and checked against the spec in debug builds, as is that none
/// was left out.
#[must_use]
pub(crate) struct Probe<'a> {
    trace: &'a mut Trace,
    stage: Stage,
    at: usize,
}

impl Probe<'_> {
    /// The column that is due, if values are kept.
    fn due(&mut self, name: &str, location: Option<Location>, types: &[Type]) -> Option<&mut Column> {
        let at = self.at;
        self.at += 1;
        let entry = &self.trace.spec[at];
        debug_assert_eq!(entry.name, name, "probes come in the order of the spec");
        debug_assert_eq!(entry.stage, self.stage, "{name} belongs to another stage");
        debug_assert!(types.contains(&entry.ty), "{name} is a {}", entry.ty);
        debug_assert!(location.is_none_or(|location| entry.location == location), "{name} is of a {}", entry.location);
        if self.trace.only_counts { None } else { Some(&mut self.trace.columns[at]) }
    }

    /// A number for each node or each pair.
    pub fn numbers(mut self, name: &str, values: &[f64]) -> Self {
        if let Some(Column::Numbers(column)) = self.due(name, None, &[Type::Scalar]) {
            column.extend_from_slice(values);
        }
        self
    }

    /// A number for the whole graph.
    pub fn number(mut self, name: &str, value: f64) -> Self {
        if let Some(Column::Numbers(column)) = self.due(name, Some(Location::Graph), &[Type::Scalar]) {
            column.push(value);
        }
        self
    }

    /// A yes or no for each node or each pair.
    pub fn mask(mut self, name: &str, marks: &[bool]) -> Self {
        if let Some(Column::Marks(column)) = self.due(name, None, &[Type::Mask]) {
            column.extend(marks.iter().map(|&mark| i8::from(mark)));
        }
        self
    }

    /// A yes (1), no (0) or not applicable (-1) for each node or each pair.
    pub fn marks(mut self, name: &str, marks: &[i8]) -> Self {
        if let Some(Column::Marks(column)) = self.due(name, None, &[Type::Mask]) {
            column.extend_from_slice(marks);
        }
        self
    }

    /// A yes or no for the whole graph.
    pub fn flag(mut self, name: &str, mark: bool) -> Self {
        if let Some(Column::Marks(column)) = self.due(name, Some(Location::Graph), &[Type::Mask]) {
            column.push(i8::from(mark));
        }
        self
    }

    /// One node among all.
    pub fn one(mut self, name: &str, node: usize) -> Self {
        if let Some(Column::Nodes(column)) = self.due(name, Some(Location::Node), &[Type::MaskOne]) {
            column.push(node as u32);
        }
        self
    }

    /// A node for each node or each pair.
    pub fn pointers(mut self, name: &str, nodes: &[usize]) -> Self {
        if let Some(Column::Nodes(column)) = self.due(name, None, &[Type::Pointer, Type::ShouldBePermutation]) {
            column.extend(nodes.iter().map(|&node| node as u32));
        }
        self
    }

    /// A class for each node or each pair.
    pub fn classes(mut self, name: &str, classes: &[u8]) -> Self {
        if let Some(Column::Classes(column)) = self.due(name, None, &[Type::Categorical]) {
            column.extend_from_slice(classes);
        }
        self
    }

    /// A class for the whole graph.
    pub fn class(mut self, name: &str, class: u8) -> Self {
        if let Some(Column::Classes(column)) = self.due(name, Some(Location::Graph), &[Type::Categorical]) {
            column.push(class);
        }
        self
    }

    /// Ends this stage's probes.
    pub fn done(self) {
        debug_assert!(
            self.trace.spec.get(self.at).is_none_or(|entry| entry.stage != self.stage),
            "{} was not probed",
            self.trace.spec[self.at].name
        );
    }
}
