//! Partial evaluation: everything that is known before the first call runs, tensors stay symbolic.

mod arith;
mod assign;
mod attr;
mod builtins;
mod call;
mod collections;
mod compare;
mod construct;
mod container;
mod contract;
mod deepcopy;
mod define;
mod einops;
mod exceptions;
mod expr;
mod format;
mod import;
mod index;
mod init;
mod iteration;
mod layout;
mod literal;
mod mathematics;
mod member;
mod meter;
mod methods;
mod named_tuple;
mod narrow;
pub mod native;
mod nn;
pub mod random;
mod records;
mod run;
mod saved;
mod set_attr;
pub mod state;
mod stdlib;
mod stmt;
mod storage;
mod tensor;
mod text;
mod torch;
mod trail;
pub mod value;
mod words;

use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use graph::{DType, Dim, Graph, Init, NodeId, Op, Param, Shape, Span};

pub use self::attr::unknown_method;
pub use self::contract::{Gradient, TYPES, contracts};
pub use self::import::unknown_member;
#[cfg(test)]
pub use self::member::native_names;
pub use self::member::{Member, attribute_names, builtin_names, is_builtin, is_in_place, is_special_method, resolve};
pub use self::native::names;
pub use self::nn::layers;
use self::run::Run;
pub use self::saved::{lost_value, reached_by_gradients};
pub use self::torch::refused::reason as refusal;
use self::value::{Class, Literal, Scope, ScopeKind};
pub use self::value::{Data, Object, Tensor, Value};
use crate::budget::Budgets;
use crate::diagnostic::Diagnostic;
use crate::syntax::{Function, Module, Name};

/// Whether a name of PyTorch, in full, is part of the language: a member of a module, or a method of tensors.
pub fn is_there(name: &str) -> bool {
    // what takes anything refuses all of it
    let works = |native: &native::Native| native.signature != "*args **kwargs";
    match name.strip_prefix("Tensor.") {
        Some(method) => native::find(name).is_some_and(works) || attr::TENSOR.contains(&method),
        None => name.rsplit_once('.').is_some_and(|(module, member)| match resolve(module, member) {
            Some(Member::Native(native)) => works(native),
            found => found.is_some(),
        }),
    }
}

/// Evaluation ends at the first fault, as Python would.
pub type R<T> = Result<T, Box<Diagnostic>>;

/// A parameter or buffer while the program is evaluated.
pub struct Leaf {
    pub shape: Vec<usize>,
    pub init: Init,
    pub dtype: DType,
    pub buffer: bool,
    pub trainable: bool,
    pub transient: bool,
    pub node: Option<NodeId>,
    pub span: Span,
}

/// How far evaluation has come: what may be made or changed depends on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The module's body, the factory, `__init__`.
    Load,
    /// The first call of `forward`, which may create layers.
    First,
    /// The second call: what training runs.
    Second,
}

pub struct Interp {
    pub run: Run,
    pub graph: Graph,
    pub leaves: Vec<Leaf>,
    pub phase: Phase,
    pub warnings: Vec<Diagnostic>,
    /// The last `return` that ran in a function called `forward`.
    pub returned: Span,
    /// Shapes that `reveal_shape` was asked for.
    pub revealed: Vec<(u32, String)>,
    /// All layers, for what is never called.
    pub modules: Vec<Rc<Object>>,
    pub globals: Rc<Scope>,
    reveal: bool,
    no_grad: u32,
    frames: Vec<(Rc<value::Closure>, Rc<Scope>)>,
    lazy_annotations: bool,
    classes: BTreeMap<&'static str, Rc<Class>>,
    scopes: Vec<Weak<Scope>>,
    objects: Vec<Weak<Object>>,
    closures: Vec<Weak<value::Closure>>,
    made: Vec<Weak<Class>>,
    /// The exceptions whose handlers are running.
    handling: Vec<(Box<Diagnostic>, Value)>,
    /// The lists, dicts and objects that are being printed.
    printing: Vec<usize>,
    /// What the generators that are running have yielded so far.
    yields: Vec<Vec<Value>>,
    /// All changes of tensors in place.
    pub writes: Vec<saved::Write>,
    /// Results of in-place operations that the backward pass needs although their plain forms need the argument.
    pub kept_results: Vec<NodeId>,
    /// Values that a function made of several operations keeps for its gradient, as torch's does, each behind the node that it gives.
    pub kept_args: Vec<(NodeId, NodeId)>,
    /// Operations that torch has no derivative for, so that no gradient may reach them.
    pub undifferentiable: Vec<NodeId>,
    /// The number of nodes when the change that is being made began.
    writing: Option<usize>,
    /// Whether `self.training` is true.
    pub training: bool,
    /// Where the program last asked whether it is being trained.
    pub asked_mode: Option<Span>,
    /// Where the second call changed something that may outlive it, by address and slot.
    changes: BTreeMap<(usize, Option<Name>), Span>,
    /// Nodes that are integers of 32 bits.
    narrow: std::collections::BTreeSet<NodeId>,
    /// For the nodes so far: whether they depend on an input.
    from_inputs: Vec<bool>,
    /// For the nodes so far: whether gradients flow through them.
    gradients: Vec<bool>,
    /// What the call that is running has drawn.
    pub drawn: random::Drawn,
    /// In evaluation: the modules that it has set into its mode.
    evaluated: std::collections::BTreeSet<usize>,
    /// How the tensors that are not contiguous lie in memory.
    layouts: BTreeMap<u32, layout::Layout>,
}

impl Interp {
    pub fn new(graph: Graph, budgets: Budgets, reveal: bool) -> Self {
        let globals = Rc::new(Scope { vars: Default::default(), parent: None, kind: ScopeKind::Module });
        Self {
            run: Run::new(budgets),
            graph,
            leaves: Vec::new(),
            phase: Phase::Load,
            warnings: Vec::new(),
            returned: Span::default(),
            revealed: Vec::new(),
            modules: Vec::new(),
            globals,
            reveal,
            no_grad: 0,
            frames: Vec::new(),
            lazy_annotations: false,
            classes: BTreeMap::new(),
            scopes: Vec::new(),
            objects: Vec::new(),
            closures: Vec::new(),
            made: Vec::new(),
            handling: Vec::new(),
            printing: Vec::new(),
            yields: Vec::new(),
            writes: Vec::new(),
            kept_results: Vec::new(),
            kept_args: Vec::new(),
            undifferentiable: Vec::new(),
            writing: None,
            training: true,
            asked_mode: None,
            changes: BTreeMap::new(),
            narrow: Default::default(),
            from_inputs: Vec::new(),
            gradients: Vec::new(),
            drawn: random::Drawn::default(),
            evaluated: Default::default(),
            layouts: BTreeMap::new(),
        }
    }

    /// Runs the module's body.
    pub fn load(&mut self, module: &Module) -> R<()> {
        let globals = self.globals.clone();
        globals.vars.borrow_mut().insert("__name__".into(), Value::str("candidate"));
        self.block(&module.body, &globals).map(|_| ())
    }

    fn scope(&mut self, parent: &Rc<Scope>, kind: ScopeKind) -> Rc<Scope> {
        let scope = Rc::new(Scope { vars: Default::default(), parent: Some(parent.clone()), kind });
        self.scopes.push(Rc::downgrade(&scope));
        scope
    }

    fn function_scope(&mut self, parent: &Rc<Scope>, code: &Rc<Function>) -> Rc<Scope> {
        self.scope(parent, ScopeKind::Function(code.clone()))
    }

    /// Gives one more call as much as all before it were given.
    pub fn extend_budgets(&mut self) {
        self.run.meter.extend(self.graph.nodes().len());
    }

    // === Where evaluation stands, and what it costs ===

    pub fn here(&self) -> Span {
        self.run.here()
    }

    pub fn move_to(&mut self, span: Span) {
        self.run.trail.move_to(span);
    }

    pub fn fault(&self, code: &'static str, message: impl Into<String>) -> Box<Diagnostic> {
        self.run.fault(code, message)
    }

    pub fn refuse<T>(&self, code: &'static str, message: impl Into<String>) -> R<T> {
        self.run.refuse(code, message)
    }

    pub fn type_fault<T>(&self, message: impl Into<String>) -> R<T> {
        self.run.type_fault(message)
    }

    pub fn value_fault<T>(&self, message: impl Into<String>) -> R<T> {
        self.run.value_fault(message)
    }

    pub fn exception(&self, class: &'static str, message: impl Into<String>) -> Box<Diagnostic> {
        self.run.exception(class, message)
    }

    pub fn step(&mut self) -> R<()> {
        self.run.step()
    }

    pub fn charge(&mut self, work: u64) -> R<()> {
        self.run.charge(work)
    }

    pub fn go_over(&mut self, count: usize) -> R<()> {
        self.run.go_over(count)
    }

    pub fn allocate(&mut self, count: usize) -> R<()> {
        self.run.allocate(count)
    }

    /// Goes one level deeper into statements, expressions, calls or values that hold each other.
    ///
    /// # Errors
    /// `E-BUDGET-DEPTH` where this is too deep, which is how values that hold themselves end.
    pub fn nested<T>(&mut self, walk: impl FnOnce(&mut Self) -> R<T>) -> R<T> {
        self.run.descend()?;
        let done = walk(self);
        self.run.meter.ascend();
        done
    }

    // === The graph ===

    /// Adds an operation whose type follows from its arguments.
    pub fn push(&mut self, op: Op, args: &[NodeId]) -> R<NodeId> {
        let code = op_code(&op);
        match self.graph.push(op, args, self.here()) {
            Ok(id) => self.admit(id),
            Err(e) => Err(self.run.op_fault(code, &e)),
        }
    }

    /// Adds an operation of a stated type.
    pub fn push_as(&mut self, op: Op, args: &[NodeId], shape: Shape, dtype: DType) -> R<NodeId> {
        let code = op_code(&op);
        match self.graph.push_as(op, args, shape, dtype, self.here()) {
            Ok(id) => self.admit(id),
            Err(e) => Err(self.run.op_fault(code, &e)),
        }
    }

    fn admit(&mut self, id: NodeId) -> R<NodeId> {
        self.run.keep(self.run.meter.allows_nodes(self.graph.nodes().len()))?;
        let shape = self.graph.shape(id);
        if shape.len() > 8 {
            let text = format!("a tensor of {} axes; at most 8 are supported", shape.len());
            return Err(self.fault("E-UNSUPPORTED-RANK", text));
        }
        let terms: usize = shape.iter().map(|d| d.terms().count()).sum();
        if terms > 2 * arith::MAX_TERMS {
            let text = format!("sizes of {terms} terms in B and N; at most {} are followed", 2 * arith::MAX_TERMS);
            return Err(self.fault("E-UNSUPPORTED-SIZE", text));
        }
        if let Err(e) = self.run.meter.allows_tensor(shape) {
            let d = self.fault(e.code, e.text);
            return Err(Box::new(d.help("project to fewer features (nb_triplet_fts) before lifting to triples of nodes, or reduce one node axis first")));
        }
        self.note_layout(id);
        if self.narrow.is_empty() { Ok(id) } else { self.with_width(id) }
    }

    /// Registers a parameter or buffer that starts as `literal`.
    pub fn leaf(&mut self, literal: Literal, buffer: bool, transient: bool, span: Span) -> R<usize> {
        let within = self.run.meter.add_leaf(literal.numel());
        self.run.keep(within)?;
        let Literal { shape, init, dtype } = literal;
        self.leaves.push(Leaf { shape, init, dtype, buffer, trainable: !buffer, transient, node: None, span });
        Ok(self.leaves.len() - 1)
    }

    /// The node of a tensor, made where it is not yet there.
    pub fn node(&mut self, tensor: &Tensor) -> R<NodeId> {
        let data = tensor.data.borrow().clone();
        match data {
            Data::Node(id) => self.current(tensor, id),
            Data::Leaf(index) => {
                let id = self.leaf_node(index)?;
                if tensor.detached { self.push(Op::Detach, &[id]) } else { Ok(id) }
            }
            Data::Literal(literal) => {
                if literal.is_random() && self.phase == Phase::First {
                    // where the tensor was not drawn in this call, the next one finds it here
                    let shape = self.shape_of(tensor);
                    let id = self.drawn_as(&literal.init, &shape)?;
                    self.settle(tensor, id);
                    return Ok(id);
                }
                if literal.is_random() {
                    let mut d = *self.fault(
                        "E-UNSUPPORTED-RANDOM",
                        "a random tensor that was drawn once is used in the computation",
                    );
                    if tensor.span.line > 0 && tensor.span.line != d.line {
                        d = d.note(tensor.span, "drawn here");
                    }
                    return Err(Box::new(d.help(
                        "random values may initialise an nn.Parameter; draw noise in forward, in training only",
                    )));
                }
                let id = self.literal_node(&literal)?;
                self.settle(tensor, id);
                Ok(id)
            }
        }
    }

    fn literal_node(&mut self, literal: &Literal) -> R<NodeId> {
        let shape: Shape = literal.shape.iter().copied().map(Dim::of).collect();
        let op = match &literal.init {
            Init::Constant(v) => Op::Full(*v),
            Init::Eye => Op::Eye,
            other => match (Literal { init: other.clone(), ..literal.clone() }).values() {
                Some(values) => Op::Const(values),
                None => return self.refuse("E-UNSUPPORTED-OP", "this constant cannot be used in a computation"),
            },
        };
        self.push_as(op, &[], shape, literal.dtype)
    }

    pub fn leaf_node(&mut self, index: usize) -> R<NodeId> {
        let Some(leaf) = self.leaves.get_mut(index) else {
            return self.refuse("E-INTERNAL", "a parameter without a place");
        };
        if let Some(node) = leaf.node {
            return Ok(node);
        }
        // names are known only when all modules are: until then the index serves
        let param = Param {
            name: index.to_string(),
            aliases: Vec::new(),
            shape: leaf.shape.clone(),
            init: Init::Constant(0.0),
            trainable: leaf.trainable,
            transient: leaf.transient,
            span: leaf.span,
        };
        let (dtype, span) = (leaf.dtype, leaf.span);
        let mut node = self.graph.param(param, span);
        if dtype != DType::Float {
            let shape = self.graph.shape(node).clone();
            node = self.push_as(Op::Cast, &[node], shape, dtype)?;
        }
        if let Some(leaf) = self.leaves.get_mut(index) {
            leaf.node = Some(node);
        }
        Ok(node)
    }
}

impl Drop for Interp {
    /// Functions, classes, objects, lists and dicts refer to each other in circles: cut them.
    fn drop(&mut self) {
        drop(value::empty_all());
        for scope in self.scopes.drain(..).filter_map(|s| s.upgrade()) {
            scope.vars.take();
        }
        for object in self.objects.drain(..).filter_map(|o| o.upgrade()) {
            object.attrs.take();
            object.module.take();
        }
        for closure in self.closures.drain(..).filter_map(|c| c.upgrade()) {
            closure.class.take();
        }
        for object in self.modules.drain(..) {
            object.class.attrs.take();
            object.class.mro.take();
        }
        for class in self.made.drain(..).filter_map(|c| c.upgrade()) {
            class.attrs.take();
            class.mro.take();
        }
        self.globals.vars.take();
        for class in self.classes.values() {
            class.mro.take();
            class.attrs.take();
        }
    }
}

/// The code of a fault of `op`.
fn op_code(op: &Op) -> &'static str {
    match op {
        Op::Binary(_) | Op::Where => "E-SHAPE-BROADCAST",
        Op::Linear { .. } => "E-SHAPE-LINEAR",
        Op::MatMul => "E-SHAPE-MATMUL",
        Op::Einsum(_) => "E-SHAPE-EINSUM",
        Op::Reshape => "E-SHAPE-RESHAPE",
        Op::Expand => "E-SHAPE-EXPAND",
        Op::Cat { .. } => "E-SHAPE-CAT",
        Op::Slice { .. } | Op::Select { .. } => "E-SHAPE-INDEX",
        Op::Gather { .. } | Op::Scatter { .. } | Op::ScatterAdd { .. } | Op::IndexSelect { .. } => "E-SHAPE-GATHER",
        Op::TopK { .. } | Op::TopKIndices { .. } => "E-SHAPE-TOPK",
        Op::LayerNorm { .. } => "E-SHAPE-NORM",
        _ => "E-SHAPE-OP",
    }
}
