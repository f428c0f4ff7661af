//! Programs that compute something else in training than in evaluation: dropout and other noise, batch normalisation.

use std::path::Path;
use std::time::Duration;

use graph::Processor;
use network::diagnose::{LesionConfig, Replacement};
use network::{
    Checkpoints, CurvePoint, Device, DeviceArg, DiagnoseConfig, Dtype, EvalConfig, Repred, TrainConfig, Trained,
};

const HIDDEN: usize = 8;
const PROGRAMS: [&str; 5] = ["dropout", "drop_path", "batch_norm", "noise", "channel_dropout"];

fn device(threads: usize) -> Device {
    network::init(&DeviceArg::Cpu, threads).expect("the CPU is there")
}

fn source(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/programs/further");
    std::fs::read_to_string(path.join(name).with_extension("py")).expect("the program is there")
}

fn compile(source: &str) -> Processor {
    let options = program::Options { hidden: HIDDEN, ..program::Options::default() };
    let compiled = program::compile(source, &options);
    compiled.processor.unwrap_or_else(|| panic!("{}", program::render(source, "", &compiled.diagnostics, false)))
}

fn config() -> TrainConfig {
    TrainConfig {
        algorithm: "bellman_ford".to_owned(),
        hidden: HIDDEN,
        lengths: vec![5, 6],
        batch_size: 8,
        steps: 6,
        learning_rate: 1e-2,
        grad_clip: 1.0,
        seed: 3,
        hint_teacher_forcing: 0.0,
        hint_repred_mode: Repred::Soft,
        nb_msg_passing_steps: 1,
        val_length: 4,
        val_samples: 8,
        val_every: 2,
        dtype: Dtype::F32,
    }
}

fn train(processor: &Processor, config: &TrainConfig, threads: usize) -> Trained {
    network::train(processor, config, device(threads), None, &mut |_| ()).expect("trains")
}

#[test]
fn noise_is_the_same_with_any_number_of_threads_and_another_for_another_seed() {
    // large enough to be cut into parts, where samples do not see each other
    let config = TrainConfig { steps: 2, lengths: vec![20], batch_size: 96, val_every: 0, ..config() };
    for name in PROGRAMS {
        let processor = compile(&source(name));
        assert!(processor.training.is_some(), "{name}: training is evaluation");
        let one = train(&processor, &config, 1);
        for threads in [2, 3] {
            let other = train(&processor, &config, threads);
            assert_eq!(other.curve, one.curve, "{name}: {threads} threads");
            assert!(other.weights == one.weights, "{name}: {threads} threads");
        }
        let score = |batch_size| {
            let config = EvalConfig { batch_size, ..EvalConfig::validation("bellman_ford", HIDDEN, 7, 10, 1) };
            network::evaluate(&processor, &one.weights, &config, device(1)).expect("evaluates")
        };
        assert_eq!(score(10), score(3), "{name}: evaluation is one of single samples");
    }
    // the same start and the same data: noise alone makes the difference
    let (loud, quiet) = (source("dropout"), source("dropout").replace("0.1)", "0.0)"));
    let [loud, quiet] = [loud, quiet].map(|source| train(&compile(&source), &config, 1));
    assert_ne!(loud.curve[0], quiet.curve[0]);
}

#[test]
fn a_killed_training_with_noise_and_statistics_goes_on_and_comes_to_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["dropout", "batch_norm"] {
        let processor = compile(&source(name));
        let config = TrainConfig { nb_msg_passing_steps: 2, ..config() };
        let calm = train(&processor, &config, 1);
        let path = folder.path().join(name);
        let checkpoints = Checkpoints { path, every: Duration::ZERO, code: "test".to_owned(), stop: None };
        let stopped = std::panic::catch_unwind(|| {
            let mut on_point = |point: &CurvePoint| {
                if point.step > 3 {
                    std::panic::panic_any("stop");
                }
            };
            network::train(&processor, &config, device(1), Some(&checkpoints), &mut on_point)
        });
        assert!(stopped.is_err_and(|panic| panic.downcast_ref() == Some(&"stop")), "it was to be stopped");
        let mut first = None;
        let resumed = network::train(&processor, &config, device(1), Some(&checkpoints), &mut |point| {
            first.get_or_insert(point.step);
        });
        let resumed = resumed.expect("goes on");
        assert_eq!(first, Some(4), "it began anew");
        assert_eq!(resumed.curve, calm.curve, "{name}");
        assert!(resumed.weights == calm.weights, "{name}");
    }
}

#[test]
fn running_statistics_are_saved_by_pytorchs_names_and_make_evaluation() {
    let processor = compile(&source("batch_norm"));
    let config = TrainConfig { val_every: 0, ..config() };
    let trained = train(&processor, &config, 1);
    let get = |name: &str| trained.weights.arrays.get(&format!("processor.{name}")).expect("is saved");
    // every time step of every batch counts; the layer is applied twice
    let calls = get("bn2.num_batches_tracked").data[0];
    assert!(calls >= 6.0 && calls.fract() == 0.0, "{calls}");
    assert_eq!(get("bn.num_batches_tracked").data[0], 2.0 * calls);
    for name in ["bn.running_mean", "bn2.running_mean", "bn3.running_mean", "mean"] {
        assert!(get(name).data.iter().any(|x| *x != 0.0), "{name}");
    }
    for name in ["bn.running_var", "bn2.running_var", "bn3.running_var", "var"] {
        assert!(get(name).data.iter().any(|x| *x != 1.0) && get(name).data.iter().all(|x| *x > 0.0), "{name}");
    }
    let score = |weights| {
        let config = EvalConfig::validation("bellman_ford", HIDDEN, 7, 32, 1);
        network::evaluate(&processor, weights, &config, device(1)).expect("evaluates")
    };
    let mut other = trained.weights.clone();
    let mean = other.arrays.get_mut("processor.bn.running_mean").expect("is saved");
    mean.data.iter_mut().enumerate().for_each(|(at, x)| *x += if at % 2 == 0 { 9.0 } else { -9.0 });
    assert_ne!(score(&trained.weights), score(&other));
}

#[test]
fn programs_with_modes_can_be_diagnosed_and_applied_twice() {
    for name in PROGRAMS {
        let processor = compile(&source(name));
        let config = TrainConfig { steps: 2, val_every: 0, nb_msg_passing_steps: 2, ..config() };
        let trained = train(&processor, &config, 1);
        let evaluation =
            EvalConfig { nb_msg_passing_steps: 2, ..EvalConfig::validation("bellman_ford", HIDDEN, 5, 4, 1) };
        let lesions = LesionConfig { evaluation: evaluation.clone(), by: Replacement::Mean, most_runs: 100 };
        let config = DiagnoseConfig { evaluations: vec![evaluation], lesions: Some(lesions) };
        let facts = network::diagnose(&processor, &trained.weights, &config, device(1)).expect("diagnoses");
        assert!(facts.len() > 10, "{name}: {}", facts.len());
    }
}

/// Every snippet of code that is accepted trains: nothing that `check` lets through fails, whatever it is.
#[test]
fn what_is_accepted_trains_a_step() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let seed = std::fs::read_to_string(here.join("data/seed_pgn.py")).expect("is there");
    let snippets = std::fs::read_to_string(here.join("tests/fixtures/programs/snippets.json")).expect("is there");
    let snippets: Vec<serde_json::Value> = serde_json::from_str(&snippets).expect("is JSON");
    let begin = "# ===== BEGIN ACTION REGION =====\n";
    let start = seed.find(begin).expect("has a region") + begin.len();
    let end = seed.find("# ===== END ACTION REGION =====").expect("has a region");
    let stop = seed[..end].rfind('\n').expect("has lines") + 1;
    let config = TrainConfig { steps: 1, lengths: vec![4], batch_size: 2, val_samples: 1, val_every: 0, ..config() };
    let config = TrainConfig { hidden: 16, algorithm: "bfs".to_owned(), ..config };
    let (mut trained, mut wrong) = (0, Vec::new());
    for row in &snippets {
        let mut code = row["code"].as_str().expect("is text").to_owned();
        if !code.contains("tri_msgs") {
            code.push_str("\ntri_msgs = self.o3(self.t_e_1(edge_fts))");
        }
        let compiled = |code: &str| {
            let indented: String = code.lines().map(|line| format!("        {line}\n")).collect();
            let source = format!("{}{indented}{}", &seed[..start], &seed[stop..]);
            program::compile(&source, &program::Options { hidden: 16, ..program::Options::default() }).processor
        };
        // what the piece computes as `y` is to count, where it can
        let counted = compiled(&format!("{code}\ntri_msgs = tri_msgs + 0.01 * y.float().tanh().sum()"));
        let Some(processor) = counted.or_else(|| compiled(&code)) else { continue };
        match network::train(&processor, &config, device(1), None, &mut |_| ()) {
            // numbers that are none are the program's own
            Ok(_) | Err(network::NetworkError::Diverged { .. }) => trained += 1,
            Err(error) => wrong.push(format!("{code}\n{error}")),
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(trained > 400, "{trained}");
}
