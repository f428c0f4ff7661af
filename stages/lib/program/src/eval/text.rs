//! Strings: formatting and methods.

use std::rc::Rc;

use super::native::{Args, Native};
use super::value::{Scope, Value};
use super::{Interp, R};
use crate::syntax::{Name, Piece};

/// Longest padding that a format may ask for.
const MAX_WIDTH: usize = 256;

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
            other => self.repr_of(other),
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
        if self.printing.contains(&identity) {
            return Err(self.exhausted("E-BUDGET-DEPTH", "this prints a value that holds itself"));
        }
        self.printing.push(identity);
        let text = self.repr_once(value);
        self.printing.pop();
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
                let escaped = s.replace('\\', "\\\\").replace('\n', "\\n");
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
                for (k, v) in items.into_iter().take(64) {
                    parts.push(format!("{}: {}", self.repr_of(&k)?, self.repr_of(&v)?));
                }
                format!("{{{}}}", parts.join(", "))
            }
            Value::DType(t) => t.name.into(),
            Value::Tensor(t) => format!("Tensor{}", graph::display(&self.shape_of(t))),
            Value::Object(o) => match (self.record(o)?, o.attrs.borrow().get("name")) {
                (Some(fields), _) => {
                    let mut parts = Vec::new();
                    for (name, value) in fields.iter().take(64) {
                        parts.push(format!("{name}={}", self.repr_of(value)?));
                    }
                    format!("{}({})", o.class.name, parts.join(", "))
                }
                (None, Some(Value::Str(name))) if self.members(&o.class).is_some() => {
                    format!("{}.{name}", o.class.name)
                }
                _ => format!("<{}>", value.type_name()),
            },
            other => format!("<{}>", other.type_name()),
        })
    }

    fn reprs(&mut self, items: &[Value]) -> R<Vec<String>> {
        items.iter().take(64).map(|i| self.repr_of(i)).collect()
    }

    /// `format(value, spec)`.
    pub fn format_value(&mut self, value: &Value, spec: &str) -> R<String> {
        if spec.is_empty() {
            return self.str_of(value);
        }
        self.go_over(spec.len())?;
        let chars: Vec<char> = spec.chars().collect();
        let is_align = |c: Option<&char>| matches!(c, Some('<' | '>' | '^' | '='));
        let (fill, align, mut at) = match (chars.first(), is_align(chars.get(1)), is_align(chars.first())) {
            (Some(f), true, _) => (*f, chars.get(1).copied(), 2),
            (_, false, true) => (' ', chars.first().copied(), 1),
            _ => (' ', None, 0),
        };
        let mut sign = false;
        let mut fill = fill;
        let mut zero = false;
        if chars.get(at) == Some(&'+') {
            sign = true;
            at += 1;
        }
        if chars.get(at) == Some(&'0') {
            zero = true;
            fill = '0';
            at += 1;
        }
        let digits = |at: &mut usize| {
            let start = *at;
            while chars.get(*at).is_some_and(char::is_ascii_digit) {
                *at += 1;
            }
            chars.get(start..*at).unwrap_or(&[]).iter().collect::<String>().parse::<usize>().ok()
        };
        let width = digits(&mut at).unwrap_or(0).min(MAX_WIDTH);
        let comma = chars.get(at) == Some(&',');
        if comma {
            at += 1;
        }
        let mut precision = None;
        if chars.get(at) == Some(&'.') {
            at += 1;
            precision = digits(&mut at).map(|p| p.min(64));
        }
        let kind = chars.get(at).copied();
        let number = match value {
            Value::Int(i) => Some(*i as f64),
            Value::Float(f) => Some(*f),
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            _ => None,
        };
        let mut text = match (kind, number, value) {
            (Some('d'), _, Value::Int(i)) => i.to_string(),
            (Some('f' | 'F'), Some(x), _) => format!("{x:.*}", precision.unwrap_or(6)),
            (Some('e'), Some(x), _) => {
                let text = format!("{x:.*e}", precision.unwrap_or(6));
                match text.split_once('e') {
                    Some((m, e)) => {
                        let e: i32 = e.parse().unwrap_or(0);
                        format!("{m}e{}{:02}", if e < 0 { '-' } else { '+' }, e.abs())
                    }
                    None => text,
                }
            }
            (Some('g'), Some(x), _) => float_text(x),
            (Some('%'), Some(x), _) => format!("{:.*}%", precision.unwrap_or(6), x * 100.0),
            (Some('x'), _, Value::Int(i)) => format!("{i:x}"),
            (Some('b'), _, Value::Int(i)) => format!("{i:b}"),
            (None, Some(x), Value::Float(_)) => match precision {
                Some(p) => format!("{x:.p$}"),
                None => float_text(x),
            },
            (None | Some('s' | 'd'), _, _) => {
                let text = self.str_of(value)?;
                match precision {
                    Some(p) => text.chars().take(p).collect(),
                    None => text,
                }
            }
            _ => return self.value_fault(format!("the format '{spec}' does not fit {}", value.type_name())),
        };
        if sign && number.is_some_and(|x| x >= 0.0) {
            text.insert(0, '+');
        }
        let missing = width.saturating_sub(text.chars().count());
        let pad: String = std::iter::repeat_n(fill, missing).collect();
        let align = align.unwrap_or(if number.is_some() || zero { '>' } else { '<' });
        Ok(match align {
            '<' => format!("{text}{pad}"),
            '^' => {
                let left: String = std::iter::repeat_n(fill, missing / 2).collect();
                let right: String = std::iter::repeat_n(fill, missing - missing / 2).collect();
                format!("{left}{text}{right}")
            }
            _ => format!("{pad}{text}"),
        })
    }

    /// `text % value`, for `%s`, `%d`, `%r` and `%f`.
    pub fn percent_format(&mut self, text: &Name, value: &Value) -> R<Value> {
        self.go_over(text.len())?;
        let mut values = match value {
            Value::Tuple(items) => items.to_vec(),
            other => vec![other.clone()],
        }
        .into_iter();
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut spec = String::new();
            let kind = loop {
                match chars.next() {
                    Some(d) if d.is_ascii_digit() || d == '.' => spec.push(d),
                    other => break other,
                }
            };
            match kind {
                Some('%') => out.push('%'),
                Some(k @ ('s' | 'd' | 'r' | 'f')) => {
                    let Some(v) = values.next() else {
                        return self.type_fault("there are fewer values than the format asks for");
                    };
                    let piece = match k {
                        's' => self.str_of(&v)?,
                        'r' => self.repr_of(&v)?,
                        _ => self.format_value(&v, &format!("{spec}{k}"))?,
                    };
                    self.allocate(piece.len())?;
                    out.push_str(&piece);
                }
                _ => return self.unsupported("E-UNSUPPORTED-OP", "this % format is not supported; use an f-string"),
            }
        }
        self.allocate(text.len())?;
        if values.next().is_some() {
            return self.type_fault("there are more values than the format asks for");
        }
        Ok(Value::str(&out))
    }
}

fn float_text(f: f64) -> String {
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
    Native { names: "str.endswith", signature: "self part", run: |vm, a| one_of(vm, a, |t, p| t.ends_with(p)) },
    Native { names: "str.startswith", signature: "self part", run: |vm, a| one_of(vm, a, |t, p| t.starts_with(p)) },
    Native { names: "str.lower str.casefold", signature: "self", run: |vm, a| mapped(vm, a, str::to_lowercase) },
    Native { names: "str.upper", signature: "self", run: |vm, a| mapped(vm, a, str::to_uppercase) },
    Native {
        names: "str.capitalize str.title",
        signature: "self",
        run: |vm, a| {
            mapped(vm, a, |t| {
                let mut c = t.chars();
                c.next().map_or_else(String::new, |f| f.to_uppercase().chain(c.flat_map(char::to_lowercase)).collect())
            })
        },
    },
    Native { names: "str.strip", signature: "self", run: |vm, a| mapped(vm, a, |t| t.trim().into()) },
    Native { names: "str.lstrip", signature: "self", run: |vm, a| mapped(vm, a, |t| t.trim_start().into()) },
    Native { names: "str.rstrip", signature: "self", run: |vm, a| mapped(vm, a, |t| t.trim_end().into()) },
    Native {
        names: "str.isdigit",
        signature: "self",
        run: |vm, a| {
            let t = this(vm, a)?;
            vm.go_over(t.len())?;
            Ok(Value::Bool(!t.is_empty() && t.chars().all(char::is_numeric)))
        },
    },
    Native {
        names: "str.join",
        signature: "self parts",
        run: |vm, a| {
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
        },
    },
    Native {
        names: "str.split",
        signature: "self sep? maxsplit?",
        run: |vm, a| {
            let text = this(vm, a)?;
            let parts: Vec<Value> = match a.some("sep") {
                None => text.split_whitespace().map(Value::str).collect(),
                Some(_) => {
                    let sep = a.text(vm, "sep")?;
                    if sep.is_empty() {
                        return vm.value_fault("split() by nothing");
                    }
                    match usize::try_from(a.int_or(vm, "maxsplit", -1)?) {
                        Ok(n) => text.splitn(n.saturating_add(1), &*sep).map(Value::str).collect(),
                        Err(_) => text.split(&*sep).map(Value::str).collect(),
                    }
                }
            };
            vm.allocate(parts.len() + text.len())?;
            Ok(Value::list(parts))
        },
    },
    Native {
        names: "str.replace",
        signature: "self old new",
        run: |vm, a| {
            let (text, old, new) = (this(vm, a)?, a.text(vm, "old")?, a.text(vm, "new")?);
            vm.allocate(text.len().saturating_add(1).saturating_mul(new.len() + 1))?;
            Ok(Value::str(&text.replace(&*old, &new)))
        },
    },
    Native {
        names: "str.find str.index",
        signature: "self part",
        run: |vm, a| {
            let (text, part) = (this(vm, a)?, a.text(vm, "part")?);
            vm.go_over(text.len() + part.len())?;
            match text.find(&*part) {
                Some(at) => Ok(Value::Int(text.get(..at).map_or(0, |t| t.chars().count()) as i64)),
                None if a.function() == "find" => Ok(Value::Int(-1)),
                None => vm.value_fault("the part is not in the string"),
            }
        },
    },
    Native {
        names: "str.count",
        signature: "self part",
        run: |vm, a| {
            let (text, part) = (this(vm, a)?, a.text(vm, "part")?);
            vm.go_over(text.len() + part.len())?;
            Ok(Value::Int(text.matches(&*part).count() as i64))
        },
    },
    Native {
        names: "str.zfill",
        signature: "self width",
        run: |vm, a| {
            let width = usize::try_from(a.int(vm, "width")?).unwrap_or(0).min(MAX_WIDTH);
            let text = this(vm, a)?;
            vm.allocate(text.len().max(width))?;
            Ok(Value::str(&format!("{text:0>width$}")))
        },
    },
    Native {
        names: "str.format",
        signature: "self *args **kwargs",
        run: |vm, a| {
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
        },
    },
];
