//! Whether rounding explains a difference.
//!
//! Where two programs differ, libtorch's is run again some times with its values rounded at random: each value that is not exact
//! moves by a few units in the last place before and after each operation, and so does each gradient on its way back, by itself for
//! each use of a value. What that moves by as much as the difference is, rounding decides on: which side of a jump a value is on that lies on it but for its last
//! digit, or what is left where equal numbers cancel and the rest is multiplied by 10^12. A difference that rounding does not
//! explain is a wrong one, element by element.
//!
//! A value is exact where its arguments are, the operation keeps them so, and it is a multiple of a small power of two. Exact values
//! do not move: their ties, kinks and whole numbers stay what they are. Nor do zeros, but for two reasons. Some functions cancel
//! inside, and are 0 in libtorch where they are only close to it. And of operations with two loops in libtorch, one for whole
//! vectors and one for what is left over, that disagree about the sign of a zero, zeros may have either sign.
//!
//! Of programs in float32 those are set apart, too, whose values come near the ends of its range in libtorch, which has float64 there.

use std::cell::Cell;

use executor::Dtype;
use tch::{Kind, Tensor};

use super::Type::Float;
use super::{Given, Operation, Value, differing};

thread_local! {
    /// The largest number that libtorch had since this was last set to 0.
    static LARGEST: Cell<f64> = const { Cell::new(0.0) };
}

/// What float32 may not hold where it is multiplied by another.
const LARGE: f64 = 1e18;

/// How values are rounded once.
#[derive(Clone, Copy)]
pub struct Rounding {
    /// How far a value moves at most, relative to it.
    unit: f64,
    /// The share of the values that move: of many equal ones few, so that one stays the first of them, and of others all.
    share: f64,
    single: bool,
    seed: i64,
}

/// Units in the last place by which values move, in turn.
const UNITS: [f64; 4] = [0.5, 2.0, 8.0, 32.0];
/// Shares of the values that move, in turn.
const SHARES: [f64; 3] = [1.0, 0.1, 0.02];
/// How often a program is rounded at most: several times with each pair of these.
const ROUNDS: usize = 60;
/// Copies of an argument, more than any operation uses it times.
const USES: usize = 4;
/// How many times as far as a random rounding moves it an element may be from ours, because errors of one sign add up.
const SLACK: f64 = 16.0;

impl Rounding {
    fn new(dtype: Dtype, round: usize) -> Self {
        let single = dtype == Dtype::F32;
        let last = if single { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let (units, share) = (UNITS[round % UNITS.len()], SHARES[round % SHARES.len()]);
        Self { unit: units * last, share, single, seed: i64::try_from(round).unwrap_or(0) }
    }

    /// Seeds what draws the roundings of one run.
    pub fn start(self) {
        tch::manual_seed(1 + self.seed);
    }

    /// An operation's value with rounded arguments and result, and whether it is exact; `keeps`: whether the operation rounds
    /// nothing on small multiples of a half.
    pub fn applied(self, operation: &Operation, keeps: bool, args: &[Value]) -> (Tensor, bool) {
        let tidy = keeps && args.iter().all(|arg| arg.exact);
        let uses = |arg: &Value| {
            if arg.of != Float {
                return vec![arg.tensor.shallow_clone()];
            }
            let moved = if tidy { arg.tensor.shallow_clone() } else { self.moved(&arg.tensor, false) };
            (0..USES).map(|_| self.with_moved_gradient(&moved)).collect()
        };
        let value = (operation.run)(&Given::several(args.iter().map(uses).collect()));
        let exact = tidy && self.holds(&value);
        if operation.gives != Float {
            return (value, exact);
        }
        let value = if has_two_zeros(operation) { of_either_sign(&value) } else { value };
        let most =
            super::numbers(&value).into_iter().filter(|x| x.is_finite()).fold(0.0_f64, |most, x| most.max(x.abs()));
        LARGEST.set(LARGEST.get().max(most));
        let value = if exact { value } else { self.moved(&value, cancels(operation)) };
        (self.with_moved_gradient(&value), exact)
    }

    /// Whether all elements are multiples of a power of two with digits to spare.
    fn holds(self, x: &Tensor) -> bool {
        let (finest, largest) = if self.single { (1024.0, 4096.0) } else { (1_048_576.0, 1_073_741_824.0) };
        super::numbers(x).iter().all(|x| (x * finest).fract() == 0.0 && x.abs() < largest)
    }

    fn noise(self, x: &Tensor) -> Tensor {
        let noise = (x.detach().rand_like() * 2.0 - 1.0) * self.unit;
        noise * x.detach().rand_like().lt(self.share)
    }

    /// The value with elements moved, and its gradient too.
    fn moved(self, x: &Tensor, cancels: bool) -> Tensor {
        let mut moved = x * (self.noise(x) + 1.0);
        if cancels {
            moved += self.noise(x);
        }
        // as the type holds it, in which equal digits may cancel to nothing
        if self.single { moved.to_kind(Kind::Float).to_kind(Kind::Double) } else { moved }
    }

    /// The same value, whose gradient moves on its way back.
    fn with_moved_gradient(self, x: &Tensor) -> Tensor {
        let by = self.noise(x);
        // zeros keep their sign where they are scaled, and what is not finite has no difference to itself
        let plain = x.detach().isfinite().logical_and(&x.detach().ne(0.0));
        let scaled = x * (&by + 1.0);
        (x + (x - x.detach()) * by).where_self(&plain, &scaled)
    }
}

/// Whether the function cancels inside, so that its error is one of 1 and not of its value.
fn cancels(operation: &Operation) -> bool {
    ["gelu(", "erfc(", "sinc(", "tanhshrink(", "log_softmax(", "logsigmoid(", "mish(", "silu("]
        .iter()
        .any(|name| operation.text.contains(name))
}

/// Whether libtorch's loops disagree about the sign of its zeros: measured with PyTorch 2.11 for tensors of 1 to 67 elements.
pub fn has_two_zeros(operation: &Operation) -> bool {
    ["torch.maximum(", "torch.minimum(", "torch.clamp({0}, {1}", "softshrink(", "lerp(", ".amax(", ".amin("]
        .iter()
        .any(|name| operation.text.contains(name))
}

/// The tensor with zeros of random signs, through which gradients pass as they did.
fn of_either_sign(x: &Tensor) -> Tensor {
    let other = (x + 0.0).where_self(&x.detach().signbit(), &-(x.zeros_like() - x));
    let coin = x.detach().rand_like().lt(0.5).logical_and(&x.detach().eq(0.0));
    other.where_self(&coin, x)
}

/// What a comparison says.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Agree,
    /// Where they differ, rounding decides, or the range of float32.
    Rounding,
    /// They differ only in gradients that are not finite in libtorch, which multiplies zero by infinity on its way back, and in
    /// another order than we do.
    Undefined,
    Wrong {
        tensor: usize,
        element: usize,
        /// How far rounding moved the element.
        moves: f64,
    },
}

/// Compares outcomes, the first two of which are outputs and all others gradients; `again` runs libtorch's program with rounding.
pub fn judge(
    ours: &[Vec<f64>],
    theirs: &[Vec<f64>],
    dtype: Dtype,
    tolerance: f64,
    again: impl Fn(Rounding) -> Vec<Vec<f64>>,
) -> Verdict {
    let different = ours.iter().zip(theirs).map(|(ours, theirs)| differing(ours, theirs, tolerance)).enumerate();
    let mut left: Vec<(usize, usize)> =
        different.flat_map(|(at, list)| list.into_iter().map(move |i| (at, i))).collect();
    if left.is_empty() {
        return Verdict::Agree;
    }
    left.retain(|&(at, i)| at < 2 || theirs[at][i].is_finite());
    if left.is_empty() {
        return Verdict::Undefined;
    }
    let mut farthest = vec![0.0_f64; left.len()];
    LARGEST.set(0.0);
    for round in 0..ROUNDS {
        let moved = again(Rounding::new(dtype, round));
        let gradients = moved.iter().flatten().fold(0.0_f64, |most, x| most.max(x.abs()));
        if dtype == Dtype::F32 && LARGEST.get().max(gradients) > LARGE {
            return Verdict::Rounding;
        }
        let mut explained = Vec::new();
        for (&(at, i), most) in left.iter().zip(&mut farthest) {
            let (x, y, z) = (ours[at].get(i).copied().unwrap_or(f64::NAN), theirs[at][i], moved[at][i]);
            let spread = if y.is_nan() == z.is_nan() { (z - y).abs() } else { f64::INFINITY };
            *most = most.max(if spread.is_nan() { 0.0 } else { spread });
            let gap = if x.is_nan() || y.is_nan() { f64::INFINITY } else { (x - y).abs() };
            explained.push(gap <= SLACK * *most);
        }
        let mut keep = explained.iter().map(|done| !done);
        left.retain(|_| keep.next().unwrap_or(true));
        let mut keep = explained.iter().map(|done| !done);
        farthest.retain(|_| keep.next().unwrap_or(true));
        if left.is_empty() {
            return Verdict::Rounding;
        }
    }
    let (tensor, element) = left[0];
    Verdict::Wrong { tensor, element, moves: farthest[0] }
}

#[cfg(test)]
mod tests {
    use super::super::{Drawn, drawn_again, numbers};
    use super::*;

    /// Errors far below what one would notice in training are found nearly wherever they are put.
    #[test]
    fn small_errors_are_not_taken_for_rounding() {
        let (mut put, mut found) = (0, 0);
        for number in 0..90 {
            let drawn = Drawn::new(3, number, None);
            let theirs: Vec<Vec<f64>> = drawn.theirs().iter().map(|(_, x)| numbers(x)).collect();
            if theirs.iter().flatten().any(|x| !x.is_finite()) {
                continue;
            }
            let at = number % theirs.len();
            let scale = theirs[at].iter().fold(1.0_f64, |most, x| most.max(x.abs()));
            let mut ours = theirs.clone();
            let element = number % ours[at].len();
            ours[at][element] += 1000.0 * drawn.tolerance() * scale;
            put += 1;
            let again = |rounding| drawn_again(3, number, rounding);
            let verdict = judge(&ours, &theirs, drawn.dtype, drawn.tolerance(), again);
            found += usize::from(matches!(verdict, Verdict::Wrong { tensor, .. } if tensor == at));
        }
        assert!(put > 70 && found * 100 >= put * 97, "{found} of {put} errors are found");
    }

    #[test]
    fn what_does_not_move_is_wrong_and_what_jumps_is_not() {
        let steady = |_| vec![vec![1.0, 2.0], vec![3.0], vec![f64::NAN]];
        let theirs = steady(());
        let judged = |ours: &[Vec<f64>]| judge(ours, &theirs, Dtype::F64, 1e-8, |_| steady(()));
        assert_eq!(judged(&[vec![1.0, 2.0], vec![3.0 + 1e-9], vec![f64::NAN]]), Verdict::Agree);
        assert_eq!(judged(&[vec![1.0, 2.0], vec![3.0], vec![0.0]]), Verdict::Undefined);
        let wrong = Verdict::Wrong { tensor: 0, element: 1, moves: 0.0 };
        assert_eq!(judged(&[vec![1.0, 3.0], vec![3.0], vec![0.0]]), wrong);
        assert_eq!(judged(&[vec![1.0, f64::NAN], vec![3.0], vec![0.0]]), wrong);
        let jumps =
            |rounding: Rounding| vec![vec![1.0, if rounding.seed == 5 { 3.0 } else { 2.0 }], vec![3.0], vec![0.0]];
        assert_eq!(judge(&[vec![1.0, 3.0], vec![3.0], vec![0.0]], &theirs, Dtype::F64, 1e-8, jumps), Verdict::Rounding);
    }
}
