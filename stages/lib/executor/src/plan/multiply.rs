//! Matrix products of a part: layers, `matmul` and sums of products of two tensors, each as a [`Product`].

use graph::Equation;

use super::compile::{Compiler, copy};
use super::layout::Layout;
use super::product::{self, Axis, Gemm, Product};
use super::run::{Memory, Mode};
use super::step::{Packing, Place, Step};
use crate::bfloat16;
use crate::error::{Error, Result};
use crate::kernels::Real;
use crate::kernels::bfloat16::{Unit, packed_bytes, room};

impl<T: Real + Gemm> Compiler<'_, T> {
    /// `x weight'`
    pub(super) fn layer(&mut self, at: usize) -> Result<()> {
        let args: Vec<usize> = self.nodes.args(at).collect();
        let [x, weight] = args[..] else { return Err(Error::missing("a layer's argument")) };
        let (left, right, value) = (self.layout(x)?, self.layout(weight)?, self.layout(at)?);
        let last = left.sizes.len() - 1;
        let mut axes: Vec<Axis> = (0..last)
            .map(|axis| Axis {
                size: left.sizes[axis],
                left: left.strides[axis],
                right: 0,
                value: value.strides[axis],
                kind: product::Kind::Rows,
            })
            .collect();
        let (out, inner) = (right.sizes[0], right.sizes[1]);
        let (columns, terms) = (product::Kind::Columns, product::Kind::Inner);
        axes.push(Axis { size: out, left: 0, right: right.strides[0], value: value.strides[last], kind: columns });
        axes.push(Axis { size: inner, left: left.strides[last], right: right.strides[1], value: 0, kind: terms });
        self.push_product(at, x, weight, &axes)
    }

    /// `torch.matmul`
    pub(super) fn matrices(&mut self, at: usize) -> Result<()> {
        let args: Vec<usize> = self.nodes.args(at).collect();
        let [x, y] = args[..] else { return Err(Error::missing("a product's argument")) };
        let (left, right, value) = (self.layout(x)?, self.layout(y)?, self.layout(at)?);
        let (row, column) = (left.sizes.len() == 1, right.sizes.len() == 1);
        let inner_left = left.sizes.len() - 1;
        let inner_right = if column { 0 } else { right.sizes.len() - 2 };
        let mut value_axes = value.sizes.len();
        // Rows of the matrices come right behind the batch, whose rows they continue.
        let mut matrix = vec![Axis {
            size: left.sizes[inner_left],
            left: left.strides[inner_left],
            right: right.strides[inner_right],
            value: 0,
            kind: product::Kind::Inner,
        }];
        if !column {
            value_axes -= 1;
            let own = right.sizes.len() - 1;
            let axis = Axis { size: right.sizes[own], left: 0, right: right.strides[own], ..matrix[0] };
            matrix.insert(0, Axis { value: value.strides[value_axes], kind: product::Kind::Columns, ..axis });
        }
        if !row {
            value_axes -= 1;
            let own = left.sizes.len() - 2;
            let axis = Axis { size: left.sizes[own], left: left.strides[own], right: 0, ..matrix[0] };
            matrix.insert(0, Axis { value: value.strides[value_axes], kind: product::Kind::Rows, ..axis });
        }
        let outer = |layout: &Layout, vector: bool| -> Option<Vec<usize>> {
            let kept = layout.sizes.len() - if vector { 1 } else { 2 };
            let outer = Layout {
                root: layout.root,
                start: layout.start,
                sizes: layout.sizes[..kept].to_vec(),
                strides: layout.strides[..kept].to_vec(),
            };
            outer.broadcast(&value.sizes[..value_axes])
        };
        let (Some(of_left), Some(of_right)) = (outer(left, row), outer(right, column)) else {
            return Err(Error::missing("a product's batch"));
        };
        let mut axes: Vec<Axis> = Vec::new();
        for axis in 0..value_axes {
            let kind = match (of_left[axis], of_right[axis]) {
                (_, 0) => product::Kind::Rows,
                (0, _) => product::Kind::Columns,
                _ => product::Kind::Batch,
            };
            let (size, value) = (value.sizes[axis], value.strides[axis]);
            axes.push(Axis { size, left: of_left[axis], right: of_right[axis], value, kind });
        }
        axes.extend(matrix);
        self.push_product(at, x, y, &axes)
    }

    /// A sum of products of two tensors; false where the kernel cannot do it.
    pub(super) fn einsum(&mut self, at: usize, equation: &str) -> Result<bool> {
        let args: Vec<usize> = self.nodes.args(at).collect();
        let (&[x, y], Ok(parsed)) = (args.as_slice(), Equation::parse(equation)) else { return Ok(false) };
        let Some(axes) = self.einsum_axes(&parsed, [x, y, at]) else { return Ok(false) };
        self.push_product(at, x, y, &axes)?;
        Ok(true)
    }

    /// The axes of `left, right -> value`: those of all three first, then rows, columns, and what is summed over.
    fn einsum_axes(&self, equation: &Equation, [x, y, at]: [usize; 3]) -> Option<Vec<Axis>> {
        let [left, right] = equation.operands.as_slice() else { return None };
        let distinct = |letters: &[char]| (0..letters.len()).all(|at| !letters[..at].contains(&letters[at]));
        if ![left, right, &equation.value].into_iter().all(|letters| distinct(letters)) {
            return None;
        }
        let (of_left, of_right, of_value) = (self.layout(x).ok()?, self.layout(y).ok()?, self.layout(at).ok()?);
        let find = |letters: &[char], layout: &Layout, letter: char| -> Option<(usize, usize)> {
            let axis = letters.iter().position(|&known| known == letter)?;
            Some((layout.sizes[axis], layout.strides[axis]))
        };
        let mut letters: Vec<char> = equation.value.clone();
        letters.extend(left.iter().chain(right).filter(|letter| !equation.value.contains(letter)));
        let mut axes = Vec::new();
        for (place, &letter) in letters.iter().enumerate().filter(|(at, letter)| !letters[..*at].contains(letter)) {
            let (l, r) = (find(left, of_left, letter), find(right, of_right, letter));
            let value = find(&equation.value, of_value, letter);
            let size = [l, r, value].into_iter().flatten().map(|(size, _)| size).max()?;
            // An axis of size 1 is broadcast, as if it were not there.
            let full = |found: Option<(usize, usize)>| found.filter(|(own, _)| *own == size).map(|(_, stride)| stride);
            let (l, r) = (full(l), full(r));
            let kind = match (l, r, value) {
                (Some(_), Some(_), Some(_)) => product::Kind::Batch,
                (Some(_), None, Some(_)) => product::Kind::Rows,
                (None, Some(_), Some(_)) => product::Kind::Columns,
                (Some(_), Some(_), None) => product::Kind::Inner,
                _ => return None,
            };
            let value = value.map_or(0, |(_, stride)| stride);
            axes.push((kind, place, Axis { size, left: l.unwrap_or(0), right: r.unwrap_or(0), value, kind }));
        }
        let rank = |kind: product::Kind| match kind {
            product::Kind::Batch => 0,
            product::Kind::Rows => 1,
            product::Kind::Columns => 2,
            product::Kind::Inner => 3,
        };
        axes.sort_by_key(|(kind, place, _)| (rank(*kind), *place));
        Some(axes.into_iter().map(|(_, _, axis)| axis).collect())
    }

    fn push_product(&mut self, at: usize, x: usize, y: usize, axes: &[Axis]) -> Result<()> {
        let (left, right, value) = (self.layout(x)?.clone(), self.layout(y)?.clone(), self.layout(at)?.clone());
        let accumulate = self.claims[at].is_some_and(|output| self.modes[output] == Mode::Add);
        let mut product =
            Product::new(axes).ok_or_else(|| Error::Inconsistent("a product over too many axes".to_owned()))?;
        let rounded = self.nodes.node(at).args.iter().all(|&arg| bfloat16::is_rounded(self.nodes.graph, arg));
        if let Some(unit) = self.used.unit.filter(|_| !rounded) {
            self.push_rounded(unit, product, [&left, &right, &value], accumulate);
            return Ok(());
        }
        let mut place = Self::place(&right);
        if let Some(sizes) = product.wants_transposed() {
            let strides = product.right_strides().to_vec();
            let from = Layout { root: right.root, start: right.start, sizes: sizes.to_vec(), strides };
            let bytes = sizes.iter().product::<usize>() * size_of::<T>();
            let root = self.made_from(right.root, bytes, |root| copy(&from, &Layout::packed(root, &sizes)));
            (product, place) = (product.with_packed_right(), Place { root, start: 0 });
        }
        let used = [left.root, place.root, value.root];
        let (left, value) = (Self::place(&left), Self::place(&value));
        self.push(Step::Product { product, left, right: place, value, accumulate }, used);
        Ok(())
    }

    /// A product of what is rounded to bfloat16. A right operand that all runs share is packed once.
    fn push_rounded(&mut self, unit: Unit, product: Product, of: [&Layout; 3], accumulate: bool) {
        let [left, right, value] = of.map(Self::place);
        let (product, turned) = product.upright();
        let (left, right) = if turned { (right, left) } else { (left, right) };
        let sizes @ [_, terms, columns] = product.sizes();
        let packed = self.is_fixed(right.root) && product.has_one_right();
        let packing = if packed {
            let (product, bytes) = (product.clone(), packed_bytes(terms, columns));
            let step = |to| Step::Pack { unit, product, from: right, to };
            Packing::Packed(self.made_from(right.root, bytes, step))
        } else {
            Packing::Plain(right)
        };
        let room = self.root(Memory::Arena(0), room(sizes, packed));
        let used = [left.root, right.root, value.root, room];
        self.push(Step::Rounded { unit, product, left, right: packing, value, accumulate, room }, used);
    }
}
