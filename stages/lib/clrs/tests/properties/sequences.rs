//! Sorting, searching, divide and conquer, greedy algorithms and strings.

use crate::for_random_samples;
use crate::sample::Sample;

#[test]
fn sorted_outputs_sort() {
    for name in ["insertion_sort", "bubble_sort", "heapsort", "quicksort"] {
        for_random_samples(name, 2, |sample| {
            let (keys, pred) = (sample.values("key"), sample.pointers("pred"));
            let mut order: Vec<usize> = (0..sample.n).collect();
            order.sort_by(|&i, &j| keys[i].total_cmp(&keys[j]));
            assert_eq!(pred[order[0]], order[0], "{name}: the least key is its own predecessor");
            for pair in order.windows(2) {
                assert_eq!(pred[pair[1]], pair[0], "{name}: {keys:?} {pred:?}");
            }
        });
    }
}

#[test]
fn heaps_are_empty_in_the_end() {
    for_random_samples("heapsort", 2, |sample| {
        let alone: Vec<usize> = (0..sample.n).collect();
        assert_eq!(sample.pointers("parent"), alone, "an empty heap has no children");
    });
}

/// Number of keys below that of `node`.
fn rank(sample: &Sample, node: usize) -> usize {
    let keys = sample.values("key");
    keys.iter().filter(|&&key| key < keys[node]).count()
}

#[test]
fn minimum_is_least() {
    for_random_samples("minimum", 2, |sample| assert_eq!(rank(sample, sample.one("min")), 0));
}

#[test]
fn median_is_in_the_middle() {
    for_random_samples("quickselect", 2, |sample| assert_eq!(rank(sample, sample.one("median")), sample.n / 2));
}

#[test]
fn binary_search_finds_the_first_key_that_is_no_less() {
    for_random_samples("binary_search", 2, |sample| {
        let (keys, target) = (sample.values("key"), sample.values("target")[0]);
        assert!(keys.is_sorted());
        let first = keys.iter().position(|&key| key >= target).unwrap_or(sample.n - 1);
        assert_eq!(sample.one("return"), first);
    });
}

#[test]
fn maximum_subarray_is_maximal() {
    for_random_samples("find_maximum_subarray_kadane", 2, |sample| {
        let keys = sample.values("key");
        let sum = |low: usize, high: usize| keys[low..=high].iter().sum::<f64>();
        let best = (0..sample.n).flat_map(|low| (low..sample.n).map(move |high| (low, high)));
        let best = best.map(|(low, high)| sum(low, high)).fold(f64::MIN, f64::max);
        let found = sum(sample.one("start"), sample.one("end"));
        assert!((found - best).abs() < 1e-12, "{found} is not {best}");
        assert!((sample.values("best_sum")[0] - best).abs() < 1e-12);
    });
}

#[test]
fn selected_activities_do_not_overlap_and_are_as_many_as_can_be() {
    for_random_samples("activity_selector", 2, |sample| {
        let (begins, ends, selected) = (sample.values("s"), sample.values("f"), sample.mask("selected"));
        let chosen: Vec<usize> = (0..sample.n).filter(|&i| selected[i]).collect();
        let apart = |i: usize, j: usize| ends[i] <= begins[j] || ends[j] <= begins[i];
        assert!(chosen.iter().all(|&i| chosen.iter().all(|&j| i == j || apart(i, j))));
        // Longest chain of activities one after the other.
        let mut by_begin: Vec<usize> = (0..sample.n).collect();
        by_begin.sort_by(|&i, &j| begins[i].total_cmp(&begins[j]));
        let mut longest = vec![1; sample.n];
        for (at, &j) in by_begin.iter().enumerate() {
            let before = by_begin[..at].iter().filter(|&&i| ends[i] <= begins[j]).map(|&i| longest[i]);
            longest[j] = 1 + before.max().unwrap_or(0);
        }
        assert_eq!(Some(chosen.len()), longest.into_iter().max());
    });
}

#[test]
fn selected_tasks_meet_their_deadlines_and_the_others_came_too_late() {
    for_random_samples("task_scheduling", 2, |sample| {
        let (deadlines, weights, selected) = (sample.values("d"), sample.values("w"), sample.mask("selected"));
        let heavier = |i: usize| (0..sample.n).filter(|&j| selected[j] && weights[j] > weights[i]).count() as f64;
        for i in 0..sample.n {
            assert_eq!(selected[i], heavier(i) < deadlines[i], "task {i} of {deadlines:?}, {weights:?}");
        }
        assert_eq!(sample.values("t")[0], selected.iter().filter(|&&taken| taken).count() as f64);
    });
}

#[test]
fn strings_match_where_they_do_first() {
    for name in ["naive_string_matcher", "kmp_matcher"] {
        for_random_samples(name, 17, |sample| {
            let letters = sample.classes("key", 4);
            let text_length = sample.values("string").iter().filter(|&&second| second == 0.0).count();
            let (text, pattern) = letters.split_at(text_length);
            let first = text.windows(pattern.len()).position(|window| window == pattern);
            assert_eq!(Some(sample.one("match")), first, "{name}: the needle was put there");
        });
    }
}

/// The prefix function tells where a longest proper prefix ends that is a suffix of what ends here.
#[test]
fn prefix_function_is_right() {
    for_random_samples("kmp_matcher", 17, |sample| {
        let text_length = sample.values("string").iter().filter(|&&second| second == 0.0).count();
        let letters = sample.classes("key", 4);
        let pattern = &letters[text_length..];
        let (pi, is_reset) = (sample.pointers("pi"), sample.mask("is_reset"));
        for q in 0..pattern.len() {
            let longest = (1..=q).rev().find(|&length| pattern[..length] == pattern[q + 1 - length..=q]);
            assert_eq!(is_reset[text_length + q], longest.is_none());
            if let Some(length) = longest {
                assert_eq!(pi[text_length + q], text_length + length - 1);
            }
        }
    });
}
