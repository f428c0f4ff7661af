//! The grammar's choices: what can be decided about each region, and with which values.
//!
//! A genome is one value per gene of one factor. The first value of each gene is what the seed program does.

use schemas::Factor;

/// One choice.
#[derive(Debug, PartialEq, Eq)]
pub struct Gene {
    /// Its name in comments, motifs and edit labels.
    pub name: &'static str,
    /// What is chosen, as the end of the sentence "Change ...".
    pub about: &'static str,
    /// The values; the first is the seed program's.
    pub values: &'static [&'static str],
}

/// What layers exist.
pub const OPERATOR: &[Gene] = &[
    Gene { name: "width", about: "the number of triplet features", values: &["given", "4", "12", "16"] },
    Gene {
        name: "node",
        about: "the projections of the three nodes of a triple",
        values: &["linear", "rank2", "rank4", "mlp16", "mlp32"],
    },
    Gene { name: "node_norm", about: "whether nodes are normalised before they are projected", values: &["no", "yes"] },
    Gene {
        name: "node_act",
        about: "the activation after the node projections",
        values: &["none", "tanh", "relu", "gelu"],
    },
    Gene {
        name: "edge",
        about: "the projections of the three edges of a triple",
        values: &["linear", "rank2", "rank4", "mlp16", "mlp32"],
    },
    Gene { name: "edge_norm", about: "whether edges are normalised before they are projected", values: &["no", "yes"] },
    Gene {
        name: "edge_act",
        about: "the activation after the edge projections",
        values: &["none", "tanh", "relu", "gelu"],
    },
    Gene {
        name: "output",
        about: "the layers that lead from triplet features to the pair's embedding",
        values: &["linear", "norm", "postnorm", "mlp", "normmlp"],
    },
    Gene { name: "start", about: "the initial weights of the output layer", values: &["torch", "xavier", "small"] },
    Gene { name: "gate_node", about: "a gate that the two nodes of a pair control", values: &["no", "yes"] },
    Gene { name: "gate_edge", about: "a gate that the edge of a pair controls", values: &["no", "yes"] },
    Gene { name: "gate_graph", about: "a gate that the whole graph controls", values: &["no", "yes"] },
    Gene { name: "gate_middle", about: "a gate on each middle node", values: &["no", "yes"] },
    Gene { name: "gate_form", about: "whether a gate works per feature or as a whole", values: &["feature", "scalar"] },
    Gene { name: "gate_bias", about: "how far open a gate starts", values: &["even", "open", "closed"] },
];

/// How they are used.
pub const ACTION: &[Gene] = &[
    Gene {
        name: "first",
        about: "the direction in which the edge between middle node and first node is read",
        values: &["forward", "reverse"],
    },
    Gene {
        name: "second",
        about: "the direction in which the edge between middle node and second node is read",
        values: &["forward", "reverse"],
    },
    Gene {
        name: "direct",
        about: "the direction in which the edge of the pair itself is read",
        values: &["forward", "reverse", "both"],
    },
    Gene { name: "mask", about: "which middle nodes count", values: &["none", "first", "second", "path", "soft"] },
    Gene { name: "inner", about: "the activation of a triple before the reduction", values: &["none", "relu", "gelu"] },
    Gene { name: "head", about: "how the middle nodes are reduced", values: KINDS },
    Gene {
        name: "head_2",
        about: "the second head, which has half of the features and a reduction of its own",
        values: &["none", "max", "min", "mean", "lse", "soft", "runner-up", "product", "jump", "lookup"],
    },
    Gene {
        name: "combine",
        about: "how what was found through middle nodes meets what the pair itself says",
        values: &["add", "gate", "modulate"],
    },
    Gene {
        name: "act",
        about: "the activation of the pair's embedding",
        values: &["given", "gelu", "tanh", "elu", "leaky", "none"],
    },
    Gene {
        name: "finish",
        about: "what happens to the pair's embedding last",
        values: &["plain", "residual", "mirror", "edges"],
    },
    Gene { name: "rounds", about: "how often the triplet step is taken", values: &["1", "2"] },
];

/// The reductions over middle nodes.
pub const KINDS: &[&str] = &["max", "min", "mean", "lse", "soft", "runner-up", "product", "jump", "lookup"];

/// The genes of a factor; none for a factor that the grammar does not know.
#[must_use]
pub fn genes_of(factor: Factor) -> &'static [Gene] {
    match factor {
        Factor::OPERATOR => OPERATOR,
        Factor::ACTION => ACTION,
        _ => &[],
    }
}

/// A value for every gene of a factor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Genome {
    factor: Factor,
    values: Vec<usize>,
}

impl Genome {
    /// The seed program's.
    #[must_use]
    pub fn seed(factor: Factor) -> Self {
        Self { factor, values: vec![0; genes_of(factor).len()] }
    }

    /// The factor that it describes.
    #[must_use]
    pub fn factor(&self) -> Factor {
        self.factor
    }

    /// Its genes.
    #[must_use]
    pub fn genes(&self) -> &'static [Gene] {
        genes_of(self.factor())
    }

    /// The value of a gene; empty for a gene that the factor does not have.
    #[must_use]
    pub fn get(&self, gene: &str) -> &'static str {
        let place = self.genes().iter().position(|g| g.name == gene);
        place
            .and_then(|place| self.genes().get(place)?.values.get(*self.values.get(place)?))
            .copied()
            .unwrap_or_default()
    }

    /// Whether a gene has this value.
    #[must_use]
    pub fn is(&self, gene: &str, value: &str) -> bool {
        self.get(gene) == value
    }

    /// Sets a gene. `false`, and no change, where the factor has no such gene or the gene no such value.
    pub fn set(&mut self, gene: &str, value: &str) -> bool {
        let Some(place) = self.genes().iter().position(|g| g.name == gene) else { return false };
        let number = self.genes().get(place).and_then(|g| g.values.iter().position(|v| *v == value));
        match (number, self.values.get_mut(place)) {
            (Some(number), Some(slot)) => {
                *slot = number;
                true
            }
            _ => false,
        }
    }

    /// The same choice under its simplest name: choices that have no effect return to the seed's value, so that equal
    /// programs have equal genomes. `open`: whether the action region will look for gates.
    #[must_use]
    pub fn settled(mut self, open: bool) -> Self {
        match self.factor {
            Factor::OPERATOR => self.settle_operator(open),
            Factor::ACTION => self.settle_action(),
            _ => {}
        }
        self
    }

    fn settle_operator(&mut self, open: bool) {
        let gates = ["gate_node", "gate_edge", "gate_graph", "gate_middle"];
        if !open {
            for gate in gates {
                self.set(gate, "no");
            }
        }
        if gates.iter().all(|gate| self.is(gate, "no")) {
            self.set("gate_form", "feature");
            self.set("gate_bias", "even");
        }
    }

    fn settle_action(&mut self) {
        // Two heads of one kind are one; the order of heads is only a naming of features.
        let rank = |kind: &str| KINDS.iter().position(|k| *k == kind);
        let (head, second) = (self.get("head"), self.get("head_2"));
        match (rank(head), rank(second)) {
            (a, b) if a == b => {
                self.set("head_2", "none");
            }
            (Some(a), Some(b)) if a > b => {
                self.set("head", second);
                self.set("head_2", head);
            }
            _ => {}
        }
        let heads = [self.get("head"), self.get("head_2")];
        // A mean of sums is a sum of means, which no longer tells one pair from another.
        if heads.contains(&"mean") && self.is("inner", "none") {
            self.set("inner", "relu");
        }
        if !heads.iter().any(|kind| is_triple(kind)) {
            self.set("inner", "none");
        }
    }

    /// The genes whose value differs from another genome's, with this genome's value.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        for gene in self.genes() {
            if self.get(gene.name) != other.get(gene.name) {
                found.push((gene.name, self.get(gene.name)));
            }
        }
        found
    }

    /// The comment that stands first in a rendered region, without the `#`: the genes that differ from the seed's.
    #[must_use]
    pub fn note(&self) -> String {
        let settings: Vec<String> =
            self.differences(&Self::seed(self.factor())).into_iter().map(|(g, v)| format!("{g}={v}")).collect();
        if settings.is_empty() { "motif: plain".to_owned() } else { format!("motif: {}", settings.join(" ")) }
    }

    /// Reads a [`note`](Self::note).
    #[must_use]
    pub fn from_note(factor: Factor, note: &str) -> Option<Self> {
        let settings = note.trim().strip_prefix("motif:")?.trim();
        let mut genome = Self::seed(factor);
        if settings != "plain" {
            for setting in settings.split_whitespace() {
                let (gene, value) = setting.split_once('=')?;
                if !genome.set(gene, value) {
                    return None;
                }
            }
        }
        Some(genome)
    }
}

/// Whether a reduction looks at whole triples (and so builds a [B, N, N, N, T] tensor) instead of products of pairs.
#[must_use]
pub fn is_triple(kind: &str) -> bool {
    matches!(kind, "max" | "min" | "mean" | "lse" | "soft" | "runner-up")
}

/// Genes whose effect depends on others; the rest are free.
const LINKED: [&str; 9] =
    ["gate_node", "gate_edge", "gate_graph", "gate_middle", "gate_form", "gate_bias", "inner", "head", "head_2"];

/// The number of settled genomes of a factor.
#[must_use]
pub fn count(factor: Factor, open: bool) -> usize {
    let (linked, free): (Vec<&Gene>, Vec<&Gene>) =
        genes_of(factor).iter().partition(|gene| LINKED.contains(&gene.name));
    let combinations = |genes: &[&Gene]| genes.iter().map(|gene| gene.values.len()).product::<usize>();
    let mut settled = 0;
    for number in 0..combinations(&linked) {
        let mut genome = Genome::seed(factor);
        let mut digits = number;
        for gene in &linked {
            if let Some(value) = gene.values.get(digits % gene.values.len()) {
                genome.set(gene.name, value);
            }
            digits /= gene.values.len();
        }
        settled += usize::from(genome.clone().settled(open) == genome);
    }
    settled.saturating_mul(combinations(&free))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::tests::{key, random_genome};

    #[test]
    fn notes_lead_back() {
        let mut stream = key(1).stream("genes");
        for factor in [Factor::OPERATOR, Factor::ACTION] {
            for _ in 0..500 {
                let genome = random_genome(factor, &mut stream);
                assert_eq!(Genome::from_note(factor, &genome.note()), Some(genome));
            }
            assert_eq!(Genome::from_note(factor, "motif: plain"), Some(Genome::seed(factor)));
        }
        for bad in ["motif: width=3", "motif: colour=red", "motif: width", "something else"] {
            assert_eq!(Genome::from_note(Factor::OPERATOR, bad), None, "{bad}");
        }
    }

    #[test]
    fn settling_settles() {
        let mut stream = key(2).stream("genes");
        for _ in 0..2000 {
            for factor in [Factor::OPERATOR, Factor::ACTION] {
                let genome = random_genome(factor, &mut stream);
                assert_eq!(genome.clone().settled(true), genome);
            }
        }
        let mut genome = Genome::seed(Factor::ACTION);
        genome.set("head", "jump");
        genome.set("head_2", "max");
        let genome = genome.settled(true);
        assert_eq!((genome.get("head"), genome.get("head_2")), ("max", "jump"));
    }

    #[test]
    fn the_grammar_is_large() {
        // 96,000 without gates; 15 sets of gates in 2 forms with 3 biases, or none.
        assert_eq!(count(Factor::OPERATOR, false), 96_000);
        assert_eq!(count(Factor::OPERATOR, true), 96_000 * (15 * 6 + 1));
        // 45 sets of one or two reductions: 6 of products alone, which take no activation; 9 with the mean, which takes
        // two of the three; 30 others.
        assert_eq!(count(Factor::ACTION, true), 2 * 2 * 3 * 5 * 3 * 6 * 4 * 2 * (6 + 9 * 2 + 30 * 3));
    }
}
