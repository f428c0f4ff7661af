//! Curves for other viewers, read by these viewers themselves.

use std::path::{Path, PathBuf};
use std::process::Command;

use report::{load, trackers};
use schemas::{Candidate, CurvePoint, Status};
use stage::table::{Extra, write_records};
use tests::python::large_python;

/// A run of two candidates with a name that would lead elsewhere.
fn run(folder: &Path) -> PathBuf {
    let row = |attempt: i64, fitness: Option<f64>| Candidate {
        run: "../a run".into(),
        method: "spark".into(),
        candidate_id: format!("c{attempt}"),
        parent_id: (attempt > 0).then(|| "c0".into()),
        attempt,
        status: Status::Scored,
        task: Some("dfs".into()),
        fitness,
        ood_acc: fitness,
        ..Candidate::default()
    };
    let rows = [row(0, Some(0.5)), row(1, Some(0.25)), row(2, Some(0.75)), row(3, None)];
    let archive = folder.join("archive.parquet");
    let none = Extra::default();
    write_records(rows.iter().map(|row| (row, &none)), &archive, false).expect("writes");
    let point = |step: i64, val_acc: Option<f64>| CurvePoint {
        run: None,
        settings_digest: None,
        candidate_id: "c2".into(),
        task: "dfs".into(),
        train_seed: 7,
        step,
        loss: 8.0 / step as f64,
        val_acc,
    };
    let points = [point(1, None), point(2, Some(0.25)), point(300, Some(0.5))];
    std::fs::create_dir(folder.join("gen000")).expect("a folder");
    write_records(points.iter().map(|row| (row, &none)), &folder.join("gen000/curves.parquet"), false).expect("writes");
    std::fs::write(folder.join("config.toml"), "[train]\nsteps = 300\n").expect("writes");
    archive
}

fn script(python: &Path, text: &str, folder: &Path) -> String {
    let output =
        Command::new(python).args(["-c", text]).current_dir(folder).env("MLFLOW_ALLOW_FILE_STORE", "true").output();
    let output = output.expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const TENSORBOARD: &str = r#"
import glob
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
for path in sorted(glob.glob("tb/*/*")):
    events = EventAccumulator(path, size_guidance={"scalars": 0})
    events.Reload()
    for tag in sorted(events.Tags()["scalars"]):
        print(path, tag, [(event.step, event.value) for event in events.Scalars(tag)])
"#;

#[test]
fn tensorboard_reads_the_event_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let runs = load::load(&[run(folder.path())], None).expect("a run");
    assert_eq!(trackers::tensorboard::write(&runs, &folder.path().join("tb")).expect("writes"), 2);
    let Some(python) = large_python("tensorboard", &["tensorboard"], &[&["tensorboard", "setuptools<81"]]) else {
        return;
    };
    let read = script(&python, TENSORBOARD, folder.path());
    let wanted = "\
tb/___a_run/c2-seed7 loss [(1, 8.0), (2, 4.0), (300, 0.02666666731238365)]
tb/___a_run/c2-seed7 val_acc [(2, 0.25), (300, 0.5)]
tb/___a_run/search best_so_far [(0, 0.5), (1, 0.5), (2, 0.75)]
tb/___a_run/search fitness [(0, 0.5), (1, 0.25), (2, 0.75)]
tb/___a_run/search ood_acc [(0, 0.5), (1, 0.25), (2, 0.75)]
";
    assert_eq!(read, wanted);
}

const MLFLOW: &str = r#"
import pathlib
from mlflow.tracking import MlflowClient
client = MlflowClient(tracking_uri=pathlib.Path("mlruns").absolute().as_uri())
for experiment in client.search_experiments():
    if experiment.experiment_id == "0":
        continue
    for run in sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.run_name):
        print(experiment.name, run.info.run_name, run.info.status, dict(run.data.params), sorted(run.data.metrics.items()))
        for name in sorted(run.data.metrics):
            print(name, [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)])
"#;

#[test]
fn mlflow_reads_the_file_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let runs = load::load(&[run(folder.path())], None).expect("a run");
    assert_eq!(trackers::mlflow::write(&runs, &folder.path().join("mlruns")).expect("writes"), 2);
    let Some(python) = large_python("mlflow", &["mlflow.tracking"], &[&["mlflow-skinny"]]) else { return };
    let read = script(&python, MLFLOW, folder.path());
    for line in [
        "../a run c2-seed7 FINISHED {} [('loss', 0.02666666",
        "loss [(1, 8.0), (2, 4.0), (300, 0.02666666666666667)]",
        "../a run search FINISHED {'train.steps': '300'} [('best_so_far', 0.75)",
        "fitness [(0, 0.5), (1, 0.25), (2, 0.75)]",
    ] {
        assert!(read.contains(line), "{line} is missing in: {read}");
    }
}
