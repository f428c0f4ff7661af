//! One operation as a Python expression, with the meaning that it has for the executor (`executor::ops`).

use graph::{BinaryOp, DType, Dim, Node, Op, ReduceOp, Shape, UnaryOp};

use crate::error::{ExportError, Result};
use crate::text::{
    AND, ATOM, COMPARISON, Expr, Literal, OR, POWER, PRODUCT, SUM, UNARY, XOR, axes, list, number, shape, size, sizes,
};

/// An argument of an operation.
#[derive(Clone, Debug)]
pub(crate) struct Arg<'a> {
    pub expr: Expr,
    pub shape: &'a Shape,
    pub dtype: DType,
}

impl Arg<'_> {
    fn is_literal(&self) -> bool {
        self.expr.literal.is_some()
    }

    /// A tensor: what is only a number becomes one.
    fn tensor(&self) -> Expr {
        match &self.expr.literal {
            Some(value) => of_number(value, self.dtype),
            None => self.expr.clone(),
        }
    }

    /// A tensor of this type.
    fn cast(&self, dtype: DType) -> Expr {
        match &self.expr.literal {
            Some(value) => of_number(value, dtype),
            None if self.dtype == dtype => self.expr.clone(),
            None => cast(&self.expr, dtype),
        }
    }

    /// A tensor of this type, or a number of it.
    fn cast_or_number(&self, dtype: DType) -> Expr {
        match &self.expr.literal {
            Some(Literal::Value(value)) => literal(*value, dtype),
            Some(Literal::Size(_)) if dtype != DType::Bool => self.expr.clone(),
            _ => self.cast(dtype),
        }
    }
}

/// A number of Python's own.
pub(crate) fn literal(value: f64, dtype: DType) -> Expr {
    let negative = value.is_sign_negative() && dtype != DType::Bool && value.is_finite();
    let binds = if negative { UNARY } else { ATOM };
    Expr { text: number(value, dtype), binds, literal: Some(Literal::Value(value)) }
}

fn cast(x: &Expr, dtype: DType) -> Expr {
    x.method(match dtype {
        DType::Float => "to(floats[\"dtype\"])",
        DType::Int => "long()",
        DType::Bool => "bool()",
    })
}

/// Keywords that say what a new tensor is made of.
fn made_of(dtype: DType) -> &'static str {
    match dtype {
        DType::Float => "**floats",
        DType::Int => "dtype=torch.int64, device=device",
        DType::Bool => "dtype=torch.bool, device=device",
    }
}

fn filled(of: &Shape, value: f64, dtype: DType) -> Expr {
    let (place, like) = (shape(of), made_of(dtype));
    Expr::atom(match (dtype, value) {
        (DType::Float, 0.0) => format!("torch.zeros({place}, {like})"),
        (DType::Float, 1.0) => format!("torch.ones({place}, {like})"),
        _ => format!("torch.full({place}, {}, {like})", number(value, dtype)),
    })
}

/// A tensor of no axes.
fn of_number(value: &Literal, dtype: DType) -> Expr {
    match value {
        Literal::Value(value) => filled(&Vec::new(), *value, dtype),
        Literal::Size(dim) => Expr::atom(format!("torch.full((), {}, {})", size(dim), made_of(dtype))),
    }
}

fn call(name: &str, args: &[&Expr], more: &str) -> Expr {
    let args: Vec<&str> = args.iter().map(|arg| arg.text.as_str()).collect();
    let comma = if more.is_empty() { "" } else { ", " };
    Expr::atom(format!("{name}({}{comma}{more})", args.join(", ")))
}

/// The operation's value. Parameters and inputs are not made here, nor layers.
pub(crate) fn expression(node: &Node, args: &[Arg<'_>]) -> Result<Expr> {
    let dtype = node.dtype;
    Ok(match (&node.op, args) {
        (Op::Scalar(value), []) => literal(*value, dtype),
        (Op::Size(dim), []) => of_size(dim, dtype),
        (Op::Full(value), []) => filled(&node.shape, *value, dtype),
        (Op::Const(values), []) => {
            let text = format!("torch.tensor({}, {})", list(values, dtype), made_of(dtype));
            Expr::atom(text).method(&format!("reshape({})", shape(&node.shape)))
        }
        (Op::Arange { start, step }, []) => arange(node, *start, *step),
        (Op::Eye, []) => Expr::atom(format!("torch.eye({}, {})", sizes(&node.shape), made_of(dtype))),

        (Op::Unary(op), [x]) => unary(*op, x, dtype),
        (Op::Binary(op), [x, y]) => binary(*op, x, y, dtype),
        (Op::Where, [c, x, y]) => {
            // One of the two must be a tensor.
            let first = if y.is_literal() { x.cast(dtype) } else { x.cast_or_number(dtype) };
            let (x, y) = (first, y.cast_or_number(dtype));
            call("torch.where", &[&c.cast(DType::Bool), &x, &y], "")
        }
        (Op::Cast, [x]) => x.cast(dtype),
        (Op::Detach, [x]) => x.tensor().method("detach()"),

        (Op::Reduce { op, dims, keepdim }, [x]) => reduce(*op, x, dims, *keepdim, node),
        (Op::Softmax { dim }, [x]) => call("torch.softmax", &[&x.cast(DType::Float)], &format!("dim={dim}")),
        (Op::LogSoftmax { dim }, [x]) => call("torch.log_softmax", &[&x.cast(DType::Float)], &format!("dim={dim}")),
        (Op::LayerNorm { axes, eps, weighted, biased }, [x, rest @ ..]) => {
            let tail = node.shape.get(node.shape.len().saturating_sub(*axes)..).unwrap_or_default();
            let mut more = shape(tail);
            let mut rest = rest.iter();
            for (there, name) in [(weighted, "weight"), (biased, "bias")] {
                if *there {
                    let arg = rest.next().ok_or_else(|| misfit(node))?;
                    more.push_str(&format!(", {name}={}", arg.tensor().text));
                }
            }
            more.push_str(&format!(", eps={eps:?}"));
            call("F.layer_norm", &[&x.tensor()], &more)
        }
        (Op::CumSum { dim }, [x]) => x.tensor().method(&format!("cumsum({dim})")),
        (Op::CumProd { dim }, [x]) => x.tensor().method(&format!("cumprod({dim})")),
        (Op::TopK { k, dim, largest }, [x]) => {
            x.tensor().method(&format!("topk({})", top(k, *dim, *largest))).method("values")
        }
        (Op::TopKIndices { k, dim, largest }, [x]) => {
            x.tensor().method(&format!("topk({})", top(k, *dim, *largest))).method("indices")
        }
        (Op::Sort { dim, descending }, [x]) => sorted(x, *dim, *descending).method("values"),
        (Op::ArgSort { dim, descending }, [x]) => sorted(x, *dim, *descending).method("indices"),

        (Op::Reshape, [x]) => reshaped(&x.tensor(), x.shape, &node.shape),
        (Op::Permute(perm), [x]) => permuted(&x.tensor(), perm),
        (Op::Expand, [x]) => x.tensor().method(&format!("expand({})", shape(&node.shape))),
        (Op::Slice { dim, start, end, step }, [x]) => {
            let first = if start.as_known() == Some(0) { String::new() } else { size(start) };
            let last = if x.shape.get(*dim) == Some(end) { String::new() } else { size(end) };
            let step = if *step == 1 { String::new() } else { format!(":{step}") };
            indexed(&x.tensor(), *dim, &format!("{first}:{last}{step}"))
        }
        (Op::Select { dim, index }, [x]) => indexed(&x.tensor(), *dim, &size(index)),
        (Op::Cat { dim }, [_, ..]) => {
            let parts: Vec<String> = args.iter().map(|x| x.cast(dtype).text).collect();
            Expr::atom(format!("torch.cat([{}], dim={dim})", parts.join(", ")))
        }
        (Op::Flip { dims }, [x]) => x.tensor().method(&format!("flip({})", axes(dims))),
        (Op::Roll { shift, dim }, [x]) => x.tensor().method(&format!("roll({shift}, {dim})")),
        (Op::Gather { dim }, [x, index]) => x.tensor().method(&format!("gather({dim}, {})", index.tensor().text)),
        (Op::Scatter { dim }, [x, index, src]) => {
            x.tensor().method(&format!("scatter({dim}, {}, {})", index.tensor().text, src.cast(x.dtype).text))
        }
        (Op::ScatterAdd { dim }, [x, index, src]) => {
            x.tensor().method(&format!("scatter_add({dim}, {}, {})", index.tensor().text, src.cast(x.dtype).text))
        }
        (Op::IndexSelect { dim }, [x, index]) => match index.shape.len() {
            1 => x.tensor().method(&format!("index_select({dim}, {})", index.tensor().text)),
            _ => {
                let flat = index.tensor().method("reshape(-1)");
                let found = x.tensor().method(&format!("index_select({dim}, {})", flat.text));
                found.method(&format!("reshape({})", shape(&node.shape)))
            }
        },
        (Op::OneHot { classes }, [index]) => {
            let index = index.cast(DType::Int).method("unsqueeze(-1)");
            let places = Expr::atom(format!("torch.arange({classes}, device=device)"));
            cast(&index.operator("==", &places, COMPARISON), dtype)
        }
        (Op::Tril { diagonal }, [x]) => x.tensor().method(&format!("tril({diagonal})")),
        (Op::Triu { diagonal }, [x]) => x.tensor().method(&format!("triu({diagonal})")),
        (Op::Diagonal { offset, dim1, dim2 }, [x]) => x.tensor().method(&format!("diagonal({offset}, {dim1}, {dim2})")),

        (Op::Linear { .. }, [x, rest @ ..]) => {
            let rest: Vec<Expr> = rest.iter().map(Arg::tensor).collect();
            let x = x.tensor();
            let all: Vec<&Expr> = std::iter::once(&x).chain(&rest).collect();
            call("F.linear", &all, "")
        }
        (Op::MatMul, [x, y]) => call("torch.matmul", &[&x.tensor(), &y.tensor()], ""),
        (Op::Einsum(equation), [_, ..]) => {
            // It is normalised; that nothing else can be in it is what the brackets around it rest on.
            if !equation.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, ',' | '-' | '>')) {
                let reason = "its equation has other characters than letters".to_owned();
                return Err(ExportError::Op { op: node.op.name(), reason });
            }
            let parts: Vec<Expr> = args.iter().map(Arg::tensor).collect();
            let parts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
            Expr::atom(format!("torch.einsum(\"{equation}\", {})", parts.join(", ")))
        }
        (Op::MaxPlus { minimum, .. }, [a, c]) => {
            let sum = a.tensor().method("unsqueeze(3)").operator("+", &c.tensor().method("unsqueeze(2)"), SUM);
            sum.method(if *minimum { "amin(1)" } else { "amax(1)" })
        }
        _ => return Err(misfit(node)),
    })
}

fn misfit(node: &Node) -> ExportError {
    let reason = format!("with {} arguments it is no operation of a network", node.args.len());
    ExportError::Op { op: node.op.name(), reason }
}

/// A size as a number.
fn of_size(dim: &Dim, dtype: DType) -> Expr {
    match dim.as_known() {
        Some(value) => literal(value as f64, dtype),
        None => {
            let text = size(dim);
            let binds = if text.len() == 1 { ATOM } else { 0 };
            Expr { text, binds, literal: Some(Literal::Size(dim.clone())) }
        }
    }
}

fn arange(node: &Node, start: f64, step: f64) -> Expr {
    let length = sizes(&node.shape);
    match node.dtype {
        DType::Float if (start, step) == (0.0, 1.0) => {
            Expr::atom(format!("torch.arange({length}, {})", made_of(DType::Float)))
        }
        // Counted in float64, as the numbers are rounded once only.
        DType::Float => {
            let count = Expr::atom(format!("torch.arange({length}, dtype=torch.float64, device=device)"));
            let scaled = count.operator("*", &literal(step, DType::Float), PRODUCT);
            cast(&scaled.operator("+", &literal(start, DType::Float), SUM), DType::Float)
        }
        dtype => {
            let mut count = Expr::atom(format!("torch.arange({length}, device=device)"));
            if step != 1.0 {
                count = count.operator("*", &literal(step, DType::Int), PRODUCT);
            }
            if start != 0.0 {
                count = count.operator("+", &literal(start, DType::Int), SUM);
            }
            if dtype == DType::Bool { cast(&count, dtype) } else { count }
        }
    }
}

fn top(k: &Dim, dim: usize, largest: bool) -> String {
    format!("{}, dim={dim}{}", size(k), if largest { "" } else { ", largest=False" })
}

fn sorted(x: &Arg<'_>, dim: usize, descending: bool) -> Expr {
    let order = if descending { ", descending=True" } else { "" };
    x.tensor().method(&format!("sort(stable=True, dim={dim}{order})"))
}

fn permuted(x: &Expr, perm: &[usize]) -> Expr {
    let moved: Vec<usize> = (0..perm.len()).filter(|axis| perm.get(*axis) != Some(axis)).collect();
    match moved.as_slice() {
        [] => x.clone(),
        [one, two] => x.method(&format!("transpose({one}, {two})")),
        _ => x.method(&format!("permute{}", axes(perm))),
    }
}

/// An index along one axis.
fn indexed(x: &Expr, dim: usize, index: &str) -> Expr {
    Expr::atom(format!("{}[{}{index}]", x.within(ATOM), ":, ".repeat(dim)))
}

/// The same elements in another shape: by new axes or axes of size 1 that go, where that is all there is to it.
pub(crate) fn reshaped(x: &Expr, from: &Shape, to: &Shape) -> Expr {
    if from == to {
        return x.clone();
    }
    if let Some(index) = new_axes(from, to) {
        return Expr::atom(format!("{}[{}]", x.within(ATOM), index.join(", ")));
    }
    if new_axes(to, from).is_some() {
        let mut kept = to.iter().peekable();
        let mut gone = Vec::new();
        for (axis, size) in from.iter().enumerate() {
            if kept.peek() == Some(&size) {
                kept.next();
            } else {
                gone.push(axis);
            }
        }
        return x.method(&format!("squeeze({})", axes(&gone)));
    }
    x.method(&format!("reshape({})", shape(to)))
}

/// An index that makes `to` of `from` with new axes of size 1 alone.
pub(crate) fn new_axes(from: &Shape, to: &Shape) -> Option<Vec<&'static str>> {
    let mut old = from.iter().peekable();
    let mut index = Vec::new();
    for size in to {
        if old.peek() == Some(&size) {
            old.next();
            index.push(":");
        } else if size.is_known_one() {
            index.push("None");
        } else {
            return None;
        }
    }
    old.peek().is_none().then_some(index)
}

fn unary(op: UnaryOp, x: &Arg<'_>, dtype: DType) -> Expr {
    // PyTorch would take its default type for functions of whole numbers.
    let x = match (dtype, op) {
        (DType::Float, _) => x.cast(DType::Float),
        (_, UnaryOp::LogicalNot | UnaryOp::IsNan | UnaryOp::IsInf | UnaryOp::IsFinite) => x.tensor(),
        _ => x.cast(if x.dtype == DType::Bool { dtype } else { x.dtype }),
    };
    let f = |name: &str| call(name, &[&x], "");
    let with = |name: &str, more: String| call(name, &[&x], &more);
    match op {
        UnaryOp::Neg => Expr::new(format!("-{}", x.within(POWER)), UNARY),
        UnaryOp::Abs => f("torch.abs"),
        UnaryOp::Sign => f("torch.sign"),
        UnaryOp::Relu => f("F.relu"),
        UnaryOp::Sigmoid => f("torch.sigmoid"),
        UnaryOp::LogSigmoid => f("F.logsigmoid"),
        UnaryOp::Tanh => f("torch.tanh"),
        UnaryOp::Exp => f("torch.exp"),
        UnaryOp::Expm1 => f("torch.expm1"),
        UnaryOp::Log => f("torch.log"),
        UnaryOp::Log2 => f("torch.log2"),
        UnaryOp::Log10 => f("torch.log10"),
        UnaryOp::Log1p => f("torch.log1p"),
        UnaryOp::Sqrt => f("torch.sqrt"),
        UnaryOp::Rsqrt => f("torch.rsqrt"),
        UnaryOp::Square => f("torch.square"),
        UnaryOp::Reciprocal => f("torch.reciprocal"),
        UnaryOp::Sin => f("torch.sin"),
        UnaryOp::Cos => f("torch.cos"),
        UnaryOp::Tan => f("torch.tan"),
        UnaryOp::Atan => f("torch.atan"),
        UnaryOp::Sinh => f("torch.sinh"),
        UnaryOp::Cosh => f("torch.cosh"),
        UnaryOp::Erf => f("torch.erf"),
        UnaryOp::Erfc => f("torch.erfc"),
        UnaryOp::Floor => f("torch.floor"),
        UnaryOp::Ceil => f("torch.ceil"),
        UnaryOp::Round => f("torch.round"),
        UnaryOp::Trunc => f("torch.trunc"),
        UnaryOp::Bfloat16 => Expr::atom(format!("{}.bfloat16().float()", x.within(ATOM))),
        UnaryOp::Gelu { tanh: false } => f("F.gelu"),
        UnaryOp::Gelu { tanh: true } => with("F.gelu", "approximate=\"tanh\"".to_owned()),
        UnaryOp::Silu => f("F.silu"),
        UnaryOp::Mish => f("F.mish"),
        UnaryOp::Selu => f("F.selu"),
        UnaryOp::Elu { alpha } => with("F.elu", format!("alpha={alpha:?}")),
        UnaryOp::Celu { alpha } => with("F.celu", format!("alpha={alpha:?}")),
        UnaryOp::LeakyRelu { slope } => with("F.leaky_relu", format!("negative_slope={slope:?}")),
        UnaryOp::Softplus { beta, threshold } => with("F.softplus", format!("beta={beta:?}, threshold={threshold:?}")),
        UnaryOp::Softsign => f("F.softsign"),
        UnaryOp::Hardsigmoid => f("F.hardsigmoid"),
        UnaryOp::Hardswish => f("F.hardswish"),
        UnaryOp::Hardtanh { min, max } => {
            with("F.hardtanh", format!("min_val={}, max_val={}", number(min, DType::Float), number(max, DType::Float)))
        }
        UnaryOp::Clamp { min, max } => {
            let bound = |name: &str, value: f64| value.is_finite().then(|| format!("{name}={}", number(value, dtype)));
            let bounds: Vec<String> = [bound("min", min), bound("max", max)].into_iter().flatten().collect();
            if bounds.is_empty() { x.clone() } else { with("torch.clamp", bounds.join(", ")) }
        }
        UnaryOp::LogicalNot => f("torch.logical_not"),
        UnaryOp::IsNan => f("torch.isnan"),
        UnaryOp::IsInf => f("torch.isinf"),
        UnaryOp::IsFinite => f("torch.isfinite"),
    }
}

fn binary(op: BinaryOp, x: &Arg<'_>, y: &Arg<'_>, dtype: DType) -> Expr {
    let compares =
        matches!(op, BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge);
    // The type in which the operation computes.
    let kind = match compares {
        false => dtype,
        true => x.dtype.max(y.dtype),
    };
    let (called, logical) = match op {
        BinaryOp::Maximum => (Some("torch.maximum"), false),
        BinaryOp::Minimum => (Some("torch.minimum"), false),
        BinaryOp::Atan2 => (Some("torch.atan2"), false),
        BinaryOp::Add if kind == DType::Bool => (Some("torch.logical_or"), true),
        BinaryOp::Mul if kind == DType::Bool => (Some("torch.logical_and"), true),
        _ => (None, false),
    };
    if let Some(name) = called {
        let kind = if logical { DType::Bool } else { kind };
        return call(name, &[&x.cast(kind), &y.cast(kind)], "");
    }
    // One of the two must be a tensor.
    let (left, right) = match x.is_literal() && y.is_literal() {
        true => (x.cast(kind), y.cast_or_number(kind)),
        false => (x.cast_or_number(kind), y.cast_or_number(kind)),
    };
    let (sign, binds) = match op {
        BinaryOp::Add => ("+", SUM),
        BinaryOp::Sub => ("-", SUM),
        BinaryOp::Mul => ("*", PRODUCT),
        BinaryOp::Div => ("/", PRODUCT),
        BinaryOp::FloorDiv => ("//", PRODUCT),
        BinaryOp::Remainder => ("%", PRODUCT),
        BinaryOp::Pow => {
            // Powers group to the right, and a sign before one is applied after it.
            return Expr::new(format!("{}**{}", left.within(ATOM), right.within(ATOM)), POWER);
        }
        BinaryOp::Eq => ("==", COMPARISON),
        BinaryOp::Ne => ("!=", COMPARISON),
        BinaryOp::Lt => ("<", COMPARISON),
        BinaryOp::Le => ("<=", COMPARISON),
        BinaryOp::Gt => (">", COMPARISON),
        BinaryOp::Ge => (">=", COMPARISON),
        BinaryOp::And => ("&", AND),
        BinaryOp::Xor => ("^", XOR),
        BinaryOp::Or | BinaryOp::Maximum | BinaryOp::Minimum | BinaryOp::Atan2 => ("|", OR),
    };
    left.operator(sign, &right, binds)
}

fn reduce(op: ReduceOp, x: &Arg<'_>, dims: &[usize], keepdim: bool, node: &Node) -> Expr {
    let keep = if keepdim { ", keepdim=True" } else { "" };
    let all = axes(dims);
    let plain = |x: &Expr, name: &str| x.method(&format!("{name}({all}{keep})"));
    // Some reductions take one axis: several in turn, from the last, so that the earlier axes keep their numbers.
    let in_turn = |x: Expr, step: &dyn Fn(&Expr, usize) -> Expr| {
        let mut sorted = dims.to_vec();
        sorted.sort_unstable();
        sorted.iter().rev().fold(x, |value, dim| step(&value, *dim))
    };
    let tensor = x.tensor();
    let float = x.cast(DType::Float);
    match op {
        ReduceOp::Sum => plain(&if node.dtype == DType::Float { float } else { tensor }, "sum"),
        ReduceOp::Mean => plain(&float, "mean"),
        ReduceOp::Amax => plain(&tensor, "amax"),
        ReduceOp::Amin => plain(&tensor, "amin"),
        ReduceOp::MaxValues => in_turn(tensor, &|v, d| v.method(&format!("max({d}{keep})")).method("values")),
        ReduceOp::MinValues => in_turn(tensor, &|v, d| v.method(&format!("min({d}{keep})")).method("values")),
        ReduceOp::ArgMax => arg("argmax", x, dims, keep, node),
        ReduceOp::ArgMin => arg("argmin", x, dims, keep, node),
        ReduceOp::Prod => in_turn(tensor, &|v, d| v.method(&format!("prod({d}{keep})"))),
        ReduceOp::Var { correction } => float.method(&format!("var({all}, correction={}{keep})", degrees(correction))),
        ReduceOp::Std { correction } => float.method(&format!("std({all}, correction={}{keep})", degrees(correction))),
        ReduceOp::LogSumExp => plain(&float, "logsumexp"),
        ReduceOp::Norm { p } => {
            let p = number(p, DType::Float);
            call("torch.linalg.vector_norm", &[&float], &format!("{p}, {all}{keep}"))
        }
        ReduceOp::Any => in_turn(tensor, &|v, d| v.method(&format!("any({d}{keep})"))),
        ReduceOp::All => in_turn(tensor, &|v, d| v.method(&format!("all({d}{keep})"))),
        ReduceOp::Median => in_turn(tensor, &|v, d| v.method(&format!("median({d}{keep})")).method("values")),
    }
}

fn degrees(correction: f64) -> String {
    if correction.fract() == 0.0 { format!("{}", correction as i64) } else { format!("{correction:?}") }
}

fn arg(name: &str, x: &Arg<'_>, dims: &[usize], keep: &str, node: &Node) -> Expr {
    // Booleans have no order in PyTorch.
    let x = if x.dtype == DType::Bool { x.cast(DType::Int) } else { x.tensor() };
    match dims {
        [dim] => x.method(&format!("{name}({dim}{keep})")),
        _ => x.method(&format!("{name}()")).method(&format!("reshape({})", shape(&node.shape))),
    }
}
