//! Methods of lists, tuples, dicts and sets.

use std::cell::RefCell;
use std::rc::Rc;

use super::compare::same;
use super::native::{Args, Native, native};
use super::value::{Dict, DictView, Key, Part, Value, Viewed};
use super::{Interp, R, Run};

fn list(run: &Run, a: &Args) -> R<Rc<RefCell<Vec<Value>>>> {
    match a.value("self") {
        Value::List(l) => Ok(l),
        other => run.type_fault(format!("{}() belongs to lists, not {}", a.function(), other.type_name())),
    }
}

fn dict(run: &Run, a: &Args) -> R<Rc<RefCell<Dict>>> {
    match a.value("self") {
        Value::Dict(d) | Value::Set(d) => Ok(d),
        other => run.type_fault(format!("{}() belongs to dicts, not {}", a.function(), other.type_name())),
    }
}

impl Interp {
    /// `list.extend` and `+=`: what gives the items may look at the list meanwhile.
    pub fn extend_list(&mut self, list: &Rc<RefCell<Vec<Value>>>, more: &Value) -> R<()> {
        if let Value::Iter(_) | Value::Object(_) = more {
            let source = self.iter_of(more)?;
            while let Some(item) = self.next(&source)? {
                self.allocate(1)?;
                list.borrow_mut().push(item);
            }
            return Ok(());
        }
        let items = self.items(more)?;
        self.allocate(items.len())?;
        list.borrow_mut().extend(items);
        Ok(())
    }
}

pub static TABLE: &[Native] = &[
    native("list.append", "self item", |vm, a| {
        vm.allocate(1)?;
        list(&vm.tracer.run, a)?.borrow_mut().push(a.value("item"));
        Ok(Value::None)
    }),
    native("list.extend", "self items", |vm, a| {
        let l = list(&vm.tracer.run, a)?;
        vm.extend_list(&l, &a.value("items"))?;
        Ok(Value::None)
    }),
    native("list.insert", "self index item", |vm, a| {
        let l = list(&vm.tracer.run, a)?;
        let (len, i) = (l.borrow().len() as i64, a.int(vm, "index")?);
        let at = (if i < 0 { i.saturating_add(len) } else { i }).clamp(0, len);
        vm.allocate(1)?;
        vm.charge(len.unsigned_abs() / 256)?;
        l.borrow_mut().insert(usize::try_from(at).unwrap_or(0), a.value("item"));
        Ok(Value::None)
    }),
    native("list.pop", "self index?", |vm, a| {
        let l = list(&vm.tracer.run, a)?;
        let len = l.borrow().len();
        let at = vm.tracer.run.position(&Value::Int(a.int_or(vm, "index", -1)?), len)?;
        vm.charge((len - at) as u64 / 256)?;
        let value = l.borrow_mut().remove(at);
        Ok(value)
    }),
    native("list.remove", "self item", |vm, a| {
        let (l, item) = (list(&vm.tracer.run, a)?, a.value("item"));
        for (at, other) in vm.items(&Value::List(l.clone()))?.iter().enumerate() {
            vm.step()?;
            if same(&item, other) || vm.equal(&item, other)? {
                l.borrow_mut().remove(at);
                return Ok(Value::None);
            }
        }
        vm.value_fault("the item is not in the list")
    }),
    native("list.reverse", "self", |vm, a| {
        let l = list(&vm.tracer.run, a)?;
        vm.go_over(l.borrow().len())?;
        l.borrow_mut().reverse();
        Ok(Value::None)
    }),
    native("list.clear", "self", |vm, a| {
        list(&vm.tracer.run, a)?.borrow_mut().clear();
        Ok(Value::None)
    }),
    native("list.copy", "self", |vm, a| {
        let items = vm.items(&Value::List(list(&vm.tracer.run, a)?))?;
        vm.allocate(items.len())?;
        Ok(Value::list(items))
    }),
    native("list.sort", "self | key? reverse?", |vm, a| {
        let l = list(&vm.tracer.run, a)?;
        let reverse = a.bool(vm, "reverse", false)?;
        let items = vm.items(&Value::List(l.clone()))?;
        let sorted = vm.sorted(items, a.some("key"), reverse)?;
        *l.borrow_mut() = sorted;
        Ok(Value::None)
    }),
    native("list.index tuple.index", "self item", |vm, a| {
        let item = a.value("item");
        for (i, other) in vm.items(&a.value("self"))?.iter().enumerate() {
            vm.step()?;
            if vm.equal(&item, other)? {
                return Ok(Value::Int(i as i64));
            }
        }
        vm.value_fault("the item is not in the list")
    }),
    native("list.count tuple.count", "self item", |vm, a| {
        let item = a.value("item");
        let mut count = 0;
        for other in vm.items(&a.value("self"))? {
            vm.step()?;
            count += i64::from(vm.equal(&item, &other)?);
        }
        Ok(Value::Int(count))
    }),
    native("tuple.numel", "self", |vm, a| {
        let mut total = Value::Int(1);
        for item in vm.items(&a.value("self"))? {
            vm.step()?;
            total = vm.binary(&total, crate::syntax::BinOp::Mul, &item)?;
        }
        Ok(total)
    }),
    native("dict.get", "self key default?", |vm, a| {
        let key = vm.tracer.run.key(&a.value("key"))?;
        Ok(dict(&vm.tracer.run, a)?.borrow().get(&key).cloned().unwrap_or_else(|| a.value("default")))
    }),
    native("dict.keys dict.values dict.items", "self", |vm, a| {
        let part = Part::of_method(a.function());
        let of = Viewed::Dict(dict(&vm.tracer.run, a)?);
        Ok(Value::View(Rc::new(DictView { part, of })))
    }),
    native("dict.update", "self other? **kwargs", |vm, a| {
        let d = dict(&vm.tracer.run, a)?;
        if let Some(other) = a.some("other") {
            vm.extend_dict(&d, &other.clone())?;
        }
        let mut more = Dict::default();
        for (name, value) in &a.keywords {
            more.insert(Key::Str(name.clone()), Value::Str(name.clone()), value.clone());
        }
        vm.allocate(more.len())?;
        for (key, name, value) in more.entries.into_values() {
            d.borrow_mut().insert(key, name, value);
        }
        Ok(Value::None)
    }),
    native("dict.pop", "self key default?", |vm, a| {
        let key = vm.tracer.run.key(&a.value("key"))?;
        let gone = dict(&vm.tracer.run, a)?.borrow_mut().remove(&key);
        match (gone, a.get("default")) {
            (Some(v), _) => Ok(v),
            (None, Some(v)) => Ok(v.clone()),
            (None, None) => vm.tracer.run.key_fault("the key does not exist"),
        }
    }),
    native("dict.setdefault", "self key default?", |vm, a| {
        let name = a.value("key");
        let key = vm.tracer.run.key(&name)?;
        let d = dict(&vm.tracer.run, a)?;
        let known = d.borrow().get(&key).cloned();
        if let Some(v) = known {
            return Ok(v);
        }
        vm.allocate(1)?;
        d.borrow_mut().insert(key, name, a.value("default"));
        Ok(a.value("default"))
    }),
    native("dict.copy set.copy", "self", |vm, a| {
        let mut copy = Dict::default();
        let d = dict(&vm.tracer.run, a)?;
        vm.charge(d.borrow().len() as u64 / 2)?;
        for (key, name, value) in d.borrow().entries.values() {
            copy.insert(key.clone(), name.clone(), value.clone());
        }
        vm.allocate(copy.len())?;
        Ok(if matches!(a.value("self"), Value::Set(_)) { Value::set(copy) } else { Value::dict(copy) })
    }),
    native("dict.clear", "self", |vm, a| {
        dict(&vm.tracer.run, a)?.borrow_mut().clear();
        Ok(Value::None)
    }),
    native("dict.fromkeys", "keys value?", |vm, a| {
        let mut d = Dict::default();
        let source = vm.iter_of(&a.value("keys"))?;
        while let Some(name) = vm.next(&source)? {
            d.insert(vm.tracer.run.key(&name)?, name, a.value("value"));
        }
        vm.allocate(d.len())?;
        Ok(Value::dict(d))
    }),
    native("set.union set.intersection set.difference set.symmetric_difference", "self *others", |vm, a| {
        let op = match a.function() {
            "union" => crate::syntax::BinOp::BitOr,
            "intersection" => crate::syntax::BinOp::BitAnd,
            "difference" => crate::syntax::BinOp::Sub,
            _ => crate::syntax::BinOp::BitXor,
        };
        let mut total = a.value("self");
        for other in &a.rest {
            let mut more = Dict::default();
            let source = vm.iter_in_any_order(other)?;
            while let Some(name) = vm.next(&source)? {
                more.insert(vm.tracer.run.key(&name)?, name, Value::None);
            }
            vm.allocate(more.len())?;
            total = vm.binary(&total, op, &Value::set(more))?;
        }
        Ok(total)
    }),
    native("set.issubset set.issuperset set.isdisjoint", "self other", |vm, a| {
        let own = dict(&vm.tracer.run, a)?;
        let mut shared = 0;
        let mut other = Dict::default();
        let source = vm.iter_in_any_order(&a.value("other"))?;
        while let Some(name) = vm.next(&source)? {
            other.insert(vm.tracer.run.key(&name)?, name, Value::None);
        }
        for (key, _, _) in other.entries.values() {
            shared += usize::from(own.borrow().get(key).is_some());
        }
        Ok(Value::Bool(match a.function() {
            "issubset" => shared == own.borrow().len(),
            "issuperset" => shared == other.len(),
            _ => shared == 0,
        }))
    }),
    native("dict_view.isdisjoint", "self other", |vm, a| {
        let Some(own) = vm.as_set(&a.value("self"))? else {
            return vm.type_fault("isdisjoint() belongs to keys and items, not dict_values");
        };
        let source = vm.iter_in_any_order(&a.value("other"))?;
        let items = vm.drain(&source)?;
        let other = vm.tracer.run.set(items)?;
        let both = vm.binary(&own, crate::syntax::BinOp::BitAnd, &other)?;
        Ok(Value::Bool(!vm.truth(&both)?))
    }),
    native("set.discard set.remove", "self item", |vm, a| {
        let key = vm.tracer.run.key(&a.value("item"))?;
        let gone = dict(&vm.tracer.run, a)?.borrow_mut().remove(&key);
        match gone {
            None if a.function() == "remove" => vm.tracer.run.key_fault("the item is not in the set"),
            _ => Ok(Value::None),
        }
    }),
    native("set.add", "self item", |vm, a| {
        let item = a.value("item");
        let key = vm.tracer.run.key(&item)?;
        vm.allocate(1)?;
        dict(&vm.tracer.run, a)?.borrow_mut().insert(key, item, Value::None);
        Ok(Value::None)
    }),
];
