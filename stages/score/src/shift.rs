//! Behavioural entanglement: how far an edit changed the worth of the operators that it left in place.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use schemas::DiagnosisRow;
use search::diagnosis::Diagnosis;
use stage::Table;
use stage::table::{read_records, side_tables};

use crate::Measured;
use crate::diagnosis::rows;

/// The diagnoses of the rows' parents, as far as earlier generations have them: of a run's folder, those before the rows' own.
///
/// # Errors
/// When a table cannot be read.
pub fn parents(given: &[String], table: &Table) -> Result<BTreeMap<String, Diagnosis>> {
    let own = table.candidates().map(|row| row.generation).max().unwrap_or_default();
    let wanted: BTreeSet<&str> = table.candidates().filter_map(|row| row.parent_id.as_deref()).collect();
    let mut found = BTreeMap::new();
    for path in side_tables(given, "diagnosis", own - 1)? {
        let mut rows: Vec<DiagnosisRow> = read_records(&path)?.rows.into_iter().map(|(row, _)| row).collect();
        rows.retain(|row| wanted.contains(row.candidate_id.as_str()));
        found.extend(Diagnosis::by_candidate(&rows));
    }
    Ok(found)
}

/// Fills `behavioural_shift` of the rows that were looked at just now; a parent may be of an earlier generation, or among them.
pub fn shifts(table: &mut Table, measured: &[Measured], known: &BTreeMap<String, Diagnosis>) {
    let own: Vec<DiagnosisRow> = measured.iter().flat_map(rows).collect();
    let own = Diagnosis::by_candidate(&own);
    for row in table.rows.iter_mut().map(|row| &mut row.candidate) {
        let Some(facts) = own.get(&row.candidate_id) else { continue };
        let parent = row.parent_id.as_ref().and_then(|parent| own.get(parent).or_else(|| known.get(parent)));
        row.behavioural_shift = parent.and_then(|parent| facts.shift(parent)).map(|shift| shift.mean);
    }
}

#[cfg(test)]
mod tests {
    use model::{Fact, Mode, Subject};
    use schemas::Candidate;

    use super::*;
    use crate::Scored;

    fn fact(measure: model::Measure, subject: Option<&str>, loss: Option<f64>) -> Fact {
        Fact {
            measure,
            mode: Mode::Free,
            evaluation: Some(0),
            nodes: 8,
            samples: 16,
            subject: subject.map(|name| Subject { channel: false, name: name.into(), replaced_by: "mean".into() }),
            probe: Some("pi".into()),
            probe_type: Some("pointer".into()),
            tenth: None,
            classes: None,
            correct: 8.0,
            total: 16.0,
            value: 0.5,
            loss,
        }
    }

    /// A training whose operators' lesions cost so much.
    fn measured(id: &str, losses: &[(&str, f64)]) -> Measured {
        let score = Fact { probe: None, ..fact(model::Measure::Score, None, None) };
        let lesions = losses.iter().map(|(name, loss)| fact(model::Measure::Lesion, Some(name), Some(*loss)));
        Measured {
            run: "r".into(),
            settings_digest: None,
            candidate_id: id.into(),
            task: "dfs".into(),
            seed_index: 0,
            train_seed: 0,
            scored: Scored {
                scores: vec![0.5],
                tallies: Vec::new(),
                facts: Some([score].into_iter().chain(lesions).collect()),
                undiagnosed: None,
                device: "cpu".into(),
            },
        }
    }

    fn row(id: &str, parent: Option<&str>) -> stage::Row {
        let parent_id = parent.map(str::to_owned);
        Candidate { candidate_id: id.into(), parent_id, generation: 1, ..Candidate::default() }.into()
    }

    #[test]
    fn the_mean_change_over_operators_that_both_have() {
        let earlier: Vec<DiagnosisRow> = rows(&measured("seed", &[("t_1", 0.2), ("t_2", 0.1), ("t_3", 0.0)])).collect();
        let known = Diagnosis::by_candidate(&earlier);
        let mut table: Table = [
            row("a", Some("seed")),
            row("b", Some("a")),
            row("c", None),
            row("d", Some("lost")),
            row("e", Some("seed")),
        ]
        .into_iter()
        .collect();
        table.rows[4].candidate.behavioural_shift = Some(0.7);
        let now = [
            measured("a", &[("t_1", 0.1), ("t_2", 0.1), ("t_gate", 0.4)]),
            measured("b", &[("t_gate", 0.1)]),
            measured("c", &[("t_1", 0.3)]),
            measured("d", &[("t_1", 0.3)]),
        ];
        shifts(&mut table, &now, &known);
        let shift = |at: usize| table.rows[at].candidate.behavioural_shift;
        assert!((shift(0).expect("two shared operators") - 0.05).abs() < 1e-12);
        assert!((shift(1).expect("one shared operator") - 0.3).abs() < 1e-12, "a parent of the same table");
        assert_eq!((shift(2), shift(3)), (None, None));
        assert_eq!(shift(4), Some(0.7), "what was not looked at now stays as it is");
    }
}
