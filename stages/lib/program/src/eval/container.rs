//! Methods of `nn.Module`, and the containers `Sequential`, `ModuleList`, `ModuleDict`, `ParameterList`.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use super::compare::same;
use super::iterator::{Held, Iter};
use super::named_tuple::tuple_items;
use super::native::{Args, Native, native};
use super::value::{Data, DictView, Object, Part, Tensor, Value, Viewed};
use super::{Interp, R, Run};
use crate::rules::Rule;
use crate::syntax::Name;

fn module(run: &Run, a: &Args) -> R<Rc<Object>> {
    match a.value("self") {
        Value::Object(o) if o.class.layer().is_some() => {
            if o.module.borrow().is_none() {
                let d = run.fault(Rule::ModuleInit, "super().__init__() was not called");
                return Err(Box::new(d.help("start __init__ with super().__init__()")));
            }
            Ok(o)
        }
        other => run.type_fault(format!("{}() belongs to modules, not {}", a.function(), other.type_name())),
    }
}

impl Interp {
    /// Puts an element into a list of layers or parameters, and those behind it one further.
    pub fn insert(&mut self, o: &Rc<Object>, at: i64, value: Value) -> R<()> {
        let len = container_len(o).unwrap_or(0) as i64;
        let at = (if at < 0 { at.saturating_add(len) } else { at }).clamp(0, len);
        self.append(o, value)?;
        self.tracer.registered += 1;
        self.tracer.run.go_over_module(o)?;
        if let Some(state) = o.module.borrow_mut().as_mut() {
            let at = usize::try_from(at).unwrap_or(0);
            let name = |i: usize| -> Name { i.to_string().as_str().into() };
            if let Some(slots) = state.children.get_mut(at..) {
                slots.rotate_right(1);
                state.children.iter_mut().enumerate().for_each(|(i, c)| c.0 = name(i));
            } else if let Some(slots) = state.params.get_mut(at..) {
                slots.rotate_right(1);
                state.params.iter_mut().enumerate().for_each(|(i, p)| p.0 = name(i));
            }
        }
        Ok(())
    }

    pub fn container_get(&mut self, o: &Rc<Object>, index: &Value) -> R<Value> {
        if let Some(items) = tuple_items(o) {
            return self.subscript(&Value::tuple(items), index);
        }
        if let Some(f) = o.class.find("__getitem__") {
            return self.call(&f, vec![Value::Object(o.clone()), index.clone()], Vec::new());
        }
        if matches!(container(o), "ModuleDict" | "ParameterDict") {
            let Value::Str(name) = index else {
                return self.type_fault(format!("this is indexed by names, not {}", index.type_name()));
            };
            if container(o) == "ParameterDict" {
                let own = Value::Object(o.clone());
                return match o.module.borrow().as_ref().is_some_and(|s| s.params.iter().any(|p| p.0 == *name)) {
                    true => self.attribute(&own, name),
                    false => self.tracer.run.key_fault(format!("the ParameterDict has no parameter '{name}'")),
                };
            }
            self.tracer.run.go_over_module(o)?;
            let state = o.module.borrow();
            let found = state.as_ref().and_then(|s| s.children.iter().find(|c| c.0 == *name)).and_then(|c| c.1.clone());
            return match found {
                Some(c) => Ok(Value::Object(c)),
                None => self.tracer.run.key_fault(format!("the ModuleDict has no layer '{name}'")),
            };
        }
        self.go_over(2 * container_len(o).unwrap_or(0))?;
        match container_items(o) {
            Some(items) => match index {
                Value::Slice(parts) => {
                    let picked = self.tracer.run.slice_positions(parts, items.len())?;
                    let picked: Vec<Value> = picked.iter().filter_map(|&i| items.get(i).cloned()).collect();
                    let class = Value::Class(o.class.clone());
                    if o.class.layer().is_some_and(|l| l.name == "torch.nn.Sequential") {
                        self.call(&class, picked, Vec::new())
                    } else {
                        self.call(&class, vec![Value::list(picked)], Vec::new())
                    }
                }
                _ => self.subscript(&Value::list(items), index),
            },
            None => self.type_fault(format!("{} cannot be indexed", o.class.name)),
        }
    }

    pub fn container_set(&mut self, o: &Rc<Object>, index: &Value, value: Value) -> R<()> {
        let name: Name = match (container(o), index) {
            ("ModuleDict" | "ParameterDict", Value::Str(name)) => name.clone(),
            ("ModuleList" | "ParameterList", Value::Int(i)) => {
                let len = container_len(o).unwrap_or(0) as i64;
                let at = if *i < 0 { i.saturating_add(len) } else { *i };
                if !(0..len).contains(&at) {
                    return self
                        .tracer
                        .run
                        .index_fault(format!("the index {i} is out of range: there are {len} elements"));
                }
                at.to_string().as_str().into()
            }
            _ => return self.type_fault(format!("items of {} cannot be assigned to", o.class.name)),
        };
        self.register(o, &name, value)
    }

    /// Registers a layer or parameter under a name, as containers do.
    pub fn register(&mut self, o: &Rc<Object>, name: &Name, value: Value) -> R<()> {
        let mut value = value;
        // lists and dicts of parameters make parameters of tensors
        if let Value::Tensor(t) = &value
            && matches!(container(o), "ParameterList" | "ParameterDict")
            && !self.tracer.is_parameter(t)
            && let Some(make) = super::native::find("torch.nn.Parameter")
        {
            value = self.call_native(make, vec![value], Vec::new())?;
        }
        match &value {
            Value::Object(c) if c.class.layer().is_some() => {}
            Value::Tensor(t) if self.tracer.is_parameter(t) => {}
            Value::None => {}
            other => {
                return self.type_fault(format!(
                    "{} holds layers, not {}",
                    o.class.name.rsplit('.').next().unwrap_or(""),
                    other.type_name()
                ));
            }
        }
        self.allocate(1)?;
        self.set_attribute(&Value::Object(o.clone()), name, value)
    }

    /// Appends to a list of layers or parameters.
    pub fn append(&mut self, o: &Rc<Object>, value: Value) -> R<()> {
        let at = container_len(o).unwrap_or(0);
        let name: Name = at.to_string().as_str().into();
        self.register(o, &name, value)
    }

    /// Fills a `ModuleDict` from a dict, another one, or pairs.
    pub fn update_modules(&mut self, o: &Rc<Object>, from: &Value) -> R<()> {
        let pairs: Vec<(Value, Value)> = match from {
            Value::Dict(d) => d.borrow().items(),
            Value::Object(other) => {
                let state = other.module.borrow();
                state.as_ref().map_or_else(Vec::new, |s| {
                    s.children
                        .iter()
                        .filter_map(|c| c.1.clone().map(|v| (Value::Str(c.0.clone()), Value::Object(v))))
                        .collect()
                })
            }
            other => {
                let mut pairs = Vec::new();
                for pair in self.items(other)? {
                    let pair = self.items(&pair)?;
                    match pair.as_slice() {
                        [k, v] => pairs.push((k.clone(), v.clone())),
                        _ => return self.value_fault("pairs of names and layers are needed"),
                    }
                }
                pairs
            }
        };
        for (name, value) in pairs {
            match name {
                Value::Str(name) => self.register(o, &name, value)?,
                other => return self.type_fault(format!("names are strings, not {}", other.type_name())),
            }
        }
        Ok(())
    }
}

impl Run {
    /// Counts the work of looking a name up among what a module registers.
    pub fn go_over_module(&mut self, o: &Object) -> R<()> {
        let held = o.module.borrow().as_ref().map_or(0, |s| s.params.len() + s.buffers.len() + s.children.len());
        self.go_over(held)
    }
}

/// What iterating over a container gives: layers, or names for a `ModuleDict`.
pub fn container_items(o: &Object) -> Option<Vec<Value>> {
    let state = o.module.borrow();
    let state = state.as_ref()?;
    Some(match container(o) {
        "ModuleList" => state.children.iter().filter_map(|c| c.1.clone().map(Value::Object)).collect(),
        "ModuleDict" => state.children.iter().map(|c| Value::Str(c.0.clone())).collect(),
        "ParameterDict" => state.params.iter().map(|p| Value::Str(p.0.clone())).collect(),
        "ParameterList" => state.params.iter().filter_map(|p| p.1.clone().map(Value::Tensor)).collect(),
        _ => return None,
    })
}

/// The number of elements of a container.
pub fn container_len(o: &Object) -> Option<usize> {
    let state = o.module.borrow();
    let state = state.as_ref()?;
    match container(o) {
        "ModuleList" | "ModuleDict" => Some(state.children.len()),
        "ParameterList" | "ParameterDict" => Some(state.params.len()),
        _ => None,
    }
}

/// Whether it is a list of layers or parameters, or a `Sequential`.
pub fn is_list_of_modules(o: &Object) -> bool {
    o.module.borrow().is_some() && matches!(container(o), "ModuleList" | "ParameterList")
}

fn container(o: &Object) -> &'static str {
    o.class.layer().map_or("", |l| l.container)
}

/// A module and all that it holds with their names, each once and under its first name, depth first: as `named_modules` of torch.
fn modules(run: &mut Run, root: &Rc<Object>, prefix: &str) -> R<Vec<(String, Rc<Object>)>> {
    fn walk(run: &mut Run, o: &Rc<Object>, prefix: String, seen: &mut Seen, out: &mut Modules) -> R<()> {
        run.step()?;
        if !seen.insert(Rc::as_ptr(o).addr()) {
            return Ok(());
        }
        run.allocate(1 + prefix.len())?;
        out.push((prefix.clone(), o.clone()));
        let children = o.module.borrow().as_ref().map_or_else(Vec::new, |s| s.children.clone());
        for (name, child) in children {
            let Some(child) = child else { continue };
            let name = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
            run.nested(|run| walk(run, &child, name, seen, out))?;
        }
        Ok(())
    }
    let mut out = Vec::new();
    walk(run, root, prefix.to_string(), &mut Seen::new(), &mut out)?;
    Ok(out)
}

/// The parameters of a module and, if `recurse`, of all that it holds, each once and under its first name.
fn parameters(run: &mut Run, root: &Rc<Object>, prefix: &str, recurse: bool) -> R<Vec<(String, Rc<Tensor>)>> {
    let holders = if recurse { modules(run, root, prefix)? } else { vec![(prefix.to_string(), root.clone())] };
    let (mut seen, mut out) = (Seen::new(), Vec::new());
    for (prefix, o) in holders {
        let state = o.module.borrow();
        for (name, p) in state.iter().flat_map(|s| &s.params) {
            run.step()?;
            let Some(p) = p.as_ref().filter(|p| seen.insert(Rc::as_ptr(p).addr())) else { continue };
            run.allocate(1 + prefix.len())?;
            out.push((if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") }, p.clone()));
        }
    }
    Ok(out)
}

/// What a listing of a module gives.
#[derive(Clone, Copy, Debug)]
enum Listed {
    Parameters { recurse: bool, named: bool },
    Modules { named: bool },
}

/// `parameters()` and its like. What is listed is found when the first item is asked for, and must stay from then on.
pub struct Listing {
    root: Rc<Object>,
    prefix: String,
    of: Listed,
    items: Option<VecDeque<Value>>,
    /// How many there were.
    len: usize,
    /// How often modules had registered something when the items were found.
    registered: u64,
}

impl Listing {
    fn iterator(root: Rc<Object>, prefix: &str, of: Listed) -> Value {
        let prefix = prefix.to_string();
        Value::iter(Iter::Listing(Box::new(Self { root, prefix, of, items: None, len: 0, registered: 0 })))
    }

    pub fn position(&self) -> String {
        format!("{:?} {} {:?}", self.of, self.prefix, self.items.as_ref().map(VecDeque::len))
    }

    pub fn values(&mut self) -> Vec<&mut Value> {
        self.items.iter_mut().flatten().collect()
    }

    fn find(&self, run: &mut Run) -> R<VecDeque<Value>> {
        let item = |named: bool, name: &str, value: Value| {
            if named { Value::tuple(vec![Value::str(name), value]) } else { value }
        };
        Ok(match self.of {
            Listed::Parameters { recurse, named } => {
                let found = parameters(run, &self.root, &self.prefix, recurse)?;
                found.into_iter().map(|(n, p)| item(named, &n, Value::Tensor(p))).collect()
            }
            Listed::Modules { named } => {
                let found = modules(run, &self.root, &self.prefix)?;
                found.into_iter().map(|(n, m)| item(named, &n, Value::Object(m))).collect()
            }
        })
    }
}

impl Interp {
    pub fn next_listed(&mut self, listing: &mut Listing) -> R<Option<Value>> {
        let now = self.tracer.registered;
        let left = match listing.items.take() {
            None => {
                let found = listing.find(&mut self.tracer.run)?;
                listing.len = found.len();
                found
            }
            Some(left) if now == listing.registered => left,
            // what was given may have been replaced, but not what is to come
            Some(left) => {
                let found = listing.find(&mut self.tracer.run)?;
                let is_same = found.len() == listing.len
                    && left.iter().rev().zip(found.iter().rev()).all(|(x, y)| is_same_item(x, y));
                if !is_same {
                    return self.refuse(
                        Rule::UnsupportedOp,
                        "layers or parameters that change while they are gone over are not supported; go over list(...)",
                    );
                }
                left
            }
        };
        listing.registered = now;
        let items = listing.items.insert(left);
        Ok(items.pop_front())
    }
}

/// Whether two listings give the same in one place.
fn is_same_item(x: &Value, y: &Value) -> bool {
    match (x, y) {
        (Value::Tuple(x), Value::Tuple(y)) => x.iter().zip(y.iter()).all(|(x, y)| same(x, y)),
        _ => same(x, y),
    }
}

/// Addresses of what was met.
type Seen = BTreeSet<usize>;
type Modules = Vec<(String, Rc<Object>)>;

pub static TABLE: &[Native] = &[
    native("Module.to Module.cuda Module.cpu Module.float Module.zero_grad", "self *args **kwargs", |vm, a| {
        Ok(Value::Object(module(&vm.tracer.run, a)?))
    }),
    native("Module.train Module.eval", "self mode?", |vm, a| {
        // before the first call it says nothing: the trainer sets the mode of all modules
        let o = module(&vm.tracer.run, a)?;
        if vm.tracer.phase() != super::Phase::Load {
            return vm.refuse(Rule::UnsupportedOp, "whether a module trains is the trainer's choice");
        }
        Ok(Value::Object(o))
    }),
    native("Module.double Module.half Module.bfloat16", "self", |vm, _| {
        vm.refuse(Rule::UnsupportedOp, "the element type of layers is the trainer's choice")
    }),
    native("Module.register_buffer", "self name tensor persistent?", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        let name = a.text(vm, "name")?;
        let transient = !a.bool(vm, "persistent", true)?;
        let tensor = match a.value("tensor") {
            Value::None => None,
            Value::Tensor(t) => {
                let data = t.data.borrow().clone();
                match data {
                    Data::Literal(l) => {
                        let span = vm.here();
                        if vm.tracer.phase() == super::Phase::Second {
                            return vm.refuse(Rule::Stateful, "a buffer is made in every call of forward");
                        }
                        let leaf = vm.tracer.add_leaf(l, true, transient, span)?;
                        *t.data.borrow_mut() = Data::Leaf(leaf);
                    }
                    Data::Leaf(_) => {}
                    Data::Node(_) => match vm.tracer.node(&t).and_then(|id| vm.tracer.constant(id))? {
                        Some(l) => {
                            let span = vm.here();
                            let leaf = vm.tracer.add_leaf(l, true, transient, span)?;
                            *t.data.borrow_mut() = Data::Leaf(leaf);
                        }
                        None => {
                            return vm
                                .refuse(Rule::UnsupportedInit, "a buffer must be made of constants of known size");
                        }
                    },
                }
                Some(t)
            }
            other => return vm.type_fault(format!("a buffer is a tensor, not {}", other.type_name())),
        };
        vm.tracer.run.go_over_module(&o)?;
        if let Some(state) = o.module.borrow_mut().as_mut() {
            match state.buffers.iter_mut().find(|b| b.0 == name) {
                Some(slot) => slot.1 = tensor,
                None => state.buffers.push((name, tensor, !transient)),
            }
        }
        Ok(Value::None)
    }),
    native("Module.register_parameter", "self name param", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        let name = a.text(vm, "name")?;
        if matches!(a.value("param"), Value::None) {
            if let Some(state) = o.module.borrow_mut().as_mut() {
                state.params.push((name, None));
            }
            vm.allocate(1)?;
            return Ok(Value::None);
        }
        vm.register(&o, &name, a.value("param"))?;
        Ok(Value::None)
    }),
    native("Module.add_module Module.register_module", "self name module", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        vm.register(&o, &a.text(vm, "name")?, a.value("module"))?;
        Ok(Value::None)
    }),
    native("Module.parameters", "self recurse?", |vm, a| {
        let (o, recurse) = (module(&vm.tracer.run, a)?, a.bool(vm, "recurse", true)?);
        Ok(Listing::iterator(o, "", Listed::Parameters { recurse, named: false }))
    }),
    native("Module.named_parameters", "self prefix? recurse?", |vm, a| {
        let (o, recurse) = (module(&vm.tracer.run, a)?, a.bool(vm, "recurse", true)?);
        let prefix = a.text_or(vm, "prefix", "")?;
        Ok(Listing::iterator(o, &prefix, Listed::Parameters { recurse, named: true }))
    }),
    native("Module.modules", "self", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        Ok(Listing::iterator(o, "", Listed::Modules { named: false }))
    }),
    native("Module.named_modules", "self", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        Ok(Listing::iterator(o, "", Listed::Modules { named: true }))
    }),
    native("Module.children Module.named_children", "self", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        let part = if a.function() == "children" { Part::Values } else { Part::Items };
        Ok(Value::iter(Iter::Held(Held::children(o, part))))
    }),
    native("Module.apply", "self fn", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        // children first, the module itself last; a module that is held twice is visited twice, as in torch
        let children: Vec<_> = o.module.borrow().iter().flat_map(|s| &s.children).filter_map(|c| c.1.clone()).collect();
        let native = super::native::find("Module.apply").map_or(Value::None, Value::Native);
        for child in children {
            vm.call(&native, vec![Value::Object(child), a.value("fn")], Vec::new())?;
        }
        vm.call(&a.value("fn"), vec![Value::Object(o.clone())], Vec::new())?;
        Ok(Value::Object(o))
    }),
    native("Module.requires_grad_", "self requires_grad?", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        let on = a.bool(vm, "requires_grad", true)?;
        for (_, p) in parameters(&mut vm.tracer.run, &o, "", true)? {
            vm.set_attribute(&Value::Tensor(p), &"requires_grad".into(), Value::Bool(on))?;
        }
        Ok(Value::Object(o))
    }),
    native("Module.reset_parameters", "self", |vm, a| {
        // layers start from fresh draws anyway
        module(&vm.tracer.run, a)?;
        Ok(Value::None)
    }),
    native("Module.state_dict Module.load_state_dict Module.register_forward_hook", "self *args **kwargs", |vm, a| {
        vm.refuse(Rule::UnsupportedOp, format!("Module.{} is not supported", a.function()))
    }),
    native("ModuleList.append ParameterList.append", "self module", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        vm.append(&o, a.value("module"))?;
        Ok(Value::Object(o))
    }),
    native("ModuleList.extend ParameterList.extend", "self modules", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        let source = vm.iter_of(&a.value("modules"))?;
        while let Some(item) = vm.next(&source)? {
            vm.append(&o, item)?;
        }
        Ok(Value::Object(o))
    }),
    native("ModuleList.insert", "self index module", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        vm.insert(&o, a.int(vm, "index")?, a.value("module"))?;
        Ok(Value::None)
    }),
    native("ModuleDict.keys ModuleDict.values ModuleDict.items ParameterDict.keys", "self", |vm, a| {
        let part = Part::of_method(a.function());
        let of = Viewed::Module(module(&vm.tracer.run, a)?);
        Ok(Value::View(Rc::new(DictView { part, of })))
    }),
    native("ParameterDict.values ParameterDict.items", "self", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        let part = Part::of_method(a.function());
        Ok(Value::iter(Iter::Held(Held::parameters(o, part))))
    }),
    native("ModuleDict.update ParameterDict.update", "self modules", |vm, a| {
        let o = module(&vm.tracer.run, a)?;
        vm.update_modules(&o, &a.value("modules"))?;
        Ok(Value::None)
    }),
];
