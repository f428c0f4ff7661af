//! Trainings and evaluations from end to end, small.

use std::path::Path;

use graph::Processor;
use network::{Device, DeviceArg, Dtype, EvalConfig, NetworkError, Repred, TrainConfig, Trained, Weights};

const HIDDEN: usize = 8;

fn device() -> Device {
    network::init(&DeviceArg::Cpu, 1).expect("the CPU is there")
}

fn seed_program() -> Processor {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/seed_pgn.py");
    let source = std::fs::read_to_string(path).expect("the seed program is there");
    let options = program::Options { hidden: HIDDEN, ..program::Options::default() };
    program::compile(&source, &options).processor.expect("the seed program is valid")
}

fn config(algorithm: &str) -> TrainConfig {
    TrainConfig {
        algorithm: algorithm.to_owned(),
        hidden: HIDDEN,
        lengths: vec![4, 5],
        batch_size: 8,
        steps: 40,
        learning_rate: 1e-2,
        grad_clip: 1.0,
        seed: 3,
        hint_teacher_forcing: 0.0,
        hint_repred_mode: Repred::Soft,
        nb_msg_passing_steps: 1,
        val_length: 4,
        val_samples: 8,
        val_every: 10,
        dtype: Dtype::F32,
    }
}

fn train(config: &TrainConfig) -> Result<Trained, NetworkError> {
    network::train(&seed_program(), config, device(), &mut |_| ())
}

#[test]
fn training_learns_and_repeats_itself() {
    let (one, two) = (train(&config("dfs")).expect("trains"), train(&config("dfs")).expect("trains"));
    assert_eq!(one.curve, two.curve);
    assert_eq!(one.weights, two.weights);
    assert_eq!(one.curve.len(), 40);
    assert_eq!(one.curve.iter().filter(|point| point.val_acc.is_some()).count(), 4);
    let best = one.curve.iter().filter_map(|point| point.val_acc).fold(0.0, f64::max);
    assert_eq!(one.best_val_acc, best);
    let mean =
        |points: &[network::CurvePoint]| points.iter().map(|point| point.loss).sum::<f64>() / points.len() as f64;
    let (first, last) = (mean(&one.curve[..5]), mean(&one.curve[35..]));
    assert!(last < 0.9 * first, "{first} -> {last}");

    let other = train(&TrainConfig { seed: 4, ..config("dfs") }).expect("trains");
    assert_ne!(one.curve, other.curve);
}

#[test]
fn saved_weights_score_as_before_whatever_the_batches() {
    let trained = train(&TrainConfig { steps: 10, ..config("dfs") }).expect("trains");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weights.safetensors");
    trained.weights.save(&path).expect("saves");
    let weights = Weights::load(&path).expect("loads");
    assert_eq!(weights, trained.weights);
    let score = |weights: &Weights, batch_size| {
        let config = EvalConfig { batch_size, ..EvalConfig::validation("dfs", HIDDEN, 7, 10, 1) };
        network::evaluate(&seed_program(), weights, &config, device()).expect("evaluates")
    };
    let whole = score(&trained.weights, 10);
    assert_eq!(whole, score(&weights, 3));
    assert!((0.0..=1.0).contains(&whole.score), "{whole:?}");

    let mut broken = weights.clone();
    broken.arrays.remove("processor.m_1.weight");
    let config = EvalConfig::validation("dfs", HIDDEN, 7, 10, 1);
    let error = network::evaluate(&seed_program(), &broken, &config, device()).expect_err("a tensor is missing");
    assert!(error.to_string().contains("processor.m_1.weight"), "{error}");
}

#[test]
fn every_kind_of_data_trains() {
    // permutations with noise, edge pointers, edge classes, hints of all locations, forced hints
    for algorithm in ["insertion_sort", "floyd_warshall", "lcs_length", "graham_scan"] {
        let config = TrainConfig { steps: 2, hint_teacher_forcing: 0.5, val_every: 0, ..config(algorithm) };
        let trained = train(&config).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert!(trained.final_loss.is_finite() && trained.best_val_acc.is_finite(), "{algorithm}: {trained:?}");
    }
}

#[test]
fn divergence_is_noticed() {
    let error = train(&TrainConfig { learning_rate: 1e30, ..config("dfs") }).expect_err("cannot stay finite");
    assert!(matches!(error, NetworkError::Diverged { step: 2..=10, .. }), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for wrong in [
        TrainConfig { hidden: 9, ..config("dfs") },
        TrainConfig { lengths: vec![], ..config("dfs") },
        TrainConfig { batch_size: 0, ..config("dfs") },
        TrainConfig { hint_teacher_forcing: 1.5, ..config("dfs") },
        TrainConfig { nb_msg_passing_steps: 0, ..config("dfs") },
        TrainConfig { algorithm: "bogo_sort".to_owned(), ..config("dfs") },
    ] {
        assert!(train(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_step_can_be_read() {
    let text = network::explain(&seed_program(), "dfs", 1).expect("explains");
    assert!(text.contains("as built") && text.contains("as run"), "{text}");
    assert!(text.contains("max_plus"), "{text}");
}
