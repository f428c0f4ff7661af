//! Batches made ahead are the batches that would have been made.

use clrs::{Batch, ClrsError, Loader, Pipeline, PipelineConfig, find_algorithm};

fn configs(name: &str) -> Vec<PipelineConfig> {
    let algorithm = find_algorithm(name).unwrap();
    let config = |(i, length): (u32, usize)| PipelineConfig::training(algorithm, length, 3, 100 + i, 200 + i);
    (0..).zip([4, 7, 5, 6]).map(config).collect()
}

fn in_turn(configs: Vec<PipelineConfig>, rounds: usize) -> Vec<Batch> {
    let mut pipelines: Vec<Pipeline> = configs.into_iter().map(|config| Pipeline::new(config).unwrap()).collect();
    (0..rounds).flat_map(|_| pipelines.iter_mut().map(|p| p.next().unwrap()).collect::<Vec<_>>()).collect()
}

#[test]
fn batches_do_not_depend_on_threads_or_on_how_far_ahead_they_are_made() {
    let expected = in_turn(configs("insertion_sort"), 5);
    for (threads, ahead) in [(1, 1), (1, 4), (2, 1), (3, 2), (4, 8), (64, 1)] {
        let mut loader = Loader::new(configs("insertion_sort"), threads, ahead).unwrap();
        for (i, batch) in expected.iter().enumerate() {
            assert!(loader.next().unwrap() == *batch, "batch {i} with {threads} threads, {ahead} ahead");
        }
    }
}

#[test]
fn spec_is_that_of_the_pipelines() {
    let loader = Loader::new(configs("bubble_sort"), 2, 1).unwrap();
    let pipeline = Pipeline::new(configs("bubble_sort").remove(0)).unwrap();
    assert_eq!(loader.spec(), pipeline.spec());
    assert!(loader.spec().iter().any(|entry| entry.name == "pred_mask"));
}

#[test]
fn dropping_a_loader_ends_its_threads() {
    // The threads wait at full queues at that moment; a hang here is the failure.
    drop(Loader::new(configs("dfs"), 4, 1).unwrap());
}

#[test]
fn nothing_to_load_and_impossible_lengths_are_errors() {
    assert!(matches!(Loader::new(vec![], 1, 1), Err(ClrsError::LoaderStopped(_))));
    let mut impossible = configs("dfs");
    impossible[1].sampler.length = 1;
    assert!(matches!(Loader::new(impossible, 1, 1), Err(ClrsError::LengthTooShort { length: 1, .. })));
}
