//! Every algorithm against dm-clrs 2.0.3, by digests of what that draws: see tests/fixtures/clrs/README.md.

use std::fmt::Write as _;
use std::path::Path;

use clrs::{
    Algorithm, Batch, DataPoint, Pipeline, PipelineConfig, Sampler, SamplerArgs, SamplerConfig, SpecEntry, Split,
    digest, digests,
};
use serde_json::{Value, json};

/// Each algorithm's tests, as a module of its name: one test for each part of its fixture.
macro_rules! goldens {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[test]
            fn contract() { super::contract(stringify!($name)); }
            #[test]
            fn first_batch_by_value() { super::cold(stringify!($name)); }
            #[test]
            fn training_batches() { super::cases(stringify!($name)); }
            #[test]
            fn pipeline() { super::pipeline(stringify!($name)); }
            #[test]
            fn splits() { super::splits(stringify!($name)); }
        })*

        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

goldens! {
    activity_selector,
    articulation_points,
    bellman_ford,
    bfs,
    binary_search,
    bridges,
    bubble_sort,
    dag_shortest_paths,
    dfs,
    dijkstra,
    find_maximum_subarray_kadane,
    floyd_warshall,
    graham_scan,
    heapsort,
    insertion_sort,
    jarvis_march,
    kmp_matcher,
    lcs_length,
    matrix_chain_order,
    minimum,
    mst_kruskal,
    mst_prim,
    naive_string_matcher,
    optimal_bst,
    quickselect,
    quicksort,
    segments_intersect,
    strongly_connected_components,
    task_scheduling,
    topological_sort,
}

#[test]
fn every_algorithm_is_tested() {
    let known: Vec<&str> = clrs::algorithms().iter().map(|algorithm| algorithm.name).collect();
    assert_eq!(known, TESTED);
}

fn fixture(name: &str) -> (&'static Algorithm, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../../tests/fixtures/clrs/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (clrs::algorithm(name).expect("a known algorithm"), serde_json::from_str(&text).expect("valid JSON"))
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no natural number")) as usize
}

fn sampler_config(case: &Value) -> SamplerConfig {
    let args = &case["kwargs_used"];
    SamplerConfig {
        seed: number(&case["seed"]) as u32,
        length: number(&case["length"]),
        num_samples: None,
        args: SamplerArgs {
            p: args["p"].as_array().map(|p| p.iter().filter_map(Value::as_f64).collect()),
            length_needle: args["length_needle"].as_i64(),
        },
        track_max_steps: case["track_max_steps"].as_bool().expect("track_max_steps"),
    }
}

/// "name dtype shape digest", as the fixtures have it.
fn line(name: &str, dtype: &str, shape: &[usize], digest: clrs::Digest) -> String {
    let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("{name} {dtype} {} {digest}", if shape.is_empty() { "-".to_owned() } else { shape.join("x") })
}

fn point_line(point: &DataPoint) -> String {
    line(point.name, point.dtype.as_str(), &point.shape, digest(&point.data))
}

fn lengths_line(lengths: &[usize]) -> String {
    let values: Vec<f64> = lengths.iter().map(|&length| length as f64).collect();
    line("lengths", "float64", &[lengths.len()], digest(&values))
}

fn lines(batch: &Batch) -> Value {
    let of = |points: &[DataPoint]| points.iter().map(point_line).collect::<Vec<_>>();
    json!({
        "inputs": of(&batch.inputs),
        "hints": of(&batch.hints),
        "outputs": of(&batch.outputs),
        "lengths": lengths_line(&batch.lengths),
    })
}

/// Compares, naming only what differs.
#[track_caller]
fn assert_same(what: &str, ours: &Value, golden: &Value) {
    let mut report = String::new();
    for part in ["inputs", "hints", "outputs", "lengths"] {
        let list = |value: &Value| value[part].as_array().cloned().unwrap_or_else(|| vec![value[part].clone()]);
        let (ours, golden) = (list(ours), list(golden));
        if ours.len() != golden.len() {
            let _ = writeln!(report, "{part}: {} data points, not {}", ours.len(), golden.len());
        }
        for (ours, golden) in ours.iter().zip(&golden).filter(|(ours, golden)| ours != golden) {
            let _ = writeln!(report, "{part}: {ours}\n  is not {golden}");
        }
    }
    assert!(report.is_empty(), "{what}:\n{report}");
}

fn contract(name: &str) {
    let (algorithm, golden) = fixture(name);
    assert_eq!(spec_json(algorithm.spec()), golden["spec"]);
}

fn spec_json(spec: &[SpecEntry]) -> Value {
    let entry = |entry: &SpecEntry| {
        let parts = json!([entry.stage.as_str(), entry.location.as_str(), entry.ty.as_str()]);
        (entry.name.to_owned(), parts)
    };
    Value::Object(spec.iter().map(entry).collect())
}

fn cold(name: &str) {
    let (algorithm, golden) = fixture(name);
    for case in golden["cold"].as_array().expect("cold") {
        let batch = Sampler::new(algorithm, sampler_config(case)).unwrap().next(number(&case["batch_size"])).unwrap();
        let golden = &case["batches"][0];
        for (part, points) in [("inputs", &batch.inputs), ("hints", &batch.hints), ("outputs", &batch.outputs)] {
            for (point, golden) in points.iter().zip(golden[part].as_array().expect("points")) {
                compare_values(name, point, golden);
                assert_eq!(golden["point"], point_line(point), "{name}");
            }
        }
        assert_eq!(golden["lengths"]["point"], lengths_line(&batch.lengths), "{name}");
    }
}

/// Compares value by value, which tells where a difference is.
fn compare_values(name: &str, point: &DataPoint, golden: &Value) {
    let size = point.shape.iter().product::<usize>();
    assert_eq!(point.data.len(), size, "{name}: {}", point.name);
    let (golden, ours): (Vec<f64>, Vec<f64>) = if golden["values"].is_null() {
        let batch_axis = usize::from(point.stage == clrs::Stage::Hint);
        let inner: usize = point.shape[batch_axis + 1..].iter().product();
        let rows = point.data.chunks_exact(inner * point.shape[batch_axis]);
        (flat(&golden["values_first_sample"]), rows.flat_map(|row| row[..inner].to_vec()).collect())
    } else {
        (flat(&golden["values"]), point.data.clone())
    };
    assert_eq!(golden.len(), ours.len(), "{name}: {}: shape {:?}", point.name, point.shape);
    for (i, (golden, ours)) in golden.iter().zip(&ours).enumerate() {
        assert_eq!(*golden as f32, *ours as f32, "{name}: {} of shape {:?}: value {i}", point.name, point.shape);
    }
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        value => vec![value.as_f64().expect("a number")],
    }
}

fn cases(name: &str) {
    let (algorithm, golden) = fixture(name);
    for case in golden["cases"].as_array().expect("cases") {
        let what = format!("{name}: {} seed {} length {}", case["variant"], case["seed"], case["length"]);
        let config = sampler_config(case);
        if case["variant"] == "train_kwargs" {
            let training = SamplerArgs::training(algorithm);
            assert!(config.args.p.is_none() || config.args.p == training.p, "{what}: {:?}", training.p);
            assert!(config.args.length_needle.is_none() || config.args.length_needle == training.length_needle);
        }
        let mut sampler = Sampler::new(algorithm, config).unwrap();
        assert_eq!(sampler.steps(), number(&case["max_steps_after_init"]), "{what}");
        for golden in case["batches"].as_array().expect("batches") {
            assert_same(&what, &lines(&sampler.next(number(&case["batch_size"])).unwrap()), golden);
        }
    }
}

fn pipeline(name: &str) {
    let (algorithm, golden) = fixture(name);
    for case in golden["pipeline"].as_array().expect("pipeline") {
        let mut pipeline = Pipeline::new(PipelineConfig {
            algorithm,
            sampler: sampler_config(case),
            batch_size: number(&case["batch_size"]),
            random_pos: Some(number(&case["pos_seed"]) as u32),
            pred_as_input: true,
            permutations: true,
        })
        .unwrap();
        assert_eq!(spec_json(pipeline.spec()), case["spec"], "{name}");
        for golden in case["batches"].as_array().expect("batches") {
            assert_same(&format!("{name}: pipeline"), &lines(&pipeline.next().unwrap()), golden);
        }
    }
}

fn splits(name: &str) {
    let (algorithm, golden) = fixture(name);
    for split in Split::ALL {
        let golden = &golden["splits"][split.as_str()];
        let config = split.config(algorithm);
        assert_eq!(json!(config.seed), golden["seed"]);
        assert_eq!(json!(config.length), golden["length"]);
        assert_eq!(json!(config.num_samples), golden["num_samples"]);
        let sampler = Sampler::new(algorithm, config).unwrap();
        let dataset = sampler.dataset().unwrap();
        let all = digests(dataset);
        let of = |stage: clrs::Stage| {
            let points = all.iter().filter(|(point, _)| point.stage == stage);
            points.map(|(point, digest)| line(point.name, point.dtype.as_str(), &point.shape, *digest)).collect()
        };
        let (inputs, hints, outputs): (Vec<_>, Vec<_>, Vec<_>) =
            (of(clrs::Stage::Input), of(clrs::Stage::Hint), of(clrs::Stage::Output));
        let lengths = lengths_line(&dataset.lengths());
        let ours = json!({ "inputs": inputs, "hints": hints, "outputs": outputs, "lengths": lengths });
        assert_same(&format!("{name}: {split}"), &ours, golden);
    }
}
