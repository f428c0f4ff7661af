//! Random small programs, operation by operation, against libtorch: values, and gradients of all float inputs.
//!
//! A program has two outputs, each an expression of a few operations over the inputs of `forward`. It is written twice: as Python
//! text, which goes through the front end, the passes and the plan of kernels, and as calls of libtorch, whose autograd differentiates
//! them. What is accepted has to compile, run and agree; what is refused is counted, and each operation has to be accepted somewhere.
//! libtorch computes in float64, we in float64 or float32.
//!
//! Inputs of every third program are small multiples of a half, with many zeros and ties, which many operations keep exact. As long
//! as nothing rounds, the outcome is defined to the bit at every jump, kink and tie, and has to agree whatever happens there. Once
//! something has rounded, it may be rounding that decides on which side of a jump a program is, or that is all that remains of a
//! difference. Whether it is, `rounding` asks of libtorch alone.
//!
//! `OPERATIONS_PROGRAMS=200000` asks for more programs than the default, `OPERATIONS_SEED` for others.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Index;

use executor::rng::Rng;
use executor::tensor::TorchKind;
use executor::{Backend, Device, DeviceArg, Dtype, Engine, Options, Parameters, Sequence, Step};
use graph::{BinaryOp, DType, Graph, Op, Processor, ReduceOp, Span};
use tch::{Kind, Tensor};

mod rounding;
mod signs;
mod table;

use rounding::{Rounding, Verdict};
use table::{EXACT, OPERATIONS};

const HIDDEN: i64 = 4;

/// Numbers of graphs and of nodes, in turn: the last have more elements than a vector register.
const SIZES: [(i64, i64); 6] = [(1, 2), (2, 3), (3, 4), (2, 5), (1, 9), (2, 17)];

/// What an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Float,
    Int,
    Bool,
}

use Type::Float;

/// An expression, both ways.
struct Value {
    text: String,
    tensor: Tensor,
    of: Type,
    /// Whether nothing was rounded on the way to it; known where rounding is asked about.
    exact: bool,
}

impl Value {
    fn copy(&self) -> Self {
        Self { text: self.text.clone(), tensor: self.tensor.shallow_clone(), of: self.of, exact: self.exact }
    }
}

/// One operation: its text with `{0}`, `{1}`, `{2}` for arguments, what these and the value are, and libtorch's call.
struct Operation {
    text: &'static str,
    takes: &'static [Type],
    gives: Type,
    run: fn(&Given) -> Tensor,
}

/// The arguments of a call: each use of one may be given a copy of its own.
struct Given {
    copies: Vec<Vec<Tensor>>,
    uses: Cell<usize>,
}

impl Given {
    fn once(args: Vec<Tensor>) -> Self {
        Self::several(args.into_iter().map(|arg| vec![arg]).collect())
    }

    fn several(copies: Vec<Vec<Tensor>>) -> Self {
        Self { copies, uses: Cell::new(0) }
    }
}

impl Index<usize> for Given {
    type Output = Tensor;
    fn index(&self, at: usize) -> &Tensor {
        let copies = &self.copies[at];
        &copies[self.uses.replace(self.uses.get() + 1) % copies.len()]
    }
}

/// An operation by its number: those of the general table come first, exact ones behind them.
fn operation(at: usize) -> &'static Operation {
    OPERATIONS.get(at).unwrap_or_else(|| &EXACT[at - OPERATIONS.len()])
}

/// Whether PyTorch says which of several equal elements it takes: of these operations it does not, nor where the gradient goes then.
fn is_settled(operation: &Operation) -> bool {
    let open = [".median(", ".kthvalue(", ".topk("].iter().any(|name| operation.text.contains(name));
    let sorts = operation.text.contains("sort(") && !operation.text.contains("stable=True");
    !open && !sorts
}

/// Whether it divides by how far elements are apart, which of equal ones leaves little of float32's digits.
fn is_steep(operation: &Operation) -> bool {
    ["_norm(", "normalize(", ".std(", ".var(", "cosine", "cdist", "dist(", "_distance("]
        .iter()
        .any(|name| operation.text.contains(name))
}

fn count() -> usize {
    OPERATIONS.len() + EXACT.len()
}

/// Draws expressions.
struct Draw<'a> {
    rng: &'a mut Rng,
    leaves: Vec<Value>,
    used: Vec<usize>,
    /// The numbers of the operations that may be inside.
    inner: std::ops::Range<usize>,
    /// What libtorch's values are to be rounded by, where that is asked.
    rounding: Option<Rounding>,
}

impl Draw<'_> {
    fn below(&mut self, count: usize) -> usize {
        ((self.rng.uniform() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// An expression of a type, of at most so many operations on top of each other.
    fn value(&mut self, of: Type, depth: usize) -> Value {
        if depth == 0 && of == Float {
            let at = self.below(self.leaves.len());
            return self.leaves[at].copy();
        }
        let fits = |operation: &Operation| {
            operation.gives == of && (depth > 0 || operation.takes.iter().all(|taken| *taken == Float))
        };
        let fitting: Vec<usize> = self.inner.clone().filter(|&at| fits(operation(at))).collect();
        let at = fitting[self.below(fitting.len())];
        self.apply(at, None, depth.saturating_sub(1))
    }

    /// An operation, one of whose arguments may be given.
    fn apply(&mut self, at: usize, given: Option<&Value>, depth: usize) -> Value {
        let operation = operation(at);
        self.used.push(at);
        let place = given.and_then(|value| operation.takes.iter().position(|of| *of == value.of));
        let mut text = operation.text.to_owned();
        let mut args = Vec::new();
        for (number, of) in operation.takes.iter().enumerate() {
            let arg = match given {
                Some(value) if place == Some(number) => value.copy(),
                _ => self.value(*of, depth),
            };
            text = text.replace(&format!("{{{number}}}"), &format!("({})", arg.text));
            args.push(arg);
        }
        let keeps = at >= OPERATIONS.len();
        let (tensor, exact) = match self.rounding {
            None => {
                let tensors = args.into_iter().map(|arg| arg.tensor).collect();
                ((operation.run)(&Given::once(tensors)), false)
            }
            Some(rounding) => rounding.applied(operation, keeps, &args),
        };
        Value { text, tensor, of: operation.gives, exact }
    }

    /// An expression of floats around one operation. Nothing comes around one that rounds where all is to be exact.
    fn around(&mut self, at: usize, depth: usize) -> Value {
        let inner = self.apply(at, None, depth);
        let wrapped = self.inner.contains(&at) && self.rng.uniform() < 0.5;
        if inner.of == Float && !wrapped {
            return inner;
        }
        let uses: Vec<usize> = (0..count())
            .filter(|&at| operation(at).gives == Float && operation(at).takes.contains(&inner.of))
            .filter(|&at| self.inner.start == 0 || is_settled(operation(at)))
            .collect();
        let outer = uses[self.below(uses.len())];
        self.apply(outer, Some(&inner), 0)
    }
}

fn program(ret: &str, tri: &str) -> String {
    format!(
        "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\nclass Processor(nn.Module):\n    pass\n\n\nclass PGN(Processor):\n    \
         def forward(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused):\n        ret = {ret}\n        tri_msgs = {tri}\n        \
         return ret, tri_msgs\n\n\ndef get_processor_factory(kind, use_ln, nb_triplet_fts, nb_heads=None):\n    return lambda size: PGN()\n"
    )
}

/// A processor as one step that hands its inputs on, so that they have gradients; the loss is the outputs' sum, weighted.
fn step(processor: &Processor) -> Step {
    let mut graph: Graph = processor.graph.clone();
    let mut state = Vec::new();
    for number in 0..5 {
        state.push((number, graph.input_node(number).expect("an input")));
    }
    let mut losses = Vec::new();
    for value in processor.outputs() {
        let shape = graph.shape(value).clone();
        let dims = (0..shape.len()).collect();
        let weight = graph.input("w", shape, DType::Float, false);
        let product = graph.push(Op::Binary(BinaryOp::Mul), &[value, weight], Span::default()).expect("types");
        let sum = Op::Reduce { op: ReduceOp::Sum, dims, keepdim: false };
        losses.push(graph.push(sum, &[product], Span::default()).expect("types"));
    }
    Step { graph, state, losses, outputs: processor.outputs() }
}

fn numbers(x: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(x.to_kind(Kind::Double).contiguous().flatten(0, -1)).expect("reads")
}

/// The elements of two tensors that differ by more than `tolerance` of the largest; NaN is NaN, and infinite is infinite.
fn differing(ours: &[f64], theirs: &[f64], tolerance: f64) -> Vec<usize> {
    let scale = theirs.iter().filter(|x| x.is_finite()).fold(1.0_f64, |most, x| most.max(x.abs()));
    let agree = |x: f64, y: f64| x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= tolerance * scale;
    (0..theirs.len()).filter(|&at| !ours.get(at).is_some_and(|x| agree(*x, theirs[at]))).collect()
}

/// What is drawn for one number of a seed.
struct Drawn {
    /// Outputs, both ways.
    expressions: Vec<Value>,
    used: Vec<usize>,
    inputs: [Tensor; 5],
    weights: [Tensor; 2],
    sizes: (i64, i64),
    exact: bool,
    dtype: Dtype,
}

impl Drawn {
    /// The program with a number; where rounding is given, libtorch's values are rounded by it.
    fn new(seed: u64, number: usize, rounding: Option<Rounding>) -> Self {
        let mut rng = Rng::new(seed, &format!("operations {number}"));
        let (round, exact) = (number / count(), number % 3 == 2);
        // neither sizes nor types keep step with the operations, which come in turn
        let sizes = SIZES[(number + round) % SIZES.len()];
        let depth = round % 3;
        let single = if exact { (number / 3 + round).is_multiple_of(2) } else { depth == 0 && round.is_multiple_of(2) };
        let (b, n) = sizes;
        if let Some(rounding) = rounding {
            rounding.start();
        }
        let mut draw = |shape: &[i64]| -> Tensor {
            let mut element = || {
                let x = if exact { (rng.uniform() * 9.0).floor() / 2.0 - 2.0 } else { 1.5 * rng.normal() };
                // as float32 holds it
                f64::from(x as f32)
            };
            let data: Vec<f64> = (0..shape.iter().product::<i64>()).map(|_| element()).collect();
            Tensor::from_slice(&data).reshape(shape)
        };
        let shapes: [&[i64]; 5] = [&[b, n, HIDDEN], &[b, n, n, HIDDEN], &[b, HIDDEN], &[b, n, n], &[b, n, HIDDEN]];
        let inputs = shapes.map(|shape| draw(shape).set_requires_grad(true));
        let weights = [draw(shapes[0]), draw(shapes[1])];
        let [node, edge, graph, adjacency, hidden] = &inputs;
        let leaf = |text: &str, tensor: Tensor| Value { text: text.to_owned(), tensor, of: Float, exact };
        let nodes = vec![
            leaf("node_fts", node.shallow_clone()),
            leaf("hidden", hidden.shallow_clone()),
            leaf("graph_fts.unsqueeze(1).expand_as(hidden)", graph.unsqueeze(1).expand_as(node)),
        ];
        let edges = vec![
            leaf("edge_fts", edge.shallow_clone()),
            leaf("edge_fts.transpose(1, 2)", edge.transpose(1, 2)),
            leaf("hidden.unsqueeze(1).expand_as(edge_fts)", hidden.unsqueeze(1).expand_as(edge)),
            leaf("adj_mat.unsqueeze(-1).expand_as(edge_fts)", adjacency.unsqueeze(-1).expand_as(edge)),
        ];
        let (mut expressions, mut used) = (Vec::new(), Vec::new());
        for (at, leaves) in [nodes, edges].into_iter().enumerate() {
            // each operation in turn, so that none is left out
            let (first, inner) = if exact {
                (2 * (number / 3) + at, OPERATIONS.len()..count())
            } else {
                ((2 * number + at) % OPERATIONS.len(), 0..OPERATIONS.len())
            };
            let settled = |at: &usize| !exact || is_settled(operation(*at));
            let operation = (0..count()).map(|more| (first + more) % count()).find(settled).unwrap_or(0);
            let mut draw = Draw { rng: &mut rng, leaves, used: Vec::new(), inner, rounding };
            expressions.push(draw.around(operation, depth));
            used.extend(draw.used);
        }
        let single = single && !used.iter().any(|&at| is_steep(operation(at)));
        let dtype = if single { Dtype::F32 } else { Dtype::F64 };
        Self { expressions, used, inputs, weights, sizes, exact, dtype }
    }

    fn source(&self) -> String {
        program(&self.expressions[0].text, &self.expressions[1].text)
    }

    /// Numbers as our type holds them, which may be infinite.
    fn held(&self, x: &Tensor) -> Vec<f64> {
        let mut all = numbers(x);
        if self.dtype == Dtype::F32 {
            all.iter_mut().for_each(|x| *x = f64::from(*x as f32));
        }
        all
    }

    fn tolerance(&self) -> f64 {
        if self.dtype == Dtype::F64 { 1e-8 } else { 1e-4 }
    }

    /// libtorch's outputs and gradients.
    fn theirs(&self) -> Vec<(String, Tensor)> {
        let total = (&self.expressions[0].tensor * &self.weights[0]).sum(Kind::Double)
            + (&self.expressions[1].tensor * &self.weights[1]).sum(Kind::Double);
        if total.requires_grad() {
            total.backward();
        }
        let outputs = self.expressions.iter().map(|value| value.tensor.detach());
        let gradients = self.inputs.iter().map(|input| {
            let gradient = input.grad();
            if gradient.defined() { gradient } else { input.detach().zeros_like() }
        });
        let names = ["output 0", "output 1"].map(str::to_owned).into_iter();
        names.chain((0..5).map(|at| format!("gradient of input {at}"))).zip(outputs.chain(gradients)).collect()
    }

    /// Ours, in the same order.
    fn ours(&self, processor: &Processor, passes: bool, device: Device) -> Result<Vec<Tensor>, String> {
        let step = step(processor);
        let parameters = Parameters::init(&step.graph, 1, self.dtype, device).expect("there are none");
        let options = Options { passes, gradients: true, dtype: self.dtype, networks: 1 };
        let engine = Engine::new([step], options, device, Backend::Auto);
        let mut engine = engine.map_err(|error| format!("accepted, and not compiled: {error}"))?;
        let given = |x: &Tensor| x.detach().copy().to_kind(self.dtype.kind());
        let state = self.inputs.iter().map(given).collect();
        let weights = self.weights.iter().enumerate().map(|(at, w)| (5 + at, given(w))).collect();
        let sequence = Sequence { sizes: self.sizes, variants: &[0], given: weights, data: BTreeMap::new(), state };
        let mut gradient = parameters.zeros().expect("there are none");
        let mut outputs = Vec::new();
        let ran = engine.run(&parameters, &sequence, Some(&mut gradient), &mut |_, values| {
            outputs = values.iter().map(Tensor::copy).collect();
            Ok(())
        });
        let outcome = ran.map_err(|error| format!("accepted, and not run: {error}"))?;
        Ok(outputs.into_iter().chain(outcome.state).collect())
    }
}

/// What became of the programs with an operation.
#[derive(Default)]
struct Uses {
    /// In float64 and float32.
    compared: [usize; 2],
    /// With gradients that were compared.
    gradients: usize,
    refused: usize,
    /// Why one was last refused.
    why: String,
}

#[derive(Default)]
struct Tally {
    compared: usize,
    exact: usize,
    /// With elements that rounding decides on.
    apart: usize,
    /// With elements of gradients that are not finite in libtorch.
    undefined: usize,
    gradients: usize,
    refused: BTreeMap<&'static str, usize>,
    by_operation: Vec<Uses>,
    by_shape: BTreeMap<(i64, i64), usize>,
}

fn drawn_again(seed: u64, number: usize, rounding: Rounding) -> Vec<Vec<f64>> {
    Drawn::new(seed, number, Some(rounding)).theirs().iter().map(|(_, x)| numbers(x)).collect()
}

/// Makes the program with a number, runs it both ways, and says what is wrong.
fn one(seed: u64, number: usize, device: Device, tally: &mut Tally) -> Option<String> {
    let drawn = Drawn::new(seed, number, None);
    let source = drawn.source();
    let options = program::Options { hidden: HIDDEN as usize, need_regions: false, ..program::Options::default() };
    let compiled = program::compile(&source, &options);
    let Some(processor) = compiled.processor else {
        let error = compiled.diagnostics.iter().find(|d| d.is_error());
        let code = error.map_or("none", |d| d.code());
        *tally.refused.entry(code).or_default() += 1;
        for &at in &drawn.used {
            tally.by_operation[at].refused += 1;
            tally.by_operation[at].why =
                error.map_or(String::new(), |d| format!("{} {}\n{source}", d.code(), d.message));
        }
        // what PyTorch runs may be refused for what it means, never for a type or shape that is wrong
        let wrong = ["E-INTERNAL", "E-TYPE", "E-SYNTAX", "E-NAME"].contains(&code);
        return wrong.then(|| program::render(&source, "", &compiled.diagnostics, false));
    };
    let (names, theirs): (Vec<String>, Vec<Vec<f64>>) =
        drawn.theirs().into_iter().map(|(name, x)| (name, drawn.held(&x))).unzip();
    let ours = match drawn.ours(&processor, number.is_multiple_of(2), device) {
        Ok(ours) => ours,
        Err(error) => return Some(format!("{source}\n{error}")),
    };
    let ours: Vec<Vec<f64>> = ours.iter().map(numbers).collect();
    let again = |rounding| drawn_again(seed, number, rounding);
    match rounding::judge(&ours, &theirs, drawn.dtype, drawn.tolerance(), again) {
        Verdict::Agree => {}
        Verdict::Rounding => {
            tally.apart += 1;
            return None;
        }
        Verdict::Undefined => {
            tally.undefined += 1;
            return None;
        }
        Verdict::Wrong { tensor, element, moves } => {
            let (name, ours, theirs) = (&names[tensor], ours[tensor][element], theirs[tensor][element]);
            return Some(format!(
                "{source}\nprogram {number}, {:?}, exact: {}: {name}, element {element}: {ours} for {theirs}; rounding moves it by {moves:e}",
                drawn.dtype, drawn.exact
            ));
        }
    }
    let differentiated = drawn.expressions.iter().any(|value| value.tensor.requires_grad());
    tally.compared += 1;
    tally.exact += usize::from(drawn.exact);
    tally.gradients += usize::from(differentiated);
    *tally.by_shape.entry(drawn.sizes).or_default() += 1;
    for &at in &drawn.used {
        let uses = &mut tally.by_operation[at];
        uses.compared[usize::from(drawn.dtype == Dtype::F32)] += 1;
        uses.gradients += usize::from(differentiated);
    }
    None
}

#[test]
fn small_programs_agree_with_libtorch() {
    let device = executor::init(&DeviceArg::Cpu, 1).expect("the CPU is there");
    let number =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (programs, seed) = (number("OPERATIONS_PROGRAMS", 1000), number("OPERATIONS_SEED", 1));
    let mut tally = Tally { by_operation: (0..count()).map(|_| Uses::default()).collect(), ..Tally::default() };
    let (mut wrong, mut made) = (Vec::new(), 0);
    for at in 0..usize::try_from(programs).expect("few") {
        wrong.extend(one(seed, at, device, &mut tally));
        made += 1;
        if wrong.len() >= 20 {
            break;
        }
    }
    println!("compared in float64, in float32, with gradients; refused; operation and types of its arguments:");
    for (at, uses) in tally.by_operation.iter().enumerate() {
        let (operation, [double, single]) = (operation(at), uses.compared);
        println!(
            "{double:7} {single:7} {:7} {:5}  {} {:?}",
            uses.gradients, uses.refused, operation.text, operation.takes
        );
        if uses.compared == [0, 0] && uses.refused > 0 {
            wrong.push(format!("{} {:?} is never accepted: {}", operation.text, operation.takes, uses.why));
        }
    }
    println!("compared by numbers of graphs and nodes: {:?}", tally.by_shape);
    println!(
        "seed {seed}, {made} programs of two expressions: {} agree, {} of them with gradients, {} with exact inputs; {} set apart where rounding \
         decides, {} where libtorch's gradients are not finite; refused: {:?}",
        tally.compared, tally.gradients, tally.exact, tally.apart, tally.undefined, tally.refused
    );
    assert!(wrong.is_empty(), "{} of {made}\n{}", wrong.len(), wrong.join("\n\n"));
    let aside = tally.apart + tally.undefined;
    assert!(aside <= 20 + made / 200, "{aside} of {made} are set apart");
}
