//! CUDA C++ for what is computed in one pass: element-wise chains with all their sums.
//!
//! Each kernel is a function of one index, which every thread calls with its own; nothing passes between threads, and sums
//! are added up in a fixed order: the same bits every time. The same text is valid C++, so that tests run it on a CPU. Sizes
//! and strides are arguments: one text serves all B and N.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use graph::{BinaryOp, DType, Op, ReduceOp, UnaryOp};

use crate::error::{Error, Result};
use crate::kernels::Instr;
use crate::plan::Made;
use crate::plan::units::{Nodes, Role};

/// A kernel's text and how many arguments it takes.
///
/// The text is that of `body`, a function of the arguments `p` (`p.p`: addresses, `p.n`: whole numbers) and the index `i`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub body: String,
    pub pointers: usize,
    pub numbers: usize,
}

/// What is read: a node's value, seen in another shape that it broadcasts to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Load {
    pub node: usize,
    pub shape: Vec<usize>,
}

/// One kernel of a unit. Its addresses are those of the loads, then of the stores. Its numbers are the sizes of the domain,
/// the strides of each load, and for a map the strides of each store.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub source: Source,
    pub loads: Vec<Load>,
    /// Nodes whose values it writes.
    pub stores: Vec<usize>,
    /// Sizes, without those that are 1.
    pub domain: Vec<usize>,
    pub sum: Option<Sum>,
}

/// How a kernel that sums shares its work out. Its numbers go on with `kept`, `chunks` and `length`: the number of sums, how
/// many threads work on each, and how many terms there are in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub kept: usize,
    pub length: usize,
    pub chunks: usize,
}

/// Threads that keep a GPU busy.
const BUSY: usize = 1 << 16;
/// Terms that a thread adds up, at the least.
const TERMS: usize = 8;
/// Bytes of arguments that a kernel may have.
const MOST_ARGUMENTS: usize = 4000;

/// What nodes are to a GPU: means are sums too.
pub(crate) fn roles(nodes: &mut Nodes<'_>) {
    for at in 0..nodes.roles.len() {
        let node = nodes.node(at);
        let live = nodes.roles[at] != Role::Dead;
        if let (true, Op::Reduce { op: ReduceOp::Mean, .. }, DType::Float) = (live, &node.op, node.dtype)
            && node.args.iter().all(|&arg| nodes.graph.dtype(arg) == DType::Float)
        {
            nodes.roles[at] = Role::Sum;
        }
    }
}

/// The kernels of a unit of loop nodes. `stored`: by node, whether its value is read elsewhere.
pub(crate) fn kernels(nodes: &Nodes<'_>, members: &[usize], stored: &[bool]) -> Result<Vec<Kernel>> {
    let mut writer = Writer::new(nodes, members);
    for &at in members {
        writer.member(at, stored)?;
    }
    let Writer { domain, code, loads, maps, sums, .. } = writer;
    let mut kernels = Vec::new();
    if !maps.is_empty() {
        kernels.push(map(nodes, &domain, &code, &loads, &maps));
    }
    for (reduced, stores) in sums {
        kernels.push(sum(nodes, &domain, &code, &loads, (&reduced, &stores)));
    }
    let too_many = |kernel: &Kernel| 8 * kernel.source.pointers + 4 * kernel.source.numbers > MOST_ARGUMENTS;
    if kernels.iter().any(too_many) {
        return Err(Error::Inconsistent("a kernel with too many arguments".to_owned()));
    }
    Ok(kernels)
}

/// Adds up what the threads of some sums have found. Addresses: for each the partial sums [chunks, kept] and the sums;
/// numbers: kept, chunks.
pub(crate) fn finish(sums: usize) -> Source {
    let mut body = "  const unsigned kept = p.n[0], chunks = p.n[1];\n".to_owned();
    for at in 0..sums {
        let (from, to) = (2 * at, 2 * at + 1);
        let _ = writeln!(
            body,
            "  {{\n    const real *x = (const real *)p.p[{from}];\n    real total = 0;\n    \
             for (unsigned c = 0; c < chunks; c++) total += x[c * kept + i];\n    ((real *)p.p[{to}])[i] = total;\n  }}"
        );
    }
    Source { body, pointers: 2 * sums, numbers: 2 }
}

/// The code of a unit in the making.
struct Writer<'n, 'a> {
    nodes: &'n Nodes<'a>,
    members: &'n [usize],
    domain: Vec<usize>,
    code: Vec<Instr>,
    loads: Vec<Load>,
    /// By member: the instruction that has its value.
    values: BTreeMap<usize, usize>,
    /// Nodes that are written as they are, with their instructions.
    maps: Vec<(usize, usize)>,
    /// By axes that are summed over: node, instruction, and what the sum is multiplied by.
    sums: BTreeMap<Vec<usize>, Vec<(usize, usize, f64)>>,
}

impl<'n, 'a> Writer<'n, 'a> {
    fn new(nodes: &'n Nodes<'a>, members: &'n [usize]) -> Self {
        let domain = members.first().map(|&first| nodes.domain(first)).unwrap_or_default();
        let (code, loads, values) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { nodes, members, domain, code, loads, values, maps: Vec::new(), sums: BTreeMap::new() }
    }

    fn push(&mut self, instr: Instr) -> usize {
        match self.code.iter().position(|known| *known == instr) {
            Some(at) => at,
            None => {
                self.code.push(instr);
                self.code.len() - 1
            }
        }
    }

    /// The value of an argument of a node of this shape.
    fn read(&mut self, arg: usize, shape: &[usize]) -> Result<usize> {
        if let Role::Number(value) = self.nodes.roles[arg] {
            return Ok(self.push(Instr::Const(value)));
        }
        let root = self.nodes.root(arg);
        if self.members.contains(&root) {
            return self.values.get(&root).copied().ok_or_else(|| Error::missing("a kernel's value"));
        }
        let load = Load { node: arg, shape: shape.to_vec() };
        let at = match self.loads.iter().position(|known| *known == load) {
            Some(at) => at,
            None => {
                self.loads.push(load);
                self.loads.len() - 1
            }
        };
        Ok(self.push(Instr::Load(at)))
    }

    fn member(&mut self, at: usize, stored: &[bool]) -> Result<()> {
        let nodes = self.nodes;
        let node = nodes.node(at);
        if let Op::Reduce { op, dims, .. } = &node.op {
            let arg = nodes.args(at).next().ok_or_else(|| Error::missing("a sum's argument"))?;
            let shape = &nodes.shapes[arg];
            let value = self.read(arg, shape)?;
            let count: usize = dims.iter().map(|&dim| shape[dim]).product();
            let scale = if *op == ReduceOp::Mean { 1.0 / count as f64 } else { 1.0 };
            // Axes of the domain, which has none of size 1.
            let kept = (0..shape.len()).filter(|&dim| shape[dim] != 1);
            let reduced = kept.enumerate().filter(|(_, dim)| dims.contains(dim)).map(|(axis, _)| axis).collect();
            self.sums.entry(reduced).or_default().push((at, value, scale));
            return Ok(());
        }
        let shape = &nodes.shapes[at];
        let args = nodes.args(at).map(|arg| self.read(arg, shape)).collect::<Result<Vec<_>>>()?;
        let value = match crate::plan::instruction(node, &args) {
            Some(Made::Instr(instr)) => self.push(instr),
            Some(Made::Same(value)) => value,
            None => return Err(Error::missing("a kernel's operation")),
        };
        self.values.insert(at, value);
        if stored[at] {
            self.maps.push((at, value));
        }
        Ok(())
    }
}

/// Lines that compute what `wanted` needs, and which loads these read, in the order of their new numbers.
fn lines(nodes: &Nodes<'_>, code: &[Instr], loads: &[Load], axes: usize, wanted: &[usize]) -> (String, Vec<Load>) {
    let mut needed = vec![false; code.len()];
    wanted.iter().for_each(|&at| needed[at] = true);
    for at in (0..code.len()).rev() {
        if needed[at] {
            let args: &[usize] = match &code[at] {
                Instr::Load(_) | Instr::Const(_) => &[],
                Instr::Unary(_, x) | Instr::Bool(x) => &[*x],
                Instr::Binary(_, x, y) => &[*x, *y],
                Instr::Where(c, x, y) => &[*c, *x, *y],
            };
            args.iter().for_each(|&arg| needed[arg] = true);
        }
    }
    let (mut text, mut used): (String, Vec<Load>) = (String::new(), Vec::new());
    for (at, instr) in code.iter().enumerate().filter(|(at, _)| needed[*at]) {
        let value = match *instr {
            Instr::Load(load) => {
                let number = used.len();
                used.push(loads[load].clone());
                let place = (0..axes).map(|axis| format!("a{axis} * p.n[{}]", axes + number * axes + axis));
                let place = place.collect::<Vec<_>>().join(" + ");
                let place = if place.is_empty() { "0".to_owned() } else { place };
                match nodes.node(loads[load].node).dtype {
                    DType::Bool => format!("(real)(((const unsigned char *)p.p[{number}])[{place}] != 0)"),
                    _ => format!("((const real *)p.p[{number}])[{place}]"),
                }
            }
            Instr::Const(value) => constant(value),
            Instr::Unary(op, x) => unary(op, &format!("v{x}")),
            Instr::Binary(op, x, y) => binary(op, &format!("v{x}"), &format!("v{y}")),
            Instr::Where(c, x, y) => format!("v{c} != 0 ? v{x} : v{y}"),
            Instr::Bool(x) => format!("(real)(v{x} != 0)"),
        };
        let _ = writeln!(text, "  const real v{at} = {value};");
    }
    (text, used)
}

/// Lines that take an index apart into the places along some axes, the last one fastest.
fn places(axes: &[usize], index: &str) -> String {
    let mut text = format!("  unsigned r{index} = {index};\n");
    for (at, axis) in axes.iter().enumerate().rev() {
        if at == 0 {
            let _ = writeln!(text, "  const unsigned a{axis} = r{index};");
        } else {
            let _ = writeln!(text, "  const unsigned a{axis} = r{index} % p.n[{axis}]; r{index} /= p.n[{axis}];");
        }
    }
    text
}

fn map(nodes: &Nodes<'_>, domain: &[usize], code: &[Instr], loads: &[Load], maps: &[(usize, usize)]) -> Kernel {
    let axes = domain.len();
    let wanted: Vec<usize> = maps.iter().map(|(_, value)| *value).collect();
    let (lines, loads) = lines(nodes, code, loads, axes, &wanted);
    let mut body = places(&(0..axes).collect::<Vec<_>>(), "i");
    body.push_str(&lines);
    // Values are written without gaps, in the order of the index.
    for (number, (at, value)) in maps.iter().enumerate() {
        let place = loads.len() + number;
        let _ = match nodes.node(*at).dtype {
            DType::Bool => writeln!(body, "  ((unsigned char *)p.p[{place}])[i] = v{value} != 0;"),
            _ => writeln!(body, "  ((real *)p.p[{place}])[i] = v{value};"),
        };
    }
    let source = Source { body, pointers: loads.len() + maps.len(), numbers: axes * (1 + loads.len()) };
    Kernel { source, loads, stores: maps.iter().map(|(at, _)| *at).collect(), domain: domain.to_vec(), sum: None }
}

type Sums = [(usize, usize, f64)];

fn sum(
    nodes: &Nodes<'_>,
    domain: &[usize],
    code: &[Instr],
    loads: &[Load],
    (reduced, sums): (&[usize], &Sums),
) -> Kernel {
    let axes = domain.len();
    let kept: Vec<usize> = (0..axes).filter(|axis| !reduced.contains(axis)).collect();
    let wanted: Vec<usize> = sums.iter().map(|(_, value, _)| *value).collect();
    let (lines, loads) = lines(nodes, code, loads, axes, &wanted);
    let first = axes * (1 + loads.len());
    let size = |axes: &[usize]| axes.iter().map(|&axis| domain[axis]).product::<usize>();
    let (count, length) = (size(&kept), size(reduced));
    let chunks = (BUSY / count.max(1)).clamp(1, (length / TERMS).max(1));
    // Neighbouring threads read neighbouring elements: of one sum where the last axis is summed over, else of several.
    let along = reduced.last().is_some_and(|&last| last + 1 == axes);
    let mut body =
        format!("  const unsigned kept = p.n[{first}], chunks = p.n[{}], length = p.n[{}];\n", first + 1, first + 2);
    let (sum, chunk) = if along { ("i / chunks", "i % chunks") } else { ("i % kept", "i / kept") };
    let _ = writeln!(body, "  const unsigned o = {sum}, c = {chunk};");
    body.push_str(&places(&kept, "o"));
    for at in 0..sums.len() {
        let _ = writeln!(body, "  real t{at} = 0;");
    }
    if along {
        body.push_str("  for (unsigned k = c; k < length; k += chunks) {\n");
    } else {
        body.push_str("  const unsigned part = (length + chunks - 1) / chunks;\n");
        body.push_str("  const unsigned end = (c + 1) * part < length ? (c + 1) * part : length;\n");
        body.push_str("  for (unsigned k = c * part; k < end; k++) {\n");
    }
    body.push_str(&places(reduced, "k"));
    body.push_str(&lines);
    for (at, (_, value, _)) in sums.iter().enumerate() {
        let _ = writeln!(body, "  t{at} += v{value};");
    }
    body.push_str("  }\n");
    for (at, (_, _, scale)) in sums.iter().enumerate() {
        // A mean's divisor is a size, and so no part of the text.
        let _ = match scale {
            1.0 => writeln!(body, "  ((real *)p.p[{}])[c * kept + o] = t{at};", loads.len() + at),
            _ => writeln!(body, "  ((real *)p.p[{}])[c * kept + o] = t{at} / (real)length;", loads.len() + at),
        };
    }
    let source = Source { body, pointers: loads.len() + sums.len(), numbers: first + 3 };
    let stores = sums.iter().map(|(at, _, _)| *at).collect();
    let sum = Some(Sum { kept: count, length, chunks });
    Kernel { source, loads, stores, domain: domain.to_vec(), sum }
}

/// A number as it is, to the bit.
fn constant(value: f64) -> String {
    match value {
        value if value.is_nan() => "(real)NAN".to_owned(),
        f64::INFINITY => "(real)INFINITY".to_owned(),
        f64::NEG_INFINITY => "(real)-INFINITY".to_owned(),
        value => format!("(real){value:e}"),
    }
}

fn unary(op: UnaryOp, x: &str) -> String {
    let number = constant;
    let elu = |alpha: f64, width: f64, scale: f64| {
        let (alpha, width, scale) = (number(alpha), number(width), number(scale));
        format!("{scale} * ({x} > 0 ? {x} : {alpha} * expm1({x} / {width}))")
    };
    let sigmoid = format!("(1 / (1 + exp(-{x})))");
    match op {
        UnaryOp::Neg => format!("-{x}"),
        UnaryOp::Abs => format!("fabs({x})"),
        UnaryOp::Sign => format!("(real)(({x} > 0) - ({x} < 0))"),
        UnaryOp::Relu => format!("{x} <= 0 ? (real)0 : {x}"),
        UnaryOp::Sigmoid => sigmoid,
        UnaryOp::LogSigmoid => format!("({x} < 0 ? {x} : (real)0) - log1p(exp(-fabs({x})))"),
        UnaryOp::Tanh => format!("tanh({x})"),
        UnaryOp::Exp => format!("exp({x})"),
        UnaryOp::Expm1 => format!("expm1({x})"),
        UnaryOp::Log => format!("log({x})"),
        UnaryOp::Log2 => format!("log2({x})"),
        UnaryOp::Log10 => format!("log10({x})"),
        UnaryOp::Log1p => format!("log1p({x})"),
        UnaryOp::Sqrt => format!("sqrt({x})"),
        UnaryOp::Rsqrt => format!("1 / sqrt({x})"),
        UnaryOp::Square => format!("{x} * {x}"),
        UnaryOp::Reciprocal => format!("1 / {x}"),
        UnaryOp::Sin => format!("sin({x})"),
        UnaryOp::Cos => format!("cos({x})"),
        UnaryOp::Tan => format!("tan({x})"),
        UnaryOp::Atan => format!("atan({x})"),
        UnaryOp::Sinh => format!("sinh({x})"),
        UnaryOp::Cosh => format!("cosh({x})"),
        UnaryOp::Erf => format!("erf({x})"),
        UnaryOp::Erfc => format!("erfc({x})"),
        UnaryOp::Floor => format!("floor({x})"),
        UnaryOp::Ceil => format!("ceil({x})"),
        UnaryOp::Round => format!("rint({x})"),
        UnaryOp::Trunc => format!("trunc({x})"),
        UnaryOp::Bfloat16 => format!("bfloat16({x})"),
        // With the complement, which keeps its digits where it is small.
        UnaryOp::Gelu { tanh: false } => {
            format!("(real)0.5 * {x} * erfc(-{x} * (real){:e})", std::f64::consts::FRAC_1_SQRT_2)
        }
        // (1 + tanh u) / 2 is the sigmoid of 2 u.
        UnaryOp::Gelu { tanh: true } => {
            let scale = number(2.0 * (2.0 / std::f64::consts::PI).sqrt());
            format!("{x} / (1 + exp(-{scale} * ({x} + (real)0.044715 * {x} * {x} * {x})))")
        }
        UnaryOp::Silu => format!("{x} / (1 + exp(-{x}))"),
        UnaryOp::Mish => format!("{x} * tanh(({x} > 0 ? {x} : (real)0) + log1p(exp(-fabs({x}))))"),
        UnaryOp::Selu => elu(1.673_263_242_354_377_2, 1.0, 1.050_700_987_355_480_5),
        UnaryOp::Elu { alpha } => elu(alpha, 1.0, 1.0),
        UnaryOp::Celu { alpha } => elu(alpha, alpha, 1.0),
        UnaryOp::LeakyRelu { slope } => format!("{x} > 0 ? {x} : {x} * {}", number(slope)),
        UnaryOp::Softplus { beta, threshold } => {
            let (beta, threshold) = (number(beta), number(threshold));
            format!("{x} * {beta} > {threshold} ? {x} : log1p(exp({x} * {beta})) / {beta}")
        }
        UnaryOp::Softsign => format!("{x} / (1 + fabs({x}))"),
        UnaryOp::Hardsigmoid => format!("between({x} + 3, 0, 6) / 6"),
        UnaryOp::Hardswish => format!("{x} * between({x} + 3, 0, 6) / 6"),
        UnaryOp::Hardtanh { min, max } | UnaryOp::Clamp { min, max } => {
            format!("between({x}, {}, {})", number(min), number(max))
        }
        UnaryOp::LogicalNot => format!("(real)({x} == 0)"),
        UnaryOp::IsNan => format!("(real)({x} != {x})"),
        UnaryOp::IsInf => format!("(real)(fabs({x}) == (real)INFINITY)"),
        UnaryOp::IsFinite => format!("(real)(fabs({x}) < (real)INFINITY)"),
    }
}

fn binary(op: BinaryOp, x: &str, y: &str) -> String {
    let bits = |sign: &str| format!("(real)((long long){x} {sign} (long long){y})");
    match op {
        BinaryOp::Add => format!("{x} + {y}"),
        BinaryOp::Sub => format!("{x} - {y}"),
        BinaryOp::Mul => format!("{x} * {y}"),
        BinaryOp::Div => format!("{x} / {y}"),
        // The first where it is not a number; of two that are equal, it does not matter which.
        BinaryOp::Maximum => format!("({x} != {x} || {x} > {y}) ? {x} : {y}"),
        BinaryOp::Minimum => format!("({x} != {x} || {x} < {y}) ? {x} : {y}"),
        BinaryOp::Pow => format!("pow({x}, {y})"),
        BinaryOp::Atan2 => format!("atan2({x}, {y})"),
        BinaryOp::Eq => format!("(real)({x} == {y})"),
        BinaryOp::Ne => format!("(real)({x} != {y})"),
        BinaryOp::Lt => format!("(real)({x} < {y})"),
        BinaryOp::Le => format!("(real)({x} <= {y})"),
        BinaryOp::Gt => format!("(real)({x} > {y})"),
        BinaryOp::Ge => format!("(real)({x} >= {y})"),
        BinaryOp::And => bits("&"),
        BinaryOp::Or => bits("|"),
        BinaryOp::Xor => bits("^"),
        // No part of a loop: see `shapes::is_element_wise`.
        BinaryOp::FloorDiv => format!("floor({x} / {y})"),
        BinaryOp::Remainder => format!("{x} - floor({x} / {y}) * {y}"),
    }
}
