//! Noise of training: numbers that a call of `forward` draws.
//!
//! Nothing is drawn while a program is evaluated. What a call draws becomes operations of the graph that follow from a key, which
//! training gives for each step, time step and sample, and from the number of the drawing within the call: see [`graph::noise`].
//! Evaluation has no noise, so a program that draws there, too, is refused.

use std::collections::BTreeSet;
use std::rc::Rc;

use graph::{BinaryOp, DType, Dim, Init, NodeId, Op, ParamId, Shape, Span, UnaryOp, noise};

use super::value::{Object, Value};
use super::{Phase, R, Run, Tracer};
use crate::diagnostic::Diagnostic;
use crate::rules::Rule;

/// What one call of `forward` has drawn and noted so far.
#[derive(Default)]
pub struct Drawn {
    /// The inputs that noise follows from: keys of samples, and one of the batch.
    pub keys: [Option<NodeId>; 2],
    /// How many drawings there were.
    streams: u32,
    /// In training: the statistics of the batch that running ones are moved towards.
    pub statistics: Vec<Moved>,
    /// Where the call set the seed of PyTorch's generator.
    seeded: Option<Span>,
}

/// Running statistics and what they are moved towards; buffers by their places among the evaluator's leaves.
pub struct Moved {
    pub batch: [NodeId; 2],
    pub running: [Option<usize>; 2],
    pub count: Option<usize>,
    pub momentum: Option<f64>,
    pub span: Span,
}

impl Moved {
    /// With parameters in place of leaves; `None` where one of them belongs to no module.
    pub fn registered(
        &self,
        node: impl Fn(NodeId) -> Option<NodeId>,
        param: impl Fn(usize) -> Option<ParamId>,
    ) -> Option<graph::Statistic> {
        let own = |leaf: Option<usize>| match leaf {
            Some(leaf) => param(leaf).map(Some),
            None => Some(None),
        };
        let ([mean, variance], [means, variances]) = (self.batch, self.running);
        Some(graph::Statistic {
            batch: [node(mean)?, node(variance)?],
            running: [own(means)?, own(variances)?],
            count: own(self.count)?,
            momentum: self.momentum,
        })
    }
}

/// The mode in which `forward` is called, and what the call that runs has drawn in it.
pub struct Mode {
    /// Whether `self.training` is true.
    training: bool,
    /// Where the program last asked whether it is being trained.
    asked: Option<Span>,
    /// In evaluation: the modules that it has set into its mode, by address.
    evaluated: BTreeSet<usize>,
    drawn: Drawn,
}

impl Default for Mode {
    fn default() -> Self {
        Self { training: true, asked: None, evaluated: BTreeSet::new(), drawn: Drawn::default() }
    }
}

impl Mode {
    /// Whether the program is being trained, which it asks at `span`.
    pub fn ask(&mut self, span: Span) -> bool {
        self.asked.get_or_insert(span);
        self.training
    }

    /// Where the program asked whether it is being trained, since that was last forgotten.
    pub fn asked(&self) -> Option<Span> {
        self.asked
    }

    pub fn forget_question(&mut self) {
        self.asked = None;
    }

    pub fn set_training(&mut self, training: bool) {
        self.training = training;
    }

    /// Whether a module is in training, which the program asks at `span`: it is where the program is trained, and also where nobody
    /// sets its mode, as of a module that each call makes, or that a plain list holds.
    fn of(&mut self, module: &Object, span: Span) -> bool {
        self.ask(span) || !self.evaluated.contains(&std::ptr::from_ref(module).addr())
    }

    /// As `root.eval()` does: sets the mode of the modules that it holds.
    pub fn evaluate(&mut self, root: &Rc<Object>) {
        let mut found = BTreeSet::new();
        let mut open = vec![root.clone()];
        while let Some(module) = open.pop() {
            if found.insert(Rc::as_ptr(&module).addr())
                && let Some(state) = module.module.borrow().as_ref()
            {
                open.extend(state.children.iter().filter_map(|child| child.1.clone()));
            }
        }
        self.evaluated = found;
        self.training = false;
    }

    /// What the call has drawn, which the next one does not see.
    pub fn take_drawn(&mut self) -> Drawn {
        std::mem::take(&mut self.drawn)
    }

    /// Notes where the call sets the seed of PyTorch's generator.
    pub fn note_seed(&mut self, span: Span) {
        self.drawn.seeded.get_or_insert(span);
    }

    /// Notes what running statistics are moved towards.
    pub fn note_moved(&mut self, moved: Moved) {
        self.drawn.statistics.push(moved);
    }

    /// The number of another drawing.
    fn next_stream(&mut self) -> u32 {
        let stream = self.drawn.streams;
        self.drawn.streams += 1;
        stream
    }
}

/// Names of the inputs that noise follows from.
const KEYS: [&str; 2] = graph::Training::INPUTS;

/// Whether an input of the graph under construction is one that noise follows from.
pub fn is_key(name: &str) -> bool {
    KEYS.contains(&name)
}

impl Tracer {
    /// Whether a module is in training.
    pub fn in_training(&mut self, module: &Object) -> bool {
        self.mode.of(module, self.run.here())
    }

    /// Numbers between 0 and 1 of a shape, drawn anew in each call.
    pub fn uniform(&mut self, shape: &[Dim]) -> R<NodeId> {
        if self.phase() == Phase::Load {
            return Err(self.run.no_noise(
                "random values are drawn once and used in every call",
                "make them a parameter or a buffer of constants, or draw them in forward, in training only",
            ));
        }
        if !self.mode.ask(self.run.here()) {
            return Err(self.run.no_noise(
                "random values are drawn in evaluation, too, so that every evaluation would differ",
                "draw them in training only: nn.Dropout made in __init__, F.dropout(x, p, training=self.training), or if self.training: ...",
            ));
        }
        if let Some(seeded) = self.mode.drawn.seeded {
            let d = self.run.no_noise(
                "random values are drawn after torch.manual_seed(), so that all calls would draw the same ones",
                "leave manual_seed() to the trainer",
            );
            return Err(Box::new(d.note(seeded, "the seed is set here")));
        }
        let mentions_b = |dim: &Dim| dim.terms().any(|(b, _, _)| b > 0);
        let mut with_batch = (0..shape.len()).filter(|&axis| shape.get(axis).is_some_and(mentions_b));
        let (axis, more) = (with_batch.next(), with_batch.next());
        let stream = self.mode.next_stream();
        let op = Op::Random { stream };
        let Some(axis) = axis else {
            let key = self.noise_key(false);
            return self.push_as(op, &[key], shape.to_vec(), DType::Float);
        };
        let inner = shape.get(axis).and_then(|dim| dim.div_exact(&Dim::b()));
        let (Some(inner), None) = (inner, more) else {
            let text = format!("noise of the shape {} mixes the samples of a batch", graph::display(shape));
            return Err(self.run.no_noise(text, "draw it with the batch as an axis of its own, and reshape it"));
        };
        let key = self.noise_key(true);
        let others = || shape.iter().enumerate().filter(|(at, _)| *at != axis);
        let before: Vec<Dim> = others().filter(|(at, _)| *at < axis).map(|(_, dim)| dim.clone()).collect();
        let after: Vec<Dim> = others().filter(|(at, _)| *at > axis).map(|(_, dim)| dim.clone()).collect();
        let mut made: Shape = vec![Dim::b()];
        made.extend(before);
        if !inner.is_known_one() {
            made.push(inner);
        }
        made.extend(after);
        let rank = made.len();
        let mut id = self.push_as(op, &[key], made, DType::Float)?;
        if axis > 0 {
            let perm = (1..=axis).chain([0]).chain(axis + 1..rank).collect();
            id = self.push(Op::Permute(perm), &[id])?;
        }
        if self.shape(id) != shape {
            id = self.push_as(Op::Reshape, &[id], shape.to_vec(), DType::Float)?;
        }
        Ok(self.plain(id))
    }

    fn noise_key(&mut self, of_samples: bool) -> NodeId {
        let at = usize::from(!of_samples);
        if let Some(Some(known)) = self.mode.drawn.keys.get(at) {
            return *known;
        }
        let name = KEYS.get(at).copied().unwrap_or_default();
        let id = self.input(name, noise::key_shape(of_samples), DType::Float);
        if let Some(slot) = self.mode.drawn.keys.get_mut(at) {
            *slot = Some(id);
        }
        id
    }

    /// 1 with probability `p`, else 0.
    pub fn coins(&mut self, shape: &[Dim], p: f64) -> R<NodeId> {
        let u = self.uniform(shape)?;
        let p = self.float(p)?;
        let heads = self.bin(BinaryOp::Lt, u, p)?;
        self.cast(heads, DType::Float)
    }

    /// Dropout of elements, as attention applies it to its weights in training.
    pub fn with_dropout(&mut self, x: NodeId, p: f64) -> R<NodeId> {
        if p == 0.0 {
            return Ok(x);
        }
        let shape = self.shape(x).clone();
        let (kept, scale) = (self.coins(&shape, 1.0 - p)?, if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 });
        let noise = self.scaled(kept, scale, 0.0)?;
        self.bin(BinaryOp::Mul, x, noise)
    }

    /// Numbers that are distributed as a random tensor starts.
    pub fn drawn_as(&mut self, init: &Init, shape: &[Dim]) -> R<NodeId> {
        let id = match init {
            Init::Uniform { low, high } => {
                let u = self.uniform(shape)?;
                self.scaled(u, high - low, *low)?
            }
            Init::Normal { mean, std } => {
                // Box and Muller, 1958
                let (radius, angle) = (self.uniform(shape)?, self.uniform(shape)?);
                let log = self.un(UnaryOp::Log, radius)?;
                let square = self.scaled(log, -2.0, 0.0)?;
                let radius = self.un(UnaryOp::Sqrt, square)?;
                let angle = self.scaled(angle, std::f64::consts::TAU, 0.0)?;
                let direction = self.un(UnaryOp::Cos, angle)?;
                let standard = self.bin(BinaryOp::Mul, radius, direction)?;
                self.scaled(standard, *std, *mean)?
            }
            Init::Affine { base, scale, shift } => {
                let base = self.drawn_as(base, shape)?;
                self.scaled(base, *scale, *shift)?
            }
            Init::Weighted { base, scale, shift } => {
                let base = self.drawn_as(base, shape)?;
                let [scale, shift] = [scale, shift]
                    .map(|numbers| self.push_as(Op::Const(numbers.clone()), &[], shape.to_vec(), DType::Float));
                let scaled = self.bin(BinaryOp::Mul, base, scale?)?;
                self.bin(BinaryOp::Add, scaled, shift?)?
            }
            _ => {
                return Err(self.run.no_noise(
                    "random values of this distribution may initialise parameters only",
                    "draw noise with torch.rand, randn, rand_like, randn_like, bernoulli or exponential_",
                ));
            }
        };
        Ok(self.plain(id))
    }

    /// Numbers of the exponential distribution.
    pub fn exponential(&mut self, shape: &[Dim], rate: f64) -> R<NodeId> {
        let u = self.uniform(shape)?;
        let log = self.un(UnaryOp::Log, u)?;
        self.scaled(log, -1.0 / rate, 0.0)
    }

    /// `x * scale + shift`
    pub fn scaled(&mut self, x: NodeId, scale: f64, shift: f64) -> R<NodeId> {
        let mut id = x;
        for (op, number, neutral) in [(BinaryOp::Mul, scale, 1.0), (BinaryOp::Add, shift, 0.0)] {
            if number != neutral {
                let number = self.float(number)?;
                id = self.bin(op, id, number)?;
            }
        }
        Ok(id)
    }

    /// A random tensor of a call as a value.
    pub fn drawn_value(&mut self, init: &Init, shape: &[Dim]) -> R<Value> {
        let id = self.drawn_as(init, shape)?;
        Ok(self.tensor_value(id))
    }
}

impl Run {
    fn no_noise(&self, text: impl Into<String>, help: &str) -> Box<Diagnostic> {
        Box::new(self.fault(Rule::UnsupportedRandom, text).help(help))
    }
}
