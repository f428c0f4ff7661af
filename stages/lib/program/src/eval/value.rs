//! The values that partial evaluation handles: Python's own, and tensors that stand for nodes of the graph.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use graph::{DType, Dim, Init, NodeId, Span};

use super::iterator::Iter;
use super::native::Native;
use super::nn::Layer;
use super::storage::{Storage, View};
use crate::syntax::{self, Name};

#[derive(Clone)]
pub enum Value {
    None,
    Ellipsis,
    Bool(bool),
    Int(i64),
    /// An integer that depends on B or N.
    Dim(Dim),
    Float(f64),
    /// A Python float that depends on B or N: a 0-dimensional node.
    Number(NodeId),
    Str(Name),
    Tuple(Rc<Vec<Value>>),
    /// A tuple whose fields have names, such as `x.max(dim)`'s `values` and `indices`.
    Named(Rc<(&'static [&'static str], Vec<Value>)>),
    List(Rc<RefCell<Vec<Value>>>),
    Dict(Rc<RefCell<Dict>>),
    /// Keys alone.
    Set(Rc<RefCell<Dict>>),
    Slice(Rc<[Value; 3]>),
    Range(i64, i64, i64),
    /// A generator, `zip`, `map` and their like, with how far it has come.
    Iter(Source),
    /// What `keys()`, `values()` and `items()` of a dict or of a container of modules give.
    View(Rc<DictView>),
    Function(Rc<Closure>),
    /// A callable and the object that it is bound to.
    Bound(Rc<(Value, Value)>),
    Native(&'static Native),
    Class(Rc<Class>),
    Object(Rc<Object>),
    Tensor(Rc<Tensor>),
    /// A module of the standard library or of torch, by its full name.
    Module(Name),
    DType(TensorType),
    Device,
    Property(Rc<Property>),
    StaticMethod(Rc<Value>),
    ClassMethod(Rc<Value>),
    /// `super()`: the class after which to look, and the object.
    Super(Rc<(Rc<Class>, Value)>),
    /// `functools.partial`.
    Partial(Rc<Partial>),
    /// `functools.partialmethod`: its arguments come behind the object.
    PartialMethod(Rc<Partial>),
    /// What annotations are made of; nothing can be done with it.
    Typing,
    /// `torch.no_grad()` and other contexts: whether gradients are off inside, if that changes.
    Context(Option<bool>),
}

/// An iterator, which whoever holds it moves on for all others.
pub type Source = Rc<RefCell<Iter>>;

/// What of the entries of a dict is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Keys,
    Values,
    Items,
}

impl Part {
    /// What the method of this name looks at: `keys`, `values`, `items`.
    pub fn of_method(name: &str) -> Self {
        match name {
            "keys" => Self::Keys,
            "values" => Self::Values,
            _ => Self::Items,
        }
    }
}

/// A live look at a dict or at a container of modules.
pub struct DictView {
    pub part: Part,
    pub of: Viewed,
}

/// What a view looks at.
#[derive(Clone)]
pub enum Viewed {
    Dict(Rc<RefCell<Dict>>),
    Module(Rc<Object>),
}

impl DictView {
    /// The type's name in Python.
    pub fn type_name(&self) -> &'static str {
        match self.part {
            Part::Keys => "dict_keys",
            Part::Values => "dict_values",
            Part::Items => "dict_items",
        }
    }

    /// What it looks at as a value.
    pub fn whole(&self) -> Value {
        match &self.of {
            Viewed::Dict(dict) => Value::Dict(dict.clone()),
            Viewed::Module(object) => Value::Object(object.clone()),
        }
    }
}

/// A function, and arguments that it is given before those of the call.
pub type Partial = (Value, Vec<Value>, Vec<(Name, Value)>);

/// A torch element type; the width matters to nothing but `finfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorType {
    pub dtype: DType,
    pub name: &'static str,
}

pub const FLOAT32: TensorType = TensorType { dtype: DType::Float, name: "torch.float32" };
pub const INT32: TensorType = TensorType { dtype: DType::Int, name: "torch.int32" };
pub const INT64: TensorType = TensorType { dtype: DType::Int, name: "torch.int64" };
pub const BOOL: TensorType = TensorType { dtype: DType::Bool, name: "torch.bool" };

/// A property's accessors.
pub struct Property {
    pub get: Value,
    pub set: Option<Value>,
}

/// What a dictionary key is equal by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    None,
    /// `True == 1` and `1.0 == 1` are one key, as in Python.
    Int(i64),
    Float(u64),
    Str(Name),
    Tuple(Vec<Key>),
    Dim(Dim),
    /// Objects, classes, functions, tensors: by identity.
    Identity(usize),
    Type(&'static str),
}

/// A dictionary in insertion order.
#[derive(Default)]
pub struct Dict {
    pub entries: BTreeMap<u64, (Key, Value, Value)>,
    index: BTreeMap<Key, u64>,
    next: u64,
    /// Grows whenever a key is added or removed.
    changes: u64,
}

impl Dict {
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.index.get(key).and_then(|at| self.entries.get(at)).map(|e| &e.2)
    }

    pub fn insert(&mut self, key: Key, name: Value, value: Value) {
        if let Some(entry) = self.index.get(&key).and_then(|at| self.entries.get_mut(at)) {
            entry.2 = value;
            return;
        }
        self.index.insert(key.clone(), self.next);
        self.entries.insert(self.next, (key, name, value));
        self.next += 1;
        self.changes += 1;
    }

    pub fn remove(&mut self, key: &Key) -> Option<Value> {
        let at = self.index.remove(key)?;
        self.changes += 1;
        self.entries.remove(&at).map(|e| e.2)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn keys(&self) -> Vec<Value> {
        self.entries.values().map(|e| e.1.clone()).collect()
    }

    pub fn items(&self) -> Vec<(Value, Value)> {
        self.entries.values().map(|e| (e.1.clone(), e.2.clone())).collect()
    }

    pub fn clear(&mut self) {
        *self = Self { changes: self.changes + 1, ..Self::default() };
    }

    /// How often keys were added or removed.
    pub fn changes(&self) -> u64 {
        self.changes
    }
}

/// The variables of a function, a comprehension, a class body or the module.
pub struct Scope {
    pub vars: RefCell<BTreeMap<Name, Value>>,
    pub parent: Option<Rc<Scope>>,
    pub kind: ScopeKind,
}

pub enum ScopeKind {
    Module,
    Class,
    /// With the function, whose locals may not be read before they are bound.
    Function(Rc<syntax::Function>),
    Comprehension,
    /// Of a generator expression, whose body runs wherever it is gone over.
    Generator,
}

/// A function and the scope it was made in.
pub struct Closure {
    pub code: Rc<syntax::Function>,
    pub defaults: Vec<Option<Value>>,
    pub scope: Rc<Scope>,
    /// The class whose body it stands in: for `super()`.
    pub class: RefCell<Option<Rc<Class>>>,
    /// For functions under `@torch.no_grad()` and its like: whether gradients are off inside.
    pub no_grad: Option<bool>,
    /// What `functools.wraps` calls it.
    pub renamed: Option<Name>,
}

impl Closure {
    pub fn name(&self) -> &Name {
        self.renamed.as_ref().unwrap_or(&self.code.name)
    }

    /// The same under another name.
    pub fn named(&self, name: &Name) -> Self {
        Self {
            code: self.code.clone(),
            defaults: self.defaults.clone(),
            scope: self.scope.clone(),
            class: self.class.clone(),
            no_grad: self.no_grad,
            renamed: Some(name.clone()),
        }
    }
}

/// A class of the program, of torch, or a builtin type.
pub struct Class {
    pub name: Name,
    /// Itself first, in method resolution order.
    pub mro: RefCell<Vec<Rc<Class>>>,
    pub attrs: RefCell<BTreeMap<Name, Value>>,
    pub native: NativeClass,
    pub span: Span,
}

#[derive(Clone, Copy)]
pub enum NativeClass {
    /// Written in the program.
    No,
    Object,
    /// `int`, `list`, ...: callable by name.
    Type,
    Exception,
    Tensor,
    Layer(&'static Layer),
}

impl Class {
    /// Looks `name` up in the method resolution order.
    pub fn find(&self, name: &str) -> Option<Value> {
        self.mro.borrow().iter().find_map(|c| c.attrs.borrow().get(name).cloned())
    }

    /// As [`Class::find`], but only behind `after`.
    pub fn find_after(&self, after: &Class, name: &str) -> Option<Value> {
        let mro = self.mro.borrow();
        let mut rest = mro.iter().skip_while(|c| !std::ptr::eq(c.as_ref(), after));
        rest.next();
        rest.find_map(|c| c.attrs.borrow().get(name).cloned())
    }

    pub fn is_subclass_of(&self, other: &Class) -> bool {
        self.mro.borrow().iter().any(|c| std::ptr::eq(c.as_ref(), other))
    }

    /// The nearest layer of torch that it is or derives from.
    pub fn layer(&self) -> Option<&'static Layer> {
        self.mro.borrow().iter().find_map(|c| match c.native {
            NativeClass::Layer(layer) => Some(layer),
            _ => None,
        })
    }

    pub fn is_exception(&self) -> bool {
        self.mro.borrow().iter().any(|c| matches!(c.native, NativeClass::Exception))
    }
}

/// An instance of a class of the program or of a layer.
pub struct Object {
    pub class: Rc<Class>,
    pub attrs: RefCell<BTreeMap<Name, Value>>,
    /// For `nn.Module`s whose `__init__` has run.
    pub module: RefCell<Option<ModuleState>>,
    pub span: Span,
}

/// What an `nn.Module` registers, in the order of registration.
#[derive(Default)]
pub struct ModuleState {
    pub params: Vec<(Name, Option<Rc<Tensor>>)>,
    /// And whether they belong to the `state_dict`.
    pub buffers: Vec<(Name, Option<Rc<Tensor>>, bool)>,
    pub children: Vec<(Name, Option<Rc<Object>>)>,
    pub called: bool,
}

/// A tensor. In-place operations replace what it stands for.
pub struct Tensor {
    pub data: RefCell<Data>,
    /// Shared by tensors that view one memory.
    pub storage: Rc<Storage>,
    /// How it views that memory; nothing for the tensor whose memory it is.
    pub view: Option<Rc<View>>,
    /// The version of the memory that `data` was read from.
    pub seen: Cell<u64>,
    /// Whether gradients flow into it as a leaf.
    pub requires_grad: Cell<bool>,
    /// Whether it is the `.data` of a parameter: the same memory, and no gradient.
    pub detached: bool,
    /// Attributes that the program gave it for its own use.
    pub marks: RefCell<BTreeMap<Name, Value>>,
    pub span: Span,
}

impl Tensor {
    /// A tensor with memory of its own, or that of another one.
    pub fn new(data: Data, storage: Rc<Storage>, requires_grad: bool, span: Span) -> Self {
        let seen = Cell::new(0);
        Self {
            data: data.into(),
            storage,
            view: None,
            seen,
            requires_grad: requires_grad.into(),
            detached: false,
            marks: RefCell::default(),
            span,
        }
    }
}

#[derive(Clone)]
pub enum Data {
    /// A value of the graph.
    Node(NodeId),
    /// A constant or random tensor that nothing has used yet: what parameters are made of.
    Literal(Literal),
    /// A parameter or buffer, by its index in the evaluator's list.
    Leaf(usize),
}

/// A tensor of known shape that is described by how it starts.
#[derive(Clone, Debug)]
pub struct Literal {
    pub shape: Vec<usize>,
    pub init: Init,
    pub dtype: DType,
}

impl Literal {
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether its values are drawn at random.
    pub fn is_random(&self) -> bool {
        fn random(init: &Init) -> bool {
            match init {
                Init::Constant(_) | Init::Values(_) | Init::Eye => false,
                Init::Affine { base, .. } | Init::Weighted { base, .. } => random(base),
                _ => true,
            }
        }
        random(&self.init)
    }

    /// All elements, row-major, where they are known.
    pub fn values(&self) -> Option<Vec<f64>> {
        match &self.init {
            Init::Constant(v) => Some(vec![*v; self.numel()]),
            Init::Values(values) => Some(values.clone()),
            _ => None,
        }
    }
}

thread_local! {
    /// The lists and dicts of the evaluation that this thread does: they may hold themselves.
    static LISTS: RefCell<Vec<Weak<RefCell<Vec<Value>>>>> = const { RefCell::new(Vec::new()) };
    static DICTS: RefCell<Vec<Weak<RefCell<Dict>>>> = const { RefCell::new(Vec::new()) };
    /// And its iterators, which may go over each other.
    static ITERATORS: RefCell<Vec<Weak<RefCell<Iter>>>> = const { RefCell::new(Vec::new()) };
}

/// Empties all lists, dicts and iterators that are still there, so that those that hold themselves are freed, too. What they held
/// comes back: dropped now, none of it holds one with anything in it, so that no nesting of them is dropped recursively.
pub fn empty_all() -> Vec<Value> {
    let lists = LISTS.take().into_iter().filter_map(|l| l.upgrade()).flat_map(|l| l.take());
    let mut held: Vec<Value> = lists.collect();
    for dict in DICTS.take().into_iter().filter_map(|d| d.upgrade()) {
        held.extend(dict.take().entries.into_values().flat_map(|(_, name, value)| [name, value]));
    }
    for iterator in ITERATORS.take().into_iter().filter_map(|i| i.upgrade()) {
        held.push(Value::Iter(Rc::new(RefCell::new(iterator.replace(Iter::Done)))));
    }
    held
}

impl Iter {
    /// As something that several may move on.
    pub fn shared(self) -> Source {
        let iterator = Rc::new(RefCell::new(self));
        ITERATORS.with_borrow_mut(|all| all.push(Rc::downgrade(&iterator)));
        iterator
    }
}

impl Value {
    pub fn tuple(items: Vec<Value>) -> Self {
        Self::Tuple(Rc::new(items))
    }

    pub fn list(items: Vec<Value>) -> Self {
        let list = Rc::new(RefCell::new(items));
        LISTS.with_borrow_mut(|all| all.push(Rc::downgrade(&list)));
        Self::List(list)
    }

    pub fn dict(entries: Dict) -> Self {
        Self::Dict(Self::shared(entries))
    }

    pub fn set(entries: Dict) -> Self {
        Self::Set(Self::shared(entries))
    }

    fn shared(entries: Dict) -> Rc<RefCell<Dict>> {
        let dict = Rc::new(RefCell::new(entries));
        DICTS.with_borrow_mut(|all| all.push(Rc::downgrade(&dict)));
        dict
    }

    pub fn iter(state: Iter) -> Self {
        Self::Iter(state.shared())
    }

    pub fn str(text: &str) -> Self {
        Self::Str(text.into())
    }

    /// A size as an integer.
    pub fn dim(dim: &Dim) -> Self {
        dim.as_known().map_or_else(|| Self::Dim(dim.clone()), Self::Int)
    }

    /// What Python calls its type, for messages.
    pub fn type_name(&self) -> String {
        match self {
            Self::None => "None".into(),
            Self::Ellipsis => "ellipsis".into(),
            Self::Bool(_) => "bool".into(),
            Self::Int(_) | Self::Dim(_) => "int".into(),
            Self::Float(_) | Self::Number(_) => "float".into(),
            Self::Str(_) => "str".into(),
            Self::Tuple(_) | Self::Named(_) => "tuple".into(),
            Self::List(_) => "list".into(),
            Self::Dict(_) => "dict".into(),
            Self::Set(_) => "set".into(),
            Self::Slice(_) => "slice".into(),
            Self::Range(..) => "range".into(),
            Self::Iter(it) => it.try_borrow().map_or("generator", |it| it.type_name()).into(),
            Self::View(view) => view.type_name().into(),
            Self::Function(_) => "function".into(),
            Self::Bound(_) => "method".into(),
            Self::Native(_) => "builtin function".into(),
            Self::Class(c) => format!("class {}", c.name),
            Self::Object(o) => o.class.name.to_string(),
            Self::Tensor(_) => "Tensor".into(),
            Self::Module(name) => format!("module {name}"),
            Self::DType(_) => "torch.dtype".into(),
            Self::Device => "torch.device".into(),
            Self::Property(_) => "property".into(),
            Self::StaticMethod(_) | Self::ClassMethod(_) => "method".into(),
            Self::Super(_) => "super".into(),
            Self::Partial(_) => "functools.partial".into(),
            Self::PartialMethod(_) => "functools.partialmethod".into(),
            Self::Typing => "typing object".into(),
            Self::Context(_) => "context manager".into(),
        }
    }

    /// An address that tells objects apart.
    pub fn identity(&self) -> Option<usize> {
        Some(match self {
            Self::List(v) => Rc::as_ptr(v).addr(),
            Self::Dict(v) | Self::Set(v) => Rc::as_ptr(v).addr(),
            Self::Function(v) => Rc::as_ptr(v).addr(),
            Self::Class(v) => Rc::as_ptr(v).addr(),
            Self::Object(v) => Rc::as_ptr(v).addr(),
            Self::Tensor(v) => Rc::as_ptr(v).addr(),
            Self::Iter(v) => Rc::as_ptr(v).addr(),
            Self::View(v) => Rc::as_ptr(v).addr(),
            Self::Native(v) => std::ptr::from_ref::<Native>(v).addr(),
            _ => return None,
        })
    }
}
