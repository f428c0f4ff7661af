//! What a diagnosis of the parent says about the grammar's choices: which are worth changing, and what does nothing.

use std::collections::BTreeMap;

use super::genes;
use crate::diagnosis::{Diagnosis, Lesion};

/// How much likelier a choice is varied that decides about the part of most worth, or about one that is idle.
const FAVOUR: f64 = 4.0;

/// The operators that a gene decides about; those that are not listed decide about the whole channel.
const OPERATORS: &[(&str, &[&str])] = &[
    ("node", &["t_1", "t_2", "t_3"]),
    ("node_norm", &["t_1", "t_2", "t_3"]),
    ("node_act", &["t_1", "t_2", "t_3"]),
    ("edge", &["t_e_1", "t_e_2", "t_e_3"]),
    ("edge_norm", &["t_e_1", "t_e_2", "t_e_3"]),
    ("edge_act", &["t_e_1", "t_e_2", "t_e_3"]),
    ("first", &["t_e_1"]),
    ("second", &["t_e_2"]),
    ("direct", &["t_e_3"]),
    ("output", &["o3"]),
    ("start", &["o3"]),
    ("act", &["o3"]),
    ("finish", &["o3"]),
    ("gate_node", &["gate_node"]),
    ("gate_edge", &["gate_edge"]),
    ("gate_graph", &["gate_graph"]),
    ("gate_middle", &["gate_middle"]),
    ("gate_form", &["gate_node", "gate_edge", "gate_graph", "gate_middle"]),
    ("gate_bias", &["gate_node", "gate_edge", "gate_graph", "gate_middle"]),
];

/// Genes whose first value leaves their operator out.
const OPTIONAL: [&str; 4] = ["gate_node", "gate_edge", "gate_graph", "gate_middle"];

/// Weights of the genes, and those whose operators can go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    weights: BTreeMap<&'static str, f64>,
    idle: Vec<&'static str>,
}

impl Evidence {
    /// Reads a diagnosis: a gene weighs more the more is lost without the operators that it decides about.
    #[must_use]
    pub fn of(diagnosis: &Diagnosis) -> Self {
        let known: Vec<&genes::Gene> = genes::OPERATOR.iter().chain(genes::ACTION).collect();
        let worth = |gene: &str| -> Option<f64> {
            let Some((_, names)) = OPERATORS.iter().find(|(name, _)| *name == gene) else {
                return diagnosis.channel("tri_msgs").map(worth_of);
            };
            let parts = diagnosis.operators.iter().filter(|lesion| names.iter().any(|name| is_of(&lesion.name, name)));
            parts.map(worth_of).max_by(f64::total_cmp)
        };
        let most = known.iter().filter_map(|gene| worth(gene.name)).fold(0.0, f64::max);
        let idle: Vec<&'static str> = OPTIONAL
            .into_iter()
            .filter(|gene| {
                let mut parts = diagnosis.operators.iter().filter(|lesion| is_of(&lesion.name, gene)).peekable();
                parts.peek().is_some() && parts.all(Lesion::is_idle)
            })
            .collect();
        let weight = |name: &'static str| {
            let share = if most > 0.0 { worth(name).unwrap_or(0.0) / most } else { 0.0 };
            1.0 + FAVOUR * if idle.contains(&name) { 1.0 } else { share }
        };
        Self { weights: known.iter().map(|gene| (gene.name, weight(gene.name))).collect(), idle }
    }

    /// How likely a gene is to be varied, relative to the others.
    #[must_use]
    pub fn weight(&self, gene: &str) -> f64 {
        self.weights.get(gene).copied().unwrap_or(1.0)
    }

    /// Whether the gene's operator does nothing and can be left out.
    #[must_use]
    pub fn prunes(&self, gene: &str) -> bool {
        self.idle.contains(&gene)
    }
}

/// An operator, or a layer within it.
fn is_of(name: &str, operator: &str) -> bool {
    name.strip_prefix(operator).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What is lost without a part: of the score, or of hints and outputs on average where that is more.
fn worth_of(lesion: &Lesion) -> f64 {
    lesion.loss.max(lesion.mean_loss()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesion(name: &str, loss: f64) -> Lesion {
        Lesion { name: name.into(), loss, most: loss.abs(), ..Lesion::default() }
    }

    #[test]
    fn genes_weigh_what_their_operators_are_worth() {
        let evidence = Evidence::of(&Diagnosis {
            operators: vec![lesion("t_1.0", 0.2), lesion("t_1", 0.1), lesion("t_e_3", 0.4), lesion("gate_node", 0.001)],
            channels: vec![lesion("tri_msgs", 0.3)],
            ..Diagnosis::default()
        });
        let close = |gene: &str, weight: f64| assert!((evidence.weight(gene) - weight).abs() < 1e-12, "{gene}");
        close("direct", 5.0);
        close("node", 3.0);
        close("mask", 4.0);
        close("first", 1.0);
        // It does nothing: that is a reason to look at it, too.
        close("gate_node", 5.0);
        assert!(evidence.prunes("gate_node") && !evidence.prunes("gate_edge") && !evidence.prunes("node"));
    }

    #[test]
    fn every_operator_of_the_list_is_the_grammars() {
        for (gene, _) in OPERATORS {
            assert!(genes::OPERATOR.iter().chain(genes::ACTION).any(|known| known.name == *gene), "{gene}");
        }
        for gene in OPTIONAL {
            let known = genes::OPERATOR.iter().find(|known| known.name == gene).unwrap();
            assert_eq!(known.values.first(), Some(&"no"));
        }
    }

    #[test]
    fn nothing_measured_favours_nothing() {
        let evidence = Evidence::of(&Diagnosis::default());
        assert!(genes::OPERATOR.iter().all(|gene| evidence.weight(gene.name) == 1.0 && !evidence.prunes(gene.name)));
    }
}
