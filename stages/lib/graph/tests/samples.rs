//! Where samples are said to be independent, a batch is its samples one by one.

mod support;

use graph::interpret::{Tensor, evaluate, sizes};
use graph::passes::independent;
use graph::{Dim, Graph, NodeId, Passes, explain, optimise};
use proptest::prelude::*;
use support::{Numbers, Random, agree, pgn, steps};

const SAMPLES: i64 = 3;

/// Row `at` along the first axis, where that is the batch's.
fn row(tensor: &Tensor, at: usize) -> Tensor {
    let width = tensor.data.len() / SAMPLES as usize;
    let part = |data: &[f64]| data[at * width..(at + 1) * width].to_vec();
    let mut shape = tensor.shape.clone();
    shape[0] = 1;
    Tensor { shape, data: part(&tensor.data), tangent: part(&tensor.tangent) }
}

fn one_by_one(graph: &Graph, outputs: &[NodeId], seed: u64, n: i64) -> Result<(), String> {
    let mut numbers = Numbers(seed);
    let inputs: Vec<Tensor> =
        graph.inputs().iter().map(|input| numbers.tensor(sizes(&input.shape, SAMPLES, n).unwrap())).collect();
    let params: Vec<Tensor> = graph.params().iter().map(|p| numbers.tensor(p.shape.clone())).collect();
    let whole = evaluate(graph, &inputs, &params, SAMPLES, n).unwrap();
    for at in 0..SAMPLES as usize {
        let inputs: Vec<Tensor> = inputs.iter().map(|input| row(input, at)).collect();
        let alone = evaluate(graph, &inputs, &params, 1, n).unwrap();
        for id in outputs {
            agree(&row(&whole[id.index()], at), &alone[id.index()])
                .map_err(|difference| format!("sample {at}: {difference}\n{}", explain(graph, outputs)))?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn independent_samples_are(steps in steps(24), seed: u64) {
        let random = Random::new(&steps);
        let (fast, at) = optimise(&random.graph, &random.outputs(), &Passes::all());
        for (graph, outputs) in [(&random.graph, random.outputs()), (&fast, at)] {
            for output in outputs {
                if independent(graph, &[output]) {
                    prop_assert_eq!(graph.shape(output).first(), Some(&Dim::b()));
                    one_by_one(graph, &[output], seed, 3).map_err(TestCaseError::fail)?;
                }
            }
        }
    }
}

#[test]
fn the_reference_architecture_is_cut_by_samples() {
    let step = pgn::step(6, 3);
    let outputs = [step.ret, step.tri_msgs];
    assert!(independent(&step.graph, &outputs));
    let (fast, at) = optimise(&step.graph, &outputs, &Passes::all());
    assert!(independent(&fast, &at), "{}", explain(&fast, &at));
    one_by_one(&fast, &at, 5, 4).unwrap();
}
