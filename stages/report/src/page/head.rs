//! The head of the page of one run: the question, the answer, how it was made, and where its files are.

use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use stage::runs::Session;

use crate::run::Run;
use crate::text::points;

/// Files of a run that a reader may want, with what they are called.
const FILES: &[(&str, &str)] = &[
    ("the winning program", "results/best.py"),
    ("a page about it", "results/best.md"),
    ("all candidates (Parquet)", "archive.parquet"),
    ("the confirmation", "confirm.json"),
    ("settings", "config.toml"),
    ("exchanges with models", "transcripts.jsonl"),
];

/// A file beside the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    pub name: String,
    pub href: String,
}

/// What the reader should know first.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    pub question: String,
    pub answer: String,
    /// `yes` where a gain is confirmed, `no` where none is, `open` where it was not looked for.
    pub verdict: &'static str,
    /// How it was made.
    pub made: Vec<(String, String)>,
    pub links: Vec<Link>,
}

/// `page`: the folder of the page; None where it goes to stdout. `tables`: the folder of its tables.
pub fn head(run: &Run, page: Option<&Path>, tables: Option<&Path>) -> Head {
    let (answer, verdict) = answer(run);
    Head { question: question(run), answer, verdict, made: made(run), links: links(run, page, tables) }
}

fn question(run: &Run) -> String {
    let task = if run.task.is_empty() { String::new() } else { format!(" on CLRS {}", run.task) };
    let mut lengths = run.lengths();
    lengths.sort_unstable();
    let trained = match (lengths.first(), lengths.last()) {
        (Some(least), Some(most)) if least == most => format!(", trained with {least} nodes"),
        (Some(least), Some(most)) => format!(", trained with {least} to {most} nodes"),
        _ => String::new(),
    };
    let split = if run.chose_by_test() { "score.test_length" } else { "score.ood_length" };
    let at = run.setting(split).map_or(String::new(), |length| format!(" on graphs of {length} nodes"));
    format!(
        "Does a search ({}) find a graph network processor that is better than the seed program{task}{at}{trained}?",
        run.method
    )
}

fn answer(run: &Run) -> (String, &'static str) {
    let Some(confirmation) = &run.confirmation else {
        let (Some(winner), Some(seed)) = (run.winner(), run.seed_program()) else {
            return ("Nothing has a score yet.".into(), "open");
        };
        if std::ptr::eq(winner, seed) {
            return ("Not so far: no candidate is better than the seed program.".into(), "open");
        }
        let gain = winner.ood_acc.zip(seed.ood_acc).map_or("an unknown number of".into(), |(a, b)| points(a - b));
        let said = format!(
            "Not confirmed. The best candidate has {gain} points over the seed program as selected: the luck of being chosen is \
             included, and no fresh training has tested it."
        );
        return (said, "open");
    };
    // In the words that every other program has for it.
    let selected = confirmation.as_selected_sentence().map_or(String::new(), |said| format!(" As selected: {said}."));
    let found = confirmation.sentence();
    if confirmation.confirmed() {
        (format!("Yes, {found}.{selected}"), "yes")
    } else {
        (format!("Not shown: {found}.{selected}"), "no")
    }
}

/// Date, machine, version and command, as far as the run's folder tells.
fn made(run: &Run) -> Vec<(String, String)> {
    let mut list = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            list.push((name.to_owned(), value));
        }
    };
    let sessions = run.made.as_ref().map_or(&[][..], |made| &made.sessions);
    let last = sessions.last();
    if let Some(began) = sessions.first().and_then(Session::began) {
        let from = stage::time::minute(began);
        let to = stage::time::minute(last.and_then(Session::ended).unwrap_or(run.changed).max(began));
        // On one day, the date is said once.
        let same = from.get(..10) == to.get(..10);
        let to = if same { to.get(11..).unwrap_or_default().to_owned() } else { to };
        add("date", if from.ends_with(&to) { format!("{from} UTC") } else { format!("{from} to {to} UTC") });
    }
    let places: Vec<String> = run.effort.trainings.values().filter_map(|trained| trained.place()).collect();
    let mut places =
        if places.is_empty() { last.and_then(|last| last.host.clone()).into_iter().collect() } else { places };
    places.sort();
    places.dedup();
    add("machine", places.join(", "));
    if let Some(last) = last {
        let commit = last.commit.as_ref().map_or_else(String::new, |commit| format!(" ({commit})"));
        add("version", format!("Emberline {}{commit}", last.version));
        add("command", last.command.clone());
    }
    list
}

fn links(run: &Run, page: Option<&Path>, tables: Option<&Path>) -> Vec<Link> {
    let (Some(folder), Some(page)) = (&run.folder, page) else { return Vec::new() };
    let mut files: Vec<(&str, PathBuf)> =
        FILES.iter().map(|(name, file)| (*name, folder.join(file))).filter(|(_, path)| path.is_file()).collect();
    // The page's own tables may be about to be written.
    files.extend(tables.map(|tables| ("tables (CSV, Parquet)", tables.join("candidates.csv"))));
    files
        .into_iter()
        .filter_map(|(name, path)| Some(Link { name: name.into(), href: href(&relative(&path, page)?) }))
        .collect()
}

/// A path as seen from a folder. None where the two have nothing in common.
fn relative(path: &Path, from: &Path) -> Option<PathBuf> {
    let (path, from) = (std::path::absolute(path).ok()?, std::path::absolute(from).ok()?);
    // `a/..` may lead elsewhere than to where it stands, through a link: such paths are left alone.
    if path.components().chain(from.components()).any(|part| part == Component::ParentDir) {
        return None;
    }
    let common = path.components().zip(from.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    Some(up.chain(path.components().skip(common)).collect())
}

/// A relative path as an address: whatever is not a plain letter of a file name is escaped, so it can be no scheme either.
fn href(path: &Path) -> String {
    let mut out = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'/' => out.push(char::from(*byte)),
            other => out += &format!("%{other:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use race::{Confirmation, Gain};
    use schemas::Candidate;

    use super::*;
    use crate::run::{Beside, Setting};

    fn run(confirmation: Option<Confirmation>) -> Run {
        let row = |attempt: i64, ood: f64| Candidate {
            attempt,
            candidate_id: format!("c{attempt}"),
            method: "spark".into(),
            task: Some("dfs".into()),
            parent_id: (attempt > 0).then(|| "c0".into()),
            ood_acc: Some(ood),
            fitness: Some(ood),
            status: schemas::Status::Scored,
            ..Candidate::default()
        };
        let settings = [("train.lengths", "[4, 8, 5]"), ("score.ood_length", "12")]
            .map(|(key, value)| Setting { key: key.into(), value: value.into() });
        Run::new(
            "r".into(),
            vec![row(0, 0.5), row(1, 0.625)],
            Beside { settings: settings.into(), confirmation, ..Beside::default() },
        )
    }

    #[test]
    fn the_answer_is_the_confirmed_one_and_says_when_there_is_none() {
        assert_eq!(
            question(&run(None)),
            "Does a search (spark) find a graph network processor that is better than the seed program on CLRS dfs on graphs of \
             12 nodes, trained with 4 to 8 nodes?"
        );
        let (said, verdict) = answer(&run(None));
        assert!(said.starts_with("Not confirmed. The best candidate has +12.50 points") && verdict == "open", "{said}");
        let gain =
            |lower: f64| Gain { mean: 0.2, lower: Some(lower), upper: Some(0.3), p: 0.0156, exact: true, pairs: 7 };
        let of = |lower| run(Some(Confirmation { gain: Some(gain(lower)), ..Confirmation::default() }));
        let (said, verdict) = answer(&of(0.1));
        assert!(
            said.starts_with("Yes, confirmed: +20.0 points over the seed program, 95 % interval +10.0 to +30.0"),
            "{said}"
        );
        assert!(said.ends_with("7 fresh seeds.") && verdict == "yes", "{said}");
        let (said, verdict) = answer(&of(-0.1));
        assert!(said.starts_with("Not shown: no gain is confirmed: +20.0 points") && verdict == "no", "{said}");
        let none = Confirmation { reason: Some("all trainings failed".into()), ..Confirmation::default() };
        assert_eq!(answer(&run(Some(none))), ("Not shown: no gain is confirmed: all trainings failed.".into(), "no"));
    }

    #[test]
    fn addresses_are_relative_and_no_scheme() {
        let to = |path: &str, from: &str| relative(Path::new(path), Path::new(from)).map(|path| href(&path));
        assert_eq!(to("/r/a/best.py", "/r/a").as_deref(), Some("best.py"));
        assert_eq!(to("/r/a/best.py", "/r/compare/x").as_deref(), Some("../../a/best.py"));
        assert_eq!(to("/r/javascript:x \"<é", "/r").as_deref(), Some("javascript%3Ax%20%22%3C%C3%A9"));
        assert_eq!(to("/r/../a", "/r"), None);
    }
}
