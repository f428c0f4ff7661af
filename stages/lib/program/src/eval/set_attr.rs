//! Assignment to attributes and their deletion, with the registration of parameters, buffers and layers.

use std::rc::Rc;

use super::value::{Data, NativeClass, Object, Value};
use super::{Interp, R, Tracer};
use crate::rules::Rule;
use crate::syntax::Name;

impl Interp {
    pub fn set_attribute(&mut self, base: &Value, name: &Name, value: Value) -> R<()> {
        if let Some(address) = base.identity() {
            self.note_change(address, Some(name));
        }
        match base {
            Value::Object(object) => {
                if let Some(Value::Property(p)) = object.class.find(name) {
                    return match &p.set {
                        Some(set) => self.call(&set.clone(), vec![base.clone(), value], Vec::new()).map(|_| ()),
                        None => {
                            self.refuse(Rule::NameAttribute, format!("the property '{name}' cannot be assigned to"))
                        }
                    };
                }
                if &**name == "training" && object.class.layer().is_some() {
                    return self.refuse(Rule::UnsupportedAttribute, "whether a module trains is the trainer's choice");
                }
                if object.class.find("$tuple").is_some() {
                    return Err(self.exception("AttributeError", "the fields of a named tuple cannot be assigned to"));
                }
                if object.class.find("$frozen").is_some() {
                    return Err(self.exception("AttributeError", format!("{} is frozen", object.class.name)));
                }
                self.tracer.set_object_attribute(object, name, value)
            }
            Value::Class(class) if matches!(class.native, NativeClass::No) => {
                class.attrs.borrow_mut().insert(name.clone(), value);
                Ok(())
            }
            Value::Tensor(t) => match (&**name, &value) {
                ("requires_grad", Value::Bool(b)) => {
                    t.requires_grad.set(*b);
                    if let Data::Leaf(i) = &*t.data.borrow() {
                        let buffer = self.tracer.leaf(*i).is_some_and(|leaf| leaf.buffer);
                        self.tracer.set_trainable(*i, *b && !buffer);
                    }
                    Ok(())
                }
                ("data", _) if matches!(&*t.data.borrow(), Data::Node(_)) => {
                    self.refuse(Rule::UnsupportedAttribute, "the .data of a computed tensor cannot be assigned to")
                }
                ("data", _) => {
                    let t = t.clone();
                    if let Value::Tensor(new) = &value
                        && self.tracer.shape_of(new) != self.tracer.shape_of(&t)
                    {
                        return self.refuse(
                            Rule::UnsupportedInit,
                            "the .data of a parameter is replaced by a tensor of another shape; make the parameter of it",
                        );
                    }
                    // it works behind the back of the gradients
                    self.tracer.without_gradients(|tracer| tracer.copy_into(&t, &value))
                }
                // such as `self.A_log._no_weight_decay = True`
                (own, Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_))
                    if matches!(&*t.data.borrow(), Data::Leaf(_)) && !crate::vocabulary::is_foreign(own) =>
                {
                    self.allocate(1)?;
                    t.marks.borrow_mut().insert(name.clone(), value);
                    Ok(())
                }
                _ => self.refuse(Rule::UnsupportedAttribute, format!("Tensor.{name} cannot be assigned to")),
            },
            other => self.refuse(
                Rule::UnsupportedAttribute,
                format!("attributes of {} cannot be assigned to", other.type_name()),
            ),
        }
    }

    pub fn delete_attribute(&mut self, base: &Value, name: &Name) -> R<()> {
        if let Some(address) = base.identity() {
            self.note_change(address, Some(name));
        }
        let Value::Object(object) = base else {
            return self
                .refuse(Rule::UnsupportedAttribute, format!("attributes of {} cannot be deleted", base.type_name()));
        };
        if object.attrs.borrow_mut().remove(name).is_some() {
            return Ok(());
        }
        self.tracer.run.go_over_module(object)?;
        let mut gone = false;
        if let Some(state) = object.module.borrow_mut().as_mut() {
            let before = state.params.len() + state.children.len() + state.buffers.len();
            state.params.retain(|p| p.0 != *name);
            state.children.retain(|p| p.0 != *name);
            state.buffers.retain(|p| p.0 != *name);
            gone = state.params.len() + state.children.len() + state.buffers.len() < before;
        }
        self.tracer.registered += u64::from(gone);
        if gone { Ok(()) } else { self.tracer.run.no_attribute(base, name) }
    }
}

impl Tracer {
    pub fn set_object_attribute(&mut self, object: &Rc<Object>, name: &Name, value: Value) -> R<()> {
        let is_module = object.class.layer().is_some();
        let registered = match &value {
            Value::Tensor(t) => self.is_parameter(t),
            Value::Object(o) => o.class.layer().is_some(),
            _ => false,
        };
        if is_module && registered && object.module.borrow().is_none() {
            let d =
                self.run.fault(Rule::ModuleInit, format!("'{name}' is assigned before super().__init__() is called"));
            return Err(Box::new(d.help("start __init__ with super().__init__()")));
        }
        self.registered += u64::from(registered);
        self.run.go_over_module(object)?;
        let mut module = object.module.borrow_mut();
        let Some(state) = module.as_mut() else {
            drop(module);
            object.attrs.borrow_mut().insert(name.clone(), value);
            return Ok(());
        };
        match value {
            Value::Tensor(t) if registered => {
                object.attrs.borrow_mut().remove(name);
                state.children.retain(|c| c.0 != *name);
                state.buffers.retain(|b| b.0 != *name);
                match state.params.iter_mut().find(|p| p.0 == *name) {
                    Some(slot) => slot.1 = Some(t),
                    None => state.params.push((name.clone(), Some(t))),
                }
            }
            Value::Object(o) if registered => {
                object.attrs.borrow_mut().remove(name);
                state.params.retain(|p| p.0 != *name);
                state.buffers.retain(|b| b.0 != *name);
                match state.children.iter_mut().find(|c| c.0 == *name) {
                    Some(slot) => slot.1 = Some(o),
                    None => state.children.push((name.clone(), Some(o))),
                }
            }
            other => {
                if let Some(slot) = state.params.iter_mut().find(|p| p.0 == *name) {
                    if !matches!(other, Value::None) {
                        let kind = other.type_name();
                        drop(module);
                        return self.run.type_fault(format!("'{name}' is a parameter and cannot become {kind}"));
                    }
                    slot.1 = None;
                } else if let Some(slot) = state.children.iter_mut().find(|c| c.0 == *name) {
                    if !matches!(other, Value::None) {
                        let kind = other.type_name();
                        drop(module);
                        return self.run.type_fault(format!("'{name}' is a layer and cannot become {kind}"));
                    }
                    slot.1 = None;
                } else if let Some(slot) = state.buffers.iter_mut().find(|b| b.0 == *name) {
                    match other {
                        Value::None => slot.1 = None,
                        Value::Tensor(_) => {
                            drop(module);
                            return self.run.refuse(
                                Rule::Stateful,
                                format!("the buffer '{name}' is replaced, so calls of forward would differ"),
                            );
                        }
                        other => {
                            let kind = other.type_name();
                            drop(module);
                            return self.run.type_fault(format!("'{name}' is a buffer and cannot become {kind}"));
                        }
                    }
                } else {
                    object.attrs.borrow_mut().insert(name.clone(), other);
                }
            }
        }
        Ok(())
    }
}
