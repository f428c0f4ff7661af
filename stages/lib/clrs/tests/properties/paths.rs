//! Shortest paths and spanning trees.

use crate::for_random_samples;
use crate::sample::Sample;

/// Distances between all pairs, by relaxing until nothing changes; infinite where there is no way.
pub fn distances(weights: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = weights.len();
    let direct = |i: usize, j: usize| match weights[i][j] {
        _ if i == j => 0.0,
        0.0 => f64::INFINITY,
        weight => weight,
    };
    let mut d: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| direct(i, j)).collect()).collect();
    for _ in 0..n {
        for i in 0..n {
            for j in 0..n {
                for k in 0..n {
                    d[i][j] = d[i][j].min(d[i][k] + d[k][j]);
                }
            }
        }
    }
    d
}

/// Length of the way to `node` that predecessors tell, from whichever node has none.
fn walked(pi: &[usize], weights: &[Vec<f64>], mut node: usize) -> (usize, f64) {
    let mut length = 0.0;
    for _ in 0..pi.len() {
        let before = pi[node];
        if before == node {
            return (node, length);
        }
        assert_ne!(weights[before][node], 0.0, "there is no edge from {before} to {node}");
        length += weights[before][node];
        node = before;
    }
    panic!("predecessors go round in circles: {pi:?}");
}

fn paths_are_shortest(sample: &Sample) {
    let (pi, weights, source) = (sample.pointers("pi"), sample.matrix("A"), sample.one("s"));
    let d = distances(&weights);
    for node in 0..sample.n {
        let (root, length) = walked(&pi, &weights, node);
        if d[source][node].is_finite() {
            assert_eq!(root, source, "{node} can be reached");
            assert!((length - d[source][node]).abs() < 1e-9, "{node}: {length} is not {}", d[source][node]);
        } else {
            assert_eq!(root, node, "{node} cannot be reached");
        }
    }
}

#[test]
fn shortest_paths_are_shortest() {
    for name in ["bfs", "bellman_ford", "dijkstra", "dag_shortest_paths"] {
        for_random_samples(name, 2, paths_are_shortest);
    }
}

#[test]
fn all_pairs_shortest_paths_are_shortest() {
    for_random_samples("floyd_warshall", 2, |sample| {
        let (weights, pi) = (sample.matrix("A"), sample.matrix("Pi"));
        let d = distances(&weights);
        for i in 0..sample.n {
            // Row i as predecessors from i. A loop at i itself may be the algorithm's way from i to i.
            let mut row: Vec<usize> = pi[i].iter().map(|&node| node as usize).collect();
            row[i] = i;
            for j in (0..sample.n).filter(|&j| d[i][j].is_finite()) {
                let (root, length) = walked(&row, &weights, j);
                assert_eq!(root, i);
                assert!((length - d[i][j]).abs() < 1e-9, "{i} to {j}: {length} is not {}", d[i][j]);
            }
        }
    });
}

/// Weights of a minimum spanning forest, by Borůvka's idea: the lightest edge out of a component is in it.
fn forest_weight(weights: &[Vec<f64>], within: impl Fn(usize) -> bool) -> f64 {
    let n = weights.len();
    let mut component: Vec<usize> = (0..n).collect();
    let mut total = 0.0;
    loop {
        let edges = (0..n).flat_map(|u| (0..n).map(move |v| (u, v)));
        let joins = edges.filter(|&(u, v)| within(u) && weights[u][v] != 0.0 && component[u] != component[v]);
        let Some((u, v)) = joins.min_by(|a, b| weights[a.0][a.1].total_cmp(&weights[b.0][b.1])) else {
            return total;
        };
        total += weights[u][v];
        let (from, to) = (component[u], component[v]);
        component.iter_mut().filter(|c| **c == from).for_each(|c| *c = to);
    }
}

#[test]
fn kruskals_forest_is_minimal() {
    for_random_samples("mst_kruskal", 2, |sample| {
        let (weights, in_mst) = (sample.matrix("A"), sample.matrix("in_mst"));
        let mut total = 0.0;
        for u in 0..sample.n {
            for v in u..sample.n {
                assert_eq!(in_mst[u][v], in_mst[v][u]);
                total += in_mst[u][v] * weights[u][v];
            }
        }
        let best = forest_weight(&weights, |_| true);
        assert!((total - best).abs() < 1e-9, "{total} is not {best}");
        let d = distances(&weights);
        let kept: Vec<Vec<f64>> =
            (0..sample.n).map(|u| (0..sample.n).map(|v| in_mst[u][v] * weights[u][v]).collect()).collect();
        let connected = distances(&kept);
        for u in 0..sample.n {
            for v in 0..sample.n {
                assert_eq!(d[u][v].is_finite(), connected[u][v].is_finite(), "{u} and {v}");
            }
        }
    });
}

#[test]
fn prims_tree_is_minimal() {
    for_random_samples("mst_prim", 2, |sample| {
        let (pi, weights, root) = (sample.pointers("pi"), sample.matrix("A"), sample.one("s"));
        let reached = distances(&weights).swap_remove(root);
        let mut total = 0.0;
        for node in 0..sample.n {
            let (from, _) = walked(&pi, &weights, node);
            assert_eq!(from == root, reached[node].is_finite());
            total += if pi[node] == node { 0.0 } else { weights[pi[node]][node] };
        }
        let best = forest_weight(&weights, |u| reached[u].is_finite());
        assert!((total - best).abs() < 1e-9, "{total} is not {best}");
    });
}
