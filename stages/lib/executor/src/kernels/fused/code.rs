//! Steps for the machine: which level each belongs to, in which order they come, and which register holds what.
//!
//! An instruction belongs to the innermost of three levels whose places its value depends on: band, outer place, strip. So
//! what does not change from row to row is computed once.

use graph::{BinaryOp, UnaryOp};

use super::plan::{Access, Axes, BAND, INNER, OUTER, Op, Source, Step};
use super::{Instr, LoopSpec};
use crate::kernels::real::private::STRIP;

/// Steps by level; operands in tensors are all [`Source::Vectors`] yet.
pub(super) struct Code {
    pub steps: [Vec<Step>; 3],
    pub consts: Vec<f64>,
    pub registers: usize,
}

impl Code {
    pub fn new(spec: &LoopSpec, axes: &Axes, loads: &[Access], width: usize) -> Self {
        let levels = levels(spec, axes, loads, width);
        let order = order(spec);
        let folded = folded(spec, &levels, &order);
        let mut writer =
            Writer { spec, loads, levels: &levels, folded, consts: Vec::new(), steps: Vec::new(), last: None };
        for level in [BAND, OUTER, INNER] {
            writer.last = None;
            for &at in &order {
                if levels[at] == level && !writer.folded[at] {
                    writer.compute(at, level);
                }
                if level == INNER {
                    writer.store(at);
                }
            }
        }
        writer.finish()
    }
}

/// The instructions that lead to stores, each after its operands. Going down from each store in turn, most values are
/// computed just before they are used.
fn order(spec: &LoopSpec) -> Vec<usize> {
    let mut order = Vec::with_capacity(spec.code.len());
    let mut seen = vec![false; spec.code.len()];
    // with each instruction, whether its operands were put before it
    let mut stack: Vec<(usize, bool)> = Vec::new();
    for store in &spec.stores {
        stack.push((store.value, false));
        while let Some((at, ready)) = stack.pop() {
            if ready {
                order.push(at);
            } else if !std::mem::replace(&mut seen[at], true) {
                stack.push((at, true));
                // the first operand is computed last, and so stays in the accumulator
                stack.extend(operands(spec.code[at]).into_iter().flatten().map(|x| (x, false)));
            }
        }
    }
    order
}

fn operands(instr: Instr) -> [Option<usize>; 3] {
    match instr {
        Instr::Load(_) | Instr::Const(_) => [None; 3],
        Instr::Unary(_, x) | Instr::Bool(x) => [Some(x), None, None],
        Instr::Binary(_, x, y) => [Some(x), Some(y), None],
        Instr::Where(c, x, y) => [Some(c), Some(x), Some(y)],
    }
}

/// Which instructions are computed by the step of the only one that uses them: products that are added or subtracted, sums that
/// are added, sums and differences that are rectified, `relu(x - y)` that is added to y, comparisons with 0 that choose, and
/// products that go to a single store.
fn folded(spec: &LoopSpec, levels: &[usize], order: &[usize]) -> Vec<bool> {
    let (mut uses, mut stores) = (vec![0; spec.code.len()], vec![0; spec.code.len()]);
    order.iter().flat_map(|&at| operands(spec.code[at])).flatten().for_each(|x| uses[x] += 1);
    spec.stores.iter().for_each(|store| stores[store.value] += 1);
    let mut folded = vec![false; spec.code.len()];
    // whether an instruction has taken another into its step, and so has no room in one itself
    let mut full = folded.clone();
    for &at in order {
        let alone = |x: usize| uses[x] == 1 && stores[x] == 0 && levels[x] == levels[at] && !full[x];
        let is = |x: usize, op: BinaryOp| matches!(spec.code[x], Instr::Binary(found, ..) if found == op);
        let product = |x: &usize| alone(*x) && is(*x, BinaryOp::Mul);
        let sum = |x: &usize| alone(*x) && is(*x, BinaryOp::Add);
        let difference = |x: &usize| alone(*x) && is(*x, BinaryOp::Sub);
        // a rectified difference, with the difference in its step
        let excess = |x: usize, y: usize| {
            let subtracted = excess(spec, x).is_some_and(|(difference, _, by)| by == y && folded[difference]);
            uses[x] == 1 && stores[x] == 0 && levels[x] == levels[at] && subtracted
        };
        let found = match spec.code[at] {
            Instr::Binary(BinaryOp::Mul, ..) if uses[at] == 0 && stores[at] == 1 && levels[at] == INNER => {
                folded[at] = true;
                None
            }
            Instr::Binary(BinaryOp::Add, x, y) if excess(y, x) => Some(y),
            Instr::Binary(BinaryOp::Add, x, y) if excess(x, y) => Some(x),
            Instr::Binary(BinaryOp::Add, x, y) if x != y => {
                [y, x].into_iter().find(product).or([x, y].into_iter().find(sum))
            }
            Instr::Binary(BinaryOp::Sub, x, y) if x != y => Some(y).filter(product),
            Instr::Unary(UnaryOp::Relu, x) => Some(x).filter(|x| sum(x) || difference(x)),
            Instr::Where(c, ..) => Some(c).filter(|&c| alone(c) && positive(spec, c).is_some()),
            _ => None,
        };
        if let Some(x) = found {
            (folded[x], full[at]) = (true, true);
        }
    }
    folded
}

/// The difference, x and y, where the instruction is `relu(x - y)`.
fn excess(spec: &LoopSpec, at: usize) -> Option<(usize, usize, usize)> {
    let Instr::Unary(UnaryOp::Relu, difference) = spec.code[at] else { return None };
    match spec.code[difference] {
        Instr::Binary(BinaryOp::Sub, x, y) => Some((difference, x, y)),
        _ => None,
    }
}

/// x, where the instruction is `x > 0`.
fn positive(spec: &LoopSpec, at: usize) -> Option<usize> {
    let zero = |x: usize| matches!(spec.code[x], Instr::Const(0.0));
    match spec.code[at] {
        Instr::Binary(BinaryOp::Gt, x, y) if zero(y) => Some(x),
        Instr::Binary(BinaryOp::Lt, x, y) if zero(x) => Some(y),
        _ => None,
    }
}

/// The level of each instruction.
fn levels(spec: &LoopSpec, axes: &Axes, loads: &[Access], width: usize) -> Vec<usize> {
    let one_strip = axes.rows <= axes.strip_rows(axes.lanes.min(STRIP * width), width);
    let one_place = axes.outer.is_empty();
    let inward = |level: usize| match level {
        BAND if one_place && one_strip => INNER,
        BAND if one_place => OUTER,
        OUTER if one_strip => INNER,
        level => level,
    };
    let mut levels: Vec<usize> = Vec::with_capacity(spec.code.len());
    for instr in &spec.code {
        let level = match *instr {
            Instr::Load(load) if loads[load].row != 0 => INNER,
            Instr::Load(load) if loads[load].outer.iter().any(|&stride| stride != 0) => OUTER,
            Instr::Load(_) | Instr::Const(_) => BAND,
            Instr::Unary(_, x) | Instr::Bool(x) => levels[x],
            Instr::Binary(_, x, y) => levels[x].max(levels[y]),
            Instr::Where(c, x, y) => levels[c].max(levels[x]).max(levels[y]),
        };
        levels.push(inward(level));
    }
    levels
}

/// A step whose operands and result are instructions yet.
struct Draft {
    level: usize,
    op: Op,
    operands: [Option<Operand>; 3],
    /// The instruction whose value the step makes.
    makes: Option<usize>,
}

#[derive(Clone, Copy)]
enum Operand {
    Known(Source),
    /// Some earlier instruction's value, from a register.
    Value(usize),
}

struct Writer<'a> {
    spec: &'a LoopSpec,
    loads: &'a [Access],
    levels: &'a [usize],
    folded: Vec<bool>,
    consts: Vec<f64>,
    steps: Vec<Draft>,
    /// The instruction whose value the accumulator holds.
    last: Option<usize>,
}

impl Writer<'_> {
    fn constant(&mut self, x: f64) -> Operand {
        let found = self.consts.iter().position(|known| known.to_bits() == x.to_bits());
        let at = found.unwrap_or_else(|| {
            self.consts.push(x);
            self.consts.len() - 1
        });
        Operand::Known(Source::Const(at as u32))
    }

    /// A first operand, which may be in the accumulator.
    fn first(&mut self, at: usize) -> Operand {
        if self.last == Some(at) { Operand::Known(Source::Last) } else { self.operand(at) }
    }

    /// An operand that has to be somewhere else.
    fn operand(&mut self, at: usize) -> Operand {
        match self.spec.code[at] {
            Instr::Load(load) if self.loads[load].lane < 2 => Operand::Known(Source::Vectors(load as u32)),
            Instr::Const(x) => self.constant(x),
            _ => Operand::Value(at),
        }
    }

    fn push(&mut self, level: usize, op: Op, operands: [Option<Operand>; 3], makes: usize) {
        self.steps.push(Draft { level, op, operands, makes: Some(makes) });
        self.last = Some(makes);
    }

    /// The step that computes an instruction, where there has to be one.
    fn compute(&mut self, at: usize, level: usize) {
        match self.spec.code[at] {
            Instr::Load(load) if self.loads[load].lane < 2 => {}
            Instr::Load(load) => self.push(level, Op::Gather(load as u32), [None; 3], at),
            Instr::Const(_) => {}
            Instr::Unary(UnaryOp::Relu, of) if self.folded[of] => {
                if let Instr::Binary(op, u, v) = self.spec.code[of] {
                    let op = if op == BinaryOp::Add { Op::AddRelu } else { Op::SubRelu };
                    self.push_two(level, op, u, v, at);
                }
            }
            Instr::Unary(op, x) => self.push_one(level, unary(op), x, at),
            Instr::Bool(x) => self.push_one(level, Op::Bool, x, at),
            Instr::Binary(BinaryOp::Pow, x, y)
                if let Instr::Const(exponent) = self.spec.code[y]
                    && let Some(op) = power(exponent) =>
            {
                self.push_one(level, op, x, at);
            }
            Instr::Binary(BinaryOp::Add, x, y) if self.folded[y] => self.push_sum(level, x, y, at),
            Instr::Binary(BinaryOp::Add, x, y) if self.folded[x] => self.push_sum(level, y, x, at),
            Instr::Binary(BinaryOp::Sub, x, y) if self.folded[y] => self.push_product(level, Op::SubProduct, x, y, at),
            Instr::Binary(op, x, y) => self.push_two(level, binary(op), x, y, at),
            Instr::Where(c, x, y) => {
                let (op, c) = match positive(self.spec, c) {
                    Some(of) if self.folded[c] => (Op::WherePositive, of),
                    _ => (Op::Where, c),
                };
                let operands = [Some(self.first(c)), Some(self.operand(x)), Some(self.operand(y))];
                self.push(level, op, operands, at);
            }
        }
    }

    fn push_one(&mut self, level: usize, op: Op, x: usize, makes: usize) {
        let x = self.first(x);
        self.push(level, op, [Some(x), None, None], makes);
    }

    fn push_two(&mut self, level: usize, op: Op, x: usize, y: usize, makes: usize) {
        let (op, x, y) = match swapped(op) {
            Some(other) if self.last == Some(y) && x != y => (other, y, x),
            _ => (op, x, y),
        };
        let operands = [Some(self.first(x)), Some(self.operand(y)), None];
        self.push(level, op, operands, makes);
    }

    /// The sum of x and an instruction that has no step of its own.
    fn push_sum(&mut self, level: usize, x: usize, other: usize, makes: usize) {
        if let Some((_, of, _)) = excess(self.spec, other) {
            let operands = [Some(self.first(x)), Some(self.operand(of)), None];
            return self.push(level, Op::AddExcess, operands, makes);
        }
        match self.spec.code[other] {
            Instr::Binary(BinaryOp::Add, u, v) => {
                let (u, v) = if self.last == Some(v) { (v, u) } else { (u, v) };
                let operands = [Some(self.first(u)), Some(self.operand(v)), Some(self.operand(x))];
                self.push(level, Op::AddTwo, operands, makes);
            }
            _ => self.push_product(level, Op::AddProduct, x, other, makes),
        }
    }

    /// A sum or difference of x and a product that has no step of its own.
    fn push_product(&mut self, level: usize, op: Op, x: usize, product: usize, makes: usize) {
        let [u, v, _] = operands(self.spec.code[product]);
        let x = self.first(x);
        let factors = [u, v].map(|factor| factor.map(|factor| self.operand(factor)));
        self.push(level, op, [Some(x), factors[0], factors[1]], makes);
    }

    /// The steps that store an instruction's value.
    fn store(&mut self, at: usize) {
        for (number, _) in self.spec.stores.iter().enumerate().filter(|(_, store)| store.value == at) {
            let (op, operands, last) = match self.spec.code[at] {
                Instr::Binary(_, x, y) if self.folded[at] => {
                    let (x, y) = if self.last == Some(y) { (y, x) } else { (x, y) };
                    (Op::StoreProduct(number as u32), [Some(self.first(x)), Some(self.operand(y)), None], x)
                }
                _ => (Op::Store(number as u32), [Some(self.first(at)), None, None], at),
            };
            self.steps.push(Draft { level: INNER, op, operands, makes: None });
            self.last = Some(last);
        }
    }

    /// Gives registers to values that are used later than in the next step.
    fn finish(self) -> Code {
        let mut last_use: Vec<Option<usize>> = vec![None; self.spec.code.len()];
        for (place, step) in self.steps.iter().enumerate() {
            for operand in step.operands.iter().flatten() {
                if let Operand::Value(at) = *operand {
                    // what outer levels leave for inner ones stays until the end
                    let stays = self.levels[at] < step.level;
                    let until = if stays { usize::MAX } else { place };
                    last_use[at] = last_use[at].max(Some(until));
                }
            }
        }
        let mut registers = Registers::default();
        let mut of: Vec<Option<u32>> = vec![None; self.spec.code.len()];
        let mut steps: [Vec<Step>; 3] = Default::default();
        for (place, step) in self.steps.iter().enumerate() {
            let source = |operand: Option<Operand>| match operand {
                Some(Operand::Known(source)) => source,
                Some(Operand::Value(at)) => of[at].map_or(Source::Last, Source::Register),
                None => Source::Last,
            };
            let [a, b, c] = step.operands.map(source);
            for operand in step.operands.iter().flatten() {
                if let Operand::Value(at) = *operand
                    && last_use[at] == Some(place)
                    && let Some(register) = of[at].take()
                {
                    registers.free.push(register);
                }
            }
            // a gather needs room to collect its lanes
            let gathers = matches!(step.op, Op::Gather(_));
            let keeps = step.makes.filter(|&at| gathers || last_use[at].is_some());
            let to = keeps.map(|_| registers.take());
            if let Some(at) = keeps {
                of[at] = to;
                if last_use[at].is_none() {
                    registers.free.extend(of[at].take());
                }
            }
            steps[step.level].push(Step { op: step.op, a, b, c, to });
        }
        Code { steps, consts: self.consts, registers: registers.count as usize }
    }
}

#[derive(Default)]
struct Registers {
    free: Vec<u32>,
    count: u32,
}

impl Registers {
    fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }
}

fn unary(op: UnaryOp) -> Op {
    match op {
        UnaryOp::Neg => Op::Neg,
        UnaryOp::Abs => Op::Abs,
        UnaryOp::Relu => Op::Relu,
        UnaryOp::Square => Op::Square,
        op => Op::Unary(op),
    }
}

/// Powers that PyTorch, too, computes without a general power.
fn power(exponent: f64) -> Option<Op> {
    Some(match exponent {
        1.0 => Op::Take,
        2.0 => Op::Square,
        3.0 => Op::Cube,
        0.5 => Op::Unary(UnaryOp::Sqrt),
        -0.5 => Op::Unary(UnaryOp::Rsqrt),
        -1.0 => Op::Unary(UnaryOp::Reciprocal),
        _ => return None,
    })
}

/// The operation that does the same with its operands exchanged.
fn swapped(op: Op) -> Option<Op> {
    Some(match op {
        Op::Sub => Op::SubFrom,
        Op::SubRelu => Op::SubFromRelu,
        Op::Div => Op::DivInto,
        Op::Lt => Op::Gt,
        Op::Gt => Op::Lt,
        Op::Le => Op::Ge,
        Op::Ge => Op::Le,
        Op::Add | Op::AddRelu | Op::Mul | Op::Maximum | Op::Minimum | Op::Eq | Op::Ne => op,
        _ => return None,
    })
}

fn binary(op: BinaryOp) -> Op {
    match op {
        BinaryOp::Add => Op::Add,
        BinaryOp::Sub => Op::Sub,
        BinaryOp::Mul => Op::Mul,
        BinaryOp::Div => Op::Div,
        BinaryOp::Maximum => Op::Maximum,
        BinaryOp::Minimum => Op::Minimum,
        BinaryOp::Eq => Op::Eq,
        BinaryOp::Ne => Op::Ne,
        BinaryOp::Lt => Op::Lt,
        BinaryOp::Le => Op::Le,
        BinaryOp::Gt => Op::Gt,
        BinaryOp::Ge => Op::Ge,
        op => Op::Binary(op),
    }
}
