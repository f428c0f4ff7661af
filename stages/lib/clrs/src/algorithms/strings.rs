//! String matching: CLRS, chapter 32.
//!
//! Nodes are the letters of the text `t`, then those of the pattern `p`. "No match" would be put out as the pattern's
//! first node; samplers always draw a match.

use super::{Algorithm, Family, positions};
use crate::problem::{ALPHABET, Problem};
use crate::spec::Location::{Graph, Node};
use crate::spec::Type::{Categorical, Mask, MaskOne, Pointer, Scalar};
use crate::spec::{SpecEntry, hint, input, output};
use crate::trace::Trace;

/// The naive string matcher.
pub(super) const NAIVE_STRING_MATCHER: Algorithm = Algorithm::new(
    "naive_string_matcher",
    Family::Strings,
    "CLRS 32.1",
    NAIVE_STRING_MATCHER_SPEC,
    Problem::Needle { run: naive_string_matcher },
)
.scored_on(64)
.fixed_pred();

const NAIVE_STRING_MATCHER_SPEC: &[SpecEntry] = &[
    input("string", Node, Mask),
    input("pos", Node, Scalar),
    input("key", Node, Categorical).of(ALPHABET),
    output("match", Node, MaskOne),
    hint("pred_h", Node, Pointer),
    hint("s", Node, MaskOne),
    hint("i", Node, MaskOne),
    hint("j", Node, MaskOne),
];

/// The matcher of Knuth, Morris and Pratt.
pub(super) const KMP_MATCHER: Algorithm = Algorithm::new(
    "kmp_matcher",
    Family::Strings,
    "CLRS 32.4; Knuth, Morris and Pratt (1977)",
    KMP_MATCHER_SPEC,
    Problem::Needle { run: kmp_matcher },
)
.scored_on(64)
.fixed_pred();

const KMP_MATCHER_SPEC: &[SpecEntry] = &[
    input("string", Node, Mask),
    input("pos", Node, Scalar),
    input("key", Node, Categorical).of(ALPHABET),
    output("match", Node, MaskOne),
    hint("pred_h", Node, Pointer),
    hint("pi", Node, Pointer),
    hint("is_reset", Node, Mask),
    hint("k", Node, MaskOne),
    hint("k_reset", Graph, Mask),
    hint("q", Node, MaskOne),
    hint("q_reset", Graph, Mask),
    hint("s", Node, MaskOne),
    hint("i", Node, MaskOne),
    hint("phase", Graph, Mask),
];

/// Probes the inputs of an algorithm on two strings.
pub(super) fn probe_strings(first: &[u8], second: &[u8], trace: &mut Trace) {
    let n = first.len() + second.len();
    let is_second: Vec<bool> = (0..n).map(|node| node >= first.len()).collect();
    let pos = [positions(first.len()), positions(second.len())].concat();
    let key = [first, second].concat();
    trace.inputs(n).mask("string", &is_second).numbers("pos", &pos).classes("key", &key).done();
}

/// Each letter of two strings pointing at the one before, the first of each string at itself.
pub(super) fn two_sequences(first: usize, second: usize) -> Vec<usize> {
    (0..first + second).map(|node| if node == 0 || node == first { node } else { node - 1 }).collect()
}

/// NAIVE-STRING-MATCHER, up to the first match.
fn naive_string_matcher(t: &[u8], p: &[u8], trace: &mut Trace) {
    let (n, m) = (t.len(), p.len());
    let pred = two_sequences(n, m);
    probe_strings(t, p, trace);
    let matches = |s: usize, trace: &mut Trace| {
        for j in 0..m {
            trace.hint().pointers("pred_h", &pred).one("s", s).one("i", s + j).one("j", n + j).done();
            if t[s + j] != p[j] {
                return false;
            }
        }
        true
    };
    let found = (0..=n - m).find(|&s| matches(s, trace));
    trace.outputs().one("match", found.unwrap_or(n)).done();
}

/// A prefix of the pattern that matches so far, given by its last letter; `reset` for the empty prefix, which has none
/// (its `last` is 0 by convention).
#[derive(Clone, Copy)]
struct Prefix {
    last: usize,
    reset: bool,
}

impl Prefix {
    const EMPTY: Self = Self { last: 0, reset: true };

    /// The letter that would make the prefix longer.
    fn next(self) -> usize {
        if self.reset { 0 } else { self.last + 1 }
    }

    /// One letter longer if that letter of the pattern is `letter`; else empty, which callers get down to first.
    fn grow(self, p: &[u8], letter: u8) -> Self {
        if p[self.next()] == letter { Self { last: self.next(), reset: false } } else { Self::EMPTY }
    }
}

struct Kmp<'a> {
    n: usize,
    m: usize,
    pred: Vec<usize>,
    /// The prefix function: last letter of the longest proper prefix that ends here, if there is one.
    pi: Vec<usize>,
    /// Letters of the pattern at which no proper prefix ends.
    is_reset: Vec<bool>,
    k: Prefix,
    trace: &'a mut Trace,
}

impl Kmp<'_> {
    /// The next shorter prefix that could match.
    fn shorter(&self, prefix: Prefix) -> Prefix {
        if self.is_reset[prefix.last] { Prefix::EMPTY } else { Prefix { last: self.pi[prefix.last], ..prefix } }
    }

    fn probe(&mut self, q: Prefix, s: usize, i: usize, matching: bool) {
        let n = self.n;
        let pi: Vec<usize> = (0..n).chain(self.pi.iter().map(|&k| n + k)).collect();
        let is_reset = [&vec![false; n], &self.is_reset[..]].concat();
        self.trace
            .hint()
            .pointers("pred_h", &self.pred)
            .pointers("pi", &pi)
            .mask("is_reset", &is_reset)
            .one("k", n + self.k.last)
            .flag("k_reset", self.k.reset)
            .one("q", n + q.last)
            .flag("q_reset", q.reset)
            .one("s", s)
            .one("i", i)
            .flag("phase", matching)
            .done();
    }

    /// COMPUTE-PREFIX-FUNCTION.
    fn compute_prefix_function(&mut self, p: &[u8]) {
        // Nothing is matched yet in this phase: q marks the letter being looked at.
        let looking_at = |q: usize| Prefix { last: q, reset: true };
        self.probe(looking_at(1.min(self.m - 1)), 0, 0, false);
        for q in 1..self.m {
            while !self.k.reset && p[self.k.next()] != p[q] {
                self.k = self.shorter(self.k);
                self.probe(looking_at(q), 0, 0, false);
            }
            self.k = self.k.grow(p, p[q]);
            self.is_reset[q] = self.k.reset;
            self.pi[q] = self.k.last;
            self.probe(looking_at(q), 0, 0, false);
        }
    }

    /// KMP-MATCHER's second half, up to the first match: where it begins.
    fn find(&mut self, t: &[u8], p: &[u8]) -> Option<usize> {
        let mut q = Prefix::EMPTY;
        for (i, &letter) in t.iter().enumerate() {
            let s = (i + 1).saturating_sub(self.m);
            self.probe(q, s, i, true);
            while !q.reset && p[q.next()] != letter {
                q = self.shorter(q);
                self.probe(q, s, i, true);
            }
            q = q.grow(p, letter);
            if !q.reset && q.last == self.m - 1 {
                return Some(s);
            }
        }
        None
    }
}

fn kmp_matcher(t: &[u8], p: &[u8], trace: &mut Trace) {
    let (n, m) = (t.len(), p.len());
    probe_strings(t, p, trace);
    let mut is_reset = vec![false; m];
    is_reset[0] = true;
    let pred = two_sequences(n, m);
    let mut kmp = Kmp { n, m, pred, pi: (0..m).collect(), is_reset, k: Prefix::EMPTY, trace };
    kmp.compute_prefix_function(p);
    let found = kmp.find(t, p);
    kmp.trace.outputs().one("match", found.unwrap_or(n)).done();
}
