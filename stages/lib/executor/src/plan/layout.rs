//! Where the elements of a value lie: views of other values cost nothing.

use graph::{Node, Op};

/// A value's elements within the memory of a *root*, a value that has memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The node whose memory it is.
    pub root: usize,
    /// The first element, counted from the root's first.
    pub start: usize,
    pub sizes: Vec<usize>,
    /// In elements; 0 along an axis that is expanded.
    pub strides: Vec<usize>,
}

impl Layout {
    /// Row-major, without gaps.
    pub fn packed(root: usize, sizes: &[usize]) -> Self {
        Self { root, start: 0, sizes: sizes.to_vec(), strides: packed(sizes) }
    }

    /// Whether the elements lie row-major without gaps, wherever they start.
    pub fn is_packed(&self) -> bool {
        let mut expected = 1;
        for (&size, &stride) in self.sizes.iter().zip(&self.strides).rev() {
            if size != 1 && stride != expected {
                return false;
            }
            expected *= size;
        }
        true
    }

    pub fn count(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The value of a view of this, if it is one without moving elements. `sizes` are the value's; `eval` gives symbolic
    /// sizes and places.
    pub fn view(&self, node: &Node, sizes: &[usize], eval: impl Fn(&graph::Dim) -> Option<usize>) -> Option<Self> {
        let mut view = Self { sizes: sizes.to_vec(), ..self.clone() };
        match &node.op {
            Op::Detach => {}
            Op::Reshape => view.strides = reshaped(&self.sizes, &self.strides, sizes)?,
            Op::Permute(perm) => view.strides = perm.iter().map(|&axis| self.strides[axis]).collect(),
            Op::Expand => view.strides = self.broadcast(sizes)?,
            Op::Slice { dim, start, step, .. } => {
                view.start += eval(start)? * self.strides[*dim];
                view.strides[*dim] *= step;
            }
            Op::Select { dim, index } => {
                view.start += eval(index)? * self.strides[*dim];
                view.strides.remove(*dim);
            }
            Op::Diagonal { offset, dim1, dim2 } => {
                let rows = usize::try_from(-offset).unwrap_or(0);
                let columns = usize::try_from(*offset).unwrap_or(0);
                view.start += rows * self.strides[*dim1] + columns * self.strides[*dim2];
                let along = self.strides[*dim1] + self.strides[*dim2];
                let kept = self.strides.iter().enumerate().filter(|(axis, _)| axis != dim1 && axis != dim2);
                view.strides = kept.map(|(_, &stride)| stride).chain([along]).collect();
            }
            _ => return None,
        }
        Some(view)
    }

    /// Strides for a wider shape, by the rules of broadcasting.
    pub fn broadcast(&self, sizes: &[usize]) -> Option<Vec<usize>> {
        let missing = sizes.len().checked_sub(self.sizes.len())?;
        let mut strides = vec![0; sizes.len()];
        for (axis, (&size, &stride)) in self.sizes.iter().zip(&self.strides).enumerate() {
            if size == sizes[missing + axis] {
                strides[missing + axis] = if size == 1 { 0 } else { stride };
            } else if size != 1 {
                return None;
            }
        }
        Some(strides)
    }

    /// How many elements of the root it reaches over: one more than the place of its last.
    pub fn reach(&self) -> usize {
        if self.sizes.contains(&0) {
            return 0;
        }
        self.start + self.sizes.iter().zip(&self.strides).map(|(size, stride)| (size - 1) * stride).sum::<usize>() + 1
    }
}

/// Strides without gaps.
pub(super) fn packed(sizes: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; sizes.len()];
    for axis in (1..sizes.len()).rev() {
        strides[axis - 1] = strides[axis] * sizes[axis].max(1);
    }
    strides
}

/// Strides of the same elements in another shape, if there are such: axes that lie without gaps behind each other may be
/// joined and cut.
fn reshaped(from: &[usize], strides: &[usize], to: &[usize]) -> Option<Vec<usize>> {
    if from.contains(&0) {
        return Some(packed(to));
    }
    // Runs of axes that are one, outermost first: number of elements and the innermost stride.
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let axes: Vec<(usize, usize)> =
        from.iter().copied().zip(strides.iter().copied()).filter(|(size, _)| *size != 1).collect();
    for (at, &(size, stride)) in axes.iter().enumerate() {
        match runs.last_mut().filter(|_| at > 0 && axes[at - 1].1 == stride * size) {
            Some(run) => *run = (run.0 * size, stride),
            None => runs.push((size, stride)),
        }
    }
    let mut result = vec![0; to.len()];
    let mut run = runs.pop();
    let mut used = 1;
    for axis in (0..to.len()).rev() {
        if to[axis] == 1 {
            continue;
        }
        if run.is_some_and(|(count, _)| used == count) {
            run = runs.pop();
            used = 1;
        }
        let (count, stride) = run?;
        result[axis] = stride * used;
        used *= to[axis];
        if used > count || count % used != 0 {
            return None;
        }
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_joined_and_cut_where_there_are_no_gaps() {
        assert_eq!(reshaped(&[2, 3, 4], &[12, 4, 1], &[6, 4]), Some(vec![4, 1]));
        assert_eq!(reshaped(&[2, 3, 4], &[12, 4, 1], &[2, 1, 12]), Some(vec![12, 0, 1]));
        assert_eq!(reshaped(&[2, 3], &[1, 2], &[6]), None);
        assert_eq!(reshaped(&[2, 3], &[1, 2], &[2, 1, 3, 1]), Some(vec![1, 0, 2, 0]));
        assert_eq!(reshaped(&[5, 4], &[8, 1], &[5, 2, 2]), Some(vec![8, 2, 1]));
        assert_eq!(reshaped(&[5, 4], &[0, 1], &[20]), None);
        assert_eq!(reshaped(&[5, 4], &[0, 0], &[20]), Some(vec![0]));
        assert_eq!(reshaped(&[1], &[0], &[]), Some(vec![]));
    }

    #[test]
    fn broadcast_axes_have_no_stride() {
        let layout = Layout::packed(0, &[3, 1, 2]);
        assert_eq!(layout.broadcast(&[5, 3, 4, 2]), Some(vec![0, 2, 0, 1]));
        assert_eq!(layout.broadcast(&[5, 2, 4, 2]), None);
        assert!(layout.is_packed());
        assert_eq!(layout.reach(), 6);
    }
}
