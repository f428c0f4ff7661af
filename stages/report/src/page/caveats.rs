//! What a reader has to know before comparing runs: their profile, and how far differences between them can be trusted.

use super::cards::profile;
use crate::analysis::{Group, baseline, least_p};
use crate::run::Run;
use crate::text::count;

/// The profile that all runs share; None where they differ, or where nothing is known of it.
pub fn shared_profile(runs: &[Run]) -> Option<String> {
    let first = profile(runs.first()?);
    (!first.is_empty() && runs.iter().all(|run| profile(run) == first)).then_some(first)
}

/// What holds for the comparison as a whole, most important first.
pub fn remarks(runs: &[Run], groups: &[Group<'_>], named: Option<&str>) -> Vec<String> {
    let mut list: Vec<String> = few_runs(groups, named).into_iter().collect();
    let identities: Vec<stage::runs::Run> = runs.iter().map(|run| run.identity.clone()).collect();
    let differing = stage::runs::differences(&identities);
    if !differing.is_empty() {
        let settings: Vec<String> = differing.iter().map(ToString::to_string).collect();
        list.push(format!(
            "The runs were made with different settings, and what was made so does not compare: {}.",
            settings.join(" | ")
        ));
    }
    if let Some((first, others)) = runs.split_first() {
        list.extend(
            first.remarks.iter().filter(|remark| others.iter().all(|run| run.remarks.contains(remark))).cloned(),
        );
    }
    list
}

/// Says that so few runs cannot tell one method from another; None where they could, or where all are of one method.
fn few_runs(groups: &[Group<'_>], named: Option<&str>) -> Option<String> {
    let base = baseline(groups, named)?;
    let others: Vec<&Group<'_>> =
        groups.iter().filter(|group| group.name != base.name && group.compares(base)).collect();
    let tests: Vec<(f64, bool)> = others.iter().filter_map(|group| least_p(group, base)).collect();
    let (least, paired) = tests.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0))?;
    let test = if paired { "paired permutation test" } else { "permutation test" };
    // Holm multiplies the smallest of the p-values by their number.
    let corrected = (least * tests.len() as f64).min(1.0);
    if corrected <= 0.05 {
        return None;
    }
    let needed = (1..64).find(|n| stats::smallest_paired_p(*n).is_some_and(|p| p * tests.len() as f64 <= 0.05));
    let remedy = match needed.filter(|_| paired) {
        Some(needed) => format!(" That takes {needed} seeds of each method."),
        None => String::new(),
    };
    if least <= 0.05 {
        return Some(format!(
            "With {} of {} the {test} can have p = {} at the least, and {} after the correction for {} methods: where all are \
             looked at, no difference is significant at 5 %.{remedy} Take the order of the methods as a hint.",
            count(base.runs.len(), "run"),
            base.name,
            two(least),
            two(corrected),
            tests.len()
        ));
    }
    let most = groups.iter().map(|group| group.runs.len()).max()?;
    let all = groups.iter().all(|group| group.runs.len() == most);
    let each = if all { "for each method" } else { "for a method, at most," };
    let clearest =
        if paired { "one is above the other in every pair" } else { "all runs of one are above all of the other" };
    let why = match most {
        1 => "there is nothing to tell it from chance".into(),
        _ => format!("the {test} has p = {} at the least, even where {clearest}", two(least)),
    };
    Some(format!(
        "With {} {each} no difference from {} is significant: {why}.{remedy} Take the order of the methods as a hint.",
        count(most, "run"),
        base.name
    ))
}

/// `0.06`, `0.004`: two digits that count.
fn two(p: f64) -> String {
    if p < 0.01 { format!("{p:.3}") } else { format!("{p:.2}") }
}

#[cfg(test)]
mod tests {
    use schemas::Candidate;

    use super::*;
    use crate::analysis::group_runs;
    use crate::run::Beside;

    fn run(method: &str, seed: usize) -> Run {
        let row = Candidate { method: method.into(), candidate_id: "a".into(), ..Candidate::default() };
        Run::new(format!("{method}-{seed}"), vec![row], Beside::default())
    }

    fn said(counts: &[(&str, usize)]) -> Option<String> {
        let runs: Vec<Run> = counts.iter().flat_map(|(method, n)| (0..*n).map(move |seed| run(method, seed))).collect();
        few_runs(&group_runs(&runs), None)
    }

    #[test]
    fn few_runs_are_called_so_until_a_test_could_tell_methods_apart() {
        let text = said(&[("spark", 2), ("eoh", 2)]).expect("too few");
        assert!(text.contains("With 2 runs for each method") && text.contains("p = 0.33"), "{text}");
        let text = said(&[("spark", 3), ("eoh", 1)]).expect("too few");
        assert!(text.contains("With 3 runs for a method, at most,") && text.contains("p = 0.25"), "{text}");
        assert!(said(&[("spark", 1), ("eoh", 1)]).expect("too few").contains("With 1 run for each method"));
        assert_eq!(said(&[("spark", 4), ("eoh", 4)]), None);
        // enough for one comparison, and too few for four
        let text = said(&[("spark", 4), ("a", 4), ("b", 4), ("c", 4), ("d", 4)]).expect("too few");
        assert!(
            text.starts_with("With 4 runs of spark the permutation test can have p = 0.03")
                && text.contains("0.11 after"),
            "{text}"
        );
        let runs: Vec<Run> = ["spark", "eoh"]
            .iter()
            .flat_map(|method| (0..5).map(|seed| run(method, seed)))
            .map(|mut run| {
                run.seed = run.name.rsplit('-').next().map(str::to_owned);
                run
            })
            .collect();
        let text = few_runs(&group_runs(&runs), None).expect("five pairs are too few");
        assert!(text.contains("the paired permutation test has p = 0.06 at the least"), "{text}");
        assert!(text.contains("That takes 6 seeds of each method."), "{text}");
        assert_eq!(said(&[("spark", 2)]), None);
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn what_all_runs_remark_is_said_once_for_all() {
        let mut runs = [run("spark", 0), run("eoh", 0)];
        runs.iter_mut().for_each(|run| run.remarks = vec!["of all".into()]);
        runs[1].remarks.push("of one".into());
        let list = remarks(&runs, &group_runs(&runs), None);
        assert!(list.contains(&"of all".into()) && !list.contains(&"of one".into()), "{list:?}");
    }
}
