//! `copy.deepcopy` of modules and of what they hold: parameters of their own that start with the numbers of the copied ones.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::records::members;
use super::storage::own_storage;
use super::value::{Data, ModuleState, Object, Tensor, Value};
use super::{Interp, Phase, R, Tracer};
use crate::rules::Rule;

/// What was copied, by the addresses of the originals.
#[derive(Default)]
pub struct Copies {
    objects: BTreeMap<usize, Rc<Object>>,
    tensors: BTreeMap<usize, Rc<Tensor>>,
}

impl Interp {
    pub fn deep_copy(&mut self, value: &Value, done: &mut Copies) -> R<Value> {
        self.step()?;
        self.nested(|vm| vm.deep_copy_here(value, done))
    }

    fn all_copies(&mut self, items: &[Value], done: &mut Copies) -> R<Vec<Value>> {
        self.allocate(items.len())?;
        items.iter().map(|item| self.deep_copy(item, done)).collect()
    }

    fn deep_copy_here(&mut self, value: &Value, done: &mut Copies) -> R<Value> {
        Ok(match value {
            Value::List(items) => {
                let items = items.borrow().clone();
                Value::list(self.all_copies(&items, done)?)
            }
            Value::Tuple(items) => Value::tuple(self.all_copies(items, done)?),
            Value::Dict(dict) => {
                let items = dict.borrow().items();
                let mut out = super::value::Dict::default();
                for (name, value) in items {
                    let value = self.deep_copy(&value, done)?;
                    out.insert(self.tracer.run.key(&name)?, name, value);
                }
                Value::dict(out)
            }
            Value::Set(set) => {
                let keys = set.borrow().keys();
                self.tracer.run.set(keys)?
            }
            Value::Object(object) => Value::Object(self.object_copy(object, done)?),
            Value::Tensor(t) => Value::Tensor(self.tracer.tensor_copy(t, done)?),
            Value::Iter(it) if it.borrow().is_generator() => return self.type_fault("a generator cannot be copied"),
            Value::Iter(_) => {
                return self.refuse(Rule::UnsupportedOp, format!("a copy of {} is not supported", value.type_name()));
            }
            Value::View(_) => return self.type_fault(format!("{} cannot be copied", value.type_name())),
            other => other.clone(),
        })
    }

    fn object_copy(&mut self, object: &Rc<Object>, done: &mut Copies) -> R<Rc<Object>> {
        let address = Rc::as_ptr(object).addr();
        if let Some(known) = done.objects.get(&address) {
            return Ok(known.clone());
        }
        // members of an enum are there once
        if members(&object.class).is_some() {
            return Ok(object.clone());
        }
        self.allocate(1)?;
        let copy = self.heap.object(object.class.clone(), object.span);
        done.objects.insert(address, copy.clone());
        let attrs: Vec<_> = object.attrs.borrow().iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        for (name, value) in attrs {
            let value = self.deep_copy(&value, done)?;
            copy.attrs.borrow_mut().insert(name, value);
        }
        let state = object.module.borrow().as_ref().map(|s| (s.params.clone(), s.buffers.clone(), s.children.clone()));
        if let Some((params, buffers, children)) = state {
            let mut new = ModuleState::default();
            for (name, p) in params {
                new.params.push((name, p.map(|p| self.tracer.tensor_copy(&p, done)).transpose()?));
            }
            for (name, b, kept) in buffers {
                new.buffers.push((name, b.map(|b| self.tracer.tensor_copy(&b, done)).transpose()?, kept));
            }
            for (name, c) in children {
                new.children.push((name, c.map(|c| self.object_copy(&c, done)).transpose()?));
            }
            *copy.module.borrow_mut() = Some(new);
            self.heap.keep_module(copy.clone());
        }
        Ok(copy)
    }
}

impl Tracer {
    fn tensor_copy(&mut self, t: &Rc<Tensor>, done: &mut Copies) -> R<Rc<Tensor>> {
        let address = Rc::as_ptr(t).addr();
        if let Some(known) = done.tensors.get(&address) {
            return Ok(known.clone());
        }
        let data = t.data.borrow().clone();
        let copy = match data {
            Data::Leaf(at) => {
                if self.phase() == Phase::Second {
                    return self.run.refuse(
                        Rule::Stateful,
                        "a parameter is copied in every call of forward, so it is never trained",
                    );
                }
                let (Some(literal), Some(old)) = (self.copy_of_leaf(at, None), self.leaf(at)) else {
                    return self.run.type_fault("this tensor cannot be copied");
                };
                let (buffer, transient, trainable) = (old.buffer, old.transient, old.trainable);
                let span = self.run.here();
                let leaf = self.add_leaf(literal, buffer, transient, span)?;
                self.set_trainable(leaf, trainable);
                Tensor::new(Data::Leaf(leaf), Rc::default(), t.requires_grad.get(), span)
            }
            Data::Literal(_) => Tensor::new(data, Rc::default(), false, t.span),
            Data::Node(_) => {
                let id = self.node(t)?;
                if self.has_gradient(id) {
                    return Err(self
                        .run
                        .exception("RuntimeError", "only tensors that a program makes explicitly can be deep-copied"));
                }
                let (shape, dtype) = (self.shape(id).clone(), self.dtype(id));
                let out = self.push_as(graph::Op::Reshape, &[id], shape, dtype)?;
                Tensor::new(Data::Node(out), own_storage(out), false, self.run.here())
            }
        };
        let copy = Rc::new(copy);
        done.tensors.insert(address, copy.clone());
        Ok(copy)
    }
}
