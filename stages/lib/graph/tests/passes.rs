//! Rewritten graphs mean what they meant before: values and gradients, on random graphs.

mod support;

use graph::{Passes, costs, explain, fingerprint, optimise};
use proptest::prelude::*;
use support::{Random, Step, agree, run, steps};

fn unchanged(steps: &[Step], passes: &Passes, seed: u64) -> Result<(), TestCaseError> {
    let random = Random::new(steps);
    let (graph, outputs) = (random.graph.clone(), random.outputs());
    graph.validate().map_err(|e| TestCaseError::fail(e.to_string()))?;
    let (fast, rewritten) = optimise(&graph, &outputs, passes);
    fast.validate().map_err(|e| TestCaseError::fail(e.to_string()))?;
    for (b, n) in [(2, 3), (1, 2)] {
        let (before, after) = (run(&graph, &outputs, seed, b, n), run(&fast, &rewritten, seed, b, n));
        for (x, y) in before.iter().zip(&after) {
            agree(x, y).map_err(|difference| {
                TestCaseError::fail(format!(
                    "{difference}\nbefore\n{}after\n{}",
                    explain(&graph, &outputs),
                    explain(&fast, &rewritten)
                ))
            })?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn normal_form(steps in steps(24), seed: u64) {
        unchanged(&steps, &Passes::none(), seed)?;
    }

    #[test]
    fn join(steps in steps(24), seed: u64) {
        unchanged(&steps, &Passes { join: true, ..Passes::none() }, seed)?;
    }

    #[test]
    fn linear(steps in steps(24), seed: u64) {
        unchanged(&steps, &Passes { linear: true, ..Passes::none() }, seed)?;
    }

    #[test]
    fn max_plus(steps in steps(24), seed: u64) {
        unchanged(&steps, &Passes { max_plus: true, ..Passes::none() }, seed)?;
    }

    #[test]
    fn sums(steps in steps(24), seed: u64) {
        unchanged(&steps, &Passes { sums: true, ..Passes::none() }, seed)?;
    }

    #[test]
    fn merge(steps in steps(24), seed: u64) {
        unchanged(&steps, &Passes { merge: true, ..Passes::none() }, seed)?;
    }

    #[test]
    fn all(steps in steps(40), seed: u64) {
        unchanged(&steps, &Passes::all(), seed)?;
    }

    #[test]
    fn the_same_graph_gives_the_same_result(steps in steps(24)) {
        let random = Random::new(&steps);
        let outputs = random.outputs();
        let (once, again) = (optimise(&random.graph, &outputs, &Passes::all()), optimise(&random.graph, &outputs, &Passes::all()));
        prop_assert_eq!(&once, &again);
        // The normal form is one: taking it again finds nothing left to do.
        let (normal, at) = optimise(&random.graph, &outputs, &Passes::none());
        prop_assert_eq!(fingerprint(&random.graph, &outputs), fingerprint(&normal, &at));
        costs(&once.0, &once.1);
    }
}
