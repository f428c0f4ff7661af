//! The motif library: named ideas, each as a directive in words and as settings of genes.

use std::collections::BTreeMap;

use schemas::Factor;
use serde::Deserialize;

use super::genes::Genome;

/// The library that comes with the program.
const LIBRARY: &str = include_str!("../../../../../data/motifs.toml");

/// One idea.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Motif {
    /// What the edit is called in tables.
    pub name: String,
    /// The region that it changes.
    pub factor: Factor,
    /// What an editor would be told.
    pub directive: String,
    /// What that means in the grammar.
    pub genes: BTreeMap<String, String>,
    /// Where the idea is known from.
    pub after: String,
}

/// What is wrong with a motif library.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MotifError {
    /// It is not TOML of the right form.
    #[error("{0}")]
    Form(String),
    /// A motif sets what the grammar does not have.
    #[error("motif {motif}: the {factor} genes have no {gene} = \"{value}\"")]
    Gene {
        /// Which motif.
        motif: String,
        /// Its factor.
        factor: Factor,
        /// The gene as given.
        gene: String,
        /// The value as given.
        value: String,
    },
}

/// Reads a library and checks it against the grammar.
pub fn parse(text: &str) -> Result<Vec<Motif>, MotifError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Library {
        motif: Vec<Motif>,
    }
    let library: Library = toml::from_str(text).map_err(|error| MotifError::Form(error.to_string()))?;
    for motif in &library.motif {
        let (factor, mut genome) = (motif.factor, Genome::seed(motif.factor));
        for (gene, value) in &motif.genes {
            if !genome.set(gene, value) {
                let (gene, value) = (gene.clone(), value.clone());
                return Err(MotifError::Gene { motif: motif.name.clone(), factor, gene, value });
            }
        }
    }
    Ok(library.motif)
}

/// The library that comes with the program.
pub fn embedded() -> Result<Vec<Motif>, MotifError> {
    parse(LIBRARY)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_library_is_sound() {
        let motifs = embedded().unwrap();
        let names: BTreeSet<&str> = motifs.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names.len(), motifs.len(), "two motifs share a name");
        for factor in [Factor::OPERATOR, Factor::ACTION] {
            assert!(motifs.iter().filter(|m| m.factor == factor).count() >= 10);
        }
        for motif in &motifs {
            let mut genome = Genome::seed(motif.factor);
            for (gene, value) in &motif.genes {
                genome.set(gene, value);
            }
            assert_ne!(genome.settled(true), Genome::seed(motif.factor), "{} changes nothing", motif.name);
        }
    }

    #[test]
    fn faults_are_named() {
        let motif = |genes: &str| {
            parse(&format!("[[motif]]\nname='m'\nfactor='ACTION'\ndirective=''\ngenes={genes}\nafter=''"))
        };
        assert!(motif("{ mask = 'path' }").is_ok());
        let error = motif("{ mask = 'purple' }").unwrap_err().to_string();
        assert_eq!(error, "motif m: the ACTION genes have no mask = \"purple\"");
        assert!(matches!(parse("motif = 3"), Err(MotifError::Form(_))));
    }
}
