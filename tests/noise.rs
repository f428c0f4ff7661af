//! What a search knows of its noise: racing, scores by graph, and the confirmation that it ends with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use race::Confirmation;
use schemas::{Candidate, ConfirmedRow, DiagnosisRow, Feedback, GraphScore, Measure, Status, Table};
use stage::table::read_records;
use tests::{finish, make, make_search, run, shared_cache, with_shared_cache};

/// A search in whose generations two rounds of racing follow the first trainings.
fn search(folder: &Path) -> Command {
    searching(folder, "")
}

/// As [`search`], with further settings.
fn searching(folder: &Path, more: &str) -> Command {
    let mut make = with_shared_cache(make_search(folder, 0));
    make.arg(format!("SET=train.max_seeds=3 confirm.choosing=2 confirm.seeds=3 {more}"));
    make
}

/// A scratch folder with a finished search in `run`.
fn finished() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    finish(search(folder.path())).ok();
    folder
}

fn rows<T: Table>(path: &Path) -> Vec<T> {
    read_records::<T>(path).expect("a table").rows.into_iter().map(|(row, _)| row).collect()
}

fn archive(run: &Path) -> Vec<Candidate> {
    rows(&run.join("archive.parquet"))
}

/// The tables of a run's generations whose names begin so.
fn tables(run: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for generation in fs::read_dir(run).expect("a run").flatten() {
        for table in fs::read_dir(generation.path()).into_iter().flatten().flatten() {
            if table.file_name().to_string_lossy().starts_with(name) {
                found.push(table.path());
            }
        }
    }
    found.sort();
    found
}

fn confirmation(run: &Path, name: &str) -> Confirmation {
    let text = fs::read_to_string(run.join(name)).expect("a confirmation");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn leaders_are_trained_again_on_seeds_of_their_own() {
    let folder = finished();
    let archive = archive(&folder.path().join("run"));
    let scored: Vec<&Candidate> = archive.iter().filter(|row| row.status == Status::Scored).collect();
    let trainings: Vec<usize> = scored.iter().map(|row| row.train_seeds.as_ref().map_or(0, Vec::len)).collect();
    // The seed program is alone in its generation, and gets all that there are; half of the others race, and a half of those.
    assert_eq!(
        (trainings[0], trainings.iter().max(), trainings.iter().min()),
        (3, Some(&3), Some(&1)),
        "{trainings:?}"
    );
    let seeds: Vec<i64> = scored.iter().flat_map(|row| row.train_seeds.iter().flatten().copied()).collect();
    assert_eq!(seeds.iter().collect::<BTreeSet<_>>().len(), seeds.len(), "no two trainings share a seed: {seeds:?}");
    for row in &scored {
        let count = row.train_seeds.as_ref().map(Vec::len);
        let lists = [&row.ood_acc_seeds, &row.test_acc_seeds, &row.val_acc, &row.train_loss]
            .map(|list| list.as_ref().map(Vec::len));
        assert!(lists.iter().all(|length| *length == count), "{row:?}");
        assert_eq!((row.trainings, row.weights.as_ref().map(Vec::len)), (count.map(|n| n as i64), count));
        assert_eq!(row.fitness_mean, row.ood_acc);
        let (fitness, lower) = (row.fitness.expect("scored"), row.fitness_lower.expect("noise is known"));
        assert!(lower < fitness && row.fitness_se.is_some_and(|error| error > 0.0), "{row:?}");
    }
}

#[test]
fn a_race_that_is_interrupted_or_made_again_comes_to_the_same() {
    let folder = finished();
    let run = folder.path().join("run");
    let files = ["archive.parquet", "confirmed.parquet", "confirm.json"];
    let read = || files.map(|file| fs::read(run.join(file)).expect("it is there"));
    let before = read();
    // As an interruption in the last round of a generation leaves it; and with one training at a time, nothing kept.
    for lost in ["gen001/trained2.parquet", "gen002/scored1.parquet", "confirmed.parquet"] {
        fs::remove_file(run.join(lost)).expect("it was there");
    }
    finish(search(folder.path())).ok();
    assert!(read() == before, "what was made again differs");
    let other = tempfile::tempdir().expect("a scratch folder");
    let mut alone = search(other.path());
    alone.args(["JOBS=1".to_owned(), format!("CACHE={}", other.path().join("cache").display())]);
    finish(alone).ok();
    let others = files.map(|file| fs::read(other.path().join("run").join(file)).expect("it is there"));
    assert!(others[0] == before[0] && others[2] == before[2], "another number of jobs gives another outcome");
}

/// What the graphs of one training on one split come to.
#[derive(Default)]
struct Sum {
    correct: f64,
    total: f64,
    graphs: BTreeSet<i64>,
    rows: usize,
}

#[test]
fn a_diagnosis_is_of_the_first_training_and_adds_up_to_its_score() {
    let folder = finished();
    let run = folder.path().join("run");
    let generations = tables(&run, "scored.parquet").len();
    let mut files = tables(&run, "diagnosis");
    // The report has a figure of this name.
    files.retain(|file| file.extension().is_some_and(|of| of == "parquet"));
    assert_eq!(files.len(), generations, "one for each generation, none for its races: {files:?}");
    let facts: Vec<DiagnosisRow> = files.iter().flat_map(|file| rows::<DiagnosisRow>(file)).collect();
    for row in archive(&run).iter().filter(|row| row.status == Status::Scored) {
        let of: Vec<&DiagnosisRow> = facts.iter().filter(|fact| fact.candidate_id == row.candidate_id).collect();
        let first = row.train_seeds.as_ref().and_then(|seeds| seeds.first()).copied();
        assert!(of.iter().all(|fact| fact.seed_index == 0 && Some(fact.train_seed) == first && fact.run == row.run));
        let score = of
            .iter()
            .filter(|fact| (fact.kind, fact.mode, fact.split.as_str()) == (Measure::Score, Feedback::Free, "ood"));
        let score: Vec<f64> = score.map(|fact| fact.value).collect();
        let scored = row.ood_acc_seeds.as_ref().and_then(|seeds| seeds.first()).copied();
        assert_eq!(score.as_slice(), [scored.expect("is scored")], "{}", row.candidate_id);
        assert!(of.iter().any(|fact| fact.kind == Measure::Lesion), "{}", row.candidate_id);
    }
    // Told again from the cache, whether or not somebody asks for it.
    let again = folder.path().join("again.parquet");
    let (config, cache) = (run.join("config.toml"), shared_cache());
    let (scored, trained) = (folder.path().join("again-scored.parquet"), run.join("gen001/trained.parquet"));
    let args: [&Path; 9] = [
        "--config".as_ref(),
        &config,
        "--cache".as_ref(),
        cache,
        "--diagnosis".as_ref(),
        &again,
        "-o".as_ref(),
        &scored,
        &trained,
    ];
    tests::run("score", args).ok();
    assert!(rows::<DiagnosisRow>(&again) == rows::<DiagnosisRow>(&run.join("gen001/diagnosis.parquet")));
}

#[test]
fn scores_are_the_sums_of_their_graphs() {
    let folder = finished();
    let run = folder.path().join("run");
    let mut sums: BTreeMap<(String, i64, String), Sum> = BTreeMap::new();
    for table in tables(&run, "graphs") {
        for row in rows::<GraphScore>(&table) {
            // Depth-first search has one output.
            assert_eq!(row.output, "pi");
            let sum = sums.entry((row.candidate_id, row.train_seed, row.split)).or_default();
            sum.correct += row.correct;
            sum.total += row.total;
            sum.graphs.insert(row.graph);
            sum.rows += 1;
        }
    }
    let mut found = 0;
    for row in archive(&run).iter().filter(|row| row.status == Status::Scored) {
        for (split, scores, graphs) in [("ood", &row.ood_acc_seeds, 4), ("test", &row.test_acc_seeds, 4)] {
            for (seed, score) in row.train_seeds.iter().flatten().zip(scores.iter().flatten()) {
                let key = (row.candidate_id.clone(), *seed, split.to_owned());
                let sum = sums.get(&key).unwrap_or_else(|| panic!("no graphs of {key:?}"));
                assert_eq!((sum.graphs.len(), sum.rows), (graphs, graphs), "each graph stands once: {key:?}");
                let share = sum.correct / sum.total;
                assert!((share - score).abs() < 1e-12, "{key:?}: {share} is not {score}");
                found += 1;
            }
        }
    }
    assert_eq!(found, sums.len(), "every training that is told of is in the archive");
}

#[test]
fn a_search_ends_with_a_gain_measured_on_fresh_seeds() {
    let folder = finished();
    let here = folder.path().join("run");
    let outcome = confirmation(&here, "confirm.json");
    let (gain, winner) = (outcome.gain.expect("a gain"), outcome.winner.clone().expect("a winner"));

    // No seed of the search, none that the winner was chosen on, is reported.
    let searched: BTreeSet<u64> = archive(&here)
        .iter()
        .flat_map(|row| row.train_seeds.clone().unwrap_or_default())
        .map(|seed| seed as u64)
        .collect();
    let fresh: BTreeSet<u64> = outcome.seeds.iter().chain(&outcome.choosing_seeds).copied().collect();
    assert_eq!((outcome.choosing_seeds.len(), outcome.seeds.len(), fresh.len()), (2, 3, 5));
    assert!(fresh.is_disjoint(&searched));

    // The rows say the same as the outcome.
    let confirmed: Vec<ConfirmedRow> = rows(&here.join("confirmed.parquet"));
    let chosen: Vec<&ConfirmedRow> = confirmed.iter().filter(|row| row.phase == "choose").collect();
    assert_eq!((chosen.len(), confirmed.len()), (2 * 2, 2 * 2 + 2 * 3));
    let mean = |id: &str| {
        let scores: Vec<f64> =
            chosen.iter().filter(|row| row.candidate_id == id).filter_map(|row| row.ood_acc).collect();
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    assert!(outcome.candidates.iter().all(|id| mean(id) <= mean(&winner.candidate_id)), "{chosen:?}");
    let reported = |seed_program: bool| -> Vec<&ConfirmedRow> {
        confirmed.iter().filter(|row| row.phase == "report" && row.seed_program == seed_program).collect()
    };
    let (own, founders) = (reported(false), reported(true));
    assert!(own.iter().all(|row| row.candidate_id == winner.candidate_id));
    let pairs = own.iter().zip(&founders);
    assert!(
        pairs.clone().all(|(a, b)| (a.train_seed, a.graph_seed) == (b.train_seed, b.graph_seed)),
        "{own:?} {founders:?}"
    );
    let difference: f64 = pairs.filter_map(|(a, b)| Some(a.ood_acc? - b.ood_acc?)).sum::<f64>() / 3.0;
    assert!((difference - gain.mean).abs() < 1e-12, "{difference} is not {gain:?}");

    // What people read first says it, too.
    let summary = run("select", ["--summary", here.join("archive.parquet").to_str().expect("UTF-8")]).ok().stdout;
    let card = fs::read_to_string(here.join("results/best.md")).expect("the winner's page");
    let page = fs::read_to_string(here.join("report.html")).expect("the report");
    for text in [&summary, &card, &page] {
        let plain = text.replace("\\", "");
        assert!(plain.contains(&outcome.sentence()), "{plain}");
    }
    assert!(summary.contains("as selected:") && card.contains("As selected:") && page.contains("As selected:"));
    let best = fs::read_to_string(here.join("results/best.py")).expect("the winner");
    let own = archive(&here).into_iter().find(|row| row.candidate_id == winner.candidate_id).expect("in the archive");
    assert_eq!(best, own.source);

    // Seeds of the reader's choice lie beside it, and change nothing of the run.
    let mut again = with_shared_cache(make(folder.path(), "confirm"));
    again.arg("SEEDS=100 101");
    finish(again).ok();
    let other = confirmation(&here, "confirm_again.json");
    assert_eq!((other.seeds.as_slice(), &other.choosing_seeds), ([100, 101].as_slice(), &outcome.choosing_seeds));
    assert_eq!(other.winner.map(|winner| winner.candidate_id), Some(winner.candidate_id));
    assert_eq!(confirmation(&here, "confirm.json"), outcome);
    let complete = finish(search(folder.path())).ok().stdout;
    assert!(complete.contains("nothing to do"), "{complete}");

    // How much is confirmed may change while the rest stays.
    let said = finish(searching(folder.path(), "confirm.seeds=4")).ok();
    assert!(!said.stdout.contains("/propose"), "{}", said.stdout);
    assert_eq!(confirmation(&here, "confirm.json").seeds.len(), 4);
    let mut used = with_shared_cache(make(folder.path(), "confirm"));
    used.arg(format!("SEEDS={}", searched.first().expect("a seed")));
    let refused = finish(used);
    assert!(refused.code != Some(0) && refused.stderr.contains("is not fresh"), "{refused:?}");
}
