//! What a node gets from its users, put together.
//!
//! A user that reads a slice gives a gradient for that slice only. Slices along one axis that do not overlap are put side by
//! side, zeros between them, in one concatenation; filling each up with zeros and adding would write the whole tensor
//! once for each.

use super::tape::{Made, Tape};
use crate::dim::Dim;
use crate::error::OpError;
use crate::op::{BinaryOp, NodeId};
use std::collections::BTreeMap;

/// What a node gets from one user.
pub(super) enum Part {
    /// A gradient of the value's own shape.
    Whole(NodeId),
    /// For the elements `start..end` along `dim`; the rest gets nothing.
    Slice { dim: usize, piece: Piece },
}

pub(super) struct Piece {
    pub start: Dim,
    pub end: Dim,
    pub of: NodeId,
}

impl Piece {
    /// Whether it lies before the other for all B and N.
    fn precedes(&self, other: &Piece) -> bool {
        other.start.provably_ge(&self.end)
    }
}

/// The sum of all parts for `x`, where there are any.
pub(super) fn total(t: &mut Tape<'_>, x: NodeId, parts: Vec<Part>) -> Result<Option<NodeId>, OpError> {
    let mut terms = Vec::new();
    let mut slices: BTreeMap<usize, Vec<Piece>> = BTreeMap::new();
    for part in parts {
        match part {
            Part::Whole(id) => terms.push(id),
            Part::Slice { dim, piece } => slices.entry(dim).or_default().push(piece),
        }
    }
    for (dim, pieces) in slices {
        for row in rows(t, pieces)? {
            terms.push(side_by_side(t, x, dim, row)?);
        }
    }
    let mut terms = terms.into_iter();
    let Some(mut sum) = terms.next() else { return Ok(None) };
    for term in terms {
        sum = t.binary(BinaryOp::Add, sum, term)?;
    }
    Ok(Some(sum))
}

/// Rows of pieces, the pieces of each in order and apart. Pieces for the same place are added up.
///
/// Taken by their starts, pieces need as few rows as there can be. The starts are compared at sizes that stand for all:
/// in what order they come decides how many rows there are, not whether these are right.
fn rows(t: &mut Tape<'_>, mut pieces: Vec<Piece>) -> Result<Vec<Vec<Piece>>, OpError> {
    pieces.sort_by_key(|piece| piece.start.eval(32, 1024));
    let mut rows: Vec<Vec<Piece>> = Vec::new();
    for piece in pieces {
        let same = |other: &&mut Piece| other.start == piece.start && other.end == piece.end;
        if let Some(known) = rows.iter_mut().flatten().find(same) {
            known.of = t.binary(BinaryOp::Add, known.of, piece.of)?;
            continue;
        }
        // Where all before the place precede the piece, and it precedes all after.
        let place_in = |row: &[Piece]| {
            let place = row.iter().position(|other| piece.precedes(other)).unwrap_or(row.len());
            let fits = row[..place].iter().all(|other| other.precedes(&piece))
                && row[place..].iter().all(|other| piece.precedes(other));
            fits.then_some(place)
        };
        match rows.iter().enumerate().find_map(|(at, row)| Some((at, place_in(row)?))) {
            Some((at, place)) => rows[at].insert(place, piece),
            None => rows.push(vec![piece]),
        }
    }
    Ok(rows)
}

/// The pieces in their places, zeros elsewhere.
fn side_by_side(t: &mut Tape<'_>, x: NodeId, dim: usize, row: Vec<Piece>) -> Made {
    let zero = Dim::known(0);
    let mut shape = t.shape(x);
    let size = shape[dim].clone();
    let mut reached = zero.clone();
    let mut parts = Vec::new();
    for piece in row {
        shape[dim] = &piece.start - &reached;
        if shape[dim] != zero {
            parts.push(t.zeros(shape.clone())?);
        }
        parts.push(piece.of);
        reached = piece.end;
    }
    shape[dim] = &size - &reached;
    if shape[dim] != zero {
        parts.push(t.zeros(shape)?);
    }
    t.cat(&parts, dim)
}
