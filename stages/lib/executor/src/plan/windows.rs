//! Parts of concatenations that are computed where they will lie.

use std::collections::BTreeMap;

use graph::{DType, Op};

use super::compile::Compiler;
use super::units::Role;

/// Parts of concatenations that are computed where they will lie.
pub(super) struct Windows<'c, 'a, T> {
    of: &'c Compiler<'a, T>,
    found: BTreeMap<usize, (usize, usize, usize)>,
    /// By node that has memory: all that are computed into that memory.
    groups: BTreeMap<usize, Vec<usize>>,
}

impl<T> Windows<'_, '_, T> {
    /// By part: the concatenation, its axis, and the place along it.
    pub fn find(of: &Compiler<'_, T>) -> BTreeMap<usize, (usize, usize, usize)> {
        let nodes = of.nodes;
        let mut windows = Windows { of, found: BTreeMap::new(), groups: BTreeMap::new() };
        for at in (0..nodes.roles.len()).rev() {
            let node = nodes.node(at);
            if let (Role::Other, Op::Cat { dim }) = (nodes.roles[at], &node.op)
                && node.dtype != DType::Int
            {
                let mut offset = 0;
                for part in nodes.args(at) {
                    if windows.fits(at, part) {
                        windows.found.insert(part, (at, *dim, offset));
                        let top = windows.top(part);
                        windows.groups.entry(top).or_default().push(part);
                    }
                    offset += nodes.shapes[part][*dim];
                }
            }
        }
        windows.found
    }

    fn top(&self, mut at: usize) -> usize {
        while let Some(&(whole, ..)) = self.found.get(&at) {
            at = whole;
        }
        at
    }

    fn fits(&self, whole: usize, part: usize) -> bool {
        let nodes = self.of.nodes;
        let node = nodes.node(part);
        let kernel = nodes.roles[part].is_loop()
            || matches!(node.op, Op::Linear { .. } | Op::MatMul | Op::Cat { .. }) && nodes.roles[part] == Role::Other;
        // A copy within one memory would read what it writes.
        let (mut next, mut once) = (Some(whole), true);
        while let Some(at) = next {
            let readers = nodes.args(at).filter(|&arg| nodes.root(arg) == part).count();
            once &= readers == usize::from(at == whole);
            next = self.found.get(&at).map(|&(outer, ..)| outer);
        }
        if !kernel
            || !once
            || node.dtype != nodes.node(whole).dtype
            || self.of.claims[part].is_some()
            || self.found.contains_key(&part)
        {
            return false;
        }
        // Reshaping what lies with gaps may need a copy, so that only plain readers are let in.
        let reshaped = |at: usize| matches!(nodes.node(at).op, Op::Reshape);
        if self.views(part).into_iter().any(reshaped) {
            return false;
        }
        // No kernel may read memory that it writes to.
        let empty = Vec::new();
        let group = self.groups.get(&self.top(whole)).unwrap_or(&empty);
        let unit = |at: usize| self.of.units.of[at];
        let reads = |reader: usize, of: usize| -> bool {
            let members = unit(reader).map_or(&[][..], |unit| self.of.units.members[unit].as_slice());
            let mut args = members.iter().flat_map(|&at| nodes.args(at));
            args.any(|arg| nodes.root(arg) == of && unit(of) != unit(reader))
        };
        group.iter().all(|&other| !reads(part, other) && !reads(other, part))
    }

    /// All views of a node.
    fn views(&self, at: usize) -> Vec<usize> {
        let nodes = self.of.nodes;
        let (mut open, mut found) = (vec![at], Vec::new());
        while let Some(next) = open.pop() {
            for &user in &nodes.users[next] {
                if matches!(nodes.roles[user], Role::View(_)) {
                    found.push(user);
                    open.push(user);
                }
            }
        }
        found
    }
}
