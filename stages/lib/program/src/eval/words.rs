//! Methods of strings that take them apart, pad them or look at their letters.

use super::native::{Args, Native, native};
use super::value::Value;
use super::{Interp, R, Run};
use crate::syntax::Name;

fn this(vm: &mut Interp, a: &Args) -> R<Name> {
    let text = a.text(vm, "self")?;
    vm.go_over(text.len())?;
    Ok(text)
}

fn made(run: &mut Run, text: &str) -> R<Value> {
    run.allocate(text.len())?;
    Ok(Value::str(text))
}

/// Each word with a capital; as in Python, words are runs of letters.
fn title(text: &str) -> String {
    let mut inside = false;
    let mut out = String::new();
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

fn swapped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_uppercase() {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
    }
    out
}

fn mapped(vm: &mut Interp, a: &Args, f: fn(&str) -> String) -> R<Value> {
    let text = this(vm, a)?;
    made(&mut vm.tracer.run, &f(&text))
}

/// Without certain characters, or white space, at one end or both.
fn stripped(vm: &mut Interp, a: &Args, (left, right): (bool, bool)) -> R<Value> {
    let text = this(vm, a)?;
    let chars: Option<Vec<char>> = match a.some("chars") {
        Some(_) => Some(a.text(vm, "chars")?.chars().collect()),
        None => None,
    };
    let goes = |c: char| chars.as_ref().map_or_else(|| c.is_whitespace(), |chars| chars.contains(&c));
    let mut rest: &str = &text;
    if left {
        rest = rest.trim_start_matches(goes);
    }
    if right {
        rest = rest.trim_end_matches(goes);
    }
    made(&mut vm.tracer.run, rest)
}

/// Padded to a width; a middle one that does not come out even leans as Python's does.
fn padded(vm: &mut Interp, a: &Args, share: fn(usize, usize) -> usize) -> R<Value> {
    let text = this(vm, a)?;
    let width = usize::try_from(a.int(vm, "width")?).unwrap_or(0);
    let fill = a.text_or(vm, "fillchar", " ")?;
    if fill.chars().count() != 1 {
        return vm.type_fault("the fill character must be one character");
    }
    let missing = width.saturating_sub(text.chars().count());
    vm.allocate(missing)?;
    let before = share(missing, width);
    made(&mut vm.tracer.run, &format!("{}{text}{}", fill.repeat(before), fill.repeat(missing - before)))
}

fn parted(vm: &mut Interp, a: &Args, last: bool) -> R<Value> {
    let (text, sep) = (this(vm, a)?, a.text(vm, "sep")?);
    if sep.is_empty() {
        return vm.value_fault(format!("{}() by nothing", a.function()));
    }
    let found = if last { text.rsplit_once(&*sep) } else { text.split_once(&*sep) };
    vm.allocate(text.len() + 3)?;
    let parts = match (found, last) {
        (Some((x, y)), _) => [x, &*sep, y],
        (None, false) => [&*text, "", ""],
        (None, true) => ["", "", &*text],
    };
    Ok(Value::tuple(parts.map(Value::str).to_vec()))
}

/// At white space or a separator, at most so many times, from the left or the right.
fn split(vm: &mut Interp, a: &Args, right: bool) -> R<Value> {
    let text = this(vm, a)?;
    // a negative number is not a limit, and so is one that no text reaches
    let most = usize::try_from(a.int_or(vm, "maxsplit", -1)?).unwrap_or(usize::MAX);
    let mut parts: Vec<&str> = Vec::new();
    let sep = match a.some("sep") {
        Some(_) => Some(a.text(vm, "sep")?),
        None => None,
    };
    match &sep {
        Some(sep) if sep.is_empty() => return vm.value_fault(format!("{}() by nothing", a.function())),
        Some(sep) if right => {
            parts.extend(text.rsplitn(most.saturating_add(1), &**sep));
            parts.reverse();
        }
        Some(sep) => parts.extend(text.splitn(most.saturating_add(1), &**sep)),
        None => {
            let mut rest: &str = text.trim();
            while !rest.is_empty() && parts.len() < most {
                let at = if right { rest.rfind(char::is_whitespace) } else { rest.find(char::is_whitespace) };
                let Some(at) = at else { break };
                let (x, y) = rest.split_at(at);
                let (part, more) = if right { (y.trim_start(), x.trim_end()) } else { (x, y.trim_start()) };
                parts.push(part);
                rest = more;
            }
            if !rest.is_empty() {
                parts.push(rest);
            }
            if right {
                parts.reverse();
            }
        }
    }
    vm.allocate(parts.len() + text.len())?;
    Ok(Value::list(parts.into_iter().map(Value::str).collect()))
}

fn all(vm: &mut Interp, a: &Args, test: fn(char) -> bool) -> R<Value> {
    let text = this(vm, a)?;
    Ok(Value::Bool(!text.is_empty() && text.chars().all(test)))
}

/// Whether all letters are of one case, and there are some.
fn cased(vm: &mut Interp, a: &Args, upper: bool) -> R<Value> {
    let text = this(vm, a)?;
    let wrong = |c: char| if upper { c.is_lowercase() } else { c.is_uppercase() };
    Ok(Value::Bool(!text.chars().any(wrong) && text.chars().any(|c| c.is_lowercase() || c.is_uppercase())))
}

pub static TABLE: &[Native] = &[
    native("str.title", "self", |vm, a| mapped(vm, a, title)),
    native("str.swapcase", "self", |vm, a| mapped(vm, a, swapped)),
    native("str.strip", "self chars?", |vm, a| stripped(vm, a, (true, true))),
    native("str.lstrip", "self chars?", |vm, a| stripped(vm, a, (true, false))),
    native("str.rstrip", "self chars?", |vm, a| stripped(vm, a, (false, true))),
    native("str.ljust", "self width fillchar?", |vm, a| padded(vm, a, |_, _| 0)),
    native("str.rjust", "self width fillchar?", |vm, a| padded(vm, a, |missing, _| missing)),
    native("str.center", "self width fillchar?", |vm, a| {
        padded(vm, a, |missing, width| missing / 2 + (missing & width & 1))
    }),
    native("str.partition", "self sep", |vm, a| parted(vm, a, false)),
    native("str.rpartition", "self sep", |vm, a| parted(vm, a, true)),
    native("str.split", "self sep? maxsplit?", |vm, a| split(vm, a, false)),
    native("str.rsplit", "self sep? maxsplit?", |vm, a| split(vm, a, true)),
    native("str.splitlines", "self", |vm, a| {
        let text = this(vm, a)?;
        vm.allocate(text.len() + 1)?;
        Ok(Value::list(text.lines().map(Value::str).collect()))
    }),
    native("str.removeprefix", "self part", |vm, a| {
        let (text, part) = (this(vm, a)?, a.text(vm, "part")?);
        made(&mut vm.tracer.run, text.strip_prefix(&*part).unwrap_or(&text))
    }),
    native("str.removesuffix", "self part", |vm, a| {
        let (text, part) = (this(vm, a)?, a.text(vm, "part")?);
        made(&mut vm.tracer.run, text.strip_suffix(&*part).unwrap_or(&text))
    }),
    native("str.zfill", "self width", |vm, a| {
        let (text, width) = (this(vm, a)?, usize::try_from(a.int(vm, "width")?).unwrap_or(0));
        let missing = width.saturating_sub(text.chars().count());
        vm.allocate(missing)?;
        let (sign, digits) = match text.strip_prefix(['+', '-']) {
            Some(digits) => text.split_at(text.len() - digits.len()),
            None => ("", &*text),
        };
        made(&mut vm.tracer.run, &format!("{sign}{}{digits}", "0".repeat(missing)))
    }),
    native("str.isalpha", "self", |vm, a| all(vm, a, char::is_alphabetic)),
    native("str.isalnum", "self", |vm, a| all(vm, a, char::is_alphanumeric)),
    native("str.isspace", "self", |vm, a| all(vm, a, char::is_whitespace)),
    native("str.isdigit str.isdecimal", "self", |vm, a| all(vm, a, |c| c.is_ascii_digit())),
    native("str.isupper", "self", |vm, a| cased(vm, a, true)),
    native("str.islower", "self", |vm, a| cased(vm, a, false)),
    native("builtins.ord", "c", |vm, a| {
        let text = a.text(vm, "c")?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(Value::Int(i64::from(u32::from(c)))),
            _ => vm.type_fault("ord() needs one character"),
        }
    }),
    native("builtins.chr", "i", |vm, a| match u32::try_from(a.int(vm, "i")?).ok().and_then(char::from_u32) {
        Some(c) => made(&mut vm.tracer.run, c.encode_utf8(&mut [0; 4])),
        None => vm.value_fault("chr() needs the number of a character"),
    }),
];
