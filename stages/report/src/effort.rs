//! What a search took: tokens and time of language models, and time of training.
//!
//! Archives leave times out, so that equal searches give equal bytes; they are read from what lies beside an archive:
//! `gen*/trained*.parquet` have the seconds of training, `transcripts.jsonl` every exchange with a model. Without
//! transcripts (a replay has its own elsewhere) the token columns of the archive's rows tell the tokens.

use std::collections::BTreeMap;

use anyhow::Result;
use schemas::Candidate;
use stage::table::{Extra, read_records};

use crate::exchanges::Exchange;

/// What the models took for one attempt, over all its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    pub calls: usize,
    pub tokens: u64,
    /// Cost of calls to models with a price.
    pub cost: f64,
    /// From the first request to the end of the reply, waits and repeats included.
    pub seconds: f64,
}

/// What the trainings of one candidate took, and where they ran.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Training {
    pub seconds: f64,
    pub host: Option<String>,
    pub gpu: Option<String>,
}

impl Training {
    /// Host and GPU in words.
    pub fn place(&self) -> Option<String> {
        let parts: Vec<&str> = [self.host.as_deref(), self.gpu.as_deref()].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// What a run took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effort {
    /// Seconds of trainings that ended with a result, summed. None where no table beside the archive tells.
    pub train_seconds: Option<f64>,
    /// The training of each candidate, by attempt and id.
    pub trainings: BTreeMap<(i64, String), Training>,
    /// By the number of the attempt; empty without language models.
    pub models: BTreeMap<i64, Spent>,
}

impl Effort {
    /// The effort of an archive with these rows: by the tables of its trainings, and its exchanges with models.
    pub fn read(tables: &[std::path::PathBuf], rows: &[(Candidate, Extra)], exchanges: &[Exchange]) -> Result<Self> {
        let mut effort = Self::default();
        // A candidate that raced stands in several tables, each time with the seconds of all its trainings so far.
        for table in tables {
            for (row, _) in read_records::<Candidate>(table)?.rows {
                let Some(seconds) = row.train_seconds else { continue };
                let of_row = effort.trainings.entry((row.attempt, row.candidate_id)).or_default();
                if seconds >= of_row.seconds {
                    *of_row = Training { seconds, host: row.train_host, gpu: row.train_gpu };
                }
            }
            effort.train_seconds = Some(effort.trainings.values().map(|training| training.seconds).sum());
        }
        if exchanges.is_empty() {
            effort.columns(rows);
        }
        for exchange in exchanges {
            let spent = effort.models.entry(exchange.attempt).or_default();
            spent.calls += 1;
            spent.tokens = spent.tokens.saturating_add(exchange.usage.total());
            spent.cost += exchange.cost.unwrap_or(0.0);
            spent.seconds += exchange.latency_ms as f64 / 1000.0;
        }
        Ok(effort)
    }

    /// From the columns that `propose` adds to rows that a model wrote.
    fn columns(&mut self, rows: &[(Candidate, Extra)]) {
        for (row, extra) in rows {
            let number = |name: &str| extra.get(name).and_then(|value| value.as_f64());
            let Some(prompt) = number("prompt_tokens") else { continue };
            let spent = self.models.entry(row.attempt).or_default();
            spent.calls += number("llm_calls").unwrap_or(0.0) as usize;
            spent.tokens += (prompt + number("completion_tokens").unwrap_or(0.0)) as u64;
            spent.cost += number("llm_cost").unwrap_or(0.0);
        }
    }

    /// Tokens of all attempts; None without language models.
    pub fn tokens(&self) -> Option<u64> {
        (!self.models.is_empty())
            .then(|| self.models.values().fold(0, |sum: u64, spent| sum.saturating_add(spent.tokens)))
    }

    /// Hours of training and of waiting for models, added up. None where no table tells the time of training.
    pub fn hours(&self) -> Option<f64> {
        let waiting: f64 = self.models.values().map(|spent| spent.seconds).sum();
        self.train_seconds.map(|seconds| (seconds + waiting) / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use stage::Row;
    use stage::table::{Table, write};

    use super::*;
    use crate::exchanges;

    fn row(attempt: i64, seconds: Option<f64>) -> Candidate {
        Candidate { attempt, candidate_id: format!("c{attempt}"), train_seconds: seconds, ..Candidate::default() }
    }

    fn line(attempt: i64, prompt: u64, completion: u64) -> String {
        format!(
            r#"{{"key":"k","attempt":{attempt},"call":0,"usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion}}},"cost":0.5,"latency_ms":1800}}"#
        )
    }

    #[test]
    fn tokens_belong_to_the_rows_and_times_add_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let trained = folder.path().join("trained.parquet");
        let table: Table = [row(0, Some(10.0)), row(1, None), row(2, Some(30.0))].map(Row::from).into_iter().collect();
        write(&table, &trained).expect("written");
        let rows: Vec<(Candidate, Extra)> = (0..3).map(|n| (row(n, None), Extra::default())).collect();
        let text = [line(1, 100, 20), line(1, 50, 5), line(9, 7, 7), "{\"key\":\"half a li".into()].join("\n");
        std::fs::write(folder.path().join("transcripts.jsonl"), text).expect("written");
        let raced = folder.path().join("trained1.parquet");
        let table: Table = [row(0, Some(10.0)), row(2, Some(35.0))].map(Row::from).into_iter().collect();
        write(&table, &raced).expect("written");
        let attempts = rows.iter().map(|(row, _)| row.attempt).collect();
        let exchanges = exchanges::read(&folder.path().join("transcripts.jsonl"), &attempts).expect("read");
        let effort = Effort::read(&[trained, raced], &rows, &exchanges).expect("read");
        assert_eq!((effort.train_seconds, effort.tokens()), (Some(45.0), Some(175)));
        assert_eq!(effort.models[&1], Spent { calls: 2, tokens: 175, cost: 1.0, seconds: 3.6 });
        assert!((effort.hours().expect("known") - 48.6 / 3600.0).abs() < 1e-12);
    }

    #[test]
    fn without_transcripts_the_columns_tell_and_without_either_nothing_does() {
        let columns = serde_json::json!({"prompt_tokens": 8, "completion_tokens": 3, "llm_calls": 2});
        let extra = Extra::from(columns.as_object().expect("an object").clone());
        let effort = Effort::read(&[], &[(row(0, None), Extra::default()), (row(4, None), extra)], &[]);
        let effort = effort.expect("read");
        assert_eq!((effort.tokens(), effort.hours()), (Some(11), None));
        let none = Effort::read(&[], &[(row(0, None), Extra::default())], &[]).expect("read");
        assert_eq!((none.tokens(), none.hours()), (None, None));
    }

    #[test]
    fn a_broken_line_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("transcripts.jsonl");
        std::fs::write(&path, "{\"attempt\": \"one\"}\n").expect("written");
        let error = exchanges::read(&path, &[1].into()).expect_err("no number");
        assert!(format!("{error:#}").contains("transcripts.jsonl: line 1"), "{error:#}");
    }
}
