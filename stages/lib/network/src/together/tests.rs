//! Each network comes to what it comes to alone.

use super::*;
use crate::{Backend, Dtype};
use executor::weights::Weights;
use model::Repred;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const SEED: &str = include_str!("../../../../../data/seed_pgn.py");
const SEEDS: [u64; 3] = [3, 11, 4];

fn changed(from: &str, to: &str) -> String {
    assert!(SEED.contains(from));
    SEED.replace(from, to)
}

fn processor(source: &str) -> Processor {
    let compiled = program::compile(source, &program::Options { hidden: 8, ..program::Options::default() });
    compiled.processor.unwrap_or_else(|| panic!("{}", program::render(source, "", &compiled.diagnostics, false)))
}

fn cpu() -> Device {
    crate::init(&crate::DeviceArg::Cpu, 1).expect("the CPU is there")
}

fn config(algorithm: &str) -> TrainConfig {
    TrainConfig {
        algorithm: algorithm.to_owned(),
        hidden: 8,
        lengths: vec![4, 6],
        batch_size: 4,
        steps: 6,
        learning_rate: 1e-2,
        grad_clip: 1.0,
        seed: 0,
        hint_teacher_forcing: 0.5,
        hint_repred_mode: Repred::Soft,
        nb_msg_passing_steps: 1,
        val_length: 5,
        val_samples: 6,
        val_every: 3,
        dtype: Dtype::F64,
    }
}

fn alone(processor: &Processor, cfg: &TrainConfig, seed: u64) -> Trained {
    let cfg = TrainConfig { seed, ..cfg.clone() };
    crate::train(processor, &cfg, cpu(), None, &mut |_| {}).expect("trains")
}

fn agree(ours: &Weights, theirs: &Weights, tolerance: f64) {
    assert_eq!(ours.arrays.keys().collect::<Vec<_>>(), theirs.arrays.keys().collect::<Vec<_>>());
    for (name, array) in &ours.arrays {
        let other = &theirs.arrays[name];
        assert_eq!(array.shape, other.shape);
        let far = |(x, y): (&f64, &f64)| (x - y).abs() > tolerance * (1.0 + y.abs());
        assert!(!array.data.iter().zip(&other.data).any(far), "{name} differs");
    }
}

fn each_is_what_it_is_alone(source: &str, cfg: &TrainConfig, backend: Backend) {
    let processor = processor(source);
    let algorithm = data::find(&cfg.algorithm).expect("exists");
    let model = Model::new(&processor, &data::spec(algorithm), cfg.nb_msg_passing_steps).expect("builds");
    let trainer =
        Together::new(&model, cfg, &SEEDS, Settings { backend, ..Settings::training(cfg, cpu()) }).expect("compiles");
    let mut points = [0; 3];
    let all = trainer.run(None, &mut |at, _| points[at] += 1).expect("runs");
    assert_eq!(points, [cfg.steps; 3]);
    for (ours, seed) in all.into_iter().zip(SEEDS) {
        let (ours, theirs) = (ours.expect("trains"), alone(&processor, cfg, seed));
        agree(&ours.weights, &theirs.weights, 1e-8);
        assert_eq!(ours.best_val_acc, theirs.best_val_acc);
        for (x, y) in ours.curve.iter().zip(&theirs.curve) {
            assert_eq!((x.step, x.val_acc), (y.step, y.val_acc));
            assert!((x.loss - y.loss).abs() < 1e-9 * y.loss.abs(), "{x:?} and {y:?}");
        }
        assert_eq!(ours.curve.len(), theirs.curve.len());
    }
}

#[test]
fn networks_side_by_side_come_to_what_they_come_to_alone() {
    let line = "tri_msgs = self.o3(triplets.amax(dim=1))";
    let noisy = changed(
        line,
        "tri_msgs = self.o3((F.dropout(triplets, 0.3, self.training) * F.dropout(torch.ones(8), 0.3, self.training)).amax(dim=1))",
    );
    let triplets = "        triplets = nodes + edges + graph\n";
    let mixing =
        changed(triplets, &format!("{triplets}        triplets = triplets - triplets.mean(dim=0, keepdim=True)\n"));
    each_is_what_it_is_alone(SEED, &config("dfs"), Backend::Auto);
    each_is_what_it_is_alone(&noisy, &config("bellman_ford"), Backend::Auto);
    each_is_what_it_is_alone(&mixing, &config("insertion_sort"), Backend::Auto);
    let hard = TrainConfig { hint_repred_mode: Repred::Hard, nb_msg_passing_steps: 2, ..config("bfs") };
    each_is_what_it_is_alone(SEED, &hard, Backend::Auto);
}

#[test]
fn a_gpus_way_of_working_comes_to_the_same() {
    each_is_what_it_is_alone(SEED, &config("dfs"), Backend::Replay);
    each_is_what_it_is_alone(SEED, &config("quickselect"), Backend::Plain);
}

#[test]
fn formats_round_as_they_do_alone() {
    for (dtype, tolerance) in [(Dtype::F32, 1e-3), (Dtype::Bf16, 0.05)] {
        let cfg = TrainConfig { dtype, ..config("dfs") };
        let processor = processor(SEED);
        let all = train_together(&processor, &cfg, &SEEDS, cpu(), None, &mut |_, _| {}).expect("runs");
        for (ours, seed) in all.into_iter().zip(SEEDS) {
            let (ours, theirs) = (ours.expect("trains"), alone(&processor, &cfg, seed));
            for (x, y) in ours.curve.iter().zip(&theirs.curve) {
                assert!((x.loss - y.loss).abs() < tolerance * y.loss.abs(), "{dtype:?}: {x:?} and {y:?}");
            }
            // The first loss comes before any update: sums alone differ.
            let first = |trained: &Trained| trained.curve[0].loss;
            assert!((first(&ours) - first(&theirs)).abs() < 1e-5 * first(&theirs), "{dtype:?}");
        }
    }
}

#[test]
fn one_that_diverges_leaves_the_others_alone() {
    let processor = processor(SEED);
    let cfg = config("dfs");
    let model = Model::new(&processor, &data::spec(data::find("dfs").expect("exists")), 1).expect("builds");
    let trainer = Together::new(&model, &cfg, &SEEDS, Settings::training(&cfg, cpu())).expect("compiles");
    let places = trainer.parameters.places(3);
    let first = i64::try_from(places[places.len() / 3]).expect("fits");
    let _ = trainer.parameters.flat.narrow(0, first, 1).fill_(f64::NAN);
    let mut all = trainer.run(None, &mut |_, _| {}).expect("runs");
    let error = all.remove(1).expect_err("it cannot be trained");
    assert!(matches!(error, NetworkError::Diverged { step: 1, .. }), "{error}");
    for (ours, seed) in all.into_iter().zip([SEEDS[0], SEEDS[2]]) {
        agree(&ours.expect("trains").weights, &alone(&processor, &cfg, seed).weights, 1e-8);
    }
}

static STOP: AtomicBool = AtomicBool::new(false);

#[test]
fn a_stopped_training_goes_on_and_comes_to_the_same_to_the_bit() {
    let processor = processor(SEED);
    let cfg = TrainConfig { dtype: Dtype::F32, ..config("dfs") };
    let whole = train_together(&processor, &cfg, &SEEDS, cpu(), None, &mut |_, _| {}).expect("runs");
    let folder = tempfile::tempdir().expect("a folder");
    let to = Checkpoints {
        path: folder.path().join("checkpoint.safetensors"),
        every: Duration::ZERO,
        code: "this".to_owned(),
        stop: Some(&STOP),
    };
    let mut stop = |at: usize, point: &CurvePoint| {
        if (at, point.step) == (2, 4) {
            STOP.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    };
    let stopped = train_together(&processor, &cfg, &SEEDS, cpu(), Some(&to), &mut stop).expect_err("stops");
    assert!(matches!(stopped, NetworkError::Stopped { step: 4 }), "{stopped}");
    STOP.store(false, std::sync::atomic::Ordering::SeqCst);
    // A set that was half written is not taken: the one before is.
    std::fs::write(folder.path().join("checkpoint.1.0.safetensors"), b"torn").expect("written");
    let mut seen = Vec::new();
    let rest = train_together(&processor, &cfg, &SEEDS, cpu(), Some(&to), &mut |at, point| {
        if at == 0 {
            seen.push(point.step);
        }
    })
    .expect("goes on");
    assert_eq!(seen, [4, 5, 6]);
    for (one, other) in whole.into_iter().zip(rest) {
        let (one, other) = (one.expect("trains"), other.expect("trains"));
        assert_eq!((one.weights, one.curve), (other.weights, other.curve));
    }
}

#[test]
fn running_statistics_are_left_to_trainings_alone() {
    let source = include_str!("../../../../../tests/fixtures/programs/further/batch_norm.py");
    let processor = processor(source);
    assert!(!can_train_together(&processor));
    let error = train_together(&processor, &config("dfs"), &SEEDS, cpu(), None, &mut |_, _| {});
    let error = error.expect_err("these are of one network").to_string();
    assert!(error.contains("running statistics"), "{error}");
    let cfg = TrainConfig { steps: 1, ..config("dfs") };
    let one = train_together(&processor, &cfg, &SEEDS[..1], cpu(), None, &mut |_, _| {}).expect("runs");
    assert_eq!(one.len(), 1);
}
