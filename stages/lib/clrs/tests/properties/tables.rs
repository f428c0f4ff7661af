//! Dynamic programming: what the tables' choices lead to costs as little as anything could.

use crate::for_random_samples;

#[test]
fn matrix_chains_are_cheapest() {
    for_random_samples("matrix_chain_order", 2, |sample| {
        let (p, s, last) = (sample.values("p"), sample.matrix("s"), sample.n - 1);
        // The product of matrices i..=j: matrix i is p[i - 1] x p[i].
        fn chosen(i: usize, j: usize, p: &[f64], s: &[Vec<f64>]) -> f64 {
            if i == j {
                return 0.0;
            }
            let k = s[i][j] as usize;
            assert!((i..j).contains(&k));
            chosen(i, k, p, s) + chosen(k + 1, j, p, s) + p[i - 1] * p[k] * p[j]
        }
        let mut best = vec![vec![0.0; sample.n]; sample.n];
        for length in 1..last {
            for i in 1..=last - length {
                let j = i + length;
                let ways = (i..j).map(|k| best[i][k] + best[k + 1][j] + p[i - 1] * p[k] * p[j]);
                best[i][j] = ways.fold(f64::INFINITY, f64::min);
            }
        }
        let (found, best) = (chosen(1, last, p, &s), best[1][last]);
        assert!((found - best).abs() < 1e-9, "{found} is not {best}");
        assert!((sample.matrix("m")[1][last] - best).abs() < 1e-9);
    });
}

#[test]
fn search_trees_are_cheapest() {
    for_random_samples("optimal_bst", 1, |sample| {
        let (p, q, root) = (sample.values("p"), sample.values("q"), sample.matrix("root"));
        let keys = sample.n - 1;
        assert!((p.iter().chain(q).sum::<f64>() - 1.0).abs() < 1e-12, "probabilities");
        // The tree of keys i..j, a search in which costs one for each node on the way.
        let weight = |i: usize, j: usize| p[i..j].iter().sum::<f64>() + q[i..=j].iter().sum::<f64>();
        fn chosen(i: usize, j: usize, q: &[f64], root: &[Vec<f64>], weight: &dyn Fn(usize, usize) -> f64) -> f64 {
            if i == j {
                return q[i];
            }
            let r = root[i][j] as usize;
            assert!((i..j).contains(&r));
            chosen(i, r, q, root, weight) + chosen(r + 1, j, q, root, weight) + weight(i, j)
        }
        let mut best = vec![vec![0.0; keys + 1]; keys + 1];
        for length in 0..=keys {
            for i in 0..=keys - length {
                let j = i + length;
                let ways = (i..j).map(|r| best[i][r] + best[r + 1][j] + weight(i, j));
                best[i][j] = if length == 0 { q[i] } else { ways.fold(f64::INFINITY, f64::min) };
            }
        }
        let found = chosen(0, keys, q, &root, &weight);
        assert!((found - best[0][keys]).abs() < 1e-9, "{found} is not {}", best[0][keys]);
    });
}

#[test]
fn common_subsequences_are_longest() {
    for_random_samples("lcs_length", 2, |sample| {
        let letters = sample.classes("key", 4);
        let rows = sample.values("string").iter().filter(|&&second| second == 0.0).count();
        let (x, y) = letters.split_at(rows);
        let moves = sample.classes("b", 4);
        let (mut i, mut j, mut found) = (rows as i64 - 1, y.len() as i64 - 1, 0);
        while i >= 0 && j >= 0 {
            match moves[i as usize * sample.n + rows + j as usize] {
                Some(0) => {
                    assert_eq!(x[i as usize], y[j as usize]);
                    (i, j, found) = (i - 1, j - 1, found + 1);
                }
                Some(1) => i -= 1,
                Some(2) => j -= 1,
                other => panic!("no move: {other:?}"),
            }
        }
        let mut longest = vec![vec![0; y.len() + 1]; rows + 1];
        for (i, a) in x.iter().enumerate() {
            for (j, b) in y.iter().enumerate() {
                let skip = longest[i][j + 1].max(longest[i + 1][j]);
                longest[i + 1][j + 1] = if a == b { skip.max(longest[i][j] + 1) } else { skip };
            }
        }
        assert_eq!(found, longest[rows][y.len()]);
        let c = sample.matrix("c")[rows - 1][sample.n - 1];
        assert_eq!(c, f64::from(longest[rows][y.len()]));
    });
}
