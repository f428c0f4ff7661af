//! Trainings and evaluations from end to end, small.

use std::path::Path;
use std::time::Duration;

use graph::Processor;
use network::{
    Checkpoints, CurvePoint, Device, DeviceArg, Dtype, EvalConfig, NetworkError, Repred, TrainConfig, Trained, Weights,
};

const HIDDEN: usize = 8;

fn device() -> Device {
    network::init(&DeviceArg::Cpu, 1).expect("the CPU is there")
}

fn seed_program() -> Processor {
    seed_program_of(HIDDEN)
}

fn seed_program_of(hidden: usize) -> Processor {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/seed_pgn.py");
    let source = std::fs::read_to_string(path).expect("the seed program is there");
    let options = program::Options { hidden, ..program::Options::default() };
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
    network::train(&seed_program(), config, device(), None, &mut |_| ())
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

/// The seed program, changed so that samples see each other: triplets less their mean over the batch.
fn mixing_program() -> Processor {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/seed_pgn.py");
    let source = std::fs::read_to_string(path).expect("the seed program is there");
    let line = "        triplets = nodes + edges + graph\n";
    assert!(source.contains(line));
    let mixed = format!("{line}        triplets = triplets - triplets.mean(dim=0, keepdim=True)\n");
    let options = program::Options { hidden: HIDDEN, ..program::Options::default() };
    program::compile(&source.replace(line, &mixed), &options).processor.expect("the program is valid")
}

#[test]
fn trainings_are_equal_to_the_bit_with_any_number_of_threads() {
    // large enough to be cut into parts, where samples do not see each other
    let config = TrainConfig { steps: 3, lengths: vec![24], batch_size: 96, val_length: 8, ..config("bellman_ford") };
    // few features are not multiplied in bfloat16
    let wide = 16;
    for (processor, hidden, dtype) in [
        (seed_program(), HIDDEN, Dtype::F32),
        (mixing_program(), HIDDEN, Dtype::F32),
        (seed_program_of(wide), wide, Dtype::Bf16),
    ] {
        let config = TrainConfig { hidden, dtype, ..config.clone() };
        let train = |threads| {
            let device = network::init(&DeviceArg::Cpu, threads).expect("the CPU is there");
            network::train(&processor, &config, device, None, &mut |_| ()).expect("trains")
        };
        let one = train(1);
        let evaluate = |threads| {
            let device = network::init(&DeviceArg::Cpu, threads).expect("the CPU is there");
            let config = EvalConfig { dtype, ..EvalConfig::validation("bellman_ford", hidden, 12, 96, 5) };
            network::evaluate(&processor, &one.weights, &config, device).expect("evaluates")
        };
        let scores = evaluate(1);
        for threads in [2, 3] {
            let other = train(threads);
            assert_eq!(other.curve, one.curve);
            // thousands of numbers: too many to print
            assert!(other.weights == one.weights, "{dtype:?}, {threads} threads");
            assert_eq!(evaluate(threads), scores);
        }
    }
}

/// Trains until `stop` steps are done, as a killed process does, and leaves its checkpoint in `path`.
fn train_half(config: &TrainConfig, path: &Path, stop: usize) {
    let checkpoints = every_step(path);
    let stopped = std::panic::catch_unwind(|| {
        let mut on_point = |point: &CurvePoint| {
            if point.step > stop {
                std::panic::panic_any("stop");
            }
        };
        network::train(&seed_program(), config, device(), Some(&checkpoints), &mut on_point)
    });
    assert!(stopped.is_err_and(|panic| panic.downcast_ref() == Some(&"stop")), "it was to be stopped");
}

fn every_step(path: &Path) -> Checkpoints {
    Checkpoints { path: path.to_owned(), every: Duration::ZERO, code: "test".to_owned(), stop: None }
}

#[test]
fn a_killed_training_goes_on_and_comes_to_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    for dtype in [Dtype::F32, Dtype::F64] {
        // permutations take noise and forced hints random numbers, so that the random stream's position counts
        let config = TrainConfig { steps: 24, hint_teacher_forcing: 0.5, dtype, ..config("insertion_sort") };
        let calm = train(&config).expect("trains");
        for stop in [1, 10, 17] {
            let path = folder.path().join(format!("{dtype:?}-{stop}.safetensors"));
            train_half(&config, &path, stop);
            let mut first = None;
            let resumed = network::train(&seed_program(), &config, device(), Some(&every_step(&path)), &mut |point| {
                first.get_or_insert(point.step);
            });
            let resumed = resumed.expect("goes on");
            assert_eq!(first, Some(stop + 1), "it began anew");
            assert_eq!(resumed.curve, calm.curve);
            assert_eq!((resumed.best_val_acc, resumed.final_loss), (calm.best_val_acc, calm.final_loss));
            assert_eq!(resumed.weights, calm.weights);
        }
    }
}

#[test]
fn checkpoints_of_other_trainings_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint.safetensors");
    let first = TrainConfig { steps: 4, ..config("dfs") };
    train_half(&first, &path, 2);
    let resume = |config: &TrainConfig, code: &str| {
        let checkpoints = Checkpoints { code: code.to_owned(), ..every_step(&path) };
        let result = network::train(&seed_program(), config, device(), Some(&checkpoints), &mut |_| ());
        result.map_err(|error| error.to_string())
    };
    let other = TrainConfig { learning_rate: 2e-2, seed: 9, ..first.clone() };
    let message = resume(&other, "test").expect_err("other settings");
    assert!(message.contains("checkpoint.safetensors") && message.contains("other learning_rate, seed"), "{message}");
    assert!(resume(&first, "newer").expect_err("other code").contains("other code"));
    std::fs::write(&path, b"half a file").expect("writes");
    assert!(resume(&first, "test").expect_err("broken").contains("checkpoint.safetensors"));
}

#[test]
fn a_flipped_bit_in_a_checkpoint_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint.safetensors");
    let config = TrainConfig { steps: 3, ..config("dfs") };
    train_half(&config, &path, 2);
    let whole = std::fs::read(&path).expect("the checkpoint");
    // The header is an eighth of the file at most; the rest are numbers.
    for at in (0..16).map(|part| part * whole.len() / 16 + 5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        std::fs::write(&path, &bytes).expect("writes");
        let result = network::train(&seed_program(), &config, device(), Some(&every_step(&path)), &mut |_| ());
        let message = result.expect_err("a training went on from what was not written").to_string();
        assert!(message.contains("checkpoint.safetensors"), "byte {at}: {message}");
    }
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

/// Takes minutes: `make test-full`.
#[test]
#[ignore = "minutes"]
fn each_algorithm_learns_in_fifty_steps() {
    let mut flat = Vec::new();
    for algorithm in clrs::algorithms() {
        let config = TrainConfig {
            lengths: vec![7],
            batch_size: 16,
            steps: 50,
            learning_rate: 3e-3,
            val_length: 5,
            val_every: 0,
            ..config(algorithm.name)
        };
        let trained = train(&config).unwrap_or_else(|error| panic!("{}: {error}", algorithm.name));
        let mean = |from: usize, to: usize| {
            trained.curve[from..to].iter().map(|point| point.loss).sum::<f64>() / (to - from) as f64
        };
        let (first, last) = (mean(0, 10), mean(40, 50));
        eprintln!("{:32} {first:8.3} -> {last:8.3}  validation {:.3}", algorithm.name, trained.best_val_acc);
        if last >= 0.97 * first {
            flat.push(format!("{}: {first:.3} -> {last:.3}", algorithm.name));
        }
    }
    assert!(flat.is_empty(), "no falling loss: {flat:?}");
}

#[test]
fn divergence_is_noticed() {
    let error = train(&TrainConfig { learning_rate: 1e30, ..config("dfs") }).expect_err("cannot stay finite");
    assert!(matches!(error, NetworkError::Diverged { step: 2..=10, .. }), "{error}");
    assert!(error.to_string().contains("NaN") || error.to_string().contains("inf"), "{error}");
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
