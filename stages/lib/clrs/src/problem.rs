//! Random problems: what each kind of algorithm is given, and how it is drawn.
//!
//! The order of draws is that of dm-clrs 2.0.3, since it fixes the data.

use std::f64::consts::PI;

use crate::algorithms::Algorithm;
use crate::error::ClrsError;
use crate::matrix::Matrix;
use crate::random::RandomState;
use crate::sampler::SamplerArgs;
use crate::trace::Trace;

/// Longest problems: a step of one sample of a graph algorithm takes gigabytes there.
const LONGEST: usize = 1 << 14;
/// Letters of the strings' alphabet.
pub(crate) const ALPHABET: usize = 4;
/// Communities of the graphs for strongly connected components.
pub(crate) const COMMUNITIES: usize = 4;
/// Probability of an edge between communities.
pub(crate) const BETWEEN: f64 = 0.01;
/// Probability of an edge within a community unless the sampler is told another.
pub(crate) const WITHIN: f64 = 0.5;
/// Radius of the disk that convex hull problems lie in.
pub(crate) const RADIUS: f64 = 2.0;
/// Twice the area of a triangle below which its corners count as collinear.
const COLLINEAR: f64 = 1e-12;
const POINT_ATTEMPTS: usize = 1000;

/// A random graph: each ordered pair of nodes, a node and itself included, is an edge with the same probability.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GraphKind {
    pub edges: Edges,
    pub weighted: bool,
    /// Edge probability unless the sampler is told another.
    pub p: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edges {
    Directed,
    /// Only where both directions were drawn.
    Undirected,
    Acyclic,
}

/// A kind of problem, together with the algorithm that solves it.
#[derive(Clone, Copy)]
pub(crate) enum Problem {
    /// Keys, uniform in [low, 1).
    Keys {
        low: f64,
        run: fn(&[f64], &mut Trace),
    },
    /// A target and sorted keys.
    Search {
        run: fn(f64, &[f64], &mut Trace),
    },
    /// Two strings of half the length each.
    Strings {
        run: fn(&[u8], &[u8], &mut Trace),
    },
    /// A haystack and a needle that it holds.
    Needle {
        run: fn(&[u8], &[u8], &mut Trace),
    },
    /// Probabilities of the keys of a search tree, and of the gaps between them.
    SearchTree {
        run: fn(&[f64], &[f64], &mut Trace),
    },
    /// Begins and ends of activities.
    Intervals {
        run: fn(&[f64], &[f64], &mut Trace),
    },
    /// Deadlines and weights of unit-time tasks.
    Tasks {
        run: fn(&[usize], &[f64], &mut Trace),
    },
    Graph {
        kind: GraphKind,
        run: fn(&Matrix, &mut Trace),
    },
    /// A graph and one of its nodes.
    Rooted {
        kind: GraphKind,
        run: fn(&Matrix, usize, &mut Trace),
    },
    /// A directed graph of four communities.
    Communities {
        run: fn(&Matrix, &mut Trace),
    },
    /// Abscissas and ordinates of two segments' ends.
    Segments {
        run: fn(&[f64], &[f64], &mut Trace),
    },
    /// Abscissas and ordinates of points on a disk, no three of them on a line.
    Points {
        run: fn(&[f64], &[f64], &mut Trace),
    },
}

impl Problem {
    /// Whether problems of this length exist, and the arguments make sense.
    pub fn validate(&self, algorithm: &Algorithm, length: usize, args: &SamplerArgs) -> Result<(), ClrsError> {
        let name = algorithm.name;
        let (least, why) = match self {
            Self::Segments { .. } | Self::SearchTree { .. } => (1, ""),
            Self::Needle { .. } => (3, " (a needle and a longer haystack)"),
            Self::Communities { .. } => (COMMUNITIES, " (one node for each of the four communities)"),
            _ => (2, ""),
        };
        if length < least {
            return Err(ClrsError::LengthTooShort { algorithm: name, length, least, why });
        }
        if length > LONGEST {
            return Err(ClrsError::LengthTooLong { algorithm: name, length, most: LONGEST });
        }
        match self {
            Self::Graph { .. } | Self::Rooted { .. } | Self::Communities { .. } => check_probabilities(args),
            Self::Needle { .. } => check_needle(name, length, args),
            _ => Ok(()),
        }
    }

    /// Draws a problem and records how the algorithm solves it.
    ///
    /// `length` and `args` must have passed [`Problem::validate`].
    pub fn run(
        &self,
        rng: &mut RandomState,
        length: usize,
        args: &SamplerArgs,
        trace: &mut Trace,
    ) -> Result<(), ClrsError> {
        match self {
            Self::Keys { low, run } => run(&rng.uniforms(*low, 1.0, length), trace),
            Self::Search { run } => {
                let mut keys = rng.uniforms(0.0, 1.0, length);
                keys.sort_by(f64::total_cmp);
                run(rng.uniform(0.0, 1.0), &keys, trace);
            }
            Self::Strings { run } => {
                let x = letters(rng, length - length / 2);
                run(&x, &letters(rng, length / 2), trace);
            }
            Self::Needle { run } => {
                let (haystack, needle) = haystack(rng, length, args.length_needle);
                run(&haystack, &needle, trace);
            }
            Self::SearchTree { run } => {
                let mut weights = rng.uniforms(0.0, 1.0, 2 * length + 1);
                let total = pairwise_sum(&weights);
                weights.iter_mut().for_each(|weight| *weight /= total);
                let (keys, gaps) = weights.split_at(length);
                run(keys, gaps, trace);
            }
            Self::Intervals { run } => {
                let (a, b) = (rng.uniforms(0.0, 1.0, length), rng.uniforms(0.0, 1.0, length));
                let begins: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a.min(*b)).collect();
                let ends: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a.max(*b)).collect();
                run(&begins, &ends, trace);
            }
            Self::Tasks { run } => {
                let deadlines: Vec<usize> = (0..length).map(|_| rng.choice(length) + 1).collect();
                run(&deadlines, &rng.uniforms(0.0, 1.0, length), trace);
            }
            Self::Graph { kind, run } => run(&graph(rng, *kind, length, args), trace),
            Self::Rooted { kind, run } => {
                let graph = graph(rng, *kind, length, args);
                run(&graph, rng.choice(length), trace);
            }
            Self::Communities { run } => run(&communities(rng, length, args), trace),
            Self::Segments { run } => {
                let (xs, ys) = segments(rng);
                run(&xs, &ys, trace);
            }
            Self::Points { run } => {
                let (xs, ys) = points(rng, length)?;
                run(&xs, &ys, trace);
            }
        }
        Ok(())
    }
}

fn check_probabilities(args: &SamplerArgs) -> Result<(), ClrsError> {
    match &args.p {
        Some(p) if p.is_empty() || !p.iter().all(|p| (0.0..=1.0).contains(p)) => {
            Err(ClrsError::BadProbabilities(p.clone()))
        }
        _ => Ok(()),
    }
}

fn check_needle(algorithm: &'static str, length: usize, args: &SamplerArgs) -> Result<(), ClrsError> {
    let needle = match args.length_needle {
        None => return Ok(()),
        Some(0) => return Err(ClrsError::EmptyNeedle),
        // What no `usize` holds is too long for every haystack, too.
        Some(needle) => usize::try_from(needle.unsigned_abs()).unwrap_or(usize::MAX),
    };
    let least = needle.saturating_mul(2).saturating_add(1);
    if length < least {
        return Err(ClrsError::NeedleTooLong { algorithm, needle, length, least });
    }
    Ok(())
}

fn letters(rng: &mut RandomState, length: usize) -> Vec<u8> {
    (0..length).map(|_| rng.choice(ALPHABET) as u8).collect()
}

fn haystack(rng: &mut RandomState, length: usize, needle: Option<i64>) -> (Vec<u8>, Vec<u8>) {
    let needle = match needle {
        None if length < 5 => 1,
        None => length / 5,
        Some(most) if most < 0 => rng.randint(1, 1 - most) as usize,
        Some(needle) => needle as usize,
    };
    let needle = letters(rng, needle);
    let mut haystack = letters(rng, length - needle.len());
    let at = rng.choice(haystack.len() - needle.len());
    haystack[at..at + needle.len()].copy_from_slice(&needle);
    (haystack, needle)
}

/// NumPy's sum: eight running sums over up to 128 numbers, halves of what is longer.
fn pairwise_sum(values: &[f64]) -> f64 {
    let n = values.len();
    if n < 8 {
        return values.iter().sum();
    }
    if n > 128 {
        let half = n / 2 - (n / 2) % 8;
        return pairwise_sum(&values[..half]) + pairwise_sum(&values[half..]);
    }
    let (eights, rest) = values.as_chunks::<8>();
    let mut r = [0.0; 8];
    for eight in eights {
        for (sum, value) in r.iter_mut().zip(eight) {
            *sum += value;
        }
    }
    let total = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    rest.iter().fold(total, |total, value| total + value)
}

fn choose_p(rng: &mut RandomState, args: &SamplerArgs, default: f64) -> f64 {
    match &args.p {
        None => default,
        Some(p) => p[rng.choice(p.len())],
    }
}

fn graph(rng: &mut RandomState, kind: GraphKind, n: usize, args: &SamplerArgs) -> Matrix {
    let p = choose_p(rng, args, kind.p);
    erdos_renyi(rng, kind, n, p)
}

/// A graph after Erdős and Rényi (1959).
fn erdos_renyi(rng: &mut RandomState, kind: GraphKind, n: usize, p: f64) -> Matrix {
    let drawn = Matrix::from_fn(n, |_, _| f64::from(u8::from(rng.bernoulli(p))));
    let graph = match kind.edges {
        Edges::Directed => drawn,
        Edges::Undirected => Matrix::from_fn(n, |i, j| drawn[(i, j)] * drawn[(j, i)]),
        Edges::Acyclic => {
            let upper = Matrix::from_fn(n, |i, j| if i < j { drawn[(i, j)] } else { 0.0 });
            upper.reordered(&rng.permutation(n))
        }
    };
    if !kind.weighted {
        return graph;
    }
    let drawn = Matrix::from_fn(n, |_, _| rng.uniform(0.0, 1.0));
    match kind.edges {
        // The least weight stays clear of zero, which would mean that there is no edge.
        Edges::Undirected => Matrix::from_fn(n, |i, j| graph[(i, j)] * (drawn[(i, j)] * drawn[(j, i)] + 1e-3).sqrt()),
        Edges::Directed | Edges::Acyclic => Matrix::from_fn(n, |i, j| graph[(i, j)] * drawn[(i, j)]),
    }
}

/// Dense communities with a few edges from earlier communities to later ones, so that no cycle leaves a community.
fn communities(rng: &mut RandomState, n: usize, args: &SamplerArgs) -> Matrix {
    let kind = GraphKind { edges: Edges::Directed, weighted: false, p: WITHIN };
    let p = choose_p(rng, args, kind.p);
    let size = n / COMMUNITIES;
    let community = |node: usize| (node / size).min(COMMUNITIES - 1);
    let mut graph = Matrix::zeros(n);
    for begin in (0..COMMUNITIES).map(|k| k * size) {
        let end = if begin + size == COMMUNITIES * size { n } else { begin + size };
        let within = erdos_renyi(rng, kind, end - begin, p);
        for i in begin..end {
            for j in begin..end {
                graph[(i, j)] = within[(i - begin, j - begin)];
            }
        }
    }
    let toggles = erdos_renyi(rng, kind, n, BETWEEN);
    let toggled = Matrix::from_fn(n, |i, j| {
        let toggle = toggles.edge(i, j) && community(i) <= community(j);
        f64::from(u8::from(graph.edge(i, j) != toggle))
    });
    toggled.reordered(&rng.permutation(n))
}

/// Two segments that meet or do not, with equal probability.
fn segments(rng: &mut RandomState) -> (Vec<f64>, Vec<f64>) {
    let wanted = rng.bernoulli(0.5);
    loop {
        let (xs, ys) = (rng.uniforms(0.0, 1.0, 4), rng.uniforms(0.0, 1.0, 4));
        let left = |a: usize, b: usize, c: usize| (ys[c] - ys[a]) * (xs[b] - xs[a]) > (ys[b] - ys[a]) * (xs[c] - xs[a]);
        let meet = left(0, 2, 3) != left(1, 2, 3) && left(0, 1, 2) != left(0, 1, 3);
        if meet == wanted {
            return (xs, ys);
        }
    }
}

fn points(rng: &mut RandomState, length: usize) -> Result<(Vec<f64>, Vec<f64>), ClrsError> {
    for _ in 0..POINT_ATTEMPTS {
        let angles = rng.uniforms(0.0, 2.0 * PI, length);
        let radii: Vec<f64> = rng.uniforms(0.0, 1.0, length).iter().map(|u| RADIUS * u.sqrt()).collect();
        let xs: Vec<f64> = angles.iter().zip(&radii).map(|(angle, radius)| radius * angle.cos()).collect();
        let ys: Vec<f64> = angles.iter().zip(&radii).map(|(angle, radius)| radius * angle.sin()).collect();
        if in_general_position(&xs, &ys) {
            return Ok((xs, ys));
        }
    }
    Err(ClrsError::NoGeneralPosition { length, attempts: POINT_ATTEMPTS })
}

/// Whether no three points lie on a line.
fn in_general_position(xs: &[f64], ys: &[f64]) -> bool {
    let n = xs.len();
    (0..n).all(|a| {
        (a + 1..n).all(|b| {
            let (x, y) = (xs[b] - xs[a], ys[b] - ys[a]);
            (b + 1..n).all(|c| (x * (ys[c] - ys[a]) - y * (xs[c] - xs[a])).abs() >= COLLINEAR)
        })
    })
}
