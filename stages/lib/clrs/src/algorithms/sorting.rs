//! Sorting: CLRS, chapters 2, 6 and 7.
//!
//! Keys stay at their nodes. What moves is the order in which nodes are strung together: a node points at its
//! predecessor in the order of the moment, and the first at itself.

use super::{Algorithm, Family, chain, positions};
use crate::problem::Problem;
use crate::spec::Location::{Graph, Node};
use crate::spec::Type::{Categorical, MaskOne, Pointer, Scalar, ShouldBePermutation};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::Trace;

/// Insertion sort.
pub(super) const INSERTION_SORT: Algorithm = Algorithm::new(
    "insertion_sort",
    Family::Sorting,
    "CLRS 2.1",
    INSERTION_SORT_SPEC,
    Problem::Keys { low: 0.0, run: insertion_sort },
);

const INSERTION_SORT_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("key", Node, Scalar),
    output("pred", Node, ShouldBePermutation),
    hint("pred_h", Node, Pointer),
    hint("i", Node, MaskOne),
    hint("j", Node, MaskOne),
];

/// Bubble sort.
pub(super) const BUBBLE_SORT: Algorithm = Algorithm::new(
    "bubble_sort",
    Family::Sorting,
    "CLRS, problem 2-2",
    INSERTION_SORT_SPEC,
    Problem::Keys { low: 0.0, run: bubble_sort },
);

/// Heapsort.
pub(super) const HEAPSORT: Algorithm = Algorithm::new(
    "heapsort",
    Family::Sorting,
    "CLRS 6.4; Williams (1964)",
    HEAPSORT_SPEC,
    Problem::Keys { low: 0.0, run: heapsort },
);

const HEAPSORT_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("key", Node, Scalar),
    output("pred", Node, ShouldBePermutation),
    hint("pred_h", Node, Pointer),
    hint("parent", Node, Pointer),
    hint("i", Node, MaskOne),
    hint("j", Node, MaskOne),
    hint("largest", Node, MaskOne),
    hint("heap_size", Node, MaskOne),
    hint("phase", Graph, Categorical).of(3),
];

/// Quicksort.
pub(super) const QUICKSORT: Algorithm = Algorithm::new(
    "quicksort",
    Family::Sorting,
    "CLRS 7.1; Hoare (1962)",
    QUICKSORT_SPEC,
    Problem::Keys { low: 0.0, run: quicksort },
);

const QUICKSORT_SPEC: &[SpecEntry] = &[
    input("pos", Node, Scalar),
    input("key", Node, Scalar),
    output("pred", Node, ShouldBePermutation),
    hint("pred_h", Node, Pointer),
    hint("p", Node, MaskOne),
    hint("r", Node, MaskOne),
    hint("i", Node, MaskOne),
    hint("j", Node, MaskOne),
];

/// Keys in the order of the moment, each with the node that it came from.
pub(super) struct Array {
    pub keys: Vec<f64>,
    pub nodes: Vec<usize>,
}

impl Array {
    /// Keys in the order given, which are also the inputs.
    pub fn probed(keys: &[f64], trace: &mut Trace) -> Self {
        trace.inputs(keys.len()).numbers("pos", &positions(keys.len())).numbers("key", keys).done();
        Self { keys: keys.to_vec(), nodes: (0..keys.len()).collect() }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn swap(&mut self, i: usize, j: usize) {
        self.keys.swap(i, j);
        self.nodes.swap(i, j);
    }

    fn put_out(&self, trace: &mut Trace) {
        trace.outputs().pointers("pred", &chain(&self.nodes)).done();
    }
}

fn insertion_sort(keys: &[f64], trace: &mut Trace) {
    let mut a = Array::probed(keys, trace);
    probe_pair(trace, &a, 0, 0);
    for j in 1..a.len() {
        let mut i = j;
        while i > 0 && a.keys[i - 1] > a.keys[i] {
            a.swap(i - 1, i);
            i -= 1;
        }
        // The hint marks the node that had to give way, or `j` itself where none had to.
        let gave_way = if i < j { a.nodes[i + 1] } else { j };
        probe_pair(trace, &a, gave_way, j);
    }
    a.put_out(trace);
}

fn bubble_sort(keys: &[f64], trace: &mut Trace) {
    let mut a = Array::probed(keys, trace);
    probe_pair(trace, &a, 0, 0);
    for i in 0..a.len() - 1 {
        for j in (i + 1..a.len()).rev() {
            if a.keys[j] < a.keys[j - 1] {
                a.swap(j, j - 1);
            }
            probe_pair(trace, &a, a.nodes[i], a.nodes[j]);
        }
    }
    a.put_out(trace);
}

fn probe_pair(trace: &mut Trace, a: &Array, i: usize, j: usize) {
    trace.hint().pointers("pred_h", &chain(&a.nodes)).one("i", i).one("j", j).done();
}

/// What heapsort is doing.
#[derive(Clone, Copy)]
enum Phase {
    Build = 0,
    Extract = 1,
    Repair = 2,
}

struct Heap<'a> {
    a: Array,
    size: usize,
    trace: &'a mut Trace,
}

impl Heap<'_> {
    fn probe(&mut self, i: usize, j: usize, largest: usize, phase: Phase) {
        self.trace
            .hint()
            .pointers("pred_h", &chain(&self.a.nodes))
            .pointers("parent", &parents(&self.a.nodes, self.size))
            .one("i", i)
            .one("j", j)
            .one("largest", largest)
            .one("heap_size", self.a.nodes[self.size - 1])
            .class("phase", phase as u8)
            .done();
    }

    /// MAX-HEAPIFY at `i`, called to repair the heap below `from`.
    fn max_heapify(&mut self, i: usize, from: usize, phase: Phase) {
        let mut largest = i;
        for child in [2 * i + 1, 2 * i + 2] {
            if child < self.size && self.a.keys[child] > self.a.keys[largest] {
                largest = child;
            }
        }
        if largest != i {
            self.a.swap(i, largest);
        }
        let nodes = &self.a.nodes;
        self.probe(nodes[from], nodes[i], nodes[largest], phase);
        if largest != i {
            self.max_heapify(largest, from, phase);
        }
    }
}

fn heapsort(keys: &[f64], trace: &mut Trace) {
    let a = Array::probed(keys, trace);
    let last = a.len() - 1;
    let mut heap = Heap { size: a.len(), a, trace };
    heap.probe(last, last, last, Phase::Build);
    for i in (0..=last).rev() {
        heap.max_heapify(i, i, Phase::Build);
    }
    for i in (1..=last).rev() {
        heap.a.swap(0, i);
        heap.size -= 1;
        heap.probe(heap.a.nodes[0], heap.a.nodes[i], 0, Phase::Extract);
        heap.max_heapify(0, i, Phase::Repair);
    }
    heap.a.put_out(heap.trace);
}

/// Each node of the heap pointing at its parent, the root and all nodes outside at themselves.
fn parents(nodes: &[usize], size: usize) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..nodes.len()).collect();
    for i in 1..size {
        parents[nodes[i]] = nodes[(i - 1) / 2];
    }
    parents
}

fn quicksort(keys: &[f64], trace: &mut Trace) {
    let mut a = Array::probed(keys, trace);
    sort_range(&mut a, 0, keys.len(), trace);
    a.put_out(trace);
}

/// QUICKSORT of `p..end`.
fn sort_range(a: &mut Array, p: usize, end: usize, trace: &mut Trace) {
    if p + 1 < end {
        let q = partition(a, p, end - 1, trace);
        sort_range(a, p, q, trace);
        sort_range(a, q + 1, end, trace);
    }
}

/// PARTITION of `p..=r` by the key at `r`.
fn partition(a: &mut Array, p: usize, r: usize, trace: &mut Trace) -> usize {
    let pivot = a.keys[r];
    // One beyond the smaller keys: the textbook's i + 1.
    let mut i = p;
    for j in p..r {
        if a.keys[j] <= pivot {
            a.swap(i, j);
            i += 1;
        }
        probe_partition(trace, a, [p, r, i, j]);
    }
    a.swap(i, r);
    probe_partition(trace, a, [p, r, i, r]);
    i
}

fn probe_partition(trace: &mut Trace, a: &Array, [p, r, i, j]: [usize; 4]) {
    trace
        .hint()
        .pointers("pred_h", &chain(&a.nodes))
        .one("p", a.nodes[p])
        .one("r", a.nodes[r])
        .one("i", a.nodes[i])
        .one("j", a.nodes[j])
        .done();
}
