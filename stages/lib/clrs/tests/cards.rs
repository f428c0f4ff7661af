//! Task cards agree with the algorithms, and their pages are seen in review. `UPDATE=1 cargo test -p clrs --test cards`
//! rewrites these.

use std::collections::BTreeSet;
use std::path::Path;

use clrs::Repred;
use clrs::card::{Evaluation, Fitness, Noise, Settings, Training};
use clrs::wiring::Feature;
use clrs::{Algorithm, Batch, Card, Sampler, SamplerArgs, SamplerConfig, Stage, algorithms, find_algorithm};

fn card(name: &str) -> Card {
    Card::new(find_algorithm(name).expect("known"))
}

fn example_settings() -> Settings {
    Settings {
        hidden: 128,
        message_passing_steps: 1,
        training: Training {
            lengths: vec![4, 7, 11, 13, 16],
            batch_size: 32,
            steps: 10_000,
            learning_rate: 1e-3,
            grad_clip: 1.0,
            validate_every: 50,
            hint_teacher_forcing: 0.0,
            hint_feedback: Repred::Soft,
        },
        validation: Evaluation { length: 16, samples: 32 },
        ood: Evaluation { length: 32, samples: 32 },
        test: Evaluation { length: 64, samples: 32 },
        fitness: Fitness::Ood,
        noise: Some(Noise { std: 0.031, source: "12 trainings of the seed program".to_owned() }),
    }
}

#[track_caller]
fn same_as_file(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cards").join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(&path, text).expect("writable");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{file} is out of date: run UPDATE=1 cargo test -p clrs --test cards, and look at the change"
    );
}

#[test]
fn pages_are_those_seen_in_review() {
    for algorithm in algorithms() {
        let card = Card::new(algorithm);
        same_as_file(&format!("{}.md", algorithm.name), &card.markdown());
        same_as_file(&format!("{}.txt", algorithm.name), &card.brief());
    }
    let dfs = card("dfs").with_settings(example_settings());
    same_as_file("with_settings/dfs.md", &dfs.markdown());
    same_as_file("with_settings/dfs.txt", &dfs.brief());
    same_as_file("with_settings/dfs.json", &(serde_json::to_string_pretty(&dfs).expect("JSON") + "\n"));
}

/// Names of the hints.
fn hints(algorithm: &Algorithm) -> BTreeSet<&'static str> {
    algorithm.spec().iter().filter(|entry| entry.stage == Stage::Hint).map(|entry| entry.name).collect()
}

#[test]
fn code_marks_the_records_of_every_hint_and_of_nothing_else() {
    for algorithm in algorithms() {
        let card = Card::new(algorithm);
        let places = card.records_in_code();
        assert!(!places.is_empty() && places.iter().all(|names| !names.is_empty()), "{}", algorithm.name);
        let mut marked: BTreeSet<&str> = places.concat().into_iter().collect();
        for name in card.constants() {
            assert!(marked.insert(name), "{}: {name} never changes, and changes", algorithm.name);
        }
        assert_eq!(marked, hints(algorithm), "{}", algorithm.name);
    }
}

/// Batches of several lengths, with the arguments of training and of the benchmark's splits.
fn batches(algorithm: &'static Algorithm) -> Vec<Batch> {
    let mut batches = Vec::new();
    for (seed, length) in [2, 3, 4, 5, 8, 13, 16, 21].into_iter().enumerate() {
        for args in [SamplerArgs::training_at(algorithm, length), SamplerArgs::default()] {
            let seed = u32::try_from(seed).expect("small");
            let config = SamplerConfig { args, track_max_steps: false, ..SamplerConfig::on_the_fly(seed, length) };
            if config.validate(algorithm).is_ok() {
                batches.push(Sampler::new(algorithm, config).and_then(|mut sampler| sampler.next(48)).expect("draws"));
            }
        }
    }
    assert!(batches.len() >= 10, "{}", algorithm.name);
    batches
}

#[test]
fn runs_leave_as_many_records_as_cards_say() {
    for algorithm in algorithms() {
        let records = Card::new(algorithm).records;
        let least = records.least.expect("every card has a least number");
        let mut varies = false;
        for batch in batches(algorithm) {
            for &steps in &batch.lengths {
                let (n, steps) = (batch.nodes(), i64::try_from(steps).expect("small"));
                let most = records.most.map_or(i64::MAX, |most| most.at(n));
                let message = format!("{}: {steps} records of {n} nodes, and not {records}", algorithm.name);
                assert!((least.at(n)..=most).contains(&steps), "{message}");
            }
            varies |= batch.lengths.iter().any(|steps| Some(steps) != batch.lengths.first());
        }
        assert_eq!(varies, records.exact().is_none(), "{}: {records}", algorithm.name);
        assert!(!records.why.is_empty(), "{}", algorithm.name);
    }
}

/// The hints that change from each record to the next, over all samples of a batch.
fn changes(batch: &Batch) -> Vec<BTreeSet<&'static str>> {
    let mut changes = Vec::new();
    let samples = batch.size();
    for sample in 0..samples {
        for step in 1..batch.lengths[sample] {
            let changed = batch.hints.iter().filter(|hint| {
                let size = hint.data.len() / (batch.steps() * samples);
                let at = |step: usize| &hint.data[(step * samples + sample) * size..][..size];
                at(step) != at(step - 1)
            });
            changes.push(changed.map(|hint| hint.name).collect());
        }
    }
    changes
}

/// What changes from one record to the next is what the code says at one of its records: the code's places are those of
/// the algorithm.
#[test]
fn hints_change_where_the_code_says() {
    for algorithm in algorithms() {
        let card = Card::new(algorithm);
        let places: Vec<BTreeSet<&str>> =
            card.records_in_code().iter().map(|names| names.iter().copied().collect()).collect();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for changed in batches(algorithm).iter().flat_map(changes) {
            assert!(
                places.iter().any(|place| changed.is_subset(place)),
                "{}: no record changes {changed:?}",
                algorithm.name
            );
            seen.extend(changed);
        }
        let constant: BTreeSet<&str> = card.constants().into_iter().collect();
        assert!(constant.is_disjoint(&seen), "{}: {constant:?} change", algorithm.name);
        let said: BTreeSet<&str> = hints(algorithm).difference(&constant).copied().collect();
        assert_eq!(seen, said, "{}: what changes", algorithm.name);
    }
}

#[test]
fn dfs_says_what_a_designer_must_know() {
    let card = card("dfs");
    let page = card.markdown();
    let hints = ["pi_h", "color", "d", "f", "s_prev", "s", "u", "v", "s_last", "time"];
    assert_eq!(card.of(Stage::Hint).map(|hint| hint.name).collect::<Vec<_>>(), hints);
    let triplets = card.channel(Feature::TriMsgs).expect("a result");
    assert_eq!((triplets.outputs.as_slice(), triplets.hints.as_slice()), (&["pi"][..], &["pi_h", "s_prev"][..]));
    assert_eq!(triplets.later, ["color", "d", "f", "s", "u", "v", "s_last", "time"]);
    assert!(!triplets.carried && triplets.never.is_empty());
    for text in [&page, &card.brief()] {
        assert!(text.contains("pi = right pointers / (G N)"), "{text}");
        let plain = text.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ");
        let read = "tri_msgs are read by the decoders of pi, pi_h, s_prev and no others, and never enter hidden.";
        assert!(plain.contains(read), "{plain}");
        assert!(
            plain.contains("only at later steps, through the predicted hints pi_h, s_prev, which are fed back"),
            "{plain}"
        );
        assert!(text.contains("T = 3N"));
    }
}

#[test]
fn a_card_says_that_triplets_are_in_vain() {
    let page = card("minimum").markdown();
    assert!(page.contains("no decoder of this task"), "{page}");
    assert!(page.contains("`pred_h` is the same at every step"), "{page}");
    let vain = card("minimum").channel(Feature::TriMsgs).cloned().expect("a result");
    assert_eq!((vain.at_once(), vain.later), (vec![], vec![]));
    assert_eq!(vain.never, ["min", "min_h", "i"]);
}

#[test]
fn briefs_are_brief() {
    let tokens = |card: &Card| card.brief().len() / 4;
    let dfs = card("dfs");
    assert!(tokens(&dfs) <= 700, "{}", tokens(&dfs));
    let dfs = dfs.with_settings(example_settings());
    assert!(tokens(&dfs) <= 900, "{}", tokens(&dfs));
    for algorithm in algorithms() {
        let tokens = tokens(&Card::new(algorithm));
        assert!(tokens <= 1000, "{}: {tokens}", algorithm.name);
    }
}

/// Pages are read in terminals.
#[test]
fn pages_have_short_lines_but_for_tables() {
    for algorithm in algorithms() {
        for line in Card::new(algorithm).markdown().lines().filter(|line| !line.starts_with('|')) {
            assert!(line.chars().count() <= 112, "{}: {line}", algorithm.name);
            assert_eq!(line.trim_end(), line, "{}: spaces at the end", algorithm.name);
        }
    }
}
