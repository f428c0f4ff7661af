//! Depth-first search and what is built on it.

use crate::for_random_samples;
use crate::paths::distances;
use crate::sample::Sample;

#[test]
fn depth_first_forest_is_one() {
    for_random_samples("dfs", 2, |sample| {
        let (graph, pi) = (sample.matrix("A"), sample.pointers("pi"));
        let (d, f) = (sample.values("d"), sample.values("f"));
        for v in 0..sample.n {
            let u = pi[v];
            assert!(0.0 < d[v] && d[v] < f[v]);
            if u != v {
                assert_ne!(graph[u][v], 0.0, "a tree edge is an edge");
                assert!(d[u] < d[v] && f[v] < f[u], "a child's time lies within its parent's");
            }
        }
        for u in 0..sample.n {
            for v in 0..sample.n {
                let apart = f[u] < d[v] || f[v] < d[u];
                let nested = (d[u] <= d[v] && f[v] <= f[u]) || (d[v] <= d[u] && f[u] <= f[v]);
                assert!(apart != nested, "parentheses");
                assert!(graph[u][v] == 0.0 || d[v] < f[u], "an edge to a node that was still to be discovered");
            }
        }
        let mut times: Vec<f64> = d.iter().chain(f).copied().collect();
        times.sort_by(f64::total_cmp);
        assert!(times.iter().enumerate().all(|(i, time)| (time - (i + 1) as f64 * 0.01).abs() < 1e-9));
    });
}

#[test]
fn topological_order_has_all_edges_forward() {
    for_random_samples("topological_sort", 2, |sample| {
        let (graph, next) = (sample.matrix("A"), sample.pointers("topo"));
        let mut place = vec![None; sample.n];
        let mut node = sample.one("topo_head");
        for at in 0..sample.n {
            assert_eq!(place[node].replace(at), None, "each node comes once");
            node = next[node];
        }
        for u in 0..sample.n {
            for v in 0..sample.n {
                assert!(graph[u][v] == 0.0 || place[u] < place[v], "{u} to {v} goes backwards");
            }
        }
    });
}

#[test]
fn strong_components_are_mutually_reachable() {
    for_random_samples("strongly_connected_components", 4, |sample| {
        let (d, id) = (distances(&sample.matrix("A")), sample.pointers("scc_id"));
        for u in 0..sample.n {
            assert_eq!(id[id[u]], id[u], "a component is named by one of its nodes");
            for v in 0..sample.n {
                let mutual = d[u][v].is_finite() && d[v][u].is_finite();
                assert_eq!(id[u] == id[v], mutual, "{u} and {v}");
            }
        }
    });
}

/// Number of connected parts of the graph without one node, or without one edge.
fn parts(graph: &[Vec<f64>], without: impl Fn(usize, usize) -> bool, nodes: impl Fn(usize) -> bool) -> usize {
    let n = graph.len();
    let mut kept = graph.to_vec();
    for u in 0..n {
        for v in 0..n {
            if without(u, v) {
                kept[u][v] = 0.0;
            }
        }
    }
    let d = distances(&kept);
    // A part is counted at its first node.
    (0..n).filter(|&v| nodes(v) && (0..v).all(|u| !nodes(u) || d[u][v].is_infinite())).count()
}

fn whole(sample: &Sample) -> usize {
    parts(&sample.matrix("A"), |_, _| false, |_| true)
}

#[test]
fn articulation_points_hold_the_graph_together() {
    for_random_samples("articulation_points", 2, |sample| {
        let (graph, is_cut, before) = (sample.matrix("A"), sample.mask("is_cut"), whole(sample));
        for (node, &cut) in is_cut.iter().enumerate() {
            let after = parts(&graph, |u, v| u == node || v == node, |u| u != node);
            assert_eq!(cut, after > before, "{node}");
        }
    });
}

#[test]
fn bridges_hold_the_graph_together() {
    for_random_samples("bridges", 2, |sample| {
        let (graph, is_bridge, before) = (sample.matrix("A"), sample.matrix("is_bridge"), whole(sample));
        for a in 0..sample.n {
            for b in 0..sample.n {
                if a != b && graph[a][b] == 0.0 {
                    assert_eq!(is_bridge[a][b], clrs::MASKED, "no edge, no target");
                    continue;
                }
                let after = parts(&graph, |u, v| (u, v) == (a, b) || (u, v) == (b, a), |_| true);
                assert_eq!(is_bridge[a][b] == 1.0, after > before, "{a} to {b}");
            }
        }
    });
}
