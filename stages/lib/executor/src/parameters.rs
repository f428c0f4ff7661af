//! A network's parameters while it computes, and how they start.

use graph::{Graph, Init, ParamId};
use tch::{Kind, Tensor};

use crate::Device;
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::tensor::{Dtype, from_f64, size, sizes, to_f64};
use crate::weights::{Array, Weights};

/// All parameters and buffers of a graph on a device.
///
/// What is trained lies in one flat tensor, and each parameter is a window into it: the optimiser then works on few
/// large tensors instead of many small ones.
pub struct Parameters {
    pub flat: Tensor,
    /// For each of the graph's parameters.
    entries: Vec<Entry>,
    dtype: Dtype,
}

struct Entry {
    name: String,
    aliases: Vec<String>,
    shape: Vec<usize>,
    transient: bool,
    /// Shares memory with `flat` where trained.
    value: Tensor,
    /// First element in `flat`, where trained.
    window: Option<i64>,
}

impl Parameters {
    /// Draws the initial values. Each parameter has a random stream of its own, named for it: what else a network
    /// holds does not change how it starts.
    pub fn init(graph: &Graph, seed: u64, dtype: Dtype, device: Device) -> Result<Self> {
        let draw = |param: &graph::Param| initial(&param.init, &param.shape, seed, &mut Rng::new(seed, &param.name));
        let values = graph.params.iter().map(draw).collect::<Result<Vec<_>>>()?;
        Self::assemble(graph, &values, dtype, device)
    }

    /// Takes the values from `weights`, all of which must fit. Transient buffers, which files do not hold, start anew.
    pub fn from_weights(graph: &Graph, weights: &Weights, dtype: Dtype, device: Device) -> Result<Self> {
        let take = |param: &graph::Param| -> Result<Vec<f64>> {
            let fail = |reason: String| Error::Tensor { name: param.name.clone(), reason };
            match weights.arrays.get(&param.name) {
                None if param.transient => initial(&param.init, &param.shape, 0, &mut Rng::new(0, &param.name)),
                None => Err(fail("is missing".to_owned())),
                Some(array) if array.shape != param.shape => {
                    Err(fail(format!("has shape {:?}, the network needs {:?}", array.shape, param.shape)))
                }
                Some(array) => Ok(array.data.clone()),
            }
        };
        let values = graph.params.iter().map(take).collect::<Result<Vec<_>>>()?;
        Self::assemble(graph, &values, dtype, device)
    }

    fn assemble(graph: &Graph, values: &[Vec<f64>], dtype: Dtype, device: Device) -> Result<Self> {
        let trained = graph.params.iter().zip(values).filter(|(param, _)| param.trainable);
        let joined: Vec<f64> = trained.flat_map(|(_, values)| values.iter().copied()).collect();
        let flat = from_f64(&joined, &[size(joined.len())?], dtype.kind(), device)?;
        let mut entries = Vec::with_capacity(graph.params.len());
        let mut start = 0_i64;
        for (param, data) in graph.params.iter().zip(values) {
            let shape = sizes(&param.shape)?;
            let (value, window) = if param.trainable {
                let length = size(data.len())?;
                let window = flat.f_narrow(0, start, length)?.f_view(shape.as_slice())?.f_detach()?;
                start += length;
                (window, Some(start - length))
            } else {
                (from_f64(data, &shape, dtype.kind(), device)?, None)
            };
            let (name, aliases, shape) = (param.name.clone(), param.aliases.clone(), param.shape.clone());
            entries.push(Entry { name, aliases, shape, transient: param.transient, value, window });
        }
        Ok(Self { flat, entries, dtype })
    }

    /// The same numbers, in the same memory, for another thread: an update of one is seen by all.
    pub fn share(&self) -> Self {
        let entry = |entry: &Entry| Entry {
            name: entry.name.clone(),
            aliases: entry.aliases.clone(),
            shape: entry.shape.clone(),
            transient: entry.transient,
            value: entry.value.shallow_clone(),
            window: entry.window,
        };
        let entries = self.entries.iter().map(entry).collect();
        Self { flat: self.flat.shallow_clone(), entries, dtype: self.dtype }
    }

    /// The value of a parameter of the graph.
    pub fn value(&self, param: ParamId) -> Option<&Tensor> {
        self.entries.get(param.0 as usize).map(|entry| &entry.value)
    }

    /// Gives the parameter of this name other numbers, row-major, in place.
    pub fn set(&self, name: &str, values: &[f64]) -> Result<()> {
        let fail = |reason: String| Error::Tensor { name: name.to_owned(), reason };
        let entry = self.entries.iter().find(|entry| entry.name == name);
        let entry = entry.ok_or_else(|| fail("is no parameter".to_owned()))?;
        if entry.shape.iter().product::<usize>() != values.len() {
            return Err(fail(format!("has shape {:?}, {} numbers were given", entry.shape, values.len())));
        }
        let device = Device(entry.value.device());
        let new = from_f64(values, &sizes(&entry.shape)?, entry.value.f_kind()?, device)?;
        entry.value.shallow_clone().f_copy_(&new)?;
        Ok(())
    }

    /// Where a parameter lies in [`Parameters::flat`], if it is trained: first element and number of elements.
    pub fn window(&self, param: ParamId) -> Option<(usize, usize)> {
        let entry = self.entries.get(param.0 as usize)?;
        Some((usize::try_from(entry.window?).ok()?, entry.shape.iter().product()))
    }

    /// A gradient of nothing, laid out as [`Parameters::flat`].
    pub fn zeros(&self) -> Result<Tensor> {
        Ok(self.flat.f_zeros_like()?)
    }

    /// Arrays of a flat tensor such as a gradient, by parameter name.
    pub fn split(&self, flat: &Tensor) -> Result<Weights> {
        let mut weights = Weights { dtype: self.dtype, ..Weights::default() };
        let data = to_f64(flat)?;
        for entry in &self.entries {
            if let Some(start) = entry.window {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let length: usize = entry.shape.iter().product();
                let part = start.checked_add(length).and_then(|end| data.get(start..end));
                let part = part.ok_or_else(|| Error::Inconsistent(format!("no room for {}", entry.name)))?;
                weights.arrays.insert(entry.name.clone(), Array { shape: entry.shape.clone(), data: part.to_vec() });
            }
        }
        Ok(weights)
    }

    /// All values, as PyTorch's `state_dict` has them.
    pub fn weights(&self) -> Result<Weights> {
        let mut weights = Weights { dtype: self.dtype, ..Weights::default() };
        for entry in self.entries.iter().filter(|entry| !entry.transient) {
            let array = Array { shape: entry.shape.clone(), data: to_f64(&entry.value)? };
            for alias in &entry.aliases {
                weights.arrays.insert(alias.clone(), array.clone());
            }
            weights.arrays.insert(entry.name.clone(), array);
        }
        Ok(weights)
    }

    pub fn kind(&self) -> Kind {
        self.dtype.kind()
    }
}

/// Draws one parameter, row-major, from its stream; what it copies of others is drawn from theirs.
fn initial(init: &Init, shape: &[usize], seed: u64, rng: &mut Rng) -> Result<Vec<f64>> {
    let count: usize = shape.iter().product();
    Ok(match init {
        Init::Constant(value) => vec![*value; count],
        Init::Values(values) if values.len() == count => values.clone(),
        Init::Values(values) => {
            return Err(Error::Inconsistent(format!("{} initial values for shape {shape:?}", values.len())));
        }
        Init::Uniform { low, high } => (0..count).map(|_| low + (high - low) * rng.uniform()).collect(),
        Init::Normal { mean, std } => (0..count).map(|_| mean + std * rng.normal()).collect(),
        Init::TruncatedNormal { std, cut } => (0..count).map(|_| std * rng.truncated_normal(*cut)).collect(),
        Init::Affine { base, scale, shift } => {
            initial(base, shape, seed, rng)?.into_iter().map(|x| scale * x + shift).collect()
        }
        Init::BoundedNormal { mean, std, low, high } => {
            (0..count).map(|_| rng.bounded_normal(*mean, *std, *low, *high)).collect()
        }
        Init::Patched { base, places, part, init } => {
            let mut values = initial(base, shape, seed, rng)?;
            for (place, value) in places.iter().zip(initial(init, part, seed, rng)?) {
                if let Some(slot) = values.get_mut(*place as usize) {
                    *slot = value;
                }
            }
            values
        }
        Init::Copied { of, shape, init, places } => {
            let values = initial(init, shape, seed, &mut Rng::new(seed, of))?;
            let wrong = || Error::Inconsistent(format!("{of} has fewer elements than are copied"));
            places.iter().map(|at| values.get(*at as usize).copied().ok_or_else(wrong)).collect::<Result<_>>()?
        }
        Init::Eye => {
            let columns = shape.get(1).copied().unwrap_or(1).max(1);
            (0..count).map(|at| f64::from(u8::from(at / columns == at % columns))).collect()
        }
        Init::Orthogonal { gain } => orthogonal(*gain, shape, rng),
    })
}

/// Rows, or columns where there are more rows, that are orthonormal, times `gain`; all axes but the first count as
/// columns. Gram-Schmidt on a normal matrix gives the uniform distribution that PyTorch's signed QR gives.
fn orthogonal(gain: f64, shape: &[usize], rng: &mut Rng) -> Vec<f64> {
    let rows = shape.first().copied().unwrap_or(1).max(1);
    let columns = (shape.iter().product::<usize>() / rows).max(1);
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut v: Vec<f64> = (0..length).map(|_| rng.normal()).collect();
        // twice, for the digits that the first pass loses
        for other in vectors.iter().chain(&vectors) {
            let along: f64 = v.iter().zip(other).map(|(x, y)| x * y).sum();
            v.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
        }
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 1e-9 {
            vectors.push(v.into_iter().map(|x| x / norm).collect());
        }
    }
    let at = |row: usize, column: usize| {
        let (vector, along) = if rows <= columns { (row, column) } else { (column, row) };
        vectors.get(vector).and_then(|v| v.get(along)).map_or(0.0, |x| gain * x)
    };
    (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).map(|(r, c)| at(r, c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_values_follow_their_rules() {
        let draw = |init: Init, shape: &[usize]| initial(&init, shape, 1, &mut Rng::new(1, "p")).expect("draws");
        assert_eq!(draw(Init::Constant(-3.0), &[2]), [-3.0, -3.0]);
        assert_eq!(draw(Init::Eye, &[2, 3]), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert!(draw(Init::TruncatedNormal { std: 0.5, cut: 2.0 }, &[64, 64]).iter().all(|x| x.abs() <= 1.0));
        assert!(draw(Init::Uniform { low: -0.25, high: 0.25 }, &[1000]).iter().all(|x| x.abs() <= 0.25));
        let base = Box::new(Init::Constant(2.0));
        assert_eq!(draw(Init::Affine { base, scale: 0.5, shift: 1.0 }, &[1]), [2.0]);
        assert!(initial(&Init::Values(vec![1.0]), &[2], 1, &mut Rng::new(1, "p")).is_err());
        let bounded = draw(Init::BoundedNormal { mean: 0.0, std: 1.0, low: 0.5, high: 3.0 }, &[1000]);
        assert!(bounded.iter().all(|x| (0.5..=3.0).contains(x)));
        let base = Box::new(Init::Uniform { low: 0.0, high: 1.0 });
        let patched =
            Init::Patched { base, places: vec![3, 1], part: vec![2], init: Box::new(Init::Values(vec![5.0, 6.0])) };
        let values = draw(patched, &[2, 2]);
        assert_eq!((values[1], values[3]), (6.0, 5.0));
        // a copy starts as its source does, transposed here
        let source = Init::Normal { mean: 0.0, std: 1.0 };
        let copied = Init::Copied {
            of: "p".into(),
            shape: vec![2, 2],
            init: Box::new(source.clone()),
            places: vec![0, 2, 1, 3],
        };
        let (drawn, copy) =
            (draw(source, &[2, 2]), initial(&copied, &[2, 2], 1, &mut Rng::new(1, "q")).expect("draws"));
        assert_eq!(copy, [drawn[0], drawn[2], drawn[1], drawn[3]]);
    }

    #[test]
    fn tied_parameters_are_written_under_all_their_names() {
        let mut graph = Graph::new();
        let param = graph::Param {
            name: "a.weight".into(),
            aliases: vec!["b.weight".into()],
            shape: vec![2],
            init: Init::Uniform { low: 0.0, high: 1.0 },
            trainable: true,
            transient: false,
            span: graph::Span::default(),
        };
        graph.param(param, graph::Span::default());
        let parameters = Parameters::init(&graph, 1, Dtype::F32, Device::CPU).expect("draws");
        let weights = parameters.weights().expect("reads");
        assert_eq!(weights.arrays.len(), 2);
        assert_eq!(weights.arrays["a.weight"], weights.arrays["b.weight"]);
        assert!(Parameters::from_weights(&graph, &weights, Dtype::F32, Device::CPU).is_ok());
    }

    #[test]
    fn orthogonal_matrices_are() {
        for shape in [[3, 5], [5, 3], [4, 4]] {
            let data = initial(&Init::Orthogonal { gain: 2.0 }, &shape, 1, &mut Rng::new(1, "p")).expect("draws");
            let (rows, columns) = (shape[0], shape[1]);
            let get = |row: usize, column: usize| data[row * columns + column];
            for one in 0..rows.min(columns) {
                for two in 0..rows.min(columns) {
                    let product: f64 = if rows <= columns {
                        (0..columns).map(|at| get(one, at) * get(two, at)).sum()
                    } else {
                        (0..rows).map(|at| get(at, one) * get(at, two)).sum()
                    };
                    let expected = if one == two { 4.0 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-9, "{shape:?}: {product}");
                }
            }
        }
    }
}
