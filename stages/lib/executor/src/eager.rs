//! Graphs operation by operation, with libtorch: on any device.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use graph::{NodeId, Op};
use tch::{Kind, Tensor};

use crate::engine::{OnStep, Outcome, Sequence};
use crate::error::{Error, Result};
use crate::gpu::graphs::Stream;
use crate::gpu::library::Target;
use crate::gpu::moves::Mover;
use crate::gpu::program::{Program, Surroundings};
use crate::ops;
use crate::parameters::Parameters;
use crate::recurrence::{Part, Recurrence};
use crate::tensor::{TorchKind, item, size};
use crate::{Device, Dtype};

/// See [`crate::Engine`].
pub(crate) struct Eager {
    recurrences: Arc<Vec<Recurrence>>,
    bound: BTreeMap<(usize, Stage, (i64, i64)), Bound>,
    /// What kernels are written for; absent: all are libtorch's.
    target: Option<Target>,
    /// What a GPU's work is given to, where kernels are written for it.
    stream: Option<Stream>,
    float: Kind,
    device: Device,
    /// What went wrong without harm.
    pub warnings: Vec<String>,
}

/// The parts of a recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Fixed,
    Step,
    StepBack,
    FixedBack,
}

impl Stage {
    pub fn part(self, recurrence: &Recurrence) -> Result<&Part> {
        let backward = || recurrence.backward.as_ref().ok_or_else(|| Error::missing("the gradient"));
        Ok(match self {
            Self::Fixed => &recurrence.fixed,
            Self::Step => &recurrence.step,
            Self::StepBack => &backward()?.step,
            Self::FixedBack => &backward()?.fixed,
        })
    }
}

/// What is known of a part once B and N are.
struct Bound {
    shapes: Vec<Vec<i64>>,
    constants: BTreeMap<NodeId, Tensor>,
    /// By node: the values that it is the last to read.
    last: Vec<Vec<NodeId>>,
    /// The part as kernels of its own, where these are wanted and can be had.
    program: Option<Program>,
}

impl Eager {
    pub fn new(recurrences: Arc<Vec<Recurrence>>, dtype: Dtype, device: Device) -> Self {
        let (bound, warnings) = (BTreeMap::new(), Vec::new());
        Self { recurrences, bound, target: None, stream: None, float: dtype.kind(), device, warnings }
    }

    /// As [`Eager::new`], with kernels that are written for the network.
    pub fn with_kernels(recurrences: Arc<Vec<Recurrence>>, dtype: Dtype, device: Device) -> Self {
        let target = match device.0 {
            tch::Device::Cuda(index) => Target::Gpu(index),
            _ => Target::Host,
        };
        Self { target: Some(target), ..Self::new(recurrences, dtype, device) }
    }

    /// See [`crate::Engine::run`].
    pub fn run(
        &mut self,
        parameters: &Parameters,
        sequence: &Sequence<'_>,
        gradient: Option<&mut Tensor>,
        on_step: &mut OnStep<'_>,
    ) -> Result<Outcome> {
        let recurrences = Arc::clone(&self.recurrences);
        let sequence = &there(sequence, self.device)?;
        let sizes = sequence.sizes;
        let mut fixed: BTreeMap<usize, Vec<Tensor>> = BTreeMap::new();
        for &variant in sequence.variants {
            if let Entry::Vacant(place) = fixed.entry(variant) {
                let recurrence = chosen(&recurrences, variant)?;
                let inputs = given(recurrence, &sequence.given)?;
                place.insert(self.part(variant, Stage::Fixed, &recurrence.fixed, &inputs, parameters, sizes)?);
            }
        }
        let mut losses: Vec<Tensor> = Vec::new();
        let mut states = vec![copies(&sequence.state)];
        let mut saved: Vec<Vec<Tensor>> = Vec::new();
        for (time, &variant) in sequence.variants.iter().enumerate() {
            let recurrence = chosen(&recurrences, variant)?;
            let state = states.last().ok_or_else(|| Error::missing("the state"))?;
            let inputs = inputs(recurrence, sequence, time, state, fixed.get(&variant))?;
            let mut values = self.part(variant, Stage::Step, &recurrence.step, &inputs, parameters, sizes)?.into_iter();
            let next: Vec<Tensor> = values.by_ref().take(recurrence.state.len()).collect();
            for (at, loss) in values.by_ref().take(recurrence.losses).enumerate() {
                match losses.get_mut(at) {
                    Some(sum) => *sum = sum.f_add(&loss)?,
                    None => losses.push(loss),
                }
            }
            let outputs: Vec<Tensor> = values.by_ref().take(recurrence.outputs).collect();
            on_step(time, &outputs)?;
            if gradient.is_some() {
                states.push(next);
                saved.push(values.collect());
            } else {
                states = vec![next];
            }
        }
        let state = match gradient {
            Some(gradient) => self.backward(parameters, sequence, gradient, &fixed, (&states, saved))?,
            None => Vec::new(),
        };
        Ok(Outcome { losses: losses.iter().map(item).collect::<Result<_>>()?, state })
    }

    fn backward(
        &mut self,
        parameters: &Parameters,
        sequence: &Sequence<'_>,
        gradient: &mut Tensor,
        fixed: &BTreeMap<usize, Vec<Tensor>>,
        (states, mut saved): (&[Vec<Tensor>], Vec<Vec<Tensor>>),
    ) -> Result<Vec<Tensor>> {
        let recurrences = Arc::clone(&self.recurrences);
        let sizes = sequence.sizes;
        let mut adjoint: Vec<Tensor> =
            sequence.state.iter().map(|x| Ok(x.f_zeros_like()?)).collect::<Result<Vec<_>>>()?;
        let mut sums: BTreeMap<usize, Vec<Tensor>> = BTreeMap::new();
        for (time, &variant) in sequence.variants.iter().enumerate().rev() {
            let recurrence = chosen(&recurrences, variant)?;
            let backward = recurrence.backward.as_ref().ok_or_else(|| Error::missing("the gradient"))?;
            let state = states.get(time).ok_or_else(|| Error::missing("the state"))?;
            let mut inputs = inputs(recurrence, sequence, time, state, fixed.get(&variant))?;
            inputs.extend(saved.pop().unwrap_or_default());
            inputs.append(&mut adjoint);
            let values = self.part(variant, Stage::StepBack, &backward.step, &inputs, parameters, sizes)?;
            let mut values = values.into_iter();
            adjoint = values.by_ref().take(recurrence.state.len()).collect();
            match sums.get_mut(&variant) {
                None => drop(sums.insert(variant, values.collect())),
                Some(sums) => {
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = sum.f_add(&value)?;
                    }
                }
            }
        }
        for (variant, sums) in sums {
            let recurrence = chosen(&recurrences, variant)?;
            let backward = recurrence.backward.as_ref().ok_or_else(|| Error::missing("the gradient"))?;
            let mut inputs = given(recurrence, &sequence.given)?;
            inputs.extend(sums);
            let values = self.part(variant, Stage::FixedBack, &backward.fixed, &inputs, parameters, sizes)?;
            for (param, value) in backward.params.iter().zip(values) {
                let (start, length) = parameters.window(*param).ok_or_else(|| Error::missing("a parameter's place"))?;
                let mut place = gradient.f_narrow(0, size(start)?, size(length)?)?;
                let _ = place.f_add_(&value.f_reshape([-1_i64])?)?;
            }
        }
        Ok(adjoint)
    }

    /// How values are put in their places.
    pub fn mover(&self) -> Mover {
        Mover { target: self.target, float: self.float, stream: self.stream }
    }

    /// What a GPU's work is given to from now on. Kernels can be launched into a stream only.
    pub fn set_stream(&mut self, stream: Option<Stream>) {
        self.stream = stream;
        if stream.is_none() && self.device.is_cuda() && self.target.take().is_some() {
            self.bound.clear();
        }
    }

    /// The outputs of a part.
    pub fn part(
        &mut self,
        variant: usize,
        stage: Stage,
        part: &Part,
        inputs: &[Tensor],
        parameters: &Parameters,
        sizes: (i64, i64),
    ) -> Result<Vec<Tensor>> {
        let at = Surroundings { float: self.float, device: self.device, sizes, stream: self.stream };
        self.bound(variant, stage, part, sizes)?.run(part, inputs, parameters, &at)
    }

    /// Shapes and element types of a part's outputs.
    pub fn outlines(
        &mut self,
        variant: usize,
        stage: Stage,
        part: &Part,
        sizes: (i64, i64),
    ) -> Result<Vec<(Vec<i64>, Kind)>> {
        let float = self.float;
        let bound = self.bound(variant, stage, part, sizes)?;
        let outline = |id: &NodeId| {
            let shape = bound.shapes.get(id.index()).ok_or_else(|| Error::missing("a shape"))?;
            Ok((shape.clone(), ops::kind(part.graph.dtype(*id), float)))
        };
        part.outputs.iter().map(outline).collect()
    }

    fn bound(&mut self, variant: usize, stage: Stage, part: &Part, sizes: (i64, i64)) -> Result<&Bound> {
        match self.bound.entry((variant, stage, sizes)) {
            Entry::Occupied(place) => Ok(place.into_mut()),
            Entry::Vacant(place) => {
                let mut bound = Bound::new(part, sizes, self.float, self.device)?;
                if let Some(target) = self.target {
                    match Program::new(part, sizes, self.float, target) {
                        Ok(program) => bound.program = Some(program),
                        Err(error) => {
                            self.warnings
                                .push(format!("a part of the network has no kernels of its own, and is slow: {error}"));
                        }
                    }
                }
                Ok(place.insert(bound))
            }
        }
    }
}

impl Bound {
    fn new(part: &Part, sizes: (i64, i64), float: Kind, device: Device) -> Result<Self> {
        let graph = &part.graph;
        let shape_of = |node: &graph::Node| -> Result<Vec<i64>> {
            let axes = node.shape.iter().map(|dim| dim.eval(sizes.0, sizes.1));
            let overflows = || Error::Inconsistent(format!("a size of {} overflows", node.op.name()));
            axes.collect::<Option<_>>().ok_or_else(overflows)
        };
        let shapes = graph.nodes().iter().map(shape_of).collect::<Result<Vec<_>>>()?;
        let mut constants = BTreeMap::new();
        let mut last = vec![Vec::new(); graph.nodes().len()];
        let mut seen = vec![false; graph.nodes().len()];
        part.outputs.iter().for_each(|id| seen[id.index()] = true);
        for id in graph.ids().rev() {
            let node = graph.node(id);
            let at = ops::Context { float, device, sizes, shape: &shapes[id.index()] };
            constants.extend(ops::constant(node, &at)?.map(|value| (id, value)));
            for &arg in &node.args {
                if !std::mem::replace(&mut seen[arg.index()], true) {
                    last[id.index()].push(arg);
                }
            }
        }
        Ok(Self { shapes, constants, last, program: None })
    }

    fn run(&self, part: &Part, inputs: &[Tensor], parameters: &Parameters, at: &Surroundings) -> Result<Vec<Tensor>> {
        let graph = &part.graph;
        let mut values: Vec<Option<Tensor>> = graph.nodes().iter().map(|_| None).collect();
        for id in graph.ids() {
            let absent = |what: &str| Error::missing(&format!("{what} of {} inputs", inputs.len()));
            let value = match graph.node(id).op {
                Op::Input(input) => inputs.get(input as usize).ok_or_else(|| absent("an input"))?,
                Op::Param(param) => parameters.value(param).ok_or_else(|| absent("a parameter"))?,
                _ => match self.constants.get(&id) {
                    Some(constant) => constant,
                    None => continue,
                },
            };
            values[id.index()] = Some(value.shallow_clone());
        }
        if let Some(program) = &self.program {
            return program.run(part, values, at);
        }
        let Surroundings { float, device, sizes, .. } = *at;
        for id in graph.ids() {
            let node = graph.node(id);
            if values[id.index()].is_none() {
                let args = node.args.iter().map(|arg| values.get(arg.index()).and_then(Option::as_ref));
                let args = args.collect::<Option<Vec<_>>>().ok_or_else(|| Error::missing("an argument"))?;
                let context = ops::Context { float, device, sizes, shape: &self.shapes[id.index()] };
                values[id.index()] = Some(ops::apply(node, &args, &context)?);
            }
            for arg in &self.last[id.index()] {
                values[arg.index()] = None;
            }
        }
        let output = |id: &NodeId| values.get(id.index()).and_then(Option::as_ref).map(Tensor::shallow_clone);
        part.outputs.iter().map(|id| output(id).ok_or_else(|| Error::missing("an output"))).collect()
    }
}

fn copies(tensors: &[Tensor]) -> Vec<Tensor> {
    tensors.iter().map(Tensor::shallow_clone).collect()
}

/// The sequence with all its tensors on a device; those that are there already are not copied.
fn there<'a>(sequence: &Sequence<'a>, device: Device) -> Result<Sequence<'a>> {
    let all = |tensors: &BTreeMap<usize, Tensor>| -> Result<BTreeMap<usize, Tensor>> {
        tensors.iter().map(|(&input, x)| Ok((input, x.f_to(device.0)?))).collect()
    };
    let state = sequence.state.iter().map(|x| Ok(x.f_to(device.0)?)).collect::<Result<_>>()?;
    let (sizes, variants) = (sequence.sizes, sequence.variants);
    Ok(Sequence { sizes, variants, given: all(&sequence.given)?, data: all(&sequence.data)?, state })
}

pub(crate) fn chosen(recurrences: &[Recurrence], variant: usize) -> Result<&Recurrence> {
    recurrences.get(variant).ok_or_else(|| Error::missing("a recurrence"))
}

/// What is given once, in the recurrence's order.
pub(crate) fn given(recurrence: &Recurrence, given: &BTreeMap<usize, Tensor>) -> Result<Vec<Tensor>> {
    let value = |input: &usize| given.get(input).map(Tensor::shallow_clone);
    recurrence.given.iter().map(|input| value(input).ok_or_else(|| Error::missing("an input"))).collect()
}

/// State, data and static values of a step.
fn inputs(
    recurrence: &Recurrence,
    sequence: &Sequence<'_>,
    time: usize,
    state: &[Tensor],
    fixed: Option<&Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    let mut inputs = copies(state);
    for input in &recurrence.data {
        let rows = sequence.data.get(input).ok_or_else(|| Error::missing("data of a time step"))?;
        inputs.push(rows.f_select(0, size(time)?)?);
    }
    inputs.extend(copies(fixed.map_or(&[], Vec::as_slice)));
    Ok(inputs)
}
