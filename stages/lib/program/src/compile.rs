//! The steps from source text to a processor.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use graph::{DType, Dim, Graph, NodeId, Op, ParamId, Processor, Span, Training};
use schemas::{Severity, Verdict};
use serde::{Deserialize, Serialize};

use crate::budget::Budgets;
use crate::diagnostic::Diagnostic;
use crate::eval::random::Drawn;
use crate::eval::state::{Numbers, Picture};
use crate::eval::{Data, Interp, Object, Phase, R, Run, Tensor, Tracer, Value, tuple_items};
use crate::regions::{self, Regions};
use crate::rules::Rule;
use crate::syntax::Name;
use crate::{forbidden, parse, warn};

/// How a program is called and what it may cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// H, which is also `out_size`.
    pub hidden: usize,
    /// Features of triplet messages, as the factory is told.
    pub nb_triplet_fts: usize,
    /// Whether layers are normalised, as the factory is told.
    pub use_ln: bool,
    /// The kind of processor, as the factory is told.
    pub kind: String,
    /// What the program may cost.
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

/// A program as far as it could be understood.
///
/// `processor` is there if and only if no diagnostic is an error. Its graph is well-typed for every B >= 1 and N >= 2,
/// each tensor of it keeps to the budgets, and its parameters are complete: what runs it meets no surprise.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// What was found, in the order of the steps that found it.
    pub diagnostics: Vec<Diagnostic>,
    /// The computation.
    pub processor: Option<Processor>,
    /// Where its editable regions are, where its markers are right.
    pub regions: Option<Regions>,
    /// Line and text of what `reveal_shape` saw.
    pub revealed: Vec<(u32, String)>,
}

impl Compiled {
    /// What becomes of the program: the most severe diagnostic decides.
    pub fn verdict(&self) -> Verdict {
        match self.diagnostics.iter().map(Diagnostic::severity).min() {
            Some(Severity::Error) => Verdict::Reject,
            Some(Severity::Warning) => Verdict::AcceptWithWarning,
            Some(Severity::Note) | None => Verdict::Accept,
        }
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
    Diagnostic::new(Rule::Internal, Span::default(), message)
}

thread_local! {
    /// Whether this thread has a large stack.
    static ROOMY: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` where deep recursion has room: here where there is room already, or on a thread of its own, or here where no thread
/// can be had. Whoever calls several functions of this crate about one program does so inside of this: its text is then parsed once.
#[cfg_attr(
    not(test),
    expect(clippy::unreachable, reason = "the function is taken once, by the one thread that runs it")
)]
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
        None => unreachable!("the function was not run"),
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
            out.diagnostics.extend(warn::warnings(&built));
            out.diagnostics.sort_by_key(|d| (d.severity(), d.line, d.column));
            out.processor = Some(built.processor);
        }
        Err(d) => out.diagnostics.push(*d),
    }
    out.revealed = vm.revealed.take().unwrap_or_default();
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
    // a width that 63 bits cannot hold exceeds the budget of every tensor, as the largest one does
    let width = |size: usize| Value::Int(i64::try_from(size).unwrap_or(i64::MAX));
    let keywords: Vec<(Name, Value)> = vec![
        ("kind".into(), Value::str(&options.kind)),
        ("use_ln".into(), Value::Bool(options.use_ln)),
        ("nb_triplet_fts".into(), width(options.nb_triplet_fts)),
        ("nb_heads".into(), Value::None),
    ];
    let accepted = accepted_keywords(&factory, keywords);
    let make = vm.call(&factory, Vec::new(), accepted)?;
    let root = match vm.call(&make, vec![width(options.hidden)], Vec::new())? {
        Value::Object(o) if o.module.borrow().is_some() => o,
        other => {
            return Err(interface(
                &vm.tracer.run,
                Rule::InterfaceFactory,
                format!("the factory must return an nn.Module, not {}", other.type_name()),
            ));
        }
    };
    check_classes(vm)?;
    let forward = forward_span(vm, &root)?;

    // The first call may create layers; the second is what training runs. It gets inputs of its own, so that what the
    // first call left behind in attributes shows.
    vm.tracer.enter(Phase::First);
    let first = call(vm, &root, inputs)?;
    let mut numbers = Numbers::default();
    let before = vm.picture(&root, &mut numbers)?;
    vm.tracer.enter(Phase::Second);
    vm.tracer.mode.forget_question();
    let trained = called(vm, &root, inputs, options.hidden)?;
    // the first call must have been sound, too
    let returned = vm.returned;
    outputs(&mut vm.tracer, &first, options.hidden, returned)?;
    let after = vm.picture(&root, &mut numbers)?;
    leaves_no_state(vm, &before, &after, forward)?;
    let written = vm.tracer.tape.mark();
    let evaluated = match vm.tracer.mode.asked() {
        Some(_) => evaluation(vm, &root, inputs, &trained, (&after, &mut numbers), (options.hidden, forward))?,
        None => None,
    };
    same_for_all_calls(vm, &root, inputs, (&trained, evaluated.as_ref()), options.hidden, forward)?;
    // nothing but the training of which graph is kept has gradients
    vm.tracer.tape.rewind(written);
    let processor = finish(&mut vm.tracer, &root, &trained, evaluated.as_ref(), options.hidden, forward)?;
    Ok(Built { processor, forward })
}

/// What a call of `forward` means.
struct Called {
    inputs: [NodeId; 5],
    ret: NodeId,
    tri: Option<NodeId>,
    drawn: Drawn,
}

impl Called {
    /// Whether both compute the same, of inputs in the same places.
    fn is_same(&self, vm: &Interp, other: &Self) -> bool {
        let mut numbers = Numbers::default();
        let mut all = |call: &Self| {
            let statistics = call.drawn.statistics.iter().flat_map(|moved| moved.batch);
            let nodes: Vec<Option<NodeId>> =
                [Some(call.ret), call.tri].into_iter().chain(statistics.map(Some)).collect();
            nodes.into_iter().map(|id| id.map(|id| numbers.number(vm.tracer.graph(), id))).collect::<Vec<_>>()
        };
        all(self) == all(other)
    }
}

/// Calls `forward` with inputs of its own.
fn called(vm: &mut Interp, root: &Rc<Object>, like: [NodeId; 5], hidden: usize) -> R<Called> {
    let inputs = fresh_inputs(&mut vm.tracer, like);
    let value = call(vm, root, inputs)?;
    let returned = vm.returned;
    let (ret, tri) = outputs(&mut vm.tracer, &value, hidden, returned)?;
    Ok(Called { inputs, ret, tri, drawn: vm.tracer.mode.take_drawn() })
}

fn leaves_no_state(vm: &mut Interp, before: &Picture, after: &Picture, forward: Span) -> R<()> {
    let Some(difference) = before.difference(after) else { return Ok(()) };
    let span = vm.changed_at(&difference).unwrap_or(forward);
    let what = match difference.slot.as_str() {
        "" => "something".to_string(),
        slot => format!("'{slot}'"),
    };
    vm.tracer.run.stateful(span, format!("every call of forward changes {what}, so that calls would differ"))
}

/// What a call means in evaluation; nothing where that is what it means in training.
fn evaluation(
    vm: &mut Interp,
    root: &Rc<Object>,
    like: [NodeId; 5],
    trained: &Called,
    (before, numbers): (&Picture, &mut Numbers),
    (hidden, forward): (usize, Span),
) -> R<Option<Called>> {
    vm.tracer.mode.evaluate(root);
    vm.tracer.extend_budgets();
    let told = |mut d: Box<Diagnostic>| {
        d.message.push_str(" (in evaluation, where self.training is False and nothing requires gradients)");
        if d.rule == Rule::Assert {
            // it holds where the program runs by itself
            (d.rule, d.category) = (Rule::UnsupportedTraining, Rule::UnsupportedTraining.category());
        }
        d
    };
    let evaluated =
        called(vm, root, like, hidden).map_err(|d| if d.rule == Rule::UnsupportedRandom { d } else { told(d) })?;
    let after = vm.picture(root, numbers)?;
    leaves_no_state(vm, before, &after, forward).map_err(told)?;
    vm.tracer.mode.set_training(true);
    Ok(Some(evaluated).filter(|evaluated| !evaluated.is_same(vm, trained)))
}

/// Inputs for one more call.
fn fresh_inputs(tracer: &mut Tracer, like: [NodeId; 5]) -> [NodeId; 5] {
    like.map(|old| {
        let shape = tracer.shape(old).clone();
        let name = match tracer.graph().node(old).op {
            Op::Input(i) => {
                tracer.graph().inputs().get(i as usize).map_or_else(String::new, |input| input.name.clone())
            }
            _ => String::new(),
        };
        tracer.input(&name, shape, DType::Float)
    })
}

/// A further call computes the same, whatever sizes the calls before had, in each mode.
fn same_for_all_calls(
    vm: &mut Interp,
    root: &Rc<Object>,
    like: [NodeId; 5],
    (trained, evaluated): (&Called, Option<&Called>),
    hidden: usize,
    forward: Span,
) -> R<()> {
    for (known, training) in [(Some(trained), true), (evaluated, false)] {
        let Some(known) = known else { continue };
        if !vm.spoil(root)? {
            continue;
        }
        vm.tracer.mode.set_training(training);
        vm.tracer.extend_budgets();
        let again = called(vm, root, like, hidden);
        vm.tracer.mode.set_training(true);
        if !again.is_ok_and(|again| again.is_same(vm, known)) {
            let text =
                "forward uses sizes or tensors that an earlier call left behind, which may have been of another size";
            return vm.tracer.run.stateful(forward, text);
        }
    }
    Ok(())
}

fn interface(run: &Run, rule: Rule, message: impl Into<String>) -> Box<Diagnostic> {
    run.fault(rule, message)
}

fn find_factory(vm: &mut Interp) -> R<Value> {
    vm.move_to(Span::default());
    let found = vm.heap.globals.vars.borrow().get("get_processor_factory").cloned();
    match found {
        Some(f @ Value::Function(_)) => Ok(f),
        Some(other) => Err(interface(
            &vm.tracer.run,
            Rule::InterfaceFactory,
            format!("get_processor_factory must be a function, not {}", other.type_name()),
        )),
        None => {
            let d = interface(&vm.tracer.run, Rule::InterfaceFactory, "the program defines no get_processor_factory");
            Err(Box::new(d.help("add def get_processor_factory(kind, use_ln, nb_triplet_fts, nb_heads=None) that returns factory(out_size)")))
        }
    }
}

/// The keywords that the factory takes.
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
    vm.move_to(Span::default());
    let class = |vm: &Interp, name: &str| match vm.heap.globals.vars.borrow().get(name) {
        Some(Value::Class(c)) => Some(c.clone()),
        _ => None,
    };
    match (class(vm, "PGN"), class(vm, "Processor")) {
        (Some(pgn), Some(processor)) if pgn.is_subclass_of(&processor) => Ok(()),
        (Some(pgn), Some(_)) => {
            vm.move_to(pgn.span);
            Err(interface(&vm.tracer.run, Rule::InterfaceClass, "the class PGN must derive from Processor"))
        }
        (None, _) => Err(interface(&vm.tracer.run, Rule::InterfaceClass, "the program defines no class PGN")),
        (_, None) => Err(interface(&vm.tracer.run, Rule::InterfaceClass, "the program defines no class Processor")),
    }
}

const INPUTS: [&str; 5] = ["node_fts", "edge_fts", "graph_fts", "adj_mat", "hidden"];

/// Where `forward` is defined, after a look at its parameters.
fn forward_span(vm: &mut Interp, root: &Rc<Object>) -> R<Span> {
    use crate::syntax::ParamKind;
    vm.move_to(root.class.span);
    let Some(Value::Function(f)) = root.class.find("forward") else {
        return Err(interface(
            &vm.tracer.run,
            Rule::InterfaceForward,
            format!("{} defines no forward", root.class.name),
        ));
    };
    let span = f.code.at.0;
    let params = &f.code.params;
    let swallows = params.iter().any(|p| p.kind == ParamKind::DoubleStar);
    let positional = params.iter().filter(|p| matches!(p.kind, ParamKind::Normal | ParamKind::PositionalOnly)).count();
    let star = params.iter().any(|p| p.kind == ParamKind::Star);
    vm.move_to(span);
    if positional < 6 && !star {
        let missing: Vec<&str> = INPUTS.into_iter().filter(|n| !params.iter().any(|p| &*p.name == *n)).collect();
        let text = if missing.is_empty() {
            "forward must take node_fts, edge_fts, graph_fts, adj_mat and hidden".to_string()
        } else {
            format!("forward does not take {}", missing.join(" and "))
        };
        let d = interface(&vm.tracer.run, Rule::InterfaceForward, text);
        return Err(Box::new(d.help("def forward(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused)")));
    }
    if !swallows {
        let d = interface(&vm.tracer.run, Rule::InterfaceForward, "forward must ignore further keyword arguments");
        return Err(Box::new(d.help("end its parameters with **unused")));
    }
    Ok(span)
}

fn call(vm: &mut Interp, root: &Rc<Object>, inputs: [NodeId; 5]) -> R<Value> {
    vm.move_to(Span::default());
    vm.tracer.mode.take_drawn();
    let args = inputs.into_iter().map(|id| vm.tracer.tensor(id)).collect();
    vm.call(&Value::Object(root.clone()), args, Vec::new())
}

/// `(ret, tri_msgs)` with the shapes that the contract asks for.
fn outputs(tracer: &mut Tracer, value: &Value, hidden: usize, returned: Span) -> R<(NodeId, Option<NodeId>)> {
    tracer.run.move_to(returned);
    let pair = match value {
        Value::Tuple(items) => items.to_vec(),
        Value::List(items) => items.borrow().clone(),
        Value::Object(o) if tuple_items(o).is_some() => tuple_items(o).unwrap_or_default(),
        other => {
            let d = interface(
                &tracer.run,
                Rule::InterfaceReturn,
                format!("forward must return the pair (ret, tri_msgs), not {}", other.type_name()),
            );
            return Err(Box::new(d.help("return ret, tri_msgs (or None in the second place)")));
        }
    };
    let [ret, tri] = pair.as_slice() else {
        let count = pair.len();
        return Err(interface(
            &tracer.run,
            Rule::InterfaceReturn,
            format!("forward must return two values, not {count}"),
        ));
    };
    let (b, n, h) = (Dim::b(), Dim::n(), Dim::of(hidden));
    let ret = output(tracer, ret, "ret", &[b.clone(), n.clone(), h.clone()], returned)?;
    let tri = match tri {
        Value::None => None,
        other => Some(output(tracer, other, "tri_msgs", &[b, n.clone(), n, h], returned)?),
    };
    Ok((ret, tri))
}

fn output(tracer: &mut Tracer, value: &Value, name: &str, wanted: &[Dim], returned: Span) -> R<NodeId> {
    let Value::Tensor(t) = value else {
        tracer.run.move_to(returned);
        return Err(interface(
            &tracer.run,
            Rule::InterfaceReturn,
            format!("{name} must be a tensor, not {}", value.type_name()),
        ));
    };
    let id = tracer.node(t)?;
    let node = tracer.graph().node(id);
    let (made, dtype, shape) = (node.span, node.dtype, node.shape.clone());
    if shape != wanted {
        tracer.run.move_to(if made.line > 0 { made } else { returned });
        let text = format!("{name} must have the shape {}, but has {}", graph::display(wanted), graph::display(&shape));
        let d = tracer.run.fault(Rule::ShapeOutput, text);
        return Err(Box::new(d.note(returned, "returned here")));
    }
    if dtype != DType::Float {
        tracer.run.move_to(if made.line > 0 { made } else { returned });
        return Err(tracer.run.fault(Rule::ShapeOutput, format!("{name} must be a float tensor")));
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
    fn visit(&mut self, run: &Run, object: &Object, prefix: &str, depth: usize) -> R<u64> {
        let address = std::ptr::from_ref(object).addr();
        match self.visits.get(&address) {
            Some(0) => {
                return Err(too_many_modules(
                    run,
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
                    return Err(too_many_modules(run, object, text));
                }
                self.rename(object, prefix);
                return Ok(known);
            }
            None => {}
        }
        if depth > MAX_MODULE_DEPTH {
            let text = format!("modules are nested more than {MAX_MODULE_DEPTH} deep");
            return Err(too_many_modules(run, object, text));
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
                visits = visits.saturating_add(self.visit(run, child, &format!("{prefix}{name}."), depth + 1)?);
            }
        }
        if visits > MAX_MODULE_VISITS {
            let text =
                format!("shared modules are held more than {MAX_MODULE_VISITS} times, each of which torch visits");
            return Err(too_many_modules(run, object, text));
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

fn too_many_modules(run: &Run, object: &Object, text: impl Into<String>) -> Box<Diagnostic> {
    let mut d = run.fault(Rule::BudgetDepth, text);
    if object.span.line > 0 {
        *d = d.note(object.span, "this module");
    }
    d
}

/// Cuts the graph down to what each mode's outputs need, gives parameters their names and the inputs their places.
fn finish(
    tracer: &mut Tracer,
    root: &Rc<Object>,
    trained: &Called,
    evaluated: Option<&Called>,
    hidden: usize,
    forward: Span,
) -> R<Processor> {
    tracer.run.move_to(root.span);
    let registered = registered(tracer, root)?;
    let (ret, tri) = (trained.ret, trained.tri);
    if let Some(id) = tracer.tape.underivable(tracer.graph(), ret, tri) {
        tracer.run.move_to(tracer.graph().node(id).span);
        let text = "this operation has no derivative in torch, so that training fails";
        let d = tracer.run.fault(Rule::UnsupportedOp, text);
        let help = "detach() its arguments, or use one with the gradient 0, such as torch.div(x, y, rounding_mode=\"floor\") for x // y";
        return Err(Box::new(d.help(help)));
    }
    if let Some((write, user)) = tracer.tape.lost_value(tracer.graph(), ret, tri) {
        tracer.run.move_to(write);
        let text = "this changes a tensor in place that the gradient of an earlier operation needs as it was";
        let mut d = *tracer.run.fault(Rule::InplaceGradient, text);
        if user.line > 0 && user.line != d.line {
            d = d.note(user, "needed here");
        }
        return Err(Box::new(d.help("compute a new tensor: x = x + y instead of x += y")));
    }
    if let Some(id) = graph::unproven_indices(tracer.graph()).first() {
        tracer.run.move_to(tracer.graph().node(*id).span);
        let d = tracer.run.fault(
            Rule::ShapeIndexRange,
            "the values of this index are not known to lie within the axis for every B >= 1 and N >= 2",
        );
        return Err(Box::new(d.help("bound the index, for example with .clamp(0, size - 1)")));
    }
    let old = tracer.take_graph();
    let (graph, map) = extract(tracer, &old, evaluated.unwrap_or(trained), &registered, (hidden, false), forward)?;
    let (ret, tri_msgs) = extracted(&tracer.run, evaluated.unwrap_or(trained), &map)?;
    let training = match evaluated {
        None => None,
        Some(_) => Some(Box::new(training(tracer, &old, trained, &registered, hidden, forward)?)),
    };
    Ok(Processor { graph, ret, tri_msgs, hidden, training })
}

/// What a call means in training, where that is not what it means in evaluation.
fn training(
    tracer: &mut Tracer,
    old: &Graph,
    trained: &Called,
    registered: &Registered,
    hidden: usize,
    forward: Span,
) -> R<Training> {
    let (graph, map) = extract(tracer, old, trained, registered, (hidden, true), forward)?;
    let (ret, tri_msgs) = extracted(&tracer.run, trained, &map)?;
    let mut statistics = Vec::new();
    for moved in &trained.drawn.statistics {
        let node = |id: NodeId| map.get(id.index()).copied().flatten();
        let Some(statistic) = moved.registered(node, |leaf| registered.param.get(&leaf).copied()) else {
            tracer.run.move_to(moved.span);
            return Err(unregistered(&tracer.run));
        };
        let moves = |id: NodeId| match graph.node(id).op {
            Op::Param(param) => statistic.running.contains(&Some(param)) || statistic.count == Some(param),
            _ => false,
        };
        if let Some(id) = graph.ids().find(|id| moves(*id)) {
            tracer.run.move_to(graph.node(id).span);
            let text = "training reads running statistics, which each of its calls changes";
            let d = tracer.run.fault(Rule::UnsupportedTraining, text);
            return Err(Box::new(d.help("read them in evaluation only: if not self.training: ...")));
        }
        statistics.push(statistic);
    }
    Ok(Training { graph, ret, tri_msgs, statistics })
}

fn extracted(run: &Run, call: &Called, map: &[Option<NodeId>]) -> R<(NodeId, Option<NodeId>)> {
    let mapped = |id: NodeId| map.get(id.index()).copied().flatten();
    match mapped(call.ret) {
        Some(ret) => Ok((ret, call.tri.and_then(mapped))),
        None => Err(interface(run, Rule::InterfaceReturn, "ret has no value")),
    }
}

/// All parameters and buffers of the modules, by their names.
struct Registered {
    params: Vec<graph::Param>,
    /// By leaf.
    param: BTreeMap<usize, ParamId>,
}

fn registered(tracer: &Tracer, root: &Rc<Object>) -> R<Registered> {
    let mut state = State::default();
    state.visit(&tracer.run, root, "", 0)?;
    let named = &state.named;
    let mut all = Registered { params: Vec::new(), param: BTreeMap::new() };
    // an unregistered source is drawn under a name of its own
    let source = |of: &str| -> String {
        let known = of.parse::<usize>().ok().and_then(|i| named.iter().find(|n| n.0 == i));
        known.map_or_else(|| format!("#{of}"), |n| n.1.clone())
    };
    for (index, name) in named {
        let Some(leaf) = tracer.leaf(*index) else { continue };
        all.param.insert(*index, ParamId::at(all.params.len()));
        all.params.push(graph::Param {
            name: name.clone(),
            aliases: state.aliases.iter().filter(|a| a.0 == *index).map(|a| a.1.clone()).collect(),
            shape: leaf.shape.clone(),
            init: if leaf.init.copies() { leaf.init.with_names(&source) } else { leaf.init.clone() },
            trainable: leaf.trainable && !leaf.buffer,
            transient: leaf.transient,
            span: leaf.span,
        });
    }
    Ok(all)
}

fn unregistered(run: &Run) -> Box<Diagnostic> {
    let d =
        run.fault(Rule::Unregistered, "a parameter is used that belongs to no module, so it is never trained or saved");
    Box::new(d.help("assign the layer to an attribute, or use nn.ModuleList, nn.ModuleDict or nn.ParameterList instead of a plain list or dict"))
}

/// A graph of what a call needs, and where the nodes of the whole are in it. `training`: whether noise may have keys.
fn extract(
    tracer: &mut Tracer,
    old: &Graph,
    call: &Called,
    registered: &Registered,
    (hidden, training): (usize, bool),
    forward: Span,
) -> R<(Graph, Vec<Option<NodeId>>)> {
    let (mut graph, new_inputs) = Processor::inputs(hidden);
    let mut places: Vec<(NodeId, NodeId)> = call.inputs.into_iter().zip(new_inputs).collect();
    if training {
        for (at, name) in Training::INPUTS.into_iter().enumerate() {
            let new = graph.input(name, graph::noise::key_shape(at == 0), DType::Float, true);
            places.extend(call.drawn.keys.get(at).copied().flatten().map(|old| (old, new)));
        }
    }
    let internal = |tracer: &Tracer, e| tracer.run.fault(Rule::Internal, format!("the graph is inconsistent: {e}"));
    graph.set_params(&registered.params).map_err(|e| internal(tracer, e))?;
    let statistics = call.drawn.statistics.iter().flat_map(|moved| moved.batch).filter(|_| training);
    let mut live = vec![false; old.nodes().len()];
    let mut stack: Vec<NodeId> = std::iter::once(call.ret).chain(call.tri).chain(statistics).collect();
    while let Some(id) = stack.pop() {
        if let Some(seen) = live.get_mut(id.index())
            && !*seen
        {
            *seen = true;
            stack.extend(&old.node(id).args);
        }
    }
    let mut map: Vec<Option<NodeId>> = vec![None; old.nodes().len()];
    for (id, new) in places {
        if let Some(m) = map.get_mut(id.index()) {
            *m = Some(new);
        }
    }
    for (at, node) in old.nodes().iter().enumerate() {
        if live.get(at) != Some(&true) || map.get(at).is_some_and(Option::is_some) {
            continue;
        }
        let mut node = node.clone();
        match &node.op {
            Op::Input(_) => {
                tracer.run.move_to(forward);
                let d = tracer.run.fault(
                    Rule::Stateful,
                    "forward uses tensors that an earlier call left behind, so its result depends on more than its inputs",
                );
                return Err(Box::new(d.help("keep no tensors in attributes from one call to the next")));
            }
            Op::Param(p) => {
                let index = old.params().get(p.index()).and_then(|p| p.name.parse::<usize>().ok());
                let param = index.and_then(|i| registered.param.get(&i).copied());
                let Some(param) = param else {
                    tracer.run.move_to(index.and_then(|i| tracer.leaf(i)).map_or(node.span, |l| l.span));
                    return Err(unregistered(&tracer.run));
                };
                node.op = Op::Param(param);
            }
            _ => {}
        }
        for arg in &mut node.args {
            if let Some(Some(new)) = map.get(arg.index()) {
                *arg = *new;
            }
        }
        let id = graph.adopt_node(node).map_err(|e| internal(tracer, e))?;
        if let Some(m) = map.get_mut(at) {
            *m = Some(id);
        }
    }
    Ok((graph, map))
}
