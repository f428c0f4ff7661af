//! Sequences on the CPU, by plans on buffers that are allocated once.

use std::collections::BTreeMap;
use std::sync::Arc;

use tch::{Kind, Tensor};

use crate::Dtype;
use crate::engine::{OnStep, Outcome, Sequence};
use crate::error::{Error, Result};
use crate::kernels::Real;
use crate::parameters::Parameters;
use crate::plan::{Addresses, Gemm, Mode, Plan, Use};
use crate::recurrence::Recurrence;
use crate::tensor::{TorchKind, sizes as as_sizes};

/// See [`crate::Engine`].
pub(crate) struct Cpu<T> {
    recurrences: Arc<Vec<Recurrence>>,
    plans: BTreeMap<(usize, (i64, i64)), Plans<T>>,
    kind: Kind,
    /// Temporary values of whatever plan runs.
    arena: Memory,
    /// By state: its rows over time.
    states: Vec<Memory>,
    /// Gradients of the state after and before a step, in turn.
    adjoints: [Vec<Memory>; 2],
    /// What steps save, one after the other.
    saved: Memory,
    losses: Memory,
}

/// A recurrence at known sizes.
struct Plans<T> {
    fixed: Plan<T>,
    step: Plan<T>,
    backward: Option<(Plan<T>, Plan<T>)>,
    /// What the plans of a step have prepared for a sequence, forward and backward.
    prepared: [Memory; 2],
    /// Static values, their gradients, and what is handed out.
    statics: Vec<Memory>,
    sums: Vec<Memory>,
    outputs: Vec<(Memory, Vec<i64>)>,
    /// Bytes of each saved value, rounded up to lines of the cache.
    saved: Vec<usize>,
}

/// Bytes aligned to a line of the cache, which only grow.
#[derive(Default)]
struct Memory(Vec<Line>);

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read through addresses")] [u8; LINE]);

const LINE: usize = 64;

impl Memory {
    fn of(bytes: usize) -> Self {
        let mut memory = Self::default();
        memory.ensure(bytes);
        memory
    }

    fn ensure(&mut self, bytes: usize) {
        let lines = bytes.div_ceil(LINE).max(1);
        if self.0.len() < lines {
            // Nothing of what was there is needed.
            self.0 = Vec::new();
            self.0 = vec![Line([0; LINE]); lines];
        }
    }

    fn start(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }

    fn clear(&mut self) {
        self.0.fill(Line([0; LINE]));
    }
}

impl<T: Real + Gemm> Cpu<T> {
    pub fn new(recurrences: Arc<Vec<Recurrence>>, dtype: Dtype) -> Self {
        Self {
            recurrences,
            plans: BTreeMap::new(),
            kind: dtype.kind(),
            arena: Memory::default(),
            states: Vec::new(),
            adjoints: [Vec::new(), Vec::new()],
            saved: Memory::default(),
            losses: Memory::default(),
        }
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
        let used: Vec<usize> = (0..recurrences.len()).filter(|at| sequence.variants.contains(at)).collect();
        for &variant in &used {
            check(recurrences.get(variant).ok_or_else(|| Error::missing("a recurrence"))?, sequence)?;
            self.prepare(variant, &recurrences, sequence.sizes)?;
        }
        let params = addresses_of(parameters, &recurrences, self.kind)?;
        let given = given(&recurrences, &used, sequence, self.kind)?;
        for &variant in &used {
            self.fixed(variant, sequence, &given, &params)?;
            let recurrence = recurrences.get(variant).ok_or_else(|| Error::missing("a recurrence"))?;
            self.shared(variant, recurrence, sequence.sizes, &params, gradient.is_some())?;
        }
        let mut rows = Rows::new(sequence, self.kind, gradient.is_some())?;
        self.start(sequence, &rows)?;
        let losses = self.forward(&recurrences, sequence, &mut rows, &params, on_step)?;
        let Some(gradient) = gradient else { return Ok(Outcome { losses, state: Vec::new() }) };
        self.backward(&recurrences, sequence, &rows, &params)?;
        if gradient.numel() != parameters.flat.numel() {
            return Err(Error::Inconsistent("the gradient is not laid out as the parameters are".to_owned()));
        }
        let into = address(gradient, self.kind)?;
        for &variant in &used {
            self.fixed_back(variant, &recurrences, sequence, (&given, &params), (parameters, into))?;
        }
        Ok(Outcome { losses, state: self.state_gradients(sequence)? })
    }

    /// Starts measuring in all plans that are there.
    pub fn measure(&mut self) {
        for plans in self.plans.values_mut() {
            plans.fixed.measure();
            plans.step.measure();
            if let Some((step, fixed)) = &mut plans.backward {
                step.measure();
                fixed.measure();
            }
        }
    }

    /// See [`crate::Engine::measured`].
    pub fn measured(&self) -> Vec<(String, u64, u64)> {
        let mut found = Vec::new();
        for ((variant, (b, n)), plans) in &self.plans {
            let back = plans.backward.as_ref();
            let parts = [("once", Some(&plans.fixed)), ("step", Some(&plans.step))];
            let parts =
                parts.into_iter().chain([("back", back.map(|back| &back.0)), ("once, back", back.map(|back| &back.1))]);
            for (name, plan) in parts {
                let rows = plan.map(Plan::measured).unwrap_or_default().into_iter();
                found.extend(
                    rows.map(|(label, time, calls)| (format!("{variant} B{b} N{n} {name}: {label}"), time, calls)),
                );
            }
        }
        found
    }

    /// Makes the plans of a recurrence, if they are not there yet.
    fn prepare(&mut self, variant: usize, recurrences: &[Recurrence], sizes: (i64, i64)) -> Result<()> {
        if !self.plans.contains_key(&(variant, sizes)) {
            let recurrence = recurrences.get(variant).ok_or_else(|| Error::missing("a recurrence"))?;
            let plans = Plans::new(recurrence, sizes, self.kind)?;
            self.plans.insert((variant, sizes), plans);
        }
        if let Some(plans) = self.plans.get(&(variant, sizes)) {
            let back = plans.backward.as_ref().map_or(0, |(step, fixed)| step.arena().max(fixed.arena()));
            let most = plans.fixed.arena().max(plans.step.arena()).max(back);
            self.arena.ensure(most);
        }
        Ok(())
    }

    fn plans(&mut self, variant: usize, sizes: (i64, i64)) -> Result<(&mut Plans<T>, *mut u8)> {
        let arena = self.arena.start();
        let plans = self.plans.get_mut(&(variant, sizes)).ok_or_else(|| Error::missing("a plan"))?;
        Ok((plans, arena))
    }

    fn fixed(
        &mut self,
        variant: usize,
        sequence: &Sequence<'_>,
        given: &BTreeMap<usize, Vec<*mut u8>>,
        params: &[*mut u8],
    ) -> Result<()> {
        let (plans, arena) = self.plans(variant, sequence.sizes)?;
        let outputs: Vec<*mut u8> = plans.statics.iter_mut().map(Memory::start).collect();
        let inputs = given.get(&variant).ok_or_else(|| Error::missing("an input"))?;
        let prepared = std::ptr::null_mut();
        // SAFETY: inputs and parameters were checked to be as large as the graph says, the others are ours and made to fit.
        unsafe { plans.fixed.run(&Addresses { inputs, outputs: &outputs, params, arena, prepared }) }
    }

    /// Makes what the time steps share, once the static values are there; for a gradient what those backward share, too.
    fn shared(
        &mut self,
        variant: usize,
        recurrence: &Recurrence,
        sizes: (i64, i64),
        params: &[*mut u8],
        gradient: bool,
    ) -> Result<()> {
        let (plans, arena) = self.plans(variant, sizes)?;
        let first = recurrence.state.len() + recurrence.data.len();
        let mut inputs = vec![std::ptr::null_mut(); first];
        inputs.extend(plans.statics.iter_mut().map(Memory::start));
        let [forward, backward] = plans.prepared.each_mut().map(Memory::start);
        let mut at = Addresses { inputs: &inputs, outputs: &[], params, arena, prepared: forward };
        // SAFETY: static values and parameters are there, and what is prepared has its memory.
        unsafe {
            plans.step.prepare(&at)?;
            if let Some((step, _)) = plans.backward.as_mut().filter(|_| gradient) {
                at.prepared = backward;
                step.prepare(&at)?;
            }
        }
        Ok(())
    }

    /// Puts the initial state in place.
    fn start(&mut self, sequence: &Sequence<'_>, rows: &Rows) -> Result<()> {
        let count = rows.states;
        self.states.resize_with(sequence.state.len(), Memory::default);
        for (memory, (value, &bytes)) in self.states.iter_mut().zip(sequence.state.iter().zip(&rows.state_bytes)) {
            memory.ensure(bytes * count);
            let value = value.f_to_kind(self.kind)?.f_contiguous()?;
            // SAFETY: both are as long as said, and are not the same memory.
            unsafe { std::ptr::copy_nonoverlapping(value.data_ptr().cast::<u8>(), memory.start(), bytes) };
        }
        Ok(())
    }

    fn forward(
        &mut self,
        recurrences: &[Recurrence],
        sequence: &Sequence<'_>,
        rows: &mut Rows,
        params: &[*mut u8],
        on_step: &mut OnStep<'_>,
    ) -> Result<Vec<f64>> {
        let sizes = sequence.sizes;
        let mut room = 0;
        for &variant in sequence.variants {
            let (plans, _) = self.plans(variant, sizes)?;
            let bytes = plans.saved.iter().sum::<usize>();
            if rows.keeps {
                rows.push_saved(bytes);
            }
            room = room.max(bytes);
        }
        // Where no gradient is asked for, every step may write over what the one before saved.
        self.saved.ensure(room.max(rows.saved_bytes));
        let most = recurrences.iter().map(|recurrence| recurrence.losses).max().unwrap_or(0);
        self.losses.ensure(most * LINE);
        let mut totals = vec![0.0; most];
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for (time, &variant) in sequence.variants.iter().enumerate() {
            let recurrence = recurrences.get(variant).ok_or_else(|| Error::missing("a recurrence"))?;
            let (losses, saved) = (self.losses.start(), rows.saved_at(time, self.saved.start()));
            let states: Vec<*mut u8> = self.states.iter_mut().map(Memory::start).collect();
            let kind = self.kind;
            let (plans, arena) = self.plans(variant, sizes)?;
            inputs.clear();
            inputs.extend(rows.states_at(time, &states));
            inputs.extend(rows.data_at(time, recurrence)?);
            inputs.extend(plans.statics.iter_mut().map(Memory::start));
            outputs.clear();
            outputs.extend(rows.states_at(time + 1, &states));
            // SAFETY: there is a line for each loss.
            outputs.extend((0..recurrence.losses).map(|at| unsafe { losses.add(at * LINE) }));
            outputs.extend(plans.outputs.iter_mut().map(|(memory, _)| memory.start()));
            outputs.extend(plans.saved_places(saved));
            let prepared = plans.prepared[0].start();
            // SAFETY: every address is that of memory made or checked for these sizes, and rows of a step do not overlap.
            unsafe { plans.step.run(&Addresses { inputs: &inputs, outputs: &outputs, params, arena, prepared }) }?;
            for (at, total) in totals.iter_mut().enumerate().take(recurrence.losses) {
                // SAFETY: the step has written one number there.
                *total += unsafe { losses.add(at * LINE).cast::<T>().read() }.to_f64();
            }
            let handed = plans.outputs.iter_mut().map(|(memory, shape)| {
                // SAFETY: the memory is ours until the next step, and the callee is told so.
                unsafe { Tensor::f_from_blob(memory.start(), shape, &packed(shape), kind, tch::Device::Cpu) }
            });
            let handed = handed.collect::<std::result::Result<Vec<_>, _>>()?;
            on_step(time, &handed)?;
        }
        Ok(totals)
    }

    fn backward(
        &mut self,
        recurrences: &[Recurrence],
        sequence: &Sequence<'_>,
        rows: &Rows,
        params: &[*mut u8],
    ) -> Result<()> {
        let sizes = sequence.sizes;
        for adjoints in &mut self.adjoints {
            adjoints.resize_with(sequence.state.len(), Memory::default);
            for (memory, &bytes) in adjoints.iter_mut().zip(&rows.state_bytes) {
                memory.ensure(bytes);
            }
        }
        let [after, _] = &mut self.adjoints;
        after.iter_mut().for_each(Memory::clear);
        for variant in 0..recurrences.len() {
            if let Some(plans) = self.plans.get_mut(&(variant, sizes)) {
                plans.sums.iter_mut().for_each(Memory::clear);
            }
        }
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for (time, &variant) in sequence.variants.iter().enumerate().rev() {
            let recurrence = recurrences.get(variant).ok_or_else(|| Error::missing("a recurrence"))?;
            let saved = rows.saved_at(time, self.saved.start());
            let states: Vec<*mut u8> = self.states.iter_mut().map(Memory::start).collect();
            let [after, before] = &mut self.adjoints;
            let after: Vec<*mut u8> = after.iter_mut().map(Memory::start).collect();
            let before: Vec<*mut u8> = before.iter_mut().map(Memory::start).collect();
            let (plans, arena) = self.plans(variant, sizes)?;
            inputs.clear();
            inputs.extend(rows.states_at(time, &states));
            inputs.extend(rows.data_at(time, recurrence)?);
            inputs.extend(plans.statics.iter_mut().map(Memory::start));
            inputs.extend(plans.saved_places(saved));
            inputs.extend(after);
            outputs.clear();
            outputs.extend(before);
            outputs.extend(plans.sums.iter_mut().map(Memory::start));
            let prepared = plans.prepared[1].start();
            let (step, _) = plans.backward.as_mut().ok_or_else(|| Error::missing("the gradient"))?;
            // SAFETY: as in the forward pass.
            unsafe { step.run(&Addresses { inputs: &inputs, outputs: &outputs, params, arena, prepared }) }?;
            self.adjoints.swap(0, 1);
        }
        Ok(())
    }

    fn fixed_back(
        &mut self,
        variant: usize,
        recurrences: &[Recurrence],
        sequence: &Sequence<'_>,
        (given, params): (&BTreeMap<usize, Vec<*mut u8>>, &[*mut u8]),
        (parameters, into): (&Parameters, *mut u8),
    ) -> Result<()> {
        let backward = recurrences.get(variant).and_then(|recurrence| recurrence.backward.as_ref());
        let backward = backward.ok_or_else(|| Error::missing("the gradient"))?;
        let (plans, arena) = self.plans(variant, sequence.sizes)?;
        let mut inputs = given.get(&variant).ok_or_else(|| Error::missing("an input"))?.clone();
        inputs.extend(plans.sums.iter_mut().map(Memory::start));
        let place = |param: &graph::ParamId| -> Result<*mut u8> {
            let (start, _) = parameters.window(*param).ok_or_else(|| Error::missing("a parameter's place"))?;
            // SAFETY: the gradient is laid out as the parameters are.
            Ok(unsafe { into.add(start * size_of::<T>()) })
        };
        let outputs = backward.params.iter().map(place).collect::<Result<Vec<_>>>()?;
        let (_, fixed) = plans.backward.as_mut().ok_or_else(|| Error::missing("the gradient"))?;
        let prepared = std::ptr::null_mut();
        // SAFETY: as in the forward pass.
        unsafe { fixed.run(&Addresses { inputs: &inputs, outputs: &outputs, params, arena, prepared }) }
    }

    fn state_gradients(&mut self, sequence: &Sequence<'_>) -> Result<Vec<Tensor>> {
        let kind = self.kind;
        let [last, _] = &mut self.adjoints;
        let copy = |(memory, like): (&mut Memory, &Tensor)| -> Result<Tensor> {
            let shape = like.size();
            // SAFETY: the memory was made for this shape, and is copied at once.
            let seen = unsafe { Tensor::f_from_blob(memory.start(), &shape, &packed(&shape), kind, tch::Device::Cpu) }?;
            let mut copy = seen.f_empty_like()?;
            copy.f_copy_(&seen)?;
            Ok(copy)
        };
        last.iter_mut().zip(&sequence.state).map(copy).collect()
    }
}

impl<T: Real + Gemm> Plans<T> {
    fn new(recurrence: &Recurrence, sizes: (i64, i64), kind: Kind) -> Result<Self> {
        let writes = |count: usize| vec![Mode::Write; count];
        let once = || Use { fixed: None, unit: recurrence.unit };
        // Static values come after the state and the data of a time step.
        let first = recurrence.state.len() + recurrence.data.len();
        let many = || Use { fixed: Some(first..first + recurrence.fixed.outputs.len()), ..once() };
        let fixed = Plan::new(&recurrence.fixed, &writes(recurrence.fixed.outputs.len()), sizes, kind, once())?;
        let step = Plan::new(&recurrence.step, &writes(recurrence.step.outputs.len()), sizes, kind, many())?;
        let mut sums = Vec::new();
        let backward = match &recurrence.backward {
            None => None,
            Some(backward) => {
                let mut modes = writes(recurrence.state.len());
                modes.resize(backward.step.outputs.len(), Mode::Add);
                let step = Plan::new(&backward.step, &modes, sizes, kind, many())?;
                sums.extend(step.outputs.iter().skip(recurrence.state.len()).map(|&bytes| Memory::of(bytes)));
                let modes = vec![Mode::Add; backward.fixed.outputs.len()];
                Some((step, Plan::new(&backward.fixed, &modes, sizes, kind, once())?))
            }
        };
        let first = recurrence.state.len() + recurrence.losses;
        let shape = |id: &graph::NodeId| -> Result<Vec<i64>> {
            let shape = recurrence.step.graph.shape(*id).iter().map(|dim| dim.eval(sizes.0, sizes.1));
            shape.collect::<Option<_>>().ok_or_else(|| Error::missing("a size"))
        };
        let handed = recurrence.step.outputs.iter().skip(first).take(recurrence.outputs);
        let shapes = handed.map(shape).collect::<Result<Vec<_>>>()?;
        let bytes = step.outputs.iter().skip(first).copied();
        let outputs = bytes.clone().zip(shapes).map(|(bytes, shape)| (Memory::of(bytes), shape)).collect();
        let saved = bytes.skip(recurrence.outputs).map(|bytes| bytes.next_multiple_of(LINE)).collect();
        let statics = fixed.outputs.iter().map(|&bytes| Memory::of(bytes)).collect();
        let back = backward.as_ref().map_or(0, |(step, _)| step.prepared());
        let prepared = [step.prepared(), back].map(Memory::of);
        Ok(Self { fixed, step, backward, prepared, statics, sums, outputs, saved })
    }

    /// Where each saved value of a step lies.
    fn saved_places(&self, mut next: *mut u8) -> Vec<*mut u8> {
        let place = |&bytes: &usize| {
            let place = next;
            // SAFETY: there is room for all of them, one after the other.
            next = unsafe { next.add(bytes) };
            place
        };
        self.saved.iter().map(place).collect()
    }
}

/// Where what belongs to a time step lies.
struct Rows {
    /// Whether everything is kept for the backward pass.
    keeps: bool,
    /// Rows of the state: of all steps, or two that take turns.
    states: usize,
    state_bytes: Vec<usize>,
    /// By number of the graph's input: the first row, bytes of a row, and how many there are.
    data: BTreeMap<usize, (*mut u8, usize, usize)>,
    /// By time step: bytes from the start of what is saved.
    saved: Vec<usize>,
    saved_bytes: usize,
    /// Keeps the memory of the rows.
    _tensors: Vec<Tensor>,
}

impl Rows {
    fn new(sequence: &Sequence<'_>, kind: Kind, keeps: bool) -> Result<Self> {
        let width = kind.elt_size_in_bytes();
        let mut data = BTreeMap::new();
        let mut tensors = Vec::new();
        for (&input, tensor) in &sequence.data {
            let tensor = tensor.f_to_kind(kind)?.f_contiguous()?;
            let rows = usize::try_from(tensor.size().first().copied().unwrap_or(0)).unwrap_or(0);
            let bytes = tensor.numel() / rows.max(1) * width;
            data.insert(input, (tensor.data_ptr().cast(), bytes, rows));
            tensors.push(tensor);
        }
        let states = if keeps { sequence.variants.len() + 1 } else { 2 };
        let state_bytes = sequence.state.iter().map(|state| (state.numel() * width).next_multiple_of(LINE)).collect();
        Ok(Self { keeps, states, state_bytes, data, saved: Vec::new(), saved_bytes: 0, _tensors: tensors })
    }

    fn push_saved(&mut self, bytes: usize) {
        self.saved.push(self.saved_bytes);
        self.saved_bytes += bytes;
    }

    fn saved_at(&self, time: usize, start: *mut u8) -> *mut u8 {
        // SAFETY: the memory holds what all steps save. Where nothing is kept, one place serves nobody.
        unsafe { start.add(self.saved.get(time).copied().unwrap_or(0)) }
    }

    fn states_at(&self, time: usize, states: &[*mut u8]) -> Vec<*mut u8> {
        let row = time % self.states;
        // SAFETY: the memory of each state has as many rows.
        states.iter().zip(&self.state_bytes).map(|(state, &bytes)| unsafe { state.add(row * bytes) }).collect()
    }

    fn data_at(&self, time: usize, recurrence: &Recurrence) -> Result<Vec<*mut u8>> {
        let row = |input: &usize| -> Result<*mut u8> {
            let (start, bytes, rows) = self.data.get(input).ok_or_else(|| Error::missing("data of a time step"))?;
            if time >= *rows {
                return Err(Error::missing("a row of data"));
            }
            // SAFETY: there are that many rows.
            Ok(unsafe { start.add(time * bytes) })
        };
        recurrence.data.iter().map(row).collect()
    }
}

fn packed(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

/// Whether everything that a sequence gives is as large as the recurrence's graph says: plans read it without looking.
fn check(recurrence: &Recurrence, sequence: &Sequence<'_>) -> Result<()> {
    let (b, n) = sequence.sizes;
    let elements = |shape: &graph::Shape| graph::numel(shape).eval(b, n).and_then(|count| usize::try_from(count).ok());
    let fits = |name: &str, wanted: Option<usize>, tensor: Option<&Tensor>, rows: usize| -> Result<()> {
        let Some(tensor) = tensor else { return Err(Error::missing(name)) };
        let first =
            if rows == 0 { 1 } else { usize::try_from(tensor.size().first().copied().unwrap_or(0)).unwrap_or(0) };
        if wanted.is_some_and(|wanted| first >= rows && tensor.numel() == wanted * first) {
            return Ok(());
        }
        let reason = format!("shape {:?} does not fit B = {b}, N = {n} and {rows} time steps", tensor.size());
        Err(Error::Tensor { name: name.to_owned(), reason })
    };
    let input = |at: &usize| recurrence.whole.graph.inputs().get(*at).ok_or_else(|| Error::missing("an input"));
    for at in &recurrence.given {
        let input = input(at)?;
        fits(&input.name, elements(&input.shape), sequence.given.get(at), 0)?;
    }
    for at in &recurrence.data {
        let input = input(at)?;
        fits(&input.name, elements(&input.shape), sequence.data.get(at), sequence.variants.len())?;
    }
    for (at, shape) in recurrence.state.iter().enumerate() {
        fits("state", elements(shape), sequence.state.get(at), 0)?;
    }
    Ok(())
}

/// Where a contiguous tensor of the right kind on the CPU starts.
fn address(tensor: &Tensor, kind: Kind) -> Result<*mut u8> {
    if tensor.f_kind()? != kind || tensor.device() != tch::Device::Cpu || !tensor.is_contiguous() {
        return Err(Error::Inconsistent(format!("a tensor is not contiguous {kind:?} on the CPU")));
    }
    Ok(tensor.data_ptr().cast())
}

/// By number of the parameter.
fn addresses_of(parameters: &Parameters, recurrences: &[Recurrence], kind: Kind) -> Result<Vec<*mut u8>> {
    let known = recurrences.first().map_or(&[][..], |recurrence| recurrence.whole.graph.params());
    let one = |(at, param): (usize, &graph::Param)| -> Result<*mut u8> {
        let id = graph::ParamId::at(at);
        let value = parameters.value(id).ok_or_else(|| Error::missing("a parameter"))?;
        if value.size() != as_sizes(&param.shape)? {
            return Err(Error::Tensor {
                name: param.name.clone(),
                reason: "has another shape than the graph's".into(),
            });
        }
        address(value, kind)
    };
    known.iter().enumerate().map(one).collect()
}

/// By recurrence: where its given inputs start.
fn given(
    recurrences: &[Recurrence],
    used: &[usize],
    sequence: &Sequence<'_>,
    kind: Kind,
) -> Result<BTreeMap<usize, Vec<*mut u8>>> {
    let mut found = BTreeMap::new();
    for &variant in used {
        let recurrence = recurrences.get(variant).ok_or_else(|| Error::missing("a recurrence"))?;
        let one = |input: &usize| address(sequence.given.get(input).ok_or_else(|| Error::missing("an input"))?, kind);
        found.insert(variant, recurrence.given.iter().map(one).collect::<Result<Vec<_>>>()?);
    }
    Ok(found)
}
