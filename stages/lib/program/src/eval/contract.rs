//! What each function of tensors takes and gives, found by asking the evaluator itself: it is called with tensors of each element
//! type, and the gradient of what it gives is taken.

use graph::{BinaryOp, DType, NodeId, Op, Processor, Span};

use super::native::{self, Native};
use super::value::Value;
use super::{Interp, Phase};
use crate::budget::Budgets;

/// A function of tensors.
pub struct Contract {
    /// `torch.abs Tensor.abs`
    pub names: &'static str,
    /// What it gives for tensors of bools, integers and floats; nothing where it takes none.
    pub gives: [Option<DType>; 3],
    /// Whether gradients flow from what it gives for floats to its first argument.
    pub gradient: Gradient,
}

/// What becomes of the gradient of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gradient {
    /// It flows.
    Flows,
    /// It is zero, or what is given is not a float.
    Zero,
    /// Torch has none: no gradient may reach the value.
    Refused,
}

/// Element types in the order of [`Contract::gives`].
pub const TYPES: [DType; 3] = [DType::Bool, DType::Int, DType::Float];

/// Whether a function is one of tensors.
fn is_of_tensors(native: &Native) -> bool {
    native.names.split(' ').any(|name| {
        let of = ["torch.", "Tensor."].iter().any(|start| name.starts_with(start));
        of && !name.contains('$')
            && !["torch.nn.init.", "torch.nn.utils.", "torch.jit."].iter().any(|no| name.starts_with(no))
    })
}

/// All functions of tensors that can be asked, in the order of their first names.
pub fn contracts() -> Vec<Contract> {
    let mut known: Vec<&'static str> = Vec::new();
    let mut all = Vec::new();
    for (name, _) in native::names() {
        let Some(native) = native::find(name).filter(|native| is_of_tensors(native)) else { continue };
        if known.contains(&native.names) {
            continue;
        }
        known.push(native.names);
        let answers = TYPES.map(|dtype| ask(native, dtype));
        if answers.iter().any(Option::is_some) {
            let gradient = answers[2].map_or(Gradient::Zero, |answer| answer.1);
            all.push(Contract { names: native.names, gives: answers.map(|answer| answer.map(|a| a.0)), gradient });
        }
    }
    all
}

/// A tensor of [B, N, 4] of an element type, or of fewer axes.
fn tensor(vm: &mut Interp, dtype: DType, from: NodeId, rank: usize) -> Option<NodeId> {
    let mut id = from;
    for _ in rank..3 {
        id = vm.tracer.push(Op::Select { dim: 0, index: graph::Dim::known(0) }, &[id]).ok()?;
    }
    if dtype != DType::Float {
        let zero = vm.tracer.float(0.0).ok()?;
        id = vm.tracer.bin(BinaryOp::Gt, id, zero).ok()?;
    }
    if dtype == DType::Int { vm.tracer.cast(id, DType::Int).ok() } else { Some(id) }
}

/// What a function gives for a type, where it takes it.
fn ask(native: &'static Native, dtype: DType) -> Option<(DType, Gradient)> {
    // Matrices and vectors for those that take no more axes, and an axis for those that want to be told one.
    let ways = (1..=3).rev().flat_map(|rank| [(rank, false), (rank, true)]);
    ways.into_iter().find_map(|(rank, axis)| ask_of(native, dtype, rank, axis))
}

fn ask_of(native: &'static Native, dtype: DType, rank: usize, axis: bool) -> Option<(DType, Gradient)> {
    let (graph, inputs) = Processor::inputs(4);
    let mut vm = Interp::new(graph, Budgets::default(), false);
    vm.tracer.enter(Phase::Second);
    let x = tensor(&mut vm, dtype, inputs[0], rank)?;
    let mut args = Vec::new();
    let needed = native.signature.split_whitespace().take_while(|word| !word.ends_with('?') && *word != "|");
    for word in needed {
        let arg = match word {
            "dim" | "dim0" | "start_dim" => Value::Int(0),
            "dim1" | "k" | "shifts" | "chunks" | "length" | "diagonal" | "start" | "sections" => Value::Int(1),
            "dims" => Value::tuple(vec![Value::Int(0)]),
            "threshold" | "value" if dtype == DType::Float => Value::Float(0.5),
            "index" => {
                let index = tensor(&mut vm, DType::Int, inputs[4], rank)?;
                vm.tracer.tensor_value(index)
            }
            "mask" | "condition" => {
                let mask = tensor(&mut vm, DType::Bool, inputs[4], rank)?;
                vm.tracer.tensor_value(mask)
            }
            "*tensors" => vm.tracer.tensor_value(x),
            _ if word.starts_with('*') => break,
            "tensors" => {
                let one = vm.tracer.tensor_value(x);
                Value::tuple(vec![one.clone(), one])
            }
            _ if args.is_empty() => vm.tracer.tensor_value(x),
            _ => {
                let other = tensor(&mut vm, dtype, inputs[4], rank)?;
                vm.tracer.tensor_value(other)
            }
        };
        args.push(arg);
    }
    let dim = axis && native.signature.split_whitespace().any(|word| word == "dim?");
    let settings = if dim { vec![("dim".into(), Value::Int(0))] } else { Vec::new() };
    let given = vm.call_native(native, args, settings).ok()?;
    let given = match &given {
        Value::Tensor(t) => t.clone(),
        Value::Tuple(items) => match items.first()? {
            Value::Tensor(t) => t.clone(),
            _ => return None,
        },
        Value::Named(named) => match named.1.first()? {
            Value::Tensor(t) => t.clone(),
            _ => return None,
        },
        _ => return None,
    };
    let y = vm.tracer.node(&given).ok()?;
    let of = vm.tracer.dtype(y);
    if of != DType::Float || dtype != DType::Float {
        return Some((of, Gradient::Zero));
    }
    if vm.tracer.tape.is_without_derivative(y) {
        return Some((of, Gradient::Refused));
    }
    let mut graph = vm.tracer.take_graph();
    let shape = graph.shape(y).clone();
    let one = graph.push_as(Op::Full(1.0), &[], shape, DType::Float, Span::default()).ok()?;
    let found = graph::gradients(&mut graph, &[(y, one)], &[x]).ok()?;
    let flows = found.first().is_some_and(Option::is_some);
    Some((of, if flows { Gradient::Flows } else { Gradient::Zero }))
}
