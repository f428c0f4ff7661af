//! Samplers: sizes, padding, and what they refuse.

use clrs::{
    ClrsError, Pipeline, PipelineConfig, Sampler, SamplerArgs, SamplerConfig, Split, algorithm, algorithms, digest,
    digests, find_algorithm,
};

fn config(length: usize) -> SamplerConfig {
    SamplerConfig { track_max_steps: false, ..SamplerConfig::on_the_fly(7, length) }
}

fn refused(name: &str, config: SamplerConfig) -> String {
    Sampler::new(algorithm(name).unwrap(), config).err().expect("an error").to_string()
}

#[test]
fn padding_never_shrinks_and_grows_to_the_longest_run() {
    let sort = algorithm("quicksort").unwrap();
    let mut sampler = Sampler::new(sort, SamplerConfig::on_the_fly(3, 16)).unwrap();
    let mut longest = sampler.steps();
    let mut grown = 0;
    for _ in 0..200 {
        let batch = sampler.next(8).unwrap();
        let own = batch.lengths.iter().copied().max().unwrap();
        grown += usize::from(own > longest);
        longest = longest.max(own);
        assert_eq!(batch.steps(), longest);
        assert_eq!(sampler.steps(), longest);
    }
    assert!(grown > 0, "1,600 runs should hold one longer than 1,000 did");
}

#[test]
fn without_tracking_each_batch_is_as_long_as_its_longest_run() {
    let mut sampler = Sampler::new(algorithm("quicksort").unwrap(), config(9)).unwrap();
    let steps: Vec<usize> = (0..20)
        .map(|_| {
            let batch = sampler.next(2).unwrap();
            assert_eq!(Some(batch.steps()), batch.lengths.iter().copied().max());
            batch.steps()
        })
        .collect();
    assert!(!steps.is_sorted(), "{steps:?}");
}

#[test]
fn datasets_hand_out_their_own_samples() {
    let config = SamplerConfig { num_samples: Some(5), ..config(6) };
    let mut sampler = Sampler::new(algorithm("bfs").unwrap(), config).unwrap();
    let all = sampler.dataset().unwrap().to_batch();
    let rows = |data: &[f64]| data.chunks_exact(data.len() / 5).map(<[f64]>::to_vec).collect::<Vec<_>>();
    let known = rows(&all.inputs[2].data);
    for _ in 0..10 {
        let batch = sampler.next(5).unwrap();
        assert_eq!(batch.steps(), all.steps());
        assert!(rows(&batch.inputs[2].data).iter().all(|graph| known.contains(graph)));
    }
    assert_eq!(sampler.next(6).unwrap_err().to_string(), "a batch of 6 is larger than the dataset of 5");
}

#[test]
fn parts_of_a_dataset_are_all_of_it() {
    let config = || PipelineConfig {
        sampler: SamplerConfig { num_samples: Some(7), ..config(6) },
        ..PipelineConfig::training(algorithm("heapsort").unwrap(), 6, 1, 0, 9)
    };
    let all = Pipeline::new(config()).unwrap().all().unwrap();
    let mut pipeline = Pipeline::new(config()).unwrap();
    let parts: Vec<_> = pipeline.parts(3).unwrap().map(Result::unwrap).collect();
    assert_eq!(parts.iter().map(clrs::Batch::size).collect::<Vec<_>>(), [3, 3, 1]);
    for part in &parts {
        assert_eq!(Some(part.steps()), part.lengths.iter().copied().max());
    }
    let joined = |points: fn(&clrs::Batch) -> &[clrs::DataPoint], i: usize| -> Vec<f64> {
        parts.iter().flat_map(|part| points(part)[i].data.clone()).collect()
    };
    for (i, point) in all.inputs.iter().enumerate() {
        assert_eq!(joined(|part| &part.inputs, i), point.data, "{}", point.name);
    }
    for (i, point) in all.outputs.iter().enumerate() {
        assert_eq!(joined(|part| &part.outputs, i), point.data, "{}", point.name);
    }
    let last = parts.last().unwrap();
    let (whole, alone) = (&all.hints[1], &last.hints[1]);
    for step in 0..last.steps() {
        assert_eq!(alone.data[step * 6..][..6], whole.data[(step * 7 + 6) * 6..][..6]);
    }
    let endless = PipelineConfig::training(algorithm("heapsort").unwrap(), 6, 1, 0, 9);
    assert_eq!(Pipeline::new(endless).unwrap().parts(3).err(), Some(ClrsError::Endless));
}

#[test]
fn digests_without_tensors_are_those_of_the_tensors() {
    for name in ["lcs_length", "bridges", "quickselect", "segments_intersect"] {
        let config = SamplerConfig { num_samples: Some(4), ..config(6) };
        let sampler = Sampler::new(algorithm(name).unwrap(), config).unwrap();
        let dataset = sampler.dataset().unwrap();
        let batch = dataset.to_batch();
        let points: Vec<_> = batch.inputs.iter().chain(&batch.outputs).chain(&batch.hints).collect();
        let lean = digests(dataset);
        assert_eq!(points.len(), lean.len());
        for (point, (described, fingerprint)) in points.into_iter().zip(lean) {
            assert_eq!((point.name, &point.shape, point.dtype), (described.name, &described.shape, described.dtype));
            assert_eq!(digest(&point.data), fingerprint, "{name}: {}", point.name);
        }
    }
}

#[test]
fn lengths_that_do_not_exist_are_refused() {
    for algorithm in algorithms() {
        assert!(Sampler::new(algorithm, config(0)).is_err(), "{}", algorithm.name);
        assert!(Sampler::new(algorithm, config(usize::MAX)).is_err(), "{}", algorithm.name);
    }
    assert_eq!(refused("dfs", config(1)), "dfs needs a length of at least 2, got 1");
    assert_eq!(
        refused("strongly_connected_components", config(3)),
        "strongly_connected_components needs a length of at least 4 (one node for each of the four communities), got 3"
    );
    assert_eq!(
        refused("kmp_matcher", config(2)),
        "kmp_matcher needs a length of at least 3 (a needle and a longer haystack), got 2"
    );
    let training = SamplerArgs::training(algorithm("kmp_matcher").unwrap());
    assert!(refused("kmp_matcher", SamplerConfig { args: training.clone(), ..config(16) }).contains("at least 17"));
    assert!(Sampler::new(algorithm("kmp_matcher").unwrap(), SamplerConfig { args: training, ..config(17) }).is_ok());
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let with_p =
        |p: &[f64]| SamplerConfig { args: SamplerArgs { p: Some(p.to_vec()), ..SamplerArgs::default() }, ..config(5) };
    for p in [&[][..], &[1.5], &[0.5, -0.1], &[f64::NAN]] {
        assert!(refused("bfs", with_p(p)).starts_with("edge probabilities"), "{p:?}");
        assert!(Sampler::new(algorithm("minimum").unwrap(), with_p(p)).is_ok(), "it has no edges");
    }
    let needle = |length| SamplerArgs { length_needle: Some(length), ..SamplerArgs::default() };
    for length in [0, 10, -10, i64::MIN, i64::MAX] {
        let config = SamplerConfig { args: needle(length), ..config(12) };
        assert!(Sampler::new(algorithm("kmp_matcher").unwrap(), config).is_err(), "{length}");
    }
    let dfs = algorithm("dfs").unwrap();
    assert_eq!(Sampler::new(dfs, config(5)).unwrap().next(0).unwrap_err(), ClrsError::EmptyBatch);
    assert_eq!(
        refused("dfs", SamplerConfig { num_samples: Some(0), ..config(5) }),
        ClrsError::EmptyDataset.to_string()
    );
    assert_eq!(Sampler::new(dfs, config(5)).unwrap().dataset().unwrap_err(), ClrsError::Endless);
    let empty = PipelineConfig::training(dfs, 5, 0, 0, 0);
    assert_eq!(Pipeline::new(empty).err(), Some(ClrsError::EmptyBatch));
}

#[test]
fn least_lengths_work() {
    for algorithm in algorithms() {
        let least = (1..).find(|&length| config(length).validate(algorithm).is_ok()).unwrap();
        let batch = Sampler::new(algorithm, config(least)).unwrap().next(20).unwrap();
        assert!(batch.steps() >= 1 && batch.nodes() >= 2, "{} at length {least}", algorithm.name);
    }
}

#[test]
fn names_that_are_nearly_right_are_understood() {
    let nearest = |name: &str| match find_algorithm(name) {
        Err(ClrsError::UnknownAlgorithm { nearest, .. }) => nearest,
        found => panic!("{name}: {found:?}"),
    };
    assert_eq!(nearest("dsf"), Some("dfs"));
    assert_eq!(nearest("Bellman-Ford"), Some("bellman_ford"));
    assert_eq!(nearest("kadane"), Some("find_maximum_subarray_kadane"));
    assert_eq!(nearest("quicksrot"), Some("quicksort"));
    assert_eq!(nearest("simulated_annealing"), None);
    let error = find_algorithm("dsf").unwrap_err().to_string();
    assert_eq!(error, "unknown algorithm 'dsf'; did you mean 'dfs'?");
}

#[test]
fn splits_are_the_benchmarks() {
    let [few, many] = ["dfs", "minimum"].map(|name| algorithm(name).unwrap());
    assert_eq!((Split::Train.seed(), Split::Train.length(), Split::Train.samples(many)), (1, 16, 1000));
    assert_eq!((Split::Val.seed(), Split::Val.length(), Split::Val.samples(few)), (2, 16, 32));
    assert_eq!((Split::Test.seed(), Split::Test.length(), Split::Test.samples(many)), (3, 64, 2048));
    assert_eq!("test".parse(), Ok(Split::Test));
    assert!("tset".parse::<Split>().is_err());
}
