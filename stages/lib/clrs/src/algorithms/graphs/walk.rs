//! The depth-first walk that six algorithms are built on.
//!
//! CLRS, section 22.3, writes it as a recursion. A network can only see what is probed, so the recursion's stack is
//! made explicit, as a linked list over nodes: `s_last` is its top and `s_prev[v]` what lies below `v` (`v` itself at
//! the bottom).

use crate::matrix::Matrix;

/// Not seen yet.
pub(super) const WHITE: u8 = 0;
/// Seen, and still on the stack.
pub(super) const GRAY: u8 = 1;
/// Done with.
pub(super) const BLACK: u8 = 2;

/// What the clock that stamps discovery and finish goes forward by: little, so that times stay in the range of other
/// scalars.
pub(super) const TICK: f64 = 0.01;

/// Times of discovery and finish.
pub(super) struct Clock {
    pub d: Vec<f64>,
    pub f: Vec<f64>,
    pub time: f64,
}

impl Clock {
    pub fn new(n: usize) -> Self {
        Self { d: vec![0.0; n], f: vec![0.0; n], time: 0.0 }
    }

    /// A node is new as long as it has no time of discovery, gray though it may be from having been put on the stack.
    pub fn is_new(&self, walk: &Walk) -> bool {
        walk.color[walk.u] == WHITE || self.d[walk.u] == 0.0
    }

    pub fn discover(&mut self, u: usize) {
        self.time += TICK;
        self.d[u] = self.time;
    }

    pub fn finish(&mut self, u: usize) {
        self.time += TICK;
        self.f[u] = self.time;
    }
}

/// State of the walk.
pub(super) struct Walk {
    pub color: Vec<u8>,
    pub s_prev: Vec<usize>,
    /// Root of the current tree.
    pub s: usize,
    /// Node being visited.
    pub u: usize,
    /// Neighbour being looked at.
    pub v: usize,
    pub s_last: usize,
}

/// What an algorithm does on the way.
pub(super) trait Visitor {
    /// Takes a snapshot.
    fn probe(&mut self, walk: &Walk);

    /// Whether `walk.u`, the top of the stack, is visited for the first time.
    fn is_new(&self, walk: &Walk) -> bool;

    /// `walk.u` is the top of the stack, for the first time or again.
    fn visit(&mut self, _walk: &Walk) {}

    /// `walk.u` is visited for the first time.
    fn discover(&mut self, walk: &Walk);

    /// The edge from `walk.u` to `walk.v` leads to a white node.
    fn tree_edge(&mut self, _walk: &Walk) {}

    /// The edge from `walk.u` to `walk.v` leads to a node seen before. Returns whether that is worth a snapshot.
    fn other_edge(&mut self, _walk: &Walk) -> bool {
        false
    }

    /// All edges from `walk.u` have been followed.
    fn finish(&mut self, walk: &Walk);
}

impl Walk {
    pub fn new(n: usize) -> Self {
        Self { color: vec![WHITE; n], s_prev: (0..n).collect(), s: 0, u: 0, v: 0, s_last: 0 }
    }

    /// DFS: visits the trees that begin at the white ones of `roots`, in this order.
    pub fn forest(&mut self, graph: &Matrix, roots: impl IntoIterator<Item = usize>, visitor: &mut impl Visitor) {
        for root in roots {
            if self.color[root] == WHITE {
                self.tree(graph, root, visitor);
            }
        }
    }

    /// DFS-VISIT: visits all that can be reached from `root` through white nodes.
    pub fn tree(&mut self, graph: &Matrix, root: usize, visitor: &mut impl Visitor) {
        (self.s, self.u, self.v, self.s_last) = (root, root, root, root);
        visitor.probe(self);
        loop {
            visitor.visit(self);
            if visitor.is_new(self) {
                self.color[self.u] = GRAY;
                visitor.discover(self);
                visitor.probe(self);
            }
            self.descend(graph, visitor);
            if self.s_last == self.u {
                self.color[self.u] = BLACK;
                visitor.finish(self);
                visitor.probe(self);
                if self.s_prev[self.u] == self.u {
                    return;
                }
                self.pop();
            }
            self.u = self.s_last;
        }
    }

    /// Follows edges from `u` until one leads to a white node, which is put on the stack.
    fn descend(&mut self, graph: &Matrix, visitor: &mut impl Visitor) {
        for v in 0..graph.n() {
            self.v = v;
            if !graph.edge(self.u, v) {
                continue;
            }
            if self.color[v] == WHITE {
                visitor.tree_edge(self);
                self.color[v] = GRAY;
                self.s_prev[v] = self.s_last;
                self.s_last = v;
                visitor.probe(self);
                return;
            }
            if visitor.other_edge(self) {
                visitor.probe(self);
            }
        }
    }

    fn pop(&mut self) {
        let top = self.s_last;
        self.s_last = std::mem::replace(&mut self.s_prev[top], top);
    }
}
