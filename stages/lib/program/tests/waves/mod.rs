//! The seed program with another ACTION region, and what a processor computes with waves for inputs and parameters, as a few numbers.

use std::fs;
use std::path::Path;

use graph::interpret::{Tensor, evaluate, sizes};

/// The seed program with these lines as its ACTION region.
pub fn seed_with(action: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/seed_pgn.py");
    let source = fs::read_to_string(path).unwrap();
    let begin = "# ===== BEGIN ACTION REGION =====\n";
    let start = source.find(begin).unwrap() + begin.len();
    let stop = source[..source.find("# ===== END ACTION REGION =====").unwrap()].rfind('\n').unwrap() + 1;
    let indented: String =
        action.lines().map(|l| if l.is_empty() { "\n".into() } else { format!("        {l}\n") }).collect();
    format!("{}{indented}{}", &source[..start], &source[stop..])
}

fn wave(shape: Vec<usize>, step: f64, start: f64, scale: f64) -> Tensor {
    let count = shape.iter().product();
    Tensor::new(shape, (0..count).map(|at| scale * (step * at as f64 + start).sin()).collect())
}

/// The sums of both outputs for B = 2 and N = 3, each element times a wave.
pub fn numbers(processor: &graph::Processor) -> Vec<f64> {
    let (b, n) = (2, 3);
    let graph = &processor.graph;
    let shape = |at: usize| sizes(&graph.inputs()[at].shape, b, n).unwrap();
    let adjacency = shape(3);
    let count: usize = adjacency.iter().product();
    let inputs = [
        wave(shape(0), 1.3, 1.0, 1.0),
        wave(shape(1), 0.9, 2.0, 1.0),
        wave(shape(2), 0.5, 3.0, 1.0),
        Tensor::new(adjacency, (0..count).map(|at| f64::from(u8::from((at * 7) % 3 != 0))).collect()),
        wave(shape(4), 1.1, 4.0, 1.0),
    ];
    let mut trained: Vec<&str> = graph.params().iter().filter(|p| p.trainable).map(|p| p.name.as_str()).collect();
    trained.sort_unstable();
    let param = |p: &graph::Param| match trained.iter().position(|name| *name == p.name) {
        Some(at) => wave(p.shape.clone(), 0.7, at as f64, 0.3),
        None => {
            let count = p.shape.iter().product();
            let graph::Init::Constant(value) = p.init else { panic!("{}", p.name) };
            Tensor::new(p.shape.clone(), vec![value; count])
        }
    };
    let params: Vec<Tensor> = graph.params().iter().map(param).collect();
    let values = evaluate(graph, &inputs, &params, b, n).unwrap();
    let sum = |x: &Tensor| x.data.iter().enumerate().map(|(at, x)| x * (0.3 * at as f64).cos()).sum();
    processor.outputs().iter().map(|id| sum(&values[id.index()])).collect()
}
