//! Chains of element-wise operations as one loop.
//!
//! `relu(a_j + b_i + e_ij + g)` over pairs of nodes, or a whole backward pass through it with its sums over nodes, is one
//! pass over the operands: a [`Loop`] reads every tensor once and writes nothing but results. [`plan`] and [`code`] turn the
//! instructions into steps for an accumulator, and [`machine`] runs them on a few vectors at a time, which stay in the processor's registers
//! from one step to the next.

mod code;
mod machine;
mod plan;
#[cfg(test)]
mod tests;

use graph::{BinaryOp, UnaryOp};

use super::real::Real;
use super::vector::Level;
use super::{KernelError, check_length};
use machine::State;
use plan::Plan;

/// One instruction; operands are the numbers of earlier instructions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Instr {
    /// The value that the load of this number reads.
    Load(usize),
    /// This number.
    Const(f64),
    /// An operation on the value of one instruction.
    Unary(UnaryOp, usize),
    /// An operation on the values of two instructions.
    Binary(BinaryOp, usize, usize),
    /// (condition, x, y): x where the condition is not 0, else y.
    Where(usize, usize, usize),
    /// 1 where the value is not 0, else 0: a cast to Bool.
    Bool(usize),
}

/// How an input tensor is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Number among the inputs.
    pub tensor: usize,
    /// The element at the loop's first place.
    pub start: usize,
    /// In elements, one for each axis of the loop; 0 where the tensor is broadcast.
    pub strides: Vec<usize>,
}

/// How a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The instruction whose value it is.
    pub value: usize,
    /// Number among the outputs.
    pub tensor: usize,
    /// The element at the loop's first place.
    pub start: usize,
    /// In elements, one for each axis of the loop; the value is summed over axes of stride 0. Other strides have to lead to
    /// different elements.
    pub strides: Vec<usize>,
    /// Whether the value is added to what is there. Else it replaces the elements that the strides lead to, and no others.
    pub accumulate: bool,
}

/// What a [`Loop`] computes.
///
/// Stores of one loop must not lead to the same elements unless all of these accumulate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoopSpec {
    /// Sizes of the loop's axes, outermost first.
    pub shape: Vec<usize>,
    /// The instructions, each after those that it uses.
    pub code: Vec<Instr>,
    /// What [`Instr::Load`] reads, by its number.
    pub loads: Vec<View>,
    /// What is written.
    pub stores: Vec<Store>,
}

/// A loop that is ready to run, any number of times.
#[derive(Clone, Debug)]
pub struct Loop<T> {
    plan: Plan<T>,
    state: State<T>,
}

impl<T: Real> Loop<T> {
    /// Prepares a loop, and everything that it needs to run without allocating.
    ///
    /// # Errors
    /// Where an operand, a load or an instruction is missing, or strides do not fit the shape.
    pub fn new(spec: &LoopSpec) -> Result<Self, KernelError> {
        Self::at_level(spec, Level::detect())
    }

    /// Prepares a loop for an instruction set that the processor has.
    fn at_level(spec: &LoopSpec, level: Level) -> Result<Self, KernelError> {
        let plan = Plan::new(spec, level)?;
        let state = State::new(&plan);
        Ok(Self { plan, state })
    }

    /// Computes all outputs. Inputs and outputs are whole tensors, which may be longer than what the loop touches.
    ///
    /// # Errors
    /// Where a tensor is missing or too short; nothing is written then.
    pub fn run(&mut self, inputs: &[&[T]], outputs: &mut [&mut [T]]) -> Result<(), KernelError> {
        for (tensor, &wanted) in self.plan.input_lengths.iter().enumerate().filter(|(_, wanted)| **wanted > 0) {
            let input = inputs.get(tensor).ok_or(KernelError::Missing { what: "input", number: tensor })?;
            check_length("input", tensor, input.len(), wanted)?;
        }
        for (tensor, &wanted) in self.plan.output_lengths.iter().enumerate().filter(|(_, wanted)| **wanted > 0) {
            let output = outputs.get(tensor).ok_or(KernelError::Missing { what: "output", number: tensor })?;
            check_length("output", tensor, output.len(), wanted)?;
        }
        machine::run(&self.plan, &mut self.state, inputs, outputs);
        Ok(())
    }
}
