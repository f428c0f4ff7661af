//! Strings: formatting and methods.

use std::rc::Rc;

use super::format::{Item, Spec};
use super::native::{Args, Native, native};
use super::records::members;
use super::value::{Object, Scope, Value};
use super::{Interp, R};
use crate::rules::Rule;
use crate::syntax::{Name, Piece};

impl Interp {
    pub fn fstring(&mut self, pieces: &[Piece], scope: &Rc<Scope>) -> R<String> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(t) => text.push_str(t),
                Piece::Value(e, conversion, spec) => {
                    let mut value = self.expr(e, scope)?;
                    if let Some(c) = conversion {
                        let converted = if *c == 's' { self.str_of(&value)? } else { self.repr_of(&value)? };
                        value = Value::str(&converted);
                    }
                    let spec = self.fstring(spec, scope)?;
                    text.push_str(&self.format_value(&value, &spec)?);
                    self.allocate(text.len() / 16 + 1)?;
                }
            }
        }
        Ok(text)
    }

    /// `str(value)`.
    pub fn str_of(&mut self, value: &Value) -> R<String> {
        self.nested(|vm| vm.str_here(value))
    }

    fn str_here(&mut self, value: &Value) -> R<String> {
        match value {
            Value::Str(s) => {
                self.go_over(s.len())?;
                Ok(s.to_string())
            }
            Value::Object(o) if o.class.is_exception() => {
                let args = o.attrs.borrow().get("args").cloned();
                match args.as_ref().map(|a| self.items(a)).transpose()?.as_deref() {
                    Some([]) | None => Ok(String::new()),
                    Some([one]) => self.str_of(one),
                    Some(many) => self.repr_of(&Value::tuple(many.to_vec())),
                }
            }
            Value::Object(o) if o.class.find("__str__").is_some() => self.described(o, "__str__"),
            other => self.repr_of(other),
        }
    }

    /// What a method of the program says of its object.
    fn described(&mut self, o: &Rc<Object>, method: &str) -> R<String> {
        let Some(f) = o.class.find(method) else { return Ok(String::new()) };
        match self.call(&f, vec![Value::Object(o.clone())], Vec::new())? {
            Value::Str(s) => Ok(s.to_string()),
            other => self.type_fault(format!("{method}() must give a string, not {}", other.type_name())),
        }
    }

    /// `repr(value)`.
    ///
    /// # Errors
    /// `E-BUDGET-DEPTH` for a list, dict or object that holds itself, which no program of a processor needs.
    pub fn repr_of(&mut self, value: &Value) -> R<String> {
        self.step()?;
        let Some(identity) =
            value.identity().filter(|_| matches!(value, Value::List(_) | Value::Dict(_) | Value::Object(_)))
        else {
            return self.repr_once(value);
        };
        if !self.frames.begin_printing(identity) {
            return Err(self.tracer.run.trail.exhausted(Rule::BudgetDepth, "this prints a value that holds itself"));
        }
        let text = self.repr_once(value);
        self.frames.end_printing();
        text
    }

    fn repr_once(&mut self, value: &Value) -> R<String> {
        let text = self.nested(|vm| vm.repr_here(value))?;
        self.go_over(text.len())?;
        Ok(text)
    }

    fn repr_here(&mut self, value: &Value) -> R<String> {
        Ok(match value {
            Value::None => "None".into(),
            Value::Ellipsis => "Ellipsis".into(),
            Value::Bool(b) => if *b { "True" } else { "False" }.into(),
            Value::Int(i) => i.to_string(),
            Value::Dim(d) => d.to_string(),
            Value::Float(f) => float_text(*f),
            Value::Str(s) => {
                let quote = if s.contains('\'') && !s.contains('"') { '"' } else { '\'' };
                let escaped = s.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
                let escaped = if quote == '\'' { escaped.replace('\'', "\\'") } else { escaped };
                format!("{quote}{escaped}{quote}")
            }
            Value::Tuple(items) => {
                let items = self.reprs(items)?;
                if items.len() == 1 { format!("({},)", items.concat()) } else { format!("({})", items.join(", ")) }
            }
            Value::List(items) => {
                let items = items.borrow().clone();
                format!("[{}]", self.reprs(&items)?.join(", "))
            }
            Value::Dict(d) => {
                let items = d.borrow().items();
                let mut parts = Vec::new();
                for (k, v) in items.into_iter() {
                    self.step()?;
                    parts.push(format!("{}: {}", self.repr_of(&k)?, self.repr_of(&v)?));
                }
                format!("{{{}}}", parts.join(", "))
            }
            Value::View(view) => {
                let items = self.items(value)?;
                format!("{}([{}])", view.type_name(), self.reprs(&items)?.join(", "))
            }
            Value::DType(t) => t.name.into(),
            Value::Tensor(t) => format!("Tensor{}", graph::display(&self.tracer.shape_of(t))),
            Value::Object(o) if o.class.find("__repr__").is_some() => self.described(o, "__repr__")?,
            Value::Object(o) => match (self.record(o)?, o.attrs.borrow().get("name")) {
                (Some(fields), _) => {
                    let mut parts = Vec::new();
                    for (name, value) in fields.iter().take(64) {
                        parts.push(format!("{name}={}", self.repr_of(value)?));
                    }
                    format!("{}({})", o.class.name, parts.join(", "))
                }
                (None, Some(Value::Str(name))) if members(&o.class).is_some() => {
                    format!("{}.{name}", o.class.name)
                }
                _ => format!("<{}>", value.type_name()),
            },
            other => format!("<{}>", other.type_name()),
        })
    }

    fn reprs(&mut self, items: &[Value]) -> R<Vec<String>> {
        items.iter().map(|i| self.repr_of(i)).collect()
    }

    /// `format(value, spec)`.
    pub fn format_value(&mut self, value: &Value, spec: &str) -> R<String> {
        if spec.is_empty() {
            return self.str_of(value);
        }
        self.go_over(spec.len())?;
        let fault = |vm: &Self| vm.value_fault(format!("the format '{spec}' does not fit {}", value.type_name()));
        let Some(parsed) = Spec::parse(spec) else { return fault(self) };
        self.allocate(parsed.room())?;
        match self.formatted(value, &parsed)? {
            Some(text) => Ok(text),
            None => fault(self),
        }
    }

    fn formatted(&mut self, value: &Value, spec: &Spec) -> R<Option<String>> {
        Ok(match value {
            Value::Int(i) => spec.apply(&Item::Int(*i)),
            Value::Bool(b) => spec.apply(&Item::Int((*b).into())),
            Value::Float(f) => spec.apply(&Item::Float(*f)),
            other => spec.apply(&Item::Text(&self.str_of(other)?)),
        })
    }

    /// `text % value`.
    pub fn percent_format(&mut self, text: &Name, value: &Value) -> R<Value> {
        self.go_over(text.len())?;
        let mut values = match value {
            Value::Tuple(items) => items.to_vec(),
            other => vec![other.clone()],
        }
        .into_iter();
        let mut out = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut named = None;
            if chars.next_if_eq(&'(').is_some() {
                let name: String = chars.by_ref().take_while(|c| *c != ')').collect();
                let Value::Dict(dict) = value else { return self.type_fault("'%(name)' needs a dict") };
                let found = dict.borrow().get(&super::value::Key::Str(name.as_str().into())).cloned();
                match found {
                    Some(v) => named = Some(v),
                    None => return self.tracer.run.key_fault(format!("the dict has no key '{name}'")),
                }
            }
            let mut take = |test: fn(&char) -> bool| -> String { std::iter::from_fn(|| chars.next_if(test)).collect() };
            let flags = take(|c| matches!(c, '-' | '+' | ' ' | '#' | '0'));
            // digits are not a number only where it is too large, which no budget has room for
            let digits = |text: String| if text.is_empty() { 0 } else { text.parse().unwrap_or(usize::MAX) };
            let width = digits(take(char::is_ascii_digit));
            let precision = match take(|c| *c == '.').as_str() {
                "" => None,
                _ => Some(digits(take(char::is_ascii_digit))),
            };
            let kind = match chars.next() {
                Some('%') => {
                    out.push('%');
                    continue;
                }
                Some(k @ ('s' | 'r' | 'd' | 'i' | 'u' | 'f' | 'F' | 'e' | 'E' | 'g' | 'G' | 'x' | 'X' | 'o')) => k,
                _ => return self.refuse(Rule::UnsupportedOp, "this % format is not supported; use an f-string"),
            };
            let Some(v) = named.or_else(|| values.next()) else {
                return self.type_fault("there are fewer values than the format asks for");
            };
            let v = match (kind, v) {
                ('s', v) => Value::str(&self.str_of(&v)?),
                ('r', v) => Value::str(&self.repr_of(&v)?),
                ('d' | 'i' | 'u', Value::Float(f)) => self.tracer.int_of(&Value::Float(f))?,
                (_, v) => v,
            };
            let spec = Spec::of_percent(&flags, width, precision, kind);
            self.allocate(spec.room())?;
            let is_symbolic = matches!(v, Value::Dim(_) | Value::Number(_));
            let piece = match self.formatted(&v, &spec)? {
                Some(piece) => piece,
                None if is_symbolic => self.str_of(&v)?,
                None => return self.type_fault(format!("'%{kind}' needs a number, not {}", v.type_name())),
            };
            self.allocate(piece.len())?;
            out.push_str(&piece);
        }
        self.allocate(text.len())?;
        if values.next().is_some() && !matches!(value, Value::Dict(_)) {
            return self.type_fault("there are more values than the format asks for");
        }
        Ok(Value::str(&out))
    }
}

pub fn float_text(f: f64) -> String {
    if f.is_nan() {
        "nan".into()
    } else if f.is_infinite() {
        if f > 0.0 { "inf" } else { "-inf" }.into()
    } else if f != 0.0 && (f.abs() >= 1e16 || f.abs() < 1e-4) {
        let text = format!("{f:e}");
        match text.split_once('e') {
            Some((m, e)) => {
                let e: i32 = e.parse().unwrap_or(0);
                format!("{m}e{}{:02}", if e < 0 { '-' } else { '+' }, e.abs())
            }
            None => text,
        }
    } else if f.fract() == 0.0 {
        format!("{f:.1}")
    } else {
        f.to_string()
    }
}

fn this(vm: &Interp, a: &Args) -> R<Name> {
    a.text(vm, "self")
}

/// Whether the text matches one of several alternatives.
fn one_of(vm: &mut Interp, a: &Args, test: fn(&str, &str) -> bool) -> R<Value> {
    let text = this(vm, a)?;
    vm.go_over(text.len())?;
    let parts = match a.value("part") {
        Value::Tuple(items) => items.to_vec(),
        one => vec![one],
    };
    for part in parts {
        match part {
            Value::Str(p) if test(&text, &p) => return Ok(Value::Bool(true)),
            Value::Str(_) => {}
            other => return vm.type_fault(format!("{}() needs a string, not {}", a.function(), other.type_name())),
        }
    }
    Ok(Value::Bool(false))
}

fn mapped(vm: &mut Interp, a: &Args, f: fn(&str) -> String) -> R<Value> {
    let text = this(vm, a)?;
    vm.go_over(text.len())?;
    let text = f(&text);
    vm.allocate(text.len())?;
    Ok(Value::str(&text))
}

pub static TABLE: &[Native] = &[
    native("str.endswith", "self part", |vm, a| one_of(vm, a, |t, p| t.ends_with(p))),
    native("str.startswith", "self part", |vm, a| one_of(vm, a, |t, p| t.starts_with(p))),
    native("str.lower str.casefold", "self", |vm, a| mapped(vm, a, str::to_lowercase)),
    native("str.upper", "self", |vm, a| mapped(vm, a, str::to_uppercase)),
    native("str.capitalize", "self", |vm, a| {
        mapped(vm, a, |t| {
            let mut c = t.chars();
            c.next().map_or_else(String::new, |f| f.to_uppercase().chain(c.flat_map(char::to_lowercase)).collect())
        })
    }),
    native("str.join", "self parts", |vm, a| {
        let glue = this(vm, a)?;
        let mut parts: Vec<String> = Vec::new();
        for part in vm.items(&a.value("parts"))? {
            match part {
                Value::Str(s) => {
                    vm.allocate(s.len() + glue.len())?;
                    parts.push(s.to_string());
                }
                other => return vm.type_fault(format!("join() needs strings, not {}", other.type_name())),
            }
        }
        Ok(Value::str(&parts.join(&glue)))
    }),
    native("str.replace", "self old new", |vm, a| {
        let (text, old, new) = (this(vm, a)?, a.text(vm, "old")?, a.text(vm, "new")?);
        vm.allocate(text.len().saturating_add(1).saturating_mul(new.len() + 1))?;
        Ok(Value::str(&text.replace(&*old, &new)))
    }),
    native("str.find str.index", "self part", |vm, a| {
        let (text, part) = (this(vm, a)?, a.text(vm, "part")?);
        vm.go_over(text.len() + part.len())?;
        match text.find(&*part) {
            Some(at) => Ok(Value::Int(text.get(..at).map_or(0, |t| t.chars().count()) as i64)),
            None if a.function() == "find" => Ok(Value::Int(-1)),
            None => vm.value_fault("the part is not in the string"),
        }
    }),
    native("str.count", "self part", |vm, a| {
        let (text, part) = (this(vm, a)?, a.text(vm, "part")?);
        vm.go_over(text.len() + part.len())?;
        Ok(Value::Int(text.matches(&*part).count() as i64))
    }),
    native("str.format", "self *args **kwargs", |vm, a| {
        let text = this(vm, a)?;
        vm.allocate(text.len())?;
        let mut out = String::new();
        let mut chars = text.chars().peekable();
        let mut next = 0;
        while let Some(c) = chars.next() {
            match c {
                '{' if chars.peek() == Some(&'{') => {
                    chars.next();
                    out.push('{');
                }
                '}' => {
                    if chars.peek() == Some(&'}') {
                        chars.next();
                    }
                    out.push('}');
                }
                '{' => {
                    let field: String = chars.by_ref().take_while(|c| *c != '}').collect();
                    let (name, spec) = field.split_once(':').unwrap_or((&field, ""));
                    let value = if name.is_empty() {
                        next += 1;
                        a.rest.get(next - 1).cloned()
                    } else if let Ok(i) = name.parse::<usize>() {
                        a.rest.get(i).cloned()
                    } else {
                        a.keywords.iter().find(|k| &*k.0 == name).map(|k| k.1.clone())
                    };
                    let Some(value) = value else {
                        return vm.value_fault(format!("format() has no value for '{{{name}}}'"));
                    };
                    let piece = vm.format_value(&value, spec)?;
                    vm.allocate(piece.len())?;
                    out.push_str(&piece);
                }
                other => out.push(other),
            }
        }
        Ok(Value::str(&out))
    }),
];
