//! What a reader has to know before comparing runs: their profile, and how far differences between them can be trusted.

use super::cards::profile;
use crate::analysis::Group;
use crate::run::Run;
use crate::text::count;

/// The profile that all runs share; None where they differ, or where nothing is known of it.
pub fn shared_profile(runs: &[Run]) -> Option<String> {
    let first = profile(runs.first()?);
    (!first.is_empty() && runs.iter().all(|run| profile(run) == first)).then_some(first)
}

/// What holds for the comparison as a whole, most important first.
pub fn remarks(runs: &[Run], groups: &[Group<'_>]) -> Vec<String> {
    let mut list: Vec<String> = few_runs(groups).into_iter().collect();
    let known: Vec<String> = runs.iter().map(profile).filter(|profile| !profile.is_empty()).collect();
    if known.windows(2).any(|pair| pair[0] != pair[1]) {
        list.push("The runs differ in their profiles: their accuracies do not compare.".into());
    }
    if let Some((first, others)) = runs.split_first() {
        list.extend(
            first.remarks.iter().filter(|remark| others.iter().all(|run| run.remarks.contains(remark))).cloned(),
        );
    }
    list
}

/// That so few runs cannot tell one method from another; None where they could, or where all are of one method.
fn few_runs(groups: &[Group<'_>]) -> Option<String> {
    let method = |group: &Group<'_>| group.runs.first().map(|run| run.method.clone());
    if groups.windows(2).all(|pair| method(&pair[0]) == method(&pair[1])) {
        return None;
    }
    let mut sizes: Vec<usize> = groups.iter().map(|group| group.runs.len()).collect();
    sizes.sort_unstable();
    let [.., next, most] = sizes[..] else { return None };
    let least = least_p(next, most);
    if least <= 0.05 {
        return None;
    }
    let each = if sizes.first() == Some(&most) { "for each method" } else { "for a method, at most," };
    let why = match most {
        1 => "there is nothing to tell it from chance".into(),
        _ => format!(
            "an exact rank test has p = {least:.2} at the least, even where all runs of one are above all runs of the other"
        ),
    };
    Some(format!(
        "With {} {each} no difference between two methods is significant: {why}. Take the order of the methods as a hint.",
        count(most, "run")
    ))
}

/// The smallest two-sided p that an exact rank test can have between so many runs and so many others: that of the two
/// orders in which all of one stand above all of the other.
fn least_p(few: usize, many: usize) -> f64 {
    let orders: f64 = (1..=few).map(|i| (many + i) as f64 / i as f64).product();
    (2.0 / orders).min(1.0)
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
        few_runs(&group_runs(&runs))
    }

    #[test]
    fn few_runs_are_called_so_until_a_test_could_tell_methods_apart() {
        let text = said(&[("spark", 2), ("eoh", 2)]).expect("too few");
        assert!(text.contains("With 2 runs for each method") && text.contains("p = 0.33"), "{text}");
        let text = said(&[("spark", 3), ("eoh", 1)]).expect("too few");
        assert!(text.contains("With 3 runs for a method, at most,") && text.contains("p = 0.50"), "{text}");
        assert!(said(&[("spark", 1), ("eoh", 1)]).expect("too few").contains("With 1 run for each method"));
        assert_eq!(said(&[("spark", 4), ("eoh", 4)]), None);
        assert_eq!(said(&[("spark", 2)]), None);
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn what_all_runs_remark_is_said_once_for_all() {
        let mut runs = [run("spark", 0), run("eoh", 0)];
        runs.iter_mut().for_each(|run| run.remarks = vec!["of all".into()]);
        runs[1].remarks.push("of one".into());
        let list = remarks(&runs, &group_runs(&runs));
        assert!(list.contains(&"of all".into()) && !list.contains(&"of one".into()), "{list:?}");
    }
}
