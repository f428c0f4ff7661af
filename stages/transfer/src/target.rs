//! Published figures to reproduce: what is to be trained for one, and how near the outcome is to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schemas::TransferRow;
use serde::Deserialize;
use stage::Usage;
use stats::Interval;

/// Level of the intervals.
const LEVEL: f64 = 0.95;
/// Wider intervals than this, in points to either side, decide nothing.
const WIDEST: f64 = 5.0;

/// A published figure, as `data/reproduce.toml` has it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub program: PathBuf,
    /// Whether the program only stands in for the published one.
    #[serde(default)]
    pub stand_in: bool,
    pub tasks: Vec<String>,
    /// In percent.
    pub published: f64,
    /// Standard deviation over the published seeds, in points.
    pub spread: Option<f64>,
    pub published_seeds: Option<u32>,
    pub source: String,
    /// How many trainings of each task.
    pub seeds: u32,
    pub gpu_hours: f64,
    pub state: String,
}

impl Target {
    /// The target of this name in a file.
    pub fn read(path: &Path, name: &str) -> Result<Self> {
        let text = stage::files::read_text(path).with_context(|| format!("{}: cannot read", path.display()))?;
        let mut targets: BTreeMap<String, Self> =
            toml::from_str(&text).map_err(|error| Usage(format!("{}: {error}", path.display())))?;
        let known = targets.keys().cloned().collect::<Vec<_>>().join(", ");
        targets.remove(name).ok_or_else(|| Usage(format!("--target {name}: there are {known}")).into())
    }

    /// What is about to be done.
    pub fn announcement(&self, name: &str) -> String {
        let spread = self.spread.map_or_else(String::new, |spread| format!(" ± {spread:.2}"));
        format!(
            "{name}: published {:.2}{spread} %\n  {}\n  about {} GPU hours at the paper's scale; run so far: {}\n",
            self.published, self.source, self.gpu_hours, self.state
        )
    }
}

/// What came of it. `small`: at another scale than the published one.
pub fn verdict(target: &Target, name: &str, label: &str, rows: &[TransferRow], small: bool, stand_in: bool) -> String {
    let mut text = target.announcement(name);
    let by_seed = by_seed(label, rows);
    let scores: Vec<f64> = by_seed.iter().map(|score| score * 100.0).collect();
    if scores.is_empty() {
        text.push_str("verdict: none: no seed has a score on all tasks\n");
        return text;
    }
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let interval = stats::paired_t(&scores, LEVEL).ok();
    let _ = write!(text, "measured: {mean:.2} % over {} seeds", scores.len());
    if let Some(Interval { low, high, .. }) = interval {
        let _ = write!(text, ", 95 % interval {low:.2} to {high:.2}");
    }
    text.push('\n');
    if small {
        text.push_str(
            "verdict: none: this scale is not the published one (smaller networks, shorter training, smaller graphs); it shows \
             that the whole path runs\n",
        );
        return text;
    }
    if stand_in {
        text.push_str("verdict: none: the program is a stand-in for the published one; give that with PROGRAM=\n");
        return text;
    }
    let gap: Vec<f64> = scores.iter().map(|score| score - target.published).collect();
    let Ok(Interval { low, high, .. }) = difference(&gap, target) else {
        text.push_str("verdict: none: an interval needs two seeds at least\n");
        return text;
    };
    let _ = writeln!(text, "difference: {:+.2} points, 95 % interval {low:+.2} to {high:+.2}", mean - target.published);
    let verdict = match (low > 0.0, high < 0.0) {
        (true, _) => "above the published figure",
        (_, true) => "below the published figure: not reproduced",
        _ if high - low <= 2.0 * WIDEST => "reproduced, within the interval",
        _ => "undecided: the interval holds the published figure, and is too wide to say more; train more seeds",
    };
    let _ = writeln!(text, "verdict: {verdict}");
    text
}

/// The interval of the difference. The published seeds are uncertain, too, where their spread is known: variances add, as
/// Welch's degrees of freedom do.
fn difference(gap: &[f64], target: &Target) -> Result<Interval, stats::Undefined> {
    let own = stats::paired_t(gap, LEVEL)?;
    let (Some(spread), Some(seeds @ 2..)) = (target.spread, target.published_seeds) else { return Ok(own) };
    let count = gap.len() as f64;
    let mean = stats::mean(gap)?;
    let (ours, theirs) = (stats::variance(gap)? / count, spread * spread / f64::from(seeds));
    let sum = ours + theirs;
    let freedom = sum * sum / (ours * ours / (count - 1.0) + theirs * theirs / (f64::from(seeds) - 1.0));
    let half = stats::student_quantile(0.5 + LEVEL / 2.0, freedom)? * sum.sqrt();
    Ok(Interval { low: mean - half, high: mean + half, ..own })
}

/// For each seed the mean over tasks; seeds that have no score on some task do not count.
pub(crate) fn by_seed(label: &str, rows: &[TransferRow]) -> Vec<f64> {
    let mut seeds: BTreeMap<i64, Vec<Option<f64>>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.program == label) {
        seeds.entry(row.train_seed).or_default().push(row.test_acc);
    }
    let mean = |scores: Vec<Option<f64>>| {
        let count = scores.len() as f64;
        scores.into_iter().sum::<Option<f64>>().map(|sum| sum / count)
    };
    seeds.into_values().filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use schemas::Status;

    use super::*;

    fn target() -> Target {
        Target {
            program: "p.py".into(),
            stand_in: false,
            tasks: vec!["dfs".into()],
            published: 50.0,
            spread: None,
            published_seeds: None,
            source: "S".into(),
            seeds: 3,
            gpu_hours: 1.0,
            state: "never".into(),
        }
    }

    fn rows(scores: &[f64]) -> Vec<TransferRow> {
        let row = |(seed, score): (i64, &f64)| TransferRow {
            settings_digest: None,
            program: "p".into(),
            candidate_id: String::new(),
            task: "dfs".into(),
            train_seed: seed,
            status: Status::Scored,
            reason: None,
            test_length: 64,
            test_acc: Some(*score),
            val_acc: None,
            train_loss: None,
            train_steps: None,
            params: None,
            macs: None,
            weights: None,
            train_seconds: None,
        };
        (0..).zip(scores).map(row).collect()
    }

    #[test]
    fn verdicts_follow_the_interval() {
        let of = |target: &Target, scores: &[f64]| verdict(target, "t", "p", &rows(scores), false, false);
        assert!(of(&target(), &[0.49, 0.50, 0.51]).contains("reproduced, within"));
        assert!(of(&target(), &[0.39, 0.40, 0.41]).contains("below"));
        assert!(of(&target(), &[0.59, 0.60, 0.61]).contains("above"));
        assert!(of(&target(), &[0.20, 0.80]).contains("undecided"));
        assert!(of(&target(), &[0.5]).contains("needs two seeds"));
        assert!(of(&target(), &[]).contains("no seed"));
        // The published spread widens it.
        let spread = Target { spread: Some(20.0), published_seeds: Some(3), ..target() };
        assert!(of(&spread, &[0.39, 0.40, 0.41]).contains("undecided"));
        assert!(verdict(&target(), "t", "p", &rows(&[0.5, 0.5]), true, false).contains("not the published one"));
        assert!(verdict(&target(), "t", "p", &rows(&[0.5, 0.5]), false, true).contains("stand-in"));
    }

    #[test]
    fn a_seed_without_a_score_on_some_task_does_not_count() {
        let mut all = rows(&[0.5, 0.7]);
        all.push(TransferRow { task: "bfs".into(), test_acc: None, ..all[1].clone() });
        assert_eq!(by_seed("p", &all), [0.5]);
    }
}
