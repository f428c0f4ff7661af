//! Diagnoses of the seed program after a short training.

use std::path::Path;
use std::sync::OnceLock;

use graph::Processor;
use network::diagnose::{LesionConfig, Measure, Mode, Replacement};
use network::{
    Device, DeviceArg, DiagnoseConfig, Dtype, EvalConfig, Fact, Repred, TrainConfig, Weights, diagnose, evaluate,
};

const HIDDEN: usize = 16;
/// pi_h, color, d, f, s_prev, s, u, v, s_last, time
const DFS_HINTS: usize = 10;

fn device() -> Device {
    network::init(&DeviceArg::Cpu, 1).expect("the CPU is there")
}

fn source() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/seed_pgn.py");
    std::fs::read_to_string(path).expect("the seed program is there")
}

fn compile(source: &str) -> Processor {
    let options = program::Options { hidden: HIDDEN, ..program::Options::default() };
    let compiled = program::compile(source, &options);
    compiled.processor.unwrap_or_else(|| panic!("{}", program::render(source, "", &compiled.diagnostics, false)))
}

fn trained(processor: &Processor, algorithm: &str, steps: usize) -> Weights {
    let config = TrainConfig {
        algorithm: algorithm.to_owned(),
        hidden: HIDDEN,
        lengths: vec![4, 5],
        batch_size: 16,
        steps,
        learning_rate: 1e-2,
        grad_clip: 1.0,
        seed: 3,
        hint_teacher_forcing: 0.0,
        hint_repred_mode: Repred::Soft,
        nb_msg_passing_steps: 1,
        val_length: 5,
        val_samples: 16,
        val_every: 20,
        dtype: Dtype::F32,
    };
    network::train(processor, &config, device(), None, &mut |_| ()).expect("trains").weights
}

/// The seed program, trained on DFS.
fn seed_program() -> &'static (Processor, Weights) {
    static TRAINED: OnceLock<(Processor, Weights)> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let processor = compile(&source());
        let weights = trained(&processor, "dfs", 80);
        (processor, weights)
    })
}

fn evaluation(algorithm: &str, length: usize, samples: usize) -> EvalConfig {
    EvalConfig { batch_size: 5, ..EvalConfig::validation(algorithm, HIDDEN, length, samples, 11) }
}

fn lesions(algorithm: &str, by: Replacement) -> DiagnoseConfig {
    let lesions = LesionConfig { evaluation: evaluation(algorithm, 6, 8), by, most_runs: 1000 };
    DiagnoseConfig { evaluations: Vec::new(), lesions: Some(lesions) }
}

fn of(facts: &[Fact], measure: Measure, mode: Mode) -> Vec<&Fact> {
    facts.iter().filter(|fact| (fact.measure, fact.mode) == (measure, mode)).collect()
}

/// Facts of the lesion of one subject.
fn lesion<'a>(facts: &'a [Fact], mode: Mode, subject: &str) -> Vec<&'a Fact> {
    let found = of(facts, Measure::Lesion, mode).into_iter();
    found.filter(|fact| fact.subject.as_ref().is_some_and(|of| of.name == subject)).collect()
}

#[test]
fn sums_are_those_of_the_score_to_the_bit() {
    let (processor, weights) = seed_program();
    for length in [5, 8] {
        let config = evaluation("dfs", length, 12);
        let scores = evaluate(processor, weights, &config, device()).expect("evaluates");
        let config = DiagnoseConfig { evaluations: vec![config], lesions: None };
        let facts = diagnose(processor, weights, &config, device()).expect("diagnoses");
        let score = of(&facts, Measure::Score, Mode::Free);
        assert_eq!(score.iter().map(|fact| fact.value).collect::<Vec<_>>(), [scores.score]);
        let outputs = of(&facts, Measure::Output, Mode::Free);
        assert_eq!(outputs.len(), scores.tallies.len());
        for (fact, tally) in outputs.iter().zip(&scores.tallies) {
            let sums = (tally.correct.iter().sum::<f64>(), tally.total.iter().sum::<f64>());
            assert_eq!((fact.correct, fact.total), sums);
        }
        for mode in Mode::ALL {
            let hints = of(&facts, Measure::Hint, mode);
            assert_eq!(hints.len(), DFS_HINTS);
            for hint in &hints {
                let steps = of(&facts, Measure::Step, mode).into_iter().filter(|step| step.probe == hint.probe);
                let (correct, total) = steps.fold((0.0, 0.0), |(c, t), step| (c + step.correct, t + step.total));
                assert_eq!((correct, total), (hint.correct, hint.total), "{:?}", hint.probe);
            }
            let confused: f64 = of(&facts, Measure::Confusion, mode).iter().map(|fact| fact.correct).sum();
            let colour = hints.iter().find(|hint| hint.probe.as_deref() == Some("color")).expect("a hint");
            assert_eq!(confused, colour.total);
            let right = of(&facts, Measure::Confusion, mode).into_iter();
            let right = right.filter(|fact| fact.classes.is_some_and(|(truth, predicted)| truth == predicted));
            assert_eq!(right.map(|fact| fact.correct).sum::<f64>(), colour.correct);
            let first: f64 = of(&facts, Measure::FirstWrong, mode).iter().map(|fact| fact.correct).sum();
            assert!((first - 12.0).abs() < 1e-9, "{first} samples");
        }
    }
}

#[test]
fn the_triplet_channel_moves_pointers_and_nothing_else_while_hints_are_true() {
    let (processor, weights) = seed_program();
    let facts = diagnose(processor, weights, &lesions("dfs", Replacement::Mean), device()).expect("diagnoses");
    let forced = lesion(&facts, Mode::Forced, "tri_msgs");
    assert!(!forced.is_empty());
    let mut moved = 0.0;
    for fact in forced.iter().filter(|fact| fact.probe.is_some()) {
        let loss = fact.loss.expect("a lesion has a loss");
        match fact.probe_type.as_deref() {
            Some("pointer") => moved += loss.abs(),
            _ => assert_eq!(loss, 0.0, "{fact:?}"),
        }
    }
    assert!(moved > 0.01, "the pointers do not move: {forced:?}");
    // What reaches the triplets alone does no more.
    for fact in lesion(&facts, Mode::Forced, "o3").iter().filter(|fact| fact.probe_type.as_deref() != Some("pointer")) {
        assert!(fact.probe.is_none() || fact.loss == Some(0.0), "{fact:?}");
    }
    // The hidden state is what the rest is read from.
    let ret = lesion(&facts, Mode::Forced, "ret");
    assert!(
        ret.iter().any(|fact| fact.probe_type.as_deref() == Some("mask_one") && fact.loss.is_some_and(|x| x > 0.05))
    );
    // The complete graph is what this program sees anyway.
    assert!(Mode::ALL.into_iter().all(|mode| lesion(&facts, mode, "adj_mat").iter().all(|f| f.loss == Some(0.0))));
}

#[test]
fn an_operator_without_effect_loses_nothing_to_the_bit() {
    let operators = "            self.o3 = nn.Linear(width, size)\n";
    let call = "        graph = self.t_g(graph_fts)[:, None, None, None, :]\n";
    let source = source();
    assert!(source.contains(operators) && source.contains(call));
    let made = format!(
        "{operators}            self.t_zero = nn.Linear(z_size, width)\n            self.t_unused = nn.Linear(z_size, width)\n"
    );
    let called = format!(
        "{call}        graph = graph + 0.0 * self.t_zero(z)[:, None, None, :, :]\n        unused = self.t_unused(z)\n"
    );
    let processor = compile(&source.replace(operators, &made).replace(call, &called));
    let weights = trained(&processor, "dfs", 4);
    for by in [Replacement::Mean, Replacement::Zero] {
        let facts = diagnose(&processor, &weights, &lesions("dfs", by), device()).expect("diagnoses");
        for mode in Mode::ALL {
            for name in ["t_zero", "t_unused"] {
                let dead = lesion(&facts, mode, name);
                assert_eq!(dead.len(), 2 + DFS_HINTS, "the score, an output and the hints");
                assert!(dead.iter().all(|fact| fact.loss == Some(0.0)), "{name}: {dead:?}");
            }
            assert!(lesion(&facts, mode, "m_1").iter().any(|fact| fact.loss != Some(0.0)));
        }
    }
}

#[test]
fn diagnoses_repeat_themselves_on_any_number_of_threads() {
    let (processor, weights) = seed_program();
    let config = DiagnoseConfig { evaluations: vec![evaluation("dfs", 24, 6)], ..lesions("dfs", Replacement::Mean) };
    let device = device();
    let one = diagnose(processor, weights, &config, device).expect("diagnoses");
    tch_threads(2);
    let two = diagnose(processor, weights, &config, device).expect("diagnoses");
    tch_threads(1);
    assert!(one == two);
}

fn tch_threads(threads: usize) {
    network::init(&DeviceArg::Cpu, threads).expect("the CPU is there");
}

#[test]
fn every_algorithm_can_be_diagnosed() {
    let processor = compile(&source());
    for algorithm in clrs::algorithms() {
        let weights = trained(&processor, algorithm.name, 1);
        let evaluations = vec![evaluation(algorithm.name, 6, 3)];
        let lesions =
            LesionConfig { evaluation: evaluation(algorithm.name, 6, 2), by: Replacement::Mean, most_runs: 1 };
        let config = DiagnoseConfig { evaluations, lesions: Some(lesions) };
        let scores = evaluate(&processor, &weights, &config.evaluations[0], device()).expect("evaluates");
        let facts = diagnose(&processor, &weights, &config, device()).expect(algorithm.name);
        assert_eq!(of(&facts, Measure::Score, Mode::Free)[0].value, scores.score, "{}", algorithm.name);
        assert!(facts.iter().all(|fact| fact.value.is_finite()), "{}", algorithm.name);
    }
}
