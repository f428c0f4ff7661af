//! Which features of the baseline network a datum is encoded into, and which of them its decoder reads.
//!
//! Both follow from location and type alone, for every processor (dm-clrs 2.0.3, `encoders.py` and `decoders.py`). They
//! decide what a change of the processor can reach at once, and what it can reach only through predicted hints, which enter
//! the network again as input of the next step.

use crate::spec::{Location, SpecEntry, Stage, Type};

/// What encoders hand to the processor and the processor to decoders, with B samples, N nodes and width H.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// Encoded features of nodes, [B, N, H].
    NodeFts,
    /// Encoded features of ordered pairs of nodes, [B, N, N, H].
    EdgeFts,
    /// Encoded features of the whole graph, [B, H].
    GraphFts,
    /// Which pairs are joined, [B, N, N], 0 or 1 and symmetric.
    AdjMat,
    /// The hidden state before the step, [B, N, H].
    Hidden,
    /// The hidden state after the step, [B, N, H]: the processor's first result.
    NextHidden,
    /// Triplet messages, [B, N, N, H]: the processor's second result, which it may go without.
    TriMsgs,
}

impl Feature {
    /// All of them: the processor's inputs, then its results.
    pub const ALL: [Self; 7] =
        [Self::NodeFts, Self::EdgeFts, Self::GraphFts, Self::AdjMat, Self::Hidden, Self::NextHidden, Self::TriMsgs];

    /// Its axes.
    pub const fn axes(self) -> &'static str {
        match self {
            Self::NodeFts | Self::Hidden | Self::NextHidden => "[B, N, H]",
            Self::EdgeFts | Self::TriMsgs => "[B, N, N, H]",
            Self::GraphFts => "[B, H]",
            Self::AdjMat => "[B, N, N]",
        }
    }

    /// The name in the reference implementation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NodeFts => "node_fts",
            Self::EdgeFts => "edge_fts",
            Self::GraphFts => "graph_fts",
            Self::AdjMat => "adj_mat",
            Self::Hidden => "hidden",
            Self::NextHidden => "next_hidden",
            Self::TriMsgs => "tri_msgs",
        }
    }
}

impl serde::Serialize for Feature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl std::fmt::Display for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a datum is a pointer of nodes, which is a matrix of pairs to the network.
const fn points_from_nodes(entry: &SpecEntry) -> bool {
    matches!(entry.location, Location::Node)
        && matches!(entry.ty, Type::Pointer | Type::PermutationPointer | Type::ShouldBePermutation)
}

/// The features that a datum is encoded into: inputs, and hints at each step. Outputs are encoded into none.
pub fn encoded_into(entry: &SpecEntry) -> Vec<Feature> {
    if entry.stage == Stage::Output {
        return Vec::new();
    }
    let pointer = points_from_nodes(entry);
    let feature = match entry.location {
        Location::Node if !pointer => Feature::NodeFts,
        Location::Node | Location::Edge => Feature::EdgeFts,
        Location::Graph => Feature::GraphFts,
    };
    let joins = pointer || (entry.location == Location::Edge && entry.ty == Type::Mask);
    [feature].into_iter().chain(joins.then_some(Feature::AdjMat)).collect()
}

/// The features that the decoder of a datum reads: of outputs, and of hints at each step. Inputs are not decoded.
///
/// Data of nodes are read from nodes; pointers of nodes and data of pairs from nodes and pairs; data of the graph from its
/// features and from the largest values over nodes.
pub const fn decoded_from(entry: &SpecEntry) -> &'static [Feature] {
    use Feature::{EdgeFts, GraphFts, Hidden, NextHidden, NodeFts, TriMsgs};
    match entry.location {
        _ if matches!(entry.stage, Stage::Input) => &[],
        Location::Node if !points_from_nodes(entry) => &[NodeFts, Hidden, NextHidden],
        Location::Node | Location::Edge => &[NodeFts, EdgeFts, Hidden, NextHidden, TriMsgs],
        Location::Graph => &[NodeFts, GraphFts, Hidden, NextHidden],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::find_algorithm;

    fn names(task: &str, reads: Feature) -> Vec<&'static str> {
        let spec = find_algorithm(task).expect("known").spec();
        spec.iter().filter(|entry| decoded_from(entry).contains(&reads)).map(|entry| entry.name).collect()
    }

    #[test]
    fn only_pointers_of_dfs_are_read_from_triplet_messages() {
        assert_eq!(names("dfs", Feature::TriMsgs), ["pi", "pi_h", "s_prev"]);
        assert_eq!(names("dfs", Feature::GraphFts), ["time"]);
        assert_eq!(names("minimum", Feature::TriMsgs), ["pred_h"], "which is an input once it is known not to change");
        assert_eq!(names("segments_intersect", Feature::TriMsgs), [""; 0]);
    }

    #[test]
    fn pointers_and_edges_are_encoded_as_pairs() {
        let dfs = find_algorithm("dfs").expect("known").spec();
        let into = |name: &str| encoded_into(dfs.iter().find(|entry| entry.name == name).expect("a datum"));
        assert_eq!(into("pos"), [Feature::NodeFts]);
        assert_eq!(into("A"), [Feature::EdgeFts]);
        assert_eq!(into("adj"), [Feature::EdgeFts, Feature::AdjMat]);
        assert_eq!(into("s_prev"), [Feature::EdgeFts, Feature::AdjMat]);
        assert_eq!(into("time"), [Feature::GraphFts]);
        assert_eq!(into("pi"), [], "an output");
    }
}
