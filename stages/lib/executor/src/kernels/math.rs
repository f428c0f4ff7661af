//! Functions of one and of two numbers, with PyTorch's meaning.
//!
//! Those of float32 are polynomials without branches, good to one or two units in the last place, where training spends
//! time on them. Everything else asks the standard library lane by lane.

use graph::{BinaryOp, UnaryOp};

use super::real::{Real, private::STRIP};
use super::vector::{Vector, map, map2};

/// Applies an expression to all vectors of a strip.
macro_rules! all {
    ($strip:ident, $x:ident => $value:expr) => {{
        for place in 0..STRIP {
            let $x = $strip[place];
            $strip[place] = $value;
        }
    }};
}

/// 1 where the mask holds, else 0.
#[inline(always)]
pub(super) fn truth<T: Real, V: Vector<T>>(mask: V::Mask) -> V {
    V::select(mask, V::splat(T::ONE), V::splat(T::ZERO))
}

/// 0 where the mask holds, else 1.
#[inline(always)]
pub(super) fn untruth<T: Real, V: Vector<T>>(mask: V::Mask) -> V {
    V::select(mask, V::splat(T::ZERO), V::splat(T::ONE))
}

/// The larger; NaN where either is.
#[inline(always)]
pub(super) fn maximum<T: Real, V: Vector<T>>(x: V, y: V) -> V {
    // `over` answers its second argument unless the first is larger, hence y where one of them is NaN
    V::select(x.eq(x), x.over(y), x)
}

/// The smaller; NaN where either is.
#[inline(always)]
pub(super) fn minimum<T: Real, V: Vector<T>>(x: V, y: V) -> V {
    V::select(x.eq(x), x.under(y), x)
}

/// Between two bounds that are numbers; NaN stays.
#[inline(always)]
fn clamp<T: Real, V: Vector<T>>(x: V, low: f64, high: f64) -> V {
    V::splat(T::from_f64(high)).under(V::splat(T::from_f64(low)).over(x))
}

/// What needs no more than arithmetic, for both types. False where this is not so.
#[inline(always)]
fn arithmetic<T: Real, V: Vector<T>>(op: UnaryOp, x: &mut [V; STRIP]) -> bool {
    let (zero, one) = (V::splat(T::ZERO), V::splat(T::ONE));
    let number = |x: f64| V::splat(T::from_f64(x));
    match op {
        UnaryOp::Neg => all!(x, v => v.neg()),
        UnaryOp::Abs => all!(x, v => v.abs()),
        // PyTorch's sign of NaN is 0
        UnaryOp::Sign => all!(x, v => truth::<T, V>(zero.lt(v)).sub(truth(v.lt(zero)))),
        UnaryOp::Relu => all!(x, v => zero.over(v)),
        UnaryOp::Sqrt => all!(x, v => v.sqrt()),
        UnaryOp::Rsqrt => all!(x, v => one.div(v.sqrt())),
        UnaryOp::Square => all!(x, v => v.mul(v)),
        UnaryOp::Reciprocal => all!(x, v => one.div(v)),
        UnaryOp::Floor => all!(x, v => v.floor()),
        UnaryOp::Ceil => all!(x, v => v.ceil()),
        UnaryOp::Round => all!(x, v => v.round()),
        UnaryOp::Trunc => all!(x, v => v.trunc()),
        UnaryOp::Bfloat16 => all!(x, v => v.bfloat16()),
        UnaryOp::LeakyRelu { slope } => {
            let slope = number(slope);
            all!(x, v => V::select(zero.lt(v), v, v.mul(slope)));
        }
        UnaryOp::Softsign => all!(x, v => v.div(one.add(v.abs()))),
        UnaryOp::Hardsigmoid => {
            let (three, six) = (number(3.0), number(6.0));
            all!(x, v => clamp(v.add(three), 0.0, 6.0).div(six));
        }
        UnaryOp::Hardswish => {
            let (three, six) = (number(3.0), number(6.0));
            all!(x, v => v.mul(clamp(v.add(three), 0.0, 6.0)).div(six));
        }
        UnaryOp::Hardtanh { min, max } | UnaryOp::Clamp { min, max } => all!(x, v => clamp(v, min, max)),
        UnaryOp::LogicalNot => all!(x, v => truth(v.eq(zero))),
        UnaryOp::IsNan => all!(x, v => untruth(v.eq(v))),
        UnaryOp::IsInf => all!(x, v => truth(v.abs().eq(V::splat(T::INFINITY)))),
        UnaryOp::IsFinite => all!(x, v => truth(v.abs().lt(V::splat(T::INFINITY)))),
        _ => return false,
    }
    true
}

/// All functions of two numbers, for both types.
#[inline(always)]
pub(super) fn binary<T: Real, V: Vector<T>>(op: BinaryOp, xs: &mut [V; STRIP], ys: &[V; STRIP]) {
    macro_rules! both {
        ($x:ident, $y:ident => $value:expr) => {
            for place in 0..STRIP {
                let ($x, $y) = (xs[place], ys[place]);
                xs[place] = $value;
            }
        };
    }
    match op {
        BinaryOp::Add => both!(x, y => x.add(y)),
        BinaryOp::Sub => both!(x, y => x.sub(y)),
        BinaryOp::Mul => both!(x, y => x.mul(y)),
        BinaryOp::Div => both!(x, y => x.div(y)),
        BinaryOp::Maximum => both!(x, y => maximum(x, y)),
        BinaryOp::Minimum => both!(x, y => minimum(x, y)),
        BinaryOp::Eq => both!(x, y => truth(x.eq(y))),
        BinaryOp::Ne => both!(x, y => untruth(x.eq(y))),
        BinaryOp::Lt => both!(x, y => truth(x.lt(y))),
        BinaryOp::Le => both!(x, y => truth(x.le(y))),
        BinaryOp::Gt => both!(x, y => truth(y.lt(x))),
        BinaryOp::Ge => both!(x, y => truth(y.le(x))),
        BinaryOp::FloorDiv => both!(x, y => map2(x, y, |x, y| T::from_f64(floor_div(x.to_f64(), y.to_f64())))),
        BinaryOp::Remainder => both!(x, y => map2(x, y, |x, y| T::from_f64(remainder(x.to_f64(), y.to_f64())))),
        BinaryOp::Pow => both!(x, y => map2(x, y, |x, y| T::from_f64(x.to_f64().powf(y.to_f64())))),
        BinaryOp::Atan2 => both!(x, y => map2(x, y, |x, y| T::from_f64(x.to_f64().atan2(y.to_f64())))),
        BinaryOp::And => both!(x, y => map2(x, y, |x, y| bits(x, y, |x, y| x & y))),
        BinaryOp::Or => both!(x, y => map2(x, y, |x, y| bits(x, y, |x, y| x | y))),
        BinaryOp::Xor => both!(x, y => map2(x, y, |x, y| bits(x, y, |x, y| x ^ y))),
    }
}

#[inline(always)]
fn bits<T: Real>(x: T, y: T, f: impl Fn(i64, i64) -> i64) -> T {
    T::from_f64(f(x.to_f64() as i64, y.to_f64() as i64) as f64)
}

/// `torch.floor_divide`: from the exact remainder, so that rounding cannot lift a quotient to the next whole number.
fn floor_div(x: f64, y: f64) -> f64 {
    if y == 0.0 {
        return x / y;
    }
    let rest = x % y;
    let quotient = (x - rest) / y - if rest != 0.0 && (y < 0.0) != (rest < 0.0) { 1.0 } else { 0.0 };
    if quotient == 0.0 {
        return 0.0_f64.copysign(x / y);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

/// `torch.remainder`: with the divisor's sign.
fn remainder(x: f64, y: f64) -> f64 {
    let rest = x % y;
    if rest != 0.0 && (y < 0.0) != (rest < 0.0) { rest + y } else { rest }
}

const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

/// The square root of 2 / pi.
const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
const GELU_CUBE: f64 = 0.044_715;

/// float32.
pub(super) mod single {
    use super::*;

    /// ln 2 in two parts, of which the first is 355/512: its multiples are exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;

    /// `x = n ln 2 + r`: (n, r), with r between about -0.35 and 0.35.
    #[inline(always)]
    fn reduce<V: Vector<f32>>(x: V) -> (V, V) {
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        let rest = n.mul_add(V::splat(-LN_2_HIGH), x);
        (n, n.mul_add(V::splat(-LN_2_LOW), rest))
    }

    /// e^r - 1 for an r that [`reduce`] leaves.
    #[inline(always)]
    fn small<V: Vector<f32>>(r: V) -> V {
        let mut sum = V::splat(1.987_569_1e-4);
        for factor in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.0e-1_f32] {
            sum = sum.mul_add(r, V::splat(factor));
        }
        sum.mul_add(r.mul(r), r)
    }

    #[inline(always)]
    pub fn exp<V: Vector<f32>>(x: V) -> V {
        // beyond these bounds the result is 0 or infinite; NaN stays
        let zero = V::splat(0.0);
        // what is masked is often far below: a number that vanishes in scaling would take processors a hundred cycles
        let vanishes = x.lt(V::splat(-104.0));
        let (n, r) = reduce(V::splat(89.0).under(V::select(vanishes, zero, x)));
        V::select(vanishes, zero, V::splat(1.0).add(small(r)).scale(n))
    }

    #[inline(always)]
    pub fn expm1<V: Vector<f32>>(x: V) -> V {
        let bounded = V::splat(89.0).under(V::splat(-20.0).over(x));
        let (n, r) = reduce(bounded);
        // half of everything, because 2^n may be too large where e^x is not
        let power = V::splat(0.5).scale(n);
        let half = power.mul_add(small(r), power.sub(V::splat(0.5)));
        let value = half.add(half);
        // tiny numbers are their own value, with their sign
        V::select(x.abs().lt(V::splat(1e-8)), x, value)
    }

    #[inline(always)]
    pub fn log<V: Vector<f32>>(x: V) -> V {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let tiny = x.lt(V::splat(f32::MIN_POSITIVE));
        let (e, m) = V::select(tiny, x.mul(V::splat(8_388_608.0)), x).split();
        let e = e.sub(V::select(tiny, V::splat(23.0), zero));
        // m between sqrt(1/2) and sqrt(2), then less 1
        let large = V::splat(std::f32::consts::SQRT_2).lt(m);
        let f = V::select(large, m.mul(V::splat(0.5)), m).sub(one);
        let e = V::select(large, e.add(one), e);
        let mut sum = V::splat(7.037_683_6e-2);
        for factor in [
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1_f32,
        ] {
            sum = sum.mul_add(f, V::splat(factor));
        }
        let square = f.mul(f);
        let tail = sum.mul(f).mul(square);
        let tail = e.mul_add(V::splat(LN_2_LOW), tail);
        let tail = square.mul_add(V::splat(-0.5), tail);
        let value = e.mul_add(V::splat(LN_2_HIGH), f.add(tail));
        let value = V::select(x.eq(V::splat(f32::INFINITY)), x, value);
        let value = V::select(x.eq(zero), V::splat(f32::NEG_INFINITY), value);
        // negative numbers and NaN have none
        V::select(zero.le(x), value, V::splat(f32::NAN))
    }

    #[inline(always)]
    pub fn log1p<V: Vector<f32>>(x: V) -> V {
        let one = V::splat(1.0);
        let u = one.add(x);
        // what rounding took from u, at the slope there
        let lost = x.sub(u.sub(one)).div(u);
        let value = log(u);
        // -0 stays what it is
        V::select(lost.abs().lt(one), value.add(lost), value).signed(x)
    }

    #[inline(always)]
    pub fn tanh<V: Vector<f32>>(x: V) -> V {
        let t = expm1(x.abs().mul(V::splat(-2.0)));
        t.neg().div(t.add(V::splat(2.0))).signed(x)
    }

    #[inline(always)]
    pub fn sigmoid<V: Vector<f32>>(x: V) -> V {
        // the power of a negative number, which cannot overflow
        let one = V::splat(1.0);
        let power = exp(x.abs().neg());
        V::select(x.lt(V::splat(0.0)), power, one).div(one.add(power))
    }

    #[inline(always)]
    fn elu<V: Vector<f32>>(x: V, alpha: f64, width: f64, scale: f64) -> V {
        let low = if width == 1.0 { x } else { x.div(V::splat(width as f32)) };
        let low = expm1(low).mul(V::splat((alpha * scale) as f32));
        let high = if scale == 1.0 { x } else { x.mul(V::splat(scale as f32)) };
        V::select(V::splat(0.0).lt(x), high, low)
    }

    #[inline(always)]
    fn softplus<V: Vector<f32>>(x: V, beta: f64, threshold: f64) -> V {
        let beta = V::splat(beta as f32);
        let scaled = x.mul(beta);
        V::select(V::splat(threshold as f32).lt(scaled), x, log1p(exp(scaled)).div(beta))
    }

    /// With w = e^x, the hyperbolic tangent of ln(1 + w) is w (w + 2) / (w (w + 2) + 2).
    #[inline(always)]
    fn mish<V: Vector<f32>>(x: V) -> V {
        let two = V::splat(2.0);
        // beyond this bound the tangent is 1
        let w = exp(V::splat(20.0).under(x));
        let n = w.mul(w.add(two));
        x.mul(n.div(n.add(two)))
    }

    /// erfc(z) for z of at least 0, given `-z^2`: t e^(-z^2 + p(t)) with t = 1 / (1 + z/2).
    #[inline(always)]
    fn erfc<V: Vector<f32>>(z: V, exponent: V) -> V {
        let one = V::splat(1.0);
        let t = one.div(z.mul_add(V::splat(0.5), one));
        let mut sum = V::splat(0.170_872_77);
        for factor in [
            -0.822_152_23,
            1.488_515_9,
            -1.135_204,
            0.278_868_07,
            -0.186_288_06,
            0.096_784_18,
            0.374_091_96,
            1.000_023_7,
            -1.265_512_2_f32,
        ] {
            sum = sum.mul_add(t, V::splat(factor));
        }
        t.mul(exp(exponent.add(sum)))
    }

    #[inline(always)]
    fn erf<V: Vector<f32>>(x: V) -> V {
        let z = x.abs();
        let square = z.mul(z);
        // the series near 0, where the complement of the complement has no digits left
        let mut sum = V::splat(-1.0 / 75_600.0);
        for factor in [1.0 / 9_360.0, -1.0 / 1_320.0, 1.0 / 216.0, -1.0 / 42.0, 0.1, -1.0 / 3.0, 1.0_f32] {
            sum = sum.mul_add(square, V::splat(factor));
        }
        let near = x.mul(sum).mul(V::splat(std::f32::consts::FRAC_2_SQRT_PI));
        let far = V::splat(1.0).sub(erfc(z, square.neg())).signed(x);
        V::select(z.lt(V::splat(0.75)), near, far)
    }

    /// x times half of erfc(-x / sqrt 2).
    #[inline(always)]
    fn gelu_erf<V: Vector<f32>>(x: V) -> V {
        let half = V::splat(0.5);
        let z = x.abs().mul(V::splat(std::f32::consts::FRAC_1_SQRT_2));
        let tail = erfc(z, x.mul(x).mul(V::splat(-0.5))).mul(half);
        x.mul(V::select(V::splat(0.0).lt(x), V::splat(1.0).sub(tail), tail))
    }

    #[inline(always)]
    fn gelu<V: Vector<f32>>(x: V) -> V {
        let cube = x.mul(x).mul(x);
        // (1 + tanh u) / 2 is the sigmoid of 2 u, which keeps its digits where it is small
        x.mul(sigmoid(V::splat(2.0 * GELU_SCALE as f32).mul(cube.mul_add(V::splat(GELU_CUBE as f32), x))))
    }

    /// Lane by lane in float64, which leaves nothing to be rounded but the result.
    #[inline(always)]
    fn wide<V: Vector<f32>>(x: &mut [V; STRIP], f: fn(f64) -> f64) {
        all!(x, v => map(v, |x| f(f64::from(x)) as f32));
    }

    #[inline(always)]
    pub fn unary<V: Vector<f32>>(op: UnaryOp, x: &mut [V; STRIP]) {
        if arithmetic(op, x) {
            return;
        }
        match op {
            UnaryOp::Exp => all!(x, v => exp(v)),
            UnaryOp::Expm1 => all!(x, v => expm1(v)),
            UnaryOp::Log => all!(x, v => log(v)),
            UnaryOp::Log1p => all!(x, v => log1p(v)),
            UnaryOp::Tanh => all!(x, v => tanh(v)),
            UnaryOp::Sigmoid => all!(x, v => sigmoid(v)),
            UnaryOp::LogSigmoid => {
                let zero = V::splat(0.0);
                all!(x, v => minimum(v, zero).sub(log1p(exp(v.abs().neg()))));
            }
            UnaryOp::Silu => all!(x, v => v.mul(sigmoid(v))),
            UnaryOp::Mish => all!(x, v => mish(v)),
            UnaryOp::Gelu { tanh: true } => all!(x, v => gelu(v)),
            UnaryOp::Gelu { tanh: false } => all!(x, v => gelu_erf(v)),
            UnaryOp::Selu => all!(x, v => elu(v, SELU_ALPHA, 1.0, SELU_SCALE)),
            UnaryOp::Elu { alpha } => all!(x, v => elu(v, alpha, 1.0, 1.0)),
            UnaryOp::Celu { alpha } => all!(x, v => elu(v, alpha, alpha, 1.0)),
            UnaryOp::Softplus { beta, threshold } => all!(x, v => softplus(v, beta, threshold)),
            UnaryOp::Log2 => wide(x, f64::log2),
            UnaryOp::Log10 => wide(x, f64::log10),
            UnaryOp::Sin => wide(x, f64::sin),
            UnaryOp::Cos => wide(x, f64::cos),
            UnaryOp::Tan => wide(x, f64::tan),
            UnaryOp::Atan => wide(x, f64::atan),
            UnaryOp::Sinh => wide(x, f64::sinh),
            UnaryOp::Cosh => wide(x, f64::cosh),
            UnaryOp::Erf => all!(x, v => erf(v)),
            UnaryOp::Erfc => wide(x, libm::erfc),
            _ => {}
        }
    }
}

/// float64.
pub(super) mod double {
    use super::*;
    use std::f64::consts::FRAC_1_SQRT_2;

    #[inline(always)]
    pub fn exp<V: Vector<f64>>(x: V) -> V {
        map(x, f64::exp)
    }

    #[inline(always)]
    pub fn log<V: Vector<f64>>(x: V) -> V {
        map(x, f64::ln)
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    pub fn gelu_erf(x: f64) -> f64 {
        // with the complement, which keeps its digits where it is small
        0.5 * x * libm::erfc(-x * FRAC_1_SQRT_2)
    }

    fn gelu_tanh(x: f64) -> f64 {
        x * sigmoid(2.0 * GELU_SCALE * (x + GELU_CUBE * x * x * x))
    }

    fn log_sigmoid(x: f64) -> f64 {
        (if x > 0.0 { 0.0 } else { x }) - (-x.abs()).exp().ln_1p()
    }

    fn elu(x: f64, alpha: f64, width: f64) -> f64 {
        if x > 0.0 { x } else { alpha * (x / width).exp_m1() }
    }

    fn selu(x: f64) -> f64 {
        SELU_SCALE * elu(x, SELU_ALPHA, 1.0)
    }

    fn softplus(x: f64, beta: f64, threshold: f64) -> f64 {
        if x * beta > threshold { x } else { (x * beta).exp().ln_1p() / beta }
    }

    #[inline(always)]
    fn each<V: Vector<f64>>(x: &mut [V; STRIP], f: impl Fn(f64) -> f64) {
        all!(x, v => map(v, &f));
    }

    /// The function of the standard library, or made from it, for what is more than arithmetic.
    fn function(op: UnaryOp) -> fn(f64) -> f64 {
        match op {
            UnaryOp::Exp => f64::exp,
            UnaryOp::Expm1 => f64::exp_m1,
            UnaryOp::Log => f64::ln,
            UnaryOp::Log1p => f64::ln_1p,
            UnaryOp::Tanh => f64::tanh,
            UnaryOp::Sigmoid => sigmoid,
            UnaryOp::LogSigmoid => log_sigmoid,
            UnaryOp::Silu => |x| x / (1.0 + (-x).exp()),
            UnaryOp::Mish => |x| x * x.exp().ln_1p().tanh(),
            UnaryOp::Gelu { tanh: true } => gelu_tanh,
            UnaryOp::Gelu { tanh: false } => gelu_erf,
            UnaryOp::Selu => selu,
            UnaryOp::Log2 => f64::log2,
            UnaryOp::Log10 => f64::log10,
            UnaryOp::Sin => f64::sin,
            UnaryOp::Cos => f64::cos,
            UnaryOp::Tan => f64::tan,
            UnaryOp::Atan => f64::atan,
            UnaryOp::Sinh => f64::sinh,
            UnaryOp::Cosh => f64::cosh,
            UnaryOp::Erf => libm::erf,
            UnaryOp::Erfc => libm::erfc,
            _ => |x| x,
        }
    }

    #[inline(always)]
    pub fn unary<V: Vector<f64>>(op: UnaryOp, x: &mut [V; STRIP]) {
        if arithmetic(op, x) {
            return;
        }
        match op {
            UnaryOp::Elu { alpha } => each(x, |v| elu(v, alpha, 1.0)),
            UnaryOp::Celu { alpha } => each(x, |v| elu(v, alpha, alpha)),
            UnaryOp::Softplus { beta, threshold } => each(x, |v| softplus(v, beta, threshold)),
            _ => each(x, function(op)),
        }
    }
}

/// The same functions, one number at a time in float64.
#[cfg(test)]
pub(super) mod reference {
    use super::*;
    use std::f64::consts::FRAC_1_SQRT_2;

    fn step(condition: bool) -> f64 {
        f64::from(u8::from(condition))
    }

    fn larger(x: f64, y: f64) -> f64 {
        if x.is_nan() || x > y { x } else { y }
    }

    fn smaller(x: f64, y: f64) -> f64 {
        if x.is_nan() || x < y { x } else { y }
    }

    fn softplus(x: f64) -> f64 {
        larger(x, 0.0) + (-x.abs()).exp().ln_1p()
    }

    fn elu(x: f64, alpha: f64, width: f64) -> f64 {
        if x > 0.0 { x } else { alpha * (x / width).exp_m1() }
    }

    pub fn unary(op: UnaryOp, x: f64) -> f64 {
        match op {
            UnaryOp::Neg => -x,
            UnaryOp::Abs => x.abs(),
            UnaryOp::Sign => step(x > 0.0) - step(x < 0.0),
            UnaryOp::Relu => larger(x, 0.0),
            UnaryOp::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            UnaryOp::LogSigmoid => -softplus(-x),
            UnaryOp::Tanh => x.tanh(),
            UnaryOp::Exp => x.exp(),
            UnaryOp::Expm1 => x.exp_m1(),
            UnaryOp::Log => x.ln(),
            UnaryOp::Log2 => x.log2(),
            UnaryOp::Log10 => x.log10(),
            UnaryOp::Log1p => x.ln_1p(),
            UnaryOp::Sqrt => x.sqrt(),
            UnaryOp::Rsqrt => 1.0 / x.sqrt(),
            UnaryOp::Square => x * x,
            UnaryOp::Reciprocal => 1.0 / x,
            UnaryOp::Sin => x.sin(),
            UnaryOp::Cos => x.cos(),
            UnaryOp::Tan => x.tan(),
            UnaryOp::Atan => x.atan(),
            UnaryOp::Sinh => x.sinh(),
            UnaryOp::Cosh => x.cosh(),
            UnaryOp::Erf => libm::erf(x),
            UnaryOp::Erfc => libm::erfc(x),
            UnaryOp::Floor => x.floor(),
            UnaryOp::Ceil => x.ceil(),
            UnaryOp::Round => x.round_ties_even(),
            UnaryOp::Trunc => x.trunc(),
            UnaryOp::Bfloat16 => f64::from(graph::bfloat16(x as f32)),
            UnaryOp::Gelu { tanh: false } => 0.5 * x * libm::erfc(-x * FRAC_1_SQRT_2),
            UnaryOp::Gelu { tanh: true } => x / (1.0 + (-2.0 * GELU_SCALE * (x + GELU_CUBE * x.powi(3))).exp()),
            UnaryOp::Silu => x / (1.0 + (-x).exp()),
            UnaryOp::Mish => x * softplus(x).tanh(),
            UnaryOp::Selu => SELU_SCALE * elu(x, SELU_ALPHA, 1.0),
            UnaryOp::Elu { alpha } => elu(x, alpha, 1.0),
            UnaryOp::Celu { alpha } => elu(x, alpha, alpha),
            UnaryOp::LeakyRelu { slope } => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
            UnaryOp::Softplus { beta, threshold } => {
                if beta * x > threshold {
                    x
                } else {
                    softplus(beta * x) / beta
                }
            }
            UnaryOp::Softsign => x / (1.0 + x.abs()),
            UnaryOp::Hardsigmoid => smaller(larger(x + 3.0, 0.0), 6.0) / 6.0,
            UnaryOp::Hardswish => x * smaller(larger(x + 3.0, 0.0), 6.0) / 6.0,
            UnaryOp::Hardtanh { min, max } | UnaryOp::Clamp { min, max } => smaller(larger(x, min), max),
            UnaryOp::LogicalNot => step(x == 0.0),
            UnaryOp::IsNan => step(x.is_nan()),
            UnaryOp::IsInf => step(x.is_infinite()),
            UnaryOp::IsFinite => step(x.is_finite()),
        }
    }

    pub fn binary(op: BinaryOp, x: f64, y: f64) -> f64 {
        match op {
            BinaryOp::Add => x + y,
            BinaryOp::Sub => x - y,
            BinaryOp::Mul => x * y,
            BinaryOp::Div => x / y,
            BinaryOp::FloorDiv => floor_div(x, y),
            BinaryOp::Remainder => remainder(x, y),
            BinaryOp::Pow => x.powf(y),
            BinaryOp::Maximum => larger(x, y),
            BinaryOp::Minimum => smaller(x, y),
            BinaryOp::Atan2 => x.atan2(y),
            BinaryOp::Eq => step(x == y),
            BinaryOp::Ne => step(x != y),
            BinaryOp::Lt => step(x < y),
            BinaryOp::Le => step(x <= y),
            BinaryOp::Gt => step(x > y),
            BinaryOp::Ge => step(x >= y),
            BinaryOp::And => ((x as i64) & (y as i64)) as f64,
            BinaryOp::Or => ((x as i64) | (y as i64)) as f64,
            BinaryOp::Xor => ((x as i64) ^ (y as i64)) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::vector::{Level, Work};

    /// Applies a function to as many numbers as a strip has, vector by vector.
    struct Apply<'a, T> {
        op: UnaryOp,
        x: &'a mut [T],
    }

    impl<T: Real> Work<T> for Apply<'_, T> {
        type Out = ();
        #[inline(always)]
        fn run<V: Vector<T>>(self) {
            for chunk in self.x.chunks_exact_mut(STRIP * V::WIDTH) {
                let mut strip = [V::splat(T::ZERO); STRIP];
                for (place, vector) in strip.iter_mut().enumerate() {
                    // SAFETY: the chunk has as many elements as a strip.
                    *vector = unsafe { V::load(chunk.as_ptr().add(place * V::WIDTH)) };
                }
                T::unary(self.op, &mut strip);
                for (place, vector) in strip.into_iter().enumerate() {
                    // SAFETY: as above.
                    unsafe { vector.store(chunk.as_mut_ptr().add(place * V::WIDTH)) };
                }
            }
        }
    }

    struct Apply2<'a, T> {
        op: BinaryOp,
        x: &'a mut [T],
        y: &'a [T],
    }

    impl<T: Real> Work<T> for Apply2<'_, T> {
        type Out = ();
        #[inline(always)]
        fn run<V: Vector<T>>(self) {
            let size = STRIP * V::WIDTH;
            for (x, y) in self.x.chunks_exact_mut(size).zip(self.y.chunks_exact(size)) {
                let (mut strip, mut other) = ([V::splat(T::ZERO); STRIP], [V::splat(T::ZERO); STRIP]);
                for place in 0..STRIP {
                    // SAFETY: the chunks have as many elements as a strip.
                    unsafe {
                        strip[place] = V::load(x.as_ptr().add(place * V::WIDTH));
                        other[place] = V::load(y.as_ptr().add(place * V::WIDTH));
                    }
                }
                T::binary(self.op, &mut strip, &other);
                for (place, vector) in strip.into_iter().enumerate() {
                    // SAFETY: as above.
                    unsafe { vector.store(x.as_mut_ptr().add(place * V::WIDTH)) };
                }
            }
        }
    }

    /// Numbers of all sizes, and those that are special; a multiple of a strip's.
    fn grid<T: Real>() -> Vec<T> {
        let special = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -3.0, 88.7, 88.8, 89.0, -87.3, -87.4, -103.9, -104.1];
        let mut all: Vec<T> = special.into_iter().map(T::from_f64).collect();
        all.extend([T::INFINITY, -T::INFINITY, T::NAN]);
        for step in 0..4000 {
            // from 1e-12 to 1e12, of both signs
            let x = 10.0_f64.powf(f64::from(step) / 4000.0 * 24.0 - 12.0);
            all.extend([T::from_f64(x), T::from_f64(-x)]);
        }
        all.extend((-40_000..40_000).map(|x| T::from_f64(f64::from(x) / 387.3)));
        all.resize(all.len().next_multiple_of(STRIP * 16), T::ONE);
        all
    }

    const ALL: [UnaryOp; 51] = [
        UnaryOp::Neg,
        UnaryOp::Abs,
        UnaryOp::Sign,
        UnaryOp::Relu,
        UnaryOp::Sigmoid,
        UnaryOp::LogSigmoid,
        UnaryOp::Tanh,
        UnaryOp::Exp,
        UnaryOp::Expm1,
        UnaryOp::Log,
        UnaryOp::Log2,
        UnaryOp::Log10,
        UnaryOp::Log1p,
        UnaryOp::Sqrt,
        UnaryOp::Rsqrt,
        UnaryOp::Square,
        UnaryOp::Reciprocal,
        UnaryOp::Sin,
        UnaryOp::Cos,
        UnaryOp::Tan,
        UnaryOp::Atan,
        UnaryOp::Sinh,
        UnaryOp::Cosh,
        UnaryOp::Erf,
        UnaryOp::Erfc,
        UnaryOp::Floor,
        UnaryOp::Ceil,
        UnaryOp::Round,
        UnaryOp::Trunc,
        UnaryOp::Bfloat16,
        UnaryOp::Gelu { tanh: true },
        UnaryOp::Gelu { tanh: false },
        UnaryOp::Silu,
        UnaryOp::Mish,
        UnaryOp::Selu,
        UnaryOp::Elu { alpha: 0.7 },
        UnaryOp::Celu { alpha: 0.7 },
        UnaryOp::LeakyRelu { slope: 0.1 },
        UnaryOp::Softplus { beta: 1.0, threshold: 20.0 },
        UnaryOp::Softplus { beta: 2.0, threshold: 15.0 },
        UnaryOp::Softsign,
        UnaryOp::Hardsigmoid,
        UnaryOp::Hardswish,
        UnaryOp::Hardtanh { min: -0.5, max: 1.0 },
        UnaryOp::Clamp { min: -0.5, max: 1.0 },
        UnaryOp::Clamp { min: f64::NEG_INFINITY, max: 1.0 },
        UnaryOp::Clamp { min: 2.0, max: f64::INFINITY },
        UnaryOp::LogicalNot,
        UnaryOp::IsNan,
        UnaryOp::IsInf,
        UnaryOp::IsFinite,
    ];

    /// The largest relative error, where the function is not so close to 0 that its conditioning, or what is left of a
    /// number in float32, decides.
    fn worst<T: Real>(op: UnaryOp, level: Level, smallest: f64, largest: f64) -> (f64, f64) {
        let x = grid::<T>();
        let mut y = x.clone();
        T::dispatch(level, Apply { op, x: &mut y });
        let mut worst = (0.0, 0.0);
        for (x, y) in x.iter().zip(&y).map(|(x, y)| (x.to_f64(), y.to_f64())) {
            let wanted = reference::unary(op, x);
            if wanted.is_nan() || x.is_infinite() || wanted.is_infinite() || wanted.abs() > largest {
                let same =
                    y == wanted || (y.is_nan() && wanted.is_nan()) || (wanted.abs() > largest && y.is_infinite());
                // torch, too, has NaN here: (-inf) / inf, and -inf * 0
                let known = x == f64::NEG_INFINITY
                    && matches!(op, UnaryOp::Silu | UnaryOp::Mish | UnaryOp::Gelu { .. } | UnaryOp::Hardswish);
                assert!(
                    same || known || wanted.abs() <= largest * 1.0001 && wanted.is_finite(),
                    "{op:?} of {x}: {y}, not {wanted}"
                );
                continue;
            }
            let error = (y - wanted).abs() / wanted.abs().max(smallest);
            if error > worst.0 {
                worst = (error, x);
            }
        }
        worst
    }

    #[test]
    fn functions_of_float32_are_close_to_those_of_float64() {
        for level in Level::all() {
            for op in ALL {
                let units = match op {
                    // the error of a power's exponent grows with the exponent
                    UnaryOp::Gelu { .. } => 150.0,
                    UnaryOp::Mish | UnaryOp::Silu | UnaryOp::Softplus { .. } | UnaryOp::LogSigmoid => 8.0,
                    UnaryOp::Sigmoid | UnaryOp::Tanh | UnaryOp::Selu | UnaryOp::Celu { .. } => 6.0,
                    UnaryOp::Expm1 | UnaryOp::Log1p | UnaryOp::Elu { .. } => 4.0,
                    _ => 2.0,
                };
                let (error, x) = worst::<f32>(op, level, 1e-35, f64::from(f32::MAX));
                println!("{op:?} {level:?}: {:.2} ulp at {x}", error / f64::from(f32::EPSILON));
                assert!(error <= units * f64::from(f32::EPSILON), "{op:?} at {x}: {error} at {level:?}");
            }
        }
    }

    #[test]
    fn functions_of_float64_are_those_of_the_library() {
        for level in Level::all() {
            for op in ALL {
                let tolerance = if op == (UnaryOp::Gelu { tanh: true }) { 1e-12 } else { 1e-13 };
                let (error, x) = worst::<f64>(op, level, f64::MIN_POSITIVE, f64::MAX);
                assert!(error <= tolerance, "{op:?} at {x}: {error} at {level:?}");
            }
        }
    }

    fn check_binary<T: Real>(op: BinaryOp, level: Level, tolerance: f64) {
        let whole = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor);
        let numbers = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            -0.5,
            2.0,
            3.0,
            -3.0,
            7.0,
            -7.5,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            0.1,
            1e9,
        ];
        let (mut x, mut y): (Vec<T>, Vec<T>) = numbers
            .iter()
            .flat_map(|&x| numbers.iter().map(move |&y| (T::from_f64(x), T::from_f64(y))))
            .filter(|(x, y)| !whole || x.to_f64().fract() == 0.0 && y.to_f64().fract() == 0.0)
            .unzip();
        let size = x.len().next_multiple_of(STRIP * 16);
        x.resize(size, T::ONE);
        y.resize(size, T::ONE);
        let mut found = x.clone();
        T::dispatch(level, Apply2 { op, x: &mut found, y: &y });
        for ((x, y), found) in x.iter().zip(&y).zip(&found) {
            let wanted = reference::binary(op, x.to_f64(), y.to_f64());
            let found = found.to_f64();
            let close = (found - wanted).abs() <= tolerance * wanted.abs();
            let overflows = wanted.abs() > 1e38 && found.is_infinite() || wanted.abs() < 1e-38 && found.abs() < 1e-38;
            assert!(
                close || found == wanted || overflows || (found.is_nan() && wanted.is_nan()),
                "{op:?} of {x:?} and {y:?}: {found}, not {wanted}"
            );
        }
    }

    #[test]
    fn functions_of_two_numbers() {
        let all = [
            BinaryOp::Add,
            BinaryOp::Sub,
            BinaryOp::Mul,
            BinaryOp::Div,
            BinaryOp::FloorDiv,
            BinaryOp::Remainder,
            BinaryOp::Pow,
            BinaryOp::Maximum,
            BinaryOp::Minimum,
            BinaryOp::Atan2,
            BinaryOp::Eq,
            BinaryOp::Ne,
            BinaryOp::Lt,
            BinaryOp::Le,
            BinaryOp::Gt,
            BinaryOp::Ge,
            BinaryOp::And,
            BinaryOp::Or,
            BinaryOp::Xor,
        ];
        for level in Level::all() {
            for op in all {
                check_binary::<f32>(op, level, 2e-7);
                check_binary::<f64>(op, level, 1e-15);
            }
        }
    }

    #[test]
    fn division_with_whole_results() {
        assert_eq!(floor_div(7.0, 2.0), 3.0);
        assert_eq!(floor_div(-7.0, 2.0), -4.0);
        assert_eq!(floor_div(7.0, -2.0), -4.0);
        assert_eq!(floor_div(1.0, 0.1), 9.0); // 0.1 is a little more than a tenth
        assert_eq!(remainder(-7.0, 3.0), 2.0);
        assert_eq!(remainder(7.0, -3.0), -2.0);
        assert_eq!(remainder(-0.5, 1.0), 0.5);
        assert!(floor_div(1.0, 0.0).is_infinite() && remainder(1.0, 0.0).is_nan());
    }
}
