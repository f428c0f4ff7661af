//! Tuples whose fields have names that the program gives: `collections.namedtuple` and classes that derive from
//! `typing.NamedTuple`. An instance is an object whose attributes are the fields.

use std::rc::Rc;

use super::native::{Args, Native, find, native};
use super::value::{Class, Object, Value};
use super::{R, Run};
use crate::rules::Rule;
use crate::syntax::Name;

impl Run {
    /// Makes a class one of named tuples.
    pub fn make_tuple_class(&mut self, class: &Rc<Class>, fields: &[Name]) -> R<()> {
        self.allocate(fields.len())?;
        if let Some(odd) = fields.iter().find(|f| f.starts_with('_')) {
            return self.value_fault(format!("the field '{odd}' of a named tuple begins with an underscore"));
        }
        let names: Vec<Value> = fields.iter().cloned().map(Value::Str).collect();
        let mut attrs = class.attrs.borrow_mut();
        attrs.insert("$tuple".into(), Value::tuple(names.clone()));
        attrs.insert("_fields".into(), Value::tuple(names));
        for (name, native) in
            [("__init__", "namedtuple.$init"), ("_replace", "namedtuple._replace"), ("_asdict", "namedtuple._asdict")]
        {
            if let Some(native) = find(native) {
                attrs.insert(name.into(), Value::Native(native));
            }
        }
        Ok(())
    }
}

/// The items of an instance, in the order of the fields.
pub fn tuple_items(o: &Object) -> Option<Vec<Value>> {
    let names = tuple_fields(&o.class)?;
    let attrs = o.attrs.borrow();
    Some(names.iter().map(|n| attrs.get(n).cloned().unwrap_or(Value::None)).collect())
}

/// The names of the fields of such a class.
fn tuple_fields(class: &Class) -> Option<Vec<Name>> {
    let Some(Value::Tuple(names)) = class.find("$tuple") else { return None };
    let name = |v: &Value| if let Value::Str(n) = v { Some(n.clone()) } else { None };
    names.iter().map(name).collect()
}

fn this(run: &Run, a: &Args) -> R<(Rc<Object>, Vec<Name>)> {
    match a.value("self") {
        Value::Object(o) => match tuple_fields(&o.class) {
            Some(fields) => Ok((o, fields)),
            None => run.type_fault("a named tuple is needed"),
        },
        other => run.type_fault(format!("a named tuple is needed, not {}", other.type_name())),
    }
}

pub static TABLE: &[Native] = &[
    native("namedtuple.$init", "self *args **kwargs", |vm, a| {
        let (o, fields) = this(&vm.tracer.run, a)?;
        let name = o.class.name.clone();
        if a.rest.len() > fields.len() {
            return vm.type_fault(format!("{name}() takes {} values, but {} are given", fields.len(), a.rest.len()));
        }
        let given = fields.get(..a.rest.len()).unwrap_or(&[]);
        if let Some((odd, _)) = a.keywords.iter().find(|k| !fields.contains(&k.0) || given.contains(&k.0)) {
            return vm.type_fault(format!("{name}() has no field '{odd}', or gets it twice"));
        }
        for (i, field) in fields.iter().enumerate() {
            let value = a.rest.get(i).or_else(|| a.keywords.iter().find(|k| k.0 == *field).map(|k| &k.1)).cloned();
            // a default is an attribute of the class
            let Some(value) = value.or_else(|| o.class.find(field)) else {
                return vm.type_fault(format!("{name}() needs the value '{field}'"));
            };
            o.attrs.borrow_mut().insert(field.clone(), value);
        }
        Ok(Value::None)
    }),
    native("namedtuple._replace", "self **changes", |vm, a| {
        let (o, fields) = this(&vm.tracer.run, a)?;
        let mut all = Vec::new();
        for field in fields {
            let new = a.keywords.iter().find(|k| k.0 == field).map(|k| k.1.clone());
            let old = o.attrs.borrow().get(&field).cloned().unwrap_or(Value::None);
            all.push((field, new.unwrap_or(old)));
        }
        if let Some((odd, _)) = a.keywords.iter().find(|k| !all.iter().any(|f| f.0 == k.0)) {
            return vm.value_fault(format!("{} has no field '{odd}'", o.class.name));
        }
        vm.call(&Value::Class(o.class.clone()), Vec::new(), all)
    }),
    native("namedtuple._asdict", "self", |vm, a| {
        let (o, fields) = this(&vm.tracer.run, a)?;
        let value = |n: &Name| o.attrs.borrow().get(n).cloned().unwrap_or(Value::None);
        let items = fields.iter().map(|n| (n.clone(), value(n))).collect();
        vm.make_dict(Vec::new(), items)
    }),
    native("collections.namedtuple", "typename field_names | defaults? rename? module?", |vm, a| {
        let name = a.text(vm, "typename")?;
        let fields: Vec<Name> = match a.value("field_names") {
            Value::Str(text) => text.split([',', ' ', '\t', '\n']).filter(|w| !w.is_empty()).map(Into::into).collect(),
            list => {
                let mut names = Vec::new();
                for item in vm.items(&list)? {
                    match item {
                        Value::Str(n) => names.push(n),
                        other => {
                            return vm.type_fault(format!("field names are strings, not {}", other.type_name()));
                        }
                    }
                }
                names
            }
        };
        if a.bool(vm, "rename", false)? || a.some("module").is_some() {
            return vm.refuse(Rule::UnsupportedOp, "namedtuple() is supported with names and defaults only");
        }
        let defaults = match a.some("defaults").cloned() {
            Some(list) => vm.items(&list)?,
            None => Vec::new(),
        };
        if defaults.len() > fields.len() {
            return vm.type_fault("namedtuple() has more defaults than fields");
        }
        let object = vm.heap.type_class("object");
        let class = vm.heap.class(name, vec![object], vm.here());
        let late = fields.len() - defaults.len();
        for (field, value) in fields.iter().skip(late).zip(defaults) {
            class.attrs.borrow_mut().insert(field.clone(), value);
        }
        vm.tracer.run.make_tuple_class(&class, &fields)?;
        Ok(Value::Class(class))
    }),
];
