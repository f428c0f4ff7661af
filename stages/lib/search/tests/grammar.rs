//! What the grammar writes is right: the front end accepts it, for any batch and any number of nodes.

use std::collections::BTreeSet;

use program::{Compiled, Options, Verdict, compile};
use schemas::Factor;
use search::SEED_PROGRAM;
use search::builtin::genes::{Genome, genes_of};
use search::builtin::{random_genome, splice};
use search::random::StreamKey;

#[track_caller]
fn accepted(source: &str) -> Compiled {
    let compiled = compile(source, &Options::default());
    assert_eq!(
        compiled.verdict(),
        Verdict::Accept,
        "{}\n{source}",
        program::render(source, "candidate.py", &compiled.diagnostics, false)
    );
    compiled
}

fn program(genomes: &[&Genome]) -> String {
    genomes.iter().fold(SEED_PROGRAM.to_owned(), |source, genome| splice(&source, genome).expect("both regions"))
}

/// The graph as text: equal texts, equal computations.
fn computation(source: &str) -> String {
    let processor = accepted(source).processor.expect("an accepted program has a graph");
    format!("{:?} {:?}", processor.graph.params(), processor.graph.nodes())
}

#[test]
fn any_operator_fits_any_action() {
    let mut stream = StreamKey { seed: 5, stage: "test", generation: 0, slot: 0, redraw: 0 }.stream("grammar");
    let mut seen = BTreeSet::new();
    for _ in 0..300 {
        let operator = random_genome(Factor::OPERATOR, &mut stream);
        let action = random_genome(Factor::ACTION, &mut stream);
        seen.insert(computation(&program(&[&operator, &action])));
    }
    assert_eq!(seen.len(), 300, "two of 300 draws compute the same");
}

#[test]
fn the_seeds_action_takes_any_operator_without_gates() {
    let mut stream = StreamKey { seed: 6, stage: "test", generation: 0, slot: 0, redraw: 0 }.stream("grammar");
    for _ in 0..60 {
        accepted(&program(&[&random_genome(Factor::OPERATOR, &mut stream).settled(false)]));
    }
}

#[test]
fn every_value_of_every_gene_changes_the_computation() {
    for factor in [Factor::OPERATOR, Factor::ACTION] {
        // On a background where nothing is hidden: gates on, masks on, a second head.
        let mut action = Genome::seed(Factor::ACTION);
        for (gene, value) in [("mask", "path"), ("head", "max"), ("head_2", "jump"), ("inner", "gelu")] {
            assert!(action.set(gene, value));
        }
        let mut operator = Genome::seed(Factor::OPERATOR);
        for (gene, value) in [("gate_node", "yes"), ("width", "12")] {
            assert!(operator.set(gene, value));
        }
        for gene in genes_of(factor) {
            let mut seen = BTreeSet::new();
            let mut settled = BTreeSet::new();
            for value in gene.values {
                let (mut operator, mut action) = (operator.clone(), action.clone());
                assert!(operator.set(gene.name, value) || action.set(gene.name, value));
                let (operator, action) = (operator.settled(true), action.settled(true));
                seen.insert(computation(&program(&[&operator, &action])));
                settled.insert((operator, action));
            }
            assert_eq!(seen.len(), settled.len(), "two values of {} do the same", gene.name);
            assert!(seen.len() > 1, "{} does nothing", gene.name);
        }
    }
}
