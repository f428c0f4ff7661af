//! The side table of diagnoses: where candidates fail, and what their operators are worth.

use std::path::Path;

use anyhow::Result;
use model::{DiagnoseConfig, EvalConfig, Fact, LesionConfig, Measure, Mode};
use schemas::{DiagnosisRow, Feedback, Lesioned};
use stage::Config;
use stage::job::Work;
use stage::table::{Extra, write_records};

use crate::{Job, Measured};

/// Most runs of a graph for the lesions of a candidate: the 27 operators and channels of the seed program, free and forced,
/// come to 16 graphs each. It bounds what a diagnosis costs, whatever a program is made of.
const MOST_RUNS: usize = 1024;

/// What is looked at besides the score: the graphs that it is made of, graphs of the training's length, and lesions on some of
/// these. `None` where the settings ask for no diagnosis.
pub fn of_settings(config: &Config, task: &str, ood: &EvalConfig) -> Option<DiagnoseConfig> {
    let score = &config.score;
    if !score.diagnosis {
        return None;
    }
    let near = EvalConfig { length: train::settings(config, task, 0).val_length, ..ood.clone() };
    let factor = clrs::algorithm(task).map_or(1, |algorithm| algorithm.samples_multiplier);
    let lesions = (score.lesion_samples > 0).then(|| LesionConfig {
        evaluation: EvalConfig { samples: score.lesion_samples * factor, ..near.clone() },
        by: score.lesion_by,
        most_runs: MOST_RUNS * factor,
    });
    let evaluations = [ood.clone()].into_iter().chain((near.length != ood.length).then_some(near)).collect();
    Some(DiagnoseConfig { evaluations, lesions })
}

/// The evaluation with a diagnosis, and a key of its own.
pub fn diagnosing(work: Work<Job>, diagnosis: DiagnoseConfig) -> Work<Job> {
    let key = train::hash(&(&work.key, &diagnosis));
    Work { key, job: Job { diagnosis: Some(diagnosis), ..work.job }, ..work }
}

/// Writes the diagnoses among these evaluations as one table.
pub fn diagnosis(measured: &[Measured], path: &Path) -> Result<()> {
    let rows: Vec<DiagnosisRow> = measured.iter().flat_map(rows).collect();
    let none = Extra::default();
    write_records(rows.iter().map(|row| (row, &none)), path, true)
}

/// The diagnosis of one training, as rows of the table.
pub fn rows(measured: &Measured) -> impl Iterator<Item = DiagnosisRow> {
    measured.scored.facts.iter().flatten().map(|fact| row(measured, fact))
}

fn row(measured: &Measured, fact: &Fact) -> DiagnosisRow {
    let subject = fact.subject.as_ref();
    DiagnosisRow {
        run: measured.run.clone(),
        settings_digest: measured.settings_digest.clone(),
        candidate_id: measured.candidate_id.clone(),
        task: measured.task.clone(),
        seed_index: measured.seed_index,
        train_seed: measured.train_seed,
        kind: match fact.measure {
            Measure::Score => schemas::Measure::Score,
            Measure::Output => schemas::Measure::Output,
            Measure::Hint => schemas::Measure::Hint,
            Measure::Step => schemas::Measure::Step,
            Measure::FirstWrong => schemas::Measure::FirstWrong,
            Measure::Confusion => schemas::Measure::Confusion,
            Measure::Lesion => schemas::Measure::Lesion,
        },
        mode: match fact.mode {
            Mode::Free => Feedback::Free,
            Mode::Forced => Feedback::Forced,
        },
        split: if fact.evaluation == Some(0) { "ood" } else { "validation" }.to_owned(),
        nodes: schemas::count(fact.nodes),
        n: schemas::count(fact.samples),
        subject_kind: subject.map(|of| if of.channel { Lesioned::Channel } else { Lesioned::Operator }),
        subject: subject.map(|of| of.name.clone()),
        replaced_by: subject.map(|of| of.replaced_by.clone()),
        probe: fact.probe.clone(),
        probe_type: fact.probe_type.clone(),
        step_tenth: fact.tenth.map(schemas::count),
        class_true: fact.classes.map(|(truth, _)| schemas::count(truth)),
        class_predicted: fact.classes.map(|(_, predicted)| schemas::count(predicted)),
        correct: fact.correct,
        total: fact.total,
        value: fact.value,
        loss: fact.loss,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[&str]) -> Option<DiagnoseConfig> {
        let set: Vec<String> = set.iter().map(|&text| text.to_owned()).collect();
        let config = Config::load(None, &set, &[]).expect("valid");
        of_settings(&config, "dfs", &crate::evaluations(&config, "dfs")[0])
    }

    #[test]
    fn what_is_looked_at_follows_the_settings() {
        let usual = settings(&[]).expect("is on");
        let lengths = |config: &DiagnoseConfig| config.evaluations.iter().map(|e| e.length).collect::<Vec<_>>();
        assert_eq!(lengths(&usual), [12, 8]);
        let lesions = usual.lesions.expect("are measured");
        assert_eq!((lesions.evaluation.length, lesions.evaluation.samples), (8, 16));
        let other = settings(&["score.lesion_samples=0", "score.ood_length=8"]).expect("is on");
        assert_eq!((lengths(&other), other.lesions), (vec![8], None));
        assert_eq!(settings(&["score.diagnosis=false"]), None);
    }
}
