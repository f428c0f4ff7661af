//! Classes that hold data: `dataclasses`, `enum`, `types.SimpleNamespace`.

use std::rc::Rc;

use super::compare::same;
use super::native::{Args, Native, find, native};
use super::value::{Class, Dict, Key, NativeClass, Object, Value};
use super::{Interp, R};
use crate::rules::Rule;
use crate::syntax::{self, ExprKind, Name, StmtKind};

/// What `dataclasses.field(...)` gives: default and factory, `...` where there is none.
const FIELD: &[&str] = &["default", "default_factory"];
/// What `enum.auto()` gives.
const AUTO: &[&str] = &["auto"];

/// Names and values of a dataclass instance.
pub type Record = Vec<(Name, Value)>;

/// A field of a dataclass.
#[derive(Clone)]
struct Field {
    name: Name,
    default: Option<Value>,
    factory: Option<Value>,
}

fn is_named(value: &Value, names: &'static [&'static str]) -> bool {
    matches!(value, Value::Named(n) if n.0 == names)
}

/// The fields of a dataclass, those of its bases first.
fn fields(class: &Class) -> Option<Vec<Field>> {
    let Some(Value::List(rows)) = class.find("$dataclass") else { return None };
    let given = |v: &Value| (!matches!(v, Value::Ellipsis)).then(|| v.clone());
    let row = |row: &Value| match row {
        Value::Tuple(row) => match row.as_slice() {
            [Value::Str(name), default, factory] => {
                Some(Field { name: name.clone(), default: given(default), factory: given(factory) })
            }
            _ => None,
        },
        _ => None,
    };
    Some(rows.borrow().iter().filter_map(row).collect())
}

fn set_fields(class: &Class, fields: Vec<Field>) {
    let row = |f: Field| {
        let or = |v: Option<Value>| v.unwrap_or(Value::Ellipsis);
        Value::tuple(vec![Value::Str(f.name), or(f.default), or(f.factory)])
    };
    let rows = Value::list(fields.into_iter().map(row).collect());
    class.attrs.borrow_mut().insert("$dataclass".into(), rows);
}

fn dataclass(vm: &mut Interp, a: &Args) -> R<Value> {
    let Some(Value::Class(class)) = a.some("cls") else {
        // `@dataclass(frozen=True)`
        let me = find("dataclasses.dataclass").map_or(Value::None, Value::Native);
        let frozen = a.bool(vm, "frozen", false)?;
        return Ok(Value::Partial(Rc::new((me, Vec::new(), vec![("frozen".into(), Value::Bool(frozen))]))));
    };
    let mut all: Vec<Field> = class.mro.borrow().iter().skip(1).find_map(|base| fields(base)).unwrap_or_default();
    let Some(Value::Tuple(names)) = class.attrs.borrow().get("$fields").cloned() else {
        return vm.type_fault("a dataclass is a class of the program");
    };
    for name in names.iter() {
        let Value::Str(name) = name else { continue };
        let given = class.attrs.borrow().get(name).cloned();
        let mut field = Field { name: name.clone(), default: None, factory: None };
        match given {
            Some(Value::Named(n)) if n.0 == FIELD => {
                let mut parts = n.1.iter().map(|v| (!matches!(v, Value::Ellipsis)).then(|| v.clone()));
                field.default = parts.next().flatten();
                field.factory = parts.next().flatten();
                match &field.default {
                    Some(v) => class.attrs.borrow_mut().insert(name.clone(), v.clone()),
                    None => class.attrs.borrow_mut().remove(name),
                };
            }
            Some(Value::List(_) | Value::Dict(_) | Value::Set(_)) => {
                return vm.value_fault(format!("the default of '{name}' is mutable; use field(default_factory=...)"));
            }
            given => field.default = given,
        }
        match all.iter_mut().find(|f| f.name == *name) {
            Some(known) => *known = field,
            None => all.push(field),
        }
    }
    let is_open = |f: &Field| f.default.is_none() && f.factory.is_none();
    let late = all.iter().skip_while(|f| is_open(f)).find(|f| is_open(f));
    if let Some(late) = late.filter(|_| !a.value("kw_only").eq_true()) {
        return vm.type_fault(format!("'{}' has no default, but stands behind a field that has one", late.name));
    }
    set_fields(class, all);
    if a.bool(vm, "frozen", false)? {
        class.attrs.borrow_mut().insert("$frozen".into(), Value::Bool(true));
    }
    if !class.attrs.borrow().contains_key("__init__")
        && let Some(init) = find("dataclasses.$init")
    {
        class.attrs.borrow_mut().insert("__init__".into(), Value::Native(init));
    }
    Ok(Value::Class(class.clone()))
}

fn init(vm: &mut Interp, a: &Args) -> R<Value> {
    let Value::Object(object) = a.value("self") else { return vm.type_fault("an object is needed") };
    let all = fields(&object.class).unwrap_or_default();
    vm.charge((all.len() * (1 + a.keywords.len())) as u64 / 8)?;
    let class = object.class.name.clone();
    if a.rest.len() > all.len() {
        return vm.type_fault(format!("{class}() takes {} arguments, but {} are given", all.len(), a.rest.len()));
    }
    for (name, _) in &a.keywords {
        let at = all.iter().position(|f| f.name == *name);
        if at.is_none_or(|at| at < a.rest.len()) {
            let fault = if at.is_none() { "has no field" } else { "gets twice" };
            return vm.type_fault(format!("{class}() {fault} '{name}'"));
        }
    }
    for (i, field) in all.into_iter().enumerate() {
        let given = a.rest.get(i).or_else(|| a.keywords.iter().find(|k| k.0 == field.name).map(|k| &k.1)).cloned();
        let value = match (given, field.default, field.factory) {
            (Some(v), _, _) | (None, Some(v), _) => v,
            (None, None, Some(f)) => vm.call(&f, Vec::new(), Vec::new())?,
            (None, None, None) => return vm.type_fault(format!("{class}() needs the argument '{}'", field.name)),
        };
        vm.tracer.set_object_attribute(&object, &field.name, value)?;
    }
    if let Some(after) = object.class.find("__post_init__") {
        vm.call(&after, vec![Value::Object(object.clone())], Vec::new())?;
    }
    Ok(Value::None)
}

impl Value {
    fn eq_true(&self) -> bool {
        matches!(self, Value::Bool(true))
    }
}

impl Interp {
    /// Names and values of a dataclass instance.
    pub fn record(&mut self, object: &Rc<Object>) -> R<Option<Record>> {
        let Some(all) = fields(&object.class) else { return Ok(None) };
        self.charge(all.len() as u64)?;
        let own = Value::Object(object.clone());
        all.into_iter().map(|f| Ok((f.name.clone(), self.attribute(&own, &f.name)?))).collect::<R<Vec<_>>>().map(Some)
    }

    /// Turns the assignments in the body of an enum into its members.
    pub fn make_members(&mut self, class: &Rc<Class>, code: &syntax::Class) -> R<()> {
        if class.attrs.borrow().contains_key("__init__") || class.attrs.borrow().contains_key("__new__") {
            return self.refuse(Rule::UnsupportedClass, "an enum with a constructor of its own is not supported");
        }
        let strings = class.mro.borrow().iter().any(|c| &*c.name == "StrEnum");
        let mut members: Vec<Value> = Vec::new();
        let mut last = 0;
        for stmt in &code.body {
            let StmtKind::Assign(targets, _) = &stmt.kind else { continue };
            for target in targets {
                let ExprKind::Name(name) = &target.kind else { continue };
                let Some(mut value) = class.attrs.borrow().get(name).cloned() else { continue };
                if name.starts_with('_') || matches!(value, Value::Function(_) | Value::Property(_) | Value::Native(_))
                {
                    continue;
                }
                if is_named(&value, AUTO) {
                    value = if strings { Value::str(&name.to_lowercase()) } else { Value::Int(last + 1) };
                }
                if let Value::Int(i) = value {
                    last = i;
                }
                self.allocate(1)?;
                self.charge(members.len() as u64 / 2)?;
                let mut known = None;
                for member in &members {
                    let Value::Object(o) = member else { continue };
                    let other = o.attrs.borrow().get("value").cloned().unwrap_or(Value::None);
                    if self.equal(&other, &value)? {
                        known = Some(member.clone());
                    }
                }
                let member = known.unwrap_or_else(|| {
                    let object = self.heap.object(class.clone(), stmt.at.0);
                    object.attrs.borrow_mut().insert("name".into(), Value::Str(name.clone()));
                    object.attrs.borrow_mut().insert("value".into(), value);
                    members.push(Value::Object(object.clone()));
                    Value::Object(object)
                });
                class.attrs.borrow_mut().insert(name.clone(), member);
            }
        }
        class.attrs.borrow_mut().insert("$members".into(), Value::list(members));
        Ok(())
    }

    /// `Mode(value)`, and with `by_name` `Mode["NAME"]`.
    pub fn find_member(&mut self, class: &Class, wanted: &Value, by_name: bool) -> R<Value> {
        for member in members(class).unwrap_or_default() {
            self.step()?;
            let Value::Object(o) = &member else { continue };
            let key = o.attrs.borrow().get(if by_name { "name" } else { "value" }).cloned().unwrap_or(Value::None);
            if same(&member, wanted) || self.equal(&key, wanted)? {
                return Ok(member);
            }
        }
        let text = self.repr_of(wanted)?;
        if by_name {
            self.tracer.run.key_fault(format!("{} has no member {text}", class.name))
        } else {
            self.value_fault(format!("{text} is no value of {}", class.name))
        }
    }
}

/// What an enum's member is equal to besides itself: its value, where the enum is one of strings or integers.
pub fn plain_member(object: &Object) -> Option<Value> {
    let mixed = object.class.mro.borrow().iter().any(|c| matches!(&*c.name, "str" | "int" | "IntEnum" | "StrEnum"));
    if mixed && object.class.find("$members").is_some() { object.attrs.borrow().get("value").cloned() } else { None }
}

/// The members of an enum, in the order of the class body.
pub fn members(class: &Class) -> Option<Vec<Value>> {
    match class.find("$members") {
        Some(Value::List(members)) => Some(members.borrow().clone()),
        _ => None,
    }
}

fn recorded(vm: &mut Interp, a: &Args) -> R<(Rc<Object>, Record)> {
    if let Value::Object(object) = a.value("obj")
        && let Some(record) = vm.record(&object)?
    {
        return Ok((object, record));
    }
    vm.type_fault(format!("{}() needs an instance of a dataclass", a.function()))
}

pub static TABLE: &[Native] = &[
    native(
        "dataclasses.dataclass",
        "cls? | init? repr? eq? order? frozen? kw_only? slots? unsafe_hash? match_args?",
        dataclass,
    ),
    native("dataclasses.$init", "self *args **kwargs", init),
    native("dataclasses.field", "| default? default_factory? repr? compare? hash? metadata? kw_only?", |_, a| {
        let part = |name| a.get(name).cloned().unwrap_or(Value::Ellipsis);
        Ok(Value::Named(Rc::new((FIELD, vec![part("default"), part("default_factory")]))))
    }),
    native("dataclasses.asdict", "obj", |vm, a| {
        let (_, record) = recorded(vm, a)?;
        let mut dict = Dict::default();
        for (name, value) in record {
            dict.insert(Key::Str(name.clone()), Value::Str(name), value);
        }
        vm.allocate(dict.len())?;
        Ok(Value::dict(dict))
    }),
    native("dataclasses.replace", "obj **changes", |vm, a| {
        let (object, mut record) = recorded(vm, a)?;
        vm.charge((record.len() * a.keywords.len()) as u64 / 8)?;
        for (name, value) in &a.keywords {
            match record.iter_mut().find(|f| f.0 == *name) {
                Some(slot) => slot.1 = value.clone(),
                None => return vm.type_fault(format!("{} has no field '{name}'", object.class.name)),
            }
        }
        vm.call(&Value::Class(object.class.clone()), Vec::new(), record)
    }),
    native("enum.auto", "", |_, _| Ok(Value::Named(Rc::new((AUTO, vec![Value::None]))))),
    native("enum.unique", "cls", |_, a| Ok(a.value("cls"))),
    native("types.SimpleNamespace", "**kwargs", |vm, a| {
        let class = vm.heap.native_class("SimpleNamespace", NativeClass::Object);
        let object = vm.heap.object(class, vm.here());
        object.attrs.borrow_mut().extend(a.keywords.iter().cloned());
        vm.allocate(1 + a.keywords.len())?;
        Ok(Value::Object(object))
    }),
    native("contextlib.nullcontext", "enter_result?", |_, _| Ok(Value::Context(None))),
    native("warnings.catch_warnings", "| record?", |_, _| Ok(Value::Context(None))),
    native("warnings.simplefilter warnings.filterwarnings", "*args **kwargs", |_, _| Ok(Value::None)),
];
