//! The names that a program may use: derived from the tables of the evaluator, so that there is one list.
//!
//! What is not in here is refused wherever it stands in the text, evaluated or not. Modules have a list of their own: see
//! [`crate::modules`] and [`eval::resolve`].

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::eval::{self, Member};
use crate::syntax::Name;

/// Names inside the objects of Python 3.11 to 3.13 and of PyTorch 2.11 (tensors, modules, frames, code, storages, arrays) that
/// reach memory, files, frames or the hooks that PyTorch itself calls.
const MACHINERY: &str = include_str!("machinery.txt");

/// All other names that objects of Python and PyTorch 2.11 have.
const FOREIGN: &str = include_str!("foreign.txt");

/// Double-underscore names that may be read as attributes; none of them leads anywhere.
const READABLE: &[&str] = &[
    "__init__",
    "__call__",
    "__name__",
    "__qualname__",
    "__len__",
    "__getitem__",
    "__iter__",
    "__post_init__",
    "__version__",
    "__doc__",
    "__constants__",
];

/// Data with a double-underscore name that a module or a class may define. It changes nothing, or only what may be set.
const DATA: &[&str] = &[
    "__all__",
    "__author__",
    "__constants__",
    "__copyright__",
    "__credits__",
    "__date__",
    "__doc__",
    "__email__",
    "__license__",
    "__slots__",
    "__version__",
];

/// Methods that only describe: nothing that is computed depends on them, and their text obeys the same rule as all other.
const DESCRIBING: &[&str] = &["__repr__", "__str__", "extra_repr"];

/// Methods of `nn.Module` that PyTorch calls by itself: a class that redefines one behaves in ways that are not evaluated.
const PROTOCOL: &[&str] = &[
    "add_module",
    "apply",
    "bfloat16",
    "buffers",
    "children",
    "cpu",
    "cuda",
    "double",
    "eval",
    "float",
    "get_buffer",
    "get_parameter",
    "get_submodule",
    "half",
    "ipu",
    "load_state_dict",
    "modules",
    "mtia",
    "named_buffers",
    "named_children",
    "named_modules",
    "named_parameters",
    "parameters",
    "register_buffer",
    "register_module",
    "register_parameter",
    "requires_grad_",
    "state_dict",
    "to",
    "to_empty",
    "train",
    "xpu",
    "zero_grad",
];

/// Builtins of Python that are not part of the language.
const OTHER_BUILTINS: &[&str] = &[
    "EncodingWarning",
    "aiter",
    "anext",
    "bin",
    "breakpoint",
    "bytearray",
    "compile",
    "copyright",
    "credits",
    "dir",
    "eval",
    "exec",
    "exit",
    "globals",
    "hash",
    "help",
    "hex",
    "id",
    "input",
    "license",
    "locals",
    "memoryview",
    "oct",
    "open",
    "quit",
    "vars",
];

fn machinery() -> &'static BTreeSet<&'static str> {
    static SET: OnceLock<BTreeSet<&'static str>> = OnceLock::new();
    SET.get_or_init(|| MACHINERY.lines().collect())
}

fn attributes() -> &'static BTreeSet<&'static str> {
    static SET: OnceLock<BTreeSet<&'static str>> = OnceLock::new();
    SET.get_or_init(|| eval::attribute_names().filter(|n| !is_machinery(n)).collect())
}

/// Whether a name has two underscores on both sides.
pub fn is_dunder(name: &str) -> bool {
    name.len() > 4 && name.starts_with("__") && name.ends_with("__")
}

/// Whether a name belongs to the inner life of Python or PyTorch, whatever a program calls its own things.
pub fn is_machinery(name: &str) -> bool {
    machinery().contains(name)
}

/// Whether some object of Python or PyTorch has an attribute of this name.
pub fn is_foreign(name: &str) -> bool {
    static SET: OnceLock<BTreeSet<&'static str>> = OnceLock::new();
    is_machinery(name) || SET.get_or_init(|| FOREIGN.lines().collect()).contains(name)
}

/// Whether a name of the inner life begins with these letters.
pub fn is_machinery_prefix(start: &str) -> bool {
    machinery().iter().any(|n| n.starts_with(start))
}

/// Whether an attribute is out of reach for `getattr` and its like: also read by the evaluator, which knows the name only then.
pub fn is_hidden(name: &str) -> bool {
    (is_dunder(name) && !READABLE.contains(&name)) || name.ends_with("_frame") || is_machinery(name)
}

/// Whether an attribute of tensors, layers or Python's own objects is evaluated.
pub fn has_attribute(name: &str) -> bool {
    attributes().contains(name) || READABLE.contains(&name) || eval::is_in_place(name)
}

/// The attribute that was probably meant.
pub fn nearest_attribute(name: &str) -> Option<String> {
    crate::suggest::nearest(name, attributes().iter().copied())
}

/// Whether a builtin function, type or exception is evaluated.
pub fn has_builtin(name: &str) -> bool {
    eval::is_builtin(name) && !OTHER_BUILTINS.contains(&name)
}

/// Whether Python has such a builtin and the language has not.
pub fn is_other_builtin(name: &str) -> bool {
    OTHER_BUILTINS.contains(&name)
}

/// The builtin or name of the program that was probably meant.
pub fn nearest_name(name: &str, bound: &BTreeSet<Name>) -> Option<String> {
    let builtins: Vec<&str> = eval::builtin_names().collect();
    crate::suggest::nearest(name, bound.iter().map(|n| &**n).chain(builtins))
}

/// Why a class or module may not define `name`, if it may not. `derived`: whether the class has bases.
pub fn refuses_definition(name: &str, derived: bool) -> Option<&'static str> {
    if is_dunder(name) {
        let open = DATA.contains(&name) || DESCRIBING.contains(&name) || eval::is_special_method(name);
        return (!open).then_some("Python calls it by itself, and the evaluation does not");
    }
    if is_machinery(name) || (derived && PROTOCOL.contains(&name)) {
        return Some("PyTorch calls it by itself, and the evaluation does not");
    }
    None
}

/// What stands behind a member of a module.
pub fn member(module: &str, name: &str) -> Option<Member> {
    // as a decorator it changes nothing: see `forbidden`
    let decorator = (module, name) == ("torch", "compile");
    if is_machinery(name) && !decorator { None } else { eval::resolve(module, name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_the_evaluator_is_in_the_vocabulary() {
        for name in eval::native_names().filter(|n| !n.contains('$')) {
            let (kind, rest) = name.rsplit_once('.').unwrap();
            let known = if crate::modules::exists(kind) {
                member(kind, rest).is_some()
            } else if kind == "builtins" {
                has_builtin(rest) || is_other_builtin(rest) || rest == "reveal_shape"
            } else {
                has_attribute(rest) || is_machinery(rest)
            };
            // parts of torch that are refused as a whole
            let closed =
                kind.starts_with("torch.jit") || kind.starts_with("torch.autograd") || kind == "torch.nn.Flatten";
            assert!(known || closed, "{name}");
        }
    }

    #[test]
    fn nothing_that_leads_out_is_in_the_vocabulary() {
        for name in [
            "os",
            "sys",
            "warnings",
            "builtins",
            "_C",
            "utils",
            "hub",
            "jit",
            "load",
            "save",
            "ops",
            "classes",
            "library",
            "compile",
            "overrides",
            "importlib",
            "inspect",
            "torch",
            "fx",
            "multiprocessing",
            "distributed",
            "cuda",
            "package",
        ] {
            for module in crate::modules::names() {
                let inner = format!("{module}.{name}");
                // what the rule about the text lets stand above functions only
                let closed = inner == "torch.compile";
                assert!(member(module, name).is_none() || crate::modules::exists(&inner) || closed, "{inner}");
            }
            assert!(!has_attribute(name) || name == "cuda", "{name}");
        }
        for name in ["numpy", "storage", "register_hook", "tofile", "_load_from_state_dict", "gi_frame", "obj"] {
            assert!(is_machinery(name) && !has_attribute(name), "{name}");
        }
    }
}
