//! Runs sequences of steps, forward and, for gradients, backward.

use std::collections::BTreeMap;
use std::sync::Arc;

use tch::Tensor;

use crate::cpu::Cpu;
use crate::eager::Eager;
use crate::error::Result;
use crate::kernels::bfloat16::Unit;
use crate::parameters::Parameters;
use crate::recurrence::{Options, Recurrence};
use crate::replay::Replay;
use crate::{Device, Dtype, Step};

/// How graphs are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The project's kernels on the CPU, `Replay` elsewhere.
    #[default]
    Auto,
    /// With libtorch and kernels that are written for the network, time steps recorded as CUDA graphs. On the CPU the same
    /// work is not recorded but done anew, with kernels that the C++ compiler makes: for tests.
    Replay,
    /// As `Replay`, without kernels of its own: for comparisons and tests.
    Plain,
    /// Operation by operation with libtorch.
    Eager,
}

/// A batch over time.
#[derive(Debug)]
pub struct Sequence<'a> {
    /// B and N
    pub sizes: (i64, i64),
    /// For each of T time steps, which of the engine's recurrences it runs.
    pub variants: &'a [usize],
    /// By number of the graph's input: what is given once.
    pub given: BTreeMap<usize, Tensor>,
    /// By number of the graph's input: a row for each time step, [T, ...].
    pub data: BTreeMap<usize, Tensor>,
    /// The state before the first step.
    pub state: Vec<Tensor>,
}

/// What a run leaves.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Each loss summed over time, by its number.
    pub losses: Vec<f64>,
    /// Gradients of the state before the first step; empty where no gradient was asked for. Valid until the next run.
    pub state: Vec<Tensor>,
}

/// Called after each step with its number and its outputs, which are valid until it returns.
pub type OnStep<'a> = dyn FnMut(usize, &[Tensor]) -> Result<()> + 'a;

/// Runs sequences on one device, one at a time, with buffers of its own: each thread has an engine.
pub struct Engine {
    recurrences: Arc<Vec<Recurrence>>,
    inner: Inner,
    backend: Backend,
    dtype: Dtype,
    device: Device,
}

enum Inner {
    Eager(Box<Eager>),
    Replay(Box<Replay>),
    Single(Box<Cpu<f32>>),
    Double(Box<Cpu<f64>>),
}

impl Engine {
    /// Compiles `steps`, which are alternatives for a time step: they have the same inputs and the same state.
    ///
    /// # Errors
    /// See [`Recurrence::new`].
    pub fn new(
        steps: impl IntoIterator<Item = Step>,
        options: Options,
        device: Device,
        backend: Backend,
    ) -> Result<Self> {
        let unit = unit(options.dtype, device, backend);
        let steps = steps.into_iter().map(|step| Recurrence::new(&step, options, unit));
        let recurrences = steps.collect::<Result<Vec<_>>>()?;
        Ok(Self::of(Arc::new(recurrences), options.dtype, device, backend))
    }

    fn of(recurrences: Arc<Vec<Recurrence>>, dtype: Dtype, device: Device, backend: Backend) -> Self {
        let shared = Arc::clone(&recurrences);
        let inner = match (backend, device.is_cuda(), dtype) {
            (Backend::Auto, false, Dtype::F32 | Dtype::Tf32 | Dtype::Bf16) => {
                Inner::Single(Box::new(Cpu::new(shared, dtype)))
            }
            (Backend::Auto, false, Dtype::F64) => Inner::Double(Box::new(Cpu::new(shared, dtype))),
            (Backend::Auto, true, _) if !crate::device::graphs() => {
                Inner::Eager(Box::new(Eager::new(shared, dtype, device)))
            }
            (Backend::Eager, ..) => Inner::Eager(Box::new(Eager::new(shared, dtype, device))),
            (Backend::Plain, ..) => Inner::Replay(Box::new(Replay::new(shared, dtype, device, false))),
            _ => Inner::Replay(Box::new(Replay::new(shared, dtype, device, true))),
        };
        Self { recurrences, inner, backend, dtype, device }
    }

    /// The same, for another thread.
    pub fn fork(&self) -> Self {
        Self::of(Arc::clone(&self.recurrences), self.dtype, self.device, self.backend)
    }

    /// What it runs.
    pub fn recurrences(&self) -> &[Recurrence] {
        &self.recurrences
    }

    /// What went wrong so far without harm, in sentences for people.
    pub fn warnings(&self) -> Vec<String> {
        match &self.inner {
            Inner::Replay(replay) => replay.warnings().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// From now on measures the steps of the plans that have been made so far.
    pub fn measure(&mut self) {
        match &mut self.inner {
            Inner::Eager(_) | Inner::Replay(_) => {}
            Inner::Single(cpu) => cpu.measure(),
            Inner::Double(cpu) => cpu.measure(),
        }
    }

    /// What each step of each plan does, with its nanoseconds and calls since [`Engine::measure`].
    pub fn measured(&self) -> Vec<(String, u64, u64)> {
        match &self.inner {
            Inner::Eager(_) | Inner::Replay(_) => Vec::new(),
            Inner::Single(cpu) => cpu.measured(),
            Inner::Double(cpu) => cpu.measured(),
        }
    }

    /// Runs all steps. Where `gradient` is given, laid out as the parameters are, the gradient of the losses' sum is added
    /// to it.
    pub fn run(
        &mut self,
        parameters: &Parameters,
        sequence: &Sequence<'_>,
        gradient: Option<&mut Tensor>,
        on_step: &mut OnStep<'_>,
    ) -> Result<Outcome> {
        let _guard = tch::no_grad_guard();
        match &mut self.inner {
            Inner::Eager(eager) => eager.run(parameters, sequence, gradient, on_step),
            Inner::Replay(replay) => replay.run(parameters, sequence, gradient, on_step),
            Inner::Single(cpu) => cpu.run(parameters, sequence, gradient, on_step),
            Inner::Double(cpu) => cpu.run(parameters, sequence, gradient, on_step),
        }
    }
}

/// The instructions for products in bfloat16, where the device multiplies with such: there the operands are rounded when they
/// are multiplied, and elsewhere by operations of the graph.
fn unit(dtype: Dtype, device: Device, backend: Backend) -> Option<Unit> {
    let own = dtype == Dtype::Bf16 && backend == Backend::Auto && !device.is_cuda();
    own.then(Unit::detect).flatten()
}
