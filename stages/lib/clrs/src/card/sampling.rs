//! Where the problems come from.

use serde::Serialize;

use crate::algorithms::Algorithm;
use crate::problem::{ALPHABET, BETWEEN, COMMUNITIES, Edges, GraphKind, Problem, RADIUS, WITHIN};
use crate::sampler::SamplerArgs;
use crate::split::Split;

/// How problems are drawn, in sentences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sampling {
    /// The number of nodes N of a problem of length L.
    pub nodes: String,
    /// A problem.
    pub problem: String,
    /// What is particular to training, validation and out-of-distribution validation, which differ in length and seed only.
    pub training: Option<String>,
    /// What is particular to the benchmark's test split.
    pub test: Option<String>,
    /// The seed of the test split's samples, which are the same for everybody.
    pub test_seed: u32,
    /// What becomes of the input `pos`.
    pub positions: String,
}

/// How problems of `algorithm` are drawn.
pub(super) fn sampling(algorithm: &Algorithm) -> Sampling {
    let problem = &algorithm.problem;
    let (training, test) = differences(algorithm).unzip();
    let each = if matches!(problem, Problem::Strings { .. } | Problem::Needle { .. }) {
        ", each string for itself"
    } else {
        ""
    };
    Sampling {
        nodes: match problem {
            Problem::SearchTree { .. } => "N = L + 1 at length L",
            Problem::Segments { .. } => "N = 4 at any length",
            _ => "N is the length L",
        }
        .to_owned(),
        problem: described(problem),
        training,
        test,
        test_seed: Split::Test.seed(),
        positions: format!(
            "`pos` is replaced by N sorted uniform numbers of [0, 1){each}, in training and in evaluation"
        ),
    }
}

fn described(problem: &Problem) -> String {
    match problem {
        Problem::Keys { low, .. } => format!("N keys, uniform in [{low}, 1)"),
        Problem::Search { .. } => "N sorted keys and a target, uniform in [0, 1)".to_owned(),
        Problem::Strings { .. } => {
            format!(
                "two strings of half the length each (the first takes the odd letter), letters uniform among {ALPHABET}"
            )
        }
        Problem::Needle { .. } => format!(
            "a text and a pattern with L letters together, uniform among {ALPHABET}; the pattern is copied to a random place of \
             the text, so that there is a match"
        ),
        Problem::SearchTree { .. } => {
            "probabilities of L keys and of the L + 1 gaps around them: uniform numbers over their sum".to_owned()
        }
        Problem::Intervals { .. } => {
            "N activities, each from the lower to the higher of two uniform numbers of [0, 1)".to_owned()
        }
        Problem::Tasks { .. } => "N tasks with deadlines uniform in 1..N and weights uniform in [0, 1)".to_owned(),
        Problem::Graph { kind, .. } => graph(*kind),
        Problem::Rooted { kind, .. } => format!("{}; the source is any node", graph(*kind)),
        Problem::Communities { .. } => format!(
            "a directed graph of {COMMUNITIES} communities of equal size (the last takes the rest), in each of which an ordered \
             pair, a node with itself too, is an edge with probability p; of all pairs within a community or from an earlier one \
             to a later one, a share of {BETWEEN} is turned round (edge or not); nodes are shuffled"
        ),
        Problem::Segments { .. } => {
            "four points uniform in the unit square; the segments meet in half of the samples".to_owned()
        }
        Problem::Points { .. } => format!("N points uniform on a disk of radius {RADIUS}, no three on a line"),
    }
}

fn graph(kind: GraphKind) -> String {
    let edges = match kind.edges {
        Edges::Directed => {
            "a directed graph: each ordered pair of nodes, a node with itself too, is an edge with probability p"
        }
        Edges::Undirected => {
            "an undirected graph: two nodes, or a node and itself, are joined if both directions are drawn, each with \
             probability p (p² in all, p for a node and itself)"
        }
        Edges::Acyclic => {
            "a directed graph without cycles: each pair of nodes is an edge, from the earlier to the later in a random order, with \
             probability p"
        }
    };
    let weights = match (kind.weighted, kind.edges) {
        (false, _) => "",
        (true, Edges::Undirected) => "; weights are √(a b + 0.001) of uniform numbers a, b of [0, 1)",
        (true, Edges::Directed | Edges::Acyclic) => "; weights are uniform in [0, 1)",
    };
    format!("{edges}{weights}")
}

/// What training draws, and what the test split draws.
fn differences(algorithm: &Algorithm) -> Option<(String, String)> {
    let args = SamplerArgs::training(algorithm);
    match &algorithm.problem {
        Problem::Graph { kind, .. } | Problem::Rooted { kind, .. } => Some(probabilities(&args, kind.p)),
        Problem::Communities { .. } => Some(probabilities(&args, WITHIN)),
        Problem::Needle { .. } => {
            let most = args.length_needle.map_or(0, i64::unsigned_abs);
            let training = format!("patterns of 1 to {most} letters, as far as less than half of the length");
            Some((training, "patterns of a fifth of the length".to_owned()))
        }
        _ => None,
    }
}

fn probabilities(args: &SamplerArgs, test: f64) -> (String, String) {
    let drawn: Vec<String> = args.p.iter().flatten().map(|p| short(*p)).collect();
    let drawn = match drawn.as_slice() {
        // they are evenly spaced
        [first, second, .., last] => format!("{first}, {second}, ..., {last}"),
        few => few.join(", "),
    };
    (format!("p is one of {drawn}, drawn for each graph"), format!("p = {}", short(test)))
}

/// To three places, without zeros at the end.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::find_algorithm;

    fn of(name: &str) -> Sampling {
        sampling(find_algorithm(name).expect("known"))
    }

    #[test]
    fn probabilities_are_those_that_are_drawn() {
        let training = |name| of(name).training.expect("it differs");
        assert_eq!(training("dfs"), "p is one of 0.1, 0.2, ..., 0.9, drawn for each graph");
        assert!(training("bridges").starts_with("p is one of 0.05, 0.1, ..., 0.45, drawn"));
        let test = |name| of(name).test.expect("it differs");
        assert_eq!(["dfs", "bridges", "strongly_connected_components"].map(test), ["p = 0.5", "p = 0.2", "p = 0.5"]);
        assert_eq!(of("heapsort").training, None);
        for algorithm in crate::algorithms::algorithms() {
            let p = SamplerArgs::training(algorithm).p.expect("they are given");
            let steps = p.windows(2).map(|pair| short(pair[1] - pair[0])).collect::<Vec<_>>();
            assert!(steps.iter().all(|step| *step == short(p[0])), "{steps:?} are even");
        }
    }
}
