//! The steps from source text to a processor.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use graph::{DType, Dim, NodeId, Op, ParamId, Processor, Span};

use serde::{Deserialize, Serialize};

use crate::budget::Budgets;
use crate::diagnostic::{Category, Diagnostic, Severity};
use crate::eval::state::Numbers;
use crate::eval::{Data, Interp, Object, Phase, R, Tensor, Value, lost_value, reached_by_gradients};
use crate::regions::{self, Regions};
use crate::syntax::Name;
use crate::{forbidden, parse, warn};

/// How a program is called and what it may cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// H, which is also `out_size`.
    pub hidden: usize,
    pub nb_triplet_fts: usize,
    pub use_ln: bool,
    pub kind: String,
    pub budgets: Budgets,
    /// Whether missing markers are a fault. Off for library processors that nobody edits.
    pub need_regions: bool,
    /// Whether `reveal_shape(x)` is there, for shape specifications.
    pub reveal: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hidden: 128,
            nb_triplet_fts: 8,
            use_ln: true,
            kind: "mpnn".into(),
            budgets: Budgets::default(),
            need_regions: true,
            reveal: false,
        }
    }
}

/// What becomes of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    AcceptWithWarning,
    Reject,
}

impl Verdict {
    /// `accept`, `accept-with-warning`, `reject`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::AcceptWithWarning => "accept-with-warning",
            Self::Reject => "reject",
        }
    }

    /// The verdict that follows from what was found.
    pub fn of(diagnostics: &[Diagnostic]) -> Self {
        match diagnostics.iter().map(|d| d.severity).min() {
            Some(Severity::Error) => Self::Reject,
            Some(Severity::Warning) => Self::AcceptWithWarning,
            None => Self::Accept,
        }
    }
}

/// A program as far as it could be understood.
///
/// `processor` is there if and only if no diagnostic is an error. Its graph is well-typed for every B >= 1 and N >= 2,
/// each tensor of it keeps to the budgets, and its parameters are complete: what runs it meets no surprise.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    pub diagnostics: Vec<Diagnostic>,
    pub processor: Option<Processor>,
    pub regions: Option<Regions>,
    /// Line and text of what `reveal_shape` saw.
    pub revealed: Vec<(u32, String)>,
}

impl Compiled {
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.diagnostics)
    }
}

/// Stack for parsing and evaluation. It is reserved, not used: hostile nesting is bounded well below it.
const STACK: usize = 64 << 20;

/// Understands a program. Never panics, never runs it, and takes bounded time and memory for any input.
pub fn compile(source: &str, options: &Options) -> Compiled {
    let run = || {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| compile_here(source, options)));
        caught.unwrap_or_else(|panic| {
            let d = internal(panic.as_ref());
            Compiled { diagnostics: vec![d], ..Compiled::default() }
        })
    };
    on_big_stack(run)
}

/// A panic of the checker as a diagnostic of the program that caused it, with what the panic says.
fn internal(panic: &(dyn std::any::Any + Send)) -> Diagnostic {
    let cause = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason is given");
    let message = format!("the program could not be understood because of a fault of the checker itself: {cause}");
    Diagnostic::error(Category::Unsupported, "E-INTERNAL", Span::default(), message)
}

thread_local! {
    /// Whether this thread has a large stack.
    static ROOMY: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` where deep recursion has room: here where there is room already, or on a thread of its own, or here where no thread
/// can be had. Whoever calls several functions of this crate about one program does so inside of this: its text is then parsed once.
pub fn on_big_stack<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    if ROOMY.get() {
        return f();
    }
    let f = || {
        ROOMY.set(true);
        f()
    };
    let f = std::sync::Mutex::new(Some(f));
    let run = || f.lock().ok().and_then(|mut f| f.take()).map(|f| f());
    let done = std::thread::scope(|scope| {
        // a limit on address space may refuse the large one
        let spawn = |size| std::thread::Builder::new().stack_size(size).spawn_scoped(scope, run);
        match spawn(STACK).or_else(|_| spawn(STACK / 4)) {
            Ok(handle) => handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => {
                let done = run();
                ROOMY.set(false);
                done
            }
        }
    });
    match done {
        Some(value) => value,
        None => unreachable!("the function is taken once, by the one thread that runs it"),
    }
}

fn compile_here(source: &str, options: &Options) -> Compiled {
    let mut out = Compiled::default();
    let module = match parse::shared(source) {
        Ok(module) => module,
        Err(faults) => {
            out.diagnostics = faults;
            return out;
        }
    };
    let text = forbidden::scan(&module);
    out.diagnostics = text.reaching;
    match regions::find(source) {
        Ok(found) => out.regions = Some(found),
        Err(faults) if options.need_regions => out.diagnostics.extend(faults),
        Err(_) => {}
    }
    if !out.diagnostics.is_empty() {
        return out;
    }
    let (graph, inputs) = Processor::inputs(options.hidden);
    let mut vm = Interp::new(graph, options.budgets.clone(), options.reveal);
    match evaluate(&mut vm, &module, inputs, options) {
        // code that was not evaluated obeys the same rule
        Ok(_) if !text.unknown.is_empty() => out.diagnostics = text.unknown,
        Ok(built) => {
            out.diagnostics.append(&mut vm.warnings);
            out.diagnostics.extend(warn::warnings(&built));
            out.diagnostics.sort_by_key(|d| (d.severity, d.line, d.column));
            out.processor = Some(built.processor);
        }
        Err(d) => out.diagnostics.push(*d),
    }
    out.revealed = std::mem::take(&mut vm.revealed);
    drop(vm);
    out
}

/// A processor, and what warnings are about.
pub struct Built {
    pub processor: Processor,
    /// Where `forward` is defined.
    pub forward: Span,
}

fn evaluate(vm: &mut Interp, module: &crate::syntax::Module, inputs: [NodeId; 5], options: &Options) -> R<Built> {
    vm.load(module)?;
    let factory = find_factory(vm)?;
    let keywords: Vec<(Name, Value)> = vec![
        ("kind".into(), Value::str(&options.kind)),
        ("use_ln".into(), Value::Bool(options.use_ln)),
        ("nb_triplet_fts".into(), Value::Int(i64::try_from(options.nb_triplet_fts).unwrap_or(8))),
        ("nb_heads".into(), Value::None),
    ];
    let accepted = accepted_keywords(&factory, keywords);
    let make = vm.call(&factory, Vec::new(), accepted)?;
    let width = Value::Int(i64::try_from(options.hidden).unwrap_or(i64::MAX));
    let root = match vm.call(&make, vec![width], Vec::new())? {
        Value::Object(o) if o.module.borrow().is_some() => o,
        other => {
            return Err(interface(
                vm,
                "E-INTERFACE-FACTORY",
                format!("the factory must return an nn.Module, not {}", other.type_name()),
            ));
        }
    };
    check_classes(vm)?;
    let forward = forward_span(vm, &root)?;

    // The first call may create layers; the second is what training runs. It gets inputs of its own, so that what the
    // first call left behind in attributes shows.
    vm.phase = Phase::First;
    let first = call(vm, &root, inputs)?;
    let mut numbers = Numbers::default();
    let before = vm.picture(&root, &mut numbers)?;
    vm.phase = Phase::Second;
    vm.asked_mode = None;
    let again = fresh_inputs(vm, inputs);
    let second = call(vm, &root, again)?;
    let returned = vm.returned;
    let (ret, tri) = outputs(vm, &second, options.hidden, returned)?;
    // the first call must have been sound, too
    outputs(vm, &first, options.hidden, returned)?;
    let after = vm.picture(&root, &mut numbers)?;
    if let Some(difference) = before.difference(&after) {
        let span = vm.changed_at(&difference).unwrap_or(forward);
        let what = match difference.slot.as_str() {
            "" => "something".to_string(),
            slot => format!("'{slot}'"),
        };
        return vm.stateful(span, format!("every call of forward changes {what}, so that calls would differ"));
    }
    same_for_all_calls(vm, &root, inputs, (ret, tri), options.hidden, forward)?;
    let processor = finish(vm, &root, ret, tri, again, options.hidden, forward)?;
    Ok(Built { processor, forward })
}

/// Inputs for one more call.
fn fresh_inputs(vm: &mut Interp, like: [NodeId; 5]) -> [NodeId; 5] {
    like.map(|old| {
        let shape = vm.graph.shape(old).clone();
        let name = match vm.graph.node(old).op {
            Op::Input(i) => vm.graph.inputs.get(i as usize).map_or_else(String::new, |input| input.name.clone()),
            _ => String::new(),
        };
        vm.graph.input(&name, shape, DType::Float, true)
    })
}

/// A further call computes the same, whatever sizes the calls before had, and whether or not it is part of the training.
fn same_for_all_calls(
    vm: &mut Interp,
    root: &Rc<Object>,
    inputs: [NodeId; 5],
    outs: (NodeId, Option<NodeId>),
    hidden: usize,
    forward: Span,
) -> R<()> {
    let (writes, kept) = (vm.writes.len(), vm.kept_results.len());
    let mut calls = 2;
    if let Some(span) = vm.asked_mode {
        vm.training = false;
        calls += 1;
        if !computes_the_same(vm, root, inputs, outs, hidden, calls) {
            vm.span = span;
            let text = "forward computes something else in evaluation than in training, but one graph stands for both";
            let d = vm.fault(Category::Unsupported, "E-UNSUPPORTED-TRAINING", text);
            return Err(Box::new(d.help("compute the same in both: do not ask for self.training or requires_grad")));
        }
        vm.training = true;
    }
    let next = fresh_inputs(vm, inputs);
    if vm.spoil(root)? {
        calls += 1;
        if !computes_the_same_of(vm, root, next, outs, hidden, calls) {
            let text =
                "forward uses sizes or tensors that an earlier call left behind, which may have been of another size";
            return vm.stateful(forward, text);
        }
    }
    vm.writes.truncate(writes);
    vm.kept_results.truncate(kept);
    Ok(())
}

fn computes_the_same(
    vm: &mut Interp,
    root: &Rc<Object>,
    inputs: [NodeId; 5],
    outs: (NodeId, Option<NodeId>),
    hidden: usize,
    calls: u32,
) -> bool {
    let next = fresh_inputs(vm, inputs);
    computes_the_same_of(vm, root, next, outs, hidden, calls)
}

/// Whether a call of these inputs gives the graph of the second call.
fn computes_the_same_of(
    vm: &mut Interp,
    root: &Rc<Object>,
    inputs: [NodeId; 5],
    outs: (NodeId, Option<NodeId>),
    hidden: usize,
    calls: u32,
) -> bool {
    vm.extend_budgets();
    let returned = vm.returned;
    let called = call(vm, root, inputs).and_then(|value| outputs(vm, &value, hidden, returned));
    let Ok((ret, tri)) = called else { return false };
    let mut numbers = Numbers::default();
    let mut number = |id| numbers.number(&vm.graph, id, calls);
    number(ret) == number(outs.0) && tri.map(&mut number) == outs.1.map(&mut number)
}

fn interface(vm: &Interp, code: &'static str, message: impl Into<String>) -> Box<Diagnostic> {
    vm.fault(Category::Interface, code, message)
}

fn find_factory(vm: &mut Interp) -> R<Value> {
    vm.span = Span::default();
    let found = vm.globals.vars.borrow().get("get_processor_factory").cloned();
    match found {
        Some(f @ Value::Function(_)) => Ok(f),
        Some(other) => Err(interface(
            vm,
            "E-INTERFACE-FACTORY",
            format!("get_processor_factory must be a function, not {}", other.type_name()),
        )),
        None => {
            let d = interface(vm, "E-INTERFACE-FACTORY", "the program defines no get_processor_factory");
            Err(Box::new(d.help("add def get_processor_factory(kind, use_ln, nb_triplet_fts, nb_heads=None) that returns factory(out_size)")))
        }
    }
}

/// Those of the keywords that the factory takes.
fn accepted_keywords(factory: &Value, keywords: Vec<(Name, Value)>) -> Vec<(Name, Value)> {
    use crate::syntax::ParamKind;
    let Value::Function(f) = factory else { return keywords };
    let params = &f.code.params;
    if params.iter().any(|p| p.kind == ParamKind::DoubleStar) {
        return keywords;
    }
    keywords.into_iter().filter(|(n, _)| params.iter().any(|p| p.name == *n)).collect()
}

/// There must be a class `PGN` that derives from a class `Processor`, as the reference's evaluator asks.
fn check_classes(vm: &mut Interp) -> R<()> {
    vm.span = Span::default();
    let class = |vm: &Interp, name: &str| match vm.globals.vars.borrow().get(name) {
        Some(Value::Class(c)) => Some(c.clone()),
        _ => None,
    };
    match (class(vm, "PGN"), class(vm, "Processor")) {
        (Some(pgn), Some(processor)) if pgn.is_subclass_of(&processor) => Ok(()),
        (Some(pgn), Some(_)) => {
            vm.span = pgn.span;
            Err(interface(vm, "E-INTERFACE-CLASS", "the class PGN must derive from Processor"))
        }
        (None, _) => Err(interface(vm, "E-INTERFACE-CLASS", "the program defines no class PGN")),
        (_, None) => Err(interface(vm, "E-INTERFACE-CLASS", "the program defines no class Processor")),
    }
}

const INPUTS: [&str; 5] = ["node_fts", "edge_fts", "graph_fts", "adj_mat", "hidden"];

/// Where `forward` is defined, after a look at its parameters.
fn forward_span(vm: &mut Interp, root: &Rc<Object>) -> R<Span> {
    use crate::syntax::ParamKind;
    vm.span = root.class.span;
    let Some(Value::Function(f)) = root.class.find("forward") else {
        return Err(interface(vm, "E-INTERFACE-FORWARD", format!("{} defines no forward", root.class.name)));
    };
    let span = f.code.at.0;
    let params = &f.code.params;
    let swallows = params.iter().any(|p| p.kind == ParamKind::DoubleStar);
    let positional = params.iter().filter(|p| matches!(p.kind, ParamKind::Normal | ParamKind::PositionalOnly)).count();
    let star = params.iter().any(|p| p.kind == ParamKind::Star);
    vm.span = span;
    if positional < 6 && !star {
        let missing: Vec<&str> = INPUTS.into_iter().filter(|n| !params.iter().any(|p| &*p.name == *n)).collect();
        let text = if missing.is_empty() {
            "forward must take node_fts, edge_fts, graph_fts, adj_mat and hidden".to_string()
        } else {
            format!("forward does not take {}", missing.join(" and "))
        };
        let d = interface(vm, "E-INTERFACE-FORWARD", text);
        return Err(Box::new(d.help("def forward(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused)")));
    }
    if !swallows {
        let d = interface(vm, "E-INTERFACE-FORWARD", "forward must ignore further keyword arguments");
        return Err(Box::new(d.help("end its parameters with **unused")));
    }
    Ok(span)
}

fn call(vm: &mut Interp, root: &Rc<Object>, inputs: [NodeId; 5]) -> R<Value> {
    vm.span = Span::default();
    let args = inputs.into_iter().map(|id| vm.tensor(id)).collect();
    vm.call(&Value::Object(root.clone()), args, Vec::new())
}

/// `(ret, tri_msgs)` with the shapes that the contract asks for.
fn outputs(vm: &mut Interp, value: &Value, hidden: usize, returned: Span) -> R<(NodeId, Option<NodeId>)> {
    vm.span = returned;
    let pair = match value {
        Value::Tuple(items) => items.to_vec(),
        Value::List(items) => items.borrow().clone(),
        Value::Object(o) if vm.tuple_items(o).is_some() => vm.tuple_items(o).unwrap_or_default(),
        other => {
            let d = interface(
                vm,
                "E-INTERFACE-RETURN",
                format!("forward must return the pair (ret, tri_msgs), not {}", other.type_name()),
            );
            return Err(Box::new(d.help("return ret, tri_msgs (or None in the second place)")));
        }
    };
    let [ret, tri] = pair.as_slice() else {
        let count = pair.len();
        return Err(interface(vm, "E-INTERFACE-RETURN", format!("forward must return two values, not {count}")));
    };
    let (b, n, h) = (Dim::b(), Dim::n(), Dim::known(i64::try_from(hidden).unwrap_or(i64::MAX)));
    let ret = output(vm, ret, "ret", &[b.clone(), n.clone(), h.clone()], returned)?;
    let tri = match tri {
        Value::None => None,
        other => Some(output(vm, other, "tri_msgs", &[b, n.clone(), n, h], returned)?),
    };
    Ok((ret, tri))
}

fn output(vm: &mut Interp, value: &Value, name: &str, wanted: &[Dim], returned: Span) -> R<NodeId> {
    let Value::Tensor(t) = value else {
        vm.span = returned;
        return Err(interface(vm, "E-INTERFACE-RETURN", format!("{name} must be a tensor, not {}", value.type_name())));
    };
    let id = vm.node(t)?;
    let node = vm.graph.node(id);
    if node.shape != wanted {
        vm.span = if node.span.line > 0 { node.span } else { returned };
        let text =
            format!("{name} must have the shape {}, but has {}", graph::display(wanted), graph::display(&node.shape));
        let d = vm.fault(Category::Shape, "E-SHAPE-OUTPUT", text);
        return Err(Box::new(d.note(returned, "returned here")));
    }
    if node.dtype != DType::Float {
        vm.span = if node.span.line > 0 { node.span } else { returned };
        return Err(vm.fault(Category::Shape, "E-SHAPE-OUTPUT", format!("{name} must be a float tensor")));
    }
    Ok(id)
}

/// Modules inside modules, as far as torch's own recursion over them goes.
const MAX_MODULE_DEPTH: usize = 100;
/// Modules that torch visits in `state_dict()`, which visits a shared one wherever it is held.
const MAX_MODULE_VISITS: u64 = 10_000;

/// What the walk over the modules of a program found.
#[derive(Default)]
struct State {
    /// Names of all parameters and buffers in the order of `state_dict()`, by index; a tied one counts under its first name.
    named: Vec<(usize, String)>,
    known: BTreeSet<usize>,
    /// Further names of tied ones.
    aliases: Vec<(usize, String)>,
    /// Visits to modules that were visited before.
    again: u64,
    /// How many visits each module takes, itself and all that it holds; 0 while it is under way.
    visits: BTreeMap<usize, u64>,
}

impl State {
    /// Visits a module once, and gives the visits that torch needs.
    fn visit(&mut self, vm: &Interp, object: &Object, prefix: &str, depth: usize) -> R<u64> {
        let address = std::ptr::from_ref(object).addr();
        match self.visits.get(&address) {
            Some(0) => {
                return Err(too_many_modules(
                    vm,
                    object,
                    "a module holds itself, so that torch would visit it for ever",
                ));
            }
            Some(known) => {
                let known = *known;
                self.again = self.again.saturating_add(known);
                if self.again > MAX_MODULE_VISITS {
                    let text = format!(
                        "shared modules are held more than {MAX_MODULE_VISITS} times, each of which torch visits"
                    );
                    return Err(too_many_modules(vm, object, text));
                }
                self.rename(object, prefix);
                return Ok(known);
            }
            None => {}
        }
        if depth > MAX_MODULE_DEPTH {
            let text = format!("modules are nested more than {MAX_MODULE_DEPTH} deep");
            return Err(too_many_modules(vm, object, text));
        }
        self.visits.insert(address, 0);
        let mut visits = 1_u64;
        if let Some(state) = object.module.borrow().as_ref() {
            let params = state.params.iter().filter_map(|(name, p)| Some((name, p.as_ref()?)));
            let buffers = state.buffers.iter().filter_map(|(name, b, _)| Some((name, b.as_ref()?)));
            for (name, tensor) in params.chain(buffers) {
                self.name(tensor, prefix, name);
            }
            for (name, child) in &state.children {
                let Some(child) = child else { continue };
                visits = visits.saturating_add(self.visit(vm, child, &format!("{prefix}{name}."), depth + 1)?);
            }
        }
        if visits > MAX_MODULE_VISITS {
            let text =
                format!("shared modules are held more than {MAX_MODULE_VISITS} times, each of which torch visits");
            return Err(too_many_modules(vm, object, text));
        }
        self.visits.insert(address, visits);
        Ok(visits)
    }

    /// The names that a shared module's parameters have where it is held once more.
    fn rename(&mut self, object: &Object, prefix: &str) {
        let Some(state) = &*object.module.borrow() else { return };
        let params = state.params.iter().filter_map(|(name, p)| Some((name, p.as_ref()?)));
        let buffers = state.buffers.iter().filter_map(|(name, b, _)| Some((name, b.as_ref()?)));
        for (name, tensor) in params.chain(buffers) {
            self.name(tensor, prefix, name);
        }
        for (name, child) in &state.children {
            child.iter().for_each(|child| self.rename(child, &format!("{prefix}{name}.")));
        }
    }

    fn name(&mut self, tensor: &Tensor, prefix: &str, name: &Name) {
        if let Data::Leaf(i) = &*tensor.data.borrow() {
            let full = format!("{prefix}{name}");
            if self.known.insert(*i) {
                self.named.push((*i, full));
            } else {
                self.aliases.push((*i, full));
            }
        }
    }
}

fn too_many_modules(vm: &Interp, object: &Object, text: impl Into<String>) -> Box<Diagnostic> {
    let mut d = vm.fault(Category::Budget, "E-BUDGET-DEPTH", text);
    if object.span.line > 0 {
        *d = d.note(object.span, "this module");
    }
    d
}

/// Cuts the graph down to what the outputs need, gives parameters their names and the inputs their places.
fn finish(
    vm: &mut Interp,
    root: &Rc<Object>,
    ret: NodeId,
    tri: Option<NodeId>,
    inputs: [NodeId; 5],
    hidden: usize,
    forward: Span,
) -> R<Processor> {
    vm.span = root.span;
    let mut state = State::default();
    state.visit(vm, root, "", 0)?;
    let named = &state.named;
    let (mut graph, new_inputs) = Processor::inputs(hidden);
    let mut leaf_param: BTreeMap<usize, ParamId> = BTreeMap::new();
    // an unregistered source is drawn under a name of its own
    let source = |of: &str| -> String {
        let known = of.parse::<usize>().ok().and_then(|i| named.iter().find(|n| n.0 == i));
        known.map_or_else(|| format!("#{of}"), |n| n.1.clone())
    };
    for (index, name) in named {
        let Some(leaf) = vm.leaves.get(*index) else { continue };
        leaf_param.insert(*index, ParamId(u32::try_from(graph.params.len()).unwrap_or(u32::MAX)));
        graph.params.push(graph::Param {
            name: name.clone(),
            aliases: state.aliases.iter().filter(|a| a.0 == *index).map(|a| a.1.clone()).collect(),
            shape: leaf.shape.clone(),
            init: if leaf.init.copies() { leaf.init.with_names(&source) } else { leaf.init.clone() },
            trainable: leaf.trainable && !leaf.buffer,
            transient: leaf.transient,
            span: leaf.span,
        });
    }
    if let Some(id) = reached_by_gradients(&vm.graph, &vm.undifferentiable, ret, tri) {
        vm.span = vm.graph.node(id).span;
        let text = "this operation has no derivative in torch, so that training fails";
        let d = vm.fault(Category::Unsupported, "E-UNSUPPORTED-OP", text);
        let help = "detach() its arguments, or use one with the gradient 0, such as torch.div(x, y, rounding_mode=\"floor\") for x // y";
        return Err(Box::new(d.help(help)));
    }
    if let Some((write, user)) = lost_value(&vm.graph, &vm.writes, &vm.kept_results, ret, tri) {
        vm.span = write;
        let text = "this changes a tensor in place that the gradient of an earlier operation needs as it was";
        let mut d = *vm.fault(Category::Interface, "E-INPLACE-GRADIENT", text);
        if user.line > 0 && user.line != d.line {
            d = d.note(user, "needed here");
        }
        return Err(Box::new(d.help("compute a new tensor: x = x + y instead of x += y")));
    }
    if let Some(id) = graph::unproven_indices(&vm.graph).first() {
        vm.span = vm.graph.node(*id).span;
        let d = vm.fault(
            Category::Shape,
            "E-SHAPE-INDEX-RANGE",
            "the values of this index are not known to lie within the axis for every B >= 1 and N >= 2",
        );
        return Err(Box::new(d.help("bound the index, for example with .clamp(0, size - 1)")));
    }
    let old = std::mem::take(&mut vm.graph);
    let mut live = vec![false; old.nodes.len()];
    let mut stack: Vec<NodeId> = std::iter::once(ret).chain(tri).collect();
    while let Some(id) = stack.pop() {
        if let Some(seen) = live.get_mut(id.0 as usize)
            && !*seen
        {
            *seen = true;
            stack.extend(&old.node(id).args);
        }
    }
    let mut map: Vec<Option<NodeId>> = vec![None; old.nodes.len()];
    for (id, new) in inputs.into_iter().zip(new_inputs) {
        if let Some(m) = map.get_mut(id.0 as usize) {
            *m = Some(new);
        }
    }
    for (at, node) in old.nodes.iter().enumerate() {
        if live.get(at) != Some(&true) || map.get(at).is_some_and(Option::is_some) {
            continue;
        }
        let mut node = node.clone();
        match &node.op {
            Op::Input(_) => {
                vm.span = forward;
                let d = vm.fault(
                    Category::Unsupported,
                    "E-STATEFUL",
                    "forward uses tensors that an earlier call left behind, so its result depends on more than its inputs",
                );
                return Err(Box::new(d.help("keep no tensors in attributes from one call to the next")));
            }
            Op::Param(p) => {
                let index = old.params.get(p.0 as usize).and_then(|p| p.name.parse::<usize>().ok());
                let param = index.and_then(|i| leaf_param.get(&i).copied());
                let Some(param) = param else {
                    let span = index.and_then(|i| vm.leaves.get(i)).map_or(node.span, |l| l.span);
                    vm.span = span;
                    let d = vm.fault(
                        Category::Unsupported,
                        "E-UNREGISTERED",
                        "a parameter is used that belongs to no module, so it is never trained or saved",
                    );
                    return Err(Box::new(d.help("assign the layer to an attribute, or use nn.ModuleList, nn.ModuleDict or nn.ParameterList instead of a plain list or dict")));
                };
                node.op = Op::Param(param);
            }
            _ => {}
        }
        for arg in &mut node.args {
            if let Some(Some(new)) = map.get(arg.0 as usize) {
                *arg = *new;
            }
        }
        let id = NodeId(u32::try_from(graph.nodes.len()).unwrap_or(u32::MAX));
        graph.nodes.push(node);
        if let Some(m) = map.get_mut(at) {
            *m = Some(id);
        }
    }
    let mapped = |id: NodeId| map.get(id.0 as usize).copied().flatten();
    let Some(new_ret) = mapped(ret) else {
        return Err(interface(vm, "E-INTERFACE-RETURN", "ret has no value"));
    };
    if let Err(e) = graph.validate() {
        return Err(vm.fault(Category::Unsupported, "E-INTERNAL", format!("the graph is inconsistent: {e}")));
    }
    Ok(Processor { graph, ret: new_ret, tri_msgs: tri.and_then(mapped), hidden })
}
