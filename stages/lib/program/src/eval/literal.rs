//! Constant and random tensors that nothing has used yet: arithmetic on how they start.

use std::rc::Rc;

use graph::{DType, Init};

use super::value::{Data, Literal, Tensor, Value};
use super::{R, Run};
use crate::syntax::BinOp;

/// Most elements that constants are computed with one by one.
const MAX_VALUES: usize = 1 << 16;

/// `scale * init + shift`.
pub fn affine(init: &Init, scale: f64, shift: f64) -> Init {
    match init {
        Init::Constant(v) => Init::Constant(v * scale + shift),
        Init::Values(values) => Init::Values(values.iter().map(|v| v * scale + shift).collect()),
        Init::Uniform { low, high } if scale >= 0.0 => {
            Init::Uniform { low: low * scale + shift, high: high * scale + shift }
        }
        Init::Uniform { low, high } => Init::Uniform { low: high * scale + shift, high: low * scale + shift },
        Init::Normal { mean, std } => Init::Normal { mean: mean * scale + shift, std: std * scale.abs() },
        Init::Affine { base, scale: s, shift: t } => {
            Init::Affine { base: base.clone(), scale: s * scale, shift: t * scale + shift }
        }
        other if scale == 1.0 && shift == 0.0 => other.clone(),
        other => Init::Affine { base: Box::new(other.clone()), scale, shift },
    }
}

/// `a op b` of two float tensors of which one is drawn at random and the other's numbers are known, where the draws have the
/// value's shape.
pub fn weighted(a: &Literal, op: BinOp, b: &Literal) -> Option<Literal> {
    let (drawn, known) = match (a.is_random(), b.is_random()) {
        (true, false) => (a, b),
        (false, true) => (b, a),
        _ => return None,
    };
    let numbers = spread(known, &drawn.shape).filter(|_| drawn.dtype == DType::Float)?;
    let all = |number: f64| vec![number; numbers.len()];
    let each = |f: fn(&f64) -> f64| numbers.iter().map(f).collect::<Vec<f64>>();
    let (scale, shift) = match op {
        BinOp::Add => (all(1.0), numbers),
        BinOp::Sub if a.is_random() => (all(1.0), each(|x| -x)),
        BinOp::Sub => (all(-1.0), numbers),
        BinOp::Mul => (numbers.clone(), all(0.0)),
        BinOp::Div if a.is_random() && !numbers.contains(&0.0) => (each(|x| 1.0 / x), all(0.0)),
        _ => return None,
    };
    let same = |numbers: &[f64]| numbers.iter().all(|x| numbers.first() == Some(x));
    let init = match (scale.first(), shift.first()) {
        (Some(&by), Some(&to)) if same(&scale) && same(&shift) => affine(&drawn.init, by, to),
        _ => Init::Weighted { base: Box::new(drawn.init.clone()), scale, shift },
    };
    Some(Literal { init, ..drawn.clone() })
}

/// The numbers of a constant that is broadcast to a shape, row-major.
fn spread(known: &Literal, shape: &[usize]) -> Option<Vec<f64>> {
    let small = |shape: &[usize]| {
        shape.iter().try_fold(1_usize, |n, size| n.checked_mul(*size)).filter(|count| *count <= MAX_VALUES)
    };
    let (count, _) = (small(shape)?, small(&known.shape)?);
    let missing = shape.len().checked_sub(known.shape.len())?;
    let own: Vec<usize> = vec![1; missing].into_iter().chain(known.shape.iter().copied()).collect();
    if own.iter().zip(shape).any(|(own, size)| *own != 1 && own != size) {
        return None;
    }
    let values = graph::start::initial(&known.init, &known.shape, 0, &mut graph::rng::Rng::new(0, "")).ok()?;
    let place = |at: usize| {
        let (mut rest, mut place, mut stride) = (at, 0, 1);
        for (own, size) in own.iter().zip(shape).rev() {
            place += rest % size % own * stride;
            (rest, stride) = (rest / size, stride * own);
        }
        place
    };
    (0..count).map(|at| values.get(place(at)).copied()).collect()
}

/// `base`, of `count` elements, with those at `places` replaced by a tensor of shape `part`.
pub fn patched(base: Init, count: usize, places: Vec<u32>, part: Vec<usize>, init: &Init) -> Init {
    if places.len() == count && places.iter().zip(0..).all(|(a, b)| *a == b) {
        return init.clone();
    }
    let values = |init: &Init, count: usize| match init {
        Init::Constant(v) => Some(vec![*v; count]),
        Init::Values(v) => Some(v.clone()),
        _ => None,
    };
    if let (Some(mut all), Some(new)) = (values(&base, count), values(init, places.len())) {
        for (at, value) in places.iter().zip(new) {
            if let Some(slot) = all.get_mut(*at as usize) {
                *slot = value;
            }
        }
        return Init::Values(all);
    }
    Init::Patched { base: Box::new(base), places, part, init: Box::new(init.clone()) }
}

impl Run {
    /// The literal behind a value, if nothing has used it as a tensor of the graph.
    ///
    /// # Errors
    /// Its elements count: who asks goes over them.
    pub fn literal(&mut self, value: &Value) -> R<Option<Literal>> {
        match value {
            Value::Tensor(t) => self.literal_of(t),
            _ => Ok(None),
        }
    }

    fn literal_of(&mut self, tensor: &Tensor) -> R<Option<Literal>> {
        let data = tensor.data.borrow();
        let Data::Literal(literal) = &*data else { return Ok(None) };
        if let Init::Values(values) = &literal.init {
            // Arithmetic on plain numbers is quicker than other walks.
            self.go_over(values.len() / 8)?;
        }
        Ok(Some(literal.clone()))
    }

    pub fn literal_value(&mut self, shape: Vec<usize>, init: Init, dtype: DType) -> Value {
        let data = Data::Literal(Literal { shape, init, dtype });
        Value::Tensor(Rc::new(Tensor::new(data, Rc::default(), false, self.here())))
    }

    /// A literal after `f` has changed how it starts.
    pub fn fold_scalar(&mut self, tensor: &Tensor, f: impl FnOnce(&Init) -> Init) -> R<Option<Value>> {
        let literal = self.literal_of(tensor)?.filter(|l| l.dtype == DType::Float);
        Ok(literal.map(|l| self.literal_value(l.shape, f(&l.init), DType::Float)))
    }

    /// Arithmetic between a literal and a number or another constant.
    pub fn fold_binary(&mut self, a: &Value, op: BinOp, b: &Value) -> R<Option<Value>> {
        let number = |v: &Value| match v {
            Value::Float(f) => Some(*f),
            Value::Int(i) => Some(*i as f64),
            _ => None,
        };
        let (left, right) = (self.literal(a)?, self.literal(b)?);
        // a constant beside draws of the same shape counts as its number
        let constant = |l: &Option<Literal>, other: &Option<Literal>| match (l, other) {
            (Some(l), Some(other)) if l.dtype == other.dtype && l.shape == other.shape && other.is_random() => {
                if let Init::Constant(v) = l.init {
                    Some(v)
                } else {
                    None
                }
            }
            _ => None,
        };
        let (x, y) = (constant(&left, &right), constant(&right, &left));
        if let Some(l) = left.as_ref().filter(|l| l.dtype == DType::Float)
            && let Some(x) = number(b).or(y)
        {
            let init = match op {
                BinOp::Mul => Some(affine(&l.init, x, 0.0)),
                BinOp::Div if x != 0.0 => Some(match &l.init {
                    Init::Constant(v) => Init::Constant(v / x),
                    Init::Values(values) => Init::Values(values.iter().map(|v| v / x).collect()),
                    other => affine(other, 1.0 / x, 0.0),
                }),
                BinOp::Add => Some(affine(&l.init, 1.0, x)),
                BinOp::Sub => Some(affine(&l.init, 1.0, -x)),
                BinOp::Pow => l
                    .values()
                    .filter(|v| v.len() <= MAX_VALUES)
                    .map(|values| Init::Values(values.into_iter().map(|v| v.powf(x)).collect())),
                _ => None,
            };
            if let Some(init) = init {
                return Ok(Some(self.literal_value(l.shape.clone(), init, DType::Float)));
            }
        }
        if let Some(l) = right.as_ref().filter(|l| l.dtype == DType::Float)
            && let Some(x) = number(a).or(x)
        {
            let init = match op {
                BinOp::Mul => Some(affine(&l.init, x, 0.0)),
                BinOp::Add => Some(affine(&l.init, 1.0, x)),
                BinOp::Sub => Some(affine(&l.init, -1.0, x)),
                BinOp::Div => l
                    .values()
                    .filter(|v| v.len() <= MAX_VALUES)
                    .map(|values| Init::Values(values.into_iter().map(|v| x / v).collect())),
                _ => None,
            };
            if let Some(init) = init {
                return Ok(Some(self.literal_value(l.shape.clone(), init, DType::Float)));
            }
        }
        Ok(None)
    }
}
