//! The thirty algorithms, one module for each family.

mod divide_and_conquer;
mod dynamic_programming;
mod geometry;
mod graphs;
mod greedy;
mod searching;
mod sorting;
mod strings;

use std::fmt;

use crate::error::ClrsError;
use crate::problem::Problem;
use crate::spec::SpecEntry;

/// The field that an algorithm belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Sorts of keys.
    Sorting,
    /// Minimum, binary search and selection.
    Searching,
    /// The maximum subarray.
    DivideAndConquer,
    /// Choices that are never taken back, as in scheduling.
    Greedy,
    /// Tables of solutions of subproblems.
    DynamicProgramming,
    /// Traversals, shortest paths, spanning trees and connectivity.
    Graphs,
    /// String matching.
    Strings,
    /// Points and segments in the plane.
    Geometry,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sorting => "sorting",
            Self::Searching => "searching",
            Self::DivideAndConquer => "divide and conquer",
            Self::Greedy => "greedy",
            Self::DynamicProgramming => "dynamic programming",
            Self::Graphs => "graphs",
            Self::Strings => "strings",
            Self::Geometry => "geometry",
        })
    }
}

/// One algorithm of the benchmark.
pub struct Algorithm {
    /// The name in the reference implementation, such as `dfs`.
    pub name: &'static str,
    /// The field it belongs to, as the benchmark groups them.
    pub family: Family,
    /// Where it comes from.
    pub source: &'static str,
    pub(crate) spec: &'static [SpecEntry],
    pub(crate) problem: Problem,
    /// How many times 32 samples the validation and test splits hold.
    pub samples_multiplier: usize,
    /// What training divides edge probabilities by: 2 where dense graphs would make very long runs.
    pub training_p_divisor: f64,
    /// Whether the hint `pred_h` never changes, so that training takes it as the input `pred`.
    pub pred_as_input: bool,
}

impl Algorithm {
    /// An algorithm without any of the exceptions that some have.
    pub(crate) const fn new(
        name: &'static str,
        family: Family,
        source: &'static str,
        spec: &'static [SpecEntry],
        problem: Problem,
    ) -> Self {
        Self {
            name,
            family,
            source,
            spec,
            problem,
            samples_multiplier: 1,
            training_p_divisor: 1.0,
            pred_as_input: false,
        }
    }

    /// The same with `factor` times as many samples to be scored on.
    pub(crate) const fn scored_on(mut self, factor: usize) -> Self {
        self.samples_multiplier = factor;
        self
    }

    /// The same with training graphs half as dense.
    pub(crate) const fn sparse_training(mut self) -> Self {
        self.training_p_divisor = 2.0;
        self
    }

    /// The same with a `pred_h` that never changes.
    pub(crate) const fn fixed_pred(mut self) -> Self {
        self.pred_as_input = true;
        self
    }

    /// Whether problems are a text and a pattern, so that [`crate::SamplerArgs::length_needle`] counts.
    pub fn is_string_matching(&self) -> bool {
        matches!(self.problem, Problem::Needle { .. })
    }

    /// Inputs, then outputs, then hints.
    pub fn spec(&self) -> &'static [SpecEntry] {
        self.spec
    }
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Algorithm").field(&self.name).finish()
    }
}

static ALL: [Algorithm; 30] = [
    greedy::ACTIVITY_SELECTOR,
    graphs::ARTICULATION_POINTS,
    graphs::BELLMAN_FORD,
    graphs::BFS,
    searching::BINARY_SEARCH,
    graphs::BRIDGES,
    sorting::BUBBLE_SORT,
    graphs::DAG_SHORTEST_PATHS,
    graphs::DFS,
    graphs::DIJKSTRA,
    divide_and_conquer::FIND_MAXIMUM_SUBARRAY_KADANE,
    graphs::FLOYD_WARSHALL,
    geometry::GRAHAM_SCAN,
    sorting::HEAPSORT,
    sorting::INSERTION_SORT,
    geometry::JARVIS_MARCH,
    strings::KMP_MATCHER,
    dynamic_programming::LCS_LENGTH,
    dynamic_programming::MATRIX_CHAIN_ORDER,
    searching::MINIMUM,
    graphs::MST_KRUSKAL,
    graphs::MST_PRIM,
    strings::NAIVE_STRING_MATCHER,
    dynamic_programming::OPTIMAL_BST,
    searching::QUICKSELECT,
    sorting::QUICKSORT,
    geometry::SEGMENTS_INTERSECT,
    graphs::STRONGLY_CONNECTED_COMPONENTS,
    greedy::TASK_SCHEDULING,
    graphs::TOPOLOGICAL_SORT,
];

/// All of CLRS-30, by name.
pub fn algorithms() -> &'static [Algorithm] {
    &ALL
}

/// The algorithm of that name, if there is one.
pub fn algorithm(name: &str) -> Option<&'static Algorithm> {
    ALL.iter().find(|algorithm| algorithm.name == name)
}

/// The algorithm of that name.
///
/// # Errors
/// If there is none; the error names the most similar one, if any is.
pub fn find_algorithm(name: &str) -> Result<&'static Algorithm, ClrsError> {
    algorithm(name).ok_or_else(|| ClrsError::UnknownAlgorithm { name: name.to_owned(), nearest: nearest(name) })
}

/// The name that takes the fewest edits to get to, if those are few.
fn nearest(name: &str) -> Option<&'static str> {
    let typed = name.to_lowercase().replace(['-', ' '], "_");
    let (distance, best) =
        ALL.iter().map(|algorithm| (strsim::levenshtein(&typed, algorithm.name), algorithm.name)).min()?;
    let contained = || ALL.iter().map(|algorithm| algorithm.name).find(|known| known.contains(&typed));
    if distance <= (best.len() / 3).max(2) {
        Some(best)
    } else if typed.len() >= 3 {
        contained()
    } else {
        None
    }
}

/// Position of each of `n` nodes in [0, 1).
fn positions(n: usize) -> Vec<f64> {
    (0..n).map(|i| i as f64 / n as f64).collect()
}

/// Each node pointing at the one before it in `order`, the first at itself.
fn chain(order: &[usize]) -> Vec<usize> {
    let mut pred = order.to_vec();
    if let Some(&first) = order.first() {
        pred[first] = first;
    }
    for pair in order.windows(2) {
        pred[pair[1]] = pair[0];
    }
    pred
}

/// Each of `n` nodes pointing at the one before it, the first at itself: tells a network what the order is.
fn sequence(n: usize) -> Vec<usize> {
    (0..n).map(|i: usize| i.saturating_sub(1)).collect()
}

/// Nodes by rising value.
fn sorted_by(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    order
}
