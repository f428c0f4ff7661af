//! Sequences as the same few pieces of work over and over, on buffers that stay where they are.
//!
//! Launching some thousand small kernels one by one takes far longer than a GPU needs for them. So a time step is recorded
//! once, forward and backward, for each (B, N), and then launched as a whole. For that, what differs between time steps
//! must lie in memory: a counter on the device says which step it is, data of all steps are rows of one tensor, and what
//! the backward half needs is written to rows. Nothing depends on T but the number of rows.
//!
//! On a CPU the same pieces are executed anew each time: that is how tests reach this module.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{Graph, NodeId, Op};
use tch::{Kind, Tensor};

use crate::eager::{Eager, Stage, chosen, given};
use crate::engine::{OnStep, Outcome, Sequence};
use crate::error::{Error, Result};
use crate::gpu::graphs;
use crate::gpu::moves::{How, Move, Mover};
use crate::parameters::Parameters;
use crate::recurrence::{Part, Recurrence};
use crate::tensor::{TorchKind, size, to_f64};
use crate::{Device, Dtype};

/// See [`crate::Engine`].
pub(crate) struct Replay {
    recurrences: Arc<Vec<Recurrence>>,
    eager: Eager,
    loops: BTreeMap<(i64, i64, bool), Loop>,
    /// The stream of the thread that recorded; absent where there is nothing to record with.
    stream: Option<graphs::Stream>,
    float: Kind,
    device: Device,
    warnings: Vec<String>,
}

/// Everything that lies in memory for one (B, N).
struct Loop {
    /// Time steps that there is room for.
    room: usize,
    /// The time step, [1].
    clock: Tensor,
    state: Vec<Tensor>,
    given: BTreeMap<usize, Tensor>,
    /// [room, ...]
    data: BTreeMap<usize, Tensor>,
    losses: Vec<Tensor>,
    variants: Vec<Variant>,
    /// What gradients need, where they are asked for.
    gradients: Option<Gradients>,
    recorded: BTreeMap<(usize, Stage), Recording>,
    /// Where the parameters lie that recordings read.
    parameters: usize,
}

#[derive(Default)]
struct Variant {
    fixed: Vec<Tensor>,
    outputs: Vec<Tensor>,
    /// [room, ...]
    saved: Vec<Tensor>,
    /// Gradients of static values, added up over time.
    sums: Vec<Tensor>,
}

struct Gradients {
    /// The state before each step, [room, ...].
    states: Vec<Tensor>,
    adjoint: Vec<Tensor>,
    /// Laid out as the parameters are.
    flat: Tensor,
}

enum Recording {
    Graph(graphs::Graph),
    /// libtorch cannot record it: it is done operation by operation.
    None,
}

impl Replay {
    /// `kernels`: whether to write kernels for the network.
    pub fn new(recurrences: Arc<Vec<Recurrence>>, dtype: Dtype, device: Device, kernels: bool) -> Self {
        let shared = Arc::clone(&recurrences);
        let eager =
            if kernels { Eager::with_kernels(shared, dtype, device) } else { Eager::new(shared, dtype, device) };
        let (float, loops, warnings) = (dtype.kind(), BTreeMap::new(), Vec::new());
        Self { recurrences, eager, loops, stream: None, float, device, warnings }
    }

    /// What went wrong without harm.
    pub fn warnings(&self) -> impl Iterator<Item = &String> {
        self.warnings.iter().chain(&self.eager.warnings)
    }

    /// See [`crate::Engine::run`].
    pub fn run(
        &mut self,
        parameters: &Parameters,
        sequence: &Sequence<'_>,
        gradient: Option<&mut Tensor>,
        on_step: &mut OnStep<'_>,
    ) -> Result<Outcome> {
        self.enter();
        let key = (sequence.sizes.0, sequence.sizes.1, gradient.is_some());
        let mut buffers = match self.loops.remove(&key) {
            Some(buffers) if buffers.fits(parameters, sequence) => buffers,
            old => {
                // The old one's memory is given back first.
                let room = old.map_or(0, |old| old.room);
                self.buffers(parameters, sequence, gradient.is_some(), room)?
            }
        };
        let outcome = self.run_in(&mut buffers, parameters, sequence, gradient, on_step)?;
        self.loops.insert(key, buffers);
        Ok(outcome)
    }

    fn run_in(
        &mut self,
        buffers: &mut Loop,
        parameters: &Parameters,
        sequence: &Sequence<'_>,
        gradient: Option<&mut Tensor>,
        on_step: &mut OnStep<'_>,
    ) -> Result<Outcome> {
        let mut used = sequence.variants.to_vec();
        used.sort_unstable();
        used.dedup();
        for &variant in &used {
            for stage in [Stage::Fixed, Stage::Step, Stage::StepBack, Stage::FixedBack] {
                let backward = matches!(stage, Stage::StepBack | Stage::FixedBack);
                if !backward || gradient.is_some() {
                    self.prepare(buffers, parameters, sequence.sizes, (variant, stage))?;
                }
            }
        }
        buffers.fill(sequence)?;
        let recurrences = Arc::clone(&self.recurrences);
        for &variant in &used {
            self.play(buffers, parameters, sequence.sizes, (variant, Stage::Fixed))?;
        }
        for (time, &variant) in sequence.variants.iter().enumerate() {
            self.play(buffers, parameters, sequence.sizes, (variant, Stage::Step))?;
            let outputs = buffers.variants.get(variant).map_or(&[][..], |variant| &variant.outputs);
            on_step(time, outputs)?;
        }
        let mut state = Vec::new();
        if let Some(gradient) = gradient {
            for &variant in sequence.variants.iter().rev() {
                self.play(buffers, parameters, sequence.sizes, (variant, Stage::StepBack))?;
            }
            for &variant in &used {
                self.play(buffers, parameters, sequence.sizes, (variant, Stage::FixedBack))?;
            }
            let found = buffers.gradients.as_ref().ok_or_else(|| Error::missing("the gradient"))?;
            let _ = gradient.f_add_(&found.flat)?;
            state = found.adjoint.iter().map(Tensor::shallow_clone).collect();
        }
        let count =
            used.iter().filter_map(|&variant| recurrences.get(variant)).map(|one| one.losses).max().unwrap_or(0);
        let losses = buffers.losses.get(..count).unwrap_or(&buffers.losses);
        let losses = match losses {
            [] => Vec::new(),
            // One transfer for all of them.
            losses => to_f64(&Tensor::f_stack(losses, 0)?)?,
        };
        Ok(Outcome { losses, state })
    }

    /// Has this thread use a stream that can record.
    fn enter(&mut self) {
        if !self.device.is_cuda() {
            return;
        }
        let stream = match graphs::Stream::enter(self.device) {
            Ok(stream) => Some(stream),
            Err(error) => {
                let text = format!("no CUDA graphs, trainings will be slow: {error}");
                if !self.warnings.contains(&text) {
                    self.warnings.push(text);
                }
                None
            }
        };
        if stream != self.stream {
            // What another thread recorded belongs to its stream.
            self.loops.clear();
            self.stream = stream;
            self.eager.set_stream(stream);
        }
    }

    /// Records a piece of work where that is possible and has not been done.
    fn prepare(
        &mut self,
        buffers: &mut Loop,
        parameters: &Parameters,
        sizes: (i64, i64),
        what: (usize, Stage),
    ) -> Result<()> {
        if self.stream.is_none() || buffers.recorded.contains_key(&what) {
            return Ok(());
        }
        // Done once as it is, so that libtorch has its workspaces and chooses its kernels before it records. The counter
        // must point into the rows, before and after.
        let first = i64::from(what.1 == Stage::StepBack);
        let _ = buffers.clock.f_fill_(first)?;
        self.work(buffers, parameters, sizes, what)?;
        let _ = buffers.clock.f_fill_(first)?;
        self.device.synchronize();
        let Some(stream) = self.stream else { return Ok(()) };
        let recorded = stream.record(|| self.work(buffers, parameters, sizes, what));
        let recording = match recorded {
            Ok(graph) => Recording::Graph(graph),
            Err(error @ Error::OutOfMemory(_)) => return Err(error),
            Err(error) => {
                self.warnings.push(format!("a part of the network is not recorded as a CUDA graph, and slow: {error}"));
                Recording::None
            }
        };
        buffers.recorded.insert(what, recording);
        Ok(())
    }

    fn play(
        &mut self,
        buffers: &mut Loop,
        parameters: &Parameters,
        sizes: (i64, i64),
        what: (usize, Stage),
    ) -> Result<()> {
        match buffers.recorded.get(&what) {
            Some(Recording::Graph(graph)) => graph.launch(),
            _ => self.work(buffers, parameters, sizes, what),
        }
    }

    /// A piece of work on the buffers.
    fn work(
        &mut self,
        buffers: &mut Loop,
        parameters: &Parameters,
        sizes: (i64, i64),
        (variant, stage): (usize, Stage),
    ) -> Result<()> {
        let recurrences = Arc::clone(&self.recurrences);
        let recurrence = chosen(&recurrences, variant)?;
        let part = stage.part(recurrence)?;
        let mover = self.eager.mover();
        let inputs = buffers.inputs(recurrence, variant, stage, mover)?;
        let values = self.eager.part(variant, stage, part, &inputs, parameters, sizes)?;
        drop(inputs);
        buffers.take(recurrence, (variant, stage), part, values, (parameters, mover))
    }

    fn buffers(
        &mut self,
        parameters: &Parameters,
        sequence: &Sequence<'_>,
        gradient: bool,
        room: usize,
    ) -> Result<Loop> {
        let sizes = sequence.sizes;
        let steps = sequence.variants.len();
        // A little more than is needed now: the next batch may take a few steps more.
        let room = if steps <= room { room } else { (steps + steps / 8).next_multiple_of(8) };
        let rows = size(room)?;
        let device = self.device.0;
        let alike = |x: &Tensor| -> Result<Tensor> { Ok(Tensor::f_zeros(x.size(), (x.f_kind()?, device))?) };
        let with_rows = |shape: &[i64], kind: Kind| -> Result<Tensor> {
            let shape: Vec<i64> = std::iter::once(rows).chain(shape.iter().copied()).collect();
            Ok(Tensor::f_zeros(&shape, (kind, device))?)
        };
        let state: Vec<Tensor> = sequence.state.iter().map(alike).collect::<Result<_>>()?;
        let given = sequence.given.iter().map(|(&input, x)| Ok((input, alike(x)?))).collect::<Result<_>>()?;
        let row = |x: &Tensor| x.size().get(1..).map(<[i64]>::to_vec).unwrap_or_default();
        let data = sequence.data.iter().map(|(&input, x)| Ok((input, with_rows(&row(x), x.f_kind()?)?)));
        let data = data.collect::<Result<_>>()?;

        let recurrences = Arc::clone(&self.recurrences);
        let mut variants = Vec::new();
        for (at, recurrence) in recurrences.iter().enumerate() {
            let mut outlines = |stage: Stage| self.eager.outlines(at, stage, stage.part(recurrence)?, sizes);
            let zeros = |outlines: &[(Vec<i64>, Kind)]| -> Result<Vec<Tensor>> {
                outlines.iter().map(|(shape, kind)| Ok(Tensor::f_zeros(shape, (*kind, device))?)).collect()
            };
            let fixed = zeros(&outlines(Stage::Fixed)?)?;
            let step = outlines(Stage::Step)?;
            let (_, rest) = step.split_at((recurrence.state.len() + recurrence.losses).min(step.len()));
            let (outputs, saved) = rest.split_at(recurrence.outputs.min(rest.len()));
            let outputs = zeros(outputs)?;
            let mut variant = Variant { fixed, outputs, ..Variant::default() };
            if gradient {
                variant.saved = saved.iter().map(|(shape, kind)| with_rows(shape, *kind)).collect::<Result<_>>()?;
                let back = outlines(Stage::StepBack)?;
                variant.sums = zeros(back.get(recurrence.state.len()..).unwrap_or_default())?;
            }
            variants.push(variant);
        }
        let count = recurrences.iter().map(|recurrence| recurrence.losses).max().unwrap_or(0);
        let losses =
            (0..count).map(|_| Ok(Tensor::f_zeros([0_i64; 0], (self.float, device))?)).collect::<Result<_>>()?;
        let gradients = if gradient {
            Some(Gradients {
                states: state.iter().map(|x| with_rows(&x.size(), x.f_kind()?)).collect::<Result<_>>()?,
                adjoint: state.iter().map(alike).collect::<Result<_>>()?,
                flat: parameters.zeros()?,
            })
        } else {
            None
        };
        let clock = Tensor::f_zeros([1_i64], (Kind::Int64, device))?;
        let (recorded, parameters) = (BTreeMap::new(), address(parameters));
        Ok(Loop { room, clock, state, given, data, losses, variants, gradients, recorded, parameters })
    }
}

fn address(parameters: &Parameters) -> usize {
    parameters.flat.data_ptr() as usize
}

impl Loop {
    fn fits(&self, parameters: &Parameters, sequence: &Sequence<'_>) -> bool {
        let same = |ours: &BTreeMap<usize, Tensor>, theirs: &BTreeMap<usize, Tensor>, skip: usize| {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|((a, x), (b, y))| {
                    a == b && x.size().get(skip..) == y.size().get(skip..) && x.f_kind().ok() == y.f_kind().ok()
                })
        };
        self.parameters == address(parameters)
            && sequence.variants.len() <= self.room
            && self.state.len() == sequence.state.len()
            && same(&self.given, &sequence.given, 0)
            && same(&self.data, &sequence.data, 1)
    }

    /// Takes a sequence in, and begins at its first step.
    fn fill(&mut self, sequence: &Sequence<'_>) -> Result<()> {
        let steps = size(sequence.variants.len())?;
        for (input, rows) in &sequence.data {
            let place = self.data.get(input).ok_or_else(|| Error::missing("room for data"))?;
            place.f_narrow(0, 0, steps)?.f_copy_(&rows.f_narrow(0, 0, steps)?)?;
        }
        for (input, value) in &sequence.given {
            self.given.get_mut(input).ok_or_else(|| Error::missing("room for an input"))?.f_copy_(value)?;
        }
        for (place, value) in self.state.iter_mut().zip(&sequence.state) {
            place.f_copy_(value)?;
        }
        let gradients = self.gradients.iter_mut();
        let gradients = gradients.flat_map(|all| all.adjoint.iter_mut().chain(std::iter::once(&mut all.flat)));
        let sums = self.variants.iter_mut().flat_map(|variant| variant.sums.iter_mut());
        for sum in self.losses.iter_mut().chain(sums).chain(gradients).chain(std::iter::once(&mut self.clock)) {
            let _ = sum.f_zero_()?;
        }
        Ok(())
    }

    fn variant(&self, variant: usize) -> Result<&Variant> {
        self.variants.get(variant).ok_or_else(|| Error::missing("a recurrence"))
    }

    /// The inputs of a part, in its order.
    fn inputs(&mut self, recurrence: &Recurrence, variant: usize, stage: Stage, mover: Mover) -> Result<Vec<Tensor>> {
        let copies = |tensors: &[Tensor]| tensors.iter().map(Tensor::shallow_clone).collect::<Vec<_>>();
        if let Stage::Fixed | Stage::FixedBack = stage {
            let mut inputs = given(recurrence, &self.given)?;
            if stage == Stage::FixedBack {
                inputs.extend(copies(&self.variant(variant)?.sums));
            }
            return Ok(inputs);
        }
        if stage == Stage::StepBack {
            let _ = self.clock.f_sub_scalar_(1)?;
        }
        let mut rows = Vec::new();
        let mut row = |of: &Tensor| -> Result<Tensor> {
            let shape = of.size();
            let to = Tensor::f_empty(shape.get(1..).unwrap_or_default(), (of.f_kind()?, of.device()))?;
            rows.push(Move { how: How::FromRow, from: of.shallow_clone(), to: to.shallow_clone() });
            Ok(to)
        };
        let mut inputs = match (stage, &self.gradients) {
            (Stage::StepBack, Some(gradients)) => gradients.states.iter().map(&mut row).collect::<Result<_>>()?,
            _ => copies(&self.state),
        };
        for input in &recurrence.data {
            inputs.push(row(self.data.get(input).ok_or_else(|| Error::missing("data of a time step"))?)?);
        }
        let Variant { fixed, saved, .. } = self.variant(variant)?;
        inputs.extend(copies(fixed));
        if let (Stage::StepBack, Some(gradients)) = (stage, &self.gradients) {
            for of in saved {
                inputs.push(row(of)?);
            }
            inputs.extend(copies(&gradients.adjoint));
        }
        mover.run(&self.clock, rows)?;
        Ok(inputs)
    }

    /// Puts a part's values where they belong.
    fn take(
        &mut self,
        recurrence: &Recurrence,
        (variant, stage): (usize, Stage),
        part: &Part,
        values: Vec<Tensor>,
        (parameters, mover): (&Parameters, Mover),
    ) -> Result<()> {
        let place = self.variants.get(variant).ok_or_else(|| Error::missing("a recurrence"))?;
        let mut values = values.into_iter();
        let mut moves = Vec::new();
        let mut put = |how: How, from: Tensor, to: &Tensor| moves.push(Move { how, from, to: to.shallow_clone() });
        let gradients = || self.gradients.as_ref().ok_or_else(|| Error::missing("the gradient"));
        match stage {
            Stage::Fixed => values.zip(&place.fixed).for_each(|(value, to)| put(How::Copy, value, to)),
            Stage::Step => {
                let next: Vec<Tensor> = values.by_ref().take(recurrence.state.len()).collect();
                values.by_ref().take(recurrence.losses).zip(&self.losses).for_each(|(x, to)| put(How::Add, x, to));
                values.by_ref().take(recurrence.outputs).zip(&place.outputs).for_each(|(x, to)| put(How::Copy, x, to));
                if let Some(gradients) = &self.gradients {
                    values.zip(&place.saved).for_each(|(value, to)| put(How::ToRow, value, to));
                    let states = self.state.iter().map(Tensor::shallow_clone);
                    states.zip(&gradients.states).for_each(|(value, to)| put(How::ToRow, value, to));
                }
                mover.run(&self.clock, moves)?;
                mover.run(&self.clock, carried(part, next, &self.state)?)?;
                let _ = self.clock.f_add_scalar_(1)?;
                return Ok(());
            }
            Stage::StepBack => {
                let before: Vec<Tensor> = values.by_ref().take(recurrence.state.len()).collect();
                values.zip(&place.sums).for_each(|(value, to)| put(How::Add, value, to));
                mover.run(&self.clock, moves)?;
                return mover.run(&self.clock, carried(part, before, &gradients()?.adjoint)?);
            }
            Stage::FixedBack => {
                let backward = recurrence.backward.as_ref().ok_or_else(|| Error::missing("the gradient"))?;
                let flat = &gradients()?.flat;
                for (param, value) in backward.params.iter().zip(values) {
                    let window = parameters.window(*param).ok_or_else(|| Error::missing("a parameter's place"))?;
                    put(How::Add, value.f_reshape([-1_i64])?, &flat.f_narrow(0, size(window.0)?, size(window.1)?)?);
                }
            }
        }
        mover.run(&self.clock, moves)
    }
}

/// Replaces what is carried from step to step by the first outputs of a part.
fn carried(part: &Part, values: Vec<Tensor>, places: &[Tensor]) -> Result<Vec<Move>> {
    let carry = |((from, &id), to): ((Tensor, &NodeId), &Tensor)| {
        // What only shows an input must be copied before that input is overwritten.
        let from = if shown(&part.graph, id) { from.f_detach_copy()? } else { from };
        Ok(Move { how: How::Copy, from, to: to.shallow_clone() })
    };
    values.into_iter().zip(&part.outputs).zip(places).map(carry).collect()
}

/// Whether a value may share memory with an input.
fn shown(graph: &Graph, mut id: NodeId) -> bool {
    loop {
        let node = graph.node(id);
        match (&node.op, node.args.as_slice()) {
            (Op::Input(_), _) => return true,
            (Op::Cast, [x]) => id = *x,
            (op, [x]) if op.is_view() => id = *x,
            _ => return false,
        }
    }
}
