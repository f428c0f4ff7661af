//! A network's parameters while it computes, and how they start.

use graph::rng::Rng;
use graph::start::initial;
use graph::{Graph, ParamId};
use tch::{Kind, Tensor};

use crate::Device;
use crate::error::{Error, Result};
use crate::tensor::{Dtype, TorchKind, from_f64, size, sizes, to_f64};
use crate::weights::{Array, Weights};

/// All parameters and buffers of a graph on a device.
///
/// What is trained lies in one flat tensor, and each parameter is a window into it: the optimiser then works on few
/// large tensors instead of many small ones.
pub struct Parameters {
    /// All trained elements, one parameter after the other, [P].
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
    window: Option<usize>,
}

impl Entry {
    /// The same parameter with another value.
    fn with(&self, shape: Vec<usize>, value: Tensor) -> Self {
        let (name, aliases) = (self.name.clone(), self.aliases.clone());
        Self { name, aliases, shape, transient: self.transient, value, window: self.window }
    }
}

impl Parameters {
    /// Draws the initial values. Each parameter has a random stream of its own, named for it: what else a network
    /// holds does not change how it starts.
    pub fn init(graph: &Graph, seed: u64, dtype: Dtype, device: Device) -> Result<Self> {
        let draw =
            |param: &graph::Param| Ok(initial(&param.init, &param.shape, seed, &mut Rng::new(seed, &param.name))?);
        let values = graph.params().iter().map(draw).collect::<Result<Vec<_>>>()?;
        Self::assemble(graph, &values, dtype, device)
    }

    /// Takes the values from `weights`, all of which must fit. Transient buffers, which files do not hold, start anew.
    pub fn from_weights(graph: &Graph, weights: &Weights, dtype: Dtype, device: Device) -> Result<Self> {
        let take = |param: &graph::Param| -> Result<Vec<f64>> {
            let fail = |reason: String| Error::Tensor { name: param.name.clone(), reason };
            match weights.arrays.get(&param.name) {
                None if param.transient => Ok(graph::start::transient(param)?),
                None => Err(fail("is missing".to_owned())),
                Some(array) if array.shape != param.shape => {
                    Err(fail(format!("has shape {:?}, the network needs {:?}", array.shape, param.shape)))
                }
                Some(array) => Ok(array.data.clone()),
            }
        };
        let values = graph.params().iter().map(take).collect::<Result<Vec<_>>>()?;
        Self::assemble(graph, &values, dtype, device)
    }

    fn assemble(graph: &Graph, values: &[Vec<f64>], dtype: Dtype, device: Device) -> Result<Self> {
        let trained = graph.params().iter().zip(values).filter(|(param, _)| param.trainable);
        let joined: Vec<f64> = trained.flat_map(|(_, values)| values.iter().copied()).collect();
        let flat = from_f64(&joined, &[size(joined.len())?], dtype.kind(), device)?;
        let mut entries = Vec::with_capacity(graph.params().len());
        let mut start = 0;
        for (param, data) in graph.params().iter().zip(values) {
            let shape = sizes(&param.shape)?;
            let (value, window) = if param.trainable {
                let part = flat.f_narrow(0, size(start)?, size(data.len())?)?;
                let window = (part.f_view(shape.as_slice())?.f_detach()?, Some(start));
                start += data.len();
                window
            } else {
                (from_f64(data, &shape, dtype.kind(), device)?, None)
            };
            let (name, aliases, shape) = (param.name.clone(), param.aliases.clone(), param.shape.clone());
            entries.push(Entry { name, aliases, shape, transient: param.transient, value, window });
        }
        Ok(Self { flat, entries, dtype })
    }

    /// The parameters of several networks of one architecture, each with an axis for them in front: those of a graph that
    /// [`graph::vectorise`] has made of theirs.
    pub fn together(networks: &[Parameters]) -> Result<Self> {
        let first = networks.first().ok_or_else(|| Error::missing("a network"))?;
        let stacked = |(at, entry): (usize, &Entry)| -> Result<Entry> {
            let each = networks.iter().map(|other| other.entries.get(at).map(|entry| &entry.value));
            let each = each.collect::<Option<Vec<&Tensor>>>().ok_or_else(|| Error::missing("a parameter"))?;
            let shape = std::iter::once(networks.len()).chain(entry.shape.iter().copied()).collect();
            Ok(entry.with(shape, Tensor::f_stack(&each, 0)?))
        };
        let entries = first.entries.iter().enumerate().map(stacked).collect::<Result<_>>()?;
        Self::laid_out(entries, first.dtype, &first.flat)
    }

    /// Places in [`Parameters::flat`] of [`Parameters::together`], those of each network one after the other in the order in which
    /// its own would have them.
    pub fn places(&self, networks: usize) -> Vec<usize> {
        let mut places = Vec::new();
        for at in 0..networks {
            for entry in &self.entries {
                let Some(start) = entry.window else { continue };
                let each = entry.shape.iter().skip(1).product::<usize>();
                places.extend(start + at * each..start + (at + 1) * each);
            }
        }
        places
    }

    /// A copy of the parameters of one of the networks that are [`Parameters::together`].
    pub fn of_network(&self, at: usize) -> Result<Self> {
        let at = size(at)?;
        let own = |entry: &Entry| -> Result<Entry> {
            let shape = entry.shape.iter().skip(1).copied().collect();
            Ok(entry.with(shape, entry.value.f_select(0, at)?.f_detach_copy()?))
        };
        let entries = self.entries.iter().map(own).collect::<Result<_>>()?;
        Self::laid_out(entries, self.dtype, &self.flat)
    }

    /// What is trained is copied into one new flat tensor, of the kind of `like`, and becomes a window of it.
    fn laid_out(mut entries: Vec<Entry>, dtype: Dtype, like: &Tensor) -> Result<Self> {
        let trained = entries.iter().filter(|entry| entry.window.is_some());
        let trained = trained.map(|entry| Ok(entry.value.f_reshape([-1_i64])?)).collect::<Result<Vec<_>>>()?;
        let flat = match trained.as_slice() {
            [] => like.f_zeros_like()?,
            trained => Tensor::f_cat(trained, 0)?,
        };
        let mut start = 0;
        for entry in &mut entries {
            if entry.window.is_some() {
                let length = entry.shape.iter().product();
                let part = flat.f_narrow(0, size(start)?, size(length)?)?;
                entry.value = part.f_view(sizes(&entry.shape)?.as_slice())?.f_detach()?;
                entry.window = Some(start);
                start += length;
            }
        }
        Ok(Self { flat, entries, dtype })
    }

    /// The same numbers, in the same memory, for another thread: an update of one is seen by all.
    pub fn share(&self) -> Self {
        let entries = self.entries.iter().map(|entry| entry.with(entry.shape.clone(), entry.value.shallow_clone()));
        let entries = entries.collect();
        Self { flat: self.flat.shallow_clone(), entries, dtype: self.dtype }
    }

    /// The value of a parameter of the graph.
    pub fn value(&self, param: ParamId) -> Option<&Tensor> {
        self.entries.get(param.index()).map(|entry| &entry.value)
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

    /// As [`Parameters::set`], by the parameter's place in the graph.
    pub fn set_value(&self, param: ParamId, value: &Tensor) -> Result<()> {
        let entry = self.entries.get(param.index()).ok_or_else(|| Error::missing("a parameter"))?;
        entry.value.shallow_clone().f_copy_(value)?;
        Ok(())
    }

    /// Where a parameter lies in [`Parameters::flat`], if it is trained: first element and number of elements.
    pub fn window(&self, param: ParamId) -> Option<(usize, usize)> {
        let entry = self.entries.get(param.index())?;
        Some((entry.window?, entry.shape.iter().product()))
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

    /// The type of their elements, as libtorch calls it.
    pub fn kind(&self) -> Kind {
        self.dtype.kind()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tied_parameters_are_written_under_all_their_names() {
        let mut graph = Graph::new();
        let param = graph::Param {
            name: "a.weight".into(),
            aliases: vec!["b.weight".into()],
            shape: vec![2],
            init: graph::Init::Uniform { low: 0.0, high: 1.0 },
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
}
